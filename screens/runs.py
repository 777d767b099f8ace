"""The runs as lists show them, from the journal's index of runs: no events are read for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infraconsole import text
from infraconsole.checks.row_facts import Left, RunFacts, ToDo
from infraconsole.errors import JournalError

if TYPE_CHECKING:
    from infraconsole.engine.history import FollowUp
    from infraconsole.engine.index import RunSummary
    from infraconsole.engine.journal import Journal
    from infraconsole.engine.locks import Holder
    from infraconsole.target import Target


def executor_of(folder: Path, run: str) -> Holder | None:
    """The process that carries the run out now; as `launch.executor_of`, without the engine behind that one."""
    from infraconsole.engine.locks import holder_of, run_lock

    return holder_of(run_lock(folder, run))


@dataclass(frozen=True)
class KnownRun:
    """A run and who is at it: `executor` is None where no process carries it out now. `trouble` says why that is not known."""

    record: RunSummary
    executor: Holder | None
    trouble: str = ""

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
            return "not known" if self.trouble else "stopped"
        if self.record.gate:
            return "waits for you"
        return "waits" if self.record.waiting else "runs"


@dataclass(frozen=True)
class BoardRuns:
    """What the board says of runs. `last`, `half_applied` and `follow_ups` are by the target's name."""

    unfinished: tuple[KnownRun, ...] = ()
    """The runs that somebody has to know of: those under way, and those that stopped, unless a later run changed their target:
    then they cannot be resumed. A dry run that stopped leaves nothing behind."""
    last: Mapping[str, KnownRun] = field(default_factory=dict)
    """The newest run that could change something."""
    half_applied: Mapping[str, KnownRun] = field(default_factory=dict)
    """The run whose apply stopped half way and is over, where no apply has come to its end since."""
    follow_ups: Mapping[str, tuple[FollowUp, ...]] = field(default_factory=dict)
    """Still to do."""

    @property
    def under_way(self) -> bool:
        return any(run.under_way for run in (*self.unfinished, *self.last.values()))


ExecutorOf = Callable[[Path, str], "Holder | None"]


def with_executors(journal: Journal, runs: Iterable[RunSummary], executor: ExecutorOf) -> tuple[KnownRun, ...]:
    return tuple(_known(journal, run, executor) for run in runs)


def _known(journal: Journal, run: RunSummary, executor: ExecutorOf) -> KnownRun:
    if run.outcome or not run.runbook:
        return KnownRun(run, None)
    try:
        return KnownRun(run, executor(journal.folder, run.run))
    except JournalError as error:
        return KnownRun(run, None, str(error))


def newest_runs(
    journal: Journal, limit: int, words: str = "", executor: ExecutorOf = executor_of
) -> tuple[tuple[KnownRun, ...], int]:
    """The newest runs, those among all that contain the words, newest first; and how many runs there are. Blocks: for a thread.
    Raises JournalError."""
    from infraconsole.engine import listing

    page = listing.newest(journal, limit)
    found = {run.id: run for run in page.runs}
    if words.strip() and page.total > len(found):
        found |= {run.id: run for run in listing.newest(journal, limit, words).runs}
    runs = (found[number] for number in sorted(found, reverse=True))
    return with_executors(journal, runs, executor), page.total


def under_way(journal: Journal, executor: ExecutorOf = executor_of) -> tuple[KnownRun, ...]:
    """Blocks: for a thread. Raises JournalError."""
    from infraconsole.engine import listing

    runs = with_executors(journal, listing.without_end(journal), executor)
    return tuple(run for run in runs if run.under_way)


def at_target(journal: Journal, target: Target, executor: ExecutorOf = executor_of) -> KnownRun | None:
    """The run that is at that target now, so that no other can begin; whichever account it is in. Blocks: for a thread. Raises
    JournalError."""
    known = (run for run in under_way(journal, executor) if not run.record.dry_run)
    wanted = (target.service, target.environment, target.region)
    return next((run for run in known if _place_of(run.record.target) == wanted), None)


def _place_of(target: Target) -> tuple[str, str, str]:
    return target.service, target.environment, target.region


def board_runs(journal: Journal, targets: Iterable[str], executor: ExecutorOf = executor_of) -> BoardRuns:
    """`targets` are their names. Blocks: for a thread. Raises JournalError."""
    from infraconsole.engine import followups, listing

    names = tuple(dict.fromkeys(targets))
    stopped = [run for run in with_executors(journal, listing.to_resume(journal), executor) if not run.under_way]
    found = {run.record.id: run for run in (*stopped, *under_way(journal, executor))}
    last = with_executors(journal, listing.last_of(journal, names).values(), executor)
    half = [run for run in listing.last_apply_of(journal, names).values() if run.apply == "half"]
    return BoardRuns(
        tuple(found[number] for number in sorted(found, reverse=True)),
        {run.record.target.name: run for run in last},
        {run.target.name: KnownRun(run, None) for run in half},
        followups.open_by_target(journal),
    )


def ended_since(before: BoardRuns, now: BoardRuns) -> frozenset[str]:
    """The names of the targets at which a run has come to its end since: it may have changed them."""

    def is_over(known: KnownRun | None) -> str:
        return known.record.run if known is not None and not known.under_way else ""

    return frozenset(
        target for target, run in now.last.items() if is_over(run) and is_over(run) != is_over(before.last.get(target))
    )


def left_of(runs: BoardRuns, target: str) -> Left:
    """What they have left at the target of that name."""
    unfinished = [run for run in runs.unfinished if run.record.target.name == target]
    known = next(
        iter((*sorted(unfinished, key=lambda run: not run.under_way), *filter(None, (runs.last.get(target),)))), None
    )
    half = runs.half_applied.get(target)
    return Left(
        _facts_of(known) if known else None,
        tuple(_facts_of(run) for run in unfinished),
        _facts_of(half) if half else None,
        tuple(ToDo(item.title, item.run) for item in runs.follow_ups.get(target, ())),
    )


def _facts_of(run: KnownRun) -> RunFacts:
    record = run.record
    at = record.ended_at or record.created_at
    return RunFacts(record.run, record.title, run.state, run.under_way, run.resumable, record.gate, at)


def sentence(run: KnownRun, now: datetime) -> str:
    """`ECS rollback: fileflow-prod (k3m9px) waits for you at “Choose the revision” since 4 min.`"""
    record = run.record
    since = text.ago(record.ended_at or record.created_at, now)
    if run.under_way:
        at = f" at “{record.gate}”" if record.gate else ""
        return f"{record.title} ({record.run}) {run.state}{at}, started {since} ago by {record.operator}"
    if run.trouble:
        return f"{record.title} ({record.run}) is not finished; whether a process still runs it is not known. {run.trouble}"
    return f"{record.title} ({record.run}) is not finished and no process runs it; started {since} ago by {record.operator}"
