"""`infraconsole journal`, `verify` and `archive`, as they are typed."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

import pytest

from infraconsole.cli import main
from infraconsole.engine.journal import Journal
from tests.unit.test_index import create, end, filled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "infraconsole.toml").write_text('region = "ap-northeast-2"\n')
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("INFRACONSOLE_CONFIG", str(tmp_path / "infraconsole.toml"))
    with Journal(tmp_path / "state") as journal:
        journal.database.execute("PRAGMA synchronous = OFF")
        filled(journal, 60)
    return tmp_path / "state"


Output = pytest.CaptureFixture[str]


def test_the_newest_runs_are_listed_and_how_to_see_more(folder: Path, capsys: Output) -> None:
    assert main(["journal"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == [f"fi{number:05}" for number in range(59, 9, -1)]
    assert "The newest 50 of 60 runs. More: --limit N, or --all" in err
    assert main(["journal", "--limit", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["journal", "--all"]) == 0
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err) == (60, "")
    for count in ("0", "-1", "x"):
        assert main(["journal", "--limit", count]) == 2
        assert f"{count!r} is no number from 1 on" in capsys.readouterr().err


def test_json_keeps_its_shape_and_says_how_many_there_are(folder: Path, capsys: Output) -> None:
    assert main(["journal", "--json", "--limit", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (set(document), document["total"]) == ({"runs", "follow_ups", "total"}, 60)
    assert [run["run"] for run in document["runs"]] == ["fi00059", "fi00058"]
    assert set(document["runs"][0]) == {
        "run", "runbook", "target", "region", "account", "operator", "state", "outcome", "dry_run", "created_at",
        "ended_at"}  # fmt: skip


def test_a_wrong_index_is_said_and_made_again(folder: Path, capsys: Output) -> None:
    with contextlib.closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        db.execute("DELETE FROM runs WHERE run = 'fi00059'")
    assert main(["journal", "verify"]) == 1
    out, err = capsys.readouterr()
    assert "the index of runs says something else of run fi00059" in out
    assert "made again" in err
    assert main(["journal", "verify"]) == 0
    assert "only an anchor outside tells" in capsys.readouterr().err
    assert main(["journal", "fi00059"]) == 0


def test_what_is_archived_can_be_proved_and_read(folder: Path, capsys: Output) -> None:
    assert main(["journal", "archive", "--before", "2100-01-01", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["runs"], done["kept"]) == (59, 1)
    assert main(["journal", "verify", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["archives"] == [{"file": done["file"], "events": done["events"], "runs": 59}]
    assert main(["journal", "verify", "--archive", done["file"]]) == 0
    assert "59 runs, whole" in capsys.readouterr().out
    assert main(["journal", "fi00001", "--archive", done["file"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["kind"] == "run-created"
    assert main(["journal", "fi00001"]) == 2
    assert main(["journal", "archive", "--before", "2100-01-01"]) == 0
    assert "No run to archive ended before" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["archive"],
        ["archive", "--before", "yesterday"],
        ["archive", "--before", "0001-01-01T00:00:00+23:00"],
        ["anchor", "--to", "nowhere", "--yes"],
        ["anchor", "--yes"],
    ],
)
def test_what_is_typed_wrong_is_an_error_of_ours(folder: Path, capsys: Output, arguments: list[str]) -> None:
    assert main(["journal", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--markdown"],
        ["--archive", "x.db"],
        ["--before", "2026-01-01"],
        ["last", "--limit", "3"],
        ["last", "--all"],
        ["last", "--yes"],
        ["verify", "--markdown"],
        ["verify", "--before", "2026-01-01"],
        ["verify", "--env", "prod"],
        ["archive", "--before", "2026-01-01", "--anchor"],
        ["anchor", "--archive", "x.db"],
        ["files", "fi00001", "--to", "x"],
    ],
)
def test_an_option_that_does_not_apply_is_refused(folder: Path, capsys: Output, arguments: list[str]) -> None:
    assert main(["journal", *arguments]) == 2
    assert "does not go with" in capsys.readouterr().err


def test_where_there_is_no_journal_nothing_is_called_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "nowhere"))
    assert main(["journal", "verify"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "There is no journal at" in err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm"])
@pytest.mark.parametrize("command", [["journal"], ["journal", "verify"]])
def test_a_pipe_in_the_place_of_the_journal_keeps_nobody_waiting(
    folder: Path, capsys: Output, name: str, command: list[str]
) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert main(command) == 1
    assert "a named pipe" in capsys.readouterr().err


def test_a_copy_without_what_stands_in_the_wal_says_so(folder: Path, capsys: Output) -> None:
    """Copied while somebody held it open, and the file alone."""
    with Journal(folder) as journal:
        journal.database.execute("PRAGMA journal_mode = DELETE")
    whole = (folder / "journal.db").read_bytes()
    (folder / "journal.db").write_bytes(b"")
    assert main(["journal", "verify"]) == 1
    assert "journal.db-wal, which is not beside it" in capsys.readouterr().out
    (folder / "journal.db").write_bytes(whole)
    assert main(["journal", "verify"]) == 0


@pytest.mark.parametrize("where", ["journal.db", "missing/deep/x.db", "."])
def test_an_archive_that_is_none_is_an_error_of_ours(folder: Path, capsys: Output, where: str) -> None:
    assert main(["journal", "verify", "--archive", str(folder / where)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_place_for_the_archive_that_is_taken_is_left_alone(folder: Path, tmp_path: Path, capsys: Output) -> None:
    taken = tmp_path / "taken.db"
    taken.write_text("mine")
    assert main(["journal", "archive", "--before", "2100-01-01", "--to", str(taken)]) == 2
    assert taken.read_text() == "mine"
    assert main(["journal", "archive", "--before", "2100-01-01", "--to", str(taken / "in-a-file.db")]) == 1
    assert main(["journal", "verify"]) == 0


def test_a_run_that_is_under_way_elsewhere_is_listed_as_it_stands(folder: Path, capsys: Output) -> None:
    with Journal(folder) as journal:
        create(journal, "zzzzzz")
    assert main(["journal", "--limit", "1"]) == 0
    assert "resumable" in capsys.readouterr().out
    with Journal(folder) as journal:
        end(journal, "zzzzzz")
    (folder / "runs" / "yyyyyy.lock").mkdir(parents=True)
    with Journal(folder) as journal:
        create(journal, "yyyyyy")
    assert main(["journal", "--limit", "1"]) == 0
    out, err = capsys.readouterr()
    assert "not known" in out
    assert "yyyyyy.lock cannot be used" in err
