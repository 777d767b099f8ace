"""Runs that build on each other: the next one begins once the one before is done, as on the command line.

The console begins them, so the rest is not begun once it is left; the run under way goes on as any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from infraconsole.errors import JournalError
from infraconsole.screens.places import StartRun
from infraconsole.screens.threads import in_thread

if TYPE_CHECKING:
    from infraconsole.engine.history import RunRecord
    from infraconsole.engine.journal import Journal

_POLL_SECONDS = 0.5


async def begin_in_order(
    wishes: Sequence[StartRun],
    journal: Journal,
    begin: Callable[[StartRun], Awaitable[str]],
    show: Callable[[str, str, str], None],
    say: Callable[[str], None],
) -> None:
    """`begin` gives the new run's id, "" where it could not be begun, which it says. `show` takes the run, the one before it, ""
    for the first, and what is said of it."""
    before = ""
    for place, wish in enumerate(wishes):
        rest = ", ".join(each.service for each in wishes[place + 1 :])
        run = await begin(wish)
        if not run:
            say(f"Not begun: {', '.join(filter(None, (wish.service, rest)))}.")
            return
        following = f" {wishes[place + 1].service} begins once it is done, while this console is open." if rest else ""
        show(run, before, f"{place + 1} of {len(wishes)}: {wish.service}.{following}")
        record = await _ended(journal, run)
        if record.exit_code != 0 and rest:
            say(f"{wish.service} ended as {record.outcome}, so these are not begun: {rest}.")
        if record.exit_code != 0:
            return
        before = run


async def _ended(journal: Journal, run: str) -> RunRecord:
    """How the run ended. One whose process is gone is waited for all the same: somebody may resume it."""
    from infraconsole.engine.history import record_of

    seen = -1
    while True:
        try:
            now = await in_thread(journal.data_version, "journal")
            if now != seen:
                record = await in_thread(lambda: record_of(run, journal.events(run, brief=True)), "journal")
                if record.finished:
                    return record
                seen = now
        except JournalError:  # the run's own screen says it
            pass
        await asyncio.sleep(_POLL_SECONDS)
