"""Output on its way into the journal: what is held back, for how long, and what goes on in what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.engine.output import HELD_SECONDS, Output
from infraconsole.engine.recorder import Recorder
from infraconsole.redaction import MASK, Redactor

SECRET = "hunter2-and-more-9xQz"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr("infraconsole.engine.output.clock.seconds", lambda: times[0])
    return times


@pytest.fixture
def output() -> Output:
    redactor = Redactor()
    redactor.learn(SECRET)
    return Output(redactor)


def taken(output: Output, *, whole: bool = False) -> list[str]:
    lines = output.ready(whole=whole)
    if lines:
        output.taken()
    return lines


def test_a_line_that_may_begin_a_secret_waits_for_the_next(output: Output, now: list[float]) -> None:
    output.add("", ["plain", f"begins {SECRET[:9]}"])
    assert taken(output) == ["plain"]
    assert taken(output) == []
    output.add("", [f"   {SECRET[9:]} ends"])
    assert taken(output) == [f"begins {MASK}", f"   {MASK} ends"]


def test_it_waits_for_a_second_at_most_and_the_rest_is_masked_when_it_comes(output: Output, now: list[float]) -> None:
    output.add("", [f"begins {SECRET[:9]}"])
    assert taken(output) == []
    now[0] += HELD_SECONDS
    assert taken(output) == [f"begins {MASK}"]
    output.add("", [f"{SECRET[9:]} ends"])
    assert taken(output) == [f"{MASK} ends"]


def test_lines_of_other_sources_between_hide_nothing(output: Output, now: list[float]) -> None:
    output.add("a", [SECRET[:10]])
    output.add("b", ["something else"])
    output.add("a", [SECRET[10:]])
    assert taken(output) == [f"a: {MASK}", "b: something else", f"a: {MASK}"]


def test_lines_of_two_sources_are_not_put_together(output: Output, now: list[float]) -> None:
    output.add("a", [f"x {SECRET[:10]}"])
    output.add("b", [f"{SECRET[10:]} y"])
    now[0] += HELD_SECONDS
    assert taken(output) == []
    now[0] += HELD_SECONDS
    assert taken(output)[1] == f"b: {SECRET[10:]} y"


def test_the_end_of_a_step_lets_everything_out(output: Output, now: list[float]) -> None:
    output.add("", [f"begins {SECRET[:9]}"])
    assert taken(output, whole=True) == [f"begins {MASK}"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path) as opened:
        yield opened


def test_a_progress_between_two_lines_does_not_part_a_secret(journal: Journal) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    recorder = Recorder(journal, "run", redactor)
    recorder.line("apply", SECRET[:9])
    recorder.write(Kind.PROGRESS, "apply", text="1 of 2")
    recorder.line("apply", SECRET[9:])
    recorder.write(Kind.NOTE, "apply", level="info", text="over")
    lines = [line for each in journal.events("run") if each.kind == Kind.OUTPUT for line in each.data["lines"]]
    assert lines == [MASK, MASK]


def test_output_that_could_not_be_written_is_written_later_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infraconsole.errors import JournalError

    recorder = Recorder(journal, "run", Redactor(), patience_seconds=0.0)
    append = Journal.append

    def full(*_: object) -> None:
        raise JournalError("full")

    recorder.line("apply", "one")
    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(JournalError):
        recorder.flush()
    monkeypatch.setattr(Journal, "append", append)
    recorder.line("apply", "two")
    recorder.flush()
    lines = [line for each in journal.events("run") for line in each.data["lines"]]
    assert lines == ["one", "two"]
