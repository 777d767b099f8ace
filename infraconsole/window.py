"""Deploy windows as people write them: `Tue,Thu 10:00-11:00 Asia/Seoul`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(r"(?P<days>[A-Za-z,-]+) (?P<start>\d{2}:\d{2})-(?P<end>\d{2}:\d{2}) (?P<zone>\S+)")


@dataclass(frozen=True)
class Window:
    """On these weekdays (0 is Monday) from `start` up to, not including, `end`, in `zone`."""

    text: str
    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Window:
        """Raises ValueError that says the expected form."""
        form = "weekdays, hours and a time zone, as in 'Tue,Thu 10:00-11:00 Asia/Seoul'"
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise ValueError(form)
        try:
            days = frozenset(day for part in match["days"].split(",") for day in _days(part))
            start, end = time.fromisoformat(match["start"]), time.fromisoformat(match["end"])
            zone = ZoneInfo(match["zone"])
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError(form) from error
        if start >= end:
            raise ValueError(f"{form}, the end after the start")
        return cls(text.strip(), days, start, end, zone)

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(self.zone)
        return local.weekday() in self.days and self.start <= local.time().replace(tzinfo=None) < self.end


def _days(part: str) -> range | tuple[int, ...]:
    first, _, last = part.partition("-")
    if not last:
        return (_DAYS.index(first.title()),)
    start, end = _DAYS.index(first.title()), _DAYS.index(last.title())
    if start > end:
        raise ValueError(part)
    return range(start, end + 1)
