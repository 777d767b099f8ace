"""What stands in the board's cells, and the whole story of one row. Plain functions of facts and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from textual.content import Content

from infraconsole import text
from infraconsole.checks.judgement import Judgement, Level, judge, no_lock_words, worst_first
from infraconsole.checks.row_facts import BoardRow, Fact
from infraconsole.screens.board.order import Order
from infraconsole.screens.runs import KnownRun
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import (
    BAD,
    DIM,
    GOOD,
    MARKS,
    PLAIN,
    STRONG,
    WARN,
    Part,
    lines,
    said,
    short_error,
    whole_error,
)

if TYPE_CHECKING:
    from infraconsole.checks.serving import ServiceFacts
    from infraconsole.engine.history import FollowUp

TONE_OF = {
    Level.FINE: GOOD,
    Level.ABSENT: DIM,
    Level.BUSY: STRONG,
    Level.WARNING: WARN,
    Level.UNKNOWN: WARN,
    Level.BROKEN: BAD,
}
_LOADING = Cell("…", DIM)
_AGE_STEP = timedelta(seconds=5)


def columns(names: Sequence[str], order: Order) -> tuple[Column, ...]:
    """`names` are the targets as they are shown. At 80 cells: how it runs, what runs, since when, alarms, age; and always what
    they are sorted by."""
    width = min(28, max([len("service"), *(len(name) for name in names)]))
    found = (
        Column("mark", "", 1),
        Column("target", "service", width),
        Column("tasks", "tasks", 5, right=True),
        Column("rollout", "rollout", 14),
        Column("image", "image", 15, rank=1, stretch=True),
        Column("since", "since", 6, rank=3),
        Column("alarms", "alarms", 9, rank=2),
        Column("run", "last run", 13, rank=5),
        Column("state", "state", 11, rank=6),
        Column("lock", "lock", 6, rank=8),
        Column("exports", "exports", 7, rank=7),
        Column("age", "read", 6, rank=4, right=True),
    )
    return tuple(
        replace(each, title=f"{each.title[: each.width - 1]}{order.sign}", rank=0) if each.key == order.column else each
        for each in found
    )


def name_of(row: BoardRow) -> str:
    return f"{row.service_name} {row.environment}"


def board_row(row: BoardRow, judgement: Judgement, run: KnownRun | None, now: datetime) -> Row:
    level = judgement.level
    known = judgement.reasons or not judgement.unread
    tone = TONE_OF[level] if known else DIM
    cells = {
        "mark": Cell(MARKS[tone] if known else "…", tone),
        "target": Cell(name_of(row), STRONG if level >= Level.WARNING else PLAIN),
        **_service_cells(row, level, now),
        "alarms": _alarms_cell(row),
        "state": _state_cell(row, now),
        "lock": _lock_cell(row, now),
        "exports": _exports_cell(row),
        "run": _LOADING if row.left.value is None and row.left.error is None else _run_cell(run, now),
        "age": _age_cell(row, now),
    }
    return Row(row.key, cells, more=" ".join(reason.words for reason in judgement.reasons))


def _missing(fact: Fact[Any]) -> Cell | None:
    """What stands for a fact without a value."""
    if fact.value is not None:
        return None
    if fact.absent:
        return Cell("none", DIM)
    if fact.error is not None:
        return Cell(f"! {short_error(fact.error)}", WARN)
    return _LOADING


def _service_cells(row: BoardRow, level: Level, now: datetime) -> dict[str, Cell]:
    from infraconsole.checks.service_judgement import rollout

    missing = _missing(row.service)
    if missing is not None or row.service.value is None:
        missing = missing or _LOADING
        short = missing if missing is _LOADING else Cell("-", DIM)
        return {"tasks": short, "rollout": missing, "image": short, "since": short}
    facts = row.service.value
    service = facts.service
    own, words = rollout(service, now, facts.shifting)
    # A rollout that looks like any other is as bad as its row is judged: its tasks may not be able to start.
    tone = TONE_OF[level] if own is Level.BUSY and level is Level.BROKEN else TONE_OF[own]
    short_of = service.running < service.desired
    primary = service.primary
    return {
        "tasks": Cell(
            f"{service.running}/{service.desired}",
            BAD if short_of and not service.running else WARN if short_of else PLAIN,
        ),
        "rollout": Cell(words, tone),
        "image": Cell(facts.images.replace(" → ", "→"), PLAIN if not facts.rolling_image else STRONG),
        "since": Cell(text.ago(primary.created_at, now) if primary else "-", DIM),
    }


def _alarms_cell(row: BoardRow) -> Cell:
    missing = _missing(row.alarms)
    if missing is not None or row.alarms.value is None:
        return missing or _LOADING
    ringing = sum(alarm.state == "ALARM" for alarm in row.alarms.value)
    blind = sum(alarm.state == "INSUFFICIENT_DATA" for alarm in row.alarms.value)
    if ringing:
        return Cell(f"▲ {ringing} of {len(row.alarms.value)}", BAD)
    if not row.alarms.value:
        return Cell("none", DIM)
    return Cell(f"{len(row.alarms.value)} ok" if not blind else f"{blind} no data", PLAIN if not blind else DIM)


def _state_cell(row: BoardRow, now: datetime) -> Cell:
    missing = _missing(row.state)
    if missing is not None or row.state.value is None:
        return missing or _LOADING
    facts = row.state.value
    if row.lock.value and row.lock.value.why_unlocked:
        return Cell(f"{MARKS[BAD]} no lock", BAD)
    if facts.state is None:
        return Cell("not set", DIM)
    return Cell(f"#{facts.state.serial} {text.ago(facts.modified_at, now)}")


def _lock_cell(row: BoardRow, now: datetime) -> Cell:
    missing = _missing(row.lock)
    if missing is not None or row.lock.value is None:
        return missing or _LOADING
    if row.lock.value.why_unlocked:
        return Cell("none", BAD)
    if not row.lock.value.checked:
        return Cell("-", DIM)
    lock = row.lock.value.lock
    return Cell("free", DIM) if lock is None else Cell(f"▲{text.ago(lock.created, now)}", WARN)


def _exports_cell(row: BoardRow) -> Cell:
    missing = _missing(row.exports)
    if missing is not None or row.exports.value is None:
        return missing or _LOADING
    facts = row.exports.value
    wrong = sum(finding.subject not in facts.missing for finding in facts.findings)
    if wrong:
        return Cell(f"{MARKS[WARN]} {wrong} bad", WARN)
    return Cell(f"{facts.present}/{len(facts.required)}", WARN if facts.missing else PLAIN)


def _run_cell(run: KnownRun | None, now: datetime) -> Cell:
    if run is None:
        return Cell("-", DIM)
    tones = {"done": PLAIN, "failed": BAD, "runs": STRONG, "waits for you": WARN, "waits": WARN, "stopped": WARN}
    since = text.ago(run.record.ended_at or run.record.created_at, now)
    return Cell(f"{run.state} {since}", tones.get(run.state, PLAIN))


def _age_cell(row: BoardRow, now: datetime) -> Cell:
    fact = row.service
    if fact.read_at is None:
        return Cell("…" if fact.error is None else "never", DIM)
    # In steps of five seconds: a table that changes with every second is drawn with every second.
    passed = now - fact.read_at
    age = text.ago(fact.read_at, now - passed % _AGE_STEP)
    return Cell(f"!{age}", WARN) if fact.error is not None else Cell(age, DIM)


def headlines(judgements: Sequence[Judgement], most: int) -> tuple[Judgement, ...]:
    """Those whose worst reason stands on top."""
    return tuple(each for each in worst_first(judgements) if each.level > Level.ABSENT)[:most]


def elsewhere(judgements: Sequence[Judgement]) -> Content:
    """That there is trouble in environments that are not shown; empty where there is none."""
    wrong = [each for each in worst_first(judgements) if each.level > Level.ABSENT]
    if not wrong:
        return Content()
    tone = TONE_OF[wrong[0].level]
    environments = ", ".join(dict.fromkeys(each.environment for each in wrong))
    noun = "service needs" if len(wrong) == 1 else "services need"
    return said(
        (f"{MARKS[tone]} {len(wrong)} {noun} a look in {environments}, which you do not see: 0 shows all.", tone)
    )


def shown_line(order: Order, environments: Sequence[str], shown: str) -> Content:
    """How the rows stand, and which environment each digit stands for."""
    parts: list[Part] = [(f"{order.words} (s)  ", STRONG if order.column else DIM)]
    for digit, name in enumerate(("", *environments[:9])):
        words = f"{digit} {name or 'all'}"
        parts.append((f"[{words}]", STRONG) if name == shown else (f" {words} ", DIM))
    return said(*parts)


def summary(rows: Sequence[BoardRow], judgements: Sequence[Judgement], now: datetime, most: int) -> Content:
    """The sentences on top: what is wrong, where, since when and what next; the worst first, one a row."""
    if not rows:
        return said(("No service is configured. ", WARN), "Name the services in infraconsole.toml: [services.<name>].")
    wrong = [each for each in worst_first(judgements) if each.level > Level.ABSENT]
    if wrong:
        shown = [
            said((f"{MARKS[TONE_OF[each.level]]} {each.headline}", TONE_OF[each.level]))
            for each in headlines(judgements, most)
        ]
        rest = len(wrong) - most
        if rest > 0:
            shown[-1] = Content.assemble(shown[-1], said((f"  (and {rest} more in the list)", DIM)))
        return lines(shown)
    reading = [each for each in judgements if each.unread]
    if reading:
        left = ", ".join(dict.fromkeys(name for each in reading for name in each.unread if name != "left"))
        read = len(rows) - len(reading)
        of = f" Not read yet: {left}." if left and read else ""
        return said((f"Reading {len(rows)} services: {read} have answered.{of}", DIM))
    times = [row.service.read_at for row in rows if row.service.read_at]
    if not times:
        return said(("None of the configured services exists in AWS.", WARN))
    absent = sum(row.service.absent for row in rows)
    here = len(rows) - absent
    none = f" {absent} of {len(rows)} do not exist." if absent else ""
    noun = "service runs as it" if here == 1 else f"{here} services run as they"
    all_of = "The one" if here == 1 else "All"
    return said(
        (f"{MARKS[GOOD]} {all_of} {noun} should.", GOOD), (f"{none} Read {text.ago(min(times), now)} ago.", DIM)
    )


def story(row: BoardRow, run: KnownRun | None, follow_ups: Sequence[FollowUp], now: datetime) -> Content:
    """Everything known of a row, errors whole, each group with its age."""
    parts: list[Content] = []
    judgement = judge(row, now)
    if judgement.reasons:
        told = [
            (f"{MARKS[TONE_OF[item.level]]} {judgement.name}: {item.on_screen}", TONE_OF[item.level])
            for item in judgement.reasons
        ]
        parts.append(lines(told))
    if judgement.not_judged:
        parts.append(lines([(f"Not judged. {sentence}", DIM) for sentence in judgement.not_judged]))
    for group, fact in row.facts:
        rows: list[Any] = [
            said((group, STRONG), (f"  read {text.ago(fact.read_at, now)} ago" if fact.read_at else "", DIM))
        ]
        if fact.value is not None:
            rows += _facts_of(group, row, now)
        elif fact.error is None:
            rows.append(("…", DIM))
        if fact.error is not None:
            rows += whole_error(fact.error)
        parts.append(lines(rows))
    for follow_up in follow_ups:
        parts.append(lines([(f"Still to do: {follow_up.title}", WARN), follow_up.detail]))
    if run is not None:
        parts.append(said(("last run  ", STRONG), f"{run.record.title} ({run.record.run}): {run.state}"))
    return Content("\n\n").join(parts)


def _facts_of(group: str, row: BoardRow, now: datetime) -> list[str]:
    match group:
        case "service":
            return _service_lines(row, now)
        case "state":
            facts = row.state.value
            if facts is None or facts.state is None:
                return ["The configuration names no state_bucket for this environment."]
            state = facts.state
            return [
                f"s3://{facts.bucket}/{facts.key}",
                f"serial {state.serial}, written {text.local_time(facts.modified_at)} by Terraform {state.terraform_version}",
                f"{state.resource_count} resources, {state.size_bytes:,} bytes",
            ]
        case "lock":
            lock = row.lock.value
            if lock is not None and lock.why_unlocked:
                return [text.capitalized(no_lock_words(lock)), lock.why_unlocked]
            if lock is None or not lock.checked:
                return ["Nothing is known here of a lock of this state: neither the settings nor the code tell."]
            if lock.lock is None:
                return ["Nobody holds it."]
            held = lock.lock
            return [f"{held.who} holds it for {held.operation} since {text.local_time(held.created)} (ID {held.id})"]
        case "alarms":
            alarms = row.alarms.value or ()
            return [
                f"{MARKS[BAD] if alarm.state == 'ALARM' else ' '} {alarm.name}: {alarm.state} since "
                f"{text.local_time(alarm.since)}. {alarm.reason}"
                for alarm in alarms
            ] or ["This service has no alarms."]
        case "variables":
            return []
        case _:
            exports = row.exports.value
            if exports is None or not (exports.missing or exports.findings):
                return ["All required exports are there, and their check finds nothing."]
            return [f"missing: {name}" for name in exports.missing] + [
                f"{finding.subject}: {finding.message} {finding.mend}".rstrip() for finding in exports.findings
            ]


def remarks_of(facts: ServiceFacts) -> tuple[str, ...]:
    """How the service is deployed, where that is not the usual way. What tells it has been imported by whoever read the facts."""
    from infraconsole.checks.controllers import remarks

    return remarks(facts.service, facts.shifting)


def _service_lines(row: BoardRow, now: datetime) -> list[str]:
    if row.service.value is None:
        return []
    from infraconsole.checks import service_judgement as names

    facts = row.service.value
    service = facts.service
    found = [f"{service.name}: {service.running} of {service.desired} tasks run, {service.pending} pending"]
    for deployment in service.deployments:
        found.append(
            f"{deployment.status} {names.revision_name(deployment.task_definition)}: {deployment.rollout_state or 'no state'}, "
            f"{deployment.running}/{deployment.desired} run, {deployment.failed} failed, "
            f"begun {text.ago(deployment.created_at, now)} ago. {deployment.rollout_reason}"
        )
    if facts.application is not None:
        found.append(f"image {facts.application.container.image}. {facts.application.sentence}")
    found += remarks_of(facts)
    if service.events:
        found.append(f"ECS says ({text.ago(service.events[0].at, now)} ago): {service.events[0].message}")
    return found
