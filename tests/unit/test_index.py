"""The index of runs: right after every event, made again where it is missing or behind, and of the same cost for more runs."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine import chain, followups, index, listing
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.history import record_of
from infraconsole.engine.index import RunSummary
from infraconsole.engine.journal import Journal
from infraconsole.engine.launch import later_run, new_id
from infraconsole.engine.recorder import Recorder
from infraconsole.engine.verify import verify
from infraconsole.redaction import Redactor
from infraconsole.screens.runs import board_runs, newest_runs, under_way

STEPS = ("look", "apply")


def create(journal: Journal, run: str, *, service: str = "fileflow", dry_run: bool = False) -> Event:
    target = {"service": service, "environment": "prod", "region": "ap-northeast-2", "account": "1", "name": ""}
    data = {"runbook": "deploy", "title": f"Deploy: {service}-prod", "target": target, "inputs": {}, "given": {},
            "operator": "kim", "dry_run": dry_run, "interactive": True,
            "steps": [{"id": step, "title": step, "fingerprint": ""} for step in STEPS]}  # fmt: skip
    journal.append(run, Kind.RUN_CREATED, data=data)
    started = {"pid": 1, "version": "", "resumed": False, "interactive": True}
    return journal.append(run, Kind.RUN_STARTED, data=started)


def change(journal: Journal, run: str, *, answered: bool = True) -> None:
    journal.append(run, Kind.STEP_STARTED, "apply", {"title": "", "why": "", "commands": [], "changes": True})
    journal.append(run, Kind.OUTPUT, "apply", {"lines": ["a line"]})
    call = {"call": f"{run}/1", "operation": "terraform:Apply", "parameters": {}}
    journal.append(run, Kind.CALL_INTENDED, "apply", call)
    if answered:
        journal.append(run, Kind.CALL_DONE, "apply", {**call, "answer": {}})
        journal.append(run, Kind.STEP_FINISHED, "apply", {"result": {"changed": True}, "seconds": 1})


def end(journal: Journal, run: str, outcome: str = "done") -> None:
    ending = {"outcome": outcome, "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
    journal.append(run, Kind.RUN_FINISHED, data=ending)


def follow_up(journal: Journal, run: str, title: str = "Pin image_tag") -> None:
    fields = {"id": "pin", "title": title, "detail": "", "file": "", "key": "", "value": ""}
    journal.append(run, Kind.FOLLOW_UP_OPENED, "apply", fields)


def filled(journal: Journal, runs: int, *, service: str = "fileflow") -> None:
    for number in range(runs):
        run = f"{service[:2]}{number:05}"
        create(journal, run, service=service)
        change(journal, run)
        end(journal, run, "done" if number % 3 else "failed")


def summaries(journal: Journal) -> list[RunSummary]:
    return list(listing.newest(journal, None).runs)


def expected(journal: Journal) -> list[RunSummary]:
    created = journal.events_of_kind(Kind.RUN_CREATED)
    return [
        index.summary_of(record_of(event.run, journal.events(event.run)), event.id)
        for event in sorted(created, key=lambda event: -event.id)
    ]


def test_after_every_event_the_index_says_what_the_events_say(tmp_path: Path) -> None:
    gate = {"id": "go", "kind": "confirm", "title": "Go on?", "changes": [], "irreversible": [], "commands": [],
            "choices": [], "expected": "yes", "approvers": []}  # fmt: skip
    steps: list[Callable[[Journal], object]] = [
        lambda journal: create(journal, "aaaaaa"),
        lambda journal: journal.append("aaaaaa", Kind.GATE_OPENED, "look", {"opening": 3, "gate": gate}),
        lambda journal: journal.append("aaaaaa", Kind.WAITING, "look", {"reason": "no credentials", "mend": ""}),
        lambda journal: create(journal, "bbbbbb", dry_run=True),
        lambda journal: change(journal, "aaaaaa", answered=False),
        lambda journal: journal.append("aaaaaa", Kind.WAITING_OVER, "look", {"reason": ""}),
        lambda journal: journal.append("aaaaaa", Kind.REWOUND, "apply", {"to": "look", "reason": "again"}),
        lambda journal: change(journal, "aaaaaa"),
        lambda journal: end(journal, "aaaaaa", "interrupted"),
        lambda journal: journal.append("aaaaaa", Kind.RUN_STARTED, data={"pid": 2}),
        lambda journal: end(journal, "aaaaaa", "failed"),
    ]
    with Journal(tmp_path) as journal, Journal(tmp_path) as other:
        for number, step in enumerate(steps):
            step(journal if number % 2 else other)  # two processes take turns in one run
            assert summaries(journal) == expected(journal), number
        assert journal.verify().problems == ()


def test_hostile_events_are_listed_as_far_as_they_are_understood(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        hostile: list[dict[str, Any]] = [
            {},
            {"title": 5},
            {"runbook": "\ud800", "target": None},
            {"target": {"service": []}},
        ]
        for number, data in enumerate(hostile):
            journal.append(f"run{number}", Kind.RUN_CREATED, data=data)
            journal.append(f"run{number}", Kind.STEP_FINISHED, "nowhere", {"result": 7})
            journal.append(f"run{number}", Kind.FOLLOW_UP_OPENED, data={"id": ["\udc00"], "title": number})
        assert len(summaries(journal)) == 4
        assert len(followups.open_follow_ups(journal)) == 4
        assert journal.verify().problems == ()


def as_version_1(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        for table in ("runs", "follow_ups", "indexed"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 1")


def test_a_journal_of_version_1_is_taken_over_with_its_chain(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        filled(journal, 5)
        follow_up(journal, "fi00001")
        before, head = summaries(journal), journal.head()
    as_version_1(tmp_path)
    with Journal(tmp_path) as journal:
        assert summaries(journal) == before
        assert [known.run for known in followups.open_follow_ups(journal)] == ["fi00001"]
        assert journal.head() == head
        assert journal.verify().problems == ()


def open_and_count(folder: Path, found: Any) -> None:
    with Journal(folder) as journal:
        found.put(len(summaries(journal)))


def test_two_processes_take_it_over_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_EVENTS_A_BATCH", 20)  # inherited by the forked processes
    with Journal(tmp_path) as journal:
        filled(journal, 30)
    as_version_1(tmp_path)
    start = multiprocessing.get_context("fork")
    found = start.Queue()
    processes = [start.Process(target=open_and_count, args=(tmp_path, found)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [found.get(timeout=60) for _ in processes] == [30, 30, 30]
    for process in processes:
        process.join()
    with Journal(tmp_path) as journal:
        assert journal.verify().problems == ()


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_killed_while_it_is_made_it_is_made_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    monkeypatch.setattr(index, "_EVENTS_A_BATCH", 20)
    with Journal(tmp_path) as journal:
        filled(journal, 20)
        follow_up(journal, "fi00003")
        before = summaries(journal)
    as_version_1(tmp_path)
    with Journal(tmp_path) as journal:
        for _ in range(batches):
            with journal.writing():
                index.catch_up(journal.database)
    with Journal(tmp_path) as journal:
        create(journal, "cccccc")  # written while the index is behind
        assert summaries(journal)[1:] == before
        assert [known.run for known in followups.open_follow_ups(journal)] == ["fi00003"]
        assert journal.verify().problems == ()


def written_by_an_older_one(folder: Path, run: str, kind: Kind, data: str) -> None:
    """As version 1 writes: it knows nothing of an index."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        number, previous = db.execute("SELECT id, hash FROM events ORDER BY id DESC LIMIT 1").fetchone()
        seq = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events WHERE run = ?", (run,)).fetchone()[0]
        row = (number + 1, run, seq, "2026-01-01T00:00:00.000Z", kind.value, "", data, previous)
        db.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)", (*row, chain.digest(*row)))


def test_what_an_older_executor_writes_meanwhile_is_taken_in(tmp_path: Path) -> None:
    ending = '{"cause":"","exit_code":0,"mend":"","outcome":"done","title":"","warnings":[]}'
    with Journal(tmp_path) as journal:
        create(journal, "aaaaaa")
        create(journal, "bbbbbb")
        assert [run.outcome for run in summaries(journal)] == ["", ""]
        written_by_an_older_one(tmp_path, "aaaaaa", Kind.RUN_FINISHED, ending)
        assert [run.outcome for run in summaries(journal)] == ["", "done"]
        written_by_an_older_one(tmp_path, "bbbbbb", Kind.RUN_FINISHED, ending)
        create(journal, "cccccc")
        assert [run.outcome for run in summaries(journal)] == ["", "done", "done"]
        assert journal.verify().problems == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM runs WHERE run = 'fi00002'",
        "UPDATE runs SET outcome = 'done' WHERE outcome = 'failed'",
        "INSERT INTO follow_ups VALUES (3, 'fi00000', 'pin', 'x', 'y')",
        "DELETE FROM follow_ups",
    ],
)
def test_a_wrong_index_is_a_problem_and_is_made_again(tmp_path: Path, statement: str) -> None:
    with Journal(tmp_path) as journal:
        filled(journal, 5)
        follow_up(journal, "fi00001")
        before = summaries(journal)
        with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
            db.execute(statement)
        found = journal.verify().problems
        assert found
        assert all(problem.derived for problem in found)
        journal.remake_index()
        assert summaries(journal) == before
        assert journal.verify().problems == ()


def test_an_index_that_was_dropped_is_made_again(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        filled(journal, 3)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
        db.execute("DROP TABLE runs")
    with Journal(tmp_path) as journal:
        assert len(summaries(journal)) == 3


def test_what_later_runs_and_lists_ask_is_answered_as_the_events_say(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        create(journal, "aaaaaa")
        change(journal, "aaaaaa", answered=False)  # killed
        create(journal, "bbbbbb", service="other")
        change(journal, "bbbbbb")
        end(journal, "bbbbbb")
        record = record_of("aaaaaa", journal.events("aaaaaa"))
        assert later_run(journal, record) == ""
        assert [run.record.run for run in board_runs(journal, ["fileflow-prod"]).unfinished] == ["aaaaaa"]
        create(journal, "cccccc")
        change(journal, "cccccc")
        end(journal, "cccccc")
        assert later_run(journal, record) == "cccccc"
        board = board_runs(journal, ["fileflow-prod", "other-prod", "none"])
        assert board.unfinished == ()
        assert {name: run.record.run for name, run in board.last.items()} == {
            "fileflow-prod": "cccccc", "other-prod": "bbbbbb"}  # fmt: skip
        create(journal, "dddddd")
        recorder = Recorder(journal, "dddddd", Redactor())
        assert recorder.earlier_results("apply") == [{"changed": True}]
        assert [run.run for run in listing.newest(journal, 10, "OTHER prod").runs] == ["bbbbbb"]


class Counter:
    """How much SQLite has to do, whatever the machine is busy with: its virtual machine's steps, by a hundred."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.steps = 0

    def _step(self) -> int:
        self.steps += 1
        return 0

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        self._journal.database.set_progress_handler(self._step, 100)
        yield
        self._journal.database.set_progress_handler(None, 0)


def asked(journal: Journal, name: str) -> int:
    record = record_of("zzzzzz", journal.events("zzzzzz"))
    recorder = Recorder(journal, "zzzzzz", Redactor())
    questions: dict[str, Callable[[], object]] = {
        "journal screen": lambda: newest_runs(journal, 10),
        "board": lambda: board_runs(journal, ["fileflow-prod", "other-prod"]),
        "journal": lambda: (listing.newest(journal, 10), followups.review(journal)),
        "run": lambda: (recorder.open_follow_ups(), create(journal, new_id(journal))),
        "resume": lambda: (later_run(journal, record), journal.resolve("zzz"), journal.resolve("last")),
        "quit": lambda: under_way(journal),
    }
    counter = Counter(journal)
    with counter.counting():
        questions[name]()
    return counter.steps


@pytest.mark.parametrize("name", ["journal screen", "board", "journal", "run", "resume", "quit"])
def test_a_longer_journal_costs_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    found = []
    for runs in (10, 300):
        with Journal(tmp_path / str(runs)) as journal:
            journal.database.execute("PRAGMA synchronous = OFF")
            create(journal, "zzzzzz")
            filled(journal, runs)
            found.append(asked(journal, name))
    few, many = found
    assert many <= few * 1.5 + 3, (few, many)


GARBAGE = {
    "other columns": "DROP TABLE runs; CREATE TABLE runs (x TEXT)",
    "a view": "DROP TABLE runs; CREATE VIEW runs AS SELECT 1 AS id",
    "a view with all columns": "ALTER TABLE runs RENAME TO r; CREATE VIEW runs AS SELECT * FROM r",
    "an index in its place": "DROP TABLE runs; CREATE INDEX runs ON events (at)",
    "a bad date": "UPDATE runs SET created_at = 'yesterday'",
    "no UTF-8": "UPDATE runs SET title = CAST(x'ff' AS TEXT); UPDATE follow_ups SET title = CAST(x'ff' AS TEXT)",
    "nothing of what it knows": "DELETE FROM indexed",
    "other columns of what it knows": "DROP TABLE indexed; CREATE TABLE indexed (y TEXT)",
    "ahead": "UPDATE indexed SET event = 8",
    "far ahead": "UPDATE indexed SET event = 1000",
    "other columns of follow-ups": "DROP TABLE follow_ups; CREATE TABLE follow_ups (x)",
    "a follow-up of nobody": "INSERT INTO follow_ups VALUES (9999, 'a', 'b', 'c', 'd')",
    "a trigger": "CREATE TRIGGER t BEFORE DELETE ON runs BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "a trigger of follow-ups": 'CREATE TRIGGER "t""x" BEFORE INSERT ON Follow_Ups BEGIN SELECT RAISE(ABORT, \'no\'); END',
    "none": "DROP TABLE runs; DROP TABLE follow_ups; DROP TABLE indexed",
}


@pytest.mark.parametrize("is_open", [True, False], ids=["while it is open", "before it is opened"])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("first", ["append", "read", "verify"])
def test_garbage_in_the_index_stops_nothing(tmp_path: Path, garbage: str, first: str, is_open: bool) -> None:
    """Whatever comes first, and whether the journal was open already."""
    with Journal(tmp_path) as journal:
        create(journal, "aaaaaa")
        follow_up(journal, "aaaaaa")
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Journal(tmp_path)) if is_open else None
        with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as db:
            db.executescript(garbage)
        if first == "verify":
            assert all(problem.derived for problem in verify(tmp_path).problems)
        journal = opened or stack.enter_context(Journal(tmp_path))
        if first == "append":
            follow_up(journal, "aaaaaa", "Pin another")
        if "created_at" in garbage or first != "append":
            assert [run.run for run in listing.newest(journal, None).runs] == ["aaaaaa"]
        create(journal, "bbbbbb")
        end(journal, "aaaaaa")
        follow_up(journal, "bbbbbb")
        if any(problem.derived for problem in journal.verify().problems):
            journal.remake_index()  # as `journal verify` does
        assert [(run.run, run.outcome) for run in listing.newest(journal, None).runs] == [
            ("bbbbbb", ""),
            ("aaaaaa", "done"),
        ]
        assert followups.open_follow_ups(journal)[0].run == "bbbbbb"
        assert journal.verify().problems == ()
