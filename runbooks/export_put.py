"""Write an export by hand: the way around its module, for a night on which the module cannot be applied.

The module that owns the export stays its owner, and the run's result says what it needs before its next apply. What
PutParameter means is from the Systems Manager API reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.aws.ssm import SECURE, Parameter, ParameterVersion, Ssm
from infraconsole.checks.export_rules import ExportRules, Shape, load_rules
from infraconsole.clock import Deadline
from infraconsole.engine import policy
from infraconsole.engine.gate import LEAST_REASON, Gate, GateKind, GateSpec
from infraconsole.engine.policy import Purpose
from infraconsole.engine.runbook import (
    Input,
    Probe,
    ProbeState,
    Runbook,
    Step,
    StepContext,
    aws_command,
    command_line,
)
from infraconsole.errors import AwsError, AwsNotFound, NotVisibleYet, StepFailed, UsageError

NAME = "export-put"
TYPE_NAME = "type-export"
PUT = "ssm:PutParameter"
_TYPES = ("String", "StringList")


class Look(Step):
    id = "look"
    title = "Look at the export"
    why = "Whether it is there, what it says now, and which module would write it."

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        return (_aws(context, "get-parameters", names=_name(context)),)

    def act(self, context: StepContext) -> Mapping[str, Any]:
        name, kind = _name(context), context.inputs["type"]
        if not name.startswith(f"{context.config.export_root}/"):
            raise UsageError(
                f"{name} is no export.",
                cause=f"Exports lie below {context.config.export_root}.",
                mend="Correct the name.",
            )
        rules = load_rules(context.config)
        rule = rules.rule_for(name)
        _check_environment(context, rules, name)
        if rule is not None and rule.type != kind:
            raise UsageError(f"{name} is a {rule.type}, not a {kind}.", mend=f"--set type={rule.type}")
        if rule is not None and rule.shape is not None:
            _check_shape(name, rule.shape, context.inputs["value"], listed=kind == "StringList")
        owner = rules.owner(name)
        now = _now(context)
        if now is not None and now.type == SECURE:
            raise UsageError(f"{name} is a SecureString.", mend=f"Have its module write it: {owner or 'its owner'}.")
        if now is None:
            context.note(f"{name} does not exist.")
        else:
            context.note(f"{name} is version {now.version}: {now.value}")
        context.note(
            f"It belongs to the module {owner}: applying that is the better way." if owner else "No module owns it."
        )
        return {
            "version": now.version if now else 0,
            "modified": _modified(now),
            "before": now.value if now else None,
            "owner": owner,
        }


class Write(Step):
    id = "write"
    title = "Write the export"
    why = "One PutParameter; the version before stays in the parameter's history."
    changes = True
    calls = (PUT,)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        options: dict[str, object] = {"name": _name(context), "value": context.inputs["value"]}
        options["type"] = context.inputs["type"]
        if context.result("look")["version"]:
            options["overwrite"] = True
        return (_aws(context, "put-parameter", **options),)

    def gates(self, context: StepContext) -> Sequence[Gate]:
        looked, name = context.result("look"), _name(context)
        before = looked["before"]
        owner = looked["owner"]
        opened = policy.gates(
            policy.policy_for(Purpose.RECOVERY, context.config.environment(context.target.environment)),
            context.target,
            title=f"Write {name} by hand in {context.target.account} ({context.target.region})",
            changes=(
                f"{name} = {context.inputs['value']}",
                f"before: {before}" if before is not None else "it does not exist yet",
                f"Terraform does not know of it: the module {owner} would fail on it, or write its own value."
                if owner
                else "No module owns it.",
                "Every service that reads it sees the new value at its next plan.",
            ),
            commands=[command_line(command) for command in self.commands(context)],
            reason=context.inputs.get("reason", ""),
            now=context.now(),
        )
        typed = Gate(
            TYPE_NAME, GateKind.TYPE, opened[-1].title, opened[-1].changes, (), opened[-1].commands, expected=name
        )
        # The name of the export is what has to be typed, in every environment: a service's name says nothing here.
        return (*opened[:-1], typed)

    def probe(self, context: StepContext) -> Probe:
        if (made := context.answered(PUT)) is not None:
            return Probe(ProbeState.DONE, "AWS answered that it is written.", {**made, "changed": True})
        now, looked = _now(context), context.result("look")
        version = now.version if now else 0
        if now is not None and 0 < version < looked["version"] and _modified(now) <= looked["modified"]:
            return Probe(ProbeState.NOT_VISIBLE, f"AWS shows version {version}; {looked['version']} was looked at.")
        if now is not None and _says(context, now):
            result = {"version": version, "changed": context.has_sent()}
            return Probe(ProbeState.DONE, f"It is version {version}, with that value.", result)
        if (version, _modified(now)) == (looked["version"], looked["modified"]):
            return Probe(ProbeState.NOT_DONE, f"It is version {version}." if version else "It does not exist.")
        ours, untold = _written_since(context, looked["version"]) if context.unanswered() else (0, "")
        if ours:
            said = f"It was written as version {ours}; somebody has written version {version} since."
            return Probe(ProbeState.DONE, said, {"version": ours, "changed": True})
        by = f"Somebody else wrote version {version} meanwhile." if version else "Somebody else deleted it meanwhile."
        return Probe(ProbeState.OVERTAKEN, f"{by} {untold}".strip(), back_to="look")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        context.change(
            "ssm",
            "PutParameter",
            Name=_name(context),
            Value=context.inputs["value"],
            Type=context.inputs["type"],
            Overwrite=bool(context.result("look")["version"]),
        )
        return {**(context.answered(PUT) or {}), "changed": True}

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        version = answer.get("Version")
        return {"version": version if isinstance(version, int) else 0}


class Verify(Step):
    id = "verify"
    title = "Read it back"
    why = "What is stored is what counts."

    def act(self, context: StepContext) -> Mapping[str, Any]:
        now = self._shown(context)
        if not _says(context, now):
            is_another = now.type != context.inputs["type"]
            says = f"It is a {now.type} now" if is_another else f"It says {now.value!r}"
            raise StepFailed(
                f"{_name(context)} does not say what was written.", cause=f"{says}, version {now.version}."
            )
        context.note(f"{now.name} is version {now.version}: {now.value}")
        owner = context.result("look")["owner"]
        if owner:
            context.note(
                f"{now.name} still belongs to the module {owner}: before its next apply, "
                f"terraform import it there, or delete it and let the apply make it.",
                warning=True,
            )
        return {"version": now.version}

    def _shown(self, context: StepContext) -> Parameter:
        """The parameter as of what was written. Raises NotVisibleYet where AWS does not come to show that."""
        written = context.result("write").get("version", 0)
        patience = Deadline(context.config.engine.visible_seconds)
        while (now := _now(context)) is None or (now.version < written and not _is_made_again(context, now)):
            if patience.is_over():
                raise NotVisibleYet(
                    f"AWS does not show version {written} of {_name(context)} yet.", mend="Look at the parameter."
                )
            context.progress(f"AWS does not show version {written} yet: looking again")
            context.wait(min(1.0, context.config.engine.poll_seconds))
        return now


def _check_environment(context: StepContext, rules: ExportRules, name: str) -> None:
    """An export is written under the rules of whom it is for: its own environment's, or of all that share the account."""
    config, asked = context.config, context.target.environment
    match = rules.match(name)
    if match is not None and match.environment in config.environments and match.environment != asked:
        raise UsageError(f"{name} is {match.environment}'s, not {asked}'s.", mend=f"--env {match.environment}")
    if match is not None and match.environment:
        return

    def place(environment: str) -> tuple[str | None, str]:
        return config.environment(environment).profile, config.region_of(environment)

    sharing = [known for known in config.environments if place(known) == place(asked)]
    guarded = [known for known in sharing if config.environment(known).is_prod]
    if guarded and asked not in guarded:
        raise UsageError(f"{name} is {guarded[-1]}'s as well: they share the account.", mend=f"--env {guarded[-1]}")


def _check_shape(name: str, shape: Shape, value: str, *, listed: bool) -> None:
    for item in value.split(",") if listed else [value]:
        if not shape.fits(item):
            raise UsageError(
                f"{item!r} is no value for {name}.",
                cause=f"Expected {shape.words}, as in {shape.example}.",
                mend="Correct --set value=…",
            )


def _name(context: StepContext) -> str:
    return context.inputs["name"]


def _modified(parameter: Parameter | None) -> str:
    """By AWS's time; "" where it does not say."""
    return parameter.modified_at.isoformat() if parameter and parameter.modified_at else ""


def _is_made_again(context: StepContext, now: Parameter) -> bool:
    """Versions begin with 1 again where somebody has deleted it and made another: a read that lags shows an older time, too."""
    looked = context.result("look")
    version, modified = int(looked["version"]), str(looked["modified"])
    return now.version <= version and _modified(now) > modified


def _says(context: StepContext, known: Parameter | ParameterVersion) -> bool:
    return (known.value, known.type) == (context.inputs["value"], context.inputs["type"])


def _written_since(context: StepContext, version: int) -> tuple[int, str]:
    """The version since `version` that says what was to be written, 0 where there is none; and why that cannot be told, where it
    cannot: a normal run needs no right to the history."""
    try:
        history = Ssm(context.reads).history(_name(context))
    except AwsNotFound:
        return 0, ""
    except AwsError:
        return 0, "The permission ssm:GetParameterHistory would tell whether ours was written first."
    return next((known.version for known in history if known.version > version and _says(context, known)), 0), ""


def _now(context: StepContext) -> Parameter | None:
    found, _ = Ssm(context.reads).parameters([_name(context)])
    return found[0] if found else None


def _aws(context: StepContext, verb: str, **options: object) -> tuple[str, ...]:
    profile = context.config.environment(context.target.environment).profile
    return aws_command(context.target, profile, "ssm", verb, **options)


RUNBOOK = Runbook(
    name=NAME,
    title="Write an export by hand",
    summary="Put one parameter below the export root, where its module cannot be applied: typed and recorded.",
    purpose=Purpose.RECOVERY,
    inputs=(
        Input("service", "service", "for whom it is written", required=True),
        Input("environment", "environment", "whose account it is written in", required=True),
        Input("name", "text", "the export's full name", required=True),
        Input("value", "text", "what it shall say", required=True),
        Input("type", "choice", "String or StringList", default="String", choices=_TYPES),
        Input("reason", "text", "why, for the record", least=LEAST_REASON),
    ),
    gates=(
        *(gate for gate in policy.GATES if gate.id in ("reason", "approve")),
        GateSpec(TYPE_NAME, GateKind.TYPE, "before the parameter is written: its full name"),
        policy.FAILURE,
    ),
    steps=(Look(), Write(), Verify()),
)
