"""Whether a service that somebody wants to roll back is well: then going back leaves what works. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from infraconsole import text
from infraconsole.aws.ecs import Service, ServiceDeployment

_BY_ITSELF = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL")
_RECENTLY = timedelta(days=1)


def standing(service: Service, deployments: Sequence[ServiceDeployment], now: datetime) -> str:
    """Why going further back may be wrong, in sentences; "" where the service is not well. `deployments`, newest first, may be
    empty where they could not be read: the service's own events tell of a rollback too."""
    on = service.task_definition.rpartition("/")[2]
    back = _rolled_back(service, deployments, now)
    if back:
        return f"{back} The service is on {on}."
    primary = service.primary
    if primary is None or primary.rollout_state != "COMPLETED" or len(service.deployments) > 1:
        return ""
    if service.running < service.desired:
        return ""
    tasks = f"{service.running} of {service.desired} tasks run" if service.desired else "the desired count is 0"
    since = text.ago(primary.created_at, now)
    return f"{service.name} runs as it should: {on} since {since}, its deployment completed, {tasks}."


def _rolled_back(service: Service, deployments: Sequence[ServiceDeployment], now: datetime) -> str:
    """That ECS has put the service back, and from what; "" where it has not, or something was deployed since."""
    newest = deployments[0] if deployments else None
    if newest is not None:
        if newest.status not in _BY_ITSELF:
            return ""
        at = newest.finished_at or newest.started_at or newest.created_at
        of = newest.task_definition.rpartition("/")[2] or "the last deployment"
        by = "on request" if "user request" in newest.reason else "by itself"
        return f"ECS rolled {of} back {by} {text.ago(at, now)} ago."
    primary = service.primary
    said = next((event for event in service.events if "rolling back to deployment" in event.message), None)
    if (
        primary is None
        or said is None
        or said.at is None
        or primary.id not in said.message
        or now - said.at > _RECENTLY
    ):
        return ""
    return f"ECS rolled back by itself {text.ago(said.at, now)} ago."
