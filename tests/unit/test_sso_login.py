"""Logging in by a program: what it says is told as it comes, and it has an end whatever it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole import programs
from infraconsole.aws.profiles import Renewal
from infraconsole.aws.sso_login import Prompt, log_in, prompt_of
from infraconsole.errors import Interrupted, PrerequisiteMissing

LENIENT = 20.0
OPTIONAL = ("--no-browser", "--use-device-code")
DEVICE = """Browser will not be automatically opened.
Please visit the following URL:

https://device.sso.eu-west-1.amazonaws.com/

Then enter the code:

HJRZ-HIWR

Alternatively, you may visit the following URL which will autofill the code upon loading:
https://device.sso.eu-west-1.amazonaws.com/?user_code=HJRZ-HIWR
""".splitlines()
PORTAL = [
    "https://d-123.awsapps.com/start/#/device",
    "  ABCD-EFGH ",
    "https://d-123.awsapps.com/start/#/device?user_code=ABCD-EFGH.",
]
LOOPBACK = [
    "https://oidc.us-east-1.amazonaws.com/authorize?client_id=x&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Foauth"
]


def never() -> bool:
    return False


def sh(script: str) -> Renewal:
    return Renewal("p", ("/bin/sh", "-c", script), by_hand="by hand")


def test_address_and_code_are_found() -> None:
    assert prompt_of(DEVICE) == Prompt("https://device.sso.eu-west-1.amazonaws.com/?user_code=HJRZ-HIWR", "HJRZ-HIWR")
    assert prompt_of(DEVICE[:4]) == Prompt("https://device.sso.eu-west-1.amazonaws.com/", "")
    assert prompt_of(PORTAL) == Prompt("https://d-123.awsapps.com/start/#/device?user_code=ABCD-EFGH", "ABCD-EFGH")
    assert prompt_of(["Successfully logged in", "NOT-A-CODE"]) == Prompt()
    assert prompt_of([*DEVICE, "WXYZ-1234"]).code == "WXYZ-1234", "it has asked again"
    assert prompt_of(LOOPBACK).only_here
    assert not prompt_of(DEVICE).only_here


def test_lines_come_while_it_runs_and_a_question_without_an_end_too(tmp_path: Path) -> None:
    told: list[str] = []
    seen = tmp_path / "seen"

    def tell(lines: object) -> None:
        told.extend(lines)  # type: ignore[arg-type]
        if "Code? " in told:
            seen.touch()

    log_in(sh(f"echo one; printf 'two\\rthree\\r\\n'; printf 'Code? '; until [ -e {seen} ]; do sleep 0.05; done"), tell,
           stopped=never)  # fmt: skip
    assert told == ["$ by hand", "one", "two", "three", "Code? "]


def _ended(group: str) -> Callable[[], bool]:
    return lambda: not Path(f"/proc/{group}").exists() or "Z" in Path(f"/proc/{group}/stat").read_text().split()[2]


@pytest.mark.parametrize(
    "script", ["sleep 600", "trap '' TERM INT HUP; sleep 600 & wait; sleep 600", "exec >&- 2>&-; sleep 600"]
)
def test_one_that_never_ends_is_cancelled_with_all_it_started(script: str, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(Interrupted):
        log_in(sh(f"echo $$ > {pid}; {script}"), lambda _: None, stopped=pid.exists)
    assert time.monotonic() - began < LENIENT
    ended, deadline = _ended(pid.read_text().strip()), time.monotonic() + LENIENT
    while not ended():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_bounded_in_time_and_in_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PrerequisiteMissing, match="did not end in time"):
        log_in(sh("sleep 600"), lambda _: None, stopped=never, seconds=0.3)
    heard = 0

    def tell(lines: object) -> None:
        nonlocal heard
        heard += sum(map(len, lines))  # type: ignore[call-overload]

    with pytest.raises(PrerequisiteMissing, match="said more than"):
        log_in(sh("yes"), tell, stopped=never)
    assert heard <= 2 * programs.MOST_FOLLOWED_BYTES


def test_how_it_failed_is_said_in_its_own_words() -> None:
    with pytest.raises(PrerequisiteMissing, match="exit code 7") as caught:
        log_in(sh("echo InvalidGrant: expired >&2; exit 7"), lambda _: None, stopped=never)
    assert caught.value.cause == "InvalidGrant: expired"
    with pytest.raises(PrerequisiteMissing, match="cannot be started"):
        log_in(Renewal("p", ("/no/such/program",)), lambda _: None, stopped=never)
    with pytest.raises(PrerequisiteMissing, match="signal 9"):
        log_in(sh("kill -9 $$"), lambda _: None, stopped=never)


@pytest.fixture
def aws(tmp_path: Path) -> Callable[[str], Renewal]:
    def made(script: str) -> Renewal:
        program = tmp_path / "aws"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Renewal("p", (str(program), "sso", "login", "--profile", "p", *OPTIONAL), optional=OPTIONAL)

    return made


def test_an_older_program_is_asked_again_without_what_it_does_not_know(aws: Callable[[str], Renewal]) -> None:
    """What 2.15 says of an option of 2.22, and what 2.0 says of both."""
    told: list[str] = []
    both = 'case "$*" in *--use*|*--no-*) echo; echo "Unknown options: $5, $6" | sed "s/, $//"; exit 252;; esac; echo done $*'
    log_in(aws(both), told.extend, stopped=never)
    assert told[-1] == "done sso login --profile p"
    told.clear()
    one = 'case "$*" in *--use*) echo "aws: error: Unknown options: --use-device-code"; exit 252;; esac; echo done $*'
    log_in(aws(one), told.extend, stopped=never)
    assert told[-1] == "done sso login --profile p --no-browser"


def test_version_1_is_told_from_a_failed_login(aws: Callable[[str], Renewal]) -> None:
    words = 'echo "aws: error: argument operation: Invalid choice, valid choices are:"; echo; echo "help"; exit 2'
    with pytest.raises(PrerequisiteMissing, match="cannot log in to SSO") as caught:
        log_in(aws(words), lambda _: None, stopped=never)
    assert "version 2" in caught.value.cause


def test_no_browser_is_opened_and_nothing_is_read(aws: Callable[[str], Renewal]) -> None:
    told: list[str] = []
    log_in(
        aws('echo "browser $BROWSER"; read line || echo no input; tty -s || echo no terminal'),
        told.extend,
        stopped=never,
    )
    assert told[1:] == ["browser true", "no input", "no terminal"]
