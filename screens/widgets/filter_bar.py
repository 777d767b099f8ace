"""The filter line: opened with `/`, it narrows the list while one types."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Hidden while empty and unused. Enter keeps the filter and goes back to the list, Escape takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear_filter", "Clear filter", id="filter.clear", tooltip="Show everything again"),
        Binding("enter,down", "keep", "Keep filter", id="filter.keep", tooltip="Back to the list; the filter stays"),
    ]

    class Narrowed(Message):
        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Left(Message):
        """The list gets the focus back."""

    def __init__(self) -> None:
        super().__init__(placeholder="filter: words that a row must contain", id="filter", compact=True)
        self.display = False

    def open(self) -> None:
        """At once, not when idle: the keys that follow are the filter's."""
        self.display = True
        self.screen.set_focus(self)

    def clear_filter(self) -> None:
        self.value = ""
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Narrowed(self.value))

    def action_clear_filter(self) -> None:
        self.clear_filter()
        self.post_message(self.Left())

    def action_keep(self) -> None:
        self.display = bool(self.value)
        self.post_message(self.Left())
