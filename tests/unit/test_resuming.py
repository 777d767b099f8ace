"""What a resume is refused for costs the run nothing; and what is given with it counts as if it had been given at the beginning."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config
from infraconsole.engine import executor as executor_module
from infraconsole.engine import launch, locks
from infraconsole.engine.executor import Executor
from infraconsole.engine.gate import FAILURE_GATE, Gate, GateKind
from infraconsole.engine.inbox import Inbox
from infraconsole.engine.journal import Journal
from infraconsole.engine.recorder import Recorder
from infraconsole.engine.resumption import Resumption
from infraconsole.engine.runbook import Step, StepContext
from infraconsole.errors import AwsError, ConfigError, GateRefused, HeldUp, InfraconsoleError, TargetBusy, UnknownName
from infraconsole.redaction import Redactor
from tests.unit import test_executor as base
from tests.unit.test_executor import REASON, RUNBOOK, TYPED, Bench, Changes, Reads
from tests.unit.test_executor import bench as bench

APPROVERS = ("cto", "platform-lead")


@pytest.fixture
def resumed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`launch.resume` with the executor in this process: its exit code."""
    codes: list[int] = []

    def start(journal: Journal, run: str, file: Path | None, *arguments: str) -> None:
        with Journal(bench.folder) as own:
            redactor = Redactor()
            recorder = Recorder(own, run, redactor, patience_seconds=0.5)
            inbox = Inbox(own, run, tick=recorder.tick, seen=Inbox.known(own, run))
            inbox.start()
            try:
                codes.append(
                    Executor(
                        RUNBOOK,
                        bench.settings,
                        recorder,
                        inbox,
                        redactor,
                        Reads(bench.cloud),
                        Changes(bench.cloud),
                        Resumption.from_arguments(arguments),
                    ).carry_out()
                )
            finally:
                inbox.close()

    monkeypatch.setattr(launch, "_start_executor", start)
    monkeypatch.setattr(launch, "find_runbook", lambda name: RUNBOOK)

    def resume(*answers: tuple[str, str]) -> int:
        launch.resume(bench.journal, bench.run, bench.settings, answers=answers)
        return codes[-1]

    return resume


def killed(bench: Bench, *answers: tuple[str, str]) -> None:
    """A run whose executor was killed in its call, which was not carried out."""

    class Killed(BaseException):
        pass

    def end() -> None:
        raise Killed

    bench.cloud.answers = [end]
    bench.begin(*answers)
    with pytest.raises(Killed):
        bench.carry_out()
    bench.cloud.carried_out = 0


def stopped_at_the_gate(bench: Bench, *answers: tuple[str, str]) -> None:
    """A run that was resumed where nobody could be asked, so that its gate is still closed."""
    bench.begin(*answers, interactive=True)
    join = bench.in_background()
    while bench.record.gate is None:
        time.sleep(0.02)
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    assert join() == 4


def with_approvers(bench: Bench) -> None:
    environments = dict(bench.settings.environments)
    environments["prod"] = replace(environments["prod"], rollback_approvers=APPROVERS)
    bench.settings = replace(bench.settings, environments=environments)


# Refused before anything starts


def test_a_read_only_console_does_not_resume_and_the_run_stays_as_it_was(
    bench: Bench, resumed: Callable[..., int]
) -> None:
    killed(bench, REASON, TYPED)
    before = bench.kinds()
    writable, bench.settings = bench.settings, replace(bench.settings, read_only=True)
    for _ in range(2):
        with pytest.raises(GateRefused, match="read-only") as caught:
            resumed()
    assert caught.value.exit_code == 3
    assert "stays as it is" in caught.value.mend
    assert bench.kinds() == before
    assert bench.record.resumable
    bench.settings = writable
    assert resumed() == 0
    assert len(bench.cloud.sent) == 2


def test_a_dry_run_is_resumed_on_a_read_only_console(bench: Bench, resumed: Callable[..., int]) -> None:
    bench.begin(dry_run=True, interactive=True, seconds="0")
    bench.settings = replace(bench.settings, read_only=True)
    assert resumed() == 0
    assert bench.cloud.sent == []


def started(bench: Bench, *arguments: str) -> int:
    """The executor's own `main`, as it may be started otherwise than by `launch`."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        return executor_module.main([str(bench.folder), bench.run, *arguments])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("why", ["read-only", "unreadable", "no such environment", "changed runbook", "busy", "a pipe"])
def test_an_executor_that_is_refused_writes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    killed(bench, REASON, TYPED)
    before = bench.kinds()
    file = tmp_path / "infraconsole.toml"
    good = 'region = "ap-northeast-2"\n[services.fileflow]\n'
    file.write_text(good)
    code, held = 2, None
    monkeypatch.setattr(executor_module, "find_runbook", lambda name: RUNBOOK)
    match why:
        case "read-only":
            file.write_text(f"read_only = true\n{good}")
            code = 3
        case "unreadable":
            file.write_text("region = ")
        case "no such environment":
            file.write_text(f"{good}[environments.qa]\n")
        case "a pipe":
            file.unlink()
            os.mkfifo(file)
        case "changed runbook":
            monkeypatch.setattr(executor_module, "find_runbook", lambda name: replace(RUNBOOK, steps=RUNBOOK.steps[:2]))
            code = 5
        case "busy":
            path = locks.target_lock(bench.folder, bench.record.target.key)
            held = locks.take(path, run="other", owner="lee")
            code = 5
    monkeypatch.setenv(config.CONFIG_VARIABLE, str(file))
    assert started(bench) == code
    assert bench.kinds() == before
    assert bench.record.resumable
    if held:
        held.release()


def test_an_executor_that_was_refused_gives_its_own_code(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real process: its configuration becomes unreadable between the view's look and its own."""
    killed(bench, REASON, TYPED)
    file = tmp_path / "infraconsole.toml"
    file.write_text("region = ")
    with pytest.raises(InfraconsoleError, match="did not start") as caught:
        launch._start_executor(bench.journal, bench.run, file)
    assert caught.value.exit_code == 2
    assert "not TOML" in caught.value.cause
    assert bench.record.resumable


def test_a_missing_setting_does_not_cost_a_run_that_has_begun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, REASON, TYPED)

    def missing(self: base.Change, context: object) -> Sequence[object]:
        raise ConfigError("The bucket of the states is not set.", mend="Set state_bucket.")

    with monkeypatch.context() as patch:
        patch.setattr(base.Change, "gates", missing)
        assert bench.carry_out() == 2
    assert (bench.record.outcome, bench.record.resumable) == ("interrupted", True)
    assert "Set state_bucket." in bench.record.ending
    assert bench.carry_out() == 0


def test_a_run_killed_before_its_first_step_is_not_lost_to_other_credentials(bench: Bench) -> None:
    bench.begin(REASON, TYPED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Executor, "_check_account", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bench.carry_out()
    bench.cloud.account = "9" * 12
    assert bench.carry_out() == 5
    assert bench.record.resumable
    bench.cloud.account = base.ACCOUNT
    assert bench.carry_out() == 0


def test_a_busy_target_costs_a_resumed_run_nothing(bench: Bench, resumed: Callable[..., int]) -> None:
    killed(bench, REASON, TYPED)
    before = bench.kinds()
    held = locks.take(locks.target_lock(bench.folder, bench.record.target.key), run="other", owner="lee")
    assert held
    with pytest.raises(TargetBusy):
        resumed()
    held.release()
    assert bench.kinds() == before


# Answers that are given with it


def test_a_script_goes_on_with_a_run_whose_later_gate_is_closed(bench: Bench, resumed: Callable[..., int]) -> None:
    stopped_at_the_gate(bench, REASON)
    assert resumed(TYPED) == 0
    assert len(bench.cloud.sent) == 1
    started = [event for event in bench.journal.events(bench.run) if event.kind == "run-started"][-1]
    assert started.data["given"] == {"type-target": ["fileflow-prod"]}


@pytest.mark.parametrize("value", ["fileflow-dev", "yes", "FILEFLOW-PROD", "no", ""])
def test_a_wrong_name_opens_nothing(bench: Bench, resumed: Callable[..., int], value: str) -> None:
    stopped_at_the_gate(bench, REASON)
    assert resumed(("type-target", value)) == 3
    assert bench.cloud.sent == []
    assert not bench.record.resumable, "what was refused stays refused"


def test_an_answer_to_a_gate_that_does_not_open_is_ignored(bench: Bench, resumed: Callable[..., int]) -> None:
    stopped_at_the_gate(bench, REASON)
    assert resumed(TYPED, ("confirm", "no")) == 0


def test_an_unknown_gate_is_a_wrong_use_before_anything_starts(bench: Bench, resumed: Callable[..., int]) -> None:
    stopped_at_the_gate(bench, REASON)
    before = bench.kinds()
    with pytest.raises(UnknownName) as caught:
        resumed(TYPED, ("type-targte", "x"))
    assert caught.value.exit_code == 2
    assert bench.kinds() == before


def test_a_gate_that_nobody_answers_leaves_the_resumed_run_to_be_resumed(
    bench: Bench, resumed: Callable[..., int]
) -> None:
    killed(bench, REASON, TYPED)
    bench.cloud.revision = 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_module, "ANSWER_VALID_SECONDS", -1.0)
        patch.setattr(RUNBOOK.steps[1].__class__, "gates", _another_name(base.Change.gates))
        assert resumed() == 3
        assert (bench.record.outcome, bench.record.resumable) == ("interrupted", True)
        assert "resume" in bench.record.ending
        assert "--answer confirm" in bench.record.ending
        assert resumed(("confirm", "yes")) == 0
    assert len(bench.cloud.sent) == 2


@pytest.mark.parametrize(
    ("given", "outcome"), [((), "interrupted"), ((("confirm", "no"),), "refused"), ((("confirm", "oui"),), "refused")]
)
def test_a_script_that_leaves_a_later_gate_closed_goes_on_after_its_first_change(
    bench: Bench,
    resumed: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[tuple[str, str], ...],
    outcome: str,
) -> None:
    later = Gate("confirm", GateKind.CONFIRM, "The second change")
    monkeypatch.setattr(base.Wait, "gates", lambda self, context: [later])
    bench.begin(REASON, TYPED, *given)
    assert bench.carry_out() == 3
    assert (bench.record.outcome, bench.cloud.carried_out) == (outcome, 1)
    if outcome == "refused":
        assert "Done before that: Change." in bench.record.ending
        return
    assert f"infraconsole resume {bench.run} --answer confirm=…" in bench.record.ending
    assert resumed(("confirm", "yes")) == 0
    assert (bench.record.outcome, bench.cloud.carried_out) == ("done", 1)


@pytest.mark.parametrize("after_a_change", [True, False])
def test_what_holds_a_run_up_costs_it_nothing_once_it_has_changed_something(
    bench: Bench, resumed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, after_a_change: bool
) -> None:
    step = base.Wait if after_a_change else base.Look
    act, held = step.act, [HeldUp("The state is locked.", mend="Wait for its holder.")]

    def blocked(self: Step, context: StepContext) -> Mapping[str, Any]:
        if held:
            raise held.pop()
        return act(self, context)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "act", blocked)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == (5 if after_a_change else 1)
    assert bench.record.outcome == ("interrupted" if after_a_change else "failed")
    if after_a_change:
        assert f"Wait for its holder. Then go on: infraconsole resume {bench.run}" in bench.record.ending
        assert resumed() == 0
        assert (bench.record.outcome, len(bench.cloud.sent)) == ("done", 1)


def _another_name(gates: Callable[..., Sequence[Gate]]) -> Callable[..., Sequence[Gate]]:
    """Another gate than the one that was answered beforehand."""
    return lambda self, context: [replace(gates(self, context)[-1], id="confirm", kind=GateKind.CONFIRM)]


def test_what_is_given_now_stands_in_the_place_of_what_was_given_before(
    bench: Bench, resumed: Callable[..., int]
) -> None:
    bench.begin(REASON, ("type-target", "wrong"), interactive=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Executor, "_check_account", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bench.carry_out()
    assert resumed(TYPED) == 0


def test_going_back_voids_what_was_given_when_it_was_resumed(bench: Bench, resumed: Callable[..., int]) -> None:
    stopped_at_the_gate(bench, REASON)
    refused = AwsError("AWS refuses.", operation="ecs:UpdateService", code="ClientException", words="no")
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(refused)]

    def decline() -> None:
        bench.answer_when_open("reason", "no")

    answering = threading.Thread(target=decline)
    answering.start()
    assert resumed(TYPED, (FAILURE_GATE, "look-again")) == 3
    answering.join()
    assert len(bench.cloud.sent) == 1, "the answers of before do not open the gates of what is seen now"


def test_nobody_approves_what_they_answer_for(
    bench: Bench, resumed: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kim began it; the chief officer goes on with it, and is no second person for what they answer themselves."""
    with_approvers(bench)
    stopped_at_the_gate(bench, REASON)
    monkeypatch.setenv("INFRACONSOLE_OPERATOR", "CTO ")
    assert resumed(TYPED, ("approve", "cto:CHG-1"), ("approve", "platform-lead:CHG-2")) == 3
    assert bench.cloud.sent == []


def test_the_rest_of_the_approvals_is_given_with_the_resume(bench: Bench, resumed: Callable[..., int]) -> None:
    with_approvers(bench)
    bench.begin(REASON, TYPED, ("approve", "cto:CHG-1"), interactive=True)
    join = bench.in_background()
    while not bench.record.accepted or bench.record.accepted[-1].gate != "approve":
        time.sleep(0.02)
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    assert join() == 4
    assert resumed(("approve", "platform-lead:CHG-2")) == 0
    assert [known.value for known in bench.record.accepted if known.gate == "approve"] == [
        "cto:CHG-1",
        "platform-lead:CHG-2",
    ]


def test_an_approval_that_was_taken_before_a_crash_is_not_held_against_the_run(bench: Bench) -> None:
    with_approvers(bench)
    bench.begin(REASON, TYPED, ("approve", "cto:CHG-1"), ("approve", "platform-lead:CHG-2"))

    class Killed(BaseException):
        pass

    write = Executor._write

    def killing(self: Executor, kind: object, **data: object) -> object:
        written = write(self, kind, **data)  # type: ignore[arg-type]
        if data.get("value") == "cto:CHG-1":
            raise Killed
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Executor, "_write", killing)
        with pytest.raises(Killed):
            bench.carry_out()
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_the_answers_go_to_the_executor_as_they_are() -> None:
    given = {"reason": ('it\'s "broken" = $(x)\n',), "approve": ("a:1", "b:2")}
    told = Resumption.from_arguments(Resumption(True, given, "kim").as_arguments())
    assert told == Resumption(True, {gate: list(values) for gate, values in given.items()}, "kim")
    assert Resumption.from_arguments([]) == Resumption()
