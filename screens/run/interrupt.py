"""Asking a run to stop: once, gently; a second time only with the target's name typed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from infraconsole.engine.history import RunRecord
from infraconsole.screens.keys import field_keys
from infraconsole.screens.settling import Dialog
from infraconsole.screens.words import BAD, DIM, STRONG, WARN, said


class InterruptScreen(Dialog[int]):
    """Ends in the level that was asked for; 0 is going on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "go_on", "Go on", id="interrupt.go-on", tooltip="Let the run go on"),
        Binding("left,right", "app.focus_next", "Next", show=False, id="interrupt.next", tooltip="The other button"),
        *field_keys("interrupt", "The field, or the button"),
    ]

    def __init__(self, record: RunRecord) -> None:
        super().__init__()
        self._name_to_type = record.target.name
        self._again = record.interrupting >= 1
        self._record = record

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said((f"Stop {self._record.title}?", STRONG)), classes="dialog-title")
            if self._again:
                yield Static(
                    said(
                        ("It was already asked to stop and is still running. ", WARN),
                        "Insisting stops it where it is; what was sent to AWS stays sent, and the run has to look at what "
                        f"was done when it is resumed. Type {self._name_to_type} to insist.",
                    )
                )
                yield Input(placeholder=f"type {self._name_to_type}", id="interrupt-name", select_on_focus=False)
                yield Static("", id="interrupt-says")
            else:
                yield Static(
                    "It stops at the next point where nothing is half done. What was done stays done; the run can be "
                    "resumed and goes on from there."
                )
                goes_on = next((step.goes_on for step in self._record.steps if step.id == self._record.current), "")
                yield Static(said((goes_on, WARN)))
            with Horizontal(id="gate-buttons"):
                yield Button("Let it go on", id="go-on", compact=True)
                if not self._again:
                    yield Button("Stop it", id="stop", compact=True)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#go-on"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(1 if event.button.id == "stop" else 0)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        if event.value == self._name_to_type:
            self.dismiss(2)
        else:
            self.query_one("#interrupt-says", Static).update(
                said((f"That is not {self._name_to_type}. ", BAD), ("No request was sent.", DIM))
            )

    def action_go_on(self) -> None:
        self.dismiss(0)
