"""Archives of heat meters by a mapping: many meters below one header, or a table for each, or one below another as devices print them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.cells import Cell, CellError
from gateway.mapping.heat_columns import Header, Words
from gateway.mapping.heat_meter import Sheet
from gateway.mapping.heat_rows import Meters, read_rows, told
from gateway.mapping.mapped.partner import Codes
from gateway.mapping.moments import read_day
from gateway.mapping.sheet_owner import named, owner
from gateway.mapping.tables import Table
from gateway.settings import Limits

_REPORTS: Final = 1000
"""So many tables may stand one below another in a sheet."""


def read_archive(
    tables: Sequence[Table], words: Words, codes: Codes, envelope: Envelope, limits: Limits
) -> Iterator[MeterReading | Problem]:
    """One MeterReading per meter with the blocks of all its heat inputs; hints about columns that are passed over.

    Raises Rejected when there is no header, a column or its unit is not known, or nothing stands below.
    """
    found = [
        (table, headers) for table in tables if (header := words.find(table)) is not None and (headers := _stacked(table, header, words))
    ]
    if not found:
        raise Rejected(Problem(code="header_not_found", where=tables[0].where(0, 0) if tables else ""))
    problems: list[Problem] = []
    sheets: list[Sheet] = []
    for table, headers in found:
        for header, number in zip(headers, _numbers(table, headers, envelope.meter), strict=True):
            objections = [*words.problems(table, header, named=bool(number))]
            errors = [problem for problem in objections if problem.severity is Severity.ERROR]
            problems += objections if header is headers[0] else errors
            sheets += [] if errors else [Sheet(table, header, number)]
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise Rejected(*problems)
    meters: Meters = {}
    for sheet in sheets:
        read_rows(sheet, meters, words)
    if not meters:
        raise Rejected(Problem(code="nothing_to_take", where=sheets[0].place(-1, "heat")))
    return (codes.ours(one) if isinstance(one, MeterReading) else one for one in told(problems, meters.values(), envelope, limits))


def _stacked(table: Table, header: Header, words: Words) -> list[Header]:
    """The header and the same one further down, where reports of several meters stand one below another. Raises Rejected for too many."""
    day = header.columns.get("day")
    if "meter" in header.columns or day is None:
        return [header]
    same = table.rows[header.row][day.index]
    below = [row for row in range(header.first, len(table.rows)) if table.rows[row][day.index] == same]
    if len(below) > _REPORTS:
        raise Rejected(Problem(code="too_many_readings", where=table.where(header.row, 0), values={"limit": str(_REPORTS)}))
    headers = [header, *(found for row in below if (found := words.header(table, row)) is not None)]
    for place, following in enumerate(headers[1:]):
        last = following.row
        while last > headers[place].first and not _is_data(table.rows[last - 1], headers[place]):
            last -= 1
        headers[place] = msgspec.structs.replace(headers[place], last=last)
    return headers


def _is_data(row: Sequence[Cell], header: Header) -> bool:
    """Whether a row is one of values and not of a title."""
    readable = not isinstance(read_day(row[header.columns["day"].index]), CellError)
    return readable or sum(row[column.index] != "" for column in header.values) > 1


def _numbers(table: Table, headers: Iterable[Header], told: str) -> Iterator[str]:
    """The meter of each header without a column for it: a cell above names it, else the header before, the sheet's name, the channel."""
    number, above = named(table) or told, 0
    for header in headers:
        cells = ((row, column) for row in range(above, header.row) for column in range(len(table.rows[row])))
        number = "" if "meter" in header.columns else owner(table, cells).meter or number
        above = header.last
        yield number
