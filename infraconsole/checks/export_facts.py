"""What AWS says about the things that exports point at, asked for only where an export names it.

Each kind of thing is asked for on its own: a denied or throttled call costs what it would have told and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.budget import carried
from infraconsole.aws.ec2 import Ec2, SecurityGroup, Subnet, Vpc
from infraconsole.aws.ecr import Ecr, Repository
from infraconsole.aws.kms import Key, Kms
from infraconsole.aws.rds import DbInstance, Rds
from infraconsole.aws.secretsmanager import Secret, SecretsManager
from infraconsole.aws.ssm import Parameter
from infraconsole.checks.export_rules import ExportRules
from infraconsole.checks.export_values import Export, is_elsewhere, of_target, place, read_export
from infraconsole.errors import AccessDenied, AwsError

WORKERS = 8
"""Calls at a time: enough to hide the waiting, and far below what AWS allows."""

_FEW = 5
_IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9]){0,62}")

T = TypeVar("T")


@dataclass(frozen=True)
class Facts(Generic[T]):
    """What was found, and what could not be asked for; a name in neither does not exist (or was not asked for)."""

    found: Mapping[str, T] = field(default_factory=dict)
    failed: Mapping[str, AwsError] = field(default_factory=dict)

    def get(self, name: str) -> T | None:
        return self.found.get(name)

    def error(self, *names: str) -> AwsError | None:
        """Why the first of these could not be asked for; None where all could."""
        return next((self.failed[name] for name in names if name in self.failed), None)


@dataclass(frozen=True)
class PointedAt:
    """Everything that the exports of one account and region point at, by the names that they use for it.

    Keys go by their ARNs, repositories by their names, database instances by their identifiers in lower case, secrets
    by the ARN that the export gives. `account` is "" where no export's own ARN tells it.
    """

    region: str
    account: str = ""
    vpcs: Facts[Vpc] = field(default_factory=Facts)
    subnets: Facts[Subnet] = field(default_factory=Facts)
    security_groups: Facts[SecurityGroup] = field(default_factory=Facts)
    keys: Facts[Key] = field(default_factory=Facts)
    rotation: Facts[bool] = field(default_factory=Facts)
    """Whether a key rotates, for those that can."""
    aliases: Facts[tuple[str, ...]] = field(default_factory=Facts)
    repositories: Facts[Repository] = field(default_factory=Facts)
    instances: Facts[DbInstance] = field(default_factory=Facts)
    secrets: Facts[Secret] = field(default_factory=Facts)

    @property
    def here(self) -> str:
        return f"account {self.account}, region {self.region}" if self.account else f"region {self.region}"

    def is_elsewhere(self, value: str) -> bool:
        """Whether a value names another account or region, whose things are not asked for."""
        return is_elsewhere(value, self.region, self.account)


def read_facts(access: AwsAccess, parameters: Sequence[Parameter], rules: ExportRules) -> PointedAt:
    """Ask AWS about what these exports point at. Nothing that AWS answers is raised: it is kept where it belongs."""
    exports = [read_export(parameter, rules) for parameter in parameters]
    account = next((account for parameter in parameters if (account := place(parameter.arn)[1])), "")
    ec2, ecr, kms, secrets = Ec2(access), Ecr(access), Kms(access), SecretsManager(access)

    def wanted(*targets: str) -> list[str]:
        named = dict.fromkeys(item for export in of_target(exports, *targets) for item in export.items)
        return [item for item in named if not is_elsewhere(item, access.region, account)]

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="export-facts") as pool:
        # Keys first: with three calls each they take longest.
        keys = {arn: pool.submit(carried(_key_facts), kms, arn) for arn in wanted("kms")}
        vpcs = pool.submit(carried(_together), ec2.vpcs, wanted("vpc"), lambda vpc: vpc.id)
        subnets = pool.submit(carried(_together), ec2.subnets, wanted("subnets"), lambda subnet: subnet.id)
        groups = pool.submit(carried(_together), ec2.security_groups, wanted("security-group"), lambda group: group.id)
        identifiers = instance_identifiers(exports)
        instances = pool.submit(
            carried(_together), Rds(access).instances, identifiers, lambda one: one.identifier.lower()
        )
        names = dict.fromkeys(repository_name(item) for item in wanted("ecr-url", "ecr-arn"))
        repositories = pool.submit(carried(_repositories), ecr, tuple(names))
        kept = {arn: pool.submit(carried(_asked), secrets.secret, arn) for arn in wanted("secret")}
        every_key = {arn: future.result() for arn, future in keys.items()}
        return PointedAt(
            region=access.region,
            account=account,
            vpcs=vpcs.result(),
            subnets=subnets.result(),
            security_groups=groups.result(),
            keys=_gathered({arn: facts.key for arn, facts in every_key.items()}),
            rotation=_gathered({arn: facts.rotates for arn, facts in every_key.items()}),
            aliases=_gathered({arn: facts.aliases for arn, facts in every_key.items()}),
            repositories=repositories.result(),
            instances=instances.result(),
            secrets=_each(kept),
        )


def repository_name(value: str) -> str:
    """The repository's name in its address or ARN."""
    return value.partition("/")[2]


def instance_identifiers(exports: Sequence[Export]) -> list[str]:
    """The database instances that identifiers name, and those that endpoints do: by the first label of the host.

    What cannot be an identifier is not asked for, since RDS would refuse the whole call for it.
    """
    named = [export.item.lower() for export in of_target(exports, "rds-identifier")]
    named += [endpoint_identifier(export.item) for export in of_target(exports, "rds-endpoint")]
    return [one for one in dict.fromkeys(named) if _IDENTIFIER.fullmatch(one)]


def endpoint_identifier(endpoint: str) -> str:
    """RDS makes an instance's address from its identifier: `prod-shared-mysql.….rds.amazonaws.com:3306`."""
    return endpoint.partition(".")[0].partition(":")[0].lower()


@dataclass(frozen=True)
class _KeyFacts:
    """One key's answers. None: there is none, or it was not asked for."""

    key: Key | AwsError | None
    rotates: bool | AwsError | None = None
    aliases: tuple[str, ...] | AwsError | None = None


def _key_facts(kms: Kms, arn: str) -> _KeyFacts:
    key = _asked(kms.key, arn)
    if not isinstance(key, Key):
        return _KeyFacts(key)
    rotates = _asked(kms.rotates, arn) if key.enabled and key.can_rotate else None
    return _KeyFacts(key, rotates, _asked(kms.aliases, arn))


def _asked(ask: Callable[[str], T], name: str) -> T | AwsError:
    try:
        return ask(name)
    except AwsError as error:
        return error


def _together(ask: Callable[[Sequence[str]], Iterable[T]], names: Sequence[str], name: Callable[[T], str]) -> Facts[T]:
    try:
        return Facts({name(one): one for one in ask(names)})
    except AwsError as error:
        return Facts(failed=dict.fromkeys(names, error))


def _repositories(ecr: Ecr, names: Sequence[str]) -> Facts[Repository]:
    """Of many, all that there are, a thousand a call; where only single ones may be asked for, and of few, one by one."""
    if len(names) > _FEW:
        try:
            there = {repository.name: repository for repository in ecr.repositories()}
            return _gathered({name: there.get(name) for name in names})
        except AccessDenied:
            pass
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="repositories") as pool:
        return _gathered(dict(zip(names, pool.map(carried(partial(_asked, ecr.repository)), names), strict=True)))


def _each(futures: Mapping[str, Future[T | AwsError | None]]) -> Facts[T]:
    return _gathered({name: future.result() for name, future in futures.items()})


def _gathered(answers: Mapping[str, T | AwsError | None]) -> Facts[T]:
    found = {name: one for name, one in answers.items() if one is not None and not isinstance(one, AwsError)}
    return Facts(found, {name: one for name, one in answers.items() if isinstance(one, AwsError)})
