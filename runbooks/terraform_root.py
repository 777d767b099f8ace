"""A root module as runbooks meet it: where its code, data and state are, its setup, and what went wrong with a command in it.

What Terraform's commands mean is from its documentation (Command: init, state pull; Environment Variables).
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from infraconsole import config as settings
from infraconsole import files, naming, text
from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.checks import state_digest, state_lock, state_protection
from infraconsole.checks.state_protection import Backing
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, AwsNotFound, HeldUp, PrerequisiteMissing, StepFailed
from infraconsole.runbooks.recovery import run_line
from infraconsole.runbooks.terraform_failure import DIGEST_DIFFERS, failure
from infraconsole.terraform import backend, binary, commands, past_commands, pins, runner
from infraconsole.terraform.backend import Found, S3Backend
from infraconsole.terraform.environment import environment as process_environment
from infraconsole.terraform.locking import LockSettings, Protection
from infraconsole.terraform.runner import Lost, Running, Terraform
from infraconsole.terraform.state import LockInfo, StateEncrypted, StateSummary, StateTooNew, StateUnreadable, summary

_BY_HAND = ("TF_DATA_DIR", "TF_WORKSPACE", "AWS_PROFILE", "AWS_REGION")


_OWN_LOCK = "infraconsole-"
_MOST_HOLDERS = 500
"""Of the newest commands of a root module: one that holds a lock is among them."""
RESTORED_FILE = "restored.tfstate"
"""In the folder of a run that puts an earlier state back: what it pushes."""


@dataclass(frozen=True)
class Root:
    """A root module with all that a command in it needs. `environment` is "" for a module that serves all of them; `backend` is
    what the settings want `init` to set up, None where the code alone decides; `declared` what the code itself names."""

    folder: Path
    data: Path
    environment: str
    terraform: Terraform
    backend: S3Backend | None
    var_files: tuple[Path, ...]
    locks: LockSettings = field(default_factory=LockSettings)
    declared: Found | None = None

    @property
    def _backing(self) -> Backing:
        version = self.terraform.binary.at_least
        return Backing(self.folder, self.data, self.locks, self.backend, self.declared, version)

    @property
    def init_arguments(self) -> tuple[str, ...]:
        return self._backing.init_arguments

    @property
    def protection(self) -> Protection:
        """Which lock protects the state; exact once `init` has run."""
        return self._backing.protection

    @property
    def found(self) -> Found | None:
        return backend.found_in(self.data)

    @property
    def state(self) -> S3Backend | None:
        """Where Terraform has its state and its lock; None where that is not in S3, as far as is known before `init`."""
        return backend.in_effect(self.backend, self.found)

    def by_hand(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """For a person's shell, which knows neither our data folder nor the target's profile."""
        environ = self.terraform.environ
        other = [name for name in _BY_HAND if name in environ and environ[name] != os.environ.get(name)]
        return (
            "env",
            *(f"{name}={environ[name]}" for name in other),
            self.terraform.binary.name,
            f"-chdir={self.folder}",
            *arguments,
        )


def root_of(context: StepContext) -> Root:
    """Raises PrerequisiteMissing where there is no such code or no Terraform."""
    target = context.target
    folder = context.config.root_of(target)
    if not settings.has_code(folder):
        raise PrerequisiteMissing(
            f"There is no Terraform code in {folder}.", mend="Fix its path in infraconsole.toml, or check it out."
        )
    variables = folder / naming.tfvars_path(target.environment)
    alike = target.is_module and not (folder / "environments").is_dir()
    if not alike and not variables.is_file():
        there = sorted(path.parent.name for path in folder.glob("environments/*/terraform.tfvars"))
        raise PrerequisiteMissing(
            f"{target.service} has no variables for {target.environment}.",
            cause=f"{variables} does not exist; there are {', '.join(there) or 'none'}.",
            mend="Write that file, or name another environment.",
        )
    name = "" if alike else target.environment
    about = context.config.environment(target.environment)
    data = backend.data_dir(settings.state_folder(), folder, name)
    environ = process_environment(os.environ, data_dir=data, profile=about.profile, region=target.region)
    tool = _binary(context.config.program_of(target.service), os.environ.get(binary.VARIABLE), os.environ.get("PATH"))
    backing = state_protection.backing(context.config, target.service, name, environ, tool.at_least)
    if backend.selected_workspace(data) != backend.DEFAULT_WORKSPACE:
        # Somebody selected it by hand in our data folder; every look at the state is at the default one.
        environ["TF_WORKSPACE"] = backend.DEFAULT_WORKSPACE
    terraform = Terraform(tool, folder, environ)
    files = () if alike else (variables,)
    return Root(folder, data, name, terraform, backing.wanted, files, backing.settings, backing.declared)


@cache
def _binary(program: settings.Program, *_chosen_by: str | None) -> binary.Binary:
    """Asked for its version once: every step needs it several times."""
    return binary.find(program=program)


def refuse_wrong_version(context: StepContext, root: Root) -> tuple[str, ...]:
    """Raises PrerequisiteMissing where the code itself refuses this version: `init` would. What a version manager's file asks for
    besides comes back as warnings."""
    tool = root.terraform.binary
    found = pins.unmet(root.folder, tool.version, tool.product, tofu=tool.is_tofu)
    binding = [pin for pin in found if pin.binds]
    if binding:
        raise PrerequisiteMissing(
            f"The code wants another version than {tool.product} {tool.version}.",
            cause=" ".join(pins.sentences(binding, tool.version, tool.product)),
            mend="Install that version, or name its program: [terraform] binary in infraconsole.toml.",
        )
    return pins.sentences(found, tool.version, tool.product)


def initialise(context: StepContext, root: Root, *, for_lock: bool = False) -> str:
    """Why `init` had to run; "" where it had not to. Raises TerraformError. `for_lock`: what follows needs the backend alone, so
    that an `init` which fails behind it, at the providers or at the state itself, is good enough."""
    refuse_wrong_version(context, root)
    arguments = root.init_arguments
    why = backend.why_init(root.folder, root.data, arguments)
    if not why:
        return ""
    context.progress(f"terraform init: {why}")
    backend.forget_init(root.data)
    known = (root.folder / backend.LOCK_FILE).exists()
    ended = context.terraform(
        root.terraform, commands.init(arguments, lock_file_readonly=known), "init", lambda line: context.output(line)
    )
    if ended.code:
        error = failure(context, root, ended, "terraform init failed.")
        if not for_lock or root.found is None or (root.backend and root.backend.differences(root.found)):
            raise error
        context.note(f"{error.title} The backend is set up, which is enough for this.", warning=True)
        return why
    if root.backend and root.found and (wrong := root.backend.differences(root.found)):
        raise StepFailed(
            "The backend is not the one that the configuration names.",
            cause="; ".join(wrong),
            mend='The code needs a backend "s3" block; fix it, or state_bucket and state_key.',
        )
    backend.note_init(root.folder, root.data, arguments)
    return why


def stored_state(context: StepContext, root: Root) -> bytes | None:
    """The state as it is stored; None where there is none. Raises AwsError, TerraformError."""
    if (place := root.state) is not None:
        found = stored_object(context, place.bucket, place.key)
        return found.body if found else None
    ended = context.terraform(root.terraform, commands.state_pull(), "state-pull")
    if ended.code:
        raise failure(context, root, ended, "The state cannot be read.")
    return ended.output() or None


def stored_object(context: StepContext, bucket: str, key: str) -> StoredObject | None:
    """The state as S3 has it; None where there is none. Raises AwsError."""
    try:
        return S3(context.reads).get(bucket, key)
    except AwsNotFound as error:
        if error.code != "NoSuchKey":  # nor is a proxy's 404 the word of S3 that there is no state
            raise
        return None


def state_summary(context: StepContext, root: Root) -> StateSummary | None:
    """As `summary_of`, of what is stored."""
    return summary_of(context, root, stored_state(context, root))


def summary_of(context: StepContext, root: Root, body: bytes | None) -> StateSummary | None:
    """Of the stored state `body`; None where nothing ever was. Raises AwsError, and StepFailed where it was deleted or is no whole
    state: Terraform takes what is deleted or empty for a beginning."""
    if body is None:
        if _was_deleted(context, root):
            raise StepFailed(
                "The state was deleted.",
                cause="It has earlier versions, and none is current. Terraform would take that for a beginning: it would create "
                "everything again beside what is there, and accept any other state.",
                mend=f"Bring it back first: {run_line(context, 'state-undelete')}",
            )
        return None
    try:
        return summary(body, "The stored state")
    except StateEncrypted as error:
        raise StepFailed(error.title, cause=error.cause, mend="Deploy it by hand, with tofu.") from error
    except StateTooNew as error:
        raise StepFailed(
            error.title, cause=error.cause, mend="Use a newer infraconsole, or Terraform by hand."
        ) from error
    except StateUnreadable as error:
        raise StepFailed(
            error.title,
            cause=f"{error.cause} Terraform neither plans from it nor pushes anything over it.".strip(),
            mend=f"Bring the last whole one back first: {run_line(context, 'state-undelete')}",
        ) from error


def refuse_wrong_digest(context: StepContext, root: Root, body: bytes) -> None:
    """Raises HeldUp where the lock table's digest is not that of the stored state `body`: every command fails on it, the push
    of another one too. Under somebody's lock that is the lock's failure: a state is stored before its digest."""
    place = root.state
    if place is None or not place.lock_table:
        return
    kept = state_digest.kept(context.reads, place.lock_table, place.bucket, place.key)
    if kept in ("", state_digest.calculated(body)):
        return
    refuse_locked(context, root)
    raise HeldUp(
        DIGEST_DIFFERS,
        cause=f"{place.lock_table} keeps {kept}, the stored state has {state_digest.calculated(body)}. Every Terraform command "
        "fails on it.",
        mend=f"Compare the two and repair the digest: {run_line(context, 'digest-repair')}. Where the stored one was written "
        "past Terraform: state-undelete.",
    )


def _was_deleted(context: StepContext, root: Root) -> bool:
    """Whether what is not stored has earlier versions. Terraform itself needs no right to list them, so that a refusal is noted."""
    if (place := root.state) is None:
        return False
    try:
        return next(S3(context.reads).versions(place.bucket, place.key), None) is not None
    except AccessDenied as error:
        context.note(f"Whether there ever was a state cannot be told: {error.title}", warning=True)
        return False


def held_lock(context: StepContext, root: Root) -> LockInfo | None:
    """Who holds the state; None where nobody does, or where nothing is known of a lock. Raises AwsError, StateUnreadable."""
    place = root.state
    return state_lock.held(context.reads, place, place.bucket, place.key) if place else None


def refuse_locked(context: StepContext, root: Root) -> None:
    """Raises HeldUp where somebody holds the state."""
    lock = held_lock(context, root)
    if lock is None:
        return
    ours, left = own_holder(context, root, lock), taken_by(context, lock)
    whose = "No run of this journal is at this target."
    gone = run_line(context, "state-unlock")
    mend = f"Wait for its holder; where that is gone: {gone}"
    if ours and ours.is_alive:
        whose, mend = (
            f"Terraform of run {ours.run} is still at work.",
            f"Wait for its end: infraconsole resume {ours.run}",
        )
    elif ours:
        whose = f"It is of Terraform of run {ours.run}, which was killed: nobody is using it."
        mend = f"See what it did: infraconsole journal {ours.run}. Then release the lock: {gone}"
    elif left:
        whose, mend = (
            f"Run {left} of this journal took it.",
            f"Go on with that run: infraconsole resume {left}. Where it is over: {gone}",
        )
    held_for = text.ago(lock.created, context.now())
    raise HeldUp(
        "The state is locked.",
        cause=f"{lock.who} holds it for {held_for}: {lock.operation}, lock {lock.id}. {whose}",
        mend=mend,
    )


def refuse_errored_state(context: StepContext, root: Root) -> None:
    """Raises HeldUp where an apply has left a state that could not be stored. It bars the whole folder: of which environment
    it is, the file does not tell."""
    left = root.folder / backend.ERRORED_STATE
    if left.exists():
        target = context.target
        raise HeldUp(
            f"{left} holds a state that could not be stored.",
            cause="An earlier apply changed things that the stored state does not know of.",
            mend="Push or dismiss it, for the environment whose apply it was: infraconsole run state-recover "
            f"--service {target.service} --env {target.environment}",
        )


def own_lock(run: str) -> str:
    """The id of a lock that a run takes itself, the same after a crash."""
    return f"{_OWN_LOCK}{run}"


def taken_by(context: StepContext, lock: LockInfo) -> str:
    """The run of this journal that took the lock itself, and is over or was killed; "" where none did."""
    run = lock.id.removeprefix(_OWN_LOCK)
    return run if run != lock.id and (context.folder.parent / f"{run}.log").exists() else ""


class OwnHolder(NamedTuple):
    """The run whose Terraform holds a lock; `is_alive` is false where that was killed and never came to release it."""

    run: str
    is_alive: bool


def own_holder(context: StepContext, root: Root, lock: LockInfo) -> OwnHolder | None:
    """The run of this journal whose Terraform may hold the lock: it outlives its executor. None where there is none."""
    ended: list[tuple[datetime, str, int]] = []
    known = past_commands.records(context.folder.parent, root.folder, root.terraform.environ)
    for record in islice(known, _MOST_HOLDERS):
        run = record.parent.name
        try:
            begun = datetime.fromtimestamp((record / runner.COMMAND).stat().st_mtime, UTC)
            if lock.created is not None and begun > lock.created:
                continue
            code = _code_of(Running(record))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if code is None:
            return OwnHolder(run, is_alive=True)
        ended.append((begun, run, code))
    # The one that took the lock is the newest of those before it; it still holds it only where it was killed.
    _, run, code = max(ended, default=(None, "", 0))
    is_here = lock.created is not None and lock.who.endswith(f"@{socket.gethostname()}")
    return OwnHolder(run, is_alive=False) if code < 0 and is_here else None


def _code_of(running: Running) -> int | None:
    """Its return code, a killed one's where nobody saw its end; None while it runs."""
    try:
        return running.poll()
    except Lost:
        return -signal.SIGKILL


def sha256(file: Path) -> str:
    """ "" where there is no such file."""
    try:
        return files.sha256(file)
    except OSError:
        return ""


def write_private(file: Path, content: bytes) -> None:
    """For plans and states: they hold secrets."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
