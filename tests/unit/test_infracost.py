"""What infracost is asked and what is made of its answer: with programs of that name, which stand for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from infraconsole.checks import infracost
from infraconsole.checks.infracost import Estimate, NoEstimate
from infraconsole.world import procs


def fake(folder: Path, script: str) -> dict[str, str]:
    """The environment in which a program of that name does what `script` says."""
    tool = folder / "bin" / infracost.PROGRAM
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return {"PATH": f"{tool.parent}:/usr/bin:/bin"}


def ask(folder: Path, environ: dict[str, str], seconds: float = 10.0) -> bytes:
    return infracost.ask(infracost.program(environ), folder / "plan.json", environ, seconds)


def test_it_is_asked_for_the_plan_s_document(tmp_path: Path) -> None:
    answer = json.dumps({"currency": "USD", "diffTotalMonthlyCost": "12.3"})
    environ = fake(tmp_path, f"echo \"$@\" > '{tmp_path}/asked'\necho noise >&2\necho '{answer}'")
    assert infracost.parse(ask(tmp_path, environ)).words() == "infracost: +12.30 USD a month"
    asked = (tmp_path / "asked").read_text().split()
    assert asked == ["breakdown", "--path", str(tmp_path / "plan.json"), "--format", "json", "--no-color"]


def test_without_it_nothing_is_asked(tmp_path: Path) -> None:
    assert infracost.program({"PATH": str(tmp_path)}) == ""
    assert infracost.program({}) == ""


@pytest.mark.parametrize(
    ("said", "estimate"),
    [
        ({"currency": "EUR", "diffTotalMonthlyCost": "-4"}, Estimate(-4.0, "EUR")),
        ({"totalMonthlyCost": "1240.5", "pastTotalMonthlyCost": "40.5"}, Estimate(1200.0, "USD")),
        ({"totalMonthlyCost": "7", "pastTotalMonthlyCost": None, "diffTotalMonthlyCost": None}, Estimate(7.0, "USD")),
        ({"currency": "USD", "diffTotalMonthlyCost": "0"}, Estimate(0.0, "USD")),
    ],
)
def test_its_figures(said: dict[str, Any], estimate: Estimate) -> None:
    assert infracost.parse(json.dumps(said).encode()) == estimate


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "not understood"),
        (b"[]", "not understood"),
        (b'{"diffTotalMonthlyCost": "much"}', "not understood"),
        (b'{"currency": "USD", "totalMonthlyCost": null}', "no price"),
    ],
)
def test_an_answer_that_says_nothing(answer: bytes, words: str) -> None:
    with pytest.raises(NoEstimate) as caught:
        infracost.parse(answer)
    assert words in caught.value.title


def test_its_own_words_where_it_fails(tmp_path: Path) -> None:
    environ = fake(tmp_path, "echo 'No INFRACOST_API_KEY environment variable is set.' >&2; exit 1")
    with pytest.raises(NoEstimate) as caught:
        ask(tmp_path, environ)
    assert "code 1" in caught.value.title
    assert "INFRACOST_API_KEY" in caught.value.cause


def test_it_is_not_waited_for_for_long_and_leaves_no_process(tmp_path: Path) -> None:
    environ = fake(tmp_path, f"echo $$ > '{tmp_path}/pid'; sleep 20; touch '{tmp_path}/late'")
    began = time.monotonic()
    with pytest.raises(NoEstimate) as caught:
        ask(tmp_path, environ, 2.0)
    assert "within 2 s" in caught.value.title
    assert time.monotonic() - began < 15
    pid = int((tmp_path / "pid").read_text())
    assert procs.start_mark(pid) is None, "its shell is gone"


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    environ = fake(tmp_path, "")
    (tmp_path / "bin" / infracost.PROGRAM).write_text("#!/nowhere/sh\n")
    with pytest.raises(NoEstimate):
        ask(tmp_path, environ)
