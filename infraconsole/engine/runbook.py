"""What a runbook is: a typed procedure of inputs and steps that knows nothing of terminals, journals or processes.

A step sees the world only through `StepContext`, which the executor implements: so no step can change anything that is
not recorded before it happens.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ecr import TAG, is_tag
from infraconsole.clock import Stamp
from infraconsole.config import Config
from infraconsole.engine import gate as gates
from infraconsole.engine import policy
from infraconsole.engine.gate import Choice, Gate, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.errors import UnknownName, UsageError
from infraconsole.target import Target
from infraconsole.terraform import addresses
from infraconsole.terraform.claims import Stray
from infraconsole.terraform.runner import Ended, Terraform


@dataclass(frozen=True)
class Input:
    """One input of a runbook. `type` is service, environment, text, tag (of an image), addresses (of Terraform, with commas between
    them), or choice (one of `choices`); `least` is how many characters a given text has at least."""

    name: str
    type: str
    summary: str
    required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()
    least: int = 0

    def check(self, value: str) -> str:
        if len(value.strip()) < self.least:
            raise UsageError(
                f"{value!r} is no {self.name}.", cause=f"It has at least {self.least} characters.", mend="Say more."
            )
        if self.choices and value not in self.choices:
            raise UnknownName(f"value for {self.name}", value, self.choices)
        if self.type == "addresses":
            addresses.split(value)
        if self.type == "tag" and not is_tag(value):
            raise UsageError(f"{value!r} is no tag of an image.", mend=TAG)
        return value

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "default": self.default,
            "summary": self.summary,
            "choices": list(self.choices),
        }


class ProbeState(StrEnum):
    DONE = "done"
    NOT_DONE = "not-done"
    OVERTAKEN = "overtaken"
    """Not done, and what the gate shows is no longer so: somebody else changed it."""
    NOT_VISIBLE = "not-visible"
    """Neither done nor not done: AWS shows less than it has answered already, or may still show what was sent. The executor looks
    again until it does, or for as long as the settings say; then the run ends, resumable."""
    UNKNOWN = "unknown"
    """It will never be told."""


@dataclass(frozen=True)
class Probe:
    """What a look at AWS says about a step; `result` is the step's result where it is done, `back_to` the step that looks
    again where it was overtaken."""

    state: ProbeState
    detail: str
    result: Mapping[str, Any] = field(default_factory=dict)
    back_to: str = ""


@dataclass(frozen=True)
class Intent:
    """A changing call that is in the journal without an answer: it may have been carried out, or not."""

    call: str
    operation: str
    parameters: Mapping[str, Any]
    at: datetime
    stamp: Stamp | None = None
    """When it was sent at the latest, as far as that was recorded; None in a journal of an older version."""


@dataclass(frozen=True)
class Answered:
    """A changing call that was carried out. `answer` is what its answer names as made, or a command's exit code."""

    operation: str
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """A way on after a failure, beside retry, skip and stop: open the step `back_to` again, or end this run and let `runbook` begin
    on the same target."""

    id: str
    title: str
    back_to: str = ""
    runbook: str = ""


@dataclass(frozen=True)
class OpenFollowUp:
    """`strays` are what is missing in a state, where it is about that."""

    title: str
    detail: str
    run: str = ""
    id: str = ""
    strays: tuple[Stray, ...] = ()


class StepContext(ABC):
    """What a step may know and do. Implemented by the executor."""

    target: Target
    config: Config
    inputs: Mapping[str, str]
    operator: str
    interactive: bool
    """Whether a person can be asked; gates that only choose stay closed otherwise, unless an answer was given."""
    dry_run: bool
    """Whether the run makes no changing call at all: what it sends for looking must write nothing either, not even a lock."""
    folder: Path
    """The run's own folder, for files that steps leave: readable by their owner alone."""
    reads: AwsAccess
    """Reading calls only. Waits for renewed credentials and backs off from throttling by itself."""

    @abstractmethod
    def result(self, step: str) -> Mapping[str, Any]:
        """What an earlier step left; empty where it was skipped."""

    @abstractmethod
    def former(self, step: str) -> Sequence[Mapping[str, Any]]:
        """What this step left in this run before the run went back to it or beyond, newest first: nothing of a time that it
        failed. Empty where the run did not go back, or the step had not begun."""

    @abstractmethod
    def earlier(self, step: str, runbook: str = "") -> Sequence[Mapping[str, Any]]:
        """The results of this step in earlier runs of the same runbook, or of `runbook`, on the same target that were done, newest
        first."""

    @abstractmethod
    def given(self, gate: str) -> bool:
        """Whether an answer for this gate was given when the run began, and still holds."""

    @abstractmethod
    def answer(self, gate: str, *, here: bool = False) -> str:
        """The newest accepted answer of a gate in this run, or only in this step (`here`); "" where it was not opened."""

    @abstractmethod
    def unanswered(self) -> Intent | None:
        """The changing call of this step that was intended and of which no answer is known."""

    @abstractmethod
    def answered(self, operation: str) -> Mapping[str, Any] | None:
        """What the answer to this step's newest call of `operation` (`ecs:UpdateService`) names as made (`Step.made`), also after a
        crash behind it; None where no such call is known to have been carried out."""

    @abstractmethod
    def has_sent(self) -> bool:
        """Whether this step has sent a changing call that was carried out, or may have been."""

    @abstractmethod
    def change(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        """Send one changing call, once: recorded before it is sent and after it is answered. Only in a step's `act`. Where some
        time has passed since the step was probed, it is probed again first; what is done or overtaken by then is not sent."""

    @abstractmethod
    def terraform(
        self, terraform: Terraform, arguments: Sequence[str], name: str, each: Callable[[str], None] | None = None
    ) -> Ended:
        """Run a Terraform command that changes nothing outside this machine to its end; `name` is that of its record.

        Raises TerraformError where it cannot be started; how it ended is for the step to judge.
        """

    @abstractmethod
    def terraform_change(
        self,
        name: str,
        terraform: Terraform,
        arguments: Sequence[str],
        each: Callable[[str], None] | None = None,
        *,
        begins: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Run a Terraform command that changes something, once: `name` is a call that the step declares (`terraform:apply`),
        recorded before it starts and after it has ended. Only in a step's `act`, and probed again as `change`; `begins` is called
        behind that, right before the command starts."""

    @abstractmethod
    def terraform_ended(self, each: Callable[[str], None] | None = None) -> Ended | None:
        """Wait for the end of a changing command that was started before a crash, for a step's `probe`; None where there was
        none, or where it never ran. Raises Lost where nobody saw its end."""

    @abstractmethod
    def note(self, text: str, *, warning: bool = False) -> None:
        """Say one sentence; warnings are repeated in the run's result."""

    @abstractmethod
    def output(self, *lines: str, source: str = "") -> None:
        """`source`, as the address of a resource, is said before each line. Lines of one source go on in each other."""

    @abstractmethod
    def progress(self, text: str, **figures: Any) -> None:
        """Say how far the step is; only the newest progress matters."""

    @abstractmethod
    def evidence(self, name: str, content: str) -> None:
        """Keep `content` with its SHA-256."""

    @abstractmethod
    def follow_up(self, id: str, title: str, *, detail: str, file: str = "", key: str = "", value: str = "") -> None:  # noqa: A002
        """Open something that a person still has to do after the run."""

    @abstractmethod
    def open_follow_ups(self) -> Sequence[OpenFollowUp]:
        """What earlier runs on this target left to do and nobody has seen done, but for what is missing in a state."""

    @abstractmethod
    def keep_strays(self, id: str, title: str, *, detail: str, place: str, strays: Sequence[Stray]) -> None:  # noqa: A002
        """Open a follow-up about what is missing in the state at `place`; one of this run with the same id is replaced."""

    @abstractmethod
    def open_strays(self, place: str) -> Sequence[OpenFollowUp]:
        """Those about the state at `place`, of whatever run, this one included; the newest first."""

    @abstractmethod
    def close_follow_up(self, known: OpenFollowUp, detail: str) -> None:
        """Record that it is done, and what shows it."""

    @abstractmethod
    def learn_secret(self, *values: str) -> None: ...

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait; ends the step where the run is interrupted."""


class Step(ABC):
    """One step. `changes` says whether `act` sends changing calls: only then it is probed, gated and never repeated blindly."""

    id: str
    title: str
    why: str
    changes: bool = False
    goes_on: str = ""
    """A sentence: what goes on in AWS all the same where the run is interrupted in this step; "" where nothing does."""
    calls: tuple[str, ...] = ()
    """The changing calls that `act` may send, as `service:Operation` or `terraform:command`; the executor sends no other."""

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        """The equivalent command lines, as argument lists, so that a person can carry on by hand."""
        return ()

    def gates(self, context: StepContext) -> Sequence[Gate]:
        return ()

    def probe(self, context: StepContext) -> Probe:
        """Asked before a changing step's gates open, after they were answered, and when it is not known whether it acted. Reads
        only. It compares what is with what the gates show."""
        return Probe(ProbeState.NOT_DONE, "")

    @abstractmethod
    def act(self, context: StepContext) -> Mapping[str, Any]:
        """Do it; the result is kept for later steps and must be JSON. Raises InfraconsoleError where it fails."""

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What AWS's answer to a changing call names as made, as JSON: it is recorded with the call's end, so that it is known
        whatever happens next. No secrets."""
        return {}

    def offers(self) -> Sequence[Offer]:
        return ()

    def fingerprint(self) -> str:
        """Changes with the code of the step's module, of what that takes from its own package, and of the gates: a run is not
        resumed on another step than it began with."""
        own = sys.modules[type(self).__module__]
        modules = [*_with_neighbours(own), policy, gates]
        source = "\n".join(inspect.getsource(module) for module in modules)
        return hashlib.sha256(f"{type(self).__qualname__}\n{source}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Runbook:
    name: str
    title: str
    summary: str
    purpose: Purpose
    inputs: tuple[Input, ...]
    gates: tuple[GateSpec, ...]
    steps: tuple[Step, ...]
    overtakes: bool = True
    """Whether runs that were interrupted on the same target before it cannot be resumed after it. Not where it only takes away
    what stands in their way."""

    def step(self, step: str) -> Step:
        return next(known for known in self.steps if known.id == step)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "summary": self.summary,
            "inputs": [item.as_json() for item in self.inputs],
            "gates": [{"id": gate.id, "kind": gate.kind.value, "summary": gate.summary} for gate in self.gates],
            "steps": [
                {"id": step.id, "title": step.title, "why": step.why, "changes": step.changes} for step in self.steps
            ],
        }

    def checked_inputs(self, given: Mapping[str, str]) -> dict[str, str]:
        """The inputs with their defaults. Raises UsageError for one that is unknown, missing or not valid."""
        known = {item.name: item for item in self.inputs}
        for name in given:
            if name not in known:
                raise UnknownName("input", name, known, where=f"of {self.name}")
        checked = {name: item.default for name, item in known.items() if item.default is not None}
        checked |= {name: known[name].check(value) for name, value in given.items()}
        missing = [name for name, item in known.items() if item.required and not checked.get(name)]
        if missing:
            raise UsageError(
                f"{self.name} needs {', '.join(missing)}.", mend=" ".join(f"--set {name}=…" for name in missing)
            )
        return checked

    def checked_answers(self, given: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        """Answers by gate, each gate's in the order given. Raises UnknownName for a gate that this runbook does not have."""
        known = {gate.id for gate in self.gates}
        answers: dict[str, tuple[str, ...]] = {}
        for gate, value in given:
            if gate not in known:
                raise UnknownName("gate", gate, known, where=f"in {self.name}")
            answers[gate] = (*answers.get(gate, ()), value)
        return answers


def _with_neighbours(module: ModuleType) -> list[ModuleType]:
    """The module, and those of its package whose names or contents it uses, directly or not; by name."""
    package = module.__name__.rpartition(".")[0]
    found, waiting = {module.__name__: module}, [module]
    while waiting:
        for value in list(vars(waiting.pop()).values()):
            name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
            if isinstance(name, str) and package and name.rpartition(".")[0] == package and name not in found:
                found[name] = sys.modules[name]
                waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def command_line(arguments: Sequence[str]) -> str:
    """As a person would type it in a POSIX shell."""
    return shlex.join(arguments)


def aws_command(target: Target, profile: str | None, service: str, verb: str, /, **options: object) -> tuple[str, ...]:
    """The AWS CLI's equivalent of a call, always with its region and, where there is one, its profile."""
    arguments = ["aws", service, verb]
    for name, value in options.items():
        arguments.append(f"--{name.replace('_', '-')}")
        if value is True:
            continue
        arguments.append(value if isinstance(value, str) else json.dumps(value))
    arguments += ["--region", target.region]
    return (*arguments, "--profile", profile) if profile else tuple(arguments)


__all__ = [
    "Answered",
    "Choice",
    "Gate",
    "Input",
    "Intent",
    "Offer",
    "Probe",
    "ProbeState",
    "Runbook",
    "Step",
    "StepContext",
    "aws_command",
    "command_line",
]
