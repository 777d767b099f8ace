"""How fast Parameter Store may be asked: a bucket that lets calls through at the account's quota, whoever asks.

GetParameter, GetParameters and GetParametersByPath share 40 calls a second for each account and region; with the higher
throughput that an account can buy, GetParameters may be called 1,000 times (AWS Systems Manager endpoints and quotas).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from infraconsole import clock
from infraconsole.errors import AwsError

STANDARD_PER_SECOND = 34.0
HIGHER_PER_SECOND = 900.0
"""Below the quotas: other people and other programs ask as well."""
_BURST = 20.0


class Pace:
    """Thread-safe. `has_more` is asked once, by whoever would first have to wait: whether the account has the higher quota."""

    def __init__(
        self,
        has_more: Callable[[], bool],
        *,
        now: Callable[[], float] = clock.seconds,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._has_more = has_more
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._per_second = STANDARD_PER_SECOND
        self._asked = False
        self._left = _BURST
        self._at = now()

    def wait(self) -> None:
        """Return when the next call may be sent."""
        pause = self._take()
        if pause > 0 and self._learn():
            pause = min(pause, 1.0 / self._per_second)
        if pause > 0:
            self._sleep(pause)

    def _take(self) -> float:
        with self._lock:
            now = self._now()
            self._left = min(_BURST, self._left + (now - self._at) * self._per_second)
            self._at = now
            self._left -= 1.0
            return max(0.0, -self._left / self._per_second)

    def _learn(self) -> bool:
        with self._lock:
            if self._asked:
                return False
            self._asked = True
        try:
            more = self._has_more()
        except AwsError:  # not everybody may read the setting; the standard quota holds then
            more = False
        if more:
            with self._lock:
                self._per_second = HIGHER_PER_SECOND
                self._left = max(self._left, 0.0)
        return more
