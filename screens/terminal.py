"""Textual's driver for terminals that are not quite what it expects: not UTF-8, or with standard error somewhere else."""

from __future__ import annotations

import io
import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from infraconsole import glyphs


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
        """Bytes that are no UTF-8 (a terminal of another encoding, line noise, something pasted) are no end of the console."""
        while True:
            try:
                super().run_input_thread()
            except UnicodeDecodeError:
                continue
            return
