"""States that a run kept, with which it is undone: read whether they lie there in clear or encrypted (`kept_files.py`)."""

from __future__ import annotations

import errno
from pathlib import Path

from infraconsole import files
from infraconsole.config import EngineSettings
from infraconsole.engine import files_key, sealed


def is_there(file: Path) -> bool:
    return file.is_file() or sealed.sealed_name(file).is_file()


def read(file: Path, settings: EngineSettings, runs: Path) -> bytes:
    """`file` is its name in clear, or that of the encrypted one itself; `runs` the folder of all runs. Raises OSError as for any
    file, and InfraconsoleError where it is encrypted and cannot be read."""
    made = file if file.name.endswith(sealed.SUFFIX) else sealed.sealed_name(file)
    if made != file:
        try:
            return files.read(file, files.MOST_STATE_BYTES)
        except FileNotFoundError:
            if not made.is_file():
                raise
    seal = sealed.Seal(files_key.load(settings), runs)
    found = bytearray()
    for chunk in seal.chunks(made):
        found += chunk
        if len(found) > files.MOST_STATE_BYTES:
            raise files.Unfit(errno.EFBIG, f"It is larger than {files.MOST_STATE_BYTES // 2**20} MB", str(made))
    return bytes(found)
