"""What is known of secrets before a Terraform command starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infraconsole.redaction import MASK, Redactor
from infraconsole.terraform import known_secrets, plan, plan_record

CODE = """
variable "db" {
  type      = object({ user = string, password = string })
  sensitive = true
  default   = { user = "the-user", password = "by-default" }
}
variable "api_key" {
  type = string
}
variable "list" {
  type      = list(string)
  sensitive = true
}
variable "plain" {
  type = map(string)
}
module "inner" {
  source = "./modules/inner"
  inner  = "to-the-module"
}
"""
INNER = 'variable "inner" {\n  type      = string\n  sensitive = true\n}\n'


def root(folder: Path) -> Path:
    inner = folder / "root/modules/inner"
    inner.mkdir(parents=True)
    (inner / "main.tf").write_text(INNER)
    (folder / "root/main.tf").write_text(CODE)
    (folder / "root/x.auto.tfvars").write_text(
        'list = ["one-of-list", "two-of-list"]\nplain = { db_password = "nested-1" }\n'
    )
    environment = folder / "root/environments/dev"
    environment.mkdir(parents=True)
    (environment / "terraform.tfvars").write_text(
        'api_key = "by-name"\nplain = { level = "info", token = "nested-2" }\n'
    )
    return folder / "root"


def test_variables_are_known_wherever_they_are_given(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere/more.tfvars"
    outside.parent.mkdir()
    outside.write_text('list = ["from-outside"]\n')
    environ = {"TF_VAR_db": '{"user": "env-user", "password": "env-pass"}', "TF_VAR_plain": "{}"}
    arguments = ("plan", f"-var-file={outside}", "-var=api_key=from-argument")
    found = set(known_secrets.of_variables(root(tmp_path), tmp_path / "cache", environ, arguments))
    assert found >= {
        *("the-user", "by-default", "one-of-list", "two-of-list", "nested-1", "by-name", "nested-2", "to-the-module"),
        *("from-outside", "env-user", "env-pass", "from-argument"),
    }
    assert "info" not in found


@pytest.mark.parametrize(
    "mark",
    ['sensitive = "true"', "sensitive = (true)",
    'sensitive = "1"', "sensitive = !false", "ephemeral = true // yes", 'ephemeral = "true"'],
)  # fmt: skip
def test_a_variable_is_sensitive_however_terraform_lets_it_be_said(tmp_path: Path, mark: str) -> None:
    (tmp_path / "main.tf").write_text(f'variable "x" {{\n  type = string\n  {mark}\n}}\n')
    assert "value-of-x" in known_secrets.of_variables(tmp_path, tmp_path / "cache", {"TF_VAR_x": "value-of-x"})


@pytest.mark.parametrize("mark", ["sensitive = false", 'sensitive = "false"', "ephemeral = null", ""])
def test_a_variable_that_is_not_sensitive_stays_in_clear(tmp_path: Path, mark: str) -> None:
    (tmp_path / "main.tf").write_text(f'variable "x" {{\n  type = string\n  {mark}\n}}\n')
    assert not list(known_secrets.of_variables(tmp_path, tmp_path / "cache", {"TF_VAR_x": "value-of-x"}))


@pytest.mark.parametrize("mark", [{"sensitive": True}, {"sensitive": "true"}, {"ephemeral": True}])
def test_json_code_and_json_variables_are_understood(tmp_path: Path, mark: dict[str, object]) -> None:
    (tmp_path / "main.tf.json").write_text(json.dumps({"variable": {"x": mark, "n": mark}}))
    (tmp_path / "a.auto.tfvars.json").write_text(json.dumps({"x": {"y": ["p${not a template"]}, "n": 10**23}))
    found = set(known_secrets.of_variables(tmp_path, tmp_path / "cache", {}))
    assert found >= {"p${not a template", str(10**23)}


def test_the_leaves_of_an_hcl_expression_are_known_wherever_it_is_given(tmp_path: Path) -> None:
    marked = "".join(f'variable "{name}" {{\n  sensitive = true\n}}\n' for name in "abcdef")
    (tmp_path / "main.tf").write_text(marked + 'variable "plain" {}\n')
    (tmp_path / "more.hcl").write_text('e = "of-any-file"\n')
    environ = {
        "TF_VAR_a": '{k="of-environment", l=["in-list"], "m" = {n = <<E\nheredoc-1\nE\n}}',
        "TF_VAR_b": '{k="broken-leaf" !!',
        "TF_VAR_plain": '{db_password = "by-its-name", level = "info-1"}',
        "TF_CLI_ARGS_plan": "-var 'd={k=\"of-cli-args\"}'",
    }
    arguments = ("plan", '-var=c={k="of-argument"}', "-var", "f=apart-1", "-var-file", "more.hcl")
    found = {each.strip() for each in known_secrets.of_variables(tmp_path, tmp_path / "cache", environ, arguments)}
    assert found >= {
        *("of-environment", "in-list", "heredoc-1", "broken-leaf", "by-its-name", "of-cli-args", "of-argument"),
        *("apart-1", "of-any-file"),
    }
    assert "info-1" not in found
    assert not any(b"of-environment" in file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file())


LITERALS = """
locals {
  a           = sensitive("local-a-secret")
  b           = { in = [sensitive(base64decode("bG9jYWwtYi1zZWNyZXQ="))] }
  db_password = "local-c-secret"
  token_mode  = "optional"
  plain       = "plain-local-1"
  chosen      = sensitive(var.env == "compared-1" ? "chosen-1" : "prod")
}
output "o" {
  sensitive = "true"
  value     = { k = "output-secret" }
}
output "p" {
  value = "plain-output-1"
}
resource "aws_ssm_parameter" "x" {
  value = "parameter-1"
  type  = "SecureString"
}
resource "aws_ssm_parameter" "y" {
  value = "prod"
}
resource "aws_secretsmanager_secret_version" "x" {
  secret_string = jsonencode({ user = "admin", pin = "in-json-1", other = var.all["looked-up"] })
}
resource "aws_instance" "x" {
  metadata_options {
    http_tokens = "required"
  }
}
resource "aws_cloudwatch_event_connection" "x" {
  auth_parameters {
    api_key {
      key   = "x-header"
      value = "nested-secret-1"
    }
  }
}
resource "some_thing" "x" {
  env = { API_TOKEN = "by-name-1", LEVEL = "info-1" }
  inner {
    admin_password = "in-block-1"
    input          = sensitive("in-block-2")
  }
}
"""


def test_secrets_written_into_the_code_are_known_and_ordinary_words_are_not(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(LITERALS)
    (tmp_path / "broken.tf").write_text("{")
    resource = {"aws_db_instance": {"x": {"password": "json-secret-1", "engine": "postgres-1"}}}
    (tmp_path / "more.tf.json").write_text(json.dumps({"resource": resource}))
    found = set(known_secrets.of_variables(tmp_path, tmp_path / "cache", {}))
    assert found >= {
        *("local-a-secret", "local-b-secret", "local-c-secret", "chosen-1", "output-secret", "parameter-1"),
        *("nested-secret-1", "by-name-1", "in-block-1", "in-block-2", "json-secret-1", "in-json-1"),
    }
    spared = (
        "optional",
        "plain-local-1",
        "compared-1",
        "prod",
        "plain-output-1",
        "SecureString",
        "required",
        "x-header",
    )
    assert not found & {*spared, "info-1", "postgres-1"}


def test_code_that_cannot_be_read_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('variable "x" {')
    assert list(known_secrets.of_variables(tmp_path, tmp_path / "cache", {})) == []


def test_credentials_of_the_environment_are_known() -> None:
    environ = {
        "AWS_SECRET_ACCESS_KEY": "wJalr",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "TF_TOKEN_app_terraform_io": "tf-token",
        "DB_PASSWORD": "hunter2",
        "HTTPS_PROXY": "http://kim:proxy-pw@proxy:3128",
        "PWD": "/home/kim",
        "SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:1:secret:x",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "HOME": "/home/kim",
    }
    assert set(known_secrets.of_environment(environ)) == {"wJalr", "tf-token", "hunter2", "proxy-pw"}


def test_a_state_s_secrets_are_known_by_mark_type_and_name() -> None:
    containers = json.dumps([{"name": "app", "environment": [{"name": "DB_PASSWORD", "value": "in-container-1"}]}])
    attributes = {
        "input": {"value": "marked", "type": "string"},
        "url": "postgres://u:of-url@db/x",
        "containers": containers,
        "secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:x",
        "token_validity_units": [{"access_token": "hours"}],
    }
    state = {
        "version": 4,
        "serial": 1,
        "outputs": {"token": {"value": "of-output", "sensitive": True}, "host": {"value": "db.internal"}},
        "resources": [
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": "x",
                "instances": [
                    {"attributes": attributes, "sensitive_attributes": [[{"type": "get_attr", "value": "input"}]]}
                ],
            },
            {
                "mode": "managed",
                "type": "random_password",
                "name": "y",
                "instances": [{"attributes": {"result": "made-up"}}],
            },
        ],
    }
    found = set(known_secrets.of_state(json.dumps(state).encode()))
    assert found >= {"of-url", "in-container-1", "of-output", "made-up"}
    assert not found & {"hours", "db.internal", attributes["secret_arn"]}


@pytest.mark.parametrize("mode", ["managed", "data"])
def test_a_parameter_that_is_kept_in_clear_is_no_secret(mode: str) -> None:
    """The provider calls the value of every parameter sensitive; an export's is needed in clear."""
    of_one = [
        {
            "name": "/shared/ecr/fileflow/repository-url",
            "type": "String",
            "value": "1.dkr.ecr.x.amazonaws.com/fileflow",
        },
        {"name": "/shared/db/key", "type": "SecureString", "value": "kept-encrypted"},
        {"name": "/shared/db/password", "type": "String", "value": "Named-1"},
    ]
    by_path = {
        "names": ["/shared/vpc-id", "/shared/key"],
        "types": ["String", "SecureString"],
        "values": ["vpc-0123", "also-encrypted"],
    }
    state = {
        "version": 4,
        "resources": [
            {"mode": mode, "type": type_, "name": "x", "instances": [{"attributes": each}]}
            for type_, each in (
                *(("aws_ssm_parameter", each) for each in of_one),
                ("aws_ssm_parameters_by_path", by_path),
            )
        ],
    }
    assert set(known_secrets.of_state(json.dumps(state).encode())) == {"kept-encrypted", "Named-1", "also-encrypted"}


def change(**more: object) -> dict[str, object]:
    return {"address": "x.y", "mode": "managed", "type": "x", "name": "y", "change": {"actions": ["update"], **more}}


SAME = {
    "actions": ["no-op"],
    "before": {"pw": "unchanged-1"},
    "after": {"pw": "unchanged-1"},
    "before_sensitive": {"pw": True},
    "after_sensitive": {"pw": True},
}


def document() -> bytes:
    return json.dumps(
        {
            "format_version": "1.2",
            "variables": {"db": {"value": "of-variable"}, "level": {"value": "info"}},
            "configuration": {"root_module": {"variables": {"db": {"sensitive": True}}}},
            "output_changes": {"o": {"actions": ["no-op"], "before": "of-output", "after": "of-output", "before_sensitive": True,
                                     "after_sensitive": True}},
            "planned_values": {"root_module": {"resources": [{"values": {"pw": "old-secret"}}]}},
            "prior_state": {"values": {"root_module": {"resources": [{"address": "x.y", "values": {"pw": "old-secret"}}]}}},
            "resource_changes": [
                change(
                    before={"pw": "old-secret", "copy": "has old-secret in it", "size": 1, "list": ["a", {"db_password": "one-1"}]},
                    after={"pw": "new-secret", "copy": "has new-secret in it", "size": 2, "list": ["a", {"db_password": "two-2"}]},
                    before_sensitive={"pw": True},
                    after_sensitive={"pw": True},
                ),
                {**change(), "address": "x.z", "change": SAME},
            ],
        }
    ).encode()  # fmt: skip


def test_a_plan_s_secrets_are_those_of_what_stays_too_and_of_its_variables() -> None:
    found = set(plan.read(document()).secrets())
    assert found >= {"old-secret", "new-secret", "unchanged-1", "of-variable", "of-output"}
    assert "info" not in found


def test_the_record_of_a_plan_shows_what_changes_and_no_secret() -> None:
    record = plan_record.record_of(document(), Redactor())
    for secret in ("old-secret", "new-secret", "unchanged-1", "of-variable", "of-output", "one-1", "two-2"):
        assert secret.encode() not in record, secret
    assert plan_record.is_record(record)
    assert not plan_record.is_record(document())
    (first, second) = plan.read(record).changes
    shown = {each.name: (each.before, each.after) for each in first.attributes()}
    assert shown["size"] == (1, 2)
    assert shown["pw"] == (MASK, MASK)
    assert "copy" in shown
    assert "list" in shown, "only a secret differs in it, and it differs still"
    assert second.attributes() == ()
    assert plan.read(record).addresses() == {"x.y", "x.z"}
