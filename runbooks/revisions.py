"""Which revisions of its task definition a service can go back to, and what speaks for and against each. What AWS means by its
states is from the Amazon ECS API reference (TaskDefinition, ServiceDeployment).

Nothing walks the family: deployments and journal name the good ones, however far back they lie, and those just before the current
one are asked for by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from infraconsole import text
from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.aws.ecs import Ecs, Service, ServiceDeployment, TaskDefinition, family_and_revision
from infraconsole.checks.application import Application, application
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError, AwsNotFound

COMPLETED = "SUCCESSFUL"
"""The state of a service deployment that came to its end."""
ACTIVE = "ACTIVE"
_BEFORE = 12
"""How many revisions right before the current one are looked at."""
_GOOD = 12
"""How many revisions that are known to have worked are looked at, the latest first."""


def application_in(context: StepContext, service: Service, definition: TaskDefinition) -> Application | None:
    return application(definition, context.target.service, service.load_balancers)


def image_words(found: Application | None) -> str:
    """What a person calls the application's image; never ""."""
    return found.image.short if found else "no image"


def candidates(
    context: StepContext,
    ecs: Ecs,
    service: Service,
    current: TaskDefinition,
    deployments: Sequence[ServiceDeployment],
) -> list[dict[str, Any]]:
    """The revisions that are known to have worked, and those right before the current one, newest first; those of other families
    that the service was on come last. Each with what speaks for and against it."""
    good = _known_good(context, deployments)
    # A copy that did not work says so of what it is a copy of.
    tried = {
        str(former[key]) for former in context.former("update") for key in ("revision", "content") if former.get(key)
    }
    wanted = [arn for arn in dict.fromkeys([*list(good)[:_GOOD], *_right_before(current)]) if arn != current.arn]
    with ThreadPoolExecutor(max_workers=8) as pool:
        definitions = [known for known in pool.map(lambda arn: _definition(ecs, arn), wanted) if known]
        applications = [application_in(context, service, definition) for definition in definitions]
        missing = list(pool.map(lambda found: _missing_image(context, found), applications))
    ranks = {arn: rank for rank, arn in enumerate(good)}
    found = []
    for definition, its, why_not in zip(definitions, applications, missing, strict=True):
        is_good = definition.arn in good and definition.arn not in tried
        found.append(
            {
                "id": str(definition.revision) if definition.family == current.family else definition.name,
                "arn": definition.arn,
                "name": definition.name,
                "tag": image_words(its),
                "registered_at": text.utc(definition.registered_at) if definition.registered_at else "",
                "good": good[definition.arn] if is_good else "",
                "rank": ranks[definition.arn] if is_good else -1,
                "tried": definition.arn in tried,
                "status": definition.status,
                "why_not": why_not,
                "diff": list(diff_lines(current, definition)),
            }
        )
    return sorted(found, key=lambda each: _place(each, current), reverse=True)


def _known_good(context: StepContext, deployments: Sequence[ServiceDeployment]) -> dict[str, str]:
    """By ARN why a revision is known to have worked, the one that did so last first."""
    completed = [known for known in deployments if known.status == COMPLETED and known.task_definition]
    good: dict[str, str] = {}
    for known in sorted(completed, key=_ended, reverse=True):
        since = text.ago(known.finished_at or known.created_at, context.now())
        good.setdefault(known.task_definition, f"deployment completed {since} ago")
    for earlier in context.earlier("verify"):
        good.setdefault(str(earlier["task_definition"]), "rolled back to and verified by an earlier run")
    for deployed in context.earlier("verify", runbook="deploy"):
        if deployed.get("task_definition") and deployed.get("health"):
            good.setdefault(str(deployed["task_definition"]), "deployed and verified by an earlier run")
    return good


def _ended(known: ServiceDeployment) -> float:
    at = known.finished_at or known.created_at
    return at.timestamp() if at else 0.0


def _right_before(current: TaskDefinition) -> list[str]:
    family = current.arn.rpartition(":")[0]
    numbers = range(current.revision - 1, max(0, current.revision - 1 - _BEFORE), -1)
    return [f"{family}:{number}" for number in numbers]


def _definition(ecs: Ecs, arn: str) -> TaskDefinition | None:
    """None where it was deleted, beyond being deregistered."""
    try:
        return ecs.task_definition(arn)
    except AwsNotFound:
        return None


def _place(candidate: Mapping[str, Any], current: TaskDefinition) -> tuple[bool, int, str]:
    family, revision = family_and_revision(str(candidate["arn"]))
    is_same = family == current.family
    return is_same, revision if is_same else 0, str(candidate["registered_at"])


def last_known_good(context: StepContext, current: TaskDefinition, candidates: Sequence[Mapping[str, Any]]) -> str:
    """The one that worked last, of those before the revision that the run began at: an ACTIVE one where there is any; "" where none
    is known."""
    former = [each for each in context.former("look") if each]
    began, registered = current.arn, current.registered_at
    if former:
        began = str(former[-1]["current"])
        at = str(former[-1].get("current_registered_at", ""))
        registered = text.from_utc(at) if at else None
    usable = [
        known for known in candidates if known["good"] and not known["why_not"] and _is_before(known, began, registered)
    ]
    usable.sort(key=lambda known: (known["status"] != ACTIVE, known["rank"]))
    return str(usable[0]["arn"]) if usable else ""


def _is_before(candidate: Mapping[str, Any], began: str, registered: datetime | None) -> bool:
    family, revision = family_and_revision(str(candidate["arn"]))
    family_then, revision_then = family_and_revision(began)
    if family == family_then:
        return revision < revision_then
    at = str(candidate["registered_at"])
    return bool(at) and registered is not None and text.from_utc(at) < registered


def _missing_image(context: StepContext, found: Application | None) -> str:
    """Why the application's image cannot be pulled; "" where it can, or where that cannot be told."""
    if found is None or not found.image.in_ecr or found.image.region != context.target.region:
        return ""
    try:
        return "" if Ecr(context.reads).image(found.image) else f"its image {found.image.short} is no longer in ECR"
    except AwsError:
        return ""


def images_of(definition: TaskDefinition) -> Mapping[str, str]:
    """The images by their containers."""
    return {container.name: parse_image(container.image).text for container in definition.containers}
