"""The clock that waiting, settling and deadlines go by: it never jumps, and it counts the time that the machine was asleep.

The time of day is for records and for people. It may be set by an hour in either direction while a run is under way, and a
laptop may sleep in any step.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def seconds() -> float:
    """Seconds since the machine was started, sleep included (clock_gettime(2), CLOCK_BOOTTIME); where there is no such clock,
    as on macOS, the monotonic one, which there does not count sleep. Of no meaning on another machine or after a restart."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


@cache
def boot() -> str:
    """Which start of this machine `seconds` counts from; "" where that cannot be told: then it is only good in one process."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
