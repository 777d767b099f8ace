"""The plan's document of a run, read from the run's folder, with all that the screen says of it. Blocks: for threads."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraconsole import clock, files
from infraconsole.errors import InfraconsoleError, JournalError
from infraconsole.screens.plan.files import document_of, is_consumed, written_at
from infraconsole.screens.plan.tree import PlanTree

if TYPE_CHECKING:
    from infraconsole.checks.costs import CostEffect
    from infraconsole.checks.findings import Finding
    from infraconsole.engine.history import RunRecord
    from infraconsole.engine.journal import Journal
    from infraconsole.overview import Overview
    from infraconsole.terraform.plan import Change, Plan


_PLAN_STEP = "plan"
"""Of the runbooks that plan: its result holds what the plan is bound to."""


class NoPlan(InfraconsoleError):
    """The run has left no document of a plan."""


@dataclass(frozen=True)
class ReadPlan:
    """`written_at` is the document's own time of change: another one is another plan. `consumed`: its apply has begun."""

    tree: PlanTree
    written_at: datetime
    consumed: bool


@dataclass(frozen=True)
class Standing:
    """What became of a plan since it was read. `gone`: its document is, which a run takes away before it plans anew; `newer`:
    there is another one; `void`: why it can never be applied any more, "" where nothing says so."""

    consumed: bool = False
    gone: bool = False
    newer: bool = False
    void: str = ""

    @property
    def open(self) -> bool:
        """Whether it may still be applied, as far as is known."""
        return not (self.consumed or self.gone or self.newer or self.void)


@dataclass(frozen=True)
class Reviewed:
    """`infracost` is its figure in words, "" where it was not asked or did not say; `put_back`: the state is an earlier one that
    was put back."""

    findings: tuple[Finding, ...]
    drift: tuple[Change, ...]
    cost: CostEffect
    infracost: str = ""
    put_back: bool = False


def read_plan(folder: Path, run: str) -> ReadPlan:
    """Raises NoPlan and PlanUnreadable."""
    from infraconsole.checks import stateful
    from infraconsole.terraform import plan

    file = document_of(folder, run)
    written = written_at(folder, run)
    try:
        data = files.read(file, files.MOST_STATE_BYTES)
    except FileNotFoundError as error:
        raise NoPlan(
            f"Run {run} has left no plan.",
            cause=f"There is no {file}.",
            mend="Only runs that plan have one, once their plan has been read; an old one may have been removed.",
        ) from error
    except OSError as error:
        raise NoPlan(
            f"The plan of run {run} cannot be read.",
            cause=f"{file}: {files.reason(error)}",
            mend=files.fix(error, file),
        ) from error
    found = plan.read(data, f"The plan of run {run}")
    tree = PlanTree(found, found.dangerous(stateful.load()))
    return ReadPlan(tree, written or clock.now(), is_consumed(folder, run))


def review_plan(found: Plan, record: RunRecord | None, estimate: Path) -> Reviewed:
    """What takes longer than a person wants to wait for the first rows: also what the run itself found out of the plan.
    `estimate`: where infracost's answer lies, if there is one."""
    from infraconsole.checks import costs, plan_review, stateful
    from infraconsole.checks.findings import by_weight

    image_tag = record.inputs.get("image_tag", "") if record else ""
    put_back = _found(record, "put_back") is True
    review = plan_review.review(
        found, stateful.load(), image_tag=image_tag, failed=_unfinished(record), put_back=put_back
    )
    return Reviewed(
        by_weight((*review, *_missing_images(record))),
        found.real_drift,
        costs.cost_effect(found, costs.load()),
        _infracost(estimate),
        put_back,
    )


def why_void(record: RunRecord, overview: Overview) -> str:
    """Why the plan of this run can never be applied any more, "" where it can, or where nobody knows. Reads the stored state;
    raises AwsError."""
    planned = next((step.result for step in record.steps if step.id == _PLAN_STEP), {})
    bound = planned.get("bound") or {}
    if "serial" not in bound:
        return ""
    now = overview.state(record.target.service, record.target.environment).state
    if now is None or (now.serial, now.lineage) == (bound["serial"], bound["lineage"]):
        return ""
    if bound["lineage"] and now.lineage != bound["lineage"]:
        return "the state has another lineage by now"
    return f"the state has serial {now.serial} by now, it was made from {bound['serial']}"


def _infracost(file: Path) -> str:
    from infraconsole.checks import infracost

    try:
        return infracost.parse(files.read(file)).words()
    except (OSError, infracost.NoEstimate):
        return ""


def record_of_run(journal: Journal, run: str) -> RunRecord | None:
    """What the journal says of the run; None where it does not know it, or cannot be read."""
    from infraconsole.engine.history import record_of

    try:
        record = record_of(run, journal.events(run, brief=True))
    except (JournalError, KeyError, TypeError, ValueError, StopIteration):  # also of a newer version's events
        return None
    return record if record.runbook else None


def _found(record: RunRecord | None, key: str) -> Any:
    """What the run found out when it read its plan."""
    result = next((step.result for step in record.steps if step.id == "read-plan"), {}) if record else {}
    return result.get(key)


def _unfinished(record: RunRecord | None) -> tuple[str, ...]:
    """The addresses on which an earlier apply failed."""
    found = _found(record, "unfinished")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _missing_images(record: RunRecord | None) -> tuple[Finding, ...]:
    """What the plan brings and ECR lacks; nothing of what another version has recorded in other words."""
    from infraconsole.checks.findings import Finding

    with contextlib.suppress(TypeError):
        return tuple(Finding(**each) for each in _found(record, "missing") or ())
    return ()
