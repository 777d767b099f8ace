"""The company is there: every export, valid and pointing at something that exists; every service with its history."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infraconsole import naming
from infraconsole.config import load
from infraconsole.terraform import tfvars
from infraconsole.world import company as companies
from infraconsole.world.process import World

from .conftest import WorldFactory, client

COMPANY = companies.load()
PAIRS = [(service, environment) for service in COMPANY.services for environment in COMPANY.environments]


def exports(world: World) -> dict[str, dict[str, Any]]:
    pages = client(world, "ssm").get_paginator("get_parameters_by_path").paginate(Path="/shared", Recursive=True)
    return {one["Name"]: one for page in pages for one in page["Parameters"]}


def test_every_export_of_the_guide_is_there_with_its_type(shared_world: World) -> None:
    found = exports(shared_world)
    for service in COMPANY.services:
        assert set(naming.required_exports(service)) <= set(found)
        assert f"/shared/ecr/{service}-repository-arn" in found
    for environment in COMPANY.environments:
        assert set(naming.rds_exports(environment)) <= set(found)
    # One more than the guide has, so that there is a secret to be careful with.
    assert found.pop("/shared/monitoring/alert-webhook-url")["Type"] == "SecureString"
    for name, parameter in found.items():
        assert parameter["Type"] == ("StringList" if name.endswith("-subnet-ids") else "String")


def test_exports_point_at_what_exists(shared_world: World) -> None:
    found = {name: one["Value"] for name, one in exports(shared_world).items()}
    ec2, kms, rds = (client(shared_world, name) for name in ("ec2", "kms", "rds"))
    vpc = found["/shared/network/vpc-id"]
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"] == "10.0.0.0/16"
    for tier in ("public", "private", "data"):
        subnets = ec2.describe_subnets(SubnetIds=found[f"/shared/network/{tier}-subnet-ids"].split(","))["Subnets"]
        assert len({subnet["AvailabilityZone"] for subnet in subnets}) >= 2
        assert {subnet["VpcId"] for subnet in subnets} == {vpc}
    aliases = {
        alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"] if "TargetKeyId" in alias
    }
    for kind in naming.KMS_KINDS:
        key = kms.describe_key(KeyId=found[f"/shared/kms/{kind}-key-arn"])["KeyMetadata"]
        assert key["KeyState"] == "Enabled"
        assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
        assert aliases[f"alias/{kind}"] == key["KeyId"]
    secrets = client(shared_world, "secretsmanager")
    for environment, about in COMPANY.environments.items():
        root = f"/shared/rds/{environment}"
        instance = rds.describe_db_instances(DBInstanceIdentifier=found[f"{root}/identifier"])["DBInstances"][0]
        assert found[f"{root}/endpoint"] == f"{instance['Endpoint']['Address']}:{instance['Endpoint']['Port']}"
        assert (instance["DBInstanceClass"], instance["MultiAZ"]) == (about.database_class, about.multi_az)
        assert instance["KmsKeyId"] == found["/shared/kms/rds-key-arn"]
        assert ec2.describe_security_groups(GroupIds=[found[f"{root}/security-group-id"]])["SecurityGroups"]
        secret = secrets.get_secret_value(SecretId=found[f"{root}/master-secret-arn"])
        assert json.loads(secret["SecretString"])["username"] == "admin"


@pytest.mark.parametrize(("service", "environment"), PAIRS)
def test_each_service_is_deployed_with_its_surroundings(shared_world: World, service: str, environment: str) -> None:
    about = COMPANY.environments[environment]
    ecs, elb = client(shared_world, "ecs"), client(shared_world, "elbv2")
    cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
    found = ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])["services"][0]
    assert found["desiredCount"] == found["runningCount"] == about.desired
    assert found["taskDefinition"].startswith("arn:aws:ecs:ap-northeast-2:")
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    assert {
        "Environment",
        "Service",
        "Owner",
        "CostCenter",
        "Team",
        "Lifecycle",
        "DataClass",
        "ManagedBy",
        "Repository",
    } <= set(tags)
    assert tags["Lifecycle"] == ("critical" if environment == "prod" else "non-critical")
    group = elb.describe_target_groups(Names=[naming.target_group(service, environment)])["TargetGroups"][0]
    assert group["HealthCheckPath"] == "/actuator/health"
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert [one["TargetHealth"]["State"] for one in health] == ["healthy"] * about.desired
    alarms = client(shared_world, "cloudwatch").describe_alarms(
        AlarmNamePrefix=naming.alarm_prefix(service, environment)
    )
    names = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms["MetricAlarms"]}
    assert names == {f"{service}-{environment}-{kind}-high": "OK" for kind in ("cpu", "memory", "alb-5xx")}
    logs = client(shared_world, "logs")
    for kind in ("application", "access", "error"):
        group_name = naming.log_group(service, environment, kind)
        retention = logs.describe_log_groups(logGroupNamePrefix=group_name)["logGroups"][0]["retentionInDays"]
        assert retention == about.retention[kind]
        assert logs.filter_log_events(logGroupName=group_name)["events"]


@pytest.mark.parametrize(("service", "environment"), PAIRS)
def test_revisions_differ_and_two_of_them_cannot_be_used(shared_world: World, service: str, environment: str) -> None:
    ecs, family = client(shared_world, "ecs"), naming.task_family(service, environment)
    active = ecs.list_task_definitions(familyPrefix=family, sort="DESC")["taskDefinitionArns"]
    assert [int(arn.rsplit(":", 1)[1]) for arn in active] == [8, 7, 6, 5, 4, 2, 1]
    inactive = ecs.list_task_definitions(familyPrefix=family, status="INACTIVE")["taskDefinitionArns"]
    assert [arn.rsplit(":", 1)[1] for arn in inactive] == ["3"]
    definitions = [ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in active + inactive]
    containers = [definition["containerDefinitions"][0] for definition in definitions]
    assert len({container["image"] for container in containers}) == 8
    assert len({json.dumps(container["environment"]) for container in containers}) == 8
    assert len({(definition["cpu"], definition["memory"]) for definition in definitions}) >= 2
    assert all(container["secrets"] for container in containers)
    assert {bool(container.get("healthCheck")) for container in containers} == {True, False}
    registered = [definition["registeredAt"] for definition in definitions[:7]]
    assert registered == sorted(registered, reverse=True)
    images = client(shared_world, "ecr").describe_images(repositoryName=service)["imageDetails"]
    tags = {tag for image in images for tag in image["imageTags"]}
    missing = [
        d["revision"] for d, c in zip(definitions, containers, strict=True) if c["image"].split(":")[1] not in tags
    ]
    assert missing == {"prod": [4], "staging": [3], "dev": [2]}[environment]


def test_last_known_good_in_prod_is_not_the_revision_before(world_factory: WorldFactory) -> None:
    world = world_factory(factor=1.0)
    ecs = client(world, "ecs")
    rows = ecs.list_service_deployments(cluster="fileflow-prod-cluster", service="fileflow-prod-service")[
        "serviceDeployments"
    ]
    arns = [row["targetServiceRevisionArn"] for row in rows]
    revisions = ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    definition = {one["serviceRevisionArn"]: one["taskDefinition"].rsplit(":", 1)[1] for one in revisions}
    story = [(definition[row["targetServiceRevisionArn"]], row["status"]) for row in rows]
    assert story[:3] == [("8", "IN_PROGRESS"), ("7", "STOPPED"), ("6", "SUCCESSFUL")]


@pytest.mark.parametrize(("service", "environment"), PAIRS[:3])
def test_state_is_versioned_and_its_digest_agrees(shared_world: World, service: str, environment: str) -> None:
    s3, bucket = client(shared_world, "s3"), COMPANY.environments[environment].state_bucket
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    key = f"{service}/terraform.tfstate"
    versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    assert len(versions) == 8
    bodies = [s3.get_object(Bucket=bucket, Key=key, VersionId=one["VersionId"])["Body"].read() for one in versions]
    states = [json.loads(body) for body in bodies]
    assert [state["serial"] for state in states] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert len({state["lineage"] for state in states}) == 1
    assert all(state["version"] == 4 and state["resources"] for state in states)
    item = client(shared_world, "dynamodb").get_item(
        TableName="terraform-lock", Key={"LockID": {"S": f"{bucket}/{key}-md5"}}
    )
    latest = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert item["Item"]["Digest"]["S"] == hashlib.md5(latest, usedforsecurity=False).hexdigest()


def test_health_answers_behind_the_load_balancer(shared_world: World) -> None:
    elb = client(shared_world, "elbv2")
    seen = set()
    for service, environment in PAIRS:
        balancer = elb.describe_load_balancers(Names=[naming.load_balancer(service, environment)])["LoadBalancers"][0]
        port = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]["Port"]
        with urllib.request.urlopen(f"http://{balancer['DNSName']}:{port}/actuator/health", timeout=5) as answer:
            body = json.load(answer)
            assert answer.headers["X-Revision"] == f"{service}-{environment}:8"
        assert (body["status"], body["service"], body["environment"]) == ("UP", service, environment)
        seen.add(port)
    assert len(seen) == len(PAIRS)


def test_settings_and_repositories_are_on_disk(shared_world: World) -> None:
    settings = load(shared_world.dir / "infraconsole.toml")
    assert set(settings.services) == set(COMPANY.services)
    assert settings.environments["prod"].state_bucket == "ryuqqq-prod-tfstate"
    assert settings.environments["prod"].approvers == ("platform-lead", "cto")
    for service, environment in PAIRS:
        path = settings.tfvars_of(service, environment)
        assert path is not None
        text = path.read_text("utf-8")
        assert re.search(rf'image_tag +. "{COMPANY.tag(service, environment, 8)}"', text)
        assert tfvars.read(path)["ecs_task_cpu"] == str(COMPANY.environments[environment].cpu)


def test_service_names_per_call_and_pages(world: World) -> None:
    ecs = client(world, "ecs")
    cluster = "fileflow-dev-cluster"
    with pytest.raises(ClientError, match="Services cannot be empty"):
        ecs.describe_services(cluster=cluster, services=[])
    for index in range(101):
        ecs.create_service(
            cluster=cluster,
            serviceName=f"extra-{index:03d}",
            taskDefinition="fileflow-dev:8",
            desiredCount=0,
        )
    names = [f"extra-{index:03d}" for index in range(11)]
    assert len(ecs.describe_services(cluster=cluster, services=names[:1])["services"]) == 1
    assert len(ecs.describe_services(cluster=cluster, services=names[:10])["services"]) == 10
    with pytest.raises(ClientError, match="service names can have at most 10 items") as refused:
        ecs.describe_services(cluster=cluster, services=names)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    missing = ecs.describe_services(cluster=cluster, services=["nobody"])
    assert missing["failures"][0]["reason"] == "MISSING"
    first = ecs.list_services(cluster=cluster, maxResults=100)
    assert len(first["serviceArns"]) == 100
    rest = ecs.list_services(cluster=cluster, maxResults=100, nextToken=first["nextToken"])
    assert len(rest["serviceArns"]) == 2
    assert "nextToken" not in rest
    assert len(ecs.list_services(cluster=cluster)["serviceArns"]) == 10
    with pytest.raises(ClientError, match="Invalid token"):
        ecs.list_services(cluster=cluster, nextToken="nonsense")


def test_tasks_page_at_a_hundred(world: World) -> None:
    ecs = client(world, "ecs")
    cluster, service = "crawler-dev-cluster", "crawler-dev-service"
    ecs.update_service(cluster=cluster, service=service, desiredCount=101)
    world.advance(300)
    pages = list(ecs.get_paginator("list_tasks").paginate(cluster=cluster, serviceName=service))
    assert [len(page["taskArns"]) for page in pages] == [100, 1]
    described = ecs.describe_tasks(cluster=cluster, tasks=pages[0]["taskArns"])
    assert len(described["tasks"]) == 100
    with pytest.raises(ClientError, match="at most 100"):
        ecs.describe_tasks(cluster=cluster, tasks=[*pages[0]["taskArns"], *pages[1]["taskArns"]])
