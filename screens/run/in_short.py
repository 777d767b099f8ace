"""What a run printed and what a step left, as a screen says it: AWS's texts in a few words, names for ARNs, one form of time. The
journal keeps every text whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from infraconsole import text
from infraconsole.checks.ecs_words import event_words, named, reason_words
from infraconsole.screens.times import clock_time

_STAMPED = re.compile(r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<words>.*)", re.DOTALL)
"""A line with a time of its own: an event of ECS, as runbooks/rollout.py prints it."""
_STOPPED = re.compile(r"(?P<head>task \S+ of \S+ is STOPPED: )(?P<why>.+)", re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")
_INSIDE = ("deployment", "stopped", "sha256", "changed", "lock", "was_marker")
"""What later steps go by, and no person."""


def line_in_short(line: str) -> str:
    """A line of a run's output."""
    found = _STAMPED.fullmatch(line)
    if found and (at := text.moment(found["at"])):
        words = found["words"]
        return f"{text.here(at):%H:%M:%S} {event_words(words).words if words.startswith('(service ') else words}"
    if found := _STOPPED.fullmatch(line):
        return found["head"] + "; ".join(reason_words(part) for part in found["why"].split("; "))
    return line


def result_in_short(result: Mapping[str, Any], now: datetime) -> str:
    """`at 14:20:05, fileflow-prod:6`: what a step left, each thing once."""
    return ", ".join(dict.fromkeys(_told(result, now)))


def _told(result: Mapping[str, Any], now: datetime) -> Iterator[str]:
    for key, value in result.items():
        if key in _INSIDE or isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            continue
        words = str(value)
        if words.startswith("arn:"):
            yield named(words)
        elif _TIME.fullmatch(words) and (at := text.moment(words)):
            yield f"{key} {clock_time(at, now)}"
        elif key in ("words", "name"):
            yield words
        else:
            yield f"{key} {words}"
