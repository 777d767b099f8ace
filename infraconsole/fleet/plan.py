"""What of a fleet is read together: services by cluster, alarms by account, states by bucket, locks by table, exports by account,
variables by repository. What AWS tells of many rows in one call is never asked for row by row.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from infraconsole import naming
from infraconsole.checks.row_facts import BoardRow
from infraconsole.errors import AccessDenied, AwsNotFound, InfraconsoleError
from infraconsole.fleet.job import Job, Told

if TYPE_CHECKING:
    from infraconsole.aws.s3 import StoredObject
    from infraconsole.overview import Overview

ALARMS_SECONDS = 15.0
STATES_SECONDS = 60.0
"""States, locks and exports change with a deploy, not by themselves."""
EXPORTS_SECONDS = 60.0
CHECKED_SECONDS = 300.0
"""For so long the check of exports holds: what they name changes with an apply, and asking about it takes a call for each."""
VARIABLES_SECONDS = 60.0

# What reads AWS is imported in the threads that do: the board is painted without waiting for it.


def jobs(overview: Overview, rows: Sequence[BoardRow]) -> tuple[Job, ...]:
    """All that is read of these rows, what tells most first."""
    states = _States(overview)
    return (
        *_by(rows, lambda row: _cluster(overview, row), partial(_services, overview)),
        *_by(rows, lambda row: overview.where(row.environment), partial(_alarms, overview)),
        *_by(rows, lambda row: _bucket(overview, row), states.job),
        *_by(rows, lambda row: overview.where(row.environment), partial(_exports, overview)),
        *_by(rows, lambda row: overview.where(row.environment), partial(_export_check, overview)),
        *_by(rows, lambda row: row.service_name, partial(_variables, overview)),
    )


def _by(
    rows: Sequence[BoardRow], place: Callable[[BoardRow], str], job: Callable[[str, Sequence[BoardRow]], Job]
) -> Iterator[Job]:
    places: dict[str, list[BoardRow]] = {}
    for row in rows:
        places.setdefault(place(row), []).append(row)
    return (job(name, those) for name, those in places.items())


def _keys(rows: Sequence[BoardRow]) -> tuple[str, ...]:
    return tuple(row.key for row in rows)


def _told(row: BoardRow, group: str, read: Callable[[], object]) -> Told:
    """What one row needs by itself may fail by itself."""
    try:
        return Told(row.key, group, read())
    except InfraconsoleError as error:
        return Told(row.key, group, error=error)


# Services, by cluster


def _cluster(overview: Overview, row: BoardRow) -> str:
    return f"{overview.where(row.environment)} {naming.cluster(row.service_name, row.environment)}"


def _services(overview: Overview, name: str, rows: Sequence[BoardRow]) -> Job:
    environment = rows[0].environment

    def read() -> Iterator[Told | Job]:
        cluster = naming.cluster(rows[0].service_name, environment)
        named = {row.key: naming.ecs_service(row.service_name, row.environment) for row in rows}
        ecs = overview.services.ecs(environment)
        found = {service.name: service for service in ecs.services(cluster, tuple(named.values()))}
        missing = [row for row in rows if named[row.key] not in found]
        absent = ecs.missing(cluster, named[missing[0].key]) if len(missing) == len(rows) else None
        for row in rows:
            service = found.get(named[row.key])
            if service is None:
                yield Told(row.key, "service", error=absent or ecs.missing(cluster, named[row.key]))
            elif len(rows) == 1:
                yield _told(row, "service", partial(overview.services.facts_of, row.service_name, environment, service))
            else:  # each may need calls of its own, and need not wait for the others'
                yield _alone(overview, row, partial(overview.services.facts_of, row.service_name, environment, service))

    return Job(f"service {name}", overview.where(environment), environment, ("service",), _keys(rows), read)


def _alone(overview: Overview, row: BoardRow, read: Callable[[], object], group: str = "service") -> Job:
    def told() -> Iterator[Told | Job]:
        yield Told(row.key, group, read())

    where = overview.where(row.environment)
    return Job(f"{group} {row.key}", where, row.environment, (group,), (row.key,), told, once=True)


# Alarms, by account and region


def _alarms(overview: Overview, name: str, rows: Sequence[BoardRow]) -> Job:
    environment = rows[0].environment

    def read() -> Iterator[Told | Job]:
        from infraconsole.aws.cloudwatch import CloudWatch, by_prefix

        prefixes = {row.key: naming.alarm_prefix(row.service_name, row.environment) for row in rows}
        found = by_prefix(CloudWatch(overview.access(environment)).alarms(""), tuple(prefixes.values()))
        for key, prefix in prefixes.items():
            yield Told(key, "alarms", found[prefix])

    return Job(f"alarms {name}", name, environment, ("alarms",), _keys(rows), read, ALARMS_SECONDS)


# States and their locks, by bucket and table


def _bucket(overview: Overview, row: BoardRow) -> str:
    bucket, _ = overview.config.state_place_of(row.service_name, row.environment)
    table = overview.config.environment(row.environment).lock_table or ""
    return f"{overview.where(row.environment)} {bucket} {table}" if bucket else f"{row.environment} without a bucket"


class _States:
    """Of one bucket and its lock table: a list of the one, a few batches of the other, and a GetObject for each state that is
    another one than before. Where only single objects or items may be read, they are."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self._unlisted: set[str] = set()
        """Buckets that may not be listed, or hold so much else that asking for each state is cheaper."""
        self._unbatched: set[str] = set()

    def job(self, name: str, rows: Sequence[BoardRow]) -> Job:
        where, groups = self._overview.where(rows[0].environment), ("state", "lock")
        read = partial(self._read, name, rows)
        return Job(f"state {name}", where, rows[0].environment, groups, _keys(rows), read, STATES_SECONDS)

    def _read(self, name: str, rows: Sequence[BoardRow]) -> Iterator[Told | Job]:
        overview, environment = self._overview, rows[0].environment
        places = {row.key: overview.config.state_place_of(row.service_name, row.environment) for row in rows}
        bucket = places[rows[0].key][0]
        if not bucket:  # nothing of AWS is asked
            for row in rows:
                yield _told(row, "state", partial(overview.state, row.service_name, row.environment))
                yield _told(row, "lock", partial(overview.lock, row.service_name, row.environment))
            return
        listed = self._listed(name, bucket, [key for _, key in places.values()], environment)
        if listed is None:
            for row in rows:
                yield self._one(row, "state", partial(overview.state, row.service_name, row.environment))
                yield self._one(row, "lock", partial(overview.lock, row.service_name, row.environment))
            return
        items = self._items(name, tuple(places.values()), environment)
        for row in rows:
            yield from self._of(row, places[row.key], listed, items)

    def _of(
        self,
        row: BoardRow,
        place: tuple[str, str],
        listed: Mapping[str, StoredObject],
        items: Mapping[str, Mapping[str, str]] | None,
    ) -> Iterator[Told | Job]:
        from infraconsole.checks import state_digest, state_lock

        overview, (bucket, key) = self._overview, place
        settings = overview.config.environment(row.environment)
        by_file = state_lock.has_lockfile(settings) and state_lock.lockfile_of(key) in listed
        by_table = bool(items is not None and items.get(state_lock.item_of(bucket, key), {}).get("Info"))
        is_free = None if by_file or by_table or (items is None and settings.lock_table) else True
        lock = partial(overview.lock, row.service_name, row.environment, is_free=is_free)
        yield _told(row, "lock", lock) if is_free else self._one(row, "lock", lock)
        stored = listed.get(key)
        if stored is None:
            from infraconsole.aws.s3 import S3

            yield Told(row.key, "state", error=S3(overview.access(row.environment)).absent(bucket, key))
            return
        kept = items.get(state_digest.key_of(bucket, key), {}).get("Digest", "") if items is not None else None
        state = partial(overview.state, row.service_name, row.environment, listed=stored, kept=kept)
        is_known = overview.has_read_state(stored) and kept is not None
        yield _told(row, "state", state) if is_known else self._one(row, "state", state)

    def _one(self, row: BoardRow, group: str, read: Callable[[], object]) -> Job:
        return _alone(self._overview, row, read, group)

    def _listed(
        self, name: str, bucket: str, keys: Sequence[str], environment: str
    ) -> Mapping[str, StoredObject] | None:
        from infraconsole.aws.s3 import S3

        if name in self._unlisted:
            return None
        found: dict[str, StoredObject] = {}
        s3 = S3(self._overview.access(environment))
        prefix = os.path.commonprefix(list(keys))  # noqa: RUF071 - of keys, which are no paths
        try:
            for number, page in enumerate(s3.objects(bucket, prefix)):
                if number > len(keys):
                    break
                found.update((each.key, each) for each in page)
            else:
                return found
        except AccessDenied:
            pass
        except AwsNotFound as error:
            if error.code == "NoSuchBucket":
                raise
        self._unlisted.add(name)
        return None

    def _items(
        self, name: str, places: Sequence[tuple[str, str]], environment: str
    ) -> Mapping[str, Mapping[str, str]] | None:
        """The lock table's; none where there is no table, None where many at once may not be asked for, or none at all."""
        from infraconsole.aws.dynamodb import DynamoDb
        from infraconsole.checks import state_digest, state_lock

        table = self._overview.config.environment(environment).lock_table
        if not table:
            return {}
        if name in self._unbatched:
            return None
        ids = [of(*place) for place in places for of in (state_lock.item_of, state_digest.key_of)]
        try:
            return DynamoDb(self._overview.access(environment)).items(table, ids)
        except (AccessDenied, AwsNotFound) as error:
            if isinstance(error, AccessDenied):
                self._unbatched.add(name)
            return None


# Exports, by account and region


def _exports(overview: Overview, name: str, rows: Sequence[BoardRow]) -> Job:
    def read() -> Iterator[Told | Job]:
        overview.needed.read_names(rows[0].environment)
        yield from _exports_known(overview, rows)

    return Job(f"exports {name}", name, rows[0].environment, ("exports",), _keys(rows), read, EXPORTS_SECONDS)


def _export_check(overview: Overview, name: str, rows: Sequence[BoardRow]) -> Job:
    def read() -> Iterator[Told | Job]:
        overview.needed.read_check(rows[0].environment)
        yield from _exports_known(overview, rows)

    return Job(f"export check {name}", name, rows[0].environment, ("exports",), _keys(rows), read, CHECKED_SECONDS)


def _exports_known(overview: Overview, rows: Sequence[BoardRow]) -> Iterator[Told]:
    for row in rows:
        found = overview.needed.known(row.service_name, row.environment)
        if found is not None:
            yield Told(row.key, "exports", found)


# Variables, by repository


def _variables(overview: Overview, service: str, rows: Sequence[BoardRow]) -> Job:
    def read() -> Iterator[Told | Job]:
        for row in rows:
            yield _told(row, "variables", partial(overview.variables, row.service_name, row.environment))

    name = f"variables {service}"
    return Job(name, "", rows[0].environment, ("variables",), _keys(rows), read, VARIABLES_SECONDS)
