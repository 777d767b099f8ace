"""Watching a rollout through answers of different age: only our own deployment counts, and an older answer tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.aws.ecs import parse_service
from infraconsole.engine.runbook import Answered, Intent, ProbeState, StepContext
from infraconsole.errors import AccessDenied, NotVisibleYet, StepFailed
from infraconsole.runbooks import ecs_rollback, export_put, rollout, seen
from infraconsole.runbooks.deployed import verify_service
from infraconsole.runbooks.rollout import Ours
from tests.unit.test_deployed import CLUSTER, NAME, Spoken, arn, planned

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """AWS's time: by our own clock it is years off."""
    return BEGAN + timedelta(seconds=seconds)


def deployment(
    name: str, revision: int, made: float, state: str = "COMPLETED", status: str = "PRIMARY"
) -> dict[str, Any]:
    return {
        "id": name,
        "status": status,
        "taskDefinition": arn(revision),
        "rolloutState": state,
        "desiredCount": 1,
        "runningCount": 1,
        "createdAt": at(made),
        "updatedAt": at(made),
    }


def shown(event_at: float, *deployments: Mapping[str, Any]) -> dict[str, Any]:
    """The service as DescribeServices shows it, the newest of its events at `event_at`."""
    return {
        "serviceName": NAME,
        "clusterArn": CLUSTER,
        "status": "ACTIVE",
        "desiredCount": 1,
        "runningCount": 1,
        "taskDefinition": deployments[0]["taskDefinition"],
        "deployments": list(deployments),
        "events": [{"id": str(event_at), "createdAt": at(event_at), "message": f"event {event_at:g}"}],
    }


OLD = deployment("old", 42, 0)
"""An older deployment of the very revision that is gone back to."""
BAD = deployment("bad", 43, 50)
BEFORE = shown(60, BAD)


class Shown(Spoken):
    """A context whose service is shown as one answer after the other says; the last one stays."""

    def __init__(self, folder: Path, *answers: Mapping[str, Any]) -> None:
        super().__init__(folder, None)
        self.said: list[str] = []
        left = list(answers)

        def describe(_: Any) -> Mapping[str, Any]:
            return {"services": [left.pop(0) if len(left) > 1 else left[0]]}

        self.reads.answers["DescribeServices"] = describe
        denied = AccessDenied("Denied.", operation="ecs:ListServiceDeployments")
        self.reads.answers["ListServiceDeployments"] = raising(denied)
        self.calls_answered: list[Answered] = []
        self.intent: Intent | None = None

    def output(self, *lines: str, source: str = "") -> None:
        self.said += lines

    def unanswered(self) -> Intent | None:
        return self.intent

    def answered(self, operation: str) -> Mapping[str, Any] | None:
        found = (each.answer for each in reversed(self.calls_answered) if each.operation == operation)
        return next(found, None)

    def has_sent(self) -> bool:
        return bool(self.intent or self.calls_answered)

    def former(self, step: str) -> Sequence[Mapping[str, Any]]:
        return ()


def watched(context: Shown, ours: Ours) -> Ours:
    return rollout.watch(cast(StepContext, context), ours)


def test_only_our_own_deployment_s_end_counts(tmp_path: Path) -> None:
    going, done = deployment("ours", 42, 100, "IN_PROGRESS"), deployment("ours", 42, 100)
    answers = [shown(60, OLD), BEFORE, shown(101, going, BAD), shown(60, OLD), shown(130, done)]
    context = Shown(tmp_path, *answers)
    found = watched(context, Ours(arn(42), "ours", since=at(100)))
    assert (found.id, found.since) == ("ours", at(130))


def test_where_the_answer_was_lost_ours_is_the_one_that_was_not_there_before(tmp_path: Path) -> None:
    context = Shown(tmp_path, shown(60, OLD), shown(101, deployment("new", 42, 100)))
    found = watched(context, Ours(arn(42), before=("old",), since=at(60)))
    assert found.id == "new"


def test_what_is_said_of_a_rollout_goes_by_aws_s_own_times(tmp_path: Path) -> None:
    context = Shown(
        tmp_path, shown(101, deployment("ours", 42, 100, "IN_PROGRESS")), shown(130, deployment("ours", 42, 100))
    )
    watched(context, Ours(arn(42), "ours", since=at(100)))
    assert [line.rpartition(" ")[2] for line in context.said] == ["101", "130"]


@pytest.mark.parametrize(
    "after",
    [
        (deployment("theirs", 44, 120), deployment("ours", 42, 100, "IN_PROGRESS", "ACTIVE")),
        (deployment("theirs", 44, 120),),
        (deployment("theirs", 42, 120),),
    ],
    ids=["draining", "gone", "same-revision"],
)
def test_a_deployment_that_somebody_replaced_is_a_failure(tmp_path: Path, after: Sequence[Mapping[str, Any]]) -> None:
    context = Shown(tmp_path, shown(101, deployment("ours", 42, 100, "IN_PROGRESS")), shown(125, *after))
    with pytest.raises(StepFailed, match="no longer the primary one"):
        watched(context, Ours(arn(42), "ours", since=at(100)))


def test_one_that_ecs_never_shows_can_be_looked_for_later(tmp_path: Path) -> None:
    with pytest.raises(NotVisibleYet):
        watched(Shown(tmp_path, BEFORE), Ours(arn(42), "ours", since=at(100)))


def test_verifying_waits_for_what_was_seen_already(tmp_path: Path) -> None:
    context = Shown(tmp_path, BEFORE, shown(60, OLD), shown(130, deployment("ours", 42, 100)))
    ours = Ours(arn(42), "ours", since=at(130))
    assert rollout.verify(cast(StepContext, context), ours) == "not asked"
    with pytest.raises(NotVisibleYet):
        rollout.verify(cast(StepContext, Shown(tmp_path, BEFORE)), ours)


def test_a_deploy_that_ecs_does_not_show_yet_is_no_failure(tmp_path: Path) -> None:
    context = Shown(tmp_path, BEFORE, BEFORE, shown(130, deployment("ours", 44, 100)))
    context.results["deployed"] = {"task_definition": arn(44)}
    assert verify_service(cast(StepContext, context))["task_definition"] == arn(44)


def test_a_deploy_of_the_same_revision_is_not_verified_by_the_deployment_before(tmp_path: Path) -> None:
    going = deployment("ours", 43, 100, "IN_PROGRESS")
    context = Shown(tmp_path, BEFORE, BEFORE, shown(101, going, BAD), shown(130, deployment("ours", 43, 100)))
    context.results["deployed"] = {"task_definition": arn(43), "same_definition": True}
    verify_service(cast(StepContext, context))
    assert any("event 130" in line for line in context.said)


DRAINS = {**deployment("old", 44, 0), "status": "ACTIVE"}
"""A deployment of an earlier time, of the revision that is deployed again."""


def deploying(tmp_path: Path, *answers: Mapping[str, Any], registers: bool = False) -> Mapping[str, Any]:
    """What the verification says of a plan that brings :44, which `registers` it, or finds it there."""
    context = Shown(tmp_path, *answers)
    context.config.engine.settle_seconds, context.config.engine.visible_seconds = 0.0, 0.2
    planned(tmp_path, ["update"], arn(43), None if registers else arn(44), registers=registers)
    context.results["deployed"] = {"task_definition": arn(44)}
    return verify_service(cast(StepContext, context))


def test_an_old_deployment_that_drains_is_not_taken_for_the_one_that_was_made(tmp_path: Path) -> None:
    before = shown(60, BAD, DRAINS)
    context = Shown(tmp_path, before, before, shown(130, deployment("ours", 44, 100)))
    context.config.engine.settle_seconds, context.config.engine.visible_seconds = 0.0, 60.0
    planned(tmp_path, ["update"], arn(43), arn(44))
    context.results["deployed"] = {"task_definition": arn(44)}
    assert verify_service(cast(StepContext, context))["task_definition"] == arn(44)
    with pytest.raises(NotVisibleYet):
        deploying(tmp_path, before)
    # An answer that is newer than the next one.
    with pytest.raises(NotVisibleYet):
        deploying(tmp_path, shown(70, BAD), before)


def test_what_took_the_place_of_what_was_deployed_is_a_failure(tmp_path: Path) -> None:
    put_back = shown(130, deployment("theirs", 43, 110), {**deployment("ours", 44, 100), "status": "ACTIVE"})
    with pytest.raises(StepFailed, match="not on web-dev:44, which was deployed"):
        deploying(tmp_path, put_back, registers=True)
    with pytest.raises(StepFailed, match="not on web-dev:44, which was deployed"):
        deploying(tmp_path, BEFORE, put_back)


# The probe of the update


@dataclass(frozen=True)
class Case:
    answers: tuple[Mapping[str, Any], ...]
    state: ProbeState
    deployment: str = ""


LOST = Intent("run234/9", "ecs:UpdateService", {}, BEGAN)
CASES = {
    "nothing-yet": Case((BEFORE,), ProbeState.NOT_DONE),
    "made": Case((shown(101, deployment("ours", 42, 100, "IN_PROGRESS"), BAD),), ProbeState.DONE, "ours"),
    "made-and-replaced": Case(
        (shown(125, deployment("theirs", 44, 120), deployment("ours", 42, 100, "COMPLETED", "ACTIVE")),),
        ProbeState.DONE,
        "ours",
    ),
    "somebody-else": Case((shown(125, deployment("theirs", 44, 120), BAD),), ProbeState.OVERTAKEN),
    "older-than-seen": Case((shown(40, OLD),), ProbeState.NOT_VISIBLE),
}


def probing(tmp_path: Path, *answers: Mapping[str, Any]) -> Shown:
    context = Shown(tmp_path, *answers)
    before = parse_service(BEFORE)
    context.results = {
        "look": {"current": arn(43), "current_name": "web-dev:43", **seen.as_seen(before, None)},
        "choose": {"arn": arn(42), "name": "web-dev:42"},
    }
    return context


@pytest.mark.parametrize("name", CASES)
def test_what_became_of_a_lost_call_is_told_without_the_history(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    context = probing(tmp_path, *case.answers)
    context.intent = LOST
    probe = ecs_rollback.Update().probe(cast(StepContext, context))
    assert (probe.state, probe.result.get("deployment", "")) == (case.state, case.deployment)
    assert probe.state is not ProbeState.DONE or probe.result["changed"]
    assert ("ListServiceDeployments" in probe.detail) is (probe.state is ProbeState.OVERTAKEN)


def test_an_answered_update_is_done_whatever_is_shown(tmp_path: Path) -> None:
    step = ecs_rollback.Update()
    ours = deployment("ours", 42, 100, "IN_PROGRESS")
    made = step.made("ecs:UpdateService", {"service": shown(60, ours, BAD)})
    context = probing(tmp_path, BEFORE)
    context.calls_answered = [Answered("ecs:UpdateService", made)]
    probe = step.probe(cast(StepContext, context))
    assert (probe.state, probe.result["deployment"]) == (ProbeState.DONE, "ours")
    assert datetime.fromisoformat(probe.result["at"]) == at(100)
    assert context.reads.calls == []


@pytest.mark.parametrize(
    "answer", [{}, {"service": None}, {"service": []}, {"service": {}}, {"service": {"deployments": None}}]
)
def test_an_answer_that_names_no_deployment_is_an_answer(tmp_path: Path, answer: Mapping[str, Any]) -> None:
    step = ecs_rollback.Update()
    context = probing(tmp_path, BEFORE)
    context.calls_answered = [Answered("ecs:UpdateService", step.made("ecs:UpdateService", answer))]
    probe = step.probe(cast(StepContext, context))
    assert (probe.state, probe.result["deployment"], probe.result["changed"]) == (ProbeState.DONE, "", True)


# The probe of an export that is written by hand


def parameter(version: int, value: str, changed: float) -> dict[str, Any]:
    return {"Name": "/shared/a", "Type": "String", "Value": value, "Version": version, "LastModifiedDate": at(changed)}


@pytest.mark.parametrize(
    ("now", "history", "lost", "state"),
    [
        (parameter(3, "was", 0), None, False, ProbeState.NOT_DONE),
        (parameter(3, "was", 0), None, True, ProbeState.NOT_DONE),
        (parameter(2, "older", -10), None, False, ProbeState.NOT_VISIBLE),
        (parameter(1, "made again", 10), None, False, ProbeState.OVERTAKEN),
        (None, None, False, ProbeState.OVERTAKEN),
        (parameter(4, "ours", 10), None, True, ProbeState.DONE),
        (parameter(4, "theirs", 10), None, False, ProbeState.OVERTAKEN),
        (parameter(5, "theirs", 20), [parameter(4, "ours", 10), parameter(5, "theirs", 20)], True, ProbeState.DONE),
        (parameter(5, "theirs", 20), AccessDenied("Denied.", operation="ssm:x"), True, ProbeState.OVERTAKEN),
    ],
)
def test_what_became_of_an_export_that_was_written(
    tmp_path: Path, now: Mapping[str, Any] | None, history: Any, lost: bool, state: ProbeState
) -> None:
    context = Shown(tmp_path, BEFORE)
    context.inputs = {"name": "/shared/a", "value": "ours", "type": "String"}
    context.results["look"] = {"version": 3, "modified": at(0).isoformat(), "before": "was", "owner": ""}
    context.reads.answers["GetParameters"] = {"Parameters": [now] if now else []}
    pages = {"Parameters": history} if isinstance(history, list) else history
    context.reads.answers["GetParameterHistory"] = pages if isinstance(pages, dict) else raising(pages)
    context.intent = LOST if lost else None
    probe = export_put.Write().probe(cast(StepContext, context))
    assert probe.state is state, probe.detail
    assert ("ssm:GetParameterHistory" in probe.detail) is isinstance(history, AccessDenied)


def raising(error: Any) -> Callable[[Any], Any]:
    def raising(_: Any) -> Any:
        raise error or AssertionError("not to be asked")

    return raising
