"""Real processes in real pseudo-terminals: what is timed is what a person at a terminal waits for, from the spawn or the
key press to the bytes of the frame."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

COLUMNS, LINES = 120, 40
_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>])")
_KEPT = 256 * 1024
_QUESTIONS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[?2048$p": b"\x1b[?2048;0$y"}
"""What Textual asks a terminal (may updates be synchronised, are resizes told in-band), and what a modern one answers."""


class Terminal:
    """A process and the terminal it draws on. Use `opened`."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, began: float) -> None:
        self.process = process
        self.began = began
        self._descriptor = descriptor
        self._seen = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def drawn(self) -> str:
        """What was drawn since the last key press, without its control sequences."""
        return _CONTROL.sub(b"", self._seen).decode("utf-8", "replace")

    def press(self, keys: str) -> float:
        """The time at which the keys were pressed; what was drawn before is forgotten."""
        self.drain()
        self._seen = b""
        at = time.perf_counter()
        os.write(self._descriptor, keys.encode())
        return at

    def wait_for(self, words: str, *, seconds: float = 30.0) -> float:
        """The time at which the last byte of `words` was drawn. They have to stand in one run of text, as drawn."""
        deadline = time.perf_counter() + seconds
        wanted = words.encode()
        while True:
            if wanted in _CONTROL.sub(b"", self._seen):
                return time.perf_counter()
            left = deadline - time.perf_counter()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"never drawn: {words!r}; at last: {_CONTROL.sub(b'', self._seen)[-2000:]!r}")

    def drain(self, seconds: float = 0.0) -> None:
        """Take in what is drawn in the next `seconds`; a terminal that nobody reads stops its program."""
        deadline = time.perf_counter() + seconds
        while True:
            left = max(0.0, deadline - time.perf_counter())
            if not self._read(left) and time.perf_counter() >= deadline:
                return

    def settle(self, quiet_seconds: float = 0.04) -> None:
        """Until nothing has been drawn for that long."""
        while self._read(quiet_seconds):
            pass

    def _read(self, seconds: float) -> bool:
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        try:
            read = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        for question, answer in _QUESTIONS.items():
            if question in read:
                os.write(self._descriptor, answer)
        self._seen = (self._seen + read)[-_KEPT:]
        return bool(read)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._descriptor)


@contextlib.contextmanager
def opened(command: Sequence[str | os.PathLike[str]], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """The command in a terminal of its own, 120×40 and of full colour; it is killed when the block is left."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    kept = {name: value for name, value in environment.items() if name not in ("NO_COLOR", "COLORTERM", "TEXTUAL")}
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=far,
        stdout=far,
        stderr=far,
        env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(far)
    terminal = Terminal(process, near, began)
    try:
        yield terminal
    finally:
        terminal.close()
