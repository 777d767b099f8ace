"""Text from outside (AWS, logs, SQL, other people's files) made harmless for a terminal. All that is shown goes through here.

Escape sequences, control characters, bidirectional overrides and whatever else has no shape become visible symbols, so that no
text can move the cursor, change a colour, ring the bell, read backwards, or say something to programs that people do not see.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

_MARKS_IN_A_ROW = 4
"""Marks on one letter (accents, vowel signs) that a language needs at most; more of them paint over the lines around."""
# Letters by their category that show nothing: fillers of Hangul, the blank of Braille.
_BLANK_LETTERS = frozenset((0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800))
_HIDDEN_MARKS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), (0x034F, 0x17B4, 0x17B5))
"""Variation selectors and joiners: marks without a shape, in which text can be hidden."""
_MARKS = frozenset(("Mn", "Me"))
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))
"""Categories of what has no shape of its own: controls, formats (bidirectional, tags, joiners), private use, surrogates."""


class _Visible(dict[int, str | int]):
    """What is shown for a character, worked out when it is first met; `str.translate` asks by code point."""

    def __missing__(self, code: int) -> str | int:
        shown = self[code] = _shown(code)
        return shown


def _shown(code: int) -> str | int:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0x80 <= code < 0xA0:
        return f"<{code:02X}>"
    if code in (0xFE0E, 0xFE0F):
        return ""  # only chooses between the plain and the coloured form of a symbol, and stands behind many
    hidden = code in _BLANK_LETTERS or any(code in marks for marks in _HIDDEN_MARKS)
    return f"<U+{code:04X}>" if hidden or unicodedata.category(chr(code)) in _HIDDEN else code


_VISIBLE = _Visible()
_VISIBLE_IN_BLOCK = _Visible({0x0A: 0x0A, 0x09: "    "})


def storable(words: object) -> str:
    """As UTF-8 can keep it: what is no text, as bytes of a name that no encoding knows, is written as its escape sequence."""
    return str(words).encode(errors="backslashreplace").decode()


def line(text: str, limit: int | None = None) -> str:
    """`text` as one harmless line; longer than `limit` characters, it is cut and says how much is missing."""
    if limit is not None and len(text) > limit:
        return _harmless(text[:limit], _VISIBLE) + f"… (+{len(text) - limit:,} characters)"
    return _harmless(text, _VISIBLE)


def capitalized(sentence: str) -> str:
    """With a capital letter at its beginning, the rest as it is."""
    return f"{sentence[:1].upper()}{sentence[1:]}"


def block(text: str, limit: int | None = None) -> str:
    """As `line`, but line feeds stay and tabs become four blanks."""
    text = text.replace("\r\n", "\n")
    if limit is not None and len(text) > limit:
        return _harmless(text[:limit], _VISIBLE_IN_BLOCK) + f"… (+{len(text) - limit:,} characters)"
    return _harmless(text, _VISIBLE_IN_BLOCK)


def legible(words: str) -> str:
    """What a person reads of `words`, as one line: without characters that have no shape, and without blanks in a row."""
    return " ".join("".join(character for character in words if _is_legible(character)).split())


def _is_legible(character: str) -> bool:
    return character.isspace() or (
        _VISIBLE[ord(character)] == ord(character) and unicodedata.category(character) not in _MARKS
    )


def _harmless(text: str, table: _Visible) -> str:
    if text.isascii() and text.isprintable():
        return text
    shown = text.translate(table)
    return shown if shown.isascii() else _thinned(shown)


def _thinned(text: str) -> str:
    """`text` without floods of marks: what is too many on one letter is counted instead."""
    if not any(unicodedata.category(character) in _MARKS for character in set(text)):
        return text
    kept, marks = [], 0
    for character in text:
        if unicodedata.category(character) in _MARKS:
            marks += 1
            if marks > _MARKS_IN_A_ROW:
                continue
        elif marks:
            if marks > _MARKS_IN_A_ROW:
                kept.append(f"<+{marks - _MARKS_IN_A_ROW} marks>")
            marks = 0
        kept.append(character)
    if marks > _MARKS_IN_A_ROW:
        kept.append(f"<+{marks - _MARKS_IN_A_ROW} marks>")
    return "".join(kept)


def ago(then: datetime | None, now: datetime) -> str:
    """A duration as people say it: `12 s`, `4 min`, `3 h`, `9 d`; `-` where the time is not known."""
    if then is None:
        return "-"
    return duration((now - then).total_seconds())


def duration(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def local_time(at: datetime | None) -> str:
    """`26 Nov 2026 14:20:05`, in the operator's zone: for what is read later, as a gate is. Screens say the age too
    (`screens/times.py`); evidence keeps UTC."""
    return f"{here(at):%d %b %Y %H:%M:%S}" if at else "-"


def here(at: datetime) -> datetime:
    """In the operator's zone; as it is where that has no such year: Go's zero time, which stands in locks, west of Greenwich."""
    try:
        return at.astimezone()
    except OverflowError:
        return at


def utc(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as in the journal."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


def moment(text: str) -> datetime | None:
    """ISO 8601 that others wrote, in UTC, to the microsecond; a time without a zone is UTC. None where it is none."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
