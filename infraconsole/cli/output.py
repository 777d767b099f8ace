"""The one way out of the command line: whatever a command prints goes through here, so that no text can move the cursor.

What a name is made of is made harmless where it is put into a line (`text.line`): here line feeds are ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from infraconsole import glyphs, text


class Unwritten(Exception):
    """Standard output takes nothing more: its disk is full, its terminal has gone. What else is printed goes nowhere."""


def say(words: str = "") -> None:
    """Lines of text on standard output, made harmless. Raises BrokenPipeError where nobody reads it any more, and Unwritten."""
    _write(f"{text.block(words)}\n")


def tell(words: str) -> None:
    """As `say`, on standard error: all that is not the result itself. Where nobody takes it, it is lost, and nothing else."""
    try:
        stream = sys.stderr
        stream.write(_encodable(stream, f"{text.block(words)}\n"))
        stream.flush()
    except (OSError, ValueError):
        _into_nowhere(sys.stderr)


def document(value: Any, *, indent: int | None = 2) -> None:
    """JSON on standard output, in ASCII: its own escapes make it harmless. `indent` None is one line, for streams."""
    _write(f"{json.dumps(value, indent=indent)}\n")


def ask(question: str) -> None:
    """A question that stands on the line in which it is answered."""
    _write(text.line(question))
    flush()


def program(code: str) -> None:
    """Code for a shell to evaluate, to the byte; harmless where it goes to a terminal, since nothing evaluates it there."""
    if sys.stdout.isatty():
        say(code)
        return
    with _written():
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(code) + b"\n")
        sys.stdout.buffer.flush()


def flush() -> None:
    """Raises as `say`."""
    with _written():
        sys.stdout.flush()


def print_no_more() -> None:
    """Let what else is printed go nowhere, and the interpreter end in peace."""
    _into_nowhere(sys.stdout)


def guard() -> None:
    """Let what nobody catches come out this way too: an exception's words may hold anything. And let the three standard
    streams be there, as after `>&-`: the next file to be opened, the journal, would take their place and get their output."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            if not os.get_blocking(descriptor):
                # As another program left it. Half of the output would be refused where its reader is slow.
                os.set_blocking(descriptor, True)
        except OSError:
            opened = os.open(os.devnull, os.O_WRONLY if descriptor else os.O_RDONLY)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))
            setattr(sys, f"__{name}__", getattr(sys, name))


def _uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    tell("".join(traceback.format_exception(kind, error, where)).rstrip())


def _write(words: str) -> None:
    with _written():
        sys.stdout.write(_encodable(sys.stdout, words))


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _into_nowhere(sys.stdout)
        raise Unwritten(f"The output could not be written: {error.strerror or error}.") from error


def _encodable(stream: TextIO, words: str) -> str:
    return glyphs.encodable(words, stream.encoding or "ascii")


def _into_nowhere(stream: TextIO) -> None:
    """What is still in the stream's buffer goes there too."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test's own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
