"""What one heat meter says in an archive: its rows put into blocks of values, its integrators into readings."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Final, cast

import msgspec

from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import AtFrom, IntervalBlock, MeterReading, Reading, Step
from gateway.mapping import Envelope
from gateway.mapping.cells import CellError, Written
from gateway.mapping.heat_columns import Column, Header, dial, own_unit, read_faults, read_values
from gateway.mapping.moments import (
    MISSING,
    Moment,
    at_ends,
    gaps,
    in_time,
    labels,
    moment,
    place_days,
    place_hours,
    read_clock,
    read_day,
    step_of,
)
from gateway.mapping.tables import Table, number_of

_GAPS: Final = 10
"""Runs of missing rows that are told one by one; the last one told covers all that follow."""
_place: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})").fullmatch


class Sheet:
    """One table below its header, every column of it read once; rows are counted from the first one below the header.

    `number`: the meter, where it has no column. `values`: code, column and values of what is archived, as blocks carry them, with an
    empty one behind the last for what is MISSING. `integrators`: the same by field. `wrong`: what is wrong with the cells of a row.
    `moments`: by row; of a row in `unread` it cannot be told. `labels`: telling hours that occur. `clock`: the column in which hours
    are written.
    """

    def __init__(self, table: Table, header: Header, number: str) -> None:
        """Read every column."""
        self.table, self.header, self.number = msgspec.structs.replace(table, rows=[]), header, number
        self.cells = _columns(table, header)
        days = {cell: read_day(cell) for cell in set(self.column("day"))}
        clocks = {cell: read_clock(cell) for cell in set(self.column("clock"))}
        written = self.column("day"), self.column("clock")
        read = {(day, clock): moment(days[day], clocks[clock]) for day, clock in set(zip(*written, strict=True))}
        self.moments = cast("tuple[Moment, ...]", (*map(read.__getitem__, zip(*written, strict=True)),))
        self.unread = {row: one for row, one in enumerate(self.moments) if isinstance(one, CellError)}
        self.labels = labels(one for one in read.values() if isinstance(one, Moment) and one.told)
        self.clock = "clock" if "clock" in header.columns else "day"
        self.wrong: dict[int, list[Problem]] = {}
        self.values = tuple((column.field, column.index, self._read(column)) for column in header.values)
        self.integrators = {column.field: self._read(column) for column in header.integrators}

    def column(self, field: str) -> tuple[Written, ...]:
        """The cells of a column; empty ones where the header does not name it."""
        column = self.header.columns.get(field)
        if column is not None:
            return self.cells[column.index]
        return (self.number if field == "meter" else "",) * len(self.cells[0])

    def place(self, row: int, field: str) -> str:
        """The name of a row's cell in a column; of its first cell where the header does not name that column."""
        column = self.header.columns.get(field)
        return self.table.where(self.header.first + row, column.index if column is not None else 0)

    def span(self, index: int, first: int, last: int) -> str:
        """The name of a run of cells of a column."""
        return self.table.span(index, self.header.first + first, self.header.first + last)

    def filled(self, row: int) -> bool:
        """Whether any value stands in a row."""
        return any(self.cells[column.index][row] != "" for column in (*self.header.values, *self.header.integrators))

    def state(self, row: int, circuit: int, envelope: Envelope) -> Reading | None:
        """The reading of a row that tells of the integrator alone, in the column of heat or of the integrator; None without a value.

        What the same row says that the integrator showed at the beginning is its previous value.
        """
        heat = next((values for code, _, values in self.values if code == "heat"), ())
        first = self.integrators.get("heat_first", ())
        for field, values in (("heat", heat), ("heat_last", self.integrators.get("heat_last", ()))):
            if values and (value := values[row]):
                reading = self._dial(row, field, value, circuit, envelope)
                begun = self._as_shown(row, "heat_first", first[row]) if first and first[row] else None
                return msgspec.structs.replace(reading, previous=begun) if begun is not None else reading
        return None

    def closing(self, rows: list[int], circuit: int, envelope: Envelope, period: str) -> Reading | None:
        """The integrator at the end of these rows, as far as they lie in the period; None when no row shows it."""
        last, first = self.integrators.get("heat_last"), self.integrators.get("heat_first")
        if last is None:
            return None
        inside = [row for row in rows if f"{self.moments[row].day:%Y-%m}" == period] or rows
        ordered = sorted(inside, key=lambda row: in_time(self.moments[row]))
        shown = [(row, value) for row in ordered if (value := last[row])]
        begun = [(row, value) for row in ordered if first is not None and (value := first[row])]
        if not shown:
            return None
        reading = self._dial(shown[-1][0], "heat_last", shown[-1][1], circuit, envelope)
        return msgspec.structs.replace(reading, previous=self._as_shown(begun[0][0], "heat_first", begun[0][1])) if begun else reading

    def _dial(self, row: int, field: str, value: str, circuit: int, envelope: Envelope) -> Reading:
        return Reading(
            register=_register(circuit),
            value=self._as_shown(row, field, value),
            ratio_applied=envelope.ratio_applied,
            losses_applied=envelope.losses_applied,
            where=self.place(row, field),
        )

    def _as_shown(self, row: int, field: str, value: str) -> Decimal:
        column = self.header.columns[field]
        return dial(Decimal(value), self.cells[column.index][row], field, column.unit)

    def _read(self, column: Column) -> tuple[str, ...]:
        cells = self.cells[column.index]
        found = read_faults(cells) if column.field == "faults" else read_values(cells, column.unit, own_unit(column.field))
        wrong = {cell: value for cell, value in found.items() if isinstance(value, CellError)}
        if wrong:
            for row, cell in enumerate(cells):
                if cell in wrong:
                    where = self.table.where(self.header.first + row, column.index)
                    self.wrong.setdefault(row, []).append(wrong[cell].at(where))
            found |= dict.fromkeys(wrong, "")
        return cast("tuple[str, ...]", (*map(found.__getitem__, cells), ""))


class HeatMeter:
    """What the rows of one meter have said so far."""

    __slots__ = ("_series", "code", "problems", "states", "where")

    def __init__(self, code: str, where: str, *problems: Problem) -> None:
        """Begin with its number as written, the place of it, and what is wrong with it."""
        self.code, self.where, self.problems = code, where, list(problems)
        self.states: list[tuple[Sheet, int, int, Moment | None]] = []
        self._series: dict[tuple[int, Step | None, int], tuple[Sheet, list[int]]] = {}

    def rows(self, sheet: Sheet, circuit: int, step: Step | None) -> list[int]:
        """Where the rows of a heat input and step are gathered; without a step, their moments will tell it."""
        return self._series.setdefault((circuit, step, id(sheet)), (sheet, []))[1]

    def reading(self, envelope: Envelope) -> MeterReading:
        """All that the file says of the meter. The period is the envelope's, else the month of most of its days.

        Of rows without a number of a meter only their wrong cells are told.
        """
        if not self.code:
            return MeterReading(meter="", readings=(), period=envelope.period, where=self.where, problems=tuple(self.problems))
        self._tell_steps()
        placed = self._placed(envelope.zone)
        period = envelope.period or _month(placed)
        at, readings = self._readings(envelope, period)
        return MeterReading(
            meter=self.code,
            readings=readings,
            agreement=envelope.agreement,
            period=period,
            at=at,
            at_from=AtFrom.FILE if at else AtFrom.ARRIVAL,
            where=self.where,
            problems=tuple(self.problems),
            blocks=tuple(block for one in placed for block in one.told(envelope)),
        )

    def _tell_steps(self) -> None:
        """Give rows without a step the one that their distances tell, or, where they do not, the only one of the meter's other rows."""
        untold = [(circuit, sheet, rows) for (circuit, step, _), (sheet, rows) in self._series.items() if step is None and rows]
        steps = [step_of([sheet.moments[row] for row in rows]) for _, sheet, rows in untold]
        known = {step for _, step, _ in self._series if step is not None} | {step for step in steps if step is not None}
        for (circuit, sheet, rows), told in zip(untold, steps, strict=True):
            step = told or (min(known) if len(known) == 1 and Step.HOUR not in known else None)
            if step is None:
                self.problems.append(Problem(code="archive_step_unknown", where=sheet.place(rows[0], "day")))
            else:
                self.rows(sheet, circuit, step).extend(rows)

    def _placed(self, zone: str) -> list["_Blocks"]:
        """Every series of rows in its blocks; what does not fit is a problem of its cell."""
        found: list[_Blocks] = []
        for (circuit, step, _), (sheet, rows) in self._series.items():
            if step is None or not rows:
                continue
            moments = sheet.moments
            ends = at_ends([moments[row] for row in rows], sheet.labels) if step is Step.HOUR else False
            if ends is None:
                self.problems.append(Problem(code="hour_labels_unclear", where=sheet.place(rows[0], sheet.clock)))
                continue
            placed = place_hours(rows, moments, zone, ends=ends) if step is Step.HOUR else place_days(rows, moments, step, zone)
            field = sheet.clock if step is Step.HOUR else "day"
            for code, wrong in (("moment_repeated", placed.twice), ("hour_nonexistent", placed.nowhere)):
                told = [(sheet.place(row, field), {"moment": moments[row].label(step)}) for row in wrong]
                self.problems += [Problem(code=code, where=where, values=values) for where, values in told]
            self.problems += _gap_hints(gaps(placed.blocks, step, zone), sheet.place(rows[0], "day"))
            blocks = _Blocks(sheet, circuit, step, placed.blocks)
            for other in found:
                if (other.circuit, other.step) == (circuit, step) and (again := other.rows.keys() & blocks.rows.keys()):
                    first = min(number for number in blocks.rows[min(again)] if number != MISSING)
                    values = {"moment": min(again).isoformat()}
                    self.problems.append(Problem(code="moment_repeated", where=sheet.place(first, "day"), values=values))
                    blocks.rows = {day: slots for day, slots in blocks.rows.items() if day not in again}
            found.append(blocks)
        return found

    def _readings(self, envelope: Envelope, period: str) -> tuple[datetime | None, tuple[Reading, ...]]:
        """What the integrators showed, at most one reading for each heat input, and when, if a row says the hour."""
        found: dict[int, Reading] = {}
        moments: list[datetime] = []
        for circuit in sorted({circuit for _, circuit, _, _ in self.states}):
            states = [(moment, sheet.state(row, circuit, envelope)) for sheet, number, row, moment in self.states if number == circuit]
            shown = [(moment, reading) for moment, reading in states if reading is not None]
            if len(shown) > 1 and any(moment is None for moment, _ in shown):
                told = {"register": _register(circuit), "meter": self.code}
                self.problems.append(Problem(code="register_repeated", where=shown[1][1].where, values=told))
            elif shown:
                last, found[circuit] = max(shown, key=lambda one: in_time(one[0]) if one[0] else (date.min, 0))
                moments += [last.instant(envelope.zone)] if last is not None and last.told else []
        for step in (Step.MONTH, Step.DAY, Step.HOUR):
            for (circuit, other, _), (sheet, rows) in self._series.items():
                if other is step and circuit not in found and (reading := sheet.closing(rows, circuit, envelope, period)) is not None:
                    found[circuit] = reading
        return max(moments, default=None), tuple(found[circuit] for circuit in sorted(found))


class _Blocks:
    """A series of rows of one step in its blocks: first day of each -> the row of every interval."""

    __slots__ = ("circuit", "rows", "sheet", "step")

    def __init__(self, sheet: Sheet, circuit: int, step: Step, rows: dict[date, list[int]]) -> None:
        self.sheet, self.circuit, self.step, self.rows = sheet, circuit, step, rows

    def told(self, envelope: Envelope) -> Iterator[IntervalBlock]:
        """A block of each code and day that has a value at all."""
        suffix = f"@{self.circuit}" if self.circuit > 1 else ""
        codes = [(f"{code}{suffix}", index, values) for code, index, values in self.sheet.values]
        span, ratio, losses = self.sheet.span, envelope.ratio_applied, envelope.losses_applied
        for day in sorted(self.rows):
            slots = self.rows[day]
            there = [row for row in slots if row != MISSING]
            first, last, take, nothing = min(there), max(there), itemgetter(*slots), "," * (len(slots) - 1)
            for code, index, column in codes:
                values = ",".join(take(column))
                if values != nothing:
                    yield IntervalBlock(
                        register=code,
                        step=self.step,
                        day=day,
                        written=values,
                        ratio_applied=ratio,
                        losses_applied=losses,
                        where=span(index, first, last),
                    )


def _register(circuit: int) -> str:
    return f"heat@{circuit}" if circuit > 1 else "heat"


def _gap_hints(runs: list[tuple[str, str, int]], where: str) -> Iterator[Problem]:
    """A hint for each run of missing rows; when there are many, the last one covers the rest of them."""
    if len(runs) > _GAPS:
        rest = runs[_GAPS - 1 :]
        runs = [*runs[: _GAPS - 1], (rest[0][0], rest[-1][1], sum(count for *_, count in rest))]
    for start, end, count in runs:
        yield Problem(code="archive_gap", where=where, severity=Severity.HINT, values={"start": start, "end": end, "count": str(count)})


def _month(placed: list[_Blocks]) -> str:
    """The calendar month of most days that have rows, the later one of equals; of most monthly rows where there are no days."""
    found: Counter[str] = Counter()
    days = [one for one in placed if one.step is not Step.MONTH]
    for one in days or placed:
        for day, slots in one.rows.items():
            if one.step is Step.MONTH:
                found.update(f"{day.year}-{month:02}" for month, row in enumerate(slots, 1) if row != MISSING)
            else:
                found[f"{day:%Y-%m}"] += sum(row != MISSING for row in slots) if one.step is Step.DAY else 1
    return max(found, key=lambda month: (found[month], month), default="")


def _columns(table: Table, header: Header) -> list[tuple[Written, ...]]:
    """The columns below a header; a cell that cannot be trusted is its problem, a yes or no is no number."""
    rows = table.rows[header.first : header.last]
    columns: list[tuple[Written, ...]] = [tuple(map(itemgetter(index), rows)) for index in range(len(table.rows[0]))]
    for index, column in enumerate(columns):
        if bool in set(map(type, column)):
            columns[index] = tuple(CellError("not_a_number", cell) if isinstance(cell, bool) else cell for cell in column)
    for index, errors in _spoilt(table, header).items():
        if 0 <= index < len(columns):
            columns[index] = tuple(errors.get(row, cell) for row, cell in enumerate(columns[index]))
    return columns


def _spoilt(table: Table, header: Header) -> dict[int, dict[int, CellError]]:
    """The cells that cannot be trusted, by column and row below the header: told by their letters, or by whatever the table calls them."""
    found: dict[int, dict[int, CellError]] = {}
    elsewhere: dict[str, Problem] = {}
    for problem in table.problems:
        place = _place(problem.where.removeprefix(f"{table.name}!"))
        if place is None:
            elsewhere[problem.where] = problem
        else:
            row, index = int(place[2]) - 1 - table.row - header.first, number_of(place[1]) - 1 - table.column
            found.setdefault(index, {})[row] = _error(problem)
    for row in range(header.first, header.last) if elsewhere else ():
        for index in range(len(table.rows[row])):
            wrong = elsewhere.get(table.where(row, index))
            if wrong is not None:
                found.setdefault(index, {})[row - header.first] = _error(wrong)
    return found


def _error(problem: Problem) -> CellError:
    error = CellError(problem.code, "")
    error.values = problem.values
    return error
