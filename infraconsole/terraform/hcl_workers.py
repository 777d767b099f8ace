"""Parsing in processes of their own: what python-hcl2 takes too long over, or dies of, costs one file and nothing else,
and its seconds are never spent by a view. At most two processes, which end with the reading."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform.hcl import Digest

MOST_PROCESSES = 2
FILES_FOR_ANOTHER = 8
"""A second process is worth its start from so many files on."""
FILE_SECONDS = 20
"""Of processor time, after which a file counts as one that cannot be read."""

_WORKER = ("-P", "-m", "infraconsole.terraform.hcl_worker")


@dataclass(frozen=True)
class Source:
    """A file's text on its way to a worker; `key` is what the answer is known by, `is_variables` of a `.tfvars.json`."""

    key: str
    text: str
    is_json: bool = False
    is_variables: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a source: its digest, or the line and the reason why there is none. `lasting` is False where another
    attempt on the same text may end better: the worker died or was too slow, or nobody could say whether the text is wrong.
    `limit`: Terraform takes it for valid."""

    key: str
    digest: Digest | None
    line: int = 1
    why: str = ""
    lasting: bool = True
    limit: bool = False


def parse(sources: Sequence[Source], *, file_seconds: int = FILE_SECONDS) -> Iterator[Outcome]:
    """One outcome for each source, in no particular order. Blocks. Raises PrerequisiteMissing where no worker starts."""
    waiting: queue.SimpleQueue[Source] = queue.SimpleQueue()
    for source in sorted(
        sources, key=lambda each: -len(each.text)
    ):  # the longest first: nobody waits for it at the end
        waiting.put(source)
    ready: queue.SimpleQueue[Outcome | PrerequisiteMissing] = queue.SimpleQueue()
    count = min(MOST_PROCESSES, 1 + len(sources) // FILES_FOR_ANOTHER)
    for number in range(count if sources else 0):
        name = f"terraform reader {number + 1}"
        threading.Thread(target=_work, args=(waiting, ready, file_seconds), name=name, daemon=True).start()
    try:
        for _ in sources:
            found = ready.get()
            if isinstance(found, PrerequisiteMissing):
                raise found
            yield found
    finally:
        _drain(waiting)  # also when nobody wants the rest any more


def _drain(waiting: queue.SimpleQueue[Source]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return


def _work(
    waiting: queue.SimpleQueue[Source],
    ready: queue.SimpleQueue[Outcome | PrerequisiteMissing],
    file_seconds: int,
) -> None:
    worker: _Worker | None = None
    try:
        while True:
            try:
                source = waiting.get_nowait()
            except queue.Empty:
                return
            worker = worker or _Worker(file_seconds)
            outcome = worker.outcome(source)
            if worker.has_ended:
                worker.end()
                worker = None
            ready.put(outcome)
    except PrerequisiteMissing as error:
        ready.put(error)
    except Exception as error:  # noqa: BLE001 - whoever waits for this thread must hear of it
        ready.put(PrerequisiteMissing("The Terraform files cannot be read.", cause=f"{type(error).__name__}: {error}"))
    finally:
        if worker:
            worker.end()


class _Worker:
    """One process. It speaks first, once python-hcl2 is loaded; from then on one line is asked and one answered."""

    def __init__(self, file_seconds: int) -> None:
        self.file_seconds = file_seconds
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        try:
            self.process = subprocess.Popen(
                [sys.executable, *_WORKER, str(file_seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                cwd=Path(sys.prefix),
            )
        except OSError as error:
            self.errors.close()
            raise PrerequisiteMissing("No process can be started to read Terraform files.", cause=str(error)) from error
        if self._answer() is None:
            self.process.wait()
            self.errors.seek(0)
            words = self.errors.read().decode(errors="replace").strip()[-1_000:]
            self.end()
            raise PrerequisiteMissing(
                "python-hcl2 does not start, so that no Terraform file can be read.",
                cause=words or f"The process ended with {self.process.returncode}.",
                mend="Install infraconsole again; python-hcl2 is among what it depends on.",
            )

    def outcome(self, source: Source) -> Outcome:
        request = {"text": source.text, "json": source.is_json, "variables": source.is_variables}
        answer = self._answer(request)
        if answer is None:
            code = self.process.wait()
            why = (
                f"reading it takes longer than {self.file_seconds} s."
                if code in (-signal.SIGALRM, -signal.SIGPROF)
                else f"python-hcl2's process died of it ({_said(code)})."
            )
            return Outcome(source.key, None, 1, why, lasting=False)
        if "digest" in answer:
            return Outcome(source.key, Digest.from_json(answer["digest"]))
        return Outcome(source.key, None, answer["line"], answer["why"], bool(answer["lasting"]), bool(answer["limit"]))

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        """Closing its standard input ends it; one that does not end is killed."""
        try:
            self.process.communicate(timeout=2)
        except (subprocess.TimeoutExpired, ValueError, OSError):
            self.process.kill()
            self.process.wait()
        finally:
            for stream in (self.process.stdin, self.process.stdout, self.errors):
                if stream:
                    stream.close()

    def _answer(self, request: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """What it says to `request`, or by itself; None where it has ended instead."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            return None
        try:
            if request is not None:
                stdin.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")
                stdin.flush()
        except BrokenPipeError:
            return None
        line = stdout.readline()
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer


def _said(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
