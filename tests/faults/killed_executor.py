"""The executor, with a bullet in it: it kills itself with SIGKILL at the event that INFRACONSOLE_TEST_KILL names.

`before|after:KIND:STEP` is the first event of that kind and step; before: it is not written, after: it is on the disk.
`hold:KIND:STEP`: it is on the disk, and the executor stands still until the file `go` is there, beside the journal.
`jump:KIND:STEP`: there the clocks jump as INFRACONSOLE_TEST_JUMP says: `wall=SECONDS` is the time of day alone, set by somebody or
by NTP; `asleep=SECONDS` is the machine asleep for so long, so that both its clocks have gone on.
With INFRACONSOLE_TEST_TIMEOUT it waits that many seconds for an answer of AWS, and no longer, and with INFRACONSOLE_TEST_WHOLE
for a whole one.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from infraconsole import clock
from infraconsole.aws.access import ChangingAccess
from infraconsole.engine import executor
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.journal import Journal
from infraconsole.engine.patience import PatientAccess

WHEN, KIND, STEP = os.environ.get("INFRACONSOLE_TEST_KILL", "::").split(":")
TIMEOUT = float(os.environ.get("INFRACONSOLE_TEST_TIMEOUT", "0"))
WHOLE = float(os.environ.get("INFRACONSOLE_TEST_WHOLE", "0"))
append = Journal.append
JUMP, _, JUMP_SECONDS = os.environ.get("INFRACONSOLE_TEST_JUMP", "").partition("=")
jumped: list[str] = []


class _AnyDatetime(type):
    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, datetime)


class Wall(datetime, metaclass=_AnyDatetime):
    """The time of day, set wrongly. In the modules' eyes every datetime is one of these."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(seconds=float(JUMP_SECONDS))


def jump() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("infraconsole.") and getattr(module, "datetime", None) is datetime:
            module.datetime = Wall  # type: ignore[attr-defined]
    if JUMP == "asleep":
        seconds = clock.seconds
        clock.seconds = lambda: seconds() + float(JUMP_SECONDS)


def killing(self: Journal, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Event:
    hit = (kind.value, step) == (KIND, STEP)
    if hit and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    event = append(self, run, kind, step, data)
    if hit and WHEN == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    if hit and WHEN == "jump" and not jumped:
        jumped.append(kind.value)
        jump()
    while hit and WHEN == "hold" and not (self.folder / "go").exists():
        time.sleep(0.05)
    return event


if __name__ == "__main__":
    Journal.append = killing  # type: ignore[method-assign]
    limits: dict[str, Any] = {
        name: value for name, value in (("read_timeout_seconds", TIMEOUT), ("whole_call_seconds", WHOLE)) if value
    }
    more: dict[str, Any] = {"change_timeout_seconds": TIMEOUT} if TIMEOUT else {}
    executor.PatientAccess = functools.partial(PatientAccess, **limits)  # type: ignore[attr-defined,assignment]
    executor.ChangingAccess = functools.partial(ChangingAccess, **limits, **more)  # type: ignore[attr-defined,assignment]
    sys.exit(executor.main(sys.argv[1:]))
