"""Watching and verifying deployments that shift traffic, and services that stand behind several target groups, or none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.aws.ecs import Service, parse_service
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, StepFailed
from infraconsole.runbooks import rollout
from infraconsole.runbooks.deployed import verify_service
from infraconsole.runbooks.rollout import Ours
from tests.unit.test_deployed import arn
from tests.unit.test_rollout import BAD, Shown, at, deployment, shown, watched
from tests.unit.test_serving import BLUE, BLUE_GREEN, GREEN

OURS = deployment("ours", 42, 100, "IN_PROGRESS")
GOING = {**shown(101, OURS, {**BAD, "status": "ACTIVE"}), **BLUE_GREEN}


def target(state: str, name: str = "10.0.0.1", port: int = 8080) -> dict[str, Any]:
    return {"Target": {"Id": name, "Port": port}, "TargetHealth": {"State": state}}


def shifts(
    folder: Path, *stages: tuple[str, str], weights: Mapping[str, int] | None = None, service: Mapping[str, Any] = GOING
) -> Shown:
    """Each look finds the next stage and status; the last one stays. Traffic goes by `weights`, to the new one unless said."""
    context = Shown(folder, service)
    left = list(stages)

    def described(_: Any) -> Mapping[str, Any]:
        stage, status = left.pop(0) if len(left) > 1 else left[0]
        raw = {"serviceDeploymentArn": "arn:dep", "status": status, "lifecycleStage": stage, "updatedAt": at(140),
               "statusReason": "hook failed", "deploymentConfiguration": {"bakeTimeInMinutes": 20},
               "targetServiceRevision": {"arn": "r"}}  # fmt: skip
        return {"serviceDeployments": [raw]}

    groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in (weights or {BLUE: 0, GREEN: 1}).items()]
    revision = {"taskDefinition": arn(42), "resolvedConfiguration": {"loadBalancers": [{"targetGroupArn": GREEN}]}}
    healths = {GREEN: [target("healthy")], BLUE: [target("unused", "10.0.0.9")]}
    context.reads.answers |= {
        "DescribeServiceDeployments": described,
        "DescribeServiceRevisions": {"serviceRevisions": [revision]},
        "DescribeRules": {"Rules": [{"Actions": [{"ForwardConfig": {"TargetGroups": groups}}]}]},
        "DescribeTargetHealth": lambda asked: {"TargetHealthDescriptions": healths[asked["TargetGroupArn"]]},
        "DescribeTargetGroups": {"TargetGroups": [{"TargetGroupArn": GREEN, "LoadBalancerArns": []}]},
        "DescribeTargetGroupAttributes": {"Attributes": []},
    }
    return context


MINE = Ours(arn(42), "ours", since=at(100))


def test_the_run_ends_where_the_traffic_is_shifted_and_says_until_when_it_bakes(tmp_path: Path) -> None:
    stages = [("SCALE_UP", "IN_PROGRESS"), ("PRODUCTION_TRAFFIC_SHIFT", "IN_PROGRESS"), ("BAKE_TIME", "IN_PROGRESS")]
    context = shifts(tmp_path, *stages)
    found = watched(context, MINE)
    until = at(140) + timedelta(minutes=20)
    assert datetime.fromisoformat(found.bakes) == until
    rollout.verify(cast(StepContext, context), found)
    assert any(f"bake time until {until.astimezone():%H:%M}" in note for note in context.notes)


def test_a_shift_that_came_to_its_end_bakes_no_more(tmp_path: Path) -> None:
    context = shifts(tmp_path, ("CLEAN_UP", "IN_PROGRESS"), ("CLEAN_UP", "SUCCESSFUL"))
    found = watched(context, MINE)
    assert (found.id, found.bakes) == ("ours", "")
    rollout.verify(cast(StepContext, context), found)
    assert not any("bake" in note for note in context.notes)


def test_where_the_rule_still_sends_to_the_old_ones_the_traffic_is_not_shifted(tmp_path: Path) -> None:
    context = shifts(tmp_path, ("BAKE_TIME", "IN_PROGRESS"), weights={BLUE: 1, GREEN: 0})
    with pytest.raises(StepFailed, match="not stable"):
        watched(context, MINE)


def test_where_rules_cannot_be_read_ecs_s_word_counts(tmp_path: Path) -> None:
    context = shifts(tmp_path, ("BAKE_TIME", "IN_PROGRESS"))
    context.reads.answers["DescribeRules"] = [AccessDenied("Denied.", operation="elasticloadbalancing:DescribeRules")]
    assert watched(context, MINE).bakes


@pytest.mark.parametrize("status", ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "STOPPED"])
def test_a_shift_that_ecs_takes_back_is_a_failure(tmp_path: Path, status: str) -> None:
    context = shifts(tmp_path, ("BAKE_TIME", status))
    with pytest.raises(StepFailed, match="gave the deployment of web-dev:42 up: hook failed"):
        watched(context, MINE)


def test_a_shift_that_was_taken_back_after_the_watch_is_no_success(tmp_path: Path) -> None:
    context = shifts(tmp_path, ("BAKE_TIME", "ROLLBACK_IN_PROGRESS"))
    with pytest.raises(StepFailed, match="not completed any more"):
        rollout.verify(cast(StepContext, context), Ours(arn(42), "ours", since=at(100), bakes="14:20"))


def taking_turns(folder: Path, blue: str, green: str, weights: Mapping[str, int]) -> tuple[StepContext, Service]:
    """A shift that has ended: nothing but the rule tells where the traffic goes."""
    raw = {**shown(130, deployment("ours", 42, 100)), **BLUE_GREEN, "currentServiceDeployment": ""}
    context = shifts(folder, ("CLEAN_UP", "SUCCESSFUL"), weights=weights, service=raw)
    states = {BLUE: blue, GREEN: green}
    context.reads.answers["DescribeTargetHealth"] = lambda asked: {
        "TargetHealthDescriptions": [target(states[asked["TargetGroupArn"]])]
    }
    return cast(StepContext, context), parse_service(raw)


def test_only_the_group_that_receives_traffic_has_to_be_healthy(tmp_path: Path) -> None:
    rollout.await_targets(*taking_turns(tmp_path, "unhealthy", "healthy", {BLUE: 0, GREEN: 100}))
    rollout.await_targets(*taking_turns(tmp_path, "healthy", "unhealthy", {BLUE: 1, GREEN: 0}))
    with pytest.raises(StepFailed, match="Only 0 of 1 targets are healthy"):
        rollout.await_targets(*taking_turns(tmp_path, "healthy", "unhealthy", {BLUE: 0, GREEN: 100}))
    with pytest.raises(StepFailed, match="targets are healthy"):
        rollout.await_targets(*taking_turns(tmp_path, "healthy", "unhealthy", {BLUE: 50, GREEN: 50}))


# Several target groups, none, a Classic Load Balancer, nothing desired


def several(folder: Path, *healths: str, **more: Any) -> tuple[Shown, Any]:
    groups = [f"arn:aws:elasticloadbalancing:r:1:targetgroup/tg{place}/1" for place in range(len(healths))]
    bindings = [{"targetGroupArn": group, "containerName": "app", "containerPort": 8080} for group in groups]
    raw = {**shown(130, deployment("ours", 42, 100)), "loadBalancers": bindings, **more}
    context = Shown(folder, raw)
    states = dict(zip(groups, healths, strict=True))
    context.reads.answers["DescribeTargetHealth"] = lambda asked: {
        "TargetHealthDescriptions": [target(states[asked["TargetGroupArn"]])]
    }
    context.reads.answers["DescribeTargetGroups"] = lambda asked: {
        "TargetGroups": [{"TargetGroupArn": asked["TargetGroupArns"][0], "LoadBalancerArns": []}]
    }
    context.reads.answers["DescribeTargetGroupAttributes"] = {"Attributes": []}
    return context, parse_service(raw)


def test_every_target_group_has_to_be_healthy(tmp_path: Path) -> None:
    context, service = several(tmp_path, "healthy", "healthy")
    rollout.await_targets(cast(StepContext, context), service)
    context, service = several(tmp_path, "healthy", "unhealthy")
    with pytest.raises(StepFailed, match="Only 0 of 1 targets are healthy"):
        rollout.await_targets(cast(StepContext, context), service)


def test_one_task_in_two_groups_is_said_once_for_each_and_not_in_turns(tmp_path: Path) -> None:
    context, _ = several(tmp_path, "healthy", "initial")
    seen = rollout.Rollout(cast(StepContext, context), Ours(arn(42), "ours"))
    for _ in range(3):
        seen.look()
    said = [line for line in context.said if line.startswith("target ")]
    assert said == ["target 10.0.0.1:8080 of tg0 is healthy", "target 10.0.0.1:8080 of tg1 is initial"]


def test_nobody_is_asked_for_an_answer_where_nothing_is_desired(tmp_path: Path) -> None:
    context, _ = several(tmp_path, desiredCount=0, runningCount=0)
    assert rollout.verify(cast(StepContext, context), Ours(arn(42), "ours")) == "not asked"
    assert any("desired count is 0" in note for note in context.notes)


def test_service_connect_and_a_classic_load_balancer_are_named(tmp_path: Path) -> None:
    connected = {**deployment("ours", 42, 100), "serviceConnectConfiguration": {"enabled": True}}
    classic = [{"loadBalancerName": "old-elb", "containerName": "app", "containerPort": 80}]
    context = Shown(tmp_path, {**shown(130, connected), "loadBalancers": classic})
    context.reads.answers["DescribeInstanceHealth"] = AccessDenied("Denied.", operation="elasticloadbalancing:x")
    assert rollout.verify(cast(StepContext, context), Ours(arn(42), "ours")) == "not asked"
    said = " ".join(context.notes)
    assert "Service Connect" in said
    assert "Classic Load Balancer old-elb finds the tasks healthy was not read" in said


def test_the_instances_of_a_classic_load_balancer_have_to_be_in_service(tmp_path: Path) -> None:
    classic = [{"loadBalancerName": "old-elb", "containerName": "app", "containerPort": 80}]
    raw = {**shown(130, deployment("ours", 42, 100)), "loadBalancers": classic}
    states = ["OutOfService", "InService"]
    context = Shown(tmp_path, raw)
    context.reads.answers["DescribeInstanceHealth"] = lambda _: {
        "InstanceStates": [{"InstanceId": "i-1", "State": states.pop(0) if len(states) > 1 else states[0]}]
    }
    rollout.await_targets(cast(StepContext, context), parse_service(raw))
    assert "All 1 instances of the Classic Load Balancer old-elb are in service." in context.notes
    for instances in ([{"InstanceId": "i-1", "State": "OutOfService"}], []):
        context.reads.answers["DescribeInstanceHealth"] = {"InstanceStates": instances}
        with pytest.raises(StepFailed, match="of the Classic Load Balancer old-elb are not in service"):
            rollout.await_targets(cast(StepContext, context), parse_service(raw))


def test_a_rollback_behind_a_classic_load_balancer_comes_to_its_end(tmp_path: Path) -> None:
    classic = {"loadBalancers": [{"loadBalancerName": "old-elb", "containerName": "app", "containerPort": 80}]}

    def plain(raw: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in raw.items() if key != "rolloutState"}

    going = {**shown(101, plain(OURS), plain({**BAD, "status": "ACTIVE"})), **classic}
    done = {**shown(130, plain(deployment("ours", 42, 100))), **classic}
    assert watched(Shown(tmp_path, going, going, done), MINE).id == "ours"


def test_a_deploy_that_code_deploy_carries_out_is_not_watched_as_ecs_s(tmp_path: Path) -> None:
    context = Shown(
        tmp_path, {**shown(130, deployment("ours", 42, 100)), "deploymentController": {"type": "CODE_DEPLOY"}}
    )
    context.results["deployed"] = {"task_definition": arn(42)}
    assert verify_service(cast(StepContext, context)) == {"task_definition": arn(42)}
    assert any("CodeDeploy deploys" in note for note in context.notes)
