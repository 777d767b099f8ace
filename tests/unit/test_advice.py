"""Every command line that the product tells its user to type is one that its own parser takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import infraconsole
from infraconsole.cli import arguments
from infraconsole.engine.catalogue import runbook
from infraconsole.errors import UsageError

_PACKAGE = Path(infraconsole.__file__).parent
_FILLED_IN = "FILLED-IN"
"""Stands for what a text gets only when it is shown."""
_COMMAND = re.compile(r"\binfraconsole (?!itself|process|that|began)([^`;,:)(\n]*?)(?=[`;,:)(\n]|\.(?:\s|$)|…|$)")
_GOES_ON = {"and", "brings", "compares", "goes", "keeps", "lists", "names", "or", "pushes", "says", "with", _FILLED_IN}
"""Words with which a sentence goes on behind a command that it does not set off."""
_NO_COMMAND = {"again", "anew", "digest-repair", "writes", _FILLED_IN}
"""Words behind the product's name where it does not stand for a command."""


def _texts(tree: ast.AST) -> Iterator[str]:
    """All texts but docstrings; those that are filled in with `_FILLED_IN` in the gaps."""
    skipped = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
            parts = (part.value if isinstance(part, ast.Constant) else _FILLED_IN for part in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def _told() -> Iterator[tuple[str, str]]:
    for folder in ("", "runbooks", "screens"):
        for file in sorted((_PACKAGE / folder).rglob("*.py")):
            for text in _texts(ast.parse(file.read_text())):
                for found in _COMMAND.finditer(text):
                    yield file.name, found[1].strip()


def _is_taken(words: list[str]) -> bool:
    added = ["--service", "S", "--env", "E"] if words[:1] == ["run"] and "--service" not in words else []
    try:
        options = arguments.build().parse_args([*words, *added])
        if hasattr(options, "check"):
            options.check(options)
        if words[0] == "run" and words[1] != _FILLED_IN:
            runbook(words[1])
    except (SystemExit, UsageError):
        return False
    return True


def _problem(told: str) -> str:
    """Why that is no command; "" where it is one."""
    words = told.split()
    if words in ([], ["run"]) or words[0] in _NO_COMMAND:
        return ""
    for end in range(len(words), 0, -1):
        behind = words[end : end + 1]
        if (not behind or behind[0] in _GOES_ON) and _is_taken(words[:end]):
            return ""
    return f"infraconsole {told} is no command"


def test_every_command_that_is_told_exists() -> None:
    told = list(_told())
    assert len(told) > 30, "they are found at all"
    assert [f"{file}: {why}" for file, words in told if (why := _problem(words))] == []


@pytest.mark.parametrize("wrong", ["journal show RUN", "run state-repair", "resume", "show RUN", "resume RUN --anew"])
def test_what_is_no_command_is_found(wrong: str) -> None:
    assert _problem(wrong)
