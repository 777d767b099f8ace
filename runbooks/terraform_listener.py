"""A plan or an apply while it runs: what a person wants to see of its events, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from infraconsole import text
from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks.applied import Applied
from infraconsole.runbooks.terraform_failure import diagnostic_line
from infraconsole.terraform import events
from infraconsole.terraform.claims import Claims
from infraconsole.terraform.events import Diagnostic

_UNDER_WAY = 3
"""So many of the resources that are at work are named in the progress line."""


@dataclass
class Listener:
    """Takes the events of a plan or an apply as they come, says what a person wants to see, and remembers the outcome. `planned`:
    by address, how many operations the plan has for it."""

    context: StepContext
    planned: Mapping[str, int] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    refreshed: Counter[str] = field(default_factory=Counter)
    silent: bool = False
    """Whether it only counts, of what was said when it happened."""

    def __post_init__(self) -> None:
        self.applied = Applied(self.planned)
        self.claims = Claims()

    def __call__(self, line: str) -> None:
        event = events.parse(line)
        self.claims.take(event)
        match event:
            case events.Text(text=words):
                if words.strip():
                    self._output(words)
            case events.Diagnostic():
                self.diagnostics.append(event)
                self._output(diagnostic_line(event))
            case events.Refresh(complete=True):
                self.refreshed["read"] += 1
                if self.refreshed["read"] % 25 == 1:
                    self._progress(f"{self.refreshed['read']} resources read")
            case events.Apply(action="read"):
                return
            case events.Apply():
                self.applied.take(event)
                self._say(_told(event))
            case events.ActionEvent(phase="planned"):
                return
            case events.ActionEvent():
                self.applied.take(event)
                self._say(_told_of_action(event))
            case events.EphemeralOp(phase="errored", resource=resource, action=action):
                self._output(f"{resource.address}: {action} failed")
            case events.Unknown():
                # What a newer Terraform says is for a person to judge: it may be a change.
                self._output(f"{event.message}  ({event.type or 'no type'}: not known here)")
            case events.Provision(output=words) if words:
                self._output(*words.split("\n"), source=event.resource.address)

    def _say(self, line: str) -> None:
        if line:
            self._output(line)
        applied = self.applied
        under_way = [f"{each.address} {text.duration(each.seconds)}" for each in islice(applied.running, _UNDER_WAY)]
        more = f"; {', '.join(under_way)}" if under_way else ""
        failed = f", {applied.failed} failed" if applied.failed else ""
        self._progress(f"{applied.done}{self._of} done{failed}{more}", rows=applied.rows())

    @property
    def _of(self) -> str:
        return f" of {self.applied.planned}" if self.applied.planned else ""

    def _output(self, *lines: str, source: str = "") -> None:
        if not self.silent:
            self.context.output(*lines, source=source)

    def _progress(self, words: str, **figures: Any) -> None:
        if not self.silent:
            self.context.progress(words, **figures)

    @property
    def summary(self) -> str:
        """What an apply had done when it ended, in numbers."""
        return f"{self.applied.done}{self._of} changes were made, {self.applied.failed} failed."


def _told_of_action(event: events.ActionEvent) -> str:
    on = f", for {event.on}" if event.on else ""
    match event.phase:
        case "start":
            return f"{event.address}: invoke{on}…"
        case "complete":
            return f"{event.address}: invoke done"
        case "errored":
            return f"{event.address}: invoke failed{on}: {event.words}".removesuffix(": ")
    return f"{event.address}: {event.words}" if event.words else ""


def _told(event: events.Apply) -> str:
    """A line for the output; "" of what only goes on."""
    match event:
        case events.ApplyStart():
            return f"{event.resource.address}: {event.action}…"
        case events.ApplyComplete():
            return f"{event.resource.address}: {event.action} done in {text.duration(event.elapsed_seconds)}"
        case events.ApplyErrored():
            return f"{event.resource.address}: {event.action} failed"
    return ""
