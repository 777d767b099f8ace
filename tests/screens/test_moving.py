"""Help, palette, go-to, the journal's screen, leaving: nothing has to be remembered, and no run ends with the console."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual import events
from textual.widgets import Static

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.config import parse as parsed
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import UnknownName, UsageError
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.detail import DetailScreen
from infraconsole.screens.help import HelpScreen
from infraconsole.screens.journal import JournalScreen
from infraconsole.screens.places import GoTo, Place, known_places, parse
from infraconsole.screens.quitting import COMMAND_VARIABLE, Farewell, farewell, runs_under_way
from infraconsole.screens.run import RunScreen
from infraconsole.screens.widgets.filter_bar import FilterBar
from infraconsole.screens.widgets.rows import Rows
from tests.screens.runs import FakeExecutor, type_gate
from tests.screens.seen import at_once, focused_id, notices, text_of, until, until_seen


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("fileflow prod", Place("containers", "fileflow", "prod")),
        (":fileflow prod", Place("containers", "fileflow", "prod")),
        ("fileflow-prod", Place("containers", "fileflow", "prod")),
        ("fileflow", Place("containers", "fileflow", "prod")),
        ("containers authhub dev", Place("containers", "authhub", "dev")),
        ("logs crawler staging", Place("logs", "crawler", "staging")),
        ("board", Place("board")),
        ("journal", Place("journal")),
        ("run k3", Place("run", run="k3m9px")),
    ],
)
def test_places_as_they_are_typed(config: Config, words: str, place: Place) -> None:
    assert parse(words, config, ["k3m9px", "abc234"]) == place


def test_a_wrong_place_names_what_exists(config: Config) -> None:
    with pytest.raises(UnknownName, match="filefow"):
        parse("filefow prod", config)
    with pytest.raises(UnknownName, match="prdo"):
        parse("fileflow prdo", config)
    with pytest.raises(UsageError):
        parse("", config)


def test_the_states_of_modules_are_places_too(tmp_path: Path) -> None:
    for file in ("network/main.tf", "ecr/fileflow/main.tf", "rds/environments/dev/terraform.tfvars", "rds/main.tf"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    config = parsed({"infrastructure": {"path": "."}, "services": {"fileflow": {}}}, tmp_path / "infraconsole.toml")
    modules = config.modules()
    for words, place in (
        ("state network", Place("state", "network", "prod")),
        ("state network dev", Place("state", "network", "prod")),  # it serves all environments
        (":state ecr/fileflow prod", Place("state", "ecr/fileflow", "prod")),
        ("state rds dev", Place("state", "rds", "dev")),
        ("state fileflow dev", Place("state", "fileflow", "dev")),
    ):
        assert parse(words, config, modules=modules) == place
    offered = [words for words in known_places(config, modules=modules) if words.startswith("state ")]
    assert {"state network prod", "state ecr/fileflow prod", "state rds dev", "state rds prod"} <= set(offered)
    assert "state network dev" not in offered
    for words in ("state netwrk prod", "state network prdo", "containers network prod"):
        with pytest.raises(UnknownName):
            parse(words, config, modules=modules)


async def test_keys_that_a_slow_line_delivers_at_once_go_where_they_were_meant(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        at_once(app, "colon", *"journal", "enter")
        await until(pilot, lambda: isinstance(app.screen, JournalScreen))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        at_once(app, "slash", *"auth:/l")
        await until(pilot, lambda: app.screen.query_one(FilterBar).value == "auth:/l")
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.parametrize("pasted", ["RDq", "fileflow", "R\r", "qq", "kim:\rR", "d\nR\n"])
@pytest.mark.parametrize("brackets", [False, True])
async def test_what_is_pasted_on_the_board_does_nothing_and_says_so(
    app: ConsoleApp, begun: list[Any], pasted: str, brackets: bool
) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        if brackets:
            app.post_message(events.Paste(pasted))
        else:
            at_once(app, *({"\r": "enter", "\n": "ctrl+j", ":": "colon"}.get(key, key) for key in pasted))
        await until_seen(pilot, "Ignored")
        assert isinstance(app.screen, BoardScreen)
        assert begun == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))


async def test_keys_of_a_person_are_done_each_by_itself(app: ConsoleApp, begun: list[Any]) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        at_once(app, "j", "j", "R")  # a held key on a slow line, and what was pressed then
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until_seen(pilot, "there is no such run")
    assert len(begun) == 1


@pytest.mark.parametrize("state", ["waits", "runs"])
@pytest.mark.parametrize("screen", ["board", "containers"])
async def test_r_opens_the_run_that_is_at_the_target(
    app: ConsoleApp, journal: Journal, begun: list[Any], monkeypatch: pytest.MonkeyPatch, state: str, screen: str
) -> None:
    executor = FakeExecutor(journal.folder, "q4n8rt", runbook="deploy")
    executor.begin("update", changes=True)
    told = notices(app, monkeypatch)
    if state == "waits":
        executor.open("update", type_gate())
    try:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_seen(pilot, "fileflow prod: :8 does")
            await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-prod"))
            if screen == "containers":
                await pilot.press("enter")
                await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
            await pilot.press("R")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            assert isinstance(app.screen, RunScreen)
            assert app.screen.run_id == "q4n8rt"
            await until_seen(pilot, "run q4n8rt")
            await until(pilot, lambda: any("Nothing new was begun" in words for words in told))
            assert "attach" not in text_of(app)
    finally:
        executor.leave()
        executor.journal.close()
    assert begun == []


@pytest.mark.parametrize("environment", ["dev", "prod"])
async def test_a_run_elsewhere_or_one_that_is_over_is_in_nobody_s_way(
    app: ConsoleApp, journal: Journal, begun: list[Any], environment: str
) -> None:
    executor = FakeExecutor(journal.folder, "q4n8rt", environment=environment)
    if environment == "prod":
        executor.finish("refused", 3)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until_seen(pilot, "fileflow prod: :8 does")
            await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-prod"))
            await pilot.press("R")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await until_seen(pilot, "there is no such run")
    finally:
        executor.leave()
        executor.journal.close()
    assert len(begun) == 1


async def test_the_board_s_letters_lead_on_from_every_screen_of_a_service(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        for screen in ("containers", "logs", "state", "environments"):
            for key, there in (("h", "journal"), ("x", "exports"), ("t", "state"), ("v", "environments")):
                app.on_go_to(GoTo(Place(screen, "fileflow", "prod")))
                await until(pilot, lambda name=screen: type(app.screen).__name__.lower().startswith(name))  # type: ignore[misc]
                await pilot.pause(0.05)
                opened = app.screen
                if there == screen:
                    assert opened.check_action("to", (there,)) is False
                else:
                    await pilot.press(key)
                    await until(pilot, lambda name=there: type(app.screen).__name__.lower().startswith(name))  # type: ignore[misc]
                app.on_go_to(GoTo(Place("board")))
                await until(pilot, lambda: isinstance(app.screen, BoardScreen))


@pytest.mark.parametrize("screen", ["board", "containers", "state", "environments", "logs", "exports", "journal"])
async def test_help_explains_every_column(app: ConsoleApp, screen: str) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        if screen != "board":
            app.on_go_to(GoTo(Place(screen, "fileflow", "prod")))
            await until(pilot, lambda: type(app.screen).__name__.lower().startswith(screen))
            await pilot.pause(0.1)
        shown = app.screen
        assert isinstance(shown, ConsoleScreen)
        explained = " ".join(f"{name} {meaning}" for name, meaning in shown.legend)
        titles = {column.title for rows in shown.query(Rows) for column in rows.columns} - {""}
        named = {"service", "target", "status", "port", "why", "why it stopped", "age", "size", "type", "value", "path",
                 "message", "run", "dev", "staging", "prod"}  # fmt: skip
        assert {title for title in titles - named if title not in explained} == set()
        await pilot.press("?")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = "\n".join(str(each.render()) for each in app.screen.query("Static").results(Static))
        assert "Columns and signs" in text


async def test_a_run_typed_before_the_runs_were_read_is_found_all_the_same(
    app: ConsoleApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = threading.Event()

    def run_ids() -> list[str]:
        read.wait(8)
        return ["k3m9px"]

    monkeypatch.setattr(app.desk.journal, "run_ids", run_ids)
    places: list[Place] = []
    monkeypatch.setattr(ConsoleApp, "on_go_to", lambda _, message: places.append(message.place))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        at_once(app, "colon", *"plan k3m9px", "enter")
        await until_seen(pilot, "Reading the runs…")
        assert not places
        read.set()
        await until(pilot, lambda: places == [Place("plan", run="k3m9px")])
        read.clear()
        at_once(app, "colon", *"run zzz", "enter")
        await until_seen(pilot, "Reading the runs…")
        read.set()
        await until_seen(pilot, "There is no run 'zzz'")


async def test_go_to_completes_and_goes(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("colon")
        await until(pilot, lambda: focused_id(pilot) == "goto-words")
        await pilot.press(*"auth st", "tab")
        await until_seen(pilot, "authhub staging")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await until_seen(pilot, "2 of 2 tasks run authhub-staging:7")
        await pilot.press("colon")
        await until(pilot, lambda: focused_id(pilot) == "goto-words")
        await pilot.press(*"nowhere", "enter")
        await until_seen(pilot, "There is no screen or service 'nowhere'")
        await pilot.press("escape", "colon")
        await until(pilot, lambda: focused_id(pilot) == "goto-words")
        await pilot.press(*"board", "enter")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_help_names_every_key_of_the_screen(app: ConsoleApp, key: str) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("question_mark")
        await until_seen(pilot, "asks before anything changes")
        seen = text_of(app)
        for words in ("Refresh", "Copy", "Go to", "Filter", "Leave", "Quit"):
            assert words in seen
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))


async def test_the_palette_offers_keys_and_places(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("ctrl+p")
        await until_seen(pilot, "Roll back (R)")
        await pilot.press(*"go to logs crawler")
        await until_seen(pilot, "Go to logs crawler")
        await pilot.press("escape", "escape")


async def test_the_journal_lists_replays_verifies_and_exports(app: ConsoleApp, journal: Journal) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("look")
    executor.write(Kind.OUTPUT, "look", lines=["0 of 3 tasks run"])
    executor.end("look")
    executor.finish()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, JournalScreen))
        await until_seen(pilot, "k3m9px")
        await pilot.press("v")
        await until_seen(pilot, "none changed, none missing")
        await pilot.press("x")
        await until(pilot, lambda: (journal.folder / "exports" / "k3m9px.md").exists())
        assert (journal.folder / "exports" / "k3m9px.json").stat().st_mode & 0o777 == 0o600
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until_seen(pilot, "Roll back ECS service: fileflow-prod: done")
        await pilot.press("shift+tab", "slash", *"tasks run", "enter")
        await until_seen(pilot, "0 of 3 tasks run")
        assert "started by woken" not in text_of(app)


async def test_quitting_without_runs_asks_nothing(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)


@pytest.mark.parametrize("keys", [("colon", *"journal", "enter"), tuple("RDn"), ("slash", *"auth"), ("enter",)])
async def test_quitting_is_heard_whatever_comes_in_one_piece_with_it(
    app: ConsoleApp, begun: list[Any], keys: tuple[str, ...]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        at_once(app, *keys, "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert begun == []


@pytest.mark.parametrize("words", ["journal", "fileflow prod", "logs fileflow prod", "run k3m9px"])
async def test_quitting_while_a_screen_opens(app: ConsoleApp, config: Config, words: str) -> None:
    """Textual gives such a screen no widgets any more, but its Mount event."""
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        app.on_go_to(GoTo(parse(words, config, ["k3m9px"])))
        app.exit()
    assert app.return_code == 0


async def test_quitting_while_a_run_goes_on_says_so(
    app: ConsoleApp, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    leave = app.exit

    def left(message: Farewell) -> None:
        said.append(message.words)
        leave(message=message)

    monkeypatch.setattr(app, "exit", left)
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    executor.open("update", type_gate())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("ctrl+q")
        await until_seen(pilot, "Leave the console? The runs go on.")
        assert focused_id(pilot) == "stay"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.press("ctrl+q")
        await until_seen(pilot, "Leave the console? The runs go on.")
        await pilot.press("right", "enter")
        await until(pilot, lambda: not app.is_running)
    assert "infraconsole attach k3m9px" in said[0]
    assert "waits for an answer" in said[0]
    executor.leave()


def test_the_farewell_is_neither_wrapped_nor_cut(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
    """A line that is pasted into a shell must come out as it is."""
    command = f'eval "$({"/long" * 40}/infraconsole demo env)" && {"/long" * 40}/infraconsole'
    monkeypatch.setenv(COMMAND_VARIABLE, command)
    executor = FakeExecutor(journal.folder)
    printed = io.StringIO()
    Console(file=printed, width=40, force_terminal=True).print(farewell(runs_under_way(journal)))
    assert f"  {command} attach k3m9px" in printed.getvalue().splitlines()
    executor.leave()


async def test_q_on_the_first_screen_does_not_end_the_console(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("q", "escape", "q")
        assert app.is_running
