"""What is sent is what was shown: the world changes under a run, and the run notices before it sends anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole.aws.ecs import Ecs
from infraconsole.engine import locks
from infraconsole.engine.catalogue import runbook
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import FAILURE_GATE
from tests.faults.conftest import ENGINE, Stage
from tests.world.conftest import client

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(stage_factory: Callable[..., Stage]) -> Stage:
    return stage_factory("bad-image", factor=120.0)


def tightened(stage: Stage, old: str, new: str) -> None:
    settings = Path(stage.environ["INFRACONSOLE_CONFIG"])
    settings.write_text(settings.read_text().replace(ENGINE, ENGINE.replace(old, new)))


def test_a_colleague_s_deployment_is_not_overwritten_by_an_answer_to_an_older_question(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", by_hand=True, revision="6", in_flight="supersede")
    stage.answer(run, "in-flight", "supersede")
    stage.answer(run, "reason", "prod answers 503")
    shown = stage.until_gate(run, "type-target")
    assert "back from fileflow-prod:8 to fileflow-prod:6" in shown.gate.title
    stage.somebody_else_updates("fileflow", "prod", 7)
    stage.answer(run, "type-target", "fileflow-prod")
    chosen = stage.until_gate(run, "revision")
    assert "from fileflow-prod:7" in chosen.gate.title
    assert len(stage.calls("UpdateService")) == 1, "theirs"
    (warning,) = [said for said in stage.record(run).warnings if "Nothing was sent" in said]
    assert "is on fileflow-prod:7 since" in warning
    assert "ecs-svc/" in warning
    stage.answer(run, "revision", "5")
    stage.answer(run, "in-flight", "supersede")
    stage.answer(run, "reason", "prod answers 503 on :7 too")
    shown = stage.answer(run, "type-target", "fileflow-prod")
    assert "back from fileflow-prod:7 to fileflow-prod:5" in shown.gate.title
    assert stage.until_finished(run).outcome == "done"
    assert stage.current("fileflow", "prod") == 5
    assert len(stage.calls("UpdateService")) == 2


def test_a_script_that_is_overtaken_sends_nothing_and_says_by_what(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="hold:gate-answered:update")
    stage.until(lambda: "gate-answered" in stage.kinds(run), "the answer")
    stage.somebody_else_updates("fileflow", "prod", 7)
    (stage.folder / "go").touch()
    record = stage.until_finished(run)
    assert (record.outcome, record.exit_code, record.changed) == ("failed", 1, False)
    assert "fileflow-prod:7" in record.ending
    assert len(stage.calls("UpdateService")) == 1, "theirs"


def test_a_run_that_was_overtaken_before_it_was_resumed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="after:step-finished:check")
    stage.until_gone(run)
    stage.somebody_else_updates("fileflow", "prod", 7)
    stage.resume(run)
    assert "fileflow-prod:7" in stage.until_finished(run).ending
    assert len(stage.calls("UpdateService")) == 1, "theirs"


def test_another_revision_is_asked_for_although_one_was_set(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_factory("healthy", factor=120.0)
    tightened(stage, "watch_minutes = 0.5", "watch_minutes = 0.05")
    tag = stage.tag_of("fileflow", "prod", 5)
    stage.world.set_behaviour("fileflow-prod", tag, "crash", crash_after=5.0)
    run = stage.begin(monkeypatch, "fileflow", "prod", by_hand=True, revision="5")
    stage.answer(run, "reason", "prod answers 503")
    stage.answer(run, "type-target", "fileflow-prod")
    stage.answer(run, FAILURE_GATE, "another-revision")
    asked = stage.until_gate(run, "revision").gate
    choices = {choice.id: choice for choice in asked.choices}
    assert "5" not in choices, "the service is on it"
    assert choices["6"].recommended, "a good one between where the run began and where it failed"
    stage.answer(run, "revision", "6")
    stage.answer(run, "in-flight", "supersede")
    stage.answer(run, "reason", "and :5 crashes")
    stage.answer(run, "type-target", "fileflow-prod")
    while not stage.record(run).finished:
        stage.until(lambda: stage.record(run).finished or stage.record(run).gate, "the end, or a question")
        if stage.record(run).gate:  # the watch is short
            stage.answer(run, FAILURE_GATE, "retry")
    assert stage.record(run).outcome == "done"
    assert stage.current("fileflow", "prod") == 6


@pytest.mark.parametrize("by", ["answer", "input"])
def test_the_update_waits_for_the_stop_and_shows_what_is_so_then(stage_factory: Callable[..., Stage], by: str) -> None:
    stage = stage_factory("never-stable", factor=60.0)
    wish = ("--answer", "in-flight=stop-first") if by == "answer" else ("--set", "in-flight=stop-first")
    done = stage.console(*stage.rollback("fileflow", "prod", "--set", "revision=5", *wish))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    order = [event["operation"] for event in events if event["kind"] == "call-intended"]
    assert order == ["ecs:StopServiceDeployment", "ecs:UpdateService"]
    settled = next(event for event in events if (event["kind"], event["step"]) == ("step-finished", "settle"))
    assert settled["result"]["current_name"] == "fileflow-prod:6", "what ECS went back to"
    shown = [event["gate"]["title"] for event in events if event["kind"] == "gate-opened" and event["step"] == "update"]
    assert shown
    assert all("back from fileflow-prod:6 to fileflow-prod:5" in title for title in shown[-1:])
    looked = next(event for event in events if (event["kind"], event["step"]) == ("step-finished", "look"))
    deployments = Ecs(stage.access).service_deployments("fileflow-prod-cluster", "fileflow-prod-service")
    ended = {known.arn: known.status for known in deployments}[looked["result"]["in_flight_arn"]]
    assert ended == "ROLLBACK_SUCCESSFUL", "it was not cut off by the update"


def test_a_dry_run_that_would_stop_first_shows_the_update_too(stage_factory: Callable[..., Stage]) -> None:
    stage = stage_factory("never-stable", factor=60.0)
    done = stage.console(*stage.rollback("fileflow", "prod", "--set", "in-flight=stop-first", "--dry-run"))
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    skipped = [event["step"] for event in events if event["kind"] == "step-skipped"]
    assert skipped == ["stop-in-flight", "update"]
    assert [call for call in ("StopServiceDeployment", "UpdateService") if stage.calls(call)] == []


def test_resuming_on_a_bad_network_or_with_other_credentials_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="after:call-done:update")
    stage.until_gone(run)
    good = dict(stage.environ)
    stage.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    lost = stage.console("resume", run, "--json")
    last = json.loads(lost.stdout.splitlines()[-1])
    assert (lost.returncode, last["outcome"]) == (5, "interrupted")
    assert f"infraconsole resume {run}" in last["mend"]
    stage.environ = good
    resumed = stage.console("resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert len(stage.calls("UpdateService")) == 1


def test_a_configuration_without_the_environment_is_named_when_a_run_is_resumed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="after:step-finished:look")
    stage.until_gone(run)
    other = tmp_path / "other.toml"
    other.write_text('region = "ap-northeast-2"\n[services.fileflow]\n[environments.dev]\n')
    stage.environ["INFRACONSOLE_CONFIG"] = str(other)
    done = stage.console("resume", run, "--json")
    assert done.returncode == 2
    assert "There is no environment 'prod'" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_relative_to_the_view_s_folder_hold_for_the_executor(stage: Stage) -> None:
    credentials = Path(stage.environ["AWS_SHARED_CREDENTIALS_FILE"])
    stage.environ["AWS_SHARED_CREDENTIALS_FILE"] = credentials.name
    done = stage.console(*stage.rollback(), cwd=credentials.parent)
    assert done.returncode == 0, done.stderr


def test_the_loser_of_a_race_for_a_target_misses_a_prerequisite(stage: Stage) -> None:
    run = "rac234"
    target = {"service": "fileflow", "environment": "prod", "region": "ap-northeast-2", "account": "123456789012"}
    stage.journal.append(
        run,
        Kind.RUN_CREATED,
        data={
            "runbook": "ecs-rollback",
            "title": "Roll back",
            "target": {**target, "name": "fileflow-prod"},
            "inputs": {},
            "given": {},
            "operator": "kim",
            "dry_run": False,
            "interactive": False,
            "steps": [
                {"id": step.id, "title": step.title, "fingerprint": step.fingerprint()}
                for step in runbook("ecs-rollback").steps
            ],
        },
    )
    path = locks.target_lock(stage.folder, stage.record(run).target.key)
    held = locks.take(path, run="abc234", owner="lee")
    assert held
    ended = subprocess.run(
        (sys.executable, "-m", "infraconsole.engine.executor", str(stage.folder), run),
        env=stage.environ,
        timeout=60,
        check=False,
    )
    held.release()
    record = stage.record(run)
    assert (ended.returncode, record.exit_code, record.outcome) == (5, 5, "failed")
    assert "run abc234 of lee" in record.ending


def test_an_earlier_run_is_resumed_after_a_later_one_that_changed_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="after:step-finished:choose")
    stage.until_gone(run)
    refused = stage.console("run", "ecs-rollback", "--service", "fileflow", "--env", "prod", "--json")
    assert refused.returncode == 3
    resumed = stage.console("resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.parametrize(
    "revision",
    [
        "arn:aws:ecs:us-east-1:999999999999:task-definition/fileflow-prod:5",
        "arn:aws:ecs:us-east-1:123456789012:task-definition/fileflow-prod:5",
        "arn:aws:ecs:ap-northeast-2:999999999999:task-definition/fileflow-prod:5",
        "somewhere/fileflow-prod:5",
    ],
)
def test_a_revision_of_another_account_or_region_is_not_taken_for_ours(shared: Stage, revision: str) -> None:
    stage = shared
    done = stage.console(*stage.rollback("fileflow", "prod", "--dry-run", "--set", f"revision={revision}"))
    assert done.returncode == 2, done.stderr
    assert "of another account or region" in done.stderr or "is no revision" in done.stderr


def test_a_revision_that_cannot_be_looked_up_is_not_called_missing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="hold:step-started:choose", revision="99")
    stage.until(lambda: stage.record(run).current == "choose", "the choice")
    stage.world.fault("access-denied", service="ecs", operation="DescribeTaskDefinition")
    (stage.folder / "go").touch()
    record = stage.until_finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 5)
    assert "There is no revision" not in record.ending
    assert "ecs:DescribeTaskDefinition" in record.ending


def test_a_health_address_that_cannot_be_reached_is_a_warning(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of an internal load balancer, from a laptop."""
    run = stage.begin(monkeypatch, "fileflow", "prod", kill="hold:step-started:verify")
    stage.until(lambda: stage.record(run).current == "verify", "the verification")
    balancers = client(stage.world, "elbv2")
    arn = balancers.describe_load_balancers(Names=["fileflow-prod-alb"])["LoadBalancers"][0]["LoadBalancerArn"]
    for listener in balancers.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
        balancers.modify_listener(ListenerArn=listener["ListenerArn"], Port=1)
    (stage.folder / "go").touch()
    record = stage.until_finished(run)
    assert (record.outcome, record.exit_code) == ("done", 0)
    assert any("does not answer" in warning for warning in record.warnings)
    assert record.step("verify").result["health"] == "not reachable"
