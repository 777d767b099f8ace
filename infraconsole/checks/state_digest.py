"""The checksum that Terraform's S3 backend keeps of a state in the lock table (backend/remote-state/s3/client.go)."""

from __future__ import annotations

import hashlib

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.dynamodb import DynamoDb


def key_of(bucket: str, key: str) -> str:
    """Of its item, `LockID`."""
    return f"{bucket}/{key}-md5"


def kept(access: AwsAccess, table: str, bucket: str, key: str) -> str:
    """What the table says; "" where it says nothing. Raises AwsError."""
    return (DynamoDb(access).item(table, key_of(bucket, key)) or {}).get("Digest", "")


def calculated(body: bytes) -> str:
    # Terraform's own choice; it guards against a stale read, not against an attacker.
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
