"""What was read of a Terraform tree before, on the disk: digests by the hash of the content, and which content a file had
when it was last looked at. A cache: whatever is wrong with it, it is as if it were not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.terraform.hcl import FORMAT_VERSION, Digest
from infraconsole.terraform.hcl_workers import Outcome

KEPT_SECONDS = 7 * 86_400
"""How long the digest of a content that no file has any more is kept: people change branches and come back."""
TREE_KEPT_SECONDS = 60 * 86_400
"""How long a tree that nobody reads any more is kept."""
RETRY_SECONDS = 3_600
"""After which a file is tried again that a worker did not survive."""
SETTLED_NS = 2_000_000_000
"""A file changed so recently may change again without its time changing: its content is hashed anew the next time."""

_SUFFIX = ".digests.json"
_DAY_SECONDS = 86_400


class DigestCache:
    """Of one tree, in one file, which `save` writes. Not for several threads; several processes may use one folder."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder = folder
        self.file = folder / (hashlib.sha256(os.fsencode(tree)).hexdigest()[:32] + _SUFFIX)
        self.now = _now()
        self.changed = False
        self._files: dict[str, list[Any]] = {}
        self._outcomes: dict[str, list[Any]] = {}
        self._load()
        self._before = self._files
        self._files = {}
        self._used: set[str] = set()

    def key_of(self, path: str, stat: os.stat_result) -> str:
        """What the content of `path` was hashed to, if by all signs it is still the same; else ""."""
        known = self._before.get(path)
        if known is None or known[:3] != [stat.st_mtime_ns, stat.st_size, stat.st_ino]:
            return ""
        self._files[path] = known
        return str(known[3])

    def remember(self, path: str, stat: os.stat_result, key: str) -> None:
        settled = time.time_ns() - stat.st_mtime_ns > SETTLED_NS
        entry = [stat.st_mtime_ns if settled else 0, stat.st_size, stat.st_ino, key]
        self.changed |= self._before.get(path) != entry
        self._files[path] = entry

    def outcome(self, key: str) -> Outcome | None:
        """What came of that content before; None where it has to be parsed."""
        known = self._outcomes.get(key)
        if known is None:
            return None
        try:
            _, document, line, why, until, limit = known
            if until and self.now > until:
                return None
            self._used.add(key)
            return Outcome(
                key, None if document is None else Digest.from_json(document), line, why, not until, bool(limit)
            )
        except (ValueError, TypeError, LookupError):
            return None

    def put(self, outcome: Outcome) -> None:
        document = outcome.digest.as_json() if outcome.digest else None
        until = 0 if outcome.lasting else self.now + RETRY_SECONDS
        self._outcomes[outcome.key] = [self.now, document, outcome.line, outcome.why, until, outcome.limit]
        self._used.add(outcome.key)
        self.changed = True

    def save(self) -> None:
        """Write what changed, whole or not at all. That the disk is full or read-only only costs time at the next reading."""
        stale = any(self.now - self._outcomes[key][0] > _DAY_SECONDS for key in self._used)
        if not (self.changed or stale or self._files.keys() != self._before.keys()):
            return
        for key in self._used:
            self._outcomes[key][0] = self.now
        unused = sorted(
            (key for key in self._outcomes if key not in self._used and self._recent(key)),
            key=lambda key: -self._outcomes[key][0],
        )
        kept = self._used.union(unused[: 100 + len(self._used)])
        document = {
            **_written_by(),
            "files": self._files,
            "outcomes": {key: self._outcomes[key] for key in kept},
        }
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(self.file, json.dumps(document, separators=(",", ":")).encode())
            self._forget_trees()

    def _recent(self, key: str) -> bool:
        return bool(self.now - self._outcomes[key][0] < KEPT_SECONDS)

    def _load(self) -> None:
        try:
            document = json.loads(files.read(self.file, files.MOST_STATE_BYTES))
            if {key: document[key] for key in _written_by()} != _written_by():
                return
            self._files = {path: entry for path, entry in document["files"].items() if len(entry) == 4}
            self._outcomes = {
                key: entry
                for key, entry in document["outcomes"].items()
                if len(entry) == 6 and isinstance(entry[0], int | float) and isinstance(entry[4], int | float)
            }
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            self._files, self._outcomes = {}, {}

    def _forget_trees(self) -> None:
        for file in self.folder.glob(f"*{_SUFFIX}*"):
            with contextlib.suppress(OSError):
                if file != self.file and self.now - file.stat().st_mtime > TREE_KEPT_SECONDS:
                    file.unlink()


def _now() -> float:
    """Seconds since the epoch; in one place, so that tests can let days go by."""
    return time.time()


def _written_by() -> Mapping[str, Any]:
    """What has to be the same for a digest to be the one that would be made now."""
    try:
        parser = version("python-hcl2")
    except PackageNotFoundError:
        parser = ""
    return {"format": FORMAT_VERSION, "parser": parser}


def _replace(file: Path, content: bytes) -> None:
    """Through a new file that only its owner may read: nobody ever sees half of it."""
    handle, name = tempfile.mkstemp(prefix=file.name, dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
