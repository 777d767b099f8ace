"""What differs between two states, by address and attribute, from their bytes alone; sensitive values never come out in clear.

Apart from `state.py`, which looks at one state as a whole, because this has to be fast for states of 10,000 resources:
instances that are equal cost one comparison, and attributes are looked at only for those that are not, when asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from infraconsole.collector import uncollected
from infraconsole.terraform import documents, sensitive
from infraconsole.terraform.attributes import AttributeChange, differences, same
from infraconsole.terraform.state import FORMAT_VERSION, StateSummary, StateUnreadable, summary

_SOURCE = re.compile(r'provider\["([^"]*)"\]')
_NUMBER = re.compile(r"(\d+)")

_NO_IDENTITY = ("", "none", "-")
"""Ids that say nothing: random_password has the id `none`."""

_SCALARS = ("string", "number", "bool", "dynamic")
_COLLECTIONS = ("list", "set", "map", "object", "tuple")

_BOOKKEEPING = {
    "status": "tainted",
    "schema_version": "schema version",
    "dependencies": "dependencies",
    "create_before_destroy": "create_before_destroy",
    "sensitive_attributes": "what is sensitive",
    "private": "the provider's private data",
    "identity": "identity",
}


class Difference(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"
    """The same object at another address; it may be changed besides."""


class Instance(NamedTuple):
    """An object of a state, as it stands there."""

    address: str
    resource: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class InstanceDifference:
    """An instance that differs. `address` is where it is in the later state, or was, if it is only in the earlier one."""

    difference: Difference
    address: str
    previous_address: str
    """Where a moved one was; "" for others."""
    _before: Instance | None = field(repr=False)
    _after: Instance | None = field(repr=False)

    @property
    def module(self) -> str:
        return _text(self._resource, "module")

    @property
    def type(self) -> str:
        return _text(self._resource, "type")

    @property
    def name(self) -> str:
        return _text(self._resource, "name")

    @property
    def index(self) -> int | str | None:
        """The number of `count`, the key of `for_each`, None without either."""
        instance = self._after or self._before
        index = instance.values.get("index_key") if instance else None
        return index if isinstance(index, int | str) else None

    @property
    def is_data(self) -> bool:
        return self._resource.get("mode") == "data"

    @property
    def deposed(self) -> str:
        """The key of an object that was replaced and waits to be destroyed; else ""."""
        instance = self._after or self._before
        return _text(instance.values, "deposed") if instance else ""

    @property
    def is_another_object(self) -> bool:
        """Whether the address is the same and what stands there is not: it was replaced in between."""
        if self.difference is not Difference.CHANGED or self._before is None or self._after is None:
            return False
        # A version that an older provider wrote may lack the ARN: then the id has to do, and says that it is the same.
        both = [raw_attributes(side).get("arn") for side in (self._before, self._after)]
        if not all(both):
            ids = [raw_attributes(side).get("id") for side in (self._before, self._after)]
            return all(ids) and ids[0] != ids[1]
        before, after = _identity(self._before), _identity(self._after)
        return before is not None and after is not None and before != after

    def attributes(self) -> tuple[AttributeChange, ...]:
        """What differs in it, computed anew each time; of what is on one side only, all that is not empty."""
        marks = _merged(_sensitive(self._before), _sensitive(self._after))
        return differences(
            _attributes(self._before), _attributes(self._after), before_sensitive=marks, after_sensitive=marks
        )

    def counts(self) -> bool:
        """Whether more differs than null and empty, the format of JSON and Terraform's bookkeeping."""
        return self.difference is not Difference.CHANGED or any(each.counts for each in self.attributes())

    def bookkeeping(self) -> tuple[str, ...]:
        """What else of it differs, in words: `tainted`, `dependencies`, `provider`, … Empty unless it is on both sides."""
        before, after = self._before, self._after
        if before is None or after is None:
            return ()
        found = [
            words for key, words in _BOOKKEEPING.items() if not same(before.values.get(key), after.values.get(key))
        ]
        if before.resource.get("provider") != after.resource.get("provider"):
            found.append("provider")
        return tuple(found)

    @property
    def _resource(self) -> Mapping[str, Any]:
        instance = self._after or self._before
        return instance.resource if instance else {}


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """An output of the root module; masked where either state says sensitive, or its name does."""

    name: str
    difference: Difference
    before: Any
    after: Any
    sensitive: bool


@dataclass(frozen=True, slots=True, eq=False)
class StateComparison:
    """`before` and `after` say what the states are. `resources` and `data_sources` are in the order of their addresses."""

    before: StateSummary
    after: StateSummary
    resources: tuple[InstanceDifference, ...]
    data_sources: tuple[InstanceDifference, ...]
    outputs: tuple[OutputDifference, ...]
    same_count: int
    """Instances of managed resources that are equal."""

    @property
    def is_same_lineage(self) -> bool:
        """Whether the two are versions of one state. One without a lineage is not known to be."""
        return bool(self.before.lineage) and self.before.lineage == self.after.lineage

    @property
    def is_empty(self) -> bool:
        """Whether the two say the same, whatever their serials and versions."""
        return not (self.resources or self.data_sources or self.outputs)

    def of(self, difference: Difference) -> tuple[InstanceDifference, ...]:
        """Of the managed resources."""
        return tuple(each for each in self.resources if each.difference is difference)

    def words(self) -> str:
        """`2 added, 1 removed, 3 changed, 9,994 the same`."""
        parts = [f"{len(found):,} {kind}" for kind in Difference if (found := self.of(kind))]
        parts += [f"{len(self.data_sources):,} of data sources"] * bool(self.data_sources)
        parts += [f"{len(self.outputs):,} of outputs"] * bool(self.outputs)
        return ", ".join([*parts, f"{self.same_count:,} the same"])


def compare(
    before: bytes, after: bytes, *, before_name: str = "The earlier state", after_name: str = "The later state"
) -> StateComparison:
    """What is in `after` and not so in `before`; the names are how errors call them. Raises StateUnreadable."""
    with uncollected():
        return _compared(before, after, before_name, after_name)


def _compared(before: bytes, after: bytes, before_name: str, after_name: str) -> StateComparison:
    old_document, new_document = _document(before, before_name), _document(after, after_name)
    old, new = _instances(old_document), _instances(new_document)
    removed = {place: instance for place, instance in old.items() if place not in new}
    added = {place: instance for place, instance in new.items() if place not in old}
    found = list(_moved(removed, added))
    found += [InstanceDifference(Difference.REMOVED, each.address, "", each, None) for each in removed.values()]
    found += [InstanceDifference(Difference.ADDED, each.address, "", None, each) for each in added.values()]
    equal = 0
    for place, instance in new.items():
        twin = old.get(place)
        if twin is None:
            continue
        if _is_same(twin, instance):
            equal += instance.resource.get("mode") == "managed"
        else:
            found.append(InstanceDifference(Difference.CHANGED, instance.address, "", twin, instance))
    found.sort(key=lambda each: (_sort_key(each.address), each.deposed))
    return StateComparison(
        before=_summary(old_document, before, old),
        after=_summary(new_document, after, new),
        resources=tuple([each for each in found if not each.is_data]),
        data_sources=tuple([each for each in found if each.is_data]),
        outputs=tuple(_outputs(old_document, new_document)),
        same_count=equal,
    )


def addresses(data: bytes, name: str = "The state") -> tuple[str, ...]:
    """Every instance's address, as `terraform state list` prints them, in the state's order. Raises StateUnreadable."""
    with uncollected():
        return tuple(dict.fromkeys(instance.address for instance in _instances(_document(data, name)).values()))


class Managed(NamedTuple):
    """What a state manages; `objects` are in its order, deposed ones among them."""

    serial: int
    lineage: str
    objects: tuple[Instance, ...]


def managed_objects(data: bytes, name: str = "The state") -> Managed:
    """Raises StateUnreadable."""
    document = _document(data, name)
    found = _instances(document).values()
    objects = tuple([each for each in found if each.resource.get("mode") == "managed"])
    return Managed(document["serial"], _text(document, "lineage"), objects)


def _document(data: bytes, name: str) -> Mapping[str, Any]:
    """Parsed once where all is well; `summary`, which parses anew, is asked only to say what is wrong."""
    try:
        document = documents.load(data)
    except (ValueError, RecursionError):
        document = None
    if not _is_state(document):
        summary(data, name)
        raise StateUnreadable(f"{name} has no valid list of resources.", mend="Take another version.")
    found: Mapping[str, Any] = document
    return found


def _is_state(document: Any) -> bool:
    if not isinstance(document, dict) or document.get("version") != FORMAT_VERSION:
        return False
    serial, resources = document.get("serial"), document.get("resources")
    if isinstance(serial, bool) or not isinstance(serial, int) or serial < 0:
        return False
    return resources is None or (isinstance(resources, list) and all(map(_is_resource, resources)))


def _is_resource(resource: Any) -> bool:
    if not isinstance(resource, dict):
        return False
    instances = resource.get("instances")
    if not isinstance(instances, list):
        return instances is None
    return all([isinstance(instance, dict) for instance in instances])  # noqa: C419 - 20,000 generators cost more


def _summary(document: Mapping[str, Any], data: bytes, instances: Mapping[str, Instance]) -> StateSummary:
    return StateSummary(
        serial=document["serial"],
        lineage=_text(document, "lineage"),
        terraform_version=_text(document, "terraform_version"),
        resource_count=len([None for each in instances.values() if each.resource.get("mode") == "managed"]),
        size_bytes=len(data),
    )


def _instances(document: Mapping[str, Any]) -> dict[str, Instance]:
    """By address, with the deposed key after it where an object is not the current one. The innermost of all loops here."""
    found: dict[str, Instance] = {}
    for resource in document.get("resources") or ():
        module = resource.get("module")
        data = "data." if resource.get("mode") == "data" else ""
        base = f"{module}.{data}" if module else data
        base = f"{base}{resource.get('type')}.{resource.get('name')}"
        for instance in resource.get("instances") or ():
            key = instance.get("index_key")
            address = base if key is None else base + _index(key)
            deposed = instance.get("deposed")
            found[f"{address} {deposed}" if deposed else address] = Instance(address, resource, instance)
    return found


def _index(key: Any) -> str:
    """As Terraform writes it: `[0]` for count, `["a\\"b"]` for for_each."""
    if isinstance(key, str):
        text = json.dumps(key, ensure_ascii=False)
        return f"[{text.replace('${', '$${').replace('%{', '%%{')}]"
    return f"[{key}]"


def _is_same(one: Instance, other: Instance) -> bool:
    return same(one.values, other.values) and one.resource.get("provider") == other.resource.get("provider")


def _moved(removed: dict[str, Instance], added: dict[str, Instance]) -> Iterator[InstanceDifference]:
    """Takes out of both what is the same object at another address: one of the same kind that alone has this identity."""
    old, new = _by_identity(removed), _by_identity(added)
    for identity, places in old.items():
        twins = new.get(identity, ())
        if len(places) == len(twins) == 1:
            before, after = removed.pop(places[0]), added.pop(twins[0])
            yield InstanceDifference(Difference.MOVED, after.address, before.address, before, after)


def _by_identity(instances: Mapping[str, Instance]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for place, instance in instances.items():
        is_current = not instance.values.get("deposed") and instance.resource.get("mode") != "data"
        identity = _identity(instance) if is_current else None
        if identity is not None:
            found.setdefault(identity, []).append(place)
    return found


def _identity(instance: Instance) -> tuple[str, ...] | None:
    """The ARN, else the id: an ECS task definition's id is its family, which all its revisions share."""
    attributes = raw_attributes(instance)
    found = next((value for key in ("arn", "id") if isinstance(value := attributes.get(key), str) and value), "")
    if found in _NO_IDENTITY:
        return None
    provider = _text(instance.resource, "provider")
    source = _SOURCE.search(provider)
    return _text(instance.resource, "type"), source[1] if source else provider, found


def _attributes(instance: Instance | None) -> Mapping[str, Any] | None:
    """`attributes_flat` is what Terraform before 0.12 left in resources that it has not touched since."""
    if instance is None:
        return None
    return {name: untyped(value) for name, value in raw_attributes(instance).items()}


def raw_attributes(instance: Instance) -> Mapping[str, Any]:
    attributes = instance.values.get("attributes") or instance.values.get("attributes_flat")
    return attributes if isinstance(attributes, dict) else {}


def untyped(value: Any) -> Any:
    """An attribute of any type is kept with its type beside it; paths in `sensitive_attributes` go as if it were not."""
    if isinstance(value, dict) and value.keys() == {"value", "type"}:
        kind = value["type"]
        if kind in _SCALARS or (isinstance(kind, list) and kind and kind[0] in _COLLECTIONS):
            return value["value"]
    return value


def _sensitive(instance: Instance | None) -> dict[Any, Any]:
    if instance is None:
        return {}
    paths = instance.values.get("sensitive_attributes")
    return sensitive.marks(_text(instance.resource, "type"), _attributes(instance) or {}, paths)


def _merged(one: Any, other: Any) -> Any:
    if one is True or other is True:
        return True
    names = dict.fromkeys([*one, *other])
    return {name: _merged(one.get(name, {}), other.get(name, {})) for name in names}


def _outputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[OutputDifference]:
    old, new = _table(before, "outputs"), _table(after, "outputs")
    for name in sorted({*old, *new}):
        one, other = _table(old, name), _table(new, name)
        if name in old and name in new and same(one.get("value"), other.get("value")):
            continue
        marked = True if one.get("sensitive") is True or other.get("sensitive") is True else None
        # Each side by itself and whole, in a list of one: an output is read as one value, whatever differs in it.
        lost = differences([one.get("value")], None, before_sensitive=[marked], name=name)
        gained = differences(None, [other.get("value")], after_sensitive=[marked], name=name)
        difference = (
            Difference.ADDED if name not in old else Difference.REMOVED if name not in new else Difference.CHANGED
        )
        yield OutputDifference(
            name,
            difference,
            lost[0].before[0] if name in old and lost else None,
            gained[0].after[0] if name in new and gained else None,
            any(each.sensitive for each in (*lost, *gained)),
        )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _sort_key(address: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """So that `[2]` comes before `[10]`."""
    base, _, indexes = address.partition("[")
    parts = _NUMBER.split(indexes) if indexes else ()
    return base, tuple((int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts))


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""
