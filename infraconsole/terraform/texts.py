"""The one place where Terraform's prose is matched: it says in words only what went wrong. Matched on text without
colours, boxes and line breaks, since Terraform wraps differently by version and view.

The sources named are of hashicorp/terraform, read in August 2026; each text marked ✓ was seen on 1.6, 1.8, 1.11 or 1.15.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from infraconsole.terraform.state import LockInfo
from infraconsole.text import moment


class Kind(enum.StrEnum):
    """In the order in which they matter to whoever reads a failure: the first found is the one to act on."""

    STATE_NOT_PERSISTED = "state-not-persisted"
    """An apply changed things and could not store the state: it lies in errored.tfstate of the working directory."""
    STATE_LOST = "state-lost"
    """As before, and errored.tfstate could not be written either: the state stands in the output."""
    CANCELED = "canceled"
    """By a second interrupt."""
    INTERRUPTED = "interrupted"
    """By the first one; Terraform goes on to a safe end."""
    DIGEST_MISMATCH = "digest-mismatch"
    CREDENTIALS_EXPIRED = "credentials-expired"
    NO_CREDENTIALS = "no-credentials"
    NO_BUCKET = "no-bucket"
    LOCK_HELD = "lock-held"
    LOCK_FAILED = "lock-failed"
    """The lock could not be asked for; whether somebody holds it is not known."""
    LOCK_NOT_RELEASED = "lock-not-released"
    STALE_PLAN = "stale-plan"
    PLAN_OF_OTHER_STATE = "plan-of-other-state"
    OLDER_SERIAL = "older-serial"
    SAME_SERIAL = "same-serial"
    OTHER_LINEAGE = "other-lineage"
    BACKEND_MISSING = "backend-missing"
    """The code has no backend block: the state would be a file on this machine."""
    INIT_REQUIRED = "init-required"
    MODULE_MISSING = "module-missing"
    LOCK_FILE_INCONSISTENT = "lock-file-inconsistent"
    PROVIDER_UNAVAILABLE = "provider-unavailable"


@dataclass(frozen=True)
class Trouble:
    """`words` are the sentence that gave it away, as one line. `detail` has what it names: `pushed` and `stored` (serials,
    lineages, or checksums: `calculated` and `stored`), `bucket`, `key`. `lock` of LOCK_HELD, None where it was released
    before Terraform could read it."""

    kind: Kind
    words: str
    detail: Mapping[str, str] = field(default_factory=dict)
    lock: LockInfo | None = None


# A group that is named becomes a member of `detail`. All are searched in normalised text.
_FORMS: tuple[tuple[Kind, str], ...] = (
    # backend/local/backend_apply.go, stateWriteBackedUpError ✓ and stateWriteConsoleFallbackError ✓
    (
        Kind.STATE_LOST,
        r"prevented Terraform from writing the updated state to the configured backend and from creating",
    ),
    (Kind.STATE_LOST, r"A catastrophic error has prevented Terraform from persisting the state file"),
    (Kind.STATE_NOT_PERSISTED, r"Failed to persist state to backend"),
    # command/meta.go and command/views/operation.go ✓
    (Kind.CANCELED, r"\boperation canceled\b"),
    (Kind.CANCELED, r"Two interrupts received\. Exiting immediately\."),
    (Kind.INTERRUPTED, r"Interrupt received\. Please wait for Terraform to exit"),
    # backend/remote-state/s3/client.go, badChecksumError ✓; older ones name neither the object nor both checksums
    (
        Kind.DIGEST_MISMATCH,
        (
            r"state data in S3 does not have the expected content\."
            r"(?:.{0,400}?Bucket: (?P<bucket>\S+) Key: (?P<key>.+?)"
            r" Calculated checksum: (?P<calculated>[0-9a-f]*) Stored checksum: (?P<stored>[0-9a-f]*))?"
        ),
    ),
    # AWS's own codes ✓, in whatever Terraform wraps around them
    (Kind.CREDENTIALS_EXPIRED, r"\bExpiredToken(?:Exception)?\b|\bRequestExpired\b|the SSO session has expired"),
    # hashicorp/aws-sdk-go-base, NoValidCredentialSourcesError ✓
    (Kind.NO_CREDENTIALS, r"No valid credential sources found"),
    # backend/remote-state/s3/client.go, errS3NoSuchBucket ✓; \W for the quotes, which JSON may have escaped
    (Kind.NO_BUCKET, r"S3 bucket \W*(?P<bucket>[^\s\"\\]+)\W* does not exist\."),
    # command/clistate/state.go ✓
    (Kind.LOCK_NOT_RELEASED, r"Error releasing the state lock"),
    # backend/local/backend_local.go ✓
    (Kind.STALE_PLAN, r"Saved plan is stale"),
    (Kind.PLAN_OF_OTHER_STATE, r"Saved plan does not match the given state"),
    # states/statemgr/migrate.go, CheckValidImport ✓
    (
        Kind.OLDER_SERIAL,
        r"cannot import state with serial (?P<pushed>\d+) over newer state with serial (?P<stored>\d+)",
    ),
    (
        Kind.SAME_SERIAL,
        r"cannot overwrite existing state with serial (?P<stored>\d+) with a different state that has the same serial",
    ),
    (
        Kind.OTHER_LINEAGE,
        r'cannot import state with lineage "(?P<pushed>[^"]*)" over unrelated state with lineage "(?P<stored>[^"]*)"',
    ),
    # command/init.go ✓
    (Kind.BACKEND_MISSING, r'-backend-config was used without a "backend" block in the configuration'),
    # command/meta_backend_errors.go ✓; the second of 1.15 and later
    (Kind.INIT_REQUIRED, r"Backend initialization required, please run"),
    (Kind.INIT_REQUIRED, r"State store initialization required, please run"),
    # configs/configload/loader_load.go ✓
    (
        Kind.MODULE_MISSING,
        r"Module not installed|Module source has changed|Module version requirements have changed",
    ),
    # backend/local/backend_local.go ✓
    (Kind.LOCK_FILE_INCONSISTENT, r"Inconsistent dependency lock file|Provider dependency changes detected"),
    # command/init.go ✓
    (
        Kind.PROVIDER_UNAVAILABLE,
        r"Failed to query available provider packages|Failed to install provider|Missing required provider",
    ),
)
_COMPILED = tuple((kind, re.compile(form)) for kind, form in _FORMS)

# command/clistate/state.go ✓. Whether it is held shows in what the store answered: it had a lock to tell about, or its
# condition failed (S3 412, DynamoDB 400, flock on a local file).
_LOCK = re.compile(r"Error acquiring the state lock")
_HELD = re.compile(
    r"Lock Info:|PreconditionFailed|ConditionalCheckFailed|resource temporarily unavailable|state already locked"
)
# states/statemgr/locker.go, LockInfo.String ✓. Lines that begin with blanks are never wrapped.
_LOCK_LINE = re.compile(r"^\s*(ID|Path|Operation|Who|Version|Created|Info):[ \t]*(.*?)\s*$")
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)? ([+-]\d{4})\b")

# Some of Terraform's texts are coloured whatever it was told (`state pull` failing ✓).
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BOX = str.maketrans(dict.fromkeys("│╷╵", " "))
_LIMIT = 1 << 20
"""Characters from the end that are looked at: Terraform says last what went wrong."""


def normalised(text: str) -> str:
    """Without colours and boxes, every run of white space one blank."""
    return " ".join(_plain(text).split())


def troubles(text: str) -> tuple[Trouble, ...]:
    """All that is recognised in an output, one of each kind, in the order of Kind. Raises nothing."""
    plain = _plain(text[-_LIMIT:])
    flat = " ".join(plain.split())
    found: dict[Kind, Trouble] = {}
    for kind, form in _COMPILED:
        match = form.search(flat)
        if match and kind not in found:
            detail = {name: value for name, value in match.groupdict().items() if value is not None}
            found[kind] = Trouble(kind, match[0], detail)
    if Kind.STATE_LOST in found:
        found.pop(Kind.STATE_NOT_PERSISTED, None)
    if match := _LOCK.search(flat):
        lock = _lock(plain)
        kind = Kind.LOCK_HELD if lock or _HELD.search(flat, match.end()) else Kind.LOCK_FAILED
        found[kind] = Trouble(kind, match[0], lock=lock)
    return tuple(found[kind] for kind in Kind if kind in found)


def trouble(text: str) -> Trouble | None:
    """The one to act on first; None where nothing is recognised."""
    return next(iter(troubles(text)), None)


def _plain(text: str) -> str:
    return _ESCAPES.sub("", text).translate(_BOX)


def _lock(plain: str) -> LockInfo | None:
    _, _, after = plain.partition("Lock Info:")
    fields: dict[str, str] = {}
    for line in after.lstrip().splitlines():
        match = _LOCK_LINE.match(line)
        if match is None or match[1] in fields:
            break
        fields[match[1]] = match[2]
    if not fields.get("ID"):
        return None
    return LockInfo(
        id=fields["ID"],
        path=fields.get("Path", ""),
        operation=fields.get("Operation", ""),
        who=fields.get("Who", ""),
        version=fields.get("Version", ""),
        created=_go_time(fields.get("Created", "")),
        info=fields.get("Info", ""),
    )


def _go_time(text: str) -> datetime | None:
    """Go's `2026-11-25 01:53:05.400205868 +0000 UTC`; what is finer than a microsecond is dropped."""
    match = _GO_TIME.match(text)
    if match is None:
        return None
    return moment(f"{match[1]}T{match[2]}{(match[3] or '')[:7]}{match[4]}")
