"""A program that is asked something has an end, whatever it does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from infraconsole import programs
from infraconsole.checks import git

LENIENT = 20.0


def sh(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def test_what_it_says_and_how_it_ends() -> None:
    said = programs.ask(sh("printf out; printf err >&2; exit 3"), seconds=LENIENT)
    assert (said.code, said.output, said.errors) == (3, b"out", b"err")
    assert programs.ask(sh("env"), seconds=LENIENT, environ={"A": "b"}).output.count(b"A=b") == 1


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600",
        "trap '' TERM INT HUP; sleep 600",
        "exec >&- 2>&-; sleep 600",
        "while :; do printf x; sleep 0.05; done",
    ],
)
def test_one_that_does_not_end_is_ended(script: str) -> None:
    began = time.monotonic()
    with pytest.raises(programs.Unheard):
        programs.ask(sh(script), seconds=0.5)
    assert time.monotonic() - began < LENIENT


def test_one_that_says_too_much_is_ended() -> None:
    with pytest.raises(programs.Unheard, match="1 MB"):
        programs.ask(("cat", "/dev/zero"), seconds=LENIENT * 10, most=2**20)


def test_what_it_left_behind_holds_nobody_up() -> None:
    began = time.monotonic()
    assert programs.ask(sh("sleep 600 & echo there"), seconds=LENIENT * 10).output == b"there\n"
    assert time.monotonic() - began < LENIENT


def test_all_of_a_long_answer_is_heard() -> None:
    said = programs.ask(sh("head -c 3000000 /dev/zero"), seconds=LENIENT)
    assert len(said.output) == 3_000_000


def test_a_git_that_never_ends_is_gone_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert git._git(tmp_path, "status") is None
