"""What the world puts on disk: credentials, the console's settings, and the company's repositories. All of it lies in
the world's own folder, so that the user's AWS configuration is neither read nor written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from infraconsole import naming
from infraconsole.world.company import Company

CREDENTIALS = Path("aws/credentials")
AWS_CONFIG = Path("aws/config")
SETTINGS = Path("infraconsole.toml")
STATE = Path("state")
WORLD_FILE = Path("world.json")
LOG_FILE = Path("world.log")
REPOSITORIES = Path("repos")


def write_private(path: Path, text: str) -> None:
    """Replace `path` at once, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def write_credentials(root: Path, access_key: str, secret: str, token: str) -> None:
    write_private(
        root / CREDENTIALS,
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\naws_session_token = {token}\n",
    )


def write_settings(root: Path, company: Company) -> None:
    """The AWS configuration and the console's own, for the world's company."""
    write_private(root / AWS_CONFIG, f"[default]\nregion = {company.region}\noutput = json\n")
    lines = [
        "# The embedded world's company. Written anew each time the world starts.",
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


def write_repositories(root: Path, company: Company) -> None:
    """The Terraform roots, as the newest apply left them: their image tags are what the next apply would deploy."""
    repositories = root / REPOSITORIES
    shutil.rmtree(repositories, ignore_errors=True)
    for service in company.services:
        folder = repositories / service / "infrastructure/terraform"
        folder.mkdir(parents=True)
        (folder / "variables.tf").write_text(_VARIABLES, "utf-8")
        (folder / "data.tf").write_text(_data(service), "utf-8")
        for name in company.environments:
            path = folder / naming.tfvars_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_tfvars(company, service, name), "utf-8")
    infrastructure = repositories / "infrastructure/terraform"
    for module, exports in _exports(company).items():
        (infrastructure / module).mkdir(parents=True)
        (infrastructure / module / "ssm-parameters.tf").write_text(exports, "utf-8")


def _tfvars(company: Company, service: str, environment: str) -> str:
    about, owner = company.environments[environment], company.services[service]
    values: dict[str, str | int] = {
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
    }
    width = max(map(len, values))
    lines = [f"{key:<{width}} = {json.dumps(value)}" for key, value in values.items()]
    return f"# {service} in {environment}\n\n" + "\n".join(lines) + "\n"


_VARIABLES = "\n".join(
    f'variable "{name}" {{\n  description = "{description}"\n  type        = {kind}\n}}\n'
    for name, kind, description in (
        ("environment", "string", "dev, staging or prod"),
        ("aws_region", "string", "Region of everything in here"),
        ("service_name", "string", "Name of the service"),
        ("image_tag", "string", "Tag of the image to deploy"),
        ("ecs_task_cpu", "string", "CPU units of a task"),
        ("ecs_task_memory", "string", "Memory of a task in MiB"),
        ("ecs_desired_count", "number", "Number of tasks"),
        ("ecs_container_port", "number", "Port the container listens on"),
        ("db_name", "string", "Database on the shared RDS"),
        ("db_username", "string", "Database user"),
        ("redis_node_type", "string", "ElastiCache node type"),
        ("redis_num_cache_nodes", "number", "Number of cache nodes"),
        ("tags_owner", "string", "Tag Owner"),
        ("tags_cost_center", "string", "Tag CostCenter"),
        ("tags_team", "string", "Tag Team"),
    )
)


def _data(service: str) -> str:
    names = [*naming.required_exports(service), *naming.rds_exports("${var.environment}")]
    blocks = []
    for name in names:
        label = name.split("/", 3)[-1] if "/rds/" not in name else "shared_rds_" + name.rsplit("/", 1)[-1]
        label = label.replace(f"{service}-", "ecr_").replace("-", "_").replace("/", "_")
        blocks.append(f'data "aws_ssm_parameter" "{label}" {{\n  name = "{name}"\n}}\n')
    return "\n".join(blocks)


def _exports(company: Company) -> dict[str, str]:
    def parameter(label: str, name: str, kind: str, value: str) -> str:
        return (
            f'resource "aws_ssm_parameter" "{label}" {{\n'
            f'  name  = "{name}"\n  type  = "{kind}"\n  value = {value}\n  tags  = local.required_tags\n}}\n'
        )

    root = naming.EXPORT_ROOT
    network = [parameter("vpc_id", f"{root}/network/vpc-id", "String", "aws_vpc.main.id")]
    for tier in ("public", "private", "data"):
        name = f"{root}/network/{tier}-subnet-ids"
        network.append(
            parameter(f"{tier}_subnet_ids", name, "StringList", f'join(",", aws_subnet.{tier}[*].id)'),
        )
    keys = [
        parameter(
            f"{kind.replace('-', '_')}_key_arn",
            f"{root}/kms/{kind}-key-arn",
            "String",
            f"aws_kms_key.{kind.replace('-', '_')}.arn",
        )
        for kind in naming.KMS_KINDS
    ]
    leaves = ("endpoint", "identifier", "security-group-id", "master-secret-arn")
    values = (
        "aws_db_instance.shared.endpoint",
        "aws_db_instance.shared.identifier",
        "aws_security_group.rds.id",
        "aws_secretsmanager_secret.master.arn",
    )
    rds = [
        parameter(f"rds_{leaf.replace('-', '_')}", f"{root}/rds/${{var.environment}}/{leaf}", "String", value)
        for leaf, value in zip(leaves, values, strict=True)
    ]
    modules = {"network": "\n".join(network), "kms": "\n".join(keys), "rds": "\n".join(rds)}
    for service in company.services:
        modules[f"ecr/{service}"] = "\n".join(
            parameter(
                f"repository_{leaf}",
                f"{root}/ecr/{service}-repository-{leaf}",
                "String",
                f"aws_ecr_repository.{service}.{attribute}",
            )
            for leaf, attribute in (("url", "repository_url"), ("arn", "arn"))
        )
    return modules
