from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine import chain
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import DAMAGE, Journal
from infraconsole.engine.verify import verify
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


def tampered(folder: Path, *statements: str, covered: bool = False) -> None:
    """Edit the file by hand, as somebody with sqlite3 and a bad conscience would; `covered`: and put the triggers back."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        triggers = db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'").fetchall()
        db.execute("DROP TRIGGER events_keep")
        db.execute("DROP TRIGGER events_stay")
        for statement in statements:
            db.execute(statement)
        for (trigger,) in triggers if covered else ():
            db.execute(trigger)


def said(folder: Path) -> list[str]:
    return [problem.what for problem in verify(folder).problems]


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


@pytest.mark.parametrize(("event", "is_seen"), [(3, False), (6, True), (10, True)])
def test_a_look_at_the_newest_events_sees_those_and_nothing_else(tmp_path: Path, event: int, is_seen: bool) -> None:
    filled(tmp_path).close()
    assert verify(tmp_path, newest=5).problems == ()
    tampered(tmp_path, f"UPDATE events SET data = '{{}}' WHERE id = {event}", covered=True)  # noqa: S608
    found = verify(tmp_path, newest=5).problems
    assert [problem.event for problem in found] == ([event] if is_seen else [])
    assert verify(tmp_path).problems


def test_a_look_at_the_newest_events_notices_a_loss_and_missing_triggers(tmp_path: Path) -> None:
    filled(tmp_path).close()
    tampered(tmp_path, "DELETE FROM events WHERE id = 8", covered=True)
    assert any("event 8 is missing" in problem.what for problem in verify(tmp_path, newest=5).problems)
    tampered(tmp_path, "DELETE FROM events WHERE id > 3", covered=True)
    assert any("cut short" in problem.what for problem in verify(tmp_path, newest=2).problems)
    tampered(tmp_path)
    assert any("events_keep" in problem.what for problem in verify(tmp_path, newest=2).problems)


def test_a_look_at_the_newest_events_reads_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 100).close()
    hashed: list[int] = []
    real = chain.digest

    def counted(number: int, *about: Any) -> str:
        hashed.append(number)
        return real(number, *about)

    monkeypatch.setattr(chain, "digest", counted)
    assert verify(tmp_path, newest=5).problems == ()
    assert hashed == [96, 97, 98, 99, 100]


def test_verify_notices_a_rewritten_chain(tmp_path: Path) -> None:
    """Whoever recomputes every hash after an edit is still caught by the head that lies beside the file."""
    journal = filled(tmp_path, 5)
    head = (tmp_path / "journal.head").read_text()
    journal.close()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm", "journal.head"):
        (tmp_path / name).unlink(missing_ok=True)
    other = filled(tmp_path, 5)
    (tmp_path / "journal.head").write_text(head)
    assert any("is not the one" in problem.what for problem in other.verify().problems)


@pytest.mark.parametrize("covered", [True, False])
def test_events_that_were_cut_off_are_not_forgotten_when_others_are_written(tmp_path: Path, covered: bool) -> None:
    filled(tmp_path, 10).close()
    tampered(tmp_path, "DELETE FROM events WHERE id > 5", covered=covered)
    for _ in range(3):
        with Journal(tmp_path) as journal:
            for number in range(4):
                journal.append("run3", Kind.NOTE, "look", {"text": f"note {number}"})
            assert [event.data["text"] for event in journal.events("run3")][-1] == "note 3"
        problems = verify(tmp_path).problems
        assert [problem.event for problem in problems if "events 6 to 10 were missing" in problem.what] == [6]
        assert any("trigger events_stay" in problem.what for problem in problems) is not covered
    with Journal(tmp_path) as journal:
        first = journal.events(DAMAGE)[0]
        assert (first.kind, first.data["expected"]["event"], first.data["found"]["event"]) == ("journal-damaged", 10, 5)
        assert journal.run_ids() == ["run1"]
    assert len(said(tmp_path)) == 1 + 2 * (not covered), "each is recorded once"


def test_a_journal_that_was_replaced_is_not_whole(tmp_path: Path) -> None:
    filled(tmp_path, 10).close()
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    assert any("10 events were written, journal.db is gone" in what for what in said(tmp_path))
    filled(tmp_path, 30).close()
    assert any("events 1 to 10 were missing" in what for what in said(tmp_path))


def test_a_head_that_was_removed_is_not_forgotten(tmp_path: Path) -> None:
    filled(tmp_path, 10).close()
    (tmp_path / "journal.head").unlink()
    assert any("journal.head is missing" in what for what in said(tmp_path))
    with Journal(tmp_path) as journal:
        journal.append("run3", Kind.NOTE, data={"text": "x"})
    assert any("journal.head was missing when event 10 was the last one" in what for what in said(tmp_path))


def test_verify_notices_that_nothing_refuses_changes_any_more(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    tampered(tmp_path)
    assert [what.split(",")[0] for what in said(tmp_path)] == ["the trigger events_keep", "the trigger events_stay"]
    with Journal(tmp_path) as journal:
        journal.append("run3", Kind.NOTE, data={"text": "x"})
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("DELETE FROM events")
    assert any("trigger events_keep" in what for what in said(tmp_path)), (
        "they are back, and that they were gone is known"
    )


def test_a_writer_that_is_killed_before_the_head_moves_has_done_no_damage(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    lagging = (tmp_path / "journal.head").read_text()
    filled(tmp_path, 4).close()
    (tmp_path / "journal.head").write_text(lagging)
    with Journal(tmp_path) as journal:
        journal.append("run3", Kind.NOTE, data={"text": "x"})
    assert verify(tmp_path).problems == ()


@pytest.mark.parametrize("parts", [2, 4])
def test_verify_says_where_a_file_was_cut(tmp_path: Path, parts: int) -> None:
    filled(tmp_path, 400).close()
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // parts])
    found = verify(tmp_path)
    assert found.events < 400
    where = next(problem for problem in found.problems if "is damaged" in problem.what)
    assert where.event == found.events + 1
    last = (
        f"the last one that can be read is event {found.events} of run"
        if found.events
        else "no event of it can be read"
    )
    assert last in where.what
    assert any(f"400 events were written, {found.events} are there" in problem.what for problem in found.problems)


@pytest.mark.parametrize("content", [b"", b"x" * 4096])
def test_verify_of_a_file_that_holds_nothing_says_what_should_be_there(tmp_path: Path, content: bytes) -> None:
    filled(tmp_path, 12).close()
    (tmp_path / "journal.db").write_bytes(content)
    assert any("12 events were written, 0 are there" in what for what in said(tmp_path))


def test_verify_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="There is no journal"):
        verify(tmp_path)
    assert list(tmp_path.iterdir()) == []


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
