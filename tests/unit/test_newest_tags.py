"""The newest tags of a repository, whatever order ECR lists its images in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from infraconsole.aws.ecr import Ecr, parse_image
from tests.unit.test_aws_services import FakeAccess

NOW = datetime(2026, 11, 30, tzinfo=UTC)
IMAGE = parse_image("123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/fileflow:v1")


def image(age_days: int, *tags: str) -> dict[str, object]:
    return {
        "imageDigest": f"sha256:{age_days}",
        "imageTags": list(tags),
        "imagePushedAt": NOW - timedelta(days=age_days),
    }


def test_the_newest_come_first_from_every_page() -> None:
    pages = [
        {"imageDetails": [image(9, "v1"), image(1, "v8", "latest")]},
        {"imageDetails": [image(3, "v7"), image(0, "v9")]},
    ]
    access = FakeAccess(DescribeImages=pages)
    found = Ecr(access).newest_tags(IMAGE, 4)
    assert [each.tag for each in found] == ["v9", "v8", "latest", "v7"]
    assert found[0].pushed_at == NOW


def test_an_image_without_a_time_comes_last() -> None:
    access = FakeAccess(
        DescribeImages=[{"imageDetails": [{"imageTags": ["odd"]}, image(3, "v7"), {"imageDigest": "x"}]}]
    )
    assert [each.tag for each in Ecr(access).newest_tags(IMAGE, 4)] == ["v7", "odd"]
