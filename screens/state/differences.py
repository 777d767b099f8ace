"""Rows and stories of what differs between two states. Plain functions; values are masked before they come here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from textual.content import Content

from infraconsole import text
from infraconsole.aws.s3 import StoredObject
from infraconsole.redaction import MASK
from infraconsole.screens.plan.attributes import SHOWN_CHARACTERS, attribute_lines
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said
from infraconsole.terraform.attributes import shown
from infraconsole.terraform.state_diff import Difference, InstanceDifference, OutputDifference, StateComparison

COLUMNS = (
    Column("sign", "", 1),
    Column("what", "address", 30, stretch=True),
    Column("why", "", 20, rank=1),
)
SIGNS: Mapping[Difference, tuple[str, str]] = {
    Difference.ADDED: ("+", GOOD),
    Difference.REMOVED: ("-", BAD),
    Difference.CHANGED: ("~", WARN),
    Difference.MOVED: ("→", STRONG),
}

Subject = InstanceDifference | OutputDifference


def subjects(comparison: StateComparison) -> dict[str, Subject]:
    """By the keys of their rows, in the order in which they are shown: what is gone or moved first, data sources last."""
    order = [Difference.REMOVED, Difference.MOVED, Difference.ADDED, Difference.CHANGED]
    found: dict[str, Subject] = {}
    for each in sorted(comparison.resources, key=lambda each: order.index(each.difference)):
        found[f"r:{each.address} {each.deposed}"] = each
    found |= {f"o:{output.name}": output for output in comparison.outputs}
    return found | {f"s:{each.address}": each for each in comparison.data_sources}


def rows(found: Mapping[str, Subject]) -> Iterable[Row]:
    for key, each in found.items():
        sign, tone = SIGNS[each.difference]
        if isinstance(each, OutputDifference):
            name, why = f"output.{each.name}", str(each.difference)
        else:
            name, why = each.address, _why(each)
        yield Row(key, {
            "sign": Cell(sign, tone),
            "what": Cell(name, DIM if key.startswith("s:") else PLAIN),
            "why": Cell(why, DIM),
        }, f"kind:{each.difference}")  # fmt: skip


def _why(each: InstanceDifference) -> str:
    if each.deposed:
        return f"{each.difference}, deposed"
    if each.is_another_object:
        return "replaced in between"
    return "data source" if each.is_data else str(each.difference)


def headline(comparison: StateComparison, older: StoredObject, newer: StoredObject, now: datetime) -> Content:
    before, after = comparison.before, comparison.after
    first: list[Part] = [
        (f"From serial {before.serial}", STRONG),
        (f" ({text.ago(older.modified_at, now)} old)", DIM),
        (f" to serial {after.serial}", STRONG),
        (f" ({text.ago(newer.modified_at, now)} old): ", DIM),
        "they say the same." if comparison.is_empty else f"{comparison.words()}.",
    ]
    second: list[Part] = []
    if not comparison.is_same_lineage:
        second.append((f"{MARKS[BAD]} They are not versions of one state: their lineages differ.  ", BAD))
    if before.terraform_version != after.terraform_version:
        second.append((f"Terraform {before.terraform_version} → {after.terraform_version}.", DIM))
    return lines([said(*first), said(*second)] if second else [said(*first)])


def story(each: Subject, width: int, most: int = SHOWN_CHARACTERS) -> Content:
    """All that differs in one thing. Blocks for as long as its attributes take: for a thread."""
    if isinstance(each, OutputDifference):
        return lines(_output(each))
    sign, tone = SIGNS[each.difference]
    rows: list[Part | Content] = [(each.address, STRONG), said((f"{sign} {each.difference}", tone))]
    if each.previous_address:
        rows.append(f"was {each.previous_address}: the same object at another address")
    if each.is_another_object:
        rows.append((f"{MARKS[WARN]} Another object stands at this address: it was replaced in between.", WARN))
    if each.deposed:
        rows.append((f"deposed ({each.deposed}): what an earlier replacement left behind", DIM))
    if bookkeeping := each.bookkeeping():
        rows.append((f"Terraform's own notes differ: {', '.join(bookkeeping)}", DIM))
    found = each.attributes()
    told = ["", *attribute_lines(found, width, most)] if found else [("No attribute differs.", DIM)]
    return lines([*rows, *told])


def _output(output: OutputDifference) -> list[Part | Content]:
    sign, tone = SIGNS[output.difference]
    rows: list[Part | Content] = [(f"output.{output.name}", STRONG), said((f"{sign} {output.difference}", tone))]
    for mark, side, side_tone in (("-", output.before, BAD), ("+", output.after, GOOD)):
        if side is not None:
            rows.append((f"{mark} {MASK if output.sensitive else shown(side)}", side_tone))
    if output.sensitive:
        rows.append(("It is sensitive.", DIM))
    return rows
