"""`infraconsole journal verify`, `archive` and `anchor`: what proves the journal, and what keeps it small."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from infraconsole import config, text
from infraconsole.aws.access import AwsAccess, ChangingAccess
from infraconsole.aws.sts import identity
from infraconsole.cli.output import document, say, tell
from infraconsole.engine import anchor as anchors
from infraconsole.engine import archive as archives
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import UNPROVED, Problem, Verification, verify
from infraconsole.errors import EXIT_DONE, EXIT_FAILED, GateRefused, PrerequisiteMissing, UsageError


def verified(from_archive: Path | None, anchor: tuple[str, str | None] | None, *, as_json: bool) -> int:
    """Opens nothing that would have to be whole: the file may be damaged. `anchor` is where, and whose account, to compare with."""
    folder = config.state_folder()
    if from_archive is not None and anchor is None:
        return _archive_verified(folder, from_archive, as_json=as_json)
    known = _anchors(*anchor) if anchor is not None else []
    found = verify(folder, anchored=frozenset(each.event for each in known))
    if anchor is not None:
        files = [from_archive] if from_archive else [Path(archived.file) for archived in found.archives]
        archived = archives.hashes(found.archives, files, frozenset(each.event for each in known))
        problems = archives.verify_archive(folder, from_archive)[1] if from_archive else []
        fresh = [problem for problem in problems if problem not in found.problems]
        found = replace(found, problems=(*found.problems, *fresh, *anchors.compared(found, known, archived)))
        tell(f"Compared with {len(known)} anchors.")
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
        if not found.anchored:
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
        done = archives.archive(journal, moment, to.absolute() if to else None, config.operator_name(settings))
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


def anchor(where: str | None, environment: str | None, *, yes: bool, as_json: bool) -> int:
    settings = config.load()
    if settings.read_only:
        raise GateRefused("This console is read-only.", cause=f"{settings.file} says read_only.")
    place, access, account = _place(settings, where, environment, ChangingAccess)
    with Journal(config.state_folder(), create=False) as journal:
        number, digest = journal.head()
        tell(f"Writes the journal's head, event {number} with hash {digest}, to {place} in account {account}.")
        if not yes:
            _confirm()
        operator = config.operator_name(settings)
        done = anchors.write(journal, place, access, operator, retain_days=settings.journal.retain_days)
    for warning in done.warnings:
        tell(warning)
    if as_json:
        document(
            {"event": done.event, "hash": done.hash, "where": done.where, "locked_until": done.locked_until or None}
        )
    else:
        until = f", locked until {done.locked_until}" if done.locked_until else ""
        say(f"event {done.event} {done.hash} is at {done.where}{until}")
    return EXIT_DONE


def _confirm() -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise GateRefused("Nothing was written.", cause="Without a terminal it needs --yes.")
    tell("Type yes to write it:")
    if sys.stdin.readline().strip() != "yes":
        raise GateRefused("Nothing was written.", cause="It was not confirmed.")


def _anchors(where: str, environment: str | None) -> list[anchors.Anchor]:
    place, access, _ = _place(config.load(), where or None, environment, AwsAccess)
    found = anchors.read(place, access)
    if not found:
        raise PrerequisiteMissing(
            f"There is no anchor of this journal at {place}.", mend="Write one: infraconsole journal anchor"
        )
    return found


_A = TypeVar("_A", bound=AwsAccess)


def _place(
    settings: config.Config, where: str | None, environment: str | None, kind: type[_A]
) -> tuple[anchors.Place, _A, str]:
    """The place, access to its account, and that account. Raises PrerequisiteMissing where the credentials are another's."""
    given = where or settings.journal.anchor
    if not given:
        raise UsageError(
            "Where the anchor is, nobody has said.",
            mend='Write --to s3://BUCKET/PREFIX or --to ssm:/NAME, or anchor = "…" into [journal] of infraconsole.toml.',
        )
    place = anchors.parse(given, settings.journal.name or anchors.default_name(config.operator_name(settings)))
    name = environment or settings.journal.environment or settings.guarding_environment()
    about = settings.environment(name)
    access = kind(region=settings.region_of(name), profile=about.profile)
    account = identity(access).account
    if about.account and about.account != account:
        raise PrerequisiteMissing(
            f"The credentials belong to account {account}.",
            cause=f"{name} is account {about.account} in {settings.file}.",
            mend="Use the profile of that account.",
        )
    return place, access, account


def _moment(words: str) -> datetime:
    try:
        found = datetime.fromisoformat(words)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{words!r} is no date.", mend="Write it as 2026-01-31, or 2026-01-31T12:00:00Z.") from error
