"""The full-screen console: a table of contents of its screens. Behaviour lives in `screens`."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App, ScreenStackError, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import Worker

from infraconsole.errors import InfraconsoleError, JournalError, TargetBusy
from infraconsole.overview import Overview
from infraconsole.screens import themes
from infraconsole.screens.board import BoardScreen
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk, Scenes
from infraconsole.screens.looking import CONFIGURED, PROFILE, REGION, Looking
from infraconsole.screens.places import (
    BOARD,
    LOGIN,
    OF_CREDENTIALS,
    QUIT,
    ChangeScene,
    Copied,
    Failed,
    GoTo,
    LogIn,
    Place,
    ResumeRun,
    ShowPlainly,
    StartInOrder,
    StartRun,
)
from infraconsole.screens.routes import begin, here, resume, screen_for
from infraconsole.screens.runs import at_target
from infraconsole.screens.settling import believed
from infraconsole.screens.threads import in_thread
from infraconsole.screens.typing import Typing
from infraconsole.screens.unknown_keys import UnknownKeys
from infraconsole.screens.words import said

if TYPE_CHECKING:
    from infraconsole.aws.access import AwsAccess
    from infraconsole.config import Config
    from infraconsole.engine.journal import Journal


_OF_CREDENTIALS = (
    (PROFILE, "Look with another AWS profile", "A list of those that are known; as :profile"),
    (REGION, "Look at another AWS region", "A list of those that are known; as :region"),
    (LOGIN, "Log in for new credentials", "aws sso login, in a pane of the console; as :login"),
)
_JOURNAL_SECONDS = 3.0
"""For whoever wants to leave: a journal on a disk that does not answer keeps nobody here."""


def _commands() -> type[Provider]:
    from infraconsole.screens.palette import Commands

    return Commands


class ConsoleApp(App[None]):
    """`start_run` opens that run's screen at once; `world` names the embedded world where one is looked at. `access_with` is asked
    where a person looks with another profile or region: the accesses of that configuration."""

    CSS_PATH = Path(__file__).parent / "assets" / "console.tcss"
    TITLE = "infraconsole"
    DEFAULT_MODE = "look"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {_commands}  # noqa: RUF012 - Textual's own type
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True, show=False,
                tooltip="Leave the console; runs go on, and it says which"),
        Binding("ctrl+c", "quit", "Quit", id="app.interrupt", show=False, tooltip="As ctrl+q"),
    ]  # fmt: skip

    def __init__(
        self,
        config: Config,
        journal: Journal,
        access_for: Callable[[str], AwsAccess],
        operator: str,
        *,
        world: str | None = None,
        scenes: Scenes | None = None,
        access_with: Callable[[Config], Callable[[str], AwsAccess]] | None = None,
        start_run: str | None = None,
    ) -> None:
        # Only with the terminal's own colours Textual takes NO_COLOR at its word, and sends none at all.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.desk = Desk(config, journal, Overview(config, access_for), operator, world, scenes or Scenes())
        self._access_with = access_with or (lambda _: access_for)
        self._looks = 0
        """How often another profile or region was taken: each has a mode of its own, which is a stack of screens."""
        self.add_mode(self.DEFAULT_MODE, self.get_default_screen)
        self._start_run = start_run
        self._series: Worker[None] | None = None
        self._explained = False
        self._typing = Typing(self, super().on_event)
        self._unknown = UnknownKeys(self)
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.MONO if self.no_color else themes.DARK

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.VARIABLES

    def get_driver_class(self) -> type[Driver]:
        from infraconsole.screens.terminal import ConsoleDriver

        chosen = super().get_driver_class()
        return ConsoleDriver if issubclass(ConsoleDriver, chosen) else chosen

    def get_default_screen(self) -> Screen[Any]:
        return BoardScreen(self.desk)

    def action_command_palette(self) -> None:
        from infraconsole.screens.palette import Palette

        if self.use_command_palette and not any(isinstance(screen, Palette) for screen in self.screen_stack):
            self.push_screen(Palette(id="--command-palette"))

    def on_ready(self) -> None:
        if not gc.isenabled():  # see cli/console.py
            gc.freeze()
            gc.enable()

    def on_mount(self) -> None:
        if self._start_run:
            self.on_go_to(GoTo(Place("run", run=self._start_run)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand("Quit", "Leave the console; runs go on", self.action_quit)
        for name in (themes.DARK, themes.LIGHT, themes.MONO):
            title = f"Theme {name.removeprefix('infraconsole-')}"
            yield SystemCommand(title, "Change the colours", lambda name=name: setattr(self, "theme", name))
        for what, title, told in _OF_CREDENTIALS:
            yield SystemCommand(title, told, partial(self._go_to_credentials, Place(what)))
        if not self.desk.looking.is_configured:
            told = "What the configuration says, in all environments; as :profile - and :region -"
            yield SystemCommand("Back to the configured profile and region", told, lambda: self._look(Looking()))

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Resize):
            event = believed(event)
        is_new = not getattr(event, "is_forwarded", False)
        if not (is_new and await self._typing.took(event)):
            await super().on_event(event)

    async def on_key(self, event: events.Key) -> None:
        """Instead of Textual's own handler, which says nothing of a key that does nothing."""
        event.prevent_default()
        if not await self._check_bindings(event.key):
            self._unknown.say_of(event)

    # Where to

    def on_go_to(self, message: GoTo) -> None:
        if message.place.screen == QUIT:
            self._quit()
            return
        if message.place.screen in OF_CREDENTIALS:
            self._go_to_credentials(message.place)
            return
        if message.place.screen == BOARD:
            board = self.screen_stack[0]
            if len(self.screen_stack) > 1:
                board.pop_until_active()
            if isinstance(board, BoardScreen) and message.place.detail:
                board.show_environment(message.place.detail)
            return
        screen = screen_for(self.desk, message.place)
        if message.replace and len(self.screen_stack) > 1:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    # What one looks with, and credentials for it

    def _go_to_credentials(self, place: Place) -> None:
        if place.screen == LOGIN and place.detail:
            self.on_log_in(LogIn(place.detail, named=True))
        elif place.screen == LOGIN:
            next(screen for screen in reversed(self.screen_stack) if isinstance(screen, ConsoleScreen)).action_log_in()
        elif place.detail:
            self._look_with(place.screen, place.detail)
        else:
            self._choose(place.screen)

    def _choose(self, what: str) -> None:
        from infraconsole.screens import aws_names
        from infraconsole.screens.choosing import ChoiceScreen

        own, looks = self.desk.own, self.desk.looking
        is_profile = what == PROFILE
        rows = partial(aws_names.profile_rows if is_profile else aws_names.region_rows, own, looks)
        columns = aws_names.PROFILE_COLUMNS if is_profile else aws_names.REGION_COLUMNS
        current = (looks.profile if is_profile else looks.region) or CONFIGURED
        title = f"Look with another AWS {what}, in all environments"
        told = "Runs under way go on as they are." if is_profile else "Runs are begun in the configured region alone."

        def chosen(name: str | None) -> None:
            if name:
                self._look_with(what, name)

        self.push_screen(ChoiceScreen(title, columns, rows, current, told), chosen)

    def _look_with(self, what: str, name: str) -> None:
        before = self.desk.looking
        looks = before.with_profile(name) if what == PROFILE else before.with_region(name)
        if looks != before:
            self._look(looks)
        else:
            self.notify(f"That is what you look with: {looks.words or 'as configured'}.", markup=False)

    @work(group="looking", exclusive=True, exit_on_error=False)
    async def _look(self, looks: Looking) -> None:
        """Everything that was read goes, with the screens that show it: what is still under way finds nobody."""
        own = self.desk.own
        config = looks.over(own)
        overview = Overview(config, self._access_with(config))
        self.desk = replace(self.desk, config=config, overview=overview, looking=looks, configured=own)
        place, before = here(self.screen_stack), self.current_mode
        self._looks += 1
        mode = f"{self.DEFAULT_MODE}-{self._looks}"
        self.add_mode(mode, self.get_default_screen)
        await self.switch_mode(mode)
        if place is not None:
            self.push_screen(screen_for(self.desk, place))
        await self.remove_mode(before)
        words = looks.words or "The configured profiles and regions again."
        self.notify(f"You look with: {words}" if looks.words else words, markup=False)

    def on_log_in(self, message: LogIn) -> None:
        from infraconsole.aws import profiles
        from infraconsole.screens.login import LoginScreen

        name = profiles.effective(message.profile)

        def over(done: bool | None) -> None:
            if done:
                self.notify(f"Logged in: profile {name}. Reading goes on.", markup=False)
                self.desk.overview.renew()
                self.call_later(self._read_again)  # once the login's screen has gone
            else:
                self.notify(f"Not logged in: profile {name}.", severity="warning", markup=False)

        find = partial(profiles.renewal, message.profile, named=message.named)
        self.push_screen(LoginScreen(f"Log in: profile {name}", find), over)

    def _read_again(self) -> None:
        if isinstance(self.screen, ConsoleScreen):
            self.screen.action_refresh()
            self.screen.read_account()

    # Runs

    def on_start_run(self, message: StartRun) -> None:
        self._start(message, self.desk)

    @work(group="begin", exit_on_error=False)
    async def _start(self, message: StartRun, desk: Desk) -> None:
        """Where a run is at the target already, that is opened: what is wanted next is to see what it waits for. `desk` is what the
        person looked with when they asked."""
        if await self._showed_other(message):
            return
        try:
            run = await in_thread(lambda: begin(desk, message), "begin")
        except TargetBusy as error:
            if not await self._showed_other(message):
                self.on_failed(Failed(error))
        except InfraconsoleError as error:
            self.on_failed(Failed(error))
        else:
            self.on_go_to(GoTo(Place("run", run=run)))

    async def _showed_other(self, wish: StartRun) -> bool:
        from infraconsole.screens.run import RunScreen

        journal, config = self.desk.journal, self.desk.own
        try:
            other = await in_thread(
                lambda: at_target(journal, config.target(wish.service, wish.environment)), "journal"
            )
        except InfraconsoleError:
            return False  # beginning it says what is wrong
        if other is None:
            return False
        run, state = other.record, other.state
        self.notify(
            f"{run.title} (run {run.run}) {state}. Nothing new was begun.", title="A run is there already", markup=False
        )
        if not (isinstance(self.screen, RunScreen) and self.screen.run_id == run.run):
            self.on_go_to(GoTo(Place("run", run=run.run)))
        return True

    @work(group="begin", exit_on_error=False)
    async def on_resume_run(self, message: ResumeRun) -> None:
        await self._open_run(lambda: resume(self.desk, message))

    async def _open_run(self, call: Callable[[], str]) -> None:
        if run := await self._begun(call):
            self.on_go_to(GoTo(Place("run", run=run)))

    async def _begun(self, call: Callable[[], str]) -> str:
        try:
            return await in_thread(call, "begin")
        except InfraconsoleError as error:
            self.on_failed(Failed(error))
            return ""

    @property
    def _in_order(self) -> bool:
        return self._series is not None and not self._series.is_finished

    def on_start_in_order(self, message: StartInOrder) -> None:
        if self._in_order:
            self.notify("Runs in order are under way already.", severity="warning", markup=False)
        else:
            self._series = self._begin_in_order(message.wishes, self.desk)

    @work(group="in-order", exit_on_error=False)
    async def _begin_in_order(self, wishes: Sequence[StartRun], desk: Desk) -> None:
        """Here and not in a screen, which is left long before they are over."""
        from infraconsole.screens.in_order import begin_in_order

        async def begin_one(wish: StartRun) -> str:
            return await self._begun(lambda: begin(desk, wish))

        def say(words: str) -> None:
            self.notify(words, title="In order", severity="warning", timeout=20, markup=False)

        await begin_in_order(wishes, self.desk.journal, begin_one, self._show_next, say)

    def _show_next(self, run: str, before: str, words: str) -> None:
        """Only over the run before: whoever went elsewhere meanwhile is told, and not moved."""
        from infraconsole.screens.run import RunScreen

        here = isinstance(self.screen, RunScreen) and self.screen.run_id == before
        if here or not before:
            self.on_go_to(GoTo(Place("run", run=run)))
        else:
            words = f"{words} Go to it: run {run}"
        self.notify(words, title="In order", timeout=10, markup=False)

    # The clipboard

    @work(group="copied", exit_on_error=False)
    async def on_copied(self, message: Copied) -> None:
        from infraconsole.screens import copying

        kept = await in_thread(lambda: copying.kept_by(os.environ), "clipboard")
        words = copying.told(message.name, kept, explained=self._explained)
        self._explained = self._explained or bool(kept)
        self.notify(words, severity="warning" if kept else "information", timeout=15 if kept else 6, markup=False)

    def on_show_plainly(self, message: ShowPlainly) -> None:
        from infraconsole.screens import copying
        from infraconsole.screens.detail import DetailScreen

        try:
            with self.suspend():
                copying.show_plainly(message.name, message.content)
        except SuspendNotSupported:
            self.push_screen(DetailScreen(message.name, lambda: said(message.content)))

    # The embedded world

    @work(group="scene", exclusive=True, exit_on_error=False)
    async def on_change_scene(self, message: ChangeScene) -> None:
        if not await self._done(lambda: self.desk.scenes.change(message.name)):
            return
        self.desk = replace(self.desk, world=message.name)
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.desk = self.desk
                screen.band.world = message.name
        if isinstance(self.screen, ConsoleScreen):
            self.screen.load()
        title = next(scene.title for scene in self.desk.scenes.all if scene.name == message.name)
        self.notify(f"{title}: the world is in scenario {message.name} now.", title="Scenario", markup=False)

    async def _done(self, call: Callable[[], None]) -> bool:
        try:
            await in_thread(call, "scene")
        except InfraconsoleError as error:
            self.on_failed(Failed(error))
            return False
        return True

    def on_failed(self, message: Failed) -> None:
        self.notify(str(message.error), title="Not done", severity="error", timeout=20, markup=False)

    # Leaving

    def clear_selection(self) -> None:
        """A field that comes up does this; Textual's own fails where the last screen has gone meanwhile."""
        with suppress(ScreenStackError):
            super().clear_selection()

    def leave(self, code: int) -> None:
        """At once and without a question: the process was told to end, or nobody is there any more."""
        self.exit(return_code=code)

    async def action_quit(self) -> None:
        """Runs go on without the console: where there are some, say which, and how to see them again."""
        self._quit()

    @work(exclusive=True, group="quit", exit_on_error=False)
    async def _quit(self) -> None:
        from infraconsole.screens.quitting import QuitScreen, farewell, runs_under_way

        try:
            runs = await asyncio.wait_for(
                in_thread(lambda: runs_under_way(self.desk.journal), "journal"), _JOURNAL_SECONDS
            )
        except (JournalError, TimeoutError):
            runs = ()
        if not runs:
            self.exit()
        elif await self.push_screen_wait(QuitScreen(runs, in_order=self._in_order)):
            self.exit(message=farewell(runs))
