"""CloudWatch Logs: the newest lines of a group. AWS gives them oldest first, so time is walked backwards in windows."""

from __future__ import annotations

from collections import deque
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
    """An event of a log stream. `message` is as it was logged: make it harmless before it is shown."""

    at: datetime
    stream: str
    message: str


class Logs:
    """Reads of one region's log groups. Every method raises AwsError. `now` is the clock, for tests."""

    def __init__(self, access: AwsAccess, *, now: Callable[[], datetime] = clock.now) -> None:
        self.access = access
        self.now = now

    def lines(
        self, group: str, *, since: datetime, limit: int, stream_prefix: str | None = None, pattern: str | None = None
    ) -> tuple[LogLine, ...]:
        """The newest `limit` lines since then, oldest first. `pattern` is CloudWatch's filter syntax; see `literal`."""
        found: list[LogLine] = []
        for start, end in _windows(since, self.now()):
            if len(found) >= limit:
                break
            newest: deque[LogLine] = deque(maxlen=limit - len(found))
            newest.extend(self._between(group, start, end, stream_prefix, pattern))
            found = [*newest, *found]
        return tuple(sorted(found, key=lambda line: line.at))

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
                yield LogLine(at, stream, str(raw.get("message") or ""))


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
