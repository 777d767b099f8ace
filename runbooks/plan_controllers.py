"""A plan that would bring another task definition to a service that ECS does not deploy: ECS refuses it at the apply, when other
changes are made already."""

from __future__ import annotations

from infraconsole.aws.ecs import Controller
from infraconsole.errors import OtherTool
from infraconsole.terraform.plan import Change, Kind, Plan

_SERVICE = "aws_ecs_service"


def refuse_other_controllers(plan: Plan) -> None:
    """Raises OtherTool. ECS's words: Unable to update task definition on services with a CODE_DEPLOY deployment controller."""
    for change in plan.changes:
        if change.type != _SERVICE or change.is_data or change.deposed or change.kind is not Kind.UPDATE:
            continue
        controller = controller_in(change.before("deployment_controller"))
        # ECS takes both in one call where the service is given to it.
        after = change.after("deployment_controller")
        is_given = bool(after) and controller_in(after) == Controller.ECS
        if controller == Controller.ECS or is_given or not _changes_definition(change):
            continue
        by = "CodeDeploy" if controller == Controller.CODE_DEPLOY else f"A controller of the type {controller}"
        tool = (
            "CodeDeploy (aws deploy create-deployment)"
            if controller == Controller.CODE_DEPLOY
            else "the tool behind it"
        )
        raise OtherTool(
            f"{by} deploys {change.address}: ECS refuses another task definition from Terraform.",
            cause=f"The plan changes its task_definition from {change.before('task_definition')}.",
            mend=f"Deploy the image with {tool}. In the code: lifecycle {{ ignore_changes = [task_definition, load_balancer] }}.",
        )


def controller_in(blocks: object) -> str:
    """What the blocks `deployment_controller` of a service say; ECS where there are none."""
    block = blocks[0] if isinstance(blocks, list) and blocks else {}
    return str((block.get("type") if isinstance(block, dict) else "") or Controller.ECS)


def _changes_definition(change: Change) -> bool:
    unknown = change.is_unknown("task_definition")
    return unknown or change.before("task_definition") != change.after("task_definition")
