"""The plan screen: what a run would do, as a tree; what is lost on top; at the right the attributes, before and after."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from infraconsole.errors import InfraconsoleError
from infraconsole.screens import legends
from infraconsole.screens.desk import Desk
from infraconsole.screens.keys import pane_keys
from infraconsole.screens.paned import PanedScreen
from infraconsole.screens.places import RUN, GoTo, Place
from infraconsole.screens.plan import story
from infraconsole.screens.plan.attributes import WHOLE_CHARACTERS
from infraconsole.screens.plan.files import cost_of, is_consumed, written_at
from infraconsole.screens.plan.reading import (
    NoPlan,
    ReadPlan,
    Reviewed,
    Standing,
    read_plan,
    record_of_run,
    review_plan,
    why_void,
)
from infraconsole.screens.plan.tree import COLUMNS, PlanTree, key_of
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, MARKS, STRONG, lines, said, whole_error

if TYPE_CHECKING:
    from infraconsole.engine.history import RunRecord

_REST_SECONDS = 0.03
"""The cursor rests this long on a row before its attributes are worked out."""
_SHOWN_SECONDS = 1.0
"""The review waits at most this long for the first frame."""
_LARGE = 1_000
"""Changes, from which on the memory of a plan is given back at once."""
_QUIET_SECONDS = 1.0
"""After which the collector's pause, a few frames long, is unlikely to meet a key."""
_VOID_SECONDS = 30.0
"""So often the stored state is asked whether the plan still holds; a look costs one HEAD as long as nobody writes it."""


class PlanScreen(PanedScreen):
    name_in_help: ClassVar[str] = "Plan"
    panes: ClassVar[tuple[str, ...]] = ("changes", "attributes")
    legend: ClassVar[legends.Legend] = legends.PLAN
    about: ClassVar[str] = (
        "What the plan of a run would do. Signs as in Terraform: + create, ~ update, -/+ replace (+/- the new one first), - "
        "destroy, <= read, → move, ↓ import, . forget, > invoke an action, ! changed by somebody else. What destroys or replaces "
        "things that hold state or traffic stands on top with what is lost; `n` goes through everything that is destroyed or "
        "replaced. Enter opens: a module or type unfolds, a change shows its attributes. `/` narrows by words, also by "
        "`kind:destroy`, `kind:lost`, `kind:drift`, `finding:error`. Nothing is changed from here: the run's own gate asks."
    )
    AUTO_FOCUS = "#changes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "ending(1)", "Next destroy", id="plan.next-ending", tooltip="To the next destroy or replacement"),
        Binding("N", "ending(-1)", "Destroy before", key_display="N", show=False, id="plan.ending-before",
                tooltip="To the destroy or replacement before"),
        Binding("space", "turn", "Fold", id="plan.toggle", tooltip="Fold or unfold the module, type or list"),
        Binding("right", "unfold", "Unfold", show=False, id="plan.unfold", tooltip="Unfold; else one row on"),
        Binding("left", "fold", "Fold in", show=False, id="plan.fold", tooltip="Fold; else to what this row is in"),
        Binding("z", "fold_all", "All", id="plan.fold-all", tooltip="Unfold everything; again: fold everything"),
        *pane_keys("plan", "Between the changes and the attributes"),
        Binding("d", "describe", "Whole", id="plan.describe", tooltip="This change with its values whole"),
        Binding("s", "run", "Run", show=False, id="plan.run", tooltip="The run that made this plan"),
    ]  # fmt: skip

    def __init__(self, desk: Desk, run: str) -> None:
        super().__init__(desk)
        self.run_id = run
        self._read: ReadPlan | None = None
        self._reviewed: Reviewed | None = None
        self._error: BaseException | None = None
        self._reading = False
        self._filtered = False
        self._record: RunRecord | None = None
        self._stands = Standing()
        self._void_asked_at: datetime | None = None

    def body(self) -> ComposeResult:
        yield Says(id="headline")
        yield Says(id="tabs")
        with Horizontal(id="panes"):
            yield Rows(COLUMNS, header=False, reading="Reading the plan…", id="changes", classes="pane")
            with VerticalScroll(id="attributes", classes="pane"):
                yield Says(id="attributes-text")

    def on_mount(self) -> None:
        self.lay_out()
        self.set_focus(self.rows)
        self.load()

    @property
    def rows(self) -> Rows:
        return self.query_one("#changes", Rows)

    @property
    def tree_of(self) -> PlanTree | None:
        return self._read.tree if self._read else None

    # Reading

    async def _learn_run(self) -> RunRecord | None:
        """Whose plan it is, for the band."""
        journal, run = self.desk.journal, self.run_id
        record = await in_thread(lambda: record_of_run(journal, run), "run")
        if record is not None and record.target.environment in self.desk.config.environments:
            self.look_at(record.target.service, record.target.environment, at=record.target)
        return record

    def load(self) -> None:
        if not self._reading:
            self._reading = True
            self._read_all()

    @work(group="plan", exit_on_error=False)
    async def _read_all(self) -> None:
        folder, run = self.desk.journal.folder, self.run_id
        learning = asyncio.ensure_future(self._learn_run())
        try:
            self._read = await in_thread(lambda: read_plan(folder, run), "plan")
            self._error, self._reviewed, self._record = None, None, None
            self._stands = Standing(consumed=self._read.consumed)
            self._draw()
            await self._shown()
            plan = self._read.tree.plan
            record = await learning
            estimate = cost_of(folder, run)
            self._reviewed = await in_thread(lambda: review_plan(plan, record, estimate), "review")
            tree = self._read.tree
            tree.reviewed(self._reviewed.findings, self._reviewed.drift, put_back=self._reviewed.put_back)
            await in_thread(tree.flat, "filter")  # so that the first letter of a filter does not wait for it
            self._record, self._void_asked_at = record, None
            self._look_after_plan()
        except asyncio.CancelledError:
            raise
        except NoPlan as error:
            self._look_at_files()
            # Where one was read already, its run is making another: the headline says that, and what is here stays till then.
            self._error = None if self._stands.gone else error
        except Exception as error:  # noqa: BLE001 - the edge of a load: in the headline, whole on `d`
            self._error = error
        finally:
            self._reading = False
        self._draw()

    async def _shown(self) -> None:
        """Once the rows are on the terminal: the review beside it would hold their frame up."""
        drawn = asyncio.Event()
        self.call_after_refresh(drawn.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(drawn.wait(), _SHOWN_SECONDS)

    @work(exclusive=True, group="void", exit_on_error=False)
    async def _learn_whether_void(self, record: RunRecord) -> None:
        """Any push or apply since the plan was made voids it. Where the state cannot be read, the run's own gate will tell."""
        overview = self.desk.overview
        with contextlib.suppress(InfraconsoleError):
            void = await self.read(lambda: why_void(record, overview))
            # Its own apply, which may have begun meanwhile, changes the state too: that does not make it void.
            self._look_at_files()
            if record is self._record and self._stands.open:
                self._stands = replace(self._stands, void=void)
            self._draw_headline()

    def _look_at_files(self) -> None:
        """What its run did with the plan since it was read."""
        read, folder = self._read, self.desk.journal.folder
        if read is None:
            return
        written = written_at(folder, self.run_id)
        same = written == read.written_at
        # What lies beside another document belongs to that one. An apply that never began takes its mark away again.
        consumed = is_consumed(folder, self.run_id) if same else self._stands.consumed
        gone = written is None
        self._stands = replace(self._stands, gone=gone, newer=not same and not gone, consumed=consumed)

    def _look_after_plan(self) -> None:
        """Ask again whether it is void, now and then, as long as somebody might apply it."""
        now, asked_at = self.desk.now(), self._void_asked_at
        due = asked_at is None or (now - asked_at).total_seconds() >= _VOID_SECONDS
        if self._record is not None and self._stands.open and due:
            self._void_asked_at = now
            self._learn_whether_void(self._record)

    def on_unmount(self) -> None:
        """Gives back what a large plan takes: tens of megabytes, which a reading that is cut short leaves in a cycle."""
        if self._reading or (self._read is not None and len(self._read.tree.plan.changes) >= _LARGE):
            self.app.set_timer(_QUIET_SECONDS, gc.collect)
        self._read = self._reviewed = None

    # Drawing

    def tick(self) -> None:
        self._look_at_files()
        self._look_after_plan()
        self._draw_headline()

    def _draw(self) -> None:
        if not self.is_usable:
            return
        tree = self.tree_of
        if tree is not None:
            self.rows.end_reading("No changes: the infrastructure matches the code.")
            self.rows.set_rows(tree.flat() if self._filtered else tree.rows())
        elif self._error is not None:
            self.rows.end_reading(str(getattr(self._error, "title", self._error)))
        self._draw_headline()
        self.draw_titles()
        self._draw_attributes()
        self.refresh_bindings()

    def _draw_headline(self) -> None:
        if self._error is not None:
            words = str(getattr(self._error, "title", self._error))
            content = said((f"{MARKS[BAD]} {words}", BAD), ("  d shows it whole.", DIM))
        elif self._read is None:
            content = said((f"The plan of run {self.run_id}", STRONG), ("  reading…", DIM))
        else:
            content = story.headline(self._read, self._reviewed, self.run_id, self.desk.now(), self._stands)
        self.query_one("#headline", Says).say(content)

    @work(exclusive=True, group="attributes", exit_on_error=False)
    async def _draw_attributes(self) -> None:
        """In a thread: the attributes of one change may be long to compare."""
        tree, reviewed, key = self.tree_of, self._reviewed, self.rows.current_key
        says = self.query_one("#attributes-text", Says)
        if tree is None or not key:
            error = self._error
            says.say(lines(whole_error(error)) if error is not None else Content())
            return
        await asyncio.sleep(_REST_SECONDS)
        width = self._text_width
        try:
            content = await in_thread(lambda: story.story(tree, reviewed, key, width), "attributes")
        except Exception as error:  # noqa: BLE001 - the edge of a load: shown where the attributes would stand
            content = lines(whole_error(error))
        says.say(content)
        self.query_one("#attributes").scroll_home(animate=False)

    @property
    def _text_width(self) -> int:
        pane = self.query_one("#attributes")
        return (pane.scrollable_content_region.width or self.size.width) - 1

    def pane_titles(self) -> Mapping[str, str]:
        return {
            "changes": f"changes {self.tree_of.totals.changing:,}" if self.tree_of else "changes",
            "attributes": "attributes",
        }

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
    def _chosen(self, event: Rows.Chosen) -> None:
        tree = self.tree_of
        if tree is None:
            return
        if event.key.startswith("more:"):
            tree.show_rest(event.key)
            self.rows.set_rows(tree.rows())
        elif not self._fold(event.key, event.key not in tree.folded):
            self.action_pane(1)

    def list_widget(self) -> Widget:
        self.pane = "changes"
        self.lay_out()
        return self.rows

    def narrow(self, words: str) -> None:
        tree = self.tree_of
        if tree is None:
            return
        self.pane = "changes"
        self.lay_out()
        if bool(words.strip()) != self._filtered:
            self._filtered = not self._filtered
            self.rows.set_filter("")
            change = tree.change(self.rows.current_key)
            if change is not None and not self._filtered:
                tree.reveal(change)
            self.rows.set_rows(tree.flat() if self._filtered else tree.rows())
            if change is not None:
                self.rows.move_to(key_of(change))
        self.rows.set_filter(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        tree, key = self.tree_of, self.rows.current_key if self.is_usable else ""
        if action == "ending" and not (tree and tree.dangerous):
            return None
        if action in ("turn", "fold_all") and (tree is None or self._filtered):
            return None
        if action == "turn" and tree is not None and not tree.is_foldable(key):
            return None
        if action in ("fold", "unfold") and (tree is None or self.focused is not self.rows):
            return False
        if action == "describe" and not key and self._error is None:
            return None
        return super().check_action(action, parameters)

    def copied(self) -> tuple[str, str] | None:
        tree = self.tree_of
        key = self.rows.current_key
        if tree is None or not key:
            return None
        change = tree.change(key)
        if change is not None:
            return change.address, change.address
        if tree.actions and key.startswith("a:"):
            address = tree.actions[int(key[2:])].address
            return address, address
        if key.startswith("o:"):
            return key.replace("o:", "output.", 1), key.replace("o:", "output.", 1)
        if key.startswith("m:"):
            return key[2:], key[2:]
        return None

    def action_back(self) -> None:
        """At 80 columns first from the attributes to the list."""
        if self.pane == "attributes" and not self.is_wide:
            self.action_pane(-1)
        else:
            super().action_back()

    def _fold(self, key: str, folded: bool) -> bool:
        tree = self.tree_of
        if tree is None or self._filtered or not tree.fold(key, folded):
            return False
        self.rows.set_rows(tree.rows())
        self.refresh_bindings()
        return True

    def action_turn(self) -> None:
        tree, key = self.tree_of, self.rows.current_key
        if tree is not None:
            self._fold(key, key not in tree.folded)

    def action_unfold(self) -> None:
        if not self._fold(self.rows.current_key, False):
            self.rows.cursor += 1

    def action_fold(self) -> None:
        tree, key = self.tree_of, self.rows.current_key
        if tree is None or self._fold(key, True):
            return
        if parent := tree.parent(key, self.rows.shown, self.rows.cursor):
            self.rows.move_to(parent)

    def action_fold_all(self) -> None:
        tree = self.tree_of
        if tree is None:
            return
        change = tree.change(self.rows.current_key)
        tree.fold_all()
        self.rows.set_rows(tree.rows())
        if change is not None:
            self.rows.move_to(key_of(change))

    def action_ending(self, direction: int) -> None:
        """The next destroy or replacement in the tree's order, around the end, whatever is folded."""
        tree = self.tree_of
        if tree is None:
            return
        if self._filtered:
            self._next_shown(tree, direction)
            return
        here = tree.change(self.rows.current_key)
        place = tree.places.get(key_of(here)) if here is not None else None
        if place is None:
            place = self._place_before(tree) if direction > 0 else self._place_before(tree) + 1
        following = tree.ending[(place + direction) % len(tree.ending)]
        if tree.reveal(following):
            self.rows.set_rows(tree.rows())
        self.rows.move_to(key_of(following))

    def _place_before(self, tree: PlanTree) -> int:
        """Of the last destroy or replacement above the cursor; −1 where there is none."""
        above = (row.key for row in reversed(self.rows.shown[: self.rows.cursor]))
        return next((tree.places[key] for key in above if key in tree.places), -1)

    def _next_shown(self, tree: PlanTree, direction: int) -> None:
        shown = self.rows.shown
        order = range(1, len(shown) + 1) if direction > 0 else range(-1, -len(shown) - 1, -1)
        for step in order:
            row = shown[(self.rows.cursor + step) % len(shown)]
            if row.key in tree.places:
                self.rows.move_to(row.key)
                return
        self.notify("Nothing of what is shown is destroyed or replaced.", markup=False)

    @work(exclusive=True, group="describe", exit_on_error=False)
    async def action_describe(self) -> None:
        tree, reviewed, key = self.tree_of, self._reviewed, self.rows.current_key
        if self._error is not None:
            self.show_error("The plan", self._error)
        elif tree is not None and key:
            content = await in_thread(lambda: story.story(tree, reviewed, key, 150, WHOLE_CHARACTERS), "attributes")
            change = tree.change(key)
            self.show_detail(change.address if change else "Plan", content)

    def action_run(self) -> None:
        self.post_message(GoTo(Place(RUN, run=self.run_id)))
