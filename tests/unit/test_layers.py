"""The direction of the arrows: who may import whom. docs/architecture.md draws it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import infraconsole

ROOT = Path(infraconsole.__file__).parent

LAYERS = (
    {"cli"},
    {"app"},
    {"screens"},
    {"overview", "exports", "fleet"},
    {"runbooks"},
    {"engine"},
    {"checks"},
    {"aws", "terraform"},
    {"config"},
    {"target", "window", "redaction"},
    {"files", "programs"},
    {"secret_forms", "secret_places", "secret_views"},
    {"clock", "collector", "errors", "glyphs", "naming", "text"},
)
"""From the top down; a layer imports only from those below it, and from itself."""

ONLY_IN = {
    "textual": {"screens", "app"},
    "boto3": {"aws"},
    "botocore": {"aws"},
    "cryptography": {"engine"},
    "moto": {"world"},
    "hcl2": {"terraform"},
    "sh": {"terraform", "checks"},
}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name), imports inside functions included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def height(part: str) -> int | None:
    return next((number for number, layer in enumerate(LAYERS) if part in layer), None)


# The catalogue is the list of what stands above it.
ALLOWED = {("engine", "runbooks")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    for line, name in imported(path):
        pieces = name.split(".")
        assert pieces[0] not in ("screens", "runbooks", "assets"), (
            f"{path}:{line}: import infraconsole.{pieces[0]} instead"
        )
        if pieces[0] == "infraconsole" and len(pieces) > 1 and (part, pieces[1]) not in ALLOWED:
            mine, theirs = height(part), height(pieces[1])
            if mine is not None and theirs is not None:
                assert mine <= theirs, f"{path}:{line}: {part} imports {name}, which is above it"
            if part not in ("cli", "world"):
                assert pieces[1] != "world", f"{path}:{line}: only the command line knows the world"
        homes = ONLY_IN.get(pieces[0])
        assert homes is None or part in homes, f"{path}:{line}: {pieces[0]} belongs into {homes}"


def test_every_part_has_its_place() -> None:
    outside = {"__init__", "__main__", "world", "assets"}
    assert {part_of(path) for path in modules()} - outside - set().union(*LAYERS) == set()
