"""Rows and stories of environments side by side. Plain functions of what the comparison says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from textual.content import Content

from infraconsole.checks.environments import Comparison, Line, Origin, Running, Side, Standing
from infraconsole.checks.service_judgement import revision_name
from infraconsole.checks.serving import ServiceFacts
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, MARKS, PLAIN, STRONG, WARN, Part, lines, said

_TONES = {
    Standing.MISSING: (MARKS[BAD], BAD),
    Standing.UNDECLARED: (MARKS[WARN], WARN),
    Standing.DRIFTED: (MARKS[WARN], WARN),
    Standing.DIFFERS: ("≠", STRONG),
    Standing.SAME: ("=", DIM),
}
NAME_WIDTH, SIDE_WIDTH = 22, 14
RUNS = "runs:"


def columns(environments: Sequence[str]) -> tuple[Column, ...]:
    """The later environments make room on a narrow terminal; `hidden` says which."""
    sides = [
        Column(f"side:{name}", name, SIDE_WIDTH, rank=0 if place == 0 else place, stretch=True)
        for place, name in enumerate(environments)
    ]
    return (Column("mark", "", 1), Column("name", "variable", NAME_WIDTH), *sides)


def line_rows(running: Sequence[Line], comparison: Comparison | None, environments: Sequence[str]) -> Iterable[Row]:
    """The worst first, what is the same everywhere last; of equal weight, what runs stands before the variables."""
    found = [(f"{RUNS}{line.name}", f"runs: {line.name}", line) for line in running]
    found += [(line.name, line.name, line) for line in (comparison.lines if comparison else ())]
    order = list(Standing)
    for key, name, line in sorted(found, key=lambda each: order.index(each[2].standing)):
        yield _row(key, name, line, environments)


def _row(key: str, name: str, line: Line, environments: Sequence[str]) -> Row:
    mark, tone = _TONES[line.standing]
    cells = {
        "mark": Cell(mark, tone),
        "name": Cell(name, tone if tone in (BAD, WARN) else PLAIN if line.standing is Standing.DIFFERS else DIM),
        **{f"side:{each}": _side(line.sides[each], line) for each in environments},
    }
    runs = " runs" if key.startswith(RUNS) else ""
    return Row(key, cells, f"{line.standing}{runs} {line.description} {line.hint}")


def _side(side: Side, line: Line) -> Cell:
    match side.origin:
        case Origin.MISSING:
            return Cell("-" if line.standing is not Standing.MISSING else f"{MARKS[BAD]} missing",
                        DIM if line.standing is not Standing.MISSING else BAD)  # fmt: skip
        case Origin.NO_FILE:
            return Cell("no file", DIM)
        case Origin.UNKNOWN:
            return Cell("…", DIM)
        case Origin.DEFAULT:
            return Cell(f"{side.words} (default)", DIM)
    if side.note:
        return Cell(f"{MARKS[WARN]} {side.words}", WARN)
    return Cell(side.words, DIM if line.standing is Standing.SAME else PLAIN)


def running_of(facts: ServiceFacts, environment: str) -> Running:
    definition, service = facts.serving or facts.definition, facts.service
    # Of a service scaled to 0 nothing serves: compared is what it would start.
    brought = facts.image(facts.definition) if facts.definition else "?"
    return Running(
        image_tag=facts.serving_image or brought,
        revision=revision_name(definition.arn if definition else service.task_definition).rpartition(":")[2],
        cpu=str(definition.cpu or "-") if definition else "?",
        memory=str(definition.memory or "-") if definition else "?",
        running=service.running,
        desired=service.desired,
        image=facts.application.container.image if facts.application else "",
        names=facts.names(environment),
    )


def summary(comparison: Comparison) -> list[Part]:
    counts = [(comparison.count(standing), standing) for standing in Standing]
    parts: list[Part] = []
    for count, standing in counts:
        if count and standing is not Standing.SAME:
            mark, tone = _TONES[standing]
            verb = {"missing": "missing somewhere", "undeclared": "undeclared", "differs": "differ"}.get(
                standing, standing
            )
            parts.append((f"{mark} {count} {verb}  ", tone))
    same = comparison.count(Standing.SAME)
    return [*parts, (f"{same} the same in all", DIM)]


def story(line: Line, environments: Sequence[str]) -> Content:
    """One line whole, with where each side comes from."""
    rows: list[Part | Content] = []
    if line.description:
        rows.append((line.description, DIM))
    if line.hint:
        mark, tone = _TONES[line.standing]
        rows.append((f"{mark} {line.hint}", tone))
    if line.secret:
        rows.append(("Its values are secret and masked; they are compared all the same.", DIM))
    if rows:
        rows.append("")
    width = max(map(len, environments), default=0)
    for name in environments:
        side = line.sides[name]
        rows.append(said((f"{name:<{width}}  ", STRONG), *_told(side)))
    if line.place:
        rows += ["", said(("declared at ", DIM), line.place)]
    return lines(rows)


def _told(side: Side) -> list[Part]:
    match side.origin:
        case Origin.MISSING:
            return [(side.note or "not there", WARN if side.note else DIM)]
        case Origin.NO_FILE:
            return [("it has no variables' file", DIM)]
        case Origin.UNKNOWN:
            return [("not known", DIM)]
        case Origin.DEFAULT:
            return [side.words, ("  the default", DIM)]
    return [
        side.words,
        *([(f"  {side.note}", WARN)] if side.note else []),
        (f"  {side.place}" if side.place else "", DIM),
    ]


def hidden(environments: Sequence[str], shown: Iterable[str]) -> str:
    """Which environments do not fit on the screen, as a sentence; "" where all do."""
    seen: Mapping[str, None] = dict.fromkeys(shown)
    missing = [name for name in environments if f"side:{name}" not in seen]
    return f"No room for {', '.join(missing)}: d shows all." if missing else ""
