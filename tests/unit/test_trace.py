"""The joined picture, on repositories written here as the guide's are; read by the real reader, parsed in this process."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path

import pytest

from infraconsole import config, naming
from infraconsole.checks.findings import Finding
from infraconsole.checks.trace import check_trace, impact, kms_kind
from infraconsole.terraform import reader
from infraconsole.terraform.exports import Consumer, Trace, trace
from tests.unit.traces import parse_here, traced_through

Write = Callable[..., Trace]

VPC = """
resource "aws_ssm_parameter" "vpc_id" {
  name  = "/shared/network/vpc-id"
  type  = "String"
  value = aws_vpc.main.id
}
"""
READS_VPC = """
data "aws_ssm_parameter" "vpc_id" {
  name = "/shared/network/vpc-id"
}
"""
KEYS = """
data "aws_ssm_parameter" "kms" {
  for_each = toset(["cloudwatch-logs", "secrets-manager", "rds", "s3", "sqs", "ssm", "elasticache"])
  name     = "/shared/kms/${each.key}-key-arn"
}

locals {
  keys = { for kind, parameter in data.aws_ssm_parameter.kms : kind => parameter.value }
}
"""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "parse", parse_here)


@pytest.fixture
def traced(tmp_path: Path) -> Write:
    return partial(traced_through, tmp_path)


def produced(found: Trace) -> dict[str, str]:
    return {producer.name: producer.environment for producer in found.producers}


def consumer(found: Trace, name: str) -> Consumer:
    (one,) = found.consumers_of(name)
    return one


def uses(one: Consumer) -> set[tuple[str, str, bool]]:
    return {(use.address, use.attribute, use.replaces) for use in one.uses}


def of_rule(rule: str, found: Trace, live: set[str] | None = None) -> list[Finding]:
    return [finding for finding in check_trace(found, live) if finding.id == rule]


# --- Producers ---------------------------------------------------------------------------------------------------------


def test_a_producer_has_module_address_expression_file_and_line(traced: Write, tmp_path: Path) -> None:
    found = traced({"infra/network/outputs.tf": VPC})
    (producer,) = found.producers
    assert (producer.name, producer.resolved, producer.environment, producer.module) == (
        "/shared/network/vpc-id",
        True,
        "",
        "network",
    )
    assert (producer.address, producer.type, producer.value) == (
        "aws_ssm_parameter.vpc_id",
        "String",
        "aws_vpc.main.id",
    )
    assert (producer.file, producer.line) == (str(tmp_path / "infra/network/outputs.tf"), 1)
    assert found.producers_of("/shared/network/vpc-id") == (producer,)


RDS = """
variable "environment" {
  type = string
}

resource "aws_ssm_parameter" "identifier" {
  name  = "/shared/rds/${var.environment}/identifier"
  type  = "String"
  value = aws_db_instance.shared.identifier
}
"""


def test_an_interpolated_name_is_one_export_for_each_environment(traced: Write) -> None:
    found = traced({"infra/rds/outputs.tf": RDS})
    assert produced(found) == {f"/shared/rds/{name}/identifier": name for name in ("dev", "staging", "prod")}


@pytest.mark.parametrize("spelling", ["env", "environment"])
def test_both_spellings_of_the_environment_are_read(traced: Write, spelling: str) -> None:
    text = RDS.replace("environment", spelling)
    files = {f"infra/rds/environments/{name}/terraform.tfvars": f'environment = "{name}"\n' for name in ("dev", "prod")}
    found = traced({"infra/rds/outputs.tf": text, **files})
    assert produced(found) == {f"/shared/rds/{name}/identifier": name for name in ("dev", "prod")}


def test_a_default_alone_is_the_one_environment(traced: Write) -> None:
    found = traced({"infra/rds/outputs.tf": RDS.replace("type = string", 'default = "prod"')})
    assert produced(found) == {"/shared/rds/prod/identifier": "prod"}


def test_tfvars_are_taken_before_defaults_and_automatic_ones_in_between(traced: Write) -> None:
    text = """
        variable "name" { default = "default" }
        resource "aws_ssm_parameter" "x" {
          name = "/shared/x/${var.name}"
        }
        """
    files = {"infra/x/main.tf": text}
    assert produced(traced(files)) == {"/shared/x/default": ""}
    files["infra/x/terraform.tfvars"] = 'name = "plain"\n'
    assert produced(traced(files)) == {"/shared/x/plain": ""}
    files["infra/x/a.auto.tfvars"] = 'name = "automatic"\n'
    assert produced(traced(files)) == {"/shared/x/automatic": ""}
    files["infra/x/environments/prod/terraform.tfvars"] = 'name = "prod"\n'
    assert produced(traced(files)) == {"/shared/x/prod": ""}


def test_for_each_and_count_are_followed_as_far_as_literals_go(traced: Write) -> None:
    found = traced(
        {
            "infra/kms/outputs.tf": """
                locals {
                  keys = { rds = aws_kms_key.rds.arn, s3 = aws_kms_key.s3.arn }
                }
                resource "aws_ssm_parameter" "key" {
                  for_each = local.keys
                  name     = "/shared/kms/${each.key}-key-arn"
                  type     = "String"
                  value    = each.value
                }
                resource "aws_ssm_parameter" "only_prod" {
                  count = var.environment == "prod" ? 1 : 0
                  name  = "/shared/kms/extra-key-arn"
                }
                resource "aws_ssm_parameter" "zone" {
                  count = 2
                  name  = "/shared/network/zone-${count.index}"
                }
                resource "aws_ssm_parameter" "many" {
                  for_each = data.aws_x_y.z.names
                  name     = "/shared/many/${each.key}"
                }
                resource "aws_ssm_parameter" "perhaps" {
                  count = length(data.aws_x_y.z.names)
                  name  = "/shared/perhaps"
                }
                """
        }
    )
    by_address = {producer.address: producer for producer in found.producers}
    rds = by_address['aws_ssm_parameter.key["rds"]']
    assert (rds.name, rds.value, rds.environment) == ("/shared/kms/rds-key-arn", "aws_kms_key.rds.arn", "")
    assert by_address["aws_ssm_parameter.only_prod[0]"].environment == "prod"
    assert by_address["aws_ssm_parameter.zone[1]"].name == "/shared/network/zone-1"
    many = by_address["aws_ssm_parameter.many"]
    assert (many.name, many.resolved, many.certain) == ("/shared/many/${each.key}", False, False)
    assert (by_address["aws_ssm_parameter.perhaps"].resolved, by_address["aws_ssm_parameter.perhaps"].certain) == (
        True,
        False,
    )
    assert [finding.subject for finding in of_rule("unresolved-name", found)] == ["aws_ssm_parameter.many"]


def test_a_shared_module_is_looked_into_where_it_is_called(traced: Write) -> None:
    found = traced(
        {
            "infra/modules/export/main.tf": """
                variable "name" {}
                variable "category" { default = "network" }
                resource "aws_ssm_parameter" "this" {
                  name = "/shared/${var.category}/${var.name}"
                }
                """,
            "infra/network/main.tf": """
                module "export" {
                  source   = "../modules/export"
                  for_each = toset(["vpc-id", "zone"])
                  name     = each.key
                }
                """,
        }
    )
    assert {producer.address: producer.name for producer in found.producers} == {
        'module.export["vpc-id"].aws_ssm_parameter.this': "/shared/network/vpc-id",
        'module.export["zone"].aws_ssm_parameter.this': "/shared/network/zone",
    }
    assert {producer.module for producer in found.producers} == {"network"}


def test_other_parameters_are_no_exports(traced: Write) -> None:
    found = traced(
        {
            "infra/x/main.tf": """
                resource "aws_ssm_parameter" "own" {
                  name = "/fileflow/${var.environment}/own"
                }
                data "aws_ssm_parameter" "image" {
                  name = "/aws/service/ami"
                }
                """
        }
    )
    assert not found.producers
    assert not found.consumers


def test_a_secret_in_the_code_is_not_shown(traced: Write) -> None:
    found = traced(
        {
            "infra/x/main.tf": """
                resource "aws_ssm_parameter" "a" {
                  name  = "/shared/a"
                  type  = "SecureString"
                  value = "hunter2"
                }
                resource "aws_ssm_parameter" "b" {
                  for_each = { b = "hunter2" }
                  name     = "/shared/${each.key}"
                  type     = "SecureString"
                  value    = each.value
                }
                """
        }
    )
    assert [producer.value for producer in found.producers] == ["(not shown)", "each.value"]


def test_an_override_file_is_laid_over_what_it_overrides(traced: Write) -> None:
    found = traced(
        {
            "infra/network/outputs.tf": VPC,
            "infra/network/vpc_override.tf": 'resource "aws_ssm_parameter" "vpc_id" {\n  name = "/shared/network/other"\n}\n',
        }
    )
    assert produced(found) == {"/shared/network/other": ""}


def test_the_json_syntax_is_read_too(traced: Write) -> None:
    found = traced(
        {
            "infra/rds/main.tf.json": """
                {"resource": {"aws_ssm_parameter": {
                  "endpoint": {"name": "/shared/rds/${var.environment}/endpoint", "type": "String"}
                }}}
                """
        }
    )
    assert sorted(produced(found)) == [f"/shared/rds/{name}/endpoint" for name in ("dev", "prod", "staging")]
    assert found.producers[0].line == 2


# --- Consumers and their uses ------------------------------------------------------------------------------------------


def test_a_consumer_has_its_locals_and_the_resources_that_use_them(traced: Write, tmp_path: Path) -> None:
    found = traced(
        {
            "fileflow/data.tf": READS_VPC,
            "fileflow/locals.tf": """
                locals {
                  vpc_id  = data.aws_ssm_parameter.vpc_id.value
                  network = { id = local.vpc_id, name = "n" }
                  far     = local.network.id
                }
                """,
            "fileflow/main.tf": """
                resource "aws_security_group" "ecs" {
                  vpc_id = local.vpc_id
                }
                data "aws_vpc" "main" {
                  id = local.far
                }
                data "aws_subnets" "private" {
                  filter {
                    name   = "vpc-id"
                    values = [data.aws_ssm_parameter.vpc_id.value]
                  }
                }
                resource "aws_thing" "name_only" {
                  name    = local.network.name
                  version = data.aws_ssm_parameter.vpc_id.version
                  depends_on = [data.aws_ssm_parameter.vpc_id]
                }
                output "vpc" {
                  value = local.vpc_id
                }
                """,
        }
    )
    one = consumer(found, "/shared/network/vpc-id")
    assert (one.service, one.environment, one.address) == ("fileflow", "", "data.aws_ssm_parameter.vpc_id")
    assert (one.file, one.line) == (str(tmp_path / "fileflow/data.tf"), 1)
    assert one.locals == ("local.vpc_id", "local.network.id", "local.far")
    assert uses(one) == {
        ("aws_security_group.ecs", "vpc_id", True),
        ("data.aws_vpc.main", "id", False),
        ("data.aws_subnets.private", "filter.values", False),
        ("output.vpc", "value", False),
    }
    assert {use.line for use in one.uses if use.address == "data.aws_subnets.private"} == {10}


def test_a_policy_written_with_jsonencode_uses_what_stands_in_it(traced: Write) -> None:
    found = traced(
        {
            "fileflow/main.tf": """
                data "aws_ssm_parameter" "s3" {
                  name = "/shared/kms/s3-key-arn"
                }
                locals {
                  s3_key_arn = try(data.aws_ssm_parameter.s3.value, "")
                }
                resource "aws_iam_policy" "s3" {
                  policy = jsonencode({
                    Statement = [{
                      Action   = ["kms:Decrypt"]
                      Resource = local.s3_key_arn
                    }]
                  })
                }
                """
        }
    )
    (use,) = consumer(found, "/shared/kms/s3-key-arn").uses
    assert (use.address, use.attribute, use.line) == ("aws_iam_policy.s3", "policy", 11)


def test_the_same_data_source_reads_another_export_in_each_environment(traced: Write) -> None:
    found = traced(
        {
            "fileflow/data.tf": """
                data "aws_ssm_parameter" "identifier" {
                  name = "/shared/rds/${var.environment}/identifier"
                }
                data "aws_ssm_parameter" "repository" {
                  name = "/shared/ecr/${var.service}-repository-url"
                }
                data "aws_ssm_parameter" "open" {
                  name = "/shared/${var.category}/x"
                }
                """,
            "fileflow/environments/dev/terraform.tfvars": 'environment = "dev"\nservice_name = "fileflow"\n',
            "fileflow/environments/prod/terraform.tfvars": 'environment = "prod"\nservice_name = "fileflow"\n',
        }
    )
    assert [(one.name, one.environment) for one in found.consumers] == [
        ("/shared/${var.category}/x", ""),
        ("/shared/ecr/fileflow-repository-url", ""),
        ("/shared/rds/dev/identifier", "dev"),
        ("/shared/rds/prod/identifier", "prod"),
    ]
    (unresolved,) = of_rule("unresolved-name", found)
    assert (unresolved.level, unresolved.line) == ("info", 7)


def test_a_map_of_keys_is_followed_key_by_key(traced: Write) -> None:
    found = traced(
        {
            "fileflow/keys.tf": KEYS,
            "fileflow/main.tf": """
                resource "aws_sqs_queue" "a" {
                  kms_master_key_id = local.keys["sqs"]
                }
                resource "aws_cloudwatch_log_group" "b" {
                  kms_key_id = data.aws_ssm_parameter.kms["cloudwatch-logs"].value
                }
                resource "aws_thing" "all" {
                  for_each = local.keys
                  key      = each.value
                  name     = each.key
                }
                """,
        }
    )
    assert uses(consumer(found, "/shared/kms/sqs-key-arn")) == {
        ("aws_sqs_queue.a", "kms_master_key_id", False),
        ("aws_thing.all", "for_each", False),
        ("aws_thing.all", "key", False),
    }
    assert ("aws_cloudwatch_log_group.b", "kms_key_id", False) in uses(
        consumer(found, "/shared/kms/cloudwatch-logs-key-arn")
    )
    assert of_rule("wrong-kms-key", found) == []


def test_values_are_followed_into_a_module_and_out_of_it(traced: Write) -> None:
    found = traced(
        {
            "fileflow/data.tf": READS_VPC,
            "fileflow/main.tf": """
                module "group" {
                  source = "./modules/group"
                  vpc_id = data.aws_ssm_parameter.vpc_id.value
                  unused = data.aws_ssm_parameter.vpc_id.value
                }
                module "far" {
                  source = "git::https://example.com/modules.git//group?ref=v1"
                  vpc_id = data.aws_ssm_parameter.vpc_id.value
                }
                resource "aws_subnet" "x" {
                  vpc_id = module.group.vpc
                }
                """,
            "fileflow/modules/group/main.tf": """
                variable "vpc_id" {}
                variable "unused" {}
                locals {
                  id = var.vpc_id
                }
                resource "aws_security_group" "this" {
                  vpc_id = local.id
                }
                output "vpc" {
                  value = var.vpc_id
                }
                """,
        }
    )
    assert uses(consumer(found, "/shared/network/vpc-id")) == {
        ("module.group.aws_security_group.this", "vpc_id", True),
        ("module.far", "vpc_id", False),
        ("aws_subnet.x", "vpc_id", True),
    }


def test_a_module_outside_the_repository_is_read_where_it_is(traced: Write) -> None:
    found = traced(
        {
            "fileflow/main.tf": READS_VPC
            + 'module "group" {\n  source = "../shared-modules/group"\n  id = data.aws_ssm_parameter.vpc_id.value\n}\n',
            "shared-modules/group/main.tf": 'variable "id" {}\nresource "aws_security_group" "g" {\n  vpc_id = var.id\n}\n',
        }
    )
    (use,) = consumer(found, "/shared/network/vpc-id").uses
    assert (use.address, Path(use.file).parent.name) == ("module.group.aws_security_group.g", "group")


def test_a_change_that_a_resource_ignores_does_not_replace_it(traced: Write) -> None:
    found = traced(
        {
            "fileflow/main.tf": READS_VPC
            + """
resource "aws_security_group" "g" {
  vpc_id = data.aws_ssm_parameter.vpc_id.value
  lifecycle {
    ignore_changes = [tags, vpc_id]
  }
}
"""
        }
    )
    assert uses(consumer(found, "/shared/network/vpc-id")) == {("aws_security_group.g", "vpc_id", False)}


def test_the_infrastructure_repository_reads_its_own_exports(traced: Write) -> None:
    found = traced({"infra/network/outputs.tf": VPC, "infra/rds/data.tf": READS_VPC})
    assert consumer(found, "/shared/network/vpc-id").service == "infrastructure/rds"
    assert of_rule("exported-not-consumed", found) == []


# --- Findings ----------------------------------------------------------------------------------------------------------


def test_what_is_read_and_not_made_is_an_error_or_a_warning_where_it_lives(traced: Write) -> None:
    found = traced({"infra/x/main.tf": VPC.replace("vpc-id", "other"), "fileflow/data.tf": READS_VPC})
    (error,) = of_rule("consumed-not-exported", found)
    assert (error.level, error.subject, error.line) == ("error", "/shared/network/vpc-id", 1)
    assert "fileflow" in error.message
    assert "module network" in error.mend
    (error,) = of_rule("consumed-not-exported", found, live=set())
    assert error.level == "error"
    (warning,) = of_rule("consumed-not-exported", found, live={"/shared/network/vpc-id"})
    assert warning.level == "warning"


def test_nothing_is_claimed_of_code_that_is_not_known(traced: Write, tmp_path: Path) -> None:
    found = traced({"fileflow/data.tf": READS_VPC, "infra/network/outputs.tf": VPC + "\nbroken = = 1\n"})
    assert [finding.level for finding in of_rule("consumed-not-exported", found)] == []
    found = traced({"infra/network/more.tf": VPC.replace("vpc-id", "more")})
    (finding,) = of_rule("consumed-not-exported", found)
    assert (finding.level, "could be read" in finding.message) == ("warning", True)
    assert of_rule("consumed-not-exported", found, live={"/shared/network/vpc-id"}) == []
    nothing = trace(
        config.parse({"services": {"fileflow": {"path": "fileflow"}}}, tmp_path / "c.toml"), tmp_path / "cache"
    )
    assert of_rule("consumed-not-exported", nothing) == []
    assert of_rule("consumed-not-exported", nothing, live=set())[0].level == "error"


def test_a_name_that_is_not_resolved_may_be_the_one(traced: Write) -> None:
    found = traced({"infra/network/outputs.tf": VPC.replace("/shared", "${var.root}"), "fileflow/data.tf": READS_VPC})
    (finding,) = of_rule("consumed-not-exported", found)
    assert (finding.level, "may make it" in finding.message) == ("warning", True)
    assert "var.root has no value" in finding.message
    assert of_rule("consumed-not-exported", found, live=set())[0].level == "error"
    found = traced({"infra/network/outputs.tf": VPC.replace("/shared", "${var.root}").replace("vpc-id", "other")})
    assert of_rule("consumed-not-exported", found)[0].level == "error"
    found = traced(
        {"infra/network/outputs.tf": VPC, "fileflow/data.tf": READS_VPC.replace('"/shared/network/vpc-id"', "var.name")}
    )
    assert of_rule("exported-not-consumed", found) == []


def test_only_the_environments_of_the_account_that_was_asked_are_judged(traced: Write) -> None:
    found = traced(
        {
            "fileflow/data.tf": READS_VPC.replace("network/vpc-id", "rds/${var.environment}/endpoint"),
            "infra/x/a.tf": VPC,
        }
    )
    findings = check_trace(found, set(), environments=("prod",))
    assert [each.subject for each in findings if each.id == "consumed-not-exported"] == ["/shared/rds/prod/endpoint"]


def test_what_nobody_reads_is_told_with_whose_code_is_not_known(traced: Write, tmp_path: Path) -> None:
    found = traced({"infra/network/outputs.tf": VPC})
    (finding,) = of_rule("exported-not-consumed", found)
    assert (finding.level, finding.subject) == ("info", "/shared/network/vpc-id")
    document = {"infrastructure": {"path": "infra"}, "services": {"authhub": {}, "gone": {"path": "nowhere"}}}
    found = trace(config.parse(document, tmp_path / "infraconsole.toml"), tmp_path / "cache")
    assert found.unread == {"authhub", "gone"}
    assert found.roots_missing == (tmp_path / "nowhere",)
    (finding,) = of_rule("exported-not-consumed", found)
    assert "The code of authhub, gone is not known" in finding.message
    (missing,) = of_rule("unreadable-terraform", found)
    assert str(tmp_path / "nowhere") in missing.message


def test_an_export_made_twice_is_an_error_at_the_second(traced: Write) -> None:
    files = {"infra/network/outputs.tf": VPC, "infra/other/main.tf": "\n\n" + VPC}
    (finding,) = of_rule("duplicate-producer", traced(files))
    assert (finding.level, finding.subject) == ("error", "/shared/network/vpc-id")
    assert "network" in finding.message
    assert finding.file is not None
    assert Path(finding.file).parent.name == "other"
    files["infra/other/main.tf"] = VPC.replace("{\n", "{\n  count = length(data.aws_x_y.z)\n", 1)
    (finding,) = of_rule("duplicate-producer", traced(files))
    assert finding.level == "warning"


def test_folders_of_different_environments_do_not_make_an_export_twice(traced: Write) -> None:
    found = traced({"infra/network/dev/main.tf": VPC, "infra/network/prod/main.tf": VPC})
    assert {producer.environment for producer in found.producers} == {"dev", "prod"}
    assert of_rule("duplicate-producer", found) == []


def test_remote_state_is_named_with_its_users(traced: Write) -> None:
    found = traced(
        {
            "fileflow/data.tf": """
                data "terraform_remote_state" "network" {
                  backend = "s3"
                }
                locals {
                  vpc_id = data.terraform_remote_state.network.outputs.vpc_id
                }
                resource "aws_security_group" "g" {
                  vpc_id = local.vpc_id
                }
                """
        }
    )
    (state,) = found.remote_states
    assert (state.service, state.address, state.line) == ("fileflow", "data.terraform_remote_state.network", 1)
    assert [(use.address, use.replaces) for use in state.uses] == [("aws_security_group.g", True)]
    (finding,) = of_rule("remote-state", found)
    assert (finding.level, finding.line) == ("warning", 1)
    assert "aws_security_group.g.vpc_id" in finding.message


def test_the_two_wrong_keys_of_the_guide_are_found(traced: Write) -> None:
    found = traced(
        {
            "infra/rds/data.tf": KEYS,
            "infra/rds/main.tf": """
                resource "aws_db_instance" "shared" {
                  kms_key_id                      = local.keys.rds
                  performance_insights_kms_key_id = local.keys.cloudwatch-logs
                }
                """,
            "fileflow/data.tf": KEYS,
            "fileflow/alarms.tf": """
                resource "aws_sns_topic" "alerts" {
                  kms_master_key_id = local.keys["secrets-manager"]
                }
                resource "aws_sns_topic" "fine" {
                  kms_master_key_id = local.keys["sqs"]
                }
                """,
        }
    )
    insights, topic = of_rule("wrong-kms-key", found)
    assert (insights.level, insights.subject, insights.line) == ("error", "/shared/kms/cloudwatch-logs-key-arn", 3)
    assert "infrastructure/rds" in insights.message
    assert insights.mend == "Use /shared/kms/rds-key-arn."
    assert (topic.subject, topic.line) == ("/shared/kms/secrets-manager-key-arn", 2)
    assert "aws_sns_topic.alerts" in topic.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('resource "aws_secretsmanager_secret" "x" {\n  kms_key_id = local.keys["ssm"]\n}', "secrets-manager"),
        ('resource "aws_secretsmanager_secret" "x" {\n  kms_key_id = local.keys["secrets-manager"]\n}', ""),
        ('resource "aws_ssm_parameter" "x" {\n  key_id = local.keys["secrets-manager"]\n}', "ssm"),
        ('resource "aws_cloudwatch_log_group" "x" {\n  kms_key_id = local.keys["s3"]\n}', "cloudwatch-logs"),
        ('resource "aws_elasticache_replication_group" "x" {\n  kms_key_id = local.keys["rds"]\n}', "elasticache"),
        (
            """
            resource "aws_s3_bucket_server_side_encryption_configuration" "x" {
              rule {
                apply_server_side_encryption_by_default {
                  kms_master_key_id = local.keys["sqs"]
                }
              }
            }
            """,
            "s3",
        ),
        ('module "x" {\n  source = "../modules/sqs"\n  kms_master_key_id = local.keys["s3"]\n}', "sqs"),
        (
            'module "x" {\n  source = "git::ssh://x/y.git//modules/s3-bucket?ref=1"\n  kms_key_arn = local.keys.sqs\n}',
            "s3",
        ),
        ('module "x" {\n  source = "../modules/elasticache"\n  kms_key_id = local.keys["elasticache"]\n}', ""),
        ('module "x" {\n  source = "../modules/anything"\n  kms_key_id = local.keys["elasticache"]\n}', ""),
        ('resource "aws_sqs_queue" "x" {\n  kms_master_key_id = var.a ? local.keys.sqs : local.keys.s3\n}', ""),
        ('resource "aws_sqs_queue" "x" {\n  kms_master_key_id = var.a ? local.keys.rds : local.keys.s3\n}', "sqs"),
        ('resource "aws_iam_policy" "x" {\n  policy = local.keys["rds"]\n}', ""),
    ],
)
def test_every_kind_of_resource_has_its_own_key(traced: Write, text: str, expected: str) -> None:
    findings = of_rule("wrong-kms-key", traced({"fileflow/keys.tf": KEYS, "fileflow/main.tf": text + "\n"}))
    assert [finding.mend for finding in findings] == ([f"Use /shared/kms/{expected}-key-arn."] if expected else [])


def test_a_wrong_key_is_found_inside_a_module_too(traced: Write) -> None:
    found = traced(
        {
            "fileflow/keys.tf": KEYS,
            "fileflow/main.tf": 'module "q" {\n  source = "./modules/queue"\n  key = local.keys["rds"]\n}\n',
            "fileflow/modules/queue/main.tf": (
                'variable "key" {}\nresource "aws_sqs_queue" "this" {\n  kms_master_key_id = var.key\n}\n'
            ),
        }
    )
    (finding,) = of_rule("wrong-kms-key", found)
    assert "module.q.aws_sqs_queue.this.kms_master_key_id" in finding.message
    assert finding.line == 3


def test_files_that_cannot_be_read_are_findings_with_their_lines(traced: Write) -> None:
    found = traced({"fileflow/data.tf": READS_VPC, "fileflow/broken.tf": "locals {\n  a = = 1\n}\n", "infra/a.tf": VPC})
    (finding,) = of_rule("unreadable-terraform", found)
    assert (finding.level, finding.line) == ("error", 2)
    assert finding.file is not None
    assert finding.file.endswith("broken.tf")
    assert consumer(found, "/shared/network/vpc-id")
    assert found.unread == {"fileflow"}


def test_an_environment_whose_variables_cannot_be_read_is_there_all_the_same(traced: Write) -> None:
    found = traced(
        {
            "infra/rds/outputs.tf": RDS,
            "infra/rds/environments/dev/terraform.tfvars": 'environment = "dev"\n',
            "infra/rds/environments/prod/terraform.tfvars": "environment = = 1\n",
        }
    )
    assert produced(found) == {f"/shared/rds/{name}/identifier": name for name in ("dev", "prod")}


def test_impact_names_what_is_replaced_first(traced: Write) -> None:
    text = READS_VPC + (
        'data "aws_vpc" "main" {\n  id = data.aws_ssm_parameter.vpc_id.value\n}\n'
        'resource "aws_security_group" "g" {\n  vpc_id = data.aws_ssm_parameter.vpc_id.value\n}\n'
    )
    found = traced({"authhub/main.tf": text, "fileflow/main.tf": text}, services=("authhub", "fileflow"))
    assert [
        (line.service, line.address, line.attribute, line.replaces) for line in impact(found, "/shared/network/vpc-id")
    ] == [
        ("authhub", "aws_security_group.g", "vpc_id", True),
        ("fileflow", "aws_security_group.g", "vpc_id", True),
        ("authhub", "data.aws_vpc.main", "id", False),
        ("fileflow", "data.aws_vpc.main", "id", False),
    ]
    assert impact(found, "/shared/network/other") == ()


def test_names_below_another_root_are_not_kinds_of_keys() -> None:
    assert kms_kind("/shared/kms/rds-key-arn") == "rds"
    assert kms_kind("/base/kms/rds-key-arn", "/base") == "rds"
    assert kms_kind("/shared/kms/own-key-arn") == ""
    assert kms_kind("/shared/network/vpc-id") == ""


def test_the_table_of_keys_knows_only_the_kinds_there_are() -> None:
    table = tomllib.loads((resources.files("infraconsole") / "assets" / "kms_kinds.toml").read_text("utf-8"))
    kinds = {kind for attributes in table["resources"].values() for kind in attributes.values()}
    kinds |= set(table["modules"].values())
    kinds |= {kind for attributes in table["forbidden"].values() for several in attributes.values() for kind in several}
    assert kinds == set(naming.KMS_KINDS)
