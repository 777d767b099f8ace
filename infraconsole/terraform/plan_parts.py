"""The parts of a plan's document: which are known here, and in which shape. What a newer Terraform adds, or writes in another way,
would be passed over in silence otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

FLAGS = ("applyable", "complete", "errored")
_TABLES = ("variables", "planned_values", "proposed_unknown", "prior_state", "configuration")
_TABLES_OF_TABLES = ("output_changes",)
_LISTS = ("resource_changes", "resource_drift", "relevant_attributes", "checks", "action_invocations")
_WRAPPED = {"deferred_changes": "resource_change", "deferred_action_invocations": "action_invocation"}
_TEXTS = ("format_version", "terraform_version", "timestamp")
_OWN = ("infraconsole_record",)
"""Terraform 1.17's internal/command/jsonplan/plan.go, and the mark of our own records."""

_EMPTY = (b"null", b"{}", b"[]", b"false", b'""')
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_SHAPES: Mapping[str, msgspec.json.Decoder[Any]] = {
    **dict.fromkeys(_LISTS, _OBJECTS),
    **dict.fromkeys(_TABLES_OF_TABLES, msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])),
    **dict.fromkeys(_TEXTS, msgspec.json.Decoder(str)),
    **dict.fromkeys(FLAGS, msgspec.json.Decoder(bool)),
}


def unknown_parts(parts: Mapping[str, msgspec.Raw]) -> Iterator[str]:
    """The names of those that nobody here knows, or not in that shape. What is empty says nothing."""
    for name, raw in parts.items():
        if bytes(raw).strip() not in _EMPTY and name not in _OWN and not _is_known(name, raw):
            yield name


def _is_known(name: str, raw: msgspec.Raw) -> bool:
    if name in _TABLES:  # of megabytes, and read elsewhere
        return bytes(raw)[:64].lstrip().startswith(b"{")
    try:
        if inner := _WRAPPED.get(name):
            return all(_is_object(each.get(inner)) for each in _OBJECTS.decode(raw))
        return name in _SHAPES and _SHAPES[name].decode(raw) is not None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _is_object(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw).lstrip().startswith(b"{")
