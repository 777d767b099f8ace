"""The disk fills up while Terraform writes: how its command ended is still known, and nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraconsole.engine.journal import Journal
from tests.terraform.conftest import PLAIN, Site

pytestmark = pytest.mark.slow

YES = [("confirm", "yes")]


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self) -> None:
        handle = os.open(self.ballast, os.O_WRONLY | os.O_CREAT)
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(handle, b"x" * size)
        os.close(handle)

    def clear(self) -> None:
        self.ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def cramped(site: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose journal, plans and records of commands lie on the small disk."""
    site.journal.close()
    site.folder = disk.folder / "state"
    site.environ["INFRACONSOLE_STATE"] = str(site.folder)
    monkeypatch.setenv("INFRACONSOLE_STATE", str(site.folder))
    usual, site.journal = site.journal, Journal(site.folder)
    yield site
    assert site.journal.verify().problems == ()
    site.journal.close()
    site.journal = Journal(usual.folder)  # the disk is gone before the site is


def test_a_disk_that_fills_up_under_an_apply_swallows_neither_its_end_nor_its_state(
    cramped: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = cramped
    site.write(f"{PLAIN}{site.waiting()}")
    run = site.start(monkeypatch, answers=YES)
    site.until_applying(run)
    disk.fill()
    site.go.touch()
    site.until(lambda: site.lock() is None, "the apply to end")
    site.until_gone(run)
    assert not site.record(run).finished, "an end that cannot be written down is none"
    disk.clear()
    site.resume(run)
    record = site.finished(run)
    assert (record.outcome, record.exit_code) == ("done", 0), record.ending
    assert set(site.values()) == {"first", "second", "slow"}
    assert (site.applies(run), site.makings) == (1, 1)
    assert site.deploy("--dry-run").result("read-plan")["words"] == "nothing to do"


def test_a_disk_that_is_full_when_the_plan_is_written_costs_a_run_and_nothing_else(
    cramped: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = cramped
    before = site.seed(first="old", second="build-1")
    run = site.start(monkeypatch, kill="hold:step-started:plan", answers=YES)
    site.until(lambda: site.events(run, "step-started", "plan"), "the plan")
    (site.folder / "go").touch()
    disk.fill()
    site.until(lambda: site.lock() is None or site.events(run, "step-failed"), "the plan to end")
    disk.clear()
    site.until_gone(run)
    record = site.record(run)
    if not record.finished:
        site.resume(run)
        record = site.finished(run)
    if record.outcome == "done":  # it had waited for room with all of it
        assert site.applies(run) == 1
    else:
        assert (record.outcome, site.applies(run), site.versions()) == ("failed", 0, [before])
    assert site.lock() is None
    assert site.deploy().code == 0
    assert site.values()["first"] == "one"
