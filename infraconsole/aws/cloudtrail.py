"""CloudTrail: who stored a version of an object, as far as a trail's log files say.

Storing an object is a data event. LookupEvents has no data events, so the log files themselves are read: which trail
records the object is asked of CloudTrail, the rest is found in the trail's bucket. Only what AWS has delivered is known.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.errors import AwsError, AwsNotFound
from infraconsole.text import moment

DELIVERY = timedelta(minutes=15)
"""Until then a record may still be on its way: CloudTrail delivers within about five minutes, and promises nothing."""
SEARCHED = timedelta(minutes=30)
"""After an object was stored: the log files delivered within this time are looked through."""
MOST_FILES = 200
_AT_ONCE = 8
_MOST_BYTES = 100_000_000
"""Of one log file unpacked. CloudTrail's own are far smaller; a file that grows without end is not read to its end."""

_STORES = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject"})
_DELETES = frozenset({"DeleteObject", "DeleteObjects"})
_STAMP = "%Y%m%dT%H%MZ"
_TERRAFORM = re.compile(r"\b(Terraform|OpenTofu)/(\d[\w.+-]*)")
_PERMISSION_SET = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{16}")


@dataclass(frozen=True)
class Condition:
    """One field of a selector: operators as AWS names them, each with its values."""

    field: str
    operators: tuple[tuple[str, tuple[str, ...]], ...]

    def lets_pass(self, value: str) -> bool:
        """AWS joins what selects by OR, what deselects by AND, and both groups by AND ("Filtering data events")."""
        selects = [_compares(name, value, values) for name, values in self.operators if not name.startswith("Not")]
        refused = any(
            _compares(name.removeprefix("Not"), value, values)
            for name, values in self.operators
            if name.startswith("Not")
        )
        return not refused and (not selects or any(selects))


@dataclass(frozen=True)
class Trail:
    """A trail that concerns our region. `selectors` are what it records, an event passing all conditions of one of them;
    `error` is why they could not be asked for. `home_region` matters only to a trail of that region alone."""

    name: str
    arn: str
    bucket: str
    prefix: str
    home_region: str
    is_multi_region: bool = False
    is_organization: bool = False
    selectors: tuple[tuple[Condition, ...], ...] = ()
    error: AwsError | None = None

    def records(self, bucket: str, key: str, region: str) -> bool | None:
        """Whether writes to that object are recorded ("Logging data events"); None where the trail could not be asked."""
        if not self.bucket or (not self.is_multi_region and self.home_region not in ("", region)):
            return False
        if self.error is not None:
            return None
        partition = self.arn.split(":")[1] if self.arn.startswith("arn:") else "aws"
        event = {
            "eventCategory": "Data",
            "eventName": "PutObject",
            "eventSource": "s3.amazonaws.com",
            "readOnly": "false",
            "resources.type": "AWS::S3::Object",
            "resources.ARN": f"arn:{partition}:s3:::{bucket}/{key}",
        }
        # What a condition says of another field (userIdentity.arn) is not known beforehand, and does not exclude.
        return any(
            all(each.lets_pass(event[each.field]) for each in selector if each.field in event)
            for selector in self.selectors
        )


@dataclass(frozen=True)
class Author:
    """Who stored a version, from the record of it. All of it is as logged: make it harmless before it is shown."""

    who: str
    """What a person calls them: the user, `session (role)`, the service, root."""
    arn: str
    source_ip: str
    user_agent: str
    at: datetime | None

    @property
    def tool(self) -> str:
        """`Terraform 1.11.4` where the user agent names it, else ""."""
        found = _TERRAFORM.search(self.user_agent)
        return f"{found[1]} {found[2]}" if found else ""


class CloudTrail:
    """Reads of trails and of their log files. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def trails(self) -> tuple[Trail, ...]:
        """The trails that concern this region, those of other regions and of the organization included. One that does not
        tell what it records keeps its error, and hides none of the others."""
        found = self.access.call("cloudtrail", "DescribeTrails", includeShadowTrails=True).get("trailList") or ()
        return tuple(self._asked(raw) for raw in found)

    def _asked(self, raw: Mapping[str, Any]) -> Trail:
        name, arn = str(raw.get("Name") or ""), str(raw.get("TrailARN") or "")
        selectors: tuple[tuple[Condition, ...], ...] = ()
        error = None
        try:
            answer = self.access.call("cloudtrail", "GetEventSelectors", TrailName=arn or name)
            selectors = tuple(_selectors(answer))
        except AwsError as caught:
            error = caught
        return Trail(
            name=name,
            arn=arn,
            bucket=str(raw.get("S3BucketName") or ""),
            prefix=str(raw.get("S3KeyPrefix") or "").strip("/"),
            home_region=str(raw.get("HomeRegion") or ""),
            is_multi_region=bool(raw.get("IsMultiRegionTrail")),
            is_organization=bool(raw.get("IsOrganizationTrail")),
            selectors=selectors,
            error=error,
        )

    def author_of(self, trails: Iterable[Trail], account: str, region: str, version: StoredObject) -> Author | None:
        """Who stored this version, or set this delete marker, in the account and region that its bucket is in.

        None where the log files say nothing (yet), and in a bucket without versions, whose writes cannot be told apart.
        An error is raised only where no trail had the answer.
        """
        if version.version_id in ("", "null") or version.modified_at is None:
            return None
        records = [(trail.records(version.bucket, version.key, region), trail) for trail in trails]
        asked = [trail for does, trail in records if does] + [trail for does, trail in records if does is None]
        error: AwsError | None = None
        for trail in asked:
            try:
                found = self._author_in(trail, account, region, version, version.modified_at.astimezone(UTC))
            except AwsError as caught:
                error = error or caught
                continue
            if found is not None:
                return found
        if error is not None:
            raise error
        return None

    def _author_in(
        self, trail: Trail, account: str, region: str, version: StoredObject, stored_at: datetime
    ) -> Author | None:
        keys = tuple(islice(self._files(trail, account, region, stored_at), MOST_FILES))
        s3 = S3(self.access)

        def read(key: str) -> Author | None:
            try:
                return _author_in_file(s3.get(trail.bucket, key).body or b"", version)
            except AwsNotFound:  # its time was up between the listing and now
                return None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for some in batches(keys, _AT_ONCE):
                for found in pool.map(read, some):
                    if found is not None:
                        return found
        return None

    def _files(self, trail: Trail, account: str, region: str, stored_at: datetime) -> Iterator[str]:
        """The log files delivered after that moment, oldest first, across midnight.

        `AWSLogs/<account>/CloudTrail/<region>/YYYY/MM/DD/<account>_CloudTrail_<region>_YYYYMMDDTHHmmZ_<unique>.json.gz`;
        the time is that of the delivery ("CloudTrail log file name format"), so that none before it can hold the record.
        """
        until = stored_at + SEARCHED
        days = [stored_at.date()] + ([until.date()] if until.date() != stored_at.date() else [])
        for folder in self._folders(trail, account):
            for day in days:
                start = f"{folder}CloudTrail/{region}/{day:%Y/%m/%d}/{account}_CloudTrail_{region}_"
                asked = {"Bucket": trail.bucket, "Prefix": start, "StartAfter": f"{start}{stored_at.strftime(_STAMP)}"}
                for raw in self.access.pages("s3", "ListObjectsV2", "Contents", **asked):
                    key = str(raw.get("Key") or "")
                    if key[len(start) :].partition("_")[0] > until.strftime(_STAMP):
                        break
                    if key.endswith(".json.gz"):
                        yield key

    def _folders(self, trail: Trail, account: str) -> Iterator[str]:
        """Where the account's logs are: an organization's trail puts a folder with its id (`o-…`) above the accounts."""
        root = f"{trail.prefix}/AWSLogs/" if trail.prefix else "AWSLogs/"
        if trail.is_organization:
            asked = {"Bucket": trail.bucket, "Prefix": f"{root}o-", "Delimiter": "/"}
            for raw in self.access.pages("s3", "ListObjectsV2", "CommonPrefixes", **asked):
                yield f"{raw.get('Prefix') or ''}{account}/"
        yield f"{root}{account}/"


def _compares(operator: str, value: str, values: Sequence[str]) -> bool:
    match operator:
        case "Equals":
            return value in values
        case "StartsWith":
            return value.startswith(tuple(values))
        case "EndsWith":
            return value.endswith(tuple(values))
    return False


def _selectors(answer: Mapping[str, Any]) -> Iterator[tuple[Condition, ...]]:
    """Basic selectors name object ARNs by their beginnings ("arn:aws:s3" is all); advanced ones have conditions of their own."""
    for raw in answer.get("AdvancedEventSelectors") or ():
        yield tuple(_condition(each) for each in raw.get("FieldSelectors") or ())
    for raw in answer.get("EventSelectors") or ():
        reads = {"ReadOnly": ("true",), "WriteOnly": ("false",)}.get(str(raw.get("ReadWriteType")), ("true", "false"))
        for resource in raw.get("DataResources") or ():
            yield (
                Condition("readOnly", (("Equals", reads),)),
                Condition("resources.type", (("Equals", (str(resource.get("Type")),)),)),
                Condition("resources.ARN", (("StartsWith", tuple(map(str, resource.get("Values") or ()))),)),
            )


def _condition(raw: Mapping[str, Any]) -> Condition:
    operators = ((str(name), tuple(map(str, values))) for name, values in raw.items() if isinstance(values, list))
    return Condition(str(raw.get("Field") or ""), tuple(operators))


def _author_in_file(body: bytes, version: StoredObject) -> Author | None:
    """A log file is JSON with "Records", packed by gzip. A damaged one says nothing."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            unpacked = file.read(_MOST_BYTES)
        # Taking megabytes of JSON apart costs far more than seeing that the version is not in them.
        document = json.loads(unpacked) if version.version_id.encode() in unpacked else None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError):
        return None
    records = _mapping(document).get("Records")
    for record in records if isinstance(records, list) else ():
        if _is_of(_mapping(record), version):
            return _author(record)
    return None


def _is_of(record: Mapping[str, Any], version: StoredObject) -> bool:
    """Of several objects deleted by one call AWS logs each as a DeleteObject; the call itself names none of them."""
    asked, answered = _mapping(record.get("requestParameters")), _mapping(record.get("responseElements"))
    return (
        record.get("eventName") in (_DELETES if version.is_delete_marker else _STORES)
        and asked.get("bucketName") == version.bucket
        and asked.get("key") == version.key
        and answered.get("x-amz-version-id") == version.version_id
    )


def _author(record: Mapping[str, Any]) -> Author:
    identity = _mapping(record.get("userIdentity"))
    return Author(
        who=_who(identity),
        arn=_text(identity, "arn"),
        source_ip=_text(record, "sourceIPAddress"),
        user_agent=_text(record, "userAgent").removeprefix("[").removesuffix("]"),
        at=moment(_text(record, "eventTime")),
    )


def _who(identity: Mapping[str, Any]) -> str:
    """By its type, as "CloudTrail userIdentity element" lists them. A role of IAM Identity Center is called as its
    permission set."""
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    arn, user = _text(identity, "arn"), _text(identity, "userName")
    principal, account = _text(identity, "principalId"), _text(identity, "accountId")
    last = arn.rpartition("/")[2]
    match identity.get("type"):
        case "Root":
            return "root"
        case "AssumedRole":
            role = _text(issuer, "userName") or (arn.split("/")[1] if arn.count("/") > 1 else "")
            permission_set = _PERMISSION_SET.fullmatch(role)
            role = permission_set[1] if permission_set else role
            session = last or principal.partition(":")[2]
            return f"{session} ({role})" if session and role else session or role or "an assumed role"
        case "AWSService":
            return _text(identity, "invokedBy") or "an AWS service"
        case "AWSAccount":
            return f"somebody of the account {account}"
    return user or last or principal or _text(identity, "type") or "unknown"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return "" if value is None else str(value)
