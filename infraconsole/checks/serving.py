"""Which deployment of a service serves, and which one is being rolled out: they are not the same while a rollout is under way or
has failed. Pure; nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from infraconsole.aws.ecs import Deployment, Service, ServiceDeployment, Shifting, Task, TaskDefinition
from infraconsole.checks.application import Application, application


def serving(service: Service, shifting: Shifting | None = None) -> Deployment | None:
    """The deployment whose tasks answer. None where no task of any runs.

    Until a rolling deployment has completed, the tasks from before it carry the service: those of the new one count only as far as
    their targets are healthy, which ECS itself judges. One that shifts traffic serves from its shift on.
    """
    primary = service.primary
    older = [each for each in service.deployments if primary is None or each.id != primary.id]
    most = max((each for each in older if each.running), key=lambda each: each.running, default=None)
    if primary is None or not primary.running:
        # Where the traffic was shifted to it, none goes to the older ones.
        return None if primary is not None and _has_shifted(primary, shifting) else most
    if primary.rollout_state == "COMPLETED" or _has_shifted(primary, shifting):
        return primary
    return most or primary


def _has_shifted(primary: Deployment, shifting: Shifting | None) -> bool:
    return shifting is not None and shifting.task_definition == primary.task_definition and shifting.has_shifted


@dataclass(frozen=True)
class ServiceFacts:
    """`definition` is what the primary deployment brings, `serving` what the tasks that answer are of: another one while a rollout
    is under way or has failed. Either is None where it could not be read, or is not there. `called` is the service's name in the
    settings; `shifting` how far a deployment that shifts traffic has come. `history` are its deployments, newest first, empty where
    they could not be read; `stopped` the tasks that stopped lately, read only where a rollout is not well."""

    service: Service
    definition: TaskDefinition | None
    serving: TaskDefinition | None = None
    called: str = ""
    shifting: Shifting | None = None
    history: tuple[ServiceDeployment, ...] = ()
    stopped: tuple[Task, ...] = ()

    @cached_property
    def serving_deployment(self) -> Deployment | None:
        return serving(self.service, self.shifting)

    @cached_property
    def application(self) -> Application | None:
        """The application's container, as what serves has it."""
        return self._application(self.serving or self.definition)

    def names(self, environment: str) -> tuple[str, ...]:
        """What tells the variables of this service's application from those of other containers."""
        return (self.called, environment, *((self.application.container.name,) if self.application else ()))

    @cached_property
    def brought(self) -> Application | None:
        """The application's container, as the primary deployment brings it."""
        return self._application(self.definition)

    @cached_property
    def serving_image(self) -> str:
        """In a word, "" where nothing serves, "?" where that could not be read."""
        if self.serving_deployment is None:
            return ""
        return self.image(self.serving) if self.serving else "?"

    @cached_property
    def rolling_image(self) -> str:
        """Of the deployment that has not come to its end, where its revision is not the one that serves; else ""."""
        going, there = self.service.in_flight, self.serving_deployment
        if going is None or (there is not None and there.task_definition == going.task_definition):
            return ""
        return self.image(self.definition) if self.definition else "?"

    @property
    def images(self) -> str:
        """What serves, and behind an arrow what is being rolled out."""
        return (
            f"{self.serving_image or 'none'} → {self.rolling_image}"
            if self.rolling_image
            else self.serving_image or "none"
        )

    def image(self, definition: TaskDefinition) -> str:
        """What a person calls the application's image in that revision."""
        found = self._application(definition)
        return found.image.short if found else "?"

    def _application(self, definition: TaskDefinition | None) -> Application | None:
        return application(definition, self.called, self.service.load_balancers) if definition else None
