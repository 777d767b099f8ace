"""When the board's rows may move, and the cursor by itself: never under a person who is about to press a key.

Until the first key the cursor is on the worst row. From then on it stays on its row, and for a while after each key all rows stay
where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from infraconsole import clock
from infraconsole.screens.board.order import kept

_HELD_SECONDS = 3.0
"""So long after a key no row changes its place: somebody reads."""
_HELD_WHILE_READING_SECONDS = 30.0
"""The same while rows are being read for the first time, when most of them would move."""
_JUMPED_SECONDS = 0.6
"""So long after the cursor went to another row by itself, what changes something is not begun: it was meant for the row before."""
_SEEN_SECONDS = 1.0
"""So long a row has to be under the cursor to be what somebody has seen there."""


class Still:
    def __init__(self) -> None:
        self.touched = False
        """Whether somebody has pressed a key, or used the mouse."""
        self.key_at = float("-inf")
        self.came_at = float("-inf")
        """When the cursor came to its row."""
        self._key = ""
        self._jumped_at = float("-inf")
        self._places: list[str] = []

    def touch(self) -> None:
        self.touched = True
        self.key_at = clock.seconds()

    def arranged(self, wanted: Sequence[str], *, reading: bool) -> list[str]:
        """The rows as they stand now; `wanted` is how they should, `reading` whether some have never been read whole."""
        since = clock.seconds() - self.key_at
        is_held = since < _HELD_SECONDS or (reading and since < _HELD_WHILE_READING_SECONDS)
        self._places = kept(self._places, wanted) if self._places and is_held else list(wanted)
        return self._places

    def let_go(self) -> None:
        """The next order counts at once: somebody has asked for it."""
        self.touched = True
        self._places = []

    def put(self, key: str) -> None:
        """The console itself has put the cursor on this row."""
        if key != self._key:
            now = clock.seconds()
            if self._key and now - self.came_at >= _SEEN_SECONDS:
                self._jumped_at = now
            self._key, self.came_at = key, now

    def moved(self, key: str) -> None:
        """The cursor is on this row, whoever has put it there."""
        if key != self._key:
            if self._key:
                self.touch()
            self._key, self.came_at = key, clock.seconds()

    def rests(self, key: str, seconds: float) -> bool:
        return key == self._key and clock.seconds() - self.came_at >= seconds

    def just_jumped(self) -> bool:
        """Whether the cursor went to its row by itself when a key was on its way. Asked once: the next key is for this row."""
        jumped, self._jumped_at = clock.seconds() - self._jumped_at < _JUMPED_SECONDS, float("-inf")
        return jumped
