"""The executor's standard error, which is its log beside the journal: read by people, so made harmless as anything else."""

from __future__ import annotations

import contextlib
import sys
import traceback

from infraconsole import text


def write(words: str) -> None:
    """A log that cannot be written, as on a full disk, changes nothing about the run."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text.block(words)}\n")


def write_exception(error: BaseException) -> None:
    write("".join(traceback.format_exception(error)).rstrip())
