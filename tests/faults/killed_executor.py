"""The executor, with a bullet in it: it kills itself with SIGKILL at the event that INFRACONSOLE_TEST_KILL names.

`before|after:KIND:STEP` is the first event of that kind and step; before: it is not written, after: it is on the disk.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from infraconsole.engine import executor
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.journal import Journal

WHEN, KIND, STEP = os.environ["INFRACONSOLE_TEST_KILL"].split(":")
append = Journal.append


def killing(self: Journal, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Event:
    hit = (kind.value, step) == (KIND, STEP)
    if hit and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    event = append(self, run, kind, step, data)
    if hit:
        os.kill(os.getpid(), signal.SIGKILL)
    return event


if __name__ == "__main__":
    Journal.append = killing  # type: ignore[method-assign]
    sys.exit(executor.main(sys.argv[1:]))
