"""The world's process: `python -m infraconsole.world.server --dir DIR`. It seeds the emulator, serves it on a free loopback
port, and ends when its parent does, when told to, or, lingering, when no run on it is under way or can be resumed."""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.backends import get_backend
from werkzeug.serving import BaseWSGIServer

from infraconsole import naming
from infraconsole.errors import UnknownName
from infraconsole.world import company as companies
from infraconsole.world import ecs_api, emulated_time, folder, http, parameters, procs, scenarios, signals
from infraconsole.world.behaviours import KINDS, Behaviours
from infraconsole.world.clock import WorldClock
from infraconsole.world.control import ControlApp, call_routes
from infraconsole.world.ecs_api import EcsWorld
from infraconsole.world.faults import CallLog, Credentials, FaultRules, FaultyApp, IssuedKey, Rule
from infraconsole.world.health import Answer, HealthPorts
from infraconsole.world.logs import LogWriter
from infraconsole.world.process import IDLE_SECONDS, LINGER_SECONDS, resumable_runs
from infraconsole.world.rollout import Behaviour
from infraconsole.world.scenarios import Scenario
from infraconsole.world.seed import Seed
from infraconsole.world.trail import RecordingApp, TrailWriter
from infraconsole.world.wire import Wire

LOG = logging.getLogger("infraconsole.world")


class WorldServer:
    """Everything of one world. `start` serves it, `close` ends the runs on it and says that it is gone."""

    def __init__(self, root: Path, scenario: Scenario, factor: float) -> None:
        self.root = root
        self.company = companies.load()
        self.clock = WorldClock(factor)
        self.scenario = scenario
        self.started_at = datetime.now(UTC)
        self.behaviours = Behaviours(self.company.account)
        self.ecs = EcsWorld(self.clock, self.behaviours.of, self._delay_of)
        self.health = HealthPorts()
        self._ports: dict[tuple[str, str], int] = {}
        self.rules = FaultRules()
        self.calls = CallLog()
        self.credentials = Credentials(self.clock, _lifetime(scenario))
        self._turns = itertools.count()
        self._faulty: FaultyApp | None = None
        self._lingers = False
        self._server: BaseWSGIServer | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the world is not served yet")
        return int(self._server.server_port)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.seed()
        self.serve()

    def seed(self) -> None:
        """Build the company. No thread is started: a process may be forked afterwards, and serve its copy."""
        ecs_api.install(self.ecs)
        emulated_time.install(self.clock.now)
        signals.install(self.ecs, LogWriter(self.company))
        parameters.install(self._parameter_writer)
        emulator = http.Dispatcher()
        self._arrange(self.scenario)
        now = self.clock.now()
        wire = Wire(emulator, self.company.region)
        Seed(wire, self.company, self.ecs, self.scenario, now, self._open_health).run()
        recorded = RecordingApp(emulator, TrailWriter(wire, self.company), self.company)
        self._faulty = FaultyApp(recorded, self.clock, self.rules, self.calls, self.credentials, self.company.account)

    def serve(self) -> None:
        if self._faulty is None:
            raise RuntimeError("the world is not seeded yet")
        self._server = http.serve(ControlApp(self._faulty, self._routes()))
        self.health.serve()
        threading.Thread(target=self._server.serve_forever, name="world", daemon=True).start()
        self._write_credentials(self.credentials.current)
        folder.write_settings(self.root, self.company)
        folder.write_repositories(self.root, self.company, self._ports)
        (self.root / folder.STATE).mkdir(mode=0o700, exist_ok=True)

    def announce(self, *, linger: bool) -> None:
        """From now on the world can be found."""
        self._lingers = linger
        folder.write_clock(self.root, self.endpoint, self.clock.tempo())
        self._write_world()

    def _write_world(self) -> None:
        document = {
            "pid": os.getpid(),
            "mark": procs.start_mark(os.getpid()),
            "endpoint": self.endpoint,
            "port": self.port,
            "scenario": self.scenario.name,
            "factor": self.clock.factor,
            "started_at": self.started_at.isoformat(),
            "account": self.company.account,
            "region": self.company.region,
            "linger": self._lingers,
        }
        folder.write_private(self.root / folder.WORLD_FILE, json.dumps(document, indent=2) + "\n")

    def close(self) -> None:
        procs.end_executors(self.root / folder.STATE)
        # The sockets need no closing: they, and the threads that serve them, end with the process.
        folder.clear(self.root)

    # The scenario

    def _arrange(self, scenario: Scenario) -> None:
        """What a scenario means besides what the seed deploys."""
        self.scenario = scenario
        self.rules.clear()
        if scenario.throttle_share:
            self.rules.add(Rule("throttle", share=scenario.throttle_share))
        if scenario.delay_seconds:
            self.rules.add(Rule("delay", seconds=scenario.delay_seconds))
        self.credentials.lifetime = _lifetime(scenario)
        family = naming.task_family(scenarios.SERVICE, scenarios.ENVIRONMENT)
        tag = self.company.tag(scenarios.SERVICE, scenarios.ENVIRONMENT, self.company.newest.number)
        self.behaviours.set(family, tag, scenario.newest)

    def _parameter_writer(self) -> str:
        """Terraform's role while the company is being built, the operator's afterwards."""
        role = "on-call/operator" if self._server else "deploy/terraform"
        return f"arn:aws:sts::{self.company.account}:assumed-role/{role}"

    def _delay_of(self, region: str, target_group: str) -> float:
        group = get_backend("elbv2")[self.company.account][region].target_groups.get(target_group)
        return float(group.attributes.get("deregistration_delay.timeout_seconds", 300)) if group else 300.0

    def _open_health(self, service: str, environment: str) -> int:
        port = self.health.open(lambda: self._health(service, environment))
        self._ports[(service, environment)] = port
        return port

    def _health(self, service: str, environment: str) -> Answer:
        """What the load balancer's listener answers: that of one of the serving tasks, in turn."""
        with self.ecs.lock:
            cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
            found = self.ecs.get(self.company.region, cluster, name)
            tasks = found.sim.healthy() if found else []
            if not tasks:
                return Answer(503, {"status": "DOWN", "service": service, "environment": environment})
            arn = tasks[next(self._turns) % len(tasks)].revision.arn
        family, _, number = arn.rpartition("/")[2].partition(":")
        definitions = get_backend("ecs")[self.company.account][self.company.region].task_definitions
        containers = definitions[family][int(number)].container_definitions
        named = (one for one in containers if one.get("name") == naming.container(service))
        image = str(next(named, containers[0]).get("image", ""))
        body = {
            "status": "UP",
            "service": service,
            "environment": environment,
            "revision": f"{family}:{number}",
            "version": image.rpartition(":")[2],
        }
        return Answer(200, body, f"{family}:{number}")

    # The controls

    def _routes(self) -> dict[tuple[str, str], Any]:
        return {
            **call_routes(self.calls, self.rules),
            ("GET", "status"): self._status,
            ("POST", "clock"): self._set_clock,
            ("POST", "renew"): self._renew,
            ("POST", "expire"): self._expire,
            ("POST", "scenario"): self._change_scenario,
            ("POST", "behaviour"): self._set_behaviour,
        }

    def _status(self, _: dict[str, Any]) -> Any:
        return {
            "pid": os.getpid(),
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "summary": self.scenario.summary,
            "factor": self.clock.factor,
            "now": self.clock.now().isoformat(),
            "calls": len(self.calls),
            "account": self.company.account,
            "region": self.company.region,
            "credentials": self.credentials.current.as_json(),
        }

    def _set_clock(self, given: dict[str, Any]) -> Any:
        if "factor" in given:
            self.clock.set_factor(float(given["factor"]))
        if "advance" in given:
            self.clock.advance(float(given["advance"]))
        folder.write_clock(self.root, self.endpoint, self.clock.tempo())
        return {"factor": self.clock.factor, "now": self.clock.now().isoformat()}

    def _renew(self, given: dict[str, Any]) -> Any:
        if "lifetime_seconds" in given:
            self.credentials.lifetime = timedelta(seconds=float(given["lifetime_seconds"]))
        key = self.credentials.issue()
        self._write_credentials(key)
        return key.as_json()

    def _expire(self, _: dict[str, Any]) -> Any:
        self.credentials.expire()
        return self.credentials.current.as_json()

    def _change_scenario(self, given: dict[str, Any]) -> Any:
        """Faults change at once; fileflow's newest revision is deployed again in prod and fares as the scenario says."""
        try:
            scenario = scenarios.scenario(given["name"])
        except UnknownName as error:
            raise ValueError(str(error)) from None
        self._arrange(scenario)
        region = self.company.region
        service, environment = scenarios.SERVICE, scenarios.ENVIRONMENT
        family = naming.task_family(service, environment)
        with self.ecs.lock:
            cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
            found = self.ecs.get(region, cluster, name)
            if found is None:
                raise ValueError(f"there is no {name} any more")
            definitions = get_backend("ecs")[self.company.account][region].task_definitions[family]
            revision = self.ecs.revision(region, definitions[self.company.newest.number])
            settings = replace(found.sim.settings, breaker=scenario.breaker, breaker_rollback=scenario.breaker)
            found.sim.update(self.clock.now(), revision=revision, settings=settings, force=True)
        self._write_world()
        return self._status({})

    def _set_behaviour(self, given: dict[str, Any]) -> Any:
        """How later deployments of a family's image tag fare: fields family, tag, kind and those of Behaviour."""
        rest = dict(given)
        family, tag = rest.pop("family"), rest.pop("tag")
        if rest.get("kind") not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        self.behaviours.set(family, tag, Behaviour(**rest))
        return {}

    def _write_credentials(self, key: IssuedKey) -> None:
        folder.write_credentials(self.root, key.access_key, key.secret, key.token)


class Watch:
    """Decides when the world ends. The parent's end is seen as the end of standard input.

    A parent that leaves in order says `linger`: the world stays for the runs on it. One that is killed, or whose terminal
    goes away, says nothing: the world ends, or, where `outlive` was said before, waits for somebody to come back to it.
    """

    def __init__(self, root: Path, *, linger: bool) -> None:
        self._root = root
        self._linger = linger
        self._stop = threading.Event()
        self.calls: Callable[[], int] = lambda: 0

    def begin(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        # The terminal that started it may go away; whether the world goes too is for the pipe to say.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if not self._linger:
            threading.Thread(target=self._follow_parent, name="parent", daemon=True).start()

    def wait(self) -> None:
        self._stop.wait()

    def _follow_parent(self) -> None:
        told = set[str]()
        try:
            for line in sys.stdin:
                told.add(line.strip())
        except (OSError, ValueError):
            pass
        if "linger" in told:
            self._stay(lambda: bool(resumable_runs(self._root / folder.STATE)), LINGER_SECONDS)
        elif "outlive" in told:
            self._stay(lambda: True, IDLE_SECONDS)
        self._stop.set()

    def _stay(self, wanted: Callable[[], bool], seconds: float) -> None:
        """While a run is under way; and for as long as it is wanted and used, and `seconds` more."""
        used, since = self.calls(), time.monotonic()
        while True:
            now = self.calls()
            if procs.executors(self._root / folder.STATE) or now != used:
                used, since = now, time.monotonic()
            elif not wanted() or time.monotonic() - since > seconds:
                return
            if self._stop.wait(0.5):
                return


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infraconsole.world.server")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--scenario", default=scenarios.DEFAULT, choices=sorted(scenarios.SCENARIOS))
    parser.add_argument("--factor", type=float, default=1.0, help="world seconds per real second")
    parser.add_argument("--linger", action="store_true", help="do not end with the parent")
    options = parser.parse_args(arguments)
    root: Path = options.dir
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    logging.basicConfig(
        filename=root / folder.LOG_FILE, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    os.environ["MOTO_ACCOUNT_ID"] = companies.load().account
    watch = Watch(root, linger=options.linger)
    watch.begin()
    world = WorldServer(root, scenarios.scenario(options.scenario), options.factor)
    watch.calls = world.calls.count
    world.seed()
    return live(world, watch, linger=options.linger)


def live(world: WorldServer, watch: Watch, *, linger: bool) -> int:
    """Serve a world that was seeded, until it is over; the exit code."""
    try:
        world.serve()
        world.announce(linger=linger)
        sys.stdout.write(f"ready {world.endpoint}\n")
        sys.stdout.flush()
        watch.wait()
    finally:
        world.close()
    return 0


def _lifetime(scenario: Scenario) -> timedelta | None:
    minutes = scenario.credentials_minutes
    return timedelta(minutes=minutes) if minutes is not None else None


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Straight out: taking the emulator's objects down one by one takes most of a second, and there is nothing to save.
    os._exit(code)
