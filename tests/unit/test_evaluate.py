from __future__ import annotations

from typing import Any

import pytest

from infraconsole.terraform.evaluate import Instance, Scope, Unknown, instances
from infraconsole.terraform.hcl import digest
from infraconsole.terraform.kinds import ListOf, SetOf
from infraconsole.terraform.nodes import Node


def node(expression: str) -> Node:
    (block,) = digest(f"it = {expression}\n").blocks
    found = block.attributes[0].node
    assert found is not None
    return found


def scope(*, local: dict[str, str] | None = None, **variables: Any) -> Scope:
    return Scope(variables, {name: node(text) for name, text in (local or {}).items()})


def value(expression: str, within: Scope | None = None) -> Any:
    return (within or scope()).evaluate(node(expression))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"/shared/rds/${var.environment}/identifier"', "/shared/rds/prod/identifier"),
        ('"${var.number}-${true}-${1.5}-${2.0}"', "3-true-1.5-2"),
        ('"a$${b}"', "a${b}"),
        (r'"tab\tquote\""', 'tab\tquote"'),
        ('format("%s/%03d%%", var.environment, 7)', "prod/007%"),
        ('join("/", ["", "shared", var.environment])', "/shared/prod"),
        ('lower("ABC")', "abc"),
        ('upper("abc")', "ABC"),
        ('replace("a_b_c", "_", "-")', "a-b-c"),
        ('trimprefix("/shared/x", "/shared/")', "x"),
        ('trimsuffix("x-arn", "-arn")', "x"),
        ('concat(["a"], ["b", "c"])', ["a", "b", "c"]),
        ('toset(["b", "a", "b"])', SetOf(["a", "b"])),
        ('split(",", "a,b")', ListOf(["a", "b"])),
        ('lookup({ a = "x" }, "a", "y")', "x"),
        ('lookup({ a = "x" }, "b", "y")', "y"),
        ('{ prod = "p", dev = "d" }[var.environment]', "p"),
        ('["a", "b"][1]', "b"),
        ('element(["a", "b"], 3)', "b"),
        ('[{ n = "a" }, { n = "b" }][*].n', ["a", "b"]),
        ('var.environment == "prod" ? "yes" : "no"', "yes"),
        ('var.environment != "prod" || false ? "yes" : "no"', "no"),
        ('"1" == 1', False),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("(1 + 2) * 3 - 4 % 3", 8),
        ("-7 % 3", -1),
        ("merge({ a = 1 }, { a = 2, b = 3 })", {"a": 2, "b": 3}),
        ("keys({ b = aws_x.y.id, a = 1 })", ["a", "b"]),
        ('length([aws_x.y.id, "b"])', 2),
        ('[for s in ["a", "b"] : upper(s) if s != "b"]', ["A"]),
        ('{ for i, s in ["a", "b"] : s => i }', {"a": 0, "b": 1}),
        ('{ for k, v in { x = "1" } : v => k }', {"1": "x"}),
        ('contains(["a"], "a") && !false', True),
        ('coalesce("", "b")', "b"),
        ('flatten([["a"], ["b", ["c"]]])', ["a", "b", "c"]),
        ('try("known", "other")', "known"),
    ],
)
def test_what_the_files_alone_tell_is_evaluated(expression: str, expected: Any) -> None:
    found = value(expression, scope(environment="prod", number=3))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "text", "why"),
    [
        ("aws_vpc.main.id", "aws_vpc.main.id", "known only when Terraform runs"),
        ("var.missing", "var.missing", "no value"),
        ("local.missing", "local.missing", "no local.missing"),
        ("local.a", "local.a", "made of itself"),
        ('"/shared/${var.missing}/x"', "/shared/${var.missing}/x", "no value"),
        ('"/shared/${var.given}/${aws_x.y.id}"', "/shared/g/${aws_x.y.id}", "Terraform runs"),
        ("uuid()", "uuid()", "uuid is not evaluated"),
        ('try(aws_x.y.id, "")', 'try(aws_x.y.id, "")', "Terraform runs"),
        ('"%{ if true }a%{ endif }"', "%{ if true }a%{ endif }", "directives"),
        ('replace("a", "/a/", "b")', 'replace("a", "/a/", "b")', "regular expressions"),
        ('{ a = 1 }["b"]', '{"a" = 1}["b"]', "not valid"),
        ("[][3]", "[][3]", "not valid"),
        ("1 / 0", "1 / 0", "not valid"),
        ('"x${null}"', "x${null}", "not valid"),
        ('format("%s")', 'format("%s")', "not valid"),
        ("flatten([aws_x.y.ids])", "flatten([aws_x.y.ids])", "not known"),
        ('aws_x.y.id == "a" ? "b" : "c"', 'aws_x.y.id == "a" ? "b" : "c"', "Terraform runs"),
    ],
)
def test_what_is_not_known_keeps_its_text_and_says_why(expression: str, text: str, why: str) -> None:
    found = value(expression, scope(given="g", local={"a": "local.b", "b": "local.a"}))
    assert isinstance(found, Unknown)
    assert text in (found.text, f'"{found.text}"', found.text.strip('"'))
    assert why in found.why


def test_the_known_beginning_of_a_text_is_kept() -> None:
    assert value('"/shared/rds/${var.x}/endpoint"').prefix == "/shared/rds/"
    assert value('format("/shared/%s", var.x)').prefix == "/shared/"
    assert value("var.x").prefix == ""


def test_locals_are_followed_over_other_locals() -> None:
    within = scope(environment="dev", local={"prefix": '"${local.root}/${var.environment}"', "root": '"/shared"'})
    assert value('"${local.prefix}/x"', within) == "/shared/dev/x"


def test_a_known_key_is_found_beside_values_that_are_not() -> None:
    within = scope(local={"exports": '{ "vpc-id" = aws_vpc.main.id, "name" = "n" }'})
    assert value('local.exports["name"]', within) == "n"
    assert isinstance(value('local.exports["vpc-id"]', within), Unknown)


def test_what_grows_without_end_is_given_up() -> None:
    doubling = {f"l{number}": f'"${{local.l{number + 1}}}${{local.l{number + 1}}}"' for number in range(60)}
    found = value("local.l0", scope(local={**doubling, "l60": '"x"'}))
    assert isinstance(found, Unknown)
    nested = "[for a in local.l : [for b in local.l : [for c in local.l : c]]]"
    items = ", ".join(f'"{number}"' for number in range(200))
    found = value(nested, scope(local={"l": f"[{items}]"}))
    assert isinstance(found, Unknown)
    assert "too many steps" in found.why


def made(text: str, within: Scope | None = None) -> list[tuple[str, bool]]:
    (block,) = digest(f'resource "a_b" "c" {{\n{text}\n}}\n').blocks
    return [(each.index, each.certain) for each in instances(block, within or scope())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", True)]),
        ("count = 2", [("[0]", True), ("[1]", True)]),
        ('count = var.environment == "prod" ? 1 : 0', []),
        ("count = length(aws_x.y)", [("", False)]),
        ('for_each = toset(["b", "a"])', [('["a"]', True), ('["b"]', True)]),
        ("for_each = { x = aws_x.y.id }", [('["x"]', True)]),
        ("for_each = local.names", [('["n"]', True)]),
        ("for_each = var.missing", [("", False)]),
        ("count = 1000000", [("", False)]),
    ],
)
def test_count_and_for_each_are_followed_as_far_as_literals_go(text: str, expected: list[tuple[str, bool]]) -> None:
    assert made(text, scope(environment="dev", local={"names": '["n"]'})) == expected


def test_each_and_count_mean_something_within_their_instance() -> None:
    (block,) = digest('resource "a_b" "c" {\n  for_each = { k = "v" }\n}\n').blocks
    (instance,) = instances(block, scope())
    assert isinstance(instance, Instance)
    assert value('"${each.key}=${each.value}"', instance.scope) == "k=v"
    (block,) = digest('resource "a_b" "c" {\n  count = 1\n}\n').blocks
    assert value('"x-${count.index}"', instances(block, scope())[0].scope) == "x-0"
    assert isinstance(value("each.key"), Unknown)


def test_a_local_does_not_see_the_names_of_the_place_that_asks_for_it() -> None:
    within = scope(local={"l": "each.key"}).binding(each={"key": "k", "value": "v"})
    assert isinstance(value("local.l", within), Unknown)


@pytest.mark.parametrize(
    ("expression", "resolved"),
    [
        ("var.on ? { v = { name = local.n, value = aws_vpc.a.id, overwrite = true } } : {}", True),
        (
            'var.on ? { v = { name = local.n, value = aws_x.a.id, n = 1 }, w = { name = "b", value = "c", n = 2 } } : {}',
            True,
        ),
        ('var.on ? [{ name = local.n, ids = [aws_x.a.id, "b"] }, { name = "b", ids = ["a", "b"] }] : []', True),
        ("var.on ? [{ name = local.n, value = 1 }, { name = aws_x.y.name, value = 2 }] : []", True),
        ("var.on ? [local.n, aws_x.a.id] : []", True),
        ("var.on ? [local.n] : aws_x.a.ids", True),
        ("var.on ? local.n : aws_x.a.id", True),
        ("var.on ? { v = { name = local.n, value = 1 }, w = { name = local.n, value = aws_x.a.id } } : {}", False),
        ("var.on ? { name = local.n, port = 80 } : aws_x.a.map", False),
        ("var.on ? [1, aws_x.a.id] : []", False),
        ("tolist([local.n, aws_x.a.id])", True),
        ("tolist([aws_x.b.id, aws_x.a.id])", True),
        ("tolist([1, aws_x.a.id])", False),
        ("tomap({ a = local.n, b = aws_x.a.id })", True),
    ],
)
def test_what_is_known_beside_what_is_not_stays_known_where_it_cannot_change(expression: str, resolved: bool) -> None:
    found = value(expression, scope(local={"n": '"/shared/n"'}, on=True))
    assert isinstance(found, Unknown) is not resolved
    assert not resolved or "/shared/n" in repr(found) or "aws_x.b.id" in repr(found)
