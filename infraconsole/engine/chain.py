"""What the journal's file holds and how its events are chained: shared by who writes it, who verifies it and who archives it.

`journal.head` beside the file is the last event's number and hash; without it, a journal cut off at its end would still be a
valid chain.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infraconsole import files
from infraconsole.engine import locks

SCHEMA_VERSION = 2
"""1 had no index of runs; an infraconsole that knows only 1 may still write to a file it has open, and its events are taken in."""
GENESIS = "0" * 64
HEAD_FILE = "journal.head"
BUSY_SECONDS = 15.0
"""How long a lock of the journal is waited for, SQLite's own and the head's."""
_HEAD_LENGTH = 200
"""No head is longer: more is not read."""

TRIGGERS = {
    f"{table}_{name}": f"CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    for table in ("events", "requests")
    for name, verb in (("keep", "UPDATE"), ("stay", "DELETE"))
}
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
    step TEXT NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (run, seq)
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, id) WHERE kind NOT IN ('output', 'progress');
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_run ON requests (run, id);
"""
TABLES = _TABLES + "".join(f"{statement};\n" for statement in TRIGGERS.values())
"""The part of the schema that is evidence; a file that has it already is not given it again."""

COLUMNS = "id, run, seq, at, kind, step, data, hash"
ROW = "id, run, seq, at, kind, step, data, previous, hash"
REQUEST = "id, " + ", ".join(f"CAST({column} AS BLOB)" for column in ("run", "at", "kind", "by", "data"))
"""As bytes: anybody may put a row into that table, and SQLite takes text that is not UTF-8."""


def digest(number: int, run: str, seq: int, at: str, kind: str, step: str, data: str, previous: str) -> str:
    return hashlib.sha256("\n".join((str(number), run, str(seq), at, kind, step, data, previous)).encode()).hexdigest()


def digest_of_request(number: int, run: str, at: str, kind: str, by: str, data: str) -> str:
    """What an event keeps of the request that led to it. Unlike an event's hash it follows from nothing before it."""
    return hashlib.sha256(json.dumps([number, run, at, kind, by, data]).encode()).hexdigest()


def request_row(row: tuple[int, *tuple[bytes, ...]]) -> tuple[int, str, str, str, str, str]:
    """A row of REQUEST as text: what is not UTF-8 stays as surrogates, so that nothing is taken for something else."""
    run, at, kind, by, data = (value.decode(errors="surrogateescape") for value in row[1:])
    return row[0], run, at, kind, by, data


def encoded(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def wrong_triggers(db: sqlite3.Connection) -> list[str]:
    there = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
    return [name for name, statement in TRIGGERS.items() if there.get(name) != statement]


def head_line(number: int, digest: str) -> bytes:
    return f"{number:020d} {digest}".encode()


def read_head(path: Path) -> tuple[int, str] | None:
    """Number and hash of the last event as the head remembers it; None where there is none that can be understood."""
    try:
        handle = locks.opened(path, os.O_RDONLY)
        try:
            number, digest = os.pread(handle, _HEAD_LENGTH, 0).decode("ascii").split()
        finally:
            os.close(handle)
        return (int(number), digest) if int(number) >= 0 else None
    except (OSError, ValueError):
        return None


def refuse_what_is_no_file(path: Path) -> None:
    """SQLite would wait for the other end of a pipe for ever. Raises OSError."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        beside = path.with_name(name)
        with contextlib.suppress(FileNotFoundError):
            files.refuse_what_is_no_file(beside, beside.stat().st_mode)


def open_read_only(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """`immutable`: nothing is written beside it, neither a lock nor a shared memory file; for media that cannot be written.
    What stands only in a WAL is not seen then. Raises OSError where it is no regular file."""
    refuse_what_is_no_file(path)
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # Without it SQLite refuses a file that is shorter than it should be, the part that is there included.
    db.execute("PRAGMA writable_schema = ON")
    return db
