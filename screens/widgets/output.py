"""Lines of output, drawn line by line: a hundred thousand are kept whole and scrolled, five thousand a second come in.

Long lines are folded to the width; of a very long one only the beginning is shown, the journal keeps it whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from infraconsole import text

_WIDEST = 4_000
"""Characters of one line that are shown."""

Line = tuple[str, str]
"""Tone and text."""
Piece = tuple[int, int, int]
"""One row on the screen: a line's index, and the part of it that stands there."""


class Output(ScrollView, can_focus=True):
    """`follow` keeps the newest line in view; moving up ends it, `f` or the end of the output begins it again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "output--good",
        "output--warn",
        "output--bad",
        "output--dim",
        "output--strong",
    }
    DEFAULT_CSS = """
    Output { background: transparent; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; height: 1fr; }
    Output > .output--good { color: $text-success; }
    Output > .output--warn { color: $text-warning; text-style: bold; }
    Output > .output--bad { color: $text-error; text-style: bold; }
    Output > .output--dim { text-style: dim; }
    Output > .output--strong { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="output.down", tooltip="One line on"),
        Binding("up,k", "move(-1)", "Up", show=False, id="output.up", tooltip="One line back"),
        Binding("g,home", "first", "First line", show=False, id="output.first", tooltip="First line"),
        Binding("G,end", "last", "Last line", show=False, id="output.last", tooltip="Last line, and follow"),
        Binding(
            "pagedown,ctrl+d,space", "page(1)", "Page down", show=False, id="output.page-down", tooltip="One page on"
        ),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="output.page-up", tooltip="One page back"),
    ]

    follow: reactive[bool] = reactive(True, repaint=False)

    class FollowChanged(Message):
        def __init__(self, follow: bool) -> None:
            super().__init__()
            self.follow = follow

    def __init__(self, *, reading: str = "Reading…", id: str | None = None) -> None:  # noqa: A002
        """`reading` is said until `end_reading` tells what an empty output says."""
        super().__init__(id=id)
        self._empty = reading
        self._lines: list[Line] = []
        self._pieces: list[Piece] = []
        self._filter = ""
        self._fold = 0

    @property
    def count(self) -> int:
        return len(self._lines)

    @property
    def piece_count(self) -> int:
        """Rows on the screen that all lines together take, folded and filtered."""
        return len(self._pieces)

    @property
    def empty_says(self) -> str:
        return self._empty

    def end_reading(self, nothing: str) -> None:
        """What there was has been read: without lines, `nothing` stands here from now on."""
        if nothing != self._empty:
            self._empty = nothing
            self.refresh()

    def add(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        start = len(self._lines)
        self._lines.extend((tone, text.line(words, _WIDEST)) for tone, words in lines)
        self._fold_from(start)
        self._resized()

    def clear(self) -> None:
        self._lines.clear()
        self._pieces.clear()
        self._resized()

    def set_filter(self, words: str) -> None:
        """Show only lines that contain every one of the words, whatever their case."""
        if words != self._filter:
            self._filter = words
            self._fold_again()

    def visible_text(self, instead: Mapping[int, str] | None = None) -> str:
        """The lines in view, each whole; of those whose index `instead` has, what stands there."""
        top = round(self.scroll_y)
        indices = dict.fromkeys(piece[0] for piece in self._pieces[top : top + self.size.height])
        known = instead or {}
        return "\n".join(known.get(index, self._lines[index][1]) for index in indices)

    # Folding

    def _fold_from(self, start: int) -> None:
        wanted = self._filter.lower().split()
        fold = self._fold
        for index in range(start, len(self._lines)):
            words = self._lines[index][1]
            if wanted and not all(word in words.lower() for word in wanted):
                continue
            if not fold or (len(words) <= fold and words.isascii()):
                self._pieces.append((index, 0, len(words)))
            else:
                self._pieces.extend((index, begin, end) for begin, end in _folds(words, fold))

    def _fold_again(self) -> None:
        top = round(self.scroll_y)
        first = self._pieces[top][0] if top < len(self._pieces) else 0
        self._pieces.clear()
        self._fold_from(0)
        self._resized()
        if not self.follow:
            self._show(first)

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._pieces))
        if self.follow:
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)
        self.refresh()

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._fold:
            self._fold = width
            self._fold_again()
        else:
            self._resized()

    # Scrolling

    def watch_follow(self, follow: bool) -> None:
        if follow:
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)
        self.post_message(self.FollowChanged(follow))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y:
            self.follow = False

    def _go(self, y: float) -> None:
        if y >= self.max_scroll_y:
            self.follow = True
        self.scroll_to(y=y, animate=False, immediate=True, force=True)

    def action_move(self, lines: int) -> None:
        self._go(self.scroll_y + lines)

    def action_page(self, direction: int) -> None:
        self._go(self.scroll_y + direction * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(self.max_scroll_y)

    def show_line(self, index: int) -> None:
        """Bring line `index` to the top."""
        self.follow = False
        self._show(index)

    def _show(self, index: int) -> None:
        self.scroll_to(y=bisect_left(self._pieces, (index, 0, 0)), animate=False, force=True)

    # Drawing

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        place = y + round(self.scroll_y)
        if place >= len(self._pieces):
            says = (
                (f"Nothing matches “{text.line(self._filter)}”." if self._lines else self._empty) if place == 0 else ""
            )
            style = base + self.get_component_rich_style("output--dim", partial=True)
            return Strip([Segment(says, style)], cell_len(says)).crop_extend(0, width, base)
        index, begin, end = self._pieces[place]
        tone, words = self._lines[index]
        style = base + self.get_component_rich_style(f"output--{tone}", partial=True) if tone else base
        shown = words[begin:end]
        return Strip([Segment(shown, style)], cell_len(shown)).crop_extend(0, width, base)


def _folds(words: str, width: int) -> Iterator[tuple[int, int]]:
    """Where `words` is cut so that each piece fits into `width` cells: behind a blank, or in a word that is longer than a row."""
    begin = 0
    while begin < len(words):
        end = begin + len(chop_cells(words[begin : begin + width + 1], width)[0])
        if end < len(words) and words[end] != " ":
            blank = words.rfind(" ", begin, end)
            after = words.find(" ", end)
            word = (after if after >= 0 else len(words)) - blank - 1
            end = blank + 1 if blank > begin and word <= width else end
        while end < len(words) and words[end] == " ":
            end += 1
        yield begin, end
        begin = end
