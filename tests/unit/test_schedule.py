"""What is read next: rows on the screen first and often, within an account's budget, however many rows there are. Simulated on a
clock of its own, with the real limiter: what is counted is what AWS would be sent."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from infraconsole.aws.budget import Budget, Lane, reading
from infraconsole.fleet.job import Job, Told
from infraconsole.fleet.schedule import (
    IN_VIEW_SECONDS,
    PLANNED_SHARE,
    REST_SECONDS,
    TROUBLED_SECONDS,
    Entry,
    Schedule,
)

RATE = 5.0


def nothing() -> Iterator[Told | Job]:
    return iter(())


def row(number: int) -> str:
    return f"service-{number}"


def job(*rows: str, turn: float = 0.0, once: bool = False, name: str = "") -> Job:
    return Job(name or f"of {rows[0]}", "here", "prod", ("service",), rows, nothing, turn, once)


def fleet(count: int) -> list[Job]:
    everybody = tuple(map(row, range(count)))
    return [*(job(key) for key in everybody), job(*everybody, turn=15.0, name="alarms")]


class Simulation:
    """One call for each reading, `pages` for alarms; no call takes any time."""

    def __init__(self, jobs: Sequence[Job], *, pages: int = 1, rate: float = RATE) -> None:
        self.now = 1000.0
        self.pages = pages
        self.budget = Budget(rate, now=lambda: self.now)
        self.schedule = Schedule(jobs, lambda _: self.budget.rate)
        self.sent: list[tuple[float, str]] = []
        self.asked = 0

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            if int(self.now) % 3 == 0:
                self.schedule.share_out()
            while entry := self.schedule.next(self.now, lambda _: self.budget.wait_seconds() <= 0):
                self._carry_out(entry)
            self.now += 0.25

    def _carry_out(self, entry: Entry) -> None:
        calls = self.pages if entry.job.name == "alarms" else 1
        for _ in range(calls):
            with reading(Lane.ASKED if entry.asked else Lane.BACKGROUND):
                if entry.asked:
                    self.asked += 1
                else:
                    while self.budget.wait_seconds() > 0:
                        self.now += 0.05
                self.budget.take()
            self.sent.append((self.now, entry.job.name))
        self.schedule.ended(entry, self.now, calls)

    def calls_since(self, moment: float) -> Counter[str]:
        return Counter(name for at, name in self.sent if at >= moment)

    def longest_turn(self, name: str, since: float) -> float:
        times = [since, *(at for at, sent in self.sent if sent == name and at >= since), self.now]
        return max(later - before for before, later in itertools.pairwise(times))


@pytest.mark.parametrize("count", [9, 30, 300, 900])
def test_a_row_on_the_screen_costs_the_same_however_many_there_are_and_none_starves(count: int) -> None:
    shown = [row(number) for number in range(min(count, 30))]
    fleet_of = Simulation(fleet(count), pages=max(1, count // 25))
    fleet_of.schedule.look(shown, ())
    fleet_of.run(900)
    steady = fleet_of.now
    fleet_of.run(600)
    sent = fleet_of.calls_since(steady)
    assert sum(sent.values()) / 10 <= PLANNED_SHARE * RATE * 60 + 10, "calls a minute"
    each = {sent[f"of {key}"] for key in shown}
    assert each <= {37, 38, 39, 40, 41}, "of 600 seconds, every 15"
    rest = [row(number) for number in range(len(shown), count)]
    turn = fleet_of.schedule.turn_of(rest[0]) if rest else 0.0
    assert all(fleet_of.longest_turn(f"of {key}", steady) <= 1.3 * turn + 5 for key in rest)
    assert turn <= count, "a second for each row at most"
    assert fleet_of.longest_turn("alarms", steady) <= 15 + 5 * fleet_of.pages


def test_nine_rows_are_read_as_often_as_ever() -> None:
    nine = Simulation(fleet(9))
    nine.schedule.look([row(number) for number in range(9)], ())
    nine.run(600)
    assert nine.schedule.turn_of(row(3)) == IN_VIEW_SECONDS
    assert max(nine.longest_turn(f"of {row(number)}", 1000.0) for number in range(9)) < IN_VIEW_SECONDS + 1


def test_what_is_in_view_comes_first_and_waits_for_no_budget() -> None:
    fresh = Simulation(fleet(300))
    fresh.schedule.look([row(number) for number in range(200, 230)], ())
    fresh.run(0.25)
    first = [name for _, name in fresh.sent[:31]]
    assert set(first) == {"alarms", *(f"of {row(number)}" for number in range(200, 230))}
    assert fresh.asked == 31
    fresh.run(120)
    before = fresh.asked
    fresh.schedule.look([row(number) for number in range(250, 280)], ())
    fresh.run(0.25)
    assert {row(number) for number in range(250, 280)} <= {name.removeprefix("of ") for _, name in fresh.sent}
    assert before <= fresh.asked <= before + 30, "scrolled to: only what was never read is asked for"


def test_rows_in_trouble_are_read_often_though_nobody_looks_at_them() -> None:
    fleet_of = Simulation(fleet(300))
    fleet_of.schedule.look([row(number) for number in range(30)], ())
    fleet_of.run(600)
    bad = [row(number) for number in range(290, 300)]
    fleet_of.schedule.look([row(number) for number in range(30)], bad)
    begun = fleet_of.now
    fleet_of.run(300)
    assert max(fleet_of.longest_turn(f"of {key}", begun) for key in bad) < TROUBLED_SECONDS + 10
    assert fleet_of.schedule.turn_of(row(100)) > 2 * REST_SECONDS


def test_where_all_are_in_trouble_those_in_view_are_still_read_often() -> None:
    fleet_of = Simulation(fleet(300))
    fleet_of.schedule.look([row(number) for number in range(30)], [row(number) for number in range(300)])
    fleet_of.run(600)
    begun = fleet_of.now
    fleet_of.run(300)
    assert max(fleet_of.longest_turn(f"of {row(number)}", begun) for number in range(30)) < IN_VIEW_SECONDS + 5
    assert sum(fleet_of.calls_since(begun).values()) / 5 <= RATE * 60


def test_a_throttled_account_is_read_slower_and_what_is_in_view_still_first() -> None:
    fleet_of = Simulation(fleet(300))
    fleet_of.schedule.look([row(number) for number in range(30)], ())
    fleet_of.run(600)
    begun = fleet_of.now
    for _ in range(30):
        fleet_of.budget.refused()
        fleet_of.run(10)
    sent = fleet_of.calls_since(begun)
    assert sum(sent.values()) < 0.25 * RATE * 300
    assert min(sent[f"of {row(number)}"] for number in range(30)) > max(sent[f"of {row(n)}"] for n in range(100, 300))


def test_what_a_person_asks_for_is_read_now() -> None:
    fleet_of = Simulation(fleet(100))
    fleet_of.schedule.look([row(number) for number in range(10)], ())
    fleet_of.run(300)
    begun = fleet_of.now
    fleet_of.schedule.ask({row(77)})
    fleet_of.run(0.25)
    assert fleet_of.calls_since(begun)[f"of {row(77)}"] == 1
    begun, asked = fleet_of.now, fleet_of.asked
    fleet_of.schedule.ask()
    fleet_of.run(0.25)
    assert {f"of {row(number)}" for number in range(10)} | {"alarms"} <= set(fleet_of.calls_since(begun))
    assert fleet_of.asked == asked + 11, "the others follow in turn"


def test_a_reading_that_is_throttled_is_tried_again_before_its_rows_say_so() -> None:
    schedule = Schedule([job(row(1))], lambda _: RATE)
    for number in range(2):
        entry = schedule.next(1000.0 + 100 * number)
        assert entry is not None
        assert schedule.throttled(entry, 1000.0 + 100 * number)
        assert schedule.next(1001.0 + 100 * number) is None, "not at once"
        assert 0 < schedule.wait_seconds(1001.0 + 100 * number) < 60
    entry = schedule.next(1300.0)
    assert entry is not None
    assert not schedule.throttled(entry, 1300.0)
    schedule.ended(entry, 1300.0, 1)
    assert schedule.is_all_read


def test_what_a_row_needs_besides_is_read_once() -> None:
    schedule = Schedule([job(row(1), row(2), name="bucket", turn=60.0)], lambda _: RATE)
    schedule.look([row(1)], ())
    entry = schedule.next(1000.0)
    assert entry is not None
    assert entry.asked
    schedule.ended(entry, 1000.0, 1, [job(row(2), once=True), job(row(1), once=True)])
    one = schedule.next(1000.0, lambda _: False)
    assert one is not None
    assert (one.job.rows, one.asked) == ((row(1),), True), "that of the row in view is waited for, too"
    assert schedule.next(1000.0, lambda _: False) is None
    assert not schedule.is_all_read
    schedule.ended(one, 1000.0, 1)
    other = schedule.next(1000.0)
    assert other is not None
    schedule.ended(other, 1000.0, 1)
    assert schedule.is_all_read
    assert schedule.next(1001.0) is None
