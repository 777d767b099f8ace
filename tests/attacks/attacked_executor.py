"""The executor, in an attacker's hands. INFRACONSOLE_TEST_ATTACK names a folder in which the attacker leaves, at any time:

`moment` (`before|after:KIND:STEP`): at that event the executor renames it to `held` and stands still until `go` is there.
`jump` (two numbers): from the next event on the time of day and the time since boot are so many seconds further.
`timeout` (a number): how long it waits for an answer of AWS; read once.
`blind` (a step): its probe never finds that it was done. A test of the laws needs a product that breaks them.
"""

from __future__ import annotations

import datetime as module
import functools
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["INFRACONSOLE_TEST_ATTACK"])
ahead = {"wall": 0.0, "boot": 0.0}
real_time = time.time


class _Real(type):
    """A time of the real class is one of the jumping class as well: botocore and others make both."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Jumping(datetime, metaclass=_Real):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Jumping:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Jumping:
        return cls.now(UTC).replace(tzinfo=None)


# Before anything else is imported: most modules take the class out of its module.
module.datetime = Jumping  # type: ignore[misc]
time.time = lambda: real_time() + ahead["wall"]

from infraconsole import clock  # noqa: E402
from infraconsole.aws.access import ChangingAccess  # noqa: E402
from infraconsole.engine import executor  # noqa: E402
from infraconsole.engine.event import Event, Kind  # noqa: E402
from infraconsole.engine.journal import Journal  # noqa: E402
from infraconsole.engine.patience import PatientAccess  # noqa: E402
from infraconsole.engine.runbook import Probe, ProbeState, Step  # noqa: E402

append, seconds, probe = Journal.append, clock.seconds, executor.Executor._probe


def attacked(self: Journal, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Event:
    _stand(f"before:{kind.value}:{step}")
    event = append(self, run, kind, step, data)
    _stand(f"after:{kind.value}:{step}")
    return event


def _stand(here: str) -> None:
    if _left("moment") == here:
        (FOLDER / "moment").rename(FOLDER / "held")
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
        (FOLDER / "go").unlink()
    if jump := _left("jump"):
        (FOLDER / "jump").unlink()
        wall, boot = jump.split()
        ahead["wall"] += float(wall)
        ahead["boot"] += float(boot)


def _left(name: str) -> str:
    try:
        return (FOLDER / name).read_text()
    except OSError:
        return ""


def _looks_away(self: executor.Executor, step: Step) -> Probe:
    return Probe(ProbeState.NOT_DONE, "nobody looked") if step.id == _left("blind") else probe(self, step)


if __name__ == "__main__":
    Journal.append = attacked  # type: ignore[method-assign]
    clock.seconds = lambda: seconds() + ahead["boot"]
    if timeout := float(_left("timeout") or "0"):
        executor.PatientAccess = functools.partial(PatientAccess, read_timeout_seconds=timeout)  # type: ignore[attr-defined,assignment]
        executor.ChangingAccess = functools.partial(  # type: ignore[attr-defined,assignment]
            ChangingAccess, read_timeout_seconds=timeout, change_timeout_seconds=timeout
        )
    executor.Executor._probe = _looks_away  # type: ignore[method-assign]
    sys.exit(executor.main(sys.argv[1:]))
