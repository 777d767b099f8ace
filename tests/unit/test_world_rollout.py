"""What ECS does over time, on an injected clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infraconsole.world.clock import WorldClock
from infraconsole.world.rollout import (
    HEALTHY,
    Behaviour,
    NotStoppable,
    PastDeployment,
    Revision,
    ServiceSim,
    Settings,
    breaker_threshold,
)

NOW = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
GROUP = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/fileflow-prod-tg/0123456789abcdef"
SETTINGS = Settings(desired=3, target_groups=(GROUP,), deregistration_delay=30.0)
GOOD = Revision("arn:…:task-definition/fileflow-prod:7")
BETTER = Revision("arn:…:task-definition/fileflow-prod:8")
CRASHING = Revision("arn:…:task-definition/fileflow-prod:9", Behaviour("crash"))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def steady(settings: Settings = SETTINGS) -> ServiceSim:
    history = [PastDeployment(GOOD, NOW - timedelta(days=3))]
    return ServiceSim("fileflow-prod-service", settings, GOOD, NOW, history=history)


def messages(sim: ServiceSim) -> str:
    """Oldest first, so that it reads like a story."""
    return "\n".join(event.message for event in reversed(sim.events))


def test_history_gives_a_steady_service() -> None:
    sim = steady()
    assert (sim.running(), sim.pending(), len(sim.deployments)) == (3, 0, 1)
    assert sim.primary.rollout_state == "COMPLETED"
    assert [target.target_state for target in sim.targets()] == ["healthy"] * 3
    sim.advance(after(3600))
    assert sim.running() == 3


def test_a_new_service_rolls_out_from_nothing() -> None:
    sim = ServiceSim("new", SETTINGS, GOOD, NOW)
    assert (sim.running(), sim.pending()) == (0, 3)
    assert sim.primary.rollout_state == "IN_PROGRESS"
    sim.advance(after(120))
    assert sim.running() == 3
    assert sim.primary.rollout_state == "COMPLETED"
    assert sim.service_deployments[0].status == "SUCCESSFUL"


def test_healthy_rollout_never_serves_with_fewer_than_desired_and_completes() -> None:
    sim = steady()
    assert sim.update(NOW, revision=BETTER)
    assert [one.status for one in sim.deployments] == ["PRIMARY", "ACTIVE"]
    seen = set()
    for second in range(0, 200, 2):
        sim.advance(after(second))
        assert len(sim.healthy()) >= 3
        assert sum(1 for task in sim.tasks.values() if task.is_live) <= 6
        seen |= {task.status for task in sim.tasks.values()}
    assert {"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "STOPPED"} <= seen
    assert sim.task_definition == BETTER.arn
    assert [(one.status, one.rollout_state) for one in sim.deployments] == [("PRIMARY", "COMPLETED")]
    assert sim.service_deployments[0].status == "SUCCESSFUL"
    story = messages(sim)
    registered = f"registered 1 targets in (target-group {GROUP})"
    for part in ("has started 3 tasks: (task ", registered, "deployment completed."):
        assert part in story
    assert sim.events[0].message == "(service fileflow-prod-service) has reached a steady state."


def test_old_tasks_drain_for_the_deregistration_delay() -> None:
    sim = steady(replace(SETTINGS, deregistration_delay=120.0))
    sim.update(NOW, revision=BETTER)
    sim.advance(after(90))
    old = [task for task in sim.tasks.values() if task.revision is GOOD]
    assert {(task.status, task.target_state, task.target_reason) for task in old} == {
        ("DEACTIVATING", "draining", "Target.DeregistrationInProgress")
    }
    assert sim.primary.rollout_state == "IN_PROGRESS"
    sim.advance(after(190))
    assert sim.primary.rollout_state == "COMPLETED"
    assert not any(task.target_state == "draining" for task in sim.tasks.values())


def test_same_revision_makes_no_deployment_unless_forced() -> None:
    sim = steady()
    before = sim.primary.id
    assert not sim.update(NOW, revision=GOOD)
    assert sim.primary.id == before
    assert sim.update(NOW, revision=GOOD, force=True)
    assert sim.primary.id != before


def test_crash_loop_without_breaker_stays_in_progress_and_counts_failures() -> None:
    sim = steady()
    sim.update(NOW, revision=CRASHING)
    sim.advance(after(1200))
    assert sim.primary.rollout_state == "IN_PROGRESS"
    assert sim.primary.failed_tasks > 10
    assert len(sim.healthy()) == 3, "the old tasks serve on"
    assert "is unable to consistently start tasks successfully" in messages(sim)
    stopped = next(task for task in sim.tasks.values() if task.status == "STOPPED")
    assert (stopped.stop_code, stopped.exit_code) == ("EssentialContainerExited", 1)
    assert stopped.stopped_reason == "Essential container in task exited"


def test_crash_after_the_health_check_takes_the_old_tasks_with_it() -> None:
    late = Revision("arn:…:9", Behaviour("crash", crash_after=20.0, first_crash_after=45.0))
    sim = steady()
    sim.update(NOW, revision=late)
    sim.advance(after(1200))
    assert sim.healthy() == []
    assert sim.running() < 3
    assert sim.primary.rollout_state == "IN_PROGRESS"


def test_breaker_without_rollback_fails_and_leaves_the_old_tasks() -> None:
    sim = steady(replace(SETTINGS, breaker=True))
    sim.update(NOW, revision=CRASHING)
    sim.advance(after(600))
    assert sim.primary.rollout_state == "FAILED"
    assert sim.primary.rollout_reason == "ECS deployment circuit breaker: tasks failed to start."
    assert sim.task_definition == CRASHING.arn
    assert len(sim.healthy()) == 3
    assert sim.service_deployments[0].status == "STOPPED"
    assert "deployment failed: tasks failed to start." in messages(sim)
    failures = sim.primary.failed_tasks
    sim.advance(after(3600))
    assert sim.primary.failed_tasks == failures, "nothing is started any more"


def test_breaker_with_rollback_goes_back_to_the_last_completed_deployment() -> None:
    sim = steady(replace(SETTINGS, breaker=True, breaker_rollback=True))
    good_id = sim.primary.id
    sim.update(NOW, revision=CRASHING)
    bad_id = sim.primary.id
    sim.advance(after(600))
    assert (sim.task_definition, sim.primary.id, sim.primary.rollout_state) == (GOOD.arn, good_id, "COMPLETED")
    record = sim.service_deployments[0]
    assert (record.status, record.breaker_status, record.deployment_id) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED", bad_id)
    story = messages(sim)
    assert f"(deployment {bad_id}) deployment failed: tasks failed to start." in story
    assert f"rolling back to deployment {good_id}." in story


def test_breaker_shows_the_rollback_while_it_goes_on() -> None:
    sim = steady(replace(SETTINGS, breaker=True, breaker_rollback=True))
    sim.update(NOW, revision=CRASHING)
    seen = []
    for second in range(200):
        sim.advance(after(second))
        if sim.service_deployments[0].status == "ROLLBACK_IN_PROGRESS":
            seen = [(one.status, one.rollout_state) for one in sim.deployments]
            break
    assert seen == [("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "FAILED")]


def test_image_that_cannot_be_pulled_never_runs() -> None:
    gone = Revision("arn:…:9", Behaviour("no-pull", reason="CannotPullContainerError: …: not found"))
    sim = steady()
    sim.update(NOW, revision=gone)
    sim.advance(after(120))
    failed = next(task for task in sim.tasks.values() if task.status == "STOPPED")
    assert failed.stop_code == "TaskFailedToStart"
    assert failed.stopped_reason.startswith("CannotPullContainerError")
    assert failed.started_at is None
    assert failed.exit_code is None


def test_tasks_whose_targets_never_turn_healthy_are_stopped() -> None:
    sim = steady()
    sim.update(NOW, revision=Revision("arn:…:9", Behaviour("unhealthy")))
    sim.advance(after(65))
    assert "Target.ResponseCodeMismatch" in {task.target_reason for task in sim.targets()}
    sim.advance(after(400))
    assert sim.primary.rollout_state == "IN_PROGRESS"
    assert sim.primary.failed_tasks >= 3
    assert len(sim.healthy()) == 3
    assert "is unhealthy in (target-group" in messages(sim)


def test_stop_with_rollback_brings_the_last_completed_back() -> None:
    sim = steady()
    sim.update(NOW, revision=CRASHING)
    sim.advance(after(60))
    record = sim.service_deployments[0]
    sim.stop_deployment(after(60), record.id, rollback=True)
    assert record.status == "ROLLBACK_IN_PROGRESS"
    sim.advance(after(300))
    assert record.status == "ROLLBACK_SUCCESSFUL"
    assert (sim.task_definition, sim.primary.rollout_state) == (GOOD.arn, "COMPLETED")
    with pytest.raises(NotStoppable):
        sim.stop_deployment(after(301), record.id, rollback=True)
    with pytest.raises(KeyError):
        sim.stop_deployment(after(301), "unknown", rollback=True)


def test_abort_stops_where_it_is() -> None:
    sim = steady()
    sim.update(NOW, revision=CRASHING)
    record = sim.service_deployments[0]
    sim.stop_deployment(after(60), record.id, rollback=False)
    failures = sim.primary.failed_tasks
    sim.advance(after(600))
    assert record.status == "STOPPED"
    assert sim.task_definition == CRASHING.arn
    assert len(sim.healthy()) == 3
    assert sim.primary.failed_tasks <= failures + 3


def test_rollback_out_of_a_crash_loop_is_not_held_up_by_its_restart_delay() -> None:
    late = Revision("arn:…:9", Behaviour("crash", first_crash_after=45.0))
    sim = steady()
    sim.update(NOW, revision=late)
    sim.advance(after(1200))
    sim.update(after(1200), revision=GOOD)
    sim.advance(after(1300))
    assert (len(sim.healthy()), sim.primary.rollout_state) == (3, "COMPLETED")
    assert [one.status for one in sim.service_deployments[:2]] == ["SUCCESSFUL", "STOPPED"]


def test_stopped_task_is_replaced_and_listed_for_an_hour() -> None:
    sim = steady()
    task = next(iter(sim.tasks.values()))
    sim.stop_task(NOW, task.id, "by hand")
    assert (task.desired_status, task.stop_code, task.stopped_reason) == ("STOPPED", "UserInitiated", "by hand")
    sim.advance(after(300))
    assert len(sim.healthy()) == 3
    assert task.id in sim.tasks
    sim.advance(after(4000))
    assert task.id not in sim.tasks


def test_scaling_makes_no_deployment() -> None:
    sim = steady()
    before = sim.primary.id
    sim.update(NOW, settings=replace(SETTINGS, desired=5))
    sim.advance(after(100))
    assert (sim.running(), sim.primary.id) == (5, before)
    sim.update(after(100), settings=replace(SETTINGS, desired=2))
    sim.advance(after(200))
    assert (sim.running(), len(sim.healthy()), sim.primary.rollout_state) == (2, 2, "COMPLETED")


def test_deleted_service_drains_then_is_inactive() -> None:
    sim = steady()
    sim.delete(NOW)
    assert sim.status == "DRAINING"
    sim.advance(after(60))
    assert (sim.status, sim.running()) == ("INACTIVE", 0)


def test_at_most_a_hundred_events_newest_first() -> None:
    sim = steady()
    sim.update(NOW, revision=CRASHING)
    sim.advance(after(7200))
    assert len(sim.events) == 100
    assert [event.at for event in sim.events] == sorted((event.at for event in sim.events), reverse=True)


def test_the_same_history_gives_the_same_story() -> None:
    one, two = steady(), steady()
    one.update(NOW, revision=CRASHING)
    two.update(NOW, revision=CRASHING)
    one.advance(after(900))
    for second in range(0, 901, 7):
        two.advance(after(second))
    two.advance(after(900))
    assert messages(one) == messages(two)


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (3, 3), (7, 4), (25, 13), (400, 200), (800, 200)])
def test_breaker_threshold(desired: int, threshold: int) -> None:
    assert breaker_threshold(desired) == threshold


def test_clock_runs_by_its_factor_and_never_jumps_back() -> None:
    real = [100.0]
    clock = WorldClock(60.0, monotonic=lambda: real[0], start=NOW)
    real[0] += 2.0
    assert clock.now() == after(120)
    clock.set_factor(1.0)
    real[0] += 5.0
    assert clock.now() == after(125)
    clock.advance(600)
    assert clock.now() == after(725)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="above zero"):
        clock.set_factor(0)
    assert HEALTHY.kind == "healthy"
