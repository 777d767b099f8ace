"""Steps that more than one runbook takes on a Terraform root module: set it up, plan, apply exactly what was read.

Here, since a deploy and a state rollback must not differ in how an approved plan is bound to what is applied. What
Terraform's commands mean is from its documentation (Command: plan, apply; Machine-Readable UI).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infraconsole import files, naming
from infraconsole.checks import git
from infraconsole.config import EnvironmentSettings
from infraconsole.engine import policy
from infraconsole.engine.gate import ERROR, WARNING, Gate, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import Offer, Probe, ProbeState, Step, StepContext, command_line
from infraconsole.errors import StepFailed
from infraconsole.runbooks import apply_end, earlier_applies, lost_state, state_history
from infraconsole.runbooks.plan_reading import (
    COST_DOCUMENT,
    LINES_SHOWN,
    PLAN_DOCUMENT,
    PLAN_FILE,
    learn_secrets,
    planned,
)
from infraconsole.runbooks.terraform_failure import failure
from infraconsole.runbooks.terraform_listener import Listener
from infraconsole.runbooks.terraform_root import (
    Root,
    initialise,
    refuse_errored_state,
    refuse_locked,
    root_of,
    sha256,
    state_summary,
    write_private,
)
from infraconsole.terraform import addresses, backend, commands, complaints, texts
from infraconsole.terraform.runner import Ended, Lost, NotStarted, Running

CONSUMED = "plan.consumed"
_PLAN_AGAIN = Offer("plan-again", "Make a new plan, and look at it", back_to="plan")


class Init(Step):
    id = "init"
    title = "Set up Terraform"
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
        tool = root.terraform.binary
        context.note(f"{tool.product} {tool.version} ({tool.source}); {why or 'it was set up already'}.")
        protection = root.protection
        context.note(protection.danger or protection.why, warning=protection.is_missing)
        return {"why": why, "terraform": tool.version}


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
        lost_state.refuse(context, root)
        refuse_errored_state(context, root)
        initialise(context, root)
        apply_end.look_at_unread(context, root)
        for name in (PLAN_FILE, PLAN_DOCUMENT, COST_DOCUMENT, CONSUMED):
            (context.folder / name).unlink(missing_ok=True)
        context.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        version = state_history.newest_version(context, root)
        bound, written = binding(context, root), _sources_sha256(root, _WRITTEN)
        listener = Listener(context)
        ended = context.terraform(root.terraform, self._arguments(context, root), "plan", listener)
        if ended.code not in (0, 2):
            raise failure(context, root, ended, "The plan failed.", listener.diagnostics)
        if _sources_sha256(root, _WRITTEN) != written:
            raise StepFailed("The code changed while the plan was made.", mend="Make it again.")
        # Making a plan may leave files there, as archives of functions.
        bound |= {"code": _sources_sha256(root), "commit": git.name(root.folder)}
        (context.folder / PLAN_FILE).chmod(0o600)
        changes = ended.code == 2
        context.note("The plan has changes." if changes else "There is nothing to change.")
        return {"changes": changes, "version": version, "bound": {**bound, "plan": sha256(context.folder / PLAN_FILE)}}

    def _arguments(self, context: StepContext, root: Root) -> Sequence[str]:
        return commands.plan(
            context.folder / PLAN_FILE,
            var_files=root.var_files,
            variables={name: context.inputs[name] for name in self._variables if context.inputs.get(name)},
            targets=_targets(context),
            lock=not context.dry_run,
        )


def _targets(context: StepContext) -> tuple[str, ...]:
    """The addresses that the run is aimed at; empty where it is everything."""
    given = context.inputs.get("targets", "")
    return addresses.split(given) if given else ()


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


_WRITTEN = (*naming.CODE_ENDINGS, ".tfvars", ".tfvars.json", ".tftpl", ".tpl")
"""What nobody but people write."""
_NOT_READ = ("terraform.tfstate", "terraform.tfstate.backup", backend.ERRORED_STATE)


def _sources_sha256(root: Root, endings: tuple[str, ...] = ("",)) -> str:
    """Of everything below the root and its local modules: code may read any file (templates, policies, archives). Only the
    variables of other environments, and what Terraform itself leaves there, are not part of it."""
    found: set[Path] = set()
    own = {file.parent for file in root.var_files}
    for folder in (root.folder, *_local_modules(root)):
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if Path(parent).parent == root.folder / "environments" and Path(parent) not in own:
                folders[:] = []
                continue
            read = (name for name in names if not name.startswith(".") and name not in _NOT_READ)
            found |= {Path(parent, name) for name in read if name.endswith(endings)}
    digest = hashlib.sha256()
    for file in sorted(found):
        digest.update(f"{file}\0{sha256(file)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _local_modules(root: Root) -> list[Path]:
    """Those that `init` has found; what it has fetched from elsewhere stays as it is."""
    try:
        listed = json.loads(files.read(root.data / "modules/modules.json"))["Modules"]
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


def _commit_words(name: str) -> str:
    return f"commit {name[:10]}{name[40:]}" if len(name) >= 40 else name


_NO_LOCK = frozenset((texts.Kind.LOCK_HELD, texts.Kind.LOCK_FAILED))
"""What Terraform says where it could not take the lock; its summary alone does not tell whether somebody holds it."""


class ApplyPlan(Step):
    """`wanted` says whether the plan is to be applied at all; `purpose` which gates stand before it. `after_another`: the run
    changes something else before, and the reason and the name that were given for that are not given for this. `doubts` are
    what earlier steps warn of."""

    id = "apply"
    title = "Apply the plan"
    why = "Exactly the file that was read, once; what it was made from is compared again first."
    changes = True
    calls = ("terraform:apply",)

    def __init__(
        self,
        purpose: Purpose,
        wanted: Callable[[StepContext], bool] = lambda _: True,
        *,
        after_another: bool = False,
        doubts: Callable[[StepContext], Sequence[str]] = lambda _: (),
    ) -> None:
        self._purpose = purpose
        self._doubts = doubts
        self._after_another = after_another
        self._wanted = wanted

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        root = root_of(context)
        return (root.by_hand(commands.apply(context.folder / PLAN_FILE)),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        read, bound = context.result("read-plan"), context.result("plan")["bound"]
        dangers = tuple(read["dangers"])
        shown = read["lines"]
        more = () if len(shown) < LINES_SHOWN else ("… the whole plan: ctrl+o on the run's screen",)
        targets = _targets(context)
        partly = (f"Only a part of the plan: {', '.join(targets)}. The rest stays as it is.",) if targets else ()
        missing = tuple(read["strays"])
        errors = (*read["errors"], *(each for each in missing if each.startswith(ERROR)))
        environment = context.config.environment(context.target.environment)
        return policy.gates(
            policy.policy_for(self._purpose, environment, typed_name=bool(dangers or errors or targets)),
            context.target,
            title=f"Apply the plan to {context.target}: {read['words']}",
            changes=(
                f"{read['words']}, made from {_commit_words(bound['commit'])} and state serial {bound['serial']}",
                *missing,
                *(f"{ERROR}{each}" for each in read["errors"]),
                *(f"{WARNING}{each}" for each in (*self._doubts(context), *read["warnings"])),
                *self._shown_before(context, read["words"]),
                *partly,
                *((f"Cost: {read['cost']}",) if read["cost"] else ()),
                *read.get("named", ()),
                *shown,
                *more,
            ),
            irreversible=dangers,
            commands=[command_line(command) for command in self.commands(context)],
            reason=self._reason(context),
            now=context.now(),
            typed=self._typed(environment, is_dangerous=bool(dangers or errors)),
            danger=root_of(context).protection.danger,
        )

    def _typed(self, environment: EnvironmentSettings, *, is_dangerous: bool) -> GateSpec:
        if self._after_another:
            return policy.AFTER_ANOTHER
        return policy.DANGEROUS if is_dangerous and environment.is_prod else policy.TYPED

    def _shown_before(self, context: StepContext, words: str) -> tuple[str, ...]:
        """What the plan said that was shown before, where it was another one."""
        former = next((each.get("words", "") for each in context.former("read-plan")), "")
        return (f"The plan that was shown before: {former}",) if former not in ("", words) else ()

    def probe(self, context: StepContext) -> Probe:
        learn_secrets(context)
        if not self._wanted(context):
            return Probe(ProbeState.DONE, "It was asked to stop after the plan.", {"applied": 0})
        made = context.result("plan")
        if not made:  # in a dry run, behind a change that was left out
            return Probe(ProbeState.DONE, "No plan was made.", {"applied": 0})
        if not made["changes"]:
            return Probe(ProbeState.DONE, "There is nothing to apply.", {"applied": 0})
        root, listener = root_of(context), self._listener(context)
        try:
            ended = context.terraform_ended(listener)
        except Lost:
            return Probe(ProbeState.DONE, "The apply is over.", self._settled(context, root, None, listener))
        if ended is not None:
            return Probe(ProbeState.DONE, "The apply came to its end.", self._settled(context, root, ended, listener))
        if (context.folder / CONSUMED).exists() and (probe := self._recorded(context, root)):
            return probe
        if why := unbound(context, root, made["bound"]):
            return Probe(ProbeState.OVERTAKEN, why, back_to="plan")
        refuse_locked(context, root)  # here, since Terraform would only wait for it, and the plan would count as used
        return Probe(ProbeState.NOT_DONE, "The plan is as it was approved, and has not been applied.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        root = root_of(context)
        listener = self._listener(context)
        arguments = commands.apply(context.folder / PLAN_FILE)

        def use() -> None:
            """From here on the plan counts as used, whatever becomes of it: Terraform itself would apply some plans twice."""
            write_private(context.folder / CONSUMED, context.result("plan")["bound"]["plan"].encode())
            apply_end.note_bound(context)

        try:
            ended = context.terraform_change("terraform:apply", root.terraform, arguments, listener, begins=use)
        except Lost:
            return self._settled(context, root, None, listener)
        return self._settled(context, root, ended, listener)

    def _recorded(self, context: StepContext, root: Root) -> Probe | None:
        """What became of an apply whose end was recorded and the step's was not; None where it never began."""
        record = _newest_apply(context)
        if record is None:
            (context.folder / CONSUMED).unlink()
            return None
        listener = self._listener(context, silent=True)
        end = apply_end.End.of(record, earlier_applies.replayed(record, listener), listener)
        if end.is_well:
            result = apply_end.settle(context, root, end, listener)
            return Probe(ProbeState.DONE, "It was applied already.", result)
        lost_state.refuse(context, root)
        words = apply_end.partly_words(context, root, end, listener)
        if context.interactive:
            said = " ".join(("This plan was applied in part.", listener.summary, *words))
            return Probe(ProbeState.OVERTAKEN, said, back_to="plan")
        raise StepFailed(
            f"This plan was applied in part. {listener.summary}",
            cause="\n".join(("No plan is applied twice.", *words)),
            mend="Start a new run: it makes a plan of what is left.",
        )

    def offers(self) -> Sequence[Offer]:
        return (_PLAN_AGAIN,)

    def _reason(self, context: StepContext) -> str:
        """Why this apply may be outside of its window. What was said before another change was not said of this one."""
        given = "" if self._after_another else context.inputs.get("reason", "")
        return given or context.answer("reason", here=True)

    def _listener(self, context: StepContext, *, silent: bool = False) -> Listener:
        return Listener(context, planned(context), silent=silent)

    def _settled(self, context: StepContext, root: Root, ended: Ended | None, listener: Listener) -> Mapping[str, Any]:
        """`ended` is None where nobody saw the end."""
        record = ended.stdout.parent if ended else _newest_apply(context)
        if record is None:
            raise StepFailed("Nothing is recorded of the apply.", mend="Look at the state, then make a new plan.")
        end = apply_end.End.of(record, ended, listener)
        if ended is not None and not end.is_well and not listener.applied.has_begun:
            stated = {found.kind for found in complaints.stated(ended, listener.diagnostics)}
            if stated & _NO_LOCK:
                # It never began: the probe tells whether the plan still holds.
                (context.folder / CONSUMED).unlink(missing_ok=True)
        return apply_end.settle(context, root, end, listener)


def _newest_apply(context: StepContext) -> Path | None:
    """The record of the apply of the plan at hand; None where it never began.

    The folders of a run's commands are numbered in the order in which they began (executor.py): later than the plan, it is its.
    """

    def newest(name: str) -> tuple[int, Path]:
        found = [(int(folder.name.partition("-")[0]), folder) for folder in context.folder.glob(f"*-{name}")]
        return max(found, default=(0, context.folder))

    number, record = newest("apply")
    if number <= newest("plan")[0]:
        return None
    try:
        Running.attach(record)
    except NotStarted:
        return None
    return record
