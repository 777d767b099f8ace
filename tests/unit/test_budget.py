"""The budget of calls: what the background sends in any window is bounded, and what a person asks for never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraconsole.aws.budget import (
    BURST_SECONDS,
    LEAST_SHARE,
    RECOVERY_SECONDS,
    Budget,
    Budgets,
    Lane,
    carried,
    reading,
)

RATE = 5.0
EVENTS = st.lists(
    st.tuples(st.sampled_from(("background", "asked", "attempt", "refused")), st.floats(0.0, 30.0)), max_size=300
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def took(budget: Budget, clock: Clock, until: float = float("inf")) -> bool:
    """A background call, sent as soon as it may be; False where that is not before `until`."""
    wait = budget.wait_seconds()
    if clock.now + wait > until:
        return False
    clock.now += wait
    while budget.wait_seconds() > 0:  # what floats leave over
        clock.now += 1e-6
    with reading(Lane.BACKGROUND):
        budget.take()
    return True


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.floats(0.5, 100.0))
def test_the_background_never_sends_more_than_rate_times_time_and_a_burst(
    events: list[tuple[str, float]], rate: float
) -> None:
    clock = Clock()
    budget = Budget(rate, now=clock)
    sent: list[float] = []
    for kind, seconds in events:
        clock.now += seconds if kind != "background" else 0.0
        if kind == "background":
            took(budget, clock)
            sent.append(clock.now)
        elif kind == "asked":
            with reading(Lane.ASKED):
                budget.take()
        elif kind == "attempt":
            budget.charge()
        else:
            budget.refused()
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= rate * (sent[last] - begin) + budget.burst + 1e-3


def test_asked_for_is_sent_at_once_and_the_background_makes_up_for_it() -> None:
    clock = Clock()
    budget = Budget(RATE, now=clock)
    for _ in range(1000):
        budget.take()  # would block for ever on a clock that stands still
    assert budget.wait_seconds() == pytest.approx((budget.burst / 2 + 1) / RATE), "and for no longer than half a burst"
    clock.now += 100 * BURST_SECONDS
    assert sum(took(budget, clock, until=clock.now) for _ in range(500)) == int(budget.burst), "nothing is saved up"


def test_throttling_slows_down_once_for_calls_under_way_together_and_wears_off() -> None:
    clock = Clock()
    budget = Budget(RATE, now=clock)
    assert budget.slowed is None
    for _ in range(20):
        budget.refused()
    assert budget.rate == pytest.approx(RATE / 2)
    assert budget.wait_seconds() > 0, "what was saved up is gone"
    clock.now += 5
    budget.refused()
    assert budget.rate < RATE / 2
    for _ in range(50):
        clock.now += 5
        budget.refused()
    assert budget.rate == pytest.approx(RATE * LEAST_SHARE)
    slowed = budget.slowed
    assert slowed is not None
    assert slowed.seconds == pytest.approx(RECOVERY_SECONDS)
    clock.now += RECOVERY_SECONDS / 2
    assert RATE / 2 < budget.rate < RATE
    clock.now += RECOVERY_SECONDS
    assert (budget.rate, budget.slowed) == (RATE, None)


def test_a_background_call_waits_in_its_thread_until_the_bucket_fills() -> None:
    budget = Budget(50.0)
    for _ in range(2000):
        budget.charge()
    done = threading.Event()

    def call() -> None:
        budget.take()
        done.set()

    with reading(Lane.BACKGROUND):
        threading.Thread(target=carried(call), daemon=True).start()
    assert not done.wait(0.5), "five seconds' worth is owed"
    assert done.wait(60)


def test_calls_are_counted_also_in_the_threads_that_a_reading_starts() -> None:
    budget = Budget(RATE, now=Clock())
    with reading(Lane.ASKED) as spent:
        budget.take()
        works: list[Callable[[], None]] = [carried(budget.take) for _ in range(3)]
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    budget.take()
    assert spent.calls == 4


def test_two_profiles_of_one_account_share_a_budget_once_that_is_known() -> None:
    budgets = Budgets(RATE)
    one, other = budgets.of("profile a", "eu-west-1"), budgets.of("profile b", "eu-west-1")
    assert one is not other
    assert budgets.learned(one, "123456789012", "eu-west-1") is one
    assert budgets.learned(other, "123456789012", "eu-west-1") is one
    assert budgets.learned(other, "123456789012", "us-east-1") is other
