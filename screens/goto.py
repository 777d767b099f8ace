"""Go to: a screen, a service, an environment or a run, typed after `:`, with what could be meant below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerError

from infraconsole.errors import UsageError
from infraconsole.screens.aws_names import names_known
from infraconsole.screens.places import QUIT, Names, Place, is_of_credentials, known_places, parse
from infraconsole.screens.settling import Dialog
from infraconsole.screens.threads import in_thread
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.words import BAD, DIM, said

if TYPE_CHECKING:
    from infraconsole.config import Config

_KEYS = "Enter goes, Tab completes, Esc stays."


class GoToScreen(Dialog[Place | None]):
    """Tab completes; the arrows take one of the places offered; Enter goes there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="goto.close", tooltip="Stay where you are"),
        Binding("down", "move(1)", "Next", show=False, id="goto.down", tooltip="Next place", priority=True),
        Binding("up", "move(-1)", "Before", show=False, id="goto.up", tooltip="Place before", priority=True),
        Binding("tab", "complete", "Complete", id="goto.complete", tooltip="Write the place in full", priority=True),
    ]

    def __init__(self, config: Config, read_runs: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self._config = config
        self._read_runs = read_runs
        self._runs: Sequence[str] = ()
        self._modules: Sequence[str] = ()
        self._names = Names()
        self._learning: Worker[None] | None = None
        self._taken = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Input(placeholder="screen, service and environment, or run", id="goto-words", compact=True)
            yield Rows([Column("place", "", 20, stretch=True)], header=False, id="goto-places")
            yield Static(said((_KEYS, DIM)), id="goto-says")

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.can_focus = False
        rows.set_so_far("the runs are not read yet")
        self._offer()
        self.set_focus(self.query_one(Input))
        self._learning = self._learn()

    def _offer(self) -> None:
        places = (*known_places(self._config, self._runs, self._modules, self._names), QUIT)
        self.query_one(Rows).set_rows(Row(place, {"place": Cell(place)}) for place in places)

    @work(group="learn", exit_on_error=False)
    async def _learn(self) -> None:
        """What is on a disk: the runs, the infrastructure's modules, the AWS profiles and regions."""
        self._runs, self._modules = await in_thread(lambda: (self._read_runs(), self._config.modules()), "places")
        rows = self.query_one(Rows)
        rows.set_so_far("the AWS profiles are not read yet")
        self._offer()
        self._names = await in_thread(lambda: names_known(self._config), "names")
        rows.end_reading("")
        rows.set_so_far("")
        self._offer()

    def on_key(self, event: events.Key) -> None:
        """A letter that the field did not take came before the field was there: it is the field's all the same."""
        if event.character and event.is_printable:
            self.query_one(Input).insert_text_at_cursor(event.character)
            event.stop()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._taken = False
        rows = self.query_one(Rows)
        rows.set_filter(event.value.replace(":", " "))
        rows.cursor = 0
        self._say(_KEYS, DIM)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self._go(event.key)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._taken:
            self._go(self.query_one(Rows).current_key)
            return
        try:
            place = self._parsed(event.value)
        except UsageError as error:
            # Nothing is called unknown, and nothing taken in its place, before all that is known was read.
            if self._learning is not None and not self._learning.is_finished:
                what = "profiles" if is_of_credentials(event.value, self._config) else "runs"
                self._say(f"Reading the {what}…", DIM)
                self._submit_again(self._learning, event)
            elif self.query_one(Rows).current_key and not is_of_credentials(event.value, self._config):
                self._go(self.query_one(Rows).current_key)
            else:
                self._say(str(error), BAD)
            return
        self.dismiss(place)

    @work(exclusive=True, group="submit", exit_on_error=False)
    async def _submit_again(self, learning: Worker[None], event: Input.Submitted) -> None:
        with suppress(WorkerError):
            await learning.wait()
        if self.is_current:
            self.on_input_submitted(event)

    def _parsed(self, words: str) -> Place:
        return parse(words, self._config, self._runs, self._modules, self._names)

    def _say(self, words: str, tone: str) -> None:
        self.query_one("#goto-says", Static).update(said((words, tone)))

    def _go(self, words: str) -> None:
        self.dismiss(self._parsed(words))

    def action_close(self) -> None:
        self.dismiss(None)

    def action_move(self, lines: int) -> None:
        self._taken = True
        self.query_one(Rows).cursor += lines

    def action_complete(self) -> None:
        key = self.query_one(Rows).current_key
        if key:
            field = self.query_one(Input)
            field.value = key
            field.cursor_position = len(key)
