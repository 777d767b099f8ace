"""One judgement of a row: what is wrong with a service in one environment, how bad that is, and since when. Pure: from what was
read (row_facts.py) to sentences. Every screen and `status` say the same, because they ask here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from infraconsole import text
from infraconsole.checks.row_facts import BoardRow, LockFacts
from infraconsole.errors import AwsNotFound, InfraconsoleError

if TYPE_CHECKING:
    from infraconsole.aws.ecs import Deployment, Service, Shifting
    from infraconsole.checks.serving import ServiceFacts

# What imports AWS is imported where it is used: the board is painted without waiting for it.

STALE_LOCK = timedelta(minutes=15)
"""A state lock older than this is worth a sentence: an apply is rarely that long."""


class Level(IntEnum):
    """How bad: the higher, the sooner somebody has to look."""

    FINE = 0
    ABSENT = 1
    BUSY = 2
    WARNING = 3
    UNKNOWN = 4
    BROKEN = 5


@dataclass(frozen=True)
class Trouble:
    """A sentence about one row, and how bad it is."""

    level: Level
    sentence: str


def revision_name(reference: str) -> str:
    """`fileflow-prod:8` of a task definition's ARN."""
    from infraconsole.aws.ecs import family_and_revision

    family, revision = family_and_revision(reference)
    return f"{family}:{revision}" if revision else family


def rollout(service: Service, now: datetime, shifting: Shifting | None = None) -> tuple[Level, str]:
    """The state of the newest deployment in two words, and how bad it is. `shifting` as in `ServiceFacts`."""
    primary = service.primary
    if service.status != "ACTIVE":
        return Level.ABSENT, service.status.lower()
    if primary is None:
        return (Level.FINE, _by(service)) if not service.deploying.by_ecs else (Level.UNKNOWN, "no deployment")
    match primary.rollout_state:
        case "FAILED":
            return Level.BROKEN, "failed"
        case "IN_PROGRESS":
            since = text.ago(primary.created_at, now)
            if shifting is not None and shifting.status == "IN_PROGRESS":
                until = shifting.bakes_until
                return Level.BUSY, f"bakes to {until.astimezone():%H:%M}" if until else f"shifting {since}"
            return (Level.BROKEN, f"failing {since}") if primary.failed else (Level.BUSY, f"rolling {since}")
    if service.running < service.desired:
        return Level.WARNING, "short of tasks"
    if not service.deploying.by_ecs:
        return Level.FINE, _by(service)
    return Level.FINE, "steady" if service.desired or service.scheduling == "DAEMON" else "scaled to 0"


def _by(service: Service) -> str:
    """Who deploys it, in a word."""
    controller = service.deploying.controller
    return {"CODE_DEPLOY": "CodeDeploy", "EXTERNAL": "external"}.get(controller, controller.lower())


def troubles(row: BoardRow, now: datetime) -> tuple[Trouble, ...]:
    """What is wrong with a row, the worst first, each as a sentence with where and since when."""
    name = f"{row.service_name} {row.environment}"
    found = [*_service_troubles(row, name, now), *_other_troubles(row, name, now)]
    return tuple(sorted(found, key=lambda trouble: -trouble.level))


def _service_troubles(row: BoardRow, name: str, now: datetime) -> Iterable[Trouble]:
    if row.service.absent:
        yield Trouble(Level.ABSENT, f"{name}: there is no service of that name.")
    elif row.service.error is not None:
        error = row.service.error
        title = error.title if isinstance(error, InfraconsoleError) else f"{type(error).__name__}: {error}"
        yield Trouble(Level.UNKNOWN, f"{name}: its state is not known. {title}")
    if row.service.value is None:
        return
    service = row.service.value.service
    level, _ = rollout(service, now, row.service.value.shifting)
    if service.status != "ACTIVE":
        yield Trouble(level, f"{name}: the service is {service.status}.")
        return
    parts = [f"{service.running} of {service.desired} tasks run"]
    if service.primary is not None:
        parts += _deployment_parts(row.service.value, service.primary, now)
        parts += _served_by_another(row.service.value)
    if service.desired and not service.running:
        level = Level.BROKEN
    if level > Level.FINE:
        yield Trouble(level, f"{name}: {', '.join(parts)}.")


def _deployment_parts(facts: ServiceFacts, primary: Deployment, now: datetime) -> Iterable[str]:
    revision = revision_name(primary.task_definition)
    if facts.shifting is not None and facts.shifting.status == "IN_PROGRESS":
        from infraconsole.checks.controllers import stage_words

        yield f"deployment of {revision} since {text.ago(primary.created_at, now)}: {stage_words(facts.shifting)}"
    elif primary.rollout_state == "IN_PROGRESS":
        yield f"deployment of {revision} in progress for {text.ago(primary.created_at, now)}"
    elif primary.rollout_state == "FAILED":
        yield f"deployment of {revision} failed {text.ago(primary.updated_at, now)} ago"
    if primary.failed:
        yield f"{primary.failed} failed task{'s' if primary.failed != 1 else ''}"


def _served_by_another(facts: ServiceFacts) -> Iterable[str]:
    there = facts.serving_deployment
    if facts.rolling_image and there is not None:
        yield f"{revision_name(there.task_definition)} still serves with {there.running} (image {facts.serving_image})"


def no_lock_words(facts: LockFacts) -> str:
    """What a state without a lock means, and what to do about it."""
    return f"no lock protects the state: two deploys at the same time lose resources. {facts.mend}"


def _other_troubles(row: BoardRow, name: str, now: datetime) -> Iterable[Trouble]:
    ringing = [alarm for alarm in row.alarms.value or () if alarm.state == "ALARM"]
    if ringing:
        others = f" and {len(ringing) - 1} more" if len(ringing) > 1 else ""
        since = f" for {text.ago(ringing[0].since, now)}" if ringing[0].since else ""
        yield Trouble(Level.WARNING, f"{name}: alarm {ringing[0].name}{others} rings{since}.")
    if row.exports.value and row.exports.value.missing:
        missing = row.exports.value.missing
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        are = "are" if others else "is"
        yield Trouble(Level.WARNING, f"{name}: the export {missing[0]}{others} {are} missing.")
    if row.lock.value and row.lock.value.why_unlocked:
        yield Trouble(Level.WARNING, f"{name}: {no_lock_words(row.lock.value)}")
    lock = row.lock.value.lock if row.lock.value else None
    if lock is not None and lock.created is not None and now - lock.created > STALE_LOCK:
        yield Trouble(Level.WARNING, f"{name}: {lock.who} holds the state lock for {text.ago(lock.created, now)}.")
    for group, fact in row.facts:
        if group != "service" and fact.error is not None and not isinstance(fact.error, AwsNotFound):
            title = fact.error.title if isinstance(fact.error, InfraconsoleError) else str(fact.error)
            yield Trouble(Level.WARNING, f"{name}: its {group} could not be read. {title}")


def worst(rows: Iterable[BoardRow], now: datetime) -> tuple[Trouble, ...]:
    """The worst trouble of each row that has one, the worst row first; rows in equal trouble keep their order."""
    firsts = [found[0] for row in rows if (found := troubles(row, now))]
    return tuple(sorted(firsts, key=lambda trouble: -trouble.level))
