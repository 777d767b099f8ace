"""What a rollback looks at and chooses: the service's own family, what worked last however far back it lies, the true reason where
nothing can be chosen, and a refusal where it is not ECS that deploys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infraconsole.config import EnvironmentSettings
from infraconsole.engine.gate import Gate
from infraconsole.engine.runbook import Answered, Intent, ProbeState, StepContext
from infraconsole.errors import AccessDenied, AwsNotFound, OtherTool, StepFailed, UsageError
from infraconsole.runbooks import ecs_rollback, revision_copy
from infraconsole.runbooks.pin_image import PinImage
from infraconsole.runbooks.revision_copy import RegisterCopy
from tests.unit.test_deployed import Spoken
from tests.unit.test_rollout import raising

ECR = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
ARN = "arn:aws:ecs:ap-northeast-2:123456789012"
NOW = datetime.now(UTC)


def arn(revision: int, family: str = "worker") -> str:
    return f"{ARN}:task-definition/{family}:{revision}"


class Account(Spoken):
    """A service `web-dev-service` on revision `on` of the family `worker`, of which the first essential container is a log router.
    `good` are the revisions with a completed deployment, oldest first; `inactive` those that were deregistered."""

    def __init__(self, folder: Path, on: int, good: Sequence[str | int] = (), **inputs: str) -> None:
        super().__init__(folder, None, **{"in-flight": "supersede", **inputs})
        self.on, self.good = on, [each if isinstance(each, str) else arn(each) for each in good]
        self.inactive: set[int] = set()
        self.known: set[int] = set(range(1, on + 1))
        self.state = "COMPLETED"
        self.more: dict[str, Any] = {}
        self.accepted: dict[str, str] = {}
        self.journal: dict[str, list[Mapping[str, Any]]] = {}
        """What earlier runs verified, by runbook; "" for rollbacks."""
        self.former_looks: list[Mapping[str, Any]] = []
        self.former_updates: list[Mapping[str, Any]] = []
        self.follow_ups: list[dict[str, str]] = []
        self.secrets: list[str] = []
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.intent: Intent | None = None
        self.answers_made: list[Answered] = []
        self.reads.answers |= {
            "DescribeServices": lambda _: {"services": [self._service()]},
            "DescribeTaskDefinition": self._definition,
            "DescribeImages": {"imageDetails": [{"imageDigest": "sha256:1"}]},
            "ListServiceDeployments": lambda _: [
                {"serviceDeployments": [self._record(place, each) for place, each in enumerate(self.good)]}
            ],
            "DescribeServiceRevisions": lambda asked: {
                "serviceRevisions": [
                    {"serviceRevisionArn": name, "taskDefinition": name} for name in asked["serviceRevisionArns"]
                ]
            },
        }

    def _service(self) -> dict[str, Any]:
        primary = {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": arn(self.on), "desiredCount": 1,
                   "runningCount": 1, "rolloutState": self.state, "createdAt": NOW - timedelta(hours=1)}  # fmt: skip
        return {"serviceName": "web-dev-service", "status": "ACTIVE", "desiredCount": 1, "runningCount": 1,
                "taskDefinition": arn(self.on), "deployments": [primary], "events": [], **self.more}  # fmt: skip

    def _definition(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        family, _, number = str(asked["taskDefinition"]).rpartition("/")[2].partition(":")
        revision = int(number or max(self.known - self.inactive, default=0))
        if family == "worker" and revision not in self.known:
            raise AwsNotFound("There is no such revision.", operation="ecs:DescribeTaskDefinition")
        environment = [{"name": "API_TOKEN", "value": f"hunter{revision}"}]
        containers = [
            {"name": "log_router", "image": "public.ecr.aws/x/aws-for-fluent-bit:stable", "essential": True},
            {"name": "web", "image": f"{ECR}/web:build-{revision}", "essential": True, "environment": environment},
        ]
        return {
            "taskDefinition": {
                "taskDefinitionArn": arn(revision, family),
                "family": family,
                "status": "INACTIVE" if revision in self.inactive else "ACTIVE",
                "registeredAt": NOW - timedelta(days=(2000 if family == "worker" else 4000) - revision),
                "containerDefinitions": containers,
                "compatibilities": ["FARGATE"],
                "cpu": "256",
                "volumes": [],
            },
            "tags": [{"key": "team", "value": "web"}, {"key": "aws:x", "value": "y"}],
        }

    def _record(self, place: int, definition: str) -> dict[str, Any]:
        at = NOW - timedelta(days=80 - place)
        return {"serviceDeploymentArn": f"{ARN}:service-deployment/{place}", "createdAt": at, "finishedAt": at,
                "status": "SUCCESSFUL", "targetServiceRevisionArn": definition}  # fmt: skip

    def former(self, step: str) -> Sequence[Mapping[str, Any]]:
        return {"look": self.former_looks, "update": self.former_updates}.get(step, ())

    def earlier(self, step: str, runbook: str = "") -> Sequence[Mapping[str, Any]]:
        return self.journal.get(runbook, ())

    def given(self, gate: str) -> bool:
        return gate in self.accepted

    def answer(self, gate: str, *, here: bool = False) -> str:
        return self.accepted.get(gate, "")

    def evidence(self, name: str, content: str) -> None: ...

    def follow_up(self, id: str, title: str, **more: str) -> None:  # noqa: A002
        self.follow_ups.append({"id": id, "title": title, **more})

    def learn_secret(self, *values: str) -> None:
        self.secrets += values

    def unanswered(self) -> Intent | None:
        return self.intent

    def answered(self, operation: str) -> Mapping[str, Any] | None:
        return next((each.answer for each in self.answers_made if each.operation == operation), None)

    def has_sent(self) -> bool:
        return bool(self.intent or self.answers_made)

    def change(self, service: str, operation: str, /, **parameters: Any) -> Mapping[str, Any]:
        self.sent.append((operation, parameters))
        new = max(self.known) + 1
        self.known.add(new)
        answer = {"taskDefinition": {"taskDefinitionArn": arn(new)}}
        self.answers_made.append(Answered(f"{service}:{operation}", RegisterCopy().made(operation, answer)))
        return answer

    def look(self) -> Mapping[str, Any]:
        self.results["look"] = ecs_rollback.Look().act(self.context)
        return self.results["look"]

    def choose(self) -> Mapping[str, Any]:
        self.look()
        self.results["choose"] = ecs_rollback.Choose().act(self.context)
        return self.results["choose"]

    @property
    def context(self) -> StepContext:
        return cast(StepContext, self)


def test_the_service_s_own_family_and_application_decide(tmp_path: Path) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    chosen = account.choose()
    assert (chosen["name"], chosen["image"], chosen["container"]) == ("worker:1", f"{ECR}/web:build-1", "web")
    assert any(
        "web is taken for the application: its image is of the repository web." in note for note in account.notes
    )
    assert chosen["diff"][0] == f"- web image: {ECR}/web:build-2"


@pytest.mark.parametrize("wanted", ["1", "worker:1", arn(1)])
def test_a_number_is_one_of_the_family_that_the_service_is_on(tmp_path: Path, wanted: str) -> None:
    assert Account(tmp_path, 2, revision=wanted).choose()["arn"] == arn(1)


def test_a_revision_of_a_family_that_the_service_was_never_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a revision of web-dev, not of worker"):
        Account(tmp_path, 2, revision="web-dev:1").choose()


def test_a_family_that_the_service_was_on_before_can_be_gone_back_to(tmp_path: Path) -> None:
    account = Account(tmp_path, 1, good=[arn(7, "web-dev"), 1])
    assert account.choose()["name"] == "web-dev:7", "nothing of the new family ever worked before"
    gates = ecs_rollback.Choose().gates(account.context)
    assert gates == (), "nobody to ask"
    account.interactive = True
    (gate,) = ecs_rollback.Choose().gates(account.context)
    assert [choice.id for choice in gate.choices] == ["web-dev:7"]
    assert Account(tmp_path, 1, good=[arn(7, "web-dev"), 1], revision="web-dev:7").choose()["name"] == "web-dev:7"


def test_the_last_known_good_is_found_behind_a_thousand_revisions(tmp_path: Path) -> None:
    account = Account(tmp_path, 1208, good=[5, 8])
    assert account.choose()["name"] == "worker:8"
    asked = [name for name, _ in account.reads.calls]
    assert "ListTaskDefinitions" not in asked
    assert asked.count("DescribeTaskDefinition") < 25
    assert any("of 1,207 earlier revisions are listed" in note for note in account.notes)
    assert Account(tmp_path, 1208, good=[5, 8], revision="600").choose()["name"] == "worker:600"


def test_what_served_last_is_gone_back_to_and_not_what_was_rolled_back_from(tmp_path: Path) -> None:
    """:4 completed, was found bad and rolled back to :3; then :5 was deployed."""
    assert Account(tmp_path, 5, good=[2, 3, 4, 3]).choose()["name"] == "worker:3"


def test_the_journal_names_what_worked_where_aws_keeps_no_history(tmp_path: Path) -> None:
    account = Account(tmp_path, 900)
    account.journal = {"deploy": [{"task_definition": arn(4), "health": "200"}, {"task_definition": arn(6)}, {}]}
    assert account.choose()["name"] == "worker:4"
    account.journal[""] = [{"task_definition": arn(2), "health": "200"}]
    assert account.choose()["name"] == "worker:2", "a rollback that was verified comes first"


def test_of_a_run_that_went_back_what_was_tried_is_not_recommended(tmp_path: Path) -> None:
    account = Account(tmp_path, 3, good=[2, 3])
    account.former_looks = [{"current": arn(5), "current_registered_at": ""}]
    assert account.look()["last_known_good"] == arn(2)


def test_the_content_of_a_copy_that_failed_is_not_recommended_again(tmp_path: Path) -> None:
    """:3 is bad, a copy of :2 was registered as :4, and did not work either: the content of :2 failed, whatever its number."""
    account = copying(tmp_path)
    account.results["register-copy"] = RegisterCopy().act(account.context)
    account.on = 4
    made = ecs_rollback.Update().probe(account.context)
    assert (made.state, made.result["revision"]) == (ProbeState.DONE, arn(4))
    account.former_updates = [{}, made.result]
    account.former_looks = [account.results["look"]]
    looked = account.look()
    assert looked["last_known_good"] == arn(1)
    assert {each["id"]: each["tried"] for each in looked["candidates"]} == {"3": False, "2": True, "1": False}


def test_inactive_revisions_give_the_true_reason_and_the_ways_out(tmp_path: Path) -> None:
    account = Account(tmp_path, 3, good=[1, 2])
    account.inactive = {1, 2}
    chosen = account.choose()
    assert chosen["name"] == "worker:2"
    with pytest.raises(StepFailed) as caught:
        ecs_rollback.Check().act(account.context)
    assert caught.value.title == "worker:2 is INACTIVE."
    assert "Terraform deregisters" in caught.value.cause
    assert "--answer register-copy=yes" in caught.value.mend
    assert "skip_destroy = true" in caught.value.mend
    account.interactive = True
    (gate,) = ecs_rollback.Choose().gates(account.context)
    assert "No earlier revision is ACTIVE" in gate.changes[0]
    assert [choice.why_not for choice in gate.choices] == ["", ""]


def copying(tmp_path: Path) -> Account:
    account = Account(tmp_path, 3, good=[1, 2])
    account.inactive = {1, 2}
    account.accepted = {revision_copy.GATE: "yes"}
    account.choose()
    account.results["check"] = ecs_rollback.Check().act(account.context)
    return account


def test_a_copy_is_registered_once_and_is_what_the_service_is_brought_to(tmp_path: Path) -> None:
    account, step = copying(tmp_path), RegisterCopy()
    assert step.probe(account.context).state is ProbeState.NOT_DONE
    account.results["register-copy"] = step.act(account.context)
    ((operation, sent),) = account.sent
    assert operation == "RegisterTaskDefinition"
    assert (sent["family"], sent["cpu"]) == ("worker", "256")
    assert sent["containerDefinitions"][1]["image"] == f"{ECR}/web:build-2"
    assert sent["tags"] == [{"key": "team", "value": "web"}]
    assert {"compatibilities", "status", "volumes", "registeredAt"} & set(sent) == set()
    assert account.secrets == ["hunter2"], "the journal records what is sent"
    assert revision_copy.target(account.context)["arn"] == arn(4)
    probe = step.probe(account.context)
    assert (probe.state, probe.result["name"]) == (ProbeState.DONE, "worker:4")


def test_a_copy_whose_answer_was_lost_is_found_and_not_registered_again(tmp_path: Path) -> None:
    account = copying(tmp_path)
    account.intent = Intent("run234/9", "ecs:RegisterTaskDefinition", {}, NOW)
    assert RegisterCopy().probe(account.context).state is ProbeState.NOT_DONE
    plain = account.reads.answers["DescribeTaskDefinition"]

    def copied(asked: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(json.dumps(plain(asked), default=str))
        if asked["taskDefinition"] == "worker":
            answer["taskDefinition"]["containerDefinitions"] = plain({"taskDefinition": arn(2)})["taskDefinition"][
                "containerDefinitions"
            ]
            answer["taskDefinition"]["taskDefinitionArn"] = arn(4)
        return answer

    account.reads.answers["DescribeTaskDefinition"] = copied
    probe = RegisterCopy().probe(account.context)
    assert (probe.state, probe.result["arn"]) == (ProbeState.DONE, arn(4))


def test_an_active_revision_is_not_copied(tmp_path: Path) -> None:
    account = Account(tmp_path, 3, good=[1, 2])
    account.choose()
    account.results["check"] = ecs_rollback.Check().act(account.context)
    probe = RegisterCopy().probe(account.context)
    assert (probe.state, probe.result) == (ProbeState.DONE, {"registered": False})


def test_without_any_known_good_the_reason_is_the_true_one(tmp_path: Path) -> None:
    account = Account(tmp_path, 3)
    with pytest.raises(StepFailed, match="No revision before worker:3 is known to have worked") as caught:
        account.choose()
    assert "No earlier revision has a completed deployment" in caught.value.cause
    assert "worker:2 (build-2, ACTIVE)" in caught.value.cause
    account.reads.answers["ListServiceDeployments"] = [AccessDenied("Denied.", operation="ecs:ListServiceDeployments")]
    with pytest.raises(StepFailed) as caught:
        account.choose()
    assert "could not be read" in caught.value.cause, "what nobody could look at is not absent"
    gone = Account(tmp_path, 3, good=[2])
    gone.reads.answers["DescribeImages"] = {"imageDetails": []}
    with pytest.raises(StepFailed, match="can be used") as caught:
        gone.choose()
    assert "no longer in ECR" in caught.value.cause


def gates_of_update(account: Account) -> Sequence[Gate]:
    settings = EnvironmentSettings("dev")
    account.config.environment = lambda _: settings
    return ecs_rollback.Update().gates(account.context)


def test_a_healthy_service_says_so_at_both_gates(tmp_path: Path) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.choose()
    account.interactive = True
    (gate,) = ecs_rollback.Choose().gates(account.context)
    assert gate.title.startswith("web-dev-service runs as it should: worker:2 since ")
    (confirm,) = gates_of_update(account)
    assert confirm.changes[0].startswith("Warning: web-dev-service runs as it should: worker:2")
    failing = Account(tmp_path, 2, good=[1])
    failing.state = "FAILED"
    failing.look()
    failing.interactive = True
    (gate,) = ecs_rollback.Choose().gates(failing.context)
    assert gate.title == "Which revision does web-dev go back to from worker:2?"
    failing.choose()
    (confirm,) = gates_of_update(failing)
    assert "Warning" not in confirm.changes[0]


@pytest.mark.parametrize(("controller", "words"), [("CODE_DEPLOY", "aws deploy"), ("EXTERNAL", "task-set")])
def test_where_ecs_does_not_deploy_the_run_ends_before_any_gate(tmp_path: Path, controller: str, words: str) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.more = {"deploymentController": {"type": controller}}
    with pytest.raises(OtherTool) as caught:
        account.look()
    assert words in caught.value.mend


@pytest.mark.parametrize(
    ("tfvars", "key", "value"),
    [
        ('image_tag = "build-2"\n', "image_tag", "build-1"),
        (f'container_image = "{ECR}/web:build-2"\n', "container_image", f"{ECR}/web:build-1"),
        ('router_tag = "stable"\n', "image_tag", "build-1"),
    ],
)
def test_the_follow_up_is_about_the_application_s_image(tmp_path: Path, tfvars: str, key: str, value: str) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.choose()
    account.results["update"] = {"changed": True}
    path = tmp_path / "terraform.tfvars"
    path.write_text(tfvars)
    account.config.tfvars_of = lambda *_: path
    assert PinImage().act(account.context) == {"pinned": False}
    (follow_up,) = account.follow_ups
    assert (follow_up["key"], follow_up["value"], follow_up["file"]) == (key, value, str(path))
    path.write_text(f'{key} = "{value}"\n')
    assert PinImage().act(account.context) == {"pinned": True}
    assert len(account.follow_ups) == 1


def test_the_follow_up_waits_for_what_the_variables_do_not_say_yet(tmp_path: Path) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.choose()
    account.results["update"] = {"changed": True}
    account.results["look"] = {**account.results["look"], "current_image": f"{ECR}/web-next:build-2"}
    path = tmp_path / "terraform.tfvars"
    path.write_text(f'image_tag = "build-1"\nimage_repository = "{ECR}/web-next"\n')
    account.config.tfvars_of = lambda *_: path
    assert PinImage().act(account.context) == {"pinned": False}
    (follow_up,) = account.follow_ups
    assert (follow_up["key"], follow_up["value"]) == ("image_repository", f"{ECR}/web")


@pytest.mark.parametrize(
    ("tfvars", "why"),
    [
        ('sidecar_image_tag = "stable"\n', "cannot be told: it may be sidecar_image_tag."),
        (f'image_digest = "sha256:{"b" * 64}"\nimage_tag = "build-1"\n', "image_digest names a digest"),
    ],
)
def test_where_nothing_can_be_pinned_the_reason_is_said_and_nothing_is_called_pinned(
    tmp_path: Path, tfvars: str, why: str
) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.choose()
    account.results["update"] = {"changed": True}
    account.reads.answers["DescribeImages"] = raising(AccessDenied("Denied.", operation="ecr:DescribeImages"))
    path = tmp_path / "terraform.tfvars"
    path.write_text(tfvars)
    account.config.tfvars_of = lambda *_: path
    assert PinImage().act(account.context) == {"pinned": False}
    assert account.follow_ups == []
    assert why in account.notes[-1]
    assert "already" not in account.notes[-1]


def test_what_no_variable_can_bring_is_said_and_never_pinned_as_a_tag_of_another_repository(tmp_path: Path) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    account.choose()
    account.results["update"] = {"changed": True}
    account.results["look"] = {**account.results["look"], "current_image": f"{ECR}/web-next:build-2"}
    path = tmp_path / "terraform.tfvars"
    path.write_text('image_tag = "build-2"\n')
    account.config.tfvars_of = lambda *_: path
    assert PinImage().act(account.context) == {"pinned": False}
    assert account.follow_ups == []
    assert "is of another repository than" in account.notes[-1]


def test_the_words_of_an_image_without_a_tag_have_no_empty_brackets(tmp_path: Path) -> None:
    account = Account(tmp_path, 2, good=[1, 2])
    plain = account.reads.answers["DescribeTaskDefinition"]

    def untagged(asked: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = plain(asked)
        answer["taskDefinition"]["containerDefinitions"][1]["image"] = f"{ECR}/team/web"
        return answer

    account.reads.answers["DescribeTaskDefinition"] = untagged
    account.choose()
    assert not any("()" in note or "image )" in note for note in account.notes)
    assert any("(image web)" in note for note in account.notes)
