"""Deploy one environment of an application repository, or one module of the infrastructure repository.

Reads top to bottom like the procedure: check, set up, plan, read the plan, apply exactly that plan, verify. Approvals and
windows stand before the apply; nothing is applied that was not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole import config as settings
from infraconsole.aws.ssm import Parameter, Ssm
from infraconsole.checks import git
from infraconsole.clock import Deadline
from infraconsole.engine import policy
from infraconsole.engine.gate import LEAST_REASON
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Offer, Runbook, Step, StepContext
from infraconsole.errors import HeldUp, StepFailed, UsageError
from infraconsole.runbooks import rollout, strays
from infraconsole.runbooks.deployed import ReadDeployed, verify_service
from infraconsole.runbooks.plan_reading import ReadPlan
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_root import (
    Root,
    refuse_errored_state,
    refuse_locked,
    refuse_wrong_version,
    root_of,
    state_summary,
    stored_state,
)
from infraconsole.runbooks.terraform_steps import ApplyPlan, Init, MakePlan
from infraconsole.terraform import commands, events, tfvars
from infraconsole.terraform.exports import INFRASTRUCTURE, trace
from infraconsole.terraform.state import managed

_SOME = 3
_STRAYS_SHOWN = 10


class Precheck(Step):
    id = "precheck"
    title = "Check before anything runs"
    why = "The code and its commit, the state and its lock, and every export that the code reads."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        if context.target.is_module and context.inputs.get("image_tag"):
            raise UsageError(f"{context.target.service} has no image.", mend="Leave out --set image_tag=…")
        tool = root.terraform.binary
        context.note(f"{root.folder}, {tool.product} {tool.version} ({tool.source}).")
        if not root.environment:
            rules = f"the rules of {context.target.environment} hold"
            context.note(f"{context.target.service} serves all environments: {rules}, whichever was named.")
        commit = git.current(root.folder)
        context.note(f"Commit {commit.short} on {commit.branch or 'no branch'}: {commit.subject or '-'}")
        doubts = [*refuse_wrong_version(context, root), *_doubts(commit)]
        for doubt in doubts:
            context.note(doubt, warning=True)
        refuse_errored_state(context, root)
        _look_at_state(context, root)
        refuse_locked(context, root)
        _refuse_missing_exports(context)
        _look_for_strays(context, root)
        for item in context.open_follow_ups():
            context.note(f"Still to do: {item.title}: {item.detail}", warning=True)
        ended = context.terraform(root.terraform, commands.fmt_check(recursive=False), "fmt")
        if ended.code == 3:
            files = ", ".join(ended.output().decode(errors="replace").split())
            context.note(f"Not formatted: {files}.", warning=True)
        return {"commit": commit.id, "dirty": bool(commit.dirty), "warnings": doubts}


class Validate(Step):
    id = "validate"
    title = "Validate the code"
    why = "What is wrong in it is said with file and line, before the state is locked."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (root_of(context).by_hand(commands.validate()),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        import json

        root = root_of(context)
        ended = context.terraform(root.terraform, commands.validate(), "validate")
        try:
            document = json.loads(ended.output())
        except ValueError:
            raise failure(context, root, ended, "terraform validate failed.") from None
        found = events.diagnostics(document)
        if not document.get("valid"):
            raise failure(context, root, ended, "The code is not valid.", found)
        for diagnostic in found:
            context.note(f"{diagnostic.summary} ({diagnostic.file}:{diagnostic.line})", warning=True)
        return {}


class Verify(Step):
    id = "verify"
    title = "Verify what was deployed"
    goes_on = f"What was applied stays. For a service: {rollout.GOES_ON}"

    def offers(self) -> Sequence[Offer]:
        return (Offer("roll-back", "Stop here, and roll back to what served before", runbook="ecs-rollback"),)

    why = "Applied is not yet running: the rollout, its tasks and targets, the health path, or the module's exports."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return () if context.target.is_module else rollout.look_commands(context)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        result = _verify_exports(context) if context.target.is_module else verify_service(context)
        if (tag := context.inputs.get("image_tag")) and not context.dry_run:
            _say_what_to_pin(context, tag)
        return result


def _doubts(commit: git.Commit) -> list[str]:
    """Why nobody else can see what is deployed, or what is deployed is not what others see."""
    if not commit.id:
        return ["The code is in no git repository: what is deployed cannot be looked up later."]
    doubts = []
    if commit.dirty:
        more = f" and {len(commit.dirty) - 5} more" if len(commit.dirty) > 5 else ""
        listed = ", ".join(line[3:] for line in commit.dirty[:5])
        doubts.append(f"Not committed: {listed}{more}. Nobody else can see what is deployed.")
    if commit.ahead:
        are = "commit is" if commit.ahead == 1 else "commits are"
        doubts.append(f"{commit.ahead} {are} not pushed. Nobody else can see what is deployed.")
    if commit.behind:
        are = "commit is" if commit.behind == 1 else "commits are"
        doubts.append(
            f"{commit.behind} {are} in the upstream of {commit.branch}, as last fetched, and not in this code."
        )
    return doubts


def _found_by_precheck(context: StepContext) -> Sequence[str]:
    return tuple(context.result("precheck")["warnings"])


def _say_what_to_pin(context: StepContext, tag: str) -> None:
    """Where the tag was given by hand, and the variables' file has another."""
    for file in root_of(context).var_files[:1]:
        edit = tfvars.edit(file, "image_tag", tag)
        if edit.before != edit.after:
            place = f"{file}, line {edit.line}" if edit.line else str(file)
            context.note(
                f"image_tag was given by hand: write {edit.after.strip()} into {place}, else the next deploy brings the "
                "old one.",
                warning=True,
            )


def _look_at_state(context: StepContext, root: Root) -> None:
    place = root.state
    if place is None:
        context.note("The configuration names no state bucket: the code's own backend holds the state.", warning=True)
        return
    stored = state_summary(context, root)
    where = f"s3://{place.bucket}/{place.key}"
    if stored is None:
        context.note(f"There is no state at {where} yet: everything would be created again.", warning=True)
    else:
        context.note(f"State {where}: serial {stored.serial}, {stored.resource_count} resources.")


def _look_for_strays(context: StepContext, root: Root) -> None:
    """Say what earlier applies made and the state does not have; without a bucket that is read only when `init` has run."""
    left = context.open_strays(strays.place_of(root))
    if left and root.state is not None:
        left = strays.review(context, root, stored_state(context, root) or b"")
    for known in left:
        for stray in known.strays[:_STRAYS_SHOWN]:
            context.note(f"Still to do: {strays.sentence(stray, strays.made_by(known))}", warning=True)


def _refuse_missing_exports(context: StepContext) -> None:
    """AWS is asked for what the code asks for, with version or label. What the same code makes may come with this deploy, and what
    Terraform may never read is not needed."""
    found = trace(context.config, settings.state_folder() / "cache")
    target = context.target
    reader = f"{INFRASTRUCTURE}/{target.service}" if target.is_module else target.service
    environments = ("", target.environment)
    own = {
        producer.name
        for producer in found.producers
        if (f"{producer.owner}/{producer.module}" if target.is_module else producer.owner) == reader
        and producer.environment in environments
    }
    reads = [
        consumer
        for consumer in sorted(found.consumers, key=lambda each: each.must_be_there)
        if consumer.service == reader and consumer.environment in environments and consumer.resolved
    ]
    read = {consumer.asked: consumer for consumer in reads if not consumer.by_path and not consumer.elsewhere}
    _, missing = Ssm(context.reads).parameters(sorted(read))
    needed = [name for name in missing if read[name].must_be_there and read[name].name not in own]
    if needed:
        raise HeldUp(
            f"The code reads exports that do not exist: {', '.join(needed)}.",
            mend="Deploy the modules that write them: infraconsole exports names them.",
        )
    for name in missing:
        if read[name].name in own:
            why = "this code makes it"
        else:
            why = "it stands in a check" if read[name].warns else "only Terraform knows whether it is read"
        context.note(f"{name} ({read[name].address}) does not exist; {why}.", warning=True)
    if not missing:
        context.note(f"All {len(read)} exports that the code reads are there.")
    elsewhere = [f"{each.asked} ({each.elsewhere})" for each in reads if each.elsewhere]
    if elsewhere:
        context.note(f"Read elsewhere, and not looked for: {_some(elsewhere)}.")
    unread = [str(module) for module in found.unread_modules if module.owner == (reader.partition("/")[0])]
    if unread:
        context.note(f"Not read, so that what it reads was not looked for: {_some(unread)}.")


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SOME} more" if len(texts) > _SOME else ""
    return f"{', '.join(texts[:_SOME])}{more}"


def _verify_exports(context: StepContext) -> Mapping[str, Any]:
    found = trace(context.config, settings.state_folder() / "cache")
    names = sorted(
        {
            producer.name
            for producer in found.producers
            if producer.resolved
            and not producer.elsewhere
            and (producer.owner, producer.module) == (INFRASTRUCTURE, context.target.service)
            and producer.environment in ("", context.target.environment)
        }
    )
    there = _shown(context, names)
    context.output(*(f"{parameter.name} = {parameter.value or parameter.type}" for parameter in there))
    context.note(f"All {len(names)} exports of the module are there.")
    return {"exports": names}


def _shown(context: StepContext, names: Sequence[str]) -> Sequence[Parameter]:
    """The exports, once AWS shows all of them: what the stored state holds was made, whenever that is. Raises NotVisibleYet, and
    StepFailed where the module has not made one."""
    patience = Deadline(context.config.engine.visible_seconds)
    while True:
        there, missing = Ssm(context.reads).parameters(names)
        if not missing:
            return there
        state = stored_state(context, root_of(context)) or b""
        never = sorted(set(missing) - {attributes.get("name") for attributes in managed(state, "aws_ssm_parameter")})
        if never:
            raise StepFailed(
                f"The module should export {', '.join(never)}, and it is not there.",
                mend="Look at the module's outputs.",
            )
        if patience.is_over():
            raise rollout.not_visible(
                f"the export {', '.join(missing)}, which the stored state holds", "Look at Parameter Store."
            )
        context.progress("AWS does not show all exports yet: looking again")
        context.wait(min(1.0, context.config.engine.poll_seconds))


RUNBOOK = Runbook(
    name="deploy",
    title="Deploy",
    summary="Plan, read, approve and apply one environment of a service, or one infrastructure module, and verify it.",
    purpose=Purpose.DEPLOY,
    inputs=(
        Input(
            "service",
            "service",
            "the service, or an infrastructure module as in network or ecr/fileflow",
            required=True,
        ),
        Input("environment", "environment", "the environment, as in prod", required=True),
        Input("image_tag", "tag", "the image to deploy; default: what the tfvars say"),
        Input("targets", "addresses", "addresses to plan, comma-separated; default: everything"),
        Input("reason", "text", "why outside of the window, for the record", least=LEAST_REASON),
    ),
    gates=(*policy.GATES, policy.DANGEROUS, policy.FAILURE),
    steps=(
        Precheck(),
        Init(),
        Validate(),
        MakePlan(("image_tag",)),
        ReadPlan(),
        ApplyPlan(Purpose.DEPLOY, doubts=_found_by_precheck),
        ReadDeployed(),
        Verify(),
    ),
)
