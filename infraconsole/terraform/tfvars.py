"""An environment's variables: what a `terraform.tfvars` says, and the exact edit that changes one value in it.

python-hcl2 builds its grammar at the first parse, which takes a second or two: views read through `read_apart`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import hcl
from infraconsole.terraform.evaluate import Scope, Unknown

_APART_SECONDS = 30.0


@dataclass(frozen=True)
class Edit:
    """Set `key` to `value` in `file`: line number (from 1, 0 to append), the line as it is and as it has to be."""

    file: Path
    key: str
    value: str
    line: int
    before: str
    after: str

    def as_diff(self) -> tuple[str, ...]:
        where = f"@@ line {self.line} @@" if self.line else "@@ at the end @@"
        removed = (f"-{self.before}",) if self.line else ()
        return (str(self.file), where, *removed, f"+{self.after}")


def read(file: Path) -> Mapping[str, Any]:
    """The variables. Raises PrerequisiteMissing that names the file and, where the parser tells it, the line."""
    import hcl2
    from hcl2.utils import SerializationOptions

    text = ""
    try:
        text = files.read_text(file)
        found: Mapping[str, Any] = hcl2.loads(
            text, serialization_options=SerializationOptions(strip_string_quotes=True, with_comments=False)
        )
    except OSError as error:
        raise files.unread(error, file, PrerequisiteMissing) from error
    except Exception as error:  # noqa: BLE001 - whatever the parser stumbles over
        return _read_by_hand(file, text, error)
    return found


def _read_by_hand(file: Path, text: str, error: Exception) -> Mapping[str, Any]:
    """What python-hcl2 refuses may be valid all the same. Raises PrerequisiteMissing where it is not."""
    try:
        blocks = hcl.digest(text).blocks if text else ()
    except hcl.HclUnreadable as refusal:
        raise PrerequisiteMissing(f"{file}, line {refusal.line}: {refusal.why}", cause=type(error).__name__) from error
    if not blocks:
        raise PrerequisiteMissing(f"{file} cannot be read.", cause=f"{type(error).__name__}: {error}") from error
    scope = Scope({}, {})
    values = {
        each.path: scope.evaluate(node)
        for block in blocks
        if not block.kind
        for each in block.attributes
        if (node := each.node)
    }
    return {name: value.text if isinstance(value, Unknown) else value for name, value in values.items()}


def read_apart(file: Path) -> Mapping[str, Any]:
    """As `read`, in a process of its own."""
    command = [sys.executable, "-m", "infraconsole.terraform.tfvars", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=_APART_SECONDS, stdin=subprocess.DEVNULL
        )
    except ValueError as error:  # a name with a NUL, or one that no file system can be asked for
        raise PrerequisiteMissing(f"{file} cannot be read.", cause=str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise PrerequisiteMissing(f"{file} was not read in {_APART_SECONDS:.0f} s.") from error
    if done.returncode:
        raise PrerequisiteMissing(f"{file} cannot be read.", cause=done.stderr.decode(errors="replace").strip())
    variables: Mapping[str, Any] = json.loads(done.stdout)
    return variables


def edit(file: Path, key: str, value: str) -> Edit:
    """The edit that makes `key` be `value`: spacing and comment of the line stay. Raises PrerequisiteMissing."""
    written = json.dumps(value)
    try:
        lines = files.read_text(file).splitlines()
    except OSError as error:
        raise files.unread(error, file, PrerequisiteMissing) from error
    except UnicodeDecodeError as error:
        raise PrerequisiteMissing(f"{file} cannot be read.", cause=str(error)) from error
    form = re.compile(rf'^(\s*{re.escape(key)}\s*=\s*)("(?:[^"\\]|\\.)*"|[^#\s]+)(.*)$')
    for number, line in enumerate(lines, 1):
        if match := form.match(line):
            return Edit(file, key, value, number, line, f"{match[1]}{written}{match[3]}")
    return Edit(file, key, value, 0, "", f"{key} = {written}")


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(read(Path(sys.argv[1])), default=str))
    except PrerequisiteMissing as problem:
        sys.exit(str(problem))
