"""State rollbacks for real: what is stored afterwards, what is refused, and that nothing is pushed twice or over another's work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.terraform import supervise
from tests.terraform.conftest import BOTH, DEV, FIRST, HEAD, IMPATIENT, SECOND, VARIABLES, Done, Site, client, state_of

pytestmark = pytest.mark.slow

YES = [("confirm", "yes")]


def three_versions(site: Site) -> list[str]:
    """Ids, the oldest first; the code goes with the last."""
    site.write_vars("dev", value="three")
    site.commit()
    return [
        site.seed(serial=4, first="one"),
        site.seed(serial=5, first="two", second="build-1"),
        site.seed(serial=6, first="three", second="build-1"),
    ]


def rollback(site: Site, version: str, *more: str) -> Done:
    return site.run("state-rollback", *DEV, "--set", f"version={version}", *more)


def content(body: bytes) -> object:
    document = json.loads(body)
    return {name: document[name] for name in ("lineage", "outputs", "resources")}


@BOTH
def test_a_version_is_put_back_with_a_new_serial_and_can_be_undone(site: Site) -> None:
    ids = three_versions(site)
    was = site.stored()
    done = rollback(site, ids[1])
    assert done.code == 0, done.stderr
    assert site.serial in (7, 8)
    assert content(site.stored()) == content(
        state_of({"first": "two", "second": "build-1"}, serial=5, lineage=site.lineage)
    )
    assert site.lock() is None
    assert site.versions()[1:] == ids[::-1], "one more version, and the others as they were"
    assert done.result("read-plan")["words"] == "1 to update"
    assert "The next apply would do this: 1 to update. Nothing was applied" in done.warnings
    assert "is commit " in done.warnings

    backup = site.folder / "runs" / done.run / "backup.tfstate"
    assert backup.read_bytes() == was
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700
    (kept,) = [each for each in done.events if each["kind"] == "evidence" and each["name"] == "backup"]
    assert hashlib.sha256(was).hexdigest() in kept["content"]

    said = " ".join(each["text"] for each in done.events if each["kind"] == "note")
    assert f"--set version=backup:{done.run}" in said
    undone = rollback(site, f"backup:{done.run}")
    assert undone.code == 0, undone.stderr
    assert content(site.stored()) == content(was)
    assert site.serial > 7
    assert undone.result("read-plan")["words"] == "nothing to do"


def test_only_the_digits_of_the_serial_differ_from_the_version_that_was_chosen(site: Site) -> None:
    site.keep_files()
    odd = state_of({"first": "caf\u00e9 <&> 1.10"}, serial=9, lineage=site.lineage)
    odd = odd.replace(b'"outputs": {}', b'"outputs": {"n": {"value": 1.10, "type": "number"}}')
    chosen = site.put(odd)
    site.seed(serial=10, first="one")
    done = rollback(site, chosen)
    assert done.code == 0, done.stderr
    pushed = (site.folder / "runs" / done.run / "restored.tfstate").read_bytes()
    assert pushed == odd.replace(b'"serial": 9', b'"serial": 11')


def test_the_plan_that_follows_is_applied_behind_a_gate_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", version=ids[0], apply="yes")
    pushing = site.answer(run, "confirm", "yes").gate
    assert "serial 6 is followed by 7 or one more, with what 4 said" in pushing.changes
    applying = site.until_gate(run, "confirm").gate
    assert "1 to create, 1 to update" in applying.title
    assert site.values() == {"first": "one"}, "pushed, not applied"
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"
    assert site.values() == {"first": "three", "second": "build-1"}
    assert site.intents(run) == ["terraform:state-push", "terraform:apply"]


def test_a_lock_that_is_held_for_a_moment_behind_the_push_leaves_the_run_resumable(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", version=ids[0], apply="yes")
    site.answer(run, "confirm", "yes")
    site.until(lambda: site.events(run, "step-finished", "read-plan"), "the plan")
    site.put_lock()
    site.answer(run, "confirm", "yes")
    assert "The state is locked" in site.until_gate(run, FAILURE_GATE).gate.title
    site.answer(run, FAILURE_GATE, "stop")
    record = site.finished(run)
    assert (record.outcome, record.exit_code, record.resumable) == ("interrupted", 5, True)
    assert site.intents(run) == ["terraform:state-push"]


def test_destroys_of_the_plan_that_follows_need_the_typed_name(site: Site) -> None:
    site.write_vars("dev", value="one", image_tag="build-1")
    older = site.seed(serial=1, first="one", second="build-1", third="x")
    site.seed(serial=2, first="one", second="build-1")
    refused = rollback(site, older, "--set", "apply=yes", "--answer", "type-target=plain-dev")
    assert refused.code == 3, refused.stderr
    assert "--answer type-again=" in refused.stderr, (
        "what was typed for the push does not open a plan that nobody had seen"
    )
    assert "third" in site.values(), "the state was put back all the same"
    assert refused.count("call-intended") == 1


def test_without_a_terminal_a_version_is_required_and_those_there_are_are_listed(site: Site) -> None:
    ids = three_versions(site)
    done = site.run("state-rollback", *DEV)
    assert done.code == 3, done.stderr
    assert "--answer version=" in done.stderr
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert [choice["id"] for choice in gate["choices"]] == ids[::-1]
    assert gate["choices"][0]["why_not"] == "it is the stored one"
    assert all("  by operator (on-call)" in choice["title"] for choice in gate["choices"]), gate["choices"]
    assert site.versions() == ids[::-1]
    answered = site.run("state-rollback", *DEV, "--answer", f"version={ids[0]}")
    assert answered.code == 0, answered.stderr
    assert site.values() == {"first": "one"}


def test_what_cannot_be_chosen_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = site.put(state_of({"first": "x"}, serial=1, lineage="other"))
    newer = site.put(state_of({"first": "x"}, serial=1, lineage=site.lineage, version="9.9.9"))
    cut = site.put(state_of({"first": "x"}, serial=1, lineage=site.lineage)[:200])
    marker = deleted(site)
    good = site.seed(serial=1, first="one")
    site.seed(serial=2, first="two")
    run = site.start(monkeypatch, "state-rollback")
    gate = site.until_gate(run, "version").gate
    why = {choice.id: choice.why_not for choice in gate.choices}
    assert why[other] == "it has another lineage"
    assert why[newer] == "it was written by Terraform 9.9.9"
    assert "is cut off" in why[cut]
    assert why[marker] == "the object was deleted here"
    assert why[good] == ""
    site.journal.ask(
        run, "answer", "kim", {"opening": site.until_gate(run, "version").opening, "gate": "version", "value": other}
    )
    site.until(lambda: site.events(run, "gate-rejected"), "the refusal")
    site.answer(run, "version", good)
    site.answer(run, "confirm", "no")
    assert site.finished(run).outcome == "refused"
    assert site.values() == {"first": "two"}


def deleted(site: Site) -> str:
    site.seed(first="gone")
    done = client(site.world, "s3").delete_object(Bucket=site.bucket(), Key=site.key)
    assert done["DeleteMarker"]
    return str(done["VersionId"])


def truncated(site: Site) -> str:
    return site.put(state_of({"first": "x"}, serial=1, lineage=site.lineage)[:-40])


REFUSED: list[tuple[Callable[[Site], str], int, str]] = [
    (lambda _: "no-such-version", 2, "There is no state version 'no-such-version'"),
    (deleted, 2, "is a delete marker"),
    (truncated, 1, "is cut off"),
    (lambda site: site.put(b""), 1, "is empty"),
    (lambda site: site.put(b"[]\n"), 1, "is not a Terraform state"),
    (lambda site: site.put(state_of({"first": "x"}, serial=1, lineage="other")), 1, "are of different projects"),
    (lambda site: site.put(state_of({"first": "x"}, serial=1, lineage="")), 1, "Its lineage is missing"),
    (
        lambda site: site.put(state_of({"first": "x"}, serial=1, lineage=site.lineage, version="9.9.9")),
        1,
        "was written by Terraform 9.9.9",
    ),
    (lambda site: site.seed(first="two"), 2, "says the same as the stored state"),
    (lambda _: "backup:nobody", 2, "There is no backup 'nobody'"),
    (lambda _: "backup:../../x", 2, "There is no backup"),
    (lambda _: "file:/nowhere/x.tfstate", 2, "cannot be read"),
]
NAMES = [
    "unknown",
    "marker",
    "truncated",
    "empty",
    "list",
    "lineage",
    "no-lineage",
    "newer",
    "same",
    "backup",
    "escape",
    "file",
]


@pytest.mark.parametrize(("make", "code", "words"), REFUSED, ids=NAMES)
def test_what_is_refused_before_anything_is_pushed(
    site: Site, monkeypatch: pytest.MonkeyPatch, make: Callable[[Site], str], code: int, words: str
) -> None:
    version = make(site)
    site.seed(serial=2, first="two")
    before = site.versions()
    run = site.start(monkeypatch, "state-rollback", answers=YES, version=version)
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("failed", code)
    assert words in record.ending
    assert site.intents(run) == []
    assert site.versions() == before


def test_where_no_state_is_stored_nothing_is_pushed(site: Site) -> None:
    """Terraform itself would take any state of any project then."""
    done = rollback(site, "x")
    assert done.code == 1
    assert "There is no state to roll back" in done.stderr
    site.put(state_of({"first": "x"}, serial=1, lineage=""))
    done = rollback(site, "x")
    assert done.code == 1
    assert "The stored state has no lineage" in done.stderr
    assert len(site.versions()) == 1


@pytest.mark.parametrize("apply", ["no", "yes"])
def test_a_dry_run_pushes_nothing(site: Site, apply: str) -> None:
    ids = three_versions(site)
    done = rollback(site, ids[0], "--dry-run", "--set", f"apply={apply}")
    assert done.code == 0, done.stderr
    assert done.count("call-intended") == 0
    assert site.versions() == ids[::-1]
    said = "\n".join(line for each in done.events if each["kind"] == "output" for line in each["lines"])
    assert "serial 6 is followed by 7 or one more, with what 4 said" in said


# The world changes


def test_a_newer_state_stored_while_the_gate_is_open_is_not_overwritten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", version=ids[0])
    site.until_gate(run, "confirm")
    site.seed(serial=7, first="theirs")
    before = site.versions()
    site.answer(run, "confirm", "yes")
    again = site.until_gate(run, "confirm").gate
    assert (site.versions(), site.intents(run)) == (before, [])
    assert "serial 7 is followed by 8 or one more, with what 4 said" in again.changes
    assert any("The stored state has serial 7 by now; it had 6" in said for said in site.record(run).warnings)
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"
    assert site.values() == {"first": "one"}
    folder = site.folder / "runs" / run
    kept = [json.loads((folder / name).read_bytes())["serial"] for name in ("backup.tfstate", "backup-2.tfstate")]
    assert kept == [6, 7], "no backup is overwritten"
    assert any(f"--set version=backup:{run}:2" in said for said in site.record(run).warnings)


def test_a_script_whose_state_was_changed_meanwhile_pushes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill="hold:gate-answered:push", answers=YES, version=ids[0])
    site.until(lambda: site.events(run, "gate-answered"), "the answer")
    site.seed(serial=7, first="theirs")
    (site.folder / "go").touch()
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 1)
    assert "The stored state has serial 7 by now" in record.ending
    assert site.values() == {"first": "theirs"}


def test_a_newer_state_in_the_last_moment_is_refused_by_terraform(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill="hold:call-intended:push", answers=YES, version=ids[0])
    site.until(lambda: site.intents(run), "the intent")
    site.seed(serial=8, first="theirs")
    (site.folder / "go").touch()
    record = site.finished(run)
    assert record.outcome == "failed"
    assert "cannot import state with serial 7 over newer state with serial 8" in record.ending
    assert site.values() == {"first": "theirs"}


KILLS = [
    "after:step-finished:back-up",
    "after:gate-answered:push",
    *(f"{when}:{kind}:push" for when in ("before", "after") for kind in ("call-intended", "call-done")),
    "before:run-finished:",
]


@pytest.mark.parametrize("kill", KILLS)
def test_executor_killed(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill=kill, answers=YES, version=ids[0])
    site.until_gone(run)
    assert site.record(run).resumable
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert site.values() == {"first": "one"}
    assert len(site.versions()) == len(ids) + 1, "pushed once"


STAGES = [
    *(f"hold:step-started:{step}" for step in ("back-up", "init", "choose", "check", "push", "verify-stored", "plan")),
    "hold:gate-answered:push",
    "hold:call-intended:push",
    "hold:call-done:push",
]


@pytest.mark.parametrize("stage", STAGES)
def test_sigint_at_every_stage(site: Site, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill=stage, answers=YES, version=ids[0])
    record = site.interrupted_at(stage, run)
    assert record.outcome == "done", record.ending
    assert site.sent(run) == ["terraform:state-push"]
    assert (site.values(), site.serial in (7, 8), site.lock()) == ({"first": "one"}, True, None)


def test_executor_killed_while_the_state_is_being_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    seen = max(call["seq"] for call in site.world.calls())
    site.world.fault("delay", "s3", "PutObject", seconds=10.0, count=1)
    run = site.start(monkeypatch, "state-rollback", answers=YES, version=ids[0])
    site.until(lambda: site.world.calls("s3", "PutObject", seen), "the write")
    site.kill_executor(run)
    assert len(site.versions()) == len(ids)
    site.resume(run)
    assert site.finished(run).outcome == "done"
    assert len(site.versions()) == len(ids) + 1
    assert site.intents(run) == ["terraform:state-push"]


# Other backends


def test_a_local_state_is_rolled_back_from_a_file(site: Site, tmp_path: Path) -> None:
    site.write(f"{VARIABLES}{FIRST}{SECOND}")
    site.write_vars("sandbox", value="one")
    local, older = site.root / "terraform.tfstate", tmp_path / "older.tfstate"
    older.write_bytes(state_of({"first": "one"}, serial=2, lineage=site.lineage))
    local.write_bytes(state_of({"first": "two", "second": "build-1"}, serial=3, lineage=site.lineage))
    unnamed = site.run("state-rollback", *DEV, environment="sandbox")
    assert unnamed.code == 2, unnamed.stderr
    assert "--set version=file:PATH" in unnamed.stderr
    done = site.run("state-rollback", *DEV, "--set", f"version=file:{older}", environment="sandbox")
    assert done.code == 0, done.stderr
    now = json.loads(local.read_bytes())
    assert now["serial"] in (4, 5)
    assert content(local.read_bytes()) == content(older.read_bytes())
    assert done.result("read-plan")["words"] == "1 to create"
    undone = site.run("state-rollback", *DEV, "--set", f"version=backup:{done.run}", environment="sandbox")
    assert undone.code == 0, undone.stderr
    assert {each["name"] for each in json.loads(local.read_bytes())["resources"]} == {"first", "second"}
    unlocked = site.run("state-unlock", environment="sandbox")
    assert (unlocked.code, ".terraform.tfstate.lock.info" in unlocked.stderr) == (2, True), unlocked.stderr


def test_a_push_of_which_terraform_does_not_know_that_it_arrived(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is cut behind the write: the state is there, its digest is not."""
    site.write(site.main.read_text().replace(HEAD, IMPATIENT))
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill="hold:call-intended:push", answers=YES, version=ids[0])
    site.until(lambda: site.intents(run), "the intent")
    site.world.fault("drop-after", "s3", "PutObject")
    (site.folder / "go").touch()
    record = site.finished(run)
    site.world.clear_faults()
    assert site.values() == {"first": "one"}
    assert any("It is stored all the same" in said for said in record.warnings)
    assert record.step("verify-stored").result["serial"] in (7, 8)
    assert record.outcome == "interrupted", "it goes on once the digest is repaired"
    assert "infraconsole run digest-repair" in record.ending
    assert site.run("digest-repair", "--answer", "type-target=plain-dev").code == 0
    site.resume(run)
    assert site.finished(run).outcome == "done"
    assert site.intents(run) == ["terraform:state-push"]


def test_a_push_whose_terraform_was_killed_is_looked_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    seen = max(call["seq"] for call in site.world.calls())
    site.world.fault("delay", "dynamodb", "DeleteItem", seconds=10.0, count=1)
    run = site.start(monkeypatch, "state-rollback", answers=YES, version=ids[0])
    site.until(
        lambda: site.world.calls("dynamodb", "DeleteItem", seen), "the state to be stored, and the lock held yet"
    )
    (pid,) = site._records(run, "state-push")
    for name in (supervise.SUPERVISOR, supervise.PID):
        os.kill(int((pid.parent / name).read_text().split()[0]), signal.SIGKILL)
    record = site.finished(run)
    assert any("nobody knows how. It is stored all the same" in said for said in record.warnings), record.warnings
    assert record.step("verify-stored").result["serial"] in (7, 8)
    assert site.values() == {"first": "one"}


def test_under_a_digest_of_another_state_nothing_is_asked(site: Site) -> None:
    """Not after all gates, by Terraform."""
    ids = three_versions(site)
    body = site.stored()
    site.put(body.replace(b"three", b"swapped"), digest=False)
    before = site.versions()
    for more in ((), ("--dry-run",)):
        done = rollback(site, ids[0], *more)
        assert (done.code, done.count("gate-opened"), site.versions()) == (1, 0, before)
        assert "infraconsole run digest-repair --service plain --env dev" in done.stderr


def test_what_only_a_newer_terraform_could_put_back_is_said_before_the_gate(site: Site) -> None:
    ids = three_versions(site)
    site.put(state_of({"first": "four"}, serial=7, lineage=site.lineage, version="9.9.9"))
    done = rollback(site, ids[0])
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert any("It can be undone, with Terraform 9.9.9 or newer: " in line for line in gate["changes"])
    assert "Terraform 9.9.9 wrote the stored state" in done.warnings


def test_a_push_that_did_not_arrive_has_failed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill="hold:call-intended:push", answers=YES, version=ids[0])
    site.until(lambda: site.intents(run), "the intent")
    site.world.fault("access-denied", "s3", "PutObject")
    (site.folder / "go").touch()
    record = site.finished(run)
    assert record.outcome == "failed"
    assert "The push failed" in record.ending
    assert site.serial == 6


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ((supervise.PID,), "Terraform was killed (SIGKILL)"),
        ((supervise.SUPERVISOR, supervise.PID), "nothing of it is stored"),
    ],
    ids=["terraform", "both"],
)
def test_a_push_that_was_killed_before_it_stored_anything_names_its_lock(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...], words: str
) -> None:
    ids = three_versions(site)
    run = site.start(monkeypatch, "state-rollback", kill="hold:call-intended:push", answers=YES, version=ids[0])
    site.until(lambda: site.intents(run), "the intent")
    seen = max(call["seq"] for call in site.world.calls())
    site.world.fault("throttle", "s3", "PutObject")
    (site.folder / "go").touch()
    site.until(lambda: site.world.calls("s3", "PutObject", seen), "the write")
    (pid,) = site._records(run, "state-push")
    for name in who:
        os.kill(int((pid.parent / name).read_text().split()[0]), signal.SIGKILL)
    record = site.finished(run)
    site.world.clear_faults()
    assert record.outcome == "failed"
    assert words in record.ending
    lock = site.lock()
    assert lock
    assert lock.id in record.ending
    assert "infraconsole run state-unlock --service plain --env dev" in record.ending
    assert site.serial == 6
    unlocked = site.run("state-unlock", "--answer", "type-target=plain-dev")
    assert unlocked.code == 0, unlocked.stderr
    assert rollback(site, ids[0]).code == 0
