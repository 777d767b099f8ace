"""When rows may move, and the cursor by itself."""

from __future__ import annotations

import pytest

from infraconsole import clock
from infraconsole.screens.board.still import Still


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1000.0]
    monkeypatch.setattr(clock, "seconds", lambda: at[0])
    return at


def test_rows_stay_for_a_while_after_a_key_and_longer_while_they_are_read_first(now: list[float]) -> None:
    still = Still()
    assert still.arranged(["a", "b"], reading=True) == ["a", "b"]
    assert still.arranged(["b", "a"], reading=True) == ["b", "a"], "nobody has pressed a key"
    still.touch()
    assert still.arranged(["a", "b"], reading=False) == ["b", "a"]
    now[0] += 4
    assert still.arranged(["a", "b"], reading=True) == ["b", "a"]
    assert still.arranged(["a", "b"], reading=False) == ["a", "b"]
    still.touch()
    now[0] += 31
    assert still.arranged(["b", "a"], reading=True) == ["b", "a"]


def test_an_order_that_somebody_asks_for_counts_at_once(now: list[float]) -> None:
    still = Still()
    still.arranged(["a", "b"], reading=False)
    still.touch()
    still.let_go()
    assert still.arranged(["b", "a"], reading=False) == ["b", "a"]


def test_the_first_row_and_one_that_nobody_can_have_seen_are_no_jump(now: list[float]) -> None:
    still = Still()
    still.put("a")
    assert not still.just_jumped()
    now[0] += 0.5
    still.put("b")
    assert not still.just_jumped()


def test_a_row_that_was_seen_and_left_by_itself_is_a_jump_once_and_for_a_moment(now: list[float]) -> None:
    still = Still()
    still.put("a")
    now[0] += 5
    still.put("b")
    assert still.just_jumped()
    assert not still.just_jumped(), "the next key is for the new row"
    now[0] += 5
    still.put("a")
    now[0] += 1
    assert not still.just_jumped()


def test_a_person_who_moves_is_no_jump_and_ends_the_following(now: list[float]) -> None:
    still = Still()
    still.put("a")
    still.moved("a")
    assert not still.touched
    now[0] += 5
    still.moved("b")
    assert still.touched
    assert not still.just_jumped()
    assert still.rests("b", 0)
    assert not still.rests("b", 1)
    assert not still.rests("a", 0)
