"""Backends: what the settings mean, what init has left, and when it has to run again. No Terraform is run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config as settings
from infraconsole.errors import PrerequisiteMissing, ToolMissing
from infraconsole.terraform import backend

CONFIG = settings.parse(
    {
        "region": "ap-northeast-2",
        "services": {"fileflow": {}},
        "environments": {
            "dev": {"state_bucket": "dev-tfstate", "use_lockfile": True},
            "staging": {},
            "prod": {"state_bucket": "prod-tfstate", "lock_table": "terraform-lock", "region": "eu-west-1"},
        },
    },
    None,
)
DEV = backend.S3Backend("dev-tfstate", "fileflow/terraform.tfstate", "ap-northeast-2", use_lockfile=True)
PROD = backend.S3Backend("prod-tfstate", "fileflow/terraform.tfstate", "eu-west-1", lock_table="terraform-lock")


def test_what_the_settings_mean() -> None:
    assert backend.of_service(CONFIG, "fileflow", "dev", {}) == DEV
    assert backend.of_service(CONFIG, "fileflow", "prod", {}) == PROD
    assert backend.of_service(CONFIG, "fileflow", "staging", {}) is None
    assert DEV.arguments((1, 11, 4)) == (
        "bucket=dev-tfstate",
        "key=fileflow/terraform.tfstate",
        "region=ap-northeast-2",
        "use_lockfile=true",
    )
    assert PROD.arguments((1, 5, 0))[-1] == "dynamodb_table=terraform-lock"


def test_modules_of_all_environments_lie_with_prod() -> None:
    found = backend.of_module(CONFIG, "network", "", {})
    assert found == backend.S3Backend(
        "prod-tfstate", "network/terraform.tfstate", "eu-west-1", lock_table="terraform-lock"
    )
    found = backend.of_module(CONFIG, "rds", "dev", {})
    assert found == backend.S3Backend("dev-tfstate", "rds/terraform.tfstate", "ap-northeast-2", use_lockfile=True)
    assert backend.of_module(CONFIG, "rds", "staging", {}) is None


def test_an_old_terraform_cannot_lock_by_file() -> None:
    assert DEV.arguments((1, 10, 0))
    with pytest.raises(ToolMissing, match="too old"):
        DEV.arguments((1, 9, 8))


@pytest.mark.parametrize(
    ("environ", "path_style"),
    [
        ({}, False),
        ({"AWS_ENDPOINT_URL": ""}, False),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}, True),
        ({"AWS_ENDPOINT_URL_S3": "http://minio.internal:9000"}, True),
        (
            {"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_ENDPOINT_URL_S3": "https://s3.eu-west-1.amazonaws.com"},
            False,
        ),
        ({"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com"}, False),
        ({"AWS_ENDPOINT_URL_S3": "https://evil-amazonaws.com"}, True),
        ({"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:5000"}, False),
    ],
)
def test_buckets_in_the_path_only_where_the_endpoint_is_not_aws(environ: dict[str, str], path_style: bool) -> None:
    found = backend.of_service(CONFIG, "fileflow", "dev", environ)
    assert found is not None
    assert found.path_style is path_style
    assert ("use_path_style=true" in found.arguments((1, 11))) is path_style


def test_keys_of_workspaces() -> None:
    assert DEV.key_of("default") == "fileflow/terraform.tfstate"
    assert DEV.key_of("blue") == "env:/blue/fileflow/terraform.tfstate"


def recorded(data: Path, type_: str = "s3", **config: Any) -> None:
    data.mkdir(parents=True, exist_ok=True)
    body = {"version": 3, "terraform_version": "1.11.4", "backend": {"type": type_, "config": config, "hash": 1}}
    (data / "terraform.tfstate").write_text(json.dumps(body))


def test_what_init_has_left(tmp_path: Path) -> None:
    assert backend.found_in(tmp_path) is None
    recorded(
        tmp_path,
        bucket="dev-tfstate",
        key="fileflow/terraform.tfstate",
        region="ap-northeast-2",
        use_lockfile=True,
        dynamodb_table=None,
    )
    found = backend.found_in(tmp_path)
    assert found is not None
    assert DEV.differences(found) == ()
    assert found.local_state(tmp_path) is None
    assert PROD.differences(found) == (
        'bucket is "dev-tfstate", the settings say "prod-tfstate"',
        'region is "ap-northeast-2", the settings say "eu-west-1"',
        'dynamodb_table is not set, the settings say "terraform-lock"',
    )


def test_code_without_a_backend_keeps_its_state_on_this_machine(tmp_path: Path) -> None:
    backend.note_init(tmp_path, tmp_path / "data", DEV.arguments((1, 11)))
    found = backend.found_in(tmp_path / "data")
    assert found == backend.Found("local", {})
    assert DEV.differences(found) == (
        "the state is kept by the backend 'local', not in s3://dev-tfstate/fileflow/terraform.tfstate",
    )
    assert found.local_state(tmp_path) == tmp_path / "terraform.tfstate"
    assert found.local_state(tmp_path, "blue") == tmp_path / "terraform.tfstate.d/blue/terraform.tfstate"
    named = backend.Found("local", {"path": "state/here.tfstate", "workspace_dir": None})
    assert named.local_state(tmp_path) == tmp_path / "state/here.tfstate"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"backend": 3}', b'{"backend": {"config": 3}}'])
def test_a_record_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "terraform.tfstate").write_bytes(content)
    with pytest.raises(PrerequisiteMissing, match="cannot be read"):
        backend.found_in(tmp_path)


def test_a_data_folder_for_each_environment_and_checkout(tmp_path: Path) -> None:
    one, other = tmp_path / "a/terraform", tmp_path / "b/terraform"
    folders = {backend.data_dir(tmp_path, root, name) for root in (one, other) for name in ("dev", "prod", "")}
    assert len(folders) == 6
    assert all(folder.is_relative_to(tmp_path / "terraform") for folder in folders)
    assert backend.data_dir(tmp_path, tmp_path / "b/../a/terraform", "dev") == backend.data_dir(tmp_path, one, "dev")


class Root:
    """A root module with a local module and a remote one, initialised for dev."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.data = folder / "data"
        self.arguments = DEV.arguments((1, 11))
        for place in (self.root, folder / "shared/alb", self.data / "modules/vpc", self.data / "providers"):
            place.mkdir(parents=True)
        (self.root / "main.tf").write_text('module "alb" {\n  source = "../shared/alb"\n}\n')
        (folder / "shared/alb/main.tf").write_text("")
        (self.root / ".terraform.lock.hcl").write_text("# locks")
        recorded(self.data, bucket="dev-tfstate")
        modules = [
            {"Key": "", "Source": "", "Dir": "."},
            {"Key": "alb", "Source": "../shared/alb", "Dir": "../shared/alb"},
            {"Key": "vpc", "Source": "registry/x", "Dir": str(self.data / "modules/vpc")},
        ]
        (self.data / "modules/modules.json").write_text(json.dumps({"Modules": modules}))
        backend.note_init(self.root, self.data, self.arguments)

    def why(self) -> str:
        return backend.why_init(self.root, self.data, self.arguments)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_init_is_not_repeated(root: Root) -> None:
    assert root.why() == ""
    (root.root / "environments").mkdir()
    (root.root / "environments/terraform.tfvars").write_text("x = 1")
    (root.root / "errored.tfstate").write_text("{}")
    assert root.why() == ""


def test_init_never_ran(root: Root, tmp_path: Path) -> None:
    assert "never ran" in backend.why_init(root.root, tmp_path / "prod", root.arguments)
    backend.forget_init(root.data)
    backend.forget_init(root.data)
    assert "never ran" in root.why()


def test_init_after_the_settings_have_changed(root: Root) -> None:
    root.arguments = PROD.arguments((1, 11))
    assert root.why() == "the backend's settings have changed"


def test_init_after_changes_on_disk(root: Root) -> None:
    (root.root / ".terraform.lock.hcl").write_text("# other locks")
    assert root.why() == ".terraform.lock.hcl has changed"
    root = Root(root.root / "1")
    (root.root / "new.tf").write_text("")
    assert root.why() == "the code has changed"
    root = Root(root.root / "2")
    (root.root.parent / "shared/alb/main.tf").write_text("# changed")
    assert root.why() == "the code has changed"
    root = Root(root.root / "3")
    (root.data / "modules/modules.json").unlink()
    assert root.why() == "the installed modules have changed"
    root = Root(root.root / "4")
    (root.data / "modules/vpc").rmdir()
    assert root.why() == "modules or providers that it installed are gone"
    root = Root(root.root / "5")
    recorded(root.data, bucket="somebody-elses")
    assert root.why() == "Terraform's record of the backend has changed"
    root = Root(root.root / "6")
    (root.data / "infraconsole-init.json").write_text("{")
    assert "cannot be read" in root.why()
