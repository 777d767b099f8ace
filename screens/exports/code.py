"""The code on both sides of an export, and its versions: rows and stories. Plain functions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.content import Content

from infraconsole import text
from infraconsole.aws.ssm import ParameterVersion
from infraconsole.checks.trace import ImpactLine
from infraconsole.redaction import MASK
from infraconsole.screens.exports.cells import Entry, place, short_owner, short_place
from infraconsole.screens.times import when
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said

CODE_COLUMNS = (
    Column("what", "", 7),
    Column("where", "whose", 8),
    Column("address", "resource", 18, stretch=True),
    Column("attribute", "attribute", 10, rank=2),
    Column("place", "file", 16, rank=1),
)
HISTORY_COLUMNS = (
    Column("mark", "", 1),
    Column("version", "ver", 4, right=True),
    Column("changed", "changed", 7, right=True),
    Column("value", "value", 16, stretch=True),
    Column("who", "by", 16, rank=1),
    Column("labels", "labels", 8, rank=2),
)
_BAR = "\x1f"


def verdict(entry: Entry) -> str:
    return MARKS[entry.tone]


def code_rows(entry: Entry | None, impact: Sequence[ImpactLine]) -> Iterable[Row]:
    """Who writes it, who reads it, and what would see a change; what Terraform would replace comes first of those."""
    if entry is None:
        return
    for producer in entry.producers:
        value = "; ".join(filter(None, (producer.value, _in(producer.elsewhere))))
        yield _row("writes", producer.module, producer.address, value, producer.file, producer.line, GOOD)
    for use in impact:
        what, tone = ("replace", BAD) if use.replaces else ("change", WARN)
        whose = f"{short_owner(use.service)} {use.environment}".strip()
        yield _row(what, whose, use.address, use.attribute, use.file, use.line, tone)
    for consumer in entry.consumers:
        whose = f"{short_owner(consumer.service)} {consumer.environment}".strip()
        mapped = ", ".join(filter(None, (*consumer.locals, _in(consumer.elsewhere))))
        yield _row("reads", whose, consumer.address, mapped, consumer.file, consumer.line, PLAIN)


def _in(elsewhere: str) -> str:
    return f"in {elsewhere}" if elsewhere else ""


def _row(what: str, whose: str, address: str, attribute: str, file: str, line: int, tone: str) -> Row:
    where = place(file, line)
    return Row(
        _BAR.join((what, whose, address, attribute, where)),
        {
            "what": Cell(what, tone),
            "where": Cell(whose),
            "address": Cell(_short_address(address)),
            "attribute": Cell(attribute, DIM),
            "place": Cell(short_place(file, line), DIM),
        },
    )


def _short_address(address: str) -> str:
    """Without what all of them begin with; the whole address is one key away."""
    return address.replace("data.aws_ssm_parameter.", "data.").replace("aws_", "", 1)


def place_of(key: str) -> str:
    return key.rpartition(_BAR)[2]


def line_story(row: Row) -> Content:
    what, whose, address, attribute, where = row.key.split(_BAR)
    told = {
        "writes": "This resource writes the export.",
        "replace": "If the value changes, Terraform replaces this resource: it destroys and recreates it.",
        "change": "If the value changes, the next plan changes this resource in place.",
        "reads": "This data source reads the export.",
    }[what]
    rows: list[Part | Content] = [told, ""]
    for name, value in (("whose", whose), ("address", address), ("attribute", attribute), ("at", where)):
        if value:
            rows.append(said((f"{name:<10}", DIM), value))
    return lines(rows)


def history_rows(history: Sequence[ParameterVersion], marked: int, now: datetime) -> Iterable[Row]:
    for index, version in enumerate(history):
        value = MASK if version.value is None else version.value
        yield Row(
            str(version.version),
            {
                "mark": Cell("•" if version.version == marked else " ", STRONG),
                "version": Cell(str(version.version), PLAIN if index else STRONG),
                "changed": Cell(text.ago(version.modified_at, now), DIM),
                "value": Cell(value),
                "who": Cell(version.modified_by.rpartition(":")[2].removeprefix("assumed-role/"), DIM),
                "labels": Cell(" ".join(version.labels), DIM),
            },
        )


def version_story(version: ParameterVersion, now: datetime) -> Content:
    rows: list[Part | Content] = []
    for name, value in (
        ("value", MASK if version.value is None else version.value),
        ("type", version.type),
        ("changed", when(version.modified_at, now)),
        ("by", version.modified_by),
        ("labels", ", ".join(version.labels)),
        ("about", version.description),
        ("key", version.key_id),
    ):
        if value:
            rows.append(said((f"{name:<10}", DIM), value))
    return lines(rows)


def version_diff(older: ParameterVersion, newer: ParameterVersion, now: datetime) -> Content:
    """Item by item where it is a list; what else differs stands below."""
    rows: list[Part | Content] = []
    if older.value is None or newer.value is None:
        rows.append(("The value of a SecureString is not compared.", DIM))
    elif older.value == newer.value:
        rows.append("The value is the same.")
    else:
        rows += _diff(_items(older), _items(newer))
    for name, before, after in (
        ("type", older.type, newer.type),
        ("about", older.description, newer.description),
        ("key", older.key_id, newer.key_id),
        ("labels", ", ".join(older.labels), ", ".join(newer.labels)),
    ):
        if before != after:
            rows.append(said((f"{name}: ", DIM), (before or "-", BAD), " → ", (after or "-", GOOD)))
    rows += [
        "",
        (f"{older.version} by {older.modified_by or '-'} at {when(older.modified_at, now)}", DIM),
        (f"{newer.version} by {newer.modified_by or '-'} at {when(newer.modified_at, now)}", DIM),
    ]
    return lines(rows)


def _items(version: ParameterVersion) -> list[str]:
    value = version.value or ""
    return value.split(",") if version.type == "StringList" else value.splitlines() or [""]


def _diff(before: list[str], after: list[str]) -> Iterable[Part]:
    for line in difflib.ndiff(before, after):
        if not line.startswith("?"):
            yield line, {"-": BAD, "+": GOOD}.get(line[0], PLAIN)
