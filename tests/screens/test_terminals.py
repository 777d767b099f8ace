"""Every size, every theme, no colour, and text that would like to drive the terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import Gate, GateKind
from infraconsole.engine.journal import Journal
from infraconsole.screens import themes
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.run import RunScreen
from tests.screens.conftest import FakeAccess, just_now
from tests.screens.runs import FakeExecutor, revision_gate, type_gate
from tests.screens.seen import focused_id, text_of, until, until_seen

HOSTILE = (
    "\x1b[2J\x1b]52;c;aGFjaw==\x07[bold red]x[/] [@click=app.quit]q[/] \u202egnp.exe\u202c \x00 \x9b31m ﷽ 👩‍👩‍👧 "
    + "w" * 200
)
FORBIDDEN = {"\x1b", "\x07", "\x00", "\x9b", "\u202e", "\u202c", "\r", "\x7f"}


def assert_harmless(app: ConsoleApp) -> None:
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert not FORBIDDEN & set(segment.text), repr(segment.text)


TOO_SMALL = ((20, 5), (1, 1), (49, 30), (80, 11))


@pytest.mark.parametrize("size", TOO_SMALL)
async def test_a_terminal_that_is_too_small_says_so_and_takes_no_key(
    app: ConsoleApp, journal: Journal, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.3)
        await pilot.press("j", "enter", "escape", "question_mark", "h", "colon", "slash", "R", "tab", "enter")
        await pilot.pause(0.3)
        assert isinstance(app.screen, BoardScreen)
        assert journal.run_ids() == []
        if size != (1, 1):
            await until_seen(pilot, "too small")
        await pilot.resize_terminal(80, 24)
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))


async def test_the_smallest_message_fits(app: ConsoleApp) -> None:
    async with app.run_test(size=(20, 5)) as pilot:
        await until_seen(pilot, "too small")
        seen = " ".join(text_of(app).split())
        assert "Keys do nothing until it is larger; ctrl+q quits. Runs go on." in seen


def sent(executor: FakeExecutor) -> list[tuple[str, object]]:
    return [(request.kind, request.data.get("value")) for request in executor.requests()]


KEYS = (
    "tab",
    *"fileflow-prod",
    "enter",
    "escape",
    "enter",
    "i",
    "right",
    "enter",
    "R",
    "ctrl+p",
    *"roll",
    "enter",
    "escape",
)


@pytest.mark.parametrize("size", [(20, 5), (49, 30), (80, 11)])
@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize("wide", [(80, 24), (120, 40)])
async def test_no_gate_is_answered_where_it_cannot_be_read(
    config: Config, journal: Journal, aws: FakeAccess, size: tuple[int, int], opened: str, wide: tuple[int, int]
) -> None:
    """Whether the terminal was too small when the gate opened, or became it afterwards."""
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    app = ConsoleApp(config, journal, lambda _: aws, "woken", start_run=executor.run)
    async with app.run_test(size=wide if opened == "before" else size) as pilot:
        executor.open("update", type_gate())
        if opened == "before":
            await until_seen(pilot, "What cannot be undone")
            await pilot.press("tab", *"fileflow-pro")
            await pilot.resize_terminal(*size)
            await until_seen(pilot, "too small")
            await pilot.press("d", "enter")
        else:
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.gate_panel.open_gate)
        await pilot.press(*KEYS)
        await pilot.pause(0.3)
        assert sent(executor) == []
        assert isinstance(app.screen, RunScreen)

        await pilot.resize_terminal(*wide)
        await until_seen(pilot, "What cannot be undone")
        if opened == "before":
            await until(pilot, lambda: focused_id(pilot) == "gate-input")
        else:
            await until(pilot, lambda: focused_id(pilot) == "gate-no")
            await pilot.press("tab")
        # What was typed while it could be read is still there, and nothing that was typed since.
        await pilot.press(*("d" if opened == "before" else "fileflow-prod"), "enter")
        await until(pilot, lambda: sent(executor) == [("answer", "fileflow-prod")])
    executor.leave()


async def test_a_gate_that_was_answered_elsewhere_meanwhile_keeps_no_focus(
    config: Config, journal: Journal, aws: FakeAccess
) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    opening = executor.open("update", type_gate())
    app = ConsoleApp(config, journal, lambda _: aws, "woken", start_run=executor.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "What cannot be undone")
        await pilot.press("tab")
        await pilot.resize_terminal(20, 5)
        await until_seen(pilot, "too small")
        executor.answered("update", "type-target", "fileflow-prod", opening)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.gate_panel.open_gate is None)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: focused_id(pilot) == "output")
        await until_seen(pilot, "answered by woken")
    executor.leave()


async def test_a_gate_that_does_not_fit_says_that_there_is_more(
    config: Config, journal: Journal, aws: FakeAccess
) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    changes = tuple(f"+ line {number}" for number in range(30))
    executor.open("update", Gate("confirm", GateKind.CONFIRM, "Change it?", changes=changes))
    app = ConsoleApp(config, journal, lambda _: aws, "woken", start_run=executor.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "more below: Tab goes there")
        assert "line 29" not in text_of(app)
        await pilot.press("tab", "tab", "end")
        await until_seen(pilot, "line 29")
        await pilot.resize_terminal(120, 70)
        await until_seen(pilot, "line 29")
        await until(pilot, lambda: "more below" not in text_of(app))
    assert sent(executor) == []
    executor.leave()


async def test_leaving_is_possible_in_the_smallest_terminal(config: Config, journal: Journal, aws: FakeAccess) -> None:
    executor = FakeExecutor(journal.folder)
    app = ConsoleApp(config, journal, lambda _: aws, "woken")
    async with app.run_test(size=(20, 5)) as pilot:
        await until_seen(pilot, "too small")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert sent(executor) == []
    executor.leave()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_no_line_is_wider_than_the_terminal(app: ConsoleApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does not get stable")
        for keys in ([], ["j", "j", "enter"], ["tab"], ["tab"], ["tab"], ["l"]):
            await pilot.press(*keys)
            await pilot.pause(0.2)
            strips = app.screen._compositor.render_strips()
            assert len(strips) == size[1]
            assert {strip.cell_length for strip in strips} == {size[0]}


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT, themes.MONO])
async def test_words_not_colours_say_what_is_wrong(app: ConsoleApp, theme: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.theme = theme
        await until_seen(pilot, "✗ fileflow prod: :8 does")
        await until_seen(pilot, " PROD ")
        await until_seen(pilot, "failing")


async def test_no_color_sends_no_colour(
    config: Config, journal: Journal, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ConsoleApp(config, journal, lambda _: aws, "woken")
    assert app.theme == themes.MONO
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "✗ fileflow prod: :8 does")
        await pilot.press("j", "j")
        await pilot.pause(0.2)
        seen = []
        for strip in app.screen._compositor.render_strips():
            for line_filter in app.get_line_filters():
                strip = strip.apply_filter(line_filter, app.screen.background_colors[0])
            seen += [segment.style for segment in strip if segment.style]
    assert any(style.reverse for style in seen)
    for style in seen:
        assert style.color is None or style.color.is_default
        assert style.bgcolor is None or style.bgcolor.is_default


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_hostile_text_never_reaches_the_terminal(
    config: Config, journal: Journal, aws: FakeAccess, size: tuple[int, int]
) -> None:
    aws.add("fileflow", "prod", running=1, desired=3, revision=8, state="FAILED", event=HOSTILE, tag=f"t{HOSTILE}")
    aws.alarms = [{"AlarmName": HOSTILE, "StateValue": "ALARM", "StateReason": HOSTILE * 20_000}]
    aws.targets = [{"Target": {"Id": HOSTILE, "Port": 1}, "TargetHealth": {"State": HOSTILE, "Description": HOSTILE}}]
    aws.services["fileflow-prod-service"]["deployments"][0]["rolloutStateReason"] = HOSTILE
    aws.definitions["fileflow-prod:7"]["containerDefinitions"][0]["environment"] = [{"name": HOSTILE, "value": HOSTILE}]
    at = int((just_now() - timedelta(seconds=9)).timestamp() * 1000)
    aws.logs = [{"timestamp": at, "logStreamName": HOSTILE, "message": HOSTILE + "y" * 1_000_000}]
    aws._ListAccountAliases = lambda: {"AccountAliases": [HOSTILE]}  # type: ignore[method-assign]
    app = ConsoleApp(config, journal, lambda _: aws, HOSTILE, world=HOSTILE)
    keys = (["j", "j"], ["d"], ["escape", "enter"], ["d"], ["escape", "tab"], ["tab"], ["tab", "j"], ["d"], ["escape", "l"],
            ["enter"], ["escape"])  # fmt: skip
    async with app.run_test(size=size, notifications=True) as pilot:
        await until_seen(pilot, "fileflow prod")
        for pressed in keys:
            await pilot.press(*pressed)
            await pilot.pause(0.25)
            assert_harmless(app)
        assert app.is_running


async def test_hostile_output_of_a_run_is_harmless(config: Config, journal: Journal, aws: FakeAccess) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("look", HOSTILE)
    executor.write(Kind.OUTPUT, "look", lines=[HOSTILE, "z" * 1_000_000, "\ud800 alone", ""])
    executor.write(Kind.NOTE, "look", level="warning", text=HOSTILE)
    executor.write(Kind.STEP_FAILED, "look", title=HOSTILE, cause=HOSTILE, mend=HOSTILE)
    gate = revision_gate()
    executor.open("look", gate)
    app = ConsoleApp(config, journal, lambda _: aws, "woken", start_run=executor.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "Which revision shall")
        assert_harmless(app)
        executor.leave()
        await until_seen(pilot, "no process runs it")
        await pilot.press("tab", "G")
        await pilot.pause(0.2)
        assert_harmless(app)
