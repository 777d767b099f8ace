"""The containers screen and the logs: everything about one service, and nothing is changed from here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.errors import AwsFault
from infraconsole.screens import routes
from infraconsole.screens.containers import ContainersScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.logs import LogsScreen
from infraconsole.screens.places import StartRun
from infraconsole.screens.widgets.rows import Rows
from tests.screens.conftest import FakeAccess, arn, definition, deployment, just_now, task
from tests.screens.seen import text_of, until, until_seen


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[StartRun]:
    """Runs that were asked for, instead of being begun."""
    asked: list[StartRun] = []

    def begin(desk: Desk, wish: StartRun) -> str:
        asked.append(wish)
        return "k3m9px"

    monkeypatch.setattr(routes, "begin", begin)
    monkeypatch.setattr("infraconsole.app.begin", begin)
    return asked


async def open_prod(pilot: Any) -> None:
    await until_seen(pilot, "fileflow prod: :8 ")
    await until(pilot, lambda: pilot.app.screen.query_one("#board", Rows).move_to("fileflow-prod"))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ContainersScreen))
    await until_seen(pilot, "fileflow-prod:8  0/3 run")


async def test_one_pane_at_80_columns_all_at_120(app: ConsoleApp) -> None:
    panes = ("tasks", "events", "targets", "revisions")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_prod(pilot)

        def shown() -> list[str]:
            return [pane for pane in panes if app.screen.query_one(f"#{pane}").size.height]

        assert shown() == ["tasks", "events"]
        await until_seen(pilot, "No task runs")
        await until_seen(pilot, "tasks keep failing to start")
        await pilot.press("tab")
        await until(pilot, lambda: shown() == ["events"])
        await pilot.press("tab")
        await until(pilot, lambda: shown() == ["targets"])
        await pilot.press("tab")
        await until(pilot, lambda: shown() == ["revisions"])
        await pilot.press("tab")
        await until(pilot, lambda: shown() == ["tasks", "events"])
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: all(app.screen.query_one(f"#{pane}").display for pane in panes))


async def test_the_difference_of_two_revisions_masks_secrets(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await pilot.press("shift+tab")
        await until(pilot, lambda: "v1.7.0" in text_of(app))
        await pilot.press("j", "d")
        await until_seen(pilot, "From fileflow-prod:8, which runs now, to fileflow-prod:7")
        seen = text_of(app)
        assert "- app environment POOL_SIZE: 80" in seen
        assert "hunter" not in seen
        await pilot.press("escape", "w")
        await until_seen(pilot, "DB_PASSWORD from arn:aws:secretsmanager:db")
        assert "hunter" not in text_of(app)


async def test_rollback_takes_the_revision_under_the_cursor(app: ConsoleApp, wishes: list[StartRun]) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await pilot.press("R")
        await until(pilot, lambda: len(wishes) == 1)
        assert wishes[0].inputs == {}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await pilot.press("shift+tab", "R")  # the cursor is on the revision that runs: the runbook chooses
        await until(pilot, lambda: len(wishes) == 2)
        assert wishes[1].inputs == {}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await pilot.press("j", "R")
        await until(pilot, lambda: len(wishes) == 3)
        assert wishes[2].inputs == {"revision": "fileflow-prod:7"}


def stopped(number: int, reason: str, code: str, *, minutes: float = 1, exit_code: int | None = None) -> dict[str, Any]:
    raw = task("fileflow-prod", 8, number) | {
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stoppedAt": just_now() - timedelta(minutes=minutes),
        "stoppedReason": reason,
        "stopCode": code,
    }
    raw["containers"] = [{"name": "app", "image": "i", "lastStatus": "STOPPED", "exitCode": exit_code}]
    if code == "TaskFailedToStart":
        del raw["startedAt"]
    return raw


NOT_FOUND = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
    "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow:7bd6b34: not found"
)
FAILING = [
    *(stopped(number, NOT_FOUND, "TaskFailedToStart", minutes=2 + number) for number in range(7)),
    stopped(20, "Essential container in task exited", "EssentialContainerExited", exit_code=1),
    *(stopped(number, f"Scaling activity initiated by (deployment ecs-svc/{number})", "ServiceSchedulerInitiated")
      for number in (30, 31)),
]  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_why_tasks_stopped_is_on_the_screen_at_every_size(
    app: ConsoleApp, aws: FakeAccess, size: tuple[int, int]
) -> None:
    aws.tasks["fileflow-prod-service"] = [*FAILING, task("fileflow-prod", 8, 40)]
    async with app.run_test(size=size) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "tasks 1 running, ✗ 8")
        rows = app.screen.query_one("#tasks", Rows).shown
        seen = [tuple(row.cells[key].text for key in ("mark", "id", "status", "why")) for row in rows]
        assert seen == [
            ("✗", "00000014", "stopped", "app exited with 1"),
            ("✗", "7 ×", "stopped", "image fileflow:7bd6b34 not found"),
            ("✓", "00000028", "healthy", ""),
            ("·", "2 ×", "stopped", "stopped by ECS: scaling or another deployment"),
        ]
        for row in seen:
            await until_seen(pilot, row[3])  # whole, at any size


async def test_a_row_of_tasks_tells_of_all_of_them_and_leads_to_the_newest(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.tasks["fileflow-prod-service"] = FAILING
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "7 ×")
        await pilot.press("j", "d")
        await until_seen(pilot, "7 tasks stopped for this reason")
        assert "pull image manifest has been retried 1 time(s)" in " ".join(text_of(app).split())
        await until_seen(pilot, f"{6:032x}")
        await pilot.press("escape", "l")
        await until(pilot, lambda: isinstance(app.screen, LogsScreen))
        await until_seen(pilot, "task 00000000")


async def test_events_are_short_and_whole_behind_d(app: ConsoleApp, aws: FakeAccess) -> None:
    group = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/fileflow-prod-tg/94f92faa0fbc47fa"
    whole = f"(service fileflow-prod-service) deregistered 1 targets in (target-group {group})"
    event = {"id": "e7", "createdAt": just_now() - timedelta(minutes=3), "message": whole}
    aws.services["fileflow-prod-service"]["events"] = [event, event]
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "1 target deregistered")
        assert text_of(app).count("1 target deregistered") == 1, "an event has an id, and is shown once"
        assert "arn:aws" not in text_of(app)
        await pilot.press("tab", "d")
        await until_seen(pilot, "(service fileflow-prod-service) deregistered 1 targets")


async def test_the_newest_event_stays_in_sight(app: ConsoleApp, aws: FakeAccess) -> None:
    def event(number: int) -> dict[str, Any]:
        return {"id": f"e{number}", "createdAt": just_now(), "message": f"(service x) happening {number}"}

    aws.services["fileflow-prod-service"]["events"] = [event(1)]
    async with app.run_test(size=(80, 24)) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "happening 1")
        aws.services["fileflow-prod-service"]["events"] = [event(number) for number in range(60, 0, -1)]
        await pilot.press("r")
        await until_seen(pilot, "happening 60")


async def test_panes_take_the_room_that_they_need(app: ConsoleApp, aws: FakeAccess) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "No task runs")
        height = {pane: app.screen.query_one(f"#{pane}").size.height for pane in ("tasks", "events", "targets")}
        assert height["tasks"] <= 4
        assert height["events"] > 20
        aws.tasks["fileflow-prod-service"] = [task("fileflow-prod", 8, number) for number in range(60)]
        await pilot.press("r")
        await until(pilot, lambda: app.screen.query_one("#tasks").size.height > 10)
        assert app.screen.query_one("#events").size.height > 10, "many tasks leave room for the others"


async def test_a_deployment_that_ecs_took_back_has_failed(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = {"serviceDeploymentArn": "arn:dep/1", "status": "ROLLBACK_SUCCESSFUL", "targetServiceRevisionArn": "r",
            "createdAt": just_now() - timedelta(days=9), "finishedAt": just_now() - timedelta(days=9)}  # fmt: skip
    monkeypatch.setattr(aws, "_ListServiceDeployments", lambda **_: {"serviceDeployments": [back]})
    revision = {"serviceRevisionArn": "r", "taskDefinition": arn("fileflow-prod:7")}
    monkeypatch.setattr(aws, "_DescribeServiceRevisions", lambda **_: {"serviceRevisions": [revision]}, raising=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await until_seen(pilot, "✗ rolled back")


async def test_what_cannot_be_read_says_so_and_leaves_the_rest(app: ConsoleApp, aws: FakeAccess) -> None:
    aws.raises["ListServiceDeployments"] = AwsFault("ECS answered 500.", operation="ecs:ListServiceDeployments")
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prod(pilot)
        await until(pilot, lambda: "v1.7.0" in text_of(app))
        await until_seen(pilot, "No task runs")
        await pilot.press("d")
        await until_seen(pilot, "deployments of the last 90 days could not be read")


async def test_the_next_environment_takes_the_place_of_this_one(app: ConsoleApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_prod(pilot)
        await pilot.press("e")
        await until_seen(pilot, "1 of 1 tasks run fileflow-dev:7")
        assert not app.screen.query_one("#band").has_class("-prod")
        await pilot.press("escape")
        await until_seen(pilot, "service          tasks")


async def test_logs_of_a_service_follow_filter_and_show_whole_lines(app: ConsoleApp, aws: FakeAccess) -> None:
    at = int(just_now().timestamp() * 1000)
    aws.logs = [
        {
            "timestamp": at - 1000 * (50 - index),
            "logStreamName": f"ecs/app/{index}",
            "message": f"request {index} \x1b[2J",
        }
        for index in range(50)
    ] + [{"timestamp": at, "logStreamName": "ecs/app/1", "message": "ERROR " + "x" * 300 + " the end"}]
    async with app.run_test(size=(80, 24)) as pilot:
        await open_prod(pilot)
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LogsScreen))
        await until_seen(pilot, "ERROR xxx")
        await pilot.press("enter")
        await until_seen(pilot, "the end")
        await pilot.press("escape", "slash", *"request 33", "enter")
        await until(pilot, lambda: 0 < len(app.screen.query_one(Rows).shown) < 10)
        shown = app.screen.query_one(Rows).shown
        assert all("request" in row.words and "33" in row.words for row in shown)


def rolling_out(aws: FakeAccess) -> None:
    """fileflow prod as `missing-image` has it: the new revision never starts, the one before serves on."""
    aws.add("fileflow", "prod", running=3, desired=3, revision=8, state="IN_PROGRESS", failed=4, tag="7bd6b34",
            event="is unable to consistently start tasks successfully.")  # fmt: skip
    new = aws.services["fileflow-prod-service"]["deployments"][0]
    new["runningCount"] = 0
    old = deployment("fileflow-prod:7", "ACTIVE", "COMPLETED", 3, 3, 0)
    aws.services["fileflow-prod-service"]["deployments"] = [new, old]
    aws.definitions["fileflow-prod:7"]["containerDefinitions"].insert(
        0, {"name": "log_router", "image": "public.ecr.aws/x/aws-for-fluent-bit:stable", "essential": True}
    )


async def test_the_image_that_serves_stands_beside_the_one_being_rolled_out(app: ConsoleApp, aws: FakeAccess) -> None:
    rolling_out(aws)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "v1.7.0→7bd6b34")
        await until(pilot, lambda: ":7 still serves 3 of 3" in " ".join(text_of(app).split()))
        await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-prod"))
        await pilot.press("enter")
        await until_seen(pilot, "image v1.7.0 → 7bd6b34")
        rows = {row.key.rpartition(":")[2]: row for row in app.screen.query_one("#revisions", Rows).shown}
        assert [rows[each].cells["mark"].text for each in ("8", "7", "6")] == ["→", "▶", " "]
        assert rows["7"].cells["image"].text == "v1.7.0", "not the log router's"


async def test_a_service_of_another_family_lists_that_family_and_says_what_is_cut_off(
    app: ConsoleApp, aws: FakeAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.add("fileflow", "prod", running=3, desired=3)
    for number in range(1, 51):
        aws.definitions[f"worker:{number}"] = definition("worker", number, f"w{number}")
    raw = aws.services["fileflow-prod-service"]
    raw["taskDefinition"] = raw["deployments"][0]["taskDefinition"] = arn("worker:50")
    completed = {"serviceDeploymentArn": "arn:dep/1", "status": "SUCCESSFUL", "targetServiceRevisionArn": "r",
                 "createdAt": just_now() - timedelta(days=9), "finishedAt": just_now() - timedelta(days=9)}  # fmt: skip
    monkeypatch.setattr(aws, "_ListServiceDeployments", lambda **_: {"serviceDeployments": [completed]})
    revision = {"serviceRevisionArn": "r", "taskDefinition": arn("worker:3")}
    monkeypatch.setattr(aws, "_DescribeServiceRevisions", lambda **_: {"serviceRevisions": [revision]}, raising=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "w50")
        await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-prod"))
        await pilot.press("enter")
        await until_seen(pilot, "revisions 40 of 50")
        assert "fileflow-prod:" not in text_of(app)
        rows = app.screen.query_one("#revisions", Rows)
        await until(pilot, lambda: rows.shown[-1].key == arn("worker:3"), "the one with a deployment, far back")
        assert rows.shown[-1].cells["deployed"].text.startswith("completed")
        assert len(rows.shown) == 41


async def test_r_where_code_deploy_deploys_says_what_to_use_and_starts_nothing(
    app: ConsoleApp, aws: FakeAccess, wishes: list[StartRun]
) -> None:
    aws.services["fileflow-dev-service"]["deploymentController"] = {"type": "CODE_DEPLOY"}
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "1/1 CodeDeploy")
        await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-dev"))
        await until_seen(pilot, "CodeDeploy deploys fileflow-dev-service")
        await pilot.press("R")
        await until_seen(pilot, "aws deploy stop-deployment")
        await pilot.press("escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, ContainersScreen))
        await until_seen(pilot, "CodeDeploy deploys fileflow-dev-service")
        await pilot.press("R")
        await until_seen(pilot, "aws deploy stop-deployment")
        assert wishes == []


async def test_the_board_and_the_containers_say_the_same_of_what_stands_around_a_service(
    app: ConsoleApp, aws: FakeAccess
) -> None:
    aws.alarms = [{"AlarmName": "fileflow-dev-cpu", "StateValue": "ALARM", "StateReason": "r"}]
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow dev: alarm fileflow-dev-cpu rings.")
        await until(pilot, lambda: app.screen.query_one("#board", Rows).move_to("fileflow-dev"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ContainersScreen))
        await until_seen(pilot, "▲ fileflow dev: alarm fileflow-dev-cpu rings.")
