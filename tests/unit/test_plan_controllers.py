"""A plan for a service that ECS does not deploy is refused before its gates, if it changes what ECS would refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infraconsole.errors import OtherTool
from infraconsole.runbooks.plan_controllers import refuse_other_controllers
from infraconsole.terraform import plan
from tests.unit.test_plan_review import entry

OLD, NEW = "arn:aws:ecs:r:1:task-definition/web:41", "arn:aws:ecs:r:1:task-definition/web:42"


def service(controller: str | None, after: dict[str, Any], **change: Any) -> plan.Plan:
    block = [] if controller is None else [{"type": controller}]
    before = {"task_definition": OLD, "desired_count": 1, "deployment_controller": block}
    made = entry("aws_ecs_service.app", ["update"], before, {**before, **after})
    made["change"] |= change
    return plan.read(json.dumps({"format_version": "1.2", "resource_changes": [made]}).encode())


@pytest.mark.parametrize(
    ("controller", "tool"), [("CODE_DEPLOY", "aws deploy create-deployment"), ("EXTERNAL", "the tool behind")]
)
def test_another_task_definition_is_refused_with_what_to_use(controller: str, tool: str) -> None:
    with pytest.raises(OtherTool) as caught:
        refuse_other_controllers(service(controller, {"task_definition": NEW}))
    assert tool in caught.value.mend
    assert "ignore_changes" in caught.value.mend
    with pytest.raises(OtherTool):
        refuse_other_controllers(service(controller, {}, after_unknown={"task_definition": True}))


def test_what_ecs_takes_is_not_refused() -> None:
    refuse_other_controllers(service("CODE_DEPLOY", {"desired_count": 2}))
    refuse_other_controllers(service("ECS", {"task_definition": NEW}))
    refuse_other_controllers(service(None, {"task_definition": NEW}))


def test_a_plan_that_gives_the_service_to_ecs_may_change_its_task_definition() -> None:
    refuse_other_controllers(
        service("CODE_DEPLOY", {"task_definition": NEW, "deployment_controller": [{"type": "ECS"}]})
    )
    with pytest.raises(OtherTool):
        refuse_other_controllers(
            service("EXTERNAL", {"task_definition": NEW, "deployment_controller": [{"type": "CODE_DEPLOY"}]})
        )
