"""Log lines of the world's services: a seeded past, and what the containers of the simulation say as time goes on. They
are written into moto's log groups when somebody asks, because the simulation itself does nothing between two calls."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from moto.backends import get_backend

from infraconsole import naming
from infraconsole.world.company import Company
from infraconsole.world.ecs_api import EcsWorld, SimulatedService
from infraconsole.world.rollout import Notice

_PATHS = ("/api/v1/files", "/api/v1/files/{id}", "/api/v1/uploads", "/api/v1/shares", "/actuator/health")


class LogWriter:
    def __init__(self, company: Company) -> None:
        self._company = company

    def seed(self, simulated: SimulatedService, service: str, environment: str, now: datetime) -> None:
        """Some two hours of ordinary lines of the tasks that run, then whatever the simulation has to say."""
        dice = random.Random(f"{service}-{environment}")  # noqa: S311 - the same lines each time
        tasks = [task for task in simulated.sim.tasks.values() if task.started_at] or []
        names = [task.id for task in tasks[:3]] or ["0" * 32]
        application, access = [], []
        for index in range(40):
            at = now - timedelta(minutes=120 - index * 2, seconds=dice.randrange(60))
            task = names[index % len(names)]
            trace = f"{dice.getrandbits(64):016x}"
            path = _PATHS[index % len(_PATHS)].replace("{id}", str(dice.randrange(10_000)))
            took = dice.randrange(4, 180)
            application.append((at, task, f"{_stamp(at)}  INFO [{service},{trace}] request {path} done in {took} ms"))
            status = 404 if index % 13 == 12 else 200
            client = f"10.0.{dice.randrange(3)}.{dice.randrange(4, 250)}"
            access.append((at, task, f'{client} - - [{_stamp(at)}] "GET {path} HTTP/1.1" {status} {took * 31} {took}'))
        slow = []
        for hour in range(3):
            at = now - timedelta(hours=5 - hour)
            slow.append((at, names[0], f"{_stamp(at)}  WARN [{service}] slow query on table jobs: 1{hour}20 ms"))
        self._write(service, environment, "application", application)
        self._write(service, environment, "access", access)
        self._write(service, environment, "error", slow)
        self.follow(simulated)

    def follow(self, simulated: SimulatedService) -> None:
        """Write what the simulation's containers have said since the last time."""
        notices = simulated.sim.notices[simulated.said :]
        simulated.said += len(notices)
        service, environment = service_and_environment(simulated)
        for notice in notices:
            tag = self._tag_of(simulated, notice)
            application, errors = _lines(service, environment, tag, notice)
            self._write(service, environment, "application", [(at, notice.task_id, text) for at, text in application])
            self._write(service, environment, "error", [(at, notice.task_id, text) for at, text in errors])

    def _tag_of(self, simulated: SimulatedService, notice: Notice) -> str:
        family, _, revision = notice.task_definition.rpartition("/")[2].partition(":")
        definitions = get_backend("ecs")[simulated.account][simulated.region].task_definitions
        image = definitions[family][int(revision)].container_definitions[0].get("image", "")
        return str(image).rpartition(":")[2]

    def _write(self, service: str, environment: str, kind: str, lines: list[tuple[datetime, str, str]]) -> None:
        # Into the group itself: PutLogEvents refuses what lies in the future, where a fast world soon is.
        groups = get_backend("logs")[self._company.account][self._company.region].groups
        group = groups.get(naming.log_group(service, environment, kind))
        if group is None:
            return
        streams: dict[str, list[dict[str, Any]]] = {}
        for at, task, text in lines:
            stream = f"ecs/{naming.container(service)}/{task}"
            streams.setdefault(stream, []).append({"timestamp": int(at.timestamp() * 1000), "message": text})
        for stream, events in streams.items():
            if stream not in group.streams:
                group.create_log_stream(stream)
            group.put_log_events(stream, sorted(events, key=lambda event: int(event["timestamp"])))


def service_and_environment(simulated: SimulatedService) -> tuple[str, str]:
    """From the guide's name `<service>-<environment>-service`; another name gives itself and nothing."""
    name = simulated.sim.name.removesuffix("-service")
    service, _, environment = name.rpartition("-")
    return (service, environment) if service else (name, "")


def follow_all(world: EcsWorld, writer: LogWriter, region: str) -> None:
    with world.lock:
        for simulated in world.all(region):
            writer.follow(simulated)


_Lines = list[tuple[datetime, str]]


def _lines(service: str, environment: str, tag: str, notice: Notice) -> tuple[_Lines, _Lines]:
    """Lines for the application and the error log."""
    at = notice.at
    if notice.kind == "started":
        texts = [
            f"  INFO [{service}] starting {service} {tag} with profile {environment}",
            f"  INFO [{service}] database pool initialised, connecting to {environment}-shared-mysql",
        ]
        return _spread(at, texts), []
    if notice.kind == "stopped":
        return _spread(at, [f"  INFO [{service}] SIGTERM received, shutting down gracefully"]), []
    if notice.kind == "unhealthy":
        texts = [
            f"  WARN [{service}] health indicator redis: DOWN, connection to {service}-{environment}-redis refused"
        ]
        return _spread(at, texts), _spread(at, texts)
    cause = (
        "org.springframework.beans.factory.BeanCreationException: error creating bean 'chunkStore': "
        f"required property {service}.chunk.bucket is not set for profile {environment}"
    )
    texts = [
        f" ERROR [{service}] application run failed, version {tag}",
        cause,
        "Caused by: java.lang.IllegalStateException: lock on schema history is held by a task that is gone",
        f" ERROR [{service}] exit code 1",
    ]
    begun = at - timedelta(seconds=2)
    return _spread(begun, texts), _spread(begun, texts)


def _spread(at: datetime, texts: list[str]) -> _Lines:
    moments = [at + timedelta(milliseconds=137 * index) for index in range(len(texts))]
    return [
        (moment, f"{_stamp(moment)}{text}" if text.startswith(" ") else text)
        for moment, text in zip(moments, texts, strict=True)
    ]


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
