"""The guard, the retries and the paging, against a small server of our own that counts every request it gets."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from infraconsole.aws.access import READS, AwsAccess, ChangingAccess, ReadOnlyViolation, ViewingAccess, is_read_only
from infraconsole.aws.ecs import Ecs
from infraconsole.errors import (
    EXIT_GATE_REFUSED,
    AwsFault,
    AwsNotFound,
    AwsRefused,
    CredentialsExpired,
    CredentialsMissing,
    NetworkUnreachable,
    SsoLoginNeeded,
    Throttled,
    UnexpectedAnswer,
)
from tests.unit import whole

REGION = "ap-northeast-2"
HANG_UP = object()


class Server:
    """Answers in AWS's JSON protocol. `answer(operation, parameters)` gives (status, document), or HANG_UP."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str, dict[str, Any]], Any] = lambda operation, parameters: (
            200,
            whole.NOTHING.get(operation, {}),
        )
        self.delay_seconds = 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                parameters = json.loads(body) if body.startswith(b"{") else {}
                server.requests.append((operation, parameters))
                time.sleep(server.delay_seconds)
                answer = server.answer(operation, parameters)
                self.close_connection = True
                if answer is HANG_UP:
                    return
                status, document = answer
                payload = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(payload)))
                self.send_header("Connection", "close")  # said beforehand: else a client may use it once more
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def count(self, operation: str) -> int:
        return sum(1 for name, _ in self.requests if name == operation)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def _nobodys_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def environ(server: Server, tmp_path: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }


def fault(code: str, status: int = 400, message: str = "words") -> tuple[int, dict[str, str]]:
    return status, {"__type": code, "message": message}


# The guard


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ecs", "UpdateService"),
        ("ecs", "StopServiceDeployment"),
        ("ecs", "ExecuteCommand"),
        ("ecs", "describeServices"),
        ("ecs", ""),
        ("s3", "PutObject"),
        ("s3", "DeleteObject"),
        ("dynamodb", "DeleteItem"),
        ("dynamodb", "Scan"),
        ("ssm", "PutParameter"),
        ("ssm", "GetAccessToken"),
        ("sts", "GetSessionToken"),
        ("sts", "AssumeRole"),
        ("kms", "Decrypt"),
        ("rds", "PromoteReadReplica"),
        ("route53", "ChangeResourceRecordSets"),
        ("logs", "DeleteLogGroup"),
        ("lambda", "ListFunctions"),
        ("", "DescribeServices"),
    ],
)
def test_refused(service: str, operation: str, environ: dict[str, str], server: Server) -> None:
    assert not is_read_only(service, operation)
    with pytest.raises(ReadOnlyViolation) as caught:
        AwsAccess(region=REGION, environ=environ).call(service, operation)
    assert caught.value.exit_code == EXIT_GATE_REFUSED
    with pytest.raises(ReadOnlyViolation):
        AwsAccess(region=REGION, environ=environ).pages(service, operation, "x")
    assert server.requests == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ecs", "DescribeServices"),
        ("ecs", "ListServiceDeployments"),
        ("elasticloadbalancingv2", "DescribeTargetHealth"),
        ("elbv2", "DescribeTargetHealth"),
        ("sts", "GetCallerIdentity"),
        ("ssm", "GetParametersByPath"),
        ("s3", "ListObjectVersions"),
        ("secretsmanager", "GetSecretValue"),
    ],
)
def test_allowed(service: str, operation: str) -> None:
    assert is_read_only(service, operation)


def test_no_allowed_operation_of_botocores_models_changes_anything() -> None:
    from botocore.session import Session

    verbs = ("Describe", "List", "Get", "BatchGet", "Head", "Lookup", "Filter", "Simulate", "TestDNS", "StartQuery")
    session = Session()
    for service in READS:
        names = session.get_service_model(service).operation_names
        allowed = [name for name in names if is_read_only(service, name)]
        assert allowed, f"{service}: the patterns allow nothing that exists"
        assert all(name.startswith(verbs) for name in allowed), service


def test_every_pattern_of_the_list_names_something_that_exists() -> None:
    from fnmatch import fnmatchcase

    from botocore.session import Session

    session = Session()
    for service, patterns in READS.items():
        names = session.get_service_model(service).operation_names
        for pattern in patterns:
            assert any(fnmatchcase(name, pattern) for name in names), f"{service}:{pattern}"


@pytest.mark.parametrize("kind", [AwsAccess, ChangingAccess])
def test_a_client_taken_directly_is_guarded_too(kind: type[AwsAccess], environ: dict[str, str], server: Server) -> None:
    access = kind(region=REGION, environ=environ)
    with pytest.raises(ReadOnlyViolation):
        access.client("ecs").update_service(service="fileflow-prod-service")
    with pytest.raises(ReadOnlyViolation):
        access.client("s3").put_object(Bucket="b", Key="k", Body=b"")
    assert server.requests == []


def test_call_of_the_changing_access_does_not_change(environ: dict[str, str], server: Server) -> None:
    with pytest.raises(ReadOnlyViolation):
        ChangingAccess(region=REGION, environ=environ).call("ecs", "UpdateService", service="x")
    assert server.requests == []


def test_change_passes_and_its_permit_ends_with_it(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: (200, {"service": whole.service("x")})
    access = ChangingAccess(region=REGION, environ=environ)

    assert access.change("ecs", "UpdateService", service="x")["service"]["serviceName"] == "x"

    client = access._sessions.client("ecs", changes=True, read_timeout_seconds=1.0)
    with pytest.raises(ReadOnlyViolation):
        client.update_service(service="x")
    assert server.count("UpdateService") == 1


def test_a_permit_is_for_one_operation_and_once(environ: dict[str, str], server: Server) -> None:
    """From within the answer of a change, nothing else gets through: not another operation, not the same again."""
    access = ChangingAccess(region=REGION, environ=environ)
    client = access._sessions.client("ecs", changes=True, read_timeout_seconds=1.0)
    refused: list[str] = []

    def intrude(**_: Any) -> None:
        for call in (client.delete_service, client.update_service):
            with pytest.raises(ReadOnlyViolation) as caught:
                call(service="x")
            refused.append(caught.value.operation)

    client.meta.events.register("after-call.ecs.UpdateService", intrude)
    access.change("ecs", "UpdateService", service="x")

    assert refused == ["ecs:DeleteService", "ecs:UpdateService"]
    assert [name for name, _ in server.requests] == ["UpdateService"]


def test_another_threads_permit_does_not_count(environ: dict[str, str], server: Server) -> None:
    """While one thread holds its permit, not yet used, another thread's call of the same operation is refused."""
    access = ChangingAccess(region=REGION, environ=environ)
    client = access._sessions.client("ecs", changes=True, read_timeout_seconds=5.0)
    holding, go_on = threading.Event(), threading.Event()

    def wait(params: dict[str, Any], **_: Any) -> None:
        if params["service"] == "x":
            holding.set()
            go_on.wait(10)

    client.meta.events.register("provide-client-params.ecs.UpdateService", wait)
    thread = threading.Thread(target=lambda: access.change("ecs", "UpdateService", service="x"))
    thread.start()
    assert holding.wait(10)
    try:
        with pytest.raises(ReadOnlyViolation):
            client.update_service(service="y")
    finally:
        go_on.set()
        thread.join()
    assert [parameters["service"] for _, parameters in server.requests] == ["x"]


def test_paginators_and_waiters_go_through_the_guard(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: (200, {"clusterArns": ["a"]})
    client = AwsAccess(region=REGION, environ=environ).client("ecs")
    assert [page["clusterArns"] for page in client.get_paginator("list_clusters").paginate()] == [["a"]]


# Sent once, or again


@pytest.mark.parametrize("name", ["AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"])
@pytest.mark.parametrize("code", ["ServerException", "ThrottlingException"])
def test_change_is_sent_once_whatever_comes_back(code: str, name: str, environ: dict[str, str], server: Server) -> None:
    environ[name] = "6" if name == "AWS_MAX_ATTEMPTS" else "adaptive"
    server.answer = lambda operation, parameters: fault(code, 500 if code == "ServerException" else 400)
    with pytest.raises(AwsFault if code == "ServerException" else Throttled) as caught:
        ChangingAccess(region=REGION, environ=environ).change("ecs", "UpdateService", service="x")
    assert server.count("UpdateService") == 1
    assert caught.value.maybe_done is (code == "ServerException")


def test_change_is_not_sent_again_when_the_connection_is_cut(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: HANG_UP
    with pytest.raises(NetworkUnreachable) as caught:
        ChangingAccess(region=REGION, environ=environ).change("ecs", "UpdateService", service="x")
    assert caught.value.maybe_done
    assert server.count("UpdateService") == 1


def test_change_is_not_sent_again_when_the_answer_is_late(environ: dict[str, str], server: Server) -> None:
    server.delay_seconds = 1.0
    access = ChangingAccess(region=REGION, environ=environ, change_timeout_seconds=0.2)
    with pytest.raises(NetworkUnreachable) as caught:
        access.change("ecs", "UpdateService", service="x")
    assert caught.value.maybe_done
    time.sleep(0.3)
    assert server.count("UpdateService") == 1


def test_change_that_reaches_nobody_was_not_done(environ: dict[str, str], server: Server) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(NetworkUnreachable) as caught:
        ChangingAccess(region=REGION, environ=environ).change("ecs", "UpdateService", service="x")
    assert not caught.value.maybe_done


@pytest.mark.parametrize("code", ["ServerException", "ThrottlingException"])
def test_reads_are_tried_again(code: str, environ: dict[str, str], server: Server) -> None:
    def answer(operation: str, parameters: dict[str, Any]) -> Any:
        good = (200, {"clusterArns": ["a"]})
        return good if len(server.requests) > 2 else fault(code, 500 if code == "ServerException" else 400)

    server.answer = answer
    assert AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")["clusterArns"] == ["a"]
    assert server.count("ListClusters") == 3


def test_reads_give_up_after_four_attempts(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: HANG_UP
    with pytest.raises(NetworkUnreachable):
        AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert server.count("ListClusters") == 4


def test_the_users_own_number_of_attempts_holds(environ: dict[str, str], server: Server) -> None:
    environ["AWS_MAX_ATTEMPTS"] = "2"
    server.answer = lambda operation, parameters: fault("ServerException", 500)
    with pytest.raises(AwsFault):
        AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert server.count("ListClusters") == 2


def test_a_late_answer_is_bounded(environ: dict[str, str], server: Server) -> None:
    environ["AWS_MAX_ATTEMPTS"] = "1"
    server.delay_seconds = 60.0
    began = time.monotonic()
    with pytest.raises(NetworkUnreachable):
        AwsAccess(region=REGION, environ=environ, read_timeout_seconds=0.2).call("ecs", "ListClusters")
    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"OK"])
def test_a_login_page_is_not_an_empty_answer(body: bytes, environ: dict[str, str], server: Server) -> None:
    environ["AWS_MAX_ATTEMPTS"] = "1"
    server.answer = lambda operation, parameters: (200, body)
    with pytest.raises(UnexpectedAnswer, match="something else than documented"):
        AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")


# Paging


def test_pages_are_asked_for_one_at_a_time(environ: dict[str, str], server: Server) -> None:
    def answer(operation: str, parameters: dict[str, Any]) -> Any:
        page = int(parameters.get("nextToken", "0"))
        return 200, {"serviceArns": [f"arn/{page}-{item}" for item in range(100)], "nextToken": str(page + 1)}

    server.answer = answer
    pages = AwsAccess(region=REGION, environ=environ).pages("ecs", "ListServices", "serviceArns", cluster="c")
    assert server.requests == [], "nothing is asked before somebody wants it"
    assert len(list(islice(pages, 150))) == 150
    assert server.count("ListServices") == 2


@pytest.mark.parametrize("operation", ["ListServices", "ListServiceDeployments"])
def test_empty_pages_in_between_and_at_the_end(operation: str, environ: dict[str, str], server: Server) -> None:
    """ListServiceDeployments has no paginator in botocore; both ways have to behave alike."""
    key = "serviceArns" if operation == "ListServices" else "serviceDeployments"
    item: Any = "a" if operation == "ListServices" else whole.service_deployment("a")
    chain = {"": ([item], "1"), "1": ([], "2"), "2": ([item], "3"), "3": ([], None)}

    def answer(name: str, parameters: dict[str, Any]) -> Any:
        items, token = chain[parameters.get("nextToken", "")]
        return 200, {key: items} | ({"nextToken": token} if token else {})

    server.answer = answer
    more = {"service": "s"} if operation == "ListServiceDeployments" else {}
    access = AwsAccess(region=REGION, environ=environ)
    assert list(access.pages("ecs", operation, key, cluster="c", **more)) == [item, item]
    assert server.count(operation) == 4


@pytest.mark.parametrize("operation", ["ListServices", "ListServiceDeployments"])
def test_a_token_that_does_not_move_ends_in_an_error(operation: str, environ: dict[str, str], server: Server) -> None:
    server.answer = lambda name, parameters: (200, {"serviceArns": [], "serviceDeployments": [], "nextToken": "same"})
    more = {"service": "s"} if operation == "ListServiceDeployments" else {}
    with pytest.raises(AwsRefused):
        list(AwsAccess(region=REGION, environ=environ).pages("ecs", operation, "x", cluster="c", **more))
    assert server.count(operation) <= 3


def test_an_error_on_a_later_page_is_translated(environ: dict[str, str], server: Server) -> None:
    def answer(operation: str, parameters: dict[str, Any]) -> Any:
        return (
            fault("ClusterNotFoundException")
            if "nextToken" in parameters
            else (200, {"serviceArns": [], "nextToken": "1"})
        )

    server.answer = answer
    with pytest.raises(AwsNotFound):
        list(AwsAccess(region=REGION, environ=environ).pages("ecs", "ListServices", "serviceArns", cluster="c"))


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (101, [10] * 10 + [1])])
def test_batches_of_ten_on_the_wire(count: int, sizes: list[int], environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: (
        200,
        {"services": [whole.service(name) for name in parameters["services"]]},
    )
    names = [f"service-{number}" for number in range(count)]
    found = Ecs(AwsAccess(region=REGION, environ=environ)).services("c", names)
    assert [one.name for one in found] == names
    assert [len(parameters["services"]) for _, parameters in server.requests] == sizes


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "$(reboot)", "\x1b[2J", "한글 🚨", "../../etc/passwd", "a\nb"])
def test_hostile_text_goes_through_as_data(text: str, environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: (
        200,
        {"services": [whole.service(text, events=[{"id": "1", "message": text}])]},
    )
    (found,) = Ecs(AwsAccess(region=REGION, environ=environ)).services("c", [text])
    assert found.name == text
    assert found.events[0].message == text
    assert server.requests == [("DescribeServices", {"cluster": "c", "services": [text]})]


# Sessions and credentials


def test_clients_are_made_once_and_by_many_threads_at_once(environ: dict[str, str], server: Server) -> None:
    access = AwsAccess(region=REGION, environ=environ)
    clients: list[Any] = []
    threads = [threading.Thread(target=lambda: clients.append(access.client("ecs"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in clients}) == 1
    assert clients[0].meta.config.max_pool_connections >= 32
    assert clients[0].meta.config.connect_timeout == 5
    assert clients[0].meta.config.read_timeout == 10


def test_renew_reads_credentials_anew(environ: dict[str, str], tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environ[name]
    file = tmp_path / "credentials"
    environ["AWS_SHARED_CREDENTIALS_FILE"] = str(file)
    file.write_text("[default]\naws_access_key_id = OLD\naws_secret_access_key = x\n")
    access = AwsAccess(region=REGION, environ=environ)
    assert access.credentials_source() == "shared-credentials-file"
    file.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = x\n")
    assert access._sessions.opened().get_credentials().access_key == "OLD"
    access.renew()
    assert access._sessions.opened().get_credentials().access_key == "NEW"


def test_a_renewed_access_lets_its_former_clients_go(environ: dict[str, str], server: Server) -> None:
    """A run that waits for credentials renews every few seconds, for hours."""
    server.answer = lambda operation, parameters: (400, {"__type": "ExpiredTokenException", "message": "expired"})
    access = AwsAccess(region=REGION, environ=environ)
    with pytest.raises(CredentialsExpired):
        Ecs(access).services("c", ["s"])
    former = weakref.ref(access.client("ecs"))
    access.renew()
    gc.collect()
    assert former() is None


def test_a_view_looks_for_new_credentials_after_it_had_none_but_not_at_every_read(
    environ: dict[str, str], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environ[name]
    file = tmp_path / "credentials"
    environ["AWS_SHARED_CREDENTIALS_FILE"] = str(file)
    monkeypatch.setattr("infraconsole.aws.access.RENEW_AFTER_SECONDS", 3600.0)
    access = ViewingAccess(region=REGION, environ=environ)

    def is_refused() -> bool:
        try:
            access.call("ecs", "ListClusters")
        except CredentialsMissing:
            return True
        return False

    assert is_refused()
    assert is_refused()
    assert access.generation == 1
    file.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = x\n")
    assert is_refused(), "a moment ago there were none"
    assert access.generation == 1
    monkeypatch.setattr("infraconsole.aws.access.RENEW_AFTER_SECONDS", 0.0)
    assert not is_refused()
    assert access.generation == 2
    assert not is_refused()
    assert access.generation == 2, "what works is kept"


def test_source_of_credentials_and_none(environ: dict[str, str]) -> None:
    assert AwsAccess(region=REGION, environ=environ).credentials_source() == "env"
    del environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    access = AwsAccess(region=REGION, environ=environ)
    assert access.credentials_source() == ""
    with pytest.raises(CredentialsMissing, match="no AWS credentials"):
        access.call("ecs", "ListClusters")


def test_the_given_environment_hides_the_process_own(
    environ: dict[str, str], server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text("[default]\naws_access_key_id = USERS\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "USERS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    access = AwsAccess(region=REGION, environ=environ)
    access.call("ecs", "ListClusters")
    assert access._sessions.opened().get_credentials().access_key == "AKIDEXAMPLE"
    assert server.count("ListClusters") == 1

    del environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    assert AwsAccess(region=REGION, environ=environ).credentials_source() == ""


def test_the_process_environment_is_boto3s_business(
    environ: dict[str, str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    AwsAccess(region=REGION).call("ecs", "ListClusters")
    assert server.count("ListClusters") == 1


def test_an_endpoint_for_one_service_only(environ: dict[str, str], server: Server) -> None:
    environ["AWS_ENDPOINT_URL_ECS"] = environ["AWS_ENDPOINT_URL"]
    environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert server.count("ListClusters") == 1


def test_unknown_profile_names_the_known_ones(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[profile company-prod]\nregion = eu-west-1\n[profile company-dev]\n")
    environ["AWS_CONFIG_FILE"] = str(file)
    access = AwsAccess(region=REGION, profile="company-pord", environ=environ)
    with pytest.raises(CredentialsMissing) as caught:
        access.call("ecs", "ListClusters")
    assert "'company-pord'" in caught.value.title
    assert "company-dev, company-prod" in caught.value.mend
    with pytest.raises(CredentialsMissing):
        access.credentials_source()


def test_our_region_wins_over_the_profiles(environ: dict[str, str], tmp_path: Path, server: Server) -> None:
    file = tmp_path / "config"
    file.write_text("[profile p]\nregion = eu-west-1\naws_access_key_id = K\naws_secret_access_key = s\n")
    environ["AWS_CONFIG_FILE"] = str(file)
    access = AwsAccess(region=REGION, profile="p", environ=environ)
    assert access.client("ecs").meta.region_name == REGION


def test_a_profile_with_mfa_never_asks_at_the_terminal(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(
        "[profile base]\naws_access_key_id = K\naws_secret_access_key = s\n[profile p]\nsource_profile = base\n"
        "role_arn = arn:aws:iam::123456789012:role/r\nmfa_serial = arn:aws:iam::123456789012:mfa/o\n"
    )
    environ["AWS_CONFIG_FILE"] = str(file)
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("asked at the terminal"))
    with pytest.raises(CredentialsMissing) as caught:
        AwsAccess(region=REGION, profile="p", environ=environ).call("ecs", "ListClusters")
    assert "aws sts get-caller-identity --profile p" in caught.value.mend


@pytest.mark.parametrize("with_session", [True, False])
def test_an_sso_profile_without_login(with_session: bool, environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config"
    where = "sso_start_url = https://sso.invalid/start\nsso_region = ap-northeast-2\n"
    role = "sso_account_id = 123456789012\nsso_role_name = Operator\n"
    if with_session:
        file.write_text(f"[sso-session company]\n{where}[profile p]\nsso_session = company\n{role}")
    else:
        file.write_text(f"[profile p]\n{where}{role}")
    environ["AWS_CONFIG_FILE"] = str(file)
    with pytest.raises(SsoLoginNeeded) as caught:
        AwsAccess(region=REGION, profile="p", environ=environ).call("ecs", "ListClusters")
    assert caught.value.mend == "Log in: aws sso login --profile p"


def test_a_role_taken_through_sso_names_the_profile_to_log_in_with(environ: dict[str, str], tmp_path: Path) -> None:
    """`aws sso login` with the role's own profile would say that it has no SSO."""
    file = tmp_path / "config"
    file.write_text(
        "[sso-session company]\nsso_start_url = https://sso.invalid/start\nsso_region = ap-northeast-2\n"
        "[profile base]\nsso_session = company\nsso_account_id = 123456789012\nsso_role_name = Operator\n"
        "[profile audit]\nrole_arn = arn:aws:iam::999999999999:role/Audit\nsource_profile = base\n"
    )
    environ["AWS_CONFIG_FILE"] = str(file)
    with pytest.raises(SsoLoginNeeded) as caught:
        AwsAccess(region=REGION, profile="audit", environ=environ).call("ecs", "ListClusters")
    assert caught.value.mend == "Log in: aws sso login --profile base"
    assert caught.value.profile == "audit"


def test_expired_credentials_from_the_environment(environ: dict[str, str], server: Server) -> None:
    server.answer = lambda operation, parameters: fault("ExpiredTokenException", 400, "The security token is expired")
    with pytest.raises(CredentialsExpired) as caught:
        AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert "AWS_ACCESS_KEY_ID" in caught.value.mend
    assert server.count("ListClusters") == 1, "there is no use in trying again"


def test_importing_the_layer_does_not_import_botocore() -> None:
    code = (
        "import sys\n"
        "from infraconsole.aws import access, ecs, ecr, elbv2, ssm, s3, sts, logs, cloudwatch, dynamodb, errors\n"
        "from infraconsole.checks import doctor\n"
        "sys.exit(any(name in sys.modules for name in ('boto3', 'botocore', 'sh')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
