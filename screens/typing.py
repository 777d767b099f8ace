"""What is typed and what is pasted. A terminal without bracketed paste sends a paste as keys, and only their pace tells them from
those of a person: keys that come faster than anybody types count as one paste. A paste goes into a field as one line and never
presses Enter there; elsewhere it does nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, runtime_checkable

from textual import events
from textual.app import App
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.widgets import Input

FAST_SECONDS = 0.018
"""Between two keys of one paste at most. Who types fast, or holds a key, leaves more."""
_LONG_PIECE = 8
"""So many letters at once are of a paste, or of a line that had stood still."""
_PAUSE_IN_A_PASTE_SECONDS = 0.1
"""Between two pieces of one paste, on a line that delivers it in several."""
_LONGEST = 10_000
_LINE_ENDS = ("enter", "ctrl+j", "ctrl+m")
_OPENERS = ("colon", "slash")
"""They open a field: a slow line delivers in one piece with them what is typed into it."""
_LETTERS_THAT_MOVE = ("j", "k")
_NEVER_HELD = ("ctrl+q",)
"""Whatever the line has delivered with it, the way out is heard; no text holds it, and it changes nothing."""


class Piece(events.Event, bubble=False):
    """Keys that the terminal delivered in one piece, so that no pause of this machine can take it apart."""

    def __init__(self, keys: Iterable[events.Key]) -> None:
        super().__init__()
        self.keys = tuple(keys)


@runtime_checkable
class AsksForAnswer(Protocol):
    """A screen on which an answer is asked for, by a field or by a choice."""

    @property
    def is_asking(self) -> bool:
        """Whether keys belong to the answer now."""

    @property
    def answer_field(self) -> Input | None:
        """What every printable key goes into; None where there is only something to choose."""

    def say_of_paste(self, words: str) -> None:
        """Say it where the answer is given: a notice would cover that."""


class Typing:
    """Stands before the bindings: `took` says whether a key or a paste is dealt with, or held until its pace is known."""

    def __init__(self, app: App[None], forward: Callable[[events.Key], Awaitable[None]]) -> None:
        self._app = app
        self._forward = forward
        self._held: list[events.Key] = []
        self._timer: Timer | None = None
        self._last_seconds = float("-inf")
        self._pause_seconds = FAST_SECONDS
        """Within which the next key still belongs to this burst."""
        self._text = self._keys = 0
        """Of the present burst: printable keys that went into a field already, and all keys that were let through."""

    async def took(self, event: events.Event) -> bool:
        if isinstance(event, events.Paste):
            await self._settle()
            self._paste(event.text)
            return True
        if isinstance(event, Piece):
            for key in event.keys:
                key.time = event.time
                if not await self._took_key(key):
                    await self._forward(key)
            if sum(key.is_printable for key in event.keys) >= _LONG_PIECE:
                self._pause_seconds = _PAUSE_IN_A_PASTE_SECONDS
            return True
        return isinstance(event, events.Key) and await self._took_key(event)

    async def _took_key(self, event: events.Key) -> bool:
        is_fast = event.time - self._last_seconds <= self._pause_seconds
        self._last_seconds = event.time
        if event.key in _NEVER_HELD:
            await self._settle()
            return False
        if not is_fast:
            await self._settle()
            self._text = self._keys = 0
            self._pause_seconds = FAST_SECONDS
        if self._held:
            self._hold(event)
            return True
        is_text = event.is_printable and event.character is not None
        field = self._field
        if field is not None and event.key not in _LINE_ENDS:
            self._keys += 1
            self._text += is_text
            if is_text and field is not self._app.focused:
                _insert(self._app.screen, field, event.character or "")
                return True
            return False
        if is_text and self._only_chooses and event.character not in ("j", "k", "g", "G"):
            self._keys += 1
            return True
        if _moves(event):
            self._keys += 1
            return False
        self._hold(event)
        return True

    def _hold(self, event: events.Key) -> None:
        self._held.append(event)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_timer(FAST_SECONDS, self._settle)

    async def _settle(self) -> None:
        """No more keys come in this burst: what was held is done, or pasted."""
        held, self._held = self._held, []
        if not held:
            return
        if len(held) == 1 and not self._comes_with_more:
            await self._forward(held[0])
            return
        words = "".join(_written(key) for key in held)
        opens = held[0].key in _OPENERS and self._field is None and not self._only_chooses
        if opens and sum(key.key in _LINE_ENDS for key in held[:-1]) == 0:
            for key in held:
                await self._forward(key)
            return
        self._paste(words, follows=self._text > 0)

    @property
    def _comes_with_more(self) -> bool:
        """Whether keys that came with it make a single one that was held part of a paste. Arrows and the like do so only where
        Enter answers."""
        return self._text > 0 or (self._keys > 0 and (self._field is not None or self._only_chooses))

    # Where it goes

    @property
    def _field(self) -> Input | None:
        focused, screen = self._app.focused, self._app.screen
        if isinstance(focused, Input):
            return focused
        return screen.answer_field if isinstance(screen, AsksForAnswer) and screen.is_asking else None

    @property
    def _only_chooses(self) -> bool:
        screen = self._app.screen
        is_asking = isinstance(screen, AsksForAnswer) and screen.is_asking
        return is_asking and self._field is None

    def _paste(self, words: str, *, follows: bool = False) -> None:
        """`follows`: what came with it stands in the field already."""
        field = self._field or _only_field(self._app.screen)
        if field is None:
            self._say("Ignored: it was pasted, or came faster than anybody types. Only a field takes that.")
            return
        line = one_line(words)
        is_ended = any(end in words for end in "\r\n")
        if line:
            blank = " " if follows and words[:1] in "\r\n\t " and field.value[-1:] != " " else ""
            _insert(self._app.screen, field, f"{blank}{line}")
        if is_ended:
            self._say("Pasted as one line; nothing was sent. Press Enter when it is right.")

    def _say(self, words: str) -> None:
        screen = self._app.screen
        if isinstance(screen, AsksForAnswer) and screen.is_asking:
            screen.say_of_paste(words)
            return
        self._app.notify(words, title="Pasted", severity="warning", markup=False)


def one_line(words: str) -> str:
    """What a field takes of a paste: its lines one after the other, with blanks between them."""
    joined = " ".join(words[:_LONGEST].split())
    return "".join(character for character in joined if character.isprintable())


def _written(key: events.Key) -> str:
    if key.key in _LINE_ENDS:
        return "\n"
    if key.key == "tab":
        return "\t"
    return key.character if key.is_printable and key.character else ""


def _moves(event: events.Key) -> bool:
    """Whether it only moves, or is none that a pasted text can hold."""
    return event.key not in _LINE_ENDS and (not event.is_printable or event.character in _LETTERS_THAT_MOVE)


def _insert(screen: Screen[object], field: Input, words: str) -> None:
    if screen.focused is not field:
        screen.set_focus(field)
        field.cursor_position = len(field.value)
    if field.selection.is_empty:
        field.insert_text_at_cursor(words)
    else:
        field.replace(words, *field.selection)


def _only_field(screen: Screen[object]) -> Input | None:
    """That of a dialog with one field, wherever the focus is."""
    if not isinstance(screen, ModalScreen):
        return None
    fields = [field for field in screen.query(Input) if field.display and not field.disabled]
    return fields[0] if len(fields) == 1 else None
