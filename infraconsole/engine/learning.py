"""What is learned of secrets before a Terraform command starts, by whatever process takes a run up: anything that a command may
print is known to redaction before it is printed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from infraconsole import files
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.s3 import S3
from infraconsole.engine import log
from infraconsole.engine.event import Outcome
from infraconsole.engine.gate import GateKind
from infraconsole.engine.history import StepState
from infraconsole.engine.runbook import ProbeState
from infraconsole.errors import AwsError, PrerequisiteMissing
from infraconsole.redaction import Redactor
from infraconsole.terraform import backend, known_secrets
from infraconsole.terraform.runner import COMMAND

NEEDED_IN_CLEAR = (
    *(str(each.value) for kind in (Outcome, StepState, ProbeState, GateKind) for each in kind),
    *("info", "warning", "terraform", "secret", "password"),
)
"""Words of the journal's own: masked there, a run could not be read any more."""
_UNREADABLE = (AwsError, PrerequisiteMissing, OSError)
_MISSHAPEN = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
_NOTHING_SAID = ("fmt", "version", "validate", "force-unlock", "workspace")
"""Commands that evaluate no variable and read no state."""
_CHANGES_STATE = ("apply", "plan", "state", "import", "destroy", "refresh")
"""Before these the stored state is read again: somebody may have stored another one."""


class Learning:
    """`cache` is the folder for what was read of Terraform code before. What cannot be read here is not learned: Terraform will
    say itself what is wrong with it."""

    def __init__(self, redactor: Redactor, reads: AwsAccess, cache: Path) -> None:
        self._redactor = redactor
        self._reads = reads
        self._cache = cache
        self._states: dict[Path, str] = {}

    def before(self, folder: Path, environ: Mapping[str, str], arguments: Sequence[str]) -> None:
        """`folder` is the root module in which Terraform is about to run."""
        self._redactor.spare(str(folder), environ.get("TF_DATA_DIR", ""))
        self._learn(known_secrets.of_environment(environ))
        if arguments[:1] and arguments[0] not in _NOTHING_SAID:
            with _said_if_not("the variables"):
                self._learn(known_secrets.of_variables(folder, self._cache, environ, arguments))
            self._learn_state(folder, environ, is_needed=arguments[0] in _CHANGES_STATE)

    def of_run(self, folder: Path) -> None:
        """For a run that was under way: as before each of its commands, since one may still be printing."""
        roots = {}
        for file in folder.glob(f"*/{COMMAND}"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                told = json.loads(files.read(file))
                roots[str(told["folder"]), str(told.get("data_dir") or "")] = tuple(map(str, told["command"]))[1:]
        for (root, data), arguments in roots.items():
            self.before(Path(root), {**os.environ, **({"TF_DATA_DIR": data} if data else {})}, arguments or ("plan",))

    def _learn(self, secrets: Iterable[str]) -> None:
        """Also those found before something that cannot be read, and each as Terraform prints it: in NFC."""
        found: set[str] = set()
        try:
            for each in secrets:
                found |= {each, unicodedata.normalize("NFC", each)}
        finally:
            self._redactor.learn(*found)

    def _learn_state(self, folder: Path, environ: Mapping[str, str], *, is_needed: bool) -> None:
        data = Path(environ.get("TF_DATA_DIR") or folder / ".terraform")
        if data in self._states and not is_needed:
            return
        with _said_if_not("the stored state"):
            body = self._state(folder, data)
            digest = hashlib.sha256(body).hexdigest()
            if body and self._states.get(data) != digest:
                self._learn(known_secrets.of_state(body))
            self._states[data] = digest

    def _state(self, folder: Path, data: Path) -> bytes:
        """As it is stored, where `init` has told where that is; empty where there is none."""
        found = backend.found_in(data)
        place = found.s3() if found else None
        if place is not None:
            return S3(self._reads).get(place.bucket, place.key_of(backend.selected_workspace(data))).body or b""
        file = found.local_state(folder, backend.selected_workspace(data)) if found else folder / "terraform.tfstate"
        return files.read(file, files.MOST_STATE_BYTES) if file and file.exists() else b""


@contextlib.contextmanager
def _said_if_not(what: str) -> Iterator[None]:
    """What cannot be read is said in the executor's log."""
    try:
        yield
    except (*_UNREADABLE, *_MISSHAPEN) as error:
        log.write(f"The secrets of {what} are not known: {type(error).__name__}: {error}")


class RedactedLog:
    """A text stream, as the executor's log, into which no secret gets."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._stream.write(self._redactor.text(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False
