"""Writes the integral workbook for people to fill in: only current readings are unlocked, a hidden sheet tells whose it is."""

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, Protection
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from gateway.domain.mappings import version_of
from gateway.domain.readings import reading_type
from gateway.domain.supply import Meter, Register
from gateway.mapping.crosswalk import META
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.template_cells import HEADER, INPUT, text_cell
from gateway.texts import Language, word

_WIDTHS: Final = {
    "location": 14,
    "location_name": 36,
    "entry": 14,
    "meter": 18,
    "point_name": 32,
    "quantity": 22,
    "zone": 18,
    "previous": 24,
    "current": 24,
}
"""The columns in the order of the manual, and how wide they are."""


def template(meters: Sequence[Meter], *, agreement: str, period: str, language: Language) -> bytes:
    """The workbook of an agreement for a period, one row per register, with the values accepted last shown beside the empty cells."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = word("template.sheet", language)
    for column, field in enumerate(_WIDTHS, 1):
        cell = text_cell(sheet, 1, column, word(f"column.{field}", language))
        cell.font, cell.fill, cell.alignment = Font(bold=True), HEADER, Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[cell.column_letter].width = _WIDTHS[field]
    row = 1
    for meter in meters:
        for register in meter.registers:
            row += 1
            for column, (field, written) in enumerate(_row(meter, register, period, language).items(), 1):
                _put(sheet, row, column, written, field, register)
    sheet.freeze_panes = "A2"
    sheet.protection.sheet = True
    sheet.protection.formatColumns = False
    if row > 1:
        last = sheet.cell(row, len(_WIDTHS)).coordinate
        numbers = DataValidation(type="decimal", operator="greaterThanOrEqual", formula1="0", allow_blank=True)
        numbers.promptTitle, numbers.prompt = word("column.current", language)[:32], word("template.hint", language)[:255]
        numbers.add(f"{sheet.cell(2, len(_WIDTHS)).coordinate}:{last}")
        sheet.add_data_validation(numbers)
    meta = book.create_sheet(META)
    meta.sheet_state = "hidden"
    name, version = version_of(shipped("integral_workbook").template)
    told = {"template": name, "version": str(version), "agreement": agreement, "period": period}
    for line, (name, written) in enumerate(told.items(), 1):
        text_cell(meta, line, 1, name)
        text_cell(meta, line, 2, written)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def _row(meter: Meter, register: Register, period: str, language: Language) -> dict[str, str | Decimal | None]:
    kind = reading_type(register.code)
    return {
        "location": meter.location,
        "location_name": meter.location_name,
        "entry": word("entry.open" if meter.entry_in(period) else "entry.closed", language),
        "meter": meter.serial,
        "point_name": meter.point_name,
        "quantity": word(f"quantity.{kind.quantity}", language),
        "zone": word(f"zone.{kind.zone or 'all'}", language),
        "previous": register.last,
        "current": None,
    }


def _put(sheet: Worksheet, row: int, column: int, written: str | Decimal | None, field: str, register: Register) -> None:
    if isinstance(written, str):
        text_cell(sheet, row, column, written)
        return
    cell = sheet.cell(row, column, written)
    cell.number_format = "0." + "0" * register.decimals if register.decimals else "0"
    if field == "current":
        cell.protection, cell.fill = Protection(locked=False), INPUT
