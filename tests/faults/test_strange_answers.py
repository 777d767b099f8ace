"""AWS answers with something that is no answer, or one that never ends: it is looked up, nothing is done twice, and an interrupt
is heard."""

from __future__ import annotations

import time

import pytest

from infraconsole.engine import launch
from infraconsole.engine.event import Kind
from tests.faults.conftest import Stage

pytestmark = pytest.mark.slow

GARBLED = ["answer-list", "answer-null", "answer-empty"]
READS = ["DescribeServices", "ListServiceDeployments", "DescribeTaskDefinition", "DescribeImages", "ListTasks"]


def other_revision(stage: Stage, target: tuple[str, str]) -> str:
    return "6" if stage.current(*target) != 6 else "5"


@pytest.mark.parametrize("action", [*GARBLED, "drip"])
def test_a_change_with_a_strange_answer_is_looked_up(
    shared: Stage, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    stage = shared
    target = stage.next_target()
    revision = other_revision(stage, target)
    monkeypatch.setenv("INFRACONSOLE_TEST_WHOLE", "3")
    stage.world.fault(action, operation="UpdateService", count=1)
    try:
        run = stage.begin(monkeypatch, *target, timeout_seconds=5.0, revision=revision)
        record = stage.until_finished(run)
    finally:
        stage.world.clear_faults()
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService", accepted=False)) == 1
    (failed,) = [event for event in stage.journal.events(run) if event.kind == Kind.CALL_FAILED]
    assert failed.data["maybe_done"]
    assert action == "drip" or "something else than documented" in failed.data["error"]


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("action", GARBLED)
def test_a_read_with_a_strange_answer_is_asked_again(
    shared: Stage, monkeypatch: pytest.MonkeyPatch, action: str, operation: str
) -> None:
    stage = shared
    target = stage.next_target()
    revision = other_revision(stage, target)
    stage.world.fault(action, operation=operation, count=2)
    try:
        run = stage.begin(monkeypatch, *target, revision=revision)
        record = stage.until_finished(run)
    finally:
        stage.world.clear_faults()
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService", accepted=False)) == 1


def test_an_interrupt_is_heard_while_an_answer_drips(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = shared
    target = stage.next_target()
    revision = other_revision(stage, target)
    stage.world.fault("drip", operation="DescribeServices", nth=1)
    try:
        run = stage.begin(monkeypatch, *target, revision=revision)
        deadline = time.monotonic() + 60
        while not stage.calls("DescribeServices", accepted=False):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)
        stage.journal.ask(run, "interrupt", "kim", {"level": 1})
        began = time.monotonic()
        record = stage.until_finished(run)
        assert record.outcome == "interrupted"
        assert time.monotonic() - began < 30, "long before the call's own time is over"
        assert stage.calls("UpdateService", accepted=False) == []
    finally:
        stage.world.clear_faults()
    launch.resume(stage.journal, run, stage.config)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService", accepted=False)) == 1


def test_an_interrupt_is_heard_while_the_answer_to_a_change_drips(
    shared: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is given up, and what the call did is looked up when the run is resumed."""
    stage = shared
    target = stage.next_target()
    revision = other_revision(stage, target)
    stage.world.fault("drip", operation="UpdateService", count=1)
    try:
        run = stage.begin(monkeypatch, *target, revision=revision)
        deadline = time.monotonic() + 60
        while not stage.calls("UpdateService", accepted=False):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stage.journal.ask(run, "interrupt", "kim", {"level": 1})
        began = time.monotonic()
        assert stage.until_finished(run).outcome == "interrupted"
        assert time.monotonic() - began < 40
    finally:
        stage.world.clear_faults()
    launch.resume(stage.journal, run, stage.config)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService", accepted=False)) == 1
