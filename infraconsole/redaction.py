"""Redaction: every secret that was learned, in all of its forms, and every one that is to be told by where it stands, is masked
in whatever goes to journal, output and screens.

All learned forms are looked for at once (Aho-Corasick), in the text without its white space, so that the time grows with the
length alone and a line that wraps in the middle of a secret hides nothing from it.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import itemgetter
from typing import Any

from infraconsole import secret_places
from infraconsole.secret_forms import SHORTEST_BROKEN, WHITE, compact, forms
from infraconsole.secret_places import MASK as MASK
from infraconsole.secret_places import Span, merged, without
from infraconsole.secret_views import Unescaped, unescaped

_CHUNK = 1 << 16
"""Bytes that are read at once: small enough for the cache, and for memory that is used again instead of being asked for anew."""
_ANCHOR = 8
"""Only the beginning of a form is looked for by the automaton, so that it stays small enough for the processor's cache."""
_HELD = 4
"""A line that ends in so much of a secret's beginning waits for the next one."""
_MASKED_UNFINISHED = 6
"""So much of a secret's beginning is masked where the rest does not come."""
_SHOWN_OF_BROKEN = 4
"""Less than that of a secret at a line's end is left as it is: it may have been shown before the rest came."""
_ESCAPES = re.compile(rb"\x1b\[[0-9;]{0,32}[A-Za-z]|\xe2\x94\x82|\xe2\x95[\xb5\xb7]")
_BLACK = re.compile(rb"[^ \t\r\n\v\f]")
_NO_SECRETS = frozenset(("true", "false", "null", "none", "True", "False", "None"))


@dataclass(frozen=True)
class Before:
    """What has to be known of the lines before: `tail` is the beginning of a secret, without white space, in which they end."""

    tail: bytes = b""
    in_key: bool = False
    awaits_value: bool = False


NOTHING = Before()


@dataclass(frozen=True)
class Scrubbed:
    """`held`: the first of the lines that may change with what follows; their number where none does. `after`: what has to be
    known of all of them for those that follow."""

    lines: list[str]
    held: int
    after: Before


class Redactor:
    """Knows the secrets of one process. Values under four characters are not masked: they would erase half of any text."""

    def __init__(self) -> None:
        self._public: tuple[str, ...] = ()
        self._secrets: set[str] = set()
        self._known: _Known | None = None
        self._lock = threading.Lock()

    def spare(self, *texts: str) -> None:
        """Texts that a run cannot do without, as its target's name and its folder: what stands in one of them is not learned."""
        self._public += texts

    def learn(self, *secrets: str) -> None:
        with self._lock:
            new = {each for each in secrets if each not in self._secrets and self._is_secret(each)}
            if new:
                self._secrets |= new
                self._known = None

    def _is_secret(self, text: str) -> bool:
        plain = text.strip()
        is_said = plain in _NO_SECRETS or any(plain in public for public in self._public)
        return bool(plain) and not is_said and MASK not in text

    def text(self, value: str) -> str:
        if not value:
            return value
        raw = value.encode("utf-8", "surrogatepass")
        parts: list[bytes] = []
        at, size, before = 0, _CHUNK, Before()
        while at < len(raw):
            end = raw.find(b"\n", at + size) + 1 or len(raw)
            is_last = end == len(raw)
            found = self._look(raw[at:end], before, is_last=is_last)
            cut = end if is_last or found.held == end - at else raw.rfind(b"\n", at, at + found.held) + 1
            if cut <= at:  # what began before this chunk is not over yet
                size *= 2
                continue
            if cut < end:
                found = self._look(raw[at:cut], before)
            parts.append(without(raw[at:cut], found.spans) if found.spans else raw[at:cut])
            at, size, before = cut, _CHUNK, found.after
        scrubbed = b"".join(parts)
        return value if scrubbed == raw else scrubbed.decode("utf-8", "surrogatepass")

    def lines(self, lines: Sequence[str], before: Before = NOTHING, *, unfinished: bool = False) -> Scrubbed:
        """Lines that follow on those that left `before`, each without its line feed. `unfinished`: nothing is known of what
        follows, so that a beginning of a secret is masked as well."""
        text = "\n".join((*lines, "")).encode("utf-8", "surrogatepass")
        found = self._look(text, before, mask_rest=unfinished)
        if not found.spans and found.held == len(text):
            return Scrubbed(list(lines), len(lines), found.after)
        raw = [line.encode("utf-8", "surrogatepass") for line in lines]
        starts = [0, *accumulate(len(line) + 1 for line in raw)]
        held = bisect_right(starts, found.held) - 1
        return Scrubbed(_by_line(lines, raw, starts, found.spans), held, found.after)

    def data(self, value: Any) -> Any:
        """A copy of JSON-like `value` with every text scrubbed, keys included, and what stands under the name of a secret."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(item) for key, item in secret_places.masked_entries(value)}
        if isinstance(value, list | tuple):
            if value and all(isinstance(item, str) for item in value):
                return self.lines(secret_places.masked_arguments(value)).lines
            return [self.data(item) for item in value]
        return value

    def _look(self, text: bytes, before: Before, *, mask_rest: bool = False, is_last: bool = False) -> _Look:
        found = secret_places.find(text, in_key=before.in_key, awaits_value=before.awaits_value)
        spans, tail, held = found.spans, b"", len(text)
        known = self._knowledge()
        if known is not None:
            learned = known.look(text, before.tail, is_last=is_last)
            spans, tail, held = [*spans, *learned.spans], learned.after.tail, learned.held
            if mask_rest and len(tail) >= _MASKED_UNFINISHED:
                spans.append((held, len(text)))
        return _Look(merged(spans), Before(tail, found.in_key, found.awaits_value), held)

    def _knowledge(self) -> _Known | None:
        known = self._known
        if known is None and self._secrets:
            with self._lock:
                known = self._known = _Known(frozenset(self._secrets))
        return known


@dataclass(frozen=True)
class _Look:
    """`held`: where the beginning of a secret stands in which the text ends; its length where there is none."""

    spans: list[Span]
    after: Before
    held: int


class _Known:
    """All forms of all secrets, made ready for looking."""

    def __init__(self, secrets: frozenset[str]) -> None:
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        found: set[bytes] = set()
        self._whole: dict[bytes, set[bytes]] = {}
        for secret in secrets:
            found |= forms(secret)
            plain = secret.strip().encode("utf-8", "surrogatepass")
            if len(compact(plain)) < SHORTEST_BROKEN and compact(plain) != plain:
                self._whole.setdefault(compact(plain), set()).add(plain)
        long = sorted(each for each in found if len(each) >= SHORTEST_BROKEN)
        self._long = long
        self._longest = max(map(len, found), default=0)
        self._begins = {size: {each[:size] for each in long} for size in range(1, _HELD + 1)}
        groups: dict[bytes, list[bytes]] = {}
        for form in sorted(found):
            groups.setdefault(form[:_ANCHOR], []).append(form)
        self._groups = [_Group(group) for group in groups.values()]
        self._automaton = (
            BytesAhoCorasick(list(groups), implementation=Implementation.ContiguousNFA) if groups else None
        )

    def look(self, text: bytes, tail: bytes, *, is_last: bool) -> _Look:
        if self._automaton is None:
            return _Look([], Before(), len(text))
        plain = _ESCAPES.sub(lambda match: b" " * len(match[0]), text) if b"\x1b" in text or b"\xe2" in text else text
        packed = tail + plain.translate(None, WHITE)
        places = _Places(plain)
        anchors = self._anchors(packed)
        spans: list[Span] = []
        for first, end in self._found(packed, anchors):
            if end > len(tail):
                spans += self._spans(packed[first:end], first - len(tail), plain, places)
        if (other := unescaped(plain)) is not None:
            spans += self._unescaped(other, plain)
        rest = b"" if is_last else self._unfinished(packed, anchors)
        held = places.at(max(0, len(packed) - len(rest) - len(tail))) if len(rest) >= _HELD else len(text)
        return _Look(spans, Before(rest), held)

    def _anchors(self, packed: bytes) -> list[tuple[int, int, int]]:
        if self._automaton is None:
            return []
        return sorted(self._automaton.find_matches_as_indexes(packed, overlapping=True), key=itemgetter(1))

    def _unescaped(self, view: Unescaped, plain: bytes) -> Iterator[Span]:
        packed = view.text.translate(None, WHITE)
        places = _Places(view.text)
        for first, end in self._found(packed, self._anchors(packed)):
            start, stop = view.whole(places.at(first), places.at(end - 1) + 1)
            if end - first >= SHORTEST_BROKEN or view.is_one_piece(start, stop):
                yield from _lines(plain, start, stop, is_first=True)

    def _found(self, packed: bytes, anchors: list[tuple[int, int, int]]) -> Iterator[Span]:
        """Where forms stand. Long ones that overlap are told as one, so that a run of one character is a single find."""
        begin, end = 0, 0
        for number, start, _ in anchors:
            group = self._groups[number]
            if start + group.longest <= end:
                continue
            size = group.length_at(packed, start)
            if size < SHORTEST_BROKEN:
                if size:
                    yield start, start + size
            elif start + size <= end:
                continue
            elif end - start >= _SHOWN_OF_BROKEN:  # with less, it would matter which one a line's end stands in
                end = start + size
            else:
                if end:
                    yield begin, end
                begin, end = start, start + size
        if end:
            yield begin, end

    def _spans(self, form: bytes, start: int, plain: bytes, places: _Places) -> Iterator[Span]:
        first, last = places.at(max(0, start)), places.at(start + len(form) - 1) + 1
        inside = plain[first:last]
        if len(form) < SHORTEST_BROKEN:
            if start >= 0 and (inside == form or inside in self._whole.get(form, ())):
                yield first, last
            return
        yield from _lines(plain, first, last, is_first=start >= 0)

    def _unfinished(self, packed: bytes, anchors: list[tuple[int, int, int]]) -> bytes:
        """The longest end of it in which a form begins that is broken off."""
        first = max(0, len(packed) - self._longest + 1)
        last = max(first, len(packed) - _ANCHOR + 1)  # from there on, what is left is shorter than an anchor
        begun = (start for _, start, _ in anchors[bisect_left(anchors, first, key=itemgetter(1)) :] if start < last)
        for start in chain(begun, range(last, len(packed))):
            begin = packed[start : start + _HELD]
            if begin in self._begins[len(begin)]:
                rest = packed[start:]
                at = bisect_right(self._long, rest)  # a form that is whole is not broken off
                if at < len(self._long) and self._long[at].startswith(rest):
                    return rest
        return b""


class _Group:
    """The forms that begin with the same anchor, in order."""

    def __init__(self, forms: list[bytes]) -> None:
        self._forms = forms
        self.longest = max(map(len, forms))
        self._within: list[int] = []
        """Of each form, the longest other one that it begins with; -1 where there is none."""
        open_: list[int] = []
        for at, form in enumerate(forms):
            while open_ and not form.startswith(forms[open_[-1]]):
                open_.pop()
            self._within.append(open_[-1] if open_ else -1)
            open_.append(at)

    def length_at(self, text: bytes, start: int) -> int:
        """The length of the longest form that stands there, 0 where none does."""
        forms = self._forms
        at = 0 if len(forms) == 1 else bisect_right(forms, text[start : start + self.longest]) - 1
        while at >= 0:
            if text.startswith(forms[at], start):
                return len(forms[at])
            at = self._within[at]
        return 0


def _lines(text: bytes, first: int, last: int, *, is_first: bool) -> Iterator[Span]:
    """What is masked on each of its lines. `is_first`: it begins here, and not on a line before."""
    inside = text[first:last]
    if b"\n" not in inside:
        yield first, last
        return
    at = first
    for line in inside.split(b"\n"):
        stop = at + len(line)
        if not is_first or len(compact(line)) >= _SHOWN_OF_BROKEN:
            begin = at + len(line) - len(line.lstrip(WHITE))
            if begin < stop:
                yield begin, at + len(line.rstrip(WHITE))
        at, is_first = stop + 1, False


class _Places:
    """Where the bytes of a text without white space stand in the text itself. Only the way to what is asked for is counted, and
    each stretch of it once, as far as what is asked for comes in order."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._known = [0]
        self._at = [0]

    def at(self, place: int) -> int:
        nearest = bisect_right(self._known, place) - 1
        missing, at = place - self._known[nearest], self._at[nearest]
        while missing:
            black = len(compact(self._text[at : at + missing]))
            at += missing
            if not black:  # a long stretch of white space is passed over at once
                at = self._next(at)
            if at >= len(self._text):
                return len(self._text)
            missing -= black
        at = self._next(at)
        if self._known[nearest] != place:
            self._known.insert(nearest + 1, place)
            self._at.insert(nearest + 1, at)
        return at

    def _next(self, at: int) -> int:
        found = _BLACK.search(self._text, at)
        return found.start() if found else len(self._text)


def _by_line(lines: Sequence[str], raw: Sequence[bytes], starts: Sequence[int], spans: Sequence[Span]) -> list[str]:
    found = list(lines)
    inside: dict[int, list[Span]] = {}
    for start, end in spans:
        at = bisect_right(starts, start) - 1
        while at < len(raw) and starts[at] < end:
            from_, to = max(start, starts[at]) - starts[at], min(end - starts[at], len(raw[at]))
            if from_ < to:
                inside.setdefault(at, []).append((from_, to))
            at += 1
    for at, each in inside.items():
        found[at] = without(raw[at], each).decode("utf-8", "surrogatepass")
    return found
