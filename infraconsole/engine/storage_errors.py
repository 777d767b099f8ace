"""Why a file cannot be opened, read or written, and what helps: by the codes of SQLite and the system, never by their words."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from infraconsole import files
from infraconsole.engine.holders import holding

_ROOM = "Free space on that disk; then go on. A run can be resumed."
_READ_ONLY = "The file system is read-only: make it writable, or set INFRACONSOLE_STATE to a folder on another one."
_PERMISSIONS = "Check the owner and permissions of the file and its folder."
_EVIDENCE = "Keep the file as evidence, run `infraconsole journal verify`, and set INFRACONSOLE_STATE to a new folder."
_DEVICE = "Check the disk: the system's log says more. Then run `infraconsole journal verify`."
_LEAST_BYTES = 1 << 20


def mend(error: sqlite3.Error | OSError, path: Path) -> str:
    """What helps against `error`, which came of the database at `path` or of a file beside it."""
    if isinstance(error, OSError):
        return _of_system(error, path)
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return _ROOM
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        found = holding(path.with_name(f"{path.name}-shm")) or holding(path)
        return f"{found.words} {found.mend}" if found else "Another process writes to it. Try again."
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return _by_place(path) or _PERMISSIONS
    if primary == sqlite3.SQLITE_IOERR:
        return _by_place(path) or _DEVICE
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or not isinstance(error, sqlite3.OperationalError):
        return _EVIDENCE
    return _by_place(path) or _PERMISSIONS


def _of_system(error: OSError, path: Path) -> str:
    place = isinstance(error, files.Unfit) or error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENXIO)
    if place:
        return f"Something else is in its place: move it away, and look at {path.parent}."
    return files.fix(error, path)


def _by_place(path: Path) -> str:
    """What SQLite does not tell: it cannot make a file beside the database on a full disk, or on one that is read-only."""
    try:
        about = os.statvfs(path.parent)
    except OSError:
        return ""
    if about.f_flag & os.ST_RDONLY:
        return _READ_ONLY
    if about.f_bavail * about.f_frsize < _LEAST_BYTES or (about.f_files and not about.f_favail):
        return _ROOM
    return ""
