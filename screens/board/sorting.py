"""By what the board is sorted: chosen from a list, so that no column's key has to be remembered."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from infraconsole.screens.board.order import WORST_FIRST, Order, chosen, offered
from infraconsole.screens.settling import Dialog
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows
from infraconsole.screens.words import DIM, STRONG, said


class SortScreen(Dialog[Order | None]):
    """Gives the order that was chosen; the present column once more turns it round. None leaves it as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", id="sort.close", tooltip="Leave the order as it is"),
        Binding("s", "worst", "Worst first", id="sort.worst", tooltip="The worst first, as the board begins"),
    ]

    def __init__(self, present: Order) -> None:
        super().__init__()
        self._present = present

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(said(("Sort the board", STRONG)), classes="dialog-title")
            yield Rows((Column("mark", "", 1), Column("order", "", 20, stretch=True)), header=False, id="orders")
            yield Static(
                said(("Enter sorts; the column that it is sorted by turns round. s: worst first. Esc leaves it.", DIM))
            )

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        orders = [self._present if each.column == self._present.column else each for each in offered()]
        rows.set_rows(
            Row(
                each.column or "worst", {"mark": Cell("•" if each == self._present else " "), "order": Cell(each.words)}
            )
            for each in orders
        )
        rows.end_reading("")
        rows.styles.height = len(orders)
        rows.move_to(self._present.column or "worst")
        self.set_focus(rows)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        event.stop()
        self.dismiss(chosen(self._present, event.key))

    def action_worst(self) -> None:
        self.dismiss(WORST_FIRST)

    def action_close(self) -> None:
        self.dismiss(None)
