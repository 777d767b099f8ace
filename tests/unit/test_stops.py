"""Which stops never heal, and that a watch ends with that verdict after the third, unless a task shows that the revision runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.aws.ecs import Task, TaskContainer
from infraconsole.checks.stopped import cannot_heal, why_stopped
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import rollout
from infraconsole.runbooks.rollout import Ours
from infraconsole.runbooks.stops import Stops, counted
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
NO_HOST = (
    "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
    '1.dkr.ecr.ap-northeast-2.amazonaws.com/web:abc: failed to do request: Head "https://x": dial tcp: lookup '
    "1.dkr.ecr.ap-northeast-2.amazonaws.com on 10.0.0.2:53: no such host"
)
NOT_A_TAG = "failed to resolve ref 1.dkr.ecr.x.amazonaws.com/web:502: not found"
"""502 is a build's number, and no answer of a server's."""
OTHER_PLATFORM = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor "
    "matching platform 'linux/amd64'"
)
UNAVAILABLE = (
    "CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed open: unexpected "
    "status code https://x/blobs/sha256:1: 503 Service Unavailable - layer not found"
)
INIT = "ResourceInitializationError: "
NO_AUTH = (
    f"{INIT}unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry "
    "auth: service call has been retried 1 time(s): AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not "
    "authorized to perform: ecr:GetAuthorizationToken"
)
NO_LOG_GROUP = (
    f"{INIT}failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: "
    "ResourceNotFoundException: The specified log group does not exist."
)
NO_MOUNT = (
    f"{INIT}failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: access denied AccessDenied"
)
NO_PARAMETER = (
    f"{INIT}unable to pull secrets or registry auth: unable to retrieve secrets from ssm: service call has been retried "
    "1 time(s): AccessDeniedException: not authorized to perform: ssm:GetParameters"
)
NOT_YET_ALLOWED = (
    "CannotPullContainerError: pull access denied for 1.dkr.ecr.x.amazonaws.com/web, repository does not exist or may require "
    "'docker login': denied: User: arn:x is not authorized to perform: ecr:BatchGetImage"
)


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
        (task(1, f"CannotPullECRContainerError: {NOT_A_TAG}", code=None, stop_code="TaskFailedToStart"), False),
        (task(1, OTHER_PLATFORM, code=None, stop_code="TaskFailedToStart"), False),
        (task(1, UNAVAILABLE, code=None, stop_code="TaskFailedToStart"), True),
        (task(1), False),
        (task(1, code=0), False),
        (task(1, lasted=3600.0), True),
        (task(1, "Task failed ELB health checks in (target-group x)", stop_code="ServiceSchedulerInitiated"), True),
        (task(1, "CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout", code=None, stop_code="x"), True),
        (task(1, "CannotPullContainerError: 429 Too Many Requests: toomanyrequests", code=None, stop_code="x"), True),
        (task(1, NO_HOST, code=None, stop_code="TaskFailedToStart"), True),
        (task(1, NO_AUTH, code=None, stop_code="TaskFailedToStart"), True),
        (task(1, NO_LOG_GROUP, code=None, stop_code="TaskFailedToStart"), True),
        (task(1, NO_MOUNT, code=None, stop_code="TaskFailedToStart"), True),
        (task(1, NOT_YET_ALLOWED, code=None, stop_code="TaskFailedToStart"), True),
        (task(1, NO_PARAMETER, code=None, stop_code="TaskFailedToStart"), False),
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


def test_many_tasks_of_the_first_round_are_one_try() -> None:
    """With so many desired, the third stop repeats nothing: they all came before what they need."""
    stops = Stops(arn(43), at(100))
    together = [
        replace(task(number), created_at=at(120), started_at=at(120), stopped_at=at(125)) for number in range(20)
    ]
    stops.add(together[:3])
    assert stops.verdict(()) == ""
    stops.add(together)
    assert stops.verdict(()) == ""
    stops.add([task(30)])
    assert "21 tasks" in stops.verdict(())


def test_a_task_that_runs_on_shows_that_what_was_missing_is_there() -> None:
    """3 of 20 exit on start, as the database is not up yet; one of them does so again; the others run."""
    stops = Stops(arn(43), at(100))
    stops.add([task(1), task(1), task(2), task(3), task(4)])
    others = [task(number, status="RUNNING") for number in range(5, 20)]
    assert "4 tasks" in stops.verdict(others[:1])
    assert stops.verdict(others) == "", "one of them ran for longer than any that exited"
    assert stops.verdict(others[:1], at(100 + 20 * 5 + 121)) == "", "it ran for longer than two minutes"
    slow = Stops(arn(43), at(100))
    slow.add([task(number, lasted=100.0) for number in (1, 8, 15)])
    assert slow.verdict([task(20, status="RUNNING")], at(100 + 400 + 90))
    assert slow.verdict([task(20, status="RUNNING")], at(100 + 400 + 110)) == ""


def test_what_ran_for_long_and_stopped_takes_back_what_was_before_it() -> None:
    stops = Stops(arn(43), at(100))
    stops.add([task(1), task(2), task(3), task(4, lasted=900.0)])
    assert stops.verdict(()) == ""
    stops.add([task(number) for number in (50, 51)])
    assert stops.verdict(()) == ""
    stops.add([task(52)])
    assert "3 tasks" in stops.verdict(())


@pytest.mark.parametrize("reason", [NOT_FOUND, NO_SECRET])
def test_what_never_started_is_outlived_by_any_task_that_did(reason: str) -> None:
    stops = Stops(arn(43), at(100))
    never = [task(number, reason, code=None, stop_code="TaskFailedToStart") for number in (1, 2, 3)]
    stops.add([replace(each, started_at=None) for each in never])
    assert "3 tasks" in stops.verdict([replace(task(4, status="PENDING"), started_at=None)])
    assert stops.verdict([task(4, status="RUNNING")]) == ""


def ended(*containers: tuple[str, int | None, str]) -> Task:
    parts = tuple(TaskContainer(name, "web:1", "STOPPED", code, why, "UNKNOWN") for name, code, why in containers)
    return replace(task(1), containers=parts)


@pytest.mark.parametrize(
    ("containers", "named"),
    [
        ([("app", 137, "OutOfMemoryError: Container killed"), ("fluent-bit", 0, ""), ("xray", 143, "")], "app"),
        ([("app", 1, ""), ("fluent-bit", 0, ""), ("xray", 137, "")], "app"),
        ([("app", 0, ""), ("xray", 143, "")], "app"),
        ([("app", 137, ""), ("fluent-bit", 0, "")], "app or fluent-bit"),
        ([("app", 143, "")], "app"),
        ([("app", 0, "")], "app"),
    ],
)
def test_containers_that_ecs_stopped_are_not_named_as_the_cause(
    containers: list[tuple[str, int | None, str]], named: str
) -> None:
    assert cannot_heal(ended(*containers)) == f"{named} exits right after it has started"


def test_a_container_s_own_reason_stands_behind_its_exit_code() -> None:
    stopped = ended(
        ("app", 137, "OutOfMemoryError: Container killed due to memory usage"), ("xray", 0, ""), ("init", None, "")
    )
    assert why_stopped(stopped) == (
        f"{EXITED}; app exited with 137 (OutOfMemoryError: Container killed due to memory usage); xray exited with 0"
    )
    nothing = replace(task(1, "", stop_code=""), containers=())
    assert why_stopped(nothing) == "no reason was given"
    assert why_stopped(replace(task(1, status="RUNNING"), containers=())) == ""


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
    assert sum(reason.rstrip(".") in line for line in watching.lines) == 1
    assert any("for the same reason (3 ×)" in line for line in watching.lines)
    assert "watched for" in watching.told[-1]


def test_a_task_that_runs_on_while_aws_writes_nothing_is_no_verdict(tmp_path: Path) -> None:
    """Tasks run in their grace period, and no event comes: a watch that begins then knows how late it is by its own clock alone."""
    watching = Watching(tmp_path, EXITED, 1, "EssentialContainerExited")
    watching.looks, running = 5, task(6, status="RUNNING")
    tasks = watching.reads.answers["ListTasks"]
    watching.reads.answers |= {
        "ListTasks": lambda asked: (
            [{"taskArns": [running.arn]}] if asked["desiredStatus"] == "RUNNING" else tasks(asked)
        ),
        "DescribeTasks": lambda asked: {
            "tasks": [_raw(running)] if running.arn in asked["tasks"] else watching._describe(asked)["tasks"]
        },
    }
    watching.config.engine.watch_minutes = 0.001
    with pytest.raises(StepFailed, match="is not stable after"):
        rollout.watch(cast("StepContext", watching), Ours(arn(43), "bad"))


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
