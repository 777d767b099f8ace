"""Advisory locks that die with their holder, and say who holds them: one per run (its executor) and one per target.

The lock is flock(2) on a file; the file's text tells who took it. A killed process leaves the text behind, never the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infraconsole import clock, text

_PATIENCE_SECONDS = 1.0
"""Whoever asks who holds a lock holds it, shared, for a moment: that must not look like another run."""


@dataclass(frozen=True)
class Holder:
    run: str
    owner: str
    pid: int
    since: datetime | None


class Lock:
    """A held lock. Released by `release`, or when the process ends, however it ends."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        os.close(self._handle)


def run_lock(folder: Path, run: str) -> Path:
    return folder / "runs" / f"{run}.lock"


def target_lock(folder: Path, key: str) -> Path:
    return folder / "targets" / f"{key}.lock"


def take(path: Path, *, run: str, owner: str) -> Lock | None:
    """The lock, or None where another process holds it. Raises OSError where the file cannot be made."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = clock.seconds() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if clock.seconds() >= deadline:
                os.close(handle)
                return None
            time.sleep(0.01)
    about = {"run": run, "owner": owner, "pid": os.getpid(), "since": text.utc(datetime.now(UTC))}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(about).encode(), 0)
    return Lock(handle)


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock now; None where nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(os.pread(handle, 4096, 0))
    finally:
        os.close(handle)
    return None


def _described(content: bytes) -> Holder:
    try:
        about = json.loads(content)
        return Holder(about["run"], about["owner"], int(about["pid"]), text.from_utc(about["since"]))
    except (ValueError, KeyError, TypeError):  # it is held, but its text is just being written
        return Holder("", "somebody", 0, None)
