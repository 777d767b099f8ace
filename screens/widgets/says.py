"""A text that is laid out again only when it says something else: what is drawn every second has mostly not changed."""

from __future__ import annotations

import re

from textual import events
from textual.content import Content
from textual.widgets import Static

_DIGIT = re.compile(r"\d")
_HEAD = re.compile(r"\s*(?:[^\w\s(“\"]{1,3} +)?(?:\S(?:\S| (?! )){0,22} {2,})?")
"""What a line begins with: blanks, a sign, and a name with two blanks behind it."""


def hung(content: Content, width: int) -> Content:
    """`content` wrapped at words; what follows of a line stands under its text, not under its sign or its name."""
    shown: list[Content] = []
    for line in content.split("\n"):
        found = _HEAD.match(line.plain)
        indent = found.end() if found else 0
        if line.cell_length <= width or not 0 < indent <= width // 2:
            shown.append(line)
            continue
        first, *rest = line[indent:].wrap(width - indent) or [line[indent:]]
        shown += [Content.assemble(line[:indent], first), *(piece.pad_left(indent) for piece in rest)]
    return Content("\n").join(shown)


class Says(Static):
    """`say` costs nothing for the same text, and no layout where only figures have changed (an age that moves on)."""

    _said: Content = Content()
    _hung_for = 0

    def __init__(self, content: Content | str = "", *, hangs: bool = False, id: str | None = None) -> None:  # noqa: A002
        """`hangs`: lines that are wrapped go on under their text, as `hung` has it."""
        super().__init__(content, id=id)
        self._hangs = hangs
        if isinstance(content, Content):
            self._said = content

    def say(self, content: Content) -> None:
        before = self._said
        if content.is_same(before):
            return
        self._said = content
        same_shape = _DIGIT.sub("0", content.plain) == _DIGIT.sub("0", before.plain)
        self.update(self._shown(content), layout=not same_shape)

    def _shown(self, content: Content) -> Content:
        return hung(content, self._hung_for) if self._hangs and self._hung_for else content

    def on_resize(self, event: events.Resize) -> None:
        if self._hangs and self.content_size.width != self._hung_for:
            self._hung_for = self.content_size.width
            self.update(self._shown(self._said))
