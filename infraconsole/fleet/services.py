"""What is known of an ECS service besides its own answer: what it runs, what was deployed, why its tasks stopped.

Most of it cannot change, and is asked for once: a revision of a task definition never does, nor does a deployment that is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from infraconsole import clock, naming
from infraconsole.errors import AwsError

if TYPE_CHECKING:
    from infraconsole.aws.access import AwsAccess
    from infraconsole.aws.ecs import Ecs, Service, ServiceDeployment, Shifting, Task, TaskDefinition
    from infraconsole.checks.serving import ServiceFacts

# What reads AWS is imported in the threads that do: the board is painted without waiting for it.


class Services:
    """Every method may block, and raises AwsError; all are safe in threads."""

    def __init__(self, access_for: Callable[[str], AwsAccess]) -> None:
        self._access_for = access_for
        self._lock = threading.Lock()
        self._definitions: dict[tuple[str, str], TaskDefinition] = {}
        self._histories: dict[tuple[str, str], tuple[tuple[object, ...], tuple[ServiceDeployment, ...]]] = {}
        """By environment and service: its deployments, and what the service was like when they were read."""

    def ecs(self, environment: str) -> Ecs:
        from infraconsole.aws.ecs import Ecs

        return Ecs(self._access_for(environment))

    def facts(self, service: str, environment: str) -> ServiceFacts:
        found = self.ecs(environment).service(
            naming.cluster(service, environment), naming.ecs_service(service, environment)
        )
        return self.facts_of(service, environment, found)

    def facts_of(self, service: str, environment: str, found: Service) -> ServiceFacts:
        """`found` is what ECS has just answered."""
        from infraconsole.checks.serving import ServiceFacts, serving

        ecs = self.ecs(environment)
        shifting = self._shifting(ecs, found)
        there = serving(found, shifting)
        history = self._history_of(ecs, found, environment)
        return ServiceFacts(
            found,
            self._definition_if_any(environment, found.task_definition),
            self._definition_if_any(environment, there.task_definition if there else ""),
            service,
            shifting,
            history,
            self._stopped(ecs, found, history),
        )

    def definition(self, environment: str, reference: str) -> TaskDefinition:
        with self._lock:
            known = self._definitions.get((environment, reference))
        if known is None:
            known = self.ecs(environment).task_definition(reference)
            if known.status == "ACTIVE":
                with self._lock:
                    self._definitions[(environment, reference)] = known
        return known

    def _history_of(self, ecs: Ecs, service: Service, environment: str) -> tuple[ServiceDeployment, ...]:
        """The service's deployments of the last day, where there can be any that the service itself does not tell; read again once
        it has other ones, or one came to its end. Where they cannot be read, the service's own events have to do."""
        from infraconsole.checks.standing import tells_all

        if tells_all(service, clock.now()):
            return ()
        going = service.in_flight is not None
        mark = (going, *((each.id, each.rollout_state) for each in service.deployments))
        with self._lock:
            seen, known = self._histories.get((environment, service.arn), ((), ()))
        if seen == mark and not going:
            return known
        try:
            known = ecs.service_deployments(service.cluster, service.name)
        except AwsError:
            return ()
        with self._lock:
            self._histories[environment, service.arn] = (mark, known)
        return known

    def _stopped(self, ecs: Ecs, service: Service, history: tuple[ServiceDeployment, ...]) -> tuple[Task, ...]:
        """The tasks that stopped within about the last hour, where they tell why a rollout is not well."""
        from infraconsole.checks.standing import went_back

        is_well = service.in_flight is None and service.running >= service.desired
        if is_well and went_back(service, history, clock.now()) is None:
            return ()
        try:
            return ecs.tasks(service.cluster, service.name, desired_status="STOPPED")
        except AwsError:
            return ()

    def _definition_if_any(self, environment: str, reference: str) -> TaskDefinition | None:
        try:
            return self.definition(environment, reference) if reference else None
        except AwsError:
            return None

    def _shifting(self, ecs: Ecs, service: Service) -> Shifting | None:
        if not (service.deploying.shifts_traffic and service.current_deployment):
            return None
        try:
            return ecs.shifting(service.current_deployment)
        except AwsError:
            return None
