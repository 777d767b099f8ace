"""A rollout as it happens, for every runbook that starts one: deployments, tasks, events, targets, the health path.

What AWS means by its states is from the Amazon ECS API reference (Deployment, Task) and that of Elastic Load Balancing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from infraconsole import naming, text
from infraconsole.aws.ecs import Deployment, Ecs, Service, ServiceEvent, Shifting, Task
from infraconsole.aws.elb import ClassicElb
from infraconsole.aws.elbv2 import Elbv2, TargetHealth
from infraconsole.checks import http_health
from infraconsole.checks.controllers import instead, refusal, stage_words
from infraconsole.checks.stopped import why_stopped
from infraconsole.clock import Deadline
from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.engine.runbook import StepContext, aws_command
from infraconsole.errors import AccessDenied, NotVisibleYet, OtherTool, StepFailed
from infraconsole.runbooks import traffic
from infraconsole.runbooks.stops import Stops, counted, plain

_TROUBLE = ("unable", "fail", "unhealthy", "error")
"""What an event of ECS says that is worth saying once, however often it comes."""
GOES_ON = "ECS goes on with the rollout: interrupting stops only the watching."
"""Of every step that watches one."""
_UNREACHABLE = 3
"""How often a health path that never answers is asked before its address counts as one that cannot be reached from here."""


def look_commands(context: StepContext) -> Sequence[Sequence[str]]:
    """How a person would watch it."""
    cluster, service = names(context)
    return (
        ecs_command(context, "describe-services", cluster=cluster, services=service),
        ecs_command(context, "list-tasks", cluster=cluster, service_name=service, desired_status="STOPPED"),
    )


@dataclass(frozen=True)
class Ours:
    """The deployment that is watched: of `definition` (ARN), by its `id` from the answer of the call that made it. Where that
    answer was lost `id` is "", and it is the one of that definition which is not among those `before`.

    `since` is the newest time of AWS's own that is known of the service: an answer that is older shows less than was seen already.
    `bakes` says until when both versions run behind a shift of traffic, "" where nothing of the kind is awaited.
    """

    definition: str
    id: str = ""
    before: tuple[str, ...] = ()
    since: datetime | None = None
    bakes: str = ""

    def found_in(self, service: Service) -> Deployment | None:
        if self.id:
            return service.deployment(self.id)
        known = [each for each in service.deployments if each.task_definition == self.definition]
        return next((each for each in known if each.id not in self.before), None)


def watch(context: StepContext, ours: Ours) -> Ours:
    """Until ECS says COMPLETED of our deployment, and of no other, or until all traffic is shifted to it; what is known of it then.
    Raises StepFailed where ECS gives it up, somebody replaces it, or the time is over, and NotVisibleYet where ECS never showed
    it."""
    rollout = Rollout(context, ours)
    minutes = context.config.engine.watch_minutes
    deadline, patience = Deadline(minutes * 60), Deadline(context.config.engine.settle_seconds)
    seen = False
    while True:
        service = rollout.look(deadline.left_seconds)
        found = ours.found_in(service) if service else None
        waited = patience.is_over()
        if found is not None:
            seen = True
            shifting = traffic.current(context, service) if service else None
            if shifting is not None and shifting.task_definition == ours.definition:
                if traffic.gave_up(shifting):
                    raise rollout.failed(f"ECS gave the deployment of {short(ours.definition)} up: {shifting.reason}")
                if shifting.status == "SUCCESSFUL":
                    return replace(ours, id=found.id, since=rollout.since)
                if service and (until := rollout.shifted(service, shifting)):
                    return replace(ours, id=found.id, since=rollout.since, bakes=until)
            if found.rollout_state == "FAILED":
                raise rollout.failed(f"ECS gave the deployment of {short(ours.definition)} up: {found.rollout_reason}")
            if found.status != "PRIMARY":
                raise rollout.replaced(service)
            if found.rollout_state == "COMPLETED":
                return replace(ours, id=found.id, since=rollout.since)
            if verdict := rollout.verdict():
                raise rollout.failed(f"{short(ours.definition)} is not stable, and cannot start: {verdict}.")
        elif service is not None and (seen or waited):
            raise rollout.replaced(service)
        if deadline.is_over():
            if seen:
                raise rollout.failed(f"{short(ours.definition)} is not stable after {minutes:g} min.")
            raise not_visible(f"the deployment of {short(ours.definition)}")
        context.wait(min(context.config.engine.poll_seconds, deadline.pause_seconds))


def is_older(service: Service, since: datetime | None) -> bool:
    """Whether that answer shows less than was known of the service already. Answers come from copies of different age (the ECS API
    is eventually consistent), and only AWS's own times are compared."""
    return since is not None and (service.as_of is None or service.as_of < since)


def current_service(context: StepContext, since: datetime | None) -> Service:
    """The service as of `since` at least. Raises NotVisibleYet where ECS does not show that in time."""
    patience = Deadline(context.config.engine.visible_seconds)
    while is_older(service := Ecs(context.reads).service(*names(context)), since):
        if patience.is_over():
            raise not_visible(f"what {service.name} became at {since}")
        context.progress("AWS still shows the service as it was before: looking again")
        context.wait(min(1.0, context.config.engine.poll_seconds))
    return service


def not_visible(what: str, mend: str = "Look at the service.") -> NotVisibleYet:
    return NotVisibleYet(f"AWS does not show {what}.", mend=mend)


def verify(context: StepContext, ours: Ours) -> str:
    """The service on our definition, its deployment completed, its targets healthy, its health path answering: what that said.
    Raises StepFailed, and NotVisibleYet."""
    service = current_service(context, ours.since)
    if service.task_definition != ours.definition:
        raise StepFailed(
            f"{service.name} is on {short(service.task_definition)}, not on {short(ours.definition)}.",
            cause="A circuit breaker, a deployment or a person put it there.",
            mend="Look at the service's events, then roll back again.",
        )
    shifting = traffic.current(context, service)
    is_shifted = shifting is not None and shifting.task_definition == ours.definition and shifting.has_shifted
    if not is_shifted and (service.primary is None or service.primary.rollout_state != "COMPLETED"):
        raise StepFailed(
            f"The deployment of {short(ours.definition)} is not completed any more.", mend="Retry, and watch it again."
        )
    await_targets(context, service, shifting)
    health = await_health(context, service)
    context.note(f"{service.name} runs {service.running} of {service.desired} tasks on {short(ours.definition)}.")
    if is_shifted and shifting is not None and shifting.status != "SUCCESSFUL":
        context.note(
            f"All traffic is on {short(ours.definition)}; {stage_words(shifting)}. ECS still goes back by itself until then if an "
            "alarm or a hook says so; the board and Containers show it.",
            warning=True,
        )
    return health


def refuse_other_controller(service: Service) -> None:
    """Raises OtherTool for a service that ECS does not deploy: it would refuse the update."""
    if not service.deploying.by_ecs:
        raise OtherTool(refusal(service), cause="Nothing was sent.", mend=instead(service))


class Rollout:
    """What was seen of a rollout so far, so that only what is new is said."""

    def __init__(self, context: StepContext, ours: Ours) -> None:
        self._context = context
        self._ecs = Ecs(context.reads)
        self._elbv2 = Elbv2(context.reads)
        self._ours = ours
        self.since = ours.since
        """The newest time of AWS's own that was seen."""
        self._began: datetime | None = None
        """Since when what happens is said: AWS's time, since ours may be off."""
        self._events: set[str] = set()
        self._said: dict[str, int] = {}
        """How often an event of trouble came, by its words."""
        self._stops = Stops(ours.definition)
        self._running: Sequence[Task] = ()
        self._looks = 0
        self._tasks: dict[str, str] = {}
        self._targets: dict[str, str] = {}

    def look(self, left_seconds: float | None = None) -> Service | None:
        """The service; None where the answer is older than what was seen already, and tells nothing. `left_seconds`: of the time
        for which it is watched."""
        cluster, name = names(self._context)
        service = self._ecs.service(cluster, name)
        if is_older(service, self.since):
            self._context.progress("AWS still shows the service as it was before: looking again")
            return None
        self.since = service.as_of
        if self._began is None:
            found = self._ours.found_in(service)
            self._began = found.created_at if found else service.as_of
        self._say_events(service)
        self._running = self._ecs.tasks(cluster, name, desired_status="RUNNING")
        self._say_tasks(self._running)
        stopped = self._ecs.tasks(cluster, name, desired_status="STOPPED")
        self._take_in_stopped(stopped)
        self._say_tasks(stopped)
        healths = [health for group in service.target_groups for health in self._elbv2.target_health(group)]
        self._say_targets(healths)
        deployment = service.primary
        if deployment:
            draining = sum(health.state == "draining" for health in healths)
            healthy = sum(health.state == "healthy" for health in healths)
            left = f"; watched for {text.duration(left_seconds)} more" if left_seconds is not None else ""
            self._context.progress(
                f"{deployment.running} of {deployment.desired} tasks run, {healthy} targets healthy, {draining} draining, "
                f"{deployment.failed} tasks failed; {deployment.rollout_state}{left}",
                running=deployment.running,
                desired=deployment.desired,
                failed=deployment.failed,
                healthy=healthy,
                draining=draining,
            )
        return service

    def shifted(self, service: Service, shifting: Shifting) -> str:
        """Until when both versions run, once all traffic goes to the new one; "" before, and where there is no such time."""
        weights = traffic.receiving(self._context, service)
        goes = f" ({traffic.words(weights)})" if weights else ""
        self._context.progress(f"{stage_words(shifting)}{goes}")
        if shifting.stage != "BAKE_TIME" or not traffic.is_on(weights, traffic.groups_of(service, shifting)):
            return ""
        until = shifting.bakes_until
        return until.isoformat() if until else shifting.stage

    def verdict(self) -> str:
        """Why the revision will never run, "" where it may."""
        # Where nothing happens, AWS writes no new time. A clock of ours that is ahead only puts the verdict off.
        return self._stops.verdict(self._running, max(filter(None, (self.since, self._context.now()))))

    def _take_in_stopped(self, stopped: Sequence[Task]) -> None:
        self._stops.began = self._began
        self._stops.add(stopped)
        self._looks += 1
        # Who watches on after a verdict wants to know what comes now: the cause may be fixed.
        if self._looks == 1 and self.verdict() and self._context.answer(FAILURE_GATE, here=True) == "retry":
            self._stops.forget()

    def replaced(self, service: Service | None) -> StepFailed:
        now = f": {short(service.task_definition)} is" if service else ""
        return self.failed(f"Our deployment is no longer the primary one{now}.")

    def failed(self, title: str) -> StepFailed:
        cluster, name = names(self._context)
        stopped = self._ecs.tasks(cluster, name, desired_status="STOPPED")
        reasons = counted(why_stopped(task) for task in stopped if task.task_definition == self._ours.definition)[:5]
        service = self._ecs.service(cluster, name)
        events = counted(event.message for event in service.events[:10])[:5]
        return StepFailed(
            title, cause="\n".join([*reasons, *events]), mend="Retry to watch on, go another way, or stop."
        )

    def _say_events(self, service: Service) -> None:
        for event in reversed(service.events):
            if event.id not in self._events and self._is_new(event.at):
                times = self._said[plain(event.message)] = self._said.get(plain(event.message), 0) + 1
                again = times > 1 and any(word in event.message for word in _TROUBLE)
                self._context.output(f"{event_time(event)}the same again ({times} ×)" if again else event_line(event))
            self._events.add(event.id)

    def _is_new(self, at: datetime | None) -> bool:
        return at is not None and (self._began is None or at >= self._began)

    def _say_tasks(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            known = self._tasks.get(task.id)
            if known == task.last_status:
                continue
            self._tasks[task.id] = task.last_status
            if known is None and task.last_status == "STOPPED" and not self._is_new(task.stopped_at):
                continue
            self._context.output(
                f"task {task.id[-8:]} of {short(task.task_definition)} is {task.last_status}{self._why(task)}"
            )

    def _why(self, task: Task) -> str:
        """In full the first time that a reason comes."""
        if task.last_status != "STOPPED":
            return ""
        why = why_stopped(task)
        times = self._said[plain(why)] = self._said.get(plain(why), 0) + 1
        return f": {why}" if times == 1 else f", for the same reason ({times} ×)"

    def _say_targets(self, healths: Sequence[TargetHealth]) -> None:
        for health in healths:
            state = f"{health.state} ({health.reason})" if health.reason else health.state
            if self._targets.get(health.key) != state:
                self._targets[health.key] = state
                of = f" of {health.group}" if len({each.group for each in healths}) > 1 else ""
                self._context.output(f"target {health.target_id}:{health.port}{of} is {state}")


def names(context: StepContext) -> tuple[str, str]:
    target = context.target
    return naming.cluster(target.service, target.environment), naming.ecs_service(target.service, target.environment)


def ecs_command(context: StepContext, verb: str, /, **options: object) -> tuple[str, ...]:
    """The AWS CLI's equivalent of a call to ECS."""
    profile = context.config.environment(context.target.environment).profile
    return aws_command(context.target, profile, "ecs", verb, **options)


def short(arn: str) -> str:
    return arn.rpartition("/")[2]


def event_line(event: ServiceEvent) -> str:
    return f"{event_time(event)}{event.message}"


def event_time(event: ServiceEvent) -> str:
    return f"{text.utc(event.at)} " if event.at else ""


def await_targets(context: StepContext, service: Service, shifting: Shifting | None = None) -> None:
    """Until as many targets are healthy as tasks are desired, behind every load balancer; draining ones do not count against it. Of
    two groups that take turns, the one counts to which the traffic goes."""
    deadline = Deadline(context.config.engine.watch_minutes * 60)
    weights = traffic.receiving(context, service) or {}
    live = traffic.groups_of(service, shifting) or tuple(group for group, weight in weights.items() if weight > 0)
    for binding in service.load_balancers:
        groups = [group for group in binding.groups if group in live] or list(binding.groups)
        while True:
            healths = [health for group in groups for health in Elbv2(context.reads).target_health(group)]
            healthy = sum(health.state == "healthy" for health in healths)
            spared = ("healthy", "draining", *(("unused",) if len(groups) > 1 else ()))
            bad = [health for health in healths if health.state not in spared]
            if healthy >= service.desired and not bad:
                break
            if deadline.is_over():
                states = "; ".join(f"{health.target_id} {health.state}: {health.description}" for health in bad)
                raise StepFailed(
                    f"Only {healthy} of {service.desired} targets are healthy.",
                    cause=states,
                    mend="Look at the tasks' logs.",
                )
            context.progress(f"{healthy} of {service.desired} targets are healthy")
            context.wait(min(context.config.engine.poll_seconds, deadline.pause_seconds))
    for name in service.classic_load_balancers:
        _await_instances(context, service, name, deadline)


def _await_instances(context: StepContext, service: Service, name: str, deadline: Deadline) -> None:
    """Until all instances that a Classic Load Balancer has are in service, and it has any where tasks are desired."""
    while True:
        try:
            healths = ClassicElb(context.reads).instance_health(name)
        except AccessDenied as error:
            context.note(
                f"Whether the Classic Load Balancer {name} finds the tasks healthy was not read: {error.title}",
                warning=True,
            )
            return
        bad = [health for health in healths if health.state != "InService"]
        if not bad and (healths or not service.desired):
            context.note(f"All {len(healths)} instances of the Classic Load Balancer {name} are in service.")
            return
        if deadline.is_over():
            states = "; ".join(f"{health.instance_id} {health.state}: {health.description}" for health in bad)
            raise StepFailed(
                f"{len(bad)} of {len(healths)} instances of the Classic Load Balancer {name} are not in service.",
                cause=states or "No instance is registered with it.",
                mend="Look at the tasks' logs.",
            )
        context.progress(f"{len(healths) - len(bad)} of {len(healths)} instances of {name} are in service")
        context.wait(min(context.config.engine.poll_seconds, deadline.pause_seconds))


def await_health(context: StepContext, service: Service) -> str:
    """What the health path said behind each load balancer: several healthy answers in a row. An address that cannot be found, or
    from which nothing ever came back, is a warning: an internal load balancer answers only within its network."""
    if not service.desired:
        context.note("The desired count is 0: no task runs that could answer on the health path.", warning=True)
        return "not asked"
    path = context.config.environment(context.target.environment).health_path
    elbv2 = Elbv2(context.reads)
    addresses = dict.fromkeys(
        address for binding in service.load_balancers if (address := elbv2.health_address(binding.target_group_arn))
    )
    if not addresses:
        how = (
            "Other services reach it by Service Connect"
            if service.service_connect
            else "No load balancer leads to this service"
        )
        context.note(f"{how}: its health path was not asked.", warning=True)
        return "not asked"
    urls = dict.fromkeys(urlsplit(address)._replace(path=path, query="").geturl() for address in addresses)
    return "; ".join(_await_answer(context, url) for url in urls)


def _await_answer(context: StepContext, url: str) -> str:
    wanted = context.config.engine.health_checks
    deadline = Deadline(context.config.engine.watch_minutes * 60)
    in_a_row, said, asked, answered = 0, "", 0, False
    while in_a_row < wanted:
        answer = http_health.ask(url)
        in_a_row = in_a_row + 1 if answer.healthy else 0
        asked, answered = asked + 1, answered or answer.status is not None
        if asked >= _UNREACHABLE and not answered:
            context.note(f"{answer}; its health path was not asked. Its targets are healthy.", warning=True)
            return "not reachable"
        if str(answer) != said:
            said = str(answer)
            context.output(said)
        if deadline.is_over():
            raise StepFailed(f"The health path is not healthy: {answer}", mend="Look at the application's log.")
        if in_a_row < wanted:
            context.wait(min(1.0, context.config.engine.poll_seconds, deadline.pause_seconds))
    context.note(f"{answer}, {wanted} times in a row.")
    return str(answer)
