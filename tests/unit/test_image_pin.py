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


def pinned(
    variables: Mapping[str, object], wanted: str = OLD, replaced: str = NEW, *, digest: str = ""
) -> image_pin.Pins:
    names = ("fileflow", "dev", "fileflow-app")
    return image_pin.pins(variables, parse_image(wanted), parse_image(replaced), names=names, digest=digest)


@pytest.mark.parametrize(
    ("variables", "replaced", "values"),
    [
        ({"image_tag": "x", "sidecar_image_tag": "y"}, NEW, {"image_tag": "good123"}),
        # What other images are often tagged with too says nothing.
        ({"image_tag": "x", "xray_image_tag": "latest"}, f"{ECR}/fileflow:latest", {"image_tag": "good123"}),
        ({"image_tag": "latest", "app_image_tag": "v1"}, f"{ECR}/fileflow:latest", {"image_tag": "good123"}),
        ({"schema_version": "42"}, f"{ECR}/fileflow:42", {"image_tag": "good123"}),
        # A sidecar of the same build has the same tag.
        ({"image_tag": "bad1234", "migrations_image_tag": "bad1234"}, NEW, {"image_tag": "good123"}),
        ({"image_tag": "bad1234", "app_version": "bad1234"}, NEW, {"image_tag": "good123"}),
        ({"fileflow_app_image_tag": "x", "fileflow_worker_image_tag": "y"}, NEW, {"fileflow_app_image_tag": "good123"}),
        ({"dev_image_tag": "x", "prod_image_tag": "y"}, NEW, {"dev_image_tag": "good123"}),
        ({"wrapper_image_tag": "y", "app_image_tag": "x"}, NEW, {"app_image_tag": "good123"}),
        ({"imageTag": "bad1234"}, NEW, {"imageTag": "good123"}),
        ({"backend_image_tag": "bad1234", "frontend_image_tag": "ok12345"}, NEW, {"backend_image_tag": "good123"}),
        ({"migration_image": f"{ECR}/fileflow:v1", "image_tag": "bad1234"}, NEW, {"image_tag": "good123"}),
        ({"migration_image": NEW, "image_tag": "bad1234"}, NEW, {"image_tag": "good123"}),
        ({"backend_image": NEW}, NEW, {"backend_image": OLD}),
        ({"backend_image": f"{ECR}/fileflow:latest"}, f"{ECR}/fileflow:latest", {"backend_image": OLD}),
        ({"backend_image": "org/fileflow:latest"}, "org/fileflow:latest", {"backend_image": OLD}),
        ({"sidecar_image_digest": OTHER, "image_tag": "bad1234"}, NEW, {"image_tag": "good123"}),
        # An empty digest leaves it to the tag.
        ({"image_digest": "", "image_tag": "bad1234"}, NEW, {"image_tag": "good123"}),
        (
            {"cache_repository": f"{ECR}/fileflow", "image_repository": f"{ECR}/other", "image_tag": "bad1234"},
            f"{ECR}/other:bad1234",
            {"image_tag": "good123", "image_repository": f"{ECR}/fileflow"},
        ),
    ],
)
def test_the_variable_of_another_container_is_not_taken(
    variables: Mapping[str, str], replaced: str, values: Mapping[str, str]
) -> None:
    assert pinned(variables, replaced=replaced, digest=DIGEST).values == values


@pytest.mark.parametrize(
    "variables",
    [
        {"sidecar_image_tag": "stable"},
        {"api_image_tag": "x", "worker_image_tag": "y"},
        {"api_image_tag": "bad1234", "worker_image_tag": "bad1234"},
        {"image_tag": "x", "app_image_tag": "y"},
        {"image_tag": "x", "backend_image_tag": "bad1234"},
        {"blue_image": f"{ECR}/fileflow:bad1234", "green_image": f"{ECR}/fileflow:bad1234"},
        {"backend_image": NEW, "image_tag": "x"},
        {"blue_image": NEW, "green_image": NEW, "image_tag": "x"},
        {"services": [{"name": "fileflow", "tag": "bad1234"}]},
    ],
)
def test_where_it_cannot_be_told_which_variable_it_is_all_are_named_and_none_is_taken(
    variables: Mapping[str, object],
) -> None:
    found = pinned(variables)
    assert not found.values
    assert "cannot be told" in found.why_not
    assert all(key in found.why_not for key in variables)
    assert not image_pin.are_so(variables, found)


def test_of_two_repositories_none_is_taken() -> None:
    both = {"a_repository": f"{ECR}/other", "b_repository": f"{ECR}/other", "image_tag": "bad1234"}
    assert "a_repository or b_repository" in pinned(both, replaced=f"{ECR}/other:bad1234").why_not


@pytest.mark.parametrize("variables", [{"image_digest": OTHER}, {"image_digest": OTHER, "image_tag": "good123"}])
def test_a_digest_that_nobody_knows_is_not_pinned_by_the_tag_beside_it(variables: Mapping[str, str]) -> None:
    """With both, the digest decides what is pulled: the tag alone is no pin, whatever it says."""
    found = pinned(variables)
    assert not found.values
    assert "image_digest" in found.why_not
    assert "digest" in found.why_not
    known = pinned(variables, digest=DIGEST)
    assert known.values == {**({"image_tag": "good123"} if "image_tag" in variables else {}), "image_digest": DIGEST}
    assert not image_pin.are_so(variables, known)
    assert image_pin.are_so({**variables, "image_digest": DIGEST}, known)
