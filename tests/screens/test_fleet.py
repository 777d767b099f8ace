"""A board of a hundred rows on a small budget: what is on the screen is read first, what was not read says so, and what a person or
a run of ours asks for does not wait."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws import budget
from infraconsole.config import Config, parse
from infraconsole.engine.journal import Journal
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.widgets.band import Band
from infraconsole.screens.widgets.rows import Rows
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor
from tests.screens.seen import text_of, until, until_seen

SERVICES = ("aaa", *(f"service{number:02}" for number in range(98)), "fileflow")


class Counted(FakeAccess):
    """Takes each call from the budget, as the real one does, and remembers in which lane, and of which cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: Counter[str] = Counter()
        self.clusters: Counter[str] = Counter()

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert self.budget is not None
        self.budget.take()
        found = budget._reading.get()
        self.lanes[found.lane.value if found else "asked"] += 1
        self.clusters[parameters.get("cluster", "")] += operation == "DescribeServices"
        return super().call(service, operation, **parameters)


@pytest.fixture
def aws() -> FakeAccess:
    access = Counted()
    for service in SERVICES:
        access.add(service, "prod")
    for raw in access.services.values():
        for each in raw["deployments"]:
            each["createdAt"] -= timedelta(days=3)
            each["updatedAt"] -= timedelta(days=3)
    return access


@pytest.fixture
def config() -> Config:
    return parse(
        {
            "region": "ap-northeast-2",
            "aws": {"calls_per_second": 0.5},
            "services": {name: {} for name in SERVICES},
            "environments": {"prod": {"state_bucket": "b", "lock_table": "t", "account": "123456789012"}},
        },
        None,
    )


def board_of(app: ConsoleApp) -> BoardScreen:
    assert isinstance(app.screen, BoardScreen)
    return app.screen


def services_read(screen: BoardScreen) -> list[str]:
    return [key for key, row in screen._rows.items() if row.service.value is not None]


async def test_what_is_on_the_screen_is_read_at_once_and_the_rest_says_that_it_was_not(
    app: ConsoleApp, aws: Counted
) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        screen = board_of(app)
        rows = screen.query_one("#board", Rows)
        await until(pilot, lambda: bool(rows.in_view) and set(rows.in_view) <= set(services_read(screen)))
        read = services_read(screen)
        assert len(read) < 40, "a budget of half a call a second cannot have read a hundred"
        assert "runs as it should" not in text_of(app)
        assert "services run as they should" not in text_of(app), "nothing is ok that was not read"
        await until_seen(pilot, "Reading 100 services")
        await pilot.press("G")
        await until_seen(pilot, "fileflow prod")
        await until(pilot, lambda: "fileflow-prod" in services_read(screen), "scrolled to, it is asked for")
        assert aws.lanes["background"] <= 0.5 * 10 + 30, "the rest waits its turn"


async def test_when_a_run_of_ours_ends_its_row_is_read_again_at_once(
    app: ConsoleApp, aws: Counted, journal: Journal
) -> None:
    executor = FakeExecutor(journal.folder)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = board_of(app)
        await until(pilot, lambda: "aaa-prod" in services_read(screen) and screen._journal_seen >= 0)
        await pilot.press("G")  # its row may be the worst, and on top
        await until(pilot, lambda: "fileflow-prod" not in screen.query_one("#board", Rows).in_view)
        before = aws.clusters["fileflow-prod-cluster"]
        executor.finish()
        await until(pilot, lambda: aws.clusters["fileflow-prod-cluster"] > before)
        await until(pilot, lambda: "fileflow-prod" in services_read(screen))


async def test_that_aws_throttles_is_said_with_what_the_console_does_about_it(app: ConsoleApp, aws: Counted) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(services_read(board_of(app))))
        assert aws.budget is not None
        aws.budget.refused()
        await until_seen(
            pilot, "AWS throttles this account in ap-northeast-2. The console reads slower, 0.3 calls a second"
        )
        await until_seen(pilot, "Runs are not held up.")
        aws.budget._refused_at -= budget.RECOVERY_SECONDS
        await until(pilot, lambda: not app.screen.query_one(Band).slowed)


async def test_what_comes_round_by_itself_is_background_and_r_is_asked_for(app: ConsoleApp, aws: Counted) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "aaa-prod" in services_read(board_of(app)))
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await until_seen(pilot, "steady")
        screen = app.screen
        assert isinstance(screen, ConsoleScreen)
        assert board_of_stack(app)._pump._paused, "what is covered reads nothing"
        await until(pilot, lambda: not screen._loading)  # type: ignore[attr-defined]
        aws.lanes.clear()
        assert aws.budget is not None
        aws.budget._level = 100.0
        screen._load_again()
        await until(pilot, lambda: aws.lanes["background"] >= 3)
        await until(pilot, lambda: not screen._loading)  # type: ignore[attr-defined]
        asked = aws.lanes["asked"]
        await pilot.press("r")
        await until(pilot, lambda: aws.lanes["asked"] >= asked + 3)


def board_of_stack(app: ConsoleApp) -> BoardScreen:
    board = app.screen_stack[0]
    assert isinstance(board, BoardScreen)
    return board


async def test_a_row_that_is_seldom_read_by_design_is_neither_stale_nor_failed(
    app: ConsoleApp, aws: Counted, tmp_path: Path
) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        screen = board_of(app)
        await until(pilot, lambda: "aaa-prod" in services_read(screen))
        row = screen._rows["aaa-prod"]
        assert row.service.read_at is not None
        later = row.service.read_at + timedelta(minutes=5)
        from infraconsole.checks.judgement import judge
        from infraconsole.screens.board.cells import board_row

        drawn = board_row(row, judge(row, later), None, later)
        assert (drawn.cells["age"].text, drawn.cells["age"].tone) == ("5 min", "dim")
