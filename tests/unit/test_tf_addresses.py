"""Addresses as they are typed: what parts them, and what names nothing."""

from __future__ import annotations

import pytest

from infraconsole.engine.catalogue import runbook
from infraconsole.errors import UsageError
from infraconsole.terraform.addresses import split


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("aws_x.y", ("aws_x.y",)),
        (" aws_x.y , module.a.aws_x.z,", ("aws_x.y", "module.a.aws_x.z")),
        ('aws_x.y["a,b"],aws_x.z[0]', ('aws_x.y["a,b"]', "aws_x.z[0]")),
        (r'aws_x.y["a\",b"],aws_x.z', (r'aws_x.y["a\",b"]', "aws_x.z")),
        (r'aws_x.y["a\\"],aws_x.z', (r'aws_x.y["a\\"]', "aws_x.z")),
        ('module.a["x]y,z"].aws_x.y', ('module.a["x]y,z"].aws_x.y',)),
    ],
)
def test_commas_in_keys_part_nothing(text: str, found: tuple[str, ...]) -> None:
    assert split(text) == found


@pytest.mark.parametrize("text", ["", " ", ",", " , ,", 'aws_x.y["a', "aws_x.y[0,aws_x.z"])
def test_what_names_nothing_or_is_not_closed_is_refused_before_a_deploy_begins(text: str) -> None:
    with pytest.raises(UsageError):
        split(text)
    given = {"service": "plain", "environment": "dev", "targets": text}
    with pytest.raises(UsageError) as caught:
        runbook("deploy").checked_inputs(given)
    assert caught.value.exit_code == 2
