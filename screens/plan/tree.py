"""A plan as rows: what is lost on top, then what the review found, then the changes by module and type, folded where they are many.

No Textual but the rows' own words. Rows are made for what is unfolded only, so that a plan of thousands of changes is on the
screen as soon as it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from infraconsole.checks.findings import Finding
from infraconsole.redaction import MASK
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN
from infraconsole.terraform.attributes import UNKNOWN, shown
from infraconsole.terraform.plan import (
    Change,
    Dangerous,
    Deferred,
    Kind,
    ModuleNode,
    OutputChange,
    Plan,
    Totals,
    TypeGroup,
    module_steps,
)
from infraconsole.terraform.plan_actions import Action

T = TypeVar("T")

SIGNS: Mapping[Kind, tuple[str, str, str]] = {
    Kind.CREATE: ("+", "create", GOOD),
    Kind.UPDATE: ("~", "update", WARN),
    Kind.REPLACE: ("-/+", "replace", BAD),
    Kind.DESTROY: ("-", "destroy", BAD),
    Kind.READ: ("<=", "read", DIM),
    Kind.NO_OP: ("", "stays as it is", DIM),
    Kind.FORGET: (".", "forget", WARN),
    Kind.IMPORT: ("↓", "import", PLAIN),
    Kind.MOVED: ("→", "move", PLAIN),
    Kind.OTHER: ("?", "do something unknown", BAD),
}
"""Kind → sign, word, tone. Terraform's own signs where it has any."""

TONES = {"error": BAD, "warning": WARN, "info": DIM}
FOLDED_FROM = 200
"""Changes, from which on modules and types are folded at first."""
ON_TOP = 50
"""Of each list above the changes, until somebody asks for the rest."""
_INDENT = "  "

LOST, FINDINGS, ACTIONS, CHANGES, DRIFT, FILLED, OUTPUTS, DEFERRED = (
    "s:lost",
    "s:findings",
    "s:actions",
    "s:changes",
    "s:drift",
    "s:filled",
    "s:outputs",
    "s:put-off",
)

COLUMNS = (
    Column("sign", "", 3),
    Column("what", "change", 30, stretch=True),
    Column("why", "why", 16, rank=1, stretch=True),
)

Subject = Change | Dangerous | Finding | Action | OutputChange | Deferred | ModuleNode | TypeGroup | str
"""What a row stands for; a text is a section's key."""


def sign_of(change: Change) -> str:
    return "+/-" if change.creates_first else SIGNS[change.kind][0]


def key_of(change: Change) -> str:
    return f"c:{change.address} {change.deposed}".rstrip()


def why(change: Change) -> str:
    """In the row beside it: why, or where from."""
    parts = []
    if change.deposed:
        parts.append(f"deposed {change.deposed}")
    if change.previous_address:
        parts.append(f"moved from {change.previous_address}")
    if change.importing_id:
        parts.append(f"imported as {change.importing_id}")
    if change.kind is Kind.REPLACE and change.forced_by:
        parts.append(f"forced by {', '.join(change.forced_by)}")
    elif change.reason:
        parts.append(change.reason)
    if change.kind is Kind.FORGET:
        parts.append("stays in AWS, no longer managed")
    if change.is_ephemeral:
        parts.append("ephemeral: opened for this run, stored nowhere")
    if change.kind is Kind.OTHER:
        parts.append(" and ".join(change.actions) or "says nothing")
    return ", ".join(parts) or SIGNS[change.kind][1]


def short_totals(totals: Totals) -> str:
    """`- 2  -/+ 6  + 1`, the worst first."""
    order = (Kind.OTHER, Kind.DESTROY, Kind.REPLACE, Kind.CREATE, Kind.UPDATE, Kind.FORGET, Kind.IMPORT, Kind.MOVED,
             Kind.READ)  # fmt: skip
    return "  ".join(f"{SIGNS[kind][0]} {totals.of(kind):,}" for kind in order if totals.of(kind))


def _worst_tone(totals: Totals) -> str:
    return BAD if totals.to_destroy or totals.of(Kind.OTHER) else DIM


class PlanTree:
    """The rows of one plan, with what is folded. `findings` may be given later; `subject` says what a row stands for."""

    def __init__(self, plan: Plan, dangerous: Sequence[Dangerous]) -> None:
        self.plan = plan
        self.root = plan.tree()
        self.totals = plan.totals()
        self.dangerous = tuple(each for each in dangerous if not each.change.is_data)
        self.lost = tuple(each for each in self.dangerous if each.lost)
        self.drift: tuple[Change, ...] = ()
        self.filled: tuple[Change, ...] = ()
        self.put_back = False
        self.outputs = plan.outputs
        self.deferred = plan.deferred
        self.actions = plan.actions
        self.deferred_actions = plan.deferred_actions
        self.folded: set[str] = {FILLED}
        self._subjects: dict[str, Subject] = {}
        self._depths: dict[str, int] = {}
        self._whole: set[str] = set()
        self._findings: tuple[Finding, ...] = ()
        self._by_subject: dict[str, list[Finding]] = {}
        self._flat: tuple[Row, ...] = ()
        self._ending: tuple[Change, ...] = ()
        self._places: dict[str, int] = {}
        if sum(self.totals.kinds.values()) - self.totals.of(Kind.NO_OP) > FOLDED_FROM:
            self.folded |= set(_groups(self.root))

    @property
    def ending(self) -> tuple[Change, ...]:
        """What is destroyed, replaced or changed in an unknown way, in the order of the tree."""
        if not self._ending:
            self._ending = tuple(each for each in self.root.changes() if each.destroys or each.kind is Kind.OTHER)
        return self._ending

    @property
    def places(self) -> Mapping[str, int]:
        """Of the rows of `ending`, by their keys."""
        if len(self._places) != len(self.ending):
            self._places = {key_of(change): place for place, change in enumerate(self.ending)}
        return self._places

    def reviewed(self, findings: Iterable[Finding], drift: tuple[Change, ...], *, put_back: bool = False) -> None:
        self.put_back = put_back
        self._findings = tuple(findings)
        self.filled = tuple(each for each in drift if each.only_fills)
        self.drift = tuple(each for each in drift if not each.only_fills)
        for finding in self._findings:
            self._by_subject.setdefault(finding.subject, []).append(finding)
        self._flat = ()

    @cached_property
    def write_only(self) -> Mapping[str, tuple[str, ...]]:
        return self.plan.write_only()

    def findings_of(self, address: str) -> Sequence[Finding]:
        return self._by_subject.get(address, ())

    @property
    def shown_findings(self) -> tuple[Finding, ...]:
        """What stands in its list: of destroyed things that hold state the list above it says it already, and what is only
        worth knowing stands beside its change."""
        listed = {each.change.address for each in self.lost}
        return tuple(
            each
            for each in self._findings
            if each.level != "info" and not (each.subject in listed and each.id.startswith("stateful-"))
        )

    # Rows

    def rows(self) -> Iterator[Row]:
        """What is unfolded, in its order."""
        self._depths = {}
        if self.lost:
            counted = f"{len(self.lost):,} thing{'s' * (len(self.lost) != 1)} lost"
            yield self._section(LOST, f"{MARKS[BAD]} {counted} for good", BAD, "data or traffic goes with each")
            yield from self._listed(LOST, [self._lost_row(each) for each in self._first(LOST, self.lost)], self.lost)
        if found := self.shown_findings:
            tone = BAD if found[0].level == "error" else WARN
            yield self._section(FINDINGS, f"{MARKS[tone]} {_counted(found)}", tone)
            rows = [self._finding_row(n, each) for n, each in enumerate(self._first(FINDINGS, found))]
            yield from self._listed(FINDINGS, rows, found)
        if self.actions:
            yield self._section(ACTIONS, f"{MARKS[WARN]} {_actions(len(self.actions))} invoked", WARN, "in no state")
            rows = [self._action_row(n, each) for n, each in enumerate(self._first(ACTIONS, self.actions))]
            yield from self._listed(ACTIONS, rows, self.actions)
        if any(True for _ in self.root.changes()):
            if self._has_others:
                yield self._section(CHANGES, "all changes", STRONG, short_totals(self.totals))
                if CHANGES not in self.folded:
                    yield from self._module(self.root, 1)
            else:
                yield from self._module(self.root, 0)
        yield from self._others()

    @property
    def _has_others(self) -> bool:
        """Whether there are rows of anything but the changes."""
        about = (self.lost, self.shown_findings, self.actions, self.drift, self.filled, self.outputs)
        return any((*about, self.deferred, self.deferred_actions))

    def _others(self) -> Iterator[Row]:
        if self.drift:
            words = "ahead of the state that was put back" if self.put_back else "changed outside of Terraform"
            yield self._section(DRIFT, f"{len(self.drift):,} {words}", DIM if self.put_back else WARN)
            if DRIFT not in self.folded:
                yield from (self._drift_row(each) for each in self._first(DRIFT, self.drift))
                yield from self._rest(DRIFT, self.drift)
        if self.filled:
            yield self._section(FILLED, f"{len(self.filled):,} of which the state said less", DIM)
            if FILLED not in self.folded:
                yield from (self._drift_row(each) for each in self._first(FILLED, self.filled))
                yield from self._rest(FILLED, self.filled)
        if self.outputs:
            yield self._section(OUTPUTS, f"{len(self.outputs):,} output{'s' * (len(self.outputs) != 1)}", STRONG)
            if OUTPUTS not in self.folded:
                yield from (self._output_row(each) for each in self._first(OUTPUTS, self.outputs))
                yield from self._rest(OUTPUTS, self.outputs)
        if self.deferred or self.deferred_actions:
            many = len(self.deferred) + len(self.deferred_actions)
            yield self._section(DEFERRED, f"{many:,} put off to a later plan", WARN)
            if DEFERRED not in self.folded:
                yield from (self._action_row(n, each, "q") for n, each in enumerate(self.deferred_actions))
                yield from (self._deferred_row(each) for each in self._first(DEFERRED, self.deferred))
                yield from self._rest(DEFERRED, self.deferred)

    def _section(self, key: str, title: str, tone: str, says: str = "") -> Row:
        self._know(key, key, 0)
        cells = {
            "sign": Cell("▸" if key in self.folded else "▾", tone),
            "what": Cell(title, tone),
            "why": Cell(says, DIM),
        }
        return Row(key, cells)

    def _listed(self, key: str, rows: Iterable[Row], whole: Sequence[object]) -> Iterator[Row]:
        if key not in self.folded:
            yield from rows
            yield from self._rest(key, whole)

    def _first(self, key: str, found: Sequence[T]) -> Sequence[T]:
        return found if key in self._whole else found[:ON_TOP]

    def _rest(self, key: str, whole: Sequence[object]) -> Iterator[Row]:
        left = 0 if key in self._whole else len(whole) - ON_TOP
        if left > 0:
            self._know(f"more:{key}", f"more:{key}", 1)
            yield Row(f"more:{key}", {"what": Cell(f"{_INDENT}… and {left:,} more: Enter shows them", STRONG)})

    def _know(self, key: str, subject: Subject, depth: int) -> None:
        self._subjects[key] = subject
        self._depths[key] = depth

    def _lost_row(self, each: Dangerous) -> Row:
        key = f"x:{key_of(each.change)}"
        self._know(key, each, 1)
        cells = {
            "sign": Cell(sign_of(each.change), BAD),
            "what": Cell(f"{_INDENT}{each.change.address}", STRONG),
            "why": Cell(f"loses {each.lost}", BAD),
        }
        return Row(key, cells)

    def _finding_row(self, number: int, finding: Finding) -> Row:
        key = f"f:{number}"
        self._know(key, finding, 1)
        tone = TONES[finding.level]
        cells = {
            "sign": Cell(MARKS[tone], tone),
            "what": Cell(f"{_INDENT}{'the whole plan' if finding.subject == 'plan' else finding.subject}"),
            "why": Cell(finding.message, tone),
        }
        return Row(key, cells)

    def _action_row(self, number: int, action: Action, kind: str = "a") -> Row:
        key = f"{kind}:{number}"
        self._know(key, action, 1)
        cells = {
            "sign": Cell(">", DIM if action.deferred else WARN),
            "what": Cell(f"{_INDENT}{action.address}", PLAIN if action.deferred else STRONG),
            "why": Cell(action.deferred or action.when, DIM),
        }
        return Row(key, cells)

    def _module(self, node: ModuleNode, depth: int) -> Iterator[Row]:
        for group in node.types:
            yield from self._type(node.path, group, depth)
        for module in node.modules:
            key = _module_key(module.path)
            self._know(key, module, depth)
            totals = module.totals()
            folded = key in self.folded
            mark = "▸" if folded else "▾"
            cells = {
                "what": Cell(f"{_INDENT * depth}{mark} {module.name}", STRONG),
                "why": Cell(short_totals(totals), _worst_tone(totals)),
            }
            yield Row(key, cells)
            if not folded:
                yield from self._module(module, depth + 1)

    def _type(self, path: str, group: TypeGroup, depth: int) -> Iterator[Row]:
        if len(group.changes) == 1:
            yield self._change_row(group.changes[0], path, depth)
            return
        key = _type_key(path, group.type)
        self._know(key, group, depth)
        totals = group.totals()
        folded = key in self.folded
        mark = "▸" if folded else "▾"
        cells = {
            "what": Cell(f"{_INDENT * depth}{mark} {group.type}  ({len(group.changes):,})"),
            "why": Cell(short_totals(totals), _worst_tone(totals)),
        }
        yield Row(key, cells)
        if not folded:
            for change in group.changes:
                yield self._change_row(change, path, depth + 1)

    def _change_row(self, change: Change, path: str, depth: int) -> Row:
        key = key_of(change)
        self._know(key, change, depth)
        sign, _, tone = SIGNS[change.kind]
        name = change.address.removeprefix(f"{path}.") if path else change.address
        cells = {
            "sign": Cell(sign if not change.creates_first else "+/-", tone),
            "what": Cell(f"{_INDENT * depth}{name}", STRONG if tone == BAD else PLAIN),
            "why": Cell(why(change), DIM),
        }
        return Row(key, cells)

    def _drift_row(self, change: Change) -> Row:
        key = f"d:{key_of(change)}"
        self._know(key, change, 1)
        gone = change.kind is Kind.DESTROY
        said = "the state is older" if self.put_back else "changed by somebody else"
        if gone:
            said = "removed later" if self.put_back else "it is gone"
        elif change.only_fills:
            said = "the state had no value"
        cells = {
            "sign": Cell("!", DIM if change.only_fills or self.put_back else WARN),
            "what": Cell(f"{_INDENT}{change.address}"),
            "why": Cell(said, BAD if gone and not self.put_back else DIM),
        }
        return Row(key, cells)

    def _output_row(self, output: OutputChange) -> Row:
        key = f"o:{output.name}"
        self._know(key, output, 1)
        sign, _, tone = SIGNS[output.kind]
        cells = {
            "sign": Cell(sign, tone if tone != BAD else WARN),
            "what": Cell(f"{_INDENT}output.{output.name}"),
            "why": Cell(output_words(output), DIM),
        }
        return Row(key, cells)

    def _deferred_row(self, deferred: Deferred) -> Row:
        key = f"p:{key_of(deferred.change)}"
        self._know(key, deferred, 1)
        cells = {
            "sign": Cell(sign_of(deferred.change), DIM),
            "what": Cell(f"{_INDENT}{deferred.change.address}"),
            "why": Cell(deferred.reason, DIM),
        }
        return Row(key, cells)

    def flat(self) -> tuple[Row, ...]:
        """Every change by its whole address, for the filter. Made once, when the first filter is typed."""
        if not self._flat:
            self._flat = tuple(self._flat_rows())
        return self._flat

    def _flat_rows(self) -> Iterator[Row]:
        lost = {id(each.change) for each in self.lost}
        for change in self.root.changes():
            sign, _, tone = SIGNS[change.kind]
            found = self._by_subject.get(change.address, ())
            more = " ".join(
                (
                    f"kind:{change.kind}",
                    *(("kind:lost",) if id(change) in lost else ()),
                    *(f"finding:{finding.level}" for finding in found),
                )
            )
            cells = {
                "sign": Cell(sign if not change.creates_first else "+/-", tone),
                "what": Cell(change.address, STRONG if tone == BAD else PLAIN),
                "why": Cell(why(change), DIM),
            }
            key = key_of(change)
            self._subjects[key] = change
            yield Row(key, cells, more)
        yield from self._flat_others()

    def _flat_others(self) -> Iterator[Row]:
        """As in the tree, with what they are said in the words that the filter looks for."""
        for kind, rows in (
            ("drift", [self._drift_row(each) for each in (*self.drift, *self.filled)]),
            ("output", [self._output_row(each) for each in self.outputs]),
            ("put-off", [self._deferred_row(each) for each in self.deferred]),
            ("action", [self._action_row(n, each) for n, each in enumerate(self.actions)]),
            ("put-off", [self._action_row(n, each, "q") for n, each in enumerate(self.deferred_actions)]),
        ):
            for row in rows:
                cells = {**row.cells, "what": Cell(row.cells["what"].text.strip(), row.cells["what"].tone)}
                yield Row(row.key, cells, f"kind:{kind}")

    # What is under the cursor

    def subject(self, key: str) -> Subject | None:
        found = self._subjects.get(key)
        if found is None and key.startswith("c:"):
            found = next((each for each in self.root.changes() if key_of(each) == key), None)
            if found is not None:
                self._subjects[key] = found
        return found

    def change(self, key: str) -> Change | None:
        """The change that a row is about, in whichever list it stands."""
        match self.subject(key):
            case Change() as change:
                return change
            case Dangerous() as dangerous:
                return dangerous.change
            case Deferred() as deferred:
                return deferred.change
            case Finding() as finding:
                return next((each for each in self.plan.changes if each.address == finding.subject), None)
        return None

    def lost_of(self, change: Change) -> str:
        return next((each.lost for each in self.lost if each.change is change), "")

    # Folding

    def is_foldable(self, key: str) -> bool:
        return key.startswith(("m:", "t:", "s:"))

    def fold(self, key: str, folded: bool) -> bool:
        """Whether anything changed."""
        if not self.is_foldable(key) or (key in self.folded) == folded:
            return False
        (self.folded.add if folded else self.folded.discard)(key)
        return True

    def show_rest(self, key: str) -> None:
        """Of a list that was cut off; `key` is the row that says so."""
        self._whole.add(key.removeprefix("more:"))

    def fold_all(self) -> None:
        """Everything unfolded, or, where it is, everything folded."""
        groups = {*_groups(self.root), *((FILLED,) if self.filled else ())}
        self.folded = set() if self.folded & groups else groups

    def reveal(self, change: Change) -> bool:
        """Unfold what the change lies in. Whether anything was folded."""
        steps = module_steps(change.module)
        around = {
            CHANGES,
            _type_key(change.module, change.type),
            *(_module_key(".".join(steps[: depth + 1])) for depth in range(len(steps))),
        }
        hidden = bool(self.folded & around)
        self.folded -= around
        return hidden

    def parent(self, key: str, shown: Sequence[Row], cursor: int) -> str:
        """The row that this one is indented under; "" for the outermost."""
        depth = self._depths.get(key, 0)
        above = (row.key for row in reversed(shown[:cursor]) if self._depths.get(row.key, 0) < depth)
        return next(above, "")


def _groups(node: ModuleNode) -> Iterator[str]:
    for group in node.types:
        if len(group.changes) > 1:
            yield _type_key(node.path, group.type)
    for module in node.modules:
        yield _module_key(module.path)
        yield from _groups(module)


def _module_key(path: str) -> str:
    return f"m:{path}"


def _type_key(path: str, type_: str) -> str:
    return f"t:{path}|{type_}"


def _actions(count: int) -> str:
    return f"{count:,} action{'s' * (count != 1)}"


def _counted(findings: Sequence[Finding]) -> str:
    counts = [(sum(each.level == level for each in findings), level) for level in ("error", "warning")]
    return " and ".join(f"{count:,} {level}{'s' * (count != 1)}" for count, level in counts if count)


def output_words(output: OutputChange) -> str:
    """`"a" → "b"`; masked where it is sensitive."""
    after = UNKNOWN if output.unknown and output.after is None else output.after
    sides = [
        MASK if output.sensitive and side not in (None, UNKNOWN) else shown(side)
        for side in (output.before, after)
        if side is not None
    ]
    return " → ".join(sides) or "null"
