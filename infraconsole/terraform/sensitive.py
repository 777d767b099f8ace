"""What providers declare as sensitive, by resource type: Terraform before 1.10 did not write their declarations into states.

Of the AWS provider it is data, made from its schema: `assets/sensitive.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from infraconsole.secret_places import names_a_secret

_KUBERNETES_SECRET = ("data", "binary_data")
_PRIVATE_KEYS = ("private_key_pem", "private_key_openssh", "private_key_pem_pkcs8")
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "azuread_application_password": ("value",),
    "azuread_service_principal_password": ("value",),
    "azurerm_key_vault_secret": ("value",),
    "google_secret_manager_secret_version": ("secret_data",),
    "google_service_account_key": ("private_key",),
    "kubernetes_secret": _KUBERNETES_SECRET,
    "kubernetes_secret_v1": _KUBERNETES_SECRET,
    "local_sensitive_file": ("content", "content_base64"),
    "random_bytes": ("base64", "hex"),
    "random_password": ("result", "bcrypt_hash"),
    "tls_cert_request": ("private_key_pem",),
    "tls_locally_signed_cert": ("ca_private_key_pem",),
    "tls_private_key": _PRIVATE_KEYS,
    "tls_self_signed_cert": ("private_key_pem",),
    "vault_generic_secret": ("data", "data_json"),
    "vault_kv_secret": ("data", "data_json"),
    "vault_kv_secret_v2": ("data", "data_json"),
    # Which outputs of the other state are sensitive, this one does not say.
    "terraform_remote_state": ("outputs", "defaults"),
}


def marks(type_: str, attributes: Mapping[str, Any], paths: Any) -> dict[Any, Any]:
    """What is sensitive in a state's instance, as a tree that ends in true: by its `sensitive_attributes`, which are `paths`, and
    by its type."""
    tree: dict[Any, Any] = {}
    # A path that is not understood hides more, never less.
    marked = [list(_steps(path)) for path in (paths if isinstance(paths, list) else ()) if isinstance(path, list)]
    for steps in (*marked, *places(type_, attributes)):
        _mark(tree, steps)
    return tree


def _mark(tree: dict[Any, Any], steps: Sequence[str | int]) -> None:
    here = tree
    for step in steps[:-1]:
        below = here.setdefault(step, {})
        if below is True:
            return
        here = below
    if steps:
        here[steps[-1]] = True


def _steps(path: Iterable[Any]) -> Iterator[str | int]:
    for step in path:
        value = step.get("value") if isinstance(step, dict) else None
        if isinstance(value, dict):  # an index carries its type with it
            value = value.get("value")
        if not isinstance(value, str | int):
            return
        yield value


def places(type_: str, attributes: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """The paths in these attributes that are sensitive because the type's provider says so."""
    for path in declared(type_):
        yield from _there(attributes, path.split("."))


def without_plain_parameters(type_: str, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The AWS provider calls every value of a parameter sensitive, also that of an export which Parameter Store keeps in clear: a
    VPC's id or a repository's URL, without which no plan can be read."""
    if type_ == "aws_ssm_parameter" and _is_plain(attributes.get("name"), attributes.get("type")):
        return {name: value for name, value in attributes.items() if name != "value"}
    if type_ == "aws_ssm_parameters_by_path":
        names, types, values = (attributes.get(each) or () for each in ("names", "types", "values"))
        if len(names) == len(types) == len(values):
            kept = [None if _is_plain(*each) else value for *each, value in zip(names, types, values, strict=True)]
            return {**attributes, "values": kept}
    return attributes


def _is_plain(name: Any, type_: Any) -> bool:
    return type_ in ("String", "StringList") and not names_a_secret(str(name))


def declared(type_: str) -> Sequence[str]:
    """The names of what its provider says is sensitive; a point leads into a block."""
    return _OTHERS.get(type_) or _aws().get(type_, ())


def _there(value: Any, names: Sequence[str]) -> Iterator[tuple[str | int, ...]]:
    """Where `names` lead to, through all items of the lists on the way: a block is a list of objects in a state."""
    if not names:
        yield ()
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from ((number, *path) for path in _there(item, names))
    elif isinstance(value, dict) and names[0] in value:
        yield from ((names[0], *path) for path in _there(value[names[0]], names[1:]))


@cache
def _aws() -> Mapping[str, Sequence[str]]:
    asset = resources.files("infraconsole").joinpath("assets", "sensitive.toml")
    found: Mapping[str, Sequence[str]] = tomllib.loads(asset.read_text(encoding="utf-8"))
    return found
