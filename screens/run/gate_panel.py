"""The open gate: what will change, what cannot be undone, and the answer.

The safe answer comes first and has the focus. Enter on it declines; nothing is confirmed by Enter alone: a name, `yes` or
a reason has to be typed, and the same check that the executor makes is made here first.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from infraconsole.engine.gate import DECLINED, ERROR, FAILURE_GATE, LEAST_REASON, WARNING, Gate, GateKind
from infraconsole.engine.history import OpenGate
from infraconsole.errors import GateRefused
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.widgets.says import Says
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, lines, said

_COLUMNS = (Column("mark", "", 1), Column("title", "choose", 20, stretch=True), Column("note", "", 14, rank=1))


class GatePanel(Vertical):
    """Posts `Answered`. `set_gate` shows another gate, or another turn at the same one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "safe", "Safe answer", show=False, id="gate.safe", tooltip="Back to the safe answer"),
    ]

    class Answered(Message):
        def __init__(self, opening: int, gate: str, value: str) -> None:
            super().__init__()
            self.opening = opening
            self.gate = gate
            self.value = value

    def __init__(self, operator: str) -> None:
        super().__init__(id="gate")
        self._operator = operator
        self._open: OpenGate | None = None
        self._sent = False
        self._before: tuple[Part, ...] = ()
        self._is_empty = False
        """Whether nothing was typed where an answer was sent."""

    @property
    def open_gate(self) -> OpenGate | None:
        return self._open

    @property
    def _choosing(self) -> bool:
        return self._open is not None and self._open.gate.kind is GateKind.CHOOSE

    def compose(self) -> ComposeResult:
        yield Static(id="gate-title")
        yield Rows(_COLUMNS, header=False, id="gate-choices")
        with VerticalScroll(id="gate-body"):
            yield Says(hangs=True, id="gate-shows")
        yield Static(id="gate-says")
        with Horizontal(id="gate-buttons"):
            yield Button("No: change nothing", id="gate-no", compact=True)
            yield Input(id="gate-input", compact=True, select_on_focus=False)

    @property
    def field(self) -> Input | None:
        """What is typed belongs to it, wherever in the gate the focus is; None where there is only something to choose."""
        return None if self._choosing else self.query_one("#gate-input", Input)

    # What is shown

    def set_gate(self, gate: OpenGate | None) -> None:
        another = self._open is None or gate is None or gate.opening != self._open.opening
        self._open, self._sent = gate, False
        if gate is None:
            return
        shown = gate.gate
        self.border_title = f"gate {shown.id}"
        self.query_one("#gate-title", Static).update(said((shown.title, STRONG)))
        stops = shown.id == FAILURE_GATE
        self.query_one("#gate-no", Button).label = "Stop here" if stops else "No: change nothing"
        choices = self.query_one("#gate-choices", Rows)
        choices.display = self._choosing
        field = self.query_one("#gate-input", Input)
        field.display = not self._choosing
        field.disabled = False
        if another or (gate.answered and not gate.rejected):
            field.value = ""
        if another:
            field.placeholder = _placeholder(shown)
            choices.set_rows(_choice_rows(shown))
            choices.end_reading("")
            choices.styles.height = max(1, min(len(shown.choices), 8))
            choices.move_to(next((choice.id for choice in shown.choices if choice.recommended), ""))
        self._show_choice()
        self._is_empty = False
        self._instruct(*self._instructions(gate))
        self.fit()

    def on_resize(self) -> None:
        self.call_after_refresh(self._say_whether_more)

    def _say_whether_more(self) -> None:
        """A scroll bar alone is easily overlooked."""
        more = self.query_one("#gate-body").max_scroll_y > 0
        self.border_subtitle = "more below: Tab goes there" if more else ""

    def fit(self) -> None:
        """On a wide terminal: as high as what it shows, and never more than three fifths of the screen."""
        if self._open is None:
            return
        if self.screen.size.width < 120:
            self.styles.height = None
            return
        most = max(10, self.screen.size.height * 3 // 5)
        width = max(20, self.screen.size.width - 6)
        body = max((_rows_of(shows(self._open.gate, key), width) for key in self._choice_ids()), default=0)
        needed = body + len(self._choice_ids()) * self._choosing + 7
        self.styles.height = min(most, max(10, needed))

    def _choice_ids(self) -> list[str]:
        gate = self._open.gate if self._open else None
        return [choice.id for choice in gate.choices] if gate is not None and self._choosing else [""]

    def _show_choice(self) -> None:
        if self._open is None:
            return
        gate = self._open.gate
        key = self.query_one("#gate-choices", Rows).current_key if self._choosing else ""
        self.query_one("#gate-shows", Says).say(shows(gate, key))
        self.query_one("#gate-body").scroll_home(animate=False)
        self.call_after_refresh(self._say_whether_more)

    def _instructions(self, gate: OpenGate) -> tuple[Part, ...]:
        if gate.rejected:
            return ((f"Not taken: {gate.rejected}. ", BAD),)
        if gate.answered:
            approved = [answer.partition(":")[0] for answer in gate.answered]
            missing = [name for name in gate.gate.approvers if name not in approved]
            return (f"Approved by {', '.join(approved)}; missing: {', '.join(missing)}. ",)
        return ()

    def _instruct(self, *before: Part) -> None:
        """What to do, as it is from where the focus is: what is typed elsewhere are the screen's keys."""
        if self._open is None:
            return
        self._before = before
        at_field = self.query_one("#gate-input").has_focus
        self._say(*before, (_how(self._open.gate, at_field=at_field), WARN if self._is_empty else PLAIN))

    def remark(self, words: str) -> None:
        """Say it beside what to do."""
        self._instruct((f"{words} ", WARN))

    def on_descendant_focus(self) -> None:
        if not self._sent:
            self._instruct(*self._before)

    def on_descendant_blur(self) -> None:
        if not self._sent:
            self._instruct(*self._before)

    def _say(self, *parts: Part) -> None:
        self.query_one("#gate-says", Static).update(said(*parts))

    # Where the focus goes

    @property
    def stops(self) -> list[Widget]:
        """What Tab goes through, the safe one first."""
        if self._open is None:
            return []
        if self._choosing:
            return [self.query_one("#gate-choices"), self.query_one("#gate-body"), self.query_one("#gate-no")]
        return [self.query_one("#gate-no"), self.query_one("#gate-input"), self.query_one("#gate-body")]

    def focus_safe(self) -> None:
        """The safe answer: declining; among choices the recommended one, since choosing changes nothing by itself."""
        if self.stops:
            self.screen.set_focus(self.stops[0])

    def action_safe(self) -> None:
        if self.screen.focused is not None and self.screen.focused.id == "gate-input":
            self.focus_safe()
        else:
            self.screen.run_worker(self.run_action("screen.back"))

    # Answers

    @on(Rows.Moved, "#gate-choices")
    def _moved(self, event: Rows.Moved) -> None:
        event.stop()
        self._show_choice()

    @on(Rows.Chosen, "#gate-choices")
    def _chosen(self, event: Rows.Chosen) -> None:
        event.stop()
        self._answer(event.key)

    @on(Button.Pressed, "#gate-no")
    def _declined(self, event: Button.Pressed) -> None:
        event.stop()
        self._send(DECLINED)

    @on(Input.Submitted, "#gate-input")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        value = event.value if self._open and self._open.gate.kind is GateKind.TYPE else event.value.strip()
        if self._open is not None and self._open.gate.declines(value):
            self._send(DECLINED)
        elif value:
            self._answer(value)
        else:
            self._is_empty = True
            self._instruct()

    def _answer(self, value: str) -> None:
        if self._open is None:
            return
        try:
            checked = self._open.gate.check(value, operator=self._operator, approved=self._open.answered)
        except GateRefused as error:
            self._instruct((f"Not sent: {error.cause}. ", BAD))
            return
        self._send(checked)

    def _send(self, value: str) -> None:
        """Only what stands on the screen can have been read."""
        if self._open is None or self._sent or not self.is_on_screen:
            return
        self._sent = True
        self._say(("Sent; the run checks the answer…", DIM))
        self.post_message(self.Answered(self._open.opening, self._open.gate.id, value))

    def not_sent(self, why: str) -> None:
        """The answer could not be written down."""
        self._sent = False
        self._say((f"Not sent: {why}", BAD))


def shows(gate: Gate, choice_id: str = "") -> Content:
    """What the gate shows: the choice under the cursor, what will change, what cannot be undone, how it is done by hand."""
    rows: list[Part | Content] = []
    chosen = next((choice for choice in gate.choices if choice.id == choice_id), None)
    if chosen is not None:
        if chosen.why_not:
            rows.append((f"Cannot be chosen: {chosen.why_not}", WARN))
        rows += [_diff_line(line) for line in chosen.detail]
    # First, since a long difference may push all else out of a small terminal.
    if gate.notice:
        rows.append((f"↺ Asked again, what was answered does not hold any more: {gate.notice}", WARN))
    wrong = [change for change in gate.changes if change.startswith(ERROR)]
    rows += [said((f"{MARKS[BAD]} ", BAD), (change, BAD)) for change in wrong]
    if gate.irreversible:
        rows.append(("What cannot be undone", BAD))
        rows += [said(("✗ ", BAD), line) for line in gate.irreversible]
    if gate.changes:
        rows.append(("What will change" if gate.kind is not GateKind.CHOOSE else "What is known", STRONG))
        rows += [_change_line(change) for change in gate.changes if change not in wrong]
    if gate.commands:
        rows.append(("The same by hand", STRONG))
        rows += [said(("$ ", DIM), command) for command in gate.commands]
    return lines(rows)


def _diff_line(line: str) -> Part:
    tone = {"+": GOOD, "-": BAD}.get(line.lstrip()[:1], PLAIN)
    return (line, tone)


def _change_line(change: str) -> Part | Content:
    """A sentence with a bullet, a warning, or a line of a difference."""
    if change.startswith(WARNING):
        return said((f"{MARKS[WARN]} ", WARN), change)
    return _diff_line(change) if change.lstrip()[:2] in ("+ ", "- ", "~ ") else said(("• ", DIM), change)


def _rows_of(content: Content, width: int) -> int:
    return sum(1 + len(line) // width for line in content.plain.split("\n"))


def _choice_rows(gate: Gate) -> list[Row]:
    rows = []
    for choice in gate.choices:
        note = (
            Cell("recommended", GOOD)
            if choice.recommended
            else Cell("not possible", WARN)
            if choice.why_not
            else Cell("")
        )
        mark = Cell("✗", WARN) if choice.why_not else Cell("•" if choice.recommended else " ")
        rows.append(
            Row(choice.id, {"mark": mark, "title": Cell(choice.title, DIM if choice.why_not else ""), "note": note})
        )
    return rows


def _placeholder(gate: Gate) -> str:
    match gate.kind:
        case GateKind.CONFIRM:
            return "type yes to go ahead"
        case GateKind.TYPE:
            return f"type {gate.expected} to go ahead"
        case GateKind.APPROVE:
            return "NAME:REFERENCE, as in cto:CHG-1234"
        case GateKind.BREAK_GLASS:
            return f"the reason, in words ({LEAST_REASON} characters at least); it is recorded"
    return ""


def _how(gate: Gate, *, at_field: bool) -> str:
    if gate.kind is GateKind.CHOOSE:
        return "↑↓ to look, Enter to choose; choosing changes nothing. Tab: the details."
    how = gate.how
    if at_field:
        return f"To go ahead: {how}, Enter. Esc goes back to “No”."
    return f"To go ahead: Tab, {how}, Enter. Enter on “No” ends the run."
