"""Put an earlier version of a Terraform state back, and see what Terraform would do then.

A state rollback is not an infrastructure rollback: it changes what Terraform remembers, not what is there. So the version is
pushed with the next serial and nothing else changed, and the plan that follows is shown before anything is applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from infraconsole import files, text
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.checks import git
from infraconsole.engine import kept_states, policy
from infraconsole.engine.gate import Choice, Gate, GateKind, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Offer, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import AwsError, StepFailed, UnknownName, UsageError
from infraconsole.runbooks import lost_state, recovery
from infraconsole.runbooks.plan_reading import ReadPlan
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.state_authors import authors
from infraconsole.runbooks.state_push import (
    Pushed,
    PushState,
    VerifyStored,
    difference_lines,
    is_from_newer,
    shortened,
    to_be_pushed,
)
from infraconsole.runbooks.terraform_root import (
    RESTORED_FILE,
    Root,
    initialise,
    refuse_errored_state,
    refuse_locked,
    refuse_wrong_digest,
    root_of,
    sha256,
    stored_state,
    summary_of,
    write_private,
)
from infraconsole.runbooks.terraform_steps import ApplyPlan, Init, MakePlan
from infraconsole.terraform import commands, state_diff
from infraconsole.terraform.state import StateSummary, StateUnreadable, summary, with_serial

BACKUP_FILE = "backup.tfstate"
CHOSEN_FILE = "chosen.tfstate"
_OFFERED = 30
"""How many versions a person is offered, more where none of them can be chosen; any other can be named."""
_LOOKED_AT = 300
_ANOTHER_LINEAGE = "it has another lineage"
_ANOTHER = Offer("choose-again", "Choose another version", back_to="choose")


class BackUp(Step):
    id = "back-up"
    title = "Back the state up"
    why = "As it is now, into a file that only you can read: with it, this rollback can be undone."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (root_of(context).by_hand(commands.state_pull()),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        _refuse_what_was_not_stored(context, root)
        if root.state is None:
            initialise(context, root)
        body = stored_state(context, root)
        now = summary_of(context, root, body)
        if body is None or now is None:
            raise StepFailed(
                "There is no state to roll back.",
                cause="Terraform would accept any state of any project then.",
                mend="Check state_bucket and state_key, and the account."
                if root.state
                else "Look where the code's backend has it: terraform state pull",
            )
        refuse_wrong_digest(context, root, body)
        if not now.lineage:
            raise StepFailed(
                "The stored state has no lineage.",
                cause="Without one Terraform cannot tell whether another state belongs to it.",
                mend="Look at it by hand: terraform state pull",
            )
        kept = _keep(context.folder, body)
        context.note(
            f"Serial {now.serial}, {now.resource_count} resources, Terraform {now.terraform_version}; kept in {kept}."
        )
        context.evidence("backup", f"sha256 {sha256(kept)}  {kept}")
        return {
            "serial": now.serial,
            "lineage": now.lineage,
            "resources": now.resource_count,
            "terraform": now.terraform_version,
            "sha256": sha256(kept),
            "file": kept.name,
        }


class Choose(Step):
    id = "choose"
    title = "Choose the version"
    why = "By serial, age and size; delete markers, other lineages and newer Terraform versions cannot be chosen."

    def gates(self, context: StepContext) -> Sequence[Gate]:
        if _set_version(context):
            return ()
        root = root_of(context)
        if root.state is None:
            raise UsageError(
                "This state is not in S3, so it has no versions.", mend="Name a file: --set version=file:PATH"
            )
        choices, more = _choices(context, root)
        if not any(not choice.why_not for choice in choices):
            where = f" among the newest {len(choices)}" if more else ""
            raise StepFailed(
                f"No earlier version{where} can be put back.",
                cause="\n".join(f"{choice.title}: {choice.why_not}" for choice in choices[:5]),
                mend=_no_choice(context, choices, more=more),
            )
        title = f"Which state shall {context.target.name} have?"
        if more:
            title += f" These are the newest {len(choices)}; an older one is put back from the state's own screen."
        return (Gate("version", GateKind.CHOOSE, title, choices=choices),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        named = context.answer("version") or _set_version(context)
        body, told = _body(context, root, named)
        chosen = summary(body, told)
        current = files.read(context.folder / context.result("back-up")["file"], files.MOST_STATE_BYTES)
        write_private(context.folder / CHOSEN_FILE, body)
        difference = state_diff.compare(current, body, before_name="the stored state", after_name=told)
        if difference.is_empty and difference.is_same_lineage:
            raise UsageError(f"{told} says the same as the stored state.", mend="Choose another version.")
        lines = difference_lines(difference)
        context.note(f"{told}: serial {chosen.serial}, {chosen.resource_count} resources; {difference.words()}.")
        context.output(*lines)
        context.evidence("what the rollback changes in the state", "\n".join((difference.words(), *lines)))
        return {
            "version": named,
            "told": told,
            "serial": chosen.serial,
            "lineage": chosen.lineage,
            "terraform": chosen.terraform_version,
            "words": difference.words(),
            "lines": shortened(lines),
        }

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


class Check(Step):
    id = "check"
    title = "Check the version"
    why = "Of the same lineage, not from a newer Terraform, and the code that belonged to it."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root, chosen, backed_up = root_of(context), context.result("choose"), context.result("back-up")
        if chosen["lineage"] != backed_up["lineage"]:
            raise StepFailed(
                "That state and the stored one are of different projects.",
                cause=f"Its lineage is {chosen['lineage'] or 'missing'}, the stored one's {backed_up['lineage']}.",
                mend=f"Choose a version of the stored one's lineage. {_of_another_lineage(context, chosen['version'])}".strip(),
            )
        if is_from_newer(chosen["terraform"], root):
            ours = root.terraform.binary.version
            raise StepFailed(
                f"That state was written by Terraform {chosen['terraform']}; this one is {ours}.",
                mend="Use that Terraform, or a newer one.",
            )
        undo_needs = backed_up["terraform"] if is_from_newer(backed_up["terraform"], root) else ""
        if undo_needs:
            context.note(
                f"Terraform {undo_needs} wrote the stored state, this one is {root.terraform.binary.version}: it "
                "could not put that back again.",
                warning=True,
            )
        serial = backed_up["serial"] + 1
        body = with_serial(files.read(context.folder / CHOSEN_FILE, files.MOST_STATE_BYTES), serial, chosen["told"])
        to_be_pushed(context, RESTORED_FILE, body)
        refuse_locked(context, root)
        commit = _commit_of(context, root, chosen["version"])
        if commit.id:
            context.note(
                f"The code of that time is commit {commit.short} of {commit.at}: {commit.subject}", warning=True
            )
        context.note(
            "An old state with newer code may recreate things, or lose sight of them: read the plan that follows."
        )
        return {
            "serial": serial,
            "sha256": sha256(context.folder / RESTORED_FILE),
            "commit": commit.id,
            "undo_needs": undo_needs,
        }

    def offers(self) -> Sequence[Offer]:
        return (_ANOTHER,)


class Push(PushState):
    why = "With the next serial, nothing else changed, and never by force: Terraform checks lineage and serial itself."
    file = RESTORED_FILE
    back_to = "back-up"

    def pushed(self, context: StepContext) -> Pushed:
        backed_up = context.result("back-up")
        return Pushed(backed_up["serial"], backed_up["lineage"], context.result("check")["serial"])

    def gates(self, context: StepContext) -> Sequence[Gate]:
        chosen, checked, backed_up = (context.result(step) for step in ("choose", "check", "back-up"))
        return recovery.gates(
            context,
            self,
            danger=root_of(context).protection.danger,
            title=f"Put the state of {context.target} back to {chosen['told']}",
            changes=(
                f"serial {backed_up['serial']} is followed by {checked['serial']} or one more, with what {chosen['serial']} said",
                chosen["words"],
                *chosen["lines"],
                "Saved plans of this state are void after this.",
                f"It can be undone{_with_newer(context)}: {_undo(context)}",
            ),
        )

    def probe(self, context: StepContext) -> Probe:
        found = super().probe(context)
        if found.state is ProbeState.NOT_DONE:
            _refuse_what_was_not_stored(context, root_of(context))
        return found


class VerifyPushed(VerifyStored):
    def act(self, context: StepContext) -> Mapping[str, Any]:
        result = super().act(context)
        # Said here: the run may end at a later gate, and what it did then must not have to be looked for.
        context.note(
            f"The state was put back. Undo{_with_newer(context)}, as long as nothing is applied: {_undo(context)}",
            warning=True,
        )
        return result


class Ending(Step):
    id = "ending"
    title = "What follows"
    why = "What the next apply would do, and whether this can still be undone."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        read, applied = context.result("read-plan"), context.result("apply")
        if read["words"] == "nothing to do":
            context.note("Terraform has nothing to do: state and infrastructure agree.")
        elif not applied.get("changed"):
            context.note(
                f"The next apply would do this: {read['words']}. Nothing was applied; deploy the code that fits.",
                warning=True,
            )
        if applied.get("changed"):
            context.note(
                "The backup is older than what was applied: put back, it would lose sight of what was made.",
                warning=True,
            )
        return {}


def _set_version(context: StepContext) -> str:
    """The version that was set for the run. Once the run went back to the choice itself, it is chosen anew: the set one is what
    did not do. Where it went back to look at the state again, it still is the one that is wanted."""
    chosen_anew = len(context.former("choose")) > len(context.former("back-up"))
    return "" if chosen_anew else context.inputs.get("version", "")


def _refuse_what_was_not_stored(context: StepContext, root: Root) -> None:
    """Raises StepFailed where an apply has left a state that is stored nowhere: with another one pushed, that could never be."""
    lost_state.refuse(context, root)
    refuse_errored_state(context, root)


def _no_choice(context: StepContext, choices: Sequence[Choice], *, more: bool) -> str:
    if more:
        return f"Name an older one: --set version=…; :state {context.target.service} lists them all."
    other = next((choice.id for choice in choices if choice.why_not == _ANOTHER_LINEAGE), "")
    return _of_another_lineage(context, other) if other else ""


def _of_another_lineage(context: StepContext, version: str) -> str:
    """What puts a version of another lineage back, where the stored one is what does not belong there."""
    if ":" in version or not version:
        return ""
    line = f"{run_line(context, 'state-undelete')} --set version={version}"
    return f"Where the stored one is the wrong one, what lies on that version can be taken away: {line}"


def _with_newer(context: StepContext) -> str:
    """Where the backup is from a newer Terraform than ours."""
    needed = context.result("check")["undo_needs"]
    return f", with Terraform {needed} or newer" if needed else ""


def _undo(context: StepContext) -> str:
    _, _, number = Path(context.result("back-up")["file"]).stem.partition("-")
    which = f"backup:{context.folder.name}{f':{number}' if number else ''}"
    return f"{run_line(context, 'state-rollback')} --set version={which}"


def _keep(folder: Path, body: bytes) -> Path:
    """The backup, in a file of its own: an earlier one of this run, of another state, is not overwritten."""
    number = 1
    while (file := folder / _backup_file(number)).exists() and files.read(file, files.MOST_STATE_BYTES) != body:
        number += 1
    if not file.exists():
        write_private(file, body)
    return file


def _backup_file(number: int) -> str:
    """`backup:RUN` means the first of a run, `backup:RUN:2` the second."""
    return BACKUP_FILE if number == 1 else f"backup-{number}.tfstate"


def _versions(context: StepContext, root: Root) -> Iterator[StoredObject]:
    place = root.state
    return S3(context.reads).versions(place.bucket, place.key) if place else iter(())


def _choices(context: StepContext, root: Root) -> tuple[tuple[Choice, ...], bool]:
    """The newest versions, until enough of them can be chosen; and whether there are more."""
    versions, backed_up = _versions(context, root), context.result("back-up")
    found: list[Choice] = []
    while listed := list(islice(versions, _OFFERED)):
        with ThreadPoolExecutor(8) as pool:
            known = list(pool.map(lambda version: _summary_of(context, version), listed))
        by = authors(context, listed) if not found else {}
        found += [
            _choice(context, root, version, summary, by.get(version.version_id, ""), backed_up)
            for version, summary in zip(listed, known, strict=True)
        ]
        if any(not choice.why_not for choice in found) or len(found) >= _LOOKED_AT:
            break
    return tuple(found), next(versions, None) is not None


def _summary_of(context: StepContext, version: StoredObject) -> StateSummary | str:
    """Or why there is none."""
    if version.is_delete_marker:
        return "the object was deleted here"
    try:
        body = S3(context.reads).get(version.bucket, version.key, version.version_id).body or b""
        return summary(body, "This version")
    except (StateUnreadable, AwsError) as error:  # one that is archived or gone by now keeps nobody from the others
        return error.title


def _choice(
    context: StepContext,
    root: Root,
    version: StoredObject,
    found: StateSummary | str,
    author: str,
    backed_up: Mapping[str, Any],
) -> Choice:
    by = f"  by {author}" if author else ""
    age = text.ago(version.modified_at, context.now())
    if isinstance(found, str):
        title = "deleted" if version.is_delete_marker else "unreadable"
        return Choice(version.version_id, f"{title}  {age} ago{by}", why_not=found)
    why_not = ""
    if version.is_latest:
        why_not = "it is the stored one"
    elif found.lineage != backed_up["lineage"]:
        why_not = _ANOTHER_LINEAGE
    elif is_from_newer(found.terraform_version, root):
        why_not = f"it was written by Terraform {found.terraform_version}"
    detail = (
        f"version {version.version_id}",
        f"written {text.local_time(version.modified_at)}",
        f"{found.size_bytes:,} bytes, Terraform {found.terraform_version}",
    )
    title = f"serial {found.serial}  {age} ago  {found.resource_count} resources{by}"
    return Choice(version.version_id, title, detail, recommended=False, why_not=why_not)


def _body(context: StepContext, root: Root, named: str) -> tuple[bytes, str]:
    """The state that `named` means, and how it is called. Raises UsageError, UnknownName."""
    kind, _, rest = named.partition(":")
    if kind == "backup" and rest:
        run, _, number = rest.partition(":")
        number = number or "1"
        file = context.folder.parent / run / _backup_file(int(number) if number.isdecimal() else 0)
        if not run.isalnum() or not kept_states.is_there(file):
            raise UnknownName("backup", rest, _backups(context.folder.parent), mend="A backup has its run's id.")
        return _kept(context, file), f"the backup of run {rest}"
    if kind == "file" and rest:
        try:
            return _kept(context, Path(rest).expanduser()), rest
        except OSError as error:
            raise files.unread(error, rest, UsageError) from error
    if root.state is None:
        raise UsageError("This state is not in S3.", mend="Name a file: --set version=file:PATH")
    for version in _versions(context, root):
        if version.version_id == named:
            if version.is_delete_marker:
                raise UsageError(f"Version {named} is a delete marker.", mend="Choose a version with content.")
            body = S3(context.reads).get(version.bucket, version.key, named).body or b""
            return body, f"version {named} of {text.local_time(version.modified_at)}"
    known = [version.version_id for version in islice(_versions(context, root), 10) if not version.is_delete_marker]
    raise UnknownName("state version", named, known, where=f"of {root.state.key}")


def _kept(context: StepContext, file: Path) -> bytes:
    return kept_states.read(file, context.config.engine, context.folder.parent)


def _backups(folder: Path) -> list[str]:
    return sorted({file.parent.name for file in folder.glob(f"*/{BACKUP_FILE}*")})


def _commit_of(context: StepContext, root: Root, named: str) -> git.Commit:
    if ":" in named:
        return git.Commit()
    for version in _versions(context, root):
        if version.version_id == named and version.modified_at:
            return git.at(root.folder, version.modified_at)
    return git.Commit()


def _wanted(context: StepContext) -> bool:
    return context.inputs.get("apply") == "yes"


RUNBOOK = Runbook(
    name="state-rollback",
    title="Roll back a Terraform state",
    summary="Back the state up, put an earlier version back with the next serial, and show the plan that follows.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        Input(
            "version", "text", "an S3 version id, backup:RUN or file:PATH; default: asks, and needed without a terminal"
        ),
        Input(
            "apply",
            "choice",
            "whether to apply the plan that follows, as a deploy",
            default="no",
            choices=("yes", "no"),
        ),
        recovery.REASON,
    ),
    gates=(
        GateSpec("version", GateKind.CHOOSE, "which version, where none is set"),
        *policy.GATES,
        policy.DANGEROUS,
        policy.AFTER_ANOTHER,
        policy.FAILURE,
    ),
    steps=(
        BackUp(),
        Init(),
        Choose(),
        Check(),
        Push(),
        VerifyPushed(RESTORED_FILE),
        MakePlan(),
        ReadPlan(),
        ApplyPlan(Purpose.DEPLOY, _wanted, after_another=True),
        Ending(),
    ),
)
