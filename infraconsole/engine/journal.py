"""The journal: every event of every run in one SQLite file, append-only, each event chained to the one before by SHA-256.

It is the only link between executors and views. Executors append events; views read them, and leave requests (answers,
interrupts) in a second table that executors read. Beside the file stands `journal.head`, the last event's number and
hash: without it, a journal cut off at its end would still be a valid chain. Whoever writes looks first whether that event
is still there, and if it is not, records so for good: a person must be able to go on at night, and nothing is forgotten.

Lists never read events: an index of runs is kept in the same file (`index.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from infraconsole import clock, text
from infraconsole.engine import chain, index, locks, storage_errors
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.verify import Verification, no_journal, verify
from infraconsole.errors import JournalError, UnknownName

_T = TypeVar("_T")
DAMAGE = "journal"
"""The name under which the journal keeps what was found wrong with it."""
_SUGGESTED = 200
"""Of the newest runs, for who mistyped one."""


_GREATEST = "\U0010ffff"
"""Behind whatever a run's id goes on with."""


@dataclass(frozen=True)
class Request:
    """What a view asks of a run's executor: kind `answer` (opening, gate, value) or `interrupt` (level). `hash` is what an event
    that it leads to keeps of it. `trouble` says why it cannot be understood; its data is empty then."""

    id: int
    run: str
    at: datetime | None
    kind: str
    by: str
    data: Mapping[str, Any]
    hash: str = ""
    trouble: str = ""

    def reference(self) -> dict[str, object]:
        """What an event keeps of the request that led to it."""
        return {"id": self.id, "hash": self.hash}


class Journal:
    """Open (and, unless `create` is false, make) the journal in `folder`. Safe to use from several threads and processes.

    Raises JournalError where the file cannot be opened, read or written; the message names the file and the mend.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self.path = folder / "journal.db"
        self._head_path = folder / chain.HEAD_FILE
        self._lock = threading.RLock()
        self._index = index.Keeper()
        self._looked = False
        with self._translated("opened"):
            if create:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not self.path.exists():
                    self.path.touch(mode=0o600)
            elif not self.path.exists():
                raise no_journal(self.path)
            chain.refuse_what_is_no_file(self.path)
            self._db = sqlite3.connect(
                self.path, timeout=chain.BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._db.execute("PRAGMA synchronous = FULL")
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        """Make the file what it has to be. Behind a lock of our own: SQLite does not wait for one when it turns to WAL."""
        if self._is_prepared():
            return
        with self._head_held() as head:
            if self._is_prepared():
                return
            version = self._version()
            if not os.fstat(head).st_size:  # from here on it is never empty again
                os.pwrite(head, chain.head_line(0, chain.GENESIS), 0)
            if version < 1:
                self._db.execute("PRAGMA journal_mode = WAL")
            tables = chain.TABLES if version < 1 else ""
            self._db.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version = {chain.SCHEMA_VERSION}; COMMIT;")
            with self._transaction():
                index.remake(self._db)

    def _is_prepared(self) -> bool:
        version = self._version()
        if version > chain.SCHEMA_VERSION:
            raise JournalError(f"{self.path} was written by a newer infraconsole.", mend="Upgrade infraconsole.")
        return version == chain.SCHEMA_VERSION and index.is_there(self._db)

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Events

    def append(self, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Event:
        """Write one event; on return it is on the disk. Raises JournalError, and then nothing was written."""
        encoded = chain.encoded(data or {})
        with self.writing() as write:
            return write(run, kind, step, encoded)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[str, Kind, str, str], Event]]:
        """One transaction, which begins with what is found wrong and ends on the disk: `write` (run, kind, step, encoded data)
        inserts an event in it. Where the block raises, nothing was written."""
        written: list[Event] = []
        # The head first, and waited for outside of our own lock: who reads in another thread is not held up.
        with self._translated("written"), self._head_held() as head, self._lock:
            try:
                with self._transaction():
                    last = self._last()
                    damage = self._damage(last)
                    if damage or not index.is_there(self._db) or index.is_ahead(self._db, last[0]):
                        index.remake(self._db)

                    def write(run: str, kind: Kind, step: str, encoded: str) -> Event:
                        run, step = text.storable(run), text.storable(step)
                        before = (written[-1].id, written[-1].hash) if written else last
                        event = self._insert(before, run, kind, step, encoded)
                        written.append(event)
                        self._take_in(event)
                        return event

                    for found in damage:
                        write(DAMAGE, Kind.JOURNAL_DAMAGED, "", chain.encoded(found))
                    yield write
            except BaseException:
                self._index.forget()
                raise
            self._looked = True
            if written:
                self._advance_head(head, written[-1], whatever_it_says=bool(damage))

    def _take_in(self, event: Event) -> None:
        """The index is derived, and never a reason not to write: where something in it stands in the way, it is made again."""
        self._db.execute("SAVEPOINT index_of_runs")
        try:
            self._index.take_in(self._db, event)
            is_garbage = False
        except (sqlite3.Error, ValueError, TypeError) as error:
            if not index.is_its_fault(error):
                raise
            is_garbage = True
        if is_garbage:  # only here: the error would keep the query open, and its table could not go
            self._db.execute("ROLLBACK TO index_of_runs")
            self._index.forget()
            index.remake(self._db)
        self._db.execute("RELEASE index_of_runs")

    @property
    def database(self) -> sqlite3.Connection:
        """For what is done inside of `writing`, by the archive."""
        return self._db

    def _last(self) -> tuple[int, str]:
        found = self._db.execute("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return (found[0], found[1]) if found else (0, chain.GENESIS)

    def _insert(self, last: tuple[int, str], run: str, kind: Kind, step: str, encoded: str) -> Event:
        number, previous = last
        at = text.utc(clock.now())
        seq = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE run = ?", (run,)).fetchone()[0]
        digest = chain.digest(number + 1, run, seq, at, kind, step, encoded, previous)
        self._db.execute(
            "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)",
            (number + 1, run, seq, at, kind, step, encoded, previous, digest),
        )
        return Event(number + 1, run, seq, text.from_utc(at), kind, step, json.loads(encoded), digest)

    def _damage(self, last: tuple[int, str]) -> list[dict[str, Any]]:
        """What is not as it was left: the head's event is gone or another, the head itself, or (the first time) a trigger."""
        head, number = chain.read_head(self._head_path), last[0]
        found: list[str] = []
        if head is None and number and not self._looked:
            found.append(f"{self._head_path.name} was missing when event {number} was the last one")
        elif head is not None and head[0] > number:
            found.append(f"events {number + 1} to {head[0]} were missing")
        elif head is not None and head[0] and not self._has(*head):
            found.append(f"event {head[0]} was not the one that {self._head_path.name} remembered")
        if not self._looked:
            for name in chain.wrong_triggers(self._db):
                found.append(f"the trigger {name}, which refuses changes, was missing or another")
                self._db.execute(f"DROP TRIGGER IF EXISTS {name}")
                self._db.execute(chain.TRIGGERS[name])
        expected = {"event": head[0], "hash": head[1]} if head else {}
        return [{"what": what, "expected": expected, "found": {"event": number, "hash": last[1]}} for what in found]

    def head(self) -> tuple[int, str]:
        """Number and hash of the last event: what an anchor outside has to keep."""
        return self.read(lambda _: self._last())

    def events(self, run: str, *, after: int = 0, limit: int | None = None, brief: bool = False) -> list[Event]:
        """The run's events with `seq` greater than `after`, in order; `brief` leaves out output and progress."""
        less = "AND kind NOT IN ('output', 'progress')" if brief else ""
        sql = f"SELECT {chain.COLUMNS} FROM events WHERE run = ? AND seq > ? {less} ORDER BY seq LIMIT ?"
        return self._events(sql, (run, after, -1 if limit is None else limit))

    def events_of_kind(self, *kinds: Kind) -> list[Event]:
        """All events of these kinds (not output or progress), over all runs, in order."""
        marks = ",".join("?" * len(kinds))
        return self._events(
            f"SELECT {chain.COLUMNS} FROM events WHERE kind IN ({marks}) AND kind NOT IN ('output', 'progress') ORDER BY id",
            kinds,
        )

    def last_event(self, run: str) -> Event | None:
        found = self._events(f"SELECT {chain.COLUMNS} FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1", (run,))
        return found[0] if found else None

    def step_result(self, run: str, step: str) -> Mapping[str, Any]:
        """What the step left in a run that is done; empty where it was left out."""
        sql = f"SELECT {chain.COLUMNS} FROM events WHERE run = ? AND step = ? AND kind IN (?, ?) ORDER BY seq DESC LIMIT 1"
        for event in self._events(sql, (run, step, Kind.STEP_FINISHED, Kind.STEP_SKIPPED)):
            result = event.data.get("result")
            return result if isinstance(result, dict) else {}
        return {}

    def open_follow_ups(self) -> list[Event]:
        """The events that opened what is still to do, in order."""
        columns = ", ".join(f"events.{column}" for column in chain.COLUMNS.split(", "))
        sql = (  # CROSS: SQLite looks up the few open ones among the events, and not the other way round
            f"SELECT {columns} FROM follow_ups CROSS JOIN events ON events.id = follow_ups.event ORDER BY follow_ups.event"
        )
        return self.indexed(lambda db: list(index.events_of(db.execute(sql))))

    def is_known(self, run: str) -> bool:
        """Whether the journal has an event of that run."""
        return self.last_event(run) is not None

    def run_ids(self) -> list[str]:
        """All runs, the newest first."""
        return self.indexed(lambda db: [row[0] for row in db.execute("SELECT run FROM runs ORDER BY id DESC")])

    def resolve(self, run: str) -> str:
        """The id of the run that `run` names: whole, or its unambiguous beginning; `last` is the newest. Raises UnknownName."""

        def look(db: sqlite3.Connection) -> list[str]:
            newest = "SELECT run FROM runs ORDER BY id DESC LIMIT ?"
            if run == "last":
                return [row[0] for row in db.execute(newest, (1,))]
            for sql, values in (
                ("SELECT run FROM runs WHERE run = ?", (run,)),
                ("SELECT run FROM runs WHERE run >= ? AND run < ? ORDER BY run LIMIT 2", (run, run + _GREATEST)),
            ):
                found = [row[0] for row in db.execute(sql, values)]
                if found:
                    return found
            return []

        plain = run.encode(errors="replace").decode()
        found = self.indexed(look) if plain == run else []
        if len(found) != 1 or not run:
            sql = "SELECT run FROM runs ORDER BY id DESC LIMIT ?"
            known = self.indexed(lambda db: [row[0] for row in db.execute(sql, (_SUGGESTED,))])
            raise UnknownName("run", run, known, mend="`infraconsole journal` lists the runs.")
        return found[0]

    def data_version(self) -> int:
        """Changes whenever another connection has written: a cheap reason to look again."""
        return self.read(lambda db: int(db.execute("PRAGMA data_version").fetchone()[0]))

    # Requests

    def ask(self, run: str, kind: str, by: str, data: Mapping[str, Any]) -> None:
        """Leave a request for the run's executor."""
        with self._translated("written"), self._lock, self._transaction():
            self._db.execute(
                "INSERT INTO requests (run, at, kind, by, data) VALUES (?,?,?,?,?)",
                (run, text.utc(clock.now()), kind, text.storable(by), json.dumps(data)),
            )

    def requests(self, run: str, *, after: int = 0) -> list[Request]:
        """Whatever stands in the table, as far as it can be understood."""
        sql = f"SELECT {chain.REQUEST} FROM requests WHERE run = ? AND id > ? ORDER BY id"
        return self.read(lambda db: [_request(chain.request_row(row)) for row in db.execute(sql, (run, after))])

    # Proof

    def verify(self) -> Verification:
        """As `verify`, of this journal."""
        return verify(self.folder)

    # How it reads and writes

    def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """What `query` answers. Raises JournalError."""
        with self._translated("read"), self._lock:
            return query(self._db)

    def indexed(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """As `read`, of the index of runs, which is brought up to date first, and made again where it cannot be understood."""
        with self._translated("read"):
            try:
                return self._caught_up(query)
            except (sqlite3.Error, ValueError, TypeError) as error:
                if not index.is_its_fault(error):
                    raise
            self.remake_index()
            return self._caught_up(query)

    def _caught_up(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        while True:
            with self._lock:
                if not index.is_behind(self._db):
                    return query(self._db)
                with self._transaction():
                    index.catch_up(self._db)

    def remake_index(self) -> None:
        """From the events, by whoever reads it next."""
        with self._translated("written"), self._lock, self._transaction():
            index.remake(self._db)

    def _has(self, number: int, digest: str) -> bool:
        row = self._db.execute("SELECT hash FROM events WHERE id = ?", (number,)).fetchone()
        return row is not None and row[0] == digest

    def _events(self, sql: str, values: Sequence[object]) -> list[Event]:
        return self.read(lambda db: list(index.events_of(db.execute(sql, values))))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            mend = storage_errors.mend(error, self.path)
            raise JournalError(f"The journal {self.path} cannot be {verb}.", cause=str(error), mend=mend) from error

    def _head_held(self) -> contextlib.AbstractContextManager[int]:
        """A handle on `journal.head`, locked."""
        return locks.held(self._head_path, chain.BUSY_SECONDS)

    def _advance_head(self, head: int, event: Event, *, whatever_it_says: bool) -> None:
        """After the commit, and backwards only where damage was just recorded: a head that lags behind is weaker, one that runs
        ahead would be a lie. One that cannot be written stays behind: the event is on the disk."""
        with contextlib.suppress(OSError):
            known = chain.read_head(self._head_path)
            if known is None or event.id > known[0] or whatever_it_says:
                line = chain.head_line(event.id, event.hash)
                os.pwrite(head, line, 0)
                os.ftruncate(head, len(line))


def _request(row: tuple[int, str, str, str, str, str]) -> Request:
    at: datetime | None = None
    trouble = ""
    data: Any = {}
    try:
        for value in row[1:]:
            value.encode()  # bytes that are no text
        at, data = text.from_utc(row[2]), json.loads(row[5])
        if not isinstance(data, dict):
            data, trouble = {}, "it is no table of fields"
    except (ValueError, TypeError, RecursionError) as error:
        data, trouble = (
            {},
            "its text is not UTF-8" if isinstance(error, UnicodeError) else f"it cannot be read: {error}",
        )
    kind, by = text.storable(row[3]), text.storable(row[4])
    return Request(row[0], row[1], at, kind, by, data, chain.digest_of_request(*row), trouble)
