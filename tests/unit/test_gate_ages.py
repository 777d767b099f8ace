"""What a gate shows does not change by the passing of time alone: an answer would not hold any more, with nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole.config import EnvironmentSettings
from infraconsole.engine import executor
from infraconsole.engine.gate import Gate
from infraconsole.runbooks import ecs_rollback, state_unlock
from infraconsole.terraform.state import LockInfo
from tests.unit.test_rollback_choices import NOW, Account

BACK = {"events": [{"id": "1", "createdAt": NOW - timedelta(minutes=5),
                    "message": "(service web-dev-service) rolling back to deployment ecs-svc/1."}]}  # fmt: skip


def prod(account: Account) -> Account:
    settings = EnvironmentSettings("prod", rollback_approvers=("cto",))
    account.config.environment = lambda _: settings
    account.interactive = True
    return account


def shown(gates: Sequence[Gate]) -> list[str]:
    return [executor._shown(gate) for gate in gates]


def rolling_back(folder: Path, more: dict[str, Any], later: timedelta) -> list[str]:
    account = prod(Account(folder, 3, good=[1, 2]))
    account.more = more
    account.now = lambda: NOW + later  # type: ignore[method-assign]
    if more:
        account.reads.answers["ListServiceDeployments"] = [{"serviceDeployments": []}]
        account.journal = {
            "": [{"task_definition": "arn:aws:ecs:ap-northeast-2:123456789012:task-definition/worker:2"}]
        }
    account.choose()
    gates = (*ecs_rollback.Choose().gates(account.context), *ecs_rollback.Update().gates(account.context))
    assert "web-dev-service runs" in gates[0].title or "ECS rolled back" in gates[0].title
    assert "reason" in [gate.id for gate in gates]
    return shown(gates)


@pytest.mark.parametrize("more", [{}, BACK], ids=["healthy", "rolled-back"])
def test_of_a_rollback(tmp_path: Path, more: dict[str, Any]) -> None:
    assert rolling_back(tmp_path, more, timedelta()) == rolling_back(tmp_path, more, timedelta(minutes=7))


def test_of_taking_a_lock_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = LockInfo("l-1", "s", "OperationTypeApply", "lee@laptop", "1.11.0", NOW - timedelta(minutes=9), "")
    nothing: Callable[..., Any] = lambda *_: None  # noqa: E731
    monkeypatch.setattr(state_unlock, "_locks", lambda _: (lock,))
    for name in ("root_of", "own_holder", "taken_by"):
        monkeypatch.setattr(state_unlock, name, nothing)
    monkeypatch.setattr(state_unlock.Unlock, "commands", lambda *_: ())

    def taking(later: timedelta) -> list[str]:
        account = prod(Account(tmp_path, 1))
        account.now = lambda: NOW + later  # type: ignore[method-assign]
        account.results["look"] = state_unlock.Look().act(account.context)
        return shown(state_unlock.Unlock().gates(account.context))

    assert taking(timedelta()) == taking(timedelta(minutes=7))
