"""What a deploy verifies: the task definition that it brought, and no other that happens to run by then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, AwsError, AwsNotFound, NotVisibleYet, StepFailed
from infraconsole.runbooks import deployed
from infraconsole.runbooks.deployed import ReadDeployed, verify_service
from infraconsole.runbooks.plan_reading import PLAN_DOCUMENT
from infraconsole.target import Target
from tests.unit.test_aws_services import FakeAccess

ARN = "arn:aws:ecs:ap-northeast-2:123456789012"
CLUSTER = f"{ARN}:cluster/web-dev-cluster"
NAME = "web-dev-service"


def arn(revision: int) -> str:
    return f"{ARN}:task-definition/web-dev:{revision}"


def service(revision: int, *more: Mapping[str, Any]) -> dict[str, Any]:
    """On that revision, and there for good; `more` are other deployments."""
    primary = {"id": f"ecs-svc/{revision}", "status": "PRIMARY", "taskDefinition": arn(revision)}
    return {
        "serviceName": NAME,
        "serviceArn": f"{ARN}:service/web-dev-cluster/{NAME}",
        "clusterArn": CLUSTER,
        "status": "ACTIVE",
        "taskDefinition": arn(revision),
        "desiredCount": 1,
        "runningCount": 1,
        "deployments": [{**primary, "rolloutState": "COMPLETED", "desiredCount": 1, "runningCount": 1}, *more],
        "events": [{"id": "1", "createdAt": datetime.now(UTC), "message": "rolling back to deployment ecs-svc/41."}],
    }


def definition(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Revision 42 has the image build-42, and so on; it is the family's newest."""
    revision = str(asked["taskDefinition"]).partition("web-dev")[2].lstrip(":") or "42"
    containers = [{"name": "app", "image": f"repo/web:build-{revision}", "essential": True}]
    return {"taskDefinition": {"taskDefinitionArn": arn(int(revision)), "containerDefinitions": containers}}


def _revision(name: str) -> dict[str, Any]:
    return {"serviceRevisionArn": name, "taskDefinition": arn(int(name))}


class Spoken:
    """As much of a step's context as these steps need."""

    interactive = dry_run = False

    def __init__(self, folder: Path, found: Mapping[str, Any] | None, **inputs: str) -> None:
        self.folder = folder
        self.target = Target("web", "dev", "ap-northeast-2", "123456789012")
        self.inputs = inputs
        self.notes: list[str] = []
        self.results: dict[str, Mapping[str, Any]] = {}
        self.config = SimpleNamespace(
            engine=SimpleNamespace(
                watch_minutes=0.01, poll_seconds=0.01, health_checks=1, settle_seconds=0.05, visible_seconds=1.0
            ),
            environment=lambda _: SimpleNamespace(health_path="/"),
        )
        self.history: Sequence[int] = (40, 41, 42)
        """The revisions that the service was ever brought to, oldest first."""
        self.reads = FakeAccess(
            DescribeServices={"services": [found] if found else []},
            DescribeTaskDefinition=definition,
            ListServices=[{"serviceArns": []}],
            ListServiceDeployments=lambda _: [{"serviceDeployments": list(map(self._entry, self.history))}],
            DescribeServiceRevisions=lambda asked: {
                "serviceRevisions": list(map(_revision, asked["serviceRevisionArns"]))
            },
            ListTasks=[{"taskArns": []}],
        )

    def _entry(self, revision: int) -> dict[str, Any]:
        at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=self.history.index(revision))
        return {"serviceDeploymentArn": f"{ARN}:service-deployment/{revision}", "createdAt": at,
                "status": "SUCCESSFUL", "targetServiceRevisionArn": str(revision)}  # fmt: skip

    def result(self, step: str) -> Mapping[str, Any]:
        return self.results.get(step, {})

    def note(self, text: str, *, warning: bool = False) -> None:
        self.notes.append(text)

    def output(self, *lines: str, source: str = "") -> None: ...

    def progress(self, text: str, **figures: Any) -> None: ...

    def wait(self, seconds: float) -> None: ...

    def now(self) -> datetime:
        return datetime.now(UTC)


def planned(folder: Path, actions: list[str], before: Any, after: Any, *, registers: bool = False) -> None:
    """A plan of the service; with `after` None for the task definition, it is known only after the apply. `registers`: it makes
    a new revision of the family."""
    sides = [
        {"name": NAME, "cluster": CLUSTER, "task_definition": value} if value is not None else {"name": NAME}
        for value in (before, after)
    ]
    change = {"actions": actions, "before": sides[0], "after": sides[1]}
    entry = {
        "address": "aws_ecs_service.app",
        "mode": "managed",
        "type": "aws_ecs_service",
        "name": "app",
        "change": {**change, **({"after_unknown": {"task_definition": True}} if after is None else {})},
    }
    definition = {
        "address": "aws_ecs_task_definition.app",
        "mode": "managed",
        "type": "aws_ecs_task_definition",
        "name": "app",
        "change": {"actions": ["delete", "create"], "before": {"family": "web-dev"}, "after": {"family": "web-dev"}},
    }
    entries = [definition, entry] if registers else [entry]
    (folder / PLAN_DOCUMENT).write_text(json.dumps({"format_version": "1.2", "resource_changes": entries}))


def stored(monkeypatch: pytest.MonkeyPatch, task_definition: str, *, registered: int = 0) -> None:
    """The state after the apply; another service of another cluster stands before it. `registered` is the revision that it has
    of the family."""

    def instance(cluster: str, value: str) -> dict[str, Any]:
        return {"attributes": {"name": NAME, "cluster": cluster, "task_definition": value}}

    others = {"mode": "managed", "type": "aws_ecs_service", "name": "other", "instances": [instance("other", "x:1")]}
    ours = {
        "mode": "managed",
        "type": "aws_ecs_service",
        "name": "app",
        "instances": [instance(CLUSTER, task_definition)],
    }
    revisions = [("web-dev", arn(registered)), ("web-dev-batch", f"{ARN}:task-definition/web-dev-batch:99")]
    definitions = {
        "mode": "managed",
        "type": "aws_ecs_task_definition",
        "name": "app",
        "instances": [{"attributes": {"family": family, "arn": value}} for family, value in revisions],
    }
    document = {
        "version": 4,
        "serial": 3,
        "lineage": "l",
        "resources": [others, ours, *([definitions] if registered else [])],
    }
    monkeypatch.setattr(deployed, "root_of", lambda _: None)
    monkeypatch.setattr(deployed, "stored_state", lambda *_: json.dumps(document).encode())


def read(spoken: Spoken) -> Mapping[str, Any]:
    """As the run does right after the apply; what it left is there for whoever verifies, however often."""
    spoken.results["deployed"] = ReadDeployed().act(cast(StepContext, spoken))
    return spoken.results["deployed"]


def verify(spoken: Spoken) -> Mapping[str, Any]:
    return verify_service(cast(StepContext, spoken))


def test_what_the_apply_brought_is_taken_from_the_state_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path, ["update"], arn(41), None)
    stored(monkeypatch, arn(42))
    spoken = Spoken(tmp_path, service(42), image_tag="build-42")
    assert read(spoken) == {"task_definition": arn(42)}
    assert verify(spoken)["task_definition"] == arn(42)


def test_a_rollout_that_was_rolled_back_before_anybody_looked_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path, ["update"], arn(41), None)
    stored(monkeypatch, arn(42))
    failed = {"id": "ecs-svc/42", "status": "INACTIVE", "taskDefinition": arn(42), "rolloutState": "FAILED"}
    spoken = Spoken(tmp_path, service(41, failed))
    read(spoken)
    for _ in range(2):  # a retry does not take what runs by then for what was deployed
        with pytest.raises(StepFailed) as caught:
            verify(spoken)
        assert "is on web-dev:41, not on web-dev:42" in caught.value.title
        assert "rolling back to deployment" in caught.value.cause


@pytest.mark.parametrize("history", [(42, 40, 41), AccessDenied("denied", operation="ecs:ListServiceDeployments")])
def test_what_ecs_does_not_show_as_deployed_is_not_told_to_be_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: Sequence[int] | AwsError
) -> None:
    """The service is on the one before: either somebody put it back, or ECS shows an older copy."""
    planned(tmp_path, ["update"], arn(41), None)
    stored(monkeypatch, arn(42))
    spoken = Spoken(tmp_path, service(41))
    read(spoken)
    if isinstance(history, AwsError):
        spoken.reads.answers["ListServiceDeployments"] = [history]
    else:
        spoken.history = history
    with pytest.raises(NotVisibleYet, match="web-dev:42, which was deployed"):
        verify(spoken)


def test_without_changes_it_is_what_the_plan_found(tmp_path: Path) -> None:
    """Also where the code leaves the task definition to others: the stored state then has an older one."""
    planned(tmp_path, ["no-op"], arn(41), arn(41))
    spoken = Spoken(tmp_path, service(41))
    assert read(spoken) == {"task_definition": arn(41)}
    assert verify(spoken)["task_definition"] == arn(41)
    colleague = Spoken(tmp_path, service(40))
    read(colleague)
    with pytest.raises(StepFailed, match="is on web-dev:40, not on web-dev:41"):
        verify(colleague)


@pytest.mark.parametrize(("code", "fits"), [("web-dev:42", True), ("web-dev", True), ("web-dev:41", False)])
def test_code_that_names_a_family_and_no_arn(tmp_path: Path, code: str, fits: bool) -> None:
    planned(tmp_path, ["update"], "web-dev:40", code)
    spoken = Spoken(tmp_path, service(42))
    read(spoken)
    if fits:
        assert verify(spoken)["task_definition"] == arn(42)
        return
    spoken.history = (40, 42, 41)
    with pytest.raises(StepFailed, match="not on web-dev:41"):
        verify(spoken)


@pytest.mark.parametrize("registered", [False, True], ids=["family-left-as-it-is", "revision-of-this-apply"])
def test_a_rollback_to_another_revision_of_a_family_that_the_code_names_alone_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: bool
) -> None:
    """Also where the service was put back before the apply itself had ended."""
    planned(tmp_path, ["update"], "web-dev:41", "web-dev", registers=registered)
    # The state holds what this apply registered, else an old one: 42 is then a pipeline's.
    stored(monkeypatch, "web-dev:41", registered=42 if registered else 40)
    spoken = Spoken(tmp_path, service(41))
    assert read(spoken) == {"task_definition": arn(42)}
    with pytest.raises(StepFailed, match="is on web-dev:41, not on web-dev:42"):
        verify(spoken)


def test_a_revision_that_somebody_registers_after_the_apply_is_not_what_was_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path, ["update"], "web-dev:40", "web-dev", registers=True)
    stored(monkeypatch, "web-dev:41", registered=41)
    spoken = Spoken(tmp_path, service(41))
    assert read(spoken) == {"task_definition": arn(41)}
    assert verify(spoken)["task_definition"] == arn(41)


def test_a_family_alone_that_was_there_before_sends_nothing_and_leaves_the_service_where_it_is(tmp_path: Path) -> None:
    planned(tmp_path, ["no-op"], "web-dev", "web-dev")
    spoken = Spoken(tmp_path, service(41))
    assert read(spoken) == {"task_definition": arn(41)}
    colleague = Spoken(tmp_path, service(40))
    colleague.results = spoken.results
    with pytest.raises(StepFailed, match="is on web-dev:40, not on web-dev:41"):
        verify(colleague)


def test_an_image_that_was_asked_for_and_does_not_run_is_a_failure(tmp_path: Path) -> None:
    planned(tmp_path, ["no-op"], arn(41), arn(41))
    spoken = Spoken(tmp_path, service(41), image_tag="brandnew1")
    read(spoken)
    with pytest.raises(StepFailed) as caught:
        verify(spoken)
    assert "does not run the image brandnew1" in caught.value.title
    assert "repo/web:build-41" in caught.value.cause


def test_a_plan_without_the_service_leaves_it_where_it_is(tmp_path: Path) -> None:
    (tmp_path / PLAN_DOCUMENT).write_text(json.dumps({"format_version": "1.2", "resource_changes": []}))
    spoken = Spoken(tmp_path, service(41))
    assert read(spoken) == {"task_definition": arn(41)}
    assert "This plan has no service" in spoken.notes[0]
    assert verify(spoken)["task_definition"] == arn(41)


def test_where_there_is_no_service_nothing_is_compared_unless_it_was_deployed(tmp_path: Path) -> None:
    (tmp_path / PLAN_DOCUMENT).write_text(json.dumps({"format_version": "1.2", "resource_changes": []}))
    spoken = Spoken(tmp_path, None)
    assert read(spoken) == {}
    assert verify(spoken) == {}
    planned(tmp_path, ["create"], None, arn(1))
    read(spoken)
    with pytest.raises(AwsNotFound):
        verify(spoken)


def test_a_state_that_does_not_say_what_was_deployed_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path, ["create"], None, None)
    monkeypatch.setattr(deployed, "root_of", lambda _: None)
    monkeypatch.setattr(deployed, "stored_state", lambda *_: b'{"version": 4, "serial": 1, "resources": []}')
    with pytest.raises(StepFailed, match="cannot be told"):
        read(Spoken(tmp_path, service(1)))


# A service that ECS does not deploy


def controlled(folder: Path, controller: str, actions: list[str], task_definition: str | None) -> None:
    """A plan of the service; the code gives a service of task sets no task definition."""
    side = {"name": NAME, "cluster": CLUSTER, "task_definition": task_definition,
            "deployment_controller": [{"type": controller}]}  # fmt: skip
    change = {"actions": actions, "before": None if actions == ["create"] else side, "after": side, "after_unknown": {}}
    entry = {
        "address": "aws_ecs_service.app",
        "mode": "managed",
        "type": "aws_ecs_service",
        "name": "app",
        "change": change,
    }
    (folder / PLAN_DOCUMENT).write_text(json.dumps({"format_version": "1.2", "resource_changes": [entry]}))


def with_controller(controller: str, revision: int) -> dict[str, Any]:
    task_set = {
        "id": "ecs-svc/1",
        "status": "PRIMARY",
        "taskDefinition": arn(revision),
        "stabilityStatus": "STEADY_STATE",
    }
    return {"serviceName": NAME, "clusterArn": CLUSTER, "status": "ACTIVE", "desiredCount": 1, "runningCount": 1,
            "deploymentController": {"type": controller}, "taskSets": [task_set]}  # fmt: skip


@pytest.mark.parametrize("actions", [["create"], ["update"], ["no-op"]])
@pytest.mark.parametrize(("controller", "code"), [("EXTERNAL", None), ("EXTERNAL", ""), ("CODE_DEPLOY", arn(41))])
def test_what_another_controller_runs_is_not_compared_with_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controller: str, code: str | None, actions: list[str]
) -> None:
    """Not with the image that was asked for either: Terraform only registers the revision, and the tool brings it later."""
    controlled(tmp_path, controller, actions, code)
    stored(monkeypatch, code or "")
    spoken = Spoken(tmp_path, with_controller(controller, 40), image_tag="build-42")
    assert read(spoken) == {}
    assert "not by this plan" in spoken.notes[-1]
    assert verify(spoken) == {"task_definition": arn(40)}
    assert "Its rollout was not watched" in spoken.notes[-1]


def test_a_plan_without_a_service_of_another_controller_says_nothing_of_where_it_stays(tmp_path: Path) -> None:
    (tmp_path / PLAN_DOCUMENT).write_text(json.dumps({"format_version": "1.2", "resource_changes": []}))
    spoken = Spoken(tmp_path, with_controller("EXTERNAL", 40))
    assert read(spoken) == {}
    spoken.reads.answers["DescribeServices"] = {"services": [with_controller("EXTERNAL", 41)]}
    assert verify(spoken) == {"task_definition": arn(41)}
