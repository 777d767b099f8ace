"""A Terraform command that was killed: by what, and the lock that it may have left, since it had no time to release it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from infraconsole import text
from infraconsole.checks import state_lock
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError, StepFailed, TerraformError
from infraconsole.runbooks.recovery import run_line
from infraconsole.terraform.state import StateUnreadable

if TYPE_CHECKING:
    from infraconsole.runbooks.terraform_root import Root

_BY_SIGNAL = 128
"""A wrapper's exit code is this and the signal's number (POSIX shell, Exit Status for Commands)."""


def killed_by(code: int) -> str:
    """The signal that ended a command, by name; "" where it ended by itself."""
    number = -code if code < 0 else code - _BY_SIGNAL if code > _BY_SIGNAL else 0
    if not number:
        return ""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def lock_sentence(context: StepContext, root: Root) -> str:
    """Who holds the state now, after an end that may have left its lock, and what takes it away."""
    place = root.state
    if place is None:
        return ""
    if place.use_lockfile is False and not place.lock_table:
        return "Nothing is known of a lock of this state."
    unlock = f"Release the lock: {run_line(context, 'state-unlock')}"
    try:
        lock = state_lock.held(context.reads, place, place.bucket, place.key)
    except (AwsError, StateUnreadable) as error:
        return f"Whether the state is locked cannot be told: {error.title} {unlock}"
    if lock is None:
        return "The state is not locked."
    held_for = text.ago(lock.created, context.now())
    return f"The state is locked by {lock.who} for {held_for}: {lock.operation}, lock {lock.id}. {unlock}"


def lost(context: StepContext, root: Root, error: TerraformError, title: str) -> StepFailed:
    """Of a command of which nobody saw the end, and that is known not to have done what it was for."""
    cause = f"{error.title} {lock_sentence(context, root)}".strip()
    return StepFailed(title, cause=cause, mend=error.mend)
