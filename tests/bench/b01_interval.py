"""B1: interval workbooks of 24 x 31, one sheet and 200, to domain blocks, gates and checks on, against calamine and openpyxl alone."""

import io
from datetime import date

import openpyxl
from python_calamine import CalamineWorkbook

from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.hours import HOURS
from gateway.mapping.interval_workbook import IntervalWorkbook
from tests.bench.row import RUNS, Row, at_most, faster, race

DAYS = 31
ENVELOPE = Envelope(zone="Europe/Moscow")


def workbook(sheets: int) -> bytes:
    """A sheet per meter, filled in: values with up to three decimals, one in four whole."""
    book = openpyxl.Workbook(write_only=True)
    for meter in range(sheets):
        sheet = book.create_sheet(f"{1_000_000 + meter:08}")
        sheet.append(["Время", *(date(2021, 1, day) for day in range(1, DAYS + 1))])
        for hour, label in enumerate(HOURS):
            sheet.append([label, *((hour * 997 + day * 131 + meter) % 10_000 / (1, 8, 10, 1000)[day % 4] for day in range(DAYS))])
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def rows(sheets: int, runs: int) -> list[Row]:
    """Both lines for a workbook of so many sheets."""
    body, ours = workbook(sheets), IntervalWorkbook()

    def by_us() -> object:
        return list(ours.decode(body, ENVELOPE))

    def by_calamine() -> object:
        book = CalamineWorkbook.from_filelike(io.BytesIO(body))
        return [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]

    def by_openpyxl() -> object:
        book = openpyxl.load_workbook(io.BytesIO(body), read_only=True)
        return [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]

    found = [reading for reading in ours.decode(body, ENVELOPE) if isinstance(reading, MeterReading)]
    values = sum(len(block.values) for reading in found for block in reading.blocks)
    if values != sheets * DAYS * 24 or any(reading.problems for reading in found):
        raise ValueError(f"{values} values came out")
    took = race({"ours": by_us, "calamine": by_calamine, "openpyxl": by_openpyxl}, runs)
    what = f"interval workbook 24 x 31, {sheets} sheet{'s' * (sheets > 1)} to domain blocks, gate and checks on"
    rate = {name: values / seconds for name, seconds in took.items()}
    return [
        at_most("B1", what, took["ours"], took["calamine"], peer="calamine to_python", goal=1.5),
        faster("B1", what, rate["ours"], rate["openpyxl"], unit="values/s", peer="openpyxl read_only", goal=6),
    ]


def run() -> list[Row]:
    """One sheet, as a company sends it, and 200, as who looks after many meters does."""
    return rows(1, RUNS * 10) + rows(200, RUNS)
