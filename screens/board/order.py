"""In which order the board's rows stand: the worst first, or by a column that somebody chose. Pure functions of what is known.

Equal rows keep the order of the configuration; what is not known stands last, whichever way round the column is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from infraconsole.checks.judgement import Judgement, Level
from infraconsole.checks.row_facts import BoardRow
from infraconsole.screens.runs import KnownRun

ASCENDING, DESCENDING = "↑", "↓"
Place = tuple[object, ...] | None
"""What a row is compared by in a column; None where that is not known."""


@dataclass(frozen=True)
class Known:
    """All that a row's place may depend on."""

    row: BoardRow
    judgement: Judgement
    run: KnownRun | None
    now: datetime

    @property
    def trouble(self) -> int:
        """How bad it is; what is absent where it may be is as good as what runs."""
        level = self.judgement.level
        return int(level) if level > Level.ABSENT else 0


def _tasks(known: Known) -> Place:
    facts = known.row.service.value
    if facts is None:
        return None
    running, desired = facts.service.running, facts.service.desired
    return (running / desired if desired else 1.0, running)


def _rollout(known: Known) -> Place:
    if known.row.service.value is None:
        return None
    from infraconsole.checks.service_judgement import rollout

    facts = known.row.service.value
    level, words = rollout(facts.service, known.now, facts.shifting)
    return (int(level), words)


def _image(known: Known) -> Place:
    return (known.row.service.value.images,) if known.row.service.value else None


def _since(known: Known) -> Place:
    primary = known.row.service.value.service.primary if known.row.service.value else None
    return _age(primary.created_at if primary else None, known.now)


def _alarms(known: Known) -> Place:
    alarms = known.row.alarms.value
    return (sum(alarm.state == "ALARM" for alarm in alarms), len(alarms)) if alarms is not None else None


def _run(known: Known) -> Place:
    return _age(known.run.record.ended_at or known.run.record.created_at if known.run else None, known.now)


def _state(known: Known) -> Place:
    return _age(known.row.state.value.modified_at if known.row.state.value else None, known.now)


def _lock(known: Known) -> Place:
    facts = known.row.lock.value
    if facts is None:
        return None
    held = _age(facts.lock.created, known.now) if facts.lock else None
    return (bool(facts.why_unlocked), facts.lock is not None, *(held or (0.0,)))


def _exports(known: Known) -> Place:
    facts = known.row.exports.value
    return (len(facts.missing) + len(facts.findings),) if facts is not None else None


def _read(known: Known) -> Place:
    return _age(known.row.service.read_at, known.now)


def _age(at: datetime | None, now: datetime) -> Place:
    return ((now - at).total_seconds(),) if at is not None else None


def _name(known: Known) -> Place:
    return (known.row.service_name,)


@dataclass(frozen=True)
class _By:
    """How to sort by a column: its words, and whether what one looks for first is its largest."""

    words: str
    place: Callable[[Known], Place]
    largest_first: bool = False


_COLUMNS: Mapping[str, _By] = {
    "target": _By("service", _name),
    "tasks": _By("tasks", _tasks),
    "rollout": _By("rollout", _rollout, largest_first=True),
    "image": _By("image", _image),
    "since": _By("since", _since),
    "alarms": _By("alarms", _alarms, largest_first=True),
    "run": _By("last run", _run),
    "state": _By("state", _state),
    "lock": _By("lock", _lock, largest_first=True),
    "exports": _By("exports", _exports, largest_first=True),
    "age": _By("read", _read),
}


@dataclass(frozen=True)
class Order:
    """`column` is a column's key; "" stands for the worst first."""

    column: str = ""
    descending: bool = False

    @property
    def words(self) -> str:
        """`worst first`, `by alarms ↓`."""
        return f"by {_COLUMNS[self.column].words} {self.sign}" if self.column else "worst first"

    @property
    def sign(self) -> str:
        """For the column's header."""
        return (DESCENDING if self.descending else ASCENDING) if self.column else ""


WORST_FIRST = Order()


def offered() -> tuple[Order, ...]:
    """The worst first, then each column the way round that one looks for."""
    return (WORST_FIRST, *(Order(key, by.largest_first) for key, by in _COLUMNS.items()))


def chosen(before: Order, column: str) -> Order:
    """That column; chosen again, the other way round. Columns that nothing is sorted by bring back the worst first."""
    if column not in _COLUMNS:
        return WORST_FIRST
    if column == before.column:
        return replace(before, descending=not before.descending)
    return Order(column, _COLUMNS[column].largest_first)


def arranged(rows: Sequence[Known], order: Order) -> list[str]:
    """The rows' keys. `rows` stand in the order of the configuration, which equal ones keep."""
    worst = sorted(rows, key=lambda known: -known.trouble)
    if not order.column:
        return [known.row.key for known in worst]
    placed = [(known, _COLUMNS[order.column].place(known)) for known in worst]
    told = [pair for pair in placed if pair[1] is not None]
    told.sort(key=lambda pair: pair[1] or (), reverse=order.descending)
    return [known.row.key for known, _ in (*told, *(pair for pair in placed if pair[1] is None))]


def kept(before: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """`wanted`, as far as they stood before in the order they had; others behind them."""
    here = set(wanted)
    known = set(before)
    return [*(key for key in before if key in here), *(key for key in wanted if key not in known)]


def next_in_trouble(shown: Sequence[str], cursor: int, trouble: set[str], direction: int) -> str:
    """The next row of trouble from the cursor on, around the end; "" where there is none. Under the cursor counts last."""
    for step in range(1, len(shown) + 1):
        key = shown[(cursor + step * direction) % len(shown)]
        if key in trouble:
            return key
    return ""
