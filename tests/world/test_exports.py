"""`infraconsole exports` on the embedded world: complete, joined with the code, and an exit code that says what stands."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infraconsole import naming
from tests.world.conftest import client, worlds
from tests.world.test_command_line import Shell

SECRET_NAME = "/shared/monitoring/alert-webhook-url"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with worlds(tmp_path_factory.mktemp("worlds")) as make:
        yield Shell(make("healthy"))


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {export["name"]: export for export in found["exports"]}


def errors(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["id"], finding["subject"]) for finding in found["findings"] if finding["level"] == "error"]


def test_every_export_with_its_consumers_and_no_error_in_a_healthy_world(shell: Shell) -> None:
    done = shell("exports", "--json")
    found = document(done)
    assert done.returncode == 0, errors(found)
    assert not errors(found)
    exports = by_name(found)
    for service in ("fileflow", "authhub", "crawler"):
        assert set(naming.required_exports(service)) <= set(exports)
    vpc = exports["/shared/network/vpc-id"]
    assert {"name", "type", "value", "version", "arn", "description", "tier", "modified_by"} <= set(vpc)
    assert vpc["environments"] == ["dev", "staging", "prod"]
    assert vpc["modified_by"].endswith("assumed-role/deploy/terraform")
    producer = vpc["producers"][0]
    assert (producer["module"], producer["address"]) == ("network", "aws_ssm_parameter.vpc_id")
    assert Path(producer["file"]).read_text().splitlines()[producer["line"] - 1].startswith("resource")
    readers = {consumer["service"]: consumer for consumer in vpc["consumers"]}
    assert {"fileflow", "authhub", "crawler", "infrastructure/rds"} <= set(readers)
    assert readers["fileflow"]["locals"] == ["local.vpc_id"]
    assert exports["/shared/rds/prod/endpoint"]["consumers"][0]["environment"] == "prod"
    assert exports["/shared/kms/s3-key-arn"]["producers"][0]["address"] == 'aws_ssm_parameter.key_arn["s3"]'


def test_a_service_and_an_environment_narrow_the_list(shell: Shell) -> None:
    found = by_name(document(shell("exports", "--service", "fileflow", "--env", "prod", "--json")))
    assert "/shared/ecr/fileflow-repository-url" in found
    assert "/shared/ecr/authhub-repository-url" not in found
    assert "/shared/rds/prod/endpoint" in found
    assert "/shared/rds/dev/endpoint" not in found
    assert "/shared/network/vpc-id" in found


def test_a_secret_is_null_unless_revealed_and_that_is_recorded(shell: Shell) -> None:
    listed = by_name(document(shell("exports", "--no-checks", "--json")))
    assert listed[SECRET_NAME]["value"] is None
    value = client(shell.world, "ssm").get_parameter(Name=SECRET_NAME, WithDecryption=True)["Parameter"]["Value"]
    shown = shell("exports", "--no-checks", "--json", "--reveal", SECRET_NAME)
    assert by_name(document(shown))[SECRET_NAME]["value"] == value
    told = shell("journal").stdout
    assert f"Looked at the value of {SECRET_NAME}" in told
    assert shell("journal", "verify").returncode == 0
    journal = Path(shell.environ["INFRACONSOLE_STATE"]) / "journal.db"
    with sqlite3.connect(journal) as db:
        assert value not in "".join(row[0] for row in db.execute("SELECT data FROM events"))
    assert shell("exports", "--no-checks", "--reveal", "/shared/network/vpc-id").returncode == 2
    everything = by_name(document(shell("exports", "--no-checks", "--json", "--reveal")))
    assert everything[SECRET_NAME]["value"] == value


def test_bad_names(shell: Shell) -> None:
    for arguments, words in ((("--service", "filefow"), "filefow"), (("--env", "prdo"), "prdo")):
        done = shell("exports", *arguments, "--json")
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stdout == ""


def test_what_is_missing_or_wrong_is_an_error_with_its_owner_and_the_code_that_reads_it(shell: Shell) -> None:
    ssm = client(shell.world, "ssm")
    name = "/shared/kms/sqs-key-arn"
    was = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    ssm.delete_parameter(Name=name)
    try:
        done = shell("exports", "--json")
        found = document(done)
        assert done.returncode == 1
        assert ("export-missing", name) in errors(found)
        told = next(finding for finding in found["findings"] if finding["id"] == "export-missing")
        assert "kms" in told["mend"]
        assert name not in by_name(found)
        assert shell("exports", "--no-checks", "--json").returncode == 0
        plain = shell("exports")
        assert plain.returncode == 1
        assert "✗" in plain.stderr
        assert name in plain.stderr
    finally:
        ssm.put_parameter(Name=name, Value=was, Type="String")


def test_broken_code_is_a_finding_and_the_rest_is_read(shell: Shell) -> None:
    broken = shell.world.dir / "repos/authhub/infrastructure/terraform/broken.tf"
    broken.write_text('resource "aws_sqs_queue" "q" {\n  name = \n')
    try:
        found = document(shell("exports", "--json"))
    finally:
        broken.unlink()
    told = next(finding for finding in found["findings"] if finding.get("file") == str(broken))
    assert told["line"] in (2, 3)
    readers = {consumer["service"] for consumer in by_name(found)["/shared/network/vpc-id"]["consumers"]}
    assert {"fileflow", "authhub", "crawler"} <= readers


def test_no_network_and_no_credentials(shell: Shell, tmp_path: Path) -> None:
    assert shell("exports", "--json", AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1").returncode == 5
    nothing = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true"}
    assert shell("exports", "--json", **nothing).returncode == 5
