"""Bring a lost Terraform state back: take away what lies on the last version that Terraform stored.

That is a delete marker, something that is no state, or another state that was written past Terraform. Nothing is written: the
very version that was stored last is current again, so serial, lineage and the digest in the lock table fit. A push cannot do
that, since Terraform refuses every command on a state that it cannot read or whose digest differs. That removing what lies on
a version makes it current is from the S3 user guide (Managing delete markers; Restoring previous versions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from infraconsole import text
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.checks import state_digest
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import (
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    aws_command,
)
from infraconsole.errors import StepFailed, UsageError
from infraconsole.runbooks import recovery
from infraconsole.runbooks.terraform_root import refuse_locked, root_of, sha256, write_private
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.state import StateSummary, StateUnreadable, summary

_LOOKED_AT = 20
"""Versions, in search of the last whole one."""


class _Version(NamedTuple):
    """`state` is None where there is no content, or none that is a state."""

    stored: StoredObject
    body: bytes
    state: StateSummary | None

    @property
    def id(self) -> str:
        return self.stored.version_id


class _Found(NamedTuple):
    """`lost` is what lies on `last`, the newest version that is a whole state of Terraform's own."""

    lost: tuple[_Version, ...]
    last: _Version | None


class Look(Step):
    id = "look"
    title = "Look at what lies on the state"
    why = "Since when Terraform finds no state of its own there, and which one comes back."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        place = _place(context)
        where = f"s3://{place.bucket}/{place.key}"
        found = _find(context)
        if not found.lost:
            raise StepFailed(
                f"{where} is not deleted, and a whole state." if found.last else f"There never was a state at {where}.",
                mend="An earlier version is put back by state-rollback."
                if found.last
                else "Check state_bucket and state_key, and the account.",
            )
        if found.last is None or found.last.state is None:
            raise StepFailed(
                f"No whole version is among the newest {_LOOKED_AT} of {where}.",
                mend="Look for a backup: infraconsole journal lists the runs that made one.",
            )
        refuse_locked(context, root_of(context))
        lines: list[str] = []
        for place_in_list, version in enumerate(found.lost, start=1):
            lines.append(f"version {version.id} is taken away: {_words(version)}")
            if version.body:
                copy = context.folder / f"removed-{place_in_list}.tfstate"
                write_private(copy, version.body)
                context.evidence(f"copy of version {version.id}", f"sha256 {sha256(copy)}  {copy}")
                lines.append(f"  a copy of it stays in {copy}")
        last = found.last
        comes_back = f"serial {found.last.state.serial}, {found.last.state.resource_count} resources"
        context.note(
            f"Since {text.ago(found.lost[-1].stored.modified_at, context.now())} something lies on the last state. What "
            f"comes back was stored {text.local_time(last.stored.modified_at)}: {comes_back}."
        )
        context.output(*lines)
        return {
            "lost": [version.id for version in found.lost],
            "content": any(not version.stored.is_delete_marker for version in found.lost),
            "last": last.id,
            "words": f"version {last.id} is current again: {comes_back}, stored {text.local_time(last.stored.modified_at)}",
            "lines": lines,
        }


class Undelete(Step):
    id = "undelete"
    title = "Take away what lies on it"
    why = "By its own version ids: what Terraform stored last is not touched, and is current again."
    changes = True
    calls = ("s3:DeleteObject",)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        place = _place(context)
        profile = context.config.environment(context.target.environment).profile
        about = {"bucket": place.bucket, "key": place.key}
        return tuple(
            aws_command(context.target, profile, "s3api", "delete-object", **about, version_id=version)
            for version in context.result("look")["lost"]
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked = context.result("look")
        return recovery.gates(
            context,
            self,
            typed_name=looked["content"],
            title=f"Bring the lost state of {context.target} back",
            changes=(looked["words"], *looked["lines"]),
            irreversible=("What is taken away is gone from the bucket: only the copy here is left of it.",)
            if looked["content"]
            else (),
        )

    def probe(self, context: StepContext) -> Probe:
        looked = context.result("look")
        found = _find(context)
        if not found.lost:
            same = found.last is not None and found.last.id == looked["last"]
            return Probe(ProbeState.DONE, "It is back." if same else "Another state was stored meanwhile.")
        if not {version.id for version in found.lost} <= set(looked["lost"]):
            return Probe(ProbeState.OVERTAKEN, "Something else lies on it by now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, "It still lies there.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        place = _place(context)
        for version in _find(context).lost:
            context.change("s3", "DeleteObject", Bucket=place.bucket, Key=place.key, VersionId=version.id)
        return {"changed": True}


class Verify(Step):
    id = "verify"
    title = "Read it"
    why = "What Terraform finds from now on."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        place = _place(context)
        stored = S3(context.reads).get(place.bucket, place.key)
        if stored.version_id != context.result("look")["last"]:
            context.note(f"Another state is current: version {stored.version_id}, stored meanwhile.", warning=True)
        now = summary(stored.body or b"", "The stored state")
        context.note(f"The stored state has serial {now.serial} and {now.resource_count} resources.")
        return {"serial": now.serial}


def _place(context: StepContext) -> S3Backend:
    place = root_of(context).state
    if place is None:
        raise UsageError("This state is not in S3.", mend="Only a bucket with versions can bring a lost one back.")
    return place


def _find(context: StepContext) -> _Found:
    place = _place(context)
    versions = [
        _read(context, stored) for stored in islice(S3(context.reads).versions(place.bucket, place.key), _LOOKED_AT)
    ]
    table = place.lock_table
    digest = state_digest.kept(context.reads, table, place.bucket, place.key) if table else ""
    at = _last_whole(versions, digest)
    if at is None:
        return _Found(tuple(versions), None)
    last = versions[at]
    lost = versions[:at]
    if lost:
        # S3 tells times to the second: of a marker of the very second of that version nobody knows whether it lies above
        # it. To take away one that lies below changes nothing but the history of deletions.
        lost += [
            version
            for version in versions[at + 1 :]
            if version.stored.is_delete_marker and version.stored.modified_at == last.stored.modified_at
        ]
    return _Found(tuple(lost), last)


def _last_whole(versions: Sequence[_Version], digest: str) -> int | None:
    """The place of the newest version that Terraform stored itself: whole, and where a digest tells, with nothing but what
    nobody can use above it, or what does not go on from it."""
    whole = next((place for place, version in enumerate(versions) if version.state), None)
    kept = next(
        (
            place
            for place, version in enumerate(versions)
            if version.body and state_digest.calculated(version.body) == digest
        ),
        None,
    )
    if whole is None or kept is None or kept <= whole:
        return whole
    newest, told = versions[whole].state, versions[kept].state
    # A newer one of the same lineage may be Terraform's own, of which only the digest was not written: digest-repair's.
    goes_on = newest and told and newest.lineage == told.lineage and newest.serial > told.serial
    return whole if goes_on or told is None else kept


def _read(context: StepContext, stored: StoredObject) -> _Version:
    if stored.is_delete_marker:
        return _Version(stored, b"", None)
    body = S3(context.reads).get(stored.bucket, stored.key, stored.version_id).body or b""
    try:
        return _Version(stored, body, summary(body))
    except StateUnreadable:
        return _Version(stored, body, None)


def _words(version: _Version) -> str:
    if version.stored.is_delete_marker:
        return "a delete marker"
    if version.state is None:
        return f"no state that can be read, {version.stored.size_bytes:,} bytes"
    state = version.state
    return f"serial {state.serial}, {state.resource_count} resources, lineage {state.lineage}, written past Terraform"


RUNBOOK = Runbook(
    name="state-undelete",
    title="Bring a lost Terraform state back",
    summary="Take away what lies on a state's last whole version: a delete marker, or what is no state of Terraform's.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        recovery.REASON,
    ),
    gates=(*policy.GATES, policy.FAILURE),
    steps=(Look(), Undelete(), Verify()),
)
