"""The exports' screens: the last visit at once, then AWS; findings lead; nothing secret is shown unasked or unrecorded."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.aws.ssm import Parameter
from infraconsole.config import Config, parse
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import AccessDenied, AwsNotFound, Throttled
from infraconsole.exports import last_visit
from infraconsole.screens.exports import ExportScreen, ExportsScreen
from infraconsole.screens.exports import reveal as reveal_module
from infraconsole.screens.exports.cells import Entry
from infraconsole.screens.exports.code import code_rows
from infraconsole.screens.run import RunScreen
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.terraform.exports import Consumer
from tests.screens.conftest import FakeAccess, just_now
from tests.screens.seen import focused_id, text_of, until, until_seen
from tests.screens.test_terminals import HOSTILE, assert_harmless

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:ap-northeast-2:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET = "https://hooks.example/hunter2"


class ExportsAccess(FakeAccess):
    """Also a Parameter Store; what the exports point at may not be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.open = threading.Event()
        self.open.set()
        for name, value in (
            ("network/vpc-id", "vpc-0123456789abcdef0"),
            ("kms/rds-key-arn", KEY),
            ("ecr/fileflow-repository-url", f"{ACCOUNT}.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow"),
        ):
            self.put(f"/shared/{name}", value)
        self.put("/shared/network/data-subnet-ids", "subnet-0aaaaaaaaaaaaaaa1,subnet-0bbbbbbbbbbbbbbb2", "StringList")
        self.put("/shared/monitoring/alert-webhook-url", SECRET, "SecureString")

    def put(self, name: str, value: str, kind: str = "String") -> None:
        version = len(self.history.setdefault(name, [])) + 1
        row = {
            "Name": name,
            "Type": kind,
            "Value": value,
            "Version": version,
            "LastModifiedDate": just_now() - timedelta(days=10 - version),
            "LastModifiedUser": f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/terraform",
            "ARN": f"arn:aws:ssm:ap-northeast-2:{ACCOUNT}:parameter{name}",
            "Tier": "Standard",
            "Description": "for all services",
        }
        self.stored[name] = row
        self.history[name].append({**row, "Labels": ["agreed"] if version == 1 else []})

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if service == "ssm":
            assert self.open.wait(10)
        if not hasattr(self, f"_{operation}"):
            raise AccessDenied("Not allowed.", operation=f"{service}:{operation}", code="AccessDeniedException")
        return super().call(service, operation, **parameters)

    def _DescribeParameters(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        hidden = ("Value",)
        return {"Parameters": [{k: v for k, v in row.items() if k not in hidden} for row in self.stored.values()]}

    def _GetParameters(self, Names: list[str], **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        return {"Parameters": [self.stored[name] for name in Names if name in self.stored]}

    def _GetParameter(self, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N802, N803
        assert WithDecryption
        return {"Parameter": self.stored[Name]}

    def _GetParameterHistory(self, Name: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if Name not in self.history:
            raise AwsNotFound("There is none.", operation="ssm:GetParameterHistory", code="ParameterNotFound")
        return {"Parameters": self.history[Name]}

    def _GetObject(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if not Key.startswith(("fileflow/", "authhub/", "crawler/")) or Key.endswith(".tflock"):
            raise AwsNotFound("There is no state.", operation="s3:GetObject", code="NoSuchKey")
        return super()._GetObject(Key=Key)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def aws() -> ExportsAccess:
    return ExportsAccess()


CODE = {
    "infrastructure/network/outputs.tf": """
resource "aws_ssm_parameter" "vpc_id" {
  name  = "/shared/network/vpc-id"
  type  = "String"
  value = aws_vpc.main.id
}
""",
    "fileflow/data.tf": """
data "aws_ssm_parameter" "vpc_id" {
  name = "/shared/network/vpc-id"
}

locals {
  vpc_id = data.aws_ssm_parameter.vpc_id.value
}

resource "aws_security_group" "tasks" {
  name   = "tasks"
  vpc_id = local.vpc_id
}
""",
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name, content in CODE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return parse(
        {
            "region": "ap-northeast-2",
            "infrastructure": {"path": "infrastructure"},
            "services": {"fileflow": {"path": "fileflow"}, "authhub": {}},
            "environments": {name: {"state_bucket": f"ryuqqq-{name}-tfstate"} for name in ("dev", "prod")},
        },
        tmp_path / "infraconsole.toml",
    )


@pytest.fixture
def app(config: Config, journal: Journal, aws: ExportsAccess, state: Path) -> ConsoleApp:
    return ConsoleApp(config, journal, lambda _: aws, "woken")


async def opened(pilot: Any, app: ConsoleApp, *words: str) -> None:
    await pilot.press("colon")
    await until(pilot, lambda: focused_id(pilot) == "goto-words")
    await pilot.press(*" ".join(words or ("exports", "prod")), "enter")
    await until(pilot, lambda: isinstance(app.screen, ExportsScreen | ExportScreen))


async def checked(pilot: Any, app: ConsoleApp) -> None:
    await until(pilot, lambda: app.screen._checked, seconds=20)  # type: ignore[attr-defined]
    await pilot.pause(0.4)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_what_is_missing_and_wrong_leads(app: ConsoleApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "network/vpc-id")
        await checked(pilot, app)
        await until_seen(pilot, "errors")
        rows = app.screen.query_one("#exports", Rows)
        missing = next(row for row in rows.shown if row.key == "/shared/kms/s3-key-arn")
        assert "apply kms" in missing.cells["value"].text
        await pilot.press("n")
        assert rows.current is not None
        assert rows.current.cells["mark"].text in "✗▲"
        for strip in app.screen._compositor.render_strips():
            assert strip.cell_length == size[0]


async def test_the_last_visit_is_there_before_aws_answers_and_says_its_age(
    app: ConsoleApp, aws: ExportsAccess, config: Config, state: Path
) -> None:
    file = last_visit.file_for(state, profile=None, region="ap-northeast-2", root="/shared")
    seen = Parameter("/shared/network/old-thing", "String", "as it was", 1, just_now(), "")
    last_visit.save(file, ACCOUNT, [seen], just_now() - timedelta(hours=2))
    aws.open.clear()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until_seen(pilot, "network/old-thing")
        await until_seen(pilot, "as it was")
        await until_seen(pilot, "as the last visit saw them")
        await until_seen(pilot, "read 2 h ago")
        aws.open.set()
        await until_seen(pilot, "network/vpc-id")
        await checked(pilot, app)
        assert "old-thing" not in text_of(app), "AWS says that it is gone"
        await until(pilot, lambda: "old-thing" not in file.read_text())


async def test_another_accounts_last_visit_is_not_shown(app: ConsoleApp, aws: ExportsAccess, state: Path) -> None:
    file = last_visit.file_for(state, profile=None, region="ap-northeast-2", root="/shared")
    last_visit.save(
        file, "999999999999", [Parameter("/shared/network/theirs", "String", "x", 1, just_now(), "")], just_now()
    )
    aws.open.clear()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: "theirs" not in text_of(app) and app.screen._read_at)  # type: ignore[attr-defined]
        aws.open.set()
        await until_seen(pilot, "network/vpc-id")


async def test_a_secret_is_masked_until_asked_for_and_the_asking_is_recorded(
    app: ConsoleApp, aws: ExportsAccess, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reveal_module, "SHOWN_SECONDS", 1.0)
    async with app.run_test(size=(200, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        app.screen.query_one("#exports", Rows).move_to("/shared/monitoring/alert-webhook-url")
        await pilot.pause()
        assert SECRET not in text_of(app)
        await pilot.press("u")
        await until_seen(pilot, "The journal records")
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "GetParameter" not in aws.calls, "Enter alone leaves it masked"
        await pilot.press("u")
        await until_seen(pilot, "The journal records")
        await pilot.press("tab", "enter")
        await until_seen(pilot, SECRET)
        created = journal.events_of_kind(Kind.RUN_CREATED)
        assert created[-1].data["title"] == "Looked at the value of /shared/monitoring/alert-webhook-url"
        assert created[-1].data["operator"] == "woken"
        await until(pilot, lambda: SECRET not in text_of(app), "masked again")
    assert SECRET.encode() not in journal.path.read_bytes()
    assert all(SECRET.encode() not in file.read_bytes() for file in (journal.folder / "cache").iterdir())


async def test_a_secret_stays_masked_where_its_record_cannot_be_written(
    app: ConsoleApp, aws: ExportsAccess, journal: Journal
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        app.screen.query_one("#exports", Rows).move_to("/shared/monitoring/alert-webhook-url")
        await pilot.pause()
        journal._db.execute("PRAGMA query_only = 1")
        await pilot.press("u")
        await until_seen(pilot, "The journal records")
        await pilot.press("tab", "enter")
        await until_seen(pilot, "is not shown")
        assert "GetParameter" not in aws.calls


async def test_the_filter_takes_words_types_findings_and_consumers(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        rows = app.screen.query_one("#exports", Rows)
        for words, left in (
            ("type:stringlist", {"/shared/network/data-subnet-ids"}),
            ("consumer:fileflow", {"/shared/network/vpc-id"}),
            ("webhook", {"/shared/monitoring/alert-webhook-url"}),
        ):
            await pilot.press("slash", *words, "enter")
            await pilot.pause(0.1)
            assert {row.key for row in rows.shown} == left
            await pilot.press("escape")
        await pilot.press("slash", *"finding:error", "enter")
        await pilot.pause(0.1)
        assert "/shared/kms/s3-key-arn" in {row.key for row in rows.shown}
        assert "/shared/network/vpc-id" not in {row.key for row in rows.shown}


async def test_the_paths_narrow_the_list_and_the_order_changes(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        await pilot.press("tab")
        folders, rows = app.screen.query_one("#folders", Rows), app.screen.query_one("#exports", Rows)
        folders.move_to("/shared/kms")
        await pilot.pause(0.1)
        assert all(row.key.startswith("/shared/kms/") for row in rows.shown)
        await pilot.press("g", "enter", "o")
        await pilot.pause(0.1)
        assert rows.shown[0].cells["mark"].text == "✗"


async def test_one_export_with_its_history_and_the_code(app: ConsoleApp, aws: ExportsAccess) -> None:
    aws.put("/shared/network/vpc-id", "vpc-0fedcba9876543210")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, "exports prod /shared/network/vpc-id")
        await until_seen(pilot, "vpc-0fedcba9876543210")
        await until_seen(pilot, " security_group.tasks", seconds=20)
        await until_seen(pilot, "replace")
        await until_seen(pilot, "writes")
        await until_seen(pilot, "data.tf:")
        said = " ".join(str(app.screen.query_one("#about-text", Says).content).split())
        assert "destroys and recreates 1 of them" in said
        await pilot.press("tab", "tab")
        await until(pilot, lambda: focused_id(pilot) == "history")
        await pilot.press("j", "d")
        await until_seen(pilot, "From version 1 to 2")
        await until_seen(pilot, "- vpc-0123456789abcdef0")
        await until_seen(pilot, "+ vpc-0fedcba9876543210")


async def test_writing_by_hand_begins_a_run_that_asks(app: ConsoleApp, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    def begin(_: Any, wish: Any) -> str:
        begun.append(wish)
        return "k3m9px"

    monkeypatch.setattr("infraconsole.app.begin", begin)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, "exports prod /shared/kms/s3-key-arn")
        await until_seen(pilot, "It does not exist")
        await until_seen(pilot, "module kms", seconds=20)
        await pilot.press("W")
        await until(pilot, lambda: focused_id(pilot) == "write-value")
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert not begun, "nothing was typed"
        await pilot.press(*KEY.replace(":", ":"), "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    wish = begun[0]
    assert (wish.runbook, wish.environment) == ("export-put", "prod")
    assert wish.inputs == {"name": "/shared/kms/s3-key-arn", "value": KEY, "type": "String"}


async def test_a_missing_export_leads_to_the_deploy_of_its_module(
    app: ConsoleApp, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []

    def begin(_: Any, wish: Any) -> str:
        begun.append(wish)
        return "k3m9px"

    monkeypatch.setattr("infraconsole.app.begin", begin)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        rows = app.screen.query_one("#exports", Rows)
        rows.move_to("/shared/kms/s3-key-arn")
        await pilot.press("D")
        await pilot.pause(0.2)
        assert not begun, "the repository has no module kms"
        rows.move_to("/shared/network/private-subnet-ids")
        await pilot.press("D")
        await until_seen(pilot, "Deploy network, which all environments share")
        await pilot.press("enter")
        await until(pilot, lambda: begun)
    assert (begun[0].runbook, begun[0].service, begun[0].environment) == ("deploy", "network", "prod")


async def test_throttled_and_hostile_exports_do_no_harm(app: ConsoleApp, aws: ExportsAccess) -> None:
    aws.put("/shared/network/hostile", HOSTILE)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app)
        await checked(pilot, app)
        app.screen.query_one("#exports", Rows).move_to("/shared/network/hostile")
        await pilot.pause(0.1)
        assert_harmless(app)
        await pilot.press("d")
        await pilot.pause(0.2)
        assert_harmless(app)
        await pilot.press("escape")
        aws.raises["DescribeParameters"] = Throttled("AWS throttles.", operation="ssm:DescribeParameters")
        await pilot.press("r")
        await until_seen(pilot, "AWS throttles.")
        assert "hostile" in text_of(app), "what was there stays"


def test_code_that_reads_elsewhere_says_where() -> None:
    reader = Consumer("/shared/x", True, "fileflow", "", "data.aws_ssm_parameter.x", "main.tf", 3)
    other = dataclasses.replace(reader, line=9, locals=("local.x",), elsewhere="account 1, region us-east-1")
    rows = list(code_rows(Entry("/shared/x", None, (), consumers=(reader, other)), ()))
    assert [row.cells["attribute"].text for row in rows] == ["", "local.x, in account 1, region us-east-1"]
