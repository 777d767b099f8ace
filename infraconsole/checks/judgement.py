"""One judgement of a row: what is wrong with a service in one environment, how bad that is, and what to do next. Pure: from what
was read (row_facts.py) to sentences. Every screen and `status` say the same, because they ask here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from infraconsole import naming, text
from infraconsole.checks.row_facts import BoardRow, Fact, LockFacts
from infraconsole.errors import InfraconsoleError

if TYPE_CHECKING:
    from infraconsole.checks.findings import Finding
    from infraconsole.terraform.state import LockInfo

# What imports AWS is imported where it is used: the board is painted without waiting for it.

STALE_LOCK = timedelta(minutes=15)
"""A state lock older than this is worth a sentence: an apply is rarely that long."""


STATE_LEFT = "an apply could not store its state: errored.tfstate."
OTHER_DIGEST = "the lock table's digest is not that of the stored state: every Terraform command fails."


class Level(IntEnum):
    """How bad: the higher, the sooner somebody has to look."""

    FINE = 0
    ABSENT = 1
    """Not deployed here, and by the state it does not have to be."""
    BUSY = 2
    WARNING = 3
    UNKNOWN = 4
    BROKEN = 5

    @property
    def word(self) -> str:
        """As `status` says it."""
        return _LEVEL_WORDS[self]


_LEVEL_WORDS = {
    Level.FINE: "ok",
    Level.ABSENT: "ok",
    Level.BUSY: "warning",
    Level.WARNING: "warning",
    Level.UNKNOWN: "unknown",
    Level.BROKEN: "error",
}


@dataclass(frozen=True)
class Reason:
    """A sentence about one row that names the thing. What to do next is `key` in the console and `command` in a shell, each as a
    sentence, "" where there is none."""

    level: Level
    words: str
    key: str = ""
    command: str = ""

    @property
    def on_screen(self) -> str:
        return f"{self.words} {self.key}".rstrip()

    @property
    def in_shell(self) -> str:
        return f"{self.words} {self.command}".rstrip()


@dataclass(frozen=True)
class Judgement:
    """`reasons` the worst first; `unread` are the groups of facts that nobody has read yet; `not_judged` says what is left out
    because the configuration does not name it, each as a sentence."""

    service: str
    environment: str
    reasons: tuple[Reason, ...] = ()
    unread: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        return self.reasons[0].level if self.reasons else Level.FINE

    @property
    def is_ok(self) -> bool:
        """Everything was looked at, and nothing is wrong."""
        return self.level <= Level.ABSENT and not self.unread

    @property
    def word(self) -> str:
        """ok, warning, error or unknown: what has not been read is not ok."""
        return "unknown" if self.level <= Level.ABSENT and self.unread else self.level.word

    @property
    def name(self) -> str:
        return f"{self.service} {self.environment}"

    @property
    def headline(self) -> str:
        """The worst, with what to do in the console; "" where nothing is wrong."""
        return f"{self.name}: {self.reasons[0].on_screen}" if self.reasons else ""


def judge(row: BoardRow, now: datetime) -> Judgement:
    found = sorted(_reasons(row, now), key=lambda reason: -reason.level)
    unread = tuple(name for name, fact in row.all_facts if fact.value is None and fact.error is None)
    return Judgement(row.service_name, row.environment, tuple(found), unread, tuple(_not_judged(row)))


def worst_first(judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """Those in equal trouble keep their order; what has not been read whole stands before what is ok."""
    return tuple(sorted(judgements, key=lambda each: (-each.level, each.is_ok)))


def _reasons(row: BoardRow, now: datetime) -> Iterator[Reason]:
    """In the order in which those of one level are told."""
    yield from _of_service(row, now)
    judges: tuple[Callable[[BoardRow, datetime], Iterator[Reason]], ...] = (
        *(_of_state, _of_runs, _of_lock, _of_alarms, _of_exports, _of_image, _of_follow_ups),
    )
    for judged in judges:
        yield from judged(row, now)
    yield from _unreadable(row)


_GROUP_WORDS = {"service": "ECS service", "state": "Terraform state", "lock": "state lock", "left": "runs"}


def _unreadable(row: BoardRow) -> Iterator[Reason]:
    """What nobody could look at, together where it is for one reason."""
    found: dict[str, list[str]] = {}
    for group, fact in row.all_facts:
        if fact.error is not None and not _is_judged(group, fact):
            found.setdefault(title_of(fact.error), []).append(_GROUP_WORDS.get(group, group))
    for why, names in found.items():
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        yield Reason(Level.UNKNOWN, f"its {listed} could not be read: {why}", "d shows the whole error.")


def _is_judged(group: str, fact: Fact[Any]) -> bool:
    """Whether the error is a fact in itself: no service, no state, or one that Terraform cannot read."""
    return (group in ("service", "state") and fact.absent) or (group == "state" and _is_broken_state(fact.error))


def title_of(error: BaseException) -> str:
    return error.title if isinstance(error, InfraconsoleError) else f"{type(error).__name__}: {error}."


def _not_judged(row: BoardRow) -> Iterator[str]:
    if row.state.value is not None and not row.state.value.bucket:
        yield "Its state: no state_bucket is set."
    if row.variables.value is not None and row.variables.value.why_not:
        yield f"Its image against the variables: {row.variables.value.why_not}"


# The service


def _of_service(row: BoardRow, now: datetime) -> Iterator[Reason]:
    if row.service.absent:
        yield _absent(row)
    elif row.service.error is not None:
        yield Reason(
            Level.UNKNOWN, f"its state is not known: {title_of(row.service.error)}", "d shows the whole error."
        )
    if row.service.value is not None:
        from infraconsole.checks.service_judgement import reasons

        yield from reasons(row.service.value, row.environment, now)


def _absent(row: BoardRow) -> Reason:
    """Whether it has to be there is what the state says."""
    words = "there is no ECS service of that name"
    state = row.state.value.state if row.state.value else None
    if state is not None and state.resource_count:
        return Reason(
            Level.BROKEN,
            f"{words}, although its Terraform state has {state.resource_count:,} resources.",
            "D plans what is missing.",
            _run("deploy", row, "Plan what is missing"),
        )
    if state is not None or row.state.absent or (row.state.value is None and row.state.error is None):
        return Reason(Level.ABSENT, f"{words}.")
    return Reason(Level.UNKNOWN, f"{words}, and no state tells whether there has to be one.")


def _run(runbook: str, row: BoardRow, what: str) -> str:
    return f"{what}: infraconsole run {runbook} --service {row.service_name} --env {row.environment}"


# Terraform


def _is_broken_state(error: BaseException | None) -> bool:
    if error is None:
        return False
    from infraconsole.terraform.state import StateTooNew, StateUnreadable

    return isinstance(error, StateUnreadable) and not isinstance(error, StateTooNew)


def _of_state(row: BoardRow, now: datetime) -> Iterator[Reason]:
    facts = row.state.value
    if row.state.absent and row.service.value is not None:
        why = title_of(row.state.error) if row.state.error else ""
        yield Reason(Level.WARNING, f"its Terraform state is not there: {why}", "t shows its versions.")
    elif _is_broken_state(row.state.error):
        yield Reason(
            Level.BROKEN,
            "what is stored is no whole Terraform state.",
            "t, then R brings the last whole one back.",
            _run("state-undelete", row, "Bring the last whole one back"),
        )
    if facts is None:
        return
    if facts.left:
        yield Reason(
            Level.BROKEN,
            STATE_LEFT,
            "t, then E pushes or dismisses it.",
            _run("state-recover", row, "Push or dismiss it"),
        )
    if facts.digest:
        yield Reason(
            Level.BROKEN,
            OTHER_DIGEST,
            "t shows which of the two is right.",
            _run("digest-repair", row, "Compare and repair them"),
        )


def _of_runs(row: BoardRow, now: datetime) -> Iterator[Reason]:
    left = row.left.value
    if left is None:
        return
    if left.half_applied is not None:
        run = left.half_applied
        since = f" {text.ago(run.at, now)} ago" if run.at else ""
        yield Reason(
            Level.WARNING,
            f"the apply of run {run.id} stopped half way{since}.",
            "D plans what is left.",
            _run("deploy", row, "Plan what is left"),
        )
    for run in left.unfinished:
        named = f"{run.title} ({run.id})"
        if run.under_way and run.gate:
            at = f"{named} waits for an answer at “{run.gate}”."
            yield Reason(Level.BUSY, at, "h opens it.", f"Answer it: infraconsole attach {run.id}")
        elif run.under_way:
            yield Reason(
                Level.BUSY, f"{named} is under way.", "h opens it.", f"Follow it: infraconsole attach {run.id}"
            )
        elif run.resumable:
            yield Reason(
                Level.WARNING,
                f"{named} is not finished, and no process runs it.",
                "h shows it.",
                f"Go on with it: infraconsole resume {run.id}",
            )


def no_lock_words(facts: LockFacts) -> str:
    """What a state without a lock means, and what to do about it."""
    return f"no lock protects the state: two deploys at the same time lose resources. {facts.mend}"


def is_stale(lock: LockInfo, now: datetime) -> bool:
    return lock.created is not None and now - lock.created > STALE_LOCK


def _of_lock(row: BoardRow, now: datetime) -> Iterator[Reason]:
    if row.lock.value is None:
        return
    if row.lock.value.why_unlocked:
        yield Reason(Level.WARNING, no_lock_words(row.lock.value))
    lock = row.lock.value.lock
    if lock is not None and is_stale(lock, now):
        yield Reason(
            Level.WARNING,
            f"{lock.who} holds the state lock for {text.ago(lock.created, now)}.",
            "t, then U unlocks it, if nobody is using it.",
            _run("state-unlock", row, "If nobody is at work"),
        )


def _of_follow_ups(row: BoardRow, now: datetime) -> Iterator[Reason]:
    for item in row.left.value.to_do if row.left.value else ():
        yield Reason(
            Level.WARNING,
            f"Still to do: {item.title.rstrip('.')}.",
            f"h shows run {item.run}.",
            f"Details: infraconsole journal {item.run}",
        )


# Around the service


def _of_alarms(row: BoardRow, now: datetime) -> Iterator[Reason]:
    ringing = [alarm for alarm in row.alarms.value or () if alarm.state == "ALARM"]
    if ringing:
        first, others = ringing[0], len(ringing) - 1
        which = f"alarms {first.name} and {others} more ring" if others else f"alarm {first.name} rings"
        since = f" for {text.ago(first.since, now)}" if first.since else ""
        yield Reason(Level.WARNING, f"{which}{since}.", "d shows why.")


def _of_exports(row: BoardRow, now: datetime) -> Iterator[Reason]:
    facts = row.exports.value
    if facts is None:
        return
    key, command = "x shows the exports.", f"Details: infraconsole exports --env {row.environment}"
    if facts.missing:
        others = f" and {len(facts.missing) - 1} more" if len(facts.missing) > 1 else ""
        are = "are" if others else "is"
        yield Reason(Level.WARNING, f"the export {facts.missing[0]}{others} {are} missing.", key, command)
    for finding in facts.findings:
        if finding.subject not in facts.missing:
            yield Reason(_of_finding(finding), f"the export {finding.subject}: {finding.message}", key, command)


def _of_finding(finding: Finding) -> Level:
    return Level.UNKNOWN if finding.id == NOT_CHECKED else Level.WARNING


NOT_CHECKED = "export-not-checked"


def _of_image(row: BoardRow, now: datetime) -> Iterator[Reason]:
    facts, variables = row.service.value, row.variables.value
    if facts is None or variables is None or variables.values is None:
        return
    from infraconsole.checks.service_judgement import other_image

    found = other_image(facts, variables, row.environment)
    if found is not None:
        there, meant = found
        command = _run("deploy", row, "").removeprefix(": ")
        yield Reason(
            Level.WARNING,
            f"image {there}, but the variables say {meant.value} ({meant.key}): the next deploy brings that.",
            "v compares them.",
            f"Correct {naming.tfvars_path(row.environment)}, or plan that: {command}",
        )
