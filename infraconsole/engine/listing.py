"""What lists ask of the journal's index of runs: each a query, none of which reads more for more runs than it shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infraconsole import text
from infraconsole.engine import index
from infraconsole.engine.history import RunRecord
from infraconsole.engine.index import RunSummary
from infraconsole.engine.journal import Journal
from infraconsole.target import Target

_MOST = 2**63 - 1
"""SQLite knows no greater number."""
_MOST_OPEN = 500
"""Of runs that have no end; more of them nobody looks through."""
_EVERY = 2**62
_SAME_TARGET = "service = ? AND environment = ? AND region = ? AND account = ?"
_SEARCHED = ("run", "title", "runbook", "target", "region", "account", "operator", "outcome")
_WORDS = "(" + " || ' ' || ".join(_SEARCHED) + ")"
_NOT_OVERTAKEN = (
    "dry_run = 0 AND NOT EXISTS (SELECT 1 FROM runs AS later WHERE later.changed = 1 AND later.service = runs.service "
    "AND later.environment = runs.environment AND later.region = runs.region AND later.account = runs.account "
    "AND later.id > runs.id)"
)


@dataclass(frozen=True)
class Page:
    """`total` is how many runs there are at all."""

    runs: tuple[RunSummary, ...]
    total: int


def newest(journal: Journal, limit: int | None, words: str = "") -> Page:
    """The newest runs that contain every one of the words, whatever their case; all without a `limit`."""
    wanted = words.lower().split()
    where = " AND ".join(f"instr(lower({_WORDS}), ?) > 0" for _ in wanted)
    behind = f"{f'WHERE {where}' if where else ''} ORDER BY id DESC LIMIT ?"
    values = (*(text.storable(word) for word in wanted), -1 if limit is None else min(limit, _MOST))

    def look(db: sqlite3.Connection) -> Page:
        total = db.execute("SELECT count(*) FROM runs").fetchone()[0]
        return Page(tuple(index.select(db, behind, values)), total)

    return journal.indexed(look)


def without_end(journal: Journal) -> list[RunSummary]:
    """The newest runs that an executor may be at, newest first. Said twice, so that SQLite sees that its small index will do."""
    behind = "WHERE outcome = '' AND outcome IN ('', 'interrupted') ORDER BY id DESC LIMIT ?"
    return journal.indexed(lambda db: index.select(db, behind, (_MOST_OPEN,)))


def to_resume(journal: Journal) -> list[RunSummary]:
    """The newest runs that ended by interruption or have no end, and that no later run overtook, newest first."""
    behind = f"WHERE outcome IN ('', 'interrupted') AND runbook <> '' AND {_NOT_OVERTAKEN} ORDER BY id DESC LIMIT ?"
    return journal.indexed(lambda db: index.select(db, behind, (_MOST_OPEN,)))


def resumable(journal: Journal) -> list[RunSummary]:
    """All that have no end or ended by interruption."""
    behind = "WHERE outcome IN ('', 'interrupted') AND runbook <> '' ORDER BY id DESC"
    return journal.indexed(lambda db: index.select(db, behind))


def over(journal: Journal, limit: int, *, before: int | None = None) -> list[RunSummary]:
    """The newest runs that no executor will ever take up again, of those before the run with that number."""
    behind = "WHERE outcome <> '' AND (outcome <> 'interrupted' OR runbook = '') AND id < ? ORDER BY id DESC LIMIT ?"
    values = (_EVERY if before is None else before, limit)
    return journal.indexed(lambda db: index.select(db, behind, values))


def last_of(journal: Journal, targets: Iterable[str]) -> Mapping[str, RunSummary]:
    """By target's name: the newest run that could change something; a dry run or a look at a secret says nothing of the target."""
    return _newest_of(journal, targets, "steps > 0 AND dry_run = 0")


def last_apply_of(journal: Journal, targets: Iterable[str]) -> Mapping[str, RunSummary]:
    """By target's name: the newest run whose apply changed something, or may have."""
    return _newest_of(journal, targets, "apply <> ''")


def _newest_of(journal: Journal, targets: Iterable[str], where: str) -> Mapping[str, RunSummary]:
    behind = f"WHERE target = ? AND {where} ORDER BY id DESC LIMIT 1"

    def look(db: sqlite3.Connection) -> dict[str, RunSummary]:
        found = {target: index.select(db, behind, (target,)) for target in targets}
        return {target: runs[0] for target, runs in found.items() if runs}

    return journal.indexed(look)


def changed_after(journal: Journal, record: RunRecord) -> str:
    """The newest run that changed the same target, or may have, after this one began; "" where none did."""
    behind = (
        f"WHERE changed = 1 AND {_SAME_TARGET} AND is_module = ? AND id > (SELECT id FROM runs WHERE run = ?) "
        "ORDER BY id DESC LIMIT 1"
    )
    values = (*_of(record.target), int(record.target.is_module), record.run)
    return next((found.run for found in journal.indexed(lambda db: index.select(db, behind, values))), "")


def done_before(journal: Journal, record: RunRecord, limit: int, runbook: str = "") -> list[RunSummary]:
    """The newest runs of the same runbook, or of `runbook`, on the same target that are done, this one aside."""
    behind = (
        f"WHERE outcome = 'done' AND dry_run = 0 AND runbook = ? AND target = ? AND {_SAME_TARGET} AND is_module = ? "
        "AND run <> ? ORDER BY id DESC LIMIT ?"
    )
    target = record.target
    values = (runbook or record.runbook, target.name, *_of(target), int(target.is_module), record.run, limit)
    return journal.indexed(lambda db: index.select(db, behind, values))


def run_before(journal: Journal, record: RunRecord) -> RunSummary | None:
    """The newest run of the same runbook on the same target that is no dry run, of those before this one."""
    behind = (
        f"WHERE dry_run = 0 AND runbook = ? AND target = ? AND {_SAME_TARGET} AND is_module = ? "
        "AND id < (SELECT id FROM runs WHERE run = ?) ORDER BY id DESC LIMIT 1"
    )
    target = record.target
    values = (record.runbook, target.name, *_of(target), int(target.is_module), record.run)
    return next(iter(journal.indexed(lambda db: index.select(db, behind, values))), None)


def targets_of(journal: Journal, runs: Iterable[str]) -> Mapping[str, str]:
    """The name of each run's target."""

    def look(db: sqlite3.Connection) -> dict[str, str]:
        found = {run: db.execute("SELECT target FROM runs WHERE run = ?", (run,)).fetchone() for run in runs}
        return {run: row[0] for run, row in found.items() if row}

    return journal.indexed(look)


def _of(target: Target) -> tuple[str, str, str, str]:
    return target.service, target.environment, target.region, target.account
