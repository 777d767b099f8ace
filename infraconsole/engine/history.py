"""What a run's events add up to: folded once for the executor that resumes it, and step by step for the views that follow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from infraconsole.clock import Stamp
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.gate import FAILURE_GATE, Gate
from infraconsole.engine.runbook import Answered, Intent
from infraconsole.target import Target
from infraconsole.terraform.claims import Stray


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    STOPPED = "stopped"
    """The run ended in it; where the run can be resumed, it begins again."""


@dataclass(frozen=True)
class StepRecord:
    id: str
    title: str
    state: StepState = StepState.PENDING
    why: str = ""
    commands: tuple[str, ...] = ()
    changes: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    """The failure's words, or why it was skipped."""
    progress: str = ""
    rows: tuple[tuple[str, str, float], ...] = ()
    """Of what is under way, where the step tells it one by one: name, state, seconds as of `told_at`."""
    told_at: datetime | None = None
    unanswered: tuple[Intent, ...] = ()
    answered: tuple[Answered, ...] = ()
    """The changing calls that were carried out, in their order."""
    sent: bool = False
    """Whether it has sent a changing call that was carried out, or may have been."""
    waited_seconds: float = 0.0
    """Of the time it took: how long it waited for a person, at gates and for credentials."""
    needless: str = ""
    """Why a step that changes something had nothing to do."""
    goes_on: str = ""
    """What goes on in AWS where the run is interrupted in it."""


@dataclass(frozen=True)
class OpenGate:
    opening: int
    step: str
    gate: Gate
    at: datetime
    rejected: str = ""
    """Why the last answer was not taken."""
    answered: tuple[str, ...] = ()


@dataclass(frozen=True)
class FollowUp:
    run: str
    id: str
    title: str
    detail: str
    file: str
    key: str
    value: str
    at: datetime
    done: bool = False
    place: str = ""
    """Where the state is that `strays` are missing in; "" where it is about no state."""
    strays: tuple[Stray, ...] = ()


def follow_up_of(event: Event) -> FollowUp:
    """What a follow-up-opened opens."""
    fields: dict[str, Any] = {
        key: str(event.data.get(key, "")) for key in ("id", "title", "detail", "file", "key", "value")
    }
    strays = tuple(Stray.from_json(each) for each in event.data.get("strays", ()))
    return FollowUp(run=event.run, at=event.at, place=str(event.data.get("place", "")), strays=strays, **fields)


@dataclass(frozen=True)
class Acceptance:
    """An accepted answer, with a fingerprint of what the gate had shown."""

    gate: str
    step: str
    value: str
    at: datetime
    shown: str
    stamp: Stamp | None = None
    by: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A run as its events tell it. `outcome` is "" while it is not finished; `given` are the answers of the command line that
    still hold."""

    run: str
    runbook: str = ""
    title: str = ""
    target: Target = field(default_factory=lambda: Target("", "", ""))
    inputs: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given_by: Mapping[str, str] = field(default_factory=dict)
    """By gate, who gave them, where that was not who began the run."""
    operator: str = ""
    profile: str = ""
    """The AWS profile that a person chose for it; "" where the configuration's is used."""
    dry_run: bool = False
    overtakes: bool = True
    """Whether a change of its makes what other runs have looked at a thing of the past."""
    interactive: bool = False
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    current: str = ""
    gate: OpenGate | None = None
    accepted: tuple[Acceptance, ...] = ()
    warnings: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    waiting: str = ""
    waiting_since: datetime | None = None
    waited_before_seconds: float = 0.0
    """How long a person was waited for in all, also in steps that began again since; what is waited for now aside."""
    interrupting: int = 0
    created_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    exit_code: int | None = None
    ending: str = ""
    former: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    """By step: the results it left before the run went back to it or beyond, the newest first."""
    overtaken: str = ""
    """Why the run went back to look again, as long as nothing was answered since."""
    starts: int = 0
    """How often an executor took it up."""
    sent: bool = False
    """Whether a changing call was sent, whatever came of it."""
    calls: tuple[str, ...] = ()
    """The changing calls that AWS carried out, or may have."""
    seq: int = 0

    @property
    def finished(self) -> bool:
        return bool(self.outcome)

    @property
    def resumable(self) -> bool:
        """A run that ended by interruption or has no end yet; whether an executor is at it only its lock tells."""
        return self.outcome in ("", "interrupted") and bool(self.runbook)

    @property
    def changed(self) -> bool:
        """Whether the run changed something, or may have."""
        return bool(self.calls) or any(step.result.get("changed") for step in self.steps)

    @property
    def done_words(self) -> str:
        """What was changed, for whoever only reads how the run ended; "" where nothing was."""
        titles = [step.title for step in self.steps if step.result.get("changed")]
        if titles:
            return f"Done before that: {', '.join(titles)}."
        return "Changing calls were made before that: the journal says which." if self.changed else ""

    def waited_seconds(self, now: datetime, step: str = "") -> float:
        """How long a person has been waited for until now: in all, or in one step."""
        over = self.step(step).waited_seconds if step else self.waited_before_seconds
        since = self.gate.at if self.gate else self.waiting_since
        where = self.gate.step if self.gate else self.current
        open_for = (now - since).total_seconds() if since and step in ("", where) else 0.0
        return over + max(0.0, open_for)

    def step(self, step: str) -> StepRecord:
        return next(record for record in self.steps if record.id == step)


def record_of(run: str, events: Iterable[Event]) -> RunRecord:
    record = RunRecord(run)
    for event in events:
        record = advanced(record, event)
    return record


def understood(record: RunRecord, event: Event) -> RunRecord:
    """As `advanced`, for lists: a run that a newer version wrote is shown as far as it is understood."""
    try:
        return advanced(record, event)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return replace(record, seq=event.seq)


def advanced(record: RunRecord, event: Event) -> RunRecord:
    """The record after one more event. Events of kinds that are not known (a newer version's) change nothing."""
    data = event.data
    record = replace(record, seq=event.seq)
    match event.kind:
        case Kind.RUN_CREATED:
            return _created(record, event)
        case Kind.RUN_STARTED:
            record = replace(
                record, interactive=bool(data.get("interactive", record.interactive)), starts=record.starts + 1
            )
            record = _with_given(record, data.get("given") or {}, data.get("by") or record.operator)
            return replace(
                record,
                outcome="",
                exit_code=None,
                ended_at=None,
                ending="",
                gate=None,
                waiting="",
                waiting_since=None,
                interrupting=0,
            )
        case Kind.STEP_STARTED:
            record = _with_step(
                record,
                event.step,
                state=StepState.RUNNING,
                why=data["why"],
                commands=tuple(data["commands"]),
                changes=data["changes"],
                started_at=event.at,
                ended_at=None,
                detail="",
                progress="",
                waited_seconds=0.0,
                needless="",
                goes_on=str(data.get("goes_on", "")),
            )
            return replace(record, current=event.step, gate=None)
        case Kind.GATE_OPENED:
            return replace(record, gate=OpenGate(data["opening"], event.step, Gate.from_json(data["gate"]), event.at))
        case Kind.GATE_REJECTED:
            return replace(record, gate=replace(record.gate, rejected=data["why"])) if record.gate else record
        case Kind.GATE_ANSWERED:
            accepted = Acceptance(
                data["gate"],
                event.step,
                data["value"],
                event.at,
                data["shown"],
                Stamp.from_json(data),
                str(data.get("by", "")),
            )
            still_open = record.gate if data.get("more") else None
            record = record if still_open else _waited(record, record.gate.at if record.gate else None, event.at)
            if still_open:
                still_open = replace(still_open, answered=(*still_open.answered, data["value"]), rejected="")
            record = replace(record, gate=still_open, accepted=(*record.accepted, accepted), overtaken="")
            return _without_given(record, FAILURE_GATE) if accepted.gate == FAILURE_GATE else record
        case Kind.GATE_REFUSED:
            return replace(_waited(record, record.gate.at if record.gate else None, event.at), gate=None)
        case Kind.CALL_INTENDED:
            intent = Intent(data["call"], data["operation"], data["parameters"], event.at, stamp=Stamp.from_json(data))
            record = replace(record, sent=True, calls=(*record.calls, intent.call))
            return _with_step(record, event.step, unanswered=(*record.step(event.step).unanswered, intent), sent=True)
        case Kind.CALL_DONE | Kind.CALL_FAILED:
            return _call_ended(record, event)
        case Kind.PROGRESS:
            rows = tuple((str(name), str(state), float(seconds)) for name, state, seconds in data.get("rows", ()))
            return _with_step(record, event.step, progress=data["text"], rows=rows, told_at=event.at)
        case Kind.NOTE:
            return replace(record, warnings=(*record.warnings, data["text"])) if data["level"] == "warning" else record
        case Kind.FOLLOW_UP_OPENED:
            follow_up = follow_up_of(event)
            return replace(
                record, follow_ups=(*(known for known in record.follow_ups if known.id != follow_up.id), follow_up)
            )
        case Kind.FOLLOW_UP_DONE:
            follow_ups = tuple(
                replace(known, done=True) if known.id == data["id"] else known for known in record.follow_ups
            )
            return replace(record, follow_ups=follow_ups)
        case Kind.WAITING:
            since = record.waiting_since or event.at
            return replace(record, waiting=f"{data['reason']} {data['mend']}".strip(), waiting_since=since)
        case Kind.WAITING_OVER:
            return replace(_waited(record, record.waiting_since, event.at), waiting="", waiting_since=None)
        case Kind.STEP_FINISHED:
            return _with_step(
                record,
                event.step,
                state=StepState.DONE,
                ended_at=event.at,
                result=data["result"],
                needless=str(data.get("needless", "")),
                unanswered=(),
                progress="",
            )
        case Kind.STEP_SKIPPED:
            return _with_step(
                record, event.step, state=StepState.SKIPPED, ended_at=event.at, detail=data["reason"], unanswered=()
            )
        case Kind.STEP_FAILED:
            detail = "\n".join(part for part in (data["title"], data["cause"], data["mend"]) if part)
            return _with_step(record, event.step, state=StepState.FAILED, ended_at=event.at, detail=detail)
        case Kind.REWOUND:
            record = _rewound(record, data["to"])
            if not data.get("overtaken"):
                return replace(record, overtaken="")
            # Of the gates that are still to open nobody has seen what they will show now.
            given = {gate: values for gate, values in record.given.items() if gate == FAILURE_GATE}
            return replace(record, given=given, overtaken=data["reason"])
        case Kind.INTERRUPT_REQUESTED:
            return replace(record, interrupting=data["level"])
        case Kind.RUN_FINISHED:
            ending = "\n".join(part for part in (data["title"], data["cause"], data["mend"]) if part)
            record = _waited(record, record.gate.at if record.gate else record.waiting_since, event.at)
            return replace(
                record,
                waiting_since=None,
                outcome=data["outcome"],
                exit_code=data["exit_code"],
                ended_at=event.at,
                ending=ending,
                gate=None,
                waiting="",
                steps=tuple(_ended(known, event.at) for known in record.steps),
            )
    return record


def _waited(record: RunRecord, since: datetime | None, until: datetime) -> RunRecord:
    """A person was waited for in the current step."""
    step = record.gate.step if record.gate else record.current
    if since is None or step not in {known.id for known in record.steps}:
        return record
    waited = max(0.0, (until - since).total_seconds())
    record = replace(record, waited_before_seconds=record.waited_before_seconds + waited)
    return _with_step(record, step, waited_seconds=record.step(step).waited_seconds + waited)


def _call_ended(record: RunRecord, event: Event) -> RunRecord:
    data, step = event.data, record.step(event.step)
    if data.get("maybe_done"):
        stamp = Stamp.from_json(data)
        intents = (
            replace(known, stamp=stamp) if known.call == data["call"] and stamp else known for known in step.unanswered
        )
        return _with_step(record, event.step, unanswered=tuple(intents))
    left = tuple(intent for intent in step.unanswered if intent.call != data["call"])
    if event.kind == Kind.CALL_FAILED:
        record = replace(record, calls=tuple(call for call in record.calls if call != data["call"]))
        return _with_step(record, event.step, unanswered=left, sent=bool(left or step.answered))
    answer = data.get("answer")
    answered = Answered(data["operation"], answer if isinstance(answer, Mapping) else {})
    return _with_step(record, event.step, unanswered=left, answered=(*step.answered, answered), sent=True)


def _created(record: RunRecord, event: Event) -> RunRecord:
    data = event.data
    target = data["target"]
    return replace(
        record,
        runbook=data["runbook"],
        title=data["title"],
        target=Target(
            target["service"],
            target["environment"],
            target["region"],
            target["account"],
            is_module=bool(target.get("is_module")),
        ),
        inputs=data["inputs"],
        given={gate: tuple(values) for gate, values in data["given"].items()},
        operator=data["operator"],
        profile=str(data.get("profile", "")) if data.get("profile_chosen") else "",
        dry_run=data["dry_run"],
        overtakes=bool(data.get("overtakes", True)),
        interactive=data["interactive"],
        fingerprints={step["id"]: step["fingerprint"] for step in data["steps"]},
        steps=tuple(StepRecord(step["id"], step["title"]) for step in data["steps"]),
        created_at=event.at,
    )


def _with_step(record: RunRecord, step: str, **changes: Any) -> RunRecord:
    return replace(
        record, steps=tuple(replace(known, **changes) if known.id == step else known for known in record.steps)
    )


def _ended(step: StepRecord, at: datetime) -> StepRecord:
    return replace(step, state=StepState.STOPPED, ended_at=at) if step.state is StepState.RUNNING else step


def _rewound(record: RunRecord, to: str) -> RunRecord:
    """That step and those after it are open again. What was answered at their gates was answered to another situation: neither
    those answers nor the ones given on the command line for the same gates hold any longer."""
    ids = [known.id for known in record.steps]
    again = set(ids[ids.index(to) :])
    former = dict(record.former)
    for known in record.steps:
        if known.id in again and (known.result or known.started_at):
            former[known.id] = (known.result, *former.get(known.id, ()))
    for answered in {known.gate for known in record.accepted if known.step in again} - {FAILURE_GATE}:
        record = _without_given(record, answered, every=True)
    steps = tuple(StepRecord(known.id, known.title) if known.id in again else known for known in record.steps)
    accepted = tuple(known for known in record.accepted if known.step not in again)
    return replace(record, steps=steps, accepted=accepted, former=former, current=to, gate=None)


def _with_given(record: RunRecord, given: Mapping[str, Sequence[str]], by: str) -> RunRecord:
    """`record` with answers that were given when it was resumed: for their gates they stand in the place of earlier ones."""
    answers = {gate: tuple(values) for gate, values in given.items()}
    return replace(
        record,
        given={**record.given, **answers},
        given_by={**record.given_by, **dict.fromkeys(answers, by)},
    )


def _without_given(record: RunRecord, gate: str, *, every: bool = False) -> RunRecord:
    """`record` without the first of the answers given for that gate, or without `every` one."""
    left = () if every else record.given.get(gate, ())[1:]
    given = {known: values for known, values in record.given.items() if known != gate}
    return replace(record, given={**given, gate: left} if left else given)
