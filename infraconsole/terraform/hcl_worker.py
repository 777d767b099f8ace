"""The process of its own that `hcl_workers` asks: a JSON document a line, {"text", "json", "variables"}, answered with {"digest"}
or {"line", "why", "limit", "lasting"}. Building python-hcl2's grammar and parsing take seconds that no view has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from infraconsole.terraform import binary, hcl

_START_SECONDS = 120
_PATIENCE = 10
"""So many times as long as its own time an answer may take in all, where the machine is busy."""
_VERDICT_SECONDS = 5.0
_VERDICTS = {0: True, 3: True, 2: False}
"""Of `fmt -check`: 3 where it would write the same differently, 2 where it cannot read it."""


def serve(seconds: int) -> None:
    """Answer until standard input ends. The kernel ends this process when one answer takes more than `seconds` of processor
    time, also when nobody is left to do it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM, signal.SIGPROF])
    signal.alarm(_START_SECONDS)
    hcl.digest("a = 1\n")  # the grammar is built here, so that no file is charged with it
    signal.alarm(0)
    answers.write("{}\n")
    answers.flush()
    for request in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(seconds * _PATIENCE)
        answers.write(json.dumps(answer(json.loads(request)), separators=(",", ":")) + "\n")
        answers.flush()
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    failed = False
    try:
        text = request["text"]
        found = hcl.json_variables(text) if request.get("variables") else hcl.digest(text, is_json=request["json"])
        return {"digest": found.as_json()}
    except hcl.HclUnreadable as error:
        line, why = error.line, error.why
    except Exception as error:  # noqa: BLE001 - whatever a parser stumbles over is that file's problem, not the others'
        line, why, failed = 1, f"it cannot be read here ({type(error).__name__}: {str(error)[:200]}).", True
    valid = None if request["json"] else is_valid(request["text"])
    if valid:
        why = f"Terraform takes it for valid; this console's reader does not know it: {why}"
    # JSON is judged by a parser that knows all of it; of HCL only Terraform can say that a file is wrong.
    is_certain = not failed and (request["json"] or valid is not None)
    return {"line": line, "why": why, "limit": bool(valid), "lasting": is_certain}


def is_valid(text: str) -> bool | None:
    """Whether Terraform itself takes that for HCL (`terraform fmt -`); None where there is none, or it does not say."""
    argv = binary.formatter()
    if not argv:
        return None
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
        return None
    return _VERDICTS.get(ended.returncode)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
