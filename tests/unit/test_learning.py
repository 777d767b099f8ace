"""What an executor has learned before Terraform starts, and what it does where that cannot be read."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from infraconsole import files
from infraconsole.engine.learning import Learning, RedactedLog
from infraconsole.errors import AwsError
from infraconsole.redaction import MASK, Redactor

STATE = {"version": 4, "serial": 1, "outputs": {"x": {"value": "of-the-state-1", "sensitive": True}}, "resources": []}


class Reads:
    """S3 with one state in it, or none that can be read."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body
        self.calls = 0

    def translating(self, *_: str) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def call(self, service: str, operation: str, /, **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.body is None:
            raise AwsError("Denied.", operation=f"{service}:{operation}")
        return {"Body": self.body, "ContentLength": len(self.body), "ETag": '"x"', "LastModified": None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "main.tf").write_text('variable "pin" {\n  type      = string\n  sensitive = true\n}\n')
    (folder / "x.auto.tfvars").write_text('pin = "of-variables-1"\n')
    data = tmp_path / "data"
    data.mkdir()
    backend = {"type": "s3", "config": {"bucket": "b", "key": "k", "region": "r"}}
    (data / "terraform.tfstate").write_text(json.dumps({"backend": backend}))
    return folder


def environ(root: Path) -> dict[str, str]:
    return {"TF_DATA_DIR": str(root.parent / "data"), "AWS_SESSION_TOKEN": "of-environment-1"}


def learning(root: Path, body: bytes | None) -> tuple[Learning, Redactor, Reads]:
    redactor, reads = Redactor(), Reads(body)
    return Learning(redactor, reads, root.parent / "cache"), redactor, reads  # type: ignore[arg-type]


SAID = "of-variables-1 of-environment-1 of-the-state-1"


@pytest.mark.parametrize("command", ["init", "plan", "apply", "show", "destroy", "import", "state"])
def test_all_of_it_is_known_before_any_command_that_may_print_it(root: Path, command: str) -> None:
    before, redactor, _ = learning(root, json.dumps(STATE).encode())
    before.before(root, environ(root), (command, "x"))
    assert redactor.text(SAID) == f"{MASK} {MASK} {MASK}"


@pytest.mark.parametrize("body", [None, b"", b"{", b"[1]", b'{"resources": 3}'])
def test_a_state_that_cannot_be_read_keeps_the_rest_from_nothing(root: Path, body: bytes | None) -> None:
    before, redactor, _ = learning(root, body)
    before.before(root, environ(root), ("plan",))
    assert redactor.text(SAID) == f"{MASK} {MASK} of-the-state-1"


def test_the_state_is_read_again_only_where_it_may_be_another_one(root: Path) -> None:
    before, _, reads = learning(root, json.dumps(STATE).encode())
    for command, calls in (("fmt", 0), ("init", 1), ("show", 1), ("plan", 2), ("apply", 3)):
        before.before(root, environ(root), (command,))
        assert reads.calls == calls, command


def test_a_run_that_is_taken_up_again_is_learned_from_its_commands(root: Path) -> None:
    before, redactor, _ = learning(root, json.dumps(STATE).encode())
    record = root.parent / "run/00001-apply"
    record.mkdir(parents=True)
    told = {"command": ["terraform", "apply"], "folder": str(root), "data_dir": str(root.parent / "data")}
    (record / "command").write_text(json.dumps(told))
    before.of_run(record.parent)
    assert redactor.text("of-variables-1 of-the-state-1") == f"{MASK} {MASK}"


def test_no_secret_gets_into_the_log() -> None:
    redactor, log = Redactor(), io.StringIO()
    redactor.learn("hunter2-hunter2")
    RedactedLog(log, redactor).write("ValueError: hunter2-hunter2\n")
    assert log.getvalue() == f"ValueError: {MASK}\n"


def test_a_local_state_is_read_to_a_limit_and_without_waiting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = root / "terraform.tfstate"
    here = {"TF_DATA_DIR": str(root.parent / "none"), "AWS_SESSION_TOKEN": "of-environment-1"}
    os.mkfifo(state)
    before, redactor, _ = learning(root, None)
    before.before(root, here, ("plan",))
    assert redactor.text(SAID) == f"{MASK} {MASK} of-the-state-1"
    state.unlink()
    state.write_text(json.dumps(STATE))
    before.before(root, here, ("plan",))
    assert redactor.text(SAID) == f"{MASK} {MASK} {MASK}"
    monkeypatch.setattr(files, "MOST_STATE_BYTES", 10)
    before, redactor, _ = learning(root, None)
    before.before(root, here, ("plan",))
    assert redactor.text(SAID) == f"{MASK} {MASK} of-the-state-1"


def test_a_value_is_known_as_terraform_normalises_it(root: Path) -> None:
    composed, decomposed = "caf\u00e9-secret-1", "cafe\u0301-secret-1"
    (root / "x.auto.tfvars").write_text(f'pin = "{decomposed}"\n')
    before, redactor, _ = learning(root, json.dumps(STATE).encode())
    before.before(root, environ(root), ("plan",))
    assert redactor.text(f"{composed} {decomposed}") == f"{MASK} {MASK}"


@pytest.mark.parametrize("broken", [3, {"instances": 3}, {"type": "x", "instances": ["x"]}])
def test_a_misshapen_part_of_a_state_costs_no_other(root: Path, broken: object) -> None:
    good = {"type": "random_password", "instances": [{"attributes": {"result": "made-up-1"}}]}
    before, redactor, _ = learning(root, json.dumps({**STATE, "resources": [broken, good]}).encode())
    before.before(root, environ(root), ("plan",))
    assert redactor.text("of-the-state-1 made-up-1") == f"{MASK} {MASK}"
