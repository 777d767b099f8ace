"""RDS: database instances by their identifiers, with the address they answer under and the groups that guard them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct, moment
from infraconsole.errors import AwsNotFound

INSTANCES_PER_CALL = 100
"""The largest page that DescribeDBInstances gives."""


@dataclass(frozen=True)
class DbInstance:
    """A database instance, from DescribeDBInstances.

    `status` is AWS's word (available, backing-up, stopped, …). `address` is "" and `port` 0 while it is being created.
    """

    identifier: str
    arn: str
    status: str
    address: str
    port: int
    engine: str
    engine_version: str
    instance_class: str
    vpc_id: str
    security_group_ids: tuple[str, ...]
    multi_az: bool
    encrypted: bool
    kms_key_id: str
    master_secret_arn: str
    """Of the secret that RDS itself keeps the master password in; "" where it was given one."""
    replicates: str
    """The identifier or ARN of the instance that it is a read replica of; "" for none."""
    created_at: datetime | None


class Rds:
    """Reads of one region's database instances. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def instances(self, identifiers: Sequence[str]) -> tuple[DbInstance, ...]:
        """The instances of those identifiers in the order asked for, without those that do not exist.

        Identifiers count without regard to case, as in RDS, which keeps them in lower case.
        """
        asked = distinct([identifier.lower() for identifier in identifiers])
        found: dict[str, DbInstance] = {}
        for batch in batches(asked, INSTANCES_PER_CALL):
            for instance in self._batch(batch):
                found[instance.identifier.lower()] = instance
        return tuple(found[one] for one in asked if one in found)

    def instance(self, identifier: str) -> DbInstance | None:
        """The instance of that identifier; None if there is none."""
        try:
            pages = self.access.pages("rds", "DescribeDBInstances", "DBInstances", DBInstanceIdentifier=identifier)
            return next((parse_instance(raw) for raw in pages), None)
        except AwsNotFound:
            return None

    def _batch(self, identifiers: Sequence[str]) -> Iterator[DbInstance]:
        wanted = [{"Name": "db-instance-id", "Values": list(identifiers)}]
        try:
            pages = self.access.pages("rds", "DescribeDBInstances", "DBInstances", Filters=wanted)
            yield from [parse_instance(raw) for raw in pages]
        except AwsNotFound:
            # RDS does not promise that a filter just leaves out what it does not find.
            yield from (instance for one in identifiers if (instance := self.instance(one)) is not None)


def parse_instance(raw: Mapping[str, Any]) -> DbInstance:
    endpoint, subnets = raw.get("Endpoint") or {}, raw.get("DBSubnetGroup") or {}
    groups = raw.get("VpcSecurityGroups") or ()
    return DbInstance(
        identifier=str(raw.get("DBInstanceIdentifier") or ""),
        arn=str(raw.get("DBInstanceArn") or ""),
        status=str(raw.get("DBInstanceStatus") or ""),
        address=str(endpoint.get("Address") or ""),
        port=int(endpoint.get("Port") or 0),
        engine=str(raw.get("Engine") or ""),
        engine_version=str(raw.get("EngineVersion") or ""),
        instance_class=str(raw.get("DBInstanceClass") or ""),
        vpc_id=str(subnets.get("VpcId") or ""),
        security_group_ids=tuple(str(group.get("VpcSecurityGroupId") or "") for group in groups),
        multi_az=bool(raw.get("MultiAZ")),
        encrypted=bool(raw.get("StorageEncrypted")),
        kms_key_id=str(raw.get("KmsKeyId") or ""),
        master_secret_arn=str((raw.get("MasterUserSecret") or {}).get("SecretArn") or ""),
        replicates=str(raw.get("ReadReplicaSourceDBInstanceIdentifier") or ""),
        created_at=moment(raw.get("InstanceCreateTime")),
    )
