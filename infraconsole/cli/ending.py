"""The console's end when nobody at the keyboard asks for it: its process is told to end, or its terminal has gone.

It leaves in order, so that the terminal is as it was. Where it cannot (the terminal takes no more bytes, a computation does not
come to its end), it ends all the same, after some seconds. Runs are processes of their own and go on either way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

FIRST_SIGNAL_CODE = 128
"""From here on, an exit code says that nobody asked for the end at the keyboard."""
GRACE_SECONDS = 3.0
_WRITE_SECONDS = 0.5
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_RESTORED = b"\x1b[?1049l\x1b[?25h\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u"
"""The first screen, the cursor, wrapped lines; no more mouse, focus, paste and key reports."""


def code_of(number: int) -> int:
    """What a shell says of a program that this signal ended."""
    return FIRST_SIGNAL_CODE + number


@contextlib.contextmanager
def watched(leave: Callable[[int], None]) -> Iterator[None]:
    """Within an event loop: `leave` is called in it, with the exit code. A signal that was ignored (nohup) stays so."""
    ending = _Ending(leave, asyncio.get_running_loop())
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, lambda told, _: ending.begin(code_of(told)))
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    threading.Thread(target=ending.follow_terminal, name="terminal", daemon=True).start()
    try:
        yield
    finally:
        ending.over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Ending:
    def __init__(self, leave: Callable[[int], None], loop: asyncio.AbstractEventLoop) -> None:
        self._leave = leave
        self._loop = loop
        self._terminal = sys.stdin.fileno()
        self._attributes = _attributes(self._terminal)
        self._begun = False
        self.over = threading.Event()

    def begin(self, code: int) -> None:
        if self._begun:
            return
        self._begun = True
        threading.Thread(target=self._insist, args=(code,), name="ending", daemon=True).start()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._leave, code)

    def follow_terminal(self) -> None:
        """Its end comes as SIGHUP, but not to a process that ignores it, nor to one of another session."""
        poll = select.poll()
        poll.register(self._terminal, 0)
        with contextlib.suppress(OSError):
            poll.poll()
            if not self.over.is_set():
                self.begin(code_of(signal.SIGHUP))

    def _insist(self, code: int) -> None:
        if self.over.wait(GRACE_SECONDS):
            return
        if self._attributes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._attributes)
        threading.Thread(target=_restore, name="restore", daemon=True).start()
        time.sleep(_WRITE_SECONDS)
        os._exit(code)


def _attributes(terminal: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None


def _restore() -> None:
    """In a thread of its own: a terminal that takes nothing would hold it for ever."""
    with contextlib.suppress(OSError):
        os.write(2, _RESTORED)
