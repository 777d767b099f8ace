"""A gate that was declined, or answered wrongly, does not cost the answers to the gates before it while nothing changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infraconsole.engine import executor as executor_module
from infraconsole.engine.event import Kind
from tests.unit.test_executor import REASON, TYPED, Bench
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
