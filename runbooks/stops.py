"""The tasks of a rollout that stopped: each reason once, with how often it was given, and when they are a verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infraconsole.aws.ecs import Task
from infraconsole.checks.stopped import ON_START, cannot_heal, lasted

ENOUGH = 3
"""So many tasks that stopped for one reason that cannot heal are a verdict."""
_NAMES = re.compile(
    r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b|(?<=task )[0-9a-f]{8,}|(?<=/)[0-9a-f]{17,}|\bi-[0-9a-f]+"
)
"""What differs between two tasks that stopped for one reason."""


def counted(words: Iterable[str]) -> list[str]:
    """Each once, in the order of its first, with how often it came: `3 × CannotPullContainerError: …`."""
    listed = list(words)
    first: dict[str, str] = {}
    for each in listed:
        first.setdefault(plain(each), each)
    counts = Counter(plain(each) for each in listed)
    return [f"{counts[key]} × {each}" if counts[key] > 1 else each for key, each in first.items()]


def plain(words: str) -> str:
    """`words` without what tells two tasks apart."""
    return _NAMES.sub("…", words)


@dataclass
class Stops:
    """The stopped tasks of one revision since `began`, by AWS's time."""

    definition: str
    began: datetime | None = None
    _seen: dict[str, Task] = field(default_factory=dict)
    _past: set[str] = field(default_factory=set)

    def forget(self) -> None:
        """What was seen so far counts no more: somebody wants to see whether it goes on."""
        self._past |= set(self._seen)

    def add(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            is_new = self.began is None or task.stopped_at is None or task.stopped_at >= self.began
            if task.task_definition == self.definition and task.last_status == "STOPPED" and is_new:
                self._seen[task.arn] = task

    def verdict(self, running: Sequence[Task], as_of: datetime | None = None) -> str:
        """Why it will never run, once enough tasks have said so, also after a restart; "" before that, and while a task runs that
        shows that it can. `as_of`: the time now, as far as it is known."""
        alive = [each.started_at for each in running if each.task_definition == self.definition and each.started_at]
        stops = [each.stopped_at for each in self._seen.values() if each.stopped_at]
        now = max([*alive, *stops, *filter(None, (as_of,))], default=None)
        ran = max((now - each for each in alive), default=None) if now else None
        if ran is not None and ran > ON_START:
            return ""
        # The first tasks may have come before what they need. What ran since then is how the revision is by now.
        proven = max(
            (start for each in self._seen.values() if lasted(each) > ON_START and (start := _start(each))), default=None
        )
        found: dict[str, list[Task]] = {}
        for task in self._seen.values():
            is_newer = proven is None or ((start := _start(task)) is not None and start > proven)
            if task.arn not in self._past and is_newer and (why := cannot_heal(task)):
                found.setdefault(why, []).append(task)
        for why, tasks in found.items():
            if len(tasks) >= ENOUGH and _was_restarted(tasks) and not _is_outlived(tasks, ran):
                return f"{why}: {len(tasks)} tasks stopped for it"
        return ""


def _start(task: Task) -> datetime | None:
    return task.created_at or task.started_at or task.stopped_at


def _was_restarted(tasks: Sequence[Task]) -> bool:
    """Whether one was made after another had stopped: many tasks of one round are one try."""
    first = min((each.stopped_at for each in tasks if each.stopped_at), default=None)
    return first is not None and any(start > first for each in tasks if (start := _start(each)))


def _is_outlived(tasks: Sequence[Task], ran: timedelta | None) -> bool:
    """Whether a task runs for longer than any of these did; one that never started is outlived by any that did."""
    longest = max(map(lasted, tasks))
    return ran is not None and (not longest or ran > longest)
