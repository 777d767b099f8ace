"""What is made of a plan when it is read, and what its gate then shows: without Terraform, from the plan's document."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.checks.findings import Finding
from infraconsole.config import EnvironmentSettings
from infraconsole.engine.gate import ERROR, WARNING, Gate, GateKind
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import OpenFollowUp, StepContext
from infraconsole.errors import AccessDenied, AwsNotFound, UsageError
from infraconsole.runbooks import earlier_applies, plan_reading, terraform_steps
from infraconsole.runbooks.plan_reading import COST_DOCUMENT, ReadPlan
from infraconsole.runbooks.terraform_steps import ApplyPlan
from infraconsole.target import Target
from infraconsole.terraform import past_commands, supervise
from infraconsole.terraform.claims import Stray
from infraconsole.terraform.runner import Ended
from tests.unit.test_aws_services import FakeAccess
from tests.unit.test_infracost import fake
from tests.unit.test_plan_review import containers, entry
from tests.unit.test_terraform_steps import event, root

REPOSITORY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web"
TASK = "aws_ecs_task_definition.app"


class Spoken:
    """As much of a step's context as reading a plan needs; `plan` is what Terraform shows of it."""

    dry_run = False

    def __init__(self, folder: Path, *entries: Mapping[str, Any], changes: bool = True, **others: Any) -> None:
        self.folder = folder / "runs/abc234"
        self.folder.mkdir(parents=True)
        self.root = root(folder / "root", TF_DATA_DIR="/data/dev")
        self.target = Target("web", "dev", "ap-northeast-2")
        self.inputs: dict[str, str] = {}
        self.reads = FakeAccess(DescribeImages={"imageDetails": [{"imageDigest": "sha256:1"}]})
        self.config = self
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.missing: list[OpenFollowUp] = []
        self.results: dict[str, Any] = {"plan": {"changes": changes, "bound": {"commit": "c", "serial": 1}}}
        self._shown = folder / "shown"
        self._shown.write_text(json.dumps({"format_version": "1.2", "resource_changes": list(entries), **others}))

    def environment(self, name: str) -> EnvironmentSettings:
        return EnvironmentSettings(name)

    def result(self, step: str) -> Any:
        return self.results[step]

    def former(self, step: str) -> Sequence[Mapping[str, Any]]:
        return ()

    def answer(self, gate: str, *, here: bool = False) -> str:
        return ""

    def terraform(self, *_: Any) -> Ended:
        return Ended(("terraform", "show"), 0, self._shown, self._shown)

    def note(self, text: str, *, warning: bool = False) -> None:
        (self.warnings if warning else self.notes).append(text)

    def output(self, *lines: str, source: str = "") -> None: ...

    def progress(self, text: str, **figures: Any) -> None: ...

    def evidence(self, name: str, content: str) -> None: ...

    def open_strays(self, place: str) -> Sequence[OpenFollowUp]:
        return self.missing

    def learn_secret(self, *values: str) -> None: ...

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The context's own root, and no infracost of this machine."""
    for module in (plan_reading, terraform_steps):
        monkeypatch.setattr(module, "root_of", lambda context: context.root)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def read(spoken: Spoken) -> Mapping[str, Any]:
    context = cast(StepContext, spoken)
    spoken.results["read-plan"] = ReadPlan().act(context)
    return cast(Mapping[str, Any], spoken.results["read-plan"])


def gates(spoken: Spoken) -> Sequence[Gate]:
    return ApplyPlan(Purpose.DEPLOY).gates(cast(StepContext, spoken))


def task(actions: Sequence[str], before: str, after: str) -> dict[str, Any]:
    """A task definition with these images."""
    sides = [{"container_definitions": containers(image)} for image in (before, after)]
    return entry(TASK, list(actions), *sides)


BROUGHT = task(["delete", "create"], f"{REPOSITORY}:1", f"{REPOSITORY}:2")


# Errors of the review


def test_an_error_of_the_review_leads_the_gate_and_asks_for_the_typed_name(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, BROUGHT)
    spoken.inputs = {"image_tag": "brandnew1"}
    (error,) = read(spoken)["errors"]
    assert "The tag brandnew1 was asked for" in error
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.TYPE
    assert gate.changes[1] == f"{ERROR}{error}"


def test_without_one_a_yes_is_enough(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, BROUGHT)
    spoken.inputs = {"image_tag": "2"}
    assert read(spoken)["errors"] == []
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.CONFIRM


def test_what_an_earlier_apply_left_in_no_state_stands_in_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_reading, "stored_state", lambda *_: None)
    again, elsewhere = (
        Stray("aws_sqs_queue.jobs", "aws_sqs_queue", "https://q"),
        Stray("aws_kms_key.a", "aws_kms_key", "k-1"),
    )
    there = task(["no-op"], f"{REPOSITORY}:1", f"{REPOSITORY}:1")
    spoken = Spoken(tmp_path, there, entry("aws_sqs_queue.jobs", ["create"], None, {"name": "jobs"}))
    spoken.missing = [OpenFollowUp("Bring back", "…", "xyz234", "in-no-state-xyz234", (elsewhere,))]
    read(spoken)
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.CONFIRM
    assert any("aws_kms_key.a (aws_kms_key, id k-1) was made by run xyz234" in change for change in gate.changes)
    spoken.missing = [OpenFollowUp("Bring back", "…", "xyz234", "in-no-state-xyz234", (again,))]
    read(spoken)
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.TYPE, "it would be there twice"
    (line,) = [change for change in gate.changes if "xyz234" in change]
    assert line.startswith("Error: ")
    assert "import" in line


def test_what_is_lost_is_said_once(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, entry("aws_kms_key.a", ["delete"], {"description": "x"}))
    assert (len(read(spoken)["dangers"]), read(spoken)["errors"]) == (1, [])
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.TYPE


def test_a_plan_without_changes_is_reviewed_too(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, task(["no-op"], f"{REPOSITORY}:1", f"{REPOSITORY}:1"), changes=False)
    spoken.inputs = {"image_tag": "brandnew1"}
    found = read(spoken)
    assert found["words"] == "nothing to do"
    assert any("The tag brandnew1 was asked for" in warning for warning in spoken.warnings)
    assert (spoken.folder / plan_reading.PLAN_DOCUMENT).exists()


def test_what_a_script_types_for_every_deploy_of_prod_does_not_open_a_plan_that_loses_something(tmp_path: Path) -> None:
    for number, (environment, gate_id) in enumerate((("prod", "type-danger"), ("dev", "type-target"))):
        spoken = Spoken(tmp_path / str(number), entry("aws_kms_key.a", ["delete"], {"description": "x"}))
        spoken.target = Target("web", environment, "ap-northeast-2")
        read(spoken)
        assert [gate.id for gate in gates(spoken)][-1] == gate_id
    calm = Spoken(tmp_path / "calm", BROUGHT)
    calm.target, calm.inputs = spoken.target.__class__("web", "prod", "ap-northeast-2"), {"image_tag": "2"}
    read(calm)
    assert [gate.id for gate in gates(calm)][-1] == "type-target"


def test_targets_that_are_nowhere_are_no_plan_with_nothing_to_do(tmp_path: Path) -> None:
    """For Terraform they are."""
    spoken = Spoken(
        tmp_path,
        entry("module.a.aws_sqs_queue.b[0]", ["no-op"], {"name": "x"}, {"name": "x"}),
        prior_state={
            "values": {"root_module": {"child_modules": [{"resources": [{"address": "module.c.data.aws_vpc.d"}]}]}}
        },
    )
    for known in ("module.a", "module.a.aws_sqs_queue.b", "module.a.aws_sqs_queue.b[0]", "module.c"):
        spoken.inputs = {"targets": known}
        assert read(spoken)["words"]
    spoken.inputs = {"targets": "module.a,module.a.aws_sqs_queue.bb"}
    with pytest.raises(UsageError, match=r"There is nothing at module\.a\.aws_sqs_queue\.bb,"):
        read(spoken)


def test_a_tainted_resource_says_why_it_is_replaced(tmp_path: Path) -> None:
    tainted = entry("aws_sqs_queue.a", ["delete", "create"], {"name": "x"}, {"name": "x"})
    tainted["action_reason"] = "replace_because_tainted"
    (line, *_) = read(Spoken(tmp_path, tainted))["lines"]
    assert line == "-/+ aws_sqs_queue.a  it is tainted: an earlier apply did not finish it"


# Warnings


def test_a_warning_stands_in_the_gate_and_a_yes_is_enough(tmp_path: Path) -> None:
    sides = [{"deletion_protection": on} for on in (True, False)]
    spoken = Spoken(tmp_path, entry("aws_db_instance.a", ["update"], *sides))
    read(spoken)
    (gate,) = gates(spoken)
    assert gate.kind is GateKind.CONFIRM
    assert gate.changes[1].startswith(f"{WARNING}aws_db_instance.a: It loses deletion protection")


def test_a_destroy_is_said_once(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, entry("aws_cloudwatch_dashboard.a", ["delete"], {"dashboard_name": "x"}))
    read(spoken)
    (gate,) = gates(spoken)
    assert gate.irreversible == ("aws_cloudwatch_dashboard.a is destroyed",)
    assert not any(line.startswith(WARNING) for line in gate.changes)


def test_of_many_warnings_the_gate_has_the_first_and_says_how_many_there_are(tmp_path: Path) -> None:
    sides = [{"deletion_protection": on} for on in (True, False)]
    many = [entry(f"aws_db_instance.a{number}", ["update"], *sides) for number in range(20)]
    spoken = Spoken(tmp_path, *many)
    read(spoken)
    (gate,) = gates(spoken)
    told = [line for line in gate.changes if line.startswith(WARNING)]
    assert len(told) == plan_reading.WARNINGS_SHOWN + 1
    assert "and 12 more" in told[-1]


# Images


def test_an_image_that_is_not_there_is_said_before_the_apply(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, BROUGHT)
    missing = AwsNotFound("No image.", operation="ecr:DescribeImages", code="ImageNotFoundException")
    spoken.reads = FakeAccess(DescribeImages=missing)
    (found,) = read(spoken)["missing"]
    said = plan_reading.told(Finding(**found))
    assert said in spoken.warnings
    assert f"{REPOSITORY}:2 is brought, and its repository does not have it" in said
    (gate,) = gates(spoken)
    assert f"{ERROR}{said}" in gate.changes


def test_an_image_that_is_there_and_one_that_runs_already_are_no_matter(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, BROUGHT)
    assert read(spoken)["missing"] == []
    (asked,) = [parameters for name, parameters in spoken.reads.calls if name == "DescribeImages"]
    assert asked["imageIds"] == [{"imageTag": "2"}]


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (f"{REPOSITORY}:2", AccessDenied("Not allowed.", operation="ecr:DescribeImages"), "cannot be told"),
        ("docker.io/library/web:2", None, "is not in ECR"),
        (f"{REPOSITORY.replace('ap-northeast-2', 'eu-west-1')}:2", None, "is in ECR of eu-west-1"),
    ],
    ids=["denied", "elsewhere", "another-region"],
)
def test_what_cannot_be_looked_at_is_only_a_note(
    tmp_path: Path, image: str, error: Exception | None, words: str
) -> None:
    spoken = Spoken(tmp_path, task(["delete", "create"], f"{REPOSITORY}:1", image))
    spoken.reads = FakeAccess(**({"DescribeImages": error} if error else {}))
    assert read(spoken)["missing"] == []
    assert any(words in note for note in spoken.notes)
    assert not any(words in warning for warning in spoken.warnings)


# What earlier applies left


def applied(spoken: Spoken, number: int, *lines: str, data_dir: str = "/data/dev", run: str = "xyz234") -> None:
    """The record of an apply; the higher its number, the later it began."""
    record = spoken.folder.parent / run / f"{number:05}-apply"
    record.mkdir(parents=True)
    told = {"command": ["terraform", "apply"], "folder": str(spoken.root.folder), "data_dir": data_dir}
    (record / "command").write_text(json.dumps(told))
    os.utime(record / "command", (number, number))
    (record / supervise.STDOUT).write_text("".join(f"{line}\n" for line in lines))
    terraform = replace(spoken.root.terraform, environ={"TF_DATA_DIR": data_dir})
    past_commands.note(spoken.folder.parent, terraform, record)


def unfinished(spoken: Spoken) -> tuple[str, ...]:
    return earlier_applies.unfinished(spoken.folder.parent, spoken.root)


STARTED = event("apply_start", "a.b", action="update")
FAILED = event("apply_errored", "a.b", action="update", elapsed_seconds=1)
COMPLETE = event("apply_complete", "a.b", action="update", elapsed_seconds=1)


def test_what_an_apply_of_this_root_failed_on_stays_known_until_one_finishes_it(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path)
    assert unfinished(spoken) == ()
    applied(spoken, 1, STARTED, FAILED)
    applied(spoken, 2, "not JSON", event("apply_start", "a.c", action="create"))
    applied(spoken, 3, STARTED, event("apply_start", "a.d", action="create"), data_dir="/data/prod")
    assert set(unfinished(spoken)) == {"a.b", "a.c"}
    applied(spoken, 4, STARTED, COMPLETE)
    assert unfinished(spoken) == ("a.c",)


def test_nobody_is_blamed_for_what_our_own_apply_left(tmp_path: Path) -> None:
    name = "aws_ecs_service.a"
    change = entry(name, ["update"], {"task_definition": "web:41"}, {"task_definition": "web:42"})
    drift = entry(name, ["update"], {"task_definition": "web:40"}, {"task_definition": "web:41"})
    spoken = Spoken(tmp_path, change, resource_drift=[drift])
    applied(spoken, 1, event("apply_errored", name, action="update", elapsed_seconds=1))
    assert read(spoken)["unfinished"] == [name]
    assert not any("Somebody" in warning for warning in spoken.warnings)
    assert any("An earlier apply failed on it" in note for note in spoken.notes)


# infracost


def infracost(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    monkeypatch.setenv("PATH", fake(folder, script)["PATH"])


def test_infracost_s_figure_stands_in_the_note_and_the_gate_beside_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infracost(monkeypatch, tmp_path, """echo '{"currency": "USD", "diffTotalMonthlyCost": "12.3"}'""")
    spoken = Spoken(tmp_path, entry("aws_kms_key.a", ["create"], None, {"description": "x"}))
    read(spoken)
    assert "The plan: 1 to create. +1.00 USD a month; infracost: +12.30 USD a month" in spoken.notes
    (gate,) = gates(spoken)
    assert "Cost: +1.00 USD a month; infracost: +12.30 USD a month" in gate.changes
    kept = spoken.folder / COST_DOCUMENT
    assert json.loads(kept.read_bytes())["diffTotalMonthlyCost"] == "12.3"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_infracost_without_its_key_is_one_line_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    infracost(monkeypatch, tmp_path, "echo 'No INFRACOST_API_KEY environment variable is set.' >&2; exit 1")
    spoken = Spoken(tmp_path, entry("aws_kms_key.a", ["create"], None, {"description": "x"}))
    (spoken.folder / COST_DOCUMENT).write_text("of an earlier plan")
    assert "infracost" not in read(spoken)["cost"]
    (said,) = [note for note in spoken.notes if "infracost" in note]
    assert "INFRACOST_API_KEY" in said
    assert not any("infracost" in warning for warning in spoken.warnings)
    assert not (spoken.folder / COST_DOCUMENT).exists()
    assert not any("infracost" in line for gate in gates(spoken) for line in gate.changes)


def test_of_a_plan_without_changes_infracost_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    infracost(monkeypatch, tmp_path, f"touch '{tmp_path}/asked'")
    read(Spoken(tmp_path, changes=False))
    assert not (tmp_path / "asked").exists()
