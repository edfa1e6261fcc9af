"""Rows of time: a row for each hour or day, columns of values, become blocks of one MeterReading a meter and month."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

import msgspec

from gateway.domain.intervals import MINUTES
from gateway.domain.mappings import STEPS, Field
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import INTERVALS, IntervalBlock, MeterReading, Step
from gateway.domain.readings import written as joined
from gateway.domain.supply import key
from gateway.domain.units import convert
from gateway.mapping import Envelope
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.mapped.partner import Code, Codes
from gateway.mapping.mapped.reader import Rows
from gateway.mapping.moments import MISSING, Moment, at_ends, labels, moment, place_days, place_hours, step_of
from gateway.mapping.sheet_owner import bare

_WHOSE: Final[tuple[Field, ...]] = ("meter", "point", "agreement")


class Column(msgspec.Struct, frozen=True):
    """A column of values: its register and unit, and the meter that its header names, empty where the rows name it."""

    place: int
    register: str
    unit: str = ""
    meter: str = ""


class Owned(msgspec.Struct):
    """The rows of one meter: those of each column. `unclear`: nothing tells whether its hours are beginnings or ends."""

    code: Code
    where: str
    rows: dict[Column, list[int]] = msgspec.field(default_factory=dict)
    problems: list[Problem] = msgspec.field(default_factory=list)
    unclear: bool = False


class Times(msgspec.Struct):
    """The moments of a table's rows, how long each lasts, and the labels that only a beginning or only an end can be."""

    moments: dict[int, Moment]
    step: Step
    labels: frozenset[int]


class Series:
    """Reads rows of time into blocks."""

    def __init__(self, document: Document, codes: Codes, envelope: Envelope) -> None:
        """Nothing is read yet."""
        self.document, self.codes, self.envelope = document, codes, envelope
        self.said: dict[tuple[str, ...], MeterReading] = {}

    def read(self, rows: Rows, told: str = "") -> None:
        """Read the blocks of a table. `told`: whose the table is when no cell says it."""
        columns = self._columns(rows)
        wrong: dict[int, list[Problem]] = {}
        times = self._times(rows, columns, wrong)
        for owned in self._owners(rows, columns, times, wrong, told).values():
            blocks = [block for column in owned.rows for block in self._blocks(rows, owned, column, times)]
            for reading in self._readings(owned, sorted(blocks, key=lambda block: (block.day.year, block.day.month))):
                identity = (key(reading.meter) or reading.where, key(reading.point), key(reading.agreement), reading.period)
                before = self.said.get(identity)
                self.said[identity] = reading if before is None else _both(before, reading)

    def readings(self) -> list[MeterReading]:
        """What all tables said of each meter and month."""
        return list(self.said.values())

    def _times(self, rows: Rows, columns: Sequence[Column], wrong: dict[int, list[Problem]]) -> Times:
        """The moment of every row, and what is wrong with those that have none, by row.

        A midnight that a meter's rows write with the day that it ends (31.10, 23:00, then 31.10, 0:00) is that day's hour 24. A row with
        numbers and no day is told and passed over: it may be a sum, and nobody knows of when its values are.
        """
        moments: dict[int, Moment] = {}
        last: dict[tuple[Cell, ...], Moment] = {}
        whose = [rows.columns[field] for field in _WHOSE if field in rows.columns]
        for row in rows.numbers():
            problems: list[Problem] = []
            day, clock = rows.day(row, problems), rows.clock(row, problems)
            if day is None and not problems and any(rows.amount(row, column.place, []) is not None for column in columns):
                problems.append(CellError("moment_invalid", "").at(rows.where(row, rows.columns["day"]), Severity.WARNING))
            one = None if day is None else moment(day, clock)
            if problems:
                wrong[row] = problems
            elif isinstance(one, Moment):
                cells = rows.table.rows[row]
                owner = tuple([cells[column] for column in whose if column < len(cells)])
                before = last.get(owner)
                if before is not None and one.told and not one.minutes and before.hour == 23 and before.day == one.day:
                    one = msgspec.structs.replace(one, hour=24)
                moments[row] = last[owner] = one
        step = STEPS.get(self.document.step) or step_of(list(moments.values())) or Step.HOUR
        for row in [row for row, one in moments.items() if (one.half or one.whole) and not one.fits(step)]:
            column = rows.columns.get("clock", rows.columns["day"])
            wrong[row] = [CellError("moment_invalid", rows.cell(row, column)).at(rows.where(row, column))]
            del moments[row]
        return Times(moments, step, labels(moments.values()))

    def _owners(
        self, rows: Rows, columns: Sequence[Column], times: Times, wrong: dict[int, list[Problem]], told: str
    ) -> dict[tuple[str, ...], Owned]:
        """Whose each row and column is, with what is wrong with the rows; a warning of a row that is nobody's stands with the first."""
        found: dict[tuple[str, ...], Owned] = {}
        hints = {row: same for row, same in wrong.items() if all(one.severity is Severity.WARNING for one in same)}
        errors = wrong.keys() - hints.keys()
        for row in sorted({*times.moments, *errors}) if errors else times.moments:
            problems = [*wrong[row], *rows.moved(row)] if row in errors else rows.moved(row)
            meter, point, agreement = (rows.code(row, field, problems) for field in _WHOSE)
            owners: dict[int, Owned] = {}
            for column in columns:
                identity = (column.meter or meter or ("" if point else told), point, agreement)
                owned = found.get(identity)
                if owned is None:
                    owned = found[identity] = self._owned(identity, rows.where(row, rows.columns.get("meter", column.place)))
                if row not in errors:
                    owned.rows.setdefault(column, []).append(row)
                if problems:
                    owners[id(owned)] = owned
            for owned in owners.values():
                owned.problems += problems
        for owned in [*found.values()][:1]:
            owned.problems += [one for same in hints.values() for one in same]
        return found

    def _owned(self, identity: tuple[str, ...], where: str) -> Owned:
        code, problem = self.codes.of(*identity)
        owned = Owned(code, where)
        if problem is not None:
            owned.problems.append(msgspec.structs.replace(problem, where=where))
        if not (code.meter or code.point):
            owned.problems.append(Problem(code="meter_missing", where=where))
        return owned

    def _columns(self, rows: Rows) -> list[Column]:
        document, header = self.document, rows.header
        if document.across:
            return list(self._across(rows))
        told = [(header.slots.get(("", place)), one.register, one.unit) for place, one in enumerate(document.values, 1)]
        told = told or [(header.column("value"), document.register, "")]
        return [Column(at, register, unit or document.unit) for at, register, unit in told if at is not None]

    def _across(self, rows: Rows) -> Iterator[Column]:
        """The columns behind the moment whose header is a meter's number; one with another header is told: its values are somebody's."""
        taken = set(rows.header.slots.values())
        for place, cell in enumerate(rows.table.rows[rows.header.row]):
            if place > min(taken) and place not in taken and cell != "" and not rows.is_total(cell):
                try:
                    yield Column(place, self.document.register, self.document.unit, bare(cell_code(cell)))
                except CellError as error:
                    where = rows.where(rows.header.row, place)
                    self.said[where,] = MeterReading(meter="", readings=(), where=where, problems=(error.at(where),))

    def _blocks(self, rows: Rows, owned: Owned, column: Column, times: Times) -> Iterator[IntervalBlock]:
        values = {row: rows.amount(row, column.place, owned.problems) for row in owned.rows[column]}
        if column.unit:
            ours = INTERVALS[column.register].unit
            values = {row: None if value is None else convert(value, column.unit, ours) for row, value in values.items()}
        own = [times.moments[row] for row in values]
        if times.step in MINUTES:
            ends = self.document.label == "end" if self.document.label else at_ends(own, times.labels, times.step)
            if ends is None:
                where = rows.where(next(iter(values)), column.place)
                owned.problems += [] if owned.unclear else [Problem(code="hour_labels_unclear", where=where)]
                owned.unclear = True
                return
            moments = times.moments if ends else {row: _begun(times.moments[row]) for row in values}
            placed = place_hours(values, moments, self.envelope.zone, ends=ends, step=times.step)
        else:
            placed = place_days(values, times.moments, times.step, self.envelope.zone)
        odd = [("moment_repeated", row) for row in placed.twice] + [("hour_nonexistent", row) for row in placed.nowhere if values[row]]
        for code, row in odd:
            told = {"register": column.register, "moment": times.moments[row].label(times.step)}
            owned.problems.append(Problem(code=code, where=rows.where(row, column.place), values=told))
        for day, slots in sorted(placed.blocks.items()):
            told_rows = [row for row in slots if row != MISSING]
            if any(values[row] is not None for row in told_rows):
                yield IntervalBlock(
                    register=column.register,
                    step=times.step,
                    day=day,
                    written=joined([values[row] if row != MISSING else None for row in slots]),
                    ratio_applied=self.envelope.ratio_applied,
                    losses_applied=self.envelope.losses_applied,
                    where=rows.table.span(column.place, min(told_rows), max(told_rows)),
                )

    def _readings(self, owned: Owned, blocks: Sequence[IntervalBlock]) -> Iterator[MeterReading]:
        """One for each month; what is wrong with the meter stands with the first."""
        months: Mapping[str, list[IntervalBlock]] = {
            month: list(same) for month, same in groupby(blocks, key=lambda block: f"{block.day:%Y-%m}")
        }
        problems = tuple(owned.problems)
        for month, same in (months or ({self.envelope.period: []} if problems else {})).items():
            yield MeterReading(
                meter=owned.code.meter,
                readings=(),
                agreement=owned.code.agreement or self.envelope.agreement,
                point=owned.code.point,
                period=month,
                where=owned.where,
                problems=problems,
                blocks=tuple(same),
            )
            problems = ()


def _both(one: MeterReading, other: MeterReading) -> MeterReading:
    """What two tables say of one meter and month."""
    return msgspec.structs.replace(one, blocks=one.blocks + other.blocks, problems=one.problems + other.problems)


def _begun(one: Moment) -> Moment:
    """A moment that is a beginning: 24:00 of a day is 0:00 of the next."""
    return msgspec.structs.replace(one, day=one.day + timedelta(days=1), hour=0) if one.hour == 24 else one
