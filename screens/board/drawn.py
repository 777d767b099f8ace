"""The board's rows as they were drawn last. A row that nobody sees and of which nothing has changed is not made again every second:
so what a frame costs goes by the rows on the screen, not by those in the list."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from infraconsole.checks.judgement import Judgement
from infraconsole.checks.row_facts import BoardRow
from infraconsole.screens.board.cells import board_row
from infraconsole.screens.runs import KnownRun
from infraconsole.screens.widgets.rows import Row


class Drawn:
    def __init__(self) -> None:
        self._known: dict[str, tuple[Judgement, KnownRun | None, Row]] = {}

    def rows(
        self,
        rows: Sequence[BoardRow],
        judged: Sequence[Judgement],
        runs: Mapping[str, KnownRun],
        in_view: Collection[str],
        now: datetime,
    ) -> Iterator[Row]:
        for row, judgement in zip(rows, judged, strict=True):
            run = runs.get(row.key)
            known = self._known.get(row.key)
            # Judged again every few seconds: so the ages of what is not in view are not much older, either.
            if known is None or row.key in in_view or known[0] is not judgement or known[1] is not run:
                known = (judgement, run, board_row(row, judgement, run, now))
                self._known[row.key] = known
            yield known[2]
