"""What the executor believes of a step that changes something: what AWS does not show yet is waited for, what was not answered is
looked for until it cannot come any more, and what was seen some time ago is looked at again before anything is sent."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from infraconsole import clock
from infraconsole.engine import executor as executor_module
from infraconsole.engine import probing
from infraconsole.engine.event import Kind
from infraconsole.engine.executor import Executor
from infraconsole.engine.journal import Journal
from infraconsole.engine.runbook import Probe, ProbeState, StepContext
from infraconsole.errors import ClockSkew
from tests.unit import test_executor
from tests.unit.test_executor import REASON, TYPED, Bench, Change, Look, Wait, cloud_of, lost, not_reached
from tests.unit.test_executor import bench as bench

Patch = pytest.MonkeyPatch


class Killed(BaseException):
    """The process is gone."""


def killed() -> None:
    raise Killed


def settle(bench: Bench, seconds: float, visible: float = 5.0) -> None:
    engine = replace(bench.settings.engine, settle_seconds=seconds, visible_seconds=visible)
    bench.settings = replace(bench.settings, engine=engine)


def probed(monkeypatch: Patch, *says: Callable[[StepContext], Probe | None]) -> list[int]:
    """Let the probes say that in turn, the last one for ever; None is what the step itself says. Gives the looks, one by one."""
    own, left = Change.probe, list(says)
    looks: list[int] = []

    def probe(self: Change, context: StepContext) -> Probe:
        looks.append(len(looks))
        say = left.pop(0) if len(left) > 1 else left[0]
        return say(context) or own(self, context)

    monkeypatch.setattr(Change, "probe", probe)
    return looks


def own(_: StepContext) -> None:
    return None


def hidden(_: StepContext) -> Probe:
    return Probe(ProbeState.NOT_VISIBLE, "An older answer.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: Patch) -> None:
    monkeypatch.setattr(probing, "_PAUSE_SECONDS", 0.05)


def test_what_is_not_visible_yet_is_looked_at_again(bench: Bench, monkeypatch: Patch) -> None:
    looks = probed(monkeypatch, hidden, hidden, own)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert (len(bench.cloud.sent), len(looks)) == (1, 4)
    states = [event.data["state"] for event in bench.journal.events(bench.run) if event.kind == "probed"]
    assert states == ["not-visible", "not-done", "not-done"], "said once, however often it was looked at"


def test_what_stays_invisible_ends_the_run_resumable_and_is_found_later(bench: Bench, monkeypatch: Patch) -> None:
    settle(bench, 0.1, visible=0.5)
    bench.cloud.answers = [lost]
    with pytest.MonkeyPatch.context() as patch:
        probed(patch, own, own, hidden)
        bench.begin(REASON, TYPED)
        assert bench.carry_out() == 5
        assert (bench.record.outcome, bench.record.resumable) == ("interrupted", True)
        assert f"infraconsole resume {bench.run}" in bench.record.ending
        assert "An older answer." in bench.record.ending
        assert bench.carry_out() == 5, "and again, as long as it stays so"
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_what_is_invisible_before_anything_was_sent_loses_nothing_either(bench: Bench) -> None:
    settle(bench, 0.1, visible=0.3)
    with pytest.MonkeyPatch.context() as patch:
        probed(patch, hidden)
        bench.begin(REASON, TYPED)
        assert bench.carry_out() == 5
    assert (bench.record.outcome, bench.record.resumable, bench.cloud.sent) == ("interrupted", True, [])
    assert bench.carry_out() == 0


def test_an_interrupt_ends_the_wait_for_what_is_not_visible(bench: Bench, monkeypatch: Patch) -> None:
    settle(bench, 0.1, visible=60)
    probed(monkeypatch, hidden)
    bench.begin(REASON, TYPED)
    join = bench.in_background()
    while "probed" not in bench.kinds():
        time.sleep(0.02)
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    assert join() == 4
    assert bench.cloud.sent == []


@pytest.mark.parametrize(("boot", "waits"), [("", False), ("another", True)], ids=["same-boot", "after-a-restart"])
def test_settling_counts_from_the_last_send_across_executors(
    bench: Bench, monkeypatch: Patch, boot: str, waits: bool
) -> None:
    settle(bench, 1.0)
    bench.cloud.answers = [killed]
    bench.begin(REASON, TYPED)
    with pytest.raises(Killed):
        bench.carry_out()
    time.sleep(1.1)
    if boot:
        monkeypatch.setattr(clock, "boot", lambda: boot)
    began = time.monotonic()
    assert bench.carry_out() == 0
    assert (time.monotonic() - began >= 1.0) is waits
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (2, 1)


def test_an_intent_without_a_stamp_settles_anew(bench: Bench, monkeypatch: Patch) -> None:
    """As in a journal that an older version wrote."""
    settle(bench, 0.6)
    append = Journal.append

    def unstamped(self: Journal, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Any:
        return append(self, run, kind, step, {key: value for key, value in (data or {}).items() if key != "clock"})

    bench.cloud.answers = [killed]
    bench.begin(REASON, TYPED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", unstamped)
        with pytest.raises(Killed):
            bench.carry_out()
    time.sleep(0.7)
    began = time.monotonic()
    assert bench.carry_out() == 0
    assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize("jump", [3600.0, -600.0])
def test_the_time_of_day_may_jump_while_a_call_settles(bench: Bench, monkeypatch: Patch, jump: float) -> None:
    settle(bench, 0.6)
    own_now = Executor.now
    sent: list[float] = []
    bench.cloud.before_send = lambda: sent.append(time.monotonic())
    bench.cloud.answers = [not_reached]
    monkeypatch.setattr(
        Executor, "now", lambda self: own_now(self) + (timedelta(seconds=jump) if sent else timedelta())
    )
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(sent) == 2
    assert 0.6 <= sent[1] - sent[0] < 30


def test_each_attempt_settles_by_itself(bench: Bench) -> None:
    settle(bench, 0.5)
    sent: list[float] = []
    bench.cloud.before_send = lambda: sent.append(time.monotonic())
    bench.cloud.answers = [not_reached, not_reached]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(sent) == 3
    assert all(after - before >= 0.5 for before, after in itertools.pairwise(sent))


class Named(Change):
    """Its answer names what was made, and its probe asks for nothing else."""

    def probe(self, context: StepContext) -> Probe:
        made = context.answered("ecs:UpdateService")
        if made is not None:
            return Probe(ProbeState.DONE, "answered", {**made, "changed": True})
        return Probe(ProbeState.NOT_DONE, "AWS shows nothing of it")

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"deployment": "ecs-svc/1"}


@pytest.mark.parametrize("when", [Kind.CALL_DONE, Kind.STEP_FINISHED])
def test_what_the_answer_named_survives_a_kill_behind_it(bench: Bench, monkeypatch: Patch, when: Kind) -> None:
    monkeypatch.setattr(test_executor, "RUNBOOK", replace(test_executor.RUNBOOK, steps=(Look(), Named(), Wait())))
    append = Journal.append

    def killing(self: Journal, run: str, kind: Kind, step: str = "", data: Mapping[str, Any] | None = None) -> Any:
        if (kind, step) == (when, "change") and when is Kind.STEP_FINISHED:
            raise Killed
        event = append(self, run, kind, step, data)
        if (kind, step) == (when, "change"):
            raise Killed
        return event

    bench.begin(REASON, TYPED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", killing)
        with pytest.raises(Killed):
            bench.carry_out()
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1
    assert bench.record.step("change").result == {"deployment": "ecs-svc/1", "changed": True}


def slow_act(monkeypatch: Patch, meanwhile: Callable[[StepContext], None]) -> None:
    """Between what was probed and the call something takes its time, as an init does."""
    monkeypatch.setattr(probing, "FRESH_SECONDS", 0.3)
    act = Change.act

    def slowly(self: Change, context: StepContext) -> Mapping[str, Any]:
        meanwhile(context)
        time.sleep(0.4)
        return act(self, context)

    monkeypatch.setattr(Change, "act", slowly)


def test_what_is_overtaken_between_probe_and_call_is_not_sent(bench: Bench, monkeypatch: Patch) -> None:
    slow_act(monkeypatch, lambda context: setattr(cloud_of(context), "revision", 7))
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert bench.cloud.sent == []
    assert "It is on 7 now." in bench.record.ending


def test_a_person_is_shown_what_was_overtaken_between_probe_and_call(bench: Bench, monkeypatch: Patch) -> None:
    changed: list[int] = []

    def once(context: StepContext) -> None:
        if not changed:
            changed.append(1)
            cloud_of(context).revision = 7

    slow_act(monkeypatch, once)
    bench.begin(interactive=True)
    join = bench.in_background()
    for _ in range(2):
        bench.answer_when_open("reason", "prod answers 503")
        bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert len(bench.cloud.sent) == 1
    shown = [event.data["gate"]["changes"] for event in bench.journal.events(bench.run) if event.kind == "gate-opened"]
    assert shown[-1] == ["from 7"]


def test_what_is_done_between_probe_and_call_is_not_sent(bench: Bench, monkeypatch: Patch) -> None:
    slow_act(monkeypatch, lambda context: setattr(cloud_of(context), "carried_out", 1))
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert bench.cloud.sent == []


def test_a_call_that_is_held_up_behind_its_intent_is_looked_at_again(bench: Bench, monkeypatch: Patch) -> None:
    """A slow disk, or a process that was suspended right there."""
    monkeypatch.setattr(executor_module, "FRESH_SECONDS", 0.3)
    monkeypatch.setattr(probing, "FRESH_SECONDS", 0.3)
    append, slow = Journal.append, [1]

    def slowly(self: Journal, run: str, kind: Kind, *rest: Any, **more: Any) -> Any:
        event = append(self, run, kind, *rest, **more)
        if kind is Kind.CALL_INTENDED and slow:
            slow.pop()
            bench.cloud.revision = 7
            time.sleep(0.4)
        return event

    monkeypatch.setattr(Journal, "append", slowly)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert bench.cloud.sent == []
    assert (bench.record.changed, bench.record.step("change").unanswered) == (False, ())


def test_a_call_that_is_held_up_every_time_is_not_sent_and_the_run_goes_on_later(
    bench: Bench, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(executor_module, "FRESH_SECONDS", 0.3)
    append, slow = Journal.append, [True]

    def slowly(self: Journal, run: str, kind: Kind, *rest: Any, **more: Any) -> Any:
        event = append(self, run, kind, *rest, **more)
        if kind is Kind.CALL_INTENDED and slow:
            time.sleep(0.4)
        return event

    monkeypatch.setattr(Journal, "append", slowly)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 5
    assert bench.cloud.sent == []
    assert (bench.record.outcome, bench.record.changed) == ("interrupted", False)
    assert "0.3 s to record it" in bench.record.ending
    slow.clear()
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_a_slow_probe_does_not_keep_the_call_from_being_sent(bench: Bench, monkeypatch: Patch) -> None:
    monkeypatch.setattr(probing, "FRESH_SECONDS", 0.01)

    def slow(_: StepContext) -> None:
        time.sleep(0.05)

    probed(monkeypatch, slow)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_a_copy_that_lags_does_not_hide_that_somebody_else_changed_it(bench: Bench, monkeypatch: Patch) -> None:
    """One look shows a colleague's change, the next ones, from an older copy, do not: nothing is sent over it."""
    settle(bench, 0.5)
    bench.cloud.answers = [not_reached]
    overtaken = Probe(ProbeState.OVERTAKEN, "It is on 7 now.", back_to="look")
    probed(monkeypatch, own, own, lambda _: overtaken, own)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert len(bench.cloud.sent) == 1


@pytest.mark.parametrize(
    ("later", "asked"),
    [({}, 1), ({"boot": "another"}, 2), ({"seconds": 16 * 60}, 2), ({"day": -3600}, 1), ({"day": 3600}, 1)],
    ids=["at-once", "after-a-restart", "after-16-minutes", "an-hour-earlier-by-the-wall", "an-hour-later-by-the-wall"],
)
def test_an_accepted_answer_holds_by_the_clock_that_never_jumps(
    bench: Bench, monkeypatch: Patch, later: Mapping[str, Any], asked: int
) -> None:
    bench.cloud.before_send = killed
    bench.begin(reason="prod answers 503", interactive=True)
    codes: list[str] = []
    seconds, now = clock.seconds, Executor.now

    def carry_out() -> None:
        try:
            codes.append(str(bench.carry_out()))
        except Killed:
            codes.append("killed")

    for attempt in range(2):
        if attempt:
            bench.cloud.before_send = lambda: None
            if "boot" in later:
                monkeypatch.setattr(clock, "boot", lambda: later["boot"])
            if "seconds" in later:
                monkeypatch.setattr(clock, "seconds", lambda: seconds() + later["seconds"])
            if "day" in later:
                monkeypatch.setattr(Executor, "now", lambda self: now(self) + timedelta(seconds=later["day"]))
        thread = threading.Thread(target=carry_out)
        thread.start()
        if attempt < asked:
            bench.answer_when_open("type-target", "fileflow-prod")
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert codes == ["killed", "0"]
    assert bench.kinds().count("gate-opened") == asked


def test_a_clock_that_aws_refuses_is_waited_for_until_it_is_set(bench: Bench, monkeypatch: Patch) -> None:
    """The time of day has jumped by an hour in the middle of a run: AWS takes no signature of it."""
    skewed = [True]

    def refused() -> None:
        if skewed:
            raise ClockSkew("The clock is off.", operation="ecs:UpdateService", mend="Set the clock.")

    monkeypatch.setattr(test_executor.Reads, "account_now", lambda _: "" if skewed else test_executor.ACCOUNT)
    bench.cloud.answers = [refused]
    bench.begin(REASON, TYPED)
    join = bench.in_background()
    while not bench.record.waiting:
        time.sleep(0.02)
    assert "Set the clock." in bench.record.waiting
    skewed.clear()
    assert join() == 0
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (2, 1)
