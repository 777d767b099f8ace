"""Deploy windows as people write them: `Tue,Thu 10:00-11:00 Asia/Seoul`, `Fri 22:00-02:00 UTC`, `Mon-Fri 00:00-24:00 UTC`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORTEST = 3
_FORM = re.compile(r"(?P<days>\S.*?)\s+(?P<start>[\d:]+)\s*-\s*(?P<end>[\d:]+)\s+(?P<zone>\S+)")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_DAY_MINUTES = 24 * 60
_EXPECTED = "weekdays, hours and a time zone, as in 'Tue,Thu 10:00-11:00 Asia/Seoul'"


@dataclass(frozen=True)
class Window:
    """From `start` up to, not including, `end` (minutes of the day that begins on one of these weekdays, 0 is Monday), in
    `zone`. An end above 24 hours lies on the next day."""

    text: str
    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Window:
        """Raises ValueError that says what was expected, and what is wrong."""
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise ValueError(_EXPECTED)
        days = frozenset(day for part in match["days"].split(",") for day in _days(part))
        start, end = _minutes(match["start"]), _minutes(match["end"])
        zone = _zone(match["zone"])
        if start == _DAY_MINUTES:
            raise ValueError(f"{_EXPECTED}; 24:00 can only be the end")
        if start == end:
            raise ValueError(f"{_EXPECTED}; the window is empty, since it ends when it starts")
        return cls(text.strip(), days, start, end if end > start else end + _DAY_MINUTES, zone)

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
        return (today in self.days and self.start <= minute < self.end) or (
            yesterday in self.days and minute + _DAY_MINUTES < self.end
        )


def _days(part: str) -> tuple[int, ...]:
    first, sign, last = (word.strip() for word in part.partition("-"))
    start = _day(first)
    end = _day(last) if sign else start
    return tuple((start + offset) % 7 for offset in range((end - start) % 7 + 1))


def _day(word: str) -> int:
    """Whole, or shortened to three letters or more."""
    wanted = word.casefold().rstrip(".")
    found = [
        number for number, name in enumerate(_DAYS) if len(wanted) >= _SHORTEST and name.casefold().startswith(wanted)
    ]
    if len(found) != 1:
        raise ValueError(f"{_EXPECTED}; {word!r} is no weekday")
    return found[0]


def _minutes(word: str) -> int:
    match = _TIME.fullmatch(word)
    hours, minutes = (int(match[1]), int(match[2])) if match else (99, 0)
    if minutes > 59 or hours * 60 + minutes > _DAY_MINUTES:
        raise ValueError(f"{_EXPECTED}; {word!r} is no time of day from 00:00 to 24:00")
    return hours * 60 + minutes


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = available_timezones()
    if not known:
        raise ValueError(
            f"{_EXPECTED}. The time zone {name!r} cannot be looked up, since there is no time zone database: pip install tzdata"
        )
    near = get_close_matches(name.casefold(), [zone.casefold() for zone in known], n=1)
    meant = next((zone for zone in known if near and zone.casefold() == near[0]), "")
    hint = f" (did you mean {meant}?)" if meant else ""
    raise ValueError(f"{_EXPECTED}; {name!r} is not in the time zone database{hint}")
