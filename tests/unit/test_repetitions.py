"""What makes the executor run a command or send a call again: AWS's word and not a program's, so often and not for ever, and never
without a pause."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.engine import executor as executor_module
from infraconsole.engine import patience
from infraconsole.engine.commands import Commands
from infraconsole.engine.executor import Executor
from infraconsole.engine.inbox import Inbox
from infraconsole.errors import AwsError, CredentialsExpired, NetworkUnreachable
from infraconsole.target import Target
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.runner import Terraform

ACCOUNT = "123456789012"
EXPIRED = CredentialsExpired(
    "The AWS credentials have expired.", operation="sts:GetCallerIdentity", mend="aws sso login"
)


class Credentials(AwsAccess):
    """Those of one moment: what AWS says of them is said for good."""

    def __init__(self, error: AwsError | None) -> None:
        super().__init__(region="r", environ={})
        self.error = error

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"Account": ACCOUNT, "Arn": "arn:aws:iam::1:user/kim", "UserId": "x"}


class Bench:
    """As much of an executor as runs a command that changes nothing. `had` is what AWS says of the credentials with which each
    command began, in turn; the last holds for all that follow."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.count = folder / "count"
        self.had: list[AwsError | None] = [None]
        self.valid_now = True
        self.notes: list[str] = []
        self.pauses: list[float] = []
        self.waited = 0
        monkeypatch.setattr(executor_module, "_REPETITION_PAUSE_SECONDS", 5.0)

    def terraform(
        self, *lines: Mapping[str, Any] | str, errors: str = "", code: int = 1, good_after: int = 0
    ) -> Terraform:
        """A program that says this and ends with `code`; well after so many times."""
        said = self.folder / "said"
        said.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        program = self.folder / "terraform"
        program.write_text(
            f"#!/bin/sh\necho x >> '{self.count}'\ncat '{said}'\necho '{errors}' >&2\n"
            f"[ {good_after} -gt 0 ] && [ $(wc -l < '{self.count}') -gt {good_after} ] && exit 0\nexit {code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return Terraform(Binary((str(program),), "1.11.4", "path"), self.folder, {"PATH": "/usr/bin:/bin"})

    def run(self, terraform: Terraform, *arguments: str) -> int:
        records = iter(range(1000))
        had = iter(self.had)

        def as_of_now() -> AwsAccess:
            self.newest = Credentials(next(had, self.had[-1]))
            return self.newest

        inbox = SimpleNamespace(interrupts=[], insisted=False, awaits_command=False, raise_if_interrupted=lambda: None)
        executor = Executor.__new__(Executor)
        executor._commands = Commands(cast(Inbox, inbox), lambda *_, **__: None, lambda _: None)
        executor._patient = cast(
            Any, SimpleNamespace(as_of_now=as_of_now, account_now=lambda: ACCOUNT if self.valid_now else "")
        )
        executor._changes = cast(Any, SimpleNamespace(renew=lambda: None))
        executor._learning = cast(Any, SimpleNamespace(before=lambda *_: None))
        executor.dry_run, executor.config = False, cast(Any, SimpleNamespace(read_only=False))
        executor.target = Target("plain", "dev", "r", ACCOUNT)
        patched = cast(Any, executor)
        patched.note = lambda text, *, warning=False: self.notes.append(text)
        patched.wait = self.pauses.append
        patched.await_credentials = self._awaited
        patched._command_record = lambda name: self.folder / f"runs/{next(records):05}-{name}"
        return executor.terraform(terraform, arguments, "plan").code

    def _awaited(self, error: CredentialsExpired, account: Callable[[], str]) -> None:
        self.waited += 1
        self.valid_now = True

    @property
    def commands(self) -> int:
        return len(self.count.read_text().splitlines())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def diagnostic(words: str) -> Mapping[str, Any]:
    return {
        "@message": "Error",
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": words, "detail": ""},
    }


SPOKEN = diagnostic("api error ExpiredToken: The provided token has expired.")
PLAN = ("plan", "-json")


def test_a_command_that_speaks_of_expired_credentials_while_ours_are_valid_runs_once(bench: Bench) -> None:
    assert bench.run(bench.terraform(SPOKEN), *PLAN) == 1
    assert (bench.commands, bench.waited, bench.pauses) == (1, 0, [])
    assert "AWS accepts those of this run" in bench.notes[0]


def test_what_is_no_error_is_not_asked_about(bench: Bench) -> None:
    progress = {"@message": "x", "type": "provision_progress", "hook": {"output": "ExpiredToken"}}
    assert bench.run(bench.terraform(progress, "ExpiredToken"), *PLAN) == 1
    assert (bench.commands, bench.notes) == (1, [])


def test_credentials_that_had_expired_and_are_renewed_let_it_run_again_after_a_pause(bench: Bench) -> None:
    bench.had = [EXPIRED, None]
    assert bench.run(bench.terraform(SPOKEN, good_after=1), *PLAN) == 0
    assert (bench.commands, bench.waited, bench.pauses) == (2, 0, [5.0])
    assert "runs once more" in bench.notes[0]


def test_credentials_that_have_expired_are_waited_for_first(bench: Bench) -> None:
    bench.had, bench.valid_now = [EXPIRED, None], False
    assert bench.run(bench.terraform(SPOKEN, good_after=1), *PLAN) == 0
    assert (bench.commands, bench.waited) == (2, 1)


def test_it_runs_three_times_at_most(bench: Bench) -> None:
    bench.had = [EXPIRED]
    assert bench.run(bench.terraform(SPOKEN), *PLAN) == 1
    assert (bench.commands, bench.pauses) == (3, [5.0, 5.0])


def test_where_aws_cannot_be_asked_the_failure_stands(bench: Bench) -> None:
    bench.had = [NetworkUnreachable("AWS cannot be reached.", operation="sts:GetCallerIdentity")]
    assert bench.run(bench.terraform(SPOKEN), *PLAN) == 1
    assert bench.commands == 1
    assert "is not known: AWS cannot be reached." in bench.notes[0]


def test_the_standard_error_of_a_command_without_json_counts(bench: Bench) -> None:
    bench.had = [EXPIRED, None]
    terraform = bench.terraform("ExpiredToken", errors="Error: No valid credential sources found", good_after=1)
    assert bench.run(terraform, "state", "pull") == 0
    assert bench.commands == 2


def test_one_call_waits_for_credentials_so_often_and_not_for_ever() -> None:
    """AWS may call those expired in one service that another has just accepted."""
    asked: list[str] = []

    def attempt() -> None:
        asked.append("x")
        raise EXPIRED

    access = patience.PatientAccess(region="r", environ={})
    waits: list[AwsError] = []
    access.waiter = cast(Any, SimpleNamespace(await_credentials=lambda error, _: waits.append(error)))
    with pytest.raises(CredentialsExpired):
        access._patiently(attempt)
    assert (len(asked), len(waits)) == (patience.RENEWALS + 1, patience.RENEWALS)


def test_the_credentials_of_a_moment_stay_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was renewed since in the file does not reach them: so it can be told whether the old ones had expired."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"

    def write(key: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = x\n")

    def key(access: AwsAccess) -> str:
        return str(access._sessions.opened().get_credentials().access_key)

    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    write("OLD")
    access = patience.PatientAccess(region="r", environ=environ)
    then = access.as_of_now()
    write("NEW")
    assert (key(then), key(access.as_of_now())) == ("OLD", "NEW")
