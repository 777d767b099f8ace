"""Leaving the console while runs are under way: they go on, and this says so before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from infraconsole import text
from infraconsole.engine.journal import Journal
from infraconsole.screens.console_screen import is_too_small
from infraconsole.screens.runs import KnownRun, known_runs
from infraconsole.screens.words import STRONG, said


def runs_under_way(journal: Journal) -> tuple[KnownRun, ...]:
    """Blocks: for a thread. Raises JournalError."""
    return tuple(run for run in known_runs(journal) if run.under_way)


def farewell(runs: Sequence[KnownRun]) -> str:
    """Printed when the console has gone."""
    rows = []
    for run in runs:
        state = "It waits for an answer." if run.record.gate else "It goes on without the console."
        rows.append(
            f"Run {run.record.run} ({run.record.title}) goes on. {state}\n  infraconsole attach {run.record.run}"
        )
    return text.block("\n".join(rows))


class QuitScreen(ModalScreen[bool]):
    """Ends in whether to leave. Where the terminal is too small to ask, it leaves: that does the runs no harm."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "stay", "Stay", id="quit.stay", tooltip="Back to the console"),
        Binding("left,right,tab", "app.focus_next", "Next", show=False, id="quit.next", tooltip="The other button"),
    ]

    def __init__(self, runs: Sequence[KnownRun]) -> None:
        super().__init__()
        self._runs = runs

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said(("Leave the console? The runs go on.", STRONG)), classes="dialog-title")
            yield Static(said(farewell(self._runs)))
            yield Static("")
            with Horizontal(id="gate-buttons"):
                yield Button("Stay", id="stay", compact=True)
                yield Button("Leave; runs go on", id="leave", compact=True)

    def on_mount(self) -> None:
        self.query_one("#stay").focus()
        if is_too_small(self.app.size):
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "leave")

    def action_stay(self) -> None:
        self.dismiss(False)
