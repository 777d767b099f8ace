"""What a plan says, read for whoever has to approve it: what is lost, what is wrong, what it costs, line by line.

What `terraform show -json` means is from Terraform's documentation (JSON Output Format).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole import files
from infraconsole.checks import infracost, stateful
from infraconsole.checks.costs import cost_effect
from infraconsole.checks.costs import load as load_costs
from infraconsole.checks.findings import Finding
from infraconsole.checks.plan_review import review
from infraconsole.engine.gate import ERROR, WARNING
from infraconsole.engine.runbook import Step, StepContext
from infraconsole.errors import UsageError
from infraconsole.redaction import MASK
from infraconsole.runbooks import earlier_applies, strays
from infraconsole.runbooks.plan_controllers import refuse_other_controllers
from infraconsole.runbooks.plan_images import missing_images
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_root import Root, root_of, stored_state, write_private
from infraconsole.terraform import addresses, commands, plan
from infraconsole.terraform.attributes import AttributeChange, shown
from infraconsole.terraform.plan import Kind

PLAN_FILE = "plan.tfplan"
PLAN_DOCUMENT = "plan.json"
COST_DOCUMENT = "cost.json"
LINES_SHOWN = 40
WARNINGS_SHOWN = 8
NAMES_SHOWN = 20
"""Of outputs, of what is forgotten, and so on: each kind in one line of the gate."""
_FEW = 3


class ReadPlan(Step):
    id = "read-plan"
    title = "Read the plan"
    why = "Destroys and replacements first, above all of what holds state or traffic; what drifted; what it costs."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(("show", str(context.folder / PLAN_FILE))),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        changes = context.result("plan")["changes"]
        (context.folder / COST_DOCUMENT).unlink(missing_ok=True)
        ended = context.terraform(root.terraform, commands.show_plan(context.folder / PLAN_FILE), "show")
        if ended.code:
            raise failure(context, root, ended, "The plan cannot be read.")
        write_private(context.folder / PLAN_DOCUMENT, ended.output())
        read = plan.read(ended.output())
        learn_secrets(context)
        _refuse_unknown_targets(context, read)
        refuse_other_controllers(read)
        table = stateful.load()
        # A replacement of what holds nothing is how task definitions are deployed; it stands in the plan like any change.
        dangers = [
            f"{each.change.address} is {'replaced' if each.change.kind is Kind.REPLACE else 'destroyed'}"
            f"{f': this loses {each.lost}' if each.lost else ''}"
            for each in read.dangerous(table)
            if not each.change.is_data and (each.lost or each.change.kind is not Kind.REPLACE)
        ]
        lines = plan_lines(read)
        unfinished = earlier_applies.unfinished(context.folder.parent, root)
        put_back = earlier_applies.is_put_back(context.folder.parent, root)
        tag = context.inputs.get("image_tag", "")
        findings = review(read, table, image_tag=tag, failed=unfinished, put_back=put_back)
        missing = missing_images(context, read)
        lines_of_strays = _strays(context, root, read)
        _say_findings(context, (*findings, *missing))
        totals = read.totals()
        words = totals.words() if changes or totals.changing or totals.deferred else "nothing to do"
        infracost_words = _ask_infracost(context) if changes else ""
        effect = cost_effect(read, load_costs())
        context.note(f"The plan: {words}. {_together(effect.words(), infracost_words)}")
        context.output(*lines)
        context.evidence("plan", "\n".join((words, *dangers, *lines)))
        return {
            "words": words,
            "lines": lines[:LINES_SHOWN],
            "named": _named(read),
            "dangers": _few(dangers),
            # What is destroyed is among the dangers, with what is lost.
            "errors": [
                told(each) for each in (*missing, *findings) if each.level == "error" and each.id not in _DANGERS
            ],
            "warnings": _few(
                [told(each) for each in findings if each.level == "warning" and each.id not in _DANGERS],
                WARNINGS_SHOWN,
            ),
            "missing": [each.as_json() for each in missing],
            "cost": _together(effect.words() if effect.usd else "", infracost_words),
            "unfinished": list(unfinished),
            "put_back": put_back,
            "strays": lines_of_strays,
        }


def _strays(context: StepContext, root: Root, read: plan.Plan) -> list[str]:
    """For the gate: what earlier applies made, and the stored state still does not have."""
    if not context.open_strays(strays.place_of(root)):
        return []
    left = strays.review(context, root, stored_state(context, root) or b"")
    to_be_made = {each.address for each in read.changes if each.kind is Kind.CREATE}
    lines = strays.gate_lines(context, root, left, to_be_made)
    for line in lines:
        context.note(line.removeprefix(ERROR).removeprefix(WARNING), warning=True)
    return lines


def plan_lines(read: plan.Plan) -> list[str]:
    """The whole plan, first what no state tells of: the actions."""
    written = read.write_only()
    lines = [line for action in read.actions for line in action.lines()]
    for change in read.changes:
        lines += change_lines(change)
        lines += [f"    ~ {name}: (write-only: sent, and stored nowhere)" for name in written.get(change.address, ())]
    lines += [line for output in read.outputs for line in output_lines(output)]
    lines += [f"? {each.change.address}  put off: {each.reason}" for each in read.deferred]
    lines += [f"? {each.address}  put off: {each.deferred}" for each in read.deferred_actions]
    return lines + [f"? {name}: a part of the plan that is not known here" for name in read.unknown_parts]


def _named(read: plan.Plan) -> list[str]:
    """For the gate, however long the plan is: what its lines may be too many to show."""
    forgotten = [each.address for each in read.changes if each.forgets]
    outputs = [f"{each.name} ({each.kind})" for each in read.outputs]
    actions = [f"{each.address} {each.when}" for each in read.actions]
    put_off = [*(each.change.address for each in read.deferred), *(each.address for each in read.deferred_actions)]
    found = (
        (f"{WARNING}Actions invoked: ", actions),
        (f"{WARNING}Forgotten, which stay in AWS and are managed by nobody: ", forgotten),
        ("Outputs that change: ", outputs),
        ("Put off to a later plan: ", put_off),
        (f"{WARNING}Parts of the plan that are not known here: ", list(read.unknown_parts)),
    )
    return [f"{words}{', '.join(_few(names, NAMES_SHOWN))}" for words, names in found if names]


_DANGERS = ("stateful-destroyed", "stateful-replaced", "stateful-deposed", "unexpected-destroy")


def _few(told: Sequence[str], most: int = LINES_SHOWN) -> list[str]:
    """The weightiest come first. A gate of thousands of lines hides what else stands in it."""
    if len(told) <= most:
        return list(told)
    return [*told[:most], f"… and {len(told) - most:,} more: ctrl+o on the run's screen shows them all"]


def told(finding: Finding) -> str:
    return f"{finding.subject}: {finding.message} {finding.mend}".strip()


def _together(*words: str) -> str:
    return "; ".join(part for part in words if part)


def _refuse_unknown_targets(context: StepContext, read: plan.Plan) -> None:
    """Raises UsageError where a target is at no resource: Terraform itself finds nothing to do then, as if all were well."""
    if not (given := context.inputs.get("targets", "")):
        return
    there = read.addresses()
    unknown = [each for each in addresses.split(given) if not any(_is_below(address, each) for address in there)]
    if unknown:
        raise UsageError(
            f"There is nothing at {', '.join(unknown)}, in the code or in the state.",
            cause="Terraform takes a target that it does not find for one at which nothing is to be done.",
            mend="Give the address as terraform state list or the plan has it: module.NAME, TYPE.NAME, with its key or without.",
        )


def _is_below(address: str, target: str) -> bool:
    return address == target or address.startswith((f"{target}.", f"{target}["))


def _ask_infracost(context: StepContext) -> str:
    """What it says of the plan, in words; "" where it is not installed or says nothing of use, which then is noted."""
    path = infracost.program(os.environ)
    if not path:
        return ""
    context.progress("asking infracost what it costs")
    try:
        document = infracost.ask(path, context.folder / PLAN_DOCUMENT, os.environ)
        words = infracost.parse(document).words()
    except infracost.NoEstimate as error:
        context.note(f"{error.title} {error.cause}".strip())
        return ""
    write_private(context.folder / COST_DOCUMENT, document)
    return words


def _say_findings(context: StepContext, findings: Sequence[Finding]) -> None:
    """Whole what is wrong; of what is only worth knowing, how much there is: the plan's own screen has it all."""
    counted = Counter(finding.id for finding in findings if finding.level == "info")
    for finding in findings:
        if finding.level != "info":
            context.note(told(finding), warning=True)
        elif counted[finding.id] <= _FEW:
            context.note(f"{finding.subject}: {finding.message}")
    for rule, count in counted.items():
        if count > _FEW:
            first = next(finding for finding in findings if finding.id == rule)
            context.note(f"{count} times, as {first.subject}: {first.message}")


def planned(context: StepContext) -> dict[str, int]:
    """By address, how many operations Terraform will tell of it: a replacement is a destroy and a create."""
    try:
        document = files.read(context.folder / PLAN_DOCUMENT, files.MOST_STATE_BYTES)
    except OSError:
        return {}
    found: dict[str, int] = {}
    read = plan.read(document)
    for change in read.changes:
        if not change.is_data and (parts := _PARTS.get(change.kind, 0)):
            found[change.address] = found.get(change.address, 0) + parts
    for action in read.actions:
        found[action.address] = found.get(action.address, 0) + 1
    return found


_PARTS = {Kind.CREATE: 1, Kind.UPDATE: 1, Kind.DESTROY: 1, Kind.REPLACE: 2}


def learn_secrets(context: StepContext) -> None:
    """Those of the plan that was read. An executor that goes on with a run has learned none of them yet."""
    try:
        document = files.read(context.folder / PLAN_DOCUMENT, files.MOST_STATE_BYTES)
    except OSError:
        return
    context.learn_secret(*plan.read(document).secrets())


_SIGNS = {
    Kind.CREATE: "+",
    Kind.UPDATE: "~",
    Kind.REPLACE: "-/+",
    Kind.DESTROY: "-",
    Kind.FORGET: "forget",
}


def change_lines(change: plan.Change) -> list[str]:
    """A line for the change, and one for each attribute that counts; nothing for what stays or is only read."""
    sign = _SIGNS.get(change.kind)
    if change.kind is Kind.OTHER:
        return [f"? {change.address}  {' and '.join(change.actions) or 'an action'}: not known here"]
    if sign is None and not change.previous_address and not change.importing_id:
        return []
    because = f"  {_why(change)}" if change.kind is Kind.REPLACE else ""
    moved = f"  moved from {change.previous_address}" if change.previous_address else ""
    imported = f"  imported as {change.importing_id}" if change.importing_id else ""
    lines = [f"{sign or '→'} {change.address}{because}{moved}{imported}"]
    if change.kind in (Kind.UPDATE, Kind.REPLACE):
        lines += [
            f"    {line}" for each in change.attributes() if each.counts for line in _attribute_lines(change, each)
        ]
    return lines


def output_lines(output: plan.OutputChange) -> list[str]:
    """As a change's; masked where it is sensitive."""
    sides = [MASK if output.sensitive and side is not None else side for side in (output.before, output.after)]
    before, after = (None if side is None else shown(side) for side in sides)
    if output.unknown and output.after is None:
        after = "(known after apply)"
    words = " → ".join(side for side in (before, after) if side is not None) or "null"
    return [f"{_SIGNS.get(output.kind, '?')} output.{output.name}: {words}"]


def _why(change: plan.Change) -> str:
    return f"forced by {', '.join(change.forced_by)}" if change.forced_by else change.reason


def _attribute_lines(change: plan.Change, each: AttributeChange) -> Sequence[str]:
    if not each.unknown:
        return each.lines()
    # Of what is made anew, ids and ARNs are always to be known later: that says nothing.
    return () if change.kind is Kind.REPLACE else (f"~ {each.name}: {shown(each.before)} → (known after apply)",)
