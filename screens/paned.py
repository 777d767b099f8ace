"""Screens of several panes: beside each other where there is room for them, one at a time where there is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.content import Content
from textual.widget import Widget

from infraconsole import text
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import DIM, STRONG, said

WIDE = 120
"""From so many columns on, all panes are seen at once."""


class PanedScreen(ConsoleScreen):
    """Subclasses name their `panes` (ids of widgets of the class `pane`), say what each is called, and have a `Says` with
    the id `tabs`; `columns` are the containers that panes stand in, each with its panes. The first pane is shown first,
    unless `first_pane` is another."""

    panes: ClassVar[tuple[str, ...]] = ()
    first_pane: ClassVar[str] = ""
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.pane = self.first_pane or self.panes[0]

    def pane_titles(self) -> Mapping[str, str]:
        return {pane: pane for pane in self.panes}

    def beside_tabs(self) -> str:
        """What stands behind the panes' names on the line that replaces their borders."""
        return ""

    @property
    def is_wide(self) -> bool:
        return self.size.width >= WIDE

    def show_pane(self, pane: str, *, focus: bool = True) -> None:
        self.pane = pane
        self.lay_out()
        if focus:
            self.set_focus(self.query_one(f"#{pane}"))
        self.refresh_bindings()

    def lay_out(self) -> None:
        if not self.is_usable:
            return
        wide = self.is_wide
        for pane in self.panes:
            self.query_one(f"#{pane}").display = wide or pane == self.pane
        for column, held in self.columns.items():
            self.query_one(f"#{column}").display = wide or self.pane in held
        self.draw_titles()

    def draw_titles(self) -> None:
        titles = self.pane_titles()
        parts: list[tuple[str, str]] = []
        for pane in self.panes:
            title = text.line(titles[pane])
            self.query_one(f"#{pane}").border_title = Content(title)
            parts.append((f"[{title}]", STRONG) if pane == self.pane else (f" {title} ", DIM))
        if beside := self.beside_tabs():
            parts.append((f"  {beside}", DIM))
        self.query_one("#tabs", Says).say(said(*parts))

    def on_resize(self) -> None:
        self.lay_out()

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if focused is not None and focused.id in self.panes and focused.id != self.pane:
            self.show_pane(focused.id, focus=False)

    def list_widget(self) -> Widget:
        return self.query_one(f"#{self.pane}")

    def action_pane(self, direction: int) -> None:
        self.show_pane(self.panes[(self.panes.index(self.pane) + direction) % len(self.panes)])
