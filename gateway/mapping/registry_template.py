"""An empty registry as a workbook: a sheet with the names of all columns, and one that says in three languages what each holds."""

import io
from typing import Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from gateway.mapping.registry_rows import COLUMNS, REQUIRED
from gateway.mapping.template_cells import HEADER, text_cell
from gateway.texts import LANGUAGES, word

_ROWS: Final = 1000
"""So many rows are formatted as text, so that codes keep their leading zeros; more may be filled in."""


def write() -> bytes:
    """The workbook. Columns that must be filled in are bold."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "registry"
    said = book.create_sheet("columns")
    for column, head in enumerate(("column", *LANGUAGES), 1):
        text_cell(said, 1, column, head).font = Font(bold=True)
        said.column_dimensions[said.cell(1, column).column_letter].width = 24 if column == 1 else 60
    for column, name in enumerate(COLUMNS, 1):
        cell = text_cell(sheet, 1, column, name)
        cell.font, cell.fill = Font(bold=name in REQUIRED), HEADER
        sheet.column_dimensions[cell.column_letter].width = max(12, len(name) + 2)
        for row in range(2, _ROWS + 2):
            sheet.cell(row, column).number_format = "@"
        text_cell(said, column + 1, 1, name).font = Font(bold=name in REQUIRED)
        for place, language in enumerate(LANGUAGES, 2):
            text_cell(said, column + 1, place, word(f"registry.{name}", language)).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = said.freeze_panes = "A2"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
