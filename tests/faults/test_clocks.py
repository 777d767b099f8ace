"""The time of day jumps, or the machine sleeps for an hour, in each step of a rollback: nothing fails for it, nothing is sent
twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from infraconsole.engine.catalogue import runbook
from tests.faults.conftest import Stage

pytestmark = pytest.mark.slow

JUMPS = ("wall=3600", "wall=-600", "asleep=3600")
STOPPING = ("stop-in-flight", "settle")
WHERE = [f"step-started:{step.id}" for step in runbook("ecs-rollback").steps if step.id not in STOPPING]
INSIDE = [f"{kind}:update" for kind in ("probed", "gate-answered", "call-intended", "call-done")] + ["progress:watch"]


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("where", [*WHERE, *INSIDE])
def test_a_jump_in_a_rollback(shared: Stage, monkeypatch: pytest.MonkeyPatch, where: str, jump: str) -> None:
    stage = shared
    target = stage.next_target()
    revision = "6" if stage.current(*target) != 6 else "5"
    run = stage.begin(monkeypatch, *target, kill=f"jump:{where}", jump=jump, revision=revision)
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService", accepted=False)) == 1


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("where", ["call-intended:stop-in-flight", "progress:settle", "step-finished:settle"])
def test_a_jump_around_a_stop(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, where: str, jump: str
) -> None:
    stage = stage_factory("never-stable", factor=60.0)
    run = stage.begin(
        monkeypatch, "fileflow", "prod", kill=f"jump:{where}", jump=jump, in_flight="stop-first", revision="5"
    )
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("StopServiceDeployment", accepted=False)) == 1
    assert len(stage.calls("UpdateService", accepted=False)) == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_while_a_lost_answer_is_looked_for(shared: Stage, monkeypatch: pytest.MonkeyPatch, jump: str) -> None:
    """The call lands while it is looked for: an hour earlier or later by the wall, it is found and not sent again."""
    stage = shared
    target = stage.next_target()
    stage.world.fault("delay", operation="UpdateService", seconds=2.0, count=1)
    try:
        revision = "6" if stage.current(*target) != 6 else "5"
        run = stage.begin(
            monkeypatch, *target, kill="jump:call-failed:update", jump=jump, timeout_seconds=1.0, revision=revision
        )
        record = stage.until_finished(run)
    finally:
        stage.world.clear_faults()
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService")) == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_between_two_executors(shared: Stage, monkeypatch: pytest.MonkeyPatch, jump: str) -> None:
    """Killed with the call under way, and resumed by one whose clock is off."""
    stage = shared
    target = stage.next_target()
    stage.world.fault("delay", operation="UpdateService", seconds=2.0, count=1)
    try:
        run = stage.begin(monkeypatch, *target, revision="6" if stage.current(*target) != 6 else "5")
        stage.until(lambda: stage.calls("UpdateService", accepted=False), "UpdateService to arrive")
        stage.kill_executor(run)
        stage.resume_with(monkeypatch, run, "jump:run-started:", jump)
        record = stage.until_finished(run)
    finally:
        stage.world.clear_faults()
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService")) == 1


def test_what_was_overtaken_while_the_executor_stood_still_right_before_the_call_is_not_sent(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its intent is on the disk, and it is held there, as by a suspended process, while somebody else updates the service."""
    stage = stage_factory("healthy", factor=120.0)
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="hold:call-intended:update", revision="5")
    stage.until(lambda: "call-intended" in stage.kinds(run), "the intent")
    stage.somebody_else_updates("fileflow", "prod", 6)
    time.sleep(2.5)
    (stage.folder / "go").touch()
    record = stage.until_finished(run)
    assert record.outcome == "failed"
    assert "is not what was looked at any more" in record.ending
    assert [call["parameters"]["taskDefinition"] for call in stage.calls("UpdateService", accepted=False)] == [
        "fileflow-prod:6"
    ]
    assert not record.changed
