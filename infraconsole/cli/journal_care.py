"""`infraconsole journal verify`, `archive` and `anchor`: what proves the journal, and what keeps it small."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from infraconsole import config, text
from infraconsole.cli.output import document, say, tell
from infraconsole.engine import archive as archives
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import UNPROVED, Problem, Verification, verify
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, UsageError


def verified(from_archive: Path | None, *, as_json: bool) -> int:
    """Opens nothing that would have to be whole: the file may be damaged."""
    folder = config.state_folder()
    if from_archive is not None:
        return _archive_verified(folder, from_archive, as_json=as_json)
    found = verify(folder)
    if any(problem.derived for problem in found.problems):
        with Journal(folder, create=False) as journal:
            journal.remake_index()
        tell("The index of runs is made again from the events.")
    if as_json:
        document(_as_json(folder, found))
    else:
        _say_verified(folder, found)
    return EXIT_FAILED if found.problems else EXIT_DONE


def _as_json(folder: Path, found: Verification) -> dict[str, object]:
    return {
        "file": str(folder / "journal.db"),
        "events": found.events,
        "head": found.head,
        "remembered": {"event": found.remembered[0], "hash": found.remembered[1]} if found.remembered else None,
        "problems": [_problem(problem) for problem in found.problems],
        "archives": [{"file": known.file, "events": known.events, "runs": len(known.runs)} for known in found.archives],
        "not_looked_at": list(found.beyond),
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {"event": problem.event, "run": problem.run, "what": problem.what}


def _say_verified(folder: Path, found: Verification) -> None:
    path = folder / "journal.db"
    _say_problems(found.problems)
    for known in found.archives:
        there = "" if Path(known.file).exists() else ", which is not there any more"
        say(f"{known.events} events of {len(known.runs)} runs are archived in {text.line(known.file)}{there}")
    for words in found.beyond:
        tell(f"Not looked at: {text.line(words)}")
    if not found.problems:
        say(f"{path}: {found.events} events, whole, head {found.head}")
        tell(UNPROVED)
        return
    tell(f"{path}: {found.events} events, {len(found.problems)} problems")
    remembered = "event {} with hash {}".format(*found.remembered) if found.remembered else "nothing"
    tell(f"journal.head remembers {remembered}. Keep both files as evidence.")


def _say_problems(problems: tuple[Problem, ...] | list[Problem]) -> None:
    for problem in problems:
        run = f" of run {text.line(problem.run)}" if problem.run else ""
        say(f"event {problem.event}{run}: {text.line(problem.what)}")


def _archive_verified(folder: Path, file: Path, *, as_json: bool) -> int:
    record, problems = archives.verify_archive(folder, file)
    if as_json:
        document(
            {
                "file": str(file),
                "events": record.events if record else None,
                "runs": len(record.runs) if record else None,
                "problems": [_problem(problem) for problem in problems],
            }
        )
    else:
        _say_problems(problems)
        if record and not problems:
            say(f"{file}: {record.events} events of {len(record.runs)} runs, whole, as event {record.event} says")
        else:
            tell(f"{file}: {len(problems)} problems. Keep it as evidence.")
    return EXIT_FAILED if problems else EXIT_DONE


def archive(before: str | None, to: Path | None, *, as_json: bool) -> int:
    if before is None:
        raise UsageError("`journal archive` needs a date.", mend="Write --before 2026-01-31.")
    moment = _moment(before)
    settings = config.load()
    with Journal(config.state_folder(), create=False) as journal:
        file = to.absolute() if to else archives.default_file(journal, moment)
        done = archives.archive(journal, moment, file, config.operator_name(settings))
    if as_json:
        document(
            {"file": str(done.file) if done.runs else None, "runs": done.runs, "events": done.events, "kept": done.kept}
        )
        return EXIT_DONE
    if done.runs:
        say(f"{done.runs} runs with {done.events} events are in {done.file}")
        tell(f"Prove it at any time: infraconsole journal verify --archive {done.file}")
    else:
        say(f"No run to archive ended before {text.utc(moment)}.")
    if done.kept:
        tell(
            f"{done.kept} older runs stay: each is the last of its kind on its target, or something is still to do after it."
        )
    return EXIT_DONE


def _moment(words: str) -> datetime:
    try:
        found = datetime.fromisoformat(words)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{words!r} is no date.", mend="Write it as 2026-01-31, or 2026-01-31T12:00:00Z.") from error
