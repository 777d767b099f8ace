"""The board: a row per service and environment, each group of cells read on its own, all at once, each with its age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from infraconsole import clock
from infraconsole.checks.judged import Judged
from infraconsole.checks.judgement import Judgement, Level
from infraconsole.checks.row_facts import BoardRow, Fact
from infraconsole.errors import JournalError
from infraconsole.fleet import plan
from infraconsole.fleet.job import Job, Told
from infraconsole.fleet.pump import Pump
from infraconsole.screens import deploying, legends
from infraconsole.screens.board.area import Area
from infraconsole.screens.board.cells import columns, elsewhere, headlines, name_of, shown_line, story, summary
from infraconsole.screens.board.drawn import Drawn
from infraconsole.screens.board.order import WORST_FIRST, Known, Order, arranged, chosen, next_in_trouble
from infraconsole.screens.board.selected import Selected, sections
from infraconsole.screens.board.still import Still
from infraconsole.screens.console_screen import COVERED_SECONDS, ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import environment_keys
from infraconsole.screens.places import (
    ALL,
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
from infraconsole.screens.runs import BoardRuns, board_runs, ended_since, left_of, sentence
from infraconsole.screens.steady import steady
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import STRONG, WARN, lines, said

if TYPE_CHECKING:
    from infraconsole.aws.ecs import Task

_REST_SECONDS = 0.4
"""The cursor has come to rest: the tasks of its row are read, and of no row that it only passes."""
_TASKS_SECONDS = 15.0
"""So old they are read again, while the cursor stays."""
_MANY_ROWS = 50
_DRAWN_SECONDS = 5.0
"""Many rows in which nothing is new are drawn so often, which is how ages go on in their column."""
_FIRST_ROWS = 40
"""Taken for those in view while the list has no height yet."""
_CATALOGUE_AFTER_SECONDS = 1.0
"""The catalogue imports every runbook: not while the first cells are read."""


class BoardScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Board"
    legend: ClassVar[legends.Legend] = legends.BOARD
    about: ClassVar[str] = (
        "A row per service and environment, what is wrong first; no row moves while you press keys. Above the list stands how it "
        "is sorted, and which environment each digit is for; below it, where there is room, the service under the cursor. "
        "`read` says how old a row is, ! that reading it again failed. Rows on the screen are read every 15 s, rows in trouble "
        "every 30 s, the others in turn, as the budget of calls allows (calls_per_second in infraconsole.toml); r reads at once "
        "what is on the screen."
    )
    reads_all_environments: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="board.open", tooltip="Containers of the row under the cursor"),
        Binding("R", "roll_back", "Roll back", key_display="R", id="board.roll-back",
                tooltip="Roll this service back: asks before anything changes"),
        Binding("D", "deploy", "Deploy", key_display="D", id="board.deploy",
                tooltip="Deploy this service: plans, and asks before anything changes"),
        Binding("n", "trouble(1)", "Next problem", id="board.next-problem",
                tooltip="To the next row that needs a look; N to the one before"),
        Binding("N", "trouble(-1)", "Problem before", key_display="N", show=False, id="board.problem-before",
                tooltip="To the row before that needs a look"),
        Binding("s,o", "sort", "Sort", id="board.sort", tooltip="Worst first, or by a column, either way round"),
        Binding("d", "describe", "Describe", id="board.describe", tooltip="Everything known of this row, errors whole"),
        Binding("l", "logs", "Logs", id="board.logs", tooltip="Logs of this service"),
        Binding("x", "exports", "Exports", id="board.exports", tooltip="What the infrastructure repository shares"),
        Binding("h", "journal", "Journal", id="board.journal", tooltip="All runs, and their events"),
        Binding("t", "state", "State", id="board.state", tooltip="Versions and lock of this service's Terraform state"),
        Binding("v", "environments", "Environments", id="board.environments",
                tooltip="This service's environments side by side"),
        *environment_keys(),
    ]  # fmt: skip

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._rows: dict[str, BoardRow] = {row.key: row for row in desk.overview.rows()}
        self._runs = BoardRuns()
        self._drawing = False
        self._is_reading = False
        self._drawn_at = 0.0
        self._judging, self._drawn = Judged(), Drawn()
        self._troubled: set[str] = set()
        self._pump = Pump(desk.overview, plan.jobs(desk.overview, tuple(self._rows.values())), self._put, self._carried)
        self._journal_seen = -1
        self._journal_error = ""
        self._environment = ""
        """The only one that is shown; "" for all."""
        self._sorted = WORST_FIRST
        self._still = Still()
        self._judged: dict[str, Judgement] = {}
        self._tasks_of: dict[str, Fact[tuple[Task, ...]]] = {}
        """Of the rows that the cursor rested on."""

    def body(self) -> ComposeResult:
        yield Says(id="worst")
        yield Rows(_RUN_COLUMNS, header=False, id="unfinished")
        yield Says(id="shown")
        yield Area(Rows(self._columns(), id="board"))

    def _columns(self) -> tuple[Column, ...]:
        return columns([name_of(row) for row in self._rows.values()], self._sorted)

    def on_mount(self) -> None:
        self.query_one("#unfinished").display = False
        self.board.end_reading("No service is configured: write [services.<name>] into infraconsole.toml.")
        if self._rows:
            first = next(iter(self._rows.values()))
            self.look_at(first.service_name, first.environment)
        self.set_focus(self.board)
        self.set_timer(_CATALOGUE_AFTER_SECONDS, lambda: deploying.learn_runbooks(self))
        self.call_after_refresh(self.set_timer, 0.02, self.load)

    @property
    def board(self) -> Rows:
        return self.query_one("#board", Rows)

    @property
    def area(self) -> Area:
        return self.query_one(Area)

    @property
    def row(self) -> BoardRow | None:
        return self._rows.get(self.board.current_key)

    # Reading

    def load(self) -> None:
        """What is in view, at once; the rest follows in turn."""
        self._look()
        self._pump.ask()
        self._read_all()
        self._read_runs()

    def first_look(self) -> None:
        self._draw_now()

    def tick(self) -> None:
        if len(self._rows) <= _MANY_ROWS or clock.seconds() - self._drawn_at >= _DRAWN_SECONDS:
            self._draw_now()
        self._look()
        self._read_runs()
        if self._still.rests(self.board.current_key, 2 * _REST_SECONDS):
            self._read_tasks_if_due()

    @work(exclusive=True, group="rest", exit_on_error=False)
    async def _rest(self) -> None:
        await asyncio.sleep(_REST_SECONDS)
        self._read_tasks_if_due()

    def _read_tasks_if_due(self) -> None:
        """Of the row under the cursor, where there is room to show them."""
        row = self.row
        if row is None or row.service.value is None or not self.area.room:
            return
        fact = self._tasks_of.get(row.key, Fact())
        age = (self.desk.now() - fact.read_at).total_seconds() if fact.read_at else _TASKS_SECONDS
        if not fact.loading and age >= _TASKS_SECONDS:
            self._tasks_of[row.key] = fact.asked()
            self._read_tasks(row)

    @work(group="tasks", exit_on_error=False)
    async def _read_tasks(self, row: BoardRow) -> None:
        overview, fact = self.desk.overview, self._tasks_of[row.key]
        try:
            found = await self.read(lambda: overview.tasks(row.service_name, row.environment))
            self._tasks_of[row.key] = fact.got(found, self.desk.now())
        except asyncio.CancelledError:
            self._tasks_of.pop(row.key)
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: said where they would stand
            self._tasks_of[row.key] = replace(fact.failed(error), read_at=self.desk.now())
        if row.key == self.board.current_key:
            self._draw_selected()

    def on_screen_suspend(self) -> None:
        self._pump.pause()

    def on_screen_resume(self) -> None:
        self._pump.resume()
        if self._is_reading and clock.seconds() - self._covered_at >= COVERED_SECONDS:
            self.load()

    def _look(self) -> None:
        """What is on the screen is read first and often, and what is in trouble often."""
        if not self.query("#board"):
            return
        self._pump.look(self.board.in_view or list(self._rows)[:_FIRST_ROWS], self._troubled)

    def _read_all(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._pump_on()

    @work(group="cells", exit_on_error=False)
    async def _pump_on(self) -> None:
        try:
            await self._pump.run()
        finally:
            self._is_reading = False

    async def _carried(self, call: Callable[[], None], job: Job) -> None:
        await (self.read(call, job.environment, job.name) if job.where else in_thread(call, job.name))

    def _put(self, told: Sequence[Told]) -> None:
        now, is_news = self.desk.now(), False
        for each in told:
            row = self._rows[each.key]
            before: Fact[Any] = getattr(row, each.group)
            fact = before.failed(each.error) if each.error is not None else before.got(each.value, now)
            self._rows[each.key] = row.with_fact(each.group, fact)
            is_news = is_news or fact.value is not before.value or fact.error is not before.error
        if is_news and not self._drawing:  # that it is still so, the next tick tells
            self._drawing = True
            self.set_timer(0.03, self._draw_now)

    @steady
    async def _read_runs(self) -> None:
        journal, names = self.desk.journal, tuple(self._rows)
        try:
            seen = await in_thread(journal.data_version, "journal")
            if seen == self._journal_seen and not self._runs.under_way:
                return
            runs = await in_thread(lambda: board_runs(journal, names), "journal")
            if self._journal_seen >= 0 and (ended := ended_since(self._runs, runs)):
                self._pump.ask(ended)
            self._runs = runs
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
        if not self.query("#board"):
            return  # not there yet, or the console is being left
        now, self._drawn_at = self.desk.now(), clock.seconds()
        seen = frozenset(self.board.in_view)
        self._judged = {key: self._judging.of(row, now, is_seen=key in seen) for key, row in self._rows.items()}
        self._troubled = {key for key, judgement in self._judged.items() if judgement.level >= Level.BUSY}
        keys = [key for key in self._order_now(now) if self._environment in ("", self._rows[key].environment)]
        rows, judged = [self._rows[key] for key in keys], [self._judged[key] for key in keys]
        self.board.set_rows(self._drawn.rows(rows, judged, self._runs.last, seen, now))
        self._follow_the_worst()
        self.area.divide(len(keys) + 1)
        self._draw_summary(now)
        self._draw_selected()

    def _order_now(self, now: datetime) -> list[str]:
        """All rows."""
        known = [Known(row, self._judged[key], self._runs.last.get(key), now) for key, row in self._rows.items()]
        reading = any(judgement.unread for judgement in self._judged.values())
        return self._still.arranged(arranged(known, self._sorted), reading=reading)

    def _follow_the_worst(self) -> None:
        self._still.moved(self.board.current_key)  # by the mouse: its message may still be on its way
        if self.board.shown and not self._still.touched:
            self.board.cursor = 0
            self._still.put(self.board.current_key)

    @property
    def _most(self) -> int:
        """Sentences on top."""
        return 4 if self.size.height >= 30 else 2

    def _shown_judgements(self) -> list[Judgement]:
        return [each for each in self._judged.values() if self._environment in ("", each.environment)]

    def _draw_summary(self, now: datetime) -> None:
        rows = [row for row in self._rows.values() if self._environment in ("", row.environment)]
        told = [summary(rows, self._shown_judgements(), now, self._most)]
        others = elsewhere([each for each in self._judged.values() if each.environment != self._environment])
        if self._environment and others:
            told.append(others)
        if self._journal_error:
            told.append(said((self._journal_error, WARN)))
        self.query_one("#worst", Says).say(lines(told))
        self.query_one("#shown", Says).say(
            shown_line(self._sorted, list(self.desk.config.environments), self._environment)
        )

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

    def _draw_selected(self) -> None:
        if not self.query("#board"):
            return  # another board takes its place where the profile is switched
        row = self.row
        if row is None or not self.area.room:
            self.area.tell("", ())
            return
        now = self.desk.now()
        judgement = self._judging.of(row, now)
        on_top = any(each.name == judgement.name for each in headlines(self._shown_judgements(), self._most))
        runs, follow_ups = self._runs.last.get(row.key), self._runs.follow_ups.get(row.key, ())
        tasks = self._tasks_of.get(row.key, Fact())
        self.area.tell(
            name_of(row), sections(Selected(row, judgement, tasks, runs, follow_ups, on_top=on_top, now=now))
        )

    # Keys

    def on_key(self) -> None:
        self._still.touch()

    @on(Area.Divided)
    def _divided(self) -> None:
        self._draw_selected()

    @on(Rows.HeaderClicked, "#board")
    def _header_clicked(self, event: Rows.HeaderClicked) -> None:
        self._sort(chosen(self._sorted, event.key))

    @on(Rows.Moved, "#board")
    def _moved(self) -> None:
        if not self.query("#board"):
            return
        row = self.row
        self._still.moved(self.board.current_key)
        if row is not None:
            self.look_at(row.service_name, row.environment)
        self._draw_selected()
        self._rest()
        self.refresh_bindings()

    def _just_jumped(self, key: str) -> bool:
        """Whether the cursor went to this row by itself when the key was on its way; then it says so."""
        if self.row is None or not self._still.just_jumped():
            return False
        words = f"The cursor has just gone to {name_of(self.row)}, which is the worst now. {key} once more is for that."
        self.notify(words, severity="warning", markup=False)
        return True

    def action_trouble(self, direction: int) -> None:
        shown = [row.key for row in self.board.shown]
        trouble = {key for key in shown if self._judged[key].level > Level.ABSENT}
        if found := next_in_trouble(shown, self.board.cursor, trouble, direction):
            self.board.move_to(found)
            if trouble == {found}:
                self.notify("It is the only one that needs a look here.", markup=False)
            return
        unread = any(self._judged[key].unread for key in shown)
        others = sum(each.level > Level.ABSENT for each in self._judged.values())
        words = "Nothing that was read so far needs a look." if unread else "Nothing here needs a look."
        more = f" {others} elsewhere: 0 and an empty filter show all." if others else ""
        self.notify(f"{words}{more}", markup=False)

    def action_sort(self) -> None:
        from infraconsole.screens.board.sorting import SortScreen

        def sort(order: Order | None) -> None:
            if order is not None:
                self._sort(order)

        self.app.push_screen(SortScreen(self._sorted), sort)

    def _sort(self, order: Order) -> None:
        self._sorted = order
        self._still.let_go()
        self.board.set_columns(self._columns())
        self._draw_now()

    def action_only(self, digit: int) -> None:
        names = list(self.desk.config.environments)
        if digit > len(names):
            told = ", ".join(f"{number} {name}" for number, name in enumerate(("all", *names[:9])))
            self.notify(f"There is no environment {digit}: {told}.", severity="warning", markup=False)
        else:
            self.show_environment(names[digit - 1] if digit else ALL)

    def show_environment(self, name: str) -> None:
        """The rows of one environment, or `all`. The cursor stays on its row, or goes to the worst of those."""
        self._still.touch()
        self._environment = "" if name == ALL else name
        key = self.board.current_key
        self._draw_now()
        if self.board.current_key != key:
            self.board.cursor = 0

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
        if self._just_jumped("R"):
            return
        facts = self.row.service.value if self.row else None
        if deploying.refuses_rollback(self, facts.service if facts else None):
            return
        if self.row is not None:
            self.post_message(StartRun("ecs-rollback", self.row.service_name, self.row.environment))

    def action_deploy(self) -> None:
        row = self.row
        if row is not None and not self._just_jumped("D"):
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
        if self._environment:
            self.show_environment(following)
        self.board.move_to(BoardRow(row.service_name, following).key)


_OF_A_ROW = ("open", "roll_back", "deploy", "describe", "logs", "state", "environments", "exports", "environment")
_RUN_COLUMNS = (Column("what", "", 6), Column("run", "", 30, stretch=True))
