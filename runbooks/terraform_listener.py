"""A plan or an apply while it runs: what a person wants to see of its events, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infraconsole import text
from infraconsole.engine.runbook import StepContext
from infraconsole.runbooks.terraform_root import diagnostic_line
from infraconsole.terraform import events
from infraconsole.terraform.events import Diagnostic

_NAMED = 10
"""So many addresses of a kind are named at most; all of them are in the run's output."""
_ROWS = {"failed": 10, "running": 20, "half": 10, "done": 10, "pending": 5}


@dataclass
class Resource:
    """What an apply has done to one resource. `parts` are the operations that Terraform tells of it: a replacement is a destroy
    and a create."""

    address: str
    parts: int = 1
    made: list[str] = field(default_factory=list)
    action: str = ""
    """The operation that is under way, or failed."""
    has_failed: bool = False
    seconds: float = 0.0

    @property
    def state(self) -> str:
        if self.has_failed:
            return "failed"
        if self.action:
            return "running"
        if len(self.made) >= self.parts:
            return "done"
        return "half" if self.made else "pending"

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed for its replacement, and not made again."""
        return self.parts > 1 and self.made == ["delete"]

    @property
    def words(self) -> str:
        """For its row."""
        match self.state:
            case "failed":
                return f"{self.action} failed"
            case "running":
                return self.action
            case "half":
                return "destroyed, not made again yet" if self.is_gone else f"{self.made[0]} done, not all of it yet"
            case "done":
                return f"{'replace' if len(self.made) > 1 else self.made[0]} done"
        return "not begun"


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
        self._resources = {address: Resource(address, parts) for address, parts in self.planned.items()}

    @property
    def has_begun(self) -> bool:
        """Whether Terraform has begun to change anything."""
        return any(resource.state != "pending" for resource in self._resources.values())

    @property
    def done(self) -> int:
        """Resources that are as the plan wants them."""
        return len(self._in("done"))

    def _in(self, state: str) -> list[Resource]:
        return [resource for resource in self._resources.values() if resource.state == state]

    def _of(self, event: events.Apply) -> Resource:
        return self._resources.setdefault(event.resource.address, Resource(event.resource.address))

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
                self._of(event).action = event.action
                self._say(f"{event.resource.address}: {event.action}…")
            case events.ApplyProgress():
                resource = self._of(event)
                resource.action, resource.seconds = event.action, event.elapsed_seconds
                self._say("")
            case events.ApplyComplete():
                resource = self._of(event)
                resource.action, resource.seconds = "", event.elapsed_seconds
                resource.made.append(event.action)
                self._say(f"{event.resource.address}: {event.action} done in {text.duration(event.elapsed_seconds)}")
            case events.ApplyErrored():
                resource = self._of(event)
                resource.action, resource.seconds = event.action, event.elapsed_seconds
                resource.has_failed = True
                self._say(f"{event.resource.address}: {event.action} failed")
            case events.Provision(output=words) if words:
                self._output(f"{event.resource.address}: {words}")

    def _say(self, line: str) -> None:
        if line:
            self._output(line)
        running, failed = self._in("running"), self._in("failed")
        under_way = [f"{each.address} {text.duration(each.seconds)}" for each in running]
        of = f" of {len(self.planned)}" if self.planned else ""
        more = f"; {', '.join(under_way[:3])}" if under_way else ""
        # What is over is in the order of the plan: of that the last, of what comes the first.
        shown = [
            each for state, most in _ROWS.items() for each in self._in(state)[-most if state == "done" else 0 :][:most]
        ]
        rows = [[each.address, each.words, each.seconds] for each in shown]
        self._progress(f"{self.done}{of} done{f', {len(failed)} failed' if failed else ''}{more}", rows=rows)

    def _output(self, line: str) -> None:
        if not self.silent:
            self.context.output(line)

    def _progress(self, words: str, **figures: Any) -> None:
        if not self.silent:
            self.context.progress(words, **figures)

    @property
    def summary(self) -> str:
        """What an apply had done when it ended, in numbers."""
        of = f" of {len(self.planned)}" if self.planned else ""
        return f"{self.done}{of} changes were made, {len(self._in('failed'))} failed."

    def named(self) -> tuple[str, ...]:
        """What an apply that stopped half way has left, by name, the worst first; each a sentence."""
        gone = [each for each in self._resources.values() if each.is_gone and each.state != "done"]
        found = (
            ("Destroyed and not made again", gone),
            ("Failed", [each for each in self._in("failed") if each not in gone]),
            ("Under way when it ended", [each for each in self._in("running") if each not in gone]),
            ("Made in part", [each for each in self._in("half") if each not in gone]),
            ("Made", self._in("done")),
            ("Not begun", self._in("pending")),
        )
        return tuple(f"{words}: {_listed(resources)}." for words, resources in found if resources)


def _listed(resources: Sequence[Resource]) -> str:
    names = [each.address for each in resources[:_NAMED]]
    more = len(resources) - _NAMED
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
