"""The journal: every event of every run in one SQLite file, append-only, each event chained to the one before by SHA-256.

It is the only link between executors and views. Executors append events; views read them, and leave requests (answers,
interrupts) in a second table that executors read. Beside the file stands `journal.head`, the last event's number and
hash: without it, a journal cut off at its end would still be a valid chain.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infraconsole import text
from infraconsole.engine.event import Event, Kind
from infraconsole.errors import JournalError, UnknownName

_SCHEMA_VERSION = 1
_GENESIS = "0" * 64
_BUSY_SECONDS = 15.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
    step TEXT NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (run, seq)
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, id) WHERE kind NOT IN ('output', 'progress');
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_run ON requests (run, id);
CREATE TRIGGER IF NOT EXISTS events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS requests_keep BEFORE UPDATE ON requests BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS requests_stay BEFORE DELETE ON requests BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


@dataclass(frozen=True)
class Request:
    """What a view asks of a run's executor: kind `answer` (opening, gate, value) or `interrupt` (level)."""

    id: int
    run: str
    at: datetime
    kind: str
    by: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Where a journal is not what was written. `event` is the journal-wide number, 0 where there is none."""

    event: int
    run: str
    what: str


@dataclass(frozen=True)
class Verification:
    events: int
    head: str
    problems: tuple[Problem, ...]


class Journal:
    """Open (and, unless `create` is false, make) the journal in `folder`. Safe to use from several threads and processes.

    Raises JournalError where the file cannot be opened, read or written; the message names the file and the mend.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self.path = folder / "journal.db"
        self._head_path = folder / "journal.head"
        self._lock = threading.RLock()
        with self._translated("opened"):
            if create:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.path.touch(mode=0o600)
            elif not self.path.exists():
                raise JournalError(f"There is no journal at {self.path}.", mend="It is made by the first run.")
            self._db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._db.execute("PRAGMA synchronous = FULL")
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        """Make the file what it has to be. Behind a lock of our own: SQLite does not wait for one when it turns to WAL."""
        handle = os.open(self._head_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _SCHEMA_VERSION:
                raise JournalError(f"{self.path} was written by a newer infraconsole.", mend="Upgrade infraconsole.")
            if version < _SCHEMA_VERSION:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        finally:
            os.close(handle)

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
        at = text.utc(datetime.now(UTC))
        encoded = json.dumps(data or {}, sort_keys=True, separators=(",", ":"))
        with self._translated("written"), self._lock, self._transaction():
            last = self._db.execute("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1").fetchone() or (0, _GENESIS)
            seq = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE run = ?", (run,)).fetchone()[0]
            number = last[0] + 1
            digest = _digest(number, run, seq, at, kind, step, encoded, last[1])
            self._db.execute(
                "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)",
                (number, run, seq, at, kind, step, encoded, last[1], digest),
            )
        self._advance_head(number, digest)
        return Event(number, run, seq, text.from_utc(at), kind, step, json.loads(encoded), digest)

    def events(self, run: str, *, after: int = 0, limit: int | None = None, brief: bool = False) -> list[Event]:
        """The run's events with `seq` greater than `after`, in order; `brief` leaves out output and progress."""
        less = "AND kind NOT IN ('output', 'progress')" if brief else ""
        sql = f"SELECT {_COLUMNS} FROM events WHERE run = ? AND seq > ? {less} ORDER BY seq LIMIT ?"
        return self._events(sql, (run, after, -1 if limit is None else limit))

    def events_of_kind(self, *kinds: Kind) -> list[Event]:
        """All events of these kinds (not output or progress), over all runs, in order."""
        marks = ",".join("?" * len(kinds))
        return self._events(
            f"SELECT {_COLUMNS} FROM events WHERE kind IN ({marks}) AND kind NOT IN ('output', 'progress') ORDER BY id",
            kinds,
        )

    def last_event(self, run: str) -> Event | None:
        found = self._events(f"SELECT {_COLUMNS} FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1", (run,))
        return found[0] if found else None

    def run_ids(self) -> list[str]:
        """All runs, the newest first."""
        with self._translated("read"), self._lock:
            return [
                row[0]
                for row in self._db.execute(
                    "SELECT run FROM events WHERE kind = ? ORDER BY id DESC", (Kind.RUN_CREATED,)
                )
            ]

    def resolve(self, run: str) -> str:
        """The id of the run that `run` names: whole, or its unambiguous beginning; `last` is the newest. Raises UnknownName."""
        runs = self.run_ids()
        found = (
            runs[:1]
            if run == "last"
            else [known for known in runs if known == run] or [known for known in runs if known.startswith(run)]
        )
        if len(found) != 1 or not run:
            raise UnknownName("run", run, runs, mend="`infraconsole journal` lists the runs.")
        return found[0]

    def data_version(self) -> int:
        """Changes whenever another connection has written: a cheap reason to look again."""
        with self._translated("read"), self._lock:
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    # Requests

    def ask(self, run: str, kind: str, by: str, data: Mapping[str, Any]) -> None:
        """Leave a request for the run's executor."""
        with self._translated("written"), self._lock, self._transaction():
            self._db.execute(
                "INSERT INTO requests (run, at, kind, by, data) VALUES (?,?,?,?,?)",
                (run, text.utc(datetime.now(UTC)), kind, by, json.dumps(data)),
            )

    def requests(self, run: str, *, after: int = 0) -> list[Request]:
        with self._translated("read"), self._lock:
            rows = self._db.execute(
                "SELECT id, run, at, kind, by, data FROM requests WHERE run = ? AND id > ? ORDER BY id", (run, after)
            )
            return [Request(row[0], row[1], text.from_utc(row[2]), row[3], row[4], json.loads(row[5])) for row in rows]

    # Proof

    def verify(self) -> Verification:
        """Recompute the whole chain and compare its end with `journal.head`; says where the first and each further break is."""
        problems: list[Problem] = []
        number, digest, seqs = 0, _GENESIS, dict[str, int]()
        try:
            with self._lock:
                for row in self._db.execute(
                    "SELECT id, run, seq, at, kind, step, data, previous, hash FROM events ORDER BY id"
                ):
                    problems.extend(_check(row, number, digest, seqs))
                    number, digest = row[0], row[8]
                    seqs[row[1]] = row[2]
                check = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                problems.append(Problem(number, "", f"the file is damaged: {check}"))
        except sqlite3.DatabaseError as error:
            problems.append(Problem(number + 1, "", f"the file cannot be read after event {number}: {error}"))
        head = self._head()
        if head is None and number:
            problems.append(
                Problem(number, "", f"{self._head_path.name} is missing: whether the end was cut off cannot be told")
            )
        elif head is not None and head[0] > number:
            problems.append(Problem(number + 1, "", f"cut short: {head[0]} events were written, {number} are there"))
        elif head is not None and head[0] and not self._has(*head):
            problems.append(
                Problem(head[0], "", f"event {head[0]} is not the one that {self._head_path.name} remembers")
            )
        return Verification(number, digest, tuple(problems))

    def _has(self, number: int, digest: str) -> bool:
        with contextlib.suppress(sqlite3.DatabaseError), self._lock:
            row = self._db.execute("SELECT hash FROM events WHERE id = ?", (number,)).fetchone()
            return row is not None and row[0] == digest
        return True  # an unreadable file is reported already

    def _events(self, sql: str, values: Sequence[object]) -> list[Event]:
        with self._translated("read"), self._lock:
            return [
                Event(r[0], r[1], r[2], text.from_utc(r[3]), r[4], r[5], json.loads(r[6]), r[7])
                for r in self._db.execute(sql, values)
            ]

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
            words = str(error)
            mend = (
                "Free space on that disk; the run can be resumed."
                if "full" in words or "disk" in words
                else "Look at the file and its folder's permissions."
            )
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                mend = "Keep the file for evidence, run `infraconsole journal verify`, and set INFRACONSOLE_STATE to a new folder."
            raise JournalError(f"The journal {self.path} cannot be {verb}.", cause=words, mend=mend) from error

    def _head(self) -> tuple[int, str] | None:
        try:
            number, digest = self._head_path.read_text().split()
            return int(number), digest
        except (OSError, ValueError):
            return None

    def _advance_head(self, number: int, digest: str) -> None:
        """After the commit, and never backwards: a head that lags behind is weaker, one that runs ahead would be a lie."""
        with contextlib.suppress(OSError):
            handle = os.open(self._head_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                known = self._head()
                if known is None or number > known[0]:
                    os.pwrite(handle, f"{number:020d} {digest}".encode(), 0)
            finally:
                os.close(handle)


_COLUMNS = "id, run, seq, at, kind, step, data, hash"


def _digest(number: int, run: str, seq: int, at: str, kind: str, step: str, data: str, previous: str) -> str:
    return hashlib.sha256("\n".join((str(number), run, str(seq), at, kind, step, data, previous)).encode()).hexdigest()


def _check(row: tuple[Any, ...], number: int, digest: str, seqs: Mapping[str, int]) -> Iterator[Problem]:
    if row[0] != number + 1:
        missing = f"event {number + 1} is" if row[0] == number + 2 else f"events {number + 1} to {row[0] - 1} are"
        yield Problem(number + 1, row[1], f"{missing} missing")
    elif row[7] != digest:
        yield Problem(row[0], row[1], f"event {row[0]} does not follow the one before it")
    if row[2] != seqs.get(row[1], 0) + 1:
        yield Problem(
            row[0], row[1], f"event {row[0]} is number {row[2]} of its run; {seqs.get(row[1], 0) + 1} was expected"
        )
    if _digest(*row[:8]) != row[8]:
        yield Problem(row[0], row[1], f"event {row[0]} was changed after it was written")
