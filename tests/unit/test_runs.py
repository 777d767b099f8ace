"""What lists of runs say of applies that stopped half way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infraconsole.engine.history import RunRecord, StepRecord, StepState
from infraconsole.engine.index import store, summary_of
from infraconsole.engine.journal import Journal
from infraconsole.screens.runs import board_runs
from infraconsole.target import Target

HALF = StepRecord("apply", "Apply the plan", StepState.FAILED, sent=True)
WHOLE = StepRecord("apply", "Apply the plan", StepState.DONE, result={"changed": True}, sent=True)
NOTHING = StepRecord("apply", "Apply the plan", StepState.DONE, result={"applied": 0})
REFUSED = StepRecord("apply", "Apply the plan", StepState.STOPPED)


def run(number: int, apply: StepRecord | None, environment: str = "prod", **about: object) -> RunRecord:
    steps = (apply,) if apply else (StepRecord("look", "Look"),)
    record = RunRecord(
        f"run{number}",
        runbook="deploy",
        target=Target("fileflow", environment, "ap-northeast-2"),
        steps=steps,
        outcome="failed",
        ended_at=datetime(2026, 1, number, tzinfo=UTC),
    )
    return replace(record, **about)  # type: ignore[arg-type]


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
def test_which_apply_stopped_half_way(runs: list[RunRecord], found: str, tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for number, record in enumerate(reversed(runs), start=1):
            store(journal.database, summary_of(record, number))
        known = board_runs(journal, ["fileflow-prod"]).half_applied.get("fileflow-prod")
    assert (known.record.run if known else "") == found
