"""One judgement of a row: what is wrong, how bad it is, and what to do next; never ok where nobody could look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infraconsole.aws.cloudwatch import Alarm
from infraconsole.aws.ecs import Service, ServiceDeployment, Task, parse_service, parse_service_deployment, parse_task
from infraconsole.checks.findings import Finding
from infraconsole.checks.image_drift import meant
from infraconsole.checks.judgement import Judgement, Level, judge, worst_first
from infraconsole.checks.row_facts import (
    GROUPS,
    BoardRow,
    ExportFacts,
    Fact,
    Left,
    LockFacts,
    RunFacts,
    StateFacts,
    ToDo,
    VariablesFacts,
)
from infraconsole.checks.serving import ServiceFacts
from infraconsole.errors import AccessDenied, AwsNotFound, JournalError, PrerequisiteMissing
from infraconsole.terraform.state import LockInfo, StateSummary, StateTooNew, StateUnreadable
from tests.unit.test_application import APP, ECR, definition

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
TD = "arn:aws:ecs:ap-northeast-2:123456789012:task-definition/fileflow-dev"
OLD = definition({**APP, "image": f"{ECR}/fileflow:8807313"}, revision=6)
NEW = definition({**APP, "image": f"{ECR}/fileflow:7bd6b34"}, revision=8)
SUMMARY = StateSummary(42, "l", "1.11.4", 23, 9_000)
DENIED = AccessDenied("cloudwatch:DescribeAlarms is not allowed.", operation="x", code="AccessDenied")
GONE = AwsNotFound("There is no such thing.", operation="x", code="MISSING")


def deployment(revision: int, running: int, state: str = "COMPLETED", minutes: int = 5, **more: Any) -> dict[str, Any]:
    begun = NOW - timedelta(minutes=minutes)
    return {"id": f"ecs-svc/{revision}", "status": "PRIMARY", "taskDefinition": f"{TD}:{revision}", "desiredCount": 3,
            "runningCount": running, "rolloutState": state, "createdAt": begun, "updatedAt": begun, **more}  # fmt: skip


def service(*deployments: dict[str, Any], **more: Any) -> Service:
    running = sum(each["runningCount"] for each in deployments)
    raw = {"serviceName": "fileflow-dev-service", "status": "ACTIVE", "desiredCount": 3, "runningCount": running,
           "taskDefinition": deployments[0]["taskDefinition"], "deployments": list(deployments)}  # fmt: skip
    return parse_service({**raw, **more})


def stopped(reason: str = "", code: str = "TaskFailedToStart", *, exit_code: int | None = None, revision: int = 8,
            image: str = "7bd6b34") -> Task:  # fmt: skip
    container = {"name": "fileflow-app", "image": f"{ECR}/fileflow:{image}"}
    times = {"startedAt": NOW - timedelta(seconds=70)} if exit_code is not None else {}
    return parse_task(
        {"taskArn": "arn:task/1", "taskDefinitionArn": f"{TD}:{revision}", "lastStatus": "STOPPED", "stopCode": code,
         "stoppedReason": reason, "stoppedAt": NOW - timedelta(minutes=1), **times,
         "containers": [{**container, "exitCode": exit_code} if exit_code is not None else container]}
    )  # fmt: skip


def deployed(revision: int, status: str, hours: float = 1, reason: str = "") -> ServiceDeployment:
    at = NOW - timedelta(hours=hours)
    raw = {"serviceDeploymentArn": f"arn:d/{revision}", "status": status, "targetServiceRevisionArn": "r",
           "createdAt": at, "finishedAt": at, "statusReason": reason}  # fmt: skip
    return parse_service_deployment(raw, {"r": f"{TD}:{revision}"})


def unread(found: Service, **more: Any) -> ServiceFacts:
    """Its task definitions could not be read."""
    return ServiceFacts(found, None, **more)


STEADY = ServiceFacts(service(deployment(6, 3)), OLD, OLD, "fileflow")
GOING = (deployment(8, 0, "IN_PROGRESS"), {**deployment(6, 3), "status": "ACTIVE"})
ROLLING = ServiceFacts(service(*GOING), NEW, OLD, "fileflow")


def row(facts: ServiceFacts = STEADY, **more: Any) -> BoardRow:
    """All is well, but for what is given."""
    known: dict[str, Any] = {
        "service": facts,
        "state": StateFacts("bucket", "key", SUMMARY, NOW),
        "lock": LockFacts(True),
        "alarms": (),
        "exports": ExportFacts(("/shared/network/vpc-id",), ()),
        "variables": VariablesFacts({"image_tag": "8807313"}),
        "left": Left(),
    }
    given = {**known, **more}
    return BoardRow(
        "fileflow",
        "dev",
        **{
            name: Fact(error=value) if isinstance(value, Exception) else Fact(value, NOW)
            for name, value in given.items()
        },
    )


def told(found: Judgement) -> str:
    return " | ".join(reason.on_screen for reason in found.reasons)


def test_what_is_well_everywhere_is_ok() -> None:
    found = judge(row(), NOW)
    assert (found.word, found.is_ok, found.reasons, found.headline) == ("ok", True, (), "")


PULL = f"CannotPullContainerError: failed to resolve ref {ECR}/fileflow:7bd6b34: not found"
PULL_SIDECAR = "CannotPullContainerError: failed to resolve ref public.ecr.aws/x/agent:9: not found"
SECRET = "ResourceInitializationError: unable to pull secrets from asm: ResourceNotFoundException: can't find it"


@pytest.mark.parametrize(
    ("facts", "word", "words"),
    [
        (
            replace(ROLLING, stopped=(stopped(PULL),)),
            "error",
            "fileflow dev: :8 cannot start (image 7bd6b34 is not in ECR); :6 still serves 3 of 3. R rolls back.",
        ),
        (replace(ROLLING, stopped=(stopped(SECRET),)), "error", ":8 cannot start (a secret or parameter"),
        (
            replace(ROLLING, stopped=(stopped("Essential container exited", "EssentialContainerExited", exit_code=1),)),
            "error",
            ":8 keeps stopping (fileflow-app exits right after it has started); :6 still serves 3 of 3.",
        ),
        (replace(ROLLING, stopped=(stopped(PULL, revision=5),)), "warning", ":8 is being rolled out for 5 min: 0 of 3"),
        (ROLLING, "warning", ":8 is being rolled out for 5 min: 0 of 3 tasks run; :6 still serves 3 of 3."),
        (
            unread(service(deployment(8, 0, "FAILED", rolloutStateReason="tasks failed to start."), GOING[1])),
            "error",
            "the deployment of :8 failed 5 min ago (tasks failed to start); :6 still serves 3 of 3. R rolls back.",
        ),
        (
            unread(
                service(deployment(8, 0, "IN_PROGRESS", failedTasks=12)), stopped=(stopped("Task failed ELB health "
                "checks in (target-group arn:aws:elasticloadbalancing:r:1:targetgroup/tg-1/ab12)", "ServiceScheduler"),)
            ),
            "error",
            "12 failed tasks in 5 min, the last one: Task failed ELB health checks in (target group tg-1); nothing serves.",
        ),
        (unread(service(deployment(8, 0, "IN_PROGRESS"))), "error", "0 of 3 tasks run; nothing serves."),
        (unread(service(deployment(6, 2))), "warning", "only 2 of 3 tasks run. Enter shows its tasks."),
        (unread(service(deployment(6, 0))), "error", "only 0 of 3 tasks run."),
        (unread(service(deployment(6, 0), desiredCount=0)), "ok", ""),
        (unread(service(deployment(6, 3), status="DRAINING")), "warning", "the service is DRAINING."),
        (
            replace(STEADY, history=(deployed(8, "ROLLBACK_SUCCESSFUL"), deployed(6, "SUCCESSFUL", 30)),
                    stopped=(stopped(PULL),)),
            "warning",
            "ECS rolled :8 back by itself 60 min ago: it cannot start (image 7bd6b34 is not in ECR); :6 serves 3 of 3.",
        ),
        (replace(STEADY, history=(deployed(8, "ROLLBACK_SUCCESSFUL", 25),)), "ok", ""),
        (replace(STEADY, history=(deployed(6, "SUCCESSFUL"), deployed(8, "ROLLBACK_SUCCESSFUL", 2))), "ok", ""),
        (replace(STEADY, history=(deployed(8, "STOPPED"),)), "warning", "the deployment of :8 was stopped 60 min ago"),
        (replace(STEADY, history=(deployed(8, "ROLLBACK_IN_PROGRESS"),)), "warning", "ECS is rolling :8 back"),
    ],
)  # fmt: skip
def test_a_service_by_itself(facts: ServiceFacts, word: str, words: str) -> None:
    found = judge(row(facts, variables=VariablesFacts({})), NOW)
    assert words in (found.headline if words.startswith("fileflow") else told(found))
    assert found.word == word, told(found)


def test_a_rollout_that_takes_long_and_an_image_of_another_container() -> None:
    slow = ServiceFacts(service(deployment(8, 1, "IN_PROGRESS", 40), GOING[1]), NEW, OLD, "fileflow")
    assert judge(row(slow), NOW).level is Level.WARNING
    assert judge(row(replace(ROLLING, stopped=())), NOW).level is Level.BUSY
    agent = {"name": "agent", "image": "public.ecr.aws/x/agent:9"}
    raw = {"taskDefinitionArn": f"{TD}:8", "lastStatus": "STOPPED", "stoppedReason": PULL_SIDECAR,
           "containers": [{"name": "fileflow-app", "image": f"{ECR}/fileflow:7bd6b34"}, agent]}  # fmt: skip
    sidecar = judge(row(replace(ROLLING, stopped=(parse_task(raw),))), NOW)
    assert ":8 cannot start (image public.ecr.aws/x/agent:9 is not in its registry);" in told(sidecar)
    other = deployment(8, 0, "FAILED")
    told_by_tool = judge(row(unread(service(other, deploymentController={"type": "CODE_DEPLOY"}))), NOW)
    assert "R says what to use instead." in told(told_by_tool)


def lock(hours: float) -> LockInfo:
    return LockInfo("id", "path", "OperationTypeApply", "kim@laptop", "1.11.4", NOW - timedelta(hours=hours), "")


RUN = RunFacts("abc234", "Deploy", "stopped", resumable=True, at=NOW - timedelta(hours=2))


@pytest.mark.parametrize(
    ("more", "word", "words"),
    [
        ({"alarms": (Alarm("cpu", "ALARM", "r", NOW - timedelta(minutes=9), "m", ""),)}, "warning", "alarm cpu rings"),
        ({"exports": ExportFacts(("/shared/a",), ("/shared/a",))}, "warning", "the export /shared/a is missing."),
        (
            {"exports": ExportFacts((), (), (Finding("rds-endpoint", "error", "/shared/rds/dev/endpoint", "No host."),))},
            "warning",
            "the export /shared/rds/dev/endpoint: No host. x shows the exports.",
        ),
        (
            {"exports": ExportFacts((), (), (Finding("export-not-checked", "warning", "/shared/kms/k", "Denied."),))},
            "unknown",
            "/shared/kms/k: Denied.",
        ),
        ({"lock": LockFacts(True, lock(2))}, "warning", "kim@laptop holds the state lock for 2 h. t, then U unlocks it"),
        ({"lock": LockFacts(True, lock(0.1))}, "ok", ""),
        ({"lock": LockFacts(False, None, "why", "Do this.")}, "warning", "no lock protects the state"),
        ({"state": StateFacts("b", "k", SUMMARY, NOW, digest="abc")}, "error", "the lock table's digest is not that"),
        ({"state": StateFacts("b", "k", SUMMARY, NOW, left="/x")}, "error", "could not store its state: errored.tfstate. t"),
        ({"state": StateUnreadable("cut off")}, "error", "no whole Terraform state"),
        ({"state": StateTooNew("from 1.99")}, "unknown", "its Terraform state could not be read: from 1.99"),
        ({"state": GONE}, "warning", "its Terraform state is not there"),
        ({"variables": VariablesFacts({"image_tag": "7bd6b34"})}, "warning",
         "image 8807313 serves, but the variables say 7bd6b34 (image_tag): the next deploy brings that. v compares them."),
        ({"variables": PrerequisiteMissing("main.tf cannot be read.")}, "unknown", "its variables could not be read"),
        ({"left": Left(half_applied=RUN)}, "warning", "the apply of run abc234 stopped half way 2 h ago."),
        ({"left": Left(to_do=(ToDo("Pin image_tag", "abc234"),))}, "warning", "Still to do: Pin image_tag."),
        ({"left": Left(unfinished=(RUN,))}, "warning", "Deploy (abc234) is not finished, and no process runs it."),
        ({"left": Left(unfinished=(replace(RUN, under_way=True, gate="Apply?"),))}, "warning", "waits for an answer at “Apply?”"),
        ({"left": JournalError("The journal is locked.")}, "unknown", "its runs could not be read"),
        ({"alarms": DENIED}, "unknown", "its alarms could not be read: cloudwatch:DescribeAlarms is not allowed."),
        ({"service": DENIED, "alarms": DENIED, "exports": DENIED}, "unknown",
         "its ECS service, alarms and exports could not be read: cloudwatch"),
        ({"service": GONE}, "error", "no ECS service of that name, although its Terraform state has 23 resources."),
        ({"service": GONE, "state": GONE}, "ok", "there is no ECS service of that name."),
        ({"service": GONE, "state": StateFacts("", "k")}, "unknown", "no state tells whether there has to be one"),
        ({"service": GONE, "state": DENIED}, "unknown", "could not be read"),
    ],
)  # fmt: skip
def test_what_stands_around_the_service(more: dict[str, Any], word: str, words: str) -> None:
    found = judge(row(**more), NOW)
    assert words in told(found)
    assert found.word == word, told(found)
    assert found.is_ok is (word == "ok")


@pytest.mark.parametrize("group", [*GROUPS, "left"])
def test_what_nobody_has_read_yet_is_not_ok(group: str) -> None:
    found = judge(row().with_fact(group, Fact()), NOW)
    assert (found.word, found.is_ok, found.unread) == ("unknown", False, (group,))
    assert judge(row().with_fact(group, Fact(error=DENIED)), NOW).word == "unknown"


def test_what_the_configuration_does_not_name_is_left_out_and_said() -> None:
    found = judge(row(variables=VariablesFacts(None, "[services.fileflow] has no path.")), NOW)
    assert (found.word, found.not_judged) == (
        "ok",
        ("Its image against the variables: [services.fileflow] has no path.",),
    )
    assert "no state_bucket" in judge(row(state=StateFacts("", "k")), NOW).not_judged[0]


def test_the_worst_stands_first_in_a_row_and_among_rows() -> None:
    bad = row(replace(ROLLING, stopped=(stopped(PULL),)), left=Left(to_do=(ToDo("Pin", "r"),)), alarms=DENIED)
    found = judge(bad, NOW)
    assert [reason.level for reason in found.reasons] == [Level.BROKEN, Level.UNKNOWN, Level.WARNING]
    names: Sequence[Judgement] = [
        judge(replace(row(), environment="well"), NOW),
        judge(replace(row(alarms=DENIED), environment="unknown"), NOW),
        judge(replace(row(left=Left(half_applied=RUN)), environment="warns"), NOW),
        judge(replace(row().with_fact("lock", Fact()), environment="unread"), NOW),
        judge(replace(bad, environment="bad"), NOW),
    ]
    assert [each.environment for each in worst_first(names)] == ["bad", "unknown", "warns", "unread", "well"]


def test_a_shell_is_told_commands_and_the_console_keys() -> None:
    reason = judge(row(replace(ROLLING, stopped=(stopped(PULL),))), NOW).reasons[0]
    assert reason.in_shell.endswith("infraconsole run ecs-rollback --service fileflow --env dev")
    assert "R rolls back" not in reason.in_shell


@pytest.mark.parametrize(
    ("image", "variables", "found"),
    [
        ("fileflow:v1", {"image_tag": "v1"}, None),
        ("fileflow:v1", {"image_tag": "v2"}, ("image_tag", "v2")),
        ("fileflow:7", {"image_tag": 7}, None),
        ("fileflow:v1", {}, None),
        ("fileflow:v1", {"image_tag": ""}, None),
        ("fileflow:v1", {"image_tag": None, "cpu": "512"}, None),
        ("fileflow:v1", {"container_image": f"{ECR}/fileflow:v2"}, ("container_image", "v2")),
        ("fileflow:v1", {"log_router_image_tag": "stable"}, None),
    ],
)
def test_the_image_that_the_variables_bring(
    image: str, variables: dict[str, Any], found: tuple[str, str] | None
) -> None:
    other = meant(variables, f"{ECR}/{image}", ("fileflow", "dev", "fileflow-app"))
    assert (other and (other.key, other.value)) == found
