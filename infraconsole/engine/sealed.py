"""Encrypted copies of a run's files: `NAME.enc` beside where NAME was.

    magic | salt, 16 bytes | id of the key, 16 bytes | length of the label, 2 bytes | label | chunks

Each file has a key of its own, derived from the key and the salt (HKDF-SHA256). Each chunk is at most 1 MiB, encrypted with
AES-256-GCM: the nonce is the chunk's number and whether it is the last, so that nothing can be cut off, put in, left out or moved;
the header is authenticated with each. The label is where the file belongs, `RUN/plan.tfplan`, so that no file stands in for
another.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from infraconsole import files
from infraconsole.engine.files_key import FilesKey
from infraconsole.errors import InfraconsoleError, PrerequisiteMissing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUFFIX = ".enc"
CHUNK_BYTES = 2**20
_DRAFT = ".draft"
_MAGIC = b"infraconsole encrypted 1\n"
_SALT_BYTES = _ID_BYTES = _TAG_BYTES = 16
_DERIVE, _IDENTIFY = b"infraconsole file", b"infraconsole key id"


class Damaged(InfraconsoleError):
    """An encrypted file that is not what was written."""


class WrongKey(PrerequisiteMissing):
    """It was encrypted with another key."""


@dataclass(frozen=True)
class Seal:
    """Encrypts and reads files below `runs`, the folder of all runs."""

    key: FilesKey
    runs: Path

    def keep(self, file: Path, *, will_go: bool) -> None:
        """On return an encrypted copy of `file` is on the disk and was read back. One that is there already is not written again: a
        tidying that was killed may have left less in the file by now, but never where it `will_go` as a whole.

        Raises OSError, and InfraconsoleError where the copy that is there cannot be read or says something else.
        """
        made = sealed_name(file)
        if not made.exists():
            self._write(file, made)
            return
        digest = self._digest(made, self._label(file))
        if will_go and digest != files.sha256(file):
            raise Damaged(
                f"{made} is no copy of {file}.",
                cause="Both are kept, since they differ.",
                mend="Move one of them to another folder.",
            )

    def chunks(self, made: Path) -> Iterator[bytes]:
        """What was encrypted, in order; each chunk is authentic, and where it ends without an error nothing is missing. Raises
        OSError, WrongKey and Damaged."""
        return self._chunks(made, self._label(clear_name(made)))

    def check(self, made: Path) -> None:
        """Raises WrongKey, Damaged where it is no such file at all, OSError."""
        with files.opened(made) as stream:
            self._header(made, stream, self._label(clear_name(made)))

    def _label(self, file: Path) -> bytes:
        """ "" for a file that was taken elsewhere: then it may be any."""
        try:
            return os.fsencode(file.absolute().relative_to(self.runs.absolute()).as_posix())
        except ValueError:
            return b""

    def _write(self, file: Path, made: Path) -> None:
        draft = made.with_name(f".{made.name}.{os.getpid()}{_DRAFT}")
        label, times = self._label(file), file.stat()
        digest = hashlib.sha256()
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            salt = os.urandom(_SALT_BYTES)
            header = _MAGIC + salt + self._id() + struct.pack(">H", len(label)) + label
            stream.write(header)
            cipher = self._cipher(salt)
            for number, (chunk, is_last) in enumerate(_with_last(files.chunks(file, CHUNK_BYTES))):
                digest.update(chunk)
                stream.write(cipher.encrypt(_nonce(number, is_last=is_last), chunk, header))
            stream.flush()
            os.fsync(stream.fileno())
        if self._digest(draft, label) != digest.hexdigest():
            raise Damaged(f"{draft} reads back as something else than was written.", mend="Check the disk.")
        os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
        draft.replace(made)
        files.sync_folder(made.parent)

    def _digest(self, made: Path, label: bytes) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(made, label):
            digest.update(chunk)
        return digest.hexdigest()

    def _chunks(self, made: Path, label: bytes) -> Iterator[bytes]:
        from cryptography.exceptions import InvalidTag

        with files.opened(made) as stream:
            header, salt = self._header(made, stream, label)
            cipher = self._cipher(salt)
            for number, (chunk, is_last) in enumerate(_with_last(files.pieces(stream, CHUNK_BYTES + _TAG_BYTES))):
                try:
                    clear = cipher.decrypt(_nonce(number, is_last=is_last), chunk, header)
                except (InvalidTag, ValueError) as error:
                    raise _damaged(made, "It was changed, or its end is missing.") from error
                yield clear

    def _header(self, made: Path, stream: BinaryIO, label: bytes) -> tuple[bytes, bytes]:
        """The header and the salt in it."""
        fixed = stream.read(len(_MAGIC) + _SALT_BYTES + _ID_BYTES + 2)
        if not fixed.startswith(_MAGIC) or len(fixed) != len(_MAGIC) + _SALT_BYTES + _ID_BYTES + 2:
            raise _damaged(made, "It does not begin as an encrypted file.")
        salt, key_id = fixed[len(_MAGIC) :][:_SALT_BYTES], fixed[-_ID_BYTES - 2 : -2]
        if key_id != self._id():
            raise WrongKey(
                f"{made} was encrypted with another key.",
                cause=f"{self.key.file} does not fit.",
                mend="Put the key back that was used then, or name it: [engine] files_key in infraconsole.toml.",
            )
        (length,) = struct.unpack(">H", fixed[-2:])
        found = stream.read(length)
        if label not in (b"", found):
            raise _damaged(made, f"It is a copy of {os.fsdecode(found)}.")
        return fixed + found, salt

    def _cipher(self, salt: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._derived(salt, _DERIVE, 32))

    def _id(self) -> bytes:
        return self._derived(b"", _IDENTIFY, _ID_BYTES)

    def _derived(self, salt: bytes, purpose: bytes, length: int) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), length, salt, purpose).derive(self.key.secret)


def sealed_name(file: Path) -> Path:
    return file.with_name(file.name + SUFFIX)


def clear_name(made: Path) -> Path:
    return made.with_name(made.name.removesuffix(SUFFIX))


def listed(folder: Path) -> list[Path]:
    """The encrypted files of a run's folder. Raises OSError."""
    return sorted(file for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}") for file in folder.glob(pattern) if _is_one(file))


def remove_drafts(folder: Path) -> None:
    """Of processes that were killed while they encrypted."""
    for pattern in (f".*{SUFFIX}.*{_DRAFT}", f"*/.*{SUFFIX}.*{_DRAFT}"):
        for draft in folder.glob(pattern):
            draft.unlink(missing_ok=True)


def _is_one(file: Path) -> bool:
    return not file.name.startswith(".") and file.is_file() and not file.is_symlink()


def write_clear(chunks: Iterator[bytes], into: Path) -> int:
    """Make `into` of what was encrypted: whole or not at all. Its size in bytes."""
    draft = into.with_name(f".{into.name}{_DRAFT}")
    size = 0
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            for chunk in chunks:
                size += len(chunk)
                stream.write(chunk)
        os.link(draft, into)  # never over another
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    return size


def _with_last(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each with whether it is the last; of nothing, one that is empty."""
    held = next(pieces, b"")
    for piece in pieces:
        yield held, False
        held = piece
    yield held, True


def _nonce(number: int, *, is_last: bool) -> bytes:
    return struct.pack(">QI", number, is_last)


def _damaged(made: Path, cause: str) -> Damaged:
    return Damaged(
        f"{made} is damaged.", cause=cause, mend="Take it from a backup of the state folder, if there is one."
    )
