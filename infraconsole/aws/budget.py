"""How many calls a second the console sends to one account and region by itself, so that looking on throttles nobody.

AWS throttles an account, not a program: what a console reads in the background is taken from Terraform, from deploys and from
everybody else. So all background reads of an account and region share one bucket. What a person asks for is never held up: it
is sent at once and charged, and the background makes up for it. A run is another process and has no budget: its calls never
wait behind reads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import ParamSpec, TypeVar

from infraconsole import clock

BURST_SECONDS = 10.0
"""What was not used for so long may be used at once; and so much at most is made up for."""
RECOVERY_SECONDS = 120.0
"""After AWS has throttled: back at the full rate in so long, evenly."""
LEAST_SHARE = 0.1
"""Of the full rate, however often AWS throttles."""
_ONE_REFUSAL_SECONDS = 2.0
"""Calls that are under way together are refused together: that is one refusal."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Lane(Enum):
    ASKED = "asked"
    """A person waits for it."""
    BACKGROUND = "background"
    """The console keeps up to date what it shows."""


@dataclass
class Spent:
    """How many calls were sent, counted while something is read."""

    calls: int = 0


@dataclass(frozen=True)
class _Reading:
    lane: Lane
    spent: Spent


_reading: ContextVar[_Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading(lane: Lane) -> Iterator[Spent]:
    """What is read inside is read in that lane, and counted. Outside of any, a person has asked."""
    spent = Spent()
    token = _reading.set(_Reading(lane, spent))
    try:
        yield spent
    finally:
        _reading.reset(token)


def carried(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """`work` for another thread, read there in the lane of this one."""
    found = _reading.get()

    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        token = _reading.set(found)
        try:
            return work(*args, **kwargs)
        finally:
            _reading.reset(token)

    return run


@dataclass(frozen=True)
class Slowed:
    """AWS throttles: the rate now, and for how many seconds it stays below the full one."""

    per_second: float
    seconds: float


class Budget:
    """A bucket of calls for one account and region. Thread-safe.

    In any window the background sends no more than rate × time + burst. What is charged may take the bucket below nothing, down to
    minus half a burst.
    """

    def __init__(self, per_second: float, *, now: Callable[[], float] = clock.seconds) -> None:
        self.full = per_second
        self.burst = max(1.0, per_second * BURST_SECONDS)
        self._now = now
        self._changed = threading.Condition()
        self._level = self.burst
        self._at = now()
        self._refused_at = float("-inf")
        self._slow = per_second

    def take(self) -> None:
        """Before a call is sent. Returns when it may be."""
        found = _reading.get()
        if found is not None:
            found.spent.calls += 1
        if found is None or found.lane is Lane.ASKED:
            self.charge()
            return
        with self._changed:
            while (wait := self._wait()) > 0:
                self._changed.wait(wait)
            self._level -= 1.0

    def charge(self) -> None:
        """For a call that does not wait: one that a person asked for, or another attempt of one under way."""
        with self._changed:
            self._fill()
            self._level = max(-self.burst / 2, self._level - 1.0)

    def refused(self) -> None:
        """AWS has throttled a call: half as fast from now on, and back at the full rate by and by."""
        with self._changed:
            self._fill()
            now = self._now()
            if now - self._refused_at >= _ONE_REFUSAL_SECONDS:
                self._slow = max(self.full * LEAST_SHARE, self._rate(now) / 2)
            self._refused_at = now
            self._level = min(self._level, 0.0)

    @property
    def rate(self) -> float:
        """Calls a second, now."""
        with self._changed:
            return self._rate(self._now())

    @property
    def slowed(self) -> Slowed | None:
        with self._changed:
            now = self._now()
            left = self._refused_at + RECOVERY_SECONDS - now
            return Slowed(self._rate(now), left) if left > 0 else None

    def wait_seconds(self) -> float:
        """Until the background may send its next call, as it looks now."""
        with self._changed:
            return self._wait()

    def _wait(self) -> float:
        self._fill()
        return 0.0 if self._level >= 1.0 else (1.0 - self._level) / self._rate(self._at)

    def _fill(self) -> None:
        now = self._now()
        # The rate only grows between two refusals: with the earlier one never too much comes in.
        self._level = min(self.burst, self._level + (now - self._at) * self._rate(self._at))
        self._at = now

    def _rate(self, now: float) -> float:
        share = min(1.0, max(0.0, now - self._refused_at) / RECOVERY_SECONDS)
        return self._slow + (self.full - self._slow) * share


class Budgets:
    """One for each account and region. As long as an account is not known, its profile stands for it."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Budget] = {}

    def of(self, owner: str, region: str) -> Budget:
        """`owner` is an account, or what stands for it."""
        with self._lock:
            return self._known.setdefault((owner, region), Budget(self.per_second))

    def learned(self, budget: Budget, account: str, region: str) -> Budget:
        """The account's, now that it is known: `budget`, unless another profile of the account was here first."""
        with self._lock:
            return self._known.setdefault((account, region), budget)
