"""`infraconsole journal`: the runs, one run's events, and the proof that none was changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from infraconsole import config, text
from infraconsole.cli.lines import event_lines
from infraconsole.cli.output import document, say, tell
from infraconsole.engine import followups
from infraconsole.engine.event import Kind
from infraconsole.engine.export import as_markdown
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal, verify
from infraconsole.engine.launch import executor_of
from infraconsole.errors import EXIT_DONE, EXIT_FAILED


def journal(run: str | None, *, as_json: bool, as_markdown: bool) -> int:
    if run == "verify":
        return _verify(config.state_folder(), as_json=as_json)
    with Journal(config.state_folder()) as opened:
        if run is None:
            return _list(opened, as_json=as_json)
        return _one(opened, opened.resolve(run), as_json=as_json, markdown=as_markdown)


def _verify(folder: Path, *, as_json: bool) -> int:
    """Opens nothing that would have to be whole: the file may be damaged."""
    path, found = folder / "journal.db", verify(folder)
    if as_json:
        problems = [{"event": problem.event, "run": problem.run, "what": problem.what} for problem in found.problems]
        remembers = {"event": found.remembered[0], "hash": found.remembered[1]} if found.remembered else None
        document(
            {
                "file": str(path),
                "events": found.events,
                "head": found.head,
                "remembered": remembers,
                "problems": problems,
            }
        )
    else:
        for problem in found.problems:
            run = f" of run {text.line(problem.run)}" if problem.run else ""
            say(f"event {problem.event}{run}: {text.line(problem.what)}")
        verdict = f"{len(found.problems)} problems" if found.problems else f"whole, head {found.head[:16]}"
        (tell if found.problems else say)(f"{text.line(str(path))}: {found.events} events, {verdict}")
        if found.problems:
            remembered = "event {} with hash {}".format(*found.remembered) if found.remembered else "nothing"
            tell(f"journal.head remembers {text.line(remembered)}. Keep both files for evidence.")
    return EXIT_FAILED if found.problems else EXIT_DONE


def _list(opened: Journal, *, as_json: bool) -> int:
    records = [record_of(run, opened.events(run, brief=True)) for run in opened.run_ids()]
    follow_ups = followups.review(opened)
    for damage in opened.events_of_kind(Kind.JOURNAL_DAMAGED):
        tell(f"This journal was damaged: {text.line(damage.data['what'])}. See: infraconsole journal verify")
    if as_json:
        open_ones = [
            {"run": known.run, "id": known.id, "title": known.title, "detail": known.detail}
            for known in follow_ups
            if not known.done
        ]
        document({"runs": [_summary(opened, record) for record in records], "follow_ups": open_ones})
        return EXIT_DONE
    now = datetime.now(UTC)
    for record in records:
        began = text.ago(record.created_at, now)
        dry = " (dry run)" if record.dry_run else ""
        state, operator = _state(opened, record), text.line(record.operator)
        say(f"{text.line(record.run)}  {state:<12}{began:>8} ago  {operator:<12} {text.line(record.title)}{dry}")
    if not records:
        tell("No run yet.")
    for known in follow_ups:
        say(f"{'done' if known.done else 'open'}  {text.line(known.title)} (run {text.line(known.run)})")
        if not known.done:
            say("\n".join(f"      {line}" for line in text.block(known.detail).split("\n")))
    return EXIT_DONE


def _one(opened: Journal, run: str, *, as_json: bool, markdown: bool) -> int:
    events = opened.events(run)
    if as_json:
        for event in events:
            document(event.as_json(), indent=None)
    elif markdown:
        say(as_markdown(record_of(run, events), events).removesuffix("\n"))
    else:
        for event in events:
            for line in event_lines(event):
                say(f"{text.utc(event.at)}  {line}")
    return EXIT_DONE


def _summary(opened: Journal, record: RunRecord) -> dict[str, object]:
    return {
        "run": record.run,
        "runbook": record.runbook,
        "target": record.target.name,
        "region": record.target.region,
        "account": record.target.account,
        "operator": record.operator,
        "state": _state(opened, record),
        "outcome": record.outcome or None,
        "dry_run": record.dry_run,
        "created_at": text.utc(record.created_at) if record.created_at else None,
        "ended_at": text.utc(record.ended_at) if record.ended_at else None,
    }


def _state(opened: Journal, record: RunRecord) -> str:
    if record.outcome:
        return record.outcome
    return "under way" if executor_of(opened.folder, record.run) else "resumable"
