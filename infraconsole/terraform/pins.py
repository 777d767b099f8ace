"""Which version of Terraform or OpenTofu the code asks for, read before anything runs: `required_version` of the root module, and
what version managers read (`.terraform-version`, `.opentofu-version`, `.tool-versions`, `.tfswitchrc`), from the folder upwards.

Constraints are Terraform's (hashicorp/go-version): `= != > >= < <= ~>`, with commas between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from infraconsole import files, naming

_CONSTRAINT = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+\S+)?\s*")
_BLOCK = re.compile(
    r'#[^\n]*|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|<<-?(?P<word>\w+)\n.*?\n[ \t]*(?P=word)\b|[{}]|[A-Za-z_][\w-]*|=',
    re.DOTALL,
)
_MOST_BYTES = 1 << 20
_MANAGERS = {"Terraform": (".terraform-version", ".tfswitchrc"), "OpenTofu": (".opentofu-version",)}
_ASDF = {"Terraform": "terraform", "OpenTofu": "opentofu"}

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Pin:
    """`wanted` as it is written, in `file`. `binds`: Terraform itself refuses another version."""

    wanted: str
    file: Path
    binds: bool


def unmet(root: Path, version: str, product: str, *, tofu: bool) -> tuple[Pin, ...]:
    """What the code asks for and `version` of `product` is not. What is written in a way that is not known here (`latest`) is left
    to those who know it."""
    found = (*_required(root, tofu), *_pinned(root, product))
    return tuple(pin for pin in found if meets(version, pin.wanted) is False)


def meets(version: str, constraint: str) -> bool | None:
    """None where either is not understood."""
    have = _CONSTRAINT.fullmatch(version)
    parts = [_CONSTRAINT.fullmatch(part) for part in constraint.split(",")]
    if have is None or not all(parts):
        return None
    return all(_holds(have, part) for part in parts if part)


def _holds(have: re.Match[str], part: re.Match[str]) -> bool:
    operator = part[1] or "="
    mine, wanted = _ordered(have), _ordered(part)
    if operator not in ("=", "!="):
        if have[3] and (not part[3] or mine.numbers != wanted.numbers):
            return False  # a prerelease is taken only where it is named
        if operator == "~>":
            return _is_next(have, part) and mine >= wanted
    return {
        "=": mine == wanted,
        "!=": mine != wanted,
        ">": mine > wanted,
        ">=": mine >= wanted,
        "<": mine < wanted,
        "<=": mine <= wanted,
    }[operator]


def _is_next(have: re.Match[str], part: re.Match[str]) -> bool:
    """All but the last of the numbers that are written stay: `~> 1.9` ends before 2, and `~> 1` never ends."""
    mine, wanted = _numbers(have[2]), _numbers(part[2])
    if (part[3] and not have[3]) or len(wanted) > max(3, len(mine)):
        return False
    kept = wanted[:-1]
    return (*mine, 0, 0)[: len(kept)] == kept


class _Order(NamedTuple):
    """A prerelease comes before its release."""

    numbers: Numbers
    is_release: bool
    prerelease: tuple[tuple[bool, int, str], ...]


def _ordered(match: re.Match[str]) -> _Order:
    numbers = _numbers(match[2])
    words = match[3].split(".") if match[3] else []
    prerelease = tuple((not word.isdigit(), int(word) if word.isdigit() else 0, word) for word in words)
    return _Order((*numbers, *(0,) * (4 - len(numbers))), not match[3], prerelease)


def _numbers(written: str) -> Numbers:
    return tuple(map(int, written.split(".")))


def _required(root: Path, tofu: bool) -> Iterator[Pin]:
    try:
        names = naming.code_files((entry.name for entry in root.iterdir()), tofu=tofu)
    except OSError:
        return
    for name in names:
        try:
            text = files.read(root / name)[:_MOST_BYTES].decode()
        except (OSError, UnicodeDecodeError):
            continue
        found = _of_json(text) if name.endswith(".json") else _of_hcl(text)
        yield from (Pin(wanted, root / name, binds=True) for wanted in found)


def _of_hcl(text: str) -> Iterator[str]:
    if "required_version" not in text:
        return
    depth, word, block, key = 0, "", "", ""
    for match in _BLOCK.finditer(text):
        part = match[0]
        if part == "{":
            depth += 1
            block = word if depth == 1 else block
        elif part == "}":
            depth -= 1
        elif part == "=":
            key = word
        elif part.startswith('"'):
            if depth == 1 and block == "terraform" and key == "required_version":
                yield part[1:-1]
            key = ""
        elif part[0].isalpha() or part[0] == "_":
            word, key = part, ""


def _of_json(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    blocks = document.get("terraform") if isinstance(document, dict) else None
    for block in blocks if isinstance(blocks, list) else [blocks]:
        if isinstance(block, dict) and isinstance(wanted := block.get("required_version"), str):
            yield wanted


def _pinned(root: Path, product: str) -> Iterator[Pin]:
    """The nearest one of each kind, as version managers look for it."""
    for name in _MANAGERS.get(product, ()):
        if (found := _nearest(root, name)) is not None:
            file, text = found
            words = [line.split("#")[0].strip() for line in text.splitlines()]
            wanted = next((word for word in words if word), "")
            yield Pin(wanted, file, binds=False)
    if (found := _nearest(root, ".tool-versions")) is not None:
        file, text = found
        for line in text.splitlines():
            tool, *versions = line.split("#")[0].split() or [""]
            if tool == _ASDF.get(product) and len(versions) == 1:
                yield Pin(versions[0], file, binds=False)


def _nearest(root: Path, name: str) -> tuple[Path, str] | None:
    for folder in (root.absolute(), *root.absolute().parents):
        try:
            return folder / name, files.read_text(folder / name)
        except (OSError, UnicodeDecodeError):
            continue
    return None


def sentences(pins: Sequence[Pin], version: str, product: str) -> tuple[str, ...]:
    return tuple(f"{pin.file} asks for {product} {pin.wanted}; this is {version}." for pin in pins)
