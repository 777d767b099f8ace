"""The runs as lists show them, from the few events that say how a run stands: no output is read for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infraconsole import text
from infraconsole.engine.event import Event, Kind

if TYPE_CHECKING:
    from infraconsole.engine.history import FollowUp, RunRecord
    from infraconsole.engine.journal import Journal
    from infraconsole.engine.locks import Holder

_APPLY = "apply"
_NEVER = datetime.min.replace(tzinfo=UTC)
_TELLING = (
    Kind.RUN_CREATED,
    Kind.RUN_STARTED,
    Kind.STEP_STARTED,
    Kind.STEP_FINISHED,
    Kind.STEP_SKIPPED,
    Kind.STEP_FAILED,
    Kind.REWOUND,
    Kind.GATE_OPENED,
    Kind.GATE_ANSWERED,
    Kind.GATE_REFUSED,
    Kind.CALL_INTENDED,
    Kind.CALL_DONE,
    Kind.CALL_FAILED,
    Kind.WAITING,
    Kind.WAITING_OVER,
    Kind.FOLLOW_UP_OPENED,
    Kind.FOLLOW_UP_DONE,
    Kind.RUN_FINISHED,
)


def executor_of(folder: Path, run: str) -> Holder | None:
    """The process that carries the run out now; as `launch.executor_of`, without the engine behind that one."""
    from infraconsole.engine.locks import holder_of, run_lock

    return holder_of(run_lock(folder, run))


@dataclass(frozen=True)
class KnownRun:
    """A run and who is at it: `executor` is None where no process carries it out now."""

    record: RunRecord
    executor: Holder | None

    @property
    def under_way(self) -> bool:
        return self.executor is not None

    @property
    def resumable(self) -> bool:
        return self.executor is None and self.record.resumable

    @property
    def state(self) -> str:
        """In a word or two: waiting for an answer, running, failed, …"""
        if self.record.finished:
            return self.record.outcome
        if self.executor is None:
            return "stopped"
        if self.record.gate is not None:
            return "waits for you"
        return "waits" if self.record.waiting else "runs"


def known_runs(journal: Journal, executor: Callable[[Path, str], Holder | None] = executor_of) -> tuple[KnownRun, ...]:
    """All runs, the newest first. Blocks: for a thread. Raises JournalError."""
    from infraconsole.engine.history import RunRecord

    records: dict[str, RunRecord] = {}
    for event in journal.events_of_kind(*_TELLING):
        # What closes a follow-up is written under another name than the run that opened it.
        run = str(event.data.get("of", event.run)) if event.kind == Kind.FOLLOW_UP_DONE else event.run
        records[run] = _advanced(records.get(run, RunRecord(run)), event)
    return tuple(
        KnownRun(record, executor(journal.folder, record.run) if record.resumable else None)
        for record in sorted(records.values(), key=lambda record: record.created_at or _NEVER, reverse=True)
    )


def _advanced(record: RunRecord, event: Event) -> RunRecord:
    """As `history.advanced`, but a run that a newer version wrote is shown as far as it is understood."""
    from infraconsole.engine.history import advanced

    try:
        return advanced(record, event)
    except (KeyError, TypeError, ValueError, StopIteration):
        return record


def unfinished(runs: Sequence[KnownRun]) -> tuple[KnownRun, ...]:
    """The runs that somebody has to know of: those under way, and those that stopped, unless a later run changed their target:
    then they cannot be resumed. A dry run that stopped leaves nothing behind."""
    overtaken: set[str] = set()
    found = []
    for run in runs:
        stopped = run.resumable and not run.record.dry_run
        if run.under_way or (stopped and run.record.target.key not in overtaken):
            found.append(run)
        if run.record.changed:
            overtaken.add(run.record.target.key)
    return tuple(found)


def open_follow_ups(runs: Sequence[KnownRun], target_name: str) -> tuple[FollowUp, ...]:
    return tuple(
        follow_up
        for run in runs
        if run.record.target.name == target_name
        for follow_up in run.record.follow_ups
        if not follow_up.done
    )


def last_run(runs: Sequence[KnownRun], target_name: str) -> KnownRun | None:
    """The newest one that could change something; a dry run or a look at a secret says nothing of how the target stands."""
    real = (run for run in runs if run.record.steps and not run.record.dry_run)
    return next((run for run in real if run.record.target.name == target_name), None)


def half_applied(runs: Sequence[KnownRun]) -> Mapping[str, KnownRun]:
    """By target: the run whose apply stopped half way and is over, where no apply has come to its end since."""
    newest: dict[str, KnownRun | None] = {}
    for run in runs:
        record = run.record
        apply = next((step for step in record.steps if step.id == _APPLY), None)
        if apply is None or record.dry_run or record.target.name in newest:
            continue
        if apply.state.value == "done":
            if apply.result.get("changed"):
                newest[record.target.name] = None
        elif apply.sent or (record.former.get(_APPLY) and record.changed and record.runbook == "deploy"):
            newest[record.target.name] = run if record.finished and not record.resumable else None
    return {name: run for name, run in newest.items() if run is not None}


def half_applied_words(run: KnownRun, now: datetime) -> str:
    ended = run.record.ended_at
    since = f" {text.ago(ended, now)} ago" if ended else ""
    return f"the apply of run {run.record.run} stopped half way{since}: a deploy plans what is left."


def sentence(run: KnownRun, now: datetime) -> str:
    """`ECS rollback: fileflow-prod (k3m9px) waits for you at “Choose the revision” since 4 min.`"""
    record = run.record
    since = text.ago(record.ended_at or record.created_at, now)
    if run.under_way:
        at = f" at “{record.gate.gate.title}”" if record.gate else ""
        return f"{record.title} ({record.run}) {run.state}{at}, begun {since} ago by {record.operator}"
    return f"{record.title} ({record.run}) is not finished and nobody carries it out; begun {since} ago by {record.operator}"
