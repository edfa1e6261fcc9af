"""B1: an integral workbook of 10,000 rows to domain readings, gates and checks on, against calamine and openpyxl alone."""

import io
from decimal import Decimal

import openpyxl
from python_calamine import CalamineWorkbook

from gateway.domain.supply import Meter, Register
from gateway.mapping import Envelope
from gateway.mapping.integral_template import template
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from tests.bench.row import Row, at_most, faster, race

ROWS = 10_000


def workbook() -> bytes:
    """The template of 5,000 meters of two zones, filled in."""
    registers = (Register(id=1, code="A+:day", digits=6, decimals=2), Register(id=2, code="A+:night", digits=6, decimals=2))
    meters = [
        Meter(
            id=number,
            serial=f"{1_000_000 + number:08}",
            agreement="90034",
            agreement_id=1,
            point=str(number),
            point_name=f"ИК {number}",
            location=str(70_000 + number // 10),
            location_name=f"Объект {number // 10}",
            registers=registers,
        )
        for number in range(ROWS // 2)
    ]
    book = openpyxl.load_workbook(io.BytesIO(template(meters, agreement="90034", period="2022-10", language="ru")))
    for row in range(2, ROWS + 2):
        book.worksheets[0].cell(row, 8, Decimal(row) / 4)
        book.worksheets[0].cell(row, 9, Decimal(row) / 2)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def run() -> list[Row]:
    """Both lines of B1."""
    body, ours = workbook(), Mapped(mapping=shipped("integral_workbook"))

    def by_us() -> object:
        return list(ours.decode(body, Envelope()))

    def by_calamine() -> object:
        return CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()

    def by_openpyxl() -> object:
        book = openpyxl.load_workbook(io.BytesIO(body), read_only=True)
        return list(book.worksheets[0].iter_rows(values_only=True))

    took = race({"ours": by_us, "calamine": by_calamine, "openpyxl": by_openpyxl})
    what = f"integral workbook of {ROWS:,} rows to readings, gate and checks on"
    rate = {name: ROWS / seconds for name, seconds in took.items()}
    return [
        at_most("B1", what, took["ours"], took["calamine"], peer="calamine to_python", goal=1.5),
        faster("B1", what, rate["ours"], rate["openpyxl"], unit="rows/s", peer="openpyxl read_only", goal=6),
    ]
