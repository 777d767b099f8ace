"""EC2, as far as exports name it: VPCs, subnets and security groups by their ids, with what is gone simply left out.

Everything is asked for by filter: by id, AWS refuses the whole call for one id that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct

IDS_PER_CALL = 100
"""A filter takes 200 values."""

Tags = tuple[tuple[str, str], ...]


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_Found = TypeVar("_Found", bound=_Identified)


@dataclass(frozen=True)
class Vpc:
    """A VPC, from DescribeVpcs. `state`: pending or available; `owner` is the account it belongs to."""

    id: str
    state: str
    cidr_block: str
    is_default: bool
    owner: str
    tags: Tags

    def tag(self, key: str) -> str:
        """The tag's value, "" without such a tag."""
        return dict(self.tags).get(key, "")


@dataclass(frozen=True)
class Subnet:
    """A subnet, from DescribeSubnets. `zone` is the availability zone's name (ap-northeast-2a), which stands for another
    place in another account, and `zone_id` (apne2-az1), which does not."""

    id: str
    vpc_id: str
    zone: str
    zone_id: str
    state: str
    cidr_block: str
    free_addresses: int
    maps_public_ip: bool
    """Whether what is started in it gets a public address unless it says otherwise."""
    owner: str
    tags: Tags

    def tag(self, key: str) -> str:
        """The tag's value, "" without such a tag."""
        return dict(self.tags).get(key, "")


@dataclass(frozen=True)
class SecurityGroup:
    """A security group, from DescribeSecurityGroups, without its rules."""

    id: str
    name: str
    description: str
    vpc_id: str
    owner: str
    tags: Tags


class Ec2:
    """Reads of one region's network. Every method raises AwsError.

    What does not exist in this account and region is left out of an answer, which is in the order asked for.
    """

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def vpcs(self, ids: Sequence[str]) -> tuple[Vpc, ...]:
        return self._by_ids(ids, "DescribeVpcs", "Vpcs", "vpc-id", parse_vpc)

    def subnets(self, ids: Sequence[str]) -> tuple[Subnet, ...]:
        """Also subnets that another account shares with this one."""
        return self._by_ids(ids, "DescribeSubnets", "Subnets", "subnet-id", parse_subnet)

    def security_groups(self, ids: Sequence[str]) -> tuple[SecurityGroup, ...]:
        return self._by_ids(ids, "DescribeSecurityGroups", "SecurityGroups", "group-id", parse_security_group)

    def _by_ids(
        self, ids: Sequence[str], operation: str, key: str, name: str, parse: Callable[[Mapping[str, Any]], _Found]
    ) -> tuple[_Found, ...]:
        asked = distinct(ids)
        found = {one.id: one for one in map(parse, self._raw(asked, operation, key, name))}
        return tuple(found[one] for one in asked if one in found)

    def _raw(self, ids: Sequence[str], operation: str, key: str, name: str) -> Iterator[Mapping[str, Any]]:
        for batch in batches(ids, IDS_PER_CALL):
            yield from self.access.pages("ec2", operation, key, Filters=[{"Name": name, "Values": list(batch)}])


def parse_vpc(raw: Mapping[str, Any]) -> Vpc:
    return Vpc(
        id=str(raw.get("VpcId") or ""),
        state=str(raw.get("State") or ""),
        cidr_block=str(raw.get("CidrBlock") or ""),
        is_default=bool(raw.get("IsDefault")),
        owner=str(raw.get("OwnerId") or ""),
        tags=_tags(raw),
    )


def parse_subnet(raw: Mapping[str, Any]) -> Subnet:
    return Subnet(
        id=str(raw.get("SubnetId") or ""),
        vpc_id=str(raw.get("VpcId") or ""),
        zone=str(raw.get("AvailabilityZone") or ""),
        zone_id=str(raw.get("AvailabilityZoneId") or ""),
        state=str(raw.get("State") or ""),
        cidr_block=str(raw.get("CidrBlock") or ""),
        free_addresses=int(raw.get("AvailableIpAddressCount") or 0),
        maps_public_ip=bool(raw.get("MapPublicIpOnLaunch")),
        owner=str(raw.get("OwnerId") or ""),
        tags=_tags(raw),
    )


def parse_security_group(raw: Mapping[str, Any]) -> SecurityGroup:
    return SecurityGroup(
        id=str(raw.get("GroupId") or ""),
        name=str(raw.get("GroupName") or ""),
        description=str(raw.get("Description") or ""),
        vpc_id=str(raw.get("VpcId") or ""),
        owner=str(raw.get("OwnerId") or ""),
        tags=_tags(raw),
    )


def _tags(raw: Mapping[str, Any]) -> Tags:
    return tuple(sorted((str(tag.get("Key")), str(tag.get("Value") or "")) for tag in raw.get("Tags") or ()))
