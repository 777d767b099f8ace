"""Readings that take longer than from one tick to the next, and journals of many runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.screen import Screen

from infraconsole.app import ConsoleApp
from infraconsole.engine import index, listing
from infraconsole.engine.journal import Journal
from infraconsole.screens.journal import JournalScreen
from infraconsole.screens.steady import steady
from tests.bench.journals import filled
from tests.screens.seen import until, until_seen

SLOW_SECONDS = 1.5
"""Longer than from one tick to the next."""


def slowly(call: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*arguments: Any, **named: Any) -> Any:
        time.sleep(SLOW_SECONDS)
        return call(*arguments, **named)

    return slow


async def test_the_board_shows_an_unfinished_run_although_reading_takes_longer_than_a_tick(
    app: ConsoleApp, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(journal.folder, 30, unfinished="k3m9px")
    monkeypatch.setattr(listing, "to_resume", slowly(listing.to_resume))
    async with app.run_test(size=(140, 40)) as pilot:
        await until_seen(pilot, "(k3m9px) is not finished and no process runs it", seconds=30)


async def test_the_journal_screen_loads_although_reading_takes_longer_than_a_tick(
    app: ConsoleApp, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(journal.folder, 30)
    monkeypatch.setattr(listing, "newest", slowly(listing.newest))
    async with app.run_test(size=(140, 40)) as pilot:
        app.push_screen(JournalScreen(app.desk))
        await until_seen(pilot, "30 runs", seconds=30)


async def test_older_runs_are_read_as_the_cursor_comes_to_them_and_the_filter_finds_all(
    app: ConsoleApp, journal: Journal
) -> None:
    filled(journal.folder, 350)
    async with app.run_test(size=(140, 40)) as pilot:
        screen = JournalScreen(app.desk)
        app.push_screen(screen)
        await until_seen(pilot, "350 runs", seconds=30)
        await until(pilot, lambda: len(screen.rows.shown) == 100)
        screen.narrow("r00003")
        await until(pilot, lambda: [row.key for row in screen.rows.shown] == ["r00003"], seconds=30)
        screen.narrow("")
        await until(pilot, lambda: len(screen.rows.shown) >= 100, seconds=30)
        while (count := len(screen.rows.shown)) < 350:  # the cursor stays on r00003 at first, near the end
            await pilot.press("G")
            await until(pilot, lambda count=count: len(screen.rows.shown) > count, f"{count} runs", seconds=30)  # type: ignore[misc]
        await pilot.press("G")
        assert screen.rows.current_key == "r00000"


async def test_an_index_that_is_made_again_is_waited_for(
    app: ConsoleApp, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(journal.folder, 30, unfinished="k3m9px")
    monkeypatch.setattr(index, "catch_up", slowly(index.catch_up))
    journal.remake_index()
    async with app.run_test(size=(140, 40)) as pilot:
        app.push_screen(JournalScreen(app.desk))
        await until_seen(pilot, "30 runs", seconds=30)
        await until_seen(pilot, "k3m9px", seconds=30)


# The helper itself


class Reader(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self.begun = self.ended = 0
        self.go_on = asyncio.Event()

    @steady
    async def read(self) -> None:
        self.begun += 1
        await self.go_on.wait()
        self.ended += 1


async def test_a_reading_under_way_is_never_cancelled_and_asked_meanwhile_runs_once_more() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        screen = Reader()
        await app.push_screen(screen)
        for _ in range(5):
            screen.read()
            await pilot.pause(0.02)
        assert (screen.begun, screen.ended) == (1, 0)
        screen.go_on.set()
        while screen.ended < 2:
            await pilot.pause(0.02)
        await pilot.pause(0.1)
        assert (screen.begun, screen.ended) == (2, 2), "five askings are one reading more"
        screen.read()
        while screen.ended < 3:
            await pilot.pause(0.02)
