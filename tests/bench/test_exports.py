"""Exports against the AWS CLI (version 1, from PyPI, in a virtual environment of its own: `make bench` makes it).

Both sides are whole processes on the same world, in turns. What the screen shows first is timed in a real terminal, from
the key that opens it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import Ssm
from infraconsole.exports import listing
from infraconsole.exports.pace import Pace
from infraconsole.world.process import World
from tests.bench.conftest import Figures, percentile
from tests.bench.terminals import Terminal, opened
from tests.world.conftest import client, worlds

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

CLI = os.environ.get("INFRACONSOLE_AWS_CLI", "")
CONSOLE = Path(sys.executable).parent / "infraconsole"
MANY = 5_000
ROOT = "/shared"
LIST = ("ssm", "get-parameters-by-path", "--recursive", "--path", ROOT, "--output", "json")

needs_cli = pytest.mark.skipif(not CLI, reason="INFRACONSOLE_AWS_CLI does not name the AWS CLI; `make bench` sets it")


def fill(world: World, count: int) -> None:
    ssm = client(world, "ssm", attempts=3)

    def put(number: int) -> None:
        name = f"{ROOT}/bench/service-{number % 50:02}/value-{number:05}"
        ssm.put_parameter(Name=name, Value=f"value {number}", Type="String")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(count)))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with worlds(tmp_path_factory.mktemp("large")) as make:
        world = make("healthy", 1.0)
        fill(world, MANY)
        yield world


def timed(command: Sequence[str | Path], environ: Mapping[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    return time.perf_counter() - began, done.stdout


def in_turns(
    ours: Sequence[str | Path], theirs: Sequence[str | Path], environ: Mapping[str, str], times: int
) -> tuple[list[float], list[float], str, str]:
    our_times, their_times = [], []
    for _ in range(times):
        seconds, told = timed(ours, environ)
        our_times.append(seconds)
        seconds, said = timed(theirs, environ)
        their_times.append(seconds)
    return our_times, their_times, told, said


@needs_cli
def test_five_thousand_exports_headless(figures: Figures, large: World) -> None:
    environ = large.applied()
    ours, theirs, told, said = in_turns((CONSOLE, "exports", "--json"), (CLI, *LIST), environ, 3)
    values = {one["name"]: one["value"] for one in json.loads(told)["exports"] if one["type"] != "SecureString"}
    wanted = {one["Name"]: one["Value"] for one in json.loads(said)["Parameters"] if one["Type"] != "SecureString"}
    assert values == wanted, "complete and true"
    ratio = statistics.median(ours) / statistics.median(theirs)
    figures.add(
        f"`infraconsole exports --json` of {len(values):,} exports, checks and code included, against the AWS CLI's list",
        f"{ratio:.2f} ×",
        "at most 1.1 ×",
        f"medians of {len(ours)} in turns: {statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s",
    )
    assert ratio <= 1.1


@needs_cli
def test_a_small_account_headless(figures: Figures, tmp_path: Path) -> None:
    """Thirteen exports under a root of their own: the guide's, and nothing else."""
    with worlds(tmp_path) as make:
        world = make("healthy", 1.0)
        ssm = client(world, "ssm")
        for number in range(13):
            ssm.put_parameter(Name=f"/few/network/value-{number:02}", Value="v", Type="String")
        environ = world.applied()
        settings = Path(environ["INFRACONSOLE_CONFIG"])
        settings.write_text(settings.read_text().replace('export_root = "/shared"', 'export_root = "/few"'))
        theirs = (CLI, "ssm", "get-parameters-by-path", "--recursive", "--path", "/few", "--output", "json")
        ours, cli, told, _ = in_turns((CONSOLE, "exports", "--no-checks", "--json"), theirs, environ, 9)
    assert len(json.loads(told)["exports"]) == 13
    ratio = statistics.median(ours) / statistics.median(cli)
    figures.add(
        "`infraconsole exports --no-checks --json` of 13 exports, against the AWS CLI's list",
        f"{ratio:.2f} ×",
        "at most 1.2 ×",
        f"medians of {len(ours)} in turns: {statistics.median(ours):.2f} s against {statistics.median(cli):.2f} s",
    )
    assert ratio <= 1.2


@needs_cli
def test_values_whose_names_are_known(figures: Figures, large: World) -> None:
    """In a warm process, as on the screen: only the values are waited for, not the sweep for new names."""
    environ = large.applied()
    access = AwsAccess(region=large.region, environ=environ)
    ssm = Ssm(access)
    names = [parameter.name for parameter in listing.whole(ssm, Pace(ssm.has_high_throughput), ROOT)]
    ours = []
    for _ in range(3):
        began = time.perf_counter()
        valued: set[str] = set()
        news = listing.read(ssm, Pace(ssm.has_high_throughput), ROOT, names)
        for update in news:
            valued.update(one.name for one in update.parameters if one.value is not None or one.type == "SecureString")
            if len(valued) == len(names):
                break
        ours.append(time.perf_counter() - began)
        news.close()
    theirs = [timed((CLI, *LIST), environ)[0] for _ in range(2)]
    ratio = statistics.median(ours) / statistics.median(theirs)
    figures.add(
        f"{len(names):,} values refreshed whose names are known, against the AWS CLI's list",
        f"{ratio:.2f} ×",
        "at most 0.2 ×",
        f"medians: {statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s",
    )
    assert ratio <= 0.2


@needs_cli
def test_the_first_rows_on_the_screen(figures: Figures, large: World) -> None:
    """From the key that opens the screen: first with no last visit, then with one and AWS a second away."""
    environ = large.applied()
    theirs = statistics.median(timed((CLI, *LIST), environ)[0] for _ in range(2))
    with opened([CONSOLE], environ) as terminal:
        terminal.wait_for("crawler prod")
        terminal.settle(1.0)
        pressed = terminal.press("x")
        live = terminal.wait_for("value-00") - pressed
        terminal.wait_for("all in order", seconds=180)
    ratio = live / theirs
    figures.add(
        f"first live rows of {MANY:,} exports on the screen, against the AWS CLI's list",
        f"{ratio:.3f} ×",
        "at most 0.05 ×",
        f"{live:.2f} s from the key press, against {theirs:.2f} s",
    )
    large.fault("delay", seconds=1.0)
    try:
        with opened([CONSOLE], environ) as terminal:
            terminal.wait_for("crawler prod")
            terminal.settle(1.0)
            pressed = terminal.press("x")
            remembered = terminal.wait_for("value-00") - pressed
    finally:
        large.clear_faults()
    figures.add(
        "the last visit's rows on the screen, while AWS is a second away",
        f"{remembered * 1000:.0f} ms",
        "before any call returns",
        "from the key press",
    )
    assert ratio <= 0.05
    assert remembered < 1.0


@pytest.fixture
def listed(large: World) -> Iterator[Terminal]:
    fill_more = 10_000 - MANY
    ssm = client(large, "ssm", attempts=3)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda number: ssm.put_parameter(
                    Name=f"{ROOT}/bench/more-{number % 50:02}/other-{number:05}", Value="v", Type="String"
                ),
                range(fill_more),
            )
        )
    with opened([CONSOLE], large.applied()) as terminal:
        terminal.wait_for("crawler prod")
        terminal.settle(1.0)
        terminal.press("x")
        terminal.wait_for("all in order", seconds=300)
        terminal.settle(2.0)
        yield terminal


def test_filtering_ten_thousand_exports(figures: Figures, listed: Terminal) -> None:
    times = []
    for _ in range(10):
        listed.settle()
        listed.press("/")
        listed.settle(0.2)
        for typed, shows in (("v", "value-00"), ("a", "value-00"), ("lue-0007", "value-00070")):
            for letter in typed[:-1]:
                listed.press(letter)
                listed.settle(0.05)
            listed.settle()
            pressed = listed.press(typed[-1])
            times.append(listed.wait_for(shows) - pressed)
        listed.press("\x1b")
        listed.settle(0.2)
    last = percentile(times, 99)
    figures.add(
        "a letter typed into the filter over 10,000 exports",
        f"p50 {statistics.median(times) * 1000:.0f} ms, p99 {last * 1000:.0f} ms",
        "within 50 ms",
        f"{len(times)} key presses in a real terminal, key to drawn frame",
    )
    assert last < 0.050
