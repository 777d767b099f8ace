from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole.engine.event import Kind
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.launch import later_run, new_id
from infraconsole.engine.recorder import Recorder
from infraconsole.engine.verify import verify
from infraconsole.redaction import Redactor
from infraconsole.screens.journal.screen import FIRST
from infraconsole.screens.runs import board_runs, newest_runs, under_way
from tests.bench.conftest import Figures, median_seconds, seconds
from tests.bench.journals import filled

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


FEW, MANY = 10, 10_000
TO_FILL_SECONDS = 1800
STANDS_STILL = 1.5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    found = {count: tmp_path_factory.mktemp(f"journal-{count}") for count in (FEW, MANY)}
    for count, folder in found.items():
        filled(folder, count)
    return found


def listed(folder: Path) -> None:
    environ = {**os.environ, "INFRACONSOLE_STATE": str(folder)}
    command = [sys.executable, "-m", "infraconsole", "journal"]
    subprocess.run(command, env=environ, check=True, capture_output=True)


def read_for_the_screen(folder: Path) -> None:
    with Journal(folder) as journal:
        newest_runs(journal, FIRST)
        under_way(journal)


def read_for_the_board(folder: Path) -> None:
    with Journal(folder) as journal:
        board_runs(journal, ["fileflow-prod", "crawlinghub-prod", "authhub-prod"])


def begun(folder: Path) -> None:
    """What a run asks of the journal before its first step."""
    with Journal(folder) as journal:
        recorder = Recorder(journal, new_id(journal), Redactor())
        recorder.record = record_of("r00008", journal.events("r00008", brief=True))
        recorder.open_follow_ups()
        recorder.earlier_results("verify")
        later_run(journal, recorder.record)


@pytest.mark.timeout(TO_FILL_SECONDS)
@pytest.mark.parametrize(
    ("what", "ask"),
    [
        ("the journal screen's reading", read_for_the_screen),
        ("the board's reading", read_for_the_board),
        ("`infraconsole journal`", listed),
        ("what `infraconsole run` asks first", begun),
    ],
)
def test_a_longer_journal_takes_no_longer(
    figures: Figures, folders: dict[int, Path], what: str, ask: Callable[[Path], None]
) -> None:
    for folder in folders.values():
        ask(folder)
    few, many = (median_seconds(functools.partial(ask, folders[count])) for count in (FEW, MANY))
    figures.add(
        f"journal: {what}, {MANY:,} runs against {FEW}",
        f"{many / few:.2f} times",
        f"{STANDS_STILL} times at most",
        f"{few * 1000:.0f} ms, {many * 1000:.0f} ms",
    )
    assert many / few < STANDS_STILL


@pytest.mark.timeout(TO_FILL_SECONDS)
def test_what_a_journal_costs(figures: Figures, folders: dict[int, Path]) -> None:
    folder = folders[MANY]
    size = (folder / "journal.db").stat().st_size
    took = seconds(lambda: verify(folder))
    with Journal(folder) as journal:
        journal.remake_index()
        made = seconds(lambda: journal.resolve("last"))
    figures.add(f"journal: size of {MANY:,} runs", f"{size / 1e6:,.0f} MB", "–", f"{size / MANY / 1000:.0f} kB a run")
    figures.add(f"journal: verified, {MANY:,} runs", f"{took:.0f} s", "–")
    figures.add(f"journal: index made again, {MANY:,} runs", f"{made:.0f} s", "–", "once, after an upgrade")
