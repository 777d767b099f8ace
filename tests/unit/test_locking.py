"""Which lock protects a state: settings, the code's own backend block, what init has told, and Terraform's version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infraconsole import config as settings
from infraconsole.checks import state_protection
from infraconsole.engine import policy
from infraconsole.engine.gate import ERROR
from infraconsole.engine.policy import Purpose
from infraconsole.target import Target
from infraconsole.terraform import backend
from infraconsole.terraform.backend import Found, S3Backend
from infraconsole.terraform.declared import declared_in
from infraconsole.terraform.locking import Lock, LockSettings, Protection, arguments_beside, protection, with_default
from tests.unit.test_terraform_steps import NOW

NEW, OLD = (1, 11, 4), (1, 9, 8)
BARE = Found("s3", {})
TABLE = Found("s3", {"dynamodb_table": "code-locks"})
FILE = Found("s3", {"use_lockfile": True})


def wanted(use_lockfile: bool | None = None, table: str | None = None) -> S3Backend:
    return S3Backend("b", "k", "r", use_lockfile, table)


def lock(
    use_lockfile: bool | None = None,
    table: str | None = None,
    *,
    bucket: bool = True,
    declared: Found | None = BARE,
    version: tuple[int, ...] = NEW,
    told: Found | None = None,
) -> Protection:
    place = wanted(use_lockfile, table) if bucket else None
    return protection(LockSettings(use_lockfile, table, "[environments.dev]"), place, declared, version, told)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Lock.LOCKFILE),
        ({"version": (1, 10, 0)}, Lock.LOCKFILE),
        ({"version": OLD}, Lock.NONE),
        ({"version": ()}, Lock.UNKNOWN),
        ({"use_lockfile": True}, Lock.LOCKFILE),
        ({"use_lockfile": False}, Lock.NONE),
        ({"use_lockfile": False, "version": OLD}, Lock.NONE),
        ({"use_lockfile": False, "table": "t"}, Lock.TABLE),
        ({"table": "t"}, Lock.TABLE),
        ({"table": "t", "version": OLD}, Lock.TABLE),
        ({"use_lockfile": True, "table": "t"}, Lock.BOTH),
        ({"declared": TABLE}, Lock.TABLE),
        ({"declared": TABLE, "version": OLD}, Lock.TABLE),
        ({"declared": TABLE, "use_lockfile": False}, Lock.TABLE),
        ({"declared": TABLE, "use_lockfile": True}, Lock.BOTH),
        ({"declared": FILE, "use_lockfile": False}, Lock.LOCKFILE),
        ({"declared": FILE, "table": "t"}, Lock.BOTH),
        ({"declared": None}, Lock.LOCKFILE),
        ({"declared": None, "use_lockfile": False}, Lock.UNKNOWN),
        ({"declared": None, "version": OLD}, Lock.UNKNOWN),
        ({"declared": None, "table": "t"}, Lock.TABLE),
        ({"bucket": False}, Lock.LOCKFILE),
        ({"bucket": False, "version": OLD}, Lock.NONE),
        ({"bucket": False, "version": ()}, Lock.UNKNOWN),
        ({"bucket": False, "use_lockfile": False}, Lock.NONE),
        ({"bucket": False, "use_lockfile": False, "version": ()}, Lock.NONE),
        ({"bucket": False, "table": "t", "version": OLD}, Lock.TABLE),
        ({"bucket": False, "declared": TABLE, "version": OLD}, Lock.TABLE),
        ({"bucket": False, "declared": FILE}, Lock.LOCKFILE),
        ({"bucket": False, "declared": None}, Lock.UNKNOWN),
        ({"bucket": False, "declared": Found("local", {})}, Lock.LOCAL),
        ({"bucket": False, "declared": Found("gcs", {})}, Lock.BACKEND),
        ({"bucket": False, "declared": Found("cloud", {})}, Lock.BACKEND),
        ({"bucket": False, "declared": Found("http", {})}, Lock.NONE),
        ({"bucket": False, "declared": Found("http", {"lock_address": "https://x"})}, Lock.BACKEND),
        ({"bucket": False, "declared": Found("oss", {})}, Lock.NONE),
        ({"bucket": False, "declared": Found("consul", {"lock": False})}, Lock.NONE),
        ({"bucket": False, "declared": Found("consul", {})}, Lock.BACKEND),
        ({"bucket": False, "declared": Found("something", {})}, Lock.UNKNOWN),
        ({"told": Found("s3", {"use_lockfile": None, "dynamodb_table": None})}, Lock.NONE),
        ({"told": Found("s3", {"use_lockfile": True})}, Lock.LOCKFILE),
        ({"told": Found("s3", {"dynamodb_table": "t"}), "use_lockfile": False}, Lock.TABLE),
        ({"told": Found("local", {})}, Lock.LOCAL),
    ],
)
def test_which_lock_protects_a_state(given: dict[str, Any], expected: Lock) -> None:
    found = lock(**given)
    assert found.lock is expected
    assert found.why.endswith(".")
    assert bool(found.mend) is (expected is Lock.NONE)
    assert bool(found.danger) is (expected is Lock.NONE)


def test_what_helps_is_what_is_in_the_way() -> None:
    assert "Remove use_lockfile = false" in lock(False).mend
    assert "[environments.dev]" in lock(False).why
    old = lock(version=OLD)
    assert "1.9.8" in old.why
    assert "Upgrade Terraform to 1.10 or newer, or set lock_table in [environments.dev]." in old.mend
    assert "s3:PutObject" in lock(False).rights
    assert "two deploys at the same time lose resources" in old.danger


def test_use_lockfile_is_on_where_nothing_else_locks_and_terraform_can() -> None:
    assert with_default(wanted(), BARE, NEW).arguments(NEW)[-1] == "use_lockfile=true"
    assert "use_lockfile=true" not in with_default(wanted(), BARE, OLD).arguments(OLD)
    assert "use_lockfile=true" not in with_default(wanted(), TABLE, NEW).arguments(NEW)
    assert "use_lockfile=true" not in with_default(wanted(table="t"), BARE, NEW).arguments(NEW)
    assert "use_lockfile=true" not in with_default(wanted(False), BARE, NEW).arguments(NEW)
    assert with_default(wanted(True), TABLE, NEW).arguments(NEW)[-1] == "use_lockfile=true"
    assert with_default(wanted(), BARE, ()).use_lockfile is None


def test_where_the_code_alone_says_where_the_state_is_only_the_lock_is_added() -> None:
    assert arguments_beside(LockSettings(), BARE, NEW) == ("use_lockfile=true",)
    assert arguments_beside(LockSettings(), BARE, OLD) == ()
    assert arguments_beside(LockSettings(False), BARE, NEW) == ()
    assert arguments_beside(LockSettings(lock_table="t"), BARE, OLD) == ("dynamodb_table=t",)
    assert arguments_beside(LockSettings(), TABLE, NEW) == ()
    assert arguments_beside(LockSettings(), Found("gcs", {}), NEW) == ()
    assert arguments_beside(LockSettings(), None, NEW) == ()


# The code's own backend block

S3_BLOCK = """
# backend "local" {} in a comment
/* terraform { backend "gcs" {} } */
terraform {
  required_version = ">= 1.5" // } a brace
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
  backend "s3" {
    bucket         = "states"
    key            = "a}b/terraform.tfstate"
    encrypt        = true
    dynamodb_table = "locks" # of all
    assume_role = {
      role_arn = "arn:aws:iam::1:role/x"
    }
    use_lockfile = true
  }
}

locals {
  text = <<-EOT
    terraform { backend "http" {
  EOT
  backend = "not one"
}
"""


def code(folder: Path, **files: str) -> Found | None:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return declared_in(folder)


def test_the_backend_that_the_code_names(tmp_path: Path) -> None:
    found = code(tmp_path, main__tf=S3_BLOCK)
    assert found is not None
    assert found.type == "s3"
    assert {name: found.config[name] for name in ("key", "encrypt", "dynamodb_table", "use_lockfile")} == {
        "key": "a}b/terraform.tfstate",
        "encrypt": True,
        "dynamodb_table": "locks",
        "use_lockfile": True,
    }
    assert "role_arn" not in found.config


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ('terraform { backend "s3" {} }', "s3"),
        ('terraform {\n  backend "http" {\n    address = "x"\n  }\n}\n', "http"),
        ('terraform {\n  cloud {\n    organization = "x"\n  }\n}\n', "cloud"),
        ('resource "x" "backend" {\n  backend = "s3"\n}\n', "local"),
        ('terraform {\r\n  backend "s3" {\r\n    use_lockfile = true\r\n  }\r\n}\r\n', "s3"),
        ("", "local"),
    ],
)
def test_forms_of_a_backend(tmp_path: Path, text: str, type_: str) -> None:
    found = code(tmp_path, main__tf=text)
    assert found is not None
    assert found.type == type_


def test_override_files_come_last_and_json_counts(tmp_path: Path) -> None:
    found = code(tmp_path, main__tf=S3_BLOCK, backend_override__tf='terraform {\n  backend "gcs" {\n  }\n}\n')
    assert found == Found("gcs", {})
    json = '{"terraform": [{"backend": {"s3": {"dynamodb_table": "locks"}}}]}'
    assert code(tmp_path, override__tf__json=json) == Found("s3", {"dynamodb_table": "locks"})


@pytest.mark.parametrize("text", ["terraform {\n  backend", 'terraform { backend "s3" {', "}\nbackend"])
def test_code_that_cannot_be_read_tells_nothing(tmp_path: Path, text: str) -> None:
    assert code(tmp_path, main__tf=text) is None


def test_a_folder_without_code_tells_nothing(tmp_path: Path) -> None:
    assert declared_in(tmp_path) is None


# Findings


def world(folder: Path, **environments: dict[str, Any]) -> settings.Config:
    """A service and two modules, of which one serves all environments."""
    for name in ("web", "infra/network", "infra/rds"):
        root = folder / name
        for environment in environments if name != "infra/network" else ():
            (root / f"environments/{environment}").mkdir(parents=True)
            (root / f"environments/{environment}/terraform.tfvars").touch()
        root.mkdir(parents=True, exist_ok=True)
        (root / "main.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    document = {
        "region": "r",
        "infrastructure": {"path": str(folder / "infra")},
        "services": {"web": {"path": str(folder / "web")}},
        "environments": environments,
    }
    return settings.parse(document, None)


def test_each_state_without_a_lock_is_an_error_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    config = world(
        tmp_path,
        dev={"state_bucket": "d", "use_lockfile": False},
        prod={"state_bucket": "p", "lock_table": "t"},
    )
    found = list(state_protection.findings(config, {}, lambda _: NEW))
    errors = [(each.id, each.subject) for each in found if each.level == "error"]
    assert errors == [("state-unlocked", "web dev"), ("state-unlocked", "rds dev")]
    assert "Remove use_lockfile = false" in found[0].mend
    assert "s3:DeleteObject" in found[0].mend
    (fine,) = [each for each in found if each.level == "info"]
    assert fine.message == "Locked: web prod (table), network (table), rds prod (table)."
    everything = world(tmp_path / "old", dev={"state_bucket": "d"}, prod={"state_bucket": "p"})
    old = list(state_protection.findings(everything, {}, lambda _: OLD))
    assert {each.subject for each in old} == {"web dev", "web prod", "network", "rds dev", "rds prod"}
    assert {each.level for each in old} == {"error"}
    assert [each.level for each in state_protection.findings(everything, {}, lambda _: NEW)] == ["info"]


def test_what_an_earlier_init_has_set_up_counts_only_while_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock file that it turned on is off with the next init, once the settings say so."""
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    before = world(tmp_path, dev={"state_bucket": "d"})
    backing = state_protection.backing(before, "web", "dev", {}, NEW)
    backing.data.mkdir(parents=True)
    (backing.data / "terraform.tfstate").write_text(
        '{"backend": {"type": "s3", "config": {"bucket": "d", "key": "web/terraform.tfstate", "use_lockfile": true}}}'
    )
    backend.note_init(backing.folder, backing.data, backing.init_arguments)
    assert backing.protection.lock is Lock.LOCKFILE
    document = {"region": "r", "services": {"web": {"path": str(tmp_path / "web")}}}
    after = settings.parse({**document, "environments": {"dev": {"state_bucket": "d", "use_lockfile": False}}}, None)
    assert state_protection.backing(after, "web", "dev", {}, NEW).protection.is_missing
    assert backend.why_init(backing.folder, backing.data, ()) == "the backend's settings have changed"


def test_where_the_code_is_not_at_hand_the_settings_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    environments = {"dev": {"state_bucket": "d"}, "prod": {"state_bucket": "p", "use_lockfile": False}}
    config = settings.parse({"region": "r", "services": {"web": {}}, "environments": environments}, None)
    assert state_protection.of_view(config, "web", "dev", {}, NEW).lock is Lock.LOCKFILE
    assert state_protection.of_view(config, "web", "prod", {}, NEW).lock is Lock.UNKNOWN


# Gates


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_danger_is_typed_by_its_own_gate_in_every_environment(environment: str, purpose: Purpose) -> None:
    about = settings.EnvironmentSettings(environment)

    def opened(**more: Any) -> list[str]:
        found = policy.gates(
            policy.policy_for(purpose, about),
            Target("web", environment, "r"),
            title="Do it",
            changes=["one"],
            reason="because it has to be",
            now=NOW,
            **more,
        )
        assert all((found[-1].changes[0] == f"{ERROR}No lock.") is bool(more.get("danger")) for _ in found)
        return [gate.id for gate in found]

    assert opened() == ["type-target" if environment == "prod" else "confirm"]
    assert opened(danger="No lock.") == ["type-danger"]
    again = opened(danger="No lock.", typed=policy.AFTER_ANOTHER)
    assert again == ["type-danger", "type-again" if environment == "prod" else "confirm"]
