"""What can be read in one go, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """What was read of one group of one row, by its key: a value, or why there is none."""

    key: str
    group: str
    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class Job:
    """`read` blocks. It tells what it found of its rows, and gives further jobs where a row needs calls of its own; what it raises
    holds for all of its rows."""

    name: str
    where: str
    """The account and region whose budget it is taken from; "" where AWS is not asked."""
    environment: str
    groups: tuple[str, ...]
    rows: tuple[str, ...]
    read: Callable[[], Iterator[Told | Job]]
    turn_seconds: float = 0.0
    """Not sooner again; 0: as often as its row deserves."""
    once: bool = False
