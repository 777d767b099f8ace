"""Nothing leaves the command line that could do something to a terminal, whoever wrote it."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import infraconsole
from infraconsole import cli
from infraconsole.cli import arguments, output
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from infraconsole.errors import InfraconsoleError
from tests.unit.test_executor import RUNBOOK

ROOT = Path(infraconsole.__file__).parent
HOSTILE = "kim\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\u202eevil\nrun zzzzzz done\u2066\x9b31m\r\ud800"
MAY_WRITE = {
    "cli/output.py": "the one way out",
    "cli/__init__.py": "flushes, and closes an output that nobody reads",
    "cli/arguments.py": "asks which stream argparse writes to",
    "cli/console.py": "asks whether it is a terminal",
    "cli/journal_care.py": "asks whether it is a terminal",
    "engine/executor.py": "puts what masks secrets before its log",
    "cli/runs.py": "asks whether it is a terminal, and flushes",
    "checks/doctor.py": "asks what the terminal can show",
    "engine/log.py": "the executor's log, made harmless there",
    "terraform/tfvars.py": "a process of its own, whose JSON only its parent reads",
    "terraform/hcl.py": "a process of its own, whose JSON only its parent reads",
    "world/server.py": "a process of its own, whose first line only its parent reads",
}


def uses(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
            yield node.func.id
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("sys.stdout", "sys.stderr", "traceback.print_exc", "traceback.print_exception", "os.write"):
                yield name


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_one_way_out_writes(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = set(uses(path))
    assert "print" not in found
    assert "input" not in found
    if name not in MAY_WRITE:
        assert not found - {"os.write"}, f"use infraconsole.cli.output (or, in an executor, engine.log): {found}"


def harmless(words: str) -> bool:
    return all(unicodedata.category(one) not in ("Cc", "Cf", "Cs") for one in words.replace("\n", ""))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """With a run in which every text is hostile."""
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path / "state"))
    config = tmp_path / "infraconsole.toml"
    config.write_text('region = "ap-northeast-2"\n')
    monkeypatch.setenv("INFRACONSOLE_CONFIG", str(config))
    with Journal(tmp_path / "state") as journal:
        target = {"service": HOSTILE, "environment": "prod", "region": "r", "account": HOSTILE, "name": HOSTILE}
        journal.append(
            "abc234",
            Kind.RUN_CREATED,
            data={
                "runbook": RUNBOOK.name,
                "title": HOSTILE,
                "target": target,
                "inputs": {"reason": HOSTILE},
                "given": {},
                "operator": HOSTILE,
                "dry_run": False,
                "interactive": False,
                "steps": [{"id": "s", "title": HOSTILE, "fingerprint": ""}],
            },
        )
        said: dict[str, Any] = {"title": HOSTILE, "cause": HOSTILE, "mend": HOSTILE}
        journal.append("abc234", Kind.RUN_STARTED, data={"pid": 1, "version": "1", "resumed": False})
        journal.append(
            "abc234",
            Kind.STEP_STARTED,
            "s",
            {"title": HOSTILE, "why": HOSTILE, "commands": [HOSTILE], "changes": True},
        )
        journal.append("abc234", Kind.OUTPUT, "s", {"lines": [HOSTILE]})
        journal.append("abc234", Kind.NOTE, "s", {"level": "warning", "text": HOSTILE})
        journal.append("abc234", Kind.INTERRUPT_REQUESTED, "s", {"level": 1, "by": HOSTILE})
        follow_up = {"id": "f", "title": HOSTILE, "detail": HOSTILE, "file": HOSTILE, "key": "k", "value": HOSTILE}
        journal.append("abc234", Kind.FOLLOW_UP_OPENED, "s", follow_up)
        journal.append("abc234", Kind.STEP_FAILED, "s", said)
        ending = {"outcome": "failed", "exit_code": 1, **said, "warnings": [HOSTILE]}
        journal.append("abc234", Kind.RUN_FINISHED, data=ending)
        yield journal


@pytest.mark.parametrize(
    "command",
    [
        ["journal"],
        ["journal", "abc234"],
        ["journal", "abc234", "--markdown"],
        ["journal", "verify"],
        ["attach", "abc234", "--plain"],
        ["resume", "abc234"],
        ["interrupt", "abc234"],
        ["journal", HOSTILE],
        ["run", HOSTILE, "--service", HOSTILE, "--env", HOSTILE],
        ["run", "deploy", "--service", "x", "--env", "prod", "--set", HOSTILE],
        ["exports", "--service", HOSTILE],
        ["exports", "--env", HOSTILE],
        ["demo", "--scenario", HOSTILE],
        ["demo", HOSTILE],
        [HOSTILE],
        ["run", f"--{HOSTILE}"],
        ["completion", HOSTILE],
        ["runbooks"],
        ["--help"],
        ["resume", "--help"],
    ],
    ids=lambda command: " ".join(command).replace(HOSTILE, "HOSTILE"),
)
def test_no_command_hands_anything_on(command: list[str], journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(command)
    shown = capsys.readouterr()
    assert shown.out or shown.err
    assert harmless(shown.out)
    assert harmless(shown.err)
    if command == ["journal"]:
        assert len([line for line in shown.out.splitlines() if line.startswith("run zzzzzz")]) == 0, "no line is forged"


@pytest.mark.parametrize(
    "command", [["journal", "--json"], ["journal", "abc234", "--json"], ["attach", "abc234", "--json"]]
)
def test_json_stays_json_and_ascii(command: list[str], journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(command)
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert harmless(shown)
    documents = [json.loads(line) for line in shown.splitlines()] if "abc234" in command else [json.loads(shown)]
    assert any(value == HOSTILE for document in documents for value in _texts(document)), "it is the data as it is"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def test_an_error_and_a_traceback_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise InfraconsoleError(HOSTILE, cause=HOSTILE, mend=HOSTILE)

    assert cli.exit_code_of(fails) == 1
    before = sys.excepthook, threading.excepthook
    try:
        output.guard()
        try:
            raise KeyError(HOSTILE)
        except KeyError as error:
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.excepthook, threading.excepthook = before
    shown = capsys.readouterr()
    assert "KeyError" in shown.err
    assert harmless(shown.err)


def test_an_uncaught_error_of_a_real_process_is_harmless() -> None:
    code = (
        "from infraconsole import cli\n"
        "from infraconsole.cli import console\n"
        "def broken(**_): raise RuntimeError('\\x1b]52;c;eA==\\x07')\n"
        "console.console = broken\n"
        "import sys; sys.argv = ['infraconsole']\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"RuntimeError" in done.stderr
    assert b"\x1b" not in done.stderr


def test_a_full_disk_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise OSError(28, "No space left on device", "/var/x")

    assert cli.exit_code_of(fails) == 1
    assert "Free space" in capsys.readouterr().err


def test_a_terminal_that_is_not_utf_8_gets_something_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    output.say("✓ ok")
    sys.stdout.flush()
    assert written.getvalue() == b"+ ok\n"


def test_code_for_a_shell_is_handed_over_to_the_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output.program("export X='\x1b\t" + os.fsdecode(b"\xff") + "'")
    assert capsysbinary.readouterr().out == b"export X='\x1b\t\xff'\n"


def test_the_prompt_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    output.ask(f"type {HOSTILE}: ")
    assert harmless(capsys.readouterr().out)


def test_completions_are_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Action:
        completer: Any = None

    action = Action()
    arguments._complete(action, lambda: ["abc234", HOSTILE])  # type: ignore[arg-type]
    assert list(action.completer()) == ["abc234"]

    def fails() -> list[str]:
        raise OSError(5, "Input/output error")

    arguments._complete(action, fails)  # type: ignore[arg-type]
    assert list(action.completer()) == []
