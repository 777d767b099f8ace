"""CloudWatch Logs: the newest lines of a group. AWS gives them oldest first, so time is walked backwards in windows."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infraconsole import clock
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment

# The windows that are looked through, newest first; each further one is four times as long as the one before.
FIRST_WINDOW = timedelta(minutes=5)
WINDOW_GROWTH = 4


@dataclass(frozen=True)
class LogLine:
    """An event of a log stream. `message` is as it was logged: make it harmless before it is shown. `id` is AWS's `eventId`, ""
    where none was given."""

    at: datetime
    stream: str
    message: str
    id: str = ""


class Logs:
    """Reads of one region's log groups. Every method raises AwsError. `now` is the clock, for tests."""

    def __init__(self, access: AwsAccess, *, now: Callable[[], datetime] = clock.now) -> None:
        self.access = access
        self.now = now

    def lines(
        self, group: str, *, since: datetime, limit: int, stream_prefix: str | None = None, pattern: str | None = None
    ) -> tuple[LogLine, ...]:
        """The newest `limit` lines since then, oldest first, each event once: AWS may give one on two pages. `pattern` is
        CloudWatch's filter syntax; see `literal`."""
        newest = _Newest(limit)
        for start, end in _windows(since, self.now()):
            for line in self._between(group, start, end, stream_prefix, pattern):
                newest.add(line)
            if newest.is_full:
                break
        return newest.lines()

    def _between(
        self, group: str, start: datetime, end: datetime | None, stream_prefix: str | None, pattern: str | None
    ) -> Iterator[LogLine]:
        asked: dict[str, Any] = {"logGroupName": group, "startTime": _milliseconds(start)}
        if end is not None:
            asked["endTime"] = _milliseconds(end) - 1  # AWS counts its end in
        if stream_prefix:
            asked["logStreamNamePrefix"] = stream_prefix
        if pattern:
            asked["filterPattern"] = pattern
        for raw in self.access.pages("logs", "FilterLogEvents", "events", **asked):
            at, stream = moment(raw.get("timestamp")), str(raw.get("logStreamName") or "")
            # The emulator takes no notice of the prefix, and another task's lines must never pass for this one's.
            if at is not None and stream.startswith(stream_prefix or ""):
                yield LogLine(at, stream, str(raw.get("message") or ""), str(raw.get("eventId") or ""))


class _Newest:
    """The newest lines among those that come, in any order. What it remembers does not grow with what it is given."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._came = 0
        self._heap: list[tuple[datetime, int, LogLine]] = []
        self._held: set[tuple[str, str, datetime]] = set()

    @property
    def is_full(self) -> bool:
        return len(self._heap) >= self._limit

    def add(self, line: LogLine) -> None:
        event = (line.id, line.stream, line.at)
        if line.id and event in self._held:
            return
        self._came += 1
        held = (line.at, self._came, line)
        if not self.is_full:
            heapq.heappush(self._heap, held)
        else:
            gone = heapq.heappushpop(self._heap, held)[2]
            if gone is line:
                return
            self._held.discard((gone.id, gone.stream, gone.at))
        self._held.add(event)

    def lines(self) -> tuple[LogLine, ...]:
        """Oldest first; those of the same time in the order they came in."""
        return tuple(line for _, _, line in sorted(self._heap))


def task_stream(container: str, task_id: str, prefix: str = "") -> str:
    """The stream of a container in a task, as the awslogs driver names it with a prefix; `ecs` is the usual one."""
    return f"{prefix or 'ecs'}/{container}/{task_id}"


def literal(text: str) -> str:
    """A filter pattern that finds exactly `text`, whatever stands in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _windows(since: datetime, now: datetime) -> Iterator[tuple[datetime, datetime | None]]:
    """(start, end) newest first, down to `since`. The newest has no end: AWS's clock may be ahead of ours."""
    end: datetime | None = None
    length = FIRST_WINDOW
    while True:
        start = max(since, (end or now) - length)
        if end is None:
            start = min(start, now)
        yield start, end
        if start <= since:
            return
        end, length = start, length * WINDOW_GROWTH


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
