"""AWS answers badly, in each step: the run waits, backs off or fails in AWS's words; nothing is lost and nothing done twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole.engine.catalogue import runbook
from infraconsole.engine.journal import Journal
from tests.faults.conftest import ENGINE, Stage

pytestmark = pytest.mark.slow

READS = [
    ("sts", "GetCallerIdentity"),
    ("ecs", "DescribeServices"),
    ("ecs", "ListServiceDeployments"),
    ("ecs", "DescribeServiceRevisions"),
    ("ecs", "ListTaskDefinitions"),
    ("ecs", "DescribeTaskDefinition"),
    ("ecr", "DescribeImages"),
    ("ecs", "ListTasks"),
    ("ecs", "DescribeTasks"),
    ("elbv2", "DescribeTargetHealth"),
    ("elbv2", "DescribeTargetGroups"),
]


DROPS = itertools.cycle(("drop-before", "drop-after"))


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [(*read, action) for read in READS for action in ("throttle", "error500", next(DROPS))],
)
def test_a_read_that_fails_for_a_while(
    shared: Stage, monkeypatch: pytest.MonkeyPatch, service: str, operation: str, action: str
) -> None:
    stage = shared
    target = stage.next_target()
    stage.world.fault(action, service=service, operation=operation, count=2)
    try:
        run = stage.begin(monkeypatch, *target, revision="6" if stage.current(*target) != 6 else "5")
        record = stage.until_finished(run)
        assert (record.outcome, record.ending) == ("done", "")
        assert len(stage.calls("UpdateService")) == 1
    finally:
        stage.world.clear_faults()


@pytest.mark.parametrize(("service", "operation"), [*READS, ("elbv2", "DescribeListeners")])
def test_a_read_that_never_answers_is_given_up_and_tried_again(
    shared: Stage, monkeypatch: pytest.MonkeyPatch, service: str, operation: str
) -> None:
    stage = shared
    target = stage.next_target()
    stage.world.fault("delay", service=service, operation=operation, seconds=2.5, count=1)
    try:
        revision = "6" if stage.current(*target) != 6 else "5"
        run = stage.begin(monkeypatch, *target, timeout_seconds=1.0, revision=revision)
        assert stage.until_finished(run).outcome == "done"
        assert len(stage.calls("UpdateService")) == 1
    finally:
        stage.world.clear_faults()


def test_a_change_whose_answer_is_late_is_looked_up(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = shared
    target = stage.next_target()
    stage.world.fault("delay", operation="UpdateService", seconds=2.0, count=1)
    try:
        revision = "6" if stage.current(*target) != 6 else "5"
        run = stage.begin(monkeypatch, *target, timeout_seconds=1.0, revision=revision)
        record = stage.until_finished(run)
        assert (record.outcome, record.ending) == ("done", "")
        assert len(stage.calls("UpdateService", accepted=False)) == 1
    finally:
        stage.world.clear_faults()


@pytest.mark.parametrize(("action", "sent"), [("drop-after", 1), ("drop-before", 2), ("error500", 2), ("throttle", 3)])
def test_a_change_that_fails(shared: Stage, monkeypatch: pytest.MonkeyPatch, action: str, sent: int) -> None:
    """Whatever came back, AWS carries UpdateService out once: it is looked up before it is sent again."""
    stage = shared
    target = stage.next_target()
    stage.world.fault(action, operation="UpdateService", count=2 if action == "throttle" else 1)
    try:
        run = stage.begin(monkeypatch, *target, revision="6" if stage.current(*target) != 6 else "5")
        assert stage.until_finished(run).outcome == "done"
        assert len(stage.calls("UpdateService")) == 1
        assert len(stage.calls("UpdateService", accepted=False)) == sent
    finally:
        stage.world.clear_faults()


def test_a_change_that_is_denied_fails_in_aws_s_words(shared: Stage) -> None:
    stage = shared
    service, environment = stage.next_target()
    stage.world.fault("access-denied", operation="UpdateService")
    try:
        done = stage.console(*stage.rollback(service, environment))
    finally:
        stage.world.clear_faults()
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert last["outcome"] == "failed"
    assert "ecs:UpdateService" in last["cause"]
    assert "not authorized" in last["cause"]


STEPS = [step.id for step in runbook("ecs-rollback").steps]


@pytest.mark.parametrize("step", STEPS)
def test_credentials_that_expire_in_a_step_are_waited_for(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The executor stands still behind the step's first event; when it goes on, its credentials are worth nothing."""
    stage = stage_factory("never-stable", factor=120.0)
    run = stage.begin(
        monkeypatch, "fileflow", "prod", kill=f"hold:step-started:{step}", in_flight="stop-first", revision="5"
    )
    stage.until(lambda: stage.record(run).current == step, f"step {step}")
    stage.world.expire()
    (stage.folder / "go").touch()
    stage.until(lambda: stage.record(run).waiting or stage.record(run).finished, "the run to wait for credentials")
    record = stage.record(run)
    asks = (
        STEPS[STEPS.index(step) + 1] if step == "register-copy" else step
    )  # it has nothing to copy, and asks AWS nothing
    assert (record.current, bool(record.waiting)) == (asks, True), record
    stage.world.renew()
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("StopServiceDeployment")) == 1
    assert len(stage.calls("UpdateService")) == 1
    assert "waiting-over" in stage.kinds(run)


@pytest.mark.parametrize("operation", ["StopServiceDeployment", "UpdateService"])
def test_credentials_that_expire_at_the_changing_call_itself(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    stage = stage_factory("never-stable", factor=120.0)
    stage.world.fault("expired", operation=operation, count=1)
    run = stage.begin(monkeypatch, "fileflow", "prod", in_flight="stop-first", revision="5")
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert "waiting-over" in stage.kinds(run)
    assert len(stage.calls("StopServiceDeployment")) == 1
    assert len(stage.calls("UpdateService")) == 1


def test_expired_credentials_before_the_run_are_a_prerequisite(stage_factory: Callable[..., Stage]) -> None:
    stage = stage_factory()
    stage.world.expire()
    done = stage.console(*stage.rollback())
    assert done.returncode == 5
    assert "expired" in done.stderr
    assert stage.journal.run_ids() == []


def test_a_revision_that_never_gets_stable_fails_with_the_reasons(stage_factory: Callable[..., Stage]) -> None:
    stage = stage_factory("healthy", factor=120.0)
    settings = Path(stage.environ["INFRACONSOLE_CONFIG"])
    settings.write_text(
        settings.read_text().replace(ENGINE, ENGINE.replace("watch_minutes = 0.5", "watch_minutes = 0.1"))
    )
    tag = stage.tag_of("fileflow", "prod", 5)
    stage.world.set_behaviour("fileflow-prod", tag, "crash", crash_after=5.0)
    done = stage.console(*stage.rollback("fileflow", "prod", "--set", "revision=5"))
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert "not stable" in last["title"]
    assert "Essential container in task exited" in last["cause"]


def test_a_circuit_breaker_that_rolled_back_is_a_failure(stage_factory: Callable[..., Stage]) -> None:
    stage = stage_factory("circuit-breaker", factor=120.0)
    tag = stage.tag_of("fileflow", "prod", 5)
    stage.world.set_behaviour("fileflow-prod", tag, "crash", crash_after=5.0)
    done = stage.console(*stage.rollback("fileflow", "prod", "--set", "revision=5"))
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1, done.stdout[-2000:]
    assert last["outcome"] == "failed"
    assert stage.current("fileflow", "prod") != 5


def test_a_dry_run_makes_no_changing_call(shared: Stage) -> None:
    stage = shared
    service, environment = stage.next_target()
    done = stage.console(*stage.rollback(service, environment, "--dry-run"))
    assert done.returncode == 0, done.stderr
    reads = ("Describe", "List", "Get", "BatchGet")
    assert [
        call["operation"] for call in stage.world.calls(since=stage.seen) if not call["operation"].startswith(reads)
    ] == []


@pytest.mark.parametrize("service", ["ecs", "logs", "cloudwatch"])
def test_hostile_text_from_aws_never_reaches_the_terminal_raw(shared: Stage, service: str) -> None:
    stage = shared
    target = stage.next_target()
    stage.world.fault("hostile", service=service)
    try:
        done = subprocess.run(
            stage.command("run", "ecs-rollback", "--service", target[0], "--env", target[1], "--dry-run"),
            env=stage.environ,
            capture_output=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    finally:
        stage.world.clear_faults()
    shown = (done.stdout + done.stderr).decode()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "‮" not in shown


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="a small file system can be mounted by root only"
)
def test_a_full_disk_stops_before_the_change_and_the_run_goes_on_when_there_is_room(
    stage_factory: Callable[..., Stage], tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        stage = stage_factory("bad-image", factor=120.0)
        stage.environ["INFRACONSOLE_STATE"] = str(small / "state")
        stage.world.fault("delay", operation="ListServiceDeployments", seconds=2, count=1)
        with subprocess.Popen(
            stage.command(*stage.rollback()),
            env=stage.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        ) as view:
            stage.until(lambda: stage.calls("ListServiceDeployments", accepted=False), "the first step")
            ballast = os.open(small / "ballast", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while True:
                    os.write(ballast, b"x" * 4096)
            os.close(ballast)
            stage.until(
                lambda: stage.world.calls("ecs", "DescribeTaskDefinition"), "the run to go on reading", seconds=20
            )
            assert stage.calls("UpdateService", accepted=False) == []
            (small / "ballast").unlink()
            assert view.wait(timeout=90) == 0
        assert len(stage.calls("UpdateService")) == 1
        with Journal(small / "state") as journal:
            assert journal.verify().problems == ()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
