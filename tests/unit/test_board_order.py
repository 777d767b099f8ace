"""The order of the board's rows: the worst first or by a column, equal ones as configured, still while somebody works in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infraconsole.aws.cloudwatch import Alarm
from infraconsole.checks.judgement import Judgement, Level, Reason, judge
from infraconsole.checks.row_facts import BoardRow, ExportFacts, Fact, LockFacts
from infraconsole.checks.serving import ServiceFacts
from infraconsole.screens.board.cells import columns
from infraconsole.screens.board.order import WORST_FIRST, Known, Order, arranged, chosen, kept, next_in_trouble, offered
from infraconsole.terraform.state import LockInfo
from tests.unit.test_judgement import NEW, deployment, service

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)


def known(environment: str, level: Level = Level.FINE, **facts: object) -> Known:
    row = BoardRow("fileflow", environment)
    for group, value in facts.items():
        row = row.with_fact(group, Fact(value, NOW))
    reasons = (Reason(level, "it is so."),) if level is not Level.FINE else ()
    return Known(row, Judgement("fileflow", environment, reasons), None, NOW)


def environments(keys: list[str]) -> list[str]:
    return [key.removeprefix("fileflow-") for key in keys]


def test_the_worst_stand_first_and_equal_ones_keep_the_configured_order() -> None:
    rows = [
        known("a"),
        known("b", Level.WARNING),
        known("c", Level.ABSENT),
        known("d", Level.BROKEN),
        known("e", Level.WARNING),
        known("f", Level.UNKNOWN),
        known("g", Level.BUSY),
        known("h"),
    ]
    assert environments(arranged(rows, WORST_FIRST)) == ["d", "f", "b", "e", "g", "a", "c", "h"]


def test_what_is_still_being_read_does_not_move_the_rows() -> None:
    rows = [Known(row, judge(row, NOW), None, NOW) for row in (BoardRow("x", "a"), BoardRow("x", "b"))]
    read = known("a")
    assert arranged([read, rows[1]], WORST_FIRST) == ["fileflow-a", "x-b"]


def facts(running: int, minutes: int) -> ServiceFacts:
    return ServiceFacts(service(deployment(8, running, minutes=minutes)), NEW, NEW, "fileflow")


def alarms(ringing: int) -> tuple[Alarm, ...]:
    return tuple(Alarm(f"a{n}", "ALARM" if n < ringing else "OK", "", NOW, "", "") for n in range(2))


def locked(minutes: int) -> LockFacts:
    return LockFacts(True, LockInfo("id", "p", "apply", "kim", "1.11.4", NOW - timedelta(minutes=minutes), ""))


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        ("tasks", ["b", "c", "a"]),
        ("since", ["c", "a", "b"]),
        ("alarms", ["c", "a", "b"]),
        ("lock", ["c", "a", "b"]),
        ("exports", ["b", "a", "c"]),
    ],
)
def test_a_column_sorts_both_ways_round_and_what_is_not_known_stands_last(column: str, ascending: list[str]) -> None:
    rows = [
        known("unread"),
        known("a", service=facts(3, 10), alarms=alarms(1), lock=locked(1), exports=ExportFacts(("x", "y"), ("x",))),
        known("b", service=facts(0, 20), alarms=alarms(2), lock=locked(9), exports=ExportFacts(("x",), ())),
        known("c", service=facts(1, 5), alarms=alarms(0), lock=LockFacts(True), exports=ExportFacts(("x", "y"), ("x", "y"))),
    ]  # fmt: skip
    assert environments(arranged(rows, Order(column))) == [*ascending, "unread"]
    assert environments(arranged(rows, Order(column, descending=True))) == [*reversed(ascending), "unread"]


def test_equal_ones_of_a_column_stand_the_worst_first() -> None:
    rows = [known("a", alarms=alarms(0)), known("b", Level.BROKEN, alarms=alarms(0)), known("c", alarms=alarms(0))]
    for descending in (False, True):
        assert environments(arranged(rows, Order("alarms", descending))) == ["b", "a", "c"]


def test_a_column_chosen_again_turns_round_and_the_worst_first_is_always_offered() -> None:
    by_alarms = chosen(WORST_FIRST, "alarms")
    assert by_alarms == Order("alarms", descending=True), "the most ringing ones are looked for"
    assert chosen(by_alarms, "alarms") == Order("alarms", descending=False)
    assert chosen(by_alarms, "tasks") == Order("tasks")
    assert chosen(by_alarms, "worst") == WORST_FIRST
    assert offered()[0] == WORST_FIRST
    assert {order.column for order in offered()[1:]} == {each.key for each in columns([], WORST_FIRST)} - {"mark"}


def test_the_sorted_column_has_a_sign_and_is_always_shown() -> None:
    for order in offered()[1:]:
        column = next(each for each in columns(["fileflow prod"], order) if each.key == order.column)
        assert column.title.endswith(order.sign)
        assert len(column.title) <= column.width
        assert column.rank == 0


def test_rows_that_are_held_keep_their_places_and_new_ones_come_behind() -> None:
    assert kept(["a", "b", "c"], ["c", "d", "a", "b"]) == ["a", "b", "c", "d"]
    assert kept(["a", "b"], ["b"]) == ["b"]


def test_the_next_problem_is_found_around_the_end() -> None:
    shown = ["a", "b", "c", "d"]
    assert next_in_trouble(shown, 0, {"b", "d"}, 1) == "b"
    assert next_in_trouble(shown, 1, {"b", "d"}, 1) == "d"
    assert next_in_trouble(shown, 3, {"b", "d"}, 1) == "b"
    assert next_in_trouble(shown, 0, {"b", "d"}, -1) == "d"
    assert next_in_trouble(shown, 1, {"b"}, 1) == "b", "where it is the only one"
    assert next_in_trouble(shown, 1, set(), 1) == ""
    assert next_in_trouble([], 0, set(), 1) == ""
