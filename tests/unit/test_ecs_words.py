"""AWS's texts in short: what is known is said in its words, what is not known stays, and no text loses what it tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infraconsole.aws.ecs import Task, TaskContainer
from infraconsole.checks.ecs_words import event_words, named, reason_words, rollout_words, stop_words
from infraconsole.checks.stopped import has_failed
from tests.unit import test_stops as stops

GROUP = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/fileflow-prod-tg/94f92faa0fbc47fa"
ID = "3883376626c8837707b6f16c52ce293a"
CODES = "Health checks failed with these codes: [503]"
CLOSEST = "The closest matching (container-instance 6368caa4) has insufficient memory available"
MORE = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


@pytest.mark.parametrize(
    ("message", "words", "failed"),
    [
        ("has reached a steady state.", "steady state", False),
        (f"deregistered 1 targets in (target-group {GROUP})", "1 target deregistered", False),
        (f"registered 3 targets in (target-group {GROUP})", "3 targets registered", False),
        (f"has started 1 tasks: (task {ID}).", "1 task started: 52ce293a", False),
        (f"has started 5 tasks: {' '.join(f'(task {ID[:-1]}{n})' for n in range(5))}.",
         "5 tasks started: 52ce2930, 52ce2931, 52ce2932 and 2 more", False),
        (f"has stopped 2 running tasks: (task {ID}) (task {ID}).", "2 tasks stopped: 52ce293a, 52ce293a", False),
        ("has begun draining connections on 1 tasks.", "1 task draining", False),
        ("(deployment ecs-svc/4898377691688528528) deployment completed.", "deployment completed", False),
        ("(deployment ecs-svc/1) deployment failed: tasks failed to start.", "deployment failed: tasks failed to start", True),
        ("rolling back to deployment ecs-svc/12345.", "rolling back to an earlier deployment", True),
        (f"is unable to consistently start tasks successfully.{MORE}", "tasks keep failing to start", True),
        (f"(task {ID}) (port 8080) is unhealthy in (target-group {GROUP}) due to (reason {CODES}).",
         "unhealthy: health check answered 503, task 52ce293a, port 8080", True),
        (f"(instance i-0abc) (port 32875) is unhealthy in (target-group {GROUP}) due to (reason Request timed out)",
         "unhealthy: Request timed out, port 32875", True),
        ("(instance i-0abc) is unhealthy in (elb web) due to (reason Instance has failed at least (2) checks.)",
         "unhealthy: Instance has failed at least (2) checks.", True),
        (f"was unable to place a task because no container instance met all of its requirements.{MORE}",
         "no room for a task on any container instance", True),
        (f"was unable to place a task because no container instance met all of its requirements. {CLOSEST}.{MORE}",
         f"no room for a task on any container instance: {CLOSEST}", True),
        ("was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
         "no task could be placed: You've reached the limit on the number of vCPUs you can run concurrently", True),
        ("operations are being throttled on elb. Will try again later.", "throttled by ELB: ECS tries again later", True),
    ],
)  # fmt: skip
def test_events_that_are_known(message: str, words: str, failed: bool) -> None:
    for prefix in ("(service fileflow-prod-service) ", "(service fileflow-prod-service, taskSet ecs-svc/2724) "):
        found = event_words(prefix + message)
        assert (found.words, found.failed) == (words, failed)


def test_events_that_are_not_known_stay_with_names_for_arns() -> None:
    unknown = event_words(f"(service x) did {{n}} new things to (target-group {GROUP}) and (task {ID}), 2 targets.")
    assert unknown.words == "did {n} new things to (target-group fileflow-prod-tg) and (task 52ce293a), 2 targets."
    assert not unknown.failed
    assert event_words("(service x) failed to launch a task with (error ResourceInitializationError: x)").failed
    assert event_words("").words == ""
    # What only begins like a known text is not that text: nothing of what it says may be lost.
    longer = event_words(f"(service x) deregistered 1 targets in (target-group {GROUP}) because its port was taken.")
    assert longer.words.endswith("because its port was taken.")


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (GROUP, "fileflow-prod-tg"),
        ("arn:aws:elasticloadbalancing:x:1:loadbalancer/app/web-alb/50dc6c495c0c9188", "web-alb"),
        ("arn:aws:ecs:x:1:task-definition/fileflow-prod:8", "fileflow-prod:8"),
        (f"arn:aws-cn:ecs:x:1:task/fileflow-prod-cluster/{ID}", "52ce293a"),
        ("arn:aws:ssm:x:1:parameter/shared/rds/prod/endpoint", "/shared/rds/prod/endpoint"),
        ("arn:aws:secretsmanager:x:1:secret:prod/db-AbCdEf", "prod/db-AbCdEf"),
        ("arn:aws:iam::1:role/ecs/exec", "ecs/exec"),
    ],
)
def test_arns_are_called_by_their_names(arn: str, name: str) -> None:
    assert named(f"with {arn}.") == f"with {name}."


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (stops.NOT_FOUND, "image web:7bd6b34 not found"),
        ("CannotPullContainerError: inspect image has been retried: manifest unknown", "image not found"),
        (f"CannotPullContainerError: x: failed to resolve ref ghcr.io/me/app@sha256:{'a' * 64}: not found",
         "image ghcr.io/me/app@sha256:aaaaaaaa not found"),
        (stops.OTHER_PLATFORM, "the image is not built for linux/amd64"),
        (stops.NO_HOST, "cannot pull image web:abc: no such host"),
        (stops.UNAVAILABLE, "cannot pull image: 503 Service Unavailable - layer not found"),
        (stops.NOT_YET_ALLOWED, "no permission for ecr:BatchGetImage"),
        (stops.NO_SECRET, "cannot start: Secrets Manager can't find the specified secret"),
        (stops.NO_LOG_GROUP, "cannot start: The specified log group does not exist"),
        (stops.NO_PARAMETER, "no permission for ssm:GetParameters"),
        (f"Task failed ELB health checks in (target-group {GROUP})", "load balancer health check failed"),
        ("Scaling activity initiated by (deployment ecs-svc/8709920613704280865)",
         "stopped by ECS: scaling or another deployment"),
        ("Your Spot Task was interrupted.", "Your Spot Task was interrupted"),
        ("ResourceInitializationError", "cannot start: ResourceInitializationError"),
    ],
)  # fmt: skip
def test_reasons(reason: str, words: str) -> None:
    assert reason_words(reason) == words


def test_why_a_rollout_is_in_its_state_is_said_where_it_says_more() -> None:
    assert rollout_words("ECS deployment ecs-svc/7262101771815610576 in progress.") == ""
    assert rollout_words("ECS deployment ecs-svc/7262101771815610576 completed.") == ""
    assert (
        rollout_words("ECS deployment circuit breaker: tasks failed to start.")
        == "circuit breaker: tasks failed to start"
    )
    assert rollout_words("something else.") == "something else"


def stopped(
    reason: str = stops.EXITED, code: str = "EssentialContainerExited", *ends: tuple[str, int | None, str]
) -> Task:
    containers = tuple(TaskContainer(name, "i", "STOPPED", exit_code, why, "UNKNOWN") for name, exit_code, why in ends)
    return replace(stops.task(1, reason, stop_code=code), containers=containers)


def test_why_a_task_stopped_names_the_container_that_ended_it() -> None:
    out_of_memory = ("app", 137, "OutOfMemoryError: Container killed due to memory usage")
    assert (
        stop_words(stopped(stops.EXITED, "x", out_of_memory, ("xray", 143, ""))) == "app ran out of memory (exit 137)"
    )
    assert stop_words(stopped(stops.EXITED, "x", ("app", 1, ""), ("xray", 143, ""))) == "app exited with 1"
    assert stop_words(stopped(stops.EXITED, "x", ("app", 137, ""))) == "app exited with 137, killed"
    pull = stopped(stops.NOT_FOUND, "TaskFailedToStart", ("app", None, stops.NOT_FOUND))
    assert stop_words(pull) == "image web:7bd6b34 not found", "once, though task and container say it"
    assert stop_words(stopped("", "")) == "no reason was given"
    assert stop_words(stops.task(1, status="RUNNING")) == ""


@pytest.mark.parametrize(
    ("task", "failed"),
    [
        (stopped(stops.NOT_FOUND, "TaskFailedToStart"), True),
        (stopped(stops.EXITED, "EssentialContainerExited", ("app", 0, "")), True),
        (stopped("Task failed ELB health checks in (target-group x)", "ServiceSchedulerInitiated"), True),
        (stopped("Scaling activity initiated by (deployment x)", "ServiceSchedulerInitiated", ("app", 137, "")), False),
        (stopped("Task stopped by user", "UserInitiated", ("app", 1, "")), False),
        (stopped(stops.NOT_FOUND, ""), True),
        (stopped("", "", ("app", 1, "")), True),
        (stopped("", "", ("app", 143, "")), False),
        (stops.task(1, status="RUNNING"), False),
    ],
)
def test_which_stops_are_failures(task: Task, failed: bool) -> None:
    assert has_failed(task) is failed
