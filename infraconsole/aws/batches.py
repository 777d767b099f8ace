"""Batches and times, as every service module needs them. Kept in one place, since the off-by-one of the batch of ten is
the bug most tools of this kind have had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any


def batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """`items` in their order, at most `size` at a time; nothing at all for no items, so that no empty call is made."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def distinct(items: Sequence[str]) -> tuple[str, ...]:
    """`items` without repetitions, in their order: AWS refuses or doubles what is named twice in a call."""
    return tuple(dict.fromkeys(items))


def moment(value: Any) -> datetime | None:
    """A time of AWS's as an aware datetime in UTC; None for none. Epoch seconds and milliseconds are understood too."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Seconds reach this size in the year 5138, milliseconds passed it in 1973.
        return datetime.fromtimestamp(value / 1000 if value > 100_000_000_000 else value, UTC)
    return None
