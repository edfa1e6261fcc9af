"""Writes readings of the past, or their sums, as a workbook."""

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from gateway.mapping.template_cells import HEADER, text_cell
from gateway.texts import Language, word

READINGS: Final = {
    "period": 10,
    "day": 12,
    "agreement": 20,
    "location": 20,
    "address": 32,
    "point": 14,
    "meter": 18,
    "register": 20,
    "value": 16,
    "consumption": 16,
    "unit": 10,
    "source": 28,
    "status": 24,
    "settled": 18,
}
"""The columns of single readings with their widths."""
SUMS: Final = {
    "period": 10,
    "agreement": 20,
    "location": 20,
    "address": 32,
    "point": 14,
    "meter": 18,
    "register": 20,
    "readings": 12,
    "consumption": 16,
    "unit": 10,
    "last": 18,
}
"""The columns of sums by month or year."""
_EXACT: Final = 15
"""A sheet keeps so many digits of a number; one with more stays text, so that none is lost."""


def write(columns: dict[str, int], rows: Iterable[Sequence[str | int | Decimal | None]], language: Language) -> bytes:
    """One row a value, below the names of the columns, with a filter over all of them."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = word("history.sheet", language)
    for column, (field, width) in enumerate(columns.items(), 1):
        cell = text_cell(sheet, 1, column, word(f"history.{field}", language))
        cell.font, cell.fill = Font(bold=True), HEADER
        sheet.column_dimensions[cell.column_letter].width = width
    number = 1
    for number, row in enumerate(rows, 2):
        for column, written in enumerate(row, 1):
            if isinstance(written, str) or (isinstance(written, Decimal) and len(written.as_tuple().digits) > _EXACT):
                text_cell(sheet, number, column, str(written))
            elif written is not None:
                sheet.cell(number, column).value = written
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{number}"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
