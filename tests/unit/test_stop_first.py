"""What is in flight and is to be stopped first, seen through two lists that may be of different age."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, NotVisibleYet
from infraconsole.runbooks import seen
from tests.unit.test_deployed import Spoken, service

IN_FLIGHT = {"serviceDeploymentArn": "arn:dep/42", "status": "IN_PROGRESS", "targetServiceRevisionArn": "42"}


class History:
    """Shows the deployment in flight only after so many looks."""

    def __init__(self, after: int) -> None:
        self.looks = 0
        self.after = after

    def __call__(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.looks += 1
        return [{"serviceDeployments": [IN_FLIGHT] if self.looks > self.after else []}]


def look(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    history: object,
    *,
    state: str = "IN_PROGRESS",
    how: str = "stop-first",
) -> list[str] | None:
    """The statuses in the list that is acted on."""
    monkeypatch.setattr(seen, "newest", lambda _: None)
    rolling = service(42)
    rolling["deployments"][0]["rolloutState"] = state
    spoken = Spoken(folder, rolling, **{"in-flight": how})
    spoken.reads.answers["ListServiceDeployments"] = history
    deployments = seen.service_and_deployments(cast(StepContext, spoken))[1]
    return None if deployments is None else [known.status for known in deployments]


def test_the_list_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, History(after=3)) == ["IN_PROGRESS"]


def test_a_list_that_never_shows_it_ends_resumable_and_never_as_nothing_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotVisibleYet, match="in flight in its list of deployments"):
        look(tmp_path, monkeypatch, History(after=10**9))


@pytest.mark.parametrize(("state", "how"), [("IN_PROGRESS", "supersede"), ("FAILED", "stop-first")])
def test_nobody_waits_where_nothing_is_to_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, how: str
) -> None:
    history = History(after=10**9)
    assert look(tmp_path, monkeypatch, history, state=state, how=how) == []
    assert history.looks == 1


def test_a_list_that_may_not_be_read_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = [AccessDenied("denied", operation="ecs:ListServiceDeployments")]
    assert look(tmp_path, monkeypatch, denied) is None
