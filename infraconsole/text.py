"""Text from outside (AWS, logs, SQL, other people's files) made harmless for a terminal. All that is shown goes through here.

Escape sequences, control characters and bidirectional overrides become visible symbols, so that no text can move the
cursor, change a colour, ring the bell or read backwards.
"""

from __future__ import annotations

from datetime import UTC, datetime

_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_INVISIBLE = (0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x2028, 0x2029)

_VISIBLE: dict[int, str] = (
    {code: chr(0x2400 + code) for code in range(0x20)}
    | {0x7F: "␡"}
    | {code: f"<{code:02X}>" for code in range(0x80, 0xA0)}
    | {code: f"<U+{code:04X}>" for code in (*_BIDI, *_INVISIBLE)}
)
_VISIBLE_IN_BLOCK = {code: shown for code, shown in _VISIBLE.items() if code not in (0x0A,)} | {0x09: "    "}


def line(text: str, limit: int | None = None) -> str:
    """`text` as one harmless line; longer than `limit` characters, it is cut and says how much is missing."""
    if limit is not None and len(text) > limit:
        return _harmless(text[:limit], _VISIBLE) + f"… (+{len(text) - limit:,} characters)"
    return _harmless(text, _VISIBLE)


def block(text: str, limit: int | None = None) -> str:
    """As `line`, but line feeds stay and tabs become four blanks."""
    text = text.replace("\r\n", "\n")
    if limit is not None and len(text) > limit:
        return _harmless(text[:limit], _VISIBLE_IN_BLOCK) + f"… (+{len(text) - limit:,} characters)"
    return _harmless(text, _VISIBLE_IN_BLOCK)


def _harmless(text: str, table: dict[int, str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    shown = text.translate(table)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates cannot be written to a terminal


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
    """In the operator's zone, with the zone's offset: for screens. Evidence keeps UTC."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z") if at else "-"


def utc(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as in the journal."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_utc(text: str) -> datetime:
    return datetime.fromisoformat(text)
