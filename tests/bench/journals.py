"""A journal as years of work leave it: for measuring, and for tests that need a long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from infraconsole.engine import chain
from infraconsole.engine.event import Kind
from infraconsole.engine.journal import Journal

STEPS = ("look", "plan", "apply", "verify")
_NOTES = 8
_ROWS_AT_ONCE = 20_000
_AT = "2026-01-31T12:00:00.000Z"
_NOTE = chain.encoded({"level": "info", "text": "a note"})
_PROGRESS = chain.encoded({"text": "on the way"})
_LINES = chain.encoded({"lines": [f"line {line}: as Terraform writes it" for line in range(25)]})
_FOLLOW_UP = chain.encoded({"id": "pin", "title": "Pin image_tag", "detail": "", "file": "", "key": "", "value": ""})

Row = tuple[str, str, str]
"""Kind, step, data."""


def filled(folder: Path, runs: int, *, unfinished: str = "") -> None:
    """Runs of some 90 events, every hundredth with thousands of lines; the newest is one that nobody has finished, where it is
    named. Written past the journal, as an older version would: event by event on the disk it would take the day."""
    with Journal(folder) as journal:
        db = journal.database
        number, before = journal.head()
        rows: list[tuple[object, ...]] = []
        db.execute("BEGIN IMMEDIATE")
        for count in range(runs):
            open_ended = bool(unfinished) and count == runs - 1
            run = unfinished if open_ended else f"r{count:05}"
            for seq, (kind, step, data) in enumerate(_events(run, count, open_ended=open_ended), start=1):
                number += 1
                digest = chain.digest(number, run, seq, _AT, kind, step, data, before)
                rows.append((number, run, seq, _AT, kind, step, data, before, digest))
                before = digest
            if len(rows) > _ROWS_AT_ONCE or count == runs - 1:
                db.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)", rows)
                rows = []
        db.execute("COMMIT")
        (folder / chain.HEAD_FILE).write_bytes(chain.head_line(number, before))
        journal.resolve("last")  # which makes the index


def _events(run: str, count: int, *, open_ended: bool) -> Iterator[Row]:
    service = ("fileflow", "crawlinghub", "authhub")[count % 3]
    yield (
        Kind.RUN_CREATED.value,
        "",
        chain.encoded(
            {
                "runbook": "deploy",
                "title": f"Deploy: {service}-prod",
                "target": {
                    "service": service,
                    "environment": "prod",
                    "region": "ap-northeast-2",
                    "account": "123456789012",
                },
                "inputs": {},
                "given": {},
                "operator": "kim",
                "dry_run": False,
                "interactive": True,
                "steps": [{"id": step, "title": step, "fingerprint": "f"} for step in STEPS],
            }
        ),
    )
    started = {"pid": count, "version": "1", "resumed": False, "interactive": True}
    yield Kind.RUN_STARTED.value, "", chain.encoded(started)
    for step in STEPS:
        about = {"title": step, "why": "because", "commands": ["terraform plan"], "changes": step == "apply"}
        yield Kind.STEP_STARTED.value, step, chain.encoded(about)
        for _ in range(_NOTES):
            yield Kind.NOTE.value, step, _NOTE
            yield Kind.PROGRESS.value, step, _PROGRESS
        for _ in range(2 if count % 100 else 40):
            yield Kind.OUTPUT.value, step, _LINES
        if step == "apply":
            call = {"call": f"{run}/1", "operation": "terraform:Apply", "parameters": {}, "command": ""}
            yield Kind.CALL_INTENDED.value, step, chain.encoded(call)
            if open_ended:
                return
            yield Kind.CALL_DONE.value, step, chain.encoded({**call, "answer": {}})
        yield Kind.STEP_FINISHED.value, step, chain.encoded({"result": {"changed": step == "apply"}, "seconds": 1})
    if count % 10 == 0:
        yield Kind.FOLLOW_UP_OPENED.value, "apply", _FOLLOW_UP
    outcome = "done" if count % 7 else "failed"
    ending = {"outcome": outcome, "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
    yield Kind.RUN_FINISHED.value, "", chain.encoded(ending)
