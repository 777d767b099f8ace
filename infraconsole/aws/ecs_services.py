"""Services and their deployments, parsed once into frozen dataclasses. What AWS means by its states is from the Amazon ECS API
reference (Service, Deployment, TaskSet, ServiceDeployment)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from infraconsole.aws.batches import moment
from infraconsole.aws.fields import number_of, text_of


@dataclass(frozen=True)
class Deployment:
    """One deployment of a service, from DescribeServices. `status`: PRIMARY, ACTIVE or INACTIVE; `rollout_state`:
    IN_PROGRESS, COMPLETED, FAILED. AWS does not report it behind a Classic Load Balancer and for task sets: there it is told by the
    tasks that run."""

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
    external_id: str = ""
    """Of a task set: how its controller calls it, as CodeDeploy's deployment."""


@dataclass(frozen=True)
class ServiceEvent:
    """What ECS wrote about a service; the newest hundred are kept by AWS."""

    id: str
    at: datetime | None
    message: str


@dataclass(frozen=True)
class LoadBalancerBinding:
    """Which container and port of a service a target group sends to. Where deployments take turns between two groups (BLUE_GREEN,
    LINEAR, CANARY), `alternate_arn` is the other one, and `production_rule` the listener rule, or listener, that sends the traffic
    to either."""

    target_group_arn: str
    container: str
    port: int
    alternate_arn: str = ""
    production_rule: str = ""
    test_rule: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.target_group_arn, self.alternate_arn)))


class Controller(StrEnum):
    """Who deploys a service. What AWS adds later counts as another controller than ECS."""

    ECS = "ECS"
    CODE_DEPLOY = "CODE_DEPLOY"
    EXTERNAL = "EXTERNAL"


class Strategy(StrEnum):
    """How ECS itself deploys."""

    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"
    LINEAR = "LINEAR"
    CANARY = "CANARY"


@dataclass(frozen=True)
class LifecycleHook:
    """What is called, or waited for, at stages of a deployment that shifts traffic."""

    target: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Deploying:
    """How a service is deployed. `step_percent` and `step_minutes` are those of LINEAR and CANARY, `bake_minutes` how long both
    versions run after the traffic was shifted."""

    controller: str = Controller.ECS
    strategy: str = Strategy.ROLLING
    bake_minutes: int = 0
    step_percent: float = 0.0
    step_minutes: int = 0
    hooks: tuple[LifecycleHook, ...] = ()

    @property
    def by_ecs(self) -> bool:
        return self.controller == Controller.ECS

    @property
    def shifts_traffic(self) -> bool:
        return self.by_ecs and self.strategy != Strategy.ROLLING


@dataclass(frozen=True)
class Service:
    """An ECS service, from DescribeServices. `cluster` is the cluster's ARN; events and deployments newest first.

    Task sets, by which CODE_DEPLOY and EXTERNAL deploy, stand among the deployments. `current_deployment` is the ARN of the service
    deployment that is under way, "" where none is.
    """

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
    deploying: Deploying = Deploying()
    scheduling: str = "REPLICA"
    classic_load_balancers: tuple[str, ...] = ()
    service_connect: bool = False
    capacity_providers: tuple[str, ...] = ()
    current_deployment: str = ""

    @property
    def target_groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(group for binding in self.load_balancers for group in binding.groups))

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


def parse_service(raw: Mapping[str, Any]) -> Service:
    """A service as DescribeServices and UpdateService answer it."""
    configuration = raw.get("deploymentConfiguration") or {}
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    listed = raw.get("deployments") or ()
    deployments = tuple(_judged(parse_deployment(item), len(listed)) for item in listed) or tuple(
        _of_task_set(item) for item in raw.get("taskSets") or ()
    )
    primary = next((each.task_definition for each in deployments if each.status == "PRIMARY"), "")
    connect = next(
        (item.get("serviceConnectConfiguration") for item in listed if item.get("status") == "PRIMARY"), None
    )
    return Service(
        name=text_of(raw, "serviceName"),
        arn=text_of(raw, "serviceArn"),
        cluster=text_of(raw, "clusterArn"),
        status=text_of(raw, "status"),
        desired=number_of(raw, "desiredCount"),
        running=number_of(raw, "runningCount"),
        pending=number_of(raw, "pendingCount"),
        task_definition=text_of(raw, "taskDefinition") or primary,
        deployments=deployments,
        events=tuple(
            ServiceEvent(id=text_of(item, "id"), at=moment(item.get("createdAt")), message=text_of(item, "message"))
            for item in raw.get("events") or ()
        ),
        load_balancers=_bindings(raw),
        circuit_breaker=bool(breaker.get("enable")),
        breaker_rolls_back=bool(breaker.get("enable") and breaker.get("rollback")),
        deploying=_deploying(raw, configuration),
        scheduling=text_of(raw, "schedulingStrategy") or "REPLICA",
        classic_load_balancers=_classic(raw),
        service_connect=bool((connect or {}).get("enabled")),
        capacity_providers=tuple(
            text_of(item, "capacityProvider") for item in raw.get("capacityProviderStrategy") or ()
        ),
        current_deployment=text_of(raw, "currentServiceDeployment"),
    )


def _bindings(raw: Mapping[str, Any]) -> tuple[LoadBalancerBinding, ...]:
    """Of the service, and of its task sets where only they have any (EXTERNAL)."""
    items = [*(raw.get("loadBalancers") or ())]
    if not items:
        items = [item for task_set in raw.get("taskSets") or () for item in task_set.get("loadBalancers") or ()]
    found = []
    for item in items:
        advanced = item.get("advancedConfiguration") or {}
        if item.get("targetGroupArn"):
            found.append(
                LoadBalancerBinding(
                    target_group_arn=text_of(item, "targetGroupArn"),
                    container=text_of(item, "containerName"),
                    port=number_of(item, "containerPort"),
                    alternate_arn=text_of(advanced, "alternateTargetGroupArn"),
                    production_rule=text_of(advanced, "productionListenerRule"),
                    test_rule=text_of(advanced, "testListenerRule"),
                )
            )
    return tuple(dict.fromkeys(found))


def _classic(raw: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(text_of(item, "loadBalancerName") for item in raw.get("loadBalancers") or () if _is_classic(item))


def _is_classic(item: Mapping[str, Any]) -> bool:
    return bool(item.get("loadBalancerName")) and not item.get("targetGroupArn")


def _deploying(raw: Mapping[str, Any], configuration: Mapping[str, Any]) -> Deploying:
    steps = configuration.get("linearConfiguration") or {}
    canary = configuration.get("canaryConfiguration") or {}
    return Deploying(
        controller=text_of(raw.get("deploymentController") or {}, "type") or Controller.ECS,
        strategy=text_of(configuration, "strategy") or Strategy.ROLLING,
        bake_minutes=number_of(configuration, "bakeTimeInMinutes"),
        step_percent=float(steps.get("stepPercent") or canary.get("canaryPercent") or 0.0),
        step_minutes=number_of(steps, "stepBakeTimeInMinutes") or number_of(canary, "canaryBakeTimeInMinutes"),
        hooks=tuple(
            LifecycleHook(
                text_of(item, "hookTargetArn"), tuple(str(stage) for stage in item.get("lifecycleStages") or ())
            )
            for item in configuration.get("lifecycleHooks") or ()
        ),
    )


def _judged(deployment: Deployment, count: int) -> Deployment:
    """With a state told by its tasks where AWS reports none."""
    if deployment.rollout_state:
        return deployment
    alone = deployment.status == "PRIMARY" and count == 1
    there = deployment.running >= deployment.desired and not deployment.pending
    return replace(deployment, rollout_state="COMPLETED" if alone and there else "IN_PROGRESS")


def parse_deployment(raw: Mapping[str, Any]) -> Deployment:
    """A deployment inside a service's answer, as AWS gives it."""
    return Deployment(
        id=text_of(raw, "id"),
        status=text_of(raw, "status"),
        task_definition=text_of(raw, "taskDefinition"),
        desired=number_of(raw, "desiredCount"),
        running=number_of(raw, "runningCount"),
        pending=number_of(raw, "pendingCount"),
        failed=number_of(raw, "failedTasks"),
        rollout_state=text_of(raw, "rolloutState"),
        rollout_reason=text_of(raw, "rolloutStateReason"),
        created_at=moment(raw.get("createdAt")),
        updated_at=moment(raw.get("updatedAt")),
    )


def _of_task_set(raw: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=text_of(raw, "id"),
        status=text_of(raw, "status"),
        task_definition=text_of(raw, "taskDefinition"),
        desired=number_of(raw, "computedDesiredCount"),
        running=number_of(raw, "runningCount"),
        pending=number_of(raw, "pendingCount"),
        failed=0,
        rollout_state="COMPLETED" if raw.get("stabilityStatus") == "STEADY_STATE" else "IN_PROGRESS",
        rollout_reason="",
        created_at=moment(raw.get("createdAt")),
        updated_at=moment(raw.get("updatedAt")),
        external_id=text_of(raw, "externalId"),
    )


def parse_service_deployment(raw: Mapping[str, Any], definitions: Mapping[str, str]) -> ServiceDeployment:
    """An entry of ListServiceDeployments; `definitions` maps service revisions' ARNs to task definitions."""
    arn = text_of(raw, "serviceDeploymentArn")
    return ServiceDeployment(
        arn=arn,
        id=arn.rsplit("/", 1)[-1],
        status=text_of(raw, "status"),
        created_at=moment(raw.get("createdAt")),
        started_at=moment(raw.get("startedAt")),
        finished_at=moment(raw.get("finishedAt")),
        task_definition=definitions.get(text_of(raw, "targetServiceRevisionArn"), ""),
        reason=text_of(raw, "statusReason"),
    )


@dataclass(frozen=True)
class Shifting:
    """A deployment that shifts traffic, as far as it has come, from DescribeServiceDeployments. `stage` as ECS names it, ""
    where it names none; `groups` are the target groups of the revision that it brings, "" of a service without any."""

    arn: str
    status: str
    reason: str
    stage: str
    updated_at: datetime | None
    bake_minutes: int
    task_definition: str
    groups: tuple[str, ...]

    @property
    def has_shifted(self) -> bool:
        """Whether production's traffic goes to what it brings."""
        shifted = self.stage in ("POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP")
        return self.status == "SUCCESSFUL" or (self.status == "IN_PROGRESS" and shifted)

    @property
    def bakes_until(self) -> datetime | None:
        """When the old version goes, as far as AWS tells: from the time that it wrote last."""
        if self.stage != "BAKE_TIME" or self.updated_at is None:
            return None
        return self.updated_at + timedelta(minutes=self.bake_minutes)


def parse_shifting(raw: Mapping[str, Any], revision: Mapping[str, Any]) -> Shifting:
    """An entry of DescribeServiceDeployments, with the service revision that it brings."""
    resolved = (revision.get("resolvedConfiguration") or {}).get("loadBalancers") or ()
    return Shifting(
        arn=text_of(raw, "serviceDeploymentArn"),
        status=text_of(raw, "status"),
        reason=text_of(raw, "statusReason"),
        stage=text_of(raw, "lifecycleStage"),
        updated_at=moment(raw.get("updatedAt")),
        bake_minutes=number_of(raw.get("deploymentConfiguration") or {}, "bakeTimeInMinutes"),
        task_definition=text_of(revision, "taskDefinition"),
        groups=tuple(dict.fromkeys(text_of(item, "targetGroupArn") for item in resolved)),
    )
