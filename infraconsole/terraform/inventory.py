"""What a state manages, object by object, from its bytes alone: whether it holds what an apply says that it made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infraconsole.collector import uncollected
from infraconsole.terraform import state_diff
from infraconsole.terraform.attributes import same
from infraconsole.terraform.claims import NO_IDENTITY, Claim, Stray

Place = tuple[str, str, str, str | int | None]
"""Module, type, name and key: unlike an address, it is told alike by states and by events."""


@dataclass(frozen=True, eq=False)
class Object:
    """One object of a managed resource. `deposed` is its key where it was replaced and waits to be destroyed."""

    place: Place
    address: str
    deposed: str
    attributes: Mapping[str, Any]
    provider: str = ""

    @property
    def type(self) -> str:
        return self.place[1]

    @property
    def id(self) -> str:
        """As Terraform tells it in its events; "" where it has none, or none that names it."""
        found = next((value for key in ("id", "name") if isinstance(value := self.attributes.get(key), str)), "")
        return "" if found in NO_IDENTITY else found

    @property
    def arn(self) -> str:
        return _text(self.attributes.get("arn"))

    def as_stray(self, *, by_another: bool = False) -> Stray:
        return Stray(self.address, self.type, self.id, by_another=by_another, provider=self.provider, arn=self.arn)

    def may_be(self, stray: Stray) -> bool:
        """Of the same type and id. Ids are unique in a region and an account, and a state may be about several."""
        if self.arn and stray.arn:
            return self.arn == stray.arn
        if self.address == stray.address:
            return True
        return self.address not in stray.twins and (not stray.provider or self.provider == stray.provider)


class Inventory:
    """Of one state; of nothing stored, an empty one with the serial 0."""

    def __init__(self, body: bytes, name: str = "The stored state") -> None:
        """Raises StateUnreadable."""
        self.serial, self.lineage = 0, ""
        self._at: dict[Place, list[Object]] = {}
        self._ids: dict[tuple[str, str], list[Object]] = {}
        if body:
            with uncollected():
                self._read(body, name)

    def _read(self, body: bytes, name: str) -> None:
        listed = state_diff.managed_objects(body, name)
        self.serial, self.lineage = listed.serial, listed.lineage
        for found in listed.objects:
            resource, values = found.resource, found.values
            place = (
                _text(resource.get("module")),
                _text(resource.get("type")),
                _text(resource.get("name")),
                values.get("index_key"),
            )
            one = Object(
                place,
                found.address,
                _text(values.get("deposed")),
                state_diff.raw_attributes(found),
                _text(resource.get("provider")),
            )
            self._at.setdefault(place, []).append(one)
            self._ids.setdefault((one.type, one.id), []).append(one)

    def __iter__(self) -> Iterator[Object]:
        for objects in self._at.values():
            yield from objects

    def holds(self, claim: Claim, twins: Collection[str] = ()) -> bool:
        """Whether the object is in the state; somewhere else too, since it may have been moved since. At `twins` are other objects
        with its id."""
        there = self._at.get(place_of(claim), [])
        if not claim.id:
            return bool(there)
        if any(each.attributes.get(claim.id_key) == claim.id for each in there):
            return True
        elsewhere = self._ids.get((claim.resource.type, claim.id), [])
        return claim.id_key == "id" and any(each.address not in twins for each in elsewhere)

    def addresses_of(self, type_: str, id_: str) -> Iterator[str]:
        """Where objects of that type and id stand."""
        return (each.address for each in self._ids.get((type_, id_), ()))

    def still_holds(self, claim: Claim) -> bool:
        """Whether the object that was destroyed is in the state at its own address."""
        return any(each.attributes.get(claim.id_key) == claim.id for each in self._at.get(place_of(claim), []))

    def at(self, place: Place) -> Mapping[str, Any] | None:
        """The attributes of what is there, None where nothing is."""
        return next((each.attributes for each in self._at.get(place, []) if not each.deposed), None)

    def ids_at(self, claim: Claim) -> tuple[str, ...]:
        """Of all that stands at its address, replaced objects that wait to be destroyed among them; "" for one without an id."""
        return tuple(each.id for each in self._at.get(place_of(claim), []))

    def has_place(self, place: Place) -> bool:
        return place in self._at

    def knows(self, stray: Stray) -> bool:
        """Whether it is in the state by now: by its id anywhere. Where that is not known, by its address: by another object than
        stood there before."""
        if stray.id:
            return any(each.may_be(stray) for each in self._ids.get((stray.type, stray.id), ()))
        return any(each.address == stray.address and each.id not in stray.before for each in self)

    def added_to(self, base: Inventory) -> Iterator[Object]:
        """The objects that `base` does not have."""
        for each in self:
            if not (base.knows(each.as_stray()) if each.id else each.place in base._at):
                yield each

    def changed_from(self, base: Inventory) -> Iterator[Object]:
        """The objects that `base` has too, and with other attributes."""
        for each in self:
            twin = base._twin(each)
            if twin is not None and not same(twin.attributes, each.attributes):
                yield each

    def has_as_it_was(self, each: Object, base: Inventory) -> bool:
        """Whether the object is here as `base` has it."""
        here, before = self._twin(each), base._twin(each)
        return here is not None and before is not None and same(here.attributes, before.attributes)

    def _twin(self, each: Object) -> Object | None:
        there = self._at.get(each.place, [])
        return next((twin for twin in there if (twin.id, twin.deposed) == (each.id, each.deposed)), None)


def twins_of(claims: Collection[Claim], earlier: Collection[Inventory]) -> dict[Claim, frozenset[str]]:
    """Of each object, the addresses at which another one has its type and id: made by the same apply, or, where this one is new, in
    a state from before it."""
    made: dict[tuple[str, str], set[str]] = {}
    for claim in claims:
        made.setdefault((claim.resource.type, claim.id), set()).add(claim.resource.address)
    found: dict[Claim, frozenset[str]] = {}
    for claim in claims:
        about = (claim.resource.type, claim.id)
        before = {address for each in earlier for address in each.addresses_of(*about)} if claim.is_new else set()
        found[claim] = frozenset((made[about] | before) - {claim.resource.address})
    return found


def place_of(claim: Claim) -> Place:
    resource = claim.resource
    return resource.module, resource.type, resource.name, resource.key


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
