"""Environments side by side: what differs, what is missing, what nothing declares, and what runs. Looks, never changes."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from infraconsole import text
from infraconsole.checks.environments import Comparison, Line, Running, running_lines
from infraconsole.checks.row_facts import Fact
from infraconsole.errors import AwsNotFound
from infraconsole.screens import legends
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.environments import cells
from infraconsole.screens.places import ENVIRONMENTS, GoTo, Place
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Rows, fitting
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, MARKS, STRONG, WARN, Part, lines, said, whole_error


class EnvironmentsScreen(ConsoleScreen):
    place: ClassVar[str] = ENVIRONMENTS
    name_in_help: ClassVar[str] = "Environments"
    legend: ClassVar[legends.Legend] = legends.ENVIRONMENTS
    about: ClassVar[str] = (
        "The environments of one service beside each other. On top what runs, compared with what the variables say; below the "
        "variables of each environment's tfvars: ✗ one has no value, ▲ no variable declares the name, or what runs is another "
        "one, ≠ they differ, = they are the same. `/` narrows by words, also by `missing`, `undeclared`, `drifted`, `differs`, "
        "`same`, `runs`. Secrets are masked and compared all the same."
    )
    reads_all_environments: ClassVar[bool] = True
    AUTO_FOCUS = "#lines"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "d", "describe", "Describe", id="environments.describe", tooltip="The line whole, with where it stands"
        ),
        Binding(
            "n", "finding(1)", "Next", id="environments.next", tooltip="To the next line that is not as it should be"
        ),
        Binding("s", "service", "Service", id="environments.service", tooltip="The next service"),
    ]

    def __init__(self, desk: Desk, service: str) -> None:
        super().__init__(desk)
        self.service_name = service
        self.names = tuple(desk.config.environments)
        self._code: Fact[Comparison] = Fact()
        self._runs: dict[str, Fact[Running]] = {name: Fact() for name in self.names}
        self._lines: dict[str, Line] = {}
        self._reading = False

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Rows(cells.columns(self.names), reading="Reading the code…", id="lines")
        yield Says(id="row-says")

    def on_mount(self) -> None:
        self.look_at(self.service_name, "")
        self.set_focus(self.rows)
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#lines", Rows)

    @property
    def line(self) -> Line | None:
        return self._lines.get(self.rows.current_key)

    # Reading

    def load(self) -> None:
        if not self._reading:
            self._reading = True
            self._read_all()

    @work(group="environments", exit_on_error=False)
    async def _read_all(self) -> None:
        try:
            await asyncio.gather(self._read_code(), *(self._read_runs(name) for name in self.names))
        finally:
            self._reading = False

    async def _read_code(self) -> None:
        overview, service = self.desk.overview, self.service_name
        try:
            self._code = self._code.got(
                await in_thread(lambda: overview.environments(service), "environments"), self.desk.now()
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: in the headline, whole on `d`
            self._code = self._code.failed(error)
        code = self._code.value
        self.rows.end_reading(
            f"The variables of {service} could not be read: d shows why."
            if code is None
            else "The code declares no variables."
        )
        self._draw()

    async def _read_runs(self, environment: str) -> None:
        overview, service = self.desk.overview, self.service_name
        fact = self._runs[environment]
        try:
            found = await self.read(lambda: overview.service(service, environment), environment)
            self._runs[environment] = fact.got(cells.running_of(found, environment), self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._runs[environment] = fact.failed(error)
        self._draw()

    # Drawing

    def tick(self) -> None:
        self._draw_headline()

    def _draw(self) -> None:
        if not self.is_usable:
            return
        running = {name: fact.value for name, fact in self._runs.items()}
        top = running_lines(running, self.names, self._code.value)
        self._lines = {f"{cells.RUNS}{line.name}": line for line in top}
        self._lines |= {line.name: line for line in (self._code.value.lines if self._code.value else ())}
        self.rows.set_rows(cells.line_rows(top, self._code.value, self.names))
        self._draw_headline()
        self._draw_row()
        self.refresh_bindings()

    def _draw_headline(self) -> None:
        code, now = self._code, self.desk.now()
        parts: list[Part] = [(f"{self.service_name}  ", STRONG)]
        rows: list[Content] = []
        if code.value is not None:
            parts += cells.summary(code.value)
            parts.append((f"  read {text.ago(code.read_at, now)} ago", DIM))
            if code.value.problems:
                rows.append(said((f"{MARKS[WARN]} {code.value.problems[0]}", WARN)))
            if code.value.without_file:
                without = ", ".join(code.value.without_file)
                rows.append(said((f"{MARKS[WARN]} No variables in this code: {without}", WARN)))
        if code.error is not None:
            title = getattr(code.error, "title", code.error)
            parts.append((f"{MARKS[WARN]} {title} d shows it whole.", WARN))
        elif code.value is None:
            parts.append(("reading the code…", DIM))
        for name, fact in self._runs.items():
            if fact.error is not None:
                absent = isinstance(fact.error, AwsNotFound)
                words = "has no such service" if absent else str(getattr(fact.error, "title", fact.error))
                rows.append(
                    said((f"{MARKS[BAD] if not absent else MARKS[DIM]} {name}: {words}", DIM if absent else WARN))
                )
        width = self.rows.scrollable_content_region.width
        shown = (column.key for column, _ in fitting(self.rows.columns, width)) if width else ()
        if width and (room := cells.hidden(self.names, shown)):
            rows.append(said((room, WARN)))
        self.query_one("#headline", Says).say(lines([said(*parts), *rows]))

    def _draw_row(self) -> None:
        line = self.line
        words: Part = ""
        if line is not None:
            words = (line.hint, WARN) if line.hint else (line.description, DIM)
        self.query_one("#row-says", Says).say(said(words))

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_usable:
            self.call_after_refresh(self._draw_headline)

    # Keys

    @on(Rows.Moved, "#lines")
    def _moved(self) -> None:
        self._draw_row()
        self.refresh_bindings()

    @on(Rows.Chosen, "#lines")
    def _chosen(self) -> None:
        self.action_describe()

    def list_widget(self) -> Widget:
        return self.rows

    def narrow(self, words: str) -> None:
        self.rows.set_filter(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "describe" and self.is_usable and self.line is None and self._code.error is None:
            return None
        if action == "finding" and not any(line.hint for line in self._lines.values()):
            return None
        if action == "service" and len(self.desk.config.services) < 2:
            return None
        return super().check_action(action, parameters)

    def copied(self) -> tuple[str, str] | None:
        line = self.line
        return (line.name, cells.story(line, self.names).plain) if line is not None else None

    def action_finding(self, direction: int) -> None:
        """The next line with something to say of it, around the end."""
        shown = self.rows.shown
        for step in range(1, len(shown) + 1):
            row = shown[(self.rows.cursor + step * direction) % len(shown)]
            if self._lines[row.key].hint:
                self.rows.move_to(row.key)
                return

    def action_describe(self) -> None:
        if self._code.error is not None:
            self.show_detail(self.service_name, lines(whole_error(self._code.error)))
        elif self.line is not None:
            self.show_detail(self.line.name, cells.story(self.line, self.names))

    def action_service(self) -> None:
        names = list(self.desk.config.services)
        following = names[(names.index(self.service_name) + 1) % len(names)]
        self.post_message(GoTo(Place(ENVIRONMENTS, following), replace=True))
