"""The journal where something stands in its way: stopped processes, a full disk, media that cannot be written, odd files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infraconsole.engine import chain, listing, storage_errors
from infraconsole.engine.event import Kind
from infraconsole.engine.holders import holding
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import verify
from infraconsole.errors import JournalError

NOTE = {"level": "info", "text": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Journal(tmp_path / "state") as journal:
        for _ in range(5):
            journal.append("run001", Kind.NOTE, data=NOTE)
    return tmp_path / "state"


@contextlib.contextmanager
def another(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has done what the code says, and waits."""
    program = f"{code}\nprint('there', flush=True)\nimport time\ntime.sleep(600)"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


HOLDS_HEAD = "import fcntl, sys\nfile = open(sys.argv[1], 'r+')\nfcntl.flock(file, fcntl.LOCK_EX)"
WRITES = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.execute('BEGIN IMMEDIATE')"


@pytest.mark.parametrize(("code", "file"), [(HOLDS_HEAD, "journal.head"), (WRITES, "journal.db")])
@pytest.mark.parametrize("stopped", [True, False])
def test_who_holds_the_journal_is_named_and_nothing_waits_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, file: str, stopped: bool
) -> None:
    monkeypatch.setattr(chain, "BUSY_SECONDS", 0.3)
    with another(code, folder / file) as process:
        if stopped:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with Journal(folder) as journal:
            assert len(journal.events("run001")) == 5, "who only reads waits for nobody"
            with pytest.raises(JournalError) as caught:
                journal.append("run001", Kind.NOTE, data=NOTE)
            said = str(caught.value)
            assert f"Process {process.pid} (" in said
            assert ("is stopped" in said) is stopped
            assert (f"kill -CONT {process.pid}" in said) is stopped
            assert len(journal.events("run001")) == 5, "and nothing was written"
            if stopped:
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            journal.append("run001", Kind.NOTE, data=NOTE)
    assert verify(folder).problems == ()
    assert verify(folder).remembered == (6, verify(folder).head)


def test_a_new_journal_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BUSY_SECONDS", 0.3)
    head = tmp_path / "journal.head"
    head.touch()
    with another(HOLDS_HEAD, head) as process, pytest.raises(JournalError, match=f"Process {process.pid}"):
        Journal(tmp_path)


def test_nobody_holds_a_free_lock(folder: Path) -> None:
    assert holding(folder / "journal.head") is None
    with (folder / "journal.head").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holding(folder / "journal.head") is None, "this process itself is no news"


# Odd files in place of the head


def as_folder(path: Path) -> None:
    path.mkdir()


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [as_folder, as_pipe, as_device])
def test_a_head_that_is_no_file_is_named(folder: Path, make: Callable[[Path], None]) -> None:
    head = folder / "journal.head"
    head.unlink()
    make(head)
    with Journal(folder) as journal, pytest.raises(JournalError, match="Something else is in its place"):
        journal.append("run001", Kind.NOTE, data=NOTE)
    assert any("journal.head cannot be read" in problem.what for problem in verify(folder).problems)


@pytest.mark.parametrize("content", [b"", b"garbage", b"-5 x", b"\xff\xfe", b"9" * 5000, b"1 2 3"])
def test_a_head_of_garbage_is_remembered_as_damage_and_writing_goes_on(folder: Path, content: bytes) -> None:
    (folder / "journal.head").write_bytes(content)
    with Journal(folder) as journal:
        journal.append("run001", Kind.NOTE, data=NOTE)
    assert any("journal.head" in problem.what for problem in verify(folder).problems)


# Disks


def sqlite_error(code: int, name: str = "whatever it says") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = code
    return error


def place(flag: int = 0, free: int = 1 << 30) -> os.statvfs_result:
    return os.statvfs_result((1, 1, free, free, free, 10, 10, 10, flag, 255))


@pytest.mark.parametrize(
    ("error", "statvfs", "words"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), place(), "Free space"),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), place(free=0), "Free space"),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), place(free=0), "Free space"),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), place(), "Check the disk"),
        (sqlite_error(sqlite3.SQLITE_READONLY), place(flag=os.ST_RDONLY), "read-only"),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), place(flag=os.ST_RDONLY), "read-only"),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN, "the disk is full of words"), place(), "permissions"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), place(), "evidence"),
        (sqlite_error(sqlite3.SQLITE_BUSY), place(), "Another process"),
        (OSError(errno.ENOSPC, "x"), place(), "Free space"),
        (OSError(errno.EDQUOT, "x"), place(), "Free space"),
        (OSError(errno.EROFS, "x"), place(), "read-only"),
        (OSError(errno.EACCES, "disk full"), place(), "permissions"),
        (OSError(errno.EISDIR, "x"), place(), "in its place"),
    ],
)
def test_what_helps_is_told_by_codes(
    monkeypatch: pytest.MonkeyPatch, error: sqlite3.Error | OSError, statvfs: os.statvfs_result, words: str
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: statvfs)
    assert words in storage_errors.mend(error, Path("/nowhere/journal.db"))


def test_a_full_disk_is_told_to_want_room(folder: Path) -> None:
    with Journal(folder) as journal:
        pages = journal.database.execute("PRAGMA page_count").fetchone()[0]
        journal.database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match="Free space"):
            journal.append("run001", Kind.NOTE, data={"text": "x" * 100_000})


# Media that cannot be written


@contextlib.contextmanager
def read_only(source: Path) -> Iterator[Path]:
    """A mount that really cannot be written, also by root."""
    there = source.with_name("medium")
    there.mkdir()
    mounted = subprocess.run(["mount", "--bind", source, there], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount anything")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", there], check=True)
        yield there
    finally:
        subprocess.run(["umount", there], check=True)


def without_wal(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("journal.db-wal", "journal.db-shm"):
        (folder / name).unlink(missing_ok=True)


def test_a_journal_on_read_only_media_is_verified(folder: Path) -> None:
    without_wal(folder)
    with read_only(folder) as medium:
        found = verify(medium)
    assert (found.events, found.problems, found.beyond) == (5, (), ())


def test_what_stands_only_in_a_wal_on_read_only_media_is_said_to_be_unread(folder: Path, tmp_path: Path) -> None:
    without_wal(folder)
    with Journal(folder) as journal:
        journal.append("run001", Kind.NOTE, data=NOTE)
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("journal.db", "journal.db-wal", "journal.head"):
            shutil.copy(folder / name, copy)
    with read_only(copy) as medium:
        found = verify(medium)
    if found.events == 5:  # where SQLite cannot read the WAL there
        assert any("journal.db-wal could not be read" in words for words in found.beyond)
    else:
        assert (found.events, found.problems) == (6, ())


def test_the_file_alone_is_read_where_nothing_can_be_written_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on read-only media, also where this machine can mount none."""
    without_wal(folder)
    real = chain.open_read_only

    def refused(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
        if not immutable:
            raise sqlite_error(sqlite3.SQLITE_CANTOPEN)
        return real(path, immutable=True)

    monkeypatch.setattr(chain, "open_read_only", refused)
    assert (verify(folder).events, verify(folder).problems) == (5, ())


# The folder of the runs


def test_files_that_the_journal_does_not_know_and_files_that_are_gone_are_found(folder: Path) -> None:
    runs = folder / "runs"
    runs.mkdir()
    with Journal(folder) as journal:
        for run in ("known1", "known2"):
            (runs / f"{run}.log").touch()
            journal.append(run, Kind.RUN_STARTED, data={"pid": 1, "version": "", "resumed": False, "log": True})
    assert verify(folder).problems == ()
    (runs / "strange").mkdir()
    (runs / "known2.log").unlink()
    assert sorted(problem.what for problem in verify(folder).problems) == [
        "runs/ has files of a run strange that the journal does not know",
        "the files of run known2 are gone from runs/",
    ]


def test_an_inner_damage_of_the_file_is_found(folder: Path) -> None:
    """A row that an index has lost: `quick_check` does not look for it."""
    without_wal(folder)
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        other = "CREATE INDEX events_by_kind ON events (step, id) WHERE kind NOT IN ('output', 'progress')"
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'events_by_kind'", (other,))
    assert any("file is damaged" in problem.what for problem in verify(folder).problems)


def test_a_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    """As $USER may be, whose bytes no encoding knows."""
    with Journal(tmp_path) as journal:
        journal.append("abc\udcff", Kind.NOTE, "step\udcff", {"level": "info", "text": "x\udcff"})
        journal.ask("abc", "answer", "kim\udcff", {"value": "y\udcff"})
        asked = journal.requests("abc")[0]
        assert (asked.by, asked.data) == ("kim\\udcff", {"value": "y\udcff"})
        written = journal.events("abc\\udcff")[0]
        assert (written.step, written.data["text"]) == ("step\\udcff", "x\udcff")
        assert journal.verify().problems == ()


def test_a_number_that_sqlite_does_not_know_breaks_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append("abc", Kind.NOTE, data={"request": {"id": 10**30, "hash": "x"}})
        assert listing.newest(journal, 10**30).total == 0
        assert "missing" in journal.verify().problems[0].what
