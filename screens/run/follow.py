"""Following a run in the journal, live or long after: what is new since the last look. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infraconsole import clock
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.history import RunRecord, advanced
from infraconsole.engine.journal import Journal
from infraconsole.engine.launch import executor_of
from infraconsole.engine.locks import Holder

_EVENTS_A_LOOK = 200
"""An output event may hold two thousand lines; a look stays short, and says that there is more."""
_EXECUTOR_EVERY_SECONDS = 1.0
_GATE_KINDS = (Kind.GATE_OPENED, Kind.GATE_ANSWERED, Kind.GATE_REJECTED, Kind.GATE_REFUSED)


@dataclass(frozen=True)
class Update:
    """`gate_turns` counts what happened at gates: it moves on also where a gate looks the same as before."""

    record: RunRecord
    events: tuple[Event, ...]
    executor: Holder | None
    gate_turns: int
    more: bool


class RunFollower:
    """One reader's place in one run. `look` blocks for a moment: for a thread, one call at a time."""

    def __init__(
        self,
        journal: Journal,
        run: str,
        *,
        executor: Callable[[Path, str], Holder | None] = executor_of,
        clock: Callable[[], float] = clock.seconds,
    ) -> None:
        self._journal = journal
        self._executor_of = executor
        self._clock = clock
        self._version: int | None = None
        self._executor: Holder | None = None
        self._looked_for_executor = float("-inf")
        self._gate_turns = 0
        self._more = False
        self.record = RunRecord(run)

    def look(self) -> Update | None:
        """What is new, None where nothing is. Raises JournalError."""
        version = self._journal.data_version()
        due = self._clock() - self._looked_for_executor >= _EXECUTOR_EVERY_SECONDS
        if version == self._version and not self._more and not due:
            return None
        self._version = version
        events = self._journal.events(self.record.run, after=self.record.seq, limit=_EVENTS_A_LOOK)
        self._more = len(events) == _EVENTS_A_LOOK
        for event in events:
            self.record = advanced(self.record, event)
            self._gate_turns += event.kind in _GATE_KINDS
        before = self._executor
        if due or events:
            self._looked_for_executor = self._clock()
            self._executor = None if self.record.finished else self._executor_of(self._journal.folder, self.record.run)
        if not events and before == self._executor:
            return None
        return Update(self.record, tuple(events), self._executor, self._gate_turns, self._more)
