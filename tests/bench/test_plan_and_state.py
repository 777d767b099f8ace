"""Large plans and states against the time that Python's own JSON reader takes for the same bytes, and against tftui."""

from __future__ import annotations

import copy
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infraconsole.checks import plan_review, stateful
from infraconsole.runbooks.applied import Applied
from infraconsole.terraform import events, plan, state_diff
from tests.bench.conftest import Figures, median_seconds, seconds
from tests.unit.test_terraform_steps import event

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

DATA = Path(__file__).parents[1] / "unit" / "data"
RESOURCES = 10_000
CHANGES = 5_000
TIMES = 9

TFTUI = """
import asyncio, os, sys, time
from pathlib import Path
from tftui.app import TerraformTUI
from tftui.config import Settings
from tftui.terraform.client import TerraformClient
from tftui.terraform.executor import TerraformExecutor

async def main():
    folder = Path(sys.argv[1])
    client = TerraformClient(TerraformExecutor("terraform", cwd=folder))
    began = time.perf_counter()
    state = (await client.load_state()).state
    read = time.perf_counter() - began
    app = TerraformTUI(client, Settings(run_init=False, offline=True, working_dir=folder))
    began = time.perf_counter()
    async with app.run_test(size=(120, 40)):
        while app.state_tree.loading or not app.state_tree.root.children:
            await asyncio.sleep(0.01)
        print(time.perf_counter() - began, read, len(state), flush=True)
        os._exit(0)  # its own way out trips over messages that are still under way

asyncio.run(main())
"""


def large_state(*, changed: int = 0) -> bytes:
    """20 MB, as Terraform writes it; every so manieth instance of `changed` has other attributes."""
    document = json.loads((DATA / "state-aws-before.json").read_bytes())
    kinds = [each for each in document["resources"] if each["mode"] == "managed"]
    resources = []
    for number in range(RESOURCES):
        resource = copy.deepcopy(kinds[number % len(kinds)])
        del resource["instances"][1:]
        attributes = resource["instances"][0]["attributes"]
        attributes.update(id=f"id-{number}", arn=f"arn:aws:x:ap-northeast-2:123456789012:thing/{number}")
        attributes["tags_all"] = {f"Tag{each}": f"value {each} of {number}" for each in range(14)}
        if changed and number % (RESOURCES // changed) == 0:
            attributes["tags_all"]["Tag3"] = "another value"
        resource.update(name=f"r{number}", module=f"module.m{number % 50}")
        resources.append(resource)
    return json.dumps({**document, "resources": resources}, indent=2).encode()


def large_plan() -> bytes:
    document = json.loads((DATA / "plan-aws.json").read_bytes())
    kinds = [each for each in document["resource_changes"] if each["change"]["actions"] != ["no-op"]]
    changes = []
    for number in range(CHANGES):
        change: dict[str, Any] = copy.deepcopy(kinds[number % len(kinds)])
        module = f"module.m{number % 50}"
        change.update(address=f"{module}.{change['type']}.r{number}", name=f"r{number}", module_address=module)
        changes.append(change)
    return json.dumps({**document, "resource_changes": changes}).encode()


_READER = """
import json, statistics, sys, time
from pathlib import Path

def seconds():
    began = time.process_time()
    kept = [json.loads(document) for document in documents]
    return time.process_time() - began

documents = [Path(each).read_bytes() for each in sys.argv[2:]]
print(statistics.median(seconds() for _ in range(int(sys.argv[1]))))
"""


def reading_seconds(folder: Path, *documents: bytes, times: int = TIMES) -> float:
    """CPU seconds that json.loads takes for all of them, in a Python that does nothing else: here it would pay for what the
    collector finds of ours, or of pytest. A median."""
    files = [folder / f"document-{number}.json" for number in range(len(documents))]
    for file, document in zip(files, documents, strict=True):
        file.write_bytes(document)
    done = subprocess.run(
        [sys.executable, "-c", _READER, str(times), *files], check=True, capture_output=True, timeout=120
    )
    return float(done.stdout)


def cpu_seconds(attempt: Callable[[], object]) -> float:
    """A median."""

    def once() -> float:
        began = time.process_time()
        attempt()
        return time.process_time() - began

    return statistics.median(once() for _ in range(TIMES))


def peak_bytes(attempt: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        kept = attempt()
        return tracemalloc.get_traced_memory()[1] if kept is not None else 0
    finally:
        tracemalloc.stop()


def test_two_large_states_are_compared(figures: Figures, tmp_path: Path) -> None:
    before, after = large_state(), large_state(changed=100)
    size = len(before) + len(after)
    assert size > 2 * 19_000_000

    def compare() -> state_diff.StateComparison:
        found = state_diff.compare(before, after)
        assert len(found.resources) == 100
        for each in found.resources:
            assert each.attributes()
        return found

    ours, theirs = cpu_seconds(compare), reading_seconds(tmp_path, before, after)
    ratio = ours / theirs
    detail = f"{ours:.2f} s and {theirs:.2f} s, with the attributes of 100 changed ones"
    figures.add(
        f"two states of {size / 2e6:.0f} MB compared, against json.loads of both",
        f"{ratio:.2f} ×",
        "at most 2 ×",
        detail,
    )
    assert ratio <= 2
    memory = (peak_bytes(compare) + size) / size
    figures.add(
        "memory for that, against their size", f"{memory:.1f} ×", "under 6 ×", "the bytes themselves counted in"
    )
    assert memory < 6


def test_states_that_differ_everywhere(figures: Figures, tmp_path: Path) -> None:
    """The worst case for the comparison: no instance is equal, and all attributes are looked at."""
    before, after = large_state(), large_state(changed=RESOURCES)
    ratio = cpu_seconds(lambda: state_diff.compare(before, after)) / reading_seconds(tmp_path, before, after)
    figures.add("the same with every instance changed", f"{ratio:.2f} ×", "at most 2 ×")
    assert ratio <= 2
    found = state_diff.compare(before, after)
    assert len(found.resources) == RESOURCES
    each = seconds(lambda: [change.attributes() for change in found.resources]) / RESOURCES
    figures.add("attributes of one changed instance", f"{each * 1e6:.0f} µs", "under 2,000 µs")
    assert each < 0.002


def test_a_large_plan_is_read(figures: Figures, tmp_path: Path) -> None:
    data, table = large_plan(), stateful.load()

    def read() -> None:
        found = plan.read(data)
        assert found.tree().totals().changing
        assert found.totals().words()
        assert found.dangerous(table)
        assert found.changes[0].attributes()

    ours, theirs = cpu_seconds(read), reading_seconds(tmp_path, data)
    ratio = ours / theirs
    detail = f"{len(data) / 1e6:.0f} MB, {ours * 1000:.0f} ms and {theirs * 1000:.0f} ms: tree, totals, dangerous ones"
    figures.add(f"a plan of {CHANGES:,} changes read, against json.loads", f"{ratio:.2f} ×", "at most 1.5 ×", detail)
    assert ratio <= 1.5
    found = plan.read(data)
    each = seconds(lambda: [change.attributes() for change in found.changes]) / CHANGES
    figures.add("attributes of one change", f"{each * 1e6:.0f} µs", "under 2,000 µs")
    assert each < 0.002
    took = seconds(lambda: plan_review.review(found, table))
    figures.add(f"review of {CHANGES:,} changes", f"{took:.2f} s", "under 5 s")
    assert took < 5


def test_an_event_of_a_large_apply_costs_what_one_of_a_small_apply_does(figures: Figures) -> None:
    """Of thousands of resources, an event moves one; rows and progress are told after each."""

    def each_of(count: int) -> float:
        planned = {f"aws_sqs_queue.q{number}": 2 for number in range(count)}
        told = [
            events.parse(event(kind, address, action=action, elapsed_seconds=1))
            for address in planned
            for action in ("delete", "create")
            for kind in ("apply_start", "apply_complete")
        ]

        def take() -> None:
            applied = Applied(planned)
            for each in told:
                assert isinstance(each, events.Apply)
                applied.take(each)
                applied.rows()
            assert applied.done == count

        return median_seconds(take, times=3) / len(told)

    small, large = each_of(CHANGES // 10), each_of(CHANGES)
    ratio = large / small
    detail = f"{large * 1e6:.0f} µs and {small * 1e6:.0f} µs an event"
    what = f"an event of an apply of {CHANGES:,} resources, against one of {CHANGES // 10}"
    figures.add(what, f"{ratio:.2f} ×", "at most 2 ×", detail)
    assert ratio <= 2


@pytest.fixture(scope="module")
def tftui(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with tftui, in an environment of its own. Skips where there is none to be had."""
    folder = tmp_path_factory.mktemp("tftui")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    installed = subprocess.run(
        [folder / "bin" / "pip", "install", "--quiet", "tftui"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if installed.returncode or shutil.which("terraform") is None:
        pytest.skip("tftui or Terraform is not to be had here")
    return folder / "bin" / "python"


def test_opening_a_large_state_against_tftui(figures: Figures, tftui: Path, tmp_path: Path) -> None:
    """tftui headless until its tree stands; ours as a whole process that reads the state and lists it."""
    provider = 'provider["terraform.io/builtin/terraform"]'
    resources = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": f"r{number}",
            "module": f"module.m{number % 50}",
            "provider": provider,
            "instances": [
                {
                    "schema_version": 0,
                    "attributes": {
                        "id": f"id-{number}",
                        "input": {"value": f"{number} " * 300, "type": "string"},
                        "output": None,
                        "triggers_replace": None,
                    },
                }
            ],
        }
        for number in range(RESOURCES)
    ]
    head = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": "l", "outputs": {}}
    state = tmp_path / "terraform.tfstate"
    state.write_text(json.dumps({**head, "resources": resources}, indent=2))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}

    script = tmp_path / "drive.py"
    script.write_text(TFTUI)
    driven = subprocess.run(
        [tftui, script, tmp_path], capture_output=True, text=True, env=environment, check=True, timeout=400
    )
    opened, loaded, count = map(float, driven.stdout.split())
    assert count == RESOURCES

    ours = (
        "import sys, pathlib; from infraconsole.terraform.state_diff import addresses;"
        f"sys.exit(len(addresses(pathlib.Path(sys.argv[1]).read_bytes())) != {RESOURCES})"
    )
    took = median_seconds(lambda: subprocess.run([sys.executable, "-c", ours, state], check=True), times=3)
    size = state.stat().st_size / 1e6
    detail = f"tftui: {opened:.2f} s to its tree, {loaded:.2f} s of that reading; ours: {took:.2f} s to read and list"
    figures.add(f"a state of {size:.0f} MB opened, against tftui", f"{took / opened:.3f} ×", "under 1 ×", detail)
    assert took < opened
    assert took < loaded
