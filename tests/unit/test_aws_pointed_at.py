"""What exports point at, read through a hand-written fake of the access: batches, what is not there, what fails, and how
much is asked. The shapes are AWS's, as botocore's models give them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ec2 import Ec2
from infraconsole.aws.ecr import Ecr
from infraconsole.aws.kms import Kms
from infraconsole.aws.rds import Rds
from infraconsole.aws.secretsmanager import SecretsManager
from infraconsole.aws.ssm import Parameter
from infraconsole.checks.export_facts import WORKERS, PointedAt, read_facts
from infraconsole.checks.export_rules import load_rules
from infraconsole.config import parse
from infraconsole.errors import AccessDenied, AwsError, AwsNotFound, Throttled

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCOUNT, REGION = "123456789012", "ap-northeast-2"
COUNTS = [0, 1, 10, 11, 100, 101, 201]


class FakeAccess(AwsAccess):
    """Answers from `answers`: operation → what it answers, or a function of the parameters. One page each."""

    def __init__(self, **answers: Any) -> None:
        super().__init__(region=REGION, environ={})
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.at_once = self.most_at_once = 0
        self._counting = threading.Lock()

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        with self._counting:
            self.calls.append((operation, parameters))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.answers[operation]
            found: dict[str, Any] = answer(parameters) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return found
        finally:
            with self._counting:
                self.at_once -= 1

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield self.call(service, operation, **parameters)

    def sizes(self, operation: str) -> list[int]:
        return [len(asked["Filters"][0]["Values"]) for name, asked in self.calls if name == operation]

    def counted(self) -> dict[str, int]:
        return {name: sum(1 for called, _ in self.calls if called == name) for name, _ in self.calls}


def filtered(key: str, label: str, gone: str = "gone", **more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """As EC2 and RDS answer a filter: in an order of their own, and without what is not there."""

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        values = [value for value in asked["Filters"][0]["Values"] if gone not in value]
        return {key: [{label: value, **more} for value in reversed(values)]}

    return answer


def hundreds(count: int) -> list[int]:
    return [100] * (count // 100) + ([count % 100] if count % 100 else [])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    ("operation", "key", "label", "name"),
    [
        ("DescribeVpcs", "Vpcs", "VpcId", "vpc-id"),
        ("DescribeSubnets", "Subnets", "SubnetId", "subnet-id"),
        ("DescribeSecurityGroups", "SecurityGroups", "GroupId", "group-id"),
    ],
)
def test_networks_in_hundreds(count: int, operation: str, key: str, label: str, name: str) -> None:
    access = FakeAccess(**{operation: filtered(key, label)})
    ec2 = Ec2(access)
    read: dict[str, Callable[[list[str]], Any]] = {
        "DescribeVpcs": ec2.vpcs,
        "DescribeSubnets": ec2.subnets,
        "DescribeSecurityGroups": ec2.security_groups,
    }
    ids = [f"x-{number}" for number in range(count)]
    assert [one.id for one in read[operation](ids)] == ids
    assert access.sizes(operation) == hundreds(count)
    assert all(asked["Filters"][0]["Name"] == name for _, asked in access.calls)


@pytest.mark.parametrize("count", COUNTS)
def test_databases_in_hundreds(count: int) -> None:
    access = FakeAccess(DescribeDBInstances=filtered("DBInstances", "DBInstanceIdentifier"))
    names = [f"db-{number}" for number in range(count)]
    assert [one.identifier for one in Rds(access).instances(names)] == names
    assert access.sizes("DescribeDBInstances") == hundreds(count)


def test_what_is_gone_is_left_out_and_nothing_is_asked_for_twice() -> None:
    access = FakeAccess(
        DescribeSubnets=filtered("Subnets", "SubnetId"),
        DescribeDBInstances=filtered("DBInstances", "DBInstanceIdentifier"),
    )
    assert [one.id for one in Ec2(access).subnets(["b", "gone", "a", "b"])] == ["b", "a"]
    assert [one.identifier for one in Rds(access).instances(["Prod", "gone", "prod"])] == ["prod"]
    assert access.sizes("DescribeSubnets") == [3]
    assert access.sizes("DescribeDBInstances") == [2]


def test_a_filter_that_refuses_the_unknown_does_not_lose_the_others() -> None:
    def answer(asked: dict[str, Any]) -> Any:
        if "Filters" in asked or asked["DBInstanceIdentifier"] == "gone":
            return AwsNotFound("x", operation="rds:DescribeDBInstances", code="DBInstanceNotFound")
        return {"DBInstances": [{"DBInstanceIdentifier": asked["DBInstanceIdentifier"]}]}

    found = Rds(FakeAccess(DescribeDBInstances=answer)).instances(["a", "gone", "b"])
    assert [one.identifier for one in found] == ["a", "b"]


def test_a_subnet() -> None:
    raw = {
        "SubnetId": "subnet-1",
        "VpcId": "vpc-1",
        "AvailabilityZone": "ap-northeast-2a",
        "AvailabilityZoneId": "apne2-az1",
        "State": "available",
        "CidrBlock": "10.0.0.0/24",
        "AvailableIpAddressCount": 250,
        "MapPublicIpOnLaunch": True,
        "OwnerId": ACCOUNT,
        "Tags": [{"Key": "Tier", "Value": "public"}, {"Key": "Name", "Value": ""}],
    }
    [subnet] = Ec2(FakeAccess(DescribeSubnets={"Subnets": [raw]})).subnets(["subnet-1"])
    assert (subnet.vpc_id, subnet.zone, subnet.zone_id) == ("vpc-1", "ap-northeast-2a", "apne2-az1")
    assert (subnet.tag("Tier"), subnet.tag("Name"), subnet.tag("Owner")) == ("public", "", "")
    assert subnet.maps_public_ip
    assert hash(subnet)


def test_a_database() -> None:
    raw = {
        "DBInstanceIdentifier": "prod",
        "DBInstanceStatus": "available",
        "Endpoint": {"Address": "prod.x.rds.amazonaws.com", "Port": 3306},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "DBSubnetGroup": {"VpcId": "vpc-1"},
        "MasterUserSecret": {"SecretArn": "arn:secret", "SecretStatus": "active"},
        "ReadReplicaSourceDBInstanceIdentifier": "other",
    }
    database = Rds(FakeAccess(DescribeDBInstances={"DBInstances": [raw]})).instance("prod")
    assert database is not None
    assert (database.address, database.port, database.vpc_id) == ("prod.x.rds.amazonaws.com", 3306, "vpc-1")
    assert (database.security_group_ids, database.master_secret_arn) == (("sg-1",), "arn:secret")
    assert database.replicates == "other"
    starting = Rds(FakeAccess(DescribeDBInstances={"DBInstances": [{"DBInstanceStatus": "creating"}]})).instance("x")
    assert starting is not None
    assert (starting.address, starting.port) == ("", 0)


def test_what_does_not_exist_is_none_and_what_is_denied_is_raised() -> None:
    gone = AwsNotFound("x", operation="x:Y")
    access = FakeAccess(DescribeKey=gone, DescribeSecret=gone, DescribeRepositories=gone, DescribeDBInstances=gone)
    assert Kms(access).key("k") is None
    assert SecretsManager(access).secret("s") is None
    assert Ecr(access).repository("r") is None
    assert Rds(access).instance("d") is None
    empty = FakeAccess(DescribeRepositories={"repositories": []}, DescribeDBInstances={"DBInstances": []})
    assert Ecr(empty).repository("r") is None
    assert Rds(empty).instance("d") is None
    denied = FakeAccess(DescribeKey=AccessDenied("x", operation="kms:DescribeKey"))
    with pytest.raises(AccessDenied):
        Kms(denied).key("k")


@pytest.mark.parametrize(
    ("more", "can_rotate"),
    [
        ({}, True),
        ({"KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS"}, True),
        ({"KeySpec": "RSA_2048"}, False),
        ({"Origin": "EXTERNAL"}, False),
    ],
)
def test_a_key(more: dict[str, Any], can_rotate: bool) -> None:
    raw = {"KeyId": "k", "Arn": "arn:k", "KeyState": "PendingDeletion", "Enabled": False, "DeletionDate": AT, **more}
    key = Kms(FakeAccess(DescribeKey={"KeyMetadata": raw})).key("k")
    assert key is not None
    assert (key.arn, key.state, key.enabled, key.deletion_at) == ("arn:k", "PendingDeletion", False, AT)
    assert key.can_rotate is can_rotate


def test_rotation_aliases_repository_and_secret() -> None:
    access = FakeAccess(
        GetKeyRotationStatus={"KeyRotationEnabled": True},
        ListAliases={"Aliases": [{"AliasName": "alias/s3"}, {"AliasName": "alias/a"}]},
        DescribeRepositories={
            "repositories": [{"repositoryName": "r", "repositoryUri": "u/r", "repositoryArn": "arn"}]
        },
        DescribeSecret={"ARN": "arn:s", "Name": "s", "DeletedDate": AT, "KmsKeyId": "k"},
    )
    assert Kms(access).rotates("k") is True
    assert Kms(access).aliases("k") == ("alias/a", "alias/s3")
    repository = Ecr(access).repository("r")
    assert repository is not None
    assert (repository.name, repository.uri, repository.arn) == ("r", "u/r", "arn")
    secret = SecretsManager(access).secret("s")
    assert secret is not None
    assert (secret.arn, secret.deleted_at, secret.kms_key_id) == ("arn:s", AT, "k")


# Gathered for a set of exports

RULES = load_rules(parse({}, None))


def export(name: str, value: str | None, kind: str = "String") -> Parameter:
    full = f"{naming.EXPORT_ROOT}/{name}"
    return Parameter(full, kind, value, 1, AT, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{full}")


def key_arn(number: int, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{number:08x}-0000-0000-0000-000000000000"


def subnet_ids(count: int) -> list[str]:
    return [f"subnet-{number:017x}" for number in range(count)]


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod-AbCdEf"
ADDRESS = "prod-shared-mysql.x.ap-northeast-2.rds.amazonaws.com"

COMPANY = (
    export("network/vpc-id", "vpc-00000001"),
    export("network/public-subnet-ids", ",".join(subnet_ids(3)), "StringList"),
    *(export(f"kms/{kind}-key-arn", key_arn(number)) for number, kind in enumerate(naming.KMS_KINDS)),
    export("ecr/fileflow-repository-url", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fileflow"),
    export("ecr/fileflow-repository-arn", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/fileflow"),
    export("rds/prod/endpoint", f"{ADDRESS}:3306"),
    export("rds/prod/identifier", "prod-shared-mysql"),
    export("rds/prod/security-group-id", "sg-00000001"),
    export("rds/prod/master-secret-arn", SECRET),
)


def account(**changed: Any) -> FakeAccess:
    """An account in which everything is there."""
    answers: dict[str, Any] = {
        "DescribeVpcs": filtered("Vpcs", "VpcId"),
        "DescribeSubnets": filtered("Subnets", "SubnetId"),
        "DescribeSecurityGroups": filtered("SecurityGroups", "GroupId"),
        "DescribeDBInstances": filtered("DBInstances", "DBInstanceIdentifier"),
        "DescribeKey": lambda asked: {"KeyMetadata": {"Arn": asked["KeyId"], "KeyState": "Enabled", "Enabled": True}},
        "GetKeyRotationStatus": {"KeyRotationEnabled": True},
        "ListAliases": {"Aliases": [{"AliasName": "alias/x"}]},
        "DescribeRepositories": lambda asked: {"repositories": [{"repositoryName": asked["repositoryNames"][0]}]},
        "DescribeSecret": lambda asked: {"ARN": asked["SecretId"]},
    }
    return FakeAccess(**{**answers, **changed})


def test_everything_that_the_exports_name_and_nothing_else() -> None:
    access = account()
    facts = read_facts(access, COMPANY, RULES)
    assert (facts.region, facts.account) == (REGION, ACCOUNT)
    assert facts.vpcs.get("vpc-00000001") is not None
    assert list(facts.subnets.found) == subnet_ids(3)
    assert set(facts.keys.found) == set(facts.rotation.found) == set(facts.aliases.found)
    assert len(facts.keys.found) == 7
    assert set(facts.repositories.found) == {"fileflow"}
    assert set(facts.instances.found) == {"prod-shared-mysql"}
    assert set(facts.secrets.found) == {SECRET}
    assert not any(group.failed for group in groups(facts))
    assert access.counted() == {
        "DescribeVpcs": 1,
        "DescribeSubnets": 1,
        "DescribeSecurityGroups": 1,
        "DescribeDBInstances": 1,
        "DescribeKey": 7,
        "GetKeyRotationStatus": 7,
        "ListAliases": 7,
        "DescribeRepositories": 1,
        "DescribeSecret": 1,
    }
    assert access.most_at_once <= WORKERS


def groups(facts: PointedAt) -> list[Any]:
    return [
        *(facts.vpcs, facts.subnets, facts.security_groups, facts.keys, facts.rotation, facts.aliases),
        *(facts.repositories, facts.instances, facts.secrets),
    ]


def test_no_exports_no_calls() -> None:
    access = account()
    facts = read_facts(access, [], RULES)
    assert access.calls == []
    assert facts == PointedAt(REGION)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 100, 101])
def test_many_keys_a_few_at_a_time(count: int) -> None:
    table = [
        {"name": f"kms/kind-{number}-key-arn", "shape": "kms-key-arn", "points_at": f"kms:kind-{number}"}
        for number in range(count)
    ]
    access = account()
    exports = [export(f"kms/kind-{number}-key-arn", key_arn(number)) for number in range(count)]
    facts = read_facts(access, exports, load_rules(parse({"exports": table}, None)))
    assert len(facts.keys.found) == count
    assert access.most_at_once <= WORKERS


@pytest.mark.parametrize("count", [1, 10, 11, 100, 101])
def test_many_subnets(count: int) -> None:
    access = account()
    facts = read_facts(access, [export("network/data-subnet-ids", ",".join(subnet_ids(count)), "StringList")], RULES)
    assert list(facts.subnets.found) == subnet_ids(count)
    assert access.sizes("DescribeSubnets") == hundreds(count)


@pytest.mark.parametrize(
    "parameter",
    [
        export("network/vpc-id", "vpc-1 "),
        export("network/vpc-id", ""),
        export("network/vpc-id", None, "SecureString"),
        export("network/data-subnet-ids", "subnet-00000001,", "StringList"),
        export("kms/s3-key-arn", "alias/s3"),
        export("kms/s3-key-arn", key_arn(1, region="us-east-1")),
        export("kms/s3-key-arn", key_arn(1, account="999999999999")),
        export("ecr/a-repository-url", f"999999999999.dkr.ecr.{REGION}.amazonaws.com/a"),
        export("rds/dev/master-secret-arn", SECRET.replace(REGION, "us-east-1")),
        export("rds/dev/endpoint", "10.0.0.1:3306"),
        export("some/thing", "vpc-00000001"),
    ],
)
def test_what_cannot_be_asked_for_is_not(parameter: Parameter) -> None:
    access = account()
    read_facts(access, [parameter], RULES)
    assert access.calls == []


@pytest.mark.parametrize(
    ("operation", "group", "still"),
    [
        ("DescribeVpcs", "vpcs", "subnets"),
        ("DescribeSubnets", "subnets", "vpcs"),
        ("DescribeSecurityGroups", "security_groups", "instances"),
        ("DescribeKey", "keys", "vpcs"),
        ("GetKeyRotationStatus", "rotation", "keys"),
        ("ListAliases", "aliases", "rotation"),
        ("DescribeRepositories", "repositories", "keys"),
        ("DescribeDBInstances", "instances", "security_groups"),
        ("DescribeSecret", "secrets", "instances"),
    ],
)
@pytest.mark.parametrize("kind", [AccessDenied, Throttled])
def test_a_call_that_fails_costs_its_own_facts_only(
    operation: str, group: str, still: str, kind: type[AwsError]
) -> None:
    error = kind("no", operation=operation)
    facts = read_facts(account(**{operation: error}), COMPANY, RULES)
    assert getattr(facts, group).found == {}
    assert set(getattr(facts, group).failed.values()) == {error}
    assert getattr(facts, still).found
    assert not getattr(facts, still).failed


def test_one_keys_policy_does_not_hide_the_others() -> None:
    def answer(asked: dict[str, Any]) -> Any:
        if asked["KeyId"] == key_arn(3):
            return AccessDenied("no", operation="kms:DescribeKey")
        return {"KeyMetadata": {"Arn": asked["KeyId"], "KeyState": "Enabled", "Enabled": True}}

    facts = read_facts(account(DescribeKey=answer), COMPANY, RULES)
    assert list(facts.keys.failed) == [key_arn(3)]
    assert len(facts.keys.found) == 6
    assert isinstance(facts.keys.error(key_arn(1), key_arn(3)), AccessDenied)
    assert facts.keys.error(key_arn(1)) is None


def test_rotation_is_not_asked_of_keys_that_cannot_or_do_not() -> None:
    raw = {"KeyState": "Disabled", "Enabled": False}
    access = account(DescribeKey={"KeyMetadata": raw})
    assert read_facts(access, COMPANY, RULES).rotation.found == {}
    raw = {"KeyState": "Enabled", "Enabled": True, "Origin": "EXTERNAL"}
    access = account(DescribeKey={"KeyMetadata": raw})
    assert read_facts(access, COMPANY, RULES).rotation.found == {}
    assert "GetKeyRotationStatus" not in access.counted()
