"""Expressions of Terraform's as nodes, lists that JSON can carry: written as text again, looked through for names, changed.

["lit", value]                       a string without templates, a number, true, false or null
["tpl", [text or node, …]]           a template
["ref", [root, step, …]]             a name; a step is an attribute's name, ["idx", node] or ["*"]
["get", node, [step, …]]             the same on something that is no name
["call", function, [node, …], expand]
["if", condition, then, else] · ["op", operator, left, right] · ["not", node] · ["neg", node]
["list", [node, …]] · ["map", [[key node, value node], …]]
["for", "list" or "map", key name, value name, collection, key node, value node, condition node]
["raw", text]                        what is not evaluated: template directives
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Node = list[Any]


def number_of(digits: str) -> Node:
    """Of a number as it is written: what no float keeps stays as it is, and is not evaluated."""
    if digits.isdigit():
        return ["lit", int(digits)] if len(digits) < 20 else ["raw", digits]
    number = float(digits)
    return ["lit", number] if Decimal(repr(number)) == Decimal(digits) else ["raw", digits]


def text_of(node: Node) -> str:
    """A node as HCL, on one line: how an expression that cannot be evaluated is shown."""
    kind = node[0]
    if kind == "lit":
        return json.dumps(node[1], ensure_ascii=False)
    if kind == "tpl":
        return '"' + "".join(_part_text(part) for part in node[1]) + '"'
    if kind == "ref":
        return str(node[1][0]) + _steps_text(node[1][1:])
    if kind == "get":
        return text_of(node[1]) + _steps_text(node[2])
    if kind == "call":
        return f"{node[1]}({', '.join(map(text_of, node[2]))}{'...' if node[3] else ''})"
    if kind == "if":
        return f"{text_of(node[1])} ? {text_of(node[2])} : {text_of(node[3])}"
    if kind == "op":
        return f"{text_of(node[2])} {node[1]} {text_of(node[3])}"
    if kind in ("not", "neg"):
        return ("!" if kind == "not" else "-") + text_of(node[1])
    if kind == "list":
        return f"[{', '.join(map(text_of, node[1]))}]"
    if kind == "map":
        return "{" + ", ".join(f"{text_of(key)} = {text_of(value)}" for key, value in node[1]) + "}"
    if kind == "for":
        return _for_text(node)
    return str(node[1])


def _for_text(node: Node) -> str:
    _, kind, key_name, value_name, collection, key, value, condition = node
    names = f"{key_name}, {value_name}" if key_name else value_name
    result = f"{text_of(key)} => {text_of(value)}" if kind == "map" else text_of(value)
    only = f" if {text_of(condition)}" if condition else ""
    opening, closing = ("{", "}") if kind == "map" else ("[", "]")
    return f"{opening}for {names} in {text_of(collection)} : {result}{only}{closing}"


def _part_text(part: str | Node) -> str:
    if isinstance(part, str):
        return json.dumps(part, ensure_ascii=False)[1:-1]
    return str(part[1]) if part[0] == "raw" else "${" + text_of(part) + "}"


def _steps_text(steps: Sequence[Any]) -> str:
    return "".join(
        f".{step}" if isinstance(step, str) else "[*]" if step[0] == "*" else f"[{text_of(step[1])}]" for step in steps
    )


def names_in(node: Node) -> Iterator[tuple[str, ...]]:
    """The parts, as in Reference, of all names in a node."""
    if node[0] == "ref":
        yield name_of(node)
    inner: list[Node] = []

    def collect(each: Node) -> Node:
        inner.append(each)
        return each

    _changed(node, collect)
    for each in inner:
        yield from names_in(each)


def name_of(node: Node) -> tuple[str, ...]:
    """The parts, as in Reference, of a node that is a name."""
    return parts_of(node[1])


def substituted(node: Node, names: Mapping[str, Node]) -> Node:
    """`node` with other nodes in the place of some of the bare names in it."""
    made = _changed(node, lambda inner: substituted(inner, names))
    if made[0] != "ref" or made[1][0] not in names:
        return made
    root, *steps = made[1]
    there = names[root]
    if not steps:
        return there
    return ["ref", [*there[1], *steps]] if there[0] == "ref" and ["*"] not in there[1] else ["get", there, steps]


def _changed(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with `change` made to each node that it is directly made of."""
    kind, *rest = node
    if kind == "tpl":
        return [kind, [part if isinstance(part, str) else change(part) for part in rest[0]]]
    if kind == "ref":
        return [kind, _changed_steps(rest[0], change)]
    if kind == "get":
        return [kind, change(rest[0]), _changed_steps(rest[1], change)]
    if kind == "call":
        return [kind, rest[0], [change(each) for each in rest[1]], rest[2]]
    if kind in ("if", "not", "neg"):
        return [kind, *(change(each) for each in rest)]
    if kind == "op":
        return [kind, rest[0], *(change(each) for each in rest[1:])]
    if kind == "list":
        return [kind, [change(each) for each in rest[0]]]
    if kind == "map":
        return [kind, [[change(key), change(value)] for key, value in rest[0]]]
    if kind == "for":
        return [kind, *rest[:3], *(change(each) if each else None for each in rest[3:])]
    return node


def _changed_steps(steps: Sequence[Any], change: Callable[[Node], Node]) -> list[Any]:
    return [[step[0], change(step[1])] if isinstance(step, list) and step[0] == "idx" else step for step in steps]


def parts_of(steps: Sequence[Any]) -> tuple[str, ...]:
    """The parts, as in Reference, of a name's root and steps."""
    parts = []
    for step in steps:
        if isinstance(step, str):
            parts.append(step)
        elif step[0] == "idx" and step[1][0] == "lit":
            parts.append(str(step[1][1]).replace("\n", " "))
        else:
            parts.append("*")
    return tuple(parts)
