"""Secrets that nobody has learned, found by where they stand: behind a name that says so, in a URL, in a private key.

Works on bytes, in time that grows with the length alone: words that may announce a secret are found by one pass, and what stands
around each is looked at with expressions that never go back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import unquote

MASK = "••••••"
_MASK = MASK.encode()

Span = tuple[int, int]

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|pwd|secret|token|credential|(?<![a-z])pass(?![a-z])"
    r"|(private|api|access|account|master|signing|encryption|shared|storage).?key",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(_SECRET_NAME.pattern.encode(), re.IGNORECASE)
_ABOUT_SECRETS = (
    *(
        b"arn",
        b"id",
        b"name",
        b"type",
        b"url",
        b"uri",
        b"endpoint",
        b"file",
        b"path",
        b"dir",
        b"version",
        b"stage",
        b"count",
    ),
    *(
        b"length",
        b"len",
        b"size",
        b"policy",
        b"age",
        b"ttl",
        b"days",
        b"hours",
        b"minutes",
        b"seconds",
        b"expires",
        b"expiry",
    ),
    *(
        b"expiration",
        b"expired",
        b"_at",
        b"enabled",
        b"required",
        b"rotation",
        b"format",
        b"algorithm",
        b"usage",
        b"limit",
    ),
    *(b"bucket", b"table", b"role", b"user", b"username", b"email", b"region", b"host", b"port", b"provider", b"store"),
    *(b"manager", b"status", b"parameter", b"units", b"alias"),
)
"""Ends of names that say secret: then it is something about the secret."""
_KEY_IDS = (b"accesskeyid", b"access_key_id", b"access-key-id")


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name probably holds a secret, so that its value is masked wherever it is shown."""
    return _SECRET_NAME.search(name) is not None


def _says_secret(name: bytes) -> bool:
    """Whether the value behind this name is a secret itself, not one of its properties."""
    small = name.lower()
    if small.endswith(b"x-amz-signature"):
        return True
    is_about = small.endswith(_ABOUT_SECRETS) and not small.endswith(_KEY_IDS)
    return not is_about and _SECRET_KEY.search(small) is not None


class Found(NamedTuple):
    """`spans` are to be masked, in any order. The rest says in what the text ends: within a private key, or behind the name of a
    secret whose value comes on the next line."""

    spans: list[Span]
    in_key: bool = False
    awaits_value: bool = False


def find(text: bytes, *, in_key: bool = False, awaits_value: bool = False) -> Found:
    """`in_key` and `awaits_value`: as the text before this one ended."""
    looking = _Looking(text)
    if in_key:
        looking.key_body(0)
    if awaits_value and (match := _VALUE_NEXT.match(text)):
        looking.value(match.end())
    # Overlapping words are no loss: the name around a word is read as a whole.
    for word, start, _ in _words().find_matches_as_indexes(text.lower()):
        if start >= looking.done:
            looking.at(word, start)
    return Found(looking.spans, looking.in_key, looking.awaits_value)


_NAMES = (b"pass", b"pwd", b"secret", b"token", b"credential", b"key", b"x-amz-signature")
_WORDS: tuple[tuple[bytes, str], ...] = (
    (b"://", "url"),
    (b"-----begin", "private_key"),
    *((word, "name") for word in _NAMES),
    (b"authorization", "authorization"),
    (b"bearer ", "bearer"),
    (b"jdbc:oracle:", "oracle"),
    (b"mysql", "mysql"),
    (b"mariadb", "mysql"),
    (b"sshpass", "sshpass"),
    (b"curl ", "curl"),
    *((word, "known") for word in (b"ghp_", b"gho_", b"ghs_", b"github_pat_", b"glpat-", b"xoxb-", b"xoxp-", b"eyj")),
)


@cache
def _words() -> Any:
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    return BytesAhoCorasick([word for word, _ in _WORDS], matchkind=MatchKind.LeftmostFirst)


_REACH = 2048
"""So far from `://` the end of a password in a URL is looked for."""
_URL_END = re.compile(rb"""[\s"<>]""")
_URL_USER = re.compile(rb"""[^\s/?#:@\[\]"<>]{0,256}+:""")
_URL_PATH = re.compile(rb"[/?#]")
_URL_PORT = re.compile(rb"\d+[/?#]")
_URL_TOKEN = re.compile(rb"[A-Za-z0-9_\-]{20,256}+@")

_NAME_BEFORE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_NAME_AFTER = re.compile(rb"[\w.\-]{0,64}+")
_SIGN = re.compile(rb"""(\\{0,8}["'`])?\]?[ \t]{0,64}(=>|:=|==?|:|\xe2\x86\x92|->)[ \t]{0,64}""")
_OPTION_VALUE = re.compile(rb"[ \t]{1,64}(?!-)")
_QUOTE = re.compile(rb"""\\{0,8}["'`]""")
_IN_QUOTES = {quote: re.compile(rb"(?:[^\\\n" + quote + rb"]++|\\.)*+" + quote) for quote in (b'"', b"'", b"`")}
_UNQUOTED = re.compile(
    rb"""(?:[^\s"'`<>;&,\\]++|\\(?![\s"'`\\nrt])|(?:[;&,]|\\[nrt])(?!\Z|[\s"'`<>\\;&,]|[\w .\-]{1,40}+[=:]))++"""
)
_ENTRY_OF_MORE = re.compile(rb"""[^;"'\n\\<>=]{1,256}+;[ ]?[\w ]{1,40}+=""")
_TO_SEMICOLON = re.compile(rb"""[^;"'\n\\<>]++""")
_ARROW = re.compile(rb"""(?:\\{0,8}["'`])?[ \t]{0,64}(?:->|=>|\xe2\x86\x92)[ \t]{0,64}""")
_VALUE_NEXT = re.compile(
    rb"""\s{0,256}+,?\s{0,256}+(?:\\{0,8}["'])?[Vv]alue(?:\\{0,8}["'])?[ \t]{0,64}(?:=>|[:=])[ \t]{0,64}"""
)
_LINE_OVER = re.compile(rb"[ \t]{0,64},?[ \t\r]{0,64}(?:\n\s{0,256}+)?\Z")
_NO_SECRET = re.compile(
    rb"""(?:true|false|null|none|nil|undefined|\d{1,4}|alias/[^\s"']*|arn:[^\s"']*|\(.*|\$\{[^}]*\}|\$\(.*|\$\w+|<[^>]*>|\*+|[\[{].*)\Z"""
    rb"""|(?:var|local|data|module|each|self|random_password|aws_\w+)\.[\w.\[\]"]+\Z""",
    re.IGNORECASE | re.DOTALL,
)
_PROSE = re.compile(rb"[a-z]+[ \t]+[a-zA-Z]|(?:must|is|has|was|to|for|with|and|or|not|the|an?|in|of|from|by)\b")
_AUTHORIZATION = re.compile(
    rb"""authorization(?:\\{0,8}["'])?[ \t]{0,8}[:=][ \t]{0,8}(?:\\{0,8}["'])?"""
    rb"""(?:basic|bearer|digest|token|negotiate|apikey|aws4-hmac-sha256)[ \t]{1,8}([^\n"'\\]++)""",
    re.IGNORECASE,
)
_BEARER = re.compile(rb"bearer[ \t]{1,8}([\w.~+/=\-]{8,}+)", re.IGNORECASE)
_ORACLE = re.compile(rb"jdbc:oracle:\w{1,16}+:[^/\s@]{1,128}+/([^@\s]{1,256}+)@", re.IGNORECASE)
_MYSQL = re.compile(
    rb"""(?:mysql|mariadb)[\w.\-]{0,32}+(?:[ \t][^\n]{0,400}?)?[ \t]-p(["']?[^\s"']++["']?)""", re.IGNORECASE
)
_SSHPASS = re.compile(rb"""sshpass[ \t]{1,8}-p[ \t]{0,8}["']?([^\s"']++)""", re.IGNORECASE)
_CURL = re.compile(
    rb"""curl[ \t][^\n]{0,400}?(?<=[ \t])(?:-u|--user|-U|--proxy-user)[ =]?["']?[^\s:"']{0,128}+:([^\s"']++)""",
    re.IGNORECASE,
)
_KNOWN = re.compile(
    rb"(?<![\w\-])(?:gh[pos]_\w{20,}+|github_pat_\w{20,}+|glpat-[\w\-]{16,}+|xox[bp]-[\w\-]{16,}+"
    rb"|eyJ[\w\-]{8,}+\.eyJ[\w\-]{8,}+\.[\w\-]{8,}+)"
)
_KEY_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(rb"-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(
    rb"""[^\S\n]*+(?:[A-Za-z0-9+/=]|\\[nrt][ \t]*+)*+[^\S\n]*+(?=\n|\Z|["'\\,-])|[A-Za-z\-]{1,32}:[^\n]*"""
)
_KEY_REACH = 1 << 16

_SIMPLE = {
    "bearer": (_BEARER, b" "),
    "oracle": (_ORACLE, b"@"),
    "mysql": (_MYSQL, b"-p"),
    "sshpass": (_SSHPASS, b"-p"),
    "curl": (_CURL, b":"),
}
_COMMAND_REACH = 512


class _Looking:
    """`done`: up to there everything is decided, so that no stretch is read twice."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.spans: list[Span] = []
        self.done = 0
        self.in_key = False
        self.awaits_value = False
        self._at_sign = -2
        self._url_end = -1
        self._key_end = -1

    def at(self, word: int, start: int) -> None:
        kind = _WORDS[word][1]
        if kind == "name":
            self._name(start)
        elif kind == "url":
            self._url(start + 3)
        elif kind == "private_key":
            if match := _KEY_BEGIN.match(self.text, start):
                self.key_body(match.end())
        elif kind == "known":
            if match := _KNOWN.match(self.text, start):
                self._mask(*match.span())
        elif kind == "authorization":
            if match := _AUTHORIZATION.match(self.text, start):
                self._mask(*match.span(1))
        else:
            form, needed = _SIMPLE[kind]
            if needed in self.text[start : start + _COMMAND_REACH] and (match := form.match(self.text, start)):
                self._mask(*match.span(1))

    def _mask(self, start: int, end: int) -> None:
        if end > start:
            self.spans.append((start, end))
        self.done = max(self.done, end)

    # A name and its value

    def _name(self, at: int) -> None:
        text = self.text
        before = text[max(self.done, at - 64) : at]
        start = at - len(before) + len(before.rstrip(_NAME_BEFORE))
        end = _NAME_AFTER.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        name = text[start:end]
        self.done = end
        if not _says_secret(name):
            return
        sign = _SIGN.match(text, end)
        if sign and sign[2] == b":" and text[start - 1 : start] == b":":  # arn:aws:secretsmanager:…:secret:name
            return
        if sign:
            self._of_name(name, start, sign.end(), may_be_prose=sign[2] == b":")
        elif name.startswith(b"-") and (option := _OPTION_VALUE.match(text, end)):
            self._of_name(name, start, option.end(), may_be_prose=True)
        elif (quote := _QUOTE.match(text, end)) and text[start - 1 : start] == quote[0][-1:]:
            # {"name": "DB_PASSWORD", "value": "…"}
            if following := _VALUE_NEXT.match(text, quote.end()):
                self.value(following.end())
            elif _LINE_OVER.match(text, quote.end()):
                self.awaits_value = True

    def _of_name(self, name: bytes, start: int, at: int, *, may_be_prose: bool) -> None:
        is_directory = name in (b"PWD", b"OLDPWD") and self.text[at : at + 1] == b"/"
        if is_directory:
            return
        in_connection_string = self.text[max(0, start - 3) : start].rstrip(b" ").endswith(b";") or (
            name.lower() in (b"pwd", b"password") and _ENTRY_OF_MORE.match(self.text, at) is not None
        )
        end = self.value(at, may_be_prose=may_be_prose, to_semicolon=in_connection_string)
        if end and (arrow := _ARROW.match(self.text, end)):
            self.value(arrow.end())

    def value(self, at: int, *, may_be_prose: bool = False, to_semicolon: bool = False) -> int:
        """Mask what stands there as a value; where it ends, 0 where there is none."""
        span = self._quoted(at)
        if span is None:
            match = (_TO_SEMICOLON if to_semicolon else _UNQUOTED).match(self.text, at)
            if match is None or (may_be_prose and _PROSE.match(self.text, at)):
                return 0
            span = match.span()
        start, end = span
        if start == end or self.text[start:end] == _MASK or _NO_SECRET.match(self.text, start, end):
            return end
        self._mask(start, end)
        return end

    def _quoted(self, at: int) -> Span | None:
        """Between its quotes, which may be escaped; None where there are none, or no second one on the line."""
        opening = _QUOTE.match(self.text, at)
        if opening is None:
            return None
        quote = opening[0]
        if len(quote) == 1:
            closed = _IN_QUOTES[quote].match(self.text, opening.end())
            return (opening.end(), closed.end() - 1) if closed else None
        end = self.text.find(quote, opening.end(), opening.end() + _KEY_REACH)
        return (opening.end(), end) if end >= 0 and b"\n" not in self.text[opening.end() : end] else None

    # URLs

    def _url(self, at: int) -> None:
        text = self.text
        if self._at_sign != -1 and self._at_sign < at:
            self._at_sign = text.find(b"@", at)
        if self._at_sign == -1 or self._at_sign > at + _REACH:
            return
        if self._url_end < at:
            ends = _URL_END.search(text, at)
            self._url_end = ends.start() if ends else len(text)
        end = min(self._url_end, at + _REACH)
        if token := _URL_TOKEN.match(text, at, end):
            self._mask(at, token.end() - 1)
            return
        user = _URL_USER.match(text, at, end)
        if user is None:
            return
        path = _URL_PATH.search(text, user.end(), end)
        last = text.rfind(b"@", user.end(), path.start() if path else end)
        # People write passwords with a / in them and forget to encode it.
        if last <= user.end() and not _URL_PORT.match(text, user.end(), end):
            last = text.rfind(b"@", user.end(), end)
        if last > user.end():
            self._mask(user.end(), last)

    # Private keys

    def key_body(self, at: int) -> None:
        """What stands between the first line of a key and its last; without a last one, all lines that may be of a key."""
        text = self.text
        if self._key_end < at:
            found = _KEY_END.search(text, at)
            self._key_end = found.start() if found else len(text)
        stop = min(self._key_end, at + _KEY_REACH)
        while at <= stop:
            line = _KEY_LINE.match(text, at, stop)
            if line is None:
                return
            if line[0].strip():
                self._mask(at, line.end())
            if line.end() < len(text) and text[line.end() : line.end() + 1] != b"\n":
                return
            at = line.end() + 1
        self.in_key = stop == len(text)


def masked(text: str) -> str:
    """`mysql://root:••••••@db/x`, `Pwd=••••••;`: the text without the secrets that are to be told by where they stand."""
    raw = text.encode("utf-8", "surrogatepass")
    spans = find(raw).spans
    return without(raw, merged(spans)).decode("utf-8", "surrogatepass") if spans else text


def masked_entries(entries: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Of a JSON object: what stands under the name of a secret is masked, and the value of {"name": "DB_PASSWORD", "value": …}."""
    named = next((entries[key] for key in ("name", "Name", "key", "Key") if isinstance(entries.get(key), str)), "")
    for key, value in entries.items():
        name = named if key in ("value", "Value") else key
        yield key, MASK if isinstance(name, str) and isinstance(value, str) and is_secret(name, value) else value


def masked_arguments(arguments: Sequence[str]) -> list[str]:
    """What follows an option that names a secret is masked: `--password`, and then its value."""
    found = list(arguments)
    for at, (option, value) in enumerate(pairwise(arguments), 1):
        if option.startswith("-") and is_secret(option, value) and not value.startswith("-"):
            found[at] = MASK
    return found


def is_secret(name: str, value: str) -> bool:
    """Whether what stands under that name is a secret itself: neither a reference to one nor one of its properties."""
    if not value or _ONE_NAME.fullmatch(name) is None or not _says_secret(name.encode("utf-8", "surrogatepass")):
        return False
    return _NO_SECRET.match(value.encode("utf-8", "surrogatepass")) is None


_ONE_NAME = re.compile(r"[\w.\-]{1,128}")


def url_passwords(text: str) -> Iterator[str]:
    """The passwords in the URLs of a text, as they stand there, and decoded where that is something else."""
    raw = text.encode("utf-8", "surrogatepass")
    looking = _Looking(raw)
    at = raw.find(b"://")
    while at >= 0:
        if at >= looking.done:
            looking.at(0, at)
        at = raw.find(b"://", at + 3)
    for start, end in looking.spans:
        password = raw[start:end].decode("utf-8", "surrogatepass")
        yield from dict.fromkeys((password, unquote(password)))


def merged(spans: list[Span]) -> list[Span]:
    """In order, those that touch made one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def without(text: bytes, spans: list[Span]) -> bytes:
    """With a mask in place of each span, line by line, so that no line gets lost."""
    parts, at = [], 0
    for start, end in spans:
        parts.append(text[at:start])
        inside = text[start:end]
        parts.append(
            _MASK
            if b"\n" not in inside
            else b"\n".join(_MASK if line.strip() else line for line in inside.split(b"\n"))
        )
        at = end
    parts.append(text[at:])
    return b"".join(parts)
