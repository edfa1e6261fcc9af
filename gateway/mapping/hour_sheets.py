"""Tables of hours and days, a sheet for each meter, as one MeterReading a meter and month."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import INTERVALS, MeterReading
from gateway.domain.supply import key
from gateway.domain.windows import month
from gateway.mapping import Envelope, within_limit
from gateway.mapping.crosswalk import META
from gateway.mapping.hour_grid import REGISTER, find
from gateway.mapping.interval_sheet import IntervalSheet
from gateway.mapping.mapped.units import in_title
from gateway.mapping.sheet_owner import Owner, named, owner
from gateway.mapping.tables import Table
from gateway.settings import Limits

_TITLE: Final = 200
Told = Mapping[str, tuple[str, str]]
"""What a hidden sheet says: name -> what is written and where."""


def hour_sheets(
    tables: Sequence[Table], envelope: Envelope, written: Told, limits: Limits, register: str = REGISTER, unit: str = ""
) -> Iterator[MeterReading]:
    """One MeterReading per meter and month, with a block for every day that is not left empty.

    `written`: what a hidden sheet says of meter, point, period and agreement. `unit`: of the values, else the register's own; a title that
    names another one refuses its meter. Raises Rejected when there is no table of hours and days, no value or no meter told.
    """
    period = envelope.period or written.get("period", ("", ""))[0]
    expected = month(period) if period else None
    shown = _shown(tables)
    grids = [grid for table in shown if (grid := find(table, expected, register)) is not None]
    if not grids:
        spoilt = [problem for table in shown for problem in table.problems][: limits.file_problems]
        raise Rejected(*spoilt, Problem(code="hours_not_found", where=shown[0].name if shown else ""))
    sheets = [sheet for grid in grids if (sheet := IntervalSheet(grid, envelope, expected)).touched]
    if not sheets:
        raise Rejected(Problem(code="nothing_to_take", where=grids[0].table.name))
    for sheet in sheets:
        sheet.problems += _other_unit(sheet, unit or str(INTERVALS[register].unit), INTERVALS[register].unit)
    readings = _by_meter(sheets, envelope, written, several=len(grids) > 1)
    if len(grids) > 1:
        found = {grid.table.name for grid in grids}
        readings += [_unread(table, envelope) for table in shown if table.name not in found and named(table)]
    return within_limit(readings, limits)


def _other_unit(sheet: IntervalSheet, expected: str, own: str) -> Iterator[Problem]:
    """A title that says that the values are in another unit, where none says that they are in this one."""
    cells = ((row, column, sheet.table.rows[row][column]) for row, column in sheet.grid.above())
    titles = [(sheet.table.where(row, column), cell) for row, column, cell in cells if isinstance(cell, str) and 0 < len(cell) <= _TITLE]
    found = [(where, cell, unit) for where, cell in titles for unit in in_title(cell, own)]
    if found and all(unit != expected for _, _, unit in found):
        where, cell, unit = found[0]
        yield Problem(code="unit_differs", where=where, values={"column": cell[:60], "written": unit, "expected": expected})


def _shown(tables: Sequence[Table]) -> list[Table]:
    return [table for table in tables if not table.hidden and table.rows and table.name != META]


def _unread(table: Table, envelope: Envelope) -> MeterReading:
    """A sheet among others that bears a meter's number and holds no table: its meter is refused, and nobody thinks that it was read."""
    problem = Problem(code="hours_not_found", where=table.name)
    return MeterReading(meter=named(table), readings=(), agreement=envelope.agreement, where=table.name, problems=(problem,))


def _by_meter(sheets: Sequence[IntervalSheet], envelope: Envelope, written: Told, *, several: bool) -> list[MeterReading]:
    """What the sheets of one meter and month say becomes one MeterReading. Raises Rejected when no sheet has a meter."""
    found: dict[tuple[str, date], tuple[str, str, list[IntervalSheet]]] = {}
    for sheet in sheets:
        whose = owner(sheet.table, sheet.grid.above())
        sheet.problems += whose.problems
        code = _meter(sheet, whose, envelope.meter, written, several=several)
        point = whose.point or ("" if several else written.get("point", ("", ""))[0])
        found.setdefault((key(code or sheet.table.name), sheet.first), (code, point, []))[2].append(sheet)
    if not any(code for code, *_ in found.values()):
        raise Rejected(Problem(code="meter_not_told", where=sheets[0].table.name))
    readings = []
    for code, point, same in found.values():
        if not code:
            same[0].problems.append(Problem(code="meter_not_told", where=same[0].table.name))
        days: set[date] = set()
        for sheet in same:
            sheet.problems += [sheet.repeated(block.day) for block in sheet.blocks if block.day in days]
            days |= {block.day for block in sheet.blocks}
        reading = MeterReading(
            meter=code or same[0].table.name,
            readings=(),
            agreement=envelope.agreement or written.get("agreement", ("", ""))[0],
            point=point,
            period=f"{same[0].first:%Y-%m}",
            where=same[0].table.name,
            problems=tuple(problem for sheet in same for problem in sheet.problems),
            blocks=tuple(block for sheet in same for block in sheet.blocks),
        )
        readings.append(reading)
    return readings


def _meter(sheet: IntervalSheet, whose: Owner, told_beside: str, written: Told, *, several: bool) -> str:
    """The meter of a sheet: told beside the file, by the hidden sheet, by a cell or by the sheet's name; a contradiction is a problem.

    Of several sheets each is of the meter that it names itself, and only one that names none is of the meter told.
    """
    hidden, hidden_where = written.get("meter", ("", ""))
    own = (whose.meter, whose.meter_where)
    if several:
        own = own if own[0] else (named(sheet.table), sheet.table.name)
        hidden = "" if own[0] else hidden
    code = told_beside or hidden or own[0] or named(sheet.table)
    for said, where in ((hidden, hidden_where), own):
        if said and key(said) != key(code):
            sheet.problems.append(Problem(code="meter_differs", where=where, values={"written": said[:40], "expected": code[:40]}))
            code = own[0] if several else code
    return code
