"""Python's collector of cycles, kept out of the way of documents of many megabytes.

They have no cycles, but the collector walks through all of them again and again while they grow, which takes longer than to
read them, and afterwards at any key press. Its own module because it touches what belongs to the whole process.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Puts the collector off until the block is left, also for other threads. Within another such block it does nothing;
    of two threads the one that began first ends it for both, which costs the other nothing but time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            settle()
            gc.enable()


def settle() -> None:
    """Counts all objects among the oldest without looking at them, so that only a full collection, which is rare, walks through
    them. They are not frozen: what is in a cycle with them, as a screen is, would never be freed."""
    gc.freeze()
    gc.unfreeze()
