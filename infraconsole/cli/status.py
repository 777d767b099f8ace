"""`infraconsole status`: is anything wrong? The board's judgement without a screen, for a login message, cron and scripts.

It only reads, together what can be read together, and never waits longer than a person at a prompt does: what has not been read by
then is unknown. It is over soon, so it may send more calls a second than a console that stays.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from infraconsole import clock, config, text
from infraconsole.checks.judgement import Judgement, judge, worst_first
from infraconsole.checks.row_facts import BoardRow, Fact, Left
from infraconsole.cli import output
from infraconsole.config import Config
from infraconsole.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    ConfigError,
    InfraconsoleError,
    JournalError,
    PrerequisiteMissing,
)
from infraconsole.fleet import plan
from infraconsole.fleet.job import Job, Told
from infraconsole.fleet.pump import Pump
from infraconsole.overview import Overview
from infraconsole.screens.threads import in_thread

PATIENCE_SECONDS = 25.0
"""For all rows together. A login waits for it, and cron's mail is no use if the next one has begun."""
TIMES_THE_BUDGET = 8.0
"""Of calls a second, as against the console's own."""
PATIENCE_A_ROW_SECONDS = 0.15
"""Of very many rows: four calls each, as fast as that allows, and a half more."""
_AT_ONCE = 16
"""Reads at a time."""
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
    overview = Overview(settings, _access(settings), calls_per_second=settings.aws.calls_per_second * TIMES_THE_BUDGET)
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
    read = reading.rows(max(PATIENCE_SECONDS, PATIENCE_A_ROW_SECONDS * len(wanted)))
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


class _Reading:
    """All groups of facts of all rows, by daemons: nobody waits for an AWS that does not answer."""

    def __init__(self, overview: Overview, rows: Sequence[BoardRow]) -> None:
        self._overview = overview
        self._rows = {row.key: row for row in rows}
        self.goes_on = False

    def rows(self, seconds: float) -> list[BoardRow]:
        """As they are once everything was read, or the time is over."""
        asyncio.run(self._read(seconds))
        late = TooSlow(f"AWS did not answer within {seconds:.0f} s.")
        for key, row in self._rows.items():
            for group, fact in row.facts:
                if fact.value is None and fact.error is None:
                    self.goes_on = True
                    self._rows[key] = self._rows[key].with_fact(group, Fact(error=late))
        return list(self._rows.values())

    async def _read(self, seconds: float) -> None:
        async def carry(call: Callable[[], None], job: Job) -> None:
            await in_thread(call, job.name)

        jobs = plan.jobs(self._overview, tuple(self._rows.values()))
        pump = Pump(self._overview, jobs, self._put, carry, once=True, at_once=_AT_ONCE)
        with suppress(TimeoutError):
            await asyncio.wait_for(pump.run_once(), seconds)

    def _put(self, told: Sequence[Told]) -> None:
        at = clock.now()
        for each in told:
            fact: Fact[Any] = getattr(self._rows[each.key], each.group)
            fact = fact.failed(each.error) if each.error is not None else fact.got(each.value, at)
            self._rows[each.key] = self._rows[each.key].with_fact(each.group, fact)


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
