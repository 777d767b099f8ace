"""OpenTofu in Terraform's place, for all or for one repository; and the versions that code asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config, naming
from infraconsole.checks.programs import Programs
from infraconsole.errors import ConfigError, ToolMissing
from infraconsole.terraform import binary, pins, reader
from infraconsole.terraform.declared import declared_in
from infraconsole.terraform.exports import Trace
from infraconsole.terraform.state import StateEncrypted, StateTooNew, summary
from tests.unit.traces import parse_here, traced_through

Write = Callable[..., Trace]


def program(folder: Path, name: str, product: str, version: str) -> Path:
    """One that answers `version` as Terraform and OpenTofu do, and nothing else."""
    members = {"terraform_version": version, "platform": "linux_amd64", "provider_selections": {}}
    more = {"terraform_outdated": False} if product == "Terraform" else {}
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(
        f"#!/bin/sh\nif [ \"$2\" = -json ]; then echo '{json.dumps(members | more)}'; else echo '{product} v{version}'; fi\n"
    )
    file.chmod(0o755)
    return file


def settings(tmp_path: Path, text: str) -> config.Config:
    file = tmp_path / "infraconsole.toml"
    file.write_text(text)
    return config.load(file)


BOTH = """
[terraform]
binary = "tofu"
[services.authhub]
path = "authhub"
[services.fileflow]
path = "fileflow"
[services.fileflow.terraform]
binary = "./bin/terraform-1.9"
[infrastructure]
path = "infra"
terraform = { binary = "terraform" }
"""


def test_the_settings_name_a_program_for_all_and_for_single_repositories(tmp_path: Path) -> None:
    loaded = settings(tmp_path, BOTH)
    assert loaded.program_of("authhub") == config.Program("tofu", "terraform")
    assert loaded.program_of("authhub").is_tofu
    own = loaded.program_of("fileflow")
    assert (own.binary, own.where, own.is_own) == (
        str(tmp_path / "bin/terraform-1.9"),
        "services.fileflow.terraform",
        True,
    )
    assert loaded.program_of("network").binary == "terraform"
    with pytest.raises(ConfigError, match="terraform"):
        settings(tmp_path, '[terraform]\nbinaries = "tofu"\n')


def test_what_is_named_for_one_repository_counts_before_the_environment_and_that_before_the_rest(
    tmp_path: Path,
) -> None:
    tofu = program(tmp_path / "bin", "tofu", "OpenTofu", "1.10.6")
    mine = program(tmp_path / "bin", "mine", "Terraform", "1.12.0")
    on_path = program(tmp_path / "bin", "terraform", "Terraform", "1.11.4")
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    named = {**environ, binary.VARIABLE: str(mine)}
    own, all_ = config.Program("tofu", "services.x.terraform", is_own=True), config.Program("tofu")
    assert binary.find(named, own).argv == (str(tofu),)
    assert binary.find(named, all_).argv == (str(mine),)
    found = binary.find(environ, all_)
    assert (found.argv, found.source, found.product, found.version, found.name) == (
        (str(tofu),),
        "settings",
        "OpenTofu",
        "1.10.6",
        "tofu",
    )
    assert (binary.find(environ).argv, binary.find(environ).product) == ((str(on_path),), "Terraform")


def test_a_link_called_terraform_is_what_it_says_it_is(tmp_path: Path) -> None:
    program(tmp_path / "bin", "terraform", "OpenTofu", "1.10.6")
    assert binary.find({"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}).is_tofu


def test_a_program_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing) as caught:
        binary.find({"PATH": str(tmp_path)}, config.Program("tofu", "services.x.terraform", is_own=True))
    assert "[services.x.terraform]" in caught.value.title
    assert "OpenTofu" in caught.value.mend


@pytest.mark.parametrize(
    ("product", "name", "expected"),
    [
        ("OpenTofu", "tofu", True),
        ("OpenTofu", "tf-wrapper", True),
        ("OpenTofu", "terraform", True),
        ("Terraform", "terraform-1.9", False),
        ("Terraform", "tf", False),
    ],
)
@pytest.mark.parametrize("where", ["environment", "settings", "own", "path"])
def test_the_code_is_read_as_the_program_reads_it_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str, name: str, expected: bool, where: str
) -> None:
    made = 'resource "aws_ssm_parameter" "it" {\n  name = "/shared/NAME"\n}\n'
    files = {"infra/x/a.tf": made.replace("NAME", "terraform"), "infra/x/a.tofu": made.replace("NAME", "tofu")}
    file = program(tmp_path / "bin", "terraform" if where == "path" else name, product, "1.10.6")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    other = program(tmp_path / "other", "tofu" if product == "Terraform" else "terraform", "Neither", "1.0.0")
    settings: dict[str, Any] = {}
    if where == "environment":
        monkeypatch.setenv(binary.VARIABLE, str(file))
        settings = {"terraform": {"binary": str(other)}}
    elif where == "settings":
        settings = {"terraform": {"binary": str(file)}}
    elif where == "own":
        monkeypatch.setenv(binary.VARIABLE, str(other))
        settings = {"infrastructure": {"path": "infra", "terraform": {"binary": str(file)}}}
    monkeypatch.setattr(reader, "parse", parse_here)
    found = traced_through(tmp_path, files, **settings)
    assert [each.name for each in found.producers] == ["/shared/tofu" if expected else "/shared/terraform"]


def test_a_link_to_opentofu_is_opentofu_and_what_is_not_there_goes_by_its_name(tmp_path: Path) -> None:
    real = program(tmp_path / "bin", "tofu", "broken", "1.10.6")
    (tmp_path / "bin/terraform").symlink_to(real)
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    assert binary.reads_tofu(config.Program(), environ)
    assert binary.reads_tofu(config.Program("/gone/tofu-1.10"), environ)
    assert not binary.reads_tofu(config.Program("/gone/terraform"), environ)


def test_where_only_opentofu_is_there_the_way_to_use_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "wheel_library", lambda: None)
    program(tmp_path / "bin", "tofu", "OpenTofu", "1.10.6")
    with pytest.raises(ToolMissing) as caught:
        binary.find({"PATH": str(tmp_path / "bin")})
    assert 'binary = "tofu"' in caught.value.mend


def test_each_reads_its_own_files() -> None:
    names = ["a.tf", "a.tofu", "b.tf", "c.tofu", "d.tf.json", "d.tofu.json", "x.txt"]
    assert naming.code_files(names, tofu=False) == ["a.tf", "b.tf", "d.tf.json"]
    assert naming.code_files(names, tofu=True) == ["a.tofu", "b.tf", "c.tofu", "d.tofu.json"]


def test_exports_are_those_of_the_program_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "parse", parse_here)
    traced: Write = partial(traced_through, tmp_path)
    made = 'resource "aws_ssm_parameter" "it" {\n  name = "/shared/NAME"\n  value = "x"\n}\n'
    files = {
        "infra/x/a.tf": made.replace("NAME", "terraform"),
        "infra/x/a.tofu": made.replace("NAME", "tofu"),
        "fileflow/m.tofu": 'data "aws_ssm_parameter" "it" { name = "/shared/tofu" }\n',
    }
    assert [each.name for each in traced(files).producers] == ["/shared/terraform"]
    found = traced(files, terraform={"binary": "tofu"})
    assert [each.name for each in found.producers] == ["/shared/tofu"]
    assert len(found.consumers_of("/shared/tofu")) == 1


def test_the_backend_is_that_of_the_program_that_is_used(tmp_path: Path) -> None:
    (tmp_path / "b.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    (tmp_path / "b.tofu").write_text('terraform {\n  backend "gcs" {}\n}\n')
    assert [(found := declared_in(tmp_path, tofu=tofu)) and found.type for tofu in (False, True)] == ["s3", "gcs"]


def test_an_encrypted_state_is_called_so() -> None:
    state = {"serial": 7, "lineage": "l", "meta": {}, "encrypted_data": "c2VjcmV0", "encryption_version": "v0"}
    with pytest.raises(StateEncrypted) as caught:
        summary(json.dumps(state).encode())
    assert "encrypted by OpenTofu" in caught.value.title
    assert "serial is 7" in caught.value.cause
    assert isinstance(caught.value, StateTooNew), "nothing is wrong with it, and nothing is to be put over it"


# --- Versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "constraint", "expected"),
    [
        ("1.11.4", ">= 1.5", True),
        ("1.11.4", "~> 1.9", True),
        ("1.11.4", "~> 1.9.0", False),
        ("2.0.0", "~> 1.9", False),
        ("1.9.0", "~> 1.9.2", False),
        ("1.11.4", ">= 1.5, < 1.11", False),
        ("1.11.4", "1.11.4", True),
        ("1.11.4", "v1.11.4", True),
        ("1.11.4", "= 1.11", False),
        ("1.11.0", "= 1.11", True),
        ("1.11.4", "!= 1.11.4", False),
        ("1.12.0-beta1", ">= 1.11", False),
        ("1.12.0-beta1", "1.12.0-beta1", True),
        ("1.11.4", "~> 1", True),
        ("2.3.4", "~> 1", True),
        ("1.11.4", "~> 0", True),
        ("1.11.4", "~> v1", True),
        ("1.11.4", "~> 2", False),
        ("1.11.4", "~> 1, < 2", True),
        ("2.0.0", "~> 1, < 2", False),
        ("1.11.4", "~> 1.0.0.0", False),
        ("1.11.4", "~> 1.11.4.0", False),
        ("1.11.4.2", "~> 1.11.4.0", True),
        ("1.12.0-beta1", "~> 1.11", False),
        ("1.12.0-beta2", ">= 1.12.0-beta1", True),
        ("1.13.0-beta1", ">= 1.12.0-beta1", False),
        ("1.12.0-beta1", "~> 1.12.0-beta1", True),
        ("1.12.0", "~> 1.12.0-beta1", False),
        ("1.12.0", ">= 1.12.0-beta1", True),
        ("1.12.0-beta.10", "> 1.12.0-beta.9", True),
        ("1.12.0-rc.1", "> 1.12.0-beta.9", True),
        ("1.11.4", "latest", None),
        ("1.11.4", "latest:^1.9", None),
        ("1.11.4", "", None),
    ],
)
def test_constraints_mean_what_terraform_means_by_them(version: str, constraint: str, expected: bool | None) -> None:
    """As hashicorp/go-version has it; those of 1.11.4 were tried on Terraform."""
    assert pins.meets(version, constraint) is expected


def test_what_the_code_and_version_managers_ask_for_is_found(tmp_path: Path) -> None:
    root = tmp_path / "repository/terraform"
    root.mkdir(parents=True)
    (tmp_path / "repository/.terraform-version").write_text("# ours\n1.9.5\n")
    (tmp_path / ".terraform-version").write_text("1.11.4\n")
    (root / ".tool-versions").write_text("nodejs 20\nterraform 1.9.5 # pinned\nopentofu 1.10.0\n")
    (root / "versions.tf").write_text(
        '# required_version = "9"\nterraform {\n  required_version = "~> 1.9.0"\n  required_providers {\n'
        '    aws = { source = "hashicorp/aws", version = "~> 5.0" }\n  }\n}\nlocals {\n  required_version = "8"\n}\n'
    )
    (root / "cdk.tf.json").write_text('{"terraform": {"required_version": ">= 1.5"}}')
    found = pins.unmet(root, "1.11.4", "Terraform", tofu=False)
    assert [(pin.wanted, pin.file.name, pin.binds) for pin in found] == [
        ("~> 1.9.0", "versions.tf", True),
        ("1.9.5", ".terraform-version", False),
        ("1.9.5", ".tool-versions", False),
    ]
    assert [pin.wanted for pin in pins.unmet(root, "1.9.5", "OpenTofu", tofu=True)] == ["1.10.0"]
    assert pins.unmet(root, "1.9.5", "Terraform", tofu=False) == ()


def test_the_doctor_names_programs_and_versions_by_repository(tmp_path: Path) -> None:
    program(tmp_path / "bin", "tofu", "OpenTofu", "1.10.6")
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    for service in ("authhub", "fileflow"):
        (tmp_path / service / "environments/prod").mkdir(parents=True)
        (tmp_path / service / "environments/prod/terraform.tfvars").touch()
    (tmp_path / "authhub/v.tofu").write_text('terraform {\n  required_version = "~> 1.9.0"\n}\n')
    found = {each.id: each for each in Programs(settings(tmp_path, BOTH), environ).findings()}
    assert (found["terraform-version"].subject, found["terraform-version"].level) == ("authhub", "error")
    assert "OpenTofu ~> 1.9.0; this is 1.10.6" in found["terraform-version"].message
    assert found["terraform-missing"].subject == "fileflow"
    assert "services.fileflow.terraform" in found["terraform-missing"].message
