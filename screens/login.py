"""Getting new credentials without leaving the console: the login's command runs in here, its address and code largest and first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from infraconsole import clock, text
from infraconsole.aws.profiles import Renewal
from infraconsole.aws.sso_login import MOST_SECONDS, Prompt, log_in, prompt_of
from infraconsole.errors import InfraconsoleError, Interrupted
from infraconsole.screens.copying import PLAIN_KEY
from infraconsole.screens.places import Copied, ShowPlainly
from infraconsole.screens.settling import Dialog
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.output import Output
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, STRONG, WARN, Part, lines, said

_TICK_SECONDS = 1.0


class LoginScreen(Dialog[bool]):
    """Gives whether the login has succeeded. `find` says what is to be run; it blocks, and may raise InfraconsoleError."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+c", "cancel", "Cancel", id="login.cancel", tooltip="End the login, and go back"),
        Binding("y", "copy", "Copy", id="login.copy", tooltip="Copy the address, or the command to run elsewhere"),
        Binding("c", "copy_code", "Copy the code", id="login.copy-code", tooltip="Copy the code alone"),
        Binding("r", "again", "Try again", id="login.again", tooltip="Begin the login once more"),
        Binding(PLAIN_KEY, "plain", "Plain text", show=False, id="login.plain",
                tooltip="Show address and code without anything around them, to select them with the mouse"),
    ]  # fmt: skip

    @dataclass
    class Heard(Message):
        lines: Sequence[str]

    def __init__(self, title: str, find: Callable[[], Renewal]) -> None:
        super().__init__()
        self._title = title
        self._find = find
        self._renewal = Renewal("")
        self._told: list[str] = []
        self._prompt = Prompt()
        self._error: InfraconsoleError | None = None
        self._stop = threading.Event()
        self._running = False
        self._began = clock.seconds()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large", id="login"):
            yield Static(said((self._title, STRONG)), classes="dialog-title")
            yield Says(id="login-says")
            yield Output(reading="", id="login-output")
            yield Says(id="login-keys")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Output))
        self.set_interval(_TICK_SECONDS, self._draw)
        self._log_in()

    def on_unmount(self) -> None:
        self._stop.set()

    # The command

    @work(exclusive=True, exit_on_error=False)
    async def _log_in(self) -> None:
        self._running, self._error, self._prompt, self._began = True, None, Prompt(), clock.seconds()
        self._told.clear()
        self.query_one(Output).clear()
        self._draw()
        try:
            self._renewal = await in_thread(self._find, "login")
            if self._renewal.command:
                await in_thread(lambda: log_in(self._renewal, self._hear, stopped=self._stop.is_set), "login")
                self.dismiss(True)
                return
        except Interrupted:
            self.dismiss(False)
        except InfraconsoleError as error:
            self._error = error
        finally:
            self._running = False
        self._draw()

    def _hear(self, told: Sequence[str]) -> None:
        """Called in the command's thread."""
        self.post_message(self.Heard(tuple(told)))

    def on_login_screen_heard(self, event: Heard) -> None:
        self._told += event.lines
        self.query_one(Output).add([(DIM if line.startswith("$ ") else "", line) for line in event.lines])
        self._prompt = prompt_of(self._told)
        self._draw()

    # Drawing

    def _draw(self) -> None:
        if not self.is_attached:
            return
        self.query_one("#login-says", Says).say(self._says())
        self.query_one("#login-keys", Says).say(said((self._keys(), DIM)))
        self.query_one(Output).display = bool(self._told)
        self.query_one("#login").set_class(bool(self._told), "-large")

    def _says(self) -> Content:
        if self._error is not None:
            more = [part for part in (self._error.cause, self._error.mend) if part]
            return lines([(self._error.title, BAD), *more, *self._by_hand()])
        if not self._running:
            return lines([(self._renewal.why_not, WARN), *self._by_hand()])
        if self._stop.is_set():
            return said(("Ending the login…", WARN))
        if not self._prompt.url:
            return lines([f"Waiting for the address… {self._passed}"])
        rows: list[Part | Content] = [
            "Open this address in a browser, on any machine:" if not self._prompt.only_here else
            ("Open this address in a browser on this machine: on another one it does not work.", WARN),
            (self._prompt.url, STRONG),
        ]  # fmt: skip
        if self._prompt.code:
            rows.append(said("Code: ", (self._prompt.code, STRONG)))
        rows.append((f"Waiting until it is confirmed there. {self._passed}", DIM))
        return lines(rows)

    @property
    def _passed(self) -> str:
        return f"{text.duration(clock.seconds() - self._began)} of at most {text.duration(MOST_SECONDS)}"

    def _by_hand(self) -> list[Part]:
        if not self._renewal.by_hand:
            return []
        told: list[Part] = [(self._renewal.by_hand, STRONG)]
        if not self._error:
            told.append(("The console goes on by itself once there are new credentials.", DIM))
        return told

    def _keys(self) -> str:
        what = self._copied()
        copy = f"y copies {what[0]}" if what else ""
        code = "c the code" if self._prompt.code and self._running else ""
        again = "r tries again" if not self._running else ""
        leave = "Esc cancels" if self._running else "Esc closes"
        return ", ".join(part for part in (copy, code, again, leave) if part) + "."

    # Keys

    def _copied(self) -> tuple[str, str] | None:
        if self._running and self._prompt.url:
            return "the address", self._prompt.url
        if not self._running and self._renewal.by_hand:
            return "the command", self._renewal.by_hand
        return None

    def action_copy(self) -> None:
        self._copy(self._copied())

    def action_copy_code(self) -> None:
        self._copy(("the code", self._prompt.code) if self._prompt.code else None)

    def _copy(self, found: tuple[str, str] | None) -> None:
        if found is None:
            self.notify("There is nothing to copy yet.", severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(found[1])
        self.post_message(Copied(found[0]))

    def action_plain(self) -> None:
        found = self._copied()
        if found is not None:
            code = f"\n\n{self._prompt.code}" if self._prompt.code else ""
            self.post_message(ShowPlainly(found[0], f"{found[1]}{code}"))

    def action_again(self) -> None:
        if not self._running:
            self._log_in()

    def action_cancel(self) -> None:
        """The first time, its command is given a moment to end; the second time nobody waits for that."""
        if self._running and not self._stop.is_set() and self._renewal.command:
            self._stop.set()
            self._draw()
            return
        self._stop.set()
        self.dismiss(False)
