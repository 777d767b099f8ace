"""What a plan says, read for whoever has to approve it: what is lost, what is wrong, what it costs, line by line.

What `terraform show -json` means is from Terraform's documentation (JSON Output Format).
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.aws.ecr import Ecr, parse_image
from infraconsole.checks import infracost, stateful
from infraconsole.checks.costs import cost_effect
from infraconsole.checks.costs import load as load_costs
from infraconsole.checks.findings import Finding
from infraconsole.checks.plan_review import coming_images, review
from infraconsole.engine.runbook import Step, StepContext
from infraconsole.errors import AwsError
from infraconsole.runbooks.terraform_root import failure, root_of, write_private
from infraconsole.terraform import commands, plan
from infraconsole.terraform.attributes import AttributeChange, shown
from infraconsole.terraform.plan import Kind

PLAN_FILE = "plan.tfplan"
PLAN_DOCUMENT = "plan.json"
COST_DOCUMENT = "cost.json"
LINES_SHOWN = 40
_FEW = 3
_ROLLED_OUT = ("aws_ecs_service", "aws_ecs_task_definition")


class ReadPlan(Step):
    id = "read-plan"
    title = "Read the plan"
    why = "Destroys and replacements first, above all of what holds state or traffic; what drifted; what it costs."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(("show", str(context.folder / PLAN_FILE))),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if not context.result("plan")["changes"]:
            return {
                "words": "nothing to do",
                "lines": [],
                "dangers": [],
                "errors": [],
                "rolls_out": False,
                "count": 0,
                "cost": "",
                "missing": [],
            }
        root = root_of(context)
        ended = context.terraform(root.terraform, commands.show_plan(context.folder / PLAN_FILE), "show")
        if ended.code:
            raise failure(ended, "The plan cannot be read.")
        write_private(context.folder / PLAN_DOCUMENT, ended.output())
        read = plan.read(ended.output())
        learn_secrets(context)
        table = stateful.load()
        # A replacement of what holds nothing is how task definitions are deployed; it stands in the plan like any change.
        dangers = [
            f"{each.change.address} is {'replaced' if each.change.kind is Kind.REPLACE else 'destroyed'}"
            f"{f': this loses {each.lost}' if each.lost else ''}"
            for each in read.dangerous(table)
            if not each.change.is_data and (each.lost or each.change.kind is not Kind.REPLACE)
        ]
        lines = [line for change in read.changes for line in change_lines(change)]
        findings = review(read, table, image_tag=context.inputs.get("image_tag", ""))
        _say_findings(context, findings)
        missing = _missing_images(context, read)
        for words in missing:
            context.note(words, warning=True)
        totals = read.totals()
        cost = cost_effect(read, load_costs())
        context.note(f"The plan: {totals.words()}. {cost.words()}")
        estimated = _estimated(context)
        context.output(*lines)
        context.evidence("plan", "\n".join((totals.words(), *dangers, *lines)))
        return {
            "words": totals.words(),
            "lines": lines[:LINES_SHOWN],
            "dangers": dangers,
            "errors": _errors(findings, dangers),
            "rolls_out": any(each.type in _ROLLED_OUT for each in read.changes if each.kind is not Kind.NO_OP),
            "count": _operations(totals),
            "cost": estimated,
            "missing": missing,
        }


def _missing_images(context: StepContext, read: plan.Plan) -> list[str]:
    """What the plan brings that ECR does not have: its tasks would never start. What cannot be told is not said."""
    missing: list[str] = []
    for image in map(parse_image, coming_images(read)):
        if not image.in_ecr or image.region != context.target.region:
            continue
        with contextlib.suppress(AwsError):
            if Ecr(context.reads).image(image) is None:
                missing.append(f"{image.text} is not in ECR: no task can start with it.")
    return missing


def _estimated(context: StepContext) -> str:
    """What infracost says, "" where it is not installed; that it cannot say anything is no failure of the plan's."""
    context.progress("infracost is asked, where it is installed")
    found = infracost.ask(context.folder / PLAN_DOCUMENT, os.environ)
    if found is None:
        return ""
    estimate, said = found
    context.note(estimate.words())
    write_private(context.folder / COST_DOCUMENT, said)
    return "" if estimate.problem else estimate.words()


def _errors(findings: Sequence[Finding], dangers: Sequence[str]) -> list[str]:
    """What the review calls an error, as the gate shows it; without what stands among the dangers anyway."""
    return [
        f"{finding.subject}: {finding.message}"
        for finding in findings
        if finding.level == "error" and not any(danger.startswith(f"{finding.subject} is ") for danger in dangers)
    ]


def _say_findings(context: StepContext, findings: Sequence[Finding]) -> None:
    """Whole what is wrong; of what is only worth knowing, how much there is: the plan's own screen has it all."""
    told = Counter(finding.id for finding in findings if finding.level == "info")
    for finding in findings:
        if finding.level != "info":
            context.note(f"{finding.subject}: {finding.message} {finding.mend}".strip(), warning=True)
        elif told[finding.id] <= _FEW:
            context.note(f"{finding.subject}: {finding.message}")
    for rule, count in told.items():
        if count > _FEW:
            first = next(finding for finding in findings if finding.id == rule)
            context.note(f"{count} times, as {first.subject}: {first.message}")


def _operations(totals: plan.Totals) -> int:
    """As Terraform tells them one by one: a replacement is a destroy and a create."""
    return totals.to_add + totals.to_change + totals.to_destroy


def learn_secrets(context: StepContext) -> None:
    """Those of the plan that was read. An executor that goes on with a run has learned none of them yet."""
    try:
        document = (context.folder / PLAN_DOCUMENT).read_bytes()
    except OSError:
        return
    for secret in plan.read(document).secrets():
        context.learn_secret(secret)


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
    if sign is None and not change.previous_address and not change.importing_id:
        return []
    because = f"  forced by {', '.join(change.forced_by)}" if change.kind is Kind.REPLACE else ""
    moved = f"  moved from {change.previous_address}" if change.previous_address else ""
    imported = f"  imported as {change.importing_id}" if change.importing_id else ""
    lines = [f"{sign or '→'} {change.address}{because}{moved}{imported}"]
    if change.kind in (Kind.UPDATE, Kind.REPLACE):
        lines += [
            f"    {line}" for each in change.attributes() if each.counts for line in _attribute_lines(change, each)
        ]
    return lines


def _attribute_lines(change: plan.Change, each: AttributeChange) -> Sequence[str]:
    if not each.unknown:
        return each.lines()
    # Of what is made anew, ids and ARNs are always to be known later: that says nothing.
    return () if change.kind is Kind.REPLACE else (f"~ {each.name}: {shown(each.before)} → (known after apply)",)
