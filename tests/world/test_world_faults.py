"""Calls that fail on request, and the count of all calls: the tests of everything else rest on this."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from infraconsole.world.process import World, WorldError

from .conftest import WorldFactory, client, read_credentials

WHERE = {"cluster": "fileflow-dev-cluster", "service": "fileflow-dev-service"}


@pytest.fixture
def calm(shared_world: World) -> Any:
    """The shared world, with no faults and no calls counted, before and after."""
    shared_world.clear_faults()
    shared_world.forget_calls()
    yield shared_world
    shared_world.clear_faults()


def refusal(call: Any, **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_throttled_scenario_refuses_about_its_share(world_factory: WorldFactory) -> None:
    world = world_factory("throttled")
    ecs = client(world, "ecs")
    codes = []
    for _ in range(200):
        try:
            ecs.list_clusters()
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    refused = len(codes)
    assert set(codes) == {"ThrottlingException"}
    assert 25 <= refused <= 75
    assert world.counted_calls("ListClusters", accepted=False) == refused


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "expected"),
    [
        ("ecs", "list_clusters", {}, "throttle", (400, "ThrottlingException", "Rate exceeded")),
        ("elbv2", "describe_load_balancers", {}, "throttle", (400, "Throttling", "Rate exceeded")),
        ("ec2", "describe_vpcs", {}, "throttle", (503, "RequestLimitExceeded", "Request limit exceeded.")),
        ("s3", "list_buckets", {}, "throttle", (503, "SlowDown", "Please reduce your request rate.")),
        ("cloudwatch", "describe_alarms", {}, "throttle", (400, "ThrottlingException", "Rate exceeded")),
        (
            "ecs",
            "list_clusters",
            {},
            "expired",
            (400, "ExpiredTokenException", "The security token included in the request is expired"),
        ),
        (
            "sts",
            "get_caller_identity",
            {},
            "expired",
            (403, "ExpiredToken", "The security token included in the request is expired"),
        ),
        ("s3", "list_buckets", {}, "expired", (400, "ExpiredToken", "The provided token has expired.")),
        ("ecs", "list_clusters", {}, "error500", (500, "ServerException", None)),
        ("ssm", "describe_parameters", {}, "access-denied", (400, "AccessDeniedException", None)),
        ("rds", "describe_db_instances", {}, "access-denied", (403, "AccessDenied", None)),
    ],
)
def test_refusals_are_worded_as_the_service_words_them(
    calm: World, service: str, operation: str, parameters: dict[str, Any], action: str, expected: tuple[int, str, Any]
) -> None:
    calm.fault(action, service)
    status, code, message = refusal(getattr(client(calm, service), operation), **parameters)
    assert (status, code) == expected[:2]
    if expected[2] is not None:
        assert message == expected[2]
    calm.clear_faults()
    getattr(client(calm, service), operation)(**parameters)


def test_retries_of_the_sdk_are_counted_one_by_one(calm: World) -> None:
    calm.fault("throttle", "ecs", "ListClusters", count=2)
    client(calm, "ecs", attempts=3).list_clusters()
    calls = calm.calls("ecs", "ListClusters")
    assert [(call["accepted"], call["status"], call["fault"]) for call in calls] == [
        (False, 400, "throttle"),
        (False, 400, "throttle"),
        (True, 200, ""),
    ]


def test_calls_are_known_by_service_operation_and_key(calm: World) -> None:
    ecs, s3 = client(calm, "ecs"), client(calm, "s3")
    ecs.update_service(**WHERE, desiredCount=1)
    s3.list_object_versions(Bucket="ryuqqq-dev-tfstate", Prefix="fileflow/terraform.tfstate")
    s3.get_object(Bucket="ryuqqq-dev-tfstate", Key="fileflow/terraform.tfstate")["Body"].read()
    client(calm, "cloudwatch").describe_alarms(MaxRecords=1)
    client(calm, "elbv2").describe_load_balancers()
    calls = calm.calls()
    assert [(call["service"], call["operation"]) for call in calls] == [
        ("ecs", "UpdateService"),
        ("s3", "ListObjectVersions"),
        ("s3", "GetObject"),
        ("cloudwatch", "DescribeAlarms"),
        ("elbv2", "DescribeLoadBalancers"),
    ]
    assert calls[0]["parameters"] == {**WHERE, "desiredCount": 1}
    assert {call["access_key"] for call in calls} == {read_credentials(calm)["aws_access_key_id"]}
    assert all(call["accepted"] for call in calls)
    assert calm.calls(since=calls[-1]["seq"]) == []


def test_connection_dropped_before_the_call_was_carried_out(calm: World) -> None:
    calm.fault("drop-before", "ecs", "RegisterTaskDefinition")
    ecs = client(calm, "ecs")
    with pytest.raises(ConnectionClosedError):
        ecs.register_task_definition(
            family="dropped-before", containerDefinitions=[{"name": "a", "image": "b", "memory": 1}]
        )
    assert calm.counted_calls("RegisterTaskDefinition", accepted=True) == 0
    assert "dropped-before" not in ecs.list_task_definition_families()["families"]


def test_connection_dropped_after_the_call_was_carried_out(calm: World) -> None:
    calm.fault("drop-after", "ecs", "RegisterTaskDefinition", count=1)
    ecs = client(calm, "ecs")
    with pytest.raises(ConnectionClosedError):
        ecs.register_task_definition(
            family="dropped-after", containerDefinitions=[{"name": "a", "image": "b", "memory": 1}]
        )
    assert calm.counted_calls("RegisterTaskDefinition", accepted=True) == 1
    assert "dropped-after" in ecs.list_task_definition_families()["families"]


def test_only_the_nth_call_and_only_so_often(calm: World) -> None:
    calm.fault("throttle", "ecs", "ListClusters", nth=3, count=1)
    ecs = client(calm, "ecs")
    outcomes = []
    for _ in range(5):
        try:
            ecs.list_clusters()
            outcomes.append("ok")
        except ClientError:
            outcomes.append("throttled")
    assert outcomes == ["ok", "ok", "throttled", "ok", "ok"]


def test_delay_does_not_hold_up_other_calls(calm: World) -> None:
    calm.fault("delay", "ecs", "ListClusters", seconds=5.0)
    slow = threading.Thread(target=client(calm, "ecs").list_clusters)
    ssm = client(calm, "ssm")
    begun = time.monotonic()
    slow.start()
    ssm.get_parameter(Name="/shared/network/vpc-id")
    assert slow.is_alive()
    slow.join(60)
    assert time.monotonic() - begun >= 5.0


def test_hostile_text_reaches_the_client_as_it_is(calm: World) -> None:
    calm.fault("hostile", "ecs", "DescribeServices")
    found = client(calm, "ecs").describe_services(cluster=WHERE["cluster"], services=[WHERE["service"]])["services"][0]
    assert "\x1b[31m" in found["events"][0]["message"]
    assert "[bold]" in found["events"][0]["message"]


def test_unknown_action_or_field_is_refused(calm: World) -> None:
    with pytest.raises(WorldError, match="unknown action"):
        calm.fault("explode")
    with pytest.raises(WorldError, match="unknown fields"):
        calm.fault("throttle", often=3)


def test_credentials_expire_and_are_renewed(world_factory: WorldFactory) -> None:
    world = world_factory("expired")
    sts = client(world, "sts")
    assert sts.get_caller_identity()["Account"] == world.account
    world.advance(600)
    old = client(world, "ecs")
    assert refusal(old.list_clusters)[1] == "ExpiredTokenException"
    assert refusal(sts.get_caller_identity)[1] == "ExpiredToken"
    world.renew()
    client(world, "ecs").list_clusters()
    assert refusal(old.list_clusters)[1] == "ExpiredTokenException", "the old key stays expired"
    world.expire()
    assert refusal(client(world, "ecs").list_clusters)[1] == "ExpiredTokenException"
    world.renew(lifetime_seconds=86400)
    client(world, "ecs").list_clusters()


def test_parallel_calls_on_open_connections(calm: World) -> None:
    ecs = client(calm, "ecs")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(15):
                assert ecs.describe_services(cluster=WHERE["cluster"], services=[WHERE["service"]])["services"]
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to fail with it
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert calm.counted_calls("DescribeServices", accepted=True) == 120


def desired_count(world: World) -> int:
    asked = {"cluster": WHERE["cluster"], "services": [WHERE["service"]]}
    return int(client(world, "ecs").describe_services(**asked)["services"][0]["desiredCount"])


def test_lagging_reads_show_what_was_so_some_seconds_ago(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    ecs = client(world, "ecs")
    before = desired_count(world)
    world.fault("lag", service="ecs", operation="DescribeServices", seconds=2.0)
    assert desired_count(world) == before
    changed = time.monotonic()
    ecs.update_service(**WHERE, desiredCount=before + 1)
    took, seen = 0.0, before
    while seen == before and took < 60:
        time.sleep(0.1)
        seen = desired_count(world)
        took = time.monotonic() - changed
    assert seen == before + 1
    assert took >= 1.7, "a sample may be a moment older than the lag"
    world.clear_faults()
    ecs.update_service(**WHERE, desiredCount=before)
    assert desired_count(world) == before


def test_of_a_share_of_lagging_reads_the_others_are_of_now(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    world.fault("lag", operation="DescribeServices", seconds=60.0, share=0.5)
    before = desired_count(world)
    client(world, "ecs").update_service(**WHERE, desiredCount=before + 1)
    assert {desired_count(world) for _ in range(30)} == {before, before + 1}


def test_a_call_that_changes_something_never_lags(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    world.fault("lag", seconds=60.0)
    ecs = client(world, "ecs")
    for count in (3, 2):
        assert ecs.update_service(**WHERE, desiredCount=count)["service"]["desiredCount"] == count
    time.sleep(0.5)
    assert world.counted_calls("UpdateService") == 2
