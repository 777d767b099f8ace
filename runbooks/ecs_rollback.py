"""Roll back an ECS service to an earlier revision of its task definition.

Reads top to bottom like the procedure: look, choose, check, register a copy where the revision is not ACTIVE any more, stop what is
in flight (if asked to) and wait until it is, update, watch, verify, pin the image. What AWS means by its states is from the Amazon
ECS API reference (Deployment, ServiceDeployment, Task).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole import text
from infraconsole.aws.ecs import (
    Deployment,
    Ecs,
    TaskDefinition,
    family_and_revision,
    parse_service,
)
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.engine import policy
from infraconsole.engine.gate import WARNING, Choice, Gate, GateKind, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Offer, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import recovery, revision_choice, revision_copy, revisions, rollout, seen, service_words
from infraconsole.runbooks.images import check_image
from infraconsole.runbooks.pin_image import PinImage
from infraconsole.runbooks.revision_copy import RegisterCopy
from infraconsole.runbooks.stop_in_flight import LOOK_AGAIN, Settle, StopInFlight

UPDATE = "ecs:UpdateService"

_NOT_LISTED = "ecs:ListServiceDeployments, which names the deployment to stop, cannot be read"
_NONE_LISTED = "ecs:ListServiceDeployments shows no deployment that could be stopped"
_ANOTHER = Offer("another-revision", "Choose another revision", back_to="look")


class Look(Step):
    id = "look"
    title = "Look at the service"
    why = "What serves, what is being deployed, and which earlier revisions are known to have worked."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        cluster, service = rollout.names(context)
        return (
            rollout.ecs_command(context, "describe-services", cluster=cluster, services=service),
            rollout.ecs_command(context, "list-service-deployments", cluster=cluster, service=service),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        ecs = Ecs(context.reads)
        service, deployments = seen.service_and_deployments(context)
        rollout.refuse_other_controller(service)
        current = ecs.task_definition(service.task_definition)
        stands = service_words.say(context, ecs, service, current, deployments or ())
        candidates = revisions.candidates(context, ecs, service, current, deployments or ())
        cut = _cut(current, candidates)
        if cut:
            context.note(cut)
        in_flight = service.in_flight
        listed = next((known for known in deployments or () if known.status in seen.STOPPABLE), None)
        # One that is only about to begin stands in the list before the service itself shows it.
        begins = listed.arn if listed and listed.status == "PENDING" else ""
        of = in_flight.task_definition if in_flight else listed.task_definition if begins and listed else ""
        its = revisions.application_in(context, service, current)
        return {
            "current": current.arn,
            "current_name": current.name,
            "current_image": its.container.image if its else "",
            "current_registered_at": text.utc(current.registered_at) if current.registered_at else "",
            **seen.as_seen(service, deployments),
            "in_flight": in_flight.id if in_flight else begins,
            "in_flight_of": rollout.short(of),
            "in_flight_arn": listed.arn if listed else "",
            "shifts_traffic": service.deploying.shifts_traffic,
            "standing": stands,
            "cut": cut,
            "candidates": candidates,
            "last_known_good": revisions.last_known_good(context, current, candidates),
        }


class Choose(Step):
    id = "choose"
    title = "Choose the revision"
    why = "The one that worked last before the current one, unless you say another. Never simply minus one."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        family = family_and_revision(context.result("look")["current"])[0]
        return (rollout.ecs_command(context, "list-task-definitions", family_prefix=family, sort="DESC"),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        if _set_revision(context) or not (context.interactive or context.given("revision")):
            return ()
        looked = context.result("look")
        choices = tuple(
            revision_choice.choice(candidate, looked["last_known_good"]) for candidate in looked["candidates"]
        )
        if not choices:
            raise StepFailed(
                f"There is no revision before {looked['current_name']}.", mend="Deploy a good image instead."
            )
        return (
            Gate(
                "revision",
                GateKind.CHOOSE,
                _question(context, looked),
                changes=(*_only_inactive(looked), *filter(None, (looked["cut"],))),
                choices=choices,
            ),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        looked = context.result("look")
        wanted = context.answer("revision") or _set_revision(context) or looked["last_known_good"]
        if not wanted:
            raise _none_known(looked)
        ecs = Ecs(context.reads)
        target = ecs.task_definition(revision_choice.reference(context, wanted, looked))
        current = ecs.task_definition(looked["current"])
        service = ecs.service(*rollout.names(context))
        its = revisions.application_in(context, service, target)
        words = revisions.image_words(its)
        if target.arn == current.arn:
            what = "its rollout is watched" if looked["in_flight"] else "it is verified"
            context.note(f"{context.target.name} is on {target.name} already: nothing is sent, {what}.", warning=True)
        context.note(f"{context.target.name} goes from {current.name} to {target.name} (image {words}).")
        if its is not None:
            context.note(its.sentence)
        diff = diff_lines(current, target, first=its.container.name if its else "")
        context.output(*diff)
        context.evidence(f"diff of {current.name} and {target.name}", "\n".join(diff))
        return {
            "arn": target.arn,
            "name": target.name,
            "image": its.container.image if its else "",
            "container": its.container.name if its else "",
            "tag": words,
            "diff": list(diff),
        }


class Check(Step):
    id = "check"
    title = "Check the revision"
    why = "An INACTIVE revision is refused by ECS, and lifecycle policies delete images that old revisions need."

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        if not looked["in_flight"] or context.inputs["in-flight"] == seen.STOP_FIRST:
            return ()
        unreadable = looked["deployments"] is None
        if not looked["in_flight_arn"] and not context.given("in-flight"):
            return ()
        nothing = "" if looked["in_flight_arn"] else _NONE_LISTED
        if not (context.interactive or context.given("in-flight")):
            return ()
        # A shift of traffic that is cut off half way leaves it on both: ECS shifts it back where it is stopped.
        stop_first = bool(looked.get("shifts_traffic")) and not (unreadable or nothing)
        return (
            Gate(
                "in-flight",
                GateKind.CHOOSE,
                f"A deployment of {looked['in_flight_of']} is in flight. What happens to it?",
                choices=(
                    Choice(
                        seen.SUPERSEDE,
                        "Let the rollback take its place",
                        ("UpdateService starts a new deployment at once; ECS drains the one in flight.",),
                        recommended=not stop_first,
                    ),
                    Choice(
                        seen.STOP_FIRST,
                        "Stop it first, with ECS's own rollback",
                        ("StopServiceDeployment returns the service to its last completed deployment first.",),
                        recommended=stop_first,
                        why_not=_NOT_LISTED if unreadable else nothing,
                    ),
                ),
            ),
        )

    def act(self, context: StepContext) -> Mapping[str, Any]:
        chosen = context.result("choose")
        if context.inputs["in-flight"] == seen.STOP_FIRST and context.result("look")["deployments"] is None:
            raise StepFailed(
                "Whether a deployment is to be stopped first is not known.",
                cause=f"Nothing was sent: {_NOT_LISTED}.",
                mend="Get the permission ecs:ListServiceDeployments and look again, or start a run with "
                f"--set in-flight={seen.SUPERSEDE}.",
            )
        definition = Ecs(context.reads).task_definition(chosen["arn"])
        is_active = definition.status == revisions.ACTIVE
        if not is_active and not (context.interactive or context.given(revision_copy.GATE) or context.dry_run):
            raise revision_copy.inactive(definition)
        for container in definition.containers:
            its = container.name == chosen.get("container", container.name)
            check_image(context, container.image, essential=container.essential, quiet=not its)
        if chosen["image"] and chosen["image"] == context.result("look")["current_image"]:
            context.note(f"{definition.name} has the same image as the revision it replaces.", warning=True)
        in_flight = context.answer("in-flight") or context.inputs["in-flight"]
        return {"in_flight": in_flight, "copy": not is_active}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER, LOOK_AGAIN)


class Update(Step):
    id = "update"
    title = "Update the service"
    why = "The one change: UpdateService with the chosen revision, and nothing else in the service touched."
    changes = True
    calls = (UPDATE,)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        cluster, service = rollout.names(context)
        return (
            rollout.ecs_command(
                context,
                "update-service",
                cluster=cluster,
                service=service,
                task_definition=revision_copy.target(context)["name"],
            ),
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        shown, chosen = seen.current(context), revision_copy.target(context)
        return recovery.gates(
            context,
            self,
            title=f"Roll {context.target} back from {shown['current_name']} to {chosen['name']}",
            changes=(
                *_standing(shown),
                f"{context.target.name} gets a new deployment of {chosen['name']} ({chosen['tag']}).",
                *shown.get("diff", chosen["diff"]),
                f"Old code meets today's schema: think of migrations since {chosen['name']} was registered.",
            ),
            irreversible=("Connections of the tasks that are replaced are drained, then cut.",),
        )

    def probe(self, context: StepContext) -> Probe:
        if (made := context.answered(UPDATE)) is not None:
            return Probe(ProbeState.DONE, "AWS answered that the service is updated.", self._result(context, made))
        shown, chosen = seen.current(context), revision_copy.target(context)
        # Before the service itself: a call may land between the two, and of one in the list the service then knows already.
        sent = context.unanswered() is not None
        listed = seen.deployments(context) if sent else ()
        service = Ecs(context.reads).service(*rollout.names(context))
        if rollout.is_older(service, seen.time_of(shown["as_of"])):
            return Probe(
                ProbeState.NOT_VISIBLE, "AWS shows an older state of the service than the one that was looked at."
            )
        ours = rollout.Ours(chosen["arn"], before=tuple(shown["known"]))
        if service.task_definition == chosen["arn"]:
            found = service.primary
            return Probe(ProbeState.DONE, f"{service.name} is on {chosen['name']}.", self._found(context, found))
        if sent and (found := ours.found_in(service)) is not None:
            return Probe(ProbeState.DONE, f"A deployment of {chosen['name']} was made.", self._found(context, found))
        if (made_then := seen.made_since(listed or (), shown, chosen["arn"])) is not None:
            at = made_then.created_at.isoformat() if made_then.created_at else ""
            made = {"deployment": "", "at": at, "task_definition": chosen["arn"]}
            return Probe(ProbeState.DONE, f"A deployment of {chosen['name']} was made.", self._result(context, made))
        deployment = service.primary.id if service.primary else ""
        if (service.task_definition, deployment) != (shown["current"], shown["primary"]):
            since = text.ago(service.primary.created_at, context.now()) if service.primary else "-"
            more = " The permission ecs:ListServiceDeployments would tell whether ours was made first."
            return Probe(
                ProbeState.OVERTAKEN,
                f"{service.name} is on {rollout.short(service.task_definition)} since {since} (deployment {deployment}); "
                f"{shown['current_name']} (deployment {shown['primary']}) was looked at.{more if listed is None else ''}",
                back_to="look",
            )
        return Probe(ProbeState.NOT_DONE, f"{service.name} is on {rollout.short(service.task_definition)}.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        cluster, name = rollout.names(context)
        revision = revision_copy.target(context)["arn"]
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
        return {
            "deployment": found.id if found else "",
            "at": at,
            **self._brought(context),
            "changed": context.has_sent(),
        }

    def _result(self, context: StepContext, made: Mapping[str, Any]) -> Mapping[str, Any]:
        brought = self._brought(context)
        is_ours = made.get("task_definition") == brought["revision"]
        deployment, at = (made["deployment"], made["at"]) if is_ours else ("", "")
        return {"deployment": deployment, "at": at, **brought, "changed": True}

    def _brought(self, context: StepContext) -> Mapping[str, str]:
        """`content` is the revision whose content it is: another one than `revision` where a copy was registered."""
        return {"revision": revision_copy.target(context)["arn"], "content": context.result("choose")["arn"]}

    def offers(self) -> Sequence[Offer]:
        return (LOOK_AGAIN,)


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
                revision_copy.target(context)["arn"],
                updated.get("deployment", ""),
                before=tuple(seen.current(context)["known"]) if updated.get("changed") else (),
                since=seen.time_of(updated.get("at", "")),
            ),
        )
        as_of = ours.since.isoformat() if ours.since else ""
        return {"deployment": ours.id, "as_of": as_of, **({"bakes": ours.bakes} if ours.bakes else {})}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


class Verify(Step):
    id = "verify"
    title = "Verify"
    goes_on = rollout.GOES_ON
    why = "Success: our deployment completed, the service on the revision, its targets healthy, its health path answering."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        watched, definition = context.result("watch"), revision_copy.target(context)["arn"]
        ours = rollout.Ours(
            definition,
            watched.get("deployment", ""),
            since=seen.time_of(watched.get("as_of", "")),
            bakes=watched.get("bakes", ""),
        )
        return {"task_definition": definition, "health": rollout.verify(context, ours)}

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


RUNBOOK = Runbook(
    name="ecs-rollback",
    title="Roll back an ECS service",
    summary="Return a service to an earlier revision of its task definition, watch it go healthy, and say how to make it last.",
    purpose=Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "the service, as in fileflow", required=True),
        Input("environment", "environment", "the environment, as in prod", required=True),
        Input("revision", "text", "a revision number, family:number or an ARN; default: the last known good one"),
        recovery.REASON,
        Input(
            "in-flight",
            "choice",
            "what happens to a deployment in flight",
            default=seen.SUPERSEDE,
            choices=(seen.SUPERSEDE, seen.STOP_FIRST),
        ),
    ),
    gates=(
        GateSpec("revision", GateKind.CHOOSE, "which revision to go back to, where none is set"),
        GateSpec("in-flight", GateKind.CHOOSE, "what happens to a deployment in flight"),
        GateSpec(
            revision_copy.GATE, GateKind.CONFIRM, "before a copy of an INACTIVE revision is registered as a new one"
        ),
        *policy.GATES,
        policy.FAILURE,
    ),
    steps=(
        Look(),
        Choose(),
        Check(),
        RegisterCopy(),
        StopInFlight(),
        Settle(),
        Update(),
        Watch(),
        Verify(),
        PinImage(),
    ),
)


def _set_revision(context: StepContext) -> str:
    """The revision that was set for the run. Once the run went back, it is chosen anew: the set one is what did not work."""
    return "" if context.former("choose") else context.inputs.get("revision", "")


def _question(context: StepContext, looked: Mapping[str, Any]) -> str:
    """What is asked; where the service is well, that stands before what is recommended."""
    if stands := looked.get("standing", ""):
        return f"{stands} Which revision does it go further back to?"
    return f"Which revision does {context.target.name} go back to from {looked['current_name']}?"


def _standing(looked: Mapping[str, Any]) -> tuple[str, ...]:
    """Why going back may be wrong, as a gate says it."""
    stands = looked.get("standing", "")
    return (f"{WARNING}{stands}",) if stands else ()


def _only_inactive(looked: Mapping[str, Any]) -> tuple[str, ...]:
    candidates = looked["candidates"]
    if candidates and all(each["status"] != revisions.ACTIVE for each in candidates):
        return (f"{WARNING}No earlier revision is ACTIVE. {revision_copy.WHY}", revision_copy.KEEP)
    return ()


def _none_known(looked: Mapping[str, Any]) -> StepFailed:
    """The true reason why there is no default: none worked, those that did cannot be used, or nobody could look."""
    name, candidates = looked["current_name"], looked["candidates"]
    if lost := [each for each in candidates if each["good"] and each["why_not"]]:
        return StepFailed(
            f"No revision before {name} that is known to have worked can be used.",
            cause=" ".join(f"{each['name']}: {each['why_not']}." for each in lost),
            mend="Push the image again, or name another revision: --set revision=NUMBER.",
        )
    unread = looked["deployments"] is None
    why = (
        "The service's deployments could not be read, and"
        if unread
        else "No earlier revision has a completed deployment, and"
    )
    listed = ", ".join(f"{each['name']} ({each['tag']}, {each['status']})" for each in candidates[:5])
    copied = f" With --answer {revision_copy.GATE}=yes a copy of it is registered. {revision_copy.KEEP}"
    inactive = bool(_only_inactive(looked))
    return StepFailed(
        f"No revision before {name} is known to have worked.",
        cause=f"{why} no run in the journal verified one."
        + (f" There are: {listed}." if listed else "")
        + (f" {revision_copy.WHY}" if inactive else ""),
        mend="Name one: --set revision=NUMBER." + (copied if inactive else ""),
    )


def _cut(current: TaskDefinition, candidates: Sequence[Mapping[str, Any]]) -> str:
    """That not all earlier revisions are listed, as a sentence; "" where all are."""
    if current.revision - 1 <= len(candidates):
        return ""
    return (
        f"{len(candidates)} of {current.revision - 1:,} earlier revisions are listed: those known to have worked, and the newest. "
        "Any other: --set revision=NUMBER."
    )
