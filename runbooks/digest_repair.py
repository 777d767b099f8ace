"""Mend the digest that Terraform's S3 backend keeps in the lock table, where it disagrees with the stored state.

Until it agrees every Terraform command fails, `state push` included. That happens where the object was written past
Terraform, or a write broke off. So the state is read and judged first: the digest is made to say what is stored, under the
lock, and only behind the typed name. The items are those of Terraform's backend/remote-state/s3/client.go.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from infraconsole import text
from infraconsole.aws.s3 import S3
from infraconsole.checks import state_digest
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Probe, ProbeState, Runbook, Step, StepContext, aws_command
from infraconsole.errors import StepFailed, UsageError
from infraconsole.runbooks import recovery
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.terraform_root import (
    held_lock,
    own_lock,
    refuse_locked,
    root_of,
    stored_object,
    summary_of,
)
from infraconsole.terraform.state import LockInfo, StateSummary, StateUnreadable, summary

_LOOKED_BACK = 10
"""Versions, in search of the one that the table's checksum was made of."""


class Look(Step):
    id = "look"
    title = "Compare state and digest"
    why = "Both checksums, and whether what is stored is a whole state."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        stored = stored_object(context, bucket, key)
        now = summary_of(context, root_of(context), stored.body or b"" if stored else None)
        if stored is None or now is None:
            raise StepFailed(f"There never was a state at s3://{bucket}/{key}, so no digest can be right.")
        body = stored.body or b""
        calculated, kept = state_digest.calculated(body), _digest(context)
        context.note(
            f"Stored since {text.local_time(stored.modified_at)}: serial {now.serial}, {now.resource_count} resources, "
            f"Terraform {now.terraform_version}, lineage {now.lineage}."
        )
        context.note(f"Its checksum is {calculated}; {table} says {kept or 'nothing'}.")
        doubts: list[str] = []
        if calculated == kept:
            context.note("They agree: there is nothing to repair.")
        else:
            doubts = _doubts(context, stored.version_id, now, kept)
            for doubt in doubts:
                context.note(doubt, warning=True)
        return {
            "calculated": calculated,
            "kept": kept,
            "serial": now.serial,
            "resources": now.resource_count,
            "lineage": now.lineage,
            "agree": calculated == kept,
            "doubts": doubts,
            "at": context.now().isoformat().replace("+00:00", "Z"),
        }


class TakeLock(Step):
    id = "take-lock"
    title = "Lock the state"
    why = "So that nobody stores a state while its digest is repaired."
    changes = True
    calls = ("dynamodb:PutItem",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (_take(context),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        bucket, key, table = _place(context)
        return recovery.gates(
            context,
            self,
            typed_name=True,
            title=f"Repair the digest of the state of {context.target}",
            changes=(
                f"{table}: {state_digest.key_of(bucket, key)} says {looked['calculated']} instead of {looked['kept'] or 'nothing'}",
                f"The stored state stays as it is: serial {looked['serial']}, {looked['resources']} resources.",
                f"Its lineage is {looked['lineage']}.",
            ),
            irreversible=(
                *looked["doubts"],
                "If the stored state is the wrong one, Terraform takes it for the right one from then on.",
            ),
            commands=(_take(context), _put(context), _release(context)),
        )

    def probe(self, context: StepContext) -> Probe:
        if context.result("look")["agree"]:
            return Probe(ProbeState.DONE, "There is nothing to repair.", {"lock": ""})
        lock = _held(context)
        if lock is not None and lock.id == _lock_id(context):
            return Probe(ProbeState.DONE, "The lock is ours.", {"lock": lock.id, "changed": True})
        refuse_locked(context, root_of(context))
        if what := _other_by_now(context):
            return Probe(ProbeState.OVERTAKEN, f"Another {what} is stored by now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, "The lock is free.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        _, _, table = _place(context)
        context.change("dynamodb", "PutItem", TableName=table, Item=_lock_item(context), ConditionExpression=_NO_LOCK)
        return {"lock": _lock_id(context), "changed": True}


class Mend(Step):
    id = "mend"
    title = "Write the digest"
    why = "What the stored state's checksum is: read once more, under the lock."
    changes = True
    calls = ("dynamodb:PutItem",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (_put(context),)

    def probe(self, context: StepContext) -> Probe:
        if context.result("look")["agree"]:
            return Probe(ProbeState.DONE, "There is nothing to repair.")
        wanted = context.result("look")["calculated"]
        if _digest(context) == wanted:
            return Probe(ProbeState.DONE, "The digest agrees.", {"digest": wanted})
        lock = _held(context)
        if not context.dry_run and (lock is None or lock.id != _lock_id(context)):
            raise StepFailed(
                "The state's lock is not ours any more.",
                cause=f"{lock.who} holds it: {lock.operation}, lock {lock.id}." if lock else "Nobody holds it.",
                mend="Nothing is written without it. Start a new run.",
            )
        if what := _other_by_now(context):
            raise StepFailed(
                f"Another {what} is stored by now, although the lock is held.",
                mend="Find out who stored it. The lock is still ours: "
                f"{run_line(context, 'state-unlock')} --set lock={_lock_id(context)}",
            )
        return Probe(ProbeState.NOT_DONE, "The digest still differs.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        wanted = context.result("look")["calculated"]
        kept = context.result("look")["kept"]
        item = {"LockID": {"S": state_digest.key_of(bucket, key)}, "Digest": {"S": wanted}}
        # Whoever stores a state writes its digest too: one that is another by now is not overwritten.
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(Digest)"}
        if kept:
            condition = {
                "ConditionExpression": "Digest = :kept",
                "ExpressionAttributeValues": {":kept": {"S": kept}},
            }
        context.change("dynamodb", "PutItem", TableName=table, Item=item, **condition)
        if (found := _digest(context)) != wanted:
            raise StepFailed(
                "The digest that was written is not the one that is kept.",
                cause=f"{table} keeps {found or 'none'}, {wanted} was written.",
                mend="Look at the table. The lock is still ours: "
                f"{run_line(context, 'state-unlock')} --set lock={_lock_id(context)}",
            )
        return {"digest": wanted, "changed": True}


class Release(Step):
    id = "release"
    title = "Unlock the state"
    why = "Only ours, by its id."
    changes = True
    calls = ("dynamodb:DeleteItem",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (_release(context),)

    def probe(self, context: StepContext) -> Probe:
        lock = _held(context)
        if lock is None or lock.id != _lock_id(context):
            return Probe(ProbeState.DONE, "The lock is not ours any more.")
        return Probe(ProbeState.NOT_DONE, "The lock is ours.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        context.change(
            "dynamodb",
            "DeleteItem",
            TableName=table,
            Key={"LockID": {"S": f"{bucket}/{key}"}},
            ConditionExpression="contains(Info, :id)",
            ExpressionAttributeValues={":id": {"S": _lock_id(context)}},
        )
        lock = _held(context)
        if lock is not None and lock.id == _lock_id(context):
            raise StepFailed(
                "The lock was given back, and is still there.",
                mend=f"Release it: {run_line(context, 'state-unlock')} --set lock={lock.id}",
            )
        return {"changed": True}


def _place(context: StepContext) -> tuple[str, str, str]:
    """Bucket, key and lock table. Raises UsageError where there is no digest."""
    place = root_of(context).state
    if place is None or not place.lock_table:
        raise UsageError(
            "This state has no digest.", cause="Only states in S3 with a lock table have one.", mend="Set lock_table."
        )
    return place.bucket, place.key, place.lock_table


def _checksum_now(context: StepContext) -> str:
    bucket, key, _ = _place(context)
    return state_digest.calculated(S3(context.reads).get(bucket, key).body or b"")


def _other_by_now(context: StepContext) -> str:
    """Which of the two is not what was looked at; "" where both are."""
    looked = context.result("look")
    if _checksum_now(context) != looked["calculated"]:
        return "state"
    return "digest" if _digest(context) != looked["kept"] else ""


def _digest(context: StepContext) -> str:
    bucket, key, table = _place(context)
    return state_digest.kept(context.reads, table, bucket, key)


def _held(context: StepContext) -> LockInfo | None:
    return held_lock(context, root_of(context))


def _lock_id(context: StepContext) -> str:
    return own_lock(context.folder.name)


_NO_LOCK = "attribute_not_exists(LockID)"


def _lock_item(context: StepContext) -> Mapping[str, Any]:
    bucket, key, _ = _place(context)
    info = {
        "ID": _lock_id(context),
        "Operation": "infraconsole digest-repair",
        "Info": "",
        "Who": f"{context.operator}@{socket.gethostname()}",
        "Version": "",
        "Created": context.result("look")["at"],
        "Path": f"{bucket}/{key}",
    }
    return {"LockID": {"S": f"{bucket}/{key}"}, "Info": {"S": json.dumps(info)}}


def _doubts(context: StepContext, version_id: str, now: StateSummary, kept: str) -> list[str]:
    """What speaks against the stored state: that the versions before it were another project's, newer, or larger."""
    bucket, key, _ = _place(context)
    doubts: list[str] = []
    before: StateSummary | None = None
    for version in islice(S3(context.reads).versions(bucket, key), _LOOKED_BACK):
        if version.is_delete_marker or version.version_id == version_id:
            continue
        body = S3(context.reads).get(bucket, key, version.version_id).body or b""
        if kept and state_digest.calculated(body) == kept:
            doubts.append(
                f"The table's checksum is that of version {version.version_id}, stored {text.local_time(version.modified_at)}: "
                "what is stored was written outside of Terraform. infraconsole run state-undelete brings that version back."
            )
        if before is None:
            try:
                before = summary(body)
            except StateUnreadable:
                continue
    if before is not None and before.lineage != now.lineage:
        doubts.insert(0, f"It is another project's: the version before has the lineage {before.lineage}.")
    elif before is not None and before.serial > now.serial:
        doubts.insert(0, f"The version before has a higher serial: {before.serial}.")
    return doubts


def _take(context: StepContext) -> Sequence[str]:
    _, _, table = _place(context)
    item = _lock_item(context)
    return _aws(context, "put-item", table_name=table, item=item, condition_expression=_NO_LOCK)


def _put(context: StepContext) -> Sequence[str]:
    bucket, key, table = _place(context)
    item = {"LockID": {"S": state_digest.key_of(bucket, key)}, "Digest": {"S": context.result("look")["calculated"]}}
    return _aws(context, "put-item", table_name=table, item=item)


def _release(context: StepContext) -> Sequence[str]:
    bucket, key, table = _place(context)
    return _aws(context, "delete-item", table_name=table, key={"LockID": {"S": f"{bucket}/{key}"}})


def _aws(context: StepContext, verb: str, **options: object) -> Sequence[str]:
    profile = context.config.environment(context.target.environment).profile
    return aws_command(context.target, profile, "dynamodb", verb, **options)


RUNBOOK = Runbook(
    name="digest-repair",
    title="Repair a state's digest",
    summary="Make the lock table's digest say what the stored Terraform state is, after both were looked at.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        recovery.REASON,
    ),
    gates=(*policy.GATES, policy.FAILURE),
    steps=(Look(), TakeLock(), Mend(), Release()),
    overtakes=False,
)
