"""The index of runs: what the lists show of each run, and which follow-ups are open, kept in the journal beside its events.

It is derived from the events and holds nothing of its own: each event brings it up to date in the same transaction, and where
it is missing or behind (an older infraconsole has written), it is made again from the events. `journal verify` compares it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infraconsole import text
from infraconsole.engine import chain
from infraconsole.engine.event import Event, Kind
from infraconsole.target import Target

if TYPE_CHECKING:
    from infraconsole.engine.history import RunRecord

APPLY_STEP = "apply"

_TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, runbook TEXT NOT NULL, title TEXT NOT NULL, service TEXT NOT NULL,
    environment TEXT NOT NULL, region TEXT NOT NULL, account TEXT NOT NULL, is_module INTEGER NOT NULL, target TEXT NOT NULL,
    operator TEXT NOT NULL, dry_run INTEGER NOT NULL, steps INTEGER NOT NULL, created_at TEXT NOT NULL, ended_at TEXT NOT NULL,
    outcome TEXT NOT NULL, gate TEXT NOT NULL, waiting TEXT NOT NULL, changed INTEGER NOT NULL, apply TEXT NOT NULL
) STRICT;
CREATE INDEX runs_open ON runs (id) WHERE outcome IN ('', 'interrupted');
CREATE INDEX runs_done ON runs (runbook, target, id) WHERE outcome = 'done' AND dry_run = 0;
CREATE INDEX runs_real ON runs (target, id) WHERE steps > 0 AND dry_run = 0;
CREATE INDEX runs_that_changed ON runs (service, environment, region, account, id) WHERE changed = 1;
CREATE INDEX runs_that_applied ON runs (target, id) WHERE apply <> '';
CREATE TABLE follow_ups (
    event INTEGER PRIMARY KEY, run TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, file TEXT NOT NULL
) STRICT;
CREATE TABLE indexed (one INTEGER PRIMARY KEY CHECK (one = 1), event INTEGER NOT NULL) STRICT;
INSERT INTO indexed VALUES (1, 0);
"""
_NAMES = ("runs", "follow_ups", "indexed")
COLUMNS = (
    "id, run, runbook, title, service, environment, region, account, is_module, operator, dry_run, steps, created_at, ended_at, "
    "outcome, gate, waiting, changed, apply"
)
_STORED = f"{COLUMNS}, target"
_EVENTS_A_BATCH = 10_000
"""Of events taken in between two commits: a run under way is not held up by an index that is made again."""

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
    Kind.RUN_FINISHED,
)
_TELLING_SQL = ", ".join(f"'{kind.value}'" for kind in _TELLING)


@dataclass(frozen=True)
class RunSummary:
    """A run as lists show it. `id` is the number of its first event in the journal: a later run has a greater one."""

    id: int
    run: str
    runbook: str = ""
    title: str = ""
    target: Target = field(default_factory=lambda: Target("", "", ""))
    operator: str = ""
    dry_run: bool = False
    steps: int = 0
    created_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    gate: str = ""
    """The title of the gate that is open."""
    waiting: str = ""
    changed: bool = False
    apply: str = ""
    """What its apply has left: `whole`, `half` (it stopped half way and the run is over), `open` (it can be resumed); "" where
    it applied nothing."""

    @property
    def finished(self) -> bool:
        return bool(self.outcome)

    @property
    def resumable(self) -> bool:
        """As RunRecord.resumable."""
        return self.outcome in ("", "interrupted") and bool(self.runbook)


def summary_of(record: RunRecord, number: int) -> RunSummary:
    """`number` is that of its first event in the journal."""
    target = record.target
    return RunSummary(
        number,
        record.run,
        text.storable(record.runbook),
        text.storable(record.title),
        Target(
            text.storable(target.service),
            text.storable(target.environment),
            text.storable(target.region),
            text.storable(target.account),
            target.is_module,
        ),
        text.storable(record.operator),
        bool(record.dry_run),
        len(record.steps),
        record.created_at,
        record.ended_at,
        text.storable(record.outcome),
        (text.storable(record.gate.gate.title) or "?") if record.gate else "",
        text.storable(record.waiting),
        bool(record.changed and record.overtakes),
        _applied(record),
    )


def _applied(record: RunRecord) -> str:
    step = next((known for known in record.steps if known.id == APPLY_STEP), None)
    if step is None or record.dry_run:
        return ""
    if step.state.value == "done":
        return "whole" if step.result.get("changed") else ""
    if step.sent or (record.former.get(APPLY_STEP) and record.changed and record.runbook == "deploy"):
        return "half" if record.finished and not record.resumable else "open"
    return ""


@functools.cache
def _schema() -> frozenset[tuple[str, str, str, str | None]]:
    """As SQLite keeps it: type, name, table and statement of whatever belongs to the index."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_TABLES)
        return frozenset(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def _found(db: sqlite3.Connection) -> list[tuple[str, str, str, str | None]]:
    """Whatever stands in its place, or hangs on it."""
    names = tuple(known[1] for known in _schema())
    return db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master "
        f"WHERE lower(tbl_name) IN ({','.join('?' * len(_NAMES))}) OR lower(name) IN ({','.join('?' * len(names))})",
        (*_NAMES, *names),
    ).fetchall()


def is_there(db: sqlite3.Connection) -> bool:
    """Whether it is made as this infraconsole makes it, with nothing else in its place."""
    return frozenset(_found(db)) == _schema()


def is_its_fault(error: Exception) -> bool:
    """Whether what failed can be helped by making the index again: something in it is not what infraconsole writes."""
    if not isinstance(error, sqlite3.Error):
        return isinstance(error, ValueError | TypeError)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # not SQLite has said it, but its module: text that is no UTF-8
        return isinstance(error, sqlite3.OperationalError | sqlite3.DataError)
    return code & 0xFF in (
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_SCHEMA,
    )


# Writing: always inside of the caller's transaction


class Keeper:
    """Brings the index up to date with every event that this process writes. It keeps the record of the runs that it writes, so
    that an event costs what one event costs."""

    def __init__(self) -> None:
        self._kept: dict[str, RunRecord] = {}

    def take_in(self, db: sqlite3.Connection, event: Event) -> None:
        """Behind the event's own insertion."""
        number = event.id
        if event.kind in (Kind.FOLLOW_UP_OPENED, Kind.FOLLOW_UP_DONE):
            _follow_up(db, event)
        elif event.kind in _TELLING:
            self._run(db, event)
        db.execute("UPDATE indexed SET event = ? WHERE one = 1 AND event = ?", (number, number - 1))

    def forget(self) -> None:
        """Where the transaction failed: what was kept may be ahead of what was written."""
        self._kept.clear()

    def _run(self, db: sqlite3.Connection, event: Event) -> None:
        from infraconsole.engine.history import RunRecord, understood

        first = _first_event(db, event.run)
        if first is None:
            return  # no run: the journal's own notes
        record = self._kept.get(event.run, RunRecord(event.run))
        if (
            record.seq
            and db.execute(
                f"SELECT 1 FROM events WHERE run = ? AND seq > ? AND seq < ? AND kind IN ({_TELLING_SQL}) LIMIT 1",
                (event.run, record.seq, event.seq),
            ).fetchone()
        ):
            record = RunRecord(event.run)  # somebody else has written, too
        record = understood(record, event) if record.seq or event.seq == 1 else _folded(db, event.run)
        self._kept[event.run] = record
        if event.kind == Kind.RUN_FINISHED:
            del self._kept[event.run]
        store(db, summary_of(record, first))


def catch_up(db: sqlite3.Connection) -> None:
    """Take in the next batch of events that the index does not know. Inside a transaction."""
    known, last = db.execute("SELECT (SELECT event FROM indexed), (SELECT coalesce(max(id), 0) FROM events)").fetchone()
    if known == last:
        return
    if known is None or known > last:  # the events are fewer than they were
        remake(db)
        known = 0
    upto = min(last, known + _EVENTS_A_BATCH)
    runs = db.execute("SELECT DISTINCT run FROM events WHERE id > ? AND id <= ?", (known, upto)).fetchall()
    for (run,) in runs:
        first = _first_event(db, run)
        if first is not None:
            store(db, summary_of(_folded(db, run), first))
    for event in _follow_up_events(db, known, upto):
        _follow_up(db, event)
    db.execute("UPDATE indexed SET event = ?", (upto,))


def remake(db: sqlite3.Connection) -> None:
    """Empty, whatever is in its place; whoever needs it next fills it from the events."""
    for kind in ("trigger", "view", "index", "table"):
        for name in [found[1] for found in _found(db) if found[0] == kind and found[3] is not None]:
            quoted = name.replace('"', '""')
            db.execute(f'DROP {kind} IF EXISTS "{quoted}"')
    for statement in _TABLES.split(";"):
        db.execute(statement)


def is_ahead(db: sqlite3.Connection, last: int) -> bool:
    """Whether it says to know events that are still to come."""
    return db.execute("SELECT 1 FROM indexed WHERE event > ?", (last,)).fetchone() is not None


def is_behind(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT (SELECT event FROM indexed) IS (SELECT coalesce(max(id), 0) FROM events)").fetchone()
    return bool(found[0] != 1)


# Proof


def problems(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Run and words of each entry that is not what the events say. One that is only behind is none."""
    if not _found(db):
        return  # made by whoever opens the journal
    try:
        if is_there(db):
            yield from [] if is_behind(db) else _differences(db)
            return
        words = "something else stands in its place"
    except (sqlite3.Error, ValueError, TypeError) as error:
        if not is_its_fault(error):
            raise
        words = str(error)
    yield "", f"the index of runs is not what infraconsole writes: {words}"


def _differences(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    stored = {summary.run: summary for summary in select(db)}
    created = db.execute("SELECT run, min(id) FROM events WHERE kind = ? GROUP BY run", (Kind.RUN_CREATED,)).fetchall()
    for run, first in created:
        if stored.pop(run, None) != summary_of(_folded(db, run), first):
            yield run, f"the index of runs says something else of run {run} than its events"
    for run in stored:
        yield run, f"the index of runs has a run {run} that has no events"
    expected: dict[int, FollowUpKey] = {}
    for event in _follow_up_events(db, 0, _EVERY):
        _follow(expected, event)
    if list(expected.items()) != [
        (row[0], row[1:]) for row in db.execute("SELECT event, run, id, title, file FROM follow_ups ORDER BY event")
    ]:
        yield "", "the index says something else of the open follow-ups than the events"


# Reading


def select(db: sqlite3.Connection, behind: str = "", values: Sequence[object] = ()) -> list[RunSummary]:
    """`behind` is what follows FROM runs, of constants of the code only."""
    targets: dict[tuple[Any, ...], Target] = {}
    return [_summary(row, targets) for row in db.execute(f"SELECT {COLUMNS} FROM runs {behind}", values)]


FollowUpKey = tuple[str, str, str, str]
"""Run, id, title, file."""
_EVERY = 2**62


def _first_event(db: sqlite3.Connection, run: str) -> int | None:
    found = (
        db.execute("SELECT id FROM runs WHERE run = ?", (run,)).fetchone()
        or db.execute(
            "SELECT id FROM events WHERE run = ? AND kind = ? ORDER BY seq LIMIT 1", (run, Kind.RUN_CREATED)
        ).fetchone()
    )
    return int(found[0]) if found else None


def _folded(db: sqlite3.Connection, run: str) -> RunRecord:
    from infraconsole.engine.history import RunRecord, understood

    record = RunRecord(run)
    sql = f"SELECT {chain.COLUMNS} FROM events WHERE run = ? AND kind IN ({_TELLING_SQL}) ORDER BY seq"
    for event in events_of(db.execute(sql, (run,))):
        record = understood(record, event)
    return record


def events_of(rows: Iterable[tuple[int, str, int, str, str, str, str, str]]) -> Iterator[Event]:
    """Of rows of chain.COLUMNS."""
    for row in rows:
        try:
            at, data = text.from_utc(row[3]), json.loads(row[6])
        except (ValueError, TypeError, RecursionError) as error:
            raise sqlite3.DatabaseError(f"event {row[0]} is not what infraconsole writes: {error}") from error
        yield Event(row[0], row[1], row[2], at, row[4], row[5], data, row[7])


def _follow_up_events(db: sqlite3.Connection, after: int, upto: int) -> Iterator[Event]:
    sql = (
        f"SELECT {chain.COLUMNS} FROM events WHERE kind IN ('{Kind.FOLLOW_UP_OPENED.value}', '{Kind.FOLLOW_UP_DONE.value}') "
        "AND kind NOT IN ('output', 'progress') AND id > ? AND id <= ? ORDER BY id"
    )
    return events_of(db.execute(sql, (after, upto)))


def _follow(known: dict[int, FollowUpKey], event: Event) -> None:
    """A later one of the same kind on the same file takes an earlier one's place."""
    if event.kind == Kind.FOLLOW_UP_DONE:
        of = str(event.data.get("of", event.run)), str(event.data.get("id", ""))
        gone = [number for number, key in known.items() if key[:2] == of]
    else:
        key = _key(event)
        gone = [number for number, other in known.items() if other[1:] == key[1:]]
        known[event.id] = key
    for number in gone:
        if number != event.id:
            known.pop(number, None)


def _follow_up(db: sqlite3.Connection, event: Event) -> None:
    known: dict[int, FollowUpKey] = {
        row[0]: row[1:] for row in db.execute("SELECT event, run, id, title, file FROM follow_ups")
    }
    before = dict(known)
    _follow(known, event)
    for number in before.keys() - known.keys():
        db.execute("DELETE FROM follow_ups WHERE event = ?", (number,))
    for number in known.keys() - before.keys():
        db.execute("INSERT INTO follow_ups VALUES (?,?,?,?,?)", (number, *known[number]))


def _key(event: Event) -> FollowUpKey:
    data = event.data
    return (
        event.run,
        text.storable(data.get("id", "")),
        text.storable(data.get("title", "")),
        text.storable(data.get("file", "")),
    )


def store(db: sqlite3.Connection, of: RunSummary) -> None:
    values = (
        of.id,
        of.run,
        of.runbook,
        of.title,
        of.target.service,
        of.target.environment,
        of.target.region,
        of.target.account,
        int(of.target.is_module),
        of.operator,
        int(of.dry_run),
        of.steps,
        text.utc(of.created_at) if of.created_at else "",
        text.utc(of.ended_at) if of.ended_at else "",
        of.outcome,
        of.gate,
        of.waiting,
        int(of.changed),
        of.apply,
        of.target.name,
    )
    db.execute("DELETE FROM runs WHERE id = ? OR run = ?", (of.id, of.run))
    db.execute(f"INSERT INTO runs ({_STORED}) VALUES ({','.join('?' * len(values))})", values)


def _summary(row: tuple[Any, ...], targets: dict[tuple[Any, ...], Target]) -> RunSummary:
    """`targets` are those of other rows: few differ."""
    place = row[4:9]
    if (target := targets.get(place)) is None:
        target = targets[place] = Target(row[4], row[5], row[6], row[7], bool(row[8]))
    return RunSummary(
        id=row[0],
        run=row[1],
        runbook=row[2],
        title=row[3],
        target=target,
        operator=row[9],
        dry_run=bool(row[10]),
        steps=row[11],
        created_at=text.from_utc(row[12]) if row[12] else None,
        ended_at=text.from_utc(row[13]) if row[13] else None,
        outcome=row[14],
        gate=row[15],
        waiting=row[16],
        changed=bool(row[17]),
        apply=row[18],
    )
