"""The key that a finished run's files are encrypted with: a file of its own, away from what it encrypts."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from infraconsole import files
from infraconsole.config import EngineSettings, user_folder
from infraconsole.errors import PrerequisiteMissing

FILE_NAME = "files.key"
KEY_BYTES = 32
_MOST_BYTES = 4096


@dataclass(frozen=True)
class FilesKey:
    """`file` is where it was read from, for complaints."""

    file: Path
    secret: bytes = field(repr=False)


def load(settings: EngineSettings) -> FilesKey:
    """Raises PrerequisiteMissing where the file is missing, open to others, or holds no key."""
    return _read(settings.files_key or _default())


def load_or_make(settings: EngineSettings) -> FilesKey:
    """As `load`, but the default file is made where there is none. A file that the settings name is never made: where it is
    missing, so may be the disk that has it."""
    if settings.files_key is None:
        _make(_default())
    return load(settings)


def _default() -> Path:
    return user_folder() / FILE_NAME


def _read(file: Path) -> FilesKey:
    name = f"The key for encrypted files, {file},"
    try:
        content = files.read(file, _MOST_BYTES)
        mode = file.stat().st_mode
    except FileNotFoundError as error:
        make = f"(umask 077; openssl rand -base64 {KEY_BYTES} > {file})"
        raise PrerequisiteMissing(
            f"{name} is missing.",
            cause="What was encrypted with it can be read with nothing else.",
            mend=f"Put it back. If nothing was encrypted yet, make one: {make}",
        ) from error
    except OSError as error:
        raise files.unread(error, name.rstrip(","), PrerequisiteMissing) from error
    if stat.S_IMODE(mode) & 0o077:
        raise PrerequisiteMissing(
            f"{name} is open to others.", cause=f"Its mode is {stat.S_IMODE(mode):04o}.", mend=f"Run: chmod 600 {file}"
        )
    with contextlib.suppress(binascii.Error, ValueError):
        secret = base64.b64decode(content.strip(), validate=True)
        if len(secret) == KEY_BYTES:
            return FilesKey(file, secret)
    raise PrerequisiteMissing(
        f"{name} holds no key.",
        cause=f"Expected {KEY_BYTES} bytes in base64, on one line.",
        mend="Put the right file back from a backup.",
    )


def _make(file: Path) -> None:
    """Whole or not at all, and never over another. Raises PrerequisiteMissing."""
    if os.path.lexists(file):
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            with contextlib.suppress(FileExistsError):  # another process was faster: its key holds
                os.link(draft, file)
        finally:
            draft.unlink()
        files.sync_folder(file.parent)
    except OSError as error:
        raise files.unwritten(error, f"The key for encrypted files, {file},", PrerequisiteMissing) from error
