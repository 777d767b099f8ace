"""The checks of the exports on the world: nothing wrong with a healthy one, and for each defect, made through the API
itself, its finding and no other."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import Parameter, Ssm
from infraconsole.checks.export_facts import read_facts
from infraconsole.checks.export_rules import load_rules
from infraconsole.checks.exports import check_exports
from infraconsole.checks.findings import Finding, has_errors
from infraconsole.config import Config, load
from infraconsole.terraform.state_exports import exports_in_state
from infraconsole.world.process import World

from .conftest import client, worlds

ROOT = naming.EXPORT_ROOT
Undo = Callable[[], object]


def told(findings: Iterable[Finding]) -> set[tuple[str, str, str]]:
    """Every finding as id, level and name below the root."""
    return {(one.id, one.level, one.subject.removeprefix(f"{ROOT}/")) for one in findings}


class Company:
    """The world's exports: checked as the console checks them, and changed as somebody in a hurry would."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.config: Config = load(world.dir / "infraconsole.toml")
        environ = {**world.environment(), "AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}
        self.access = AwsAccess(region=world.region, environ=environ)
        self.clients: dict[str, Any] = {}
        self.undo: list[Undo] = []
        self.before = {parameter.name: parameter for parameter in self.parameters()}

    def __call__(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = client(self.world, service)
        return self.clients[service]

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(one for page in Ssm(self.access).pages_under(ROOT) for one in page)

    def value(self, name: str) -> str:
        return self.before[f"{ROOT}/{name}"].value or ""

    def findings(self, state: bytes | None = None) -> tuple[Finding, ...]:
        parameters, rules = self.parameters(), load_rules(self.config)
        return check_exports(
            parameters,
            rules,
            read_facts(self.access, parameters, rules),
            root=self.config.export_root,
            services=tuple(self.config.services),
            environments=tuple(self.config.environments),
            state=None if state is None else exports_in_state(state),
        )

    def put(self, name: str, value: str, kind: str = "") -> None:
        full = f"{ROOT}/{name}"
        with contextlib.suppress(self("ssm").exceptions.ParameterNotFound):
            self("ssm").delete_parameter(Name=full)
        kind = kind or (self.before[full].type if full in self.before else "String")
        self("ssm").put_parameter(Name=full, Value=value, Type=kind)

    def remove(self, *names: str) -> None:
        self("ssm").delete_parameters(Names=[f"{ROOT}/{name}" for name in names])

    def restore(self) -> None:
        for undo in reversed(self.undo):
            undo()
        self.undo.clear()
        now = {parameter.name: parameter for parameter in self.parameters()}
        for name in now.keys() - self.before.keys():
            self("ssm").delete_parameter(Name=name)
        for name, old in self.before.items():
            if name not in now or (now[name].value, now[name].type) != (old.value, old.type):
                self.put(name.removeprefix(f"{ROOT}/"), old.value or "", old.type)


@pytest.fixture(scope="module")
def one_company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with worlds(tmp_path_factory.mktemp("exports")) as make:
        yield Company(make("healthy", 1.0))


@pytest.fixture
def company(one_company: Company) -> Iterator[Company]:
    yield one_company
    one_company.world.clear_faults()
    one_company.restore()


def test_a_healthy_world_has_nothing_to_say(company: Company) -> None:
    assert company.findings() == ()


# Each defect: how it comes about, and what is said of it.


def swapped_tiers(company: Company) -> None:
    public, private = company.value("network/public-subnet-ids"), company.value("network/private-subnet-ids")
    company.put("network/public-subnet-ids", private)
    company.put("network/private-subnet-ids", public)


def a_stray_subnet(company: Company) -> None:
    stray = company.value("network/private-subnet-ids").split(",")[0]
    company.put("network/data-subnet-ids", company.value("network/data-subnet-ids") + f",{stray}")


def subnets_of_another_vpc(company: Company) -> None:
    ec2 = company("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=company.world.region + zone)
        for number, zone in enumerate("ab")
    ]
    company.put("network/data-subnet-ids", ",".join(one["Subnet"]["SubnetId"] for one in made))


def another_vpc(company: Company) -> None:
    company.put("network/vpc-id", "vpc-0123456789abcdef0")


def a_subnet_less(company: Company) -> None:
    company.put("network/data-subnet-ids", company.value("network/data-subnet-ids") + ",subnet-0123456789abcdef0")


def one_zone(company: Company) -> None:
    company.put("network/data-subnet-ids", company.value("network/data-subnet-ids").split(",")[0])


def public_addresses(company: Company) -> None:
    subnet = company.value("network/private-subnet-ids").split(",")[0]
    ec2 = company("ec2")
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    company.undo.append(lambda: ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False}))


def disabled_key(company: Company) -> None:
    key = company.value("kms/s3-key-arn").rpartition("/")[2]
    company("kms").disable_key(KeyId=key)
    company.undo.append(lambda: company("kms").enable_key(KeyId=key))


def dying_key(company: Company) -> None:
    key = company.value("kms/rds-key-arn").rpartition("/")[2]
    company("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    company.undo.append(lambda: company("kms").enable_key(KeyId=key))
    company.undo.append(lambda: company("kms").cancel_key_deletion(KeyId=key))


def still_key(company: Company) -> None:
    key = company.value("kms/sqs-key-arn").rpartition("/")[2]
    company("kms").disable_key_rotation(KeyId=key)
    company.undo.append(lambda: company("kms").enable_key_rotation(KeyId=key))


def nameless_key(company: Company) -> None:
    key = company.value("kms/ssm-key-arn").rpartition("/")[2]
    company("kms").delete_alias(AliasName="alias/ssm")
    company.undo.append(lambda: company("kms").create_alias(AliasName="alias/ssm", TargetKeyId=key))


def swapped_keys(company: Company) -> None:
    s3, sqs = company.value("kms/s3-key-arn"), company.value("kms/sqs-key-arn")
    company.put("kms/s3-key-arn", sqs)
    company.put("kms/sqs-key-arn", s3)


def key_of_another_region(company: Company) -> None:
    arn = company.value("kms/s3-key-arn").replace(company.world.region, naming.DR_REGION)
    company.put("kms/s3-key-arn", arn)


def no_such_key(company: Company) -> None:
    arn = company.value("kms/s3-key-arn").rpartition("/")[0] + "/01234567-0123-0123-0123-0123456789ab"
    company.put("kms/s3-key-arn", arn)


def no_repository(company: Company) -> None:
    url = company.value("ecr/crawler-repository-url")
    gone = url.replace("/crawler", "/crawler-old")
    company.put("ecr/crawler-repository-url", gone)


def deleted_repository(company: Company) -> None:
    company("ecr").delete_repository(repositoryName="crawler", force=True)
    company.undo.append(lambda: company("ecr").create_repository(repositoryName="crawler"))


def repository_of_another_account(company: Company) -> None:
    url = company.value("ecr/fileflow-repository-url")
    company.put("ecr/fileflow-repository-url", "999999999999" + url[12:])


def renamed_database(company: Company) -> None:
    rename(company, "staging-shared-mysql", "staging-mysql")
    company.undo.append(lambda: rename(company, "staging-mysql", "staging-shared-mysql"))


def rename(company: Company, old: str, new: str) -> None:
    company("rds").modify_db_instance(DBInstanceIdentifier=old, NewDBInstanceIdentifier=new, ApplyImmediately=True)


def stopped_database(company: Company) -> None:
    company("rds").stop_db_instance(DBInstanceIdentifier="dev-shared-mysql")
    company.undo.append(lambda: company("rds").start_db_instance(DBInstanceIdentifier="dev-shared-mysql"))


def other_group(company: Company) -> None:
    made = company("ec2").create_security_group(
        GroupName="other", Description="x", VpcId=company.value("network/vpc-id")
    )
    company.undo.append(lambda: company("ec2").delete_security_group(GroupId=made["GroupId"]))
    company.put("rds/dev/security-group-id", made["GroupId"])


def group_of_another_vpc(company: Company) -> None:
    vpc = company("ec2").create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    groups = company("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    company.put("rds/dev/security-group-id", groups[0]["GroupId"])


def removed_secret(company: Company) -> None:
    make_secret(company, "gone", delete={"ForceDeleteWithoutRecovery": True})


def dying_secret(company: Company) -> None:
    make_secret(company, "dying", delete={"RecoveryWindowInDays": 7})


def make_secret(company: Company, name: str, delete: Mapping[str, Any]) -> None:
    arn = company("secretsmanager").create_secret(Name=f"dev-{name}", SecretString="{}")["ARN"]
    company("secretsmanager").delete_secret(SecretId=arn, **delete)
    company.undo.append(lambda: company("secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True))
    company.put("rds/dev/master-secret-arn", arn)


def set_to(name: str, change: Callable[[str], str], kind: str = "") -> Callable[[Company], None]:
    return lambda company: company.put(name, change(company.value(name)), kind)


def copied(name: str, source: str) -> Callable[[Company], None]:
    return lambda company: company.put(name, company.value(source))


def removed(*names: str) -> Callable[[Company], None]:
    return lambda company: company.remove(*names)


RDS_DEV = ("endpoint", "identifier", "security-group-id", "master-secret-arn")
NOTHING, SHAPE, MISSING = "export-points-at-nothing", "export-wrong-shape", "export-missing"
SUBNETS = "network/data-subnet-ids"

DEFECTS: list[tuple[str, Callable[[Company], None], set[tuple[str, str, str]]]] = [
    ("the VPC's id is gone", removed("network/vpc-id"), {(MISSING, "error", "network/vpc-id")}),
    ("a URL is gone", removed("ecr/authhub-repository-url"), {(MISSING, "error", "ecr/authhub-repository-url")}),
    ("an optional ARN is gone", removed("ecr/authhub-repository-arn"), set()),
    ("half a database", removed("rds/dev/endpoint"), {(MISSING, "error", "rds/dev/endpoint")}),
    (
        "no database at all",
        removed(*(f"rds/dev/{leaf}" for leaf in RDS_DEV)),
        {(MISSING, "info", "rds/dev/endpoint")},
    ),
    ("a list as a String", set_to(SUBNETS, str, "String"), {("export-wrong-type", "error", SUBNETS)}),
    (
        "a secret VPC",
        set_to("network/vpc-id", str, "SecureString"),
        {("export-wrong-type", "error", "network/vpc-id")},
    ),
    ("an empty item", set_to(SUBNETS, lambda old: old + ","), {(SHAPE, "error", SUBNETS)}),
    ("blanks in a list", set_to(SUBNETS, lambda old: old.replace(",", ", ")), {(SHAPE, "error", SUBNETS)}),
    ("a line feed", set_to("network/vpc-id", lambda old: old + "\n"), {(SHAPE, "error", "network/vpc-id")}),
    ("twice the same", set_to(SUBNETS, lambda old: f"{old},{old.split(',')[0]}"), {(SHAPE, "error", SUBNETS)}),
    (
        "a key's id for its ARN",
        set_to("kms/s3-key-arn", lambda old: old.rpartition("/")[2]),
        {(SHAPE, "error", "kms/s3-key-arn")},
    ),
    (
        "a tag in the URL",
        set_to("ecr/fileflow-repository-url", lambda old: f"{old}:latest"),
        {(SHAPE, "error", "ecr/fileflow-repository-url")},
    ),
    ("another VPC", another_vpc, {(NOTHING, "error", "network/vpc-id")}),
    ("a subnet that is not there", a_subnet_less, {(NOTHING, "error", SUBNETS)}),
    ("subnets of another VPC", subnets_of_another_vpc, {(NOTHING, "error", SUBNETS)}),
    (
        "swapped tiers",
        swapped_tiers,
        {
            ("subnet-tier", "warning", "network/public-subnet-ids"),
            ("subnet-tier", "warning", "network/private-subnet-ids"),
        },
    ),
    ("a subnet in two tiers", a_stray_subnet, {("subnet-tier", "error", SUBNETS)}),
    ("public addresses", public_addresses, {("subnet-tier", "warning", "network/private-subnet-ids")}),
    ("one zone", one_zone, {("subnet-az-spread", "warning", SUBNETS)}),
    ("a disabled key", disabled_key, {("kms-key-disabled", "error", "kms/s3-key-arn")}),
    ("a key about to go", dying_key, {(NOTHING, "error", "kms/rds-key-arn")}),
    ("no such key", no_such_key, {(NOTHING, "error", "kms/s3-key-arn")}),
    ("a key of another region", key_of_another_region, {(NOTHING, "error", "kms/s3-key-arn")}),
    ("rotation off", still_key, {("kms-key-not-rotating", "warning", "kms/sqs-key-arn")}),
    ("no alias", nameless_key, {("kms-alias", "warning", "kms/ssm-key-arn")}),
    (
        "swapped keys",
        swapped_keys,
        {("kms-alias", "warning", "kms/s3-key-arn"), ("kms-alias", "warning", "kms/sqs-key-arn")},
    ),
    (
        "one key for two kinds",
        copied("kms/sqs-key-arn", "kms/s3-key-arn"),
        {("kms-key-shared", "error", "kms/sqs-key-arn")},
    ),
    ("a repository that is not there", no_repository, {(NOTHING, "error", "ecr/crawler-repository-url")}),
    (
        "a deleted repository",
        deleted_repository,
        {(NOTHING, "error", "ecr/crawler-repository-url"), (NOTHING, "error", "ecr/crawler-repository-arn")},
    ),
    (
        "a repository of another account",
        repository_of_another_account,
        {(NOTHING, "error", "ecr/fileflow-repository-url")},
    ),
    (
        "another service's repository",
        copied("ecr/authhub-repository-url", "ecr/fileflow-repository-url"),
        {("ecr-url-mismatch", "error", "ecr/authhub-repository-url")},
    ),
    (
        "a renamed database",
        renamed_database,
        {(NOTHING, "error", "rds/staging/endpoint"), (NOTHING, "error", "rds/staging/identifier")},
    ),
    ("a stopped database", stopped_database, {("rds-endpoint", "error", "rds/dev/endpoint")}),
    (
        "an endpoint without port",
        set_to("rds/prod/endpoint", lambda old: old.partition(":")[0]),
        {("rds-endpoint", "error", "rds/prod/endpoint")},
    ),
    (
        "another port",
        set_to("rds/prod/endpoint", lambda old: old.replace(":3306", ":3307")),
        {("rds-endpoint", "error", "rds/prod/endpoint")},
    ),
    (
        "another environment's endpoint",
        copied("rds/prod/endpoint", "rds/dev/endpoint"),
        {("rds-endpoint", "error", "rds/prod/endpoint")},
    ),
    ("a group that guards nothing", other_group, {("rds-security-group", "error", "rds/dev/security-group-id")}),
    ("a group of another VPC", group_of_another_vpc, {(NOTHING, "error", "rds/dev/security-group-id")}),
    ("a removed secret", removed_secret, {(NOTHING, "error", "rds/dev/master-secret-arn")}),
    ("a secret about to go", dying_secret, {(NOTHING, "error", "rds/dev/master-secret-arn")}),
    (
        "the same secret twice",
        copied("rds/staging/master-secret-arn", "rds/dev/master-secret-arn"),
        {("export-duplicate", "warning", "rds/staging/master-secret-arn")},
    ),
    (
        "the same name again",
        lambda company: company.put("network/vpc_id", company.value("network/vpc-id")),
        {("export-duplicate", "warning", "network/vpc_id")},
    ),
    (
        "a name outside the convention",
        lambda company: company.put("Network/BastionHost", "x"),
        {("export-name", "warning", "Network/BastionHost")},
    ),
    ("an export of no rule", lambda company: company.put("network/nat-gateway-id", "nat-1"), set()),
]


@pytest.mark.parametrize(
    ("make", "expected"), [pytest.param(make, expected, id=name) for name, make, expected in DEFECTS]
)
def test_a_defect_gives_its_finding_and_no_other(
    company: Company, make: Callable[[Company], None], expected: set[tuple[str, str, str]]
) -> None:
    make(company)
    findings = company.findings()
    assert told(findings) == expected
    assert all(finding.message.endswith(".") and finding.mend for finding in findings)


def test_one_denied_service_costs_its_own_checks_only(company: Company) -> None:
    company.put("network/vpc-id", "vpc-0123456789abcdef0")
    company.world.fault("access-denied", "kms", "DescribeKey")
    company.world.fault("throttle", "rds", "DescribeDBInstances")
    found = company.findings()
    unread = {finding.subject for finding in found if finding.id == "export-not-checked"}
    kinds = {f"{ROOT}/kms/{kind}-key-arn" for kind in naming.KMS_KINDS}
    bases = {f"{ROOT}/rds/{name}/{leaf}" for name in company.config.environments for leaf in ("endpoint", "identifier")}
    assert unread == kinds | bases
    denied = next(finding for finding in found if finding.subject.endswith("s3-key-arn"))
    assert denied.level == "warning"
    assert "kms:DescribeKey" in denied.message
    assert [finding.id for finding in found if finding.level == "error"] == [NOTHING]


def test_only_what_the_exports_name_is_asked_for(company: Company) -> None:
    company.world.forget_calls()
    company.findings()
    asked = {service: len(company.world.calls(service)) for service in ("ec2", "kms", "ecr", "rds", "secretsmanager")}
    assert asked == {"ec2": 3, "kms": 21, "ecr": 3, "rds": 1, "secretsmanager": 3}


def test_a_value_changed_after_terraform_wrote_it(company: Company) -> None:
    now = {parameter.name: parameter for parameter in company.parameters()}
    state = as_state({name: parameter for name, parameter in now.items() if "/network/" in name})
    assert company.findings(state) == ()
    subnets = company.value(SUBNETS)
    company("ssm").put_parameter(Name=f"{ROOT}/{SUBNETS}", Value=",".join(reversed(subnets.split(","))), Overwrite=True)
    [finding] = company.findings(state)
    assert (finding.id, finding.level, finding.subject) == ("export-stale", "error", f"{ROOT}/{SUBNETS}")
    assert "aws_ssm_parameter.export" in finding.message
    company("ssm").put_parameter(Name=f"{ROOT}/{SUBNETS}", Value=subnets, Overwrite=True)
    [finding] = company.findings(state)
    assert (finding.id, finding.level) == ("export-stale", "warning"), "the value is right again, but who wrote it?"


def as_state(parameters: Mapping[str, Parameter]) -> bytes:
    """The state that Terraform would have after writing these."""
    instances = [
        {
            "index_key": name,
            "attributes": {
                "name": name,
                "type": one.type,
                "value": one.value,
                "insecure_value": None,
                "version": one.version,
            },
        }
        for name, one in parameters.items()
    ]
    resource = {"mode": "managed", "type": "aws_ssm_parameter", "name": "export", "instances": instances}
    return json.dumps({"version": 4, "serial": 1, "lineage": "l", "resources": [resource]}).encode()


def test_a_teams_own_exports(company: Company, tmp_path: Path) -> None:
    """Beyond the guide: another kind of key, and the database of one environment as a must."""
    file = tmp_path / "infraconsole.toml"
    file.write_text(
        (company.world.dir / "infraconsole.toml").read_text("utf-8")
        + '\n[[exports]]\nname = "kms/efs-key-arn"\nshape = "kms-key-arn"\npoints_at = "kms:efs"\nrequired = true\n'
        + '\n[[exports]]\nname = "rds/dev/endpoint"\nrequired = true\n',
        "utf-8",
    )
    with configured(company, load(file)):
        assert told(company.findings()) == {(MISSING, "error", "kms/efs-key-arn")}
        company.remove(*(f"rds/dev/{leaf}" for leaf in RDS_DEV))
        company.put("kms/efs-key-arn", company.value("kms/s3-key-arn"))
        assert told(company.findings()) == {
            ("kms-key-shared", "error", "kms/efs-key-arn"),
            *((MISSING, "error", f"rds/dev/{leaf}") for leaf in RDS_DEV),
        }
        assert has_errors(company.findings())


@contextlib.contextmanager
def configured(company: Company, config: Config) -> Iterator[None]:
    before, company.config = company.config, config
    try:
        yield
    finally:
        company.config = before
