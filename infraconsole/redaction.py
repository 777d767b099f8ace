"""Redaction: every secret value that was learned, and every password in a URL, is scrubbed from whatever goes to journal,
output and screens."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

MASK = "••••••"
_SHORTEST = 4
_SECRET_NAME = re.compile(r"passw(or)?d|secret|token|credential|private.?key|api.?key|access.?key", re.IGNORECASE)

_URL_PASSWORD = re.compile(r"""(://[^\s/?#:@\[\]"<>]*:)([^\s/?#"<>]+|(?!\d+[/?#])[^\s"<>]+)(?=@)""")
"""After `user:`, up to the last @ before the path; where there is none, up to the last @ at all, unless a port was meant: people
write passwords with a / in them and forget to encode it."""


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name probably holds a secret, so that its value is masked wherever it is shown."""
    return _SECRET_NAME.search(name) is not None


def without_url_passwords(text: str) -> str:
    """`mysql://root:••••••@db/x`: the text with the passwords in its URLs masked."""
    return _URL_PASSWORD.sub(rf"\1{MASK}", text) if "://" in text else text


def url_passwords(text: str) -> Iterator[str]:
    """The passwords in the URLs of a text, as they stand there, and decoded where that is something else."""
    for _, password in _URL_PASSWORD.findall(text) if "://" in text else ():
        yield from dict.fromkeys((password, unquote(password)))


class Redactor:
    """Knows the secrets of one process. Values under four characters are not scrubbed: they would erase half of any text.

    A password in a URL is scrubbed unlearned, where it stands.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def learn(self, secret: str) -> None:
        if len(secret) < _SHORTEST:
            return
        forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        forms.update(line for line in secret.splitlines() if len(line) >= _SHORTEST)
        with self._lock:
            self._secrets |= forms
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def text(self, value: str) -> str:
        pattern = self._pattern
        return without_url_passwords(pattern.sub(MASK, value) if pattern else value)

    def data(self, value: Any) -> Any:
        """A copy of JSON-like `value` with every text scrubbed, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value
