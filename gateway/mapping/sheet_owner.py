"""Whose a sheet is when nobody says so beside it: a cell «Прибор учёта» or «Точка учёта» near the table, or the sheet's own name."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.domain.problems import Problem
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.crosswalk import fold, lookup
from gateway.mapping.tables import Table

_WORDS: Final = lookup(
    {
        "meter": (
            "прибор учета", "номер прибора учета", "номер ПУ", "ПУ", "заводской номер", "заводской номер ПУ", "счетчик", "номер счетчика",
            "прилад обліку", "номер приладу обліку", "лічильник", "номер лічильника", "заводський номер",
            "прибор", "номер прибора", "№ прибора", "зав. №", "зав. номер", "заводской №", "теплосчетчик", "номер теплосчетчика",
            "прилад", "номер приладу", "зав. номер приладу", "теплолічильник", "номер теплолічильника",
            "meter", "meter number", "serial number",
        ),
        "point": ("точка", "точка учета", "код точки учета", "точка обліку", "код точки обліку", "EIC", "usage point", "point"),
    }
)  # fmt: skip
_BEFORE: Final = re.compile(r"^(?:ПУ|№|No\.?|N)\s*(?=\S*[0-9])", re.IGNORECASE)
_WITHIN: Final = re.compile(
    r"\b(?:зав(?:одск|од)?[а-яёії]*|сер(?:ійн|ийн)?[а-яёії]*)\.?\s?(?:№|номер|N)[:.]?\s?([\w./-]*[0-9][\w./-]*)", re.IGNORECASE
).search
"""A number within a title: «Теплосчётчик ВКТ-7 зав. № 12345»."""
_UNNAMED: Final = re.compile(
    r"лист|sheet|аркуш|table|таблица|книга|шаблон|янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек|січ|лют|бер|кві|тра|чер|лип|сер|вер|жов|"
    r"лис|гру|архив|архів|отч[её]т|звіт|часы|часов|сут|меся|місяч|доба|добов|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|[0-9]{1,2}[._-][0-9]{2,4}$|20[0-9]{2}$",
    re.IGNORECASE,
).match


class Owner(msgspec.Struct, frozen=True):
    """A code as the sheet writes it and its place; `meter` and `point` are empty when the sheet does not say them."""

    meter: str = ""
    meter_where: str = ""
    point: str = ""
    problems: tuple[Problem, ...] = ()


def owner(table: Table, cells: Iterable[tuple[int, int]]) -> Owner:
    """What the cells near the table, given by row and column, say in words like «Прибор учёта: 01284918» or with the code to the right."""
    found: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    for row, column in cells:
        cell = table.rows[row][column]
        if not isinstance(cell, str) or not 0 < len(cell) <= 200:
            continue
        name, _, rest = cell.partition(":")
        what = _WORDS.get(fold(name), "")
        if not what and "meter" not in found and (within := _WITHIN(cell)):
            found["meter"] = within[1].rstrip("."), table.where(row, column)
        if not what or what in found:
            continue
        at = column if rest.strip() else _next(table.rows[row], column)
        code: Cell = rest if at == column else table.rows[row][at]
        try:
            if written := bare(cell_code(code)):
                found[what] = written, table.where(row, at)
        except CellError as error:
            problems.append(error.at(table.where(row, at)))
    meter, where = found.get("meter", ("", ""))
    return Owner(meter, where, found.get("point", ("", ""))[0], tuple(problems))


def named(table: Table) -> str:
    """The code that a sheet's name is; empty when the name is one that programs or months give."""
    code = bare(table.name)
    return code if any(map(str.isdigit, code)) and _UNNAMED(code) is None else ""


def _next(row: Sequence[Cell], column: int) -> int:
    """The next filled cell to the right, the same one when there is none."""
    return next((at for at in range(column + 1, len(row)) if row[at] != ""), column)


def bare(code: str) -> str:
    """A meter's number without the «ПУ» or «№» before it."""
    return _BEFORE.sub("", code.strip()).partition("•")[0].rstrip()
