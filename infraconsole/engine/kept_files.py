"""What becomes of the files in a run's folder when the run is over: plans and Terraform's own records hold secrets.

What later runs read stays, without secrets: which resources an apply began and finished, how each command ended, what the plan
said. The rest is deleted, or kept encrypted beside it (`sealed.py`). Backups of states, with which a run is undone, are encrypted
too, or stay as they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infraconsole.engine import listing, locks, sealed
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.sealed import Seal
from infraconsole.errors import InfraconsoleError, JournalError
from infraconsole.redaction import Redactor
from infraconsole.terraform import plan_record, runner, supervise
from infraconsole.terraform.state import dumped
from infraconsole.terraform.tail import Tail

_AT_ONCE = 50
_SWEPT = "runs.tidied"
"""In the state folder: the number of the last of the older runs that was looked at."""
TIDIED = "tidied"
"""In a run's folder, once what is to go has gone."""
PLAN_DOCUMENT = "plan.json"
_ESTIMATE = "cost.json"
_GONE = ("plan.tfplan", "chosen.tfstate", "restored.tfstate")
_EVENTS = ("apply_start", "apply_complete", "apply_errored", "change_summary", "version")
"""Those lines of an apply's output that later runs read."""
_OF_EVENT = ("type", "@level", "@timestamp", "hook", "changes", "terraform", "ui")
_STATES = ("backup*.tfstate", "removed-*.tfstate", "errored.tfstate")
"""What undoes a run; read where it is encrypted as well (engine/kept_states.py)."""
_LOST = "lost.tfstate"
_STATE_KEPT = "lost.tfstate.kept"
"""Beside an apply's output, once the state that it printed is where it belongs (runbooks/lost_state.py)."""


@dataclass(frozen=True)
class _Keeper:
    """Takes secrets out of files; with a seal, what was there is on the disk and encrypted before."""

    redactor: Redactor
    seal: Seal | None

    def remove(self, file: Path) -> None:
        if self.seal and file.is_file():
            self.seal.keep(file, will_go=True)
        file.unlink(missing_ok=True)

    def replace(self, file: Path, content: bytes) -> None:
        """Whole or not at all, and as old as it was: later runs go by that."""
        times = file.stat()
        if times.st_size == len(content) and file.read_bytes() == content:
            file.chmod(0o600)
            return
        if self.seal:
            self.seal.keep(file, will_go=False)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "wb") as stream:  # noqa: PTH123 - of a descriptor
            stream.write(content)
        os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
        draft.replace(file)


def tidy(folder: Path, redactor: Redactor, seal: Seal | None = None) -> bool:
    """Take what holds secrets out of the folder of a run that is over; with a seal it stays there encrypted. False where one of its
    commands still runs, or another process tidies it: then it is done later. Raises OSError, and InfraconsoleError where something
    cannot be encrypted, which stays as it is."""
    with _alone(folder) as is_alone:
        records = [file.parent for file in sorted(folder.glob(f"*/{runner.COMMAND}"))]
        if not is_alone or any(_is_running(record) for record in records):
            return False
        keeper = _Keeper(redactor, seal)
        sealed.remove_drafts(folder)
        _tidy_plan(folder, keeper)
        whole = [_tidy_record(record, keeper) for record in records]
        for name in _GONE:
            keeper.remove(folder / name)
        if seal:
            for file in (file for pattern in _STATES for file in sorted(folder.glob(pattern))):
                keeper.remove(file)
        if all(whole):
            (folder / TIDIED).touch(mode=0o600)
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process is at it. The lock is on the folder itself, so that none has to be left in it; where the file system
    has no such locks, two may do the same work, of which each part is whole."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        is_alone = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alone = False
        except OSError:  # NFS locks no folder
            pass
        yield is_alone
    finally:
        os.close(handle)


def over(journal: Journal) -> Iterator[Path]:
    """The folders of runs that are over and were not tidied: their executor was killed before it came to that. The newest are
    looked at each time, and of the older ones the next few, so that each has its turn and a long journal costs no more."""
    marker = journal.folder / _SWEPT
    older = listing.over(journal, _AT_ONCE, before=_number_in(marker))
    for run in dict.fromkeys((*listing.over(journal, _AT_ONCE), *older)):
        folder = journal.folder / "runs" / run.run
        if (folder / TIDIED).exists() or not folder.is_dir():
            continue
        with contextlib.suppress(JournalError, KeyError, TypeError, ValueError, StopIteration):
            record = record_of(run.run, journal.events(run.run, brief=True))
            if is_over(record) and locks.holder_of(locks.run_lock(journal.folder, run.run)) is None:
                yield folder
    with contextlib.suppress(OSError):
        marker.touch(mode=0o600)
        marker.write_text(str(older[-1].id if older else 0))


def _number_in(file: Path) -> int | None:
    """None where the next look begins at the newest run."""
    try:
        return int(file.read_text()) or None
    except (OSError, ValueError):
        return None


def is_over(record: RunRecord) -> bool:
    """Whether no executor will ever take the run up again."""
    return record.finished and not record.resumable


def tidy_all(folders: Iterable[Path], redactor: Redactor, seal: Seal | None = None) -> list[str]:
    """Why a folder could not be tidied, in words. It is tried again by the next run."""
    problems = []
    for folder in folders:
        try:
            if folder.is_dir():
                tidy(folder, redactor, seal)
        except (OSError, InfraconsoleError) as error:
            problems.append(f"{folder}: {error}")
    return problems


def _is_running(record: Path) -> bool:
    try:
        return runner.Running(record).poll() is None
    except runner.Lost:
        return False


def _tidy_plan(folder: Path, keeper: _Keeper) -> None:
    document = folder / PLAN_DOCUMENT
    with contextlib.suppress(FileNotFoundError):
        body = document.read_bytes()
        if not plan_record.is_record(body):
            try:
                record = plan_record.record_of(body, keeper.redactor)
            except InfraconsoleError:  # no plan: nobody can read it anyway
                keeper.remove(document)
            else:
                keeper.replace(document, record)
    estimate = folder / _ESTIMATE
    with contextlib.suppress(FileNotFoundError):
        keeper.replace(estimate, keeper.redactor.text(estimate.read_text("utf-8", "replace")).encode())


def _tidy_record(record: Path, keeper: _Keeper) -> bool:
    """False where it has to be done later."""
    stdout = record / supervise.STDOUT
    is_apply = record.name.partition("-")[2] == "apply"
    if is_apply and stdout.exists():
        if not (record / _STATE_KEPT).exists() and dumped(stdout.read_bytes()) is not None:
            return False  # the only copy of a state: it is taken from here as soon as there is room for it
        keeper.replace(stdout, "".join(_events(stdout, keeper.redactor)).encode())
    else:
        keeper.remove(stdout)
    for name in (supervise.STDERR, runner.LOG):
        keeper.remove(record / name)
    if keeper.seal and (record / _STATE_KEPT).exists():
        keeper.remove(record / _LOST)
    command = record / runner.COMMAND
    told = json.loads(command.read_bytes())
    told["command"] = keeper.redactor.data(told["command"])
    keeper.replace(command, json.dumps(told).encode())
    return True


def _events(stdout: Path, redactor: Redactor) -> Iterator[str]:
    """Without the sentences in them, which may say anything."""
    tail = Tail(stdout)
    while lines := tail.new(True):
        for line in lines:
            with contextlib.suppress(ValueError, AttributeError):
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("type") in _EVENTS:
                    yield json.dumps(redactor.data({key: event[key] for key in _OF_EVENT if key in event})) + "\n"
