"""A module that all environments stand on goes by prod's rules, whichever environment is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraconsole.config import Config, parse


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for file in ("network/main.tf", "ecr/fileflow/main.tf", "rds/main.tf", "modules/sqs/main.tf"):
        (tmp_path / "infra" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "infra" / file).write_text("")
    (tmp_path / "infra/rds/environments/dev").mkdir(parents=True)
    environments = {
        "dev": {"account": "111111111111", "state_bucket": "dev-state"},
        "prod": {"account": "222222222222", "state_bucket": "prod-state"},
    }
    document = {
        "region": "ap-northeast-2",
        "infrastructure": {"path": "infra"},
        "services": {"fileflow": {}},
        "environments": environments,
    }
    return parse(document, tmp_path / "infraconsole.toml")


def test_the_modules_are_known_in_their_order(config: Config) -> None:
    assert config.modules() == ("network", "ecr/fileflow", "rds")


@pytest.mark.parametrize("module", ["network", "ecr/fileflow"])
def test_what_all_share_is_prods_whoever_asks(config: Config, module: str) -> None:
    target = config.target(module, "dev")
    assert (target.environment, target.account, target.is_module) == ("prod", "222222222222", True)
    assert target == config.target(module, "prod"), "one lock, one journal, one policy"
    assert target.name == module
    assert "/" not in target.key
    assert config.module_state_of(module) == ("prod-state", f"{module}/terraform.tfstate")


def test_what_each_environment_has_stays_its_own(config: Config) -> None:
    target = config.target("rds", "dev")
    assert (target.environment, target.account) == ("dev", "111111111111")
    assert config.module_state_of("rds", "dev") == ("dev-state", "rds/terraform.tfstate")
    assert config.target("fileflow", "dev").name == "fileflow-dev"
