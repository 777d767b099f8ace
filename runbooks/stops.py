"""Why the tasks of a rollout stopped: which reasons never heal by themselves, and each reason once, with how often it was given.

ECS's words are from the Amazon ECS Developer Guide (Stopped tasks error messages, CannotPullContainer task errors).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infraconsole.aws.ecs import Task

ENOUGH = 3
"""So many tasks that stopped for one reason that cannot heal are a verdict."""
_ON_START = timedelta(minutes=2)
"""A container that exits so soon after its task started has exited on start."""
_NO_SUCH_IMAGE = re.compile(
    r"CannotPull(?:Container|Image|ImageManifest)\w*Error.*?(?:not found|manifest unknown|does not exist|no such|"
    r"pull access denied|invalid reference format)",
    re.IGNORECASE | re.DOTALL,
)
_NO_SUCH_SECRET = re.compile(
    r"ResourceInitializationError.*?(?:ResourceNotFoundException|can't find the specified secret|invalid ssm parameters|"
    r"ParameterNotFound|did not contain json key|AccessDenied)",
    re.IGNORECASE | re.DOTALL,
)
_NAMES = re.compile(
    r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b|(?<=task )[0-9a-f]{8,}|(?<=/)[0-9a-f]{17,}|\bi-[0-9a-f]+"
)
"""What differs between two tasks that stopped for one reason."""


def why_stopped(task: Task) -> str:
    exits = [
        f"{container.name} exited with {container.exit_code}"
        if container.exit_code is not None
        else f"{container.name}: {container.reason}"
        for container in task.containers
        if container.exit_code or container.reason
    ]
    return "; ".join(part for part in (task.stopped_reason, *exits) if part) or "no reason was given"


def cannot_heal(task: Task) -> str:
    """What is wrong, where the next task would stop for the same reason; "" where it may heal, or nobody can tell."""
    words = why_stopped(task)
    if _NO_SUCH_IMAGE.search(words):
        return "its image cannot be pulled"
    if _NO_SUCH_SECRET.search(words):
        return "a secret or parameter that it names cannot be read"
    exited = [container.name for container in task.containers if container.exit_code is not None]
    if task.stop_code == "EssentialContainerExited" and exited and _lasted(task) <= _ON_START:
        return f"{', '.join(exited)} exits right after it has started"
    return ""


def _lasted(task: Task) -> timedelta:
    if task.started_at is None or task.stopped_at is None:
        return timedelta()
    return task.stopped_at - task.started_at


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

    def verdict(self, running: Sequence[Task]) -> str:
        """Why it will never run, once enough tasks have said so; "" before that, and where a task outlived those that stopped."""
        found: dict[str, list[Task]] = {}
        for task in self._seen.values():
            if task.arn not in self._past and (why := cannot_heal(task)):
                found.setdefault(why, []).append(task)
        for why, tasks in found.items():
            started = [task.started_at for task in tasks if task.started_at]
            alive = [each.started_at for each in running if each.task_definition == self.definition and each.started_at]
            outlived = bool(started and alive) and min(alive) <= min(started)
            if len(tasks) >= ENOUGH and not outlived:
                return f"{why}: {len(tasks)} tasks stopped for it"
        return ""
