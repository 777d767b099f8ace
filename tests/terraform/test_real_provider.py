"""Deploys with the real AWS provider on the embedded world: what Terraform plans for the guide's company, and how it rolls out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ecs import Ecs
from infraconsole.world.company import load
from infraconsole.world.process import World
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
Console = Callable[..., Done]


@pytest.fixture(scope="module")
def console(world: World, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """Runs a runbook as a script does; Terraform takes its provider from the mirror."""
    file = tmp_path_factory.mktemp("cli") / "terraformrc"
    mirror = json.dumps(str(Path(MIRROR).absolute()))
    file.write_text(f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n")
    environ = {**world.applied(), "TF_CLI_CONFIG_FILE": str(file)}

    def run(runbook: str, environment: str, *more: str, service: str = "fileflow") -> Done:
        arguments = ("run", runbook, "--service", service, "--env", environment, "--json", *more)
        done = subprocess.run(
            (sys.executable, "-m", "infraconsole", *arguments),
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Done(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)

    return run


def running_tag(world: World, environment: str) -> str:
    ecs = Ecs(AwsAccess(region=world.region, environ=world.applied()))
    service = ecs.service(f"fileflow-{environment}-cluster", f"fileflow-{environment}-service")
    return ecs.task_definition(service.task_definition).image_tag


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
