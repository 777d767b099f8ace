"""Gates: what stands before a change. The executor opens a gate, a view shows it, and the executor checks the answer here."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from infraconsole import text
from infraconsole.errors import GateRefused


class GateKind(StrEnum):
    CONFIRM = "confirm"
    """The answer is `yes` or `y`, in letters of any case; `yes` is recorded."""
    TYPE = "type"
    """The answer is the target's name, letter by letter."""
    CHOOSE = "choose"
    """The answer is the id of one of the choices."""
    APPROVE = "approve"
    """The answer is `NAME:REFERENCE` of a second person, once per approver."""
    BREAK_GLASS = "break-glass"
    """The answer is the reason, in words; it is recorded."""


DECLINED = "no"
"""The answer that refuses any gate."""

FAILURE_GATE = "on-failure"
"""The gate that opens where a step has failed: retry, skip, stop, or what the step offers."""
ERROR, WARNING = "Error: ", "Warning: "
"""What a line of `Gate.changes` begins with where it is no change but a reason to think again."""
LEAST_REASON = 8
"""Characters of a reason that a person can read; blanks in a row count once."""


def is_reason(value: str) -> bool:
    """Whether `value` says why, as a break-glass gate asks for it."""
    return len(text.legible(value)) >= LEAST_REASON


def _person(name: str) -> str:
    """What is the same for one person, however the name is written: in other case or width, with blanks or invisible characters."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(character for character in plain if unicodedata.category(character) not in ("Cf", "Cc", "Mn"))
    return " ".join(unicodedata.normalize("NFKC", visible).split())


@dataclass(frozen=True)
class GateSpec:
    """A gate as the catalogue lists it: it may open in a run, or not, as policy and inputs say."""

    id: str
    kind: GateKind
    summary: str = ""


@dataclass(frozen=True)
class Choice:
    """One possibility of a choose gate; `why_not` is set where it cannot be taken, and says why."""

    id: str
    title: str
    detail: tuple[str, ...] = ()
    recommended: bool = False
    why_not: str = ""


@dataclass(frozen=True)
class Gate:
    """A gate that stands open: what will change, what cannot be undone, how a person would do it by hand."""

    id: str
    kind: GateKind
    title: str
    changes: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    expected: str = ""
    """For `type`: what must be typed."""
    choices: tuple[Choice, ...] = ()
    approvers: tuple[str, ...] = ()
    """For `approve`: who may; one approval of each is asked for."""
    notice: str = ""
    """Why it is asked again, where an answer that was given does not hold any more."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Gate:
        lists = {key: tuple(data[key]) for key in ("changes", "irreversible", "commands", "approvers")}
        choices = tuple(Choice(**{**choice, "detail": tuple(choice["detail"])}) for choice in data["choices"])
        return cls(
            data["id"],
            GateKind(data["kind"]),
            data["title"],
            expected=data["expected"],
            choices=choices,
            notice=data.get("notice", ""),
            **lists,
        )

    def check(self, answer: str, *, operator: str, approved: tuple[str, ...] = ()) -> str:
        """The answer as it is recorded; GateRefused, with the reason, where it does not open the gate.

        `approved` holds the answers this gate has already taken: no approver counts twice.
        """
        match self.kind:
            case GateKind.CONFIRM:
                if answer.casefold() not in ("y", "yes"):
                    raise self._refused(f"{answer!r} is not `yes`")
                answer = "yes"
            case GateKind.TYPE:
                if answer != self.expected:
                    raise self._refused(f"{answer!r} is not {self.expected!r}")
            case GateKind.CHOOSE:
                self._check_choice(answer)
            case GateKind.BREAK_GLASS:
                answer = answer.strip()
                if not is_reason(answer):
                    raise self._refused(f"a reason has at least {LEAST_REASON} characters")
            case GateKind.APPROVE:
                self._check_approval(answer, operator, approved)
        return answer

    def declines(self, answer: str) -> bool:
        """Whether `answer` refuses the gate."""
        return answer.casefold() in ("n", DECLINED) if self.kind is GateKind.CONFIRM else answer == DECLINED

    def _check_choice(self, answer: str) -> None:
        chosen = next((choice for choice in self.choices if choice.id == answer), None)
        if chosen is None:
            raise self._refused(f"{answer!r} is not one of {', '.join(choice.id for choice in self.choices)}")
        if chosen.why_not:
            raise self._refused(f"{chosen.title} cannot be chosen: {chosen.why_not}")

    def _check_approval(self, answer: str, operator: str, approved: tuple[str, ...]) -> None:
        name, _, reference = answer.partition(":")
        if not text.legible(name) or not text.legible(reference) or len(answer.splitlines()) != 1:
            raise self._refused("an approval is NAME:REFERENCE in one line, as in cto:CHG-1234")
        if _person(name) == _person(operator):
            raise self._refused(f"{name} runs this and cannot approve it")
        if name not in self.approvers:
            raise self._refused(f"{name} is not one of {', '.join(self.approvers)}")
        if _person(name) in {_person(earlier.partition(":")[0]) for earlier in approved}:
            raise self._refused(f"{name} has approved already")

    def _refused(self, why: str) -> GateRefused:
        return GateRefused(f"Gate {self.id} is not open: {self.title}", cause=why, mend=f"Answer it: {self.how}.")

    @property
    def how(self) -> str:
        """How the gate is answered, for a person at a prompt."""
        match self.kind:
            case GateKind.CONFIRM:
                return "type yes"
            case GateKind.TYPE:
                return f"type {self.expected}"
            case GateKind.CHOOSE:
                return "choose " + " or ".join(choice.id for choice in self.choices if not choice.why_not)
            case GateKind.APPROVE:
                return f"give NAME:REFERENCE of {' and of '.join(self.approvers)}"
            case GateKind.BREAK_GLASS:
                return f"give the reason in words, {LEAST_REASON} characters at least"
