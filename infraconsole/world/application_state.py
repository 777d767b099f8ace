"""What Terraform's states of an application repository hold, for the code in `assets/world/terraform/application`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole import naming
from infraconsole.world.application import Ground, Made, Role, access_policy
from infraconsole.world.company import Build, Company
from infraconsole.world.tfstate import StoredResource, ingress


@dataclass(frozen=True)
class Parts:
    """ARNs of what the service stands on itself; `port` is the listener's."""

    cluster: str
    balancer: str
    target_group: str
    listener: str
    port: int
    secret: str


@dataclass(frozen=True)
class ApplicationState:
    """Of one service in one environment."""

    company: Company
    ground: Ground
    service: str
    environment: str
    made: Made
    parts: Parts

    @property
    def _prefix(self) -> str:
        return naming.target_name(self.service, self.environment)

    def resources(self, build: Build, containers: Sequence[Mapping[str, Any]]) -> list[StoredResource]:
        """As the apply that deployed the build left them; `containers` are those of its revision."""
        return [*self._deployed(build, containers), *self._standing()]

    def _one(
        self, kind: str, label: str, name: str, component: str, /, *, key: str | None = None, **values: Any
    ) -> StoredResource:
        """`name` and `component` are its tags, where it has any."""
        every = self.company.resource_tags(self.service, self.environment, name, component)
        return StoredResource(kind, label, values, {"Component": component, "Name": name}, every, key)

    def _deployed(self, build: Build, containers: Sequence[Mapping[str, Any]]) -> list[StoredResource]:
        company, prefix = self.company, self._prefix
        about = company.environments[self.environment]
        account, region = company.account, company.region
        cluster = naming.cluster(self.service, self.environment)
        name = naming.ecs_service(self.service, self.environment)
        definition = f"arn:aws:ecs:{region}:{account}:task-definition/{prefix}"
        return [
            self._one(
                "aws_ecs_task_definition",
                "app",
                prefix,
                "ecs",
                id=prefix,
                arn=definition,
                revision=build.number,
                containers=json.dumps(containers, sort_keys=True),
                cpu=str(int(about.cpu * build.size)),
                memory=str(int(about.memory * build.size)),
                execution_role=f"arn:aws:iam::{account}:role/{self.made.execution_role.name}",
                task_role=f"arn:aws:iam::{account}:role/{self.made.task_role.name}",
            ),
            self._one(
                "aws_ecs_service",
                "app",
                name,
                "ecs",
                id=f"arn:aws:ecs:{region}:{account}:service/{cluster}/{name}",
                name=name,
                cluster=self.parts.cluster,
                definition=f"{definition}:{build.number}",
                desired=about.desired,
                is_open=self.environment != "prod",
                container=naming.container(self.service),
                port=company.container_port,
                target_group=self.parts.target_group,
                groups=[self.made.tasks_group],
                subnets=sorted(self.ground.subnets["private"]),
            ),
        ]

    def _standing(self) -> list[StoredResource]:
        company, ground, made, parts, prefix = self.company, self.ground, self.made, self.parts, self._prefix
        cluster = naming.cluster(self.service, self.environment)
        balancer = naming.load_balancer(self.service, self.environment)
        target_group = naming.target_group(self.service, self.environment)
        port, public = company.container_port, sorted(ground.subnets["public"])
        policy = access_policy(made.bucket, ground.keys)
        policy_name = f"{prefix}-access"
        secret = f"{prefix}-db-credentials"
        return [
            self._one("aws_ecs_cluster", "main", cluster, "ecs", id=parts.cluster, name=cluster),
            self._one(
                "aws_lb",
                "main",
                balancer,
                "alb",
                id=parts.balancer,
                suffix=parts.balancer.split(":loadbalancer/")[1],
                name=balancer,
                groups=[made.alb_group],
                subnets=public,
                mapping=[
                    dict.fromkeys(("allocation_id", "ipv6_address", "outpost_id", "private_ipv4_address"), "")
                    | {"subnet_id": subnet}
                    for subnet in public
                ],
                vpc=ground.vpc,
            ),
            self._one(
                "aws_lb_target_group",
                "app",
                target_group,
                "alb",
                id=parts.target_group,
                suffix=parts.target_group.split(":")[-1],
                balancer=parts.balancer,
                name=target_group,
                port=port,
                vpc=ground.vpc,
            ),
            self._one(
                "aws_lb_listener",
                "http",
                balancer,
                "alb",
                id=parts.listener,
                balancer=parts.balancer,
                target_group=parts.target_group,
                port=parts.port,
            ),
            self._group("alb", made.alb_group, f"Load balancer of {prefix}"),
            self._group("ecs_tasks", made.tasks_group, f"Tasks of {prefix}", [ingress(port, "", group=made.alb_group)]),
            self._group("redis", made.redis_group, f"Redis of {prefix}"),
            self._rule("tasks_from_alb", made.tasks_group, made.alb_group, port, made.tasks_rule),
            self._rule(
                "shared_rds_from_ecs",
                ground.databases[self.environment],
                made.tasks_group,
                3306,
                made.database_rule,
                f"MySQL from {prefix} tasks",
            ),
            self._one(
                "aws_secretsmanager_secret",
                "db_credentials",
                secret,
                "database",
                id=parts.secret,
                name=f"{secret}-{company.secret_suffix(self.service, self.environment)}",
                kms=ground.keys["secrets-manager"],
                recovery_days=30 if self.environment == "prod" else 7,
            ),
            self._role("ecs_execution", made.execution_role, []),
            self._role("ecs_task", made.task_role, [{"name": policy_name, "policy": policy}]),
            StoredResource(
                "aws_iam_role_policy",
                "ecs_task",
                {"role": made.task_role.name, "name": policy_name, "policy": policy},
            ),
            self._one("aws_s3_bucket", "storage", made.bucket, "s3", id=made.bucket, kms=ground.keys["s3"]),
            StoredResource(
                "aws_s3_bucket_server_side_encryption_configuration",
                "storage",
                {"id": made.bucket, "kms": ground.keys["s3"]},
            ),
            self._one(
                "aws_sqs_queue",
                "jobs",
                f"{prefix}-jobs",
                "sqs",
                name=f"{prefix}-jobs",
                url=made.queue_url,
                kms=ground.keys["sqs"],
            ),
            self._one(
                "aws_elasticache_subnet_group",
                "redis",
                f"{prefix}-redis",
                "redis",
                id=f"{prefix}-redis",
                subnets=sorted(ground.subnets["data"]),
                vpc=ground.vpc,
            ),
            *self._log_groups(),
        ]

    def _log_groups(self) -> list[StoredResource]:
        return [
            self._one(
                "aws_cloudwatch_log_group",
                "ecs",
                name := naming.log_group(self.service, self.environment, kind),
                "logging",
                key=kind,
                id=name,
                days=days,
                kms=self.ground.keys["cloudwatch-logs"],
            )
            for kind, days in self.company.environments[self.environment].retention.items()
        ]

    def _group(
        self, label: str, group: str, description: str, rules: Sequence[Mapping[str, Any]] = ()
    ) -> StoredResource:
        name = f"{self._prefix}-{label.replace('_', '-')}-sg"
        return self._one(
            "aws_security_group",
            label,
            name,
            "security-group",
            id=group,
            name=name,
            description=description,
            ingress=list(rules),
            vpc=self.ground.vpc,
        )

    def _rule(self, label: str, group: str, source: str, port: int, rule: str, description: str = "") -> StoredResource:
        values = {
            "id": f"sgrule-{zlib.crc32(f'{group} {source}'.encode())}",
            "rule": rule,
            "group": group,
            "source": source,
            "port": port,
            "description": description,
        }
        return StoredResource("aws_security_group_rule", label, values)

    def _role(self, label: str, role: Role, policies: Sequence[Mapping[str, str]]) -> StoredResource:
        return self._one(
            "aws_iam_role",
            label,
            role.name,
            "iam",
            id=role.name,
            unique=role.id,
            created=role.created,
            policies=list(policies),
        )
