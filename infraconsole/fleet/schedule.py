"""What is read next, so that what a person looks at is young and an account's budget is never used up. Pure: time comes in.

Each account and region has its own share-out of the rate. Rows on the screen are read every 15 s, rows in trouble every 30 s, the
others in turn with what is left; what one call tells of many rows has its own turn. Each of these has its part of the rate, and
where that does not suffice its turns get longer: so none starves another, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from infraconsole.fleet.job import Job

IN_VIEW_SECONDS = 15.0
TROUBLED_SECONDS = 30.0
REST_SECONDS = 60.0
"""At the soonest: with hundreds of rows it is minutes."""

PLANNED_SHARE = 0.8
"""Of the rate, for all turns together. The rest is for what was not planned."""
_IN_VIEW_SHARE = 0.45
_TROUBLED_SHARE = 0.15
_LEAST_REST_SHARE = 0.1
_SHARED_SHARE = 0.04
"""For each job that tells of many rows."""
_PATIENT_MISSES = 3
"""So often in a row AWS may throttle a reading before its rows say so."""
_AFTER_MISS_SECONDS = 5.0
_NEWER_COUNTS = 0.5


class Rank(IntEnum):
    IN_VIEW = 0
    SHARED = 1
    TROUBLED = 2
    REST = 3


@dataclass
class Entry:
    """`asked`: a person waits for it."""

    job: Job
    order: int
    asked: bool = False
    running: bool = False
    due_now: bool = False
    read_at: float | None = None
    not_before: float = float("-inf")
    calls: float = 1.0
    """What it costs, as it was lately."""
    misses: int = 0


@dataclass
class _Turns:
    """How many seconds a turn takes, by rank."""

    seconds: dict[Rank, float] = field(default_factory=dict)


class Schedule:
    """`rate_of` tells how many calls a second a place may have now."""

    def __init__(self, jobs: Iterable[Job], rate_of: Callable[[str], float]) -> None:
        self._rate_of = rate_of
        self._entries: dict[str, Entry] = {}
        self._in_view: Collection[str] = frozenset()
        self._troubled: Collection[str] = frozenset()
        self._turns: dict[str, _Turns] = {}
        self._count = 0
        for job in jobs:
            self._add(job)
        self.share_out()

    def _add(self, job: Job) -> Entry:
        self._count += 1
        entry = self._entries[job.name] = Entry(job, self._count)
        return entry

    # What is wanted

    def look(self, in_view: Collection[str], troubled: Collection[str]) -> None:
        """Which rows are on the screen, and which are not well. A row that comes into view for the first time was asked for."""
        self._in_view, self._troubled = frozenset(in_view), frozenset(troubled)
        for entry in self._entries.values():
            if entry.read_at is None and not entry.running and self._rank(entry.job) is Rank.IN_VIEW:
                entry.asked = entry.asked or bool(self._in_view)
        self.share_out()

    def ask(self, keys: Collection[str] | None = None) -> None:
        """Read at once, because a person wants it: what is in view and shared, or all of these rows. All others follow in turn."""
        for entry in self._entries.values():
            of_these = keys is not None and any(key in keys for key in entry.job.rows)
            if of_these or (keys is None and self._rank(entry.job) <= Rank.SHARED):
                entry.asked = entry.due_now = True
                entry.not_before = float("-inf")
            elif keys is None:
                entry.due_now = True

    # What comes next

    def next(self, now: float, is_open: Callable[[Job], bool] = lambda _: True) -> Entry | None:
        """The most urgent job that is due; `is_open` says whether its place lets a call through that nobody waits for. It counts as
        running until it is `ended`."""
        best: tuple[tuple[bool, Rank, float, int], Entry] | None = None
        for entry in self._entries.values():
            if entry.running or not self._is_due(entry, now):
                continue
            late = float("-inf") if entry.read_at is None else (entry.read_at - now) / self.turn_of(entry.job)
            urgency = (not entry.asked, self._rank(entry.job), late, entry.order)
            if (best is None or urgency < best[0]) and (entry.asked or is_open(entry.job)):
                best = urgency, entry
        if best is None:
            return None
        best[1].running = True
        return best[1]

    def ended(self, entry: Entry, now: float, calls: int, further: Sequence[Job] = ()) -> None:
        """It has told what there was to tell, or failed."""
        asked, entry.asked, entry.running, entry.due_now = entry.asked, False, False, False
        entry.read_at, entry.misses = now, 0
        entry.calls = max(1.0, (1 - _NEWER_COUNTS) * entry.calls + _NEWER_COUNTS * calls)
        if entry.job.once:
            del self._entries[entry.job.name]
        for job in further:
            if job.name not in self._entries:
                self._add(job).asked = asked and any(key in self._in_view for key in job.rows)

    def throttled(self, entry: Entry, now: float) -> bool:
        """AWS would not answer; it is asked again, a little later each time. False where that has been said often enough for the
        rows to say so: then it counts as `ended`."""
        entry.misses += 1
        if entry.misses >= _PATIENT_MISSES:
            return False
        entry.running, entry.asked = False, False
        entry.not_before = now + _AFTER_MISS_SECONDS * 2**entry.misses
        return True

    def wait_seconds(self, now: float) -> float:
        """Until something is due that is not yet."""
        waits = [
            (entry.not_before if entry.read_at is None else max(entry.not_before, self._turn_ends(entry))) - now
            for entry in self._entries.values()
            if not entry.running and not self._is_due(entry, now)
        ]
        return max(0.0, min(waits, default=3600.0))

    @property
    def is_all_read(self) -> bool:
        return all(entry.read_at is not None and not entry.running for entry in self._entries.values())

    def unread(self) -> Iterable[Job]:
        return [entry.job for entry in self._entries.values() if entry.read_at is None]

    def _is_due(self, entry: Entry, now: float) -> bool:
        if now < entry.not_before:
            return False
        return entry.due_now or entry.read_at is None or now >= self._turn_ends(entry)

    def _turn_ends(self, entry: Entry) -> float:
        return (entry.read_at or 0.0) + self.turn_of(entry.job)

    # How often

    def turn_of(self, job: Job) -> float:
        """Seconds from one reading to the next."""
        rank = self._rank(job)
        entry = self._entries.get(job.name)
        if job.turn_seconds:
            calls = entry.calls if entry else 1.0
            return max(job.turn_seconds, calls / (_SHARED_SHARE * self._rate(job.where)) if job.where else 0.0)
        return self._turns[job.where].seconds[rank]

    def share_out(self) -> None:
        """Which turns the rate allows. Asked again once a second: rows come and go, and AWS may slow the console down."""
        places: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            places.setdefault(entry.job.where, []).append(entry)
        self._turns = {where: self._shared_out(entries, self._rate(where)) for where, entries in places.items()}

    def _shared_out(self, entries: Sequence[Entry], rate: float) -> _Turns:
        calls = dict.fromkeys(Rank, 0.0)
        used = 0.0
        for entry in entries:
            if entry.job.turn_seconds:
                used += entry.calls / self.turn_of(entry.job) if entry.job.where else 0.0
            elif not entry.job.once:
                calls[self._rank(entry.job)] += entry.calls
        in_view = max(IN_VIEW_SECONDS, calls[Rank.IN_VIEW] / (_IN_VIEW_SHARE * rate))
        troubled = max(TROUBLED_SECONDS, calls[Rank.TROUBLED] / (_TROUBLED_SHARE * rate))
        used += calls[Rank.IN_VIEW] / in_view + calls[Rank.TROUBLED] / troubled
        left = max(_LEAST_REST_SHARE * rate, PLANNED_SHARE * rate - used)
        rest = max(REST_SECONDS, calls[Rank.REST] / left)
        return _Turns({Rank.IN_VIEW: in_view, Rank.SHARED: in_view, Rank.TROUBLED: troubled, Rank.REST: rest})

    def _rate(self, where: str) -> float:
        return max(0.01, self._rate_of(where)) if where else 1000.0

    def _rank(self, job: Job) -> Rank:
        if job.turn_seconds:
            return Rank.SHARED
        if any(key in self._in_view for key in job.rows):
            return Rank.IN_VIEW
        return Rank.TROUBLED if any(key in self._troubled for key in job.rows) else Rank.REST
