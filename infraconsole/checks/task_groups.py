"""The tasks of a service as a person looks at them: each one that runs, and those that stopped by their reasons, with a count.

Pure; nothing is asked. Forty tasks that stopped for one reason are one fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infraconsole.aws.ecs import Task
from infraconsole.checks.ecs_words import stop_words
from infraconsole.checks.stopped import has_failed

KEPT = timedelta(hours=1)
"""For so long ECS shows stopped tasks, at least."""


@dataclass(frozen=True)
class TaskGroup:
    """One task that has not stopped, or all that stopped for one reason on one revision, newest first. `key` stays the same when
    more tasks join. `why` is the reason in short, "" of a task that has not stopped."""

    key: str
    tasks: tuple[Task, ...]
    why: str = ""
    failed: bool = False

    @property
    def newest(self) -> Task:
        return self.tasks[0]

    @property
    def at(self) -> datetime | None:
        """When the newest of them stopped, began, or was asked for."""
        return since(self.newest)


def since(task: Task) -> datetime | None:
    return task.stopped_at or task.started_at or task.created_at


def has_stopped(task: Task) -> bool:
    """Or is about to: its reason is known by then."""
    return task.desired_status == "STOPPED" or task.last_status == "STOPPED"


def grouped(tasks: Iterable[Task]) -> tuple[TaskGroup, ...]:
    """What failed first, then what runs or starts, then what stopped because it had to; the newest first in each."""
    newest = sorted(tasks, key=_newest, reverse=True)
    alive = [TaskGroup(task.arn, (task,)) for task in newest if not has_stopped(task)]
    stopped: dict[tuple[str, str, bool], list[Task]] = {}
    for task in filter(has_stopped, newest):
        stopped.setdefault((task.task_definition, stop_words(task), has_failed(task)), []).append(task)
    groups = [
        TaskGroup(f"stopped {definition} {failed} {why}", tuple(members), why, failed)
        for (definition, why, failed), members in stopped.items()
    ]
    return (*(each for each in groups if each.failed), *alive, *(each for each in groups if not each.failed))


def _newest(task: Task) -> float:
    at = since(task)
    return at.timestamp() if at else 0.0


def never_started(tasks: Sequence[Task], began: datetime | None, now: datetime) -> str:
    """Why there is nothing to read of these tasks, as a sentence, where none of them got as far as starting; else "". `began`: when
    the deployment that brought them did. ECS keeps stopped tasks for about an hour: of earlier ones nothing is known."""
    if not tasks or any(task.started_at for task in tasks):
        return ""
    stopped = [group for group in grouped(tasks) if has_stopped(group.newest)]
    waiting = len(tasks) - sum(len(group.tasks) for group in stopped)
    if not stopped:
        return f"No task has started yet: {waiting} {'is' if waiting == 1 else 'are'} on the way."
    ever = "ever started" if began is not None and now - began < KEPT else "started within the last hour"
    more = f", {waiting} more on the way" if waiting else ""
    return f"No task {ever}: {'; '.join(_counted(group) for group in stopped)}{more}."


def _counted(group: TaskGroup) -> str:
    return f"{len(group.tasks)} × {group.why}" if len(group.tasks) > 1 else group.why
