"""What stands in the rows of a log: a sign for trouble, one time, the task, and the text without the time that it repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from infraconsole import text
from infraconsole.aws.logs import LogLine
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, MARKS, PLAIN, WARN

_SHOWN = 2_000
"""Characters of a line in its row; the filter searches all of it."""
_STAMP = re.compile(
    r"^\s*\[?(?P<at>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?\]?[\s:]*"
)
_SAME = timedelta(seconds=5)
"""Between writing a line and CloudWatch's stamp, at most."""
_ZONES = timedelta(minutes=15)
"""Time zones lie whole quarters of an hour apart."""
_FAILURE = re.compile(r"\b(?:ERROR|FATAL|CRITICAL|SEVERE|PANIC)\b|EXCEPTION|TRACEBACK")
_WARNING = re.compile(r"\bWARN(?:ING)?\b")


BEFORE_MESSAGE = 20
"""Cells of a row before the message, where all lines are of one day."""


def columns(several_days: bool) -> tuple[Column, ...]:
    return (
        Column("mark", "", 1),
        Column("at", "at", 15 if several_days else 8),
        Column("task", "task", 8, rank=1),
        Column("message", "message", 20, stretch=True),
    )


def of_several_days(lines: Iterable[LogLine], now: datetime) -> bool:
    today = text.here(now).date()
    return any(text.here(line.at).date() != today for line in lines)


def keyed(lines: Iterable[LogLine]) -> dict[str, LogLine]:
    """Each line under a key that it keeps when older lines fall away: AWS's id, else what it says and how often it did before."""
    found: dict[str, LogLine] = {}
    times: Counter[int] = Counter()
    for line in lines:
        if line.id:
            found[f"{line.id} {line.stream} {line.at.timestamp()}"] = line
            continue
        same = hash((line.at, line.stream, line.message))
        times[same] += 1
        found[f"{same}#{times[same]}"] = line
    return found


def rows(lines: Mapping[str, LogLine], several_days: bool) -> Iterable[Row]:
    for key, line in lines.items():
        tone = tone_of(line.message)
        words = without_stamp(line.message, line.at)
        at = f"{text.here(line.at):{'%d %b %H:%M:%S' if several_days else '%H:%M:%S'}}"
        yield Row(
            key,
            {
                "mark": Cell(MARKS[tone], tone),
                # Not searched: 33 is a number in the text, not the minute in which every line was written.
                "at": Cell(at, DIM, searched=False),
                "task": Cell(line.stream.rsplit("/", 1)[-1][-8:], DIM),
                "message": Cell(words[:_SHOWN], tone, searched=False),
            },
            more=words,
        )


def tone_of(message: str) -> str:
    head = message[:200].upper()
    return BAD if _FAILURE.search(head) else WARN if _WARNING.search(head) else PLAIN


def without_stamp(message: str, at: datetime) -> str:
    """`message` without the time at its beginning where that is the one beside it; another time is told by the same clock."""
    found = _STAMP.match(message)
    rest = message[found.end() :] if found else ""
    if found is None or not rest:
        return message
    stamp = text.moment(f"{found['at'].replace(',', '.')}{found['zone'] or ''}")
    if stamp is None:
        return message
    if not found["zone"]:
        apart = abs(stamp - at) % _ZONES
        return rest if min(apart, _ZONES - apart) <= _SAME else message
    return rest if abs(stamp - at) <= _SAME else f"[{text.here(stamp):%H:%M:%S}] {rest}"
