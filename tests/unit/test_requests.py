"""Requests: garbage in the table stops nothing, is answered in the run, and what a request led to keeps its hash."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infraconsole.engine import launch, locks
from infraconsole.engine.event import Kind
from infraconsole.engine.inbox import Inbox
from infraconsole.engine.journal import Journal, Request
from infraconsole.errors import JournalError

RUN = "run001"


class Heard:
    """An inbox that listens, and what it took in."""

    def __init__(self, journal: Journal) -> None:
        self.levels: list[int] = []
        self.refused: list[str] = []
        self.inbox = Inbox(journal, RUN, lambda: None, self._heard, self._refused)

    def _heard(self, level: int, _: Request) -> None:
        self.levels.append(level)

    def _refused(self, _: Request, why: str) -> None:
        self.refused.append(why)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    with Journal(tmp_path) as journal:
        made = Heard(journal)
        made.inbox.start()
        yield made
        made.inbox.close()


def put(folder: Path, *values: object) -> None:
    """As somebody with sqlite3 would."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        marks = ",".join("CAST(? AS TEXT)" if value is BROKEN else "?" for value in values)
        columns = "run, at, kind, by, data" if len(values) == 5 else "id, run, at, kind, by, data"
        db.execute(f"INSERT INTO requests ({columns}) VALUES ({marks})", values)  # noqa: S608


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


BROKEN = b"\xff\x1b"
"""No text in UTF-8, put in as text."""
AT = "2026-01-01T00:00:00.000Z"
GARBAGE = [
    (RUN, AT, "interrupt", "kim", '{"level": "x"}'),
    (RUN, AT, "interrupt", "kim", '{"level": true}'),
    (RUN, AT, "interrupt", "kim", '{"level": 7}'),
    (RUN, AT, "interrupt", "kim", '{"level": 1e999}'),
    (RUN, AT, "interrupt", "kim", "{"),
    (RUN, AT, "interrupt", "kim", "[" * 100_000),
    (RUN, AT, "answer", "kim", "[]"),
    (RUN, AT, "answer", "kim", "{}"),
    (RUN, AT, "answer", "kim", '{"opening": "3", "value": "yes"}'),
    (RUN, AT, "answer", "kim", '{"opening": 3, "value": null}'),
    (RUN, AT, "answer", "kim", json.dumps({"opening": 3, "value": "x" * 100_000})),
    (RUN, "yesterday", "answer", "kim", '{"opening": 3, "value": "yes"}'),
    (RUN, AT, "dance", "kim", "{}"),
    (2**63 - 1, RUN, AT, "dance", "kim", "{}"),
    *(
        (
            RUN,
            *(
                BROKEN if place == broken else value
                for place, value in enumerate((AT, "interrupt", "kim", '{"level": 1}'))
            ),
        )
        for broken in range(4)
    ),
]


@pytest.mark.parametrize("row", GARBAGE, ids=range(len(GARBAGE)))
def test_a_garbage_request_is_answered_and_the_next_one_is_heard(
    heard: Heard, tmp_path: Path, row: tuple[object, ...]
) -> None:
    put(tmp_path, *row)
    until(lambda: heard.refused)
    with Journal(tmp_path) as view:
        view.ask(RUN, "answer", "kim", {"opening": 3, "gate": "go", "value": "yes"})
        request = heard.inbox.next_answer(3, (), 30)
        assert request
        assert request.data["value"] == "yes"
        view.ask(RUN, "interrupt", "kim", {"level": 1})
    until(lambda: heard.levels)
    assert (len(heard.refused), heard.levels) == (1, [1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["answer", "interrupt", "", "\x00"]),
    data=st.one_of(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["opening", "value", "level", "gate"]), inner, max_size=4)
            ),
            max_leaves=8,
        ).map(json.dumps),
    ),
)
def test_whatever_stands_in_the_table_is_taken_or_refused(tmp_path: Path, kind: str, data: str) -> None:
    with Journal(tmp_path) as journal:
        made = Heard(journal)
        put(tmp_path, RUN, AT, kind, "kim", data.encode(errors="replace").decode())
        made.inbox._take_in()
        assert len(journal.requests(RUN)) > 0


def test_a_run_whose_requests_cannot_be_read_is_resumed_and_proved(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        put(tmp_path, RUN, AT, "answer", BROKEN, '{"opening": 3, "value": "yes"}')
        [request] = journal.requests(RUN)
        assert Inbox.known(journal, RUN) == {request.id}
        journal.append(RUN, Kind.NOTE, "", {"request": request.reference()})
        assert journal.verify().problems == ()


def test_what_a_request_led_to_keeps_its_hash(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for value in ("yes", "no"):
            journal.ask(RUN, "answer", "kim", {"opening": 3, "value": value})
        taken, left = journal.requests(RUN)
        data = {"opening": 3, "gate": "go", "value": "yes", "by": "kim", "request": taken.reference()}
        journal.append(RUN, Kind.GATE_ANSWERED, "look", data)
        assert journal.verify().problems == ()

        def tampered(statement: str, number: int) -> list[str]:
            with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
                sql = "SELECT sql FROM sqlite_master WHERE tbl_name = 'requests' AND type = 'trigger'"
                triggers = [row[0] for row in db.execute(sql)]
                db.execute("DROP TRIGGER requests_keep")
                db.execute("DROP TRIGGER requests_stay")
                db.execute(statement, (number,))
                for trigger in triggers:
                    db.execute(trigger)
            return [problem.what for problem in journal.verify().problems]

        assert tampered("DELETE FROM requests WHERE id = ?", left.id) == [], "it led to nothing"
        (what,) = tampered("""UPDATE requests SET by = 'cto' WHERE id = ?""", taken.id)
        assert "request 1 was changed after it led to event 1" in what
        (what,) = tampered("DELETE FROM requests WHERE id = ?", taken.id)
        assert "request 1, which led to event 1, is missing" in what


# Lock files


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=300), st.fixed_dictionaries(
    {}, optional={name: st.none() | st.integers() | st.floats() | st.text() for name in ("run", "owner", "pid", "since")}
).map(lambda about: json.dumps(about).encode())))  # fmt: skip
def test_whatever_stands_in_a_lock_file_it_says_that_it_is_held(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.lock"
    held = locks.take(path, run="r", owner="kim")
    assert held
    path.write_bytes(content)
    assert locks.holder_of(path) is not None
    held.release()
    assert locks.holder_of(path) is None


def as_folder(path: Path) -> None:
    path.mkdir(parents=True)


def as_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def as_loop(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path)


def in_a_file(path: Path) -> None:
    path.parent.write_text("")


@pytest.mark.parametrize("make", [as_folder, as_pipe, as_loop, in_a_file])
def test_a_lock_file_that_is_none_is_an_error_of_ours(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "runs" / "a.lock"
    make(path)
    for asked in (lambda: locks.take(path, run="r", owner="kim"), lambda: locks.holder_of(path)):
        with pytest.raises(JournalError, match=r"a\.lock"):
            asked()


def runs_in_a_file(runs: Path) -> None:
    runs.write_text("")


def log_as_folder(runs: Path) -> None:
    (runs / f"{RUN}.log").mkdir(parents=True)


def log_as_pipe(runs: Path) -> None:
    runs.mkdir()
    os.mkfifo(runs / f"{RUN}.log")


def folder_as_file(runs: Path) -> None:
    runs.mkdir()
    (runs / RUN).write_text("")


@pytest.mark.parametrize("make", [runs_in_a_file, log_as_folder, log_as_pipe, folder_as_file])
def test_a_run_that_has_no_place_for_its_files_does_not_start(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "runs")
    with Journal(tmp_path) as journal:
        with pytest.raises(JournalError, match=f"Run {RUN} has no place for its files") as caught:
            launch._start_executor(journal, RUN, None)
        assert "in its place" in caught.value.mend
        assert journal.events(RUN) == []


def test_a_lock_file_that_may_not_be_read_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mocked: root may read everything."""

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("infraconsole.engine.locks.os.open", refused)
    for asked in (
        lambda: locks.take(tmp_path / "a.lock", run="r", owner="kim"),
        lambda: locks.holder_of(tmp_path / "a.lock"),
    ):
        with pytest.raises(JournalError, match="Permission denied"):
            asked()
