"""What other services say about the simulation: target health, alarms, logs. moto's own handlers are wrapped for it, so
that DescribeTargetHealth, DescribeAlarms and the log queries answer according to the tasks that run at that moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.elbv2.responses import ELBV2Response
from moto.logs.responses import LogsResponse

from infraconsole import naming
from infraconsole.world.ecs_api import EcsWorld, SimulatedService
from infraconsole.world.logs import LogWriter, follow_all, service_and_environment
from infraconsole.world.rollout import Task

_LOG_READERS = ("filter_log_events", "get_log_events", "describe_log_streams", "start_query", "get_query_results")


def install(world: EcsWorld, writer: LogWriter) -> None:
    """Wrap moto's handlers, for the rest of this process."""
    original = ELBV2Response.describe_target_health

    def describe_target_health(self: Any) -> ActionResult:
        with world.lock:
            service = world.behind_target_group(self.region, self._get_param("TargetGroupArn"))
            if service is None:
                answer: ActionResult = original(self)
                return answer
            wanted = {one["Id"] for one in self._get_param("Targets", []) or []}
            tasks = [task for task in service.sim.targets() if not wanted or task.ip in wanted]
            rows = [_target(self.region, service, task) for task in tasks]
            return ActionResult({"TargetHealthDescriptions": rows})

    ELBV2Response.describe_target_health = describe_target_health

    def before(handler: Callable[[Any], Any], prepare: Callable[[Any], None]) -> Callable[[Any], Any]:
        def wrapped(self: Any) -> Any:
            prepare(self)
            return handler(self)

        wrapped.__name__ = handler.__name__
        return wrapped

    def judge_alarms(self: Any) -> None:
        with world.lock:
            for service in world.all(self.region):
                _judge(world, service, self.cloudwatch_backend.alarms)

    every_alarm = CloudWatchResponse.describe_alarms

    def describe_alarms(self: Any) -> ActionResult:
        judge_alarms(self)
        answer: ActionResult = every_alarm(self)
        # moto takes the first filter it is given and forgets the others.
        state = self._get_param("StateValue")
        if state:
            found: Any = answer.result
            for kind in ("MetricAlarms", "CompositeAlarms"):
                found[kind] = [alarm for alarm in found[kind] if alarm.state_value == state]
        return answer

    CloudWatchResponse.describe_alarms = describe_alarms
    for name in _LOG_READERS:
        handler = getattr(LogsResponse, name)
        setattr(LogsResponse, name, before(handler, lambda self: follow_all(world, writer, self.region)))


def _target(region: str, service: SimulatedService, task: Task) -> dict[str, Any]:
    health = {"State": task.target_state}
    if task.target_reason:
        health |= {"Reason": task.target_reason, "Description": task.target_description}
    port = service.sim.settings.port
    zone = "abc"[int(task.ip.split(".")[2]) % 3]
    return {
        "Target": {"Id": task.ip, "Port": port, "AvailabilityZone": f"{region}{zone}"},
        "HealthCheckPort": str(port),
        "TargetHealth": health,
    }


def _judge(world: EcsWorld, service: SimulatedService, alarms: dict[str, Any]) -> None:
    prefix = naming.alarm_prefix(*service_and_environment(service))
    sim = service.sim
    looping = sim.primary.failed_tasks >= 3
    down = sim.settings.desired > 0 and not sim.healthy()
    for name, bad, figures, threshold in (
        (f"{prefix}alb-5xx-high", down and looping, "412.0, 387.0", "10.0"),
        (f"{prefix}cpu-high", looping, "93.1, 95.4", "80.0"),
    ):
        alarm = alarms.get(name)
        state = "ALARM" if bad else "OK"
        if alarm is None or alarm.state_value == state:
            continue
        if bad:
            reason = (
                f"Threshold Crossed: 2 out of the last 2 datapoints [{figures}] were greater than the threshold "
                f"({threshold}) (minimum 2 datapoints for OK -> ALARM transition)."
            )
        else:
            reason = (
                f"Threshold Crossed: 2 out of the last 2 datapoints [3.0, 1.0] were not greater than the threshold "
                f"({threshold}) (minimum 1 datapoint for ALARM -> OK transition)."
            )
        alarm.update_state(reason, "{}", state)
        alarm.state_updated_timestamp = world.now().astimezone(UTC).replace(tzinfo=None)
