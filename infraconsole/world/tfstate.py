"""Terraform state files of the world's services: version 4 documents as Terraform itself writes them. Separate from the
seed because they are pure text, and the same history of them is asked for by tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole import naming
from infraconsole.world.company import Company

TERRAFORM_VERSION = "1.9.8"
_PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'


@dataclass(frozen=True)
class StoredExport:
    """A parameter as its module's state has it: the resource's label, and its key where it has `for_each`."""

    name: str
    type: str
    value: str
    version: int
    label: str
    key: str = ""


def lineage(service: str, environment: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://ryuqqq.com/{service}/{environment}"))


def document(company: Company, service: str, environment: str, revision: int, arns: dict[str, str]) -> bytes:
    """The state after the apply that deployed `revision`; its serial is the revision. `arns` has alb, target-group, cluster."""
    about = company.environments[environment]
    family = naming.task_family(service, environment)
    prefix = f"arn:aws:ecs:{company.region}:{company.account}"
    image = f"{company.repository_url(service)}:{company.tag(service, environment, revision)}"
    cluster = naming.cluster(service, environment)
    definition = f"{prefix}:task-definition/{family}:{revision}"
    containers = [{"name": naming.container(service), "image": image, "essential": True}]
    resources = [
        _resource(
            "aws_ecs_cluster",
            "main",
            {"arn": arns["cluster"], "id": arns["cluster"], "name": cluster},
        ),
        _resource(
            "aws_ecs_task_definition",
            "app",
            {
                "arn": definition,
                "container_definitions": json.dumps(containers),
                "cpu": str(about.cpu),
                "family": family,
                "id": family,
                "memory": str(about.memory),
                "network_mode": "awsvpc",
                "requires_compatibilities": ["FARGATE"],
                "revision": revision,
            },
            version=1,
        ),
        _resource(
            "aws_ecs_service",
            "app",
            {
                "cluster": arns["cluster"],
                "desired_count": about.desired,
                "id": f"{prefix}:service/{cluster}/{naming.ecs_service(service, environment)}",
                "launch_type": "FARGATE",
                "name": naming.ecs_service(service, environment),
                "task_definition": definition,
            },
            needs=["aws_ecs_cluster.main", "aws_ecs_task_definition.app", "aws_lb_target_group.app"],
        ),
        _resource(
            "aws_lb",
            "main",
            {"arn": arns["alb"], "id": arns["alb"], "name": naming.load_balancer(service, environment)},
        ),
        _resource(
            "aws_lb_target_group",
            "app",
            {
                "arn": arns["target-group"],
                "id": arns["target-group"],
                "name": naming.target_group(service, environment),
                "port": company.container_port,
                "protocol": "HTTP",
            },
        ),
        *(
            _resource(
                "aws_cloudwatch_log_group",
                kind,
                {
                    "id": naming.log_group(service, environment, kind),
                    "name": naming.log_group(service, environment, kind),
                    "retention_in_days": about.retention[kind],
                },
            )
            for kind in ("application", "access", "error")
        ),
        {
            "mode": "data",
            "type": "aws_ssm_parameter",
            "name": "ecr_repository_url",
            "provider": _PROVIDER,
            "instances": [
                {
                    "schema_version": 0,
                    "attributes": {
                        "name": f"{naming.EXPORT_ROOT}/ecr/{service}-repository-url",
                        "type": "String",
                        "value": company.repository_url(service),
                    },
                    "sensitive_attributes": [],
                }
            ],
        },
    ]
    state = {
        "version": 4,
        "terraform_version": TERRAFORM_VERSION,
        "serial": revision,
        "lineage": lineage(service, environment),
        "outputs": {
            "image_tag": {"value": company.tag(service, environment, revision), "type": "string"},
            "service_name": {"value": naming.ecs_service(service, environment), "type": "string"},
        },
        "resources": resources,
        "check_results": None,
    }
    return (json.dumps(state, indent=2) + "\n").encode()


def module_document(company: Company, module: str, exports: Sequence[StoredExport]) -> bytes:
    """The state of a module of the infrastructure repository, as far as its exports go."""
    resources: dict[str, dict[str, Any]] = {}
    for export in exports:
        arn = f"arn:aws:ssm:{company.region}:{company.account}:parameter{export.name}"
        attributes = {
            "arn": arn,
            "id": export.name,
            "name": export.name,
            "type": export.type,
            "value": export.value,
            "version": export.version,
        }
        instance: dict[str, Any] = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
        if export.key:
            instance["index_key"] = export.key
        made = _resource("aws_ssm_parameter", export.label, {})
        resources.setdefault(export.label, {**made, "instances": []})["instances"].append(instance)
    state = {
        "version": 4,
        "terraform_version": TERRAFORM_VERSION,
        "serial": 3,
        "lineage": lineage("infrastructure", module),
        "outputs": {},
        "resources": list(resources.values()),
        "check_results": None,
    }
    return (json.dumps(state, indent=2) + "\n").encode()


def _resource(
    kind: str, name: str, attributes: dict[str, Any], *, version: int = 0, needs: list[str] | None = None
) -> dict[str, Any]:
    instance: dict[str, Any] = {"schema_version": version, "attributes": attributes, "sensitive_attributes": []}
    if needs:
        instance["dependencies"] = needs
    return {"mode": "managed", "type": kind, "name": name, "provider": _PROVIDER, "instances": [instance]}
