"""Bring a deleted Terraform state back: take the delete markers away that lie on its newest version.

Nothing is written: the very version that was stored last is current again, so serial, lineage and the digest in the lock table
fit. A push could not do that, since with a digest left Terraform refuses every command on the missing state. That removing a
delete marker restores the object is from the S3 user guide (Managing delete markers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole import text
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.checks import state_lock
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate, GateKind, GateSpec
from infraconsole.engine.history import FAILURE_GATE
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import (
    Input,
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    aws_command,
    command_line,
)
from infraconsole.errors import StepFailed, UsageError
from infraconsole.runbooks.terraform_root import root_of
from infraconsole.terraform.state import StateUnreadable, summary


class Look(Step):
    id = "look"
    title = "Look at what was deleted"
    why = "Since when there is no state, and which one comes back."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key = _place(context)
        markers, newest = _top(context)
        if not markers:
            raise StepFailed(
                f"s3://{bucket}/{key} is not deleted."
                if newest
                else f"There never was a state at s3://{bucket}/{key}.",
                mend="An earlier version is put back by state-rollback."
                if newest
                else "Check state_bucket and state_key, and the account.",
            )
        if newest is None:
            raise StepFailed(
                f"No version is left of s3://{bucket}/{key}, only the mark that it was deleted.",
                mend="Look for a backup: infraconsole journal lists the runs that made one.",
            )
        about = context.config.environment(context.target.environment)
        if lock := state_lock.held(context.reads, about, bucket, key):
            raise StepFailed(
                f"{lock.who} holds the state's lock.",
                cause=f"{lock.operation}, lock {lock.id}.",
                mend="Wait for it; where its holder is gone: infraconsole run state-unlock.",
            )
        try:
            found = summary(S3(context.reads).get(bucket, key, newest.version_id).body or b"", "The newest version")
            words = f"serial {found.serial}, {found.resource_count} resources, lineage {found.lineage}"
        except StateUnreadable as error:
            context.note(f"{error.title} Roll it back to an earlier one afterwards.", warning=True)
            words = error.title
        context.note(
            f"Deleted {text.ago(markers[-1].modified_at, context.now())} ago, at {text.local_time(markers[-1].modified_at)}. "
            f"What comes back was stored {text.local_time(newest.modified_at)}: {words}."
        )
        return {
            "markers": [marker.version_id for marker in markers],
            "newest": newest.version_id,
            "words": words,
            "stored": text.local_time(newest.modified_at),
        }


class Undelete(Step):
    id = "undelete"
    title = "Take the delete marker away"
    why = "By its own version id: no content is touched, and what was stored last is current again."
    changes = True
    calls = ("s3:DeleteObject",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        bucket, key = _place(context)
        profile = context.config.environment(context.target.environment).profile
        return tuple(
            aws_command(context.target, profile, "s3api", "delete-object", bucket=bucket, key=key, version_id=marker)
            for marker in context.result("look")["markers"]
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        return policy.gates(
            policy.policy_for(Purpose.RECOVERY, context.config.environment(context.target.environment)),
            context.target,
            title=f"Bring the deleted state of {context.target} back",
            changes=(
                f"version {looked['newest']} is current again, stored {looked['stored']}",
                looked["words"],
                f"{len(looked['markers'])} delete marker{'s' * (len(looked['markers']) != 1)} taken away; no content is",
            ),
            commands=[command_line(command) for command in self.commands(context)],
            reason=context.inputs.get("reason", "") or context.answer("reason"),
            now=context.now(),
        )

    def probe(self, context: StepContext) -> Probe:
        looked = context.result("look")
        markers, newest = _top(context)
        if not markers:
            same = newest is not None and newest.version_id == looked["newest"]
            return Probe(ProbeState.DONE, "It is back." if same else "Another state was stored meanwhile.")
        if not {marker.version_id for marker in markers} <= set(looked["markers"]):
            return Probe(ProbeState.OVERTAKEN, "It was deleted once more.", back_to="look")
        return Probe(ProbeState.NOT_DONE, "It is deleted.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key = _place(context)
        for marker in _top(context)[0]:
            context.change("s3", "DeleteObject", Bucket=bucket, Key=key, VersionId=marker.version_id)
        return {"changed": True}


class Verify(Step):
    id = "verify"
    title = "Read it"
    why = "What Terraform finds from now on."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key = _place(context)
        stored = S3(context.reads).get(bucket, key)
        if stored.version_id != context.result("look")["newest"]:
            context.note(f"Another state is current: version {stored.version_id}, not the deleted one.", warning=True)
        try:
            now = summary(stored.body or b"", "The stored state")
        except StateUnreadable as error:
            context.note(f"{error.title} infraconsole run state-rollback puts an earlier version back.", warning=True)
            return {}
        context.note(f"The stored state has serial {now.serial} and {now.resource_count} resources.")
        return {"serial": now.serial}


def _place(context: StepContext) -> tuple[str, str]:
    root = root_of(context)
    if root.backend is None:
        raise UsageError("This state is not in S3.", mend="Only a bucket with versions can bring a deleted one back.")
    return root.backend.bucket, root.backend.key


def _top(context: StepContext) -> tuple[list[StoredObject], StoredObject | None]:
    """The delete markers that lie on the newest version, and that version; no markers where it is the current one.

    S3 tells times to the second: of a marker of the very second of that version nobody knows whether it lies above it. To take
    away one that lies below changes nothing but the history of deletions.
    """
    above: list[StoredObject] = []
    newest: StoredObject | None = None
    for version in S3(context.reads).versions(*_place(context)):
        if newest is None and not version.is_delete_marker:
            if not above:
                return [], version
            newest = version
        elif newest is None or (version.is_delete_marker and version.modified_at == newest.modified_at):
            above.append(version)
        elif version.modified_at != newest.modified_at:
            break
    return above, newest


RUNBOOK = Runbook(
    name="state-undelete",
    title="Bring a deleted Terraform state back",
    summary="Take away the delete marker that lies on a state's newest version, so that Terraform finds it again.",
    purpose=Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "the service, or an infrastructure module", required=True),
        Input("environment", "environment", "the environment, as in prod", required=True),
        Input("reason", "text", "why, for the record; asked for in prod where it is not given"),
    ),
    gates=(*policy.GATES, GateSpec(FAILURE_GATE, GateKind.CHOOSE, "how to go on after a failed step")),
    steps=(Look(), Undelete(), Verify()),
)
