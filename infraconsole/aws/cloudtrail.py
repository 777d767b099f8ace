"""CloudTrail: who stored a version of an object, where a trail records that.

Writes of objects are data events: LookupEvents does not return them (CloudTrail user guide, Logging data events), so they are
looked up in the log files of a trail that selects them. Names and contents of those files are from the same guide (CloudTrail
log file name format; CloudTrail record contents). Everything in them is data.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.s3 import StoredObject
from infraconsole.errors import AwsError

DELIVERED_WITHIN = timedelta(minutes=15)
"""CloudTrail's own promise, on average 5 minutes."""
_LOOKED_THROUGH = timedelta(minutes=30)
_MOST_FILES = 200
_OBJECT = "AWS::S3::Object"
_WRITES = ("PutObject", "CopyObject", "CompleteMultipartUpload")
_REMOVALS = ("DeleteObject", "DeleteObjects")
_TERRAFORM = re.compile(r"Terraform/(\d[\w.+-]*)")


@dataclass(frozen=True)
class Author:
    """Who did it: `who` in short, with the role where it was one; `terraform` is a version, "" where it was another tool."""

    who: str
    arn: str
    source_ip: str
    user_agent: str
    terraform: str
    at: str

    def words(self) -> str:
        return f"{self.who}, Terraform {self.terraform}" if self.terraform else self.who


@dataclass(frozen=True)
class Trail:
    """`bucket` and `prefix` are where its log files are; `selectors` as GetEventSelectors answers."""

    name: str
    bucket: str
    prefix: str
    selectors: Mapping[str, Any]

    def records_writes(self, bucket: str, key: str) -> bool:
        arn = f"arn:aws:s3:::{bucket}/{key}"
        basic = self.selectors.get("EventSelectors") or ()
        advanced = self.selectors.get("AdvancedEventSelectors") or ()
        return any(_selects(each, arn) for each in basic) or any(_selects_advanced(each, arn) for each in advanced)


class CloudTrail:
    """Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def trails(self) -> tuple[Trail, ...]:
        """Those of this account that write into a bucket. One whose selectors may not be read selects nothing."""
        found = self.access.call("cloudtrail", "DescribeTrails", includeShadowTrails=True).get("trailList") or ()
        return tuple(
            Trail(
                str(raw.get("Name")), str(raw["S3BucketName"]), str(raw.get("S3KeyPrefix") or ""), self._selectors(raw)
            )
            for raw in found
            if raw.get("S3BucketName")
        )

    def _selectors(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            name = raw.get("TrailARN") or raw.get("Name")
            return self.access.call("cloudtrail", "GetEventSelectors", TrailName=name)
        except AwsError:
            return {}

    def author(self, trail: Trail, account: str, region: str, version: StoredObject) -> Author | None:
        """Who stored `version`, or deleted the object where it is a delete marker; None where no log file says it."""
        wanted = _REMOVALS if version.is_delete_marker else _WRITES
        for record in self._records(trail, account, region, version.modified_at):
            asked, answered = record.get("requestParameters"), record.get("responseElements")
            if record.get("eventName") not in wanted or not isinstance(asked, dict) or not isinstance(answered, dict):
                continue
            told = answered.get("x-amz-version-id")
            if (asked.get("bucketName"), asked.get("key"), told) == (version.bucket, version.key, version.version_id):
                return _author(record)
        return None

    def _records(self, trail: Trail, account: str, region: str, at: datetime | None) -> Iterator[Mapping[str, Any]]:
        if at is None:
            return
        for key in islice(self._files(trail, account, region, at.astimezone(UTC)), _MOST_FILES):
            with self.access.translating("s3", "GetObject"):
                answer = self.access.call("s3", "GetObject", Bucket=trail.bucket, Key=key)
                body = bytes(answer["Body"].read())
            yield from _parsed(body)

    def _files(self, trail: Trail, account: str, region: str, at: datetime) -> Iterator[str]:
        """The log files of the half hour after `at`, in the order of their names; of each day that it touches."""
        until = at + _LOOKED_THROUGH
        above = f"{trail.prefix}/AWSLogs/" if trail.prefix else "AWSLogs/"
        for root in (f"{above}{account}/", *self._organizations(trail, above, account)):
            for day in dict.fromkeys((at.date(), until.date())):
                folder = f"{root}CloudTrail/{region}/{day:%Y/%m/%d}/{account}_CloudTrail_{region}_"
                asked = {"Bucket": trail.bucket, "Prefix": folder, "StartAfter": f"{folder}{at:%Y%m%dT%H%M}"}
                last = f"{folder}{until:%Y%m%dT%H%M}Z~"
                for raw in self.access.pages("s3", "ListObjectsV2", "Contents", **asked):
                    if str(raw["Key"]) > last:
                        break
                    yield str(raw["Key"])

    def _organizations(self, trail: Trail, above: str, account: str) -> Iterator[str]:
        asked = {"Bucket": trail.bucket, "Prefix": f"{above}o-", "Delimiter": "/"}
        for raw in self.access.pages("s3", "ListObjectsV2", "CommonPrefixes", **asked):
            yield f"{raw['Prefix']}{account}/"


def _selects(selector: Mapping[str, Any], arn: str) -> bool:
    if selector.get("ReadWriteType") == "ReadOnly":
        return False
    return any(
        arn.startswith(str(value))
        for resource in selector.get("DataResources") or ()
        if resource.get("Type") == _OBJECT
        for value in resource.get("Values") or ()
    )


def _selects_advanced(selector: Mapping[str, Any], arn: str) -> bool:
    fields = {str(field.get("Field")): field for field in selector.get("FieldSelectors") or ()}
    if not (
        "Data" in (fields.get("eventCategory", {}).get("Equals") or ())
        and _OBJECT in (fields.get("resources.type", {}).get("Equals") or ())
        and "true" not in (fields.get("readOnly", {}).get("Equals") or ())
    ):
        return False
    place = fields.get("resources.ARN", {})
    wanted = [*(place.get("StartsWith") or ()), *(place.get("Equals") or ())]
    unwanted = [*(place.get("NotStartsWith") or ()), *(place.get("NotEquals") or ())]
    return (not wanted or any(arn.startswith(value) for value in wanted)) and not any(
        arn.startswith(value) for value in unwanted
    )


def _parsed(body: bytes) -> Sequence[Mapping[str, Any]]:
    """The records of a log file; none where it is damaged."""
    try:
        found = json.loads(gzip.decompress(body)).get("Records")
    except (OSError, EOFError, zlib.error, ValueError, AttributeError):
        return ()
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else ()


def _author(record: Mapping[str, Any]) -> Author:
    identity = record.get("userIdentity")
    identity = identity if isinstance(identity, dict) else {}
    agent = str(record.get("userAgent") or "")
    match = _TERRAFORM.search(agent)
    return Author(
        who=_who(identity),
        arn=str(identity.get("arn") or ""),
        source_ip=str(record.get("sourceIPAddress") or ""),
        user_agent=agent,
        terraform=match[1] if match else "",
        at=str(record.get("eventTime") or ""),
    )


def _who(identity: Mapping[str, Any]) -> str:
    """`kim (Admin)` of a role's session, a user's name, `root`, or the service that did it."""
    arn = str(identity.get("arn") or "")
    if identity.get("type") == "AssumedRole" and arn.count("/") >= 2:
        role, session = arn.split("/")[-2:]
        return f"{session} ({role})"
    named = identity.get("userName") or identity.get("invokedBy") or (arn.rpartition("/")[2] if "/" in arn else "")
    return str(named or ("root" if identity.get("type") == "Root" else "somebody"))
