"""The board: a row per service and environment, each group of cells read on its own, all at once, each with its age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from infraconsole.checks.judgement import judge
from infraconsole.checks.row_facts import FROM_AWS, BoardRow, Fact
from infraconsole.errors import JournalError
from infraconsole.screens import deploying, legends
from infraconsole.screens.board.cells import board_row, columns, name_of, remarks_of, story, summary
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import (
    CONTAINERS,
    ENVIRONMENTS,
    EXPORTS,
    JOURNAL,
    LOGS,
    RUN,
    STATE,
    GoTo,
    Place,
    StartRun,
)
from infraconsole.screens.runs import BoardRuns, board_runs, left_of, sentence
from infraconsole.screens.steady import steady
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import DIM, STRONG, WARN, lines, said

_QUICK = ("service", "alarms")
_SLOW = ("state", "lock", "exports", "variables")
_SLOW_EVERY = 4
"""State and exports change with a deploy, not by themselves: they are read every fourth time."""

_CATALOGUE_AFTER_SECONDS = 1.0
"""The catalogue imports every runbook: not while the first cells are read."""


class BoardScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Board"
    legend: ClassVar[legends.Legend] = legends.BOARD
    about: ClassVar[str] = (
        "A row per service and environment. What is wrong stands on top, the worst first; the rows keep their places. "
        "Each group of cells is read on its own; `read` says how old the service's cells are, ! that reading them again "
        "failed. It is read again every 15 s while it is in view."
    )
    refresh_seconds: ClassVar[float] = 15
    reads_all_environments: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="board.open", tooltip="Containers of the row under the cursor"),
        Binding("R", "roll_back", "Roll back", key_display="R", id="board.roll-back",
                tooltip="Roll this service back: asks before anything changes"),
        Binding("D", "deploy", "Deploy", key_display="D", id="board.deploy",
                tooltip="Deploy this service: plans, and asks before anything changes"),
        Binding("d", "describe", "Describe", id="board.describe", tooltip="Everything known of this row, errors whole"),
        Binding("l", "logs", "Logs", id="board.logs", tooltip="Logs of this service"),
        Binding("x", "exports", "Exports", id="board.exports", tooltip="What the infrastructure repository shares"),
        Binding("h", "journal", "Journal", id="board.journal", tooltip="All runs, and their events"),
        Binding("t", "state", "State", id="board.state", tooltip="Versions and lock of this service's Terraform state"),
        Binding("v", "environments", "Environments", id="board.environments",
                tooltip="This service's environments side by side"),
    ]  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._rows: dict[str, BoardRow] = {row.key: row for row in desk.overview.rows()}
        self._runs = BoardRuns()
        self._drawing = False
        self._loads = 0
        self._journal_seen = -1
        self._journal_error = ""

    def body(self) -> ComposeResult:
        yield Says(id="worst")
        yield Rows(_RUN_COLUMNS, header=False, id="unfinished")
        yield Rows(
            columns([name_of(row) for row in self._rows.values()]),
            empty="No service is configured: write [services.<name>] into infraconsole.toml.",
            id="board",
        )
        yield Says(id="row-says")

    def on_mount(self) -> None:
        self.query_one("#unfinished").display = False
        self.set_focus(self.board)
        self.set_timer(_CATALOGUE_AFTER_SECONDS, lambda: deploying.learn_runbooks(self))
        self._draw_now()
        self.call_after_refresh(self.set_timer, 0.02, self.load)

    @property
    def board(self) -> Rows:
        return self.query_one("#board", Rows)

    @property
    def row(self) -> BoardRow | None:
        return self._rows.get(self.board.current_key)

    # Reading

    def load(self) -> None:
        slow = self._loads % _SLOW_EVERY == 0
        self._loads += 1
        self._read_cells(_QUICK + (_SLOW if slow else ()))
        self._read_runs()

    def action_refresh(self) -> None:
        self._read_cells(_QUICK + _SLOW)
        self._read_runs()

    def tick(self) -> None:
        self._draw_now()
        self._read_runs()

    @work(group="cells", exit_on_error=False)
    async def _read_cells(self, groups: Iterable[str]) -> None:
        await asyncio.gather(*(self._read_cell(key, group) for group in groups for key in self._rows))

    async def _read_cell(self, key: str, group: str) -> None:
        row = self._rows[key]
        fact: Fact[Any] = getattr(row, group)
        if fact.loading:
            return
        self._put(key, group, fact.asked())
        loader: Callable[[str, str], Any] = getattr(self.desk.overview, group)
        try:
            call = partial(loader, row.service_name, row.environment)
            value = await (
                self.read(call, row.environment, f"{group} {key}") if group in FROM_AWS else in_thread(call, group)
            )
            self._put(key, group, fact.got(value, self.desk.now()))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: it is shown in its cell, whole on `d`
            self._put(key, group, fact.failed(error))

    def _put(self, key: str, group: str, fact: Fact[Any]) -> None:
        self._rows[key] = self._rows[key].with_fact(group, fact)
        if not self._drawing:
            self._drawing = True
            self.set_timer(0.03, self._draw_now)

    @steady
    async def _read_runs(self) -> None:
        journal, names = self.desk.journal, tuple(self._rows)
        try:
            seen = await in_thread(journal.data_version, "journal")
            if seen == self._journal_seen and not self._runs.under_way:
                return
            self._runs = await in_thread(lambda: board_runs(journal, names), "journal")
            self._journal_seen, self._journal_error = seen, ""
            read_at = self.desk.now()
            for key, row in self._rows.items():
                self._rows[key] = row.with_fact("left", row.left.got(left_of(self._runs, key), read_at))
        except JournalError as error:
            self._journal_error = str(error)
            for key, row in self._rows.items():
                self._rows[key] = row.with_fact("left", row.left.failed(error))
        self._draw_runs()
        self._draw_now()

    # Drawing

    def _draw_now(self) -> None:
        self._drawing = False
        if not self.query(
            "#board"
        ):  # the board itself may go: another one takes its place where the profile is switched
            return
        now = self.desk.now()
        rows = list(self._rows.values())
        judged = [judge(row, now) for row in rows]
        pairs = zip(rows, judged, strict=True)
        self.board.set_rows(board_row(row, judgement, self._runs.last.get(row.key), now) for row, judgement in pairs)
        most = 4 if self.size.height >= 30 else 2
        self.query_one("#worst", Says).say(summary(rows, judged, now, most))
        self._draw_row()

    def _draw_runs(self) -> None:
        table = self.query_one("#unfinished", Rows)
        now = self.desk.now()
        found = self._runs.unfinished
        table.set_rows(
            Row(
                run.record.run,
                {
                    "what": Cell("attach" if run.under_way else "resume", WARN if not run.under_way else STRONG),
                    "run": Cell(sentence(run, now)),
                },
            )
            for run in found
        )
        table.display = bool(found)
        table.styles.height = min(len(found), 4)

    def _draw_row(self) -> None:
        if not self.query("#row-says"):
            return
        row = self.row
        says = self.query_one("#row-says", Says)
        if self._journal_error:
            says.say(said((self._journal_error, WARN)))
            return
        if row is None:
            says.say(said(""))
            return
        now = self.desk.now()
        judgement = judge(row, now)
        event = row.service.value.service.events[:1] if row.service.value else ()
        heard = list(remarks_of(row.service.value)) if row.service.value else []
        heard += [f"ECS: {event[0].message}"] if event else []
        first = [(f"{judgement.name}: {reason.on_screen}", WARN) for reason in judgement.reasons]
        says.say(lines([*first, *((words, DIM) for words in heard)] or [("", DIM)]))

    # Keys

    @on(Rows.Moved, "#board")
    def _moved(self) -> None:
        if not self.query("#board"):
            return
        row = self.row
        if row is not None:
            self.look_at(row.service_name, row.environment)
        self._draw_row()
        self.refresh_bindings()

    @on(Rows.Chosen, "#board")
    def _chosen(self) -> None:
        self.action_open()

    @on(Rows.Chosen, "#unfinished")
    def _chosen_run(self, event: Rows.Chosen) -> None:
        self.post_message(GoTo(Place(RUN, run=event.key)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "to":
            return False  # the board's own keys, which go by its row
        if action in _OF_A_ROW and self.row is None:
            return None
        if action == "deploy" and (self.desk.config.read_only or not deploying.offers("deploy")):
            return None
        if action == "roll_back" and (self.desk.config.read_only or (self.row and self.row.service.absent)):
            return None
        return super().check_action(action, parameters)

    def list_widget(self) -> Widget:
        return self.board

    def narrow(self, words: str) -> None:
        self.board.set_filter(words)

    def copied(self) -> tuple[str, str] | None:
        row = self.row
        if row is None:
            return None
        return name_of(row), story(
            row, self._runs.last.get(row.key), self._runs.follow_ups.get(row.key, ()), self.desk.now()
        ).plain

    def action_open(self) -> None:
        if self.row is not None:
            self.post_message(GoTo(Place(CONTAINERS, self.row.service_name, self.row.environment)))

    def action_logs(self) -> None:
        if self.row is not None:
            self.post_message(GoTo(Place(LOGS, self.row.service_name, self.row.environment)))

    def action_state(self) -> None:
        if self.row is not None:
            self.post_message(GoTo(Place(STATE, self.row.service_name, self.row.environment)))

    def action_environments(self) -> None:
        if self.row is not None:
            self.post_message(GoTo(Place(ENVIRONMENTS, self.row.service_name)))

    def action_exports(self) -> None:
        if self.row is not None:
            self.post_message(GoTo(Place(EXPORTS, environment=self.row.environment)))

    def action_journal(self) -> None:
        self.post_message(GoTo(Place(JOURNAL)))

    def action_roll_back(self) -> None:
        facts = self.row.service.value if self.row else None
        if deploying.refuses_rollback(self, facts.service if facts else None):
            return
        if self.row is not None:
            self.post_message(StartRun("ecs-rollback", self.row.service_name, self.row.environment))

    def action_deploy(self) -> None:
        row = self.row
        if row is not None:
            runs = row.service.value.serving_image if row.service.value else ""
            deploying.ask(self, row.service_name, row.environment, runs=runs)

    def action_describe(self) -> None:
        row = self.row
        if row is not None:
            self.show_detail(name_of(row), lambda: self._story(row.key))

    def _story(self, key: str) -> Content:
        runs = self._runs
        return story(self._rows[key], runs.last.get(key), runs.follow_ups.get(key, ()), self.desk.now())

    def action_environment(self) -> None:
        row = self.row
        if row is None:
            return
        names = list(self.desk.config.environments)
        following = names[(names.index(row.environment) + 1) % len(names)]
        self.board.move_to(BoardRow(row.service_name, following).key)


_OF_A_ROW = ("open", "roll_back", "deploy", "describe", "logs", "state", "environments", "exports", "environment")
_RUN_COLUMNS = (Column("what", "", 6), Column("run", "", 30, stretch=True))
