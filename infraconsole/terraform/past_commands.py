"""Which commands ran in a root module, newest first, without looking through the folders of all runs.

Every command is noted before it starts, in one small file for each root module and its data folder. Only the end of that file is
read, so that years of runs cost what a few do. Where the notes are missing (an older infraconsole kept none), they are made once,
from the records.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from infraconsole import files
from infraconsole.terraform.runner import COMMAND, Terraform

FOLDER = "commands"
"""Beside the folder of all runs."""
_COMPLETE = "complete"
"""Not empty once the records from before the notes are in them."""
_READ_BYTES = 1 << 16
"""Some 3,000 commands: what an older one left, somebody has found by now."""


def note(runs: Path, terraform: Terraform, record: Path) -> None:
    """A command is about to start, with that record. `runs` is the folder of all runs. Raises OSError."""
    _complete(runs)
    _append(_file(runs, terraform.folder, terraform.environ), [_line(record)])


def records(runs: Path, folder: Path, environ: Mapping[str, str], *names: str) -> Iterator[Path]:
    """Of the commands of these names (all where none is given) in that root module, the newest first."""
    try:
        _complete(runs)
        lines = _end_of(_file(runs, folder, environ))
    except FileNotFoundError:
        return
    except OSError:  # nothing can be written there, or read: then the records themselves
        key = _key(str(folder), environ.get("TF_DATA_DIR"))
        lines = [line for known, line in _scanned(runs) if known == key]
    for line in dict.fromkeys(reversed(lines)):
        run, _, name = line.partition("/")
        record = runs / run / name
        if (not names or name.partition("-")[2] in names) and (record / COMMAND).is_file():
            yield record


def _complete(runs: Path) -> None:
    marker = runs.parent / FOLDER / _COMPLETE
    with contextlib.suppress(FileNotFoundError):
        if marker.stat().st_size:
            return
    marker.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not os.fstat(handle).st_size:
            known: dict[str, list[str]] = {}
            for key, line in _scanned(runs):
                known.setdefault(key, []).append(line)
            for key, lines in known.items():
                _append(marker.parent / key, lines)
            os.write(handle, b"1\n")
    finally:
        os.close(handle)


def _scanned(runs: Path) -> list[tuple[str, str]]:
    """Key and line of every record that there is, the oldest first."""
    found = []
    for file in runs.glob(f"*/*/{COMMAND}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(files.read(file))
            key = _key(str(told["folder"]), told.get("data_dir"))
            found.append((file.stat().st_mtime_ns, key, _line(file.parent)))
    return [(key, line) for _, key, line in sorted(found)]


def _file(runs: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    return runs.parent / FOLDER / _key(str(folder), environ.get("TF_DATA_DIR"))


def _key(folder: str, data: str | None) -> str:
    """The environments of one root module share its folder: what tells them apart is where `init` put its data."""
    return hashlib.sha256(f"{folder}\0{data or ''}".encode(errors="surrogatepass")).hexdigest()[:32]


def _line(record: Path) -> str:
    return f"{record.parent.name}/{record.name}"


def _append(file: Path, lines: list[str]) -> None:
    """Each begins on a line of its own, even where the one before it was cut off by a full disk."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as stream:  # noqa: PTH123 - of a descriptor
        stream.write("".join(f"\n{line}\n" for line in lines).encode())
        stream.flush()
        os.fsync(stream.fileno())


def _end_of(file: Path) -> list[str]:
    with file.open("rb") as stream:
        skipped = max(0, stream.seek(0, os.SEEK_END) - _READ_BYTES)
        stream.seek(skipped)
        lines = stream.read(_READ_BYTES).decode(errors="replace").splitlines()
    return [line for line in lines[1 if skipped else 0 :] if line]
