"""The listing under a path: complete whatever comes first, quick for what is known, within the quota, and never wrong."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.ssm import Parameter, Ssm
from infraconsole.errors import AccessDenied, AwsFault, Throttled
from infraconsole.exports import last_visit, listing
from infraconsole.exports.pace import HIGHER_PER_SECOND, STANDARD_PER_SECOND, Pace

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


class Store(AwsAccess):
    """A Parameter Store in AWS's own shapes; `refuse` maps an operation to the errors of its next calls."""

    def __init__(self, count: int) -> None:
        super().__init__(region="ap-northeast-2")
        self.rows = {f"/shared/a/name-{index:04}": f"value {index}" for index in range(count)}
        self.refuse: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self._guarding = threading.Lock()

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        with self._guarding:
            self.calls.append(operation)
            waiting = self.refuse.get(operation)
            error = waiting.pop(0) if waiting else None
        if error:
            raise error
        if operation == "GetServiceSetting":
            return {"ServiceSetting": {"SettingValue": "true"}}
        assert operation == "GetParameters"
        assert 1 <= len(parameters["Names"]) <= 10
        return {
            "Parameters": [self._raw(name) for name in parameters["Names"] if name in self.rows],
            "InvalidParameters": [name for name in parameters["Names"] if name not in self.rows],
        }

    def _whole_pages(self, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        size = parameters["MaxResults"]
        names = sorted(self.rows)
        for start in range(0, max(1, len(names)), size):
            with self._guarding:
                self.calls.append(operation)
                waiting = self.refuse.get(operation)
            if waiting:
                raise waiting.pop(0)
            page = [self._raw(name) for name in names[start : start + size]]
            if operation == "DescribeParameters":
                page = [{**row, "Tier": "Standard", "Description": "d", "LastModifiedUser": "arn:who"} for row in page]
                for row in page:
                    del row["Value"]
            yield {"Parameters": page}

    def _raw(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Type": "String", "Value": self.rows[name], "Version": 1, "ARN": f"arn:{name}"}


def pace() -> Pace:
    return Pace(lambda: True, sleep=lambda _: None)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 49, 50, 51, 101, 250])
def test_every_parameter_comes_once_with_its_value_and_its_description(count: int) -> None:
    store = Store(count)
    found = listing.whole(Ssm(store), pace(), "/shared")
    assert {parameter.name: parameter.value for parameter in found} == store.rows
    assert [parameter.name for parameter in found] == sorted(store.rows)
    assert all((parameter.tier, parameter.modified_by) == ("Standard", "arn:who") for parameter in found)
    assert all(parameter.arn for parameter in found)


def test_what_is_known_is_read_again_what_has_gone_is_said_and_what_is_new_comes() -> None:
    store = Store(30)
    known = [*sorted(store.rows)[:20], "/shared/a/gone"]
    picture = {"/shared/a/gone": Parameter("/shared/a/gone", "String", "old", 1, None, "")}
    for update in listing.read(Ssm(store), pace(), "/shared", known):
        listing.apply(picture, update)
    assert {name: parameter.value for name, parameter in picture.items()} == store.rows
    assert store.calls.count("GetParameters") == 3 + 1


def test_without_the_permission_to_describe_the_values_come_all_the_same() -> None:
    store = Store(25)
    store.refuse["DescribeParameters"] = [AccessDenied("no", operation="ssm:DescribeParameters")]
    found = listing.whole(Ssm(store), pace(), "/shared")
    assert {parameter.name: parameter.value for parameter in found} == store.rows


def test_throttled_calls_are_sent_again_and_others_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAUSES_SECONDS", (0.0, 0.0))
    store = Store(25)
    store.refuse["GetParameters"] = [Throttled("slow down", operation="ssm:GetParameters")] * 2
    assert len(listing.whole(Ssm(store), pace(), "/shared")) == 25
    store.refuse["GetParameters"] = [AwsFault("broken", operation="ssm:GetParameters")]
    with pytest.raises(AwsFault, match="broken"):
        listing.whole(Ssm(store), pace(), "/shared")
    store.refuse["GetParameters"] = [ValueError("a defect of ours is not silence")]
    with pytest.raises(ValueError, match="not silence"):
        listing.whole(Ssm(store), pace(), "/shared")


def test_a_reading_that_is_left_ends_its_threads() -> None:
    store = Store(200)
    reading = listing.read(Ssm(store), pace(), "/shared")
    next(reading)
    reading.close()
    for thread in threading.enumerate():
        if thread.name.startswith("exports "):
            thread.join(5)
            assert not thread.is_alive()


def test_of_two_answers_about_a_parameter_the_newer_version_holds() -> None:
    described = Parameter("/a", "String", None, 3, NOW, "", description="what", tier="Standard", modified_by="arn:who")
    valued = Parameter("/a", "String", "three", 3, NOW, "arn:/a")
    both = listing.merged(described, valued)
    assert (both.value, both.description, both.arn) == ("three", "what", "arn:/a")
    assert listing.merged(valued, described) == both
    newer = replace(described, version=4)
    assert listing.merged(both, newer).value is None, "the value of version 3 is not shown as version 4's"
    assert listing.merged(newer, valued) == newer


def test_the_pace_is_the_quota_until_the_account_turns_out_to_have_more() -> None:
    for has_more, rate in ((False, STANDARD_PER_SECOND), (True, HIGHER_PER_SECOND)):
        clock = [0.0]
        asked: list[bool] = []

        def sleep(seconds: float, clock: list[float] = clock) -> None:
            clock[0] += seconds

        def more(asked: list[bool] = asked, has_more: bool = has_more) -> bool:
            asked.append(has_more)
            return has_more

        bucket = Pace(more, now=lambda clock=clock: clock[0], sleep=sleep)  # type: ignore[misc]
        for _ in range(520):
            bucket.wait()
        assert 0.9 * 500 / rate <= clock[0] <= 1.1 * 500 / rate + 0.05
        assert asked == [has_more]


def test_a_setting_that_may_not_be_read_leaves_the_standard_quota() -> None:
    def denied() -> bool:
        raise AccessDenied("no", operation="ssm:GetServiceSetting")

    clock = [0.0]
    bucket = Pace(denied, now=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    for _ in range(88):
        bucket.wait()
    assert clock[0] == pytest.approx(68 / STANDARD_PER_SECOND, rel=0.05)


def test_the_last_visit_is_kept_without_secrets_and_for_its_owner_alone(tmp_path: Path) -> None:
    seen = (
        Parameter("/shared/a", "String", "v", 3, NOW, "arn:a", "d", "Standard", "", "arn:who", "text"),
        Parameter("/shared/s", "SecureString", "hunter2", 1, None, "arn:s"),
    )
    file = last_visit.file_for(tmp_path, profile=None, region="r", root="/shared")
    last_visit.save(file, "123456789012", seen, NOW)
    assert b"hunter2" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = last_visit.load(file)
    assert found is not None
    assert (found.account, found.at) == ("123456789012", NOW)
    assert found.parameters == (seen[0], replace(seen[1], value=None))
    assert file != last_visit.file_for(tmp_path, profile="other", region="r", root="/shared")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 99, "parameters": []}', b"\xff"])
def test_a_broken_last_visit_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    assert last_visit.load(tmp_path / "f") is None
    assert last_visit.load(tmp_path / "absent") is None
