"""Exports of the network: are the VPC, the subnets and the security groups there, in one VPC, in the right tier, and
spread over more than one availability zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from infraconsole.aws.ec2 import Subnet
from infraconsole.checks.export_facts import Facts, PointedAt
from infraconsole.checks.export_values import Export, listed, of_target, sentences, shown
from infraconsole.checks.findings import Finding

ZONES_WANTED = 2

_TIER_TAG = "Tier"
# What people write into the tag; a word that is in no row says nothing.
_TIER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("public", "dmz"), "public"),
    **dict.fromkeys(("private", "app", "application"), "private"),
    **dict.fromkeys(("data", "database", "db", "isolated"), "data"),
}


def network_findings(exports: Sequence[Export], facts: PointedAt | None) -> Iterator[Finding]:
    """Without facts only what the values say by themselves: a subnet that two tiers export."""
    doubled = _in_two_tiers(exports)
    yield from _two_tier_findings(doubled, facts)
    if facts is None:
        return
    for export in of_target(exports, "vpc"):
        yield from _vpc(export, facts)
    for export in of_target(exports, "subnets"):
        yield from _subnets(export, facts, _vpc_beside(export, exports, facts), set(doubled))
    for export in of_target(exports, "security-group"):
        yield from _security_group(export, facts, _vpc_beside(export, exports, facts))


def _vpc(export: Export, facts: PointedAt) -> Iterator[Finding]:
    if error := facts.vpcs.error(export.item):
        yield export.not_checked(f"{export.item} exists", error)
    elif facts.vpcs.get(export.item) is None:
        yield export.points_at_nothing(f"There is no VPC {export.item} in {facts.here}")


def _vpc_beside(export: Export, exports: Sequence[Export], facts: PointedAt) -> str:
    """The VPC that this export's things have to be in: the one exported in the same folder, else the only one exported.
    "" where that is not known, or where that VPC is itself not there, which is complaint enough."""
    candidates = of_target(exports, "vpc")
    beside = [one for one in candidates if one.folder == export.folder] or candidates
    named = {one.item for one in beside}
    vpc = named.pop() if len(named) == 1 else ""
    return vpc if vpc in facts.vpcs.failed or facts.vpcs.get(vpc) is not None else ""


def _subnets(export: Export, facts: PointedAt, vpc: str, doubled: set[str]) -> Iterator[Finding]:
    if error := facts.subnets.error(*export.items):
        yield export.not_checked("these subnets exist", error)
        return
    there = [subnet for item in export.items if (subnet := facts.subnets.get(item)) is not None]
    gone = [item for item in export.items if facts.subnets.get(item) is None]
    if gone:
        yield export.points_at_nothing(f"There is no subnet {listed(gone)} in {facts.here}")
    strangers = [subnet for subnet in there if vpc and subnet.vpc_id != vpc]
    if strangers:
        where = listed([f"{subnet.id} (in {subnet.vpc_id})" for subnet in strangers])
        yield export.points_at_nothing(f"Not in the exported VPC {vpc}: {where}")
        return
    yield from _tier(export, [subnet for subnet in there if subnet.id not in doubled])
    zones = sorted({subnet.zone for subnet in there})
    if not gone and len(zones) < ZONES_WANTED:
        message = (
            f"All {len(there)} subnets are in {listed(zones)}: the failure of that zone takes everything in them down, "
            "and load balancers and database subnet groups refuse fewer than two zones."
            if len(there) > 1
            else f"The only subnet is in {listed(zones)}: the failure of that zone takes everything in it down, "
            "and load balancers and database subnet groups refuse fewer than two zones."
        )
        mend = export.mend("Add a subnet in another zone")
        yield export.finding("subnet-az-spread", "warning", message, mend)


def _tier(export: Export, subnets: Sequence[Subnet]) -> Iterator[Finding]:
    """Whether the subnets' own tags, and what they do with addresses, contradict the tier they are exported as."""
    tier = export.detail
    tagged = [subnet for subnet in subnets if (said := _tier_of(subnet)) and said != tier]
    open_ = [subnet for subnet in subnets if subnet.maps_public_ip and tier != "public" and subnet not in tagged]
    if tagged:
        tags = listed([f"{subnet.id} ({_TIER_TAG} = {shown(subnet.tag(_TIER_TAG).strip())})" for subnet in tagged])
        message = f"Exported as {tier}, but by the tag another tier's: {tags}. {export.why}"
        mend = export.mend("Mend the export or the tag, whichever is wrong,")
        yield export.finding("subnet-tier", "warning", message, mend)
    if open_:
        ids = listed([subnet.id for subnet in open_])
        message = f"Exported as {tier}, but what starts in {ids} gets a public address. {export.why}"
        mend = export.mend("Set map_public_ip_on_launch = false")
        yield export.finding("subnet-tier", "warning", message, mend)


def _tier_of(subnet: Subnet) -> str:
    """The tier that the subnet's tag names; "" for none."""
    return _TIER_WORDS.get(subnet.tag(_TIER_TAG).strip().lower(), "")


def _in_two_tiers(exports: Sequence[Export]) -> dict[str, list[Export]]:
    """The subnets that are exported as more than one tier, and the exports they are in."""
    holders: dict[str, list[Export]] = {}
    for export in of_target(exports, "subnets"):
        for item in export.items:
            holders.setdefault(item, []).append(export)
    return {item: each for item, each in holders.items() if len({export.detail for export in each}) > 1}


def _two_tier_findings(doubled: Mapping[str, Sequence[Export]], facts: PointedAt | None) -> Iterator[Finding]:
    """On the exports that a subnet does not belong in by its tag; on all where the tag does not tell."""
    subnets: Facts[Subnet] = facts.subnets if facts else Facts()
    wrong: dict[str, tuple[Export, list[str], dict[str, None]]] = {}
    for item, holders in doubled.items():
        subnet = subnets.get(item)
        tier = _tier_of(subnet) if subnet else ""
        told = tier in {export.detail for export in holders}
        for export in holders:
            if not told or export.detail != tier:
                _, items, others = wrong.setdefault(export.name, (export, [], {}))
                items.append(item)
                others.update({one.name: None for one in holders if one.detail != export.detail})
    for export, items, others in wrong.values():
        message = (
            f"{listed(items)} {'is' if len(items) == 1 else 'are'} exported as {export.detail} and by "
            f"{listed(list(others))} too: what belongs into one tier ends up in the other. {export.why}"
        )
        yield export.finding("subnet-tier", "error", message)


def _security_group(export: Export, facts: PointedAt, vpc: str) -> Iterator[Finding]:
    if error := facts.security_groups.error(export.item):
        yield export.not_checked(f"{export.item} exists", error)
        return
    group = facts.security_groups.get(export.item)
    if group is None:
        yield export.points_at_nothing(f"There is no security group {export.item} in {facts.here}")
    elif vpc and group.vpc_id != vpc:
        what = f"The security group {group.id} is in {group.vpc_id}, not in the exported VPC {vpc}"
        yield export.points_at_nothing(sentences(what, "No rule can name it from there"))
