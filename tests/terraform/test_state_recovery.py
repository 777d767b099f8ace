"""States that could not be stored, and states that were deleted: what brings them back, and what must not be brought."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.terraform import backend
from infraconsole.terraform.state import DUMPED
from tests.terraform.conftest import BOTH, DEV, Site, client, state_of

pytestmark = pytest.mark.slow

TYPED = ("--answer", "type-target=plain-dev")
PUSH, DISMISS = ("--set", "action=push"), ("--set", "action=dismiss")


def left(site: Site) -> Path:
    return site.root / backend.ERRORED_STATE


def leave(site: Site, serial: int = 2, lineage: str = "", **values: str) -> bytes:
    """As an apply leaves it that could not store its state."""
    body = state_of(values or {"first": "applied"}, serial=serial, lineage=lineage or site.lineage)
    left(site).write_bytes(body)
    return body


# errored.tfstate


@BOTH
def test_what_could_not_be_stored_is_pushed_and_put_away(site: Site) -> None:
    site.seed(serial=1, first="one")
    body = leave(site, first="applied", second="build-1")
    asked = site.run("state-recover", *DEV)
    assert (asked.code, left(site).exists()) == (3, True)
    assert "--answer action=" in asked.stderr
    done = site.run("state-recover", *DEV, *PUSH)
    assert done.code == 0, done.stderr
    assert site.values() == {"first": "applied", "second": "build-1"}
    assert site.serial in (2, 3)
    assert (left(site).exists(), site.lock()) == (False, None)
    copy = site.folder / "runs" / done.run / "errored.tfstate"
    assert (copy.read_bytes(), stat.S_IMODE(copy.stat().st_mode)) == (body, 0o600)
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert "+ terraform_data.second" in gate["changes"]
    assert any("~ terraform_data.first: " in change for change in gate["changes"])
    assert site.run("state-recover", *DEV, *PUSH).code == 1, "there is nothing left to recover"


def test_dismissing_needs_the_name_and_keeps_a_copy(site: Site) -> None:
    site.seed(serial=1, first="one")
    body, before = leave(site), site.versions()
    refused = site.run("state-recover", *DEV, *DISMISS)
    assert (refused.code, left(site).read_bytes()) == (3, body)
    assert "--answer type-target=" in refused.stderr
    done = site.run("state-recover", *TYPED, *DISMISS)
    assert done.code == 0, done.stderr
    assert (left(site).exists(), site.versions()) == (False, before)
    assert (site.folder / "runs" / done.run / "errored.tfstate").read_bytes() == body


def test_what_only_a_dismissed_state_knew_is_shown_until_it_is_dismissed_too(site: Site) -> None:
    site.seed(serial=1, first="one", second="build-1")
    leave(site, first="one", second="build-1", third="made")
    assert site.run("state-recover", *TYPED, *DISMISS).code == 0
    [third] = json.loads(state_of({"third": "made"}, serial=2, lineage="x"))["resources"]
    id_ = third["instances"][0]["attributes"]["id"]
    deployed = site.deploy()
    assert deployed.code == 0, deployed.stderr
    assert f"terraform_data.third (terraform_data, id {id_}) was made by run" in deployed.warnings
    refused = site.run("strays-dismiss", *DEV)
    assert refused.code == 3
    dismissed = site.run("strays-dismiss", *TYPED)
    assert dismissed.code == 0, dismissed.stderr
    assert json.loads(site.console("journal", "--json").stdout)["follow_ups"] == []
    assert "third" not in site.deploy().warnings


def test_another_environment_s_is_not_pushed_and_goes_by_the_rules_of_prod(site: Site) -> None:
    site.seed(serial=1, first="one")
    body, before = leave(site, lineage="another"), site.versions()
    done = site.run("state-recover", *TYPED, *PUSH)
    assert (done.code, site.versions()) == (1, before)
    assert "it is another state's: its lineage is another" in done.stderr
    refused = site.run("state-recover", *TYPED, *DISMISS)
    assert (refused.code, left(site).read_bytes()) == (3, body)
    assert "--answer reason=" in refused.stderr
    assert site.run("state-recover", *TYPED, *DISMISS, "--answer", "reason=of a branch that is gone").code == 0
    assert not left(site).exists()


@pytest.mark.parametrize(
    ("serial", "values", "words"),
    [
        (8, {"first": "applied"}, "something was stored since"),
        (9, {"first": "one"}, "it says what is stored already"),
        (9, {"first": "applied"}, "has the same serial, 9, and says something else"),
    ],
    ids=["newer-is-stored", "same", "both-after-the-same"],
)
def test_what_is_overtaken_is_not_pushed(site: Site, serial: int, values: dict[str, str], words: str) -> None:
    site.seed(serial=9, first="one")
    leave(site, serial, **values)
    before = site.versions()
    done = site.run("state-recover", *DEV, *PUSH)
    assert (done.code, site.versions(), left(site).exists()) == (1, before, True)
    assert words in done.stderr


@BOTH
def test_over_a_deleted_state_nothing_is_pushed_as_the_first(site: Site) -> None:
    site.seed(serial=1, first="one")
    leave(site)
    delete(site)
    done = site.run("state-recover", *TYPED, *PUSH)
    assert (done.code, site.stored(), left(site).exists()) == (1, b"", True)
    assert "state-undelete" in done.stderr
    assert site.run("state-undelete", *DEV).code == 0
    assert site.run("state-recover", *DEV, *PUSH).code == 0
    assert site.values() == {"first": "applied"}


def test_a_state_that_was_only_printed_is_found_before_another_is_pushed(site: Site) -> None:
    """The executor of an apply was killed before it looked; pushed over, that state could never be stored."""
    older = site.seed(serial=1, first="older")
    applied = site.deploy()
    assert applied.code == 0, applied.stderr
    lost = state_of({"first": "one", "second": "lost"}, serial=site.serial + 1, lineage=site.lineage)
    (record,) = (site.folder / "runs" / applied.run).glob("*-apply/stdout")
    event = {"@level": "info", "@message": DUMPED, "type": "state_dump"}
    line = f'{json.dumps(event)[:-1]}, "state": {json.dumps(json.loads(lost))}}}'
    record.write_text(f"{record.read_text()}{line}\n")
    before = site.versions()
    rolled = site.run("state-rollback", *DEV, "--set", f"version={older}")
    assert (rolled.code, site.versions()) == (1, before)
    assert "infraconsole run state-recover --service plain --env dev" in rolled.stderr
    left(site).unlink()
    (record.parent / "lost.tfstate.kept").unlink()
    recovered = site.run("state-recover", *DEV, *PUSH)
    assert recovered.code == 0, recovered.stderr
    assert site.values()["second"] == "lost"


def test_the_choice_says_what_is_known_of_both(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seed(serial=1, first="one")
    leave(site, first="applied", second="build-1")
    run = site.start(monkeypatch, "state-recover")
    gate = site.until_gate(run, "action").gate
    assert gate.changes[0] == "The stored state has serial 1, the one that was left 2."
    assert "+ terraform_data.second" in gate.changes
    site.answer(run, "action", "no")


def test_one_that_is_cut_off_can_only_be_dismissed(site: Site) -> None:
    site.seed(serial=1, first="one")
    left(site).write_bytes(leave(site)[:200])
    done = site.run("state-recover", *DEV, *PUSH)
    assert done.code == 1
    assert "is cut off." in done.stderr
    assert ".." not in done.stderr
    (gate,) = [each["gate"] for each in site.run("state-recover").events if each["kind"] == "gate-opened"]
    assert [(choice["id"], choice["recommended"]) for choice in gate["choices"]] == [
        ("push", False),
        ("dismiss", False),
    ]
    assert site.run("state-recover", *TYPED, *DISMISS, "--answer", "reason=the disk was full").code == 0


def test_a_first_state_that_nothing_vouches_for_needs_the_name(site: Site) -> None:
    leave(site)
    refused = site.run("state-recover", *DEV, *PUSH)
    assert (refused.code, site.versions()) == (3, [])
    done = site.run("state-recover", *TYPED, *PUSH)
    assert done.code == 0, done.stderr
    assert site.values() == {"first": "applied"}


def test_a_file_that_changes_while_the_gate_is_open_is_looked_at_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(serial=1, first="one")
    leave(site)
    run = site.start(monkeypatch, "state-recover", action="dismiss")
    site.until_gate(run, "type-target")
    other = leave(site, serial=3, first="later")
    site.answer(run, "type-target", "plain-dev")
    site.until(lambda: len(site.events(run, "step-finished", "look")) == 2, "another look")
    site.until_gate(run, "type-target")
    assert left(site).read_bytes() == other
    site.answer(run, "type-target", "plain-dev")
    assert site.finished(run).outcome == "done"
    assert (site.folder / "runs" / run / "errored.tfstate").read_bytes() == other


@pytest.mark.parametrize(
    "kill",
    [
        "before:call-intended:push",
        "after:call-intended:push",
        "before:call-done:push",
        "before:step-finished:push",
        "before:step-finished:put-away",
    ],
)
def test_executor_killed_around_the_recovery(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    site.seed(serial=1, first="one")
    leave(site)
    run = site.start(
        monkeypatch, "state-recover", kill=kill, answers=[("confirm", "yes"), ("action", "push")], action="push"
    )
    site.until_gone(run)
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert site.values() == {"first": "applied"}
    assert site.serial in (2, 3), "pushed once"
    assert not left(site).exists()


def test_a_dry_run_recovers_nothing(site: Site) -> None:
    site.seed(serial=1, first="one")
    body, before = leave(site), site.versions()
    done = site.run("state-recover", "--dry-run", *PUSH)
    assert done.code == 0, done.stderr
    assert (left(site).read_bytes(), site.versions()) == (body, before)


# A deleted state


def delete(site: Site, times: int = 1) -> list[str]:
    s3 = client(site.world, "s3")
    found = [s3.delete_object(Bucket=site.bucket(), Key=site.key) for _ in range(times)]
    return [str(each["VersionId"]) for each in found]


@BOTH
@pytest.mark.parametrize("times", [1, 2])
def test_a_deleted_state_is_brought_back_as_it_was(site: Site, times: int) -> None:
    older = site.seed(serial=4, first="older")
    newest = site.seed(serial=5, first="one", second="build-1")
    body = site.stored()
    delete(site, times)
    refused = site.run("state-rollback", *DEV, "--set", f"version={older}")
    assert refused.code == 1
    assert "infraconsole run state-undelete --service plain --env dev" in refused.stderr
    if site.locking == "dynamodb":
        for told in (site.deploy(), site.run("digest-repair", *TYPED)):
            assert (told.code, "state-undelete" in told.stderr) == (1, True), told.stderr
    done = site.run("state-undelete", *DEV)
    assert done.code == 0, done.stderr
    assert done.count("call-intended") == times
    assert (site.stored(), site.versions()) == (body, [newest, older])
    assert site.deploy().result("read-plan")["words"] == "nothing to do"
    back = site.run("state-rollback", *DEV, "--set", f"version={older}")
    assert back.code == 0, back.stderr


def test_what_is_not_deleted_or_never_was_is_said(site: Site) -> None:
    never = site.run("state-undelete", *DEV)
    assert never.code == 1
    assert "There never was a state" in never.stderr
    site.seed(first="one")
    there = site.run("state-undelete", *DEV)
    assert there.code == 1
    assert "is not deleted" in there.stderr


def test_nothing_is_brought_back_over_a_state_that_was_stored_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.seed(serial=4, first="one")
    (marker,) = delete(site)
    run = site.start(monkeypatch, "state-undelete")
    site.until_gate(run, "confirm")
    stored = site.seed(serial=1, first="theirs")
    site.answer(run, "confirm", "yes")
    record = site.finished(run)
    assert (record.outcome, site.intents(run)) == ("done", [])
    assert any("Another state is current" in warning for warning in record.warnings)
    assert site.versions()[0] == stored
    listed = client(site.world, "s3").list_object_versions(Bucket=site.bucket(), Prefix=site.key)
    assert marker in [each["VersionId"] for each in listed["DeleteMarkers"]]


def test_under_somebody_s_lock_nothing_is_taken_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was taken while the gate was open."""
    site.seed(serial=4, first="one")
    delete(site)
    run = site.start(monkeypatch, "state-undelete")
    site.until_gate(run, "confirm")
    site.put_lock()
    site.answer(run, "confirm", "yes")
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert any("lee@laptop" in line for line in failed.changes)
    assert (site.intents(run), site.stored()) == ([], b"")
    site.free()
    site.answer(run, FAILURE_GATE, "retry")
    assert site.finished(run).outcome == "done"


def test_however_often_it_was_deleted(site: Site) -> None:
    newest = site.seed(serial=4, first="one")
    delete(site, 25)
    done = site.run("state-undelete", *DEV)
    assert done.code == 0, done.stderr
    assert site.versions() == [newest]


@pytest.mark.parametrize("kill", ["after:call-intended:undelete", "before:call-done:undelete"])
def test_executor_killed_around_the_undeleting(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    newest = site.seed(serial=4, first="one")
    delete(site)
    run = site.start(monkeypatch, "state-undelete", kill=kill, answers=[("confirm", "yes")])
    site.until_gone(run)
    site.resume(run)
    assert site.finished(run).outcome == "done"
    assert site.versions() == [newest]
