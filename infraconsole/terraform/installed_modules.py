"""Modules of registries and repositories where an `init` has put them: Terraform's own list of them (`modules/modules.json` of a
data folder) says which folder holds which call's code. Nothing is fetched here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infraconsole import files

_LIST = "modules/modules.json"
_REGISTRIES = ("registry.terraform.io/", "registry.opentofu.org/")


@dataclass(frozen=True)
class Installed:
    """`source` as the list has it, with the registry's name in front."""

    folder: Path
    source: str
    version: str = ""


def installed_in(root: Path, data_folders: Sequence[Path]) -> Mapping[str, Installed]:
    """By the path of calls, `vpc.parameters`; of several data folders the first that has it counts."""
    found: dict[str, Installed] = {}
    for data in data_folders:
        try:
            listed = json.loads(files.read(data / _LIST))["Modules"]
            for module in listed:
                place = Installed(root / str(module["Dir"]), str(module["Source"]), str(module.get("Version") or ""))
                if module["Key"]:
                    found.setdefault(str(module["Key"]), place)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def is_of(installed: Installed, source: str) -> bool:
    """Whether that is the code which a call of `source` means now: a changed source is not installed yet."""
    known = installed.source
    for registry in _REGISTRIES:
        known = known.removeprefix(registry)
        source = source.removeprefix(registry)
    return known == source or known.removeprefix("git::").removesuffix(".git").endswith(
        source.removeprefix("git::").removesuffix(".git")
    )


def kind_of(source: str) -> str:
    """Where a source that is no folder comes from, in one word."""
    if not source:
        return "its source is not a plain text"
    if source.startswith(("git::", "git@", "github.com/", "bitbucket.org/")) or ".git" in source:
        return "git"
    if "://" in source or "::" in source:
        return source.partition("::")[0] if "::" in source else source.partition(":")[0]
    return "registry"
