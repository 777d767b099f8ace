"""An answer that never ends, however it comes, is given up: in time, with nothing sent afterwards, and with no thread left."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infraconsole.aws import access as access_module
from infraconsole.aws import calls
from infraconsole.aws.access import AwsAccess, ChangingAccess
from infraconsole.errors import CredentialsMissing, Interrupted, NetworkUnreachable, UnexpectedAnswer
from tests.unit.test_aws_access import REGION
from tests.unit.test_aws_access import _nobodys_aws as _nobodys_aws
from tests.unit.whole import NOTHING

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
LENIENT = 20.0
"""Seconds within which a call that may take half a second has to have come back, on a machine however busy."""


class Dripper:
    """Says `first` at once, then `drop` for ever, a piece every twentieth of a second (or as fast as it can)."""

    def __init__(self) -> None:
        self.first = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        self.drop = b"1\r\n \r\n"
        self.pause_seconds = 0.05
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                self.requests += 1
                connection.sendall(self.first)
                while self.drop:
                    connection.sendall(self.drop)
                    time.sleep(self.pause_seconds)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def dripper() -> Iterator[Dripper]:
    dripper = Dripper()
    yield dripper
    dripper.close()


@pytest.fixture
def environ(dripper: Dripper, tmp_path: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": dripper.url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_MAX_ATTEMPTS": "1",
    }


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LENIENT
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def under_way() -> int:
    return sum(1 for thread in threading.enumerate() if thread.name == "aws")


@pytest.mark.parametrize(
    "first", [b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], ids=["status", "headers", "body"]
)
def test_a_dripping_answer_is_given_up_and_its_thread_ends(
    first: bytes, environ: dict[str, str], dripper: Dripper
) -> None:
    dripper.first = first
    dripper.drop = b"1\r\n \r\n" if first.endswith(b"\r\n\r\n") else b"x"
    access = AwsAccess(region=REGION, environ=environ, whole_call_seconds=1.0)
    access.client("ecs")  # what takes time to import is there
    began = time.monotonic()
    with pytest.raises(NetworkUnreachable, match="did not answer ecs:ListClusters in time"):
        access.call("ecs", "ListClusters")
    assert time.monotonic() - began < LENIENT
    assert eventually(lambda: under_way() == 0), "its connection was shut, so that it ends"


def test_a_dripping_answer_to_a_change_may_be_done(environ: dict[str, str], dripper: Dripper) -> None:
    access = ChangingAccess(region=REGION, environ=environ, whole_call_seconds=1.0)
    access._changing_client("ecs")()
    with pytest.raises(NetworkUnreachable) as caught:
        access.change("ecs", "UpdateService", service="x")
    assert caught.value.maybe_done
    assert dripper.requests == 1


def test_an_interrupt_is_heard_while_an_answer_drips(environ: dict[str, str]) -> None:
    class Heeding(AwsAccess):
        def heed(self) -> float:
            raise Interrupted("Interrupted by kim.")

    began = time.monotonic()
    with pytest.raises(Interrupted):
        Heeding(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert time.monotonic() - began < LENIENT
    assert eventually(lambda: under_way() == 0)


def test_a_change_is_hurried_when_somebody_asks_to_stop(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "HURRIED_SECONDS", 1.0)
    access = ChangingAccess(region=REGION, environ=environ)
    access._changing_client("ecs")()
    access.hurried = lambda: True
    with pytest.raises(NetworkUnreachable) as caught:
        access.change("ecs", "UpdateService", service="x")
    assert caught.value.maybe_done


def test_what_is_given_up_before_it_was_sent_is_never_sent(
    environ: dict[str, str], dripper: Dripper, tmp_path: Path
) -> None:
    """The credentials come only after nobody waits any more."""
    del environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    go, came = tmp_path / "go", tmp_path / "came"
    script = tmp_path / "credentials.sh"
    keys = json.dumps({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s"})
    script.write_text(f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.05; done\necho '{keys}'\ntouch {came}\n")
    script.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {script}\n")
    environ["AWS_CONFIG_FILE"] = str(config)
    access = ChangingAccess(region=REGION, environ=environ, whole_call_seconds=0.5)
    with pytest.raises(NetworkUnreachable, match="could not be sent in time") as caught:
        access.change("ecs", "UpdateService", service="x")
    assert not caught.value.maybe_done
    go.touch()
    assert eventually(came.exists)
    assert eventually(lambda: under_way() == 0)
    assert dripper.requests == 0


@pytest.mark.parametrize("operation", ["ListClusters", "UpdateService"])
def test_an_answer_without_end_is_not_read_into_memory(
    operation: str, environ: dict[str, str], dripper: Dripper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MOST_BYTES", 2**20)
    dripper.drop, dripper.pause_seconds = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0.0
    access = ChangingAccess(region=REGION, environ=environ)
    send = access.change if operation == "UpdateService" else access.call
    asked = {"service": "x"} if operation == "UpdateService" else {}
    with pytest.raises(UnexpectedAnswer, match="has no end") as caught:
        send("ecs", operation, **asked)
    assert caught.value.maybe_done
    assert eventually(lambda: under_way() == 0)


def test_an_object_without_end_is_not_read_into_memory(
    environ: dict[str, str], dripper: Dripper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MOST_BODY_BYTES", 2**20)
    dripper.first = (
        b'HTTP/1.1 200 OK\r\nETag: "a"\r\nLast-Modified: Mon, 02 Mar 2026 10:00:00 GMT\r\n'
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    dripper.drop, dripper.pause_seconds = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0.0
    with pytest.raises(UnexpectedAnswer, match="has no end"):
        AwsAccess(region=REGION, environ=environ).call("s3", "GetObject", Bucket="b", Key="k")
    assert eventually(lambda: under_way() == 0)


def test_a_connection_that_another_call_uses_by_now_is_left_alone(environ: dict[str, str], dripper: Dripper) -> None:
    body = json.dumps(NOTHING["ListClusters"]).encode()
    dripper.first = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    dripper.drop = b""
    access = AwsAccess(region=REGION, environ=environ)
    call = calls.Call(lambda: access.client("ecs").list_clusters())
    call.carried_out(LENIENT, calls.patiently)
    other = object()
    shut: list[Any] = []
    call._connection = SimpleNamespace(used_by=other, sock=SimpleNamespace(shutdown=shut.append))
    call._done.clear()
    assert call._give_up()
    assert shut == []


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "/dev/zero", "large"])
def test_a_configuration_of_awss_that_has_no_end_is_not_read(
    variable: str, kind: str, environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "aws"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(10 * 2**30)
    else:
        path = Path(kind)
    environ[variable] = str(path)
    began = time.monotonic()
    with pytest.raises(CredentialsMissing, match="configuration file cannot be read"):
        AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")
    assert time.monotonic() - began < LENIENT


def test_dev_null_is_an_empty_configuration(environ: dict[str, str], dripper: Dripper) -> None:
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    body = json.dumps(NOTHING["ListClusters"]).encode()
    dripper.first = HEAD + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    dripper.drop = b""
    environ["AWS_CONFIG_FILE"] = os.devnull
    assert AwsAccess(region=REGION, environ=environ).call("ecs", "ListClusters")["clusterArns"] == []
