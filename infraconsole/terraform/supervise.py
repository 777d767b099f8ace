"""The process that stands between whoever asks for a Terraform command and that command: it starts it, waits for it, and
writes down how it ended. A process of its own, so that killing the asker neither ends Terraform nor loses its result.

Run as a file by `python -I -S`, and importing nearly nothing: it is started for every command, and `site` or the enums
of the `signal` module would each cost more than all it does. Why files and no pipes: Terraform, writing into a pipe
whose reader was killed, dies of SIGPIPE in the middle of an apply.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import sys

SUPERVISOR = "supervisor"
"""Of the supervisor: process id and start mark."""
PID = "pid"
"""Of Terraform: process id and start mark, written by itself the moment before it becomes Terraform. Whoever creates
this file first decides whether the command runs at all."""
CODE = "rc"
"""Terraform's return code, negative where a signal ended it."""
STDOUT = "stdout"
STDERR = "stderr"
_DRAFT = "rc.draft"
_WIDTH = 16

FENCED = "0 -"
"""In place of a process id: this command was never started, and never will be."""

NOT_FOUND = 127
NOT_RUN = 126
REFUSED = 125
"""Somebody else had decided that it is not to run."""


def main(arguments: list[str]) -> int:
    """`FOLDER -- PROGRAM ARGUMENT…`, started with Terraform's environment and working directory."""
    folder, _, *command = arguments
    # What ends a terminal or a session is for those who watch; Terraform is only interrupted when asked for by its pid.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    # The result's room on the disk is taken now: a disk that Terraform fills up must not swallow how it ended.
    _write(f"{folder}/{_DRAFT}", " " * _WIDTH)
    _write(f"{folder}/{SUPERVISOR}", _self())
    child = os.fork()
    if child == 0:
        os._exit(_become(folder, command))
    os.chdir("/")
    _, status = os.waitpid(child, 0)
    code = str(os.waitstatus_to_exitcode(status))
    draft = os.open(f"{folder}/{_DRAFT}", os.O_WRONLY)
    os.pwrite(draft, code.ljust(_WIDTH).encode(), 0)
    os.close(draft)
    os.rename(f"{folder}/{_DRAFT}", f"{folder}/{CODE}")  # noqa: PTH104 - pathlib is not loaded here
    return 0


def _become(folder: str, command: list[str]) -> int:
    """Turn this process into the command. Returns only where that failed, with the code to end with."""
    os.setsid()
    # As by nohup, SIGHUP stays ignored. Python ignores SIGPIPE and SIGXFSZ, and a shell SIGINT and SIGQUIT of what it starts with
    # `&`: no program expects to inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for target, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{folder}/{STDOUT}", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, f"{folder}/{STDERR}", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        handle = os.open(path, flags, 0o600)
        os.dup2(handle, target)
        os.close(handle)
    if not claim(folder, _self()):
        return REFUSED
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN


def claim(folder: str, content: str) -> bool:
    """Create the file PID with this content, whole or not at all; False where it is there already."""
    draft = f"{folder}/{PID}.{os.getpid()}"
    _write(draft, content)
    try:
        os.link(draft, f"{folder}/{PID}")
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)  # noqa: PTH108 - pathlib is not loaded here
    return True


def start_mark(pid: int) -> str:
    """What this process has all its life, and a later one with the same id has not; "" if it has ended.

    The start time in clock ticks since boot, and of which boot: these files outlive the machine's uptime.
    """
    if not os.path.exists("/proc/self/stat"):  # noqa: PTH110 - pathlib is not loaded here
        return _mark_by_ps(pid)
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return ""
    # Field 3 is the state, 22 the start time; a zombie has ended.
    return "" if fields[0] in "ZX" else f"{_read('/proc/sys/kernel/random/boot_id')[:8]}-{fields[19]}"


def _mark_by_ps(pid: int) -> str:
    import subprocess

    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    state, _, started = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else "-".join(started.split())


def _self() -> str:
    return f"{os.getpid()} {start_mark(os.getpid())}"


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib is not loaded here
        return file.read()


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
