"""What the world puts on disk: credentials, the console's settings, and the company's repositories. All of it lies in
the world's own folder, so that the user's AWS configuration is neither read nor written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from infraconsole import naming
from infraconsole.clock import Tempo, ToldTime
from infraconsole.world import history
from infraconsole.world.company import Company

CREDENTIALS = Path("aws/credentials")
AWS_CONFIG = Path("aws/config")
SETTINGS = Path("infraconsole.toml")
STATE = Path("state")
WORLD_FILE = Path("world.json")
CLOCK_FILE = Path("clock.json")
LOG_FILE = Path("world.log")
REPOSITORIES = Path("repos")
Variable = str | int | bool | Mapping[str, str]
_TERRAFORM = Path(__file__).parents[1] / "assets/world/terraform"


def write_private(path: Path, text: str) -> None:
    """Replace `path` at once, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def write_clock(root: Path, endpoint: str, tempo: Tempo) -> None:
    write_private(root / CLOCK_FILE, json.dumps(ToldTime.here(endpoint, tempo).as_json()) + "\n")


def clear(root: Path) -> None:
    """Take away what tells others of a world, since it ends."""
    for file in (CLOCK_FILE, WORLD_FILE):
        (root / file).unlink(missing_ok=True)


def write_credentials(root: Path, access_key: str, secret: str, token: str) -> None:
    write_private(
        root / CREDENTIALS,
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\naws_session_token = {token}\n",
    )


def write_settings(root: Path, company: Company) -> None:
    """The AWS configuration and the console's own, for the world's company."""
    write_private(root / AWS_CONFIG, f"[default]\nregion = {company.region}\noutput = json\n")
    lines = [
        "# The embedded world's company. Rewritten each time the world starts.",
        f'region = "{company.region}"',
        f'dr_region = "{company.dr_region}"',
        f'export_root = "{naming.EXPORT_ROOT}"',
        "",
        "[infrastructure]",
        f'path = "{REPOSITORIES / "infrastructure/terraform"}"',
    ]
    for service in company.services:
        lines += ["", f"[services.{service}]", f'path = "{REPOSITORIES / service / "infrastructure/terraform"}"']
    for name, environment in company.environments.items():
        lines += [
            "",
            f"[environments.{name}]",
            f'account = "{company.account}"',
            f'state_bucket = "{environment.state_bucket}"',
            f'lock_table = "{naming.LOCK_TABLE}"',
        ]
        if environment.approvers:
            lines.append(f"approvers = {json.dumps(list(environment.approvers))}")
        if environment.window:
            lines.append(f'window = "{environment.window}"')
    write_private(root / SETTINGS, "\n".join(lines) + "\n")


def write_repositories(root: Path, company: Company, ports: Mapping[tuple[str, str], int]) -> None:
    """The Terraform roots, as the newest apply left them: their image tags are what the next apply would deploy.

    `ports` are those of the load balancers, by service and environment.
    """
    repositories = root / REPOSITORIES
    shutil.rmtree(repositories, ignore_errors=True)
    for service in company.services:
        folder = repositories / service / "infrastructure/terraform"
        shutil.copytree(_TERRAFORM / "application", folder)
        for name in company.environments:
            values = _variables(company, service, name, ports[(service, name)])
            _write_tfvars(folder / naming.tfvars_path(name), service, name, values)
        history.commit(repositories / service, company, service)
    infrastructure = repositories / "infrastructure/terraform"
    for module in ("network", "kms", "rds", "monitoring"):
        _copy_module(module, infrastructure / module)
    for service in company.services:
        _copy_module("ecr", infrastructure / "ecr" / service, service)
    for name, about in company.environments.items():
        _write_tfvars(
            infrastructure / "rds" / naming.tfvars_path(name),
            "shared RDS",
            name,
            {
                "environment": name,
                "instance_class": about.database_class,
                "multi_az": about.multi_az,
                "master_secret_suffix": company.secret_suffix("shared", name),
            },
        )
    history.commit(repositories / "infrastructure", company)


def _copy_module(module: str, folder: Path, service: str = "") -> None:
    source = _TERRAFORM / "infrastructure"
    folder.mkdir(parents=True)
    for file in (source / "versions.tf", *(source / module).iterdir()):
        (folder / file.name).write_text(file.read_text("utf-8").replace("SERVICE", service), "utf-8")


def _write_tfvars(path: Path, what: str, environment: str, values: Mapping[str, Variable]) -> None:
    width = max(map(len, values))
    lines = [f"{key:<{width}} = {_written(value)}" for key, value in values.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {what} in {environment}\n\n" + "\n".join(lines) + "\n", "utf-8")


def _written(value: Variable) -> str:
    if not isinstance(value, Mapping):
        return json.dumps(value)
    width = max(map(len, value), default=0)
    return "{\n" + "".join(f"  {key:<{width}} = {json.dumps(item)}\n" for key, item in value.items()) + "}"


def _variables(company: Company, service: str, environment: str, port: int) -> dict[str, Variable]:
    about, owner = company.environments[environment], company.services[service]
    return {
        "environment": environment,
        "aws_region": company.region,
        "service_name": service,
        "image_tag": company.tag(service, environment, company.newest.number),
        "ecs_task_cpu": str(about.cpu),
        "ecs_task_memory": str(about.memory),
        "ecs_desired_count": about.desired,
        "ecs_container_port": company.container_port,
        "db_name": service,
        "db_username": f"{service}_user",
        "redis_node_type": about.redis_node_type,
        "redis_num_cache_nodes": about.redis_nodes,
        "tags_owner": owner.owner,
        "tags_cost_center": owner.cost_center,
        "tags_team": owner.team,
        "tags_data_class": owner.data_class,
        "app_environment": company.application_environment(service, company.newest),
        "alb_port": port,
        "db_credentials_suffix": company.secret_suffix(service, environment),
        # The emulator has no replication groups.
        "redis_enabled": False,
        "log_retention_days": about.retention["application"],
        "error_log_retention_days": about.retention["error"],
    }
