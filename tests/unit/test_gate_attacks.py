"""Ways to get past a gate that nobody opened: approving oneself, and answers that were given to something else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from infraconsole.engine import executor as executor_module
from infraconsole.engine.gate import FAILURE_GATE, Gate, GateKind
from infraconsole.engine.history import OpenGate
from infraconsole.engine.runbook import Probe, ProbeState, StepContext
from infraconsole.errors import AwsError, GateRefused
from tests.unit import test_executor as base
from tests.unit.test_executor import REASON, RUNBOOK, TYPED, Bench, Change
from tests.unit.test_executor import bench as bench

APPROVERS = ("cto", "platform-lead")
ALIKE = [
    "cto",
    "CTO",
    " cto ",
    "cto\u00a0",
    "\uff43\uff54\uff4f",  # full width
    "c\u200bto",
    "\u2066cto\u2069",
    "ct\u00ado",
    "\U0001d41c\U0001d42d\U0001d428",  # mathematical bold
    "cto\t",
]


def with_approvers(bench: Bench, *approvers: str) -> None:
    environments = dict(bench.settings.environments)
    environments["prod"] = replace(environments["prod"], rollback_approvers=approvers or APPROVERS)
    bench.settings = replace(bench.settings, environments=environments)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def opened_gate(bench: Bench, gate: str) -> OpenGate:
    """Once it is open."""
    found: list[OpenGate] = []

    def is_open() -> bool:
        now = bench.record.gate
        if now is not None and now.gate.id == gate:
            found.append(now)
        return bool(found)

    until(is_open)
    return found[0]


def ask(bench: Bench, gate: str, value: str, by: str = "kim") -> None:
    """Answer that gate once it is open, as `by`."""
    opened = opened_gate(bench, gate)
    bench.journal.ask(bench.run, "answer", by, {"opening": opened.opening, "gate": gate, "value": value})


def rejection(bench: Bench) -> str:
    """Why the newest answer was not taken, once it was not."""

    def said() -> list[str]:
        return [event.data["why"] for event in bench.journal.events(bench.run) if event.kind == "gate-rejected"]

    until(said)
    return said()[-1]


class Killed(BaseException):
    pass


def kill_in_the_call(bench: Bench) -> Callable[[], int]:
    """The executor dies in its next call, which is not carried out."""

    def end() -> None:
        raise Killed

    bench.cloud.answers = [end]
    plain = bench.carry_out

    def carry_out() -> int:
        try:
            return plain()
        except Killed:
            bench.cloud.carried_out = 0
            return -9

    return carry_out


# Approving oneself


@pytest.mark.parametrize("name", ALIKE)
def test_who_is_the_operator_is_so_however_the_name_is_written(name: str) -> None:
    gate = Gate("approve", GateKind.APPROVE, "Who?", approvers=APPROVERS)
    with pytest.raises(GateRefused, match="runs this"):
        gate.check("cto:CHG-1", operator=name)


@pytest.mark.parametrize("name", ALIKE[1:])
def test_who_has_approved_has_done_so_however_the_name_is_written(name: str) -> None:
    gate = Gate("approve", GateKind.APPROVE, "Who?", approvers=(*APPROVERS, name))
    with pytest.raises(GateRefused, match="already"):
        gate.check(f"{name}:CHG-2", operator="kim", approved=("cto:CHG-1",))


def test_names_that_only_begin_alike_are_two_people() -> None:
    gate = Gate("approve", GateKind.APPROVE, "Who?", approvers=("kim-lee", "kim"))
    assert gate.check("kim-lee:CHG-1", operator="kim") == "kim-lee:CHG-1"


def test_who_began_the_run_does_not_approve_it_whoever_answers(bench: Bench) -> None:
    with_approvers(bench, "kim", "lee")
    bench.begin(REASON, TYPED, interactive=True)
    join = bench.in_background()
    ask(bench, "approve", "kim:CHG-1", by="park")
    assert "cannot approve" in rejection(bench)
    assert bench.cloud.sent == []
    ask(bench, "approve", "no", by="park")
    assert join() == 3


@pytest.mark.parametrize("by", ALIKE)
def test_who_answers_does_not_approve(bench: Bench, by: str) -> None:
    with_approvers(bench)
    bench.begin(REASON, TYPED, interactive=True)
    join = bench.in_background()
    ask(bench, "approve", "cto:CHG-1", by=by)
    assert "cannot approve" in rejection(bench)
    ask(bench, "approve", "no", by=by)
    assert join() == 3
    assert bench.cloud.sent == []


def test_one_approval_that_is_sent_twice_is_one(bench: Bench) -> None:
    with_approvers(bench)
    bench.begin(REASON, TYPED, interactive=True)
    join = bench.in_background()
    opened = opened_gate(bench, "approve")
    for _ in range(2):
        bench.journal.ask(
            bench.run, "answer", "park", {"opening": opened.opening, "gate": "approve", "value": "cto:CHG-1"}
        )
    assert "already" in rejection(bench)
    assert bench.cloud.sent == []
    ask(bench, "approve", "no")
    assert join() == 3


# Answers to something else


def showing(changes: Sequence[str]) -> Callable[[Change, StepContext], Sequence[Gate]]:
    """One gate that shows what stands in the list now."""
    return lambda step, context: [
        Gate("type-target", GateKind.TYPE, "Change it", changes=tuple(changes), expected="fileflow-prod")
    ]


def test_an_accepted_answer_opens_the_same_gate_again_after_a_crash(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Change, "gates", showing(["from 8"]))
    bench.begin(interactive=True)
    monkeypatch.setattr(bench, "carry_out", kill_in_the_call(bench))
    join = bench.in_background()
    ask(bench, "type-target", "fileflow-prod")
    assert join() == -9
    assert bench.carry_out() == 0, "nobody had to answer"
    assert len(bench.cloud.sent) == 2


@pytest.mark.parametrize("field", ["changes", "irreversible", "commands", "title"])
def test_an_accepted_answer_does_not_open_a_gate_that_shows_something_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    gate = Gate("type-target", GateKind.TYPE, "Change it", changes=("from 8",), expected="fileflow-prod")
    shown = [gate]
    monkeypatch.setattr(Change, "gates", lambda step, context: list(shown))
    bench.begin(interactive=True)
    monkeypatch.setattr(bench, "carry_out", kill_in_the_call(bench))
    join = bench.in_background()
    ask(bench, "type-target", "fileflow-prod")
    assert join() == -9
    other = {"title": "Change it all"} if field == "title" else {field: ("the database is lost",)}
    shown[0] = replace(gate, **other)
    join = bench.in_background()
    ask(bench, "type-target", "no")
    assert join() == 3
    assert len(bench.cloud.sent) == 1, "the one that was killed"


def test_an_accepted_answer_is_good_for_a_quarter_of_an_hour(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Change, "gates", showing(["from 8"]))
    bench.begin(interactive=True)
    monkeypatch.setattr(bench, "carry_out", kill_in_the_call(bench))
    join = bench.in_background()
    ask(bench, "type-target", "fileflow-prod")
    assert join() == -9
    assert executor_module.ANSWER_VALID_SECONDS == 15 * 60
    monkeypatch.setattr(executor_module, "ANSWER_VALID_SECONDS", -1.0)
    join = bench.in_background()
    ask(bench, "type-target", "no")
    assert join() == 3
    assert len(bench.cloud.sent) == 1


class ChangeMore(Change):
    """Another change behind a gate that looks just the same."""

    id = "change-more"
    title = "Change more"


def test_the_answer_to_a_gate_of_one_step_does_not_open_the_same_gate_of_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, change, _ = RUNBOOK.steps
    monkeypatch.setattr(base, "RUNBOOK", replace(RUNBOOK, steps=(look, change, ChangeMore())))
    monkeypatch.setattr(Change, "gates", showing(["from 8"]))
    monkeypatch.setattr(ChangeMore, "probe", lambda step, context: Probe(ProbeState.NOT_DONE, "not yet"))
    bench.begin(interactive=True)
    join = bench.in_background()
    ask(bench, "type-target", "fileflow-prod")
    until(lambda: bench.record.current == "change-more" and bench.record.gate)
    assert len(bench.cloud.sent) == 1
    ask(bench, "type-target", "no")
    assert join() == 3
    assert len(bench.cloud.sent) == 1


def opening_of(bench: Bench) -> int:
    """The number that the gate of a run like this one opens with."""
    first, bench.run = bench.run, "run230"
    bench.begin(REASON, interactive=True)
    join = bench.in_background()
    opened = opened_gate(bench, "type-target")
    ask(bench, "type-target", "no")
    assert join() == 3
    bench.run = first
    return opened.opening


@pytest.mark.parametrize("when", ["before it began", "before the gate opened"])
def test_an_answer_that_was_left_before_the_gate_opened_is_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Whoever guesses the number has not seen what the gate shows."""
    request = {"opening": opening_of(bench), "gate": "type-target", "value": "fileflow-prod"}
    bench.begin(REASON, interactive=True)
    if when == "before it began":
        bench.journal.ask(bench.run, "answer", "kim", request)
    else:
        gates = Change.gates

        def leaving(step: Change, context: StepContext) -> Sequence[Gate]:
            if not any(known.gate == "reason" for known in bench.record.accepted):
                return gates(step, context)
            if not bench.journal.requests(bench.run):
                bench.journal.ask(bench.run, "answer", "kim", request)
                time.sleep(0.5)  # until the executor's inbox has it
            return gates(step, context)

        monkeypatch.setattr(Change, "gates", leaving)
    join = bench.in_background()
    opened = opened_gate(bench, "type-target")
    assert opened.opening == request["opening"]
    time.sleep(0.5)
    assert bench.cloud.sent == []
    ask(bench, "type-target", "no")
    assert join() == 3


def test_an_answer_to_an_older_opening_of_the_same_gate_is_none(bench: Bench) -> None:
    refused = AwsError("AWS refuses.", operation="ecs:UpdateService", code="ClientException", words="no")
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(refused)]
    bench.begin(REASON, interactive=True)
    join = bench.in_background()
    first = opened_gate(bench, "type-target")
    ask(bench, "type-target", "fileflow-prod")
    ask(bench, FAILURE_GATE, "look-again")
    ask(bench, "reason", "it was right to look again")
    assert opened_gate(bench, "type-target").opening > first.opening
    bench.journal.ask(
        bench.run, "answer", "kim", {"opening": first.opening, "gate": "type-target", "value": "fileflow-prod"}
    )
    time.sleep(0.5)
    assert len(bench.cloud.sent) == 1
    ask(bench, "type-target", "no")
    assert join() == 3
