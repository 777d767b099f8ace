"""Repositories written for a test, and the trace through them; read by the real reader, parsed in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from infraconsole import config
from infraconsole.terraform.exports import Trace, trace
from infraconsole.terraform.hcl import HclUnreadable, digest, json_variables
from infraconsole.terraform.hcl_workers import Outcome, Source


def parse_here(sources: Sequence[Source]) -> Iterator[Outcome]:
    """In place of `reader.parse`: a process for each of these tests would cost more than all the rest of them."""
    for source in sources:
        try:
            text = source.text
            found = json_variables(text) if source.is_variables else digest(text, is_json=source.is_json)
            yield Outcome(source.key, found)
        except HclUnreadable as error:
            yield Outcome(source.key, None, error.line, error.why)


def traced_through(
    folder: Path,
    files: dict[str, str],
    *,
    services: Sequence[str] = ("fileflow",),
    infra: str = "infra",
    **settings: Any,
) -> Trace:
    """Writes the files (`{"infra/network/outputs.tf": …, "fileflow/data.tf": …}`) and traces through them."""
    for name in (infra, *services):
        (folder / name).mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text).lstrip("\n"))
    document = {
        "infrastructure": {"path": infra},
        "services": {service: {"path": service} for service in services},
        **settings,
    }
    return trace(config.parse(document, folder / "infraconsole.toml"), folder / "state" / "cache")
