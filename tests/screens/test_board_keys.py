"""The board under the keys: whose row is acted on, what comes next, which environment, how it is sorted, and how it is left."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from textual.pilot import Pilot

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.board.order import WORST_FIRST, Order
from infraconsole.screens.board.sorting import SortScreen
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.detail import DetailScreen
from infraconsole.screens.places import Place, parse
from infraconsole.screens.run import RunScreen
from tests.screens.conftest import FakeAccess
from tests.screens.seen import at_once, focused_id, notices, text_of, until, until_seen

WORST = "fileflow prod: :8 does"


def board(app: ConsoleApp) -> BoardScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, BoardScreen)
    return screen


def keys(app: ConsoleApp) -> list[str]:
    return [row.key for row in board(app).board.shown]


async def opened(pilot: Pilot[Any], app: ConsoleApp) -> None:
    """Everything was read once."""
    await until_seen(pilot, WORST)
    await until(pilot, lambda: not any(each.unread for each in board(app)._judged.values()))


# Whose row


class Held:
    """The answers of one operation, held back until they are let go."""

    def __init__(self, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
        self._go = threading.Event()
        answer = getattr(aws, f"_{operation}")

        def later(**parameters: Any) -> Any:
            self._go.wait(60)
            return answer(**parameters)

        monkeypatch.setattr(aws, f"_{operation}", later)

    def let_go(self) -> None:
        self._go.set()


async def test_the_cursor_is_on_the_worst_row_until_the_first_key(app: ConsoleApp, aws: FakeAccess) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        assert board(app).board.current_key == "fileflow-prod"
        aws.add("authhub", "prod", running=0, desired=3, state="FAILED", failed=3)
        aws.add("fileflow", "prod", running=3, desired=3)
        board(app).action_refresh()
        await until(pilot, lambda: board(app).board.current_key == "authhub-prod")
        assert keys(app)[0] == "authhub-prod"


async def test_no_row_moves_under_a_cursor_while_a_reading_comes_in(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraconsole.screens.board.still._HELD_SECONDS", 3600.0)
    held = Held(aws, monkeypatch, "DescribeServices")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(keys(app)) == 9)
        before = keys(app)
        await pilot.press("j")
        await until(pilot, lambda: board(app).board.current_key == before[1])
        held.let_go()
        await until_seen(pilot, WORST)
        assert keys(app) == before
        assert board(app).board.current_key == before[1]
        board(app)._still.key_at -= 7200  # nobody has pressed a key for long
        await until(pilot, lambda: keys(app)[0] == "fileflow-prod", "the worst first again")
        assert board(app).board.current_key == before[1], "the cursor has stayed on its row"


async def test_r_is_not_for_a_row_that_came_under_the_cursor_by_itself(
    app: ConsoleApp, aws: FakeAccess, begun: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraconsole.screens.board.still._JUMPED_SECONDS", 3600.0)
    told = notices(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: board(app).board.current_key == "fileflow-prod")
        board(app)._still.came_at -= 60  # it has been seen for a minute
        aws.add("authhub", "prod", running=0, desired=3, state="FAILED", failed=3)
        aws.add("fileflow", "prod", running=3, desired=3)
        board(app).action_refresh()
        await until(pilot, lambda: board(app).board.current_key == "authhub-prod")
        await pilot.press("R")
        await until(pilot, lambda: any("just gone to authhub prod" in words for words in told))
        assert begun == []
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [(wish.service, wish.environment) for wish in begun] == [("authhub", "prod")]


# The next problem


async def test_n_goes_through_the_problems_and_says_where_there_are_none(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.add("crawler", "prod", running=1, desired=3)
    told = notices(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: keys(app)[:2] == ["fileflow-prod", "crawler-prod"])
        for key, there in (
            ("n", "crawler-prod"),
            ("n", "fileflow-prod"),
            ("N", "crawler-prod"),
            ("N", "fileflow-prod"),
        ):
            await pilot.press(key)
            await until(pilot, lambda there=there: board(app).board.current_key == there, there)  # type: ignore[misc]
        await pilot.press("1", "n")
        await until(pilot, lambda: any("Nothing here needs a look. 2 elsewhere" in words for words in told))


# Environments


async def test_digits_show_an_environment_and_say_which(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = notices(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "[0 all] 1 dev  2 staging  3 prod")
        await pilot.press("1")
        await until(pilot, lambda: keys(app) == ["fileflow-dev", "authhub-dev", "crawler-dev"])
        await until_seen(pilot, "[1 dev]")
        await until_seen(pilot, "1 service needs a look in prod, which you do not see: 0 shows all.")
        await pilot.press("e")
        await until(pilot, lambda: keys(app) == ["fileflow-staging", "authhub-staging", "crawler-staging"])
        assert board(app).board.current_key == "fileflow-staging"
        await pilot.press("7")
        await until(pilot, lambda: any("no environment 7: 0 all, 1 dev, 2 staging, 3 prod." in words for words in told))
        await pilot.press("0")
        await until(pilot, lambda: len(keys(app)) == 9)
        assert board(app).board.current_key == "fileflow-staging", "the cursor stays on its row"


async def test_an_environment_is_typed_too_from_any_screen(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        at_once(app, "colon", *"prod", "enter")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await until(pilot, lambda: set(keys(app)) == {"fileflow-prod", "authhub-prod", "crawler-prod"})
        at_once(app, "colon", *"all", "enter")
        await until(pilot, lambda: len(keys(app)) == 9)


@pytest.mark.parametrize("words", ["q", "q!", "quit", "qa", "wq", "exit", ":q"])
def test_quitting_as_k9s_and_vi_have_it(config: Config, words: str) -> None:
    assert parse(words, config) == Place("quit")


def test_places_of_the_board(config: Config) -> None:
    assert parse("prod", config) == parse("board prod", config) == Place("board", detail="prod")
    assert parse("all", config) == parse("board all", config) == Place("board", detail="all")


# Sorting


async def test_s_sorts_by_a_column_and_back_and_says_so(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "worst first (s)")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SortScreen) and focused_id(pilot) == "orders")
        await pilot.press("j", "enter")
        await until(pilot, lambda: board(app)._sorted == Order("target"))
        await until_seen(pilot, "by service ↑ (s)")
        await until_seen(pilot, "service↑")
        assert keys(app)[:3] == ["authhub-dev", "authhub-staging", "authhub-prod"]
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SortScreen) and focused_id(pilot) == "orders")
        await pilot.press("enter")
        await until_seen(pilot, "by service ↓ (s)")
        assert keys(app)[0].startswith("fileflow")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SortScreen) and focused_id(pilot) == "orders")
        await pilot.press("s")
        await until(pilot, lambda: board(app)._sorted == WORST_FIRST and keys(app)[0] == "fileflow-prod")


async def test_a_click_on_a_header_sorts(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.click("#board", offset=(4, 0))
        await until(pilot, lambda: board(app)._sorted == Order("target"))


# Leaving, and keys that do nothing


async def test_colon_q_quits(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        at_once(app, "colon", "q", "enter")
        await until(pilot, lambda: not app.is_running)


async def test_a_key_that_does_nothing_says_so_once(app: ConsoleApp, monkeypatch: pytest.MonkeyPatch) -> None:
    told = notices(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await pilot.press("z")
        await until(pilot, lambda: told == ["z does nothing here; ? shows the keys."])
        for _ in range(5):
            await pilot.press("z")
        assert len(told) == 1, "a held key is one notice"
        monkeypatch.setattr("infraconsole.screens.unknown_keys._APART_SECONDS", 0.0)
        app.desk.config.__dict__["read_only"] = True
        await pilot.press("R")
        await until(pilot, lambda: told[-1] == "R (Roll back) is not possible here now.")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await pilot.press("z")
        await until(pilot, lambda: told[-1] == "z does nothing here.")
        assert len(told) == 3
        await pilot.press("escape", "slash")
        await until(pilot, lambda: focused_id(pilot) == "filter")
        await pilot.press("z")
        at_once(app, *"zzz")
        await pilot.pause(0.1)
        assert len(told) == 3, "what a field takes is never unknown"


# The service under the cursor


async def test_the_service_under_the_cursor_stands_below_the_list(app: ConsoleApp, aws: FakeAccess) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        for size in ((80, 24), (120, 40), (200, 60)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.size == size)  # type: ignore[misc]
            await until_seen(pilot, "in progress  fileflow-prod:8  0/3 run, 12 failed")
            await until_seen(pilot, "tasks keep failing to start")
            assert "is unable to consistently start tasks" not in text_of(app)
            shown = text_of(app)
            assert all(name in shown for name in ("fileflow dev", "crawler prod")), "the whole list stays"
        await pilot.press("j")
        await until_seen(pilot, "completed  fileflow-dev:7  1/1 run")


async def test_the_list_comes_first_on_a_low_terminal_and_leaves_room_on_a_tall_one(
    config: Config, app: ConsoleApp
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        area = board(app).area
        area.divide(100)
        assert (area.room, area.query_one("#selected").display) == (0, False)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: app.size == (120, 40))
        area.divide(100)
        assert area.room == 10
        area.divide(10)
        assert area.room > 10


async def test_tasks_are_read_of_the_row_that_the_cursor_rests_on(app: ConsoleApp, aws: FakeAccess) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        screen = board(app)
        await until(pilot, lambda: screen._tasks_of.get("fileflow-prod") is not None)
        before = set(screen._tasks_of)
        there = keys(app)[4]
        at_once(app, "down", "down", "down", "down")
        await until(pilot, lambda: there in screen._tasks_of and screen._tasks_of[there].value is not None)
        assert set(screen._tasks_of) - before == {there}, "of none that was only passed"
        await until_seen(pilot, "healthy  :7")
