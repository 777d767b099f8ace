"""Taking a run up again: what whoever does it brings along, and why it may not be. Looked at before anything starts, so that a
refusal costs the run nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infraconsole.config import Config
from infraconsole.engine import locks
from infraconsole.engine.history import RunRecord
from infraconsole.engine.holders import is_stopped
from infraconsole.engine.runbook import Runbook
from infraconsole.errors import GateRefused, PrerequisiteMissing, TargetBusy

INTERACTIVE = "interactive"
"""Argument of an executor that goes on with a run for a person who sits at it, whoever began it."""
GIVEN = "given="
"""Argument of an executor: the answers that were given when the run was resumed, and by whom, as JSON."""


@dataclass(frozen=True)
class Resumption:
    """What whoever resumes a run brings along: themselves, as somebody to be asked, and answers."""

    interactive: bool = False
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by: str = ""

    def as_arguments(self) -> list[str]:
        given = [f"{GIVEN}{json.dumps({'given': self.given, 'by': self.by})}"] if self.given else []
        return [*([INTERACTIVE] if self.interactive else []), *given]

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Resumption:
        told: Mapping[str, Any] = next(
            (json.loads(one.removeprefix(GIVEN)) for one in arguments if one.startswith(GIVEN)), {}
        )
        return cls(INTERACTIVE in arguments, told.get("given", {}), told.get("by", ""))


ALONE = Resumption()
"""Nobody to be asked, and nothing brought along."""


def check_unchanged(record: RunRecord, runbook: Runbook) -> None:
    """A run goes on only with the steps it began with. Raises PrerequisiteMissing that says which differ."""
    now = {step.id: step.fingerprint() for step in runbook.steps}
    then = record.fingerprints
    differences = [
        *(f"{step} is gone" for step in then if step not in now),
        *(f"{step} is new" for step in now if step not in then),
        *(f"{step} has changed" for step in now if step in then and now[step] != then[step]),
    ]
    if differences or list(now) != list(then):
        raise PrerequisiteMissing(
            f"Run {record.run} cannot be resumed: {runbook.name} is not what it was when the run began.",
            cause="; ".join(differences) or "its steps stand in another order",
            mend="Install the version of infraconsole that began it, or start a new run; a new run looks at what was done.",
        )


def refuse_read_only(settings: Config, *, dry_run: bool, run: str = "") -> None:
    """Before anything starts: a run that was begun stays as it is. Raises GateRefused."""
    if settings.read_only and not dry_run:
        stays = f"Run {run} stays as it is; resume it where the console may change something." if run else ""
        raise GateRefused(
            "This console is read-only.",
            cause=f"{settings.file} says read_only.",
            mend=stays or "--dry-run shows what would be done.",
        )


def busy(record: RunRecord, holder: locks.Holder | None) -> TargetBusy:
    if holder is None:
        return TargetBusy(f"{record.target} is held by another run.", mend="Try again.")
    since = holder.since.strftime("%Y-%m-%d %H:%M:%S UTC") if holder.since else "a moment ago"
    stopped = f" Its process {holder.pid} is stopped: kill -CONT {holder.pid}" if is_stopped(holder.pid) else ""
    return TargetBusy(
        f"{record.target} is held by run {holder.run} of {holder.owner} since {since}.",
        cause=f"Runs on one target exclude each other.{stopped}",
        mend=f"Follow it with `infraconsole attach {holder.run}`, or end it with `infraconsole interrupt {holder.run}`.",
    )
