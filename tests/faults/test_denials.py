"""Recovery needs no more rights than the normal way: whatever read a normal run does without, a resume after a lost answer does
without as well. Which reads that are is found out, not listed: each one that a run makes is denied in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Stage
from tests.world.conftest import client

pytestmark = pytest.mark.slow

EXPECTED_OPTIONAL = {("ecs", "ListServiceDeployments"), ("ecs", "DescribeServiceRevisions"), ("ecr", "DescribeImages")}
"""What a rollback tolerates at least; were they not tried, nothing would be tested."""
_CHANGES = ("Update", "Stop", "Put", "Delete", "Create")


@pytest.fixture(autouse=True)
def undenied(shared: Stage) -> Iterator[None]:
    yield
    shared.world.clear_faults()


def another(stage: Stage, target: tuple[str, str]) -> str:
    return "6" if stage.current(*target) != 6 else "5"


def optional_reads(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The reads of a rollback that it does without."""
    target = stage.next_target()
    run = stage.begin(monkeypatch, *target, revision=another(stage, target))
    assert stage.until_finished(run).outcome == "done"
    stage.until_gone(run)
    made = {(call["service"], call["operation"]) for call in stage.world.calls(since=stage.seen)}
    reads = sorted(call for call in made if not call[1].startswith(_CHANGES) and call[0] != "sts")
    found = []
    for service, operation in reads:
        target = stage.next_target()
        revision = another(stage, target)
        stage.world.fault("access-denied", service=service, operation=operation)
        run = stage.begin(monkeypatch, *target, revision=revision)
        outcome = stage.until_finished(run).outcome
        stage.until_gone(run)
        stage.world.clear_faults()
        if outcome == "done":
            found.append((service, operation))
    return found


def test_a_rollback_recovers_without_what_it_does_without(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = shared
    optional = optional_reads(stage, monkeypatch)
    assert set(optional) >= EXPECTED_OPTIONAL
    for service, operation in optional:
        for fault, sent in (("drop-after", 1), ("drop-before", 2)):
            target = stage.next_target()
            revision = another(stage, target)
            stage.world.fault("access-denied", service=service, operation=operation)
            stage.world.fault(fault, operation="UpdateService", count=1)
            run = stage.begin(monkeypatch, *target, revision=revision)
            record = stage.until_finished(run)
            stage.until_gone(run)
            stage.world.clear_faults()
            assert (record.outcome, record.ending) == ("done", ""), (operation, fault)
            assert len(stage.calls("UpdateService")) == 1
            assert len(stage.calls("UpdateService", accepted=False)) == sent
        target = stage.next_target()
        revision = another(stage, target)
        stage.world.fault("access-denied", service=service, operation=operation)
        stage.world.fault("delay", operation="UpdateService", seconds=1.5, count=1)
        run = stage.begin(monkeypatch, *target, revision=revision)
        stage.until(lambda: stage.calls("UpdateService", accepted=False), "UpdateService to arrive")
        stage.kill_executor(run)
        stage.resume(run)
        record = stage.until_finished(run)
        stage.until_gone(run)
        stage.world.clear_faults()
        assert (record.outcome, record.ending) == ("done", ""), operation
        assert len(stage.calls("UpdateService", accepted=False)) == 1


def test_a_denial_that_comes_and_goes_takes_no_older_deployment_for_ours(
    shared: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history could not be read when the service was looked at, and can be when it is probed: an older deployment of the same
    revision is in it. The call did not arrive, and is sent again."""
    stage = shared
    target = stage.next_target()
    before = stage.current(*target)
    first = another(stage, target)
    for revision in (first, str(before)):
        run = stage.begin(monkeypatch, *target, revision=revision)
        assert stage.until_finished(run).outcome == "done"
        stage.until_gone(run)
    stage.seen = max(call["seq"] for call in stage.world.calls())
    stage.world.fault("access-denied", operation="ListServiceDeployments", count=1)
    stage.world.fault("drop-before", operation="UpdateService", count=1)
    run = stage.begin(monkeypatch, *target, revision=first)
    record = stage.until_finished(run)
    assert (record.outcome, record.ending) == ("done", "")
    assert len(stage.calls("UpdateService")) == 1
    assert stage.current(*target) == int(first)


def test_export_put_tells_without_the_history(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where somebody wrote another value behind a lost answer would the history tell more."""
    stage = shared
    stage.next_target()
    name = "/shared/network/vpc-id"
    stage.world.fault("access-denied", service="ssm", operation="GetParameterHistory")
    stage.world.fault("drop-after", service="ssm", operation="PutParameter", count=1)
    done = stage.console(
        *("run", "export-put", "--service", "fileflow", "--env", "prod", "--json"),
        *("--set", f"name={name}", "--set", "value=vpc-0123456789abcdef0", "--set", "reason=prod answers 503"),
        *("--answer", f"type-export={name}"),
    )
    assert done.returncode == 0, done.stderr
    assert len(stage.calls("PutParameter", service="ssm", accepted=False)) == 1


@pytest.mark.parametrize("denied", [("s3", "HeadObject"), ("dynamodb", "DescribeTable"), ("s3", "GetBucketVersioning")])
def test_a_lost_state_comes_back_after_a_lost_answer(shared: Stage, denied: tuple[str, str]) -> None:
    """None of these is a right that bringing a state back needs."""

    stage = shared
    stage.next_target()
    s3 = client(stage.world, "s3")
    place = stage.config.environment("prod").state_bucket
    key = stage.config.state_key_of("fileflow", "prod")
    s3.delete_object(Bucket=place, Key=key)
    stage.seen = max(call["seq"] for call in stage.world.calls())
    stage.world.fault("access-denied", service=denied[0], operation=denied[1])
    stage.world.fault("drop-after", service="s3", operation="DeleteObject", count=1)
    done = stage.console(
        *("run", "state-undelete", "--service", "fileflow", "--env", "prod", "--json"),
        *("--answer", "type-target=fileflow-prod", "--answer", "reason=somebody deleted it", "--answer", "confirm=yes"),
    )
    stage.world.clear_faults()
    assert done.returncode == 0, done.stderr
    assert len(stage.calls("DeleteObject", service="s3", accepted=False)) == 1
    assert s3.get_object(Bucket=place, Key=key)["Body"].read()
