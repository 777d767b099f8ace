"""Tasks of a service, parsed once into frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.batches import moment
from infraconsole.aws.fields import text_of


@dataclass(frozen=True)
class TaskContainer:
    """A container of a task. `exit_code` is None while it runs; `health`: HEALTHY, UNHEALTHY, UNKNOWN."""

    name: str
    image: str
    last_status: str
    exit_code: int | None
    reason: str
    health: str


@dataclass(frozen=True)
class Task:
    """A task, from DescribeTasks. `id` is the last part of the ARN; ECS keeps stopped tasks for about an hour."""

    arn: str
    id: str
    task_definition: str
    last_status: str
    desired_status: str
    health: str
    started_by: str
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    stop_code: str
    stopped_reason: str
    private_ip: str
    zone: str
    containers: tuple[TaskContainer, ...]


def parse_task(raw: Mapping[str, Any]) -> Task:
    """A task as DescribeTasks answers it."""
    arn = text_of(raw, "taskArn")
    details = {
        str(detail.get("name")): str(detail.get("value") or "")
        for attachment in raw.get("attachments") or ()
        for detail in attachment.get("details") or ()
    }
    return Task(
        arn=arn,
        id=arn.rsplit("/", 1)[-1],
        task_definition=text_of(raw, "taskDefinitionArn"),
        last_status=text_of(raw, "lastStatus"),
        desired_status=text_of(raw, "desiredStatus"),
        health=text_of(raw, "healthStatus") or "UNKNOWN",
        started_by=text_of(raw, "startedBy"),
        created_at=moment(raw.get("createdAt")),
        started_at=moment(raw.get("startedAt")),
        stopped_at=moment(raw.get("stoppedAt")),
        stop_code=text_of(raw, "stopCode"),
        stopped_reason=text_of(raw, "stoppedReason"),
        private_ip=details.get("privateIPv4Address", ""),
        zone=text_of(raw, "availabilityZone"),
        containers=tuple(
            TaskContainer(
                name=text_of(item, "name"),
                image=text_of(item, "image"),
                last_status=text_of(item, "lastStatus"),
                exit_code=None if item.get("exitCode") is None else int(item["exitCode"]),
                reason=text_of(item, "reason"),
                health=text_of(item, "healthStatus") or "UNKNOWN",
            )
            for item in raw.get("containers") or ()
        ),
    )
