"""What AWS does not show, or may not be read, is neither taken for nothing nor for somebody else's work."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.engine.runbook import ProbeState, StepContext
from infraconsole.errors import NotVisibleYet, StepFailed
from infraconsole.runbooks import ecs_rollback, revisions
from infraconsole.runbooks.deployed import verify_service
from infraconsole.runbooks.seen import STOP_FIRST, SUPERSEDE
from infraconsole.runbooks.stop_in_flight import Settle, StopInFlight
from tests.unit.test_deployed import arn
from tests.unit.test_rollout import BEFORE, Shown

ARN = "arn:aws:ecs:r:1:service-deployment/c/s/1"


def listed(status: str) -> list[dict[str, Any]]:
    entry = {"serviceDeploymentArn": ARN, "status": status, "targetServiceRevisionArn": "r"}
    return [{"serviceDeployments": [entry]}]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "candidates", lambda *_: [])
    monkeypatch.setattr(revisions, "last_known_good", lambda *_: "")


def looking(tmp_path: Path, asked: str) -> tuple[Shown, StepContext]:
    shown = Shown(tmp_path, BEFORE)
    shown.inputs = {"in-flight": asked}
    return shown, cast(StepContext, shown)


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS"])
@pytest.mark.usefixtures("looked")
def test_a_deployment_that_has_yet_to_begin_is_stopped_too(tmp_path: Path, status: str) -> None:
    shown, context = looking(tmp_path, STOP_FIRST)
    shown.reads.answers["ListServiceDeployments"] = listed(status)
    shown.reads.answers["DescribeServiceRevisions"] = {"serviceRevisions": []}
    shown.results["look"] = found = ecs_rollback.Look().act(context)
    assert found["in_flight_arn"] == ARN
    assert bool(found["in_flight"]) is (status == "PENDING"), "the service itself shows nothing of it yet"
    shown.results["check"] = {"in_flight": STOP_FIRST}
    assert StopInFlight().probe(context).state is ProbeState.NOT_DONE


@pytest.mark.usefixtures("looked")
def test_what_cannot_be_listed_is_not_left_running_silently(tmp_path: Path) -> None:
    shown, context = looking(tmp_path, STOP_FIRST)
    shown.results["look"] = ecs_rollback.Look().act(context)
    shown.results["choose"] = {"arn": arn(42), "image": "x"}
    with pytest.raises(StepFailed, match="is not known") as caught:
        ecs_rollback.Check().act(context)
    assert "ecs:ListServiceDeployments" in caught.value.cause
    assert f"--set in-flight={SUPERSEDE}" in caught.value.mend


@pytest.mark.parametrize("given", [True, False])
def test_an_answer_that_asks_for_what_cannot_be_listed_is_refused(tmp_path: Path, given: bool) -> None:
    shown, context = looking(tmp_path, SUPERSEDE)
    shown.results["look"] = {"in_flight": "ecs-svc/1", "in_flight_arn": "", "in_flight_of": "web", "deployments": None}
    shown.given = lambda gate: given  # type: ignore[attr-defined]
    gates = ecs_rollback.Check().gates(context)
    assert bool(gates) is given
    for gate in gates:
        why = {choice.id: choice.why_not for choice in gate.choices}
        assert "ecs:ListServiceDeployments" in why[STOP_FIRST]
        assert why[SUPERSEDE] == ""


def test_a_stopped_deployment_that_is_not_shown_can_be_looked_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, context = looking(tmp_path, STOP_FIRST)
    shown.results = {"stop-in-flight": {"stopped": True}, "look": {"in_flight_arn": ARN}}
    shown.reads.answers["ListServiceDeployments"] = [{"serviceDeployments": []}]
    shown.config.engine.watch_minutes = 0.0
    with pytest.raises(NotVisibleYet, match="the deployment that was stopped"):
        Settle().act(context)


def test_a_deploy_that_is_not_shown_in_time_is_nobody_s_doing(tmp_path: Path) -> None:
    shown, context = looking(tmp_path, SUPERSEDE)
    shown.results["deployed"] = {"task_definition": arn(44)}
    shown.config.engine.settle_seconds, shown.config.engine.visible_seconds = 0.0, 0.1
    with pytest.raises(NotVisibleYet) as caught:
        verify_service(context)
    assert "which was deployed" in caught.value.title


def test_a_deploy_that_was_there_and_was_replaced_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, context = looking(tmp_path, SUPERSEDE)
    shown.results["deployed"] = {"task_definition": arn(44)}
    shown.config.engine.settle_seconds, shown.config.engine.visible_seconds = 0.0, 60.0
    monkeypatch.setattr("infraconsole.runbooks.deployed._newest_in_history", lambda _: arn(44))
    with pytest.raises(StepFailed, match="not on web-dev:44, which was deployed"):
        verify_service(context)
