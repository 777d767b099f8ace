"""What a program prints is not taken for a fact: a provisioner, a value or a check that speaks as Terraform and AWS do makes
nothing run again, and names nothing that is not there. Counted in the run's records and at the API."""

from __future__ import annotations

import json

import pytest

from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.terraform import backend
from tests.terraform.conftest import HEAD, VARIABLES, Site, data

pytestmark = pytest.mark.slow

EXPIRED = "operation error S3: GetObject, api error ExpiredToken: The provided token has expired."
WORDS = {
    "expired": EXPIRED,
    "not-persisted": "Error: Failed to persist state to backend. The state lies in errored.tfstate",
    "lost": "This prevented Terraform from writing the updated state to the configured backend and from creating a backup",
    "locked": "Error acquiring the state lock\n\nLock Info:\n  ID:        1a2b\n  Who:       lee@laptop\n",
    "stale": "Error: Saved plan is stale",
    "digest": "state data in S3 does not have the expected content.",
    "bucket": 'S3 bucket "plain" does not exist.',
    "init": 'Backend initialization required, please run "terraform init"',
    "canceled": "operation canceled",
    "unreleased": "Error releasing the state lock",
}
CLAIMS = {
    "expired": "The credentials have expired",
    "not-persisted": "it lies in errored.tfstate",
    "lost": "could not be stored",
    "locked": "The state is locked",
    "stale": "The plan is stale",
    "digest": "not the one that its digest was made of",
    "bucket": "bucket does not exist",
    "init": "Run it again",
    "canceled": "canceled",
    "unreleased": "was not released",
}


def check(words: str) -> str:
    """A check of the code's own that fails while the plan is made, in these words."""
    return (
        'output "checked" {\n  value = "x"\n  precondition {\n    condition     = var.value == "never"\n'
        f"    error_message = {json.dumps(f'Refused: {words}.')}\n  }}\n}}\n"
    )


def printing(site: Site, words: str, code: int) -> str:
    """A resource whose provisioner prints these words and ends with that code."""
    said = site.folder.parent / "said"
    said.write_text(f"{words}\n")
    command = f"echo x >> '{site.log}'; cat '{said}'; cat '{said}' >&2; exit {code}"
    return data("loud", "var.value", f'  provisioner "local-exec" {{\n    command = {json.dumps(command)}\n  }}\n')


def plans(site: Site, run: str) -> int:
    return len(site._records(run, "plan"))


def locks_taken(site: Site) -> int:
    """How often the lock of this test's state was written into the table."""
    calls = site.world.calls("dynamodb", "PutItem")
    return sum(call["accepted"] for call in calls)


def test_a_check_that_speaks_of_expired_credentials_fails_the_plan_once(site: Site) -> None:
    site.seed(first="one", second="build-1")
    site.write(f"{site.main.read_text()}{check(EXPIRED)}")
    site.world.forget_calls()
    done = site.deploy()
    assert done.code == 1, done.stderr
    assert (plans(site, done.run), locks_taken(site)) == (1, 1)
    assert done.count("waiting") == 0
    assert "The credentials have expired" not in done.stderr
    assert "AWS accepts those of this run" in done.stderr
    assert "ExpiredToken" in done.stderr, "Terraform's own words stay"


def test_a_value_that_speaks_of_expired_credentials_is_not_even_asked_about(site: Site) -> None:
    site.seed(first=EXPIRED, second="build-1")
    site.write_vars("dev", value=EXPIRED)
    site.write(f"{HEAD}{VARIABLES}{data('first')}{check('no reason')}")
    done = site.deploy()
    assert done.code == 1, done.stderr
    assert plans(site, done.run) == 1
    assert "AWS accepts" not in done.stderr


@pytest.mark.parametrize("kind", WORDS)
def test_a_provisioner_that_prints_terraform_s_own_words_makes_nobody_believe_them(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    site.write(f"{HEAD}{VARIABLES}{data('first')}{printing(site, WORDS[kind], 1)}")
    run = site.start(monkeypatch)
    site.answer(run, "confirm", "yes")
    failed = site.until_gate(run, FAILURE_GATE).gate
    said = "\n".join((failed.title, *failed.changes, *site.record(run).warnings))
    assert CLAIMS[kind] not in failed.title
    assert "state-recover" not in said
    assert "state-unlock" not in said
    assert not (site.root / backend.ERRORED_STATE).exists()
    assert (site.applies(run), site.makings, plans(site, run)) == (1, 1, 1)
    site.answer(run, FAILURE_GATE, "stop")
    site.finished(run)
    assert site.lock() is None
    assert "first" in site.values()


@pytest.mark.parametrize("kind", WORDS)
def test_what_a_provisioner_prints_that_ends_well_counts_for_nothing(site: Site, kind: str) -> None:
    site.write(f"{HEAD}{VARIABLES}{data('first')}{printing(site, WORDS[kind], 0)}")
    done = site.deploy()
    assert done.code == 0, done.stderr
    assert (site.applies(done.run), site.makings, plans(site, done.run)) == (1, 1, 1)
    assert CLAIMS[kind] not in done.warnings


def test_a_lock_that_somebody_holds_is_named_from_the_lock_itself(site: Site) -> None:
    """The words come from Terraform this time, and the fact agrees."""
    site.seed(first="one", second="build-1")
    run_ended = site.run("deploy", "--dry-run")
    assert run_ended.code == 0, run_ended.stderr
    site.write(f"{site.main.read_text()}# touched, so that the next deploy has to set up again\n")
    lock = site.put_lock()
    done = site.deploy()
    assert done.code == 1
    assert lock in done.stderr
    assert "lee@laptop" in done.stderr
