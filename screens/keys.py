"""Tab and shift+Tab. With priority: a slow line delivers several keys at once, and those after Tab belong to where it goes, above
all what is typed into a gate."""

from __future__ import annotations

from textual.binding import Binding


def pane_keys(screen: str, panes: str) -> tuple[Binding, Binding]:
    """Of a screen with an action `pane`; `panes` says what they go through."""
    before = "The pane before"
    return (
        Binding("tab", "pane(1)", "Pane", id=f"{screen}.next-pane", tooltip=panes, priority=True),
        Binding("shift+tab", "pane(-1)", "Pane before", show=False, id=f"{screen}.pane-before", tooltip=before, priority=True),
    )  # fmt: skip


def field_keys(dialog: str, other: str) -> tuple[Binding, Binding]:
    """Of a dialog with something to type; `other` is where they go."""
    return (
        Binding("tab", "app.focus_next", "Next", show=False, id=f"{dialog}.field", tooltip=other, priority=True),
        Binding("shift+tab", "app.focus_previous", "Before", show=False, id=f"{dialog}.before", tooltip=other, priority=True),
    )  # fmt: skip
