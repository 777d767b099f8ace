"""Calls that block, taken off the event loop.

Each call gets a daemon thread of its own: asyncio's default pool has six threads on two cores, which would line up the
loads of a board one behind the other, and it is waited for when the process ends, which would hold up quitting.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from infraconsole.aws.budget import carried

T = TypeVar("T")


async def in_thread(call: Callable[[], T], name: str = "load") -> T:
    """The call's result, or its exception. Cancelled, the thread runs to its end and its result is dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - it is raised again in the awaiting task
            error = caught
        # The loop may be closed by now: the console has been left, and nobody waits for this any more.
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return

    threading.Thread(target=carried(run), name=name, daemon=True).start()
    return await future
