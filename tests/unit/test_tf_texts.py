"""Terraform's prose: each text as it was printed, wrapped, boxed and coloured, and what only looks like one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from infraconsole.terraform import events
from infraconsole.terraform.texts import Kind, normalised, trouble, troubles

LOCK_S3 = """
Error: Error acquiring the state lock

Error message: operation error S3: PutObject, https response error
StatusCode: 412, RequestID:
JvHkOisllKOX9ggoNT5sUouBtVN7iNd8PNowgTULxDm23pbcJx5D, HostID:
9Gjjt1m+cjU4OPvX9O9/8RuvnG41MRb/18Oux2o5H5MY7ISNTlXN+Dz9IG62/ILVxhAGI0qyPfg=,
api error PreconditionFailed: At least one of the pre-conditions you
specified did not hold
Lock Info:
  ID:        4cf7213a-09cc-1115-d545-4c15f7daf551
  Path:      ryuqqq-dev-tfstate/x/terraform.tfstate
  Operation: OperationTypeApply
  Who:       root@vm
  Version:   1.11.4
  Created:   2026-11-25 01:53:05.400205868 +0000 UTC
  Info:      


Terraform acquires a state lock to protect the state from being written
by multiple users at the same time. Please resolve the issue above and try
again. For most commands, you can disable locking with the "-lock=false"
flag, but this is not recommended.
"""  # noqa: W291

DIGEST = """[31mFailed to refresh state: state data in S3 does not have the expected content.

The checksum calculated for the state stored in S3 does not match the checksum
stored in DynamoDB.

Bucket: ryuqqq-dev-tfstate
Key:    d/terraform.tfstate
Calculated checksum: c072adcb57931687dd897a85b0a61a33
Stored checksum:     b0977c88009ce18a8140dfa1c099d321

This may be caused by unusually long delays in S3 processing a previous state
update. Please wait for a minute or two and try again.
\x1b[0m\x1b[0m""".replace("[31m", "\x1b[31m", 1)

NOT_PERSISTED = """
Error: Failed to save state

Error saving state: failed to upload state: operation error S3: PutObject, exceeded maximum number of attempts

Error: Failed to persist state to backend

The error shown above has prevented Terraform from writing the updated state
to the configured backend. To allow for recovery, the state has been written
to the file "errored.tfstate" in the current working directory.
"""

SAMPLES = {
    Kind.STALE_PLAN: "Error: Saved plan is stale\n\nThe given plan file can no longer be applied because the state\n",
    Kind.PLAN_OF_OTHER_STATE: "Error: Saved plan does not match the given state\n\nThe given plan file can not be applied",
    Kind.OLDER_SERIAL: "Failed to write state: cannot import state with serial 2 over newer state with serial 3",
    Kind.SAME_SERIAL: "Failed to write state: cannot overwrite existing state with serial 1 with a different state that"
    " has the same serial",
    Kind.OTHER_LINEAGE: 'Failed to write state: cannot import state with lineage "a-1" over unrelated state with lineage "b-2"',
    Kind.DIGEST_MISMATCH: DIGEST,
    Kind.INIT_REQUIRED: 'Error: Backend initialization required, please run "terraform init"\n\nReason: Initial',
    Kind.LOCK_FILE_INCONSISTENT: "Error: Inconsistent dependency lock file\n\nThe following dependency selections",
    Kind.NO_CREDENTIALS: "Error: No valid credential sources found\n\nPlease see https://developer.hashicorp.com",
    Kind.CREDENTIALS_EXPIRED: "api error ExpiredToken: The provided token has expired.",
    Kind.NO_BUCKET: 'Error: Failed to get existing workspaces: S3 bucket "nosuch-bucket-x" does not exist.\n\nThe referenced',
    Kind.STATE_NOT_PERSISTED: NOT_PERSISTED,
    Kind.STATE_LOST: "Error: Failed to persist state to backend\n\nThe errors shown above prevented Terraform from writing"
    " the updated state to\nthe configured backend and from creating a local backup file.",
    Kind.MODULE_MISSING: 'Error: Module not installed\n\n  on main.tf line 9:\n   9: module "m" {',
    Kind.PROVIDER_UNAVAILABLE: "Error: Failed to query available provider packages\n\nCould not retrieve the list",
    Kind.CANCELED: "\nTwo interrupts received. Exiting immediately. Note that data loss may have occurred.\n",
    Kind.INTERRUPTED: "\nInterrupt received.\nPlease wait for Terraform to exit or data loss may occur.\nGracefully",
    Kind.LOCK_HELD: LOCK_S3,
    Kind.LOCK_FAILED: "Error: Error acquiring the state lock\n\nError message: operation error DynamoDB: PutItem,"
    " ResourceNotFoundException: Requested resource not found",
    Kind.LOCK_NOT_RELEASED: "Error: Error releasing the state lock\n\nError message: failed to retrieve lock info",
    Kind.BACKEND_MISSING: 'Warning: Missing backend configuration\n\n-backend-config was used without a "backend" block in\n'
    "the configuration.",
}


def boxed(text: str) -> str:
    inner = "\n".join(f"\x1b[31m│\x1b[0m \x1b[0m{line}" for line in text.splitlines())
    return f"\x1b[31m╷\x1b[0m\n{inner}\n\x1b[31m╵\x1b[0m\n"


def wrapped(text: str) -> str:
    """Broken at every blank, as the narrowest terminal would."""
    return text.replace(" ", "\n")


def test_every_kind_has_a_sample() -> None:
    assert set(SAMPLES) == set(Kind)


@pytest.mark.parametrize("kind", list(SAMPLES))
def test_recognised_however_it_is_printed(kind: Kind) -> None:
    text = SAMPLES[kind]
    for printed in (text, boxed(text), text.replace("\n", "\r\n"), f"Warning: x\n\n{text}\n\nmore"):
        found = trouble(printed)
        assert found is not None
        assert found.kind is kind
        assert "\n" not in found.words
    if kind is not Kind.LOCK_HELD:  # its fields stand in lines that Terraform never wraps
        narrow = trouble(wrapped(text))
        assert narrow is not None
        assert narrow.kind is kind


@pytest.mark.parametrize("kind", list(SAMPLES))
def test_recognised_in_json_diagnostics(kind: Kind) -> None:
    summary, _, detail = SAMPLES[kind].strip().removeprefix("Error: ").partition("\n\n")
    raw = {
        "@message": "m",
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": summary, "detail": detail},
    }
    diagnostic = events.parse(json.dumps(raw))
    assert isinstance(diagnostic, events.Diagnostic)
    found = trouble(f"{diagnostic.summary}\n\n{diagnostic.detail}")
    assert found is not None
    assert found.kind is kind


@pytest.mark.parametrize("printed", [LOCK_S3, boxed(LOCK_S3), LOCK_S3.replace("\n", "\r\n")])
def test_the_holder_of_the_lock(printed: str) -> None:
    found = trouble(printed)
    assert found is not None
    assert found.lock is not None
    assert (found.lock.id, found.lock.path) == (
        "4cf7213a-09cc-1115-d545-4c15f7daf551",
        "ryuqqq-dev-tfstate/x/terraform.tfstate",
    )
    assert (found.lock.operation, found.lock.who, found.lock.version) == ("OperationTypeApply", "root@vm", "1.11.4")
    assert found.lock.created == datetime(2026, 11, 25, 1, 53, 5, 400205, UTC)
    assert found.lock.info == ""


def test_a_lock_that_was_released_meanwhile_has_no_holder() -> None:
    found = trouble(LOCK_S3.partition("Lock Info:")[0])
    assert found is not None
    assert (found.kind, found.lock) == (Kind.LOCK_HELD, None)


def test_a_holder_cannot_pose_as_another_field() -> None:
    hostile = LOCK_S3.replace("root@vm", "Path: evil Created: 2000-01-01 00:00:00 +0000 UTC\x1b[2J")
    found = trouble(hostile)
    assert found is not None
    assert found.lock is not None
    assert found.lock.path == "ryuqqq-dev-tfstate/x/terraform.tfstate"
    assert found.lock.created == datetime(2026, 11, 25, 1, 53, 5, 400205, UTC)
    unparsable = trouble(LOCK_S3.replace("2026-11-25 01", "2026-13-45 01"))
    assert unparsable is not None
    assert unparsable.lock is not None
    assert unparsable.lock.created is None


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (Kind.OLDER_SERIAL, {"pushed": "2", "stored": "3"}),
        (Kind.SAME_SERIAL, {"stored": "1"}),
        (Kind.OTHER_LINEAGE, {"pushed": "a-1", "stored": "b-2"}),
        (Kind.NO_BUCKET, {"bucket": "nosuch-bucket-x"}),
        (
            Kind.DIGEST_MISMATCH,
            {
                "bucket": "ryuqqq-dev-tfstate",
                "key": "d/terraform.tfstate",
                "calculated": "c072adcb57931687dd897a85b0a61a33",
                "stored": "b0977c88009ce18a8140dfa1c099d321",
            },
        ),
    ],
)
def test_what_the_text_names(kind: Kind, detail: dict[str, str]) -> None:
    found = trouble(SAMPLES[kind])
    assert found is not None
    assert found.detail == detail


def test_the_most_urgent_comes_first() -> None:
    both = SAMPLES[Kind.INTERRUPTED] + LOCK_S3 + NOT_PERSISTED
    assert [each.kind for each in troubles(both)] == [Kind.STATE_NOT_PERSISTED, Kind.INTERRUPTED, Kind.LOCK_HELD]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
        "Acquiring state lock. This may take a few moments...",
        "Warning: Unable to open CLI configuration file",
        "Error: Invalid value for variable",
        "\x00" * 1000,
    ],
)
def test_nothing_is_recognised_in_other_text(text: str) -> None:
    assert trouble(text) is None


def test_large_text_is_looked_at_from_its_end() -> None:
    assert trouble("x " * 2_000_000 + "Saved plan is stale") is not None
    assert normalised("╷\n│ a  b\n╵ \x1b[31mc\x1b[0m") == "a b c"
