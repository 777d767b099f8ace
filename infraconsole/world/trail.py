"""CloudTrail in the world: moto keeps trails, but records nothing. Here are the log files that AWS would deliver of what is
stored in the state buckets, seeded and later. They are there at once, where AWS takes some minutes."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from moto.backends import get_backend

from infraconsole.world.company import Company
from infraconsole.world.http import Environ, StartResponse, WsgiApp, collect
from infraconsole.world.tfstate import TERRAFORM_VERSION
from infraconsole.world.wire import Wire, WireError

TRAIL = "ryuqqq-trail"
OPERATOR = ("on-call", "operator")
"""Role and session of whoever uses the world's credentials."""
_PATH = re.compile(r"/(?P<bucket>[^/]+)/(?P<key>.+)")
_SEEDED_AGENT = f"APN/1.0 HashiCorp/1.0 Terraform/{TERRAFORM_VERSION} (+https://www.terraform.io) aws-sdk-go-v2/1.32.2"


class TrailWriter:
    def __init__(self, wire: Wire, company: Company) -> None:
        self._wire = wire
        self._company = company

    def set_up(self) -> None:
        """The trail, which records what is done with the objects of the state buckets, and the bucket of its logs."""
        company = self._company
        location = (
            '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<LocationConstraint>{company.region}</LocationConstraint></CreateBucketConfiguration>"
        )
        self._wire.s3("PUT", f"/{company.log_bucket}", location.encode())
        self._wire.json(
            "cloudtrail", "CreateTrail", Name=TRAIL, S3BucketName=company.log_bucket, IsMultiRegionTrail=True
        )
        values = [f"arn:aws:s3:::{about.state_bucket}/" for about in company.environments.values()]
        selector = {
            "ReadWriteType": "WriteOnly",
            "IncludeManagementEvents": True,
            "DataResources": [{"Type": "AWS::S3::Object", "Values": values}],
        }
        self._wire.json("cloudtrail", "PutEventSelectors", TrailName=TRAIL, EventSelectors=[selector])
        self._wire.json("cloudtrail", "StartLogging", Name=TRAIL)

    def stored(
        self,
        bucket: str,
        version: Any,
        who: tuple[str, str],
        *,
        event: str = "PutObject",
        agent: str = _SEEDED_AGENT,
        source_ip: str = "203.0.113.24",
    ) -> None:
        """Deliver the record of that version (moto's own object: a key, or a delete marker); `who` is role and session."""
        at: datetime = version.last_modified.replace(tzinfo=UTC)
        account, region = self._company.account, self._company.region
        role, session = who
        record = {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": f"AROAEXAMPLE{role.upper()}:{session}",
                "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
                "accountId": account,
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "arn": f"arn:aws:iam::{account}:role/{role}",
                        "accountId": account,
                        "userName": role,
                    }
                },
            },
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "s3.amazonaws.com",
            "eventName": event,
            "awsRegion": region,
            "sourceIPAddress": source_ip,
            "userAgent": f"[{agent}]",
            "requestParameters": {"bucketName": bucket, "key": version.name},
            "responseElements": {"x-amz-version-id": version.version_id},
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": False,
            "recipientAccountId": account,
            "eventCategory": "Data",
        }
        name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{uuid.uuid4().hex[:16]}.json.gz"
        body = gzip.compress(json.dumps({"Records": [record]}).encode())
        path = f"/{self._company.log_bucket}/AWSLogs/{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}"
        self._wire.s3("PUT", path, body)


class RecordingApp:
    """A WSGI application around the emulator's, which has what is stored in or deleted from a state bucket recorded."""

    def __init__(self, app: WsgiApp, writer: TrailWriter, company: Company) -> None:
        self._app = app
        self._writer = writer
        self._account = company.account
        self._buckets = frozenset(about.state_bucket for about in company.environments.values())

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = _PATH.fullmatch(str(environ.get("PATH_INFO", "")))
        event = _event(environ) if path and path["bucket"] in self._buckets else ""
        if path is None or not event:
            return self._app(environ, start_response)
        status, headers, body = collect(self._app, environ)
        if int(status[:3]) < 300:
            self._record(environ, event, path["bucket"], path["key"], headers)
        start_response(status, headers)
        return [body]

    def _record(self, environ: Environ, event: str, bucket: str, key: str, headers: list[tuple[str, str]]) -> None:
        version_id = next((value for name, value in headers if name.lower() == "x-amz-version-id"), "")
        versions = get_backend("s3")[self._account]["aws"].buckets[bucket].keys.getlist(key)
        version = next((each for each in reversed(versions) if each.version_id == version_id), None)
        if version is not None:
            agent = str(environ.get("HTTP_USER_AGENT", ""))
            source_ip = str(environ.get("REMOTE_ADDR", "127.0.0.1"))
            # Somebody may have deleted the log bucket: then nothing is delivered, and the call succeeds all the same.
            with suppress(WireError):
                self._writer.stored(bucket, version, OPERATOR, event=event, agent=agent, source_ip=source_ip)


def _event(environ: Environ) -> str:
    """The name of the call, if it makes a version of an object or a delete marker; else ""."""
    method, copies = environ.get("REQUEST_METHOD"), "HTTP_X_AMZ_COPY_SOURCE" in environ
    # Go's SDK says in x-id what it does; anything else asked for is about a part, a tag, one version, …
    asked = set(parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)) - {"x-id"}
    if method == "PUT" and not asked:
        return "CopyObject" if copies else "PutObject"
    if method == "DELETE" and not asked:
        return "DeleteObject"
    return "CompleteMultipartUpload" if method == "POST" and asked == {"uploadId"} else ""
