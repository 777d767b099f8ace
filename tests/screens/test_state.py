"""The state's versions, what differs between two of them, environments side by side, and the dialog before a deploy."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from infraconsole.app import ConsoleApp
from infraconsole.config import Config, parse
from infraconsole.engine.journal import Journal
from infraconsole.errors import AccessDenied, AwsNotFound
from infraconsole.screens import console_screen
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.detail import DetailScreen
from infraconsole.screens.environments import EnvironmentsScreen
from infraconsole.screens.places import GoTo, Place
from infraconsole.screens.run import RunScreen
from infraconsole.screens.state import StateScreen
from infraconsole.screens.state.diff import StateDiffScreen
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.words import said
from tests.screens.conftest import FakeAccess, just_now
from tests.screens.seen import at_once, focused_id, press_after_reading, text_of, until, until_seen
from tests.screens.test_terminals import HOSTILE, assert_harmless

SECRET = "hunter2-of-the-state"
KEY = "fileflow/terraform.tfstate"


def resource(name: str, type_: str = "aws_sqs_queue", /, **attributes: Any) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": type_,
        "name": name,
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [{"schema_version": 0, "attributes": attributes}],
    }


def state(serial: int, *resources: dict[str, Any], lineage: str = "l-1") -> bytes:
    head = {"version": 4, "terraform_version": "1.9.8", "serial": serial, "lineage": lineage, "outputs": {}}
    return json.dumps({**head, "resources": list(resources)}).encode()


def md5_of(stored: bytes | None) -> str:
    return hashlib.md5(stored or b"", usedforsecurity=False).hexdigest()


class StateAccess(FakeAccess):
    """Also a bucket with versions: `stored` is (version id, content or None for a delete marker), newest first."""

    def __init__(self) -> None:
        super().__init__()
        password = resource("db", "aws_db_instance", id="db-1", password=SECRET, size=1)
        self.stored: list[tuple[str, bytes | None]] = [
            ("v4", state(4, resource("new", id="q-1", name="jobs"), password, resource("more", id="q-2"))),
            ("v3", state(3, resource("old", id="q-1", name="jobs"),
                         resource("db", "aws_db_instance", id="db-1", password=SECRET + "-before", size=2))),
            ("v2", None),
            ("v1", state(1, lineage="another")),
        ]  # fmt: skip
        self.got: list[str] = []
        self.lock = ""
        self.digest = ""
        self.newest = ""
        """The version that is current by the time it is looked at again; default: the first of `stored`."""
        self.trails: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []

    def _ListObjectVersions(self, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N802, N803
        versions, markers = [], []
        for place, (version, content) in enumerate(self.stored):
            row = {
                "Key": Prefix,
                "VersionId": version,
                "IsLatest": place == 0,
                "LastModified": just_now() - timedelta(days=place),
            }
            if content is None:
                markers.append(row)
            else:
                versions.append({**row, "Size": len(content), "ETag": f'"{version}"'})
        return {"Versions": versions, "DeleteMarkers": markers}

    def _GetObject(self, Key: str, VersionId: str = "", **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if Key.startswith("AWSLogs/"):
            return {"Body": gzip.compress(json.dumps({"Records": self.records}).encode())}
        if not VersionId:
            return super()._GetObject(Key=Key)
        self.got.append(VersionId)
        content = dict(self.stored).get(VersionId)
        if content is None:
            raise AwsNotFound("There is none.", operation="s3:GetObject", code="NoSuchVersion")
        return {"Body": content, "ContentLength": len(content), "LastModified": just_now(), "VersionId": VersionId}

    def _DescribeTrails(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"trailList": self.trails}

    def _GetEventSelectors(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}
        return {"EventSelectors": [{"ReadWriteType": "All", "DataResources": [objects]}]}

    def _ListObjectsV2(self, Bucket: str, StartAfter: str = "", **asked: Any) -> dict[str, Any]:  # noqa: N802, N803
        if not StartAfter:
            return super()._ListObjectsV2(Bucket, **asked)
        return {"Contents": [{"Key": f"{StartAfter}_x.json.gz"}]} if self.records else {}

    def recorded(self, version: str, who: str = "kim", **more: Any) -> None:
        """A record of CloudTrail's of who stored a version."""
        arn = f"arn:aws:sts::123456789012:assumed-role/Admin/{who}"
        self.trails = [{"Name": "main", "S3BucketName": "logs", "HomeRegion": self.region, "IsMultiRegionTrail": True}]
        self.records.append(
            {
                "eventName": "PutObject",
                "eventTime": "2026-03-01T12:00:30Z",
                "userIdentity": {"type": "AssumedRole", "arn": arn},
                "sourceIPAddress": "203.0.113.7",
                "userAgent": "[APN/1.0 HashiCorp/1.0 Terraform/1.11.4 (+https://www.terraform.io)]",
                "requestParameters": {"bucketName": "b-prod", "key": KEY},
                "responseElements": {"x-amz-version-id": version},
                **more,
            }
        )

    def _GetItem(self, **asked: Any) -> dict[str, Any]:  # noqa: N802
        if asked["Key"]["LockID"]["S"].endswith("-md5"):
            return {"Item": {"Digest": {"S": self.digest}}} if self.digest else {}
        return {"Item": {"Info": {"S": self.lock}}} if self.lock else {}

    def _HeadObject(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        version = self.newest or self.stored[0][0]
        return {"VersionId": version, "ETag": f'"{version}"'}


@pytest.fixture
def aws() -> StateAccess:
    access = StateAccess()
    for environment, tag in (("dev", "v2"), ("staging", "v1.4.2"), ("prod", "v1.4.2")):
        access.add("fileflow", environment, running=1, desired=1, tag=tag)
    return access


@pytest.fixture
def config(tmp_path: Path) -> Config:
    code = {
        "variables.tf": """
variable "image_tag" {
  description = "Tag of the image"
}
variable "ecs_task_cpu" { default = "2048" }
variable "node_type" {}
variable "db_password" {}
""",
        "environments/dev/terraform.tfvars": 'image_tag = "v1"\nnode_typ = "small"\ndb_password = "hunter2-dev"\n',
        "environments/prod/terraform.tfvars": 'image_tag = "v1.4.2" # pinned\nnode_type = "big"\ndb_password = "hunter2-prod"\n',
    }
    for name, content in code.items():
        file = tmp_path / "fileflow" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    environments = {name: {"state_bucket": f"b-{name}", "lock_table": "locks"} for name in ("dev", "prod")}
    return parse(
        {
            "region": "ap-northeast-2",
            "services": {"fileflow": {"path": "fileflow"}, "authhub": {}},
            "environments": {**environments, "staging": {}},
        },
        tmp_path / "infraconsole.toml",
    )


@pytest.fixture
def app(
    config: Config, journal: Journal, aws: StateAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ConsoleApp:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    return ConsoleApp(config, journal, lambda _: aws, "woken")


async def opened(pilot: Any, app: ConsoleApp, environment: str = "prod") -> StateScreen:
    app.on_go_to(GoTo(Place("state", "fileflow", environment)))
    await until(pilot, lambda: isinstance(app.screen, StateScreen) and app.screen.is_mounted)
    screen = app.screen
    assert isinstance(screen, StateScreen)
    await pilot.pause(0.1)
    return screen


def serials(screen: StateScreen) -> list[str]:
    return [row.cells["serial"].text for row in screen.rows.shown]


# Versions


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_versions_newest_first_and_what_they_are(
    app: ConsoleApp, aws: StateAccess, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["#4", "#3", "-", "#1"])
        await until_seen(pilot, "4 versions of the state of fileflow prod")
        await until_seen(pilot, "✓ current")
        await until_seen(pilot, "was deleted here")
        await until_seen(pilot, "another lineage")
        await until_seen(pilot, "Lock: free")
        assert sorted(aws.got) == ["v1", "v3", "v4"], "each once"
        assert SECRET not in text_of(app)
        for strip in app.screen._compositor.render_strips():
            assert strip.cell_length == size[0]


async def test_versions_are_listed_a_page_at_a_time_and_read_as_they_come_into_view(
    app: ConsoleApp, aws: StateAccess
) -> None:
    aws.stored = [(f"v{n:03}", state(n)) for n in range(120, 0, -1)]
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 50)
        await until_seen(pilot, "50 and more versions")
        await until(pilot, lambda: serials(screen)[0] == "#120")
        await pilot.pause(0.3)
        assert len(aws.got) < 30, "only those in view"
        await pilot.press("G")
        await until(pilot, lambda: len(screen.rows.shown) == 100)
        await until(pilot, lambda: serials(screen)[49] == "#71", "read as it came into view")
        await pilot.press("plus")
        await until(pilot, lambda: len(screen.rows.shown) == 120)
        await until_seen(pilot, "120 versions")
        await pilot.press("r")
        await pilot.pause(0.3)
        assert len(screen.rows.shown) == 120, "reading again loses nothing"


async def test_a_large_version_waits_for_the_cursor(
    app: ConsoleApp, aws: StateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraconsole.screens.state.screen.LARGE_BYTES", 100)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen)[:1] == ["#4"])
        await pilot.pause(0.3)
        assert aws.got == ["v4"]
        await pilot.press("j")
        await until(pilot, lambda: serials(screen)[1] == "#3")


async def test_a_deleted_state_and_an_unreadable_version_say_so(app: ConsoleApp, aws: StateAccess) -> None:
    aws.stored = [("v3", None), ("v2", state(2)[:40]), ("v1", state(1))]
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "It was deleted: Terraform finds no state.")
        await until_seen(pilot, "✗ unreadable")
        await pilot.press("j")
        await until_seen(pilot, "Version v2 is cut off")
        await pilot.press("enter")
        await until_seen(pilot, "Take another version")


async def test_without_a_bucket_it_says_whose_the_versions_are(app: ConsoleApp, aws: StateAccess) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, "staging")
        await until_seen(pilot, "the versions of a state are S3's, and a local state has none")
        assert aws.calls.count("ListObjectVersions") == 0


async def test_an_error_keeps_what_is_there(app: ConsoleApp, aws: StateAccess) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["#4", "#3", "-", "#1"])
        aws.raises["ListObjectVersions"] = AccessDenied(
            "s3:ListObjectVersions is not allowed.", operation="s3:ListObjectVersions", code="AccessDenied"
        )
        await pilot.press("r")
        await until_seen(pilot, "s3:ListObjectVersions is not allowed.")
        assert serials(screen) == ["#4", "#3", "-", "#1"]


async def test_what_could_not_be_read_is_read_again(app: ConsoleApp, aws: StateAccess) -> None:
    aws.stored.insert(0, ("v5", b"no state"))
    aws.raises["GetObject"] = AccessDenied("Not allowed.", operation="s3:GetObject", code="AccessDenied")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["!", "!", "!", "-", "!"])
        del aws.raises["GetObject"]
        await pilot.press("r")
        await until(pilot, lambda: serials(screen) == ["!", "#4", "#3", "-", "#1"])
        await pilot.press("r")
        await pilot.pause(0.3)
        assert sorted(aws.got) == ["v1", "v3", "v4", "v5"], (
            "what was read once does not change, not even what is no state"
        )


async def test_a_filter_finds_what_was_not_in_view(
    app: ConsoleApp, aws: StateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.stored = [(f"v{n:03}", state(n + 500)) for n in range(45, 0, -1)]
    aws.stored[43] = ("v002", state(502, resource("large", id="x" * 5_000_000)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen)[0] == "#545")
        await pilot.pause(0.3)
        assert len(aws.got) < 30
        answers, got = threading.Event(), aws._GetObject
        monkeypatch.setattr(aws, "_GetObject", lambda **asked: answers.wait(8) and got(**asked))
        await pilot.press("slash", *"#503")
        await until_seen(pilot, "Nothing matches “#503” so far: not all versions are read yet.")
        answers.set()
        await until(pilot, lambda: serials(screen) == ["#503"])
        await until(pilot, lambda: len(aws.got) == 44)
        assert "v002" not in aws.got
        await pilot.press("backspace", "2")
        await until_seen(pilot, "Nothing matches “#502” so far: large versions are read only under the cursor.")
        await pilot.press("backspace", "7", "7")
        aws.stored = aws.stored[:40]
        await pilot.press("enter", "r")
        await until_seen(pilot, "Nothing matches “#5077”.")


async def test_a_module_of_the_infrastructure_has_a_state_too(
    config: Config, journal: Journal, aws: StateAccess, tmp_path: Path, begun: list[Any], catalogue: set[str]
) -> None:
    for file in ("network/main.tf", "rds/main.tf", "rds/environments/dev/terraform.tfvars"):
        (tmp_path / "infra" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "infra" / file).write_text("")
    asked: list[tuple[str, str]] = []
    listed = aws._ListObjectVersions

    def versions(Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        asked.append((Bucket, Prefix))
        return listed(Bucket, Prefix)

    aws._ListObjectVersions = versions  # type: ignore[method-assign]
    app = ConsoleApp(replace(config, infrastructure=tmp_path / "infra"), journal, lambda _: aws, "woken")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("colon")
        await until(pilot, lambda: focused_id(pilot) == "goto-words")
        await pilot.press(*"state network prod", "enter")
        await until_seen(pilot, "4 versions of the state of network prod")
        assert asked == [("b-prod", "network/terraform.tfstate")]
        await pilot.press("e")
        await pilot.pause(0.2)
        assert asked == [("b-prod", "network/terraform.tfstate")], "there is one for all environments"
        await pilot.press("j", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        app.on_go_to(GoTo(Place("state", "rds", "dev")))
        await until_seen(pilot, "4 versions of the state of rds dev")
        assert asked[-1] == ("b-dev", "rds/terraform.tfstate")
        await pilot.press("D")
        await until(pilot, lambda: focused_id(pilot) == "deploy-targets")
        await until_seen(pilot, "Deploy rds to dev")
        assert "image" not in text_of(app)
        await pilot.press(*"aws_a.b", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [(wish.runbook, wish.service, wish.environment, wish.inputs) for wish in begun] == [
        ("state-rollback", "network", "prod", {"version": "v3"}),
        ("deploy", "rds", "dev", {"targets": "aws_a.b"}),
    ]


# Who wrote a version


async def test_the_version_the_cursor_rests_on_says_who_wrote_it(app: ConsoleApp, aws: StateAccess) -> None:
    aws.recorded("v3")
    aws.recorded("v2", who="lee", eventName="DeleteObject")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("j")
        await until_seen(pilot, "by kim (Admin), Terraform 1.11.4: 1 serial before the current one")
        await pilot.press("j")
        await until_seen(pilot, "by lee (Admin), Terraform 1.11.4. The state came back later.")
        asked = aws.calls.count("DescribeTrails"), aws.calls.count("ListObjectsV2")
        await pilot.press("k")
        await until_seen(pilot, "by kim (Admin), Terraform 1.11.4")
        await pilot.pause(0.6)
        assert (aws.calls.count("DescribeTrails"), aws.calls.count("ListObjectsV2")) == asked, "each version once"
        await pilot.press("enter")
        for words in ("kim (Admin)", "arn:aws:sts::123456789012:assumed-role/Admin/kim", "203.0.113.7", "APN/1.0"):
            await until_seen(pilot, words)


async def test_nobody_is_looked_up_while_the_cursor_runs_over_the_versions(
    app: ConsoleApp, aws: StateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slowly a busy machine takes the keys, the cursor does not rest between them.
    monkeypatch.setattr("infraconsole.screens.state.screen._REST_SECONDS", 3.0)
    aws.stored = [(f"v{n:02}", state(n)) for n in range(40, 0, -1)]
    aws.recorded("v01")
    async with app.run_test(size=(120, 60)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen)[-1] == "#1")
        await pilot.press(*"j" * 38, "j")
        await until_seen(pilot, "by kim (Admin)")
        assert aws.calls.count("ListObjectsV2") < 10, (
            "only where it came to rest; on a busy machine now and then between"
        )


async def test_without_a_trail_the_detail_says_so(app: ConsoleApp, aws: StateAccess) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: aws.calls.count("DescribeTrails"))
        await pilot.pause(0.1)
        assert "trail" not in text_of(app)
        await pilot.press("enter")
        await until_seen(pilot, "no trail records writes to this bucket")


async def test_a_young_version_is_asked_for_again_until_its_record_is_delivered(
    app: ConsoleApp, aws: StateAccess
) -> None:
    aws.recorded("another")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: aws.calls.count("ListObjectsV2"))
        await pilot.pause(0.1)
        await pilot.press("enter")
        await until_seen(pilot, "not delivered yet")
        await pilot.press("escape")
        aws.recorded("v4")
        await pilot.press("r")
        await until_seen(pilot, "Written by kim (Admin), Terraform 1.11.4.")


async def test_an_older_version_that_the_logs_do_not_name_says_so(app: ConsoleApp, aws: StateAccess) -> None:
    aws.recorded("another")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.press("j")
        await until(pilot, lambda: aws.calls.count("ListObjectsV2"))
        await pilot.pause(0.1)
        await pilot.press("enter")
        await until_seen(pilot, "not in CloudTrail's logs of the 30 min after it was written")


async def test_what_is_read_after_a_detail_was_opened_appears_in_it(
    app: ConsoleApp, aws: StateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.recorded("v4")
    go_on, call = threading.Event(), aws.call

    def late(service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "ListObjectsV2":
            go_on.wait(60)
        return call(service, operation, **parameters)

    monkeypatch.setattr(aws, "call", late)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await pilot.press("enter")
        await until_seen(pilot, "not looked up yet")
        go_on.set()
        await until(pilot, lambda: "not looked up yet" not in text_of(app))
        assert isinstance(app.screen, DetailScreen)
        await until_seen(pilot, "author     kim (Admin)")


async def test_a_detail_is_laid_out_in_part_and_copied_whole(app: ConsoleApp) -> None:
    words = "word " * 30_000
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(DetailScreen("Long", lambda: said(words)))
        await until_seen(pilot, "word word")
        await pilot.press("G")
        await until_seen(pilot, "50,000 more characters; y copies all.")
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == words)


async def test_an_author_that_may_not_be_asked_for_is_no_failure(app: ConsoleApp, aws: StateAccess) -> None:
    words = "cloudtrail:DescribeTrails is not allowed."
    aws.raises["DescribeTrails"] = AccessDenied(words, operation="cloudtrail:DescribeTrails", code="AccessDenied")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: aws.calls.count("DescribeTrails"))
        await pilot.pause(0.1)
        assert "DescribeTrails" not in text_of(app)
        assert screen.band.problem == ""
        await pilot.press("enter")
        await until_seen(pilot, words)
        await pilot.press("escape", "r")
        await pilot.pause(0.8)
        assert aws.calls.count("DescribeTrails") == 1


async def test_what_a_log_says_cannot_touch_the_terminal(app: ConsoleApp, aws: StateAccess) -> None:
    aws.recorded("v4", who=HOSTILE, userAgent=f"Terraform/1.0 {HOSTILE}", sourceIPAddress=HOSTILE)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "Written by")
        assert_harmless(app)
        await pilot.press("enter")
        await until_seen(pilot, "assumed-role/Admin")
        assert_harmless(app)


# Comparing


async def test_two_versions_are_compared_with_moves_recognised_and_secrets_masked(
    app: ConsoleApp, aws: StateAccess
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("j", "d")
        await until(pilot, lambda: isinstance(app.screen, StateDiffScreen))
        await until_seen(pilot, "From serial 3")
        await until_seen(pilot, "to serial 4")
        await until_seen(pilot, "1 added, 1 changed, 1 moved")
        await until(pilot, lambda: "was aws_sqs_queue.old" in " ".join(text_of(app).split()))
        rows = app.screen.query_one("#changes", Rows)
        rows.move_to("r:aws_db_instance.db ")
        await until_seen(pilot, "••••••")
        await until_seen(pilot, "size: 2 → 1")
        assert SECRET not in text_of(app)
        await pilot.press("d")
        await pilot.pause(0.3)
        assert SECRET not in text_of(app)


async def test_the_marked_version_is_compared_and_another_state_is_said(app: ConsoleApp, aws: StateAccess) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("j", "space", "G", "d")
        await until_seen(pilot, "From serial 1")
        await until_seen(pilot, "to serial 3")
        await until_seen(pilot, "their lineages differ")


# What starts runs


async def test_rolling_back_starts_a_run_with_the_version(
    app: ConsoleApp, begun: list[Any], catalogue: set[str]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("R")
        await pilot.pause(0.2)
        assert not begun, "it is the current one"
        await pilot.press("j", "j", "R")
        await pilot.pause(0.2)
        assert not begun, "a delete marker holds no state"
        await pilot.press("k", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    wish = begun[0]
    assert (wish.runbook, wish.service, wish.environment) == ("state-rollback", "fileflow", "prod")
    assert wish.inputs == {"version": "v3"}


async def test_unlocking_is_there_only_while_somebody_holds_the_lock(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str]
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "Lock: free")
        await pilot.press("U")
        await pilot.pause(0.2)
        assert not begun
        created = (just_now() - timedelta(hours=3)).isoformat()
        aws.lock = json.dumps(
            {"ID": "id-1", "Who": "kim@laptop", "Operation": "OperationTypeApply", "Created": created}
        )
        await pilot.press("r")
        await until_seen(pilot, "kim@laptop holds it for 3 h")
        await pilot.press("U")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert begun[0].runbook == "state-unlock"
    assert begun[0].inputs == {"lock": "id-1"}, "and no other one"


async def test_what_the_catalogue_does_not_have_is_not_offered(
    app: ConsoleApp, begun: list[Any], catalogue: set[str]
) -> None:
    catalogue.clear()
    catalogue.add("ecs-rollback")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("D")
        await pilot.pause(0.2)
        assert isinstance(app.screen, BoardScreen)
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("j", "R", "U")
        await pilot.pause(0.2)
    assert not begun


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_deleted_state_is_brought_back_with_the_key_that_rolls_back(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str], size: tuple[int, int]
) -> None:
    aws.stored.insert(0, ("v5", None))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "It was deleted: Terraform finds no state. R brings it back.")
        await until_seen(pilot, "R Undelete")
        assert "Roll back" not in text_of(app)
        await pilot.press("j", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == ("state-undelete", "fileflow", "prod", {})


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize(
    "stored", [state(5)[:40], b"", b'{"version": 3}', b"<html>"], ids=["cut-off", "empty", "old", "no-json"]
)
async def test_what_is_no_state_is_taken_away_with_the_key_that_rolls_back(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str], size: tuple[int, int], stored: bytes
) -> None:
    aws.stored.insert(0, ("v5", stored))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "What is stored now is not a complete state. R brings the last whole one back.")
        await until_seen(pilot, "R Undelete")
        assert "Roll back" not in text_of(app)
        await pilot.press("j", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == ("state-undelete", "fileflow", "prod", {})


async def test_a_version_that_aws_does_not_give_is_not_called_broken(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str]
) -> None:
    aws.raises["GetObject"] = AccessDenied("Not allowed.", operation="s3:GetObject", code="AccessDenied")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["!", "!", "-", "!"])
        assert "not a complete state" not in text_of(app)
        await pilot.press("j", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [wish.runbook for wish in begun] == ["state-rollback"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_state_that_could_not_be_stored_is_said_and_taken_care_of(
    app: ConsoleApp, begun: list[Any], catalogue: set[str], tmp_path: Path, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("E")
        await pilot.pause(0.2)
        assert not begun
        assert "Recover" not in text_of(app)
        (tmp_path / "fileflow/errored.tfstate").write_text("{}")
        await pilot.press("r")
        await until_seen(pilot, "An apply could not store its state: errored.tfstate. E pushes or dismisses it.")
        await until_seen(pilot, "E Recover")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == ("state-recover", "fileflow", "prod", {})


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_digest_of_another_state_is_said_and_mended(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str], size: tuple[int, int]
) -> None:
    aws.digest = md5_of(aws.stored[0][1])
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["#4", "#3", "-", "#1"])
        await pilot.press("enter")
        await until_seen(pilot, f"{aws.digest}, as in the lock table")
        await pilot.press("escape", "M")
        await pilot.pause(0.2)
        assert "digest" not in text_of(app)
        assert not begun
        aws.digest = md5_of(aws.stored[1][1])
        await pilot.press("r")
        await until_seen(pilot, "The lock table's digest is not that of the stored state")
        await until_seen(pilot, "M repairs it.")
        await until_seen(pilot, "M Mend")
        await pilot.press("enter")
        await until_seen(pilot, f"{aws.digest}, another state's")
        await pilot.press("escape", "M")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == ("digest-repair", "fileflow", "prod", {})


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
async def test_what_a_run_may_have_changed_is_read_again_when_one_comes_back(
    app: ConsoleApp, aws: StateAccess, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(console_screen, "COVERED_SECONDS", seconds)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen)[0] == "#4")
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not screen)
        aws.stored.insert(0, ("v5", state(5)))
        await pilot.press("escape")
        if seconds:
            await pilot.pause(0.5)
            assert serials(screen)[0] == "#4"
        else:
            await until(pilot, lambda: serials(screen)[0] == "#5")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_was_written_past_terraform_is_taken_away_and_not_made_to_agree(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str], size: tuple[int, int]
) -> None:
    aws.digest = md5_of(aws.stored[0][1])
    aws.stored.insert(0, ("v5", state(40, lineage="foreign")))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "What is stored now was written outside of Terraform.")
        await until_seen(pilot, "✗ current")
        await until_seen(pilot, "R Undelete")
        assert "M Mend" not in text_of(app)
        await pilot.press("M", "j", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.service, wish.environment, wish.inputs) == ("state-undelete", "fileflow", "prod", {})


async def test_a_state_of_another_project_is_said_and_the_right_one_brought_back(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str]
) -> None:
    """Terraform itself was made to store it: its digest is right."""
    aws.stored.insert(0, ("v5", state(40, lineage="foreign")))
    aws.digest = md5_of(aws.stored[0][1])
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until_seen(pilot, "The stored state is another project's than the versions before it.")
        await until_seen(pilot, "▲ current")
        screen.rows.move_to("v4")
        await until_seen(pilot, "R Undelete")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    (wish,) = begun
    assert (wish.runbook, wish.inputs) == ("state-undelete", {"version": "v4"})


async def test_while_a_bucket_keeps_no_versions_the_state_is_told_by_its_etag(
    app: ConsoleApp, aws: StateAccess, catalogue: set[str]
) -> None:
    """All that is stored then has the version id null."""
    content = {"a": state(1), "b": state(2)}
    now = ["a"]
    listed: dict[str, Any] = {"Key": KEY, "VersionId": "null", "IsLatest": True, "LastModified": just_now(), "Size": 9}
    aws._ListObjectVersions = lambda **_: {"Versions": [{**listed, "ETag": f'"{now[0]}"'}]}  # type: ignore[method-assign]
    aws._GetObject = lambda **_: {"Body": content[now[0]]}  # type: ignore[method-assign]
    aws._HeadObject = lambda **_: {"ETag": f'"{now[0]}"'}  # type: ignore[method-assign]
    aws.digest = md5_of(content["a"])
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["#1"] and screen._kept_digest == aws.digest)
        now[0], aws.digest = "b", md5_of(content["b"])
        await pilot.press("r")
        await until(pilot, lambda: serials(screen) == ["#2"])
        await until(pilot, lambda: screen._kept_digest == aws.digest)
        assert "digest" not in text_of(app)


@pytest.mark.parametrize("why", ["stored meanwhile", "somebody holds the lock"])
async def test_a_state_that_is_just_being_stored_is_not_accused(
    app: ConsoleApp, aws: StateAccess, catalogue: set[str], why: str
) -> None:
    """Terraform stores a state before its digest."""
    aws.digest = md5_of(aws.stored[1][1])
    aws.newest = "v5" if why == "stored meanwhile" else ""
    if why == "somebody holds the lock":
        aws.lock = json.dumps({"ID": "l", "Operation": "OperationTypeApply", "Who": "kim@mac"})
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: serials(screen) == ["#4", "#3", "-", "#1"])
        await pilot.pause(0.3)
        assert "digest" not in text_of(app)


async def test_a_digest_is_held_against_no_other_version_than_its_own(
    app: ConsoleApp, aws: StateAccess, catalogue: set[str]
) -> None:
    aws.digest = md5_of(aws.stored[0][1])
    answers, head = threading.Event(), aws._HeadObject
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: screen._kept_digest == aws.digest)
        aws.stored.insert(0, ("v5", state(5)))
        aws._HeadObject = lambda **asked: answers.wait(10) and head(**asked)  # type: ignore[method-assign,assignment]
        await pilot.press("r")
        await until(pilot, lambda: serials(screen)[0] == "#5")
        assert "digest" not in text_of(app)
        answers.set()
        await until_seen(pilot, "The lock table's digest is not that of the stored state")


@pytest.mark.parametrize("why", ["read-only", "no such runbooks"])
async def test_neither_is_offered_where_it_cannot_begin(
    config: Config,
    journal: Journal,
    aws: StateAccess,
    begun: list[Any],
    catalogue: set[str],
    tmp_path: Path,
    why: str,
) -> None:
    if why == "no such runbooks":
        catalogue -= {"state-undelete", "state-recover"}
    app = ConsoleApp(replace(config, read_only=why == "read-only"), journal, lambda _: aws, "woken")
    aws.stored.insert(0, ("v5", None))
    (tmp_path / "fileflow/errored.tfstate").write_text("{}")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "It was deleted: Terraform finds no state.")
        await until_seen(pilot, "An apply could not store its state: errored.tfstate.")
        assert "brings it back" not in text_of(app)
        assert "dismisses" not in text_of(app)
        await pilot.press("R", "E", "j", "R")
        await pilot.pause(0.3)
    assert not begun


# The dialog before a deploy


async def to_board_row(pilot: Any, app: ConsoleApp, key: str) -> None:
    board = app.screen.query_one("#board", Rows)
    await until(pilot, lambda: board.move_to(key))
    await pilot.pause(0.3)


async def test_a_deploy_is_asked_for_and_its_run_begun(app: ConsoleApp, begun: list[Any], catalogue: set[str]) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await to_board_row(pilot, app, "fileflow-prod")
        await pilot.press("D")
        await until(pilot, lambda: focused_id(pilot) == "deploy-image")
        await until_seen(pilot, "v1.4.2, from the tfvars")
        seen = " ".join(text_of(app).replace("│", " ").split())
        assert "Deploy fileflow to prod" in seen
        assert "Nothing changes before its gates are answered." in seen
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        assert not begun
        await pilot.press("D")
        await until(pilot, lambda: focused_id(pilot) == "deploy-image")
        await pilot.press(*"v 1", "enter")
        await until_seen(pilot, "A tag is letters")
        await pilot.press("backspace", "backspace", *"1.5", "tab", *"module.a, aws_b.c", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    wish = begun[0]
    assert (wish.runbook, wish.service, wish.environment) == ("deploy", "fileflow", "prod")
    assert wish.inputs == {"image_tag": "v1.5", "targets": "module.a, aws_b.c"}


async def test_a_deploy_is_asked_for_on_the_state_s_screen_too(
    app: ConsoleApp, begun: list[Any], catalogue: set[str]
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "D Deploy")
        await pilot.press("D")
        await until_seen(pilot, "Deploy fileflow to prod")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [(wish.runbook, wish.service, wish.environment) for wish in begun] == [("deploy", "fileflow", "prod")]


async def test_two_fields_filled_in_one_piece_get_what_is_theirs(
    app: ConsoleApp, begun: list[Any], catalogue: set[str]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await to_board_row(pilot, app, "fileflow-prod")
        await pilot.press("D")
        await until(pilot, lambda: focused_id(pilot) == "deploy-image")
        at_once(app, *"v1", "tab", *"aws_b.c")
        await until(pilot, lambda: app.screen.query_one("#deploy-targets", Input).value == "aws_b.c")
        await press_after_reading(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert begun[0].inputs == {"image_tag": "v1", "targets": "aws_b.c"}


async def test_the_form_lists_the_newest_tags_with_their_age_and_takes_them(
    app: ConsoleApp, aws: StateAccess, begun: list[Any], catalogue: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [
        {
            "imageDigest": f"sha256:{days}",
            "imageTags": [f"v{9 - days}"],
            "imagePushedAt": just_now() - timedelta(days=days),
        }
        for days in (4, 3, 5, 6, 7, 8)
    ]
    monkeypatch.setattr(aws, "_DescribeImages", lambda **_: {"imageDetails": images}, raising=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_board_row(pilot, app, "fileflow-prod")
        await pilot.press("D")
        await until_seen(pilot, "pushed 3 d ago")
        seen = text_of(app)
        assert seen.index("v6") < seen.index("v5") < seen.index("v4")
        assert "Esc deploys nothing" in " ".join(seen.split()), "at 80×24 all of it is in view"
        field = app.screen.query_one("#deploy-image", Input)
        await pilot.press("down")
        assert field.value == "v6"
        await pilot.press("down")
        assert field.value == "v5"
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert begun[0].inputs == {"image_tag": "v6"}


async def test_what_is_left_empty_is_no_input(app: ConsoleApp, begun: list[Any], catalogue: set[str]) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.on_go_to(GoTo(Place("containers", "fileflow", "dev")))
        await until_seen(pilot, "completed  fileflow-dev:7")
        await pilot.press("D")
        await until_seen(pilot, "v2 runs now")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert begun[0].inputs == {}


async def test_read_only_offers_no_run(
    config: Config, journal: Journal, aws: StateAccess, begun: list[Any], catalogue: set[str]
) -> None:
    app = ConsoleApp(replace(config, read_only=True), journal, lambda _: aws, "woken")
    async with app.run_test(size=(80, 24)) as pilot:
        await to_board_row(pilot, app, "fileflow-prod")
        await pilot.press("D")
        await pilot.pause(0.2)
        assert isinstance(app.screen, BoardScreen)
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 4)
        await pilot.press("j", "R", "D")
        await pilot.pause(0.2)
        assert screen.is_current
    assert not begun


# Environments


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_environments_side_by_side(app: ConsoleApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await to_board_row(pilot, app, "fileflow-prod")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, EnvironmentsScreen))
        await until_seen(pilot, "node_typ ", seconds=30)
        await until_seen(pilot, "No variables in this code: staging")
        await until_seen(pilot, "▲ v2")  # dev runs another image than its variables say
        seen = text_of(app)
        assert "✗ missing" in seen
        assert "hunter2" not in seen
        rows = app.screen.query_one("#lines", Rows)
        await pilot.press("n")
        assert rows.current_key == "node_type"
        await pilot.press("n")
        await until_seen(pilot, "Is node_type meant?")
        await pilot.press("slash", *"drifted", "enter")
        await until(pilot, lambda: [row.key for row in rows.shown] == ["runs:image"])
        await until(pilot, lambda: rows.has_focus)
        await pilot.press("d")
        await until_seen(pilot, "the variables say v1")


async def test_a_service_without_code_still_says_what_runs(app: ConsoleApp, aws: StateAccess) -> None:
    aws.add("authhub", "prod", tag="v9")
    async with app.run_test(size=(120, 40)) as pilot:
        app.on_go_to(GoTo(Place("environments", "authhub")))
        await until_seen(pilot, "The Terraform code of authhub is not known")
        await until_seen(pilot, "v9")
        await until_seen(pilot, "dev: has no such service")
        await pilot.press("s")
        await until_seen(pilot, "node_typ ", seconds=30)


async def test_hostile_states_and_variables_do_no_harm(app: ConsoleApp, aws: StateAccess, tmp_path: Path) -> None:
    aws.stored = [
        (HOSTILE, state(2, resource(HOSTILE, id=HOSTILE, name=HOSTILE), lineage=HOSTILE)),
        ("v1", state(1, lineage="x")),
    ]
    (tmp_path / "fileflow/environments/prod/terraform.tfvars").write_text("x = <<A\n\\u001b[2J\u202egnp\x9b31m\nA\n")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, app)
        await until(pilot, lambda: len(screen.rows.shown) == 2)
        await pilot.pause(0.3)
        assert_harmless(app)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert_harmless(app)
        await pilot.press("escape", "j", "d")
        await until(pilot, lambda: isinstance(app.screen, StateDiffScreen))
        await pilot.pause(0.3)
        assert_harmless(app)
        app.on_go_to(GoTo(Place("environments", "fileflow")))
        await until_seen(pilot, "node_typ ", seconds=30)
        assert_harmless(app)
