"""A state that Terraform could store nowhere and printed: where it is then, what is said of it, and what it bars."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import OpenFollowUp, StepContext
from infraconsole.errors import AwsNotFound, StepFailed, TerraformError
from infraconsole.runbooks import read_back, state_history, terraform_steps
from infraconsole.runbooks.terraform_listener import Listener
from infraconsole.runbooks.terraform_root import Root
from infraconsole.runbooks.terraform_steps import CONSUMED, ApplyPlan, MakePlan
from infraconsole.target import Target
from infraconsole.terraform import runner, supervise
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.claims import Stray
from infraconsole.terraform.runner import Ended, Terraform
from infraconsole.terraform.state import dumped

SAID = (Path(__file__).parent / "data/apply-state-lost.jsonl").read_bytes()
"""An apply by Terraform 1.11 whose backend refused the state, and whose errored.tfstate was a directory."""
STATE = json.loads(next(line for line in SAID.splitlines() if b"state dump" in line))["state"]
OTHER = b'{"version": 4, "serial": 7, "lineage": "another", "resources": []}'


class Spoken:
    """A run whose apply has ended so, as much of its context as these steps need."""

    interactive = dry_run = False

    def __init__(self, folder: Path, said: bytes = SAID, run: str = "abc234") -> None:
        self.folder = folder / "runs" / run
        self.target = Target("plain", "dev", "ap-northeast-2")
        self.inputs: dict[str, str] = {}
        self.notes: list[str] = []
        record = self.folder / "00012-apply"
        record.mkdir(parents=True)
        told = {"command": ["terraform", "apply"], "folder": str(folder / "plain"), "data_dir": None}
        (record / runner.COMMAND).write_text(json.dumps(told))
        (record / supervise.STDERR).touch()
        (record / supervise.PID).write_text("1 gone")
        (record / supervise.CODE).write_text("1")
        self.kept: list[Stray] = []
        tool = Terraform(Binary(("terraform",), "1.11.4", "path"), folder / "plain", {})
        self.root = Root(folder / "plain", folder / "data", "dev", tool, S3Backend("b", "k", "r"), ())
        self.stdout = record / supervise.STDOUT
        self.stdout.write_bytes(said)

    @property
    def reads(self) -> Any:
        """An S3 in which there is no state."""

        def call(service: str, operation: str, **_: str) -> None:
            raise AwsNotFound("Nothing.", operation=f"{service}:{operation}", code="NoSuchKey")

        return SimpleNamespace(call=call)

    @property
    def ended(self) -> Ended:
        return Ended(("terraform", "apply"), 1, self.stdout, self.stdout.parent / supervise.STDERR)

    def result(self, step: str) -> dict[str, Any]:
        results: dict[str, dict[str, Any]] = {
            "plan": {"changes": True, "version": "", "bound": {"serial": 0, "lineage": ""}},
            "read-plan": {"count": 1},
        }
        return results.get(step, {})

    def note(self, text: str, *, warning: bool = False) -> None:
        self.notes.append(text)

    def output(self, *lines: str, source: str = "") -> None: ...

    def progress(self, text: str, **figures: Any) -> None: ...

    def wait(self, seconds: float) -> None: ...

    def terraform_ended(self, each: Any) -> None: ...

    def open_strays(self, place: str) -> tuple[OpenFollowUp, ...]:
        return ()

    def keep_strays(self, *_: str, strays: Sequence[Stray], **__: str) -> None:
        self.kept += strays


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the code."""
    folder = tmp_path / "plain"
    folder.mkdir()
    monkeypatch.setattr(terraform_steps, "root_of", lambda spoken: spoken.root)
    monkeypatch.setattr(terraform_steps, "learn_secrets", lambda _: None)
    monkeypatch.setattr(read_back, "stored_state", lambda *_: None)
    monkeypatch.setattr(state_history, "since", lambda *_: None)
    return folder


def failed(spoken: Spoken) -> TerraformError:
    """What the step that applied it fails with."""
    context = cast(StepContext, spoken)
    listener = Listener(context)
    for line in spoken.stdout.read_text().splitlines():
        listener(line)
    with pytest.raises(TerraformError) as caught:
        ApplyPlan(Purpose.DEPLOY)._settled(context, spoken.root, spoken.ended, listener)
    return caught.value


def resume(spoken: Spoken) -> StepFailed:
    """Why a script's resumed run fails, whose apply has ended and whose step was not recorded."""
    (spoken.folder / CONSUMED).touch()
    with pytest.raises(StepFailed) as caught:
        ApplyPlan(Purpose.DEPLOY).probe(cast(StepContext, spoken))
    return caught.value


def plan_again(spoken: Spoken) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        MakePlan().act(cast(StepContext, spoken))
    return caught.value


def test_the_state_is_taken_out_of_the_output_as_it_stands_there() -> None:
    body = dumped(SAID)
    assert body is not None
    assert body in SAID
    assert json.loads(body) == STATE


@pytest.mark.parametrize(
    "said",
    [
        b"",
        SAID[: SAID.index(b'"check_results"')],
        b'{"type":"outputs","outputs":{"x":{"value":"Emergency state dump"}}}\n',
        b'{"@message":"Emergency state dump","state":{"version":3}}\n',
        b'{"@message":"Emergency state dump","state":"\xff"}\n',
    ],
    ids=["nothing", "cut-off", "somebody's-words", "no-state", "no-utf-8"],
)
def test_what_is_no_whole_state_is_none(said: bytes) -> None:
    assert dumped(said) is None


@pytest.mark.parametrize("half", [None, b"", b'{"version": 4, "ser'])
def test_it_becomes_the_errored_tfstate_that_terraform_could_not_write(
    tmp_path: Path, code: Path, half: bytes | None
) -> None:
    left = code / "errored.tfstate"
    if half is not None:
        left.write_bytes(half)
    spoken = Spoken(tmp_path)
    error = failed(spoken)
    assert json.loads(left.read_bytes()) == STATE
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert "it lies in errored.tfstate" in error.title
    assert "infraconsole run state-recover" in error.mend
    assert "Not in the stored state, and in errored.tfstate: terraform_data.a." in error.cause
    assert f"{left} holds the state" in spoken.notes[-1]
    assert "state-recover" in plan_again(spoken).mend


def test_where_it_cannot_be_written_either_a_copy_is_named_and_no_plan_is_made(tmp_path: Path, code: Path) -> None:
    left = code / "errored.tfstate"
    left.mkdir()
    spoken = Spoken(tmp_path)
    copy = spoken.stdout.parent / "lost.tfstate"
    error = failed(spoken)
    assert json.loads(copy.read_bytes()) == STATE
    assert str(copy) in error.title
    assert str(copy) in error.mend
    assert str(copy) in spoken.notes[-1]
    assert str(left) in plan_again(spoken).mend
    left.rmdir()
    assert "state-recover" in plan_again(spoken).mend
    assert json.loads(left.read_bytes()) == STATE


def test_the_state_of_another_apply_is_not_overwritten(tmp_path: Path, code: Path) -> None:
    (code / "errored.tfstate").write_bytes(OTHER)
    spoken = Spoken(tmp_path)
    assert "lost.tfstate" in failed(spoken).mend
    assert (code / "errored.tfstate").read_bytes() == OTHER


def test_an_executor_that_was_killed_before_it_looked_costs_nothing(tmp_path: Path, code: Path) -> None:
    left = code / "errored.tfstate"
    spoken = Spoken(tmp_path)
    assert "was applied in part" in resume(spoken).title
    assert json.loads(left.read_bytes()) == STATE
    left.unlink()  # recovered and put away
    assert spoken.kept == [], "it is in errored.tfstate"
    resume(spoken)
    assert not left.exists()
    assert [each.address for each in spoken.kept] == ["terraform_data.a"], "nowhere, by now"


def test_another_run_finds_what_nobody_looked_for(tmp_path: Path, code: Path) -> None:
    """The executor of the run before was killed right after its apply had ended."""
    Spoken(tmp_path)
    another = Spoken(tmp_path, b"", "xyz789")
    assert "infraconsole run state-recover" in plan_again(another).mend
    assert json.loads((code / "errored.tfstate").read_bytes()) == STATE


def test_a_state_that_was_not_even_printed_is_told_so(tmp_path: Path, code: Path) -> None:
    said = b"\n".join(line for line in SAID.splitlines() if b"state dump" not in line)
    spoken = Spoken(tmp_path, said)
    error = failed(spoken)
    assert error.title.endswith("What was applied could not be stored, nor could errored.tfstate be written.")
    assert str(spoken.stdout) in error.mend
    assert "import -- terraform_data.a" in error.mend
    assert not (code / "errored.tfstate").exists()
