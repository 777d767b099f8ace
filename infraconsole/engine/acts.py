"""Deliberate acts of a person that change nothing but must not go unrecorded: a secret looked at. Each is a run of no steps."""

from __future__ import annotations

from infraconsole.engine.event import Kind, Outcome
from infraconsole.engine.journal import Journal
from infraconsole.engine.launch import new_id
from infraconsole.target import Target

REVEAL = "reveal"


def record(journal: Journal, act: str, title: str, target: Target, operator: str) -> str:
    """The run's id. On return it is on the disk: only then the act may follow. Raises JournalError."""
    run = new_id(journal)
    about = {
        "service": target.service,
        "environment": target.environment,
        "region": target.region,
        "account": target.account,
        "name": target.name,
    }
    created = {
        "runbook": act,
        "title": title,
        "target": about,
        "inputs": {},
        "given": {},
        "operator": operator,
        "dry_run": False,
        "interactive": True,
        "steps": [],
    }
    journal.append(run, Kind.RUN_CREATED, data=created)
    ending = {"outcome": Outcome.DONE.value, "exit_code": 0, "title": "", "cause": "", "mend": "", "warnings": []}
    journal.append(run, Kind.RUN_FINISHED, data=ending)
    return run
