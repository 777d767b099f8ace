"""JSON with lines: Terraform's JSON syntax needs to say where something stands, which the json module does not keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass(frozen=True)
class Place:
    """A value and the line it begins on: a str, number, bool or None, a list of places, or a dict of them by name."""

    value: Any
    line: int


def parse(text: str) -> Place:
    """Raises json.JSONDecodeError, and RecursionError for what is nested too deeply."""
    json.loads(text)  # from here on the text is known to be well formed
    return _value(_tokens(text))


def members(place: Place) -> list[tuple[str, Place]]:
    """Of an object, or of all the objects in a list; none of anything else."""
    if isinstance(place.value, list):
        return [member for each in place.value for member in members(each)]
    return list(place.value.items()) if isinstance(place.value, dict) else []


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line, at = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        if match[0] not in (":", ","):
            yield match[0], line


def _value(tokens: Iterator[tuple[str, int]], first: tuple[str, int] | None = None) -> Place:
    token, line = first or next(tokens)
    if token == "{":  # noqa: S105 - a brace is no password
        found: dict[str, Place] = {}
        while (key := next(tokens))[0] != "}":
            place = _value(tokens)
            # A key's line is where a person looks for it; its value may begin a line later.
            found[json.loads(key[0])] = Place(place.value, key[1])
        return Place(found, line)
    if token == "[":  # noqa: S105
        items = []
        while (item := next(tokens))[0] != "]":
            items.append(_value(tokens, item))
        return Place(items, line)
    return Place(json.loads(token), line)
