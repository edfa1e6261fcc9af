"""A mapping backwards: what is written is read again by the same document, value by value, or is not written at all."""

from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import AtFrom, MeterReading, Reading
from gateway.mapping import Envelope
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.backwards import UnwritableError
from gateway.mapping.mapped.partner import Codes, codes_of
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.mapped.writer import Writer

ZONE = "Europe/Kyiv"
LONG = """
name = "long"
title = "A row for each register"
period_from = "day"
register = "volume"
[file]
encoding = "cp1251"
[columns]
agreement = ["Договор"]
meter = ["Номер ПУ"]
day = ["Дата"]
clock = ["Время"]
quantity = ["Вид"]
zone = ["Зона"]
value = ["Показание"]
previous = ["Предыдущее"]
[quantities]
"A+" = ["Активная", "А+"]
volume = ["Вода"]
[zones]
day = ["День"]
night = ["Ночь"]
[control]
count = 1
sums = {value = 7}
"""
WIDE = """
name = "wide"
title = "A column for each register"
unit = "MWh"
[file]
encoding = "koi8-r"
decimal = "."
[columns]
point = ["Точка"]
period = ["Период"]
[[values]]
column = ["День"]
register = "A+:day"
[[values]]
column = ["Ночь"]
register = "A+:night"
"""
BARE = """
name = "bare"
title = "Columns by number"
[file]
header = false
[columns]
meter = 3
value = 1
register = 5
period = 2
[control]
mark = "="
count = 2
"""
CODES = codes_of(read_crosswalk("code;meter;point;register\nЩ-1;7;;\nТ-1;;P1;\nкВт;;;A+\n".encode()))

TOTALS = frozenset(map(fold, ("итого", "всего", "разом", "усього", "total")))
codes = st.text(st.characters(codec="cp1251", categories=("L", "N")), min_size=1, max_size=12).filter(lambda code: fold(code) not in TOTALS)
values = st.decimals(min_value=0, max_value=10**9, places=3, allow_nan=False)
moments = st.builds(
    lambda day, hour, minute: datetime.combine(day, time(hour, minute), ZoneInfo(ZONE)),
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.integers(4, 23),
    st.integers(0, 59),
)


def again(document: str, readings: list[MeterReading], *, known: Codes | None = None) -> list[MeterReading]:
    """What is read of what was written of these readings."""
    mapping = read_mapping(document.encode())
    known = known or Codes()
    writer = Writer(mapping, known, ZONE)
    body = writer.write([row for one in readings for row in writer.rows(one)])
    found = list(Mapped(mapping=mapping, codes=known).decode(body, Envelope(zone=ZONE)))
    assert all(isinstance(one, MeterReading) and not one.problems for one in found), found
    return [one for one in found if isinstance(one, MeterReading)]


def said(one: MeterReading) -> object:
    """What a reading says, without the places where it stood."""
    told = [(reading.register, reading.value, reading.previous, reading.volume) for reading in one.readings]
    return one.meter, one.point, one.agreement, one.period, one.at, told


@given(st.lists(st.tuples(codes, codes, moments, values, values), min_size=1, max_size=8, unique_by=lambda row: (row[0].upper(), row[2])))
def test_long_rows_are_read_again(rows: list[tuple[str, str, datetime, Decimal, Decimal]]) -> None:
    readings = [
        MeterReading(
            meter=f"M{number}{meter}",
            agreement=agreement,
            period=f"{at:%Y-%m}",
            at=at,
            at_from=AtFrom.FILE,
            readings=(
                Reading(register="A+:day", value=value, previous=previous),
                Reading(register="A+:night", value=previous, previous=value),
            ),
        )
        for number, (meter, agreement, at, value, previous) in enumerate(rows)
    ]
    assert list(map(said, again(LONG, readings))) == list(map(said, readings))


def test_rows_of_one_reading_are_read_again_with_its_key() -> None:
    document = read_mapping(LONG.replace("value = 7", "value = 8").replace("[columns]", '[columns]\nrow_key = ["Ключ"]').encode())
    reading = MeterReading(
        meter="7",
        period="2026-10",
        at=datetime(2026, 10, 25, 10, 15, tzinfo=ZoneInfo(ZONE)),
        readings=tuple(Reading(register=register, value=Decimal(5)) for register in ("A+:day", "A+:night")),
    )
    writer = Writer(document, Codes(), ZONE)
    [found] = Mapped(mapping=document).decode(writer.write(writer.rows(reading, "k-1")), Envelope(zone=ZONE))
    assert isinstance(found, MeterReading)
    assert (said(found), found.problems) == (said(reading), ())


@pytest.mark.parametrize(
    ("was", "becomes", "wrong"),
    [
        ('["Показание"]', '["Показание; м3"]', "columns: the header 'Показание; м3'"),
        ('["Показание"]', '["Показание, м³"]', "columns: the header 'Показание, м³'"),
        ('encoding = "cp1251"', 'written = "dbf"', "control: a DBF has no control row"),
    ],
)
def test_a_table_that_its_own_document_would_not_read_is_never_begun(was: str, becomes: str, wrong: str) -> None:
    with pytest.raises(Misconfigured, match=wrong):
        Writer(read_mapping(LONG.replace(was, becomes).encode()), Codes(), ZONE)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=8))
def test_a_column_for_each_register_in_another_unit(rows: list[tuple[Decimal, Decimal]]) -> None:
    readings = [
        MeterReading(
            meter="",
            point=f"P{number}",
            period="2025-10",
            readings=(Reading(register="A+:day", value=day), Reading(register="A+:night", value=night)),
        )
        for number, (day, night) in enumerate(rows)
    ]
    assert list(map(said, again(WIDE, readings))) == list(map(said, readings))


def test_columns_by_number_and_a_partners_codes() -> None:
    readings = [MeterReading(meter="7", period="2025-10", readings=(Reading(register="A+", value=Decimal("1.5")),))]
    writer = Writer(read_mapping(BARE.encode()), CODES, ZONE)
    assert writer.write(writer.rows(readings[0])) == "1,5;2025-10;Щ-1;;кВт\r\n=;1;;;\r\n".encode()
    assert list(map(said, again(BARE, readings, known=CODES))) == list(map(said, readings))


def test_a_partner_has_a_number_of_his_own_for_an_agreement_and_a_code_for_a_meter_or_its_point() -> None:
    known = codes_of(read_crosswalk("code;meter;point;agreement\n17;;;ЛС-1\nЩ-1;7;;\nТ-1;;P1;\n".encode()))
    document = WIDE.replace('point = ["Точка"]', 'agreement = ["Л/с"]\npoint = ["Точка"]').replace('unit = "MWh"', "")
    values = (Reading(register="A+:day", value=Decimal(1)),)
    readings = [
        MeterReading(meter="7", point="", agreement="ЛС-1", period="2025-10", readings=values),
        MeterReading(meter="", point="P1", agreement="17", period="2025-10", readings=values),
        MeterReading(meter="7", point="P9", agreement="ЛС-2", period="2025-10", readings=values),
    ]
    writer = Writer(read_mapping(document.encode()), known, ZONE)
    rows = [row for one in readings for row in writer.rows(one)]
    assert [(row["agreement", 0], row["point", 0]) for row in rows] == [("17", "Щ-1"), ("17", "Т-1"), ("ЛС-2", "Щ-1")]
    assert [(one.meter, one.point, one.agreement) for one in again(document, readings[:1], known=known)] == [("7", "", "ЛС-1")]


def test_a_dbf_has_the_same_rows() -> None:
    document = LONG.replace('encoding = "cp1251"', 'encoding = "cp866"\nwritten = "dbf"').partition("[control]")[0]
    document = document.replace('"Предыдущее"', '"Пред"').replace('"Номер ПУ"', '"НомерПУ"')
    at = datetime(2025, 10, 25, 12, tzinfo=ZoneInfo(ZONE))
    one = MeterReading(meter="7", agreement="A", period="2025-10", at=at, readings=(Reading(register="A+", value=Decimal("1.250")),))
    writer = Writer(read_mapping(document.encode()), Codes(), ZONE)
    body = writer.write(writer.rows(one))
    assert (body[0], body[4:8], body[-1:]) == (3, b"\1\0\0\0", b"\x1a")
    assert "Активная".encode("cp866") in body


@pytest.mark.parametrize(
    ("document", "one", "field"),
    [
        (WIDE, Reading(register="A+", value=Decimal(1)), "register"),
        (WIDE, Reading(register="A+:day", value=Decimal("0.0001")), "value"),
        (WIDE, Reading(register="A+:day", value=Decimal(1), ratio_applied=True), "value"),
        (WIDE, Reading(register="A+:day", value=Decimal(1), volume=True), "register"),
        (LONG, Reading(register="A+:peak", value=Decimal(1)), "register"),
        (LONG, Reading(register="heat", value=Decimal(1)), "register"),
        (LONG.replace("zone =", "location ="), Reading(register="A+:day", value=Decimal(1)), "register"),
        (LONG.replace('register = "volume"', 'unit = "kWh"'), Reading(register="volume", value=Decimal(1)), "register"),
    ],
)
def test_what_the_table_cannot_say_is_not_written(document: str, one: Reading, field: str) -> None:
    writer = Writer(read_mapping(document.encode()), Codes(), ZONE)
    with pytest.raises(UnwritableError) as refused:
        writer.rows(MeterReading(meter="", point="P", readings=(one,)))
    assert refused.value.field == field


@pytest.mark.parametrize("agreement", ["Total", "ИТОГО", "Итого 7", "#7"])
def test_a_code_that_makes_its_row_a_total_or_a_control_row_is_not_written(agreement: str) -> None:
    writer = Writer(read_mapping(LONG.replace("count = 1", 'mark = "#"').encode()), Codes(), ZONE)
    with pytest.raises(UnwritableError, match="agreement_unwritable"):
        writer.rows(MeterReading(meter="7", agreement=agreement, readings=(Reading(register="volume", value=Decimal(1)),)))


@pytest.mark.parametrize("meter", ["=1", "-1", "a;b", 'a"b', " a", "a\nb", "日本"])
def test_a_code_is_written_as_it_is_or_not_at_all(meter: str) -> None:
    writer = Writer(read_mapping(LONG.encode()), Codes(), ZONE)
    with pytest.raises(UnwritableError, match="meter_unwritable"):
        writer.rows(MeterReading(meter=meter, readings=(Reading(register="volume", value=Decimal(1)),)))


def test_a_quantity_and_its_zone_may_have_one_word() -> None:
    document = LONG.replace('"A+" = [', '"A+:day" = ["ЭЭ день"]\n"A+" = [')
    at = datetime(2025, 10, 25, 12, tzinfo=ZoneInfo(ZONE))
    readings = [
        MeterReading(meter="7", period="2025-10", at=at, readings=(Reading(register=register, value=Decimal(1)),))
        for register in ("A+:day", "A+:night", "A+", "volume")
    ]
    writer = Writer(read_mapping(document.encode()), Codes(), ZONE)
    told = [(row["quantity", 0], row["zone", 0]) for one in readings for row in writer.rows(one)]
    assert told == [("ЭЭ день", None), ("Активная", "Ночь"), ("Активная", None), ("Вода", None)]
    assert [one.readings[0].register for one in again(document, [readings[0]])] == ["A+:day"]


def test_a_day_that_alone_says_the_period_has_to_say_this_one() -> None:
    writer = Writer(read_mapping(LONG.encode()), Codes(), ZONE)
    late = datetime(2025, 11, 2, 12, tzinfo=ZoneInfo(ZONE))
    with pytest.raises(UnwritableError, match="period_unwritable: 2025-10"):
        writer.rows(MeterReading(meter="7", period="2025-10", at=late, readings=(Reading(register="volume", value=Decimal(1)),)))


def test_rows_of_time_are_only_read() -> None:
    document = 'name = "x"\ntitle = ""\nlayout = "series"\nregister = "A+"\n[columns]\nday = ["Дата"]\nvalue = ["кВт"]\n'
    with pytest.raises(Misconfigured, match="only read"):
        Writer(read_mapping(document.encode()), Codes(), ZONE)
