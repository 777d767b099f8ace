"""In which region and account a provider configuration works, over aliases and module calls, as far as the code tells. What it
leaves open is the environment's own; what only Terraform knows is never taken for that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from infraconsole.terraform.evaluate import Scope, Unknown, Value
from infraconsole.terraform.hcl import Block
from infraconsole.terraform.modules import Module
from infraconsole.terraform.nodes import Node, name_of

_ROLE = re.compile(r'"?arn:[\w-]+:iam::(\d{12}):role/[^"]*"?')
_ROLES = ("assume_role", "assume_role_with_web_identity")
_CREDENTIALS = ("access_key", "profile", "shared_config_files", "shared_credentials_files")


@dataclass(frozen=True)
class Place:
    """ "" where the configuration leaves it to the environment; None where only Terraform knows it."""

    region: str | None = ""
    account: str | None = ""


HERE = Place()
NOWHERE_KNOWN = Place(None, None)

Providers = Mapping[str, Place]
"""By the name that a module has for them: `aws`, `aws.dr`."""


def of_root(module: Module, scope: Scope) -> Providers:
    return _declared(module, scope, {})


def of_call(module: Module, scope: Scope, call: Block, above: Providers) -> Providers:
    """Those of `module`, which `call` calls: what it is given, what it has from above, and what it declares itself."""
    inherited = {name: place for name, place in above.items() if "." not in name}
    attribute = call.attribute("providers")
    node = attribute.node if attribute else None
    for key, value in node[1] if node and node[0] == "map" else ():
        inherited[_name(key)] = above.get(_name(value), HERE if "." not in _name(value) else NOWHERE_KNOWN)
    return _declared(module, scope, inherited)


def of_block(block: Block, providers: Providers, scope: Scope) -> Place:
    """Of a resource or a data source. Since version 6 of the AWS provider it may name a region itself."""
    attribute = block.attribute("provider")
    node = attribute.node if attribute else None
    name = _name(node) if node else block.labels[0].partition("_")[0]
    place = providers.get(name, HERE if "." not in name else NOWHERE_KNOWN)
    if (region := block.attribute("region")) and (written := region.node):
        value = scope.evaluate(written)
        if value is not None:
            return Place(_text(value), place.account)
    return place


def _name(node: Node) -> str:
    """`aws.dr`, as a name or as JSON has it; an instance of a provider is not told from the others of its alias."""
    if node[0] == "ref":
        return ".".join(name_of(node)[:2])
    return str(node[1]) if node[0] == "lit" else ""


def _declared(module: Module, scope: Scope, inherited: Providers) -> Providers:
    found = dict(inherited)
    for located in module.of_kind("provider"):
        alias = located.block.attribute("alias")
        node = alias.node if alias else None
        place = _place(located.block, scope)
        if node:
            found[f"{located.name}.{_name(node)}"] = place
        else:  # an environment is applied with this one: what is not known of it is the environment's
            found[located.name] = Place(place.region or "", place.account or "")
    return found


def _place(block: Block, scope: Scope) -> Place:
    region = block.attribute("region")
    node = region.node if region else None
    return Place(_text(scope.evaluate(node)) if node else "", _account(block, scope))


def _account(block: Block, scope: Scope) -> str | None:
    if (allowed := block.attribute("allowed_account_ids")) and (node := allowed.node):
        accounts = scope.evaluate(node)
        if isinstance(accounts, list) and len(accounts) == 1 and isinstance(accounts[0], str):
            return accounts[0]
    for role in _ROLES:
        if any(each.path == role or each.path.startswith(f"{role}.") for each in block.attributes):
            arn = block.attribute(f"{role}.role_arn")
            match = _ROLE.fullmatch(arn.text) if arn else None
            return match[1] if match else None
    return None if any(map(block.attribute, _CREDENTIALS)) else ""


def _text(value: Value) -> str | None:
    if isinstance(value, Unknown) or not isinstance(value, str | None):
        return None
    return value or ""
