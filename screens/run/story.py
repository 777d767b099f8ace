"""A run in words: its output lines, its steps, what one step does, and how it ended. Plain functions of the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from textual.content import Content

from infraconsole import text
from infraconsole.config import Config
from infraconsole.engine.event import Event, Kind, exit_code_of
from infraconsole.engine.history import FollowUp, RunRecord, StepRecord, StepState
from infraconsole.engine.locks import Holder
from infraconsole.screens.problems import LOGIN_KEY, names_login
from infraconsole.screens.run.in_short import line_in_short, result_in_short
from infraconsole.screens.times import clock_time, when
from infraconsole.screens.widgets.output import Line
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said

STEP_COLUMNS = (
    Column("mark", "", 1),
    Column("title", "step", 14, stretch=True),
    Column("time", "time", 7, rank=1, right=True),
)
_STEP_MARKS = {
    StepState.PENDING: ("·", DIM),
    StepState.RUNNING: ("▶", STRONG),
    StepState.DONE: ("✓", GOOD),
    StepState.SKIPPED: ("–", DIM),
    StepState.FAILED: ("✗", BAD),
    StepState.STOPPED: ("■", WARN),
}
_WORTH_SAYING_SECONDS = 10.0
_OUTCOMES = {"done": GOOD, "failed": BAD, "refused": WARN, "interrupted": WARN}


def output_lines(event: Event) -> list[Line]:
    """What an event adds to the output; a newer version's kinds add their name."""
    data = event.data
    if event.kind == Kind.OUTPUT:
        return [(PLAIN, line_in_short(line)) for line in data["lines"]]
    if event.kind == Kind.PROGRESS:
        return []
    at = text.here(event.at).strftime("%H:%M:%S")
    tone, words = _told(event.kind, data)
    first, *rest = words.split("\n")
    return [(tone, f"{at} {first}"), *((tone, f"         {line}") for line in rest)]


def _told(kind: str, data: Any) -> tuple[str, str]:
    match kind:
        case Kind.RUN_CREATED:
            chosen = f" with profile {data['profile']}" if data.get("profile_chosen") else ""
            return (
                STRONG,
                f"{data['title']}, started by {data['operator']}{chosen}{' (dry run)' if data['dry_run'] else ''}",
            )
        case Kind.RUN_STARTED:
            return DIM, f"process {data['pid']} {'resumes the run' if data['resumed'] else 'runs it'}"
        case Kind.STEP_STARTED:
            return STRONG, f"▶ {data['title']}"
        case Kind.STEP_FINISHED:
            needless = data.get("needless")
            return (DIM, f"– {needless}") if needless else (GOOD, f"✓ done in {text.duration(data['seconds'])}")
        case Kind.STEP_SKIPPED:
            return DIM, f"– skipped: {data['reason']}"
        case Kind.STEP_FAILED:
            return BAD, "\n".join(part for part in (f"✗ {data['title']}", data["cause"], data["mend"]) if part)
        case Kind.REWOUND:
            return WARN, f"↺ back to {data['to']}: {data['reason']}"
        case Kind.PROBED:
            return DIM, f"looked: {data['state']}{': ' + data['detail'] if data['detail'] else ''}"
        case Kind.GATE_OPENED:
            return WARN, f"? {data['gate']['title']}"
        case Kind.GATE_ANSWERED:
            return STRONG, f"{data['gate']}: {data['value']} (answered by {data['by']})"
        case Kind.GATE_REJECTED:
            return WARN, f"{data['gate']}: not taken: {data['why']}"
        case Kind.GATE_REFUSED:
            return BAD, f"{data['gate']}: refused: {data['why']}"
        case Kind.CALL_INTENDED:
            return STRONG, f"$ {data.get('command') or data['operation']}"
        case Kind.CALL_DONE:
            code = exit_code_of(data)
            return (
                (BAD, f"{data['operation']} ended with exit code {code}")
                if code
                else (DIM, f"{data['operation']} answered")
            )
        case Kind.CALL_FAILED:
            maybe = "; it may have been carried out" if data.get("maybe_done") else ""
            return BAD, f"{data['operation']}: {data['error']}{maybe}"
        case Kind.NOTE:
            return (WARN, f"▲ {data['text']}") if data["level"] == "warning" else (PLAIN, data["text"])
        case Kind.EVIDENCE:
            return DIM, f"kept {data['name']} ({data['size_bytes']:,} bytes, SHA-256 {data['sha256'][:16]}…)"
        case Kind.FOLLOW_UP_OPENED:
            return WARN, f"still to do: {data['title']}"
        case Kind.FOLLOW_UP_DONE:
            return GOOD, f"done since: {data['detail']}"
        case Kind.WAITING:
            return WARN, f"waits: {data['reason']} {data['mend']}".rstrip()
        case Kind.WAITING_OVER:
            return DIM, f"goes on: {data['reason']}"
        case Kind.INTERRUPT_REQUESTED:
            return WARN, f"{data['by']} asks it to stop"
        case Kind.RUN_FINISHED:
            tone = _OUTCOMES.get(data["outcome"], PLAIN)
            return tone, "\n".join(part for part in (f"■ {data['outcome']}", data["title"], data["cause"]) if part)
    return DIM, kind


def told_safely(event: Event) -> list[Line]:
    """As `output_lines`; an event whose shape is not known is named, and never in the way of the others."""
    try:
        return output_lines(event)
    except (KeyError, TypeError, ValueError):
        return [(DIM, event.kind)]


def step_rows(record: RunRecord, now: datetime) -> Iterable[Row]:
    for step in record.steps:
        mark, tone = ("–", DIM) if step.needless else _STEP_MARKS[step.state]
        waits = record.gate is not None and record.gate.step == step.id
        title = Cell(
            step.title, WARN if waits else STRONG if step.state is StepState.RUNNING else tone if tone == DIM else ""
        )
        yield Row(
            step.id,
            {
                "mark": Cell("?", WARN) if waits else Cell(mark, tone),
                "title": title,
                "time": Cell(_took(record, step, now), DIM),
            },
        )


def _took(record: RunRecord, step: StepRecord, now: datetime) -> str:
    """Without the time that it waited for a person."""
    if step.started_at is None:
        return ""
    waited = record.waited_seconds(now, step.id)
    return text.duration(((step.ended_at or now) - step.started_at).total_seconds() - waited)


def step_story(step: StepRecord, current: bool, now: datetime, *, at_work: bool = False) -> Content:
    """Why this step is there, what it would be by hand, how far it is, and why it failed. `at_work`: a process carries it out."""
    rows: list[Part | Content] = [said((step.title, STRONG), (f"  {step.state.value}", DIM))]
    # First what is happening: on a low terminal the rest of the story is out of view.
    if step.progress and current:
        rows.append((step.progress, STRONG))
        since = max(0.0, (now - step.told_at).total_seconds()) if step.told_at and step.ended_at is None else 0.0
        rows += [_resource_row(*row, since) for row in step.rows]
    if step.why:
        rows.append(step.why)
    elif step.state is StepState.PENDING:
        rows.append(("Not started yet.", DIM))
    rows += [said(("$ ", DIM), command) for command in step.commands]
    if step.unanswered and at_work and step.state is StepState.RUNNING:
        rows.append((f"{step.unanswered[-1].operation} was sent; waiting for its answer.", DIM))
    elif step.unanswered:
        rows.append((f"▲ No answer to {step.unanswered[-1].operation} is known; it will be looked up.", WARN))
    if step.needless:
        rows.append(said((f"Nothing was done: {step.needless}", DIM)))
    if step.detail:
        rows.append((step.detail, BAD if step.state is StepState.FAILED else DIM))
    return lines(rows)


_NOT_UNDER_WAY = ("done", "failed", "begun", "yet")


def _resource_row(name: str, state: str, seconds: float, since: float) -> Content:
    """`since`: seconds since it was told, which count on for what is under way."""
    last = state.rpartition(" ")[2]
    tone = {"failed": BAD, "done": GOOD, "begun": DIM}.get(last, WARN)
    mark = MARKS[tone] if last in _NOT_UNDER_WAY else "▶"
    took = seconds if last in _NOT_UNDER_WAY else seconds + since
    return said((f"  {mark} ", tone), name, (f"  {state}{f'  {text.duration(took)}' if took else ''}", DIM))


def state_of(record: RunRecord, executor: Holder | None, known: bool = True) -> tuple[str, str]:
    """(words, tone): where the run stands."""
    if not record.runbook:
        return ("reading…", DIM) if not known else ("there is no such run", BAD)
    if record.finished:
        return record.outcome, _OUTCOMES.get(record.outcome, PLAIN)
    if executor is None:
        return "stopped: no process runs it. R resumes it", WARN
    if record.interrupting:
        return "is asked to stop", WARN
    if record.gate is not None:
        return "waits for an answer", WARN
    if record.waiting:
        here = f" ({LOGIN_KEY} logs in here)" if names_login(record.waiting) else ""
        return f"waits: {record.waiting}{here}", WARN
    return "runs", STRONG


def headline(record: RunRecord, executor: Holder | None, now: datetime, known: bool) -> Content:
    state, tone = state_of(record, executor, known)
    if not record.runbook:
        return said((f"Run {record.run}: {state}", tone))
    seconds = ((record.ended_at or now) - record.created_at).total_seconds() if record.created_at else 0.0
    waited = record.waited_seconds(now)
    for_person = f" + {text.duration(waited)} waiting" if waited >= _WORTH_SAYING_SECONDS else ""
    ids = [step.id for step in record.steps]
    place = f"step {ids.index(record.current) + 1} of {len(ids)}" if record.current in ids else f"{len(ids)} steps"
    dry = " · DRY RUN: nothing is changed" if record.dry_run else ""
    dry += f" · with profile {record.profile}" if record.profile else ""
    return lines(
        [
            said((record.title, STRONG), (f"  run {record.run}{dry}", DIM)),
            said((state, tone), (f" · {place} · {_clock(seconds - waited)}{for_person} · by {record.operator}", DIM)),
        ]
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True)
class Offers:
    """What `R` does where a run has ended."""

    resumes: bool = False
    rolls_back: bool = False


def offers(record: RunRecord, config: Config) -> Offers:
    """After a deploy or a rollback that changed something and failed, the next thing is rolling back; after others it would be
    another thing than what failed."""
    if config.read_only and not record.dry_run:
        return Offers()
    target = record.target
    is_known = target.service in config.services and target.environment in config.environments
    failed = record.outcome not in ("", "done", "interrupted") and record.changed and not record.dry_run
    rolls_back = failed and is_known and not target.is_module and record.runbook in ("deploy", "ecs-rollback")
    return Offers(resumes=record.resumable, rolls_back=rolls_back)


def ending(record: RunRecord, offered: Offers, now: datetime) -> Content:
    """What was done, when, by whom; what is left to do; what comes next."""
    tone = _OUTCOMES.get(record.outcome, PLAIN)
    since = f"{clock_time(record.created_at, now)} to {when(record.ended_at, now)}, by {record.operator}"
    rows: list[Part | Content] = [said((f"{record.title}: {record.outcome}", tone)), (since, DIM)]
    if record.ending:
        rows.append((record.ending, tone if record.outcome != "done" else PLAIN))
    changed = [step for step in record.steps if step.changes and step.state is StepState.DONE]
    if record.dry_run:
        rows.append("Dry run: nothing was changed.")
    elif changed or record.changed:
        rows += [_done(step, now) for step in changed]
        rows += [
            (f"▲ {step.title}: no answer to {call.operation} is known.", WARN)
            for step in record.steps
            for call in step.unanswered
        ]
    else:
        rows.append("Nothing was changed.")
    answers = [f"{accepted.gate}: {accepted.value}" for accepted in record.accepted]
    if answers:
        rows.append((f"Answers given: {'; '.join(answers)}", DIM))
    rows += [said(("▲ ", WARN), warning) for warning in record.warnings]
    for follow_up in record.follow_ups:
        rows.append(follow_up_story(follow_up))
    rows.append(_next(record, offered))
    return lines(rows)


def _done(step: StepRecord, now: datetime) -> Content:
    """A step that could change something: what it left, or that there was nothing to do."""
    if step.needless:
        return said(("– ", DIM), f"{step.title}: ", (f"nothing was done. {step.needless}", DIM))
    flags = [value for value in step.result.values() if isinstance(value, bool)]
    if flags and not any(flags):
        return said(("– ", DIM), f"{step.title}: ", ("nothing had to be done", DIM))
    return said(("✓ ", GOOD), f"{step.title}  ", (result_in_short(step.result, now), DIM))


def follow_up_story(follow_up: FollowUp) -> Content:
    mark = ("✓ ", GOOD) if follow_up.done else ("▲ Still to do: ", WARN)
    rows: list[Part | Content] = [said(mark, (follow_up.title, STRONG))]
    rows += [(line, {"+": GOOD, "-": BAD}.get(line[:1], PLAIN)) for line in follow_up.detail.splitlines()]
    if follow_up.file and follow_up.file not in follow_up.detail:
        rows.append(f"in {follow_up.file}:")
    if follow_up.key and follow_up.key not in follow_up.detail:
        rows.append(said((f"{follow_up.key} = {follow_up.value}", STRONG)))
    return lines(rows)


def _next(record: RunRecord, offered: Offers) -> Content:
    match record.outcome:
        case "done":
            following = "Next: the board shows how the service runs now."
            if record.target.is_module:
                following = "Next: x on the board shows what the services read of it."
            if any(not follow_up.done for follow_up in record.follow_ups):
                following = "Next: do the follow-ups; until then, a deploy may undo this."
            return said((following, STRONG))
        case "interrupted" if offered.resumes:
            return said(("Next: R resumes the run where it stopped.", STRONG))
        case "interrupted":
            going_on = f"infraconsole resume {record.run}"
            return said((f"Next: this console is read-only. Resume it elsewhere: {going_on}", STRONG))
        case "refused" if not record.changed:
            return said(("Next: nothing has to be undone. Fix the cause, then start again.", STRONG))
        case "refused":
            undo = " R rolls the service back." if offered.rolls_back else ""
            return said(
                (
                    f"Next: check the service, since earlier changes stay. Fix the cause, then start again.{undo}",
                    STRONG,
                )
            )
        case _ if offered.rolls_back:
            return said(
                ("Next: R rolls the service back to what served before; or fix the cause, then start again.", STRONG)
            )
    return said(("Next: look at the step that failed, fix the cause, then start again.", STRONG))
