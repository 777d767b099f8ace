"""Anything may be killed at any moment: nothing is lost, and UpdateService reaches AWS once for every confirmed rollback."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from infraconsole.engine.catalogue import runbook
from tests.faults.conftest import Stage

pytestmark = pytest.mark.slow

STEPS = [step.id for step in runbook("ecs-rollback").steps]
BOUNDARIES = [
    f"{when}:{kind}:{step}"
    for step in STEPS
    for when, kind in (("after", "step-started"), ("before", "step-finished"), ("after", "step-finished"))
]
INSIDE = [
    "before:run-started:",
    "after:run-started:",
    "before:gate-answered:update",
    "after:gate-answered:update",
    "before:call-intended:update",
    "after:call-intended:update",
    "before:call-done:update",
    "after:call-done:update",
    "before:run-finished:",
]


@pytest.fixture
def stage(stage_factory: Callable[..., Stage]) -> Stage:
    return stage_factory("bad-image", factor=120.0)


@pytest.mark.parametrize("kill", [*BOUNDARIES, *INSIDE])
def test_executor_killed(shared: Stage, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    stage = shared
    try:
        run = stage.begin(monkeypatch, *stage.next_target(), kill=kill)
    except Exception:
        if kill != "before:run-started:":
            raise
        run = stage.journal.run_ids()[0]
    stage.until_gone(run)
    assert not stage.record(run).finished
    assert stage.record(run).resumable
    stage.resume(run)
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService")) == 1
    assert [step.state.value for step in record.steps] == ["done"] * len(STEPS)


STOPPING = [
    f"{when}:{kind}:{step}"
    for step in ("stop-in-flight", "settle")
    for when, kind in (("after", "step-started"), ("before", "step-finished"), ("after", "step-finished"))
] + [f"{when}:{kind}:stop-in-flight" for kind in ("call-intended", "call-done") for when in ("before", "after")]


@pytest.mark.parametrize("kill", STOPPING)
def test_executor_killed_around_a_stop(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, kill: str
) -> None:
    stage = stage_factory("never-stable", factor=120.0)
    run = stage.begin(monkeypatch, "fileflow", "prod", kill=kill, in_flight="stop-first", revision="5")
    stage.until_gone(run)
    assert stage.record(run).resumable
    stage.resume(run)
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("StopServiceDeployment", accepted=False)) == 1
    assert len(stage.calls("UpdateService", accepted=False)) == 1
    assert stage.current("fileflow", "prod") == 5


def test_killed_after_the_stop_was_sent_and_before_its_answer(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_factory("never-stable", factor=120.0)
    stage.world.fault("delay", operation="StopServiceDeployment", seconds=1.5, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod", in_flight="stop-first", revision="5")
    stage.until(lambda: stage.calls("StopServiceDeployment", accepted=False), "the stop to arrive")
    stage.kill_executor(run)
    assert stage.calls("StopServiceDeployment") == []
    stage.resume(run)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("StopServiceDeployment", accepted=False)) == 1
    assert len(stage.calls("UpdateService")) == 1


def test_killed_after_update_was_sent_and_before_its_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault holds the call back; while AWS has it, the executor dies."""
    stage.world.fault("delay", operation="UpdateService", seconds=1.5, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.calls("UpdateService", accepted=False), "UpdateService to arrive")
    stage.kill_executor(run)
    assert stage.calls("UpdateService") == []
    stage.resume(run)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService", accepted=False)) == 1


def test_a_call_that_lands_while_it_is_looked_for_is_seen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS carries the call out while the resumed run asks for the deployments."""
    stage.world.fault("delay", operation="UpdateService", seconds=2.5, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.calls("UpdateService", accepted=False), "UpdateService to arrive")
    stage.kill_executor(run)
    stage.world.fault("delay", operation="ListServiceDeployments", seconds=3.0, count=1)
    stage.resume(run)
    record = stage.until_finished(run)
    assert record.outcome == "done", record.ending
    assert len(stage.calls("UpdateService", accepted=False)) == 1


def test_view_killed_and_the_run_goes_on(stage: Stage) -> None:
    view = subprocess.Popen(
        stage.command(*stage.rollback()), env=stage.environ, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert view.stdout is not None
    view.stdout.readline()
    view.kill()
    view.wait(timeout=10)
    view.stdout.close()
    run = stage.journal.run_ids()[0]
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService")) == 1


def test_view_and_executor_killed(stage: Stage) -> None:
    view = subprocess.Popen(
        stage.command(*stage.rollback()), env=stage.environ, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    stage.until(lambda: stage.calls("UpdateService"), "UpdateService")
    run = stage.journal.run_ids()[0]
    stage.kill_executor(run)
    view.kill()
    view.wait(timeout=10)
    done = stage.console("resume", run, "--json")
    assert done.returncode == 0, done.stderr
    assert len(stage.calls("UpdateService")) == 1


def test_follower_says_so_when_the_executor_dies(stage: Stage) -> None:
    with subprocess.Popen(
        stage.command(*stage.rollback()),
        env=stage.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as view:
        stage.until(lambda: stage.calls("UpdateService"), "UpdateService")
        run = stage.journal.run_ids()[0]
        stage.kill_executor(run)
        _, stderr = view.communicate(timeout=20)
    assert view.returncode == 4
    assert f"resume {run}".encode() in stderr


def test_hangup_of_the_terminal_reaches_no_executor(stage: Stage) -> None:
    """The view runs on a terminal of its own; when that goes, its session gets SIGHUP."""
    leader, follower = pty.openpty()
    view = subprocess.Popen(
        stage.command(*stage.rollback()),
        env=stage.environ,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    stage.until(lambda: stage.journal.run_ids(), "the run")
    run = stage.journal.run_ids()[0]
    stage.until(lambda: stage.executor(run), "the executor")
    os.close(leader)
    os.killpg(view.pid, signal.SIGHUP)
    view.wait(timeout=10)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService")) == 1


def test_interrupted_while_watching_and_resumed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.world.set_factor(1.0)  # the rollout is not over before a console has started
    run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.record(run).current == "watch", "the watch")
    assert stage.console("interrupt", run).returncode == 0
    record = stage.until_finished(run)
    assert (record.outcome, record.exit_code) == ("interrupted", 4)
    assert "interrupt-requested" in stage.kinds(run)
    stage.until_gone(run)
    stage.world.set_factor(60.0)
    assert stage.console("resume", run, "--json").returncode == 0
    assert len(stage.calls("UpdateService")) == 1


def test_two_executors_on_one_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod")
    second = subprocess.run(
        (sys.executable, "-m", "infraconsole.engine.executor", str(stage.folder), run),
        env=stage.environ,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert b"Another executor" in second.stderr
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService")) == 1


def test_two_runs_on_one_target(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.world.fault("delay", operation="UpdateService", seconds=3, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.executor(run), "the executor")
    other = stage.console(*stage.rollback())
    assert other.returncode == 5
    assert f"run {run} of kim" in other.stderr
    elsewhere = stage.console(*stage.rollback("authhub", "dev"))
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService")) == 2


def test_an_earlier_run_is_not_resumed_over_a_later_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="after:step-finished:choose")
    stage.until_gone(run)
    assert stage.console(*stage.rollback()).returncode == 0
    resumed = stage.console("resume", run, "--json")
    assert resumed.returncode == 5
    assert "came after it" in resumed.stderr
    assert len(stage.calls("UpdateService")) == 1


def test_insisting_ends_an_executor_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.world.fault("delay", operation="UpdateService", seconds=20, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.calls("UpdateService", accepted=False), "UpdateService to arrive")
    began = time.monotonic()
    assert stage.console("interrupt", run, "--insist", run).returncode == 0
    stage.until_gone(run)
    assert time.monotonic() - began < 15
    stage.until(lambda: stage.calls("UpdateService"), "AWS to carry it out all the same")
    stage.resume(run)
    assert stage.until_finished(run).outcome == "done"
    assert len(stage.calls("UpdateService", accepted=False)) == 1
