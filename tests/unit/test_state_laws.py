"""What holds between any two states and their attributes: nothing is lost or told twice, and both ways round it is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from infraconsole.terraform import documents
from infraconsole.terraform.attributes import AttributeChange, Nature, differences, shown
from infraconsole.terraform.state_diff import Difference, InstanceDifference, StateComparison, addresses, compare
from tests.unit.laws import tried

Json = Any

_NAMES = st.sampled_from(["a", "b", "c", "name", "tags", "x"])
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from([0.5, 1.0]), st.sampled_from(["", "x", "y", "1", "[1]", '{"a":1}'])
)  # fmt: skip
_VALUES: st.SearchStrategy[Json] = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES, inner, max_size=3)
        | st.lists(st.dictionaries(st.sampled_from(["a", "b", "name"]), inner, max_size=2), min_size=1, max_size=3)
    ),
    max_leaves=6,
)
_ATTRIBUTES = st.dictionaries(_NAMES, _VALUES, max_size=4)
_DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?(e-?[1-9][0-9]?)?", fullmatch=True)


# States


@st.composite
def _instances(draw: st.DrawFn, key: str) -> list[Json]:
    kind = {"one": st.just(None), "count": st.integers(0, 11), "for_each": st.sampled_from(["a", "b", 'q"', "${x}"])}[
        key
    ]
    found: dict[tuple[Any, str], Json] = {}
    for index in draw(st.lists(kind, max_size=3, unique=True)):
        for deposed in draw(st.sampled_from([[""], [""], ["", "0a1b"], ["0a1b"]])):
            instance: Json = {"schema_version": draw(st.integers(0, 1)), "attributes": draw(_SMALL)}
            if index is not None:
                instance["index_key"] = index
            if deposed:
                instance["deposed"] = deposed
            found[index, deposed] = instance
    return list(found.values())


_SMALL = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["i-1", "i-2", "i-3", "none", ""]),
        "arn": st.sampled_from(["arn:1", "arn:2", ""]),
        "size": _SCALARS,
    },
)


@st.composite
def _resources(draw: st.DrawFn) -> list[Json]:
    places = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["", "module.m", "module.m[0]", 'module.m["a[1]"]']),
                st.sampled_from(["managed", "managed", "data"]),
                st.sampled_from(["aws_instance", "terraform_data"]),
                st.sampled_from(["web", "db"]),
            ),
            max_size=4,
            unique=True,
        )
    )
    found = []
    for module, mode, type_, name in places:
        resource: Json = {
            "mode": mode,
            "type": type_,
            "name": name,
            "provider": 'provider["registry.terraform.io/x/y"]',
        }
        if module:
            resource["module"] = module
        resource["instances"] = draw(_instances(draw(st.sampled_from(["one", "count", "for_each"]))))
        found.append(resource)
    return found


_OUTPUTS = st.dictionaries(
    st.sampled_from(["url", "port"]), st.fixed_dictionaries({"value": _VALUES, "type": st.just("string")})
)


def _state(serial: int, resources: list[Json], outputs: Json) -> bytes:
    return json.dumps(
        {"version": 4, "serial": serial, "lineage": "l", "terraform_version": "1.11.4", "resources": resources, "outputs": outputs}
    ).encode()  # fmt: skip


STATES = st.builds(_state, st.integers(0, 3), _resources(), _OUTPUTS)


def _places(comparison: StateComparison) -> list[tuple[Any, ...]]:
    every = (*comparison.resources, *comparison.data_sources)
    return [(each.difference, each.address, each.previous_address, each.deposed, each.is_data) for each in every]


def _mirrored(place: tuple[Any, ...]) -> tuple[Any, ...]:
    difference, address, previous, *rest = place
    turned = {Difference.ADDED: Difference.REMOVED, Difference.REMOVED: Difference.ADDED}.get(difference, difference)
    return (turned, previous or address, address if previous else "", *rest)


@tried(40)
@given(STATES)
def test_a_state_differs_in_nothing_from_itself(state: bytes) -> None:
    comparison = compare(state, state)
    assert comparison.is_empty
    assert comparison.same_count == comparison.before.resource_count == comparison.after.resource_count


@tried(40)
@given(STATES, STATES)
def test_the_other_way_round_the_same_is_told_in_the_mirror(one: bytes, other: bytes) -> None:
    there, back = compare(one, other), compare(other, one)
    assert sorted(map(_mirrored, _places(there))) == sorted(_places(back))
    assert (there.same_count, there.before, there.after) == (back.same_count, back.after, back.before)
    outputs = [(each.name, each.before, each.after) for each in there.outputs]
    assert outputs == [(each.name, each.after, each.before) for each in back.outputs]
    twins = {(each.previous_address or each.address, each.deposed, each.is_data): each for each in back.resources}
    for each in there.resources:
        twin = twins[each.address, each.deposed, each.is_data]
        assert _sides(each) == [(path, after, before, nature) for path, before, after, nature in _sides(twin)]
        assert (each.counts(), each.is_another_object) == (twin.counts(), twin.is_another_object)
        assert each.bookkeeping() == twin.bookkeeping()


def _sides(difference: InstanceDifference) -> list[tuple[Any, ...]]:
    return [(each.path, each.before, each.after, each.nature) for each in difference.attributes()]


@tried(40)
@given(STATES, STATES)
def test_counts_add_up_and_each_address_is_told_once_in_order(one: bytes, other: bytes) -> None:
    comparison = compare(one, other)
    number = {kind: len(comparison.of(kind)) for kind in Difference}
    on_both = comparison.same_count + number[Difference.CHANGED] + number[Difference.MOVED]
    assert comparison.before.resource_count == on_both + number[Difference.REMOVED]
    assert comparison.after.resource_count == on_both + number[Difference.ADDED]
    told = _places(comparison)
    assert len({(address, deposed) for _, address, _, deposed, _ in told}) == len(told)
    earlier, later = set(addresses(one)), set(addresses(other))
    for difference, address, previous, _, _ in told:
        assert (address in later) or difference is Difference.REMOVED
        assert ((previous or address) in earlier) or difference is Difference.ADDED


# Attributes


def _applied(before: Mapping[str, Json], changes: tuple[AttributeChange, ...]) -> Json:
    made = json.loads(json.dumps(before))
    for change in changes:
        place = made
        *way, last = change.path
        for step in way:
            place = place[step]
        place[last] = change.after
    return made


def _without_null(value: Json) -> Json:
    """What is absent and what is null is one and the same to Terraform."""
    if isinstance(value, dict):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


_PLAIN: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(st.integers(0, 2) | st.sampled_from(["x", ""]), max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_OBJECTS = st.dictionaries(_NAMES, _PLAIN, max_size=4)


@tried(40)
@given(_OBJECTS, _OBJECTS)
def test_what_differs_leads_from_one_to_the_other(before: Json, after: Json) -> None:
    assert _without_null(_applied(before, differences(before, after))) == _without_null(after)


@tried(40)
@given(_ATTRIBUTES)
def test_attributes_differ_in_nothing_from_themselves(attributes: Json) -> None:
    assert differences(attributes, json.loads(json.dumps(attributes))) == ()


@tried(40)
@given(_ATTRIBUTES, _ATTRIBUTES)
@example({"x": [{"a": 1}, {"b": 1}]}, {"x": [{"b": 1}, {"b": 1}]})
@example({"x": [{}, {}]}, {"x": [{"a": False}, {}]})
def test_attributes_are_told_in_the_mirror_the_other_way_round(one: Json, other: Json) -> None:
    there = {
        (each.name, shown(each.before), shown(each.after), each.nature, each.in_json)
        for each in differences(one, other)
    }
    back = {
        (each.name, shown(each.after), shown(each.before), each.nature, each.in_json)
        for each in differences(other, one)
    }
    assert there == back


@tried(40)
@given(_ATTRIBUTES, _ATTRIBUTES)
def test_what_is_not_the_same_is_told_and_each_place_once(one: Json, other: Json) -> None:
    found = differences(one, other)
    assert len({each.path for each in found}) == len(found)
    assert bool(found) == (json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)) or _differ_in_null(
        one, other
    )


def _differ_in_null(one: Json, other: Json) -> bool:
    return json.dumps(_without_null(one), sort_keys=True) == json.dumps(_without_null(other), sort_keys=True)


# Numbers

_AROUND = {
    "an attribute": "%s",
    "a list": '["a", %s]',
    "a map": '{"a": {"b": %s}}',
    "a list of blocks": '[{"a": 1}, {"a": 2, "b": %s}]',
    "a list of names": '[{"name": "a"}, {"name": "b", "c": %s}]',
    "JSON in a text": '"{\\"a\\": [%s]}"',
    "blocks in JSON in a text": '"{\\"a\\": [{\\"b\\": 1, \\"c\\": %s}]}"',
}


@tried(40)
@given(_DIGITS, _DIGITS, st.sampled_from(sorted(_AROUND)))
@example("0.1001100000000011001", "0.1001100000000011001", "an attribute")
@example("0.1001100000000011001", "0.1001100000000011001", "a list")
@example("0.1001100000000011", "0.100110000000001101", "JSON in a text")
def test_numbers_differ_where_a_digit_does_and_keep_all_of_them(one: str, other: str, where: str) -> None:
    sides = [documents.load(f'{{"x": {_AROUND[where] % each}}}'.encode()) for each in (one, other)]
    found = differences(*sides)
    if Decimal(one) == Decimal(other):
        assert all(each.nature is Nature.FORMAT for each in found)
        return
    (change,) = found
    assert change.nature is Nature.CHANGED
    for side, digits in ((change.before, one), (change.after, other)):
        assert Decimal(digits) in _numbers(shown(side))


@tried(40)
@given(st.lists(_DIGITS, min_size=2, max_size=4, unique_by=Decimal))
def test_the_last_digit_counts(digits: list[str]) -> None:
    """Those that a float would take for one."""
    one, other, *_ = (
        f"{each.partition('e')[0].partition('.')[0]}.0000000000000000000{n}" for n, each in enumerate(digits, 1)
    )
    for around in _AROUND.values():
        (change,) = differences(*(documents.load(f'{{"x": {around % each}}}'.encode()) for each in (one, other)))
        assert change.nature is Nature.CHANGED


def _numbers(text: str) -> list[Decimal]:
    found: list[Decimal] = []

    def keep(digits: str) -> None:
        found.append(Decimal(digits))

    json.loads(text, parse_float=keep, parse_int=keep)
    return found


@tried(40)
@given(_VALUES | _DIGITS)
def test_what_is_read_is_written_again_with_the_same_digits(value: Json) -> None:
    written = value if isinstance(value, str) and _is_number(value) else json.dumps(value)
    again = documents.text(documents.load(written.encode()))
    assert json.loads(again, parse_float=Decimal) == json.loads(written, parse_float=Decimal)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except ArithmeticError:
        return False
