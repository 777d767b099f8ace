"""Variables as they are given to one command: `-var`, `-var-file`, `TF_CLI_ARGS` and `TF_VAR_…`. Their values are JSON, HCL or
plain text; HCL goes through the same worker as files do, and never to the disk."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform.evaluate import Scope
from infraconsole.terraform.hcl import Digest
from infraconsole.terraform.hcl_workers import Source, parse
from infraconsole.terraform.reader import MOST_BYTES

_VARIABLE, _ARGUMENTS = "TF_VAR_", "TF_CLI_ARGS"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)+)"|<<-?\s*(\w+)\n(.*?)\n\s*\2', re.DOTALL)


@dataclass(frozen=True)
class Given:
    """`texts` are names with their values as they are written; `files` are absolute paths."""

    texts: tuple[tuple[str, str], ...]
    files: tuple[Path, ...]


def of_command(folder: Path, environ: Mapping[str, str], arguments: Sequence[str]) -> Given:
    words = list(arguments)
    for name, value in environ.items():
        if name == _ARGUMENTS or name.startswith(f"{_ARGUMENTS}_"):
            words += _split(value)
    pairs = [value.partition("=") for value in _options(words, "var")]
    variables = [(name.removeprefix(_VARIABLE), value) for name, value in environ.items() if name.startswith(_VARIABLE)]
    return Given(
        (*variables, *((name.strip(), value) for name, _, value in pairs)),
        tuple(folder / each for each in _options(words, "var-file")),
    )


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _options(words: Sequence[str], name: str) -> Iterator[str]:
    for at, word in enumerate(words):
        option, sign, value = word.partition("=")
        if option in (f"-{name}", f"--{name}"):
            if sign:
                yield value
            elif at + 1 < len(words):
                yield words[at + 1]


def values(texts: Sequence[str]) -> Mapping[str, Any]:
    """What each text comes to; itself where it is neither JSON nor an HCL expression. Of an expression that cannot be parsed, the
    texts in its quotes."""
    found: dict[str, Any] = {text: parsed_json(text) for text in texts}
    written = [text for text in found if found[text] is text and _may_be_hcl(text)]
    digests = _digests(tuple(Source(text, f"_ = ({text}\n)") for text in written if len(text) <= MOST_BYTES))
    for text in written:
        digest = digests.get(text)
        node = digest.blocks[0].attributes[0].node if digest else None
        found[text] = Scope({}, {}).evaluate(node) if node else _in_quotes(text)
    return found


def parsed_json(text: str) -> Any:
    """JSON, as which Terraform also reads lists and maps in simple cases; else the text itself."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict | list) else text


def digests_of(paths: Sequence[Path]) -> Iterator[Digest]:
    """Of variables files of any name; those that cannot be read are left out."""
    sources = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            text = files.read(path, MOST_BYTES).decode("utf-8-sig")
            is_json = path.suffix == ".json"
            sources.append(Source(str(path), text, is_json, is_json))
    yield from (digest for digest in _digests(tuple(sources)).values() if digest)


def json_variables(path: Path) -> Mapping[str, Any]:
    """Of a JSON variables file, in which `${` is text. Empty where it cannot be read."""
    try:
        found = json.loads(files.read(path, MOST_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _may_be_hcl(text: str) -> bool:
    return ("{" in text or "[" in text) and ('"' in text or "<<" in text)


def _in_quotes(text: str) -> list[str]:
    return [match[1] or match[3] for match in _QUOTED.finditer(text)]


@lru_cache(maxsize=4)
def _digests(sources: tuple[Source, ...]) -> Mapping[str, Digest | None]:
    """Kept, since a run's commands are all given the same."""
    try:
        return {outcome.key: outcome.digest for outcome in parse(sources)}
    except PrerequisiteMissing:
        return {}
