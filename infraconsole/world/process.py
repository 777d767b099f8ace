"""The client's side of the world: starts it, finds it, ends it, and says how to reach it. Nothing of the emulator is
imported here, so that the command line stays quick and works where moto is not installed."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from infraconsole.clock import CLOCK_VARIABLE
from infraconsole.errors import InfraconsoleError, JournalError, PrerequisiteMissing
from infraconsole.world import folder, procs, scenarios

DIRECTORY_VARIABLE = "INFRACONSOLE_WORLD_DIR"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LINGER_SECONDS = 15 * 60.0
"""How long a world that was left in order stays at most for runs that can be resumed. Runs under way keep it for as long."""
IDLE_SECONDS = 60 * 60.0
"""How long a world that was left without a word stays with nobody using it."""
_ANSWER_SECONDS = 10.0

# Of the user's environment, besides everything that begins with AWS_.
_ALWAYS_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CA_BUNDLE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


class WorldError(InfraconsoleError):
    """The world could not be started, or does not answer."""


@dataclass(frozen=True)
class World:
    """A running world. One that this process started ends with it, unless it lingers."""

    dir: Path
    pid: int
    mark: str
    """What tells its process from a later one with the same id."""
    endpoint: str
    scenario: str
    factor: float
    started_at: datetime
    account: str
    region: str
    process: Server | None = field(default=None, compare=False, repr=False)

    # How to reach it

    def environment(self) -> dict[str, str]:
        """What has to be set; `applied` and `apply` also take away what the user has set."""
        spared = [name for name in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if name]
        no_proxy = ",".join(dict.fromkeys([*spared, "127.0.0.1", "localhost"]))
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.dir / folder.CREDENTIALS),
            "AWS_CONFIG_FILE": str(self.dir / folder.AWS_CONFIG),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "INFRACONSOLE_CONFIG": str(self.dir / folder.SETTINGS),
            "INFRACONSOLE_STATE": str(self.dir / folder.STATE),
            "INFRACONSOLE_RENEW": self.call("demo", "renew"),
            "INFRACONSOLE_COMMAND": f'eval "$({self.call("demo", "env")})" && {_program()}',
            CLOCK_VARIABLE: str(self.dir / folder.CLOCK_FILE),
            DIRECTORY_VARIABLE: str(self.dir),
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }

    def applied(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """`base` (the environment of this process, unless given) for a child that works on this world alone."""
        given = os.environ if base is None else base
        kept = {name: value for name, value in given.items() if not name.startswith("AWS_")}
        return {**kept, **self.environment()}

    def apply(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Make this process (or the given environment) work on this world alone."""
        target = os.environ if environ is None else environ
        for name in [name for name in target if name.startswith("AWS_")]:
            del target[name]
        target.update(self.environment())

    def shell_exports(self) -> str:
        """Lines for a POSIX shell, to be evaluated."""
        wanted = self.environment()
        present = {name for name in os.environ if name.startswith("AWS_")}
        unset = sorted((present | set(_ALWAYS_UNSET)) - set(wanted))
        lines = [f"unset {' '.join(unset)}"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in wanted.items()]
        return "\n".join(lines) + "\n"

    def call(self, *arguments: str) -> str:
        """A line that calls infraconsole on this world's folder, for a shell that knows nothing of either."""
        line = f"{_program()} {shlex.join(arguments)}"
        return line if self.dir == _usual_directory() else f"{DIRECTORY_VARIABLE}={shlex.quote(str(self.dir))} {line}"

    # How to end it

    def outlive(self) -> None:
        """From now on it is not to end where this process is killed, or loses its terminal: somebody will come back to it."""
        self._say("outlive")

    def linger(self) -> None:
        """This process ends in good order, but runs go on: the world stays while one is under way or can be resumed."""
        self._say("linger")
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self.process.stdin.close()

    def _say(self, word: str) -> None:
        if self.process is None or self.process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(f"{word}\n".encode())
            self.process.stdin.flush()

    def stop(self) -> None:
        """End it and the runs on it; returns when it is gone."""
        procs.end(self.pid, self.mark, STOP_SECONDS)
        if self.process is not None:
            if self.process.stdin is not None and not self.process.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    self.process.stdin.close()
            self.process.wait(STOP_SECONDS)
        _clear(self.dir, self.pid)

    @property
    def is_alive(self) -> bool:
        return procs.is_alive(self.pid, self.mark)

    # Its controls

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of the world's own controls, e.g. `GET status`. Raises WorldError."""
        host = self.endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, f"/_world/{path}", json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WorldError(
                f"The world in {self.dir} does not answer.",
                cause=str(error),
                mend="End it with `infraconsole demo down`, and start it again.",
            ) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise WorldError(f"The world refused {method} {path}.", cause=str(document.get("error", "")))
        return dict(document)

    def status(self) -> dict[str, Any]:
        return self.control("GET", "status")

    def now(self) -> datetime:
        """The world's time."""
        return datetime.fromisoformat(self.status()["now"])

    def renew(self, lifetime_seconds: float | None = None) -> None:
        """New credentials in the world's credentials file, valid as long as the scenario's, or for `lifetime_seconds`
        of world time."""
        self.control("POST", "renew", {} if lifetime_seconds is None else {"lifetime_seconds": lifetime_seconds})

    def expire(self) -> None:
        """Let the credentials issued so far be expired."""
        self.control("POST", "expire", {})

    def advance(self, seconds: float) -> None:
        """Let `seconds` of world time pass at once."""
        self.control("POST", "clock", {"advance": seconds})

    def set_factor(self, factor: float) -> None:
        self.control("POST", "clock", {"factor": factor})

    def change_scenario(self, name: str) -> None:
        self.control("POST", "scenario", {"name": name})

    def set_behaviour(self, family: str, tag: str, kind: str, **more: float | str) -> None:
        """How later deployments of this family's image `tag` fare: healthy, crash, no-pull or unhealthy."""
        self.control("POST", "behaviour", {"family": family, "tag": tag, "kind": kind, **more})

    def fault(self, action: str, service: str = "*", operation: str = "*", **more: float) -> int:
        """Let calls fail; `more` are share, nth, count and seconds. Returns the rule's id."""
        rule = {"action": action, "service": service, "operation": operation, **more}
        return int(self.control("POST", "faults", rule)["id"])

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def calls(self, service: str = "", operation: str = "", since: int = 0) -> list[dict[str, Any]]:
        """The AWS calls that reached the world, oldest first; `since` leaves out those up to that sequence number."""
        path = f"calls?service={service}&operation={operation}&since={since}"
        return list(self.control("GET", path)["calls"])

    def counted_calls(self, operation: str, service: str = "", *, accepted: bool | None = None) -> int:
        """How many such calls came in; `accepted` counts only those that were (or were not) carried out."""
        calls = self.calls(service, operation)
        return sum(1 for call in calls if accepted is None or call["accepted"] is accepted)

    def forget_calls(self) -> None:
        self.control("DELETE", "calls")


def default_directory() -> Path:
    """INFRACONSOLE_WORLD_DIR, else `world` in the user's state folder."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return Path(named).absolute()
    return _usual_directory()


def _usual_directory() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("infraconsole")) / "world"


def _program() -> str:
    """This infraconsole, also for a shell whose PATH does not lead to it."""
    script = Path(sys.executable).with_name("infraconsole")
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m infraconsole"


def entered() -> World | None:
    """The world that this process's environment leads to (`apply`, `demo env`); whether it still runs is not asked."""
    state = os.environ.get("INFRACONSOLE_STATE")
    found = _read(Path(state).parent) if state else None
    return found if found is not None and found.endpoint == os.environ.get("AWS_ENDPOINT_URL") else None


def resumable_runs(state: Path) -> list[str]:
    """Runs in the world's journal that have not ended, or ended by interruption: those under way, too."""
    from infraconsole.engine import listing
    from infraconsole.engine.journal import Journal

    if (state / "journal.db").exists():
        with contextlib.suppress(JournalError), Journal(state, create=False) as journal:
            return [run.run for run in reversed(listing.resumable(journal))]
    return []


class Server(Protocol):
    """The world's process, as `subprocess.Popen` is one. Its standard input, where there is one, ends with this process."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Order:
    """What world is to be served, and where."""

    root: Path
    scenario: str
    factor: float
    linger: bool


Launch = Callable[[Order, IO[bytes]], Server]
"""Starts the world's process, which writes what goes wrong to the file."""


def launched(order: Order, errors: IO[bytes]) -> Server:
    command = [sys.executable, "-m", "infraconsole.world.server"]
    command += ["--dir", str(order.root), "--scenario", order.scenario, "--factor", str(order.factor)]
    if order.linger:
        command.append("--linger")
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if order.linger else subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        cwd=order.root,
        env=server_environment(order.root),
        # A session of its own: the terminal's Ctrl-C is for the console, which then ends the world in order.
        start_new_session=True,
    )


def start(
    directory: Path | None = None,
    scenario: str = scenarios.DEFAULT,
    factor: float = 1.0,
    linger: bool = False,
    launch: Launch = launched,
) -> World:
    """Start a world and wait until it serves. It ends with this process, unless `linger` is set.

    Raises UnknownName (scenario), PrerequisiteMissing (moto is not installed), WorldError (it runs already, or did not
    come up).
    """
    root = (directory or default_directory()).absolute()
    scenarios.scenario(scenario)
    _require_emulator()
    if running(root) is not None:
        raise WorldError(
            f"A world runs in {root} already.",
            mend="Use it (`infraconsole demo env`), or end it with `infraconsole demo down`.",
        )
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.clear(root)
    log = root / folder.LOG_FILE
    with log.open("ab") as errors:
        begun = errors.tell()
        process = launch(Order(root, scenario, factor, linger), errors)
    try:
        up = procs.wait_until(lambda: process.poll() is not None or _read(root, process.pid) is not None, START_SECONDS)
    except BaseException:  # Ctrl-C: nobody knows of it yet
        process.kill()
        raise
    found = _read(root, process.pid)
    if not up or found is None:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        with log.open("rb") as text:
            text.seek(begun)
            tail = text.read().decode("utf-8", "replace").strip().splitlines()[-5:]
        raise WorldError("The world did not start.", cause="\n".join(tail), mend=f"Read {log}.")
    return World(**{**found.__dict__, "process": process})


def running(directory: Path | None = None) -> World | None:
    """The world that serves from this folder: its process is alive and it answers; else None."""
    root = (directory or default_directory()).absolute()
    found = _read(root)
    if found is None or not found.is_alive:
        return None
    try:
        return found if found.status()["pid"] == found.pid else None
    except WorldError:
        return None


def stop(directory: Path | None = None) -> bool:
    """End the world of this folder and the runs on it; answers whether there was one."""
    root = (directory or default_directory()).absolute()
    found = _read(root)
    alive = found is not None and found.is_alive
    if found is not None:
        found.stop()
    return alive


def _clear(root: Path, pid: int) -> None:
    """What the world's process does at its end, where it was killed before it could."""
    if _read(root, pid) is None:
        return
    procs.end_executors(root / folder.STATE)
    folder.clear(root)


def _read(root: Path, pid: int | None = None) -> World | None:
    """What world.json says, if it is there, whole and of that process."""
    try:
        document = json.loads((root / folder.WORLD_FILE).read_text("utf-8"))
        found = World(
            dir=root,
            pid=int(document["pid"]),
            mark=str(document["mark"]),
            endpoint=str(document["endpoint"]),
            scenario=str(document["scenario"]),
            factor=float(document["factor"]),
            started_at=datetime.fromisoformat(document["started_at"]),
            account=str(document["account"]),
            region=str(document["region"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if pid in (None, found.pid) else None


def _require_emulator() -> None:
    missing = [name for name in ("moto", "flask", "flask_cors") if importlib.util.find_spec(name) is None]
    if missing:
        raise PrerequisiteMissing(
            "The embedded world needs an AWS emulator.",
            cause=f"Not installed: {', '.join(missing)}.",
            mend="pip install 'infraconsole[demo]'",
        )


def server_environment(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    # The package may be run from a source tree that only this process's own path knows.
    here = str(Path(__file__).resolve().parents[2])
    path = [here, *[one for one in kept.get("PYTHONPATH", "").split(os.pathsep) if one]]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "AWS_SHARED_CREDENTIALS_FILE": str(root / folder.CREDENTIALS),
        "AWS_CONFIG_FILE": str(root / folder.AWS_CONFIG),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
