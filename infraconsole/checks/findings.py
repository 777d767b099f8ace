"""The finding: what every check says, in one shape for screens, JSON and exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "info"]
_ORDER: dict[Level, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """`id` names the rule (`terraform-too-old`), `subject` the thing, `message` what is so, `mend` what to do about it
    ("" where nothing is to be done). `file` and `line` (from 1) where the thing stands in a file."""

    id: str
    level: Level
    subject: str
    message: str
    mend: str = ""
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For `--json`: `file` and `line` only where there is one."""
        document: dict[str, Any] = {
            "id": self.id,
            "level": self.level,
            "subject": self.subject,
            "message": self.message,
            "mend": self.mend,
        }
        if self.file is not None:
            document["file"] = self.file
        if self.line is not None:
            document["line"] = self.line
        return document


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings; within a level as they came."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.level]))


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.level == "error" for finding in findings)
