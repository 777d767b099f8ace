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


def service_keys() -> tuple[Binding, ...]:
    """Of every screen of a service, with an action `to`: what else there is of the service, by the board's letters."""
    return (
        Binding("h", "to('journal')", "Journal", show=False, id="screen.journal", tooltip="All runs, and their events"),
        Binding("x", "to('exports')", "Exports", show=False, id="screen.exports",
                tooltip="What the infrastructure repository shares"),
        Binding("t", "to('state')", "State", show=False, id="screen.state",
                tooltip="Versions and lock of this service's Terraform state"),
        Binding("v", "to('environments')", "Environments", show=False, id="screen.environments",
                tooltip="This service's environments side by side"),
    )  # fmt: skip


def environment_keys() -> tuple[Binding, ...]:
    """As k9s has its namespaces."""
    told = "0 all environments, 1 to 9 one of them"
    return tuple(
        Binding(str(digit), f"only({digit})", "Environment", show=False, id=f"digits.{digit}", tooltip=told)
        for digit in range(10)
    )


def field_keys(dialog: str, other: str) -> tuple[Binding, Binding]:
    """Of a dialog with something to type; `other` is where they go."""
    return (
        Binding("tab", "app.focus_next", "Next", show=False, id=f"{dialog}.field", tooltip=other, priority=True),
        Binding("shift+tab", "app.focus_previous", "Before", show=False, id=f"{dialog}.before", tooltip=other, priority=True),
    )  # fmt: skip
