"""What was seen of a service before it is changed, and what a later look is compared with: answers may come from copies of
different age (the ECS API is eventually consistent)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infraconsole.aws.ecs import Ecs, Service, ServiceDeployment
from infraconsole.clock import Deadline
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError
from infraconsole.runbooks import rollout

SUPERSEDE = "supersede"
STOP_FIRST = "stop-first"
STOPPABLE = ("PENDING", "IN_PROGRESS")
GOING = (*STOPPABLE, "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
"""The states of a service deployment that has not ended."""


def current(context: StepContext) -> Mapping[str, Any]:
    """The service as it was last looked at before the update."""
    return {**context.result("look"), **context.result("settle")}


def as_seen(service: Service, listed: Sequence[ServiceDeployment] | None) -> Mapping[str, Any]:
    """What a later look is compared with. `listed` is None where the history could not be read."""
    return {
        "primary": service.primary.id if service.primary else "",
        "known": [known.id for known in service.deployments],
        "as_of": service.as_of.isoformat() if service.as_of else "",
        "deployments": None if listed is None else [known.arn for known in listed],
    }


def made_since(
    listed: Sequence[ServiceDeployment], seen: Mapping[str, Any], definition: str
) -> ServiceDeployment | None:
    """The deployment of `definition` that the history has and had not when the service was looked at. Where that could not be read
    then, AWS's own times tell: ours need not agree with them."""
    before, as_of = seen["deployments"], time_of(seen["as_of"])

    def is_new(known: ServiceDeployment) -> bool:
        if before is not None:
            return known.arn not in before
        return as_of is not None and known.created_at is not None and known.created_at > as_of

    return next((known for known in listed if known.task_definition == definition and is_new(known)), None)


def newest(context: StepContext) -> datetime | None:
    """The newest time of AWS's that this run has seen of the service before it went back."""
    keys = (("look", "as_of"), ("settle", "as_of"), ("update", "at"), ("watch", "as_of"))
    times = (time_of(str(former.get(key, ""))) for step, key in keys for former in context.former(step))
    return max((known for known in times if known is not None), default=None)


def time_of(written: str) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def service_and_deployments(context: StepContext) -> tuple[Service, tuple[ServiceDeployment, ...] | None]:
    """The service and its deployments, which may come from copies of different age: where what is in flight is to be stopped first,
    they are looked at until both show it. Raises NotVisibleYet."""
    patience = Deadline(context.config.engine.visible_seconds)
    is_first = True
    while True:
        service = rollout.current_service(context, newest(context))
        listed = deployments(context, say=is_first)
        in_flight = service.in_flight
        is_rolling = in_flight is not None and in_flight.rollout_state == "IN_PROGRESS"
        is_listed = listed is None or any(known.status in STOPPABLE for known in listed)
        if context.inputs["in-flight"] != STOP_FIRST or not is_rolling or is_listed:
            return service, listed
        if patience.is_over():
            raise rollout.not_visible(f"the deployment of {service.name} that is in flight in its list of deployments")
        context.progress("AWS does not list the deployment in flight yet: looking again")
        context.wait(min(1.0, context.config.engine.poll_seconds))
        is_first = False


def deployments(context: StepContext, *, say: bool = False) -> tuple[ServiceDeployment, ...] | None:
    """The service's deployment history; None where it cannot be read, with a warning if asked for: a rollback works without it."""
    try:
        return Ecs(context.reads).service_deployments(*rollout.names(context))
    except AwsError as error:
        if say:
            context.note(f"Which deployments were completed is not known: {error.title}", warning=True)
        return None
