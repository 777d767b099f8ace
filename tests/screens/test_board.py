"""The board: what is wrong, where and since when, without a key press."""

from __future__ import annotations

import time

from infraconsole.app import ConsoleApp
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import AccessDenied, CredentialsExpired
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.widgets.band import Band
from infraconsole.screens.widgets.rows import Rows
from tests.screens.conftest import FakeAccess
from tests.screens.runs import FakeExecutor, revision_gate
from tests.screens.seen import text_of, until, until_seen

WORST = "fileflow prod: :8 does not get stable: 12 failed tasks in"


def board(app: ConsoleApp) -> Rows:
    return app.screen.query_one("#board", Rows)


async def test_says_the_worst_first_without_a_key(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        await until(pilot, lambda: "nothing serves. R rolls back." in " ".join(text_of(app).split()))


async def test_an_apply_that_stopped_half_way_is_said_until_one_comes_to_its_end(
    app: ConsoleApp, journal: Journal
) -> None:
    def deployed(run: str) -> FakeExecutor:
        executor = FakeExecutor(journal.folder, run, environment="dev", runbook="deploy", steps=(("apply", "Apply"),))
        executor.write(Kind.STEP_STARTED, "apply", title="Apply", why="", commands=[], changes=True)
        intent = {"call": f"{run}/3", "operation": "terraform:apply"}
        executor.write(Kind.CALL_INTENDED, "apply", **intent, parameters={})
        executor.write(Kind.CALL_DONE, "apply", **intent)
        return executor

    half = deployed("half22")
    half.write(Kind.STEP_FAILED, "apply", title="The apply failed.", cause="", mend="")
    half.finish("failed", 1)
    words = "fileflow dev: the apply of run half22 stopped half way"
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        await until(pilot, lambda: text_of(app).count(words) == 1, "on top")
        whole = deployed("whole2")
        whole.end("apply", changed=True)
        whole.finish()
        await until(pilot, lambda: words not in text_of(app))


async def test_the_worst_row_stands_first_and_equal_ones_as_configured(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        keys = [row.key for row in board(app).shown]
        assert keys[:4] == ["fileflow-prod", "fileflow-dev", "fileflow-staging", "authhub-dev"]
        assert board(app).current_key == "fileflow-prod"


async def test_all_cells_are_read_at_the_same_time(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.delay_seconds = 0.3
    async with app.run_test(size=(120, 40)) as pilot:
        began = time.monotonic()
        screen = app.screen
        assert isinstance(screen, BoardScreen)
        rows = screen._rows
        await until(pilot, lambda: all(fact.value is not None for row in rows.values() for _, fact in row.facts))
        assert time.monotonic() - began < 8, "one after the other they would take twice as long, on any machine"


async def test_an_error_stays_in_its_cell_and_is_told_whole_on_d(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.raises["DescribeAlarms"] = AccessDenied(
        "cloudwatch:DescribeAlarms is not allowed.",
        operation="cloudwatch:DescribeAlarms",
        code="AccessDenied",
        words="User ops is not authorized",
        mend="Add it to the role.",
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "! Access")
        await until_seen(pilot, "0/3")
        await pilot.press("d")
        await until_seen(pilot, "User ops is not authorized")
        await pilot.press("G")
        await until_seen(pilot, "Add it to the role.")


async def test_expired_credentials_go_on_the_band_and_leave_the_cells(app: ConsoleApp, aws: FakeAccess) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        expired = CredentialsExpired("The credentials have expired.", operation="ecs:X", mend="aws sso login")
        aws.raises = dict.fromkeys(
            ("DescribeServices", "DescribeAlarms", "GetItem", "HeadObject", "GetParameters"), expired
        )
        await pilot.press("r")
        await until_seen(pilot, "The credentials have expired. aws sso login")
        await until_seen(pilot, "1/1")
        aws.raises = {}
        await pilot.press("r")
        await until(pilot, lambda: not app.screen.query_one(Band).problem)


async def test_the_band_says_whose_credentials_they_are_once_there_are_some(app: ConsoleApp, aws: FakeAccess) -> None:
    expired = CredentialsExpired("The credentials have expired.", operation="sts:X", mend="aws sso login")
    reads = ("DescribeServices", "DescribeAlarms", "GetItem", "HeadObject", "GetObject", "GetParameters")
    aws.raises = dict.fromkeys((*reads, "GetCallerIdentity"), expired)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "The credentials have expired. aws sso login")
        assert "123456789012" not in text_of(app)
        aws.raises = {}
        await pilot.press("r")
        await until_seen(pilot, "ryuqqq-prod (123456789012)")
        aws.renew()
        aws._GetCallerIdentity = lambda: {"Account": "210987654321", "Arn": "a", "UserId": "U"}  # type: ignore[method-assign]
        aws.raises = dict.fromkeys(reads, expired)
        await pilot.press("r")
        await until_seen(pilot, "The credentials have expired.")
        aws.raises = {}
        await pilot.press("r")
        await until_seen(pilot, "(210987654321)")


async def test_the_band_follows_the_cursor_and_prod_looks_different(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "ryuqqq-prod (123456789012)")
        band = app.screen.query_one(Band)
        await until(pilot, lambda: band.has_class("-prod"))
        await pilot.press("j")
        await until(pilot, lambda: not band.has_class("-prod"))
        await pilot.press("k")
        await until_seen(pilot, " PROD ")
        assert band.has_class("-prod")
        await pilot.press("e")
        await until(pilot, lambda: board(app).current_key == "fileflow-dev")
        assert not band.has_class("-prod")


async def test_filter_narrows_and_escape_brings_back(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        await pilot.press("slash", *"auth prod")
        await until(pilot, lambda: [row.key for row in board(app).shown] == ["authhub-prod"])
        await pilot.press("enter")
        await until(pilot, lambda: board(app).has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: len(board(app).shown) == 9)


async def test_unfinished_runs_stand_on_top(app: ConsoleApp, journal: Journal) -> None:
    executor = FakeExecutor(journal.folder)
    executor.begin("choose")
    executor.open("choose", revision_gate())
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "attach")
        await until_seen(pilot, "waits for you")
        executor.leave()
        await until_seen(pilot, "resume")


async def test_read_only_greys_the_rollback_out(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        assert app.screen.check_action("roll_back", ()) is True
        app.screen.desk.config.__dict__["read_only"] = True  # type: ignore[attr-defined]
        assert app.screen.check_action("roll_back", ()) is None


async def test_a_service_that_is_not_there_is_no_trouble(app: ConsoleApp, aws: FakeAccess) -> None:
    del aws.services["crawler-staging-service"]
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)
        row = next(row for row in board(app).shown if row.key == "crawler-staging")
        await until(pilot, lambda: board(app).shown[7].cells["rollout"].text == "none")
        assert row.key == "crawler-staging"


async def test_copy_says_what_was_copied(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_seen(pilot, WORST)
        await pilot.press("y")
        assert app.clipboard.startswith(f"✗ {WORST}")
        await until_seen(pilot, "Sent to the terminal's clipboard")


async def test_a_narrow_footer_keeps_what_changes_something(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, WORST)

        def footer_names(words: str) -> bool:  # it is composed anew while the first cells come in
            return words in text_of(app).splitlines()[-1]

        await until(pilot, lambda: footer_names("Roll back") and footer_names("Deploy"), "both in the footer")
