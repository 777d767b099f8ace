"""The checksum that Terraform's S3 backend keeps of a state in the lock table (backend/remote-state/s3/client.go)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.terraform.state import StateSummary, summary


def key_of(bucket: str, key: str) -> str:
    """Of its item, `LockID`."""
    return f"{bucket}/{key}-md5"


def kept(access: AwsAccess, table: str, bucket: str, key: str) -> str:
    """What the table says; "" where it says nothing. Raises AwsError."""
    return (DynamoDb(access).item(table, key_of(bucket, key)) or {}).get("Digest", "")


def calculated(body: bytes) -> str:
    # Terraform's own choice; it guards against a stale read, not against an attacker.
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def summary_with_md5(body: bytes, name: str) -> StateSummary:
    """As `summary`, and its checksum. Raises StateUnreadable."""
    return replace(summary(body, name), md5=calculated(body))


def last_stored(versions: Sequence[StateSummary | None], digest: str) -> int | None:
    """The place of the newest version that Terraform stored itself; None where there is none. `versions` from the newest on, None
    for what is no state; `digest` is what the lock table keeps, "" where that tells nothing.

    That is the newest whole one, unless the digest is an older one's, from which the newest does not go on: it was then
    written outside of Terraform. One that goes on may be Terraform's own, of which only the digest was not written.
    """
    whole = next((place for place, state in enumerate(versions) if state), None)
    if whole is None or not digest:
        return whole
    kept = next((place for place, state in enumerate(versions) if state and state.md5 == digest), whole)
    newest, told = versions[whole], versions[kept]
    goes_on = newest and told and newest.lineage == told.lineage and newest.serial > told.serial
    return whole if goes_on else kept
