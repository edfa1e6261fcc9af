"""What the cells of our templates have in common."""

from typing import Final

from openpyxl.cell import Cell
from openpyxl.styles import PatternFill
from openpyxl.worksheet.worksheet import Worksheet

HEADER: Final = PatternFill("solid", fgColor="DDE6F0")
INPUT: Final = PatternFill("solid", fgColor="FFF7D6")


def text_cell(sheet: Worksheet, row: int, column: int, written: str) -> Cell:
    """A cell that stays text: Excel must not make a date of `01-02`, a formula of `=`, nor lose a leading zero."""
    cell: Cell = sheet.cell(row, column)  # type: ignore[assignment]
    cell.value = written
    cell.data_type = "s"
    cell.number_format = "@"
    return cell
