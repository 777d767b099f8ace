import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infraconsole.terraform import documents

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
        "Infinity",
    ],
)
def test_values_do_not_differ_from_those_of_the_own_reader(text: str) -> None:
    found = documents.load(text.encode())
    assert (found, type(found), repr(found)) == (wanted := json.loads(text), type(wanted), repr(wanted))


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
