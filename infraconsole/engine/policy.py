"""Policy: which gates stand before a change, by kind of runbook and environment.

Approvals and windows govern deploys. A rollback or a failover is never held up by them: the person on call types the
target's name and a reason, and needs a second person only where the configuration names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from infraconsole.config import EnvironmentSettings
from infraconsole.engine.gate import ERROR, FAILURE_GATE, Gate, GateKind, GateSpec, is_reason
from infraconsole.target import Target
from infraconsole.window import Window


class Purpose(StrEnum):
    DEPLOY = "deploy"
    RECOVERY = "recovery"
    """Rollbacks and failovers."""


@dataclass(frozen=True)
class Policy:
    typed_name: bool
    reason: bool
    approvers: tuple[str, ...] = ()
    window: Window | None = None


TYPED = GateSpec(
    "type-target", GateKind.TYPE, "before a change in prod or what is protected as prod is, or one that destroys"
)
AFTER_ANOTHER = GateSpec("type-again", GateKind.TYPE, "as type-target, before a second change of the same run")
"""What was typed beforehand for the first change does not open it: nobody had seen then what the second one would do."""
DANGEROUS = GateSpec(
    "type-danger",
    GateKind.TYPE,
    "as type-target, before a plan in prod that loses something or that its review calls wrong, and in every environment before "
    "a state is written that no lock protects",
)
"""What a script gives for each deploy of prod does not open it."""
GATES = (
    GateSpec("confirm", GateKind.CONFIRM, "before a change outside prod and what is protected as prod is"),
    TYPED,
    GateSpec("reason", GateKind.BREAK_GLASS, "why prod is changed, for the record"),
    GateSpec("approve", GateKind.APPROVE, "a second person, where the configuration asks for one"),
)
"""What `gates` can open."""
FAILURE = GateSpec(FAILURE_GATE, GateKind.CHOOSE, "how to go on after a failed step")
"""What the executor can open after a step of any runbook."""


def policy_for(purpose: Purpose, environment: EnvironmentSettings, *, typed_name: bool = False) -> Policy:
    """`typed_name`: ask for it in every environment, as before what cannot be undone."""
    typed_name = typed_name or environment.is_prod
    if purpose is Purpose.RECOVERY:
        return Policy(typed_name, environment.is_prod, environment.rollback_approvers)
    return Policy(typed_name, False, environment.approvers, environment.window)


def gates(
    policy: Policy,
    target: Target,
    *,
    title: str,
    changes: Sequence[str],
    irreversible: Sequence[str] = (),
    commands: Sequence[str] = (),
    reason: str = "",
    now: datetime,
    typed: GateSpec = TYPED,
    danger: str = "",
) -> tuple[Gate, ...]:
    """The gates of one change, in the order in which they open: reason, approvals, and last the confirmation itself.

    `reason` is one that was given as an input: where the gate would take it, the gate that would ask for it stays away. `typed` is
    the one that asks for the target's name. `danger` is what makes the change dangerous in every environment, as a sentence: then
    that name is typed for it, which no answer to another gate does.
    """

    def gate(name: str, kind: GateKind, title: str, *, expected: str = "", approvers: tuple[str, ...] = ()) -> Gate:
        return Gate(
            name,
            kind,
            title,
            changes=((f"{ERROR}{danger}",) if danger else ()) + tuple(changes),
            irreversible=tuple(irreversible),
            commands=tuple(commands),
            expected=expected,
            approvers=approvers,
        )

    opened: list[Gate] = []
    outside = policy.window is not None and not policy.window.is_open(now)
    if (policy.reason or outside) and not is_reason(reason):
        when = f"Outside the window {policy.window.text}. " if outside and policy.window else ""
        opened.append(gate("reason", GateKind.BREAK_GLASS, f"{when}Reason, for the record: {title}"))
    if policy.approvers:
        opened.append(gate("approve", GateKind.APPROVE, f"Who approves: {title}", approvers=policy.approvers))
    if danger:
        opened.append(gate(DANGEROUS.id, DANGEROUS.kind, title, expected=target.name))
    if danger and typed is not AFTER_ANOTHER:
        return tuple(opened)
    if policy.typed_name:
        opened.append(gate(typed.id, typed.kind, title, expected=target.name))
    else:
        opened.append(gate("confirm", GateKind.CONFIRM, title))
    return tuple(opened)
