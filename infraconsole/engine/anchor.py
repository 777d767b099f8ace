"""The anchor: the journal's head, written where whoever can rewrite the journal cannot rewrite it.

It is a changing call outside of any run: its intent is in the journal before it is sent, it is sent once, and read back. What it
says stands in the object's own name, so that a listing tells all anchors and no object has to be opened.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infraconsole import clock, text
from infraconsole.aws.access import AwsAccess, ChangingAccess
from infraconsole.clock import Deadline
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import Problem, Verification
from infraconsole.errors import AwsError, AwsNotFound, NotVisibleYet, UsageError

ANCHOR = "anchors"
"""The name under which the journal keeps what was anchored."""
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([A-Za-z0-9!_.*'()/-]*[A-Za-z0-9!_.*'()-])/?")
_SSM = re.compile(r"ssm:((?:/[A-Za-z0-9_.-]+)+)")
_KEY = re.compile(r"(\d{12,})-([0-9a-f]{64})\.json")
_VALUE = re.compile(r"(\d+) ([0-9a-f]{64})\b.*", re.DOTALL)
_SHOWN_SECONDS = 30.0
"""How long an anchor is looked for that AWS has taken: S3 shows it at once, Parameter Store promises nothing."""
_NO_LOCK = "ObjectLockConfigurationNotFoundError"


@dataclass(frozen=True)
class Place:
    """A folder of a bucket, or with `bucket` "" a parameter; this journal's own."""

    bucket: str
    path: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}/" if self.bucket else f"parameter {self.path}"


@dataclass(frozen=True)
class Anchor:
    event: int
    hash: str
    where: str


@dataclass(frozen=True)
class Written:
    event: int
    hash: str
    where: str
    locked_until: str
    warnings: tuple[str, ...]


def default_name(operator: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{operator}@{socket.gethostname()}")[:64]


def parse(words: str, name: str) -> Place:
    """`name` tells this journal from others at the same place. Raises UsageError."""
    if found := _S3.fullmatch(words):
        return Place(found[1], f"{found[2]}/{name}")
    if found := _SSM.fullmatch(words):
        return Place("", f"{found[1]}/{name.replace('@', '-at-')}")
    raise UsageError(f"{text.line(words)!r} is no place for an anchor.", mend="Write s3://BUCKET/PREFIX or ssm:/NAME.")


def write(journal: Journal, place: Place, access: ChangingAccess, operator: str, *, retain_days: int) -> Written:
    """Anchor the head. Raises AwsError, JournalError, and NotVisibleYet where AWS took it and does not show it."""
    event, digest = journal.head()
    if not event:
        raise UsageError("The journal has no event yet.", mend="Anchor it after the first run.")
    service, operation, parameters, warnings = _call(place, access, event, digest, operator, retain_days)
    shown = {name: value for name, value in parameters.items() if name != "Body"}
    about = {"operation": f"{service}:{operation}", "call": f"{ANCHOR}/{event}", "by": operator, "event": event}
    intent = {**about, "hash": digest, "parameters": _plain(shown)}
    journal.append(ANCHOR, Kind.CALL_INTENDED, data=intent)
    try:
        access.change(service, operation, **parameters)
        is_answered = True
    except AwsError as error:
        if not (error.maybe_done and _is_shown(place, access, event, digest)):
            failed = {**about, "error": str(error), "maybe_done": error.maybe_done}
            journal.append(ANCHOR, Kind.CALL_FAILED, data=failed)
            raise
        is_answered = False
    where = f"s3://{place.bucket}/{parameters['Key']}" if place.bucket else str(place)
    journal.append(ANCHOR, Kind.CALL_DONE, data={**about, "answer": {"where": where}})
    if is_answered and not _is_shown(place, access, event, digest):
        raise NotVisibleYet(
            f"AWS took the anchor of event {event}, and does not show it at {place} yet.",
            mend="Look again later: infraconsole journal verify --anchor",
        )
    until = parameters.get("ObjectLockRetainUntilDate")
    return Written(event, digest, where, text.utc(until) if until else "", warnings)


def read(place: Place, access: AwsAccess) -> list[Anchor]:
    """All anchors of this journal there, those that somebody has deleted from a bucket with versions, too. Raises AwsError."""
    return list(_in_bucket(place, access) if place.bucket else _in_parameter(place, access))


def compared(found: Verification, known: Iterable[Anchor], archived: Mapping[int, str] | None = None) -> list[Problem]:
    """Where the journal is not the one that was anchored. `found` was asked for the hashes of the anchored events; `archived` has
    those that stand in archives. What the journal itself says of a gap proves nothing: it may be rewritten."""
    gaps = [(first, last) for archive in found.archives for first, last, *_ in archive.gaps]
    problems = []
    for anchor in known:
        here = found.anchored.get(anchor.event) or (archived or {}).get(anchor.event)
        if here is None and any(first <= anchor.event <= last for first, last in gaps):
            what = (
                f"event {anchor.event}, which is anchored at {anchor.where}, was archived: whether it is the same one cannot be "
                "told without its archive (journal verify --anchor --archive FILE)"
            )
            problems.append(Problem(anchor.event, "", what))
        elif here is None:
            what = f"event {anchor.event}, which is anchored at {anchor.where}, is not in the journal: it was cut short or replaced"
            problems.append(Problem(anchor.event, "", what))
        elif here != anchor.hash:
            what = f"event {anchor.event} is not the one that is anchored at {anchor.where}: the journal was rewritten"
            problems.append(Problem(anchor.event, "", what))
    return problems


def _call(
    place: Place, access: AwsAccess, event: int, digest: str, operator: str, retain_days: int
) -> tuple[str, str, dict[str, Any], tuple[str, ...]]:
    now = clock.now()
    if not place.bucket:
        value = f"{event} {digest} {text.utc(now)} {operator}"
        warning = "Whoever may write that parameter may change it: a bucket with object lock holds more."
        return (
            "ssm",
            "PutParameter",
            {"Name": place.path, "Value": value, "Type": "String", "Overwrite": True},
            (warning,),
        )
    parameters: dict[str, Any] = {
        "Bucket": place.bucket,
        "Key": f"{place.path}/{event:012d}-{digest}.json",
        "Body": text.utc(now).encode(),
    }
    if _has_object_lock(place, access):
        until = (now + timedelta(days=retain_days)).replace(microsecond=0)
        return "s3", "PutObject", {**parameters, "ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}, ()
    warning = f"Bucket {place.bucket} has no object lock, as far as can be seen: whoever may write to it may remove the anchor."
    return "s3", "PutObject", parameters, (warning,)


def _has_object_lock(place: Place, access: AwsAccess) -> bool:
    """Where it may not be looked up, the anchor is written without, and that is said."""
    try:
        answer = access.call("s3", "GetObjectLockConfiguration", Bucket=place.bucket)
    except AwsError as error:
        if isinstance(error, AwsNotFound) and error.code != _NO_LOCK:
            raise
        return False
    return (answer.get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") == "Enabled"


def _is_shown(place: Place, access: AwsAccess, event: int, digest: str) -> bool:
    """Looked for until it is, or for _SHOWN_SECONDS; so too where an answer was lost, which AWS may still carry out. What cannot be
    looked at is not shown."""
    patience = Deadline(_SHOWN_SECONDS)
    while True:
        with contextlib.suppress(AwsError):
            if _is_there(place, access, event, digest):
                return True
        if patience.is_over():
            return False
        time.sleep(min(1.0, patience.pause_seconds))


def _is_there(place: Place, access: AwsAccess, event: int, digest: str) -> bool:
    return any((anchor.event, anchor.hash) == (event, digest) for anchor in read(place, access))


def _in_bucket(place: Place, access: AwsAccess) -> Iterator[Anchor]:
    prefix = f"{place.path}/"
    versions = access.pages("s3", "ListObjectVersions", "Versions", Bucket=place.bucket, Prefix=prefix)
    for key in dict.fromkeys(str(version.get("Key", "")) for version in versions):
        if found := _KEY.fullmatch(key.removeprefix(prefix)):
            yield Anchor(int(found[1]), found[2], f"s3://{place.bucket}/{key}")


def _in_parameter(place: Place, access: AwsAccess) -> Iterator[Anchor]:
    try:
        for version in access.pages("ssm", "GetParameterHistory", "Parameters", Name=place.path):
            if found := _VALUE.fullmatch(str(version.get("Value", ""))):
                yield Anchor(int(found[1]), found[2], f"{place}, version {version.get('Version')}")
    except AwsNotFound:
        return


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: text.utc(value) if isinstance(value, datetime) else value for name, value in parameters.items()}
