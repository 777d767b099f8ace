"""What newer Terraforms put into plans and streams besides changes: actions, deferred changes, ephemeral and write-only values, and
what nobody here knows yet. None of it is dropped: not in totals, review, gate, apply rows or the record that stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.engine.runbook import StepContext
from infraconsole.redaction import MASK, Redactor
from infraconsole.runbooks import plan_reading, terraform_listener, terraform_steps
from infraconsole.runbooks.applied import Applied
from infraconsole.terraform import events, plan_record
from infraconsole.terraform.claims import Claims
from infraconsole.terraform.plan import Kind, read
from tests.unit.test_plan_review import entry, found, made
from tests.unit.test_read_plan import Spoken, gates
from tests.unit.test_read_plan import read as read_step

QUEUE = entry("aws_sqs_queue.jobs", ["update"], {"delay_seconds": 0}, {"delay_seconds": 5})
STOP: dict[str, Any] = {
    "address": "action.aws_ec2_stop_instance.old_worker",
    "type": "aws_ec2_stop_instance",
    "name": "old_worker",
    "config_values": {"instance_id": "i-0123", "force": True, "key": "sesame-sesame"},
    "config_sensitive": {"key": True},
    "config_unknown": {},
    "lifecycle_action_trigger": {
        "triggering_resource_address": "aws_sqs_queue.jobs",
        "action_trigger_event": "AfterUpdate",
    },
}
CALL: dict[str, Any] = {
    "address": 'module.a.action.aws_lambda_invoke.warm["x"]',
    "type": "aws_lambda_invoke",
    "config_unknown": {"payload": True},
    "invoke_action_trigger": {},
}
DEFERRED = {"reason": "instance_count_unknown", "resource_change": entry("aws_sqs_queue.later", ["create"], None, {})}
DEFERRED_ACTION = {"reason": "deferred_prereq", "action_invocation": {**STOP, "address": "action.x.put_off"}}
MORE: dict[str, Any] = {
    "action_invocations": [STOP, CALL],
    "deferred_changes": [DEFERRED],
    "deferred_action_invocations": [DEFERRED_ACTION],
    "something_new": [{"a": 1}],
    "empty_new": [],
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (plan_reading, terraform_steps):
        monkeypatch.setattr(module, "root_of", lambda context: context.root)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def test_the_totals_count_all_of_it() -> None:
    totals = made(QUEUE, **MORE).totals()
    assert (totals.actions, totals.deferred, totals.unknown_parts) == (2, 2, 1)
    assert totals.words() == (
        "1 to update, 2 actions to invoke, 2 put off to a later plan, 1 of a kind that is not known here"
    )
    assert made(action_invocations=[CALL]).totals().changing == 1, "an action alone is something to do"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("action_invocations", {"by": "name"}),
        ("action_invocations", ["action.x.y"]),
        ("deferred_changes", [{"reason": "new", "change": {}}]),
        ("deferred_changes", [DEFERRED, {"resource_change": ["x"]}]),
        ("deferred_action_invocations", [{"reason": "new"}]),
        ("deferred_action_invocations", [None]),
        ("resource_drift", {"aws_x.y": {}}),
        ("output_changes", [{"name": "a"}]),
        ("output_changes", {"a": "b"}),
        ("checks", {"a": 1}),
        ("prior_state", ["x"]),
        ("configuration", "x"),
        ("applyable", "yes"),
        ("timestamp", 7),
    ],
)
def test_a_known_part_of_another_shape_is_not_known(part: str, value: Any) -> None:
    plan = made(QUEUE, **{part: value})
    assert plan.unknown_parts == (part,)
    assert plan.totals().unknown_parts == 1
    assert [part in each.message for each in found(plan, "unknown-part")] == [True]


def test_an_action_says_when_it_is_invoked_and_with_what() -> None:
    stop, call = made(QUEUE, **MORE).actions
    assert stop.when == "after the update of aws_sqs_queue.jobs"
    assert call.when == "asked for by name"
    assert {each.name: each.after for each in stop.attributes()} == {
        "force": True,
        "instance_id": "i-0123",
        "key": MASK,
    }
    assert [(each.name, each.unknown) for each in call.attributes()] == [("payload", True)]
    assert "sesame-sesame" in set(made(QUEUE, **MORE).secrets())


def test_the_review_names_each_of_them() -> None:
    plan = made(QUEUE, **MORE)
    assert [each.subject for each in found(plan, "action-invoked")] == [STOP["address"], CALL["address"]]
    assert found(plan, "action-invoked")[0].level == "warning"
    assert {each.subject for each in found(plan, "unknown-at-plan")} == {"aws_sqs_queue.later", "action.x.put_off"}
    (part,) = found(plan, "unknown-part")
    assert (part.level, "something_new" in part.message) == ("error", True)


def test_the_gate_names_them_however_long_the_plan_is(tmp_path: Path) -> None:
    many = [entry(f"aws_sqs_queue.q{number}", ["create"], None, {"name": "x"}) for number in range(100)]
    forgotten = entry("aws_s3_bucket.left", ["forget"], {"bucket": "b"}, None)
    output = {"actions": ["update"], "before": "a", "after": "b"}
    outputs = dict.fromkeys(("url", "password"), output)
    spoken = Spoken(tmp_path, *many, forgotten, QUEUE, output_changes=outputs, **MORE)
    read_step(spoken)
    (gate,) = gates(spoken)
    told = "\n".join(gate.changes)
    for name in (STOP["address"], CALL["address"], "aws_s3_bucket.left", "url (update)", "password (update)"):
        assert name in told
    assert "aws_sqs_queue.later, action.x.put_off" in told
    assert "something_new" in told
    assert "sesame-sesame" not in told


def test_a_plan_of_only_an_action_is_not_nothing_to_do(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, action_invocations=[CALL], changes=False)
    assert read_step(spoken)["words"] == "1 action to invoke"


def test_outputs_stand_in_the_lines_and_their_secrets_do_not(tmp_path: Path) -> None:
    change = {"actions": ["create"], "before": None, "after": "hidden-value", "after_sensitive": True}
    spoken = Spoken(tmp_path, output_changes={"url": {"actions": ["create"], "after": "u"}, "key": change})
    lines = read_step(spoken)["lines"]
    assert lines == [f"+ output.key: {MASK}", "+ output.url: u"]


def test_ephemeral_resources_change_nothing_and_are_shown() -> None:
    opened = {**entry("aws_secretsmanager_secret_version.x", ["open"]), "mode": "ephemeral"}
    plan = made(opened)
    (change,) = plan.changes
    assert (change.kind, change.is_ephemeral, plan.totals().changing) == (Kind.READ, True, 0)


CONFIGURATION = {
    "root_module": {
        "resources": [
            {"type": "aws_db_instance", "name": "main", "expressions": {"password_wo": {}, "password_wo_version": {}}}
        ],
        "module_calls": {
            "a": {"module": {"resources": [{"type": "aws_x", "name": "y", "expressions": {"secret_wo": {}}}]}}
        },
    }
}


def test_write_only_values_are_named_where_they_are_sent(tmp_path: Path) -> None:
    version = {"password_wo_version": 1}, {"password_wo_version": 2}
    other = {"password_wo_version": 2, "port": 1}, {"password_wo_version": 2, "port": 2}
    made_anew = {**entry('module.a["k"].aws_x.y', ["create"], None, {"n": 1}), "type": "aws_x", "name": "y"}
    made_anew["module_address"] = 'module.a["k"]'
    plan = made(entry("aws_db_instance.main", ["update"], *version), made_anew, configuration=CONFIGURATION)
    assert plan.write_only() == {
        "aws_db_instance.main": ("password_wo",),
        'module.a["k"].aws_x.y': ("secret_wo",),
    }
    assert len(found(plan, "write-only-sent")) == 2
    same = made(entry("aws_db_instance.main", ["update"], *other), configuration=CONFIGURATION)
    assert same.write_only() == {}
    assert any("password_wo" in line and "write-only" in line for line in plan_reading.plan_lines(plan))


def test_the_record_that_stays_has_all_of_it_and_no_secret() -> None:
    document = json.dumps({"format_version": "1.2", "resource_changes": [QUEUE], **MORE}).encode()
    record = plan_record.record_of(document, Redactor())
    assert b"sesame" not in record
    assert read(record).totals() == read(document).totals()
    assert [each.when for each in read(record).actions] == [each.when for each in read(document).actions]


# --- While it is applied -----------------------------------------------------------------------------------------------


def line(kind: str, hook: dict[str, Any], message: str = "said", at: str = "2026-11-30T09:00:00Z") -> str:
    return json.dumps({"@message": message, "@timestamp": at, "type": kind, "hook": hook})


ON = {"resource": {"addr": "aws_sqs_queue.jobs"}}
ACTION = {"action": {"addr": STOP["address"]}, "lifecycle": ON}


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[Any] = []

    def output(self, *lines: str, source: str = "") -> None:
        self.lines += lines

    def progress(self, words: str, **figures: Any) -> None:
        self.rows = figures.get("rows", self.rows)


def test_an_action_is_a_row_of_the_apply() -> None:
    said = Said()
    listener = terraform_listener.Listener(cast(StepContext, said), {STOP["address"]: 1, "aws_sqs_queue.jobs": 1})
    listener(line("action_start", ACTION))
    assert said.rows[0][:2] == [STOP["address"], "invoke"]
    listener(line("action_progress", {**ACTION, "message": "stopping i-0123"}, at="2026-11-30T09:00:05Z"))
    listener(line("action_complete", ACTION, at="2026-11-30T09:00:07Z"))
    assert [STOP["address"], "invoked", 7.0] in said.rows
    assert said.lines == [
        f"{STOP['address']}: invoke, for aws_sqs_queue.jobs…",
        f"{STOP['address']}: stopping i-0123",
        f"{STOP['address']}: invoke done",
    ]
    assert listener.claims.is_empty, "what is in no state is not looked for in one"


def test_an_action_that_failed_is_named_with_its_error() -> None:
    applied = Applied({STOP["address"]: 1})
    claims = Claims()
    for kind, more in (("action_start", {}), ("action_errored", {"error": "no such instance"})):
        event = events.parse(line(kind, {**ACTION, **more}))
        assert isinstance(event, events.ActionEvent)
        applied.take(event)
        claims.take(event)
    assert applied.named() == (f"Failed: {STOP['address']}.",)
    said = Said()
    terraform_listener.Listener(cast(StepContext, said))(
        line("action_errored", {**ACTION, "error": "no such instance"})
    )
    assert said.lines == [f"{STOP['address']}: invoke failed, for aws_sqs_queue.jobs: no such instance"]


def test_an_ephemeral_resource_is_no_change_of_the_apply() -> None:
    said = Said()
    listener = terraform_listener.Listener(cast(StepContext, said))
    hook = {"resource": {"addr": "ephemeral.aws_x.y"}, "action": "open"}
    for phase in ("start", "progress", "complete"):
        listener(line(f"ephemeral_op_{phase}", hook))
    assert (said.lines, listener.applied.done, listener.claims.is_empty) == ([], 0, True)
    listener(line("ephemeral_op_errored", hook))
    assert said.lines == ["ephemeral.aws_x.y: open failed"]


def test_an_event_of_a_kind_that_is_not_known_is_shown_as_such() -> None:
    said = Said()
    terraform_listener.Listener(cast(StepContext, said))(line("wish_granted", {}, "The wish was granted"))
    assert said.lines == ["The wish was granted  (wish_granted: not known here)"]


def test_the_last_line_counts_actions() -> None:
    raw = {
        "@message": "x",
        "type": "change_summary",
        "changes": {"operation": "apply", "action_invocation": 2, "action_fail": 1},
    }
    summary = events.parse(json.dumps(raw))
    assert isinstance(summary, events.ChangeSummary)
    assert (summary.invoked, summary.failed_actions) == (2, 1)
