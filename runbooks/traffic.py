"""A deployment that shifts traffic between two target groups (BLUE_GREEN, LINEAR, CANARY): its success is judged by where the
traffic is. What AWS means by its stages is from the Amazon ECS API reference (ServiceDeployment)."""

from __future__ import annotations

from collections.abc import Mapping

from infraconsole.aws.ecs import Ecs, Service, Shifting
from infraconsole.aws.elbv2 import Elbv2, group_name
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError

_GIVEN_UP = (
    "STOP_REQUESTED",
    "STOPPED",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
)


def current(context: StepContext, service: Service) -> Shifting | None:
    """How far the shift under way has come; None where none is, or it cannot be read."""
    if not (service.deploying.shifts_traffic and service.current_deployment):
        return None
    try:
        return Ecs(context.reads).shifting(service.current_deployment)
    except AwsError:
        return None


def gave_up(shifting: Shifting) -> bool:
    return shifting.status in _GIVEN_UP


def groups_of(service: Service, shifting: Shifting | None) -> tuple[str, ...]:
    """The target groups in which the tasks of the newest deployment have to be healthy: of each pair the one that it is brought
    to, where that is known."""
    if shifting is None or not shifting.groups:
        return ()
    return tuple(group for group in service.target_groups if group in shifting.groups)


def receiving(context: StepContext, service: Service) -> Mapping[str, int] | None:
    """How much production traffic each target group of the service receives; None where no rule is known, or none can be read."""
    rules = dict.fromkeys(binding.production_rule for binding in service.load_balancers if binding.production_rule)
    found: dict[str, int] = {}
    try:
        for rule in rules:
            found |= Elbv2(context.reads).weights(rule)
    except AwsError:
        return None
    return {group: weight for group, weight in found.items() if group in service.target_groups} or None


def is_on(weights: Mapping[str, int] | None, groups: tuple[str, ...]) -> bool:
    """Whether all traffic goes to `groups`; where it is not known where it goes, ECS's word counts."""
    if not weights or not groups:
        return True
    return all((weight > 0) == (group in groups) for group, weight in weights.items())


def words(weights: Mapping[str, int]) -> str:
    total = sum(weights.values()) or 1
    return ", ".join(f"{group_name(group)} {round(100 * weight / total)} %" for group, weight in weights.items())
