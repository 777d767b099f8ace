"""Rows and stories of exports. Plain functions of parameters, findings, code and time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from textual.content import Content

from infraconsole import text
from infraconsole.aws.ssm import SECURE, Parameter
from infraconsole.checks.findings import Finding
from infraconsole.checks.trace import ImpactLine
from infraconsole.exports.survey import Expected
from infraconsole.screens.times import when
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said
from infraconsole.secret_places import MASK, masked
from infraconsole.terraform.exports import Consumer, Producer, Trace

MISSING = "missing"
ORDERS = ("name", "findings", "changed", "type")
"""What the list can be sorted by, in the order in which `o` goes through them."""

TONES = {"error": BAD, "warning": WARN, "info": DIM}
_WEIGHT = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Entry:
    """An export as the screen knows it: `parameter` is None where it should be there and is not."""

    name: str
    parameter: Parameter | None = None
    findings: tuple[Finding, ...] = ()
    expected: Expected = field(default_factory=Expected)
    consumers: tuple[Consumer, ...] = ()
    producers: tuple[Producer, ...] = field(default=(), compare=False)

    @property
    def tone(self) -> str:
        if not self.findings:
            return GOOD
        return TONES[min(self.findings, key=lambda finding: _WEIGHT[finding.level]).level]

    @property
    def owner(self) -> str:
        """The module that writes it; "" where none is known."""
        return self.expected.owner or (self.producers[0].module if self.producers else "")

    @property
    def weight(self) -> int:
        return min((_WEIGHT[finding.level] for finding in self.findings), default=3)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(consumer.service for consumer in self.consumers))


def entry(
    name: str,
    parameter: Parameter | None,
    findings: tuple[Finding, ...],
    trace: Trace | None,
    expected: Expected | None,
) -> Entry:
    return Entry(
        name,
        parameter,
        findings,
        expected or Expected(),
        trace.consumers_of(name) if trace else (),
        trace.producers_of(name) if trace else (),
    )


def entries(
    parameters: Mapping[str, Parameter],
    findings: Mapping[str, tuple[Finding, ...]],
    trace: Trace | None,
    expected: Mapping[str, Expected],
) -> tuple[Entry, ...]:
    """Every parameter, and every export that a finding says is missing, by name."""
    absent = (name for name, found in findings.items() if any(finding.id == "export-missing" for finding in found))
    consumers: defaultdict[str, list[Consumer]] = defaultdict(list)
    producers: defaultdict[str, list[Producer]] = defaultdict(list)
    for consumer in trace.consumers if trace else ():
        if not consumer.by_path:
            consumers[consumer.name].append(consumer)
    by_path = [consumer for consumer in trace.consumers if consumer.by_path] if trace else []
    for producer in trace.producers if trace else ():
        producers[producer.name].append(producer)
    nothing = Expected()
    return tuple(
        Entry(
            name,
            parameters.get(name),
            findings.get(name, ()),
            expected.get(name, nothing),
            (*consumers.get(name, ()), *(each for each in by_path if each.reads(name))),
            tuple(producers.get(name, ())),
        )
        for name in sorted({*parameters, *absent})
    )


def sorted_by(found: Iterable[Entry], order: str) -> list[Entry]:
    match order:
        case "findings":
            return sorted(found, key=lambda entry: (entry.weight, entry.name))
        case "changed":
            return sorted(found, key=lambda entry: (-_changed(entry), entry.name))
        case "type":
            return sorted(found, key=lambda entry: (entry.parameter.type if entry.parameter else "", entry.name))
    return sorted(found, key=lambda entry: entry.name)


def _changed(entry: Entry) -> float:
    at = entry.parameter.modified_at if entry.parameter else None
    return at.timestamp() if at else 0.0


COLUMNS = (
    Column("mark", "", 1),
    Column("name", "export", 30, stretch=True),
    Column("value", "value", 20, stretch=True),
    Column("type", "type", 12, rank=3),
    Column("version", "ver", 3, rank=4, right=True),
    Column("changed", "changed", 7, rank=1, right=True),
    Column("used", "used by", 10, rank=2),
    Column("who", "by", 20, rank=6),
    Column("key", "key", 10, rank=7),
)
FOLDER_COLUMNS = (
    Column("mark", "", 1),
    Column("folder", "path", 14, stretch=True),
    Column("count", "", 5, right=True),
)


def shown_value(parameter: Parameter, revealed: str | None = None) -> str:
    if parameter.type == SECURE:
        return revealed if revealed is not None else MASK
    return "…" if parameter.value is None else masked(parameter.value)


def export_rows(
    found: Iterable[Entry],
    folder: str,
    now: datetime,
    revealed: Mapping[str, str],
    *,
    checked: bool,
    traced: bool,
) -> Iterable[Row]:
    """`folder` is the path whose exports are shown: names are relative to it."""
    for entry in found:
        more = " ".join(
            (
                entry.name,
                *(f"finding:{finding.level} finding:{finding.id}" for finding in entry.findings),
                *(f"consumer:{service}" for service in entry.services),
                f"type:{entry.parameter.type}" if entry.parameter else f"type:{MISSING}",
            )
        )
        name = entry.name.removeprefix(f"{folder}/")
        mark = Cell(MARKS[entry.tone] if checked or entry.findings else "·", entry.tone if checked else DIM)
        parameter = entry.parameter
        if parameter is None:
            needed = entry.weight <= 1
            told = f"{MISSING}: apply {entry.owner}" if entry.owner else MISSING
            value = Cell(told, BAD) if needed else Cell("not there", DIM)
            yield Row(entry.name, {"mark": mark, "name": Cell(name, STRONG if needed else DIM), "value": value}, more)
            continue
        secret = parameter.type == SECURE
        cells = {
            "mark": mark,
            "name": Cell(name, PLAIN if entry.tone in (GOOD, DIM) else STRONG),
            "value": Cell(shown_value(parameter, revealed.get(entry.name)), DIM if secret else PLAIN, tail=True),
            "type": Cell(parameter.type, DIM),
            "version": Cell(str(parameter.version), DIM),
            "changed": Cell(text.ago(parameter.modified_at, now), DIM),
            "used": _used(entry, traced),
            "who": Cell(_who(parameter.modified_by), DIM),
            "key": Cell(parameter.key_id.rpartition("/")[2], DIM),
        }
        yield Row(entry.name, cells, more)


def _used(entry: Entry, traced: bool) -> Cell:
    if not traced:
        return Cell("…", DIM)
    services = entry.services
    if not services:
        return Cell("nobody", DIM)
    return Cell(short_owner(services[0]) if len(services) == 1 else f"{len(services)} readers")


def _who(arn: str) -> str:
    """The part of an ARN that a person knows somebody by."""
    return arn.rpartition(":")[2].removeprefix("assumed-role/").removeprefix("user/")


def folder_rows(found: Sequence[Entry], root: str) -> Iterable[Row]:
    """The paths from the root down, each with how many exports lie below it and the worst that is said of them."""
    counts: Counter[str] = Counter()
    worst: dict[str, Entry] = {}
    for entry in found:
        parts = entry.name.removeprefix(root).strip("/").split("/")[:-1]
        for depth in range(len(parts) + 1):
            folder = "/".join((root, *parts[:depth]))
            counts[folder] += 1
            if folder not in worst or entry.weight < worst[folder].weight:
                worst[folder] = entry
    for folder in sorted(counts, key=lambda path: path.split("/")):
        depth = folder.count("/") - root.count("/")
        tone = worst[folder].tone
        name = "  " * depth + (folder.rpartition("/")[2] if depth else folder)
        cells = {
            "mark": Cell(MARKS[tone] if tone in (BAD, WARN) else " ", tone),
            "folder": Cell(name, STRONG if not depth else PLAIN),
            "count": Cell(str(counts[folder]), DIM),
        }
        yield Row(folder, cells)


def short_place(file: str, line: int | None) -> str:
    """The file's own name: whose it is stands beside it."""
    return place(file.rpartition("/")[2], line)


def short_owner(reader: str) -> str:
    """A service, or the module of the infrastructure repository that reads its own exports."""
    return reader.removeprefix("infrastructure/")


def finding_parts(findings: Iterable[Finding]) -> list[Part]:
    parts: list[Part] = []
    for finding in findings:
        tone = TONES[finding.level]
        parts.append((f"{MARKS[tone]} {finding.message}", tone))
        if finding.mend:
            parts.append(f"  {finding.mend}")
        if finding.file:
            parts.append((f"  {place(finding.file, finding.line)}", DIM))
    return parts


def place(file: str, line: int | None) -> str:
    return f"{file}:{line}" if line else file


def change_warning(impact: Sequence[ImpactLine]) -> str:
    """What a change of the value would do, in a sentence; "" where nobody is known to see it."""
    if not impact:
        return ""
    readers = {short_owner(line.service) for line in impact}
    where = next(iter(readers)) if len(readers) == 1 else f"{len(readers)} places"
    count = len({(line.service, line.address) for line in impact})
    replaced = len({(line.service, line.address) for line in impact if line.replaces})
    seen = f"1 resource in {where} sees this value" if count == 1 else f"{count} resources in {where} see this value"
    if not replaced:
        return f"{seen}; a change shows in the next plan."
    return f"{seen}. If it changes, the next apply destroys and recreates {replaced} of them: plan before you apply."


def story(entry: Entry, now: datetime, revealed: str | None = None, impact: Sequence[ImpactLine] = ()) -> Content:
    """All that is known of one export but its history and the code."""
    rows: list[Part | Content] = [*finding_parts(entry.findings)]
    if warning := change_warning(impact):
        rows.append((warning, WARN if any(line.replaces for line in impact) else DIM))
    if rows:
        rows.append("")
    parameter = entry.parameter
    if parameter is None:
        rows.append(("It does not exist.", BAD))
        if entry.owner:
            rows.append(f"The module {entry.owner} of the infrastructure repository writes it.")
        return lines(rows)
    if parameter.type == "StringList" and parameter.value is not None:
        items = masked(parameter.value).split(",")
        rows.append((f"value ({len(items)} items)", DIM))
        rows += [f"  {item}" for item in items]
    else:
        rows.append(said(("value      ", DIM), shown_value(parameter, revealed)))
    if parameter.type == SECURE and revealed is None:
        rows.append(("           u shows it for a while; that is recorded in the journal", DIM))
    for name, value in (
        ("type", parameter.type),
        ("version", str(parameter.version)),
        ("changed", when(parameter.modified_at, now)),
        ("by", parameter.modified_by),
        ("about", parameter.description),
        ("tier", parameter.tier),
        ("key", parameter.key_id),
        ("data type", parameter.data_type),
        ("ARN", parameter.arn),
        ("module", entry.owner),
    ):
        if value:
            rows.append(said((f"{name:<11}", DIM), value))
    return lines(rows)
