"""What a rollback says of a service before anything is chosen: what it is on, what serves, how it is deployed, its targets."""

from __future__ import annotations

from collections.abc import Sequence

from infraconsole import text
from infraconsole.aws.ecs import Ecs, Service, ServiceDeployment, TaskDefinition
from infraconsole.aws.elbv2 import Elbv2, group_name
from infraconsole.checks import controllers
from infraconsole.checks.serving import serving
from infraconsole.checks.standing import standing
from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks import revisions, rollout, traffic


def say(
    context: StepContext,
    ecs: Ecs,
    service: Service,
    current: TaskDefinition,
    deployments: Sequence[ServiceDeployment],
) -> str:
    """How the service is; why going back may be wrong, "" where it is not well."""
    its = revisions.application_in(context, service, current)
    there = serving(service, traffic.current(context, service))
    context.note(
        f"{service.name} is on {current.name} (image {revisions.image_words(its)}): "
        f"{service.running} of {service.desired} tasks run."
    )
    if there is not None and there.task_definition != current.arn:
        old = ecs.task_definition(there.task_definition)
        words = revisions.image_words(revisions.application_in(context, service, old))
        context.note(f"{old.name} still serves (image {words}): {there.running} of its tasks run.")
    if its is not None:
        context.note(its.sentence)
    for remark in controllers.remarks(service):
        context.note(remark)
    _say_in_flight(context, service)
    context.output(*(rollout.event_line(event) for event in reversed(service.events[:8])))
    _say_targets(context, service)
    # Behind a failed attempt of this run, what is well is not the question any more.
    stands = "" if context.former("look") else standing(service, deployments, context.now())
    if stands:
        context.note(stands, warning=True)
    return stands


def _say_in_flight(context: StepContext, service: Service) -> None:
    flight = service.in_flight
    if flight:
        since = text.ago(flight.created_at, context.now())
        context.note(
            f"A deployment of {rollout.short(flight.task_definition)} has been {flight.rollout_state} for {since}: "
            f"{flight.running} of {flight.desired} tasks run, {flight.failed} failed."
        )


def _say_targets(context: StepContext, service: Service) -> None:
    for group in service.target_groups:
        healths = Elbv2(context.reads).target_health(group)
        healthy = sum(health.state == "healthy" for health in healths)
        of = f" of target group {group_name(group)}" if len(service.target_groups) > 1 else ""
        context.note(f"{healthy} of {len(healths)} targets{of} are healthy.")
