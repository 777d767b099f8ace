"""What a variable is, by its declared type, against Terraform itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infraconsole.terraform.evaluate import Scope, Unknown, is_known
from infraconsole.terraform.hcl import digest
from infraconsole.terraform.kinds import ListOf, MapOf, SetOf
from infraconsole.terraform.variables import declared
from tests.unit.terraform_console import asks_terraform, console

DECLARED = (
    ("string", "5"),
    ("string", "true"),
    ("string", "1.50"),
    ("string", "null"),
    ("number", '"5"'),
    ("number", '"5.0"'),
    ("bool", '"true"'),
    ("bool", '"0"'),
    ("bool", "false"),
    ("any", '{ a = 1, b = "x" }'),
    ("list(string)", '[1, true, "a", null]'),
    ("list(string)", '["b", "a", "b"]'),
    ("list(any)", '[1, "a"]'),
    ("list(any)", "[1, 2]"),
    ("list", '["a"]'),
    ("set(string)", '["b", "a", "b", 1]'),
    ("set(number)", '["2", 1]'),
    ("map(string)", "{ b = 1, a = true }"),
    ("map(number)", '{ a = "1" }'),
    ("map(any)", '{ a = 1, b = "x" }'),
    ("map(list(string))", "{ a = [1], b = [] }"),
    ("tuple([string, number])", '[1, "2"]'),
    ("object({ a = string, b = number })", '{ a = 1, b = "2", c = "dropped" }'),
    ("object({ a = string, b = optional(number) })", "{ a = 1 }"),
    ('object({ a = string, b = optional(number, "3"), c = optional(list(string), [1]) })', "{ a = 1, b = null }"),
    ("list(object({ a = string, b = optional(bool, true) }))", "[{ a = 1 }, { a = 2, b = false }]"),
    ("map(object({ a = any }))", '{ x = { a = 1 }, y = { a = "z" } }'),
    ("set(object({ a = string }))", "[{ a = 1 }, { a = 2 }]"),
)


def ours(type_: str, default: str) -> Any:
    (block,) = digest(f'variable "it" {{\n  type = {type_}\n  default = {default}\n}}\n').blocks
    variable = declared(block)
    return variable.taken(variable.default)


@asks_terraform
def test_each_is_what_terraform_makes_of_it_or_not_known(tmp_path: Path) -> None:
    code = [
        f'variable "v{n}" {{\n  type = {type_}\n  default = {default}\n}}\n'
        for n, (type_, default) in enumerate(DECLARED)
    ]
    (tmp_path / "main.tf").write_text("".join(code))
    theirs = console(tmp_path, *(f"var.v{n}" for n in range(len(DECLARED))))
    mine = [ours(*each) for each in DECLARED]
    wrong = [
        (each, found, expected)
        for each, found, expected in zip(DECLARED, mine, theirs, strict=True)
        if is_known(found) and json.dumps(found, sort_keys=True) != json.dumps(expected, sort_keys=True)
    ]
    assert wrong == []
    assert [each for each, found in zip(DECLARED, mine, strict=True) if not is_known(found)] == [
        ("map(object({ a = any }))", '{ x = { a = 1 }, y = { a = "z" } }'),
        ("set(object({ a = string }))", "[{ a = 1 }, { a = 2 }]"),
    ]


@pytest.mark.parametrize(
    ("type_", "default", "kind"),
    [
        ("list(string)", "[]", ListOf),
        ("set(string)", "[]", SetOf),
        ("map(string)", "{}", MapOf),
        ("object({})", "{ a = 1 }", dict),
        ("tuple([])", "[]", list),
        ('"list(string)"', '["a"]', ListOf),
        ('"map"', '{ a = "x" }', MapOf),
    ],
)
def test_a_collection_is_of_the_declared_kind(type_: str, default: str, kind: type) -> None:
    assert type(ours(type_, default)) is kind


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        ("string", "[]"),
        ("number", '"x"'),
        ("number", "true"),
        ("bool", '"yes"'),
        ("list(string)", '"a"'),
        ("map(string)", "[1]"),
        ("tuple([string])", "[1, 2]"),
        ("object({ a = string })", "{}"),
        ("unheard_of", "1"),
        ("1 + 1", "1"),
    ],
)
def test_what_does_not_fit_is_not_known(type_: str, default: str) -> None:
    found = ours(type_, default)
    assert isinstance(found, Unknown)
    assert found.text == "var.it"


def test_null_is_the_default_where_it_is_not_allowed() -> None:
    code = 'variable "it" {\n  type = string\n  default = 5\n  nullable = NULLABLE\n}\n'
    (block,) = digest(code.replace("NULLABLE", "false")).blocks
    assert declared(block).taken(None) == "5"
    (block,) = digest(code.replace("NULLABLE", "true")).blocks
    assert declared(block).taken(None) is None


def test_what_is_not_known_stays_so() -> None:
    (block,) = digest('variable "it" { type = list(string) }\n').blocks
    unknown = Unknown("aws_x.y.id", "only Terraform knows")
    assert declared(block).taken(unknown) is unknown
    made = declared(block).taken([1, unknown])
    assert made == ["1", unknown]
    assert Scope({"it": made}, {}).evaluate(["ref", ["var", "it", ["idx", ["lit", 0]]]]) == "1"
