"""The state of one service in one environment: its versions, its lock, and what differs between two of them."""

from infraconsole.screens.state.screen import StateScreen

__all__ = ["StateScreen"]
