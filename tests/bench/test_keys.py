"""A key press is answered within one frame's budget: from the byte on the terminal's line to the drawn answer."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator

import pytest

from tests.bench.apps import ROWS
from tests.bench.conftest import Figures, percentile
from tests.bench.terminals import Terminal, opened

pytestmark = pytest.mark.bench

BUDGET = 0.050


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    with opened([sys.executable, "-m", "tests.bench.apps", "rows"], os.environ) as made:
        made.wait_for("row-00030")
        made.settle(0.3)
        yield made


def answered(terminal: Terminal, keys: str, shows: str) -> float:
    """Seconds from the key press until `shows` is drawn; pressed once the terminal is quiet."""
    terminal.settle()
    pressed = terminal.press(keys)
    return terminal.wait_for(shows) - pressed


def add(figures: Figures, what: str, times: list[float], detail: str = "") -> None:
    half, last = statistics.median(times), percentile(times, 99)
    figures.add(
        what,
        f"p50 {half * 1000:.0f} ms, p99 {last * 1000:.0f} ms",
        "within 50 ms",
        f"{len(times)} key presses in a real terminal, key to drawn frame{'; ' if detail else ''}{detail}",
    )
    assert last < BUDGET


def test_moving_in_ten_thousand_rows(figures: Figures, terminal: Terminal) -> None:
    times = [answered(terminal, "j", f"row-{number:05}") for number in range(1, 101)]
    times += [answered(terminal, "k", f"row-{number:05}") for number in range(99, 49, -1)]
    add(figures, f"a key press in {ROWS:,} rows: one row on or back", times)


def test_paging_in_ten_thousand_rows(figures: Figures, terminal: Terminal) -> None:
    times = []
    for _ in range(25):
        times.append(answered(terminal, "G", f"row-{ROWS - 1:05}"))
        times.append(answered(terminal, "g", "row-00001"))
    terminal.settle()
    for _ in range(50):
        times.append(answered(terminal, "\x1b[6~", "row-"))
    add(figures, f"a key press in {ROWS:,} rows: page, first, last", times)
    answered(terminal, "g", "row-00001")


def test_filtering_ten_thousand_rows(figures: Figures, terminal: Terminal) -> None:
    """Each letter narrows the list, each backspace widens it; answered is it when the list shows the rows that are left."""
    times, first = [], 0.0
    for _ in range(15):
        terminal.settle()
        terminal.press("/")
        terminal.settle(0.1)
        for typed, shows in (("7", "row-00007"), ("77", "row-00077"), ("777", "row-00777"), ("7770", "row-07770")):
            times.append(answered(terminal, typed[-1], shows))
        first = first or times[0]
        # The cursor stays on its row while the list widens around it.
        times += [answered(terminal, "\x7f", "row-07770") for _ in range(3)]
        answered(terminal, "\x1b", "row-07770")
        answered(terminal, "g", "row-00001")
    detail = f"the very first letter {first * 1000:.0f} ms"
    add(figures, f"a key press in {ROWS:,} rows: typing into the filter", times, detail)
