"""Lines of a run's output and results of its steps, as the screen says them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from infraconsole import text
from infraconsole.screens.log_lines import without_stamp
from infraconsole.screens.run.in_short import line_in_short, result_in_short
from infraconsole.screens.times import when
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


@pytest.mark.parametrize("at", ["2026-13-45T99:99:99.000Z", "2026-02-30T01:00:00.000Z"])
def test_a_time_that_is_none_stays_as_it_was_printed(at: str) -> None:
    assert line_in_short(f"{at} (service x) has reached a steady state.").startswith(at)
    assert result_in_short({"at": at}, AT) == f"at {at}"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"])
def test_the_ends_of_time_are_told_in_every_zone(monkeypatch: pytest.MonkeyPatch, zone: str, at: str) -> None:
    """Go's zero time stands in locks and logs."""
    with monkeypatch.context() as here:
        here.setenv("TZ", zone)
        time.tzset()
        assert line_in_short(f"{at} said").endswith(" said")
        assert without_stamp(f"{at} said", AT).endswith("said")
        moment = text.moment(at)
        assert moment
        assert when(moment, AT).endswith("ago)")
        assert text.local_time(moment)
    time.tzset()


def test_a_time_of_others_is_told_in_utc_or_not_at_all() -> None:
    assert text.moment("2026-12-01T10:12:00.967000123+09:00") == AT
    assert text.moment("2026-12-01T01:12:00.967") == AT, "without a zone it is UTC"
    assert text.moment("0001-01-01T00:00:00+09:00") is None, "before the first year"
    assert text.moment("now") is None


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
