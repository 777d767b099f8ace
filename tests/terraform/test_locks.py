"""A state that no lock protects is said before every change of it, in every environment, and what the settings do not name is
locked by file."""

from __future__ import annotations

import json

import pytest

from tests.terraform.conftest import HEAD, VARIABLES, Site, SiteFactory, data
from tests.world.conftest import client

pytestmark = pytest.mark.slow

NO_LOCK = "No lock protects this state: two deploys at the same time lose resources."
DANGER = ("--answer", "type-danger=plain-dev")


@pytest.fixture
def unlocked(site_factory: SiteFactory) -> Site:
    return site_factory("off")


@pytest.fixture
def unset(site_factory: SiteFactory) -> Site:
    """Neither the settings nor the code name a lock."""
    return site_factory("code")


def opened(site: Site, run: str) -> list[dict[str, object]]:
    return [dict(event.data["gate"]) for event in site.events(run, "gate-opened")]


def test_a_deploy_of_dev_without_a_lock_is_typed_and_says_why(unlocked: Site) -> None:
    site = unlocked
    site.seed(first="old", second="build-1")
    refused = site.deploy("--answer", "confirm=yes", "--answer", "type-target=plain-dev")
    assert refused.code == 3, refused.stderr
    (gate,) = opened(site, refused.run)
    assert (gate["id"], gate["kind"], gate["expected"]) == ("type-danger", "type", "plain-dev")
    changes = gate["changes"]
    assert isinstance(changes, list)
    assert changes[0].startswith(f"Error: {NO_LOCK}")
    assert "Remove use_lockfile = false from [environments.dev], or set lock_table." in changes[0]
    assert NO_LOCK in refused.warnings
    assert site.values()["first"] == "old"
    done = site.deploy(*DANGER)
    assert done.code == 0, done.stderr
    assert site.values()["first"] == "one"


def test_a_state_rollback_without_a_lock_is_typed_for_the_push_and_for_the_apply(unlocked: Site) -> None:
    site = unlocked
    first = site.seed(first="one", second="build-1")
    site.seed(serial=2, first="two", second="build-1")
    asked = ("--set", f"version={first}")
    refused = site.run("state-rollback", *asked, "--answer", "confirm=yes")
    assert refused.code == 3
    assert [gate["id"] for gate in opened(site, refused.run)] == ["type-danger"]
    assert site.serial == 2
    done = site.run("state-rollback", *asked, *DANGER)
    assert done.code == 0, done.stderr
    assert site.values()["first"] == "one"


def test_an_undelete_without_a_lock_is_typed(unlocked: Site) -> None:
    site = unlocked
    site.seed(first="one", second="build-1")
    client(site.world, "s3").delete_object(Bucket=site.bucket(), Key=site.key)
    refused = site.run("state-undelete", "--answer", "confirm=yes")
    assert refused.code == 3, refused.stderr
    assert [gate["id"] for gate in opened(site, refused.run)] == ["type-danger"]
    done = site.run("state-undelete", *DANGER)
    assert done.code == 0, done.stderr
    assert site.values()["first"] == "one"


def test_a_recovered_state_without_a_lock_is_typed(unlocked: Site) -> None:
    site = unlocked
    site.seed(first="one", second="build-1")
    left = json.loads(site.stored())
    left["serial"] = 5
    left["outputs"] = {"x": {"value": "y", "type": "string"}}
    (site.root / "errored.tfstate").write_text(json.dumps(left))
    refused = site.run("state-recover", "--set", "action=push", "--answer", "confirm=yes")
    assert refused.code == 3, refused.stderr
    assert [gate["id"] for gate in opened(site, refused.run)] == ["type-danger"]
    done = site.run("state-recover", "--set", "action=push", *DANGER)
    assert done.code == 0, done.stderr


def test_what_names_no_lock_is_locked_by_file_and_set_up_again_without_asking(unset: Site) -> None:
    """An earlier init without a lock is no hindrance."""
    site = unset
    site.write(f"{HEAD}{VARIABLES}{data('first')}")
    site.write_settings()
    site.settings.write_text(site.settings.read_text().replace("state_key", "use_lockfile = false\nstate_key"))
    before = site.run("deploy", "--dry-run")
    assert before.code == 0, before.stderr
    assert NO_LOCK in before.warnings
    site.write_settings()
    site.world.forget_calls()
    done = site.run("deploy", "--answer", "type-target=plain-dev")
    assert done.code == 0, done.stderr
    assert NO_LOCK not in done.stderr
    assert done.result("init")["why"] == "the backend's settings have changed"
    puts = [call for call in site.world.calls("s3", "PutObject") if call["accepted"]]
    assert len(puts) >= 3, "the lock of the plan, that of the apply, and the state"
    listed = client(site.world, "s3").list_object_versions(Bucket=site.bucket(), Prefix=f"{site.key}.tflock")
    assert len(listed.get("Versions", ())) == 2
    assert listed.get("DeleteMarkers"), "and given back"


def test_a_lock_that_only_the_code_names_is_enough(unset: Site) -> None:
    site = unset
    site.write(
        f'terraform {{\n  backend "s3" {{\n    dynamodb_table = "terraform-lock"\n  }}\n}}\n{VARIABLES}{data("first")}'
    )
    done = site.run("deploy", "--answer", "type-target=plain-dev")
    assert done.code == 0, done.stderr
    listed = client(site.world, "s3").list_object_versions(Bucket=site.bucket(), Prefix=f"{site.key}.tflock")
    assert not listed.get("Versions"), "no second lock beside the code's own"


def test_the_doctor_names_each_state_without_a_lock(unlocked: Site) -> None:
    done = unlocked.console("doctor", "--json")
    assert done.returncode == 1
    found = [each for each in json.loads(done.stdout)["findings"] if each["id"] == "state-unlocked"]
    assert [(each["level"], each["subject"]) for each in found] == [("error", "plain dev"), ("error", "plain prod")]
    assert all("Remove use_lockfile = false" in each["mend"] for each in found)
