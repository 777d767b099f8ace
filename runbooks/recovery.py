"""What the runbooks that mend something have in common: whom they are for, and what they ask before a change."""

from __future__ import annotations

from collections.abc import Sequence

from infraconsole.engine import policy
from infraconsole.engine.gate import LEAST_REASON, Gate
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, Step, StepContext, command_line

SERVICE = Input("service", "service", "the service, or an infrastructure module", required=True)
ENVIRONMENT = Input("environment", "environment", "the environment, as in prod", required=True)
REASON = Input("reason", "text", "why, for the record; asked for in prod where it is not given", least=LEAST_REASON)


def run_line(context: StepContext, runbook: str) -> str:
    """What begins another runbook for the same target."""
    return f"infraconsole run {runbook} --service {context.target.service} --env {context.target.environment}"


def gates(
    context: StepContext,
    step: Step,
    *,
    title: str,
    changes: Sequence[str],
    irreversible: Sequence[str] = (),
    commands: Sequence[Sequence[str]] | None = None,
    typed_name: bool = False,
    rules_of: str = "",
    danger: str = "",
) -> tuple[Gate, ...]:
    """Before what `step` changes. `commands` are the step's own unless others stand behind the same gate; `rules_of` is the
    environment whose rules hold, "" for the target's; `danger` what makes it dangerous in every environment."""
    behind = step.commands(context) if commands is None else commands
    return policy.gates(
        policy.policy_for(
            Purpose.RECOVERY,
            context.config.environment(rules_of or context.target.environment),
            typed_name=typed_name,
        ),
        context.target,
        title=title,
        changes=changes,
        irreversible=irreversible,
        commands=[command_line(command) for command in behind],
        reason=context.inputs.get("reason", "") or context.answer("reason"),
        now=context.now(),
        danger=danger,
    )
