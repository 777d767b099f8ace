from __future__ import annotations

import json

import pytest

from infraconsole.terraform import hcl_worker
from infraconsole.terraform.hcl import TEXT_LIMIT, Attribute, Block, Digest, HclUnreadable, digest, json_variables
from infraconsole.terraform.nodes import text_of


def only(text: str) -> Block:
    (block,) = digest(text).blocks
    return block


def attribute(expression: str) -> Attribute:
    return only(f"locals {{\n  it = {expression}\n}}\n").attributes[0]


def names(found: Attribute) -> list[str]:
    return [".".join(reference.parts) for reference in found.references]


def test_a_block_has_labels_lines_and_attributes_in_nested_blocks() -> None:
    block = only(
        """
        resource "aws_s3_bucket_server_side_encryption_configuration" "it" {
          bucket = "b"
          rule {
            apply_server_side_encryption_by_default {
              kms_master_key_id = local.s3_key_arn
            }
          }
        }
        """
    )
    assert (block.kind, block.labels[1], block.line) == ("resource", "it", 2)
    nested = block.attribute("rule.apply_server_side_encryption_by_default.kms_master_key_id")
    assert nested is not None
    assert (nested.line, nested.text, nested.node) == (6, "local.s3_key_arn", None)
    assert nested.references[0].line == 6


def test_variables_files_are_a_block_without_a_name() -> None:
    block = only('env = "prod"\ncount = 3\n')
    assert (block.kind, [(each.path, each.node) for each in block.attributes]) == (
        "",
        [("env", ["lit", "prod"]), ("count", ["lit", 3])],
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("data.aws_ssm_parameter.vpc_id.value", ["data.aws_ssm_parameter.vpc_id.value"]),
        ('split(",", data.aws_ssm_parameter.x.value)', ["data.aws_ssm_parameter.x.value"]),
        ('try(data.aws_ssm_parameter.x.value, "")', ["data.aws_ssm_parameter.x.value"]),
        ('data.aws_ssm_parameter.x["a.b"].value', ["data.aws_ssm_parameter.x.a.b.value"]),
        ("data.aws_ssm_parameter.x[each.key].value", ["each.key", "data.aws_ssm_parameter.x.*.value"]),
        ("aws_subnet.data[*].id", ["aws_subnet.data.*.id"]),
        ("aws_subnet.data.*.id", ["aws_subnet.data.*.id"]),
        ('"${var.a}-${local.b["k"]}"', ["var.a", "local.b.k"]),
        ('"$${var.a}"', []),
        ('"${"in ${var.z}"}"', ["var.z"]),
        ('var.a == "x" ? local.b : module.c.d', ["var.a", "local.b", "module.c.d"]),
        ("[for s in local.list : s.id if var.on]", ["local.list", "var.on"]),
        ("{ for k, v in local.map : k => v.value }", ["local.map"]),
        ("{ a = local.a, (var.b) = 1 }", ["local.a", "var.b"]),
        ('"%{ if var.a }yes%{ endif }"', ["var.a"]),
        ("!(var.a && -local.b < 3)", ["var.a", "local.b"]),
        ("local.list[0]", ["local.list.0"]),
        ("merge(local.a...)", ["local.a"]),
    ],
)
def test_references_are_found_wherever_they_stand(expression: str, expected: list[str]) -> None:
    assert names(attribute(expression)) == expected


def test_references_in_a_policy_have_their_own_lines() -> None:
    found = attribute("jsonencode({\n    Statement = [{\n      Resource = local.s3_key_arn\n    }]\n  })")
    assert [(reference.parts, reference.line) for reference in found.references] == [(("local", "s3_key_arn"), 4)]


def test_heredocs_are_templates_with_lines() -> None:
    found = attribute(
        "<<-EOT\n    hello ${local.a}\n      %{ for x in local.list ~}\n    ${x} $${no}\n    %{ endfor ~}\n  EOT"
    )
    assert [(".".join(each.parts), each.line) for each in found.references] == [("local.a", 3), ("local.list", 4)]
    plain = attribute("<<EOT\na ${ {a = 1}.a } b\nEOT")
    assert plain.node is not None
    assert plain.node[0] == "tpl"
    assert plain.node[1][0] == "a "
    assert attribute("<<-EOT\n    a\n      b\n  EOT").node == ["lit", "a\n  b\n"]


def test_a_dynamic_block_is_the_block_that_it_makes() -> None:
    block = only(
        """
        resource "aws_x_y" "z" {
          dynamic "setting" {
            for_each = local.settings
            content {
              value = local.value
            }
          }
        }
        """
    )
    assert [(each.path, names(each)) for each in block.attributes] == [
        ("setting", ["local.settings"]),
        ("setting.value", ["local.value"]),
    ]


def test_comments_and_line_ends_of_either_kind_change_nothing() -> None:
    text = '# one\n/* two\n */\nlocals {\n  a = "x" // three\n  b = true ? 1 : 2\n}\n'
    assert digest(text) == digest(text.replace("\n", "\r\n"))
    assert [each.line for each in only(text).attributes] == [5, 6]


def test_long_expressions_are_cut_and_short_ones_kept_as_they_are_written() -> None:
    assert attribute('join( "," , var.x )').text == 'join( "," , var.x )'
    assert len(attribute(f'"{"a" * 5_000}"').text) == TEXT_LIMIT


def test_a_digest_survives_json() -> None:
    found = digest('resource "a_b" "c" {\n  x = "${var.y}"\n  z { w = [local.v, { for k in var.l : k => k }] }\n}\n')
    assert Digest.from_json(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize(
    "expression",
    [
        '"a${var.b}c"',
        "x_y.z[0].w[*].id",
        "a ? b : c",
        "[for k, v in var.m : v if v]",
        "{for k, v in var.m : k => v}",
        "!f(1, 2...)",
    ],
)
def test_a_node_can_be_written_as_text_again(expression: str) -> None:
    node = attribute(expression).node
    assert node is not None
    assert text_of(node) == expression


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("locals {\n  a = 1\n\n  b = = 2\n}\n", 4, "= 2"),
        ('locals {\n  a = "unclosed\n}\nresource "a" "b" {\n  c = "d"\n}\n', 2, "closing quote"),
        ('locals {\n  a = "x${"\n}"\n}\n', 2, ""),
        ("locals {\n  a = 1\n", 2, "too early"),
        ("locals {\n}\n}\n", 3, "}"),
        ("\n\n§ = 1\n", 3, "§"),
        ("a = <<EOT\nfine\n${x\nEOT\n", 3, "closing brace"),
        ("a = <<EOT\nfine\n${x +}\nEOT\n", 3, "HCL"),
        ('a = "two\nlines"\n', 1, "closing quote"),
    ],
)
def test_what_is_no_hcl_is_named_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(HclUnreadable) as caught:
        digest(text)
    assert caught.value.line == line
    assert word in caught.value.why


def test_nesting_without_end_is_an_error_and_no_crash() -> None:
    with pytest.raises(HclUnreadable, match="too deeply"):
        digest("a = " + "[" * 2_000 + "]" * 2_000 + "\n")


def test_the_json_syntax_gives_the_same_blocks() -> None:
    text = """{
  "resource": {
    "aws_ssm_parameter": {
      "vpc_id": {
        "name": "/shared/${var.env}/vpc-id",
        "value": "${lookup(local.a, \\"b\\")}"
      }
    }
  },
  "data": {"aws_ssm_parameter": {"x": [{"name": "/shared/x"}]}},
  "variable": {"env": {"default": "prod"}},
  "locals": {"a": {"b": "${data.aws_ssm_parameter.x.value}"}},
  "terraform": {"required_version": ">= 1.5"}
}"""
    resource, data, variable, place = digest(text, is_json=True).blocks
    assert (resource.kind, resource.labels, resource.line) == ("resource", ("aws_ssm_parameter", "vpc_id"), 4)
    assert [(each.path, each.line, each.text) for each in resource.attributes] == [
        ("name", 5, '"/shared/${var.env}/vpc-id"'),
        ("value", 6, 'lookup(local.a, "b")'),
    ]
    assert (data.kind, data.labels) == ("data", ("aws_ssm_parameter", "x"))
    assert variable.attributes[0].node == ["lit", "prod"]
    assert names(place.attributes[0]) == ["data.aws_ssm_parameter.x.value"]


def test_variables_in_json_and_broken_json() -> None:
    (block,) = digest('{"environment": "prod", "zones": ["a"]}', is_json=True).blocks
    assert [(each.path, each.node) for each in block.attributes] == [
        ("environment", ["lit", "prod"]),
        ("zones", ["list", [["lit", "a"]]]),
    ]
    with pytest.raises(HclUnreadable) as caught:
        digest('{\n"a": 1,\n"b" 2}', is_json=True)
    assert caught.value.line == 3


def test_variables_in_json_have_any_name_and_their_strings_are_no_templates() -> None:
    text = '{"//": "c", "data": {"aws_x": {"y": "${z"}},\n "module": ["%{ if"]}'
    answer = hcl_worker.answer({"text": text, "json": True, "variables": True})
    (block,) = Digest.from_json(answer["digest"]).blocks
    assert [(each.path, each.line, each.node) for each in block.attributes] == [
        ("data", 1, ["map", [[["lit", "aws_x"], ["map", [[["lit", "y"], ["lit", "${z"]]]]]]]),
        ("module", 2, ["list", [["lit", "%{ if"]]]),
    ]
    with pytest.raises(HclUnreadable):
        json_variables('{"a": 1')
