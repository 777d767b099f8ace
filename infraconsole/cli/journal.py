"""`infraconsole journal`: the runs and one run's events. What proves and keeps the journal is in `journal_care.py`."""

from __future__ import annotations

from pathlib import Path

from infraconsole import clock, config, text
from infraconsole.cli.lines import event_lines
from infraconsole.cli.output import document, say, tell
from infraconsole.engine import archive, followups, listing
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.export import as_markdown
from infraconsole.engine.history import FollowUp, record_of
from infraconsole.engine.index import RunSummary
from infraconsole.engine.journal import Journal
from infraconsole.engine.launch import executor_of
from infraconsole.errors import EXIT_DONE, JournalError, UnknownName

LIMIT = 50
"""How many runs are listed unless more are asked for."""


def journal(run: str | None, *, limit: int | None, from_archive: Path | None, as_json: bool, markdown: bool) -> int:
    if run is not None and from_archive is not None:
        events = archive.events(from_archive, run)
        if not events:
            raise UnknownName("run", run, (), where=f"in {from_archive}")
        return _one(run, events, as_json=as_json, markdown=markdown)
    with Journal(config.state_folder()) as opened:
        if run is None:
            return _list(opened, limit, as_json=as_json)
        found = opened.resolve(run)
        return _one(found, opened.events(found), as_json=as_json, markdown=markdown)


def _list(opened: Journal, limit: int | None, *, as_json: bool) -> int:
    page = listing.newest(opened, limit)
    follow_ups = followups.review(opened)
    for damage in opened.events_of_kind(Kind.JOURNAL_DAMAGED):
        tell(f"This journal was damaged: {text.line(str(damage.data.get('what')))}. See: infraconsole journal verify")
    if as_json:
        open_ones = [
            {"run": known.run, "id": known.id, "title": known.title, "detail": known.detail}
            for known in follow_ups
            if not known.done
        ]
        runs = [_summary(opened, run) for run in page.runs]
        document({"runs": runs, "follow_ups": open_ones, "total": page.total})
    else:
        _lines(opened, page, follow_ups)
    if len(page.runs) < page.total:
        tell(f"The newest {len(page.runs)} of {page.total:,} runs. More: --limit N, or --all")
    return EXIT_DONE


def _lines(opened: Journal, page: listing.Page, follow_ups: tuple[FollowUp, ...]) -> None:
    now = clock.now()
    for run in page.runs:
        began = text.ago(run.created_at, now)
        dry = " (dry run)" if run.dry_run else ""
        operator = text.line(run.operator)
        say(f"{run.run}  {_state(opened, run):<12}{began:>8} ago  {operator:<12} {text.line(run.title)}{dry}")
    if not page.runs:
        tell("No run yet.")
    for known in follow_ups:
        say(f"{'done' if known.done else 'open'}  {text.line(known.title)} (run {known.run})")
        if not known.done:
            say("\n".join(f"      {line}" for line in text.block(known.detail).splitlines()))


def _one(run: str, events: list[Event], *, as_json: bool, markdown: bool) -> int:
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


def _summary(opened: Journal, run: RunSummary) -> dict[str, object]:
    return {
        "run": run.run,
        "runbook": run.runbook,
        "target": run.target.name,
        "region": run.target.region,
        "account": run.target.account,
        "operator": run.operator,
        "state": _state(opened, run),
        "outcome": run.outcome or None,
        "dry_run": run.dry_run,
        "created_at": text.utc(run.created_at) if run.created_at else None,
        "ended_at": text.utc(run.ended_at) if run.ended_at else None,
    }


def _state(opened: Journal, run: RunSummary) -> str:
    if run.outcome:
        return run.outcome
    try:
        return "under way" if executor_of(opened.folder, run.run) else "resumable"
    except JournalError as error:  # one lock that cannot be looked at hides no other run
        tell(str(error))
        return "not known"
