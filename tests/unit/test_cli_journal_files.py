"""`infraconsole journal files`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infraconsole.cli import main
from infraconsole.engine import sealed
from infraconsole.engine.files_key import FilesKey
from infraconsole.engine.journal import Journal
from infraconsole.engine.sealed import Seal
from tests.unit.test_index import create, end

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
BODIES = {"00003-plan/stdout": b"said", "backup.tfstate": b"{}", "plan.tfplan": bytes(3 * 2**20)}
Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the run abcdef."""
    (tmp_path / "infraconsole.toml").write_text('[engine]\nkeep_files = "encrypt"\nfiles_key = "own.key"\n')
    (tmp_path / "own.key").write_text(KEY)
    (tmp_path / "own.key").chmod(0o600)
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("INFRACONSOLE_CONFIG", str(tmp_path / "infraconsole.toml"))
    with Journal(tmp_path / "state") as journal:
        for run in ("abcdef", "ghijkl"):
            create(journal, run)
            end(journal, run)
    made = tmp_path / "state/runs/abcdef"
    seal = Seal(FilesKey(tmp_path / "own.key", bytes(range(32))), made.parent)
    for name, body in BODIES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(body)
        seal.keep(made / name, will_go=True)
        (made / name).unlink()
    return made


def test_files_are_listed_without_a_key(folder: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "own.key").unlink()
    assert main(["journal", "files", "abc"]) == 0
    assert capsys.readouterr().out.splitlines() == sorted(BODIES)
    assert main(["journal", "files", "ghijkl"]) == 0
    assert "no encrypted files" in capsys.readouterr().err


def test_files_are_decrypted_into_a_new_folder_for_their_owner_and_that_is_recorded(
    folder: Path, tmp_path: Path, capsys: Output
) -> None:
    into = tmp_path / "clear"
    assert main(["journal", "files", "abcdef", "--into", str(into), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["run"] == "abcdef"
    assert {each["name"]: each["bytes"] for each in document["files"]} == {name: len(BODIES[name]) for name in BODIES}
    assert {str(file.relative_to(into)): file.read_bytes() for file in into.rglob("*") if file.is_file()} == BODIES
    assert all(path.stat().st_mode & 0o077 == 0 for path in (into, *into.rglob("*")))
    assert len(sealed.listed(folder)) == len(BODIES), "they stay encrypted"
    assert main(["journal", "last"]) == 0
    assert "Decrypted the files of run abcdef" in capsys.readouterr().out


def test_nothing_is_overwritten_and_nothing_made_in_vain(folder: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "there").mkdir()
    assert main(["journal", "files", "abcdef", "--into", str(tmp_path / "there")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["journal", "files", "abcdef", "--into", str(tmp_path / "no/folder")]) == 2
    assert main(["journal", "files", "ghijkl", "--into", str(tmp_path / "new")]) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is missing"), ("garbage", "holds no key"), ("A" * 43 + "=\n", "another key")],
    ids=["missing", "garbage", "other"],
)
def test_a_key_that_does_not_fit_is_told_and_makes_nothing(
    folder: Path, tmp_path: Path, capsys: Output, content: str | None, words: str
) -> None:
    (tmp_path / "own.key").unlink()
    if content is not None:
        (tmp_path / "own.key").write_text(content)
        (tmp_path / "own.key").chmod(0o600)
    assert main(["journal", "files", "abcdef", "--into", str(tmp_path / "clear")]) == 5
    said = capsys.readouterr().err
    assert words in said
    assert str(tmp_path / "own.key") in said
    assert not (tmp_path / "clear").exists()


def test_one_damaged_file_does_not_keep_the_others_back(folder: Path, tmp_path: Path, capsys: Output) -> None:
    made = folder / "plan.tfplan.enc"
    made.write_bytes(made.read_bytes()[:-1])
    into = tmp_path / "clear"
    assert main(["journal", "files", "abcdef", "--into", str(into)]) == 1
    assert "plan.tfplan: " in capsys.readouterr().err
    assert {str(file.relative_to(into)) for file in into.rglob("*") if file.is_file()} == set(BODIES) - {"plan.tfplan"}


@pytest.mark.parametrize(
    "arguments", [["files"], ["abcdef", "ghijkl"], ["abcdef", "--into", "x"], ["files", "nobody"], ["verify", "abcdef"]]
)
def test_what_makes_no_sense_is_a_wrong_usage(folder: Path, arguments: list[str]) -> None:
    assert main(["journal", *arguments]) == 2
