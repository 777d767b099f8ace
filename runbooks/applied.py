"""What an apply has done so far, resource by resource, from Terraform's events: in numbers, as rows, and by name where it stopped
half way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from infraconsole.terraform import events

_NAMED = 10
"""So many addresses of a kind are named at most; all of them are in the run's output."""
_ROWS = {"failed": 10, "running": 20, "half": 10, "done": 10, "pending": 5}
"""By state, in the order of the rows: how many are shown."""


@dataclass(eq=False)
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

    def take(self, event: events.Apply) -> None:
        self.action, self.seconds = event.action, event.elapsed_seconds
        if isinstance(event, events.ApplyComplete):
            self.made.append(event.action)
            self.action = ""
        elif isinstance(event, events.ApplyErrored):
            self.has_failed = True

    def invoked(self, event: events.ActionEvent, seconds: float) -> None:
        self.action, self.seconds = "invoke", seconds
        if event.phase == "complete":
            self.made.append("invoke")
            self.action = ""
        elif event.phase == "errored":
            self.has_failed = True

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
            case "done" if set(self.made) == {"invoke"}:
                return "invoked"
            case "done":
                return f"{'replace' if len(self.made) > 1 else self.made[0]} done"
        return "not begun"


class Applied:
    """`planned`: by address, how many operations the plan has for it. Within a state the resources are in the order in which they
    came to it: of thousands, an event moves one."""

    def __init__(self, planned: Mapping[str, int]) -> None:
        self.planned = len(planned)
        self._resources = {address: Resource(address, parts) for address, parts in planned.items()}
        self._states: dict[str, dict[str, Resource]] = {state: {} for state in _ROWS}
        self._states["pending"].update(self._resources)
        self._begun: dict[str, datetime] = {}

    def take(self, event: events.Apply | events.ActionEvent) -> None:
        address = event.address if isinstance(event, events.ActionEvent) else event.resource.address
        resource = self._resources.setdefault(address, Resource(address))
        before = resource.state
        if isinstance(event, events.ActionEvent):
            resource.invoked(event, self._since(event))
        else:
            resource.take(event)
        if resource.state != before:
            self._states[before].pop(address, None)
        self._states[resource.state][address] = resource

    def _since(self, event: events.ActionEvent) -> float:
        """Of an action, whose events do not tell how long it takes."""
        if event.phase == "start" and event.at is not None:
            self._begun[event.address] = event.at
        begun = self._begun.get(event.address)
        return (event.at - begun).total_seconds() if begun and event.at else 0.0

    @property
    def has_begun(self) -> bool:
        """Whether Terraform has begun to change anything."""
        return len(self._states["pending"]) < len(self._resources)

    @property
    def done(self) -> int:
        """Resources that are as the plan wants them."""
        return len(self._states["done"])

    @property
    def failed(self) -> int:
        return len(self._states["failed"])

    @property
    def running(self) -> Iterable[Resource]:
        return self._states["running"].values()

    def rows(self) -> list[list[str | float]]:
        """Address, words and seconds of what is worth seeing now: of what is done the last, of all else the first."""
        shown: list[Resource] = []
        for state, most in _ROWS.items():
            there = self._states[state].values()
            shown += islice(reversed(there) if state == "done" else there, most)
        return [[each.address, each.words, each.seconds] for each in shown]

    def named(self) -> tuple[str, ...]:
        """What an apply that stopped half way has left, by name, the worst first; each a sentence."""
        found = (
            ("Destroyed and not made again", [each for each in self._resources.values() if each.is_gone]),
            ("Failed", self._kept("failed")),
            ("Under way when it ended", self._kept("running")),
            ("Made in part", self._kept("half")),
            ("Made", self._kept("done")),
            ("Not begun", self._kept("pending")),
        )
        return tuple(f"{words}: {_listed(resources)}." for words, resources in found if resources)

    def _kept(self, state: str) -> list[Resource]:
        return [each for each in self._states[state].values() if not each.is_gone]


def _listed(resources: list[Resource]) -> str:
    names = ", ".join(each.address for each in resources[:_NAMED])
    more = len(resources) - _NAMED
    return f"{names} and {more:,} more" if more > 0 else names
