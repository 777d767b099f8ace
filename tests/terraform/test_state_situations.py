"""States, locks and digests of which only a half is known or well, and what the runbooks make of them."""

from __future__ import annotations

import json
import shutil

import pytest

from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.terraform.state import LockInfo
from tests.terraform.conftest import BOTH, DEV, HEAD, PLAIN, TABLE, Site, client, state_of

pytestmark = pytest.mark.slow

TYPED = ("--answer", "type-target=plain-dev")


def digest(site: Site) -> str:
    key = {"LockID": {"S": f"{site.bucket()}/{site.key}-md5"}}
    return str(client(site.world, "dynamodb").get_item(TableName=TABLE, Key=key)["Item"]["Digest"]["S"])


def held(site: Site) -> LockInfo:
    lock = site.lock()
    assert lock
    return lock


# Locks


@pytest.mark.parametrize("site", ["code"], indirect=True)
def test_a_lock_of_which_only_the_code_knows_is_found(site: Site) -> None:
    site.write(PLAIN.replace('backend "s3" {}', f'backend "s3" {{\n    dynamodb_table = "{TABLE}"\n  }}'))
    site.seed(first="one")
    lock = site.put_lock()
    done = site.run("state-unlock", *TYPED)
    assert done.code == 0, done.stderr
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert lock in gate["changes"][0]
    assert site.lock() is None
    again = site.put_lock()
    refused = site.deploy()
    assert (refused.code, held(site).id) == (1, again)
    assert "lee@laptop holds it" in refused.stderr


@pytest.mark.parametrize("site", ["off"], indirect=True)
def test_of_no_locking_at_all_nobody_says_that_it_is_free(site: Site) -> None:
    site.seed(first="one")
    done = site.run("state-unlock", *TYPED)
    assert done.code == 2, done.stderr
    assert "Nothing is known of a lock" in done.stderr


@pytest.mark.parametrize("site", ["both"], indirect=True)
def test_with_two_lockings_one_that_was_left_alone_is_taken_away(site: Site) -> None:
    site.seed(first="one")
    site.put_lock()
    done = site.run("state-unlock", *TYPED)
    assert done.code == 0, done.stderr
    assert site.lock() is None
    assert "although Terraform failed afterwards" in done.warnings


def test_a_lock_can_be_taken_away_although_the_digest_differs_and_nothing_was_set_up(site: Site) -> None:
    site.seed(serial=1, first="one")
    site.put(state_of({"first": "two"}, serial=2, lineage=site.lineage), digest=False)
    site.put_lock()
    refused = site.run("digest-repair", *TYPED)
    assert refused.code == 1
    assert "infraconsole run state-unlock" in refused.stderr
    done = site.run("state-unlock", *TYPED)
    assert done.code == 0, done.stderr
    assert site.lock() is None
    assert "which is enough for this" in done.warnings
    assert site.run("digest-repair", *TYPED).code == 0
    assert site.deploy("--dry-run").code == 0


def test_a_rollback_under_somebody_s_lock_asks_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older, _ = site.seed(serial=1, first="one"), site.seed(serial=2, first="two")
    site.put_lock()
    done = site.run("state-rollback", *DEV, "--set", f"version={older}")
    assert (done.code, done.count("gate-opened")) == (1, 0)
    assert "lee@laptop holds it" in done.stderr
    site.free()
    run = site.start(monkeypatch, "state-rollback", version=older)
    site.until_gate(run, "confirm")
    lock = site.put_lock()
    site.answer(run, "confirm", "yes")
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert "The state is locked" in failed.title
    assert lock in failed.changes[0]
    site.free()
    site.answer(run, FAILURE_GATE, "retry")
    assert site.finished(run).outcome == "done"
    assert site.values() == {"first": "one"}


# Digests


def swap(site: Site, **about: object) -> str:
    """Stored past Terraform over an older one; the older version's id."""
    older = site.seed(serial=5, first="one")
    document = {"serial": 6, "lineage": site.lineage} | about
    site.put(state_of({"first": "swapped"}, **document), digest=False)  # type: ignore[arg-type]
    return older


def test_a_digest_is_not_written_under_another_s_lock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    swap(site)
    kept = digest(site)
    answers = [("type-target", "plain-dev")]
    run = site.start(monkeypatch, "digest-repair", kill="after:step-finished:take-lock", answers=answers)
    site.until_gone(run)
    lock = site.put_lock("park@laptop")
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, digest(site), held(site).id) == ("failed", kept, lock)
    assert "The state's lock is not ours any more" in record.ending
    assert "park@laptop" in record.ending
    assert site.intents(run) == ["dynamodb:PutItem"]


def test_the_lock_of_a_killed_run_is_known_as_ours(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    swap(site)
    answers = [("type-target", "plain-dev")]
    run = site.start(monkeypatch, "digest-repair", kill="after:step-finished:take-lock", answers=answers)
    site.until_gone(run)
    refused = site.run("state-unlock")
    assert refused.code == 3
    assert f"infraconsole resume {run}" in refused.warnings
    site.until_gone(refused.run)
    site.resume(run)
    assert site.finished(run).outcome == "done"
    assert site.lock() is None


def test_what_speaks_against_a_state_stands_in_the_gate_of_its_digest(site: Site) -> None:
    older = swap(site, serial=1, lineage="another")
    done = site.run("digest-repair", *TYPED)
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    shown = "\n".join(gate["irreversible"])
    assert f"It is another project's: the version before has the lineage {site.lineage}" in shown
    assert f"The table's checksum is that of version {older}" in shown
    assert len(gate["commands"]) == 3


# What lies on the last whole state


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"version": 4, "serial"'], ids=["empty", "html", "cut"])
def test_what_is_no_state_is_taken_away_behind_the_name_and_kept_here(site: Site, body: bytes) -> None:
    newest = site.seed(serial=5, first="one", second="build-1")
    whole = site.stored()
    bad = site.put(body, digest=False)
    rolled = site.run("state-rollback", *DEV, "--set", f"version={newest}")
    assert rolled.code == 1
    if body:
        assert "infraconsole run state-undelete --service plain --env dev" in rolled.stderr
    refused = site.run("state-undelete", *DEV)
    assert (refused.code, site.versions()) == (3, [bad, newest])
    done = site.run("state-undelete", *TYPED)
    assert done.code == 0, done.stderr
    assert (site.versions(), site.stored()) == ([newest], whole)
    if body:
        assert (site.folder / "runs" / done.run / "removed-1.tfstate").read_bytes() == body
    assert site.deploy().result("read-plan")["words"] == "nothing to do"


def test_another_project_s_state_is_taken_away(site: Site) -> None:
    older = swap(site, serial=1, lineage="another")
    done = site.run("state-undelete", *TYPED)
    assert done.code == 0, done.stderr
    assert site.versions() == [older]
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert "lineage another, written outside of Terraform" in "\n".join(gate["changes"])


def test_a_state_whose_digest_was_only_not_written_is_not_taken_away(site: Site) -> None:
    swap(site)
    before = site.versions()
    done = site.run("state-undelete", *TYPED)
    assert (done.code, site.versions()) == (1, before)


@BOTH
def test_another_project_s_state_that_terraform_was_made_to_store_is_taken_away(site: Site) -> None:
    """As by `state push -force` of a state of another folder: it has its digest."""
    oldest, right = site.seed(serial=4, first="older"), site.seed(serial=5, first="one", second="build-1")
    whole = site.stored()
    wrong = [site.put(state_of({"first": "x"}, serial=serial, lineage="another")) for serial in (1, 2)]
    line = f"infraconsole run state-undelete --service plain --env dev --set version={right}"
    rolled = site.run("state-rollback", *DEV, "--set", f"version={right}")
    assert (rolled.code, line in rolled.stderr) == (1, True), rolled.stderr
    refused = site.run("state-undelete", *TYPED)
    assert (refused.code, "state-undelete" in refused.stderr) == (1, False)
    site.put(state_of({"first": "x"}, serial=1, lineage="third"))
    hinted = site.run("state-undelete", *TYPED)
    assert (hinted.code, f"--set version={wrong[1]}" in hinted.stderr) == (1, True), hinted.stderr

    lower = site.run("state-undelete", *TYPED, "--set", f"version={oldest}")
    assert (lower.code, right in lower.stderr) == (1, True), lower.stderr
    assert site.run("state-undelete", *TYPED, "--set", "version=nothing").code == 2
    done = site.run("state-undelete", *TYPED, "--set", f"version={right}")
    assert done.code == 0, done.stderr
    (gate,) = [each["gate"] for each in done.events if each["kind"] == "gate-opened"]
    assert sum("lineage another" in line for line in gate["changes"]) == 2
    assert any("Terraform loses sight of all 1 resources in it" in line for line in gate["irreversible"])
    assert (site.versions(), site.stored()) == ([right, oldest], whole)
    if site.locking == "dynamodb":
        assert any("digest has to be repaired" in line for line in gate["changes"])
        assert "infraconsole run digest-repair --service plain --env dev" in done.warnings
        assert site.run("digest-repair", *TYPED).code == 0
    assert site.deploy().result("read-plan")["words"] == "nothing to do"


def test_a_state_of_a_newer_terraform_is_not_taken_away(site: Site) -> None:
    site.seed(serial=4, first="one")
    body = json.loads(state_of({"first": "two"}, serial=5, lineage=site.lineage))
    site.put(json.dumps({**body, "version": 5}).encode())
    before = site.versions()
    done = site.run("state-undelete", *TYPED)
    assert (done.code, site.versions()) == (1, before)
    assert "A newer Terraform wrote what is stored" in done.stderr


def test_what_is_brought_back_under_a_digest_of_what_was_taken_away_says_so(site: Site) -> None:
    """Terraform's own error tells people to write the digest by hand."""
    newest = site.seed(serial=4, first="one")
    site.put(b"<html>")
    done = site.run("state-undelete", *TYPED)
    assert (done.code, site.versions()) == (0, [newest])
    assert "infraconsole run digest-repair --service plain --env dev" in done.warnings


# Pushes


@pytest.mark.parametrize("kill", ["before:call-done:push", "after:call-done:push"])
def test_what_was_applied_after_a_push_is_neither_overwritten_nor_is_the_backup(
    site: Site, monkeypatch: pytest.MonkeyPatch, kill: str
) -> None:
    older, _ = site.seed(serial=4, first="one"), site.seed(serial=5, first="two", second="build-1")
    was = site.stored()
    run = site.start(monkeypatch, "state-rollback", kill=kill, version=older)
    site.answer(run, "confirm", "yes")
    site.until_gone(run)
    assert site.values() == {"first": "one"}
    site.somebody_applies("theirs")
    theirs = site.stored()
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, site.stored()) == ("done", theirs)
    assert site.intents(run) == ["terraform:state-push"]
    assert (site.folder / "runs" / run / "backup.tfstate").read_bytes() == was
    assert any("was stored since: not by this run" in said for said in record.warnings)


def test_a_refused_apply_says_that_the_state_was_put_back(site: Site) -> None:
    site.write_vars("dev", value="one", image_tag="build-1")
    older = site.seed(serial=1, first="one", second="build-1", third="x")
    site.seed(serial=2, first="one", second="build-1")
    done = site.run("state-rollback", *DEV, "--set", f"version={older}", "--set", "apply=yes")
    assert done.code == 3
    assert "Done before that: Push the state." in done.stderr
    undo = f"infraconsole run state-rollback --service plain --env dev --set version=backup:{done.run}"
    assert undo in done.warnings


def test_no_undo_is_promised_for_what_was_applied(site: Site) -> None:
    site.write_vars("dev", value="one", image_tag="build-1")
    older = site.seed(serial=1, first="one")
    site.seed(serial=2, first="one", second="build-1")
    done = site.run("state-rollback", *DEV, "--set", f"version={older}", "--set", "apply=yes")
    assert done.code == 0, done.stderr
    assert "it would lose sight of what was made" in done.warnings


def test_the_reason_of_a_rollback_does_not_open_the_window_of_the_apply(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write_settings(prod='window = "Mon 03:00-03:01 UTC"\napprovers = []')
    site.write_vars("prod", value="one", image_tag="build-1")
    older = site.seed("prod", serial=1, first="one")
    site.seed("prod", serial=2, first="one", second="build-1")
    why = "a resource is missing in the state"
    run = site.start(monkeypatch, "state-rollback", environment="prod", version=older, apply="yes", reason=why)
    site.answer(run, "type-target", "plain-prod")
    gate = site.until_gate(run, "reason").gate
    assert "Outside the window Mon 03:00-03:01" in gate.title
    site.answer(run, "reason", "prod is down and nobody else is there")
    site.answer(run, "type-again", "plain-prod")
    assert site.finished(run).outcome == "done"


def test_all_that_goes_is_counted_and_what_holds_state_comes_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older = site.put(state_of({"first": "one"}, serial=1, lineage=site.lineage))
    many = {f"part{number:03}": "x" for number in range(60)}
    document = json.loads(state_of({"first": "two", **many}, serial=2, lineage=site.lineage))
    database = json.loads(json.dumps(document["resources"][0])) | {"type": "aws_db_instance", "name": "zz_database"}
    document["resources"].append(database)
    document["outputs"] = {"endpoint": {"value": "db:3306", "type": "string"}}
    site.put(json.dumps(document).encode())
    run = site.start(monkeypatch, "state-rollback", version=older)
    changes = site.until_gate(run, "confirm").gate.changes
    assert changes[2] == "- aws_db_instance.zz_database: Terraform would not know of it any more"
    assert any(change.startswith("… and 23 more") for change in changes)
    site.answer(run, "confirm", "no")
    assert site.finished(run).outcome == "refused"


# Choosing


def test_versions_that_nobody_can_choose_hide_no_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    good = site.seed(serial=1, first="one")
    for number in range(31):
        site.put(state_of({"first": f"{number}"}, serial=number, lineage="another"))
    archived = client(site.world, "s3").put_object(
        Bucket=site.bucket(), Key=site.key, Body=state_of({}, serial=2, lineage=site.lineage), StorageClass="GLACIER"
    )["VersionId"]
    site.seed(serial=9, first="nine")
    run = site.start(monkeypatch, "state-rollback")
    choices = {choice.id: choice for choice in site.until_gate(run, "version").gate.choices}
    assert "is archived" in choices[archived].why_not
    assert choices[good].why_not == ""
    site.answer(run, "version", good)
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"


@pytest.mark.parametrize(
    ("chosen", "lineage", "words"),
    [
        ("answered", "", "says the same as the stored state"),
        ("set", "", "says the same as the stored state"),
        ("set", "other", "of different projects"),
    ],
    ids=["answered", "set", "of-another-lineage"],
)
def test_what_cannot_be_put_back_leads_back_to_the_choice(
    site: Site, monkeypatch: pytest.MonkeyPatch, chosen: str, lineage: str, words: str
) -> None:
    """Also where the version was set, as the state's own screen does: it is not taken a second time."""
    good = site.seed(serial=1, first="one")
    bad = site.put(state_of({"first": "two"}, serial=2, lineage=lineage or site.lineage))
    site.seed(serial=3, first="two")
    if chosen == "set":
        run = site.start(monkeypatch, "state-rollback", version=bad)
    else:
        run = site.start(monkeypatch, "state-rollback")
        site.answer(run, "version", bad)
    failed = site.until_gate(run, FAILURE_GATE).gate
    assert words in failed.title
    site.answer(run, FAILURE_GATE, "choose-again")
    site.answer(run, "version", good)
    site.answer(run, "confirm", "yes")
    assert site.finished(run).outcome == "done"
    assert site.values() == {"first": "one"}


# A backend that stands in the code alone


@pytest.mark.parametrize("site", ["code"], indirect=True)
def test_a_state_in_s3_of_which_the_settings_know_nothing(site: Site) -> None:
    older, _ = site.seed(serial=1, first="one"), site.seed(serial=2, first="two")
    place = {"bucket": site.bucket(), "key": site.key, "region": site.world.region, "dynamodb_table": TABLE}
    lines = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in place.items())
    site.write(PLAIN.replace(HEAD, f'terraform {{\n  backend "s3" {{\n{lines}    use_path_style = true\n  }}\n}}\n\n'))
    shutil.copytree(site.root / "environments/dev", site.root / "environments/sandbox")
    done = site.run("state-rollback", *DEV, "--set", f"version={older}", environment="sandbox")
    assert done.code == 0, done.stderr
    assert site.values() == {"first": "one"}
    lock = site.put_lock()
    unlocked = site.run("state-unlock", "--answer", "type-target=plain-sandbox", environment="sandbox")
    assert unlocked.code == 0, unlocked.stderr
    assert any(lock in str(each.get("gate")) for each in unlocked.events)
    assert site.lock() is None
