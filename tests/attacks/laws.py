"""What has to be true of a run, whatever was done to it. Each law says how it was broken, or nothing."""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from infraconsole.engine import locks
from infraconsole.engine.event import Kind
from infraconsole.engine.history import RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.engine.verify import verify
from tests.attacks import known_open
from tests.attacks.attack import Story, processes_of
from tests.attacks.plan import excuses

OTHERS = ("somebody-else", "elsewhere")
"""Hits after which the target may be as others want it."""


def broken(story: Story) -> list[str]:
    return [f"{law.__name__.replace('_', ' ')}: {how}" for law in LAWS for how in law(story)]


def it_goes_on_to_an_end(story: Story) -> Iterator[str]:
    if story.stands_still:
        yield story.stands_still
    record = story.record
    if story.stands_still or record.outcome == "done":
        return
    said = record.ending if record.outcome in ("failed", "refused") else story.refusal
    allowed = excuses(story.struck)
    if not any(re.search(words, said, re.DOTALL) for words in allowed):
        yield f"the run is lost without a reason: {record.outcome or 'no end'}: {said!r}"


def nothing_is_sent_twice(story: Story) -> Iterator[str]:
    sent, again = story.ground.sent(), _count(story, Kind.REWOUND)
    if sent > 1 + again:
        yield f"sent {sent} times, and the run went back {again} times"


def what_was_sent_was_intended_before(story: Story) -> Iterator[str]:
    failed = sum(event.kind == Kind.CALL_FAILED and not event.data["maybe_done"] for event in story.events)
    if story.ground.sent() > _count(story, Kind.CALL_INTENDED) - failed:
        yield f"sent {story.ground.sent()} times, with {_count(story, Kind.CALL_INTENDED)} intents, {failed} of them failed"


def done_is_done(story: Story) -> Iterator[str]:
    if story.record.outcome != "done":
        return
    overtaken = story.was_struck_by(*OTHERS)
    wrong = story.ground.was_as_wanted() if overtaken else story.ground.is_as_wanted()
    if wrong:
        yield wrong
    if not story.ground.sent() and not overtaken:
        yield "nothing was sent"


def not_done_says_what_was_done(story: Story) -> Iterator[str]:
    record, sent = story.record, story.ground.sent()
    if "Nothing was sent" in record.ending and sent:
        yield f"it says that nothing was sent, and {sent} calls were carried out"
    if not record.changed and sent:
        yield f"the journal knows of no change, and {sent} calls were carried out"


def the_journal_is_whole(story: Story) -> Iterator[str]:
    for folder in filter(None, (story.state, story.elsewhere)):
        for problem in verify(folder).problems:
            yield str(problem)


def nobody_else_gets_in(story: Story) -> Iterator[str]:
    if story.rival_began:
        yield "a second run began on the same target, from the same journal"
    executors = {event.data["pid"] for event in story.events if event.kind == Kind.RUN_STARTED}
    if len(executors) != _count(story, Kind.RUN_STARTED):
        yield "one executor began twice"


def who_only_reads_changes_nothing(story: Story) -> Iterator[str]:
    if story.read_only:
        yield story.read_only


def files_are_private(story: Story) -> Iterator[str]:
    for path in sorted(story.state.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077 and not path.is_symlink() and path.name not in known_open.FILES:
            yield f"{path.relative_to(story.state)} has mode {mode:o}"


def secrets_stay_secret(story: Story) -> Iterator[str]:
    """Whole, in part, and in the forms in which a program may print them."""
    told = {str(path.relative_to(story.state)): path for path in story.state.rglob("*") if path.is_file()}
    written = {
        name: path.read_bytes()
        for name, path in told.items()
        if path.suffix == ".log" or path.name.startswith("journal.")
    }
    said = {**written, "what the view printed": story.seen.encode()}
    for secret in story.ground.secrets:
        for form, words in forms(secret).items():
            yield from (f"a secret is in the name {name}" for name in told if words in name)
            yield from (f"a secret ({form}) is in {name}" for name, text in said.items() if words.encode() in text)


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    encoded = {
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "hex": raw.hex(),
        "in a URL": quote(secret, safe=""),
    }
    return {"as it is": secret, "its first half": secret[:20], "its second half": secret[20:], **encoded}


def errors_are_ours(story: Story) -> Iterator[str]:
    for log in story.state.glob("runs/*.log"):
        text = log.read_text(errors="replace")
        if "Traceback" in text:
            yield f"{log.name}: {text[-1500:]}"
    if "Traceback" in story.seen:
        yield f"the view: {story.seen[-1500:]}"
    for event in story.events:
        if "An error in infraconsole itself" in str(event.data):
            yield str(event.data)


def nothing_is_left_behind(story: Story) -> Iterator[str]:
    for pid in processes_of(story.state):
        yield f"process {pid} is left: {_command_line(pid)}"
    for lock in story.state.rglob("*.lock"):
        if holder := locks.holder_of(lock):
            yield f"{lock.relative_to(story.state)} is held by process {holder.pid}"


def a_lock_that_stays_is_named(story: Story) -> Iterator[str]:
    """Terraform that was killed, or never heard that it has the lock, releases nothing; all else gives the state back."""
    lock = story.ground.left_locked()
    if not lock or story.was_struck_by(*OTHERS):
        return
    if story.plan.runbook == "state-unlock" and story.record.outcome != "done":
        return
    if not story.was_struck_by("kill-terraform", "kill-all", "kill-supervisor", "lost-answer"):
        yield lock
    elif "state-unlock" not in story.record.ending and story.plan.runbook not in known_open.UNNAMED_LOCKS:
        yield f"{lock}, and the end does not say how it is released: {story.record.ending!r}"


LAWS: tuple[Callable[[Story], Iterator[str]], ...] = (
    it_goes_on_to_an_end,
    nothing_is_sent_twice,
    what_was_sent_was_intended_before,
    done_is_done,
    not_done_says_what_was_done,
    the_journal_is_whole,
    nobody_else_gets_in,
    who_only_reads_changes_nothing,
    files_are_private,
    secrets_stay_secret,
    errors_are_ours,
    nothing_is_left_behind,
    a_lock_that_stays_is_named,
)


def _count(story: Story, kind: Kind) -> int:
    return sum(event.kind == kind for event in story.events)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "it has just ended"


def elsewhere_records(folder: Path) -> list[RunRecord]:
    with Journal(folder, create=False) as journal:
        return [record_of(run, journal.events(run)) for run in journal.run_ids()]
