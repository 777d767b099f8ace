"""A hand-written executor: it writes a run's events into a journal of its own connection, and holds the run's lock."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from infraconsole.engine import locks
from infraconsole.engine.event import Event, Kind
from infraconsole.engine.gate import Choice, Gate, GateKind
from infraconsole.engine.journal import Journal, Request

STEPS = (("look", "Look at the service"), ("choose", "Choose the revision"), ("update", "Update the service"),
         ("watch", "Watch the deployment"))  # fmt: skip


COMMAND = (
    "aws ecs update-service --cluster fileflow-prod-cluster --service fileflow-prod-service "
    "--task-definition fileflow-prod:7 --region ap-northeast-2"
)


class FakeExecutor:
    def __init__(
        self,
        folder: Path,
        run: str = "k3m9px",
        *,
        service: str = "fileflow",
        environment: str = "prod",
        runbook: str = "ecs-rollback",
        title: str = "",
        operator: str = "woken",
        steps: tuple[tuple[str, str], ...] = STEPS,
    ) -> None:
        self.journal = Journal(folder)
        self.folder = folder
        self.run = run
        self.target = f"{service}-{environment}"
        self._titles = dict(steps)
        self._lock = locks.take(locks.run_lock(folder, run), run=run, owner=operator)
        target = {"service": service, "environment": environment, "region": "ap-northeast-2",
                  "account": "123456789012", "name": self.target}  # fmt: skip
        self.write(
            Kind.RUN_CREATED,
            runbook=runbook,
            title=title or f"Roll back ECS service: {self.target}",
            target=target,
            inputs={},
            given={},
            operator=operator,
            dry_run=False,
            interactive=True,
            steps=[{"id": step, "title": title, "fingerprint": "f"} for step, title in steps],
        )
        self.write(Kind.RUN_STARTED, pid=4711, version="1.0", resumed=False)

    def write(self, kind: Kind, step: str = "", **data: Any) -> Event:
        return self.journal.append(self.run, kind, step, data)

    def begin(self, step: str, *commands: str, changes: bool = False) -> None:
        title = self._titles[step]
        why = f"So that it is known what {title.lower()} means."
        self.write(Kind.STEP_STARTED, step, title=title, why=why, commands=list(commands), changes=changes)

    def end(self, step: str, **result: Any) -> None:
        self.write(Kind.STEP_FINISHED, step, result=result, seconds=1.5)

    def open(self, step: str, gate: Gate) -> int:
        last = self.journal.last_event(self.run)
        opening = (last.seq if last else 0) + 1
        self.write(Kind.GATE_OPENED, step, opening=opening, gate=gate.as_json())
        return opening

    def answered(self, step: str, gate: str, value: str, opening: int) -> None:
        self.write(Kind.GATE_ANSWERED, step, opening=opening, gate=gate, value=value, by="woken", shown="s")

    def finish(self, outcome: str = "done", code: int = 0) -> None:
        self.write(Kind.RUN_FINISHED, outcome=outcome, exit_code=code, title="", cause="", mend="", warnings=[])
        self.leave()

    def leave(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def requests(self) -> list[Request]:
        return self.journal.requests(self.run)

    def flood(self, lines: int, batch: int = 500) -> threading.Thread:
        def write() -> None:
            for start in range(0, lines, batch):
                self.write(Kind.OUTPUT, "watch", lines=[f"line {number}" for number in range(start, start + batch)])

        thread = threading.Thread(target=write)
        thread.start()
        return thread


def revision_gate() -> Gate:
    return Gate(
        "revision",
        GateKind.CHOOSE,
        "Which revision shall fileflow-prod run?",
        changes=("fileflow-prod-service runs fileflow-prod:8",),
        choices=(
            Choice("fileflow-prod:7", ":7  v1.4.2, completed 3 d ago", ("-  image :v1.5.0-broken", "+  image :v1.4.2"),
                   recommended=True),
            Choice("fileflow-prod:6", ":6  v1.4.1", ("+  image :v1.4.1",)),
            Choice("fileflow-prod:5", ":5  v1.4.0", (), why_not="its image is gone from ECR"),
        ),
    )  # fmt: skip


def type_gate() -> Gate:
    return Gate(
        "type-target",
        GateKind.TYPE,
        "Roll fileflow-prod back to fileflow-prod:7",
        changes=("fileflow-prod-service: task definition fileflow-prod:8 → fileflow-prod:7",
                 "image v1.5.0-broken → v1.4.2"),
        irreversible=("Requests that the old tasks are answering now may be cut off after 30 s.",),
        commands=(COMMAND,),
        expected="fileflow-prod",
    )  # fmt: skip


def confirm_gate() -> Gate:
    return Gate("confirm", GateKind.CONFIRM, "Roll fileflow-dev back", changes=("fileflow-dev:8 → fileflow-dev:7",))
