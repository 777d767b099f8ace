"""What serves, what is being rolled out, and by whom: for every way in which a service is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infraconsole import text
from infraconsole.aws.ecs import Service, parse_service, parse_shifting
from infraconsole.checks.controllers import instead, refusal, remarks, stage_words
from infraconsole.checks.judgement import Level
from infraconsole.checks.service_judgement import rollout
from infraconsole.checks.serving import ServiceFacts, serving
from infraconsole.checks.standing import standing
from infraconsole.screens.containers.cells import revision_rows
from infraconsole.screens.environments.cells import running_of
from tests.unit.test_application import APP, ECR, ROUTER, definition

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
TD = "arn:aws:ecs:ap-northeast-2:123456789012:task-definition/fileflow-dev"
BLUE, GREEN = (
    f"arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/{name}/1" for name in ("blue", "green")
)


def deployment(revision: int, running: int, state: str | None = "COMPLETED", status: str = "PRIMARY") -> dict[str, Any]:
    raw = {"id": f"ecs-svc/{revision}", "status": status, "taskDefinition": f"{TD}:{revision}", "desiredCount": 3,
           "runningCount": running, "createdAt": NOW - timedelta(hours=3), "updatedAt": NOW}  # fmt: skip
    return raw if state is None else {**raw, "rolloutState": state}


def service(*deployments: Mapping[str, Any], **more: Any) -> Service:
    running = sum(each["runningCount"] for each in deployments)
    raw = {"serviceName": "fileflow-dev-service", "status": "ACTIVE", "desiredCount": 3, "runningCount": running,
           "taskDefinition": deployments[0]["taskDefinition"] if deployments else "", "deployments": list(deployments)}  # fmt: skip
    return parse_service({**raw, **more})


def served(found: Service) -> str:
    there = serving(found)
    return there.task_definition.rpartition(":")[2] if there else ""


@pytest.mark.parametrize(
    ("deployments", "revision"),
    [
        ((deployment(9, 3),), "9"),
        ((deployment(10, 0, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE")), "9"),
        ((deployment(10, 0, "FAILED"), deployment(9, 3, status="ACTIVE")), "9"),
        ((deployment(10, 3, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE")), "9"),
        ((deployment(10, 2, "IN_PROGRESS"), deployment(9, 0, status="ACTIVE")), "10"),
        ((deployment(10, 0, "IN_PROGRESS"),), ""),
        ((deployment(9, 3), deployment(10, 1, "FAILED", "ACTIVE")), "9"),
        ((deployment(9, 0),), ""),
        ((deployment(10, 0), deployment(9, 2, status="ACTIVE")), "9"),
        ((deployment(10, 0), deployment(9, 0, status="ACTIVE")), ""),
    ],
)
def test_the_revision_that_serves(deployments: tuple[dict[str, Any], ...], revision: str) -> None:
    assert served(service(*deployments)) == revision


def test_the_image_that_serves_stands_beside_the_one_being_rolled_out() -> None:
    new = definition(ROUTER, {**APP, "image": f"{ECR}/fileflow:7bd6b34"}, revision=10)
    old = definition(ROUTER, {**APP, "image": f"{ECR}/fileflow:8807313"})
    going = service(deployment(10, 0, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE"))
    facts = ServiceFacts(going, new, old, "fileflow")
    assert (facts.serving_image, facts.rolling_image, facts.images) == ("8807313", "7bd6b34", "8807313 → 7bd6b34")
    steady = ServiceFacts(service(deployment(9, 3)), old, old, "fileflow")
    assert (steady.images, steady.rolling_image) == ("8807313", "")
    assert ServiceFacts(going, None, None, "fileflow").images == "? → ?"
    down = ServiceFacts(service(deployment(10, 0, "IN_PROGRESS")), new, None, "fileflow")
    assert down.images == "none → 7bd6b34"
    gone = ServiceFacts(service(deployment(9, 0)), old, None, "fileflow")
    assert (gone.serving_image, gone.images) == ("", "none")


def test_behind_a_classic_load_balancer_the_tasks_tell_the_state() -> None:
    classic = {"loadBalancers": [{"loadBalancerName": "old-elb", "containerName": "fileflow-app", "containerPort": 80}]}
    done = service(deployment(9, 3, None), **classic)
    assert done.primary is not None
    assert done.primary.rollout_state == "COMPLETED"
    assert done.in_flight is None
    going = service(deployment(10, 3, None), deployment(9, 1, None, "ACTIVE"), **classic)
    assert going.in_flight is not None
    assert served(going) == "9"
    assert service(deployment(10, 2, None), **classic).in_flight is not None
    assert "Classic Load Balancer old-elb" in " ".join(remarks(done))


def test_task_sets_stand_for_deployments_and_what_to_use_instead_is_said() -> None:
    task_set = {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": f"{TD}:9", "computedDesiredCount": 3,
                "runningCount": 3, "stabilityStatus": "STEADY_STATE", "externalId": "d-ABC", "createdAt": NOW}  # fmt: skip
    found = parse_service(
        {"serviceName": "s", "status": "ACTIVE", "desiredCount": 3, "runningCount": 3, "taskSets": [task_set],
         "deploymentController": {"type": "CODE_DEPLOY"}}
    )  # fmt: skip
    assert (found.task_definition, served(found)) == (f"{TD}:9", "9")
    assert rollout(found, NOW) == (Level.FINE, "CodeDeploy")
    assert "CodeDeploy deploys s" in refusal(found)
    assert "aws deploy stop-deployment --deployment-id d-ABC" in instead(found)
    assert refusal(found) in remarks(found)
    outside = parse_service({"serviceName": "s", "status": "ACTIVE", "deploymentController": {"type": "EXTERNAL"}})
    assert rollout(outside, NOW) == (Level.FINE, "external")
    assert "update-service-primary-task-set" in instead(outside)
    later = parse_service({"serviceName": "s", "status": "ACTIVE", "deploymentController": {"type": "NEW_ONE"}})
    assert not later.deploying.by_ecs, "what AWS adds later is not taken for ECS"


def shifting(stage: str, status: str = "IN_PROGRESS") -> Any:
    raw = {"serviceDeploymentArn": "arn:dep", "status": status, "lifecycleStage": stage, "updatedAt": NOW,
           "deploymentConfiguration": {"bakeTimeInMinutes": 20}}  # fmt: skip
    revision = {"taskDefinition": f"{TD}:10", "resolvedConfiguration": {"loadBalancers": [{"targetGroupArn": GREEN}]}}
    return parse_shifting(raw, revision)


BLUE_GREEN = {
    "deploymentConfiguration": {
        "strategy": "BLUE_GREEN",
        "bakeTimeInMinutes": 20,
        "lifecycleHooks": [
            {"hookTargetArn": "arn:aws:lambda:r:1:function:smoke", "lifecycleStages": ["POST_SCALE_UP"]}
        ],
    },
    "loadBalancers": [
        {
            "targetGroupArn": BLUE,
            "containerName": "fileflow-app",
            "containerPort": 8080,
            "advancedConfiguration": {
                "alternateTargetGroupArn": GREEN,
                "productionListenerRule": "arn:aws:elasticloadbalancing:r:1:listener-rule/app/a/1/2/3",
            },
        }
    ],
    "currentServiceDeployment": "arn:dep",
}


@pytest.mark.parametrize(
    ("stage", "status", "revision"),
    [
        ("SCALE_UP", "IN_PROGRESS", "9"),
        ("PRODUCTION_TRAFFIC_SHIFT", "IN_PROGRESS", "9"),
        ("POST_PRODUCTION_TRAFFIC_SHIFT", "IN_PROGRESS", "10"),
        ("BAKE_TIME", "IN_PROGRESS", "10"),
        ("BAKE_TIME", "ROLLBACK_IN_PROGRESS", "9"),
    ],
)
def test_where_traffic_is_shifted_the_shift_decides_what_serves(stage: str, status: str, revision: str) -> None:
    going = service(deployment(10, 3, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE"), **BLUE_GREEN)
    there = serving(going, shifting(stage, status))
    assert there is not None
    assert there.task_definition == f"{TD}:{revision}"


def test_what_the_traffic_goes_to_serves_only_while_a_task_of_it_runs() -> None:
    going = service(deployment(10, 0, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE"), **BLUE_GREEN)
    assert serving(going, shifting("BAKE_TIME")) is None, "the old tasks run, and no traffic goes to them"


def test_both_groups_strategy_hooks_stage_and_bake_time_are_said() -> None:
    going = service(deployment(10, 3, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE"), **BLUE_GREEN)
    assert going.target_groups == (BLUE, GREEN)
    said = " ".join(remarks(going, shifting("BAKE_TIME")))
    until = (NOW + timedelta(minutes=20)).astimezone()
    for words in (
        "BLUE_GREEN, bake time 20 min",
        "smoke at POST_SCALE_UP",
        "blue and green",
        f"bake time until {until:%H:%M}",
    ):
        assert words in said
    assert rollout(going, NOW, shifting("BAKE_TIME")) == (Level.BUSY, f"bakes to {until:%H:%M}")
    assert stage_words(shifting("SCALE_UP")) == "the new tasks start"
    linear = {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 5}}
    assert "LINEAR, steps of 10 %, 5 min each" in " ".join(
        remarks(service(deployment(9, 3), deploymentConfiguration=linear))
    )


def test_a_service_scaled_to_nothing_and_a_daemon_say_so() -> None:
    nothing = service({**deployment(9, 0), "desiredCount": 0}, desiredCount=0, runningCount=0)
    assert rollout(nothing, NOW) == (Level.FINE, "scaled to 0")
    assert "desired count is 0" in " ".join(remarks(nothing))
    daemon = service(deployment(9, 3), schedulingStrategy="DAEMON")
    assert rollout(daemon, NOW) == (Level.FINE, "steady")
    assert "one task on each" in " ".join(remarks(daemon))


def test_what_is_scaled_to_nothing_is_compared_and_marked_by_the_revision_that_it_is_on() -> None:
    old = definition(ROUTER, {**APP, "image": f"{ECR}/fileflow:8807313"})
    nothing = service({**deployment(9, 0), "desiredCount": 0}, desiredCount=0, runningCount=0)
    facts = ServiceFacts(nothing, old, None, "fileflow")
    assert running_of(facts, "dev").image_tag == "8807313"
    assert marks(facts) == {"9": "○", "8": " "}
    assert marks(ServiceFacts(service(deployment(9, 3)), old, old, "fileflow")) == {"9": "▶", "8": " "}
    going = ServiceFacts(service(deployment(9, 0, "IN_PROGRESS"), deployment(8, 3, status="ACTIVE")), old, old)
    assert marks(going) == {"9": "→", "8": "▶"}
    assert running_of(ServiceFacts(nothing, None, None, "fileflow"), "dev").image_tag == "?"


def marks(facts: ServiceFacts) -> dict[str, str]:
    rows = revision_rows([f"{TD}:9", f"{TD}:8"], {}, (), facts, NOW)
    return {row.key.rpartition(":")[2]: row.cells["mark"].text for row in rows}


# Whether the service is well already


def record(status: str, revision: int, reason: str = "") -> Any:
    from infraconsole.aws.ecs import parse_service_deployment

    raw = {"serviceDeploymentArn": f"arn:{revision}", "status": status, "targetServiceRevisionArn": "r", "statusReason": reason,
           "createdAt": NOW - timedelta(minutes=30), "finishedAt": NOW - timedelta(minutes=12)}  # fmt: skip
    return parse_service_deployment(raw, {"r": f"{TD}:{revision}"})


SINCE = text.local_time(NOW - timedelta(hours=3))
ROLLED_BACK = text.local_time(NOW - timedelta(minutes=12))


def test_a_healthy_service_says_so_before_it_is_rolled_back() -> None:
    found = standing(service(deployment(9, 3)), (record("SUCCESSFUL", 9),), NOW)
    assert f"runs as it should: fileflow-dev:9 since {SINCE}, its deployment completed" in found
    assert standing(service(deployment(10, 0, "IN_PROGRESS"), deployment(9, 3, status="ACTIVE")), (), NOW) == ""
    assert standing(service(deployment(9, 2)), (), NOW) == ""


def back_event(revision: int = 9, ago: timedelta = timedelta(minutes=12)) -> dict[str, Any]:
    return {"id": "1", "createdAt": NOW - ago, "message": f"(service s) rolling back to deployment ecs-svc/{revision}."}


def test_ecs_that_rolled_back_by_itself_is_said_with_and_without_the_history() -> None:
    back = service(deployment(9, 3))
    found = standing(back, (record("ROLLBACK_SUCCESSFUL", 10), record("SUCCESSFUL", 9)), NOW)
    assert found == f"ECS rolled fileflow-dev:10 back by itself at {ROLLED_BACK}. The service is on fileflow-dev:9."
    told = standing(service(deployment(9, 3), events=[back_event()]), (), NOW)
    assert told == f"ECS rolled back by itself at {ROLLED_BACK}. The service is on fileflow-dev:9."
    assert "by itself" not in standing(service(deployment(9, 3), events=[back_event(8)]), (), NOW)
    asked = record("ROLLBACK_SUCCESSFUL", 10, "Service deployment rolled back because of a user request.")
    assert "on request" in standing(back, (asked,), NOW)


@pytest.mark.parametrize("status", ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"])
@pytest.mark.parametrize("running", [0, 3])
def test_a_rollback_under_way_is_not_told_as_done(status: str, running: int) -> None:
    going = service(deployment(9, running, "IN_PROGRESS"), deployment(10, 0, "FAILED", "ACTIVE"), events=[back_event()])
    for history in ((record(status, 10), record("SUCCESSFUL", 9)), ()):
        found = standing(going, history, NOW)
        assert "is rolling" in found
        assert "rolled" not in found


@pytest.mark.parametrize("history", [(record("ROLLBACK_SUCCESSFUL", 10),), ()], ids=["history", "events"])
@pytest.mark.parametrize("now", [deployment(9, 0), deployment(9, 2), deployment(9, 3, "FAILED")])
def test_what_was_rolled_back_to_and_does_not_run_is_not_a_reason_to_stay(history: Any, now: dict[str, Any]) -> None:
    assert standing(service(now, events=[back_event()]), history, NOW) == ""


def test_a_rollback_of_long_ago_says_nothing_of_today() -> None:
    long_ago = NOW + timedelta(days=20)
    for history in ((record("ROLLBACK_SUCCESSFUL", 10),), ()):
        found = standing(service(deployment(9, 3), events=[back_event()]), history, long_ago)
        assert "rolled" not in found
        assert "runs as it should" in found


def test_the_same_facts_are_told_in_the_same_words_however_late_it_is() -> None:
    """They stand in gates: an answer holds as long as the gate shows the same."""
    back = (record("ROLLBACK_SUCCESSFUL", 10),)
    events = service(deployment(9, 3), events=[back_event()])
    for shown, history in ((service(deployment(9, 3)), ()), (service(deployment(9, 3)), back), (events, ())):
        assert standing(shown, history, NOW) == standing(shown, history, NOW + timedelta(minutes=7)) != ""
