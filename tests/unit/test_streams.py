"""Standard streams that are closed, full or of another encoding, as under cron and systemd: exit codes still tell the outcome."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infraconsole import glyphs
from infraconsole.cli import output
from infraconsole.engine import locks
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal
from tests.unit.test_executor import RUNBOOK


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that are over: donedo ended well, failed did not. Both say what not every encoding has."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "infraconsole.toml").write_text('region = "ap-northeast-2"\n')
    with Journal(folder / "state") as journal:
        for run, outcome, code in (("donedo", "done", 0), ("fai234", "failed", 1)):
            journal.append(
                run,
                Kind.RUN_CREATED,
                data={
                    "runbook": RUNBOOK.name,
                    "title": "✓ 장애 → rolled back",
                    "target": {"service": "x", "environment": "prod", "region": "r", "account": "1", "name": "x-prod"},
                    "inputs": {},
                    "given": {},
                    "operator": "kim",
                    "dry_run": False,
                    "interactive": False,
                    "steps": [],
                },
            )
            more_than_a_buffer = ["─ " + "x" * 100 + " ✓"] * 300
            journal.append(run, Kind.OUTPUT, "s", {"lines": more_than_a_buffer})
            ending = {"outcome": outcome, "exit_code": code, "title": "", "cause": "", "mend": "", "warnings": []}
            journal.append(run, Kind.RUN_FINISHED, data=ending)
    return folder


def shell(state: Path, line: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    program = f"{sys.executable} -m infraconsole"
    return subprocess.run(
        ["sh", "-c", line.replace("infraconsole", program, 1)],
        env={
            **os.environ,
            "INFRACONSOLE_STATE": str(state / "state"),
            "INFRACONSOLE_CONFIG": str(state / "infraconsole.toml"),
            **environ,
        },
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("infraconsole attach donedo --plain >/dev/full", 0, "No space left on device. Run donedo is followed"),
        ("infraconsole attach donedo --json >&- 2>&- <&-", 0, ""),
        ("infraconsole attach donedo --plain 2>/dev/full", 0, ""),
        ("infraconsole attach fai234 --plain >&- 2>&- <&-", 1, ""),
        ("infraconsole attach fai234 --json >/dev/full 2>/dev/full", 1, ""),
        ("infraconsole journal >/dev/full", 1, "The output could not be written: No space left on device."),
        ("infraconsole journal donedo --json >/dev/full", 1, "could not be written"),
        ("infraconsole journal >&-", 0, ""),
        ("infraconsole --help >/dev/full", 1, "could not be written"),
        ("infraconsole nonsense 2>&-", 2, ""),
        ("infraconsole <&- >&-", 2, "needs a terminal"),
    ],
)
def test_the_exit_code_tells_the_outcome(state: Path, line: str, code: int, told: str) -> None:
    done = shell(state, line)
    assert done.returncode == code, done
    assert told in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_a_closed_output_is_never_the_journal(state: Path) -> None:
    for line in (
        "infraconsole journal >&-",
        "infraconsole journal nothing 2>&-",
        "infraconsole attach donedo --plain <&- >&-",
    ):
        shell(state, line)
    assert shell(state, "infraconsole journal verify").returncode == 0


@pytest.mark.parametrize("encoding", ["iso8859-1", "euc_kr", "ascii", "cp1252", "no-such-encoding-of-any"])
@pytest.mark.parametrize("words", ["✓ ok", "장애 → ü", "─│╭ …", "👩‍👩‍👧", "\u0301a"])
def test_whatever_the_encoding_text_is_written(encoding: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = encoding != "no-such-encoding-of-any"
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding if known else "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    output.say(words)
    output.tell(words)
    stream.flush()
    assert len(written.getvalue().splitlines()) == 2
    assert glyphs.encodable(words, encoding).encode(encoding if known else "ascii")


@pytest.mark.parametrize("encoding", ["iso8859-1", "euc_kr"])
def test_commands_in_another_locale_say_the_same(state: Path, encoding: str) -> None:
    done = shell(state, "infraconsole journal", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert "rolled back" in done.stdout.decode(encoding)


def test_signs_on_the_screen_keep_their_width() -> None:
    glyphs.use_cells()
    assert "╭─✓ 장애 ü…".encode("ascii", glyphs.CELLS) == b"+-+ ???? ?."
    assert "╭─✓ 장애".encode("euc_kr", glyphs.CELLS).decode("euc_kr").endswith("+ 장애")


def test_a_command_ends_after_its_executor_which_has_files_to_remove(state: Path) -> None:
    held = locks.take(locks.run_lock(state / "state", "donedo"), run="donedo", owner="kim")
    assert held
    command = [sys.executable, "-m", "infraconsole", "attach", "donedo", "--json"]
    environ = {"INFRACONSOLE_STATE": str(state / "state"), "INFRACONSOLE_CONFIG": str(state / "infraconsole.toml")}
    with subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        while Kind.RUN_FINISHED not in follower.stdout.readline():
            continue
        with pytest.raises(subprocess.TimeoutExpired):
            follower.wait(0.5)
        held.release()
        assert follower.wait(30) == 0
