"""Beginning and resuming runs from a view: the run is written into the journal, and an executor is started on it.

The executor gets a session of its own and no terminal: neither the view's end nor a lost SSH connection reaches it.
"""

from __future__ import annotations

import errno
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
from infraconsole.config import CONFIG_VARIABLE, FILE_NAME, Config, operator_name
from infraconsole.engine import listing, locks, storage_errors
from infraconsole.engine.catalogue import runbook as find_runbook
from infraconsole.engine.event import Kind
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.locks import Holder
from infraconsole.engine.resumption import Resumption, busy, check_unchanged, refuse_read_only
from infraconsole.engine.runbook import Runbook
from infraconsole.errors import (
    EXIT_FAILED,
    EXIT_GATE_REFUSED,
    EXIT_PREREQUISITE,
    EXIT_USAGE,
    InfraconsoleError,
    JournalError,
    PrerequisiteMissing,
    UsageError,
)
from infraconsole.target import Target

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
    profile: str = "",
    region: str = "",
) -> str:
    """Start a run and give its id, once its executor is at work. Asks AWS who we are, so it may block for some seconds.

    `profile` and `region` are those that a person looks with in place of the configured ones. A run works with that profile where
    it belongs to the account that the configuration names, and in no other region than the configured one.

    Raises UsageError for wrong inputs or answers, an AwsError, TargetBusy, PrerequisiteMissing where the credentials
    belong to another account than the configuration says, or a person looks at another region, and JournalError.
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
    refuse_read_only(config, dry_run=dry_run)
    chosen = profile if profile != settings.profile else ""
    _refuse_elsewhere(config, target, chosen, region)
    used = chosen or settings.profile
    account = identity(AwsAccess(region=target.region, profile=used)).account
    if settings.account and settings.account != account:
        raise PrerequisiteMissing(
            f"The credentials{f' of profile {chosen}' if chosen else ''} belong to account {account}.",
            cause=f"{environment} is account {settings.account} in {config.file}. No run was started.",
            mend="Go back to the configured profile, :profile -" if chosen else "Use the profile of that account.",
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
            "profile": used or "",
            "profile_chosen": bool(chosen),
            "dry_run": dry_run,
            "overtakes": runbook.overtakes,
            "interactive": interactive,
            "steps": [
                {"id": step.id, "title": step.title, "fingerprint": step.fingerprint()} for step in runbook.steps
            ],
        },
    )
    _start_executor(journal, run, config.file)
    return run


def _refuse_elsewhere(config: Config, target: Target, profile: str, region: str) -> None:
    """Where somebody looks somewhere else, a run would change what they do not see."""
    name = config.file or FILE_NAME
    if region and region != target.region:
        raise PrerequisiteMissing(
            f"The console looks at {region}; {target.environment} is in {target.region}.",
            cause="A run changes nothing in another region than the configured one. No run was started.",
            mend="Go back to the configured region, :region -",
        )
    if profile and not config.environment(target.environment).account:
        raise PrerequisiteMissing(
            f"Nobody can tell whether profile {profile} is for {target.environment}.",
            cause=f"[environments.{target.environment}] in {name} names no account to compare with. No run was started.",
            mend='Write account = "…" there, or go back to the configured profile, :profile -',
        )


def resume(
    journal: Journal,
    run: str,
    config: Config,
    *,
    interactive: bool = False,
    answers: Sequence[tuple[str, str]] = (),
) -> None:
    """Start an executor on a run that has none. `interactive`: a person sits at it from now on and can be asked, whoever began
    it; `answers` count as if they had been given when it began.

    Raises UsageError where the run is over or under way, an answer is for no gate of its runbook, or the configuration does not
    know its target, GateRefused where the console is read-only, PrerequisiteMissing where the runbook has changed or a later run
    has changed the same target, TargetBusy, JournalError. Then the run stays exactly as it was.
    """
    record = record_of(run, journal.events(run))
    if not record.resumable:
        raise UsageError(f"Run {run} is over: {record.outcome}.", mend="Start a new run.")
    holder = _holder(journal, locks.run_lock(journal.folder, run))
    if holder:
        raise UsageError(
            f"Run {run} is under way (process {holder.pid}).", mend=f"Follow it: infraconsole attach {run}"
        )
    config.target(record.target.service, record.target.environment)
    runbook = find_runbook(record.runbook)
    given = runbook.checked_answers(answers)
    refuse_read_only(config, dry_run=record.dry_run, run=run)
    check_unchanged(record, runbook)
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
    resumption = Resumption(interactive, given, operator_name(config) if given else "")
    _start_executor(journal, run, config.file, *resumption.as_arguments())


def executor_of(folder: Path, run: str) -> Holder | None:
    """The executor that is at the run now; None where there is none."""
    return locks.holder_of(locks.run_lock(folder, run))


def await_departure(folder: Path, run: str) -> None:
    """Wait, with a bound, until the executor of a run that is over has taken secrets out of the run's files and is gone."""
    patience = Deadline(_ENDING_SECONDS)
    while executor_of(folder, run) is not None and not patience.is_over():
        time.sleep(0.02)


def _holder(journal: Journal, lock: Path) -> Holder | None:
    """Who holds that lock. One whose run is over has only to end as a process: that is waited for, so that a script's next
    command is not refused for it."""
    patience = Deadline(_ENDING_SECONDS)
    while holder := locks.holder_of(lock):
        last = journal.last_event(holder.run)
        over = last is not None and last.kind == Kind.RUN_FINISHED
        if not over or patience.is_over():
            break
        time.sleep(0.02)
    return holder


def later_run(journal: Journal, record: RunRecord) -> str:
    """The run that changed the same target, or may have, after this one began; "" where none did."""
    return listing.changed_after(journal, record)


def new_id(journal: Journal) -> str:
    while True:
        run = "".join(secrets.choice(_ALPHABET) for _ in range(6))
        if not run.isdigit() and not journal.is_known(run):
            return run


def _checked_log(runs: Path, run: str) -> Path:
    """The executor's log. Raises JournalError where it or the folder of the run's files cannot be there."""
    log, files = locks.run_log(runs, run), runs / run
    try:
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(locks.opened(log, os.O_WRONLY | os.O_CREAT))
        if os.path.lexists(files) and not files.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{files} is no folder")
    except OSError as error:
        raise JournalError(
            f"Run {run} has no place for its files: {runs}",
            cause=str(error.strerror or error),
            mend=f"{storage_errors.mend(error, log)} Then: infraconsole resume {run}",
        ) from error
    return log


def _start_executor(journal: Journal, run: str, config_file: Path | None, *more: str) -> None:
    """Returns when the executor has written its first event, which is its promise to be there. Raises InfraconsoleError."""
    before = journal.last_event(run)
    log = _checked_log(journal.folder / "runs", run)
    environ = dict(os.environ)
    if config_file:
        environ[CONFIG_VARIABLE] = str(config_file.absolute())
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
    words = _end_of(log)
    error = InfraconsoleError(
        f"The executor of run {run} did not start.",
        cause=words or f"It wrote nothing in {_START_SECONDS:.0f} s.",
        mend=f"See {log}, fix the cause, then: infraconsole resume {run}",
    )
    # It was refused for a reason that has a code of its own.
    code = process.poll()
    error.exit_code = code if code in (EXIT_USAGE, EXIT_GATE_REFUSED, EXIT_PREREQUISITE) else EXIT_FAILED
    raise error


def _end_of(log: Path) -> str:
    """An executor's log grows with every try."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2_000))
        return file.read().decode(errors="replace").strip()
