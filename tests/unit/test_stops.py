"""Which stops never heal, and that a watch ends with that verdict after the third."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.aws.ecs import Task, TaskContainer
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import rollout
from infraconsole.runbooks.rollout import Ours
from infraconsole.runbooks.stops import Stops, cannot_heal, counted
from tests.unit.test_deployed import Spoken, arn
from tests.unit.test_rollout import at, deployment, shown

NOT_FOUND = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
    "1.dkr.ecr.ap-northeast-2.amazonaws.com/web:7bd6b34: not found"
)
NO_SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to "
    "retrieve secret from asm: service call has been retried 1 time(s): ResourceNotFoundException: Secrets Manager can't find "
    "the specified secret."
)
EXITED = "Essential container in task exited"


def task(number: int, reason: str = EXITED, *, code: int | None = 1, lasted: float = 5.0, status: str = "STOPPED",
         revision: int = 43, stop_code: str = "EssentialContainerExited") -> Task:  # fmt: skip
    began = at(100 + 20 * number)
    container = TaskContainer("app", "web:1", status, code if status == "STOPPED" else None, "", "UNKNOWN")
    return Task(
        arn=f"arn:aws:ecs:ap-northeast-2:123456789012:task/c/{number:032x}", id=f"{number:032x}",
        task_definition=arn(revision), last_status=status, desired_status=status, health="UNKNOWN", started_by="x",
        created_at=began, started_at=began, stopped_at=began + timedelta(seconds=lasted) if status == "STOPPED" else None,
        stop_code=stop_code if status == "STOPPED" else "", stopped_reason=reason if status == "STOPPED" else "",
        private_ip="", zone="", containers=(container,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stopped", "heals"),
    [
        (task(1, NOT_FOUND, code=None, stop_code="TaskFailedToStart"), False),
        (task(1, "CannotPullContainerError: inspect image has been retried: manifest unknown", code=None), False),
        (task(1, NO_SECRET, code=None, stop_code="TaskFailedToStart"), False),
        (task(1), False),
        (task(1, code=0), False),
        (task(1, lasted=3600.0), True),
        (task(1, "Task failed ELB health checks in (target-group x)", stop_code="ServiceSchedulerInitiated"), True),
        (task(1, "CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout", code=None, stop_code="x"), True),
        (task(1, "CannotPullContainerError: 429 Too Many Requests: toomanyrequests", code=None, stop_code="x"), True),
        (task(1, "Your Spot Task was interrupted.", code=143, stop_code="SpotInterruption"), True),
        (task(1, "Scaling activity initiated by deployment", code=137, stop_code="ServiceSchedulerInitiated"), True),
    ],
)
def test_what_never_heals(stopped: Task, heals: bool) -> None:
    assert (cannot_heal(stopped) == "") is heals


def test_the_third_stop_is_the_verdict() -> None:
    stops = Stops(arn(43), at(100))
    stops.add([task(1), task(2)])
    stops.add([task(1), task(2)])
    assert stops.verdict(()) == ""
    stops.add([task(3)])
    assert "app exits right after it has started: 3 tasks" in stops.verdict(())


def test_others_and_what_was_before_do_not_count() -> None:
    stops = Stops(arn(43), at(165))
    stops.add([task(1), task(2), task(3), task(4), task(5, revision=42), task(6, revision=42), task(7, lasted=900.0)])
    assert stops.verdict(()) == ""


def test_a_task_that_outlived_them_shows_that_it_can_run() -> None:
    stops = Stops(arn(43), at(100))
    stops.add([task(number) for number in (2, 3, 4)])
    assert stops.verdict([task(1, status="RUNNING", revision=42)])
    assert stops.verdict([task(9, status="RUNNING")])
    assert stops.verdict([task(1, status="RUNNING")]) == ""


def test_each_reason_is_told_once_with_a_count() -> None:
    reasons = [f"{EXITED} (task {number:032x})" for number in range(4)]
    assert counted([*reasons, NOT_FOUND]) == [f"4 × {reasons[0]}", NOT_FOUND]


class Watching(Spoken):
    """A rollout whose tasks stop one after the other."""

    def __init__(self, folder: Path, reason: str, code: int | None, stop_code: str) -> None:
        super().__init__(folder, None)
        self.config.engine.watch_minutes = 10.0
        self.lines: list[str] = []
        self.told: list[str] = []
        self.answers: dict[str, str] = {}
        self.looks = 0
        self._stopped = (reason, code, stop_code)
        bad = deployment("bad", 43, 50, "IN_PROGRESS")
        self.reads.answers |= {
            "DescribeServices": lambda _: {"services": [shown(100.0 + self.looks, bad)], "failures": []},
            "ListTasks": self._list,
            "DescribeTasks": self._describe,
        }

    def _task(self, number: int) -> Task:
        reason, code, stop_code = self._stopped
        return task(number, reason, code=code, stop_code=stop_code)

    def _list(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        if asked["desiredStatus"] == "RUNNING":
            return [{"taskArns": []}]
        self.looks += 1
        return [{"taskArns": [self._task(number).arn for number in range(1, self.looks)]}]

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [self._task(int(name.rpartition("/")[2], 16)) for name in asked["tasks"]]
        return {"tasks": [_raw(each) for each in found]}

    def output(self, *lines: str, source: str = "") -> None:
        self.lines += lines

    def progress(self, text: str, **figures: Any) -> None:
        self.told.append(text)

    def answer(self, gate: str, *, here: bool = False) -> str:
        return self.answers.get(gate, "")


def _raw(each: Task) -> dict[str, Any]:
    return {
        "taskArn": each.arn, "taskDefinitionArn": each.task_definition, "lastStatus": each.last_status,
        "desiredStatus": each.desired_status, "createdAt": each.created_at, "startedAt": each.started_at,
        "stoppedAt": each.stopped_at, "stopCode": each.stop_code, "stoppedReason": each.stopped_reason,
        "containers": [{"name": "app", "lastStatus": "STOPPED", "exitCode": code} if (code := each.containers[0].exit_code)
                       is not None else {"name": "app", "lastStatus": "STOPPED"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "code", "stop_code", "said"),
    [
        (NOT_FOUND, None, "TaskFailedToStart", "its image cannot be pulled"),
        (NO_SECRET, None, "TaskFailedToStart", "a secret or parameter that it names cannot be read"),
        (EXITED, 1, "EssentialContainerExited", "app exits right after it has started"),
    ],
)
def test_the_watch_ends_after_the_third_stop_and_says_each_reason_once(
    tmp_path: Path, reason: str, code: int | None, stop_code: str, said: str
) -> None:
    watching = Watching(tmp_path, reason, code, stop_code)
    with pytest.raises(StepFailed, match=f"cannot start: {said}: 3 tasks") as caught:
        rollout.watch(cast("StepContext", watching), Ours(arn(43), "bad"))
    assert watching.looks < 7
    assert f"3 × {reason}" in caught.value.cause or "4 ×" in caught.value.cause
    assert sum(reason in line for line in watching.lines) == 1
    assert any("for the same reason (3 ×)" in line for line in watching.lines)
    assert "watched for" in watching.told[-1]


def test_who_watches_on_after_the_verdict_is_told_of_new_stops_only(tmp_path: Path) -> None:
    watching = Watching(tmp_path, NOT_FOUND, None, "TaskFailedToStart")
    watching.looks = 5
    with pytest.raises(StepFailed):
        rollout.watch(cast("StepContext", watching), Ours(arn(43), "bad"))
    before = watching.looks
    watching.answers["on-failure"] = "retry"
    with pytest.raises(StepFailed):
        rollout.watch(cast("StepContext", watching), Ours(arn(43), "bad"))
    assert watching.looks >= before + 4
