"""What the AWS provider declares as sensitive, as the asset that holds it: made again when the provider is a newer one.

terraform providers schema -json | python -m tests.sensitive_attributes > assets/sensitive.toml

in a folder that needs hashicorp/aws alone, and has its lock file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROVIDER = "registry.terraform.io/hashicorp/aws"
_HEAD = """\
# What hashicorp/aws {version} declares as sensitive, by the type of the resource or data source; a point leads into a block.
# For states that Terraform before 1.10 wrote: it did not write a provider's declarations down. Not edited by hand, but made
# from `terraform providers schema -json` by tests/sensitive_attributes.py, without what is write-only and so in no state.

"""


def declared(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """Of that provider, by type. A resource and a data source of one name are taken together."""
    provider = schema["provider_schemas"][PROVIDER]
    found: dict[str, list[str]] = {}
    for kind in ("resource_schemas", "data_source_schemas"):
        for type_, about in provider[kind].items():
            if paths := set(_sensitive(about["block"])):
                found[type_] = sorted(paths.union(found.get(type_, ())))
    return dict(sorted(found.items()))


def asset(schema: Mapping[str, Any], version: str) -> str:
    lines = (f"{type_} = {json.dumps(paths)}\n" for type_, paths in declared(schema).items())
    return _HEAD.format(version=version) + "".join(lines)


def locked_version(folder: Path) -> str:
    lock = (folder / ".terraform.lock.hcl").read_text("utf-8")
    found = re.search(rf'provider "{re.escape(PROVIDER)}" {{\s*version\s*= "([^"]+)"', lock)
    assert found, f"no {PROVIDER} in the lock file"
    return found[1]


def _sensitive(block: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, about in block.get("attributes", {}).items():
        if about.get("sensitive") and not about.get("write_only"):
            yield ".".join((*path, name))
        yield from _sensitive(about.get("nested_type", {}), (*path, name))
    for name, about in block.get("block_types", {}).items():
        yield from _sensitive(about["block"], (*path, name))


if __name__ == "__main__":
    sys.stdout.write(asset(json.load(sys.stdin), locked_version(Path.cwd())))
