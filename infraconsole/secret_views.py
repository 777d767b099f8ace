"""A text with its escapes undone, for secrets whose escapes no list of forms can foresee: numeric HTML entities, \\x and \\u,
URL-encoding on top of URL-encoding, line breaks written as \\n, bytes in hex with something between.

What is undone keeps its length: the rest of each escape becomes blanks, which do not count where a secret is looked for; white
space that was escaped becomes \\v.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache

Span = tuple[int, int]

_SIGNS = (b"\\x", b"\\u", b"\\n", b"\\r", b"\\t", b"&#", b"%25", b"%u", b"%U")
_ESCAPE = re.compile(
    rb"(?:&|\\{1,8}+u0026)(?:#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+|amp|lt|gt|quot|apos);"
    rb"|\\{1,8}+(?:x[0-9a-fA-F]{2}|u(?:[dD][89abAB][0-9a-fA-F]{2}\\{1,8}+u[dD][c-fC-F][0-9a-fA-F]{2}|[0-9a-fA-F]{4})"
    rb"|[nrt\"'/])|\\\\"
    rb"|%(?:25){1,8}+(?=[0-9a-fA-F]{2})|%[uU][0-9a-fA-F]{4}"
)
_HEX_AS_H = bytes.maketrans(b"0123456789abcdefABCDEF,-X", b"h" * 22 + b"::x")
_HEX_SIGNS = (b":hh:hh:", b": hh: hh:", b":hxhh:", b": hxhh:")
_BETWEEN_HEX = re.compile(rb"[:,\-](?<=[0-9a-fA-F]{2}.)(?:[ ]?0[xX]|[ ])?(?=[0-9a-fA-F]{2}(?![0-9A-Za-z]))")
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


_UNDONE_WHITE = bytes.maketrans(b" \t\r\n\v\f", b"\v" * 6)


class Unescaped:
    """`text`: as long as the one it was made of."""

    def __init__(self, text: bytes) -> None:
        self._source = text
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.text = _ESCAPE.sub(self._undone, text)
        if _has_hex(self.text):
            self.text = _BETWEEN_HEX.sub(lambda match: b" " * len(match[0]), self.text)

    def _undone(self, match: re.Match[bytes]) -> bytes:
        self._starts.append(match.start())
        self._ends.append(match.end())
        return _without_escape(match[0])

    def whole(self, start: int, end: int) -> Span:
        """With all of the escape in which it ends; an escape's character stands at its beginning."""
        at = bisect_right(self._starts, end - 1) - 1
        return start, max(end, self._ends[at]) if at >= 0 else end

    def is_one_piece(self, start: int, end: int) -> bool:
        """Without white space, be it written as such or escaped."""
        return not _WHITE.search(self._source, start, end) and b"\v" not in self.text[start:end]


_WHITE = re.compile(rb"[ \t\r\n\v\f]")


def unescaped(text: bytes) -> Unescaped | None:
    """None where there is nothing to undo."""
    return Unescaped(text) if any(sign[:1] in text and sign in text for sign in _SIGNS) or _has_hex(text) else None


def _has_hex(text: bytes) -> bool:
    kinds = text.translate(_HEX_AS_H)  # much faster than an expression
    return any(sign in kinds for sign in _HEX_SIGNS)


@lru_cache(4096)
def _without_escape(escape: bytes) -> bytes:
    return _meant(escape).translate(_UNDONE_WHITE).ljust(len(escape))


def _meant(escape: bytes) -> bytes:
    if escape[:1] == b"%":
        return _character(int(escape[2:], 16)) if escape[1:2] in b"uU" else b"%"
    if escape[-1:] == b";":
        name = escape.rpartition(b"u0026")[2].strip(b"&;")
        if name[:1] != b"#":
            return _NAMED[name]
        return _character(int(name[2:], 16) if name[1:2] in b"xX" else int(name[1:]))
    kind = escape.lstrip(b"\\")
    if kind[:1] == b"x":
        return bytes((int(kind[1:], 16),))
    if kind[:1] == b"u":
        return _of_utf16([int(part[1:], 16) for part in kind.split(b"\\") if part])
    return b"\n" if kind in (b"n", b"r", b"t") else kind or b"\\"


def _of_utf16(units: list[int]) -> bytes:
    raw = b"".join(unit.to_bytes(2, "little") for unit in units)
    return raw.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")


def _character(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""
