"""Writing an export by hand, from the command line on the embedded world: typed, recorded, once, and never without its name."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.world.conftest import client, worlds
from tests.world.test_command_line import Shell, events_of

VPC = "/shared/network/vpc-id"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with worlds(tmp_path_factory.mktemp("worlds")) as make:
        yield Shell(make("healthy"))


def put(shell: Shell, name: str, value: str, *more: str, environment: str = "prod") -> subprocess.CompletedProcess[str]:
    return shell(
        *("run", "export-put", "--service", "fileflow", "--env", environment, "--json"),
        *("--set", f"name={name}", "--set", f"value={value}", *more),
    )


def value_of(shell: Shell, name: str) -> tuple[str, int]:
    found = client(shell.world, "ssm").get_parameter(Name=name)["Parameter"]
    return found["Value"], found["Version"]


def puts(shell: Shell) -> int:
    return shell.world.counted_calls("PutParameter", "ssm", accepted=True)


REASON = ("--set", "reason=the network module cannot be applied tonight")


def test_a_missing_export_is_written_once_and_its_owner_is_named(shell: Shell) -> None:
    was, _ = value_of(shell, VPC)
    client(shell.world, "ssm").delete_parameter(Name=VPC)
    before = puts(shell)
    done = put(shell, VPC, was, *REASON, "--answer", f"type-export={VPC}")
    assert done.returncode == 0, done.stderr
    assert puts(shell) == before + 1
    assert value_of(shell, VPC) == (was, 1)
    last = events_of(done)[-1]
    assert last["outcome"] == "done"
    assert any("module network" in warning for warning in last["warnings"])


def test_the_same_value_again_is_not_sent(shell: Shell) -> None:
    was, version = value_of(shell, VPC)
    before = puts(shell)
    done = put(shell, VPC, was, *REASON, "--answer", f"type-export={VPC}")
    assert done.returncode == 0, done.stderr
    assert (puts(shell), value_of(shell, VPC)) == (before, (was, version))


def test_an_overwritten_export_keeps_its_history(shell: Shell) -> None:
    name = "/shared/rds/dev/identifier"
    was, version = value_of(shell, name)
    answer = ("--answer", f"type-export={name}")
    done = put(shell, name, "dev-shared-mysql-restored", *answer, environment="dev")
    assert done.returncode == 0, done.stderr
    assert value_of(shell, name) == ("dev-shared-mysql-restored", version + 1)
    assert put(shell, name, was, *answer, environment="dev").returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "more", "code", "words"),
    [
        (VPC, "vpc-0123456789abcdef0", (), 3, "type-export"),
        (VPC, "vpc-0123456789abcdef0", ("--answer", "type-export=fileflow-prod"), 3, "type-export"),
        (VPC, "subnet-0123456789abcdef0", ("--answer", f"type-export={VPC}"), 2, "no value for"),
        (VPC, "vpc-0123456789abcdef0", ("--set", "type=StringList", "--answer", f"type-export={VPC}"), 2, "String"),
        ("/elsewhere/x", "y", ("--answer", "type-export=/elsewhere/x"), 2, "no export"),
        ("/shared/monitoring/alert-webhook-url", "https://x", (), 2, "SecureString"),
    ],
)
def test_what_is_refused_before_anything_is_sent(
    shell: Shell, name: str, value: str, more: tuple[str, ...], code: int, words: str
) -> None:
    before = puts(shell)
    done = put(shell, name, value, *REASON, *more)
    assert done.returncode == code, done.stderr + done.stdout
    assert words in done.stderr + done.stdout
    assert puts(shell) == before


def test_a_dry_run_sends_nothing(shell: Shell) -> None:
    before = puts(shell)
    done = put(shell, VPC, "vpc-0123456789abcdef0", *REASON, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert puts(shell) == before
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "done"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("/shared/rds/prod/identifier", "prod-other-mysql"),
        (VPC, "vpc-0123456789abcdef0"),
    ],
)
def test_what_is_prods_is_not_written_in_the_name_of_dev(shell: Shell, name: str, value: str) -> None:
    before = puts(shell)
    done = put(shell, name, value, "--answer", f"type-export={name}", environment="dev")
    assert done.returncode == 2
    assert "--env prod" in done.stderr
    assert puts(shell) == before
