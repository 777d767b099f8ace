"""A hundred services in three environments, in one account: what the board costs that account and this machine, counted at the API
over HTTP; and what its first screen costs, against that of nine rows in the same world."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from infraconsole import config
from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.engine.journal import Journal
from infraconsole.fleet.schedule import PLANNED_SHARE
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.widgets.rows import Rows
from infraconsole.world.process import World
from tests.bench.conftest import Figures
from tests.bench.fleet_world import fleet
from tests.bench.terminals import opened
from tests.bench.test_idle import processor_seconds, resident_megabytes

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

CONSOLE = Path(sys.executable).parent / "infraconsole"
SERVICES = 100
PAGES = 14
"""Of a terminal of forty lines: so all rows come into view once, and are asked for."""
SETTLED = 15.0
"""Seconds without anything but the calls of steady turns."""
WATCHED = 300.0
"""Longer than the turn of a row out of view."""
A_MINUTE = 5 * 60
ATTEMPTS = 3
LATENCY = 0.1


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fleet(tmp_path_factory.mktemp("fleet"), SERVICES) as made:
        yield made


@pytest.fixture
def world(shared_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in shared_world.environment().items():
        monkeypatch.setenv(name, value)
    return shared_world


class TimedBoard(BoardScreen):
    began = 0.0

    def load(self) -> None:
        self.began = self.began or time.perf_counter()
        super().load()

    @property
    def shown(self) -> list[str]:
        return list(self.query_one("#board", Rows).in_view)

    @property
    def filled(self) -> bool:
        rows = [self._rows[key] for key in self.shown]
        return bool(rows) and all(fact.value is not None for row in rows for _, fact in row.facts)


class TimedApp(ConsoleApp):
    def get_default_screen(self) -> Screen[Any]:
        return TimedBoard(self.desk)


async def first_screen(settings: config.Config, access: AwsAccess, journal: Journal) -> tuple[float, int]:
    """Seconds from the first load until all cells in view have their value, and how many rows these are."""
    app = TimedApp(settings, journal, lambda _: access, "woken")
    async with app.run_test(size=(120, 40)):
        board = app.screen
        assert isinstance(board, TimedBoard)
        deadline = time.monotonic() + 120
        while not board.filled:
            assert time.monotonic() < deadline, "the first screen was never filled"
            await asyncio.sleep(0.002)
        return time.perf_counter() - board.began, len(board.shown)


async def test_the_first_screen(figures: Figures, world: World, tmp_path: Path) -> None:
    all_of = config.load()
    nine = replace(all_of, services=dict(islice(all_of.services.items(), 3)))
    access = AwsAccess(region=world.region)
    times: dict[int, list[float]] = {}
    rows = {}
    with Journal(tmp_path) as journal:
        await first_screen(nine, access, journal)  # makes the clients
        last = world.calls()[-1]["seq"]
        _, shown = await first_screen(all_of, access, journal)
        calls = Counter(call["operation"] for call in world.calls(since=last))
        world.fault("delay", seconds=LATENCY)
        try:
            for _ in range(ATTEMPTS):
                for settings in (all_of, nine):
                    seconds, rows[len(settings.services)] = await first_screen(settings, access, journal)
                    times.setdefault(len(settings.services), []).append(seconds)
        finally:
            world.clear_faults()
    large, small = (statistics.median(times[count]) for count in (SERVICES, 3))
    ratio = (large / rows[SERVICES]) / (small / rows[3])
    figures.add(
        f"first screen of {3 * SERVICES} rows: a row in view, against one of a board of 9 rows",
        f"{ratio:.2f} ×",
        "at most 1.2 ×",
        f"{large:.2f} s for {rows[SERVICES]} rows against {small:.2f} s for {rows[3]}, each call {LATENCY:.1f} s away; "
        f"{sum(calls.values())} calls for {shown} rows",
    )
    assert calls["DescribeServices"] <= shown + 60, "those in view, and what the burst lets through besides"
    assert calls["DescribeAlarms"] <= 2 + 3 * SERVICES * 3 // 100
    assert ratio <= 1.2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_what_a_fleet_costs(figures: Figures, world: World) -> None:
    with opened([CONSOLE], world.applied()) as terminal:
        terminal.wait_for("service", seconds=120)
        terminal.drain(10.0)
        for _ in range(PAGES):
            terminal.press("\x1b[6~")  # page down
            terminal.drain(4.0)
        terminal.press("g")
        deadline = time.monotonic() + 400
        new = ("DescribeTaskDefinition", "GetObject")
        last, quiet = world.calls()[-1]["seq"], time.monotonic()
        while time.monotonic() - quiet < SETTLED:
            assert time.monotonic() < deadline, "there is always something that was never read"
            terminal.drain(1.0)
            found = world.calls(since=last)
            last = found[-1]["seq"] if found else last
            if any(call["operation"] in new for call in found):
                quiet = time.monotonic()
        at, spent = time.monotonic(), processor_seconds(terminal.pid)
        terminal.drain(WATCHED)
        took, used = time.monotonic() - at, processor_seconds(terminal.pid) - spent
        calls = world.calls(since=last)
        memory = resident_megabytes(terminal.pid)
    operations = Counter(call["operation"] for call in calls)
    clusters = Counter(
        str(call["parameters"].get("cluster")) for call in calls if call["operation"] == "DescribeServices"
    )
    a_minute = len(calls) * 60 / took
    often = [count for _, count in clusters.most_common(20)]
    told = ", ".join(f"{count} {name}" for name, count in operations.most_common(6))
    what = f"board of {3 * SERVICES} rows in steady state"
    figures.add(f"{what}: AWS calls a minute", f"{a_minute:.0f}", "at most 300", f"in {took:.0f} s: {told}")
    figures.add(f"{what}: processor", f"{used / took:.1%} of a core", "at most 5%", "")
    figures.add(f"{what}: memory", f"{memory:.0f} MB", "at most 200 MB", "resident")
    figures.add(
        f"{what}: readings of a row in view",
        f"every {took / statistics.median(often):.0f} s",
        "every 15 s, as of 9 rows",
        f"{len(clusters)} of {3 * SERVICES} rows were read in that time",
    )
    assert a_minute <= 300
    assert a_minute <= PLANNED_SHARE * A_MINUTE * 1.15
    assert statistics.median(often) >= 0.75 * took / 15
    assert len(clusters) >= 0.9 * 3 * SERVICES, "the others come round in turn"
    assert memory <= 200
    assert used / took <= 0.05
