"""A run as a document for people: Markdown for the incident's page. Times in UTC, as evidence has them."""

from __future__ import annotations

from collections.abc import Sequence

from infraconsole import text
from infraconsole.engine.event import Event, Kind, exit_code_of
from infraconsole.engine.history import RunRecord


def as_markdown(record: RunRecord, events: Sequence[Event]) -> str:
    """What was done, when, by whom, the evidence and the follow-ups."""
    head = [
        f"# {_inline(record.title)}",
        "",
        f"- Run: `{record.run}` ({record.runbook})",
        f"- Target: {_inline(str(record.target))}",
        f"- Operator: {_inline(record.operator)}",
        f"- Began: {text.utc(record.created_at) if record.created_at else '-'}",
        f"- Ended: {text.utc(record.ended_at) if record.ended_at else '-'}",
        f"- Outcome: {record.outcome or 'not finished'}{' (dry run)' if record.dry_run else ''}",
    ]
    steps = ["", "## Steps", "", "| step | state | began | ended |", "| --- | --- | --- | --- |"]
    for step in record.steps:
        began = text.utc(step.started_at) if step.started_at else "-"
        ended = text.utc(step.ended_at) if step.ended_at else "-"
        steps.append(f"| {_inline(step.title)} | {step.state.value} | {began} | {ended} |")
    timeline = ["", "## Timeline", ""]
    timeline += [f"- {text.utc(event.at)} {said}" for event in events if (said := _said(event))]
    follow_ups = ["", "## Follow-ups", ""] if record.follow_ups else []
    for known in record.follow_ups:
        follow_ups += [f"- [{'x' if known.done else ' '}] {_inline(known.title)}", "", *_fenced(known.detail), ""]
    return "\n".join([*head, *steps, *timeline, *follow_ups]) + "\n"


def _said(event: Event) -> str:
    data = event.data
    match event.kind:
        case Kind.GATE_ANSWERED:
            return f"gate {data['gate']} answered `{_inline(data['value'])}` by {_inline(data['by'])}"
        case Kind.GATE_REFUSED:
            return f"gate {data['gate']} refused: {_inline(data['why'])}"
        case Kind.CALL_INTENDED:
            return f"sending {data['operation']}"
        case Kind.CALL_DONE:
            code = exit_code_of(data)
            return f"{data['operation']} " + (f"ended with exit code {code}" if code else "succeeded")
        case Kind.CALL_FAILED:
            return f"{data['operation']} failed: {_inline(data['error'])}"
        case Kind.NOTE:
            return f"{'warning: ' if data['level'] == 'warning' else ''}{_inline(data['text'])}"
        case Kind.STEP_FAILED:
            return f"step {event.step} failed: {_inline(data['title'])} {_inline(data['cause'])}"
        case Kind.EVIDENCE:
            return f"evidence {_inline(data['name'])}, SHA-256 `{data['sha256']}`"
        case Kind.INTERRUPT_REQUESTED:
            return f"interrupt asked for by {_inline(data['by'])}"
        case Kind.RUN_FINISHED:
            return f"finished: {data['outcome']} {_inline(data['title'])}".rstrip()
    return ""


def _inline(value: str) -> str:
    """Outside text in one line of Markdown: what would be markup there is escaped."""
    harmless = text.line(value)
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in harmless)


def _fenced(value: str) -> tuple[str, ...]:
    fence = "```"
    while fence in value:
        fence += "`"
    return (fence, text.block(value), fence)
