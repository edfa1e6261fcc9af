"""Canonical JSON: the quick way and the slow way say the same, and one wrong row drops no other."""

import json
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import AtFrom, MeterReading
from gateway.mapping import Envelope
from gateway.mapping.canonical_json import CanonicalJson

FORMAT = CanonicalJson()


def rows(number: int) -> list[dict[str, object]]:
    return [
        {
            "meter": f"{index:08}",
            "agreement": "90034",
            "point": f"П {index}",
            "period": "2026-11",
            "at": "2026-11-20T10:00:00+02:00",
            "registers": [{"register": "A+:day", "value": f"{index}.5", "previous": index}, {"register": "A+:night", "value": index}],
        }
        for index in range(number)
    ]


def decoded(body: object, envelope: Envelope | None = None) -> list[MeterReading | Problem]:
    return list(FORMAT.decode(msgspec.json.encode(body), envelope or Envelope()))


def refusal(body: bytes) -> tuple[str, str]:
    with pytest.raises(Rejected) as refused:
        FORMAT.decode(body, Envelope())
    [problem] = refused.value.problems
    return problem.code, problem.where


def test_everything_told_is_kept() -> None:
    reading = decoded({"readings": rows(8)})[7]
    assert isinstance(reading, MeterReading)
    assert (reading.meter, reading.agreement, reading.point, reading.period) == ("00000007", "90034", "П 7", "2026-11")
    assert reading.at is not None
    assert reading.at.utcoffset() == timedelta(hours=2)
    assert reading.at_from is AtFrom.TYPED
    assert [(one.register, one.value, one.previous) for one in reading.readings] == [
        ("A+:day", Decimal("7.5"), Decimal(7)),
        ("A+:night", Decimal(7), None),
    ]
    assert reading.readings[1].where == "readings[7].registers[1].value"


def test_both_ways_say_the_same() -> None:
    good = {"readings": rows(450)}
    quick = decoded(good)
    escaped = json.dumps(good, indent=1).encode()
    assert b"\\u041f" in escaped
    assert list(FORMAT.decode(escaped, Envelope())) == quick


def test_one_wrong_row_among_many_is_the_only_one_refused() -> None:
    many = rows(1000)
    many[777]["registers"] = [{"register": "A+", "value": "12x"}]
    found = decoded({"readings": many})
    wrong = [row for row in found if isinstance(row, MeterReading) and row.problems]
    assert len(found) == 1000
    assert [(row.meter, row.problems[0].code, row.problems[0].where) for row in wrong] == [
        ("00000777", "not_a_number", "readings[777].registers[0].value")
    ]


def test_the_envelope_fills_what_the_row_does_not_say() -> None:
    body = {"readings": [{"meter": "1", "registers": [{"register": "A+", "value": "1"}]}]}
    [reading] = decoded(body, Envelope(agreement="A-1", period="2026-10"))
    assert isinstance(reading, MeterReading)
    assert (reading.agreement, reading.period, reading.at, reading.at_from) == ("A-1", "2026-10", None, AtFrom.ARRIVAL)


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b"[]", "json_shape", ""),
        (b"5", "json_shape", ""),
        (b"{}", "json_missing_key", ""),
        (b'{"readings":{}}', "json_shape", "readings"),
        (b'{"readings":[]}', "nothing_to_take", "readings"),
        (b'{"readings":[{}],"x":1}', "json_unknown_key", "x"),
        (b'{"readings":[{}],"readings":[{}]}', "json_duplicate_key", "readings"),
        (
            b'{"readings":[{"meter":"1","registers":[{"register":"A+","value":"1","value":"2"}]}]}',
            "json_duplicate_key",
            "readings[0].registers[0].value",
        ),
        (b'{"readings":[{"meter":"1"', "json_malformed", "byte 25"),
        (b'{"readings":[{"meter":"1","registers":' + b"[" * 60 + b"]" * 60 + b"}]}", "json_too_deep", ""),
        (b'{"readings":[{"meter":"1","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", "json_too_deep", ""),
        (b'{"readings":[{"meter":"1","registers":[{"register":"A+","value":' + b"[" * 40 + b"]" * 40 + b"}]}]}", "json_too_deep", ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_refused_whole(body: bytes, code: str, where: str) -> None:
    assert refusal(body) == (code, where)


def test_a_key_repeated_where_another_is_left_out_is_found() -> None:
    many = rows(300)
    del many[5]["period"]
    body = msgspec.json.encode({"readings": many}).replace(b'"meter":"00000250",', b'"meter":"00000250","meter":"00000250",')
    assert refusal(body) == ("json_duplicate_key", "readings[250].meter")


@pytest.mark.parametrize(
    ("at", "right"),
    [
        ("2026-11-20T10:00:00+02:00", True),
        ("2026-11-20T10:00:00Z", True),
        ("2026-11-20T10:00:00", False),
        ("2026-11-20", False),
        ("2026-11-31T10:00:00Z", False),
        ("2026-11-20T24:00:00Z", False),
        ("", False),
        (5, False),
    ],
)
def test_an_instant_carries_its_offset(at: object, right: bool) -> None:  # noqa: FBT001 - the other half of the example
    [reading] = decoded({"readings": [{"meter": "1", "at": at, "registers": [{"register": "A+", "value": "1"}]}]})
    assert isinstance(reading, MeterReading)
    assert [problem.code for problem in reading.problems] == ([] if right else ["at_invalid"])


def test_sniffs_json_only() -> None:
    assert FORMAT.sniff(b' {"readings":[]}', "a.xlsx")
    assert not FORMAT.sniff(b"PK\3\4", "a.json")
    assert not FORMAT.sniff(b"", "a.json")
