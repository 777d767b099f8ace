"""What was stored of a state since a plan was made: whether each state was made from the one before, as a lock makes sure.

Two applies that run at once without a lock both start from the same state, and the one that stores last takes away what the other
has stored, without a word. The versions of the bucket still tell: every state that Terraform stores has a higher serial than the
one it was made from, so one whose serial is not higher than that of the version below it was made from another
(states/remote/state.go, PersistState).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

from infraconsole.aws.s3 import S3, StoredObject
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AccessDenied, AwsNotFound
from infraconsole.runbooks.terraform_root import Root
from infraconsole.terraform.inventory import Inventory
from infraconsole.terraform.state import StateUnreadable, summary

_MOST = 200
"""So many versions are looked at: a long apply stores one every 20 seconds."""
_HEAD_BYTES = 1024
_HEAD = re.compile(
    rb'\s*\{\s*"version":\s*4,\s*"terraform_version":\s*"[^"]*",\s*"serial":\s*(\d+),\s*"lineage":\s*"([^"\\]*)"'
)
"""How every state begins that Terraform stores."""


@dataclass(frozen=True)
class Version:
    stored: StoredObject
    serial: int
    lineage: str

    @property
    def id(self) -> str:
        return self.stored.version_id


@dataclass(frozen=True)
class History:
    """`base` is what was stored when the plan was made, None where nothing was; `since` what came after it, the oldest first."""

    base: Version | None
    since: tuple[Version, ...]

    @property
    def is_one_line(self) -> bool:
        """Whether each was made from the one before."""
        return not self.overwritten

    @property
    def overwritten(self) -> tuple[Version, ...]:
        """Those that the next one was not made from."""
        line = (*((self.base,) if self.base else ()), *self.since)
        return tuple(one for one, other in pairwise(line) if not _is_made_from(other, one))


def _is_made_from(other: Version, one: Version) -> bool:
    if other.lineage != one.lineage:
        return False
    # A PUT that was sent twice stores the same twice.
    return other.serial > one.serial or (other.serial == one.serial and other.stored.etag == one.stored.etag)


def newest_version(context: StepContext, root: Root) -> str:
    """The id of the stored version; "" where nothing is stored, or the bucket keeps no versions."""
    place = root.state
    if place is None:
        return ""
    try:
        found = S3(context.reads).head(place.bucket, place.key).version_id
    except AwsNotFound as error:
        if error.code == "NoSuchBucket":
            raise
        return ""
    return "" if found == "null" else found


def since(context: StepContext, root: Root, version: str, serial: int) -> History | None:
    """What was stored since the version `version`, which had that serial; "" where its id is not known, and the newest one of no
    higher serial is meant. None where nobody can tell: no bucket, no versions, no right to list them. Raises
    AwsError."""
    place = root.state
    if place is None:
        return None
    newer: list[StoredObject] = []
    base: StoredObject | None = None
    try:
        for found in S3(context.reads).versions(place.bucket, place.key):
            if found.version_id in ("", "null"):
                return None
            if found.version_id == version or (not version and serial and _is_base(context, found, serial)):
                base = found
                break
            if found.is_delete_marker and not serial:
                break  # what lies below was deleted before
            if not found.is_delete_marker:
                newer.append(found)
            if len(newer) > _MOST:
                return None
    except AccessDenied as error:
        context.note(f"Whether another apply stored a state at the same time cannot be told: {error.title}")
        return None
    if serial and base is None:
        return None  # a lifecycle rule may have taken it
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda stored: _read(context, stored), reversed(newer)))
    return History(_read(context, base) if base else None, tuple(each for each in read if each))


def _is_base(context: StepContext, found: StoredObject, serial: int) -> bool:
    version = None if found.is_delete_marker else _read(context, found)
    return version is not None and version.serial <= serial


def inventory(context: StepContext, version: Version) -> Inventory:
    return Inventory(_body(context, version.stored), f"Version {version.id}")


def _read(context: StepContext, stored: StoredObject) -> Version | None:
    """None where somebody stored there what is no state."""
    if stored.size_bytes and (head := _HEAD.match(_beginning(context, stored))):
        return Version(stored, int(head[1]), head[2].decode())
    try:
        found = summary(_body(context, stored), f"Version {stored.version_id}")
    except StateUnreadable:
        return None
    return Version(stored, found.serial, found.lineage)


def _beginning(context: StepContext, stored: StoredObject) -> bytes:
    return S3(context.reads).beginning(stored.bucket, stored.key, stored.version_id, _HEAD_BYTES)


def _body(context: StepContext, stored: StoredObject) -> bytes:
    return S3(context.reads).get(stored.bucket, stored.key, stored.version_id).body or b""
