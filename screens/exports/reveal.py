"""Looking at a SecureString: asked for, written into the journal, shown for a while, masked again. Its value stays in here."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from infraconsole.errors import InfraconsoleError
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.settling import Dialog
from infraconsole.screens.threads import in_thread
from infraconsole.screens.words import STRONG, WARN, said

SHOWN_SECONDS = 30.0


class RevealScreen(Dialog[bool]):
    """Whether the value shall be shown. The answer that changes nothing has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="reveal.close", tooltip="Leave it masked"),
    ]

    def __init__(self, name: str, operator: str) -> None:
        super().__init__()
        self._name = name
        self._operator = operator

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said((f"Show {self._name}?", STRONG)), classes="dialog-title")
            yield Static(
                said(
                    f"It is shown for {SHOWN_SECONDS:.0f} s on this terminal. The journal records that {self._operator} "
                    "looked at it, not what it says.\n",
                    ("Whoever sees your screen sees it too.\n", WARN),
                )
            )
            with Horizontal(id="gate-buttons"):
                yield Button("Leave it masked", id="leave")
                yield Button("Show it", id="show", variant="warning")

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#leave"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "show")

    def action_close(self) -> None:
        self.dismiss(False)


class Reveals:
    """The values that a screen shows in clear at the moment. `changed` is called when there is one more or one less."""

    def __init__(self, screen: ConsoleScreen, changed: Callable[[], None]) -> None:
        self._screen = screen
        self._changed = changed
        self.values: dict[str, str] = {}

    def ask(self, name: str, environment: str) -> None:
        if name in self.values:
            self._mask(name)
            return

        def answered(show: bool | None) -> None:
            if show:
                self._screen.run_worker(self._show(name, environment), group="reveal", exit_on_error=False)

        self._screen.app.push_screen(RevealScreen(name, self._screen.desk.operator), answered)

    async def _show(self, name: str, environment: str) -> None:
        try:
            value = await in_thread(lambda: self._recorded_then_read(name, environment), "reveal")
        except InfraconsoleError as error:
            self._screen.show_error(f"{name} is not shown", error)
            return
        self.values[name] = value
        self._screen.set_timer(SHOWN_SECONDS, lambda: self._mask(name))
        self._changed()

    def _recorded_then_read(self, name: str, environment: str) -> str:
        from infraconsole.aws.ssm import Ssm
        from infraconsole.engine import acts
        from infraconsole.target import Target

        desk = self._screen.desk
        target = Target("exports", environment, desk.region_of(environment), desk.overview.account(environment).id)
        acts.record(desk.journal, acts.REVEAL, f"Looked at the value of {name}", target, desk.operator)
        return Ssm(desk.overview.access(environment)).revealed(name)

    def _mask(self, name: str) -> None:
        self.values.pop(name, None)
        self._changed()
