"""The checks of the exports as what they are, a function: a sound set of exports with one thing changed, and the findings
that this gives. What AWS says is made by hand."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infraconsole import naming
from infraconsole.aws.ec2 import SecurityGroup, Subnet, Vpc
from infraconsole.aws.ecr import Repository
from infraconsole.aws.kms import Key
from infraconsole.aws.rds import DbInstance, parse_instance
from infraconsole.aws.secretsmanager import Secret
from infraconsole.aws.ssm import Parameter
from infraconsole.checks.export_facts import Facts, PointedAt
from infraconsole.checks.export_rules import load_rules
from infraconsole.checks.exports import check_exports, follows_convention
from infraconsole.checks.findings import Finding
from infraconsole.config import parse
from infraconsole.errors import AccessDenied, Throttled
from infraconsole.terraform.state_exports import StateExport

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROOT, ACCOUNT, REGION = "/shared", "123456789012", "ap-northeast-2"
VPC, GROUP = "vpc-00000001", "sg-00000001"
TIERS = ("public", "private", "data")
SUBNETS = {tier: [f"subnet-{row}000000{zone}" for zone in range(3)] for row, tier in enumerate(TIERS)}
KEYS = {
    kind: f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number:08x}-0000-0000-0000-000000000000"
    for number, kind in enumerate(naming.KMS_KINDS)
}
HOST = "prod-shared-mysql.x.ap-northeast-2.rds.amazonaws.com"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod-shared-mysql-master-AbCdEf"
URL = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fileflow"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/fileflow"

VALUES: Mapping[str, str] = {
    "network/vpc-id": VPC,
    **{f"network/{tier}-subnet-ids": ",".join(ids) for tier, ids in SUBNETS.items()},
    **{f"kms/{kind}-key-arn": arn for kind, arn in KEYS.items()},
    "ecr/fileflow-repository-url": URL,
    "ecr/fileflow-repository-arn": ARN,
    "rds/prod/endpoint": f"{HOST}:3306",
    "rds/prod/identifier": "prod-shared-mysql",
    "rds/prod/security-group-id": GROUP,
    "rds/prod/master-secret-arn": SECRET,
}


def export(name: str, value: str | None, kind: str = "", **more: Any) -> Parameter:
    full = f"{ROOT}/{name}"
    kind = kind or ("StringList" if name.endswith("-ids") else "String")
    return Parameter(full, kind, value, 1, AT, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{full}", **more)


def subnet(name: str, tier: str, **more: Any) -> Subnet:
    zone = f"{REGION}{'abc'[int(name[-1])]}"
    tags = (("Tier", tier),) if tier else ()
    made = Subnet(name, VPC, zone, zone, "available", "10.0.0.0/24", 200, False, ACCOUNT, tags)
    return replace(made, **more)


def key(arn: str, **more: Any) -> Key:
    made = Key(arn, arn.rpartition("/")[2], "", "Enabled", True, "CUSTOMER", "SYMMETRIC_DEFAULT", "AWS_KMS", None)
    return replace(made, **more)


def instance(name: str = "prod-shared-mysql", host: str = HOST, **more: Any) -> DbInstance:
    raw = {
        "DBInstanceIdentifier": name,
        "DBInstanceStatus": "available",
        "Endpoint": {"Address": host, "Port": 3306},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": GROUP}],
        "DBSubnetGroup": {"VpcId": VPC},
    }
    return replace(parse_instance(raw), **more)


def facts(**changed: Any) -> PointedAt:
    """What AWS says where all is well."""
    sound = PointedAt(
        region=REGION,
        account=ACCOUNT,
        vpcs=Facts({VPC: Vpc(VPC, "available", "10.0.0.0/16", False, ACCOUNT, ())}),
        subnets=Facts({one: subnet(one, tier) for tier, ids in SUBNETS.items() for one in ids}),
        security_groups=Facts({GROUP: SecurityGroup(GROUP, "db", "", VPC, ACCOUNT, ())}),
        keys=Facts({arn: key(arn) for arn in KEYS.values()}),
        rotation=Facts(dict.fromkeys(KEYS.values(), True)),
        aliases=Facts({arn: (f"alias/{kind}",) for kind, arn in KEYS.items()}),
        repositories=Facts({"fileflow": Repository("fileflow", ARN, URL, ACCOUNT)}),
        instances=Facts({"prod-shared-mysql": instance()}),
        secrets=Facts({SECRET: Secret(SECRET, "prod-shared-mysql-master", "", "", False, None, AT)}),
    )
    return replace(sound, **changed)


def but(group: Facts[Any], **changed: Any) -> Facts[Any]:
    """Those facts with every one of them changed so."""
    return Facts({name: replace(one, **changed) for name, one in group.found.items()})


def check(
    changes: Mapping[str, str | None] | None = None,
    *more: Parameter,
    known: PointedAt | None = None,
    blind: bool = False,
    config: Mapping[str, Any] | None = None,
    state: Mapping[str, StateExport] | None = None,
    services: Sequence[str] = ("fileflow",),
    environments: Sequence[str] = ("prod",),
) -> tuple[Finding, ...]:
    """The findings after these changes to the sound values; None takes an export away."""
    values = {**VALUES, **(changes or {})}
    parameters = [export(name, value) for name, value in values.items() if value is not None]
    return check_exports(
        [*parameters, *more],
        load_rules(parse(config or {}, None)),
        None if blind else (known or facts()),
        root=ROOT,
        services=services,
        environments=environments,
        state=state,
    )


def told(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(one.id, one.level, one.subject.removeprefix(f"{ROOT}/")) for one in findings]


def only(findings: Sequence[Finding], rule: str, level: str, name: str) -> Finding:
    assert told(findings) == [(rule, level, name)]
    assert findings[0].message.endswith(".")
    assert "  " not in findings[0].message
    assert findings[0].mend
    return findings[0]


def test_a_sound_set_has_no_findings() -> None:
    assert check() == ()
    assert check(blind=True) == ()


# Missing


@pytest.mark.parametrize("name", [name.removeprefix("/shared/") for name in naming.required_exports("fileflow")])
def test_each_required_export_is_missed(name: str) -> None:
    finding = only(check({name: None}, blind=True), "export-missing", "error", name)
    owner = "ecr/fileflow" if name.startswith("ecr/") else name.partition("/")[0]
    assert f"the module {owner} of the infrastructure repository" in finding.mend


def test_an_empty_account_misses_twelve_for_a_service_and_fourteen_for_three() -> None:
    nothing = dict.fromkeys(VALUES)
    assert [one.level for one in check(nothing)] == ["error"] * 12 + ["info"]
    assert [one.level for one in check(nothing, services=("a", "b", "c"))] == ["error"] * 14 + ["info"]
    assert [one.level for one in check(nothing, services=(), environments=())] == ["error"] * 11


@pytest.mark.parametrize("leaf", ["endpoint", "identifier", "security-group-id", "master-secret-arn"])
def test_half_a_database_is_an_error(leaf: str) -> None:
    finding = only(check({f"rds/prod/{leaf}": None}), "export-missing", "error", f"rds/prod/{leaf}")
    assert "half a set is of no use" in finding.message
    gone = {f"rds/prod/{one}": None for one in ("endpoint", "identifier", "security-group-id", "master-secret-arn")}
    alone = {**gone, f"rds/prod/{leaf}": VALUES[f"rds/prod/{leaf}"]}
    assert [one.level for one in check(alone) if one.id == "export-missing"] == ["error"] * 3


def test_no_database_is_worth_a_word_for_each_environment() -> None:
    found = check(environments=("dev", "staging", "prod"))
    assert told(found) == [
        ("export-missing", "info", "rds/dev/endpoint"),
        ("export-missing", "info", "rds/staging/endpoint"),
    ]


def test_a_database_that_the_team_requires() -> None:
    config = {"exports": [{"name": "rds/dev/endpoint", "required": True}]}
    found = check(environments=("dev", "staging", "prod"), config=config)
    assert [(one.level, one.subject.split("/")[3]) for one in found] == [("error", "dev")] * 4 + [("info", "staging")]


def test_a_missing_export_that_is_there_by_another_name() -> None:
    found = check({"network/vpc-id": None, "network/VPC_id": VPC}, blind=True)
    assert told(found) == [
        ("export-missing", "error", "network/vpc-id"),
        ("export-name", "warning", "network/VPC_id"),
    ]
    assert "There is /shared/network/VPC_id instead." in found[0].message


def test_a_missing_export_that_terraform_wrote() -> None:
    written = {"/shared/network/vpc-id": in_state("network/vpc-id")}
    finding = only(check({"network/vpc-id": None}, state=written), "export-missing", "error", "network/vpc-id")
    assert "aws_ssm_parameter.x wrote it: it was deleted since." in finding.message


# Type and shape


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("network/data-subnet-ids", ",".join(SUBNETS["data"]), "String"),
        ("network/data-subnet-ids", '["subnet-1"]', "String"),
        ("network/data-subnet-ids", None, "SecureString"),
        ("network/vpc-id", VPC, "StringList"),
        ("network/vpc-id", f"{VPC},{VPC}", "StringList"),
        ("kms/s3-key-arn", None, "SecureString"),
    ],
)
def test_a_wrong_type_is_one_finding(name: str, value: str | None, kind: str) -> None:
    finding = only(check({name: None}, export(name, value, kind)), "export-wrong-type", "error", name)
    assert f"The type is {kind}" in finding.message


def test_a_value_that_was_only_described_is_not_judged() -> None:
    assert check({"network/vpc-id": None}, export("network/vpc-id", None, "String")) == ()


LIST = "network/data-subnet-ids"
ONE, TWO, THREE = SUBNETS["data"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("network/vpc-id", "", "it is empty"),
        ("network/vpc-id", " \t", "nothing but white space"),
        ("network/vpc-id", f"{VPC}\n", "ends with a line feed"),
        ("network/vpc-id", f"\n{VPC}", "begins with a line feed"),
        ("network/vpc-id", f" {VPC}", "begins with a blank"),
        ("network/vpc-id", f"{VPC}\u00a0", "ends with a blank"),
        ("network/vpc-id", "vpc-0000000", "vpc-0000000 is not a VPC's id, such as vpc-0a1b"),
        ("network/vpc-id", f"{VPC}\x1b[2J", "␛[2J is not a VPC's id"),
        ("network/vpc-id", f'"{VPC}"', "is not a VPC's id"),
        ("network/vpc-id", "x" * 4096, "(+3,936 characters) is not"),
        (LIST, "", "it is empty"),
        (LIST, f"{ONE},{TWO},", "item 3 is empty"),
        (LIST, f"{ONE},,{TWO}", "item 2 is empty"),
        (LIST, f",{ONE},{TWO}", "item 1 is empty"),
        (LIST, f"{ONE}, {TWO}", "item 2 begins with a blank"),
        (LIST, f"{ONE},{TWO}\n", "item 2 ends with a line feed"),
        (LIST, f"{ONE},{TWO},{ONE}", f"{ONE} is in it 2 times"),
        (LIST, f"{ONE},vpc-00000001", "vpc-00000001 is not a subnet's id"),
        (LIST, f'["{ONE}","{TWO}"]', "is not a subnet's id"),
        ("kms/s3-key-arn", "alias/s3", "is not a KMS key's ARN"),
        ("kms/s3-key-arn", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/s3", "is not a KMS key's ARN"),
        ("ecr/fileflow-repository-url", f"https://{URL}", "without https://"),
        ("ecr/fileflow-repository-url", f"{URL}:v1", "without a tag"),
        ("ecr/fileflow-repository-arn", URL, "is not an ECR repository's ARN"),
        ("rds/prod/identifier", "prod_mysql", "is not a database instance's identifier"),
        ("rds/prod/endpoint", f"mysql://{HOST}:3306/db", "is not host:port"),
        ("rds/prod/endpoint", f"{HOST}:", "is not host:port"),
        ("rds/prod/security-group-id", "default", "is not a security group's id"),
        ("rds/prod/master-secret-arn", "prod-shared-mysql-master", "is not a secret's whole ARN"),
    ],
)
def test_wrong_shapes(name: str, value: str, words: str) -> None:
    finding = only(check({name: value}), "export-wrong-shape", "error", name)
    assert words in finding.message
    assert "\x1b" not in finding.message
    assert only(check({name: value}, blind=True), "export-wrong-shape", "error", name) == finding


def test_every_fault_of_a_list_is_told_at_once() -> None:
    finding = only(check({LIST: f"{ONE}, {TWO},,x"}), "export-wrong-shape", "error", LIST)
    assert "item 2 begins with a blank; item 3 is empty; x is not a subnet's id" in finding.message


def test_exports_of_no_rule_are_only_held_to_having_a_value() -> None:
    more = (export("team/some-list", "a,b,a", "StringList"), export("team/secret", None, "SecureString"))
    assert check({"team/free-text": "any thing, at all"}, *more) == ()
    only(check({"team/free-text": "x\n"}), "export-wrong-shape", "error", "team/free-text")
    only(check({}, export("team/a-list", "a,,b", "StringList")), "export-wrong-shape", "error", "team/a-list")


# Points at nothing, and the wrong thing


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("vpcs", ["network/vpc-id"]),
        ("subnets", [f"network/{tier}-subnet-ids" for tier in TIERS]),
        ("security_groups", ["rds/prod/security-group-id"]),
        ("keys", [f"kms/{kind}-key-arn" for kind in naming.KMS_KINDS]),
        ("repositories", ["ecr/fileflow-repository-url", "ecr/fileflow-repository-arn"]),
        ("instances", ["rds/prod/endpoint", "rds/prod/identifier"]),
        ("secrets", ["rds/prod/master-secret-arn"]),
    ],
)
def test_what_is_not_there(group: str, names: list[str]) -> None:
    found = check(known=facts(**{group: Facts()}))
    assert sorted(told(found)) == sorted(("export-points-at-nothing", "error", name) for name in names)
    assert all(f"{ACCOUNT}, region {REGION}" in one.message for one in found)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("vpcs", ["network/vpc-id"]),
        ("subnets", [f"network/{tier}-subnet-ids" for tier in TIERS]),
        ("security_groups", ["rds/prod/security-group-id"]),
        ("keys", [f"kms/{kind}-key-arn" for kind in naming.KMS_KINDS]),
        ("rotation", [f"kms/{kind}-key-arn" for kind in naming.KMS_KINDS]),
        ("aliases", [f"kms/{kind}-key-arn" for kind in naming.KMS_KINDS]),
        ("repositories", ["ecr/fileflow-repository-url", "ecr/fileflow-repository-arn"]),
        ("instances", ["rds/prod/endpoint", "rds/prod/identifier"]),
        ("secrets", ["rds/prod/master-secret-arn"]),
    ],
)
def test_what_could_not_be_asked_for(group: str, names: list[str]) -> None:
    known = facts()
    error = AccessDenied("These credentials may not.", operation="a:B", code="AccessDenied", words="No!", mend="Ask.")
    failed: dict[str, Any] = {group: Facts(failed=dict.fromkeys(getattr(known, group).found, error))}
    found = check(known=replace(known, **failed))
    assert sorted(told(found)) == sorted(("export-not-checked", "warning", name) for name in names)
    assert all("a:B answered AccessDenied: No!." in one.message and one.mend == "Ask." for one in found)


def test_one_subnet_of_three_that_is_gone() -> None:
    subnets = Facts({name: one for name, one in facts().subnets.found.items() if name != TWO})
    finding = only(check(known=facts(subnets=subnets)), "export-points-at-nothing", "error", LIST)
    assert TWO in finding.message
    assert ONE not in finding.message


def test_things_in_another_vpc() -> None:
    found = check(known=facts(subnets=but(facts().subnets, vpc_id="vpc-00000009")))
    assert told(found) == [("export-points-at-nothing", "error", f"network/{tier}-subnet-ids") for tier in TIERS]
    known = facts(security_groups=but(facts().security_groups, vpc_id="vpc-00000009"))
    only(check(known=known), "export-points-at-nothing", "error", "rds/prod/security-group-id")


def test_a_vpc_that_is_not_known_blames_nothing_else() -> None:
    strangers = but(facts().subnets, vpc_id="vpc-00000009")
    only(check(known=facts(vpcs=Facts(), subnets=strangers)), "export-points-at-nothing", "error", "network/vpc-id")
    only(check({"network/vpc-id": None}, known=facts(subnets=strangers)), "export-missing", "error", "network/vpc-id")
    unasked = Facts[Vpc](failed={VPC: Throttled("Slow.", operation="ec2:DescribeVpcs")})
    ids = [one.id for one in check(known=facts(vpcs=unasked, subnets=strangers))]
    assert ids == ["export-points-at-nothing"] * 3 + ["export-not-checked"], "the ids can be compared all the same"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kms/s3-key-arn", KEYS["s3"].replace(REGION, "us-east-1")),
        ("kms/s3-key-arn", KEYS["s3"].replace(ACCOUNT, "999999999999")),
        ("ecr/fileflow-repository-url", URL.replace(REGION, "us-east-1")),
        ("ecr/fileflow-repository-arn", ARN.replace(ACCOUNT, "999999999999")),
        ("rds/prod/master-secret-arn", SECRET.replace(ACCOUNT, "999999999999")),
    ],
)
def test_things_of_another_account_or_region(name: str, value: str) -> None:
    finding = only(check({name: value}), "export-points-at-nothing", "error", name)
    assert f"these exports are of account {ACCOUNT}, region {REGION}" in finding.message


# Subnets


@pytest.mark.parametrize("tag", ["public", "Public", " PUBLIC ", "private", "app"])
def test_a_tag_of_another_tier(tag: str) -> None:
    subnets = {**facts().subnets.found, ONE: subnet(ONE, tag)}
    finding = only(check(known=facts(subnets=Facts(subnets))), "subnet-tier", "warning", LIST)
    assert ONE in finding.message
    assert TWO not in finding.message


@pytest.mark.parametrize("tag", ["", "data", "Database", "isolated", "blue"])
def test_a_tag_that_contradicts_nothing(tag: str) -> None:
    subnets = {**facts().subnets.found, ONE: subnet(ONE, tag)}
    assert check(known=facts(subnets=Facts(subnets))) == ()


def test_public_addresses_outside_the_public_tier() -> None:
    found = check(known=facts(subnets=but(facts().subnets, maps_public_ip=True)))
    assert told(found) == [("subnet-tier", "warning", f"network/{tier}-subnet-ids") for tier in ("private", "data")]


def test_a_subnet_in_two_tiers_is_wrong_where_its_tag_says_so() -> None:
    stray = SUBNETS["private"][0]
    change = {LIST: f"{ONE},{TWO},{stray}"}
    finding = only(check(change), "subnet-tier", "error", LIST)
    assert f"{stray} is exported as data and by /shared/network/private-subnet-ids too" in finding.message
    both = [("subnet-tier", "error", "network/private-subnet-ids"), ("subnet-tier", "error", LIST)]
    assert told(check(change, blind=True)) == both, "without tags nothing says which"
    untagged = Facts({name: replace(one, tags=()) for name, one in facts().subnets.found.items()})
    assert told(check(change, known=facts(subnets=untagged))) == both


def test_the_spread_over_zones() -> None:
    one_zone = f"{REGION}a"
    found = check(known=facts(subnets=but(facts().subnets, zone=one_zone)))
    assert told(found) == [("subnet-az-spread", "warning", f"network/{tier}-subnet-ids") for tier in TIERS]
    assert "All 3 subnets are in ap-northeast-2a" in found[0].message
    finding = only(check({LIST: ONE}), "subnet-az-spread", "warning", LIST)
    assert "The only subnet is in ap-northeast-2a" in finding.message
    assert check({LIST: f"{ONE},{TWO}"}) == ()


# Keys

S3 = "kms/s3-key-arn"


def with_key(kind: str = "s3", **more: Any) -> PointedAt:
    return facts(keys=Facts({**facts().keys.found, KEYS[kind]: key(KEYS[kind], **more)}))


@pytest.mark.parametrize("state", ["Disabled", "PendingImport", "Unavailable", "Creating", "SomethingNew"])
def test_a_key_that_cannot_be_used(state: str) -> None:
    finding = only(check(known=with_key(state=state, enabled=False)), "kms-key-disabled", "error", S3)
    assert state in finding.message
    assert ("enable-key" in finding.mend) is (state == "Disabled")


def test_a_key_that_is_being_updated_can_be_used() -> None:
    assert check(known=with_key(state="Updating")) == ()


@pytest.mark.parametrize("state", ["PendingDeletion", "PendingReplicaDeletion"])
def test_a_key_about_to_go(state: str) -> None:
    known = with_key(state=state, enabled=False, deletion_at=AT)
    finding = only(check(known=known), "export-points-at-nothing", "error", S3)
    assert "scheduled for deletion on 2026-03-01" in finding.message
    assert "cancel-key-deletion" in finding.mend


def test_rotation() -> None:
    off = Facts({**facts().rotation.found, KEYS["s3"]: False})
    only(check(known=facts(rotation=off)), "kms-key-not-rotating", "warning", S3)
    cannot = Facts({arn: True for arn in KEYS.values() if arn != KEYS["s3"]})
    assert check(known=facts(rotation=cannot)) == ()
    only(check(known=replace(with_key(state="Disabled", enabled=False), rotation=off)), "kms-key-disabled", "error", S3)


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        ((), "has no alias"),
        (("alias/company",), "goes by alias/company: nothing says"),
        (("alias/sqs",), "goes by alias/sqs, the name for sqs"),
        (("alias/s3", "alias/prod-sqs"), "goes by alias/prod-sqs, the name for sqs"),
        (("alias/s30",), "nothing says"),
    ],
)
def test_aliases_that_say_something_else(aliases: tuple[str, ...], words: str) -> None:
    known = facts(aliases=Facts({**facts().aliases.found, KEYS["s3"]: aliases}))
    assert words in only(check(known=known), "kms-alias", "warning", S3).message


@pytest.mark.parametrize("alias", ["alias/s3", "alias/prod-s3", "alias/company/S3_key", "alias/s3-rds-backups"])
def test_aliases_that_name_the_kind(alias: str) -> None:
    assert check(known=facts(aliases=Facts({**facts().aliases.found, KEYS["s3"]: (alias,)}))) == ()


def test_one_key_for_two_kinds() -> None:
    change = {"kms/sqs-key-arn": KEYS["s3"]}
    only(check(change), "kms-key-shared", "error", "kms/sqs-key-arn")
    both = [("kms-key-shared", "error", S3), ("kms-key-shared", "error", "kms/sqs-key-arn")]
    assert told(check(change, blind=True)) == both
    nameless = Facts({**facts().aliases.found, KEYS["s3"]: ("alias/company",)})
    assert told(check(change, known=facts(aliases=nameless))) == both


# Repositories


def test_another_services_repository() -> None:
    values = {"ecr/authhub-repository-url": URL}
    known = facts()
    found = check(values, known=known, services=("fileflow", "authhub"))
    finding = only(found, "ecr-url-mismatch", "error", "ecr/authhub-repository-url")
    assert "authhub would run fileflow's images" in finding.message
    assert check(values, blind=True, services=("fileflow", "authhub")) == found


def test_a_repository_by_a_name_of_its_own() -> None:
    url, arn = URL.replace("/fileflow", "/uploads"), ARN.replace("/fileflow", "/uploads")
    known = facts(repositories=Facts({"uploads": Repository("uploads", arn, url, ACCOUNT)}))
    values = {"ecr/fileflow-repository-url": url, "ecr/fileflow-repository-arn": arn}
    found = check(values, known=known)
    assert {(one.id, one.level) for one in found} == {("ecr-url-mismatch", "warning")}
    name = "company/fileflow-app"
    url, arn = URL.replace("fileflow", name), ARN.replace("fileflow", name)
    known = facts(repositories=Facts({name: Repository(name, arn, url, ACCOUNT)}))
    assert check({"ecr/fileflow-repository-url": url, "ecr/fileflow-repository-arn": arn}, known=known) == ()


def test_an_address_that_is_not_the_repositorys() -> None:
    url = URL.replace(".ecr.", ".ecr-fips.")
    found = check({"ecr/fileflow-repository-url": url})
    assert URL in only(found, "ecr-url-mismatch", "error", "ecr/fileflow-repository-url").message


# Databases

ENDPOINT = "rds/prod/endpoint"


def with_instances(*instances: DbInstance) -> PointedAt:
    return facts(instances=Facts({one.identifier: one for one in instances}))


def test_an_endpoint_without_a_port_needs_no_aws() -> None:
    for blind in (True, False):
        only(check({ENDPOINT: HOST}, blind=blind), "rds-endpoint", "error", ENDPOINT)


def test_another_port() -> None:
    finding = only(check({ENDPOINT: f"{HOST}:5432"}), "rds-endpoint", "error", ENDPOINT)
    assert "port 3306, not 5432" in finding.message


def test_host_names_are_equal_in_any_case() -> None:
    assert check({ENDPOINT: f"{HOST.upper()}:3306", "rds/prod/identifier": "Prod-Shared-MySQL"}) == ()


def test_identifier_and_endpoint_of_two_instances() -> None:
    other = instance("dev-shared-mysql", "dev-shared-mysql.x.ap-northeast-2.rds.amazonaws.com")
    found = check({ENDPOINT: f"{other.address}:3306"}, known=with_instances(instance(), other))
    finding = only(found, "rds-endpoint", "error", ENDPOINT)
    assert "names prod-shared-mysql" in finding.message
    assert "is that of dev-shared-mysql" in finding.message


def test_an_endpoint_that_is_no_instances() -> None:
    finding = only(check({ENDPOINT: "db.example.com:3306"}), "rds-endpoint", "error", ENDPOINT)
    assert "is no instance's address here" in finding.message
    found = check({ENDPOINT: "db.example.com:3306", "rds/prod/identifier": "gone"}, known=with_instances())
    assert {(one.id, one.subject) for one in found} == {
        ("export-points-at-nothing", "/shared/rds/prod/endpoint"),
        ("export-points-at-nothing", "/shared/rds/prod/identifier"),
    }


def test_the_old_address_of_an_instance_made_anew() -> None:
    """The same identifier, the account's other suffix: what a restore from a snapshot leaves behind."""
    found = check(known=with_instances(instance(host=HOST.replace(".x.", ".y."))))
    only(found, "rds-endpoint", "error", ENDPOINT)


@pytest.mark.parametrize(
    ("status", "level"),
    [
        *((status, "error") for status in ("stopped", "deleting", "failed", "storage-full", "creating", "rebooting")),
        *((status, "info") for status in ("backing-up", "modifying", "storage-optimization")),
    ],
)
def test_an_instance_that_is_not_available(status: str, level: str) -> None:
    only(check(known=with_instances(instance(status=status))), "rds-endpoint", level, ENDPOINT)


def test_an_instance_without_an_address_yet() -> None:
    known = with_instances(instance(status="creating", address="", port=0))
    only(check(known=known), "rds-endpoint", "error", ENDPOINT)


def test_a_group_that_does_not_guard_the_instance() -> None:
    known = with_instances(instance(security_group_ids=("sg-00000002",)))
    only(check(known=known), "rds-security-group", "error", "rds/prod/security-group-id")


def test_secrets() -> None:
    name = "rds/prod/master-secret-arn"
    secret = facts().secrets.found[SECRET]
    dying = facts(secrets=Facts({SECRET: replace(secret, deleted_at=AT)}))
    assert "restore-secret" in only(check(known=dying), "export-points-at-nothing", "error", name).mend
    longer = facts(secrets=Facts({SECRET: replace(secret, arn=f"{SECRET}-GhIjKl")}))
    only(check(known=longer), "export-wrong-shape", "error", name)
    managed = with_instances(instance(master_secret_arn="arn:rds!db"))
    only(check(known=managed), "rds-master-secret", "warning", name)


# Names and duplicates


@pytest.mark.parametrize(
    ("name", "follows"),
    [
        ("/shared/network/vpc-id", True),
        ("/shared/rds/prod/identifier", True),
        ("/shared/a/b2", True),
        ("/shared/vpc-id", False),
        ("/shared/network/vpc_id", False),
        ("/shared/Network/vpc-id", False),
        ("/shared/network/-vpc", False),
        ("/shared/network/vpc--id", False),
        ("/shared/network/", False),
        ("/shared/network/vpc.id", False),
        ("/sharedx/network/vpc-id", False),
    ],
)
def test_the_convention(name: str, follows: bool) -> None:
    assert follows_convention(name, ROOT) is follows


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("Network/BastionHost", "/shared/network/bastion-host"),
        ("vpc", "/shared/{category}/vpc"),
        ("team/some_thing", "/shared/team/some-thing"),
    ],
)
def test_a_name_outside_the_convention(name: str, proposed: str) -> None:
    assert proposed in only(check({name: "x"}), "export-name", "warning", name).mend


def test_names_that_differ_in_case_or_underscores_only() -> None:
    finding = only(check({"network/VPC_ID": VPC}), "export-duplicate", "warning", "network/VPC_ID")
    assert "/shared/network/vpc-id" in finding.message


def test_the_same_value_twice() -> None:
    config = {"exports": [{"name": "network/main-vpc", "points_at": "vpc", "shape": "vpc-id"}]}
    found = check({"network/main-vpc": VPC}, config=config)
    only(found, "export-duplicate", "warning", "network/main-vpc")
    assert check({"team/one": "x", "team/two": "x"}) == (), "what no rule speaks of may be the same"


# Stale


def in_state(name: str, value: str | None = None, kind: str = "String", version: int = 1) -> StateExport:
    given = VALUES.get(name) if value is None else value
    sensitive = kind == "SecureString"
    return StateExport(f"{ROOT}/{name}", kind, None if sensitive else given, version, "aws_ssm_parameter.x", sensitive)


def written(*exports: StateExport) -> Mapping[str, StateExport]:
    return {one.name: one for one in exports}


def test_a_state_that_agrees() -> None:
    assert check(state=written(in_state("network/vpc-id"), in_state("rds/prod/identifier"))) == ()
    assert check(state={}) == ()


def test_a_value_that_terraform_did_not_write() -> None:
    parameter = replace(export("network/vpc-id", VPC), version=7, modified_by="arn:aws:iam::1:user/kim\x1b")
    state = written(in_state("network/vpc-id", "vpc-00000002"))
    finding = only(check({"network/vpc-id": None}, parameter, state=state), "export-stale", "error", "network/vpc-id")
    assert f"The value is {VPC}, but aws_ssm_parameter.x wrote vpc-00000002" in finding.message
    assert "Version 7 was written 2026-03-01 12:00 UTC, by arn:aws:iam::1:user/kim␛." in finding.message
    assert "module network" in finding.mend


def test_another_type_or_version_than_terraform_wrote() -> None:
    other = check(state=written(in_state("network/vpc-id", kind="StringList")))
    only(other, "export-stale", "error", "network/vpc-id")
    only(check(state=written(in_state("network/vpc-id", version=3))), "export-stale", "warning", "network/vpc-id")
    assert check(state=written(in_state("network/vpc-id", version=0))) == (), "the state does not tell"


def test_a_secret_is_compared_by_version_and_never_shown() -> None:
    parameter = export("team/token", None, "SecureString")
    assert check({}, parameter, state=written(in_state("team/token", "hunter2", "SecureString"))) == ()
    later = written(in_state("team/token", "hunter2", "SecureString", version=2))
    finding = only(check({}, parameter, state=later), "export-stale", "warning", "team/token")
    assert "hunter2" not in finding.message
    now_plain = check({"team/token": "x"}, state=later)
    assert "hunter2" not in only(now_plain, "export-stale", "error", "team/token").message
    now_secret = check({}, parameter, state=written(in_state("team/token", "hunter2")))
    assert "hunter2" not in only(now_secret, "export-stale", "error", "team/token").message


def test_what_terraform_wrote_and_is_gone() -> None:
    only(check(state=written(in_state("team/gone", "x"))), "export-stale", "error", "team/gone")
    outside = StateExport("/elsewhere/x", "String", "x", 1, "aws_ssm_parameter.x")
    assert check(state=written(outside)) == ()


# All of it


def test_errors_come_first() -> None:
    found = check({"network/vpc-id": None, "Odd/Name": "x"}, environments=("dev", "prod"))
    assert [one.level for one in found] == ["error", "warning", "info"]


def seconds_for(count: int) -> float:
    """Of processor time, the shortest of three attempts."""
    many = [export(f"team-{number % 100}/thing-{number}", "x") for number in range(count)]
    many += [export(f"ecr/service-{number}-repository-arn", ARN) for number in range(count // 100)]
    took = []
    for _ in range(3):
        begun = time.process_time()
        check({}, *many, blind=True)
        took.append(time.process_time() - begun)
    return min(took)


def test_ten_times_as_many_exports_take_about_ten_times_as_long() -> None:
    assert seconds_for(10_000) < 40 * seconds_for(1_000)
