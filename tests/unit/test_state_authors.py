"""Who stored the versions that a gate offers: what is known in time, and no waiting for the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from infraconsole.aws.cloudtrail import Author, Trail
from infraconsole.aws.s3 import StoredObject
from infraconsole.errors import AccessDenied
from infraconsole.runbooks import state_authors
from infraconsole.runbooks.state_authors import authors

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
KIM = Author("kim (Admin)", "arn:aws:sts::1:assumed-role/Admin/kim", "203.0.113.7", "HashiCorp Terraform/1.11.4", AT)
DENIED = AccessDenied("cloudtrail:DescribeTrails is not allowed.", operation="cloudtrail:DescribeTrails")


def version(number: int) -> StoredObject:
    return StoredObject("states", "web", f"v{number}", 1, AT, "")


class Logs:
    """A CloudTrail whose logs of `v9` take for ever."""

    trails_found: tuple[Trail, ...] = (Trail("all", "arn", "logs", "", "ap-northeast-2", error=DENIED),)
    error: Exception | None = None

    def __init__(self, _: Any) -> None:
        self.asked: list[str] = []

    def trails(self) -> tuple[Trail, ...]:
        if self.error is not None:
            raise self.error
        return self.trails_found

    def author_of(self, _: Any, account: str, region: str, version: StoredObject) -> Author | None:
        assert (account, region) == ("123456789012", "ap-northeast-2")
        if version.version_id == "v9":
            released.wait(20)
        return None if version.version_id == "v2" else KIM


released = threading.Event()


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Logs]]:
    class Fresh(Logs): ...

    released.clear()
    monkeypatch.setattr(state_authors, "CloudTrail", Fresh)
    monkeypatch.setattr(state_authors, "SECONDS", 0.5)
    yield Fresh
    released.set()


@pytest.fixture
def context() -> Any:
    notes: list[str] = []
    target = SimpleNamespace(region="ap-northeast-2", account="123456789012")
    return SimpleNamespace(reads=None, target=target, note=notes.append, notes=notes)


def test_those_that_are_known_by_version(context: Any) -> None:
    assert authors(context, [version(1), version(2)]) == {"v1": "kim (Admin), Terraform 1.11.4"}
    assert not context.notes


def test_what_takes_for_ever_is_left_out_and_holds_up_nothing(context: Any) -> None:
    began = time.monotonic()
    found = authors(context, [version(9), version(1), version(3)])
    assert sorted(found) == ["v1", "v3"]
    assert time.monotonic() - began < 10


def test_without_a_trail_nothing_is_said(context: Any, logs: type[Logs]) -> None:
    logs.trails_found = ()
    assert authors(context, [version(1)]) == {}
    assert not context.notes


def test_a_refusal_is_a_note_and_no_failure(context: Any, logs: type[Logs]) -> None:
    logs.error = DENIED
    assert authors(context, [version(1)]) == {}
    assert context.notes == ["Who stored the versions cannot be told: cloudtrail:DescribeTrails is not allowed."]
