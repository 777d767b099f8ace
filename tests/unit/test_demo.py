"""What the demo says of itself, and how long its world stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from infraconsole import cli
from infraconsole.cli import demo
from infraconsole.errors import JournalError, UsageError
from infraconsole.world import process, procs, server
from infraconsole.world.scenarios import SCENARIOS


def test_the_help_lists_every_scenario_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for scenario in SCENARIOS.values():
        assert f"{scenario.name} {scenario.summary}" in shown


def stays(watch: server.Watch, *, wanted: bool, seconds: float) -> threading.Thread:
    thread = threading.Thread(target=watch._stay, args=(lambda: wanted, seconds), daemon=True)
    thread.start()
    return thread


def test_a_world_that_was_left_stays_while_it_is_used(tmp_path: Path) -> None:
    watch = server.Watch(tmp_path, linger=False)
    calls = iter(range(10_000))
    watch.calls = lambda: next(calls)
    used = stays(watch, wanted=True, seconds=0.1)
    time.sleep(1.6)
    assert used.is_alive()
    watch.calls = lambda: 7
    used.join(10)
    assert not used.is_alive()


def test_a_world_stays_for_a_run_under_way_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = {1: "mark"}
    monkeypatch.setattr(procs, "executors", lambda _: running)
    watch = server.Watch(tmp_path, linger=False)
    kept = stays(watch, wanted=False, seconds=0.0)
    time.sleep(1.2)
    assert kept.is_alive()
    running.clear()
    kept.join(10)
    assert not kept.is_alive()


class AWorld:
    """What the demo does to a world that it started."""

    scenario, endpoint = "healthy", "http://127.0.0.1:1"

    def __init__(self, root: Path) -> None:
        self.dir = root
        self.done: list[str] = []

    def outlive(self) -> None:
        self.done.append("outlive")

    def linger(self) -> None:
        self.done.append("linger")

    def stop(self) -> None:
        self.done.append("stop")

    def apply(self) -> None:
        pass

    def call(self, *words: str) -> str:
        return " ".join(words)

    def change_scenario(self, name: str) -> None:
        self.done.append(name)


@pytest.mark.parametrize(
    "failure", [UsageError("no terminal"), JournalError("damaged"), RuntimeError("a defect"), KeyboardInterrupt()]
)
@pytest.mark.parametrize(("runs", "ends"), [([], "stop"), (["run-1"], "linger")])
def test_a_console_that_fails_leaves_no_world_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, runs: list[str], ends: str
) -> None:
    world = AWorld(tmp_path)

    def fail(**_: object) -> int:
        raise failure

    monkeypatch.setattr(demo, "_new_world", lambda *_, **__: world)
    monkeypatch.setattr(demo, "console", fail)
    monkeypatch.setattr(process, "resumable_runs", lambda _: runs)
    with pytest.raises(type(failure)):
        demo._with_console(None, "healthy", 1.0)
    assert world.done == ["outlive", ends]
