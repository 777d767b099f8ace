"""States and locks from their bytes: whole, cut off at any byte, hostile, and with only the serial replaced."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from infraconsole.terraform.state import StateUnreadable, parse_lock, summary, with_serial

STATE = b"""{
  "version": 4,
  "terraform_version": "1.11.4",
  "serial": 7,
  "lineage": "2f5c1a52-0000-4000-8000-000000000000",
  "outputs": {"serial": {"value": "{\\"serial\\": 7}", "type": "string"}, "big": {"value": 1.0e400}},
  "resources": [
    {"mode": "managed", "type": "aws_ecs_service", "name": "s", "instances": [{"serial": 7}, {}]},
    {"mode": "data", "type": "aws_region", "name": "r", "instances": [{}]},
    {"mode": "managed", "type": "aws_kms_key", "name": "k", "instances": []}
  ],
  "check_results": null
}
"""


def test_summary() -> None:
    found = summary(STATE)
    assert (found.serial, found.lineage, found.terraform_version) == (
        7,
        "2f5c1a52-0000-4000-8000-000000000000",
        "1.11.4",
    )
    assert found.resource_count == 2
    assert found.size_bytes == len(STATE)


def test_a_state_cut_off_at_any_byte_is_told() -> None:
    for length in range(len(STATE.rstrip())):
        with pytest.raises(StateUnreadable) as caught:
            summary(STATE[:length])
        assert "cut off" in caught.value.title or "empty" in caught.value.title or "not JSON" in caught.value.title
    with pytest.raises(StateUnreadable, match="cut off"):
        summary(STATE[:200], "Version v3")


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<Error><Code>AccessDenied</Code></Error>", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\x00" * 100, "not JSON"),
        (b"[]", "not a Terraform state"),
        (b"null", "not a Terraform state"),
        (b"{}", "not a Terraform state"),
        (b'{"ID": "x", "Who": "a@b"}', "not a Terraform state"),
        (b"[" * 100_000, "not a Terraform state"),
        (b'{"version": 4, "serial": ' + b"9" * 5000 + b"}", "not a Terraform state"),
        (b'{"version": 3, "serial": 1}', "format 3"),
        (b'{"version": "4", "serial": 1}', "format '4'"),
        (b'{"version": 4, "serial": -1}', "serial"),
        (b'{"version": 4, "serial": true}', "serial"),
        (b'{"version": 4, "serial": "7"}', "serial"),
        (b'{"version": 4, "serial": 1, "resources": {}}', "resources"),
        (b'{"version": 4, "serial": 1, "resources": [1]}', "resources"),
    ],
)
def test_what_is_no_state(data: bytes, title: str) -> None:
    with pytest.raises(StateUnreadable) as caught:
        summary(data, "Version v3")
    assert title in caught.value.title
    assert "Version v3" in caught.value.title


def test_an_empty_state_and_one_without_lineage_are_states() -> None:
    assert summary(b'{"version": 4, "serial": 0}').lineage == ""


@pytest.mark.parametrize("serial", [0, 8, 123456789])
def test_only_the_serials_digits_change(serial: int) -> None:
    changed = with_serial(STATE, serial)
    assert summary(changed).serial == serial
    assert changed == STATE.replace(b'"serial": 7,\n', f'"serial": {serial},\n'.encode(), 1)


def test_a_serial_deeper_down_before_the_real_one_is_left() -> None:
    data = b'{"outputs":{"serial":7},"a":[{"serial":7}],"s\\u0065rial" : 7 ,"version":4,"x":"\xed\x95\x9c"}'
    assert with_serial(data, 8) == data.replace(b'rial" : 7', b'rial" : 8')


def test_of_two_serials_the_one_that_counts_is_changed() -> None:
    data = b'{"serial":1,"version":4,"serial":2}'
    assert with_serial(data, 9) == b'{"serial":1,"version":4,"serial":9}'
    assert summary(with_serial(data, 9)).serial == 9


LOCK = {
    "ID": "5d2a7f9e-1111-2222-3333-444455556666",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "kim@laptop",
    "Version": "1.11.4",
    "Created": "2026-03-01T12:34:56.123456789Z",
    "Path": "ryuqqq-prod-tfstate/fileflow/terraform.tfstate",
}


def test_lock_from_an_object_and_from_the_tables_item() -> None:
    text = json.dumps(LOCK)
    lock = parse_lock(text.encode())
    assert lock == parse_lock(text)
    assert (lock.id, lock.who, lock.operation) == (LOCK["ID"], "kim@laptop", "OperationTypeApply")
    assert lock.created == datetime(2026, 3, 1, 12, 34, 56, 123456, tzinfo=UTC)


@pytest.mark.parametrize("created", ["", "yesterday", "0", 5, None])
def test_a_lock_with_an_odd_time_is_still_a_lock(created: object) -> None:
    assert parse_lock(json.dumps({**LOCK, "Created": created})).created is None


@pytest.mark.parametrize("data", ["", "{}", "null", '{"ID": 5}', '{"ID": "x"', "<x/>", "[" * 100_000, b"\xff"])
def test_what_is_no_lock(data: str | bytes) -> None:
    with pytest.raises(StateUnreadable) as raised:
        parse_lock(data)
    assert "nobody is at work" in raised.value.mend
    assert "delete it by hand" in raised.value.mend
    assert "version" not in raised.value.mend, "a lock has no other versions to take"
    assert "a Terraform state" not in raised.value.title


def test_hostile_text_in_a_lock_stays_data() -> None:
    who = "\x1b]0;x\x07[red]$(rm -rf ~)‮"
    assert parse_lock(json.dumps({**LOCK, "Who": who})).who == who
