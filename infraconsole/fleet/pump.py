"""Carries out what the schedule says is next, as many at a time as make sense, and hands over what was read.

All of it runs in one event loop; what blocks is carried into threads by whoever made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from infraconsole import clock
from infraconsole.aws.budget import Lane, Spent, reading
from infraconsole.errors import Throttled
from infraconsole.fleet.job import Job, Told
from infraconsole.fleet.schedule import Entry, Schedule

if TYPE_CHECKING:
    from infraconsole.overview import Overview

ASKED_AT_ONCE = 32
BACKGROUND_AT_ONCE = 6
"""Few, so that what comes into view waits for few."""
_LONGEST_WAIT_SECONDS = 1.0
_SHARE_OUT_SECONDS = 3.0
_LEAST_WAIT_SECONDS = 0.02

Carry = Callable[[Callable[[], None], Job], Awaitable[None]]
"""Runs what blocks in a thread, and raises what that raises."""
Tell = Callable[[Sequence[Told]], None]


class Pump:
    """`tell` is called in the event loop. `run` reads for ever, `run_once` everything once."""

    def __init__(
        self,
        overview: Overview,
        jobs: Iterable[Job],
        tell: Tell,
        carry: Carry,
        *,
        once: bool = False,
        at_once: int = BACKGROUND_AT_ONCE,
    ) -> None:
        self._overview = overview
        self._tell = tell
        self._carry = carry
        self._once = once
        self._at_once = at_once
        wanted = (replace(job, once=True) for job in jobs) if once else jobs
        self.schedule = Schedule(wanted, overview.rate)
        self._woken = asyncio.Event()
        self._paused = False
        self._shared_out_at = float("-inf")
        self._asked: set[asyncio.Task[None]] = set()
        self._unasked: set[asyncio.Task[None]] = set()

    # What is wanted

    def look(self, in_view: Collection[str], troubled: Collection[str]) -> None:
        """Which rows are on the screen, and which are not well."""
        self.schedule.look(in_view, troubled)
        self._woken.set()

    def ask(self, keys: Collection[str] | None = None) -> None:
        """As `Schedule.ask`."""
        self.schedule.ask(keys)
        self._woken.set()

    def pause(self) -> None:
        """What is under way comes to its end."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._woken.set()

    # Carrying it out

    async def run(self) -> None:
        try:
            while True:
                await self._step()
        finally:
            self._stop()

    async def run_once(self) -> None:
        try:
            while not self.schedule.is_all_read:
                await self._step()
        finally:
            self._stop()

    def _stop(self) -> None:
        for task in (*self._asked, *self._unasked):
            task.cancel()

    async def _step(self) -> None:
        """Start what is due, and wait until something else may be."""
        self._woken.clear()
        if not self._paused:
            self._start_due()
        wait = min(_LONGEST_WAIT_SECONDS, self.schedule.wait_seconds(clock.seconds()), self._budget_wait())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max(_LEAST_WAIT_SECONDS, wait))

    def _start_due(self) -> None:
        now = clock.seconds()
        if now - self._shared_out_at >= _SHARE_OUT_SECONDS:
            self._shared_out_at = now
            self.schedule.share_out()
        while len(self._asked) < ASKED_AT_ONCE:
            entry = self.schedule.next(clock.seconds(), self._is_open)
            if entry is None:
                return
            tasks = self._asked if entry.asked else self._unasked
            task = asyncio.create_task(self._carry_out(entry))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._woken.set())

    def _is_open(self, job: Job) -> bool:
        if len(self._unasked) >= self._at_once:
            return False
        budget = self._overview.budget(job.environment) if job.where else None
        return budget is None or budget.wait_seconds() <= 0

    def _budget_wait(self) -> float:
        """Until a place lets its next call through."""
        waits = [budget.wait_seconds() for budget in self._overview.budgets()]
        return min((wait for wait in waits if wait > 0), default=_LONGEST_WAIT_SECONDS)

    async def _carry_out(self, entry: Entry) -> None:
        job, lane = entry.job, Lane.ASKED if entry.asked else Lane.BACKGROUND
        told: list[Told] = []
        further: list[Job] = []
        spent = Spent()

        def work() -> None:
            nonlocal spent
            with reading(lane) as spent:
                for found in job.read():
                    if isinstance(found, Told):
                        told.append(found)
                    else:
                        further.append(found)

        try:
            await self._carry(work, job)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a read: it is said of its rows
            if isinstance(error, Throttled) and self.schedule.throttled(entry, clock.seconds()):
                return
            known = {(each.key, each.group) for each in told}
            told += [
                Told(key, group, error=error) for key in job.rows for group in job.groups if (key, group) not in known
            ]
        if self._once:
            further = [replace(each, once=True) for each in further]
        self.schedule.ended(entry, clock.seconds(), spent.calls, further)
        if told:
            self._tell(told)
