"""What a deploy of a module verifies: its exports, once AWS shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.engine.runbook import StepContext
from infraconsole.errors import NotVisibleYet, StepFailed
from infraconsole.runbooks import deploy
from tests.unit.test_aws_services import FakeAccess
from tests.unit.test_deployed import Spoken

NAMES = ("/shared/network/vpc-id", "/shared/network/subnets")
STATE = {
    "version": 4,
    "serial": 1,
    "resources": [
        {"mode": "managed", "type": "aws_ssm_parameter", "name": "e", "instances": [{"attributes": {"name": NAMES[0]}}]}
    ],
}


class Store:
    """Shows the first export only after so many looks."""

    def __init__(self, after: int) -> None:
        self.looks = 0
        self.after = after

    def __call__(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.looks += 1
        shown = [name for name in asked["Names"] if name == NAMES[0] and self.looks > self.after]
        found = [{"Name": name, "Type": "String", "Value": "vpc-1", "Version": 1} for name in shown]
        return {"Parameters": found, "InvalidParameters": sorted(set(asked["Names"]) - set(shown))}


def shown(monkeypatch: pytest.MonkeyPatch, folder: Path, store: Store, *names: str) -> list[str]:
    monkeypatch.setattr(deploy, "root_of", lambda _: None)
    monkeypatch.setattr(deploy, "stored_state", lambda *_: json.dumps(STATE).encode())
    spoken = Spoken(folder, None)
    spoken.reads = FakeAccess(GetParameters=store)
    return [parameter.name for parameter in deploy._shown(cast(StepContext, spoken), names)]


def test_an_export_that_aws_does_not_show_yet_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(after=3)
    assert shown(monkeypatch, tmp_path, store, NAMES[0]) == [NAMES[0]]
    assert store.looks == 4


def test_an_export_that_aws_never_shows_leaves_the_run_resumable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotVisibleYet, match="/shared/network/vpc-id, which the stored state holds"):
        shown(monkeypatch, tmp_path, Store(after=10**9), NAMES[0])


def test_an_export_that_the_module_has_not_made_is_a_failure_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(after=0)
    with pytest.raises(StepFailed, match="should export /shared/network/subnets, and it is not there"):
        shown(monkeypatch, tmp_path, store, *NAMES)
    assert store.looks == 1
