"""The proof: recomputes the journal's whole chain and compares it with whatever else knows of it: `journal.head`, the requests, the
runs' folder, the index of runs and the records of what was archived.

The file is only read: nothing is repaired or made before it is looked at. What no look at the file can tell is whether somebody
has rewritten all of it, head included; that takes an anchor outside (`anchor.py`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.engine import chain, index, storage_errors
from infraconsole.engine.event import Kind
from infraconsole.errors import JournalError

UNPROVED = "A journal that was rewritten as a whole, with its head, looks whole: only an anchor outside tells (`journal anchor`)."


Gap = tuple[int, int, str, str]

_TYPES = (int, str, int, *(6 * (str,)))
"""Of chain.ROW."""


@dataclass(frozen=True)
class Problem:
    """Where a journal is not what was written. `event` is the journal-wide number, 0 where there is none. `derived`: of the index,
    which is made again from the events, and nothing is lost."""

    event: int
    run: str
    what: str
    derived: bool = False


@dataclass(frozen=True)
class Archived:
    """What one archive took out of the journal, as the event says that the journal keeps of it."""

    event: int
    file: str
    events: int
    runs: tuple[str, ...]
    digest: str
    gaps: tuple[Gap, ...]
    """First and last event, the last one's hash, and the hash of the event before the first."""


@dataclass(frozen=True)
class Verification:
    """`events` is the number of the last event that was read, with the hash `head`; `remembered` is the head's number and hash, if
    any. `beyond`: what could not be looked at, and why."""

    events: int
    head: str
    problems: tuple[Problem, ...]
    remembered: tuple[int, str] | None = None
    archives: tuple[Archived, ...] = ()
    beyond: tuple[str, ...] = ()
    anchored: Mapping[int, str] = field(default_factory=dict)
    """Of the event numbers that were asked for: the hashes that stand there."""


def no_journal(path: Path) -> JournalError:
    return JournalError(f"There is no journal at {path}.", mend="The first run makes it.")


def is_begun(folder: Path) -> bool:
    """Whether there is, or was, a journal."""
    return any((folder / name).exists() for name in ("journal.db", chain.HEAD_FILE))


def verify(folder: Path, *, anchored: frozenset[int] = frozenset(), newest: int = 0) -> Verification:
    """Says where the first and each further break is. Raises JournalError where there never was one, or where it cannot be read.

    `anchored` are event numbers whose hashes the caller compares with something outside. `newest`: only so many of the last
    events are looked at (all where it is 0), and neither the index, nor the runs' folder, nor the file as a whole, so that it
    takes no longer for a long journal.
    """
    return _Look(folder, anchored, newest).taken()


@dataclass
class _Look:
    folder: Path
    anchored: frozenset[int]
    newest: int = 0
    begin: int = 0
    """The event before the first one that is looked at."""
    problems: list[Problem] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)
    number: int = 0
    digest: str = chain.GENESIS
    last: str = ""
    seqs: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[int, int, str, str, str]] = field(default_factory=list)
    """First and last missing event, the hash that the next one names, that of the one before, and the next one's run."""
    archives: list[Archived] = field(default_factory=list)
    asked: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    """By request: the event that it led to, its run, and the hash that the event keeps."""
    started: set[str] = field(default_factory=set)

    def taken(self) -> Verification:
        path = self.folder / "journal.db"
        head_path = self.folder / chain.HEAD_FILE
        head = chain.read_head(head_path)
        if not is_begun(self.folder):
            raise no_journal(path)
        wanted = self.anchored | ({head[0]} if head else set())
        if path.exists():
            try:
                with contextlib.closing(self._opened(path)) as db:
                    self._begin(db, wanted)
                    self._read_chain(db, wanted)
                    self._settle_gaps()
                    self._read_requests(db)
                    self._read_structure(db)
                    if not self.newest:
                        self._read_index(db)
            except OSError as error:
                raise files.unread(error, path, JournalError) from error
            except sqlite3.DatabaseError as error:
                self._unreadable(path, error)
        if not self.newest and not any("file is damaged" in problem.what for problem in self.problems):
            self._compare_folder()
        self._compare_head(head, head_path, is_there=path.exists())
        anchored = {number: digest for number, digest in self.hashes.items() if number in self.anchored}
        return Verification(
            self.number, self.digest, tuple(self.problems), head, tuple(self.archives), tuple(self.beyond), anchored
        )

    def _opened(self, path: Path) -> sqlite3.Connection:
        """Where nothing can be written beside it, as on read-only media, the file alone is read."""
        try:
            db = chain.open_read_only(path)
            try:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except BaseException:
                db.close()
                raise
        except sqlite3.OperationalError as error:
            primary = error.sqlite_errorcode & 0xFF
            if primary not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
                raise
            db = chain.open_read_only(path, immutable=True)
            wal = path.with_name(f"{path.name}-wal")
            if wal.exists() and wal.stat().st_size:
                self.beyond.append(
                    f"{wal.name} could not be read with it: events that stand only there are missing here. "
                    "Copy both files to a folder that can be written, and verify there."
                )
        return db

    # The chain

    def _begin(self, db: sqlite3.Connection, wanted: set[int] | frozenset[int]) -> None:
        """Where only the newest events are looked at: behind which one, and what is known of those before."""
        sql = "SELECT id, hash FROM events ORDER BY id DESC LIMIT 1 OFFSET ?"
        found = db.execute(sql, (self.newest,)).fetchone() if self.newest else None
        if found is None:
            return
        self.begin = self.number = found[0]
        self.digest = found[1]
        for number in wanted:
            row = db.execute("SELECT hash FROM events WHERE id = ? AND id <= ?", (number, self.begin)).fetchone()
            if row is not None:
                self.hashes[number] = row[0]
        sql = f"SELECT id, data FROM events WHERE kind = '{Kind.JOURNAL_ARCHIVED.value}' AND kind NOT IN ('output', 'progress') "
        archived = (archived_of(*row) for row in db.execute(f"{sql} AND id <= ?", (self.begin,)))
        self.archives += [each for each in archived if each is not None]

    def _read_chain(self, db: sqlite3.Connection, wanted: set[int] | frozenset[int]) -> None:
        for row in db.execute(f"SELECT {chain.ROW} FROM events WHERE id > ? ORDER BY id", (self.begin,)):
            if tuple(map(type, row)) != _TYPES:
                raise sqlite3.DatabaseError("what stands there is no event")
            if not self._is_next(row):
                self.problems.extend(self._checked(row))
            self._note(row)
            self.number, self.digest, self.seqs[row[1]] = row[0], row[8], row[2]
            self.last = f"event {row[0]} of run {row[1]} ({row[3]})"
            if row[0] in wanted:
                self.hashes[row[0]] = row[8]

    def _is_next(self, row: tuple[Any, ...]) -> bool:
        """Whether there is nothing to say of it: of a hundred thousand events at once, that is all that may take time."""
        place = (self.number + 1, self.digest, self._expected(row))
        is_chained = (row[0], row[7], row[2]) == place and chain.digest(*row[:8]) == row[8]
        return is_chained and row[4] != Kind.JOURNAL_DAMAGED

    def _expected(self, row: tuple[Any, ...]) -> int:
        """Of a run whose beginning is not looked at, whatever its first event here says."""
        known = self.seqs.get(row[1], 0)
        return int(row[2]) if self.begin and not known else known + 1

    def _checked(self, row: tuple[Any, ...]) -> Iterator[Problem]:
        if row[0] != self.number + 1:
            self.gaps.append((self.number + 1, row[0] - 1, row[7], self.digest, row[1]))
        elif row[7] != self.digest:
            yield Problem(row[0], row[1], f"event {row[0]} does not follow the one before it")
        expected = self._expected(row)
        if row[2] != expected:
            yield Problem(row[0], row[1], f"event {row[0]} is number {row[2]} of its run; {expected} was expected")
        if chain.digest(*row[:8]) != row[8]:
            yield Problem(row[0], row[1], f"event {row[0]} was changed after it was written")
        if row[4] == Kind.JOURNAL_DAMAGED:
            yield Problem(row[0], row[1], f"{_found_then(row[6])} at {row[3]}, when event {row[0]} was written")

    def _note(self, row: tuple[Any, ...]) -> None:
        """What is compared later on."""
        kind = row[4]
        if kind == Kind.RUN_STARTED:
            if '"log":true' in row[6]:
                self.started.add(row[1])
        elif kind == Kind.JOURNAL_ARCHIVED:
            if (archived := archived_of(row[0], row[6])) is not None:
                self.archives.append(archived)
            else:
                self.problems.append(Problem(row[0], row[1], f"event {row[0]} does not say what was archived"))
        elif '"request":{' in row[6] and kind not in (Kind.OUTPUT, Kind.PROGRESS):
            self._note_request(row)

    def _note_request(self, row: tuple[Any, ...]) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            request = json.loads(row[6])["request"]
            self.asked[int(request["id"])] = (row[0], row[1], str(request["hash"]))

    def _settle_gaps(self) -> None:
        """A gap is what was archived, with the same neighbours, or a loss."""
        known = _joined(gap for archive in self.archives for gap in archive.gaps)
        for first, last, named, before, run in self.gaps:
            if known.get((first, last)) == (named, before):
                continue
            missing = f"event {first} is" if first == last else f"events {first} to {last} are"
            told = " and is not what was archived" if any(a <= first <= b for a, b in known) else ""
            self.problems.append(Problem(first, run, f"{missing} missing{told}"))
        self.problems.sort(key=lambda problem: problem.event)

    # What hangs on it

    def _read_requests(self, db: sqlite3.Connection) -> None:
        """Whatever a request led to is an event that keeps its hash; one that led to nothing has no weight, whatever it says."""
        for number, (event, run, digest) in sorted(self.asked.items()):
            sql = f"SELECT {chain.REQUEST} FROM requests WHERE id = ?"
            row = db.execute(sql, (number,)).fetchone() if abs(number) < 2**63 else None
            if row is None:
                self.problems.append(Problem(event, run, f"request {number}, which led to event {event}, is missing"))
            elif chain.digest_of_request(*chain.request_row(row)) != digest:
                self.problems.append(Problem(event, run, f"request {number} was changed after it led to event {event}"))

    def _read_structure(self, db: sqlite3.Connection) -> None:
        for name in chain.wrong_triggers(db):
            self.problems.append(Problem(0, "", f"the trigger {name}, which refuses changes, is missing or another"))
        if self.newest:
            return
        check = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if check != "ok":
            self.problems.append(Problem(self.number, "", f"the file is damaged: {check}"))

    def _read_index(self, db: sqlite3.Connection) -> None:
        if self.problems:
            return  # it is made of events that are not whole
        self.problems += [Problem(0, run, what, derived=True) for run, what in index.problems(db)]

    def _compare_folder(self) -> None:
        """A run's executor writes a log beside the journal, and says so."""
        folder = self.folder / "runs"
        try:
            there = {path.name.partition(".")[0] for path in folder.iterdir()} if folder.exists() else set()
        except OSError as error:
            self.beyond.append(f"{folder} cannot be read: {error.strerror or error}.")
            return
        archived = {run for archive in self.archives for run in archive.runs}
        known = set(self.seqs) | archived
        for run in sorted(there - known):
            self.problems.append(
                Problem(0, run, f"{folder.name}/ has files of a run {run} that the journal does not know")
            )
        if not folder.exists():
            if self.started:
                self.beyond.append(f"There is no {folder}: the files of {len(self.started)} runs are not here.")
            return
        for run in sorted(self.started - there):
            self.problems.append(Problem(0, run, f"the files of run {run} are gone from {folder.name}/"))

    def _compare_head(self, head: tuple[int, str] | None, path: Path, *, is_there: bool) -> None:
        if head is None and self.number:
            what = "is missing" if not path.exists() else "cannot be read as one"
            self.problems.append(
                Problem(self.number, "", f"{path.name} {what}: whether the end was cut off cannot be told")
            )
        elif head is not None and head[0] > self.number:
            there = f"{self.number} are there" if is_there else "journal.db is gone"
            self.problems.append(Problem(self.number + 1, "", f"cut short: {head[0]} events were written, {there}"))
        elif head is not None and head[0] and self.hashes.get(head[0]) != head[1]:
            self.problems.append(Problem(head[0], "", f"event {head[0]} is not the one that journal.head remembers"))

    def _unreadable(self, path: Path, error: sqlite3.DatabaseError) -> None:
        primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY):
            mend = storage_errors.mend(error, path)
            raise JournalError(f"The journal {path} cannot be read.", cause=str(error), mend=mend) from error
        if not self.last and not _holds_events(path):
            self.problems.append(Problem(1, "", f"no event is in it: {_without_its_wal(path)}"))
            return
        whole = f"the last one that can be read is {self.last}" if self.last else "no event of it can be read"
        self.problems.append(Problem(self.number + 1, "", f"the file is damaged: {error}; {whole}"))


def _holds_events(path: Path) -> bool:
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(chain.open_read_only(path)) as db:
        return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is not None
    return True  # that cannot be told, and something else is wrong


def _without_its_wal(path: Path) -> str:
    wal = f"{path.name}-wal"
    if path.with_name(wal).exists():
        return f"neither there nor in {wal}"
    return f"they may stand in {wal}, which is not beside it. Copy the whole folder"


def archived_of(event: int, data: str) -> Archived | None:
    """What a journal-archived event says; None where it is none."""
    try:
        told = json.loads(data)
        gaps = tuple((int(first), int(last), str(digest), str(before)) for first, last, digest, before in told["gaps"])
        return Archived(
            event, str(told["file"]), int(told["events"]), tuple(map(str, told["runs"])), str(told["digest"]), gaps
        )
    except (ValueError, KeyError, TypeError):
        return None


def _joined(gaps: Iterable[Gap]) -> dict[tuple[int, int], tuple[str, str]]:
    """What archives took side by side is one gap, where the one follows the other."""
    joined: list[Gap] = []
    for first, last, digest, before in sorted(gaps):
        if joined and (joined[-1][1] + 1, joined[-1][2]) == (first, before):
            joined[-1] = (joined[-1][0], last, digest, joined[-1][3])
        else:
            joined.append((first, last, digest, before))
    return {(first, last): (digest, before) for first, last, digest, before in joined}


def _found_then(data: str) -> str:
    try:
        return str(json.loads(data)["what"])
    except (ValueError, KeyError, TypeError):
        return "the journal was damaged"
