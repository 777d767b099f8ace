"""What a deploy refuses to begin without: exports as AWS is asked for them, with version and label."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infraconsole import config
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import HeldUp
from infraconsole.runbooks import deploy
from infraconsole.target import Target
from infraconsole.terraform import reader
from tests.unit.traces import parse_here, traced_through

CODE = """
data "aws_ssm_parameter" "pinned" { name = "/shared/net/sel:1" }
data "aws_ssm_parameter" "labelled" { name = "/shared/net/sel:stable" }
data "aws_ssm_parameter" "plain" { name = "/shared/net/sel" }
data "aws_ssm_parameter" "theirs" { name = "arn:aws:ssm:eu-west-1:210987654321:parameter/shared/theirs" }
data "aws_ssm_parameters_by_path" "all" { path = "/shared/none" }
data "aws_ssm_parameter" "own" { name = "/shared/own" }
resource "aws_ssm_parameter" "own" {
  name  = "/shared/own"
  value = "x"
}
check "c" {
  data "aws_ssm_parameter" "in" { name = "/shared/checked" }
}
"""


class Context:
    """As much of a step's context as the precheck needs. `there` are the names that AWS answers for."""

    def __init__(self, folder: Path, *there: str) -> None:
        document = {
            "services": {"fileflow": {"path": "fileflow"}},
            "environments": {"prod": {"account": "123456789012", "region": "ap-northeast-2"}},
        }
        self.config = config.parse(document, folder / "infraconsole.toml")
        self.target = Target("fileflow", "prod", "ap-northeast-2")
        self.there = there
        self.asked: list[list[str]] = []
        self.notes: list[str] = []
        self.reads = SimpleNamespace(call=self._call)

    def _call(self, service: str, operation: str, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        self.asked.append(Names)
        found = [{"Name": name.partition(":")[0], "Type": "String"} for name in Names if name in self.there]
        return {"Parameters": found, "InvalidParameters": [name for name in Names if name not in self.there]}

    def note(self, text: str, *, warning: bool = False) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "parse", parse_here)
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    traced_through(tmp_path, {"fileflow/main.tf": CODE})


def test_versions_and_labels_are_asked_for_as_the_code_does(tmp_path: Path) -> None:
    context = Context(tmp_path, "/shared/net/sel", "/shared/net/sel:1", "/shared/net/sel:stable")
    deploy._refuse_missing_exports(cast(StepContext, context))
    assert sorted(name for names in context.asked for name in names) == [
        "/shared/checked",
        "/shared/net/sel",
        "/shared/net/sel:1",
        "/shared/net/sel:stable",
        "/shared/own",
    ]
    bare = [[name.partition(":")[0] for name in names] for names in context.asked]
    assert all(len(set(names)) == len(names) for names in bare), "AWS refuses one parameter twice in a call"
    assert any("/shared/own" in note and "this code makes it" in note for note in context.notes)
    assert any("/shared/checked" in note and "in a check" in note for note in context.notes)


def test_a_label_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    context = Context(tmp_path, "/shared/net/sel", "/shared/net/sel:1")
    with pytest.raises(HeldUp, match="/shared/net/sel:stable") as caught:
        deploy._refuse_missing_exports(cast(StepContext, context))
    assert "/shared/own" not in str(caught.value)


PLACES = """
provider "aws" { region = "ap-northeast-2" }
provider "aws" {
  alias  = "dr"
  region = "ap-northeast-1"
}
provider "aws" {
  alias = "open"
  region = data.external.x.result
}
data "aws_ssm_parameter" "here" { name = "/shared/here" }
data "aws_ssm_parameter" "alias" {
  provider = aws.dr
  name     = "/shared/alias"
}
data "aws_ssm_parameter" "open" {
  provider = aws.open
  name     = "/shared/open"
}
data "aws_ssm_parameter" "region" {
  region = "us-east-1"
  name   = "/shared/region"
}
data "aws_ssm_parameter" "version" { name = "/shared/sel:${aws_x.y.version}" }
data "aws_ssm_parameter" "label" { name = "/shared/label:v${var.version}" }
module "inner" {
  source    = "./inner"
  providers = { aws = aws.dr }
}
"""


def test_aws_is_asked_only_for_what_it_can_answer_here(tmp_path: Path) -> None:
    inner = 'data "aws_ssm_parameter" "inner" { name = "/shared/inner" }\n'
    traced_through(tmp_path, {"fileflow/main.tf": PLACES, "fileflow/inner/main.tf": inner})
    context = Context(tmp_path, "/shared/here", "/shared/sel", "/shared/label")
    deploy._refuse_missing_exports(cast(StepContext, context))
    assert sorted(name for names in context.asked for name in names) == [
        "/shared/here",
        "/shared/label",
        "/shared/sel",
    ]
    assert any("All 3 exports" in note for note in context.notes)
    (told,) = (note for note in context.notes if "not looked for" in note)
    assert "/shared/alias (account 123456789012, region ap-northeast-1)" in told
    assert told.endswith("and 1 more.")


def test_a_parameter_whose_version_is_not_known_has_to_be_there(tmp_path: Path) -> None:
    traced_through(tmp_path, {"fileflow/main.tf": 'data "aws_ssm_parameter" "v" { name = "/shared/a:${var.v}" }\n'})
    with pytest.raises(HeldUp, match=r"/shared/a\."):
        deploy._refuse_missing_exports(cast(StepContext, Context(tmp_path)))


def test_what_a_module_makes_elsewhere_is_not_looked_for_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makes = 'resource "aws_ssm_parameter" "NAME" {\n  name = "/shared/NAME"\n  provider = WHERE\n}\n'
    code = PLACES.partition('data "')[0]
    for name, where in (("near", "aws"), ("far", "aws.dr"), ("open", "aws.open")):
        code += makes.replace("NAME", name).replace("WHERE", where)
    traced_through(tmp_path, {"infra/x/main.tf": code})
    context = Context(tmp_path)
    document = {"infrastructure": {"path": "infra"}, "environments": {"prod": {"region": "ap-northeast-2"}}}
    context.config = config.parse(document, tmp_path / "infraconsole.toml")
    context.target = Target("x", "prod", "ap-northeast-2", is_module=True)
    context.output = lambda *lines: None  # type: ignore[attr-defined]
    monkeypatch.setattr(deploy, "_shown", lambda context, names: ())
    assert deploy._verify_exports(cast(StepContext, context)) == {"exports": ["/shared/near"]}
