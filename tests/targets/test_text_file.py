"""The text file of a legacy billing without a server: hostile codes, encodings, control sums, and acknowledgements of every kind."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Misconfigured
from gateway.outbound import Item, Outcome, Target, Value
from gateway.outbound.sftp_file import SftpFile
from gateway.outbound.text_file import ENCODINGS, FIELDS, WORDS, Layout, Unbelievable, answer
from gateway.registry import build
from tests.targets.conftest import item, two

PAGE = Path(__file__).parents[2] / "contracts_schema" / "sftp_file.md"
PENDING, UNKNOWN, TAKEN, REFUSED = Outcome.PENDING, Outcome.UNKNOWN, Outcome.TAKEN, Outcome.REFUSED
HOST_KEY = "billing.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINZAHoqQEY12Gov31QGM0hKh7ZqZOAVqRohvP90Ccc3M"
GOOD: dict[str, Any] = {
    "kind": "sftp_file",
    "host": "billing.example",
    "user": "metergate",
    "password": "s3cret",
    "host_key": HOST_KEY,
    "folder": "/in",
    "acks": "/acks",
}


def layout(encoding: str = "cp1251", columns: dict[str, str] | None = None, zone: str = "UTC") -> Layout:
    return Layout(
        encoding=encoding,
        delimiter=";",
        decimal=",",
        columns=columns or {field: field for field in FIELDS},
        header=True,
        control=True,
        codes={},
        words=WORDS,
        zone=zone,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_text_in_every_code_page(encoding: str) -> None:
    content, refused = layout(encoding=encoding).write([two("k", "ЛС-Ёж 17", meter="7-ж"), item(1, meter="№ 1")])

    assert "k;ЛС-Ёж 17;;7-ж;" in content.decode(encoding)
    assert refused == ({"key-1": "meter_unwritable: № 1"} if encoding == "koi8-r" else {})


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("agreement", "12;34"),
        ("agreement", "12\r\n=1;0"),
        ("agreement", "ІЇЄ 漢"),
        ("agreement", "a\tb"),
        ("point", "a\u2028b"),
        ("meter", "a\x00"),
        ("meter", "a\ud800"),
        ("period", "2025;10"),
        ("key", ""),
        ("key", "=1"),
        ("key", "'k"),
        ("key", "k;OK;1"),
    ],
)
def test_a_code_that_cannot_be_written_as_it_is_refuses_its_item_and_no_other(field: str, code: str) -> None:
    bad = msgspec.structs.replace(two("bad"), **{field: code})

    content, refused = layout().write([bad, item(1)])

    ((key, reason),) = refused.items()
    assert key == bad.key
    assert reason.startswith(f"{field}_unwritable: ")
    assert "\n" not in reason
    assert content == layout().write([item(1)])[0]
    assert layout().write([bad]) == (b"", refused)


@pytest.mark.parametrize("evil", ["=1+1", "+7", "-7", "@SUM(A1)", "＝1", "'5"])
def test_no_text_is_a_formula_or_a_control_row_and_numbers_stay_numbers(evil: str) -> None:
    columns = {"agreement": "agreement", "key": "key", "register": "register", "value": "value"}
    content, refused = layout(columns=columns, encoding="utf-8").write([two("k", evil)])

    assert refused == {}
    assert content.decode().splitlines()[1:] == [f"'{evil};k;A+:day;10,5", f"'{evil};k;A+:night;-0,25", "=2;10,25"]


def test_an_item_without_values_is_refused() -> None:
    assert layout().write([msgspec.structs.replace(item(1), values=())]) == (b"", {"key-1": "no_values"})


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=20), min_size=1, max_size=20))
def test_the_control_sum_is_exact(values: list[Decimal]) -> None:
    reading = msgspec.structs.replace(item(1), values=tuple(Value(register="A+", value=value, unit="kWh") for value in values))

    control = layout().write([reading])[0].decode("cp1251").splitlines()[-1]

    count, total = control.removeprefix("=").split(";")
    assert (int(count), Fraction(total.replace(",", "."))) == (len(values), sum(Fraction(value) for value in values))


def acknowledged(*rows: str, control: str = "") -> bytes:
    taken = sum(row.upper().split(";")[1].strip() == "OK" for row in rows)
    return "".join(f"{row}\r\n" for row in [*rows, control or f"={len(rows)};{taken}"]).encode("cp1251")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["k;OK;17;", "k;OK;17;"], (TAKEN, "17", "")),
        (["k;ok;17", "k; Ok ;18"], (TAKEN, "17, 18", "")),
        (["k;OK;17;", "k;ERROR;;ночь не ведется"], (REFUSED, "", "A+:night: ночь не ведется")),
        (["k;ERROR;;a", "k;ERROR"], (REFUSED, "", "A+:day: a; A+:night: refused")),
        (["k;ERROR;;no such agreement"], (REFUSED, "", "no such agreement")),
        (["k;ERROR;;a;b\x07c"], (REFUSED, "", "a;b c")),
        (["k;LATER;;month is closing"] * 2, (UNKNOWN, "", "month is closing")),
        (["k;OK;17;"], None),
        (["k;OK;17;", "k;LATER"], None),
        (["k;OK;17;"] * 3, None),
        ([], None),
    ],
)
def test_an_item_of_two_rows_is_taken_when_both_are(rows: list[str], told: tuple[Outcome, str, str] | None) -> None:
    found = answer(two("k"), layout().read(acknowledged(*rows)), 2)

    assert (found and (found.outcome, found.reference, found.reason)) == told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no control row"),
        (b"key-1;OK;1;\r\n", "no control row"),
        (b"key-1;OK;1;\r\nkey-2;OK;2;\r\n=2;", "no control row"),
        (b"key-1;OK;1;\r\n=2;2\r\n", "says 2 rows"),
        (b"key-1;OK;1;\r\nkey-2;ERROR;;no\r\n=2;2\r\n", "and 2 taken, it has 2 and 1"),
        (b"key-1;OK;1;\r\n=1;1\r\nkey-2;OK;2;\r\n", "no control row"),
        (b"key-1;OK;1;\r\n=1;1\r\nkey-2;OK;2;\r\n=2;2\r\n", "a row that is none"),
        (b"key-1;PERHAPS;1;\r\n=1;1\r\n", "a row that is none: 'key-1;PERHAPS;1;'"),
        (b";OK;1;\r\n=1;1\r\n", "a row that is none"),
        (b"key-1\r\n=1;0\r\n", "a row that is none"),
        (b"\r\n=1;0\r\n", "a row that is none"),
        (b"key-1;OK;\x98;\r\n=1;1\r\n", "not cp1251"),
        (b"<!doctype html><title>Login</title>", "no control row"),
        (b"key-1;OK;1;\r\n=" + b"1" * 30 + b";1\r\n", "no control row"),
    ],
)
def test_an_acknowledgement_that_is_none_counts_for_nothing(content: bytes, why: str) -> None:
    with pytest.raises(Unbelievable, match=why):
        layout().read(content)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r\n\r\n", b"\r\n\x1a"])
def test_an_acknowledgement_may_end_as_billings_end_theirs(end: bytes) -> None:
    assert [word.number for word in layout().read(b"k;OK;17;\r\n=1;1" + end)] == ["17"]


@pytest.mark.parametrize("rows", [[], ["k;OK;1;", "m;ERROR;;нет"], [f"k{number};OK;{number};" for number in range(12)]])
def test_no_half_of_an_acknowledgement_is_believed(rows: list[str]) -> None:
    whole = acknowledged("key;status;number;reason", *rows, control=f"={len(rows)};{sum(';OK' in row for row in rows)}")
    assert len(layout().read(whole)) == len(rows)

    for length in range(len(whole) - len("\r\n")):
        with pytest.raises(Unbelievable):
            layout().read(whole[:length])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"encoding": "cp1252"}, "encoding"),
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": ",", "decimal": ","}, "decimal"),
        ({"columns": {"a": "key", "b": "value"}}, "columns: key, register and value"),
        ({"columns": {"a": "key", "b": "register", "c": "value", "d": "value"}}, "columns"),
        ({"columns": {"a": "key", "b": "register", "c": "value", "d": "name"}}, "columns: no field 'name'"),
        ({"columns": {"a;b": "key", "b": "register", "c": "value"}}, "columns: 'a;b'"),
        ({"columns": {"=a": "key", "b": "register", "c": "value"}}, "columns"),
        ({"codes": {"A+": "漢"}}, "codes"),
        ({"codes": {"A+:day": "1", "A+:night": "1"}}, "codes: two registers share a code"),
        ({"words": {"OK": "done"}}, "words"),
        ({"words": {"OK": "taken"}}, "words"),
        ({"name": "readings.csv"}, "name"),
        ({"name": "{batch}/{batch}.csv"}, "name"),
        ({"name": "../{batch}"}, "name"),
        ({"name": "{batch}.{date}"}, "name"),
        ({"name": "{batch}.part"}, "name"),
        ({"name": ".{batch}"}, "name"),
        ({"ack": "{batch}.ack"}, "ack"),
        ({"ack": "{name}.csv", "acks": "/in/"}, "ack"),
        ({"password": ""}, "password, key_file"),
        ({"key_file": "/nowhere/key"}, "password, key_file"),
        ({"password": "", "key_file": "/nowhere/key"}, "key_file: No such file"),
        ({"password": "", "key_file": __file__}, "key_file: no private key"),
        ({"host_key": ""}, "host_key"),
        ({"host_key": "billing.example"}, "host_key"),
        ({"host_key": "billing.example ssh-ed25519 AAAAC3NzaC1"}, "host_key"),
        ({"host_key": "billing.example ssh-strange AAAAC3NzaC1lZDI1NTE5AAAAINZAHoqQEY12Gov31QGM0hKh7ZqZOAVqRohvP90Ccc3M"}, "host_key"),
        ({"host_key": f"@revoked {HOST_KEY}"}, "host_key"),
        ({"zone": "Europe/Nowhere"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"host": ""}, "host"),
        ({"acks": ""}, "acks"),
        ({"port": 0}, "port"),
        ({"timeout": 0.0}, "timeout"),
        ({"pasword": "s3cret"}, "pasword"),
    ],
)
def test_what_is_wrong_in_the_settings_is_found_when_the_target_is_built(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        build(Target, GOOD | wrong)

    assert named in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_host_key_may_be_the_line_or_the_whole_of_a_file_or_a_public_key() -> None:
    bare = HOST_KEY.partition(" ")[2]
    for key in (HOST_KEY, f"# billing.example:22 SSH-2.0\n{HOST_KEY} comment\n\n", bare, f"{bare} root@billing"):
        assert repr(build(Target, GOOD | {"host_key": key})) == "SftpFile(metergate@billing.example:22)"


def on_the_page(kind: str) -> str:
    """The page's block of this kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


def reading_of_the_page() -> Item:
    values = (
        Value(register="A+:day", value=Decimal("1843.7"), unit="kWh", previous=Decimal("1723.2"), consumption=Decimal("120.5")),
        Value(register="A+:night", value=Decimal(902), unit="kWh", previous=Decimal(880), consumption=Decimal(22)),
    )
    return Item(
        key="rdg_0199f2a47a0b7c60a2f5d2c1b4e8f001",
        agreement="ЛС-17",
        point="P-2173",
        meter="00021730",
        period="2025-10",
        at=datetime(2025, 10, 25, 12, tzinfo=UTC),
        revision=1,
        values=values,
    )


def test_the_file_on_the_page_is_what_is_written() -> None:
    content, refused = layout(zone="Europe/Moscow").write([reading_of_the_page()])

    assert refused == {}
    assert content.decode("cp1251").replace("\r\n", "\n") == on_the_page("csv")


def test_the_acknowledgement_on_the_page_is_read() -> None:
    words = layout().read(on_the_page("ack").encode("cp1251"))

    told = answer(reading_of_the_page(), words, 2)

    assert told is not None
    assert (told.outcome, told.reason) == (REFUSED, "A+:night: ночной тариф не ведется")


def test_the_settings_on_the_page_are_all_there_are() -> None:
    settings = msgspec.toml.decode(on_the_page("toml"))["targets"]["UTILITY"]["billing"]
    inherited_and_alternative = {"per_lane", "password"}

    assert settings.keys() - {"kind"} == set(SftpFile.__struct_fields__) - inherited_and_alternative
    built = build(Target, {name: value for name, value in settings.items() if name != "key_file"} | {"password": "secret"})

    plain = {field.name: field.default for field in msgspec.structs.fields(SftpFile) if field.default is not msgspec.NODEFAULT}
    assert {name: getattr(built, name) for name in plain} == plain | {"password": "secret"}
