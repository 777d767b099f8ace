"""Secrets Manager, without the secrets: whether one is there, under which key, and whether it is about to go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment
from infraconsole.errors import AwsNotFound


@dataclass(frozen=True)
class Secret:
    """A secret, from DescribeSecret, which never gives its value."""

    arn: str
    name: str
    description: str
    kms_key_id: str
    """Id, ARN or alias of the key it is encrypted with; "" for aws/secretsmanager."""
    rotates: bool
    deleted_at: datetime | None
    """AWS's date of its deletion, once that was asked for: it cannot be read any more, but be restored for 7 to 30 days."""
    changed_at: datetime | None


class SecretsManager:
    """Reads of one region's secrets. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def secret(self, secret_id: str) -> Secret | None:
        """The secret of that ARN or name, also one whose deletion is scheduled; None if there is none.

        AWS finds a secret by an ARN without its last hyphen and six characters too: compare `arn` where it matters.
        """
        try:
            return parse_secret(self.access.call("secretsmanager", "DescribeSecret", SecretId=secret_id))
        except AwsNotFound:
            return None


def parse_secret(raw: Mapping[str, Any]) -> Secret:
    return Secret(
        arn=str(raw.get("ARN") or ""),
        name=str(raw.get("Name") or ""),
        description=str(raw.get("Description") or ""),
        kms_key_id=str(raw.get("KmsKeyId") or ""),
        rotates=bool(raw.get("RotationEnabled")),
        deleted_at=moment(raw.get("DeletedDate")),
        changed_at=moment(raw.get("LastChangedDate")),
    )
