"""A screen that stands still: the time of day does not move, and nothing is read any more.

Nothing here waits for seconds. A screen is still once no reading, no worker and no timer that comes once is under way, and its
picture is the same after a further second of its own, which is handed to it at once.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.widgets import Input
from textual.widgets._footer import FooterKey
from textual.widgets._toast import Toast

from infraconsole.app import ConsoleApp
from infraconsole.clock import Tempo, ToldTime
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.detail import DetailScreen
from infraconsole.screens.places import GoTo, Place
from tests.screens.pictures.picture import picture
from tests.screens.seen import until, until_seen

AT = datetime(2026, 11, 26, 5, 20, 5, tzinfo=UTC)
"""14:20:05 in the zone of the pictures."""
ZONE = "Asia/Seoul"
NOWHERE = "http://127.0.0.1:9"
"""An emulator's address, at which nobody is asked anything."""
_ENDLESS = frozenset(("cells", "follow"))
"""Workers that read for as long as their screen is there: the board's pump, and what follows a run."""
_SOON_SECONDS = 2.0
_PATIENCE_SECONDS = 150.0


class Clock:
    """The time of day as an emulator tells it; it moves only when it is told to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(AT)

    def set(self, at: datetime) -> None:
        told = ToldTime.here(NOWHERE, Tempo(at, time.monotonic(), 0.0))
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps(told.as_json()), encoding="utf-8")
        os.replace(written, self.file)  # noqa: PTH105 - as one step: threads of the console read it all the time

    def before(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """What is written from now on is so old when the picture is taken."""
        self.set(AT - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))


class Readings:
    """Counts what the screens do in threads."""

    def __init__(self, carried: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        self._carried = carried
        self._lock = threading.Lock()
        self.under_way = 0
        self.ended = 0

    def carried(self, call: Callable[[], None]) -> Callable[[], None]:
        inner = self._carried(call)
        with self._lock:
            self.under_way += 1

        def counted() -> None:
            try:
                inner()
            finally:
                with self._lock:
                    self.under_way -= 1
                    self.ended += 1

        return counted


async def still(
    pilot: Pilot[Any], readings: Readings, *, endless: Collection[str] = (), waiting: int = 0, notices: int = 0
) -> str:
    """The picture of the screen once it stands still. `endless` are further groups of workers that do not end, `waiting` is how
    many threads do not, and `notices` how many are awaited; without it they are put away."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    before, looks = "", 0
    why = "nothing was looked at"
    while time.monotonic() < deadline:
        await pilot.pause(0.01)
        _hold(app)
        why = _restless(app, readings, {*_ENDLESS, *endless}, waiting) or _notices(app, notices)
        follows = any(worker.group == "follow" and not worker.is_finished for worker in app.workers)
        if why or (follows and readings.ended < looks):
            continue
        taken = picture(app)
        if taken == before:
            return taken
        before, looks = taken, readings.ended + 2  # a look that began after this one
        if isinstance(app.screen, ConsoleScreen):
            app.screen._beat()
    raise AssertionError(f"The screen does not come to rest: {why or 'it looks different each time'}\n{picture(app)}")


def _hold(app: ConsoleApp) -> None:
    """No second of its own begins by itself any more, and the board reads nothing again: on a busy machine the one before would not
    be over by then."""
    screen = app.screen
    if isinstance(screen, ConsoleScreen):
        for timer in screen._beats:
            timer.pause()
    if isinstance(screen, BoardScreen) and screen._pump.schedule.is_all_read:
        screen._pump.pause()
    for field in screen.query(Input):
        field.cursor_blink = False


def _restless(app: ConsoleApp, readings: Readings, endless: Collection[str], waiting: int) -> str:
    """What is still under way; "" where nothing is."""
    screen = app.screen
    if readings.under_way > waiting:
        return f"{readings.under_way} readings"
    if busy := [worker.group for worker in app.workers if not worker.is_finished and worker.group not in endless]:
        return f"workers {', '.join(sorted(busy))}"
    if isinstance(screen, ConsoleScreen) and not (screen.too_small or _has_its_footer(screen)):
        return "the footer is being made"
    if isinstance(screen, BoardScreen) and not screen._pump.schedule.is_all_read:
        return "not all rows are read"
    nodes: list[MessagePump] = [app, screen, *screen.walk_children()]
    if soon := [node for node in nodes if not isinstance(node, DetailScreen) and _is_awaited(node)]:
        return f"timers of {', '.join(str(node) for node in soon)}"
    if screen._layout_required or screen._dirty_widgets or app.animator._animations:
        return "layout"
    return ""


def _notices(app: ConsoleApp, wanted: int) -> str:
    """Whether there are other notices than wanted; "" where there are not."""
    if wanted:
        return "" if len(app.screen.query(Toast)) == wanted else "the notice is awaited"
    if app._notifications or app.screen.query(Toast):
        app.clear_notifications()
        return "a notice"
    return ""


def _has_its_footer(screen: ConsoleScreen) -> bool:
    """Whether the footer shows the keys that there are now: it is made anew whenever they may have changed, and empty meanwhile."""
    palette = screen.app.COMMAND_PALETTE_BINDING
    active = screen.active_bindings
    wanted = {each.binding.action: each for each in reversed(active.values()) if each.binding.show}
    expected = sorted((each.binding.description, each.enabled) for each in wanted.values())
    keys = screen.query(FooterKey)
    own = sorted(
        (key.description, not key.has_class("-disabled")) for key in keys if not key.has_class("-command-palette")
    )
    return own == expected and all(key.size.width for key in keys) and (palette in active) == (len(own) < len(keys))


def _is_awaited(node: MessagePump) -> bool:
    """Whether a timer of it is to come that comes once, and soon. A notice goes by itself as well, long after the picture."""
    return any(
        timer._repeat == 0 and timer._interval < _SOON_SECONDS and timer._task is not None and not timer._task.done()
        for timer in node._timers
    )


async def shown(pilot: Pilot[Any], words: str) -> None:
    """Until they stand on the screen, however busy the machine is."""
    await until_seen(pilot, words, _PATIENCE_SECONDS)


async def come(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    await until(pilot, holds, seconds=_PATIENCE_SECONDS)


async def go(pilot: Pilot[Any], screen: str, service: str = "fileflow", environment: str = "prod", **more: str) -> None:
    """To that screen, by its name in `places`. What it shows may still be read."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    app.on_go_to(GoTo(Place(screen, service, environment, **more)))
    await come(pilot, lambda: type(app.screen).__name__ == f"{screen.capitalize()}Screen" and app.screen.is_mounted)
