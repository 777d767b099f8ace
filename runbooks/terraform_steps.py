"""Steps that more than one runbook takes on a Terraform root module: set it up, plan, read the plan, apply exactly that.

Here, since a deploy and a state rollback must not differ in how an approved plan is bound to what is applied. What
Terraform's commands mean is from its documentation (Command: plan, apply; Machine-Readable UI).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infraconsole import text
from infraconsole.checks import git, infracost, stateful
from infraconsole.checks.costs import cost_effect
from infraconsole.checks.costs import load as load_costs
from infraconsole.checks.findings import Finding
from infraconsole.checks.plan_review import review
from infraconsole.engine import policy
from infraconsole.engine.gate import Gate
from infraconsole.engine.inbox import InterruptRequested
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Offer, Probe, ProbeState, Step, StepContext, command_line
from infraconsole.errors import StepFailed, UsageError
from infraconsole.runbooks.terraform_root import (
    Root,
    diagnostic_line,
    failure,
    initialise,
    refuse_errored_state,
    refuse_locked,
    root_of,
    sha256,
    state_summary,
    write_private,
)
from infraconsole.terraform import addresses, backend, commands, events, plan, texts
from infraconsole.terraform.attributes import AttributeChange, shown
from infraconsole.terraform.events import Diagnostic
from infraconsole.terraform.plan import Kind
from infraconsole.terraform.runner import Ended, Lost, NotStarted, Running

PLAN_FILE = "plan.tfplan"
PLAN_DOCUMENT = "plan.json"
COST_DOCUMENT = "cost.json"
CONSUMED = "plan.consumed"
_LINES_SHOWN = 40
_FEW = 3
_ROLLED_OUT = ("aws_ecs_service", "aws_ecs_task_definition")
_PLAN_AGAIN = Offer("plan-again", "Make a new plan, and look at it", back_to="plan")


@dataclass
class Listener:
    """Takes the events of a plan or an apply as they come, says what a person wants to see, and remembers the outcome."""

    context: StepContext
    total: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    refreshed: Counter[str] = field(default_factory=Counter)
    silent: bool = False
    """Whether it only counts, of what was said when it happened."""

    @property
    def has_begun(self) -> bool:
        """Whether Terraform has begun to change anything."""
        return bool(self.done or self.failed or self.running)

    def __call__(self, line: str) -> None:
        event = events.parse(line)
        match event:
            case events.Text(text=words):
                if words.strip():
                    self._output(words)
            case events.Diagnostic():
                self.diagnostics.append(event)
                self._output(diagnostic_line(event))
            case events.Refresh(complete=True):
                self.refreshed["read"] += 1
                if self.refreshed["read"] % 25 == 1:
                    self._progress(f"{self.refreshed['read']} resources read")
            case events.Apply(action="read"):
                return
            case events.ApplyStart():
                self.running[event.resource.address] = (event.action, 0.0)
                self._say(f"{event.resource.address}: {event.action}…")
            case events.ApplyProgress():
                self.running[event.resource.address] = (event.action, event.elapsed_seconds)
                self._say("")
            case events.ApplyComplete():
                self.running.pop(event.resource.address, None)
                self.done.append(event.resource.address)
                self._say(f"{event.resource.address}: {event.action} done in {text.duration(event.elapsed_seconds)}")
            case events.ApplyErrored():
                self.running.pop(event.resource.address, None)
                self.failed.append(event.resource.address)
                self._say(f"{event.resource.address}: {event.action} failed")
            case events.Provision(output=words) if words:
                self._output(f"{event.resource.address}: {words}")

    def _say(self, line: str) -> None:
        if line:
            self._output(line)
        under_way = [f"{address} {text.duration(seconds)}" for address, (_, seconds) in self.running.items()]
        of = f" of {self.total}" if self.total else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        more = f"; {', '.join(under_way[:3])}" if under_way else ""
        rows = [
            *([address, "failed", 0.0] for address in self.failed[-10:]),
            *([address, action, seconds] for address, (action, seconds) in list(self.running.items())[:20]),
            *([address, "done", 0.0] for address in self.done[-10:]),
        ]
        self._progress(f"{len(self.done)}{of} done{failed}{more}", rows=rows)

    def _output(self, line: str) -> None:
        if not self.silent:
            self.context.output(line)

    def _progress(self, words: str, **figures: Any) -> None:
        if not self.silent:
            self.context.progress(words, **figures)

    @property
    def summary(self) -> str:
        """What an apply had done when it ended."""
        of = f" of {self.total}" if self.total else ""
        cut = f" Under way when it ended: {', '.join(self.running)}." if self.running else ""
        return f"{len(self.done)}{of} changes were made, {len(self.failed)} failed.{cut}"


class Init(Step):
    id = "init"
    title = "Set Terraform up"
    why = (
        "Backend, providers and modules, in a data folder of this environment's own; only where something has changed."
    )

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(commands.init(root.init_arguments)),)

    def __init__(self, *, for_lock: bool = False) -> None:
        self._for_lock = for_lock

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        why = initialise(context, root, for_lock=self._for_lock)
        version = root.terraform.binary.version
        context.note(f"Terraform {version} ({root.terraform.binary.source}); {why or 'it was set up already'}.")
        return {"why": why, "terraform": version}


class MakePlan(Step):
    """`inputs` are those of the run that become variables of the plan."""

    id = "plan"
    title = "Make the plan"
    why = "Into a file, with this environment's variables: what is read and approved is what will be applied."

    def __init__(self, variables: tuple[str, ...] = ()) -> None:
        self._variables = variables

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(self._arguments(context, root)),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        refuse_errored_state(context, root)
        initialise(context, root)
        for name in (PLAN_FILE, PLAN_DOCUMENT, COST_DOCUMENT, CONSUMED):
            (context.folder / name).unlink(missing_ok=True)
        context.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        bound, written = binding(context, root), _sources_sha256(root, _WRITTEN)
        listener = Listener(context)
        ended = context.terraform(root.terraform, self._arguments(context, root), "plan", listener)
        if ended.code not in (0, 2):
            raise failure(ended, "The plan failed.", listener.diagnostics)
        if _sources_sha256(root, _WRITTEN) != written:
            raise StepFailed("The code changed while the plan was made.", mend="Make it again.")
        # Making a plan may leave files there, as archives of functions.
        bound |= {"code": _sources_sha256(root), "commit": git.name(root.folder)}
        (context.folder / PLAN_FILE).chmod(0o600)
        changes = ended.code == 2
        context.note("The plan has changes." if changes else "There is nothing to change.")
        return {"changes": changes, "bound": {**bound, "plan": sha256(context.folder / PLAN_FILE)}}

    def _arguments(self, context: StepContext, root: Root) -> Sequence[str]:
        return commands.plan(
            context.folder / PLAN_FILE,
            var_files=root.var_files,
            variables={name: context.inputs[name] for name in self._variables if context.inputs.get(name)},
            targets=targets_of(context),
            lock=not context.dry_run,
        )


def targets_of(context: StepContext) -> tuple[str, ...]:
    """The addresses that alone are to be planned; () for everything. Raises UsageError for an input that names none."""
    words = context.inputs.get("targets", "")
    found = addresses.split(words)
    if words.strip() and not found:
        raise UsageError(f"targets={words} names no address.", mend="Leave it out to plan everything.")
    return found


def binding(context: StepContext, root: Root) -> dict[str, Any]:
    """What a plan stands and falls with, beside itself: where one of these is another, it is another plan."""
    stored = state_summary(context, root)
    return {
        "commit": git.name(root.folder),
        "code": _sources_sha256(root),
        "variables": {str(file): sha256(file) for file in root.var_files},
        "lineage": stored.lineage if stored else "",
        "serial": stored.serial if stored else 0,
    }


_WRITTEN = (".tf", ".tf.json", ".tfvars", ".tfvars.json", ".tftpl", ".tpl")
"""What nobody but people write."""
_NOT_READ = ("terraform.tfstate", "terraform.tfstate.backup", backend.ERRORED_STATE)


def _sources_sha256(root: Root, endings: tuple[str, ...] = ("",)) -> str:
    """Of everything below the root and its local modules: code may read any file (templates, policies, archives). Only the
    variables of other environments, and what Terraform itself leaves there, are not part of it."""
    files: set[Path] = set()
    own = {file.parent for file in root.var_files}
    for folder in (root.folder, *_local_modules(root)):
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if Path(parent).parent == root.folder / "environments" and Path(parent) not in own:
                folders[:] = []
                continue
            read = (name for name in names if not name.startswith(".") and name not in _NOT_READ)
            files |= {Path(parent, name) for name in read if name.endswith(endings)}
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file}\0{sha256(file)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _local_modules(root: Root) -> list[Path]:
    """Those that `init` has found; what it has fetched from elsewhere stays as it is."""
    try:
        listed = json.loads((root.data / "modules/modules.json").read_bytes())["Modules"]
        found = [(root.folder / str(module["Dir"])).resolve() for module in listed if module["Key"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [folder for folder in found if root.data.resolve() not in folder.parents]


_WHAT = {
    "plan": "the plan file",
    "commit": "the commit",
    "code": "the code",
    "variables": "the variables' file",
    "lineage": "the state's lineage",
    "serial": "the state's serial",
}


def unbound(context: StepContext, root: Root, bound: Mapping[str, Any]) -> str:
    """Why the plan must not be applied any more, as a sentence; "" where it may."""
    now = {**binding(context, root), "plan": sha256(context.folder / PLAN_FILE)}
    found = [_WHAT[name] for name, value in bound.items() if now.get(name) != value]
    return f"Since the plan was made, {' and '.join(found)} changed." if found else ""


class ReadPlan(Step):
    id = "read-plan"
    title = "Read the plan"
    why = "Destroys and replacements first, above all of what holds state or traffic; what drifted; what it costs."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(("show", str(context.folder / PLAN_FILE))),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        if not context.result("plan")["changes"]:
            return {
                "words": "nothing to do",
                "lines": [],
                "dangers": [],
                "errors": [],
                "rolls_out": False,
                "count": 0,
                "cost": "",
            }
        root = root_of(context)
        ended = context.terraform(root.terraform, commands.show_plan(context.folder / PLAN_FILE), "show")
        if ended.code:
            raise failure(ended, "The plan cannot be read.")
        write_private(context.folder / PLAN_DOCUMENT, ended.output())
        read = plan.read(ended.output())
        learn_secrets(context)
        table = stateful.load()
        # A replacement of what holds nothing is how task definitions are deployed; it stands in the plan like any change.
        dangers = [
            f"{each.change.address} is {'replaced' if each.change.kind is Kind.REPLACE else 'destroyed'}"
            f"{f': this loses {each.lost}' if each.lost else ''}"
            for each in read.dangerous(table)
            if not each.change.is_data and (each.lost or each.change.kind is not Kind.REPLACE)
        ]
        lines = [line for change in read.changes for line in change_lines(change)]
        findings = review(read, table, image_tag=context.inputs.get("image_tag", ""))
        _say_findings(context, findings)
        totals = read.totals()
        cost = cost_effect(read, load_costs())
        context.note(f"The plan: {totals.words()}. {cost.words()}")
        estimated = _estimated(context)
        context.output(*lines)
        context.evidence("plan", "\n".join((totals.words(), *dangers, *lines)))
        return {
            "words": totals.words(),
            "lines": lines[:_LINES_SHOWN],
            "dangers": dangers,
            "errors": _errors(findings, dangers),
            "rolls_out": any(each.type in _ROLLED_OUT for each in read.changes if each.kind is not Kind.NO_OP),
            "count": _operations(totals),
            "cost": estimated,
        }


def _estimated(context: StepContext) -> str:
    """What infracost says, "" where it is not installed; that it cannot say anything is no failure of the plan's."""
    context.progress("infracost is asked, where it is installed")
    found = infracost.ask(context.folder / PLAN_DOCUMENT, os.environ)
    if found is None:
        return ""
    estimate, said = found
    context.note(estimate.words())
    write_private(context.folder / COST_DOCUMENT, said)
    return "" if estimate.problem else estimate.words()


def _errors(findings: Sequence[Finding], dangers: Sequence[str]) -> list[str]:
    """What the review calls an error, as the gate shows it; without what stands among the dangers anyway."""
    return [
        f"{finding.subject}: {finding.message}"
        for finding in findings
        if finding.level == "error" and not any(danger.startswith(f"{finding.subject} is ") for danger in dangers)
    ]


def _say_findings(context: StepContext, findings: Sequence[Finding]) -> None:
    """Whole what is wrong; of what is only worth knowing, how much there is: the plan's own screen has it all."""
    told = Counter(finding.id for finding in findings if finding.level == "info")
    for finding in findings:
        if finding.level != "info":
            context.note(f"{finding.subject}: {finding.message} {finding.mend}".strip(), warning=True)
        elif told[finding.id] <= _FEW:
            context.note(f"{finding.subject}: {finding.message}")
    for rule, count in told.items():
        if count > _FEW:
            first = next(finding for finding in findings if finding.id == rule)
            context.note(f"{count} times, as {first.subject}: {first.message}")


def _operations(totals: plan.Totals) -> int:
    """As Terraform tells them one by one: a replacement is a destroy and a create."""
    return totals.to_add + totals.to_change + totals.to_destroy


def learn_secrets(context: StepContext) -> None:
    """Those of the plan that was read. An executor that goes on with a run has learned none of them yet."""
    try:
        document = (context.folder / PLAN_DOCUMENT).read_bytes()
    except OSError:
        return
    for secret in plan.read(document).secrets():
        context.learn_secret(secret)


_SIGNS = {
    Kind.CREATE: "+",
    Kind.UPDATE: "~",
    Kind.REPLACE: "-/+",
    Kind.DESTROY: "-",
    Kind.FORGET: "forget",
}


def change_lines(change: plan.Change) -> list[str]:
    """A line for the change, and one for each attribute that counts; nothing for what stays or is only read."""
    sign = _SIGNS.get(change.kind)
    if sign is None and not change.previous_address and not change.importing_id:
        return []
    because = f"  forced by {', '.join(change.forced_by)}" if change.kind is Kind.REPLACE else ""
    moved = f"  moved from {change.previous_address}" if change.previous_address else ""
    imported = f"  imported as {change.importing_id}" if change.importing_id else ""
    lines = [f"{sign or '→'} {change.address}{because}{moved}{imported}"]
    if change.kind in (Kind.UPDATE, Kind.REPLACE):
        lines += [
            f"    {line}" for each in change.attributes() if each.counts for line in _attribute_lines(change, each)
        ]
    return lines


def _commit_words(name: str) -> str:
    return f"commit {name[:10]}{name[40:]}" if len(name) >= 40 else name


def _attribute_lines(change: plan.Change, each: AttributeChange) -> Sequence[str]:
    if not each.unknown:
        return each.lines()
    # Of what is made anew, ids and ARNs are always to be known later: that says nothing.
    return () if change.kind is Kind.REPLACE else (f"~ {each.name}: {shown(each.before)} → (known after apply)",)


class ApplyPlan(Step):
    """`wanted` says whether the plan is to be applied at all; `purpose` which gates stand before it. `after_another`: the run
    changes something else before, and the reason that it was given is of that."""

    id = "apply"
    title = "Apply the plan"
    why = "Exactly the file that was read, once; what it was made from is compared again first."
    changes = True
    calls = ("terraform:apply",)

    def __init__(
        self, purpose: Purpose, wanted: Callable[[StepContext], bool] = lambda _: True, *, after_another: bool = False
    ) -> None:
        self._purpose = purpose
        self._after_another = after_another
        self._wanted = wanted

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(commands.apply(context.folder / PLAN_FILE)),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        read, bound = context.result("read-plan"), context.result("plan")["bound"]
        dangers = tuple(read["dangers"])
        shown = read["lines"]
        more = () if len(shown) < _LINES_SHOWN else ("… the whole plan: p on the run's screen",)
        targets = targets_of(context)
        partly = (f"Only a part of the plan: {', '.join(targets)}. The rest stays as it is.",) if targets else ()
        wrong = tuple(read["errors"])
        environment = context.config.environment(context.target.environment)
        return policy.gates(
            policy.policy_for(self._purpose, environment, typed_name=bool(dangers or targets or wrong)),
            context.target,
            title=f"Apply the plan to {context.target}: {read['words']}",
            changes=(
                f"{read['words']}, made from {_commit_words(bound['commit'])} and state serial {bound['serial']}",
                *partly,
                *([read["cost"]] if read["cost"] else []),
                *shown,
                *more,
            ),
            irreversible=(*wrong, *dangers),
            commands=[command_line(command) for command in self.commands(context)],
            reason=self._reason(context),
            now=context.now(),
        )

    def probe(self, context: StepContext) -> Probe:
        learn_secrets(context)
        if not self._wanted(context):
            return Probe(ProbeState.DONE, "It was asked to stop after the plan.", {"applied": 0})
        made = context.result("plan")
        if not made:  # in a dry run, behind a change that was left out
            return Probe(ProbeState.DONE, "No plan was made.", {"applied": 0})
        if not made["changes"]:
            return Probe(ProbeState.DONE, "There is nothing to apply.", {"applied": 0})
        listener = self._listener(context)
        try:
            ended = context.terraform_ended(listener)
        except Lost as error:
            return Probe(ProbeState.UNKNOWN, f"{error.title} {error.mend}")
        if ended is not None:
            return Probe(ProbeState.DONE, "The apply came to its end.", self._result(context, ended, listener))
        if (context.folder / CONSUMED).exists():
            listener = self._listener(context, silent=True)
            ended = _recorded_apply(context, listener)
            if ended is None:
                (context.folder / CONSUMED).unlink()
            elif ended.code == 0:
                return Probe(ProbeState.DONE, "It was applied already.", self._result(context, ended, listener))
            elif context.interactive:
                said = f"This plan was applied in part. {listener.summary}"
                return Probe(ProbeState.OVERTAKEN, said, back_to="plan")
            else:
                raise StepFailed(
                    f"This plan was applied in part. {listener.summary}",
                    cause="No plan is applied twice.",
                    mend="Start a new run: it makes a plan of what is left.",
                )
        root = root_of(context)
        if why := unbound(context, root, made["bound"]):
            return Probe(ProbeState.OVERTAKEN, why, back_to="plan")
        refuse_locked(context, root)  # here, since Terraform would only wait for it, and the plan would count as used
        return Probe(ProbeState.NOT_DONE, "The plan is as it was approved, and has not been applied.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        # From here on the plan counts as used, whatever becomes of it: Terraform itself would apply some plans twice.
        write_private(context.folder / CONSUMED, context.result("plan")["bound"]["plan"].encode())
        listener = self._listener(context)
        arguments = commands.apply(context.folder / PLAN_FILE)
        ended = context.terraform_change("terraform:apply", root.terraform, arguments, listener)
        return self._result(context, ended, listener)

    def offers(self) -> Sequence[Offer]:
        return (_PLAN_AGAIN,)

    def _reason(self, context: StepContext) -> str:
        """Why this apply may be outside of its window. What was said before another change was not said of this one."""
        given = "" if self._after_another else context.inputs.get("reason", "")
        return given or context.answer("reason", here=True)

    def _listener(self, context: StepContext, *, silent: bool = False) -> Listener:
        return Listener(context, total=context.result("read-plan")["count"], silent=silent)

    def _result(self, context: StepContext, ended: Ended, listener: Listener) -> Mapping[str, Any]:
        context.note(listener.summary)
        if ended.code == 0:
            return {"applied": len(listener.done), "changed": True}
        left = root_of(context).folder / backend.ERRORED_STATE
        if left.exists():
            context.note(
                f"{left} holds the state that could not be stored: infraconsole run state-recover pushes it.",
                warning=True,
            )
        try:
            context.wait(0)
        except InterruptRequested as error:
            said = " ".join(part for part in (error.cause, listener.summary) if part)
            mend = (
                "Resumed, it plans anew what is left and asks again: at a terminal, since no old answer holds for it."
            )
            raise InterruptRequested(error.title, cause=said, mend=mend) from None
        trouble = texts.trouble_in(listener.diagnostics)
        if trouble and trouble.kind is texts.Kind.LOCK_HELD and not listener.has_begun:
            (context.folder / CONSUMED).unlink(missing_ok=True)  # it never began: the plan is what it was
        raise failure(ended, f"The apply failed. {listener.summary}", listener.diagnostics)


def _recorded_apply(context: StepContext, listener: Listener) -> Ended | None:
    """How the apply of the plan at hand ended, where its end was recorded and the step's was not; None where it never began.

    The folders of a run's commands are numbered in the order in which they began (executor.py): later than the plan, it is its.
    """

    def newest(name: str) -> tuple[int, Path]:
        found = [(int(folder.name.partition("-")[0]), folder) for folder in context.folder.glob(f"*-{name}")]
        return max(found, default=(0, context.folder))

    number, record = newest("apply")
    if number <= newest("plan")[0]:
        return None
    try:
        running = Running.attach(record)
    except NotStarted:
        return None
    running.wait(listener)
    return running.ended()
