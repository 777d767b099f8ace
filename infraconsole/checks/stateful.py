"""The table of resource types that hold state or traffic, and what is lost with them: `assets/stateful.toml`.

Data rather than code, so that a type is added without touching what reviews plans.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from infraconsole.config import wrong_value


def load() -> Mapping[str, str]:
    """Resource type → what is lost when one is destroyed, as a phrase that follows "this loses"."""
    asset = resources.files("infraconsole").joinpath("assets", "stateful.toml")
    return parse(asset.read_text(encoding="utf-8"))


def parse(text: str, file: Path | None = None) -> Mapping[str, str]:
    """`file` is for errors. Raises ConfigError that names the key, and tomllib.TOMLDecodeError for what is no TOML."""
    found: dict[str, str] = {}
    for section, table in tomllib.loads(text).items():
        if not isinstance(table, dict):
            raise wrong_value(file, section, "a table of resource types", table)
        for type_, lost in table.items():
            if not isinstance(lost, str) or not lost:
                raise wrong_value(file, f"{section}.{type_}", "what is lost, in words", lost)
            if type_ in found:
                raise wrong_value(file, f"{section}.{type_}", "each resource type once", type_)
            found[type_] = lost
    return found
