"""Valid HCL that python-hcl2 refuses: each line here was tried on Terraform (`terraform fmt`), and on python-hcl2."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import binary, hcl, hcl_plain, hcl_worker, tfvars
from infraconsole.terraform.evaluate import Scope, Unknown, is_known
from infraconsole.terraform.hcl import HclUnreadable, digest
from infraconsole.terraform.hcl_workers import Source, parse
from infraconsole.terraform.nodes import Node, text_of
from tests.unit.terraform_console import asks_terraform, console

LOCALS: dict[str, Node] = {"a": ["lit", "x"], "n": ["lit", 3], "list": ["list", [["lit", "p"], ["lit", "q"]]]}


def node(expression: str) -> Node:
    (block,) = digest(f"locals {{\n  it = {expression}\n}}\n").blocks
    found = block.attributes[0].node
    assert found
    return found


def value(expression: str) -> Any:
    return Scope({"on": True}, LOCALS).evaluate(node(expression))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("!!var.on ? 1 : 0", 1),
        ("- -local.n", 3),
        ('"${ var.on\n   ? local.a # why\n   : "y" }"', "x"),
        ('"${ /* c */ local.a }-b"', "x-b"),
        ('"a  ${~ local.a ~}  b"', "axb"),
        ("<<EOT\n  the ${local.a}\n  id\nEOT  \n", "  the x\n  id\n"),
        ("<<-EOT\n    the ${local.a}\n      id\n  EOT\n", "the x\n  id\n"),
        ("local.list.*[1]", "q"),
        ('{ ключ = 1, "b" : 2 }["ключ"]', 1),
        ("(\n  var.on\n  ? 1\n  : 2\n)", 1),
        ("[for x in local.list : upper(x)]", ["P", "Q"]),
        ('"\\u00e9 $${x} %%{y} \\" \\\\"', 'é ${x} %{y} " \\'),
        ("provider::aws::arn_parse(local.a).account", Unknown),
        ("1 + 2 * 3 == 7 && !false", True),
        ("[1, 2,\n # c\n 3,\n]", [1, 2, 3]),
    ],
)
def test_valid_expressions_mean_what_they_mean(expression: str, expected: Any) -> None:
    found = value(expression)
    assert isinstance(found, Unknown) if expected is Unknown else found == expected, text_of(node(expression))


def test_names_that_are_not_ascii_are_names() -> None:
    (block,) = digest('resource "aws_x" "größe" {\n  naïve = data.aws_ssm_parameter.größe.value\n}\n').blocks
    assert (block.labels, block.attributes[0].path) == (("aws_x", "größe"), "naïve")
    assert block.attributes[0].references[0].parts == ("data", "aws_ssm_parameter", "größe", "value")


ODD = """
resource "aws_ssm_parameter" "a" {
  name        = "/shared/a"
  description = <<EOT
the id
EOT\x20\x20
  count       = !!var.on ? 1 : 0
  dynamic "tag" {
    for_each = data.aws_x.y.tags
    content { value = tag.value }
  }
  lifecycle { ignore_changes = [value] }
}
check "c" {
  data "aws_ssm_parameter" "in" { name = "/shared/${ !!var.on ? "a" : "b" }" }
  assert {
    condition     = !!(data.aws_ssm_parameter.in.value != "")
    error_message = "empty"
  }
}
variable "on" { default = true }
"""


def test_what_is_read_by_hand_is_read_as_the_other_parser_reads_it() -> None:
    plain = ODD.replace("!!", "").replace("EOT  ", "EOT")
    by_hand, by_grammar = digest(ODD).as_json(), digest(plain).as_json()

    def shape(found: list[Any]) -> list[Any]:
        return [[*block[:4], [[each[0], each[1], *each[4:]] for each in block[4]]] for block in found]

    assert shape(by_hand) == shape(by_grammar)


@pytest.mark.parametrize("file", sorted(Path("assets/world/terraform").glob("*/*.tf")), ids=str)
def test_both_parsers_make_the_same_of_real_code(file: Path) -> None:
    text = file.read_text()
    assert list(hcl._plain_blocks(text)) == list(hcl._hcl_blocks(text))


_WORDS = st.sampled_from(
    [
        *(
            "a",
            "1",
            "2.5",
            "var.x",
            "local.y[0]",
            '"t"',
            '"${var.x}"',
            "!",
            "-",
            "+",
            "&&",
            "==",
            "<",
            "(",
            ")",
            "[",
            "]",
        ),
        *(
            "{",
            "}",
            "?",
            ":",
            ",",
            "=",
            "...",
            ".",
            "*",
            "for",
            "in",
            "if",
            "=>",
            "\n",
            "# c\n",
            "<<E\n",
            "E\n",
            '"',
            "${",
        ),
        *("~}", "%{"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_WORDS, max_size=14))
def test_whatever_stands_there_is_read_or_refused(words: list[str]) -> None:
    text = f"locals {{\n  it = {' '.join(words)}\n}}\n"
    line = 1
    try:
        list(hcl._plain_blocks(text))
    except hcl_plain.Refused as error:
        line = error.line
    assert 1 <= line <= text.count("\n") + 1


@pytest.mark.parametrize("text", ["a = = 1\n", 'a = "x\n', "a {\n", "}\n", "a = <<E\nx\n", "a = 1 2\n", "a = [1\n"])
def test_what_is_no_hcl_is_refused_by_both(text: str) -> None:
    with pytest.raises(HclUnreadable):
        digest(text)


@asks_terraform
def test_what_terraform_takes_is_the_reader_s_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def knows_nothing(text: str, *, is_json: bool = False) -> hcl.Digest:
        raise HclUnreadable(2, "this is not valid HCL.")

    monkeypatch.setattr(hcl, "digest", knows_nothing)
    told = hcl_worker.answer({"text": ODD, "json": False})
    assert (told["limit"], told["line"]) == (True, 2)
    assert "Terraform takes it for valid" in told["why"]
    assert not hcl_worker.answer({"text": "a = = 1\n", "json": False})["limit"]
    assert (
        subprocess.run(["terraform", "fmt", "-"], input=ODD.encode(), capture_output=True, check=False).returncode == 0
    )


SAYS_NOTHING = {
    "it is killed": "kill -9 $$",
    "it is out of memory": "exit 137",
    "it is broken": "exit 1",
    "it takes too long": "exec sleep 30",
}


@pytest.mark.parametrize("script", SAYS_NOTHING.values(), ids=SAYS_NOTHING)
def test_where_nobody_can_say_it_the_file_is_not_wrong_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program = tmp_path / "terraform"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(hcl_worker, "_VERDICT_SECONDS", 0.5)
    monkeypatch.setenv("INFRACONSOLE_TERRAFORM", str(program))
    told = hcl_worker.answer({"text": "a = = 1\n", "json": False})
    assert (told["limit"], told["lasting"]) == (False, False)


def test_without_any_terraform_nobody_can_say_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary, "wheel_library", lambda: None)
    assert not hcl_worker.answer({"text": "a = = 1\n", "json": False})["lasting"]
    assert hcl_worker.answer({"text": '{"a": 1', "json": True})["lasting"], "JSON is read in full"


@pytest.mark.parametrize("error", [MemoryError(), OSError("no space"), AssertionError("a defect")])
@pytest.mark.parametrize("is_json", [False, True])
def test_what_goes_wrong_here_is_not_kept(monkeypatch: pytest.MonkeyPatch, error: Exception, is_json: bool) -> None:
    def fails(text: str, *, is_json: bool = False) -> hcl.Digest:
        raise error

    monkeypatch.setattr(hcl, "digest", fails)
    assert not hcl_worker.answer({"text": "a = 1\n", "json": is_json})["lasting"]


@asks_terraform
def test_what_terraform_refuses_is_wrong_until_it_is_changed() -> None:
    told = hcl_worker.answer({"text": "a = = 1\n", "json": False})
    assert (told["limit"], told["lasting"]) == (False, True)


def test_a_worker_reads_what_python_hcl2_refuses() -> None:
    (outcome,) = parse([Source("k", ODD)])
    assert outcome.digest is not None
    assert [block.labels[-1] for block in outcome.digest.blocks] == ["a", "in", "c", "on"]


def test_variables_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / "terraform.tfvars"
    file.write_text('image_tag = "v1"\ndebug = !!true\nnames = ["a"]\nnote = <<E\nx\nE  \n')
    assert tfvars.read(file) == {"image_tag": "v1", "debug": True, "names": ["a"], "note": "x\n"}
    file.write_text("image_tag = = 1\n")
    with pytest.raises(PrerequisiteMissing, match="line 1"):
        tfvars.read(file)


ASKED = (
    "<<-EOT\n    a\n      \n    b\n  EOT\n",
    "<<-EOT\n    a\n\n    b\n  EOT\n",
    "<<-EOT\n    a\n  \n    b\n  EOT\n",
    "<<EOT\na ${local.a ~}\n   b\nEOT\n",
    "<<EOT\na ${local.a ~}\n\n\n   b\nEOT\n",
    "<<EOT\na\n\n  ${~ local.a}\n   b\nEOT\n",
    "<<EOT\na\n${~ local.a}\n   b\nEOT\n",
    "<<-EOT\n    a ${local.a ~}\n    b\n      c\n  EOT\n",
    "<<-EOT\n    ${local.a ~}\n    b\n      c\n  EOT\n",
    "<<-EOT\n    ${~ local.a ~}\n    b\n      c\n  EOT\n",
    "<<-EOT\n    a\n    ${~ local.a ~}\n      c\n  EOT\n",
    "<<EOT\n${local.n ~}\nEOT\n",
    "<<EOT\n${~ local.n ~}\nEOT\n",
    "<<EOT\n  $${x} ${~ local.n ~} %%{y}\nEOT\n",
    '"${~ local.n ~} "',
    '" ${~ local.n}"',
    '"${~ local.n ~}"',
    '"${local.n}"',
    '"${local.n} "',
    '"${~ local.a ~} \\n x"',
    '"${local.a ~} $${x}"',
    '"${local.a ~} ${~ local.a}"',
    '"a ${~ "" ~} b"',
    '" ${~ local.list ~} "',
    "<<-EOT\n\ta\n\t\tb\n\tEOT\n",
    "<<-EOT\n  a\n\t b\n EOT\n",
    '<<EOT\n  "q" \\n\nEOT\n',
    "<<EOT\nEOT\n",
    "<<-EOT\n  EOT\n",
    "local.o.*.b[0]",
    "local.o[*].b[0]",
    "(local.o[*].b)[0]",
    "local.o.*.b.0",
    "local.o[*].b.0",
    "local.p[*].b[0]",
    "local.p.*.b[0]",
    "local.o.*[0].b",
    'local.o[*]["b"]',
    "[for x in local.p : x.b.*][0][1]",
    "local.p[*].b[*]",
    "local.p[*].b.*",
    "local.p.*.b[*]",
    "local.p.*.b.0",
    "local.p[*].b.0",
    "local.p.*.b[0].c",
    "local.list.*",
    "[for x in [local.o] : x.*.b[1]][0]",
    "{ a = local.p }.a.*.b[0]",
    "local.p.*.b[*][0]",
    "local.p[0].b[*]",
    "(local.p.*.b)[1][0]",
    '<<EOT\n${"a" ~}\n  ${"b"}\nEOT\n',
    "<<-EOT\n    %{ if true ~}\n    a\n    %{ endif ~}\n  EOT\n",
)
VALUES = 'a = "x"\nn = 3\nlist = ["p", "q"]\no = [{ b = "1" }, { b = "2" }]\np = [{ b = ["1", "2"] }, { b = ["3"] }]\n'


@asks_terraform
def test_templates_and_splats_are_what_terraform_makes_of_them(tmp_path: Path) -> None:
    """By either parser, or not at all."""
    tried = "".join(f'c{number} = try(jsonencode({each}), "!error")\n' for number, each in enumerate(ASKED))
    (tmp_path / "main.tf").write_text(f"locals {{\n{VALUES}{tried}}}\n")
    theirs = console(tmp_path, *(f"local.c{number}" for number in range(len(ASKED))))
    wrong = {}
    resolved = 0
    for expression, wanted in zip(ASKED, theirs, strict=True):
        for blocks in (hcl._plain_blocks, hcl._hcl_blocks):
            try:
                (block,) = blocks(f"locals {{\n{VALUES}it = {expression}\n}}\n")
            except HclUnreadable:  # python-hcl2 does not know strip markers
                assert blocks is hcl._hcl_blocks
                continue
            nodes = {each.path: found for each in block.attributes if (found := each.node)}
            made = Scope({}, nodes).evaluate(nodes["it"])
            if is_known(made):
                resolved += 1
                if json.dumps(made, separators=(",", ":"), ensure_ascii=False) != wanted:
                    wrong[expression] = (blocks.__name__, made, wanted)
    assert wrong == {}
    assert resolved > len(ASKED)


@pytest.mark.parametrize(
    "escape", [r"\UFFFFFFFF", r"\U00110000", r"\ud800", r"\uDFFF", r"\U0000D800", r"\x41", r"\d", r"\u12"]
)
@pytest.mark.parametrize("code", ['a = "{}"', 'a = "${{~ 1 ~}} {}"', 'a {{\n  b = upper("x{}")\n}}'])
def test_an_escape_of_no_character_is_refused(escape: str, code: str) -> None:
    with pytest.raises(HclUnreadable):
        digest(code.format(escape) + "\n")


def test_lines_are_counted_in_no_time() -> None:
    text = "\n" * 900_000 + "".join(f"a{number} = !!var.x\n" for number in range(5_000))
    began = time.process_time()
    body = hcl_plain.body_of(text, lambda *_: True, hcl.Reference)
    assert time.process_time() - began < 5, "counting them from the start each time takes ten seconds"
    assert [(each.line, each.references[0].line) for each in body.attributes[::4_999]] == [
        (line, line) for line in (900_001, 905_000)
    ]
