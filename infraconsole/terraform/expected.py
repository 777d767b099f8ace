"""What a plan says that a state has once it is applied, to be compared with the state that is stored afterwards.

A provider may store another value than it planned (it normalises), so that only the old value is taken for a change that is not
stored: of every attribute that changes, what the plan had before, or the state before the plan was refreshed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.redaction import MASK
from infraconsole.terraform import documents
from infraconsole.terraform.attributes import same
from infraconsole.terraform.inventory import Place
from infraconsole.terraform.state_diff import untyped

_MISSING = object()


@dataclass(frozen=True)
class Expected:
    """Of one object that is changed in place: the attributes that change to values that were known, as they are to be, and as they
    were."""

    after: Mapping[str, Any]
    before: tuple[Mapping[str, Any], ...]

    def is_met_by(self, attributes: Mapping[str, Any]) -> bool:
        """Whether all of it is stored. Nothing is known where nothing can be compared."""
        return bool(self.after) and all(_is(attributes, name, value) for name, value in self.after.items())

    def is_missed_by(self, attributes: Mapping[str, Any]) -> bool:
        """Whether all that changes is stored as it was."""
        return bool(self.after) and all(
            not _is(attributes, name, value)
            and any(_is(attributes, name, one.get(name, _MISSING)) for one in self.before)
            for name, value in self.after.items()
        )


@dataclass(frozen=True)
class Expectations:
    """Of one plan. `outputs` are those that change to a value that was known: they are in no state that was not stored anew."""

    updates: Mapping[Place, Expected]
    outputs: tuple[str, ...] = ()


NOTHING_EXPECTED = Expectations({})


def expectations(document: bytes) -> Expectations:
    """Of a plan's document, or of the record that stays of it, whose masked values are compared with nothing. Of what is no plan,
    none."""
    try:
        found = documents.load(document)
    except (ValueError, RecursionError):
        return NOTHING_EXPECTED
    if not isinstance(found, dict):
        return NOTHING_EXPECTED
    drift = {_place(each): _values(each["change"], "before") for each in _changes(found, "resource_drift")}
    updates = {
        _place(each): _expected(each["change"], drift.get(_place(each)))
        for each in _changes(found, "resource_changes")
        if each.get("mode") == "managed" and each["change"].get("actions") == ["update"]
    }
    outputs = found.get("output_changes")
    changed = [
        name for name, change in (outputs.items() if isinstance(outputs, dict) else ()) if _is_known_change(change)
    ]
    return Expectations(updates, tuple(changed))


def _changes(document: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    listed = document.get(name)
    return [
        each
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and isinstance(each.get("change"), dict) and not each.get("deposed")
    ]


def _expected(change: Mapping[str, Any], drifted: Mapping[str, Any] | None) -> Expected:
    before, after, unknown = _values(change, "before"), _values(change, "after"), _values(change, "after_unknown")
    known = {
        name: value
        for name, value in after.items()
        if not same(value, before.get(name))
        and not _any(unknown.get(name))
        and not _is_masked((value, before.get(name)))
    }
    return Expected(known, (before,) if drifted is None else (before, drifted))


def _is_known_change(change: object) -> bool:
    if not isinstance(change, dict) or change.get("actions") == ["no-op"] or _any(change.get("after_unknown")):
        return False
    return not same(change.get("before"), change.get("after"))


def _is(attributes: Mapping[str, Any], name: str, value: Any) -> bool:
    stored = attributes.get(name)
    return same(stored, value) or same(untyped(stored), value)


def _any(marks: object) -> bool:
    """Whether anything in a tree of marks is marked."""
    if isinstance(marks, dict):
        return any(map(_any, marks.values()))
    return any(map(_any, marks)) if isinstance(marks, list) else marks is True


def _is_masked(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_is_masked, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    return isinstance(value, str) and MASK in value


def _values(change: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = change.get(name)
    return found if isinstance(found, dict) else {}


def _place(entry: Mapping[str, Any]) -> Place:
    module, type_, name = (
        value if isinstance(value := entry.get(key), str) else "" for key in ("module_address", "type", "name")
    )
    return module, type_, name, entry.get("index")
