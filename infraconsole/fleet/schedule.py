"""What is read next, so that what a person looks at is young and an account's budget is never used up. Pure: time comes in.

Each account and region has its own share-out of the rate. Rows on the screen are read every 15 s, rows in trouble every 30 s, the
others in turn with what is left; what one call tells of many rows has its own turn. Each of these has its part of the rate, and
where that does not suffice its turns get longer: so none starves another, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from infraconsole.fleet.job import Job

IN_VIEW_SECONDS = 15.0
TROUBLED_SECONDS = 30.0
REST_SECONDS = 60.0
"""At the soonest: with hundreds of rows it is minutes."""

PLANNED_SHARE = 0.7
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
    rank: Rank = Rank.REST
    turn_seconds: float = 0.0
    asked: bool = False
    running: bool = False
    read_at: float | None = None
    due_at: float = float("-inf")
    calls: float = 1.0
    """What it costs, as it was lately."""
    misses: int = 0

    def takes_turns_of(self, seconds: float) -> None:
        if seconds != self.turn_seconds:
            if self.read_at is not None and self.due_at > float("-inf"):
                self.due_at += seconds - self.turn_seconds
            self.turn_seconds = seconds


class Schedule:
    """`rate_of` tells how many calls a second a place may have now."""

    def __init__(self, jobs: Iterable[Job], rate_of: Callable[[str], float]) -> None:
        self._rate_of = rate_of
        self._entries: dict[str, Entry] = {}
        self._in_view: Collection[str] = frozenset()
        self._troubled: Collection[str] = frozenset()
        self._count = 0
        for job in jobs:
            self._add(job)
        self.share_out()

    def _add(self, job: Job) -> Entry:
        self._count += 1
        entry = self._entries[job.name] = Entry(job, self._count, self._rank(job))
        return entry

    # What is wanted

    def look(self, in_view: Collection[str], troubled: Collection[str]) -> None:
        """Which rows are on the screen, and which are not well. What comes into view for the first time was asked for."""
        in_view, troubled = frozenset(in_view), frozenset(troubled)
        if (in_view, troubled) == (self._in_view, self._troubled):
            return
        self._in_view, self._troubled = in_view, troubled
        for entry in self._entries.values():
            entry.rank = self._rank(entry.job)
            if entry.read_at is None and not entry.running and entry.rank <= Rank.SHARED:
                entry.asked = True
        self.share_out()

    def ask(self, keys: Collection[str] | None = None) -> None:
        """Read at once, because a person wants it: what is in view and shared, or all of these rows. All others follow in turn."""
        for entry in self._entries.values():
            if keys is not None and not any(key in keys for key in entry.job.rows):
                continue
            entry.asked = entry.asked or keys is not None or entry.rank <= Rank.SHARED
            entry.due_at = float("-inf")

    # What comes next

    def next(self, now: float, is_open: Callable[[Job], bool] = lambda _: True) -> Entry | None:
        """The most urgent job that is due; `is_open` says whether its place lets a call through that nobody waits for. It counts as
        running until it is `ended`."""
        best: tuple[tuple[bool, Rank, float, int], Entry] | None = None
        open_places: dict[str, bool] = {}
        for entry in self._entries.values():
            if entry.running or entry.due_at > now:
                continue
            where = entry.job.where
            if not entry.asked and where not in open_places:
                open_places[where] = is_open(entry.job)
            if (entry.asked or open_places[where]) and (best is None or _urgency(entry, now) < best[0]):
                best = _urgency(entry, now), entry
        if best is None:
            return None
        chosen = best[1]
        chosen.running = True
        # What is asked for while it runs is due again afterwards.
        chosen.due_at = float("inf")
        return chosen

    def ended(self, entry: Entry, now: float, calls: int, further: Sequence[Job] = ()) -> None:
        """It has told what there was to tell, or failed."""
        asked, was_asked_again = entry.asked, entry.due_at == float("-inf")
        entry.running, entry.asked = False, was_asked_again and entry.rank <= Rank.SHARED
        entry.read_at, entry.misses = now, 0
        entry.calls = max(1.0, (1 - _NEWER_COUNTS) * entry.calls + _NEWER_COUNTS * calls)
        if entry.job.turn_seconds:
            entry.turn_seconds = self._turn_of_shared(entry)
        if not was_asked_again:
            entry.due_at = now + entry.turn_seconds
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
        entry.due_at = now + _AFTER_MISS_SECONDS * 2**entry.misses
        return True

    def wait_seconds(self, now: float) -> float:
        """Until something is due that is not yet."""
        due = (entry.due_at for entry in self._entries.values() if not entry.running and entry.due_at > now)
        return min(due, default=now + 3600.0) - now

    @property
    def is_all_read(self) -> bool:
        return all(entry.read_at is not None and not entry.running for entry in self._entries.values())

    # How often

    def turn_of(self, key: str) -> float:
        """Seconds from one reading of that row to the next."""
        return next(
            entry.turn_seconds
            for entry in self._entries.values()
            if key in entry.job.rows and not entry.job.turn_seconds and not entry.job.once
        )

    def share_out(self) -> None:
        """Which turns the rate allows. Asked again now and then: rates change when AWS slows the console down."""
        places: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            places.setdefault(entry.job.where, []).append(entry)
        for where, entries in places.items():
            turns = self._shared_out(entries, self._rate(where))
            for entry in entries:
                entry.takes_turns_of(self._turn_of_shared(entry) if entry.job.turn_seconds else turns[entry.rank])

    def _shared_out(self, entries: Sequence[Entry], rate: float) -> Mapping[Rank, float]:
        calls = dict.fromkeys(Rank, 0.0)
        used = 0.0
        for entry in entries:
            if entry.job.turn_seconds:
                used += entry.calls / self._turn_of_shared(entry) if entry.job.where else 0.0
            elif not entry.job.once:
                calls[entry.rank] += entry.calls
        in_view = max(IN_VIEW_SECONDS, calls[Rank.IN_VIEW] / (_IN_VIEW_SHARE * rate))
        troubled = max(TROUBLED_SECONDS, calls[Rank.TROUBLED] / (_TROUBLED_SHARE * rate))
        used += calls[Rank.IN_VIEW] / in_view + calls[Rank.TROUBLED] / troubled
        left = max(_LEAST_REST_SHARE * rate, PLANNED_SHARE * rate - used)
        rest = max(REST_SECONDS, calls[Rank.REST] / left)
        return {Rank.IN_VIEW: in_view, Rank.SHARED: in_view, Rank.TROUBLED: troubled, Rank.REST: rest}

    def _turn_of_shared(self, entry: Entry) -> float:
        job = entry.job
        return max(job.turn_seconds, entry.calls / (_SHARED_SHARE * self._rate(job.where)) if job.where else 0.0)

    def _rate(self, where: str) -> float:
        return max(0.01, self._rate_of(where)) if where else 1000.0

    def _rank(self, job: Job) -> Rank:
        if job.turn_seconds:
            return Rank.SHARED
        if any(key in self._in_view for key in job.rows):
            return Rank.IN_VIEW
        return Rank.TROUBLED if any(key in self._troubled for key in job.rows) else Rank.REST


def _urgency(entry: Entry, now: float) -> tuple[bool, Rank, float, int]:
    """The smaller, the sooner. In a rank, what is latest as measured by its own turns."""
    late = float("-inf") if entry.read_at is None else (entry.read_at - now) / max(1.0, entry.turn_seconds)
    return (not entry.asked, entry.rank, late, entry.order)
