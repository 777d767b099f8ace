"""Whatever sizes a terminal goes through, the console comes to rest, answers, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib
import os
import pkgutil
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen

import infraconsole.screens
from infraconsole.app import ConsoleApp
from infraconsole.screens.settling import Settling, believable
from tests.screens.seen import until, until_seen


def _own_screens(kind: type[Any]) -> Iterator[type[Any]]:
    for found in kind.__subclasses__():
        if found.__module__.startswith("infraconsole."):
            yield found
        yield from _own_screens(found)


def test_every_screen_of_the_console_settles() -> None:
    for module in pkgutil.walk_packages(infraconsole.screens.__path__, "infraconsole.screens."):
        importlib.import_module(module.name)
    found = set(_own_screens(Screen))
    assert len(found) > 15
    assert {screen for screen in found if not issubclass(screen, Settling)} == set()


class Layouts:
    """Counts them, and lets each leave some work behind it, as a screen with much on it does: sizes that follow each other directly
    in a queue become one."""

    def __init__(self, screen: Screen[Any]) -> None:
        self.count = 0
        self._screen = screen
        screen.screen_layout_refresh_signal.subscribe(screen, self._laid_out, immediate=True)

    def _laid_out(self, _: object) -> None:
        self.count += 1
        self._screen.call_later(lambda: None)

    async def rest(self, seconds: float = 0.3, deadline: float = 20.0) -> bool:
        """Whether a moment comes in which hardly anything is laid out. A clock that ticks is no unrest."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            before = self.count
            await asyncio.sleep(seconds)
            if self.count - before <= 2:
                return True
        return False


async def storm(app: App[Any], *sizes: Size) -> None:
    """As a dragged edge: sizes closer together than a frame takes, so that several are with the screen at once."""
    screen = app.screen
    for _ in range(3):
        for size in sizes:
            app.post_message(events.Resize(size, size))
            screen.post_message(events.Resize(size, size))
            screen.call_later(lambda: None)
        await asyncio.sleep(0.01)
    app.post_message(events.Resize(sizes[-1], sizes[-1]))


@pytest.mark.parametrize(
    "keys",
    [["j", "j", "enter"], ["question_mark"], ["ctrl+p"]],
    ids=lambda keys: " ".join(keys),
)
async def test_a_storm_of_sizes_comes_to_rest(app: ConsoleApp, keys: list[str]) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await pilot.press(*keys)
        await pilot.pause(0.2)
        layouts = Layouts(app.screen)
        await storm(app, Size(120, 40), Size(90, 26), Size(130, 44), Size(100, 30))
        assert await layouts.rest()
        assert app.screen.size == Size(100, 30)
        assert layouts.count
        for behind in app._background_screens:
            assert behind.size == Size(100, 30)


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ((0, 0), (80, 24)),
        ((132, 0), (132, 24)),
        ((0, 50), (80, 50)),
        ((65_535, 65_535), (2_000, 600)),
        ((1, 1), (1, 1)),
        ((120, 40), (120, 40)),
    ],
)
def test_a_size_that_cannot_be_is_not_believed(told: tuple[int, int], taken: tuple[int, int]) -> None:
    assert believable(Size(*told)) == Size(*taken)


async def test_a_terminal_that_says_nothing_and_then_something(app: ConsoleApp) -> None:
    async def tell(pilot: Pilot[Any], width: int, height: int, expected: Size) -> None:
        app.post_message(events.Resize(Size(width, height), Size(width, height)))
        await until(pilot, lambda: app.screen.size == expected == app.size)

    async with app.run_test(size=(100, 30)) as pilot:
        await until_seen(pilot, "fileflow prod: :8 does")
        await tell(pilot, 0, 0, Size(80, 24))
        await until_seen(pilot, "fileflow prod: :8 does")
        await tell(pilot, 132, 50, Size(132, 50))


# Real processes in real terminals


class Seen:
    """A console in a terminal of its own, whose size is set as a window manager does."""

    def __init__(self, folder: Path, term: str, rows: int, columns: int) -> None:
        (folder / "infraconsole.toml").write_text(
            'region = "ap-northeast-2"\n[services.fileflow]\n[environments.prod]\nstate_bucket = "b"\n'
        )
        self.master, terminal = pty.openpty()
        self.size(rows, columns)
        environ = {
            **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")},
            "TERM": term,
            "INFRACONSOLE_CONFIG": str(folder / "infraconsole.toml"),
            "INFRACONSOLE_STATE": str(folder / "state"),
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONIOENCODING": "iso8859-1" if term == "dumb" else "utf-8",
        }
        code = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        code += "from infraconsole.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env=environ, stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self.bytes = b""

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float) -> int:
        total, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.02)[0]:
                try:
                    read = os.read(self.master, 65536)
                except OSError:
                    break
                self.bytes += read
                total += len(read)
        return total

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.bytes[-2000:]
            self.read(0.05)

    def quiet(self) -> None:
        """Until a second in which hardly anything is drawn."""
        self.until(lambda: self.read(1.0) < 20_000)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str, int, int], Seen]]:
    made: list[Seen] = []

    def make(term: str, rows: int, columns: int) -> Seen:
        made.append(Seen(tmp_path, term, rows, columns))
        return made[-1]

    yield make
    for seen in made:
        seen.close()


def test_a_terminal_without_a_size_is_drawn_on_and_left_with_ctrl_q(opened: Callable[[str, int, int], Seen]) -> None:
    seen = opened("dumb", 0, 0)
    seen.until(lambda: b"fileflow" in seen.bytes)
    seen.quiet()
    assert b"\x1b[24;" in seen.bytes
    assert b"\x1b[25;" not in seen.bytes
    assert b"\\u" not in seen.bytes, "what its encoding does not have is drawn in as many cells"
    os.write(seen.master, b"\x11")
    seen.until(lambda: seen.process.poll() is not None)
    assert seen.process.returncode == 0


def test_a_dragged_edge_comes_to_rest_and_sigterm_ends_it_in_order(opened: Callable[[str, int, int], Seen]) -> None:
    seen = opened("xterm-256color", 40, 120)
    seen.until(lambda: b"fileflow" in seen.bytes)
    os.write(seen.master, b"\xe9\xff\xfe")  # typed on a terminal of another encoding, or noise on the line
    drawn = random.Random(7)  # noqa: S311 - sizes, no secrets
    for _ in range(40):
        seen.size(drawn.randint(20, 50), drawn.randint(80, 150))
        seen.read(0.02)
    seen.quiet()
    seen.bytes = b""
    seen.process.send_signal(signal.SIGTERM)
    seen.until(lambda: seen.process.poll() is not None)
    assert seen.process.returncode == 128 + signal.SIGTERM
    seen.read(0.2)
    assert b"\x1b[?1049l" in seen.bytes, "the terminal shows its first screen again"
    assert b"Traceback" not in seen.bytes


@pytest.mark.parametrize("how", ["closed", "stuck"])
def test_a_terminal_that_has_gone_or_takes_nothing_keeps_no_console(
    opened: Callable[[str, int, int], Seen], how: str
) -> None:
    seen = opened("xterm-256color", 24, 80)
    seen.until(lambda: b"fileflow" in seen.bytes)
    if how == "closed":
        os.close(seen.master)
        assert seen.process.wait(60) == 128 + signal.SIGHUP
        return
    for number in range(150):  # nobody reads, and the buffer of the terminal fills up
        seen.size(24 + number % 2, 80)
        time.sleep(0.01)
    seen.process.send_signal(signal.SIGTERM)
    assert seen.process.wait(60) == 128 + signal.SIGTERM
