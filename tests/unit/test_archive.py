"""The archive of the journal: what goes, what stays, that the chain proves both, and that it can be killed anywhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine import anchor, archive, chain, followups, listing, locks
from infraconsole.engine.event import Kind
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import verify
from infraconsole.errors import JournalError, TargetBusy, UsageError
from tests.unit.test_index import change, create, end, follow_up

LATER = datetime.now(UTC) + timedelta(days=1)


def filled(folder: Path, runs: int = 6) -> list[str]:
    """Runs whose events stand between each other's; each has files and a request that was taken."""
    names = [f"run{number:03}" for number in range(runs)]
    with Journal(folder) as journal:
        for name in names:
            create(journal, name)
            (folder / "runs" / name).mkdir(parents=True)
            (folder / "runs" / name / "plan.json").write_text("{}")
            (folder / "runs" / f"{name}.log").write_text("")
            journal.ask(name, "answer", "kim", {"opening": 3, "value": "yes"})
            taken = journal.requests(name)[-1].reference()
            journal.append(name, Kind.NOTE, "look", {"level": "info", "text": "heard", "request": taken})
        for name in names:
            change(journal, name)
        for name in names:
            end(journal, name)
    return names


def taken_out(folder: Path, file: Path) -> archive.Done:
    with Journal(folder) as journal:
        return archive.archive(journal, LATER, file, "kim")


def names(folder: Path) -> list[str]:
    with Journal(folder) as journal:
        return [run.run for run in listing.newest(journal, None).runs]


def rows(path: Path) -> set[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return set(db.execute("SELECT * FROM events"))


def test_what_ended_goes_and_the_chain_proves_both_parts(tmp_path: Path) -> None:
    folder, file = tmp_path / "state", tmp_path / "old.db"
    runs = filled(folder)
    before = rows(folder / "journal.db")
    done = taken_out(folder, file)
    assert (done.runs, done.kept) == (5, 1), "the last one on its target stays"
    assert names(folder) == runs[-1:]
    assert before < rows(folder / "journal.db") | rows(file), "the very rows, nothing lost"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "old.runs").iterdir()) == sorted(
        [*runs[:-1], *(f"{run}.log" for run in runs[:-1])]
    )
    found = verify(folder)
    assert found.problems == ()
    assert [(known.file, known.events) for known in found.archives] == [(str(file), done.events)]
    record, problems = archive.verify_archive(folder, file)
    assert record
    assert problems == []
    assert record_of(runs[0], archive.events(file, runs[0])).outcome == "done"
    with Journal(folder) as journal:
        journal.append("later1", Kind.NOTE, data={"text": "x", "level": "info"})
        assert journal.verify().problems == ()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            journal.database.execute("DELETE FROM events")


def test_a_second_archive_takes_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    filled(folder)
    first = taken_out(folder, tmp_path / "one.db")
    with Journal(folder) as journal:
        for run in ("seven1", "eight1"):
            create(journal, run)
            end(journal, run)
    second = taken_out(folder, tmp_path / "two.db")
    assert (first.runs, second.runs) == (5, 1)
    assert verify(folder).problems == ()
    assert all(not archive.verify_archive(folder, tmp_path / name)[1] for name in ("one.db", "two.db"))
    with Journal(folder) as journal:
        create(journal, "nine11")
        end(journal, "nine11")
    with pytest.raises(UsageError, match="exists already"):
        taken_out(folder, tmp_path / "one.db")


def test_what_is_open_or_needed_stays(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        create(journal, "stays1")  # has no end
        create(journal, "stays2")
        end(journal, "stays2", "interrupted")
        create(journal, "stays3")
        follow_up(journal, "stays3")
        end(journal, "stays3")
        create(journal, "stays4")
        change(journal, "stays4")
        end(journal, "stays4")  # its change forbids resuming those before it
        create(journal, "going1")
        end(journal, "going1", "refused")
        create(journal, "stays5")
        end(journal, "stays5")
        archive.archive(journal, LATER, tmp_path / "old.db", "kim")
        assert [run.run for run in listing.newest(journal, None).runs][::-1] == [f"stays{n}" for n in range(1, 6)]
        assert [known.run for known in followups.open_follow_ups(journal)] == ["stays3"]
        assert journal.verify().problems == ()


def test_a_follow_up_that_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        create(journal, "first1")
        follow_up(journal, "first1")  # never ended, so it stays
        create(journal, "secon1")
        follow_up(journal, "secon1")
        end(journal, "secon1")
        journal.append(followups.REVIEW, Kind.FOLLOW_UP_DONE, data={"of": "secon1", "id": "pin", "detail": ""})
        create(journal, "third1")
        end(journal, "third1")
        archive.archive(journal, LATER, tmp_path / "old.db", "kim")
        journal.remake_index()
        assert followups.open_follow_ups(journal) == ()
        assert journal.verify().problems == ()


def test_nothing_is_archived_while_a_run_is_under_way(tmp_path: Path) -> None:
    filled(tmp_path)
    with Journal(tmp_path) as journal:
        create(journal, "under1")
        held = locks.take(locks.run_lock(tmp_path, "under1"), run="under1", owner="executor")
        assert held
        with pytest.raises(TargetBusy, match="Run under1 is under way"):
            archive.archive(journal, LATER, tmp_path / "old.db", "kim")
        held.release()
        assert archive.archive(journal, LATER, tmp_path / "old.db", "kim").runs == 5


def test_only_what_ended_before_the_date_goes(tmp_path: Path) -> None:
    filled(tmp_path)
    with Journal(tmp_path) as journal:
        done = archive.archive(journal, datetime.now(UTC) - timedelta(hours=1), tmp_path / "old.db", "kim")
        assert (done.runs, (tmp_path / "old.db").exists()) == (0, False)


def test_two_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one comes when the file of the first is finished and its rows are still in the journal."""
    folder = tmp_path / "state"
    filled(folder)
    before = rows(folder / "journal.db")
    take_out = archive._take_out
    done: list[archive.Done] = []
    second: list[threading.Thread] = []

    def go() -> None:
        with Journal(folder) as journal:
            done.append(archive.archive(journal, LATER, None, "kim"))

    def taken(*arguments: Any) -> Any:
        if not second:
            second.append(threading.Thread(target=go))
            second[0].start()
            second[0].join(1.0)  # it would be through by then, were it not held up
            assert second[0].is_alive(), "one at a time"
        return take_out(*arguments)

    monkeypatch.setattr(archive, "_take_out", taken)
    go()
    second[0].join(60)
    assert sorted(each.runs for each in done) == [0, 5]
    files = list((folder / "archive").glob("*.db"))
    assert len(files) == 1
    assert before <= rows(folder / "journal.db") | rows(files[0])
    assert verify(folder).problems == ()
    assert archive.verify_archive(folder, files[0])[1] == []


def test_whoever_archives_too_is_told_who_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "state")
    monkeypatch.setattr(chain, "BUSY_SECONDS", 0.1)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "state" / "archive.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(JournalError, match=r"archive\.lock is locked") as caught:
            taken_out(tmp_path / "state", tmp_path / "old.db")
        assert str(other.pid) in caught.value.cause or not Path("/proc/locks").exists()


@pytest.mark.parametrize(
    "change_it",
    [
        "DELETE FROM events",
        "DELETE FROM events WHERE run = 'run001'",
        "DELETE FROM requests WHERE run = 'run001'",
        "UPDATE events SET at = 'x' WHERE run = 'run001'",
    ],
)
def test_nothing_leaves_the_journal_that_its_file_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change_it: str
) -> None:
    folder, file = tmp_path / "state", tmp_path / "old.db"
    filled(folder)
    before = rows(folder / "journal.db")
    write = archive._write

    def other(*arguments: Any) -> None:
        write(*arguments)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute(change_it)

    monkeypatch.setattr(archive, "_write", other)
    with pytest.raises(JournalError, match="nothing was"):
        taken_out(folder, file)
    assert before <= rows(folder / "journal.db")
    assert verify(folder).problems == ()


def test_a_file_that_may_be_anothers_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the journal has archived into it: its events are in this one, too."""
    folder, copy, file = tmp_path / "state", tmp_path / "copy", tmp_path / "old.db"
    filled(folder)
    shutil.copytree(folder, copy)
    taken_out(copy, file)
    content = file.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        taken_out(folder, file)
    make_room = archive._make_room

    def comes_later(*arguments: Any) -> None:
        make_room(*arguments)
        file.write_bytes(content)

    file.unlink()
    monkeypatch.setattr(archive, "_make_room", comes_later)
    with pytest.raises(UsageError, match="exists already"):
        taken_out(folder, file)
    assert file.read_bytes() == content
    assert verify(copy).problems == verify(folder).problems == ()


def test_a_run_that_begins_meanwhile_and_an_open_console_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "state", tmp_path / "old.db"
    filled(folder)
    write = archive._write
    with Journal(folder) as console:
        assert len(console.run_ids()) == 6

        def begins(*arguments: Any) -> None:
            write(*arguments)
            create(console, "begun1")
            change(console, "begun1")

        monkeypatch.setattr(archive, "_write", begins)
        assert taken_out(folder, file).runs == 5
        assert console.run_ids() == ["begun1", "run005"]
        assert console.events("run000") == []
        end(console, "begun1")
        assert console.verify().problems == ()
        assert archive.verify_archive(folder, file)[1] == []


POINTS = ("archive._write", "archive._make_room", "archive._to_disk", "archive._take_out", "archive._give_space_back",
          "archive._move", "chain.head_line", "archive._read_back")  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_nothing_is_lost_and_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    """A real process, killed when it comes to that function for the first or second time."""
    folder, file = tmp_path / "state", tmp_path / "old.db"
    runs = filled(folder)
    before = rows(folder / "journal.db")
    child = os.fork()
    if child == 0:
        module, name = point.split(".")
        place = {"archive": archive, "chain": chain}[module]
        known, left = getattr(place, name), [times]

        def killed(*arguments: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return known(*arguments)

        setattr(place, name, killed)
        taken_out(folder, file)
        os._exit(0)
    os.waitpid(child, 0)
    there = rows(folder / "journal.db") | (rows(file) if file.exists() else set())
    assert before <= there, "nothing is lost"
    assert verify(folder).problems == ()
    taken_out(
        folder, file if not any(Path(known.file) == file for known in verify(folder).archives) else tmp_path / "x.db"
    )
    assert before <= rows(folder / "journal.db") | rows(file)
    assert names(folder) == runs[-1:]
    assert verify(folder).problems == ()
    assert archive.verify_archive(folder, file)[1] == []
    assert sorted(path.name for path in (folder / "runs").iterdir()) == [runs[-1], f"{runs[-1]}.log"]


@pytest.mark.parametrize(
    ("which", "statement"),
    [
        ("old.db", "UPDATE events SET data = '{}' WHERE run = 'run001'"),
        ("old.db", "DELETE FROM events WHERE run = 'run001'"),
        ("state/journal.db", "DELETE FROM events WHERE kind = 'journal-archived'"),
        ("state/journal.db", "UPDATE events SET data = replace(data, 'gaps', 'gapz') WHERE kind = 'journal-archived'"),
        ("state/journal.db", "DELETE FROM events WHERE run = 'run005' AND kind = 'note'"),
    ],
)
def test_what_was_not_archived_is_missing_and_what_was_changed_is_found(
    tmp_path: Path, which: str, statement: str
) -> None:
    folder, file = tmp_path / "state", tmp_path / "old.db"
    filled(folder)
    taken_out(folder, file)
    with contextlib.closing(sqlite3.connect(tmp_path / which, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
        for _, sql in triggers:
            db.execute(sql)
    assert archive.verify_archive(folder, file)[1]
    assert bool(verify(folder).problems) is (which != "old.db")


def test_what_stands_before_a_gap_cannot_be_rewritten_behind_it(tmp_path: Path) -> None:
    """What follows it is archived, so nothing in the journal but the archive's record names its hash."""
    folder = tmp_path / "state"
    with Journal(folder) as journal:
        journal.append("open01", Kind.NOTE, "", {"level": "info", "text": "true"})
    filled(folder)
    taken_out(folder, tmp_path / "old.db")
    assert verify(folder).problems == ()
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'events_keep'").fetchone()
        db.execute("DROP TRIGGER events_keep")
        row = list(
            db.execute("SELECT id, run, seq, at, kind, step, data, previous FROM events WHERE id = 1").fetchone()
        )
        row[6] = row[6].replace("true", "false")
        db.execute("UPDATE events SET data = ?, hash = ? WHERE id = 1", (row[6], chain.digest(*row)))
        db.execute(sql)
    assert any("not what was archived" in problem.what for problem in verify(folder).problems)


def test_a_journal_that_is_not_whole_is_not_archived(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    filled(folder)
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER events_keep")
        db.execute("UPDATE events SET data = '{}' WHERE id = 3")
    with pytest.raises(JournalError, match="not whole"):
        taken_out(folder, tmp_path / "old.db")
    assert not (tmp_path / "old.db").exists()


@pytest.mark.parametrize("what", ["fifo", "folder", "device", "text", "link to nothing", "nothing", "another database"])
def test_what_is_no_archive_is_refused_without_waiting(tmp_path: Path, what: str) -> None:
    file = tmp_path / "old.db"
    if what == "fifo":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "device":
        file = Path("/dev/zero")
    elif what == "text":
        file.write_text("no database\n" * 100)
    elif what == "link to nothing":
        file.symlink_to("gone")
    elif what == "another database":
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("CREATE TABLE x (y)")
    with pytest.raises(JournalError):
        archive.events(file, "run001")
    with Journal(tmp_path / "state") as journal:
        journal.append("run001", Kind.NOTE, data={})
    with contextlib.suppress(JournalError):
        assert archive.verify_archive(tmp_path / "state", file)[1]


def test_an_anchored_event_that_was_archived_is_proved_only_by_its_archive(tmp_path: Path) -> None:
    folder, file = tmp_path / "state", tmp_path / "old.db"
    filled(folder)
    taken_out(folder, file)
    with contextlib.closing(sqlite3.connect(file)) as db:
        inside = [
            anchor.Anchor(number, digest, "s3://x/y") for number, digest in db.execute("SELECT id, hash FROM events")
        ]
    wanted = frozenset(each.event for each in inside)
    found = verify(folder, anchored=wanted)
    untold = anchor.compared(found, inside)
    assert len(untold) == len(inside), "the end of a gap, too: the journal may be rewritten"
    assert all("cannot be told without its archive" in problem.what for problem in untold)
    assert anchor.compared(found, inside, archive.hashes(found.archives, [file], wanted)) == []
    forged = [anchor.Anchor(each.event, "0" * 64, each.where) for each in inside]
    told = anchor.compared(found, forged, archive.hashes(found.archives, [file], wanted))
    assert all("was rewritten" in problem.what for problem in told)
    assert len(told) == len(inside)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DROP TRIGGER events_keep")
        db.execute("UPDATE events SET data = '{}' WHERE run = 'run001'")
    assert archive.hashes(found.archives, [file, tmp_path, tmp_path / "none"], wanted) == {}
