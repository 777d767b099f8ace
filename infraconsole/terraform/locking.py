"""Which lock protects a state: without one, two applies at the same time store over each other, and what the first has made is in
no state.

From the settings, the code's own backend block, what `init` has told, and Terraform's version. Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from infraconsole.terraform.backend import LOCK_FILE_SINCE, Found, S3Backend

UNLOCKED = "No lock protects this state: two deploys at the same time lose resources."
RIGHTS = "s3:GetObject, s3:PutObject and s3:DeleteObject"
"""What `use_lockfile` needs on `<key>.tflock`, beside what the state itself needs (Terraform: S3 backend, permissions)."""
_NEWER = ".".join(map(str, LOCK_FILE_SINCE))
_OWN = frozenset(("azurerm", "cloud", "consul", "cos", "gcs", "kubernetes", "pg", "remote"))
"""Backends that lock without being told to (Terraform: Backends, "this backend supports state locking")."""
_BY_MEMBER = {"http": "lock_address", "oss": "tablestore_table"}
"""Backends that lock only where this member of their block is set."""


class Lock(enum.StrEnum):
    LOCKFILE = "lockfile"
    TABLE = "table"
    BOTH = "both"
    LOCAL = "local"
    """The operating system's, of a state that is a file on this machine."""
    BACKEND = "backend"
    """Another backend's own."""
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class LockSettings:
    """What the settings say of an environment's locks. `place` is their table, `[environments.prod]`."""

    use_lockfile: bool | None = None
    lock_table: str | None = None
    place: str = "the settings"


@dataclass(frozen=True)
class Protection:
    """`why` is a sentence; of NONE, `mend` is what to do about it, and `rights` what that needs."""

    lock: Lock
    why: str
    mend: str = ""
    rights: str = ""

    @property
    def is_missing(self) -> bool:
        return self.lock is Lock.NONE

    @property
    def danger(self) -> str:
        """For gates and findings; "" where a lock protects the state, or nothing is known."""
        return f"{UNLOCKED} {self.why} {self.mend}" if self.is_missing else ""


def with_default(wanted: S3Backend, declared: Found | None, version: Sequence[int]) -> S3Backend:
    """What the settings want, with `use_lockfile` decided where they do not name it: on, unless something else locks the state or
    this Terraform cannot. It stays None where the version is not known, ()."""
    if wanted.use_lockfile is not None:
        return wanted
    if wanted.lock_table or _names_a_lock(declared):
        return replace(wanted, use_lockfile=False)
    return replace(wanted, use_lockfile=tuple(version) >= LOCK_FILE_SINCE if version else None)


def arguments_beside(settings: LockSettings, declared: Found | None, version: Sequence[int]) -> tuple[str, ...]:
    """The `name=value` pairs for `init` where the code alone says where the state is: only the lock, if it names none."""
    if declared is None or declared.type != "s3" or _names_a_lock(declared):
        return ()
    if settings.lock_table:
        return (f"dynamodb_table={settings.lock_table}",)
    is_able = tuple(version) >= LOCK_FILE_SINCE
    return ("use_lockfile=true",) if is_able and settings.use_lockfile is not False else ()


def protection(
    settings: LockSettings,
    wanted: S3Backend | None,
    declared: Found | None,
    version: Sequence[int],
    told: Found | None = None,
) -> Protection:
    """What locks the state from the next command on. `wanted` is None where the settings name no bucket; `told` is what `init` has
    set up, None where it has to run first."""
    known = told or declared
    if known is not None and known.type != "s3":
        return _of_another(known)
    use_lockfile: bool | None
    if told is not None:
        use_lockfile, table = bool(told.config.get("use_lockfile")), str(told.config.get("dynamodb_table") or "")
    else:
        use_lockfile, table = _planned(settings, wanted, declared, version)
    if use_lockfile is None or (known is None and not use_lockfile and not table):  # the code may name one
        return Protection(Lock.UNKNOWN, _why_unknown(known))
    if use_lockfile or table:
        lock = Lock.BOTH if use_lockfile and table else Lock.LOCKFILE if use_lockfile else Lock.TABLE
        return Protection(lock, _why_locked(lock, table))
    return _unlocked(settings, version)


def _planned(
    settings: LockSettings, wanted: S3Backend | None, declared: Found | None, version: Sequence[int]
) -> tuple[bool | None, str]:
    """Whether by lock file, None where that is not known, and by which table: as `init` will set it up."""
    own = declared.config if declared else {}
    if wanted is not None:
        decided = with_default(wanted, declared, version)
        by_file = True if own.get("use_lockfile") is True else decided.use_lockfile
        return by_file, decided.lock_table or str(own.get("dynamodb_table") or "")
    beside = dict(pair.split("=", 1) for pair in arguments_beside(settings, declared, version))
    by_file = own.get("use_lockfile") is True or "use_lockfile" in beside
    table = str(own.get("dynamodb_table") or beside.get("dynamodb_table") or "")
    is_open = not by_file and not table and not version and settings.use_lockfile is not False
    return (None if is_open else by_file), table


def _names_a_lock(declared: Found | None) -> bool:
    own = declared.config if declared else {}
    return own.get("use_lockfile") is True or bool(own.get("dynamodb_table"))


def _of_another(found: Found) -> Protection:
    if found.type == "local":
        return Protection(Lock.LOCAL, "The state is a file on this machine, locked by the operating system.")
    member = _BY_MEMBER.get(found.type)
    if (member and not found.config.get(member)) or (found.type == "consul" and found.config.get("lock") is False):
        what = f"sets no {member}" if member else "says lock = false"
        mend = f"Set {member} there." if member else "Remove that line."
        return Protection(Lock.NONE, f'The code\'s backend "{found.type}" {what}.', mend)
    if member or found.type in _OWN:
        return Protection(Lock.BACKEND, f'The backend "{found.type}" locks it.')
    return Protection(Lock.UNKNOWN, f'Whether the backend "{found.type}" locks states is not known here.')


def _unlocked(settings: LockSettings, version: Sequence[int]) -> Protection:
    """Why none is there; the first that holds is the one to change."""
    if settings.use_lockfile is False:
        why = f"use_lockfile is false in {settings.place}, and no lock_table is set."
        return Protection(
            Lock.NONE, why, f"Remove use_lockfile = false from {settings.place}, or set lock_table.", _rights(version)
        )
    if version and tuple(version) < LOCK_FILE_SINCE:
        ours = ".".join(map(str, version))
        why = f"Terraform {ours} cannot lock by a file in the bucket ({_NEWER} or newer can), and no lock_table is set."
        return Protection(
            Lock.NONE, why, f"Upgrade Terraform to {_NEWER} or newer, or set lock_table in {settings.place}."
        )
    return Protection(
        Lock.NONE,
        "Neither the settings nor the code's backend name one.",
        f"Set use_lockfile = true or lock_table in {settings.place}.",
        _rights(version),
    )


def _rights(version: Sequence[int]) -> str:
    if version and tuple(version) < LOCK_FILE_SINCE:
        return f"use_lockfile needs Terraform {_NEWER} or newer."
    return f"use_lockfile needs {RIGHTS} on the state's key with .tflock behind it."


def _why_locked(lock: Lock, table: str) -> str:
    by_file = "a lock file beside it in the bucket"
    by_table = f"the lock table {table}"
    match lock:
        case Lock.LOCKFILE:
            return f"It is locked by {by_file}."
        case Lock.TABLE:
            return f"It is locked by {by_table}."
    return f"It is locked by {by_file} and by {by_table}."


def _why_unknown(known: Found | None) -> str:
    if known is None:
        return "The code is not at hand, and the settings name no lock."
    return "It depends on Terraform's version, and there is no Terraform."
