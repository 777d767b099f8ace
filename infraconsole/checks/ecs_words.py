"""What ECS writes about a service and its tasks, in as few words as say it. Pure; the whole text is for whoever shows these words
to keep at hand.

The texts are from the Amazon ECS Developer Guide (Service event messages, Stopped tasks error messages) and from answers of the API
as public reports quote them. A text that is not in the tables stays, without what only names the service and with names for ARNs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infraconsole.aws.ecs import Task
from infraconsole.checks.stopped import exited_first, image_is_missing

_TASKS_NAMED = 3
_SERVICE = re.compile(r"^\(service [^)]*\)\s*")
_MORE = re.compile(r"\s*For more information, see .*$", re.DOTALL)
_ARN = re.compile(r"\barn:aws[\w-]*:[^\s()\[\],;\"']+")
_TASK = re.compile(r"\(task ([\w-]+)\)")
_LONG_ID = re.compile(r"(?<=\(task )[0-9a-f-]{17,}(?=\))")
_IMAGE = re.compile(
    r"(?:\bref|\bimage|denied for|manifest for) \"?(?P<image>[\w.-]+(?::\d+)?/[\w./-]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{8,})?)"
)
_REGISTRY = re.compile(r"^(?:\d+\.dkr\.ecr\.[\w.-]+|docker\.io(?:/library)?)/")
_DIGEST = re.compile(r"(@sha256:[0-9a-f]{8})[0-9a-f]+")
_NOT_ALLOWED = re.compile(r"not authorized to perform: (?P<action>[\w:]+)(?: on resource: (?P<on>\S+))?")
_PLATFORM = re.compile(r"descriptor matching platform '(?P<platform>[^']+)'")
_PULL = re.compile(r"CannotPull\w*Error", re.IGNORECASE)
_INITIALIZATION = re.compile(r"ResourceInitializationError", re.IGNORECASE)
_CODES = re.compile(r"^Health checks failed with these codes: \[([\d, ]+)\]\.?$")
_OUT_OF_MEMORY = re.compile(r"OutOfMemory", re.IGNORECASE)
_SIGNALS = {137: ", killed", 139: ", segmentation fault", 143: ", told to stop"}
_LEAST_CLAUSE = 8
_TROUBLE = ("unable", "fail", "error", "cannot")
"""Words that tell trouble in a text that is not known."""


@dataclass(frozen=True)
class EventWords:
    """A service event in short. `failed`: it tells of something that went wrong."""

    words: str
    failed: bool = False


@dataclass(frozen=True)
class _Known:
    """A text of AWS's. `words` may use the pattern's groups, `s` for the plural of `n`, and `tasks` for those that are named."""

    pattern: re.Pattern[str]
    words: str
    failed: bool = False


def _known(pattern: str, words: str, *, failed: bool = False) -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE | re.DOTALL), words, failed)


_EVENTS = (
    _known(r"^has reached a steady state\.?$", "steady state"),
    _known(
        r"^has started (?P<n>\d+) tasks in (?P<zone>[\w-]+) to AZ Rebalance",
        "{n} task{s} started in {zone}, to balance the zones{tasks}",
    ),
    _known(r"^has started (?P<n>\d+) tasks:", "{n} task{s} started{tasks}"),
    _known(
        r"^has stopped (?P<n>\d+) running tasks in (?P<zone>[\w-]+) due to AZ rebalanc",
        "{n} task{s} stopped in {zone}, to balance the zones{tasks}",
    ),
    _known(r"^has stopped (?P<n>\d+) running tasks:", "{n} task{s} stopped{tasks}"),
    _known(r"^registered (?P<n>\d+) targets in \(target-group [^)]*\)\.?$", "{n} target{s} registered"),
    _known(r"^deregistered (?P<n>\d+) targets in \(target-group [^)]*\)\.?$", "{n} target{s} deregistered"),
    _known(r"^has begun draining connections on (?P<n>\d+) tasks\.?$", "{n} task{s} draining"),
    _known(r"^\(deployment [^)]*\) deployment completed\.?$", "deployment completed"),
    _known(r"^\(deployment [^)]*\) deployment failed: (?P<why>.+?)\.?$", "deployment failed: {why}", failed=True),
    _known(
        r"^(?:\(deployment [^)]*\) )?rolling back to deployment \S+$",
        "rolling back to an earlier deployment",
        failed=True,
    ),
    _known(
        r"^(?:\(task (?P<task>[\w-]+)\) )?(?:\(instance [^)]*\) )?(?:\(port (?P<port>\d+)\) )?is unhealthy in "
        r"\((?:target-group|elb) [^)]*\) due to \(reason (?P<why>.+)\)\.?$",
        "unhealthy: {why}{of}",
        failed=True,
    ),
    _known(
        r"^\(task (?P<task>[\w-]+)\) failed container health checks\.?$",
        "unhealthy: container health check failed{of}",
        failed=True,
    ),
    _known(r"^is unable to consistently start tasks successfully\.?$", "tasks keep failing to start", failed=True),
    _known(
        r"^was unable to place a task because no container instance met all of its requirements\.?(?: (?P<why>.+?)\.?)?$",
        "no room for a task on any container instance{because}",
        failed=True,
    ),
    _known(r"^was unable to place a task\. Reason: (?P<why>.+?)\.?$", "no task could be placed: {why}", failed=True),
    _known(
        r"^was unable to stop or start tasks during a deployment because of the service deployment configuration",
        "deployment is stuck: minimumHealthyPercent and maximumPercent leave no room to stop or start a task",
        failed=True,
    ),
    _known(
        r"^operations are being throttled(?: on (?P<on>\w+))?", "throttled{where}: ECS tries again later", failed=True
    ),
    _known(r"^updated computedDesiredCount for taskSet \S+ to (?P<n>\d+)\.?$", "desired count of the task set: {n}"),
)
"""The first that matches counts."""
_ROLLOUTS = (
    _known(r"^ECS deployment (?:ecs-svc/)?\S+ (?:in progress|completed)\.?$", ""),
    _known(r"^ECS deployment (?:circuit breaker: )(?P<why>.+?)\.?$", "circuit breaker: {why}"),
    _known(r"^ECS deployment (?:ecs-svc/)?\S+ failed: (?P<why>.+?)\.?$", "{why}"),
)
_REASONS = (
    _known(r"^Scaling activity initiated by \(deployment [^)]*\)\.?$", "stopped by ECS: scaling or another deployment"),
    _known(
        r"^Task failed ELB health checks in \((?:target-group|elb) [^)]*\)\.?$",
        "load balancer health check failed",
    ),
    _known(r"^Task failed container health checks\.?$", "container health check failed"),
    _known(r"^Task stopped by user\.?$", "stopped by a call of StopTask"),
)


def event_words(message: str) -> EventWords:
    """A service event without what the screen says anyway: the service, ARNs, where to read more."""
    words = _MORE.sub("", _SERVICE.sub("", " ".join(message.split())))
    for known in _EVENTS:
        if found := known.pattern.match(words):
            return EventWords(_filled(known, found, words), known.failed)
    return EventWords(named(words), any(each in words.lower() for each in _TROUBLE))


def rollout_words(reason: str) -> str:
    """Why a deployment is in its state; "" where the reason says no more than the state."""
    return _told(_ROLLOUTS, reason)


def stop_words(task: Task) -> str:
    """Why a task stopped, in a few words; "" of one that has not."""
    if task.last_status != "STOPPED" and task.desired_status != "STOPPED":
        return ""
    by_itself = not task.stopped_reason or task.stopped_reason.startswith("Essential container")
    ends = [_end(task, name) for name in exited_first(task)] if by_itself else []
    others = [] if ends else [task.stopped_reason, *(each.reason for each in task.containers if each.reason)]
    parts = dict.fromkeys((*ends, *(reason_words(each) for each in others if each)))
    return "; ".join(parts) or ("no reason was given" if task.last_status == "STOPPED" else "")


def reason_words(reason: str) -> str:
    """A `stoppedReason`, of a task or of a container, in a few words."""
    words = " ".join(reason.split())
    if found := _NOT_ALLOWED.search(words):
        on = f" on {named(found['on']).rstrip('.')}" if found["on"] else ""
        return f"no permission for {found['action']}{on}"
    if _PULL.search(words):
        return _pull(words)
    if _INITIALIZATION.search(words):
        return f"cannot start: {_last_clause(words)}"
    if _OUT_OF_MEMORY.search(words):
        return "out of memory"
    return _told(_REASONS, words)


def health_words(description: str) -> str:
    """Why a target is unhealthy, as load balancers say it."""
    return _CODES.sub(r"health check answered \1", description)


def named(words: str) -> str:
    """`words` with names for ARNs, and the ends of tasks' ids."""
    return _LONG_ID.sub(lambda found: found[0][-8:], _ARN.sub(lambda found: _name(found[0]), words))


def _told(table: tuple[_Known, ...], reason: str) -> str:
    words = " ".join(reason.split())
    for known in table:
        if found := known.pattern.match(words):
            return _filled(known, found, words)
    return named(words).rstrip(".")


def _filled(known: _Known, found: re.Match[str], words: str) -> str:
    groups = {key: health_words(named(value or "")) for key, value in found.groupdict().items()}
    task, port, on = groups.get("task", ""), groups.get("port", ""), groups.get("on", "")
    parts = [f"task {task[-8:]}" if task else "", f"port {port}" if port else ""]
    return known.words.format(
        **groups,
        s="" if groups.get("n") == "1" else "s",
        tasks=_tasks(words),
        of="".join(f", {part}" for part in parts if part),
        because=f": {groups['why']}" if groups.get("why") else "",
        where=f" by {on.upper()}" if on else "",
    )


def _tasks(words: str) -> str:
    ids = [each[-8:] for each in _TASK.findall(words)]
    more = f" and {len(ids) - _TASKS_NAMED} more" if len(ids) > _TASKS_NAMED else ""
    return f": {', '.join(ids[:_TASKS_NAMED])}{more}" if ids else ""


def _name(arn: str) -> str:
    """What a person calls it: `fileflow-prod-tg`, `fileflow-prod:8`, `/shared/rds/prod/endpoint`."""
    end = arn[len(arn.rstrip(".:")) :]
    resource = arn.rstrip(".:").split(":", 5)[-1]
    kind, _, rest = resource.partition("/" if "/" in resource.partition(":")[0] else ":")
    if kind == "parameter":
        return f"/{rest}{end}"
    if not rest:
        return resource + end
    if kind == "task":
        return rest.rpartition("/")[2][-8:] + end
    parts = rest.split("/")
    return (
        parts[1] if kind == "loadbalancer" and len(parts) > 1 else parts[0] if kind == "targetgroup" else rest
    ) + end


def _pull(words: str) -> str:
    if platform := _PLATFORM.search(words):
        return f"the image is not built for {platform['platform']}"
    found = _IMAGE.search(words)
    image = f" {_image(found['image'])}" if found else ""
    return f"image{image} not found" if image_is_missing(words) else f"cannot pull image{image}: {_last_clause(words)}"


def _image(reference: str) -> str:
    """`fileflow:7bd6b34`: without AWS's own registry, and a digest only as far as it tells two apart."""
    return _DIGEST.sub(r"\1", _REGISTRY.sub("", reference)).rstrip(".-")


def _last_clause(words: str) -> str:
    """What an error chain of Go's comes down to."""
    last = words.rstrip(". ").rpartition(": ")[2]
    return named(last if len(last) >= _LEAST_CLAUSE else words)


def _end(task: Task, name: str) -> str:
    container = next(each for each in task.containers if each.name == name)
    if _OUT_OF_MEMORY.search(container.reason):
        return f"{name} ran out of memory (exit {container.exit_code})"
    code = container.exit_code or 0
    why = f" ({reason_words(container.reason)})" if container.reason else ""
    return f"{name} exited with {code}{_SIGNALS.get(code, '')}{why}"
