"""The profiles as the AWS configuration files tell them, and what renews the credentials of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infraconsole.aws import regions
from infraconsole.aws.errors import RENEW_VARIABLE
from infraconsole.aws.profiles import Profile, known, renewal, with_login
from infraconsole.errors import ConfigError, UnknownName

CONFIG = """
[default]
region = ap-northeast-2
[sso-session company]
sso_start_url = https://company.awsapps.com/start
sso_region = ap-northeast-2
[profile company-prod]
sso_session = company
sso_account_id = 123456789012
sso_role_name = Operator
region = ap-northeast-2
[profile old]
sso_start_url = https://old.awsapps.com/start
sso_region = us-east-1
sso_account_id = 210987654321
sso_role_name = ReadOnly
[profile audit]
role_arn = arn:aws:iam::999999999999:role/team/Audit
source_profile = company-prod
[profile "with blank"]
credential_process = /bin/vault
[profile robot]
role_arn = arn:aws:iam::999999999999:role/Robot
web_identity_token_file = /token
[profile loop]
role_arn = arn:aws:iam::999999999999:role/A
source_profile = pool
[profile pool]
role_arn = arn:aws:iam::999999999999:role/B
source_profile = loop
[profile browser]
login_session = arn:aws:iam::123456789012:user/kim
[preview]
cloudfront = true
"""
KEYS = """
[default]
aws_access_key_id = AKIA
aws_secret_access_key = s3cr3t
[keys-only]
aws_access_key_id = AKIA
aws_secret_access_key = s3cr3t
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "credentials").write_text(KEYS)
    program = tmp_path / "bin" / "aws"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "PATH": str(program.parent),
    }


def test_every_profile_with_what_the_files_say_of_it(environ: dict[str, str]) -> None:
    assert known(environ) == (
        Profile("default", "keys", region="ap-northeast-2"),
        Profile("audit", "role", "999999999999", "team/Audit", "company-prod"),
        Profile("browser", "login"),
        Profile("company-prod", "SSO", "123456789012", "Operator", "company", "ap-northeast-2"),
        Profile("keys-only", "keys"),
        Profile("loop", "role", "999999999999", "A", "pool"),
        Profile("old", "SSO", "210987654321", "ReadOnly", "https://old.awsapps.com/start"),
        Profile("pool", "role", "999999999999", "B", "loop"),
        Profile("robot", "web identity", "999999999999", "Robot"),
        Profile("with blank", "process"),
    )
    assert "s3cr3t" not in repr(known(environ))


def test_without_files_there_is_no_profile(tmp_path: Path) -> None:
    nowhere = {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    assert known(nowhere) == ()
    with pytest.raises(UnknownName, match="default"):
        renewal(None, nowhere)


@pytest.mark.parametrize("content", ["[a]\n[a]\n", "no section", "\x00\xff[", "fifo"])
def test_a_file_that_cannot_be_read_is_named(content: str, environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config"
    if content == "fifo":
        file.unlink()
        os.mkfifo(file)
    else:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="AWS profiles") as caught:
        known(environ)
    assert str(file) in caught.value.cause


def test_what_logs_in_is_the_profile_at_the_end_of_the_chain(environ: dict[str, str]) -> None:
    profiles = known(environ)
    assert with_login(profiles, "audit") == "company-prod"
    assert with_login(profiles, "old") == "old"
    for name in ("loop", "default", "unheard-of", "robot"):
        assert with_login(profiles, name) == ""
    optional = ("--no-browser", "--use-device-code")
    assert renewal("audit", environ).command == ("aws", "sso", "login", "--profile", "company-prod", *optional)


def test_the_profile_of_the_environment_counts_where_none_is_configured(environ: dict[str, str]) -> None:
    assert renewal(None, {**environ, "AWS_PROFILE": "old"}).profile == "old"
    assert renewal("company-prod", {**environ, "AWS_PROFILE": "old"}).profile == "company-prod"


def test_what_cannot_be_renewed_here_says_why_and_what_to_type(environ: dict[str, str]) -> None:
    keys = renewal(None, {**environ, "AWS_ACCESS_KEY_ID": "AKIA"})
    assert keys.command == ()
    assert "AWS_ACCESS_KEY_ID" in keys.why_not
    for name, by_hand in (
        ("with blank", "aws sts get-caller-identity --profile 'with blank'"),
        ("loop", "aws sts get-caller-identity --profile loop"),
        ("browser", "aws login --profile browser"),
    ):
        found = renewal(name, environ)
        assert (found.command, found.by_hand) == ((), by_hand)
        assert name in found.why_not
    without = renewal("old", {**environ, "PATH": "/nowhere"})
    assert without.command == ()
    assert "no aws program on the PATH" in without.why_not
    assert without.by_hand == "aws sso login --profile old --no-browser --use-device-code"


def test_the_teams_own_tool_is_run_unless_a_profile_is_named(environ: dict[str, str]) -> None:
    environ[RENEW_VARIABLE] = "company-login prod"
    assert renewal("old", environ).command == ("/bin/sh", "-c", "company-login prod")
    assert renewal("old", environ, named=True).command[:3] == ("aws", "sso", "login")


def test_regions_are_those_of_the_partition() -> None:
    codes = {region.code: region.name for region in regions.known("ap-northeast-2")}
    assert codes["eu-west-1"] == "Europe (Ireland)"
    assert not {"cn-north-1", "us-gov-west-1", "aws-global"} & set(codes)
    assert "cn-northwest-1" in {region.code for region in regions.known("cn-north-1")}
    assert "cn-northwest-1" in {region.code for region in regions.known("cn-new-9")}, (
        "one that botocore has not met yet"
    )
    assert "eu-west-1" in {region.code for region in regions.known("")}
