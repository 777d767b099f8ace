"""What stands in the panes of the containers screen. Plain functions of facts and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from textual.content import Content

from infraconsole import text
from infraconsole.aws.ecs import Deployment, Service, ServiceDeployment, Task, TaskDefinition, family_and_revision
from infraconsole.aws.elbv2 import TargetHealth
from infraconsole.checks.application import application
from infraconsole.checks.controllers import remarks
from infraconsole.checks.row_facts import Fact
from infraconsole.checks.service_judgement import revision_name
from infraconsole.checks.serving import ServiceFacts
from infraconsole.checks.stopped import why_stopped
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said, whole_error
from infraconsole.secret_places import MASK, masked, names_a_secret

TASK_COLUMNS = (
    Column("mark", "", 1),
    Column("id", "task", 8),
    Column("status", "status", 12),
    Column("revision", "rev", 5, right=True),
    Column("health", "health", 9, rank=1),
    Column("age", "age", 6, rank=2, right=True),
    Column("zone", "zone", 15, rank=4),
    Column("why", "why it stopped", 20, rank=3, stretch=True),
)
TARGET_COLUMNS = (
    Column("mark", "", 1),
    Column("target", "target", 15),
    Column("port", "port", 5, right=True),
    Column("state", "state", 18),
    Column("zone", "zone", 15, rank=3),
    Column("group", "group", 18, rank=2),
    Column("why", "why", 16, rank=1, stretch=True),
)
REVISION_COLUMNS = (
    Column("mark", "", 1),
    Column("revision", "rev", 5, right=True),
    Column("image", "image", 14, stretch=True),
    Column("deployed", "deployed", 21, rank=1),
    Column("registered", "registered", 10, rank=2, right=True),
    Column("cpu", "cpu", 5, rank=4, right=True),
    Column("memory", "MiB", 6, rank=4, right=True),
    Column("status", "status", 8, rank=3),
)
_TARGET_TONES = {"healthy": GOOD, "unhealthy": BAD, "unhealthy.draining": WARN, "draining": DIM, "initial": STRONG}


def missing(fact: Fact[Any], nothing: str) -> str:
    """What an empty list says: not read yet, not to be read, or really nothing there."""
    if fact.value is None and fact.error is not None:
        return f"! {fact.error}".splitlines()[0] + "  (d: all of it)"
    return "…" if fact.value is None else nothing


def task_rows(tasks: Iterable[Task], current: str, now: datetime) -> Iterable[Row]:
    for task in tasks:
        stopped = task.desired_status == "STOPPED"
        bad = stopped and any(container.exit_code for container in task.containers)
        tone = (
            BAD if bad else DIM if stopped else _health_tone(task.health) if task.last_status == "RUNNING" else STRONG
        )
        _, revision = family_and_revision(task.task_definition)
        yield Row(
            task.arn,
            {
                "mark": Cell(MARKS[tone], tone),
                "id": Cell(task.id[-8:]),
                "status": Cell(task.last_status.lower(), tone),
                "revision": Cell(f":{revision}", PLAIN if task.task_definition == current else WARN),
                "health": Cell(task.health.lower(), _health_tone(task.health) if not stopped else DIM),
                "age": Cell(text.ago(task.stopped_at or task.started_at or task.created_at, now), DIM),
                "zone": Cell(task.zone, DIM),
                "why": Cell(why_stopped(task), BAD if bad else DIM),
            },
            more=f"{task.id} {task.private_ip}",
        )


def _health_tone(health: str) -> str:
    return {"HEALTHY": GOOD, "UNHEALTHY": BAD}.get(health, PLAIN)


def target_rows(targets: Iterable[TargetHealth]) -> Iterable[Row]:
    for target in targets:
        tone = _TARGET_TONES.get(target.state, PLAIN)
        yield Row(
            target.key,
            {
                "mark": Cell(MARKS[tone], tone),
                "target": Cell(target.target_id),
                "port": Cell(str(target.port)),
                "state": Cell(target.state, tone),
                "zone": Cell(target.zone, DIM),
                "group": Cell(target.group, DIM),
                "why": Cell(" ".join(part for part in (target.reason, target.description) if part), DIM),
            },
        )


def revision_rows(
    references: Sequence[str],
    definitions: Mapping[str, TaskDefinition],
    history: Sequence[ServiceDeployment],
    facts: ServiceFacts | None,
    now: datetime,
) -> Iterable[Row]:
    """▶ stands at the revision that serves, → at the one that is being rolled out, ○ at the one that the service is on while no
    task of it runs."""
    service = facts.service if facts else None
    current = service.task_definition if service else ""
    there = facts.serving_deployment if facts else None
    served = there.task_definition if there else ""
    going = "→" if service and service.in_flight else "○"
    for reference in references:
        definition = definitions.get(reference)
        _, revision = family_and_revision(reference)
        mark = (
            ("▶", STRONG)
            if _same(reference, served)
            else (going, STRONG)
            if _same(reference, current)
            else (" ", PLAIN)
        )
        found = application(definition, facts.called, facts.service.load_balancers) if definition and facts else None
        yield Row(
            reference,
            {
                "mark": Cell(*mark),
                "revision": Cell(f":{revision}", mark[1]),
                "image": Cell(found.image.short if found else "…"),
                "deployed": _deployed(reference, history, service, now),
                "registered": Cell(text.ago(definition.registered_at, now) if definition else "…", DIM),
                "cpu": Cell(str(definition.cpu) if definition else "…", DIM),
                "memory": Cell(str(definition.memory) if definition else "…", DIM),
                "status": Cell(definition.status.lower() if definition else "…", DIM),
            },
            more=found.container.image if found else "",
        )


def _same(one: str, other: str) -> bool:
    return family_and_revision(one) == family_and_revision(other)


def _deployed(reference: str, history: Sequence[ServiceDeployment], service: Service | None, now: datetime) -> Cell:
    """How this revision's newest deployment went; of the service's own deployments where AWS keeps no history."""
    kept = next((entry for entry in history if entry.task_definition and _same(entry.task_definition, reference)), None)
    if kept is not None:
        tone = {"SUCCESSFUL": GOOD, "IN_PROGRESS": STRONG}.get(kept.status, BAD if "FAIL" in kept.status else WARN)
        words = kept.status.lower().replace("_", " ").replace("successful", "completed")
        return Cell(f"{words} {text.ago(kept.finished_at or kept.created_at, now)}", tone)
    live = next(
        (entry for entry in (service.deployments if service else ()) if _same(entry.task_definition, reference)), None
    )
    if live is not None and live.rollout_state:
        tone = {"COMPLETED": GOOD, "FAILED": BAD}.get(live.rollout_state, STRONG)
        return Cell(f"{live.rollout_state.lower().replace('_', ' ')} {text.ago(live.updated_at, now)}", tone)
    return Cell("-", DIM)


def service_story(fact: Fact[ServiceFacts], now: datetime) -> Content:
    """Deployments and events, newest first."""
    if fact.value is None:
        return lines(whole_error(fact.error)) if fact.error else said(("…", DIM))
    service = fact.value.service
    rows: list[Part | Content] = [deployment_story(deployment, now) for deployment in service.deployments]
    if fact.value.rolling_image:
        rows.append((f"image {fact.value.images}: the first serves, the second is being rolled out", STRONG))
    rows += [
        (remark, WARN if not service.deploying.by_ecs else PLAIN) for remark in remarks(service, fact.value.shifting)
    ]
    if fact.value.application is not None:
        rows.append((fact.value.application.sentence, DIM))
    breaker = "rolls back by itself" if service.breaker_rolls_back else "on" if service.circuit_breaker else "off"
    rows.append((f"circuit breaker: {breaker}", DIM))
    if service.events:
        rows.append(("events", STRONG))
        rows += [said((f"{text.ago(event.at, now):>6}  ", DIM), event.message) for event in service.events[:60]]
    return lines(rows)


def deployment_story(deployment: Deployment, now: datetime) -> Content:
    tone = {"COMPLETED": GOOD, "FAILED": BAD}.get(deployment.rollout_state, WARN if deployment.failed else STRONG)
    counts = f"{deployment.running}/{deployment.desired} run"
    if deployment.pending:
        counts += f", {deployment.pending} pending"
    if deployment.failed:
        counts += f", {deployment.failed} failed"
    state = deployment.rollout_state.lower().replace("_", " ") or deployment.status.lower()
    return said(
        (f"{MARKS[tone]} {state}", tone),
        f"  {revision_name(deployment.task_definition)}  {counts}",
        (f"  {deployment.status}, begun {text.ago(deployment.created_at, now)} ago", DIM),
        (f"\n  {deployment.rollout_reason}" if deployment.rollout_reason else "", DIM),
    )


def task_story(task: Task) -> Content:
    rows: list[Part | Content] = [
        said(("task ", STRONG), task.arn),
        f"{task.last_status}, wanted {task.desired_status}, health {task.health}, runs {revision_name(task.task_definition)}",
        f"begun {text.local_time(task.started_at)}, stopped {text.local_time(task.stopped_at)}, by {task.started_by or '-'}",
        f"{task.private_ip or 'no address'}, {task.zone or 'no zone'}",
    ]
    if task.stop_code or task.stopped_reason:
        rows.append((f"{task.stop_code} {task.stopped_reason}".strip(), BAD))
    for container in task.containers:
        exit_code = "" if container.exit_code is None else f", exit code {container.exit_code}"
        rows.append(
            said(("container ", STRONG), f"{container.name}: {container.last_status}{exit_code}, {container.health}")
        )
        rows.append(f"  {container.image}")
        if container.reason:
            rows.append((f"  {container.reason}", BAD))
    return lines(rows)


def definition_story(definition: TaskDefinition) -> Content:
    """A revision in full; values of variables that probably hold secrets are masked, secrets are references."""
    rows: list[Part | Content] = [
        said((definition.name, STRONG), f"  {definition.status}, {definition.cpu} CPU units, {definition.memory} MiB"),
        (f"registered {text.local_time(definition.registered_at)} by {definition.registered_by or '-'}", DIM),
    ]
    for container in definition.containers:
        rows.append(said(("container ", STRONG), f"{container.name}  {container.image}"))
        for name, value in container.environment:
            rows.append(f"  {name} = {MASK if names_a_secret(name) else masked(value)}")
        rows += [f"  {secret.name} from {secret.value_from}" for secret in container.secrets]
    return lines(rows)


def diff_story(rows: Iterable[str]) -> Content:
    return lines((row, {"+": GOOD, "-": BAD}.get(row[:1], PLAIN)) for row in rows)
