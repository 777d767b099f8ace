"""What pictures have in common: the moment, the zone, a bad night at AWS, and how a picture is taken and compared."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from infraconsole.app import ConsoleApp
from infraconsole.aws.budget import carried
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.screens import deploying, threads
from infraconsole.screens.board import screen as board_screen
from tests.screens import conftest as shared
from tests.screens.pictures.night import Night, a_bad_night, settings
from tests.screens.pictures.picture import Stored, as_svg
from tests.screens.pictures.still import AT, NOWHERE, ZONE, Clock, Readings, still

FOLDER_VARIABLE = "PICTURES"
"""A folder into which every picture is written as SVG, whether it is as it was or not."""


SMALL = pytest.mark.parametrize("size", [(80, 24)], ids=["80x24"])
"""For what differs from another picture in a few lines only: where there is little room, it goes wrong first."""


@pytest.fixture(params=[(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture(autouse=True)
def moment(begins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """It is 14:20:05 in Seoul until somebody says otherwise, and no terminal says what it can show."""
    monkeypatch.setattr(shared, "_moment", AT)
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    monkeypatch.setenv("INFRACONSOLE_CLOCK", str(tmp_path / "clock.json"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield Clock(tmp_path / "clock.json")
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    counted = Readings(carried)
    monkeypatch.setattr(threads, "carried", counted.carried)
    return counted


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, catalogue: set[str]) -> None:
    """What waits for a person's eye or hand does not."""
    catalogue.add("ecs-rollback")
    monkeypatch.setattr(deploying, "_known", catalogue)
    monkeypatch.setattr("infraconsole.screens.console_screen._ALIAS_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(board_screen, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(board_screen, "_TASKS_SECONDS", 3600.0)
    monkeypatch.setattr(ConsoleApp, "NOTIFICATION_TIMEOUT", 600.0)
    monkeypatch.setenv("INFRACONSOLE_COMMAND", "infraconsole")


@pytest.fixture
def config() -> Config:
    return settings()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """Whose place is told as it is seen from the test's own folder, whatever that is called."""
    monkeypatch.chdir(tmp_path)
    with Journal(Path("state")) as opened:
        yield opened


@pytest.fixture
def aws(moment: Clock) -> Night:
    return a_bad_night()


@pytest.fixture
def app(config: Config, journal: Journal, aws: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConsoleApp:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    made = ConsoleApp(config, journal, lambda _: aws, "woken")
    made.animation_level = "none"
    return made


class Easel:
    """Takes the picture of a screen that has come to rest, and holds it against the stored one."""

    def __init__(self, name: str, stored: SnapshotAssertion, readings: Readings, folder: Path) -> None:
        self._name, self._stored, self._readings, self._folder = name, stored, readings, folder

    async def settled(self, pilot: Pilot[Any], **of_still: Any) -> str:
        return await still(pilot, self._readings, **of_still)

    async def compare(self, pilot: Pilot[Any], **of_still: Any) -> None:
        taken = await self.settled(pilot, **of_still)
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        if asked := os.environ.get(FOLDER_VARIABLE):
            as_svg(app, self._name, Path(asked))
        assert taken == self._stored, f"It looks different. As it looks now: {as_svg(app, self._name, self._folder)}"


@pytest.fixture
def easel(request: pytest.FixtureRequest, snapshot: SnapshotAssertion, readings: Readings, tmp_path: Path) -> Easel:
    name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
    return Easel(name, snapshot.use_extension(Stored), readings, tmp_path)
