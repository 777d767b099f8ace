from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infraconsole import config
from infraconsole.engine.gate import Choice, Gate, GateKind
from infraconsole.engine.policy import Purpose, gates, policy_for
from infraconsole.errors import GateRefused
from infraconsole.target import Target

TARGET = Target("fileflow", "prod", "ap-northeast-2", "123456789012")
TUESDAY_IN_WINDOW = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)  # 10:30 in Seoul
SATURDAY = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)

CONFIRM = Gate("confirm", GateKind.CONFIRM, "Go?")
TYPE = Gate("type-target", GateKind.TYPE, "Go?", expected="fileflow-prod")
CHOOSE = Gate(
    "revision", GateKind.CHOOSE, "Which?", choices=(Choice("6", "six"), Choice("5", "five", why_not="it is INACTIVE"))
)
APPROVE = Gate("approve", GateKind.APPROVE, "Who?", approvers=("platform-lead", "cto"))
BREAK_GLASS = Gate("reason", GateKind.BREAK_GLASS, "Why?")


@pytest.mark.parametrize(
    ("gate", "answer"),
    [
        (CONFIRM, "yes"),
        (TYPE, "fileflow-prod"),
        (CHOOSE, "6"),
        (APPROVE, "cto:CHG-1"),
        (BREAK_GLASS, "prod answers 503"),
    ],
)
def test_right_answers_open(gate: Gate, answer: str) -> None:
    assert gate.check(answer, operator="kim") == answer


@pytest.mark.parametrize("answer", ["y", "Y", "yes", "YES", "Yes"])
def test_yes_is_recorded_the_same_however_it_was_typed(answer: str) -> None:
    assert CONFIRM.check(answer, operator="kim") == "yes"


@pytest.mark.parametrize(
    ("gate", "answer", "declined"),
    [
        *((CONFIRM, answer, True) for answer in ("n", "N", "no", "NO")),
        *((CONFIRM, answer, False) for answer in ("", "yes", "nope", "never")),
        (TYPE, "no", True),
        (TYPE, "n", False),
        (BREAK_GLASS, "n", False),
        (BREAK_GLASS, "No", False),
    ],
)
def test_what_declines(gate: Gate, answer: str, declined: bool) -> None:
    assert gate.declines(answer) is declined


@pytest.mark.parametrize("outside", [True, False])
def test_a_reason_gate_names_what_it_is_for_and_says_the_minimum(outside: bool) -> None:
    document = {"environments": {"prod": {"window": "Tue 10:00-11:00 Asia/Seoul"}}}
    purpose, now = (Purpose.DEPLOY, SATURDAY) if outside else (Purpose.RECOVERY, SATURDAY)
    policy = policy_for(purpose, config.parse(document, None).environment("prod"))
    gate = gates(policy, TARGET, title="Roll fileflow-prod back to :7", changes=["x"], now=now)[0]
    assert "Roll fileflow-prod back to :7" in gate.title
    assert ("Outside the window" in gate.title) is outside
    assert "8 characters" in gate.how


@pytest.mark.parametrize(
    ("gate", "answer"),
    [
        *((CONFIRM, answer) for answer in ("", "ye", "yess", "yy", " yes", "true", "no", "\uff59")),
        *((TYPE, answer) for answer in ("", "yes", "fileflow", "fileflow-dev", "fileflow-prod ", "FILEFLOW-PROD")),
        *((CHOOSE, answer) for answer in ("", "yes", "7", "5")),
        *((APPROVE, answer) for answer in ("", "yes", "cto", "cto:", ":CHG-1", "kim:CHG-1", "lee:CHG-1")),
        *((APPROVE, answer) for answer in ("cto:\u200b", "cto:CHG-1\nplatform-lead:CHG-1", "cto:CHG\r1")),
        *((BREAK_GLASS, answer) for answer in ("", "no", "because", "   \t    ", 8 * "\u200b", 8 * "\u3164")),
        *((BREAK_GLASS, answer) for answer in ("x" + 9 * "\u0301", "a        b", 9 * "\U000e0061", 9 * "\x1b")),
    ],
)
def test_wrong_answers_do_not(gate: Gate, answer: str) -> None:
    with pytest.raises(GateRefused):
        gate.check(answer, operator="kim")


def test_the_operator_never_approves_and_nobody_twice() -> None:
    with pytest.raises(GateRefused, match="runs this"):
        APPROVE.check("cto:CHG-1", operator="cto")
    with pytest.raises(GateRefused, match="already"):
        APPROVE.check("cto:CHG-2", operator="kim", approved=("cto:CHG-1",))
    assert APPROVE.check("platform-lead:CHG-2", operator="kim", approved=("cto:CHG-1",))


def test_a_gate_survives_json() -> None:
    assert Gate.from_json(CHOOSE.as_json()) == CHOOSE
    assert Gate.from_json(APPROVE.as_json()) == APPROVE


def opened(purpose: Purpose, environment: str, now: datetime, reason: str = "", **settings: object) -> list[str]:
    document = {"environments": {environment: settings}}
    policy = policy_for(purpose, config.parse(document, None).environment(environment))
    return [gate.id for gate in gates(policy, TARGET, title="Change", changes=["x"], reason=reason, now=now)]


def test_a_rollback_in_prod_needs_a_reason_and_the_typed_name_and_nobody_else() -> None:
    assert opened(Purpose.RECOVERY, "prod", SATURDAY) == ["reason", "type-target"]
    assert opened(Purpose.RECOVERY, "prod", SATURDAY, reason="503 since 02:50") == ["type-target"]


@pytest.mark.parametrize("environment", ["production", "prd", "live"])
def test_what_is_prod_by_another_name_is_guarded_as_prod(environment: str) -> None:
    assert opened(Purpose.RECOVERY, environment, SATURDAY) == ["reason", "type-target"]
    assert opened(Purpose.RECOVERY, environment, SATURDAY, protected=False) == ["confirm"]
    assert opened(Purpose.RECOVERY, "dev", SATURDAY, protected=True) == ["reason", "type-target"]


@pytest.mark.parametrize("reason", [" ", "x", "no", "          ", "short"])
def test_a_reason_that_the_gate_would_not_take_does_not_keep_it_shut(reason: str) -> None:
    assert opened(Purpose.RECOVERY, "prod", SATURDAY, reason=reason) == ["reason", "type-target"]


def test_a_rollback_needs_a_second_person_only_where_it_is_configured() -> None:
    assert opened(Purpose.RECOVERY, "prod", SATURDAY, rollback_approvers=["cto"]) == [
        "reason",
        "approve",
        "type-target",
    ]


def test_outside_prod_a_rollback_is_confirmed() -> None:
    assert opened(Purpose.RECOVERY, "dev", SATURDAY) == ["confirm"]
    assert opened(Purpose.RECOVERY, "staging", SATURDAY) == ["confirm"]


@pytest.mark.parametrize("purpose", Purpose)
def test_what_cannot_be_undone_asks_for_the_typed_name_in_every_environment(purpose: Purpose) -> None:
    dev = config.parse({}, None).environment("dev")
    policy = policy_for(purpose, dev, typed_name=True)
    (gate,) = gates(policy, TARGET, title="Change", changes=["x"], irreversible=["y"], commands=["z"], now=SATURDAY)
    assert (gate.id, gate.kind, gate.expected) == ("type-target", GateKind.TYPE, TARGET.name)
    assert (gate.changes, gate.irreversible, gate.commands) == (("x",), ("y",), ("z",))


def test_deploys_follow_approvers_and_window() -> None:
    assert opened(Purpose.DEPLOY, "dev", SATURDAY) == ["confirm"]
    assert opened(Purpose.DEPLOY, "staging", TUESDAY_IN_WINDOW) == ["approve", "confirm"]
    assert opened(Purpose.DEPLOY, "staging", SATURDAY) == ["reason", "approve", "confirm"]
    assert opened(Purpose.DEPLOY, "prod", TUESDAY_IN_WINDOW) == ["approve", "type-target"]
    assert opened(Purpose.DEPLOY, "prod", SATURDAY) == ["reason", "approve", "type-target"]


def test_an_operator_does_not_approve_in_other_letters() -> None:
    gate = Gate("approve", GateKind.APPROVE, "Who?", approvers=("cto", "platform-lead"))
    with pytest.raises(GateRefused, match="cannot approve it"):
        gate.check("cto:CHG-1", operator="CTO")
    assert gate.check("cto:CHG-1", operator="kim") == "cto:CHG-1"
