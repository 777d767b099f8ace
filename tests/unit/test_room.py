"""How lists and texts share out the room that there is."""

from __future__ import annotations

from infraconsole.screens.widgets.output import _folds
from infraconsole.screens.widgets.rows import Column, fitting, middle_cut
from infraconsole.screens.widgets.says import hung
from infraconsole.screens.words import DIM, lines, said

COLUMNS = (
    Column("name", "name", 8),
    Column("state", "state", 6, rank=1),
    Column("reason", "reason", 10, stretch=True),
)


def widths(width: int, **needed: int) -> dict[str, int]:
    return {column.key: size for column, size in fitting(COLUMNS, width, needed)}


def test_without_needs_the_stretching_column_takes_the_rest() -> None:
    assert widths(60) == {"name": 8, "state": 6, "reason": 44}


def test_a_column_whose_cells_are_cut_grows_before_the_rest_is_shared() -> None:
    assert widths(60, name=20, reason=15) == {"name": 20, "state": 6, "reason": 32}


def test_the_column_that_stretches_is_served_first() -> None:
    assert widths(32, name=12, reason=80) == {"name": 8, "state": 6, "reason": 16}


def test_what_falls_away_goes_by_rank_whatever_cells_need() -> None:
    assert widths(20, name=40) == {"name": 9, "reason": 10}


def test_a_path_is_cut_in_the_middle() -> None:
    assert middle_cut("arn:aws:ecr:eu:1:repository/authhub", 20) == "arn:aw…itory/authhub"
    assert middle_cut("short", 20) == "short"


def test_a_line_goes_on_under_its_value() -> None:
    content = lines([said(("about      ", DIM), "one two three four five six"), "plain words stay as they are"])
    assert hung(content, 28).plain.split("\n") == [
        "about      one two three",
        "           four five six",
        "plain words stay as they are",
    ]


def test_a_line_goes_on_under_its_text_not_under_its_sign() -> None:
    first, second = hung(said("✗ one two three four five"), 18).plain.split("\n")
    assert first.startswith("✗ one")
    assert second.startswith("  ")


def test_output_is_broken_in_a_word_only_where_that_is_longer_than_a_row() -> None:
    words = "in (target-group-of-the-service) deregistered"
    assert [words[begin:end] for begin, end in _folds(words, 34)] == [
        "in (target-group-of-the-service) ",
        "deregistered",
    ]
    long = "see arn:aws:elasticloadbalancing:eu"
    assert next(long[begin:end] for begin, end in _folds(long, 12)) == "see arn:aws:"
