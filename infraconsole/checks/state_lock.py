"""Who holds a Terraform state: the lock object beside it, or the lock table's item, as the S3 backend writes them."""

from __future__ import annotations

from typing import Protocol

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.s3 import S3
from infraconsole.errors import AwsNotFound
from infraconsole.terraform.state import LockInfo, parse_lock


class Locking(Protocol):
    """How a state is locked: by an environment's settings, or by its backend."""

    @property
    def use_lockfile(self) -> bool | None: ...

    @property
    def lock_table(self) -> str | None: ...


def held(access: AwsAccess, settings: Locking, bucket: str, key: str) -> LockInfo | None:
    """None where it is free. Raises AwsError, and StateUnreadable for a lock that nobody can read."""
    return next(iter(all_held(access, settings, bucket, key)), None)


def has_lockfile(settings: Locking) -> bool:
    """On, unless something else locks."""
    return bool(settings.use_lockfile or (settings.use_lockfile is None and not settings.lock_table))


def lockfile_of(key: str) -> str:
    return f"{key}.tflock"


def item_of(bucket: str, key: str) -> str:
    """The LockID of the lock table's item."""
    return f"{bucket}/{key}"


def all_held(access: AwsAccess, settings: Locking, bucket: str, key: str) -> tuple[LockInfo, ...]:
    """One for each place where it is locked: where both lockings are set, Terraform takes both, and one may be left alone."""
    found: list[LockInfo] = []
    if has_lockfile(settings):
        try:
            stored = S3(access).get(bucket, lockfile_of(key))
            found.append(parse_lock(stored.body or b"", f"s3://{bucket}/{lockfile_of(key)}"))
        except AwsNotFound as error:
            if error.code != "NoSuchKey":  # nor does a proxy's 404 say that nobody holds it
                raise
    if settings.lock_table:
        item = DynamoDb(access).item(settings.lock_table, item_of(bucket, key))
        if item and item.get("Info"):
            found.append(parse_lock(item["Info"], f"The lock in {settings.lock_table}"))
    return tuple(found)
