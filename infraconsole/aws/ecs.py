"""ECS: services, tasks, task definitions and deployments.

Reading only. The calls that change a service are composed by the runbooks and sent through `ChangingAccess.change`. What an
answer is parsed into stands in `ecs_services`, `ecs_tasks` and `ecs_definitions`; all of it can be taken from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct
from infraconsole.aws.ecs_definitions import (
    ContainerDefinition,
    HealthCheck,
    SecretReference,
    TaskDefinition,
    family_and_revision,
    parse_task_definition,
)
from infraconsole.aws.ecs_services import (
    Controller,
    Deploying,
    Deployment,
    LoadBalancerBinding,
    Service,
    ServiceDeployment,
    ServiceEvent,
    Shifting,
    Strategy,
    parse_deployment,
    parse_service,
    parse_service_deployment,
    parse_shifting,
)
from infraconsole.aws.ecs_tasks import Task, TaskContainer, parse_task
from infraconsole.errors import AwsError, AwsNotFound

__all__ = [
    "ContainerDefinition",
    "Controller",
    "Deploying",
    "Deployment",
    "Ecs",
    "HealthCheck",
    "LoadBalancerBinding",
    "SecretReference",
    "Service",
    "ServiceDeployment",
    "ServiceEvent",
    "Shifting",
    "Strategy",
    "Task",
    "TaskContainer",
    "TaskDefinition",
    "family_and_revision",
    "parse_deployment",
    "parse_service",
    "parse_service_deployment",
    "parse_shifting",
    "parse_task",
    "parse_task_definition",
]

SERVICES_PER_CALL = 10
TASKS_PER_CALL = 100
REVISIONS_PER_CALL = 20
PAGE_SIZE = 100


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
        raise self.missing(cluster, name)

    def missing(self, cluster: str, name: str) -> AwsNotFound:
        """What says that AWS does not name that service of the cluster, and which ones it does."""
        names = self.service_names(cluster)
        return AwsNotFound(
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

    def shifting(self, service_deployment: str) -> Shifting | None:
        """How far a deployment that shifts traffic has come, by its ARN; None where AWS does not know it (any more)."""
        answer = self.access.call("ecs", "DescribeServiceDeployments", serviceDeploymentArns=[service_deployment])
        raw = next(iter(answer.get("serviceDeployments") or ()), None)
        if raw is None:
            return None
        wanted = (raw.get("targetServiceRevision") or {}).get("arn")
        revisions: Sequence[Mapping[str, Any]] = ()
        if wanted:
            described = self.access.call("ecs", "DescribeServiceRevisions", serviceRevisionArns=[wanted])
            revisions = described.get("serviceRevisions") or ()
        return parse_shifting(raw, next(iter(revisions), {}))

    def raw_definition(self, reference: str) -> Mapping[str, Any]:
        """All that AWS tells of a revision, with its tags under `tags`: what a copy of it is registered from."""
        answer = self.access.call("ecs", "DescribeTaskDefinition", taskDefinition=reference, include=["TAGS"])
        return {**(answer.get("taskDefinition") or {}), "tags": list(answer.get("tags") or ())}

    def tasks(self, cluster: str, service: str, *, desired_status: str = "RUNNING") -> tuple[Task, ...]:
        """The service's tasks, newest first. `desired_status`: RUNNING, or STOPPED for those of about the last hour."""
        asked = {"cluster": cluster, "serviceName": service, "desiredStatus": desired_status}
        arns = [str(arn) for arn in self.access.pages("ecs", "ListTasks", "taskArns", **asked)]
        found: list[Task] = []
        for batch in batches(distinct(arns), TASKS_PER_CALL):
            answer = self.access.call("ecs", "DescribeTasks", cluster=cluster, tasks=list(batch))
            found.extend(parse_task(raw) for raw in answer.get("tasks", ()))
        return tuple(sorted(found, key=_age, reverse=True))


def _age(item: Task | ServiceDeployment) -> float:
    return item.created_at.timestamp() if item.created_at else 0.0


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
