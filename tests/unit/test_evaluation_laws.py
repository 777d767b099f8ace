"""Expressions that nobody thought of, against `terraform console`: the same value, or none at all; a wrong one never."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraconsole.terraform.evaluate import Scope, is_known
from infraconsole.terraform.hcl import digest
from tests.unit.laws import tried
from tests.unit.terraform_console import Refused, asks_terraform, console

ERROR = "!error"
AT_ONCE = 60
"""Expressions that one console is asked for: it takes a third of a second to begin."""

Text = st.SearchStrategy[str]

_NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "3",
        "7",
        "10",
        "-1",
        "-0.0",
        "0.1",
        "0.5",
        "1.5",
        "2.50",
        "1e3",
        "1e-7",
        "1e20",
        "9007199254740993",
        "123456789012",
    ]
)
_LETTERS = st.sampled_from(
    ["", "a", "b", "ab", "a-b", "a,b", "1", "01", "1.0", "-0", "1e2", "true", "false", " a ", "é", "A_b", "x/y", "a\n"]
)
_KEYS = st.sampled_from(["a", "b", "c", "1", "a-b"])
_QUOTED = _KEYS.map(json.dumps)


def _of(*parts: Text | str) -> Text:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


def _call(name: str, *arguments: Text) -> Text:
    return st.tuples(*arguments).map(lambda found: f"{name}({', '.join(found)})")


def _list(items: Text) -> Text:
    return st.lists(items, max_size=3).map(lambda found: f"[{', '.join(found)}]")


def _object(items: Text) -> Text:
    return st.lists(st.tuples(_QUOTED, items), max_size=3, unique_by=lambda each: each[0]).map(
        lambda found: "{" + ", ".join(f"{key} = {value}" for key, value in found) + "}"
    )


@dataclass(frozen=True)
class Level:
    """Expressions of each type, all of one depth at most; `any` of them is put now and then where another type belongs. A null has
    no type here, which one that a conditional has made has."""

    number: Text
    text: Text
    bool: Text
    items: Text
    table: Text

    @property
    def any(self) -> Text:
        return st.one_of(self.text, self.number, self.items, self.bool, self.table)


def _deeper(inner: Level) -> Level:
    number, text, true, items, table, any_ = inner.number, inner.text, inner.bool, inner.items, inner.table, inner.any
    null = any_ | st.just("null")
    alike = st.one_of(*(_list(each) for each in (number, text, true, items, table)))
    tables = st.one_of(*(_object(each) for each in (number, text, true, items, table)))
    odd = _of("(", true, " ? ", any_, " : ", any_, ")") | _of(table, ".a") | _of(items, "[", number, "]") | any_
    plain = st.one_of(number, text, true)
    return Level(
        number=st.one_of(
            *(_of("(", number, sign, number, ")") for sign in (" + ", " - ", " * ", " / ", " % ")),
            _of("-", number),
            _call("length", items | table | text),
            _call("tonumber", plain),
            _of("(", true, " ? ", number, " : ", number, ")"),
            _call("element", _list(number), number),
            odd,
        ),
        text=st.one_of(
            _of('"<${', plain, "}>${", plain, '}"'),
            _of('"${', any_, '}"'),
            *(_call(name, text) for name in ("title", "upper", "lower", "trimspace")),
            *(_call(name, text, text) for name in ("trim", "trimprefix", "trimsuffix")),
            _call("tostring", plain),
            _call("replace", text, text, text),
            _call("join", text, items),
            _call("join", text, _list(text), items),
            _call("coalesce", null, null),
            _call("lookup", table, _QUOTED, text),
            _call(
                "format",
                st.sampled_from(["%s", "%d", "%v", "%03d", "%5d", "%s%%", "x", "%s-%s"]).map(json.dumps),
                plain,
            ),
            _call("format", st.just('"%s-%d"'), plain, number),
            _call("one", items),
            _of("(", true, " ? ", plain, " : ", plain, ")"),
            odd,
        ),
        bool=st.one_of(
            *(_of("(", number, sign, number, ")") for sign in (" < ", " > ", " <= ", " >= ")),
            *(_of("(", one, sign, one, ")") for one in (null, plain, items, table) for sign in (" == ", " != ")),
            *(_of("(", true, sign, true, ")") for sign in (" && ", " || ")),
            _of("!", true),
            *(_call(name, text, text) for name in ("startswith", "endswith")),
            _call("contains", items, plain),
            _call("contains", alike, null),
            odd,
        ),
        items=st.one_of(
            alike,
            _list(null),
            *(_call(name, alike | items) for name in ("toset", "tolist", "distinct", "flatten", "compact", "concat")),
            *(_call(name, table) for name in ("keys", "values")),
            _call("split", text, text),
            _call("concat", items, items),
            _call("coalesce", items, items),
            _of(items, "[*]"),
            _of("[for x in ", items, " : x]"),
            _of("[for x in ", items, ' : "${x}" if x != ', plain, "]"),
            _of("[for k, v in ", table, " : v]"),
            _of("[for k, v in ", items, " : k]"),
            _of("(", true, " ? ", items, " : ", items, ")"),
            odd,
        ),
        table=st.one_of(
            tables,
            _object(null),
            _call("tomap", tables | table),
            _call("merge", table, table),
            _of("{for x in ", items, " : x => ", plain, "}"),
            _of("{for k, v in ", table, " : k => v}"),
            _of("{for k, v in ", table, " : v => k}"),
            _of("(", true, " ? ", table, " : ", table, ")"),
            odd,
        ),
    )


_LEAST = Level(_NUMBERS, _LETTERS.map(json.dumps), st.sampled_from(["true", "false"]), st.just("[]"), st.just("{}"))
_SECOND = _deeper(_LEAST)
_THIRD = _deeper(_SECOND)
EXPRESSIONS = _SECOND.any | _THIRD.any


def ours(expression: str) -> Any:
    (block,) = digest(f"locals {{\n  it = {expression}\n}}\n").blocks
    node = block.attributes[0].node
    assert node
    return Scope({}, {}).evaluate(node)


def theirs(ask: Callable[[Sequence[str]], list[str]], expressions: Sequence[str]) -> list[str]:
    """As JSON, or ERROR; halved where an error is in one that `try` cannot catch."""
    try:
        return ask([f'try(jsonencode({one}), "{ERROR}")' for one in expressions])
    except (Refused, ValueError):  # also where it says that it does not know the value
        half = len(expressions) // 2
        if not half:
            return [ERROR]
        return theirs(ask, expressions[:half]) + theirs(ask, expressions[half:])


def wrong(ask: Callable[[Sequence[str]], list[str]], expressions: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What is resolved here to something else than Terraform's own value, both as JSON. Where Terraform stops with an error
    nothing comes of the value: it looks at both sides of `&&` and at what is not taken, too."""
    resolved = {each: value for each in dict.fromkeys(expressions) if is_known(value := ours(each))}
    said = theirs(ask, list(resolved)) if resolved else []
    found = {}
    for (expression, mine), answer in zip(resolved.items(), said, strict=True):
        if answer == ERROR:
            continue
        expected = json.dumps(json.loads(answer), sort_keys=True)
        if (written := json.dumps(mine, sort_keys=True)) != expected:
            found[expression] = (written, expected)
    return found


@asks_terraform
@tried(10)
@given(st.lists(EXPRESSIONS, min_size=AT_ONCE, max_size=AT_ONCE))
def test_what_is_resolved_is_terraform_s_own_value(
    tmp_path_factory: pytest.TempPathFactory, expressions: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("module", numbered=True)
    assert wrong(lambda asked: console(folder, *asked), expressions) == {}
