"""Readings that a tick asks for: one that is under way is never restarted or cancelled, however long it takes.

A worker that is exclusive is cancelled by the next one of its group. Where a tick starts it, and it takes longer than from one
tick to the next, it never ends, and the screen shows for ever what it showed first.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from textual.dom import DOMNode

_S = TypeVar("_S", bound=DOMNode)


def steady(reading: Callable[[_S], Awaitable[None]]) -> Callable[[_S], None]:
    """Makes an async method of a screen a reading: called while it is under way, it runs once more afterwards, and no more than
    once however often it was called."""
    asked = f"_asked_{reading.__name__}"

    async def run(screen: _S) -> None:
        try:
            while getattr(screen, asked):
                setattr(screen, asked, 1)
                await reading(screen)
                setattr(screen, asked, getattr(screen, asked) - 1)
        finally:
            setattr(screen, asked, 0)

    @functools.wraps(reading)
    def ask(screen: _S) -> None:
        under_way: int = getattr(screen, asked, 0)
        setattr(screen, asked, min(2, under_way + 1))
        if not under_way:
            # Not a coroutine: one whose worker never begins, as when the console is left, would complain of it.
            work: Any = functools.partial(run, screen)
            screen.run_worker(work, group=reading.__name__, exit_on_error=False)

    return ask
