"""The exports: all of an account's on one screen, and one of them with its history and the code on both sides."""

from infraconsole.screens.exports.one import ExportScreen
from infraconsole.screens.exports.screen import ExportsScreen

__all__ = ["ExportScreen", "ExportsScreen"]
