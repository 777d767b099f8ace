"""The journal: all runs, and the proof that nothing was changed in it."""

from infraconsole.screens.journal.screen import JournalScreen

__all__ = ["JournalScreen"]
