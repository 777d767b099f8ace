"""Whether a service that somebody wants to roll back is well: then going back leaves what works. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infraconsole import text
from infraconsole.aws.ecs import Service, ServiceDeployment

_GOING_BACK = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
_WENT_BACK = "ROLLBACK_SUCCESSFUL"
RECENTLY = timedelta(days=1)


@dataclass(frozen=True)
class WentBack:
    """That ECS put a service back, or is doing so (`going`). `of` is the revision that it took away, "" where that is not known."""

    of: str
    going: bool
    by_itself: bool = True
    at: datetime | None = None


def went_back(service: Service, deployments: Sequence[ServiceDeployment], now: datetime) -> WentBack | None:
    """Of the last day. `deployments`, newest first, may be empty where they could not be read: the service's own events tell of a
    rollback too."""
    return _by_history(deployments[0], now) if deployments else _by_events(service, now)


def tells_all(service: Service, now: datetime) -> bool:
    """Whether the service itself tells that no deployment of the last day went wrong, so that its history need not be asked for:
    whatever is deployed, stopped or taken back leaves a new deployment, a later update of the old one, or an event."""
    primary = service.primary
    if primary is None or len(service.deployments) != 1 or primary.rollout_state != "COMPLETED":
        return False
    times = (primary.created_at, primary.updated_at)
    is_old = all(at is not None and now - at > RECENTLY for at in times)
    said = [event for event in service.events if event.at is None or now - event.at <= RECENTLY]
    is_quiet = not any("deployment failed" in event.message or "rolling back" in event.message for event in said)
    return is_old and is_quiet and service.running >= service.desired


def standing(service: Service, deployments: Sequence[ServiceDeployment], now: datetime) -> str:
    """Why going further back may be wrong, in sentences; "" where the service is not well. `deployments` as in `went_back`.

    It stands in gates, whose answers hold while they show the same: times, and no ages.
    """
    on = service.task_definition.rpartition("/")[2]
    back = went_back(service, deployments, now)
    of = f" {back.of}" if back and back.of else ""
    if back and back.going:
        return f"ECS is rolling{of} back. The service is on {on}."
    primary = service.primary
    if primary is None or primary.rollout_state != "COMPLETED" or service.running < service.desired:
        return ""
    if back:
        by = "by itself" if back.by_itself else "on request"
        return f"ECS rolled{of} back {by} at {text.local_time(back.at)}. The service is on {on}."
    if len(service.deployments) > 1:
        return ""
    tasks = f"{service.running} of {service.desired} tasks run" if service.desired else "the desired count is 0"
    since = text.local_time(primary.created_at)
    return f"{service.name} runs as it should: {on} since {since}, its deployment completed, {tasks}."


def _by_history(newest: ServiceDeployment, now: datetime) -> WentBack | None:
    of = newest.task_definition.rpartition("/")[2] or "the last deployment"
    by_itself = "user request" not in newest.reason
    if newest.status in _GOING_BACK:
        return WentBack(of, going=True, by_itself=by_itself)
    at = newest.finished_at or newest.started_at or newest.created_at
    if newest.status != _WENT_BACK or at is None or now - at > RECENTLY:
        return None
    return WentBack(of, going=False, by_itself=by_itself, at=at)


def _by_events(service: Service, now: datetime) -> WentBack | None:
    """From what ECS wrote when it began to."""
    primary = service.primary
    said = next((event for event in service.events if "rolling back to deployment" in event.message), None)
    if primary is None or said is None or said.at is None or primary.id not in said.message:
        return None
    if primary.rollout_state == "IN_PROGRESS":
        return WentBack("", going=True)
    return WentBack("", going=False, at=said.at) if now - said.at <= RECENTLY else None
