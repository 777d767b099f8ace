"""Running one Terraform command so that nothing that happens to the asker hurts it, and finding it again afterwards.

A command has a record: a folder with its process id, its output and its return code, written by the supervisor
(supervise.py), which outlives us. All that is known of a command is read from there, so that the one who started it
and the one who comes after a crash see the same. Records hold secrets (states, plans): 0600 in a 0700 folder.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infraconsole import clock, files
from infraconsole.errors import TerraformError
from infraconsole.terraform import supervise
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.tail import Tail

START_SECONDS = 20.0
"""Until a command that is being started has to be there."""
COMMAND = "command"
INTERRUPTED = "interrupted"
LOG = "supervisor.log"

Each = Callable[[str], None]


class NotStarted(TerraformError):
    """The command of this record never ran, and never will: it can be started anew, in another record."""


class Lost(TerraformError):
    """The command has ended, and nobody saw how: what it did has to be looked up."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended; `code` is negative where a signal ended it. Its output stays in files: it may be large."""

    command: tuple[str, ...]
    code: int
    stdout: Path
    stderr: Path

    def output(self) -> bytes:
        """The whole of its standard output."""
        return _read(self.stdout)

    def errors(self, limit: int = 4000) -> str:
        """The end of its standard error, at most `limit` characters. Warnings stand there as well."""
        return _read(self.stderr)[-4 * limit :].decode(errors="replace").strip()[-limit:]

    def error(self, title: str, words: str = "", mend: str = "") -> TerraformError:
        """To be raised: says the command, its code and the end of what it said, or `words` in its place."""
        said = words or self.errors() or _read(self.stdout)[-4000:].decode(errors="replace").strip()[-2000:]
        return TerraformError(title, command=self.command, code=self.code, words=said, mend=mend)


@dataclass(frozen=True)
class Terraform:
    """Commands of one Terraform in one root module: `folder` is the working directory, `environ` the whole environment
    as environment.py makes it."""

    binary: Binary
    folder: Path
    environ: Mapping[str, str]

    def start(self, arguments: Sequence[str], record: Path) -> Running:
        """Start `terraform ARGUMENTS…`. `record` is a folder that holds no other record yet; it is made if need be.

        Raises TerraformError where the folder cannot be written or is taken, or the process does not come up.
        """
        import sh

        record = record.absolute()
        command = (self.binary.name, *arguments)
        told = {"command": command, "folder": str(self.folder), "data_dir": self.environ.get("TF_DATA_DIR")}
        try:
            record.mkdir(parents=True, exist_ok=True, mode=0o700)
            record.chmod(0o700)
            _create(record / COMMAND, json.dumps(told))
            with (
                open(os.devnull, "r+b") as null,  # noqa: PTH123
                open(os.open(record / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log,  # noqa: PTH123
            ):
                process = sh.Command(sys.executable)(
                    *("-I", "-S", supervise.__file__, str(record), "--", *self.binary.argv, *arguments),
                    _bg=True,
                    _bg_exc=False,
                    _new_session=True,
                    _cwd=str(self.folder),
                    _env=dict(self.environ),
                    _encoding="utf-8",
                    _in=null,
                    _out=null,
                    _err=log,
                )
        except FileExistsError as error:
            raise TerraformError(f"{record} holds the record of another command.", command=command) from error
        except (OSError, sh.ForkException) as error:
            mend = files.fix(error, record) if isinstance(error, OSError) else ""
            raise TerraformError(
                "Terraform cannot be started.", command=command, words=str(error), mend=mend
            ) from error
        if not _appears(record, lambda: bool(process.is_alive())):
            words = _read(record / LOG).decode(errors="replace").strip()[-2000:]
            raise TerraformError("Terraform did not start.", command=command, words=words)
        return Running.attach(record)

    def run(
        self,
        arguments: Sequence[str],
        record: Path,
        each: Each | None = None,
        *,
        seconds: float | None = None,
    ) -> Ended:
        """Start, and wait for the end, for commands that are over soon. Raises TerraformError, also when `seconds` have
        passed: then the command was interrupted once, and goes on to its end by itself."""
        running = self.start(arguments, record)
        if running.wait(each, seconds=seconds) is None:
            running.interrupt()
            raise TerraformError(
                f"terraform {arguments[0]} took longer than {seconds:g} s.",
                command=running.command,
                mend=f"Its output: {running.stdout}",
            )
        return running.ended()


class Running:
    """A command that was started, by whomever. Has read nothing yet: the first lines are the first it wrote."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self.stdout = record / supervise.STDOUT
        self.stderr = record / supervise.STDERR
        self._out = Tail(self.stdout)
        self._err = Tail(self.stderr)
        self._code: int | None = None
        try:
            self.command: tuple[str, ...] = tuple(json.loads(_read(record / COMMAND))["command"])
        except (ValueError, KeyError, TypeError):
            self.command = ("terraform",)

    @classmethod
    def attach(cls, record: Path, *, seconds: float = START_SECONDS) -> Running:
        """The command of this record, running or ended. Raises NotStarted where there is none: from then on a start
        that was under way is barred, so that it is safe to start the command anew elsewhere."""
        record = record.absolute()
        if not _appears(record, lambda: _is_alive(record / supervise.SUPERVISOR), seconds):
            _bar(record)
        if _process(record / supervise.PID) is None:
            raise NotStarted(f"No Terraform was started in {record}.", command=cls(record).command)
        return cls(record)

    @property
    def pid(self) -> int:
        """Terraform's process id; of use only while it runs."""
        process = _process(self.record / supervise.PID)
        return process[0] if process else 0

    def poll(self) -> int | None:
        """The return code; None while it runs. Raises Lost where it has ended and its supervisor was killed as well."""
        if self._code is None:
            self._code = _code(self.record)
        if self._code is None and not _is_alive(self.record / supervise.PID):
            # The code is written just after the end: only when the supervisor is gone too, it will not come any more.
            gone = not _is_alive(self.record / supervise.SUPERVISOR)
            self._code = _code(self.record)
            if self._code is None and gone:
                raise Lost(
                    "A Terraform command has ended, and nobody knows how.",
                    command=self.command,
                    words="The process that waited for it was killed.",
                    mend=f"What it said is in {self.stdout}; look at the state and its lock before going on.",
                )
        return self._code

    def lines(self, seconds: float = 0.0) -> list[str]:
        """The lines of standard output that are complete and new since the last call; waits up to `seconds` for the first.

        A part of them where there are many: all are read when it is empty and `poll()` gives a code. Invalid UTF-8 is
        replaced, NUL and escapes stay: it is for whoever shows them to make them harmless.
        """
        return self._new(self._out, seconds)

    def stderr_lines(self, seconds: float = 0.0) -> list[str]:
        """As `lines`, of standard error."""
        return self._new(self._err, seconds)

    def wait(self, each: Each | None = None, *, seconds: float | None = None, errors: Each | None = None) -> int | None:
        """Wait for the end, giving each new line of standard output to `each`, of standard error to `errors`.

        The return code; None when `seconds` have passed, which the command itself does not notice. Raises Lost.
        """
        for _ in _paced(seconds):
            try:
                code = self.poll()  # before reading: after the end, nothing more is written
            except Lost:  # what it said before is all that is known of it
                while _given(partial(self._out.new, True), each) | _given(partial(self._err.new, True), errors):
                    continue
                raise
            more = _given(self.lines, each) | _given(self.stderr_lines, errors)
            while code is not None and more:
                more = _given(self.lines, each) | _given(self.stderr_lines, errors)
            if code is not None:
                return code
        return None

    def ended(self) -> Ended:
        """Of a command whose `poll` gave a code; raises TerraformError before that."""
        code = self.poll()
        if code is None:
            raise TerraformError("The Terraform command still runs.", command=self.command)
        return Ended(self.command, code, self.stdout, self.stderr)

    @property
    def has_spoken(self) -> bool:
        """Whether it has written anything. Terraform's first line comes after it has begun to listen for signals."""
        try:
            return self.stdout.stat().st_size > 0
        except FileNotFoundError:
            return False

    @property
    def interrupt_sent(self) -> bool:
        return (self.record / INTERRUPTED).exists()

    def interrupt(self) -> bool:
        """Ask Terraform to stop: one SIGINT to it alone. It finishes what it has begun, stores the state and releases
        the lock. Answers whether it was sent now: never a second time, whoever asks, since the second one cancels."""
        if self.poll() is not None:
            return False
        try:
            # Noted before it is sent: killed in between, we rather send none than two.
            _create(self.record / INTERRUPTED, str(os.getpid()))
        except FileExistsError:
            return False
        return self._signal()

    def kill(self) -> bool:
        """The explicit second signal, again SIGINT: Terraform gives up within 5 s, and what it was doing may be lost from
        the state. For a person who was told so. Answers whether it was sent; not by itself, nor instead of the first."""
        if not self.interrupt_sent:
            return self.interrupt()
        return self.poll() is None and self._signal()

    def _signal(self) -> bool:
        if not _is_alive(self.record / supervise.PID):
            return False
        try:
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True

    def _new(self, tail: Tail, seconds: float) -> list[str]:
        for _ in _paced(seconds):
            ended = self.poll() is not None  # before reading: after the end, nothing more is written
            found = tail.new(ended)
            if found or ended:
                return found
        return []


def _given(read: Callable[[], list[str]], each: Each | None) -> bool:
    """Hand over what is new; answers whether there may be more. What nobody wants is not read."""
    if each is None:
        return False
    found = read()
    for line in found:
        each(line)
    return bool(found)


def _paced(seconds: float | None) -> Iterator[None]:
    """Once at once and then ever more rarely, until `seconds` have passed: short commands are noticed at their end, and
    watching a long one costs nothing."""
    begun = clock.seconds()
    yield
    while True:
        passed = clock.seconds() - begun
        left = math.inf if seconds is None else seconds - passed
        if left <= 0:
            return
        time.sleep(min(0.05, max(0.002, passed / 30), left))
        yield


def _appears(record: Path, is_coming: Callable[[], bool], seconds: float = START_SECONDS) -> bool:
    """Whether Terraform's process id gets written."""
    for _ in _paced(seconds):
        coming = is_coming()  # before looking: what is gone by then has written it or never will
        if (record / supervise.PID).exists():
            return True
        if not coming:
            return False
    return False


def _bar(record: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # without a folder nothing can start in it either
        supervise.claim(str(record), supervise.FENCED)


def _process(file: Path) -> tuple[int, str] | None:
    """Process id and start mark; None where none is written, or the start was barred."""
    pid, _, mark = _read(file).decode(errors="replace").strip().partition(" ")
    return (int(pid), mark) if pid.isdigit() and pid != "0" else None


def _is_alive(file: Path) -> bool:
    process = _process(file)
    return process is not None and process[1] != "" and supervise.start_mark(process[0]) == process[1]


def _code(record: Path) -> int | None:
    text = _read(record / supervise.CODE).decode(errors="replace").strip()
    return int(text) if text else None


def _read(path: Path) -> bytes:
    try:
        return files.read(path, files.MOST_STATE_BYTES)
    except FileNotFoundError:
        return b""


def _create(path: Path, text: str) -> None:
    """Raises FileExistsError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        file.write(text)
