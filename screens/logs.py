"""Logs of a service or of one of its tasks: the newest lines, with a filter; read again every 5 s while in view."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from infraconsole import naming, text
from infraconsole.aws.ecs_tasks import Task
from infraconsole.aws.logs import LogLine, task_stream
from infraconsole.checks.ecs_words import stop_words
from infraconsole.checks.row_facts import Fact
from infraconsole.checks.service_judgement import revision_name
from infraconsole.checks.stopped import has_failed
from infraconsole.checks.task_groups import has_stopped, never_started
from infraconsole.errors import AwsError, AwsNotFound
from infraconsole.screens import legends, log_lines
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import LOGS, GoTo, Place
from infraconsole.screens.steady import steady
from infraconsole.screens.times import when
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, MARKS, STRONG, WARN, Part, said

_MOST = 1_000
_SPANS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
_WHOLE = 600
"""Characters of the line under the cursor that stand below the list; `d` shows all."""
_TASKS_EVERY = 6
"""Where there is something to read, whether tasks start is looked at every so often."""


@dataclass(frozen=True)
class _Wanted:
    """What somebody wants to read: how far back, of one task or of all ("")."""

    span: timedelta
    task: str

    @property
    def words(self) -> str:
        about = f"task {self.task[-8:]}" if self.task else "all tasks"
        return f"{about}, the last {text.duration(self.span.total_seconds())}"


@dataclass(frozen=True)
class _Source:
    """Where the application logs. `elsewhere`: where the task definition names no log group, what it names instead."""

    group: str
    container: str
    prefix: str
    elsewhere: str = ""


@dataclass(frozen=True)
class _Silence:
    """Why there is nothing to read of a task, or of the newest deployment: `why` is "" where that is not so, or not known.
    `nothing` is said where there are no lines at all."""

    why: str = ""
    nothing: str = "Nothing was logged in this time."
    failed: bool = True


@dataclass(frozen=True)
class _Reading:
    wanted: _Wanted
    source: _Source
    lines: tuple[LogLine, ...]
    silence: _Silence = _Silence()


class LogsScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Logs"
    legend: ClassVar[legends.Legend] = legends.LOGS
    about: ClassVar[str] = (
        "The newest lines of the service's application log, or of one task's stream; the newest are at the bottom. Enter "
        "shows a line whole. `+` looks further back. Read again every 5 s while in view; the cursor on the last line follows. "
        "A time at the beginning of a line is left out where it is the one beside it."
    )
    refresh_seconds: ClassVar[float] = 5
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,d", "describe", "Whole line", id="logs.describe", tooltip="The line under the cursor, whole"),
        Binding(
            "plus", "further", "Further back", key_display="+", id="logs.further", tooltip="15 min, 1 h, 6 h, 24 h"
        ),
        Binding("l", "all", "All tasks", id="logs.all", tooltip="Between this task's lines and all of the service's"),
    ]

    def __init__(self, desk: Desk, service: str, environment: str, task: str = "") -> None:
        super().__init__(desk)
        self.service_name = service
        self.environment = environment
        self._of_task = task
        self._wanted = _Wanted(_SPANS[0], task)
        self._read: Fact[_Reading] = Fact()
        self._loads = 0
        self._by_key: dict[str, LogLine] = {}

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Rows(log_lines.columns(several_days=False), id="log-lines")
        yield Says(id="line-says")

    def on_mount(self) -> None:
        self.look_at(self.service_name, self.environment)
        self.set_focus(self.rows)
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#log-lines", Rows)

    # Reading

    def load(self) -> None:
        self._read_lines()

    def action_refresh(self) -> None:
        self._loads = 0
        self.load()

    @steady
    async def _read_lines(self) -> None:
        wanted, known = self._wanted, self._read.value.source if self._loads and self._read.value else None
        with_tasks = self._loads % _TASKS_EVERY == 0
        self._loads += 1
        try:
            read = await self.read(lambda: self._newest(wanted, known, with_tasks))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown in the headline, whole on `d`
            self._read = self._read.failed(error)
        else:
            if not with_tasks and read.lines and self._read.value is not None:
                read = replace(read, silence=self._read.value.silence)
            self._read = self._read.got(read, self.desk.now())
        self._draw(new=True)

    def _newest(self, wanted: _Wanted, known: _Source | None, with_tasks: bool) -> _Reading:
        """In a thread."""
        overview, environment = self.desk.overview, self.environment
        source = known or self._source()
        stream = task_stream(source.container, wanted.task, source.prefix) if wanted.task else ""
        since = self.desk.now() - wanted.span
        try:
            lines = overview.log_lines(source.group, environment, since=since, limit=_MOST, stream=stream)
        except AwsNotFound:
            # A group that the first task makes is not there before one has started.
            silence = self._silence(wanted)
            if not silence.why:
                raise
            return _Reading(wanted, source, (), replace(silence, why=f"{silence.why} There is no log group yet."))
        return _Reading(wanted, source, lines, self._silence(wanted) if with_tasks or not lines else _Silence())

    def _source(self) -> _Source:
        """The log group comes from the task definition, else from the guide's names."""
        found = self.desk.overview.service(self.service_name, self.environment).application
        main = found.container if found else None
        usual = naming.log_group(self.service_name, self.environment)
        if main is None:
            return _Source(usual, naming.container(self.service_name), "")
        elsewhere = "" if main.log_group else f"{main.name} logs by {main.log_driver or 'no driver'}"
        return _Source(main.log_group or usual, main.name, main.log_stream_prefix, elsewhere)

    def _silence(self, wanted: _Wanted) -> _Silence:
        """In a thread. Says nothing of what could not be looked up."""
        overview, now = self.desk.overview, self.desk.now()
        try:
            service = overview.service(self.service_name, self.environment).service
            tasks = overview.tasks(self.service_name, self.environment)
        except AwsError:
            return _Silence()
        if wanted.task:
            return next((_of_one(task) for task in tasks if task.id == wanted.task), _Silence())
        if not tasks and not service.desired:
            return _Silence(nothing="Nothing was logged in this time: the service is scaled to 0.")
        primary = service.primary
        newest = [task for task in tasks if primary and task.task_definition == primary.task_definition]
        why = never_started(newest, primary.created_at if primary else None, now)
        if not why or primary is None:
            return _Silence()
        others = any(task.started_at for task in tasks)
        nothing = (
            "The tasks that run logged nothing in this time."
            if others
            else "There is nothing to read: no task got as far as starting."
        )
        return _Silence(f"{revision_name(primary.task_definition)}: {why}", nothing, any(map(has_failed, newest)))

    # Drawing

    def tick(self) -> None:
        self._draw()

    def _draw(self, new: bool = False) -> None:
        if not self.is_usable:
            return
        now = self.desk.now()
        read = self._read.value
        parts: list[Part] = [
            (read.source.group if read else "logs", STRONG),
            f"  {(read.wanted if read else self._wanted).words}",
        ]
        if read is not None:
            full = f", the newest {_MOST:,}" if len(read.lines) >= _MOST else ""
            noun = "line" if len(read.lines) == 1 else "lines"
            parts.append((f"  {len(read.lines):,} {noun}{full}, read {text.ago(self._read.read_at, now)} ago", DIM))
        if read is not None and read.wanted != self._wanted:
            parts.append((f"\n… reading {self._wanted.words}", DIM))
        if read is not None and read.silence.why:
            tone = BAD if read.silence.failed else STRONG
            parts.append((f"\n{MARKS[tone]} {read.silence.why}", tone))
            parts.append(("  The lines are of other tasks." if read.lines else "", DIM))
        if self._read.error is not None:
            first = str(self._read.error).split("\n")[0]
            parts.append((f"\n! {first}  (d: all of it)", WARN))
        self.query_one("#headline", Says).say(said(*parts))
        if new:
            self._fill()

    def _fill(self) -> None:
        rows, read, now = self.rows, self._read.value, self.desk.now()
        at_end = not rows.shown or rows.cursor == len(rows.shown) - 1
        if self._read.error is not None or (read is not None and read.wanted == self._wanted):
            rows.end_reading(self._nothing(read))
        lines = read.lines if read else ()
        searched = f"of the last {text.duration(self._wanted.span.total_seconds())}"
        if len(lines) >= _MOST:
            searched = f"the newest {_MOST:,}"
        rows.set_so_far(f"only the lines {searched} were searched")
        several_days = log_lines.of_several_days(lines, now)
        rows.set_columns(log_lines.columns(several_days))
        self._by_key = log_lines.keyed(lines)
        rows.set_rows(log_lines.rows(self._by_key, several_days))
        if at_end:
            rows.action_last()
        self._draw_line()

    def _draw_line(self) -> None:
        """The line under the cursor, whole, where its row has no room for it."""
        line, says = self._line, self.query_one("#line-says", Says)
        room = self.rows.scrollable_content_region.width - log_lines.BEFORE_MESSAGE
        cut = line is not None and (cell_len(line.message[:_WHOLE]) > room or "\n" in line.message[:_WHOLE].strip())
        says.display = cut
        if line is not None and cut:
            says.say(said(text.block(line.message, _WHOLE)))

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_usable:
            self._draw_line()

    def _nothing(self, read: _Reading | None) -> str:
        if read is None:
            return "The log could not be read."
        if read.source.elsewhere:
            return f"Nothing is in {read.source.group}, where convention has it: {read.source.elsewhere}."
        return read.silence.nothing

    # Keys

    def list_widget(self) -> Widget:
        return self.rows

    def narrow(self, words: str) -> None:
        self.rows.set_filter(words)

    @property
    def _line(self) -> LogLine | None:
        key = self.rows.current_key
        return self._by_key.get(key)

    @on(Rows.Moved)
    def _moved(self) -> None:
        self._draw_line()

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.action_describe()

    def action_describe(self) -> None:
        line = self._line
        if line is not None:
            title = f"{when(line.at, self.desk.now())}  {line.stream}"
            self.show_detail(title, said(text.block(line.message, 200_000)))
        elif self._read.error is not None:
            self.show_error("Logs", self._read.error)

    def action_further(self) -> None:
        following = _SPANS[(_SPANS.index(self._wanted.span) + 1) % len(_SPANS)]
        self._want(replace(self._wanted, span=following))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action == "all" and not self._of_task else super().check_action(action, parameters)

    def action_all(self) -> None:
        self._want(replace(self._wanted, task="" if self._wanted.task else self._of_task))

    def _want(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._loads = 0
        self.rows.begin_reading("Reading…")
        self._draw()
        self.load()

    def action_environment(self) -> None:
        names = list(self.desk.config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        self.post_message(GoTo(Place(LOGS, self.service_name, following), replace=True))

    def copied(self) -> tuple[str, str] | None:
        line = self._line
        return ("the line", text.line(line.message)) if line else None


def _of_one(task: Task) -> _Silence:
    if task.started_at is not None:
        return _Silence()
    nothing = "There is nothing to read: the task never started."
    if has_stopped(task):
        return _Silence(f"This task never started: {stop_words(task)}.", nothing, has_failed(task))
    return _Silence("This task has not started yet.", "There is nothing to read yet.", failed=False)
