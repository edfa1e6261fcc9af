"""Tables of hours and days by a mapping: another register, another unit, a partner's codes, another container."""

import io
from datetime import date
from decimal import Decimal

import openpyxl
import pytest

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope, Format, formats
from gateway.mapping.mapped.partner import codes_of
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits

DOCUMENT = """
name = "reactive_hours"
title = "Часы реактивной энергии"
layout = "matrix"
register = "R+"
unit = "Mvarh"
crosswalk = "codes"
zone_name = "Europe/Moscow"
[applied]
ratio = true
"""
CODES = codes_of(read_crosswalk("code;meter;agreement\nПС-1;20300109;A-1\n".encode()))
DAYS = [date(2025, 11, number) for number in range(1, 31)]


def rows(*titles: str) -> list[list[object]]:
    head: list[object] = ["Время", *DAYS]
    above: list[list[object]] = [[title] for title in titles]
    return [
        *above,
        head,
        *([f"{hour:02}-{hour + 1:02}", *(0.001 * (hour + 1) for _ in DAYS)] for hour in range(24)),
    ]


def book(*sheets: str, titles: tuple[str, ...] = ()) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name in sheets:
        sheet = made.create_sheet(name)
        for row in rows(*titles):
            sheet.append(row)
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def reader(document: str = DOCUMENT) -> Mapped:
    return Mapped(mapping=read_mapping(document.encode()), codes=CODES)


def only(format_: Format, body: bytes, **told: str) -> MeterReading:
    [one] = format_.decode(body, Envelope(**told))  # type: ignore[arg-type]
    assert isinstance(one, MeterReading)
    return one


def test_another_register_in_another_unit_by_a_partners_code() -> None:
    body = book("ПС-1")
    assert reader().sniff(body, "")
    one = only(reader(), body)
    assert (one.meter, one.agreement, one.period, one.problems) == ("20300109", "A-1", "2025-11", ())
    assert [block.day for block in one.blocks] == DAYS
    assert {(block.register, block.ratio_applied, block.losses_applied) for block in one.blocks} == {("R+", True, False)}
    assert one.blocks[0].values == tuple(Decimal(hour + 1) for hour in range(24))


def said(cell: object) -> str:
    """A cell as a text has it."""
    return cell if isinstance(cell, str) else f"{cell:%d.%m.%Y}" if isinstance(cell, date) else f"{cell:.3f}"


def test_a_delimited_text_has_the_same_table() -> None:
    body = "\r\n".join(";".join(map(said, row)) for row in rows()).encode("cp1251")
    one, other = only(reader(), body, meter="ПС-1"), only(reader(), book("ПС-1"))
    assert one.meter == "20300109"
    assert [(block.day, block.written) for block in one.blocks] == [(block.day, block.written) for block in other.blocks]
    assert one.blocks[0].where == "lines 2-25, column 2"


def test_a_sheet_marked_as_another_quantity_is_none_of_its() -> None:
    assert not reader().sniff(book("А+"), "")
    one = only(reader(), book("А-"), meter="1")
    assert [problem.code for problem in one.problems] == ["channel_not_allowed"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('register = "R+"', "there is no register ''"),
        ('unit = "Mvarh"', "'kWh' is no unit of R\\+"),
        ('crosswalk = "codes"', "a matrix is found by its hours and days"),
    ],
)
def test_what_a_matrix_cannot_have_is_refused(changed: str, said: str) -> None:
    told = {'register = "R+"': "", 'unit = "Mvarh"': 'unit = "kWh"', 'crosswalk = "codes"': "columns = {value = 1}"}
    with pytest.raises(Misconfigured, match=said):
        read_mapping(DOCUMENT.replace(changed, told[changed]).encode())


@pytest.mark.parametrize(
    ("titles", "document", "shipped"),
    [
        (("Почасовой расход, кВт·ч",), [], []),
        (("Почасовой расход, тыс. кВт·ч, прибор № 7701",), ["unit_differs"], ["unit_differs"]),
        (("Почасовые объёмы, МВт·ч. Октябрь",), ["unit_differs"], ["unit_differs"]),
        (("Объём в МВт*ч", "перевод в кВт*ч"), [], []),
        (("Максимальная мощность 670 кВт",), [], []),
    ],
)
def test_a_title_that_names_another_unit_refuses_its_meter(titles: tuple[str, ...], document: list[str], shipped: list[str]) -> None:
    body = book("7701", titles=titles)
    plain = DOCUMENT.replace('"R+"', '"A+"').replace('unit = "Mvarh"\ncrosswalk = "codes"\n', "")
    for format_, wrong in ((reader(plain), document), (formats(Limits())["interval_workbook"], shipped)):
        assert [problem.code for problem in only(format_, body).problems if problem.code != "title_differs"] == wrong
    in_thousands = plain.replace("[applied]", 'unit = "MWh"\n[applied]')
    assert [one.code for one in only(reader(in_thousands), book("7701", titles=("Расход, кВт·ч",))).problems] == ["unit_differs"]
