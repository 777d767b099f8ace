"""One export: what it says, who writes it and who reads it in the code, what a change would do, and how it came to be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from infraconsole import text
from infraconsole.aws.ssm import SECURE, Parameter, ParameterVersion
from infraconsole.checks.findings import Finding
from infraconsole.checks.row_facts import Fact
from infraconsole.checks.trace import impact
from infraconsole.exports.survey import Expected, Survey
from infraconsole.screens import deploying
from infraconsole.screens.desk import Desk
from infraconsole.screens.exports import cells, code
from infraconsole.screens.exports.cells import Entry
from infraconsole.screens.exports.reveal import Reveals
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.paned import PanedScreen
from infraconsole.screens.places import EXPORT, GoTo, Place, StartRun
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import DIM, STRONG, lines, said, whole_error
from infraconsole.terraform.exports import Trace

_LEAST_ROWS, _FRAME, _AROUND = 4, 3, 2
"""Of the code beside the history: lines at least, what border and header take, and what stands above the panes."""


class ExportScreen(PanedScreen):
    name_in_help: ClassVar[str] = "Export"
    panes: ClassVar[tuple[str, ...]] = ("about", "code", "history")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {"right": ("code", "history")}
    about: ClassVar[str] = (
        "One export. `code` lists who writes it and who reads it, with file and line, and the resources that would see a "
        "change; the ones that Terraform would replace come first. In `history`, `d` compares the version under the cursor "
        "with the newest one, `space` marks another version to compare with. `D` plans the module that writes it; `W` writes "
        "the export by hand, for a night on which that cannot be applied: typed and recorded. In 80 columns one pane is "
        "shown at a time."
    )
    AUTO_FOCUS = "#about"
    BINDINGS: ClassVar[list[BindingType]] = [
        *pane_keys("export", "About, code, history"),
        Binding("d", "describe", "Diff", id="export.describe", tooltip="History: what differs; else the whole line"),
        Binding("space", "mark", "Mark", id="export.mark", tooltip="History: compare other versions with this one"),
        Binding("W", "write", "Write by hand", key_display="W", id="export.write",
                tooltip="Write this export by hand: asks before anything changes"),
        Binding("D", "deploy", "Deploy module", key_display="D", id="export.deploy", show=True,
                tooltip="Plan the module that writes this export; asks before anything changes"),
        Binding("u", "reveal", "Unmask", id="export.reveal", show=False,
                tooltip="Show a SecureString for half a minute; recorded in the journal"),
        Binding("c", "copy_name", "Copy name", id="export.copy-name", show=False, tooltip="Copy the export's full name"),
        Binding("a", "copy_arn", "Copy ARN", id="export.copy-arn", show=False, tooltip="Copy the export's ARN"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, environment: str, name: str) -> None:
        super().__init__(desk)
        self.environment = environment
        self.export_name = name
        self._entry: Fact[Entry] = Fact()
        self._history: Fact[tuple[ParameterVersion, ...]] = Fact()
        self._trace: Trace | None = None
        self._marked = 0
        self._code_height = ""
        self._survey: Survey | None = None
        self._loading = False
        self._reveals = Reveals(self, self._draw)

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Says(id="tabs")
        with Horizontal(id="panes"):
            with VerticalScroll(id="about", classes="pane"):
                yield Says(said(("Reading…", DIM)), hangs=True, id="about-text")
            with Vertical(classes="column", id="right"):
                yield Rows(code.CODE_COLUMNS, reading="Reading the code…", id="code", classes="pane")
                yield Rows(code.HISTORY_COLUMNS, id="history", classes="pane")

    def on_mount(self) -> None:
        self.look_at(self.export_name, self.environment)
        self.lay_out()
        self.set_focus(self.query_one("#about"))
        self.load()

    # Reading

    def load(self) -> None:
        if not self._loading:
            self._loading = True
            self._read_all()

    @work(group="export", exit_on_error=False)
    async def _read_all(self) -> None:
        try:
            if self._survey is None:
                self._survey = await in_thread(self._new_survey, "survey")
            await asyncio.gather(self._read_history(self._survey), self._read_entry(self._survey))
        finally:
            self._loading = False

    def _new_survey(self) -> Survey:
        return Survey(self.desk.config, self.environment, self.desk.overview.access(self.environment))

    async def _read_history(self, survey: Survey) -> None:
        try:
            history = await self.read(lambda: survey.history(self.export_name))
            self._history = self._history.got(history, self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown where the thing would stand
            self._history = self._history.failed(error)
        self._draw()

    async def _read_entry(self, survey: Survey) -> None:
        try:
            trace = asyncio.ensure_future(in_thread(survey.trace, "trace"))
            # The neighbours are read too: a value that two of them share is a finding.
            parameters = await self.read(survey.whole)
            known = {parameter.name: parameter for parameter in parameters}
            self._show(known, {}, {})
            self._trace = await trace
            checked = await self.read(lambda: survey.check(parameters, self._trace))
            self._show(known, checked.by_subject, checked.expected)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._entry = self._entry.failed(error)
        self._draw()

    def _show(
        self,
        known: Mapping[str, Parameter],
        findings: Mapping[str, tuple[Finding, ...]],
        expected: Mapping[str, Expected],
    ) -> None:
        name = self.export_name
        entry = cells.entry(name, known.get(name), findings.get(name, ()), self._trace, expected.get(name))
        self._entry = self._entry.got(entry, self.desk.now())
        self._draw()

    # Drawing

    def tick(self) -> None:
        self._draw_headline()

    def _draw(self) -> None:
        if not self.is_usable:
            return
        now = self.desk.now()
        revealed = self._reveals.values.get(self.export_name)
        entry = self._entry.value
        seen = impact(self._trace, self.export_name) if self._trace else ()
        if entry is not None:
            about = cells.story(entry, now, revealed, seen)
        elif self._entry.error is not None:
            about = lines(whole_error(self._entry.error))
        else:
            about = said(("Reading…", DIM))
        self.query_one("#about-text", Says).say(about)
        if self._trace is not None:
            table = self.query_one("#code", Rows)
            not_read = self._trace.not_read()
            table.end_reading(
                "Nothing in the Terraform code that was read names it."
                + (f" Not read: {', '.join(not_read[:3])}{', …' if len(not_read) > 3 else ''}." if not_read else "")
            )
            table.set_rows(code.code_rows(entry, seen))
        history = self.query_one("#history", Rows)
        if self._history.error is not None:
            history.end_reading(str(getattr(self._history.error, "title", self._history.error)))
        elif self._history.value is not None:
            history.end_reading("The parameter store keeps no version of it.")
        history.set_rows(code.history_rows(self._history.value or (), self._marked, now))
        self._draw_headline()
        self._give_room()
        self.draw_titles()
        self.refresh_bindings()

    def _draw_headline(self) -> None:
        entry = self._entry.value
        age = f"  read {text.ago(self._entry.read_at, self.desk.now())} ago" if self._entry.read_at else ""
        if entry is None:
            headline = said((self.export_name, STRONG), (age, DIM))
        else:
            headline = said((f"{code.verdict(entry)} {self.export_name}", entry.tone), (age, DIM))
        self.query_one("#headline", Says).say(headline)

    def lay_out(self) -> None:
        super().lay_out()
        if self.is_usable:
            self._give_room()

    def _give_room(self) -> None:
        """The code takes the lines that it needs, up to half of the column; the history, which grows, the rest."""
        table = self.query_one("#code", Rows)
        most = max(_LEAST_ROWS, self.size.height // 2 - _AROUND)
        height = f"{min(max(1, table.total) + _FRAME, most)}" if self.is_wide else "1fr"
        if self._code_height != height:
            self._code_height = height
            table.styles.height = height

    def pane_titles(self) -> Mapping[str, str]:
        found, history = self._trace is not None, self._history.value
        return {
            "about": "about",
            "code": f"code {len(self.query_one('#code', Rows).shown)}" if found else "code",
            "history": f"history {len(history)}" if history is not None else "history",
        }

    # Keys

    @property
    def _module(self) -> str:
        """The module whose deploy would write the export; "" where there is none, or nothing may be changed."""
        entry = self._entry.value
        if entry is None or self.desk.config.read_only or entry.owner not in self.desk.config.modules():
            return ""
        return entry.owner

    def action_deploy(self) -> None:
        if self._module:
            deploying.ask(self, self._module, self.environment)

    def narrow(self, words: str) -> None:
        pane = self.pane if self.pane != "about" else "code"
        self.query_one(f"#{pane}", Rows).set_filter(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        entry = self._entry.value
        if action == "mark" and self.pane != "history":
            return None
        secret = bool(entry and entry.parameter and entry.parameter.type == SECURE)
        if action == "reveal" and not secret:
            return None
        if action == "write" and (self.desk.config.read_only or entry is None or secret):
            return None
        if action == "deploy" and not self._module:
            return None
        if action == "copy_arn" and not (entry and entry.parameter):
            return None
        return super().check_action(action, parameters)

    @property
    def _version(self) -> ParameterVersion | None:
        key = self.query_one("#history", Rows).current_key
        return next((version for version in self._history.value or () if str(version.version) == key), None)

    def copied(self) -> tuple[str, str] | None:
        if self.pane == "code":
            key = self.query_one("#code", Rows).current_key
            return ("the place in the code", code.place_of(key)) if key else None
        if self.pane == "history":
            version = self._version
            if version is None or version.value is None:
                return None
            return f"the value of version {version.version}", version.value
        parameter = self._entry.value.parameter if self._entry.value else None
        value = self._reveals.values.get(self.export_name) or (parameter.value if parameter else None)
        return (f"the value of {self.export_name}", value) if value is not None else None

    def action_copy_name(self) -> None:
        self.put_into_clipboard("name", self.export_name)

    def action_copy_arn(self) -> None:
        entry = self._entry.value
        if entry is not None and entry.parameter is not None:
            self.put_into_clipboard("ARN", entry.parameter.arn)

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.action_describe()

    def action_mark(self) -> None:
        version = self._version
        if version is not None:
            self._marked = 0 if self._marked == version.version else version.version
            self._draw()

    def action_describe(self) -> None:
        if self.pane == "history":
            self._describe_version()
        elif self.pane == "code":
            row = self.query_one("#code", Rows).current
            if row is not None:
                self.show_detail(code.place_of(row.key), code.line_story(row))
        elif self._entry.value is not None:
            opened = self._entry.value
            self.show_detail(self.export_name, lambda: self._story(self._entry.value or opened))

    def _story(self, entry: Entry) -> Content:
        return cells.story(entry, self.desk.now(), self._reveals.values.get(self.export_name))

    def _describe_version(self) -> None:
        history, version = self._history.value or (), self._version
        if version is None:
            return
        newest = history[0]
        other = next((known for known in history if known.version == self._marked), newest)
        if other.version == version.version:
            self.show_detail(f"Version {version.version}", code.version_story(version, self.desk.now()))
            return
        older, newer = sorted((version, other), key=lambda known: known.version)
        self.show_detail(
            f"From version {older.version} to {newer.version}", code.version_diff(older, newer, self.desk.now())
        )

    def action_reveal(self) -> None:
        self._reveals.ask(self.export_name, self.environment)

    def action_write(self) -> None:
        from infraconsole.screens.exports.write import WriteScreen

        entry = self._entry.value
        if entry is None:
            return

        def written(wish: dict[str, str] | None) -> None:
            if wish is not None:
                service = self._module or next(iter(self.desk.config.services), "")
                self.post_message(StartRun("export-put", service, self.environment, wish))

        self.app.push_screen(WriteScreen(entry), written)

    def action_environment(self) -> None:
        names = list(self.desk.config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        self.post_message(GoTo(Place(EXPORT, environment=following, detail=self.export_name), replace=True))
