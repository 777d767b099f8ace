"""The logs: one sign, one time, each event once, the filter whatever arrives, and why there is nothing to read."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.ecs import parse_task
from infraconsole.aws.logs import LogLine
from infraconsole.checks.task_groups import never_started
from infraconsole.errors import AwsNotFound
from infraconsole.screens import log_lines
from infraconsole.screens.logs import LogsScreen
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.times import clock_time, when
from infraconsole.screens.widgets.rows import Rows
from tests.screens.conftest import FakeAccess, just_now, task
from tests.screens.seen import text_of, until, until_seen
from tests.screens.test_containers import NOT_FOUND, stopped

AT = datetime(2026, 11, 26, 14, 20, 5, tzinfo=UTC)


def logged(number: int, message: str, event: str = "", stream: str = "ecs/app/0123456789abcdef") -> dict[str, Any]:
    at = int((just_now() - timedelta(minutes=9) + timedelta(seconds=number)).timestamp() * 1000)
    return {"timestamp": at, "logStreamName": stream, "message": message, "eventId": event or f"e{number}"}


async def open_logs(pilot: Any, task: str = "") -> Rows:
    pilot.app.screen.post_message(GoTo(Place("logs", "fileflow", "prod", detail=task)))
    await until(pilot, lambda: isinstance(pilot.app.screen, LogsScreen) and pilot.app.screen.query("#log-lines"))
    rows: Rows = pilot.app.screen.query_one("#log-lines", Rows)
    return rows


async def test_the_filter_holds_for_lines_that_arrive_while_it_is_typed(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.logs = [logged(number, f"request {number}") for number in range(40)]
    async with app.run_test(size=(80, 24)) as pilot:
        rows = await open_logs(pilot)
        await until(pilot, lambda: len(rows.shown) == 40)
        await pilot.press("slash")
        for letter in "request 33":
            aws.logs = [*aws.logs, logged(40 + len(aws.logs), f"other {letter}")]
            app.screen.load()  # type: ignore[attr-defined]
            await pilot.press("space" if letter == " " else letter)
        await until(pilot, lambda: rows.total == 50)
        assert [row.cells["message"].text for row in rows.shown] == ["request 33"]
        aws.logs = [*aws.logs, logged(900, "another request 33")]
        app.screen.load()  # type: ignore[attr-defined]
        await until(pilot, lambda: len(rows.shown) == 2)


def test_the_filter_passes_over_the_time_beside_the_line() -> None:
    at = AT.replace(minute=33, second=33)
    line = LogLine(at, "ecs/app/0f00", f"{at.isoformat()} INFO request 7", "e1")
    (row,) = log_lines.rows(log_lines.keyed([line]), several_days=False)
    assert "33" not in row.words
    assert "request 7" in row.words
    assert "0f00" in row.words
    long = LogLine(at, "x", "y" * 5_000 + " the end", "e2")
    (row,) = log_lines.rows(log_lines.keyed([long]), several_days=False)
    assert "the end" in row.words, "all of a line is searched, also what its row does not show"


async def test_an_event_is_shown_once(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.logs = [logged(1, "started", "e1"), logged(1, "started", "e1"), logged(1, "started", "e2")]
    async with app.run_test(size=(80, 24)) as pilot:
        rows = await open_logs(pilot)
        await until(pilot, lambda: rows.shown)
        assert len(rows.shown) == 2, "two events may say the same at the same time; one event is one line"


async def test_the_line_under_the_cursor_is_whole_below_the_list(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.logs = [logged(1, "short"), logged(2, "long " + "word " * 40 + "the end")]
    async with app.run_test(size=(80, 24)) as pilot:
        await open_logs(pilot)
        await until_seen(pilot, "the end")
        await pilot.press("k")
        await until(pilot, lambda: "the end" not in text_of(app), "a line that its row shows is not shown twice")


async def test_what_the_filter_does_not_find_is_said_only_of_what_was_searched(
    app: ConsoleApp, aws: FakeAccess
) -> None:
    aws.logs = [logged(1, "started")]
    async with app.run_test(size=(120, 40)) as pilot:
        rows = await open_logs(pilot)
        await until(pilot, lambda: rows.shown)
        await pilot.press("slash", "q", "q")
        await until_seen(pilot, "Nothing matches “qq” so far: only the lines of the last 15 min were searched.")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_logs_say_that_no_task_ever_started(app: ConsoleApp, aws: FakeAccess, size: tuple[int, int]) -> None:
    aws.tasks["fileflow-prod-service"] = [stopped(number, NOT_FOUND, "TaskFailedToStart") for number in range(7)]
    async with app.run_test(size=size) as pilot:
        await open_logs(pilot)
        why = "✗ fileflow-prod:8: No task ever started: 7 × image fileflow:7bd6b34 not found."
        await until(pilot, lambda: why in " ".join(text_of(app).split()), why)
        await until_seen(pilot, "no task got as far as starting")
        assert "Nothing was logged" not in text_of(app)


async def test_a_task_that_never_started_says_so_and_one_that_may_still_start_is_no_failure(
    app: ConsoleApp, aws: FakeAccess
) -> None:
    failed = stopped(1, NOT_FOUND, "TaskFailedToStart")
    pending = task("fileflow-prod", 8, 2) | {"lastStatus": "PENDING"}
    del pending["startedAt"]
    aws.tasks["fileflow-prod-service"] = [failed, pending]
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot, f"{1:032x}")
        await until_seen(pilot, "✗ This task never started: image fileflow:7bd6b34 not found.")
        await pilot.press("escape")
        await open_logs(pilot, f"{2:032x}")
        await until_seen(pilot, "• This task has not started yet.")


async def test_tasks_that_run_and_log_nothing_are_not_said_to_have_never_started(
    app: ConsoleApp, aws: FakeAccess
) -> None:
    aws.tasks["fileflow-prod-service"] = [
        stopped(1, NOT_FOUND, "TaskFailedToStart"),
        task("fileflow-prod", 7, 2),
    ]
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot)
        await until_seen(pilot, "✗ fileflow-prod:8: No task ever started")
        await until_seen(pilot, "The tasks that run logged nothing in this time.")


async def test_lines_of_other_tasks_do_not_hide_that_the_new_ones_never_started(
    app: ConsoleApp, aws: FakeAccess
) -> None:
    aws.tasks["fileflow-prod-service"] = [stopped(1, NOT_FOUND, "TaskFailedToStart")]
    aws.logs = [logged(1, "request of :7")]
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot)
        await until_seen(
            pilot, "No task ever started: image fileflow:7bd6b34 not found.  The lines are of other tasks."
        )


async def test_a_group_that_no_task_has_made_yet_is_no_error(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.tasks["fileflow-prod-service"] = [stopped(1, NOT_FOUND, "TaskFailedToStart")]
    aws.raises["FilterLogEvents"] = AwsNotFound("No such group.", operation="logs:FilterLogEvents", code="x")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot)
        await until_seen(pilot, "There is no log group yet.")
        assert "No such group" not in text_of(app)


async def test_what_cannot_be_looked_up_is_not_said_to_be_so(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.raises["ListTasks"] = AwsNotFound("Not allowed.", operation="ecs:ListTasks", code="AccessDenied")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot)
        await until_seen(pilot, "Nothing was logged in this time.")
        assert "started" not in text_of(app)


async def test_lines_stand_under_what_they_are_of_while_others_are_read(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    go_on.set()

    def answer(**asked: Any) -> dict[str, Any]:
        assert go_on.wait(30)
        message = "of the task" if "logStreamNamePrefix" in asked else "of the service"
        return {"events": [logged(1, message, message, "ecs/app/t1")]}

    monkeypatch.setattr(aws, "_FilterLogEvents", answer)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_logs(pilot, "t1")
        await until_seen(pilot, "of the task")
        go_on.clear()
        await pilot.press("r", "l", "plus")  # the first of them reads the task once more, and is not waited for
        await until_seen(pilot, "… reading all tasks, the last 60 min")
        await until_seen(pilot, "task t1, the last 15 min")
        go_on.set()
        await until_seen(pilot, "of the service")
        await until_seen(pilot, "  all tasks, the last 60 min")
        assert "of the task" not in text_of(app)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("2026-11-26T14:20:05.123Z  INFO request", "INFO request"),
        ("2026-11-26T23:20:04.999+09:00 INFO request", "INFO request"),
        ("[2026-11-26 14:20:05,001] INFO request", "INFO request"),
        ("2026-11-26 23:20:05.1 INFO in another zone", "INFO in another zone"),
        ("2026-11-26 14:33:05.1 INFO at another time", "2026-11-26 14:33:05.1 INFO at another time"),
        ("2026-11-26T14:20:05Z", "2026-11-26T14:20:05Z"),
        ("2026-99-26T14:20:05Z INFO", "2026-99-26T14:20:05Z INFO"),
        ("no time at all", "no time at all"),
        ('{"time": "2026-11-26T14:20:05Z"}', '{"time": "2026-11-26T14:20:05Z"}'),
    ],
)
def test_a_time_that_is_repeated_is_left_out(message: str, shown: str) -> None:
    assert log_lines.without_stamp(message, AT) == shown


def test_another_time_is_told_by_the_same_clock() -> None:
    local = f"{(AT - timedelta(minutes=2)).astimezone():%H:%M:%S}"
    assert log_lines.without_stamp("2026-11-26T14:18:05Z late", AT) == f"[{local}] late"


@pytest.mark.parametrize(
    ("message", "mark"),
    [
        ("x ERROR y", "✗"),
        ("java.lang.IllegalStateException: x", "✗"),
        ("WARN x", "▲"),
        ("0 errors", " "),
        ("INFO", " "),
    ],
)
def test_failures_have_their_sign_in_a_log_too(message: str, mark: str) -> None:
    (row,) = log_lines.rows(log_lines.keyed([LogLine(AT, "s", message, "e")]), several_days=False)
    assert row.cells["mark"].text == mark


def test_times_are_the_operators_clock_with_the_age_beside_it() -> None:
    now = datetime.now().astimezone().replace(hour=12, minute=0, second=0)
    assert clock_time(now - timedelta(minutes=4), now) == "11:56:00"
    assert when(now - timedelta(minutes=4), now) == "11:56:00 (4 min ago)"
    past = now.replace(month=3, day=4) - timedelta(days=0 if now.month > 3 else 366)
    assert clock_time(past, now) == f"{past:%d %b %H:%M}" if past.year == now.year else f"{past:%d %b %Y}"
    assert clock_time(now - timedelta(days=800), now).endswith(f"{(now - timedelta(days=800)).year}")
    assert (clock_time(None, now), when(None, now)) == ("-", "-")


def test_never_started_says_no_more_than_is_known() -> None:
    now = just_now()
    failed = [parse_task(stopped(number, NOT_FOUND, "TaskFailedToStart")) for number in range(2)]
    why = "2 × image fileflow:7bd6b34 not found"
    assert never_started(failed, now - timedelta(minutes=20), now) == f"No task ever started: {why}."
    assert never_started(failed, now - timedelta(hours=9), now) == f"No task started within the last hour: {why}."
    waiting = replace(failed[0], desired_status="RUNNING", last_status="PENDING", stopped_reason="")
    assert never_started([waiting], now, now) == "No task has started yet: 1 is on the way."
    assert never_started([*failed, waiting], now, now) == f"No task ever started: {why}, 1 more on the way."
    assert never_started([*failed, replace(waiting, started_at=now)], now, now) == ""
    assert never_started([], now, now) == ""
