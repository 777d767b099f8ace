"""The board: all services in all environments at once."""

from infraconsole.screens.board.screen import BoardScreen

__all__ = ["BoardScreen"]
