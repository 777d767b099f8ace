"""Who wrote the states of the world: the seeded versions, and what is stored while it runs, over HTTP."""

from __future__ import annotations

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.cloudtrail import CloudTrail, Trail
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.world import company as companies
from infraconsole.world.process import World

from .conftest import client

COMPANY = companies.load()


@pytest.fixture(scope="module")
def access(shared_world: World) -> AwsAccess:
    return AwsAccess(region=shared_world.region, environ=shared_world.environment())


@pytest.fixture(scope="module")
def trails(access: AwsAccess) -> tuple[Trail, ...]:
    return CloudTrail(access).trails()


def versions(access: AwsAccess, environment: str, key: str) -> list[StoredObject]:
    return list(S3(access).versions(COMPANY.environments[environment].state_bucket, key))


def who(access: AwsAccess, trails: tuple[Trail, ...], version: StoredObject) -> str:
    found = CloudTrail(access).author_of(trails, COMPANY.account, COMPANY.region, version)
    return f"{found.who}, {found.tool}" if found else ""


def test_the_trail_records_the_states_and_nothing_else(trails: tuple[Trail, ...]) -> None:
    (trail,) = trails
    assert trail.error is None
    for environment in COMPANY.environments.values():
        assert trail.records(environment.state_bucket, "x/terraform.tfstate", COMPANY.region) is True
    assert trail.records(COMPANY.log_bucket, "x", COMPANY.region) is False


def test_every_seeded_version_has_its_author(access: AwsAccess, trails: tuple[Trail, ...]) -> None:
    for environment in COMPANY.environments:
        found = versions(access, environment, naming.STATE_KEY.format(service="fileflow"))
        assert len(found) == len(COMPANY.builds)
        for build, version in zip(reversed(COMPANY.builds), found, strict=True):
            role, session = COMPANY.writer(environment, build.number)
            assert who(access, trails, version) == f"{session} ({role}), Terraform 1.9.8"
    (module,) = versions(access, "prod", naming.MODULE_STATE_KEY.format(module="network"))
    assert who(access, trails, module) == "terraform (deploy), Terraform 1.9.8"


def test_what_is_stored_and_deleted_while_the_world_runs_is_recorded(
    access: AwsAccess, trails: tuple[Trail, ...], shared_world: World
) -> None:
    s3, bucket, key = (
        client(shared_world, "s3"),
        COMPANY.environments["dev"].state_bucket,
        "tried out/of-a-test.tfstate",
    )
    s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.put_object(Bucket=bucket, Key=key, Body=b"2")
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE")
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(Bucket=bucket, Key=key)
    found = versions(access, "dev", key)
    try:
        assert len(found) == 4
        assert [version.is_delete_marker for version in found] == [True, False, False, False]
        for version in found:
            author = CloudTrail(access).author_of(trails, COMPANY.account, COMPANY.region, version)
            assert author is not None
            assert author.who == "operator (on-call)"
            assert author.source_ip == "127.0.0.1"
            assert "Boto3/" in author.user_agent
    finally:
        for version in found:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version.version_id)


def test_without_the_log_bucket_storing_goes_on(world: World) -> None:
    s3 = client(world, "s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=COMPANY.log_bucket)
    for each in [item for page in pages for item in page["Contents"]]:
        s3.delete_object(Bucket=COMPANY.log_bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=COMPANY.log_bucket)
    bucket = COMPANY.environments["dev"].state_bucket
    assert s3.put_object(Bucket=bucket, Key="x.tfstate", Body=b"1")["VersionId"]
