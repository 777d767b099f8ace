"""Follow-ups: what a person still has to do after a run. Open until it is seen done, and then recorded as done.

They are looked at by whoever looks at the journal; what was seen is written under a run of its own name, so that the
run that opened the follow-up stays as it ended. Those about a state are looked at by the runs that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infraconsole.engine import listing
from infraconsole.engine.event import Kind
from infraconsole.engine.history import FollowUp, follow_up_of
from infraconsole.engine.journal import Journal
from infraconsole.errors import PrerequisiteMissing
from infraconsole.terraform import tfvars

REVIEW = "follow-ups"
"""The name under which the journal keeps what was seen."""


def open_follow_ups(journal: Journal) -> tuple[FollowUp, ...]:
    """Those not seen done yet, the newest first. A later one of the same kind on the same file takes an earlier one's place."""
    return tuple(follow_up_of(event) for event in reversed(journal.open_follow_ups()))


def open_by_target(journal: Journal) -> Mapping[str, tuple[FollowUp, ...]]:
    """As `open_follow_ups`, by the name of the target that each belongs to."""
    known = open_follow_ups(journal)
    targets = listing.targets_of(journal, {each.run for each in known})
    found: dict[str, tuple[FollowUp, ...]] = {}
    for each in known:
        name = targets.get(each.run, "")
        found[name] = (*found.get(name, ()), each)
    return found


def review(journal: Journal, read: Callable[[Path], Mapping[str, Any]] = tfvars.read_apart) -> tuple[FollowUp, ...]:
    """Look whether each open follow-up was done, record those that were, and give all, done ones marked. Reads files."""
    reviewed = []
    values: dict[str, Mapping[str, Any]] = {}
    for known in open_follow_ups(journal):
        if known.file and known.file not in values:
            values[known.file] = _values(known.file, read)
        if known.file and values[known.file].get(known.key) == known.value:
            close(journal, known.run, known.id, f"{known.file} says {known.key} = {known.value}")
            known = replace(known, done=True)
        reviewed.append(known)
    return tuple(reviewed)


def close(journal: Journal, run: str, id: str, detail: str) -> None:  # noqa: A002
    """Record that the follow-up `id` of `run` was seen done, and by what."""
    journal.append(REVIEW, Kind.FOLLOW_UP_DONE, data={"of": run, "id": id, "detail": detail})


def _values(file: str, read: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return read(Path(file))
    except PrerequisiteMissing:
        return {}
