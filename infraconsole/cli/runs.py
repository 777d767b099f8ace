"""Runs from the command line: begin, follow, answer, interrupt, resume."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from infraconsole import config, text
from infraconsole.cli.lines import event_lines
from infraconsole.engine import catalogue, launch
from infraconsole.engine.event import Event
from infraconsole.engine.history import OpenGate, RunRecord, advanced
from infraconsole.engine.inbox import INSIST
from infraconsole.engine.journal import Journal
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError

_POLL_SECONDS = 0.05
_GONE_SECONDS = 1.0


def runbooks(*, as_json: bool) -> int:
    known = catalogue.runbooks()
    if as_json:
        print(json.dumps([runbook.as_json() for runbook in known], indent=2))
        return EXIT_DONE
    for runbook in known:
        print(f"{runbook.name}: {runbook.title}\n  {runbook.summary}")
        for item in runbook.inputs:
            need = "required" if item.required else f"default {item.default}" if item.default else "optional"
            print(f"    {item.name:<14}{item.type:<13}{need:<20}{item.summary}")
        for gate in runbook.gates:
            print(f"    gate {gate.id:<14}{gate.kind.value:<13}{gate.summary}")
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
        begun = launch.begin(
            journal,
            runbook,
            settings,
            service=service,
            environment=environment,
            inputs=dict(_pair(given, "--set") for given in inputs),
            answers=[_pair(given, "--answer") for given in answers],
            interactive=interactive,
            dry_run=dry_run,
            operator=operator,
        )
        return _Follower(journal, begun, operator, as_json=as_json, owns=True).follow(prompt=interactive)


def attach(name: str, *, as_json: bool, plain: bool) -> int:
    if not as_json and not plain and sys.stdin.isatty() and sys.stdout.isatty():
        from infraconsole.cli.console import console

        return console(start_run=name)
    settings = config.load()
    with Journal(config.state_folder()) as journal:
        follower = _Follower(
            journal, journal.resolve(name), config.operator_name(settings), as_json=as_json, owns=False
        )
        return follower.follow(prompt=plain and sys.stdin.isatty())


def resume(name: str, *, as_json: bool, plain: bool) -> int:
    settings = config.load()
    with Journal(config.state_folder()) as journal:
        run = journal.resolve(name)
        launch.resume(journal, run, settings)
        if as_json or plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _Follower(journal, run, config.operator_name(settings), as_json=as_json, owns=True).follow(
                prompt=plain and sys.stdin.isatty()
            )
    from infraconsole.cli.console import console

    return console(start_run=name)


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
        print(f"Asked run {run} to stop; go on with: infraconsole resume {run}", file=sys.stderr)
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
        self._asked = (0, 0)
        self._last_seen = time.monotonic()

    def follow(self, *, prompt: bool) -> int:
        """The run's exit code; 4 where its executor is gone or was left."""
        version = -1
        while True:
            try:
                if (now := self._journal.data_version()) != version:
                    version = now
                    self._take_in()
                if self._record.finished:
                    if self._as_json and self._record.ending:
                        print(text.block(self._record.ending), file=sys.stderr)
                    return self._record.exit_code if self._record.exit_code is not None else EXIT_FAILED
                if prompt and self._record.gate:
                    self._ask(self._record.gate)
                if self._is_gone():
                    print(f"The executor is gone. Go on: infraconsole resume {self._run}", file=sys.stderr)
                    return EXIT_INTERRUPTED
                time.sleep(_POLL_SECONDS)
            except KeyboardInterrupt:
                if not self._owns:
                    print(f"\nRun {self._run} goes on. Follow it: infraconsole attach {self._run}", file=sys.stderr)
                    return EXIT_INTERRUPTED
                print("\nAsking the run to stop where nothing is half done…", file=sys.stderr)
                self._journal.ask(self._run, "interrupt", self._operator, {"level": 1})

    def _take_in(self) -> None:
        while events := self._journal.events(self._run, after=self._record.seq, limit=1000):
            for event in events:
                self._record = advanced(self._record, event)
                self._print(event)
            sys.stdout.flush()

    def _print(self, event: Event) -> None:
        if self._as_json:
            print(json.dumps(event.as_json()))
            return
        for line in event_lines(event):
            print(line)

    def _ask(self, gate: OpenGate) -> None:
        """Once for every opening, every accepted answer and every rejected one."""
        if gate.rejected and self._asked != (gate.opening, self._record.seq):
            self._asked = (0, 0)
        if self._asked[0] == gate.opening and self._asked[1] == len(gate.answered):
            return
        answer = ""
        while not answer:
            try:
                answer = input(f"   {gate.gate.how}, or no: ").strip()
            except EOFError:
                answer = "no"
        self._journal.ask(
            self._run, "answer", self._operator, {"opening": gate.opening, "gate": gate.gate.id, "value": answer}
        )
        self._asked = (gate.opening, len(gate.answered))

    def _is_gone(self) -> bool:
        """No executor holds the run, and has not for a moment in which its last event would have come."""
        if launch.executor_of(self._journal.folder, self._run) is not None:
            self._last_seen = time.monotonic()
        return time.monotonic() - self._last_seen > _GONE_SECONDS


def _pair(given: str, option: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise UsageError(f"{option} {given!r} has no value.", mend=f"Write {option} NAME=VALUE.")
    return name, value
