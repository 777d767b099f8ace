"""The judgement of an ECS service by itself: its rollout, what serves meanwhile, why tasks stopped, what ECS took back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from infraconsole import text
from infraconsole.aws.ecr import parse_image
from infraconsole.aws.ecs import Deployment, Service, Shifting, Task, family_and_revision
from infraconsole.checks.controllers import instead, stage_words
from infraconsole.checks.image_drift import Meant
from infraconsole.checks.judgement import Level, Reason
from infraconsole.checks.row_facts import VariablesFacts
from infraconsole.checks.serving import ServiceFacts
from infraconsole.checks.standing import RECENTLY, WentBack, went_back
from infraconsole.checks.stopped import cannot_heal, why_stopped

_SLOW = timedelta(minutes=15)
"""A rolling deployment that takes longer is worth a look, even where no task has failed."""
_MOST_WORDS = 160
_GROUP = re.compile(r"\(target-group arn:\S+?:targetgroup/([^/\s]+)/\w+\)")
"""As ECS names one in its reasons; its name is enough."""
_ABANDONED = ("STOPPED", "ROLLBACK_FAILED")


def revision_name(reference: str) -> str:
    """`fileflow-prod:8` of a task definition's ARN."""
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
                return Level.BUSY, f"bakes to {text.here(until):%H:%M}" if until else f"shifting {since}"
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


def reasons(facts: ServiceFacts, environment: str, now: datetime) -> Iterator[Reason]:
    service, primary = facts.service, facts.service.primary
    if service.status != "ACTIVE":
        yield Reason(Level.WARNING, f"the service is {service.status}.", "d shows all of it.")
        return
    back = went_back(service, facts.history, now)
    if primary is None:
        if service.deploying.by_ecs:
            yield Reason(Level.UNKNOWN, f"ECS names no deployment; {_tasks(service)}.", "d shows all of it.")
        return
    if back is not None and back.going:
        of = _short(back.of, service) if back.of else "the deployment before"
        level = Level.WARNING if service.running or not service.desired else Level.BROKEN
        yield Reason(level, f"ECS is rolling {of} back{_because(facts, back.of)}; {_serves(facts)}.", _LOOK)
    elif primary.rollout_state in ("IN_PROGRESS", "FAILED"):
        yield _unfinished(facts, primary, environment, now)
    elif service.desired and service.running < service.desired:
        why = _last_stop(_stops(facts, primary.task_definition))
        level = Level.WARNING if service.running else Level.BROKEN
        yield Reason(level, f"only {_tasks(service)}{f'; the last one stopped: {why}' if why else ''}.", _LOOK)
    if primary.rollout_state != "FAILED":
        yield from _taken_back(facts, back, now)


_LOOK = "Enter shows its tasks."


def _unfinished(facts: ServiceFacts, primary: Deployment, environment: str, now: datetime) -> Reason:
    """Of a deployment that is under way, or failed."""
    service, rev, serves = facts.service, _short(primary.task_definition, facts.service), _serves(facts)
    stops = _stops(facts, primary.task_definition)
    since, failed = text.ago(primary.created_at, now), primary.failed or len([stop for stop in stops if _is_bad(stop)])
    if cannot := _cannot(stops):
        words = f"{rev} {cannot}; {serves}."
    elif primary.rollout_state == "FAILED":
        why = _last_stop(stops) or text.line(primary.rollout_reason, _MOST_WORDS).rstrip(".")
        words = f"the deployment of {rev} failed {text.ago(primary.updated_at, now)} ago{f' ({why})' if why else ''}; {serves}."
    elif failed:
        why = _last_stop(stops)
        last = f", the last one: {why}" if why else ""
        words = f"{rev} does not get stable: {failed} failed task{'s' * (failed != 1)} in {since}{last}; {serves}."
    elif facts.shifting is not None and facts.shifting.status == "IN_PROGRESS":
        return Reason(
            Level.BUSY, f"{rev} is being deployed for {since}: {stage_words(facts.shifting)}; {serves}.", _LOOK
        )
    else:
        is_down = bool(service.desired) and not service.running
        is_slow = primary.created_at is not None and now - primary.created_at > _SLOW
        level = Level.BROKEN if is_down else Level.WARNING if is_slow else Level.BUSY
        counts = f"{primary.running} of {primary.desired} tasks run"
        return Reason(level, f"{rev} is being rolled out for {since}: {counts}; {serves}.", _LOOK)
    return Reason(Level.BROKEN, words, *_way_back(facts, environment))


def _way_back(facts: ServiceFacts, environment: str) -> tuple[str, str]:
    if not facts.service.deploying.by_ecs:
        return "R says what to use instead.", instead(facts.service)
    return (
        "R rolls back.",
        f"Roll back: infraconsole run ecs-rollback --service {facts.called} --env {environment}",
    )


def _taken_back(facts: ServiceFacts, back: WentBack | None, now: datetime) -> Iterator[Reason]:
    """What was deployed within the last day and is not what serves."""
    service, newest = facts.service, next(iter(facts.history), None)
    if back is not None and not back.going:
        by = "by itself" if back.by_itself else "on request"
        of = _short(back.of, service) if family_and_revision(back.of)[1] else back.of or "the deployment before"
        since = f" {text.ago(back.at, now)} ago" if back.at else ""
        words = f"ECS rolled {of} back {by}{since}{_because(facts, back.of)}; {_serves(facts)}."
        fix = "Fix it before the next deploy."
        yield Reason(Level.WARNING, words, f"{_LOOK} {fix}", fix)
    elif newest is not None and newest.status in _ABANDONED:
        at = newest.finished_at or newest.created_at
        if at is not None and now - at <= RECENTLY:
            of = _short(newest.task_definition, service) if newest.task_definition else "a revision"
            how = "was stopped" if newest.status == "STOPPED" else "failed, and so did its rollback,"
            words = f"the deployment of {of} {how} {text.ago(at, now)} ago; {_serves(facts)}."
            yield Reason(Level.WARNING, words, _LOOK)


def other_image(facts: ServiceFacts, variables: VariablesFacts, environment: str) -> tuple[str, Meant] | None:
    """What serves, in words, and what the variables bring instead; None where they bring that, or what is being rolled out."""
    found = facts.application
    if found is None or not facts.service.deploying.by_ecs:
        return None
    names = facts.names(environment)
    brought = facts.brought if facts.service.in_flight is not None else None
    if brought is not None and variables.instead_of(brought.container.image, names) is None:
        return None
    other = variables.instead_of(found.container.image, names)
    if other is None:
        return None
    return f"{found.image.short} {'serves' if facts.serving_deployment else 'is what the service is on'}", other


# Words


def _short(reference: str, service: Service) -> str:
    """`:8` of the family that the service is on, else the whole name."""
    family, revision = family_and_revision(reference)
    own = family_and_revision(service.task_definition)[0]
    return f":{revision}" if revision and family == own else revision_name(reference)


def _tasks(service: Service) -> str:
    return f"{service.running} of {service.desired} tasks run"


def _serves(facts: ServiceFacts) -> str:
    service, there = facts.service, facts.serving_deployment
    if there is None:
        return "nothing serves" if service.desired else "the desired count is 0"
    rev = _short(there.task_definition, service)
    if service.in_flight and there.task_definition == service.task_definition:
        return f"{there.running} of {service.desired} tasks run for now, all of {rev}"
    still = "still " if service.in_flight and there.task_definition != service.task_definition else ""
    return f"{rev} {still}serves {there.running} of {service.desired}"


def _stops(facts: ServiceFacts, reference: str) -> Sequence[Task]:
    """The tasks of that revision which stopped, the newest first."""
    wanted = family_and_revision(reference)
    found = [task for task in facts.stopped if family_and_revision(task.task_definition) == wanted]
    return sorted(found, key=lambda task: task.stopped_at.timestamp() if task.stopped_at else 0.0, reverse=True)


def _is_bad(task: Task) -> bool:
    """Not one that ECS stopped because it was not needed any more."""
    return task.stop_code not in ("ServiceSchedulerInitiated", "UserInitiated") or "fail" in task.stopped_reason.lower()


def _last_stop(stops: Sequence[Task]) -> str:
    task = next((task for task in stops if _is_bad(task)), None)
    if task is None:
        return ""
    exited = task.stop_code == "EssentialContainerExited"
    words = why_stopped(task) if exited or not task.stopped_reason else task.stopped_reason
    return text.line(_GROUP.sub(r"(target group \1)", " ".join(words.split()).rstrip(".")), _MOST_WORDS)


def _because(facts: ServiceFacts, reference: str) -> str:
    stops = _stops(facts, reference) if reference else ()
    why = _cannot(stops) or _last_stop(stops)
    return f": it {why}" if _cannot(stops) else f" ({why})" if why else ""


def _cannot(stops: Sequence[Task]) -> str:
    """`cannot start (image 7bd6b34 is not in ECR)`, by the newest task that tells; "" where it may heal yet."""
    for task in stops:
        if verdict := cannot_heal(task):
            why = _image_missing(task) or text.line(verdict, _MOST_WORDS)
            return f"keeps stopping ({why})" if task.started_at else f"cannot start ({why})"
    return ""


def _image_missing(task: Task) -> str:
    """`image 7bd6b34 is not in ECR`, of the container that the registry has no image of."""
    words = why_stopped(task)
    if "CannotPull" not in words:
        return ""
    found = next((each for each in task.containers if each.image and each.image in words), None)
    found = found or next((each for each in task.containers if "CannotPull" in each.reason), None)
    if found is None and len(task.containers) == 1:
        found = task.containers[0]
    if found is None or not found.image:
        return ""
    image = parse_image(found.image)
    return f"image {image.short} is not in ECR" if image.in_ecr else f"image {image.text} is not in its registry"
