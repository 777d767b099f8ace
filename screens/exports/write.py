"""What shall be written by hand: the value and its type. Nothing is sent from here; the run that follows asks first."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from infraconsole.screens.exports.cells import Entry
from infraconsole.screens.settling import Dialog
from infraconsole.screens.words import STRONG, WARN, said


class WriteScreen(Dialog[dict[str, str] | None]):
    """Gives the inputs of the runbook export-put, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="write.close", tooltip="Write nothing"),
    ]

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry

    def compose(self) -> ComposeResult:
        owner = self._entry.owner
        module = f"the module {owner}" if owner else "its module"
        with Vertical(classes="dialog"):
            yield Static(said((f"Write {self._entry.name} by hand", STRONG)), classes="dialog-title")
            yield Static(
                said((f"The better way is to apply {module}: Terraform does not know of what is written here.\n", WARN))
            )
            parameter = self._entry.parameter
            yield Input(value=(parameter.value or "") if parameter else "", placeholder="its value", id="write-value")
            yield Static(
                said("Enter starts the run, which shows everything and asks for the name; Esc writes nothing.")
            )

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value:
            parameter = self._entry.parameter
            kind = parameter.type if parameter else self._entry.expected.type
            self.dismiss({"name": self._entry.name, "value": event.value, "type": kind})

    def action_close(self) -> None:
        self.dismiss(None)
