"""What becomes of a run's files when it is over."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from infraconsole.engine import kept_files
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.redaction import Redactor
from infraconsole.terraform.supervise import start_mark
from tests.unit.test_known_secrets import document

SECRET = "hunter2-hunter2"
DUMP = {
    "type": "state_dump",
    "@message": "Emergency state dump",
    "state": {"version": 4, "serial": 2, "lineage": "x", "resources": []},
}


def event(kind: str, message: str = "", **hook: object) -> str:
    return json.dumps({"@level": "info", "@message": message, "type": kind, "hook": hook}) + "\n"


def record(folder: Path, name: str, *, code: str = "0", stdout: str = "", age: int = 1_700_000_000) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    files = {"command": json.dumps({"command": ["terraform", "plan", "--token", SECRET], "folder": "/x", "data_dir": None}),
             "stdout": stdout, "stderr": SECRET, "supervisor.log": SECRET, "pid": "1 x", "supervisor": "1 x"}  # fmt: skip
    for file, text in (files | ({"rc": code} if code else {})).items():
        (made / file).write_text(text)
    os.utime(made / "command", (age, age))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs/abcdef"
    made.mkdir(parents=True)
    (made / "plan.json").write_bytes(document())
    for name in (
        "plan.tfplan",
        "chosen.tfstate",
        "restored.tfstate",
        "backup.tfstate",
        "removed-1.tfstate",
        "cost.json",
    ):
        (made / name).write_text(f'"{SECRET}"')
    return made


@pytest.fixture
def redactor() -> Redactor:
    knowing = Redactor()
    knowing.learn(SECRET)
    return knowing


def test_what_holds_secrets_goes_and_what_undoes_the_run_stays(folder: Path, redactor: Redactor) -> None:
    said = event("provision_progress", SECRET) + event("diagnostic", SECRET)
    done = event(
        "apply_complete",
        f"x [id={SECRET}]",
        resource={"addr": "a.b", "resource": "a.b"},
        action="create",
        id_value=SECRET,
    )
    apply = record(folder, "00012-apply", stdout=f"plain {SECRET}\n{said}{done}")
    record(folder, "00003-plan", stdout=said)
    assert kept_files.tidy(folder, redactor)
    left = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert left == {
        *("plan.json", "cost.json", "backup.tfstate", "removed-1.tfstate", "tidied"),
        *(f"00012-apply/{name}" for name in ("command", "stdout", "pid", "supervisor", "rc")),
        *(f"00003-plan/{name}" for name in ("command", "pid", "supervisor", "rc")),
    }
    (kept,) = [json.loads(line) for line in (apply / "stdout").read_text().splitlines()]
    assert kept["hook"]["resource"]["addr"] == "a.b"
    assert "@message" not in kept
    for file in left - {"backup.tfstate", "removed-1.tfstate"}:
        assert SECRET not in (folder / file).read_text(), file
    assert (apply / "command").stat().st_mtime == 1_700_000_000, "later runs go by its age"
    assert all(file.stat().st_mode & 0o077 == 0 for file in (folder / "plan.json", apply / "stdout", apply / "command"))
    assert kept_files.tidy(folder, redactor), "a second time changes nothing"


def test_nothing_is_taken_from_under_a_command_that_still_runs(folder: Path, redactor: Redactor) -> None:
    running = record(folder, "00012-apply", code="")
    (running / "pid").write_text(f"{os.getpid()} {start_mark(os.getpid())}")
    assert not kept_files.tidy(folder, redactor)
    assert (folder / "plan.tfplan").exists()
    assert (running / "stderr").exists()


def test_the_only_copy_of_a_state_stays(folder: Path, redactor: Redactor) -> None:
    apply = record(folder, "00012-apply", code="1", stdout=json.dumps(DUMP) + "\n")
    assert kept_files.tidy(folder, redactor)
    assert "Emergency" in (apply / "stdout").read_text()


def test_only_runs_that_are_over_and_left_untidied_are_found(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for run, outcome in (("donerun", "done"), ("stopped", "interrupted"), ("goingon", ""), ("tidyrun", "failed")):
            (tmp_path / "runs" / run).mkdir(parents=True)
            target = {"service": "s", "environment": "dev", "region": "r", "account": "1", "name": "s-dev"}
            created = {"runbook": "deploy", "title": "x", "target": target, "inputs": {}, "given": {}, "operator": "kim",
                       "dry_run": False, "interactive": False, "steps": []}  # fmt: skip
            journal.append(run, Kind.RUN_CREATED, "", created)
            if outcome:
                ending = {"outcome": outcome, "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
                journal.append(run, Kind.RUN_FINISHED, "", ending)
        (tmp_path / "runs/tidyrun/tidied").touch()
        (tmp_path / "runs/unknown").mkdir()
        assert [each.name for each in kept_files.over(journal)] == ["donerun"]


def test_every_old_run_has_its_turn_and_a_look_costs_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "_AT_ONCE", 5)
    target = {"service": "s", "environment": "dev", "region": "r", "account": "1", "name": "s-dev"}
    created = {"runbook": "deploy", "title": "x", "target": target, "inputs": {}, "given": {}, "operator": "kim",
               "dry_run": False, "interactive": False, "steps": []}  # fmt: skip
    ending = {"outcome": "done", "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
    asked: list[str] = []
    real = Path.exists

    def exists(path: Path) -> bool:
        asked.append(path.parent.name)
        return real(path)

    with Journal(tmp_path) as journal:
        for number in range(23):
            (tmp_path / f"runs/r{number:02}").mkdir(parents=True)
            journal.append(f"r{number:02}", Kind.RUN_CREATED, "", created)
            journal.append(f"r{number:02}", Kind.RUN_FINISHED, "", ending)
            (tmp_path / f"runs/r{number:02}/tidied").touch()
        (tmp_path / "runs/r01/tidied").unlink()
        monkeypatch.setattr(Path, "exists", exists)
        found = []
        for _ in range(5):
            asked.clear()
            found += [each.name for each in kept_files.over(journal)]
            assert len(asked) <= 10
        assert found == ["r01"]


def test_what_cannot_be_removed_is_said_and_keeps_nothing_else(
    folder: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder.parent / "other"
    other.mkdir()

    def refuse(record: Path, _: Redactor) -> None:
        raise OSError(f"no room for {record}")

    monkeypatch.setattr(kept_files, "_tidy_record", refuse)
    record(folder, "00012-apply")
    problems = kept_files.tidy_all([folder, other], redactor)
    assert len(problems) == 1
    assert (other / "tidied").exists()
    assert not (folder / "tidied").exists(), "it is tried again"
