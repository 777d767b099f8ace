"""The one way out of the command line: whatever a command prints goes through here, so that no text can move the cursor.

What a name is made of is made harmless where it is put into a line (`text.line`): here line feeds are ours.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, TextIO

from infraconsole import text


def say(words: str = "") -> None:
    """Lines of text on standard output, made harmless. Raises BrokenPipeError where nobody reads it any more."""
    _write(sys.stdout, f"{text.block(words)}\n")


def tell(words: str) -> None:
    """As `say`, on standard error: all that is not the result itself."""
    _write(sys.stderr, f"{text.block(words)}\n")


def document(value: Any, *, indent: int | None = 2) -> None:
    """JSON on standard output, in ASCII: its own escapes make it harmless. `indent` None is one line, for streams."""
    _write(sys.stdout, f"{json.dumps(value, indent=indent)}\n")


def ask(question: str) -> None:
    """A question that stands on the line in which it is answered."""
    _write(sys.stdout, text.line(question))
    sys.stdout.flush()


def program(code: str) -> None:
    """Code for a shell to evaluate, to the byte; harmless where it goes to a terminal, since nothing evaluates it there."""
    if sys.stdout.isatty():
        say(code)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(code) + b"\n")
    sys.stdout.buffer.flush()


def guard() -> None:
    """Let what nobody catches come out this way too: an exception's words may hold anything."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    tell("".join(traceback.format_exception(kind, error, where)).rstrip())


def _write(stream: TextIO, words: str) -> None:
    try:
        stream.write(words)
    except UnicodeEncodeError:
        # A terminal that is not told to be UTF-8.
        encoding = stream.encoding or "ascii"
        stream.write(words.encode(encoding, "backslashreplace").decode(encoding))
