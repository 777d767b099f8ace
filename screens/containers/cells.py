"""What stands in the tables of the containers screen. Plain functions of facts and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from infraconsole import text
from infraconsole.aws.ecs import (
    Service,
    ServiceDeployment,
    ServiceEvent,
    Task,
    TaskDefinition,
    family_and_revision,
)
from infraconsole.aws.elbv2 import TargetHealth
from infraconsole.checks.application import application
from infraconsole.checks.ecs_words import event_words, health_words
from infraconsole.checks.row_facts import Fact
from infraconsole.checks.serving import ServiceFacts
from infraconsole.checks.stopped import why_stopped
from infraconsole.checks.task_groups import TaskGroup, has_stopped
from infraconsole.screens.times import WIDTH, clock_time
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN

TASK_COLUMNS = (
    Column("mark", "", 1),
    Column("id", "task", 8),
    Column("status", "status", 10),
    Column("revision", "rev", 4, right=True),
    Column("at", "at", WIDTH, rank=2),
    Column("age", "age", 7, rank=1, right=True),
    Column("zone", "zone", 15, rank=3),
    Column("why", "why it stopped", 44, stretch=True),
)
EVENT_COLUMNS = (
    Column("mark", "", 1),
    Column("at", "at", WIDTH, rank=2),
    Column("age", "age", 7, rank=1, right=True),
    Column("words", "what ECS says", 40, stretch=True),
)
TARGET_COLUMNS = (
    Column("mark", "", 1),
    Column("target", "target", 15),
    Column("port", "port", 5, rank=2, right=True),
    Column("state", "state", 10),
    Column("zone", "zone", 15, rank=4),
    Column("group", "group", 18, rank=3),
    Column("why", "why", 14, rank=1, stretch=True),
)
REVISION_COLUMNS = (
    Column("mark", "", 1),
    Column("revision", "rev", 5, right=True),
    Column("image", "image", 14, stretch=True),
    Column("deployed", "deployed", 13),
    Column("at", "at", WIDTH, rank=2),
    Column("age", "age", 7, rank=1, right=True),
    Column("registered", "registered", 10, rank=3, right=True),
    Column("cpu", "cpu", 5, rank=5, right=True),
    Column("memory", "MiB", 6, rank=5, right=True),
    Column("status", "status", 8, rank=4),
)
_TARGET_TONES = {"healthy": GOOD, "unhealthy": BAD, "unhealthy.draining": WARN, "draining": DIM, "initial": STRONG}


def missing(fact: Fact[Any], nothing: str) -> str:
    """What an empty list says: not read yet, not to be read, or really nothing there."""
    if fact.value is None and fact.error is not None:
        return f"! {fact.error}".splitlines()[0] + "  (d: all of it)"
    return "…" if fact.value is None else nothing


def task_columns(groups: Sequence[TaskGroup]) -> tuple[Column, ...]:
    """Without zones where no task tells of one."""
    zones = any(task.zone for group in groups for task in group.tasks)
    return tuple(column for column in TASK_COLUMNS if zones or column.key != "zone")


def task_rows(groups: Iterable[TaskGroup], current: str, now: datetime) -> Iterable[Row]:
    """A row for each task that has not stopped, and for each reason why some did."""
    for group in groups:
        task = group.newest
        stopped = has_stopped(task)
        tone = BAD if group.failed else DIM if stopped else _health_tone(task)
        _, revision = family_and_revision(task.task_definition)
        yield Row(
            group.key,
            {
                "mark": Cell(MARKS[tone], tone),
                "id": Cell(task.id[-8:] if len(group.tasks) == 1 else f"{len(group.tasks)} ×"),
                "status": Cell(_status(task), tone),
                "revision": Cell(f":{revision}", PLAIN if task.task_definition == current else WARN),
                "at": Cell(clock_time(group.at, now), DIM),
                "age": Cell(text.ago(group.at, now), DIM),
                "zone": Cell(task.zone if len(group.tasks) == 1 else "", DIM),
                "why": Cell(group.why, BAD if group.failed else DIM),
            },
            more=" ".join(f"{each.id} {each.private_ip} {why_stopped(each)}" for each in group.tasks),
        )


def _status(task: Task) -> str:
    """One that runs says what its health check says, where it has one."""
    if has_stopped(task):
        return "stopped" if task.last_status == "STOPPED" else "stopping"
    if task.last_status == "RUNNING" and task.health != "UNKNOWN":
        return task.health.lower()
    return task.last_status.lower()


def _health_tone(task: Task) -> str:
    """A task that runs without a health check is as it should be, as far as anybody can tell."""
    if task.last_status != "RUNNING":
        return STRONG
    return BAD if task.health == "UNHEALTHY" else GOOD


def event_rows(events: Iterable[ServiceEvent], now: datetime) -> Iterable[Row]:
    """What ECS wrote, newest first, each event once."""
    for key, event in keyed(events).items():
        told = event_words(event.message)
        tone = BAD if told.failed else PLAIN
        yield Row(
            key,
            {
                "mark": Cell(MARKS[tone], tone),
                "at": Cell(clock_time(event.at, now), DIM),
                "age": Cell(text.ago(event.at, now), DIM),
                "words": Cell(told.words, tone),
            },
            more=event.message,
        )


def keyed(events: Iterable[ServiceEvent]) -> dict[str, ServiceEvent]:
    """By their ids; by time and text where there is none."""
    return {event.id or f"{event.at} {event.message}": event for event in events}


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
                "why": Cell(health_words(target.description) or target.reason, BAD if tone == BAD else DIM),
            },
            more=target.reason,
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
                **_deployed(reference, history, service, now),
                "registered": Cell(text.ago(definition.registered_at, now) if definition else "…", DIM),
                "cpu": Cell(str(definition.cpu) if definition else "…", DIM),
                "memory": Cell(str(definition.memory) if definition else "…", DIM),
                "status": Cell(definition.status.lower() if definition else "…", DIM),
            },
            more=found.container.image if found else "",
        )


def _same(one: str, other: str) -> bool:
    return family_and_revision(one) == family_and_revision(other)


def _deployed(
    reference: str, history: Sequence[ServiceDeployment], service: Service | None, now: datetime
) -> dict[str, Cell]:
    """How this revision's newest deployment went; of the service's own deployments where AWS keeps no history."""
    kept = next((entry for entry in history if entry.task_definition and _same(entry.task_definition, reference)), None)
    live = next(
        (entry for entry in (service.deployments if service else ()) if _same(entry.task_definition, reference)), None
    )
    at: datetime | None = None
    words, tone = "-", DIM
    if kept is not None:
        words, tone = _outcome(kept.status)
        at = kept.finished_at or kept.created_at
    elif live is not None and live.rollout_state:
        words, tone = _outcome(live.rollout_state)
        at = live.updated_at
    sign = f"{MARKS[BAD]} " if tone == BAD else ""
    return {
        "deployed": Cell(f"{sign}{words}", tone),
        "at": Cell(clock_time(at, now) if at else "", DIM),
        "age": Cell(text.ago(at, now) if at else "", DIM),
    }


def _outcome(status: str) -> tuple[str, str]:
    """A deployment that ECS took back has failed, however well taking it back went."""
    match status:
        case "SUCCESSFUL" | "COMPLETED":
            return "completed", GOOD
        case "ROLLBACK_SUCCESSFUL":
            return "rolled back", BAD
        case "IN_PROGRESS" | "PENDING":
            return status.lower().replace("_", " "), STRONG
    words = status.lower().replace("rollback_", "roll back ").replace("_", " ")
    return words, BAD if "FAIL" in status else WARN
