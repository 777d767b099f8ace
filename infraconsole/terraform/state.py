"""What a state file and a lock say, from their bytes alone: no Terraform and no AWS, so that it can be checked before
anything is pushed or unlocked. The formats are Terraform's own (statefile version 4, statemgr.LockInfo)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.errors import InfraconsoleError
from infraconsole.terraform import documents
from infraconsole.text import moment

FORMAT_VERSION = 4
DUMPED = "Emergency state dump"
"""What an apply with `-json` calls the event in which it prints a state that it could store nowhere (command/views/json_view.go,
StateDump; seen on 1.11)."""
_BLANK = re.compile(r"[ \t\r\n]*")


class StateUnreadable(InfraconsoleError):
    """Bytes that are no state, or no lock, of Terraform's."""


class StateTooNew(StateUnreadable):
    """A state in a format that Terraform did not have yet when this was written: nothing is wrong with it."""


class StateEncrypted(StateTooNew):
    """A state that OpenTofu has encrypted: nothing is wrong with it, and only OpenTofu with its key reads it."""


@dataclass(frozen=True)
class StateSummary:
    """`resource_count` counts the instances of managed resources: `terraform state list` without the data sources. `md5`, in
    hex, is what the S3 backend keeps beside a lock (checks/state_digest.py); "" where nobody asked for it."""

    serial: int
    lineage: str
    terraform_version: str
    resource_count: int
    size_bytes: int
    md5: str = ""


@dataclass(frozen=True)
class LockInfo:
    """Who holds a state's lock. `who` is user@host, `operation` OperationTypePlan and the like; `created` in UTC."""

    id: str
    path: str
    operation: str
    who: str
    version: str
    created: datetime | None
    info: str


def summary(data: bytes, name: str = "The state") -> StateSummary:
    """What `data` is, `name` being how errors call it. Raises StateUnreadable where it is cut off or no state."""
    document = _document(data, name)
    if "encrypted_data" in document and "resources" not in document:
        serial = document.get("serial")
        known = f" Its serial is {serial}." if isinstance(serial, int) else ""
        raise StateEncrypted(
            f"{name} is encrypted by OpenTofu.",
            cause=f"Nothing is wrong with it; what is in it is not known here.{known}",
            mend="Have OpenTofu itself read it, where its key is: tofu show, tofu state pull",
        )
    version = document.get("version")
    if "serial" not in document or "version" not in document:
        raise StateUnreadable(
            f"{name} is not a Terraform state.", cause=f"It is JSON with {_keys(document)}.", mend=_MEND
        )
    if version != FORMAT_VERSION:
        is_newer = isinstance(version, int) and version > FORMAT_VERSION
        raise (StateTooNew if is_newer else StateUnreadable)(
            f"{name} has the state format {version!r}, not {FORMAT_VERSION}.",
            cause="Terraform before 0.12 wrote older formats; a newer one is not known here.",
            mend="Have Terraform itself read it: terraform show",
        )
    serial = document["serial"]
    if isinstance(serial, bool) or not isinstance(serial, int) or serial < 0:
        raise StateUnreadable(f"{name} has no valid serial.", cause=f"Found {serial!r}.", mend=_MEND)
    resources = document.get("resources")
    if resources is None:
        resources = []
    if not isinstance(resources, list) or not all(isinstance(resource, dict) for resource in resources):
        raise StateUnreadable(f"{name} has no valid list of resources.", mend=_MEND)
    instances = [resource.get("instances") for resource in resources if resource.get("mode") == "managed"]
    return StateSummary(
        serial=serial,
        lineage=_text(document, "lineage"),
        terraform_version=_text(document, "terraform_version"),
        resource_count=sum(len(each) for each in instances if isinstance(each, list)),
        size_bytes=len(data),
    )


def managed(data: bytes, type_: str, name: str = "The state") -> Iterator[Mapping[str, Any]]:
    """The attributes of each object of that type that the state manages, in clear; what is deposed is left out. Raises
    StateUnreadable."""
    summary(data, name)  # refuses what is no state, so that the rest may rely on it
    for resource in documents.load(data).get("resources") or ():
        if resource.get("mode") != "managed" or resource.get("type") != type_:
            continue
        instances = resource.get("instances")
        for instance in instances if isinstance(instances, list) else ():
            if isinstance(instance, dict) and not instance.get("deposed"):
                attributes = instance.get("attributes")
                yield attributes if isinstance(attributes, dict) else {}


def dumped(output: bytes) -> bytes | None:
    """The state that an apply with `-json` printed since it could store it nowhere; None where there is none that is whole.

    As it stands there, on one line: encoding it anew would alter the numbers that providers wrote.
    """
    for line in output.splitlines():
        if f'"{DUMPED}"'.encode() not in line:
            continue
        try:
            text = line.decode()
            start, end = _top_level(text)["state"]
            body = text[start:end].encode()
            summary(body)
        except (ValueError, LookupError, RecursionError, StateUnreadable):  # cut off, or another event with these words
            continue
        return body
    return None


def with_serial(data: bytes, serial: int, name: str = "The state") -> bytes:
    """`data` with the state's serial replaced, and nothing else: not one byte outside the serial's digits changes.

    Encoding the document anew would alter numbers and escapes that providers wrote. Raises StateUnreadable.
    """
    summary(data, name)
    text = data.decode()
    start, end = _top_level(text)["serial"]
    return (text[:start] + str(serial) + text[end:]).encode()


def parse_lock(data: bytes | str, name: str = "The lock") -> LockInfo:
    """The content of a `.tflock` object, or of `Info` in the lock table's item. Raises StateUnreadable."""
    document = _document(data.encode() if isinstance(data, str) else data, name, "a lock of Terraform's", _MEND_LOCK)
    if not _text(document, "ID"):
        cause = f"It is JSON with {_keys(document)}."
        raise StateUnreadable(f"{name} is not a lock of Terraform's.", cause=cause, mend=_MEND_LOCK)
    return LockInfo(
        id=_text(document, "ID"),
        path=_text(document, "Path"),
        operation=_text(document, "Operation"),
        who=_text(document, "Who"),
        version=_text(document, "Version"),
        created=moment(_text(document, "Created")),
        info=_text(document, "Info"),
    )


_MEND = "Take another version; compare its size and its place in the bucket with the others."

_MEND_LOCK = (
    "It says neither who holds it nor its ID, which force-unlock needs. Make sure that nobody is at work on this state, then "
    "delete it by hand."
)


def _document(data: bytes, name: str, kind: str = "a Terraform state", mend: str = _MEND) -> Mapping[str, Any]:
    if not data.strip():
        raise StateUnreadable(f"{name} is empty.", cause=f"{len(data)} bytes.", mend=mend)
    try:
        document = documents.load(data)
    except UnicodeDecodeError as error:
        raise StateUnreadable(f"{name} is not JSON.", cause=f"Byte {error.start:,} is not UTF-8.", mend=mend) from error
    except json.JSONDecodeError as error:
        raise _broken(error, len(data), name, mend) from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise StateUnreadable(f"{name} is not {kind}.", cause=str(error), mend=mend) from error
    if not isinstance(document, dict):
        cause = f"It is a JSON {type(document).__name__}."
        raise StateUnreadable(f"{name} is not {kind}.", cause=cause, mend=mend)
    return document


def _broken(error: json.JSONDecodeError, size_bytes: int, name: str, mend: str) -> StateUnreadable:
    text = error.doc
    at_end = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    kind = "is cut off" if at_end and text.lstrip().startswith("{") else "is not JSON"
    cause = f"{error.msg} in line {error.lineno:,}; it has {size_bytes:,} bytes."
    return StateUnreadable(f"{name} {kind}.", cause=cause, mend=mend)


def _top_level(text: str) -> dict[str, tuple[int, int]]:
    """Where the value of each key of a JSON object begins and ends; of a key that comes twice, the last, as in json."""
    decoder = json.JSONDecoder()
    places: dict[str, tuple[int, int]] = {}
    at = _after_blank(text, _after_blank(text, 0) + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        start = _after_blank(text, _after_blank(text, at) + 1)
        _, end = decoder.raw_decode(text, start)
        places[key] = (start, end)
        at = _after_blank(text, end)
        if text[at] == ",":
            at = _after_blank(text, at + 1)
    return places


def _after_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _keys(document: Mapping[str, Any]) -> str:
    names = [repr(name) for name in list(document)[:5]]
    return f"the keys {', '.join(names)}" if names else "no keys"


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""
