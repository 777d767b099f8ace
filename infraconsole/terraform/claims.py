"""What an apply says that it did, object by object, to be compared with the state that is stored afterwards.

The events tell of every object once it is made, changed or destroyed, and of a destroyed one its id before that
(Terraform's internal/command/views/hook_json.go, PreApply and PostApply). What they do not tell is whether it was stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infraconsole.terraform import events
from infraconsole.terraform.events import Resource

NO_IDENTITY = ("", "none", "-")
"""Ids that name nothing: random_password has the id `none`."""
_IDENTITIES = ("id", "name")
"""What Terraform takes for an id, in this order (format.ObjectValueID); of a destroyed object it may tell a tag instead."""


@dataclass(frozen=True)
class Claim:
    """That the object at `resource` was made, changed or destroyed. `id` is its attribute `id_key`, "" where none was told."""

    resource: Resource
    id_key: str = ""
    id: str = ""
    action: str = ""
    """Terraform's word for it: create, update, delete."""

    @property
    def is_new(self) -> bool:
        """Whether the apply made it: then no state from before has it, and what has its id there is another object."""
        return self.action == "create"


@dataclass(frozen=True)
class Stray:
    """An object that an apply made and that is in no state. `id` is "" where Terraform told none; `cut_off`: its making was begun,
    and nobody knows how it ended, so that it may exist. `by_another`: an apply made it that ran at the same time. `before`: the ids
    of what stood at the address before the apply, which a replacement leaves in the state until the new object is stored."""

    address: str
    type: str
    id: str = ""
    cut_off: bool = False
    by_another: bool = False
    before: tuple[str, ...] = field(default=(), compare=False)
    twins: tuple[str, ...] = field(default=(), compare=False)
    """Addresses of other objects of this type and id, as a log group has in two regions."""
    provider: str = field(default="", compare=False)
    """Its configuration, as a state names it; this and `arn` are "" where no state told of it."""
    arn: str = field(default="", compare=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "type": self.type,
            "id": self.id,
            "cut_off": self.cut_off,
            "by_another": self.by_another,
            "before": list(self.before),
            "twins": list(self.twins),
            "provider": self.provider,
            "arn": self.arn,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stray:
        return cls(
            str(data["address"]),
            str(data["type"]),
            str(data["id"]),
            cut_off=bool(data.get("cut_off")),
            by_another=bool(data.get("by_another")),
            before=tuple(map(str, data.get("before", ()))),
            twins=tuple(map(str, data.get("twins", ()))),
            provider=str(data.get("provider", "")),
            arn=str(data.get("arn", "")),
        )


class Claims:
    """Takes the events of an apply as they come. The newest word on an address counts: a replacement is a destroy and a create, in
    either order, and a destroyed object is told apart from the one that took its place by its id."""

    def __init__(self) -> None:
        self.is_finished = False
        """Whether Terraform said that the apply came to its end. It does so only when the state is stored and the lock released."""
        self._there: dict[Resource, Claim] = {}
        self._gone: dict[tuple[Resource, str], Claim] = {}
        self._begun: dict[Resource, Claim] = {}
        self._making: dict[Resource, Claim] = {}
        self._failed: dict[Resource, Claim] = {}
        self._changing: dict[Resource, Claim] = {}

    def take(self, event: events.Event | events.Text) -> None:
        match event:
            case events.ChangeSummary(operation="apply" | "destroy"):
                self.is_finished = True
            case events.Apply(action="read"):
                return
            case events.ApplyStart(resource=resource, action=action):
                self._begun[resource] = claim = _claim(event)
                if action == "create":
                    self._making[resource] = claim
                elif action == "update":
                    self._changing[resource] = claim
            case events.ApplyComplete(resource=resource, action="delete"):
                # Its end does not tell the id any more.
                claim = self._begun.pop(resource, Claim(resource, action="delete"))
                self._gone[(resource, claim.id)] = claim
            case events.ApplyComplete(resource=resource):
                self._there[resource] = _claim(event)
                self._begun.pop(resource, None)
                self._making.pop(resource, None)
                self._changing.pop(resource, None)
            case events.ApplyErrored(resource=resource):
                self._begun.pop(resource, None)
                if (claim_ := self._making.pop(resource, None)) is not None:
                    self._failed[resource] = claim_

    @property
    def there(self) -> tuple[Claim, ...]:
        """What has to be in the state."""
        return tuple(self._there.values())

    @property
    def gone(self) -> tuple[Claim, ...]:
        """What must not be in the state any more: without an id it cannot be told apart from what took its place."""
        made = {(each.resource, each.id) for each in self.there}
        return tuple([each for place, each in self._gone.items() if each.id and place not in made])

    @property
    def unfinished(self) -> bool:
        """Whether something was begun of which no end was told."""
        return bool(self._begun)

    @property
    def done(self) -> tuple[Claim, ...]:
        """All that Terraform says it made, changed or destroyed, each address once."""
        return tuple(({place: each for (place, _), each in self._gone.items()} | self._there).values())

    @property
    def being_made(self) -> tuple[Claim, ...]:
        """Of which the making was begun, and no end was told."""
        return tuple(self._making.values())

    @property
    def failed_to_be_made(self) -> tuple[Claim, ...]:
        """Terraform stores of these what the provider has made of them, if it comes to that."""
        return tuple(self._failed.values())

    @property
    def being_changed(self) -> tuple[Claim, ...]:
        """Of which a change or the destruction was begun and no good end was told. A failed change counts: its state may not have
        been stored."""
        begun = {place: each for place, each in self._begun.items() if place not in self._making}
        return tuple((begun | self._changing).values())

    @property
    def is_empty(self) -> bool:
        return not (self._there or self._gone or self._begun or self._failed)


def _claim(event: events.Apply) -> Claim:
    if event.id_key in _IDENTITIES and event.id_value not in NO_IDENTITY:
        return Claim(event.resource, event.id_key, event.id_value, event.action)
    return Claim(event.resource, action=event.action)
