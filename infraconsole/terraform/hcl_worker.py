"""The process of its own that `hcl_workers` asks: a JSON document a line, {"text", "json", "variables"}, answered with {"digest"}
or {"line", "why", "limit"}. Building python-hcl2's grammar and parsing take seconds that no view has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

from infraconsole.terraform import binary, hcl

_VERDICT_SECONDS = 5.0
_IS_VALID = (0, 3)
"""`fmt -check`: 3 where it would write the same differently."""


def serve(seconds: int) -> None:
    """Answer until standard input ends. The kernel ends this process when one answer takes longer than `seconds`, also when
    nobody is left to do it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.alarm(seconds)
    hcl.digest("a = 1\n")  # the grammar is built here, so that no file is charged with it
    signal.alarm(0)
    answers.write("{}\n")
    answers.flush()
    for request in sys.stdin.buffer:
        signal.alarm(seconds)
        answers.write(json.dumps(answer(json.loads(request)), separators=(",", ":")) + "\n")
        answers.flush()
        signal.alarm(0)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        text = request["text"]
        found = hcl.json_variables(text) if request.get("variables") else hcl.digest(text, is_json=request["json"])
        return {"digest": found.as_json()}
    except hcl.HclUnreadable as error:
        line, why = error.line, error.why
    except Exception as error:  # noqa: BLE001 - whatever a parser stumbles over is that file's problem, not the others'
        line, why = 1, f"it cannot be read here ({type(error).__name__}: {str(error)[:200]})."
    if not request["json"] and is_valid(request["text"]):
        return {
            "line": line,
            "why": f"Terraform takes it for valid; this console's reader does not know it: {why}",
            "limit": True,
        }
    return {"line": line, "why": why, "limit": False}


def is_valid(text: str) -> bool:
    """Whether Terraform itself, where there is one, takes that for HCL (`terraform fmt -`)."""
    program = shutil.which("terraform") or shutil.which("tofu")
    library = binary.wheel_library()
    argv = (program,) if program else binary.wheel_argv(library) if library else ()
    if not argv:
        return False
    try:
        ended = subprocess.run(
            [*argv, "fmt", "-no-color", "-check", "-"],
            input=text.encode(),
            capture_output=True,
            check=False,
            timeout=_VERDICT_SECONDS,
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return ended.returncode in _IS_VALID


if __name__ == "__main__":
    serve(int(sys.argv[1]))
