"""May these credentials do what the runbooks will ask of them? Reads are tried, one item each; changes are put to IAM's
simulator, which many roles may not ask: then the answer is that it could not be seen, not that it is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.checks.findings import Finding
from infraconsole.config import EnvironmentSettings
from infraconsole.errors import AccessDenied, AwsError, AwsNotFound

_ASSUMED = re.compile(r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")


@dataclass(frozen=True)
class Need:
    """A permission and what it is for. `essential` where nothing useful can be done without it, `optional` where nothing
    that has to be done needs it."""

    action: str
    what_for: str
    essential: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Answer:
    """`allowed` is None where it could not be seen, `error` or `remark` saying why. `defects` are what the read showed
    beside the permission: something that is missing or is not as it has to be."""

    need: Need
    allowed: bool | None
    error: AwsError | None = None
    remark: str = ""
    defects: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Read:
    """A small read that tells whether a permission is there."""

    need: Need
    service: str
    operation: str
    parameters: Mapping[str, Any]


_ONE = {"maxResults": 1}

READS = (
    Read(Need("ecs:ListClusters", "the services", True), "ecs", "ListClusters", _ONE),
    Read(Need("ecs:ListTaskDefinitions", "choosing a revision", True), "ecs", "ListTaskDefinitions", _ONE),
    Read(Need("ssm:DescribeParameters", "the exports"), "ssm", "DescribeParameters", {"MaxResults": 1}),
    Read(Need("ecr:DescribeRepositories", "whether an image still exists"), "ecr", "DescribeRepositories", _ONE),
    Read(
        Need("elasticloadbalancing:DescribeTargetGroups", "target health"),
        "elbv2",
        "DescribeTargetGroups",
        {"PageSize": 1},
    ),
    Read(Need("cloudwatch:DescribeAlarms", "alarms"), "cloudwatch", "DescribeAlarms", {"MaxRecords": 1}),
    Read(Need("logs:DescribeLogGroups", "log lines"), "logs", "DescribeLogGroups", {"limit": 1}),
    Read(Need("rds:DescribeDBInstances", "databases and failover"), "rds", "DescribeDBInstances", {"MaxRecords": 20}),
    # It needs cloudtrail:GetEventSelectors and the trail's bucket too, which can be tried only where there is a trail.
    Read(
        Need("cloudtrail:DescribeTrails", "saying who wrote a version of a state", optional=True),
        "cloudtrail",
        "DescribeTrails",
        {},
    ),
)

CHANGES = (
    Need("ecs:UpdateService", "an ECS rollback"),
    Need("ecs:StopServiceDeployment", "stopping a rollout"),
    Need("ecs:RegisterTaskDefinition", "going back to a revision that was deregistered", optional=True),
    Need("iam:PassRole", "bringing a task definition with its roles"),
)


def ask(access: AwsAccess, arn: str, environments: Sequence[EnvironmentSettings]) -> tuple[Answer, ...]:
    """Every need's answer; `arn` is the caller's own. Nothing is changed and nothing is raised."""
    questions: list[Callable[[], tuple[Answer, ...]]] = [partial(_simulated, access, arn)]
    questions += [partial(_tried, access, read) for read in READS]
    questions += [partial(_bucket, access, name) for name in _named(environments, "state_bucket")]
    questions += [partial(_table, access, name) for name in _named(environments, "lock_table")]
    with ThreadPoolExecutor(8) as pool:
        return tuple(answer for answers in pool.map(lambda question: question(), questions) for answer in answers)


def _named(environments: Sequence[EnvironmentSettings], key: str) -> tuple[str, ...]:
    """What the environments set `key` to, each once."""
    return tuple(dict.fromkeys(name for settings in environments if (name := getattr(settings, key))))


def _tried(access: AwsAccess, read: Read) -> tuple[Answer, ...]:
    try:
        access.call(read.service, read.operation, **read.parameters)
    except AwsError as error:
        return (Answer(read.need, False if isinstance(error, AccessDenied) else None, error),)
    return (Answer(read.need, True),)


def _bucket(access: AwsAccess, bucket: str) -> tuple[Answer, ...]:
    """A state bucket has to keep versions: without them there is nothing to roll back to."""
    need = Need("s3:GetBucketVersioning", f"the versions of the states in {bucket}")
    try:
        answer = access.call("s3", "GetBucketVersioning", Bucket=bucket)
    except AwsNotFound as error:
        mend = "Mend state_bucket, or apply the bootstrap module."
        missing = Finding(
            "state-bucket-missing", "error", bucket, f"The state bucket does not exist: {error.words}", mend
        )
        return (Answer(need, True, defects=(missing,)),)
    except AwsError as error:
        return (Answer(need, False if isinstance(error, AccessDenied) else None, error),)
    status = str(answer.get("Status") or "never switched on")
    if status == "Enabled":
        return (Answer(need, True),)
    mend = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    message = f"The state bucket keeps no versions (versioning: {status}); no state can be rolled back."
    return (Answer(need, True, defects=(Finding("state-bucket-unversioned", "error", bucket, message, mend),)),)


def _table(access: AwsAccess, table: str) -> tuple[Answer, ...]:
    need = Need("dynamodb:DescribeTable", f"the locks in {table}")
    try:
        access.call("dynamodb", "DescribeTable", TableName=table)
    except AwsNotFound as error:
        mend = "Mend lock_table, or apply the bootstrap module."
        missing = Finding("lock-table-missing", "error", table, f"The lock table does not exist: {error.words}", mend)
        return (Answer(need, True, defects=(missing,)),)
    except AwsError as error:
        return (Answer(need, False if isinstance(error, AccessDenied) else None, error),)
    return (Answer(need, True),)


def policy_source(arn: str) -> str:
    """The ARN that IAM's simulator takes for a caller: a session of a role stands for the role; "" for root and others.

    A role's path is not in its session's ARN, so that roles with one (those of SSO) are not found this way.
    """
    session = _ASSUMED.fullmatch(arn)
    if session:
        return f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
    return arn if ":user/" in arn or ":role/" in arn else ""


def _simulated(access: AwsAccess, arn: str) -> tuple[Answer, ...]:
    source = policy_source(arn)
    if not source:
        return tuple(
            Answer(need, None, remark="IAM's simulator does not know this kind of caller.") for need in CHANGES
        )
    asked = {"PolicySourceArn": source, "ActionNames": [need.action for need in CHANGES]}
    try:
        results = tuple(access.pages("iam", "SimulatePrincipalPolicy", "EvaluationResults", **asked))
    except AwsError as error:
        return tuple(Answer(need, None, error) for need in CHANGES)
    decisions = {str(result.get("EvalActionName")): str(result.get("EvalDecision")) for result in results}
    return tuple(_decided(need, decisions.get(need.action)) for need in CHANGES)


def _decided(need: Need, decision: str | None) -> Answer:
    if decision is None:
        return Answer(need, None, remark="IAM's simulator did not say.")
    return Answer(need, decision == "allowed")
