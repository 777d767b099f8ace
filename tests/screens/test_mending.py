"""What mends a state, and the infrastructure in order: found in the palette, begun as any other run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.run import RunScreen
from infraconsole.screens.state import StateScreen
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor
from tests.screens.seen import text_of, until, until_seen

OF_A_STATE = {
    "Repair the digest of the state": "digest-repair",
    "Bring back a deleted or broken state": "state-undelete",
    "Release the state's lock": "state-unlock",
    "Recover errored.tfstate": "state-recover",
    "Dismiss what is in no state": "strays-dismiss",
}
ALL = "Deploy all infrastructure modules in order"


@pytest.fixture
def infrastructure(tmp_path: Path) -> Path:
    """Whose modules are, in order: network, ecr/fileflow, rds."""
    for file in ("network/main.tf", "ecr/fileflow/main.tf", "rds/main.tf", "rds/environments/prod/terraform.tfvars"):
        (tmp_path / "infra" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "infra" / file).write_text("")
    return tmp_path / "infra"


@pytest.fixture
def make(config: Config, journal: Journal, aws: FakeAccess, infrastructure: Path) -> Callable[..., ConsoleApp]:
    return lambda **others: ConsoleApp(
        replace(config, infrastructure=infrastructure, **others), journal, lambda _: aws, "woken"
    )


async def chosen(pilot: Any, app: ConsoleApp, name: str) -> None:
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await pilot.press(*name)
    await until_seen(pilot, f"{name}: ")
    await pilot.pause(0.3)  # what was found for fewer letters goes
    await pilot.press("enter")


@pytest.mark.parametrize("name", OF_A_STATE)
async def test_what_mends_a_state_is_begun_from_the_palette(
    make: Callable[..., ConsoleApp], begun: list[Any], catalogue: set[str], name: str
) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        app.on_go_to(GoTo(Place("containers", "fileflow", "prod")))
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await until_seen(pilot, "✗ in progress")
        await chosen(pilot, app, name)
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == (OF_A_STATE[name], "fileflow", "prod", {})


async def test_what_mends_a_state_is_there_for_a_module_too(
    make: Callable[..., ConsoleApp], begun: list[Any], catalogue: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAccess, "_ListObjectVersions", lambda *_, **__: {}, raising=False)
    app = make()
    async with app.run_test(size=(120, 40)) as pilot:
        app.on_go_to(GoTo(Place("state", "ecr/fileflow", "prod")))
        await until(pilot, lambda: isinstance(app.screen, StateScreen))
        await chosen(pilot, app, "Repair the digest of the state")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [(wish.runbook, wish.service, wish.environment) for wish in begun] == [
        ("digest-repair", "ecr/fileflow", "prod")
    ]


@pytest.mark.parametrize("why", ["read-only", "no such runbooks", "no environment"])
async def test_nothing_is_offered_that_cannot_begin(
    make: Callable[..., ConsoleApp], begun: list[Any], catalogue: set[str], why: str
) -> None:
    if why == "no such runbooks":
        catalogue -= {*OF_A_STATE.values(), "deploy"}
    app = make(read_only=why == "read-only")
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        if why == "no environment":
            app.on_go_to(GoTo(Place("journal")))
            await pilot.pause(0.2)
        for name in (*OF_A_STATE, ALL):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, CommandPalette))
            await pilot.press(*name[:20])
            await pilot.pause(0.4)
            assert f"{name}: " not in text_of(app)
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
    assert not begun


@pytest.fixture
def executors(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> list[FakeExecutor]:
    """One for each run that is begun; what it was begun for is its target."""
    made: list[FakeExecutor] = []

    def begin(_: Any, wish: Any) -> str:
        executor = FakeExecutor(journal.folder, f"run00{len(made) + 1}")
        executor.target = f"{wish.runbook} {wish.service} {wish.environment}"
        made.append(executor)
        return executor.run

    monkeypatch.setattr("infraconsole.app.begin", begin)
    return made


def shown(app: ConsoleApp) -> str:
    return app.screen.run_id if isinstance(app.screen, RunScreen) else ""


async def test_the_infrastructure_is_deployed_module_by_module(
    make: Callable[..., ConsoleApp], executors: list[FakeExecutor], catalogue: set[str]
) -> None:
    app = make()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        app.on_go_to(GoTo(Place("containers", "fileflow", "prod")))
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await until_seen(pilot, "✗ in progress")
        await chosen(pilot, app, ALL)
        await until(pilot, lambda: shown(app) == "run001")
        await until_seen(pilot, "1 of 3: network.")
        await pilot.pause(0.8)
        assert len(executors) == 1, "the next waits for this one"
        executors[0].finish()
        await until(pilot, lambda: shown(app) == "run002")
        app.on_go_to(GoTo(Place("board")))
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        executors[1].finish()
        await until(pilot, lambda: len(executors) == 3)
        await until_seen(pilot, "Go to it: run run003")
        assert isinstance(app.screen, BoardScreen), "nobody is moved from where they are"
        executors[2].finish()
        await pilot.pause(0.8)
    assert [each.target for each in executors] == [
        "deploy network prod",
        "deploy ecr/fileflow prod",
        "deploy rds prod",
    ]


async def test_what_builds_on_a_module_that_failed_is_not_deployed(
    make: Callable[..., ConsoleApp], executors: list[FakeExecutor], catalogue: set[str]
) -> None:
    app = make()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await chosen(pilot, app, ALL)
        await until(pilot, lambda: shown(app) == "run001")
        app.on_go_to(GoTo(Place("board")))
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await chosen(pilot, app, ALL)
        await until_seen(pilot, "Runs in order are under way already.")
        await pilot.press("ctrl+q")
        await until_seen(pilot, "The modules that were to follow in order are not begun then.")
        await pilot.press("escape")
        executors[0].finish("refused", 3)
        await until_seen(pilot, "network ended as refused")
        await pilot.pause(0.8)
    assert len(executors) == 1
