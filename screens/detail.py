"""A text in full, over the screen it belongs to: an error with AWS's own words, a diff, a log line, a sentence to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from infraconsole import clock
from infraconsole.screens.copying import PLAIN_KEY
from infraconsole.screens.places import Copied, ShowPlainly
from infraconsole.screens.settling import Dialog
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import DIM, STRONG, lines, said

_LOOK_SECONDS = 0.5
_SHOWN_CHARACTERS = 100_000
"""More would be laid out for seconds; `y` copies all of it."""
_LOOKS_SHARE = 50
"""So much longer than a look takes is the pause after it: what AWS says may be long."""


class DetailScreen(Dialog[None]):
    """Scrolls with the arrows, j/k and g/G; `y` copies the whole text. What is still being read when it opens appears in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,d", "close", "Close", id="detail.close", tooltip="Back to the screen"),
        Binding("y", "copy", "Copy", id="detail.copy", tooltip="Copy the whole text"),
        Binding(PLAIN_KEY, "plain", "Plain text", id="detail.plain", show=False,
                tooltip="Show it without anything around it, to select it with the mouse"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="detail.down", tooltip="One line on"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="detail.up", tooltip="One line back"),
        Binding("g,home", "top", "Top", show=False, id="detail.top", tooltip="To the beginning"),
        Binding("G,end", "bottom", "Bottom", show=False, id="detail.bottom", tooltip="To the end"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False, id="detail.page-down", tooltip="Further on"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="detail.page-up", tooltip="Further back"),
    ]  # fmt: skip

    def __init__(self, title: str, tell: Callable[[], Content]) -> None:
        super().__init__()
        self._title = title
        self._tell = tell
        self._told = Content()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Static(said((self._title, STRONG)), classes="dialog-title")
            with VerticalScroll(id="detail-body"):
                yield Says(hangs=True, id="detail-text")
            yield Static(said((f"Esc closes, y copies, {PLAIN_KEY} shows it as plain text to select.", DIM)))

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#detail-body"))
        self._draw()

    def _draw(self) -> None:
        if self.is_leaving:
            return
        began = clock.seconds()
        self._told = self._tell()
        self.query_one("#detail-text", Says).say(_cut(self._told))
        self.set_timer(max(_LOOK_SECONDS, _LOOKS_SHARE * (clock.seconds() - began)), self._draw)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._told.plain)
        self.post_message(Copied(self._title))

    def action_plain(self) -> None:
        self.post_message(ShowPlainly(self._title, self._told.plain))

    def action_scroll(self, lines: int) -> None:
        body = self.query_one("#detail-body")
        body.scroll_to(y=body.scroll_y + lines, animate=False)

    def action_top(self) -> None:
        self.query_one("#detail-body").scroll_home(animate=False)

    def action_bottom(self) -> None:
        self.query_one("#detail-body").scroll_end(animate=False)


def _cut(told: Content) -> Content:
    more = len(told) - _SHOWN_CHARACTERS
    return told if more <= 0 else lines([told[:_SHOWN_CHARACTERS], f"… {more:,} more characters; y copies all."])
