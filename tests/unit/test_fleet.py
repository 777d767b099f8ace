"""What a fleet costs at the API, counted call by call: what AWS tells of many rows at once is asked for once, and what cannot have
changed is not asked for again. What is told of a row is what the loaders tell of it alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infraconsole import naming
from infraconsole.aws.budget import Lane, reading
from infraconsole.config import Config, load, parse
from infraconsole.errors import AccessDenied, AwsNotFound, ConfigError
from infraconsole.fleet import plan
from infraconsole.fleet.job import Job, Told
from infraconsole.overview import Overview
from tests.screens.conftest import FakeAccess

SERVICES = tuple(f"service{number}" for number in range(10))
ENVIRONMENTS = ("dev", "staging", "prod")
QUIET = {"DescribeServices": 30, "DescribeAlarms": 1, "ListObjectsV2": 3, "BatchGetItem": 3, "GetParameters": 3}


class Fleet(FakeAccess):
    """Ten services in three environments, deployed days ago. `locked` and `digests` are of lock ids, `etags` of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.etags: dict[tuple[str, str], str] = {}
        self.gone: set[tuple[str, str]] = set()
        self.others = 0
        for service in SERVICES:
            for environment in ENVIRONMENTS:
                self.add(service, environment)
        for raw in self.services.values():
            for deployment in raw["deployments"]:
                deployment["createdAt"] -= timedelta(days=3)
                deployment["updatedAt"] -= timedelta(days=3)

    def whole_pages(self, service: str, operation: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield from super().whole_pages(service, operation, **parameters)
        if operation == "ListObjectsV2":
            for _ in range(self.others):
                yield self.call(service, operation, **parameters)

    def _ListObjectsV2(self, Bucket: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        keys = [f"{service}/terraform.tfstate" for service in SERVICES]
        return {
            "Contents": [
                {"Key": key, "ETag": self.etags.get((Bucket, key), self.etag), "Size": 90}
                for key in keys
                if (Bucket, key) not in self.gone
            ]
        }

    def _HeadObject(self, Bucket: str = "", Key: str = "", **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        return {**super()._HeadObject(), "ETag": self.etags.get((Bucket, Key), self.etag), "VersionId": "v"}

    def _GetObject(self, Key: str, Bucket: str = "", **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        super()._GetObject(Key=Key)
        return {**self._HeadObject(Bucket, Key), "Body": self.state}

    def _GetItem(self, **asked: Any) -> dict[str, Any]:  # noqa: N802
        name = asked["Key"]["LockID"]["S"]
        if name in self.locked:
            return {"Item": {"Info": {"S": self.locked[name]}}}
        return {"Item": {"Digest": {"S": self.digests[name]}}} if name in self.digests else {}


@pytest.fixture
def aws() -> Fleet:
    return Fleet()


@pytest.fixture
def config() -> Config:
    return parse(
        {
            "region": "ap-northeast-2",
            "services": {name: {} for name in SERVICES},
            "environments": {
                name: {"state_bucket": f"{name}-tfstate", "lock_table": "locks", "account": "123456789012"}
                for name in ENVIRONMENTS
            },
        },
        None,
    )


@pytest.fixture
def overview(aws: Fleet, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Overview:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path))
    return Overview(config, lambda _: aws)


def read(jobs: Sequence[Job]) -> dict[tuple[str, str], Told]:
    """Everything once, with all that it leads to."""
    told: dict[tuple[str, str], Told] = {}
    waiting = list(jobs)
    while waiting:
        job = waiting.pop(0)
        try:
            for found in job.read():
                if isinstance(found, Told):
                    assert found.group in job.groups
                    assert found.key in job.rows
                    told[found.key, found.group] = found
                else:
                    waiting.append(found)
        except Exception as error:  # noqa: BLE001 - as the pump tells it
            told.update({(key, group): Told(key, group, error=error) for key in job.rows for group in job.groups})
    return told


def counted(aws: Fleet, jobs: Sequence[Job]) -> dict[str, int]:
    del aws.calls[:]
    read([job for job in jobs if not job.name.startswith("export check")])
    return dict(Counter(aws.calls))


def test_what_thirty_rows_cost_and_what_is_not_asked_twice(aws: Fleet, overview: Overview) -> None:
    jobs = plan.jobs(overview, overview.rows())
    assert counted(aws, jobs) == {**QUIET, "DescribeTaskDefinition": 30, "GetObject": 30}
    assert counted(aws, jobs) == QUIET
    aws.etags["prod-tfstate", "service3/terraform.tfstate"] = '"e2"'
    assert counted(aws, jobs) == {**QUIET, "GetObject": 1}
    assert counted(aws, jobs) == QUIET


def test_what_is_told_together_is_what_is_told_of_each_row_alone(aws: Fleet, overview: Overview) -> None:
    aws.locked["prod-tfstate/service1/terraform.tfstate"] = (
        '{"ID": "1", "Who": "kim", "Operation": "OperationTypeApply"}'
    )
    aws.digests["dev-tfstate/service2/terraform.tfstate-md5"] = "0" * 32
    aws.gone.add(("staging-tfstate", "service4/terraform.tfstate"))
    aws.alarms = [
        {"AlarmName": "service1-prod-cpu", "StateValue": "ALARM"},
        {"AlarmName": "service1-prod-5xx", "StateValue": "OK"},
        {"AlarmName": "service10-prod-cpu", "StateValue": "ALARM"},
    ]
    del aws.services["service5-dev-service"]
    aws.missing_exports.add("/shared/ecr/service6-repository-url")
    told = read(plan.jobs(overview, overview.rows()))
    assert len(told) == 30 * 6, "of every row, every group"
    assert isinstance(told["service4-staging", "state"].error, AwsNotFound)
    assert isinstance(told["service5-dev", "service"].error, AwsNotFound)
    assert told["service6-prod", "exports"].value.missing == ("/shared/ecr/service6-repository-url",)
    assert told["service1-prod", "lock"].value.lock.who == "kim"
    assert told["service2-dev", "state"].value.digest == "0" * 32
    assert [alarm.name for alarm in told["service1-prod", "alarms"].value] == ["service1-prod-cpu", "service1-prod-5xx"]
    alone = Overview(overview.config, lambda _: aws)
    for (key, group), found in told.items():
        service, environment = key.split("-")
        if found.error is None and group != "alarms":
            assert found.value == getattr(alone, group)(service, environment), (key, group)


def test_services_of_one_cluster_are_asked_for_by_ten(
    aws: Fleet, overview: Overview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "cluster", lambda _, environment: f"{environment}-cluster")
    jobs = plan.jobs(overview, overview.rows())
    told = read(jobs)
    assert counted(aws, jobs)["DescribeServices"] == 3
    assert {told[row.key, "service"].value.service.name for row in overview.rows()} == set(aws.services)
    del aws.services["service5-dev-service"]
    told = read(jobs)
    assert isinstance(told["service5-dev", "service"].error, AwsNotFound)
    assert told["service6-dev", "service"].value is not None


@pytest.mark.parametrize("denied", ["ListObjectsV2", "BatchGetItem"])
def test_where_only_single_things_may_be_read_they_are(aws: Fleet, overview: Overview, denied: str) -> None:
    aws.raises[denied] = AccessDenied("Not allowed.", operation=denied, code="AccessDenied")
    jobs = plan.jobs(overview, overview.rows())
    told = read(jobs)
    assert len(told) == 30 * 6
    assert [key for key, found in told.items() if found.error is not None] == []
    assert all(told[row.key, "lock"].value.checked for row in overview.rows())
    again = counted(aws, jobs)
    assert denied not in again, "it is not asked for again and again"
    assert again["GetItem"] >= 30, "what cannot be seen together is looked at one by one"


def test_a_bucket_that_holds_much_else_is_not_listed_to_its_end(aws: Fleet, overview: Overview) -> None:
    aws.others = 5_000
    jobs = plan.jobs(overview, overview.rows())
    told = read(jobs)
    assert all(told[row.key, "state"].value.state is not None for row in overview.rows())
    assert aws.calls.count("ListObjectsV2") <= 3 * 12
    again = counted(aws, jobs)
    assert "ListObjectsV2" not in again
    assert again["HeadObject"] == 30


def test_a_lock_file_is_seen_in_the_list(
    aws: Fleet, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INFRACONSOLE_STATE", str(tmp_path))
    document = {
        "region": "ap-northeast-2",
        "services": {name: {} for name in SERVICES},
        "environments": {name: {"state_bucket": f"{name}-tfstate", "use_lockfile": True} for name in ENVIRONMENTS},
    }
    overview = Overview(parse(document, None), lambda _: aws)
    jobs = plan.jobs(overview, overview.rows())
    told = read(jobs)
    assert all(told[row.key, "lock"].value.lock is None for row in overview.rows())
    assert {"BatchGetItem", "GetItem"} & set(aws.calls) == set()
    listed, got = aws._ListObjectsV2, aws._GetObject
    lock = {"ID": "1", "Who": "kim", "Operation": "OperationTypeApply"}

    def with_lock(Bucket: str, **asked: Any) -> dict[str, Any]:  # noqa: N803
        more = [{"Key": "service7/terraform.tfstate.tflock", "ETag": '"l"'}] if Bucket == "prod-tfstate" else []
        return {"Contents": [*listed(Bucket, **asked)["Contents"], *more]}

    def locked(Key: str, **asked: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": str(lock).replace("'", '"').encode()} if Key.endswith(".tflock") else got(Key, **asked)

    aws._ListObjectsV2 = with_lock  # type: ignore[method-assign]
    aws._GetObject = locked  # type: ignore[method-assign,assignment]
    told = read(jobs)
    assert [row.key for row in overview.rows() if told[row.key, "lock"].value.lock] == ["service7-prod"]


def test_what_nobody_could_read_is_not_told(aws: Fleet, overview: Overview) -> None:
    jobs = plan.jobs(overview, overview.rows())
    names = [job for job in jobs if job.name.startswith("exports")]
    assert read(names) == {}, "half of what is known of exports is not all is well"
    aws.raises["DescribeAlarms"] = AccessDenied("Not allowed.", operation="x", code="AccessDenied")
    told = read(jobs)
    assert all(isinstance(told[row.key, "alarms"].error, AccessDenied) for row in overview.rows())


def test_the_budget_is_one_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "infraconsole.toml"
    assert parse({}, None).aws.calls_per_second == 5
    file.write_text("[aws]\ncalls_per_second = 2\n")
    assert load(file).aws.calls_per_second == 2
    for wrong in ("0", "-1", '"5"', "true", "1000", "nan"):
        file.write_text(f"[aws]\ncalls_per_second = {wrong}\n")
        with pytest.raises(ConfigError, match=r"aws\.calls_per_second is wrong"):
            load(file)
    file.write_text("[aws]\ncalls_a_second = 2\n")
    with pytest.raises(ConfigError, match="calls_per_second"):
        load(file)


def test_environments_of_one_account_share_a_budget_and_a_console_has_its_settings_rate(overview: Overview) -> None:
    assert overview.access("dev").budget is overview.access("prod").budget
    where = overview.where("prod")
    assert overview.rate(where) == overview.config.aws.calls_per_second
    budget = overview.budget("prod")
    assert budget is not None
    budget.refused()
    assert overview.rate(where) < overview.config.aws.calls_per_second
    [(region, slowed)] = overview.slowed()
    assert region == "ap-northeast-2"
    assert slowed.per_second == pytest.approx(budget.rate, rel=0.01)
    with reading(Lane.ASKED) as spent:
        budget.take()
    assert spent.calls == 1
