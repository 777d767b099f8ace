"""What a person means by a revision, and what is shown of each where one is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infraconsole import text
from infraconsole.aws.ecs import Ecs, family_and_revision
from infraconsole.engine.gate import Choice
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsNotFound, UnknownName, UsageError
from infraconsole.runbooks import revisions

_REVISION = re.compile(
    r"(?:(?P<arn>arn:[a-z-]+:ecs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]+):task-definition/)?"
    r"(?P<family>[A-Za-z0-9_-]+):)?(?P<revision>[0-9]{1,9})"
)


def choice(candidate: Mapping[str, Any], recommended: str) -> Choice:
    unknown = "this run went there already" if candidate["tried"] else "no completed deployment is known"
    good = candidate["good"] or unknown
    copied: tuple[str, ...] = ()
    if candidate["status"] != revisions.ACTIVE:
        good = f"{good}, {candidate['status']}"
        copied = (
            f"It is {candidate['status']}: a copy of it is registered as a new revision, behind a gate of its own.",
        )
    at = candidate["registered_at"]
    registered = (f"registered {text.local_time(text.from_utc(at))}",) if at else ()
    detail = (
        f"image {candidate['tag']}",
        *registered,
        good,
        *copied,
        *candidate["diff"],
    )
    return Choice(
        candidate["id"],
        f"{candidate['name']}  {candidate['tag']}  {good}",
        detail,
        candidate["arn"] == recommended,
        candidate["why_not"],
    )


def reference(context: StepContext, wanted: str, looked: Mapping[str, Any]) -> str:
    """`wanted` as `family:revision`. A number is one of the family that the service is on; another family counts only where the
    service is known to have been on that revision. Raises UsageError for another family, account or region, UnknownName for a
    revision that is not there, and an AwsError where that cannot be told."""
    family = family_and_revision(looked["current"])[0]
    target = context.target
    named = _REVISION.fullmatch(wanted)
    if named is None or not int(named["revision"]):
        raise UsageError(f"{wanted!r} is no revision.", mend="Give a number (42), family:42 or a task definition ARN.")
    if named["arn"] and (named["region"], named["account"]) != (target.region, target.account):
        raise UsageError(
            f"{wanted} is of another account or region.",
            cause=f"{target.name} is in {target.region}, account {target.account}.",
            mend=f"Give a revision of {family} there.",
        )
    of_family, number = named["family"] or family, int(named["revision"])
    known = {candidate["name"] for candidate in looked["candidates"]} | {looked["current_name"]}
    name = f"{of_family}:{number}"
    if name in known:
        return name
    if of_family != family:
        raise UsageError(
            f"{wanted} is a revision of {of_family}, not of {family}.",
            cause=f"{target.name} is on {looked['current_name']}, and it is not known to have run {name}.",
            mend=f"Give a revision of {family}.",
        )
    try:
        Ecs(context.reads).task_definition(name)
    except AwsNotFound as error:
        numbers = {str(family_and_revision(each)[1]) for each in known if family_and_revision(each)[0] == family}
        raise UnknownName("revision", str(number), numbers, where=f"of {family}") from error
    return name
