"""Where a run's plan lies, apart from what reads it: the run screen asks only whether there is one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = "plan.json"
"""In a run's folder, as the runbooks that plan leave it; only its owner may read it."""
CONSUMED = "plan.consumed"
"""Beside it, once the apply of the plan has begun."""
COST = "cost.json"
"""Beside it, where infracost was asked what the plan costs, and said it."""


def document_of(folder: Path, run: str) -> Path:
    """`folder` is the journal's."""
    return folder / "runs" / run / DOCUMENT


def cost_of(folder: Path, run: str) -> Path:
    return document_of(folder, run).with_name(COST)


def is_consumed(folder: Path, run: str) -> bool:
    """Whether the apply of what lies there has begun. Quick enough for the event loop."""
    return document_of(folder, run).with_name(CONSUMED).exists()


def written_at(folder: Path, run: str) -> datetime | None:
    """When the document was written; None where there is none. Quick enough for the event loop."""
    try:
        return datetime.fromtimestamp(document_of(folder, run).stat().st_mtime, UTC)
    except OSError:
        return None
