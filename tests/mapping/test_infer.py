"""A mapping proposed from one sample: what it reads, what it asks, and that what it writes is a mapping."""

import contextlib
import random
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.domain.mappings import Mapping, read_mapping
from gateway.domain.problems import Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.mapped.infer import MAPPING, infer
from gateway.mapping.mapped.infer_text import grade, written
from gateway.mapping.mapped.infer_words import said
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.conftest import SAMPLES, case
from tests.formats.make import HERE
from tests.formats.make_heat import SAMPLES as HEAT
from tests.formats.make_partner import PARTNERS, Partner, text
from tests.formats.read_mapped import ODD_WORDS, book

KYIV = Envelope(zone="Europe/Kyiv", file_name="sample")


def read(mapping: Mapping, body: bytes, envelope: Envelope = KYIV) -> list[tuple[str, str, str, str, str]]:
    """What a mapping makes of a file, intervals as their sums."""
    found = []
    for one in Mapped(mapping=mapping).decode(body, envelope):
        assert isinstance(one, MeterReading)
        assert not one.problems, one.problems
        whose = (one.meter or one.point, one.agreement, one.period)
        found += [(*whose, reading.register, f"{reading.value:f}") for reading in one.readings]
        sums: dict[str, Decimal] = {}
        for block in one.blocks:
            sums[block.register] = sums.get(block.register, Decimal(0)) + sum((v for v in block.values if v is not None), Decimal(0))
        found += [(*whose, register, f"{total.normalize():f}") for register, total in sums.items()]
    return found


@pytest.mark.parametrize("make", PARTNERS, ids=lambda make: make.__name__)
def test_a_sample_is_read_by_what_is_proposed_for_it(make: Callable[[], Partner]) -> None:
    sample = make()
    proposal = infer(sample.body, Limits(), sample.name)

    assert read(read_mapping(proposal.toml().encode()), sample.body) == sample.reads
    assert {question.key for question in proposal.questions} == sample.asks
    assert proposal.kind == sample.kind


@pytest.mark.parametrize("make", PARTNERS, ids=lambda make: make.__name__)
def test_the_document_says_what_was_proposed_and_why(make: Callable[[], Partner]) -> None:
    sample = make()
    proposal = infer(sample.body, Limits(), sample.name, "own_name")

    document = proposal.toml()
    assert read_mapping(document.encode()) == proposal.mapping
    assert proposal.mapping is not None
    assert proposal.mapping.name == "own_name"
    shown = [choice for choice in proposal.choices if choice.key.partition(".")[0] == "columns"]
    assert shown
    assert all(choice.why in document for choice in shown)
    assert all(question.text in document for question in proposal.questions)
    assert all(0 < choice.sure <= 1 for choice in proposal.choices)
    for field in proposal.mapping.columns:
        assert f"columns.{field}" in {choice.key for choice in proposal.choices}, field


@pytest.mark.parametrize(
    "name", ["integral_workbook/rearranged.xlsx", "interval_workbook/canonical.xls", "interval_workbook/delivered_rows.xlsx"]
)
def test_what_a_format_reads_as_it_is_gets_its_name(name: str) -> None:
    assert infer((HERE / name).read_bytes(), Limits(), name).kind == name.partition("/")[0]


def test_a_heat_archive_is_told() -> None:
    name, make = next((name, make) for name, make in HEAT.items() if name.endswith(".csv") and not name.startswith("refused"))

    proposal = infer(make(), Limits(), name)

    assert (proposal.kind, proposal.mapping, proposal.questions) == ("heat_archive", None, ())
    assert proposal.toml().startswith("# ")


def hours_by_days(title: str) -> list[list[object]]:
    lines: list[list[object]] = [[title], ["Время", *(date(2026, 9, day) for day in range(1, 31))]]
    return lines + [[f"{hour:02}-{hour + 1:02}", *(1 for _ in range(30))] for hour in range(24)]


@pytest.mark.parametrize(
    ("title", "register", "unit", "sum_"),
    [
        ("Почасовой расход холодной воды, м3", "volume", "", "720"),
        ("Реактивная энергия, квар·ч", "R+", "", "720"),
        ("Активная энергия, МВт·ч", "A+", "MWh", "720000"),
    ],
)
def test_hours_by_days_of_anything_but_kilowatt_hours_are_a_mapping(title: str, register: str, unit: str, sum_: str) -> None:
    body = book(("Лист1", hours_by_days(title)))
    proposal = infer(body, Limits(), "matrix.xlsx")

    assert proposal.mapping is not None
    assert (proposal.kind, proposal.mapping.layout, proposal.mapping.register, proposal.mapping.unit) == (MAPPING, "matrix", register, unit)
    [(_, _, _, code, total)] = read(read_mapping(proposal.toml().encode()), body, Envelope(zone="Europe/Kyiv", meter="7"))
    assert (code, total) == (register, sum_)


@pytest.mark.parametrize("title", ["Объёмы", "Активная энергия, кВт·ч"])
def test_hours_by_days_of_kilowatt_hours_are_read_as_they_are(title: str) -> None:
    assert infer(book(("Лист1", hours_by_days(title))), Limits(), "matrix.xlsx").kind == "interval_workbook"


def test_hours_by_days_in_a_text_are_a_mapping_too() -> None:
    lines = [";".join(f"{cell:%d.%m.%Y}" if isinstance(cell, date) else str(cell) for cell in line) for line in hours_by_days("Сеть 1")]
    proposal = infer(text(lines, "utf-8"), Limits(), "matrix.csv")

    assert proposal.mapping is not None
    assert (proposal.mapping.layout, [question.key for question in proposal.questions], proposal.problems) == (
        "matrix",
        ["register", "layout"],
        (),
    )


@pytest.mark.parametrize(
    ("header", "register", "unit"),
    [
        ("А+, кВт*ч", "A+", "kWh"),
        ("Показания А- (кВт·ч)", "A-", "kWh"),
        ("ХВС, м3", "volume", "m3"),
        ("Т1", "", ""),
        ("Активная энергия, день", "A+:day", ""),
        ("Реактивна відпуск, квар·год", "R-", "kvarh"),
        ("Тепловая энергия [Гкал]", "heat", "Gcal"),
        ("Current reading MWh", "A+", "MWh"),
        ("Расход, тыс. кВт·ч", "A+", "MWh"),
        ("Ночь", "", ""),
    ],
)
def test_a_header_says_a_register_and_a_unit(header: str, register: str, unit: str) -> None:
    assert (said(header).register, said(header).unit) == (register, unit)


def test_what_is_sure_is_told_in_three_words() -> None:
    assert [grade(sure) for sure in (0.9, 0.7, 0.2)] == ["high", "medium", "low"]


def test_any_mapping_is_written_as_toml_that_says_it() -> None:
    document = read_mapping(
        b"""
name = "whole"
title = "A \\"title\\" of\\ttwo"
layout = "series"
across = true
register = "A+"
unit = "MWh"
step = "PT1H"
label = "end"
zone_name = "Europe/Kyiv"
passed = []
crosswalk = "codes"
crosswalk_only = true
[file]
encoding = "cp866"
delimiter = "|"
sheets = ["\xd0\xb0"]
[columns]
day = ["\xd0\xb4\xd0\xb0\xd1\x82\xd0\xb0", "date"]
clock = 2
[zones]
"" = ["24"]
[applied]
ratio = true
[control]
count = 0
needed = false
sums = {day = 4}
"""
    )
    assert read_mapping(written(document, {}, ()).encode()) == document


@pytest.mark.parametrize(
    "rows",
    [
        ["Расход;12;Текущие;Час;Текущие", "102026;0:00;102026;5,5;ХВС", "102026;0:00;102026;5,5;ХВС"],
        ["M1;M1;Счетчик;Q, Гкал;Лицевой счет;регистр", "102026;01.10.2026;;10:15;ЭЭ;23:00", "102026;01.10.2026;;10:15;ЭЭ;23:00"],
    ],
)
def test_no_column_is_proposed_for_two_things(rows: list[str]) -> None:
    with contextlib.suppress(Rejected):
        proposal = infer(text(rows), Limits(), "a.csv")
        assert proposal.mapping is None or read_mapping(proposal.toml().encode()) == proposal.mapping


def test_a_control_row_is_believed_where_it_is_true() -> None:
    rows = ["Счетчик ХВС;Показание", "А0001;5", "А0002;6", "А0003;7"]
    said_of = infer(text([*rows, "=3;18"]), Limits(), "a.csv").mapping
    assert said_of is not None
    assert said_of.control is not None
    assert (said_of.control.count, said_of.control.sums) == (1, {"value": 2})

    lying = infer(text([*rows, "=4;18"]), Limits(), "a.csv")
    assert {question.key for question in lying.questions} == {"control"}


def test_a_reading_told_from_the_one_before_it_by_its_numbers_alone_is_asked_about() -> None:
    lines = ["Прибор;Столбец1;Столбец2;Вид", *(f"Э{n:04};{n * 100};{n * 110};ЭЭ" for n in range(1, 5))]
    proposal = infer(text(lines), Limits(), "a.csv")

    assert proposal.mapping is not None
    assert (proposal.mapping.columns["previous"], proposal.mapping.columns["value"]) == (("Столбец1",), ("Столбец2",))
    assert {question.key for question in proposal.questions} == {"columns.previous"}


def test_columns_of_two_tariffs_are_no_reading_and_the_one_before_it() -> None:
    lines = ["Прибор;Показание Т1;Показание Т2", *(f"Э{n:04};{n * 110};{n * 100}" for n in range(1, 5))]
    proposal = infer(text(lines), Limits(), "a.csv")

    assert proposal.mapping is not None
    assert [column.register for column in proposal.mapping.values] == ["A+:day", "A+:night"]


def test_a_column_of_readings_may_be_empty_yet() -> None:
    proposal = infer(text(["Прибор;Показание, м3;Показание Т3;Расход", "В1;;5;1", "В2;;6;1", "В3;;7;1"]), Limits(), "a.csv")

    assert proposal.mapping is not None
    assert read_mapping(proposal.toml().encode()) == proposal.mapping


def test_a_header_of_several_lines_is_one_line_of_comment() -> None:
    proposal = infer(text(['Прибор;"Показание\r\nХВС";"Имя\nвладельца"', "В1;5;а", "В2;6;б"]), Limits(), "a.csv")

    assert read_mapping(proposal.toml().encode()) == proposal.mapping
    assert read(read_mapping(proposal.toml().encode()), text(['Прибор;"Показание\nХВС";x', "В1;5;а"])) == [("В1", "", "", "volume", "5")]


@pytest.mark.parametrize("body", [b"", b"%PDF-1.4", b"\xd0\xcf\x11\xe0", b"PK\x03\x04", b"only words\nand no numbers\n"])
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected):
        infer(body, Limits(), "x")


if SAMPLES is not None:
    WATER = sorted((SAMPLES / "ru_water_xlsx").glob("*.xlsx"))
    RECORDS = sorted((SAMPLES / "dbf").glob("*.dbf"))

    @pytest.mark.parametrize("path", WATER, ids=lambda path: path.name)
    def test_a_real_ledger_of_hours_is_read(path: Path) -> None:
        proposal = infer(path.read_bytes(), Limits(), path.name)

        assert proposal.kind == MAPPING
        assert "columns.meter" in {question.key for question in proposal.questions}
        [(meter, _, period, register, total)] = read(
            read_mapping(proposal.toml().encode()), path.read_bytes(), Envelope(zone="Europe/Samara", meter="7")
        )
        assert (meter, period, register) == ("7", "2025-04", "volume")
        assert Decimal(total) > 80

    @pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
    def test_a_table_of_something_else_is_refused_or_asked_about(path: Path) -> None:
        asked: set[str] = set()
        with contextlib.suppress(Rejected):
            asked = {question.key for question in infer(path.read_bytes(), Limits(), path.name).questions}
        assert not asked or {"register", "columns.meter"} <= asked


ODD = [
    *ODD_WORDS,
    "Расход м3",
    "1.5",
    "7",
    "10.2026",
    "ФИО",
    "Договор",
    "А+",
    "№ п/п",
    "т/с",
    "#",
    "-",
]


GOODS = [made.body for make in PARTNERS if not (made := make()).name.endswith(".xlsx")]
PIECES = (
    b"",
    b";",
    b"\n",
    b'"',
    b"\t",
    b"=",
    b"0",
    b"9" * 30,
    b",",
    b"-",
    b"24:00",
    b"31.02.2026",
    b"\0",
    b"\xff",
    "кВт".encode(),
    b"\xef\xbb\xbf",
)


def odd_text(chance: random.Random) -> bytes:
    """A table that is put together of words that mean something somewhere."""
    width, headed = chance.randint(1, 7), chance.random() < 0.5
    lines = [";".join(chance.choice(ODD[:7] if not row and headed else ODD) for _ in range(width)) for row in range(chance.randint(1, 9))]
    return text(lines, chance.choice(("utf-8", "cp1251")))


def damaged(chance: random.Random) -> bytes:
    """A good sample with a few pieces replaced, taken out or doubled, or with fields swapped."""
    body = bytearray(chance.choice(GOODS))
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(body) + 1)
        end = min(len(body), place + chance.choice((0, 1, 5, 40)))
        body[place:end] = chance.choice((chance.choice(PIECES), bytes(body[place:end]) * 2, chance.randbytes(2)))
    return bytes(body)


def test_no_text_breaks_a_proposal(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(11)  # noqa: S311 - the same texts each time
    size, proposed, slowest = case(1000, 100_000), 0, 0.0
    for _ in range(size):
        body = chance.choice((odd_text, damaged))(chance)
        began = time.process_time()
        try:
            proposal = infer(body, Limits(), "x.csv")
        except Rejected:
            continue
        finally:
            slowest = max(slowest, time.process_time() - began)
        proposed += 1
        assert proposal.mapping is None or read_mapping(proposal.toml().encode()) == proposal.mapping, body
    assert proposed > size / 10
    assert slowest < 2
    proof(
        "odd and damaged texts shown to `mapping infer`",
        size,
        f"{proposed} proposals, each a document, the rest refused with a code, at most {slowest * 1e3:.0f} ms each",
    )


def test_cold_and_hot_water_of_a_flat_are_two_meters_of_its_row() -> None:
    lines = ("1;0012345;а-101;103,5;б-201;55", "2;0012346;а-102;90;б-202;43,1", "3;0012347;а-103;77;;", "4;0012348;а-104;120;б-204;61")
    body = "\r\n".join(["Квартира;Лицевой счет;№ счетчика ХВС;Показание ХВС;№ счетчика ГВС;Показание ГВС", *lines]).encode()
    found = infer(body, Limits(), "cold.csv")
    assert found.mapping is not None
    assert [(one.column, one.register, one.meter) for one in found.mapping.values] == [
        (("Показание ХВС",), "volume", ("№ счетчика ХВС",)),
        (("Показание ГВС",), "volume", ("№ счетчика ГВС",)),
    ]
    assert (found.rows, found.problems, found.questions) == (7, (), ())
    assert read_mapping(found.toml().encode()) == found.mapping


def test_prices_are_no_zones() -> None:
    lines = [f"{number:04};{number + 50};100{number};5,{number}" for number in range(1, 7)]
    found = infer("\r\n".join(["ЛС;Счетчик;Показание ХВС;Тариф", *lines]).encode(), Limits(), "x.csv")
    assert found.mapping is not None
    assert "zone" not in found.mapping.columns
