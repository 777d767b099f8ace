"""Times on a screen: the clock of the operator's own zone, with the age beside it. Evidence and records keep UTC (`text.utc`)."""

from __future__ import annotations

from datetime import datetime

from infraconsole import text

WIDTH = 12
"""Of a column of `clock_time`."""


def clock_time(at: datetime | None, now: datetime) -> str:
    """`14:20:05` today, `26 Nov 14:20` on another day, `26 Nov 2025` in another year; `-` where it is not known."""
    if at is None:
        return "-"
    here, today = text.here(at), text.here(now)
    if here.date() == today.date():
        return f"{here:%H:%M:%S}"
    return f"{here:%d %b %H:%M}" if here.year == today.year else f"{here:%d %b %Y}"


def when(at: datetime | None, now: datetime) -> str:
    """`14:20:05 (4 min ago)`."""
    return f"{clock_time(at, now)} ({text.ago(at, now)} ago)" if at else "-"
