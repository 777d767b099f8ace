"""Addresses with commas between them, as a person types them."""

from __future__ import annotations

import pytest

from infraconsole.terraform.addresses import split


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ()),
        (",", ()),
        (" , ,", ()),
        ("aws_ecs_service.app", ("aws_ecs_service.app",)),
        (" a.b , c.d,", ("a.b", "c.d")),
        ('aws_x.y["a,b"],module.z["q\\",r"].aws_v.w[0]', ('aws_x.y["a,b"]', 'module.z["q\\",r"].aws_v.w[0]')),
    ],
)
def test_split(words: str, found: tuple[str, ...]) -> None:
    assert split(words) == found
