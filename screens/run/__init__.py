"""The run screen, shared by all runbooks."""

from infraconsole.screens.run.screen import RunScreen

__all__ = ["RunScreen"]
