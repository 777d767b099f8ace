import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infraconsole.redaction import Redactor
from infraconsole.terraform import documents, plan, plan_record
from infraconsole.terraform.attributes import differences, shown

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("file", sorted(DATA.glob("*.json")), ids=lambda file: file.name)
def test_what_terraform_wrote_is_read_as_by_the_own_reader(file: Path) -> None:
    data = file.read_bytes()
    assert documents.load(data) == json.loads(data)


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901234567890",
        "-0",
        "1.0",
        "1.10",
        "0.12345678901234567891",
        '{"a": 1, "a": 2}',
        r'"\ud83d\ude00 \u0000"',
        r'"\ud800"',
        "1e400",
        "-1e400",
        "1e-400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "Infinity",
    ],
)
def test_values_do_not_differ_from_those_of_the_own_reader(text: str) -> None:
    found = documents.load(text.encode())
    wanted = json.loads(text, parse_float=documents.number)
    assert (found, type(found), repr(found)) == (wanted, type(wanted), repr(wanted))


def test_numbers_beyond_a_float_are_compared_digit_by_digit() -> None:
    huge = documents.number("1e400")
    assert huge == 10**400
    assert huge != 10**400 + 1
    assert hash(huge) == hash(10**400)
    assert huge not in (math.inf, -math.inf, 1.0, True, None, "1e400")
    assert documents.number("9007199254740993.0") == 2**53 + 1
    assert documents.number("9007199254740993.0") != 2**53
    endless = documents.number("1e99999999999999999999")
    assert endless == documents.number("1e99999999999999999999")
    assert endless not in (huge, 10**400, math.inf, documents.number("1e99999999999999999998"))
    assert differences({"a": huge}, {"a": 10**400 + 1})
    assert json.loads(documents.text([huge, endless]), parse_float=str) == ["1e400", "1e99999999999999999999"]


def test_what_is_no_number_is_taken_as_by_the_own_reader() -> None:
    assert math.isnan(documents.load(b"NaN"))


@pytest.mark.parametrize(
    "data", [b"", b"  ", b'{"a": ', b'{"a": 1} x', b"[1,]", b'"\x01"', b'"\xff"', b"[" * 100_000, b"1" * 5_000]
)
def test_errors_are_those_of_the_own_reader(data: bytes) -> None:
    def said(attempt: Any) -> tuple[type, str]:
        with pytest.raises((ValueError, RecursionError)) as caught:
            attempt()
        return caught.type, str(caught.value)

    wanted = said(lambda: json.loads(data.decode()))
    assert said(lambda: documents.load(data)) == wanted
    assert not issubclass(wanted[0], msgspec.MsgspecError)


LONG, OTHER = "0.12345678901234567890123", "0.12345678901234567890124"


def test_numbers_keep_their_digits() -> None:
    one, other = documents.load(f"[{LONG}, [{OTHER}]]".encode())
    assert one != other[0]
    assert one == documents.load(LONG.encode())
    assert (documents.load(b"1.50"), type(documents.load(b"1.5"))) == (1.5, float)
    assert documents.load(b"12345678901234567890123") != documents.load(b"12345678901234567890124")
    assert documents.text({"a": [one, 1.5, "x"]}) == f'{{"a": [{LONG}, 1.5, "x"]}}'
    assert documents.text({"a": one}, indent=1) == f'{{\n "a": {LONG}\n}}'


def test_numbers_that_differ_behind_what_a_float_keeps_are_a_change() -> None:
    change = {
        "actions": ["update"],
        "before": {"n": "BEFORE", "in": {"j": ["BEFORE"]}},
        "after": {"n": "AFTER", "in": {"j": ["AFTER"]}},
    }
    entry = {"address": "aws_x.y", "mode": "managed", "type": "aws_x", "name": "y", "change": change}
    written = json.dumps({"format_version": "1.2", "resource_changes": [entry], "resource_drift": [entry]})
    document = written.replace('"BEFORE"', LONG).replace('"AFTER"', OTHER).encode()
    for data in (document, plan_record.record_of(document, Redactor())):
        found = plan.read(data)
        for changed in (*found.changes, *found.real_drift):
            assert [each.name for each in changed.attributes()] == ["in.j", "n"]
            assert changed.attributes()[1].lines() == (f"- n: {LONG}", f"+ n: {OTHER}")
        assert len(found.real_drift) == 1


def test_json_in_text_keeps_its_digits_too() -> None:
    (change,) = differences({"policy": f'{{"n": {LONG}}}'}, {"policy": f'{{"n": {OTHER}}}'})
    assert (change.counts, shown(change.after)) == (True, OTHER)
