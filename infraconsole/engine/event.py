"""Events: what the journal keeps and every view shows. One flat JSON shape for the journal, `run --json` and `journal --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from infraconsole import text


class Kind(StrEnum):
    """What happened. The fields of each kind's data are named behind it."""

    RUN_CREATED = "run-created"
    """runbook, title, target {service, environment, region, account, name}, inputs, given, operator, profile (the AWS
    profile it was begun with, "" for none) and profile_chosen (whether a person chose another one than the configuration's),
    dry_run, interactive, steps [{id, title, fingerprint}]"""
    RUN_STARTED = "run-started"
    """pid, version, resumed, profile (the AWS profile it works with, "" for none), interactive, log (whether it has one among the
    runs' files), given (answers by gate) and by (whose) where it was resumed with some; written by every executor that takes the
    run up"""
    STEP_STARTED = "step-started"
    """title, why, commands (command lines for a person), changes, goes_on (what goes on in AWS where it is interrupted)"""
    PROBED = "probed"
    """state (done, not-done, not-visible, overtaken, unknown), detail"""
    GATE_OPENED = "gate-opened"
    """opening, gate {id, kind, title, changes, irreversible, commands, choices, expected, approvers}"""
    GATE_ANSWERED = "gate-answered"
    """opening, gate, value, by, shown, more, clock {seconds, awake, boot}; as the next two, and an interrupt: request {id, hash}
    where it came from the table of requests"""
    GATE_REJECTED = "gate-rejected"
    """opening, gate, why; the gate stays open"""
    GATE_REFUSED = "gate-refused"
    """opening, gate, why; the run ends"""
    CALL_INTENDED = "call-intended"
    """operation, parameters, call, clock {seconds, awake, boot}; on disk before the call is sent"""
    CALL_DONE = "call-done"
    """operation, call, answer: a command's exit_code, or what AWS's answer names as made"""
    CALL_FAILED = "call-failed"
    """operation, call, error, maybe_done, clock {seconds, awake, boot}"""
    OUTPUT = "output"
    """lines"""
    NOTE = "note"
    """level (info, warning), text"""
    PROGRESS = "progress"
    """text and figures; only the newest one matters"""
    EVIDENCE = "evidence"
    """name, sha256, size_bytes, file or content"""
    FOLLOW_UP_OPENED = "follow-up-opened"
    """id, title, detail, file, key, value; place and strays [{address, type, id, …}] where it is about what is in no state"""
    FOLLOW_UP_DONE = "follow-up-done"
    """of (the run that opened it), id, detail"""
    WAITING = "waiting"
    """reason, mend"""
    WAITING_OVER = "waiting-over"
    """reason"""
    STEP_FINISHED = "step-finished"
    """result, seconds (without waiting for a person), needless (why there was nothing to do)"""
    STEP_SKIPPED = "step-skipped"
    """reason"""
    STEP_FAILED = "step-failed"
    """title, cause, mend"""
    REWOUND = "rewound"
    """to (step id), reason; that step and all after it are open again"""
    INTERRUPT_REQUESTED = "interrupt-requested"
    """level (1 asks, 2 insists), by"""
    RUN_FINISHED = "run-finished"
    """outcome, exit_code, title, cause, mend, warnings"""
    JOURNAL_DAMAGED = "journal-damaged"
    """what, expected {event, hash}, found {event, hash}; under a run of its own name, and reported by every verification"""
    JOURNAL_ARCHIVING = "journal-archiving"
    """before, file, by; under a run of its own name, before anything is moved"""
    JOURNAL_ARCHIVED = "journal-archived"
    """before, file, by, runs, events, requests, first, last, digest, gaps [[first, last, hash of the last, hash before the first]]:
    what the journal lacks from here on, and the one thing that a verification accepts as missing"""


def exit_code_of(call_done: Mapping[str, Any]) -> int:
    """Of the command whose end a call-done tells of; 0 for an AWS call, which has none."""
    answer = call_done.get("answer")
    return int(answer.get("exit_code", 0)) if isinstance(answer, Mapping) else 0


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Event:
    """`id` counts over the whole journal, `seq` within the run, both from 1; `at` is in UTC; `step` is "" outside the steps."""

    id: int
    run: str
    seq: int
    at: datetime
    kind: str
    step: str
    data: Mapping[str, Any]
    hash: str

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "seq": self.seq,
            "at": text.utc(self.at),
            "kind": self.kind,
            "step": self.step,
            **self.data,
        }
