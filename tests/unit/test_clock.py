"""The clock of waits and deadlines."""

from __future__ import annotations

import time

from infraconsole import clock


def test_the_clock_counts_sleep_and_runs_forward() -> None:
    before = clock.seconds()
    assert clock.seconds() >= before
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(clock.seconds() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
    assert clock.boot() == clock.boot()
