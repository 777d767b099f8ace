"""A lock whose holder is gone, and a state that was written outside of Terraform: each is repaired by a runbook, typed, and
no further than was shown."""

from __future__ import annotations

import json
import os
import signal
import uuid
from hashlib import md5

import pytest

from infraconsole.terraform import supervise
from infraconsole.terraform.state import LockInfo
from tests.terraform.conftest import BOTH, DEV, TABLE, Site, client, state_of

pytestmark = pytest.mark.slow

TYPED = ("--answer", "type-target=plain-dev")


def hold(site: Site, who: str = "lee@laptop") -> LockInfo:
    """Put a lock there as Terraform does, in place of one that is there."""
    path = f"{site.bucket()}/{site.key}"
    info = {
        "ID": str(uuid.uuid4()),
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": who,
        "Version": "1.11.4",
        "Created": "2025-10-21T01:02:03.456789012Z",
        "Path": path,
    }
    if site.locking == "dynamodb":
        item = {"LockID": {"S": path}, "Info": {"S": json.dumps(info)}}
        client(site.world, "dynamodb").put_item(TableName=TABLE, Item=item)
    else:
        body = json.dumps(info).encode()
        client(site.world, "s3").put_object(Bucket=site.bucket(), Key=f"{site.key}.tflock", Body=body)
    lock = site.lock()
    assert lock
    return lock


# Locks


@BOTH
def test_the_lock_of_a_killed_apply_is_taken_away_behind_the_typed_name(site: Site) -> None:
    site.seed(first="one", second="build-1")
    lock = site.gone_holder()
    for answer in ((), DEV, ("--answer", "type-target=plain-prod")):
        refused = site.run("state-unlock", *answer)
        assert refused.code == 3, refused.stderr
        assert site.lock() == lock
    done = site.run("state-unlock", *TYPED)
    assert done.code == 0, done.stderr
    assert site.lock() is None
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert lock.who in gate["title"]
    assert lock.id in gate["changes"][0]
    assert lock.id in gate["commands"][0]
    assert "Ask that person" in gate["changes"][1]
    assert "Ask that person" not in done.warnings, "it is done"
    assert site.deploy().code == 0


@BOTH
def test_a_lock_taken_meanwhile_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seed(first="one")
    first = hold(site)
    run = site.start(monkeypatch, "state-unlock")
    assert first.id in site.until_gate(run, "type-target").gate.changes[0]
    second = hold(site, "ann@desk")
    site.answer(run, "type-target", "plain-dev")
    again = site.until_gate(run, "type-target").gate
    assert "ann@desk" in again.title
    assert second.id in again.changes[0]
    assert (site.lock(), site.intents(run)) == (second, [])
    site.answer(run, "type-target", "no")
    assert site.finished(run).outcome == "refused"
    assert site.lock() == second


@BOTH
def test_a_lock_taken_in_the_last_moment_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.seed(first="one")
    hold(site)
    answers = [("type-target", "plain-dev")]
    run = site.start(monkeypatch, "state-unlock", kill="hold:call-intended:unlock", answers=answers)
    site.until(lambda: site.intents(run), "the intent")
    second = hold(site, "ann@desk")
    (site.folder / "go").touch()
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("failed", 1)
    assert "The lock could not be released" in record.ending
    assert site.lock() == second


def test_another_lock_than_the_one_named_stays(site: Site) -> None:
    site.seed(first="one")
    lock = hold(site)
    done = site.run("state-unlock", *TYPED, "--set", "lock=11111111-2222-3333-4444-555555555555")
    assert done.code == 2, done.stderr
    assert f"The lock is {lock.id}" in done.stderr
    assert site.lock() == lock
    assert site.run("state-unlock", *TYPED, "--set", f"lock={lock.id}").code == 0
    assert site.lock() is None


def test_where_nothing_is_locked_nothing_is_done(site: Site) -> None:
    site.seed(first="one")
    done = site.run("state-unlock")
    assert done.code == 0, done.stderr
    assert done.count("call-intended") == done.count("gate-opened") == 0


def test_a_dry_run_unlocks_nothing(site: Site) -> None:
    site.seed(first="one")
    lock = hold(site)
    done = site.run("state-unlock", "--dry-run")
    assert done.code == 0, done.stderr
    assert site.lock() == lock


@pytest.mark.parametrize(
    "kill",
    [
        f"{when}:{kind}:unlock"
        for when, kind in (
            ("before", "call-intended"),
            ("after", "call-intended"),
            ("before", "call-done"),
            ("after", "call-done"),
        )
    ],
)
def test_executor_killed_around_the_unlock(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    site.seed(first="one")
    hold(site)
    run = site.start(monkeypatch, "state-unlock", kill=kill, answers=[("type-target", "plain-dev")])
    site.until_gone(run)
    site.resume(run)
    assert site.finished(run).outcome == "done"
    assert site.lock() is None


@pytest.mark.parametrize("is_gone", [False, True], ids=["still-held", "released"])
@pytest.mark.parametrize(
    "who", [(supervise.PID,), (supervise.SUPERVISOR, supervise.PID)], ids=["terraform", "terraform-and-supervisor"]
)
def test_an_unlock_that_was_killed_is_judged_by_the_lock_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch, who: tuple[str, ...], is_gone: bool
) -> None:
    site.seed(first="one")
    lock = hold(site)
    answers = [("type-target", "plain-dev")]
    run = site.start(monkeypatch, "state-unlock", kill="hold:call-intended:unlock", answers=answers)
    site.until(lambda: site.intents(run), "the intent")
    seen = max(call["seq"] for call in site.world.calls())
    site.world.fault("throttle", "dynamodb", "DeleteItem")
    (site.folder / "go").touch()
    site.until(lambda: site.world.calls("dynamodb", "DeleteItem", seen), "the release")
    (pid,) = site._records(run, "force-unlock")
    if is_gone:  # as where the answer to Terraform was lost
        os.kill(int(pid.read_text().split()[0]), signal.SIGSTOP)  # it must not go on by itself
        key = {"LockID": {"S": f"{site.bucket()}/{site.key}"}}
        site.world.clear_faults()
        client(site.world, "dynamodb").delete_item(TableName=TABLE, Key=key)
    for name in who:
        os.kill(int((pid.parent / name).read_text().split()[0]), signal.SIGKILL)
    record = site.finished(run)
    site.world.clear_faults()
    if is_gone:
        assert (record.outcome, site.lock()) == ("done", None), record.ending
        return
    assert (record.outcome, site.lock()) == ("failed", lock)
    assert lock.id in record.ending
    assert "infraconsole run state-unlock --service plain --env dev" in record.ending
    assert site.run("state-unlock", *TYPED).code == 0
    assert site.lock() is None


# Digests


def digest(site: Site) -> str:
    key = {"LockID": {"S": f"{site.bucket()}/{site.key}-md5"}}
    return str(client(site.world, "dynamodb").get_item(TableName=TABLE, Key=key)["Item"]["Digest"]["S"])


def swapped(site: Site) -> bytes:
    """The state object is written outside of Terraform, as with `aws s3 cp`."""
    site.seed(serial=1, first="one")
    body = state_of({"first": "swapped"}, serial=1, lineage=site.lineage)
    site.put(body, digest=False)
    return body


def test_a_state_swapped_by_hand_is_explained_and_its_digest_mended(site: Site) -> None:
    older = site.seed(serial=0, first="zero")
    body = swapped(site)
    kept = digest(site)
    failed = site.deploy()
    assert failed.code == 1
    assert "The state is not the one that its digest was made of" in failed.stderr
    assert "infraconsole run digest-repair" in failed.stderr
    assert site.stored() == body

    refused = site.run("digest-repair", *DEV)
    assert refused.code == 3
    assert "--answer type-target=" in refused.stderr
    assert (digest(site), site.lock()) == (kept, None)
    mended = site.run("digest-repair", *TYPED)
    assert mended.code == 0, mended.stderr
    (gate,) = [each["gate"] for each in mended.events if each["kind"] == "gate-opened"]
    assert kept in gate["changes"][0]
    assert digest(site) in gate["changes"][0]
    assert site.stored() == body, "the state itself stays as it is"
    assert site.lock() is None

    again = site.run("digest-repair")
    assert (again.code, again.count("call-intended")) == (0, 0)
    assert site.run("state-rollback", *DEV, "--set", f"version={older}").code == 0
    assert site.values() == {"first": "zero"}
    assert site.deploy().code == 0


def test_no_digest_is_made_for_what_is_no_state(site: Site) -> None:
    site.seed(first="one")
    kept = digest(site)
    site.put(b'{"version": 4, "serial": 1', digest=False)
    done = site.run("digest-repair", *TYPED)
    assert done.code == 1
    assert "is cut off" in done.stderr
    assert (digest(site), site.lock()) == (kept, None)


def test_under_somebody_s_lock_no_digest_is_mended(site: Site) -> None:
    swapped(site)
    kept, lock = digest(site), hold(site)
    done = site.run("digest-repair", *TYPED)
    assert done.code == 1
    assert "lee@laptop holds it for" in done.stderr
    assert "infraconsole run state-unlock --service plain --env dev" in done.stderr
    assert (digest(site), site.lock()) == (kept, lock)


def test_a_state_stored_while_the_gate_is_open_is_looked_at_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped(site)
    run = site.start(monkeypatch, "digest-repair")
    site.until_gate(run, "type-target")
    kept = digest(site)
    site.put(state_of({"first": "another"}, serial=5, lineage=site.lineage), digest=False)
    site.answer(run, "type-target", "plain-dev")
    again = site.until_gate(run, "type-target").gate
    assert "serial 5" in again.changes[1]
    assert (digest(site), site.lock(), site.intents(run)) == (kept, None, [])
    site.answer(run, "type-target", "plain-dev")
    assert site.finished(run).outcome == "done"
    assert site.lock() is None


def test_a_digest_written_while_the_gate_is_open_is_looked_at_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    body = swapped(site)
    run = site.start(monkeypatch, "digest-repair")
    site.until_gate(run, "type-target")
    item = {"LockID": {"S": f"{site.bucket()}/{site.key}-md5"}, "Digest": {"S": "f" * 32}}
    client(site.world, "dynamodb").put_item(TableName=TABLE, Item=item)
    site.answer(run, "type-target", "plain-dev")
    site.until(lambda: len(site.events(run, "step-finished", "look")) == 2, "another look")
    assert "f" * 32 in site.until_gate(run, "type-target").gate.changes[0]
    assert (site.lock(), site.intents(run)) == (None, [])
    site.answer(run, "type-target", "plain-dev")
    assert site.finished(run).outcome == "done"
    assert (site.lock(), digest(site)) == (None, md5(body, usedforsecurity=False).hexdigest())


@pytest.mark.parametrize("site", ["lockfile"], indirect=True)
def test_a_state_without_a_lock_table_has_no_digest(site: Site) -> None:
    site.seed(first="one")
    done = site.run("digest-repair", *TYPED)
    assert done.code == 2, done.stderr
    assert "This state has no digest" in done.stderr


def test_a_dry_run_mends_nothing(site: Site) -> None:
    swapped(site)
    kept = digest(site)
    done = site.run("digest-repair", "--dry-run")
    assert done.code == 0, done.stderr
    assert [each["step"] for each in done.events if each["kind"] == "step-skipped"] == ["take-lock", "mend"]
    assert (digest(site), site.lock()) == (kept, None)


@pytest.mark.parametrize(
    "kill",
    [
        *(f"before:call-done:{step}" for step in ("take-lock", "mend", "release")),
        *(f"after:call-intended:{step}" for step in ("take-lock", "mend")),
    ],
)
def test_executor_killed_around_the_mending(site: Site, monkeypatch: pytest.MonkeyPatch, kill: str) -> None:
    swapped(site)
    run = site.start(monkeypatch, "digest-repair", kill=kill, answers=[("type-target", "plain-dev")])
    site.until_gone(run)
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert digest(site) == record.step("look").result["calculated"]
    assert site.lock() is None
