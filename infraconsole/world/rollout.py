"""What ECS does with one service over time: deployments, tasks, events, circuit breaker, target health. It is a pure
simulation without moto, HTTP or threads: advanced to a moment, it does all that is due until then, always the same."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

MAX_EVENTS = 100
STOPPED_TASKS_KEPT = timedelta(hours=1)
BREAKER_MINIMUM = 3
BREAKER_MAXIMUM = 200

# Seconds of world time from a task's creation, of the order seen on Fargate.
TO_PENDING = 5.0
TO_ACTIVATING = 15.0
TO_RUNNING = 20.0
TO_PULL_FAILED = 18.0
# Seconds from RUNNING.
TO_CHECKING = 3.0
TO_HEALTHY = 25.0
TO_UNHEALTHY = 40.0
TO_GIVEN_UP = 50.0
# Seconds from the end of draining, or from a container's exit.
TO_DEPROVISIONING = 3.0
TO_STOPPED = 6.0

Kind = Literal["healthy", "crash", "no-pull", "unhealthy"]


@dataclass(frozen=True)
class Behaviour:
    """How the tasks of one revision fare.

    healthy   they run, and their targets pass the health check
    crash     the container exits with `exit_code`, `crash_after` seconds after it began to run; the first tasks of a
              deployment live `first_crash_after` seconds, long enough to pass the health check
    no-pull   the image cannot be pulled, for `reason`
    unhealthy they run, but their targets never pass the health check
    """

    kind: Kind = "healthy"
    crash_after: float = 20.0
    first_crash_after: float | None = None
    exit_code: int = 1
    reason: str = ""


HEALTHY = Behaviour()


@dataclass(frozen=True)
class Revision:
    """A task definition as the simulation sees it: its ARN and how its tasks fare."""

    arn: str
    behaviour: Behaviour = HEALTHY


@dataclass(frozen=True)
class Settings:
    """Of a service; percentages are those of the deployment configuration."""

    desired: int = 1
    minimum_percent: int = 100
    maximum_percent: int = 200
    breaker: bool = False
    breaker_rollback: bool = False
    target_groups: tuple[str, ...] = ()
    """ARNs; without any, a running task counts as healthy."""
    deregistration_delay: float = 300.0
    """Seconds."""
    port: int = 8080


@dataclass(frozen=True)
class Event:
    id: str
    at: datetime
    message: str


@dataclass(frozen=True)
class Notice:
    """Something that happened inside a container, for the log groups."""

    at: datetime
    kind: Literal["started", "crashed", "unhealthy", "stopped"]
    task_id: str
    task_definition: str


@dataclass
class Task:
    id: str
    deployment_id: str
    revision: Revision
    created_at: datetime
    ip: str
    status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    container_reason: str = ""
    target_state: str = ""
    """Empty while no target is registered; else initial, healthy, unhealthy or draining."""
    target_reason: str = ""
    target_description: str = ""
    lifetime: float | None = None
    """Seconds from RUNNING until the container exits by itself."""

    @property
    def is_live(self) -> bool:
        return self.desired_status == "RUNNING"


@dataclass
class Deployment:
    """`serial` names its service deployment and its service revision."""

    id: str
    revision: Revision
    created_at: datetime
    updated_at: datetime
    serial: str
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    rollout_reason: str = ""
    failed_tasks: int = 0
    launched: int = 0
    launch_at: datetime | None = None
    """Not before; set after failures, because ECS throttles restarts."""
    frozen: bool = False
    """No more tasks are started or replaced: the circuit breaker tripped, or somebody aborted."""


@dataclass
class ServiceDeployment:
    """One row of ListServiceDeployments."""

    id: str
    deployment_id: str
    target: str
    """Serial of the service revision it deploys."""
    sources: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    updated_at: datetime | None = None
    status: str = "IN_PROGRESS"
    status_reason: str = ""
    rollback_to: str = ""
    rollback_reason: str = ""
    rollback_at: datetime | None = None
    breaker: bool = False
    breaker_rollback: bool = False
    breaker_status: str = "DISABLED"
    failure_count: int = 0
    threshold: int = BREAKER_MINIMUM

    @property
    def is_open(self) -> bool:
        return self.finished_at is None and self.status in (
            "PENDING",
            "IN_PROGRESS",
            "STOP_REQUESTED",
            "ROLLBACK_REQUESTED",
            "ROLLBACK_IN_PROGRESS",
        )


@dataclass(frozen=True)
class ServiceRevision:
    """What a service looked like when something was deployed."""

    serial: str
    task_definition: str
    created_at: datetime


@dataclass(frozen=True)
class PastDeployment:
    """A deployment to be written into the history of a new service."""

    revision: Revision
    started_at: datetime
    lasted: float = 130.0
    """Seconds."""
    status: str = "SUCCESSFUL"
    reason: str = ""


class NotStoppable(Exception):
    """The service deployment has ended already, or there is nothing to roll back to."""


def breaker_threshold(desired: int) -> int:
    """Failed tasks after which the circuit breaker trips: half of the desired count, at least 3, at most 200."""
    return min(BREAKER_MAXIMUM, max(BREAKER_MINIMUM, math.ceil(desired * 0.5)))


def restart_delay(failures: int) -> float:
    """Seconds until ECS starts the next task after `failures` in a row.

    AWS goes up to fifteen minutes; here it ends at one, so that a drill always has something to see.
    """
    return 0.0 if failures < 3 else min(60.0, 10.0 * 2.0 ** ((failures - 3) // 2))


@dataclass(order=True)
class _Due:
    at: datetime
    order: int
    step: str = field(compare=False)
    task_id: str = field(compare=False)


class ServiceSim:
    """One service. Every method that changes something takes the moment at which it happens; moments never go back."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        revision: Revision,
        now: datetime,
        *,
        seed: str = "",
        history: Sequence[PastDeployment] = (),
    ) -> None:
        """With a `history` (oldest first) its last is in place and steady at `now`; without, it begins to roll out."""
        self.name = name
        self.settings = settings
        self.created_at = history[0].started_at if history else now
        self.status = "ACTIVE"
        self.events: list[Event] = []
        self.tasks: dict[str, Task] = {}
        self.deployments: list[Deployment] = []
        self.service_deployments: list[ServiceDeployment] = []
        self.revisions: dict[str, ServiceRevision] = {}
        self.notices: list[Notice] = []
        self._random = random.Random(seed or name)  # noqa: S311 - ids that look right, not secrets
        self._now = self.created_at
        self._queue: list[_Due] = []
        self._order = 0
        self._steady = False
        self._last_completed: Deployment | None = None
        self._complained_at: datetime | None = None
        if history:
            self._remember(history, now)
        else:
            self._deploy(revision)
            self._pass()

    # What can be asked

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    @property
    def task_definition(self) -> str:
        return self.primary.revision.arn

    def running(self, deployment: Deployment | None = None) -> int:
        return sum(1 for task in self._of(deployment) if task.status == "RUNNING")

    def pending(self, deployment: Deployment | None = None) -> int:
        states = ("PROVISIONING", "PENDING", "ACTIVATING")
        return sum(1 for task in self._of(deployment) if task.status in states and task.is_live)

    def healthy(self) -> list[Task]:
        """Tasks that serve requests."""
        return [task for task in self.tasks.values() if self._serves(task)]

    def targets(self) -> list[Task]:
        """Tasks that are registered in the target groups, draining ones included; the latest last."""
        return [task for task in self.tasks.values() if task.target_state]

    def revision_of(self, deployment: Deployment) -> ServiceRevision:
        return self.revisions[deployment.serial]

    # What can be done

    def advance(self, now: datetime) -> None:
        """Do all that is due until `now`."""
        while self._queue and self._queue[0].at <= now:
            due = heapq.heappop(self._queue)
            self._now = max(self._now, due.at)
            task = self.tasks.get(due.task_id)
            if task is not None:
                self._step(task, due.step)
            self._pass()
        self._now = max(self._now, now)
        limit = self._now - STOPPED_TASKS_KEPT
        for task in [task for task in self.tasks.values() if task.stopped_at and task.stopped_at < limit]:
            del self.tasks[task.id]

    def update(
        self, now: datetime, *, revision: Revision | None = None, settings: Settings | None = None, force: bool = False
    ) -> bool:
        """UpdateService; answers whether it made a new deployment. The same revision without `force` makes none."""
        self.advance(now)
        if settings is not None:
            self.settings = settings
        wanted = revision or self.primary.revision
        new = force or wanted.arn != self.task_definition
        if new:
            self._deploy(wanted)
        self._pass()
        return new

    def stop_task(self, now: datetime, task_id: str, reason: str) -> Task:
        """StopTask; the service starts a replacement. Raises KeyError for an unknown task."""
        self.advance(now)
        task = self.tasks[task_id]
        if task.is_live:
            self._stop(task, "UserInitiated", reason or "Task stopped by user")
            self._steady = False
            self._pass()
        return task

    def stop_deployment(self, now: datetime, service_deployment_id: str, *, rollback: bool) -> ServiceDeployment:
        """StopServiceDeployment. Raises KeyError for an unknown one, NotStoppable where AWS refuses."""
        self.advance(now)
        record = next((one for one in self.service_deployments if one.id == service_deployment_id), None)
        if record is None:
            raise KeyError(service_deployment_id)
        if not record.is_open or record.status != "IN_PROGRESS":
            raise NotStoppable(f"it is {record.status}")
        if rollback:
            if self._last_completed is None:
                raise NotStoppable("no completed deployment is known to go back to")
            record.status = "ROLLBACK_REQUESTED"
            failed = self.primary
            failed.rollout_state, failed.rollout_reason = "FAILED", "Service deployment rolled back by the user."
            self._roll_back(record, "Service deployment rolled back because of a user request.", by_breaker=False)
        else:
            record.status, record.status_reason = "STOPPED", "Service deployment was stopped by a user request."
            record.stopped_at = record.finished_at = record.updated_at = self._now
            self.primary.rollout_state = "FAILED"
            self.primary.rollout_reason = "Service deployment was stopped by a user request."
            self.primary.frozen = True
        self._pass()
        return record

    def delete(self, now: datetime) -> None:
        """DeleteService: it drains, and is INACTIVE when its last task has stopped."""
        self.advance(now)
        self.settings = replace(self.settings, desired=0)
        self.status = "DRAINING"
        self._pass()

    # What the scheduler does

    def _of(self, deployment: Deployment | None) -> list[Task]:
        if deployment is None:
            return list(self.tasks.values())
        return [task for task in self.tasks.values() if task.deployment_id == deployment.id]

    def _serves(self, task: Task) -> bool:
        if task.status != "RUNNING" or not task.is_live:
            return False
        return task.target_state == "healthy" if self.settings.target_groups else True

    def _deploy(self, revision: Revision) -> None:
        for old in self.deployments:
            old.status = "ACTIVE"
        for open_one in self.service_deployments:
            if open_one.is_open:
                open_one.status = "STOPPED"
                open_one.status_reason = "Service deployment was replaced by a newer service deployment."
                open_one.stopped_at = open_one.finished_at = open_one.updated_at = self._now
        deployment = self._new_deployment(revision, self._now)
        sources = tuple(dict.fromkeys(old.serial for old in self.deployments))
        self.deployments.insert(0, deployment)
        self.service_deployments.insert(0, self._new_record(deployment, sources))
        self._steady = False

    def _new_deployment(self, revision: Revision, at: datetime) -> Deployment:
        number = str(self._random.randrange(10**18, 10**19))
        deployment = Deployment(f"ecs-svc/{number}", revision, at, at, serial=number)
        deployment.rollout_reason = f"ECS deployment {deployment.id} in progress."
        self.revisions[number] = ServiceRevision(number, revision.arn, at)
        return deployment

    def _new_record(self, deployment: Deployment, sources: tuple[str, ...]) -> ServiceDeployment:
        at = deployment.created_at
        return ServiceDeployment(
            id=self._word(21),
            deployment_id=deployment.id,
            target=deployment.serial,
            sources=sources,
            created_at=at,
            started_at=at,
            updated_at=at,
            breaker=self.settings.breaker,
            breaker_rollback=self.settings.breaker_rollback,
            breaker_status="MONITORING" if self.settings.breaker else "DISABLED",
            threshold=breaker_threshold(self.settings.desired),
        )

    def _pass(self) -> None:
        self._start_missing()
        self._stop_superfluous()
        self._drop_finished()
        self._settle()

    def _start_missing(self) -> None:
        primary = self.primary
        if primary.frozen or self.status != "ACTIVE":
            return
        live = [task for task in self.tasks.values() if task.is_live]
        own = sum(1 for task in live if task.deployment_id == primary.id)
        room = math.floor(self.settings.desired * self.settings.maximum_percent / 100) - len(live)
        count = min(self.settings.desired - own, room)
        if count <= 0:
            return
        if primary.launch_at is not None and primary.launch_at > self._now:
            return
        started = [self._launch(primary) for _ in range(count)]
        self._steady = False
        names = " ".join(f"(task {task.id})" for task in started)
        self._say(f"has started {len(started)} tasks: {names}.")

    def _launch(self, deployment: Deployment) -> Task:
        behaviour = deployment.revision.behaviour
        ip = f"10.0.{10 + self._random.randrange(3)}.{self._random.randrange(4, 250)}"
        task = Task(self._hex(32), deployment.id, deployment.revision, self._now, ip)
        if behaviour.kind == "crash":
            first = deployment.launched < self.settings.desired and behaviour.first_crash_after is not None
            task.lifetime = behaviour.first_crash_after if first else behaviour.crash_after
        deployment.launched += 1
        self.tasks[task.id] = task
        jitter = self._random.random() * 2.0
        self._after(TO_PENDING + jitter, "pending", task)
        if behaviour.kind == "no-pull":
            self._after(TO_PULL_FAILED + jitter, "pull-failed", task)
        else:
            self._after(TO_ACTIVATING + jitter, "activating", task)
            self._after(TO_RUNNING + jitter, "running", task)
        return task

    def _stop_superfluous(self) -> None:
        primary = self.primary
        if primary.frozen:
            return
        desired = self.settings.desired
        own = [task for task in self.tasks.values() if task.is_live and task.deployment_id == primary.id]
        surplus = max(0, len(own) - desired)
        # What does not serve goes first, then the oldest.
        for task in sorted(own, key=lambda task: (self._serves(task), task.created_at))[:surplus]:
            self._stop_by_scheduler(task)
        old = [task for task in self.tasks.values() if task.is_live and task.deployment_id != primary.id]
        spare = len(self.healthy()) - math.ceil(desired * self.settings.minimum_percent / 100)
        stopped = []
        for task in sorted(old, key=lambda task: (self._serves(task), task.created_at)):
            if self._serves(task):
                if spare <= 0:
                    break
                spare -= 1
            stopped.append(task)
        for task in stopped:
            self._stop_by_scheduler(task, announce=False)
        self._announce_stopped(stopped)

    def _stop_by_scheduler(self, task: Task, *, announce: bool = True) -> None:
        self._steady = False
        if task.deployment_id == self.primary.id:
            reason = f"Scaling activity initiated by (deployment {self.primary.id})"
        else:
            reason = f"Scaling activity initiated by (deployment {task.deployment_id})"
        self._stop(task, "ServiceSchedulerInitiated", reason)
        if announce:
            self._announce_stopped([task])

    def _announce_stopped(self, tasks: Sequence[Task]) -> None:
        if tasks:
            names = " ".join(f"(task {task.id})" for task in tasks)
            self._say(f"has stopped {len(tasks)} running tasks: {names}.")

    def _stop(self, task: Task, code: str, reason: str) -> None:
        task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason = code, reason
        task.stopping_at = self._now
        if self._deregister(task):
            task.status = "DEACTIVATING"
            self._after(self.settings.deregistration_delay, "stopping", task)
        else:
            task.status = "STOPPING"
            self._after(TO_DEPROVISIONING, "deprovisioning", task)
            self._after(TO_STOPPED, "stopped", task)

    def _deregister(self, task: Task) -> bool:
        if not task.target_state or task.target_state == "draining":
            return False
        task.target_state = "draining"
        task.target_reason = "Target.DeregistrationInProgress"
        task.target_description = "Target deregistration is in progress"
        self._after(self.settings.deregistration_delay, "drained", task)
        for group in self.settings.target_groups:
            self._say(f"deregistered 1 targets in (target-group {group})")
        self._say("has begun draining connections on 1 tasks.")
        return True

    def _step(self, task: Task, step: str) -> None:
        if step == "drained":
            task.target_state = task.target_reason = task.target_description = ""
        elif step == "wake":
            pass
        elif step in ("stopping", "deprovisioning", "stopped"):
            self._ending(task, step)
        elif not task.is_live:
            pass
        elif step == "pending":
            task.status, task.pull_started_at = "PENDING", self._now
        elif step == "activating":
            task.status, task.pull_stopped_at = "ACTIVATING", self._now
        elif step == "pull-failed":
            self._pull_failed(task)
        elif step == "running":
            self._runs(task)
        elif step == "checking":
            self._target(task, "initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
        elif step == "healthy":
            self._target(task, "healthy", "", "")
        elif step == "unhealthy":
            self._unhealthy(task)
        elif step == "given-up":
            self._given_up(task)
        elif step == "exits":
            self._exits(task)

    def _ending(self, task: Task, step: str) -> None:
        if step == "stopping":
            task.status = "STOPPING"
            self._after(TO_DEPROVISIONING, "deprovisioning", task)
            self._after(TO_STOPPED, "stopped", task)
        elif step == "deprovisioning":
            task.status = "DEPROVISIONING"
        else:
            task.status, task.stopped_at = "STOPPED", self._now
            if task.started_at and task.exit_code is None:
                task.exit_code = 143  # 128 + SIGTERM: asked to end, and did
                self.notices.append(Notice(self._now, "stopped", task.id, task.revision.arn))

    def _runs(self, task: Task) -> None:
        task.status, task.started_at = "RUNNING", self._now
        self.notices.append(Notice(self._now, "started", task.id, task.revision.arn))
        behaviour = task.revision.behaviour
        if self.settings.target_groups:
            self._target(task, "initial", "Elb.RegistrationInProgress", "Target registration is in progress")
            for group in self.settings.target_groups:
                self._say(f"registered 1 targets in (target-group {group})")
            self._after(TO_CHECKING, "checking", task)
            if behaviour.kind == "unhealthy":
                self._after(TO_UNHEALTHY, "unhealthy", task)
                self._after(TO_GIVEN_UP, "given-up", task)
            elif task.lifetime is None or task.lifetime > TO_HEALTHY:
                self._after(TO_HEALTHY, "healthy", task)
            else:
                self._after(task.lifetime / 2, "unhealthy", task)
        elif behaviour.kind == "unhealthy":
            self._after(TO_GIVEN_UP, "given-up", task)
        if task.lifetime is not None:
            self._after(task.lifetime, "exits", task)

    def _target(self, task: Task, state: str, reason: str, description: str) -> None:
        task.target_state, task.target_reason, task.target_description = state, reason, description

    def _unhealthy(self, task: Task) -> None:
        if task.revision.behaviour.kind == "crash":
            self._target(task, "unhealthy", "Target.FailedHealthChecks", "Health checks failed")
            why = "Health checks failed"
        else:
            why = "Health checks failed with these codes: [503]"
            self._target(task, "unhealthy", "Target.ResponseCodeMismatch", why)
            self.notices.append(Notice(self._now, "unhealthy", task.id, task.revision.arn))
        for group in self.settings.target_groups:
            self._say(
                f"(port {self.settings.port}) is unhealthy in (target-group {group}) due to (reason {why}).",
            )

    def _given_up(self, task: Task) -> None:
        groups = self.settings.target_groups
        reason = (
            f"Task failed ELB health checks in (target-group {groups[0]})"
            if groups
            else "Task failed container health checks"
        )
        self._stop(task, "ServiceSchedulerInitiated", reason)
        self._announce_stopped([task])
        self._failed(task)

    def _pull_failed(self, task: Task) -> None:
        task.container_reason = task.stopped_reason = task.revision.behaviour.reason or (
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref: not found"
        )
        task.desired_status, task.status = "STOPPED", "DEPROVISIONING"
        task.stop_code, task.stopping_at = "TaskFailedToStart", self._now
        self._after(TO_DEPROVISIONING, "stopped", task)
        self._failed(task)

    def _exits(self, task: Task) -> None:
        behaviour = task.revision.behaviour
        task.exit_code, task.container_reason = behaviour.exit_code, behaviour.reason
        task.desired_status, task.status = "STOPPED", "DEACTIVATING"
        task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
        task.stopping_at = self._now
        self.notices.append(Notice(self._now, "crashed", task.id, task.revision.arn))
        self._deregister(task)
        # The container is gone, so the task does not wait for its target to drain.
        self._after(TO_DEPROVISIONING, "deprovisioning", task)
        self._after(TO_STOPPED, "stopped", task)
        self._failed(task)

    def _failed(self, task: Task) -> None:
        self._steady = False
        deployment = self.primary
        if task.deployment_id != deployment.id:
            return
        deployment.failed_tasks += 1
        deployment.updated_at = self._now
        delay = restart_delay(deployment.failed_tasks)
        if delay:
            deployment.launch_at = self._now + timedelta(seconds=delay)
            self._after(delay, "wake", task)
            if self._complained_at is None or self._now - self._complained_at > timedelta(minutes=5):
                self._complained_at = self._now
                self._say(
                    "is unable to consistently start tasks successfully. For more information, see the "
                    "Troubleshooting section of the Amazon ECS Developer Guide."
                )
        if deployment.rollout_state != "IN_PROGRESS":
            return
        record = self._record_of(deployment)
        if record is not None:
            record.failure_count, record.updated_at = deployment.failed_tasks, self._now
        if self.settings.breaker and deployment.failed_tasks >= breaker_threshold(self.settings.desired):
            self._trip(deployment, record)

    def _trip(self, deployment: Deployment, record: ServiceDeployment | None) -> None:
        deployment.rollout_state = "FAILED"
        deployment.rollout_reason = "ECS deployment circuit breaker: tasks failed to start."
        deployment.updated_at = self._now
        deployment.frozen = True
        self._say(f"(deployment {deployment.id}) deployment failed: tasks failed to start.")
        if record is not None:
            record.breaker_status = "TRIGGERED"
        going_back = self.settings.breaker_rollback and self._last_completed is not None
        # A rollback that fails as well is not rolled back again.
        if going_back and record is not None and record.status == "IN_PROGRESS":
            self._roll_back(record, "Service deployment rolled back because of a circuit breaker failure.")
        elif record is not None:
            record.status = "ROLLBACK_FAILED" if record.status == "ROLLBACK_IN_PROGRESS" else "STOPPED"
            record.status_reason = "Service deployment failed: tasks failed to start."
            record.finished_at = record.stopped_at = record.updated_at = self._now

    def _roll_back(self, record: ServiceDeployment, reason: str, *, by_breaker: bool = True) -> None:
        completed = self._last_completed
        if completed is None:
            return
        failed = self.primary
        failed.status, failed.updated_at = "ACTIVE", self._now
        self._say(f"rolling back to deployment {completed.id}.")
        existing = next((one for one in self.deployments if one.id == completed.id), None)
        if existing is not None:
            self.deployments.remove(existing)
        back = replace(completed, status="PRIMARY", rollout_state="IN_PROGRESS", failed_tasks=0, updated_at=self._now)
        back.frozen, back.launch_at, back.launched = False, None, self.settings.desired
        who = "ECS deployment circuit breaker" if by_breaker else "ECS service deployment"
        back.rollout_reason = f"{who}: rolling back to deploymentId {completed.id}."
        self.deployments.insert(0, back)
        record.status, record.status_reason = "ROLLBACK_IN_PROGRESS", reason
        record.rollback_to, record.rollback_reason = completed.serial, reason
        record.rollback_at = record.updated_at = self._now
        self._steady = False

    def _drop_finished(self) -> None:
        kept = [self.primary]
        for old in self.deployments[1:]:
            if any(task.deployment_id == old.id and task.status != "STOPPED" for task in self.tasks.values()):
                kept.append(old)
            else:
                old.status = "INACTIVE"
        self.deployments = kept

    def _settle(self) -> None:
        if self.status == "DRAINING":
            if all(task.status == "STOPPED" for task in self.tasks.values()):
                self.status = "INACTIVE"
            return
        primary = self.primary
        own = [task for task in self.healthy() if task.deployment_id == primary.id]
        live = [task for task in self.tasks.values() if task.is_live]
        if len(self.deployments) > 1 or len(own) != self.settings.desired or len(live) != self.settings.desired:
            return
        if primary.rollout_state == "IN_PROGRESS" and not primary.frozen:
            primary.rollout_state = "COMPLETED"
            primary.rollout_reason = f"ECS deployment {primary.id} completed."
            primary.updated_at, primary.failed_tasks, primary.launch_at = self._now, 0, None
            self._last_completed = replace(primary)
            self._say(f"(deployment {primary.id}) deployment completed.")
            for record in self.service_deployments:
                if record.is_open:
                    back = record.status == "ROLLBACK_IN_PROGRESS"
                    record.status = "ROLLBACK_SUCCESSFUL" if back else "SUCCESSFUL"
                    record.finished_at = record.updated_at = self._now
                    if record.breaker_status == "MONITORING":
                        record.breaker_status = "MONITORING_COMPLETE"
        if not self._steady:
            self._steady = True
            self._say("has reached a steady state.")

    def _record_of(self, deployment: Deployment) -> ServiceDeployment | None:
        for record in self.service_deployments:
            if record.is_open and deployment.serial in (record.target, record.rollback_to):
                return record
        return None

    def _remember(self, history: Sequence[PastDeployment], now: datetime) -> None:
        previous: Deployment | None = None
        for past in history:
            deployment = self._new_deployment(past.revision, past.started_at)
            record = self._new_record(deployment, (previous.serial,) if previous else ())
            record.status, record.status_reason = past.status, past.reason
            end = past.started_at + timedelta(seconds=past.lasted)
            record.finished_at = record.updated_at = end
            if past.status == "STOPPED":
                record.stopped_at = end
            if record.breaker_status == "MONITORING":
                record.breaker_status = "MONITORING_COMPLETE"
            self.service_deployments.insert(0, record)
            if past.status == "SUCCESSFUL":
                deployment.rollout_state = "COMPLETED"
                deployment.rollout_reason = f"ECS deployment {deployment.id} completed."
                deployment.updated_at = end
                previous = deployment
        if previous is None:
            raise ValueError("a history needs one deployment that succeeded")
        self._now = previous.updated_at
        self.deployments = [previous]
        self._last_completed = replace(previous)
        for _ in range(self.settings.desired):
            task = self._launch(previous)
            begun = previous.created_at
            task.created_at, task.started_at = begun, begun + timedelta(seconds=TO_RUNNING)
            task.pull_started_at = begun + timedelta(seconds=TO_PENDING)
            task.pull_stopped_at = begun + timedelta(seconds=TO_ACTIVATING)
            task.status = "RUNNING"
            if self.settings.target_groups:
                task.target_state = "healthy"
        self._queue.clear()
        self._say(f"(deployment {previous.id}) deployment completed.")
        self._say("has reached a steady state.")
        self._steady = True
        self.advance(now)

    def _after(self, seconds: float, step: str, task: Task) -> None:
        self._order += 1
        heapq.heappush(self._queue, _Due(self._now + timedelta(seconds=seconds), self._order, step, task.id))

    def _say(self, message: str) -> None:
        self.events.insert(0, Event(self._uuid(), self._now, f"(service {self.name}) {message}"))
        del self.events[MAX_EVENTS:]

    def _hex(self, length: int) -> str:
        return f"{self._random.getrandbits(length * 4):0{length}x}"

    def _word(self, length: int) -> str:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
        return "".join(self._random.choice(alphabet) for _ in range(length))

    def _uuid(self) -> str:
        text = self._hex(32)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
