"""Which version of a state Terraform stored last, by what the lock table keeps."""

from __future__ import annotations

import pytest

from infraconsole.checks.state_digest import last_stored
from infraconsole.terraform.state import StateSummary


def state(serial: int, lineage: str = "ours") -> StateSummary:
    return StateSummary(serial, lineage, "1.9.8", 3, 100, md5=f"{lineage}-{serial}")


@pytest.mark.parametrize(
    ("versions", "digest", "place"),
    [
        ([state(3), state(2)], "", 0),
        ([state(3), state(2)], "ours-3", 0),
        ([None, state(3), state(2)], "ours-3", 1),
        ([state(3), state(2)], "ours-2", 0),
        ([state(2), state(3)], "ours-3", 1),
        ([state(9, "theirs"), state(3)], "ours-3", 1),
        ([None, state(9, "theirs"), None, state(3)], "ours-3", 3),
        ([state(9, "theirs"), state(3)], "theirs-9", 0),
        ([state(9, "theirs"), state(3)], "of-nobody", 0),
        ([None, None], "ours-3", None),
        ([], "", None),
    ],
    ids=[
        "no-table",
        "agrees",
        "something-lies-on-it",
        "digest-not-written-yet",
        "an-older-one-put-on-top",
        "another-project-s",
        "several-lie-on-it",
        "made-to-store-it",
        "a-digest-of-nothing-known",
        "nothing-whole",
        "nothing",
    ],
)
def test_the_last_one_that_terraform_stored(
    versions: list[StateSummary | None], digest: str, place: int | None
) -> None:
    assert last_stored(versions, digest) == place
