"""What lists of runs say of applies that stopped half way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infraconsole.engine.history import RunRecord, StepRecord, StepState
from infraconsole.screens.runs import KnownRun, half_applied
from infraconsole.target import Target

HALF = StepRecord("apply", "Apply the plan", StepState.FAILED, sent=True)
WHOLE = StepRecord("apply", "Apply the plan", StepState.DONE, result={"changed": True}, sent=True)
NOTHING = StepRecord("apply", "Apply the plan", StepState.DONE, result={"applied": 0})
REFUSED = StepRecord("apply", "Apply the plan", StepState.STOPPED)


def run(number: int, apply: StepRecord | None, environment: str = "prod", **about: object) -> KnownRun:
    steps = (apply,) if apply else (StepRecord("look", "Look"),)
    record = RunRecord(
        f"run{number}",
        runbook="deploy",
        target=Target("fileflow", environment, "ap-northeast-2"),
        steps=steps,
        outcome="failed",
        ended_at=datetime(2026, 1, number, tzinfo=UTC),
    )
    return KnownRun(replace(record, **about), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([run(1, HALF)], "run1"),
        ([run(3, None), run(2, REFUSED), run(1, HALF)], "run1"),
        ([run(2, NOTHING), run(1, HALF)], "run1"),
        ([run(2, WHOLE), run(1, HALF)], ""),
        ([run(2, HALF), run(1, WHOLE)], "run2"),
        ([run(2, HALF, dry_run=True)], ""),
        ([run(2, HALF, "dev")], ""),
        ([run(1, HALF, outcome="interrupted")], ""),
        ([run(1, REFUSED)], ""),
        ([run(1, REFUSED, former={"apply": ({},)}, calls=("run1/9",))], "run1"),
        ([], ""),
    ],
    ids=[
        "half",
        "other-runs-after-it",
        "nothing-to-do-after-it",
        "made-good",
        "again",
        "dry-run",
        "elsewhere",
        "to-be-resumed",
        "never-begun",
        "planned-again-and-left",
        "none",
    ],
)
def test_which_apply_stopped_half_way(runs: list[KnownRun], found: str) -> None:
    known = half_applied(runs).get("fileflow-prod")
    assert (known.record.run if known else "") == found
