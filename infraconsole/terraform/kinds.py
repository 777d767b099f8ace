"""Terraform's types, as far as results hang on them: a list is not the tuple that `[…]` writes, nor a map an object, and what
stands in one list is of one type.

After zclconf/go-cty (cty/convert) and hashicorp/hcl (hclsyntax, conditionals).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Value = Any


class SetOf(list[Value]):
    """A set: sorted, without an order of its own that could be asked for."""


class ListOf(list[Value]):
    """A list, whose items are of one type. A plain list is a tuple."""


class MapOf(dict[str, Value]):
    """A map, whose values are of one type. A plain dict is an object."""


@dataclass(frozen=True)
class Unknown:
    """An expression that cannot be evaluated here: its text, why not, and what a text that it becomes begins with. `filled` is a
    template with all put in that is known, `/shared/rds/prod/${aws_db_instance.x.id}`; "" of any other expression."""

    text: str
    why: str
    prefix: str = ""
    filled: str = ""


Shape = Any
"""A type: a word, or a word with the shapes of what is inside."""
ANY = "any"
"""Of null, of what is not known, and of what would be in an empty collection."""


def kind_of(item: Value) -> str:
    return "number" if isinstance(item, int | float) and not isinstance(item, bool) else type(item).__name__


def shape_of(value: Value) -> Shape:
    if value is None or isinstance(value, Unknown):
        return ANY
    if isinstance(value, SetOf | ListOf | MapOf):
        items = list(value.values()) if isinstance(value, MapOf) else value
        return (kind_of(value), next((shape_of(item) for item in items if shape_of(item) != ANY), ANY))
    if isinstance(value, list):
        return ("tuple", tuple(map(shape_of, value)))
    if isinstance(value, dict):
        return ("object", tuple((key, shape_of(value[key])) for key in sorted(value)))
    return kind_of(value)


def fits(one: Shape, other: Shape) -> bool:
    """Whether neither would have to be converted to be the other's type."""
    if ANY in (one, other):
        return True
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return bool(one == other)
    return len(one) == len(other) and all(map(fits, one, other))


def alike(items: Iterable[Value]) -> bool:
    """Whether they are of one type as they are; null is of any."""
    shapes = [shape for item in items if (shape := shape_of(item)) != ANY]
    return all(shape == shapes[0] for shape in shapes)


def equal(left: Value, right: Value) -> bool:
    """Terraform converts nothing here: "1" is not 1, true is not 1, and a list is not a tuple. Raises TypeError where it hangs on
    the type of what is empty or null."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        found = len(left) == len(right) and all(map(equal, left, right))
    elif isinstance(left, dict):
        found = left.keys() == right.keys() and all(equal(item, right[key]) for key, item in left.items())
    else:
        return bool(left == right)
    if found and _has_open_type(left):
        raise TypeError("whether both are of the same type is not known here")
    return found


def _has_open_type(value: Value) -> bool:
    if isinstance(value, SetOf | ListOf | MapOf) and not value:
        return True
    return any(item is None or _has_open_type(item) for item in inside(value))


def inside(value: Value) -> Iterable[Value]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
