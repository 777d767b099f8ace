"""Rows and sentences of a state's versions. Plain functions of facts and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from textual.content import Content

from infraconsole import text
from infraconsole.aws.cloudtrail import DELIVERY, SEARCHED
from infraconsole.aws.s3 import StoredObject
from infraconsole.checks.judgement import OTHER_DIGEST, STATE_LEFT, is_stale, no_lock_words
from infraconsole.checks.row_facts import Authorship, Fact, LockFacts
from infraconsole.checks.state_digest import last_stored
from infraconsole.errors import AccessDenied, AwsError
from infraconsole.screens.times import WIDTH, clock_time, when
from infraconsole.screens.widgets.rows import Cell, Column, Row
from infraconsole.screens.words import (
    BAD,
    DIM,
    GOOD,
    MARKS,
    PLAIN,
    STRONG,
    WARN,
    Part,
    lines,
    said,
    short_error,
    whole_error,
)
from infraconsole.terraform.state import StateSummary, StateTooNew, StateUnreadable

COLUMNS = (
    Column("mark", "", 1),
    Column("serial", "serial", 6, right=True),
    Column("at", "written", WIDTH, rank=2),
    Column("age", "age", 6, right=True),
    Column("resources", "resources", 9, right=True),
    Column("size", "size", 9, right=True),
    Column("terraform", "Terraform", 9),
    Column("what", "", 20, stretch=True),
)
Identity = tuple[str, str]
"""Of a version, as `StoredObject.identity` has it."""
Known = StateSummary | BaseException
"""What was read of a version, or why it could not be."""
Authored = Authorship | BaseException
"""Who stored a version, or why it could not be found out."""


def key_of(version: StoredObject, place: int) -> str:
    """Versions of a bucket that never had versions have no id."""
    return version.version_id or f"#{place}"


def size(size_bytes: int) -> str:
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= bytes_:
            return f"{size_bytes / bytes_:,.1f} {unit}"
    return f"{size_bytes} B"


def version_rows(
    versions: Sequence[StoredObject], known: Mapping[Identity, Known], marked: str, now: datetime, digest: str
) -> Iterable[Row]:
    """`digest` as for `is_written_past`."""
    current = current_of(versions)
    lineage = lineage_of(current, known)
    doubt = BAD if is_written_past(versions, known, digest) else WARN if is_foreign(versions, known) else GOOD
    for place, version in enumerate(versions):
        key = key_of(version, place)
        is_current = version is current
        found = known.get(version.identity)
        summary = found if isinstance(found, StateSummary) else None
        what, tone = _what(version, found, current_as=doubt if is_current else "", lineage=lineage)
        waiting = "-" if version.is_delete_marker else "!" if found is not None else "…"
        cells = {
            "mark": Cell("•" if key == marked else " ", STRONG),
            "serial": Cell(f"#{summary.serial}" if summary else waiting, STRONG if is_current else PLAIN),
            "age": Cell(text.ago(version.modified_at, now)),
            "resources": Cell(f"{summary.resource_count:,}" if summary else waiting),
            "size": Cell("-" if version.is_delete_marker else size(version.size_bytes), DIM),
            "terraform": Cell(summary.terraform_version if summary else waiting, DIM),
            "what": Cell(what, tone),
            "at": Cell(clock_time(version.modified_at, now), DIM),
        }
        yield Row(key, cells)


def current_of(versions: Sequence[StoredObject]) -> StoredObject | None:
    """What Terraform reads now; None where the key was deleted."""
    newest = next((each for each in versions if each.is_latest), versions[0] if versions else None)
    return newest if newest is not None and not newest.is_delete_marker else None


def is_deleted(versions: Sequence[StoredObject]) -> bool:
    """Whether a delete marker lies on top, so that Terraform finds no state."""
    return bool(versions) and versions[0].is_latest and versions[0].is_delete_marker


def is_broken(versions: Sequence[StoredObject], known: Mapping[Identity, Known]) -> bool:
    """Whether what is stored now is cut off, empty or no state at all: nothing but taking it away mends that. A version that
    AWS did not give may be whole."""
    current = current_of(versions)
    found = known.get(current.identity) if current is not None else None
    return isinstance(found, StateUnreadable) and not isinstance(found, StateTooNew)


def is_written_past(versions: Sequence[StoredObject], known: Mapping[Identity, Known], digest: str) -> bool:
    """Whether Terraform stored one of the older versions last, by the digest that the lock table keeps, and not the current one."""
    states = [known.get(each.identity) for each in versions]
    if current_of(versions) is None or not isinstance(states[0], StateSummary):
        return False
    return bool(last_stored([each if isinstance(each, StateSummary) else None for each in states], digest))


def is_foreign(versions: Sequence[StoredObject], known: Mapping[Identity, Known]) -> bool:
    """Whether the current version is the first of its lineage, and there was another one before."""
    contents = (known.get(each.identity) for each in versions if not each.is_delete_marker)
    current, before = next(contents, None), next(contents, None)
    if current_of(versions) is None or not isinstance(current, StateSummary) or not isinstance(before, StateSummary):
        return False
    return current.lineage != before.lineage


def lineage_of(current: StoredObject | None, known: Mapping[Identity, Known]) -> str:
    found = known.get(current.identity) if current is not None else None
    return found.lineage if isinstance(found, StateSummary) else ""


def _what(version: StoredObject, found: Known | None, *, current_as: str, lineage: str) -> tuple[str, str]:
    """`current_as`: the tone of the current version, "" of the others."""
    if version.is_delete_marker:
        return (f"{MARKS[BAD]} deleted", BAD) if version.is_latest else ("was deleted here", WARN)
    if isinstance(found, BaseException):
        return f"{MARKS[BAD]} {short_error(found)}" if isinstance(found, AwsError) else f"{MARKS[BAD]} unreadable", BAD
    if current_as:
        return f"{MARKS[current_as]} current", current_as
    if isinstance(found, StateSummary) and lineage and found.lineage != lineage:
        return f"{MARKS[WARN]} another lineage", WARN
    return "", DIM


def version_parts(
    name: str,
    versions: Fact[tuple[StoredObject, ...]],
    known: Mapping[Identity, Known],
    now: datetime,
    *,
    digest: str = "",
    more: bool,
    undeletes: bool,
) -> list[Part]:
    """`undeletes`: whether the screen can start a run that brings a lost state back. `digest` as for `is_written_past`."""
    parts: list[Part] = []
    found = versions.value
    if versions.error is not None:
        parts.append((f"{MARKS[WARN]} {getattr(versions.error, 'title', versions.error)} d shows it whole.", WARN))
    elif found is None:
        parts.append((f"The state of {name}", STRONG))
        parts.append(("  reading…", DIM))
    else:
        many = f"{len(found):,}{' and more' if more else ''} version{'s' if len(found) != 1 or more else ''}"
        parts.append((f"{many} of the state of {name}", STRONG))
        if is_deleted(found):
            hint = "R brings it back.  " if undeletes else ""
            parts.insert(0, (f"{MARKS[BAD]} It was deleted: Terraform finds no state. {hint}".rstrip() + "  ", BAD))
        elif is_broken(found, known):
            hint = "R brings the last whole one back." if undeletes else ""
            parts.insert(0, (f"{MARKS[BAD]} What is stored now is not a complete state. {hint}".rstrip() + "  ", BAD))
        elif is_written_past(found, known, digest):
            hint = "R brings back what Terraform stored last." if undeletes else ""
            parts.insert(
                0, (f"{MARKS[BAD]} What is stored now was written outside of Terraform. {hint}".rstrip() + "  ", BAD)
            )
        elif is_foreign(found, known):
            hint = "R on one of those brings it back." if undeletes else ""
            told = "The stored state is another project's than the versions before it."
            parts.insert(0, (f"{MARKS[WARN]} {told} {hint}".rstrip() + "  ", WARN))
    if versions.read_at:
        parts.append((f"  read {text.ago(versions.read_at, now)} ago", DIM))
    return parts


def left_parts(*, recovers: bool, is_lost: bool = False) -> list[Part]:
    """`recovers`: whether the screen can start a run that takes care of it. `is_lost`: what is stored has to be brought back
    before."""
    hint = " E pushes or dismisses it." if recovers else ""
    if recovers and is_lost:
        hint = " Once the stored one is back, E pushes or dismisses it."
    return [(f"{MARKS[BAD]} {text.capitalized(STATE_LEFT)}{hint}", BAD)]


def digest_parts(*, mends: bool) -> list[Part]:
    """`mends`: whether the screen can start a run that makes it agree."""
    hint = " M repairs it." if mends else ""
    return [(f"{MARKS[BAD]} {text.capitalized(OTHER_DIGEST)}{hint}", BAD)]


def lock_parts(fact: Fact[LockFacts], now: datetime, *, unlocks: bool) -> list[Part]:
    """`unlocks`: whether the screen can start a run that takes the lock away."""
    if fact.value is None:
        if fact.error is None:
            return [("Lock: reading…", DIM)]
        return [(f"{MARKS[WARN]} The lock could not be read: {getattr(fact.error, 'title', fact.error)}", WARN)]
    if fact.value.why_unlocked:
        return _unlocked_parts(fact.value)
    if not fact.value.checked:
        return [("Lock: none is configured in the settings or the code.", DIM)]
    lock = fact.value.lock
    if lock is None:
        return [("Lock: free.", DIM)]
    stale = is_stale(lock, now)
    since = f" for {text.ago(lock.created, now)}" if lock.created else ""
    hint = "  U unlocks it, if nobody is using it." if stale and unlocks else ""
    return [(f"{MARKS[WARN]} Locked: {lock.who} holds it{since} ({lock.operation}, ID {lock.id}).{hint}", WARN)]


def _unlocked_parts(facts: LockFacts) -> list[Part]:
    return [(f"{MARKS[BAD]} {text.capitalized(no_lock_words(facts))}", BAD)]


def row_says(
    version: StoredObject,
    found: Known | None,
    current: Known | None,
    now: datetime,
    *,
    is_current: bool,
    is_large: bool,
    authored: Authored | None = None,
) -> Content:
    """The version under the cursor, in a sentence or two."""
    by = _by(authored)
    if version.is_delete_marker:
        then = "Terraform finds no state now." if version.is_latest else "The state came back later."
        return said((f"The key was deleted at {when(version.modified_at, now)}{by}. {then}", WARN))
    if isinstance(found, BaseException):
        return said((f"{getattr(found, 'title', found)}  d shows it whole.", BAD))
    if found is None:
        return said(("It is large, and read when the cursor rests on it…" if is_large else "Reading…", DIM))
    if is_current:
        written = f" Written{by}." if by else ""
        return said((f"This is what Terraform reads now.{written} Lineage {found.lineage}.", DIM))
    if not isinstance(current, StateSummary):
        return said((f"Written {when(version.modified_at, now)}{by}.", DIM))
    behind = current.serial - found.serial
    more = found.resource_count - current.resource_count
    counted = "as many resources as now" if not more else f"{abs(more)} resource{'s' * (abs(more) != 1)} "
    counted += "" if not more else "more than now" if more > 0 else "fewer than now"
    serial = f"{behind} serial{'s' * (behind != 1)} before the current one" if behind > 0 else "not older by its serial"
    parts: list[Part] = [(f"Written {when(version.modified_at, now)}{by}: {serial}, {counted}.", DIM)]
    if found.lineage != current.lineage:
        told = f"It and the stored one are of different projects: lineage {found.lineage}, not {current.lineage}."
        parts.append((f"\n{MARKS[WARN]} {told}", WARN))
    return said(*parts)


def version_story(version: StoredObject, found: Known | None, now: datetime, digest: str = "") -> Content:
    """All that is known of one version. What the state holds is not shown: it holds secrets. `digest` is what the lock table
    keeps, of the current version."""
    rows: list[Part | Content] = []
    facts = [
        ("version", version.version_id or "none: the bucket has no versions"),
        ("written", when(version.modified_at, now)),
        ("at", f"s3://{version.bucket}/{version.key}"),
    ]
    if version.is_delete_marker:
        facts.append(("what", "a delete marker: the key was deleted then"))
    else:
        facts.append(("size", f"{version.size_bytes:,} bytes"))
    if isinstance(found, StateSummary):
        facts += [
            ("serial", str(found.serial)),
            ("lineage", found.lineage),
            ("Terraform", found.terraform_version),
            ("resources", f"{found.resource_count:,}, without data sources"),
        ]
        if digest and digest == found.md5:
            facts.append(("MD5", f"{found.md5}, as in the lock table"))
        elif digest:
            facts += [("MD5", found.md5), ("lock table", f"{digest}, another state's")]
    rows += [said((f"{name:<11}", DIM), value) for name, value in facts]
    if isinstance(found, BaseException):
        rows += ["", *whole_error(found)]
    return lines(rows)


def _by(authored: Authored | None) -> str:
    """` by kim (Admin), Terraform 1.11.4`; "" where it is not known, which is said in the detail."""
    author = authored.author if isinstance(authored, Authorship) else None
    if author is None:
        return ""
    return f" by {text.line(author.who, 60)}" + (f", {text.line(author.tool, 30)}" if author.tool else "")


def is_settled(version: StoredObject, authored: Authored, now: datetime) -> bool:
    """Whether asking again would say the same: CloudTrail's record of a young version may still come."""
    if isinstance(authored, Authorship):
        return authored.author is not None or not authored.recorded or not _is_young(version, now)
    return isinstance(authored, AccessDenied)


def _is_young(version: StoredObject, now: datetime) -> bool:
    return version.modified_at is not None and now - version.modified_at < DELIVERY


def author_story(version: StoredObject, authored: Authored | None, now: datetime) -> Content:
    """Who stored the version, or why that is not known. All of it is text from a log."""
    head = f"{'author':<11}"
    if isinstance(authored, BaseException):
        return lines([said((head, DIM), ("CloudTrail could not be asked", WARN)), *whole_error(authored)])
    if authored is None:
        return said((head, DIM), "not looked up yet")
    if not authored.recorded:
        return said((head, DIM), "no trail records writes to this bucket")
    author = authored.author
    if author is None and version.version_id in ("", "null"):
        return said((head, DIM), "not known: without versions of the bucket, CloudTrail's records cannot be told apart")
    if author is None and _is_young(version, now):
        return said((head, DIM), "not delivered yet: CloudTrail's logs come up to 15 min later")
    if author is None:
        minutes = f"{SEARCHED.total_seconds() / 60:.0f} min"
        return said((head, DIM), f"not in CloudTrail's logs of the {minutes} after it was written")
    facts = (
        ("author", author.who),
        ("arn", author.arn),
        ("from", author.source_ip),
        ("with", author.user_agent),
        ("recorded", when(author.at, now)),
    )
    return lines([said((f"{name:<11}", DIM), text.line(value or "-", 400)) for name, value in facts])


def lock_story(fact: Fact[LockFacts], now: datetime) -> Content:
    if fact.error is not None:
        return lines(whole_error(fact.error))
    if fact.value and fact.value.why_unlocked:
        return lines([("The lock", STRONG), *_unlocked_parts(fact.value), fact.value.why_unlocked])
    lock = fact.value.lock if fact.value else None
    if lock is None:
        return Content()
    named = (("holder", lock.who), ("for", lock.operation), ("since", when(lock.created, now)), ("ID", lock.id),
             ("of", lock.path), ("Terraform", lock.version), ("says", lock.info))  # fmt: skip
    rows: list[Part | Content] = [
        ("The lock", STRONG),
        *(said((f"{name:<11}", DIM), value) for name, value in named if value),
    ]
    return lines(rows)
