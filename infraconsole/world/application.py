"""What an application repository's code makes besides its ECS service, made through the API: groups, roles, bucket, queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from infraconsole import naming
from infraconsole.world.company import Company
from infraconsole.world.pieces import Tags, listed
from infraconsole.world.wire import Wire, first

_S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True)
class Ground:
    """What the services stand on."""

    vpc: str
    subnets: dict[str, list[str]]
    """Ids by tier."""
    keys: dict[str, str]
    """KMS key ARNs by kind."""
    databases: dict[str, str]
    """Security groups of the shared databases by environment."""


@dataclass(frozen=True)
class Role:
    """`id` and `created` are what IAM gave it: `AROA…`, and a time as `2026-11-25T09:32:14Z`."""

    name: str
    id: str
    created: str


@dataclass(frozen=True)
class Made:
    """Ids of one service's own resources in one environment; the rules let the balancer reach the tasks, and these the
    shared database."""

    alb_group: str
    tasks_group: str
    redis_group: str
    tasks_rule: str
    database_rule: str
    execution_role: Role
    task_role: Role
    bucket: str
    queue_url: str


def make(wire: Wire, company: Company, service: str, environment: str, ground: Ground) -> Made:
    keys = ground.keys
    prefix = naming.target_name(service, environment)

    def tags(name: str, component: str) -> Tags:
        return company.resource_tags(service, environment, name, component)

    def group(suffix: str, description: str) -> str:
        name = f"{prefix}-{suffix}-sg"
        xml = wire.query("ec2", "CreateSecurityGroup", GroupName=name, GroupDescription=description, VpcId=ground.vpc)
        made = first(xml, "groupId")
        wire.query("ec2", "CreateTags", ResourceId=[made], Tag=listed(tags(name, "security-group")))
        return made

    alb = group("alb", f"Load balancer of {prefix}")
    tasks = group("ecs-tasks", f"Tasks of {prefix}")
    redis = group("redis", f"Redis of {prefix}")
    tasks_rule = let_in(wire, tasks, company.container_port, alb)
    database_rule = let_in(wire, ground.databases[environment], 3306, tasks, f"MySQL from {prefix} tasks")

    def role(suffix: str) -> Role:
        name = f"{prefix}-{suffix}"
        xml = wire.query(
            "iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=_ASSUME, Tags=listed(tags(name, "iam"))
        )
        return Role(name, first(xml, "RoleId"), f"{first(xml, 'CreateDate')[:19]}Z")

    execution_role, task_role = role("ecs-execution"), role("ecs-task")
    bucket = f"{prefix}-storage-{company.account}"
    wire.s3(
        "PUT",
        f"/{bucket}",
        f"<CreateBucketConfiguration {_S3}><LocationConstraint>{company.region}</LocationConstraint>"
        "</CreateBucketConfiguration>".encode(),
    )
    wire.s3(
        "PUT",
        f"/{bucket}",
        f"<ServerSideEncryptionConfiguration {_S3}><Rule><ApplyServerSideEncryptionByDefault>"
        f"<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{keys['s3']}</KMSMasterKeyID>"
        "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>".encode(),
        "encryption",
    )
    tagging = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in tags(bucket, "s3").items())
    wire.s3("PUT", f"/{bucket}", f"<Tagging {_S3}><TagSet>{tagging}</TagSet></Tagging>".encode(), "tagging")
    wire.query(
        "iam",
        "PutRolePolicy",
        RoleName=f"{prefix}-ecs-task",
        PolicyName=f"{prefix}-access",
        PolicyDocument=access_policy(bucket, keys),
    )
    queue = wire.json(
        "sqs",
        "CreateQueue",
        QueueName=f"{prefix}-jobs",
        Attributes={
            "VisibilityTimeout": "300",
            "MessageRetentionPeriod": "1209600",
            "MaximumMessageSize": "262144",
            "KmsMasterKeyId": keys["sqs"],
        },
        tags=tags(f"{prefix}-jobs", "sqs"),
    )
    wire.query(
        "elasticache",
        "CreateCacheSubnetGroup",
        CacheSubnetGroupName=f"{prefix}-redis",
        CacheSubnetGroupDescription="Managed by Terraform",
        **{
            "SubnetIds.SubnetIdentifier": ground.subnets["data"],
            "Tags.Tag": listed(tags(f"{prefix}-redis", "redis")),
        },
    )
    return Made(alb, tasks, redis, tasks_rule, database_rule, execution_role, task_role, bucket, str(queue["QueueUrl"]))


def let_in(wire: Wire, group: str, port: int, source: str, description: str = "") -> str:
    """The id of the rule that lets the security group `source` reach `port` of `group`."""
    who = {"GroupId": source, **({"Description": description} if description else {})}
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "Groups": [who]}
    xml = wire.query("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission])
    return first(xml, "securityGroupRuleId")


def access_policy(bucket: str, keys: Mapping[str, str]) -> str:
    """As iam.tf writes it."""
    statements = [
        {
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Effect": "Allow",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        },
        {
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Effect": "Allow",
            "Resource": [keys["s3"], keys["sqs"]],
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


_ASSUME = json.dumps(
    {
        "Statement": [
            {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
        "Version": "2012-10-17",
    }
)
