"""What becomes of the files in a run's folder when the run is over: plans and Terraform's own records hold secrets.

What later runs read stays, without secrets: which resources an apply began and finished, how each command ended, what the plan
said. Backups of states stay as they are: with them a run is undone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from infraconsole.engine import listing, locks
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
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
_STATE_KEPT = "lost.tfstate.kept"
"""Beside an apply's output, once the state that it printed is where it belongs (runbooks/lost_state.py)."""


def tidy(folder: Path, redactor: Redactor) -> bool:
    """Take what holds secrets out of the folder of a run that is over. False where one of its commands still runs: then it is done
    later. Raises OSError."""
    records = [file.parent for file in sorted(folder.glob(f"*/{runner.COMMAND}"))]
    if any(_is_running(record) for record in records):
        return False
    _tidy_plan(folder, redactor)
    for record in records:
        _tidy_record(record, redactor)
    for name in _GONE:
        (folder / name).unlink(missing_ok=True)
    (folder / TIDIED).touch(mode=0o600)
    return True


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


def tidy_all(folders: Iterable[Path], redactor: Redactor) -> list[str]:
    """Why a folder could not be tidied, in words. It is tried again by the next run."""
    problems = []
    for folder in folders:
        try:
            if folder.is_dir():
                tidy(folder, redactor)
        except (OSError, InfraconsoleError) as error:
            problems.append(f"{folder}: {error}")
    return problems


def _is_running(record: Path) -> bool:
    try:
        return runner.Running(record).poll() is None
    except runner.Lost:
        return False


def _tidy_plan(folder: Path, redactor: Redactor) -> None:
    document = folder / PLAN_DOCUMENT
    with contextlib.suppress(FileNotFoundError):
        body = document.read_bytes()
        if not plan_record.is_record(body):
            times = document.stat()
            try:
                _replace(document, plan_record.record_of(body, redactor), times)
            except InfraconsoleError:  # no plan: nobody can read it anyway
                document.unlink()
    estimate = folder / _ESTIMATE
    with contextlib.suppress(FileNotFoundError):
        _replace(estimate, redactor.text(estimate.read_text("utf-8", "replace")).encode(), estimate.stat())


def _tidy_record(record: Path, redactor: Redactor) -> None:
    stdout = record / supervise.STDOUT
    is_apply = record.name.partition("-")[2] == "apply"
    if is_apply and stdout.exists():
        if not (record / _STATE_KEPT).exists() and dumped(stdout.read_bytes()) is not None:
            return  # the only copy of a state: it is taken from here as soon as there is room for it
        _replace(stdout, "".join(_events(stdout, redactor)).encode(), stdout.stat())
    else:
        stdout.unlink(missing_ok=True)
    for name in (supervise.STDERR, runner.LOG):
        (record / name).unlink(missing_ok=True)
    command = record / runner.COMMAND
    times = command.stat()
    told = json.loads(command.read_bytes())
    told["command"] = redactor.data(told["command"])
    _replace(command, json.dumps(told).encode(), times)


def _events(stdout: Path, redactor: Redactor) -> Iterator[str]:
    """Without the sentences in them, which may say anything."""
    tail = Tail(stdout)
    while lines := tail.new(True):
        for line in lines:
            with contextlib.suppress(ValueError, AttributeError):
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("type") in _EVENTS:
                    yield json.dumps(redactor.data({key: event[key] for key in _OF_EVENT if key in event})) + "\n"


def _replace(file: Path, content: bytes, times: os.stat_result) -> None:
    """Whole or not at all, and as old as it was: later runs go by that."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as stream:  # noqa: PTH123 - of a descriptor
        stream.write(content)
    os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
    draft.replace(file)
