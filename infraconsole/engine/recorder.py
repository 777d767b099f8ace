"""The executor's pen: everything is redacted, output is gathered into batches, and a full disk is waited for, not ignored."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infraconsole import clock
from infraconsole.engine import followups, listing, log
from infraconsole.engine.event import Event, Kind, Outcome
from infraconsole.engine.history import Acceptance, RunRecord, advanced, record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.output import LINES_A_BATCH, Output
from infraconsole.engine.runbook import OpenFollowUp
from infraconsole.errors import JournalError
from infraconsole.redaction import Redactor

_RETRY_SECONDS = 1.0
_EARLIER_RUNS = 50
"""How far back a run looks for what worked on its target."""


class Recorder:
    """Writes one run's events and keeps the record of them. Thread-safe.

    `patience_seconds`: how long an event that cannot be written is tried again before JournalError is raised. A changing
    call's intent is never waited for that long: without it nothing is sent.
    """

    def __init__(self, journal: Journal, run: str, redactor: Redactor, *, patience_seconds: float = 60.0) -> None:
        self._journal = journal
        self._run = run
        self._redactor = redactor
        self._patience_seconds = patience_seconds
        self._lock = threading.RLock()
        self._output = Output(redactor)
        self._output_step = ""
        self.record: RunRecord = record_of(run, journal.events(run))

    @property
    def folder(self) -> Path:
        """Of files that belong to the run; made by whoever puts the first one there."""
        return self._journal.folder / "runs" / self._run

    def write(self, kind: Kind, step: str = "", **data: Any) -> Event:
        """On return the event is on the disk. Raises JournalError."""
        with self._lock:
            # A progress between two lines of output ends nothing: a secret may go on in the second.
            self._flush(self._patience_seconds, whole=kind is not Kind.PROGRESS)
            return self._append(kind, step, self._redactor.data(data))

    def write_unless_finished(self, kind: Kind, **data: Any) -> None:
        """For what comes from outside at any time: a run's last event is its end."""
        with self._lock:
            if not self.record.finished:
                self.write(kind, **data)

    def line(self, step: str, *lines: str, source: str = "") -> None:
        """Output lines; on the disk within a tenth of a second, by `tick`, and where one may be the beginning of a secret within
        `HELD_SECONDS`. `source` is said before each line, and tells the lines apart that go on in each other."""
        with self._lock:
            if step != self._output_step:
                self.flush()
            self._output_step = step
            self._output.add(source, lines)
            if self._output.count >= LINES_A_BATCH:
                self._flush(self._patience_seconds, whole=False)

    def earlier_results(self, step: str, runbook: str = "") -> list[Mapping[str, Any]]:
        """Of `step` in the newest earlier runs of this runbook, or of `runbook`, on this target that were done, newest first."""
        runs = listing.done_before(self._journal, self.record, _EARLIER_RUNS, runbook)
        found = (self._journal.step_result(run.run, step) for run in runs)
        return [result for result in found if result]

    def answered_before_declining(self) -> Sequence[Acceptance]:
        """What the same operator answered in the run before this one, where that asked for the same and ended with a refusal, and
        nothing has been changed by it or since."""
        before = listing.run_before(self._journal, self.record)
        if before is None or before.outcome != Outcome.REFUSED or before.changed:
            return ()
        known = record_of(before.run, self._journal.events(before.run))
        is_same = (known.inputs, known.operator) == (self.record.inputs, self.record.operator)
        is_untouched = not known.sent and not listing.changed_after(self._journal, known)
        return known.accepted if is_same and is_untouched else ()

    def open_follow_ups(self) -> list[OpenFollowUp]:
        """Of earlier runs on this run's target; looked at anew, so that what was done meanwhile is not said to be open."""
        known = [each for each in followups.review(self._journal) if not each.done and each.run != self._run]
        targets = listing.targets_of(self._journal, {each.run for each in known})
        return [
            OpenFollowUp(each.title, each.detail)
            for each in known
            if targets.get(each.run) == self.record.target.name and not each.strays
        ]

    def open_strays(self, place: str) -> list[OpenFollowUp]:
        """Of whatever run, about the state at `place`."""
        return [
            OpenFollowUp(known.title, known.detail, known.run, known.id, known.strays)
            for known in followups.open_follow_ups(self._journal)
            if known.place == place and known.strays
        ]

    def close_follow_up(self, known: OpenFollowUp, detail: str) -> None:
        if known.run == self._run:
            self.write(Kind.FOLLOW_UP_DONE, of=known.run, id=known.id, detail=detail)
        else:
            followups.close(self._journal, known.run, known.id, self._redactor.text(detail))

    def flush(self) -> None:
        with self._lock:
            self._flush(self._patience_seconds, whole=True)

    def tick(self) -> None:
        """Flush now and then; waits for nothing, neither for the disk nor for another thread. Raises JournalError."""
        if self._lock.acquire(blocking=False):
            try:
                self._flush(0.0, whole=False)
            finally:
                self._lock.release()

    def _flush(self, patience_seconds: float, *, whole: bool) -> None:
        """`whole`: also what may be the beginning of a secret."""
        while lines := self._output.ready(whole=whole):
            self._append(Kind.OUTPUT, self._output_step, {"lines": lines}, patience_seconds)
            self._output.taken()

    def _append(self, kind: Kind, step: str, data: Mapping[str, Any], patience_seconds: float | None = None) -> Event:
        """Of what is redacted already."""
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        deadline = clock.seconds() + (0.0 if kind is Kind.CALL_INTENDED else patience)
        while True:
            try:
                event = self._journal.append(self._run, kind, step, data)
                break
            except JournalError as error:
                log.write(str(error))
                if clock.seconds() >= deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        self.record = advanced(self.record, event)
        return event
