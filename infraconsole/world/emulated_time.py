"""The emulator's own records (states, parameters, logs, alarms) by the world's clock, so that all of AWS there has one time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime

from moto.core import utils


def install(now: Callable[[], datetime]) -> None:
    """All of moto asks `utcnow`, which its modules import by name: those that are there already, and those still to come."""
    theirs = utils.utcnow

    def utcnow() -> datetime:
        return now().replace(tzinfo=None)

    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and getattr(module, "utcnow", None) is theirs:
            module.utcnow = utcnow  # type: ignore[attr-defined]
