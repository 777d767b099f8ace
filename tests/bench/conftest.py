"""Measures are ratios within one run, or shares of a budget; the figures of a run are written to docs/performance.md."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


@dataclass
class Figures:
    """The table of one `make bench`: what was measured, what came out, and what was promised."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, what: str, measured: str, promised: str, detail: str = "") -> None:
        self.rows.append((what, measured, promised, detail))

    def page(self) -> str:
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
        written = f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d} ({machine})."
        head = f"# Performance\n\n{written} Ratios are within that one run.\n\n"
        table = "| what | measured | promised | detail |\n| --- | --- | --- | --- |\n"
        return head + table + "".join(f"| {' | '.join(row)} |\n" for row in self.rows)


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    collected = Figures()
    yield collected
    if collected.rows:
        sys.stderr.write("\n" + collected.page())
        PAGE.write_text(collected.page())


def median_seconds(attempt: Callable[[], object], *, times: int = 7) -> float:
    return statistics.median(seconds(attempt) for _ in range(times))


def seconds(attempt: Callable[[], object]) -> float:
    began = time.perf_counter()
    attempt()
    return time.perf_counter() - began


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
