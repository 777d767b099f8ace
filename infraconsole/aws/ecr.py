"""ECR: what an image's reference says, whether that image is still there to be pulled, and which repositories there are.

Lifecycle policies delete images that old task definitions still name, so a rollback asks here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment
from infraconsole.errors import AwsNotFound

REPOSITORIES_PER_CALL = 1000
_ECR_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}")


TAG = "A tag is letters, digits, points, hyphens and underscores; at most 128 of them."
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def is_tag(text: str) -> bool:
    """Whether a registry takes `text` for a tag (OCI Distribution Specification, Pulling manifests)."""
    return _TAG.fullmatch(text) is not None


@dataclass(frozen=True)
class ImageReference:
    """A container image's reference in its parts; `text` is the whole. Parts that are not there are ""."""

    text: str
    registry: str
    repository: str
    tag: str
    digest: str
    in_ecr: bool
    account: str
    region: str

    @property
    def short(self) -> str:
        """What a person calls it: its tag, the beginning of its digest, both where it has both, else its repository. Never "" but
        for no image at all."""
        digest = f"@{self.digest.partition(':')[2][:12]}" if self.digest else ""
        return f"{self.tag}{digest}" or self.name or self.text

    @property
    def name(self) -> str:
        """The last part of its repository: `fileflow` of `team/fileflow`."""
        return self.repository.rpartition("/")[2]

    def is_of(self, other: ImageReference) -> bool:
        """Whether both are of one repository."""
        return (self.registry, self.repository) == (other.registry, other.repository)


@dataclass(frozen=True)
class Image:
    """An image in a repository, from DescribeImages; `size_bytes` is compressed, as it is pulled."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime | None
    size_bytes: int


@dataclass(frozen=True)
class Repository:
    """A repository, from DescribeRepositories. `uri` is what images are pushed to and pulled from, without a tag."""

    name: str
    arn: str
    uri: str
    account: str


def parse_image(text: str) -> ImageReference:
    """The parts of an image's reference, by Docker's rule: the first part is a registry if it has a dot or a colon in
    it, or is localhost. Nothing is added that is not there: no `latest`, no Docker Hub."""
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    has_registry = bool(slash) and ("." in head or ":" in head or head == "localhost")
    registry, name = (head, tail) if has_registry else ("", rest)
    # A colon before the last slash would be a port, and has gone with the registry.
    repository, _, tag = name.partition(":")
    ecr = _ECR_HOST.fullmatch(registry)
    return ImageReference(
        text=text,
        registry=registry,
        repository=repository,
        tag=tag,
        digest=digest if _DIGEST.fullmatch(digest) else "",
        in_ecr=ecr is not None,
        account=ecr["account"] if ecr else "",
        region=ecr["region"] if ecr else "",
    )


@dataclass(frozen=True)
class PushedTag:
    tag: str
    pushed_at: datetime | None


_MOST_IMAGES = 5_000
"""Of a repository: ECR lists images in no order, so the newest are known only once all were read."""


class Ecr:
    """Reads of one region's ECR. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def image(self, reference: ImageReference) -> Image | None:
        """The image that `reference` names, by digest where it has one; None if the repository has no such image.

        A missing repository raises AwsNotFound. A reference without tag and digest means `latest`, as it does for ECS.
        The reference's region has to be this access's own: images elsewhere are asked for through another access.
        """
        wanted = {"imageDigest": reference.digest} if reference.digest else {"imageTag": reference.tag or "latest"}
        registry = {"registryId": reference.account} if reference.account else {}
        try:
            answer = self.access.call(
                "ecr", "DescribeImages", repositoryName=reference.repository, imageIds=[wanted], **registry
            )
        except AwsNotFound as error:
            if error.code == "ImageNotFoundException":
                return None
            raise
        details = answer.get("imageDetails") or ()
        if not details:
            return None
        raw = details[0]
        return Image(
            digest=str(raw.get("imageDigest") or ""),
            tags=tuple(sorted(str(tag) for tag in raw.get("imageTags") or ())),
            pushed_at=moment(raw.get("imagePushedAt")),
            size_bytes=int(raw.get("imageSizeInBytes") or 0),
        )

    def newest_tags(self, reference: ImageReference, limit: int) -> tuple[PushedTag, ...]:
        """The newest tags of the reference's repository, the newest first. Of a repository with very many images as many are looked
        at as can be in a moment."""
        registry = {"registryId": reference.account} if reference.account else {}
        images = self.access.pages(
            "ecr", "DescribeImages", "imageDetails", repositoryName=reference.repository, filter={"tagStatus": "TAGGED"},
            **registry,
        )  # fmt: skip
        found = [
            PushedTag(str(tag), moment(raw.get("imagePushedAt")))
            for raw in islice(images, _MOST_IMAGES)
            for tag in raw.get("imageTags") or ()
        ]
        first = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(found, key=lambda each: (each.pushed_at or first, each.tag), reverse=True)[:limit])

    def repository(self, name: str) -> Repository | None:
        """The repository of that name in this account and region; None if there is none."""
        try:
            answer = self.access.call("ecr", "DescribeRepositories", repositoryNames=[name])
        except AwsNotFound:
            return None
        raw = next(iter(answer.get("repositories") or ()), None)
        return None if raw is None else _repository(raw)

    def repositories(self) -> Iterator[Repository]:
        """All of this account and region, a page (a thousand) at a time."""
        pages = self.access.pages("ecr", "DescribeRepositories", "repositories", maxResults=REPOSITORIES_PER_CALL)
        return (_repository(raw) for raw in pages)


def _repository(raw: Mapping[str, Any]) -> Repository:
    return Repository(
        name=str(raw.get("repositoryName") or ""),
        arn=str(raw.get("repositoryArn") or ""),
        uri=str(raw.get("repositoryUri") or ""),
        account=str(raw.get("registryId") or ""),
    )
