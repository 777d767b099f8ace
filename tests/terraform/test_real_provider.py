"""Deploys with the real AWS provider on the embedded world: what Terraform plans for the guide's company, and how it rolls out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ecs import Ecs
from infraconsole.terraform import binary
from infraconsole.world.company import load
from infraconsole.world.process import World
from tests import sensitive_attributes
from tests.terraform.conftest import Done, client

MIRROR = os.environ.get("INFRACONSOLE_PROVIDER_MIRROR", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not MIRROR, reason="INFRACONSOLE_PROVIDER_MIRROR names no mirror with the AWS provider"),
]

PROD = (
    *("--answer", "approve=platform-lead:CHG-7", "--answer", "approve=cto:CHG-7"),
    *("--answer", "type-target=ecr/fileflow"),
)


def cli_configuration(folder: Path) -> Path:
    file = folder / "terraformrc"
    mirror = json.dumps(str(Path(MIRROR).absolute()))
    file.write_text(f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n")
    return file


class Console:
    """Runs the console as a script does; Terraform takes its provider from the mirror."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)

    def __call__(self, runbook: str, environment: str, *more: str, service: str = "fileflow") -> Done:
        done = self.command("run", runbook, "--service", service, "--env", environment, "--json", *more)
        return Done(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "infraconsole", *arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )


@pytest.fixture(scope="module")
def console(world: World, tmp_path_factory: pytest.TempPathFactory) -> Console:
    file = cli_configuration(tmp_path_factory.mktemp("cli"))
    return Console({**world.applied(), "TF_CLI_CONFIG_FILE": str(file)})


def running_definition(world: World, service: str, environment: str) -> str:
    ecs = Ecs(AwsAccess(region=world.region, environ=world.applied()))
    return ecs.service(f"{service}-{environment}-cluster", f"{service}-{environment}-service").task_definition


def running_tag(world: World, environment: str, service: str = "fileflow") -> str:
    ecs = Ecs(AwsAccess(region=world.region, environ=world.applied()))
    return ecs.task_definition(running_definition(world, service, environment)).image_tag


def test_the_code_of_a_healthy_company_finds_nothing_to_do(console: Console) -> None:
    done = console("deploy", "dev")
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "nothing to do"
    assert done.count("gate-opened") == done.count("call-intended") == 0
    notes = " ".join(each["text"] for each in done.events if each["kind"] == "note")
    assert "exports that the code reads are there" in notes


def test_an_image_is_rolled_out_and_verified(console: Console, world: World) -> None:
    company = load()
    tag = company.tag("fileflow", "dev", company.newest.number - 1)
    was = running_tag(world, "dev")
    assert was != tag
    done = console("deploy", "dev", "--set", f"image_tag={tag}", "--answer", "confirm=yes")
    assert done.code == 0, done.stderr
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    shown = "\n".join(gate["changes"])
    assert "aws_ecs_task_definition" in shown
    assert tag in shown
    assert was in shown
    assert done.result("verify")["health"]
    assert running_tag(world, "dev") == tag


def test_after_a_rollback_the_image_that_terraform_would_bring_back_is_warned_of(
    console: Console, world: World
) -> None:
    bad = running_tag(world, "staging")
    back = console("ecs-rollback", "staging", "--answer", "confirm=yes")
    assert back.code == 0, back.stderr
    good = running_tag(world, "staging")
    assert good != bad
    done = console("deploy", "staging", "--dry-run")
    assert done.code == 0, done.stderr
    assert "Still to do: " in done.warnings
    assert good in done.warnings, "what the follow-up pins"
    assert "Its task definition was changed outside of Terraform" in done.warnings
    assert "pin image_tag" in done.warnings


def test_a_module_of_the_infrastructure_repository_is_planned_applied_and_its_exports_verified(
    console: Console, world: World
) -> None:
    repository = naming.ecr_repository("fileflow")
    ecr = client(world, "ecr")
    ecr.put_image_scanning_configuration(repositoryName=repository, imageScanningConfiguration={"scanOnPush": False})
    # It serves all environments, so that prod's rules hold, whichever is named.
    done = console("deploy", "dev", "--set", "reason=the images are not scanned", *PROD, service="ecr/fileflow")
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "1 to update"
    *_, gate = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert any("~ aws_ecr_repository.this" in line for line in gate["changes"])
    (now,) = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert now["imageScanningConfiguration"] == {"scanOnPush": True}
    assert done.result("verify")["exports"]


def test_a_rollout_that_somebody_put_back_is_a_failure(console: Console, world: World) -> None:
    was = running_definition(world, "crawler", "dev")
    environ = {**console.environ, "PYTHONUNBUFFERED": "1"}
    arguments = ("run", "deploy", "--service", "crawler", "--env", "dev", "--json", "--set", "image_tag=nowhere")
    with subprocess.Popen(
        (sys.executable, "-m", "infraconsole", *arguments, "--answer", "confirm=yes"),
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout
        events = (json.loads(line) for line in running.stdout)
        gate = next(each["gate"] for each in events if each["kind"] == "gate-opened")
        assert any("nowhere is not in ECR" in change for change in gate["changes"])
        run = next(each["run"] for each in events if (each["kind"], each["step"]) == ("step-started", "verify"))
        asked = console.command("interrupt", run)
        assert asked.returncode == 0, asked.stderr
        assert running.wait(timeout=60) == 4
    client(world, "ecs").update_service(
        cluster="crawler-dev-cluster", service="crawler-dev-service", taskDefinition=was
    )
    resumed = console.command("resume", run, "--json")
    assert resumed.returncode == 1, resumed.stderr
    assert "which was applied" in resumed.stderr


def test_an_image_that_the_code_does_not_take_is_an_error_before_and_after(console: Console, world: World) -> None:
    root = world.dir / "repos/authhub/infrastructure/terraform"
    fixed = {file: file.read_text() for file in root.glob("*.tf") if "var.image_tag" in file.read_text()}
    was = running_tag(world, "dev", "authhub")
    for file, text in fixed.items():
        file.write_text(text.replace("var.image_tag", json.dumps(was)))
    try:
        same = console("deploy", "dev", "--set", "image_tag=brandnew1", service="authhub")
        assert same.code == 1, same.stderr
        assert f"runs the image {was}, not brandnew1" in same.stderr
        for file, text in fixed.items():
            file.write_text(text.replace("var.image_tag", '"other"'))
        asked = console("deploy", "dev", "--set", "image_tag=brandnew1", "--answer", "confirm=yes", service="authhub")
        assert asked.code == 3, asked.stderr
        (gate,) = [each["gate"] for each in asked.events if each["kind"] == "gate-opened"]
        assert gate["id"] == "type-target"
        assert "brandnew1 was asked for" in gate["irreversible"][0]
    finally:
        for file, text in fixed.items():
            file.write_text(text)


def test_the_table_of_what_is_sensitive_is_that_of_the_provider(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n'
    )
    environ = {**os.environ, "TF_CLI_CONFIG_FILE": str(cli_configuration(tmp_path)), "TF_DATA_DIR": str(tmp_path / "d")}

    def terraform(*arguments: str) -> bytes:
        command = (*binary.find().argv, *arguments)
        return subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=120).stdout

    terraform("init", "-backend=false")
    schema = json.loads(terraform("providers", "schema", "-json"))
    asset = resources.files("infraconsole").joinpath("assets", "sensitive.toml").read_text("utf-8")
    assert asset == sensitive_attributes.asset(schema, sensitive_attributes.locked_version(tmp_path))
