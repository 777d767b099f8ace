"""Files that people name or other programs write: read without waiting and to a limit, and in plain words where that fails.

A path may lead to a FIFO that nobody writes to, to a device without end, or to ten gigabytes. What is raised is an OSError
all the same, so that "it cannot be read" is one case for whoever asks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from infraconsole.errors import InfraconsoleError

MOST_BYTES = 64 * 2**20
"""Of what people write."""
MOST_STATE_BYTES = 512 * 2**20
"""Of states, plans and the output of Terraform, which hold whole plans."""
_CHUNK_BYTES = 2**20
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

_Error = TypeVar("_Error", bound=InfraconsoleError)


class Unfit(OSError):
    """The file is there, but is none that is read: no regular file, or too large."""


def read(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content. Raises OSError, Unfit among them; waits for nobody."""
    with opened(path, most) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """As `read`, in UTF-8. Raises UnicodeDecodeError too."""
    return read(path, most).decode("utf-8")


def sha256(path: Path) -> str:
    """In hexadecimal, of a file of any size. Raises OSError."""
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def chunks(path: Path, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """The content of a file of any size; all but the last are `size` bytes. Raises OSError."""
    with opened(path) as stream:
        yield from pieces(stream, size)


def pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while piece := stream.read(size):
        yield piece


def sync_folder(folder: Path) -> None:
    """Put the names in it on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """Opening does not wait for the other end of a pipe, and makes no terminal ours. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:  # a NUL, or what no file system can be asked for
        raise Unfit(errno.EINVAL, f"It is no path: {error}", str(path)) from error
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if str(path) != os.devnull:
            refuse_what_is_no_file(path, status.st_mode)
        if most is not None and status.st_size > most:
            raise _too_large(path, most)
        yield stream


def refuse_what_is_no_file(path: Path, mode: int) -> None:
    """Raises Unfit, of whatever `mode` (stat(2)) says is no regular file."""
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise Unfit(errno.EINVAL, f"It is {what}, not a regular file", str(path))


def _too_large(path: Path, most: int) -> Unfit:
    return Unfit(errno.EFBIG, f"It is larger than {most // 2**20} MB", str(path))


def reason(error: OSError) -> str:
    """What the system says, as a sentence."""
    said = error.strerror or str(error) or type(error).__name__
    return said if said.endswith(".") else f"{said}."


def fix(error: OSError, path: Path | str = "") -> str:
    """What helps: room for a full disk, permissions only where they are what is missing."""
    where = str(path or error.filename or "")
    of = f" of {where}" if where else ""
    match error.errno:
        case errno.ENOSPC:
            return f"Free space on the disk{of}, then try again."
        case errno.EDQUOT:
            return f"Free space on the disk{of}, or have your quota raised; then try again."
        case errno.EROFS:
            return "The file system is mounted read-only: mount it for writing, or use another folder."
        case errno.EACCES | errno.EPERM:
            return f"Check the permissions and the owner{of}."
        case errno.ENOENT | errno.ENOTDIR:
            return "Check the path."
        case errno.EISDIR | errno.EINVAL if isinstance(error, Unfit | IsADirectoryError):
            return "Name a regular file."
        case errno.EFBIG:
            return "Name the right file; one that large is none that is read here."
        case errno.EMFILE | errno.ENFILE:
            return "Too many files are open: close some programs, or raise `ulimit -n`."
        case errno.EIO:
            return "The disk reports an error: see the system's log (dmesg)."
        case errno.ELOOP:
            return "Its symbolic links lead in a circle: remove them."
        case errno.ENAMETOOLONG:
            return "Use a shorter path."
    return ""


def unread(error: OSError, path: Path | str, kind: type[_Error]) -> _Error:
    return kind(f"{path} cannot be read.", cause=reason(error), mend=fix(error, path))


def unwritten(error: OSError, path: Path | str, kind: type[_Error]) -> _Error:
    return kind(f"{path} cannot be written.", cause=reason(error), mend=fix(error, path))


def told(error: OSError, kind: type[_Error]) -> _Error:
    """Of one that nobody nearer to it has said anything of."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return kind(f"{name}: {reason(error)}" if name else f"The system refused: {reason(error)}", mend=fix(error, name))
