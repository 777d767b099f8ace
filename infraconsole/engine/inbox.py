"""What views and signals ask of a running executor: answers to gates, and interrupts. Read from the journal's requests."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

from infraconsole import clock
from infraconsole.clock import Deadline
from infraconsole.engine.journal import Journal, Request
from infraconsole.errors import EXIT_INTERRUPTED, InfraconsoleError, JournalError

_POLL_SECONDS = 0.1
_RECORD_SECONDS = 1.0
"""How long an interrupt is held back until it is written down; then it is acted on all the same."""
INSIST = 2
"""The level of an interrupt that does not wait for the call under way; what it did is probed when the run is resumed."""


class InterruptRequested(InfraconsoleError):
    """Somebody asked the run to stop; raised at the next point where nothing is half done."""


class Inbox:
    """Polls for requests in a thread of its own; `tick` is called with every poll, `heard` with an interrupt's level and who
    asked for it. Requests up to the number `seen` are of earlier executors of this run: see `newest`."""

    def __init__(
        self,
        journal: Journal,
        run: str,
        tick: Callable[[], None],
        heard: Callable[[int, str], None] = lambda *_: None,
        *,
        seen: int = 0,
    ) -> None:
        self._journal = journal
        self._run = run
        self._tick = tick
        self._heard = heard
        self._seen = seen
        self._answers: list[Request] = []
        self._changed = threading.Condition()
        self._closed = False
        self.interrupts: list[str] = []
        """Who asked for an interrupt, one entry for each time."""
        self.awaits_command = False
        """Whether a Terraform command is under way: its own end is awaited even where somebody insists."""
        self.insisted = False
        self._thread = threading.Thread(target=self._poll, name="inbox", daemon=True)

    @staticmethod
    def newest(journal: Journal, run: str) -> int:
        """The number of the run's newest request. To be asked before the run's lock is taken: whoever sees the lock held may ask
        for something, and is heard."""
        return max((request.id for request in journal.requests(run)), default=0)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def interrupt(self, by: str) -> None:
        """From a signal handler or a request: takes no lock that the interrupted code could hold."""
        self.interrupts.append(by)

    def raise_if_interrupted(self) -> None:
        if self.interrupts:
            raise InterruptRequested(f"Interrupted by {self.interrupts[0]}.")

    def wait(self, seconds: float) -> None:
        """Raises InterruptRequested as soon as somebody asks."""
        deadline = clock.seconds() + seconds
        while (left := deadline - clock.seconds()) > 0:
            self.raise_if_interrupted()
            time.sleep(min(_POLL_SECONDS, left))
        self.raise_if_interrupted()

    def next_answer(self, opening: int, timeout_seconds: float) -> Request | None:
        """The next answer to this opening of a gate; those to other openings are dropped. None when the time is over."""
        patience = Deadline(timeout_seconds)
        while not patience.is_over():
            self.raise_if_interrupted()
            with self._changed:
                while self._answers:
                    request = self._answers.pop(0)
                    if request.data.get("opening") == opening:
                        return request
                self._changed.wait(_POLL_SECONDS)
        return None

    def _poll(self) -> None:
        version = -1
        while True:
            with self._changed:
                if self._closed:
                    return
            # The executor's own writes report what is wrong with the journal.
            with contextlib.suppress(JournalError):
                if (now := self._journal.data_version()) != version:
                    self._take_in()
                    version = now
            with contextlib.suppress(JournalError):
                self._tick()
            time.sleep(_POLL_SECONDS)

    def _take_in(self) -> None:
        for request in self._journal.requests(self._run, after=self._seen):
            self._seen = request.id
            if request.kind == "interrupt":
                self._record(int(request.data.get("level", 1)), request.by)
                if request.data.get("level") == INSIST and self.interrupts and self.awaits_command:
                    self.insisted = True
                elif request.data.get("level") == INSIST and self.interrupts:
                    sys.stderr.write(f"Ended at once on the word of {request.by}.\n")
                    os._exit(EXIT_INTERRUPTED)
                self.interrupt(request.by)
            elif request.kind == "answer":
                with self._changed:
                    self._answers.append(request)
                    self._changed.notify_all()

    def _record(self, level: int, by: str) -> None:
        """An interrupt that cannot be written down, or not soon, is an interrupt all the same."""

        def write() -> None:
            with contextlib.suppress(JournalError):
                self._heard(level, by)

        writing = threading.Thread(target=write, name="interrupt", daemon=True)
        writing.start()
        writing.join(_RECORD_SECONDS)
