"""Mend the digest that Terraform's S3 backend keeps in the lock table, where it disagrees with the stored state.

Until it agrees every Terraform command fails, `state push` included. That happens where the object was written past
Terraform, or a write broke off. So the state is read and judged first: the digest is made to say what is stored, under the
lock, and only behind the typed name. The items are those of Terraform's backend/remote-state/s3/client.go.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from infraconsole import text
from infraconsole.aws.dynamodb import DynamoDb
from infraconsole.aws.s3 import S3
from infraconsole.checks import state_lock
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate, GateKind, GateSpec
from infraconsole.engine.history import FAILURE_GATE
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Probe, ProbeState, Runbook, Step, StepContext, aws_command
from infraconsole.errors import AwsNotFound, StepFailed, UsageError
from infraconsole.runbooks.terraform_root import root_of
from infraconsole.terraform.state import summary


class Look(Step):
    id = "look"
    title = "Compare state and digest"
    why = "Both checksums, and whether what is stored is a whole state."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        try:
            stored = S3(context.reads).get(bucket, key)
        except AwsNotFound as error:
            if error.code == "NoSuchBucket":
                raise
            raise StepFailed(
                f"There is no state at s3://{bucket}/{key}, so no digest can be right.",
                mend="Where it was deleted, infraconsole run state-undelete brings it back.",
            ) from error
        body = stored.body or b""
        now = summary(body, f"s3://{bucket}/{key}")
        calculated, kept = _checksum(body), _digest(context)
        context.note(
            f"Stored since {text.local_time(stored.modified_at)}: serial {now.serial}, {now.resource_count} resources, "
            f"Terraform {now.terraform_version}, lineage {now.lineage}."
        )
        context.note(f"Its checksum is {calculated}; {table} says {kept or 'nothing'}.")
        if calculated == kept:
            context.note("They agree: there is nothing to mend.")
        return {"calculated": calculated, "kept": kept, "serial": now.serial, "agree": calculated == kept}


class TakeLock(Step):
    id = "take-lock"
    title = "Take the state's lock"
    why = "So that nobody stores a state while its digest is mended."
    changes = True
    calls = ("dynamodb:PutItem",)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        bucket, key, table = _place(context)
        return policy.gates(
            policy.policy_for(
                Purpose.RECOVERY, context.config.environment(context.target.environment), typed_name=True
            ),
            context.target,
            title=f"Mend the digest of the state of {context.target}",
            changes=(
                f"{table}: {bucket}/{key}-md5 says {looked['calculated']} instead of {looked['kept'] or 'nothing'}",
                f"The stored state stays as it is: serial {looked['serial']}.",
            ),
            irreversible=("If the stored state is the wrong one, Terraform takes it for the right one from then on.",),
            reason=context.inputs.get("reason", "") or context.answer("reason"),
            now=context.now(),
        )

    def probe(self, context: StepContext) -> Probe:
        if context.result("look")["agree"]:
            return Probe(ProbeState.DONE, "There is nothing to mend.", {"lock": ""})
        lock = _held(context)
        if lock is not None and lock.id == _lock_id(context):
            return Probe(ProbeState.DONE, "The lock is ours.", {"lock": lock.id, "changed": True})
        if lock is not None:
            raise StepFailed(
                f"{lock.who} holds the state's lock.", cause=f"{lock.operation}, lock {lock.id}.", mend="Wait for it."
            )
        if _checksum_now(context) != context.result("look")["calculated"]:
            return Probe(ProbeState.OVERTAKEN, "Another state is stored by now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, "The lock is free.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        info = {
            "ID": _lock_id(context),
            "Operation": "infraconsole digest-repair",
            "Info": "",
            "Who": f"{context.operator}@{socket.gethostname()}",
            "Version": "",
            "Created": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "Path": f"{bucket}/{key}",
        }
        context.change(
            "dynamodb",
            "PutItem",
            TableName=table,
            Item={"LockID": {"S": f"{bucket}/{key}"}, "Info": {"S": json.dumps(info)}},
            ConditionExpression="attribute_not_exists(LockID)",
        )
        return {"lock": info["ID"], "changed": True}


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
            return Probe(ProbeState.DONE, "There is nothing to mend.")
        wanted = context.result("look")["calculated"]
        if _digest(context) == wanted:
            return Probe(ProbeState.DONE, "The digest agrees.", {"digest": wanted})
        if _checksum_now(context) != wanted:
            raise StepFailed(
                "Another state is stored by now, although the lock is held.",
                mend=f"Find out who stored it. The lock is still ours: state-unlock --set lock={_lock_id(context)}",
            )
        return Probe(ProbeState.NOT_DONE, "The digest still differs.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        bucket, key, table = _place(context)
        wanted = context.result("look")["calculated"]
        item = {"LockID": {"S": f"{bucket}/{key}-md5"}, "Digest": {"S": wanted}}
        context.change("dynamodb", "PutItem", TableName=table, Item=item)
        return {"digest": wanted, "changed": True}


class Release(Step):
    id = "release"
    title = "Give the lock back"
    why = "Only ours, by its id."
    changes = True
    calls = ("dynamodb:DeleteItem",)

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
        return {"changed": True}


def _place(context: StepContext) -> tuple[str, str, str]:
    """Bucket, key and lock table. Raises UsageError where there is no digest."""
    root = root_of(context)
    table = context.config.environment(context.target.environment).lock_table
    if root.backend is None or not table:
        raise UsageError(
            "This state has no digest.", cause="Only states in S3 with a lock table have one.", mend="Set lock_table."
        )
    return root.backend.bucket, root.backend.key, table


def _checksum(body: bytes) -> str:
    # Terraform's own choice; it guards against a stale read, not against an attacker.
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _checksum_now(context: StepContext) -> str:
    bucket, key, _ = _place(context)
    return _checksum(S3(context.reads).get(bucket, key).body or b"")


def _digest(context: StepContext) -> str:
    bucket, key, table = _place(context)
    return (DynamoDb(context.reads).item(table, f"{bucket}/{key}-md5") or {}).get("Digest", "")


def _held(context: StepContext) -> Any:
    bucket, key, _ = _place(context)
    return state_lock.held(context.reads, context.config.environment(context.target.environment), bucket, key)


def _lock_id(context: StepContext) -> str:
    """The same after a crash: the run's."""
    return f"infraconsole-{context.folder.name}"


def _put(context: StepContext) -> Sequence[str]:
    bucket, key, table = _place(context)
    item = {"LockID": {"S": f"{bucket}/{key}-md5"}, "Digest": {"S": context.result("look")["calculated"]}}
    profile = context.config.environment(context.target.environment).profile
    return aws_command(context.target, profile, "dynamodb", "put-item", table_name=table, item=item)


RUNBOOK = Runbook(
    name="digest-repair",
    title="Mend a state's digest",
    summary="Make the lock table's digest say what the stored Terraform state is, after both were looked at.",
    purpose=Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "the service, or an infrastructure module", required=True),
        Input("environment", "environment", "the environment, as in prod", required=True),
        Input("reason", "text", "why, for the record; asked for in prod where it is not given"),
    ),
    gates=(*policy.GATES, GateSpec(FAILURE_GATE, GateKind.CHOOSE, "how to go on after a failed step")),
    steps=(Look(), TakeLock(), Mend(), Release()),
)
