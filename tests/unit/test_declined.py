"""A gate that was declined, or answered wrongly, does not cost the answers to the gates before it while nothing changed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from infraconsole.engine import executor as executor_module
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import FAILURE_GATE, Choice, Gate, GateKind
from infraconsole.engine.runbook import Offer
from infraconsole.errors import AwsError
from tests.unit.test_executor import REASON, RUNBOOK, TYPED, Bench
from tests.unit.test_executor import bench as bench


def declined(bench: Bench, **inputs: str) -> None:
    """A run whose reason was given and whose name was not typed."""
    bench.begin(interactive=True, **inputs)  # type: ignore[arg-type]
    join = bench.in_background()
    bench.answer_when_open("reason", "prod answers 503")
    bench.answer_when_open("type-target", "no")
    assert join() == 3
    assert bench.record.outcome == "refused"
    bench.run = f"{bench.run}n"


def until_open(bench: Bench, gate: str) -> None:
    deadline = time.monotonic() + 60
    while not ((known := bench.record.gate) and known.gate.id == gate):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def opened(bench: Bench) -> list[str]:
    """The gates that were asked: opened, and not answered from the run before."""
    events = list(bench.journal.events(bench.run))
    taken = {event.data["opening"] for event in events if event.data.get("taken_over")}
    gates = [event for event in events if event.kind == Kind.GATE_OPENED]
    return [event.data["gate"]["id"] for event in gates if event.data["opening"] not in taken]


def test_the_reason_holds_in_the_run_that_follows(bench: Bench) -> None:
    declined(bench)
    bench.begin(interactive=True)
    join = bench.in_background()
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert opened(bench) == ["type-target"]
    taken = next(each for each in bench.record.accepted if each.gate == "reason")
    assert (taken.value, taken.by) == ("prod answers 503", "kim")


def test_it_holds_however_often_a_later_gate_is_declined_and_no_longer_than_its_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    declined(bench)
    for _ in range(2):
        bench.begin(interactive=True)
        join = bench.in_background()
        bench.answer_when_open("type-target", "no")
        assert join() == 3
        bench.run = f"{bench.run}n"
    monkeypatch.setattr(executor_module, "ANSWER_VALID_SECONDS", -1.0)
    bench.begin(interactive=True)
    join = bench.in_background()
    bench.answer_when_open("reason", "prod answers 503")
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0


@pytest.mark.parametrize("case", ["another situation", "another target", "other inputs", "a script", "a change since"])
def test_it_is_asked_for_again_where_anything_else_is_so(bench: Bench, case: str) -> None:
    declined(bench, seconds="0")
    if case == "another situation":
        bench.cloud.revision = 9
    if case == "a change since":
        bench.begin(REASON, TYPED, interactive=False)
        assert bench.carry_out() == 0
        bench.cloud.carried_out = 0
        bench.run = f"{bench.run}n"
    if case == "a script":
        bench.begin(TYPED, interactive=False)
        assert bench.carry_out() == 3
        assert opened(bench) == ["reason"]
        return
    if case == "another target":
        environments = dict(bench.settings.environments)
        environments["live"] = replace(environments["prod"], name="live")
        bench.settings = replace(bench.settings, environments=environments)
        bench.begin(interactive=True, environment="live")
    else:
        bench.begin(interactive=True, seconds="0.01" if case == "other inputs" else "0")
    join = bench.in_background()
    bench.answer_when_open("reason", "no")
    assert join() == 3
    assert opened(bench) == ["reason"]


CHOICES = (Choice("6", "web:6", recommended=True), Choice("5", "web:5"))


@pytest.fixture
def choosing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Its first step asks which revision it shall be."""
    look, change = (step.__class__ for step in RUNBOOK.steps[:2])
    gate = Gate("revision", GateKind.CHOOSE, "Which revision?", choices=CHOICES)
    monkeypatch.setattr(look, "gates", lambda self, context: (gate,))
    monkeypatch.setattr(change, "offers", lambda self: (Offer("another", "Choose another", back_to="look"),))
    return bench


def test_a_choice_is_asked_for_again_since_it_may_be_why_the_run_was_declined(choosing: Bench) -> None:
    choosing.begin(interactive=True)
    join = choosing.in_background()
    choosing.answer_when_open("revision", "5")
    choosing.answer_when_open("reason", "prod answers 503")
    choosing.answer_when_open("type-target", "no")
    assert join() == 3
    choosing.run = f"{choosing.run}n"
    choosing.begin(interactive=True)
    join = choosing.in_background()
    choosing.answer_when_open("revision", "6")
    choosing.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert opened(choosing) == ["revision", "type-target"]


def test_nothing_is_taken_over_once_a_run_went_back(choosing: Bench) -> None:
    declined_at = ("reason", "prod answers 503"), ("type-target", "no")
    choosing.begin(interactive=True)
    join = choosing.in_background()
    for gate, answer in (("revision", "5"), *declined_at):
        choosing.answer_when_open(gate, answer)
    assert join() == 3
    choosing.run = f"{choosing.run}n"
    choosing.cloud.answers = [lambda: (_ for _ in ()).throw(AwsError("No.", operation="ecs:UpdateService", code="x"))]
    choosing.begin(interactive=True)
    join = choosing.in_background()
    for gate, answer in (
        ("revision", "5"),
        ("type-target", "fileflow-prod"),
        (FAILURE_GATE, "another"),
        ("revision", "6"),
        ("reason", "still prod answers 503"),
        ("type-target", "fileflow-prod"),
    ):
        choosing.answer_when_open(gate, answer)
    assert join() == 0


def test_the_time_a_person_took_stays_when_a_step_begins_again(choosing: Bench) -> None:
    choosing.cloud.answers = [lambda: (_ for _ in ()).throw(AwsError("No.", operation="ecs:UpdateService", code="x"))]
    choosing.begin(REASON, TYPED, interactive=True)
    join = choosing.in_background()
    choosing.answer_when_open("revision", "6")
    until_open(choosing, FAILURE_GATE)
    time.sleep(1.0)
    choosing.answer_when_open(FAILURE_GATE, "retry")
    assert join() == 0
    record = choosing.record
    assert record.ended_at
    assert record.waited_seconds(record.ended_at) >= 1.0


def test_a_wrong_answer_given_beforehand_is_asked_for_where_somebody_sits(bench: Bench) -> None:
    bench.begin(REASON, ("type-target", "fileflow-dev"), interactive=True)
    join = bench.in_background()
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert opened(bench) == ["reason", "type-target"]
    assert "gate-rejected" in bench.kinds()


def test_what_was_typed_wrongly_asks_for_nothing_else_again(bench: Bench) -> None:
    bench.begin(interactive=True)
    join = bench.in_background()
    bench.answer_when_open("reason", "short")
    bench.answer_when_open("reason", "prod answers 503")
    bench.answer_when_open("type-target", "fileflow-dev")
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert opened(bench) == ["reason", "type-target"]


def test_after_a_failure_another_runbook_can_be_chosen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    change = RUNBOOK.steps[1].__class__
    offer = Offer("roll-back", "Stop here, and roll back", runbook="ecs-rollback")
    monkeypatch.setattr(change, "offers", lambda self: (offer,))
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(AwsError("No.", operation="ecs:UpdateService", code="x"))]
    bench.begin(REASON, TYPED, interactive=True)
    join = bench.in_background()
    bench.answer_when_open(FAILURE_GATE, "roll-back")
    assert join() == 1
    last = list(bench.journal.events(bench.run))[-1]
    assert (last.data["outcome"], last.data["then"]) == ("failed", "ecs-rollback")
    assert "infraconsole run ecs-rollback --service fileflow --env prod" in last.data["mend"]


def test_the_time_a_person_took_is_not_the_step_s(bench: Bench) -> None:
    bench.begin(REASON, interactive=True)
    join = bench.in_background()
    until_open(bench, "type-target")
    time.sleep(1.0)
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    found = [event for event in bench.journal.events(bench.run) if event.kind == Kind.STEP_FINISHED]
    step = bench.record.step("change")
    assert step.started_at
    assert step.ended_at
    assert step.waited_seconds >= 1.0
    whole = (step.ended_at - step.started_at).total_seconds()
    assert found[1].data["seconds"] <= whole - 1.0 + 0.3


def test_a_change_that_was_there_before_is_finished_as_needless(bench: Bench) -> None:
    bench.cloud.carried_out = 1
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert bench.record.step("change").needless == "it is there"
    assert bench.cloud.sent == []
