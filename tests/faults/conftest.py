"""A world and a console on it, in which things are killed, cut and filled up."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ecs import Ecs, Service, family_and_revision
from infraconsole.checks.application import application
from infraconsole.engine import catalogue, launch
from infraconsole.engine.history import OpenGate, RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.world.process import World
from tests.settings import read as settings_of
from tests.world.conftest import client, worlds
from tests.world.conftest import world_factory as world_factory

KILLED_EXECUTOR = Path(__file__).with_name("killed_executor.py")
PATIENCE_SECONDS = 240.0
_EXECUTOR = ("-P", "-m", "infraconsole.engine.executor")
ENGINE = "settle_seconds = 3\npoll_seconds = 0.2\nwatch_minutes = 0.5\n"


class Stage:
    """One world; `environ` is what a shell in it has, `journal` the journal of its console."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environ = world.applied()
        self.folder = Path(self.environ["INFRACONSOLE_STATE"])
        # Real time is short in here: what AWS may still be doing after five seconds, this one does in three.
        settings = Path(self.environ["INFRACONSOLE_CONFIG"])
        settings.write_text(f"{settings.read_text()}\n[engine]\n{ENGINE}")
        self.config = settings_of(settings)
        self.journal = Journal(self.folder)
        self.access = AwsAccess(region=world.region, environ=self.environ)
        self.seen = 0
        self._targets = itertools.cycle(
            (service, environment) for environment in self.config.environments for service in self.config.services
        )

    def next_target(self) -> tuple[str, str]:
        """One after the other: each can be rolled back four times. The calls made so far are no longer counted."""
        self.seen = max((call["seq"] for call in self.world.calls()), default=0)
        return next(self._targets)

    def calls(self, operation: str, *, service: str = "ecs", accepted: bool = True) -> list[dict[str, Any]]:
        """The calls that reached AWS and, with `accepted`, were carried out."""
        return [call for call in self.world.calls(service, operation, self.seen) if call["accepted"] or not accepted]

    def service(self, service: str, environment: str) -> Service:
        return Ecs(self.access).service(f"{service}-{environment}-cluster", f"{service}-{environment}-service")

    def current(self, service: str, environment: str) -> int:
        """The revision the service is on."""
        return family_and_revision(self.service(service, environment).task_definition)[1]

    def tag_of(self, service: str, environment: str, revision: int) -> str:
        found = application(Ecs(self.access).task_definition(f"{service}-{environment}:{revision}"), service)
        assert found
        return found.image.tag

    def kinds(self, run: str) -> list[str]:
        return [event.kind for event in self.journal.events(run)]

    def close(self) -> None:
        try:
            assert self.journal.verify().problems == ()
        finally:
            self.journal.close()

    def record(self, run: str) -> RunRecord:
        return record_of(run, self.journal.events(run))

    def console(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )

    def command(self, *arguments: str) -> Sequence[str]:
        return (sys.executable, "-m", "infraconsole", *arguments)

    def rollback(self, service: str = "fileflow", environment: str = "prod", *more: str) -> tuple[str, ...]:
        """The arguments of a rollback whose gates are answered."""
        answers = (
            ("--answer", f"type-target={service}-{environment}", "--set", "reason=prod answers 503")
            if environment == "prod"
            else ("--answer", "confirm=yes")
        )
        return ("run", "ecs-rollback", "--service", service, "--env", environment, "--json", *answers, *more)

    def begin(
        self,
        monkeypatch: pytest.MonkeyPatch,
        service: str,
        environment: str,
        *,
        kill: str = "",
        jump: str = "",
        timeout_seconds: float = 0.0,
        by_hand: bool = False,
        **inputs: str,
    ) -> str:
        """Begin a rollback; `kill` is where its executor kills itself, stands still, or meets a `jump` of the clocks. `by_hand`:
        a person answers its gates."""
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        if kill or timeout_seconds:
            self._with_a_bullet(monkeypatch, kill, jump, timeout_seconds)
        inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        answers = [("confirm", "yes"), ("type-target", f"{service}-{environment}"), ("reason", "prod answers 503")]
        answers.append(("register-copy", "yes"))
        try:
            return launch.begin(
                self.journal,
                catalogue.runbook("ecs-rollback"),
                self.config,
                service=service,
                environment=environment,
                inputs=inputs,
                answers=[] if by_hand else answers,
                interactive=by_hand,
                operator="kim",
            )
        finally:
            monkeypatch.setattr(launch, "_EXECUTOR", _EXECUTOR)

    def _with_a_bullet(
        self, monkeypatch: pytest.MonkeyPatch, kill: str, jump: str = "", timeout_seconds: float = 0.0
    ) -> None:
        monkeypatch.setenv("INFRACONSOLE_TEST_KILL", kill or "::")
        monkeypatch.setenv("INFRACONSOLE_TEST_TIMEOUT", str(timeout_seconds))
        monkeypatch.setenv("INFRACONSOLE_TEST_JUMP", jump)
        monkeypatch.setattr(launch, "_EXECUTOR", (str(KILLED_EXECUTOR),))

    def until_gate(self, run: str, gate: str) -> OpenGate:
        self.until(lambda: (opened := self.record(run).gate) and opened.gate.id == gate, f"gate {gate} of run {run}")
        opened = self.record(run).gate
        assert opened
        return opened

    def answer(self, run: str, gate: str, value: str) -> OpenGate:
        """Wait until that gate is open, answer it, and give what it showed."""
        opened = self.until_gate(run, gate)
        self.journal.ask(run, "answer", "kim", {"opening": opened.opening, "gate": gate, "value": value})
        self.until(
            lambda: (now := self.record(run).gate) is None or now.opening != opened.opening, f"an answer to gate {gate}"
        )
        return opened

    def somebody_else_updates(self, service: str, environment: str, revision: int) -> None:
        client(self.world, "ecs").update_service(
            cluster=f"{service}-{environment}-cluster",
            service=f"{service}-{environment}-service",
            taskDefinition=f"{service}-{environment}:{revision}",
        )

    def resume(self, run: str) -> None:
        launch.resume(self.journal, run, self.config)

    def resume_with(self, monkeypatch: pytest.MonkeyPatch, run: str, kill: str, jump: str = "") -> None:
        """As `begin` with `kill`: its executor kills itself there, stands still, or meets a jump of the clocks."""
        self._with_a_bullet(monkeypatch, kill, jump)
        try:
            self.resume(run)
        finally:
            monkeypatch.setattr(launch, "_EXECUTOR", _EXECUTOR)

    def executor(self, run: str) -> int:
        """The pid of the run's executor; 0 where there is none."""
        holder = launch.executor_of(self.folder, run)
        return holder.pid if holder else 0

    def kill_executor(self, run: str) -> None:
        os.kill(self.executor(run), signal.SIGKILL)
        self.until(lambda: not self.executor(run), "the executor to be dead")

    def until_gone(self, run: str) -> None:
        self.until(lambda: not self.executor(run), "the executor to end")

    def until_finished(self, run: str) -> RunRecord:
        self.until(lambda: self.record(run).finished, f"run {run} to finish")
        return self.record(run)

    def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
            time.sleep(0.05)


@pytest.fixture
def stage_factory(world_factory: Callable[..., World]) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def made(scenario: str = "healthy", factor: float = 60.0) -> Stage:
        stage = Stage(world_factory(scenario=scenario, factor=factor))
        stages.append(stage)
        return stage

    yield made
    for stage in stages:
        stage.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One world for all tests of a file, each on the next target."""
    with worlds(tmp_path_factory.mktemp("world")) as make:
        stage = Stage(make("healthy", 120.0))
        yield stage
        stage.close()
