"""Other programs asked for what they know: given so long, heard to so many bytes, and ended with all that they have started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from infraconsole import clock

MOST_BYTES = 32 * 2**20
_CHUNK_BYTES = 2**16


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
