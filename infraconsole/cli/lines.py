"""An event as lines of text, for terminals without the full screen."""

from __future__ import annotations

from collections.abc import Sequence

from infraconsole import text
from infraconsole.engine.event import Event, Kind, exit_code_of
from infraconsole.engine.gate import Gate

_LINE = 2_000


def event_lines(event: Event) -> Sequence[str]:
    """Harmless for any terminal. Some kinds say nothing."""
    return [text.line(line, _LINE) for line in _lines(event)]


def _lines(event: Event) -> Sequence[str]:
    data = event.data
    match event.kind:
        case Kind.RUN_CREATED:
            chosen = f" (with profile {data['profile']})" if data.get("profile_chosen") else ""
            return [f"run {event.run}: {data['title']}{' (dry run)' if data['dry_run'] else ''}{chosen}"]
        case Kind.RUN_STARTED:
            return [f"executor {data['pid']} {'goes on' if data['resumed'] else 'begins'}"]
        case Kind.STEP_STARTED:
            return [f"── {data['title']}", *(f"   $ {command}" for command in data["commands"])]
        case Kind.PROBED:
            return [f"   probe: {data['state']}. {data['detail']}"]
        case Kind.GATE_OPENED:
            return _gate(Gate.from_json(data["gate"]))
        case Kind.GATE_ANSWERED:
            return [f"   gate {data['gate']}: {data['by']} answered {data['value']}"]
        case Kind.GATE_REJECTED | Kind.GATE_REFUSED:
            return [f"   gate {data['gate']}: {data['why']}"]
        case Kind.CALL_INTENDED:
            return [f"   → {data['operation']}"]
        case Kind.CALL_DONE:
            code = exit_code_of(data)
            return [f"   ← {data['operation']} {f'ended with exit code {code}' if code else 'answered'}"]
        case Kind.CALL_FAILED:
            return [f"   ← {data['operation']} failed: {data['error']}"]
        case Kind.OUTPUT:
            return [f"     {line}" for line in data["lines"]]
        case Kind.PROGRESS:
            return [f"   … {data['text']}"]
        case Kind.NOTE:
            return [f"   {'! ' if data['level'] == 'warning' else ''}{data['text']}"]
        case Kind.EVIDENCE:
            return [f"   evidence: {data['name']}, SHA-256 {data['sha256'][:16]}…"]
        case Kind.FOLLOW_UP_OPENED:
            return [f"   to do: {data['title']}", *(f"     {line}" for line in data["detail"].splitlines())]
        case Kind.FOLLOW_UP_DONE:
            return [f"   done: {data['detail']}"]
        case Kind.WAITING:
            return [f"   waiting: {data['reason']}", f"   {data['mend']}"]
        case Kind.WAITING_OVER:
            return [f"   going on: {data['reason']}"]
        case Kind.STEP_SKIPPED:
            return [f"   skipped: {data['reason']}"]
        case Kind.STEP_FAILED:
            return [f"   failed: {part}" for part in (data["title"], *data["cause"].splitlines(), data["mend"]) if part]
        case Kind.REWOUND:
            return [f"   back to {data['to']}: {data['reason']}"]
        case Kind.INTERRUPT_REQUESTED:
            return [f"   interrupt asked for by {data['by']}"]
        case Kind.RUN_FINISHED:
            detail = [part for part in (data["title"], *data["cause"].splitlines(), data["mend"]) if part]
            return [
                f"── {data['outcome']}",
                *(f"   {part}" for part in detail),
                *(f"   ! {warning}" for warning in data["warnings"]),
            ]
    return []


def _gate(gate: Gate) -> Sequence[str]:
    lines = [f"   gate {gate.id} ({gate.kind.value}): {gate.title}"]
    if gate.notice:
        lines.append(f"     asked again, what was answered does not hold any more: {gate.notice}")
    lines += [f"     {change}" for change in gate.changes]
    lines += [f"     cannot be undone: {loss}" for loss in gate.irreversible]
    lines += [f"     $ {command}" for command in gate.commands]
    for choice in gate.choices:
        sign = "✗" if choice.why_not else "*" if choice.recommended else " "
        lines.append(f"     {sign} {choice.id}: {choice.title}{f' ({choice.why_not})' if choice.why_not else ''}")
    return lines
