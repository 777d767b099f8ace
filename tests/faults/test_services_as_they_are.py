"""Services as the field has them, on a real world: a family of another name with a log router in front, and nothing but INACTIVE
revisions to go back to. What was done is counted at the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infraconsole.aws.ecs import Ecs, family_and_revision
from infraconsole.checks.application import application
from tests.faults.conftest import Stage
from tests.world.conftest import client

pytestmark = pytest.mark.slow

ROUTER = {"name": "log_router", "image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable", "essential": True,
          "firelensConfiguration": {"type": "fluentbit"}, "memoryReservation": 50}  # fmt: skip


def described(stage: Stage, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client(stage.world, "ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]
    return found


def brought(stage: Stage, service: str, environment: str, definition: str) -> None:
    client(stage.world, "ecs").update_service(
        cluster=f"{service}-{environment}-cluster",
        service=f"{service}-{environment}-service",
        taskDefinition=definition,
    )
    stage.until(lambda: stage.service(service, environment).in_flight is None, f"{definition} to be in place")


def test_the_family_of_the_service_decides_and_the_application_is_not_the_log_router(shared: Stage) -> None:
    stage = shared
    ecs = client(stage.world, "ecs")
    tags = []
    for place, revision in enumerate((5, 6), 1):
        template = described(stage, f"fileflow-dev:{revision}")
        ecs.register_task_definition(
            family="worker",
            containerDefinitions=[ROUTER, *template["containerDefinitions"]],
            **{
                key: template[key]
                for key in ("networkMode", "requiresCompatibilities", "cpu", "memory", "executionRoleArn")
            },
        )
        brought(stage, "fileflow", "dev", f"worker:{place}")
        tags.append(stage.tag_of("fileflow", "dev", revision))
    stage.seen = max(call["seq"] for call in stage.world.calls())
    done = stage.console(*stage.rollback("fileflow", "dev"))
    assert done.returncode == 0, done.stderr
    assert family_and_revision(stage.service("fileflow", "dev").task_definition) == ("worker", 1)
    assert len(stage.calls("UpdateService")) == 1
    events = [json.loads(line) for line in done.stdout.splitlines()]
    todo = next(event for event in events if event["kind"] == "follow-up-opened")
    assert (todo["key"], todo["value"]) == ("image_tag", tags[0])
    said = [event["text"] for event in events if event["kind"] == "note"]
    assert any("is taken for the application: the load balancer sends to it, on port 8080" in text for text in said)


def deregistered(stage: Stage, service: str, environment: str) -> int:
    """All but the current revision; that one's number."""
    current = stage.current(service, environment)
    for revision in range(1, current):
        client(stage.world, "ecs").deregister_task_definition(taskDefinition=f"{service}-{environment}:{revision}")
    stage.seen = max(call["seq"] for call in stage.world.calls())
    return current


def test_a_copy_of_an_inactive_revision_is_registered_behind_its_gate(shared: Stage) -> None:
    stage = shared
    current = deregistered(stage, "authhub", "dev")
    refused = stage.console(*stage.rollback("authhub", "dev"))
    assert refused.returncode == 1
    assert "is INACTIVE" in refused.stderr
    assert "skip_destroy = true" in refused.stderr
    assert stage.calls("RegisterTaskDefinition") == []
    dry = stage.console(*stage.rollback("authhub", "dev", "--dry-run"))
    assert dry.returncode == 0, dry.stderr
    assert "Would open gate register-copy" in dry.stdout
    done = stage.console(*stage.rollback("authhub", "dev", "--answer", "register-copy=yes"))
    assert done.returncode == 0, done.stderr
    assert len(stage.calls("RegisterTaskDefinition")) == len(stage.calls("UpdateService")) == 1
    assert stage.current("authhub", "dev") == current + 1
    chosen = next(
        event["result"]
        for event in map(json.loads, done.stdout.splitlines())
        if (event["kind"], event["step"]) == ("step-finished", "choose")
    )
    ecs = Ecs(stage.access)
    old, new = ecs.task_definition(chosen["arn"]), ecs.task_definition(f"authhub-dev:{current + 1}")
    assert (old.status, new.status, new.containers) == ("INACTIVE", "ACTIVE", old.containers)
    found = application(new, "authhub")
    assert found is not None
    assert found.container.image == chosen["image"]


def test_killed_while_the_copy_is_registered(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = shared
    current = deregistered(stage, "crawler", "dev")
    run = stage.begin(monkeypatch, "crawler", "dev", kill="before:call-done:register-copy")
    stage.until_gone(run)
    stage.resume(run)
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("RegisterTaskDefinition")) == len(stage.calls("UpdateService")) == 1
    assert stage.current("crawler", "dev") == current + 1
