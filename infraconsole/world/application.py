"""What an application repository's code makes besides its ECS service, made through the API: groups, roles, bucket, queue.

Together with the ids of the rest it is also what Terraform's state of that repository says, so that a plan of the code in
`assets/world/terraform/application` finds nothing to do but what a new image asks for.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infraconsole import naming
from infraconsole.world.company import Company
from infraconsole.world.wire import Wire, first

Tags = dict[str, str]

_S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True)
class Made:
    """Ids of one service's own resources in one environment."""

    alb_group: str
    tasks_group: str
    redis_group: str
    bucket: str
    queue_url: str


def make(
    wire: Wire,
    company: Company,
    service: str,
    environment: str,
    *,
    vpc: str,
    data_subnets: list[str],
    keys: Mapping[str, str],
) -> Made:
    """`keys` are the KMS key ARNs by kind."""
    prefix = naming.target_name(service, environment)

    def tags(name: str, component: str) -> Tags:
        return company.resource_tags(service, environment, name, component)

    def group(suffix: str, description: str) -> str:
        name = f"{prefix}-{suffix}-sg"
        xml = wire.query("ec2", "CreateSecurityGroup", GroupName=name, GroupDescription=description, VpcId=vpc)
        made = first(xml, "groupId")
        wire.query("ec2", "CreateTags", ResourceId=[made], Tag=listed(tags(name, "security-group")))
        return made

    alb = group("alb", f"Load balancer of {prefix}")
    tasks = group("ecs-tasks", f"Tasks of {prefix}")
    redis = group("redis", f"Redis of {prefix}")
    wire.query(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        GroupId=tasks,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": company.container_port,
                "ToPort": company.container_port,
                "Groups": [{"GroupId": alb}],
            }
        ],
    )
    for suffix in ("ecs-execution", "ecs-task"):
        name = f"{prefix}-{suffix}"
        wire.query("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=ASSUME, Tags=listed(tags(name, "iam")))
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
            "SubnetIds.SubnetIdentifier": data_subnets,
            "Tags.Tag": listed(tags(f"{prefix}-redis", "redis")),
        },
    )
    return Made(alb, tasks, redis, bucket, queue["QueueUrl"])


def listed(tags: Tags, *, lower: bool = False) -> list[Tags]:
    key, value = ("key", "value") if lower else ("Key", "Value")
    return [{key: name, value: text} for name, text in tags.items()]


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
    return json.dumps({"Statement": statements, "Version": "2012-10-17"})


ASSUME = json.dumps(
    {
        "Statement": [
            {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
        "Version": "2012-10-17",
    }
)


def state_resources(
    company: Company,
    service: str,
    environment: str,
    revision: int,
    *,
    made: Made,
    ids: Mapping[str, str],
    containers: str,
) -> list[dict[str, Any]]:
    """The managed resources of the state after the apply that deployed `revision`; `ids` has the ARNs of cluster, alb,
    target-group, listener, secret, and the shared database's security group as rds-group; `containers` are that revision's."""
    prefix = naming.target_name(service, environment)
    account, region = company.account, company.region
    cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
    definition = f"arn:aws:ecs:{region}:{account}:task-definition/{prefix}:{revision}"
    port = company.container_port

    def one(kind: str, label: str, version: int = 0, **attributes: Any) -> dict[str, Any]:
        return resource(kind, label, [_instance(version, attributes)])

    def rule(label: str, group: str, source: str, at: int, description: str = "") -> dict[str, Any]:
        return one(
            "aws_security_group_rule",
            label,
            2,
            id=f"sgrule-{zlib.crc32(f'{group} {source}'.encode())}",
            type="ingress",
            from_port=at,
            to_port=at,
            protocol="tcp",
            security_group_id=group,
            source_security_group_id=source,
            self=False,
            description=description,
        )

    retention = company.environments[environment].retention
    groups = [
        {
            **_instance(
                0,
                {
                    "id": naming.log_group(service, environment, kind),
                    "name": naming.log_group(service, environment, kind),
                    "retention_in_days": days,
                },
            ),
            "index_key": kind,
        }
        for kind, days in retention.items()
    ]
    return [
        one("aws_ecs_cluster", "main", id=ids["cluster"], arn=ids["cluster"], name=cluster),
        one(
            "aws_ecs_task_definition",
            "app",
            1,
            id=prefix,
            arn=definition,
            family=prefix,
            revision=revision,
            container_definitions=containers,
            skip_destroy=True,
            track_latest=False,
        ),
        one(
            "aws_ecs_service",
            "app",
            1,
            id=f"arn:aws:ecs:{region}:{account}:service/{cluster}/{name}",
            name=name,
            cluster=ids["cluster"],
            task_definition=definition,
            wait_for_steady_state=False,
        ),
        one("aws_lb", "main", id=ids["alb"], arn=ids["alb"], name=naming.load_balancer(service, environment)),
        one(
            "aws_lb_target_group",
            "app",
            id=ids["target-group"],
            arn=ids["target-group"],
            name=naming.target_group(service, environment),
        ),
        one("aws_lb_listener", "http", id=ids["listener"], arn=ids["listener"], load_balancer_arn=ids["alb"]),
        one("aws_security_group", "alb", 1, id=made.alb_group, revoke_rules_on_delete=False),
        one("aws_security_group", "ecs_tasks", 1, id=made.tasks_group, revoke_rules_on_delete=False),
        one("aws_security_group", "redis", 1, id=made.redis_group, revoke_rules_on_delete=False),
        rule("tasks_from_alb", made.tasks_group, made.alb_group, port),
        rule("shared_rds_from_ecs", ids["rds-group"], made.tasks_group, 3306, f"MySQL from {prefix} tasks"),
        one(
            "aws_secretsmanager_secret",
            "db_credentials",
            id=ids["secret"],
            arn=ids["secret"],
            force_overwrite_replica_secret=False,
            recovery_window_in_days=30 if environment == "prod" else 7,
        ),
        one("aws_iam_role", "ecs_execution", id=f"{prefix}-ecs-execution", force_detach_policies=False),
        one("aws_iam_role", "ecs_task", id=f"{prefix}-ecs-task", force_detach_policies=False),
        one(
            "aws_iam_role_policy",
            "ecs_task",
            id=f"{prefix}-ecs-task:{prefix}-access",
            role=f"{prefix}-ecs-task",
            name=f"{prefix}-access",
        ),
        one("aws_s3_bucket", "storage", id=made.bucket, bucket=made.bucket, force_destroy=False),
        one("aws_s3_bucket_server_side_encryption_configuration", "storage", id=made.bucket, bucket=made.bucket),
        one("aws_sqs_queue", "jobs", id=made.queue_url, name=f"{prefix}-jobs"),
        one("aws_elasticache_subnet_group", "redis", id=f"{prefix}-redis", name=f"{prefix}-redis"),
        resource("aws_cloudwatch_log_group", "ecs", groups),
    ]


def _instance(version: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema_version": version, "attributes": dict(attributes), "sensitive_attributes": []}


def resource(kind: str, label: str, instances: list[dict[str, Any]]) -> dict[str, Any]:
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    return {"mode": "managed", "type": kind, "name": label, "provider": provider, "instances": instances}
