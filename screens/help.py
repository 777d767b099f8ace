"""Help for the screen one is on: what it is for, and every key that works there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from infraconsole.screens.settling import Dialog
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import STRONG, lines, said

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def key_name(key: str) -> str:
    """A key as one reads it: `?`, `esc`, `ctrl+p`."""
    return _NAMES.get(key, key)


_WIDGETS = ("rows", "output", "gate", "filter", "digits")
_DIGITS = list("0123456789")


def weight(binding: Binding) -> int:
    """What comes first in lists: the screen's own keys, then those of every screen, then the application's, then moving."""
    owner = (binding.id or "").partition(".")[0]
    return 3 if owner in _WIDGETS else {"screen": 1, "app": 2}.get(owner, 0)


def is_command(binding: Binding) -> bool:
    """Whether it does something, rather than move the cursor."""
    return binding.id is not None and binding.id.partition(".")[0] not in _WIDGETS


class HelpScreen(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "Close", id="help.close", tooltip="Back to the screen"),
    ]

    def __init__(
        self, title: str, about: str, bindings: Iterable[Binding], legend: Sequence[tuple[str, str]] = ()
    ) -> None:
        """`legend`: each column and sign, and what it means."""
        super().__init__()
        self._legend = legend
        self._title = title
        self._about = about
        self._keys = _keys(bindings)

    def compose(self) -> ComposeResult:
        width = max((len(keys) for keys, _, _ in self._keys), default=0)
        rows = [
            said((f"{keys:<{width}}  ", STRONG), f"{description}. {tooltip}" if tooltip else description)
            for keys, description, tooltip in self._keys
        ]
        with Vertical(classes="dialog"):
            yield Static(said((self._title, STRONG)), classes="dialog-title")
            with VerticalScroll():
                yield Says(Content("\n\n").join([said(self._about), lines(rows), *self._meanings()]), hangs=True)
            yield Static(said(("Esc closes.", "dim")))

    def _meanings(self) -> list[Content]:
        if not self._legend:
            return []
        width = max(len(name) for name, _ in self._legend)
        rows = [said((f"{name:<{width}}  ", STRONG), meaning) for name, meaning in self._legend]
        return [lines([("Columns and signs", STRONG), *rows])]

    def on_mount(self) -> None:
        self.set_focus(self.query_one(VerticalScroll))

    def action_close(self) -> None:
        self.dismiss(None)


def _keys(bindings: Iterable[Binding]) -> Sequence[tuple[str, str, str]]:
    """(keys, description, tooltip) of each action, the screen's own before the application's."""
    found: dict[tuple[str, str], list[str]] = {}
    tooltips: dict[tuple[str, str], str] = {}
    for binding in sorted(bindings, key=weight):
        if not binding.description or binding.id is None:
            continue
        entry = (binding.action.partition("(")[0], binding.description)
        keys = found.setdefault(entry, [])
        if key_name(binding.key) not in keys:
            keys.append(key_name(binding.key))
        tooltips.setdefault(entry, binding.tooltip)
    return [("0-9" if keys == _DIGITS else ", ".join(keys), entry[1], tooltips[entry]) for entry, keys in found.items()]
