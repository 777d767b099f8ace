"""The simulation behind the real ECS API: moto's ECS with services that roll out over time. It is the only module that
knows both moto's ECS and `rollout`, and it is imported in the world's process alone."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.ecs import urls
from moto.ecs.exceptions import ECSException
from moto.ecs.responses import EC2ContainerServiceResponse

from infraconsole.world.clock import WorldClock
from infraconsole.world.rollout import (
    Behaviour,
    Deployment,
    NotStoppable,
    PastDeployment,
    Revision,
    ServiceDeployment,
    ServiceSim,
    Settings,
    Task,
)

SERVICES_PER_CALL = 10
TASKS_PER_CALL = 100
DEPLOYMENTS_PER_CALL = 20
PAGE = 100


@dataclass
class SimulatedService:
    """A service of the API: its simulation, and what the API remembers besides."""

    region: str
    account: str
    cluster: str
    sim: ServiceSim
    extras: dict[str, Any] = field(default_factory=dict)
    """API fields that the simulation does not know: launchType, networkConfiguration, loadBalancers, …"""
    said: int = 0
    """Notices already written to the log groups."""

    def arn(self, kind: str = "service", *more: str) -> str:
        path = "/".join((self.cluster, self.sim.name, *more))
        return f"arn:aws:ecs:{self.region}:{self.account}:{kind}/{path}"

    @property
    def cluster_arn(self) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account}:cluster/{self.cluster}"

    def task_arn(self, task: Task) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account}:task/{self.cluster}/{task.id}"


class EcsWorld:
    """All services of this process. `behaviour_of` says how the tasks of a task definition (moto's object) fare, and
    `delay_of` the deregistration delay in seconds of a target group's ARN."""

    def __init__(
        self,
        clock: WorldClock,
        behaviour_of: Callable[[str, Any], Behaviour],
        delay_of: Callable[[str, str], float],
    ) -> None:
        self.clock = clock
        self.behaviour_of = behaviour_of
        self.delay_of = delay_of
        self.lock = threading.RLock()
        self._services: dict[tuple[str, str, str], SimulatedService] = {}

    def now(self) -> datetime:
        return self.clock.now()

    def add(self, service: SimulatedService) -> None:
        self._services[service.region, service.cluster, service.sim.name] = service

    def get(self, region: str, cluster: str, name: str) -> SimulatedService | None:
        """The service, advanced to now."""
        found = self._services.get((region, cluster, name))
        if found is not None:
            found.sim.advance(self.now())
        return found

    def all(self, region: str, cluster: str | None = None) -> list[SimulatedService]:
        """Every service of a region (and cluster), advanced to now, by name."""
        now = self.now()
        keys = sorted(key for key in self._services if key[0] == region and cluster in (None, key[1]))
        for key in keys:
            self._services[key].sim.advance(now)
        return [self._services[key] for key in keys]

    def behind_target_group(self, region: str, arn: str) -> SimulatedService | None:
        for service in self.all(region):
            if arn in service.sim.settings.target_groups and service.sim.status != "INACTIVE":
                return service
        return None

    def revision(self, region: str, definition: Any) -> Revision:
        return Revision(definition.arn, self.behaviour_of(region, definition))

    def create(
        self,
        region: str,
        account: str,
        cluster: str,
        name: str,
        definition: Any,
        settings: Settings,
        extras: Mapping[str, Any],
        history: Sequence[PastDeployment] = (),
        at: datetime | None = None,
    ) -> SimulatedService:
        """A new service; with a history it is steady already `at` (now, unless said)."""
        sim = ServiceSim(
            name,
            settings,
            self.revision(region, definition),
            at or self.now(),
            seed=f"{region}/{cluster}/{name}",
            history=history,
        )
        service = SimulatedService(region, account, cluster, sim, dict(extras))
        self.add(service)
        return service

    def settings_from(self, region: str, params: Mapping[str, Any], old: Settings | None = None) -> Settings:
        """The settings that CreateService's or UpdateService's parameters ask for; what they leave out stays."""
        settings = old or Settings(desired=0)
        if params.get("desiredCount") is not None:
            settings = replace(settings, desired=int(params["desiredCount"]))
        configuration = params.get("deploymentConfiguration") or {}
        if configuration.get("minimumHealthyPercent") is not None:
            settings = replace(settings, minimum_percent=int(configuration["minimumHealthyPercent"]))
        if configuration.get("maximumPercent") is not None:
            settings = replace(settings, maximum_percent=int(configuration["maximumPercent"]))
        breaker = configuration.get("deploymentCircuitBreaker")
        if breaker is not None:
            settings = replace(
                settings, breaker=bool(breaker.get("enable")), breaker_rollback=bool(breaker.get("rollback"))
            )
        if params.get("loadBalancers") is not None:
            balancers = params["loadBalancers"]
            groups = tuple(one["targetGroupArn"] for one in balancers if one.get("targetGroupArn"))
            settings = replace(settings, target_groups=groups)
            if groups:
                port = int(balancers[0].get("containerPort") or settings.port)
                settings = replace(settings, port=port, deregistration_delay=self.delay_of(region, groups[0]))
        return settings


def install(world: EcsWorld) -> None:
    """Put the simulation behind moto's ECS, for the rest of this process."""
    bound: type[EcsApi] = type("WorldEcsResponse", (EcsApi,), {"world": world})
    urls.url_paths["{0}/$"] = bound.dispatch


def refuse(code: str, message: str) -> ECSException:
    return ECSException(code, message)


def page(items: Sequence[Any], token: str | None, size: int | None, *, default: int = PAGE) -> tuple[list[Any], str]:
    """One page of at most `size` items and the token of the next page, empty at the end."""
    if size is not None and not 1 <= size <= PAGE:
        raise refuse("InvalidParameterException", f"maxResults should be between 1 and {PAGE}.")
    start = 0
    if token:
        try:
            start = int(base64.b64decode(token, validate=True).decode().removeprefix("page:"))
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise refuse("InvalidParameterException", "Invalid token.") from None
    end = start + (size or default)
    following = base64.b64encode(f"page:{end}".encode()).decode() if end < len(items) else ""
    return list(items[start:end]), following


class EcsApi(EC2ContainerServiceResponse):  # type: ignore[misc]
    """moto's ECS handlers, those of services, tasks and revisions answered by the simulation."""

    world: ClassVar[EcsWorld]

    # Services

    def create_service(self) -> ActionResult:
        with self.world.lock:
            params = self._get_params()
            cluster = self._cluster()
            name = params["serviceName"]
            existing = self.world.get(self.region, cluster, name)
            if existing is not None and existing.sim.status != "INACTIVE":
                raise refuse("InvalidParameterException", "Creation of service was not idempotent.")
            definition = self._usable_definition(params.get("taskDefinition") or "")
            # moto's own object stays: it checks the network configuration, and its tag operations look for it.
            super().create_service()
            service = self.world.create(
                self.region,
                self.current_account,
                cluster,
                name,
                definition,
                self.world.settings_from(self.region, params),
                extras_of(params),
            )
            return ActionResult({"service": self._service(service, tags=True)})

    def update_service(self) -> ActionResult:
        with self.world.lock:
            params = self._get_params()
            service = self._named(params.get("service"))
            if service.sim.status != "ACTIVE":
                raise refuse("ServiceNotActiveException", "Service was not ACTIVE.")
            revision = None
            if params.get("taskDefinition"):
                definition = self._usable_definition(params["taskDefinition"])
                if definition.arn != service.sim.task_definition:
                    revision = self.world.revision(self.region, definition)
            changes = _given(params)
            # What tasks are made with makes a new deployment; the rest takes effect where it is.
            reshaped = any(
                key in changes and changes[key] != service.extras.get(key)
                for key in ("networkConfiguration", "loadBalancers", "platformVersion")
            )
            service.extras.update(changes)
            service.sim.update(
                self.world.now(),
                revision=revision,
                settings=self.world.settings_from(self.region, params, service.sim.settings),
                force=bool(params.get("forceNewDeployment")) or reshaped,
            )
            return ActionResult({"service": self._service(service, tags=True)})

    def delete_service(self) -> ActionResult:
        with self.world.lock:
            params = self._get_params()
            service = self._named(params.get("service"))
            if service.sim.settings.desired > 0 and not params.get("force"):
                raise refuse("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
            super().delete_service()
            service.sim.delete(self.world.now())
            return ActionResult({"service": self._service(service, tags=True)})

    def describe_services(self) -> ActionResult:
        names = self._get_param("services", []) or []
        if not names:
            raise refuse("InvalidParameterException", "Services cannot be empty.")
        if len(names) > SERVICES_PER_CALL:
            raise refuse("InvalidParameterException", "service names can have at most 10 items.")
        with self.world.lock:
            cluster = self._cluster()
            tags = "TAGS" in (self._get_param("include", []) or [])
            found, failures = [], []
            for name in names:
                service = self.world.get(self.region, cluster, name.split("/")[-1])
                if service is None:
                    arn = name if name.startswith("arn:") else self._arn("service", cluster, name)
                    failures.append({"arn": arn, "reason": "MISSING"})
                else:
                    found.append(self._service(service, tags=tags))
            return ActionResult({"services": found, "failures": failures})

    def list_services(self) -> ActionResult:
        with self.world.lock:
            services = [one for one in self.world.all(self.region, self._cluster()) if one.sim.status != "INACTIVE"]
            launch_type = self._get_param("launchType")
            arns = [one.arn() for one in services if launch_type in (None, one.extras.get("launchType"))]
            return self._paged("serviceArns", arns, default=10)

    # Tasks

    def list_tasks(self) -> ActionResult:
        with self.world.lock:
            cluster = self._cluster()
            name, family = self._get_param("serviceName"), self._get_param("family")
            wanted = self._get_param("desiredStatus") or "RUNNING"
            started_by = self._get_param("startedBy")
            services = [self._named(name)] if name else self.world.all(self.region, cluster)
            arns = [
                service.task_arn(task)
                for service in services
                for task in service.sim.tasks.values()
                if task.desired_status == wanted
                and (family is None or _family(task.revision.arn) == family)
                and (started_by is None or task.deployment_id == started_by)
            ]
            if not name:
                loose = self.ecs_backend.list_tasks(cluster, None, family, started_by, None, wanted)
                arns += [task.task_arn for task in loose]
            return self._paged("taskArns", arns)

    def describe_tasks(self) -> ActionResult:
        names = self._get_param("tasks", []) or []
        if not names:
            raise refuse("InvalidParameterException", "Tasks cannot be empty.")
        if len(names) > TASKS_PER_CALL:
            raise refuse("InvalidParameterException", "tasks can have at most 100 items.")
        with self.world.lock:
            cluster = self._cluster()
            known = {
                task.id: (service, task)
                for service in self.world.all(self.region, cluster)
                for task in service.sim.tasks.values()
            }
            found: list[Any] = []
            failures = []
            for name in names:
                task_id = name.split("/")[-1]
                if task_id in known:
                    found.append(self._task(*known[task_id]))
                    continue
                loose = self.ecs_backend.describe_tasks(cluster, [name])
                found.extend(loose)
                if not loose:
                    failures.append({"arn": self._arn("task", cluster, task_id), "reason": "MISSING"})
            return ActionResult({"tasks": found, "failures": failures})

    def stop_task(self) -> ActionResult:
        with self.world.lock:
            cluster = self._cluster()
            task_id = (self._get_param("task") or "").split("/")[-1]
            for service in self.world.all(self.region, cluster):
                if task_id in service.sim.tasks:
                    task = service.sim.stop_task(self.world.now(), task_id, self._get_param("reason") or "")
                    return ActionResult({"task": self._task(service, task)})
            if not self.ecs_backend.describe_tasks(cluster, [task_id]):
                raise refuse("InvalidParameterException", "The referenced task was not found.")
            return super().stop_task()

    # Task definitions

    def register_task_definition(self) -> ActionResult:
        with self.world.lock:
            answer = super().register_task_definition()
            definition: Any = answer.result["taskDefinition"]
            definition.registered_at = self.world.now()
            definition.registered_by = f"arn:aws:sts::{self.current_account}:assumed-role/deploy/terraform"
            tags = self._get_param("tags")
            return ActionResult({"taskDefinition": definition, "tags": tags or []})

    def deregister_task_definition(self) -> ActionResult:
        with self.world.lock:
            answer = super().deregister_task_definition()
            definition: Any = answer.result["taskDefinition"]
            definition.deregistered_at = self.world.now()
            return answer

    def list_task_definitions(self) -> ActionResult:
        with self.world.lock:
            family, status = self._get_param("familyPrefix"), self._get_param("status") or "ACTIVE"
            arns = sorted(self.ecs_backend.list_task_definitions(family, status), key=_family_and_revision)
            if self._get_param("sort") == "DESC":
                arns.reverse()
            return self._paged("taskDefinitionArns", arns)

    def list_task_definition_families(self) -> ActionResult:
        prefix, status = self._get_param("familyPrefix") or "", self._get_param("status") or "ALL"
        families = [
            family
            for family, revisions in sorted(self.ecs_backend.task_definitions.items())
            if family.startswith(prefix)
            and (status == "ALL" or (status == "ACTIVE") == any(one.status == "ACTIVE" for one in revisions.values()))
        ]
        return self._paged("families", families)

    def list_clusters(self) -> ActionResult:
        return self._paged("clusterArns", self.ecs_backend.list_clusters())

    # Service deployments

    def list_service_deployments(self) -> ActionResult:
        with self.world.lock:
            service = self._named(self._get_param("service"))
            statuses = self._get_param("status") or []
            between = self._get_param("createdAt") or {}
            rows = [
                self._brief(service, one)
                for one in service.sim.service_deployments
                if (not statuses or one.status in statuses)
                and (between.get("after") is None or _aware(between["after"]) <= one.created_at)
                and (between.get("before") is None or one.created_at <= _aware(between["before"]))
            ]
            return self._paged("serviceDeployments", rows, default=20)

    def describe_service_deployments(self) -> ActionResult:
        arns = self._get_param("serviceDeploymentArns") or []
        if not 1 <= len(arns) <= DEPLOYMENTS_PER_CALL:
            raise refuse("InvalidParameterException", "serviceDeploymentArns should have between 1 and 20 items.")
        with self.world.lock:
            found, failures = [], []
            for arn in arns:
                hit = self._deployment_of(arn)
                if hit is None:
                    failures.append({"arn": arn, "reason": "MISSING"})
                else:
                    found.append(self._full(*hit))
            return ActionResult({"serviceDeployments": found, "failures": failures})

    def describe_service_revisions(self) -> ActionResult:
        arns = self._get_param("serviceRevisionArns") or []
        if not 1 <= len(arns) <= DEPLOYMENTS_PER_CALL:
            raise refuse("InvalidParameterException", "serviceRevisionArns should have between 1 and 20 items.")
        with self.world.lock:
            found, failures = [], []
            for arn in arns:
                service = self._service_of_arn(arn)
                serial = arn.split("/")[-1]
                if service is None or serial not in service.sim.revisions:
                    failures.append({"arn": arn, "reason": "MISSING"})
                else:
                    found.append(self._revision(service, serial))
            return ActionResult({"serviceRevisions": found, "failures": failures})

    def stop_service_deployment(self) -> ActionResult:
        with self.world.lock:
            arn = self._get_param("serviceDeploymentArn") or ""
            hit = self._deployment_of(arn)
            if hit is None:
                raise refuse(
                    "ServiceDeploymentNotFoundException",
                    "The service deploy ARN that you specified in the StopServiceDeployment doesn't exist. You can use "
                    "ListServiceDeployments to retrieve the service deployment ARNs.",
                )
            service, record = hit
            rollback = (self._get_param("stopType") or "ROLLBACK") == "ROLLBACK"
            try:
                service.sim.stop_deployment(self.world.now(), record.id, rollback=rollback)
            except NotStoppable as error:
                raise refuse("ConflictException", f"The service deployment {arn} cannot be stopped: {error}.") from None
            return ActionResult({"serviceDeploymentArn": arn})

    # Looking up

    def _cluster(self) -> str:
        name: str = self.ecs_backend._get_cluster(self._get_param("cluster") or "default").name
        return name

    def _named(self, name: str | None) -> SimulatedService:
        service = self.world.get(self.region, self._cluster(), (name or "").split("/")[-1])
        if service is None:
            raise refuse("ServiceNotFoundException", "Service not found.")
        return service

    def _usable_definition(self, name: str) -> Any:
        family, _, number = name.split("/")[-1].partition(":")
        revisions = self.ecs_backend.task_definitions.get(family, {})
        active = [revision for revision, one in revisions.items() if one.status == "ACTIVE"]
        revision = int(number) if number.isdigit() else max(active, default=0) if not number else 0
        if revision not in revisions:
            raise refuse("ClientException", "TaskDefinition not found.")
        if revisions[revision].status != "ACTIVE":
            raise refuse("ClientException", "TaskDefinition is inactive")
        return revisions[revision]

    def _service_of_arn(self, arn: str) -> SimulatedService | None:
        parts = arn.split("/")
        return self.world.get(self.region, parts[1], parts[2]) if len(parts) == 4 else None

    def _deployment_of(self, arn: str) -> tuple[SimulatedService, ServiceDeployment] | None:
        service = self._service_of_arn(arn)
        if service is None:
            return None
        for record in service.sim.service_deployments:
            if record.id == arn.split("/")[-1]:
                return service, record
        return None

    def _arn(self, kind: str, *parts: str) -> str:
        return f"arn:aws:ecs:{self.region}:{self.current_account}:{kind}/{'/'.join(parts)}"

    def _paged(self, key: str, items: Sequence[Any], *, default: int = PAGE) -> ActionResult:
        size = self._get_param("maxResults")
        items, token = page(items, self._get_param("nextToken"), None if size is None else int(size), default=default)
        return ActionResult({key: items, "nextToken": token} if token else {key: items})

    # Shapes of the API

    def _service(self, service: SimulatedService, *, tags: bool) -> dict[str, Any]:
        sim, settings = service.sim, service.sim.settings
        answer: dict[str, Any] = {
            **service.extras,
            "serviceArn": service.arn(),
            "serviceName": sim.name,
            "clusterArn": service.cluster_arn,
            "status": sim.status,
            "desiredCount": settings.desired,
            "runningCount": sim.running(),
            "pendingCount": sim.pending(),
            "taskDefinition": sim.task_definition,
            "deploymentConfiguration": _configuration(settings),
            "deployments": [self._deployment(service, one) for one in sim.deployments],
            "events": [{"id": one.id, "createdAt": one.at, "message": one.message} for one in sim.events],
            "createdAt": sim.created_at,
            "placementConstraints": [],
            "placementStrategy": [],
        }
        latest = sim.service_deployments[0]
        if latest.is_open:
            answer["currentServiceDeployment"] = service.arn("service-deployment", latest.id)
        answer["currentServiceRevisions"] = [
            {
                "arn": service.arn("service-revision", one.serial),
                "requestedTaskCount": settings.desired if one.status == "PRIMARY" else 0,
                "runningTaskCount": sim.running(one),
                "pendingTaskCount": sim.pending(one),
            }
            for one in sim.deployments
        ]
        if tags:
            own = self.ecs_backend.services.get(f"{service.cluster}:{sim.name}")
            answer["tags"] = own.tags if own is not None else []
        return answer

    def _deployment(self, service: SimulatedService, one: Deployment) -> dict[str, Any]:
        sim = service.sim
        wanted = sim.settings.desired if one.status == "PRIMARY" else sim.running(one)
        return {
            "id": one.id,
            "status": one.status,
            "taskDefinition": one.revision.arn,
            "desiredCount": wanted,
            "pendingCount": sim.pending(one),
            "runningCount": sim.running(one),
            "failedTasks": one.failed_tasks,
            "createdAt": one.created_at,
            "updatedAt": one.updated_at,
            "rolloutState": one.rollout_state,
            "rolloutStateReason": one.rollout_reason,
            "launchType": service.extras.get("launchType"),
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "networkConfiguration": service.extras.get("networkConfiguration"),
        }

    def _task(self, service: SimulatedService, task: Task) -> dict[str, Any]:
        sim = service.sim
        definition = self._definition(task.revision.arn)
        arn = service.task_arn(task)
        network = (service.extras.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        subnets = network.get("subnets") or [""]
        subnet = subnets[int(task.id[:4], 16) % len(subnets)]
        containers = [self._container(task, arn, one) for one in definition.container_definitions]
        attached = "PRECREATED" if task.status == "PROVISIONING" else "ATTACHED"
        answer = {
            "taskArn": arn,
            "clusterArn": service.cluster_arn,
            "taskDefinitionArn": task.revision.arn,
            "group": f"service:{sim.name}",
            "startedBy": task.deployment_id,
            "lastStatus": task.status,
            "desiredStatus": task.desired_status,
            "launchType": service.extras.get("launchType"),
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "cpu": definition.cpu,
            "memory": definition.memory,
            "connectivity": "CONNECTED" if task.started_at else None,
            "connectivityAt": task.pull_started_at,
            "createdAt": task.created_at,
            "pullStartedAt": task.pull_started_at,
            "pullStoppedAt": task.pull_stopped_at,
            "startedAt": task.started_at,
            "stoppingAt": task.stopping_at,
            "executionStoppedAt": task.stopping_at if task.exit_code is not None else None,
            "stoppedAt": task.stopped_at,
            "stopCode": task.stop_code or None,
            "stoppedReason": task.stopped_reason or None,
            "healthStatus": containers[0]["healthStatus"] if containers else "UNKNOWN",
            "enableExecuteCommand": bool(service.extras.get("enableExecuteCommand")),
            "version": 1,
            "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
            "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
            "attachments": [
                {
                    "id": _uuid_of(task.id),
                    "type": "ElasticNetworkInterface",
                    "status": "DELETED" if task.status == "STOPPED" else attached,
                    "details": [
                        {"name": "subnetId", "value": subnet},
                        {"name": "networkInterfaceId", "value": f"eni-0{task.id[:16]}"},
                        {"name": "privateIPv4Address", "value": task.ip},
                    ],
                }
            ],
            "containers": containers,
            "tags": [],
        }
        return {key: value for key, value in answer.items() if value is not None}

    def _container(self, task: Task, arn: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        up = task.started_at is not None and task.exit_code is None and task.status in ("RUNNING", "DEACTIVATING")
        ended = task.exit_code is not None or task.status in ("STOPPED", "DEPROVISIONING")
        checked = bool(definition.get("healthCheck"))
        serves = task.target_state in ("healthy", "draining")
        health = ("HEALTHY" if serves else "UNHEALTHY" if ended else "UNKNOWN") if checked else "UNKNOWN"
        answer = {
            "containerArn": arn.replace(":task/", ":container/") + f"/{_uuid_of(task.id[::-1])}",
            "taskArn": arn,
            "name": definition.get("name"),
            "image": definition.get("image"),
            "lastStatus": "RUNNING" if up else "STOPPED" if ended else "PENDING",
            "healthStatus": health,
            "runtimeId": f"{task.id}-0{task.id[:9]}" if task.started_at else None,
            "exitCode": task.exit_code,
            "reason": task.container_reason or None,
            "networkInterfaces": [{"attachmentId": _uuid_of(task.id), "privateIpv4Address": task.ip}],
            "cpu": str(definition.get("cpu", 0)),
        }
        return {key: value for key, value in answer.items() if value is not None}

    def _brief(self, service: SimulatedService, one: ServiceDeployment) -> dict[str, Any]:
        answer = {
            "serviceDeploymentArn": service.arn("service-deployment", one.id),
            "serviceArn": service.arn(),
            "clusterArn": service.cluster_arn,
            "targetServiceRevisionArn": service.arn("service-revision", one.target),
            "status": one.status,
            "statusReason": one.status_reason or None,
            "createdAt": one.created_at,
            "startedAt": one.started_at,
            "finishedAt": one.finished_at,
        }
        return {key: value for key, value in answer.items() if value is not None}

    def _full(self, service: SimulatedService, one: ServiceDeployment) -> dict[str, Any]:
        sim = service.sim
        current = {deployment.serial: deployment for deployment in sim.deployments}

        def summary(serial: str, requested: int) -> dict[str, Any]:
            deployment = current.get(serial)
            return {
                "arn": service.arn("service-revision", serial),
                "requestedTaskCount": requested,
                "runningTaskCount": sim.running(deployment) if deployment else 0,
                "pendingTaskCount": sim.pending(deployment) if deployment else 0,
            }

        answer = self._brief(service, one)
        del answer["targetServiceRevisionArn"]
        answer.update(
            updatedAt=one.updated_at,
            sourceServiceRevisions=[summary(serial, 0) for serial in one.sources],
            targetServiceRevision=summary(one.target, sim.settings.desired),
            deploymentConfiguration=_configuration(sim.settings),
            deploymentCircuitBreaker={
                "status": one.breaker_status,
                "failureCount": one.failure_count,
                "threshold": one.threshold,
            },
            alarms={"status": "DISABLED"},
        )
        if one.stopped_at:
            answer["stoppedAt"] = one.stopped_at
        if one.rollback_to:
            answer["rollback"] = {
                "reason": one.rollback_reason,
                "startedAt": one.rollback_at,
                "serviceRevisionArn": service.arn("service-revision", one.rollback_to),
            }
        return answer

    def _revision(self, service: SimulatedService, serial: str) -> dict[str, Any]:
        revision = service.sim.revisions[serial]
        definition = self._definition(revision.task_definition)
        return {
            "serviceRevisionArn": service.arn("service-revision", serial),
            "serviceArn": service.arn(),
            "clusterArn": service.cluster_arn,
            "taskDefinition": revision.task_definition,
            "launchType": service.extras.get("launchType"),
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "loadBalancers": service.extras.get("loadBalancers") or [],
            "networkConfiguration": service.extras.get("networkConfiguration"),
            "containerImages": [
                {"containerName": one.get("name"), "image": one.get("image")}
                for one in definition.container_definitions
            ],
            "createdAt": revision.created_at,
        }

    def _definition(self, arn: str) -> Any:
        family, revision = _family_and_revision(arn)
        return self.ecs_backend.task_definitions[family][revision]


_KEPT = (
    "loadBalancers",
    "serviceRegistries",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
)

_DEFAULTS: Mapping[str, Any] = {
    "loadBalancers": [],
    "serviceRegistries": [],
    "launchType": "FARGATE",
    "platformVersion": "LATEST",
    "platformFamily": "Linux",
    "schedulingStrategy": "REPLICA",
    "deploymentController": {"type": "ECS"},
    "propagateTags": "NONE",
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": 0,
    "availabilityZoneRebalancing": "DISABLED",
}


def extras_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a new service that the simulation does not know, with AWS's defaults."""
    return {**_DEFAULTS, **_given(params)}


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(params[key]) for key in _KEPT if params.get(key) is not None}


def _plain(value: Any) -> Any:
    """A copy without the parser's own container types, so that it can be compared and kept."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "deploymentCircuitBreaker": {"enable": settings.breaker, "rollback": settings.breaker_rollback},
        "maximumPercent": settings.maximum_percent,
        "minimumHealthyPercent": settings.minimum_percent,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }


def _family(arn: str) -> str:
    return _family_and_revision(arn)[0]


def _family_and_revision(arn: str) -> tuple[str, int]:
    matched = re.fullmatch(r"(?:.*/)?([^/:]+):(\d+)", arn)
    if matched is None:
        raise ValueError(f"not a task definition: {arn}")
    return matched[1], int(matched[2])


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.astimezone()


def _uuid_of(text: str) -> str:
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))
