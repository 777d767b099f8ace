"""Terraform state files of the world: version 4 documents as Terraform itself writes them. Separate from the seed because
they are pure text.

What a resource's attributes are is said by type in `assets/world/attributes.json`: all that the AWS provider reads from this
world, with `${name}` for what differs from one to the next. So a plan finds nothing that was changed outside of Terraform.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from string import Template
from typing import Any

from infraconsole import naming
from infraconsole.world.company import Company

TERRAFORM_VERSION = "1.9.8"

_PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'


@dataclass(frozen=True)
class StoredResource:
    """A resource as a state has it. `values` are what its type's attributes ask for; `key` is its `count` index or `for_each`
    key. `tags` are those of the resource itself, `tags_all` with the provider's default tags."""

    type: str
    label: str
    values: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    tags_all: Mapping[str, str] = field(default_factory=dict)
    key: str | int | None = None


def lineage(service: str, environment: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://ryuqqq.com/{service}/{environment}"))


def application_document(
    company: Company, service: str, environment: str, revision: int, stored: Sequence[StoredResource]
) -> bytes:
    """The state after the apply that deployed `revision`; its serial is the revision."""
    outputs = {
        "image_tag": {"value": company.tag(service, environment, revision), "type": "string"},
        "service_name": {"value": naming.ecs_service(service, environment), "type": "string"},
    }
    return _document(company, lineage(service, environment), revision, outputs, stored)


def module_document(company: Company, module: str, stored: Sequence[StoredResource]) -> bytes:
    """The state of a module of the infrastructure repository."""
    return _document(company, lineage("infrastructure", module), 3, {}, stored)


def ingress(port: int, description: str, *, group: str = "", block: str = "") -> dict[str, Any]:
    """One of the rules that are attributes of a security group; from another group, or from a block of addresses."""
    return {
        "cidr_blocks": [block] if block else [],
        "description": description,
        "from_port": port,
        "ipv6_cidr_blocks": [],
        "prefix_list_ids": [],
        "protocol": "tcp",
        "security_groups": [group] if group else [],
        "self": False,
        "to_port": port,
    }


def _document(
    company: Company, lineage: str, serial: int, outputs: Mapping[str, Any], stored: Sequence[StoredResource]
) -> bytes:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in stored:
        resource = {"mode": "managed", "type": each.type, "name": each.label, "provider": _PROVIDER, "instances": []}
        found.setdefault((each.type, each.label), resource)["instances"].append(_instance(company, each))
    state = {
        "version": 4,
        "terraform_version": TERRAFORM_VERSION,
        "serial": serial,
        "lineage": lineage,
        "outputs": outputs,
        "resources": list(found.values()),
        "check_results": None,
    }
    return (json.dumps(state, indent=2) + "\n").encode()


def _instance(company: Company, stored: StoredResource) -> dict[str, Any]:
    about = _types()[stored.type]
    values = {"account": company.account, "region": company.region, **stored.values}
    attributes = {name: _filled(value, values) for name, value in about["attributes"].items()}
    if about.get("tagged"):
        attributes.update(tags=dict(stored.tags), tags_all=dict(stored.tags_all or stored.tags))
    key = {} if stored.key is None else {"index_key": stored.key}
    return {
        **key,
        "schema_version": about["schema_version"],
        "attributes": dict(sorted(attributes.items())),
        "sensitive_attributes": [[{"type": "get_attr", "value": name}] for name in about.get("sensitive", ())],
    }


@cache
def _types() -> dict[str, Any]:
    text = (resources.files("infraconsole") / "assets" / "world" / "attributes.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A text that is `${name}` and nothing else becomes the value as it is: a number, a list."""
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, values) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    whole = value[2:-1] if value.startswith("${") else ""
    return values[whole] if whole in values else Template(value).substitute(values)
