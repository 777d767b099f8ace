"""The world's process: it is found, it ends whatever happens to its parent, and the user's AWS configuration is nothing to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infraconsole.errors import PrerequisiteMissing, UnknownName
from infraconsole.world import process, procs
from infraconsole.world.process import World, WorldError

from .conftest import WorldFactory

ROOT = Path(__file__).parents[2]

PARENT = """
import sys, time
from pathlib import Path
from infraconsole.world import process
world = process.start(Path(sys.argv[1]), "healthy", 60.0)
if sys.argv[2] == "demo":
    world.outlive()
print(world.pid, world.endpoint, flush=True)
if sys.argv[2] == "linger":
    world.linger()
elif sys.argv[2] in ("wait", "demo"):
    time.sleep(600)
"""


def port_is_open(world_endpoint: str) -> bool:
    host, _, port = world_endpoint.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def parent(directory: Path, mode: str) -> tuple[subprocess.Popen[str], int, str]:
    child = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory), mode], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    pid, endpoint = child.stdout.readline().split()
    return child, int(pid), endpoint


def gone(pid: int, endpoint: str, seconds: float = 10.0) -> bool:
    return procs.wait_until(lambda: procs.start_mark(pid) is None and not port_is_open(endpoint), seconds)


def executor(world_dir: Path, seconds: int, *, stubborn: bool = False) -> subprocess.Popen[bytes]:
    """Something that looks like the executor of a run on this world."""
    code = "import signal, sys, time\n"
    if stubborn:
        code += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += f"print('up', flush=True)\ntime.sleep({seconds})  # infraconsole"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    locks = world_dir / "state/runs"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / f"{child.pid}.lock").write_text(json.dumps({"pid": child.pid}), "utf-8")
    return child


def test_world_is_found_and_its_file_is_private(world: World) -> None:
    found = process.running(world.dir)
    assert found == world
    for name in ("world.json", "aws/credentials", "aws/config", "infraconsole.toml"):
        assert (world.dir / name).stat().st_mode & 0o077 == 0
    with pytest.raises(WorldError, match="already"):
        process.start(world.dir)


def test_stop_leaves_no_process_and_no_port(world: World) -> None:
    assert process.stop(world.dir)
    assert gone(world.pid, world.endpoint, 1.0)
    assert not (world.dir / "world.json").exists()
    assert process.running(world.dir) is None
    assert not process.stop(world.dir)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_parent_leaves_no_process_and_no_port(tmp_path: Path, number: signal.Signals) -> None:
    child, pid, endpoint = parent(tmp_path, "wait")
    with child:
        assert port_is_open(endpoint)
        child.send_signal(number)
        assert gone(pid, endpoint)
    assert not (tmp_path / "world.json").exists()


def test_a_demo_that_is_killed_leaves_world_and_run_for_the_next_one(tmp_path: Path) -> None:
    child, pid, _ = parent(tmp_path, "demo")
    with executor(tmp_path, 600) as run:
        with child:
            child.kill()
            child.wait(10)
        time.sleep(1.5)
        found = process.running(tmp_path)
        assert found is not None
        assert found.pid == pid
        assert run.poll() is None
        found.change_scenario("slow")
        again = process.running(tmp_path)
        assert again is not None
        assert again.scenario == "slow", "the next one is told the scenario that it is in"
        found.stop()
        run.wait(10)


def test_parent_that_just_ends_takes_its_world_along(tmp_path: Path) -> None:
    child, pid, endpoint = parent(tmp_path, "end")
    with child:
        assert gone(pid, endpoint)


def test_killed_world_is_noticed_and_can_be_started_again(world: World) -> None:
    os.kill(world.pid, signal.SIGKILL)
    assert world.process is not None
    world.process.wait(10)
    assert process.running(world.dir) is None
    again = process.start(world.dir, "healthy", 60.0)
    try:
        assert process.running(world.dir) == again
    finally:
        again.stop()


def test_ctrl_c_in_the_terminal_does_not_reach_the_world(world: World) -> None:
    assert os.getsid(world.pid) != os.getsid(0)


@pytest.mark.parametrize("stubborn", [False, True])
def test_runs_on_the_world_end_with_it(world: World, stubborn: bool) -> None:
    child = executor(world.dir, 600, stubborn=stubborn)
    with child:
        world.stop()
        assert child.wait(1) == (-signal.SIGKILL if stubborn else -signal.SIGTERM)


def test_a_pid_that_is_no_executor_is_left_alone(world: World) -> None:
    locks = world.dir / "state/runs"
    locks.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (locks / "old.lock").write_text(json.dumps({"pid": stranger.pid}), "utf-8")
        (locks / "broken.lock").write_text("{", "utf-8")
        world.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_lingering_world_stays_until_its_last_run_has_ended(tmp_path: Path) -> None:
    run = executor(tmp_path, 600)
    with run:
        child, pid, endpoint = parent(tmp_path, "linger")
        with child:
            assert child.wait(10) == 0
            time.sleep(1.0)
            assert port_is_open(endpoint)
            run.kill()
            run.wait()
            assert gone(pid, endpoint)


def test_world_without_a_parent_stays_until_it_is_stopped(world_factory: WorldFactory) -> None:
    world = world_factory("healthy", linger=True)
    found = process.running(world.dir)
    assert found is not None
    assert found.process is None
    found.stop()
    assert gone(world.pid, world.endpoint, 2.0)


POISON = """
import json, sys
from pathlib import Path
from infraconsole.world import process
world = process.start(Path(sys.argv[1]), "healthy", 60.0)
world.apply()
import boto3
identity = boto3.client("sts").get_caller_identity()
keys = {call["access_key"] for call in world.calls()}
print(json.dumps({"account": identity["Account"], "keys": sorted(keys)}))
world.stop()
"""


def test_users_aws_configuration_is_neither_read_nor_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    poison = "[default]\nregion = nowhere\nendpoint_url = http://127.0.0.1:1\ncredential_process = touch " + str(
        tmp_path / "ran"
    )
    (home / ".aws/config").write_text(poison, "utf-8")
    (home / ".aws/credentials").write_text("this is : not [a file\n", "utf-8")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    environment = {
        **os.environ,
        "HOME": str(home),
        "AWS_PROFILE": "company-prod",
        "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", POISON, str(tmp_path / "world")],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["account"] == "123456789012"
    assert "AKIAREALREALREALREAL" not in seen["keys"]
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
    assert not (tmp_path / "ran").exists()


def test_shell_exports_take_away_and_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", "http://elsewhere")
    monkeypatch.setenv("AWS_PROFILE", "company-prod")
    script = world.shell_exports() + "env\n"
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True, timeout=10)
    environment = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert environment["AWS_ENDPOINT_URL"] == world.endpoint
    assert "AWS_PROFILE" not in environment
    assert "AWS_ENDPOINT_URL_ECS" not in environment
    assert environment["INFRACONSOLE_CONFIG"] == str(world.dir / "infraconsole.toml")
    applied = world.applied({"AWS_PROFILE": "x", "PATH": "/bin"})
    assert (applied.get("AWS_PROFILE"), applied["PATH"]) == (None, "/bin")


def test_client_side_does_not_import_the_emulator() -> None:
    code = "import sys, infraconsole.world.process; assert not {'moto', 'boto3', 'flask'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)


def test_missing_emulator_and_unknown_scenario_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="bad-image"):
        process.start(tmp_path, "bad-imag")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PrerequisiteMissing) as missing:
        process.start(tmp_path)
    assert missing.value.mend == "pip install 'infraconsole[demo]'"
    assert missing.value.exit_code == 5
