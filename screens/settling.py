"""Screens that come to rest, whatever sizes the terminal goes through.

Textual's screen answers a resize by laying itself out, and the layout posts another resize to it, of the size it got. With two
sizes in its queue at once it goes from one to the other and back for ever. So a size that the terminal has left is passed over
here; the newest one is still to come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from textual import events
from textual.geometry import Size
from textual.screen import ModalScreen, Screen

T = TypeVar("T")

UNKNOWN = Size(80, 24)
"""What a terminal is taken to be that does not know its size, as on serial lines: columns and rows, each by itself."""
_MOST = Size(2_000, 600)
"""More is a terminal's mistake, and would be drawn for minutes."""

if TYPE_CHECKING:
    _Screen = Screen[Any]
else:
    _Screen = object


def believable(told: Size) -> Size:
    """What is drawn for, where a terminal tells that size."""
    return Size(min(told.width or UNKNOWN.width, _MOST.width), min(told.height or UNKNOWN.height, _MOST.height))


def believed(event: events.Resize) -> events.Resize:
    size = believable(event.size)
    return event if size == event.size else events.Resize(size, size)


class Settling(_Screen):
    """Stands before the screen it is mixed into. All screens of the console have it."""

    @property
    def is_usable(self) -> bool:
        """Whether its widgets can be asked for: they have come, and do not go already."""
        return self.is_mounted and not self.is_leaving

    @property
    def is_leaving(self) -> bool:
        """Its widgets go, one after the other; a timer may fire meanwhile."""
        return self._pruning or not self.app.is_running

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Resize) and event.size != self.app.size:
            return
        # Where the console is being left, or all screens give way to new ones, one that is just being opened gets not all of its
        # widgets, and lays nothing out any more.
        going = not self.children or self.is_leaving
        if not (going and isinstance(event, events.Mount | events.ScreenResume | events.Resize)):
            await super().on_event(event)


class Dialog(Settling, ModalScreen[T]):
    """Over another screen; in 80 columns over its whole width."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's own type
