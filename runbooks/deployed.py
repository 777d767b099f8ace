"""What a deploy has put into an ECS service, told once, right after the apply, so that whatever the service is on later is compared
with that: a circuit breaker or a colleague may have put something else there before anybody looked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infraconsole import files
from infraconsole.aws.ecs import Controller, Ecs, Service, family_and_revision
from infraconsole.checks.application import application
from infraconsole.checks.controllers import refusal
from infraconsole.clock import Deadline
from infraconsole.engine.runbook import Step, StepContext
from infraconsole.errors import AwsError, AwsNotFound, StepFailed
from infraconsole.redaction import MASK
from infraconsole.runbooks import rollout
from infraconsole.runbooks.plan_controllers import controller_in
from infraconsole.runbooks.plan_reading import PLAN_DOCUMENT
from infraconsole.runbooks.terraform_root import root_of, stored_state
from infraconsole.terraform import plan
from infraconsole.terraform.plan import Change, Kind
from infraconsole.terraform.state import managed

_SERVICE = "aws_ecs_service"
_DEFINITION = "aws_ecs_task_definition"


class ReadDeployed(Step):
    id = "deployed"
    title = "Read what was deployed"
    why = "The task definition that the plan and the state give the service: only that may run in the end."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if context.target.is_module:
            return {}
        if controller := _other_controller(context):
            name = rollout.names(context)[1]
            context.note(f"What {name} runs is decided by its deployment controller ({controller}), not by this plan.")
            return {}
        wanted = _task_definition(context)
        if wanted:
            context.note(f"Deployed: {rollout.short(wanted)}.")
            same = {"same_definition": True} if _keeps_definition(context, wanted) else {}
            return {"task_definition": wanted, **same}
        try:
            service = Ecs(context.reads).service(*rollout.names(context))
        except AwsNotFound:
            return {}
        if not service.deploying.by_ecs:
            return {}
        # Whatever it is on now, so that at least a change from here on is noticed.
        context.note(f"This plan has no service {service.name}: it stays on {rollout.short(service.task_definition)}.")
        return {"task_definition": service.task_definition}


def _other_controller(context: StepContext) -> str:
    """Which one deploys the service, where the plan says that it is not ECS: of that Terraform only makes the service, and
    registers revisions."""
    change = _service_change(context)
    found = controller_in(change.after("deployment_controller")) if change else Controller.ECS
    return "" if found == Controller.ECS else found


def _task_definition(context: StepContext) -> str:
    """Of the service, as ARN or family:revision: what the plan says, and where only the apply could tell, what the state or AWS
    says since. "" where the plan has no such service.

    A plan knows it where the code fixes it, where nothing changes, and where `ignore_changes` leaves it to others: then it is what
    AWS had when the plan was made, of which the state knows nothing where there was nothing to apply.
    """
    change = _service_change(context)
    if change is None or change.kind in (Kind.DESTROY, Kind.FORGET):
        return ""
    planned = change.after("task_definition")
    if isinstance(planned, str) and planned != MASK:
        return planned if family_and_revision(planned)[1] else _of_family(context, change, planned)
    cluster, name = rollout.names(context)
    for attributes in managed(stored_state(context, root_of(context)) or b"", _SERVICE):
        in_state = attributes.get("task_definition")
        if attributes.get("name") == name and rollout.short(str(attributes.get("cluster"))) == cluster and in_state:
            return str(in_state)
    raise StepFailed(
        f"What {name} was brought to cannot be told.",
        cause="The plan changes its task definition, and the stored state has no such service.",
        mend="Look at the service and at the state: terraform state show.",
    )


def _of_family(context: StepContext, service: Change, named: str) -> str:
    """The revision that ECS took where the code names the family alone: its newest ACTIVE one, when the service was changed.

    Not what the service is on, unless nothing was sent: a circuit breaker may have put it back before the apply had ended.
    """
    if service.before("task_definition") == named:
        return Ecs(context.reads).service(*rollout.names(context)).task_definition
    family, _ = family_and_revision(named)
    if _registers(context, family):
        # Of this apply's own making: by now somebody may have registered another one.
        state = stored_state(context, root_of(context)) or b""
        arns = [str(each.get("arn")) for each in managed(state, _DEFINITION) if each.get("family") == family]
        if arns:
            return max(arns, key=lambda arn: family_and_revision(arn)[1])
    # Else the state's may be an old one: a pipeline registers others, and those are newer.
    return Ecs(context.reads).task_definition(family).arn


def _registers(context: StepContext, family: str) -> bool:
    """Whether the plan makes a new revision of that family."""
    made = (Kind.CREATE, Kind.REPLACE)
    return any(
        each.type == _DEFINITION and each.kind in made and each.after("family") == family for each in _changes(context)
    )


def _keeps_definition(context: StepContext, wanted: str) -> bool:
    """Whether the apply changed the service and left its task definition as it was: the deployment before looks the same."""
    change = _service_change(context)
    return change is not None and change.kind is Kind.UPDATE and change.before("task_definition") == wanted


def _changes(context: StepContext) -> tuple[Change, ...]:
    return plan.read(files.read(context.folder / PLAN_DOCUMENT, files.MOST_STATE_BYTES)).changes


def _service_change(context: StepContext) -> Change | None:
    return next((each for each in _changes(context) if _is_service(context, each)), None)


def _is_service(context: StepContext, change: Change) -> bool:
    cluster, name = rollout.names(context)
    if change.type != _SERVICE or change.is_data or change.deposed:
        return False
    names = {change.before("name"), change.after("name")}
    clusters = [value for value in (change.after("cluster"), change.before("cluster")) if isinstance(value, str)]
    return name in names and (not clusters or rollout.short(clusters[0]) == cluster)


def verify_service(context: StepContext) -> Mapping[str, Any]:
    """The service is on what was deployed and, where a tag was asked for, on an image of that tag; its rollout is completed, its
    targets are healthy. Raises StepFailed, also where all that was rolled back before anybody looked."""
    target = context.target
    cluster, name = rollout.names(context)
    deployed = context.result("deployed")
    wanted = str(deployed.get("task_definition", ""))
    try:
        service = _shown(context, wanted, is_same=bool(deployed.get("same_definition")))
    except AwsNotFound:
        if wanted:
            raise
        context.note(f"There is no ECS service {name} in {cluster}: its rollout was not looked at.", warning=True)
        return {}
    definition = service.task_definition
    if not service.deploying.by_ecs:
        # It may be on another revision than the plan's by right, with another image: its own tool brings that.
        context.note(f"{refusal(service)} Its rollout was not watched: look at it there.", warning=True)
        return {"task_definition": definition}
    if wanted and not _is_same(definition, wanted):
        # Named by family and revision, it is one of the same account and region.
        arn = wanted if wanted.startswith("arn:") else f"{definition.rpartition('/')[0]}/{wanted}"
        raise rollout.Rollout(context, rollout.Ours(arn)).failed(
            f"{name} is on {rollout.short(definition)}, not on {rollout.short(wanted)}, which was deployed: "
            "a circuit breaker, another deployment or a person put it there."
        )
    _refuse_other_image(context, service)
    primary = service.primary
    named = primary.id if primary and primary.task_definition == definition else ""
    ours = rollout.watch(context, rollout.Ours(definition, named, since=service.as_of))
    health = rollout.verify(context, ours)
    family, revision = family_and_revision(definition)
    context.note(f"{target.name} runs {family}:{revision}.")
    return {"task_definition": definition, "health": health}


def _shown(context: StepContext, wanted: str, *, is_same: bool) -> Service:
    """The service once ECS shows it on what was deployed, or as it is where that was there and is not any more. `is_same`: it was
    on that before, so that only a deployment which is under way is a new one for sure. Raises NotVisibleYet."""
    settled, patience = Deadline(context.config.engine.settle_seconds), Deadline(context.config.engine.visible_seconds)
    first, newest, has_arrived = None, None, False
    while True:
        service = Ecs(context.reads).service(*rollout.names(context))
        if not rollout.is_older(service, newest):
            newest = service.as_of
            primary = service.primary.id if service.primary else ""
            first = first or (primary, {known.id for known in service.deployments})
            is_there = not wanted or _is_same(service.task_definition, wanted)
            if is_there and not (is_same and service.in_flight is None and primary == first[0]):
                return service
            # Remembered: what took its place may be all that is left to see by the time that this is believed.
            has_arrived = has_arrived or any(
                _is_same(known.task_definition, wanted) and (known.id not in first[1] or _is_new(context, wanted))
                for known in service.deployments
            )
            if settled.is_over() and (is_there or has_arrived or _was_there(context, wanted)):
                return service
        if patience.is_over():
            raise rollout.not_visible(f"{service.name} on {rollout.short(wanted)}, which was deployed")
        context.progress("AWS does not show yet what was deployed: looking again")
        context.wait(min(1.0, context.config.engine.poll_seconds))


def _is_new(context: StepContext, wanted: str) -> bool:
    """Whether the apply registered that revision: then every deployment of it was made since, while one of a revision that was
    there may be an old one that drains."""
    if not (context.folder / PLAN_DOCUMENT).exists():
        return False
    change = _service_change(context)
    planned = change.after("task_definition") if change else None
    is_fixed = isinstance(planned, str) and bool(family_and_revision(planned)[1])
    return not is_fixed and _registers(context, family_and_revision(wanted)[0])


def _was_there(context: StepContext, wanted: str) -> bool:
    """Whether what was deployed arrived, although no look has shown it, so that something else was put there since. What the apply
    did not touch was there before."""
    if (context.folder / PLAN_DOCUMENT).exists():
        change = _service_change(context)
        if change is None or change.kind not in (Kind.CREATE, Kind.UPDATE, Kind.REPLACE):
            return True
    return _is_same(_newest_in_history(context), wanted)


def _newest_in_history(context: StepContext) -> str:
    """The task definition of the newest deployment, also of one that was rolled back; "" where it cannot be told."""
    try:
        history = Ecs(context.reads).service_deployments(*rollout.names(context))
    except AwsError:
        return ""
    made = [(known.created_at, known.task_definition) for known in history if known.created_at]
    return max(made, default=(None, ""))[1]


def _is_same(definition: str, wanted: str) -> bool:
    """Terraform's state names it as the code does: by its ARN, or by family and revision. A family alone names none."""
    if wanted.startswith("arn:"):
        return definition == wanted
    return family_and_revision(definition) == family_and_revision(wanted)


def _refuse_other_image(context: StepContext, service: Service) -> None:
    tag = context.inputs.get("image_tag", "")
    if not tag:
        return
    definition = Ecs(context.reads).task_definition(service.task_definition)
    found = application(definition, context.target.service, service.load_balancers)
    if found is None or tag not in (found.image.tag, found.image.digest):
        has = f"has {found.image.text}. {found.sentence}" if found else "has no container."
        raise StepFailed(
            f"{service.name} does not run the image {tag} that was asked for.",
            cause=f"{definition.name} {has}",
            mend="Look where the code takes the image from: image_tag in the tfvars, or a fixed text.",
        )
