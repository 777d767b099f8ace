"""Judgements, remembered: hundreds of rows are drawn every second, and few of them have changed since."""

from __future__ import annotations

from datetime import datetime, timedelta

from infraconsole.checks.judgement import Judgement, judge
from infraconsole.checks.row_facts import BoardRow

_HOLDS = timedelta(seconds=10)
"""The same facts are judged again so often: a day that has passed, a deployment that takes too long, an age in a sentence."""


class Judged:
    """As `judge`, for rows of which each is asked for again and again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], datetime, Judgement]] = {}

    def of(self, row: BoardRow, now: datetime) -> Judgement:
        # The objects themselves, not their names in memory: these are used again for others.
        facts = tuple(part for _, fact in row.all_facts for part in (fact.value, fact.error))
        known = self._known.get(row.key)
        if known is not None and now - known[1] < _HOLDS and all(map(_is, known[0], facts)):
            return known[2]
        found = judge(row, now)
        # At different times, so that no frame has to judge all of them again.
        at = now - _HOLDS * (hash(row.key) % 100 / 200) if known is None else now
        self._known[row.key] = (facts, at, found)
        return found


def _is(one: object, other: object) -> bool:
    return one is other
