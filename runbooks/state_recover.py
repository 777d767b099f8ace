"""Take care of a state that an apply could not store: Terraform leaves it as errored.tfstate in the working directory.

It knows of things that the stored state does not, so every other run on that directory waits for it. It is pushed as it is, or
dismissed by name; either way the file is put away only when a copy of it lies in the run's folder. That Terraform writes it,
and that `state push` takes it, is from its backend/local (backupStateForError).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.engine import policy
from infraconsole.engine.gate import Choice, Gate, GateKind, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import lost_state, recovery, strays
from infraconsole.runbooks.earlier_applies import records
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.state_push import (
    Pushed,
    PushState,
    VerifyStored,
    difference_lines,
    is_from_newer,
    is_same,
    serial_of,
    shortened,
    to_be_pushed,
)
from infraconsole.runbooks.terraform_root import (
    Root,
    refuse_wrong_digest,
    root_of,
    sha256,
    stored_state,
    summary_of,
)
from infraconsole.runbooks.terraform_steps import Init
from infraconsole.terraform import backend, state_diff
from infraconsole.terraform.inventory import Inventory
from infraconsole.terraform.state import StateSummary, StateUnreadable, summary

COPY = "errored.tfstate"
PUSH, DISMISS = "push", "dismiss"


class Look(Step):
    id = "look"
    title = "Look at both states"
    why = "What the one that was left knows and the stored one does not, and whether it belongs to it."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        lost_state.refuse(context, root)
        left = _left(root)
        try:
            body = files.read(left, files.MOST_STATE_BYTES)
        except FileNotFoundError as error:
            raise StepFailed(
                f"There is no {left}.", cause="Every state was stored.", mend="Nothing has to be recovered here."
            ) from error
        except OSError as error:
            raise files.unread(error, left, StepFailed) from error
        to_be_pushed(context, COPY, body)
        found_there = stored_state(context, root)
        now = summary_of(context, root, found_there)
        stored = found_there or b""
        refuse_wrong_digest(context, root, stored)
        context.evidence("errored.tfstate", f"sha256 {sha256(context.folder / COPY)}  {context.folder / COPY}")
        looked = {
            "sha256": sha256(context.folder / COPY),
            "before": serial_of(now),
            "lineage": now.lineage if now else "",
            "ours": False,
        }
        try:
            found = summary(body, str(left))
        except StateUnreadable as error:
            context.note(f"{error.title} {error.cause}".strip(), warning=True)
            why_not = error.title.rstrip(".")
            return {**looked, "serial": 0, "words": error.title, "lines": [], "why_not": why_not}
        difference = state_diff.compare(stored or _empty(found), body, before_name="stored", after_name="left")
        lines = difference_lines(difference)
        words = difference.words()
        context.note(
            f"{left}: serial {found.serial}, {found.resource_count} resources; the stored state has serial "
            f"{serial_of(now)}. From the stored one to it: {words}."
        )
        context.output(*lines)
        context.evidence("what the push changes in the state", "\n".join((words, *lines)))
        why_not = _why_not_push(root, stored, body, now, found)
        if why_not:
            context.note(f"It cannot be pushed: {why_not}.", warning=True)
        elif now is None:
            context.note("Nothing is stored yet: that it belongs here, nothing but its folder tells.", warning=True)
        return {
            **looked,
            "ours": bool(now and now.lineage and now.lineage == found.lineage),
            "serial": found.serial,
            "words": words,
            "lines": shortened(lines),
            "why_not": why_not,
        }


class Decide(Step):
    id = "decide"
    title = "Push it or dismiss it"
    why = "Pushed, Terraform knows again of all that was applied; dismissed, it does not."

    def gates(self, context: StepContext) -> Sequence[Gate]:
        if context.inputs.get("action"):
            return ()
        why_not = context.result("look")["why_not"]
        choices = (
            Choice(PUSH, "Push it: Terraform knows of what was applied", recommended=not why_not, why_not=why_not),
            Choice(DISMISS, "Dismiss it: the stored state stays as it is"),
        )
        title = f"What shall become of errored.tfstate of {context.target.name}?"
        looked = context.result("look")
        known = (
            f"The stored state has serial {looked['before']}, the one that was left {looked['serial']}.",
            looked["words"],
            *looked["lines"],
        )
        return (Gate("action", GateKind.CHOOSE, title, choices=choices, changes=known),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        action = context.answer("action") or context.inputs["action"]
        if action == PUSH and (why_not := context.result("look")["why_not"]):
            raise StepFailed(
                f"It cannot be pushed: {why_not}.",
                mend="Compare it by hand, or dismiss it: --set action=dismiss. Should it be the right one all the same, its copy "
                f"is put there afterwards: {run_line(context, 'state-rollback')} --set version=file:{context.folder / COPY}",
            )
        return {"action": action}


class Push(PushState):
    why = "As it is, and never by force: Terraform checks lineage and serial itself."
    file = COPY
    back_to = "look"

    def pushed(self, context: StepContext) -> Pushed:
        looked = context.result("look")
        return Pushed(looked["before"], looked["lineage"], looked["serial"])

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        return recovery.gates(
            context,
            self,
            typed_name=not looked["ours"],
            danger=root_of(context).protection.danger,
            title=f"Store the state that the apply of {context.target} could not store",
            changes=(
                f"serial {looked['before']} is followed by {looked['serial']} or one more"
                if looked["lineage"]
                else "it becomes the first state here, with a lineage of its own and the serial 1",
                looked["words"],
                *looked["lines"],
                "Saved plans of this state are void after this.",
            ),
            irreversible=()
            if looked["ours"]
            else ("Nothing is stored here yet: should it be another environment's, it becomes this one's state.",),
        )

    def probe(self, context: StepContext) -> Probe:
        if context.result("decide").get("action") != PUSH:
            return Probe(ProbeState.DONE, "It is not to be pushed.")
        return super().probe(context)


class VerifyPushed(VerifyStored):
    def act(self, context: StepContext) -> Mapping[str, Any]:
        return super().act(context) if context.result("decide").get("action") == PUSH else {}


class PutAway(Step):
    id = "put-away"
    title = "Remove errored.tfstate"
    why = "So that runs on this folder can begin again. A copy stays in this run's folder."
    changes = True

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (("rm", str(_left(root_of(context)))),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        if context.result("decide").get("action") != DISMISS:
            return ()
        looked = context.result("look")
        return recovery.gates(
            context,
            self,
            typed_name=True,
            # All environments of a root share its folder. What is not known to be this one's is dismissed by prod's rules.
            rules_of="" if looked["ours"] else context.config.guarding_environment(),
            title=f"Dismiss the state that the apply of {context.target} could not store",
            changes=(
                f"{_left(root_of(context))} is removed; a copy stays in {context.folder / COPY}",
                f"what is not going to be stored: {looked['words']}",
                *(() if looked["ours"] else (f"It is not known to be {context.target.environment}'s.",)),
                *looked["lines"],
            ),
            irreversible=(
                "What that apply made, Terraform does not know of: a later apply may make it twice, or fail on it.",
            )
            if looked["lines"]
            else (),
        )

    def probe(self, context: StepContext) -> Probe:
        left = _left(root_of(context))
        if not left.exists():
            return Probe(ProbeState.DONE, "It is gone.", {"changed": True})
        if sha256(left) != context.result("look")["sha256"]:
            return Probe(ProbeState.OVERTAKEN, f"{left} is another one by now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, f"{left} is as it was looked at.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        copy = context.folder / COPY
        if sha256(copy) != context.result("look")["sha256"]:
            raise StepFailed(f"{copy} is not the copy it should be.", mend="Start a new run: it makes another one.")
        root = root_of(context)
        if context.result("decide").get("action") == DISMISS:
            _keep_what_is_dismissed(context, root, copy)
        _left(root).unlink(missing_ok=True)
        context.note(f"A copy stays in {copy}.")
        return {"changed": True}


def _keep_what_is_dismissed(context: StepContext, root: Root, copy: Path) -> None:
    """What only the dismissed state knows of is in no state from now on: every later plan shows it until that has changed."""
    try:
        left, stored = (
            Inventory(files.read(copy, files.MOST_STATE_BYTES)),
            Inventory(stored_state(context, root) or b""),
        )
    except StateUnreadable:
        return
    if stored.lineage not in ("", left.lineage):
        return  # another environment's
    missing = [each.as_stray() for each in left.added_to(stored)]
    made_by = next((each.parent.name for each in records(context.folder.parent, root, "apply")), context.folder.name)
    strays.keep(context, root, missing, made_by)


def _is_first(context: StepContext) -> bool:
    return not context.result("look")["lineage"]


def _left(root: Root) -> Path:
    return root.folder / backend.ERRORED_STATE


def _why_not_push(root: Root, stored: bytes, body: bytes, now: StateSummary | None, found: StateSummary) -> str:
    if now is not None and now.lineage and found.lineage != now.lineage:
        return f"it is another state's: its lineage is {found.lineage or 'missing'}, the stored one's {now.lineage}"
    if stored and is_same(stored, body):
        return "it says what is stored already"
    if found.serial < serial_of(now):
        return f"the stored state has serial {serial_of(now)} by now, it has {found.serial}: something was stored since"
    if found.serial == serial_of(now):
        return f"the stored state has the same serial, {found.serial}, and says something else: somebody else stored it since"
    if is_from_newer(found.terraform_version, root):
        return f"it was written by Terraform {found.terraform_version}, this one is {root.terraform.binary.version}"
    return ""


def _empty(like: StateSummary) -> bytes:
    """What `like` is compared with where nothing is stored."""
    return f'{{"version": 4, "serial": 0, "lineage": "{like.lineage}", "resources": []}}'.encode()


RUNBOOK = Runbook(
    name="state-recover",
    title="Recover a state that could not be stored",
    summary="Push the errored.tfstate that an apply has left, or dismiss it by name, so that runs can begin again.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        Input("environment", "environment", "the environment whose apply it was", required=True),
        Input(
            "action", "choice", "push or dismiss; default: asks, and needed without a terminal", choices=(PUSH, DISMISS)
        ),
        recovery.REASON,
    ),
    gates=(
        GateSpec("action", GateKind.CHOOSE, "push or dismiss, where it is not set"),
        *policy.GATES,
        policy.DANGEROUS,
        policy.FAILURE,
    ),
    steps=(Init(), Look(), Decide(), Push(), VerifyPushed(COPY, is_first=_is_first), PutAway()),
)
