"""`docs/consistency.md` has every changing call of every runbook."""

from __future__ import annotations

import re
from pathlib import Path

from infraconsole.config import EngineSettings
from infraconsole.engine import catalogue

PAGE = (Path(__file__).parents[2] / "docs/consistency.md").read_text(encoding="utf-8")
CALL = re.compile(r"^\| `([a-z0-9-]+:[A-Za-z-]+)` \|(.*)\|$", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    return {call: [cell.strip() for cell in rest.split("|")] for call, rest in CALL.findall(PAGE)}


def test_every_changing_call_is_in_the_table_with_all_its_columns() -> None:
    known = {call for runbook in catalogue.runbooks() for step in runbook.steps for call in step.calls}
    assert known
    assert set(rows()) == known
    assert all(len(cells) == 4 and all(cells) for cells in rows().values())


def test_the_times_are_those_of_the_settings() -> None:
    default = EngineSettings()
    assert default.settle_seconds >= 30
    assert f"({default.settle_seconds:g} by default)" in PAGE
    assert f"({default.visible_seconds:g} by default)" in PAGE
    assert {cells[-1] for cells in rows().values()} <= {
        f"{default.visible_seconds:g} s",
        "0 s",
        f"{default.visible_seconds:g} s for the service",
    }
