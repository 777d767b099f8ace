"""What is known of one service in one environment, each group of facts with when it was read and why it could not be. Data alone:
the loaders in overview.py fill it, judgement.py judges it, the screens and `status` show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from infraconsole import naming
from infraconsole.errors import AwsNotFound

if TYPE_CHECKING:
    from infraconsole.aws.cloudtrail import Author
    from infraconsole.aws.cloudwatch import Alarm
    from infraconsole.checks.findings import Finding
    from infraconsole.checks.image_drift import Meant
    from infraconsole.checks.serving import ServiceFacts
    from infraconsole.terraform.state import LockInfo, StateSummary

T = TypeVar("T")

GROUPS = ("service", "state", "lock", "alarms", "exports", "variables")
"""What is read of a row, each by the loader of that name."""
FROM_AWS = frozenset(GROUPS) - {"variables"}
"""Those whose reading tells that AWS can be reached."""


@dataclass(frozen=True)
class Fact(Generic[T]):
    """Something read from AWS. `read_at` belongs to `value`; `error` is why the last attempt failed, None if it did not."""

    value: T | None = None
    read_at: datetime | None = None
    error: Exception | None = None
    loading: bool = False

    def asked(self) -> Fact[T]:
        return replace(self, loading=True)

    def got(self, value: T, at: datetime) -> Fact[T]:
        """What is the same as before stays the same object, with what was worked out of it."""
        return Fact(self.value if self.value is not None and self.value == value else value, at)

    def failed(self, error: Exception) -> Fact[T]:
        return replace(self, error=error, loading=False)

    @property
    def absent(self) -> bool:
        """Whether AWS says that there is no such thing."""
        return self.value is None and isinstance(self.error, AwsNotFound)


@dataclass(frozen=True)
class Revisions:
    """The newest `references` (ARNs) of a family, and how many ACTIVE ones it has in all."""

    family: str
    references: tuple[str, ...]
    total: int

    @property
    def count(self) -> str:
        """`40 of 1,208` where not all are listed."""
        shown = len(self.references)
        return f"{shown:,} of {self.total:,}" if self.total > shown else f"{shown:,}"


@dataclass(frozen=True)
class StateFacts:
    """`bucket` is "" where the configuration names none; `state` is then None. `digest` is what the lock table keeps, where that is
    another state's; `left` the file of a state that an apply could not store, "" where there is none."""

    bucket: str
    key: str
    state: StateSummary | None = None
    modified_at: datetime | None = None
    digest: str = ""
    left: str = ""


@dataclass(frozen=True)
class LockFacts:
    """`checked` is false where there is nowhere to look for a lock. `why_unlocked` and `mend` say why no lock protects the state,
    and what to do about it; "" where one does, or nothing is known."""

    checked: bool
    lock: LockInfo | None = None
    why_unlocked: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Authorship:
    """Who stored a version of a state; `author` is None where the logs do not say, `recorded` false where no trail keeps any."""

    author: Author | None
    recorded: bool = True


@dataclass(frozen=True)
class ExportFacts:
    """`findings` are those of the exports' own check that concern this row, without those that only tell what is missing."""

    required: tuple[str, ...]
    missing: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def present(self) -> int:
        return len(self.required) - len(self.missing)


@dataclass(frozen=True)
class VariablesFacts:
    """`values`: what the environment's variables say, in clear; None where nobody could look, and `why_not` says why."""

    values: Mapping[str, Any] | None = field(default=None, repr=False)
    why_not: str = ""
    _meant: dict[tuple[str, tuple[str, ...]], Meant | None] = field(default_factory=dict, repr=False, compare=False)

    def instead_of(self, image: str, names: tuple[str, ...]) -> Meant | None:
        """As `image_drift.meant`. Told once and kept: every frame asks, and looking through the variables takes its time."""
        from infraconsole.checks.image_drift import meant

        key = (image, names)
        if key not in self._meant:
            self._meant[key] = meant(self.values or {}, image, names)
        return self._meant[key]


@dataclass(frozen=True)
class RunFacts:
    """A run at this target. `state` in a word or two: runs, waits for you, done, failed, stopped, …"""

    id: str
    title: str
    state: str
    under_way: bool = False
    resumable: bool = False
    gate: str = ""
    at: datetime | None = None
    """When it ended, or else began."""


@dataclass(frozen=True)
class ToDo:
    """A follow-up that is open."""

    title: str
    run: str


@dataclass(frozen=True)
class Left:
    """What runs have left at this target. `run` is the one that is at it or has to be taken up, else the last one."""

    run: RunFacts | None = None
    unfinished: tuple[RunFacts, ...] = ()
    half_applied: RunFacts | None = None
    to_do: tuple[ToDo, ...] = ()


@dataclass(frozen=True)
class Account:
    id: str
    operator_arn: str
    alias: str = ""

    @property
    def name(self) -> str:
        return f"{self.alias} ({self.id})" if self.alias else self.id


@dataclass(frozen=True)
class BoardRow:
    service_name: str
    environment: str
    service: Fact[ServiceFacts] = field(default_factory=Fact)
    state: Fact[StateFacts] = field(default_factory=Fact)
    lock: Fact[LockFacts] = field(default_factory=Fact)
    alarms: Fact[tuple[Alarm, ...]] = field(default_factory=Fact)
    exports: Fact[ExportFacts] = field(default_factory=Fact)
    variables: Fact[VariablesFacts] = field(default_factory=Fact)
    left: Fact[Left] = field(default_factory=Fact)
    """From the journal: all others are read from AWS and from the code."""

    @property
    def key(self) -> str:
        return naming.target_name(self.service_name, self.environment)

    @property
    def facts(self) -> tuple[tuple[str, Fact[Any]], ...]:
        """The groups that a loader reads, each with its name."""
        return tuple((group, getattr(self, group)) for group in GROUPS)

    @property
    def all_facts(self) -> tuple[tuple[str, Fact[Any]], ...]:
        return (*self.facts, ("left", self.left))

    def with_fact(self, group: str, fact: Fact[Any]) -> BoardRow:
        changed: dict[str, Any] = {group: fact}
        return replace(self, **changed)
