"""Who stored a version: from trails as AWS describes them, and log files as CloudTrail writes them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.cloudtrail import CloudTrail, Trail
from infraconsole.aws.s3 import StoredObject
from infraconsole.errors import AccessDenied

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
BUCKET, KEY = "ryuqqq-prod-tfstate", "fileflow/terraform.tfstate"
AT = datetime(2026, 11, 24, 23, 50, 12, tzinfo=UTC)
AGENT = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 (+https://www.terraform.io) aws-sdk-go-v2/1.36"
ROLE = {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/kim"}


def version(id_: str = "v1", at: datetime | None = AT, *, marker: bool = False) -> StoredObject:
    return StoredObject(BUCKET, KEY, id_, 10, at, "e", is_delete_marker=marker)


def record(id_: str = "v1", key: str = KEY, name: str = "PutObject", **identity: str) -> dict[str, Any]:
    return {
        "eventTime": "2026-11-24T23:50:12Z",
        "eventName": name,
        "userIdentity": identity or ROLE,
        "sourceIPAddress": "10.1.2.3",
        "userAgent": AGENT,
        "requestParameters": {"bucketName": BUCKET, "key": key},
        "responseElements": {"x-amz-version-id": id_},
    }


def name(at: str, root: str = "AWSLogs/", day: str = "2026/11/24") -> str:
    return f"{root}{ACCOUNT}/CloudTrail/{REGION}/{day}/{ACCOUNT}_CloudTrail_{REGION}_{at}_abc.json.gz"


class Logs(AwsAccess):
    """An account with these log files in its trail's bucket."""

    def __init__(self, files: Mapping[str, object], selectors: Mapping[str, Any] | None = None) -> None:
        super().__init__(region=REGION, environ={})
        self.files = files
        self.selectors = selectors
        self.read: list[str] = []

    def call(self, service: str, operation: str, /, **asked: Any) -> dict[str, Any]:
        if operation == "DescribeTrails":
            return {"trailList": [{"Name": "main", "TrailARN": "arn:t", "S3BucketName": "logs"}, {"Name": "lake"}]}
        if operation == "GetEventSelectors":
            if self.selectors is None:
                raise AccessDenied("No.", operation="cloudtrail:GetEventSelectors")
            return dict(self.selectors)
        assert operation == "GetObject"
        self.read.append(asked["Key"])
        found = self.files[asked["Key"]]
        body = found if isinstance(found, bytes) else gzip.compress(json.dumps({"Records": found}).encode())
        return {"Body": io.BytesIO(body)}

    def pages(self, service: str, operation: str, key: str, /, **asked: Any) -> Any:
        names = sorted(each for each in self.files if each.startswith(asked["Prefix"]))
        if key == "CommonPrefixes":
            cut = len(asked["Prefix"])
            return iter({"Prefix": f"{each[: each.index('/', cut) + 1]}"} for each in names)
        return iter({"Key": each} for each in names if each > asked["StartAfter"])


TRAIL = Trail("main", "logs", "", {})


def who(files: Mapping[str, object], wanted: StoredObject | None = None) -> str:
    found = CloudTrail(Logs(files)).author(TRAIL, ACCOUNT, REGION, wanted or version())
    return found.words() if found else ""


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (ROLE, "kim (Admin), Terraform 1.11.4"),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/lee", "userName": "lee"}, "lee, Terraform 1.11.4"),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, "root, Terraform 1.11.4"),
        ({"type": "AWSService", "invokedBy": "backup.amazonaws.com"}, "backup.amazonaws.com, Terraform 1.11.4"),
    ],
)
def test_who_it_was(identity: dict[str, str], words: str) -> None:
    assert who({name("20261124T2355Z"): [record(**identity)]}) == words


def test_only_that_version_of_that_key_counts_and_damaged_files_hide_nothing() -> None:
    files: dict[str, object] = {
        name("20261124T2350Z"): b"no gzip",
        name("20261124T2351Z"): gzip.compress(b"[]"),
        name("20261124T2352Z"): [record("v2"), record(key=f"{KEY}.tflock"), record(name="GetObject"), "x", {}],
        name("20261124T2355Z"): [record()],
    }
    assert who(files).startswith("kim")
    assert who(files, version("v3")) == ""


def test_files_before_it_and_long_after_it_are_not_read_and_midnight_is_no_end() -> None:
    files = {
        name("20261124T2340Z"): [record("old")],
        name("20261125T0005Z", day="2026/11/25"): [record()],
        name("20261125T0100Z", day="2026/11/25"): [record()],
    }
    access = Logs(files)
    found = CloudTrail(access).author(TRAIL, ACCOUNT, REGION, version())
    assert found
    assert access.read == [name("20261125T0005Z", day="2026/11/25")]


def test_the_trail_of_an_organization() -> None:
    assert who({name("20261124T2355Z", root="AWSLogs/o-abc123/"): [record()]}).startswith("kim")


def test_who_deleted_it() -> None:
    files = {name("20261124T2355Z"): [record("m1"), record("m1", name="DeleteObject", userName="park")]}
    assert who(files, version("m1", marker=True)) == "park, Terraform 1.11.4"


BASIC = {"ReadWriteType": "All", "DataResources": [{"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{BUCKET}/"]}]}


def advanced(**fields: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {"eventCategory": {"Equals": ["Data"]}, "resources.type": {"Equals": ["AWS::S3::Object"]}}
    wanted |= {field.replace("_", "."): test for field, test in fields.items()}  # type: ignore[misc]
    return {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": f, **t} for f, t in wanted.items()]}]}


@pytest.mark.parametrize(
    ("selectors", "records"),
    [
        ({}, False),
        ({"EventSelectors": [BASIC]}, True),
        ({"EventSelectors": [{**BASIC, "ReadWriteType": "ReadOnly"}]}, False),
        ({"EventSelectors": [{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]}, True),
        ({"EventSelectors": [{"DataResources": [{"Type": "AWS::Lambda::Function", "Values": ["arn:aws"]}]}]}, False),
        (advanced(), True),
        (advanced(readOnly={"Equals": ["true"]}), False),
        (advanced(resources_ARN={"StartsWith": [f"arn:aws:s3:::{BUCKET}/"]}), True),
        (advanced(resources_ARN={"StartsWith": ["arn:aws:s3:::other/"]}), False),
        (advanced(resources_ARN={"NotStartsWith": [f"arn:aws:s3:::{BUCKET}/"]}), False),
    ],
)
def test_which_trails_record_it(selectors: dict[str, Any], records: bool) -> None:
    (trail,) = CloudTrail(Logs({}, selectors)).trails()
    assert trail.records_writes(BUCKET, KEY) is records


def test_a_trail_that_may_not_be_asked_records_nothing_that_is_known() -> None:
    (trail,) = CloudTrail(Logs({})).trails()
    assert not trail.records_writes(BUCKET, KEY)
