from __future__ import annotations

import json
import random
import sys
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest

from infraconsole import text
from infraconsole.redaction import MASK, Redactor
from infraconsole.secret_places import masked, names_a_secret, url_passwords

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x00\r\x9b2Jb‮evil⁦​c\ud800d"


def test_nothing_in_outside_text_can_move_a_cursor() -> None:
    for shown in (text.line(HOSTILE), text.block(HOSTILE)):
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
        assert "‮" not in shown
        assert "⁦" not in shown
        shown.encode()
    assert "\n" not in text.line("a\nb")
    assert text.block("a\r\nb\tc") == "a\nb    c"


# What moves the cursor, changes the direction, or is there without being seen (Unicode 15.1, general categories).
UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
ALL = "".join(map(chr, range(sys.maxunicode + 1)))


def test_of_all_characters_none_comes_through_that_is_not_seen() -> None:
    for shown in (text.line(ALL), text.block(ALL).replace("\n", "")):
        assert {unicodedata.category(character) for character in shown}.isdisjoint(UNSEEN)
        assert not set(shown) & set("\u115f\u1160\u3164\uffa0\u034f\ufe00\ufe0f\U000e0100\u180b")
        shown.encode()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_put_together_stays_harmless_and_is_made_harmless_once(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    often = "\x1b\x07\x9b\x00\r\n\t\u202e\u2066\u200d\ufe0f\u0301\ud800\U000e0041]52;c;[2Ja한é"
    for _ in range(200):
        made = "".join(chance.choice(often) if chance.random() < 0.8 else chance.choice(ALL) for _ in range(40))
        for way in (text.line, text.block):
            shown = way(made)
            assert {unicodedata.category(one) for one in shown.replace("\n", "")}.isdisjoint(UNSEEN)
            assert way(shown) == shown
        assert "\n" not in text.line(made)


def test_marks_do_not_flood_the_lines_around() -> None:
    shown = text.line("Z" + "\u0301" * 1000 + "algo" + "\u20dd" * 9)
    assert shown == "Z" + "\u0301" * 4 + "<+996 marks>algo" + "\u20dd" * 4 + "<+5 marks>"
    for plain in ("e\u0301", "ที่นี่", "한국어", "नमस्ते"):
        assert text.line(plain) == plain
    assert text.line("♻\ufe0f tidy") == "♻ tidy"


def test_long_text_is_cut_and_says_so() -> None:
    assert text.line("x" * 1_000_000, 10) == "xxxxxxxxxx… (+999,990 characters)"


def test_plain_text_stays() -> None:
    for plain in ("plain", "한국어 ✓ é", "[bold]markup[/]"):
        assert text.line(plain) == plain


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3, "0 s"), (12, "12 s"), (240, "4 min"), (3 * 3600, "3 h"), (9 * 86400, "9 d")]
)
def test_ages_are_said_as_people_say_them(seconds: float, said: str) -> None:
    now = datetime.now(UTC)
    assert text.ago(now - timedelta(seconds=seconds), now) == said


def test_every_learned_secret_is_scrubbed_from_everything() -> None:
    redactor = Redactor()
    redactor.learn('s3cr"et\npassw0rd')
    redactor.learn("s3cr")
    said = redactor.data({"a s3cr": ['x s3cr"et', json.dumps('s3cr"et\npassw0rd'), 3, None]})
    assert "s3cr" not in json.dumps(said)
    assert "passw0rd" not in json.dumps(said)
    assert MASK in said["a ••••••"][0]


def test_short_values_do_not_erase_half_of_the_text() -> None:
    redactor = Redactor()
    redactor.learn("on")
    assert redactor.text("one connection") == "one connection"


@pytest.mark.parametrize(
    ("url", "shown", "passwords"),
    [
        ("mysql://root:s3cr3t@db:3306/x?a=b@c", f"mysql://root:{MASK}@db:3306/x?a=b@c", ["s3cr3t"]),
        ("jdbc:postgresql://app:p%40ss@db/x", f"jdbc:postgresql://app:{MASK}@db/x", ["p%40ss", "p@ss"]),
        ("redis://:it's@cache", f"redis://:{MASK}@cache", ["it's"]),
        ("amqp://u:p@ss@h1,amqp://u:two@h2", f"amqp://u:{MASK}@h1,amqp://u:{MASK}@h2", ["p@ss", "two"]),
        ("mongodb://u:pass@h1:27017,h2:27017/x", f"mongodb://u:{MASK}@h1:27017,h2:27017/x", ["pass"]),
        ("mysql://root:s3/cr3t@db/x", f"mysql://root:{MASK}@db/x", ["s3/cr3t"]),
        ('{"a": "smtp://me:one1@h", "b": "smtp://me:two2@h"}',
         f'{{"a": "smtp://me:{MASK}@h", "b": "smtp://me:{MASK}@h"}}', ["one1", "two2"]),
        *((plain, plain, []) for plain in (
            "https://api.example.com:8443/users/joe@example.com", "ssh://git@github.com/a/b.git", "http://[::1]:80/a@b",
            "see http://h:80 or joe@example.com", "arn:aws:iam::123456789012:user/joe@example.com", "root:s3cr3t@db",
        )),
    ],
)  # fmt: skip
def test_passwords_in_urls_are_masked_and_nothing_else_is(url: str, shown: str, passwords: list[str]) -> None:
    assert masked(url) == shown
    assert masked(shown) == shown
    assert list(url_passwords(url)) == passwords
    assert Redactor().data({"x": [url]}) == {"x": [shown]}, "unlearned"


@pytest.mark.parametrize("name", ["DB_PASSWORD", "api-key", "AUTH_TOKEN", "clientSecret", "AWS_ACCESS_KEY_ID"])
def test_names_that_hold_secrets(name: str) -> None:
    assert names_a_secret(name)


def test_names_that_do_not() -> None:
    assert not names_a_secret("LOG_LEVEL")
