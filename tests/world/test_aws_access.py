"""The AWS layer on the world: every service module against real answers, real faults and the real SDK in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess, ChangingAccess, ViewingAccess
from infraconsole.aws.cloudwatch import CloudWatch
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.aws.ecs import Ecs
from infraconsole.aws.elbv2 import Elbv2
from infraconsole.aws.logs import Logs, task_stream
from infraconsole.aws.s3 import S3
from infraconsole.aws.ssm import Ssm
from infraconsole.aws.sts import account_alias, identity
from infraconsole.checks.application import application
from infraconsole.config import load
from infraconsole.errors import (
    AccessDenied,
    AwsFault,
    AwsNotFound,
    CredentialsExpired,
    NetworkUnreachable,
    Throttled,
)
from infraconsole.terraform.state import summary
from infraconsole.world.faults import HOSTILE
from infraconsole.world.process import World

from .conftest import WorldFactory, client

CLUSTER = naming.cluster("fileflow", "prod")
SERVICE = naming.ecs_service("fileflow", "prod")
FAMILY = naming.task_family("fileflow", "prod")


@pytest.fixture(scope="module")
def reading(shared_world: World) -> AwsAccess:
    return AwsAccess(region=shared_world.region, environ=shared_world.environment())


@pytest.fixture
def calm(shared_world: World) -> Iterator[World]:
    """The shared world, freed of faults afterwards and without the calls of others."""
    shared_world.forget_calls()
    yield shared_world
    shared_world.clear_faults()


def test_who_we_are(reading: AwsAccess, shared_world: World) -> None:
    assert identity(reading).account == shared_world.account
    account_alias(reading)
    assert reading.credentials_source() == "shared-credentials-file"


def test_a_service_with_its_tasks_revisions_and_history(reading: AwsAccess) -> None:
    ecs = Ecs(reading)
    service = ecs.service(CLUSTER, SERVICE)
    assert service.status == "ACTIVE"
    assert service.running == service.desired
    assert service.primary is not None
    assert service.in_flight is None
    assert service.primary.created_at is not None
    assert service.primary.created_at.tzinfo is UTC

    definition = ecs.task_definition(service.task_definition)
    assert definition.family == FAMILY
    found = application(definition, "fileflow", service.load_balancers)
    assert found
    assert found.image.tag
    assert found.container.name == "fileflow-app"

    tasks = ecs.tasks(CLUSTER, SERVICE)
    assert len(tasks) == service.running
    assert {task.task_definition for task in tasks} == {definition.arn}

    revisions = list(ecs.revisions(FAMILY))
    assert revisions[0] == max(revisions, key=lambda arn: int(arn.rsplit(":", 1)[1]))
    assert service.task_definition in revisions

    history = ecs.service_deployments(CLUSTER, SERVICE)
    assert history[0].task_definition == service.task_definition
    assert [one.created_at for one in history] == sorted(
        (one.created_at for one in history if one.created_at), reverse=True
    )


def test_what_is_missing_is_named_with_what_there_is(reading: AwsAccess) -> None:
    ecs = Ecs(reading)
    assert SERVICE in ecs.service_names(CLUSTER)
    assert ecs.services(CLUSTER, ["gone"]) == ()
    with pytest.raises(AwsNotFound) as caught:
        ecs.service(CLUSTER, "gone")
    assert SERVICE in caught.value.mend
    with pytest.raises(AwsNotFound, match="no-such-cluster"):
        ecs.service("no-such-cluster", SERVICE)
    with pytest.raises(AwsNotFound):
        ecs.task_definition(f"{FAMILY}:999")


def test_targets_and_where_the_service_answers(reading: AwsAccess) -> None:
    binding = Ecs(reading).service(CLUSTER, SERVICE).load_balancers[0]
    elbv2 = Elbv2(reading)
    group = elbv2.target_group(binding.target_group_arn)
    assert group.health_check_path == naming.HEALTH_PATH
    assert {target.state for target in elbv2.target_health(group.arn)} == {"healthy"}
    balancer = elbv2.load_balancer_named(naming.load_balancer("fileflow", "prod"))
    assert elbv2.load_balancer(balancer.arn) == balancer
    address = elbv2.health_address(group.arn)
    assert address is not None
    assert balancer.dns_name in address
    assert address.endswith(naming.HEALTH_PATH)
    with pytest.raises(AwsNotFound):
        elbv2.load_balancer_named("gone")
    with pytest.raises(AwsNotFound):
        elbv2.target_group(group.arn.replace(group.name, "gone"))


def test_images(reading: AwsAccess) -> None:
    ecs, ecr = Ecs(reading), Ecr(reading)
    found = application(ecs.task_definition(ecs.service(CLUSTER, SERVICE).task_definition), "fileflow")
    assert found
    reference = found.image
    assert reference.in_ecr
    image = ecr.image(reference)
    assert image is not None
    assert reference.tag in image.tags
    registry = f"{reference.registry}/{reference.repository}"
    assert ecr.image(parse_image(f"{registry}@{image.digest}")) == image
    assert ecr.image(parse_image(f"{registry}:never-built")) is None
    with pytest.raises(AwsNotFound):
        ecr.image(parse_image(f"{reference.registry}/no-such-repository:v1"))


def test_exports_streamed_and_by_name(reading: AwsAccess, calm: World) -> None:
    ssm = Ssm(reading)
    under = {parameter.name: parameter for page in ssm.pages_under(naming.EXPORT_ROOT) for parameter in page}
    wanted = naming.required_exports("fileflow")
    found, missing = ssm.parameters([*wanted, "/shared/network/gone"])
    assert {parameter.name for parameter in found} == set(wanted) <= set(under)
    assert missing == ("/shared/network/gone",)
    assert all(under[parameter.name] == parameter for parameter in found)
    assert len(calm.calls("ssm", "GetParametersByPath")) >= len(under) // 10


def test_alarms(reading: AwsAccess) -> None:
    found = CloudWatch(reading).alarms(naming.alarm_prefix("fileflow", "prod"))
    assert found
    assert all(alarm.name.startswith("fileflow-prod-") and alarm.metric for alarm in found)


def test_state_versions_objects_and_locks(reading: AwsAccess, shared_world: World) -> None:
    s3 = S3(reading)
    settings = load(shared_world.dir / "infraconsole.toml").environment("prod")
    assert settings.state_bucket is not None
    bucket, key = settings.state_bucket, naming.STATE_KEY.format(service="fileflow", environment="prod")
    versions = list(s3.versions(bucket, key))
    assert versions[0].is_latest
    assert {version.key for version in versions} == {key}
    newest = s3.get(bucket, key)
    assert newest.body is not None
    assert summary(newest.body).size_bytes == newest.size_bytes
    assert s3.head(bucket, key).etag == newest.etag
    assert s3.get(bucket, key, versions[-1].version_id).version_id == versions[-1].version_id
    with pytest.raises(AwsNotFound, match="gone"):
        s3.head(bucket, "gone")
    with pytest.raises(AwsNotFound, match="no-such-bucket"):
        s3.get("no-such-bucket", key)
    if settings.lock_table:
        assert DynamoDb(reading).item(settings.lock_table, "no-such-lock") is None
    with pytest.raises(AwsNotFound):
        DynamoDb(reading).item("no-such-table", "x")


def test_versions_with_a_delete_marker_and_namesakes(reading: AwsAccess, shared_world: World) -> None:
    s3 = client(shared_world, "s3")
    bucket, key = "aws-layer-versions", "a/terraform.tfstate"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": shared_world.region})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * number)
        s3.put_object(Bucket=bucket, Key=key + ".tflock", Body=b"{}")
    s3.delete_object(Bucket=bucket, Key=key)
    versions = list(S3(reading).versions(bucket, key))
    assert [version.is_delete_marker for version in versions] == [True, False, False, False]
    assert [version.size_bytes for version in versions] == [0, 2, 1, 0]
    with pytest.raises(AwsNotFound):
        S3(reading).get(bucket, key)


def test_log_lines_of_a_task(reading: AwsAccess, shared_world: World) -> None:
    logs = client(shared_world, "logs")
    group, now = "/aws-layer", datetime.now(UTC)
    logs.create_log_group(logGroupName=group)
    for stream in (task_stream("app", "1"), task_stream("app", "2")):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [
            {"timestamp": int((now - timedelta(minutes=minutes)).timestamp() * 1000), "message": f"{stream} {minutes}"}
            for minutes in (50, 40, 2, 1)
        ]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    found = Logs(reading).lines(group, since=now - timedelta(hours=1), limit=3, stream_prefix="ecs/app/1")
    assert [line.message for line in found] == ["ecs/app/1 40", "ecs/app/1 2", "ecs/app/1 1"]
    assert len(Logs(reading).lines(group, since=now - timedelta(hours=1), limit=100)) == 8
    with pytest.raises(AwsNotFound):
        Logs(reading).lines("/gone", since=now, limit=1)


def test_hundred_and_one_services(reading: AwsAccess, shared_world: World, calm: World) -> None:
    ecs = client(shared_world, "ecs")
    ecs.create_cluster(clusterName="many")
    names = [f"service-{number:03}" for number in range(101)]
    definition = Ecs(reading).service(CLUSTER, SERVICE).task_definition
    for name in names:
        ecs.create_service(cluster="many", serviceName=name, taskDefinition=definition, desiredCount=0)
    assert list(Ecs(reading).service_names("many")) == names
    for count in (0, 1, 10, 11, 100, 101):
        calm.forget_calls()
        assert [service.name for service in Ecs(reading).services("many", names[:count])] == names[:count]
        sizes = [len(call["parameters"]["services"]) for call in calm.calls("ecs", "DescribeServices")]
        assert sum(sizes) == count
        assert all(size == 10 for size in sizes[:-1])
        assert len(sizes) == -(-count // 10)


# Faults


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("throttle", Throttled),
        ("error500", AwsFault),
        ("drop-before", NetworkUnreachable),
        ("access-denied", AccessDenied),
    ],
)
def test_a_fault_that_lasts(action: str, kind: type[Exception], calm: World) -> None:
    calm.fault(action, "ecs", "ListClusters")
    environ = {**calm.environment(), "AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}
    with pytest.raises(kind):
        AwsAccess(region=calm.region, environ=environ).call("ecs", "ListClusters")
    assert calm.counted_calls("ListClusters", "ecs") == (1 if kind is AccessDenied else 2)


@pytest.mark.parametrize("action", ["throttle", "error500", "drop-before", "drop-after"])
def test_a_fault_that_passes_is_not_seen(action: str, calm: World) -> None:
    calm.fault(action, "ecs", "ListClusters", count=1)
    access = AwsAccess(region=calm.region, environ=calm.environment())
    assert access.call("ecs", "ListClusters")["clusterArns"]
    assert calm.counted_calls("ListClusters", "ecs") == 2


def tag(access: ChangingAccess, arn: str) -> dict[str, Any]:
    return access.change("ecs", "TagResource", resourceArn=arn, tags=[{"key": "k", "value": "v"}])


@pytest.mark.parametrize(
    ("action", "kind", "accepted", "maybe_done"),
    [
        ("drop-after", NetworkUnreachable, 1, True),
        ("drop-before", NetworkUnreachable, 0, True),
        ("error500", AwsFault, 0, True),
        ("throttle", Throttled, 0, False),
        ("access-denied", AccessDenied, 0, False),
    ],
)
def test_a_change_is_sent_once_under_every_fault(
    action: str, kind: type[Any], accepted: int, maybe_done: bool, calm: World
) -> None:
    access = ChangingAccess(region=calm.region, environ={**calm.environment(), "AWS_MAX_ATTEMPTS": "5"})
    arn = Ecs(access).service(CLUSTER, SERVICE).arn
    calm.fault(action, "ecs", "TagResource")
    with pytest.raises(kind) as caught:
        tag(access, arn)
    assert calm.counted_calls("TagResource", "ecs") == 1
    assert calm.counted_calls("TagResource", "ecs", accepted=True) == accepted
    assert caught.value.maybe_done is maybe_done


def test_a_denied_call_names_the_action(calm: World) -> None:
    calm.fault("access-denied", "ecs", "DescribeServices")
    with pytest.raises(AccessDenied, match="ecs:DescribeServices"):
        Ecs(AwsAccess(region=calm.region, environ=calm.environment())).service(CLUSTER, SERVICE)


def test_hostile_text_arrives_as_it_is(calm: World) -> None:
    calm.fault("hostile", "ecs", "DescribeServices")
    service = Ecs(AwsAccess(region=calm.region, environ=calm.environment())).service(CLUSTER, SERVICE)
    assert service.name == SERVICE
    assert service.events
    assert all(event.message.endswith(f" {HOSTILE}") for event in service.events)


def test_credentials_expire_and_are_renewed(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    access = AwsAccess(region=world.region, environ=world.environment())
    access.call("ecs", "ListClusters")
    world.expire()
    with pytest.raises(CredentialsExpired):
        access.call("ecs", "ListClusters")
    world.renew()
    access.renew()
    assert access.call("ecs", "ListClusters")["clusterArns"]


def test_a_view_goes_on_once_credentials_were_renewed_outside(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    access = ViewingAccess(region=world.region, environ=world.environment())
    ecs, s3 = Ecs(access), S3(access)
    assert ecs.service(CLUSTER, SERVICE).name == SERVICE
    world.expire()
    with pytest.raises(CredentialsExpired):
        list(ecs.revisions("fileflow-prod"))
    world.renew()
    assert next(iter(ecs.revisions("fileflow-prod")))
    with pytest.raises(AwsNotFound):
        s3.get("no-such-bucket-anywhere", "x")
