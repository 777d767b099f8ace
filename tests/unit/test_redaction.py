"""Secrets that were learned, in every form, wherever a line or a batch ends; and texts without secrets, which stay as they are."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from time import process_time
from typing import Any, Literal
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infraconsole.redaction import MASK, NOTHING, Redactor
from infraconsole.secret_places import masked

SECRET = 'S3cr3t/&<Value>+"it\'s" 9xQz'
PATIENT = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def _units(text: str) -> list[bytes]:
    raw = text.encode("utf-16-be")
    return [raw[at : at + 2] for at in range(0, len(raw), 2)]


def _jsonencode(value: Any) -> str:
    """As Terraform writes it."""
    found = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON, not only ASCII": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda s: json.dumps(json.dumps(s))[3:-3],
    "JSON of Go": lambda s: json.dumps(s)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 of echo": lambda s: base64.b64encode(f"{s}\n".encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "URL": lambda s: quote(s, safe=""),
    "URL with slashes": quote,
    "URL of a form": quote_plus,
    "URL, small": lambda s: "%".join((first := quote(s, safe="").split("%"))[:1] + [p[:2].lower() + p[2:] for p in first[1:]]),
    "HTML": html.escape,
    "HTML of Go": lambda s: html.escape(s, quote=False).replace('"', "&#34;").replace("'", "&#39;"),
    "shell": lambda s: shlex.quote(s).removeprefix("'").removesuffix("'"),
}  # fmt: skip

UNDONE: dict[str, Callable[[str], str]] = {
    "hex with colons": lambda s: s.encode().hex(":"),
    "HEX with colons": lambda s: s.encode().hex(":").upper(),
    "hex with hyphens": lambda s: s.encode().hex("-"),
    "\\x": lambda s: "".join(f"\\x{byte:02x}" for byte in s.encode()),
    "\\X": lambda s: "".join(f"\\x{byte:02X}" for byte in s.encode()),
    "URL twice": lambda s: quote(quote(s, safe=""), safe=""),
    "URL three times": lambda s: quote(quote(quote(s, safe=""), safe=""), safe=""),
    "HTML, all in numbers": lambda s: "".join(f"&#{ord(each)};" for each in s),
    "HTML, all in hex": lambda s: "".join(f"&#x{ord(each):x};" for each in s),
    "HTML, all in HEX": lambda s: "".join(f"&#x{ord(each):04X};" for each in s),
    "HTML, special ones in numbers": lambda s: "".join(each if each.isalnum() else f"&#{ord(each)};" for each in s),
    "\\u": lambda s: "".join(f"\\u{int.from_bytes(s16, 'big'):04X}" for s16 in _units(s)),
    "base64 of JSON": lambda s: base64.b64encode(json.dumps(s)[1:-1].encode()).decode(),
    "base64 of JSON of Terraform": lambda s: base64.b64encode(_jsonencode(s)[1:-1].encode()).decode(),
}  # fmt: skip


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    redactor.learn(*secrets)
    return redactor


@pytest.mark.parametrize("form", [*FORMS, *UNDONE])
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    found = knowing(SECRET).text(f"it says: {(FORMS | UNDONE)[form](SECRET)}; and goes on")
    assert found == f"it says: {MASK}; and goes on"


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "kim:x:"])
@pytest.mark.parametrize("after", ["", "\n", "@", "@host"])
@pytest.mark.parametrize("secret", ["hunter2-hunter2", "abcd", "pässwörd✓", SECRET])
def test_it_is_found_within_a_longer_base64_text(before: str, after: str, secret: str) -> None:
    whole = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    for text in (whole, whole.replace("+", "-").replace("/", "_")):
        found = knowing(secret).text(f"Basic {text}")
        assert MASK in found
        rest = found.removeprefix("Basic ").replace(MASK, "")
        assert len(rest) <= len(base64.b64encode(f"{before}{after}".encode())) + 4


@pytest.mark.parametrize("form", [each for each in FORMS if each != "shell"])
@pytest.mark.parametrize("at", [1, 5, 9, 14])
@pytest.mark.parametrize("joint", ["\n", "\n    ", "\r\n", "\n│ ", " \n\t"])
def test_one_that_is_broken_over_two_lines_is_found(form: str, at: int, joint: str) -> None:
    text = FORMS[form](SECRET).replace(" ", "")
    found = knowing(SECRET).text(f"said: {text[:at]}{joint}{text[at:]} and on")
    assert text[at:] not in found
    assert text[:at] not in found or at < 4
    assert found.count("\n") == 1


def test_base64_that_is_wrapped_is_found() -> None:
    secret = "x7Q-" * 60
    wrapped = base64.encodebytes(secret.encode()).decode()
    found = knowing(secret).text(f"data:\n{wrapped}end")
    assert not any(line in found for line in wrapped.splitlines())
    assert found.splitlines()[-1] == "end"


@pytest.mark.parametrize("size", [8, 60, 76])
@pytest.mark.parametrize("joint", ["\\n", "\\r\\n", "\\\\n", "\\n  "])
def test_base64_whose_line_breaks_are_escaped_is_found(size: int, joint: str) -> None:
    secret = "x7Q-é" * 60
    whole = base64.b64encode(secret.encode()).decode()
    wrapped = joint.join(whole[at : at + size] for at in range(0, len(whole), size))
    assert knowing(secret).text(f'{{"data": "{wrapped}"}}') == f'{{"data": "{MASK}"}}'


@pytest.mark.parametrize("joint", [":", "-", " ", ",", ", ", "\\x", ", 0x", ",0x", ",0X"])
@pytest.mark.parametrize("kind", ["02x", "02X"])
def test_bytes_in_hex_are_found_whatever_stands_between_them(joint: str, kind: str) -> None:
    written = joint.join(format(byte, kind) for byte in "Sücr3t-pw".encode())
    found = knowing("Sücr3t-pw").text(f"x {joint.strip(', :-')}{written} y")
    assert found.removeprefix("x ").removeprefix("0").lower().removeprefix("x") == f"{MASK} y"


def test_a_secret_of_terraforms_jsonencode_in_base64_is_found_within_more() -> None:
    whole = base64.b64encode(_jsonencode({"user": "kim", "password": SECRET, "port": 1}).encode()).decode()
    found = knowing(SECRET).text(whole)
    assert MASK in found
    assert len(found) < 90


@pytest.mark.parametrize("learned", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_accents_may_be_written_either_way(learned: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]) -> None:
    secret = "pässwörd-ñandú"
    redactor = knowing(normalize(learned, secret))
    assert redactor.text(f"x {normalize(written, secret)} y") == f"x {MASK} y"
    assert redactor.text(json.dumps(normalize(written, secret))) == f'"{MASK}"'


def test_short_ones_are_found_with_escapes_but_not_made_up_across_escaped_white_space() -> None:
    assert knowing("a<c&").text("x a&#60;c&#38; y") == f"x {MASK} y"
    assert knowing("abcd").text("ab\\ncd, ab&#32;cd, ab\\tcd") == "ab\\ncd, ab&#32;cd, ab\\tcd"
    assert knowing("nhunter2").text("DOMAIN\\nhunter2") == f"DOMAIN\\{MASK}"


def test_all_of_two_secrets_that_overlap_is_masked() -> None:
    assert knowing("abcdefgh", "efghijkl").text("x abcdefghijkl y") == f"x {MASK} y"


def test_short_ones_are_not_made_up_of_two_words() -> None:
    assert knowing("abcd").text("ab cd, ab\ncd, abcd") == f"ab cd, ab\ncd, {MASK}"


def test_words_that_a_run_needs_are_not_learned() -> None:
    redactor = Redactor()
    redactor.spare("fileflow-prod", "/home/kim/fileflow")
    redactor.learn("prod", "fileflow", "true", "real-secret")
    assert redactor.text("fileflow-prod is true, real-secret") == f"fileflow-prod is true, {MASK}"


def test_what_stands_under_the_name_of_a_secret_is_masked_in_data() -> None:
    said = Redactor().data(
        {
            "db_password": "hunter2",
            "secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "info"}],
            "command": ["mysql", "--password", "hunter2", "--host", "db"],
            "/etc/secret/terraform.tfvars": "0123abc",
        }
    )
    assert "hunter2" not in json.dumps(said)
    assert said["secret_arn"].startswith("arn:aws")
    assert said["environment"][1]["value"] == "info"
    assert said["command"][-2:] == ["--host", "db"]
    assert said["/etc/secret/terraform.tfvars"] == "0123abc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Server=db;Uid=u;Pwd=a b,c;Database=x", f"Server=db;Uid=u;Pwd={MASK};Database=x"),
        ("Pwd=a b;Database=x;", f"Pwd={MASK};Database=x;"),
        ("jdbc:mysql://db/x?user=u&password=p%40ss&ssl=1", f"jdbc:mysql://db/x?user=u&password={MASK}&ssl=1"),
        ('{"password": "a\\"b", "x": 1}', f'{{"password": "{MASK}", "x": 1}}'),
        ('{\\"password\\":\\"hunter2\\",\\"x\\":1}', f'{{\\"password\\":\\"{MASK}\\",\\"x\\":1}}'),
        ("run --db-password hunter2 --verbose", f"run --db-password {MASK} --verbose"),
        ("mysql -h db -phunter2 shop", f"mysql -h db -p{MASK} shop"),
        ("sshpass -p hunter2 ssh kim@x", f"sshpass -p {MASK} ssh kim@x"),
        ("curl -u kim:hunter2 http://x", f"curl -u kim:{MASK} http://x"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: Bearer {MASK}"),
        ("authorization: Basic a2ltOng=", f"authorization: Basic {MASK}"),
        ("AWS_SECRET_ACCESS_KEY=wJalr/XUt+nF", f"AWS_SECRET_ACCESS_KEY={MASK}"),
        ("export DB_PASS='it is'", f"export DB_PASS='{MASK}'"),
        ("host=db user=u password=hunter2 dbname=x", f"host=db user=u password={MASK} dbname=x"),
        ("AccountName=x;AccountKey=ab/cd==;Endpoint=y", f"AccountName=x;AccountKey={MASK};Endpoint=y"),
        ("~ password: old-one → new-one", f"~ password: {MASK} → {MASK}"),
        ('password = "old" -> "new"', f'password = "{MASK}" -> "{MASK}"'),
        ('{"name":"DB_PASSWORD","value":"hunter2"}', f'{{"name":"DB_PASSWORD","value":"{MASK}"}}'),
        ('name = "DB_PASSWORD"\n  value = "hunter2"', f'name = "DB_PASSWORD"\n  value = "{MASK}"'),
        ("https://ghp_abcdefghijklmnopqrstuvwxyz012345@github.com/x", f"https://{MASK}@github.com/x"),
        ("jdbc:oracle:thin:kim/tiger@//db:1521/x", f"jdbc:oracle:thin:kim/{MASK}@//db:1521/x"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=ab12&x=1",
            f"https://b.s3.amazonaws.com/k?X-Amz-Signature={MASK}&x=1",
        ),
        (
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/\nde==\n-----END RSA PRIVATE KEY-----\nb",
            f"a\n-----BEGIN RSA PRIVATE KEY-----\n{MASK}\n{MASK}\n-----END RSA PRIVATE KEY-----\nb",
        ),
        (
            '"key": "-----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY-----\\n"',
            f'"key": "-----BEGIN PRIVATE KEY-----{MASK}-----END PRIVATE KEY-----\\n"',
        ),
        *(
            (plain, plain)
            for plain in (
                "password must be 8 characters",
                "Password: must have 8 characters",
                "secret_arn = arn:aws:secretsmanager:eu-west-1:1:secret:db-AbC",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
                "token_count = 5, max_tokens: 100, password_length=16",
                "key = value, primary_key: id, keys=3",
                "password = var.db_password",
                "password = (sensitive value)",
                'password = ""',
                "No valid credential sources found: see the log",
                "Error: invalid token: unexpected end of input",
                "PWD=/home/kim, OLDPWD=/tmp",
                "use --password to set it",
                "bypass=1 passed: 3",
                "https://example.com:8443/a@b",
                '{"name": "LOG_LEVEL", "value": "debug"}',
                "Plan: 1 to add, 0 to change, 0 to destroy.",
            )
        ),
    ],
)
def test_secrets_that_nobody_learned_are_masked_where_they_stand_and_nothing_else_is(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown
    assert Redactor().text(text) == shown


def test_a_private_key_that_comes_line_by_line_is_masked_to_its_end() -> None:
    redactor, before, said = Redactor(), NOTHING, []
    lines = ("-----BEGIN PRIVATE KEY-----", "MIIabcd", "efgh==", "-----END PRIVATE KEY-----", "done")
    for line in lines:
        found = redactor.lines([line], before)
        said += found.lines
        before = found.after
    assert said == [lines[0], MASK, MASK, *lines[3:]]


# Properties

secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=40).filter(
    lambda s: len("".join(s.split())) >= 8 and "•" not in s and len(set(s)) > 3
)
surroundings = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(lambda s: "•" not in s)


@PATIENT
@given(secrets, surroundings, surroundings, st.sampled_from(sorted(FORMS)))
def test_no_form_of_a_secret_comes_out(secret: str, before: str, after: str, form: str) -> None:
    written = FORMS[form](secret)
    found = knowing(secret).text(f"{before}{written}{after}")
    assert written.strip() not in found


@PATIENT
@given(st.lists(secrets, max_size=3), st.lists(surroundings | secrets, max_size=6))
def test_what_is_masked_stays_as_it_is(learned: list[str], parts: list[str]) -> None:
    redactor = knowing(*learned)
    once = redactor.text(" ".join([*parts, *learned, "password=abc12"]))
    assert redactor.text(once) == once


@PATIENT
@given(secrets, st.text(st.sampled_from("abc xyz,.\n\t(1234)é"), max_size=200))
def test_text_without_secrets_is_left_alone(secret: str, text: str) -> None:
    assume(not set(secret) <= set("abc xyz,.\n\t(1234)é"))
    assume(not any(len(line) >= 4 and line in text for line in secret.splitlines()))
    redactor = knowing(secret + "QQ")
    assert redactor.text(text) == text


pieces = st.sampled_from(
    ["one", "  two", SECRET.replace(" ", ""), SECRET[:9], SECRET[9:].replace(" ", ""), "MIIabc", "-----BEGIN PRIVATE KEY-----",
     "-----END PRIVATE KEY-----", "password=x1", '"name": "DB_PASSWORD",', '"value": "hunter2"', "", "S3cr", "S3"]
)  # fmt: skip


@PATIENT
@given(st.lists(pieces, min_size=1, max_size=12), st.data())
def test_it_does_not_matter_where_the_lines_are_cut_into_batches(lines: list[str], data: st.DataObject) -> None:
    redactor = knowing(SECRET.replace(" ", ""))
    whole = redactor.lines(lines).lines
    assert in_batches(redactor, lines, lambda left: data.draw(st.integers(1, left))) == whole


def in_batches(redactor: Redactor, lines: list[str], size: Callable[[int], int]) -> list[str]:
    said: list[str] = []
    before, pending, rest = NOTHING, list[str](), list(lines)
    while rest:
        count = size(len(rest))
        pending, rest = pending + rest[:count], rest[count:]
        found = redactor.lines(pending, before)
        if not rest:
            return said + found.lines
        said += found.lines[: found.held]
        if found.held:
            before = redactor.lines(pending[: found.held], before).after
        pending = pending[found.held :]
    return said


def test_long_texts_are_read_in_chunks_and_nothing_is_lost_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = knowing(SECRET)
    text = "\n".join(f"line {n} {SECRET if n % 7 == 0 else ''}\n{SECRET[:12]}\n   {SECRET[12:]} x" for n in range(300))
    whole = redactor.text(text)
    assert SECRET[12:] not in whole
    for size in (1, 30, 257, 4096):
        monkeypatch.setattr("infraconsole.redaction._CHUNK", size)
        assert redactor.text(text) == whole


# Time

RUNS = [
    "://a:", "://", "://a:a ", "password=", 'password="', 'password=\\"', "a@", '"', "'", "\\", "A", "Zm9v", "mysql ", "curl ",
    "curl -u a", "-----BEGIN PRIVATE KEY-----\n", "password=x;", "a;pwd=", "authorization:", 'name":"pwd",', "password -> ",
    "secret,", "&password", "token.", "S3cr", "secret_", "password=&quot;", "eyJ", "bearer ", "--password ", "pwd;",
    "\\u0026", "&#", "&#3", "%25", "%2525", "53:", "\\x5", "\\n", "0x53, ", "\\ud83d",
]  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_a_run_of_anything_takes_time_that_grows_with_its_length_alone(run: str) -> None:
    redactor = knowing(
        SECRET, "aaaaaaaa", "a@a@a@a@a@", '""""""""""', "password=password=", *(f"Zm9v{n}abcd" for n in range(50))
    )
    redactor.text("x")

    def seconds(size: int) -> float:
        text = run * (size // len(run))
        return min(_timed(redactor, text) for _ in range(3))

    small, large = seconds(60_000), seconds(240_000)
    assert large < 12 * small + 0.02, (small, large)  # four times as long; sixteen times it would be, were it quadratic


def _timed(redactor: Redactor, text: str) -> float:
    begun = process_time()
    redactor.text(text)
    return process_time() - begun


def test_thousands_of_secrets_with_one_beginning_are_no_slower_to_tell_apart() -> None:
    redactor = knowing(*(f"postgres-password-{n:05}" for n in range(2000)))
    few = knowing(*(f"postgres-password-{n:05}" for n in range(20)))
    text = "postgres-password-x " * 5000
    redactor.text("x")
    few.text("x")
    assert min(_timed(redactor, text) for _ in range(3)) < 10 * min(_timed(few, text) for _ in range(3)) + 0.02


@pytest.mark.parametrize("secret", ["aaaaaaaa", "********", "abababababab", "****"])
def test_a_secret_that_repeats_itself_is_found_in_linear_time(secret: str) -> None:
    redactor = knowing(secret)
    text = secret * (20_000 // len(secret))
    assert redactor.text(text) == MASK
    once, four = (min(_timed(redactor, text * times) for _ in range(3)) for times in (1, 4))
    assert four < 10 * once + 0.02, "in time that grows with the length alone"


@pytest.mark.parametrize("piece", ["x" * 3999 + "\n", "x" * 90 + "\n", "x" * 3999 + "z\n", "xxxxxxxxz"])
def test_the_length_of_a_secret_whose_beginning_repeats_does_not_count(piece: str) -> None:
    text = (piece * (300_000 // len(piece) + 1))[:300_000]
    long, short = knowing("x" * 4000 + "y"), knowing("x" * 40 + "y")
    assert long.text(f"{piece}") == piece
    short.text("x")
    assert min(_timed(long, text) for _ in range(3)) < 12 * min(_timed(short, text) for _ in range(3)) + 0.02


def test_one_long_secret_slows_down_no_other_text() -> None:
    long, short = knowing("".join(f"{n:x}-" for n in range(12_000))), knowing("s3cret-9xQz")
    text = "aws_instance.web[0]: still running, 0-1 of it\n" * 20_000
    long.text("x")
    short.text("x")
    assert min(_timed(long, text) for _ in range(3)) < 4 * min(_timed(short, text) for _ in range(3)) + 0.02


def test_data_of_any_shape_is_copied() -> None:
    said: Any = knowing("hunter2hunter2").data({"a": ["x", ["hunter2hunter2", 3, None, True]], "hunter2hunter2": (1,)})
    assert said == {"a": ["x", [MASK, 3, None, True]], MASK: [1]}
