"""What is said of a copy that may never arrive, and the way out of it: the text, plainly."""

from __future__ import annotations

import os
import pty
import threading
from functools import partial
from pathlib import Path

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.screens import copying
from infraconsole.screens.detail import DetailScreen
from tests.screens.seen import notices, until, until_seen

FORBIDDEN = (b"\x1b", b"\x07", b"\x9b")


def tmux(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> dict[str, str]:
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    return dict(os.environ)


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ("echo on", ""),
        ("echo external", "set-clipboard is external"),
        ("echo off", "set-clipboard is off"),
        ("exit 1", ""),
    ],
)
def test_tmux_is_asked_whether_it_passes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, kept: str
) -> None:
    assert kept in copying.kept_by(tmux(tmp_path, monkeypatch, script))
    assert bool(copying.kept_by(dict(os.environ))) is bool(kept)


def test_without_tmux_nothing_is_known_and_screen_is_known() -> None:
    assert copying.kept_by({}) == ""
    assert "GNU screen" in copying.kept_by({"STY": "1.pts"})
    assert copying.kept_by({"TMUX": "x", "PATH": "/nowhere"}) == ""


def test_success_is_never_claimed() -> None:
    sent = copying.told("fileflow prod", "", explained=False)
    assert (
        sent
        == "Sent to the terminal's clipboard: fileflow prod. If it does not paste, ctrl+y shows it as plain text to select."
    )
    kept = copying.told("fileflow prod", "tmux keeps it: its option set-clipboard is external.", explained=False)
    assert kept.startswith("Not copied: fileflow prod. tmux keeps it")
    assert kept.endswith("set -s set-clipboard on")


async def test_tmux_is_explained_once(app: ConsoleApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmux(tmp_path, monkeypatch, "echo external")
    async with app.run_test(size=(100, 30)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        said = notices(app, monkeypatch)
        for number in (1, 2):
            await pilot.press("y")
            await until(pilot, partial(lambda number: len(said) == number, number))
        assert all("Not copied: fileflow prod" in words and "ctrl+y" in words for words in said)
        assert ["set -s set-clipboard on" in words for words in said] == [True, False]


async def test_where_the_terminal_cannot_be_left_the_text_is_shown_over_the_screen(app: ConsoleApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        await until_seen(pilot, "service  read")


def test_the_plain_view_is_whole_and_harmless_and_ends_with_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = pty.openpty()
    terminal = os.fdopen(far, "r+b", buffering=0)
    monkeypatch.setattr("sys.__stdout__", open(far, "w", encoding="iso8859-1", closefd=False))  # noqa: SIM115
    monkeypatch.setattr(copying, "_wait_for_a_line", lambda _, wait=copying._wait_for_a_line: wait(far))
    read: list[bytes] = []

    def person() -> None:
        while b"Enter goes back" not in b"".join(read):
            read.append(os.read(near, 65536))
        os.write(near, b"\n")

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    copying.show_plainly("name\x1b[2J", "x" * 500 + " ✓\x1b]52;c;eA==\x07\nnext")
    thread.join(20)
    seen = b"".join(read)
    assert b"x" * 500 + b" +" in seen, "a long line is one line, whatever the terminal's width"
    assert not any(sign in seen for sign in FORBIDDEN)
    terminal.close()
    os.close(near)
