"""The plan screen: what is lost leads, everything can be reached, nothing secret is shown, and no text drives the terminal."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.checks.findings import Finding
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.plan.files import document_of
from infraconsole.screens.plan.screen import PlanScreen
from infraconsole.screens.plan.tree import FOLDED_FROM
from infraconsole.screens.run import RunScreen
from infraconsole.screens.widgets.rows import Rows
from infraconsole.terraform.plan import Plan
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor, type_gate
from tests.screens.seen import focused_id, text_of, until, until_seen
from tests.screens.test_terminals import HOSTILE, assert_harmless

DATA = Path(__file__).parents[1] / "unit" / "data"
RUN = "k3m9px"
SECRETS = (
    "hunter2-secret",
    "hunter3-secret",
    "clear-token",
    "other-token",
    "first-hidden-value",
    "second-hidden-value",
)


def write(journal: Journal, document: bytes, run: str = RUN) -> Path:
    file = document_of(journal.folder, run)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(document)
    return file


def real(name: str) -> bytes:
    return (DATA / f"{name}.json").read_bytes()


def made(*entries: Mapping[str, Any], **others: Any) -> bytes:
    return json.dumps({"format_version": "1.2", "resource_changes": list(entries), **others}).encode()


def entry(address: str, actions: list[str], *, module: str = "", **change: Any) -> dict[str, Any]:
    type_, _, name = address.removeprefix(f"{module}.").partition(".")
    found = {"address": address, "mode": "managed", "type": type_, "name": name}
    return {**found, **({"module_address": module} if module else {}), "change": {"actions": actions, **change}}


async def opened(pilot: Any, app: ConsoleApp, run: str = RUN) -> PlanScreen:
    app.on_go_to(GoTo(Place("plan", run=run)))
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) and app.screen.is_mounted)
    screen = app.screen
    assert isinstance(screen, PlanScreen)
    await until(pilot, lambda: not screen._reading, "the plan read and reviewed", 20)
    await pilot.pause(0.2)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_what_is_lost_leads(app: ConsoleApp, journal: Journal, size: tuple[int, int]) -> None:
    write(journal, real("plan-aws"))
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        seen = text_of(app)
        assert "2 to destroy, 6 to replace, 1 to create" in seen
        assert "6 things lost for good" in seen
        assert "loses the key" in seen
        lost = [row.key for row in screen.rows.shown if row.key.startswith("x:")]
        assert lost[0] == "x:c:aws_kms_key.files"
        assert next(row.key for row in screen.rows.shown) == "s:lost"
        for strip in app.screen._compositor.render_strips():
            assert strip.cell_length == size[0]


async def test_infracost_s_figure_stands_beside_our_own(app: ConsoleApp, journal: Journal) -> None:
    write(journal, real("plan-aws")).with_name("cost.json").write_text('{"diffTotalMonthlyCost": "12.3"}')
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until_seen(pilot, "infracost: +12.30 USD a month")
        assert screen.rows.move_to("s:changes")
        await until_seen(pilot, "What it costs: ")
        assert text_of(app).count("infracost: +12.30 USD a month") == 2


async def test_an_answer_of_infracost_that_is_none_is_left_out(app: ConsoleApp, journal: Journal) -> None:
    write(journal, real("plan-aws")).with_name("cost.json").write_text("{")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "Costs: ")
        assert "infracost" not in text_of(app)


def deploying(journal: Journal, step: str) -> FakeExecutor:
    """A deploy to fileflow-prod of one step."""
    run = FakeExecutor(journal.folder, RUN)
    run.write(Kind.RUN_CREATED, runbook="deploy", title="Deploy: fileflow-prod", inputs={}, given={}, operator="kim",
              target={"service": "fileflow", "environment": "prod", "region": "ap-northeast-2",
                      "account": "123456789012", "name": "fileflow-prod"},
              dry_run=False, interactive=True,
              steps=[{"id": step, "title": step, "fingerprint": "f"}])  # fmt: skip
    return run


async def test_what_the_run_found_out_stands_in_its_plan(app: ConsoleApp, journal: Journal) -> None:
    name = "aws_sqs_queue.a"
    change = entry(name, ["update"], before={"delay_seconds": 1}, after={"delay_seconds": 2})
    drift = entry(name, ["update"], before={"delay_seconds": 3}, after={"delay_seconds": 1})
    write(journal, made(change, resource_drift=[drift]))
    run = deploying(journal, "read-plan")
    image = Finding(
        "image-missing", "warning", name, "web:2 is brought, and its repository does not have it.", "Push it."
    )
    run.end("read-plan", unfinished=[name], missing=[image.as_json()])
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        assert screen.rows.move_to(f"c:{name}")
        await until_seen(pilot, "An earlier apply failed on it")
        assert "Somebody" not in text_of(app)
        await until_seen(pilot, "web:2 is brought")
        await until_seen(pilot, "1 warning")
    run.leave()


async def test_an_error_of_the_review_stands_in_the_headline(app: ConsoleApp, journal: Journal) -> None:
    """Here: everything is created, since the state is empty."""
    write(journal, made(entry("aws_sqs_queue.a", ["create"], after={"name": "a"})))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "✗ 1 to create.")
        await until_seen(pilot, "✗ 1 error in its review: /finding:error.")


async def test_after_a_state_rollback_the_drift_is_nobody_s(app: ConsoleApp, journal: Journal) -> None:
    left, gone = "aws_lb.a", "aws_lb.b"
    drift = [
        entry(left, ["update"], before={"idle_timeout": 60}, after={"idle_timeout": 61}),
        entry(gone, ["delete"], before={"idle_timeout": 60}, after=None),
    ]
    write(journal, made(resource_drift=drift))
    run = deploying(journal, "read-plan")
    run.end("read-plan", put_back=True)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        for words in ("2 ahead of the state that was put back", "the state is older", "removed later"):
            await until_seen(pilot, words)
        assert screen.rows.move_to(f"d:c:{left}")
        await until_seen(pilot, "- as the state says, + as AWS says now")
        for words in ("somebody", "Somebody", "outside of Terraform", "the last apply left"):
            assert words not in text_of(app)
    run.leave()


async def test_the_attributes_of_the_change_under_the_cursor(app: ConsoleApp, journal: Journal) -> None:
    write(journal, real("plan-aws"))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        assert screen.rows.move_to("x:c:aws_db_instance.shared")
        await until_seen(pilot, "forces the replacement")
        seen = text_of(app)
        assert "This loses the database" in seen
        assert "(known after apply)" in seen
        assert "username" in seen
        assert "Leave username as it is" in seen


async def test_at_80_columns_enter_shows_the_attributes_and_escape_the_list(app: ConsoleApp, journal: Journal) -> None:
    write(journal, real("plan-aws"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        screen.rows.move_to("x:c:aws_db_instance.shared")
        await pilot.press("enter")
        await until_seen(pilot, "forces the replacement")
        assert focused_id(pilot) == "attributes"
        await pilot.press("escape")
        await until(pilot, lambda: focused_id(pilot) == "changes")
        assert app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)


@pytest.mark.parametrize("name", ["plan-aws", "plan-modules"])
async def test_nothing_sensitive_is_shown(app: ConsoleApp, journal: Journal, name: str) -> None:
    write(journal, real(name))
    async with app.run_test(size=(200, 60)) as pilot:
        screen = await opened(pilot, app)
        for row in list(screen.rows.shown):
            screen.rows.move_to(row.key)
            await pilot.pause(0.08)
            seen = text_of(app)
            assert not [secret for secret in SECRETS if secret in seen], row.key


async def test_folding_and_going_up_and_down_the_tree(app: ConsoleApp, journal: Journal) -> None:
    write(journal, real("plan-modules"))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        key = 'm:module.store["a.b"]'
        screen.rows.move_to(key)
        before = len(screen.rows.shown)
        await pilot.press("enter")
        assert len(screen.rows.shown) == before - 1
        assert screen.rows.current_key == key
        await pilot.press("right")
        assert len(screen.rows.shown) == before
        await pilot.press("right")
        assert screen.rows.current_key == 'c:module.store["a.b"].terraform_data.bucket'
        await pilot.press("left")
        assert screen.rows.current_key == key
        await pilot.press("space")
        assert len(screen.rows.shown) == before - 1
        await pilot.press("z")
        assert len(screen.rows.shown) == before
        await pilot.press("z")
        assert len(screen.rows.shown) < before - 1


def many() -> bytes:
    entries = [
        entry(f"module.m{n % 7}.aws_sqs_queue.q{n}", ["delete"] if n % 50 == 0 else ["update"], module=f"module.m{n % 7}",
              before={"name": "a"}, after=None if n % 50 == 0 else {"name": "b"})
        for n in range(FOLDED_FROM + 100)
    ]  # fmt: skip
    return made(*entries)


async def test_next_destroy_is_found_where_it_is_folded_away(app: ConsoleApp, journal: Journal) -> None:
    write(journal, many())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        changes = [row for row in screen.rows.shown if row.key.startswith("c:")]
        assert not changes, "folded, so that thousands are on the screen at once"
        visited = []
        for _ in range(6):
            await pilot.press("n")
            visited.append(screen.rows.current_key)
        assert len(set(visited)) == 6
        assert all(key.startswith("c:module.m") for key in visited)
        await pilot.press("n")
        assert screen.rows.current_key == visited[0], "around the end"
        await pilot.press("N")
        assert screen.rows.current_key == visited[-1]


@pytest.mark.parametrize("reviewed", [True, False], ids=["reviewed", "left-while-reviewing"])
async def test_a_large_plan_is_given_back_when_its_screen_is_left(
    app: ConsoleApp, journal: Journal, reviewed: bool
) -> None:
    """Tens of megabytes each time, of a console that is left open for days."""
    changes = [entry(f"aws_sqs_queue.q{number}", ["create"], after={"name": f"q{number}"}) for number in range(1_200)]
    write(journal, made(*changes))

    def held() -> int:
        return sum(isinstance(each, Plan) for each in gc.get_objects())

    gc.collect()  # what other tests have left
    before = held()
    async with app.run_test(size=(120, 40)) as pilot:
        if reviewed:
            await opened(pilot, app)
        else:
            app.on_go_to(GoTo(Place("plan", run=RUN)))
            await until(pilot, lambda: held() > before)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PlanScreen))
        await until(pilot, lambda: held() == before, "the plan given back", 10)


async def test_the_filter_looks_through_what_is_folded(app: ConsoleApp, journal: Journal) -> None:
    write(journal, many())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await pilot.press("slash", *"q123", "enter")
        await until(pilot, lambda: [row.key for row in screen.rows.shown] == ["c:module.m4.aws_sqs_queue.q123"])
        await until(pilot, lambda: screen.rows.has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: screen.rows.current_key == "c:module.m4.aws_sqs_queue.q123" and not screen._filtered)
        await pilot.press("slash", *"kind:destroy", "enter")
        await until(pilot, lambda: len(screen.rows.shown) == 6)
        await pilot.press("n")
        assert screen.rows.current_key in {row.key for row in screen.rows.shown}


async def test_the_address_is_copied(app: ConsoleApp, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    write(journal, real("plan-aws"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        screen.rows.move_to("x:c:aws_s3_bucket.storage")
        await pilot.press("y")
        assert copied == ["aws_s3_bucket.storage"]


async def test_p_on_the_run_is_there_once_the_plan_is(app: ConsoleApp, journal: Journal) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("look")
    async with app.run_test(size=(120, 40)) as pilot:
        app.on_go_to(GoTo(Place("run", run=executor.run)))
        await until_seen(pilot, "Look at the service")
        await pilot.press("p")
        await pilot.pause(0.2)
        assert isinstance(app.screen, RunScreen)
        write(journal, real("plan-aws"), executor.run)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        await until_seen(pilot, " PROD ")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    executor.leave()


async def test_at_a_gate_the_plan_is_opened_and_the_answer_stays(app: ConsoleApp, journal: Journal) -> None:
    """Where `p` is a letter of the answer."""
    executor = FakeExecutor(journal.folder)
    executor.begin("update", changes=True)
    write(journal, real("plan-aws"), executor.run)
    async with app.run_test(size=(80, 24)) as pilot:
        app.on_go_to(GoTo(Place("run", run=executor.run)))
        executor.open("update", type_gate())
        await until_seen(pilot, "What cannot be undone")
        await until(pilot, lambda: "^oPlan" in "".join(text_of(app).split()))
        await pilot.press("tab", *"fileflow-p", "ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until_seen(pilot, "fileflow-p ")
    assert journal.requests(executor.run) == []
    executor.leave()


async def test_a_run_without_a_plan_and_a_broken_one_say_so(app: ConsoleApp, journal: Journal) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "has left no plan")
        await pilot.press("d")
        await until_seen(pilot, "Only runs that plan have one")
        await pilot.press("escape")
        write(journal, real("plan-aws")[:1000])
        await pilot.press("r")
        await until_seen(pilot, "cut off")
        write(journal, real("plan-modules"))
        await pilot.press("r")
        await until_seen(pilot, "2 to destroy, 1 to create")


async def test_another_plan_of_the_same_run_is_said(app: ConsoleApp, journal: Journal) -> None:
    write(journal, made(entry("aws_sqs_queue.a", ["create"], after={"name": "a"})))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        file = write(journal, real("plan-modules"))
        os.utime(file, (1, 1))
        await until_seen(pilot, "Another plan has been made since")
        await pilot.press("r")
        await until_seen(pilot, "2 to destroy, 1 to create")
        (file.parent / "plan.consumed").touch()
        await pilot.press("r")
        await until_seen(pilot, "its apply has begun")


async def test_nothing_to_do_is_said(app: ConsoleApp, journal: Journal) -> None:
    write(journal, made())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "Nothing to do")


async def test_every_kind_has_its_sign_and_word(app: ConsoleApp, journal: Journal) -> None:
    gone = entry("aws_sqs_queue.gone", ["delete"], before={"name": "q"})
    write(
        journal,
        made(
            entry("aws_a.new", ["create"], after={"name": "n"}),
            entry("aws_b.other", ["explode"]),
            entry("aws_c.first", ["create", "delete"], before={"n": 1}, after={"n": 2}, replace_paths=[["n"]]),
            entry("aws_d.kept", ["forget"], before={"n": 1}),
            {**entry("aws_e.moved", ["no-op"], before={"n": 1}, after={"n": 1}), "previous_address": "aws_e.old"},
            entry("aws_f.found", ["no-op"], importing={"id": "i-1"}, before={"n": 1}, after={"n": 1}),
            resource_drift=[gone],
            deferred_changes=[
                {"reason": "deferred_prereq", "resource_change": entry("aws_g.later", ["create"], after={"n": 1})}
            ],
            output_changes={
                "url": {"actions": ["create"], "before": None, "after": "https://x", "after_unknown": False}
            },
        ),
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        seen = " ".join(text_of(app).split())
        for words in (
            "+ aws_a.new create",
            "? aws_b.other explode",
            "+/- aws_c.first forced by n",
            ". aws_d.kept stays in AWS",
            "→ aws_e.moved moved from aws_e.old",
            "↓ aws_f.found imported as i-1",
            "! aws_sqs_queue.gone it is gone",
            "output.url https://x",
            "aws_g.later something that",
        ):
            assert words in seen, words


async def test_hostile_text_does_no_harm(app: ConsoleApp, journal: Journal) -> None:
    write(
        journal,
        made(
            entry("aws_s3_bucket.x", ["delete", "create"], before={HOSTILE: HOSTILE}, after={HOSTILE: [HOSTILE]},
                  replace_paths=[[HOSTILE]]),
            {**entry(f"aws_s3_bucket.{HOSTILE}", ["update"]), "action_reason": HOSTILE},
            output_changes={HOSTILE: {"actions": ["create"], "before": None, "after": HOSTILE}},
        ),
    )  # fmt: skip
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        for row in list(screen.rows.shown):
            screen.rows.move_to(row.key)
            await pilot.pause(0.08)
            assert_harmless(app)
        await pilot.press("d")
        await pilot.pause(0.3)
        assert_harmless(app)


async def test_go_to_takes_a_plan(app: ConsoleApp, journal: Journal) -> None:
    executor = FakeExecutor(journal.folder)
    write(journal, real("plan-modules"), executor.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        await until(pilot, lambda: focused_id(pilot) == "goto-words")
        await pilot.press(*"plan k3", "enter")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        rows = app.screen.query_one("#changes", Rows)
        await until(pilot, lambda: rows.shown)
    executor.leave()


def planned(journal: Journal, aws: FakeAccess, *, bound: int, stored: int) -> FakeExecutor:
    """A run whose plan was made from the serial `bound`, of a state that has `stored`."""
    store(aws, stored)
    executor = deploying(journal, "plan")
    executor.write(Kind.STEP_FINISHED, "plan", result={"bound": {"serial": bound, "lineage": "l-1"}}, seconds=1.0)
    write(journal, real("plan-modules"), executor.run)
    return executor


def store(aws: FakeAccess, serial: int) -> None:
    now = {"version": 4, "terraform_version": "1.9.8", "serial": serial, "lineage": "l-1", "outputs": {}}
    aws.state = json.dumps({**now, "resources": []}).encode()
    aws.etag = f'"e{serial}"'


@pytest.mark.parametrize(("serial", "void"), [(41, True), (42, False)])
async def test_a_plan_of_a_state_that_is_another_by_now_is_void(
    app: ConsoleApp, aws: FakeAccess, journal: Journal, serial: int, void: bool
) -> None:
    executor = planned(journal, aws, bound=serial, stored=42)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, executor.run)
        await until(pilot, lambda: aws.calls.count("GetObject") > 0)
        await pilot.pause(0.3)
        said = "This plan is void: the state has serial 42 by now, it was made from 41."
        assert (said in text_of(app)) is void
    executor.leave()


async def test_an_open_plan_screen_learns_that_its_plan_became_void(
    app: ConsoleApp, aws: FakeAccess, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraconsole.screens.plan.screen._VOID_SECONDS", 0.5)
    executor = planned(journal, aws, bound=42, stored=42)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, executor.run)
        await until(pilot, lambda: aws.calls.count("HeadObject") > 0, "asked a second time")
        assert "void" not in text_of(app)
        store(aws, 43)
        await until_seen(pilot, "This plan is void: the state has serial 43 by now, it was made from 42.")
        asked = aws.calls.count("HeadObject")
        await pilot.pause(2.5)
        assert aws.calls.count("HeadObject") == asked, "what is void stays so"
    executor.leave()


async def test_an_open_plan_screen_learns_that_its_plan_is_applied(
    app: ConsoleApp, aws: FakeAccess, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraconsole.screens.plan.screen._VOID_SECONDS", 0.5)
    executor = planned(journal, aws, bound=42, stored=42)
    mark = document_of(journal.folder, executor.run).with_name("plan.consumed")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, executor.run)
        assert "its apply has begun" not in text_of(app)
        mark.touch()
        await until_seen(pilot, "This plan has been applied or its apply has begun.")
        store(aws, 43)
        await pilot.pause(2.5)
        assert "void" not in text_of(app), "it is the plan itself that changed the state"
        store(aws, 42)
        mark.unlink()
        await until(pilot, lambda: "its apply has begun" not in text_of(app), "an apply that never began")
    executor.leave()


async def test_an_open_plan_screen_says_that_a_new_plan_is_being_made(app: ConsoleApp, journal: Journal) -> None:
    file = write(journal, made(entry("aws_sqs_queue.a", ["create"], after={"name": "a"})))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        file.unlink()
        await until_seen(pilot, "A new plan is being made: this is the one before.")
        await pilot.press("r")
        await until(pilot, lambda: not screen._reading)
        await pilot.pause(0.1)
        assert "has left no plan" not in text_of(app)
        assert "1 to create" in text_of(app), "it stays until there is another"
        os.utime(write(journal, real("plan-modules")), (1, 1))
        file.with_name("plan.consumed").touch()
        await until_seen(pilot, "Another plan has been made since")
        assert "is being made" not in text_of(app)
        assert "its apply has begun" not in text_of(app), "that is the other one's"
        await pilot.press("r")
        await until_seen(pilot, "2 to destroy, 1 to create")
        await until_seen(pilot, "its apply has begun")


async def test_what_the_state_had_no_value_for_is_not_called_somebody_s_change(
    app: ConsoleApp, journal: Journal
) -> None:
    drift = [
        entry(
            "aws_sqs_queue.filled", ["update"], before={"arn": None, "fifo": False}, after={"arn": "a", "fifo": False}
        ),
        entry(
            "aws_sqs_queue.opened", ["update"], before={"arn": None, "rules": []}, after={"arn": "a", "rules": ["x"]}
        ),
    ]
    write(journal, made(entry("aws_a.new", ["create"], after={"name": "n"}), resource_drift=drift))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        told = [(row.cells["what"].text.strip(), row.cells["why"].text) for row in screen.rows.shown]
        assert told[-3:] == [
            ("1 changed outside of Terraform", ""),
            ("aws_sqs_queue.opened", "changed by somebody else"),
            ("1 of which the state said less", ""),
        ]
        assert screen.rows.move_to("s:filled")
        await pilot.press("space")
        await until_seen(pilot, "the state had no value")


async def test_actions_and_what_is_put_off_stand_in_the_tree(app: ConsoleApp, journal: Journal) -> None:
    name = "action.aws_ec2_stop_instance.old_worker"
    trigger = {"triggering_resource_address": "aws_sqs_queue.jobs", "action_trigger_event": "AfterUpdate"}
    action = {"address": name, "config_values": {"instance_id": "i-0123"}, "lifecycle_action_trigger": trigger}
    later = {"reason": "deferred_prereq", "action_invocation": {"address": "action.x.later"}}
    change = entry("aws_sqs_queue.jobs", ["update"], before={"delay_seconds": 0}, after={"delay_seconds": 5})
    write(journal, made(change, action_invocations=[action], deferred_action_invocations=[later], wish=[1]))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until_seen(pilot, "1 action to invoke, 1 put off to a later plan, 1 of a kind that is not known here")
        assert screen.rows.move_to("a:0")
        await until_seen(pilot, "+ instance_id: i-0123")
        await until_seen(pilot, "invoked after the update of")
        assert screen.copied() == (name, name)
        assert screen.rows.move_to("q:0")
        await until_seen(pilot, "Put off to a later plan")
