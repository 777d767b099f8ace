"""Pictures of runs: going on, at each kind of gate, ended; of the journal that keeps them, and of a board with some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from infraconsole.app import ConsoleApp
from infraconsole.engine.event import Kind
from infraconsole.engine.gate import ERROR, FAILURE_GATE, WARNING, Choice, Gate, GateKind
from infraconsole.engine.journal import Journal
from infraconsole.screens import themes
from tests.screens.pictures.conftest import SMALL, Easel
from tests.screens.pictures.night import KOREAN, LONG
from tests.screens.pictures.still import Clock, go, shown
from tests.screens.runs import COMMAND, FakeExecutor, confirm_gate, revision_gate, type_gate
from tests.screens.test_terminals import HOSTILE

pytestmark = pytest.mark.pictures

Begin = Callable[..., FakeExecutor]


@pytest.fixture
def run(journal: Journal) -> Iterator[Begin]:
    """Makes runs, each with a process that carries it out, until the test is over."""
    with ExitStack() as made:

        def begin(*words: str, **named: object) -> FakeExecutor:
            executor = FakeExecutor(journal.folder, *words, **named)  # type: ignore[arg-type]
            made.enter_context(closing(executor.journal))
            made.callback(executor.leave)
            return executor

        yield begin


def up_to_the_update(run: Begin, moment: Clock) -> FakeExecutor:
    """A rollback that has looked, and whose revision a person has chosen."""
    moment.before(minutes=6, seconds=12)
    executor = run()
    executor.begin("look", "aws ecs describe-services --cluster fileflow-prod-cluster --services fileflow-prod-service")
    executor.write(
        Kind.OUTPUT, "look", lines=["fileflow-prod-service runs fileflow-prod:8, 0 of 3 tasks", f"event: {KOREAN}"]
    )
    moment.before(minutes=6)
    executor.end("look", task_definition="fileflow-prod:8", running=0)
    executor.begin("choose")
    opening = executor.open("choose", revision_gate())
    moment.before(minutes=4)
    executor.answered("choose", "revision", "fileflow-prod:7", opening)
    executor.end("choose", revision="fileflow-prod:7")
    executor.begin("update", COMMAND, changes=True)
    return executor


def updated(run: Begin, moment: Clock) -> FakeExecutor:
    executor = up_to_the_update(run, moment)
    opening = executor.open("update", type_gate())
    moment.before(minutes=2, seconds=40)
    executor.answered("update", "type-target", "fileflow-prod", opening)
    executor.write(Kind.CALL_INTENDED, "update", call="1", operation="ecs:UpdateService", parameters={})
    executor.write(Kind.CALL_DONE, "update", call="1", operation="ecs:UpdateService")
    executor.end("update", changed=True, task_definition="fileflow-prod:7")
    executor.begin("watch")
    return executor


async def test_run_going(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    executor = updated(run, moment)
    for number in range(40):
        moment.before(seconds=150 - 3 * number)
        told = [f"{number // 14} of 3 tasks run fileflow-prod:7, {number % 3} pending"]
        executor.write(
            Kind.OUTPUT, "watch", lines=told if number % 13 else [*told, f"event: {HOSTILE}", f"event: {KOREAN}"]
        )
    executor.write(Kind.PROGRESS, "watch", text="2 of 3 tasks run, 1 is starting", figures={})
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "Watch the deployment")
        await easel.compare(pilot)


async def test_run_output(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel) -> None:
    """What is a pane of its own on a small terminal."""
    executor = updated(run, moment)
    executor.write(Kind.OUTPUT, "watch", lines=[f"{number} of 3 tasks run" for number in range(4)])
    moment.before()
    async with app.run_test(size=(80, 24)) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "Watch the deployment")
        await pilot.press("tab")
        await easel.compare(pilot)


DANGER = replace(
    type_gate(),
    id="type-danger",
    title="Apply the plan of settlement-reconciliation-batch to prod: 2 to destroy, 6 to replace, 1 to create",
    changes=(
        f"{ERROR}aws_db_instance.shared is replaced, and its data is lost: no final snapshot is taken.",
        f"{WARNING}aws_s3_bucket.files loses its encryption.",
        "aws_db_instance.shared: replace, since `username` forces it",
        "aws_kms_key.files: destroy",
        f'module.batch["정산"].aws_ecs_task_definition.{LONG.replace("-", "_")}: replace',
        *(f"aws_sqs_queue.dead_letters_{number}: update visibility_timeout_seconds 30 → 900" for number in range(9)),
    ),
    irreversible=(
        "aws_kms_key.files: what was encrypted with it can never be read again, once its waiting period of 7 days is over.",
        f"{KOREAN}: 되돌릴 수 없습니다.",
    ),
    commands=(
        "terraform apply -input=false -lock-timeout=0s -parallelism=10 /var/lib/infraconsole/runs/k3m9px/plan.tfplan",
    ),
    expected=f"{LONG}-prod",
)
GATES = {
    "choose": revision_gate(),
    "confirm": confirm_gate(),
    "type": type_gate(),
    "danger": DANGER,
    "approve": Gate("approve", GateKind.APPROVE, "Who approves rolling fileflow-prod back?", changes=type_gate().changes,
                    approvers=("platform-lead", "cto")),
    "break-glass": Gate("reason", GateKind.BREAK_GLASS, "It is outside of the deploy window: why now?",
                        changes=("fileflow-prod is closed from 18:00 to 09:00 and on holidays",)),
    "failure": Gate(
        FAILURE_GATE, GateKind.CHOOSE, "Update the service failed: AWS did not take it.",
        changes=("ecs:UpdateService answered InvalidParameterException: The target group has no associated load balancer.",),
        choices=(Choice("stop", "Stop here", ("What was changed so far stays.",), recommended=True),
                 Choice("retry", "Try again", ("The step looks at AWS first.",)),
                 Choice("skip", "Go on without it", (), why_not="what follows needs it")),
    ),
    "again": replace(confirm_gate(), notice="Since the plan was made, environments/prod/terraform.tfvars changed."),
}  # fmt: skip


@pytest.mark.parametrize("kind", GATES)
async def test_gate(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int], kind: str) -> None:
    executor = up_to_the_update(run, moment)
    gate = GATES[kind]
    executor.open("update", gate)
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, gate.title[:30])
        await easel.compare(pilot)


@pytest.mark.parametrize("theme", [themes.LIGHT, themes.MONO])
async def test_gate_in_other_colours(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, theme: str) -> None:
    executor = up_to_the_update(run, moment)
    executor.open("update", DANGER)
    moment.before()
    app.theme = theme
    async with app.run_test(size=(120, 40)) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, DANGER.title[:30])
        await easel.compare(pilot)


async def test_gate_typed(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    """An answer that is none, while the field keeps what was typed."""
    executor = up_to_the_update(run, moment)
    executor.open("update", type_gate())
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "What cannot be undone")
        await pilot.press("tab", *"fileflow-pord", "enter")
        await shown(pilot, "is not 'fileflow-prod'")
        await easel.compare(pilot)


@pytest.mark.parametrize("outcome", ["done", "failed", "interrupted"])
async def test_run_ended(
    app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int], outcome: str
) -> None:
    executor = updated(run, moment)
    executor.write(Kind.OUTPUT, "watch", lines=["3 of 3 tasks run fileflow-prod:7"])
    moment.before(minutes=1)
    if outcome == "done":
        executor.end("watch", steady=True)
        todo = {
            "id": "image-tag",
            "title": "Write the tag that serves into the variables",
            "key": "image_tag",
            "value": "v1.4.2",
        }
        detail = '-image_tag = "7bd6b34"\n+image_tag = "v1.4.2"'
        executor.write(Kind.FOLLOW_UP_OPENED, "watch", **todo, detail=detail, file="environments/prod/terraform.tfvars")
    elif outcome == "failed":
        executor.write(
            Kind.STEP_FAILED,
            "watch",
            title="The deployment did not come to its end.",
            cause=KOREAN,
            mend="Look at the tasks.",
        )
    title, cause, mend = (
        ("", "", "")
        if outcome == "done"
        else (
            "The deployment did not come to its end.",
            f"{KOREAN}: 3 tasks stopped with 137.",
            "Look at the tasks: they are killed.",
        )
    )
    executor.write(Kind.RUN_FINISHED, outcome=outcome, exit_code=0, title=title, cause=cause, mend=mend,
                   warnings=["The alarm fileflow-prod-5xx rang meanwhile."])  # fmt: skip
    executor.leave()
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "Next: ")
        await easel.compare(pilot)


@SMALL
async def test_run_stopped(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    """Nobody carries it out any more, and of a call no answer is known."""
    executor = up_to_the_update(run, moment)
    executor.write(Kind.CALL_INTENDED, "update", call="1", operation="ecs:UpdateService", parameters={})
    executor.leave()
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "no process runs it")
        await easel.compare(pilot)


@pytest.mark.parametrize("level", [1, 2], ids=["asked", "insisted"])
async def test_interrupt(
    app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int], level: int
) -> None:
    executor = updated(run, moment)
    if level == 2:
        executor.write(Kind.INTERRUPT_REQUESTED, "watch", level=1, by="woken")
    moment.before()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "run", run=executor.run)
        await shown(pilot, "is asked to stop" if level == 2 else "runs ·")
        await pilot.press("i")
        await shown(pilot, "Insisting stops it" if level == 2 else "Let it go on")
        await easel.compare(pilot)


def some_runs(run: Begin, moment: Clock) -> None:
    moment.before(days=400)
    old = run("a1b2c3", service=LONG, environment="staging", operator="integration-pipeline@ci.example.com")
    moment.before(days=399, hours=23)
    old.finish("failed", 1)
    moment.before(days=2)
    deploy = run(
        "d4e5f6", service="authhub", runbook="deploy", title=f"Deploy: authhub-prod ({KOREAN})", operator="김영희"
    )
    todo = {"id": "x", "title": "Write the tag that serves into the variables", "key": "image_tag", "value": "v1.4.2"}
    deploy.begin("watch")
    deploy.write(Kind.FOLLOW_UP_OPENED, "watch", **todo, detail="", file="environments/prod/terraform.tfvars")
    moment.before(days=2, minutes=-14)
    deploy.finish("done")
    moment.before(hours=5)
    refused = run("g7h8j9", service="crawler", environment="dev", operator="kim")
    moment.before(hours=4.9)
    refused.finish("refused", 3)
    moment.before(hours=1)
    stopped = run("k2m3n4", service="crawler", environment="prod")
    stopped.begin("update", changes=True)
    stopped.leave()
    moment.before(minutes=6)
    going = up_to_the_update(run, moment)
    going.open("update", type_gate())
    moment.before()


async def test_journal(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    some_runs(run, moment)
    async with app.run_test(size=size) as pilot:
        await go(pilot, "journal")
        await shown(pilot, "a1b2c3")
        await easel.compare(pilot)


@SMALL
async def test_journal_of_nothing(app: ConsoleApp, easel: Easel, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await go(pilot, "journal")
        await easel.compare(pilot)


async def test_board_with_runs(app: ConsoleApp, run: Begin, moment: Clock, easel: Easel, size: tuple[int, int]) -> None:
    some_runs(run, moment)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, "attach")
        await easel.compare(pilot)
