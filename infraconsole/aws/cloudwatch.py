"""CloudWatch alarms: what is ringing around a service, and since when."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import moment

ALARMS_PER_CALL = 100
_ORDER = {"ALARM": 0, "INSUFFICIENT_DATA": 1, "OK": 2}


@dataclass(frozen=True)
class Alarm:
    """An alarm, from DescribeAlarms. `state`: OK, ALARM or INSUFFICIENT_DATA; `metric` is namespace and name, or the
    rule of a composite alarm; `since` is the last change of state, not the last evaluation."""

    name: str
    state: str
    reason: str
    since: datetime | None
    metric: str
    description: str


class CloudWatch:
    """Reads of one region's alarms. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def alarms(self, prefix: str) -> tuple[Alarm, ...]:
        """The metric and composite alarms whose names begin with `prefix` ("" for all), ringing ones first."""
        asked: dict[str, Any] = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": ALARMS_PER_CALL}
        if prefix:
            asked["AlarmNamePrefix"] = prefix
        found = [
            parse_alarm(raw)
            for page in self.access.whole_pages("cloudwatch", "DescribeAlarms", **asked)
            for key in ("MetricAlarms", "CompositeAlarms")
            for raw in page.get(key) or ()
        ]
        return tuple(sorted(found, key=lambda alarm: (_ORDER.get(alarm.state, 1), alarm.name)))


def by_prefix(alarms: Sequence[Alarm], prefixes: Sequence[str]) -> Mapping[str, tuple[Alarm, ...]]:
    """The alarms whose names begin with each prefix, in their order."""
    named = sorted((alarm.name, place) for place, alarm in enumerate(alarms))
    names = [name for name, _ in named]
    found = {}
    for prefix in prefixes:
        first = bisect_left(names, prefix)
        following = itertools.takewhile(lambda pair: pair[0].startswith(prefix), itertools.islice(named, first, None))  # noqa: B023
        found[prefix] = tuple(alarms[place] for place in sorted(place for _, place in following))
    return found


def parse_alarm(raw: Mapping[str, Any]) -> Alarm:
    """A metric or composite alarm as DescribeAlarms answers it. Alarms on expressions have no metric of their own."""
    metric = "/".join(str(raw[key]) for key in ("Namespace", "MetricName") if raw.get(key))
    expressions = (str(item["Expression"]) for item in raw.get("Metrics") or () if item.get("Expression"))
    return Alarm(
        name=str(raw.get("AlarmName") or ""),
        state=str(raw.get("StateValue") or ""),
        reason=str(raw.get("StateReason") or ""),
        since=moment(raw.get("StateTransitionedTimestamp") or raw.get("StateUpdatedTimestamp")),
        metric=metric or str(raw.get("AlarmRule") or "") or next(expressions, ""),
        description=str(raw.get("AlarmDescription") or ""),
    )
