"""Pictures of the board and of what is about one service."""

from __future__ import annotations

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.errors import SsoLoginNeeded
from infraconsole.screens import themes
from infraconsole.screens.board import BoardScreen
from tests.screens.pictures.conftest import SMALL, Easel
from tests.screens.pictures.night import LONG, Night, a_bad_night, lock_state, logged
from tests.screens.pictures.still import go, shown

pytestmark = pytest.mark.pictures


def rows_of(app: ConsoleApp) -> BoardScreen:
    assert isinstance(app.screen, BoardScreen)
    return app.screen


async def test_board(app: ConsoleApp, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    lock_state(aws, "authhub", "staging")
    async with app.run_test(size=size) as pilot:
        await easel.compare(pilot)


async def test_board_of_one_environment(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    """Its cursor on a service with a long name, which is well."""
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        await pilot.press("2")
        rows_of(app).board.move_to(f"{LONG}-staging")
        await easel.compare(pilot)


async def test_board_row_whole(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot)
        await pilot.press("d")
        await easel.compare(pilot)


@SMALL
async def test_board_with_a_notice(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size, notifications=True) as pilot:
        await easel.settled(pilot)
        await pilot.press("9")
        await easel.compare(pilot, notices=1)


@pytest.mark.parametrize("theme", [themes.LIGHT, themes.MONO])
async def test_board_in_other_colours(app: ConsoleApp, easel: Easel, theme: str) -> None:
    app.theme = theme
    async with app.run_test(size=(120, 40)) as pilot:
        await easel.compare(pilot)


class Expired(Night):
    """Whose login is over."""

    def call(self, service: str, operation: str, /, **_: object) -> dict[str, object]:
        error = SsoLoginNeeded(
            "The SSO login has expired (region ap-northeast-2, profile prod).",
            operation=f"{service}:{operation}",
            mend="Log in: aws sso login --profile prod",
        )
        error.profile = "prod"
        raise error


async def test_board_without_a_login(config: Config, journal: Journal, easel: Easel, size: tuple[int, int]) -> None:
    """prod cannot be read; the others can."""
    well, over = a_bad_night(), Expired()
    over.profile = "prod"
    app = ConsoleApp(config, journal, lambda name: over if name == "prod" else well, "woken")
    async with app.run_test(size=size) as pilot:
        await easel.settled(pilot, endless=("account",))
        rows_of(app).board.move_to("fileflow-prod")
        await shown(pilot, "The SSO login has expired")
        await easel.compare(pilot, endless=("account",))


@pytest.mark.parametrize("size", [(49, 30), (20, 5)], ids=["49x30", "20x5"])
async def test_too_small_a_terminal(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await easel.compare(pilot)


async def test_containers(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers")
        await easel.compare(pilot)


@pytest.mark.parametrize("tabs", [1, 2, 3], ids=["events", "targets", "revisions"])
async def test_containers_pane(app: ConsoleApp, easel: Easel, tabs: int) -> None:
    """What is a pane of its own on a small terminal."""
    async with app.run_test(size=(80, 24)) as pilot:
        await go(pilot, "containers")
        await easel.settled(pilot)
        await pilot.press(*["tab"] * tabs)
        await easel.compare(pilot)


async def test_containers_difference_of_revisions(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers")
        await easel.settled(pilot)
        await pilot.press("shift+tab", "j", "d")
        await easel.compare(pilot)


@SMALL
async def test_containers_of_no_service(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "containers", "crawler", "staging")
        await easel.compare(pilot)


async def test_logs(app: ConsoleApp, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    logged(aws)
    async with app.run_test(size=size) as pilot:
        await go(pilot, "logs")
        await easel.settled(pilot)
        await pilot.press("k", "k", "k", "k")
        await easel.compare(pilot)


@SMALL
async def test_logs_of_nothing(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "logs")
        await easel.compare(pilot)
