"""The run screen under a flood, and on a run of a hundred thousand lines."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.config import parse
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.screens.widgets.output import Output
from tests.bench.conftest import Figures, percentile
from tests.bench.terminals import Terminal, opened
from tests.screens.runs import FakeExecutor
from tests.screens.seen import until

pytestmark = pytest.mark.bench

A_SECOND = 5_000
FLOOD_SECONDS = 10
LONG = 100_000
BUDGET = 0.050


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeExecutor]:
    made = FakeExecutor(tmp_path_factory.mktemp("state"))
    made.begin("watch")
    yield made
    made.leave()
    made.journal.close()


async def test_a_flood_is_shown_whole(figures: Figures, tmp_path: Path) -> None:
    """Written by a process of its own, five thousand a second, each line with the moment it was written in it."""
    executor = FakeExecutor(tmp_path)
    executor.begin("watch")
    with Journal(tmp_path) as journal:
        access = AwsAccess(region="ap-northeast-2")
        app = ConsoleApp(parse({}, None), journal, lambda _: access, "woken", start_run=executor.run)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(
                pilot, lambda: app.screen.query("#output") and app.screen.query_one("#output", Output).count > 2
            )
            output = app.screen.query_one("#output", Output)
            before, wanted = output.count, A_SECOND * FLOOD_SECONDS
            writer = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.apps", "write", tmp_path, executor.run, str(A_SECOND), str(wanted)]
            )
            behind, known = [], before
            deadline = time.monotonic() + 4 * FLOOD_SECONDS
            while output.count < before + wanted and time.monotonic() < deadline:
                await pilot.pause(0.005)
                if output.count > known:
                    known = output.count
                    behind.append(time.monotonic() - float(output._lines[-1][1].split()[1]))
            writer.wait(timeout=30)
            numbers = [int(words.split()[0]) for _, words in output._lines[before:]]
            last = float(output._lines[-1][1].split()[1]) - float(output._lines[before][1].split()[1])
    executor.leave()
    executor.journal.close()
    assert numbers == list(range(wanted))
    figures.add(
        "run screen: 5,000 output lines a second shown, lines lost",
        f"{wanted - len(numbers)} of {wanted:,}",
        "none",
        f"written by another process at {wanted / last:,.0f} a second; newest line shown "
        f"{statistics.median(behind):.2f} s after it was written (p50), p99 {percentile(behind, 99):.2f} s",
    )
    assert behind[-1] < 1.0


@pytest.fixture(scope="module")
def long_run(executor: FakeExecutor) -> FakeExecutor:
    for start in range(0, LONG, 500):
        lines = [f"line-{number:06} as Terraform writes one of many" for number in range(start, start + 500)]
        executor.write(Kind.OUTPUT, "watch", lines=lines)
    return executor


def bottom(terminal: Terminal) -> int:
    """The last line in view: what was drawn last since the key press, from top to bottom."""
    terminal.settle()
    return int(re.findall(r"line-(\d{6})", terminal.drawn)[-1])


def test_a_run_of_a_hundred_thousand_lines(figures: Figures, long_run: FakeExecutor, tmp_path: Path) -> None:
    settings = tmp_path / "infraconsole.toml"
    settings.write_text('region = "ap-northeast-2"\n')
    places = {"INFRACONSOLE_STATE": str(long_run.folder), "INFRACONSOLE_CONFIG": str(settings)}
    command = [sys.executable, "-m", "tests.bench.apps", "run", long_run.run]
    with opened(command, {**os.environ, **places}) as terminal:
        head = terminal.wait_for("Roll back ECS service") - terminal.began
        whole = terminal.wait_for(f"line-{LONG - 1:06}") - terminal.began
        figures.add(
            f"run screen: a run of {LONG:,} lines opened, from the spawn of the process to its last line",
            f"{whole:.2f} s",
            "–",
            f"its headline {head:.2f} s",
        )

        def answered(keys: str, shows: str) -> float:
            terminal.settle()
            pressed = terminal.press(keys)
            return terminal.wait_for(shows) - pressed

        terminal.settle(0.5)
        terminal.press("\t")
        terminal.settle(0.5)
        times = [answered("g", "started by woken")]
        low = bottom(terminal)
        for _ in range(100):
            low += 1
            times.append(answered("j", f"line-{low:06}"))
        for _ in range(50):
            times.append(answered("\x1b[6~", f"line-{low + 1:06}"))
            low = bottom(terminal)
        for _ in range(10):
            times.append(answered("G", f"line-{LONG - 1:06}"))
            times.append(answered("g", "started by woken"))
        half, last = statistics.median(times), percentile(times, 99)
        figures.add(
            f"run screen: a key press while scrolling {LONG:,} lines",
            f"p50 {half * 1000:.0f} ms, p99 {last * 1000:.0f} ms",
            "within 50 ms",
            f"{len(times)} key presses in a real terminal, key to drawn frame: line, page, first, last",
        )
        terminal.press("/")
        terminal.settle(0.5)
        letters = [answered(letter, shows) for letter, shows in zip("0777", _FILTERED, strict=True)]
        figures.add(
            f"run screen: a letter typed into the filter over {LONG:,} lines",
            f"at most {max(letters) * 1000:.0f} ms",
            "–",
            f"{len(letters)} letters: {', '.join(f'{letter * 1000:.0f}' for letter in letters)} ms",
        )
    assert last < BUDGET


_FILTERED = ("line-000000", "line-000007", "line-000077", "line-000777")
"""What comes into view when 0, 07, 077 and 0777 are typed, with the first line in view before."""
