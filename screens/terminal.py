"""Textual's driver for terminals that are not quite what it expects: not UTF-8, or with standard error somewhere else."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import os
import selectors
import sys
from collections.abc import Iterable
from typing import Any

from textual import events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from infraconsole import glyphs
from infraconsole.screens.typing import Piece

_TICK_SECONDS = 0.1
_READ_BYTES = 4096


class ConsoleDriver(LinuxDriver):
    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        # Textual draws on standard error. Where that is a log file, the terminal would stay black, and the log fill up.
        drawn_on = self._file
        if not (drawn_on and drawn_on.isatty()) and sys.__stdout__ is not None and sys.__stdout__.isatty():
            drawn_on = self._file = sys.__stdout__
        if isinstance(drawn_on, io.TextIOWrapper):
            glyphs.use_cells()
            drawn_on.reconfigure(errors=glyphs.CELLS)

    def run_input_thread(self) -> None:
        """Instead of Textual's own, which does not tell what was read in one piece, and ends at bytes that are no UTF-8 (a terminal
        of another encoding, line noise)."""
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_TICK_SECONDS):
                    read = self._read()
                    if not read:
                        break
                    self.hand_over(parser.feed(decode(read)))
                self.hand_over(parser.tick())
        with contextlib.suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _read(self) -> bytes:
        """Nothing where the terminal has gone: it would be ready to be read for ever."""
        try:
            return os.read(self.fileno, _READ_BYTES)
        except OSError:
            return b""

    def hand_over(self, messages: Iterable[Message]) -> None:
        """What was read at once; keys among it that follow on each other as one piece."""
        for is_key, found in itertools.groupby(messages, lambda message: isinstance(message, events.Key)):
            together = list(found)
            if is_key and len(together) > 1:
                self.process_message(Piece(together))  # type: ignore[arg-type]  # all of them are keys
                continue
            for message in together:
                self.process_message(message)
