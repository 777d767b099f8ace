"""Who holds a Terraform state: the lock object beside it, or the lock table's item, as the S3 backend writes them."""

from __future__ import annotations

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.s3 import S3
from infraconsole.config import EnvironmentSettings
from infraconsole.errors import AwsNotFound
from infraconsole.terraform.state import LockInfo, parse_lock


def held(access: AwsAccess, settings: EnvironmentSettings, bucket: str, key: str) -> LockInfo | None:
    """None where it is free. Raises AwsError, and StateUnreadable for a lock that nobody can read."""
    if settings.use_lockfile:
        try:
            stored = S3(access).get(bucket, f"{key}.tflock")
            return parse_lock(stored.body or b"", f"s3://{bucket}/{key}.tflock")
        except AwsNotFound as error:
            if error.code == "NoSuchBucket":
                raise
    if settings.lock_table:
        item = DynamoDb(access).item(settings.lock_table, f"{bucket}/{key}")
        if item and item.get("Info"):
            return parse_lock(item["Info"], f"The lock in {settings.lock_table}")
    return None
