"""The run screen: it follows the journal, and lets nothing through by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from textual import events
from textual.widgets import Button, Input

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import ERROR, FAILURE_GATE, WARNING, Choice, Gate, GateKind
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.screens.run import RunScreen, story
from infraconsole.screens.runs import KnownRun, board_runs
from infraconsole.screens.widgets.output import Output
from infraconsole.screens.widgets.rows import Rows
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor, confirm_gate, revision_gate, type_gate
from tests.screens.seen import at_once, focused_id, press_after_reading, text_of, until, until_seen


@pytest.fixture
def executor(journal: Journal) -> Iterator[FakeExecutor]:
    made = FakeExecutor(journal.folder)
    yield made
    made.leave()
    made.journal.close()


@pytest.fixture
def attached(config: Config, journal: Journal, aws: FakeAccess, executor: FakeExecutor) -> ConsoleApp:
    return ConsoleApp(config, journal, lambda _: aws, "woken", start_run=executor.run)


def answers(executor: FakeExecutor) -> list[str]:
    return [str(request.data["value"]) for request in executor.requests() if request.kind == "answer"]


async def test_follows_the_run_live(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "Roll back ECS service: fileflow-prod")
        executor.begin("look", "aws ecs describe-services")
        executor.write(Kind.OUTPUT, "look", lines=["0 of 3 tasks run"])
        await until_seen(pilot, "0 of 3 tasks run")
        await until_seen(pilot, "$ aws ecs describe-services")
        executor.end("look")
        executor.begin("watch")
        await until(pilot, lambda: attached.screen.query_one("#step-list", Rows).current_key == "watch")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_enter_alone_never_confirms(attached: ConsoleApp, executor: FakeExecutor, size: tuple[int, int]) -> None:
    async with attached.run_test(size=size) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        assert focused_id(pilot) == "gate-no"
        await pilot.press("tab", "enter", "enter")
        await pilot.pause(0.2)
        assert answers(executor) == []
        await pilot.press("escape", "enter")
        await until(pilot, lambda: answers(executor) == ["no"])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_is_typed_right_after_tab_is_the_field_s(
    attached: ConsoleApp, executor: FakeExecutor, size: tuple[int, int]
) -> None:
    """A slow line delivers it in one piece; in it are letters that are keys of the screen."""
    async with attached.run_test(size=size) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", Gate("reason", GateKind.BREAK_GLASS, "Why?"))
        await until_seen(pilot, "Why?")
        at_once(attached, "tab", *"prod", "space", *"is", "space", *"down")
        field = attached.screen.query_one("#gate-input", Input)
        await until(pilot, lambda: field.value == "prod is down")
        await press_after_reading(pilot, "enter")
        await until(pilot, lambda: answers(executor) == ["prod is down"])


async def test_the_whole_name_has_to_be_typed(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        await pilot.press("tab", *"fileflow-pro", "enter")
        await until_seen(pilot, "is not 'fileflow-prod'")
        assert answers(executor) == []
        await pilot.press("d", "enter")
        await until(pilot, lambda: answers(executor) == ["fileflow-prod"])
        await pilot.press("enter", "enter")
        await pilot.pause(0.2)
        assert answers(executor) == ["fileflow-prod"]


@pytest.mark.parametrize("answer", ["y", "Y", "YES", "yes"])
async def test_confirm_takes_yes_in_any_letters(attached: ConsoleApp, executor: FakeExecutor, answer: str) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", confirm_gate())
        await until_seen(pilot, "type yes")
        await pilot.press("tab", "o", "enter")
        await until_seen(pilot, "is not `yes`")
        assert attached.screen.query_one("#gate-input", Input).value == "o", "a refused answer keeps the field"
        await pilot.press("backspace", *answer)
        await pilot.pause(0.1)
        assert answers(executor) == []
        await pilot.press("enter")
        await until(pilot, lambda: answers(executor) == ["yes"])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_letters_typed_on_the_safe_answer_go_into_the_field(
    attached: ConsoleApp, executor: FakeExecutor, size: tuple[int, int]
) -> None:
    """`y` copied, `i` interrupted, `d` opened the details, Enter declined; now they are the answer's letters."""
    async with attached.run_test(size=size) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", Gate("reason", GateKind.BREAK_GLASS, "Why?"))
        await until_seen(pilot, "Why?")
        assert focused_id(pilot) == "gate-no"
        await pilot.press(*"yi?:/Rd pq")
        field = attached.screen.query_one("#gate-input", Input)
        assert field.value == "yi?:/Rd pq"
        assert isinstance(attached.screen, RunScreen)
        await pilot.press("escape", *"!!", "enter")
        await until(pilot, lambda: answers(executor) == ["yi?:/Rd pq!!"])
        assert [request.kind for request in executor.requests()] == ["answer"]


async def test_the_footer_offers_no_key_that_belongs_to_the_answer(
    attached: ConsoleApp, executor: FakeExecutor
) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", confirm_gate())
        await until(pilot, lambda: focused_id(pilot) == "gate-no")
        assert not {"i", "y", "R", "question_mark"} & set(attached.screen.active_bindings)
        await until(pilot, lambda: "i Interrupt" not in text_of(attached))
        await pilot.press("shift+tab")
        await until_seen(pilot, "i Interrupt")


async def test_at_a_choice_letters_that_do_not_move_do_nothing(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("choose")
        executor.open("choose", revision_gate())
        await until_seen(pilot, "+  image :v1.4.2")
        await pilot.press(*"yiRdq?:/ fsp")
        await pilot.pause(0.1)
        assert isinstance(attached.screen, RunScreen)
        assert executor.requests() == []
        assert focused_id(pilot) == "gate-choices"
        await pilot.press("j")
        await until_seen(pilot, "+  image :v1.4.1")


LINES = ("prod answers 503", "since the deploy", "rolled back")


@pytest.mark.parametrize("end", ["enter", "ctrl+j"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("at", ["gate-no", "gate-input"])
async def test_a_paste_without_brackets_answers_nothing(
    attached: ConsoleApp, executor: FakeExecutor, end: str, size: tuple[int, int], at: str
) -> None:
    async with attached.run_test(size=size) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", Gate("reason", GateKind.BREAK_GLASS, "Why?"))
        await until_seen(pilot, "Why?")
        attached.screen.query_one(f"#{at}").focus()
        await until(pilot, lambda: focused_id(pilot) == at)
        at_once(attached, *(key for line in LINES for key in (*line, end)))
        field = attached.screen.query_one("#gate-input", Input)
        await until(pilot, lambda: field.value == " ".join(LINES))
        await until_seen(pilot, "Pasted as one line")
        assert executor.requests() == []
        await press_after_reading(pilot, "enter")
        await until(pilot, lambda: answers(executor) == [" ".join(LINES)])


@pytest.mark.parametrize("at", ["gate-no", "gate-input"])
async def test_a_paste_with_brackets_answers_nothing(attached: ConsoleApp, executor: FakeExecutor, at: str) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        attached.screen.query_one(f"#{at}").focus()
        await until(pilot, lambda: focused_id(pilot) == at)
        attached.post_message(events.Paste("fileflow-\r\nprod\n"))
        field = attached.screen.query_one("#gate-input", Input)
        await until(pilot, lambda: field.value == "fileflow- prod")
        assert executor.requests() == []


async def test_a_name_pasted_with_its_line_end_waits_for_enter(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        at_once(attached, *"fileflow-prod", "enter")
        await until_seen(pilot, "Pasted as one line")
        assert executor.requests() == []
        await press_after_reading(pilot, "enter")
        await until(pilot, lambda: answers(executor) == ["fileflow-prod"])


async def test_a_choice_is_not_pasted(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("choose")
        executor.open("choose", revision_gate())
        await until_seen(pilot, "+  image :v1.4.2")
        at_once(attached, "j", "enter")
        await until_seen(pilot, "Ignored")
        attached.post_message(events.Paste("7\n"))
        await pilot.pause(0.1)
        assert executor.requests() == []


async def test_a_warning_looks_unlike_a_change(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = Gate("confirm", GateKind.CONFIRM, "Apply?", changes=("1 to update", f"{WARNING}it loses encryption."))
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", gate)
        await until_seen(pilot, "• 1 to update")
        await until_seen(pilot, "▲ Warning: it loses encryption.")


async def test_an_error_of_the_plan_s_review_stands_on_top(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = replace(type_gate(), changes=("1 to create", f"{ERROR}the state has no resources."))
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", gate)
        await until_seen(pilot, "✗ Error: the state has no resources.")
        seen = text_of(attached)
        assert seen.index("Error: the state") < seen.index("What cannot be undone")
        assert seen.count("the state has no resources") == 1


async def test_a_gate_that_opens_again_says_why(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = replace(confirm_gate(), notice="Since the plan was made, the variables' file changed.")
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", gate)
        await until_seen(pilot, "Asked again, what was answered does not hold any more")
        await until_seen(pilot, "the variables' file changed")


async def test_after_an_answer_that_is_none_the_field_is_still_where_one_is(
    attached: ConsoleApp, executor: FakeExecutor
) -> None:
    """What the line says to press leads on from where the focus is."""
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", confirm_gate())
        await until_seen(pilot, "To go ahead: Tab, type yes, Enter.")
        await pilot.press("tab", *"ja", "enter")
        await until_seen(pilot, "'ja' is not `yes`. To go ahead: type yes, Enter.")
        await pilot.press("escape")
        await until_seen(pilot, "To go ahead: Tab, type yes, Enter.")
        await pilot.press("tab", "backspace", "backspace", *"yes", "enter")
        await until(pilot, lambda: answers(executor) == ["yes"])


async def test_the_second_approval_is_typed_where_the_first_was(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = Gate("approve", GateKind.APPROVE, "Who approves?", approvers=("platform-lead", "cto"))
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        opening = executor.open("update", gate)
        await until_seen(pilot, "Who approves?")
        await pilot.press("tab", *"cto:CHG-1", "enter")
        await until(pilot, lambda: len(answers(executor)) == 1)
        executor.write(
            Kind.GATE_ANSWERED,
            "update",
            opening=opening,
            gate="approve",
            value="cto:CHG-1",
            by="woken",
            shown="s",
            more=True,
        )
        await until_seen(pilot, "Approved by cto; missing: platform-lead.")
        assert "Tab" not in text_of(attached).partition("missing: platform-lead.")[2].partition("No: change")[0]
        await pilot.press(*"platform-lead:CHG-1", "enter")
        await until(pilot, lambda: answers(executor)[1:] == ["platform-lead:CHG-1"])


async def test_a_rejected_answer_opens_the_gate_again(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = Gate("reason", GateKind.BREAK_GLASS, "Why?")
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        opening = executor.open("update", gate)
        await until_seen(pilot, "Why?")
        await pilot.press("tab", *"the image is bad", "enter")
        await until(pilot, lambda: len(answers(executor)) == 1)
        executor.write(Kind.GATE_REJECTED, "update", opening=opening, gate="reason", why="not a reason", by="woken")
        await until_seen(pilot, "Not taken: not a reason")
        await pilot.press("!", "enter")
        await until(pilot, lambda: answers(executor)[1:] == ["the image is bad!"])


async def test_choosing_shows_the_difference_and_skips_what_cannot_be(
    attached: ConsoleApp, executor: FakeExecutor
) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("choose")
        opening = executor.open("choose", revision_gate())
        await until_seen(pilot, "+  image :v1.4.2")
        assert focused_id(pilot) == "gate-choices"
        await pilot.press("G")
        await until_seen(pilot, "its image is gone from ECR")
        await pilot.press("enter")
        await until_seen(pilot, "cannot be chosen")
        assert answers(executor) == []
        await pilot.press("g", "enter")
        await until(pilot, lambda: answers(executor) == ["fileflow-prod:7"])
        executor.answered("choose", "revision", "fileflow-prod:7", opening)
        await until(pilot, lambda: not attached.screen.query_one("#gate").display)


async def test_after_a_failure_the_safe_choice_has_the_cursor(attached: ConsoleApp, executor: FakeExecutor) -> None:
    gate = Gate(
        FAILURE_GATE,
        GateKind.CHOOSE,
        "It failed",
        choices=(Choice("retry", "Try again"), Choice("stop", "Stop here", recommended=True)),
    )
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("watch")
        executor.open("watch", gate)
        await until_seen(pilot, "It failed")
        await pilot.press("enter")
        await until(pilot, lambda: answers(executor) == ["stop"])


async def test_after_a_failure_the_button_stops_and_promises_nothing_else(
    attached: ConsoleApp, executor: FakeExecutor
) -> None:
    choices = (Choice("stop", "Stop here", recommended=True), Choice("retry", "Try again"))
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        opening = executor.open("update", Gate(FAILURE_GATE, GateKind.CHOOSE, "It failed", choices=choices))
        await until_seen(pilot, "It failed")
        button = attached.screen.query_one("#gate-no", Button)
        assert str(button.label) == "Stop here"
        executor.answered("update", FAILURE_GATE, "retry", opening)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        assert str(button.label) == "No: change nothing"


@pytest.mark.parametrize("changed", [True, False])
async def test_what_was_changed_before_a_refusal_is_not_denied(
    attached: ConsoleApp, executor: FakeExecutor, changed: bool
) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        if changed:
            executor.write(Kind.CALL_INTENDED, "update", call="1", operation="ecs:UpdateService", parameters={})
            executor.write(Kind.CALL_DONE, "update", call="1", operation="ecs:UpdateService")
            executor.write(Kind.STEP_FINISHED, "update", result={"changed": True}, seconds=2.0)
        executor.begin("watch")
        executor.finish("refused", 3)
        await until_seen(pilot, "check the service" if changed else "Nothing was changed.")
        assert ("nothing has to be undone" in text_of(attached)) is not changed


def test_a_step_that_the_run_ended_in_does_not_go_on(executor: FakeExecutor) -> None:
    executor.begin("update", changes=True)
    executor.finish("refused", 3)
    record = record_of(executor.run, executor.journal.events(executor.run))
    assert record.ended_at
    rows = {row.key: row.cells for row in story.step_rows(record, record.ended_at + timedelta(hours=3))}
    assert rows["update"]["time"].text == "0 s"
    assert rows["update"]["mark"].text == "■"


async def test_letters_typed_into_a_gate_are_not_keys(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", Gate("reason", GateKind.BREAK_GLASS, "Why?"))
        await until_seen(pilot, "Why?")
        await pilot.press("tab", *"qi?:/R")
        assert isinstance(attached.screen, RunScreen)
        assert attached.screen.query_one("#gate-input", Input).value == "qi?:/R"


async def test_interrupt_asks_first_and_insisting_needs_the_name(attached: ConsoleApp, executor: FakeExecutor) -> None:
    def levels() -> list[object]:
        return [request.data["level"] for request in executor.requests() if request.kind == "interrupt"]

    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("watch")
        await until_seen(pilot, "runs")
        await pilot.press("i")
        await until_seen(pilot, "Let it go on")
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert levels() == []
        await pilot.press("i")
        await until_seen(pilot, "Let it go on")
        await pilot.press("right", "enter")
        await until(pilot, lambda: levels() == [1])
        executor.write(Kind.INTERRUPT_REQUESTED, "watch", level=1, by="woken")
        await until_seen(pilot, "is asked to stop")
        await pilot.press("i")
        await until_seen(pilot, "Insisting stops it")
        await pilot.press("tab", "enter")
        await pilot.press("shift+tab", "shift+tab")
        attached.screen.query_one(Input).focus()
        await pilot.press(*"fileflow", "enter")
        await until_seen(pilot, "That is not fileflow-prod")
        await pilot.press(*"-prod", "enter")
        await until(pilot, lambda: levels() == [1, 2])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_name_that_insists_reaches_its_field_also_in_one_piece(
    attached: ConsoleApp, executor: FakeExecutor, size: tuple[int, int]
) -> None:
    """A slow line delivers it so; the button that has the focus would take Enter for going on."""
    async with attached.run_test(size=size) as pilot:
        executor.begin("watch")
        executor.write(Kind.INTERRUPT_REQUESTED, "watch", level=1, by="woken")
        await until_seen(pilot, "is asked to stop")
        await pilot.press("i")
        await until_seen(pilot, "Insisting stops it")
        at_once(attached, "tab", *"fileflow-prod", "enter")
        field = attached.screen.query_one("#interrupt-name", Input)
        await until(pilot, lambda: field.value == "fileflow-prod")
        assert executor.requests() == []
        await press_after_reading(pilot, "enter")
        await until(pilot, lambda: [each.data["level"] for each in executor.requests()] == [2])


async def test_interrupting_a_watched_rollout_says_what_goes_on(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.write(Kind.STEP_STARTED, "watch", title="Watch", why="", commands=[], changes=False,
                       goes_on="ECS goes on with the rollout.")  # fmt: skip
        screen = attached.screen
        await until(pilot, lambda: isinstance(screen, RunScreen) and screen.record.step("watch").goes_on)
        await pilot.press("i")
        await until_seen(pilot, "ECS goes on with the rollout.")


@pytest.mark.parametrize("answered_here", [True, False])
async def test_what_was_chosen_after_a_failure_begins_where_it_was_chosen(
    attached: ConsoleApp, executor: FakeExecutor, begun: list[Any], answered_here: bool
) -> None:
    choices = (Choice("stop", "Stop here", recommended=True), Choice("roll-back", "Stop here, and roll back"))
    async with attached.run_test(size=(80, 24)) as pilot:
        executor.begin("watch")
        executor.open("watch", Gate(FAILURE_GATE, GateKind.CHOOSE, "It cannot start", choices=choices))
        await until_seen(pilot, "It cannot start")
        if answered_here:
            await pilot.press("j", "enter")
            await until(pilot, lambda: answers(executor) == ["roll-back"])
        ending: dict[str, Any] = dict.fromkeys(("title", "cause", "mend"), "")
        ending |= {"outcome": "failed", "exit_code": 1, "warnings": []}
        executor.write(Kind.RUN_FINISHED, **ending, then="ecs-rollback")
        executor.leave()
        await until(pilot, lambda: attached.screen.query("#ending"))
        if answered_here:
            await until(pilot, lambda: len(begun) == 1)
        await pilot.pause(0.3)
    assert [(wish.runbook, wish.service, wish.environment) for wish in begun] == [("ecs-rollback", "fileflow", "prod")][
        : int(answered_here)
    ]


@pytest.mark.parametrize("changed", [True, False])
async def test_r_rolls_back_after_a_failed_run_that_changed_something(
    attached: ConsoleApp, executor: FakeExecutor, begun: list[Any], changed: bool
) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        if changed:
            executor.end("update", changed=True)
        executor.finish("failed", 1)
        await until_seen(pilot, "R rolls the service back" if changed else "fix the cause")
        await pilot.press("R")
        await until(pilot, lambda: not changed or len(begun) == 1)
        await pilot.pause(0.2)
    assert len(begun) == int(changed)


async def test_the_ending_says_what_is_left_to_do(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        executor.write(Kind.STEP_FINISHED, "update", result={"changed": True, "deployment": "ecs-svc/9"}, seconds=2.0)
        executor.write(
            Kind.FOLLOW_UP_OPENED, "update", id="pin", title="Pin image_tag", detail="The next apply undoes this.",
            file="environments/prod/terraform.tfvars", key="image_tag", value='"v1.4.2"',
        )  # fmt: skip
        executor.finish()
        await until_seen(pilot, "Still to do: Pin image_tag")
        seen = text_of(attached)
        assert 'image_tag = "v1.4.2"' in seen
        assert "by woken" in seen
        assert "Next: do the follow-ups" in seen
        await pilot.press("y")
        assert "Pin image_tag" in attached.clipboard


async def test_a_run_without_executor_says_so_and_offers_resume(attached: ConsoleApp, executor: FakeExecutor) -> None:
    executor.begin("update", changes=True)
    executor.open("update", type_gate())
    executor.leave()
    async with attached.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "no process runs it")
        assert not attached.screen.query_one("#gate").display
        assert attached.screen.check_action("resume", ()) is True
        assert attached.screen.check_action("interrupt", ()) is None


async def test_no_line_of_a_flood_is_lost(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "Roll back")
        executor.begin("watch")
        output = attached.screen.query_one("#output", Output)
        await until(pilot, lambda: output.count > 2)
        before = output.count
        thread = executor.flood(20_000)
        await until(pilot, lambda: output.count == before + 20_000, seconds=20)
        thread.join()
        await pilot.press("tab", "g")
        await until_seen(pilot, "started by woken")
        assert not output.follow
        await pilot.press("f")
        await until_seen(pilot, "line 19999")


async def test_an_event_of_a_newer_version_is_no_obstacle(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.journal.append(executor.run, "weather-changed", "look", {"to": "rain"})  # type: ignore[arg-type]
        executor.begin("look")
        await until_seen(pilot, "weather-changed")
        assert isinstance(attached.screen, RunScreen)


async def test_resizing_keeps_the_gate(attached: ConsoleApp, executor: FakeExecutor) -> None:
    async with attached.run_test(size=(120, 40)) as pilot:
        executor.begin("update", changes=True)
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        for size in ((80, 24), (20, 5), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
        await until_seen(pilot, "What cannot be undone")


def created(journal: Journal, run: str, *, dry_run: bool = False, steps: tuple[str, ...] = ("update",)) -> None:
    target = {"service": "fileflow", "environment": "prod", "region": "ap-northeast-2", "account": "1", "name": ""}
    data = {"runbook": "ecs-rollback", "title": run, "target": target, "inputs": {}, "given": {}, "operator": "kim",
            "dry_run": dry_run, "interactive": True,
            "steps": [{"id": step, "title": step, "fingerprint": ""} for step in steps]}  # fmt: skip
    journal.append(run, Kind.RUN_CREATED, data=data)


def sent(journal: Journal, run: str) -> None:
    journal.append(run, Kind.STEP_STARTED, "update", {"title": "", "why": "", "commands": [], "changes": True})
    journal.append(run, Kind.CALL_INTENDED, "update", {"call": "1", "operation": "ecs:UpdateService", "parameters": {}})


def ended(journal: Journal, run: str, outcome: str) -> None:
    ending = {"outcome": outcome, "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
    journal.append(run, Kind.RUN_FINISHED, data=ending)


def unfinished(journal: Journal) -> list[str]:
    return [run.record.run for run in board_runs(journal, ["fileflow-prod"]).unfinished]


def last_run(journal: Journal) -> KnownRun:
    return board_runs(journal, ["fileflow-prod"]).last["fileflow-prod"]


def test_what_changed_nothing_hides_no_stopped_run_and_is_not_the_last(journal: Journal) -> None:
    created(journal, "real")
    sent(journal, "real")
    created(journal, "dry", dry_run=True)
    ended(journal, "dry", "done")
    created(journal, "dry-and-stopped", dry_run=True)
    created(journal, "reveal", steps=())
    ended(journal, "reveal", "done")
    assert unfinished(journal) == ["real"]
    last = last_run(journal)
    assert (last.record.run, last.state) == ("real", "stopped")
    created(journal, "refused")
    ended(journal, "refused", "refused")
    assert unfinished(journal) == ["real"]
    created(journal, "later")
    sent(journal, "later")
    ended(journal, "later", "done")
    assert unfinished(journal) == []
