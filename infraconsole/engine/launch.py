"""Beginning and resuming runs from a view: the run is written into the journal, and an executor is started on it.

The executor gets a session of its own and no terminal: neither the view's end nor a lost SSH connection reaches it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.sts import identity
from infraconsole.clock import Deadline
from infraconsole.config import CONFIG_VARIABLE, Config
from infraconsole.engine import locks
from infraconsole.engine.catalogue import runbook as find_runbook
from infraconsole.engine.event import Kind
from infraconsole.engine.executor import INTERACTIVE, busy, check_unchanged
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.locks import Holder
from infraconsole.engine.runbook import Runbook
from infraconsole.errors import GateRefused, InfraconsoleError, PrerequisiteMissing, UsageError

_ENDING_SECONDS = 10.0
_START_SECONDS = 20.0
_EXECUTOR = ("-P", "-m", "infraconsole.engine.executor")
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: a run's id is read aloud


def begin(
    journal: Journal,
    runbook: Runbook,
    config: Config,
    *,
    service: str,
    environment: str,
    inputs: Mapping[str, str],
    answers: Sequence[tuple[str, str]] = (),
    interactive: bool,
    dry_run: bool = False,
    operator: str,
) -> str:
    """Start a run and give its id, once its executor is at work. Asks AWS who we are, so it may block for some seconds.

    Raises UsageError for wrong inputs or answers, an AwsError, TargetBusy, PrerequisiteMissing where the credentials
    belong to another account than the configuration says, and JournalError.
    """
    target = config.target(service, environment)
    environment = target.environment
    settings = config.environment(environment)
    named = {"service": service, "environment": environment}
    for name, value in named.items():
        if inputs.get(name, value) != value:
            raise UsageError(
                f"The {name} is {value}; an input says {inputs[name]!r}.", mend=f"Leave out --set {name}=…"
            )
    checked = runbook.checked_inputs({**inputs, **named})
    given = runbook.checked_answers(answers)
    if config.read_only and not dry_run:
        raise GateRefused(
            "This console is read-only.",
            cause=f"{config.file} says read_only.",
            mend="--dry-run shows what would be done.",
        )
    account = identity(AwsAccess(region=target.region, profile=settings.profile)).account
    if settings.account and settings.account != account:
        raise PrerequisiteMissing(
            f"The credentials belong to account {account}.",
            cause=f"{environment} is account {settings.account} in {config.file}.",
            mend="Use the profile of that account.",
        )
    target = config.target(service, environment, account)
    run = new_id(journal)
    record = RunRecord(run, runbook=runbook.name, target=target)
    holder = None if dry_run else _holder(journal, locks.target_lock(journal.folder, target.key))
    if holder:
        raise busy(record, holder)
    journal.append(
        run,
        Kind.RUN_CREATED,
        data={
            "runbook": runbook.name,
            "title": f"{runbook.title}: {target.name}",
            "target": {
                "service": service,
                "environment": environment,
                "region": target.region,
                "account": account,
                "name": target.name,
                "is_module": target.is_module,
            },
            "inputs": checked,
            "given": {gate: list(values) for gate, values in given.items()},
            "operator": operator,
            "dry_run": dry_run,
            "interactive": interactive,
            "steps": [
                {"id": step.id, "title": step.title, "fingerprint": step.fingerprint()} for step in runbook.steps
            ],
        },
    )
    _start_executor(journal, run, config.file)
    return run


def resume(journal: Journal, run: str, config: Config, *, interactive: bool = False) -> None:
    """Start an executor on a run that has none. Raises UsageError where the run is over or under way, or the configuration does
    not know its target, PrerequisiteMissing where its runbook has changed or a later run has changed the same target,
    TargetBusy, JournalError. `interactive`: a person sits at it from now on and can be asked, whoever began it."""
    record = record_of(run, journal.events(run))
    if not record.resumable:
        raise UsageError(f"Run {run} is over: {record.outcome}.", mend="Start a new run.")
    holder = _holder(journal, locks.run_lock(journal.folder, run))
    if holder:
        raise UsageError(
            f"Run {run} is under way (process {holder.pid}).", mend=f"Follow it: infraconsole attach {run}"
        )
    config.target(record.target.service, record.target.environment)
    check_unchanged(record, find_runbook(record.runbook))
    later = later_run(journal, record)
    if later and not record.dry_run:
        raise PrerequisiteMissing(
            f"Run {run} cannot be resumed: run {later} came after it on {record.target.name}.",
            cause="What the earlier run looked at is no longer so.",
            mend="Start a new run.",
        )
    other = None if record.dry_run else _holder(journal, locks.target_lock(journal.folder, record.target.key))
    if other:
        raise busy(record, other)
    _start_executor(journal, run, config.file, *([INTERACTIVE] if interactive else []))


def executor_of(folder: Path, run: str) -> Holder | None:
    """The executor that is at the run now; None where there is none."""
    return locks.holder_of(locks.run_lock(folder, run))


def _holder(journal: Journal, lock: Path) -> Holder | None:
    """Who holds that lock. One whose run is over has only to end as a process: that is waited for, so that a script's next
    command is not refused for it."""
    patience = Deadline(_ENDING_SECONDS)
    while holder := locks.holder_of(lock):
        over = record_of(holder.run, journal.events(holder.run, brief=True)).finished
        if not over or patience.is_over():
            break
        time.sleep(0.02)
    return holder


def later_run(journal: Journal, record: RunRecord) -> str:
    """The run that changed the same target, or may have, after this one began; "" where none did."""
    runs = journal.run_ids()
    for run in runs[: runs.index(record.run)]:
        other = record_of(run, journal.events(run, brief=True))
        if other.target == record.target and other.changed:
            return run
    return ""


def new_id(journal: Journal) -> str:
    known = set(journal.run_ids())
    while True:
        run = "".join(secrets.choice(_ALPHABET) for _ in range(6))
        if run not in known and not run.isdigit():
            return run


def _start_executor(journal: Journal, run: str, config_file: Path | None, *more: str) -> None:
    """Returns when the executor has written its first event, which is its promise to be there. Raises InfraconsoleError."""
    before = journal.last_event(run)
    log = journal.folder / "runs" / f"{run}.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    environ = dict(os.environ)
    if config_file:
        environ[CONFIG_VARIABLE] = str(config_file.absolute())
    log.touch(mode=0o600)
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, *_EXECUTOR, str(journal.folder.absolute()), run, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            env=environ,
            # In the view's own folder: AWS settings may name files relative to it, as AWS_SHARED_CREDENTIALS_FILE does.
        )
    patience = Deadline(_START_SECONDS)
    while not patience.is_over():
        ended = process.poll() is not None
        last = journal.last_event(run)
        if last and (before is None or last.seq > before.seq):
            # Nobody waits for the executor to end, but while this process lives it must not be left a zombie.
            threading.Thread(target=process.wait, name=f"executor {run}", daemon=True).start()
            return
        if ended:
            break
        time.sleep(0.02)
    words = log.read_text(errors="replace")[-2000:].strip()
    raise InfraconsoleError(
        f"The executor of run {run} did not start.",
        cause=words or f"It wrote nothing in {_START_SECONDS:.0f} s.",
        mend=f"See {log}, mend the cause, then: infraconsole resume {run}",
    )
