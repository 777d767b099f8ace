"""A plan or an apply while it runs: what a person wants to see of its events, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from infraconsole import text
from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks.terraform_root import diagnostic_line
from infraconsole.terraform import events
from infraconsole.terraform.events import Diagnostic


@dataclass
class Listener:
    """Takes the events of a plan or an apply as they come, says what a person wants to see, and remembers the outcome."""

    context: StepContext
    total: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    refreshed: Counter[str] = field(default_factory=Counter)
    silent: bool = False
    """Whether it only counts, of what was said when it happened."""

    @property
    def has_begun(self) -> bool:
        """Whether Terraform has begun to change anything."""
        return bool(self.done or self.failed or self.running)

    def __call__(self, line: str) -> None:
        event = events.parse(line)
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
            case events.ApplyStart():
                self.running[event.resource.address] = (event.action, 0.0)
                self._say(f"{event.resource.address}: {event.action}…")
            case events.ApplyProgress():
                self.running[event.resource.address] = (event.action, event.elapsed_seconds)
                self._say("")
            case events.ApplyComplete():
                self.running.pop(event.resource.address, None)
                self.done.append(event.resource.address)
                self._say(f"{event.resource.address}: {event.action} done in {text.duration(event.elapsed_seconds)}")
            case events.ApplyErrored():
                self.running.pop(event.resource.address, None)
                self.failed.append(event.resource.address)
                self._say(f"{event.resource.address}: {event.action} failed")
            case events.Provision(output=words) if words:
                self._output(f"{event.resource.address}: {words}")

    def _say(self, line: str) -> None:
        if line:
            self._output(line)
        under_way = [f"{address} {text.duration(seconds)}" for address, (_, seconds) in self.running.items()]
        of = f" of {self.total}" if self.total else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        more = f"; {', '.join(under_way[:3])}" if under_way else ""
        rows = [
            *([address, "failed", 0.0] for address in self.failed[-10:]),
            *([address, action, seconds] for address, (action, seconds) in list(self.running.items())[:20]),
            *([address, "done", 0.0] for address in self.done[-10:]),
        ]
        self._progress(f"{len(self.done)}{of} done{failed}{more}", rows=rows)

    def _output(self, line: str) -> None:
        if not self.silent:
            self.context.output(line)

    def _progress(self, words: str, **figures: Any) -> None:
        if not self.silent:
            self.context.progress(words, **figures)

    @property
    def summary(self) -> str:
        """What an apply had done when it ended."""
        of = f" of {self.total}" if self.total else ""
        cut = f" Under way when it ended: {', '.join(self.running)}." if self.running else ""
        return f"{len(self.done)}{of} changes were made, {len(self.failed)} failed.{cut}"
