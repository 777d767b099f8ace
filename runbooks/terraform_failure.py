"""What went wrong with a Terraform command: its own words, and what is known to help.

Its words only propose: the same sentence may come from a provisioner, a check or a provider, and may no longer hold when it is
read. So each is looked up before it is said in our own name: the file is there, the lock is held, the serial moved, AWS says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infraconsole import text
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.s3 import S3
from infraconsole.aws.sts import identity
from infraconsole.checks import state_digest, state_lock
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import (
    AwsError,
    AwsNotFound,
    CredentialsExpired,
    CredentialsMissing,
    InfraconsoleError,
    TerraformHeldUp,
)
from infraconsole.runbooks.killed import killed_by, lock_sentence
from infraconsole.terraform import backend, commands, complaints, runner
from infraconsole.terraform.events import Diagnostic
from infraconsole.terraform.runner import Ended
from infraconsole.terraform.state import DUMPED, LockInfo, StateUnreadable, summary
from infraconsole.terraform.texts import Kind, Trouble

if TYPE_CHECKING:
    from infraconsole.runbooks.terraform_root import Root

DIGEST_DIFFERS = "The state is not the one that its digest was made of."
_NOT_STORED = (
    "What was applied could not be stored: it lies in errored.tfstate.",
    "Before anything else: infraconsole run state-recover pushes it.",
)
_UNLOCK = "Wait for its holder; where that is gone: infraconsole run state-unlock."
_SAID_ALONE = {
    Kind.PROVIDER_UNAVAILABLE: (
        "A provider could not be installed.",
        "Check the network, or the provider mirror of Terraform's CLI configuration.",
    ),
    Kind.LOCK_FAILED: ("", ""),
    Kind.BACKEND_MISSING: ("", ""),
    Kind.LOCK_FILE_INCONSISTENT: ("", ""),
    Kind.OLDER_SERIAL: ("", ""),
    Kind.SAME_SERIAL: ("", ""),
    Kind.OTHER_LINEAGE: ("", ""),
}
"""What cannot be looked up: believed only where Terraform itself says it, and never what something is done for. A sentence and
what helps; "" for Terraform's own words."""
_HOLDS_UP = (Kind.LOCK_HELD, Kind.DIGEST_MISMATCH)
_SET_UP_AGAIN = (Kind.INIT_REQUIRED, Kind.MODULE_MISSING)


@dataclass(frozen=True)
class Fact:
    """What a look at the thing itself gave. `holds` is None where it could not be looked at: then `sentence` says whose words they
    are. Where it does not hold, `sentence` is a remark, "" where there is nothing to say."""

    holds: bool | None
    sentence: str = ""
    mend: str = ""
    said: str = ""


_NOTHING = Fact(False)


def failure(
    context: StepContext,
    root: Root,
    ended: Ended,
    title: str,
    diagnostics: Sequence[Diagnostic] | None = None,
    *,
    kept: Path | None = None,
    left: Sequence[str] = (),
    way_on: str = "",
) -> InfraconsoleError:
    """What went wrong with a command, in Terraform's own words, and what to do where it is known what they mean. `kept` is where
    a state that Terraform could store nowhere stands (lost_state.py), `left` what an apply has left half done, `way_on` what to do
    where the words say nothing of that."""
    if by := killed_by(ended.code):
        lock = lock_sentence(context, root) if commands.writes(ended.command[1:]) else ""
        said = [*left, *(diagnostic_line(found) for found in diagnostics or () if found.is_error), ended.errors(), lock]
        return ended.error(f"{title} Terraform was killed ({by}).", "\n".join(part for part in said if part), way_on)
    heard = diagnostics or ()
    shown = [*left, *(diagnostic_line(found) for found in heard if found.is_error)]
    facts = Facts(context, root, ended, kept, has_begun=bool(left))
    stated = {found.kind for found in complaints.stated(ended, diagnostics)}
    remarks: list[Fact] = []
    for trouble in complaints.proposed(ended, diagnostics):
        fact = facts.of(trouble, stated=trouble.kind in stated)
        if fact.holds is False:
            remarks += [fact] if fact.sentence else []
            continue
        error = ended.error(f"{title} {fact.sentence}", fact.said or "\n".join(shown) or trouble.words, fact.mend)
        if fact.holds and trouble.kind in _HOLDS_UP and not facts.has_begun:
            return TerraformHeldUp(
                error.title, command=error.command, code=error.code, words=error.words, mend=error.mend
            )
        return error
    mend = way_on or next((remark.mend for remark in remarks if remark.mend), "")
    if not remarks:
        return ended.error(title, "\n".join(shown), mend)
    words = shown or [ended.errors()]
    return ended.error(title, "\n".join((*words, *(remark.sentence for remark in remarks))), mend)


@dataclass(frozen=True)
class Facts:
    """Looks up what a failed command's words propose. `has_begun`: whether it had begun to change anything."""

    context: StepContext
    root: Root
    ended: Ended
    kept: Path | None = None
    has_begun: bool = False

    def of(self, trouble: Trouble, *, stated: bool) -> Fact:
        """`stated`: Terraform says it itself, not in words that an error quotes. Raises nothing of AWS's."""
        if trouble.kind in _SAID_ALONE:
            sentence, mend = _SAID_ALONE[trouble.kind]
            return Fact(None, sentence or trouble.words, mend) if stated else _NOTHING
        if trouble.kind in _SET_UP_AGAIN:
            return self._set_up_again(trouble) if stated else _NOTHING
        try:
            return self._looked_up(trouble)
        except (AwsError, StateUnreadable) as error:
            return Fact(None, f"Terraform says: {trouble.words}", said=f"It could not be looked up: {error.title}")

    def _looked_up(self, trouble: Trouble) -> Fact:
        match trouble.kind:
            case Kind.STATE_NOT_PERSISTED | Kind.STATE_LOST:
                return self._not_stored()
            case Kind.CANCELED | Kind.INTERRUPTED:
                return Fact(True, trouble.words) if self._was_interrupted else _NOTHING
            case Kind.DIGEST_MISMATCH:
                return self._digest()
            case Kind.CREDENTIALS_EXPIRED | Kind.NO_CREDENTIALS:
                return self._credentials()
            case Kind.NO_BUCKET:
                return self._bucket(trouble)
            case Kind.LOCK_HELD:
                return self._locked(trouble)
            case Kind.LOCK_NOT_RELEASED:
                lock = self._lock()
                return Fact(True, "The state's lock was not released.", _UNLOCK, _held(lock)) if lock else _NOTHING
        return self._stale(trouble)

    def _not_stored(self) -> Fact:
        if self.kept is not None:
            return Fact(True, *_of_lost_state(self.ended, self.kept))
        if (self.root.folder / backend.ERRORED_STATE).is_file():
            return Fact(True, *_NOT_STORED)
        try:
            unmoved = self.has_begun and self._is_unmoved()
        except (AwsError, StateUnreadable):
            unmoved = None
        if unmoved is not False:
            sentence, mend = _of_lost_state(self.ended, None)
            return Fact(unmoved, sentence if unmoved else f"Terraform says: {sentence}", mend)
        spoken = f"The errors speak of a state that could not be stored; there is none in {self.root.folder}"
        return Fact(False, f"{spoken}, and none in the output.")

    @property
    def _was_interrupted(self) -> bool:
        return (self.ended.stdout.parent / runner.INTERRUPTED).exists()

    def _digest(self) -> Fact:
        place = self.root.state
        if place is None or not place.lock_table:
            return _NOTHING
        kept = state_digest.kept(self.context.reads, place.lock_table, place.bucket, place.key)
        try:
            stored = S3(self.context.reads).get(place.bucket, place.key)
        except AwsNotFound as error:
            if error.code != "NoSuchKey" or not kept:
                raise
            mend = "Where the state was deleted, infraconsole run state-undelete brings it back."
            return Fact(True, DIGEST_DIFFERS, mend, f"{place.lock_table} keeps {kept}, and no state is stored.")
        calculated = state_digest.calculated(stored.body or b"")
        if kept == calculated:
            return Fact(False, "The lock table's digest is that of the stored state now.", "Try again.")
        mend = (
            "infraconsole run digest-repair compares the two and repairs the digest; where the state was deleted, "
            "state-undelete brings it back."
        )
        return Fact(True, DIGEST_DIFFERS, mend, f"{place.lock_table} keeps {kept}, the stored state has {calculated}.")

    def _credentials(self) -> Fact:
        reads = self.context.reads
        try:
            # Not through the run's own access, which waits for new ones.
            who = identity(AwsAccess(region=reads.region, profile=reads.profile))
        except (CredentialsExpired, CredentialsMissing) as error:
            return Fact(True, error.title, error.mend)
        remark = (
            f"The errors speak of credentials; AWS accepts those of this run ({who.arn}). A provider may use others."
        )
        return Fact(False, remark)

    def _bucket(self, trouble: Trouble) -> Fact:
        place = self.root.state
        if place is None or trouble.detail.get("bucket") != place.bucket:
            return _NOTHING
        try:
            self.context.reads.call("s3", "HeadBucket", Bucket=place.bucket)
        except AwsNotFound:
            return Fact(True, "The state's bucket does not exist.", "Check state_bucket, and the account.")
        return Fact(False, f"The bucket {place.bucket} exists now.", "Try again.")

    def _locked(self, trouble: Trouble) -> Fact:
        if self.root.state is None:
            # A local state's lock is the operating system's, and ends with its process.
            return Fact(None, "Terraform says that the state is locked.", _UNLOCK, _held(trouble.lock))
        if lock := self._lock():
            return Fact(True, "The state is locked.", _UNLOCK, _held(lock))
        return Fact(False, "The errors speak of a lock; nobody holds the state now.", "Try again.")

    def _lock(self) -> LockInfo | None:
        place = self.root.state
        return state_lock.held(self.context.reads, place, place.bucket, place.key) if place else None

    def _stale(self, trouble: Trouble) -> Fact:
        if self.has_begun:
            return _NOTHING  # Terraform refuses a stale plan before it begins
        is_unmoved = self._is_unmoved()
        if is_unmoved is None:
            return Fact(None, f"Terraform says: {trouble.words}", "Make a new plan.")
        if is_unmoved:
            return Fact(False, "The errors speak of a stale plan; the stored state is the one it was made from.")
        return Fact(True, "The plan is stale: the state has changed since it was made.", "Make a new plan.")

    def _is_unmoved(self) -> bool | None:
        """Whether the stored state still is the one that the run's plan was made from; None where it is not known."""
        bound, place = self.context.result("plan").get("bound"), self.root.state
        if place is None or not bound:
            return None
        try:
            stored = summary(S3(self.context.reads).get(place.bucket, place.key).body or b"")
        except AwsNotFound as error:
            return not bound["lineage"] if error.code == "NoSuchKey" else None
        return (stored.lineage, stored.serial) == (bound["lineage"], bound["serial"])

    def _set_up_again(self, trouble: Trouble) -> Fact:
        backend.forget_init(self.root.data)  # so that what is promised here is what the next step does
        return Fact(True, trouble.words, "Run it again: Terraform is set up again first.")


def _held(lock: LockInfo | None) -> str:
    if lock is None:
        return ""
    return f"Held by {lock.who} since {text.local_time(lock.created)}, {lock.operation}; lock {lock.id}."


def _of_lost_state(ended: Ended, kept: Path | None) -> tuple[str, str]:
    """A sentence and what helps, by where that state stands."""
    if kept is not None and kept.name == backend.ERRORED_STATE:
        return _NOT_STORED
    sentence, before = (
        "What was applied could not be stored, nor could errored.tfstate be written",
        "Before anything else:",
    )
    if kept is not None and kept != ended.stdout:
        mend = f"copy {kept} into the folder of the code as errored.tfstate; infraconsole run state-recover pushes it."
        return f"{sentence}: it lies in {kept}.", f"{before} {mend}"
    mend = (
        f'{ended.stdout} has the line "{DUMPED}". What stands behind its "state": belongs into errored.tfstate in the folder '
        "of the code; infraconsole run state-recover pushes it. Where there is no such line, what the apply made has to be "
        "imported: terraform import."
    )
    return f"{sentence}.", f"{before} {mend}"


def diagnostic_line(found: Diagnostic) -> str:
    where = f" ({found.file}:{found.line})" if found.file else f" ({found.address})" if found.address else ""
    detail = f": {' '.join(found.detail.split())}" if found.detail else ""
    return f"{found.severity.capitalize()}: {found.summary}{detail}{where}"
