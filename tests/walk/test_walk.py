"""The walk a person takes at 03:00, in a real terminal with real key presses: see that prod is bad, open it, roll it back,
watch it go green, read the journal, quit."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.engine.journal import Journal
from infraconsole.world import process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: no terminal to walk in"),
]

PATIENCE_SECONDS = 240.0
REASON = "prod answers 503"


class Terminal:
    """A tmux server of our own with one window of a given size."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self.socket = str(folder / "tmux")
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "INFRACONSOLE_", "TMUX"))
        }
        self.environ |= {"INFRACONSOLE_WORLD_DIR": str(folder / "world"), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.size = ("-x", str(columns), "-y", str(rows))
        self.windows = 0

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-f", "/dev/null", "-S", self.socket, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout

    def open(self, *command: str) -> str:
        """Run `command` in a new window, which stays when it ends; the window's name."""
        self.windows += 1
        name = f"w{self.windows}"
        line = f"{shlex.join(command)}; code=$?; echo; echo exit code $code.; exec sleep 300"
        self.tmux("new-session", "-d", "-s", name, *self.size, line)
        return name

    def keys(self, window: str, *keys: str) -> None:
        self.tmux("send-keys", "-t", window, *keys)

    def typed(self, window: str, text: str) -> None:
        self.tmux("send-keys", "-t", window, "-l", text)

    def screen(self, window: str) -> str:
        return self.tmux("capture-pane", "-p", "-t", window)

    def lines(self, window: str) -> list[str]:
        """What was written, a line that the terminal broke in one piece."""
        return self.tmux("capture-pane", "-p", "-J", "-t", window).splitlines()

    def see(self, window: str, *words: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until all of `words` are on the screen at once."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen(window)
            if all(word in shown for word in words):
                return shown
            assert time.monotonic() < deadline, f"waited for {words}; the screen is\n{shown}"
            time.sleep(0.1)

    def answer(self, window: str, gate: str, text: str) -> None:
        """Read the gate, go to its field, type, Enter."""
        self.see(window, f"gate {gate}")
        time.sleep(1.0)
        self.keys(window, "Tab")
        self.typed(window, text)
        self.see(window, f"change nothing   {text}")
        time.sleep(0.5)  # what comes sooner is of the same paste
        self.enter(window, gate)

    def choose(self, window: str, gate: str, *words: str) -> None:
        """Take what the gate recommends."""
        self.see(window, f"gate {gate}", *words)
        time.sleep(1.0)
        self.enter(window, gate)

    def enter(self, window: str, gate: str) -> None:
        """As a person does who sees that nothing follows: where the console stood still, an Enter counts as typed ahead."""
        for _ in range(5):
            self.keys(window, "Enter")
            deadline = time.monotonic() + 20.0
            while time.monotonic() < deadline:
                if f"gate {gate}" not in self.screen(window):
                    return
                time.sleep(0.1)

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    process.stop(tmp_path / "world")


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    opened = Terminal(folder, *request.param)
    yield opened
    opened.close()


CONSOLE = (sys.executable, "-m", "infraconsole")


def test_the_walk(terminal: Terminal, folder: Path) -> None:
    window = terminal.open(*CONSOLE, "demo", "--scenario", "bad-image", "--factor", "30")

    # What is wrong, where, since when, without a key press.
    terminal.see(window, "fileflow prod", "R rolls back.")

    # The cursor is on the bad row: into it.
    terminal.see(window, "PROD")
    terminal.keys(window, "Enter")
    terminal.see(window, "tab Pane", "fileflow-prod:8")
    time.sleep(0.5)  # keys in one go are a paste

    # Roll back. Choosing changes nothing; Enter alone confirms nothing.
    terminal.keys(window, "R")
    terminal.choose(window, "revision", "fileflow-prod:6", "recommended")
    terminal.choose(window, "in-flight")
    terminal.answer(window, "reason", REASON)
    terminal.see(window, "gate type-target")
    world = process.running(folder / "world")
    assert world is not None
    assert world.counted_calls("UpdateService", "ecs") == 0
    terminal.answer(window, "type-target", "fileflow-prod")

    # Another terminal shows the same run live, in the same world.
    other = terminal.open(
        *("env", *(f"{name}={value}" for name, value in world.environment().items()), *CONSOLE, "attach", "last")
    )
    terminal.see(other, "Roll back an ECS service", "bad-image")

    # Watch it go green.
    terminal.see(window, "fileflow-prod: done", "Still to do")
    terminal.see(other, "fileflow-prod: done", "Still to do")
    terminal.keys(other, "C-q")
    terminal.see(other, "exit code 0.")
    assert world.counted_calls("UpdateService", "ecs", accepted=True) == 1

    terminal.keys(window, "Escape")
    time.sleep(0.5)  # two in one read are one
    terminal.keys(window, "Escape")
    terminal.see(window, "▲ fileflow prod", "3/3", "but the variables say 7bd6b34")

    # Read the journal.
    terminal.typed(window, ":")
    terminal.typed(window, "journal")
    time.sleep(0.5)  # what comes sooner is of the same paste
    terminal.keys(window, "Enter")
    terminal.see(window, "began", "done", "fileflow-prod")

    # Quit: no process and no port behind.
    terminal.keys(window, "C-q")
    terminal.see(window, "exit code 0.")
    deadline = time.monotonic() + 20
    while world.is_alive:
        assert time.monotonic() < deadline, "the world is still there"
        time.sleep(0.1)


def run_in(world: process.World) -> str:
    with Journal(world.dir / "state") as journal:
        return journal.run_ids()[0]


def test_a_window_says_with_which_code_its_command_ended(terminal: Terminal) -> None:
    terminal.see(terminal.open(*CONSOLE, "journal", "none"), "exit code 2.")


def test_quitting_while_a_run_is_going_leaves_it_going(terminal: Terminal, folder: Path) -> None:
    window = terminal.open(*CONSOLE, "demo", "--scenario", "bad-image", "--factor", "4")
    terminal.see(window, "fileflow prod", "R rolls back.")
    terminal.keys(window, "n")
    time.sleep(0.5)  # what comes sooner is of the same paste
    terminal.keys(window, "R")
    terminal.choose(window, "revision")
    terminal.choose(window, "in-flight")
    terminal.answer(window, "reason", REASON)
    terminal.answer(window, "type-target", "fileflow-prod")
    world = process.running(folder / "world")
    assert world is not None
    deadline = time.monotonic() + 20
    while world.counted_calls("UpdateService", "ecs") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    terminal.keys(window, "C-q")
    time.sleep(1.0)
    if "exit code" not in terminal.screen(window):  # it asks first, since a run is going
        terminal.keys(window, "Tab")
        time.sleep(0.5)
        terminal.keys(window, "Enter")
    shown = terminal.see(window, "exit code 0.", "infraconsole attach")
    assert "goes on" in shown or "go on" in shown
    assert world.is_alive, "the world stays until its last run has ended"

    # The line that it leaves works in a shell that knows nothing.
    line = next(line for line in terminal.lines(window) if line.endswith("attach " + run_in(world)))
    attached = subprocess.run(
        ["env", "-i", f"HOME={folder}", "PATH=/usr/bin:/bin", "sh", "-c", f"{line} --json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert attached.returncode == 0, attached.stderr
    deadline = time.monotonic() + PATIENCE_SECONDS
    while world.is_alive:
        assert time.monotonic() < deadline, "the world is still there"
        time.sleep(0.2)
    listed = subprocess.run(
        [*CONSOLE, "journal"],
        env={**terminal.environ, **world.environment()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert " done " in listed.stdout
