"""How a service is deployed, in sentences: by whom, by which strategy, how far a shift of traffic has come, and what to use where
it is not ECS that deploys. Pure; what AWS means is from the Amazon ECS API reference (DeploymentController,
DeploymentConfiguration, ServiceDeployment, TaskSet)."""

from __future__ import annotations

from infraconsole import text
from infraconsole.aws.ecs import Controller, Deploying, Service, Shifting, Strategy
from infraconsole.aws.elbv2 import group_name

STAGES = {
    "RECONCILE_SERVICE": "ECS looks at the service",
    "PRE_SCALE_UP": "before the new tasks start",
    "SCALE_UP": "the new tasks start",
    "POST_SCALE_UP": "the new tasks run",
    "TEST_TRAFFIC_SHIFT": "test traffic is shifted",
    "POST_TEST_TRAFFIC_SHIFT": "test traffic was shifted",
    "PRODUCTION_TRAFFIC_SHIFT": "traffic is shifted",
    "POST_PRODUCTION_TRAFFIC_SHIFT": "traffic was shifted",
    "BAKE_TIME": "traffic was shifted, bake time",
    "CLEAN_UP": "traffic was shifted, the old tasks go",
}
"""The stages of a deployment that shifts traffic, in their order."""


def stage_words(shifting: Shifting) -> str:
    """Where a deployment that shifts traffic is: `traffic was shifted, bake time until 14:20`."""
    words = STAGES.get(shifting.stage, shifting.stage.lower().replace("_", " ") or shifting.status.lower())
    until = shifting.bakes_until
    return f"{words} until {text.here(until):%H:%M}" if until else words


def remarks(service: Service, shifting: Shifting | None = None) -> tuple[str, ...]:
    """What is not the usual way (ECS, rolling, behind target groups), each as a sentence."""
    found = [refusal(service)] if not service.deploying.by_ecs else []
    if service.deploying.shifts_traffic:
        found.append(_strategy(service.deploying))
        found += [f"Now: {stage_words(shifting)}."] if shifting and shifting.status == "IN_PROGRESS" else []
        for binding in service.load_balancers:
            if binding.alternate_arn:
                names = " and ".join(_name_of(group) for group in binding.groups)
                found.append(f"Deployments take turns between the target groups {names}.")
    if service.scheduling == "DAEMON":
        found.append("DAEMON: one task on each container instance; the desired count follows those.")
    elif not service.desired and service.status == "ACTIVE":
        found.append("The desired count is 0: no task runs until it is scaled up.")
    for name in service.classic_load_balancers:
        found.append(
            f"Behind the Classic Load Balancer {name}: AWS reports no rollout state, the tasks that run tell it."
        )
    if service.service_connect:
        found.append("Other services reach it by Service Connect.")
    if service.capacity_providers:
        found.append(f"Capacity providers: {', '.join(service.capacity_providers)}.")
    return tuple(found)


def _strategy(deploying: Deploying) -> str:
    steps = ""
    if deploying.strategy in (Strategy.LINEAR, Strategy.CANARY) and deploying.step_percent:
        what = "steps of" if deploying.strategy == Strategy.LINEAR else "first"
        steps = f", {what} {deploying.step_percent:g} %, {deploying.step_minutes} min each"
    hooks = "; ".join(f"{_name_of(hook.target)} at {', '.join(hook.stages)}" for hook in deploying.hooks)
    return f"{deploying.strategy}{steps}, bake time {deploying.bake_minutes} min" + (
        f"; hooks: {hooks}." if hooks else "."
    )


def _name_of(arn: str) -> str:
    """Of a target group or a function."""
    return group_name(arn) if ":targetgroup/" in arn else arn.rpartition(":")[2]


def refusal(service: Service) -> str:
    """Why a runbook cannot deploy this service, as a sentence."""
    if service.deploying.controller == Controller.CODE_DEPLOY:
        return f"CodeDeploy deploys {service.name}: ECS refuses another task definition from anybody else."
    if service.deploying.controller == Controller.EXTERNAL:
        return f"A controller outside of ECS deploys {service.name}, by task sets: ECS refuses an update of its task definition."
    return f"A controller of the type {service.deploying.controller}, which is not known here, deploys {service.name}."


def instead(service: Service) -> str:
    """What to use for a rollback of a service that ECS does not deploy."""
    if service.deploying.controller == Controller.CODE_DEPLOY:
        going = next(
            (each for each in service.deployments if each.rollout_state != "COMPLETED" and each.external_id), None
        )
        named = going or next((each for each in service.deployments if each.external_id), None)
        deployment = named.external_id if named else "ID"
        state = "" if going is None else f" Deployment {deployment} is under way."
        return (
            f"Use CodeDeploy.{state} To stop a deployment and go back: aws deploy stop-deployment --deployment-id {deployment} "
            "--auto-rollback-enabled. To go further back: deploy an earlier deployment's revision again (aws deploy "
            "create-deployment with its AppSpec)."
        )
    if service.deploying.controller == Controller.EXTERNAL:
        return (
            "Use the tool that creates its task sets. By hand: aws ecs create-task-set with the earlier revision, then "
            "aws ecs update-service-primary-task-set, then aws ecs delete-task-set for the bad one."
        )
    return "Use the tool that deploys it."
