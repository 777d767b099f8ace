"""What stands below the board's list: the most important first, wrapped at words, in as much room as there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.content import Content

from infraconsole.aws.cloudwatch import Alarm
from infraconsole.aws.ecs import Task, parse_service
from infraconsole.checks.judgement import judge
from infraconsole.checks.row_facts import BoardRow, Fact
from infraconsole.checks.serving import ServiceFacts
from infraconsole.engine.history import FollowUp
from infraconsole.screens.board.selected import Section, Selected, drawn, sections
from tests.unit.test_judgement import NEW, OLD, TD, deployment, stopped

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
PULL = "CannotPullContainerError: failed to resolve ref fileflow:7bd6b34: not found"


def event(number: int, message: str) -> dict[str, Any]:
    return {"id": f"e{number}", "createdAt": NOW - timedelta(minutes=number), "message": f"(service x) {message}"}


def facts(*events: dict[str, Any], running: int = 3) -> ServiceFacts:
    raw = {"serviceName": "fileflow-prod-service", "status": "ACTIVE", "desiredCount": 3, "runningCount": running,
           "taskDefinition": f"{TD}:8", "deployments": [deployment(8, running)], "events": list(events)}  # fmt: skip
    return ServiceFacts(parse_service(raw), NEW, OLD, "fileflow")


def told(row: BoardRow, tasks: Fact[tuple[Task, ...]] | None = None, **more: Any) -> dict[str, list[str]]:
    of = Selected(row, judge(row, NOW), tasks or Fact(), None, (), on_top=False, now=NOW)
    return {section.name: [line.plain for line in section.lines] for section in sections(replace(of, **more))}


def row(**groups: Any) -> BoardRow:
    found = BoardRow("fileflow", "prod")
    for group, value in groups.items():
        found = found.with_fact(group, Fact(value, NOW))
    return found


def test_what_is_still_being_read_is_named_and_nothing_is_said_of_it() -> None:
    assert set(told(BoardRow("fileflow", "prod"))) == {"reading"}
    said = told(row(service=facts()))
    assert said["tasks"] == ["3 of 3 run; reading which, and which stopped…"]
    assert "alarms" not in said
    assert said["reading"] == ["State, lock, alarms, exports, variables of its code, runs…"]


def test_tasks_are_grouped_by_why_they_stopped_and_counted_while_they_run() -> None:
    bad = [replace(stopped(PULL), arn=f"a{n}", id=f"a{n}", stopped_at=NOW - timedelta(minutes=n)) for n in range(1, 8)]
    alive = [
        replace(bad[0], arn=f"r{n}", last_status="RUNNING", desired_status="RUNNING", health="HEALTHY", stopped_at=None)
        for n in range(3)
    ]
    lines = told(row(service=facts()), Fact((*bad, *alive), NOW))["tasks"]
    assert lines[0].startswith("✗ 7 × image")
    assert "the last" in lines[0]
    assert lines[1] == "✓ 3 healthy  :8"
    assert told(row(service=facts()), Fact((), NOW))["tasks"] == ["None runs, and none stopped within the last hour."]
    failed = told(row(service=facts()), Fact(None, NOW, PermissionError("no")))["tasks"]
    assert failed == ["! The tasks could not be read: no"]


def test_events_are_short_and_equal_ones_stand_together() -> None:
    arn = "arn:aws:elasticloadbalancing:ap-northeast-2:1:targetgroup/x/abc"
    found = facts(
        event(1, f"deregistered 1 targets in (target-group {arn})"),
        event(2, "has begun draining connections on 1 tasks."),
        event(3, f"deregistered 1 targets in (target-group {arn})"),
        event(4, "is unable to consistently start tasks successfully."),
    )
    lines = told(row(service=found))["events"]
    assert len(lines) == 3
    assert lines[2].startswith("✗ tasks keep failing to start  ")
    assert "2 × 1 target deregistered  the last" in lines[0]
    assert "arn:" not in " ".join(lines)


def test_alarms_that_ring_stand_with_their_reason_and_quiet_ones_are_counted() -> None:
    ringing = Alarm("5xx", "ALARM", "Threshold Crossed.", NOW - timedelta(minutes=4), "", "")
    quiet = Alarm("cpu", "OK", "", NOW, "", "")
    assert "5xx" in told(row(alarms=(quiet, ringing)))["alarms"][0]
    assert told(row(alarms=(quiet, quiet)))["alarms"] == ["2 are quiet"]
    assert told(row(alarms=()))["alarms"] == ["it has none"]


def test_follow_ups_say_what_to_do() -> None:
    item = FollowUp("abc234", "pin", "Pin image_tag", "Write\nimage_tag = v1", "f", "k", "v", NOW)
    assert told(row(), follow_ups=(item,))["to do"] == ["▲ Pin image_tag Write image_tag = v1"]


def test_the_reason_that_stands_on_top_is_not_said_twice() -> None:
    troubled = row(service=facts(running=1))
    first = told(troubled)[""]
    assert "Only 1 of 3 tasks run" in first[0]
    assert told(troubled, on_top=True).get("", []) == first[1:]


SECTIONS = (
    Section("", (Content("The first sentence is long enough for more than one line here."), Content("Another."))),
    Section("tasks", (Content("one"), Content("two"), Content("three"))),
    Section("events", (Content("first"), Content("second"))),
)


@pytest.mark.parametrize("rows", range(12))
def test_the_first_sentence_of_each_comes_before_the_second_of_any(rows: int) -> None:
    found = drawn(SECTIONS, 40, rows)
    lines = found.content.plain.split("\n") if found.content else []
    assert len(lines) <= rows
    assert all(len(line) <= 40 for line in lines)
    assert found.cut == (rows < 8)
    if rows >= 4:
        assert any("one" in line for line in lines)
        assert any("first" in line for line in lines), "a long section leaves the others room"
    if rows < 5:
        assert "two" not in found.content.plain


def test_text_is_wrapped_at_words_under_its_own_beginning() -> None:
    found = drawn((Section("tasks", (Content("alpha beta gamma delta"),)),), 22, 9)
    assert found.content.plain.split("\n") == ["tasks  alpha beta", "         gamma delta"]
