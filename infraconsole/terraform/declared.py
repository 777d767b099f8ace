"""The backend that the code itself names, read before any `init`: what lies there is known only afterwards, what locks it is not to
be found out by then.

A backend block holds literals alone (Terraform's own rule), so a look at its words is enough: no HCL parser is started for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infraconsole import files, naming
from infraconsole.terraform.backend import Found

_TOKEN = re.compile(
    r"(?P<skip>\#[^\n]*|//[^\n]*|/\*.*?\*/|[ \t\r]+)"
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|<<-?(?P<heredoc>\w+)\n.*?\n[ \t]*(?P=heredoc)\b"
    r"|(?P<word>[A-Za-z_][\w-]*)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_NAMED = re.compile(r"\b(?:backend|cloud)\b")
_LIMIT = 1 << 20
"""Bytes of a file; what is larger was not written by people."""


def declared_in(root: Path, *, tofu: bool = False) -> Found | None:
    """The backend that the code in `root` names, with the members that are literals; the local one where it names none. None where
    there is no code, or a part of it cannot be read."""
    code = [root / name for name in naming.code_files((file.name for file in root.glob("*.t*")), tofu=tofu)]
    if not code:
        return None
    found = Found("local", {})
    # Terraform merges override files last, and a backend there takes the place of the other.
    for file in sorted(code, key=lambda file: (_overrides(file), file)):
        try:
            text = files.read(file)[:_LIMIT].decode()
            blocks = list(_of_json(text) if file.name.endswith(".json") else _of_hcl(text))
        except (OSError, ValueError, RecursionError):
            return None
        found = blocks[-1] if blocks else found
    return found


def _overrides(file: Path) -> bool:
    name = file.name.removesuffix(".json").removesuffix(".tf").removesuffix(".tofu")
    return name == "override" or name.endswith("_override")


def _of_hcl(text: str) -> Iterator[Found]:
    """Raises ValueError where the braces do not fit."""
    if not _NAMED.search(text):
        return
    tokens = [match for match in _TOKEN.finditer(text) if match["skip"] is None]
    path: list[str] = []
    """The headers of the blocks around, as `terraform` and `backend "s3"`."""
    header: list[str] = []
    config: dict[str, Any] = {}
    for place, token in enumerate(tokens):
        written = token[0]
        if written == "{":
            path.append(" ".join(header))
            config = {} if len(path) <= 2 else config
            header = []
        elif written == "}":
            if not path:
                raise ValueError("a brace is closed that was not opened")
            if (type_ := _type_of(path)) and len(path) == 2:
                yield Found(type_, config)
            path.pop()
            header = []
        elif written == "\n":
            header = []
        elif written == "=":
            if len(path) == 2 and _type_of(path) and len(header) == 1:
                config[header[0]] = _literal(tokens[place + 1][0]) if place + 1 < len(tokens) else None
            header = []
        else:
            header.append(written)
    if path:
        raise ValueError("a brace is not closed")


def _type_of(path: list[str]) -> str:
    """Of the backend whose block this is; "" of any other block."""
    if path[0] != "terraform" or len(path) < 2:
        return ""
    kind, _, label = path[1].partition(" ")
    return label.strip('"') if kind == "backend" else "cloud" if path[1] == "cloud" else ""


def _literal(written: str) -> str | bool | None:
    if written in ("true", "false"):
        return written == "true"
    return written[1:-1] if written.startswith('"') else None


def _of_json(text: str) -> Iterator[Found]:
    document = json.loads(text)
    for terraform in _each(document.get("terraform") if isinstance(document, dict) else None):
        for backend in _each(terraform.get("backend")):
            for type_, blocks in backend.items():
                yield from (Found(type_, block) for block in _each(blocks))
        yield from (Found("cloud", block) for block in _each(terraform.get("cloud")))


def _each(value: Any) -> list[Mapping[str, Any]]:
    """In JSON a block may be an object or a list of them."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
