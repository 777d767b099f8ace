"""Dismiss what an apply made and no state has: for a person who has looked, and knows that it is gone or belongs elsewhere. What
the stored state has by now needs nobody: it is closed by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.engine import policy
from infraconsole.engine.gate import Gate
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Input, OpenFollowUp, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import UnknownName
from infraconsole.runbooks import recovery, strays
from infraconsole.runbooks.terraform_root import root_of, stored_state
from infraconsole.runbooks.terraform_steps import Init


class Look(Step):
    id = "look"
    title = "Look at what is in no state"
    why = "What the stored state has by now is done; the rest is shown with its ids."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        known = context.open_strays(strays.place_of(root))
        left = strays.review(context, root, stored_state(context, root) or b"") if known else ()
        chosen = _of_run(context, left)
        if not chosen:
            context.note("Nothing that applies made is missing in the state.")
        lines = [strays.sentence(each, strays.made_by(known)) for known in chosen for each in known.strays]
        context.output(*lines)
        context.evidence("what is dismissed", "\n".join(lines))
        return {"lines": lines}


class Dismiss(Step):
    id = "dismiss"
    title = "Dismiss it"
    why = "No plan shows it any more. Nothing is changed in AWS or in the state."
    changes = True

    def gates(self, context: StepContext) -> Sequence[Gate]:
        return recovery.gates(
            context,
            self,
            typed_name=True,
            title=f"Dismiss what is in no state of {context.target}",
            changes=context.result("look")["lines"],
            irreversible=("What still exists stays as it is, and no later plan tells of it.",),
        )

    def probe(self, context: StepContext) -> Probe:
        left = _left(context)
        if not left:
            return Probe(ProbeState.DONE, "There is nothing to dismiss.")
        lines = [strays.sentence(each, strays.made_by(known)) for known in left for each in known.strays]
        if not set(context.result("look")["lines"]) <= set(lines):
            return Probe(ProbeState.OVERTAKEN, "Another list is open by now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, f"{len(lines)} are open.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        for known in _left(context):
            context.close_follow_up(known, f"dismissed by {context.operator}")
        return {"dismissed": len(context.result("look")["lines"])}


def _left(context: StepContext) -> tuple[OpenFollowUp, ...]:
    return _of_run(context, context.open_strays(strays.place_of(root_of(context))))


def _of_run(context: StepContext, known: Sequence[OpenFollowUp]) -> tuple[OpenFollowUp, ...]:
    run = context.inputs.get("run", "")
    if run and known and run not in (runs := [strays.made_by(each) for each in known]):
        raise UnknownName("run", run, runs, where="that left something in no state")
    return tuple(each for each in known if run in ("", strays.made_by(each)))


RUNBOOK = Runbook(
    name="strays-dismiss",
    title="Dismiss what is in no state",
    summary="Show what applies made and no state has, and dismiss it by name where it is gone or belongs elsewhere.",
    purpose=Purpose.RECOVERY,
    inputs=(
        recovery.SERVICE,
        recovery.ENVIRONMENT,
        Input("run", "text", "the run whose apply made it; default: all of them"),
        recovery.REASON,
    ),
    gates=(*policy.GATES, policy.FAILURE),
    steps=(Init(for_lock=True), Look(), Dismiss()),
    overtakes=False,
)
