"""What stands below the board's list: the service under the cursor, so that most nights need no second screen.

What matters most gets the room first, sentence by sentence; what finds none is one key away. Plain functions of facts and time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from infraconsole import text
from infraconsole.checks.judgement import Judgement
from infraconsole.checks.row_facts import BoardRow, Fact
from infraconsole.screens.board.cells import TONE_OF, remarks_of
from infraconsole.screens.runs import KnownRun
from infraconsole.screens.times import when
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, said

if TYPE_CHECKING:
    from infraconsole.aws.ecs import ServiceEvent, Task
    from infraconsole.checks.ecs_words import EventWords
    from infraconsole.engine.history import FollowUp

_EVENTS = 30
_INDENT = 2
_NAMES = {"service": "ECS service", "variables": "variables of its code", "left": "runs"}

# What imports AWS is imported once there is something of AWS's to say: the board is painted without waiting for it.


@dataclass(frozen=True)
class Selected:
    """All that is known of the row under the cursor. `tasks` are read only of a row that the cursor rests on; `on_top`: its worst
    reason stands on top of the screen already."""

    row: BoardRow
    judgement: Judgement
    tasks: Fact[tuple[Task, ...]]
    run: KnownRun | None
    follow_ups: Sequence[FollowUp]
    on_top: bool
    now: datetime


@dataclass(frozen=True)
class Section:
    """`lines` the most important first. Without a name they take the whole width."""

    name: str
    lines: tuple[Content, ...]


def sections(of: Selected) -> tuple[Section, ...]:
    """The most important first; without those that have nothing to say."""
    found = (
        Section("", tuple(_reasons(of))),
        Section("tasks", tuple(_tasks(of))),
        Section("deployed", tuple(_deployments(of))),
        Section("alarms", tuple(_alarms(of))),
        Section("events", tuple(_events(of))),
        Section("to do", tuple(_to_do(of))),
        Section("last run", tuple(_run(of))),
        Section("state", tuple(_state(of))),
        Section("not judged", tuple(said((sentence, DIM)) for sentence in of.judgement.not_judged)),
        Section("reading", tuple(_reading(of))),
    )
    return tuple(section for section in found if section.lines)


BESIDE = ("alarms", "events", "to do", "last run", "state")
"""Stand at the right where there is room for two columns."""


def _reasons(of: Selected) -> Iterator[Content]:
    for reason in of.judgement.reasons[int(of.on_top) :]:
        tone = TONE_OF[reason.level]
        yield said((f"{MARKS[tone]} {text.capitalized(reason.on_screen)}", tone))


def _deployments(of: Selected) -> Iterator[Content]:
    facts = of.row.service.value
    if facts is None:
        return
    from infraconsole.screens.containers.stories import deployment_story

    for deployment in facts.service.deployments:
        yield deployment_story(deployment, of.now)
    if facts.rolling_image and facts.serving_image:
        yield said((f"image {facts.images}: the first serves, the second is being rolled out", STRONG))
    for remark in remarks_of(facts):
        yield said((remark, WARN if not facts.service.deploying.by_ecs else PLAIN))


def _tasks(of: Selected) -> Iterator[Content]:
    """What failed by its reasons, then how many run; before they were read, what the service itself tells of stopped ones."""
    facts = of.row.service.value
    if facts is None:
        return
    from infraconsole.aws.ecs import family_and_revision
    from infraconsole.checks.task_groups import grouped, has_stopped

    groups = grouped(of.tasks.value if of.tasks.value is not None else facts.stopped)
    stopped = [group for group in groups if has_stopped(group.newest)]
    for group in (group for group in stopped if group.failed):
        count = f"{len(group.tasks)} × " if len(group.tasks) > 1 else ""
        revision = family_and_revision(group.newest.task_definition)[1]
        last = "the last " if count else ""
        yield said((f"{MARKS[BAD]} {count}{group.why}", BAD), (f"  :{revision}, {last}{when(group.at, of.now)}", DIM))
    alive = Counter(
        (_status(group.newest), family_and_revision(group.newest.task_definition)[1])
        for group in groups
        if not has_stopped(group.newest)
    )
    for (status, number), many in alive.items():
        tone = {"running": GOOD, "healthy": GOOD, "unhealthy": BAD}.get(status, STRONG)
        yield said((f"{MARKS[tone]} {many} {status}", tone), (f"  :{number}", DIM))
    for group in (group for group in stopped if not group.failed):
        yield said((f"{MARKS[DIM]} {len(group.tasks)} × {group.why}, the last {when(group.at, of.now)}", DIM))
    if of.tasks.error is not None:
        title = str(getattr(of.tasks.error, "title", of.tasks.error))
        yield said((f"! The tasks could not be read: {text.line(title)}", WARN))
    elif of.tasks.value is None:
        yield said((f"{facts.service.running} of {facts.service.desired} run; reading which, and which stopped…", DIM))
    elif not groups:
        yield said(("None runs, and none stopped within the last hour.", DIM))


def _status(task: Task) -> str:
    if task.last_status == "RUNNING" and task.health != "UNKNOWN":
        return task.health.lower()
    return task.last_status.lower()


def _alarms(of: Selected) -> Iterator[Content]:
    alarms = of.row.alarms.value
    if alarms is None:
        return
    for alarm in (alarm for alarm in alarms if alarm.state == "ALARM"):
        yield said(
            (f"{MARKS[WARN]} {alarm.name}", WARN), (f"  {when(alarm.since, of.now)}  ", DIM), text.line(alarm.reason)
        )
    quiet = sum(alarm.state != "ALARM" for alarm in alarms)
    if quiet == len(alarms):
        yield said((f"{quiet} {'is' if quiet == 1 else 'are'} quiet" if quiet else "it has none", DIM))


def _events(of: Selected) -> Iterator[Content]:
    """What ECS wrote, newest first, each once; equal ones together."""
    facts = of.row.service.value
    if facts is None:
        return
    from infraconsole.checks.ecs_words import event_words

    once = {event.id or (event.at, event.message): event for event in facts.service.events}
    told: dict[EventWords, list[ServiceEvent]] = {}
    for event in list(once.values())[:_EVENTS]:
        told.setdefault(event_words(event.message), []).append(event)
    for words, events in told.items():
        tone = BAD if words.failed else PLAIN
        count, last = (f"{len(events)} × ", "the last ") if len(events) > 1 else ("", "")
        yield said((f"{MARKS[tone]} {count}{words.words}", tone), (f"  {last}{when(events[0].at, of.now)}", DIM))
    if not facts.service.events:
        yield said(("ECS has written nothing yet.", DIM))


def _to_do(of: Selected) -> Iterator[Content]:
    for item in of.follow_ups:
        yield said((f"{MARKS[WARN]} {item.title}", WARN), f" {' '.join(item.detail.split())}" if item.detail else "")


def _run(of: Selected) -> Iterator[Content]:
    if of.run is not None:
        record = of.run.record
        at = when(record.ended_at or record.created_at, of.now)
        yield said(f"{record.title} ({record.run}): {of.run.state}", (f"  {at}", DIM))


def _state(of: Selected) -> Iterator[Content]:
    facts = of.row.state.value
    if facts is not None and facts.state is not None:
        summary = facts.state
        written = f"written {when(facts.modified_at, of.now)} by Terraform {summary.terraform_version}"
        yield said(f"#{summary.serial}, {summary.resource_count:,} resources", (f"  {written}", DIM))


def _reading(of: Selected) -> Iterator[Content]:
    if of.judgement.unread:
        names = ", ".join(_NAMES.get(group, group) for group in of.judgement.unread)
        yield said((f"{text.capitalized(names)}…", DIM))


# In lines


@dataclass(frozen=True)
class Drawn:
    """`cut`: not all of it found room."""

    content: Content
    cut: bool = False


def drawn(found: Sequence[Section], width: int, rows: int) -> Drawn:
    """As many sentences as fit into `rows` lines of `width` cells, wrapped at words: the first one of each section before the
    second one of any, so that a long section leaves the others room."""
    label = max((len(section.name) for section in found), default=0) + 2
    wrapped = [[_wrapped(line, section.name, width, label) for line in section.lines] for section in found]
    taken: list[int] = [0] * len(found)
    left, cut = max(0, rows), False
    for depth in range(max(map(len, wrapped), default=0)):
        for place, sentences in enumerate(wrapped):
            if depth < len(sentences) and taken[place] == depth:
                if len(sentences[depth]) <= left:
                    taken[place] += 1
                    left -= len(sentences[depth])
                else:
                    cut = True
    shown: list[Content] = []
    for section, sentences, count in zip(found, wrapped, taken, strict=True):
        for number, sentence in enumerate(sentences[:count]):
            shown += _labelled(sentence, section.name if number == 0 else "", label) if section.name else sentence
    return Drawn(Content("\n").join(shown), cut)


def _wrapped(line: Content, name: str, width: int, label: int) -> list[Content]:
    """With what follows on the next line indented, so that each sentence has one beginning."""
    room = max(10, width - (label if name else 0) - _INDENT)
    first, *rest = line.wrap(room) or [line]
    return [first, *(piece.rstrip().pad_left(_INDENT) for piece in rest)]


def _labelled(sentence: Sequence[Content], name: str, label: int) -> list[Content]:
    first, *rest = sentence
    head = Content.assemble(said((f"{name:<{label}}", DIM)), first)
    return [head, *(piece.pad_left(label) for piece in rest)]
