"""Lines of a run's output and results of its steps, as the screen says them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from infraconsole import text
from infraconsole.screens.run.in_short import line_in_short, result_in_short
from infraconsole.screens.widgets.output import _folds

AT = datetime(2026, 12, 1, 1, 12, 0, 967000, tzinfo=UTC)
CLOCK = f"{AT.astimezone():%H:%M:%S}"
GROUP = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/fileflow-prod-tg/da15f43c92d3b5e8"
REVISION = "arn:aws:ecs:ap-northeast-2:123456789012:task-definition/fileflow-prod:6"


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (f"(service fileflow-prod-service) registered 1 targets in (target-group {GROUP})", "1 target registered"),
        ("the same again (3 ×)", "the same again (3 ×)"),
    ],
)
def test_an_event_of_ecs_has_one_time_and_few_words(line: str, short: str) -> None:
    assert line_in_short(f"{text.utc(AT)} {line}") == f"{CLOCK} {short}"


def test_why_a_task_stopped_is_said_in_few_words() -> None:
    why = "Scaling activity initiated by (deployment ecs-svc/7262101771815610576); fileflow-app exited with 143"
    assert line_in_short(f"task 32113f85 of fileflow-prod:8 is STOPPED: {why}") == (
        "task 32113f85 of fileflow-prod:8 is STOPPED: stopped by ECS: scaling or another deployment; fileflow-app exited with 143"
    )


@pytest.mark.parametrize("line", ["", "Apply complete!", "2026-12-01 01:12:00 [INFO] (service x)", f"kept {REVISION}"])
def test_what_a_program_prints_stays_as_it_is(line: str) -> None:
    assert line_in_short(line) == line


def test_a_result_names_each_thing_once_and_no_internal_one() -> None:
    result = {
        "deployment": "ecs-svc/6050330233914654534",
        "at": AT.isoformat(),
        "revision": REVISION,
        "content": REVISION,
        "changed": True,
    }
    assert result_in_short(result, AT) == f"at {CLOCK}, fileflow-prod:6"
    assert result_in_short({"serial": 10, "changed": True}, AT) == "serial 10"


@given(st.text(alphabet=st.sampled_from("ab 장é/-"), max_size=200), st.integers(4, 40))
def test_folds_lose_nothing_and_fit(words: str, width: int) -> None:
    pieces = list(_folds(words, width))
    assert "".join(words[begin:end] for begin, end in pieces) == words
    assert all(cell_len(words[begin:end].rstrip(" ")) <= width for begin, end in pieces)


def test_folds_are_between_words() -> None:
    words = "answers 200, 3 times in a row."
    assert [words[begin:end] for begin, end in _folds(words, 29)] == ["answers 200, 3 times in a ", "row."]
    assert [end - begin for begin, end in _folds("x" * 25, 10)] == [10, 10, 5], "a word that is too long is cut"
