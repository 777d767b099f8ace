"""Keys that do nothing where one is: a word says so, so that nobody waits for what will not come."""

from __future__ import annotations

from textual import events
from textual.app import App

from infraconsole import clock
from infraconsole.screens.console_screen import is_too_small
from infraconsole.screens.help import key_name

_APART_SECONDS = 2.0
"""A held key, or several wrong ones, are worth one notice."""
_SHOWN_SECONDS = 3.0


class UnknownKeys:
    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._said_at = float("-inf")

    def say_of(self, key: events.Key) -> None:
        """Of a printable key that no field took and no binding has answered."""
        is_soon = clock.seconds() - self._said_at < _APART_SECONDS
        if not key.is_printable or is_soon or is_too_small(self._app.size):
            return
        self._said_at = clock.seconds()
        self._app.notify(self._words(key), severity="warning", timeout=_SHOWN_SECONDS, markup=False)

    def _words(self, key: events.Key) -> str:
        active = self._app.screen.active_bindings
        helps = "question_mark" in active
        name = key.key if key.character == " " else key_name(key.character or key.key)
        bound = active.get(key.key)
        if bound is not None and bound.binding.description:
            return f"{name} ({bound.binding.description}) is not possible here now."
        return f"{name} does nothing here{'; ? shows the keys' if helps else ''}."
