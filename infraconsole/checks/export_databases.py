"""Exports of the shared databases: do identifier, endpoint, security group and master secret name one instance that is
there and can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infraconsole.aws.rds import DbInstance
from infraconsole.checks.export_facts import PointedAt, endpoint_identifier, instance_identifiers
from infraconsole.checks.export_values import Export, lacks_port, of_target, place
from infraconsole.checks.findings import Finding

_AVAILABLE = "available"
# RDS's own list of states in which an instance can still be reached.
_REACHABLE = frozenset(
    {
        *("backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth", "configuring-log-exports"),
        *("converting-to-vpc", "modifying", "moving-to-vpc", "renaming", "resetting-master-credentials"),
        *("storage-config-upgrade", "storage-initialization", "storage-optimization", "maintenance"),
    }
)


def database_findings(exports: Sequence[Export], facts: PointedAt | None) -> Iterator[Finding]:
    """Without facts only whether endpoints are `host:port`."""
    for export in exports:
        if lacks_port(export):
            message = f"{export.parameter.value} is a host without a port; it has to be host:port. {export.why}"
            mend = export.mend("Export the instance's endpoint, not its address,")
            yield export.finding("rds-endpoint", "error", message, mend)
    if facts is None:
        return
    for export in of_target(exports, "rds-identifier"):
        yield from _identifier(export, facts)
    for export in of_target(exports, "rds-endpoint"):
        yield from _endpoint(export, facts, _instance_beside(export, exports, facts))
    for export, instance in _named_instances(exports, facts):
        yield from _status(export, instance)
    for export in of_target(exports, "security-group"):
        yield from _group(export, facts, _instance_beside(export, exports, facts))
    for export in of_target(exports, "secret"):
        yield from _secret(export, facts, _instance_beside(export, exports, facts))


def _identifier(export: Export, facts: PointedAt) -> Iterator[Finding]:
    identifier = export.item.lower()
    if error := facts.instances.error(identifier):
        yield export.not_checked(f"the instance {export.item} exists", error)
    elif facts.instances.get(identifier) is None:
        yield export.points_at_nothing(f"There is no database instance {export.item} in {facts.here}")


def _instance_beside(export: Export, exports: Sequence[Export], facts: PointedAt) -> DbInstance | None:
    """The instance that the identifier in the same folder names; None without one, or where it is not there."""
    beside = (one for one in of_target(exports, "rds-identifier") if one.folder == export.folder)
    return next((found for one in beside if (found := facts.instances.get(one.item.lower()))), None)


def _endpoint(export: Export, facts: PointedAt, instance: DbInstance | None) -> Iterator[Finding]:
    """`instance` is the one that the identifier beside it names."""
    host, _, port = export.item.rpartition(":")
    error = facts.instances.error(*instance_identifiers([export]))
    if error and instance is None:
        yield export.not_checked("a database instance answers under this endpoint", error)
        return
    behind = facts.instances.get(endpoint_identifier(export.item))
    if behind is not None and behind.address.lower() != host.lower():
        behind = None
    if instance is None and behind is None:
        yield export.points_at_nothing(f"No database instance in {facts.here} has the address {host}")
        return
    meant = instance or behind
    if meant is None or not meant.address:  # being created: _status says so
        return
    if meant.address.lower() != host.lower():
        other = f"is that of {behind.identifier}" if behind else "is no instance's address here"
        message = (
            f"The identifier beside it names {meant.identifier}, which answers at {meant.address}:{meant.port}; "
            f"{host} {other}. {export.why}"
        )
        yield export.finding("rds-endpoint", "error", message)
    elif port != str(meant.port):
        message = f"{meant.identifier} answers on port {meant.port}, not {port}. {export.why}"
        yield export.finding("rds-endpoint", "error", message)


def _named_instances(exports: Sequence[Export], facts: PointedAt) -> Iterator[tuple[Export, DbInstance]]:
    """Each instance once, with the export to complain on: its endpoint, where that is exported too."""
    seen: set[str] = set()
    for export in of_target(exports, "rds-endpoint") + of_target(exports, "rds-identifier"):
        is_endpoint = export.target == "rds-endpoint"
        name = endpoint_identifier(export.item) if is_endpoint else export.item.lower()
        instance = facts.instances.get(name)
        if instance is not None and name not in seen:
            seen.add(name)
            yield export, instance


def _status(export: Export, instance: DbInstance) -> Iterator[Finding]:
    if instance.status == _AVAILABLE:
        return
    says = f"The database instance {instance.identifier} is {instance.status}"
    if instance.status in _REACHABLE:
        yield export.finding("rds-endpoint", "info", f"{says}; it can be reached.", "Nothing, unless it lasts.")
    else:
        mend = f"See what it waits for: aws rds describe-events --source-type db-instance --source-identifier {instance.identifier}"
        yield export.finding("rds-endpoint", "error", f"{says}, not {_AVAILABLE}. {export.why}", mend)


def _group(export: Export, facts: PointedAt, instance: DbInstance | None) -> Iterator[Finding]:
    group = facts.security_groups.get(export.item)
    if instance is None or group is None or not instance.security_group_ids:
        return
    # A group of another VPC is the network check's to tell.
    if group.id not in instance.security_group_ids and group.vpc_id == (instance.vpc_id or group.vpc_id):
        groups = ", ".join(instance.security_group_ids)
        message = (
            f"{group.id} does not guard {instance.identifier}, which has {groups}: "
            "rules that services add to it open nothing."
        )
        yield export.finding("rds-security-group", "error", message)


def _secret(export: Export, facts: PointedAt, instance: DbInstance | None) -> Iterator[Finding]:
    arn = export.item
    if facts.is_elsewhere(arn):
        region, account = place(arn)
        what = f"The secret is in account {account}, region {region}; these exports are of {facts.here}"
        yield export.points_at_nothing(what)
        return
    if error := facts.secrets.error(arn):
        yield export.not_checked("this secret exists", error)
        return
    secret = facts.secrets.get(arn)
    if secret is None:
        yield export.points_at_nothing(f"There is no such secret in {facts.here}")
    elif secret.deleted_at is not None:
        what = "The secret is scheduled for deletion and cannot be read"
        mend = f"Keep it: aws secretsmanager restore-secret --secret-id {secret.name}. "
        mend += export.mend("Or make and export another secret")
        yield export.finding("export-points-at-nothing", "error", f"{what}. {export.why}", mend)
    elif secret.arn and secret.arn != arn:
        message = f"The secret's ARN is {secret.arn}: policies that name the exported one do not cover it. {export.why}"
        yield export.finding("export-wrong-shape", "error", message)
    elif instance and instance.master_secret_arn and instance.master_secret_arn != arn:
        message = (
            f"RDS keeps the master password of {instance.identifier} in {instance.master_secret_arn}. {export.why}"
        )
        yield export.finding("rds-master-secret", "warning", message)
