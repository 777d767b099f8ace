"""Whether a service that somebody wants to roll back is well: then going back leaves what works. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from infraconsole import text
from infraconsole.aws.ecs import Service, ServiceDeployment

_GOING_BACK = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
_WENT_BACK = "ROLLBACK_SUCCESSFUL"
_RECENTLY = timedelta(days=1)


def standing(service: Service, deployments: Sequence[ServiceDeployment], now: datetime) -> str:
    """Why going further back may be wrong, in sentences; "" where the service is not well. `deployments`, newest first, may be
    empty where they could not be read: the service's own events tell of a rollback too.

    It stands in gates, whose answers hold while they show the same: times, and no ages.
    """
    on = service.task_definition.rpartition("/")[2]
    newest = deployments[0] if deployments else None
    going, done = _by_history(newest, now) if newest else _by_events(service, now)
    if going:
        return f"{going} The service is on {on}."
    primary = service.primary
    if primary is None or primary.rollout_state != "COMPLETED" or service.running < service.desired:
        return ""
    if done:
        return f"{done} The service is on {on}."
    if len(service.deployments) > 1:
        return ""
    tasks = f"{service.running} of {service.desired} tasks run" if service.desired else "the desired count is 0"
    since = text.local_time(primary.created_at)
    return f"{service.name} runs as it should: {on} since {since}, its deployment completed, {tasks}."


def _by_history(newest: ServiceDeployment, now: datetime) -> tuple[str, str]:
    """That ECS is putting the service back, and that it has; "" each where it is not so, or was long ago."""
    of = newest.task_definition.rpartition("/")[2] or "the last deployment"
    if newest.status in _GOING_BACK:
        return f"ECS is rolling {of} back.", ""
    at = newest.finished_at or newest.started_at or newest.created_at
    if newest.status != _WENT_BACK or at is None or now - at > _RECENTLY:
        return "", ""
    by = "on request" if "user request" in newest.reason else "by itself"
    return "", f"ECS rolled {of} back {by} at {text.local_time(at)}."


def _by_events(service: Service, now: datetime) -> tuple[str, str]:
    """As `_by_history`, from what ECS wrote when it began to."""
    primary = service.primary
    said = next((event for event in service.events if "rolling back to deployment" in event.message), None)
    if primary is None or said is None or said.at is None or primary.id not in said.message:
        return "", ""
    if primary.rollout_state == "IN_PROGRESS":
        return "ECS is rolling back.", ""
    return "", f"ECS rolled back by itself at {text.local_time(said.at)}." if now - said.at <= _RECENTLY else ""
