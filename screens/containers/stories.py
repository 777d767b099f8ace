"""What the containers screen says in sentences: of the service, and whole behind `d`. Plain functions of facts and time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from textual.content import Content

from infraconsole.aws.ecs import Deployment, ServiceEvent, Task, TaskDefinition
from infraconsole.aws.elbv2 import TargetHealth
from infraconsole.checks.controllers import remarks
from infraconsole.checks.ecs_words import rollout_words
from infraconsole.checks.row_facts import Fact
from infraconsole.checks.service_judgement import revision_name
from infraconsole.checks.serving import ServiceFacts
from infraconsole.checks.stopped import has_failed
from infraconsole.checks.task_groups import TaskGroup, since
from infraconsole.screens.containers.cells import keyed
from infraconsole.screens.times import when
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said, whole_error
from infraconsole.secret_places import MASK, masked, names_a_secret


def deployment_lines(fact: Fact[ServiceFacts], now: datetime) -> Content:
    """The deployments, and how the service is deployed where that is not the usual way."""
    if fact.value is None:
        return Content()
    service = fact.value.service
    rows: list[Part | Content] = [deployment_story(deployment, now) for deployment in service.deployments]
    if fact.value.rolling_image:
        rows.append((f"image {fact.value.images}: the first serves, the second is being rolled out", STRONG))
    rows += [
        (remark, WARN if not service.deploying.by_ecs else PLAIN) for remark in remarks(service, fact.value.shifting)
    ]
    return lines(rows)


def service_story(fact: Fact[ServiceFacts], now: datetime) -> Content:
    """Everything of the service, with its events in ECS's own words, newest first."""
    if fact.value is None:
        return lines(whole_error(fact.error)) if fact.error else said(("…", DIM))
    service = fact.value.service
    rows: list[Part | Content] = [deployment_lines(fact, now)]
    rows += [(f"  {each.rollout_reason}", DIM) for each in service.deployments if each.rollout_reason]
    if fact.value.application is not None:
        rows.append((fact.value.application.sentence, DIM))
    breaker = "rolls back by itself" if service.breaker_rolls_back else "on" if service.circuit_breaker else "off"
    rows.append((f"circuit breaker: {breaker}", DIM))
    if service.events:
        rows.append(("events", STRONG))
        rows += [event_story(event, now) for event in keyed(service.events).values()]
    return lines(rows)


def event_story(event: ServiceEvent, now: datetime) -> Content:
    return said((f"{when(event.at, now)}  ", DIM), event.message)


def deployment_story(deployment: Deployment, now: datetime) -> Content:
    failing = deployment.failed and deployment.rollout_state == "IN_PROGRESS"
    tone = BAD if failing else {"COMPLETED": GOOD, "FAILED": BAD}.get(deployment.rollout_state, STRONG)
    counts = f"{deployment.running}/{deployment.desired} run"
    if deployment.pending:
        counts += f", {deployment.pending} pending"
    if deployment.failed:
        counts += f", {deployment.failed} failed"
    state = deployment.rollout_state.lower().replace("_", " ") or deployment.status.lower()
    reason = rollout_words(deployment.rollout_reason)
    return said(
        (f"{MARKS[tone]} {state}", tone),
        f"  {revision_name(deployment.task_definition)}  {counts}",
        (f"  since {when(deployment.created_at, now)}", DIM),
        (f"  {reason}" if reason else "", PLAIN),
    )


def group_story(group: TaskGroup, now: datetime) -> Content:
    """What a row of tasks stands for: the newest whole, and the others by name and time."""
    newest = task_story(group.newest, now)
    if len(group.tasks) == 1:
        return newest
    head = said((f"{len(group.tasks)} tasks stopped for this reason; the newest of them:", STRONG))
    others = [said(f"{when(since(task), now)}  {task.id}") for task in group.tasks[1:]]
    return Content("\n\n").join([head, newest, lines([("The others", STRONG), *others])])


def task_story(task: Task, now: datetime) -> Content:
    rows: list[Part | Content] = [said(("task ", STRONG), task.arn)]
    if task.stop_code or task.stopped_reason:
        rows.append((f"{task.stop_code} {task.stopped_reason}".strip(), BAD if has_failed(task) else PLAIN))
    rows += [
        f"{task.last_status}, wanted {task.desired_status}, health {task.health}, runs {revision_name(task.task_definition)}",
        f"asked for {when(task.created_at, now)} by {task.started_by or '-'}",
        f"started {when(task.started_at, now) if task.started_at else 'never'}, stopped {when(task.stopped_at, now)}",
        f"{task.private_ip or 'no address'}, {task.zone or 'no zone'}",
    ]
    for container in task.containers:
        exit_code = "" if container.exit_code is None else f", exit code {container.exit_code}"
        rows.append(
            said(("container ", STRONG), f"{container.name}: {container.last_status}{exit_code}, {container.health}")
        )
        rows.append(f"  {container.image}")
        if container.reason:
            rows.append((f"  {container.reason}", BAD))
    return lines(rows)


def target_story(target: TargetHealth) -> Content:
    rows: list[Part | Content] = [
        said((f"{target.target_id}:{target.port}", STRONG), f"  {target.state}, {target.zone or 'no zone'}"),
        f"target group {target.group}",
    ]
    rows += [
        (part, BAD if target.state == "unhealthy" else PLAIN) for part in (target.reason, target.description) if part
    ]
    return lines(rows)


def definition_story(definition: TaskDefinition, now: datetime) -> Content:
    """A revision in full; values of variables that probably hold secrets are masked, secrets are references."""
    rows: list[Part | Content] = [
        said((definition.name, STRONG), f"  {definition.status}, {definition.cpu} CPU units, {definition.memory} MiB"),
        (f"registered {when(definition.registered_at, now)} by {definition.registered_by or '-'}", DIM),
    ]
    for container in definition.containers:
        rows.append(said(("container ", STRONG), f"{container.name}  {container.image}"))
        for name, value in container.environment:
            rows.append(f"  {name} = {MASK if names_a_secret(name) else masked(value)}")
        rows += [f"  {secret.name} from {secret.value_from}" for secret in container.secrets]
    return lines(rows)


def diff_story(rows: Iterable[str]) -> Content:
    return lines((row, {"+": GOOD, "-": BAD}.get(row[:1], PLAIN)) for row in rows)
