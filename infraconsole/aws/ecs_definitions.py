"""Task definitions: what a service's tasks are made of, parsed once into frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.batches import moment
from infraconsole.aws.fields import number_of, text_of


@dataclass(frozen=True)
class SecretReference:
    """Where a container's environment variable `name` takes its value from: an ARN, never the value."""

    name: str
    value_from: str


@dataclass(frozen=True)
class HealthCheck:
    """A container's own health check. ECS's defaults stand in for what is not set."""

    command: tuple[str, ...]
    interval_seconds: int
    timeout_seconds: int
    retries: int
    start_period_seconds: int


@dataclass(frozen=True)
class ContainerDefinition:
    """A container of a task definition. `cpu` in CPU units and `memory` in MiB, 0 where only the task sets them."""

    name: str
    image: str
    cpu: int
    memory: int
    essential: bool
    environment: tuple[tuple[str, str], ...]
    secrets: tuple[SecretReference, ...]
    health_check: HealthCheck | None
    ports: tuple[int, ...]
    log_group: str
    """Of CloudWatch, "" where its logs go elsewhere or through a log router that does not say."""
    log_driver: str = ""
    log_stream_prefix: str = ""
    is_log_router: bool = False


@dataclass(frozen=True)
class TaskDefinition:
    """A revision of a family. `status`: ACTIVE, INACTIVE, DELETE_IN_PROGRESS; `cpu` in CPU units, `memory` in MiB."""

    arn: str
    family: str
    revision: int
    status: str
    cpu: int
    memory: int
    containers: tuple[ContainerDefinition, ...]
    registered_at: datetime | None
    registered_by: str
    task_role_arn: str
    execution_role_arn: str

    @property
    def name(self) -> str:
        """As the AWS CLI takes it: `fileflow-prod:42`."""
        return f"{self.family}:{self.revision}"

    @property
    def short(self) -> str:
        """As a person says it within its family: `:42`."""
        return f":{self.revision}"

    def container(self, name: str) -> ContainerDefinition | None:
        return next((container for container in self.containers if container.name == name), None)


def family_and_revision(reference: str) -> tuple[str, int]:
    """Of an ARN or `family:revision`; the revision is 0 for a bare family."""
    family, _, revision = reference.rsplit("/", 1)[-1].partition(":")
    return family, int(revision) if revision.isascii() and revision.isdecimal() else 0


def parse_task_definition(raw: Mapping[str, Any]) -> TaskDefinition:
    """A task definition as DescribeTaskDefinition and RegisterTaskDefinition answer it."""
    arn = text_of(raw, "taskDefinitionArn")
    family, revision = family_and_revision(arn)
    return TaskDefinition(
        arn=arn,
        family=text_of(raw, "family") or family,
        revision=number_of(raw, "revision") or revision,
        status=text_of(raw, "status"),
        cpu=number_of(raw, "cpu"),
        memory=number_of(raw, "memory"),
        containers=tuple(_container(item) for item in raw.get("containerDefinitions") or ()),
        registered_at=moment(raw.get("registeredAt")),
        registered_by=text_of(raw, "registeredBy"),
        task_role_arn=text_of(raw, "taskRoleArn"),
        execution_role_arn=text_of(raw, "executionRoleArn"),
    )


def _container(raw: Mapping[str, Any]) -> ContainerDefinition:
    check = raw.get("healthCheck")
    options = (raw.get("logConfiguration") or {}).get("options") or {}
    return ContainerDefinition(
        name=text_of(raw, "name"),
        image=text_of(raw, "image"),
        cpu=number_of(raw, "cpu"),
        memory=number_of(raw, "memory") or number_of(raw, "memoryReservation"),
        essential=bool(raw.get("essential", True)),
        environment=tuple(
            sorted((text_of(item, "name"), text_of(item, "value")) for item in raw.get("environment") or ())
        ),
        secrets=tuple(
            SecretReference(name=text_of(item, "name"), value_from=text_of(item, "valueFrom"))
            for item in raw.get("secrets") or ()
        ),
        health_check=None
        if not check
        else HealthCheck(
            command=tuple(str(part) for part in check.get("command") or ()),
            interval_seconds=int(check.get("interval") or 30),
            timeout_seconds=int(check.get("timeout") or 5),
            retries=int(check.get("retries") or 3),
            start_period_seconds=int(check.get("startPeriod") or 0),
        ),
        ports=tuple(number_of(item, "containerPort") for item in raw.get("portMappings") or ()),
        # Fluent Bit's outputs `cloudwatch` and `cloudwatch_logs`, behind the driver awsfirelens, take other names.
        log_group=str(options.get("awslogs-group") or options.get("log_group_name") or ""),
        log_driver=text_of(raw.get("logConfiguration") or {}, "logDriver"),
        log_stream_prefix=str(options.get("awslogs-stream-prefix") or ""),
        is_log_router=bool(raw.get("firelensConfiguration")),
    )
