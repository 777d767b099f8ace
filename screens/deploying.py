"""What a deploy shall bring: the image and, if not everything, the addresses. Nothing is sent from here; the run asks first.

Also, for the screens that offer runs: whether the console has the runbook at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from infraconsole import clock, text
from infraconsole.aws.ecr import TAG, PushedTag, is_tag
from infraconsole.errors import InfraconsoleError
from infraconsole.screens.keys import field_keys
from infraconsole.screens.places import StartRun
from infraconsole.screens.settling import Dialog
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.words import BAD, DIM, STRONG, WARN, said

if TYPE_CHECKING:
    from infraconsole.aws.ecs import Service
    from infraconsole.screens.console_screen import ConsoleScreen

_TAGS, _TAGS_IN_VIEW = 20, 5
_TAG_COLUMNS = (Column("tag", "tag", 20, stretch=True), Column("age", "pushed", 24))

_known: set[str] = set()
"""The names of all runbooks, once they were learned: the same for all screens of a process."""


def offers(runbook: str) -> bool:
    """Whether there is such a runbook. Before the catalogue was looked at, it counts as there: its start says if not."""
    return not _known or runbook in _known


def learn_runbooks(screen: ConsoleScreen) -> None:
    """Look at the catalogue in a thread, once per process: it imports every runbook."""
    if not _known:
        screen.run_worker(_learn(screen), group="catalogue", exit_on_error=False)


async def _learn(screen: ConsoleScreen) -> None:
    def names() -> set[str]:
        from infraconsole.engine.catalogue import runbooks

        return {runbook.name for runbook in runbooks()}

    _known.update(await in_thread(names, "catalogue"))
    screen.refresh_bindings()


def ask(screen: ConsoleScreen, service: str, environment: str, *, runs: str = "") -> None:
    """Open the dialog over `screen`, and start the run that it asks for. `runs` is the tag that runs now, if known."""

    def begin(wish: dict[str, str] | None) -> None:
        if wish is not None:
            screen.post_message(StartRun("deploy", service, environment, wish))

    if screen.band.foreign:
        screen.notify(screen.band.foreign, title="Not done", severity="error", timeout=20, markup=False)
        return
    overview, config = screen.desk.overview, screen.desk.config
    is_module = config.is_module(service)
    is_shared = is_module and not config.has_environments(service)
    guarding = config.target(service, environment).environment
    account = screen.band.account
    dialog = DeployScreen(
        f"{service}, which all environments share" if is_shared else f"{service} to {environment}",
        has_image=not is_module,
        where=" · ".join(part for part in (account.name if account else "", screen.desk.region_of(guarding)) if part),
        is_prod=screen.desk.is_prod(guarding),
        runs=runs,
        tag_in_code=partial(overview.image_tag_in_code, service, environment),
        newest_tags=partial(overview.newest_tags, service, environment, _TAGS),
    )
    screen.app.push_screen(dialog, begin)


def refuses_rollback(screen: ConsoleScreen, service: Service | None) -> bool:
    """Whether it is not ECS that deploys the service; then `screen` says what to use. The run would refuse it as well."""
    if service is None or service.deploying.by_ecs:
        return False
    from infraconsole.checks.controllers import instead, refusal
    from infraconsole.errors import OtherTool

    screen.show_error("Roll back", OtherTool(refusal(service), cause="No run was started.", mend=instead(service)))
    return True


class DeployScreen(Dialog[dict[str, str] | None]):
    """Gives the inputs of the runbook deploy, without those left empty, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="deploy.close", tooltip="Deploy nothing"),
        Binding("down", "tag(1)", "Tag", show=False, id="deploy.tag", tooltip="Take a tag of ECR", priority=True),
        Binding("up", "tag(-1)", "Tag", show=False, id="deploy.tag-before", tooltip="Take a newer tag", priority=True),
        *field_keys("deploy", "The other field"),
    ]

    def __init__(
        self,
        target: str,
        *,
        has_image: bool,
        where: str,
        is_prod: bool,
        runs: str,
        tag_in_code: Callable[[], str],
        newest_tags: Callable[[], Sequence[PushedTag]] = tuple,
    ) -> None:
        super().__init__()
        self._target = target
        self._has_image = has_image
        self._where = where
        self._is_prod = is_prod
        self._runs = runs
        self._tag_in_code = tag_in_code
        self._newest_tags = newest_tags

    def compose(self) -> ComposeResult:
        title: list[tuple[str, str]] = [(f"Deploy {self._target}", WARN if self._is_prod else STRONG)]
        title += [(f"  {self._where}", DIM)] if self._where else []
        with Vertical(classes="dialog"):
            yield Static(said(*title), classes="dialog-title")
            if self._has_image:
                now = f"{self._runs} runs now. " if self._runs else ""
                yield Static(said(f"{now}Image tag; empty: the one in the tfvars (↑↓ picks one from ECR):"))
                yield Input(placeholder="from the tfvars", id="deploy-image", select_on_focus=False, compact=True)
                yield Rows(_TAG_COLUMNS, header=False, reading="Reading the newest tags in ECR…", id="deploy-tags")
            yield Static(said("Target addresses, comma-separated; empty: everything:"))
            yield Input(placeholder="everything", id="deploy-targets", compact=True)
            yield Static("", id="deploy-says")
            yield Static(
                said(
                    "Enter starts the run: it checks, plans and shows the plan. ",
                    ("Nothing changes before its gates are answered.", STRONG),
                    (" Esc deploys nothing.", DIM),
                )
            )

    def on_mount(self) -> None:
        self.set_focus(self.query(Input).first())
        if self._has_image:
            tags = self.query_one("#deploy-tags", Rows)
            tags.can_focus = False
            tags.styles.height = 1
            self._learn_tag()
            self._learn_tags()

    @work(exclusive=True, exit_on_error=False)
    async def _learn_tag(self) -> None:
        tag = await in_thread(self._tag_in_code, "tfvars")
        if tag:
            self.query_one("#deploy-image", Input).placeholder = f"{tag}, from the tfvars"

    @work(exclusive=True, group="tags", exit_on_error=False)
    async def _learn_tags(self) -> None:
        try:
            found = await in_thread(self._newest_tags, "tags")
        except InfraconsoleError as error:
            self.query_one("#deploy-tags", Rows).end_reading(f"The tags in ECR could not be read: {error.title}")
            return
        tags, now = self.query_one("#deploy-tags", Rows), clock.now()
        tags.end_reading("Its image is in no ECR repository of this region: its tags are not listed.")
        rows = (Row(each.tag, {"tag": Cell(each.tag), "age": Cell(_age(each, now, self._runs), DIM)}) for each in found)
        tags.set_rows(rows)
        tags.styles.height = max(1, min(len(found), _TAGS_IN_VIEW))

    def action_tag(self, lines: int) -> None:
        """The first press takes the one under the cursor, each further one the next."""
        tags, field = self.query_one("#deploy-tags", Rows), self.query_one("#deploy-image", Input)
        if tags.current_key and field.value == tags.current_key:
            tags.cursor += lines
        if tags.current_key:
            field.value = tags.current_key
            field.cursor_position = len(field.value)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "tag" or (self.focused is not None and self.focused.id == "deploy-image")

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.stop()
        self.query_one("#deploy-image", Input).value = event.key

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        wish = self._wish()
        tag = wish.get("image_tag", "")
        if tag and not is_tag(tag):
            self.query_one("#deploy-says", Static).update(said((TAG, BAD)))
            self.set_focus(self.query_one("#deploy-image", Input))
            return
        self.dismiss(dict(wish))

    def _wish(self) -> Mapping[str, str]:
        given = {"targets": self.query_one("#deploy-targets", Input).value.strip().strip(",")}
        if self._has_image:
            given["image_tag"] = self.query_one("#deploy-image", Input).value.strip()
        return {name: value for name, value in given.items() if value}

    def action_close(self) -> None:
        self.dismiss(None)


def _age(tag: PushedTag, now: datetime, runs: str) -> str:
    pushed = f"pushed {text.ago(tag.pushed_at, now)} ago" if tag.pushed_at else ""
    return f"{pushed}, runs now" if tag.tag == runs else pushed
