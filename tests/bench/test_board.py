"""The board against the slowest chain of calls that one of its cells needs: how parallel its loads are.

Both sides use the same warm clients on the same world, with nothing remembered of earlier reads. A chain is one loader for
one target, alone in the process; the board is the console's own, from its first load to the last of its cells. Unlike
AWS, the embedded world answers on this machine, from one process: what all calls together cost it in processor time is
part of the board's time and of no chain's. With a latency as AWS has one that weighs little; without any it is all there is.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from infraconsole import config
from infraconsole.app import ConsoleApp
from infraconsole.aws.access import AwsAccess
from infraconsole.checks.row_facts import BoardRow
from infraconsole.engine.journal import Journal
from infraconsole.overview import Overview
from infraconsole.screens.board import BoardScreen
from infraconsole.world.process import World
from tests.bench.conftest import Figures, seconds
from tests.world.conftest import worlds

pytestmark = pytest.mark.bench

ATTEMPTS = 7
LATENCY = 0.2


class TimedBoard(BoardScreen):
    """The board, knowing when its first load began."""

    began = 0.0

    def load(self) -> None:
        self.began = self.began or time.perf_counter()
        super().load()

    @property
    def filled(self) -> bool:
        return all(fact.value is not None and not fact.loading for row in self._rows.values() for _, fact in row.facts)


class TimedApp(ConsoleApp):
    def get_default_screen(self) -> Screen[Any]:
        return TimedBoard(self.desk)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with worlds(tmp_path) as make:
        made = make("healthy", 1.0)
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


Chain = tuple[str, str, str]
"""Service, environment, group of cells."""


def time_of(chain: Chain, settings: config.Config, access: AwsAccess) -> float:
    service, environment, group = chain
    loader = getattr(Overview(settings, lambda _: access), group)
    return seconds(lambda: loader(service, environment))


def slowest_chains(settings: config.Config, access: AwsAccess) -> list[Chain]:
    """Of all chains, each timed alone, the five slowest."""
    groups = [group for group, _ in BoardRow("", "").facts]
    rows = Overview(settings, lambda _: access).rows()
    chains = [(row.service_name, row.environment, group) for row in rows for group in groups]
    times = {chain: time_of(chain, settings, access) for chain in chains}
    return sorted(chains, key=lambda chain: -times[chain])[:5]


async def fill(settings: config.Config, access: AwsAccess, journal: Journal) -> float:
    """Seconds from the board's first load until all its cells have their value."""
    app = TimedApp(settings, journal, lambda _: access, "woken")
    async with app.run_test(size=(120, 40)):
        board = app.screen
        assert isinstance(board, TimedBoard)
        deadline = time.monotonic() + 60
        while not board.filled:
            assert time.monotonic() < deadline, "the board was never filled"
            await asyncio.sleep(0.002)
        return time.perf_counter() - board.began


async def measured(world: World, folder: Path) -> tuple[float, str]:
    """The ratio of the medians of both sides, timed in turns, and how it came about."""
    settings = config.load()
    access = AwsAccess(region=world.region)
    boards, chains = [], []
    with Journal(folder) as journal:
        await fill(settings, access, journal)  # makes the clients, and the connections of a whole board
        before = world.calls()[-1]["seq"]
        await fill(settings, access, journal)
        calls = len(world.calls(since=before))
        slowest = await asyncio.to_thread(slowest_chains, settings, access)
        for _ in range(ATTEMPTS):
            boards.append(await fill(settings, access, journal))
            chains.append([await asyncio.to_thread(time_of, chain, settings, access) for chain in slowest])
    board = statistics.median(boards)
    medians = {name: statistics.median(times) for name, times in zip(slowest, zip(*chains, strict=True), strict=True)}
    (service, environment, group), chain = max(medians.items(), key=lambda item: item[1])
    told = f"medians of {ATTEMPTS} in turns: {board:.3f} s against {chain:.3f} s ({service} {environment}: {group})"
    return board / chain, f"{told}, {calls} calls in all; best board {min(boards) / chain:.2f} ×"


async def test_board_fills_in_parallel(figures: Figures, world: World, tmp_path: Path) -> None:
    assert len(Overview(config.load(), lambda _: AwsAccess(region=world.region)).rows()) == 9
    world.fault("delay", seconds=LATENCY)
    ratio, told = await measured(world, tmp_path / "with")
    figures.add(
        f"board of 9 services filled, against its slowest chain of calls, each call {LATENCY:.1f} s away",
        f"{ratio:.2f} ×",
        "at most 1.5 ×",
        f"{told}; warm clients on both sides, nothing remembered of earlier reads",
    )
    world.clear_faults()
    at_once, told = await measured(world, tmp_path / "without")
    figures.add(
        "the same with no latency at all",
        f"{at_once:.1f} ×",
        "–",
        f"{told}; nothing to wait for: this is the processor time of the console and the one-process emulator",
    )
    assert ratio <= 1.5
