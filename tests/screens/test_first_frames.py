"""Before anything has been read, nothing is said to be absent: on no screen, by no list, whatever opens it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from infraconsole.app import ConsoleApp
from infraconsole.aws.s3 import StoredObject
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.screens import deploying
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.goto import GoToScreen
from infraconsole.screens.places import EXPORT, SCREENS, GoTo, Place
from infraconsole.screens.state.diff import StateDiffScreen
from infraconsole.screens.widgets.output import Output
from infraconsole.screens.widgets.rows import Column, Row, Rows
from tests.screens.conftest import FakeAccess, just_now
from tests.screens.seen import text_of, until, until_seen

ABSENT = re.compile(
    r"\bno (?!\w*one\b)\w+|\bnone\b|\bnothing (?!is (?:read|changed)|changes)|\bthere (?:is|are) no|\bnot there|"
    r"\b0[ /]|\bhas not|\bnever\b|as (?:it|they) should|all in order|\bempty\b|could not",
    re.IGNORECASE,
)
"""What may only be said once somebody has looked."""
PROMISES = ("empty: the one in the tfvars", "empty: everything", "Nothing changes before its gates are answered", "0 have answered", "[0 all]")
"""What is so whatever is read."""


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch, aws: FakeAccess) -> Iterator[None]:
    """Neither AWS nor the journal nor the code: every reading that a screen begins stays under way."""
    over = threading.Event()

    def waits(*_: Any, **__: Any) -> Any:
        over.wait(120)
        raise OSError("the test is over")

    async def never(call: Callable[[], Any], name: str = "load") -> Any:
        import asyncio

        await asyncio.Event().wait()

    for module in (
        *(
            "board.screen",
            "console_screen",
            "containers.screen",
            "environments.screen",
            "exports.screen",
            "exports.one",
        ),
        *("goto", "journal.screen", "logs", "palette", "plan.screen", "run.screen", "state.screen", "state.diff"),
        "deploying",
    ):
        name = f"infraconsole.screens.{module}"
        __import__(name)
        import sys

        if hasattr(sys.modules[name], "in_thread"):
            monkeypatch.setattr(f"{name}.in_thread", never)
    monkeypatch.setattr(aws, "call", waits)
    yield
    over.set()


def said(app: ConsoleApp) -> str:
    shown = text_of(app)
    shown = " ".join(re.sub(r"[│─]", " ", shown).split())
    for promise in PROMISES:
        shown = shown.replace(promise, "")
    return shown


async def shown(pilot: Pilot[Any], app: ConsoleApp, opened: str) -> str:
    await until(pilot, lambda: type(app.screen).__name__ == opened)
    await pilot.pause(0.05)
    if isinstance(app.screen, ConsoleScreen):
        app.screen.tick()  # and a second later
    await pilot.pause(0.1)
    return said(app)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_no_screen_says_that_there_is_nothing_before_it_was_read(
    app: ConsoleApp, nobody_answers: None, size: tuple[int, int]
) -> None:
    wrong: list[str] = []
    async with app.run_test(size=size) as pilot:
        await until_seen(pilot, "Reading 9 services")
        for screen in (*SCREENS, EXPORT, "stateDiff", "deploy"):
            if screen == "stateDiff":
                versions = [StoredObject("b", "k", f"v{n}", 9, just_now(), "") for n in (1, 2)]
                app.push_screen(StateDiffScreen(app.desk, "fileflow", "prod", *versions))
            elif screen == "deploy":
                assert isinstance(app.screen, ConsoleScreen)
                deploying.ask(app.screen, "fileflow", "dev")
            else:
                detail = "/shared/network/vpc-id" if screen == EXPORT else ""
                app.on_go_to(GoTo(Place(screen, "fileflow", "prod", run="k3m9px", detail=detail)))
            told = await shown(pilot, app, f"{screen[0].upper()}{screen[1:]}Screen")
            if found := ABSENT.search(told):
                wrong.append(f"{screen} says {found[0]!r}: {told}")
            if not re.search(r"reading|comparing|…", told, re.IGNORECASE):
                wrong.append(f"{screen} does not say that it is being read: {told}")
            if screen not in ("board", "stateDiff"):
                app.on_go_to(GoTo(Place("board"))) if screen != "deploy" else await pilot.press("escape")
                await until(pilot, lambda: isinstance(app.screen, BoardScreen | StateDiffScreen))
    assert not wrong, "\n\n".join(wrong)


async def test_a_place_is_not_called_unknown_before_all_were_read(app: ConsoleApp, nobody_answers: None) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow")
        app.push_screen(GoToScreen(app.desk.config, app.desk.journal.run_ids))
        await until(pilot, lambda: isinstance(app.screen, GoToScreen))
        await pilot.press(*"run")
        await until_seen(pilot, "so far: the runs are not read yet.")


async def test_without_services_the_first_frame_is_true(journal: Journal, config: Config, aws: FakeAccess) -> None:
    config = Config(**{**config.__dict__, "services": {}})
    app = ConsoleApp(config, journal, lambda _: aws, "woken")
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "No service is configured")


def test_a_list_cannot_say_that_there_is_nothing_before_it_was_told() -> None:
    rows = Rows((Column("a", "", 9),))
    assert rows.empty_says == "Reading…"
    rows.set_rows([])
    assert rows.empty_says == "Reading…", "rows that come in do not end a reading"
    rows.end_reading("No run yet.")
    assert rows.empty_says == "No run yet."
    rows.begin_reading("Reading the last hour…")
    assert rows.empty_says == "Reading the last hour…"
    rows.end_reading("No run yet.")
    assert rows.empty_says == "No run yet.", "the same words again"
    output = Output()
    assert output.empty_says == "Reading…"
    output.end_reading("No output yet.")
    assert output.empty_says == "No output yet."


def test_a_filter_that_finds_nothing_says_that_not_all_was_read() -> None:
    rows = Rows((Column("a", "", 9),))
    rows._all, rows._filter = (Row("a"),), "x"
    assert rows._empty_lines(80) == ["Nothing matches “x” so far: not all is read yet."]
    rows.end_reading("")
    assert rows._empty_lines(80) == ["Nothing matches “x”."]
