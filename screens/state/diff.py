"""Two versions of a state beside each other: by address, with the attributes of what the cursor is on.

The states are compared in a thread and let go; what is kept is the difference, masked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from infraconsole.aws.s3 import StoredObject
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.paned import PanedScreen
from infraconsole.screens.plan.attributes import WHOLE_CHARACTERS
from infraconsole.screens.state import differences
from infraconsole.screens.state.differences import Subject
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, MARKS, lines, said, whole_error
from infraconsole.terraform.state_diff import StateComparison, compare

_REST_SECONDS = 0.03


class StateDiffScreen(PanedScreen):
    name_in_help: ClassVar[str] = "Compare states"
    panes: ClassVar[tuple[str, ...]] = ("changes", "attributes")
    about: ClassVar[str] = (
        "What differs from the older version of the state to the newer one: - gone, → at another address, + added, ~ changed. "
        "What is equal is only counted. `/` narrows by words, also by `kind:removed`, `kind:moved`. Sensitive values are masked. "
        "This compares what Terraform wrote down, not what runs in AWS."
    )
    AUTO_FOCUS = "#changes"
    BINDINGS: ClassVar[list[BindingType]] = [
        *pane_keys("state-diff", "Between the resources and the attributes"),
        Binding("d", "describe", "Whole", id="state-diff.describe", tooltip="This difference with its values whole"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, service: str, environment: str, older: StoredObject, newer: StoredObject) -> None:
        super().__init__(desk)
        self.service_name = service
        self.environment = environment
        self.older = older
        self.newer = newer
        self._comparison: StateComparison | None = None
        self._subjects: dict[str, Subject] = {}
        self._error: BaseException | None = None
        self._reading = False

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Says(id="tabs")
        with Horizontal(id="panes"):
            yield Rows(differences.COLUMNS, header=False, reading="Comparing…", id="changes", classes="pane")
            with VerticalScroll(id="attributes", classes="pane"):
                yield Says(id="attributes-text")

    def on_mount(self) -> None:
        self.look_at(self.service_name, self.environment)
        self.lay_out()
        self._draw_headline()
        self.set_focus(self.rows)
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#changes", Rows)

    @property
    def subject(self) -> Subject | None:
        return self._subjects.get(self.rows.current_key)

    # Reading

    def load(self) -> None:
        if self._comparison is None and not self._reading:  # versions never change
            self._reading = True
            self._read_all()

    @work(group="states", exit_on_error=False)
    async def _read_all(self) -> None:
        overview, service, environment = self.desk.overview, self.service_name, self.environment

        def bytes_of(version: StoredObject) -> bytes:
            return overview.state_bytes(service, environment, version.version_id)

        def differing(before: bytes, after: bytes) -> tuple[StateComparison, dict[str, Subject], tuple[Row, ...]]:
            comparison = compare(before, after, before_name="The older version", after_name="The newer version")
            found = differences.subjects(comparison)
            return comparison, found, tuple(differences.rows(found))

        try:
            before, after = await asyncio.gather(
                self.read(lambda: bytes_of(self.older)), self.read(lambda: bytes_of(self.newer))
            )
            self._comparison, self._subjects, rows = await in_thread(lambda: differing(before, after), "compare")
            self._error = None
            self.rows.end_reading("The two versions hold the same resources with the same attributes.")
            self.rows.set_rows(rows)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: in the headline, whole on `d`
            self._error = error
            self.rows.end_reading(str(getattr(error, "title", error)))
        finally:
            self._reading = False
        self._draw_headline()
        self.draw_titles()
        self._draw_attributes()
        self.refresh_bindings()

    # Drawing

    def tick(self) -> None:
        self._draw_headline()

    def _draw_headline(self) -> None:
        if self._error is not None:
            words = str(getattr(self._error, "title", self._error))
            content = said((f"{MARKS[BAD]} {words}", BAD), ("  d shows it whole, r tries again.", DIM))
        elif self._comparison is None:
            content = said(("Reading and comparing two versions of the state…", DIM))
        else:
            content = differences.headline(self._comparison, self.older, self.newer, self.desk.now())
        self.query_one("#headline", Says).say(content)

    @work(exclusive=True, group="attributes", exit_on_error=False)
    async def _draw_attributes(self) -> None:
        """In a thread: the attributes of one resource may be long to compare."""
        subject = self.subject
        says = self.query_one("#attributes-text", Says)
        if subject is None:
            says.say(Content())
            return
        await asyncio.sleep(_REST_SECONDS)
        pane = self.query_one("#attributes")
        width = (pane.scrollable_content_region.width or self.size.width) - 1
        try:
            content = await in_thread(lambda: differences.story(subject, width), "attributes")
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown where the attributes would stand
            content = lines(whole_error(error))
        says.say(content)
        pane.scroll_home(animate=False)

    def pane_titles(self) -> Mapping[str, str]:
        count = f" {len(self._subjects):,}" if self._comparison is not None else ""
        return {"changes": f"differences{count}", "attributes": "attributes"}

    def on_resize(self) -> None:
        super().on_resize()
        if self.is_usable:
            self._draw_attributes()

    # Keys

    @on(Rows.Moved, "#changes")
    def _moved(self) -> None:
        self._draw_attributes()
        self.refresh_bindings()

    @on(Rows.Chosen, "#changes")
    def _chosen(self) -> None:
        self.action_pane(1)

    def list_widget(self) -> Widget:
        self.pane = "changes"
        self.lay_out()
        return self.rows

    def narrow(self, words: str) -> None:
        self.pane = "changes"
        self.lay_out()
        self.rows.set_filter(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "describe" and self.is_usable and self.subject is None and self._error is None:
            return None
        return super().check_action(action, parameters)

    def copied(self) -> tuple[str, str] | None:
        subject = self.subject
        if subject is None:
            return None
        name = getattr(subject, "address", "") or f"output.{getattr(subject, 'name', '')}"
        return name, name

    def action_back(self) -> None:
        """At 80 columns first from the attributes to the list."""
        if self.pane == "attributes" and not self.is_wide:
            self.action_pane(-1)
        else:
            super().action_back()

    @work(exclusive=True, group="describe", exit_on_error=False)
    async def action_describe(self) -> None:
        subject = self.subject
        if self._error is not None:
            self.show_error("The two versions", self._error)
        elif subject is not None:
            content = await in_thread(lambda: differences.story(subject, 150, WHOLE_CHARACTERS), "attributes")
            copied = self.copied()
            self.show_detail(copied[0] if copied else "", content)
