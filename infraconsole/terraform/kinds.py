"""Terraform's types, as far as results hang on them: a list is not the tuple that `[…]` writes, nor a map an object, and what
stands in one list is of one type.

After zclconf/go-cty (cty/convert) and hashicorp/hcl (hclsyntax, conditionals).
"""

from __future__ import annotations

import functools
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
"""Of null, and of what would be in an empty collection."""
OPEN = "open"
"""Of what is not known: it may be a text, which no text beside it minds."""


def kind_of(item: Value) -> str:
    return "number" if isinstance(item, int | float) and not isinstance(item, bool) else type(item).__name__


def shape_of(value: Value) -> Shape:
    if value is None:
        return ANY
    if isinstance(value, Unknown):
        return OPEN
    if isinstance(value, SetOf | ListOf | MapOf):
        shapes = [shape_of(item) for item in inside(value)]
        return (kind_of(value), next((shape for shape in shapes if shape not in (ANY, OPEN)), (shapes or [ANY])[0]))
    if isinstance(value, list):
        return ("tuple", tuple(map(shape_of, value)))
    if isinstance(value, dict):
        return ("object", tuple((key, shape_of(value[key])) for key in sorted(value)))
    return kind_of(value)


def joined(one: Shape, other: Shape) -> Shape:
    """The type that both are, as far as either tells. Raises TypeError where one would have to be converted to be the other's, or
    may have to be."""
    if ANY in (one, other):
        return one if other == ANY else other
    if OPEN in (one, other):
        if _has_texts_alone(one) and _has_texts_alone(other):
            return OPEN
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return tuple(map(joined, one, other))
    elif one == other:
        return one
    raise TypeError("values of different types are not made one here")


def _has_texts_alone(shape: Shape) -> bool:
    """Whether nothing in it is changed by being made a text."""
    if not isinstance(shape, tuple):
        return shape in ("str", ANY, OPEN)
    kind, inner = shape
    if kind == "object":
        return all(_has_texts_alone(each) for _, each in inner)
    return all(map(_has_texts_alone, inner)) if kind == "tuple" else _has_texts_alone(inner)


def alike(items: Iterable[Value]) -> bool:
    """Whether they are of one type as they are; null is of any."""
    try:
        functools.reduce(joined, map(shape_of, items), ANY)
    except TypeError:
        return False
    return True


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
