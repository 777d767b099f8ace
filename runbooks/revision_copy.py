"""Register a copy of a revision that is not ACTIVE any more as a new one: ECS starts no service on an INACTIVE revision, and
Terraform deregisters each one that it replaces unless `skip_destroy` says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.aws.ecs import Ecs, TaskDefinition, family_and_revision
from infraconsole.engine.gate import Gate, GateKind
from infraconsole.engine.runbook import Offer, Probe, ProbeState, Step, StepContext
from infraconsole.errors import AwsNotFound, StepFailed
from infraconsole.runbooks import rollout
from infraconsole.secret_places import names_a_secret

REGISTER = "ecs:RegisterTaskDefinition"
GATE = "register-copy"
WHY = "Terraform deregisters each revision that it replaces, unless the code says otherwise."
KEEP = "To keep them from now on: skip_destroy = true in the code's aws_ecs_task_definition."

_COPIED = (
    *("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes"),
    *("placementConstraints", "requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode", "proxyConfiguration"),
    *("inferenceAccelerators", "ephemeralStorage", "runtimePlatform", "enableFaultInjection"),
)
"""What RegisterTaskDefinition takes of what DescribeTaskDefinition gives (Amazon ECS API Reference)."""
_NOT_WANTED = {"registered": False}


def inactive(definition: TaskDefinition) -> StepFailed:
    """Why that revision cannot be gone back to as it is, and the ways out."""
    return StepFailed(
        f"{definition.name} is {definition.status}.",
        cause=f"ECS starts no service on a revision that is not ACTIVE. {WHY}",
        mend=f"Register a copy of it as a new revision: --answer {GATE}=yes; or choose another revision. {KEEP}",
    )


def target(context: StepContext) -> Mapping[str, Any]:
    """The revision that the service is brought to: the chosen one, or the copy that was registered of it."""
    copied = context.result("register-copy")
    chosen = context.result("choose")
    return {**chosen, "arn": copied["arn"], "name": copied["name"]} if copied.get("arn") else chosen


class RegisterCopy(Step):
    id = "register-copy"
    title = "Register a copy of the revision"
    why = "Only where the chosen one is INACTIVE: a new revision of the same content, which ECS can start."
    changes = True
    calls = (REGISTER,)

    def commands(self, context: StepContext) -> Sequence[Sequence[str]]:
        if not self._wanted(context):
            return ()
        name = context.result("choose")["name"]
        return (
            rollout.ecs_command(context, "describe-task-definition", task_definition=name, include="TAGS"),
            rollout.ecs_command(context, "register-task-definition", cli_input_json="file://copy.json"),
        )

    def gates(self, context: StepContext) -> Sequence[Gate]:
        chosen = context.result("choose")
        family = family_and_revision(chosen["arn"])[0]
        return (
            Gate(
                GATE,
                GateKind.CONFIRM,
                f"Register a copy of {chosen['name']}, which is not ACTIVE, as a new revision of {family}",
                changes=(
                    f"A new revision of {family} with the content of {chosen['name']} (image {chosen['tag']}).",
                    "Nothing runs on it before the service is updated, behind the next gate.",
                    WHY,
                    KEEP,
                ),
                commands=tuple(" ".join(command) for command in self.commands(context)),
            ),
        )

    def probe(self, context: StepContext) -> Probe:
        if not self._wanted(context):
            return Probe(ProbeState.DONE, "The chosen revision is ACTIVE.", _NOT_WANTED)
        if made := context.answered(REGISTER):
            return Probe(ProbeState.DONE, f"{made['name']} was registered.", {**made, "registered": True})
        ecs, chosen = Ecs(context.reads), context.result("choose")
        family = family_and_revision(chosen["arn"])[0]
        try:
            newest = ecs.raw_definition(family)
        except AwsNotFound:
            return Probe(ProbeState.NOT_DONE, f"{family} has no ACTIVE revision.")
        if _content(newest) == _content(ecs.raw_definition(chosen["arn"])):
            arn = str(newest["taskDefinitionArn"])
            result = {"arn": arn, "name": rollout.short(arn), "registered": context.has_sent()}
            return Probe(ProbeState.DONE, f"{rollout.short(arn)} is a copy of {chosen['name']}.", result)
        return Probe(ProbeState.NOT_DONE, f"{family} has no copy of {chosen['name']} as its newest revision.")

    def act(self, context: StepContext) -> Mapping[str, Any]:
        raw = Ecs(context.reads).raw_definition(context.result("choose")["arn"])
        wanted = dict(_content(raw))
        tags = [tag for tag in raw.get("tags") or () if not str(tag.get("key", "")).startswith("aws:")]
        # The journal records what is sent.
        context.learn_secret(*_secrets(wanted))
        context.change("ecs", "RegisterTaskDefinition", **wanted, **({"tags": tags} if tags else {}))
        made = context.answered(REGISTER) or {}
        if not made.get("arn"):
            raise StepFailed(
                "AWS's answer names no new revision.", mend="Retry: what was registered is looked up first."
            )
        context.note(f"{made['name']} was registered, a copy of {context.result('choose')['name']}.")
        return {**made, "registered": True}

    def made(self, operation: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        arn = str((answer.get("taskDefinition") or {}).get("taskDefinitionArn") or "")
        return {"arn": arn, "name": rollout.short(arn)} if arn else {}

    def offers(self) -> Sequence[Offer]:
        return (Offer("another-revision", "Choose another revision", back_to="look"),)

    def _wanted(self, context: StepContext) -> bool:
        return bool(context.result("check").get("copy"))


def _content(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: raw[key] for key in _COPIED if raw.get(key) not in (None, [], {}, "")}


def _secrets(wanted: Mapping[str, Any]) -> list[str]:
    """Values of variables that probably hold secrets."""
    return [
        str(item.get("value"))
        for container in wanted.get("containerDefinitions") or ()
        for item in container.get("environment") or ()
        if names_a_secret(str(item.get("name", ""))) and item.get("value")
    ]
