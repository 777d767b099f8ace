"""The exports of one account: paths at the left, parameters at the right, with what the checks and the code say of each.

What the last visit saw is shown at once; then the values come from AWS, piece by piece, and the findings last.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content

from infraconsole import text
from infraconsole.aws.ssm import SECURE, Parameter
from infraconsole.checks.findings import Finding
from infraconsole.errors import AwsError
from infraconsole.exports import last_visit, listing
from infraconsole.exports.survey import Expected, Survey
from infraconsole.screens import deploying, legends
from infraconsole.screens.desk import Desk
from infraconsole.screens.exports import cells
from infraconsole.screens.exports.cells import Entry
from infraconsole.screens.exports.reveal import Reveals
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.paned import PanedScreen
from infraconsole.screens.places import EXPORT, EXPORTS, GoTo, Place
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, STRONG, WARN, Part, lines, said, whole_error
from infraconsole.terraform.exports import Trace

_DRAW_SECONDS = 0.25


class ExportsScreen(PanedScreen):
    name_in_help: ClassVar[str] = "Exports"
    panes: ClassVar[tuple[str, ...]] = ("folders", "exports")
    first_pane: ClassVar[str] = "exports"
    legend: ClassVar[legends.Legend] = legends.EXPORTS
    about: ClassVar[str] = (
        "Every parameter that the infrastructure repository shares. The mark says what the checks found: ✗ an error, ▲ a "
        "warning; `n` goes to the next one. `/` narrows by any word: also by `finding:error`, `type:StringList`, "
        "`consumer:fileflow`. Enter opens one export: its history, who writes it, who reads it and what a change would do. "
        "Values of the last visit are shown with their age until AWS has answered. SecureStrings are masked; `u` shows one "
        "for half a minute, and the journal says so."
    )
    AUTO_FOCUS = "#exports"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="exports.open", tooltip="This export: history, code, impact"),
        *pane_keys("exports", "Between the paths and the exports"),
        Binding("n", "finding(1)", "Next finding", id="exports.next-finding", tooltip="To the next error or warning"),
        Binding("N", "finding(-1)", "Finding before", key_display="N", show=False, id="exports.finding-before",
                tooltip="To the error or warning before"),
        Binding("o,s", "order", "Order", id="exports.order", tooltip="By name, findings, time of change, type"),
        Binding("d", "describe", "Describe", id="exports.describe", tooltip="The findings of this export, whole"),
        Binding("D", "deploy", "Deploy module", key_display="D", id="exports.deploy", show=False,
                tooltip="Plan the module that writes this export; asks before anything changes"),
        Binding("u", "reveal", "Unmask", id="exports.reveal", show=False,
                tooltip="Show a SecureString for half a minute; recorded in the journal"),
        Binding("c", "copy_name", "Copy name", id="exports.copy-name", show=False, tooltip="Copy the export's full name"),
        Binding("a", "copy_arn", "Copy ARN", id="exports.copy-arn", show=False, tooltip="Copy the export's ARN"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, environment: str, name: str = "") -> None:
        super().__init__(desk)
        self.environment = environment
        self._go_to_name = name
        self._folder = desk.config.export_root
        self._order = "name"
        self._parameters: dict[str, Parameter] = {}
        self._guard = threading.Lock()
        self._left = threading.Event()
        self._findings: Mapping[str, tuple[Finding, ...]] = {}
        self._expected: Mapping[str, Expected] = {}
        self._trace: Trace | None = None
        self._checked = False
        self._entries: tuple[Entry, ...] = ()
        self._by_name: dict[str, Entry] = {}
        self._read_at: datetime | None = None
        self._whole = False
        self._error: BaseException | None = None
        self._reading = ""
        self._drawing = False
        self._survey: Survey | None = None
        self._reveals = Reveals(self, self._draw_soon)

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Says(id="tabs")
        with Horizontal(id="panes"):
            yield Rows(cells.FOLDER_COLUMNS, header=False, id="folders", classes="pane")
            yield Rows(cells.COLUMNS, id="exports", classes="pane")
        yield Says(id="row-says")

    def on_mount(self) -> None:
        self.look_at("exports", self.environment)
        self.lay_out()
        self.set_focus(self.rows)
        self.load()

    def on_unmount(self) -> None:
        self._left.set()

    @property
    def rows(self) -> Rows:
        return self.query_one("#exports", Rows)

    @property
    def entry(self) -> Entry | None:
        return self._by_name.get(self.rows.current_key)

    # Reading

    def load(self) -> None:
        if not self._reading:
            self._reading = "the last visit"
            self._read_all()

    @work(group="exports", exit_on_error=False)
    async def _read_all(self) -> None:
        self._error = None
        try:
            if self._survey is None:
                self._survey = await in_thread(self._new_survey, "survey")
            survey = self._survey
            await self._show_last_visit(survey)
            trace = asyncio.ensure_future(in_thread(survey.trace, "trace"))
            self._reading = "values"
            await self.read(lambda: self._pump(survey))
            self._read_at, self._whole = self.desk.now(), True
            self._draw_soon()
            self._reading = "code and checks"
            self._trace = await trace
            self._draw_soon()
            with self._guard:
                parameters = tuple(self._parameters.values())
            account = self.desk.overview.account
            checked = await self.read(lambda: survey.check(parameters, self._trace))
            self._findings, self._expected, self._checked = checked.by_subject, checked.expected, True
            owner = await self.read(lambda: account(self.environment))
            await in_thread(
                lambda: last_visit.save(survey.file, owner.id, parameters, self._read_at or self.desk.now())
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: in the headline, whole on `d`
            self._error = error
            self.query_one("#folders", Rows).end_reading("")
            self.rows.end_reading("The exports could not be read: d shows why.")
        finally:
            self._reading = ""
        self._draw_soon()

    def _new_survey(self) -> Survey:
        return Survey(self.desk.config, self.environment, self.desk.overview.access(self.environment))

    async def _show_last_visit(self, survey: Survey) -> None:
        if self._parameters:
            return
        visit = await in_thread(lambda: last_visit.load(survey.file), "last visit")
        if visit is not None:
            self._parameters = {parameter.name: parameter for parameter in visit.parameters}
            self._read_at = visit.at
            self._draw()
            self._compare_account(visit.account)

    @work(group="account-of-visit", exit_on_error=False)
    async def _compare_account(self, account: str) -> None:
        """Rows of another account's last visit are worse than none."""
        overview = self.desk.overview
        try:
            now = await in_thread(lambda: overview.account(self.environment), "account")
        except AwsError:
            return
        if now.id != account:
            with self._guard:
                self._parameters.clear()
            self._draw_soon()

    def _pump(self, survey: Survey) -> None:
        """In a thread: every piece of news into the picture, until it is whole or the screen is left."""
        news = survey.read(tuple(self._parameters))
        try:
            for update in news:
                if self._left.is_set():
                    return
                with self._guard:
                    listing.apply(self._parameters, update)
                self.app.call_from_thread(self._draw_soon)
        finally:
            news.close()

    # Drawing

    def _draw_soon(self) -> None:
        if not self._drawing and self.is_usable:
            self._drawing = True
            self.set_timer(_DRAW_SECONDS if self._entries else 0.01, self._draw)

    def tick(self) -> None:
        self._draw_headline()

    def _draw(self) -> None:
        self._drawing = False
        if not self.is_usable:
            return
        with self._guard:
            parameters = dict(self._parameters)
        self._entries = cells.entries(parameters, self._findings, self._trace, self._expected)
        self._by_name = {entry.name: entry for entry in self._entries}
        self.query_one("#folders", Rows).set_rows(cells.folder_rows(self._entries, self.desk.config.export_root))
        self._draw_rows()
        self._draw_headline()

    def _draw_rows(self) -> None:
        below = f"{self._folder}/"
        shown = [entry for entry in self._entries if entry.name.startswith(below)]
        self.rows.set_rows(
            cells.export_rows(
                cells.sorted_by(shown, self._order),
                self._folder,
                self.desk.now(),
                self._reveals.values,
                checked=self._checked,
                traced=self._trace is not None,
            )
        )
        if self._whole:
            self.query_one("#folders", Rows).end_reading("")
            self.rows.end_reading(f"There is no export below {self._folder}.")
        if self._go_to_name and self.rows.move_to(self._go_to_name):
            self._go_to_name = ""
        self._draw_row()
        self.draw_titles()

    def _draw_headline(self) -> None:
        self.query_one("#headline", Says).say(self._headline())

    def _headline(self) -> Content:
        now = self.desk.now()
        age = f"  read {text.ago(self._read_at, now)} ago" if self._read_at else ""
        busy = f"  reading {self._reading}…" if self._reading else ""
        if self._error is not None:
            words = str(getattr(self._error, "title", self._error))
            return said((f"{MARKS[WARN]} {words} d shows it whole.", WARN), (age, DIM))
        if not self._checked:
            some = f"{len(self._entries):,} exports" if self._entries else "Exports"
            old = " as the last visit saw them" if self._entries and not self._whole else ""
            return said((f"{some}{old}", STRONG), (age, DIM), (busy, DIM))
        errors = sum(entry.weight == 0 for entry in self._entries)
        warnings = sum(entry.weight == 1 for entry in self._entries)
        if errors or warnings:
            tone = BAD if errors else WARN
            counted = " and ".join(
                f"{count} {word}{'s' if count != 1 else ''}"
                for count, word in ((errors, "error"), (warnings, "warning"))
                if count
            )
            words = f"{MARKS[tone]} {counted} in {len(self._entries):,} exports; n goes to the next."
            return said((words, tone), (age, DIM), (busy, DIM))
        return said((f"{MARKS[GOOD]} {len(self._entries):,} exports, all in order.", GOOD), (age, DIM), (busy, DIM))

    def _draw_row(self) -> None:
        entry = self.entry
        says: list[Part] = []
        if entry is not None:
            says += [
                (f"{MARKS[cells.TONES[finding.level]]} {finding.message}", cells.TONES[finding.level])
                for finding in entry.findings[:2]
            ]
            if not says and entry.consumers:
                used = entry.consumers[0]
                others = f" and {len(entry.consumers) - 1} more" if len(entry.consumers) > 1 else ""
                says.append((f"read at {cells.place(used.file, used.line)}{others}", DIM))
        self.query_one("#row-says", Says).say(lines(says or [""]))
        self.refresh_bindings()

    def pane_titles(self) -> Mapping[str, str]:
        shown = len(self.rows.shown)
        count = f" {shown:,}" if shown or self._whole else ""
        return {"folders": "paths", "exports": f"exports{count}, by {self._order}"}

    def beside_tabs(self) -> str:
        return self._folder

    # Keys

    @on(Rows.Moved, "#exports")
    def _moved(self) -> None:
        self._draw_row()

    @on(Rows.Moved, "#folders")
    def _folder_moved(self, event: Rows.Moved) -> None:
        if event.key and event.key != self._folder:
            self._folder = event.key
            self._draw_rows()

    @on(Rows.Chosen, "#folders")
    def _folder_chosen(self) -> None:
        self.action_pane(1)

    @on(Rows.Chosen, "#exports")
    def _chosen(self) -> None:
        self.action_open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("open", "describe", "copy_name") and self.entry is None and self._error is None:
            return None
        if action == "deploy" and not self._module:
            return None
        if action == "copy_arn" and not (self.entry and self.entry.parameter):
            return None
        if action == "reveal" and not self._can_reveal:
            return None
        return super().check_action(action, parameters)

    @property
    def _can_reveal(self) -> bool:
        parameter = self.entry.parameter if self.entry else None
        return parameter is not None and parameter.type == SECURE

    @property
    def _module(self) -> str:
        """The module whose deploy would write the export; "" where there is none, or nothing may be changed."""
        entry = self.entry
        if entry is None or self.desk.config.read_only or entry.owner not in self.desk.config.modules():
            return ""
        return entry.owner

    def action_deploy(self) -> None:
        if self._module:
            deploying.ask(self, self._module, self.environment)

    def narrow(self, words: str) -> None:
        self.rows.set_filter(words)
        self.draw_titles()

    def copied(self) -> tuple[str, str] | None:
        parameter = self.entry.parameter if self.entry else None
        if parameter is None or parameter.value is None:
            return None
        return f"the value of {parameter.name}", parameter.value

    def action_copy_name(self) -> None:
        if self.entry is not None:
            self.put_into_clipboard("name", self.entry.name)

    def action_copy_arn(self) -> None:
        if self.entry is not None and self.entry.parameter is not None:
            self.put_into_clipboard("ARN", self.entry.parameter.arn)

    def action_finding(self, direction: int) -> None:
        """The next row with an error or a warning, from the cursor on, around the end."""
        shown = self.rows.shown
        order = range(1, len(shown) + 1) if direction > 0 else range(-1, -len(shown) - 1, -1)
        for step in order:
            row = shown[(self.rows.cursor + step) % len(shown)]
            if self._by_name[row.key].weight <= 1:
                self.rows.move_to(row.key)
                return
        self.notify("No error and no warning here.", markup=False)

    def action_order(self) -> None:
        self._order = cells.ORDERS[(cells.ORDERS.index(self._order) + 1) % len(cells.ORDERS)]
        self._draw_rows()

    def action_open(self) -> None:
        if self.entry is not None:
            self.post_message(GoTo(Place(EXPORT, environment=self.environment, detail=self.entry.name)))

    def action_describe(self) -> None:
        if self._error is not None:
            self.show_detail("Exports", lines(whole_error(self._error)))
        elif self.entry is not None:
            opened = self.entry
            self.show_detail(opened.name, lambda: self._story(self._by_name.get(opened.name, opened)))

    def _story(self, entry: Entry) -> Content:
        return cells.story(entry, self.desk.now(), self._reveals.values.get(entry.name))

    def action_reveal(self) -> None:
        if self.entry is not None:
            self._reveals.ask(self.entry.name, self.environment)

    def action_environment(self) -> None:
        names = list(self.desk.config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        self.post_message(GoTo(Place(EXPORTS, environment=following), replace=True))
