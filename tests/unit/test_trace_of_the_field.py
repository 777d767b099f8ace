"""Exports as real repositories make and read them: modules in modules, registries, other services, versions, labels and paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from infraconsole.checks.findings import Finding
from infraconsole.checks.trace import check_trace, impact
from infraconsole.terraform import reader
from infraconsole.terraform.exports import Trace
from tests.unit.traces import parse_here, traced_through

Write = Callable[..., Trace]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "parse", parse_here)


@pytest.fixture
def traced(tmp_path: Path) -> Write:
    return partial(traced_through, tmp_path)


def of_rule(rule: str, found: Trace, live: set[str] | None = None) -> list[Finding]:
    return [finding for finding in check_trace(found, live) if finding.id == rule]


def parameter(name: str, label: str = "it") -> str:
    return f'resource "aws_ssm_parameter" "{label}" {{\n  name  = "{name}"\n  type  = "String"\n  value = "x"\n}}\n'


def reads(name: str, label: str = "it") -> str:
    return f'data "aws_ssm_parameter" "{label}" {{ name = "{name}" }}\n'


VARIABLE = 'variable "env" {}\n'

# --- Who makes them ----------------------------------------------------------------------------------------------------


def test_a_module_in_a_module_in_a_module_makes_an_export(traced: Write) -> None:
    files = {
        "infra/network/main.tf": 'module "alb" {\n  source = "./alb"\n  env    = "prod"\n}\n',
        "infra/network/alb/main.tf": VARIABLE
        + 'module "listener" {\n  source = "./listener"\n  for_each = toset(["a", "b"])\n  env = "${var.env}-${each.key}"\n}\n'
        + parameter("/shared/${var.env}/one"),
        "infra/network/alb/listener/main.tf": VARIABLE
        + 'module "rule" {\n  source = "../rule"\n  env = var.env\n}\n'
        + parameter("/shared/${var.env}/two"),
        "infra/network/alb/rule/main.tf": VARIABLE + parameter("/shared/${var.env}/three"),
        "fileflow/main.tf": reads("/shared/prod/one", "one") + reads("/shared/prod-b/three", "three"),
    }
    found = traced(files)
    assert {each.name: each.address for each in found.producers} == {
        "/shared/prod/one": "module.alb.aws_ssm_parameter.it",
        "/shared/prod-a/two": 'module.alb.module.listener["a"].aws_ssm_parameter.it',
        "/shared/prod-b/two": 'module.alb.module.listener["b"].aws_ssm_parameter.it',
        "/shared/prod-a/three": 'module.alb.module.listener["a"].module.rule.aws_ssm_parameter.it',
        "/shared/prod-b/three": 'module.alb.module.listener["b"].module.rule.aws_ssm_parameter.it',
    }
    assert of_rule("consumed-not-exported", found) == []


def test_values_are_followed_through_two_levels_of_modules(traced: Write) -> None:
    found = traced(
        {
            "fileflow/main.tf": reads("/shared/vpc-id")
            + 'module "a" {\n  source = "./a"\n  id = data.aws_ssm_parameter.it.value\n}\n',
            "fileflow/a/main.tf": 'variable "id" {}\nmodule "b" {\n  source = "./b"\n  id = var.id\n}\n',
            "fileflow/a/b/main.tf": 'variable "id" {}\nresource "aws_lb_target_group" "g" { vpc_id = var.id }\n',
        }
    )
    (line,) = impact(found, "/shared/vpc-id")
    assert (line.address, line.attribute) == ("module.a.module.b.aws_lb_target_group.g", "vpc_id")


def test_modules_that_call_themselves_come_to_an_end(traced: Write) -> None:
    twice = "".join(f'module "{name}" {{ source = "../nNEXT" }}\n' for name in "abc")
    files = {f"infra/n{depth}/main.tf": twice.replace("NEXT", str(depth + 1)) for depth in range(11)}
    files["infra/top/main.tf"] = 'module "self" { source = "../top" }\nmodule "n" { source = "../n0" }\n' + parameter(
        "/shared/top"
    )
    files["infra/user/main.tf"] = 'module "top" { source = "../top" }\n'
    found = traced(files)
    assert [each.name for each in found.producers] == ["/shared/top"]
    assert "too many modules" in found.unread_modules[0].why


REGISTRY = """
module "vpc_id" {
  source  = "terraform-aws-modules/ssm-parameter/aws"
  version = "~> 1.1"
  name    = "/shared/network/vpc-id"
  value   = "vpc-1"
}
"""


def test_of_a_registry_module_nobody_says_what_it_does_not_make(traced: Write) -> None:
    found = traced({"infra/network/main.tf": REGISTRY, "fileflow/main.tf": reads("/shared/network/other")})
    (module,) = found.unread_modules
    assert (module.address, module.source, module.why) == (
        "module.vpc_id",
        "terraform-aws-modules/ssm-parameter/aws",
        "registry",
    )
    (finding,) = of_rule("consumed-not-exported", found)
    assert finding.level == "warning"
    assert "not found in the code that could be read" in finding.message
    assert "module.vpc_id in network (terraform-aws-modules/ssm-parameter/aws; registry)" in finding.message
    (finding,) = of_rule("consumed-not-exported", found, {"/shared/network/other"})
    assert (finding.level, "Not read: module.vpc_id" in finding.message) == ("info", True)
    (finding,) = of_rule("consumed-not-exported", found, set())
    assert (finding.level, "AWS does not have it" in finding.message) == ("error", True)
    assert "Not read: module.vpc_id" in finding.message
    (finding,) = of_rule("module-not-read", found)
    assert (finding.level, finding.subject) == ("info", "infrastructure")


def test_a_registry_module_that_is_given_the_name_is_its_maker(traced: Write) -> None:
    found = traced({"infra/network/main.tf": REGISTRY, "fileflow/main.tf": reads("/shared/network/vpc-id")})
    assert of_rule("consumed-not-exported", found) == []
    assert of_rule("consumed-not-exported", found, {"/shared/network/vpc-id"}) == []
    (finding,) = of_rule("consumed-not-exported", found, set())
    assert "module.vpc_id in network" in finding.message
    assert "probably makes it" in finding.message


@pytest.mark.parametrize("source", ["git::https://github.com/x/y.git?ref=v1", "./gone", "s3::https://s3/x.zip"])
def test_what_cannot_be_looked_into_is_named_with_its_source(traced: Write, source: str) -> None:
    found = traced({"infra/x/main.tf": f'module "m" {{ source = "{source}" }}\n', "fileflow/a.tf": reads("/shared/y")})
    assert source in of_rule("consumed-not-exported", found)[0].message


def test_a_module_that_is_never_there_is_not_missed(traced: Write) -> None:
    found = traced({"infra/x/main.tf": 'module "m" {\n  source = "a/b/aws"\n  count = 0\n}\n'})
    assert found.unread_modules == ()


@pytest.mark.parametrize("where", ["infra/network/.terraform", "state/terraform/network-{digest}/prod"])
def test_a_registry_module_that_init_has_fetched_is_read(traced: Write, tmp_path: Path, where: str) -> None:
    from infraconsole.terraform.backend import data_dir

    traced({"infra/network/main.tf": REGISTRY})
    data = (
        data_dir(tmp_path / "state", tmp_path / "infra/network", "prod")
        if "digest" in where
        else tmp_path / "infra/network/.terraform"
    )
    code = data / "modules/vpc_id"
    code.mkdir(parents=True)
    (code / "main.tf").write_text('variable "name" {}\nvariable "value" {}\n' + parameter("${var.name}"))
    listed = {
        "Key": "vpc_id",
        "Source": "registry.terraform.io/terraform-aws-modules/ssm-parameter/aws",
        "Version": "1.1.2",
        "Dir": str(code),
    }
    (data / "modules/modules.json").write_text(json.dumps({"Modules": [{"Key": "", "Source": "", "Dir": "."}, listed]}))
    found = traced({"fileflow/main.tf": reads("/shared/network/vpc-id")})
    (producer,) = found.producers
    assert (producer.name, producer.address) == ("/shared/network/vpc-id", "module.vpc_id.aws_ssm_parameter.it")
    assert (found.unread_modules, of_rule("consumed-not-exported", found)) == ((), [])
    found = traced({"infra/network/main.tf": REGISTRY.replace("ssm-parameter", "ssm-parameters")})
    assert [each.why for each in found.unread_modules] == ["registry"], "the source was changed since"
    found = traced({"infra/network/main.tf": REGISTRY.replace("~> 1.1", "~> 2.0")})
    assert [each.why for each in found.unread_modules] == ["registry; 1.1.2 is here, the code wants ~> 2.0"]


BROKEN = 'resource "aws_ssm_parameter" "b" {\n  name = "/shared/broken\n}\n'


def installed(root: Path, key: str, source: str, code: dict[str, str]) -> None:
    """As an `init` in `root` leaves a module behind."""
    for name, text in code.items():
        file = root / ".terraform/modules" / key / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    listed = {"Key": key, "Source": source, "Dir": f".terraform/modules/{key}"}
    (root / ".terraform/modules/modules.json").write_text(json.dumps({"Modules": [listed]}))


@pytest.mark.parametrize("source", ["../../outside", "git::https://github.com/x/y.git"])
def test_of_a_module_that_is_read_in_part_nobody_says_what_it_does_not_make(
    traced: Write, tmp_path: Path, source: str
) -> None:
    call = f'module "m" {{ source = "{source}" }}\n'
    code = {"main.tf": parameter("/shared/read"), "broken.tf": BROKEN}
    traced({"infra/x/main.tf": call, **{f"outside/{name}": text for name, text in code.items()}})
    installed(tmp_path / "infra/x", "m", "git::https://github.com/x/y.git", code)
    found = traced({"fileflow/a.tf": reads("/shared/read", "a") + reads("/shared/broken", "b")})
    (module,) = found.unread_modules
    assert (module.address, "not all of" in module.why) == ("module.m", True)
    assert [each.name for each in found.producers] == ["/shared/read"], "what was read counts"
    (finding,) = of_rule("consumed-not-exported", found)
    assert (finding.level, finding.subject) == ("warning", "/shared/broken")
    assert "Not read: module.m in x" in finding.message
    assert [each.subject for each in of_rule("exported-not-consumed", found)] == []


def test_the_modules_in_an_installed_module_are_read(traced: Write, tmp_path: Path) -> None:
    source = "git::https://github.com/x/y.git"
    traced({"infra/x/main.tf": f'module "m" {{ source = "{source}" }}\n'})
    inside = {
        "main.tf": 'module "sub" { source = "./modules/sub" }\nmodule "empty" { source = "./modules/empty" }\n',
        "modules/sub/main.tf": parameter("/shared/deep"),
        "modules/empty/README.md": "",
    }
    installed(tmp_path / "infra/x", "m", source, inside)
    found = traced({"fileflow/a.tf": reads("/shared/deep")})
    assert [each.address for each in found.producers] == ["module.m.module.sub.aws_ssm_parameter.it"]
    assert [each.address for each in found.unread_modules] == ["module.m.module.empty"]


def test_instances_of_modules_that_are_left_out_count_as_not_read(traced: Write) -> None:
    files = {
        "infra/x/main.tf": 'module "a" {\n  source = "../modules/a"\n  count = 50\n}\n',
        "infra/modules/a/main.tf": 'module "b" {\n  source = "../b"\n  count = 50\n}\n',
        "infra/modules/b/main.tf": parameter("/shared/${path.module}"),
        "fileflow/a.tf": reads("/shared/other"),
    }
    found = traced(files)
    assert [(each.address, "too many" in each.why) for each in found.unread_modules] == [("module.a.module.b", True)]
    assert len(found.producers) == 2_000 - 50
    assert [each.level for each in of_rule("consumed-not-exported", found)] == ["warning"]
    found = traced({"infra/modules/a/main.tf": files["infra/modules/a/main.tf"].replace("50", "39")})
    assert (found.unread_modules, len(found.producers)) == ((), 50 * 39)


def test_what_one_service_makes_and_another_reads_is_an_export(traced: Write) -> None:
    found = traced(
        {"maker/main.tf": parameter("/shared/maker/topic-arn"), "reader/main.tf": reads("/shared/maker/topic-arn")},
        services=("maker", "reader"),
    )
    (producer,) = found.producers
    assert (producer.owner, producer.module) == ("maker", "maker")
    assert of_rule("consumed-not-exported", found) == []
    assert of_rule("exported-not-consumed", found) == []


# --- Who reads them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "selector"),
    [
        ('"/shared/sel:1"', "1"),
        ('"/shared/sel:stable"', "stable"),
        ('"/shared/sel:${aws_x.y.version}"', "${aws_x.y.version}"),
        ('"arn:aws:ssm:ap-northeast-2:123456789012:parameter/shared/sel"', ""),
        ('"arn:aws-cn:ssm:${data.aws_region.r.name}:${local.account}:parameter/shared/sel:3"', "3"),
    ],
)
def test_a_version_a_label_and_an_arn_read_the_parameter_they_name(traced: Write, written: str, selector: str) -> None:
    code = f'data "aws_ssm_parameter" "it" {{ name = {written} }}\noutput "x" {{ value = data.aws_ssm_parameter.it.value }}\n'
    found = traced({"infra/x/main.tf": parameter("/shared/sel"), "fileflow/main.tf": code})
    (consumer,) = found.consumers_of("/shared/sel")
    assert (consumer.resolved, consumer.selector) == (True, selector)
    assert [use.address for use in consumer.uses] == ["output.x"]
    assert of_rule("consumed-not-exported", found, {"/shared/sel"}) == []
    assert of_rule("exported-not-consumed", found) == []


def test_another_account_s_parameter_is_not_missed_here(traced: Write) -> None:
    arn = "arn:aws:ssm:us-east-1:210987654321:parameter/shared/theirs"
    environments = {"prod": {"account": "123456789012", "region": "ap-northeast-2"}}
    found = traced({"fileflow/main.tf": reads(arn)}, environments=environments)
    (consumer,) = found.consumers_of("/shared/theirs")
    assert consumer.elsewhere == "account 210987654321, region us-east-1"
    assert of_rule("consumed-not-exported", found, set()) == []
    here = arn.replace("us-east-1:210987654321", "ap-northeast-2:123456789012")
    found = traced({"fileflow/main.tf": reads(here)}, environments=environments)
    assert of_rule("consumed-not-exported", found, set())[0].level == "error"


ELSEWHERE = """
provider "aws" {
  region = var.region
  assume_role { role_arn = "arn:aws:iam::123456789012:role/terraform" }
}
provider "aws" {
  alias  = "same"
  region = "ap-northeast-2"
}
provider "aws" {
  alias  = "dr"
  region = "ap-northeast-1"
}
provider "aws" {
  alias  = "theirs"
  region = "ap-northeast-2"
  assume_role { role_arn = "arn:aws:iam::210987654321:role/reader" }
}
provider "aws" {
  alias  = "role"
  assume_role { role_arn = var.role }
}
provider "aws" {
  alias   = "profile"
  profile = "other"
}
provider "aws" {
  alias               = "allowed"
  allowed_account_ids = ["123456789012"]
}
"""


@pytest.mark.parametrize(
    ("written", "elsewhere"),
    [
        ("", ""),
        ("provider = aws", ""),
        ("provider = aws.same", ""),
        ("provider = aws.allowed", ""),
        ('region = "ap-northeast-2"', ""),
        ("region = null", ""),
        ("provider = aws.dr", "account 123456789012, region ap-northeast-1"),
        ("provider = aws.theirs", "account 210987654321, region ap-northeast-2"),
        ("provider = aws.role", "account known only to Terraform, region ap-northeast-2"),
        ("provider = aws.profile", "account known only to Terraform, region ap-northeast-2"),
        ("provider = aws.nobody", "account known only to Terraform, region known only to Terraform"),
        ('region = "us-east-1"', "account 123456789012, region us-east-1"),
        ("region = aws_x.y.region", "account 123456789012, region known only to Terraform"),
        ('provider = aws.dr\n  region = "ap-northeast-2"', ""),
    ],
)
def test_a_provider_s_region_and_account_are_where_a_parameter_is(traced: Write, written: str, elsewhere: str) -> None:
    environments = {"prod": {"account": "123456789012", "region": "ap-northeast-2"}}
    block = f'"aws_ssm_parameter" "it" {{\n  name = "/shared/it"\n  {written}\n}}\n'
    found = traced({"fileflow/main.tf": ELSEWHERE + f"data {block}resource {block}"}, environments=environments)
    assert [each.elsewhere for each in found.consumers] == [elsewhere]
    assert [each.elsewhere for each in found.producers] == [elsewhere]


def test_a_module_works_where_the_providers_do_that_it_is_given(traced: Write) -> None:
    calls = """
module "inherits" { source = "./inner" }
module "given" {
  source    = "./inner"
  providers = {
    aws      = aws.dr
    aws.near = aws
  }
}
"""
    inner = (
        reads("/shared/default")
        + 'data "aws_ssm_parameter" "near" {\n  name = "/shared/near"\n  provider = aws.near\n}\n'
    )
    environments = {"prod": {"account": "123456789012", "region": "ap-northeast-2"}}
    found = traced({"fileflow/main.tf": ELSEWHERE + calls, "fileflow/inner/main.tf": inner}, environments=environments)
    assert {each.address: each.elsewhere for each in found.consumers} == {
        "module.inherits.data.aws_ssm_parameter.it": "",
        "module.inherits.data.aws_ssm_parameter.near": "account known only to Terraform, region known only to Terraform",
        "module.given.data.aws_ssm_parameter.it": "account 123456789012, region ap-northeast-1",
        "module.given.data.aws_ssm_parameter.near": "",
    }


def test_one_name_in_two_regions_is_not_made_twice(traced: Write) -> None:
    made = parameter("/shared/both", "one") + parameter("/shared/both", "two").replace("{", "{\n  provider = aws.dr", 1)
    found = traced({"infra/x/main.tf": ELSEWHERE + made}, environments={"prod": {"region": "ap-northeast-2"}})
    assert of_rule("duplicate-producer", found) == []
    twice = made.replace("provider = aws.dr", "provider = aws.same")
    found = traced({"infra/x/main.tf": ELSEWHERE + twice}, environments={"prod": {"region": "ap-northeast-2"}})
    assert [each.level for each in of_rule("duplicate-producer", found)] == ["error"]


def test_each_environment_reads_in_its_own_region(traced: Write) -> None:
    files = {
        "fileflow/main.tf": 'variable "region" {}\nprovider "aws" { region = var.region }\n' + reads("/shared/it"),
        "fileflow/environments/dev/terraform.tfvars": 'region = "us-east-1"\n',
        "fileflow/environments/prod/terraform.tfvars": 'region = "ap-northeast-2"\n',
    }
    environments = {"dev": {"region": "us-east-1"}, "prod": {"region": "ap-northeast-2"}}
    (consumer,) = traced(files, environments=environments).consumers
    assert (consumer.environment, consumer.elsewhere) == ("", "")


@pytest.mark.parametrize(
    ("region", "account", "elsewhere"),
    [
        ("${data.aws_region.current.name}", "${data.aws_caller_identity.current.account_id}", ""),
        ("${data.aws_region.current.region}", "123456789012", ""),
        ("ap-northeast-2", "${aws_x.y.id}", "account known only to Terraform, region ap-northeast-2"),
    ],
)
def test_an_arn_s_open_parts_are_not_taken_for_ours(traced: Write, region: str, account: str, elsewhere: str) -> None:
    environments = {"prod": {"account": "123456789012", "region": "ap-northeast-2"}}
    arn = f"arn:aws:ssm:{region}:{account}:parameter/shared/it"
    (consumer,) = traced({"fileflow/main.tf": reads(arn)}, environments=environments).consumers
    assert (consumer.resolved, consumer.elsewhere) == (True, elsewhere)


def test_a_variable_is_of_its_declared_type(traced: Write) -> None:
    inner = (
        'variable "number" { type = string }\n'
        'variable "names" { type = set(string) }\n'
        'variable "about" { type = object({ name = string, deep = optional(string, "usual") }) }\n'
        + parameter("/shared/is-text", "text").replace("{", '{\n  count = var.number == "1" ? 1 : 0', 1)
        + parameter("/shared/each/${each.key}", "each").replace("{", "{\n  for_each = var.names", 1)
        + parameter("/shared/${var.about.name}/${var.about.deep}", "deep")
    )
    call = 'module "m" {\n  source = "./m"\n  number = 1\n  names = ["b", "a", "b"]\n  about = { name = 7 }\n}\n'
    root = 'variable "port" { type = string }\n' + parameter('/shared/${var.port == "80" ? "web" : "other"}', "port")
    found = traced(
        {
            "infra/x/main.tf": call + root,
            "infra/x/terraform.tfvars": "port = 80\n",
            "infra/x/m/main.tf": inner,
        }
    )
    assert [each.name for each in found.producers if each.resolved] == [
        "/shared/7/usual",
        "/shared/each/a",
        "/shared/each/b",
        "/shared/is-text",
        "/shared/web",
    ]


def test_variables_in_json_may_be_named_like_blocks(traced: Write) -> None:
    names = ("resource", "data", "module", "locals", "terraform", "provider", "variable", "output", "check")
    code = "".join(f'variable "{name}" {{}}\n' + parameter(f"/shared/${{var.{name}.n}}", name) for name in names)
    values = {name: {"n": name} for name in names} | {"//": {"n": "a comment"}}
    text = parameter("/shared/${var.text}/x", "text") + 'variable "text" {}\n'
    found = traced(
        {
            "infra/x/main.tf": code + text,
            "infra/x/terraform.tfvars.json": json.dumps(values),
            "infra/x/a.auto.tfvars.json": json.dumps({"text": "${literally}"}),
        }
    )
    assert sorted(each.name for each in found.producers if each.resolved) == sorted(
        [*(f"/shared/{name}" for name in names), "/shared/${literally}/x"]
    )
    assert found.problems == ()


def test_a_path_reads_all_that_is_below_it(traced: Write) -> None:
    made = parameter("/shared/use/a", "a") + parameter("/shared/use/deep/b", "b") + parameter("/shared/use-not/c", "c")
    code = (
        'data "aws_ssm_parameters_by_path" "all" {\n  path = "/shared/use"\n}\n'
        "locals {\n  all = data.aws_ssm_parameters_by_path.all.values\n}\n"
    )
    found = traced({"infra/x/main.tf": made, "fileflow/main.tf": code})
    assert [each.subject for each in of_rule("exported-not-consumed", found)] == [
        "/shared/use-not/c",
        "/shared/use/deep/b",
    ]
    (consumer,) = found.consumers_of("/shared/use/a")
    assert (consumer.by_path, consumer.locals) == (True, ("local.all",))
    code = code.replace('"/shared/use"', '"/"\n  recursive = true')
    found = traced({"fileflow/main.tf": code})
    assert of_rule("exported-not-consumed", found) == []
    assert of_rule("consumed-not-exported", found, set()) == []


CHECK = """
check "c" {
  data "aws_ssm_parameter" "in_check" { name = "/shared/check" }
  assert {
    condition     = data.aws_ssm_parameter.in_check.value != ""
    error_message = "empty"
  }
}
"""
JSON_CHECK = json.dumps(
    {
        "//": {"metadata": {"stackName": "${broken"}},
        "check": {
            "c": {
                "//": {"path": "x"},
                "data": {"aws_ssm_parameter": {"in_check": {"name": "/shared/check"}}},
                "assert": {"condition": '${data.aws_ssm_parameter.in_check.value != ""}', "error_message": "empty"},
            }
        },
    }
)


@pytest.mark.parametrize(("name", "code"), [("main.tf", CHECK), ("cdk.tf.json", JSON_CHECK)])
def test_a_check_reads_and_only_warns(traced: Write, name: str, code: str) -> None:
    found = traced({"infra/x/main.tf": parameter("/shared/check"), f"fileflow/{name}": code})
    assert of_rule("exported-not-consumed", found) == []
    (consumer,) = found.consumers_of("/shared/check")
    assert consumer.uses[0].address == "check.c"
    (finding,) = of_rule("consumed-not-exported", traced({"infra/x/main.tf": parameter("/shared/y")}), set())
    assert (finding.level, "Terraform warns" in finding.message) == ("warning", True)


def test_an_ephemeral_reader_is_a_reader_of_its_own(traced: Write) -> None:
    code = """
        ephemeral "aws_ssm_parameter" "it" { arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/shared/e" }
        data "aws_ssm_parameter" "it" { name = "/shared/d" }
        provider "x" { password = ephemeral.aws_ssm_parameter.it.value }
        output "d" { value = data.aws_ssm_parameter.it.value }
        """
    found = traced({"infra/x/main.tf": parameter("/shared/e"), "fileflow/main.tf": code})
    (ephemeral,), (data,) = found.consumers_of("/shared/e"), found.consumers_of("/shared/d")
    assert ephemeral.address == "ephemeral.aws_ssm_parameter.it"
    assert [use.address for use in ephemeral.uses] == ["provider.x"]
    assert [use.address for use in data.uses] == ["output.d"]
    assert of_rule("exported-not-consumed", found) == []


def test_what_may_never_be_read_does_not_fail_every_plan(traced: Write) -> None:
    code = 'data "aws_ssm_parameter" "it" {\n  count = length(data.aws_x.y.names)\n  name = "/shared/perhaps"\n}\n'
    (finding,) = of_rule("consumed-not-exported", traced({"fileflow/main.tf": code}), set())
    assert (finding.level, "which only Terraform knows" in finding.message) == ("warning", True)


def test_a_root_of_only_json_is_a_root(traced: Write) -> None:
    root = {
        "//": {"metadata": {"backend": "s3"}},
        "terraform": {"backend": {"s3": {}}},
        "data": {"aws_ssm_parameter": {"vpc": {"//": {"uniqueId": "vpc"}, "name": "/shared/vpc"}}},
        "output": {"x": {"value": "${data.aws_ssm_parameter.vpc.value}"}},
    }
    found = traced({"fileflow/cdk.tf.json": json.dumps(root)})
    (consumer,) = found.consumers_of("/shared/vpc")
    assert [use.address for use in consumer.uses] == ["output.x"]
