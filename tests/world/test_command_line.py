"""The command line as scripts use it: shapes, exit codes, and errors that name the thing, what exists instead, and the mend."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infraconsole.cli import world_name
from infraconsole.engine.history import record_of
from infraconsole.engine.journal import Journal
from infraconsole.world import process, procs
from infraconsole.world.process import World
from tests.world.conftest import WorldFactory, worlds

ROLLBACK = ("run", "ecs-rollback", "--service", "fileflow", "--env", "prod")


class Shell:
    def __init__(self, world: World) -> None:
        self.world = world
        self.environ = world.applied()

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infraconsole", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=90,
            check=False,
        )

    def updates(self) -> int:
        return self.world.counted_calls("UpdateService", "ecs")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with worlds(tmp_path_factory.mktemp("world")) as make:
        yield Shell(make("healthy", 120.0))


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_catalogue(shell: Shell) -> None:
    catalogue = json.loads(shell("runbooks", "--json").stdout)
    rollback = next(runbook for runbook in catalogue if runbook["name"] == "ecs-rollback")
    assert {"name", "title", "inputs", "gates"} <= set(rollback)
    assert all({"name", "type", "required", "default"} <= set(item) for item in rollback["inputs"])
    assert [item["name"] for item in rollback["inputs"] if item["required"]] == ["service", "environment"]
    assert {gate["kind"] for gate in rollback["gates"]} <= {"confirm", "type", "choose", "approve", "break-glass"}
    assert all({"id", "kind"} <= set(gate) for gate in rollback["gates"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "ecs-rollbak", "--service", "fileflow", "--env", "prod"), 2, "Did you mean ecs-rollback"),
        (("run", "ecs-rollback", "--service", "filflow", "--env", "prod"), 2, "Did you mean fileflow?"),
        (("run", "ecs-rollback", "--service", "fileflow", "--env", "prd"), 2, "dev, prod, staging"),
        ((*ROLLBACK, "--set", "revison=3"), 2, "Did you mean revision"),
        ((*ROLLBACK, "--set", "revision"), 2, "has no value"),
        ((*ROLLBACK, "--set", "revision=99", "--json"), 2, "There is no revision '99' of fileflow-prod"),
        ((*ROLLBACK, "--set", "revision=authhub-prod:3", "--json"), 2, "a revision of authhub-prod"),
        ((*ROLLBACK, "--set", "revision=abc", "--json"), 2, "is no revision"),
        ((*ROLLBACK, "--set", "revision=3", "--json"), 1, "is INACTIVE"),
        ((*ROLLBACK, "--set", "revision=4", "--json"), 1, "no longer in ECR"),
        ((*ROLLBACK, "--set", "in-flight=maybe"), 2, "stop-first, supersede"),
        ((*ROLLBACK, "--answer", "door=open"), 2, "There is no gate 'door'"),
        ((*ROLLBACK, "--json"), 3, "--answer reason="),
        ((*ROLLBACK, "--json", "--set", "reason=prod is down"), 3, "--answer type-target="),
        (
            (*ROLLBACK, "--json", "--set", "reason=prod is down", "--answer", "type-target=yes"),
            3,
            "is not 'fileflow-prod'",
        ),
        ((*ROLLBACK, "--json", "--set", "reason=prod is down", "--answer", "type-target=no"), 3, "declined"),
        (("journal", "zzz"), 2, "There is no run 'zzz'"),
        (("resume", "zzz"), 2, "There is no run 'zzz'"),
        (("interrupt", "zzz"), 2, "There is no run 'zzz'"),
        (("demo", "--scenario", "sunny"), 2, "bad-image"),
        (("demo", "up", "--factor", "0"), 2, "factor"),
        ((), 2, "needs a terminal"),
        (("attach",), 2, "RUN"),
    ],
)
def test_bad_input_is_named_with_what_exists_instead(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = shell.updates()
    done = shell(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert shell.updates() == before


def settings(shell: Shell, tmp_path: Path, old: str, new: str) -> dict[str, str]:
    file = tmp_path / "infraconsole.toml"
    content = Path(shell.environ["INFRACONSOLE_CONFIG"]).read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))
    return {"INFRACONSOLE_CONFIG": str(file)}


def test_a_missing_region(shell: Shell, tmp_path: Path) -> None:
    done = shell(
        *ROLLBACK, **settings(shell, tmp_path, 'region = "ap-northeast-2"', ""), AWS_REGION="", AWS_DEFAULT_REGION=""
    )
    assert done.returncode == 2
    assert "No region is set for prod" in done.stderr


def test_a_configuration_that_is_not_toml(shell: Shell, tmp_path: Path) -> None:
    done = shell(*ROLLBACK, **settings(shell, tmp_path, "[", "[["))
    assert done.returncode == 2
    assert "infraconsole.toml is not TOML" in done.stderr


def test_an_unknown_key(shell: Shell, tmp_path: Path) -> None:
    done = shell(*ROLLBACK, **settings(shell, tmp_path, "dr_region", "dr_regoin"))
    assert done.returncode == 2
    assert "Did you mean dr_region" in done.stderr


def test_the_doctor_names_what_is_wrong_with_the_configuration(shell: Shell, tmp_path: Path) -> None:
    environ = settings(shell, tmp_path, "dr_region", "dr_regoin")
    done = shell("doctor", "--json", **environ)
    assert done.returncode == 1
    first, *others = json.loads(done.stdout)["findings"]
    assert (first["level"], first["file"]) == ("error", environ["INFRACONSOLE_CONFIG"])
    assert "Did you mean dr_region" in first["message"]
    assert {"python", "journal"} <= {finding["id"] for finding in others}
    assert "dr_regoin" in shell("doctor", **environ).stdout


def test_a_cluster_that_does_not_exist(shell: Shell, tmp_path: Path) -> None:
    environ = settings(shell, tmp_path, "[services.fileflow]", "[services.billing]\n\n[services.fileflow]")
    done = shell("run", "ecs-rollback", "--service", "billing", "--env", "prod", "--json", **environ)
    assert done.returncode == 5
    assert "billing-prod-cluster" in done.stderr


def test_another_account(shell: Shell, tmp_path: Path) -> None:
    environ = settings(shell, tmp_path, 'account = "123456789012"', 'account = "999999999999"')
    done = shell("run", "ecs-rollback", "--service", "fileflow", "--env", "dev", **environ)
    assert done.returncode == 5
    assert "999999999999" in done.stderr


def test_no_network(shell: Shell) -> None:
    done = shell(*ROLLBACK, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 5
    assert "127.0.0.1:9" in done.stderr


def test_no_credentials(shell: Shell, tmp_path: Path) -> None:
    done = shell(*ROLLBACK, AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none"))
    assert done.returncode == 5
    assert "credentials" in done.stderr.lower()


def test_a_rollback_by_script_and_its_journal(world_factory: WorldFactory) -> None:
    shell = Shell(world_factory("bad-image", 120.0))
    done = shell(*ROLLBACK, "--json", "--set", "reason=prod answers 503", "--answer", "type-target=fileflow-prod")
    assert done.returncode == 0, done.stderr
    events = events_of(done)
    assert all({"run", "seq", "at", "kind", "step"} <= set(event) for event in events)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["at"].endswith("Z") for event in events)
    assert (events[-1]["kind"], events[-1]["outcome"]) == ("run-finished", "done")
    assert shell.updates() == 1

    run = events[0]["run"]
    assert events_of(shell("journal", run, "--json")) == events
    assert events_of(shell("journal", "last", "--json")) == events
    listed = json.loads(shell("journal", "--json").stdout)
    assert [(known["run"], known["state"]) for known in listed["runs"]] == [(run, "done")]
    assert shell("journal", "verify").returncode == 0
    assert "UpdateService succeeded" in shell("journal", run, "--markdown").stdout

    tfvars = shell.world.dir / "repos/fileflow/infrastructure/terraform/environments/prod/terraform.tfvars"
    [follow_up] = listed["follow_ups"]
    _, _, before, after = follow_up["detail"].splitlines()
    assert tfvars.read_text().count(before[1:]) == 1
    tfvars.write_text(tfvars.read_text().replace(before[1:], after[1:]))
    assert json.loads(shell("journal", "--json").stdout)["follow_ups"] == []

    again = shell(
        *ROLLBACK,
        "--json",
        "--set",
        "revision=6",
        "--set",
        "reason=prod answers 503",
        "--answer",
        "type-target=fileflow-prod",
    )
    assert again.returncode == 0, again.stderr
    assert shell.updates() == 1, "a service that is there already is not updated again"


class Typed:
    """The command line on a terminal of its own: what it writes, and what is typed."""

    def __init__(self, shell: Shell, *arguments: str) -> None:
        self.shell = shell
        self.master, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infraconsole", *arguments],
            env=shell.environ,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.written = ""

    def see(self, words: str, times: int = 1, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while self.written.count(words) < times:
            assert time.monotonic() < deadline, f"waited for {words!r}; written was\n{self.written}"
            self._read(0.1)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            self.written += os.read(self.master, 65536).decode()
        except OSError:
            return False
        return True

    def type(self, line: str) -> None:
        os.write(self.master, line.encode())

    def code(self) -> int:
        while self._read(1.0) and self.process.poll() is None:
            pass
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def typed(world_factory: WorldFactory) -> Iterator[Typed]:
    shell = Shell(world_factory("healthy", 120.0))
    opened = Typed(shell, "run", "ecs-rollback", "--service", "crawler", "--env", "dev", "--set", "revision=5")
    yield opened
    opened.close()


PROMPT = "type yes, or no: "


def test_a_gate_on_a_plain_terminal_asks_once_and_again_once_when_it_was_not_taken(typed: Typed) -> None:
    shell = typed.shell
    typed.see(PROMPT)
    typed.type("\nye\nyes\n")
    typed.see("is not `yes`")
    typed.see(PROMPT, 3)
    before = shell.updates()
    time.sleep(0.5)
    assert shell.updates() == before == 0, "what was typed before the gate asked again is no answer to it"
    typed.type("yes\n")
    assert typed.code() == 0, typed.written
    assert typed.written.count(PROMPT) == 3
    assert "The executor is gone" not in typed.written
    assert shell.updates() == 1


def test_a_prompt_does_not_stand_in_the_way_of_what_happens(typed: Typed) -> None:
    """Somebody else answers the gate; this terminal shows it, and how the run ends."""
    typed.see(PROMPT)
    typed.type("ye")
    with Journal(Path(typed.shell.environ["INFRACONSOLE_STATE"])) as journal:
        run = journal.run_ids()[0]
        gate = record_of(run, journal.events(run)).gate
        assert gate is not None
        journal.ask(run, "answer", "kim", {"opening": gate.opening, "gate": gate.gate.id, "value": "yes"})
    assert typed.code() == 0, typed.written
    assert "kim answered yes" in typed.written
    assert typed.written.rstrip().splitlines()[-1].strip() != PROMPT.strip()
    assert typed.written.count(PROMPT) == 1


def test_the_default_is_the_last_known_good_and_never_simply_minus_one(shell: Shell) -> None:
    done = shell(*ROLLBACK, "--json", "--dry-run")
    chosen = next(event for event in events_of(done) if event["kind"] == "step-finished" and event["step"] == "choose")
    assert chosen["result"]["name"] == "fileflow-prod:6"


def test_stopping_the_deployment_in_flight_first(world_factory: WorldFactory) -> None:
    shell = Shell(world_factory("never-stable", 120.0))
    done = shell(
        *(*ROLLBACK, "--json", "--set", "reason=prod answers 503", "--set", "in-flight=stop-first"),
        *("--set", "revision=5", "--answer", "type-target=fileflow-prod"),
    )
    assert done.returncode == 0, done.stderr
    assert shell.world.counted_calls("StopServiceDeployment", "ecs", accepted=True) == 1
    assert shell.updates() == 1


def test_the_doctor_finds_the_world_fit(shell: Shell) -> None:
    done = shell("doctor", "--json")
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, done.stdout
    assert all({"id", "level", "subject", "message", "mend"} <= set(finding) for finding in findings)
    assert {finding["level"] for finding in findings} <= {"error", "warning", "info"}
    assert any("123456789012" in finding["message"] for finding in findings)


# The embedded world from shells that know nothing of it


def clean_shell(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", "sh", "-c", line],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=90,
        check=False,
    )


def test_lines_of_the_world_work_in_a_clean_shell(tmp_path: Path) -> None:
    up = clean_shell(f"{sys.executable} -m infraconsole demo up --scenario healthy --factor 120", tmp_path)
    try:
        assert up.returncode == 0, up.stderr
        enter = up.stderr.partition("Use it in a shell: ")[2].strip()
        run = "run ecs-rollback --service crawler --env dev --json --answer confirm=yes"
        begun = clean_shell(f'{enter}; eval "$INFRACONSOLE_COMMAND {run}"', tmp_path)
        assert begun.returncode == 0, begun.stderr
        told = clean_shell(f'{enter}; echo "$INFRACONSOLE_COMMAND"; echo "$INFRACONSOLE_RENEW"', tmp_path).stdout
        command, renew = told.splitlines()
        attached = clean_shell(f"{command} attach last --json", tmp_path)
        assert attached.returncode == 0, attached.stderr
        assert attached.stdout == begun.stdout
        assert clean_shell(renew, tmp_path).returncode == 0
    finally:
        down = clean_shell(f"{sys.executable} -m infraconsole demo down", tmp_path)
    assert down.stderr.strip() == "The world is down."


def test_the_world_stays_while_a_run_on_it_can_be_resumed(tmp_path: Path) -> None:
    world = process.start(tmp_path / "world", "bad-image", 4.0)
    try:
        shell = Shell(world)
        answers = ("--set", "reason=prod answers 503", "--answer", "type-target=fileflow-prod")
        code, read, _ = unread(shell, *ROLLBACK, "--json", *answers, lines=1)
        run = json.loads(read[0])["run"]
        assert code == 141
        world.linger()
        assert procs.wait_until(lambda: shell.updates() == 1, 30.0)
        assert shell("interrupt", run).returncode == 0
        assert shell("attach", run, "--json").returncode == 4
        time.sleep(2.0)
        assert world.is_alive
        world.set_factor(120.0)
        resumed = shell("resume", run, "--json")
        assert resumed.returncode == 0
        # Counted in the journal: the world may end as soon as the run has.
        changes = [event["operation"] for event in events_of(resumed) if event["kind"] == "call-intended"]
        assert changes == ["ecs:UpdateService"]
        assert procs.wait_until(lambda: not world.is_alive, 60.0)
    finally:
        world.stop()


def test_expired_credentials_name_what_renews_them_here(world_factory: WorldFactory) -> None:
    world = world_factory("healthy")
    shell = Shell(world)
    world.expire()
    done = shell(*ROLLBACK)
    assert done.returncode == 5
    renew = done.stderr.partition("Renew them: ")[2].splitlines()[0]
    assert renew.endswith("infraconsole demo renew")
    assert clean_shell(renew, Path.home()).returncode == 0
    assert shell(*ROLLBACK).returncode == 3


def test_the_environment_tells_which_world_one_looks_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    assert world_name() == world.scenario
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert world_name() is None
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert world_name() is None


# An output that nobody reads


def unread(shell: Shell, *arguments: str, lines: int = 0) -> tuple[int, list[str], str]:
    """Exit code, the lines read before the reader went away, and what came on the other channel."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infraconsole", *arguments],
        env=shell.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        read = [process.stdout.readline() for _ in range(lines)]
        process.stdout.close()
        return process.wait(60), read, process.stderr.read()


def test_a_refusal_that_nobody_reads_is_a_refusal(shell: Shell) -> None:
    done = shell(*ROLLBACK, "--json")
    assert done.returncode == 3
    run = events_of(done)[0]["run"]
    code, _, told = unread(shell, "attach", run, "--json")
    assert code == 3
    assert "reason" in told
    code, _, told = unread(shell, *ROLLBACK, "--json", lines=1)
    assert code in (3, 141)
    assert "Traceback" not in told


def test_a_run_whose_output_nobody_reads_goes_on_and_says_so(world_factory: WorldFactory) -> None:
    shell = Shell(world_factory("bad-image", 60.0))
    answers = ("--set", "reason=prod answers 503", "--answer", "type-target=fileflow-prod")
    code, read, told = unread(shell, *ROLLBACK, "--json", *answers, lines=1)
    run = json.loads(read[0])["run"]
    assert code == 141
    assert f"Run {run} goes on: infraconsole attach {run}" in told
    assert shell("attach", run, "--json").returncode == 0
    assert shell.updates() == 1


@pytest.mark.parametrize("arguments", [("journal",), ("runbooks", "--json"), ("completion", "bash")])
def test_other_commands_end_as_one_that_a_broken_pipe_ended(shell: Shell, arguments: tuple[str, ...]) -> None:
    if arguments == ("journal",):
        assert shell(*ROLLBACK, "--json").returncode == 3, "so that there is something to list"
    code, _, told = unread(shell, *arguments)
    assert code == 141
    assert told == ""


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion(shell: Shell, name: str) -> None:
    assert "infraconsole" in shell("completion", name).stdout


def test_completion_knows_the_services(shell: Shell) -> None:
    line = "infraconsole run ecs-rollback --service "
    done = subprocess.run(
        [sys.executable, "-m", "infraconsole"],
        env={
            **shell.environ,
            "_ARGCOMPLETE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
            "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert {"authhub", "crawler", "fileflow"} <= set(done.stdout.replace("\v", " ").split())
