"""Roll an ECS service back to an earlier revision of its task definition.

Reads top to bottom like the procedure: look, choose, check, stop what is in flight (if asked to) and wait until it is, update,
watch, verify, follow up. What AWS means by its states is from the Amazon ECS API reference (Deployment, ServiceDeployment, Task).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infraconsole import naming, text
from infraconsole.aws.ecs import (
    Deployment,
    Ecs,
    Service,
    ServiceDeployment,
    parse_service,
)
from infraconsole.aws.elbv2 import Elbv2
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.clock import Deadline
from infraconsole.engine import policy
from infraconsole.engine.gate import Choice, Gate, GateKind, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import (
    Input,
    Offer,
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    aws_command,
)
from infraconsole.errors import AwsError, PrerequisiteMissing, StepFailed
from infraconsole.runbooks import recovery, revisions, rollout
from infraconsole.terraform import tfvars

SUPERSEDE = "supersede"
STOP_FIRST = "stop-first"
STOP = "ecs:StopServiceDeployment"
UPDATE = "ecs:UpdateService"

_STOPPABLE = ("PENDING", "IN_PROGRESS")
_GOING = (*_STOPPABLE, "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
"""The states of a service deployment that has not ended."""
_STOPPING = {"stopped": True, "status": "STOP_REQUESTED", "changed": True}
_NOT_LISTED = "ecs:ListServiceDeployments, which names the deployment to stop, cannot be read"
_NONE_LISTED = "ecs:ListServiceDeployments shows no deployment that could be stopped"
_ANOTHER = Offer("another-revision", "Choose another revision", back_to="look")
_LOOK_AGAIN = Offer("look-again", "Look at the service again, and choose anew", back_to="look")


class Look(Step):
    id = "look"
    title = "Look at the service"
    why = "What runs, what is being deployed, and which earlier revisions are known to have worked."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        cluster, service = rollout.names(context)
        return (
            _aws(context, "describe-services", cluster=cluster, services=service),
            _aws(context, "list-service-deployments", cluster=cluster, service=service),
            _aws(context, "list-task-definitions", family_prefix=revisions.family_of(context), sort="DESC"),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        ecs = Ecs(context.reads)
        service, deployments = _service_and_deployments(context)
        current = ecs.task_definition(service.task_definition)
        context.note(
            f"{service.name} runs {service.running} of {service.desired} tasks on {current.name} ({current.image_tag})."
        )
        _say_in_flight(context, service)
        context.output(*(rollout.event_line(event) for event in reversed(service.events[:8])))
        _say_targets(context, service)
        candidates = revisions.candidates(context, ecs, current, deployments or ())
        in_flight = service.in_flight
        listed = next((known for known in deployments or () if known.status in _STOPPABLE), None)
        # One that is only about to begin stands in the list before the service itself shows it.
        begins = listed.arn if listed and listed.status == "PENDING" else ""
        of = in_flight.task_definition if in_flight else listed.task_definition if begins and listed else ""
        return {
            "current": current.arn,
            "current_name": current.name,
            "current_image": revisions.main_image(current),
            **_as_seen(service, deployments),
            "in_flight": in_flight.id if in_flight else begins,
            "in_flight_of": rollout.short(of),
            "in_flight_arn": listed.arn if listed else "",
            "candidates": candidates,
            "last_known_good": revisions.last_known_good(context, current, candidates),
        }


class Choose(Step):
    id = "choose"
    title = "Choose the revision"
    why = "The newest earlier revision with a completed deployment, unless you say another. Never simply minus one."

    def gates(self, context: StepContext) -> Sequence[Gate]:
        if _set_revision(context) or not (context.interactive or context.given("revision")):
            return ()
        looked = context.result("look")
        choices = tuple(revisions.choice(candidate, looked["last_known_good"]) for candidate in looked["candidates"])
        if not choices:
            raise StepFailed(
                f"There is no revision before {looked['current_name']}.", mend="Deploy a good image instead."
            )
        return (
            Gate(
                "revision",
                GateKind.CHOOSE,
                f"Which revision shall {context.target.name} go back to from {looked['current_name']}?",
                choices=choices,
            ),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        looked = context.result("look")
        wanted = context.answer("revision") or _set_revision(context) or looked["last_known_good"]
        if not wanted:
            raise StepFailed(
                f"No revision before {looked['current_name']} is known to have worked.",
                cause="None has a completed deployment or a run in the journal.",
                mend="Name one: --set revision=NUMBER.",
            )
        ecs = Ecs(context.reads)
        target = ecs.task_definition(revisions.reference(context, wanted, looked))
        current = ecs.task_definition(looked["current"])
        if target.arn == current.arn:
            what = "its rollout is watched" if looked["in_flight"] else "it is verified"
            context.note(f"{context.target.name} is on {target.name} already: nothing is sent, {what}.", warning=True)
        context.note(f"{context.target.name} goes from {current.name} to {target.name} ({target.image_tag}).")
        diff = diff_lines(current, target)
        context.output(*diff)
        context.evidence(f"diff of {current.name} and {target.name}", "\n".join(diff))
        return {
            "arn": target.arn,
            "name": target.name,
            "image": revisions.main_image(target),
            "tag": target.image_tag,
            "diff": list(diff),
        }


class Check(Step):
    id = "check"
    title = "Check the revision"
    why = "An INACTIVE revision is refused by ECS, and lifecycle policies delete images that old revisions need."

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        if not looked["in_flight"] or context.inputs["in-flight"] == STOP_FIRST:
            return ()
        unreadable = looked["deployments"] is None
        if not looked["in_flight_arn"] and not context.given("in-flight"):
            return ()
        nothing = "" if looked["in_flight_arn"] else _NONE_LISTED
        if not (context.interactive or context.given("in-flight")):
            return ()
        return (
            Gate(
                "in-flight",
                GateKind.CHOOSE,
                f"A deployment of {looked['in_flight_of']} is in flight. What shall happen to it?",
                choices=(
                    Choice(
                        SUPERSEDE,
                        "Let the rollback take its place",
                        ("UpdateService starts a new deployment at once; ECS drains the one in flight.",),
                        recommended=True,
                    ),
                    Choice(
                        STOP_FIRST,
                        "Stop it first, with ECS's own rollback",
                        ("StopServiceDeployment returns the service to its last completed deployment first.",),
                        why_not=_NOT_LISTED if unreadable else nothing,
                    ),
                ),
            ),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        chosen = context.result("choose")
        if context.inputs["in-flight"] == STOP_FIRST and context.result("look")["deployments"] is None:
            raise StepFailed(
                "Whether a deployment is to be stopped first is not known.",
                cause=f"Nothing was sent: {_NOT_LISTED}.",
                mend="Get the permission ecs:ListServiceDeployments and look again, or start a run with "
                f"--set in-flight={SUPERSEDE}.",
            )
        definition = Ecs(context.reads).task_definition(chosen["arn"])
        if definition.status != "ACTIVE":
            raise StepFailed(
                f"{definition.name} is {definition.status}.",
                cause="ECS starts no service on a revision that is not ACTIVE.",
                mend="Choose another revision.",
            )
        for container in definition.containers:
            revisions.check_image(context, container.image, essential=container.essential)
        if chosen["image"] == context.result("look")["current_image"]:
            context.note(f"{definition.name} has the same image as the revision it replaces.", warning=True)
        return {"in_flight": context.answer("in-flight") or context.inputs["in-flight"]}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER, _LOOK_AGAIN)


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
        return (_aws(context, "stop-service-deployment", service_deployment_arn=arn, stop_type="ROLLBACK"),)

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
        if known.status not in _STOPPABLE:
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
        return (_LOOK_AGAIN,)

    def _wanted(self, context: StepContext) -> bool:
        return context.result("check").get("in_flight") == STOP_FIRST and bool(context.result("look")["in_flight_arn"])


class Settle(Step):
    id = "settle"
    title = "Wait until it is stopped"
    why = "ECS stops a deployment in its own time; only then it is known what the update takes the place of."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        if not context.result("stop-in-flight").get("stopped"):
            return ()
        cluster, service = rollout.names(context)
        return (_aws(context, "list-service-deployments", cluster=cluster, service=service),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if not context.result("stop-in-flight").get("stopped"):
            return {}
        minutes = context.config.engine.watch_minutes
        visible = context.config.engine.visible_seconds
        deadline, unseen = Deadline(minutes * 60), Deadline(visible)
        while (known := _deployment_in_flight(context)) is None or known.status in _GOING:
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
            **_as_seen(service, _deployments(context)),
            "diff": list(diff_lines(current, ecs.task_definition(context.result("choose")["arn"]))),
        }

    def _after(self, context: StepContext, stopped: ServiceDeployment) -> Service:
        """The service behind the stop. ECS may show it as it was for a while; where nothing was gone back to, it stays so."""
        looked = context.result("look")
        patience = Deadline(context.config.engine.settle_seconds)
        while True:
            service = rollout.current_service(context, _time(looked["as_of"]))
            primary = service.primary.id if service.primary else ""
            if primary != looked["primary"] or stopped.status == revisions.COMPLETED or patience.is_over():
                return service
            context.progress("AWS still shows the deployment that was stopped: looking again")
            context.wait(min(1.0, context.config.engine.poll_seconds))

    def offers(self) -> Sequence[Offer]:
        return (_LOOK_AGAIN,)


class Update(Step):
    id = "update"
    title = "Update the service"
    why = "The one change: UpdateService with the chosen revision, and nothing else in the service touched."
    changes = True
    calls = (UPDATE,)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        cluster, service = rollout.names(context)
        return (
            _aws(
                context,
                "update-service",
                cluster=cluster,
                service=service,
                task_definition=context.result("choose")["name"],
            ),
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        seen, chosen = _seen(context), context.result("choose")
        return recovery.gates(
            context,
            self,
            title=f"Roll {context.target} back from {seen['current_name']} to {chosen['name']}",
            changes=(
                f"{context.target.name} gets a new deployment of {chosen['name']} ({chosen['tag']}).",
                *seen.get("diff", chosen["diff"]),
                f"Old code meets today's schema: think of migrations since {chosen['name']} was registered.",
            ),
            irreversible=("Connections of the tasks that are replaced are drained, then cut.",),
        )

    def probe(self, context: StepContext) -> Probe:
        if (made := context.answered(UPDATE)) is not None:
            return Probe(ProbeState.DONE, "AWS answered that the service is updated.", self._result(context, made))
        seen, chosen = _seen(context), context.result("choose")
        # Before the service itself: a call may land between the two, and of one in the list the service then knows already.
        sent = context.unanswered() is not None
        listed = _deployments(context) if sent else ()
        service = Ecs(context.reads).service(*rollout.names(context))
        if rollout.is_older(service, _time(seen["as_of"])):
            return Probe(
                ProbeState.NOT_VISIBLE, "AWS shows an older state of the service than the one that was looked at."
            )
        ours = rollout.Ours(chosen["arn"], before=tuple(seen["known"]))
        if service.task_definition == chosen["arn"]:
            found = service.primary
            return Probe(ProbeState.DONE, f"{service.name} is on {chosen['name']}.", self._found(context, found))
        if sent and (found := ours.found_in(service)) is not None:
            return Probe(ProbeState.DONE, f"A deployment of {chosen['name']} was made.", self._found(context, found))
        if (made_then := _made_since(listed or (), seen, chosen["arn"])) is not None:
            at = made_then.created_at.isoformat() if made_then.created_at else ""
            made = {"deployment": "", "at": at, "task_definition": chosen["arn"]}
            return Probe(ProbeState.DONE, f"A deployment of {chosen['name']} was made.", self._result(context, made))
        deployment = service.primary.id if service.primary else ""
        if (service.task_definition, deployment) != (seen["current"], seen["primary"]):
            since = text.ago(service.primary.created_at, context.now()) if service.primary else "-"
            more = " The permission ecs:ListServiceDeployments would tell whether ours was made first."
            return Probe(
                ProbeState.OVERTAKEN,
                f"{service.name} is on {rollout.short(service.task_definition)} since {since} (deployment {deployment}); "
                f"{seen['current_name']} (deployment {seen['primary']}) was looked at.{more if listed is None else ''}",
                back_to="look",
            )
        return Probe(ProbeState.NOT_DONE, f"{service.name} is on {rollout.short(service.task_definition)}.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        cluster, name = rollout.names(context)
        revision = context.result("choose")["arn"]
        context.change("ecs", "UpdateService", cluster=cluster, service=name, taskDefinition=revision)
        return self._result(context, context.answered(UPDATE) or {})

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The deployment, as the answer itself names it: a look afterwards may show the service as it was."""
        raw = answer.get("service")
        primary = parse_service(raw).primary if isinstance(raw, Mapping) else None
        if primary is None:
            return {}
        at = primary.created_at.isoformat() if primary.created_at else ""
        return {"deployment": primary.id, "at": at, "task_definition": primary.task_definition}

    def _found(self, context: StepContext, found: Deployment | None) -> Mapping[str, Any]:
        at = found.created_at.isoformat() if found and found.created_at else ""
        result = {"deployment": found.id if found else "", "at": at, "revision": context.result("choose")["arn"]}
        return {**result, "changed": context.has_sent()}

    def _result(self, context: StepContext, made: Mapping[str, Any]) -> Mapping[str, Any]:
        revision = context.result("choose")["arn"]
        is_ours = made.get("task_definition") == revision
        deployment, at = (made["deployment"], made["at"]) if is_ours else ("", "")
        return {"deployment": deployment, "at": at, "revision": revision, "changed": True}

    def offers(self) -> Sequence[Offer]:
        return (_LOOK_AGAIN,)


class Watch(Step):
    id = "watch"
    title = "Watch the rollout"
    goes_on = rollout.GOES_ON
    why = "ECS says COMPLETED only when the new tasks run and their targets are healthy; until then nothing is won."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return rollout.look_commands(context)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        updated = context.result("update")
        ours = rollout.watch(
            context,
            rollout.Ours(
                context.result("choose")["arn"],
                updated.get("deployment", ""),
                before=tuple(_seen(context)["known"]) if updated.get("changed") else (),
                since=_time(updated.get("at", "")),
            ),
        )
        return {"deployment": ours.id, "as_of": ours.since.isoformat() if ours.since else ""}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


class Verify(Step):
    id = "verify"
    title = "Verify"
    goes_on = rollout.GOES_ON
    why = "Success: our deployment completed, the service on the revision, its targets healthy, its health path answering."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        watched, definition = context.result("watch"), context.result("choose")["arn"]
        ours = rollout.Ours(definition, watched.get("deployment", ""), since=_time(watched.get("as_of", "")))
        return {"task_definition": definition, "health": rollout.verify(context, ours)}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


class FollowUp(Step):
    id = "follow-up"
    title = "Check what Terraform's next apply would do"
    why = "The next apply deploys the image that the tfvars name: until they name this one, the rollback is borrowed."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if context.result("update") == {}:
            return {"pinned": False}
        tag = context.result("choose")["tag"]
        relative = naming.tfvars_path(context.target.environment)
        path = context.config.tfvars_of(context.target.service, context.target.environment)
        title = f"Pin image_tag in {relative} of {context.target.service}"
        if not tag:
            context.note(
                "The image has no tag to pin; Terraform's next apply may bring the old image back.", warning=True
            )
            return {"pinned": False}
        if path is None:
            detail = f'image_tag = "{tag}"'
            context.follow_up("pin-image-tag", title, detail=detail, key="image_tag", value=tag)
            context.note(
                f"The repository of {context.target.service} is not configured; set {detail} in {relative} by hand.",
                warning=True,
            )
            return {"pinned": False}
        try:
            if tfvars.read(path).get("image_tag") == tag:
                context.note(f"{path} names {tag} already.")
                return {"pinned": True}
            edit = tfvars.edit(path, "image_tag", tag)
        except PrerequisiteMissing as error:
            context.follow_up(
                "pin-image-tag", title, detail=f'image_tag = "{tag}"', file=str(path), key="image_tag", value=tag
            )
            context.note(f"{error.title} {error.cause}".strip(), warning=True)
            return {"pinned": False}
        context.follow_up(
            "pin-image-tag", title, detail="\n".join(edit.as_diff()), file=str(path), key="image_tag", value=tag
        )
        return {"pinned": False}


RUNBOOK = Runbook(
    name="ecs-rollback",
    title="Roll an ECS service back",
    summary="Return a service to an earlier revision of its task definition, watch it go healthy, and say how to make it last.",
    purpose=Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "the service, as in fileflow", required=True),
        Input("environment", "environment", "the environment, as in prod", required=True),
        Input("revision", "text", "a revision number or a task definition ARN; default: the last known good one"),
        recovery.REASON,
        Input(
            "in-flight",
            "choice",
            "what happens to a deployment in flight",
            default=SUPERSEDE,
            choices=(SUPERSEDE, STOP_FIRST),
        ),
    ),
    gates=(
        GateSpec("revision", GateKind.CHOOSE, "which revision to go back to, where none is set"),
        GateSpec("in-flight", GateKind.CHOOSE, "what happens to a deployment in flight"),
        *policy.GATES,
        policy.FAILURE,
    ),
    steps=(Look(), Choose(), Check(), StopInFlight(), Settle(), Update(), Watch(), Verify(), FollowUp()),
)


def _set_revision(context: StepContext) -> str:
    """The revision that was set for the run. Once the run went back, it is chosen anew: the set one is what did not work."""
    return "" if context.former("choose") else context.inputs.get("revision", "")


def _seen(context: StepContext) -> Mapping[str, Any]:
    """The service as it was last looked at before the update."""
    return {**context.result("look"), **context.result("settle")}


def _as_seen(service: Service, deployments: Sequence[ServiceDeployment] | None) -> Mapping[str, Any]:
    """What a later look is compared with. `deployments` is None where the history could not be read."""
    return {
        "primary": service.primary.id if service.primary else "",
        "known": [known.id for known in service.deployments],
        "as_of": service.as_of.isoformat() if service.as_of else "",
        "deployments": None if deployments is None else [known.arn for known in deployments],
    }


def _made_since(
    listed: Sequence[ServiceDeployment], seen: Mapping[str, Any], definition: str
) -> ServiceDeployment | None:
    """The deployment of `definition` that the history has and had not when the service was looked at. Where that could not be read
    then, AWS's own times tell: ours need not agree with them."""
    before, as_of = seen["deployments"], _time(seen["as_of"])

    def is_new(known: ServiceDeployment) -> bool:
        if before is not None:
            return known.arn not in before
        return as_of is not None and known.created_at is not None and known.created_at > as_of

    return next((known for known in listed if known.task_definition == definition and is_new(known)), None)


def _newest_seen(context: StepContext) -> datetime | None:
    """The newest time of AWS's that this run has seen of the service before it went back."""
    keys = (("look", "as_of"), ("settle", "as_of"), ("update", "at"), ("watch", "as_of"))
    times = (_time(str(former.get(key, ""))) for step, key in keys for former in context.former(step))
    return max((known for known in times if known is not None), default=None)


def _time(written: str) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _deployment_in_flight(context: StepContext) -> ServiceDeployment | None:
    """The deployment that was in flight when the service was looked at, as it is now."""
    deployments = Ecs(context.reads).service_deployments(*rollout.names(context))
    return next((known for known in deployments if known.arn == context.result("look")["in_flight_arn"]), None)


def _aws(context: StepContext, verb: str, /, **options: object) -> tuple[str, ...]:
    profile = context.config.environment(context.target.environment).profile
    return aws_command(context.target, profile, "ecs", verb, **options)


def _say_in_flight(context: StepContext, service: Service) -> None:
    flight = service.in_flight
    if flight:
        since = text.ago(flight.created_at, context.now())
        context.note(
            f"A deployment of {rollout.short(flight.task_definition)} is {flight.rollout_state} since {since}: "
            f"{flight.running} of {flight.desired} tasks run, {flight.failed} failed."
        )


def _say_targets(context: StepContext, service: Service) -> None:
    for binding in service.load_balancers:
        healths = Elbv2(context.reads).target_health(binding.target_group_arn)
        healthy = sum(health.state == "healthy" for health in healths)
        context.note(f"{healthy} of {len(healths)} targets are healthy.")


def _service_and_deployments(context: StepContext) -> tuple[Service, tuple[ServiceDeployment, ...] | None]:
    """The service and its deployments, which may come from copies of different age: where what is in flight is to be stopped first,
    they are looked at until both show it. Raises NotVisibleYet."""
    patience = Deadline(context.config.engine.visible_seconds)
    is_first = True
    while True:
        service = rollout.current_service(context, _newest_seen(context))
        deployments = _deployments(context, say=is_first)
        in_flight = service.in_flight
        is_rolling = in_flight is not None and in_flight.rollout_state == "IN_PROGRESS"
        is_listed = deployments is None or any(known.status in _STOPPABLE for known in deployments)
        if context.inputs["in-flight"] != STOP_FIRST or not is_rolling or is_listed:
            return service, deployments
        if patience.is_over():
            raise rollout.not_visible(f"the deployment of {service.name} that is in flight in its list of deployments")
        context.progress("AWS does not list the deployment in flight yet: looking again")
        context.wait(min(1.0, context.config.engine.poll_seconds))
        is_first = False


def _deployments(context: StepContext, *, say: bool = False) -> tuple[ServiceDeployment, ...] | None:
    """The service's deployment history; None where it cannot be read, with a warning if asked for: a rollback works without it."""
    try:
        return Ecs(context.reads).service_deployments(*rollout.names(context))
    except AwsError as error:
        if say:
            context.note(f"Which deployments were completed is not known: {error.title}", warning=True)
        return None
