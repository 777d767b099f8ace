"""Processes by id, safely: a pid found in a file may by now belong to somebody else, so it is only believed together with
what the process looks like. Used on both sides of the world, by the process that starts it and by the world itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

EXECUTOR_GRACE = 3.0
"""Seconds between asking an executor to end and making it."""


def start_mark(pid: int) -> str | None:
    """Something that this process keeps all its life and a later one with the same id does not have; None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            return None
        # Field 3 is the state, 22 the start time in clock ticks since boot; a zombie has ended.
        return None if fields[0] == "Z" else fields[19]
    state = _ps(pid, "stat=")
    return None if not state or state.startswith("Z") else _ps(pid, "lstart=") or None


def command_line(pid: int) -> str:
    """Its arguments, joined by blanks; empty if it is gone or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return _ps(pid, "command=") if not Path("/proc/self").exists() else ""


def is_alive(pid: int, mark: str) -> bool:
    return start_mark(pid) == mark


def wait_until(condition: Callable[[], bool], seconds: float, interval: float = 0.02) -> bool:
    """Whether the condition came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def executors(state: Path) -> dict[int, str]:
    """Executors of runs that are alive, by pid with their start mark, from the locks in `state`/runs."""
    found = {}
    for lock in sorted((state / "runs").glob("*.lock")):
        try:
            pid = int(json.loads(lock.read_text("utf-8"))["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        mark = start_mark(pid)
        if mark is not None and pid != os.getpid() and "infraconsole" in command_line(pid):
            found[pid] = mark
    return found


def end_executors(state: Path) -> None:
    """Ask them to end, and make those that do not after EXECUTOR_GRACE seconds."""
    found = executors(state)
    for pid in found:
        _signal(pid, signal.SIGTERM)
    wait_until(lambda: not any(is_alive(pid, mark) for pid, mark in found.items()), EXECUTOR_GRACE)
    for pid, mark in found.items():
        if is_alive(pid, mark):
            _signal(pid, signal.SIGKILL)


def end(pid: int, mark: str, seconds: float) -> None:
    """SIGTERM, at most `seconds` of waiting, SIGKILL; nothing if the process is another one by now."""
    if is_alive(pid, mark):
        _signal(pid, signal.SIGTERM)
    if not wait_until(lambda: not is_alive(pid, mark), seconds):
        _signal(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid, mark), 5.0)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _ps(pid: int, column: str) -> str:
    try:
        done = subprocess.run(
            ["ps", "-o", column, "-p", str(pid)],  # noqa: S607 - where ps lies differs by system
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
