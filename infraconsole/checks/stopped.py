"""Why a task stopped, and whether the next one would stop for the same reason. Pure; nothing is asked.

ECS's words are from the Amazon ECS Developer Guide (Stopped tasks error messages, CannotPullContainer task errors).
"""

from __future__ import annotations

import re
from datetime import timedelta

from infraconsole.aws.ecs import Task, TaskContainer

ON_START = timedelta(minutes=2)
"""A container that exits so soon after its task started has exited on start."""
_TERMINATED = 143
"""By SIGTERM, which ECS sends to the other containers once an essential one has exited."""
_KILLED = 137
"""By SIGKILL: out of memory, or still there after the SIGTERM."""
_ON_PURPOSE = frozenset(("ServiceSchedulerInitiated", "UserInitiated", "SpotInterruption", "TerminationNotice"))
"""Stop codes of tasks that had to go. Of a task that failed its health checks, it is the scheduler that stops it, too."""
_ON_THE_WAY = re.compile(
    r"dial tcp|no such host|server misbehaving|temporary failure|time(?:d )?out|deadline exceeded|"
    r"connection (?:reset|refused)|too ?many ?requests|throttl|\b50[0-4] [A-Z]|not authorized|AccessDenied",
    re.IGNORECASE,
)
"""A registry that could not be reached, or refused: a network heals, and so do permissions that have just been given."""
_PULL = re.compile(r"CannotPull\w*Error", re.IGNORECASE)
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|name unknown|does not exist|no such image|no such manifest|pull access denied|"
    r"invalid reference format|does not contain descriptor matching platform",
    re.IGNORECASE,
)
_INITIALIZATION = re.compile(r"ResourceInitializationError", re.IGNORECASE)
_SECRET = re.compile(
    r"secrets? from (?:asm|ssm)|secretsmanager:|secrets manager|ssm:GetParameter|ssm parameters?|kms:Decrypt|json key",
    re.IGNORECASE,
)
"""What tells a secret or parameter from a log group, a file system or the registry's own authorization."""
_NO_SUCH_SECRET = re.compile(
    r"ResourceNotFoundException|can't find the specified secret|invalid ssm parameters|ParameterNotFound|"
    r"did not contain json key|marked for deletion|AccessDenied",
    re.IGNORECASE,
)


def why_stopped(task: Task) -> str:
    """In one line; "" of a task that has not stopped."""
    parts = [part for part in (task.stopped_reason, *map(_end, task.containers)) if part]
    nothing = "no reason was given" if task.last_status == "STOPPED" else ""
    return "; ".join(" ".join(part.split()).rstrip(".") for part in parts) or nothing


def _end(container: TaskContainer) -> str:
    if container.exit_code is None:
        return f"{container.name}: {container.reason}" if container.reason else ""
    why = f" ({container.reason})" if container.reason else ""
    return f"{container.name} exited with {container.exit_code}{why}"


def cannot_heal(task: Task) -> str:
    """What is wrong, where the next task would stop for the same reason; "" where it may heal, or nobody can tell."""
    words = why_stopped(task)
    if image_is_missing(words):
        return "its image cannot be pulled"
    if _INITIALIZATION.search(words) and _SECRET.search(words) and _NO_SUCH_SECRET.search(words):
        return "a secret or parameter that it names cannot be read"
    exited = exited_first(task)
    if task.stop_code == "EssentialContainerExited" and exited and lasted(task) <= ON_START:
        return f"{' or '.join(exited)} exits right after it has started"
    return ""


def image_is_missing(words: str) -> bool:
    """Whether a reason says that there is no such image, and not that its registry could not be reached."""
    return bool(_PULL.search(words) and _NO_SUCH_IMAGE.search(words) and not _ON_THE_WAY.search(words))


def has_failed(task: Task) -> bool:
    """Whether it stopped by a fault, and not because ECS or a person wanted it to stop."""
    if task.desired_status != "STOPPED" and task.last_status != "STOPPED":
        return False
    if task.stop_code in _ON_PURPOSE:
        return "health check" in task.stopped_reason
    if task.stop_code:
        return True
    faults = (each.reason or each.exit_code not in (None, 0, _TERMINATED) for each in task.containers)
    return any(faults) or bool(_PULL.search(task.stopped_reason) or _INITIALIZATION.search(task.stopped_reason))


def exited_first(task: Task) -> list[str]:
    """The containers of which one ended the task; ECS stops the others then, and does not say which was first."""
    exited = [each for each in task.containers if each.exit_code is not None]
    failed = [each for each in exited if each.reason or each.exit_code not in (0, _KILLED, _TERMINATED)]
    by_themselves = [each for each in exited if each.exit_code != _TERMINATED]
    return [each.name for each in failed or by_themselves or exited]


def lasted(task: Task) -> timedelta:
    """How long it ran before it stopped; nothing where it never started."""
    if task.started_at is None or task.stopped_at is None:
        return timedelta()
    return task.stopped_at - task.started_at
