"""Which commands ran in a root module: told by notes, whose cost does not grow with the number of runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from infraconsole.terraform import past_commands
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.runner import COMMAND, Terraform

ENVIRON = {"TF_DATA_DIR": "/data/dev"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "state/runs"
    folder.mkdir(parents=True)
    return folder


def terraform(folder: str = "/code/a", data: str = "/data/dev") -> Terraform:
    return Terraform(Binary(("terraform",), "1.11.4", "path"), Path(folder), {"TF_DATA_DIR": data})


def recorded(runs: Path, run: str, name: str, age: int = 0, folder: str = "/code/a", data: str = "/data/dev") -> Path:
    record = runs / run / name
    record.mkdir(parents=True)
    (record / COMMAND).write_text(json.dumps({"command": ["terraform"], "folder": folder, "data_dir": data}))
    os.utime(record / COMMAND, (1_000_000 - age, 1_000_000 - age))
    return record


def noted(runs: Path, run: str, name: str, **about: str) -> Path:
    record = recorded(runs, run, name, **about)  # type: ignore[arg-type]
    past_commands.note(runs, terraform(**about), record)
    return record


def found(runs: Path, *names: str) -> Sequence[Path]:
    return list(past_commands.records(runs, Path("/code/a"), ENVIRON, *names))


def test_the_newest_comes_first_and_only_of_that_root_module(runs: Path) -> None:
    first = noted(runs, "a", "00004-apply")
    noted(runs, "b", "00004-apply", folder="/code/b")
    noted(runs, "c", "00004-apply", data="/data/prod")
    plan = noted(runs, "d", "00004-plan")
    second = noted(runs, "d", "00009-apply")
    assert found(runs, "apply") == [second, first]
    assert found(runs) == [second, plan, first]


def test_records_from_before_the_notes_are_found_by_their_age(runs: Path) -> None:
    old, older = recorded(runs, "z", "00004-apply", age=10), recorded(runs, "y", "00004-apply", age=20)
    (runs / "x/00004-apply").mkdir(parents=True)
    (runs / "x/00004-apply" / COMMAND).write_text("no JSON")
    new = noted(runs, "a", "00004-apply")
    assert found(runs, "apply") == [new, old, older]


def test_a_command_that_never_started_and_one_that_was_archived_are_left_out(runs: Path) -> None:
    past_commands.note(runs, terraform(), runs / "a/00004-apply")
    assert found(runs) == []


def test_a_note_behind_one_that_was_cut_off_counts(runs: Path) -> None:
    noted(runs, "a", "00004-apply")
    (file,) = (each for each in (runs.parent / past_commands.FOLDER).iterdir() if each.name != "complete")
    with file.open("a") as stream:
        stream.write("b/0000")
    last = noted(runs, "c", "00004-apply")
    assert found(runs) == [last, runs / "a/00004-apply"]


def test_notes_that_were_cut_off_while_they_were_made_are_made_again(runs: Path) -> None:
    record = recorded(runs, "a", "00004-apply")
    (runs.parent / past_commands.FOLDER).mkdir()
    (runs.parent / past_commands.FOLDER / "complete").touch()
    assert found(runs) == [record]


def test_where_no_note_can_be_written_the_records_themselves_are_looked_at(runs: Path) -> None:
    record = recorded(runs, "a", "00004-apply")
    (runs.parent / past_commands.FOLDER).write_text("in the way")
    assert found(runs) == [record]


@pytest.mark.parametrize("count", [10, 400])
def test_no_folder_of_another_root_modules_run_is_looked_at(
    runs: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(count):
        noted(runs, f"other{number}", "00004-apply", folder="/code/b")
    own = [noted(runs, f"own{number}", "00004-apply") for number in range(3)]
    looked: list[str] = []

    def counted(name: str) -> None:
        real = getattr(os, name)

        def look(path: object = ".", *more: object, **others: object) -> object:
            looked.append(str(path))
            return real(path, *more, **others)

        monkeypatch.setattr(os, name, look)

    for name in ("scandir", "listdir", "stat", "open"):
        counted(name)
    assert found(runs, "apply") == own[::-1]
    monkeypatch.undo()
    assert len([path for path in looked if str(runs) in path]) == len(own)
