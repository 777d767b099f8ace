"""Judgements, remembered: hundreds of rows are drawn every second, and few of them have changed since."""

from __future__ import annotations

from datetime import datetime, timedelta

from infraconsole.checks.judgement import Judgement, judge
from infraconsole.checks.row_facts import BoardRow

_HOLDS = timedelta(seconds=10)
"""The same facts are judged again so often: a day that has passed, a deployment that takes too long, an age in a sentence."""

_HOLDS_SEEN = timedelta(seconds=1)


class Judged:
    """As `judge`, for rows of which each is asked for again and again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[BoardRow, datetime, Judgement]] = {}

    def of(self, row: BoardRow, now: datetime, *, is_seen: bool = False) -> Judgement:
        """The same object as before while there is nothing new to judge. One that `is_seen` tells ages as its row does."""
        known = self._known.get(row.key)
        holds = _HOLDS_SEEN if is_seen else _HOLDS
        if known is not None and now - known[1] < holds and (known[0] is row or _tell_the_same(known[0], row)):
            return known[2]
        found = judge(row, now)
        # At different times, so that no frame has to judge all of them again.
        at = now - _HOLDS * (hash(row.key) % 100 / 200) if known is None else now
        self._known[row.key] = (row, at, found)
        return found


def _tell_the_same(one: BoardRow, other: BoardRow) -> bool:
    """Whether nothing was read but what was known already."""
    pairs = zip(one.all_facts, other.all_facts, strict=True)
    return all(a.value is b.value and a.error is b.error for (_, a), (_, b) in pairs)
