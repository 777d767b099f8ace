"""What the last visit saw of an account's exports, kept on disk so that the screen has rows before AWS has answered.

A SecureString is kept without its value. The file is readable by its owner alone, and anything wrong with it means only
that there was no last visit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infraconsole import files, text
from infraconsole.aws.ssm import SECURE, Parameter

_FORMAT = 1


@dataclass(frozen=True)
class LastVisit:
    """`account` is whose the parameters were: where the credentials are another account's by now, they say nothing."""

    account: str
    at: datetime
    parameters: tuple[Parameter, ...]


def file_for(folder: Path, *, profile: str | None, region: str, root: str) -> Path:
    """`folder` is the console's state folder."""
    name = hashlib.sha256(json.dumps([profile, region, root]).encode()).hexdigest()[:16]
    return folder / "cache" / f"exports-{name}.json"


def load(file: Path) -> LastVisit | None:
    try:
        document = json.loads(files.read(file))
        if document["format"] != _FORMAT:
            return None
        parameters = tuple(_parameter(row) for row in document["parameters"])
        return LastVisit(document["account"], text.from_utc(document["at"]), parameters)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(file: Path, account: str, parameters: Sequence[Parameter], now: datetime) -> None:
    """Replaces the file at once; a disk that is full keeps the one before."""
    document = {
        "format": _FORMAT,
        "account": account,
        "at": text.utc(now),
        "parameters": [_row(parameter) for parameter in parameters],
    }
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(document, stream)
        draft.replace(file)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _row(parameter: Parameter) -> list[Any]:
    return [
        parameter.name,
        parameter.type,
        None if parameter.type == SECURE else parameter.value,
        parameter.version,
        parameter.modified_at.timestamp() if parameter.modified_at else None,
        parameter.arn,
        parameter.description,
        parameter.tier,
        parameter.key_id,
        parameter.modified_by,
        parameter.data_type,
    ]


def _parameter(row: list[Any]) -> Parameter:
    name, kind, value, version, modified_at, arn, *described = row
    at = None if modified_at is None else datetime.fromtimestamp(modified_at, UTC)
    return Parameter(str(name), str(kind), value, int(version), at, str(arn), *(str(part) for part in described))
