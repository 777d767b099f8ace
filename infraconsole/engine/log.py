"""The executor's standard error, which is its log beside the journal: read by people, so made harmless as anything else."""

from __future__ import annotations

import sys
import traceback

from infraconsole import text


def write(words: str) -> None:
    sys.stderr.write(f"{text.block(words)}\n")


def write_exception(error: BaseException) -> None:
    write("".join(traceback.format_exception(error)).rstrip())
