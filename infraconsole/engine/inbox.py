"""What views and signals ask of a running executor: answers to gates, and interrupts. Read from the journal's requests."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from infraconsole import clock, text
from infraconsole.clock import Deadline
from infraconsole.engine import log
from infraconsole.engine.journal import Journal, Request
from infraconsole.errors import EXIT_INTERRUPTED, InfraconsoleError, JournalError

_POLL_SECONDS = 0.1
_RECORD_SECONDS = 1.0
"""How long an interrupt is held back until it is written down; then it is acted on all the same."""
_LONGEST_ANSWER = 10_000
INSIST = 2
"""The level of an interrupt that does not wait for the call under way; what it did is probed when the run is resumed."""


class InterruptRequested(InfraconsoleError):
    """Somebody asked the run to stop; raised at the next point where nothing is half done."""


class _NotUnderstood(Exception):
    """Why a request is none."""


class Inbox:
    """Polls for requests in a thread of its own; `tick` is called with every poll, `heard` with an interrupt's level and its
    request, `refused` with one that is not understood and why. Those `seen` are of earlier executors of this run."""

    def __init__(
        self,
        journal: Journal,
        run: str,
        tick: Callable[[], None],
        heard: Callable[[int, Request], None] = lambda *_: None,
        refused: Callable[[Request, str], None] = lambda *_: None,
        *,
        seen: Collection[int] = (),
    ) -> None:
        self._journal = journal
        self._run = run
        self._tick = tick
        self._heard = heard
        self._refused = refused
        self._seen = set(seen)
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
    def known(journal: Journal, run: str) -> Collection[int]:
        """The numbers of the run's requests so far. To be asked before the run's lock is taken: whoever sees the lock held may ask
        for something, and is heard. Numbers, not the greatest of them: somebody may have put a very great one in."""
        return frozenset(request.id for request in journal.requests(run))

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

    def is_interrupted(self) -> bool:
        return bool(self.interrupts)

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

    def known_now(self) -> Collection[int]:
        """The numbers of the requests so far: to be asked before a gate opens, for `next_answer`."""
        return self.known(self._journal, self._run)

    def next_answer(self, opening: int, left_before: Collection[int], timeout_seconds: float) -> Request | None:
        """The next answer to this opening of a gate; those to other openings, and the requests `left_before` anybody could see it,
        are dropped. None when the time is over."""
        patience = Deadline(timeout_seconds)
        while not patience.is_over():
            self.raise_if_interrupted()
            with self._changed:
                while self._answers:
                    request = self._answers.pop(0)
                    if request.data.get("opening") == opening and request.id not in left_before:
                        return request
                self._changed.wait(_POLL_SECONDS)
        return None

    def _poll(self) -> None:
        version = -1
        while True:
            with self._changed:
                if self._closed:
                    return
            # The executor's own writes report what is wrong with the journal. Whatever else goes wrong here, who asks for
            # an interrupt later is heard.
            try:
                with contextlib.suppress(JournalError):
                    if (now := self._journal.data_version()) != version:
                        self._take_in()
                        version = now
                with contextlib.suppress(JournalError):
                    self._tick()
            except Exception as error:  # noqa: BLE001 - the edge of a thread
                log.write_exception(error)
            time.sleep(_POLL_SECONDS)

    def _take_in(self) -> None:
        """Each by itself: one that cannot be understood is answered in the run, and takes nothing else with it."""
        for request in self._journal.requests(self._run):
            if request.id in self._seen:
                continue
            self._seen.add(request.id)
            try:
                self._take(request)
            except _NotUnderstood as error:
                self._unheard(request, str(error))

    def _take(self, request: Request) -> None:
        """Raises _NotUnderstood."""
        if request.trouble:
            raise _NotUnderstood(request.trouble)
        if request.kind == "interrupt":
            self._interrupt(request, _level(request.data))
        elif request.kind == "answer":
            _check_answer(request.data)
            with self._changed:
                self._answers.append(request)
                self._changed.notify_all()
        else:
            raise _NotUnderstood(f"its kind is {request.kind!r}")

    def _interrupt(self, request: Request, level: int) -> None:
        self._record(level, request)
        if level == INSIST and self.interrupts and self.awaits_command:
            self.insisted = True
        elif level == INSIST and self.interrupts:
            log.write(f"Ended at once: {request.by} insisted.")
            os._exit(EXIT_INTERRUPTED)
        self.interrupt(request.by)

    def _record(self, level: int, request: Request) -> None:
        """An interrupt that cannot be written down, or not soon, is an interrupt all the same."""
        self._soon(lambda: self._heard(level, request))

    def _unheard(self, request: Request, why: str) -> None:
        """Said in the executor's log, too: the journal may be what is wrong."""
        log.write(f"Request {request.id} by {request.by} was not understood: {why}.")
        self._soon(lambda: self._refused(request, why))

    def _soon(self, write: Callable[[], None]) -> None:
        def attempt() -> None:
            with contextlib.suppress(JournalError):
                write()

        writing = threading.Thread(target=attempt, name="request", daemon=True)
        writing.start()
        writing.join(_RECORD_SECONDS)


def _level(data: Mapping[str, Any]) -> int:
    level = data.get("level", 1)
    if isinstance(level, bool) or level not in (1, INSIST):
        raise _NotUnderstood(f"an interrupt has level 1 or {INSIST}, not {text.line(repr(level), 80)}")
    return int(level)


def _check_answer(data: Mapping[str, Any]) -> None:
    opening, value = data.get("opening"), data.get("value")
    if isinstance(opening, bool) or not isinstance(opening, int):
        raise _NotUnderstood("an answer names the opening of a gate by its number")
    if not isinstance(value, str):
        raise _NotUnderstood("an answer has a value of text")
    if len(value) > _LONGEST_ANSWER:
        raise _NotUnderstood(f"an answer has {_LONGEST_ANSWER:,} characters at most")
