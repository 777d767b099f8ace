"""From facts to styled text: tones instead of colours, so that every theme (and no colour at all) says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from textual.content import Content

from infraconsole import text
from infraconsole.aws.budget import Slowed
from infraconsole.errors import AwsError, InfraconsoleError, SsoLoginNeeded

GOOD, WARN, BAD, DIM, STRONG, PLAIN = "good", "warn", "bad", "dim", "strong", ""

TONES = {
    GOOD: "$text-success",
    WARN: "bold $text-warning",
    BAD: "bold $text-error",
    DIM: "dim",
    STRONG: "bold",
    PLAIN: "",
}
MARKS = {GOOD: "✓", WARN: "▲", BAD: "✗", DIM: "·", STRONG: "•", PLAIN: " "}
"""The symbol that stands beside a tone: colour never speaks alone."""

Part = str | tuple[str, str]
"""A text, or a text with its tone."""


def said(*parts: Part) -> Content:
    """Parts in a row. Line feeds stay; everything else that could move a cursor becomes visible."""
    return Content.assemble(
        *(
            text.block(part) if isinstance(part, str) else (text.block(part[0]), TONES[part[1]])
            for part in parts
            if (part if isinstance(part, str) else part[0])
        )
    )


def lines(rows: Iterable[Part | Content]) -> Content:
    return Content("\n").join([row if isinstance(row, Content) else said(row) for row in rows])


def slowed_words(slowed: Sequence[tuple[str, Slowed]], now: datetime) -> str:
    """That AWS throttles, and what the console does about it; `slowed` by region."""
    if not slowed:
        return ""
    region, slow = min(slowed, key=lambda each: each[1].per_second)
    until = (now + timedelta(seconds=slow.seconds)).astimezone()
    return (
        f"AWS throttles this account in {region}. The console reads slower, {slow.per_second:.1f} calls a second now, and at full "
        f"speed again from {until:%H:%M:%S}. Runs are not held up."
    )


def short_error(error: BaseException) -> str:
    """The least that a cell can say of an error; the whole is one key away."""
    if isinstance(error, SsoLoginNeeded):
        return "login needed"
    if isinstance(error, AwsError):
        return error.code or type(error).__name__
    return type(error).__name__ if not isinstance(error, InfraconsoleError) else error.title


def whole_error(error: BaseException) -> list[Part]:
    """What was tried, what came back in the other side's own words, and what to do next."""
    if not isinstance(error, InfraconsoleError):
        return [(f"{type(error).__name__}: {error}", BAD)]
    rows: list[Part] = [(error.title, BAD)]
    if error.cause:
        rows.append(error.cause)
    if error.mend:
        rows += [("What to do", STRONG), error.mend]
    return rows
