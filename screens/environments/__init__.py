"""The environments of one service side by side: what their variables say, and what runs in each."""

from infraconsole.screens.environments.screen import EnvironmentsScreen

__all__ = ["EnvironmentsScreen"]
