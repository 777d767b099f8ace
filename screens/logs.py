"""Logs of a service or of one of its tasks: the newest lines, with a filter; read again every 5 s while in view."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from infraconsole import naming, text
from infraconsole.aws.logs import LogLine, task_stream
from infraconsole.checks.row_facts import Fact
from infraconsole.screens import legends
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import LOGS, GoTo, Place
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, STRONG, WARN, Part, said

_MOST = 1_000
_SPANS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
_COLUMNS = (
    Column("at", "at", 8),
    Column("stream", "stream", 12, rank=1),
    Column("message", "message", 20, stretch=True),
)


class LogsScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Logs"
    legend: ClassVar[legends.Legend] = legends.LOGS
    about: ClassVar[str] = (
        "The newest lines of the service's application log, or of one task's stream; the newest are at the bottom. Enter "
        "shows a line whole. `+` looks further back. Read again every 5 s while in view; the cursor on the last line follows."
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
        self._only = bool(task)
        self._span = 0
        self._lines: Fact[tuple[LogLine, ...]] = Fact()
        self._by_key: dict[str, LogLine] = {}
        self._group = ""
        self._container = ""
        self._prefix = ""
        self._elsewhere = ""
        """Where the task definition names no log group: what it names instead."""
        self._loading = False

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Rows(_COLUMNS, id="log-lines", empty="…")

    def on_mount(self) -> None:
        self.look_at(self.service_name, self.environment)
        self.set_focus(self.rows)
        self._draw()
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#log-lines", Rows)

    def load(self) -> None:
        if not self._loading:
            self._loading = True
            self._read_lines()

    @work(group="lines", exit_on_error=False)
    async def _read_lines(self) -> None:
        try:
            lines = await self.read(self._newest)
            self._lines = self._lines.got(lines, self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown in the headline, whole on `d`
            self._lines = self._lines.failed(error)
        finally:
            self._loading = False
        self._draw(new=True)

    def _newest(self) -> tuple[LogLine, ...]:
        """In a thread: the log group comes from the task definition, else from the guide's names."""
        overview, environment = self.desk.overview, self.environment
        stream = ""
        if not self._group:
            found = overview.service(self.service_name, environment).application
            main = found.container if found else None
            self._group = (main.log_group if main else "") or naming.log_group(self.service_name, environment)
            self._elsewhere = (
                f"{main.name} logs by {main.log_driver or 'no driver'}" if main and not main.log_group else ""
            )
            self._container = main.name if main else naming.container(self.service_name)
            self._prefix = main.log_stream_prefix if main else ""
        if self._only and self._of_task:
            stream = task_stream(self._container, self._of_task, self._prefix)
        since = self.desk.now() - _SPANS[self._span]
        return overview.log_lines(self._group, environment, since=since, limit=_MOST, stream=stream)

    # Drawing

    def tick(self) -> None:
        self._draw()

    def _draw(self, new: bool = False) -> None:
        if not self.is_mounted:
            return
        now = self.desk.now()
        about = f"task {self._of_task[-8:]}" if self._only and self._of_task else "all tasks"
        parts: list[Part] = [
            (self._group or "logs", STRONG),
            f"  {about}, the last {text.duration(_SPANS[self._span].total_seconds())}",
        ]
        lines = self._lines.value or ()
        if self._lines.read_at is not None:
            full = f", the newest {_MOST:,}" if len(lines) >= _MOST else ""
            parts.append((f"  {len(lines):,} lines{full}, read {text.ago(self._lines.read_at, now)} ago", DIM))
        if self._lines.error is not None:
            parts.append((f"\n! {self._lines.error}".split("\n")[1] + "  (d: all of it)", WARN))
        self.query_one("#headline", Says).say(said(*parts))
        if new:
            self._fill(lines)

    def _fill(self, lines: tuple[LogLine, ...]) -> None:
        rows = self.rows
        at_end = not rows.shown or rows.cursor == len(rows.shown) - 1
        failed = self._lines.value is None and self._lines.error is not None
        nothing = "Nothing was logged in this time."
        if self._elsewhere:
            nothing = f"Nothing is in {self._group}, where convention has it: {self._elsewhere}."
        rows.empty_says = "Nothing could be read." if failed else nothing
        self._by_key = _keyed(lines)
        rows.set_rows(
            Row(
                key,
                {
                    "at": Cell(line.at.astimezone().strftime("%H:%M:%S"), DIM),
                    "stream": Cell(line.stream.rsplit("/", 1)[-1][-12:], DIM),
                    "message": Cell(line.message[:2000], _tone(line.message)),
                },
                more=line.stream,
            )
            for key, line in self._by_key.items()
        )
        if at_end:
            rows.action_last()

    # Keys

    def list_widget(self) -> Widget:
        return self.rows

    def narrow(self, words: str) -> None:
        self.rows.set_filter(words)

    @property
    def _line(self) -> LogLine | None:
        key = self.rows.current_key
        return self._by_key.get(key)

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.action_describe()

    def action_describe(self) -> None:
        line = self._line
        if line is not None:
            title = f"{text.local_time(line.at)}  {line.stream}"
            self.show_detail(title, said(text.block(line.message, 200_000)))
        elif self._lines.error is not None:
            self.show_error("Logs", self._lines.error)

    def action_further(self) -> None:
        self._span = (self._span + 1) % len(_SPANS)
        self._draw()
        self.load()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action == "all" and not self._of_task else super().check_action(action, parameters)

    def action_all(self) -> None:
        self._only = not self._only
        self._draw()
        self.load()

    def action_environment(self) -> None:
        names = list(self.desk.config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        self.post_message(GoTo(Place(LOGS, self.service_name, following), replace=True))

    def copied(self) -> tuple[str, str] | None:
        line = self._line
        return ("the line", text.line(line.message)) if line else None


def _keyed(lines: tuple[LogLine, ...]) -> dict[str, LogLine]:
    """Each line under a key that it keeps when older lines fall away."""
    found: dict[str, LogLine] = {}
    times: Counter[int] = Counter()
    for line in lines:
        same = hash((line.at, line.stream, line.message))
        times[same] += 1
        found[f"{same}#{times[same]}"] = line
    return found


def _tone(message: str) -> str:
    head = message[:200].upper()
    if "ERROR" in head or "FATAL" in head or "EXCEPTION" in head:
        return BAD
    return WARN if "WARN" in head else ""
