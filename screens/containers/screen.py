"""The containers screen: one service with its tasks and why they stopped, its events, targets, revisions. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from infraconsole import text
from infraconsole.aws.ecs import ServiceDeployment, Task, TaskDefinition, family_and_revision
from infraconsole.aws.elbv2 import TargetHealth
from infraconsole.checks.controllers import refusal
from infraconsole.checks.judgement import judge
from infraconsole.checks.revision_diff import diff_lines
from infraconsole.checks.row_facts import FROM_AWS, GROUPS, BoardRow, Fact, Revisions
from infraconsole.checks.service_judgement import revision_name
from infraconsole.checks.serving import ServiceFacts
from infraconsole.checks.stopped import has_failed
from infraconsole.checks.task_groups import TaskGroup, grouped, has_stopped
from infraconsole.errors import AwsError
from infraconsole.screens import deploying, legends
from infraconsole.screens.board.cells import TONE_OF
from infraconsole.screens.containers import cells, stories
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.paned import PanedScreen
from infraconsole.screens.places import CONTAINERS, LOGS, GoTo, Place, StartRun
from infraconsole.screens.runs import board_runs, left_of
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, STRONG, WARN, lines, said, whole_error

T = TypeVar("T")

_SLOW_EVERY = 6
_DEFINITIONS_AT_ONCE = 8
_FRAME = 3
"""The lines of a pane that are not rows: its border and its header."""
_LEAST_ROWS = 6
_AROUND = 6
"""Lines of the screen above and below the panes."""
_DEPLOYED_SHOWN = 12
"""How many revisions with a deployment are shown, however far back they lie."""


class ContainersScreen(PanedScreen):
    name_in_help: ClassVar[str] = "Containers"
    panes: ClassVar[tuple[str, ...]] = ("tasks", "events", "targets", "revisions")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "below": ("events", "targets", "revisions"),
        "left": ("events",),
        "right": ("targets", "revisions"),
    }
    legend: ClassVar[legends.Legend] = legends.CONTAINERS
    about: ClassVar[str] = (
        "One ECS service: its deployments, its tasks, what ECS says, target health, and the revisions it could run. Tasks that "
        "stopped for the same reason are one row, with a count. What ECS writes is shortened: `d` shows the whole text of what "
        "the cursor is on. `d` on a revision shows what differs from the one that runs now. `R` starts a rollback, to the "
        "revision under the cursor where the cursor is in the revisions; nothing is changed before its gates are answered. "
        "In 80 columns one pane is shown at a time, the events below the tasks: Tab goes to the next. "
        "It is read again every 5 s while it is in view."
    )
    refresh_seconds: ClassVar[float] = 5
    BINDINGS: ClassVar[list[BindingType]] = [
        *pane_keys("containers", "Tasks, events, targets, revisions"),
        Binding("R", "roll_back", "Roll back", key_display="R", id="containers.roll-back",
                tooltip="Roll back, to the revision under the cursor; asks before anything changes"),
        Binding("D", "deploy", "Deploy", key_display="D", id="containers.deploy",
                tooltip="Deploy this service: plans, and asks before anything changes"),
        Binding("d", "describe", "Whole, diff", id="containers.describe",
                tooltip="All of what the cursor is on; of a revision, what differs from the one that runs"),
        Binding("w", "whole", "Whole revision", show=False, id="containers.whole", tooltip="All of a revision's definition"),
        Binding("l", "logs", "Logs", id="containers.logs", tooltip="Logs of the task under the cursor, else the service's"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, service: str, environment: str) -> None:
        super().__init__(desk)
        self.service_name = service
        self.environment = environment
        self._service: Fact[ServiceFacts] = Fact()
        self._tasks: Fact[tuple[Task, ...]] = Fact()
        self._targets: Fact[tuple[TargetHealth, ...]] = Fact()
        self._references: Fact[Revisions] = Fact()
        self._history: Fact[tuple[ServiceDeployment, ...]] = Fact()
        self._around = BoardRow(service, environment)
        """What is known of it besides: the same judgement stands on top as on the board."""
        self._definitions: dict[str, TaskDefinition] = {}
        self._loads = 0
        self._loading = False
        self._heights: dict[str, str] = {}
        """Of the panes that take what they need, as they were set last."""
        self._shows_events_too = False

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Says(id="deployments")
        yield Says(id="tabs")
        with Vertical(id="panes"):
            yield Rows(cells.TASK_COLUMNS, id="tasks", classes="pane")
            with Horizontal(id="below"):
                with Vertical(classes="column", id="left"):
                    yield Rows(cells.EVENT_COLUMNS, id="events", classes="pane")
                with Vertical(classes="column", id="right"):
                    yield Rows(cells.TARGET_COLUMNS, id="targets", classes="pane")
                    yield Rows(cells.REVISION_COLUMNS, id="revisions", classes="pane")

    def on_mount(self) -> None:
        self.look_at(self.service_name, self.environment)
        self.lay_out()
        self.set_focus(self.query_one("#tasks"))
        deploying.learn_runbooks(self)
        self.load()

    # Reading

    def load(self) -> None:
        if not self._loading:
            self._loading = True
            slow = self._loads % _SLOW_EVERY == 0
            self._loads += 1
            self._read_all(slow)

    def action_refresh(self) -> None:
        self._loads = 0
        self.load()

    @work(group="service", exit_on_error=False)
    async def _read_all(self, slow: bool) -> None:
        try:
            seldom = (self._read_revisions(), self._read_around()) if slow else ()
            await asyncio.gather(self._read_service(), self._read_tasks(), *seldom)
        finally:
            self._loading = False

    async def _read_service(self) -> None:
        overview, name, environment = self.desk.overview, self.service_name, self.environment
        self._service = await self._fact(self._service, lambda: overview.service(name, environment))
        self._draw()
        if self._service.value is not None:
            service = self._service.value.service
            self._targets = await self._fact(self._targets, lambda: overview.targets(service, environment))
            self._draw()

    async def _read_tasks(self) -> None:
        overview, name, environment = self.desk.overview, self.service_name, self.environment
        self._tasks = await self._fact(self._tasks, lambda: overview.tasks(name, environment))
        self._draw()

    async def _read_revisions(self) -> None:
        overview, name, environment = self.desk.overview, self.service_name, self.environment

        async def history() -> None:
            self._history = await self._fact(self._history, lambda: overview.history(name, environment))
            self._draw()

        async def references() -> None:
            self._references = await self._fact(self._references, lambda: overview.revisions(name, environment))
            self._draw()
            await self._read_definitions(self._listed)

        await asyncio.gather(history(), references())
        # Whose family they are of is known only now, whichever came first.
        await self._read_definitions(self._deployed)

    async def _read_around(self) -> None:
        overview, name, environment = self.desk.overview, self.service_name, self.environment
        journal, key = self.desk.journal, self._around.key

        async def read(group: str, call: Callable[[], Any]) -> None:
            fact = await self._fact(getattr(self._around, group), call, is_aws=group in FROM_AWS)
            self._around = self._around.with_fact(group, fact)
            self._draw()

        loaders: dict[str, Callable[[], Any]] = {
            each: partial(getattr(overview, each), name, environment) for each in GROUPS if each != "service"
        }
        loaders["left"] = lambda: left_of(board_runs(journal, [key]), key)
        await asyncio.gather(*(read(group, call) for group, call in loaders.items()))

    async def _read_definitions(self, references: tuple[str, ...]) -> None:
        places = asyncio.Semaphore(_DEFINITIONS_AT_ONCE)
        overview, environment = self.desk.overview, self.environment

        async def read(reference: str) -> None:
            async with places:
                try:
                    self._definitions[reference] = await self.read(lambda: overview.definition(environment, reference))
                except AwsError:
                    return

        unknown = [reference for reference in references if reference not in self._definitions]
        pending: list[Awaitable[None]] = [read(reference) for reference in unknown]
        await asyncio.gather(*pending)
        if unknown:
            self._draw()

    async def _fact(self, fact: Fact[T], call: Callable[[], T], *, is_aws: bool = True) -> Fact[T]:
        try:
            return fact.got(await (self.read(call) if is_aws else in_thread(call)), self.desk.now())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown where the thing would stand
            return fact.failed(error)

    # Drawing

    def tick(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if not self.is_usable:
            return
        now = self.desk.now()
        service = self._service.value.service if self._service.value else None
        current = service.task_definition if service else ""
        self.query_one("#headline", Says).say(self._headline())
        self.query_one("#deployments", Says).say(stories.deployment_lines(self._service, now))
        nothing = "No task runs, and none stopped within the last hour."
        groups = self._groups
        self.query_one("#tasks", Rows).set_columns(cells.task_columns(groups))
        self._fill("tasks", self._tasks, nothing, cells.task_rows(groups, current, now))
        events = cells.event_rows(service.events if service else (), now)
        self._fill("events", self._service, "ECS has written nothing yet.", events)
        if self.pane != "events":  # whoever reads on stays there; else the newest is what to see
            self.query_one("#events", Rows).action_first()
        targets = cells.target_rows(self._targets.value or ())
        self._fill("targets", self._targets, "No target is registered.", targets)
        revisions = cells.revision_rows(
            self._revision_references(), self._definitions, self._history.value or (), self._service.value, now
        )
        self._fill("revisions", self._references, "No revision is registered.", revisions)
        self.draw_titles()
        self._give_room()
        self.refresh_bindings()

    def _fill(self, pane: str, fact: Fact[Any], nothing: str, rows: Iterable[Row]) -> None:
        table = self.query_one(f"#{pane}", Rows)
        if fact.value is not None or fact.error is not None:
            table.end_reading(cells.missing(fact, nothing))
        table.set_rows(rows)

    def lay_out(self) -> None:
        super().lay_out()
        if not self.is_usable:
            return
        self._shows_events_too = not self.is_wide and self.pane == "tasks"
        if self._shows_events_too:
            for held in ("below", "left", "events"):
                self.query_one(f"#{held}").display = True
            self.query_one("#right").display = False
        else:
            self.query_one("#right").display = self.is_wide or self.pane in self.columns["right"]
        self._give_room()

    def _give_room(self) -> None:
        """Tasks and targets take what they need, up to half of what there is; the lists that go on without end take the rest. In
        80 columns the events stand below the tasks."""
        half = max(_LEAST_ROWS, (self.size.height - _AROUND) // 2)
        frame = _FRAME if self.is_wide else 1
        shared = {"tasks": self.is_wide or self._shows_events_too, "targets": self.is_wide}
        for pane, most in (("tasks", half), ("targets", max(_LEAST_ROWS, half // 2))):
            table = self.query_one(f"#{pane}", Rows)
            height = f"{min(max(1, table.total) + frame, most)}" if shared[pane] else "1fr"
            if self._heights.get(pane) != height:
                self._heights[pane] = height
                table.styles.height = height

    @property
    def _groups(self) -> tuple[TaskGroup, ...]:
        return grouped(self._tasks.value or ())

    @property
    def _listed(self) -> tuple[str, ...]:
        return self._references.value.references if self._references.value else ()

    @property
    def _deployed(self) -> tuple[str, ...]:
        """The revisions of the family that had a deployment in the last 90 days, the latest first."""
        family = self._references.value.family if self._references.value else ""
        known = dict.fromkeys(entry.task_definition for entry in self._history.value or ())
        return tuple(each for each in known if family_and_revision(each)[0] == family)[:_DEPLOYED_SHOWN]

    def _revision_references(self) -> list[str]:
        """The revisions that were listed, those with a deployment, and those that serve and are being rolled out, wherever they
        stand."""
        listed = list(dict.fromkeys((*self._listed, *(each for each in self._deployed if each in self._definitions))))
        facts = self._service.value
        for known in (facts.definition, facts.serving) if facts else ():
            if known is not None and known.arn not in listed and self._references.value is not None:
                listed.append(known.arn)
                self._definitions[known.arn] = known
        return sorted(listed, key=lambda reference: family_and_revision(reference)[1], reverse=True)

    def _headline(self) -> Content:
        now = self.desk.now()
        row = self._around.with_fact("service", self._service)
        age = f"  read {text.ago(self._service.read_at, now)} ago" if self._service.read_at else ""
        judgement = judge(row, now)
        if judgement.reasons:
            tone = TONE_OF[judgement.level]
            rest = len(judgement.reasons) - 1
            more = f"  (and {rest} more on the board)" if rest else ""
            return said((f"{MARKS[tone]} {judgement.headline}", tone), (more, DIM), (age, DIM))
        if self._service.value is None:
            return said((f"Reading {self.service_name} {self.environment}…", DIM))
        service = self._service.value.service
        words = (
            f"{MARKS[GOOD]} {service.running} of {service.desired} tasks run {revision_name(service.task_definition)}, "
            f"image {self._service.value.images}."
        )
        by = "" if service.deploying.by_ecs else f" {refusal(service)}"
        return said((words, GOOD), (by, WARN), (age, DIM))

    def pane_titles(self) -> Mapping[str, str]:
        healthy = sum(target.state == "healthy" for target in self._targets.value or ())
        tasks = self._tasks.value or ()
        running = sum(not has_stopped(task) and task.last_status == "RUNNING" for task in tasks)
        failed = sum(has_failed(task) for task in tasks)
        failures = f", {MARKS[BAD]} {failed}" if failed else ""
        return {
            "tasks": f"tasks {running} running{failures}" if self._tasks.value is not None else "tasks",
            "events": "events",
            "targets": f"targets {healthy}/{len(self._targets.value)} healthy" if self._targets.value else "targets",
            "revisions": f"revisions {self._references.value.count}" if self._references.value else "revisions",
        }

    # Keys

    def narrow(self, words: str) -> None:
        self.query_one(f"#{self.pane}", Rows).set_filter(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "roll_back" and (self.desk.config.read_only or self._service.absent):
            return None
        if action == "deploy" and (self.desk.config.read_only or not deploying.offers("deploy")):
            return None
        if action == "whole" and not (self.pane == "revisions" and self._revision):
            return None
        return super().check_action(action, parameters)

    @property
    def _revision(self) -> str:
        return self.query_one("#revisions", Rows).current_key if self.pane == "revisions" else ""

    @property
    def _picked(self) -> TaskGroup | None:
        """The row of tasks under the cursor."""
        key = self.query_one("#tasks", Rows).current_key if self.pane == "tasks" else ""
        return next((group for group in self._groups if group.key == key), None)

    def action_roll_back(self) -> None:
        service = self._service.value.service if self._service.value else None
        if deploying.refuses_rollback(self, service):
            return
        runs = service.task_definition if service else ""
        picked = self._revision if family_and_revision(self._revision) != family_and_revision(runs) else ""
        inputs = {"revision": revision_name(picked)} if picked else {}
        self.post_message(StartRun("ecs-rollback", self.service_name, self.environment, inputs))

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.action_describe()

    def action_describe(self) -> None:
        picked = self._picked
        if self._revision:
            self._describe_revision(self._revision)
        elif picked is not None:
            self.show_detail(f"task {picked.newest.id[-8:]}", stories.group_story(picked, self.desk.now()))
        else:
            story = self._picked_story
            self.show_detail(
                f"{self.service_name} {self.environment}",
                lambda: Content("\n\n").join([*story, self._service_story()]),
            )

    @property
    def _picked_story(self) -> list[Content]:
        """Of the event or target under the cursor; it stands above the service's own."""
        key = self.query_one(f"#{self.pane}", Rows).current_key
        if self.pane == "events" and self._service.value is not None:
            event = cells.keyed(self._service.value.service.events).get(key)
            return [stories.event_story(event, self.desk.now())] if event else []
        if self.pane == "targets":
            return [stories.target_story(each) for each in self._targets.value or () if each.key == key]
        return []

    def _describe_revision(self, reference: str) -> None:
        picked = self._definitions.get(reference)
        current = (self._service.value.serving or self._service.value.definition) if self._service.value else None
        if picked is None:
            self.notify("That revision has not been read yet.", severity="warning", markup=False)
        elif current is None or current.arn == picked.arn:
            self.show_detail(
                f"{picked.name}, which runs now" if current else picked.name,
                stories.definition_story(picked, self.desk.now()),
            )
        else:
            title = f"From {current.name}, which runs now, to {picked.name}"
            self.show_detail(title, stories.diff_story(diff_lines(current, picked)))

    def action_whole(self) -> None:
        picked = self._definitions.get(self._revision)
        if picked is not None:
            self.show_detail(picked.name, stories.definition_story(picked, self.desk.now()))

    def _service_story(self) -> Content:
        parts = [stories.service_story(self._service, self.desk.now())]
        facts: tuple[tuple[str, Fact[Any]], ...] = (
            ("tasks", self._tasks),
            ("targets", self._targets),
            ("revisions", self._references),
            ("deployments of the last 90 days", self._history),
        )
        for name, fact in facts:
            if fact.error is not None:
                parts.append(lines([said((f"{name} could not be read", STRONG)), *whole_error(fact.error)]))
        return Content("\n\n").join(parts)

    def action_deploy(self) -> None:
        runs = self._service.value.serving_image if self._service.value else ""
        deploying.ask(self, self.service_name, self.environment, runs=runs)

    def action_logs(self) -> None:
        picked = self._picked
        place = Place(LOGS, self.service_name, self.environment, detail=picked.newest.id if picked else "")
        self.post_message(GoTo(place))

    def action_environment(self) -> None:
        names = list(self.desk.config.environments)
        following = names[(names.index(self.environment) + 1) % len(names)]
        self.post_message(GoTo(Place(CONTAINERS, self.service_name, following), replace=True))

    def copied(self) -> tuple[str, str] | None:
        if self._revision:
            return f"the ARN of {revision_name(self._revision)}", self._revision
        picked = self._picked
        if picked is not None:
            return f"the ARN of task {picked.newest.id[-8:]}", picked.newest.arn
        if self.pane == "events" and self._picked_story:
            return "the event", self._picked_story[0].plain
        if self.pane == "targets":
            key = self.query_one("#targets", Rows).current_key
            return ("the target", key) if key else None
        if self._service.value is None:
            return None
        return "the service's ARN", self._service.value.service.arn
