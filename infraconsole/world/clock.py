"""The world's time: real time, made faster by a factor. All that rolls out, drains or expires asks this clock, so
that tests and drills need not wait; it is separate because nothing in the world may ask the machine's clock instead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from infraconsole.clock import Tempo


class WorldClock:
    """Aware UTC now, beginning at the real now and running `factor` times as fast as real time."""

    def __init__(
        self, factor: float = 1.0, *, monotonic: Callable[[], float] = time.monotonic, start: datetime | None = None
    ) -> None:
        if factor <= 0:
            raise ValueError(f"a clock factor is above zero, not {factor}")
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._base = start or datetime.now(UTC)
        self._since = monotonic()
        self._factor = factor

    @property
    def factor(self) -> float:
        """World seconds per real second."""
        return self._factor

    def now(self) -> datetime:
        with self._lock:
            return self._now()

    def tempo(self) -> Tempo:
        """For others who keep this time; good until the factor is changed, or time is let pass at once."""
        with self._lock:
            return Tempo(self._base, self._since, self._factor)

    def set_factor(self, factor: float) -> None:
        """Run `factor` times as fast from now on; the time itself does not jump."""
        if factor <= 0:
            raise ValueError(f"a clock factor is above zero, not {factor}")
        with self._lock:
            self._base, self._since = self._now(), self._monotonic()
            self._factor = factor

    def advance(self, seconds: float) -> None:
        """Jump forward by `seconds` of world time; the world's time never goes back."""
        if seconds < 0:
            raise ValueError(f"the world's time does not go back, not by {seconds} s")
        with self._lock:
            self._base += timedelta(seconds=seconds)

    def stand_still(self) -> datetime:
        """The time stays as it is until `go_on`; returns it."""
        with self._lock:
            self._base, self._since, self._factor = self._now(), self._monotonic(), 0.0
            return self._base

    def go_on(self, factor: float) -> None:
        """From the time at which it stood still."""
        with self._lock:
            self._since, self._factor = self._monotonic(), factor

    def _now(self) -> datetime:
        return self._base + timedelta(seconds=(self._monotonic() - self._since) * self._factor)
