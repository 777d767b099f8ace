"""What a command says went wrong: its diagnostics of severity error, and its standard error. Never a resource's value, a
provisioner's output or a log line: those are anybody's words.

Even these words only propose. An error's detail may quote a program (`local-exec` and `external` do); whoever acts on it asks
for the fact first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from infraconsole.terraform import events, texts
from infraconsole.terraform.events import Diagnostic
from infraconsole.terraform.runner import Ended
from infraconsole.terraform.texts import Trouble

_LIMIT = 1 << 20
"""Bytes from the end that are read: Terraform says last what went wrong."""


def proposed(ended: Ended, diagnostics: Iterable[Diagnostic] | None = None) -> tuple[Trouble, ...]:
    """What may have gone wrong, in the order of texts.Kind. `diagnostics` where they were heard as they came, None to read them
    from what the command left."""
    heard = _diagnosed(ended) if diagnostics is None else diagnostics
    said = [f"{each.summary}\n\n{each.detail}" for each in heard if each.is_error]
    return texts.troubles("\n\n".join((*said, ended.errors(_LIMIT))))


def stated(ended: Ended, diagnostics: Iterable[Diagnostic] | None = None) -> tuple[Trouble, ...]:
    """As `proposed`, without the details of diagnostics, in which Terraform quotes others."""
    heard = _diagnosed(ended) if diagnostics is None else diagnostics
    said = [each.summary for each in heard if each.is_error]
    return texts.troubles("\n\n".join((*said, ended.errors(_LIMIT))))


def _diagnosed(ended: Ended) -> tuple[Diagnostic, ...]:
    if "-json" not in ended.command:
        return ()
    tail = _end_of(ended.stdout)
    if "validate" in ended.command:
        return _of_document(tail)
    found = (events.parse(line) for line in tail.splitlines())
    return tuple(event for event in found if isinstance(event, Diagnostic))


def _of_document(text: str) -> tuple[Diagnostic, ...]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return events.diagnostics(document) if isinstance(document, dict) else ()


def _end_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _LIMIT))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
