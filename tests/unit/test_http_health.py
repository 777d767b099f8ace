"""A health path that drips, or whose body has no end, is asked for no longer than it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from infraconsole.checks import http_health
from tests.unit.test_aws_bounds import LENIENT, Dripper, eventually, under_way


@pytest.fixture
def dripper() -> Iterator[Dripper]:
    dripper = Dripper()
    yield dripper
    dripper.close()


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_dripping_head_is_given_up(first: bytes, dripper: Dripper) -> None:
    dripper.first, dripper.drop = first, b"x"
    began = time.monotonic()
    answer = http_health.ask(dripper.url, timeout_seconds=0.5)
    assert answer.status is None
    assert "0.5 s" in answer.reason
    assert time.monotonic() - began < LENIENT
    assert eventually(lambda: under_way() == 0)


@pytest.mark.parametrize("status", [200, 503, 302])
def test_an_endless_body_is_not_read(status: int, dripper: Dripper) -> None:
    dripper.first = f"HTTP/1.1 {status} X\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    dripper.drop, dripper.pause_seconds = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0.0
    assert http_health.ask(dripper.url, timeout_seconds=LENIENT).status == status
    assert dripper.requests == 1, "nothing is followed"
    assert eventually(lambda: under_way() == 0)


def test_a_head_without_end_is_no_answer(dripper: Dripper) -> None:
    dripper.first, dripper.drop, dripper.pause_seconds = b"HTTP/1.1 200 OK\r\n", b"x" * 65536, 0.0
    assert http_health.ask(dripper.url, timeout_seconds=LENIENT).status is None
