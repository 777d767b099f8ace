"""What is bound to an approval is the commit and whether anything differs from it, told at once and whole."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from infraconsole.checks import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "root").mkdir(parents=True)
    (folder / "root/main.tf").write_text("# one\n")
    ours(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def ours(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{role}_{what}": "kim@x.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ("git", "-C", str(folder), *arguments),
        env={**os.environ, **who, **nobody},
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.strip()


def test_the_name_is_the_commit_and_whether_the_folder_differs(repository: Path) -> None:
    root = repository / "root"
    assert git.name(root) == "no commit with changed files"
    ours(repository, "add", "-A")
    ours(repository, "commit", "--quiet", "-m", "One")
    head = ours(repository, "rev-parse", "HEAD")
    assert git.name(root) == head
    (repository / "elsewhere").write_text("x")
    assert git.name(root) == head, "only the root's own files count"
    (root / "new.tf").write_text("x")
    assert git.name(root) == f"{head} with changed files"
    assert git.current(root).dirty == ("?? root/new.tf",)


def test_outside_of_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert git.name(tmp_path) == "no commit"
    assert git.current(tmp_path) == git.Commit()


def test_a_long_answer_comes_whole(repository: Path) -> None:
    for number in range(3_000):
        (repository / f"root/a-file-with-a-rather-long-name-{number}.tf").touch()
    ours(repository, "add", "-A")
    assert all(git.name(repository) == "no commit with changed files" for _ in range(5))
    assert len(git._git(repository, "status", "--porcelain").splitlines()) == 3_001  # type: ignore[union-attr]


def test_a_git_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexec sleep 30\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "SECONDS", 0.2)
    began = time.monotonic()
    assert git.name(tmp_path) == "no commit"
    assert time.monotonic() - began < 10
