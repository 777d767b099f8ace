"""Deploys with the real AWS provider on the embedded world: what Terraform plans for the guide's company, and how it rolls out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import pytest

from infraconsole import naming
from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ecs import Ecs
from infraconsole.checks.application import application
from infraconsole.engine import catalogue, launch
from infraconsole.terraform import binary
from infraconsole.world import process
from infraconsole.world.company import load
from infraconsole.world.process import World
from tests import sensitive_attributes
from tests.faults.conftest import KILLED_EXECUTOR, Stage
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
        arguments = ("run", runbook, "--service", service, "--env", environment, "--json", *more)
        done = subprocess.run(
            (sys.executable, "-m", "infraconsole", *arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Done(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Not one that was forked off: its load balancers have other names than the states say."""
    world = process.start(tmp_path_factory.mktemp("world"), "healthy", 120.0)
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture(scope="module")
def console(world: World, tmp_path_factory: pytest.TempPathFactory) -> Console:
    file = cli_configuration(tmp_path_factory.mktemp("cli"))
    return Console({**world.applied(), "TF_CLI_CONFIG_FILE": str(file)})


def running_tag(world: World, environment: str) -> str:
    ecs = Ecs(AwsAccess(region=world.region, environ=world.applied()))
    service = ecs.service(f"fileflow-{environment}-cluster", f"fileflow-{environment}-service")
    found = application(ecs.task_definition(service.task_definition), "fileflow", service.load_balancers)
    assert found
    return found.image.tag


def drifted(world: World, done: Done) -> set[str]:
    """The attributes that the provider reads otherwise than the state has them, also where it means nothing."""
    file = Path(world.applied()["INFRACONSOLE_STATE"]) / "runs" / done.run / "plan.json"
    changes = [each["change"] for each in json.loads(file.read_bytes()).get("resource_drift", ())]
    sides = [(each["before"] or {}, each["after"] or {}) for each in changes]
    return {name for before, after in sides for name in {*before, *after} if before.get(name) != after.get(name)}


@pytest.mark.parametrize("module", ["network", "kms", "rds"])
def test_the_states_of_the_modules_are_what_the_provider_reads(console: Console, world: World, module: str) -> None:
    done = console("deploy", "dev", "--dry-run", service=module)
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "nothing to do"
    assert drifted(world, done) == ({"latest_restorable_time"} if module == "rds" else set())
    assert "outside of Terraform" not in done.warnings


def test_the_code_of_a_healthy_company_finds_nothing_to_do(console: Console, world: World) -> None:
    done = console("deploy", "dev")
    assert done.code == 0, done.stderr
    assert done.result("read-plan")["words"] == "nothing to do"
    assert done.count("gate-opened") == done.count("call-intended") == 0
    notes = " ".join(each["text"] for each in done.events if each["kind"] == "note")
    assert "exports that the code reads are there" in notes
    assert not drifted(world, done), "the state is what the provider reads"


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


def test_after_a_state_rollback_nobody_is_accused_of_what_only_the_state_has_forgotten(
    console: Console, world: World
) -> None:
    company = load()
    listed = client(world, "s3").list_object_versions(
        Bucket=company.environments["dev"].state_bucket, Prefix=naming.STATE_KEY.format(service="crawler")
    )["Versions"]
    done = console(
        "state-rollback",
        "dev",
        "--set",
        f"version={listed[1]['VersionId']}",
        "--answer",
        "confirm=yes",
        service="crawler",
    )
    assert done.code == 0, done.stderr
    again = console("deploy", "dev", "--dry-run", service="crawler")
    assert again.code == 0, again.stderr
    for said in (done.warnings, again.warnings):
        for word in ("Somebody", "outside of Terraform", "pin image_tag"):
            assert word not in said
    notes = " ".join(each["text"] for each in again.events if each["kind"] == "note")
    assert "AWS is ahead of the state that was put back in task_definition" in notes


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


def test_a_tag_that_ecr_does_not_have_is_said_before_anything_is_applied(console: Console) -> None:
    done = console("deploy", "dev", "--set", "image_tag=nosuch1", "--dry-run")
    assert done.code == 0, done.stderr
    assert "fileflow:nosuch1 is brought, and its repository does not have it" in done.warnings


@pytest.mark.parametrize("tag_is_fixed", [True, False], ids=["nothing-to-change", "another-change"])
def test_an_image_that_the_code_does_not_take_is_no_success(console: Console, world: World, tag_is_fixed: bool) -> None:
    """With the tag fixed in the code; where it is not fixed everywhere, the plan has a change, which is not the image."""
    root = world.dir / "repos/fileflow/infrastructure/terraform"
    runs = running_tag(world, "dev")
    names = ("locals.tf", "containers.tf", "outputs.tf") if tag_is_fixed else ("locals.tf",)
    was = {file: file.read_text() for file in (root / name for name in names)}
    for file, text in was.items():
        fixed = text.replace("${var.image_tag}", runs).replace("= var.image_tag", f'= "{runs}"')
        assert fixed != text
        file.write_text(fixed)
    try:
        done = console("deploy", "dev", "--set", "image_tag=brandnew1", "--answer", "confirm=yes")
    finally:
        for file, text in was.items():
            file.write_text(text)
    assert "The tag brandnew1 was asked for" in done.warnings
    if tag_is_fixed:
        assert (done.code, done.count("gate-opened")) == (1, 0)
        assert "does not run the image brandnew1" in done.stderr
    else:
        assert (done.code, done.count("call-intended")) == (3, 0)
        assert "--answer type-target=" in done.stderr


def test_what_somebody_puts_there_right_after_the_apply_is_not_taken_for_what_was_deployed(
    world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(world)
    was = stage.current("fileflow", "dev")
    company = load()
    for name, value in console.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INFRACONSOLE_TEST_KILL", "hold:call-done:apply")
    monkeypatch.setattr(launch, "_EXECUTOR", (str(KILLED_EXECUTOR),))
    run = launch.begin(
        stage.journal,
        catalogue.runbook("deploy"),
        stage.config,
        service="fileflow",
        environment="dev",
        inputs={"image_tag": company.tag("fileflow", "dev", company.newest.number - 2)},
        answers=[("confirm", "yes")],
        interactive=False,
        operator="kim",
    )
    stage.until(lambda: "call-done" in stage.kinds(run) or stage.record(run).finished, "the apply to be over", 120)
    deployed = stage.current("fileflow", "dev")
    assert deployed != was, stage.record(run).ending
    stage.somebody_else_updates("fileflow", "dev", was)
    (stage.folder / "go").touch()
    record = stage.until_finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 1)
    assert f"is on fileflow-dev:{was}, not on fileflow-dev:{deployed}, which was deployed" in record.ending
    stage.until_gone(run)
    stage.close()
