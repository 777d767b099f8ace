"""Every page of a listing is waited for by itself, with botocore's paginators and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infraconsole.engine import patience
from infraconsole.engine.patience import PatientAccess
from infraconsole.errors import AwsError, AwsFault, CredentialsExpired
from tests.unit.test_aws_access import REGION, Server, fault
from tests.unit.test_aws_access import _nobodys_aws as _nobodys_aws
from tests.unit.test_aws_access import environ as environ
from tests.unit.test_aws_access import server as server
from tests.unit.whole import service_deployment


class Patient:
    """Waits no time at all, and says what for."""

    def __init__(self) -> None:
        self.said: list[AwsError] = []

    def back_off(self, error: AwsError, seconds: float) -> None:
        self.said.append(error)

    def heed(self) -> None:
        pass

    def await_credentials(self, error: AwsError, account: Callable[[], str]) -> None:
        self.said.append(error)


@pytest.mark.parametrize("operation", ["ListServices", "ListServiceDeployments"])
@pytest.mark.parametrize(
    ("code", "kind"), [("ServerException", AwsFault), ("ExpiredTokenException", CredentialsExpired)]
)
def test_a_later_page_that_fails_is_asked_for_again(
    environ: dict[str, str],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    kind: type[AwsError],
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    key = "serviceArns" if operation == "ListServices" else "serviceDeployments"
    failures = {"1": 3, "2": 2}

    def answer(name: str, parameters: dict[str, Any]) -> Any:
        token = parameters.get("nextToken", "0")
        if failures.get(token, 0):
            failures[token] -= 1
            return fault(code, 500 if kind is AwsFault else 400)
        more = {"nextToken": str(int(token) + 1)} if token != "3" else {}
        return 200, {key: [token if operation == "ListServices" else service_deployment(token)], **more}

    server.answer = answer
    access = PatientAccess(region=REGION, environ={**environ, "AWS_MAX_ATTEMPTS": "1"})
    access.waiter = waiter = Patient()
    more = {"service": "s"} if operation == "ListServiceDeployments" else {}
    found = [
        item if isinstance(item, str) else item["serviceDeploymentArn"]
        for item in access.pages("ecs", operation, key, cluster="c", **more)
    ]
    assert found == ["0", "1", "2", "3"]
    assert [type(error) for error in waiter.said] == [kind] * 5
    assert server.count(operation) == 4 + 5


def test_a_page_that_fails_for_good_is_an_error(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda name, parameters: (
        fault("ServerException", 500) if "nextToken" in parameters else (200, {"serviceArns": ["a"], "nextToken": "1"})
    )
    access = PatientAccess(region=REGION, environ={**environ, "AWS_MAX_ATTEMPTS": "1"})
    access.waiter = waiter = Patient()
    with pytest.raises(AwsFault):
        list(access.pages("ecs", "ListServices", "serviceArns", cluster="c"))
    assert len(waiter.said) == len(patience.BACK_OFF_SECONDS)
