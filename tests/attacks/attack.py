"""Carries a plan out: begins the run, strikes where the plan says so, answers its gates, and resumes it until it ends."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from infraconsole.engine import catalogue, launch
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.gate import DECLINED, FAILURE_GATE, Gate, GateKind
from infraconsole.engine.history import OpenGate, RunRecord, record_of
from infraconsole.engine.journal import Journal
from infraconsole.errors import InfraconsoleError, TargetBusy
from infraconsole.terraform import supervise
from tests.attacks.grounds import Field, Ground
from tests.attacks.plan import SHAPES, Hit, Plan

EXECUTOR = Path(__file__).with_name("attacked_executor.py")
RESUMES = 8
QUIET_SECONDS = 60.0
"""A run that writes nothing for so long stands still."""
PATIENCE_SECONDS = 240.0
"""A run that is not over by then goes round in circles."""
NOT_STARTED = "did not start"
"""What is said of an executor that was killed, or too slow, before it wrote anything."""
APPLY = SHAPES["deploy"].change.operation
HELD_SECONDS = 1.5
"""How long AWS holds a call back that is struck inside of."""
TIMEOUT_SECONDS = 1.0
"""Of the executor, where a call is never answered in time."""


@dataclass
class Story:
    """What happened, for the laws to judge. `elsewhere` is the journal of another console, where one took part."""

    plan: Plan
    ground: Ground
    folder: Path
    run: str = ""
    struck: list[Hit] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What the attacker did and saw, with the seconds since the beginning."""
    record: RunRecord = field(default_factory=lambda: RunRecord(""))
    events: list[Event] = field(default_factory=list)
    refusal: str = ""
    """Why the run could not be resumed any more."""
    seen: str = ""
    """What the view printed."""
    stands_still: str = ""
    elsewhere: Path | None = None
    rival_began: bool = False
    read_only: str = ""
    """What a console that may only read did to the run."""

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def was_struck_by(self, *kinds: str) -> bool:
        return any(hit.kind in kinds for hit in self.struck)

    def __str__(self) -> str:
        told = "\n".join(f"    {line}" for line in self.said)
        tail = "\n".join(
            f"    {event.seq:>3} {event.kind} {event.step} {str(dict(event.data))[:200]}"
            for event in self.events[-30:]
            if event.kind not in ("output", "progress")
        )
        return f"{self.plan}\n  run {self.run}: {self.record.outcome or 'no end'}: {self.record.ending}\n{told}\n{tail}"


class Attack:
    def __init__(self, plan: Plan, field_: Field, folder: Path, *, blind: str = "") -> None:
        self._plan = plan
        self._field = field_
        self._world = field_.world
        self._ground = field_.ground(plan, folder)
        self.story = Story(plan, self._ground, folder)
        self._hand = folder / "hand"
        self._hand.mkdir(parents=True)
        if blind:
            (self._hand / "blind").write_text(blind)
        self._began = time.monotonic()
        self._left = [hit for hit in plan.hits if hit.moment]
        self._armed_at = 0.0
        self._armed_since = 0
        self._later: list[tuple[float, Any, str]] = []
        self._wrong = any(hit.kind == "wrong-answers" for hit in plan.hits)
        self._answered: set[tuple[int, int]] = set()
        self._failures = 0
        self._view: subprocess.Popen[str] | None = None
        self._disk = SmallDisk(self.story.state) if any(hit.kind == "full-disk" for hit in plan.hits) else None
        self._journal = Journal(self.story.state)
        self._moved = self._began, -1

    def carry_out(self) -> Story:
        story = self.story
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("INFRACONSOLE_TEST_ATTACK", str(self._hand))
                patch.setenv("INFRACONSOLE_STATE", str(story.state))
                patch.setenv("INFRACONSOLE_CONFIG", str(self._ground.config.file))
                patch.setattr(launch, "_EXECUTOR", (str(EXECUTOR),))
                self._go_through()
        except Overdue as error:
            story.stands_still = str(error)
        self._heal()
        self._close_view()
        self._read()
        return story

    def close(self) -> None:
        """What is left of it ends, and the world is as it was."""
        self._journal.close()
        for pid in processes_of(self.story.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._disk:
            self._disk.close()

    # The run

    def _go_through(self) -> None:
        self._bad_weather()
        self._arm()
        self._begin()
        if self._plan.viewed:
            self._view = self._attached()
        for _ in range(RESUMES):
            self._follow()
            self._read()
            if self.story.record.finished and not self.story.record.resumable:
                return
            if not self._resume():
                return
        self._follow()

    def _begin(self) -> None:
        try:
            self.story.run = launch.begin(
                self._journal,
                catalogue.runbook(self._plan.runbook),
                self._ground.config,
                service=self._ground.service,
                environment=self._ground.environment,
                inputs=self._ground.inputs,
                answers=[] if self._plan.by_hand else self._answers,
                interactive=self._plan.by_hand,
                operator="kim",
            )
        except InfraconsoleError as error:
            if NOT_STARTED not in error.title:
                raise
            self.story.run = self._journal.run_ids()[0]
            self._say(error.title)
        self._say(f"run {self.story.run} began")

    @property
    def _answers(self) -> list[tuple[str, str]]:
        known = {gate.id for gate in catalogue.runbook(self._plan.runbook).gates}
        return [answer for answer in self._ground.answers if answer[0] in known]

    def _resume(self) -> bool:
        if any(hit.kind == "read-only" for hit in self._plan.hits):
            self._resume_read_only()
        while True:
            self._tick()
            try:
                launch.resume(self._journal, self.story.run, self._ground.config, interactive=self._plan.by_hand)
            except TargetBusy as error:
                self._say(f"busy: {error.title}")
                self._overdue("the target to be free")
                time.sleep(0.2)
            except InfraconsoleError as error:
                self._say(f"not resumed: {error}")
                self.story.refusal = str(error)
                return NOT_STARTED in error.title
            else:
                self.story.refusal = ""
                self._say("resumed")
                return True

    def _resume_read_only(self) -> None:
        """Nothing begins, and the run stays as it was."""
        before, config = self._journal.events(self.story.run), replace(self._ground.config, read_only=True)
        self._note(Hit("read-only"))
        try:
            launch.resume(self._journal, self.story.run, config, interactive=self._plan.by_hand)
        except InfraconsoleError as error:
            self._say(f"read-only: {error.title}")
        else:
            self.story.read_only = "a console that may only read resumed the run"
        more = self._journal.events(self.story.run)[len(before) :]
        if more:
            self.story.read_only += f" and wrote {[event.kind for event in more]}"

    def _follow(self) -> None:
        """Until nobody is at the run any more."""
        version = -1
        while self._executor() or self._held():
            self._tick()
            self._strike_where_it_is_time()
            if self._plan.by_hand and (now := self._journal.data_version()) != version:
                version = now
                if opened := self._record().gate:
                    self._answer(opened)
            self._overdue("the executor to end")
            time.sleep(0.05)

    def _answer(self, opened: OpenGate) -> None:
        turn = opened.opening, len(opened.answered)
        if turn in self._answered:
            return
        self._answered.add(turn)
        gate = opened.gate
        if gate.id == FAILURE_GATE:
            self._failures += 1
            value = "retry" if self._failures < 2 else "stop"
            self._say(f"{gate.title}: {value}")
        else:
            value = self._right_answer(gate, len(opened.answered))
        if self._wrong:
            for wrong in (
                {"opening": opened.opening + 1, "gate": gate.id, "value": value},
                {"opening": opened.opening, "gate": "another", "value": f"{value} "},
                {"opening": opened.opening, "gate": gate.id, "value": "yes, of course"},
                {"opening": str(opened.opening), "gate": gate.id, "value": value},
            ):
                self._journal.ask(self.story.run, "answer", "lee", wrong)
            self._note(Hit("wrong-answers"))
        if gate.id != FAILURE_GATE and any(hit.kind == "decline" for hit in self._plan.hits):
            value = DECLINED
            self._note(Hit("decline"))
        self._journal.ask(self.story.run, "answer", "kim", {"opening": opened.opening, "gate": gate.id, "value": value})

    def _right_answer(self, gate: Gate, before: int) -> str:
        """`before`: how many the gate has taken already; of approvals it wants several. A person who cannot have what the run is
        for declines."""
        known = [value for name, value in self._ground.answers if name == gate.id]
        if gate.kind is not GateKind.CHOOSE:
            return known[before % len(known)] if known else DECLINED
        open_ = [choice for choice in gate.choices if not choice.why_not]
        wanted = self._ground.inputs.get(gate.id, next((choice.id for choice in open_ if choice.recommended), ""))
        return wanted if wanted in [choice.id for choice in open_] else DECLINED

    # The hits

    def _bad_weather(self) -> None:
        actions = {"lost-answer": "drop-after", "cut": "drop-before", "silence": "delay", "denied": "access-denied"}
        for hit in self._plan.hits:
            if hit.call is None:
                continue
            more: dict[str, float] = {"count": hit.count} if hit.count else {}
            if hit.kind == "lag":
                more["seconds"] = hit.seconds
            if hit.kind == "silence" or hit.how == "drip":
                (self._hand / "timeout").write_text(str(TIMEOUT_SECONDS))
                more["seconds"] = TIMEOUT_SECONDS * 2.5
            action = hit.how if hit.kind == "strange" else actions.get(hit.kind, hit.kind)
            self._world.fault(action, hit.call.service, hit.call.operation, **more)
            self._note(hit)

    def _arm(self) -> None:
        """Get the next hit ready."""
        self._armed_at = time.monotonic()
        if not self._left:
            return
        moment = self._left[0].moment
        assert moment
        if moment.event:
            (self._hand / "draft").write_text(moment.event)
            (self._hand / "draft").rename(self._hand / "moment")
        elif moment.inside and moment.inside != APPLY:
            self._armed_since = self._field.seen()
            self._world.fault("delay", operation=moment.inside, seconds=HELD_SECONDS, count=1)

    def _held(self) -> bool:
        return (self._hand / "held").exists()

    def _strike_where_it_is_time(self) -> None:
        inside = self._left and self._left[0].moment
        if not (inside and inside.inside == APPLY) and self._ground.is_under_way():
            self._ground.let_go()
        if not self._left:
            return
        hit = self._left[0]
        assert hit.moment
        if hit.moment.event and not self._held():
            return
        if hit.moment.inside and not self._is_inside(hit.moment.inside):
            return
        if hit.moment.seconds and time.monotonic() < self._armed_at + hit.moment.seconds:
            return
        self._left.pop(0)
        self._say(f"strikes: {hit}")
        self._note(hit)
        pid = self._executor()
        getattr(self, f"_strike_{hit.kind.replace('-', '_')}")(hit, pid)
        if self._held():
            (self._hand / "held").unlink()
            if pid and _is_there(pid):
                (self._hand / "go").touch()
        self._arm()

    def _is_inside(self, operation: str) -> bool:
        if operation == APPLY:
            return self._ground.is_under_way()
        return bool(self._field.ours("", operation, self._armed_since, accepted=False))

    def _strike_kill_executor(self, _: Hit, pid: int) -> None:
        if pid:
            os.kill(pid, signal.SIGKILL)
            self._until(lambda: not self._executor(), "the executor to be dead")

    def _strike_kill_terraform(self, _: Hit, __: int) -> None:
        self._signal(signal.SIGKILL, supervise.PID)

    def _strike_kill_supervisor(self, _: Hit, __: int) -> None:
        self._signal(signal.SIGKILL, supervise.SUPERVISOR)

    def _strike_kill_all(self, hit: Hit, pid: int) -> None:
        self._signal(signal.SIGKILL, supervise.SUPERVISOR)
        self._signal(signal.SIGKILL, supervise.PID)
        self._strike_kill_executor(hit, pid)

    def _strike_stop_terraform(self, hit: Hit, _: int) -> None:
        for pid in self._signal(signal.SIGSTOP, supervise.PID):
            self._in(hit.seconds, functools.partial(os.kill, pid, signal.SIGCONT), "Terraform goes on")

    def _signal(self, number: signal.Signals, name: str) -> list[int]:
        """To the run's commands that are at work, or to what waits for them."""
        sent = []
        for file in (self.story.state / "runs" / self.story.run).glob(f"*/{name}"):
            pid, _, mark = file.read_text().strip().partition(" ")
            if mark and pid != "0" and supervise.start_mark(int(pid)) == mark:
                os.kill(int(pid), number)
                sent.append(int(pid))
        self._say(f"{number.name} to {name}: {sent or 'nobody'}")
        return sent

    def _strike_stop(self, hit: Hit, pid: int) -> None:
        if pid:
            os.kill(pid, signal.SIGSTOP)
            self._in(hit.seconds, lambda: os.kill(pid, signal.SIGCONT), "the executor goes on")

    def _strike_interrupt(self, hit: Hit, pid: int) -> None:
        if hit.how.startswith("SIG") and pid:
            os.kill(pid, getattr(signal, hit.how))
            return
        for level in (1, 2) if hit.how == "insist" else (1,):
            self._journal.ask(self.story.run, "interrupt", "kim", {"level": level})

    def _strike_expire(self, hit: Hit, _: int) -> None:
        self._world.expire()
        self._in(hit.seconds, self._world.renew, "the credentials are renewed")

    def _strike_clock(self, hit: Hit, _: int) -> None:
        (self._hand / "jump").write_text(f"{hit.how} 0")

    def _strike_asleep(self, _: Hit, __: int) -> None:
        self._world.advance(3600)
        (self._hand / "jump").write_text("3600 3600")

    def _strike_somebody_else(self, _: Hit, __: int) -> None:
        self._ground.somebody_changes_it()

    def _strike_rival(self, _: Hit, pid: int) -> None:
        """A second run on the same target, from the same journal."""
        if not pid or self._record().finished:
            return
        try:
            run = launch.begin(
                self._journal,
                catalogue.runbook(self._plan.runbook),
                self._ground.config,
                service=self._ground.service,
                environment=self._ground.environment,
                inputs=self._ground.elsewhere(),
                answers=self._answers,
                interactive=False,
                operator="lee",
            )
        except InfraconsoleError as error:
            self._say(f"the rival: {error.title}")
        else:
            self.story.rival_began = self._began_before_the_end(run)
            self._say(f"the rival began as {run}")

    def _began_before_the_end(self, rival: str) -> bool:
        """The run may have come to its end just before; and what is refused the target begins no step."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.closing(sqlite3.connect(self._journal.path)) as read:
                kinds = "SELECT min(id) FROM events WHERE run = ? AND kind = ?"
                ended, began, refused = (
                    read.execute(kinds, (run, kind.value)).fetchone()[0]
                    for run, kind in (
                        (self.story.run, Kind.RUN_FINISHED),
                        (rival, Kind.STEP_STARTED),
                        (rival, Kind.RUN_FINISHED),
                    )
                )
            if began is not None:
                return ended is None or began < ended
            if refused is not None:
                return False
            time.sleep(0.1)
        return False

    def _strike_twin(self, _: Hit, pid: int) -> None:
        """A second executor on the same run."""
        if pid and not self._record().finished:
            done = subprocess.run(
                (sys.executable, "-P", "-m", "infraconsole.engine.executor", str(self.story.state), self.story.run),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            self._say(f"the twin: {done.returncode} {done.stderr.strip()}")

    def _strike_elsewhere(self, _: Hit, __: int) -> None:
        """Another console, whose journal knows nothing of ours, works on the same target."""
        self.story.elsewhere = self.story.folder / "elsewhere"
        with Journal(self.story.elsewhere) as journal, pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch, "_EXECUTOR", ("-P", "-m", "infraconsole.engine.executor"))
            with contextlib.suppress(InfraconsoleError):
                launch.begin(
                    journal,
                    catalogue.runbook(self._plan.runbook),
                    self._ground.config,
                    service=self._ground.service,
                    environment=self._ground.environment,
                    inputs=self._ground.elsewhere(),
                    answers=self._answers,
                    interactive=False,
                    operator="lee",
                )

    def _strike_garbage(self, hit: Hit, _: int) -> None:
        """Requests that no view of ours leaves."""
        run = self.story.run
        match hit.how:
            case "fields":
                self._journal.ask(run, "answer", "lee", {})
            case "types":
                self._journal.ask(run, "answer", "lee", {"opening": ["x"], "gate": 3, "value": None})
            case "level":
                self._journal.ask(run, "interrupt", "lee", {"level": "soon"})
            case "kind":
                self._journal.ask(run, "dance", "lee", {"level": 2})
            case "json":
                with contextlib.closing(sqlite3.connect(self._journal.path, timeout=10)) as db, db:
                    row = (run, "2026-01-01T00:00:00Z", "answer", "lee", "{no json")
                    db.execute("INSERT INTO requests (run, at, kind, by, data) VALUES (?,?,?,?,?)", row)

    def _strike_full_disk(self, hit: Hit, _: int) -> None:
        if self._disk:
            self._disk.fill()
            self._in(hit.seconds, self._disk.clear, "there is room again")

    def _strike_kill_view(self, _: Hit, __: int) -> None:
        if self._view:
            self._view.kill()

    # What happens meanwhile

    def _in(self, seconds: float, what: Any, words: str) -> None:
        self._later.append((time.monotonic() + seconds, what, words))

    def _tick(self, *, everything: bool = False) -> None:
        for entry in list(self._later):
            at, what, words = entry
            if everything or time.monotonic() >= at:
                self._later.remove(entry)
                self._say(words)
                with contextlib.suppress(ProcessLookupError):
                    what()

    def _heal(self) -> None:
        self._tick(everything=True)
        self._world.clear_faults()
        self._ground.let_go()

    def _attached(self) -> subprocess.Popen[str]:
        view = subprocess.Popen(
            (sys.executable, "-m", "infraconsole", "attach", self.story.run, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        # Whoever does not read makes the view stand still, and that is another test.
        self._reader = threading.Thread(target=self._read_view, args=(view,), daemon=True)
        self._reader.start()
        return view

    def _read_view(self, view: subprocess.Popen[str]) -> None:
        assert view.stdout
        self.story.seen += view.stdout.read()

    def _close_view(self) -> None:
        if not self._view:
            return
        try:
            self._view.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.story.stands_still = self.story.stands_still or "the view does not end"
            self._view.kill()
            self._view.wait(timeout=20)
        self._reader.join(timeout=10)
        if self._view.stdout:
            self._view.stdout.close()

    def _executor(self) -> int:
        holder = launch.executor_of(self.story.state, self.story.run) if self.story.run else None
        return holder.pid if holder else 0

    def _record(self) -> RunRecord:
        return record_of(self.story.run, self._journal.events(self.story.run, brief=True))

    def _read(self) -> None:
        self.story.events = self._journal.events(self.story.run)
        self.story.record = record_of(self.story.run, self.story.events)

    def _note(self, hit: Hit) -> None:
        if hit.kind not in {known.kind for known in self.story.struck}:
            self.story.struck.append(hit)

    def _say(self, words: str) -> None:
        self.story.said.append(f"{time.monotonic() - self._began:5.1f} s  {words}")

    def _until(self, condition: Any, what: str) -> None:
        while not condition():
            self._overdue(what)
            time.sleep(0.02)

    def _overdue(self, what: str) -> None:
        now = time.monotonic()
        if (version := self._journal.data_version()) != self._moved[1]:
            self._moved = now, version
        if now > self._moved[0] + QUIET_SECONDS or now > self._began + PATIENCE_SECONDS:
            raise Overdue(f"waited {now - self._moved[0]:.0f} s in silence for {what}")


class Overdue(Exception):
    """Something that has to happen did not."""


class SmallDisk:
    """A file system of 8 MB at that folder, which has to be mounted by root; where it cannot be, filling it does nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
        self._mounted = bool(shutil.which("mount")) and not subprocess.run(command, capture_output=True).returncode

    def fill(self) -> None:
        if not self._mounted:
            return
        handle = os.open(self._folder / "ballast", os.O_WRONLY | os.O_CREAT, 0o600)
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(handle, b"x" * size)
        os.close(handle)

    def clear(self) -> None:
        (self._folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._folder)], check=False)


def processes_of(folder: Path) -> Iterator[int]:
    """Those that were started on that folder, by their command line or environment; not this one."""
    needle = str(folder).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if needle in (entry / "cmdline").read_bytes() or needle in (entry / "environ").read_bytes():
                    yield int(entry.name)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
