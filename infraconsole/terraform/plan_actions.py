"""The actions of a plan (Terraform 1.14 and later): what providers do beside making and changing objects, as stopping an instance
or calling a function. They are in no state, and no later plan undoes them.

After hashicorp/terraform's internal/command/jsonplan/action_invocations.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infraconsole.terraform.attributes import AttributeChange, differences, marked_texts, passwords_in

_EVENT = re.compile(r"(Before|After)(\w+)")


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """One invocation. `on` is the resource that triggers it, "" where it was asked for by name; `event` as Terraform says it:
    `AfterUpdate`; `deferred` why it is put off to a later plan, "" where it is in this one."""

    address: str
    type: str
    on: str
    event: str
    deferred: str = ""
    _entry: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def when(self) -> str:
        """`after the update of aws_sqs_queue.jobs`."""
        if not self.on:
            return "asked for by name"
        match = _EVENT.fullmatch(self.event)
        if match is None:
            return f"on {self.event or 'an event that is not told'} of {self.on}"
        return f"{match[1].lower()} the {match[2].lower()} of {self.on}"

    def attributes(self) -> tuple[AttributeChange, ...]:
        """What it is given, masked where it is sensitive."""
        return differences(
            None,
            self._entry.get("config_values") or {},
            unknown=self._entry.get("config_unknown"),
            after_sensitive=self._entry.get("config_sensitive"),
        )

    def secrets(self) -> Iterator[str]:
        values = self._entry.get("config_values")
        yield from marked_texts(values, self._entry.get("config_sensitive"))
        yield from passwords_in(values)

    def lines(self) -> list[str]:
        """For the gate: the action, and what it is given."""
        return [
            f"> {self.address}  invoked {self.when}",
            *(f"    {line}" for each in self.attributes() for line in _line(each)),
        ]


def _line(each: AttributeChange) -> Sequence[str]:
    return (f"+ {each.name}: (known after apply)",) if each.unknown and each.after is None else each.lines()


def action_of(entry: Mapping[str, Any], deferred: str = "") -> Action:
    """A member of `action_invocations`, whatever is in it."""
    lifecycle, invoked = (_table(entry, key) for key in ("lifecycle_action_trigger", "invoke_action_trigger"))
    on = _text(lifecycle, "triggering_resource_address") or _text(invoked, "calling_resource_address")
    address = _text(entry, "address") or f"action.{_text(entry, 'type')}.{_text(entry, 'name')}"
    return Action(address, _text(entry, "type"), on, _text(lifecycle, "action_trigger_event"), deferred, entry)


def _table(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
