"""What Terraform makes of a value that has to be of another type: a side of a conditional, and a variable's value by its declared
type. Where the result is not certain here it is refused.

After zclconf/go-cty's cty/convert; tests compare with `terraform console`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from infraconsole.terraform.functions import as_number, as_text, to_set
from infraconsole.terraform.kinds import ListOf, MapOf, SetOf, Unknown, alike, inside, kind_of
from infraconsole.terraform.nodes import Node

Value = Any


def united(taken: Value, other: Value) -> Value:
    """The side of a conditional that is taken, once both sides are made the same type. Raises TypeError where that would convert
    what is in a collection, or cannot be."""
    is_plain = not isinstance(taken, list | dict)
    if (
        isinstance(taken, Unknown)
        or taken is None
        or (is_plain and isinstance(other, Unknown))
        or alike([taken, other])
    ):
        return taken
    if is_plain and not isinstance(other, list | dict):
        return _one_type([taken, other])[0]
    if type(taken) is type(other) is list and len(taken) == len(other):
        return [united(mine, theirs) for mine, theirs in zip(taken, other, strict=True)]
    if type(taken) is type(other) is dict and taken.keys() == other.keys():
        return {key: united(mine, other[key]) for key, mine in taken.items()}
    return _united_collections(taken, other)


def _united_collections(taken: Value, other: Value) -> Value:
    items = _one_type([*inside(taken), *inside(other)]) if taken else []
    if isinstance(taken, SetOf) and isinstance(other, SetOf):
        return to_set(items[: len(taken)])
    if isinstance(taken, SetOf) or isinstance(other, SetOf):
        raise _different()
    if isinstance(taken, list) and isinstance(other, list):
        return ListOf(items[: len(taken)])
    if isinstance(taken, dict) and isinstance(other, dict):
        return MapOf(zip(taken, items, strict=False))
    raise _different()


def _one_type(items: Sequence[Value]) -> list[Value]:
    """Raises TypeError where more would have to be converted than numbers and bools to texts."""
    if alike(items):
        return list(items)
    kinds = {kind_of(item) for item in items if item is not None}
    if "str" in kinds and kinds <= {"str", "number", "bool"}:
        return [None if item is None else as_text(item) for item in items]
    raise _different()


def _different() -> TypeError:
    return TypeError("values of different types are not made one here")


# --- Declared types ----------------------------------------------------------------------------------------------------

Evaluate = Callable[[Node], Value]
"""What the default of an optional attribute comes to."""
_BOOLS = {"true": True, "1": True, "false": False, "0": False}


def converted(value: Value, type_: Node, evaluate: Evaluate) -> Value:
    """`value` as a variable of the declared `type_`, a node: `["call", "list", [["ref", ["string"]]], False]`. Raises TypeError,
    ValueError and LookupError for what is not of that type, and for types that are not known here."""
    if value is None or isinstance(value, Unknown):
        return value
    name, arguments = _constructor(type_)
    if name == "any":
        return value
    if name in _PLAIN:
        return _PLAIN[name](value)
    of = arguments[0] if arguments else _ANY_TYPE
    if name in ("list", "set") and isinstance(value, list):
        items = _items(list(value), of, evaluate)
        return ListOf(items) if name == "list" else _set_of(items)
    if name == "map" and isinstance(value, dict):
        return MapOf(zip(value, _items(list(value.values()), of, evaluate), strict=True))
    if name == "object" and isinstance(value, dict) and of[0] == "map":
        attributes = ((str(key[1]), inner) for key, inner in of[1])
        return {key: _attribute(value.get(key), key in value, inner, evaluate) for key, inner in attributes}
    if name == "tuple" and isinstance(value, list) and of[0] == "list" and len(of[1]) == len(value):
        return [converted(item, inner, evaluate) for item, inner in zip(value, of[1], strict=True)]
    raise TypeError(f"it is no {name}")


def _bool_of(value: Value) -> bool:
    return value if isinstance(value, bool) else _BOOLS[value]


_ANY_TYPE: Node = ["ref", ["any"]]
_PLAIN: dict[str, Callable[[Value], Value]] = {"string": as_text, "number": as_number, "bool": _bool_of}


def _constructor(type_: Node) -> tuple[str, list[Node]]:
    if type_[0] == "ref" and len(type_[1]) == 1:
        return str(type_[1][0]), []
    if type_[0] == "call":
        return str(type_[1]), list(type_[2])
    raise TypeError("its declared type is not known here")


def _items(values: Sequence[Value], of: Node, evaluate: Evaluate) -> list[Value]:
    made = [converted(value, of, evaluate) for value in values]
    return _one_type(made) if _has_any(of) else made


def _has_any(type_: Node) -> bool:
    """Whether the type hangs on the value."""
    if type_[0] == "list":
        return any(map(_has_any, type_[1]))
    if type_[0] == "map":
        return any(_has_any(inner) for _, inner in type_[1])
    name, arguments = _constructor(type_)
    if name == "optional":
        return _has_any(arguments[0])
    return name == "any" or (name not in _PLAIN and (not arguments or any(map(_has_any, arguments))))


def _set_of(items: list[Value]) -> SetOf:
    """Of one item nobody asks for the order."""
    return SetOf(items) if len(items) < 2 else to_set(items)


def _attribute(value: Value, is_given: bool, type_: Node, evaluate: Evaluate) -> Value:
    name, arguments = _constructor(type_)
    if name != "optional":
        if not is_given:
            raise LookupError("an attribute is missing")
        return converted(value, type_, evaluate)
    if value is None and len(arguments) > 1:
        value = evaluate(arguments[1])
    return converted(value, arguments[0], evaluate)
