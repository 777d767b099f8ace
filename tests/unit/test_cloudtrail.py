"""Who stored a version, from trails and log files as AWS writes them: a small bucket of log files stands in for S3's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infraconsole.aws.access import AwsAccess, is_read_only
from infraconsole.aws.cloudtrail import Author, CloudTrail, Trail
from infraconsole.aws.s3 import StoredObject
from infraconsole.checks.row_facts import Authorship
from infraconsole.config import parse
from infraconsole.errors import AccessDenied, AwsNotFound
from infraconsole.overview import Overview

REGION, ACCOUNT = "ap-northeast-2", "123456789012"
BUCKET, KEY = "ryuqqq-prod-tfstate", "fileflow/terraform.tfstate"
AT = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
AGENT = (
    "[APN/1.0 HashiCorp/1.0 Terraform/1.11.4 (+https://www.terraform.io) aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go]"
)
DENIED = AccessDenied("It is not allowed.", operation="x:Y", code="AccessDenied")
ALL_OBJECTS = {
    "EventSelectors": [
        {"ReadWriteType": "All", "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}
    ]
}


def version(version_id: str = "v1", at: datetime = AT, key: str = KEY, *, deleted: bool = False) -> StoredObject:
    return StoredObject(BUCKET, key, version_id, 100, at, "e", is_delete_marker=deleted)


def identity(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "principalId": "AIDA", "accountId": ACCOUNT, **more}


def session(role: str, name: str) -> dict[str, Any]:
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "userName": role}
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"
    return identity("AssumedRole", arn=arn, sessionContext={"sessionIssuer": issuer})


KIM = session("Admin", "kim")


def record(
    version_id: str | None = "v1", who: Any = KIM, event: str = "PutObject", key: str = KEY, **more: Any
) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": "2026-03-01T12:00:30Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": event,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.7",
        "userAgent": AGENT,
        "requestParameters": {"bucketName": BUCKET, "Host": f"{BUCKET}.s3.amazonaws.com", "key": key},
        "responseElements": None if version_id is None else {"x-amz-version-id": version_id},
        "readOnly": False,
        "managementEvent": False,
        "eventCategory": "Data",
        **more,
    }


def packed(*records: Any) -> bytes:
    return gzip.compress(json.dumps({"Records": list(records)}).encode())


def log_key(at: datetime, unique: str = "Mu0KsOhtH1ar15ZZ", root: str = f"AWSLogs/{ACCOUNT}") -> str:
    folder = f"{root}/CloudTrail/{REGION}/{at:%Y/%m/%d}"
    return f"{folder}/{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"


class Logs(AwsAccess):
    """CloudTrail with `trails` and `selectors` by ARN, and a bucket with `files`; an exception in place of either is raised."""

    def __init__(self, files: dict[str, Any] | None = None) -> None:
        super().__init__(region=REGION, environ={})
        self.files = files or {}
        self.trails: list[dict[str, Any]] = []
        self.selectors: dict[str, Any] = {}
        self.read: list[str] = []
        self.asked: list[str] = []

    def call(self, service: str, operation: str, /, **asked: Any) -> dict[str, Any]:
        assert is_read_only(service, operation), operation
        self.asked.append(operation)
        if operation == "GetCallerIdentity":
            return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ops"}
        if operation == "DescribeTrails":
            return {"trailList": self.trails}
        if operation == "GetEventSelectors":
            return dict(_or_raise(self.selectors[asked["TrailName"]]))
        assert operation == "GetObject"
        self.read.append(asked["Key"])
        return {"Body": _or_raise(self.files[asked["Key"]])}

    def whole_pages(self, service: str, operation: str, /, **asked: Any) -> Iterator[dict[str, Any]]:
        assert is_read_only(service, operation)
        assert operation == "ListObjectsV2"
        if isinstance(self.files.get(asked["Bucket"]), Exception):
            raise self.files[asked["Bucket"]]
        prefix, after = asked["Prefix"], asked.get("StartAfter", "")
        keys = [key for key in sorted(self.files) if key.startswith(prefix) and key > after]
        if "Delimiter" in asked:
            folders = {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in keys}
            yield {"CommonPrefixes": [{"Prefix": each} for each in sorted(folders)]}
            return
        for start in range(0, len(keys), 2):
            yield {"Contents": [{"Key": key} for key in keys[start : start + 2]]}


def _or_raise(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def trail(name: str = "main", **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "S3BucketName": "logs",
        "TrailARN": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{name}",
        "HomeRegion": REGION,
        "IsMultiRegionTrail": True,
        **more,
    }


def asked(logs: Logs, *trails: dict[str, Any]) -> tuple[Trail, ...]:
    logs.trails = list(trails or (trail(),))
    for each in logs.trails:
        logs.selectors.setdefault(each["TrailARN"], ALL_OBJECTS)
    return CloudTrail(logs).trails()


def author(logs: Logs, of: StoredObject, *trails: dict[str, Any]) -> Author | None:
    return CloudTrail(logs).author_of(asked(logs, *trails), ACCOUNT, REGION, of)


# Which trail records what


def basic(*values: str, kind: str = "AWS::S3::Object", mode: str = "All") -> dict[str, Any]:
    resources = [{"Type": kind, "Values": list(values)}] if values else []
    return {"EventSelectors": [{"ReadWriteType": mode, "IncludeManagementEvents": True, "DataResources": resources}]}


def advanced(**fields: dict[str, list[str]]) -> dict[str, Any]:
    """Fields of one selector, with `__` for the full stop."""
    listed = [{"Field": name.replace("__", "."), **conditions} for name, conditions in fields.items()]
    return {"AdvancedEventSelectors": [{"Name": "n", "FieldSelectors": listed}]}


DATA = {"eventCategory": {"Equals": ["Data"]}, "resources__type": {"Equals": ["AWS::S3::Object"]}}
OURS = f"arn:aws:s3:::{BUCKET}/"


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (basic(), False),
        (basic("arn:aws:s3"), True),
        (basic("arn:aws:s3:::"), True),
        (basic(OURS), True),
        (basic(OURS + "fileflow/"), True),
        (basic(OURS + "authhub/"), False),
        (basic("arn:aws:s3:::another/"), False),
        (basic("arn:aws:s3:::another/", OURS), True),
        (basic(OURS, mode="WriteOnly"), True),
        (basic(OURS, mode="ReadOnly"), False),
        (basic("arn:aws:lambda", kind="AWS::Lambda::Function"), False),
        (advanced(eventCategory={"Equals": ["Management"]}), False),
        (advanced(**DATA), True),
        (advanced(**DATA, resources__ARN={"StartsWith": [OURS]}), True),
        (advanced(**DATA, resources__ARN={"StartsWith": ["arn:aws:s3:::another/", OURS]}), True),
        (advanced(**DATA, resources__ARN={"StartsWith": ["arn:aws:s3:::another/"]}), False),
        (advanced(**DATA, resources__ARN={"Equals": [OURS + KEY]}), True),
        (advanced(**DATA, resources__ARN={"Equals": [OURS + "other"]}), False),
        (advanced(**DATA, resources__ARN={"Equals": ["x"], "StartsWith": [OURS]}), True),
        (advanced(**DATA, resources__ARN={"NotStartsWith": [OURS]}), False),
        (advanced(**DATA, resources__ARN={"NotStartsWith": ["arn:aws:s3:::logs/"]}), True),
        (advanced(**DATA, resources__ARN={"StartsWith": [OURS], "NotEndsWith": [".tfstate"]}), False),
        (advanced(**DATA, readOnly={"Equals": ["true"]}), False),
        (advanced(**DATA, readOnly={"Equals": ["false"]}), True),
        (advanced(**DATA, eventName={"Equals": ["DeleteObject"]}), False),
        (advanced(**DATA, userIdentity__arn={"StartsWith": ["arn:aws:iam"]}), True),
        (advanced(eventCategory={"Equals": ["Data"]}, resources__type={"Equals": ["AWS::Lambda::Function"]}), False),
        ({}, False),
    ],
)
def test_whether_a_trail_records_writes_to_an_object(selectors: dict[str, Any], expected: bool) -> None:
    logs = Logs()
    logs.selectors[trail()["TrailARN"]] = selectors
    (found,) = asked(logs)
    assert found.records(BUCKET, KEY, REGION) is expected


def test_a_trail_of_another_region_alone_records_nothing_here() -> None:
    (found,) = asked(Logs(), trail(HomeRegion="us-east-1", IsMultiRegionTrail=False))
    assert found.records(BUCKET, KEY, REGION) is False
    (found,) = asked(Logs(), trail(HomeRegion="us-east-1"))
    assert found.records(BUCKET, KEY, REGION) is True


def test_the_partition_is_the_trails_own() -> None:
    logs = Logs()
    china = trail(TrailARN="arn:aws-cn:cloudtrail:cn-north-1:123456789012:trail/main")
    logs.selectors[china["TrailARN"]] = basic(f"arn:aws-cn:s3:::{BUCKET}/")
    (found,) = asked(logs, china)
    assert found.records(BUCKET, KEY, REGION) is True


def test_a_trail_that_cannot_be_asked_hides_none_of_the_others() -> None:
    logs = Logs({log_key(AT + timedelta(minutes=6)): packed(record())})
    locked = trail("of-the-organization")
    logs.selectors[locked["TrailARN"]] = DENIED
    first, second = asked(logs, locked, trail())
    assert (first.name, first.error, first.records(BUCKET, KEY, REGION)) == ("of-the-organization", DENIED, None)
    assert (second.error, second.records(BUCKET, KEY, REGION)) == (None, True)
    found = author(logs, version(), locked, trail())
    assert found is not None
    assert found.who == "kim (Admin)"


# The record in the logs


def test_the_author_is_the_one_of_the_record_with_the_version() -> None:
    logs = Logs(
        {
            log_key(AT + timedelta(minutes=4)): packed(record("v0", identity("Root", arn="a"))),
            log_key(AT + timedelta(minutes=6)): packed(
                record("v1", identity("Root", arn="a"), key=KEY + ".tflock"),
                record("v1", identity("Root", arn="a"), event="GetObject"),
                record(None, identity("Root", arn="a")),
                record("v1", identity("Root", arn="a"), requestParameters={"bucketName": "other", "key": KEY}),
                record("v1"),
            ),
        }
    )
    assert author(logs, version()) == Author(
        who="kim (Admin)",
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/kim",
        source_ip="203.0.113.7",
        user_agent=AGENT[1:-1],
        at=AT,
    )
    found = author(logs, version())
    assert found is not None
    assert found.tool == "Terraform 1.11.4"
    assert author(logs, version("v2")) is None


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (identity("IAMUser", arn=f"arn:aws:iam::{ACCOUNT}:user/ops/kim", userName="kim"), "kim"),
        (KIM, "kim (Admin)"),
        (session("AWSReservedSSO_Operators_0123456789abcdef", "kim@ryuqqq.com"), "kim@ryuqqq.com (Operators)"),
        ({"type": "AssumedRole", "principalId": "AROA:ci"}, "ci"),
        ({"type": "AssumedRole"}, "an assumed role"),
        (identity("Root", arn=f"arn:aws:iam::{ACCOUNT}:root"), "root"),
        ({"type": "AWSService", "invokedBy": "backup.amazonaws.com"}, "backup.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA", "accountId": "999"}, "somebody of the account 999"),
        (identity("FederatedUser", arn=f"arn:aws:sts::{ACCOUNT}:federated-user/lee"), "lee"),
        ({"type": "WebIdentityUser", "userName": "repo:ryuqqq"}, "repo:ryuqqq"),
        ({"type": "Unknown"}, "Unknown"),
        ({}, "unknown"),
        ("not a table", "unknown"),
        (None, "unknown"),
    ],
)
def test_identities_are_called_as_people_call_them(who: Any, expected: str) -> None:
    found = author(Logs({log_key(AT): packed(record(who=who))}), version())
    assert found is not None
    assert found.who == expected


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (AGENT, "Terraform 1.11.4"),
        ("APN/1.0 HashiCorp/1.0 Terraform/1.12.0-beta2 (+https://www.terraform.io)", "Terraform 1.12.0-beta2"),
        ("APN/1.0 OpenTofu/1.9.1", "OpenTofu 1.9.1"),
        ("[aws-cli/2.15.0 Python/3.11.6]", ""),
        ("terraform-provider-aws/5.0", ""),
        (None, ""),
    ],
)
def test_terraform_is_found_in_the_user_agent(agent: Any, expected: str) -> None:
    found = author(Logs({log_key(AT): packed(record(userAgent=agent))}), version())
    assert found is not None
    assert found.tool == expected


@pytest.mark.parametrize("event", ["PutObject", "CopyObject", "CompleteMultipartUpload"])
def test_every_way_to_store_counts(event: str) -> None:
    logs = Logs({log_key(AT): packed(record(event=event))})
    assert author(logs, version()) is not None
    assert author(logs, version(deleted=True)) is None


def test_a_delete_marker_has_the_one_who_deleted() -> None:
    logs = Logs({log_key(AT): packed(record(event="DeleteObject", responseElements={"x-amz-version-id": "v1"}))})
    assert author(logs, version(deleted=True)) is not None
    assert author(logs, version()) is None


def test_damaged_files_are_skipped() -> None:
    whole = packed(record())
    damaged = [
        b"",
        b"not gzip",
        whole[:-12],
        whole[:20] + b"\x00\x00" + whole[22:],
        gzip.compress(b'{"Records": [{"v1"'),
        gzip.compress(b'["v1"]'),
        gzip.compress(b'{"Records": "v1"}'),
        gzip.compress(b'{"Records": [null, "v1", {"eventName": "PutObject", "requestParameters": "v1"}]}'),
        gzip.compress(b"[" * 200_000 + b'"v1"'),
        AwsNotFound("Gone.", operation="s3:GetObject", code="NoSuchKey"),
    ]
    files: dict[str, Any] = {log_key(AT, f"{place:02}"): body for place, body in enumerate(damaged)}
    assert author(Logs(files), version()) is None
    found = author(Logs(files | {log_key(AT + timedelta(minutes=1)): whole}), version())
    assert found is not None


def test_a_record_whose_time_cannot_be_read_still_has_an_author() -> None:
    found = author(Logs({log_key(AT): packed(record(eventTime="yesterday"))}), version())
    assert found is not None
    assert found.at is None


# Which files are read


def test_only_what_was_delivered_within_half_an_hour_after_is_read() -> None:
    minutes = (-60, -1, 0, 6, 29, 30, 31, 90)
    logs = Logs({log_key(AT + timedelta(minutes=each)): packed() for each in minutes})
    assert author(logs, version()) is None
    assert sorted(logs.read) == [log_key(AT + timedelta(minutes=each)) for each in (0, 6, 29, 30)]


def test_midnight_is_crossed() -> None:
    late = datetime(2025, 12, 31, 23, 50, tzinfo=UTC)
    after = log_key(late + timedelta(minutes=15))
    logs = Logs({log_key(late + timedelta(minutes=5)): packed(record("v0")), after: packed(record())})
    assert "/2026/01/01/" in after
    assert author(logs, version(at=late)) is not None


def test_a_time_of_another_zone_is_looked_for_in_utc() -> None:
    from datetime import timezone

    seoul = AT.astimezone(timezone(timedelta(hours=9)))
    assert author(Logs({log_key(AT): packed(record())}), version(at=seoul)) is not None


def test_no_more_than_two_hundred_files_are_read_and_none_after_the_record() -> None:
    many = {log_key(AT + timedelta(minutes=1), f"{number:04}"): packed() for number in range(300)}
    logs = Logs(many)
    assert author(logs, version()) is None
    assert len(logs.read) == 200
    logs = Logs(many | {log_key(AT): packed(record())})
    assert author(logs, version()) is not None
    assert len(logs.read) <= 8


def test_the_prefix_of_a_trail_and_the_folder_of_an_organization() -> None:
    key = log_key(AT, root=f"audit/logs/AWSLogs/o-exampleorgid/{ACCOUNT}")
    logs = Logs({key: packed(record()), log_key(AT, root="AWSLogs/999999999999"): packed(record())})
    assert author(logs, version()) is None
    assert author(logs, version(), trail(S3KeyPrefix="audit/logs")) is None
    assert author(logs, version(), trail(S3KeyPrefix="audit/logs", IsOrganizationTrail=True)) is not None


def test_a_version_that_cannot_be_told_apart_is_not_looked_for() -> None:
    logs = Logs({log_key(AT): packed(record("null"))})
    assert author(logs, version("")) is None
    assert author(logs, version("null")) is None
    assert logs.read == []


def test_a_bucket_that_may_not_be_read_is_raised_only_where_no_other_trail_knows() -> None:
    logs = Logs({log_key(AT): packed(record()), "secret": DENIED})
    assert author(logs, version(), trail("a", S3BucketName="secret"), trail()) is not None
    with pytest.raises(AccessDenied):
        author(logs, version("v9"), trail("a", S3BucketName="secret"), trail())
    logs = Logs({log_key(AT): DENIED})
    with pytest.raises(AccessDenied):
        author(logs, version())


# As the screens ask for it


def overview(logs: Logs) -> Overview:
    return Overview(
        parse({"region": REGION, "services": {"fileflow": {}}, "environments": {"prod": {}}}, None), lambda _: logs
    )


def test_an_account_is_asked_for_its_trails_once() -> None:
    logs = Logs({log_key(AT): packed(record())})
    asked(logs)
    logs.asked.clear()
    known = overview(logs)
    found = known.state_author("prod", version())
    assert found.author is not None
    assert known.state_author("prod", version("v2")) == Authorship(None)
    assert logs.asked.count("DescribeTrails") == logs.asked.count("GetEventSelectors") == 1


def test_where_no_trail_records_no_log_is_read() -> None:
    logs = Logs({log_key(AT): packed(record())})
    assert overview(logs).state_author("prod", version()) == Authorship(None, recorded=False)
    logs.selectors[trail()["TrailARN"]] = basic()
    asked(logs)
    assert overview(logs).state_author("prod", version()) == Authorship(None, recorded=False)
    assert logs.read == []


def test_a_trail_that_could_not_be_asked_may_still_know_and_else_says_why() -> None:
    logs = Logs({log_key(AT): packed(record())})
    logs.selectors[trail()["TrailARN"]] = DENIED
    asked(logs)
    assert overview(logs).state_author("prod", version()).author is not None
    with pytest.raises(AccessDenied):
        overview(logs).state_author("prod", version("v2"))
