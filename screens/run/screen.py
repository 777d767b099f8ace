"""The run screen: steps, what the current one does, its output live, and at the bottom the open gate or the ending.

It is a view of the journal: it can be closed or crash, and the run goes on; opened on a run of last year it shows the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from infraconsole.engine.gate import FAILURE_GATE
from infraconsole.engine.history import RunRecord, StepRecord
from infraconsole.errors import InfraconsoleError, JournalError
from infraconsole.screens import legends
from infraconsole.screens.console_screen import ConsoleScreen
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.places import CONTAINERS, PLAN, Failed, GoTo, LogIn, Place, ResumeRun, StartRun
from infraconsole.screens.plan.files import written_at
from infraconsole.screens.problems import names_login
from infraconsole.screens.quitting import attach_command
from infraconsole.screens.run import story
from infraconsole.screens.run.follow import RunFollower, Update
from infraconsole.screens.run.gate_panel import GatePanel
from infraconsole.screens.run.interrupt import InterruptScreen
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.output import Line, Output
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, lines, said

_AT_A_GATE = "ctrl+o"
"""Opens the plan where `p` is a letter of an answer."""
_PUNCTUATION = ("question_mark", "slash", "colon", "space")
_LEAST_STEPS, _FRAME = 30, 4
"""Columns of the list of steps beside the others, and what its border takes."""
_BUSY_POLL_SECONDS = 0.12
_IDLE_POLL_SECONDS = 0.25
_OVER_POLL_SECONDS = 1.0
_IDLE_AFTER_LOOKS = 80


class RunScreen(ConsoleScreen):
    name_in_help: ClassVar[str] = "Run"
    legend: ClassVar[legends.Legend] = legends.RUN
    about: ClassVar[str] = (
        "One run, live: its steps, what the current one does, and its output. Where a gate is open, nothing goes on until "
        "it is answered; the safe answer has the focus. Leaving this screen or the console does not stop the run. In 80 "
        "columns one pane is shown at a time: Tab goes to the next."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *pane_keys("run", "Steps, output, gate"),
        Binding("i", "interrupt", "Interrupt", id="run.interrupt", tooltip="Ask the run to stop; asks first"),
        Binding("R", "resume", "Resume", key_display="R", id="run.resume", tooltip="Resume the run where it stopped"),
        Binding(
            "R",
            "roll_back",
            "Roll back",
            key_display="R",
            id="run.roll-back",
            tooltip="Roll this run's service back: asks before anything changes",
        ),
        Binding("f", "follow", "Follow", id="run.follow", tooltip="Keep the newest line in view"),
        Binding(
            "d",
            "describe",
            "Describe",
            show=False,
            id="run.describe",
            tooltip="Step, gate or output in view, in full",
        ),
        Binding("p", "plan", "Plan", id="run.plan", tooltip="What this run's plan would do, change by change"),
        Binding(
            _AT_A_GATE,
            "plan",
            "Plan",
            show=False,
            id="run.plan-at-a-gate",
            tooltip="The plan, also where letters belong to an answer",
        ),
        Binding("s", "service", "Service", show=False, id="run.service", tooltip="Containers of this run's service"),
    ]

    def __init__(self, desk: Desk, run: str) -> None:
        super().__init__(desk)
        self.run_id = run
        self._follower = RunFollower(desk.journal, run)
        self._update = Update(RunRecord(run), (), None, 0, True)
        self._known = False
        self._turns = -1
        self._pane = "steps"
        self._first_lines: dict[str, int] = {}
        self._whole: dict[int, str] = {}
        """By the number of an output line that is shortened: all of it."""
        self._chose = False
        """Whether a failure of this run was answered here, so that what was chosen then begins here."""
        self._head = ""
        """The last event of the run and its hash: who notes it down can tell later that the journal was not rewritten."""

    @property
    def record(self) -> RunRecord:
        return self._update.record

    def body(self) -> ComposeResult:
        yield Says(id="run-head")
        with Horizontal(id="panes"):
            with Vertical(id="steps", classes="pane"):
                yield Rows(story.STEP_COLUMNS, header=False, id="step-list")
            with Vertical(id="run-right", classes="pane"):
                with VerticalScroll(id="step-says", can_focus=False):
                    yield Says(hangs=True, id="step-text")
                yield Output(id="output")
        yield GatePanel(self.desk.operator)
        with VerticalScroll(id="ending"):
            yield Says(hangs=True, id="ending-text")

    def on_mount(self) -> None:
        self.query_one("#steps").border_title = "steps"
        self.query_one("#run-right").border_title = "step and output"
        self.query_one("#ending").border_title = "how it ended"
        self._arrange()
        self.set_focus(self.query_one("#step-list"))
        self.tick()
        self._follow()

    # Following the journal

    @work(exclusive=True, group="follow", exit_on_error=False)
    async def _follow(self) -> None:
        quiet = 0
        while True:
            try:
                update = await in_thread(self._follower.look, "follow")
            except JournalError as error:
                self.query_one("#run-head", Says).say(said((str(error), BAD)))
                self.query_one("#output", Output).end_reading("The journal could not be read.")
                await asyncio.sleep(_OVER_POLL_SECONDS)
                continue
            quiet = 0 if update else quiet + 1
            if update is not None:
                self._take_in(update)
            elif not self._known:
                self._known = True
                self._end_reading()
                self.tick()
            if update is not None and update.more:
                await asyncio.sleep(0)
                continue
            pause = _BUSY_POLL_SECONDS if quiet < _IDLE_AFTER_LOOKS else _IDLE_POLL_SECONDS
            await asyncio.sleep(_OVER_POLL_SECONDS if self.record.finished else pause)

    def _take_in(self, update: Update) -> None:
        before, self._update, self._known = self._update, update, True
        output = self.query_one("#output", Output)
        told: list[Line] = []
        for event in update.events:
            if event.kind == "run-finished":
                self._head = f"Journal: event {event.id}, head {event.hash}"
                self._begin_next(str(event.data.get("then", "")))
            if event.step and event.kind == "step-started":
                self._first_lines[event.step] = output.count + len(told)
            shown = story.told_safely(event)
            if event.kind == "output":
                first = output.count + len(told)
                whole = zip(shown, event.data.get("lines", ()), strict=False)
                self._whole |= {first + number: line for number, (each, line) in enumerate(whole) if each[1] != line}
            told += shown
        output.add(told)
        if not update.more:
            self._end_reading()
        record = update.record
        if record.target.environment:
            self._look_at_target()
        if not update.more:
            self._draw(before)

    def _end_reading(self) -> None:
        self.query_one("#step-list", Rows).end_reading("")
        self.query_one("#output", Output).end_reading("No output yet.")

    def _begin_next(self, runbook: str) -> None:
        target = self._update.record.target
        if runbook and self._chose and self.is_current:
            self.post_message(StartRun(runbook, target.service, target.environment))
        self._chose = False

    def _look_at_target(self) -> None:
        target = self.record.target
        if target.environment in self.desk.config.environments:
            self.look_at(target.service, target.environment, at=target)

    # Drawing

    def _draw(self, before: Update) -> None:
        record = self.record
        steps = self.query_one("#step-list", Rows)
        follows = not before.record.current or steps.current_key in ("", before.record.current)
        steps.set_rows(story.step_rows(record, self.desk.now()))
        if len(record.steps) != len(before.record.steps):
            self._arrange()
        if follows:
            steps.move_to(record.current)
        self._draw_step()
        self.tick()
        gate = record.gate if self._update.executor is not None else None
        if self._update.gate_turns != self._turns or (gate is None) != (self.gate_panel.open_gate is None):
            self._turns = self._update.gate_turns
            self._show_gate()
        if record.finished:
            self.query_one("#ending-text", Says).say(story.ending(record, self._offered, self.desk.now()))
        if record.finished and not before.record.finished:
            self._pane = "ending"
            self._arrange()
            self.set_focus(self.query_one("#ending"))
        elif before.record.finished and not record.finished:
            self._arrange()
        self.refresh_bindings()

    def _show_gate(self) -> None:
        gate = self.record.gate if self._update.executor is not None else None
        panel = self.gate_panel
        another = gate is not None and (panel.open_gate is None or panel.open_gate.opening != gate.opening)
        closed = gate is None and panel.open_gate is not None
        panel.set_gate(gate)
        if another:
            self._pane = "gate"
        elif gate is None and self._pane == "gate":
            self._pane = "output"
        self._arrange()
        if another:
            panel.focus_safe()
        elif closed and (self.focused is None or panel in self.focused.ancestors):
            self.set_focus(self.query_one("#output"))

    def _draw_step(self) -> None:
        step = self._step()
        content = self._story(step) if step else said("")
        for shown in self.query("#step-text").results(Says):  # none while the screen comes up or goes
            shown.say(content)

    def _story(self, step: StepRecord) -> Content:
        at_work = self._update.executor is not None
        return story.step_story(step, step.id == self.record.current, self.desk.now(), at_work=at_work)

    def _step(self) -> StepRecord | None:
        key = self.query_one("#step-list", Rows).current_key or self.record.current
        return next((step for step in self.record.steps if step.id == key), None)

    def tick(self) -> None:
        if not self.is_usable:
            return
        now = self.desk.now()
        head = story.headline(self.record, self._update.executor, now, self._known)
        self.query_one("#run-head", Says).say(head)
        if not self.record.finished and self.record.steps:
            self.query_one("#step-list", Rows).set_rows(story.step_rows(self.record, now))

    @property
    def gate_panel(self) -> GatePanel:
        return self.query_one(GatePanel)

    @property
    def is_asking(self) -> bool:
        """Whether keys belong to the answer of a gate: while the focus is in it, wherever there."""
        focused = self.focused
        return focused is not None and any(
            panel.open_gate is not None and panel in focused.ancestors for panel in self.query(GatePanel)
        )

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """For the footer: a letter that belongs to an answer is no key. The palette, which covers this screen, has all."""
        found = super().active_bindings
        if not (self.is_current and self.is_asking):
            return found
        kept = {key: active for key, active in found.items() if len(key) > 1 and key not in _PUNCTUATION}
        if _AT_A_GATE in kept:
            kept[_AT_A_GATE] = kept[_AT_A_GATE]._replace(binding=replace(kept[_AT_A_GATE].binding, show=True))
        return kept

    @property
    def answer_field(self) -> Input | None:
        return self.gate_panel.field

    def say_of_paste(self, words: str) -> None:
        self.gate_panel.remark(words)

    # Panes

    @property
    def _panes(self) -> list[str]:
        last = ["gate"] if self.gate_panel.open_gate else ["ending"] if self.record.finished else []
        return ["steps", "output", *last]

    def _arrange(self) -> None:
        """Wide: everything at once. Narrow: the pane one is in."""
        if not self.is_usable:
            return
        wide = self.size.width >= 120
        if self._pane not in self._panes:
            self._pane = "output"
        self.query_one("#panes").display = wide or self._pane in ("steps", "output")
        steps = self.query_one("#steps")
        steps.display = wide or self._pane == "steps"
        needed = self.query_one("#step-list", Rows).needed_width + _FRAME
        steps.styles.width = min(max(_LEAST_STEPS, needed), self.size.width * 2 // 5) if wide else None
        self.query_one("#run-right").display = wide or self._pane == "output"
        self.gate_panel.display = "gate" in self._panes and (wide or self._pane == "gate")
        self.query_one("#ending").display = "ending" in self._panes and (wide or self._pane == "ending")

    def on_resize(self) -> None:
        self._arrange()
        self.gate_panel.fit()

    def _stops(self) -> list[tuple[str, Widget]]:
        stops: list[tuple[str, Widget]] = [
            ("steps", self.query_one("#step-list")),
            ("output", self.query_one("#output")),
            *(("gate", widget) for widget in self.gate_panel.stops),
        ]
        if self.record.finished:
            stops.append(("ending", self.query_one("#ending")))
        return stops

    def action_pane(self, direction: int) -> None:
        stops = self._stops()
        here = next((index for index, (_, widget) in enumerate(stops) if widget is self.focused), -1)
        if here < 0 and direction < 0:
            here = 0
        pane, widget = stops[(here + direction) % len(stops)]
        self._pane = pane
        self._arrange()
        self.set_focus(widget)

    def list_widget(self) -> Widget:
        self._pane = "output"
        self._arrange()
        return self.query_one("#output")

    def narrow(self, words: str) -> None:
        self._pane = "output"
        self._arrange()
        self.query_one("#output", Output).set_filter(words)

    # Keys

    @on(Rows.Moved, "#step-list")
    def _step_moved(self) -> None:
        self._draw_step()

    @on(Rows.Chosen, "#step-list")
    def _step_chosen(self, event: Rows.Chosen) -> None:
        if event.key in self._first_lines:
            self._pane = "output"
            self._arrange()
            output = self.query_one("#output", Output)
            self.set_focus(output)
            output.show_line(self._first_lines[event.key])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "log_in" and names_login(self.record.waiting) and not self.too_small:
            return True
        if action == "interrupt" and (self.record.finished or self._update.executor is None):
            return None
        if action == "plan" and written_at(self.desk.journal.folder, self.run_id) is None:
            return False
        offered = self._offered
        if action in ("resume", "roll_back") and offered.rolls_back is (action == "resume"):
            return False
        if action == "resume" and not (offered.resumes and self._update.executor is None):
            return None
        return super().check_action(action, parameters)

    def action_follow(self) -> None:
        output = self.query_one("#output", Output)
        output.follow = not output.follow

    def on_output_follow_changed(self, event: Output.FollowChanged) -> None:
        title = "step and output" if event.follow else "step and output (not following: f)"
        self.query_one("#run-right").border_title = title

    def copied(self) -> tuple[str, str] | None:
        focused = self.focused
        step = self._step()
        if focused is not None and focused.id == "output":
            return "the output in view", self.query_one("#output", Output).visible_text()
        if focused is not None and focused.id == "ending":
            return "how it ended", self._whole_ending().plain
        if step is not None and step.commands:
            return f"the commands of “{step.title}”", "\n".join(step.commands)
        return "how to attach", attach_command(self.run_id)

    def action_describe(self) -> None:
        gate = self.gate_panel.open_gate
        step = self._step()
        if gate is not None and self._pane == "gate":
            from infraconsole.screens.run.gate_panel import shows

            chosen = self.query_one("#gate-choices", Rows).current_key if gate.gate.choices else ""
            self.show_detail(gate.gate.title, shows(gate.gate, chosen))
        elif self.focused is not None and self.focused.id == "output":
            in_view = self.query_one("#output", Output).visible_text(self._whole)
            self.show_detail("The output in view, whole", lines(in_view.split("\n")))
        elif self.record.finished and self.focused is not None and self.focused.id == "ending":
            self.show_detail("How it ended", self._whole_ending())
        elif step is not None:
            opened = step
            self.show_detail(
                step.title, lambda: self._story(next((s for s in self.record.steps if s.id == opened.id), opened))
            )

    def _whole_ending(self) -> Content:
        """With what later steps went by, and the place in the journal, which nobody needs at once."""
        record = self.record
        left = [
            said((f"{step.id}.{key}  ", DIM), str(value))
            for step in record.steps
            if step.changes
            for key, value in step.result.items()
        ]
        ended = story.ending(record, self._offered, self.desk.now())
        return lines([ended, "", *left, *([(self._head, DIM)] if self._head else [])])

    @property
    def login_profile(self) -> str | None:
        """The run's own, whatever one looks with."""
        known = self.desk.own.environments.get(self.record.target.environment)
        return self.record.profile or (known.profile if known else None)

    def action_log_in(self) -> None:
        if self.record.waiting:
            self.post_message(LogIn(self.login_profile))
        else:
            super().action_log_in()

    def action_service(self) -> None:
        target = self.record.target
        if target.service in self.desk.config.services and target.environment in self.desk.config.environments:
            self.post_message(GoTo(Place(CONTAINERS, target.service, target.environment)))

    def action_plan(self) -> None:
        self.post_message(GoTo(Place(PLAN, run=self.run_id)))

    @property
    def _offered(self) -> story.Offers:
        return story.offers(self.record, self.desk.config)

    def action_roll_back(self) -> None:
        target = self.record.target
        self.post_message(StartRun("ecs-rollback", target.service, target.environment))

    def action_resume(self) -> None:
        self.post_message(ResumeRun(self.run_id))

    # What is asked of the run

    def on_gate_panel_answered(self, event: GatePanel.Answered) -> None:
        self._chose = event.gate == FAILURE_GATE
        self._ask("answer", {"opening": event.opening, "gate": event.gate, "value": event.value})

    def action_interrupt(self) -> None:
        def ask(level: int | None) -> None:
            if level:
                self._ask("interrupt", {"level": level})

        self.app.push_screen(InterruptScreen(self.record), ask)

    @work(group="ask", exit_on_error=False)
    async def _ask(self, kind: str, data: dict[str, object]) -> None:
        journal, operator = self.desk.journal, self.desk.operator
        try:
            await in_thread(lambda: journal.ask(self.run_id, kind, operator, data), "ask")
        except InfraconsoleError as error:
            self.gate_panel.not_sent(error.title)
            self.post_message(Failed(error))
