"""What is made of an export that is read back: one that lags is waited for, one that was made again is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from infraconsole.aws.ssm import SECURE, Parameter
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import NotVisibleYet, StepFailed
from infraconsole.runbooks import export_put

NAME = "/shared/network/vpc-id"
LOOKED = datetime(2026, 11, 30, 3, tzinfo=UTC)


def parameter(version: int, value: str | None, *, after_minutes: float, kind: str = "String") -> Parameter:
    return Parameter(NAME, kind, value, version, LOOKED + timedelta(minutes=after_minutes), "arn")


def context(seconds: float = 0.0) -> StepContext:
    results = {
        "look": {"version": 4, "modified": LOOKED.isoformat(), "owner": ""},
        "write": {"version": 5, "changed": True},
    }
    found = SimpleNamespace(
        inputs={"name": NAME, "value": "vpc-1", "type": "String"},
        result=results.__getitem__,
        config=SimpleNamespace(engine=SimpleNamespace(visible_seconds=seconds, poll_seconds=0.0)),
        note=lambda *_, **__: None,
        progress=lambda _: None,
        wait=lambda _: None,
    )
    return cast(StepContext, found)


def shown(monkeypatch: pytest.MonkeyPatch, *answers: Parameter | None) -> None:
    left = list(answers)
    monkeypatch.setattr(export_put, "_now", lambda _: left.pop(0) if len(left) > 1 else left[0])


LAGGING = [None, parameter(4, "before", after_minutes=0)]


@pytest.mark.parametrize("before", LAGGING)
def test_what_was_written_is_shown_late(monkeypatch: pytest.MonkeyPatch, before: Parameter | None) -> None:
    shown(monkeypatch, before, before, parameter(5, "vpc-1", after_minutes=1))
    assert export_put.Verify().act(context(60.0)) == {"version": 5}


@pytest.mark.parametrize("now", LAGGING)
def test_what_is_never_shown_can_be_looked_for_later(monkeypatch: pytest.MonkeyPatch, now: Parameter | None) -> None:
    shown(monkeypatch, now)
    with pytest.raises(NotVisibleYet, match=f"version 5 of {NAME}"):
        export_put.Verify().act(context())


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        (parameter(1, "theirs", after_minutes=2), "It says 'theirs', version 1."),
        (parameter(1, None, after_minutes=2, kind=SECURE), "It is a SecureString now, version 1."),
        (parameter(6, "theirs", after_minutes=2), "It says 'theirs', version 6."),
    ],
)
def test_what_somebody_made_again_is_said_at_once(monkeypatch: pytest.MonkeyPatch, now: Parameter, cause: str) -> None:
    shown(monkeypatch, now)
    with pytest.raises(StepFailed) as caught:
        export_put.Verify().act(context())
    assert caught.value.cause == cause
