"""Storing a whole state by `terraform state push`, once: what a state rollback and the recovery of a state that was not stored
have in common. What `state push` accepts is from Terraform's statemgr.CheckValidImport.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from infraconsole import files
from infraconsole.checks import stateful
from infraconsole.engine.runbook import Probe, ProbeState, Step, StepContext
from infraconsole.errors import StepFailed
from infraconsole.runbooks import state_history
from infraconsole.runbooks.killed import lost
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_root import (
    Root,
    initialise,
    refuse_locked,
    root_of,
    stored_state,
    write_private,
)
from infraconsole.terraform import commands, state_diff
from infraconsole.terraform.runner import Ended, Lost, NotStarted, Running
from infraconsole.terraform.state import StateSummary, summary

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": "→"}
_PUSHED = ".pushed"
"""Behind the name of a file, once its push has begun."""
_ATTRIBUTES_SHOWN = 6
_LINES_SHOWN = 40


class Pushed(NamedTuple):
    """What a push starts from: serial and lineage of what is stored before ("" and 0 where nothing is), and the serial of what
    is pushed."""

    before: int
    lineage: str
    serial: int


class PushState(Step):
    """Pushes `file` of the run's folder. The gates are each runbook's own."""

    id = "push"
    title = "Push the state"
    changes = True
    calls = ("terraform:state-push",)
    file: str
    back_to: str
    """The step that looks at the stored state anew, where another one is stored by now."""

    @abstractmethod
    def pushed(self, context: StepContext) -> Pushed: ...

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (root_of(context).by_hand(commands.state_push(context.folder / self.file)),)

    def probe(self, context: StepContext) -> Probe:
        ended = self._ended(context)
        what = self.pushed(context)
        stored = stored_state(context, root_of(context)) or b""
        now = summary(stored, "The stored state") if stored else None
        if self._is_stored(context, stored, what):
            return Probe(ProbeState.DONE, f"It is stored, with serial {serial_of(now)}.", {"serial": serial_of(now)})
        if ended is not None and not ended.code and now is not None and now.serial > what.before:
            self._refuse_overwritten(context, what)
            # It was pushed, and nothing that came afterwards is to be overwritten.
            said = f"It was pushed; somebody has stored serial {now.serial} since."
            return Probe(ProbeState.DONE, said, {"serial": what.serial, "changed": True, "since": now.serial})
        if (serial_of(now), now.lineage if now else "") != (what.before, what.lineage):
            return Probe(
                ProbeState.OVERTAKEN,
                f"The stored state has serial {serial_of(now)} by now; it had {what.before}.",
                back_to=self.back_to,
            )
        if ended is not None and ended.code:
            raise failure(context, root_of(context), ended, "The push failed.")
        refuse_locked(context, root_of(context))
        return Probe(ProbeState.NOT_DONE, f"The stored state is as it was looked at: serial {serial_of(now)}.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        initialise(context, root)
        arguments = commands.state_push(context.folder / self.file)
        what = self.pushed(context)
        try:
            ended = context.terraform_change(
                "terraform:state-push",
                root.terraform,
                arguments,
                lambda line: context.output(line),
                begins=lambda: write_private(context.folder / f"{self.file}{_PUSHED}", b""),
            )
        except Lost as error:
            if not self._is_stored(context, stored_state(context, root) or b"", what):
                raise lost(context, root, error, "The push was cut off, and nothing of it is stored.") from error
            context.note(f"{error.title} It is stored all the same.", warning=True)
            return {"serial": what.serial, "changed": True}
        if ended.code:
            context.wait(0)  # where somebody asked to stop, that is what it was
            failed = failure(context, root, ended, "The push failed.")
            if not self._is_stored(context, stored_state(context, root) or b"", what):
                raise failed
            context.note(f"{failed.title} It is stored all the same. {failed.mend}".strip(), warning=True)
        return {"serial": what.serial, "changed": True}

    def _ended(self, context: StepContext) -> Ended | None:
        """How the push of this very file ended, where it was started, also where that was recorded before a crash."""
        try:
            if (ended := context.terraform_ended(lambda line: context.output(line))) is not None:
                return ended
            if not (context.folder / f"{self.file}{_PUSHED}").exists():
                return None
            newest = max(context.folder.glob("*-state-push"), default=None)
            return Running.attach(newest).ended() if newest else None
        except NotStarted:
            return None
        except Lost as error:
            context.note(f"{error.title} What is stored tells.", warning=True)
            return None

    def _refuse_overwritten(self, context: StepContext, what: Pushed) -> None:
        """Raises StepFailed where what was pushed was not changed since, but stored over by an apply that had begun before."""
        history = state_history.since(context, root_of(context), "", what.before)
        if history is None or history.is_one_line:
            return
        versions = ", ".join(f"version {each.id} (serial {each.serial})" for each in history.overwritten)
        raise StepFailed(
            "It was pushed, and another command that ran at the same time stored its own state over it.",
            cause=f"The next state was not made from {versions}.",
            mend="Look at both versions, then start a new run. A state lock prevents this: use_lockfile or lock_table.",
        )

    def _is_stored(self, context: StepContext, stored: bytes, what: Pushed) -> bool:
        if not stored or not is_same(
            stored, files.read(context.folder / self.file, files.MOST_STATE_BYTES), is_first=not what.lineage
        ):
            return False
        return not what.lineage or summary(stored, "The stored state").serial >= what.serial


def to_be_pushed(context: StepContext, file: str, body: bytes) -> None:
    """Leave `body` for a push: whatever was pushed before in this run was another one."""
    write_private(context.folder / file, body)
    (context.folder / f"{file}{_PUSHED}").unlink(missing_ok=True)


class VerifyStored(Step):
    id = "verify-stored"
    title = "Read it back"
    why = "What is stored is what counts. Terraform may add one to the serial, and nothing else."

    def __init__(self, file: str, is_first: Callable[[StepContext], bool] = lambda _: False) -> None:
        self._file = file
        self._is_first = is_first

    def act(self, context: StepContext) -> Mapping[str, Any]:
        stored = stored_state(context, root_of(context)) or b""
        wanted = context.folder / self._file
        now = summary(stored, "The stored state")
        if since := context.result("push").get("since"):
            context.note(
                f"It was pushed, and serial {since} was stored since: not by this run, which leaves it.", warning=True
            )
            return {"serial": now.serial}
        if not is_same(stored, files.read(wanted, files.MOST_STATE_BYTES), is_first=self._is_first(context)):
            raise StepFailed(
                "What is stored is not what was pushed.",
                cause=f"It has serial {now.serial}.",
                mend=f"Somebody else may have stored it. What was pushed is in {wanted}.",
            )
        digest = hashlib.sha256(stored).hexdigest()
        context.note(
            f"The stored state has serial {now.serial} and the content that was pushed (sha256 {digest[:16]})."
        )
        return {"serial": now.serial, "sha256": digest}


def is_same(stored: bytes, wanted: bytes, *, is_first: bool = False) -> bool:
    """Whether they say the same. Terraform sorts and encodes a state anew when it stores it, and may count its serial up; the
    first state of a place gets a lineage of its own and the serial 1, whatever was pushed (states/remote/state.go)."""
    difference = state_diff.compare(stored, wanted, before_name="The stored state", after_name="The pushed state")
    return difference.is_empty and (is_first or difference.is_same_lineage)


def difference_lines(difference: state_diff.StateComparison) -> list[str]:
    """A line for each resource, data source and output that differs, what Terraform would lose sight of first, and of that what
    holds state; of attributes only the names."""
    table = stateful.load()

    def order(each: state_diff.InstanceDifference) -> tuple[bool, bool]:
        return each.difference is not state_diff.Difference.REMOVED, each.type not in table

    resources = [_line(each, table) for each in sorted(difference.resources, key=order)]
    data_sources = [_line(each, {}) for each in difference.data_sources]
    return [
        *resources,
        *data_sources,
        *(f"{_SIGNS[each.difference]} output.{each.name}" for each in difference.outputs),
    ]


def shortened(lines: Sequence[str]) -> list[str]:
    """As many as a gate can show, and how many there are more."""
    rest = len(lines) - _LINES_SHOWN
    return (
        [*lines[:_LINES_SHOWN], f"… and {rest:,} more: all of them are in the run's output"]
        if rest > 0
        else list(lines)
    )


def _line(each: state_diff.InstanceDifference, table: Mapping[str, str]) -> str:
    moved = f" (was {each.previous_address})" if each.previous_address else ""
    about = ""
    if each.difference is state_diff.Difference.CHANGED:
        names = [attribute.name for attribute in each.attributes()]
        more = f" and {len(names) - _ATTRIBUTES_SHOWN} more" if len(names) > _ATTRIBUTES_SHOWN else ""
        about = f": {', '.join(names[:_ATTRIBUTES_SHOWN])}{more}" if names else ""
    elif each.difference is state_diff.Difference.REMOVED and each.type in table:
        about = ": Terraform would not know of it any more"
    return f"{_SIGNS[each.difference]} {each.address}{moved}{about}"


def serial_of(state: StateSummary | None) -> int:
    """0 where nothing is stored: the first serial is 1."""
    return state.serial if state else 0


def is_from_newer(state_version: str, root: Root) -> bool:
    """Whether a newer Terraform than ours wrote it."""
    return version_parts(state_version) > version_parts(root.terraform.binary.version)


def version_parts(version: str) -> tuple[int, ...]:
    """What is no number counts as zero: `1.10.0-beta1` is 1.10.0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.partition("-")[0].split("."))
