"""Pictures of plans, states, environments side by side, and exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.config import Config
from infraconsole.engine.journal import Journal
from infraconsole.screens.exports import ExportScreen, ExportsScreen
from infraconsole.screens.plan.screen import PlanScreen
from infraconsole.screens.widgets.rows import Rows
from tests.screens.pictures.conftest import SMALL, Easel
from tests.screens.pictures.night import LONG, Night, lock_state, settings
from tests.screens.pictures.still import AT, Clock, come, go, shown
from tests.screens.runs import FakeExecutor
from tests.screens.test_plan import real, write
from tests.screens.test_terminals import HOSTILE

pytestmark = pytest.mark.pictures

CODE = {
    "infrastructure/network/main.tf": 'resource "aws_vpc" "main" {\n  cidr_block = "10.0.0.0/16"\n}\n',
    "infrastructure/network/outputs.tf": """
resource "aws_ssm_parameter" "vpc_id" {
  name  = "/shared/network/vpc-id"
  type  = "String"
  value = aws_vpc.main.id
}
""",
    "infrastructure/kms/main.tf": "",
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
    "fileflow/variables.tf": """
variable "image_tag" {
  description = "Tag of the image"
}
variable "ecs_task_cpu" { default = "2048" }
variable "node_type" {}
variable "db_password" {}
variable "greeting" { default = "안녕하세요" }
variable "allowed_cidr_blocks_of_the_partners_that_settle_at_night" { default = [] }
""",
    "fileflow/environments/dev/terraform.tfvars": 'image_tag = "v1.4.2"\nnode_typ = "small"\ndb_password = "hunter2-dev"\n',
    "fileflow/environments/staging/terraform.tfvars": (
        'image_tag = "v1.4.1"\nnode_type = "cache.r7g.xlarge"\ndb_password = "hunter2-staging"\necs_task_cpu = "4096"\n'
    ),
    "fileflow/environments/prod/terraform.tfvars": (
        'image_tag = "7bd6b34" # 급한 수정\nnode_type = "cache.r7g.2xlarge"\ndb_password = "hunter2-prod"\n'
        'allowed_cidr_blocks_of_the_partners_that_settle_at_night = ["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"]\n'
    ),
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """With code beside it. Places in it are told as they are seen from its folder."""
    for name, content in CODE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return settings({"fileflow": {"path": "fileflow"}}, "infrastructure", tmp_path / "infraconsole.toml")


def document(journal: Journal, name: str) -> None:
    """A plan is as old as its file."""
    at = (AT - timedelta(minutes=5)).timestamp()
    os.utime(write(journal, real(name)), (at, at))


@pytest.fixture
def planned(journal: Journal, moment: Clock) -> Iterator[None]:
    """A deploy that waits at its plan."""
    moment.before(minutes=5)
    document(journal, "plan-aws")
    steps = (("read-plan", "Read the plan"), ("apply", "Apply the plan"))
    run = FakeExecutor(journal.folder, runbook="deploy", title="Deploy: fileflow-prod", operator="kim", steps=steps)
    run.begin("read-plan")
    run.end("read-plan")
    moment.before()
    yield
    run.leave()
    run.journal.close()


async def test_plan(app: ConsoleApp, planned: None, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "plan", run="k3m9px")
        await shown(pilot, "lost for good")
        await easel.compare(pilot)


async def test_plan_change(app: ConsoleApp, planned: None, easel: Easel, size: tuple[int, int]) -> None:
    """What one change does, attribute by attribute."""
    async with app.run_test(size=size) as pilot:
        await go(pilot, "plan", run="k3m9px")
        await shown(pilot, "lost for good")
        await easel.settled(pilot)
        screen = app.screen
        assert isinstance(screen, PlanScreen)
        assert screen.rows.move_to("x:c:aws_db_instance.shared")
        await pilot.press("enter")
        await shown(pilot, "forces the replacement")
        await easel.compare(pilot)


@SMALL
async def test_plan_of_modules(app: ConsoleApp, journal: Journal, easel: Easel, size: tuple[int, int]) -> None:
    document(journal, "plan-modules")
    async with app.run_test(size=size) as pilot:
        await go(pilot, "plan", run="k3m9px")
        await shown(pilot, "module.store")
        await easel.compare(pilot)


async def test_state(app: ConsoleApp, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    lock_state(aws, "fileflow", "prod")
    async with app.run_test(size=size) as pilot:
        await go(pilot, "state")
        await shown(pilot, "#412")
        await easel.compare(pilot)


async def test_state_version(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "state")
        await shown(pilot, "#412")
        await easel.settled(pilot)
        await pilot.press("enter")
        await easel.compare(pilot)


async def test_state_difference(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "state")
        await shown(pilot, "#412")
        await easel.settled(pilot)
        await pilot.press("j", "d")
        await come(pilot, lambda: type(app.screen).__name__ == "StateDiffScreen")
        await easel.compare(pilot)


async def test_environments(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "environments")
        await shown(pilot, "node_typ ")
        await easel.compare(pilot)


@SMALL
async def test_environments_without_code(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "environments", LONG)
        await shown(pilot, "is not known")
        await easel.compare(pilot)


def is_checked(app: ConsoleApp) -> bool:
    screen = app.screen
    return isinstance(screen, ExportsScreen) and screen._checked


async def test_exports(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "exports")
        await come(pilot, lambda: is_checked(app))
        await easel.compare(pilot)


@SMALL
async def test_exports_of_a_finding(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "exports")
        await come(pilot, lambda: is_checked(app))
        await easel.settled(pilot)
        app.screen.query_one("#exports", Rows).move_to("/shared/monitoring/메모")
        await pilot.press("d")
        await easel.compare(pilot)


async def test_export(app: ConsoleApp, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    """Which code reads it stands beside it, and what it was before."""
    aws.put("/shared/network/vpc-id", "vpc-0fedcba9876543210")
    async with app.run_test(size=size) as pilot:
        await go(pilot, "export", detail="/shared/network/vpc-id")
        await easel.compare(pilot)


@SMALL
@pytest.mark.parametrize("name", ["kms/rds-key-arn", "kms/s3-key-arn"], ids=["wrong", "missing"])
async def test_export_in_trouble(app: ConsoleApp, easel: Easel, size: tuple[int, int], name: str) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "export", detail=f"/shared/{name}")
        await easel.compare(pilot)


async def test_export_history(app: ConsoleApp, aws: Night, easel: Easel, size: tuple[int, int]) -> None:
    aws.put("/shared/network/vpc-id", f"vpc-0fedcba9876543210 {HOSTILE}")
    async with app.run_test(size=size) as pilot:
        await go(pilot, "export", detail="/shared/network/vpc-id")
        await easel.settled(pilot)
        screen = app.screen
        assert isinstance(screen, ExportScreen)
        screen.show_pane("history")
        await pilot.press("j", "d")
        await easel.compare(pilot)


async def test_export_unmasked(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "exports")
        await come(pilot, lambda: is_checked(app))
        await easel.settled(pilot)
        app.screen.query_one("#exports", Rows).move_to("/shared/monitoring/alert-webhook-url")
        await pilot.press("u")
        await shown(pilot, "The journal records")
        await easel.compare(pilot)


async def test_export_written_by_hand(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "export", detail="/shared/kms/s3-key-arn")
        await easel.settled(pilot)
        await pilot.press("W")
        await shown(pilot, "by hand")
        await easel.compare(pilot)
