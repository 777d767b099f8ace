"""Leaving the console while runs are under way: they go on, and this says so before and after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from infraconsole import text
from infraconsole.engine.journal import Journal
from infraconsole.screens.console_screen import is_too_small
from infraconsole.screens.runs import KnownRun, under_way
from infraconsole.screens.settling import Dialog
from infraconsole.screens.words import STRONG, WARN, said

COMMAND_VARIABLE = "INFRACONSOLE_COMMAND"


def runs_under_way(journal: Journal) -> tuple[KnownRun, ...]:
    """Blocks: for a thread. Raises JournalError."""
    return under_way(journal)


def attach_command(run: str) -> str:
    """The line that shows the run again. Where `infraconsole` alone does not do (a wrapper, the embedded world), the
    environment names what does."""
    return f"{os.environ.get(COMMAND_VARIABLE) or 'infraconsole'} attach {run}"


def farewell(runs: Sequence[KnownRun]) -> Farewell:
    rows = []
    for run in runs:
        state = "It waits for an answer." if run.record.gate else "It goes on without the console."
        title = text.line(run.record.title)
        rows.append(f"Run {run.record.run} ({title}) goes on. {state}\n  {attach_command(run.record.run)}")
    return Farewell(text.block("\n".join(rows)))


class Farewell:
    """What is printed when the console has gone: as it is, since a line that was wrapped could not be pasted."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        console.file.write(f"{self.words}\n")
        return ()


class QuitScreen(Dialog[bool]):
    """Ends in whether to leave. Where the terminal is too small to ask, it leaves: that does the runs no harm."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "stay", "Stay", id="quit.stay", tooltip="Back to the console"),
        Binding("left,right,tab", "app.focus_next", "Next", show=False, id="quit.next", tooltip="The other button"),
    ]

    def __init__(self, runs: Sequence[KnownRun], *, in_order: bool = False) -> None:
        """`in_order`: this console would begin others after them."""
        super().__init__()
        self._runs = runs
        self._in_order = in_order

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said(("Leave the console? The runs go on.", STRONG)), classes="dialog-title")
            yield Static(said(farewell(self._runs).words))
            if self._in_order:
                yield Static(said(("The modules that were to follow in order are not begun then.", WARN)))
            yield Static("")
            with Horizontal(id="gate-buttons"):
                yield Button("Stay", id="stay", compact=True)
                yield Button("Leave; runs go on", id="leave", compact=True)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#stay"))
        if is_too_small(self.app.size):
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "leave")

    def action_stay(self) -> None:
        self.dismiss(False)
