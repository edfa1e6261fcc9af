"""Rows of a register that hold more than one value: before and now, several meters, moments with an offset."""

from datetime import datetime
from decimal import Decimal

import pytest

from gateway.domain.problems import Misconfigured, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import formats
from gateway.settings import Limits
from tests.formats.read_mapped import KYIV, PLAIN, decoded, mapped, rows, wrong


def test_each_register_has_what_it_was_before() -> None:
    document = """
    [columns]
    meter = ["Счетчик"]
    [[values]]
    column = ["День"]
    register = "A+:day"
    previous = ["День до"]
    [[values]]
    column = ["Ночь"]
    register = "A+:night"
    previous = ["Ночь до"]
    """
    [one, bare, wrong_] = decoded(mapped(document), rows("Счетчик;День до;Ночь до;День;Ночь", "1;10,5;7;12;8", "2;;;3;4", "3;1;x;3;4"))

    assert [(reading.register, reading.previous) for reading in one.readings] == [("A+:day", Decimal("10.5")), ("A+:night", Decimal(7))]
    assert [reading.previous for reading in bare.readings] == [None, None]
    assert [(problem.code, problem.where) for problem in wrong_.problems] == [("not_a_number", "line 4, column 3")]


def test_of_columns_that_may_be_meant_the_documents_first_word_decides() -> None:
    register = formats(Limits())["readings_register"]
    body = rows("Абонент;Лицевой счет;№ прибора;Показание", "Иванов И. И.;0012;7;5")
    [one] = [thing for thing in register.decode(body, KYIV) if isinstance(thing, MeterReading)]
    assert (one.agreement, one.problems) == ("0012", ())


@pytest.mark.parametrize(
    ("written", "at", "period"),
    [
        ("2026-10-31T23:30:00Z", "2026-11-01T01:30:00+02:00", "2026-11"),
        ("2026-10-20T10:15:00.123+0300", "2026-10-20T10:15:00+03:00", "2026-10"),
        ("2026-10-20 00:00+03:00", "2026-10-20T00:00:00+03:00", "2026-10"),
    ],
)
def test_a_moment_with_an_offset_is_told_in_the_zone(written: str, at: str, period: str) -> None:
    document = 'period_from = "day"\n' + PLAIN + 'day = ["Дата"]\n'
    [one] = decoded(mapped(document), rows("Счетчик;Показание;Дата", f"1;5;{written}"))
    assert (one.at, one.period, one.problems) == (datetime.fromisoformat(at), period, ())
    for wrong_ in ("2026-10-32T10:00:00Z", "0001-01-01T00:00:00+14:00"):
        assert wrong(mapped(document), rows("Счетчик;Показание;Дата", f"1;5;{wrong_}")) == [("moment_invalid", "line 2, column 3")]


def test_a_row_may_hold_several_meters() -> None:
    document = """
    [columns]
    agreement = ["ЛС"]
    [[values]]
    column = ["ХВС показание"]
    register = "volume"
    meter = ["ХВС прибор"]
    [[values]]
    column = ["ГВС показание"]
    register = "volume"
    meter = ["ГВС прибор"]
    """
    head = "ЛС;ХВС прибор;ХВС показание;ГВС прибор;ГВС показание"
    body = rows(head, "10;a1;5;b1;6", "11;a2;7;;", "12;;8;b3;1x", "13;a1;9;b4;2")

    assert [(one.agreement, one.meter, [str(reading.value) for reading in one.readings]) for one in decoded(mapped(document), body)] == [
        ("10", "a1", ["5"]),
        ("10", "b1", ["6"]),
        ("11", "a2", ["7"]),
        ("12", "", ["8"]),
        ("12", "b3", []),
        ("13", "a1", ["9"]),
        ("13", "b4", ["2"]),
    ]
    assert wrong(mapped(document), body) == [("meter_missing", "line 4, column 2"), ("not_a_number", "line 4, column 5")]
    with pytest.raises(Rejected) as refused:
        decoded(mapped(document), rows(head.replace("ГВС прибор", "Номер"), "10;a1;5;b1;6"))
    assert [problem.values for problem in refused.value.problems] == [{"column": "ГВС прибор"}]
    with pytest.raises(Misconfigured, match="meter"):
        mapped('layout = "series"\n' + document.replace("[columns]", '[columns]\nday = ["Дата"]'))
