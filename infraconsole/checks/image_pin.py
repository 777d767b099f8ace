"""Which variables an image is taken from, and what they have to say so that Terraform brings that image and no other. Variables may
hold a tag, a digest, a repository, or a whole image. Pure; nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.aws.ecr import ImageReference, parse_image

USUAL = "image_tag"
_TAG = re.compile(r"(?:^|_)(?:tag|version)$|image_tag|image_version")
_DIGEST = re.compile(r"digest")
_IMAGE = re.compile(r"image")


@dataclass(frozen=True)
class Pins:
    """`values` by variable, the one that says most first: all have to be so. Without any, `why_not` says why the image cannot be
    pinned by variables, as a sentence."""

    values: Mapping[str, str]
    why_not: str = ""


def pins(
    variables: Mapping[str, Any],
    wanted: ImageReference,
    replaced: ImageReference | None,
    *,
    names: Sequence[str] = (),
    tags: Sequence[str] = (),
    digest: str = "",
) -> Pins:
    """For `wanted` in the place of `replaced`. `names` are those of the service and its container, to tell variables of several
    containers apart; `tags` and `digest` what the registry calls the same image."""
    given = {key: value for key, value in variables.items() if isinstance(value, str)}
    known = [image for image in (wanted, replaced) if image is not None]
    if whole := _nearest([key for key in given if _is_whole(key, given[key], known)], given, replaced, names):
        return Pins({whole: wanted.text})
    values: dict[str, str] = {}
    by_digest = _nearest([key for key in given if _DIGEST.search(key)], given, replaced, names)
    if by_digest and (wanted.digest or digest):
        values[by_digest] = wanted.digest or digest
    by_tag = _nearest([key for key in given if _is_tag(key, given[key], replaced)], given, replaced, names)
    tag = wanted.tag or next(iter(tags), "")
    if not by_digest or (by_tag and tag):
        if not tag:
            return Pins({}, _no_tag(wanted))
        values[by_tag or USUAL] = tag
    if replaced is None or wanted.is_of(replaced):
        return Pins(values)
    repository = next((key for key, value in given.items() if _is_repository(value, known)), "")
    if not repository:
        return Pins(
            {}, f"{wanted.text} is of another repository than {replaced.text}: no tag in the variables brings it."
        )
    return Pins({**values, repository: f"{wanted.registry}/{wanted.repository}".lstrip("/")})


def are_so(variables: Mapping[str, Any], wanted: Pins) -> bool:
    return bool(wanted.values) and all(variables.get(key) == value for key, value in wanted.values.items())


def _no_tag(wanted: ImageReference) -> str:
    if wanted.digest:
        return f"{wanted.text} is named by its digest, and has no tag that the variables could name."
    return f"{wanted.text} has neither tag nor digest: what it is changes with each push."


def _is_whole(key: str, value: str, known: Sequence[ImageReference]) -> bool:
    image = parse_image(value)
    named = image.tag or image.digest
    return bool(image.repository and named) and any(image.is_of(each) for each in known) and not _DIGEST.search(key)


def _is_repository(value: str, known: Sequence[ImageReference]) -> bool:
    image = parse_image(value)
    return not (image.tag or image.digest) and any(image.is_of(each) for each in known)


def _is_tag(key: str, value: str, replaced: ImageReference | None) -> bool:
    if _DIGEST.search(key) or "/" in value or ":" in value:
        return False
    if replaced is not None and replaced.tag and value == replaced.tag and (_IMAGE.search(key) or _TAG.search(key)):
        return True
    return bool(_IMAGE.search(key) and _TAG.search(key))


def _nearest(
    keys: Sequence[str], given: Mapping[str, str], replaced: ImageReference | None, names: Sequence[str]
) -> str:
    """The variable that is most likely that of this container: the one that says what is replaced, the usual one, one called
    like the container or the service; else the only one. "" where there is none, or no telling."""
    now = {replaced.tag, replaced.digest, replaced.text} - {""} if replaced else set()
    says = [key for key in keys if given[key] in now]
    for some in (says, keys):
        if len(some) == 1:
            return some[0]
        if USUAL in some:
            return USUAL
        called = [key for key in some if any(name.replace("-", "_") in key for name in names)]
        if len(called) == 1:
            return called[0]
    return ""
