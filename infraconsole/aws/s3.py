"""S3: the versions of one object, and the object itself. Only for reading: states are never written outside of Terraform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment
from infraconsole.errors import AwsNotFound


@dataclass(frozen=True)
class StoredObject:
    """A version of an object. `version_id` is "" in a bucket that never had versions; `body` is None where it was not
    asked for. A delete marker has no content: it says that the key was deleted at `modified_at`."""

    bucket: str
    key: str
    version_id: str
    size_bytes: int
    modified_at: datetime | None
    etag: str
    body: bytes | None = None
    is_latest: bool = False
    is_delete_marker: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """The version's id, and the ETag where that says nothing: while a bucket keeps no versions, all that is stored there has
        the id `null`, which a listing tells and a GET need not (S3 user guide, Adding objects to versioning-suspended buckets)."""
        return (self.version_id, "") if self.version_id not in ("", "null") else ("null", self.etag)

    def is_same(self, other: StoredObject) -> bool:
        """Whether it is the same version of the same object."""
        return (self.bucket, self.key, self.identity) == (other.bucket, other.key, other.identity)


class S3:
    """Reads of buckets. Every method raises AwsError; AwsNotFound names bucket and key."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def get(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        """The object with its content, whole; of the newest version unless one is named."""
        answer = self._about("GetObject", bucket, key, version_id)
        return self._parsed(bucket, key, answer, body=answer["Body"])

    def beginning(self, bucket: str, key: str, version_id: str, size_bytes: int) -> bytes:
        """At most so many bytes from the start of a version that is not empty."""
        answer = self._about("GetObject", bucket, key, version_id, Range=f"bytes=0-{size_bytes - 1}")
        return bytes(answer["Body"])[:size_bytes]

    def head(self, bucket: str, key: str, version_id: str | None = None) -> StoredObject:
        """As `get`, without the content."""
        return self._parsed(bucket, key, self._about("HeadObject", bucket, key, version_id))

    def versions(self, bucket: str, key: str) -> Iterator[StoredObject]:
        """The versions and delete markers of exactly that key, newest first, a page at a time."""
        # AWS lists by prefix in the order of the keys, and no key sorts between a key and its longer namesakes.
        for page in self.access.whole_pages("s3", "ListObjectVersions", Bucket=bucket, Prefix=key):
            listed = [
                *((False, raw) for raw in page.get("Versions") or ()),
                *((True, raw) for raw in page.get("DeleteMarkers") or ()),
            ]
            own = [_listed_version(bucket, raw, marker) for marker, raw in listed if raw.get("Key") == key]
            yield from sorted(own, key=_age, reverse=True)
            if len(own) < len(listed):
                return

    def objects(self, bucket: str, prefix: str = "") -> Iterator[tuple[StoredObject, ...]]:
        """The objects whose keys begin so, as they are now, a page (a thousand) at a time, in the order of their keys. Version ids
        are not in it. AwsNotFound where there is no such bucket."""
        asked = {"Bucket": bucket, **({"Prefix": prefix} if prefix else {})}
        pages = self.access.whole_pages("s3", "ListObjectsV2", **asked)
        while True:
            try:
                page = next(pages, None)
            except AwsNotFound as error:
                raise self.absent(bucket, "", error) from error
            if page is None:
                return
            yield tuple(_listed(bucket, raw) for raw in page.get("Contents") or ())

    def absent(
        self, bucket: str, key: str, error: AwsNotFound | None = None, version_id: str | None = None
    ) -> AwsNotFound:
        """What says that there is no such object, or bucket; without an `error`, because it is not in the bucket's list."""
        version = f", version {version_id}" if version_id else ""
        is_bucket = error is not None and error.code == "NoSuchBucket"
        thing = f"bucket {bucket!r}" if is_bucket else f"object s3://{bucket}/{key}{version}"
        return AwsNotFound(
            f"There is no {thing}.",
            operation=error.operation if error else "s3:ListObjectsV2",
            code=error.code if error else "NoSuchKey",
            words=error.words if error else "",
            mend="Check state_bucket and state_key in infraconsole.toml, and the account.",
        )

    def _about(self, operation: str, bucket: str, key: str, version_id: str | None, **more: str) -> dict[str, Any]:
        asked = {"Bucket": bucket, "Key": key, **more} | ({"VersionId": version_id} if version_id else {})
        try:
            return self.access.call("s3", operation, **asked)
        except AwsNotFound as error:
            raise self.absent(bucket, key, error, version_id) from error

    def _parsed(self, bucket: str, key: str, answer: Mapping[str, Any], body: bytes | None = None) -> StoredObject:
        return StoredObject(
            bucket=bucket,
            key=key,
            version_id=str(answer.get("VersionId") or ""),
            size_bytes=int(answer.get("ContentLength") or 0),
            modified_at=moment(answer.get("LastModified")),
            etag=_etag(answer),
            body=body,
        )


def _listed(bucket: str, raw: Mapping[str, Any]) -> StoredObject:
    return StoredObject(
        bucket=bucket,
        key=str(raw.get("Key") or ""),
        version_id="",
        size_bytes=int(raw.get("Size") or 0),
        modified_at=moment(raw.get("LastModified")),
        etag=_etag(raw),
    )


def _listed_version(bucket: str, raw: Mapping[str, Any], marker: bool) -> StoredObject:
    return StoredObject(
        bucket=bucket,
        key=str(raw.get("Key") or ""),
        version_id=str(raw.get("VersionId") or ""),
        size_bytes=int(raw.get("Size") or 0),
        modified_at=moment(raw.get("LastModified")),
        etag=_etag(raw),
        is_latest=bool(raw.get("IsLatest")),
        is_delete_marker=marker,
    )


def _age(item: StoredObject) -> tuple[bool, float]:
    return item.is_latest, item.modified_at.timestamp() if item.modified_at else 0.0


def _etag(raw: Mapping[str, Any]) -> str:
    return str(raw.get("ETag") or "").strip('"')
