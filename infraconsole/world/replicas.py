"""Answers as they were some seconds ago: what a copy of AWS's data that lags behind shows. AWS promises no more of most of its
APIs than that what was done is shown in the end; a world whose every answer is of this moment would hide what relies on more.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from infraconsole.world.http import Environ, WsgiApp, collect

Answer = tuple[str, list[tuple[str, str]], bytes]

_SAMPLED_SECONDS = 0.2
_FORGOTTEN_SECONDS = 120.0
_KEPT_SECONDS = 120.0
_READS = ("Describe", "List", "Get", "BatchGet", "Head")


@dataclass
class _Request:
    """One request, as it can be made again, and what it was answered: each answer with the time since when it is so."""

    environ: Environ
    body: bytes
    asked_at: float
    answers: deque[tuple[float, Answer]] = field(default_factory=deque)

    def again(self, app: WsgiApp) -> Answer:
        return collect(app, {**self.environ, "wsgi.input": io.BytesIO(self.body)})

    def take(self, at: float, answer: Answer) -> None:
        if not self.answers or self.answers[-1][1][2] != answer[2]:
            self.answers.append((at, answer))
        while len(self.answers) > 1 and self.answers[1][0] < at - _KEPT_SECONDS:
            self.answers.popleft()

    def as_of(self, at: float) -> Answer:
        """What it was answered then; the oldest answer where it was not asked yet."""
        older = [answer for since, answer in self.answers if since <= at]
        return older[-1] if older else self.answers[0][1]


class Replicas:
    """Of the application's answers to reads. `lagging` says whether any has to lag: while it does, what was asked is asked again
    and again, so that there is something to go back to."""

    def __init__(self, app: WsgiApp, lagging: Callable[[], bool]) -> None:
        self._app = app
        self._lagging = lagging
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, ...], _Request] = {}
        self._sampler: threading.Thread | None = None

    @staticmethod
    def can_lag(operation: str) -> bool:
        """Whether it changes nothing, so that it may be asked again."""
        return operation.startswith(_READS)

    def read(self, key: tuple[str, ...], environ: Environ, body: bytes, lag_seconds: float) -> Answer:
        """The answer to this request as it was that long ago."""
        now = time.monotonic()
        with self._lock:
            request = self._requests.setdefault(key, _Request(dict(environ), body, now))
            request.asked_at = now
        answer = request.again(self._app)
        with self._lock:
            request.take(now, answer)
            if self._sampler is None:
                self._sampler = threading.Thread(target=self._sample, name="replicas", daemon=True)
                self._sampler.start()
            return request.as_of(now - lag_seconds)

    def _sample(self) -> None:
        while True:
            time.sleep(_SAMPLED_SECONDS)
            now = time.monotonic()
            with self._lock:
                if not self._lagging():
                    self._requests.clear()
                    self._sampler = None
                    return
                for key in [k for k, known in self._requests.items() if known.asked_at < now - _FORGOTTEN_SECONDS]:
                    del self._requests[key]
                requests = list(self._requests.values())
            for request in requests:
                at = time.monotonic()
                answer = request.again(self._app)
                with self._lock:
                    request.take(at, answer)
