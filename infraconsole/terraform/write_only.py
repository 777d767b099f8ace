"""Write-only arguments in a plan (Terraform 1.11 and later): a provider is given them, and neither plan nor state ever holds them.

A plan's values have null in their place; that they are given at all stands in its `configuration` alone. By HashiCorp's convention
their names end in `_wo`, and another value is sent when the argument `…_wo_version` changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SUFFIX = "_wo"
_INDEX = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|\d+)\]')
Place = tuple[str, str, str]
"""Module without indexes (`module.a.module.b`), type, name."""


def declared(configuration: Any) -> Mapping[Place, tuple[str, ...]]:
    """The write-only arguments that the code gives, by resource."""
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    return dict(_declared(root, ""))


def place_of(module: str, type_: str, name: str) -> Place:
    return _INDEX.sub("", module), type_, name


def version_of(name: str) -> str:
    """The argument that says when a write-only one is sent again."""
    return f"{name}_version"


def _declared(module: Any, path: str) -> Iterator[tuple[Place, tuple[str, ...]]]:
    if not isinstance(module, dict):
        return
    resources, calls = module.get("resources"), module.get("module_calls")
    for resource in resources if isinstance(resources, list) else ():
        expressions = resource.get("expressions") if isinstance(resource, dict) else None
        names = tuple(name for name in expressions if name.endswith(_SUFFIX)) if isinstance(expressions, dict) else ()
        if names:
            yield (path, str(resource.get("type")), str(resource.get("name"))), names
    for name, call in calls.items() if isinstance(calls, dict) else ():
        inner = call.get("module") if isinstance(call, dict) else None
        yield from _declared(inner, f"{path}.module.{name}" if path else f"module.{name}")
