"""What Terraform's operators and plain functions make of values. Each gives Terraform's own result or raises: what might come out
differently there (letters beyond ASCII, numbers that are no decimal fractions, mixed types) is refused, and so not resolved.

After hashicorp/terraform's internal/lang/funcs and zclconf/go-cty's cty/function/stdlib; tests compare with `terraform console`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from typing import Any

from infraconsole.terraform.kinds import ListOf, MapOf, SetOf, alike, equal

Value = Any

_EXACT = Context(prec=200, traps=[Inexact])
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")


def as_text(value: Value) -> str:
    """As Terraform writes a value into a template. Raises TypeError for what it does not write."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(_decimal(value).normalize(), "f")
    if isinstance(value, str | int):
        return str(value)
    raise TypeError("neither a text, a number nor a bool")


def as_number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("not a number")
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError("not a number")
        return _plain(Decimal(value))
    return value


def as_index(items: list[Value], index: Value) -> int:
    """Raises LookupError: nothing is counted from the end, and a set has no order."""
    place = as_number(index)
    if isinstance(items, SetOf) or place < 0 or int(place) != place:
        raise LookupError(f"there is no item {place}")
    return int(place)


def _decimal(value: int | float) -> Decimal:
    """What was written down: the shortest digits that mean this number. Raises ValueError for what is none."""
    found = Decimal(repr(value) if isinstance(value, float) else value)
    if not found.is_finite():
        raise ValueError("not a number")
    return found


def plain_number(value: float) -> int | float:
    """A whole number is no float, however it was written: 1.0, 1e21."""
    return _plain(_decimal(value))


def _plain(value: Decimal) -> int | float:
    """Raises ValueError where a float does not keep the digits, and for minus nought, which Terraform writes as `-0`."""
    if value.is_zero() and value.is_signed():
        raise ValueError("minus nought is not kept here")
    if value == value.to_integral_value():
        return int(value)
    found = float(value)
    if Decimal(repr(found)) != value:
        raise ValueError("it has more digits than are kept here")
    return found


def _arithmetic(work: Callable[[Decimal, Decimal], Decimal]) -> Callable[[int | float, int | float], Value]:
    return lambda left, right: _plain(work(_decimal(left), _decimal(right)))


def negative(value: Value) -> int | float:
    return _plain(_decimal(as_number(value)).copy_negate())


def _remainder(left: Decimal, right: Decimal) -> Decimal:
    return _EXACT.remainder(left, right)  # the sign is the left side's, unlike Python's own


OPERATIONS: Mapping[str, Callable[[int | float, int | float], Value]] = {
    "+": _arithmetic(_EXACT.add),
    "-": _arithmetic(_EXACT.subtract),
    "*": _arithmetic(_EXACT.multiply),
    "/": _arithmetic(_EXACT.divide),
    "%": _arithmetic(_remainder),
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


def _ascii(text: Value) -> str:
    """Beyond ASCII, Go and Python do not agree about letters."""
    if not isinstance(text, str):
        raise TypeError("not a text")
    if not text.isascii():
        raise ValueError("letters beyond ASCII are not resolved")
    return text


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _format(spec: str, *arguments: Value) -> str:
    left = list(arguments)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match[2] == "d":
            number = as_number(left.pop(0))
            if int(number) != number:
                raise ValueError("not a whole number")
            return f"%{match[1]}d" % int(number)
        if match[1] or match[2] not in "sv":
            raise ValueError(f"{match[0]} is not evaluated")
        return _as_it_is(left.pop(0)) if match[2] == "v" else as_text(left.pop(0))

    made = re.sub(r"%%|%(0?\d{0,3})([a-zA-Z])", one, spec)
    if left or re.search(r"%(?!%|0?\d{0,3}[a-zA-Z])", spec.replace("%%", "")):
        raise ValueError("the arguments do not fit the format")
    return made


def _as_it_is(value: Value) -> str:
    """As `%v` writes it: large and small numbers, an account's among them, with an exponent (1.23456789012e+11)."""
    if isinstance(value, int | float) and value and not -4 <= _decimal(value).adjusted() < 6:
        raise ValueError("a number with an exponent is not written here")
    return as_text(value)


def _join(separator: str, *lists: list[Value]) -> str:
    return _text(separator).join(as_text(item) for each in lists for item in _is(list, each))


def _replace(text: str, old: str, new: str) -> str:
    if not old or (len(old) > 1 and old.startswith("/") and old.endswith("/")):
        raise ValueError("regular expressions are not evaluated")
    return _text(text).replace(old, new)


def _split(separator: str, text: str) -> ListOf:
    return ListOf(_text(text).split(separator) if _text(separator) else _ascii(text))


_WORD = re.compile(r"(?<![A-Za-z0-9_])[a-z]")


def _title(text: str) -> str:
    """As Go's strings.Title: a word begins behind everything that is no letter, digit or underscore."""
    return _WORD.sub(lambda match: match[0].upper(), _ascii(text))


def to_set(items: list[Value]) -> SetOf:
    found: list[Value] = []
    kinds = {type(item) for item in _is(list, items)}
    if kinds <= {str}:
        found = sorted(set(items))
    elif kinds <= {int, float}:
        found = sorted({float(item): item for item in items}.values())
    elif kinds <= {str, int, float}:
        found = sorted({as_text(item) for item in items})
    else:
        raise TypeError("not a set of texts")
    return SetOf(found)


def _alike(items: list[Value]) -> list[Value]:
    """Raises TypeError for types that Terraform would convert, or might."""
    if not alike(items):
        raise TypeError("items of several types are not resolved")
    return items


def _coalesce(*items: Value) -> Value:
    _alike(list(items))
    found = [item for item in items if item not in (None, "")]
    if not found:
        raise ValueError("none of them has a value")
    return found[0]


def _flatten(items: list[Value]) -> list[Value]:
    if any(not isinstance(item, str | int | float | list | dict | None) for item in _is(list, items)):
        raise TypeError("how many items it has is not known")
    return [inner for item in items for inner in (_flatten(item) if isinstance(item, list) else [item])]


def _contains(items: list[Value], wanted: Value) -> bool:
    if _is(list, items):
        _alike([*items, wanted])
    return any(equal(item, wanted) for item in items)


def _distinct(items: list[Value]) -> ListOf:
    _alike(_is(list, items))
    kept = [item for number, item in enumerate(items) if not any(equal(item, before) for before in items[:number])]
    return ListOf(kept)


STRICT: Mapping[str, Callable[..., Value]] = {
    "coalesce": _coalesce,
    "compact": lambda items: ListOf(_text(item) for item in _is(list, items) if item not in (None, "")),
    "contains": _contains,
    "distinct": _distinct,
    "endswith": lambda text, end: _text(text).endswith(end),
    "format": _format,
    "join": _join,
    "lower": lambda text: _ascii(text).lower(),
    "replace": _replace,
    "split": _split,
    "startswith": lambda text, start: _text(text).startswith(start),
    "title": _title,
    "tonumber": as_number,
    "toset": to_set,
    "tostring": as_text,
    "trim": lambda text, letters: _text(text).strip(_text(letters)) if _text(letters) else _text(text),
    "trimprefix": lambda text, prefix: _text(text).removeprefix(prefix),
    "trimspace": lambda text: _ascii(text).strip(" \t\n\v\f\r"),
    "trimsuffix": lambda text, suffix: _text(text).removesuffix(suffix),
    "upper": lambda text: _ascii(text).upper(),
}
"""Whose arguments have to be known through and through."""


def _concat(*lists: list[Value]) -> list[Value]:
    """A list of lists, whose items Terraform makes one type where it can; a tuple where one of them is a tuple."""
    if any(isinstance(each, SetOf) for each in lists):
        raise TypeError("not a list")
    found = [item for each in lists for item in _is(list, each)]
    return ListOf(_alike(found)) if all(isinstance(each, ListOf) for each in lists) else found


def _merge(*maps: dict[str, Value]) -> dict[str, Value]:
    found = {key: value for each in maps if each is not None for key, value in _is(dict, each).items()}
    return MapOf(found) if _are_one_type(MapOf, maps) else found


def _are_one_type(kind: type, values: Sequence[Value]) -> bool:
    return all(isinstance(each, kind) for each in values) and alike(values)


def _lookup(items: dict[str, Value], key: str, *default: Value) -> Value:
    if default and isinstance(items, MapOf) and items and not alike([*items.values(), default[0]]):
        raise TypeError("a default of another type is not resolved")
    return _is(dict, items).get(key, default[0]) if default else items[key]


def _element(items: list[Value], index: Value) -> Value:
    return _is(list, items)[as_index(items, index) % len(items)]


def _keys(items: dict[str, Value]) -> list[Value]:
    return _of_map(items, sorted(_is(dict, items)))


def _values(items: dict[str, Value]) -> list[Value]:
    return _of_map(items, [items[key] for key in sorted(_is(dict, items))])


def _of_map(items: dict[str, Value], found: list[Value]) -> list[Value]:
    """A map's are a list, an object's a tuple."""
    return ListOf(found) if isinstance(items, MapOf) else found


def _to_map(items: dict[str, Value]) -> MapOf:
    _alike(list(_is(dict, items).values()))
    return MapOf(items)


def _length(items: Value) -> int:
    if isinstance(items, str) and (not items.isascii() or "\r" in items):
        raise ValueError("letters beyond ASCII are not resolved")
    return len(items)


def _one(items: list[Value]) -> Value:
    if len(_is(list, items)) > 1:
        raise ValueError("it has more than one item")
    return items[0] if items else None


def _is(kind: type, value: Value) -> Value:
    if not isinstance(value, kind):
        raise TypeError(f"not a {kind.__name__}")
    return value


LENIENT: Mapping[str, Callable[..., Value]] = {
    "concat": _concat,
    "element": _element,
    "flatten": _flatten,
    "keys": _keys,
    "length": _length,
    "lookup": _lookup,
    "merge": _merge,
    "one": _one,
    "tolist": lambda items: ListOf(_alike(_is(list, items))),
    "tomap": _to_map,
    "values": _values,
}
"""Which may hold what is not known: a map's keys are known though its values are not."""
