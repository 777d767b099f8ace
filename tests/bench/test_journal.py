from __future__ import annotations

import time
from pathlib import Path

import pytest

from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.engine.recorder import Recorder
from infraconsole.redaction import Redactor
from tests.bench.conftest import Figures, seconds

pytestmark = pytest.mark.bench

LINES = 50_000
A_SECOND = 5_000


def test_output_lines_are_kept(figures: Figures, tmp_path: Path) -> None:
    """Written as an executor writes them: batches of a tenth of a second, each on the disk before the next."""
    with Journal(tmp_path) as journal:
        journal.append("run", Kind.RUN_STARTED, data={"pid": 1, "version": "", "resumed": False})
        redactor = Redactor()
        redactor.learn("a-secret-that-is-looked-for")
        recorder = Recorder(journal, "run", redactor)

        def write() -> None:
            for batch in range(0, LINES, A_SECOND // 10):
                recorder.line(
                    "look",
                    *(
                        f"{number} a line of output as Terraform writes it"
                        for number in range(batch, batch + A_SECOND // 10)
                    ),
                )
                recorder.flush()

        took = seconds(write)
        kept = sum(len(event.data["lines"]) for event in journal.events("run") if event.kind == "output")
        assert kept == LINES
        share = took / (LINES / A_SECOND)
        figures.add(
            "journal: 5,000 output lines a second kept, share of the time there is",
            f"{share:.0%}",
            "under 100%",
            f"{LINES / took:,.0f} lines a second",
        )
        assert share < 1


def test_reading_back_a_long_run(figures: Figures, tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        recorder = Recorder(journal, "run", Redactor())
        for number in range(100_000):
            recorder.line("look", f"line {number}")
        recorder.flush()
        began = time.perf_counter()
        events = journal.events("run")
        assert sum(len(event.data["lines"]) for event in events) == 100_000
        figures.add("journal: 100,000 lines read back", f"{time.perf_counter() - began:.2f} s", "–")
