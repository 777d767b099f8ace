"""A table of rows under a cursor, drawn line by line: ten thousand rows cost as much as the twenty that are seen.

DataTable measures every cell when rows come in and lays all rows out again when one goes; here columns have their widths,
the least important ones make room on a narrow terminal, and the cursor stays on its row when the rows are replaced. A list that
has not been told that its reading has ended cannot say that there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, messages
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from infraconsole import text
from infraconsole.collector import settle

_GAP = 1
_WORDS_AT_ONCE = 500
_WORTH_SETTLING = 5_000
_MEASURED = 300
"""Rows whose cells say how wide a column would like to be."""
_WIDEST = 80
"""Cells that a column asks for at most."""


@dataclass(frozen=True)
class Column:
    """`rank` 0 is always shown; higher ranks go first where the width does not suffice. Of what is left, columns take what their
    cells need, those that `stretch` first, which share the rest as well."""

    key: str
    title: str
    width: int
    rank: int = 0
    stretch: bool = False
    right: bool = False


@dataclass(frozen=True)
class Cell:
    """The filter passes over what is not `searched`. Where `tail` tells as much as the beginning (a path, a URL), the middle gives
    way."""

    text: str
    tone: str = ""
    searched: bool = True
    tail: bool = False


@dataclass(frozen=True)
class Row:
    """`key` is unique in its table. `more` is searched by the filter beside what the cells show."""

    key: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    more: str = ""

    @property
    def words(self) -> str:
        return " ".join((*(cell.text for cell in self.cells.values() if cell.searched), self.more)).lower()


def fitting(columns: Sequence[Column], width: int, needed: Mapping[str, int] | None = None) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells, with their widths, in their order. `needed` is how wide their cells are."""
    kept = list(columns)
    while len(kept) > 1 and sum(column.width + _GAP for column in kept) - _GAP > width:
        droppable = [column for column in kept if column.rank]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda column: column.rank))
    left = max(0, width - (sum(column.width + _GAP for column in kept) - _GAP))
    widths = {column.key: column.width for column in kept}
    lacking = {column.key: max(0, (needed or {}).get(column.key, 0) - column.width) for column in kept}
    for column in sorted(kept, key=lambda column: (not column.stretch, lacking[column.key])):
        extra = min(left, lacking[column.key])
        widths[column.key] += extra
        left -= extra
    stretching = [column for column in kept if column.stretch]
    for place, column in enumerate(stretching):
        widths[column.key] += left // len(stretching) + (place < left % len(stretching))
    return [(column, widths[column.key]) for column in kept]


def _needed(columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, int]:
    found = {column.key: column.width for column in columns}
    for row in rows[:_MEASURED]:
        for key, cell in row.cells.items():
            if len(cell.text) > found.get(key, _WIDEST):
                found[key] = min(_WIDEST, cell_len(text.line(cell.text[:_WIDEST])))
    return found


class Rows(ScrollView, can_focus=True):
    """Posts `Moved` when the cursor comes to another row and `Chosen` on Enter or a second click."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--header",
        "rows--cursor",
        "rows--cursor-blurred",
        "rows--good",
        "rows--warn",
        "rows--bad",
        "rows--dim",
        "rows--strong",
    }
    DEFAULT_CSS = """
    Rows { background: transparent; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; height: 1fr; }
    Rows > .rows--header { color: $foreground; text-style: bold underline; }
    Rows > .rows--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
        text-style: $block-cursor-text-style;
    }
    Rows > .rows--cursor-blurred { text-style: underline; }
    Rows > .rows--good { color: $text-success; }
    Rows > .rows--warn { color: $text-warning; text-style: bold; }
    Rows > .rows--bad { color: $text-error; text-style: bold; }
    Rows > .rows--dim { text-style: dim; }
    Rows > .rows--strong { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "down", "Down", show=False, id="rows.down", tooltip="Next row"),
        Binding("up,k", "up", "Up", show=False, id="rows.up", tooltip="Row before"),
        Binding("g,home", "first", "First row", show=False, id="rows.first", tooltip="First row"),
        Binding("G,end", "last", "Last row", show=False, id="rows.last", tooltip="Last row"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="rows.page-down", tooltip="One page on"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="rows.page-up", tooltip="One page back"),
        Binding("enter", "choose", "Open", show=False, id="rows.choose", tooltip="Open the row under the cursor"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor stands on another row; `key` is "" where there is none."""

        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            return self.rows

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Rows.Moved) and message.rows is self.rows

    class Chosen(Message):
        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            return self.rows

    class HeaderClicked(Message):
        """`key` is the column's."""

        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            return self.rows

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        reading: str = "Reading…",
        header: bool = True,
        id: str | None = None,  # noqa: A002 - as all widgets call it
        classes: str | None = None,
    ) -> None:
        """`reading` is said until `end_reading` tells what an empty list says."""
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self._header = 1 if header else 0
        self._reading = reading
        self._nothing: str | None = None
        self._so_far = ""
        self._all: tuple[Row, ...] = ()
        self._needed: Mapping[str, int] = {}
        self._shown: Sequence[Row] = ()
        self._words: list[str] = []
        self._filter = ""
        self._announced: str | None = None

    # What is shown

    @property
    def shown(self) -> Sequence[Row]:
        return self._shown

    @property
    def in_view(self) -> tuple[str, ...]:
        """The keys of the rows that are on the screen; none while it has no height."""
        top = round(self.scroll_y)
        return tuple(row.key for row in self._shown[top : top + max(0, self.size.height - self._header)])

    @property
    def total(self) -> int:
        return len(self._all)

    @property
    def current(self) -> Row | None:
        return self._shown[self.cursor] if 0 <= self.cursor < len(self._shown) else None

    @property
    def current_key(self) -> str:
        row = self.current
        return row.key if row else ""

    @property
    def needed_width(self) -> int:
        """Cells in which nothing of the rows would be cut."""
        return sum(self._needed.get(column.key, column.width) + _GAP for column in self.columns) - _GAP

    def fitting(self, width: int) -> list[tuple[Column, int]]:
        return fitting(self.columns, width, self._needed)

    @property
    def empty_says(self) -> str:
        """What stands here while there are no rows."""
        return self._reading if self._nothing is None else self._nothing

    def end_reading(self, nothing: str) -> None:
        """What there is has been read, or could not be: without rows, `nothing` stands here from now on."""
        if nothing != self._nothing:
            self._nothing = nothing
            self._say_again()

    def begin_reading(self, words: str) -> None:
        """Something else is being read: what was said of the reading before does not hold any more."""
        if self._nothing is not None or words != self._reading:
            self._reading, self._nothing = words, None
            self._say_again()

    def _say_again(self) -> None:
        if not self._shown:
            self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        if tuple(columns) != self.columns:
            self.columns = tuple(columns)
            self._needed = _needed(self.columns, self._all)
            self.refresh()

    def set_so_far(self, why: str) -> None:
        """Why a filter that finds nothing may find something later, or elsewhere; "" where all there is was searched."""
        if why != self._so_far:
            self._so_far = why
            self.refresh()

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Replace all rows; the cursor stays on the row of the same key, else at its place."""
        replacing = tuple(rows)
        if replacing == self._all:
            return
        before, self._all = self._all, replacing
        if (needed := _needed(self.columns, replacing)) != self._needed:
            self._needed = needed
            self.refresh()
        if not self._filter and [row.key for row in before] == [row.key for row in replacing]:
            self._put_in_place(before)
            return
        self._words = []
        self._refill()
        if len(self._words) < len(self._all) > _WORDS_AT_ONCE:
            self._learn_ahead()

    def _put_in_place(self, before: Sequence[Row]) -> None:
        """The same rows in the same order: only the lines that say something else are drawn again."""
        self._shown = self._all
        self._words = []
        top = round(self.scroll_y)
        for index in range(top, min(len(self._all), top + self.size.height)):
            if self._all[index] is not before[index] and self._all[index] != before[index]:
                self.refresh_line(index + self._header)
        if len(self._words) < len(self._all) > _WORDS_AT_ONCE:
            self._learn_ahead()

    def set_filter(self, words: str) -> None:
        """Show only rows that contain every one of the words, whatever their case."""
        if words != self._filter:
            self._filter = words
            self._refill()
            # Said at once, not when this widget is idle: so the rows come in the same frame as the letter that was typed.
            self.screen.post_message(messages.Update(self))

    def _learn_words(self, upto: int) -> None:
        """What the filter searches, of the first `upto` rows."""
        self._words.extend(row.words for row in self._all[len(self._words) : upto])

    def _learn_ahead(self) -> None:
        """Between key presses, a piece at a time: so the first letter of a filter does not wait for all of them."""
        self._learn_words(len(self._words) + _WORDS_AT_ONCE)
        if len(self._words) < len(self._all):
            self.set_timer(0.01, self._learn_ahead)
        elif len(self._all) >= _WORTH_SETTLING:
            settle()  # looking through them would hold up a key for several frames

    def _refill(self) -> None:
        key = self.current_key
        wanted = self._filter.lower().split()
        if wanted:
            self._learn_words(len(self._all))
            pairs = list(zip(self._all, self._words, strict=True))
            for word in wanted:
                pairs = [pair for pair in pairs if word in pair[1]]
            self._shown = [row for row, _ in pairs]
        else:
            self._shown = self._all
        place = self.cursor
        if key and self.current_key != key:
            place = next((index for index, row in enumerate(self._shown) if row.key == key), place)
        self._grow(Size(self.size.width, len(self._shown) + self._header))
        self.set_reactive(Rows.cursor, max(0, min(place, len(self._shown) - 1)))
        self._bring_into_view()
        self.refresh()
        self._announce()

    def _grow(self, size: Size) -> None:
        """As setting `virtual_size`, but without laying the whole screen out again: only the scrollbar has to know."""
        if size != self.virtual_size:
            self.set_reactive(Rows.virtual_size, size)
            self._scroll_update(size)

    # The cursor

    def move_to(self, key: str) -> bool:
        for index, row in enumerate(self._shown):
            if row.key == key:
                self.cursor = index
                return True
        return False

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._shown) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh_line(old + self._header)
        self.refresh_line(new + self._header)
        self._bring_into_view()
        self._announce()

    def _announce(self) -> None:
        if self.current_key != self._announced:
            self._announced = self.current_key
            self.post_message(self.Moved(self, self.current_key))

    def _bring_into_view(self) -> None:
        height = self.size.height - self._header
        if height <= 0:
            return
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def on_resize(self) -> None:
        self._grow(Size(self.size.width, len(self._shown) + self._header))
        self._bring_into_view()
        self.refresh()

    def action_down(self) -> None:
        self.cursor += 1

    def action_up(self) -> None:
        self.cursor -= 1

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self._shown) - 1

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self.size.height - self._header - 1)

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current_key))

    def on_click(self, event: events.Click) -> None:
        index = event.y - self._header + round(self.scroll_y)
        if event.y < self._header:
            if column := self._column_at(event.x):
                self.post_message(self.HeaderClicked(self, column.key))
            return
        if index >= len(self._shown):
            return
        if index == self.cursor and event.chain > 1:
            self.action_choose()
        self.cursor = index

    def _column_at(self, x: int) -> Column | None:
        for column, size in self.fitting(self.scrollable_content_region.width):
            if x < size:
                return column
            x -= size + _GAP
        return None

    # Drawing

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        columns = self.fitting(width)
        if y < self._header:
            header = base + self.get_component_rich_style("rows--header", partial=True)
            return _line(((column, size, column.title, header) for column, size in columns), width, header, header)
        index = y - self._header + round(self.scroll_y)
        if index >= len(self._shown):
            said = self._empty_lines(width) if not self._shown else ()
            if index < len(said):
                return Strip([Segment(set_cell_size(said[index], width), base + self._tone("dim"))], width)
            return Strip.blank(width, base)
        row = self._shown[index]
        cursor = None
        if index == self.cursor:
            name = "rows--cursor" if self.has_focus else "rows--cursor-blurred"
            cursor = self.get_component_rich_style(name, partial=True)
        parts = []
        for column, size in columns:
            cell = row.cells.get(column.key)
            style = base
            if cell is not None and cell.tone and (cursor is None or not self.has_focus):
                style = base + self._tone(cell.tone)
            words = cell.text if cell else ""
            if cell is not None and cell.tail:
                words = middle_cut(words, size)
            parts.append((column, size, words, style + cursor if cursor else style))
        gap = base + cursor if cursor else base
        return _line(parts, width, gap, gap)

    def _empty_lines(self, width: int) -> Sequence[str]:
        words = self.empty_says
        if self._filter and self._all:
            why = self._so_far or ("" if self._nothing is not None else "not all is read yet")
            words = f"Nothing matches “{text.line(self._filter)}”{f' so far: {why}' if why else ''}."
        return [line.plain for line in Content(text.line(words)).wrap(max(1, width))]

    def _tone(self, tone: str) -> Style:
        return self.get_component_rich_style(f"rows--{tone}", partial=True)

    def refresh_line(self, y: int) -> None:
        self.refresh(Region(0, y - round(self.scroll_y), self.size.width, 1))


def _line(parts: Iterable[tuple[Column, int, str, Style]], width: int, gap: Style, rest: Style) -> Strip:
    segments: list[Segment] = []
    used = 0
    for column, size, words, style in parts:
        if segments:
            segments.append(Segment(" " * _GAP, gap))
            used += _GAP
        size = min(size, width - used)
        if size <= 0:
            break
        segments.append(Segment(clipped(words, size, right=column.right), style))
        used += size
    if used < width:
        segments.append(Segment(" " * (width - used), rest))
    return Strip(segments, max(used, width))


def middle_cut(words: str, width: int) -> str:
    """Beginning and end of `words`, in `width` cells."""
    words = text.line(words)
    if cell_len(words) <= width or width < 8:
        return words
    front = width // 3
    return f"{words[:front]}…{words[-(width - front - 1) :]}"


def clipped(words: str, width: int, *, right: bool = False) -> str:
    """`words`, harmless, in exactly `width` cells; what does not fit ends in an ellipsis."""
    words = text.line(words[: width * 4 + 8])
    length = cell_len(words)
    if length > width:
        return set_cell_size(words, width - 1) + "…" if width > 0 else ""
    return " " * (width - length) + words if right else words + " " * (width - length)
