"""The journal screen: every run with what became of it; Enter replays one, `x` writes it down for other people."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from infraconsole import files, text
from infraconsole.engine.export import as_markdown
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import UNPROVED, Verification, verify
from infraconsole.errors import InfraconsoleError, JournalError
from infraconsole.screens import legends
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.places import RUN, GoTo, Place, ResumeRun
from infraconsole.screens.run import story
from infraconsole.screens.runs import KnownRun, newest_runs, under_way
from infraconsole.screens.steady import steady
from infraconsole.screens.threads import in_thread
from infraconsole.screens.times import clock_time
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, GOOD, PLAIN, STRONG, WARN, Part, lines, said

_COLUMNS = (
    Column("state", "state", 13),
    Column("target", "target", 16),
    Column("title", "run", 16, stretch=True),
    Column("began", "began", 6, rank=1, right=True),
    Column("took", "took", 6, rank=4, right=True),
    Column("who", "by", 12, rank=2),
    Column("todo", "to do", 5, rank=3, right=True),
    Column("id", "id", 8),
)
FIRST = 20
"""Runs read first: what a small terminal shows, so that a long journal opens as fast as a short one."""
PAGE = 100
_AHEAD = 50
"""Older runs are read when so few are left below the cursor."""
_TONES = {"done": GOOD, "failed": BAD, "refused": WARN, "interrupted": WARN, "runs": STRONG, "stopped": WARN}


class JournalScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Journal"
    legend: ClassVar[legends.Legend] = legends.JOURNAL
    about: ClassVar[str] = (
        "Every run, the newest first; older ones are read as the cursor comes to them, and `/` looks through all. "
        "Enter opens one: under way it is shown live, else as its record tells it; `/` there "
        "filters its events. `v` recomputes the chain of all events and says whether anything was changed. `x` writes the "
        "run as Markdown and as JSON beside the journal."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="journal.open", tooltip="The run under the cursor, with its events"),
        Binding("v", "verify", "Verify", id="journal.verify", tooltip="Prove that no event was changed or is missing"),
        Binding("x", "export", "Export", id="journal.export", tooltip="Write this run as Markdown and JSON"),
        Binding("R", "resume", "Resume", key_display="R", id="journal.resume", tooltip="Resume this run"),
        Binding("d", "describe", "Describe", id="journal.describe", tooltip="How this run ended, or where it stands"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._runs: dict[str, KnownRun] = {}
        self._follow_ups: Mapping[str, int] = {}
        self._total = 0
        self._under_way = 0
        self._limit = FIRST
        self._words = ""
        self._seen: tuple[object, ...] = ()
        self._says: list[Part] = []

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Rows(_COLUMNS, reading="Reading the journal…", id="run-list")

    def on_mount(self) -> None:
        self.set_focus(self.rows)
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#run-list", Rows)

    @property
    def run(self) -> KnownRun | None:
        return self._runs.get(self.rows.current_key)

    # Reading

    def first_look(self) -> None:
        self._draw()

    def tick(self) -> None:
        self.load()

    def action_refresh(self) -> None:
        self._seen = ()
        self.load()

    def load(self) -> None:
        self._read_runs()

    @steady
    async def _read_runs(self) -> None:
        journal, limit, words = self.desk.journal, self._limit, self._words
        try:
            seen = (await in_thread(journal.data_version, "journal"), limit, words)
            if seen != self._seen or self._under_way:
                runs, self._total = await in_thread(lambda: newest_runs(journal, limit, words), "journal")
                self._under_way = len(await in_thread(lambda: under_way(journal), "journal"))
                self._follow_ups = await in_thread(lambda: _still_to_do(journal), "journal")
                self._runs = {run.record.run: run for run in runs}
                self._seen = seen
                self.rows.end_reading("No runs yet. R on the board starts one.")
        except JournalError as error:
            self._says = [(str(error), BAD)]
            self.rows.end_reading("The journal could not be read.")
        self._draw()
        self._read_on()

    def _read_on(self) -> None:
        """The next page, where the cursor comes near to the end of the one before, and that has been read."""
        is_near = self.rows.cursor + _AHEAD >= len(self.rows.shown)
        if is_near and not self._words and self._limit <= len(self._runs) and self._limit < self._total:
            self._limit = PAGE * (self._limit // PAGE + 1)
            self.load()

    # Drawing

    def _draw(self) -> None:
        if not self.is_usable:
            return
        now = self.desk.now()
        trouble = next((run.trouble for run in self._runs.values() if run.trouble), "")
        parts: list[Part] = [
            (f"{self._total:,} run{'s' * (self._total != 1)}", STRONG),
            f", {self._under_way} under way  ",
        ]
        if not self._seen:
            parts = [("The journal", STRONG), "  "]
        if trouble:
            parts.append((f"{trouble}  ", BAD))
        self.query_one("#headline", Says).say(said(*parts, (str(self.desk.journal.path), DIM), "\n", *self._says))
        self.rows.set_rows(_rows(self._runs.values(), self._follow_ups, now))
        self.refresh_bindings()

    # Keys

    def list_widget(self) -> Widget:
        return self.rows

    def narrow(self, words: str) -> None:
        self.rows.set_filter(words)
        self._words = words
        if len(self._runs) < self._total:
            self.load()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("open", "export", "describe") and self.run is None:
            return None
        if action == "resume" and not (self.run and self.run.resumable):
            return None
        if action == "resume" and self.run and self.desk.config.read_only and not self.run.record.dry_run:
            return None
        return super().check_action(action, parameters)

    @on(Rows.Moved)
    def _moved(self) -> None:
        run = self.run
        self._read_on()
        if run is not None and run.record.target.environment in self.desk.config.environments:
            self.look_at(run.record.target.service, run.record.target.environment)
        self.refresh_bindings()

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        if self.run is not None:
            self.post_message(GoTo(Place(RUN, run=self.run.record.run)))

    def action_resume(self) -> None:
        if self.run is not None:
            self.post_message(ResumeRun(self.run.record.run))

    @work(exclusive=True, group="describe", exit_on_error=False)
    async def action_describe(self) -> None:
        run, journal = self.run, self.desk.journal
        if run is None:
            return
        try:
            record = await in_thread(lambda: record_of(run.record.run, journal.events(run.record.run)), "journal")
        except JournalError as error:
            self.show_error("Journal", error)
            return
        if record.finished:
            offered = replace(story.offers(record, self.desk.config), rolls_back=False)  # here R resumes
            self.show_detail(record.title, story.ending(record, offered, self.desk.now()))
        else:
            state, tone = story.state_of(record, run.executor)
            now = self.desk.now()
            stories = (story.step_story(step, True, now) for step in record.steps)
            self.show_detail(record.title, lines([said((state, tone)), *stories]))

    def copied(self) -> tuple[str, str] | None:
        run = self.run
        return (f"run {run.record.run}", run.record.run) if run else None

    @steady
    async def action_verify(self) -> None:
        self._says = [("Checking every event…", DIM)]
        self._draw()
        folder = self.desk.journal.folder
        try:
            self._says = list(_verdict(await in_thread(lambda: _verified(folder), "verify"), self.desk.now()))
        except JournalError as error:
            self._says = [(str(error), BAD)]
        self._draw()

    @work(exclusive=True, group="export", exit_on_error=False)
    async def action_export(self) -> None:
        run, journal = self.run, self.desk.journal
        if run is None:
            return
        try:
            written = await in_thread(lambda: _exported(journal, run.record.run), "export")
        except InfraconsoleError as error:
            self.show_error("Export", error)
            return
        self.notify("Written:\n" + "\n".join(text.line(str(file)) for file in written), timeout=15, markup=False)


def _rows(runs: Iterable[KnownRun], follow_ups: Mapping[str, int], now: datetime) -> Iterable[Row]:
    for run in runs:
        record = run.record
        todo = follow_ups.get(record.run, 0)
        seconds = ((record.ended_at or now) - record.created_at).total_seconds() if record.created_at else 0.0
        took = text.duration(seconds) if record.ended_at or run.under_way else "-"
        dry = " (dry run)" if record.dry_run else ""
        yield Row(
            record.run,
            {
                "state": Cell(run.state, _TONES.get(run.state, WARN)),
                "target": Cell(record.target.name, STRONG),
                "title": Cell(f"{record.title.removesuffix(f': {record.target.name}') or record.runbook}{dry}"),
                "began": Cell(text.ago(record.created_at, now), DIM),
                "took": Cell(took, DIM),
                "who": Cell(record.operator),
                "todo": Cell(str(todo) if todo else "", WARN if todo else PLAIN),
                "id": Cell(record.run, DIM),
            },
            more=f"{record.target} {record.runbook}",
        )


def _still_to_do(journal: Journal) -> Mapping[str, int]:
    """By run, how much is still to do after it."""
    return Counter(event.run for event in journal.open_follow_ups())


def _verified(folder: Path) -> Verification:
    """On a connection of its own, so that nobody waits for it. An index that is wrong is made again."""
    found = verify(folder)
    if any(problem.derived for problem in found.problems):
        with Journal(folder, create=False) as journal:
            journal.remake_index()
    return found


def _verdict(found: Verification, now: datetime) -> Iterable[Part]:
    at = clock_time(now, now)
    if not found.problems:
        yield (f"✓ Verified at {at}: {found.events:,} events, none changed, none missing.", GOOD)
        archived = sum(archive.events for archive in found.archives)
        yield (f" {archived:,} of them are archived." if archived else "", GOOD)
        yield (f" Head: event {found.events}, {found.head}. {UNPROVED}", DIM)
        yield (" ".join(("", *found.beyond)), WARN)
        return
    yield (f"✗ Verified at {at}: the journal is not what was written. ", BAD)
    yield "; ".join(problem.what for problem in found.problems[:3])


def _exported(journal: Journal, run: str) -> tuple[Path, Path]:
    """Writes both files, readable only by their owner, beside the journal. Raises InfraconsoleError."""
    events = journal.events(run)
    folder = journal.folder / "exports"
    document = json.dumps([event.as_json() for event in events], indent=2, ensure_ascii=False)
    written = (
        (folder / f"{run}.md", as_markdown(record_of(run, events), events)),
        (folder / f"{run}.json", document + "\n"),
    )
    for path, content in written:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            # What is no character at all becomes the escape that JSON has for it.
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(content)
        except OSError as error:
            raise files.unwritten(error, path, InfraconsoleError) from error
    return written[0][0], written[1][0]
