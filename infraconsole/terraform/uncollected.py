"""Reading documents of many megabytes without Python's collector of cycles in the way.

Parsed JSON has no cycles, but the collector walks all of it again and again while it grows, which takes longer than the
parsing. Its own module because it touches what belongs to the whole process, for less than a second and nowhere else.
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
            gc.enable()
