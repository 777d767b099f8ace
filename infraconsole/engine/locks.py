"""Advisory locks that die with their holder, and say who holds them: one per run (its executor) and one per target.

The lock is flock(2) on a file; the file's text tells who took it. A killed process leaves the text behind, never the lock.
No lock is waited for without a bound: whoever holds it may be stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from infraconsole import clock, files, text
from infraconsole.engine import storage_errors
from infraconsole.engine.holders import holding
from infraconsole.errors import JournalError

_PATIENCE_SECONDS = 1.0
"""Whoever asks who holds a lock holds it, shared, for a moment: that must not look like another run."""
_POLL_SECONDS = 0.01


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


def run_log(runs: Path, run: str) -> Path:
    """What the run's executors say on stderr; `runs` is the folder of all runs' files."""
    return runs / f"{run}.log"


def target_lock(folder: Path, key: str) -> Path:
    return folder / "targets" / f"{key}.lock"


def take(path: Path, *, run: str, owner: str) -> Lock | None:
    """The lock, or None where another process holds it. Raises JournalError where the file cannot be made or opened."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = opened(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unusable(path, error) from error
    if not came_free(handle, _PATIENCE_SECONDS):
        os.close(handle)
        return None
    about = {"run": run, "owner": owner, "pid": os.getpid(), "since": text.utc(clock.now())}
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(about).encode(), 0)
    except OSError as error:
        os.close(handle)
        raise unusable(path, error) from error
    return Lock(handle)


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock now; None where nobody does. Raises JournalError where that cannot be looked up."""
    try:
        handle = opened(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(os.pread(handle, 4096, 0))
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(handle)
    return None


def opened(path: Path, flags: int) -> int:
    """A handle on a regular file, never waited for. Raises OSError, also where a folder, a pipe or a device is in its place."""
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        files.refuse_what_is_no_file(path, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return handle


def came_free(handle: int, patience_seconds: float) -> bool:
    """Whether the exclusive lock was had within the patience. Raises OSError where the file system knows no locks."""
    deadline = clock.seconds() + patience_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.seconds() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


@contextlib.contextmanager
def held(path: Path, patience_seconds: float) -> Iterator[int]:
    """A handle on the file, locked. Raises OSError, and JournalError that names who holds it, where it does not come free."""
    handle = opened(path, os.O_RDWR | os.O_CREAT)
    try:
        if not came_free(handle, patience_seconds):
            raise still_held(path, patience_seconds)
        yield handle
    finally:
        os.close(handle)


def unusable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"The lock file {path} cannot be used.", cause=files.reason(error), mend=storage_errors.mend(error, path)
    )


def still_held(path: Path, patience_seconds: float) -> JournalError:
    """What is said when a lock did not come free."""
    found = holding(path)
    return JournalError(
        f"{path} is locked, and has been for {patience_seconds:g} s.",
        cause=found.words if found else "Another process holds it; which one cannot be told here.",
        mend=found.mend
        if found
        else "Look for a stopped infraconsole process (ps shows T), and let it go on: kill -CONT PID",
    )


def _described(content: bytes) -> Holder:
    try:
        about = json.loads(content)
        since = text.from_utc(about["since"])
        return Holder(str(about["run"]), str(about["owner"]), int(about["pid"]), since if since.tzinfo else None)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Holder("", "somebody", 0, None)  # it is held, but its text is just being written, or is none
