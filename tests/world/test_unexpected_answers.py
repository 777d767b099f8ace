"""Every read of the AWS layer with its good answer broken in each place in turn: either it is read all the same, or AWS "answered
something else than documented". Never a traceback, and never "nothing is there"."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from infraconsole import naming
from infraconsole.aws import answers
from infraconsole.aws.access import READS, AwsAccess
from infraconsole.aws.cloudtrail import CloudTrail
from infraconsole.aws.cloudwatch import CloudWatch
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.ec2 import Ec2
from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.aws.ecs import Ecs
from infraconsole.aws.elbv2 import Elbv2
from infraconsole.aws.kms import Kms
from infraconsole.aws.logs import Logs
from infraconsole.aws.rds import Rds
from infraconsole.aws.s3 import S3
from infraconsole.aws.secretsmanager import SecretsManager
from infraconsole.aws.ssm import Ssm
from infraconsole.aws.sts import identity
from infraconsole.checks.application import application
from infraconsole.errors import AwsError, UnexpectedAnswer
from infraconsole.world.process import World

from .conftest import client

CLUSTER = naming.cluster("fileflow", "prod")
SERVICE = naming.ecs_service("fileflow", "prod")
JUNK: tuple[Any, ...] = (None, "x", 7, [], {}, True, ["x"], {"x": "y"})
MOST = 50
"""Places of one answer that are broken; those at the top are all among them."""


MAY_SAY_NOTHING = ("GetItem", "DescribeAlarms")
"""What is left out there is documented to say that there is none (see `answers.MAY_BE_EMPTY`)."""


@dataclass
class Taped:
    """An access whose answers are kept once, then given again without the network, one of them broken by `break_`."""

    access: AwsAccess
    kept: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    replaying: dict[tuple[str, str], int] | None = None
    broken: tuple[tuple[str, str], bytes] | None = None

    def of(self, service: str) -> None:
        events = self.access.client(service).meta.events
        events.register_last("after-call", self._keep)
        events.register("before-send", self._replay)

    def _keep(self, http_response: Any, model: Any, **_: Any) -> None:
        if self.replaying is None and not model.has_streaming_output:
            self.kept.setdefault(_name(model), []).append(http_response)

    def _replay(self, request: Any, event_name: str, **_: Any) -> Any:
        if self.replaying is None:
            return None
        operation = event_name.rsplit(".", 1)[1]
        key = next(key for key in self.kept if key[1] == operation)
        number = self.replaying.get(key, 0)
        self.replaying[key] = number + 1
        good = self.kept[key][min(number, len(self.kept[key]) - 1)]
        body = self.broken[1] if self.broken and self.broken[0] == key else good.content
        return SimpleNamespace(
            status_code=good.status_code, headers=good.headers, content=body, raw=None, text=body.decode(), url=good.url
        )


def _name(model: Any) -> tuple[str, str]:
    return str(model.service_model.service_name), str(model.name)


@pytest.fixture(scope="module")
def access(shared_world: World) -> AwsAccess:
    return AwsAccess(region=shared_world.region, environ={**shared_world.environment(), "AWS_MAX_ATTEMPTS": "1"})


@pytest.fixture(scope="module")
def facts(access: AwsAccess, shared_world: World) -> SimpleNamespace:
    """Things of the world that the reads can be asked for."""
    ecs = Ecs(access)
    service = ecs.service(CLUSTER, SERVICE)
    found = application(ecs.task_definition(service.task_definition), "fileflow")
    assert found
    main = found.container
    s3 = client(shared_world, "s3")
    s3.create_bucket(Bucket="broken-answers", CreateBucketConfiguration={"LocationConstraint": shared_world.region})
    s3.put_bucket_versioning(Bucket="broken-answers", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="broken-answers", Key="k", Body=b"{}")
    s3.delete_object(Bucket="broken-answers", Key="k")
    s3.put_object(Bucket="broken-answers", Key="k", Body=b"{}")
    logs = client(shared_world, "logs")
    logs.create_log_group(logGroupName="/broken")
    logs.create_log_stream(logGroupName="/broken", logStreamName="s")
    now = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(
        logGroupName="/broken", logStreamName="s", logEvents=[{"timestamp": now - 1000, "message": "m"}]
    )
    kms = client(shared_world, "kms")
    secrets = client(shared_world, "secretsmanager")
    secrets.create_secret(Name="broken", SecretString="x")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/broken", TargetKeyId=key)
    dynamodb = client(shared_world, "dynamodb")
    dynamodb.create_table(
        TableName="broken",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="broken", Item={"LockID": {"S": "a"}, "Info": {"S": "i"}})
    ec2 = client(shared_world, "ec2")
    return SimpleNamespace(
        service=service,
        group=service.load_balancers[0].target_group_arn,
        image=parse_image(main.image),
        export=next(iter(naming.required_exports("fileflow"))),
        key=key,
        vpc=ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        subnet=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        security_group=ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"],
        database=next(iter(client(shared_world, "rds").describe_db_instances()["DBInstances"]))["DBInstanceIdentifier"],
    )


Read = Callable[[AwsAccess, SimpleNamespace], Any]
READINGS: Mapping[str, tuple[str, Read]] = {
    "identity": ("sts", lambda access, _: identity(access)),
    "services": ("ecs", lambda access, _: Ecs(access).services(CLUSTER, [SERVICE])),
    "service names": ("ecs", lambda access, _: Ecs(access).service_names(CLUSTER)),
    "clusters": ("ecs", lambda access, _: Ecs(access).cluster_names()),
    "task definition": ("ecs", lambda access, facts: Ecs(access).task_definition(facts.service.task_definition)),
    "revisions": ("ecs", lambda access, _: list(Ecs(access).revisions(naming.task_family("fileflow", "prod")))),
    "deployments": ("ecs", lambda access, _: Ecs(access).service_deployments(CLUSTER, SERVICE)),
    "tasks": ("ecs", lambda access, _: Ecs(access).tasks(CLUSTER, SERVICE)),
    "health": ("elbv2", lambda access, facts: Elbv2(access).target_health(facts.group)),
    "target group": ("elbv2", lambda access, facts: Elbv2(access).target_group(facts.group)),
    "health address": ("elbv2", lambda access, facts: Elbv2(access).health_address(facts.group)),
    "image": ("ecr", lambda access, facts: Ecr(access).image(facts.image)),
    "repository": ("ecr", lambda access, facts: Ecr(access).repository(facts.image.repository)),
    "parameters": ("ssm", lambda access, facts: Ssm(access).parameters([facts.export])),
    "described": ("ssm", lambda access, _: list(Ssm(access).described_under(naming.EXPORT_ROOT))),
    "history": ("ssm", lambda access, facts: Ssm(access).history(facts.export)),
    "revealed": ("ssm", lambda access, facts: Ssm(access).revealed(facts.export)),
    "versions": ("s3", lambda access, _: list(S3(access).versions("broken-answers", "k"))),
    "key": ("kms", lambda access, facts: Kms(access).key(facts.key)),
    "rotation": ("kms", lambda access, facts: (Kms(access).rotates(facts.key),)),
    "aliases": ("kms", lambda access, facts: Kms(access).aliases(facts.key)),
    "vpcs": ("ec2", lambda access, facts: Ec2(access).vpcs([facts.vpc])),
    "subnets": ("ec2", lambda access, facts: Ec2(access).subnets([facts.subnet])),
    "security groups": ("ec2", lambda access, facts: Ec2(access).security_groups([facts.security_group])),
    "databases": ("rds", lambda access, facts: Rds(access).instances([facts.database])),
    "log lines": (
        "logs",
        lambda access, _: Logs(access).lines("/broken", since=datetime.now(UTC) - timedelta(minutes=4), limit=1),
    ),
    "secret": ("secretsmanager", lambda access, _: SecretsManager(access).secret("broken")),
    "lock": ("dynamodb", lambda access, _: DynamoDb(access).item("broken", "a")),
    "alarms": ("cloudwatch", lambda access, _: CloudWatch(access).alarms("fileflow-prod-")),
    "trails": ("cloudtrail", lambda access, _: CloudTrail(access).trails()),
}


@pytest.mark.parametrize("what", READINGS)
def test_a_broken_answer_is_read_or_said_to_be_unexpected(what: str, access: AwsAccess, facts: SimpleNamespace) -> None:
    service, read = READINGS[what]
    copied = AwsAccess(region=access.region, environ=access._environ)
    taped = Taped(copied)
    taped.of(service)
    good = read(copied, facts)
    assert good, "the world has something to answer with"
    taped.replaying = {}
    assert read(copied, facts) == good, "given again it is the same"
    refused = 0
    for key, kept in list(taped.kept.items()):
        for where, body, must_be_told in _broken(kept[0].content):
            taped.replaying, taped.broken = {}, (key, body)
            try:
                found = read(copied, facts)
            except AwsError as error:
                refused += isinstance(error, UnexpectedAnswer)
                continue
            assert found or not must_be_told or key[1] in MAY_SAY_NOTHING, (
                f"{key}, {where}: something is there, and nothing was found"
            )
    assert refused, "some of it was told"


def _broken(body: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Where and how, the answer, and whether "nothing is there" would be wrong of it: an empty list is an answer too."""
    if body.lstrip().startswith(b"{"):
        document = json.loads(body)
        for junk in (b"[]", b"null", b'"x"', b"7", b"", b"{", b"\xff\xfe"):
            yield f"whole {junk!r}", junk, True
        for place in sorted(_places(document), key=len)[:MOST]:
            for junk in ("gone", *JUNK):
                told = junk in ("gone", None) and isinstance(place[-1], str)
                yield f"{place} {junk!r}", json.dumps(_changed(document, place, junk)).encode(), told
        return
    for junk in (b"", b"<html><body>Log in</body></html>", b"<", b"{}", b"[]"):
        yield f"whole {junk!r}", junk, True
    root = ElementTree.fromstring(body)  # noqa: S314 - the world's own
    count = min(MOST, sum(1 for _ in root.iter()))
    for number in range(1, count):
        for text in ("gone", "x", ""):
            yield f"element {number} {text!r}", _changed_xml(root, number, text), False


def _places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in items:
        yield (*path, name)
        yield from _places(value, (*path, name))


def _changed(document: Any, place: tuple[Any, ...], junk: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    if junk == "gone":
        del inner[place[-1]]
    else:
        inner[place[-1]] = junk
    return changed


def _changed_xml(root: ElementTree.Element, number: int, junk: str) -> bytes:
    changed = copy.deepcopy(root)
    parents = {child: parent for parent in changed.iter() for child in parent}
    element = list(changed.iter())[number]
    if junk == "gone":
        parents[element].remove(element)
    else:
        for child in list(element):
            element.remove(child)
        element.text = junk
    return ElementTree.tostring(changed)


def test_every_answer_that_is_asked_for_has_been_thought_about() -> None:
    """Of each operation that botocore's model gives an answer, either something is needed or there is a word why not."""
    from botocore.session import Session

    known = {service for service, _ in answers.NEEDED} | {service for service, _ in answers.MAY_BE_EMPTY}
    session = Session()
    for service in known:
        shapes = session.get_service_model(service)
        for (of, name), members in answers.NEEDED.items():
            if of == service:
                assert set(members) <= set(shapes.shape_for(name).members), f"{service} {name}"
        for of, name in answers.MAY_BE_EMPTY:
            if of == service:
                assert name in shapes.shape_names
    assert known <= set(READS)
