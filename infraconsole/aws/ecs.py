"""ECS: services, tasks, task definitions and deployments, read and parsed once into frozen dataclasses.

Reading only. The calls that change a service are composed by the runbooks and sent through `ChangingAccess.change`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct, moment
from infraconsole.aws.ecr import parse_image
from infraconsole.errors import AwsError, AwsNotFound

SERVICES_PER_CALL = 10
TASKS_PER_CALL = 100
REVISIONS_PER_CALL = 20
PAGE_SIZE = 100


@dataclass(frozen=True)
class Deployment:
    """One deployment of a service, from DescribeServices. `status`: PRIMARY, ACTIVE or INACTIVE; `rollout_state`:
    IN_PROGRESS, COMPLETED, FAILED, or "" where the service's deployment controller does not report it."""

    id: str
    status: str
    task_definition: str
    desired: int
    running: int
    pending: int
    failed: int
    rollout_state: str
    rollout_reason: str
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True)
class ServiceEvent:
    """What ECS wrote about a service; the newest hundred are kept by AWS."""

    id: str
    at: datetime | None
    message: str


@dataclass(frozen=True)
class LoadBalancerBinding:
    """Which container and port of a service a target group sends to."""

    target_group_arn: str
    container: str
    port: int


@dataclass(frozen=True)
class Service:
    """An ECS service, from DescribeServices. `cluster` is the cluster's ARN; events and deployments newest first."""

    name: str
    arn: str
    cluster: str
    status: str
    desired: int
    running: int
    pending: int
    task_definition: str
    deployments: tuple[Deployment, ...]
    events: tuple[ServiceEvent, ...]
    load_balancers: tuple[LoadBalancerBinding, ...]
    circuit_breaker: bool
    breaker_rolls_back: bool

    @property
    def primary(self) -> Deployment | None:
        """The deployment that the service is at, or is being brought to."""
        return next((deployment for deployment in self.deployments if deployment.status == "PRIMARY"), None)

    def deployment(self, id: str) -> Deployment | None:  # noqa: A002
        return next((deployment for deployment in self.deployments if deployment.id == id), None)

    @property
    def as_of(self) -> datetime | None:
        """The newest time that AWS wrote in it: of two answers of one service, the one with the earlier time is the older, whatever
        order they came in. Events come at the front and the primary deployment is the one changed last, so it never goes back."""
        primary = self.primary
        times = (
            self.events[0].at if self.events else None,
            primary.created_at if primary else None,
            primary.updated_at if primary else None,
        )
        return max((known for known in times if known is not None), default=None)

    @property
    def in_flight(self) -> Deployment | None:
        """The primary deployment while it has not completed; a failed one is still in the way and counts."""
        primary = self.primary
        return primary if primary is not None and primary.rollout_state != "COMPLETED" else None


@dataclass(frozen=True)
class TaskContainer:
    """A container of a task. `exit_code` is None while it runs; `health`: HEALTHY, UNHEALTHY, UNKNOWN."""

    name: str
    image: str
    last_status: str
    exit_code: int | None
    reason: str
    health: str


@dataclass(frozen=True)
class Task:
    """A task, from DescribeTasks. `id` is the last part of the ARN; ECS keeps stopped tasks for about an hour."""

    arn: str
    id: str
    task_definition: str
    last_status: str
    desired_status: str
    health: str
    started_by: str
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    stop_code: str
    stopped_reason: str
    private_ip: str
    zone: str
    containers: tuple[TaskContainer, ...]


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

    @property
    def main_container(self) -> ContainerDefinition | None:
        """The first essential container; None only for a definition that AWS would not accept."""
        return next((container for container in self.containers if container.essential), None)

    @property
    def image_tag(self) -> str:
        """Of the main container's image; "" where it has none, being named by digest or not at all."""
        main = self.main_container
        return parse_image(main.image).tag if main is not None else ""


@dataclass(frozen=True)
class ServiceDeployment:
    """A deployment in a service's history (AWS keeps 90 days), from ListServiceDeployments.

    `status`: PENDING, IN_PROGRESS, SUCCESSFUL, STOP_REQUESTED, STOPPED, ROLLBACK_REQUESTED, ROLLBACK_IN_PROGRESS,
    ROLLBACK_SUCCESSFUL, ROLLBACK_FAILED. `task_definition` is what it was to bring, "" where that revision is gone.
    """

    arn: str
    id: str
    status: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    task_definition: str
    reason: str


class Ecs:
    """Reads of one region's ECS. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def services(self, cluster: str, names: Sequence[str]) -> tuple[Service, ...]:
        """The services of those names that exist, in the order asked for. A missing cluster raises AwsNotFound."""
        found: dict[str, Service] = {}
        for batch in batches(distinct(names), SERVICES_PER_CALL):
            try:
                answer = self.access.call("ecs", "DescribeServices", cluster=cluster, services=list(batch))
            except AwsNotFound as error:
                raise self._no_cluster(cluster, error) from error
            for raw in answer.get("services", ()):
                service = parse_service(raw)
                found[service.name] = found[service.arn] = service
        return tuple(found[name] for name in distinct(names) if name in found)

    def service(self, cluster: str, name: str) -> Service:
        """The service of that name, also an INACTIVE (deleted) one. AwsNotFound names what there is instead."""
        found = self.services(cluster, [name])
        if found:
            return found[0]
        names = self.service_names(cluster)
        raise AwsNotFound(
            f"There is no service {name!r} in cluster {cluster!r} (region {self.access.region}).",
            operation="ecs:DescribeServices",
            code="MISSING",
            mend=f"There are: {_named(names)}" if names else "The cluster has no services; check region and profile.",
        )

    def service_names(self, cluster: str) -> tuple[str, ...]:
        """The names of the cluster's services, sorted."""
        arns = self.access.pages("ecs", "ListServices", "serviceArns", cluster=cluster, maxResults=PAGE_SIZE)
        return tuple(sorted(str(arn).rsplit("/", 1)[-1] for arn in arns))

    def cluster_names(self) -> tuple[str, ...]:
        """The names of the region's clusters, sorted."""
        arns = self.access.pages("ecs", "ListClusters", "clusterArns", maxResults=PAGE_SIZE)
        return tuple(sorted(str(arn).rsplit("/", 1)[-1] for arn in arns))

    def _no_cluster(self, cluster: str, error: AwsNotFound) -> AwsNotFound:
        try:
            names = self.cluster_names()
        except AwsError:
            names = ()
        return AwsNotFound(
            f"There is no cluster {cluster!r} in region {self.access.region}.",
            operation=error.operation,
            code=error.code,
            words=error.words,
            mend=f"There are: {_named(names)}" if names else "Check region, profile and account.",
        )

    def task_definition(self, reference: str) -> TaskDefinition:
        """The revision of that ARN or `family:revision`; of a bare family, the newest ACTIVE one."""
        answer = self.access.call("ecs", "DescribeTaskDefinition", taskDefinition=reference)
        return parse_task_definition(answer.get("taskDefinition") or {})

    def revisions(self, family: str, *, status: str = "ACTIVE") -> Iterator[str]:
        """ARNs of the family's revisions, newest first, a page at a time. `status`: ACTIVE or INACTIVE."""
        filters = {"familyPrefix": family, "status": status, "sort": "DESC", "maxResults": PAGE_SIZE}
        arns = self.access.pages("ecs", "ListTaskDefinitions", "taskDefinitionArns", **filters)
        # AWS takes a prefix: fileflow-prod also lists fileflow-prod-batch.
        return (str(arn) for arn in arns if family_and_revision(str(arn))[0] == family)

    def service_deployments(self, cluster: str, service: str) -> tuple[ServiceDeployment, ...]:
        """The service's deployments of the last 90 days, newest first.

        Where a policy or an emulator lacks the API: AccessDenied, AwsRefused or AwsFault, for the caller to go without.
        """
        asked = {"cluster": cluster, "service": service, "maxResults": PAGE_SIZE}
        raw = tuple(self.access.pages("ecs", "ListServiceDeployments", "serviceDeployments", **asked))
        wanted = distinct(
            [str(item["targetServiceRevisionArn"]) for item in raw if item.get("targetServiceRevisionArn")]
        )
        definitions: dict[str, str] = {}
        for batch in batches(wanted, REVISIONS_PER_CALL):
            answer = self.access.call("ecs", "DescribeServiceRevisions", serviceRevisionArns=list(batch))
            for revision in answer.get("serviceRevisions", ()):
                definitions[str(revision.get("serviceRevisionArn"))] = str(revision.get("taskDefinition") or "")
        parsed = (parse_service_deployment(item, definitions) for item in raw)
        return tuple(sorted(parsed, key=_age, reverse=True))

    def tasks(self, cluster: str, service: str, *, desired_status: str = "RUNNING") -> tuple[Task, ...]:
        """The service's tasks, newest first. `desired_status`: RUNNING, or STOPPED for those of about the last hour."""
        asked = {"cluster": cluster, "serviceName": service, "desiredStatus": desired_status}
        arns = [str(arn) for arn in self.access.pages("ecs", "ListTasks", "taskArns", **asked)]
        found: list[Task] = []
        for batch in batches(distinct(arns), TASKS_PER_CALL):
            answer = self.access.call("ecs", "DescribeTasks", cluster=cluster, tasks=list(batch))
            found.extend(parse_task(raw) for raw in answer.get("tasks", ()))
        return tuple(sorted(found, key=_age, reverse=True))


def family_and_revision(reference: str) -> tuple[str, int]:
    """Of an ARN or `family:revision`; the revision is 0 for a bare family."""
    family, _, revision = reference.rsplit("/", 1)[-1].partition(":")
    return family, int(revision) if revision.isascii() and revision.isdecimal() else 0


def parse_service(raw: Mapping[str, Any]) -> Service:
    """A service as DescribeServices and UpdateService answer it."""
    breaker = (raw.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}
    return Service(
        name=_text(raw, "serviceName"),
        arn=_text(raw, "serviceArn"),
        cluster=_text(raw, "clusterArn"),
        status=_text(raw, "status"),
        desired=_number(raw, "desiredCount"),
        running=_number(raw, "runningCount"),
        pending=_number(raw, "pendingCount"),
        task_definition=_text(raw, "taskDefinition"),
        deployments=tuple(parse_deployment(item) for item in raw.get("deployments") or ()),
        events=tuple(
            ServiceEvent(id=_text(item, "id"), at=moment(item.get("createdAt")), message=_text(item, "message"))
            for item in raw.get("events") or ()
        ),
        load_balancers=tuple(
            LoadBalancerBinding(
                target_group_arn=_text(item, "targetGroupArn"),
                container=_text(item, "containerName"),
                port=_number(item, "containerPort"),
            )
            for item in raw.get("loadBalancers") or ()
            if item.get("targetGroupArn")
        ),
        circuit_breaker=bool(breaker.get("enable")),
        breaker_rolls_back=bool(breaker.get("enable") and breaker.get("rollback")),
    )


def parse_deployment(raw: Mapping[str, Any]) -> Deployment:
    """A deployment inside a service's answer."""
    return Deployment(
        id=_text(raw, "id"),
        status=_text(raw, "status"),
        task_definition=_text(raw, "taskDefinition"),
        desired=_number(raw, "desiredCount"),
        running=_number(raw, "runningCount"),
        pending=_number(raw, "pendingCount"),
        failed=_number(raw, "failedTasks"),
        rollout_state=_text(raw, "rolloutState"),
        rollout_reason=_text(raw, "rolloutStateReason"),
        created_at=moment(raw.get("createdAt")),
        updated_at=moment(raw.get("updatedAt")),
    )


def parse_task(raw: Mapping[str, Any]) -> Task:
    """A task as DescribeTasks answers it."""
    arn = _text(raw, "taskArn")
    details = {
        str(detail.get("name")): str(detail.get("value") or "")
        for attachment in raw.get("attachments") or ()
        for detail in attachment.get("details") or ()
    }
    return Task(
        arn=arn,
        id=arn.rsplit("/", 1)[-1],
        task_definition=_text(raw, "taskDefinitionArn"),
        last_status=_text(raw, "lastStatus"),
        desired_status=_text(raw, "desiredStatus"),
        health=_text(raw, "healthStatus") or "UNKNOWN",
        started_by=_text(raw, "startedBy"),
        created_at=moment(raw.get("createdAt")),
        started_at=moment(raw.get("startedAt")),
        stopped_at=moment(raw.get("stoppedAt")),
        stop_code=_text(raw, "stopCode"),
        stopped_reason=_text(raw, "stoppedReason"),
        private_ip=details.get("privateIPv4Address", ""),
        zone=_text(raw, "availabilityZone"),
        containers=tuple(
            TaskContainer(
                name=_text(item, "name"),
                image=_text(item, "image"),
                last_status=_text(item, "lastStatus"),
                exit_code=None if item.get("exitCode") is None else int(item["exitCode"]),
                reason=_text(item, "reason"),
                health=_text(item, "healthStatus") or "UNKNOWN",
            )
            for item in raw.get("containers") or ()
        ),
    )


def parse_task_definition(raw: Mapping[str, Any]) -> TaskDefinition:
    """A task definition as DescribeTaskDefinition and RegisterTaskDefinition answer it."""
    arn = _text(raw, "taskDefinitionArn")
    family, revision = family_and_revision(arn)
    return TaskDefinition(
        arn=arn,
        family=_text(raw, "family") or family,
        revision=_number(raw, "revision") or revision,
        status=_text(raw, "status"),
        cpu=_number(raw, "cpu"),
        memory=_number(raw, "memory"),
        containers=tuple(_container(item) for item in raw.get("containerDefinitions") or ()),
        registered_at=moment(raw.get("registeredAt")),
        registered_by=_text(raw, "registeredBy"),
        task_role_arn=_text(raw, "taskRoleArn"),
        execution_role_arn=_text(raw, "executionRoleArn"),
    )


def parse_service_deployment(raw: Mapping[str, Any], definitions: Mapping[str, str]) -> ServiceDeployment:
    """An entry of ListServiceDeployments; `definitions` maps service revisions' ARNs to task definitions."""
    arn = _text(raw, "serviceDeploymentArn")
    return ServiceDeployment(
        arn=arn,
        id=arn.rsplit("/", 1)[-1],
        status=_text(raw, "status"),
        created_at=moment(raw.get("createdAt")),
        started_at=moment(raw.get("startedAt")),
        finished_at=moment(raw.get("finishedAt")),
        task_definition=definitions.get(_text(raw, "targetServiceRevisionArn"), ""),
        reason=_text(raw, "statusReason"),
    )


def _container(raw: Mapping[str, Any]) -> ContainerDefinition:
    check = raw.get("healthCheck")
    options = (raw.get("logConfiguration") or {}).get("options") or {}
    return ContainerDefinition(
        name=_text(raw, "name"),
        image=_text(raw, "image"),
        cpu=_number(raw, "cpu"),
        memory=_number(raw, "memory") or _number(raw, "memoryReservation"),
        essential=bool(raw.get("essential", True)),
        environment=tuple(sorted((_text(item, "name"), _text(item, "value")) for item in raw.get("environment") or ())),
        secrets=tuple(
            SecretReference(name=_text(item, "name"), value_from=_text(item, "valueFrom"))
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
        ports=tuple(_number(item, "containerPort") for item in raw.get("portMappings") or ()),
        log_group=str(options.get("awslogs-group") or ""),
    )


def _text(raw: Mapping[str, Any], key: str) -> str:
    return str(raw.get(key) or "")


def _number(raw: Mapping[str, Any], key: str) -> int:
    """ECS gives a task's cpu and memory as text, its containers' as numbers, and a missing one not at all."""
    value = str(raw.get(key) or "0")
    return int(value) if value.isascii() and value.isdecimal() else 0


def _age(item: Task | ServiceDeployment) -> float:
    return item.created_at.timestamp() if item.created_at else 0.0


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
