"""Redaction: every secret value that was learned is scrubbed from whatever goes to journal, output and screens."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

MASK = "••••••"
_SHORTEST = 4
_SECRET_NAME = re.compile(r"passw(or)?d|secret|token|credential|private.?key|api.?key|access.?key", re.IGNORECASE)

_USERINFO = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@")


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name probably holds a secret, so that its value is masked wherever it is shown."""
    return _SECRET_NAME.search(name) is not None


def without_passwords(text: str) -> str:
    """`text` with the passwords of its URLs masked: `mysql://root:••••••@db:3306/files`."""
    return _USERINFO.sub(rf"\g<1>:{MASK}@", text) if "://" in text else text


class Redactor:
    """Knows the secrets of one process. Values under four characters are not scrubbed: they would erase half of any text."""

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
        return pattern.sub(MASK, value) if pattern else value

    def data(self, value: Any) -> Any:
        """A copy of JSON-like `value` with every text scrubbed, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value
