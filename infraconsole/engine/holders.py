"""Which process holds a file's lock: what is said where a lock does not come free, so that nobody has to guess.

Linux tells it in /proc/locks; elsewhere only that somebody holds it can be said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infraconsole import text

_PROC = Path("/proc")
_STOPPED = ("T", "t")
_COMMAND_LENGTH = 120


@dataclass(frozen=True)
class Holding:
    """A process that holds a lock, as the kernel tells it."""

    pid: int
    command: str
    stopped: bool

    @property
    def words(self) -> str:
        command = f" ({self.command})" if self.command else ""
        return f"Process {self.pid}{command} holds it{' and is stopped' if self.stopped else ''}."

    @property
    def mend(self) -> str:
        if self.stopped:
            return f"Let it go on: kill -CONT {self.pid}. Then try again."
        return f"Try again; if it stays, look at that process: ps -p {self.pid}"


def holding(path: Path) -> Holding | None:
    """Who holds the file's exclusive lock, of flock(2) or fcntl(2), this process aside; None where that cannot be told."""
    try:
        about = path.stat()
        lines = (_PROC / "locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    found = [(pid, where) for pid, where in map(_held, lines) if where.rpartition(":")[2] == str(about.st_ino)]
    # An overlay's files have another device there than stat(2) says.
    pids = [pid for pid, where in found if where == place] or [pid for pid, _ in found]
    return next((_described(pid) for pid in pids if pid not in (0, os.getpid())), None)


def is_stopped(pid: int) -> bool:
    """Whether that process is stopped (SIGSTOP, ctrl+z); False where that cannot be told."""
    return _described(pid).stopped


def _held(line: str) -> tuple[int, str]:
    """The holder's process id and the file of one line of /proc/locks; those who wait have an arrow in theirs."""
    words = line.split()
    if len(words) < 6 or words[1] == "->" or words[3] != "WRITE" or not words[4].isdigit():
        return 0, ""
    return int(words[4]), words[5]


def _described(pid: int) -> Holding:
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
        state = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[:1]
    except OSError:
        return Holding(pid, "", stopped=False)
    command = text.line(raw.replace(b"\0", b" ").decode(errors="replace").strip())
    if len(command) > _COMMAND_LENGTH:
        command = f"{command[:_COMMAND_LENGTH]}…"
    return Holding(pid, command, stopped=bool(state) and state[0] in _STOPPED)
