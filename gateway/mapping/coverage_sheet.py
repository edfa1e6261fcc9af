"""Writes the list of what is still missing for a period as a workbook."""

import io
from collections.abc import Iterable

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from gateway.domain.coverage import Expected
from gateway.mapping.template_cells import HEADER, text_cell
from gateway.texts import Language, register, word

_WIDTHS = {"agreement": 20, "party": 32, "location": 20, "point": 14, "point_name": 30, "meter": 18, "register": 20, "state": 16}


def write(registers: Iterable[Expected], *, period: str, language: Language) -> bytes:
    """One row a register, with what became of it, and a filter over all columns."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = word("coverage.sheet", language, period=period)[:31]
    for column, (field, width) in enumerate(_WIDTHS.items(), 1):
        cell = text_cell(sheet, 1, column, word(f"coverage.{field}", language))
        cell.font, cell.fill = Font(bold=True), HEADER
        sheet.column_dimensions[cell.column_letter].width = width
    row = 1
    for row, one in enumerate(registers, 2):
        told = (one.agreement, one.party, one.location, one.point, one.point_name, one.meter, register(one.register, language))
        for column, written in enumerate((*told, word(f"coverage.{one.cover}", language)), 1):
            text_cell(sheet, row, column, written)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(_WIDTHS))}{row}"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
