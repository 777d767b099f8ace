"""Runs from the command line: begin, follow, answer, interrupt, resume."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
from collections.abc import Sequence

from infraconsole import clock, config
from infraconsole.cli import EXIT_UNREAD, output, world_name, world_scenes
from infraconsole.cli.lines import event_lines
from infraconsole.cli.output import ask, document, say, tell
from infraconsole.engine import catalogue, launch
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.gate import DECLINED
from infraconsole.engine.history import OpenGate, RunRecord, advanced, record_of
from infraconsole.engine.inbox import INSIST
from infraconsole.engine.journal import Journal
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError

INFRASTRUCTURE = "infrastructure"
_POLL_SECONDS = 0.05
_GONE_SECONDS = 1.0
_GATE_KINDS = (Kind.GATE_OPENED, Kind.GATE_ANSWERED, Kind.GATE_REJECTED, Kind.GATE_REFUSED)


def runbooks(*, as_json: bool) -> int:
    known = catalogue.runbooks()
    if as_json:
        document([runbook.as_json() for runbook in known])
        return EXIT_DONE
    for runbook in known:
        say(f"{runbook.name}: {runbook.title}\n  {runbook.summary}")
        for item in runbook.inputs:
            need = "required" if item.required else f"default {item.default}" if item.default else "optional"
            say(f"    {item.name:<14}{item.type:<13}{need:<20}{item.summary}")
        for gate in runbook.gates:
            say(f"    gate {gate.id:<14}{gate.kind.value:<13}{gate.summary}")
    return EXIT_DONE


def run(
    name: str,
    *,
    service: str,
    environment: str,
    inputs: Sequence[str],
    answers: Sequence[str],
    dry_run: bool,
    as_json: bool,
) -> int:
    settings = config.load()
    runbook = catalogue.runbook(name)
    interactive = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    with Journal(config.state_folder()) as journal:
        operator = config.operator_name(settings)
        for target in _targets(settings, name, service):
            begun = launch.begin(
                journal,
                runbook,
                settings,
                service=target,
                environment=environment,
                inputs=dict(_pair(given, "--set") for given in inputs),
                answers=[pair for given in answers if _is_for(target, pair := _pair(given, "--answer"), settings)],
                interactive=interactive,
                dry_run=dry_run,
                operator=operator,
            )
            code = _Follower(journal, begun, operator, as_json=as_json, owns=True).follow(prompt=interactive)
            if code:
                return code
    return EXIT_DONE


def _targets(settings: config.Config, runbook: str, service: str) -> Sequence[str]:
    """`infrastructure` stands for all of its modules, each in a run of its own, in the order they build on each other."""
    everything = runbook == "deploy" and service == INFRASTRUCTURE and service not in settings.services
    return settings.modules() or [service] if everything else [service]


def _is_for(target: str, answer: tuple[str, str], settings: config.Config) -> bool:
    """Whether an answer is meant for this run: of the modules' typed names each opens its own."""
    gate, value = answer
    return gate != "type-target" or value == target or value not in settings.modules()


def attach(name: str, *, as_json: bool, plain: bool) -> int:
    if not as_json and not plain and sys.stdin.isatty() and sys.stdout.isatty():
        from infraconsole.cli.console import console

        return console(start_run=name, world=world_name(), scenes=world_scenes())
    settings = config.load()
    with Journal(config.state_folder()) as journal:
        follower = _Follower(
            journal, journal.resolve(name), config.operator_name(settings), as_json=as_json, owns=False
        )
        return follower.follow(prompt=plain and sys.stdin.isatty())


def resume(name: str, *, answers: Sequence[str] = (), as_json: bool, plain: bool) -> int:
    settings = config.load()
    with Journal(config.state_folder()) as journal:
        run = journal.resolve(name)
        interactive = not as_json and sys.stdin.isatty() and (plain or sys.stdout.isatty())
        given = [_pair(answer, "--answer") for answer in answers]
        launch.resume(journal, run, settings, interactive=interactive, answers=given)
        if as_json or plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _Follower(journal, run, config.operator_name(settings), as_json=as_json, owns=True).follow(
                prompt=plain and sys.stdin.isatty()
            )
    from infraconsole.cli.console import console

    return console(start_run=name, world=world_name(), scenes=world_scenes())


def interrupt(name: str, *, insist: str | None) -> int:
    settings = config.load()
    with Journal(config.state_folder()) as journal:
        run = journal.resolve(name)
        if launch.executor_of(journal.folder, run) is None:
            raise UsageError(
                f"No executor is at run {run}.",
                mend=f"See it: infraconsole journal {run}; go on: infraconsole resume {run}",
            )
        if insist is not None and insist != run:
            raise UsageError(
                f"{insist!r} is not {run!r}.", mend="To end the executor at once, type the run's whole id again."
            )
        operator = config.operator_name(settings)
        journal.ask(run, "interrupt", operator, {"level": 1})
        if insist:
            journal.ask(run, "interrupt", operator, {"level": INSIST})
        tell(f"Asked run {run} to stop; go on with: infraconsole resume {run}")
    return EXIT_DONE


class _Follower:
    """Prints a run's events as they come and, on a terminal, asks its gates. Ctrl-C interrupts a run that was begun here, and
    only leaves one that was not."""

    def __init__(self, journal: Journal, run: str, operator: str, *, as_json: bool, owns: bool) -> None:
        self._journal = journal
        self._run = run
        self._operator = operator
        self._as_json = as_json
        self._owns = owns
        self._record = RunRecord(run)
        self._turn = 0
        self._prompt = _Prompt()
        self._missed_since: float | None = None
        self._head = ""

    def follow(self, *, prompt: bool) -> int:
        """The run's exit code; 4 where its executor is gone or was left, EXIT_UNREAD where nobody reads what is printed."""
        version = -1
        while True:
            try:
                if (now := self._journal.data_version()) != version:
                    version = now
                    self._take_in()
                if self._record.finished:
                    return self._ended()
                if self._is_gone():
                    self._take_in()  # it may have ended since the last look
                    if self._record.finished:
                        return self._ended()
                    tell(f"The executor is gone. Go on: infraconsole resume {self._run}")
                    return EXIT_INTERRUPTED
                if prompt and self._record.gate:
                    self._ask(self._record.gate)
                else:
                    time.sleep(_POLL_SECONDS)
            except KeyboardInterrupt:
                self._prompt.give_way()
                if not self._owns:
                    tell(f"Run {self._run} goes on. Follow it: infraconsole attach {self._run}")
                    return EXIT_INTERRUPTED
                tell("Asking the run to stop where nothing is half done…")
                self._journal.ask(self._run, "interrupt", self._operator, {"level": 1})
            except BrokenPipeError:
                return self._unread()
            except output.Unwritten as error:  # what is to be said of the run still comes: how it ends
                tell(f"{error} Run {self._run} is followed to its end all the same.")

    def _ended(self) -> int:
        with contextlib.suppress(KeyboardInterrupt):  # nothing is left to interrupt
            launch.await_departure(self._journal.folder, self._run)
        if self._head:  # whoever notes it down can tell later that the journal was not rewritten
            tell(self._head)
        if self._as_json and self._record.ending:
            tell(self._record.ending)
        return self._record.exit_code if self._record.exit_code is not None else EXIT_FAILED

    def _unread(self) -> int:
        """The reader of what is printed has gone. The run has not: its own code where it is over, else say that it goes on."""
        output.print_no_more()
        self._record = record_of(self._run, self._journal.events(self._run, brief=True))
        if self._record.finished:
            return self._ended()
        tell(f"Nobody reads this. Run {self._run} goes on: infraconsole attach {self._run}")
        return EXIT_UNREAD

    def _take_in(self) -> None:
        while events := self._journal.events(self._run, after=self._record.seq, limit=1000):
            self._prompt.give_way()
            for event in events:
                self._record = advanced(self._record, event)
                self._turn += event.kind in _GATE_KINDS
                if event.kind == Kind.RUN_FINISHED:
                    self._head = f"Journal: event {event.id}, head {event.hash}"
                self._print(event)
            output.flush()

    def _print(self, event: Event) -> None:
        if self._as_json:
            document(event.as_json(), indent=None)
            return
        for line in event_lines(event):
            say(line)

    def _ask(self, gate: OpenGate) -> None:
        """Once for every opening, every accepted answer and every rejected one."""
        answer = self._prompt.answer(self._turn, f"   {gate.gate.how}, or no: ", _POLL_SECONDS)
        if answer:
            request = {"opening": gate.opening, "gate": gate.gate.id, "value": answer}
            self._journal.ask(self._run, "answer", self._operator, request)

    def _is_gone(self) -> bool:
        """No executor holds the run, and has not for a moment in which its last event would have come."""
        if launch.executor_of(self._journal.folder, self._run) is not None:
            self._missed_since = None
            return False
        if self._missed_since is None:
            self._missed_since = clock.seconds()
        return clock.seconds() - self._missed_since > _GONE_SECONDS


class _Prompt:
    """A question on the terminal that never stands in the way: what is typed is waited for only for a moment at a time."""

    def __init__(self) -> None:
        self._asked = self._answered = 0
        self._typed = ""
        self._stands = False

    def answer(self, turn: int, question: str, seconds: float) -> str:
        """What was typed, "" for nothing yet. One answer a turn; what was typed before it was asked for is dropped. Raises
        BrokenPipeError where the terminal is gone."""
        if turn == self._answered:
            time.sleep(seconds)
            return ""
        terminal = sys.stdin.fileno()
        if turn != self._asked:
            self._asked, self._typed = turn, ""
            _drop_typed(terminal)
        if not self._stands:
            ask(question)
            self._stands = True
        if not select.select([terminal], [], [], seconds)[0]:
            return ""
        self._typed += _read(terminal) or f"{DECLINED}\n"  # Ctrl-D
        if not self._typed.endswith("\n"):
            return ""
        self._stands = False
        answer, self._typed = self._typed.strip(), ""
        if answer:
            self._answered = turn
        return answer

    def give_way(self) -> None:
        """Let something else be printed; the question is asked again if it is still open."""
        if self._stands:
            say()
            self._stands = False


def _drop_typed(terminal: int) -> None:
    try:
        termios.tcflush(terminal, termios.TCIFLUSH)
    except termios.error as error:
        raise BrokenPipeError from error


def _read(terminal: int) -> str:
    """A line as the terminal hands it over, "" for Ctrl-D on an empty one. Raises BrokenPipeError where the terminal is gone."""
    try:
        typed = os.read(terminal, 4096)
    except OSError as error:
        raise BrokenPipeError from error
    if not typed and not os.isatty(terminal):
        raise BrokenPipeError
    return typed.decode(errors="replace")


def _pair(given: str, option: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise UsageError(f"{option} {given!r} has no value.", mend=f"Write {option} NAME=VALUE.")
    return name, value
