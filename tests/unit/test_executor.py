"""The engine's promises, on a runbook of two steps and an AWS of one variable, written by hand."""

from __future__ import annotations

import errno
import fcntl
import importlib
import linecache
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infraconsole import config
from infraconsole.aws.access import ChangingAccess
from infraconsole.engine import executor as executor_module
from infraconsole.engine import launch, locks, patience, policy
from infraconsole.engine.catalogue import runbook as find_runbook
from infraconsole.engine.commands import Commands
from infraconsole.engine.event import Kind
from infraconsole.engine.executor import Executor
from infraconsole.engine.export import as_markdown
from infraconsole.engine.gate import FAILURE_GATE, Gate, GateKind, GateSpec
from infraconsole.engine.history import RunRecord, StepState, record_of
from infraconsole.engine.inbox import Inbox
from infraconsole.engine.journal import Journal, Request
from infraconsole.engine.patience import PatientAccess
from infraconsole.engine.policy import Purpose
from infraconsole.engine.recorder import Recorder
from infraconsole.engine.resumption import check_unchanged
from infraconsole.engine.runbook import Input, Offer, Probe, ProbeState, Runbook, Step, StepContext
from infraconsole.errors import (
    AwsError,
    AwsFault,
    CredentialsExpired,
    JournalError,
    NetworkUnreachable,
    OtherTool,
    Throttled,
    UnexpectedAnswer,
    UsageError,
)
from infraconsole.redaction import Redactor

ACCOUNT = "123456789012"


class Cloud:
    """What AWS knows and does: `sent` are the changing calls that reached it; `answers` how it answers them, in turn."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.carried_out = 0
        self.answers: list[Callable[[], None]] = []
        self.account = ACCOUNT
        self.expired = False
        self.unreachable = False
        self.revision = 8
        """What a colleague may change."""
        self.before_send: Callable[[], None] = lambda: None

    def change(self, parameters: Mapping[str, Any]) -> None:
        self.before_send()
        self.sent.append(parameters)
        answer = self.answers.pop(0) if self.answers else lambda: None
        try:
            answer()
        except AwsFault as error:
            if "lost" in error.title:
                self.carried_out += 1
            raise
        self.carried_out += 1


class Reads(PatientAccess):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(region="ap-northeast-2")
        self.cloud = cloud

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        return self._patiently(self._identity)

    def _identity(self) -> dict[str, Any]:
        if self.cloud.unreachable:
            raise NetworkUnreachable(
                "AWS cannot be reached.", operation="sts:GetCallerIdentity", mend="Mend the network."
            )
        if self.cloud.expired:
            raise CredentialsExpired(
                "The credentials expired.", operation="sts:GetCallerIdentity", mend="aws sso login"
            )
        return {"Account": self.cloud.account, "Arn": "arn:aws:sts::1:assumed-role/oncall/kim", "UserId": "x"}

    def account_now(self) -> str:
        return "" if self.cloud.expired else self.cloud.account


class Changes(ChangingAccess):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(region="ap-northeast-2")
        self.cloud = cloud

    def change(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        self.cloud.change(parameters)
        return {}


def cloud_of(context: StepContext) -> Cloud:
    assert isinstance(context.reads, Reads)
    return context.reads.cloud


class Look(Step):
    id = "look"
    title = "Look"
    why = "To know."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        context.learn_secret("hunter2-secret")
        context.note("The password is hunter2-secret.")
        context.output("line 1", "line 2")
        return {"seen": context.inputs.get("reason", ""), "revision": cloud_of(context).revision}


class Change(Step):
    id = "change"
    title = "Change"
    why = "The one change."
    changes = True
    calls = ("ecs:UpdateService",)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        settings = context.config.environment(context.target.environment)
        return policy.gates(
            policy.policy_for(Purpose.RECOVERY, settings),
            context.target,
            title="Change it",
            changes=[f"from {context.result('look')['revision']}"],
            reason=context.inputs.get("reason", ""),
            now=context.now(),
        )

    def probe(self, context: StepContext) -> Probe:
        cloud = cloud_of(context)
        if cloud.unreachable:
            context.reads.call("ecs", "DescribeServices")
        if cloud.carried_out < 0:
            return Probe(ProbeState.UNKNOWN, "somebody came after")
        if cloud.carried_out:
            return Probe(ProbeState.DONE, "it is there", {"changed": True})
        if cloud.revision != context.result("look")["revision"]:
            return Probe(ProbeState.OVERTAKEN, f"It is on {cloud.revision} now.", back_to="look")
        return Probe(ProbeState.NOT_DONE, "it is not there")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        context.change("ecs", context.inputs.get("operation", "UpdateService"), service="s")
        return {"changed": True}

    def offers(self) -> Sequence[Offer]:
        return (Offer("look-again", "Look again", "look"),)


class Wait(Step):
    id = "wait"
    title = "Wait"
    why = "For as long as it takes."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        context.wait(float(context.inputs.get("seconds", "0")))
        return {}


RUNBOOK = Runbook(
    "test",
    "Test",
    "A test.",
    Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "", required=True),
        Input("environment", "environment", "", required=True),
        Input("reason", "text", ""),
        Input("operation", "text", ""),
        Input("seconds", "text", ""),
    ),
    gates=(*policy.GATES, GateSpec(FAILURE_GATE, GateKind.CHOOSE)),
    steps=(Look(), Change(), Wait()),
)


class Bench:
    """One run on a journal of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud()
        self.journal = Journal(folder)
        self.settings = config.parse(
            {"region": "ap-northeast-2", "services": {"fileflow": {}}, "engine": {"settle_seconds": 0.3}}, None
        )
        self.run = "run234"

    def begin(
        self,
        *answers: tuple[str, str],
        environment: str = "prod",
        interactive: bool = False,
        dry_run: bool = False,
        **inputs: str,
    ) -> None:
        self.journal.append(
            self.run,
            Kind.RUN_CREATED,
            data={
                "runbook": RUNBOOK.name,
                "title": "Test: fileflow-prod",
                "target": {
                    "service": "fileflow",
                    "environment": environment,
                    "region": "ap-northeast-2",
                    "account": ACCOUNT,
                    "name": f"fileflow-{environment}",
                },
                "inputs": RUNBOOK.checked_inputs({"service": "fileflow", "environment": environment, **inputs}),
                "given": {gate: list(values) for gate, values in RUNBOOK.checked_answers(answers).items()},
                "operator": "kim",
                "dry_run": dry_run,
                "interactive": interactive,
                "steps": [
                    {"id": step.id, "title": step.title, "fingerprint": step.fingerprint()} for step in RUNBOOK.steps
                ],
            },
        )

    def carry_out(self) -> int:
        with Journal(self.folder) as journal:  # a connection of its own, as an executor in its own process has
            return self._carry_out(journal)

    def _carry_out(self, journal: Journal) -> int:
        redactor = Redactor()
        recorder = Recorder(journal, self.run, redactor, patience_seconds=0.5)
        inbox = Inbox(journal, self.run, tick=recorder.tick, seen=Inbox.known(journal, self.run))
        inbox.start()
        try:
            return Executor(
                RUNBOOK, self.settings, recorder, inbox, redactor, Reads(self.cloud), Changes(self.cloud)
            ).carry_out()
        finally:
            inbox.close()

    def in_background(self) -> Callable[[], int]:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(self.carry_out()), daemon=True)
        thread.start()

        def join() -> int:
            thread.join(timeout=20)
            assert not thread.is_alive()
            return codes[0]

        return join

    def answer_when_open(self, gate: str, value: str) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            opened = self.record.gate
            if opened and opened.gate.id == gate:
                self.journal.ask(self.run, "answer", "kim", {"opening": opened.opening, "gate": gate, "value": value})
                return
            time.sleep(0.02)
        raise AssertionError(f"gate {gate} did not open: {self.record}")

    @property
    def record(self) -> RunRecord:
        return record_of(self.run, self.journal.events(self.run))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.journal.events(self.run)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(executor_module, "_CREDENTIALS_POLL_SECONDS", 0.05)
    monkeypatch.setattr(executor_module, "BACK_OFF_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(patience, "BACK_OFF_SECONDS", (0.01, 0.01))
    made = Bench(tmp_path)
    yield made
    assert made.journal.verify().problems == ()
    made.journal.close()


REASON = ("reason", "prod answers 503")
TYPED = ("type-target", "fileflow-prod")


def lost() -> None:
    raise AwsFault("The answer was lost.", operation="ecs:UpdateService", code="500")


def not_reached() -> None:
    raise AwsFault("It never arrived.", operation="ecs:UpdateService", code="500")


def throttled() -> None:
    raise Throttled("Throttled.", operation="ecs:UpdateService", code="ThrottlingException")


def test_an_answered_run_is_done_with_one_call(bench: Bench) -> None:
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1
    assert bench.record.outcome == "done"
    assert [step.state for step in bench.record.steps] == [StepState.DONE] * 3
    assert bench.kinds()[-1] == "run-finished"


def test_the_intent_is_on_the_disk_before_the_call_is_sent(bench: Bench) -> None:
    seen: list[str] = []

    def look() -> None:
        with Journal(bench.folder) as other:
            seen.extend(event.kind for event in other.events(bench.run))

    bench.cloud.before_send = look
    bench.begin(REASON, TYPED)
    bench.carry_out()
    assert seen[-1] == "call-intended"


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [REASON],
        [TYPED],
        [REASON, ("type-target", "yes")],
        [REASON, ("type-target", "fileflow-dev")],
        [REASON, ("type-target", "no")],
        [("reason", "short"), TYPED],
        [REASON, ("confirm", "yes")],
    ],
)
def test_without_the_right_answers_nothing_is_sent(bench: Bench, answers: list[tuple[str, str]]) -> None:
    bench.begin(*answers)
    assert bench.carry_out() == 3
    assert bench.cloud.sent == []
    assert bench.record.outcome == "refused"


def test_outside_prod_yes_is_enough(bench: Bench) -> None:
    bench.begin(("confirm", "yes"), environment="dev")
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_a_gate_that_is_needed_once_another_was_passed_opens_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a deploy window closes while somebody reads."""
    before = Change.gates

    def gates(self: Change, context: StepContext) -> Sequence[Gate]:
        opened = before(self, context)
        late = Gate("reason", GateKind.BREAK_GLASS, "The window has closed")
        return (*opened, late) if context.answer("confirm") else opened

    monkeypatch.setattr(Change, "gates", gates)
    bench.begin(("confirm", "yes"), environment="dev")
    assert bench.carry_out() == 3
    assert bench.cloud.sent == []


def test_a_reason_given_as_input_is_not_asked_for(bench: Bench) -> None:
    bench.begin(TYPED, reason="prod answers 503")
    assert bench.carry_out() == 0
    assert bench.record.inputs["reason"] == "prod answers 503"


def test_second_persons_are_asked_for_where_configured(bench: Bench) -> None:
    environments = dict(bench.settings.environments)
    environments["prod"] = replace(environments["prod"], rollback_approvers=("cto", "platform-lead"))
    bench.settings = replace(bench.settings, environments=environments)
    bench.begin(REASON, TYPED, ("approve", "cto:CHG-1"), ("approve", "cto:CHG-2"))
    assert bench.carry_out() == 3
    assert bench.cloud.sent == []
    bench.run = "run235"
    bench.begin(REASON, TYPED, ("approve", "cto:CHG-1"), ("approve", "platform-lead:CHG-2"))
    assert bench.carry_out() == 0
    assert [known.value for known in bench.record.accepted if known.gate == "approve"] == [
        "cto:CHG-1",
        "platform-lead:CHG-2",
    ]


def test_a_dry_run_sends_nothing_and_says_what_it_would_ask(bench: Bench) -> None:
    bench.begin(REASON, TYPED, dry_run=True)
    assert bench.carry_out() == 0
    assert bench.cloud.sent == []
    assert bench.record.step("change").state is StepState.SKIPPED
    notes = [event.data["text"] for event in bench.journal.events(bench.run) if event.kind == "note"]
    assert any("type-target" in note for note in notes)


def test_a_read_only_console_sends_nothing(bench: Bench) -> None:
    bench.settings = replace(bench.settings, read_only=True)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 3
    assert bench.cloud.sent == []


def test_a_step_sends_only_the_calls_it_declares(bench: Bench) -> None:
    bench.begin(REASON, TYPED, operation="DeleteService")
    assert bench.carry_out() == 3
    assert bench.cloud.sent == []


def test_an_answer_that_was_lost_is_not_sent_for_again(bench: Bench) -> None:
    bench.cloud.answers = [lost]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_a_call_that_did_not_arrive_is_sent_again_after_the_settling_time(bench: Bench) -> None:
    bench.cloud.answers = [not_reached]
    bench.begin(REASON, TYPED)
    began = time.monotonic()
    assert bench.carry_out() == 0
    assert time.monotonic() - began >= bench.settings.engine.settle_seconds
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (2, 1)


def test_a_throttled_call_is_sent_again_after_a_pause(bench: Bench) -> None:
    bench.cloud.answers = [throttled, throttled]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert bench.cloud.carried_out == 1


def test_what_cannot_be_told_fails_and_is_not_sent_again(bench: Bench) -> None:
    def overtaken() -> None:
        bench.cloud.carried_out = -1
        raise AwsFault("Gone.", operation="ecs:UpdateService", code="500")

    bench.cloud.answers = [overtaken]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert len(bench.cloud.sent) == 1
    assert bench.record.outcome == "failed"


@pytest.mark.parametrize("carried_out", [0, 1])
def test_a_run_killed_inside_the_call_goes_on_from_what_aws_says(bench: Bench, carried_out: int) -> None:
    class Killed(BaseException):
        pass

    def killed() -> None:
        bench.cloud.carried_out = carried_out
        raise Killed

    bench.cloud.answers = [killed]
    bench.begin(REASON, TYPED)
    with pytest.raises(Killed):
        bench.carry_out()
    assert bench.kinds()[-1] == "call-intended"
    bench.cloud.carried_out = carried_out
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 2 - carried_out
    assert bench.kinds().count("run-started") == 2


def test_finished_steps_are_not_repeated_on_resume(bench: Bench) -> None:
    bench.begin(REASON, TYPED, seconds="30")
    join = bench.in_background()
    while bench.record.current != "wait":
        time.sleep(0.02)
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    assert join() == 4
    assert bench.record.outcome == "interrupted"
    assert bench.record.resumable
    join = bench.in_background()
    while bench.kinds().count("run-started") < 2:
        time.sleep(0.02)
    time.sleep(0.3)
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    assert join() == 4
    started = [event.step for event in bench.journal.events(bench.run) if event.kind == "step-started"]
    assert started == ["look", "change", "wait", "wait"]
    assert len(bench.cloud.sent) == 1


def test_a_person_answers_and_a_wrong_answer_leaves_the_gate_open(bench: Bench) -> None:
    bench.begin(interactive=True)
    join = bench.in_background()
    bench.answer_when_open("reason", "prod answers 503")
    bench.answer_when_open("type-target", "fileflow-dev")
    while not (bench.record.gate and bench.record.gate.rejected):
        time.sleep(0.02)
    assert bench.cloud.sent == []
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert len(bench.cloud.sent) == 1


def test_an_answer_to_an_earlier_opening_opens_nothing(bench: Bench) -> None:
    bench.begin(REASON, interactive=True)
    bench.journal.ask(bench.run, "answer", "kim", {"opening": 1, "gate": "type-target", "value": "fileflow-prod"})
    join = bench.in_background()
    while (now := bench.record.gate) is None or now.gate.id != "type-target":
        time.sleep(0.02)
    opening = now.opening
    bench.journal.ask(
        bench.run, "answer", "kim", {"opening": opening - 1, "gate": "type-target", "value": "fileflow-prod"}
    )
    time.sleep(0.4)
    assert bench.cloud.sent == []
    bench.answer_when_open("type-target", "no")
    assert join() == 3


def test_a_failed_step_offers_a_way_on(bench: Bench) -> None:
    def refused() -> None:
        raise AwsError("AWS refuses.", operation="ecs:UpdateService", code="ClientException", words="no")

    bench.cloud.answers = [refused, refused]
    bench.begin(REASON, TYPED, interactive=True)
    join = bench.in_background()
    bench.answer_when_open(FAILURE_GATE, "retry")
    while bench.kinds().count("step-failed") < 2:
        time.sleep(0.02)
    bench.answer_when_open(FAILURE_GATE, "look-again")
    bench.answer_when_open("reason", "it was right to look again")  # what was given was given for what was seen before
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    started = [event.step for event in bench.journal.events(bench.run) if event.kind == "step-started"]
    assert started == ["look", "change", "change", "look", "change", "wait"]


def test_what_only_another_tool_can_do_ends_the_run_before_any_gate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OtherTool("CodeDeploy deploys it.", mend="Use aws deploy.")

    monkeypatch.setattr(Look, "act", refused)
    bench.begin(interactive=True)
    assert bench.carry_out() == 2
    assert "gate-opened" not in bench.kinds()
    assert "Use aws deploy." in bench.record.ending


def test_without_a_person_a_failed_step_ends_the_run(bench: Bench) -> None:
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(AwsError("AWS refuses.", operation="ecs:UpdateService"))]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert bench.record.outcome == "failed"


def test_expired_credentials_are_waited_for(bench: Bench) -> None:
    bench.cloud.expired = True
    bench.begin(REASON, TYPED)
    join = bench.in_background()
    while not bench.record.waiting:
        time.sleep(0.02)
    assert "aws sso login" in bench.record.waiting
    bench.cloud.expired = False
    assert join() == 0
    assert len(bench.cloud.sent) == 1


def test_credentials_of_another_account_change_nothing(bench: Bench) -> None:
    bench.cloud.account = "999999999999"
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 5
    assert bench.cloud.sent == []


def begun(bench: Bench, fault: Callable[[], None]) -> int:
    """A run whose call was lost on the way, or its answer, and which then meets `fault`."""

    def cut() -> None:
        fault()
        lost()

    bench.cloud.answers = [cut]
    bench.begin(REASON, TYPED)
    return bench.carry_out()


def test_a_run_whose_answer_is_lost_with_the_network_can_be_resumed_and_is_probed(bench: Bench) -> None:
    assert begun(bench, lambda: setattr(bench.cloud, "unreachable", True)) == 5
    assert (bench.record.outcome, bench.record.exit_code, bench.record.resumable) == ("interrupted", 5, True)
    assert f"infraconsole resume {bench.run}" in bench.record.ending
    assert "Mend the network." in bench.record.ending
    bench.cloud.unreachable = False
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


@pytest.mark.parametrize(("name", "value", "mended"), [("unreachable", True, False), ("account", "9" * 12, ACCOUNT)])
def test_resuming_on_a_bad_network_or_with_other_credentials_loses_nothing(
    bench: Bench, name: str, value: object, mended: object
) -> None:
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(KeyboardInterrupt)]
    bench.begin(REASON, TYPED)
    with pytest.raises(KeyboardInterrupt):
        bench.carry_out()
    setattr(bench.cloud, name, value)
    for _ in range(2):
        assert bench.carry_out() == 5
        assert (bench.record.outcome, bench.record.resumable) == ("interrupted", True)
    setattr(bench.cloud, name, mended)
    assert bench.carry_out() == 0


def test_what_changed_while_the_gate_was_open_is_not_overwritten(bench: Bench) -> None:
    bench.begin(interactive=True)
    join = bench.in_background()
    bench.answer_when_open("reason", "prod answers 503")
    while (now := bench.record.gate) is None or now.gate.id != "type-target":
        time.sleep(0.02)
    bench.cloud.revision = 7
    bench.answer_when_open("type-target", "fileflow-prod")
    bench.answer_when_open("reason", "prod answers 503")
    assert bench.cloud.sent == []
    shown = bench.record.gate
    assert shown
    bench.answer_when_open("type-target", "fileflow-prod")
    assert join() == 0
    assert len(bench.cloud.sent) == 1
    opened = [event.data["gate"]["changes"] for event in bench.journal.events(bench.run) if event.kind == "gate-opened"]
    assert opened == [["from 8"], ["from 8"], ["from 7"], ["from 7"]]
    assert any("It is on 7 now." in warning for warning in bench.record.warnings)


def test_answers_given_beforehand_do_not_open_the_gate_of_another_situation(bench: Bench) -> None:
    bench.begin(REASON, TYPED, interactive=True)
    probe, seen = Change.probe, []

    def overtaken(self: Change, context: StepContext) -> Probe:
        seen.append(1)
        if len(seen) == 2:  # behind the gates
            bench.cloud.revision = 7
        return probe(self, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Change, "probe", overtaken)
        join = bench.in_background()
        while len(seen) < 2:  # the first opening is answered from beforehand
            time.sleep(0.02)
        bench.answer_when_open("reason", "it is on 7 now, and bad")
        assert bench.cloud.sent == []
        bench.answer_when_open("type-target", "no")
        assert join() == 3
    assert bench.cloud.sent == []


@pytest.mark.parametrize("given", [(TYPED,), (REASON, TYPED)], ids=["a later gate", "all gates"])
def test_answers_given_for_gates_that_had_not_opened_do_not_open_them_in_another_situation(
    bench: Bench, given: tuple[tuple[str, str], ...]
) -> None:
    bench.begin(*given, interactive=True, reason="" if REASON in given else "prod answers 503")
    probe, seen = Change.probe, []

    def overtaken(self: Change, context: StepContext) -> Probe:
        seen.append(1)
        if len(seen) == 1:  # before any gate of the change
            bench.cloud.revision = 7
        return probe(self, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Change, "probe", overtaken)
        join = bench.in_background()
        if REASON in given:
            bench.answer_when_open("reason", "it is on 7 now, and bad")
        bench.answer_when_open("type-target", "no")
        assert join() == 3
    assert bench.cloud.sent == []


def test_what_is_given_after_the_run_went_back_counts(bench: Bench) -> None:
    bench.begin(TYPED, (FAILURE_GATE, "stop"), interactive=True)
    bench.journal.append(bench.run, Kind.REWOUND, data={"to": "look", "reason": "It is on 7.", "overtaken": True})
    assert bench.record.given == {FAILURE_GATE: ("stop",)}
    started = {"given": {"type-target": ["fileflow-prod"]}, "by": "ana", "interactive": False}
    bench.journal.append(bench.run, Kind.RUN_STARTED, data=started)
    assert bench.record.given["type-target"] == ("fileflow-prod",)


def test_a_person_who_goes_back_keeps_the_answers_to_gates_that_had_not_opened(bench: Bench) -> None:
    bench.begin(TYPED, interactive=True)
    bench.journal.append(bench.run, Kind.REWOUND, data={"to": "look", "reason": "Look again"})
    assert bench.record.given == {"type-target": ("fileflow-prod",)}


def test_a_script_whose_target_was_changed_meanwhile_fails_and_sends_nothing(bench: Bench) -> None:
    bench.begin(REASON, TYPED)
    probe, seen = Change.probe, []

    def overtaken(self: Change, context: StepContext) -> Probe:
        seen.append(1)
        bench.cloud.revision = 8 if len(seen) == 1 else 7
        return probe(self, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Change, "probe", overtaken)
        assert bench.carry_out() == 1
    assert bench.cloud.sent == []
    assert (bench.record.outcome, bench.record.changed) == ("failed", False)
    assert "It is on 7 now." in bench.record.ending


def test_what_was_changed_while_credentials_were_waited_for_is_not_overwritten(bench: Bench) -> None:
    def expired() -> None:
        bench.cloud.expired = True
        raise CredentialsExpired("The credentials expired.", operation="ecs:UpdateService")

    bench.cloud.answers = [expired]
    bench.begin(REASON, TYPED)
    join = bench.in_background()
    while not bench.record.waiting:
        time.sleep(0.02)
    bench.cloud.revision, bench.cloud.expired = 7, False
    assert join() == 1
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (1, 0)


@pytest.mark.parametrize("given", [True, False])
def test_declining_to_go_on_after_a_failure_is_to_stop(bench: Bench, given: bool) -> None:
    refused = AwsError("AWS refuses.", operation="ecs:UpdateService", code="ClientException", words="no")
    bench.cloud.answers = [lambda: (_ for _ in ()).throw(refused)]
    bench.begin(REASON, TYPED, *([(FAILURE_GATE, "no")] if given else []), interactive=not given)
    join = bench.in_background()
    if not given:
        bench.answer_when_open(FAILURE_GATE, "no")
    assert join() == 1
    assert bench.record.outcome == "failed"
    assert "gate-refused" not in bench.kinds()


def test_renewed_credentials_of_another_account_are_not_used(bench: Bench) -> None:
    def expired() -> None:
        bench.cloud.expired = True
        raise CredentialsExpired("The credentials expired.", operation="ecs:UpdateService", mend="aws sso login")

    bench.cloud.answers = [expired]
    bench.begin(REASON, TYPED)
    join = bench.in_background()
    while not bench.record.waiting:
        time.sleep(0.02)
    bench.cloud.account, bench.cloud.expired = "999999999999", False
    while "999999999999" not in bench.record.waiting:
        time.sleep(0.02)
    time.sleep(0.3)
    assert (len(bench.cloud.sent), bench.kinds().count("waiting-over")) == (1, 0)
    bench.cloud.account = ACCOUNT
    assert join() == 0
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (2, 1)


def test_a_refused_run_has_no_step_that_runs_for_ever(bench: Bench) -> None:
    bench.begin(REASON)
    assert bench.carry_out() == 3
    step = bench.record.step("change")
    assert (step.state, step.ended_at) == (StepState.STOPPED, bench.record.ended_at)
    written = as_markdown(bench.record, bench.journal.events(bench.run))
    assert "| Change | stopped |" in written
    assert "running" not in written


def test_a_dry_run_shows_every_change(bench: Bench) -> None:
    class Second(Change):
        id = "second"

    steps = (Look(), Change(), Wait(), Second(), Wait())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "RUNBOOK", replace(RUNBOOK, steps=steps[:4]))
        bench.begin(REASON, TYPED, dry_run=True, seconds="30")
        assert bench.carry_out() == 0
    assert [step.state.value for step in bench.record.steps] == ["done", "skipped", "pending", "skipped"]
    assert bench.cloud.sent == []


def test_an_interrupt_asked_for_as_soon_as_the_lock_is_held_is_heard(bench: Bench) -> None:
    bench.begin()
    bench.journal.ask(bench.run, "interrupt", "kim", {"level": 1})
    seen = Inbox.known(bench.journal, bench.run)
    bench.journal.ask(bench.run, "interrupt", "lee", {"level": 1})
    inbox = Inbox(bench.journal, bench.run, tick=lambda: None, seen=seen)
    inbox.start()
    deadline = time.monotonic() + 5
    while not inbox.interrupts and time.monotonic() < deadline:
        time.sleep(0.02)
    inbox.close()
    assert inbox.interrupts == ["lee"], "kim's was asked of an earlier executor"


@pytest.mark.parametrize("slow", [False, True])
def test_an_interrupt_that_cannot_be_written_down_is_one_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("infraconsole.engine.inbox._RECORD_SECONDS", 0.1)
    monkeypatch.setattr("infraconsole.engine.inbox.os._exit", ended.append)
    release = threading.Event()

    def heard(level: int, request: Request) -> None:
        if slow:
            release.wait(10)
        raise JournalError("The journal cannot be written.", cause="database or disk is full")

    def full() -> None:
        raise JournalError("The journal cannot be written.", cause="database or disk is full")

    inbox = Inbox(bench.journal, bench.run, full, heard)
    inbox.start()
    with Journal(bench.folder) as view:
        view.ask(bench.run, "interrupt", "kim", {"level": 1})
        view.ask(bench.run, "interrupt", "kim", {"level": 2})
    deadline = time.monotonic() + 5
    while not ended and time.monotonic() < deadline:
        time.sleep(0.02)
    release.set()
    inbox.close()
    assert inbox.interrupts[0] == "kim"
    assert ended == [4]


def test_asking_who_holds_a_lock_does_not_keep_others_from_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.touch()
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    threading.Timer(0.3, os.close, (handle,)).start()
    taken = locks.take(path, run="r", owner="kim")
    assert taken
    assert locks.take(path, run="s", owner="lee") is None
    taken.release()


@pytest.mark.parametrize("reason", [" ", "x", "short"])
def test_a_reason_that_is_none_is_no_input(reason: str) -> None:
    with pytest.raises(UsageError, match="is no reason"):
        find_runbook("ecs-rollback").checked_inputs({"service": "s", "environment": "e", "reason": reason})


def test_the_target_is_not_contradicted_by_an_input(bench: Bench) -> None:
    for name in ("service", "environment"):
        with pytest.raises(UsageError, match="an input says 'crawler'"):
            launch.begin(
                bench.journal,
                RUNBOOK,
                bench.settings,
                service="fileflow",
                environment="prod",
                inputs={name: "crawler"},
                interactive=False,
                operator="kim",
            )
    assert bench.journal.run_ids() == []


def test_a_run_is_not_resumed_where_the_configuration_does_not_know_its_target(bench: Bench) -> None:
    bench.begin(environment="prod")
    other = config.parse({"services": {"fileflow": {}}, "environments": {"dev": {}}}, None)
    with pytest.raises(UsageError, match="no environment 'prod'"):
        launch.resume(bench.journal, bench.run, other)


def test_a_later_run_that_changed_nothing_is_in_nobodys_way(bench: Bench) -> None:
    bench.begin()
    earlier = bench.record
    bench.run = "run235"
    bench.begin(REASON)
    assert bench.carry_out() == 3
    assert launch.later_run(bench.journal, earlier) == ""
    bench.run = "run236"
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert launch.later_run(bench.journal, earlier) == "run236"


@pytest.mark.parametrize("changed", ["steps.py", "helpers.py", "further.py", ""])
def test_the_code_that_a_step_leans_on_is_in_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    prints = []
    for number in range(2):
        name = f"leaning_{changed.removesuffix('.py')}{number}"
        folder = tmp_path / name
        folder.mkdir()
        look = "from tests.unit.test_executor import Look\n"
        written = {
            "__init__.py": "",
            "steps.py": f"{look}from {name} import helpers\n\nclass Step(Look):\n    id = 'look'\n",
            "helpers.py": f"from {name}.further import help\n",
            "further.py": "def help():\n    return 1\n",
            "stranger.py": f"x = {number}\n",
        }
        for file, source in written.items():
            more = f"y = {number}\n" if file == changed else ""
            (folder / file).write_text(source + more)
        importlib.import_module(f"{name}.stranger")
        prints.append(importlib.import_module(f"{name}.steps").Step().fingerprint())
        for file in written:  # their own names are all that differs otherwise
            source = (folder / file).read_text()
            (folder / file).write_text(source.replace(name, "leaning"))
        linecache.checkcache()
        prints[-1] = importlib.import_module(f"{name}.steps").Step().fingerprint()
    assert (prints[0] == prints[1]) is (not changed)


def test_secrets_never_reach_the_journal(bench: Bench) -> None:
    bench.begin(REASON, TYPED)
    bench.carry_out()
    raw = b"".join(path.read_bytes() for path in bench.folder.iterdir())
    assert b"hunter2-secret" not in raw


def test_an_intent_that_cannot_be_written_is_not_acted_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Journal.append

    def full(self: Journal, run: str, kind: Kind, *rest: Any, **more: Any) -> Any:
        if kind is Kind.CALL_INTENDED:
            raise JournalError("The journal cannot be written.", cause="database or disk is full")
        return append(self, run, kind, *rest, **more)

    bench.begin(REASON, TYPED)
    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(JournalError):
        bench.carry_out()
    assert bench.cloud.sent == []
    monkeypatch.setattr(Journal, "append", append)
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1


def test_a_disk_that_is_full_when_the_answer_comes_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    append = Journal.append
    failures = [1]

    def full_once(self: Journal, run: str, kind: Kind, *rest: Any, **more: Any) -> Any:
        if kind is Kind.CALL_DONE and failures:
            failures.pop()
            raise JournalError("The journal cannot be written.", cause="database or disk is full")
        return append(self, run, kind, *rest, **more)

    monkeypatch.setattr("infraconsole.engine.recorder._RETRY_SECONDS", 0.05)
    monkeypatch.setattr(Journal, "append", full_once)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert len(bench.cloud.sent) == 1
    assert not failures


def test_a_run_is_not_resumed_on_other_steps_than_it_began_with(bench: Bench) -> None:
    bench.begin(REASON, TYPED)
    changed = replace(RUNBOOK, steps=(Look(), Wait()))
    with pytest.raises(Exception, match="change is gone"):
        check_unchanged(bench.record, changed)
    check_unchanged(bench.record, RUNBOOK)


def test_output_floods_are_kept_whole(bench: Bench) -> None:
    redactor = Redactor()
    bench.begin()
    recorder = Recorder(bench.journal, bench.run, redactor)
    for number in range(20_000):
        recorder.line("look", f"line {number}")
    recorder.flush()
    lines = [
        line for event in bench.journal.events(bench.run) if event.kind == "output" for line in event.data["lines"]
    ]
    assert lines == [f"line {number}" for number in range(20_000)]


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_change_whose_answer_is_not_understood_is_looked_up(bench: Bench, carried_out: bool) -> None:
    def strange() -> None:
        bench.cloud.carried_out += carried_out
        raise UnexpectedAnswer("AWS answered something else than documented.", operation="ecs:UpdateService")

    bench.cloud.answers = [strange]
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 0
    assert (len(bench.cloud.sent), bench.cloud.carried_out) == (2 - carried_out, 1)


def test_a_disk_that_is_full_in_a_step_is_told_as_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(step: Look, context: StepContext) -> Mapping[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/plan.json")

    monkeypatch.setattr(Look, "act", full)
    bench.begin(REASON, TYPED)
    assert bench.carry_out() == 1
    assert "/var/plan.json: No space left on device." in bench.record.ending
    assert "Free space" in bench.record.ending


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (("plan", "-lock-timeout=5s"), True),
        (("plan", "-lock=false"), False),
        (("init",), False),
        (("state", "pull"), False),
        (("state", "push", "x"), True),
        (("apply", "x"), True),
        (("something-new",), True),
    ],
)
def test_a_dry_run_starts_no_terraform_command_that_takes_a_lock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], refused: bool
) -> None:
    started: list[Sequence[str]] = []

    def read(self: Commands, terraform: object, asked: Sequence[str], *_: object) -> _Ended:
        started.append(asked)
        return _Ended()

    monkeypatch.setattr(Commands, "read", read)
    terraform = SimpleNamespace(folder=bench.folder, environ={})
    monkeypatch.setattr(
        Look, "act", lambda step, context: context.terraform(terraform, arguments, "x") and {"revision": 8}
    )
    bench.begin(dry_run=True)
    assert bench.carry_out() == (3 if refused else 0)
    assert started == ([] if refused else [arguments])


class _Ended:
    code = 0
