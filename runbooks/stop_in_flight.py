"""Stop the deployment in flight first, where that was asked for, and wait until it is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.aws.ecs import Ecs, Service, ServiceDeployment
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.clock import Deadline
from infraconsole.engine.gate import Gate
from infraconsole.engine.runbook import Offer, Probe, ProbeState, Step, StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import recovery, revisions, rollout, seen

STOP = "ecs:StopServiceDeployment"
LOOK_AGAIN = Offer("look-again", "Look at the service again, and choose again", back_to="look")
_STOPPING = {"stopped": True, "status": "STOP_REQUESTED", "changed": True}


class StopInFlight(Step):
    id = "stop-in-flight"
    title = "Stop the deployment in flight"
    why = "Only where it was asked for: ECS then returns the service to its last completed deployment."
    changes = True
    calls = (STOP,)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        if not self._wanted(context):
            return ()
        arn = context.result("look")["in_flight_arn"]
        return (
            rollout.ecs_command(context, "stop-service-deployment", service_deployment_arn=arn, stop_type="ROLLBACK"),
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        return recovery.gates(
            context,
            self,
            title=f"Stop the deployment of {context.result('look')['in_flight_of']} on {context.target}",
            changes=("ECS stops it and returns the service to its last completed deployment.",),
        )

    def probe(self, context: StepContext) -> Probe:
        if not self._wanted(context):
            return Probe(ProbeState.DONE, "Nothing is to be stopped.", {"stopped": False})
        if context.answered(STOP) is not None:
            return Probe(ProbeState.DONE, "AWS answered that the deployment is being stopped.", _STOPPING)
        known = _deployment_in_flight(context)
        if known is None:
            return Probe(ProbeState.NOT_VISIBLE, "The deployment in flight is not in the list of deployments.")
        if known.status not in seen.STOPPABLE:
            result = {
                "stopped": known.status != revisions.COMPLETED,
                "status": known.status,
                "changed": context.has_sent(),
            }
            return Probe(ProbeState.DONE, f"The deployment is {known.status}.", result)
        return Probe(ProbeState.NOT_DONE, f"The deployment is {known.status}.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        arn = context.result("look")["in_flight_arn"]
        context.change("ecs", "StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK")
        return _STOPPING

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"stopped": str(answer.get("serviceDeploymentArn") or "")}

    def offers(self) -> Sequence[Offer]:
        return (LOOK_AGAIN,)

    def _wanted(self, context: StepContext) -> bool:
        return context.result("check").get("in_flight") == seen.STOP_FIRST and bool(
            context.result("look")["in_flight_arn"]
        )


class Settle(Step):
    id = "settle"
    title = "Wait until it is stopped"
    why = "ECS stops a deployment in its own time; only then it is known what the update takes the place of."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        if not context.result("stop-in-flight").get("stopped"):
            return ()
        cluster, service = rollout.names(context)
        return (rollout.ecs_command(context, "list-service-deployments", cluster=cluster, service=service),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if not context.result("stop-in-flight").get("stopped"):
            return {}
        minutes = context.config.engine.watch_minutes
        visible = context.config.engine.visible_seconds
        deadline, unseen = Deadline(minutes * 60), Deadline(visible)
        while (known := _deployment_in_flight(context)) is None or known.status in seen.GOING:
            state = known.status if known else "not shown"
            if known is None and unseen.is_over():
                raise rollout.not_visible("the deployment that was stopped")
            unseen = unseen if known is None else Deadline(visible)
            if known is not None and deadline.is_over():
                raise StepFailed(
                    f"The deployment is {state} after {minutes:g} min.",
                    cause=known.reason,
                    mend="Retry to wait on, look again, or stop.",
                )
            context.progress(f"the deployment is {state}")
            context.wait(min(context.config.engine.poll_seconds, deadline.pause_seconds))
        service = self._after(context, known)
        ecs = Ecs(context.reads)
        current = ecs.task_definition(service.task_definition)
        context.note(f"The deployment is {known.status}; {service.name} is on {current.name}.")
        return {
            "current": current.arn,
            "current_name": current.name,
            **seen.as_seen(service, seen.deployments(context)),
            "diff": list(diff_lines(current, ecs.task_definition(context.result("choose")["arn"]))),
        }

    def _after(self, context: StepContext, stopped: ServiceDeployment) -> Service:
        """The service behind the stop. ECS may show it as it was for a while; where nothing was gone back to, it stays so."""
        looked = context.result("look")
        patience = Deadline(context.config.engine.settle_seconds)
        while True:
            service = rollout.current_service(context, seen.time_of(looked["as_of"]))
            primary = service.primary.id if service.primary else ""
            if primary != looked["primary"] or stopped.status == revisions.COMPLETED or patience.is_over():
                return service
            context.progress("AWS still shows the deployment that was stopped: looking again")
            context.wait(min(1.0, context.config.engine.poll_seconds))

    def offers(self) -> Sequence[Offer]:
        return (LOOK_AGAIN,)


def _deployment_in_flight(context: StepContext) -> ServiceDeployment | None:
    """The deployment that was in flight when the service was looked at, as it is now."""
    deployments = Ecs(context.reads).service_deployments(*rollout.names(context))
    return next((known for known in deployments if known.arn == context.result("look")["in_flight_arn"]), None)
