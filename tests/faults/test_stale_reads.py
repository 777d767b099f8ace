"""What AWS shows lags behind what it was told: one UpdateService for each rollback all the same, and none that was carried out is
taken for one that was not. Each case counts the calls at the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import ENGINE, Stage

pytestmark = pytest.mark.slow

SERVICES = ("DescribeServices",)
BOTH = ("DescribeServices", "ListServiceDeployments")


def settling(stage: Stage, seconds: float, watch_minutes: float = 1.0) -> None:
    settings = Path(stage.environ["INFRACONSOLE_CONFIG"])
    settings.write_text(
        settings.read_text().replace(
            ENGINE, f"settle_seconds = {seconds}\npoll_seconds = 0.5\nwatch_minutes = {watch_minutes}\n"
        )
    )


def rolled_back_once(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, stop_first: bool = False) -> None:
    if stop_first:
        run = stage.begin(monkeypatch, "fileflow", "prod", in_flight="stop-first", revision="5")
    else:
        run = stage.begin(monkeypatch, "fileflow", "prod")
    stage.until(lambda: stage.record(run).finished, "the run to finish", seconds=180)
    record = stage.record(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService", accepted=False)) == len(stage.calls("UpdateService")) == 1
    stage.world.clear_faults()
    primary = stage.service("fileflow", "prod").primary
    assert primary is not None
    assert record.step("watch").result["deployment"] == primary.id
    assert primary.rollout_state == "COMPLETED"


@pytest.mark.parametrize(
    ("operations", "seconds", "share"),
    [(SERVICES, 3.0, 1.0), (SERVICES, 20.0, 1.0), (BOTH, 6.0, 1.0), (BOTH, 6.0, 0.5)],
    ids=["3s", "20s", "list-too", "alternating"],
)
def test_without_any_fault(
    stage_factory: Callable[..., Stage],
    monkeypatch: pytest.MonkeyPatch,
    operations: tuple[str, ...],
    seconds: float,
    share: float,
) -> None:
    stage = stage_factory("bad-image", factor=120.0)
    settling(stage, 3)
    for operation in operations:
        stage.world.fault("lag", operation=operation, seconds=seconds, share=share)
    rolled_back_once(stage, monkeypatch)


@pytest.mark.parametrize(
    ("operations", "share"), [(SERVICES, 1.0), (BOTH, 1.0), (BOTH, 0.5)], ids=["services", "list-too", "alternating"]
)
def test_after_a_lost_answer(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, operations: tuple[str, ...], share: float
) -> None:
    stage = stage_factory("bad-image", factor=120.0)
    settling(stage, 15)
    for operation in operations:
        stage.world.fault("lag", operation=operation, seconds=10.0, share=share)
    stage.world.fault("drop-after", operation="UpdateService", count=1)
    rolled_back_once(stage, monkeypatch)


@pytest.mark.parametrize("kill", ["after:call-done:update", "before:step-finished:update"])
def test_killed_between_the_answer_and_the_end_of_the_step(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, kill: str
) -> None:
    """What the answer named is in the journal, so that no look is needed which would show the service as it was."""
    stage = stage_factory("bad-image", factor=120.0)
    for operation in BOTH:
        stage.world.fault("lag", operation=operation, seconds=8.0)
    run = stage.begin(monkeypatch, "fileflow", "prod", kill=kill)
    stage.until_gone(run)
    stage.resume(run)
    stage.until(lambda: stage.record(run).finished, "the run to finish", seconds=120)
    record = stage.record(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService", accepted=False)) == 1


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_around_a_stop_of_what_is_in_flight(
    stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Behind the stop ECS still shows the service as it was before: the update is not taken for overtaken by that."""
    stage = stage_factory("never-stable", factor=120.0)
    settling(stage, 6)
    for operation in BOTH:
        stage.world.fault("lag", operation=operation, seconds=3.0, share=share)
    rolled_back_once(stage, monkeypatch, stop_first=True)
    assert len(stage.calls("StopServiceDeployment", accepted=False)) == 1


def test_a_lost_answer_of_the_stop(stage_factory: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_factory("never-stable", factor=120.0)
    settling(stage, 6)
    for operation in BOTH:
        stage.world.fault("lag", operation=operation, seconds=4.0)
    stage.world.fault("drop-after", operation="StopServiceDeployment", count=1)
    rolled_back_once(stage, monkeypatch, stop_first=True)
    assert len(stage.calls("StopServiceDeployment", accepted=False)) == 1
