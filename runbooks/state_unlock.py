"""Take a Terraform state's lock away from a holder that is gone. Whether it is gone is for a person to judge: who held it,
since when and for what is shown, and the target's name is typed. What `force-unlock` does is from its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole import text
from infraconsole.checks import state_lock
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import StepFailed, UsageError
from infraconsole.runbooks import recovery
from infraconsole.runbooks.killed import lost
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_root import own_holder, root_of, taken_by
from infraconsole.runbooks.terraform_steps import Init
from infraconsole.terraform import commands
from infraconsole.terraform.runner import Lost
from infraconsole.terraform.state import LockInfo


class Look(Step):
    id = "look"
    title = "Look at the lock"
    why = "Who holds it, since when, for what; and whether that is a run of ours."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        locks = _locks(context)
        if not locks:
            context.note("The state is not locked: there is nothing to do.")
            return {"lock": ""}
        for lock in locks:
            age = text.ago(lock.created, context.now())
            context.note(
                f"{lock.who} holds it for {age}: {lock.operation}, Terraform {lock.version}, lock {lock.id} "
                f"({lock.path})."
            )
        given = context.inputs.get("lock")
        lock = next((each for each in locks if each.id == given), locks[0])
        ours = own_holder(context, root_of(context), lock)
        if ours and ours.is_alive:
            raise StepFailed(
                f"Terraform of run {ours.run} of this journal is still at work, and may be the one that holds it.",
                cause="Its executor is gone, but it goes on to its own end.",
                mend=f"Wait for that: infraconsole resume {ours.run}",
            )
        others = [each for each in locks if each.id != lock.id]
        if others:
            context.note(
                f"It is locked in two places, by two locks: this run releases {lock.id}, another run {others[0].id}.",
                warning=True,
            )
        if left := taken_by(context, lock):
            context.note(
                f"Run {left} of this journal took it: infraconsole resume {left} goes on and gives it back, unless that "
                "run is over.",
                warning=True,
            )
        if ours:
            doubt = f"It is of Terraform of run {ours.run} of this journal, which was killed: nobody is using it."
        else:
            doubt = (
                "No run of this journal is at this target. Ask that person, and look whether that process still lives: an "
                "apply whose lock is released overwrites what others store."
            )
        context.note(doubt)
        if given and given != lock.id:
            raise UsageError(f"The lock is {lock.id}, not {given}.", mend="Look again: the lock has changed since.")
        since = text.local_time(lock.created)
        return {"lock": lock.id, "who": lock.who, "since": since, "operation": lock.operation, "doubt": doubt}


class Unlock(Step):
    id = "unlock"
    title = "Release the lock"
    why = "terraform force-unlock with exactly that lock's id; one that was taken meanwhile stays."
    changes = True
    calls = ("terraform:force-unlock",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        lock = context.result("look")["lock"]
        return (root_of(context).by_hand(commands.force_unlock(lock)),) if lock else ()

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        return recovery.gates(
            context,
            self,
            typed_name=True,
            title=f"Release the lock of {context.target} that {looked['who']} holds",
            changes=(f"lock {looked['lock']}, {looked['operation']}, held since {looked['since']}", looked["doubt"]),
            irreversible=("If its holder still works, two write one state, and one of them is lost.",),
        )

    def probe(self, context: StepContext) -> Probe:
        wanted = context.result("look")["lock"]
        if not wanted:
            return Probe(ProbeState.DONE, "There was no lock.")
        try:
            context.terraform_ended(lambda line: context.output(line))
        except Lost as error:
            context.note(f"{error.title} The lock itself tells.", warning=True)
        locks = _locks(context)
        if not locks:
            return Probe(ProbeState.DONE, "It is free.", {"changed": True})
        if wanted not in [lock.id for lock in locks]:
            lock = locks[0]
            return Probe(ProbeState.OVERTAKEN, f"{lock.who} holds another lock by now: {lock.id}.", back_to="look")
        return Probe(ProbeState.NOT_DONE, f"{locks[0].who} holds it.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        arguments = commands.force_unlock(context.result("look")["lock"])
        try:
            ended = context.terraform_change(
                "terraform:force-unlock", root.terraform, arguments, lambda line: context.output(line)
            )
        except Lost as error:
            if context.result("look")["lock"] in [lock.id for lock in _locks(context)]:
                raise lost(context, root, error, "The lock was not released.") from error
            context.note(f"{error.title} The lock is gone all the same.", warning=True)
            return {"changed": True}
        if ended.code:
            failed = failure(context, root, ended, "The lock could not be released.")
            # Where two lockings are set, Terraform fails at the one that is free, after it has freed the other.
            if _locks(context):
                raise failed
            context.note(f"It is gone, although Terraform failed afterwards: {failed.title}", warning=True)
        return {"changed": True}


class Verify(Step):
    id = "verify"
    title = "Look again"
    why = "Free, or somebody else's by now."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        for lock in _locks(context):
            if lock.id == context.result("look")["lock"]:
                raise StepFailed(f"{lock.who} still holds it.", mend="Look at the bucket or the lock table by hand.")
            context.note(f"{lock.who} holds another lock: {lock.id} ({lock.path}).", warning=True)
            return {}
        context.note("The state is free.")
        return {}


def _locks(context: StepContext) -> tuple[LockInfo, ...]:
    place = root_of(context).state
    if place is None:
        # Terraform itself refuses to unlock a local state for another process (statemgr/filesystem.go).
        raise UsageError(
            "This state is not in S3. Of a local one the operating system holds the lock, and ends it with its process.",
            mend="Wait for that process, or end it: .terraform.tfstate.lock.info beside the state says who began it.",
        )
    if not place.use_lockfile and not place.lock_table:
        raise UsageError(
            "Nothing is known of a lock of this state.",
            cause="Neither the settings nor the code's backend name lock_table (dynamodb_table) or use_lockfile.",
            mend="Set one of them, if the state is locked at all.",
        )
    return state_lock.all_held(context.reads, place, place.bucket, place.key)


RUNBOOK = Runbook(
    name="state-unlock",
    title="Release a state's lock",
    summary="Show who holds the lock of a Terraform state, and release it where its holder is gone.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        Input("lock", "text", "the lock's id; default: whatever it is"),
        recovery.REASON,
    ),
    gates=(*policy.GATES, policy.FAILURE),
    steps=(Init(for_lock=True), Look(), Unlock(), Verify()),
    overtakes=False,
)
