"""The archive: runs that ended long ago are moved out of the journal into a file of their own, and the chain is kept.

The archive holds the very rows, hashes included. The journal keeps an event that says which events are gone, the hash of the last
one of each gap, and a digest over all of them: a verification accepts no other gap, and the archive can be held against it.

It can be killed at any point. The file is whole, read back and on the disk before anything leaves the journal; what leaves it does
so in one transaction with the event that says so, in which the file is read once more; and the next `archive` moves the files that
were left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from infraconsole import text
from infraconsole.engine import chain, index, listing, locks, storage_errors
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.index import RunSummary
from infraconsole.engine.journal import DAMAGE, Journal
from infraconsole.engine.verify import Archived, Problem, archived_of, verify
from infraconsole.errors import JournalError, TargetBusy, UsageError

ARCHIVE = "archive"
"""The name under which the journal keeps what was archived."""
_LOCK = "archive.lock"
"""Held by the one process that archives: another one would take its file for what a killed one left."""
_ROWS_AT_ONCE = 1_000
_REQUEST = "id, run, at, kind, by, data"


@dataclass(frozen=True)
class Done:
    """`kept` ended early enough, and stays: something still needs it."""

    file: Path
    runs: int
    events: int
    kept: int


@dataclass
class _Content:
    """What an archive holds, counted while it is read."""

    events: int = 0
    first: int = 0
    last: int = 0
    head: str = ""
    gaps: list[list[int | str]] = field(default_factory=list)
    _sum: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, number: int, digest: str, previous: str) -> None:
        """`previous` is the hash of the event before it, which the chain has whether that one goes or stays."""
        if self.gaps and self.last + 1 == number:
            self.gaps[-1][1:3] = [number, digest]
        else:
            self.gaps.append([number, number, digest, previous])
        self.events += 1
        self.first = self.first or number
        self.last, self.head = number, digest
        self._sum.update(f"{number} {digest}\n".encode())

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()


def default_file(journal: Journal, before: datetime) -> Path:
    folder = journal.folder / "archive"
    names = (f"journal-before-{before:%Y-%m-%d}{f'-{number}' if number > 1 else ''}.db" for number in range(1, 10_000))
    return next(
        file for file in (folder / name for name in names) if not os.path.lexists(file) or _is_left(journal, file)
    )


def archives(journal: Journal) -> tuple[Archived, ...]:
    told = ((event.id, chain.encoded(event.data)) for event in journal.events_of_kind(Kind.JOURNAL_ARCHIVED))
    return tuple(found for number, data in told if (found := archived_of(number, data)) is not None)


def archive(journal: Journal, before: datetime, file: Path | None, operator: str) -> Done:
    """Move the runs that ended before that time, those aside that something still needs. Without a `file`, to one of its own.

    One at a time. Raises JournalError, UsageError, and TargetBusy while a run is under way.
    """
    lock = journal.folder / _LOCK
    try:
        with locks.held(lock, chain.BUSY_SECONDS):
            return _archived(journal, before, file or default_file(journal, before), operator)
    except OSError as error:
        raise locks.unusable(lock, error) from error


def _archived(journal: Journal, before: datetime, file: Path, operator: str) -> Done:
    _must_be_quiet(journal)
    _move_what_was_left(journal)
    _must_be_whole(journal)
    early, chosen = _choose(journal, before)
    if not chosen:
        return Done(file, 0, 0, len(early))
    about = {"before": text.utc(before), "file": str(file.absolute()), "by": operator}
    with _translated(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_room(journal, file)
    intent = journal.append(ARCHIVE, Kind.JOURNAL_ARCHIVING, data=about)
    # What the head remembers has to stay, also where this process is killed before the head moves on.
    head = chain.read_head(journal.folder / chain.HEAD_FILE)
    if head is None or head[0] < intent.id:
        raise JournalError(f"{chain.HEAD_FILE} cannot be written, and nothing was archived.", mend="Check the disk.")
    runs = [run.run for run in chosen]
    with _translated(file):
        _write(journal, runs, file)
    _must_be_quiet(journal)
    written = _take_out(journal, runs, file, about)
    _give_space_back(journal)
    _move_what_was_left(journal)
    return Done(file, len(runs), written.events, len(early) - len(chosen))


def verify_archive(folder: Path, file: Path) -> tuple[Archived | None, list[Problem]]:
    """What the journal says of that archive, and what is not as it says. Raises JournalError where it cannot be read."""
    with _translated(file), contextlib.closing(_opened(file)) as db:
        content, problems = _read_back(db)
    found = verify(folder)
    problems += [problem for problem in found.problems if problem.event]
    record = next((known for known in found.archives if known.digest == content.digest), None)
    if record is None:
        problems.append(
            Problem(0, "", f"{file.name} is no archive that the journal in {folder} knows, or it was changed")
        )
    elif record.events != content.events or [list(gap) for gap in record.gaps] != content.gaps:
        problems.append(Problem(record.event, "", f"event {record.event} says something else of {file.name}"))
    return record, problems


def hashes(known: Iterable[Archived], files: Iterable[Path], wanted: frozenset[int]) -> dict[int, str]:
    """Of the events that stand in those of the files that are one of the known archives, unchanged."""
    digests = {archived.digest for archived in known}
    found: dict[int, str] = {}
    for file in files:
        with contextlib.suppress(JournalError), _translated(file), contextlib.closing(_opened(file)) as db:
            content, problems = _read_back(db)
            if not problems and content.digest in digests:
                rows = db.execute("SELECT id, hash FROM events").fetchall()
                found.update((number, digest) for number, digest in rows if number in wanted)
    return found


def events(file: Path, run: str) -> list[Event]:
    """Of an archived run. Raises JournalError."""
    sql = f"SELECT {chain.COLUMNS} FROM events WHERE run = ? ORDER BY seq"
    with _translated(file), contextlib.closing(_opened(file)) as db:
        return list(index.events_of(db.execute(sql, (text.storable(run),))))


def _opened(file: Path) -> sqlite3.Connection:
    """Only a regular file: SQLite waits for the other end of a pipe, and reads a device without end."""
    if not os.path.lexists(file):
        raise JournalError(f"There is no archive {file}.", mend="`infraconsole journal verify` names the archives.")
    if not file.is_file():
        raise JournalError(f"{file} is no archive.", cause="It is no regular file.", mend="Name the archive's file.")
    return chain.open_read_only(file, immutable=True)


# What goes


def _choose(journal: Journal, before: datetime) -> tuple[list[RunSummary], list[RunSummary]]:
    """The runs that ended early enough, and those of them that nothing needs any more."""
    runs = journal.indexed(lambda db: index.select(db, "ORDER BY id DESC"))
    early = [run for run in runs if run.finished and not run.resumable and run.ended_at and run.ended_at < before]
    needed = set(_needed(runs)) | {event.run for event in journal.open_follow_ups()}
    chosen = {
        run.run: run
        for run in early
        if run.run not in needed and locks.holder_of(locks.run_lock(journal.folder, run.run)) is None
    }
    _keep_what_replaced_a_follow_up(journal, chosen)
    return early, sorted(chosen.values(), key=lambda run: run.id)


def _needed(runs: Sequence[RunSummary]) -> Iterator[str]:
    """What lists and later runs ask of a target: its newest run, its newest change, its newest apply, what worked last, newest
    first."""
    seen: set[tuple[object, ...]] = set()
    for run in runs:
        if not run.steps or run.dry_run:
            continue
        asked = [("last", ""), *([("changed", "")] if run.changed else []), *([("apply", "")] if run.apply else [])]
        if run.outcome == "done":
            asked.append(("done", run.runbook))
        for what in asked:
            if (what, run.target) not in seen:
                seen.add((what, run.target))
                yield run.run


def _keep_what_replaced_a_follow_up(journal: Journal, chosen: dict[str, RunSummary]) -> None:
    """One that took the place of an earlier one goes only with it: else the earlier one would be open again."""
    opened = [
        (event.run, tuple(str(event.data.get(key, "")) for key in ("id", "file", "title")))
        for event in journal.events_of_kind(Kind.FOLLOW_UP_OPENED)
    ]
    stays: set[tuple[str, ...]] = set()
    before = -1
    while before != len(chosen):
        before = len(chosen)
        stays.clear()
        for run, key in opened:
            if run not in chosen:
                stays.add(key)
            elif key in stays:
                del chosen[run]


def _must_be_quiet(journal: Journal) -> None:
    """A run under way could not write while the archive does, and a call whose intent cannot be written is not sent."""
    for run in listing.without_end(journal):
        if locks.holder_of(locks.run_lock(journal.folder, run.run)) is not None:
            raise TargetBusy(
                f"Run {run.run} is under way, and nothing was archived.",
                mend=f"Wait for its end: infraconsole attach {run.run}",
            )


def _must_be_whole(journal: Journal) -> None:
    """What is broken is not archived; damage that was recorded stays recorded."""
    wrong = [problem for problem in verify(journal.folder).problems if problem.event and problem.run != DAMAGE]
    if wrong:
        raise JournalError(
            "The journal is not whole, and nothing was archived.",
            cause=wrong[0].what,
            mend="See all of it: infraconsole journal verify",
        )


def _make_room(journal: Journal, file: Path) -> None:
    """What a killed archive left in its place is written again; nothing else is."""
    if not os.path.lexists(file):
        return
    if not _is_left(journal, file):
        raise _there(file)
    file.unlink()


def _there(file: Path) -> UsageError:
    return UsageError(f"{file} exists already.", mend="Name another file: --to FILE")


def _is_left(journal: Journal, file: Path) -> bool:
    """Whether an archive of this journal was killed behind that file: it had said that it would write it, all of it is in the
    journal still, and no archive of this name is finished."""
    name = str(file.absolute())
    if not file.is_file() or file.is_symlink() or name in {known.file for known in archives(journal)}:
        return False
    if not any(event.data.get("file") == name for event in journal.events_of_kind(Kind.JOURNAL_ARCHIVING)):
        return False
    try:
        with contextlib.closing(chain.open_read_only(file, immutable=True)) as db:
            pairs = db.execute("SELECT id, hash FROM events").fetchall()
    except sqlite3.Error:
        return False
    sql = "SELECT 1 FROM events WHERE id = ? AND hash = ?"
    return journal.read(lambda known: all(known.execute(sql, pair).fetchone() for pair in pairs))


# How it goes


def _write(journal: Journal, runs: Sequence[str], file: Path) -> None:
    """The file, whole and on the disk under its name. It is read back before it gets it."""
    of = hashlib.sha256(str(journal.folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:8]
    part = file.with_name(f"{file.name}.{of}.part")  # another journal may be archived into the same folder
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}-journal").unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(f"BEGIN; {chain.TABLES} PRAGMA user_version = {chain.SCHEMA_VERSION};")
        journal.read(lambda source: _copy(source, db, runs))
        db.execute("COMMIT")
    with contextlib.closing(chain.open_read_only(part)) as db:
        _, problems = _read_back(db)
    if problems:
        raise JournalError(f"{part} is not what was written, and nothing was archived.", cause=problems[0].what)
    _to_disk(part)
    _name_it(part, file)
    _to_disk(file.parent)


def _name_it(part: Path, file: Path) -> None:
    """A file that has come to be there in the meantime is not written over."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise _there(file) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(file):
            raise _there(file) from None
        part.rename(file)
    else:
        part.unlink()


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, runs: Iterable[str]) -> None:
    _name(source, runs)
    for table, columns, count in (("events", chain.ROW, 9), ("requests", _REQUEST, 6)):
        rows = source.execute(f"SELECT {columns} FROM {table} WHERE run IN (SELECT run FROM temp.going) ORDER BY id")
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({','.join('?' * count)})", batch)


def _name(db: sqlite3.Connection, runs: Iterable[str]) -> None:
    db.execute("CREATE TEMP TABLE IF NOT EXISTS going (run TEXT PRIMARY KEY)")
    db.execute("DELETE FROM temp.going")
    db.executemany("INSERT INTO temp.going VALUES (?)", ((run,) for run in runs))


def _read_back(db: sqlite3.Connection) -> tuple[_Content, list[Problem]]:
    content, problems = _Content(), []
    try:
        before: tuple[int, str] = (0, "")
        for row in db.execute(f"SELECT {chain.ROW} FROM events ORDER BY id"):
            if chain.digest(*row[:8]) != row[8]:
                problems.append(Problem(row[0], row[1], f"event {row[0]} was changed after it was written"))
            elif before[0] + 1 == row[0] and before[1] and row[7] != before[1]:
                problems.append(Problem(row[0], row[1], f"event {row[0]} does not follow the one before it"))
            content.add(row[0], row[8], row[7])
            before = (row[0], row[8])
        check = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if check != "ok":
            problems.append(Problem(0, "", f"the file is damaged: {check}"))
    except (sqlite3.DatabaseError, TypeError) as error:
        problems.append(Problem(content.last + 1, "", f"the file is damaged: {error}"))
    return content, problems


def _take_out(journal: Journal, runs: Sequence[str], file: Path, about: dict[str, str]) -> _Content:
    """In one transaction: the file is held against the rows, the event says what goes, and they go. The triggers are back before
    anybody else can look."""
    going = "run IN (SELECT run FROM temp.going)"
    with journal.writing() as write:
        db = journal.database
        _name(db, runs)
        written = _must_hold(file, db, going)
        write(ARCHIVE, Kind.JOURNAL_ARCHIVED, "", chain.encoded(_record(runs, written, about)))
        for table in ("events", "requests"):
            db.execute(f"DROP TRIGGER {table}_stay")
            db.execute(f"DELETE FROM {table} WHERE {going}")
            db.execute(chain.TRIGGERS[f"{table}_stay"])
        db.execute(f"DELETE FROM runs WHERE {going}")
    return written


def _must_hold(file: Path, db: sqlite3.Connection, going: str) -> _Content:
    """What the archive holds, which is exactly what goes. Raises JournalError."""
    with _translated(file), contextlib.closing(chain.open_read_only(file, immutable=True)) as archived:
        content, problems = _read_back(archived)
        if problems:
            raise JournalError(f"{file} is not what was written; nothing was archived.", cause=problems[0].what)
        for table, columns in (("events", chain.ROW), ("requests", _REQUEST)):
            ours = db.execute(f"SELECT {columns} FROM {table} WHERE {going} ORDER BY id")
            theirs = archived.execute(f"SELECT {columns} FROM {table} ORDER BY id")
            if any(row != other for row, other in itertools.zip_longest(ours, theirs)):
                raise JournalError(
                    f"{file} does not hold what was to be archived; nothing was.",
                    cause="A run that was to be archived has gone on, or the file was replaced.",
                    mend="Run the same command again.",
                )
    return content


def _record(runs: Sequence[str], written: _Content, about: dict[str, str]) -> dict[str, object]:
    return {
        **about,
        "runs": list(runs),
        "events": written.events,
        "first": written.first,
        "last": written.last,
        "head": written.head,
        "digest": written.digest,
        "gaps": written.gaps,
    }


def _give_space_back(journal: Journal) -> None:
    """As far as nobody else is at it; what is free in the file is used by the next events."""
    if any(locks.holder_of(locks.run_lock(journal.folder, run.run)) for run in listing.without_end(journal)):
        return  # a run that has begun meanwhile would wait for it
    with contextlib.suppress(JournalError):
        journal.read(lambda db: db.execute("VACUUM"))
        journal.read(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())


def _move_what_was_left(journal: Journal) -> None:
    """The files of archived runs go beside their archive."""
    source = journal.folder / "runs"
    for known in archives(journal):
        file = Path(known.file)
        folder = file.with_name(f"{file.stem}.runs")
        for run in known.runs:
            for path in (source / run, source / f"{run}.log", source / f"{run}.lock"):
                if os.path.lexists(path):
                    with _translated(folder):
                        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                        _move(path, folder / path.name)


def _move(path: Path, to: Path) -> None:
    """Also to another disk; whole there before it is gone here."""
    try:
        path.rename(to)
        return
    except OSError:
        part = to.with_name(f"{to.name}.part")
    if path.is_dir():
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(path, part, symlinks=True)
        shutil.rmtree(to, ignore_errors=True)
        part.rename(to)
        shutil.rmtree(path)
    else:
        shutil.copy2(path, part)
        part.replace(to)
        path.unlink()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _translated(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"The archive {file} cannot be used.", cause=str(error), mend=storage_errors.mend(error, file)
        ) from error
