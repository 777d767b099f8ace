"""Every function and operator that is evaluated, against `terraform console`: the same result, or none at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infraconsole.terraform.evaluate import Scope, Unknown, is_known
from infraconsole.terraform.functions import as_text
from infraconsole.terraform.hcl import digest
from tests.unit.terraform_console import Refused, asks_terraform, console

ERROR = "!error"

EXPRESSIONS = (
    *('title("a-b")', 'title("it\'s a.b_c 2d/x")', 'title("élan vital")', 'upper("straße")', 'lower("İSTANBUL")'),
    *(
        '"${0.1 + 0.2}"',
        '"${1 / 3}"',
        '"${10 / 4}"',
        '"${1e21}"',
        '"${1e-7}"',
        '"${1.50}"',
        '"${-0.0}"',
        '"${2 * 0.5}"',
    ),
    *("12345678901234567 * 3", "-7 % 3", "7 % -3", "7.5 % 2", "90071992547409931 % 10", "7 / 2", "-(3)", "1 - 0.9"),
    *('"1" == 1', "true == 1", "[true] == [1]", "[1] == [1.0]", "{ a = 1 } == { a = 1 }", "null == null", '"a" == "a"'),
    *("[1, 2][-1]", '["a", "b"][1]', "[1, 2][0.5]", '["a"].0', '{ a = "x" }["a"]'),
    *('toset(["b", "a", "b"])', "toset([10, 9, 1])", 'toset([10, 9, "1"])', '[for k, v in toset(["b"]) : k]'),
    *(
        'toset(["a"]) == ["a"]',
        '[for k, v in ["b"] : k]',
        "[for k, v in { b = 1, a = 2 } : k]",
        '{ for x in ["a", "a"] : x => 1 }',
    ),
    *('length("naïve")', 'length("abc")', "length([1, 2])", "length({ a = 1 })", 'length(toset(["a", "a"]))'),
    *('split("", "ab")', 'split(",", "")', 'split(",", "a,b")', 'join("-", ["a", "b"])', 'join("-", [1, true])'),
    *('replace("a.b", ".", "-")', 'replace("abc", "", "-")', 'replace("abc", "/b/", "-")', 'replace("a/b", "/", "-")'),
    *(
        'format("%s-%03d", "a", 7)',
        'format("%d", 1.5)',
        'format("%d", "12")',
        'format("%5d|%-5s", 1, "a")',
        'format("100%%")',
    ),
    *(
        'format("%v", true)',
        'format("%s", [1])',
        'format("%s")',
        'format("%.2f", 1.234)',
        'format("%s", 1.5)',
        'format("%05d", -3)',
    ),
    *('coalesce("", "b")', 'coalesce(1, "b")', 'coalesce("", "")', "coalesce(null, 2)", 'compact(["a", "", null])'),
    *(
        'contains(["1"], 1)',
        'contains(["a"], "a")',
        'contains([], "a")',
        "contains([true], true)",
        "distinct([1, 1.0, 2])",
    ),
    *(
        'element(["a", "b"], 3)',
        'element(["a"], -1)',
        'one(["a"])',
        'one(["a", "b"])',
        "one([])",
        'lookup({ a = "x" }, "b", "d")',
    ),
    *(
        "flatten([[1, [2]], 3])",
        "concat([1], [2])",
        "merge({ a = 1 }, null, { a = 2 })",
        "keys({ b = 1, a = 2 })",
        "values({ b = 1, a = 2 })",
    ),
    *(
        'tonumber(" 5")',
        'tonumber("1_000")',
        'tonumber("0x10")',
        'tonumber("1e3")',
        'tonumber("05")',
        'tonumber("1.50")',
        "tostring(1.0)",
    ),
    *(
        "tostring(true)",
        "tostring(100000000000000000000)",
        'tolist([1, "a"])',
        'tolist(["a"])',
        'tomap({ a = 1, b = "x" })',
        "tomap({ a = 1 })",
    ),
    *('true ? 1 : "a"', 'false ? "x" : 2', 'true && "true"', '!"false"', '"5" + 1', '"a" < "b"', '2 < "10"', "1 >= 1"),
    *('trim("xxaxx", "x")', 'trim("a", "")', 'trimprefix("ab", "a")', 'trimsuffix("ab", "b")', 'trimspace(" a\\n")'),
    *(
        'startswith("ab", "a")',
        'endswith("ab", "b")',
        'upper("ab")',
        'lower("AB")',
        '"a${true}b"',
        '"${null}"',
        '"x${[1]}"',
    ),
    *('try(["a"][3], "d")', '"a%{ if true }b%{ endif }"', "[1, 2].*", '["a"][*]', "{ a = { b = 1 } }.a.b"),
    *(
        "length(null[*])",
        "null[*]",
        "null.*",
        '"x"[*]',
        'tolist(["a"])[*]',
        'tolist(["a"])[*] == tolist(["a"])',
        'toset(["a"])[*] == tolist(["a"])',
        '["a"][*] == ["a"]',
    ),
    *(
        'tolist(["a"]) == ["a"]',
        'tolist(["a"]) != ["a"]',
        'split(",", "a,b") == ["a", "b"]',
        'split(",", "a,b") == tolist(["a", "b"])',
        'tomap({ a = "x" }) == { a = "x" }',
        'tomap({ a = "x" }) == tomap({ a = "x" })',
        'toset(["a"]) == toset(["a"])',
        "tolist([]) == tolist([])",
        "[] == []",
        "tolist([]) == []",
        "[null] == [null]",
        "{ a = null } == { a = null }",
        'keys({ a = 1 }) == ["a"]',
        'keys(tomap({ a = 1 })) == ["a"]',
        "values(tomap({ a = 1 })) == [1]",
        'compact(["a"]) == ["a"]',
        'distinct(["a"]) == ["a"]',
        "concat([1], [2]) == [1, 2]",
        "concat(tolist([1]), tolist([2])) == [1, 2]",
        "concat(tolist([1]), [2]) == [1, 2]",
        "flatten([tolist([1])]) == [1]",
        "merge({ a = 1 }, { b = 2 }) == { a = 1, b = 2 }",
        "merge(tomap({ a = 1 }), tomap({ b = 2 })) == { a = 1, b = 2 }",
        "merge(tomap({ a = 1 }), { b = 2 }) == { a = 1, b = 2 }",
        "merge(tomap({ a = 1 })) == tomap({ a = 1 })",
        '[for x in tolist(["a"]) : x] == ["a"]',
        "[tolist([1])] == [[1]]",
        'contains([["a"]], ["a"])',
        'contains(tolist([tolist(["a"])]), ["a"])',
        'distinct([["a"], ["a"]])',
        'distinct([[1], ["a"]])',
    ),
    *(
        'tolist([[1], ["a"]])',
        "tolist([[1], [2]])",
        "tolist([[1, 2], [3]])",
        'tolist(["a", null])',
        'tolist([{ a = 1 }, { a = "x" }])',
        'tomap({ a = { x = 1 }, b = { x = "y" } })',
        "tomap({ a = [1], b = [2, 3] })",
        'coalesce([1], ["a"])',
        'lookup(tomap({ a = "x" }), "b", 1)',
        'lookup({ a = "x" }, "b", 1)',
    ),
    *(
        'true ? [1] : ["a"]',
        "true ? [1] : []",
        "false ? [1] : []",
        '(true ? ["a"] : []) == ["a"]',
        '(true ? ["a"] : []) == tolist(["a"])',
        '(true ? ["a"] : ["b"]) == ["a"]',
        'true ? { a = 1 } : { b = "x" }',
        'true ? { a = 1 } : { a = "x" }',
        "true ? { a = 1 } : {}",
        '(true ? { a = "x" } : {}) == { a = "x" }',
        '(true ? { a = "x" } : {}) == tomap({ a = "x" })',
        'true ? { a = 1, b = "x" } : {}',
        'true ? { a = 1, b = "x" } : { a = 2, b = "y" }',
        'true ? { a = 1, b = "x" } : null',
        "true ? null : [1]",
        'true ? "a" : ["b"]',
        'true ? ["a"] : "b"',
        "true ? 1 : true",
        'true ? true : "x"',
        'true ? toset(["a"]) : ["b"]',
        'true ? ["b"] : toset(["a"])',
        'true ? toset([1]) : toset(["a"])',
        "true ? toset([1]) : toset([2])",
        'true ? tolist([1]) : ["a"]',
        "true ? tolist([1]) : [2]",
        "true ? [1, null] : [2]",
        "true ? [[1]] : [[2, 3]]",
        'true ? [{ a = 1 }] : [{ a = "x" }]',
        "true ? [{ a = 1 }] : []",
        "true ? [{ a = 1 }, { b = 2 }] : []",
        'true ? { a = null } : { a = "x" }',
        'true ? { a = { b = 1 } } : { c = { d = "x" } }',
        'true ? [] : [1, "a"]',
        'true ? [1, "x"] : ["a", 2]',
        'true ? [1, 2] : ["a", 3]',
        'true ? [1, 2] : ["a", 3, 4]',
        'true ? [[1], "x"] : [["a"], 2]',
        'true ? { a = [1] } : { a = ["x"] }',
        'true ? { a = [1] } : { a = ["x", "y"] }',
        'true ? { a = 1, b = null } : { c = "x" }',
        "true ? { a = true, b = 1 } : {}",
        "true ? [true, 1] : []",
    ),
    *(
        'format("%v", 123456789012)',
        'format("%v", 100000)',
        'format("%v", 0.00001)',
        'format("%s", 123456789012)',
        "concat(tolist([1]), tolist([2]), tolist([]))",
        'concat(tolist([1]), split(",", "a"))',
        'concat(toset(["a"]), ["b"])',
        "tostring(-0.0)",
        "tostring(0 * -1)",
        "tostring(-7 % 7)",
        'split([], "a")',
        "trim(true, false)",
        'contains({}, "a")',
    ),
    *('"${~ "x" ~} y"', '"\\u00e9"', "!!true", "-(-1)", "1 + 2 * 3 - 4 / 2", "(1 + 2) * 3", '"$${a}%%{b}"'),
)


def ours(expression: str) -> Any:
    (block,) = digest(f"locals {{\n  it = {expression}\n}}\n").blocks
    node = block.attributes[0].node
    assert node
    return Scope({}, {}).evaluate(node)


@asks_terraform
def test_each_gives_terraform_s_own_result_or_none(tmp_path: Path) -> None:
    theirs = _console(tmp_path, EXPRESSIONS)
    wrong = {}
    resolved = 0
    for expression, theirs_ in zip(EXPRESSIONS, theirs, strict=True):
        mine = ours(expression)
        if is_known(mine):
            resolved += 1
            expected = ERROR if theirs_ == ERROR else json.loads(theirs_)
            if (json.dumps(mine) if not isinstance(mine, str) else mine) != (
                json.dumps(expected) if not isinstance(expected, str) else expected
            ):
                wrong[expression] = (mine, expected)
    assert wrong == {}
    assert resolved > len(EXPRESSIONS) // 2, "not resolved is honest, and of no use"


def _console(folder: Path, expressions: Sequence[str]) -> list[str]:
    """Halved where an error is in one that `try` cannot catch."""
    each = [f'try(jsonencode({one}), "{ERROR}")' for one in expressions]
    try:
        return console(folder, *each)
    except Refused:
        half = len(expressions) // 2
        return [ERROR] if not half else _console(folder, expressions[:half]) + _console(folder, expressions[half:])


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_as_text_is_the_same_number_without_an_exponent(number: float) -> None:
    written = as_text(number)
    assert type(number)(written) == number
    assert "e" not in written


def test_what_is_not_resolved_says_so() -> None:
    found = ours('title("élan")')
    assert isinstance(found, Unknown)
    assert "beyond ASCII" in found.why
