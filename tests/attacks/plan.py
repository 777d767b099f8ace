"""What an attack does, drawn from its seed: the same seed is the same plan, wherever it is drawn."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from infraconsole.engine import catalogue
from tests.attacks import known_open


@dataclass(frozen=True)
class Call:
    """An operation of AWS: its service and name."""

    service: str
    operation: str


ECS_READS = (
    Call("ecs", "DescribeServices"),
    Call("ecs", "ListServiceDeployments"),
    Call("ecs", "DescribeTaskDefinition"),
    Call("ecs", "ListTaskDefinitions"),
    Call("ecs", "ListTasks"),
    Call("ecs", "DescribeTasks"),
    Call("ecr", "DescribeImages"),
    Call("elbv2", "DescribeTargetHealth"),
)


@dataclass(frozen=True)
class Shape:
    """How a runbook can be attacked. `optional` are calls that it does without where they are denied."""

    weight: int
    change: Call
    reads: tuple[Call, ...]
    optional: tuple[Call, ...] = ()


IDENTITY = Call("sts", "GetCallerIdentity")
STATE_READS = (IDENTITY, Call("s3", "GetObject"), Call("s3", "HeadObject"))
TERRAFORM = "terraform"
SHAPES = {
    "ecs-rollback": Shape(
        6,
        Call("ecs", "UpdateService"),
        (*ECS_READS, IDENTITY),
        (Call("ecs", "ListServiceDeployments"), Call("ecs", "DescribeServiceRevisions")),
    ),
    "export-put": Shape(2, Call("ssm", "PutParameter"), (Call("ssm", "GetParameters"), IDENTITY)),
    "deploy": Shape(2, Call(TERRAFORM, "apply"), STATE_READS),
    "state-rollback": Shape(1, Call("s3", "PutObject"), STATE_READS),
    "state-unlock": Shape(1, Call("dynamodb", "DeleteItem"), STATE_READS),
    "digest-repair": Shape(1, Call("dynamodb", "PutItem"), (*STATE_READS, Call("dynamodb", "GetItem"))),
    "state-undelete": Shape(1, Call("s3", "DeleteObject"), STATE_READS),
}


@dataclass(frozen=True)
class Moment:
    """When it strikes: at an event (`before|after:KIND:STEP`), while AWS holds a call back, or after some seconds."""

    event: str = ""
    inside: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return self.event or (f"inside of {self.inside}" if self.inside else f"after {self.seconds} s")


@dataclass(frozen=True)
class Hit:
    """One thing that goes wrong. Without a moment it is there from the beginning on."""

    kind: str
    moment: Moment | None = None
    call: Call | None = None
    count: int = 0
    seconds: float = 0.0
    how: str = ""

    def __str__(self) -> str:
        call = f"{self.call.service}:{self.call.operation}" if self.call else ""
        parts = (
            call,
            f"{self.count} times" if self.count else "",
            f"{self.seconds} s" if self.seconds else "",
            self.how,
        )
        return " ".join([self.kind, *(part for part in parts if part), *([f"@ {self.moment}"] if self.moment else [])])


@dataclass(frozen=True)
class Plan:
    seed: int
    runbook: str
    environment: str
    by_hand: bool
    """A person answers the gates; else a script has given its answers."""
    viewed: bool
    """Another process follows the run and prints it."""
    hits: tuple[Hit, ...]

    def __str__(self) -> str:
        who = "by hand" if self.by_hand else "by a script"
        watched = ", followed by a view" if self.viewed else ""
        hits = "".join(f"\n  {number}. {hit}" for number, hit in enumerate(self.hits, 1))
        return f"seed {self.seed}: {self.runbook} in {self.environment} {who}{watched}{hits}"


@dataclass(frozen=True)
class Kind:
    """A kind of hit. `excuses`: what a run may say that did not reach its goal because of it; "" where it has to be done."""

    name: str
    weight: int
    strikes: bool = False
    """It has a moment; the others are there from the beginning on."""
    excuses: str = ""
    how: tuple[str, ...] = ("",)
    by_hand: bool | None = None
    runbooks: frozenset[str] = frozenset(SHAPES)


ECS = frozenset({"ecs-rollback"})
BY_TERRAFORM = frozenset(SHAPES) - ECS - {"export-put"}
ANYTHING = "."
OVERTAKEN = (
    "not what was looked at any more|no longer the primary|cannot be told|is on .*, not on|Somebody else wrote|came after|"
    "changed|holds|locked|stale|not deleted|declined|is a SecureString"
)
KINDS = {
    kind.name: kind
    for kind in (
        Kind("kill-executor", 8, strikes=True),
        Kind("kill-terraform", 3, strikes=True, excuses=ANYTHING, runbooks=BY_TERRAFORM),
        Kind("kill-supervisor", 3, strikes=True, runbooks=BY_TERRAFORM),
        Kind("kill-all", 3, strikes=True, excuses=ANYTHING, runbooks=BY_TERRAFORM),
        Kind("stop", 2, strikes=True),
        Kind("stop-terraform", 2, strikes=True, runbooks=BY_TERRAFORM),
        Kind("interrupt", 4, strikes=True, excuses="applied in part", how=("SIGINT", "SIGTERM", "request", "insist")),
        Kind("expire", 2, strikes=True),
        Kind("clock", 3, strikes=True, how=("3600", "-600")),
        Kind("asleep", 2, strikes=True),
        Kind("somebody-else", 2, strikes=True, excuses=OVERTAKEN),
        Kind("rival", 1, strikes=True),
        Kind("twin", 1, strikes=True),
        Kind("elsewhere", 2, strikes=True, excuses=OVERTAKEN, runbooks=ECS),
        Kind("garbage", 2, strikes=True, how=("fields", "types", "level", "kind", "json")),
        Kind("wrong-answers", 2, by_hand=True),
        Kind("decline", 1, by_hand=True, excuses="declined"),
        Kind("full-disk", 1, strikes=True, excuses="journal .* cannot be written|[Nn]o space"),
        Kind("kill-view", 1, strikes=True),
        Kind("read-only", 2),
        # Terraform takes a lock by a conditional write, and where the answer is lost it tries again and meets its own.
        Kind("lost-answer", 5, excuses="The state is locked"),
        Kind("cut", 2),
        Kind("error500", 2),
        Kind("throttle", 2),
        Kind("silence", 1),
        Kind("strange", 2, excuses="documented", how=("answer-list", "answer-null", "answer-empty", "drip")),
        Kind("lag", 3, runbooks=ECS),
        Kind("denied", 2, runbooks=ECS),
        Kind("echoed-secret", 2, how=("plain", "base64", "url", "broken"), runbooks=frozenset({"deploy"})),
    )
}


def drawn(seed: int, kinds_of_hits: Collection[str] = (), runbooks: Collection[str] = ()) -> Plan:
    """`kinds_of_hits`, `runbooks`: of these alone; else of all, without the hits that are not known to be held."""
    random_ = random.Random(seed)  # noqa: S311 - the same each time is the point
    shapes = {name: shape for name, shape in SHAPES.items() if name in (runbooks or SHAPES)}
    runbook = random_.choices(list(shapes), [shape.weight for shape in shapes.values()])[0]
    environment = random_.choice(("dev", "prod"))
    by_hand = random_.random() < 0.4
    wanted = kinds_of_hits or KINDS.keys() - known_open.KINDS
    kinds = [
        kind
        for kind in KINDS.values()
        if kind.name in wanted and runbook in kind.runbooks and kind.by_hand in (None, by_hand)
    ]
    number = min(len(kinds), random_.choice((1, 2, 2, 3)))
    hits: list[Hit] = []
    while len(hits) < number:
        kind = random_.choices(kinds, [kind.weight for kind in kinds])[0]
        if kind.name not in {hit.kind for hit in hits} or kind.name in ("kill-executor", "interrupt"):
            hits.append(_hit(random_, kind, runbook))
    viewed = random_.random() < 0.5 or any(hit.kind == "kill-view" for hit in hits)
    return Plan(seed, runbook, environment, by_hand, viewed, tuple(hits))


def _hit(random_: random.Random, kind: Kind, runbook: str) -> Hit:
    how = random_.choice(kind.how)
    moment = _moment(random_, runbook) if kind.strikes else None
    if kind.runbooks == BY_TERRAFORM and random_.random() < 0.7:  # at an event there is seldom a Terraform at work
        moment = Moment(inside=SHAPES[runbook].change.operation)
    shape = SHAPES[runbook]
    changes = shape.change if shape.change.service != TERRAFORM else Call("s3", "PutObject")
    match kind.name:
        case "stop" | "stop-terraform" | "expire" | "full-disk":
            return Hit(kind.name, moment, seconds=random_.choice((1.0, 2.0, 4.0)))
        case "lost-answer":
            return Hit(kind.name, call=changes, count=random_.choice((1, 1, 2)))
        case "strange":
            return Hit(kind.name, call=random_.choice((changes, *shape.reads)), count=1, how=how)
        case "cut" | "error500" | "throttle" | "silence":
            call = random_.choice((changes, *shape.reads))
            return Hit(kind.name, call=call, count=1 if kind.name == "silence" else random_.choice((1, 2)))
        case "lag":
            # Less than the settling time: what AWS shows later than that is taken for what it never did.
            call = random_.choice((Call("ecs", "DescribeServices"), Call("ecs", "*"), Call("*", "*")))
            return Hit(kind.name, call=call, seconds=random_.choice((0.5, 1.0, 2.0)))
        case "denied":
            return Hit(kind.name, call=random_.choice(shape.optional))
        case _:
            return Hit(kind.name, moment, how=how)


AROUND = ("step-started", "probed", "gate-answered", "call-intended", "call-done", "step-finished")


def _moment(random_: random.Random, runbook: str) -> Moment:
    steps = catalogue.runbook(runbook).steps
    changing = next(step.id for step in reversed(steps) if step.changes)
    side = random_.choice(("before", "after"))
    where = random_.random()
    if where < 0.5:
        return Moment(event=f"{side}:{random_.choice(AROUND)}:{changing}")
    if where < 0.7:
        kind = random_.choice(("step-started", "step-finished"))
        return Moment(event=f"{side}:{kind}:{random_.choice(steps).id}")
    if where < 0.9:
        return Moment(inside=SHAPES[runbook].change.operation)
    return Moment(seconds=round(random_.uniform(0.3, 4.0), 1))


def excuses(hits: Sequence[Hit]) -> list[str]:
    """What the end of a run that was hit by these may say."""
    return [KINDS[hit.kind].excuses for hit in hits if KINDS[hit.kind].excuses]
