"""What differs between two versions of a resource's attributes, by path, with everything secret masked on the way out.

Plans and states need the same care here and nothing else of each other, so it stands apart from both. Pure; the values
are JSON as Terraform writes it.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from infraconsole.redaction import MASK, Redactor
from infraconsole.secret_places import masked, names_a_secret, url_passwords
from infraconsole.terraform import documents

UNKNOWN = "(known after apply)"
LONG_CHARACTERS = 200
TOO_DEEP = "(nested too deeply to compare)"

_KEYS = ("name", "Name", "Sid", "sid", "key", "Key")
"""What items of a list are told apart by, if all of them have it: containers, policy statements, tags."""

_SEQUENCES = frozenset({"command", "entryPoint", "entry_point", "args", "arguments"})
"""Lists in which another order is another meaning."""

_ONE_OR_MORE = frozenset(
    {"Statement", "Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "CanonicalUser"}
)
"""Of a policy document, where IAM reads `"x"` and `["x"]` as the same."""

_REFERENCE = "valueFrom"
"""Of a container's secret: where the value is kept, not the value."""

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[^\s]*")
_PLAIN_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Key(str):
    """A step to an item that was found in its list by its name, not by its place."""

    __slots__ = ()


Step = str | int
Path = tuple[Step, ...]


class Nature(StrEnum):
    """Whether anything differs that counts. All but CHANGED are said, so that nobody wonders why Terraform shows them."""

    CHANGED = "changed"
    ORDER = "order"
    """The same items in another order."""
    EMPTY = "empty"
    """null here and empty there, which providers do not tell apart."""
    FORMAT = "format"
    """JSON that is written differently and says the same."""


NATURE_WORDS: Mapping[Nature, str] = {
    Nature.CHANGED: "",
    Nature.ORDER: "only the order differs",
    Nature.EMPTY: "null and empty, nothing differs",
    Nature.FORMAT: "only the formatting of the JSON differs",
}


@dataclass(frozen=True)
class AttributeChange:
    """One attribute, or one place in it. `before` and `after` are JSON values, None where there is none.

    What is `sensitive` is masked in both already; a list or object that is only partly so is masked where it is. Text
    that holds JSON comes as what it holds, with `in_json` true. `unknown`: `after`, or a part of it, is known only after
    apply. `forces_replacement`: Terraform says that this is why.
    """

    path: Path
    before: Any
    after: Any
    unknown: bool = False
    sensitive: bool = False
    forces_replacement: bool = False
    nature: Nature = Nature.CHANGED
    in_json: bool = False

    @property
    def name(self) -> str:
        """As a person writes it: `container_definitions["app"].environment["DB_HOST"]`."""
        return path_name(self.path)

    @property
    def counts(self) -> bool:
        """Whether it means anything. An order does in a list of Terraform's, whose sets come sorted; in the lists of
        policies and container definitions it does not."""
        return self.nature is Nature.CHANGED or (self.nature is Nature.ORDER and not self.in_json)

    @property
    def is_long(self) -> bool:
        """Whether one side does not fit on a line, so that a view folds it."""
        return any(len(text) > LONG_CHARACTERS or "\n" in text for text in (shown(self.before), shown(self.after)))

    def lines(self) -> tuple[str, ...]:
        """As a diff: one line with `-`, one with `+`, or one of them."""
        removed = (f"- {self.name}: {shown(self.before)}",) if self.before is not None else ()
        added = (f"+ {self.name}: {shown(self.after)}",) if self.after is not None else ()
        return removed + added


def path_name(path: Sequence[Step]) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif isinstance(step, Key) or not _PLAIN_STEP.fullmatch(step):
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
        else:
            text += f".{step}" if text else step
    return text


def shown(value: Any) -> str:
    """A value as text, whole: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else documents.text(value)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, with `true` and `1` told apart, which Python does not."""
    try:
        return bool(one == other) and (_are_same_bytes(one, other) or _strictly_same(one, other))
    except RecursionError:  # too deep for ==: taken as different, and looked at closely
        return False


def _are_same_bytes(one: Any, other: Any) -> bool:
    """marshal tells every type apart at the speed of C; where it finds a difference it may be one of order or of 1 and 1.0 only.
    Format 2 is the last in which equal values have equal bytes."""
    try:
        return marshal.dumps(one, 2) == marshal.dumps(other, 2)
    except ValueError:  # it is too deep, or holds a number with more digits than a float keeps
        return False


def differences(
    before: Any,
    after: Any,
    *,
    unknown: Any = None,
    before_sensitive: Any = None,
    after_sensitive: Any = None,
    replace_paths: Sequence[Sequence[Step]] = (),
    name: str = "",
    secrets: Iterable[str] = (),
) -> tuple[AttributeChange, ...]:
    """What is in `after` and not so in `before`, attribute by attribute in the order of their names.

    `unknown` and the two `…_sensitive` are trees of the values' own shape with `true` where it holds, as in a plan. Of a
    value that is on one side only, what is null or empty is left out. `name` is the name of a value that is no object
    of attributes (an output), so that it too is masked where its name says so. `secrets` are texts that are sensitive
    elsewhere in the same object.
    """
    pair = _Pair(before, after, unknown, before_sensitive, after_sensitive, names_a_secret(name))
    objects = [side for side in (before, after) if isinstance(side, dict)]
    # A whole object that is sensitive, or known later, has not even names to show.
    opened = objects and not pair.is_marked and unknown is not True and not (_is_other(before) or _is_other(after))
    pairs = [((step,), each) for step, each in _members(pair)] if opened else [((), pair)]
    found: list[AttributeChange] = []
    for path, each in pairs:
        try:
            found += _walk(path, each)
        except RecursionError:
            found.append(AttributeChange(path, TOO_DEEP, TOO_DEEP))
    marks = (before_sensitive, after_sensitive)
    known = {*secrets, *(text for side in (before, after) for each in marks for text in marked_texts(side, each))}
    if found and known:
        # Providers copy what is sensitive into attributes that they do not mark: terraform_data's input into its output.
        redactor = Redactor()
        for secret in known:
            redactor.learn(secret)
        found = [_scrubbed(change, redactor) for change in found]
    forcing = [tuple(path) for path in replace_paths]
    return tuple(_forced(change, forcing) for change in found) if forcing else tuple(found)


class _Pair(NamedTuple):
    """The two sides of one place, with what is known of them. `secret`: a name on the way here names a secret."""

    before: Any
    after: Any
    unknown: Any = None
    before_marks: Any = None
    after_marks: Any = None
    secret: bool = False
    in_json: bool = False

    @property
    def is_marked(self) -> bool:
        return self.before_marks is True or self.after_marks is True

    def at(self, old: Step | None, new: Step | None, *, secret: bool | None = None) -> _Pair:
        """One step down, which may be at another place on each side, or on one side only."""
        return _Pair(
            _under(self.before, old),
            _under(self.after, new),
            _under(self.unknown, new),
            _under(self.before_marks, old),
            _under(self.after_marks, new),
            self.secret if secret is None else secret,
            self.in_json,
        )


def _walk(path: Path, pair: _Pair) -> Iterator[AttributeChange]:
    before, after = pair.before, pair.after
    open_ended = _has_true(pair.unknown)
    if not open_ended and same(before, after):
        return
    if pair.unknown is True or pair.is_marked:
        yield _leaf(path, pair)
    elif not open_ended and _is_empty(before) and _is_empty(after):
        yield _leaf(path, pair, Nature.EMPTY)
    elif isinstance(before, dict) and isinstance(after, dict):
        for step, each in _members(pair):
            yield from _walk((*path, step), each)
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _lists(path, pair)
    elif isinstance(before, str) and isinstance(after, str) and not pair.secret:
        yield from _texts(path, pair)
    else:
        yield _leaf(path, pair)


def _members(pair: _Pair) -> Iterator[tuple[str, _Pair]]:
    sides = [side for side in (pair.before, pair.after, pair.unknown) if isinstance(side, dict)]
    one_sided = not (isinstance(pair.before, dict) and isinstance(pair.after, dict))
    for name in sorted({str(name) for side in sides for name in side}):
        child = pair.at(name, name, secret=(pair.secret or names_a_secret(name)) and name != _REFERENCE)
        if one_sided and _is_empty(child.before) and _is_empty(child.after) and not _has_true(child.unknown):
            continue
        if pair.in_json and name in _ONE_OR_MORE and isinstance(child.before, list) != isinstance(child.after, list):
            child = child._replace(before=_as_list(child.before), after=_as_list(child.after))
        yield name, child


def _texts(path: Path, pair: _Pair) -> Iterator[AttributeChange]:
    before, after = _parsed(pair.before), _parsed(pair.after)
    if before is None or after is None:
        yield _leaf(path, pair)
        return
    inside = pair._replace(before=before, after=after, unknown=None, in_json=True)
    found = list(_walk(path, inside))
    yield from found or [_leaf(path, inside, Nature.FORMAT)]


def _lists(path: Path, pair: _Pair) -> Iterator[AttributeChange]:
    before, after = pair.before, pair.after
    is_sequence = bool(path) and path[-1] in _SEQUENCES
    key = next((key for key in _KEYS if _told_apart_by(before, key) and _told_apart_by(after, key)), None)
    if is_sequence:
        yield _leaf(path, pair)
    elif not _has_true(pair.unknown) and sorted(map(_canonical, before)) == sorted(map(_canonical, after)):
        # The same but for what is empty, or in another order.
        in_order = [_canonical(item) for item in before] == [_canonical(item) for item in after]
        yield _leaf(path, pair, Nature.EMPTY if in_order else Nature.ORDER)
    elif key is not None:
        yield from _by_key(path, pair, key)
    elif all(isinstance(item, dict) for item in (*before, *after)):
        yield from _by_place(path, pair)
    else:
        yield _leaf(path, pair)


def _by_key(path: Path, pair: _Pair, key: str) -> Iterator[AttributeChange]:
    old = {item[key]: number for number, item in enumerate(pair.before)}
    new = {item[key]: number for number, item in enumerate(pair.after)}
    items = [*pair.before, *pair.after]
    value = next(
        (value for value in ("value", "Value", _REFERENCE) if all(set(item) <= {key, value} for item in items)), None
    )
    for name in dict.fromkeys([*old, *new]):
        each = pair.at(old.get(name), new.get(name))
        if value is not None:  # a list of names and values is a mapping
            secret = value != _REFERENCE and (pair.secret or names_a_secret(name))
            each = each.at(value, value, secret=secret)
        yield from _walk((*path, Key(name)), each)


def _by_place(path: Path, pair: _Pair) -> Iterator[AttributeChange]:
    """Items without names: what is equal somewhere on the other side is not shown, the rest is compared place by place."""
    old = {number: _canonical(item) for number, item in enumerate(pair.before)}
    new = {number: _canonical(item) for number, item in enumerate(pair.after)}
    open_ended = {number for number in new if _has_true(_under(pair.unknown, number))}
    # First what stands where it stood, then what moved: whatever is left over is then the same both ways round.
    for number in [number for number, text in new.items() if old.get(number) == text and number not in open_ended]:
        del old[number], new[number]
    moved: dict[str, list[int]] = {}
    for number, text in old.items():
        moved.setdefault(text, []).append(number)
    for number, text in list(new.items()):
        if number not in open_ended and moved.get(text):
            del old[moved[text].pop(0)], new[number]
    for number in sorted({*old, *new}):
        yield from _walk((*path, number), pair.at(number if number in old else None, number if number in new else None))


def _leaf(path: Path, pair: _Pair, nature: Nature = Nature.CHANGED) -> AttributeChange:
    unknown = _has_true(pair.unknown)
    after = _with_unknown(pair.after, pair.unknown) if unknown else pair.after
    # A value that was sensitive on one side is the same secret on the other.
    marks = True if pair.is_marked else None
    masked_before = _masked(pair.before, marks or pair.before_marks, pair.secret)
    masked_after = None if pair.unknown is True else _masked(after, marks or pair.after_marks, pair.secret)
    return AttributeChange(
        path,
        masked_before,
        masked_after,
        unknown=unknown,
        sensitive=pair.is_marked or _holds_mask(masked_before, masked_after),
        nature=nature,
        in_json=pair.in_json
        or any(isinstance(side, str) and _parsed(side) is not None for side in (pair.before, after)),
    )


def _masked(value: Any, marks: Any, secret: bool) -> Any:
    """`value` for the outside: what is marked or named as a secret replaced, and passwords in URLs; text that holds JSON is
    opened, since what is in it may be named so as well."""
    if value is None:
        return None
    if marks is True:
        return MASK
    if isinstance(value, dict):
        named = next((value[key] for key in _KEYS if isinstance(value.get(key), str)), "")
        secret = secret and _REFERENCE not in value
        return {
            name: _masked(item, _under(marks, name), _is_secret(str(name), named, secret))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, _under(marks, number), secret) for number, item in enumerate(value)]
    if isinstance(value, str):
        if secret:
            return value if not value or value == UNKNOWN or _ARN.fullmatch(value) else MASK
        held = _parsed(value)
        return masked(value) if held is None else _masked(held, None, secret)
    return MASK if secret and not isinstance(value, bool) else value


def marked_texts(value: Any, marks: Any) -> Iterator[str]:
    """The texts in `value` that its tree of marks says are sensitive, in clear."""
    if isinstance(value, str) and marks is True:
        yield value
    elif isinstance(value, dict) and marks:
        for name, item in value.items():
            yield from marked_texts(item, _under(marks, name))
    elif isinstance(value, list) and marks:
        for number, item in enumerate(value):
            yield from marked_texts(item, _under(marks, number))


def passwords_in(value: Any) -> Iterator[str]:
    """The passwords in all URLs in `value`, in clear."""
    if isinstance(value, str):
        held = _parsed(value)
        yield from url_passwords(value) if held is None else passwords_in(held)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from passwords_in(item)


def _scrubbed(change: AttributeChange, redactor: Redactor) -> AttributeChange:
    before, after = redactor.data(change.before), redactor.data(change.after)
    if before == change.before and after == change.after:
        return change
    return replace(change, before=before, after=after, sensitive=True)


def _is_secret(name: str, named: str, secret: bool) -> bool:
    return secret or names_a_secret(name) or (name in ("value", "Value") and names_a_secret(named))


def _holds_mask(*values: Any) -> bool:
    return any(isinstance(value, str | dict | list) and MASK in shown(value) for value in values)


def _forced(change: AttributeChange, forcing: Sequence[Path]) -> AttributeChange:
    plain = tuple(change.path)
    if change.nature is not Nature.CHANGED:
        forces = plain in forcing
    else:
        forces = any(plain[: len(path)] == path or path[: len(plain)] == plain for path in forcing)
    if not forces:
        return change
    return replace(change, forces_replacement=True)


def _under(tree: Any, step: Step | None) -> Any:
    """What is at `step` of a value or of a tree of marks; a mark holds for everything under it."""
    if tree is True:
        return True
    if isinstance(tree, dict):
        return tree.get(step)
    if isinstance(tree, list):
        return tree[step] if isinstance(step, int) and 0 <= step < len(tree) else None
    return None


def _has_true(marks: Any) -> bool:
    if isinstance(marks, dict):
        return any(map(_has_true, marks.values()))
    if isinstance(marks, list):
        return any(map(_has_true, marks))
    return marks is True


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and isinstance(value, dict | None):
        held = value or {}
        names = [*held, *(name for name in unknown if name not in held and _has_true(unknown[name]))]
        return {name: _with_unknown(held.get(name), unknown.get(name)) for name in names}
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(item, _under(unknown, number)) for number, item in enumerate(value)]
    return value


def _is_other(value: Any) -> bool:
    return not (value is None or isinstance(value, dict))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _parsed(text: str) -> Any:
    """The JSON object or list that a text is; None for any other text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        held = json.loads(text, parse_float=documents.number)
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict | list) else None


def _told_apart_by(items: Sequence[Any], key: str) -> bool:
    names = [item.get(key) if isinstance(item, dict) else None for item in items]
    return all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)


def _canonical(value: Any) -> str:
    """Equal for values that differ only in what is empty."""
    return documents.text(_without_empty(value), sort_keys=True)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(item) for name, item in value.items() if not _is_empty(item)}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def _strictly_same(one: Any, other: Any) -> bool:
    """Of two values that Python calls equal."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict):
        return all(_strictly_same(item, other[name]) for name, item in one.items())
    if isinstance(one, list):
        return all(map(_strictly_same, one, other))
    return True
