"""What has no key stands in the palette: the colours, and in the demo its scenarios."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.errors import InfraconsoleError
from infraconsole.screens import themes
from infraconsole.screens.desk import Scene, Scenes
from infraconsole.screens.palette import Palette
from tests.screens.conftest import FakeAccess
from tests.screens.seen import text_of, until, until_seen


async def choose(pilot: object, app: ConsoleApp, words: str, shown: str) -> None:
    await pilot.press("ctrl+p")  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(app.screen, Palette))  # type: ignore[arg-type]
    app.screen.query_one(Input).value = words
    await until_seen(pilot, shown)  # type: ignore[arg-type]
    await pilot.press("enter")  # type: ignore[attr-defined]
    await until(pilot, lambda: not isinstance(app.screen, Palette))  # type: ignore[arg-type]


@pytest.mark.parametrize(("words", "theme"), [("theme light", themes.LIGHT), ("theme mono", themes.MONO)])
async def test_every_theme_can_be_reached(app: ConsoleApp, words: str, theme: str) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await choose(pilot, app, words, "Change the colours")
        await until(pilot, lambda: app.theme == theme)
        await until_seen(pilot, "fileflow prod: :8 does")


@pytest.mark.parametrize("fails", [False, True])
async def test_scenarios_of_the_demo(config: Config, journal: Journal, aws: FakeAccess, fails: bool) -> None:
    asked: list[str] = []

    def change(name: str) -> None:
        asked.append(name)
        if fails:
            raise InfraconsoleError("The world does not answer.")

    scenes = Scenes((Scene("slow", "A slow network", "Each call takes longer."),), change)
    app = ConsoleApp(config, journal, lambda _: aws, "woken", world="bad-image", scenes=scenes)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until_seen(pilot, "bad-image")
        await choose(pilot, app, "scenario slow", "Each call takes longer.")
        await until_seen(pilot, "does not answer" if fails else "A slow network: the world is")
        assert asked == ["slow"]
        assert ("bad-image" in text_of(app).splitlines()[0]) is fails


async def test_nobody_is_offered_scenarios_of_the_real_world(app: ConsoleApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Palette))
        app.screen.query_one(Input).value = "scenario"
        await pilot.pause(0.5)
        assert "Scenario" not in text_of(app)
