"""Terraform's plans and states as JSON, which grow to many megabytes: read in a third of the time that Python's own reader takes.

Its own module because of what the two readers do not agree about: msgspec refuses a few things that Python's own takes, such
as half a surrogate pair, and does not say in which line something is wrong. Numbers keep their digits: Terraform's have any number
of them, and two that differ behind the seventeenth are two.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec


class Exact(float):
    """A number with more digits than a float keeps, or beyond its range. Equal to what has the same value, digit by digit."""

    __slots__ = ("digits",)
    digits: str

    def __new__(cls, digits: str) -> Exact:
        made = super().__new__(cls, digits)
        made.digits = digits
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int | float) and _value(self) == _value(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_value(self))

    def __repr__(self) -> str:
        return self.digits

    __str__ = __repr__


def number(digits: str) -> float:
    """A float, where it keeps the digits."""
    found = float(digits)
    return found if _decimal(digits) == Decimal(repr(found)) else Exact(digits)


def _value(written: float) -> Decimal | str:
    if isinstance(written, Exact):
        return _decimal(written.digits)
    return Decimal(written) if isinstance(written, int) else Decimal(repr(written))


def _decimal(digits: str) -> Decimal | str:
    """The digits themselves where their exponent is beyond what can be computed with."""
    try:
        return Decimal(digits)
    except ArithmeticError:
        return digits


_DECODER = msgspec.json.Decoder(float_hook=number)


def load(data: bytes) -> Any:
    """The same values and the same errors as those of json.loads, whose word counts where msgspec refuses the bytes:
    UnicodeDecodeError, json.JSONDecodeError, ValueError and RecursionError."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return json.loads(data.decode(), parse_float=number)


def text(value: Any, *, ensure_ascii: bool = False, **how: Any) -> str:
    """As json.dumps, with the digits of each number."""
    marked = _marked(value)
    written = json.dumps(marked, ensure_ascii=ensure_ascii, **how)
    return written if marked is value else _MARK.sub(r"\1", written)


_MARK = re.compile(r'"\\u0000([-+.\deE]+)\\u0000"')


def _marked(value: Any) -> Any:
    """The value itself where there is nothing to mark in it."""
    if isinstance(value, Exact):
        return f"\0{value.digits}\0"
    if isinstance(value, dict):
        inside = {key: _marked(item) for key, item in value.items()}
        return inside if any(inside[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        items = [_marked(item) for item in value]
        return items if any(one is not other for one, other in zip(items, value, strict=True)) else value
    return value
