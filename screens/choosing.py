"""Choosing a profile or a region from a list: what is typed narrows it, Enter takes the row under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from infraconsole.errors import InfraconsoleError
from infraconsole.screens.settling import Dialog
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Column, Row, Rows
from infraconsole.screens.words import DIM, STRONG, lines, said, whole_error

_LINES_AROUND = 8
"""Title, field, what it says in two lines, and the border."""


class ChoiceScreen(Dialog[str | None]):
    """Gives the key of the row, None where nothing was chosen. `rows` blocks, and may raise InfraconsoleError."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="choice.close", tooltip="Leave it as it is"),
        Binding("down", "move(1)", "Next", show=False, id="choice.down", tooltip="Next row", priority=True),
        Binding("up", "move(-1)", "Before", show=False, id="choice.up", tooltip="Row before", priority=True),
        Binding("pagedown", "move(10)", "Further", show=False, id="choice.page-down", tooltip="Further on", priority=True),
        Binding("pageup", "move(-10)", "Back", show=False, id="choice.page-up", tooltip="Further back", priority=True),
    ]  # fmt: skip

    def __init__(
        self, title: str, columns: Sequence[Column], rows: Callable[[], Sequence[Row]], current: str, explained: str
    ) -> None:
        super().__init__()
        self._title = title
        self._columns = columns
        self._read = rows
        self._current = current
        self._explained = explained

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said((self._title, STRONG)), classes="dialog-title")
            yield Input(placeholder="type to narrow", id="choice-words", compact=True)
            yield Rows(self._columns, id="choices")
            yield Static(
                said((f"{self._explained} ↑↓ move, Enter takes the row, Esc leaves it as it is.", DIM)),
                id="choice-says",
            )

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.can_focus = False
        self.set_focus(self.query_one(Input))
        self._fill()

    @work(exit_on_error=False)
    async def _fill(self) -> None:
        rows = self.query_one(Rows)
        try:
            found = await in_thread(self._read, "choices")
        except InfraconsoleError as error:
            rows.end_reading(error.title)
            self.query_one("#choice-says", Static).update(lines([*whole_error(error), ("Esc closes.", DIM)]))
            return
        rows.end_reading("There is nothing to choose from.")
        rows.set_rows(found)
        if not self.query_one(Input).value:
            rows.move_to(self._current)
        self._fit()

    def _fit(self) -> None:
        rows = self.query_one(Rows)
        rows.styles.height = max(2, min(rows.total + 1, int(self.app.size.height * 0.9) - _LINES_AROUND))

    def on_resize(self) -> None:
        self._fit()

    def on_input_changed(self, event: Input.Changed) -> None:
        rows = self.query_one(Rows)
        rows.set_filter(event.value)
        rows.cursor = 0

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(self.query_one(Rows).current_key)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.stop()
        self._take(event.key)

    def _take(self, key: str) -> None:
        if key:
            self.dismiss(key)

    def action_move(self, rows: int) -> None:
        self.query_one(Rows).cursor += rows

    def action_close(self) -> None:
        self.dismiss(None)
