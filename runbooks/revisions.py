"""Which revisions of its task definition a service can go back to: what speaks for and against each, and what a person means by
one. What AWS means by its states is from the Amazon ECS API reference (TaskDefinition, ServiceDeployment).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infraconsole import naming, text
from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.aws.ecs import Ecs, ServiceDeployment, TaskDefinition, family_and_revision
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.engine.gate import Choice
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, AwsError, AwsNotFound, StepFailed, UnknownName, UsageError

COMPLETED = "SUCCESSFUL"
"""The state of a service deployment that came to its end."""
_CANDIDATES = 12
"""How many revisions before the current one are looked at, and how many good ones after it."""


def candidates(
    context: StepContext, ecs: Ecs, current: TaskDefinition, deployments: Sequence[ServiceDeployment]
) -> list[dict[str, Any]]:
    """The revisions before the current one, and those after it that are known to have worked, newest first, each with what speaks
    for and against it."""
    good = {
        known.task_definition: f"deployment completed {text.ago(known.finished_at or known.created_at, context.now())} ago"
        for known in reversed(deployments)
        if known.status == COMPLETED
    }
    for earlier in context.earlier("verify"):
        good.setdefault(str(earlier["task_definition"]), "rolled back to and verified by an earlier run")
    tried = {str(former["revision"]) for former in context.former("update") if former.get("revision")}
    after, before = _around(current, ecs.revisions(current.family), good)
    # INACTIVE ones cannot be chosen, but a person who looks for one is told why.
    after_too, before_too = _around(current, ecs.revisions(current.family, status="INACTIVE"), good)
    arns = [*_newest({*after, *after_too}), *_newest({*before, *before_too})]
    with ThreadPoolExecutor(max_workers=8) as pool:
        definitions = list(pool.map(ecs.task_definition, arns))
        images = list(pool.map(lambda definition: _missing_image(context, definition), definitions))
    found = []
    for definition, missing in zip(definitions, images, strict=True):
        why_not = f"it is {definition.status}" if definition.status != "ACTIVE" else missing
        found.append(
            {
                "id": str(definition.revision),
                "arn": definition.arn,
                "name": definition.name,
                "tag": definition.image_tag,
                "registered_at": text.utc(definition.registered_at) if definition.registered_at else "",
                "good": good.get(definition.arn, "") if definition.arn not in tried else "",
                "tried": definition.arn in tried,
                "why_not": why_not,
                "diff": list(diff_lines(current, definition)),
            }
        )
    return found


def _around(current: TaskDefinition, arns: Iterator[str], good: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Of ARNs, newest first: those after the current one that are good, and the first ones before it."""
    after: list[str] = []
    before: list[str] = []
    for arn in arns:
        revision = family_and_revision(arn)[1]
        if revision > current.revision and arn in good:
            after.append(arn)
        elif revision < current.revision:
            before.append(arn)
        if len(before) == _CANDIDATES:
            break
    return after, before


def _newest(arns: Iterable[str]) -> list[str]:
    return sorted(arns, key=lambda arn: family_and_revision(arn)[1], reverse=True)[:_CANDIDATES]


def last_known_good(context: StepContext, current: TaskDefinition, candidates: Sequence[Mapping[str, Any]]) -> str:
    """The newest one known to have worked before the revision that the run began at; "" where there is none."""
    former = [each for each in context.former("look") if each]
    began = family_and_revision(former[-1]["current"])[1] if former else current.revision
    return next(
        (
            str(known["arn"])
            for known in candidates
            if known["good"] and not known["why_not"] and int(known["id"]) < began
        ),
        "",
    )


def _missing_image(context: StepContext, definition: TaskDefinition) -> str:
    """Why the revision's image cannot be pulled; "" where it can, or where that cannot be told."""
    image = parse_image(main_image(definition))
    if not image.in_ecr:
        return ""
    try:
        return "" if Ecr(context.reads).image(image) else f"its image {definition.image_tag} is no longer in ECR"
    except AwsError:
        return ""


def choice(candidate: Mapping[str, Any], recommended: str) -> Choice:
    unknown = "this run went there already" if candidate["tried"] else "no completed deployment is known"
    good = candidate["good"] or unknown
    detail = (f"image {candidate['tag']}", f"registered {candidate['registered_at']}", good, *candidate["diff"])
    return Choice(
        candidate["id"],
        f"{candidate['name']}  {candidate['tag']}  {good}",
        detail,
        candidate["arn"] == recommended,
        candidate["why_not"],
    )


def reference(context: StepContext, wanted: str, looked: Mapping[str, Any]) -> str:
    """`wanted` as `family:revision`. Raises UsageError for another family, account or region, UnknownName for a revision that is
    not there, and an AwsError where that cannot be told."""
    family, target = family_of(context), context.target
    named = _REVISION.fullmatch(wanted)
    if named is None or not int(named["revision"]):
        raise UsageError(f"{wanted!r} is no revision.", mend="Give a number (42), family:42 or a task definition ARN.")
    if named["arn"] and (named["region"], named["account"]) != (target.region, target.account):
        raise UsageError(
            f"{wanted} is of another account or region.",
            cause=f"{target.name} is in {target.region}, account {target.account}.",
            mend=f"Give a revision of {family} there.",
        )
    of_family, revision = named["family"] or family, int(named["revision"])
    if of_family != family:
        raise UsageError(
            f"{wanted} is a revision of {of_family}, not of {family}.", mend=f"Give a revision of {family}."
        )
    number = str(revision)
    known = {candidate["id"] for candidate in looked["candidates"]} | {str(family_and_revision(looked["current"])[1])}
    if number in known:
        return f"{family}:{number}"
    try:
        Ecs(context.reads).task_definition(f"{family}:{number}")
    except AwsNotFound as error:
        raise UnknownName("revision", number, known, where=f"of {family}") from error
    return f"{family}:{number}"


_REVISION = re.compile(
    r"(?:(?P<arn>arn:[a-z-]+:ecs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]+):task-definition/)?"
    r"(?P<family>[A-Za-z0-9_-]+):)?(?P<revision>[0-9]{1,9})"
)


def check_image(context: StepContext, image: str, *, essential: bool) -> None:
    reference = parse_image(image)
    if not reference.in_ecr:
        context.note(f"{image} is not in ECR: whether it still exists was not checked.", warning=True)
        return
    try:
        found = Ecr(context.reads).image(reference)
    except AccessDenied as error:
        # ECS pulls it with a role of its own: that ours may not look is not a reason to hold a rollback up.
        context.note(f"Whether {image} is still in ECR was not checked: {error.title} {error.mend}", warning=True)
        return
    if found:
        context.note(f"{image} is in ECR.")
    elif essential:
        raise StepFailed(
            f"{image} is no longer in ECR.",
            cause="Tasks of this revision could not start.",
            mend="Choose another revision, or push the image again.",
        )
    else:
        context.note(f"{image} is no longer in ECR; its container is not essential.", warning=True)


def family_of(context: StepContext) -> str:
    return naming.task_family(context.target.service, context.target.environment)


def main_image(definition: TaskDefinition) -> str:
    return definition.main_container.image if definition.main_container else ""
