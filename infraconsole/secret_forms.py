"""The forms in which a secret turns up: as it is, escaped for JSON, URLs, HTML and shells, and as base64 or hex.

All forms are bytes without white space, since output wraps and indents: a secret is looked for in the text without its white
space, so that one broken over two lines is found like any other.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from unicodedata import normalize
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Shorter ones are not masked: they would erase half of any text."""
SHORTEST_BROKEN = 8
"""Shorter ones are found only where they stand in one piece: otherwise ordinary words would make them up."""
WHITE = b" \t\r\n\v\f"

_GO_JSON = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})
_LIKE_JAVASCRIPT = "!~*'()"
_SHELL = set("|&;<>()$`\\\"' *?[]#~=%!{}^,")


def forms(secret: str) -> frozenset[bytes]:
    """Of the whole, and of each of its lines."""
    found: set[bytes] = set()
    parts = {secret, *secret.splitlines()}
    if not secret.isascii():  # Terraform normalises to NFC; file systems and people also write NFD
        parts |= {normalize(form, part) for form in ("NFC", "NFD") for part in parts}
    for part in parts:
        if len(compact(_encoded(part))) >= SHORTEST:
            found.update(compact(form) for form in _forms(part))
    return frozenset(form for form in found if len(form) >= SHORTEST)


def compact(text: bytes) -> bytes:
    return text.translate(None, WHITE)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _forms(secret: str) -> Iterator[bytes]:
    raw = _encoded(secret)
    for text in {*_escaped(secret), *_escaped(secret.strip())}:
        yield _encoded(text)
    for body in {raw, raw.strip(), raw.strip() + b"\n"}:
        yield from _base64(body)
        yield body.hex().encode()
        yield body.hex().upper().encode()
    if not secret.isalnum() or not secret.isascii():
        plain, ascii_only = (json.dumps(secret, ensure_ascii=each)[1:-1] for each in (False, True))
        for text in {plain, ascii_only, plain.translate(_GO_JSON), ascii_only.translate(_GO_JSON)} - {secret}:
            yield from _base64(_encoded(text), is_inside=True)  # as base64encode(jsonencode(…)) writes it


def _escaped(secret: str) -> Iterator[str]:
    if secret.isalnum() and secret.isascii():
        yield secret
        return
    inner = [secret, *(json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False))]
    inner += [text.translate(_GO_JSON) for text in inner[1:]]
    yield from inner
    for text in inner[1:]:  # JSON within JSON
        yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield inner[2].replace("${", "$${").replace("%{", "%%{")  # as Terraform writes it in code
    yield secret.replace("'", "'\"'\"'")
    yield secret.replace("'", "'\\''")
    yield "".join(f"\\{each}" if each in _SHELL else each for each in secret)
    for characters in (secret, secret.replace("\n", "\r\n")):
        yield from _in_urls(_encoded(characters))
    marked = html.escape(secret, quote=False)
    yield marked
    for double, single in (("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&#39;"), ("&quot;", "&apos;")):
        yield marked.replace('"', double).replace("'", single)
    yield marked.replace('"', "&quot;")


def _in_urls(raw: bytes) -> Iterator[str]:
    for text in (quote(raw, safe=""), quote(raw), quote(raw, safe=_LIKE_JAVASCRIPT), quote_plus(raw)):
        yield text
        yield _with_small_hex(text)


def _with_small_hex(text: str) -> str:
    first, *rest = text.split("%")
    return "%".join((first, *(part[:2].lower() + part[2:] for part in rest)))


def _base64(raw: bytes, *, is_inside: bool = False) -> Iterator[bytes]:
    """Of it alone, and of what is the same wherever it stands within a longer text: in base64 three alignments are possible.
    `is_inside`: where something stands before it, something follows it as well."""
    for before in range(3):
        # Up to the first character that hangs on what stands before.
        text = base64.b64encode(b"\0" * before + raw)[(0, 2, 3)[before] :]
        whole = (before + len(raw)) * 8 // 6 - (0, 2, 3)[before]
        for form in (text[:whole],) if is_inside and before else (text, text.rstrip(b"="), text[:whole]):
            yield form
            yield form.translate(_URL_SAFE)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
