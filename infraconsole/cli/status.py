"""`infraconsole status`: is anything wrong? The board's judgement without a screen, for a login message, cron and scripts.

It only reads, all rows at once, and never waits longer than a person at a prompt does: what has not been read by then is unknown.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from infraconsole import clock, config, text
from infraconsole.checks.judgement import Judgement, judge, worst_first
from infraconsole.checks.row_facts import GROUPS, BoardRow, Fact, Left
from infraconsole.cli import output
from infraconsole.clock import Deadline
from infraconsole.config import Config
from infraconsole.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    ConfigError,
    InfraconsoleError,
    JournalError,
    PrerequisiteMissing,
)
from infraconsole.overview import Overview

PATIENCE_SECONDS = 25.0
"""For all rows together. A login waits for it, and cron's mail is no use if the next one has begun."""
_AT_ONCE = 16
"""Reads at a time, as the board has them."""
_MOST_WORDS = 400
_SIGNS = {"error": "✗ error  ", "warning": "! warning", "unknown": "? unknown", "ok": "✓ ok     "}


def status(*, service: str | None, environment: str | None, as_json: bool) -> int:
    """1 unless every row is ok. Where nothing at all could be read, the exit code of what stands in the way."""
    settings = config.load()
    if service is not None:
        settings.service(service)
    if environment is not None:
        settings.environment(environment)
    for name in [environment] if environment is not None else settings.environments:
        settings.region_of(name)
    overview = Overview(settings, _access(settings))
    wanted = [
        row for row in overview.rows() if service in (None, row.service_name) and environment in (None, row.environment)
    ]
    if not wanted:
        raise ConfigError(
            "There is nothing to look at: no service or no environment is configured.",
            mend=f"Write [services.<name>] and [environments.<name>] into {settings.file or 'infraconsole.toml'}.",
        )
    reading = _Reading(overview, wanted)
    left = _left([row.key for row in wanted])
    read = reading.rows(PATIENCE_SECONDS)
    rows = [row.with_fact("left", left.get(row.key, Fact())) for row in read]
    at = clock.now()
    judged = {(each.service, each.environment): each for each in (judge(row, at) for row in rows)}
    ordered = worst_first(judged.values())
    by_name = {(row.service_name, row.environment): row for row in rows}
    pairs = [(each, by_name[each.service, each.environment]) for each in ordered]
    if as_json:
        output.document({"at": text.utc(at), "rows": [_document(*pair) for pair in pairs]})
    else:
        for line in _lines(pairs):
            output.say(line)
    code = _code(pairs)
    if reading.goes_on:
        # Its threads wait for AWS, and Python would wait for them.
        output.flush()
        os._exit(code)
    return code


def _access(settings: Config) -> Callable[[str], Any]:
    def access(environment: str) -> Any:
        from infraconsole.aws.access import AwsAccess

        return AwsAccess(region=settings.region_of(environment), profile=settings.environment(environment).profile)

    return access


# Reading


class TooSlow(InfraconsoleError):
    """It was not read in the time that there is."""


@dataclass(frozen=True)
class _Answer:
    key: str
    group: str
    fact: Fact[Any]


class _Reading:
    """All groups of facts of all rows, by daemons: nobody waits for an AWS that does not answer."""

    def __init__(self, overview: Overview, rows: Sequence[BoardRow]) -> None:
        self._overview = overview
        self._rows = {row.key: row for row in rows}
        self._wanted: queue.SimpleQueue[Callable[[], _Answer]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        # What tells most comes first, of all rows.
        for group in GROUPS:
            for row in rows:
                self._wanted.put(partial(self._read, row, group))
        self._missing = {(row.key, group) for row in rows for group in GROUPS}
        for number in range(min(_AT_ONCE, len(self._missing))):
            threading.Thread(target=self._serve, name=f"status {number}", daemon=True).start()

    @property
    def goes_on(self) -> bool:
        return bool(self._missing)

    def rows(self, seconds: float) -> list[BoardRow]:
        """As they are once everything was read, or the time is over."""
        deadline = Deadline(seconds)
        while self._missing and not deadline.is_over():
            try:
                answer = self._answers.get(timeout=deadline.pause_seconds)
            except queue.Empty:
                continue
            self._missing.discard((answer.key, answer.group))
            self._rows[answer.key] = self._rows[answer.key].with_fact(answer.group, answer.fact)
        late = TooSlow(f"AWS did not answer within {seconds:.0f} s.")
        for key, group in self._missing:
            self._rows[key] = self._rows[key].with_fact(group, Fact(error=late))
        return list(self._rows.values())

    def _serve(self) -> None:
        while True:
            try:
                read = self._wanted.get_nowait()
            except queue.Empty:
                return
            self._answers.put(read())

    def _read(self, row: BoardRow, group: str) -> _Answer:
        fact: Fact[Any] = Fact()
        try:
            found = getattr(self._overview, group)(row.service_name, row.environment)
            fact = fact.got(found, clock.now())
        except Exception as error:  # noqa: BLE001 - the edge of a read: it is said of its row
            fact = fact.failed(error)
        return _Answer(row.key, group, fact)


def _left(names: Sequence[str]) -> Mapping[str, Fact[Left]]:
    """What runs have left at each target, by its name; without a journal there were no runs."""
    from infraconsole.engine import followups
    from infraconsole.engine.journal import Journal
    from infraconsole.engine.verify import is_begun
    from infraconsole.screens.runs import BoardRuns, board_runs, left_of

    folder = config.state_folder()
    try:
        runs = BoardRuns()
        if is_begun(folder):
            with Journal(folder) as journal:
                followups.review(journal)
                runs = board_runs(journal, names)
        return {name: Fact(left_of(runs, name), clock.now()) for name in names}
    except JournalError as error:
        return {name: Fact(error=error) for name in names}


def _code(pairs: Sequence[tuple[Judgement, BoardRow]]) -> int:
    """0 where every row is ok; where no service could be read for one reason, as missing credentials, that reason's code."""
    if all(each.is_ok for each, _ in pairs):
        return EXIT_DONE
    errors = [row.service.error for _, row in pairs]
    missing = [error for error in errors if isinstance(error, PrerequisiteMissing)]
    if len(missing) == len(errors) and not any(row.service.absent for _, row in pairs):
        output.tell(str(missing[0]))
        return missing[0].exit_code
    return EXIT_FAILED


# Words


def _document(judged: Judgement, row: BoardRow) -> dict[str, Any]:
    facts = row.service.value
    run = row.left.value.run if row.left.value else None
    return {
        "service": judged.service,
        "environment": judged.environment,
        "level": judged.word,
        "reasons": [reason.in_shell for reason in judged.reasons],
        "serving_image": facts.serving_image or None if facts else None,
        "rolling_image": facts.rolling_image or None if facts else None,
        "tasks": facts.service.running if facts else None,
        "desired": facts.service.desired if facts else None,
        "run": run.id if run else None,
        "run_state": run.state if run else None,
        "not_judged": list(judged.not_judged),
    }


def _lines(pairs: Sequence[tuple[Judgement, BoardRow]]) -> Iterator[str]:
    """One for each row, the worst first, and under it its reasons."""
    width = max(len(judged.name) for judged, _ in pairs)
    for judged, row in pairs:
        facts = row.service.value
        runs = f"{facts.service.running}/{facts.service.desired}" if facts else "-"
        image = facts.images.replace("?", "not known") if facts else ""
        yield f"{_SIGNS[judged.word]}  {judged.name:<{width}}  {runs:>5}  {text.line(image)}".rstrip()
        for reason in judged.reasons:
            yield f"    {text.line(reason.in_shell, _MOST_WORDS)}"
