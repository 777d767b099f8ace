"""Terraform state files of the world's services: version 4 documents as Terraform itself writes them. Separate from the
seed because they are pure text, and the same history of them is asked for by tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole import naming
from infraconsole.world.application import Made, resource, state_resources
from infraconsole.world.company import Company

TERRAFORM_VERSION = "1.9.8"


@dataclass(frozen=True)
class StoredExport:
    """A parameter as its module's state has it: the resource's label, and its key where it has `for_each`."""

    name: str
    type: str
    value: str
    version: int
    label: str
    key: str = ""


@dataclass(frozen=True)
class StoredResource:
    """A resource as its module's state has it; `key` is its `count` index or `for_each` key."""

    type: str
    label: str
    attributes: Mapping[str, Any]
    version: int
    key: str | int | None


def lineage(service: str, environment: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://ryuqqq.com/{service}/{environment}"))


def document(
    company: Company,
    service: str,
    environment: str,
    revision: int,
    made: Made,
    ids: Mapping[str, str],
    containers: Sequence[Mapping[str, Any]],
) -> bytes:
    """The state after the apply that deployed `revision`; its serial is the revision."""
    resources = state_resources(
        company, service, environment, revision, made=made, ids=ids, containers=json.dumps(containers, sort_keys=True)
    )
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


def module_document(
    company: Company, module: str, exports: Sequence[StoredExport], kept: Sequence[StoredResource]
) -> bytes:
    """The state of a module of the infrastructure repository."""
    resources: dict[str, dict[str, Any]] = {}
    for known in kept:
        instance: dict[str, Any] = {
            "schema_version": known.version,
            "attributes": dict(known.attributes),
            "sensitive_attributes": [],
        }
        if known.key is not None:
            instance["index_key"] = known.key
        made = resources.setdefault(f"{known.type}.{known.label}", resource(known.type, known.label, []))
        made["instances"].append(instance)
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
        instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
        if export.key:
            instance["index_key"] = export.key
        made = resources.setdefault(export.label, resource("aws_ssm_parameter", export.label, []))
        made["instances"].append(instance)
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
