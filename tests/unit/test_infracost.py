"""infracost, where it is installed: its figure beside ours, and nothing but a sentence where it fails."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from infraconsole.checks import infracost
from infraconsole.checks.infracost import Estimate

SAID = {"version": "0.2", "currency": "USD", "totalMonthlyCost": "1230.5", "diffTotalMonthlyCost": "-12.34"}


def installed(folder: Path, script: str) -> dict[str, str]:
    file = folder / "infracost"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def asked(environ: dict[str, str], seconds: float = 20) -> Estimate:
    found = infracost.ask(Path("/runs/plan.json"), environ, seconds)
    assert found
    return found[0]


def test_not_installed(tmp_path: Path) -> None:
    assert infracost.ask(Path("plan.json"), {"PATH": str(tmp_path)}) is None


def test_its_figure_and_how_it_is_asked(tmp_path: Path) -> None:
    environ = installed(tmp_path, f"echo \"$@\" > '{tmp_path}/asked'; echo '{json.dumps(SAID)}'")
    found = asked(environ)
    assert found == Estimate(-12.34, 1230.5, "USD")
    assert found.words() == "infracost: -12.34 USD a month, 1,230.50 in all."
    assert (tmp_path / "asked").read_text().split()[:3] == ["breakdown", "--path", "/runs/plan.json"]


def test_a_failure_is_a_sentence(tmp_path: Path) -> None:
    found = asked(installed(tmp_path, "echo 'No INFRACOST_API_KEY environment variable is set.' >&2; exit 1"))
    assert found.words() == "infracost: it ended with code 1: No INFRACOST_API_KEY environment variable is set."


def test_one_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    found = asked(installed(tmp_path, "exec sleep 30"), 0.3)
    assert "did not answer within 0.3 s" in found.words()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("said", ["", "{", "[]", '{"diffTotalMonthlyCost": []}', '{"totalMonthlyCost": "x"}'])
def test_what_is_not_understood(said: str) -> None:
    assert infracost.parse(said.encode()).words().startswith(("infracost: what it said", "infracost does not say"))
