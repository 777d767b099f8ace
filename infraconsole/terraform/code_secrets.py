"""Secrets that somebody wrote into the code itself: what is called sensitive there or by a provider, and what stands under the name
of a secret. Ordinary words are spared: masked, they would take half the output with them."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from typing import Any

from infraconsole.secret_places import is_secret, names_a_secret
from infraconsole.terraform import sensitive
from infraconsole.terraform.evaluate import Scope
from infraconsole.terraform.hcl import Attribute, Block
from infraconsole.terraform.nodes import Node

_WORD = re.compile(r"[A-Za-z]{1,16}|[\d.]{1,4}")
_PASSWORD = re.compile(r"passw|passphrase|pwd|secret", re.IGNORECASE)
_NAMED = ("locals", "resource", "data", "provider", "output")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|<<-?[ \t]*(\w+)\n(.*?)\n[ \t]*\2', re.DOTALL)
_ESCAPE = re.compile(r'\\([nrt"\\])|\$(\$\{)|%(%\{)')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def of_block(block: Block) -> Iterator[str]:
    label = block.labels[0] if block.labels else ""
    flag = block.attribute("sensitive") if block.kind == "output" else None
    is_marked = flag is not None and _evaluated(flag) not in (False, "false", "0", None)
    for attribute in block.attributes:
        if '"sensitive"' in attribute.code:
            yield from _of_calls(attribute.node)
        elif not attribute.code and "sensitive(" in attribute.text:
            yield from _spared(_written(attribute.text))
        if is_marked and attribute.path == "value":
            yield from _texts(attribute)
        if block.kind in ("resource", "data"):
            yield from _of_provider(label, attribute)
        if block.kind in _NAMED:
            name = label if block.kind == "output" else attribute.path.rpartition(".")[2]
            if names_a_secret(name) or names_a_secret(attribute.code):  # most are not worth evaluating
                yield from _named(name, _whole(attribute))


def _of_provider(kind: str, attribute: Attribute) -> Iterator[str]:
    here = attribute.path.split(".")
    for declared in sensitive.declared(kind):
        steps = declared.split(".")
        if here[: len(steps)] == steps:
            found = list(_texts(attribute))
        elif steps[: len(here)] == here:
            found = list(_below(_whole(attribute), steps[len(here) :]))
        else:
            continue
        yield from found if _PASSWORD.search(steps[-1]) else _spared(found)


def _below(value: Any, steps: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _below(item, steps)
    elif not steps:
        yield from _leaves(value)
    elif isinstance(value, dict) and steps[0] in value:
        yield from _below(value[steps[0]], steps[1:])


def _named(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and is_secret(name, value):
        yield from (value,) if _PASSWORD.search(name) else _spared([value])
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _named(str(key), item)
    elif isinstance(value, list):
        for item in value:
            yield from _named(name, item)


def _of_calls(node: Any) -> Iterator[str]:
    """The texts within each call of `sensitive`, wherever in the expression it stands."""
    if not isinstance(node, list):
        return
    if node[:2] == ["call", "sensitive"]:
        yield from _spared([*_leaves(Scope({}, {}).evaluate(node[2][0])), *_literals(node[2])] if node[2] else [])
        return
    for each in node[1:] if node[:1] in (["lit"], ["raw"]) else node:
        yield from _of_calls(each)


def _literals(node: Any) -> Iterator[str]:
    """All texts in an expression but those that are only compared or looked up."""
    if not isinstance(node, list) or node[:1] in (["op"], ["idx"]):
        return
    if node[:1] == ["lit"]:
        yield from _leaves(node[1])
        return
    if node[:2] == ["call", "base64decode"] and node[2] and node[2][0][0] == "lit":
        with contextlib.suppress(ValueError):
            yield base64.b64decode(str(node[2][0][1]), validate=True).decode()
    inner = [value for _, value in node[1]] if node[:1] == ["map"] else node
    for each in inner:
        yield from _literals(each)


def _texts(attribute: Attribute) -> Iterator[str]:
    node = attribute.node
    if node is None:
        yield from _written(attribute.text)
        return
    value = _evaluated(attribute)
    yield from (value,) if isinstance(value, str) else _spared([*_leaves(value), *_literals(node)])


def _whole(attribute: Attribute) -> Any:
    """Within nested blocks only the text is kept."""
    if attribute.node is not None:
        return _evaluated(attribute)
    found = list(_written(attribute.text))
    return found[0] if len(found) == 1 and attribute.text.startswith(('"', "<<")) else None


def _evaluated(attribute: Attribute) -> Any:
    node: Node | None = attribute.node
    return Scope({}, {}).evaluate(node) if node else None


def _written(text: str) -> Iterator[str]:
    for match in _LITERAL.finditer(text):
        if match[2]:
            yield match[3]
        else:
            yield _ESCAPE.sub(lambda each: each[2] or each[3] or _ESCAPED.get(each[1], each[1]), match[1])


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)


def _spared(texts: list[str] | Iterator[str]) -> Iterator[str]:
    return (text for text in texts if not _WORD.fullmatch(text.strip()))
