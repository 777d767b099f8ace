"""The board's list and, below it, the service under the cursor: the list takes what it needs, the service the rest."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message

from infraconsole.screens.board.selected import BESIDE, Section, drawn
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says

_TALL = 30
_KEPT = 11
"""Lines that a long list leaves the service on a tall terminal; on a low one the list comes first."""
_LEAST = 4
"""Fewer lines are worth more to the list."""
_TWO_COLUMNS = 160
_GAP = 3


class Area(Vertical):
    """Holds `rows`. Posts `Divided` when there is another room for the service."""

    class Divided(Message):
        pass

    def __init__(self, rows: Rows) -> None:
        super().__init__(id="area")
        self._rows = rows
        self._needed = 0
        self._divided = (0, 0)

    def compose(self) -> ComposeResult:
        yield self._rows
        with Horizontal(id="selected"):
            yield Says(id="selected-text")
            yield Says(id="selected-more")

    @property
    def room(self) -> int:
        """Lines that there are for the service; 0 where the list needs them."""
        return max(0, self._divided[1] - 1)

    def divide(self, needed: int) -> None:
        """`needed`: the lines of the whole list."""
        self._needed = needed
        height = self.size.height
        most = height - _KEPT if self.screen.size.height >= _TALL else height
        listed = max(1, min(needed, most))
        rest = height - listed
        divided = (listed, rest) if rest >= _LEAST else (height, 0)
        if divided != self._divided:
            self._divided = divided
            self._rows.styles.height = divided[0] if divided[1] else "1fr"
            self.query_one("#selected").display = bool(divided[1])
            self.post_message(self.Divided())

    def on_resize(self) -> None:
        self.divide(self._needed)
        self.post_message(self.Divided())

    def tell(self, title: str, found: Sequence[Section]) -> None:
        """Draw the service; what finds no room is said to be behind `d`."""
        pane, text, more = self.query_one("#selected"), *self.query(Says).results(Says)
        width = self.size.width
        beside = [section for section in found if section.name in BESIDE] if width >= _TWO_COLUMNS else []
        more.display = bool(beside)
        column = (width - _GAP) // 2 if beside else width
        left = drawn([section for section in found if section not in beside], column, self.room)
        right = drawn(beside, column, self.room)
        text.say(left.content)
        more.say(right.content)
        hint = "d shows more" if left.cut or right.cut else "d shows all of it"
        pane.border_title = Content(f"{title}, {hint}") if title else ""
