"""Which variables an image is taken from, and what they have to say so that Terraform brings that image and no other. Variables may
hold a tag, a digest, a repository, or a whole image. Pure; nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infraconsole.aws.ecr import ImageReference, parse_image

USUAL = "image_tag"
_PARTS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_NO_OTHERS = frozenset(
    (
        *("image", "images", "tag", "version", "digest", "sha", "repository", "repo", "name", "url", "uri", "ref"),
        *("app", "application", "container", "docker", "ecr", "ecs", "task", "service"),
    )
)
"""What a variable of the application's own image is called by; any other word may name another container."""
_LEAST_TELLING = 4
"""Characters of a tag that two images hardly have by chance, if a digit is among them: `latest` and `7` say nothing."""


@dataclass(frozen=True)
class Pins:
    """`values` by variable, the one that says most first: all have to be so. Without any, `why_not` says why the image cannot be
    pinned by variables, as a sentence."""

    values: Mapping[str, str]
    why_not: str = ""


@dataclass(frozen=True)
class _Found:
    """The variable that brings a part of the image, "" where none does or that cannot be told: then it may be one of `rivals`."""

    key: str = ""
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Variables:
    """Those of the code, for the image `replaced`. `names` are those of the service and its container."""

    all: Mapping[str, Any]
    wanted: ImageReference
    replaced: ImageReference | None
    names: Sequence[str]

    @property
    def given(self) -> Mapping[str, str]:
        return {key: value for key, value in self.all.items() if isinstance(value, str)}

    @property
    def now(self) -> Collection[str]:
        """How the image that is replaced may be called."""
        now = self.replaced
        return {now.tag, now.digest, now.text} - {""} if now else set()

    @property
    def known(self) -> Sequence[ImageReference]:
        return [image for image in (self.wanted, self.replaced) if image is not None]

    def whole(self) -> _Found:
        return self._nearest([key for key, value in self.given.items() if self._is_whole(key, value)])

    def digest(self) -> _Found:
        # An empty one leaves it to the tag, where there is one.
        named = [key for key in self.given if "digest" in _parts(key) and (self.given[key] or not self.wanted.tag)]
        return self._nearest(named)

    def tag(self) -> _Found:
        return self._nearest([key for key, value in self.given.items() if self._is_tag(key, value)])

    def repository(self) -> _Found:
        found = [key for key, value in self.given.items() if self._is_repository(value)]
        of_replaced = [key for key in found if self.replaced and parse_image(self.given[key]).is_of(self.replaced)]
        nearest = self._nearest(of_replaced or found)
        return _Found(nearest.rivals[0]) if len(nearest.rivals) == 1 else nearest

    def inside(self) -> tuple[str, ...]:
        """The variables that hold it somewhere within a list or an object."""
        telling = {each for each in self.now if _is_telling(each)}
        return tuple(key for key, value in self.all.items() if key not in self.given and telling & set(_strings(value)))

    def _is_whole(self, key: str, value: str) -> bool:
        image = parse_image(value)
        named = image.tag or image.digest
        return bool(image.repository and named) and any(map(image.is_of, self.known)) and "digest" not in _parts(key)

    def _is_repository(self, value: str) -> bool:
        image = parse_image(value)
        return not (image.tag or image.digest) and any(map(image.is_of, self.known))

    def _is_tag(self, key: str, value: str) -> bool:
        parts = _parts(key)
        if "digest" in parts or "/" in value or ":" in value:
            return False
        is_image, is_tag = "image" in parts, bool(parts & {"tag", "version"})
        says = value in self.now and (_is_telling(value) or self.is_ours(key))
        return (is_image and is_tag) or ((is_image or is_tag) and says)

    def _nearest(self, keys: Sequence[str]) -> _Found:
        """By its name, which names no other container, and by what it says now: that may be chance, or be said of a sidecar of
        the same build too. Where the two do not agree, there is no telling."""
        ours = [key for key in keys if self.is_ours(key)]
        says = [key for key in keys if self.says(key)]
        telling = [key for key in says if _is_telling(self.given[key])]
        both = [key for key in ours if key in says]
        if ours and telling and not both:
            return _Found(rivals=tuple(dict.fromkeys((*ours, *telling))))
        some = both or ours or telling
        if len(some) > 1:
            some = [key for key in some if "image" in _parts(key)] or some
        return _Found(some[0]) if len(some) == 1 else _Found(rivals=tuple(some or keys))

    def is_ours(self, key: str) -> bool:
        """Whether its name has no word of another container."""
        return _parts(key) <= _NO_OTHERS.union(*map(_parts, self.names))

    def says(self, key: str) -> bool:
        return self.given.get(key) in self.now


def pins(
    variables: Mapping[str, Any],
    wanted: ImageReference,
    replaced: ImageReference | None,
    *,
    names: Sequence[str] = (),
    tags: Sequence[str] = (),
    digest: str = "",
) -> Pins:
    """For `wanted` in the place of `replaced`. `names` are those of the service, its environment and container, to tell variables
    of several containers apart; `tags` and `digest` what the registry calls the same image."""
    known = _Variables(variables, wanted, replaced, names)
    whole = known.whole()
    part = known.digest().key or known.tag().key
    if whole.key and (known.is_ours(whole.key) or not part):
        return Pins({whole.key: wanted.text})
    if not known.says(part) and (said := [key for key in (whole.key, *whole.rivals) if known.says(key)]):
        return _untold(wanted, (*said, *filter(None, (part,))))
    found = _named(known, whole, tag=wanted.tag or next(iter(tags), ""), digest=wanted.digest or digest)
    if not found.values or replaced is None or wanted.is_of(replaced):
        return found
    repository = known.repository()
    if repository.rivals:
        return _untold(wanted, repository.rivals)
    if not repository.key:
        return Pins(
            {}, f"{wanted.text} is of another repository than {replaced.text}: no tag in the variables brings it."
        )
    return Pins({**found.values, repository.key: f"{wanted.registry}/{wanted.repository}".lstrip("/")})


def are_so(variables: Mapping[str, Any], wanted: Pins) -> bool:
    return bool(wanted.values) and all(variables.get(key) == value for key, value in wanted.values.items())


def _named(known: _Variables, whole: _Found, *, tag: str, digest: str) -> Pins:
    """By digest, and by tag. Where there are both, the digest decides what is pulled."""
    by_digest, by_tag, wanted = known.digest(), known.tag(), known.wanted
    if by_digest.key:
        if not digest:
            return Pins({}, f"{by_digest.key} names a digest, and that of {wanted.text} is not known.")
        return Pins({by_digest.key: digest, **({by_tag.key: tag} if by_tag.key and tag else {})})
    if not by_tag.key:
        rivals = dict.fromkeys((*whole.rivals, *by_digest.rivals, *by_tag.rivals, *known.inside()))
        if rivals:
            return _untold(wanted, rivals)
    return Pins({by_tag.key or USUAL: tag}) if tag else Pins({}, _no_tag(wanted))


def _untold(wanted: ImageReference, rivals: Iterable[str]) -> Pins:
    return Pins({}, f"Which variable brings {wanted.text} cannot be told: it may be {' or '.join(rivals)}.")


def _no_tag(wanted: ImageReference) -> str:
    if wanted.digest:
        return f"{wanted.text} is named by its digest, and has no tag that the variables could name."
    return f"{wanted.text} has neither tag nor digest: what it is changes with each push."


def _parts(name: str) -> set[str]:
    return {part.lower() for part in _PARTS.findall(name)}


def _is_telling(value: str) -> bool:
    is_whole = ":" in value
    return is_whole or (len(value) >= _LEAST_TELLING and any(character.isdigit() for character in value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _strings(each)
