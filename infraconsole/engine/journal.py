"""The journal: every event of every run in one SQLite file, append-only, each event chained to the one before by SHA-256.

It is the only link between executors and views. Executors append events; views read them, and leave requests (answers,
interrupts) in a second table that executors read. Beside the file stands `journal.head`, the last event's number and
hash: without it, a journal cut off at its end would still be a valid chain. Whoever writes looks first whether that event
is still there, and if it is not, records so for good: a person must be able to go on at night, and nothing is forgotten.
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
DAMAGE = "journal"
"""The name under which the journal keeps what was found wrong with it."""

_TRIGGERS = {
    f"{table}_{name}": f"CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    for table in ("events", "requests")
    for name, verb in (("keep", "UPDATE"), ("stay", "DELETE"))
}
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
    step TEXT NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (run, seq)
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, id) WHERE kind NOT IN ('output', 'progress');
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_run ON requests (run, id);
"""
_SCHEMA = _TABLES + "".join(f"{statement};\n" for statement in _TRIGGERS.values())


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
    """`events` were read, the last of them with the hash `head`; `remembered` is the head's number and hash, if any."""

    events: int
    head: str
    problems: tuple[Problem, ...]
    remembered: tuple[int, str] | None = None


class Journal:
    """Open (and, unless `create` is false, make) the journal in `folder`. Safe to use from several threads and processes.

    Raises JournalError where the file cannot be opened, read or written; the message names the file and the mend.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self.path = folder / "journal.db"
        self._head_path = folder / "journal.head"
        self._lock = threading.RLock()
        self._looked = False
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
                if not os.fstat(handle).st_size:  # from here on it is never empty again
                    os.pwrite(handle, _head_line(0, _GENESIS), 0)
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
        encoded = _encoded(data or {})
        with self._translated("written"), self._lock:
            with self._transaction():
                last = self._last()
                damage = self._damage(last)
                for found in damage:
                    noted = self._insert(last, DAMAGE, Kind.JOURNAL_DAMAGED, "", _encoded(found))
                    last = (noted.id, noted.hash)
                event = self._insert(last, run, kind, step, encoded)
            self._looked = True
            self._advance_head(event.id, event.hash, whatever_it_says=bool(damage))
        return event

    def _last(self) -> tuple[int, str]:
        found = self._db.execute("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return (found[0], found[1]) if found else (0, _GENESIS)

    def _insert(self, last: tuple[int, str], run: str, kind: Kind, step: str, encoded: str) -> Event:
        number, previous = last
        at = text.utc(datetime.now(UTC))
        seq = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE run = ?", (run,)).fetchone()[0]
        digest = _digest(number + 1, run, seq, at, kind, step, encoded, previous)
        self._db.execute(
            "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)",
            (number + 1, run, seq, at, kind, step, encoded, previous, digest),
        )
        return Event(number + 1, run, seq, text.from_utc(at), kind, step, json.loads(encoded), digest)

    def _damage(self, last: tuple[int, str]) -> list[dict[str, Any]]:
        """What is not as it was left: the head's event is gone or another, the head itself, or (the first time) a trigger."""
        head, number = _read_head(self._head_path), last[0]
        found: list[str] = []
        if head is None and number and not self._looked:
            found.append(f"{self._head_path.name} was missing when event {number} was the last one")
        elif head is not None and head[0] > number:
            found.append(f"events {number + 1} to {head[0]} were missing")
        elif head is not None and head[0] and not self._has(*head):
            found.append(f"event {head[0]} was not the one that {self._head_path.name} remembered")
        if not self._looked:
            for name in _wrong_triggers(self._db):
                found.append(f"the trigger {name}, which refuses changes, was missing or another")
                self._db.execute(f"DROP TRIGGER IF EXISTS {name}")
                self._db.execute(_TRIGGERS[name])
        expected = {"event": head[0], "hash": head[1]} if head else {}
        return [{"what": what, "expected": expected, "found": {"event": number, "hash": last[1]}} for what in found]

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
        """As `verify`, of this journal."""
        return verify(self.folder)

    def _has(self, number: int, digest: str) -> bool:
        row = self._db.execute("SELECT hash FROM events WHERE id = ?", (number,)).fetchone()
        return row is not None and row[0] == digest

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

    def _advance_head(self, number: int, digest: str, *, whatever_it_says: bool = False) -> None:
        """After the commit, and backwards only where damage was just recorded: a head that lags behind is weaker, one that runs
        ahead would be a lie."""
        with contextlib.suppress(OSError):
            handle = os.open(self._head_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                known = _read_head(self._head_path)
                if known is None or number > known[0] or whatever_it_says:
                    os.pwrite(handle, _head_line(number, digest), 0)
                    os.ftruncate(handle, len(_head_line(number, digest)))
            finally:
                os.close(handle)


def verify(folder: Path) -> Verification:
    """Recompute the whole chain and compare its end with `journal.head`; says where the first and each further break is.

    The file is only read, as far as it can be: nothing is mended or made before it is looked at. Raises JournalError where it may
    not be read at all.
    """
    path, head = folder / "journal.db", _read_head(folder / "journal.head")
    problems: list[Problem] = []
    hashes: dict[int, str] = {}
    number, digest, seqs = 0, _GENESIS, dict[str, int]()
    last = ""
    if path.exists():
        try:
            with contextlib.closing(_opened_for_reading(path)) as db:
                for row in db.execute(
                    "SELECT id, run, seq, at, kind, step, data, previous, hash FROM events ORDER BY id"
                ):
                    if not all(isinstance(value, str) for value in (row[1], *row[3:])) or not isinstance(row[2], int):
                        raise sqlite3.DatabaseError("what stands there is no event")
                    problems.extend(_check(row, number, digest, seqs))
                    number, digest, seqs[row[1]] = row[0], row[8], row[2]
                    last = f"event {number} of run {row[1]} ({row[3]})"
                    if head is not None and number == head[0]:
                        hashes[number] = digest
                problems += _structure(db, number)
        except sqlite3.DatabaseError as error:
            if "unable to open" in str(error) or "readonly" in str(error):
                raise JournalError(
                    f"The journal {path} cannot be read.",
                    cause=str(error),
                    mend="Look at the file and its folder's permissions.",
                ) from error
            whole = f"the last one that can be read is {last}" if last else "no event of it can be read"
            problems.append(Problem(number + 1, "", f"the file is damaged: {error}; {whole}"))
    if head is None and number:
        problems.append(Problem(number, "", "journal.head is missing: whether the end was cut off cannot be told"))
    elif head is not None and head[0] > number:
        there = f"{number} are there" if path.exists() else f"{path.name} is gone"
        problems.append(Problem(number + 1, "", f"cut short: {head[0]} events were written, {there}"))
    elif head is not None and head[0] and hashes.get(head[0]) != head[1]:
        problems.append(Problem(head[0], "", f"event {head[0]} is not the one that journal.head remembers"))
    return Verification(number, digest, tuple(problems), head)


def _opened_for_reading(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    # Without it SQLite refuses a file that is shorter than it should be, the part that is there included.
    db.execute("PRAGMA writable_schema = ON")
    return db


def _structure(db: sqlite3.Connection, number: int) -> Iterator[Problem]:
    for name in _wrong_triggers(db):
        yield Problem(0, "", f"the trigger {name}, which refuses changes, is missing or another")
    check = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if check != "ok":
        yield Problem(number, "", f"the file is damaged: {check}")


def _wrong_triggers(db: sqlite3.Connection) -> list[str]:
    there = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    return [name for name, statement in _TRIGGERS.items() if there.get(name) != statement]


def _read_head(path: Path) -> tuple[int, str] | None:
    try:
        number, digest = path.read_text().split()
        return int(number), digest
    except (OSError, ValueError):
        return None


def _head_line(number: int, digest: str) -> bytes:
    return f"{number:020d} {digest}".encode()


def _encoded(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


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
    if row[4] == Kind.JOURNAL_DAMAGED:
        yield Problem(row[0], row[1], f"{_found_then(row[6])} at {row[3]}, when event {row[0]} was written")


def _found_then(data: str) -> str:
    try:
        return str(json.loads(data)["what"])
    except (ValueError, KeyError, TypeError):
        return "the journal was damaged"
