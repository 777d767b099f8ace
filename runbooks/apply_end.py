"""How an apply ended, and what follows from it: done only where the stored state has all that was done; else what is in the
state, what is in none, who holds the lock, and the way on. Nothing is said of the state that was not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.engine.inbox import InterruptRequested
from infraconsole.engine.kept_files import PLAN_DOCUMENT
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError, InfraconsoleError, StepFailed, TerraformError
from infraconsole.runbooks import earlier_applies, lost_state, strays
from infraconsole.runbooks.killed import killed_by, lock_sentence
from infraconsole.runbooks.read_back import ReadBack, read_back
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.terraform_failure import diagnostic_line, failure
from infraconsole.runbooks.terraform_listener import Listener
from infraconsole.runbooks.terraform_root import Root, write_private
from infraconsole.terraform import backend, supervise
from infraconsole.terraform.claims import Claims, Stray
from infraconsole.terraform.expected import NOTHING_EXPECTED, Expectations, expectations
from infraconsole.terraform.inventory import Inventory
from infraconsole.terraform.runner import Ended
from infraconsole.terraform.state import StateUnreadable

BOUND_FILE = "apply.json"
"""In the run's folder: what the plan was made from that is being applied, for whoever looks later what became of it."""
_FAILED = 1
"""With which `terraform apply` itself ends where it is not well; a wrapper tells of a signal by 128 and its number."""
_IMPORTS_SHOWN = 3


@dataclass(frozen=True)
class End:
    """`record` is the folder of the command; `ended` is None where nobody saw how it ended. `said_why`: Terraform itself told an
    error, which it does at its own end, when the state is stored or could not be."""

    record: Path
    ended: Ended | None
    claims: Claims
    said_why: bool = False

    @classmethod
    def of(cls, record: Path, ended: Ended | None, listener: Listener) -> End:
        """`listener` was given all that the command said."""
        return cls(record, ended, listener.claims, any(each.is_error for each in listener.diagnostics))

    @property
    def is_well(self) -> bool:
        """Whether Terraform said that it came to its end; its own record counts where nobody saw its exit code."""
        return self.claims.is_finished or (self._code == 0 and not self.claims.unfinished)

    @property
    def was_cut_off(self) -> bool:
        if self.is_well or self._code == _FAILED:
            return False
        return not (self._code is None and self.said_why)

    @property
    def _code(self) -> int | None:
        return self.ended.code if self.ended else None

    @property
    def words(self) -> str:
        code = self._code
        if code is None:
            return "Terraform ended, and nobody saw how: the process that waited for it was killed."
        if by := killed_by(code):
            return f"Terraform was killed ({by})."
        return f"Terraform ended with exit code {code}."


def note_bound(context: StepContext) -> None:
    """Before the apply begins."""
    write_private(context.folder / BOUND_FILE, json.dumps(_plan(context.result("plan"))).encode())


def settle(context: StepContext, root: Root, end: End, listener: Listener) -> Mapping[str, Any]:
    """The step's result, where the apply ended well and the stored state has all of it. Raises InfraconsoleError."""
    context.note(listener.summary)
    if end.is_well:
        whole = look(context, root, end, _plan(context.result("plan")), context.folder.name)
        return _done(context, root, end, whole, listener)
    kept = _look_for_state(context, root, end)
    left = listener.applied.named() if listener.applied.has_begun else ()
    back, not_read = _looked(context, root, end, left)
    told = (*left, *(back.sentences() if back else ()), *((not_read,) if not_read else ()))
    try:
        context.wait(0)
    except InterruptRequested as error:
        said = " ".join(part for part in (error.cause, listener.summary, *told) if part)
        mend = (
            "Resumed, it makes a new plan of what is left and asks again, since no earlier answer covers it: at a terminal, or "
            f"with infraconsole resume {context.folder.name} --answer GATE=VALUE."
        )
        raise InterruptRequested(error.title, cause=said, mend=mend) from None
    raise _failure(context, root, end, back, told, kept, listener)


def look(context: StepContext, root: Root, end: End, plan: Mapping[str, Any], run: str) -> ReadBack:
    """Read the state back, and keep what is in none as a follow-up. Raises AwsError, StateUnreadable, TerraformError."""
    back = read_back(
        context,
        root,
        plan,
        end.claims,
        ended_by_itself=not end.was_cut_off,
        expected=_expected(end),
        folder=end.record.parent,
    )
    if left := _left(root, back):
        missing = tuple(each for each in back.strays if each not in left)
        unsure = tuple(each for each in back.unsure if each not in left)
        back = replace(back, strays=missing, unsure=unsure, left=tuple(each.address for each in left))
    strays.keep(context, root, back.strays, run)
    earlier_applies.note_read_back(end.record)
    return back


def look_at_unread(context: StepContext, root: Root) -> None:
    """Read back what applies did whose runs never came to that, as when everything was killed and nobody resumed them."""
    for record in earlier_applies.unread(context.folder.parent, root):
        try:
            plan = json.loads(files.read(record.parent / BOUND_FILE))
        except (OSError, ValueError):
            continue
        listener = Listener(context, silent=True)
        ended, run = earlier_applies.replayed(record, listener), record.parent.name
        back = look(context, root, End.of(record, ended, listener), plan, run)
        if not back.is_whole:
            context.note(f"Of the apply of run {run}: {' '.join(back.sentences())}", warning=True)


def partly_words(context: StepContext, root: Root, end: End, listener: Listener) -> tuple[str, ...]:
    """What is to be said of an apply that ended before this executor came, and did not end well."""
    named = listener.applied.named()
    back, not_read = _looked(context, root, end, named)
    return (*named, *(back.sentences() if back else ()), *((not_read,) if not_read else ()))


def _looked(context: StepContext, root: Root, end: End, left: Sequence[str]) -> tuple[ReadBack | None, str]:
    """What the state says after a bad end, or why it could not be read; neither where nothing was begun."""
    if not left and not end.was_cut_off:
        earlier_applies.note_read_back(end.record)
        return None, ""
    try:
        return look(context, root, end, _plan(context.result("plan")), context.folder.name), ""
    except InterruptRequested:  # only a state that Terraform has to read; the run says itself that it was interrupted
        return None, "What of it is in the state is read when the run goes on."
    except (AwsError, StateUnreadable, TerraformError) as error:
        return None, f"What of it is in the state could not be read: {error.title} The next plan looks again."


def _done(context: StepContext, root: Root, end: End, back: ReadBack, listener: Listener) -> Mapping[str, Any]:
    if end.ended is None or end.ended.code != 0:
        context.note(f"{end.words} Its own record says that the apply came to its end.", warning=True)
    if not back.is_whole:
        raise StepFailed(
            "The apply ended well, and the stored state does not have all of it.",
            cause="\n".join(back.sentences()),
            mend=_way_on(context, root, back),
        )
    if back.stored_since:
        since = f"Serial {back.serial} was stored since, and has it no more: {', '.join(back.stored_since[:10])}."
        context.note(f"What was applied was stored. {since} Somebody else changed it.", warning=True)
    context.note(f"The stored state has all of it: {back.moved}.")
    return {"applied": listener.applied.done, "changed": True, "serial": back.serial}


def _failure(
    context: StepContext,
    root: Root,
    end: End,
    back: ReadBack | None,
    told: Sequence[str],
    kept: Path | None,
    listener: Listener,
) -> InfraconsoleError:
    way_on = _way_on(context, root, back, has_done=bool(end.claims.done)) if back else ""
    if end.ended is None or end.was_cut_off:
        errors = (diagnostic_line(each) for each in listener.diagnostics if each.is_error)
        cause = "\n".join(part for part in (*told, *errors, lock_sentence(context, root)) if part)
        title = "The apply was cut off." if end.was_cut_off else "The apply failed."
        return StepFailed(f"{title} {end.words} {listener.summary}", cause=cause, mend=way_on)
    error = failure(
        context,
        root,
        end.ended,
        f"The apply failed. {listener.summary}",
        listener.diagnostics,
        kept=kept,
        left=told,
        way_on=way_on,
    )
    if back and back.strays and way_on not in error.mend:
        error.mend = f"{error.mend} {way_on}".strip()
    return error


def _way_on(context: StepContext, root: Root, back: ReadBack, *, has_done: bool = True) -> str:
    if back.is_whole:
        if not has_done:
            return "Fix the cause, then plan again."
        return "What was made is in the state. Fix the cause, then plan again: the new plan covers the rest."
    named = [each for each in back.strays if each.id]
    lines = [strays.import_command(context, root, each) for each in named[:_IMPORTS_SHOWN]]
    if lines:
        more = f"; and {len(named) - len(lines):,} more" if len(named) > len(lines) else ""
        lines = [f"Import what is in no state: {'; '.join(lines)}{more}."]
    if back.strays:
        lines.append("infraconsole journal keeps the list, and every plan shows it until the state has them.")
    if back.overwritten:
        lines.append("A state lock prevents this: use_lockfile or lock_table.")
    if back.left:
        lines.append(f"Store what errored.tfstate has: {run_line(context, 'state-recover')}")
    return " ".join(lines) or "Make a new plan: it compares the state with what is there."


def _look_for_state(context: StepContext, root: Root, end: End) -> Path | None:
    """Say where the state of a failed apply stands, if not in the backend; where it is, if Terraform could write it nowhere."""
    kept = lost_state.keep(root, end.record / supervise.STDOUT)
    left = root.folder / backend.ERRORED_STATE
    if kept not in (None, left):
        context.note(f"The state could not be stored, nor {left} be written: it stands in {kept}.", warning=True)
    elif left.exists():
        context.note(
            f"{left} holds the state that could not be stored: infraconsole run state-recover pushes it.", warning=True
        )
    return kept


def _left(root: Root, back: ReadBack) -> tuple[Stray, ...]:
    """What errored.tfstate has of it: that is pushed, or becomes a follow-up when it is dismissed."""
    try:
        file = root.folder / backend.ERRORED_STATE
        left = Inventory(files.read(file, files.MOST_STATE_BYTES) if back.strays or back.unsure else b"")
    except (OSError, StateUnreadable):
        return ()
    changed = back.unsure if left.serial > back.serial else ()
    return tuple(each for each in (*back.strays, *changed) if left.knows(each))


def _expected(end: End) -> Expectations:
    """What the plan says that was applied, where its document is the one at hand: a run may have made another plan since."""
    if not end.claims.done and not end.claims.is_finished:
        return NOTHING_EXPECTED
    run, number = end.record.parent, _number(end.record)
    if any(_number(each) > number for each in run.glob("*-plan")):
        return NOTHING_EXPECTED
    try:
        return expectations(files.read(run / PLAN_DOCUMENT, files.MOST_STATE_BYTES))
    except OSError:
        return NOTHING_EXPECTED


def _number(record: Path) -> int:
    """The folders of a run's commands are numbered in the order in which they began (executor.py)."""
    number = record.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _plan(result: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"bound": result["bound"], "version": result.get("version", "")}
