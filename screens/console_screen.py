"""What every screen of the console has: the band, the footer, help, go-to, the filter, copying, and its loads.

Loads run in threads and end with the screen. A screen that is not in view asks for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from infraconsole import clock
from infraconsole.aws.budget import Lane, reading
from infraconsole.checks.row_facts import Account
from infraconsole.errors import InfraconsoleError
from infraconsole.screens import looking
from infraconsole.screens.copying import PLAIN_KEY
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import service_keys
from infraconsole.screens.legends import BAND
from infraconsole.screens.places import (
    ENVIRONMENTS,
    EXPORTS,
    JOURNAL,
    Copied,
    GoTo,
    LogIn,
    Place,
    ShowPlainly,
    usual_environment,
)
from infraconsole.screens.problems import LOGIN_KEY, Problem, Problems, problem_of
from infraconsole.screens.settling import Settling
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.band import Band
from infraconsole.screens.widgets.filter_bar import FilterBar
from infraconsole.screens.words import said, slowed_words, whole_error
from infraconsole.target import Target

T = TypeVar("T")

LEAST = Size(50, 12)
_TOO_SMALL = "Terminal too small: needs 80×24. Keys do nothing until it is larger; ctrl+q quits. Runs go on."
"""Fits into 20×5."""

_AFTER_THE_FRAME_SECONDS = 0.03
_ALIAS_AFTER_SECONDS = 1.0
"""The alias is worth less than the cells, and making a client for it costs as much as one of theirs."""
_ACCOUNT = "account"
_ACCOUNT_AGAIN_SECONDS = 5.0
"""Until whose credentials these are is asked again, where nobody could tell."""
COVERED_SECONDS = 5.0
"""What stood behind another screen for so long is read again at once: a run may have changed it meanwhile."""


def is_too_small(terminal: Size) -> bool:
    return terminal.width < LEAST.width or terminal.height < LEAST.height


class ConsoleScreen(Settling, Screen[None]):
    """Subclasses give `body`, `about`, and what their keys do; `refresh_seconds` 0 means that nothing is read again."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST.width, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's own type
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST.height, "-low"), (30, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = ""
    name_in_help: ClassVar[str] = ""
    about: ClassVar[str] = ""
    legend: ClassVar[tuple[tuple[str, str], ...]] = ()
    """For the help: what each column and each sign means."""
    place: ClassVar[str] = ""
    """Of a screen that its own key does not have to lead to once more."""
    refresh_seconds: ClassVar[float] = 0
    reads_all_environments: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?", id="screen.help", tooltip="What can be done here"),
        # With priority: a slow line delivers several keys at once, and those after these two belong to what they open.
        Binding("slash", "filter", "Filter", key_display="/", id="screen.filter", tooltip="Narrow the list",
                priority=True),
        Binding("colon", "go_to", "Go to", key_display=":", id="screen.go-to", priority=True,
                tooltip="Screen, service, environment; profile, region, login; :q quits"),
        Binding("r", "refresh", "Refresh", id="screen.refresh", tooltip="Read everything again now", show=False),
        Binding("y", "copy", "Copy", id="screen.copy", tooltip="Copy what the cursor is on", show=False),
        Binding(PLAIN_KEY, "plain", "Plain text", id="screen.plain", show=False,
                tooltip="Show what y copies without anything around it, to select it with the mouse"),
        Binding("e", "environment", "Environment", id="screen.environment", show=False,
                tooltip="The same in the next environment"),
        Binding("escape", "back", "Back", id="screen.back", tooltip="Back to where you came from", show=False),
        Binding("q", "leave", "Leave", id="screen.leave", tooltip="Leave this screen; the board is left with ctrl+q",
                show=False),
        Binding(LOGIN_KEY, "log_in", "Log in", key_display=LOGIN_KEY, id="screen.log-in",
                tooltip="Get new credentials for the profile that the top line names"),
        *service_keys(),
    ]  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.came_by: Place | None = None
        """How it was opened; None where it is the first screen, or another one's own."""
        self._problems = Problems()
        self._beats: list[Timer] = []
        self._covered_at = 0.0
        self._focus_later: Widget | None = None
        self._was_too_small = False

    def body(self) -> ComposeResult:
        """The widgets between band and footer."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        band = Band(id="band")
        band.read_only = self.desk.config.read_only
        band.world = self.desk.world or ""
        band.operator = self.desk.operator
        band.override = self.desk.looking.words
        yield band
        yield from self.body()
        yield FilterBar()
        yield Static(_TOO_SMALL, id="too-small")

    # Too small a terminal: what cannot be read cannot be acted on, so nothing has the focus and no action is there

    @property
    def too_small(self) -> bool:
        """The terminal shows nothing of this screen but that it is too small."""
        return is_too_small(self.app.size)

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        """While the terminal is too small, the focus is only remembered."""
        if self.too_small:
            self._focus_later = widget or self._focus_later
            widget = None
        super().set_focus(widget, scroll_visible, from_app_focus)

    def on_resize(self) -> None:
        small, before = self.too_small, self._was_too_small
        self._was_too_small = small
        self.app.use_command_palette = not small
        if small:
            self.set_focus(self.focused)
        elif self._focus_later is not None:
            self.call_after_refresh(self._focus_again)
        if small != before:
            self.refresh_bindings()

    def _focus_again(self) -> None:
        """Where the focus was, or would have gone."""
        widget, self._focus_later = self._focus_later, None
        if widget is not None and widget.is_attached and self.focused is None:
            self.set_focus(widget)

    # Loads

    async def read(self, call: Callable[[], T], environment: str = "", name: str = "") -> T:
        """`call` in a thread. What stands in the way of every call in its environment (the band's, unless named) goes on the band,
        and leaves it with the next success of a call that failed there; `name` tells such calls from each other."""
        environment, name = environment or self.band.environment, name or getattr(call, "__qualname__", "")
        try:
            result = await in_thread(call, type(self).__name__)
        except InfraconsoleError as error:
            if (problem := problem_of(error)) is not None:
                self._met(environment, name, problem)
            raise
        if self._problems.over(environment, name):
            self._show_problem()
            if (
                environment == self.band.environment
            ):  # nobody was told whose credentials these are, or they are others now
                self._read_account(environment)
        return result

    def _met(self, environment: str, reading: str, problem: Problem) -> None:
        self._problems.met(environment, reading, problem)
        self._show_problem()

    @property
    def problem(self) -> Problem | None:
        """What stands in the way of what one looks at."""
        return self._problems.shown(self.band.environment, of_all=self.reads_all_environments)

    def _show_problem(self) -> None:
        problem = self.problem
        self.band.problem = problem.words if problem else ""
        self.refresh_bindings()

    def on_screen_suspend(self) -> None:
        self._covered_at = clock.seconds()
        for timer in self._beats:
            timer.pause()

    def on_screen_resume(self) -> None:
        self.on_resize()  # the terminal may have changed while another screen was in front
        if not self._beats:
            self.first_look()
            self.call_after_refresh(self._add_footer)
            self._beats.append(self.set_interval(1.0, self._beat))
            if self.refresh_seconds:
                self._beats.append(self.set_interval(self.refresh_seconds, self._load_again))
        elif self.refresh_seconds and clock.seconds() - self._covered_at >= COVERED_SECONDS:
            self.load()
        for timer in self._beats:
            timer.resume()

    async def _add_footer(self) -> None:
        """After the first frame: its keys are a dozen widgets, and nobody reads them before the list."""
        if self.is_attached and self.is_running:
            await self.mount(Footer(compact=True, show_command_palette=True))
            # What was greyed out before it stood has to be told to it.
            self.refresh_bindings()

    def first_look(self) -> None:
        """With the first frame: what is known before anything was read, and that the rest is being read."""

    def _load_again(self) -> None:
        """Nobody asked for it: it has to wait where an account's budget of calls is used up."""
        with reading(Lane.BACKGROUND):
            self.load()

    def _beat(self) -> None:
        self.band.slowed = slowed_words(self.desk.overview.slowed(), self.desk.now())
        self.tick()

    def tick(self) -> None:
        """Once a second while in view: ages move on."""

    def load(self) -> None:
        """Read what is on the screen, in threads."""

    # The band

    @property
    def band(self) -> Band:
        return self.query_one("#band", Band)

    def look_at(self, service: str, environment: str, at: Target | None = None) -> None:
        """Say on the band where one is. `at` is the target of a run, which goes by the configuration whatever is looked with."""
        band = self.band
        if (band.service, band.environment) == (service, environment):
            return
        changed = band.environment != environment
        band.service, band.environment = service, environment
        if not (environment and changed):
            return
        band.prod = self.desk.is_prod(environment)
        band.account = None
        if at is not None and not self.desk.looking.is_configured:
            band.where, band.account = at.region, Account(at.account, "")
            band.override = f"not of this run: {self.desk.looking.words}"
            return
        band.where = self.desk.region_of(environment)
        band.foreign = looking.foreign(self.desk.own, self.desk.looking, environment)
        self._show_problem()
        # Not before the first frame: AWS's library takes longer to import than the screen to paint.
        self.set_timer(_AFTER_THE_FRAME_SECONDS, lambda: self._read_account(environment))

    @work(exclusive=True, group="account", exit_on_error=False)
    async def _read_account(self, environment: str) -> None:
        overview = self.desk.overview
        while True:
            try:
                self._tell_account(environment, await in_thread(lambda: overview.account(environment), "account"))
                await asyncio.sleep(_ALIAS_AFTER_SECONDS)
                self._tell_account(environment, await in_thread(lambda: overview.with_alias(environment), "account"))
                return
            except InfraconsoleError as error:
                self._met(environment, _ACCOUNT, problem_of(error) or Problem(error.title))
            await asyncio.sleep(_ACCOUNT_AGAIN_SECONDS)
            while not self.is_current:
                await asyncio.sleep(_ACCOUNT_AGAIN_SECONDS)

    def read_account(self) -> None:
        """Whose credentials these are, asked again."""
        if self.band.environment:
            self._read_account(self.band.environment)

    def _tell_account(self, environment: str, account: Account) -> None:
        if environment != self.band.environment:
            return
        self.band.account = account
        self.band.foreign = looking.foreign(self.desk.own, self.desk.looking, environment, account)
        if self._problems.over(environment, _ACCOUNT):
            self._show_problem()

    # Credentials

    @property
    def login_profile(self) -> str | None:
        """The profile whose credentials what stands here is read with; None where none is configured."""
        known = self.desk.config.environments.get(self.band.environment)
        return known.profile if known else next(iter(self.desk.config.environments.values())).profile

    def action_log_in(self) -> None:
        problem = self.problem
        self.post_message(LogIn(problem.profile if problem and problem.renewable else self.login_profile))

    # What every screen can do

    def list_widget(self) -> Widget | None:
        """What gets the focus back from the filter."""
        return None

    def narrow(self, words: str) -> None:
        """The filter has changed."""

    def copied(self) -> tuple[str, str] | None:
        """What `y` copies, and what it is called; None where there is nothing."""
        return None

    def show_detail(self, title: str, told: Content | Callable[[], Content]) -> None:
        """`told` again and again while it is open, where it is more than a text: for what may still be read, or ages."""
        from infraconsole.screens.detail import DetailScreen

        self.app.push_screen(DetailScreen(title, told if callable(told) else lambda: told))

    def show_error(self, title: str, error: BaseException) -> None:
        self.show_detail(title, Content("\n\n").join([said(part) for part in whole_error(error)]))

    def action_help(self) -> None:
        from infraconsole.screens.help import HelpScreen

        bindings = [active.binding for active in self.active_bindings.values()]
        self.app.push_screen(HelpScreen(self.name_in_help, self.about, bindings, (*self.legend, *BAND)))

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """For footer and help: what this screen does stands before where else one can go, so that a narrow footer keeps it."""
        found = super().active_bindings
        elsewhere = {binding.key for binding in service_keys()}
        return {key: found[key] for key in sorted(found, key=elsewhere.__contains__)}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.too_small:
            return False
        if action == "log_in":
            return self.problem is not None and self.problem.renewable
        if action == "to":
            band = self.band
            return parameters != (self.place,) and band.service in self.desk.config.services
        return not (action in ("filter", "go_to") and isinstance(self.focused, Input))

    def action_to(self, screen: str) -> None:
        band = self.band
        of_service = screen not in (JOURNAL, EXPORTS)
        of_environment = screen not in (JOURNAL, ENVIRONMENTS)
        environment = band.environment or usual_environment(self.desk.config)
        place = Place(screen, band.service if of_service else "", environment if of_environment else "")
        self.post_message(GoTo(place))

    def action_go_to(self) -> None:
        from infraconsole.screens.goto import GoToScreen

        def go(place: Place | None) -> None:
            if place is not None:
                self.post_message(GoTo(place))

        self.app.push_screen(GoToScreen(self.desk.config, self.desk.journal.run_ids), go)

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    def on_filter_bar_narrowed(self, event: FilterBar.Narrowed) -> None:
        self.narrow(event.words)

    def on_filter_bar_left(self) -> None:
        widget = self.list_widget()
        if widget is not None:
            self.set_focus(widget)

    def action_refresh(self) -> None:
        self.load()

    def action_copy(self) -> None:
        found = self.copied()
        if found is None:
            self.notify("There is nothing to copy here.", severity="warning", markup=False)
            return
        self.put_into_clipboard(*found)

    def put_into_clipboard(self, name: str, content: str) -> None:
        """`name` is what the person is told was copied."""
        self.app.copy_to_clipboard(content)
        self.post_message(Copied(name))

    def action_plain(self) -> None:
        found = self.copied()
        if found is None:
            self.notify("There is nothing to show here.", severity="warning", markup=False)
        else:
            self.post_message(ShowPlainly(*found))

    def action_environment(self) -> None:
        """The same in the next environment."""

    def action_back(self) -> None:
        if self.query_one(FilterBar).value:
            self.query_one(FilterBar).clear_filter()
        elif len(self.app.screen_stack) > 1:
            self.dismiss(None)

    def action_leave(self) -> None:
        if len(self.app.screen_stack) > 1:
            self.dismiss(None)
        else:
            self.notify("This is the first screen; ctrl+q quits the console.", markup=False)
