"""The parameters that a Terraform state says it wrote: what an export should still be, unless somebody changed it by hand.

Apart from `state.py`, which looks at a state as a whole, because this reads what the AWS provider keeps in one resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infraconsole.terraform import documents
from infraconsole.terraform.state import StateUnreadable, summary

RESOURCE = "aws_ssm_parameter"
SECURE = "SecureString"


@dataclass(frozen=True)
class StateExport:
    """A parameter in a state, as it was after the last apply or refresh.

    A SecureString's value, which a state holds in clear, is never taken out: `value` is None and `is_sensitive` true.
    Terraform marks the value of every parameter as sensitive, also that of a plain String, so its marks say nothing.
    """

    name: str
    type: str
    value: str | None = field(repr=False)
    version: int
    """Parameter Store's number of the version; 0 where the state has none."""
    address: str
    """The resource: `module.network.aws_ssm_parameter.subnets["public"]`."""
    is_sensitive: bool = False


def exports_in_state(data: bytes, name: str = "The state") -> Mapping[str, StateExport]:
    """The parameters that the state manages, by their names, data sources left out; `name` is how errors call the state.

    Where two resources write the same parameter, the last one in the state counts. Raises StateUnreadable.
    """
    summary(data, name)  # refuses what is no state, so that the rest may rely on it
    found: dict[str, StateExport] = {}
    for resource in documents.load(data).get("resources") or ():
        if resource.get("mode") == "managed" and resource.get("type") == RESOURCE:
            for export in _exports(resource, name):
                found[export.name] = export
    return found


def _exports(resource: Mapping[str, Any], name: str) -> Iterator[StateExport]:
    module = f"{resource['module']}." if resource.get("module") else ""
    instances = resource.get("instances") or ()
    if not isinstance(instances, list):
        raise StateUnreadable(f"{name} has no valid list of instances of {RESOURCE}.{resource.get('name')}.")
    for instance in instances:
        # What is deposed waits to be destroyed and was replaced by another instance.
        if not isinstance(instance, dict) or instance.get("deposed"):
            continue
        attributes = instance.get("attributes")
        if not isinstance(attributes, dict) or not isinstance(attributes.get("name"), str):
            continue
        address = f"{module}{RESOURCE}.{resource.get('name')}{_index(instance.get('index_key'))}"
        yield _export(attributes, address)


def _export(attributes: Mapping[str, Any], address: str) -> StateExport:
    kind = str(attributes.get("type") or "")
    secure = kind == SECURE
    value = attributes.get("value") or attributes.get("insecure_value")
    version = attributes.get("version")
    return StateExport(
        name=attributes["name"],
        type=kind,
        value=value if isinstance(value, str) and not secure else None,
        version=version if isinstance(version, int) and not isinstance(version, bool) else 0,
        address=address,
        is_sensitive=secure,
    )


def _index(key: object) -> str:
    """As Terraform writes it: `[0]` for count, `["public"]` for for_each."""
    if isinstance(key, int):
        return f"[{key}]"
    return f'["{key}"]' if isinstance(key, str) else ""
