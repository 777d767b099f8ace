"""The clock that waiting, settling and deadlines go by: it never jumps, and it counts the time that the machine was asleep.

The time of day (`now`) is for records and for people. It may be set by an hour in either direction while a run is under way,
and a laptop may sleep in any step. An emulator on this machine may keep a time of day of its own, which is everybody's then: what
its services tell and what is recorded here could not stand in one log otherwise.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CLOCK_VARIABLE = "INFRACONSOLE_CLOCK"
"""A file in which an emulator on this machine says what time of day it is; without such an emulator it means nothing."""

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOOKS = 10
"""How often work is looked at, at least, before its time is over."""
_GRACES = 3


def seconds() -> float:
    """Seconds since the machine was started, sleep included (clock_gettime(2), CLOCK_BOOTTIME); where there is no such clock,
    as on macOS, the monotonic one, which there does not count sleep. Of no meaning on another machine or after a restart."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


def now() -> datetime:
    """The time of day, in UTC."""
    file, endpoint = os.environ.get(CLOCK_VARIABLE), os.environ.get("AWS_ENDPOINT_URL", "")
    if file and is_emulator(endpoint):
        try:
            stat = Path(file).stat()
            told = _told(file, stat.st_mtime_ns, stat.st_ino)
            if told.holds_at(endpoint):
                return told.tempo.now()
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            pass
    return datetime.now(UTC)


def is_emulator(endpoint: str) -> bool:
    """Whether that AWS_ENDPOINT_URL leads to this machine."""
    try:
        host = urlsplit(endpoint).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Tempo:
    """A time of day that runs faster than ours: it was `at` when time.monotonic() was `since`."""

    at: datetime
    since: float
    factor: float

    def now(self) -> datetime:
        return self.at + timedelta(seconds=(time.monotonic() - self.since) * self.factor)

    def as_json(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "since": self.since, "factor": self.factor}


@dataclass(frozen=True)
class ToldTime:
    """What an emulator says of its time of day: at which address it answers, in which process, since which start of the machine.
    An emulator that was killed leaves its file behind, which says nothing any more."""

    endpoint: str
    pid: int
    boot: str
    tempo: Tempo

    @classmethod
    def here(cls, endpoint: str, tempo: Tempo) -> ToldTime:
        return cls(endpoint, os.getpid(), _boot_id(), tempo)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ToldTime:
        """Raises ValueError, TypeError, KeyError."""
        at = datetime.fromisoformat(given["at"]).astimezone(UTC)
        tempo = Tempo(at, float(given["since"]), float(given["factor"]))
        return cls(str(given["endpoint"]), int(given["pid"]), str(given["boot"]), tempo)

    def as_json(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "pid": self.pid, "boot": self.boot, **self.tempo.as_json()}

    def holds_at(self, endpoint: str) -> bool:
        """Whether it is still the time of what answers at `endpoint`, an address on this machine. Raises OSError where its process
        has ended, and ValueError."""
        is_of_this_start = self.boot == _boot_id() and self.tempo.since <= time.monotonic()
        if not is_of_this_start or urlsplit(self.endpoint).port != urlsplit(endpoint).port or self.pid <= 0:
            return False
        os.kill(self.pid, 0)
        return True


@lru_cache(maxsize=1)
def _told(file: str, _modified: int, _inode: int) -> ToldTime:
    """Read again only when it has changed. Raises OSError, ValueError, TypeError, KeyError."""
    with Path(file).open(encoding="utf-8") as opened:
        return ToldTime.from_json(json.load(opened))


@cache
def boot() -> str:
    """Which start of this machine `seconds` counts from. Where that cannot be told it is only good in one process, and so is what
    this gives."""
    return _boot_id() or f"process-{secrets.token_hex(8)}"


def _boot_id() -> str:
    """ "" where the machine does not tell, as macOS."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Stamp:
    """A moment on this clock, as the journal keeps it beside the time of day. `awake` leaves the time out that the machine was
    asleep, where its clocks tell the two apart."""

    seconds: float
    awake: float
    boot: str

    @classmethod
    def now(cls) -> Stamp:
        return cls(seconds(), time.monotonic(), boot())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stamp | None:
        """Of an event; None where it has none, as those of older versions."""
        given = data.get("clock")
        try:
            return cls(float(given["seconds"]), float(given["awake"]), str(given["boot"])) if given else None
        except (TypeError, KeyError, ValueError):
            return None

    def as_json(self) -> dict[str, Any]:
        return {"seconds": round(self.seconds, 3), "awake": round(self.awake, 3), "boot": self.boot}

    @property
    def age(self) -> float | None:
        """Seconds since; None where that cannot be told, since the machine was started again."""
        passed = seconds() - self.seconds
        return max(0.0, passed) if self.boot == boot() else None

    @property
    def awake_age(self) -> float | None:
        """As `age`, of the time in which the machine was awake: what it had still to send when it fell asleep, it sends then."""
        age, passed = self.age, time.monotonic() - self.awake
        return None if age is None else max(0.0, min(age, passed))


class Deadline:
    """How long work may take that is looked at again and again. Ask `is_over` after each look.

    What counts is the time in which somebody looked. Between two looks the machine may have been asleep, or this process
    suspended or waiting for credentials: of such a gap a tenth of the limit counts, and what is over then is looked at again
    before it is.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._left = max(0.0, limit_seconds)
        self._most = self._left / _LOOKS
        self._graces = _GRACES
        self._looked = seconds()

    @property
    def left_seconds(self) -> float:
        """As of the newest look."""
        return max(0.0, self._left)

    @property
    def pause_seconds(self) -> float:
        """Between two looks, so that all the time counts that passes between them."""
        return max(0.05, self._most)

    def is_over(self) -> bool:
        now = seconds()
        gap, self._looked = now - self._looked, now
        self._left -= min(gap, self._most)
        if self._left <= 0 and gap > self._most and self._graces:
            self._graces -= 1
            self._left = self._most
        return self._left <= 0
