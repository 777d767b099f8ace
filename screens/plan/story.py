"""What stands beside the rows of a plan: the headline, and everything known of what the cursor is on. Plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from infraconsole import text
from infraconsole.checks.costs import CostEffect
from infraconsole.checks.findings import Finding
from infraconsole.redaction import MASK
from infraconsole.screens.plan.attributes import SHOWN_CHARACTERS, attribute_lines
from infraconsole.screens.plan.reading import ReadPlan, Reviewed, Standing
from infraconsole.screens.plan.tree import (
    ACTIONS,
    CHANGES,
    DEFERRED,
    DRIFT,
    FILLED,
    FINDINGS,
    LOST,
    OUTPUTS,
    SIGNS,
    TONES,
    PlanTree,
    sign_of,
)
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said
from infraconsole.terraform.attributes import UNKNOWN, shown
from infraconsole.terraform.plan import Change, Dangerous, Deferred, Kind, ModuleNode, OutputChange, TypeGroup
from infraconsole.terraform.plan_actions import Action

_ABOUT = {
    LOST: "What these hold is gone after the apply, and no later apply brings it back. Each says what is lost.",
    FINDINGS: "What the review found in the plan, errors first. What is only worth knowing stands beside its change.",
    ACTIONS: "What providers are asked to do beside the changes. It is in no state: no later plan shows or undoes it.",
    CHANGES: "Every change, by module and type.",
    FILLED: "AWS tells more of these than the state does, as after an import. Nobody need have changed them.",
    DRIFT: "What AWS says now is not what the state says. The change of the same address says what becomes of it.",
    OUTPUTS: "Outputs of the root module that change.",
    DEFERRED: "Terraform cannot plan these yet; another plan has to follow this one.",
}


def headline(read: ReadPlan, reviewed: Reviewed | None, run: str, now: datetime, stands: Standing) -> Content:
    tree = read.tree
    plan = tree.plan
    found = reviewed.findings if reviewed else ()
    # What is lost has a list of its own.
    errors = sum(each.level == "error" and not each.id.startswith("stateful-") for each in found)
    worst = BAD if tree.lost or tree.totals.of(Kind.OTHER) or errors else WARN if tree.dangerous else STRONG
    mark = {BAD: MARKS[BAD], WARN: MARKS[WARN]}.get(worst, "")
    words = tree.totals.words()
    first: list[Part] = [(f"{mark} {words[:1].upper()}{words[1:]}.".strip(), worst)]
    if not (tree.totals.changing or tree.totals.outputs or tree.totals.deferred):
        first = [(f"{MARKS[GOOD]} Nothing to do.", GOOD)]
    first.append((f"  planned {text.ago(plan.at or read.written_at, now)} ago, run {run}", DIM))
    second: list[Part] = []
    if stands.gone:
        second.append((f"{MARKS[WARN]} A new plan is being made: this is the one before.  ", WARN))
    if stands.newer:
        second.append((f"{MARKS[WARN]} Another plan has been made since: r reads it.  ", WARN))
    if stands.void:
        second.append((f"{MARKS[BAD]} This plan is void: {stands.void}.  ", BAD))
    if plan.is_errored:
        second.append((f"{MARKS[BAD]} Terraform ended in an error: this plan is not whole.  ", BAD))
    if errors:
        second.append((f"{MARKS[BAD]} {errors} error{'s' * (errors != 1)} in its review: /finding:error.  ", BAD))
    if stands.consumed:
        second.append(("This plan has been applied or its apply has begun.  ", STRONG))
    if reviewed is None:
        second.append(("reviewing…", DIM))
    elif tree.totals.changing:
        cost = reviewed.cost
        rest = f", {len(cost.unknown)} not counted" if cost.unknown and cost.usd is not None else ""
        second.append((f"Costs: {_known(cost)}{rest}.", DIM))
        if reviewed.infracost:
            second.append((f"  {reviewed.infracost}.", DIM))
    return lines([said(*first), said(*second)])


def story(tree: PlanTree, reviewed: Reviewed | None, key: str, width: int, most: int = SHOWN_CHARACTERS) -> Content:
    """All of what the row `key` stands for. Blocks for as long as its attributes take: for a thread."""
    subject = tree.subject(key)
    drifted = isinstance(subject, Change) and key.startswith("d:")
    match subject:
        case Change() as change if drifted:
            return lines(_drift(tree, change, width, most))
        case Change() as change:
            return lines(_change(tree, change, width, most))
        case Dangerous() as dangerous:
            return lines(_change(tree, dangerous.change, width, most))
        case Deferred() as deferred:
            put_off = said((f"Put off to a later plan: {deferred.reason}.", WARN))
            return lines([put_off, "", *_change(tree, deferred.change, width, most)])
        case Finding() as finding:
            return lines(_finding(tree, finding, width, most))
        case Action() as action:
            return lines(_action(tree, action, width, most))
        case OutputChange() as output:
            return lines(_output(output))
        case ModuleNode() as module:
            return lines([(module.path, STRONG), _sentence(module.totals().words())])
        case TypeGroup() as group:
            return lines([(group.type, STRONG), _sentence(group.totals().words())])
        case str() as section:
            return lines(_section(tree, reviewed, section))
    return Content()


def _known(cost: CostEffect) -> str:
    """What is known of the difference, in words."""
    if cost.usd is None:
        return "not known"
    return f"{cost.usd:+,.2f} USD a month" if cost.usd else "no difference that is known"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _section(tree: PlanTree, reviewed: Reviewed | None, section: str) -> list[Part | Content]:
    rows: list[Part | Content] = [_ABOUT.get(section, "Enter shows the rest of this list.")]
    if section == CHANGES:
        rows += ["", _sentence(tree.totals.words())]
        if reviewed is not None:
            cost = reviewed.cost
            rows += ["", said(("What it costs: ", STRONG), _known(cost))]
            rows += [said(f"  {line.usd:+,.2f}  {line.address}", (f"  {line.why}", DIM)) for line in cost.lines]
            rows += [said((f"  not counted: {what}", DIM)) for what in cost.unknown]
            rows += [f"  {reviewed.infracost}"] if reviewed.infracost else []
    return rows


def _change(tree: PlanTree, change: Change, width: int, most: int) -> list[Part | Content]:
    sign, word, tone = sign_of(change), *SIGNS[change.kind][1:]
    rows: list[Part | Content] = [(change.address, STRONG)]
    rows.append(said((f"{sign} {word}".strip(), tone), *_because(change)))
    if lost := tree.lost_of(change):
        rows.append((f"{MARKS[BAD]} This loses {lost}.", BAD))
    if change.kind is Kind.FORGET:
        rows.append(("It stays in AWS; Terraform no longer knows of it afterwards.", WARN))
    if names := tree.write_only.get(change.address):
        rows.append((f"Write-only, sent and stored nowhere: {', '.join(names)}.", DIM))
    if change.deposed:
        rows.append((f"It is what an earlier replacement left behind ({change.deposed}).", DIM))
    rows += _findings(tree.findings_of(change.address), lost)
    found = change.attributes()
    if found:
        rows += ["", *attribute_lines(found, width, most)]
    elif change.kind not in (Kind.MOVED, Kind.NO_OP):
        rows += ["", ("The plan names no attributes.", DIM)]
    return rows


def _because(change: Change) -> list[Part]:
    parts: list[Part] = []
    if change.kind is Kind.REPLACE:
        order = "the new one is made first" if change.creates_first else "the old one is destroyed first"
        parts.append((f", {order}", PLAIN))
    if change.reason:
        parts.append((f": {change.reason}", PLAIN))
    if change.previous_address:
        parts.append((f"\nmoved from {change.previous_address}", PLAIN))
    if change.importing_id:
        parts.append((f"\nimported as {change.importing_id}", PLAIN))
    return parts


def _findings(found: Sequence[Finding], lost: str) -> list[Part | Content]:
    """Without repeating what is lost."""
    rows: list[Part | Content] = []
    for finding in found:
        tone = TONES[finding.level]
        message = finding.message.replace(f" This loses {lost}.", "") if lost else finding.message
        rows.append((f"{MARKS[tone]} {message}", tone))
        if finding.mend:
            rows.append(f"  {finding.mend}")
    return rows


def _finding(tree: PlanTree, finding: Finding, width: int, most: int) -> list[Part | Content]:
    about = next((each for each in tree.plan.changes if each.address == finding.subject), None)
    if about is not None:
        return _change(tree, about, width, most)
    return [(finding.subject, STRONG), *_findings([finding], "")]


def _drift(tree: PlanTree, change: Change, width: int, most: int) -> list[Part | Content]:
    gone = change.kind is Kind.DESTROY
    what = "It was deleted outside of Terraform." if gone else "Changed outside of Terraform."
    if tree.put_back:
        what = (
            "It was removed after the state that was put back."
            if gone
            else "AWS is ahead of the state that was put back."
        )
    if change.only_fills:
        what = "The state had no value where AWS has one."
    rows: list[Part | Content] = [(change.address, STRONG), (f"! {what}", WARN)]
    rows += _findings(tree.findings_of(change.address), "")
    counting = () if gone else change.drifted()
    before = "as the state says" if tree.put_back else "as the last apply left it"
    if counting:
        rows += ["", (f"- {before}, + as AWS says now", DIM), *attribute_lines(counting, width, most)]
    return rows


def _action(tree: PlanTree, action: Action, width: int, most: int) -> list[Part | Content]:
    rows: list[Part | Content] = [(action.address, STRONG), (f"> invoked {action.when}", WARN)]
    if action.deferred:
        rows[1:] = [(f"Put off to a later plan: {action.deferred}.", WARN), f"It would be invoked {action.when}."]
    rows += _findings(tree.findings_of(action.address), "")
    found = action.attributes()
    return [*rows, "", *(attribute_lines(found, width, most) if found else [("It is given nothing.", DIM)])]


def _output(output: OutputChange) -> list[Part | Content]:
    rows: list[Part | Content] = [(f"output.{output.name}", STRONG), SIGNS[output.kind][1]]
    after = UNKNOWN if output.unknown and output.after is None else output.after
    for sign, side, tone in (("-", output.before, BAD), ("+", after, GOOD)):
        if side is not None:
            value = MASK if output.sensitive and side != UNKNOWN else shown(side)
            rows.append((f"{sign} {value}", tone))
    if output.sensitive:
        rows.append(("It is sensitive.", DIM))
    return rows
