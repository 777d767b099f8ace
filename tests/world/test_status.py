"""`infraconsole status` on the embedded world: what stands wrong is said with its exit code, and nothing but reads is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine.event import Kind
from infraconsole.world.process import World
from tests.screens.runs import FakeExecutor
from tests.world.conftest import WorldFactory, client, worlds

READS = ("Describe", "Get", "BatchGet", "List", "Head", "Filter")
PROD = ("--service", "fileflow", "--env", "prod")
ENDPOINT = "/shared/rds/prod/endpoint"


IMPATIENT = """
import sys
from infraconsole.cli import main, status
status.PATIENCE_SECONDS = 3.0
sys.exit(main())
"""


def status(
    world: World, *arguments: str, program: tuple[str, ...] = ("-m", "infraconsole"), **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, "status", *arguments],
        env={**world.applied(), **environ},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert "Traceback" not in done.stderr, done.stderr
    document = json.loads(done.stdout)
    assert document["at"].endswith("Z")
    return list(document["rows"])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldFactory]:
    with worlds(tmp_path_factory.mktemp("worlds")) as factory:
        yield factory


@pytest.fixture(scope="module")
def healthy(make: WorldFactory) -> World:
    return make("healthy", 1.0)


def test_all_is_well_and_nothing_is_changed_in_aws(healthy: World) -> None:
    before = healthy.calls()[-1]["seq"] if healthy.calls() else 0
    done = status(healthy, "--json")
    found = rows(done)
    assert (done.returncode, {row["level"] for row in found}, len(found)) == (0, {"ok"}, 9), found
    prod = next(row for row in found if (row["service"], row["environment"]) == ("fileflow", "prod"))
    assert set(prod) >= {"level", "reasons", "serving_image", "rolling_image", "tasks", "desired", "run"}
    assert (prod["reasons"], prod["tasks"], prod["desired"], prod["rolling_image"]) == ([], 3, 3, None)
    sent = {call["operation"] for call in healthy.calls(since=before)}
    assert sent
    assert [operation for operation in sent if not operation.startswith(READS)] == []


def test_one_service_and_names_that_are_not_there(healthy: World, tmp_path: Path) -> None:
    done = status(healthy, "--service", "authhub", "--env", "dev")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert done.stdout.startswith("✓ ok")
    wrong = status(healthy, "--service", "fileflwo")
    assert wrong.returncode == 2
    assert "fileflow" in wrong.stderr
    assert status(healthy, "--env", "prd").returncode == 2
    empty = tmp_path / "infraconsole.toml"
    empty.write_text('region = "ap-northeast-2"\n')
    nothing = status(healthy, INFRACONSOLE_CONFIG=str(empty))
    assert (nothing.returncode, nothing.stdout) == (2, ""), "where nobody looks, nothing is ok"


@pytest.mark.parametrize(
    ("scenario", "level", "words", "images"),
    [
        (
            "missing-image",
            "error",
            [":8 cannot start (image ", " is not in ECR); :6 still serves 3 of 3. Roll back: infraconsole run ecs-rollback"],
            2,
        ),
        ("circuit-breaker", "warning", ["ECS rolled :8 back by itself", "but the variables say", "the next deploy brings"], 1),
    ],
)  # fmt: skip
def test_a_deployment_that_went_wrong(
    make: WorldFactory, scenario: str, level: str, words: list[str], images: int
) -> None:
    world = make(scenario, 1.0)
    done = status(world, *PROD, "--json")
    [row] = rows(done)
    assert (done.returncode, row["level"]) == (1, level), row
    for each in words:
        assert each in " | ".join(row["reasons"])
    assert len({row["serving_image"], row["rolling_image"]} - {None}) == images


def test_a_follow_up_is_told_until_the_file_says_it(healthy: World, tmp_path: Path) -> None:
    file = tmp_path / "terraform.tfvars"
    file.write_text('image_tag = "other"\n')
    executor = FakeExecutor(tmp_path, "abc234")
    asked = {"id": "pin", "title": "Pin image_tag", "detail": "", "file": str(file), "key": "image_tag", "value": "v1"}
    executor.write(Kind.FOLLOW_UP_OPENED, "follow-up", **asked)
    executor.finish()
    executor.journal.close()
    done = status(healthy, *PROD, "--json", INFRACONSOLE_STATE=str(tmp_path))
    [row] = rows(done)
    assert (done.returncode, row["level"]) == (1, "warning"), done.stdout
    assert row["reasons"] == ["Still to do: Pin image_tag. Details: infraconsole journal abc234"]
    assert (row["run"], row["run_state"]) == ("abc234", "done")
    file.write_text('image_tag = "v1"\n')
    assert status(healthy, *PROD, INFRACONSOLE_STATE=str(tmp_path)).returncode == 0


def test_what_could_not_be_looked_at_is_unknown(healthy: World) -> None:
    healthy.fault("access-denied", service="cloudwatch")
    try:
        done = status(healthy, *PROD, "--json")
    finally:
        healthy.clear_faults()
    [row] = rows(done)
    assert (done.returncode, row["level"]) == (1, "unknown")
    assert "its alarms could not be read" in row["reasons"][0]


def test_an_aws_that_does_not_answer_is_not_waited_for(healthy: World) -> None:
    healthy.fault("delay", service="ecs", seconds=100.0)
    began = time.monotonic()
    try:
        done = status(healthy, *PROD, "--json", program=("-c", IMPATIENT))
    finally:
        healthy.clear_faults()
    [row] = rows(done)
    assert row["level"] == "unknown"
    late = [each for each in row["reasons"] if "could not be read: AWS did not answer within 3 s." in each]
    assert ["ECS service" in each for each in late] == [True], "on a busy machine other things may be late as well"
    assert done.returncode == 1
    assert time.monotonic() - began < 60, "it does not wait for its own threads"


def test_without_a_network_the_exit_code_says_what_is_missing(healthy: World) -> None:
    done = status(healthy, *PROD, "--json", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 5
    assert "cannot be reached" in done.stderr
    assert {row["level"] for row in rows(done)} == {"unknown"}


def test_an_export_that_points_at_a_wrong_host_and_the_worst_row_first(healthy: World) -> None:
    ssm = client(healthy, "ssm")
    before = ssm.get_parameter(Name=ENDPOINT)["Parameter"]["Value"]
    try:
        ssm.put_parameter(Name=ENDPOINT, Value="nowhere.example.com:3306", Overwrite=True)
        done = status(healthy, "--service", "fileflow")
        assert done.returncode == 1
        assert done.stdout.splitlines()[0].startswith("! warning  fileflow prod")
        assert f"    the export {ENDPOINT}" in done.stdout
        assert "✓ ok       fileflow dev" in done.stdout
    finally:
        ssm.put_parameter(Name=ENDPOINT, Value=before, Overwrite=True)
