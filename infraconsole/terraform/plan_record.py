"""What stays of a plan's document when its run is over: everything that a person reads of it, and no secret.

The same format, so that whatever reads plans reads this as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infraconsole.redaction import MASK, Redactor
from infraconsole.secret_places import is_secret
from infraconsole.terraform import documents, plan
from infraconsole.terraform.attributes import same

RECORD = "infraconsole_record"
"""A key of the document: it is such a record already."""
_KEPT = (
    *("format_version", "terraform_version", "applyable", "complete", "errored", "timestamp", "checks"),
    "relevant_attributes",
)
_CHANGES = ("resource_changes", "resource_drift", "output_changes")
_OTHER = "•"
"""Behind the mask of a secret that changes: the two sides must not look the same."""


def record_of(document: bytes, redactor: Redactor) -> bytes:
    """Raises PlanUnreadable."""
    redactor.learn(*plan.read(document).secrets())
    found = documents.load(document)
    kept = {key: redactor.data(found[key]) for key in _KEPT if key in found}
    for key in _CHANGES:
        entries = found.get(key)
        if isinstance(entries, list):
            kept[key] = [_entry(each, redactor) for each in entries if isinstance(each, dict)]
        elif isinstance(entries, dict):
            kept[key] = {name: _entry({"change": each}, redactor, name)["change"] for name, each in entries.items()}
    deferred = found.get("deferred_changes")
    if isinstance(deferred, list):
        kept["deferred_changes"] = [
            {
                **redactor.data({"reason": each.get("reason")}),
                "resource_change": _entry(each["resource_change"], redactor),
            }
            for each in deferred
            if isinstance(each, dict) and isinstance(each.get("resource_change"), dict)
        ]
    kept |= dict.fromkeys(plan.read(document).unknown_parts, True)
    kept |= _actions(found, redactor)
    kept["variables"] = {name: {"value": MASK} for name in found.get("variables") or {}}
    kept["prior_state"] = {"values": {"root_module": _addresses((_values(found)).get("root_module"))}}
    kept[RECORD] = True
    return documents.text(kept, ensure_ascii=True, separators=(",", ":")).encode()


def _actions(found: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    invocations, deferred = (found.get(key) for key in ("action_invocations", "deferred_action_invocations"))
    if isinstance(invocations, list):
        kept["action_invocations"] = [_action(each, redactor) for each in invocations if isinstance(each, dict)]
    if isinstance(deferred, list):
        kept["deferred_action_invocations"] = [
            {
                **redactor.data({"reason": each.get("reason")}),
                "action_invocation": _action(each["action_invocation"], redactor),
            }
            for each in deferred
            if isinstance(each, dict) and isinstance(each.get("action_invocation"), dict)
        ]
    return kept


def _action(entry: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    kept: dict[str, Any] = {key: redactor.data(value) for key, value in entry.items() if key != "config_values"}
    if "config_values" in entry:
        marks = (None, entry.get("config_sensitive"))
        kept["config_values"] = _masked(None, entry["config_values"], marks, redactor, "")[1]
    return kept


def is_record(document: bytes) -> bool:
    return f'"{RECORD}":true'.encode() in document[-64:]


def _values(document: Mapping[str, Any]) -> Mapping[str, Any]:
    state = document.get("prior_state")
    values = state.get("values") if isinstance(state, dict) else None
    return values if isinstance(values, dict) else {}


def _addresses(module: Any) -> dict[str, Any]:
    if not isinstance(module, dict):
        return {}
    resources = [each for each in module.get("resources") or () if isinstance(each, dict)]
    return {
        "resources": [{key: each.get(key) for key in ("address", "mode", "type", "name")} for each in resources],
        "child_modules": [_addresses(each) for each in module.get("child_modules") or ()],
    }


def _entry(entry: Mapping[str, Any], redactor: Redactor, name: str = "") -> dict[str, Any]:
    change = entry.get("change")
    kept = {key: redactor.data(value) for key, value in entry.items() if key != "change"}
    if not isinstance(change, dict):
        return kept
    kept["change"] = {key: value for key, value in change.items() if key not in ("before", "after", "generated_config")}
    if change.get("actions") == ["no-op"]:  # what stays as it is has nothing to show
        return kept
    marks = change.get("before_sensitive"), change.get("after_sensitive")
    before, after = _masked(change.get("before"), change.get("after"), marks, redactor, name)
    kept["change"] |= {"before": before, "after": after}
    return kept


def _masked(before: Any, after: Any, marks: tuple[Any, Any], redactor: Redactor, name: str) -> tuple[Any, Any]:
    """Both sides of one place; of what differs, only in a secret too, they differ still."""
    if True in marks:
        masked = tuple(None if side is None else MASK for side in (before, after))
    elif isinstance(before, dict | list) or isinstance(after, dict | list):
        return _inside(before, after, marks, redactor)
    else:
        masked = tuple(_text(side, redactor, name) for side in (before, after))
    if masked[0] == masked[1] and isinstance(masked[1], str) and not same(before, after):
        return masked[0], masked[1] + _OTHER
    return masked[0], masked[1]


def _inside(before: Any, after: Any, marks: tuple[Any, Any], redactor: Redactor) -> tuple[Any, Any]:
    made: list[Any] = [_empty(before, redactor), _empty(after, redactor)]
    places: dict[Any, None] = {}
    for side in (before, after):
        places |= dict.fromkeys(side if isinstance(side, dict) else range(len(side)) if isinstance(side, list) else ())
    for place in places:
        named = next((_at(side, "name") for side in (before, after) if place == "value" and _at(side, "name")), place)
        found = _masked(
            _at(before, place),
            _at(after, place),
            (_at(marks[0], place), _at(marks[1], place)),
            redactor,
            named if isinstance(named, str) else "",
        )
        for side, into, value in zip((before, after), made, found, strict=True):
            if isinstance(into, dict) and isinstance(side, dict) and place in side:
                into[redactor.text(place) if isinstance(place, str) else place] = value
            elif isinstance(into, list) and isinstance(place, int) and place < len(side):
                into.append(value)
    return made[0], made[1]


def _empty(side: Any, redactor: Redactor) -> Any:
    return {} if isinstance(side, dict) else [] if isinstance(side, list) else _text(side, redactor, "")


def _text(value: Any, redactor: Redactor, name: str) -> Any:
    if not isinstance(value, str):
        return value
    return MASK if is_secret(name, value) else redactor.text(value)


def _at(tree: Any, place: Any) -> Any:
    if isinstance(tree, dict):
        return tree.get(place)
    if isinstance(tree, list) and isinstance(place, int):
        return tree[place] if place < len(tree) else None
    return None
