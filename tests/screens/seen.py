"""What stands on the screen, as text; and waiting until it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widget import Widget

from infraconsole.app import ConsoleApp
from infraconsole.screens.typing import Piece


def text_of(app: ConsoleApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[Any], holds: Callable[[], object], what: str = "", seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what or holds}\n{text_of_any(pilot)}"
        await pilot.pause(0.02)


async def until_seen(pilot: Pilot[Any], words: str, seconds: float = 30.0) -> None:
    await until(pilot, lambda: words in text_of_any(pilot), f"{words!r} on the screen", seconds)


def text_of_any(pilot: Pilot[Any]) -> str:
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    return text_of(app)


def notices(app: ConsoleApp, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of all notices from now on; on the screen, each stays for some seconds only."""
    told: list[str] = []
    notify = app.notify

    def noted(words: str, **more: Any) -> None:
        told.append(words)
        notify(words, **more)

    monkeypatch.setattr(app, "notify", noted)
    return told


def focused_id(pilot: Pilot[Any]) -> str | None:
    widget: Widget | None = pilot.app.focused
    return widget.id if widget else None


async def press_after_reading(pilot: Pilot[Any], key: str) -> None:
    """As a person who has read what was pasted; what comes sooner is of the paste."""
    await pilot.pause(0.4)
    await pilot.press(key)


def at_once(app: ConsoleApp, *keys: str) -> None:
    """As a terminal's driver hands over what it read in one piece."""
    named = {"colon": ":", "slash": "/", "space": " ", "tab": "\t"}
    made = [events.Key(key, key if len(key) == 1 else named.get(key)) for key in keys]
    for number, key in enumerate(made):
        key.time += 0.1 * number  # as a machine that stalls would stamp them
    app.post_message(Piece(made))
