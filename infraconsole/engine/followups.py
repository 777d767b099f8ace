"""Follow-ups: what a person still has to do after a run. Open until it is seen done, and then recorded as done.

They are looked at by whoever looks at the journal; what was seen is written under a run of its own name, so that the
run that opened the follow-up stays as it ended. Those about a state are looked at by the runs that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infraconsole.engine.event import Kind
from infraconsole.engine.history import FollowUp, follow_up_of
from infraconsole.engine.journal import Journal
from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import tfvars

REVIEW = "follow-ups"
"""The name under which the journal keeps what was seen."""


def open_follow_ups(journal: Journal) -> tuple[FollowUp, ...]:
    """Those not seen done yet, the newest first. A later one of the same kind on the same file takes an earlier one's place."""
    events = journal.events_of_kind(Kind.FOLLOW_UP_OPENED, Kind.FOLLOW_UP_DONE)
    found: dict[tuple[str, str, str], FollowUp] = {}
    for event in events:
        if event.kind == Kind.FOLLOW_UP_DONE:
            found = {
                key: known
                for key, known in found.items()
                if (known.run, known.id) != (event.data["of"], event.data["id"])
            }
        else:
            known = follow_up_of(event)
            found[(known.id, known.file, known.title)] = known
    return tuple(reversed(found.values()))


def review(journal: Journal, read: Callable[[Path], Mapping[str, Any]] = tfvars.read_apart) -> tuple[FollowUp, ...]:
    """Look whether each open follow-up was done, record those that were, and give all, done ones marked. Reads files."""
    reviewed = []
    for known in open_follow_ups(journal):
        if known.file and _is_done(known, read):
            close(journal, known.run, known.id, f"{known.file} says {known.key} = {known.value}")
            known = replace(known, done=True)
        reviewed.append(known)
    return tuple(reviewed)


def close(journal: Journal, run: str, id: str, detail: str) -> None:  # noqa: A002
    """Record that the follow-up `id` of `run` was seen done, and by what."""
    journal.append(REVIEW, Kind.FOLLOW_UP_DONE, data={"of": run, "id": id, "detail": detail})


def _is_done(known: FollowUp, read: Callable[[Path], Mapping[str, Any]]) -> bool:
    try:
        return bool(read(Path(known.file)).get(known.key) == known.value)
    except PrerequisiteMissing:
        return False
