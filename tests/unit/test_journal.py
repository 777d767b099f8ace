from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import JournalError, UnknownName

OPENED: list[Journal] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(folder: Path) -> Journal:
    """Closed when the test ends."""
    OPENED.append(Journal(folder))
    return OPENED[-1]


def filled(folder: Path, events: int = 10) -> Journal:
    journal = opened(folder)
    journal.append("run1", Kind.RUN_CREATED, data={"title": "one"})
    for number in range(events - 1):
        journal.append("run1" if number % 2 else "run2", Kind.NOTE, "look", {"text": f"note {number}"})
    return journal


def tampered(folder: Path, *statements: str) -> None:
    """Edit the file by hand, as somebody with sqlite3 and a bad conscience would."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER events_keep")
        db.execute("DROP TRIGGER events_stay")
        for statement in statements:
            db.execute(statement)


def test_events_come_back_in_order_with_their_data(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    events = journal.events("run1")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[1].data == {"text": "note 1"}
    assert journal.events("run1", after=2, limit=1)[0].seq == 3


def test_hostile_text_is_kept_as_it_was(tmp_path: Path) -> None:
    hostile = "\x1b[31m\x00[bold]‮\ud800" + "x" * 1_000_000
    with Journal(tmp_path) as journal:
        journal.append("run", Kind.OUTPUT, data={"lines": [hostile]})
        assert journal.events("run")[0].data["lines"] == [hostile]


def test_a_whole_journal_verifies(tmp_path: Path) -> None:
    found = filled(tmp_path, 10).verify()
    assert (found.events, found.problems) == (10, ())


@pytest.mark.parametrize("statement", ["UPDATE events SET data = '{}' WHERE id = 4", "DELETE FROM events WHERE id = 4"])
def test_the_file_itself_refuses_changes(tmp_path: Path, statement: str) -> None:
    filled(tmp_path).close()
    db = sqlite3.connect(tmp_path / "journal.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("statement", "event", "words"),
    [
        ('UPDATE events SET data = \'{"text":"nice"}\' WHERE id = 4', 4, "changed"),
        ("UPDATE events SET at = '2020-01-01T00:00:00.000Z' WHERE id = 7", 7, "changed"),
        ("DELETE FROM events WHERE id = 5", 5, "missing"),
        ("DELETE FROM events WHERE id > 8", 9, "cut short"),
        ("DELETE FROM events", 1, "cut short"),
    ],
)
def test_verify_says_where_a_journal_was_edited(tmp_path: Path, statement: str, event: int, words: str) -> None:
    filled(tmp_path).close()
    tampered(tmp_path, statement)
    problems = opened(tmp_path).verify().problems
    assert any(problem.event == event and words in problem.what for problem in problems), problems


def test_verify_notices_a_rewritten_chain(tmp_path: Path) -> None:
    """Whoever recomputes every hash after an edit is still caught by the head that lies beside the file."""
    journal = filled(tmp_path, 5)
    head = (tmp_path / "journal.head").read_text()
    journal.close()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    other = filled(tmp_path, 5)
    (tmp_path / "journal.head").write_text(head)
    assert any("is not the one" in problem.what for problem in other.verify().problems)


def test_verify_says_where_a_file_was_cut(tmp_path: Path) -> None:
    filled(tmp_path, 400).close()
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        problems = opened(tmp_path).verify().problems
    except JournalError as error:
        assert "journal.db" in error.title  # noqa: PT017  either is a clear answer
    else:
        assert problems


def test_two_writers_make_one_chain(tmp_path: Path) -> None:
    def write(run: str) -> None:
        with Journal(tmp_path) as journal:
            for _ in range(50):
                journal.append(run, Kind.NOTE, data={"text": run})

    threads = [threading.Thread(target=write, args=(f"run{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opened(tmp_path).verify()
    assert (found.events, found.problems) == (200, ())


def test_a_full_disk_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    journal = filled(tmp_path, 3)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(JournalError, match="full"):
        journal.append("run1", Kind.NOTE, data={"text": "x" * 100_000})
    assert journal.last_event("run1") == journal.events("run1")[-1]
    assert journal.verify().problems == ()
    journal._db.execute("PRAGMA max_page_count = 1000000")
    journal.append("run1", Kind.NOTE, data={"text": "x" * 100_000})
    assert journal.verify().events == 4


def test_requests_are_seen_by_another_connection(tmp_path: Path) -> None:
    with Journal(tmp_path) as view, Journal(tmp_path) as executor:
        before = executor.data_version()
        view.ask("run", "answer", "kim", {"opening": 3, "value": "yes"})
        assert executor.data_version() != before
        request = executor.requests("run")[0]
        assert (request.kind, request.by, request.data["value"]) == ("answer", "kim", "yes")
        assert executor.requests("run", after=request.id) == []


def test_a_run_is_found_by_its_beginning(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append("abc234", Kind.RUN_CREATED)
        journal.append("abd234", Kind.RUN_CREATED)
        assert journal.resolve("abc") == "abc234"
        assert journal.resolve("last") == "abd234"
        for name in ("ab", "x", ""):
            with pytest.raises(UnknownName):
                journal.resolve(name)


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    filled(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "journal.db").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"this is not a database, and it is long enough to be looked at" * 20)
    with pytest.raises(JournalError, match=r"journal\.db"):
        Journal(tmp_path)
