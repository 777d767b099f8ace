"""The two widgets that hold much: rows under a cursor, and lines of output."""

from __future__ import annotations

import time

from textual.app import App, ComposeResult

from infraconsole.screens.widgets.output import Output
from infraconsole.screens.widgets.rows import Cell, Column, Row, Rows, clipped, fitting

COLUMNS = (Column("a", "a", 10), Column("b", "b", 10, rank=2), Column("c", "c", 10, rank=1, stretch=True))


class Lists(App[None]):
    def compose(self) -> ComposeResult:
        yield Rows(COLUMNS)
        yield Output()


def rows(count: int) -> list[Row]:
    return [Row(f"r{index}", {"a": Cell(f"name {index}"), "b": Cell("x" * 30)}) for index in range(count)]


def test_the_least_important_columns_make_room() -> None:
    assert [(column.key, width) for column, width in fitting(COLUMNS, 40)] == [("a", 10), ("b", 10), ("c", 18)]
    assert [column.key for column, _ in fitting(COLUMNS, 25)] == ["a", "c"]
    assert [column.key for column, _ in fitting(COLUMNS, 12)] == ["a"]


def test_cells_are_exactly_as_wide_as_asked_for() -> None:
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("ab", 4, right=True) == "  ab"
    assert clipped("한국어", 4).endswith("…")
    assert clipped("", 3) == "   "


async def test_the_cursor_stays_on_its_row_when_rows_come_and_go() -> None:
    async with Lists().run_test(size=(80, 24)) as pilot:
        table = pilot.app.query_one(Rows)
        table.set_rows(rows(50))
        table.move_to("r20")
        table.set_rows([Row("new"), *rows(50)])
        assert table.current_key == "r20"
        table.set_rows(rows(10))
        assert table.current_key == "r9"
        table.set_rows([])
        assert table.current is None


async def seconds_a_key(count: int) -> float:
    """The median of what a key takes, the test harness's own waiting included."""
    async with Lists().run_test(size=(120, 40)) as pilot:
        table = pilot.app.query_one(Rows)
        table.set_rows(rows(count))
        table.focus()
        await pilot.pause()
        took = []
        for key in ("j", "pagedown", "G", "k", "g", "down", "end", "pageup", "home"):
            began = time.perf_counter()
            await pilot.press(key)
            took.append(time.perf_counter() - began)
        return sorted(took)[len(took) // 2]


async def test_a_key_on_ten_thousand_rows_is_answered_in_a_frame() -> None:
    # What pressing costs in the harness itself is seen on ten rows.
    assert await seconds_a_key(10_000) - await seconds_a_key(10) < 0.05


async def test_ten_thousand_rows_are_filtered_while_one_types() -> None:
    async with Lists().run_test(size=(120, 40)) as pilot:
        table = pilot.app.query_one(Rows)
        table.set_rows(rows(10_000))
        table.set_filter("n")
        table.set_filter("name 99")
        assert len(table.shown) == 280
        table.set_filter("name 9999")
        assert [row.key for row in table.shown] == ["r9999"]


async def test_a_hundred_thousand_lines_are_kept_and_scrolled() -> None:
    async with Lists().run_test(size=(120, 40)) as pilot:
        output = pilot.app.query_one(Output)
        for start in range(0, 100_000, 2_000):
            output.add([("", f"line {number}") for number in range(start, start + 2_000)])
        output.focus()
        await pilot.pause()
        assert output.count == 100_000
        assert "line 99999" in output.visible_text()
        await pilot.press("g")
        assert output.visible_text().startswith("line 0\n")
        assert not output.follow
        output.add([("", "one more")])
        assert output.scroll_y == 0
        await pilot.press("G")
        assert output.follow
        assert output.visible_text().endswith("one more")


async def test_long_lines_are_folded_and_nothing_of_them_is_lost() -> None:
    async with Lists().run_test(size=(40, 24)) as pilot:
        output = pilot.app.query_one(Output)
        words = " ".join(f"word{number}" for number in range(40)) + " 한국어" * 20
        output.add([("", words)])
        await pilot.pause()
        shown = "".join(output.render_line(y).text.rstrip() for y in range(output.piece_count))
        assert shown.replace(" ", "") == words.replace(" ", "")
        before = output.piece_count
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.1)
        assert output.piece_count < before
        output.set_filter("nothing of that")
        assert output.piece_count == 0
