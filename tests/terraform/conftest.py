"""A service in a world of which the tests change only the state: its Terraform root needs no provider, so that a deploy is
over in seconds, and what must not be cut short waits for a file instead of a time."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infraconsole.engine import catalogue, launch
from infraconsole.engine.event import Event
from infraconsole.engine.history import OpenGate, RunRecord
from infraconsole.engine.journal import Journal
from infraconsole.terraform import binary
from infraconsole.terraform.environment import environment as process_environment
from infraconsole.terraform.state import LockInfo, parse_lock
from infraconsole.world.process import World
from tests.faults.conftest import KILLED_EXECUTOR, Stage
from tests.settings import read as settings_of
from tests.world.conftest import client as client
from tests.world.conftest import worlds

TABLE = "terraform-lock"
SERVICE = "plain"
LOCKINGS = {"dynamodb": f'lock_table = "{TABLE}"', "lockfile": "use_lockfile = true"}
IN_CODE = {"both": "\n".join(LOCKINGS.values()), "code": "", "off": "use_lockfile = false"}
"""Both lockings at once; one that only the code's backend names; and none at all."""
BOTH = pytest.mark.parametrize("site", sorted(LOCKINGS), indirect=True)
DEV = ("--answer", "confirm=yes")
HEAD = 'terraform {\n  backend "s3" {}\n}\n\n'
IMPATIENT = HEAD.replace("{}", "{\n    max_retries = 1\n  }")
"""Gives a cut connection up soon."""
VARIABLES = "".join(
    f'variable "{name}" {{\n  type    = string\n  default = "{default}"\n}}\n\n'
    for name, default in (("value", "one"), ("trigger", "a"), ("image_tag", "build-1"))
)


class Done(NamedTuple):
    """A command of the console that has ended; `events` are those of its run."""

    code: int
    events: list[dict[str, Any]]
    stderr: str

    @property
    def run(self) -> str:
        return str(self.events[0]["run"])

    @property
    def warnings(self) -> str:
        return "\n".join(self.events[-1]["warnings"])

    def result(self, step: str) -> dict[str, Any]:
        """What the step left; fails where it did not come to its end."""
        found = [each for each in self.events if (each["kind"], each["step"]) == ("step-finished", step)]
        assert found, f"{step} did not end well: {self.stderr}"
        return dict(found[-1]["result"])

    def count(self, kind: str) -> int:
        return sum(each["kind"] == kind for each in self.events)


def data(name: str, value: str = "var.value", more: str = "") -> str:
    """A resource of no provider."""
    return f'resource "terraform_data" "{name}" {{\n  input = {value}\n{more}}}\n\n'


def _makes_everything(opened: OpenGate) -> bool:
    return opened.gate.id == "type-target" and any("The state has no resources" in line for line in opened.gate.changes)


FIRST = data("first")
SECOND = data("second", "var.image_tag", "  triggers_replace = [var.trigger]\n")
PLAIN = f"{HEAD}{VARIABLES}{FIRST}{SECOND}"


class Site(Stage):
    """The service `plain` of one test: its code, state, lock, settings and journal are the test's own."""

    def __init__(self, world: World, folder: Path, name: str, locking: str) -> None:
        self.world = world
        self.locking = locking
        self.key = f"{name}/terraform.tfstate"
        self.folder = folder / "state"
        self.root = folder / "plain/infrastructure/terraform"
        self.settings = folder / "infraconsole.toml"
        self.begun, self.go, self.log = folder / "begun", folder / "go", folder / "applied.log"
        self.environ = {
            **world.applied(),
            "INFRACONSOLE_CONFIG": str(self.settings),
            "INFRACONSOLE_STATE": str(self.folder),
            "INFRACONSOLE_OPERATOR": "kim",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }
        self.others: list[subprocess.Popen[bytes]] = []
        self._others = folder / "others"
        self._others.mkdir(parents=True)
        self._count = itertools.count(1)
        self.write_settings()
        self.write(PLAIN)
        for environment in ("dev", "prod"):
            self.write_vars(environment, value="one")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()
        self.journal = Journal(self.folder)

    # Its code and settings

    def write_settings(self, *, path: bool = True, prod: str = "") -> None:
        """`prod` are more lines of the environment prod; without `path` the service has no code."""
        account = f'account = "{self.world.account}"'
        place = f'path = "{self.root.relative_to(self.settings.parent)}"' if path else ""
        tables = {
            "services.plain": place,
            "environments.dev": f'{account}\nstate_bucket = "ryuqqq-dev-tfstate"\n{self._place}',
            "environments.prod": f'{account}\nstate_bucket = "ryuqqq-prod-tfstate"\n{self._place}\n{prod}',
            "environments.sandbox": account,
            "engine": "settle_seconds = 1\npoll_seconds = 0.2\nwatch_minutes = 0.5",
        }
        text = "".join(f"\n[{name}]\n{lines}\n" for name, lines in tables.items())
        self.settings.write_text(f'region = "{self.world.region}"\n{text}')
        self.config = settings_of(self.settings)

    def keep_files(self) -> None:
        """For a test that looks at the records of a run that is over."""
        text = self.settings.read_text().replace("[engine]\n", '[engine]\nkeep_files = "keep"\n')
        assert "keep_files" in text
        self.settings.write_text(text)
        self.config = settings_of(self.settings)

    @property
    def _place(self) -> str:
        return f'state_key = "{self.key}"\n{(LOCKINGS | IN_CODE)[self.locking]}'

    @property
    def main(self) -> Path:
        return self.root / "main.tf"

    def write(self, text: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.main.write_text(text)

    def write_vars(self, environment: str, **values: str) -> None:
        file = self.root / f"environments/{environment}/terraform.tfvars"
        file.parent.mkdir(parents=True, exist_ok=True)
        width = max(map(len, values))
        file.write_text("".join(f"{name:<{width}} = {json.dumps(value)}\n" for name, value in values.items()))

    def git(self, *arguments: str) -> None:
        who = {f"GIT_{role}_{what}": "kim@x.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(
            ("git", "-C", str(self.root), *arguments),
            env={**os.environ, **who, **nobody},
            check=True,
            capture_output=True,
            timeout=20,
        )

    def commit(self, subject: str = "Describe it") -> None:
        self.git("add", "-A", ".")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)

    def waiting(self, name: str = "slow", value: str = "var.value") -> str:
        """A resource whose making, each time, writes a line into `log` and `begun`, and ends when `go` is there."""
        command = (
            f"echo {name} >> '{self.log}'; touch '{self.begun}'; "
            f"for i in $(seq 3000); do [ -e '{self.go}' ] && exit 0; sleep 0.05; done; exit 9"
        )
        return data(name, value, f'  provisioner "local-exec" {{\n    command = {json.dumps(command)}\n  }}\n')

    @property
    def makings(self) -> int:
        """How often a `waiting` resource was made."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    # Its state

    def bucket(self, environment: str = "dev") -> str:
        return f"ryuqqq-{environment}-tfstate"

    def versions(self, environment: str = "dev") -> list[str]:
        """Of the state, the newest first."""
        found = client(self.world, "s3").list_object_versions(Bucket=self.bucket(environment), Prefix=self.key)
        return [each["VersionId"] for each in found.get("Versions", []) if each["Key"] == self.key]

    def stored(self, environment: str = "dev") -> bytes:
        """The stored state; empty where there is none."""
        s3 = client(self.world, "s3")
        with contextlib.suppress(s3.exceptions.NoSuchKey):
            return bytes(s3.get_object(Bucket=self.bucket(environment), Key=self.key)["Body"].read())
        return b""

    def state(self, environment: str = "dev") -> dict[str, Any]:
        return dict(json.loads(self.stored(environment)))

    @property
    def serial(self) -> int:
        return int(self.state()["serial"])

    def values(self, environment: str = "dev") -> dict[str, Any]:
        """What the stored state knows: name → input."""
        found = self.state(environment)["resources"] if self.stored(environment) else []
        return {each["name"]: each["instances"][0]["attributes"]["input"]["value"] for each in found}

    def put(self, body: bytes, environment: str = "dev", *, digest: bool = True) -> str:
        """Store it past Terraform, with its digest unless told otherwise; the version's id."""
        bucket = self.bucket(environment)
        version = client(self.world, "s3").put_object(Bucket=bucket, Key=self.key, Body=body)["VersionId"]
        if digest and self.locking != "lockfile":
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            item = {"LockID": {"S": f"{bucket}/{self.key}-md5"}, "Digest": {"S": md5}}
            client(self.world, "dynamodb").put_item(TableName=TABLE, Item=item)
        return str(version)

    def seed(self, environment: str = "dev", serial: int = 1, **values: str) -> str:
        """Store the state that an apply with these inputs would have left."""
        return self.put(state_of(values, serial=serial, lineage=self.lineage), environment)

    @property
    def lineage(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.key))

    def lock(self, environment: str = "dev") -> LockInfo | None:
        bucket = self.bucket(environment)
        if self.locking != "lockfile":
            found = client(self.world, "dynamodb").get_item(
                TableName=TABLE, Key={"LockID": {"S": f"{bucket}/{self.key}"}}
            )
            return parse_lock(found["Item"]["Info"]["S"]) if "Item" in found else None
        s3 = client(self.world, "s3")
        with contextlib.suppress(s3.exceptions.NoSuchKey):
            return parse_lock(s3.get_object(Bucket=bucket, Key=f"{self.key}.tflock")["Body"].read())
        return None

    def put_lock(self, who: str = "lee@laptop") -> str:
        """Into the table, as Terraform does; the lock's id."""
        path = f"{self.bucket()}/{self.key}"
        info = {"ID": str(uuid.uuid4()), "Operation": "OperationTypeApply", "Who": who, "Version": "1.11.4"}
        info |= {"Info": "", "Created": "2025-10-21T01:02:03.456789012Z", "Path": path}
        item = {"LockID": {"S": path}, "Info": {"S": json.dumps(info)}}
        client(self.world, "dynamodb").put_item(TableName=TABLE, Item=item)
        return info["ID"]

    def free(self) -> None:
        """Take a lock out of the table."""
        key = {"LockID": {"S": f"{self.bucket()}/{self.key}"}}
        client(self.world, "dynamodb").delete_item(TableName=TABLE, Key=key)

    # Terraform by other hands

    def terraform(self, *arguments: str, folder: Path | None = None, code: int = 0) -> str:
        done = subprocess.run(
            (*binary.find(self.environ).argv, *arguments),
            cwd=folder or self.root,
            env=process_environment(self.environ, data_dir=self._others / "data", region=self.world.region),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def shell(self, line: str) -> None:
        """Carry on by hand, as the console shows it."""
        done = subprocess.run(
            ("sh", "-c", line), env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def somebody(self, text: str | None = None, environment: str = "dev") -> Path:
        """A colleague's checkout, set up on the same state."""
        folder = self._others / f"checkout-{next(self._count)}"
        shutil.copytree(self.root, folder)
        (folder / "main.tf").write_text(text or self.main.read_text())
        settings = self.config.environment(environment)
        place = {
            "bucket": settings.state_bucket,
            "key": self.key,
            "region": self.world.region,
            "use_path_style": "true",
        }
        place |= {"use_lockfile": "true"} if settings.use_lockfile else {"dynamodb_table": settings.lock_table}
        pairs = (f"-backend-config={name}={value}" for name, value in place.items())
        self.terraform("init", "-input=false", "-reconfigure", *pairs, folder=folder)
        return folder

    def somebody_applies(self, value: str, environment: str = "dev") -> None:
        folder = self.somebody(environment=environment)
        self.terraform("apply", "-auto-approve", "-input=false", f"-var=value={value}", folder=folder)

    def somebody_holds_the_lock(self) -> subprocess.Popen[bytes]:
        """A colleague's apply that is under way, and stays so until `go`. What it makes comes on top of what there is."""
        folder = self.somebody(f"{self.main.read_text()}{self.waiting('theirs')}")
        self.begun.unlink(missing_ok=True)
        other = subprocess.Popen(
            (*binary.find(self.environ).argv, "apply", "-auto-approve", "-input=false"),
            cwd=folder,
            env=process_environment(self.environ, data_dir=self._others / "data", region=self.world.region),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.others.append(other)
        self.until(self.begun.exists, "their apply to be under way")
        return other

    def gone_holder(self) -> LockInfo:
        """As left by an apply that was killed: a lock, and nobody to release it."""
        holder = self.somebody_holds_the_lock()
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait(timeout=10)
        self.go.touch()  # for the provisioner, if it was a session of its own
        lock = self.lock()
        assert lock
        return lock

    # Its runs

    def run(self, runbook: str, *more: str, environment: str = "dev", **environ: str) -> Done:
        """From the command line, as a script would."""
        command = self.command("run", runbook, "--service", SERVICE, "--env", environment, "--json", *more)
        return self._done(command, environ)

    def deploy(self, *more: str, environment: str = "dev", **environ: str) -> Done:
        """A first one makes everything, which asks for the typed name."""
        first = ("--answer", f"type-target={SERVICE}-{environment}") if self._is_first(environment) and not more else ()
        return self.run("deploy", *(more or DEV), *first, environment=environment, **environ)

    def _is_first(self, environment: str) -> bool:
        return environment == "dev" and not self.versions(environment)

    def until_gate(self, run: str, gate: str) -> OpenGate:
        """The gate of a first deploy asks for the typed name where others are confirmed."""
        if gate != "confirm":
            return super().until_gate(run, gate)

        def is_open() -> bool:
            opened = self.record(run).gate
            return opened is not None and (opened.gate.id == gate or _makes_everything(opened))

        self.until(is_open, f"gate {gate} of run {run}")
        opened = self.record(run).gate
        assert opened
        return opened

    def answer(self, run: str, gate: str, value: str) -> OpenGate:
        opened = self.until_gate(run, gate)
        if gate == "confirm" and _makes_everything(opened):
            return super().answer(run, "type-target", f"{SERVICE}-dev")
        return super().answer(run, gate, value)

    def resumed(self, run: str) -> Done:
        return self._done(self.command("resume", run, "--json"), {})

    def _done(self, command: Sequence[str], environ: Mapping[str, str]) -> Done:
        done = subprocess.run(
            command,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "An error in infraconsole itself" not in done.stdout
        return Done(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)

    def start(
        self,
        monkeypatch: pytest.MonkeyPatch,
        runbook: str = "deploy",
        *,
        kill: str = "",
        answers: Sequence[tuple[str, str]] = (),
        environment: str = "dev",
        **inputs: str,
    ) -> str:
        """Begin a run in the background: with `answers` by a script, without by a person who answers its gates later. `kill` is
        where its executor kills itself or stands still."""
        if kill:
            monkeypatch.setenv("INFRACONSOLE_TEST_KILL", kill)
            monkeypatch.setattr(launch, "_EXECUTOR", (str(KILLED_EXECUTOR),))
        if answers and runbook == "deploy" and self._is_first(environment):
            answers = [each for each in answers if each[0] != "confirm"]
            answers.append(("type-target", f"{SERVICE}-{environment}"))
        try:
            return launch.begin(
                self.journal,
                catalogue.runbook(runbook),
                self.config,
                service=SERVICE,
                environment=environment,
                inputs=inputs,
                answers=answers,
                interactive=not answers,
                operator="kim",
            )
        finally:
            monkeypatch.setattr(launch, "_EXECUTOR", ("-P", "-m", "infraconsole.engine.executor"))

    def events(self, run: str, kind: str = "", step: str = "") -> list[Event]:
        found = self.journal.events(run)
        return [each for each in found if kind in ("", each.kind) and step in ("", each.step)]

    def intents(self, run: str) -> list[str]:
        return [str(each.data["operation"]) for each in self.events(run, "call-intended")]

    def sent(self, run: str) -> list[str]:
        """The operations that were not taken back before they were sent."""
        withdrawn = [each.data["call"] for each in self.events(run, "call-failed") if not each.data["maybe_done"]]
        intended = self.events(run, "call-intended")
        return [str(each.data["operation"]) for each in intended if each.data["call"] not in withdrawn]

    def applies(self, run: str) -> int:
        """How many applies of this run were started: each has a folder with Terraform's process id."""
        return sum((file.read_text().split() or ["0"])[0] != "0" for file in self._records(run, "apply"))

    def _records(self, run: str, name: str) -> list[Path]:
        return sorted((self.folder / "runs" / run).glob(f"*-{name}/pid"))

    def until_applying(self, run: str) -> None:
        self.until(lambda: self.begun.exists() or self.record(run).finished, "the apply to be under way")
        assert self.begun.exists(), self.record(run).ending

    def interrupted_at(self, stage: str, run: str) -> RunRecord:
        """How the run ends that its executor was begun with `kill=stage` (`hold:…`) and gets one SIGINT there; resumed where
        it was interrupted by it."""
        _, kind, step = stage.split(":")
        self.until(lambda: self.events(run, kind, step), stage)
        os.kill(self.executor(run), signal.SIGINT)
        (self.folder / "go").touch()
        record = self.finished(run)
        if record.outcome == "interrupted":
            assert record.exit_code == 4
            assert self.lock() is None
            self.resume(run)
            record = self.finished(run)
        return record

    def finished(self, run: str) -> RunRecord:
        """How it ended, when its executor is gone."""
        record = self.until_finished(run)
        self.until_gone(run)
        return record

    def end(self) -> None:
        """Whatever is still under way comes to its end."""
        self.go.touch()
        for other in self.others:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(other.pid, signal.SIGKILL)
            other.wait(timeout=10)
        for run in self.journal.run_ids():
            if pid := self.executor(run):
                os.kill(pid, signal.SIGKILL)
        self.close()


def state_of(values: Mapping[str, str], *, serial: int, lineage: str, version: str = "1.6.0") -> bytes:
    """A state of `terraform_data` resources, as Terraform writes it."""
    resources = []
    for name, value in sorted(values.items()):
        typed = {"value": value, "type": "string"}
        triggers = {"value": ["a"], "type": ["tuple", ["string"]]} if name == "second" else None
        attributes = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "input": typed,
            "output": typed,
            "triggers_replace": triggers,
        }
        instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
        resources.append(
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": name,
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": [instance],
            }
        )
    document = {
        "version": 4,
        "terraform_version": version,
        "serial": serial,
        "lineage": lineage,
        "outputs": {},
        "resources": resources,
        "check_results": None,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a process; each has a state of its own in it."""
    with worlds(tmp_path_factory.mktemp("world")) as make:
        yield make("healthy", 120.0)


SiteFactory = Callable[..., Site]


@pytest.fixture
def site_factory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[SiteFactory]:
    made: list[Site] = []

    def make(locking: str = "dynamodb") -> Site:
        name = hashlib.sha256(f"{request.node.nodeid} {len(made)}".encode()).hexdigest()[:12]
        site = Site(world, tmp_path / f"site-{len(made)}", name, locking)
        made.append(site)
        for variable in [each for each in os.environ if each.startswith("AWS_")]:
            monkeypatch.delenv(variable)
        for variable, value in site.environ.items():
            monkeypatch.setenv(variable, value)
        return site

    yield make
    world.clear_faults()
    for site in made:
        site.end()


@pytest.fixture
def site(site_factory: SiteFactory, request: pytest.FixtureRequest) -> Site:
    """Locked by the table, unless a test is parametrised over `BOTH`."""
    return site_factory(getattr(request, "param", "dynamodb"))
