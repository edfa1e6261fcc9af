"""Writes the interval workbook of a meter for people to fill in: one cell per hour and day, a hidden sheet tells whose it is."""

import io
import re
from datetime import timedelta
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Font, PatternFill, Protection
from openpyxl.worksheet.datavalidation import DataValidation

from gateway.domain.supply import Meter
from gateway.domain.windows import month, shift
from gateway.mapping.crosswalk import META
from gateway.mapping.hours import HOURS, odd_days
from gateway.mapping.template_cells import HEADER, INPUT, text_cell
from gateway.texts import Language, word

_CLOSED: Final = PatternFill("solid", fgColor="D9D9D9")
_BOLD: Final = Font(bold=True)
_CENTRED: Final = Alignment(horizontal="center")
_OPEN: Final = Protection(locked=False)
_sheet_name: Final = re.compile(r"[^\[\]:*?/\\'\x00-\x1f]{1,31}").fullmatch


def write(meter: Meter, *, template: str, version: str, period: str, zone: str, language: Language) -> bytes:
    """The workbook of a meter for a period (`YYYY-MM`) in `zone`: an hour that a day has twice gets a row of its own, marked `*`."""
    first = month(period)
    odd = odd_days(zone, first)
    days = [first + timedelta(days=number) for number in range((shift(first, 1) - first).days)]
    rows = [(hour, again) for hour in range(24) for again in ((False, True) if (hour, 1) in odd.values() else (False,))]
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = meter.serial if _sheet_name(meter.serial) else word("template.interval_sheet", language)
    _headed(text_cell(sheet, 1, 1, word("template.interval_hours", language)))
    for column, day in enumerate(days, 2):
        head: Cell = sheet.cell(1, column, day)
        head.number_format = "DD.MM.YYYY"
        _headed(head)
        sheet.column_dimensions[head.column_letter].width = 12
    for row, (hour, again) in enumerate(rows, 2):
        _headed(text_cell(sheet, row, 1, HOURS[hour] + "*" * again))
        for column, day in enumerate(days, 2):
            cell = sheet.cell(row, column)
            cell.number_format = "0.000"
            there = odd.get(day) == (hour, 1) if again else odd.get(day) != (hour, -1)
            cell.fill = INPUT if there else _CLOSED
            if there:
                cell.protection = _OPEN
    sheet.freeze_panes = "B2"
    sheet.protection.sheet = True
    sheet.protection.formatColumns = False
    numbers = DataValidation(type="decimal", operator="greaterThanOrEqual", formula1="0", allow_blank=True)
    numbers.promptTitle, numbers.prompt = meter.serial[:32], word("template.interval_hint", language)[:255]
    numbers.add(f"B2:{sheet.cell(len(rows) + 1, len(days) + 1).coordinate}")
    sheet.add_data_validation(numbers)
    told = {"template": template, "version": version, "agreement": meter.agreement, "meter": meter.serial, "point": meter.point}
    meta = book.create_sheet(META)
    meta.sheet_state = "hidden"
    for line, (name, written) in enumerate((told | {"period": period}).items(), 1):
        text_cell(meta, line, 1, name)
        text_cell(meta, line, 2, written)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def _headed(cell: Cell) -> None:
    cell.font, cell.fill, cell.alignment = _BOLD, HEADER, _CENTRED
