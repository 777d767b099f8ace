"""What has to stand in the variables so that Terraform brings one image and no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from infraconsole.aws.ecr import parse_image
from infraconsole.checks import image_pin

ECR = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
OLD, NEW = f"{ECR}/fileflow:good123", f"{ECR}/fileflow:bad1234"
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("variables", "wanted", "replaced", "values"),
    [
        ({"image_tag": "bad1234"}, OLD, NEW, {"image_tag": "good123"}),
        ({}, OLD, NEW, {"image_tag": "good123"}),
        ({"desired": "3"}, OLD, NEW, {"image_tag": "good123"}),
        ({"image": NEW, "image_tag": "x"}, OLD, NEW, {"image": OLD}),
        ({"container_image": NEW}, f"{ECR}/fileflow@{DIGEST}", NEW, {"container_image": f"{ECR}/fileflow@{DIGEST}"}),
        ({"image_digest": OTHER}, f"{ECR}/fileflow@{DIGEST}", f"{ECR}/fileflow@{OTHER}", {"image_digest": DIGEST}),
        ({"app_version": "bad1234"}, OLD, NEW, {"app_version": "good123"}),
        ({"app_image_tag": "bad1234", "router_image_tag": "stable"}, OLD, NEW, {"app_image_tag": "good123"}),
        ({"fileflow_image_tag": "x", "router_image_tag": "y"}, OLD, NEW, {"fileflow_image_tag": "good123"}),
        (
            {"image_repository": f"{ECR}/other", "image_tag": "bad1234"},
            OLD,
            f"{ECR}/other:bad1234",
            {"image_tag": "good123", "image_repository": f"{ECR}/fileflow"},
        ),
        ({"image_repository": f"{ECR}/fileflow", "image_tag": "bad1234"}, OLD, NEW, {"image_tag": "good123"}),
    ],
)
def test_the_variables_that_bring_the_image(
    variables: Mapping[str, str], wanted: str, replaced: str, values: Mapping[str, str]
) -> None:
    found = image_pin.pins(variables, parse_image(wanted), parse_image(replaced), names=("fileflow",))
    assert found.values == values
    assert image_pin.are_so({**variables, **values}, found)
    assert not image_pin.are_so(variables, found)


def test_a_tag_of_another_repository_is_never_pinned() -> None:
    found = image_pin.pins({"image_tag": "bad1234"}, parse_image(f"{ECR}/legacy:stable"), parse_image(NEW))
    assert not found.values
    assert "another repository" in found.why_not


def test_a_digest_has_the_tag_that_the_registry_knows_or_none() -> None:
    wanted = parse_image(f"{ECR}/fileflow@{DIGEST}")
    assert image_pin.pins({"image_tag": "x"}, wanted, parse_image(NEW), tags=("v7",)).values == {"image_tag": "v7"}
    assert "no tag" in image_pin.pins({"image_tag": "x"}, wanted, parse_image(NEW)).why_not
    tagged = image_pin.pins({"image_digest": OTHER}, parse_image(OLD), parse_image(NEW), digest=DIGEST)
    assert tagged.values == {"image_digest": DIGEST}


def test_what_has_neither_tag_nor_digest_cannot_be_pinned() -> None:
    found = image_pin.pins({"image_tag": "x"}, parse_image(f"{ECR}/fileflow"), parse_image(NEW))
    assert "neither tag nor digest" in found.why_not
    assert not image_pin.are_so({}, found)
