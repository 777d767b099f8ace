"""Other programs asked for what they know, or followed while they speak: given so long, heard to so many bytes, and ended with all
that they have started."""

from __future__ import annotations

import atexit
import codecs
import io
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from infraconsole import clock

MOST_BYTES = 32 * 2**20
MOST_FOLLOWED_BYTES = 2**20
"""Of a program that a person reads."""
_CHUNK_BYTES = 2**16
_PULSE_SECONDS = 0.1
_SILENCE_SECONDS = 0.5
"""After that, a line without an end is told as it is: a question stands in such a one."""
_LEAVING_SECONDS = 2.0
"""For a program that was asked to end."""


@dataclass(frozen=True)
class Said:
    """`code` is the return code, negative for a signal's number."""

    code: int
    output: bytes
    errors: bytes


class Unheard(Exception):
    """It did not end in time, or said more than is listened to."""


def ask(
    command: Sequence[str], *, seconds: float, environ: Mapping[str, str] | None = None, most: int = MOST_BYTES
) -> Said:
    """Run it without input and without a terminal. Raises OSError where it cannot be started, and Unheard."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environ is None else dict(environ),
        start_new_session=True,
    )
    with process:
        try:
            output, errors = _heard(process, clock.seconds() + seconds, most)
        finally:
            # Also what it left behind in its group and what may hold its pipes.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return Said(process.returncode, output, errors)


class Stopped(Exception):
    """It was ended because nobody wants it any more."""


def follow(
    command: Sequence[str],
    tell: Callable[[Sequence[str]], None],
    *,
    seconds: float,
    stopped: Callable[[], bool],
    environ: Mapping[str, str] | None = None,
    most: int = MOST_FOLLOWED_BYTES,
) -> int:
    """Run it without input and without a terminal, and `tell` its lines as they come; its return code. Blocks: for a thread.
    Raises OSError where it cannot be started, Stopped where `stopped` says so, and Unheard."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if environ is None else dict(environ),
        start_new_session=True,
    )
    # Where this process ends meanwhile, the thread that this is called in ends with it, wherever it stands.
    end = partial(_signal, process, signal.SIGKILL)
    atexit.register(end)
    with process:
        try:
            _told(process, _Lines(tell), clock.seconds() + seconds, stopped, most)
        except (Stopped, Unheard):
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVING_SECONDS)
            raise
        finally:
            end()
            atexit.unregister(end)
    return process.returncode


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To all of its group, also to what it left behind there."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Lines:
    """Cuts what comes into lines."""

    def __init__(self, tell: Callable[[Sequence[str]], None]) -> None:
        self._tell = tell
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._rest = ""
        self._heard_at = clock.seconds()

    def add(self, chunk: bytes) -> None:
        self._heard_at = clock.seconds()
        *whole, self._rest = (self._rest + self._decoder.decode(chunk, final=not chunk)).split("\n")
        if whole:
            self._tell(whole)

    def settle(self, *, at_once: bool = False) -> None:
        if self._rest and (at_once or clock.seconds() - self._heard_at >= _SILENCE_SECONDS):
            self._tell([self._rest])
            self._rest = ""


def _told(
    process: subprocess.Popen[bytes], lines: _Lines, deadline: float, stopped: Callable[[], bool], most: int
) -> None:
    assert process.stdout  # noqa: S101 - it is a pipe
    pipe, length = process.stdout.fileno(), 0
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            chunk = None
            if selector.get_map():
                ready = selector.select(0.0 if ended else _PULSE_SECONDS)
                chunk = os.read(pipe, _CHUNK_BYTES) if ready else None
            elif not ended:  # it has closed its output and goes on
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_PULSE_SECONDS)
            if chunk is not None:
                lines.add(chunk)
                length += len(chunk)
            if chunk == b"":
                selector.unregister(pipe)
            lines.settle(at_once=ended and not chunk)
            if ended and not chunk:
                return
            if stopped():
                raise Stopped
            if length > most:
                raise Unheard(f"said more than {most // 2**20} MB")
            if clock.seconds() >= deadline:
                raise Unheard("did not end in time")


def _heard(process: subprocess.Popen[bytes], deadline: float, most: int) -> tuple[bytes, bytes]:
    """Until it has ended, or closed both: something that it started may keep them open for ever."""
    assert process.stdout  # noqa: S101 - they are pipes
    assert process.stderr  # noqa: S101
    said: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    length = 0
    with selectors.DefaultSelector() as selector:
        for stream in said:
            os.set_blocking(stream, False)
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ended = process.poll() is not None
            ready = selector.select(0.0 if ended else min(0.1, max(0.0, deadline - clock.seconds())))
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                said[key.fd].append(chunk)
                length += len(chunk)
                if not chunk:
                    selector.unregister(key.fd)
            if length > most:
                raise Unheard(f"said more than {most // 2**20} MB")
            if ended and not ready:
                break
            if not ended and clock.seconds() >= deadline:
                raise Unheard("did not answer in time")
    try:
        process.wait(max(0.0, deadline - clock.seconds()))
    except subprocess.TimeoutExpired:
        raise Unheard("did not end in time") from None
    output, errors = (b"".join(chunks) for chunks in said.values())
    return output, errors
