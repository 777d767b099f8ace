"""Terraform's machine-readable output: every type as 1.11 and 1.15 wrote it, what is not known, and what is hostile."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infraconsole.terraform import events

AT = "2026-11-25T01:49:24.659273Z"
RESOURCE = {
    "addr": 'module.db.aws_db_instance.main["blue"]',
    "module": "module.db",
    "resource": 'aws_db_instance.main["blue"]',
    "implied_provider": "aws",
    "resource_type": "aws_db_instance",
    "resource_name": "main",
    "resource_key": "blue",
}
BLUE = events.Resource('module.db.aws_db_instance.main["blue"]', "module.db", "aws_db_instance", "main", "blue")


def event(kind: str, message: str = "said", **members: Any) -> Any:
    raw = {"@level": "info", "@message": message, "@module": "terraform.ui", "@timestamp": AT, "type": kind, **members}
    return events.parse(json.dumps(raw))


def test_version_and_time() -> None:
    found = event("version", terraform="1.11.4", ui="1.2")
    assert isinstance(found, events.Version)
    assert (found.terraform, found.ui, found.message) == ("1.11.4", "1.2", "said")
    assert found.at == datetime(2026, 11, 25, 1, 49, 24, 659273, UTC)


@pytest.mark.parametrize(
    ("kind", "form"), [("planned_change", events.PlannedChange), ("resource_drift", events.ResourceDrift)]
)
def test_changes(kind: str, form: type[events.Change]) -> None:
    found = event(kind, change={"resource": RESOURCE, "action": "replace", "reason": "cannot_update"})
    assert type(found) is form
    assert (found.resource, found.action, found.reason) == (BLUE, "replace", "cannot_update")
    assert (found.previous, found.import_id) == (None, "")


def test_moved_and_imported() -> None:
    previous = {**RESOURCE, "addr": "aws_db_instance.main[0]", "module": "", "resource_key": 0}
    found = event(
        "planned_change",
        change={
            "resource": RESOURCE,
            "previous_resource": previous,
            "action": "move",
            "importing": {"id": "prod-shared-mysql"},
        },
    )
    assert found.previous == events.Resource("aws_db_instance.main[0]", "", "aws_db_instance", "main", 0)
    assert found.import_id == "prod-shared-mysql"


def test_change_summary() -> None:
    found = event("change_summary", changes={"add": 1, "change": 2, "import": 3, "remove": 4, "operation": "plan"})
    assert (found.add, found.change, found.imported, found.remove, found.operation) == (1, 2, 3, 4, "plan")


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("apply_start", events.ApplyStart),
        ("apply_progress", events.ApplyProgress),
        ("apply_complete", events.ApplyComplete),
        ("apply_errored", events.ApplyErrored),
    ],
)
def test_applying(kind: str, form: type[events.Apply]) -> None:
    hook = {"resource": RESOURCE, "action": "update", "id_key": "id", "id_value": "db-1", "elapsed_seconds": 12}
    found = event(kind, hook=hook)
    assert type(found) is form
    assert (found.resource, found.action, found.id_value, found.elapsed_seconds) == (BLUE, "update", "db-1", 12.0)


@pytest.mark.parametrize(("kind", "complete"), [("refresh_start", False), ("refresh_complete", True)])
def test_refreshing(kind: str, complete: bool) -> None:
    found = event(kind, hook={"resource": RESOURCE, "id_key": "id", "id_value": "db-1"})
    assert (found.resource, found.id_value, found.complete) == (BLUE, "db-1", complete)


@pytest.mark.parametrize("phase", ["start", "progress", "complete", "errored"])
def test_provisioning(phase: str) -> None:
    hook = {"resource": RESOURCE, "provisioner": "local-exec", "output": "begin"}
    found = event(f"provision_{phase}", hook=hook)
    assert (found.resource, found.provisioner, found.phase, found.output) == (BLUE, "local-exec", phase, "begin")


def test_diagnostic_with_its_place() -> None:
    found = event(
        "diagnostic",
        "Error: local-exec provisioner error",
        diagnostic={
            "severity": "error",
            "summary": "local-exec provisioner error",
            "detail": "Error running command 'x': exit status 1.",
            "address": "terraform_data.a",
            "range": {
                "filename": "main.tf",
                "start": {"line": 3, "column": 30, "byte": 75},
                "end": {"line": 3, "column": 31, "byte": 76},
            },
            "snippet": {
                "context": 'resource "terraform_data" "a"',
                "code": '  provisioner "local-exec" {',
                "start_line": 3,
                "highlight_start_offset": 29,
                "highlight_end_offset": 30,
                "values": [{"traversal": "var.x", "statement": "is 1"}],
            },
        },
    )
    assert found.is_error
    assert (found.summary, found.address, found.file, found.line) == (
        "local-exec provisioner error",
        "terraform_data.a",
        "main.tf",
        3,
    )
    assert found.snippet == events.Snippet(
        '  provisioner "local-exec" {', 'resource "terraform_data" "a"', 3, 29, 30, (("var.x", "is 1"),)
    )


def test_diagnostic_without_place() -> None:
    found = event("diagnostic", diagnostic={"severity": "warning", "summary": "Deprecated", "detail": ""})
    assert (found.file, found.line, found.address, found.snippet, found.is_error) == ("", 0, "", None, False)
    nowhere = event("diagnostic", diagnostic={"severity": "error", "snippet": {"context": None, "code": "x"}})
    assert nowhere.snippet.context == ""


def test_outputs() -> None:
    found = event(
        "outputs", outputs={"url": {"sensitive": False, "type": "string", "value": "x"}, "s": {"sensitive": True}}
    )
    assert found.outputs == (events.Output("url", False, "x", ""), events.Output("s", True, None, ""))


def test_log_and_unknown_types_are_kept() -> None:
    assert isinstance(event("log", "Stopping operation..."), events.Log)
    for kind in ("something_of_2031", "wish_granted", ""):
        found = event(kind, hook={"resource": RESOURCE})
        assert isinstance(found, events.Unknown)
        assert (found.type, found.message) == (kind, "said")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Releasing state lock. This may take a few moments...",
        "{",
        '{"@level":"info"',
        '{"serial": 4}',
        "[1]",
        "null",
        "{" * 100_000,
        '{"a":' * 50_000,
        "\x00\x1b[2J",
        "{\x00}",
        "�" * 10,
        '{"n": ' + "9" * 5_000 + "}",
    ],
)
def test_what_is_no_event_stays_text(line: str) -> None:
    assert events.parse(line) == events.Text(line)


@pytest.mark.parametrize("kind", sorted(events._READERS))
@pytest.mark.parametrize("value", [None, 1, "x", [], [{}], {"resource": 3, "range": [], "start": "x"}, True])
def test_members_of_another_shape_are_empty(kind: str, value: object) -> None:
    members: dict[str, Any] = dict.fromkeys(
        ("change", "changes", "hook", "diagnostic", "outputs", "terraform", "ui"), value
    )
    assert isinstance(event(kind, **members), events.Event)


def test_hostile_text_is_data() -> None:
    address = 'aws_x.y["\u001b[2J\u202e[bold]"]'
    found = event("apply_start", hook={"resource": {**RESOURCE, "addr": address}})
    assert found.resource.address == address
    wrong_time = events.parse('{"@message": "m", "type": "log", "@timestamp": "yesterday"}')
    assert isinstance(wrong_time, events.Log)
    assert wrong_time.at is None


def test_diagnostics_of_validate() -> None:
    document = {"valid": False, "diagnostics": [{"severity": "error", "summary": "Missing required provider"}, 3]}
    (found,) = events.diagnostics(document)
    assert (found.summary, found.message, found.at) == ("Missing required provider", "Missing required provider", None)
    assert events.diagnostics({"diagnostics": 1}) == events.diagnostics({}) == ()
