"""The clock of waits and deadlines."""

from __future__ import annotations

import ast
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infraconsole import clock
from infraconsole.clock import Deadline, Stamp
from infraconsole.world import folder as world_folder

ROOT = Path(__file__).parents[2]


class Hands:
    """The clock's hands, moved by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(clock, "seconds", lambda: self.now)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_the_clock_counts_sleep_and_runs_forward() -> None:
    before = clock.seconds()
    assert clock.seconds() >= before
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(clock.seconds() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
    assert clock.boot() == clock.boot()


def test_where_the_boot_cannot_be_told_a_stamp_is_good_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_BOOT_ID", Path("/nowhere"))
    clock.boot.cache_clear()
    try:
        here = Stamp.now()
        assert here.age is not None
        clock.boot.cache_clear()  # as in another process
        assert here.age is None
    finally:
        clock.boot.cache_clear()


def test_a_stamp_is_of_no_meaning_after_a_restart(hands: Hands) -> None:
    stamp = Stamp.from_json({"clock": Stamp.now().as_json()})
    assert stamp
    hands.now += 20
    assert stamp.age == 20
    assert Stamp(stamp.seconds, stamp.awake, "another boot").age is None
    awake = stamp.awake_age
    assert awake is not None
    assert awake < 20, "what the machine slept is not in it"
    assert Stamp.from_json({}) is None
    assert Stamp.from_json({"clock": {"seconds": "?"}}) is None


def test_a_deadline_that_is_looked_at_passes_when_its_time_is_over(hands: Hands) -> None:
    deadline = Deadline(60)
    for _ in range(29):
        hands.now += 2
        assert not deadline.is_over()
    hands.now += 2
    assert deadline.is_over()


@pytest.mark.parametrize("spent", [0, 30, 59])
def test_an_hour_in_which_nobody_looked_does_not_use_a_deadline_up(hands: Hands, spent: int) -> None:
    deadline = Deadline(60)
    for _ in range(spent):
        hands.now += 1
        assert not deadline.is_over()
    hands.now += 3600
    assert not deadline.is_over()
    hands.now += 1
    assert not deadline.is_over(), "it is looked at again"
    for _ in range(70):
        hands.now += 1
        if deadline.is_over():
            return
    raise AssertionError("it never passes")


def test_of_an_hour_asleep_a_tenth_of_the_limit_counts(hands: Hands) -> None:
    deadline = Deadline(60)
    hands.now += 3600
    assert not deadline.is_over()
    for _ in range(53):
        hands.now += 1
        assert not deadline.is_over()


def test_a_deadline_passes_however_slow_the_looks_are(hands: Hands) -> None:
    deadline = Deadline(60)
    for _ in range(20):
        hands.now += 3600
        if deadline.is_over():
            return
    raise AssertionError("it never passes")


def test_nothing_waits_by_the_time_of_day() -> None:
    """No runbook and nothing of the engine adds to or subtracts from `now()`: what waits takes a Deadline."""
    found = []
    for folder in ("runbooks", "infraconsole/engine"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
                    sides = (node.left, node.right)
                    found += [f"{file.name}:{node.lineno}" for side in sides if _is_now(side)]
                if isinstance(node, ast.Compare) and any(_is_now(side) for side in (node.left, *node.comparators)):
                    found.append(f"{file.name}:{node.lineno}")
                if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.monotonic"):
                    found.append(f"{file.name}:{node.lineno}")
    assert found == []


def _is_now(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("now", "utcnow")


HERE = "http://127.0.0.1:5000"


def told(file: Path, factor: float, ahead: timedelta, **otherwise: object) -> None:
    tempo = clock.Tempo(datetime.now(UTC) + ahead, time.monotonic(), factor)
    file.write_text(json.dumps({**clock.ToldTime.here(HERE, tempo).as_json(), **otherwise}))


def ended_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_an_emulator_on_this_machine_keeps_a_time_of_day_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clock.json"
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")
    told(file, 1000.0, timedelta(hours=3))
    first = clock.now()
    assert timedelta(hours=3) <= first - datetime.now(UTC) < timedelta(hours=9)
    time.sleep(0.05)
    assert clock.now() - first >= timedelta(seconds=50)
    told(file, 1.0, timedelta(days=2))
    assert clock.now() - datetime.now(UTC) > timedelta(days=1), "it may be changed at any time"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:5000")
    assert clock.now() - datetime.now(UTC) > timedelta(days=1), "this is the same emulator"


@pytest.mark.parametrize("endpoint", ["", "https://ecs.eu-west-1.amazonaws.com", "http://10.0.0.5:5000"])
def test_nothing_else_moves_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    file = tmp_path / "clock.json"
    told(file, 1.0, timedelta(days=2))
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(hours=1)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"endpoint": "http://127.0.0.1:5001"},
        {"endpoint": "http://127.0.0.1"},
        {"boot": "an earlier start of the machine"},
        {"pid": ended_process()},
        {"pid": 0},
        {"pid": -1},
        {"pid": None},
        {"since": time.monotonic() + 86_400},
    ],
)
def test_an_emulator_that_has_ended_no_longer_moves_the_time_of_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, otherwise: dict[str, object]
) -> None:
    file = tmp_path / "clock.json"
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", HERE)
    told(file, 1.0, timedelta(days=2))
    assert clock.now() - datetime.now(UTC) > timedelta(days=1)
    told(file, 1.0, timedelta(days=2), **otherwise)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(hours=1)


def test_a_machine_that_does_not_tell_its_start_has_the_emulator_s_time_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clock.json"
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", HERE)
    monkeypatch.setattr(clock, "_boot_id", lambda: "")
    told(file, 1.0, timedelta(days=2))
    assert clock.now() - datetime.now(UTC) > timedelta(days=1)


def test_a_world_that_ends_takes_its_clock_with_it(tmp_path: Path) -> None:
    world_folder.write_clock(tmp_path, HERE, clock.Tempo(datetime.now(UTC), 0.0, 1.0))
    (tmp_path / world_folder.WORLD_FILE).write_text("{}")
    world_folder.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "", "{}", '{"at": 1, "since": 2, "factor": 3}', '{"at": "x"}'])
def test_a_clock_that_cannot_be_read_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "clock.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(hours=1)
