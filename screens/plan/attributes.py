"""Attributes before and after, as text for a pane: of a plan's changes and of the differences between states alike.

Plain functions, called in threads: the attributes of one resource may be a policy of a thousand lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from infraconsole import text
from infraconsole.screens.words import BAD, DIM, GOOD, MARKS, PLAIN, STRONG, WARN, Part, said
from infraconsole.terraform import documents
from infraconsole.terraform.attributes import NATURE_WORDS, UNKNOWN, AttributeChange, shown

SHOWN_CHARACTERS = 600
"""Of one value in a pane; a detail shows it whole."""
WHOLE_CHARACTERS = 50_000
_ON_ONE_LINE = 60
"""Characters of a list or an object; a longer one is written over several lines."""
_INDENT = "    "


def attribute_lines(found: Sequence[AttributeChange], width: int, most: int = SHOWN_CHARACTERS) -> list[Content]:
    """What forces a replacement first, what is only known later after the rest, and what means nothing last. `width` are the
    cells that a line may take before it is broken."""
    counting = sorted((change for change in found if change.counts), key=_order)
    lines = [line for change in counting for line in _lines(change, width, most)]
    lines += [said((f"  {change.name}: {NATURE_WORDS[change.nature]}", DIM)) for change in found if not change.counts]
    return lines


def _order(change: AttributeChange) -> tuple[bool, bool]:
    return not change.forces_replacement, change.unknown and change.after is None


def _lines(change: AttributeChange, width: int, most: int) -> Iterable[Content]:
    sign, tone = _sign(change)
    before = _value(change.before, most)
    after = _after(change, most)
    notes = _notes(change)
    head: list[Part] = [(f"{sign} ", tone), (change.name or "(the whole of it)", STRONG)]
    sides = [side for side in (before, after) if side is not None]
    length = len(change.name) + 6 + sum(map(len, sides)) + sum(len(note) + 2 for note, _ in notes)
    if length <= width and not any("\n" in side for side in sides):
        arrow: list[Part] = [" → ".join(sides)]
        yield said(*head, (": ", DIM), *arrow, *(part for note in notes for part in ("  ", note)))
        return
    yield said(*head, *(part for note in notes for part in ("  ", note)))
    if before is not None:
        yield said((f"{_INDENT}- {_indented(before, width)}", BAD if change.before is not None else PLAIN))
    if after is not None:
        yield said((f"{_INDENT}+ {_indented(after, width)}", DIM if after == UNKNOWN else GOOD))


def _sign(change: AttributeChange) -> tuple[str, str]:
    if change.before is None:
        return "+", GOOD
    if change.after is None and not change.unknown:
        return "-", BAD
    return "~", WARN


def _after(change: AttributeChange, most: int) -> str | None:
    if change.after is None:
        return UNKNOWN if change.unknown else None
    return _value(change.after, most)


def _value(value: object, most: int) -> str | None:
    if value is None:
        return None
    words = shown(value) or '""'
    if isinstance(value, dict | list) and len(words) > _ON_ONE_LINE:
        words = documents.text(value, indent=2)
    return text.block(words, most)


def _notes(change: AttributeChange) -> list[tuple[str, str]]:
    notes = [(f"{MARKS[BAD]} forces the replacement", BAD)] * change.forces_replacement
    notes += [("(sensitive)", DIM)] * change.sensitive
    return notes + [(f"({NATURE_WORDS[change.nature]})", DIM)] * bool(NATURE_WORDS[change.nature])


def _indented(value: str, width: int) -> str:
    """In lines that fit, broken anywhere: an ARN has no place of its own to break it at."""
    room = max(20, width - len(_INDENT) - 2)
    lines = [line[at : at + room] for line in value.split("\n") for at in range(0, max(1, len(line)), room)]
    return f"\n{_INDENT}  ".join(lines)
