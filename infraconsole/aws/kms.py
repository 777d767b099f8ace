"""KMS: whether a key can still be used, whether it rotates, and by which names it goes.

Three calls in place of one object, since a key's policy may allow any of them without the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment
from infraconsole.errors import AwsNotFound

SYMMETRIC = "SYMMETRIC_DEFAULT"
OWN_MATERIAL = "AWS_KMS"


@dataclass(frozen=True)
class Key:
    """A KMS key, from DescribeKey.

    `state`: Enabled, Disabled, PendingDeletion, PendingReplicaDeletion, PendingImport, Unavailable, Creating, Updating;
    `manager`: CUSTOMER or AWS; `origin`: AWS_KMS, EXTERNAL, AWS_CLOUDHSM or EXTERNAL_KEY_STORE.
    """

    arn: str
    id: str
    description: str
    state: str
    enabled: bool
    manager: str
    spec: str
    origin: str
    deletion_at: datetime | None
    """When AWS destroys it, where its deletion is scheduled."""

    @property
    def can_rotate(self) -> bool:
        """Whether KMS can renew its material by itself: not for asymmetric, HMAC, imported and external keys."""
        return self.spec == SYMMETRIC and self.origin == OWN_MATERIAL


class Kms:
    """Reads of one region's keys. Every method raises AwsError; `key_id` is an id or an ARN of this region."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def key(self, key_id: str) -> Key | None:
        """The key, also one whose deletion is scheduled; None if there is no such key."""
        try:
            answer = self.access.call("kms", "DescribeKey", KeyId=key_id)
        except AwsNotFound:
            return None
        return parse_key(answer.get("KeyMetadata") or {})

    def rotates(self, key_id: str) -> bool:
        """Whether automatic rotation is on. AWS refuses the question for keys of which `can_rotate` is false."""
        answer = self.access.call("kms", "GetKeyRotationStatus", KeyId=key_id)
        return bool(answer.get("KeyRotationEnabled"))

    def aliases(self, key_id: str) -> tuple[str, ...]:
        """The key's aliases as `alias/…`, sorted."""
        return tuple(
            sorted(
                str(alias.get("AliasName") or "")
                for alias in self.access.pages("kms", "ListAliases", "Aliases", KeyId=key_id)
            )
        )


def parse_key(raw: Mapping[str, Any]) -> Key:
    return Key(
        arn=str(raw.get("Arn") or ""),
        id=str(raw.get("KeyId") or ""),
        description=str(raw.get("Description") or ""),
        state=str(raw.get("KeyState") or ""),
        enabled=bool(raw.get("Enabled")),
        manager=str(raw.get("KeyManager") or ""),
        spec=str(raw.get("KeySpec") or raw.get("CustomerMasterKeySpec") or SYMMETRIC),
        origin=str(raw.get("Origin") or OWN_MATERIAL),
        deletion_at=moment(raw.get("DeletionDate")),
    )
