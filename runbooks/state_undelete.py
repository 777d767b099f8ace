"""Restore a lost Terraform state: take away what lies on the last version that Terraform stored.

That is a delete marker, something that is no state, or another state that was written outside of Terraform; with `version` also one
of another project that Terraform itself was made to store. Nothing is written: the very version that was stored before is current
again, so serial and lineage fit, and but for the last case the digest in the lock table. A push cannot do that, since Terraform
refuses every command on a state that it cannot read or whose digest differs, and a push of another lineage. That removing what
lies on a version makes it current is from the S3 user guide (Managing delete markers; Restoring previous versions).
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
    Input,
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    aws_command,
)
from infraconsole.errors import AwsNotFound, StepFailed, UnknownName, UsageError
from infraconsole.runbooks import recovery
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.terraform_root import refuse_locked, root_of, sha256, write_private
from infraconsole.terraform.backend import S3Backend
from infraconsole.terraform.state import StateSummary, StateTooNew, StateUnreadable, summary

_LOOKED_AT = 20
"""Versions with content, in search of the last whole one."""
_MARKERS = 1_000
"""Delete markers among them: one for each time that somebody deleted what was deleted."""


class _Version(NamedTuple):
    """`state` is None where there is no content, or none that is a state; `too_new` where a newer Terraform wrote it."""

    stored: StoredObject
    body: bytes
    state: StateSummary | None
    too_new: bool = False

    @property
    def id(self) -> str:
        return self.stored.version_id


class _Found(NamedTuple):
    """`lost` is what lies on `last`, the newest version that is a whole state of Terraform's own, or the one that was asked for.
    `digest` is what the lock table keeps, "" where it keeps nothing."""

    lost: tuple[_Version, ...]
    last: _Version | None
    digest: str
    foreign: _Version | None = None
    """The newest whole version before `last`, where it is of another lineage."""


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
                mend=_no_loss(context, found) if found.last else "Check state_bucket and state_key, and the account.",
            )
        if found.last is None or found.last.state is None:
            raise StepFailed(
                f"No whole version is among the newest {_LOOKED_AT} of {where}.",
                mend="Look for a backup: infraconsole journal lists the runs that made one.",
            )
        _refuse_what_is_no_loss(context, found, found.last.state)
        refuse_locked(context, root_of(context))
        lines: list[str] = []
        for place_in_list, version in enumerate(found.lost, start=1):
            told = _words(version, past_terraform=not context.inputs.get("version"))
            lines.append(f"version {version.id} is taken away: {told}")
            if version.body:
                copy = context.folder / f"removed-{place_in_list}.tfstate"
                write_private(copy, version.body)
                context.evidence(f"copy of version {version.id}", f"sha256 {sha256(copy)}  {copy}")
                lines.append(f"  a copy of it stays in {copy}")
        last = found.last
        if found.digest not in ("", found.last.state.md5):
            lines.append(f"afterwards the lock table's digest has to be repaired: {run_line(context, 'digest-repair')}")
        comes_back = f"serial {found.last.state.serial}, {found.last.state.resource_count} resources"
        context.note(
            f"Since {text.ago(found.lost[-1].stored.modified_at, context.now())} something lies on the last state. What "
            f"comes back was stored {text.local_time(last.stored.modified_at)}: {comes_back}."
        )
        context.output(*lines)
        return {
            "lost": [version.id for version in found.lost],
            "irreversible": _irreversible(context, found),
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
            typed_name=bool(looked["irreversible"]),
            danger=root_of(context).protection.danger,
            title=f"Bring the lost state of {context.target} back",
            changes=(looked["words"], *looked["lines"]),
            irreversible=looked["irreversible"],
        )

    def probe(self, context: StepContext) -> Probe:
        looked = context.result("look")
        found = _find(context)
        if not found.lost:
            same = found.last is not None and found.last.id == looked["last"]
            said = "It is back." if same else "Another state was stored meanwhile."
            return Probe(ProbeState.DONE, said, {"changed": context.has_sent()})
        if not {version.id for version in found.lost} <= set(looked["lost"]):
            return Probe(ProbeState.OVERTAKEN, "Something else lies on it by now.", back_to="look")
        refuse_locked(context, root_of(context))
        return Probe(ProbeState.NOT_DONE, "It still lies there.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        place, shown = _place(context), context.result("look")["lost"]
        for version in _find(context).lost:
            if version.id in shown:
                context.change("s3", "DeleteObject", Bucket=place.bucket, Key=place.key, VersionId=version.id)
        return {"changed": True}

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"version": str(answer.get("VersionId") or ""), "was_marker": bool(answer.get("DeleteMarker"))}


class Verify(Step):
    id = "verify"
    title = "Read it"
    why = "What Terraform finds from now on."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        place = _place(context)
        try:
            stored = S3(context.reads).get(place.bucket, place.key)
        except AwsNotFound as error:
            raise StepFailed(
                "The state is still deleted.", cause=error.title, mend="Look at the versions, then start a new run."
            ) from error
        looked = context.result("look")
        if stored.version_id in looked["lost"]:
            raise StepFailed(
                f"Version {stored.version_id} was taken away, and is still current.",
                mend="Look at the versions, then start a new run.",
            )
        if stored.version_id != looked["last"]:
            context.note(f"Another state is current: version {stored.version_id}, stored meanwhile.", warning=True)
        now = summary(stored.body or b"", "The stored state")
        context.note(f"The stored state has serial {now.serial} and {now.resource_count} resources.")
        kept = _digest(context)
        if kept not in ("", state_digest.calculated(stored.body or b"")):
            context.note(
                "The lock table's digest is that of what was taken away, so that every Terraform command fails. Repair it: "
                f"{run_line(context, 'digest-repair')}",
                warning=True,
            )
        return {"serial": now.serial}


def _place(context: StepContext) -> S3Backend:
    place = root_of(context).state
    if place is None:
        raise UsageError("This state is not in S3.", mend="Only a bucket with versions can bring a lost one back.")
    return place


def _digest(context: StepContext) -> str:
    place = _place(context)
    return state_digest.kept(context.reads, place.lock_table, place.bucket, place.key) if place.lock_table else ""


def _find(context: StepContext) -> _Found:
    versions = _versions(context)
    digest = _digest(context)
    wanted = context.inputs.get("version", "")
    if wanted:
        at = next((number for number, version in enumerate(versions) if version.id == wanted), None)
        if at is None or versions[at].state is None:
            known = [version.id for version in versions if version.state]
            raise UnknownName(
                "whole version", wanted, known, where=f"among the newest {_LOOKED_AT} of {_place(context).key}"
            )
    else:
        at = state_digest.last_stored([version.state for version in versions], digest)
    if at is None:
        return _Found(tuple(versions), None, digest)
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
    before = next((version for version in versions[at + 1 :] if version.state), None)
    is_foreign = before is not None and before.state and last.state and before.state.lineage != last.state.lineage
    return _Found(tuple(lost), last, digest, before if is_foreign else None)


def _versions(context: StepContext) -> list[_Version]:
    """The newest ones, until there are enough with content: markers cost nothing to look at."""
    place = _place(context)
    found: list[_Version] = []
    for stored in islice(S3(context.reads).versions(place.bucket, place.key), _LOOKED_AT + _MARKERS):
        found.append(_read(context, stored))
        if sum(not version.stored.is_delete_marker for version in found) >= _LOOKED_AT:
            break
    return found


def _no_loss(context: StepContext, found: _Found) -> str:
    if found.foreign is None or context.inputs.get("version"):
        return "An earlier version is put back by state-rollback."
    line = f"{run_line(context, 'state-undelete')} --set version={found.foreign.id}"
    return f"The version before it is of another lineage. Where that is the right one: {line}"


def _refuse_what_is_no_loss(context: StepContext, found: _Found, last: StateSummary) -> None:
    """Raises StepFailed where something would be taken away that belongs there."""
    if any(version.too_new for version in found.lost):
        raise StepFailed(
            "A newer Terraform wrote what is stored, or OpenTofu encrypted it: it is in a format that is not known here.",
            cause="It may be whole, so that nothing is taken away.",
            mend="Use a newer infraconsole, or Terraform by hand.",
        )
    if context.inputs.get("version"):
        same = next(
            (version for version in found.lost if version.state and version.state.lineage == last.lineage), None
        )
        if same is not None:
            raise StepFailed(
                f"On version {context.inputs['version']} lies one of the same lineage: {same.id}.",
                cause="That one is no loss: to take it away would lose what it says.",
                mend=f"Bring back {same.id}, where something lies on that; state-rollback puts an earlier one back then.",
            )


def _read(context: StepContext, stored: StoredObject) -> _Version:
    if stored.is_delete_marker:
        return _Version(stored, b"", None)
    body = S3(context.reads).get(stored.bucket, stored.key, stored.version_id).body or b""
    try:
        return _Version(stored, body, state_digest.summary_with_md5(body, f"Version {stored.version_id}"))
    except StateUnreadable as error:
        return _Version(stored, body, None, isinstance(error, StateTooNew))


def _irreversible(context: StepContext, found: _Found) -> list[str]:
    if all(version.stored.is_delete_marker for version in found.lost):
        return []
    told = ["What is taken away is gone from the bucket: only the copy here is left of it."]
    stored = next((version.state for version in found.lost if version.state), None)
    if context.inputs.get("version") and stored is not None:
        told.append(
            f"If the stored state is the right one, Terraform loses sight of all {stored.resource_count} resources in it: no push "
            "puts it back over another lineage."
        )
    return told


def _words(version: _Version, *, past_terraform: bool) -> str:
    if version.stored.is_delete_marker:
        return "a delete marker"
    if version.state is None:
        return f"no state that can be read, {version.stored.size_bytes:,} bytes"
    state = version.state
    past = ", written outside of Terraform" if past_terraform else ""
    return f"serial {state.serial}, {state.resource_count} resources, lineage {state.lineage}{past}"


RUNBOOK = Runbook(
    name="state-undelete",
    title="Restore a lost Terraform state",
    summary="Take away what lies on a state's last whole version: a delete marker, or what is no state of Terraform's.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        Input(
            "version",
            "text",
            "the version to be current again, where the stored one is another project's; default: the last that Terraform stored",
        ),
        recovery.REASON,
    ),
    gates=(*policy.GATES, policy.DANGEROUS, policy.FAILURE),
    steps=(Look(), Undelete(), Verify()),
)
