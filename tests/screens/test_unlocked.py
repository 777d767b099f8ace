"""A state that no lock protects, on the board and on the state's screen: seen without looking for it, with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.config import Config, parse
from infraconsole.engine.journal import Journal
from tests.screens.conftest import FakeAccess
from tests.screens.seen import text_of, until_seen

SENTENCE = "no lock protects the state"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """fileflow's dev is not locked; all else is."""
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "console"))
    root = tmp_path / "fileflow"
    for environment in ("dev", "prod"):
        (root / f"environments/{environment}").mkdir(parents=True)
        (root / f"environments/{environment}/terraform.tfvars").touch()
    (root / "main.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    environments = {
        "dev": {"state_bucket": "ryuqqq-dev-tfstate", "use_lockfile": False},
        "prod": {"state_bucket": "ryuqqq-prod-tfstate", "lock_table": "terraform-lock"},
    }
    return parse(
        {"region": "ap-northeast-2", "services": {"fileflow": {"path": str(root)}}, "environments": environments}, None
    )


@pytest.fixture
def aws() -> FakeAccess:
    access = FakeAccess()
    for environment, desired in (("dev", 1), ("prod", 3)):
        access.add("fileflow", environment, running=desired, desired=desired)
    return access


@pytest.fixture
def app(config: Config, journal: Journal, aws: FakeAccess) -> ConsoleApp:
    return ConsoleApp(config, journal, lambda _: aws, "woken")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_board_says_which_state_has_no_lock_and_what_to_do(
    app: ConsoleApp, size: tuple[int, int], tmp_path: Path
) -> None:
    async with app.run_test(size=size) as pilot:
        await until_seen(pilot, f"fileflow dev: {SENTENCE}")
        shown = " ".join(text_of(app).split())
        assert "Remove use_lockfile = false" in shown
        assert "fileflow prod: no lock" not in shown
        assert "should." not in shown, "nothing runs as it should while that stands"
        if size == (120, 40):
            await until_seen(pilot, "✗ no lock")
            await pilot.press("d")
            await until_seen(pilot, "use_lockfile is false in [environments.dev]")


async def test_the_state_s_screen_says_it_too(app: ConsoleApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, f"fileflow dev: {SENTENCE}")
        await pilot.press("t")
        await until_seen(pilot, "No lock protects the state")
