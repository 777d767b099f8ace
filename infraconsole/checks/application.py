"""Which container of a task definition is the application's, and why: log routers, proxies and agents stand beside it, often
before it, and are essential too. Pure; nothing is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from infraconsole import naming
from infraconsole.aws.ecr import ImageReference, parse_image
from infraconsole.aws.ecs import ContainerDefinition, LoadBalancerBinding, TaskDefinition

_BESIDE = (
    *("aws-for-fluent-bit", "fluent-bit", "fluentd", "vector", "filebeat"),
    *("aws-xray-daemon", "aws-otel-collector", "cloudwatch-agent", "opentelemetry-collector-contrib"),
    *("aws-appmesh-envoy", "envoy", "ecs-service-connect-agent", "agent", "newrelic-infra", "amazon-ecs-agent"),
)
"""Repositories (their last part) of what stands beside an application: of AWS, Datadog (`agent`), New Relic, Elastic."""


@dataclass(frozen=True)
class Application:
    """`why` ends the sentence "taken for the application: …"."""

    container: ContainerDefinition
    why: str

    @property
    def image(self) -> ImageReference:
        return parse_image(self.container.image)

    @property
    def sentence(self) -> str:
        return f"{self.container.name} is taken for the application: {self.why}."


def application(
    definition: TaskDefinition, service: str, bindings: Sequence[LoadBalancerBinding] = ()
) -> Application | None:
    """By the load balancer's container and port, then by the ECR repository, then by convention. `service` is its name in the
    settings. None only for a definition without any container."""
    found = next(_found(definition.containers, service, bindings), None)
    return Application(*found) if found else None


def image_of(definition: TaskDefinition, service: str, bindings: Sequence[LoadBalancerBinding] = ()) -> str:
    """The text of the application's image; "" where there is none."""
    found = application(definition, service, bindings)
    return found.container.image if found else ""


_Found = Iterator[tuple[ContainerDefinition, str]]


def _found(containers: Sequence[ContainerDefinition], service: str, bindings: Sequence[LoadBalancerBinding]) -> _Found:
    """The best first."""
    yield from _behind_load_balancer(containers, service, bindings)
    yield from _by_repository(containers, service)
    yield from _by_name(containers, service)
    rest = [each for each in containers if not _stands_beside(each)]
    in_ecr = [each for each in rest if parse_image(each.image).in_ecr]
    if len(in_ecr) == 1:
        yield in_ecr[0], "it is the only one from ECR that is no log router or agent"
    essential = [each for each in rest if each.essential]
    yield from ((each, "it is the first essential one that is no log router or agent") for each in essential)
    yield from ((each, "it is the first essential one") for each in containers if each.essential)
    yield from ((each, "it is the first one") for each in containers)


def _behind_load_balancer(
    containers: Sequence[ContainerDefinition], service: str, bindings: Sequence[LoadBalancerBinding]
) -> _Found:
    ports = {each.container: each.port for each in reversed(bindings) if each.container}
    bound = [each for each in containers if each.name in ports]
    # With several behind load balancers (an application and its administration) the other rules choose among them.
    for each, _ in (*_by_repository(bound, service), *_by_name(bound, service)) if len(bound) > 1 else ():
        yield each, f"the load balancer sends to it, on port {ports[each.name]}"
    exact = [each for each in bound if ports[each.name] in each.ports]
    for each in (*exact, *bound):
        yield each, f"the load balancer sends to it, on port {ports[each.name]}"


def _by_repository(containers: Sequence[ContainerDefinition], service: str) -> _Found:
    rules: tuple[Callable[[ImageReference], bool], ...] = (
        lambda image: image.in_ecr and image.repository == naming.ecr_repository(service),
        lambda image: image.in_ecr and image.name == naming.ecr_repository(service),
        lambda image: image.name == naming.ecr_repository(service),
    )
    for rule in rules:
        for each in containers:
            image = parse_image(each.image)
            if rule(image):
                yield each, f"its image is of the repository {image.repository}"


def _by_name(containers: Sequence[ContainerDefinition], service: str) -> _Found:
    for name in (naming.container(service), service, "app"):
        for each in containers:
            if each.name == name:
                yield each, f"it is called {name}"


def _stands_beside(container: ContainerDefinition) -> bool:
    return container.is_log_router or parse_image(container.image).name in _BESIDE
