"""Copying over the terminal (OSC 52). No terminal answers to it, and tmux and screen may keep it to themselves: so what was tried
is said, what stands in the way is looked for, and the text can be shown plainly, to be selected with the mouse."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

from infraconsole import glyphs, programs, text

PLAIN_KEY = "ctrl+y"
_TMUX_SECONDS = 2.0
_ASKED = ("tmux", "show-options", "-sv", "set-clipboard")


def kept_by(environ: Mapping[str, str]) -> str:
    """What does not pass it on, as a sentence; "" where nothing of that kind is known. Blocks for a moment."""
    if environ.get("TMUX"):
        with suppress(OSError, programs.Unheard):
            said = programs.ask(_ASKED, seconds=_TMUX_SECONDS, environ=environ)
            told = said.output.decode(errors="replace").strip()
            if said.code == 0 and told != "on":
                return f"tmux keeps it: its option set-clipboard is {text.line(told, 20) or 'not set'}."
        return ""
    return "GNU screen keeps it." if environ.get("STY") else ""


def told(name: str, kept: str, *, explained: bool) -> str:
    """What is said of a copy. How to let tmux pass it on is explained once."""
    plain = f"{PLAIN_KEY} shows it as plain text to select."
    if not kept:
        return f"Sent to the terminal's clipboard: {name}. If it does not paste, {plain}"
    explanation = "" if explained or "tmux" not in kept else " In ~/.tmux.conf: set -s set-clipboard on"
    return f"Not copied: {name}. {kept} {plain}{explanation}"


def show_plainly(name: str, content: str) -> None:
    """On the terminal's first screen, which the console has left, until Enter is pressed: what is selected there with the mouse
    is whole, without borders, and lines that were folded are one."""
    rule = "─" * min(shutil.get_terminal_size().columns, 60)
    words = f"\r\n{text.line(name)}\n{rule}\n{text.block(content)}\n{rule}\nEnter goes back to the console. "
    stream = sys.__stdout__
    if stream is None:
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C goes back as well
    try:
        _write(stream.fileno(), glyphs.encodable(words, stream.encoding or "ascii").encode(stream.encoding, "replace"))
        _wait_for_a_line(0)
    except (KeyboardInterrupt, OSError):
        pass
    finally:
        signal.signal(signal.SIGINT, before)


def _write(terminal: int, content: bytes) -> None:
    while content:
        content = content[os.write(terminal, content) :]


def _wait_for_a_line(terminal: int) -> None:
    """Or for the end of the terminal."""
    while True:
        select.select([terminal], [], [])
        typed = os.read(terminal, 4096)
        if not typed or b"\n" in typed:
            return
