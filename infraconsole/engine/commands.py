"""Terraform commands within a run: watched, interrupted with the run, and found again after a crash.

A command that changes something is a changing call like any other: its intent is on the disk before it starts, and it is
started only behind the open gates of a step that declares it. The command itself outlives its executor
(`terraform/runner.py`), so a later one does not ask what was done: it waits for the command's own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.clock import Deadline, Stamp
from infraconsole.engine.event import Kind
from infraconsole.engine.inbox import Inbox, InterruptRequested
from infraconsole.engine.runbook import Intent
from infraconsole.errors import TerraformError
from infraconsole.terraform import past_commands
from infraconsole.terraform.runner import Ended, Lost, NotStarted, Running, Terraform

Each = Callable[[str], None]
Write = Callable[..., Any]

_LOOK_SECONDS = 0.2
_SILENT_SECONDS = 10.0
"""A command that has said nothing may not hear a signal yet, and would be killed by it: it is asked to stop later then."""


class Commands:
    """Runs and rejoins commands for one executor. `write` writes an event, `say` a sentence."""

    def __init__(self, inbox: Inbox, write: Write, say: Callable[[str], None]) -> None:
        self._inbox = inbox
        self._write = write
        self._say = say

    def read(self, terraform: Terraform, arguments: Sequence[str], record: Path, each: Each | None) -> Ended:
        """Run a command that changes nothing outside this machine. Raises TerraformError, InterruptRequested."""
        ended = self._watch(_started(terraform, arguments, record), each)
        self._inbox.raise_if_interrupted()
        return ended

    def change(
        self, name: str, call: str, terraform: Terraform, arguments: Sequence[str], record: Path, each: Each | None
    ) -> Ended:
        """Run a command that changes something, once, and record how it ended. Raises TerraformError, InterruptRequested."""
        parameters = {
            "record": str(record),
            "command": [terraform.binary.name, *arguments],
            "folder": str(terraform.folder),
        }
        clock = Stamp.now().as_json()
        self._write(Kind.CALL_INTENDED, call=call, operation=name, parameters=parameters, clock=clock)
        try:
            self._inbox.raise_if_interrupted()
            running = _started(terraform, arguments, record)
        except (TerraformError, InterruptRequested) as error:
            self._write(Kind.CALL_FAILED, call=call, operation=name, error=str(error), maybe_done=False)
            raise
        return self._to_its_end(name, call, running, each)

    def rejoin(self, intent: Intent, each: Each | None) -> Ended | None:
        """Wait for the end of a command that an earlier executor started; None where it never ran.

        Raises Lost where it has ended and nobody saw how: only the state can tell then.
        """
        record = Path(str(intent.parameters["record"]))
        try:
            running = Running.attach(record)
        except NotStarted as error:
            self._write(
                Kind.CALL_FAILED, call=intent.call, operation=intent.operation, error=str(error), maybe_done=False
            )
            return None
        self._say("A Terraform command of this run was under way: its end is waited for, nothing is started again.")
        return self._to_its_end(intent.operation, intent.call, running, each)

    def _to_its_end(self, name: str, call: str, running: Running, each: Each | None) -> Ended:
        try:
            ended = self._watch(running, each)
        except Lost as error:
            self._write(Kind.CALL_FAILED, call=call, operation=name, error=str(error), maybe_done=True)
            raise
        self._write(Kind.CALL_DONE, call=call, operation=name, answer={"exit_code": ended.code})
        return ended

    def _watch(self, running: Running, each: Each | None) -> Ended:
        """Terraform's own end is awaited always: one interrupt lets it store the state and release the lock, a second,
        explicit one lets it give up."""
        self._inbox.awaits_command = True
        try:
            return self._awaited(running, each)
        finally:
            self._inbox.awaits_command = False

    def _awaited(self, running: Running, each: Each | None) -> Ended:
        asked = cancelled = False
        silence = Deadline(_SILENT_SECONDS)
        while running.wait(each, seconds=_LOOK_SECONDS) is None:
            if self._inbox.interrupts and not asked:
                if not (running.has_spoken or silence.is_over() or self._inbox.insisted):
                    continue
                asked = True
                if running.interrupt():
                    self._say("Terraform was asked to stop: it finishes what it has begun and stores the state.")
            elif self._inbox.insisted and not cancelled:  # two signals at once may arrive as one
                cancelled = True
                running.kill()
                self._say("Terraform was told to give up: what it was doing may be missing from the state.")
        return running.ended()


def _started(terraform: Terraform, arguments: Sequence[str], record: Path) -> Running:
    """In a run's folder that only the operator can read, as the record itself."""
    record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        past_commands.note(record.parent.parent, terraform, record)
    except OSError as error:
        raise TerraformError(
            "Terraform cannot be started.",
            command=(terraform.binary.name, *arguments),
            words=str(error),
            mend=files.fix(error, record.parent.parent.parent),
        ) from error
    return terraform.start(arguments, record)
