"""Rollouts over the real API and over time: what a client sees of a service that changes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infraconsole.world import company as companies
from infraconsole.world.process import World

from .conftest import WorldFactory, client

CLUSTER, SERVICE = "fileflow-prod-cluster", "fileflow-prod-service"


def described(world: World, cluster: str = CLUSTER, service: str = SERVICE) -> dict[str, Any]:
    found: dict[str, Any] = client(world, "ecs").describe_services(cluster=cluster, services=[service])["services"][0]
    return found


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def health(world: World, name: str) -> tuple[int, dict[str, Any]]:
    elb = client(world, "elbv2")
    balancer = elb.describe_load_balancers(Names=[name])["LoadBalancers"][0]
    port = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]["Port"]
    try:
        with urllib.request.urlopen(f"http://{balancer['DNSName']}:{port}/actuator/health", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def states(world: World, name: str) -> list[str]:
    elb = client(world, "elbv2")
    group = elb.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
    rows = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return [row["TargetHealth"]["State"] for row in rows]


def test_bad_image_is_a_crash_loop_that_a_rollback_ends(world: World) -> None:
    ecs = client(world, "ecs")
    before = described(world)
    assert before["taskDefinition"].endswith(":task-definition/fileflow-prod:8")
    assert before["runningCount"] < before["desiredCount"] or "healthy" not in states(world, "fileflow-prod-tg")
    deployment = before["deployments"][0]
    assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert deployment["failedTasks"] > 3
    minutes = (world.now() - deployment["createdAt"]).total_seconds() / 60
    assert minutes >= 20
    assert health(world, "fileflow-prod-alb")[0] == 503
    alarms = client(world, "cloudwatch").describe_alarms(AlarmNamePrefix="fileflow-prod-", StateValue="ALARM")
    assert "fileflow-prod-alb-5xx-high" in {alarm["AlarmName"] for alarm in alarms["MetricAlarms"]}
    errors = client(world, "logs").filter_log_events(logGroupName="/ecs/fileflow-prod/error", filterPattern="ERROR")
    assert errors["events"]
    arns = ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE, desiredStatus="STOPPED")["taskArns"]
    stopped = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
    task = next(one for one in stopped if one["taskDefinitionArn"].endswith(":8"))
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 1)
    assert task["stoppedReason"] == "Essential container in task exited"

    ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition="fileflow-prod:6")
    after = described(world)
    assert after["deployments"][0]["status"] == "PRIMARY"
    assert after["taskDefinition"].endswith(":task-definition/fileflow-prod:6")
    assert after["deployments"][0]["id"] != deployment["id"]
    assert eventually(lambda: described(world)["deployments"][0]["rolloutState"] == "COMPLETED")
    assert described(world)["runningCount"] == 3
    assert states(world, "fileflow-prod-tg") == ["healthy"] * 3
    status, body = health(world, "fileflow-prod-alb")
    assert (status, body["revision"]) == (200, "fileflow-prod:6")
    assert body["version"] == companies.load().tag("fileflow", "prod", 6)
    alarms = client(world, "cloudwatch").describe_alarms(AlarmNamePrefix="fileflow-prod-", StateValue="ALARM")
    assert alarms["MetricAlarms"] == []
    assert "has reached a steady state." in described(world)["events"][0]["message"]


def test_same_revision_makes_no_deployment(world: World) -> None:
    ecs = client(world, "ecs")
    before = described(world, "fileflow-dev-cluster", "fileflow-dev-service")["deployments"][0]["id"]
    where = {"cluster": "fileflow-dev-cluster", "service": "fileflow-dev-service"}
    ecs.update_service(**where, taskDefinition="fileflow-dev:8")
    assert described(world, *where.values())["deployments"][0]["id"] == before
    ecs.update_service(**where, taskDefinition="fileflow-dev:8", forceNewDeployment=True)
    assert described(world, *where.values())["deployments"][0]["id"] != before


@pytest.mark.parametrize(
    ("definition", "words"),
    [("fileflow-dev:3", "TaskDefinition is inactive"), ("fileflow-dev:99", "TaskDefinition not found")],
)
def test_unusable_revision_is_refused_and_changes_nothing(shared_world: World, definition: str, words: str) -> None:
    where = {"cluster": "fileflow-dev-cluster", "service": "fileflow-dev-service"}
    with pytest.raises(ClientError, match=words) as refused:
        client(shared_world, "ecs").update_service(**where, taskDefinition=definition)
    assert refused.value.response["Error"]["Code"] == "ClientException"
    assert described(shared_world, *where.values())["taskDefinition"].endswith(":8")


def test_image_that_is_gone_from_the_registry_cannot_be_pulled(world: World) -> None:
    ecs = client(world, "ecs")
    where = {"cluster": "authhub-prod-cluster", "service": "authhub-prod-service"}
    ecs.update_service(**where, taskDefinition="authhub-prod:4")
    world.advance(60)
    arns = ecs.list_tasks(cluster=where["cluster"], serviceName=where["service"], desiredStatus="STOPPED")["taskArns"]
    task = ecs.describe_tasks(cluster=where["cluster"], tasks=arns)["tasks"][0]
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert states(world, "authhub-prod-tg") == ["healthy"] * 3


def test_stop_service_deployment_rolls_back(world: World) -> None:
    ecs = client(world, "ecs")
    arn = described(world)["currentServiceDeployment"]
    assert (
        ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]["status"]
        == "IN_PROGRESS"
    )
    assert ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")["serviceDeploymentArn"] == arn
    world.advance(300)
    one = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
    assert one["status"] == "ROLLBACK_SUCCESSFUL"
    back = ecs.describe_service_revisions(serviceRevisionArns=[one["rollback"]["serviceRevisionArn"]])
    assert back["serviceRevisions"][0]["taskDefinition"].endswith("fileflow-prod:6")
    assert described(world)["taskDefinition"].endswith("fileflow-prod:6")
    with pytest.raises(ecs.exceptions.ConflictException):
        ecs.stop_service_deployment(serviceDeploymentArn=arn)
    with pytest.raises(ecs.exceptions.ServiceDeploymentNotFoundException):
        ecs.stop_service_deployment(serviceDeploymentArn=arn + "x")


def test_circuit_breaker_scenario_went_back_by_itself(world_factory: WorldFactory) -> None:
    world = world_factory("circuit-breaker")
    found = described(world)
    assert found["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert found["taskDefinition"].endswith("fileflow-prod:6")
    rows = client(world, "ecs").list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
    assert rows[0]["status"] == "ROLLBACK_SUCCESSFUL"
    assert any("rolling back to deployment" in event["message"] for event in found["events"])
    client(world, "ecs").update_service(cluster=CLUSTER, service=SERVICE, taskDefinition="fileflow-prod:8")
    world.advance(900)
    assert described(world)["taskDefinition"].endswith("fileflow-prod:6"), "success is not what was asked for"


def test_never_stable_scenario_keeps_the_old_tasks_serving(world_factory: WorldFactory) -> None:
    world = world_factory("never-stable")
    found = described(world)
    assert [one["status"] for one in found["deployments"]] == ["PRIMARY", "ACTIVE"]
    assert found["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    status, body = health(world, "fileflow-prod-alb")
    assert (status, body["revision"]) == (200, "fileflow-prod:6")


def test_a_service_created_later_rolls_out_too(world: World) -> None:
    ecs = client(world, "ecs")
    ecs.register_task_definition(
        family="later",
        cpu="256",
        memory="512",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "web", "image": "nginx:1.27", "essential": True}],
    )
    network = described(world)["networkConfiguration"]
    created = ecs.create_service(
        cluster=CLUSTER,
        serviceName="later",
        taskDefinition="later",
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration=network,
        tags=[{"key": "Environment", "value": "prod"}],
    )["service"]
    assert created["taskDefinition"].endswith(":task-definition/later:1")
    assert (created["runningCount"], created["pendingCount"]) == (0, 2)
    world.advance(60)
    assert described(world, CLUSTER, "later")["runningCount"] == 2
    tags = ecs.list_tags_for_resource(resourceArn=created["serviceArn"])["tags"]
    assert tags == [{"key": "Environment", "value": "prod"}]
    ecs.delete_service(cluster=CLUSTER, service="later", force=True)
    world.advance(60)
    assert described(world, CLUSTER, "later")["status"] == "INACTIVE"


def test_time_goes_by_its_factor(world_factory: WorldFactory) -> None:
    world = world_factory("healthy", 100.0)
    outer = time.monotonic()
    begun = world.now()
    inner = time.monotonic()
    time.sleep(0.3)
    least = time.monotonic() - inner
    passed = (world.now() - begun).total_seconds()
    most = time.monotonic() - outer
    assert least * 99.0 <= passed <= most * 101.0
