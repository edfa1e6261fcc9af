"""The integral workbook: written for people, read back as they return it."""

import io
from collections.abc import Sequence

import openpyxl
import pytest

from gateway import texts
from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.crosswalk import fold, lookup
from gateway.mapping.integral_template import template
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.formats.make import as_xls, filled
from tests.formats.make_meters import meters

DOCUMENT = shipped("integral_workbook")
FORMAT = Mapped(mapping=DOCUMENT)
SHEET = "Интегральные показания"


def decoded(body: bytes, envelope: Envelope | None = None) -> list[MeterReading]:
    return [thing for thing in FORMAT.decode(body, envelope or Envelope()) if isinstance(thing, MeterReading)]


def values(body: bytes) -> dict[str, dict[str, str]]:
    return {one.meter: {reading.register: str(reading.value) for reading in one.readings} for one in decoded(body)}


def problems(body: bytes) -> list[tuple[str, str, str]]:
    return [(one.meter, problem.code, problem.where) for one in decoded(body) for problem in one.problems]


def refusal(body: bytes, envelope: Envelope | None = None, limits: Limits | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        Mapped(mapping=DOCUMENT, limits=limits or Limits()).decode(body, envelope or Envelope())
    return [(problem.code, problem.where) for problem in refused.value.problems]


Line = Sequence[str | float | None]


def table(*rows: Line) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


HEADER: Line = ["Код ЭО", "Номер ПУ", "Измеряемая величина", "Шкала", "Предыдущие показания", "Текущие показания"]


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_the_template_of_each_language_is_read_back(language: texts.Language) -> None:
    book = openpyxl.load_workbook(io.BytesIO(template(meters(), agreement="90034", period="2022-10", language=language)))
    sheet = book.worksheets[0]
    for row in range(2, 7):
        assert not sheet.cell(row, 9).protection.locked
        assert sheet.cell(row, 4).protection.locked
        sheet.cell(row, 9, 2000 + row)
    assert sheet.protection.sheet
    assert sheet.freeze_panes == "A2"
    assert book["_meta"].sheet_state == "hidden"
    packed = io.BytesIO()
    book.save(packed)
    found = decoded(packed.getvalue())
    assert {(one.agreement, one.period) for one in found} == {("90034", "2022-10")}
    assert {one.meter: [reading.register for reading in one.readings] for one in found} == {
        meter.serial: [register.code for register in meter.registers] for meter in meters()
    }


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_word_the_template_writes_is_known_to_the_reader(language: texts.Language) -> None:
    words = lookup({field: place for field, place in DOCUMENT.columns.items() if not isinstance(place, int)})
    for field in DOCUMENT.columns:
        assert words[fold(texts.word(f"column.{'current' if field == 'value' else field}", language))] == field
    for quantity in DOCUMENT.quantities:
        assert lookup(DOCUMENT.quantities)[fold(texts.word(f"quantity.{quantity}", language))] == quantity
    for zone in DOCUMENT.zones:
        assert lookup(DOCUMENT.zones)[fold(texts.word(f"zone.{zone or 'all'}", language))] == zone


def test_gv13_gv24_numbers_as_people_type_them() -> None:
    body = filled({"I2": "12,5", "I3": "12.5", "I4": "012442", "I5": "012 441,00"})
    found = values(body)
    assert found["01284918"] == {"A+:day": "12.5", "A+:night": "12.5"}
    assert found["13 300963"] == {"A+": "12442", "A-": "12441.00"}


def test_the_old_format_says_the_same_with_the_same_places() -> None:
    body = filled({"I2": "12,5", "I3": 800.25, "I4": "x"})
    assert decoded(as_xls(body)) == decoded(body)


def test_gv12_a_zone_left_empty_is_passed_on_and_other_meters_are_whole() -> None:
    found = values(filled({"I2": 1500, "I6": 101}))
    assert found == {"01284918": {"A+:day": "1500"}, "ИКТ-258": {"A+": "101"}}


def test_every_wrong_cell_is_told_at_once_and_fails_only_its_meter() -> None:
    body = filled({"I2": "18х3", "I3": "1_000", "I4": "=I2", "I5": 5, "I6": 101.5})
    assert problems(body) == [
        ("01284918", "not_a_number", f"{SHEET}!I2"),
        ("01284918", "not_a_number", f"{SHEET}!I3"),
        ("13 300963", "cell_formula_no_value", f"{SHEET}!I4"),
    ]
    assert values(body)["ИКТ-258"] == {"A+": "101.5"}


def test_codes_and_registers_that_cannot_be_read_are_told_by_their_cells() -> None:
    body = table(
        HEADER,
        ["1", 1.3115000111300312e17, "А+", "День", 1, 2],
        ["1", "5", "Ж+", "День", 1, 2],
        ["1", "6", "А+", "Вечер", 1, 2],
        ["1", None, "А+", "День", 1, 2],
        ["1", "7", "А+", "День", 1, 2],
        ["1", "7", "A+", "день", 1, 3],
        ["1", "8", "А+", None, "мусор", 3],
    )
    assert problems(body) == [
        ("", "cell_not_text", "Sheet!B2"),
        ("5", "register_unknown", "Sheet!C3"),
        ("6", "register_unknown", "Sheet!D4"),
        ("", "meter_missing", "Sheet!B5"),
        ("7", "register_repeated", "Sheet!F7"),
        ("8", "not_a_number", "Sheet!E8"),
    ]
    assert decoded(body)[-1].problems[0].severity is Severity.WARNING


def test_formulas_are_not_made_of_names() -> None:
    risky = [meter for meter in meters() if meter.serial == "ИКТ-258"]
    named = type(risky[0])(id=9, serial="=1+1", agreement="1", agreement_id=1, point="1", location="=cmd", registers=risky[0].registers)
    book = openpyxl.load_workbook(io.BytesIO(template([named], agreement="1", period="2022-10", language="en")))
    assert [book.worksheets[0].cell(2, column).data_type for column in (1, 4)] == ["s", "s"]


@pytest.mark.parametrize(
    ("envelope", "cell"),
    [(Envelope(agreement="90035"), "_meta!B3"), (Envelope(period="2022-11"), "_meta!B4")],
)
def test_a_template_of_another_agreement_or_period_is_refused_whole(envelope: Envelope, cell: str) -> None:
    assert refusal(filled({"I2": 1500}), envelope) == [("template_mismatch", cell)]


def test_the_envelope_serves_when_the_hidden_sheet_is_gone() -> None:
    book = openpyxl.load_workbook(io.BytesIO(filled({"I6": 101})))
    del book["_meta"]
    packed = io.BytesIO()
    book.save(packed)
    [reading] = decoded(packed.getvalue(), Envelope(agreement="7", period="2022-09"))
    assert (reading.agreement, reading.period) == ("7", "2022-09")


def test_refused_whole() -> None:
    assert refusal(filled({})) == [("nothing_to_take", SHEET)]
    assert refusal(table(["а", "б"], [1, 2])) == [("header_not_found", "Sheet!A1")]
    assert refusal(table([*HEADER[:2], *HEADER[3:]], ["1", "2", "День", 1, 2])) == [("column_missing", "Sheet!A1")]
    assert refusal(table(["Список"], *[()] * 60, HEADER)) == [("header_not_found", "Sheet!A1")]
    many = table(HEADER, *[("1", str(row), "А+", "", 1, "x") for row in range(30)])
    found = refusal(many, limits=Limits(file_problems=10))
    assert len(found) == 11
    assert found[-1] == ("too_many_problems", "")


def test_a_problem_of_the_file_is_no_reading() -> None:
    assert not any(isinstance(thing, Problem) for thing in FORMAT.decode(filled({"I2": 5}), Envelope()))
