"""What a run's words claim is what happened: nothing done is no ✓, waiting for a person no work, a call that was sent not lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infraconsole.checks.environments import Comparison, Line, Side, Standing
from infraconsole.config import Config
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import Gate, GateKind
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.runbooks import deploy, ecs_rollback
from infraconsole.screens.environments.cells import line_rows
from infraconsole.screens.run import story
from tests.screens.runs import FakeExecutor, confirm_gate


@pytest.fixture
def executor(journal: Journal) -> Iterator[FakeExecutor]:
    made = FakeExecutor(journal.folder)
    yield made
    made.leave()
    made.journal.close()


NOW = datetime.now(UTC)


def record(executor: FakeExecutor) -> RunRecord:
    return record_of(executor.run, executor.journal.events(executor.run))


def test_a_step_with_nothing_to_do_is_not_shown_as_done(executor: FakeExecutor) -> None:
    executor.begin("update", changes=True)
    executor.write(
        Kind.STEP_FINISHED,
        "update",
        result={"applied": 0},
        seconds=0.1,
        needless="It was asked to stop after the plan.",
    )
    executor.finish()
    found = record(executor)
    assert found.ended_at
    row = next(row for row in story.step_rows(found, found.ended_at) if row.key == "update")
    assert row.cells["mark"].text == "–"
    ending = story.ending(found, story.Offers(), NOW).plain
    assert "✓" not in ending
    assert "nothing was done. It was asked to stop after the plan." in ending
    assert "It was asked to stop after the plan." in story.step_story(found.step("update"), True, found.ended_at).plain


@pytest.mark.parametrize(
    ("runbook", "outcome", "read_only", "known", "said"),
    [
        ("deploy", "failed", False, True, "R rolls the service back"),
        ("ecs-rollback", "failed", False, True, "R rolls the service back"),
        ("ecs-rollback", "refused", False, True, "R rolls the service back"),
        ("ecs-rollback", "failed", True, True, "look at the step that failed"),
        ("ecs-rollback", "failed", False, False, "look at the step that failed"),
        ("state-rollback", "failed", False, True, "look at the step that failed"),
        ("state-recover", "refused", False, True, "check the service"),
        ("export-put", "failed", False, True, "look at the step that failed"),
        ("deploy", "interrupted", False, True, "R resumes the run"),
        ("deploy", "interrupted", True, True, "infraconsole resume k3m9px"),
    ],
)
def test_the_ending_promises_of_r_only_what_it_does(
    journal: Journal, config: Config, runbook: str, outcome: str, read_only: bool, known: bool, said: str
) -> None:
    executor = FakeExecutor(journal.folder, runbook=runbook)
    executor.begin("update", changes=True)
    executor.end("update", changed=True)
    executor.finish(outcome, 1)
    services = config.services if known else {}
    offered = story.offers(found := record(executor), replace(config, read_only=read_only, services=services))
    executor.leave()
    executor.journal.close()
    words = story.ending(found, offered, NOW).plain
    assert said in words
    assert offered.rolls_back == ("R rolls" in words)
    assert offered.resumes == ("R resumes" in words)


def test_a_call_under_way_is_not_said_to_be_lost(executor: FakeExecutor) -> None:
    executor.begin("update", changes=True)
    executor.write(Kind.CALL_INTENDED, "update", call="1", operation="terraform:state push", parameters={})
    found = record(executor)
    step, now = found.step("update"), found.created_at
    assert now
    assert "is known; it will" not in story.step_story(step, True, now, at_work=True).plain
    assert "waiting for its answer" in story.step_story(step, True, now, at_work=True).plain
    assert "No answer to terraform:state push is known" in story.step_story(step, True, now, at_work=False).plain


@pytest.mark.parametrize("kind", [GateKind.CONFIRM, GateKind.APPROVE])
def test_waiting_for_a_person_is_no_work(executor: FakeExecutor, kind: GateKind) -> None:
    gate = confirm_gate() if kind is GateKind.CONFIRM else Gate("approve", kind, "Who?", approvers=("cto",))
    executor.begin("update", changes=True)
    opening = executor.open("update", gate)
    found = record(executor)
    assert found.gate
    later = found.gate.at + timedelta(hours=3)
    assert _time(found, later) == "0 s"
    assert " + 3 h waiting" in story.headline(found, None, later, True).plain
    executor.answered("update", gate.id, "yes", opening)
    answered = record(executor)
    waited = answered.step("update").waited_seconds
    assert 0 < waited < 60
    assert answered.waited_seconds(later) == waited, "from the answer on it works"
    assert _time(answered, answered.step("update").started_at + timedelta(seconds=waited + 5)) == "5 s"  # type: ignore[operator]


def test_waiting_for_credentials_is_no_work(executor: FakeExecutor) -> None:
    executor.begin("watch")
    executor.write(Kind.WAITING, "watch", reason="The credentials expired.", mend="aws sso login")
    since = record(executor).waiting_since
    assert since
    assert _time(record(executor), since + timedelta(hours=3), "watch") == "0 s"
    executor.write(Kind.WAITING_OVER, "watch", reason="they are there")
    assert record(executor).waiting_since is None
    assert record(executor).step("watch").waited_seconds > 0


def _time(found: RunRecord, now: object, step: str = "update") -> str:
    return next(row.cells["time"].text for row in story.step_rows(found, now) if row.key == step)  # type: ignore[arg-type]


def test_steps_that_watch_say_what_goes_on_without_them() -> None:
    watching = [ecs_rollback.RUNBOOK.step("watch"), ecs_rollback.RUNBOOK.step("verify"), deploy.RUNBOOK.step("verify")]
    assert all("ECS goes on" in step.goes_on for step in watching)


def test_no_step_claims_what_it_only_advises() -> None:
    assert "undoing" not in ecs_rollback.RUNBOOK.step("follow-up").title


def test_what_is_the_same_everywhere_stands_last() -> None:
    def line(name: str, standing: Standing) -> Line:
        return Line(name, standing, {"dev": Side("1")})

    running = [line("image", Standing.SAME), line("cpu", Standing.DIFFERS)]
    variables = (line("typo", Standing.UNDECLARED), line("count", Standing.DIFFERS), line("name", Standing.SAME))
    rows = line_rows(running, Comparison(("dev",), variables, ()), ["dev"])
    assert [row.key for row in rows] == ["typo", "runs:cpu", "count", "runs:image", "name"]
