"""The executor: a process of its own that carries one run out, from the journal's record of it to its end.

It is the only place that changes anything. It asks the gates and checks their answers, writes every intent before it
acts, probes what it does not know, and can be killed at any moment: started again on the same run, it goes on from what
the journal and AWS say. It reads nothing from the view that started it but that process's environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from infraconsole import __version__, clock, config, files
from infraconsole.aws.access import AwsAccess, ChangingAccess
from infraconsole.aws.sts import expiry, identity
from infraconsole.clock import Deadline, Stamp
from infraconsole.config import Config, EngineSettings
from infraconsole.engine import files_key, kept_files, locks, log
from infraconsole.engine.catalogue import runbook as find_runbook
from infraconsole.engine.commands import Commands
from infraconsole.engine.event import Kind, Outcome
from infraconsole.engine.gate import DECLINED, FAILURE_GATE, Choice, Gate, GateKind
from infraconsole.engine.history import RunRecord, StepRecord, StepState
from infraconsole.engine.inbox import Inbox, InterruptRequested
from infraconsole.engine.journal import Journal, Request
from infraconsole.engine.learning import NEEDED_IN_CLEAR, Learning, RedactedLog
from infraconsole.engine.patience import BACK_OFF_SECONDS, RENEWALS, PatientAccess
from infraconsole.engine.probing import FRESH_SECONDS, Probing
from infraconsole.engine.recorder import Recorder
from infraconsole.engine.resumption import ALONE, Resumption, busy, check_unchanged, refuse_read_only
from infraconsole.engine.runbook import (
    Intent,
    OpenFollowUp,
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    command_line,
)
from infraconsole.engine.sealed import Seal
from infraconsole.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_GATE_REFUSED,
    EXIT_INTERRUPTED,
    EXIT_PREREQUISITE,
    EXIT_USAGE,
    AwsError,
    ClockSkew,
    CredentialsExpired,
    GateRefused,
    HeldUp,
    InfraconsoleError,
    JournalError,
    NotSent,
    NotVisibleYet,
    OtherTool,
    PrerequisiteMissing,
    StepFailed,
    Throttled,
    UsageError,
)
from infraconsole.redaction import Redactor
from infraconsole.target import Target
from infraconsole.terraform import commands, complaints, texts
from infraconsole.terraform.claims import Stray
from infraconsole.terraform.runner import Ended, Terraform

ANSWER_VALID_SECONDS = 15 * 60.0
"""How long an accepted answer opens the same gate again after a crash, if the gate shows the same."""
GATE_PATIENCE_SECONDS = 12 * 3600.0
"""How long a person is waited for before the run is parked, resumable."""
STOP = "stop"
"""The answer to the gate after a failure that ends the run; `no` means it too."""
_ATTEMPTS = 3
_LOOKS = 2
"""How often a step is probed again right before a call, where its probe takes so long that what it saw is old already."""
_CREDENTIALS_POLL_SECONDS = 3.0
_OF_CREDENTIALS = (texts.Kind.CREDENTIALS_EXPIRED, texts.Kind.NO_CREDENTIALS)
_REPETITIONS = 2
"""How often a command that changes nothing runs again after its credentials had expired: each time it takes the lock."""
_REPETITION_PAUSE_SECONDS = 5.0
_TAKEN_OVER = (GateKind.BREAK_GLASS, GateKind.APPROVE)
"""Gates whose answers hold in the next run, where a later gate was declined. A choice may be why it was declined."""


class _Rewind(Exception):
    """The run goes on at an earlier step."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class _Unanswered(GateRefused):
    """Nobody said no: there was nobody to ask."""


class _DoneMeanwhile(Exception):
    """What was about to be sent turned out to be done."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe.detail)
        self.probe = probe


class Executor(StepContext):
    """Carries out the run that `recorder` records. `reads` and `changes` are the same account and region."""

    def __init__(
        self,
        runbook: Runbook,
        settings: Config,
        recorder: Recorder,
        inbox: Inbox,
        redactor: Redactor,
        reads: PatientAccess,
        changes: ChangingAccess,
        resumption: Resumption = ALONE,
    ) -> None:
        self._runbook = runbook
        self._recorder = recorder
        self._inbox = inbox
        self._redactor = redactor
        self._changes = changes
        changes.hurried = inbox.is_interrupted
        self._step: Step | None = None
        self._may_change = False
        self._then = ""
        """The runbook that a person wants next."""
        self._waited_seconds = 0.0
        """For a person, in the present step."""
        self._needless = ""
        """Why the present step, which changes something, had nothing to do."""
        self._resumption = resumption
        self._resumed = recorder.record.starts > 0
        self._commands = Commands(inbox, self._write, self.note)
        self._probing = Probing(self, self._write)
        self._learning = Learning(redactor, reads, config.state_folder() / "cache")
        self.folder = recorder.folder
        reads.waiter = self
        self.reads = self._patient = reads
        self.config = settings
        self.target = recorder.record.target
        self.inputs = recorder.record.inputs
        self.operator = recorder.record.operator
        self.interactive = resumption.interactive or recorder.record.interactive
        # Whoever began a run need not be there any more when a script takes it up again.
        self._somebody_sits = resumption.interactive or (recorder.record.interactive and not self._resumed)
        self.dry_run = recorder.record.dry_run

    @property
    def record(self) -> RunRecord:
        return self._recorder.record

    def carry_out(self) -> int:
        """The run's exit code. Raises JournalError where not even its end can be recorded."""
        self.start()
        try:
            self._check_account()
            self._learning.of_run(self.folder)
            index = 0
            while index < len(self._runbook.steps):
                step = self._runbook.steps[index]
                try:
                    if not self._is_settled(step):
                        self._carry_out_step(step)
                    index += 1
                except _Rewind as rewind:
                    index = [known.id for known in self._runbook.steps].index(rewind.to)
        except InterruptRequested as error:
            known = next((each for each in self.record.steps if each.id == self.record.current), None)
            goes_on = known.goes_on if known and known.state is StepState.RUNNING else ""
            parts = (goes_on, error.mend, f"Go on: infraconsole resume {self.record.run}")
            mend = " ".join(part for part in parts if part)
            return self.finish(Outcome.INTERRUPTED, EXIT_INTERRUPTED, error, mend)
        except GateRefused as error:
            if isinstance(error, _Unanswered) and (self._resumed or self.record.changed):
                go_on = f"Go on: infraconsole resume {self.record.run} {error.mend}"
                mend = " ".join(part for part in (self.record.done_words, go_on) if part)
                return self.finish(Outcome.INTERRUPTED, EXIT_GATE_REFUSED, error, mend)
            mend = " ".join(part for part in (error.mend, self.record.done_words) if part)
            return self.finish(Outcome.REFUSED, EXIT_GATE_REFUSED, error, mend)
        except JournalError:
            raise
        except InfraconsoleError as error:
            return self.fail(error)
        return self.finish(Outcome.DONE, EXIT_DONE)

    def start(self) -> None:
        self._recorder.write(
            Kind.RUN_STARTED,
            pid=os.getpid(),
            version=__version__,
            resumed=self._resumed,
            profile=self._patient.profile or "",
            interactive=self.interactive,
            given={gate: list(values) for gate, values in self._resumption.given.items()},
            by=self._resumption.by,
            log=locks.run_log(self.folder.parent, self.record.run).exists(),
        )

    def fail(self, error: InfraconsoleError) -> int:
        if self._can_go_on(error):
            mend = " ".join(part for part in (error.mend, f"Then go on: infraconsole resume {self.record.run}") if part)
            code = EXIT_PREREQUISITE if isinstance(error, HeldUp) else error.exit_code
            return self.finish(Outcome.INTERRUPTED, code, error, mend)
        # Until something was sent, the error's own kind is the better answer: wrong input, or AWS out of reach.
        return self.finish(Outcome.FAILED, EXIT_FAILED if self.record.sent else error.exit_code, error)

    def _can_go_on(self, error: InfraconsoleError) -> bool:
        """Whether the run can be resumed after `error`: one that has begun is not lost to a bad network, to credentials, to
        a setting that is missing now, or to a lock that somebody holds."""
        if isinstance(error, NotVisibleYet | NotSent):
            return True
        return isinstance(error, PrerequisiteMissing | UsageError | HeldUp) and (self._resumed or self.record.changed)

    def finish(self, outcome: Outcome, code: int, error: InfraconsoleError | None = None, mend: str = "") -> int:
        self._recorder.write(
            Kind.RUN_FINISHED,
            outcome=outcome.value,
            exit_code=code,
            title=error.title if error else "",
            cause=error.cause if error else "",
            mend=mend or (error.mend if error else ""),
            warnings=list(self.record.warnings),
            **({"then": self._then} if self._then else {}),
        )
        return code

    def _is_settled(self, step: Step) -> bool:
        """Done or left out. Behind the first change of a dry run only changes are shown: all else looks at what was changed."""
        if self.record.step(step.id).state in (StepState.DONE, StepState.SKIPPED):
            return True
        left_out = any(known.state is StepState.SKIPPED for known in self.record.steps)
        return self.dry_run and left_out and not step.changes

    def _check_account(self) -> None:
        account = identity(self.reads).account
        if account != self.target.account:
            raise self._other_account(account)

    def _other_account(self, account: str) -> PrerequisiteMissing:
        return PrerequisiteMissing(
            f"The credentials belong to account {account}.",
            cause=f"This run is for {self.target}.",
            mend="Use the credentials of that account.",
        )

    # Steps

    def _carry_out_step(self, step: Step) -> None:
        while True:
            self._step = step
            self._inbox.raise_if_interrupted()
            try:
                self._write(
                    Kind.STEP_STARTED,
                    title=step.title,
                    why=step.why,
                    commands=[command_line(command) for command in step.commands(self)],
                    changes=step.changes,
                    goes_on=step.goes_on,
                )
                began, self._waited_seconds, self._needless = clock.seconds(), 0.0, ""
                result = self._changing(step) if step.changes else self._reading(step)
                if result is not None:
                    took = max(0.0, clock.seconds() - began - self._waited_seconds)
                    more = {"needless": self._needless} if self._needless else {}
                    self._write(Kind.STEP_FINISHED, result=dict(result), seconds=round(took, 3), **more)
                return
            except (InterruptRequested, GateRefused, JournalError, _Rewind):
                raise
            except Exception as unexpected:  # noqa: BLE001  the edge of the process: whatever a step raises is recorded
                error = _as_ours(unexpected)
                self._write(Kind.STEP_FAILED, title=error.title, cause=error.cause, mend=error.mend)
                if not self._again(step, error):
                    return
            finally:
                self._step = None
                self._may_change = False

    def _reading(self, step: Step) -> Mapping[str, Any]:
        for gate in step.gates(self):
            self._pass(gate)
        return step.act(self)

    def _changing(self, step: Step) -> Mapping[str, Any] | None:
        """The step's result; None where it was left out."""
        probe = self._probe(step)
        if probe.state is ProbeState.DONE:
            self._needless = "" if self.has_sent() else probe.detail
            return probe.result
        gates = step.gates(self)
        if self.dry_run:
            for gate in gates:
                self.note(f"Would open gate {gate.id} ({gate.kind.value}): {gate.title}")
                self.output(*gate.changes, *gate.commands)
            self._write(Kind.STEP_SKIPPED, reason="dry run: nothing was changed")
            return None
        # One after the other, and asked for anew: a window may have closed while the last one stood open.
        passed: set[str] = set()
        while waiting := [gate for gate in gates if gate.id not in passed]:
            self._pass(waiting[0])
            passed.add(waiting[0].id)
            gates = step.gates(self)
        attempts, renewals, pauses = 0, 0, iter(BACK_OFF_SECONDS)
        while True:
            # A gate may have stood open for hours, and credentials may have been waited for: what is sent is what was shown.
            probe = self._probe(step)
            if probe.state is ProbeState.DONE:
                return probe.result
            self._may_change = True
            try:
                return step.act(self)
            except _DoneMeanwhile as done:
                return done.probe.result
            except AwsError as error:
                self._may_change = False
                if error.maybe_done and self.unanswered() is not None:
                    attempts += 1
                    self._after_no_answer(step, attempts)
                elif isinstance(error, CredentialsExpired | ClockSkew) and (renewals := renewals + 1) <= RENEWALS:
                    self.await_credentials(error, self._patient.account_now)
                elif isinstance(error, Throttled) and (pause := next(pauses, None)) is not None:
                    self.back_off(error, pause)
                else:
                    raise

    def _after_no_answer(self, step: Step, attempts: int) -> None:
        self.note("No answer came to the changing call; what was done is looked up first.", warning=True)
        if attempts == _ATTEMPTS and self._probe(step).state is not ProbeState.DONE:
            raise StepFailed(
                f"{step.title}: no answer in {_ATTEMPTS} attempts.", cause="Every attempt was probed: nothing was done."
            )

    def _probe(self, step: Step) -> Probe:
        """Done or not done: all else raises."""
        probe = self._probing.probe(step)
        if probe.state is ProbeState.OVERTAKEN:
            self._overtaken(step, probe)
        if probe.state is ProbeState.UNKNOWN:
            raise StepFailed(
                f"{step.title}: it cannot be told whether this was done.",
                cause=probe.detail,
                mend="Look at the service, then retry or stop. Nothing is sent again blindly.",
            )
        return probe

    def _overtaken(self, step: Step, probe: Probe) -> None:
        """What the gates showed is not so any more: nothing is sent for it. A person is shown what is so now."""
        if self.interactive and probe.back_to and not self.dry_run:
            follows = "The current state is checked again."
            if not self._current().sent:
                follows = "Nothing was sent: the current state is checked again."
            self.note(f"{probe.detail} {follows}", warning=True)
            self._write(Kind.REWOUND, to=probe.back_to, reason=probe.detail, overtaken=True)
            raise _Rewind(probe.back_to)
        untouched = "" if self._current().sent else "Nothing was sent. "
        raise StepFailed(
            f"{step.title}: {self.target.name} is not what was looked at any more.",
            cause=probe.detail,
            mend=f"{untouched}Look at it, and start a new run if it is still to be done.",
        )

    def _again(self, step: Step, error: InfraconsoleError) -> bool:
        """What follows a failure: True to try the step again, False to go on without it. Raises to stop or to rewind."""
        # A module of the infrastructure is no service that another runbook could roll back.
        known = (offer for offer in step.offers() if not (offer.runbook and self.target.is_module))
        offers = {offer.id: offer for offer in known}
        how = "the run can be resumed" if self._can_go_on(error) else "the run is recorded as failed"
        gate = Gate(
            FAILURE_GATE,
            GateKind.CHOOSE,
            f"{step.title} failed: {error.title}",
            changes=tuple(part for part in (error.cause, error.mend) if part),
            choices=(
                Choice(STOP, f"Stop here; {how}", recommended=True),
                Choice("retry", "Try this step again; what was done already is looked up first"),
                *(Choice(offer.id, offer.title) for offer in offers.values()),
            ),
        )
        if isinstance(error, OtherTool) or (not self.interactive and not self.given(FAILURE_GATE)):
            raise error
        answer = self._pass(gate)
        if answer == "retry":
            return True
        if answer in offers and offers[answer].runbook:
            self._then = offers[answer].runbook
            raise _with_next(error, self._then, self.target)
        if answer in offers:
            self._write(Kind.REWOUND, to=offers[answer].back_to, reason=offers[answer].title)
            raise _Rewind(offers[answer].back_to)
        raise error

    # Gates

    def _pass(self, gate: Gate) -> str:
        """The (last) accepted answer. Raises GateRefused."""
        shown = _shown(gate)
        needed = len(gate.approvers) if gate.kind is GateKind.APPROVE else 1
        answers = self._still_valid(gate, shown) or self._taken_over(gate, shown, needed)
        if len(answers) >= needed:
            return answers[-1]
        told = replace(gate, notice=self.record.overtaken) if gate.id != FAILURE_GATE else gate
        left_before = self._inbox.known_now()
        opening = self._write(Kind.GATE_OPENED, opening=self.record.seq + 1, gate=told.as_json()).seq
        prepared = [value for value in self.record.given.get(gate.id, ()) if value not in answers]
        while len(answers) < needed:
            by, value, prompted = self.record.given_by.get(gate.id, self.operator), "", False
            led = dict[str, Any]()
            if prepared:
                value = prepared.pop(0)
            elif not self.interactive:
                self._write(Kind.GATE_REFUSED, opening=opening, gate=gate.id, why="Nobody is there to answer it.")
                raise _Unanswered(
                    f"Gate {gate.id} ({gate.kind.value}) was refused: {gate.title}",
                    cause="Without a terminal it needs an answer.",
                    mend=f"--answer {gate.id}=…",
                )
            else:
                asked = clock.seconds()
                request = self._inbox.next_answer(opening, left_before, GATE_PATIENCE_SECONDS)
                self._waited_seconds += clock.seconds() - asked
                if request is None:
                    raise InterruptRequested(
                        f"Gate {gate.id} was not answered in {GATE_PATIENCE_SECONDS / 3600:.0f} h."
                    )
                by, value, prompted = request.by, request.data["value"], True
                led = {"request": request.reference()}
            if value == DECLINED and gate.id == FAILURE_GATE:
                value = STOP
            elif gate.declines(value):
                raise self._refused(
                    gate, opening, f"{by} declined.", "Start a new run if it is still to be done.", **led
                )
            try:
                # Neither who began the run nor who answers now is a second person.
                gate.check(value, operator=by, approved=tuple(answers))
                value = gate.check(value, operator=self.operator, approved=tuple(answers))
            except GateRefused as error:
                if not prompted and not self._somebody_sits:
                    raise self._refused(gate, opening, error.cause, error.mend) from error
                self._write(Kind.GATE_REJECTED, opening=opening, gate=gate.id, why=f"{error.cause}.", **led)
                continue
            answers.append(value)
            more = len(answers) < needed
            about = {"opening": opening, "gate": gate.id, "value": value, "by": by, "shown": shown, "more": more}
            self._write(Kind.GATE_ANSWERED, **about, clock=Stamp.now().as_json(), **led)
        return answers[-1]

    def _still_valid(self, gate: Gate, shown: str) -> list[str]:
        """Answers that this gate took before a crash, where it shows the same and not much time has passed."""
        if gate.id == FAILURE_GATE:
            return []
        step = self._step.id if self._step else ""
        return [
            known.value
            for known in self.record.accepted
            if known.gate == gate.id and known.step == step and known.shown == shown and _is_fresh(known.stamp)
        ]

    def _taken_over(self, gate: Gate, shown: str, needed: int) -> list[str]:
        """Answers to the same gate in the run before this one, which was declined at a later gate: whoever is asked again for
        what was answered a moment ago stops reading gates. The confirmation itself is never taken over."""
        if (
            gate.kind not in _TAKEN_OVER
            or not self.interactive
            or gate.id in self.record.given
            or self.record.former  # it went back: what was answered before that does not hold any more
        ):
            return []
        step = self._step.id if self._step else ""
        known = [
            each
            for each in self._recorder.answered_before_declining()
            if (each.gate, each.step, each.shown) == (gate.id, step, shown) and each.stamp and _is_fresh(each.stamp)
        ][-needed:]
        if len(known) < needed:
            return []
        opening = self._write(Kind.GATE_OPENED, opening=self.record.seq + 1, gate=gate.as_json()).seq
        self.note(f"{gate.title}: answered in the run before this one, and nothing has changed since.")
        for left, each in enumerate(reversed(known)):
            about = {"opening": opening, "gate": gate.id, "value": each.value, "by": each.by, "shown": shown}
            more, stamp = left < len(known) - 1, each.stamp
            self._write(
                Kind.GATE_ANSWERED, **about, more=more, clock=stamp.as_json() if stamp else None, taken_over=True
            )
        return [each.value for each in known]

    def _refused(self, gate: Gate, opening: int, why: str, mend: str, **led: Any) -> GateRefused:
        self._write(Kind.GATE_REFUSED, opening=opening, gate=gate.id, why=why, **led)
        return GateRefused(
            f"Gate {gate.id} ({gate.kind.value}) was refused: {gate.title}", cause=why, mend=mend or f"{gate.how}"
        )

    # What steps may know and do

    def result(self, step: str) -> Mapping[str, Any]:
        return self.record.step(step).result

    def former(self, step: str) -> Sequence[Mapping[str, Any]]:
        return self.record.former.get(step, ())

    def earlier(self, step: str, runbook: str = "") -> Sequence[Mapping[str, Any]]:
        return self._recorder.earlier_results(step, runbook)

    def given(self, gate: str) -> bool:
        return gate in self.record.given

    def answer(self, gate: str, *, here: bool = False) -> str:
        step = self._step.id if here and self._step else ""
        accepted = reversed(self.record.accepted)
        return next((known.value for known in accepted if known.gate == gate and step in ("", known.step)), "")

    def unanswered(self) -> Intent | None:
        intents = self._current().unanswered
        return intents[-1] if intents else None

    def answered(self, operation: str) -> Mapping[str, Any] | None:
        found = (known.answer for known in reversed(self._current().answered) if known.operation == operation)
        return next(found, None)

    def has_sent(self) -> bool:
        return self._current().sent

    def change(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        name = f"{service}:{operation}"
        call = self._intended(name, parameters)
        try:
            answer = self._changes.change(service, operation, **parameters)
        except AwsError as error:
            self._call_failed(call, name, str(error), maybe_done=error.maybe_done)
            raise
        self._write(Kind.CALL_DONE, call=call, operation=name, answer=self._made(name, answer))
        return answer

    def _intended(self, name: str, parameters: Mapping[str, Any]) -> str:
        """The number of a call that is on the disk and is sent now: one that was held up meanwhile is looked at again. Raises
        NotSent where it is held up every time, and InterruptRequested."""
        for _ in range(_ATTEMPTS):
            call, stamp = self._permitted(name), Stamp.now()
            self._write(
                Kind.CALL_INTENDED, call=call, operation=name, parameters=_plain(parameters), clock=stamp.as_json()
            )
            if self._inbox.is_interrupted():
                self._call_failed(call, name, "The run was interrupted, and it was not sent.", maybe_done=False)
                self._inbox.raise_if_interrupted()
            if (stamp.age or 0.0) <= FRESH_SECONDS:
                return call
            self._call_failed(call, name, "It was held up, and not sent.", maybe_done=False)
        raise NotSent(
            f"{name} was not sent.",
            cause=f"{_ATTEMPTS} times it took more than {FRESH_SECONDS:g} s to record it: what was looked at was too old by then.",
            mend="See what slows this machine or the disk of the journal down.",
        )

    def _made(self, name: str, answer: Mapping[str, Any]) -> Any:
        """What the answer names as made; nothing where it is not what AWS documents: it was carried out all the same."""
        try:
            return _plain(self._step.made(name, answer)) if self._step else {}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.write_exception(error)
            return {}

    def _call_failed(self, call: str, name: str, error: str, *, maybe_done: bool) -> None:
        clock_now = Stamp.now().as_json()
        self._write(Kind.CALL_FAILED, call=call, operation=name, error=error, maybe_done=maybe_done, clock=clock_now)

    def _permitted(self, name: str) -> str:
        """The number of a changing call that may be made now, on what was seen just now. Raises GateRefused, InterruptRequested
        where somebody has asked, and _DoneMeanwhile or what `_probe` raises where what was seen has changed."""
        self._inbox.raise_if_interrupted()
        step = self._step
        if step is None or not self._may_change or name not in step.calls or self.dry_run or self.config.read_only:
            raise GateRefused(
                f"{name} was not sent.",
                cause="The configuration says read_only."
                if self.config.read_only
                else "No open gate of this step allows this call.",
            )
        for _ in range(_LOOKS):
            if self._probing.is_fresh:
                break
            probe = self._probe(step)
            if probe.state is ProbeState.DONE:
                raise _DoneMeanwhile(probe)
        return f"{self.record.run}/{self.record.seq + 1}"

    def terraform(
        self, terraform: Terraform, arguments: Sequence[str], name: str, each: Callable[[str], None] | None = None
    ) -> Ended:
        if (self.dry_run or self.config.read_only) and commands.writes(arguments):
            raise GateRefused(
                f"terraform {arguments[0]} was not started.",
                cause="It would write to the backend, if only a lock: a dry run and a read-only console change nothing.",
            )
        self._learning.before(terraform.folder, terraform.environ, arguments)
        for repetition in range(_REPETITIONS + 1):
            had = self._patient.as_of_now()
            ended = self._commands.read(terraform, arguments, self._command_record(name), each)
            if not ended.code or repetition == _REPETITIONS or not self._had_expired(had, ended, name):
                break
            self.wait(_REPETITION_PAUSE_SECONDS)
        return ended

    def _had_expired(self, had: AwsAccess, ended: Ended, name: str) -> bool:
        """Whether AWS says that the credentials which a failed command began with have expired; then others are there by now. What
        the command says only gives reason to ask: a provider, a check or a program may speak of credentials of its own."""
        if not _speaks_of_credentials(ended):
            return False
        spoken = f"The errors of terraform {name} speak of credentials"
        try:
            expired = expiry(had)
        except AwsError as error:
            self.note(f"{spoken}; whether those of this run have expired is not known: {error.title}", warning=True)
            return False
        if expired is None:
            self.note(f"{spoken}; AWS accepts those of this run. A provider may use others.", warning=True)
            return False
        if self._patient.account_now() == self.target.account:
            self._changes.renew()
        else:
            self.await_credentials(expired, self._patient.account_now)
        self.note(f"The credentials expired during terraform {name} and are valid again: it runs once more.")
        return True

    def terraform_change(
        self,
        name: str,
        terraform: Terraform,
        arguments: Sequence[str],
        each: Callable[[str], None] | None = None,
        *,
        begins: Callable[[], None] = lambda: None,
    ) -> Ended:
        # Before anything is permitted: reading what is secret may take longer than what a probe saw is good for.
        self._learning.before(terraform.folder, terraform.environ, arguments)
        call = self._permitted(name)
        begins()
        record = self._command_record(name.partition(":")[2])
        return self._commands.change(name, call, terraform, arguments, record, each)

    def terraform_ended(self, each: Callable[[str], None] | None = None) -> Ended | None:
        intent = self.unanswered()
        return self._commands.rejoin(intent, each) if intent else None

    def _command_record(self, name: str) -> Path:
        """A folder of its own for each command."""
        return self.folder / f"{self.record.seq:05}-{name}"

    def note(self, text: str, *, warning: bool = False) -> None:
        self._write(Kind.NOTE, level="warning" if warning else "info", text=text)

    def output(self, *lines: str, source: str = "") -> None:
        self._recorder.line(self._step.id if self._step else "", *lines, source=source)

    def progress(self, text: str, **figures: Any) -> None:
        self._write(Kind.PROGRESS, text=text, **figures)

    def evidence(self, name: str, content: str) -> None:
        raw = self._redactor.text(content).encode()
        self._write(
            Kind.EVIDENCE, name=name, sha256=hashlib.sha256(raw).hexdigest(), size_bytes=len(raw), content=raw.decode()
        )

    def follow_up(self, id: str, title: str, *, detail: str, file: str = "", key: str = "", value: str = "") -> None:  # noqa: A002
        self._write(Kind.FOLLOW_UP_OPENED, id=id, title=title, detail=detail, file=file, key=key, value=value)

    def open_follow_ups(self) -> Sequence[OpenFollowUp]:
        return self._recorder.open_follow_ups()

    def keep_strays(self, id: str, title: str, *, detail: str, place: str, strays: Sequence[Stray]) -> None:  # noqa: A002
        about = {"file": "", "key": "", "value": "", "place": place, "strays": [each.as_json() for each in strays]}
        self._write(Kind.FOLLOW_UP_OPENED, id=id, title=title, detail=detail, **about)

    def open_strays(self, place: str) -> Sequence[OpenFollowUp]:
        return self._recorder.open_strays(place)

    def close_follow_up(self, known: OpenFollowUp, detail: str) -> None:
        self._recorder.close_follow_up(known, detail)

    def learn_secret(self, *values: str) -> None:
        self._redactor.learn(*values)

    def now(self) -> datetime:
        return clock.now()

    def wait(self, seconds: float) -> None:
        self._inbox.wait(seconds)

    # How it waits for AWS

    def back_off(self, error: AwsError, seconds: float) -> None:
        self.note(f"{error.title} Trying again in {seconds:.0f} s.")
        self.wait(seconds)

    def heed(self) -> None:
        self._inbox.raise_if_interrupted()

    def await_credentials(self, error: AwsError, account: Callable[[], str]) -> None:
        minutes = self.config.engine.credentials_minutes
        waits_for: InfraconsoleError = error
        self._write(Kind.WAITING, reason=error.title, mend=error.mend)
        deadline, began = Deadline(minutes * 60), clock.seconds()
        while not deadline.is_over():
            self.wait(min(_CREDENTIALS_POLL_SECONDS, deadline.pause_seconds))
            found = account()
            if found == self.target.account:
                self._changes.renew()
                self._write(Kind.WAITING_OVER, reason="AWS takes the credentials again")
                self._waited_seconds += clock.seconds() - began
                return
            if found:
                other = self._other_account(found)
                if other.title != waits_for.title:
                    waits_for = other
                    self._write(Kind.WAITING, reason=f"{other.title} {other.cause}", mend=other.mend)
        raise InterruptRequested(
            f"{waits_for.title} AWS did not take them again in {minutes:g} min.",
            cause=waits_for.cause,
            mend=waits_for.mend,
        )

    def _current(self) -> StepRecord:
        return self.record.step(self._step.id if self._step else self.record.current)

    def _write(self, kind: Kind, **data: Any) -> Any:
        return self._recorder.write(kind, self._step.id if self._step else "", **data)


def _as_ours(error: Exception) -> InfraconsoleError:
    if isinstance(error, InfraconsoleError):
        return error
    log.write_exception(error)
    if isinstance(error, OSError):
        return files.told(error, StepFailed)
    return StepFailed(
        f"An error in infraconsole itself: {type(error).__name__}: {error}",
        cause="The executor's log beside the journal has the traceback.",
        mend="What was done is looked up before anything is tried again.",
    )


def _with_next(error: InfraconsoleError, runbook: str, target: Target) -> InfraconsoleError:
    """The failure as it was, with what a person chose to do about it."""
    line = f"infraconsole run {runbook} --service {target.service} --env {target.environment}"
    error.mend = " ".join(part for part in (error.mend, f"Next: {line}") if part)
    return error


def _speaks_of_credentials(ended: Ended) -> bool:
    return any(found.kind in _OF_CREDENTIALS for found in complaints.proposed(ended))


def _is_fresh(answered: Stamp | None) -> bool:
    """Whether an answer of then still holds; of before the machine was started again nobody knows how old it is."""
    age = answered.age if answered else None
    return age is not None and age <= ANSWER_VALID_SECONDS


def _plain(parameters: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(parameters, default=str))


def _shown(gate: Gate) -> str:
    """A fingerprint of everything the person saw when answering; of choices, which change nothing by themselves, without the words
    that age (`completed 3 min ago`)."""
    shown = gate.as_json()
    shown["choices"] = [[each.id, each.recommended, each.why_not] for each in gate.choices]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def main(arguments: Sequence[str]) -> int:
    """`python -m infraconsole.engine.executor FOLDER RUN [interactive] [given=JSON]`; started by launch.py in a session of its
    own."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder, run, resumption = Path(arguments[0]), arguments[1], Resumption.from_arguments(arguments[2:])
    try:
        with Journal(folder, create=False) as journal:
            seen = Inbox.known(journal, run)
            held = locks.take(locks.run_lock(folder, run), run=run, owner="executor")
            if held is None:
                log.write(f"Another executor is at run {run}.")
                return EXIT_USAGE
            return _run(journal, folder, run, seen, resumption)
    except InfraconsoleError as error:
        log.write(str(error))
        return error.exit_code
    except OSError as error:
        log.write_exception(error)
        log.write(str(files.told(error, InfraconsoleError)))
        return EXIT_FAILED


def _run(journal: Journal, folder: Path, run: str, seen: Collection[int], resumption: Resumption) -> int:
    redactor = Redactor()
    sys.stderr = cast("TextIO", RedactedLog(sys.stderr, redactor))
    recorder = Recorder(journal, run, redactor)
    record = recorder.record
    redactor.spare(*NEEDED_IN_CLEAR, *map(str, astuple(record.target)), record.target.name, run, str(recorder.folder))
    if not record.resumable:
        return record.exit_code or EXIT_DONE
    settings = config.load()
    if record.profile:
        settings = settings.run_with(record.target.environment, record.profile)
    environment = settings.environment(record.target.environment)
    runbook = find_runbook(record.runbook)
    check_unchanged(record, runbook)
    refuse_read_only(settings, dry_run=record.dry_run, run=run)

    def heard(level: int, request: Request) -> None:
        recorder.write_unless_finished(
            Kind.INTERRUPT_REQUESTED, level=level, by=request.by, request=request.reference()
        )

    def refused(request: Request, why: str) -> None:
        words = f"Request {request.id} by {request.by} was not understood: {why}. It was left aside."
        recorder.write_unless_finished(Kind.NOTE, level="warning", text=words, request=request.reference())

    inbox = Inbox(journal, run, recorder.tick, heard, refused, seen=seen)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: inbox.interrupt(signal.Signals(received).name))
    executor = Executor(
        runbook,
        settings,
        recorder,
        inbox,
        redactor,
        PatientAccess(region=record.target.region, profile=environment.profile),
        ChangingAccess(region=record.target.region, profile=environment.profile),
        resumption,
    )
    target = None
    if not record.dry_run:
        path = locks.target_lock(folder, record.target.key)
        target = locks.take(path, run=run, owner=record.operator)
        if target is None:
            held = busy(record, locks.holder_of(path))
            if record.starts:
                raise held  # it stays as it was
            executor.start()
            return executor.fail(held)
    inbox.start()
    try:
        return executor.carry_out()
    finally:
        inbox.close()
        if target:
            target.release()
        if settings.engine.keep_files != "keep":
            _tidy(settings.engine, journal, recorder, redactor)


def _tidy(settings: EngineSettings, journal: Journal, recorder: Recorder, redactor: Redactor) -> None:
    """Take what holds secrets out of this run's folder, if it is over, and out of those whose executor was killed before that."""
    own = [recorder.folder] if kept_files.is_over(recorder.record) else []
    folders = [*own, *kept_files.over(journal)]
    is_encrypted = settings.keep_files == "encrypt"
    try:
        seal = Seal(files_key.load_or_make(settings), journal.folder / "runs") if is_encrypted and folders else None
    except InfraconsoleError as error:
        log.write(f"Nothing was encrypted, and all files stay as they are: {error}")
        return
    for problem in kept_files.tidy_all(folders, redactor, seal):
        log.write(f"{'Not encrypted, and left as it is' if is_encrypted else 'Not removed'}: {problem}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
