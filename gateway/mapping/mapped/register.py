"""Rows of readings: a row for each meter, or for each of its registers, become one MeterReading a meter, period and instant."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.mappings import WHOSE, Field
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import REGISTERS, AtFrom, MeterReading, Reading
from gateway.domain.supply import key
from gateway.domain.units import UNITS, convert
from gateway.domain.windows import shift
from gateway.mapping import Envelope
from gateway.mapping.crosswalk import fold, lookup
from gateway.mapping.mapped.partner import Code, Codes
from gateway.mapping.mapped.reader import Rows, instant
from gateway.mapping.mapped.units import of_rows, unit_named

Identity = tuple[str, str, str, str, str, datetime | None]


_CODES: Final[tuple[Field, ...]] = ("point", "agreement", "location")


class Meter(msgspec.Struct):
    """What the rows of one meter, period and instant have said so far."""

    code: Code
    location: str
    period: str
    at: datetime | None
    where: str
    readings: dict[str, Reading] = msgspec.field(default_factory=dict)
    problems: list[Problem] = msgspec.field(default_factory=list)

    def take(self, values: Iterable[Reading], problems: Iterable[Problem]) -> None:
        """Add what a row says; a register that has been said already stands as it was."""
        self.problems += problems
        for reading in values:
            if self.readings.setdefault(reading.register, reading) is not reading:
                wrong = {"register": reading.register, "meter": self.code.meter}
                self.problems.append(Problem(code="register_repeated", where=reading.where, values=wrong))

    def reading(self, envelope: Envelope) -> MeterReading:
        """All of it as the domain has it."""
        return MeterReading(
            meter=self.code.meter,
            readings=tuple(self.readings.values()),
            agreement=self.code.agreement or envelope.agreement,
            location=self.location,
            point=self.code.point,
            period=self.period or envelope.period,
            at=self.at,
            at_from=AtFrom.FILE if self.at is not None else AtFrom.ARRIVAL,
            where=self.where,
            problems=tuple(self.problems),
        )


class Register:
    """Reads rows of readings into meters."""

    def __init__(self, document: Document, codes: Codes, envelope: Envelope) -> None:
        """Nothing is read yet."""
        self.document, self.codes, self.envelope = document, codes, envelope
        self.quantities, self.zones = lookup(document.quantities), lookup(document.zones)
        self.groups = _by_meter(document)
        self.meters: dict[Identity, Meter] = {}
        self.keys: dict[str, Meter] = {}
        self.units: tuple[str, int | None] = "", None

    def read(self, rows: Rows, told: str = "") -> None:
        """Give every row of a table to its meter. `told`: whose the table is when no column says it."""
        known: dict[Hashable, Meter] = {}
        registers: dict[Hashable, tuple[str, str]] = {}
        told = "" if rows.columns.keys() & set(WHOSE) else told
        self.units = of_rows(rows.table, rows.header)
        for number in rows.numbers():
            once = "row_key" in rows.columns
            for own, places in self.groups:
                problems = rows.moved(number)
                values = self._columns(rows, number, places, problems) if places else self._value(rows, number, registers, problems)
                if not values and not problems:
                    continue
                meter = self._meter(rows, number, own, told, known, problems)
                if once:
                    self._once(rows, number, meter, problems)
                    once = False
                meter.take(values, problems)

    def readings(self) -> list[MeterReading]:
        """What all tables said of each meter, period and instant."""
        return [meter.reading(self.envelope) for meter in self.meters.values()]

    def _columns(self, rows: Rows, number: int, places: Sequence[int], problems: list[Problem]) -> list[Reading]:
        """The readings of a row that has a column for each register. `places`: numbers of the columns of one meter."""
        found: list[Reading] = []
        slots = rows.header.slots
        for place in places:
            wanted = self.document.values[place - 1]
            column = slots.get(("", place))
            before = slots.get(("previous", place), rows.columns.get("previous"))
            unit = wanted.unit or self.document.unit
            value = rows.amount(number, column, problems, wanted.register) if column is not None else None
            if column is not None and value is not None:
                found.append(self._reading(rows, number, column, before, unit, (wanted.register, ""), value, problems))
                if wanted.volume:
                    found[-1] = msgspec.structs.replace(found[-1], volume=True)
        return found

    def _value(self, rows: Rows, number: int, registers: dict[Hashable, tuple[str, str]], problems: list[Problem]) -> list[Reading]:
        """The reading of a row that says its register, if a value stands in it. `registers`: what rows like it have said."""
        column, unit = rows.columns.get("value"), self.document.unit
        if column is None:
            return []
        unread: list[Problem] = []
        value = rows.amount(number, column, unread)
        if value is None and not unread:
            return []
        cells = rows.what(rows.table.rows[number]) if rows.what is not None else None
        register = registers.get(cells) if cells is not None else None
        if register is None:
            register = self._register(rows, number, problems)
            if register is not None and cells is not None:
                registers[cells] = register
        told = {"register": register[0]} if register is not None else {}
        problems += [msgspec.structs.replace(problem, values=problem.values | told) for problem in unread]
        if value is None or register is None or self._in_other_unit(rows, number, register[0], problems):
            return []
        return [self._reading(rows, number, column, rows.columns.get("previous"), unit, register, value, problems)]

    def _in_other_unit(self, rows: Rows, number: int, register: str, problems: list[Problem]) -> bool:
        """Whether the row, or the header over rows of several registers, says a unit in which the value is not read."""
        header, column = self.units
        cells = rows.table.rows[number]
        own = unit_named(cells[column]) if column is not None and column < len(cells) else ""
        expected = self.document.unit or str(REGISTERS[register].unit)
        if (own or header) in ("", expected):
            return False
        place = column if own and column is not None else rows.columns["value"]
        told = {"column": str(rows.table.rows[rows.header.row][place])[:60], "written": own or header, "expected": expected}
        problems.append(Problem(code="unit_differs", where=rows.where(number, place), values=told))
        return True

    def _reading(
        self,
        rows: Rows,
        number: int,
        column: int,
        before: int | None,
        unit: str,
        register: tuple[str, str],
        value: Decimal,
        problems: list[Problem],
    ) -> Reading:
        previous, own = None, REGISTERS[register[0]].unit
        if before is not None and self.document.previous == "told":
            previous = rows.amount(number, before, problems)
        elif before is not None and not rows.reads(number, before):
            odd: list[Problem] = []
            rows.amount(number, before, odd)
            problems += [msgspec.structs.replace(problem, severity=Severity.WARNING) for problem in odd]
        return Reading(
            register=register[0],
            value=convert(value, unit, own),
            code=register[1],
            previous=None if previous is None else convert(previous, unit, own),
            ratio_applied=self.envelope.ratio_applied,
            losses_applied=self.envelope.losses_applied,
            where=rows.where(number, column),
        )

    def _register(self, rows: Rows, number: int, problems: list[Problem]) -> tuple[str, str] | None:
        """The register that a row says, and its words; the document's own where the row says nothing."""
        told = {field: rows.code(number, field, problems) for field in ("register", "quantity", "zone")}
        written = " ".join(filter(None, told.values()))
        code = told["register"]
        quantity, zone = None, None
        if not code:
            quantity = self.quantities.get(fold(told["quantity"])) if told["quantity"] else self.document.register
            zone = self.zones.get(fold(told["zone"])) if told["zone"] else ""
            code = "" if not quantity or zone is None else f"{quantity}:{zone}" if zone else quantity
        code = code if code in REGISTERS else self.codes.register(code)
        if code in REGISTERS:
            if self.document.unit and self.document.unit not in UNITS[REGISTERS[code].unit]:
                expected = {"column": written[:60], "written": self.document.unit, "expected": str(REGISTERS[code].unit)}
                problems.append(Problem(code="unit_differs", where=rows.where(number, rows.columns.get("value") or 0), values=expected))
                return None
            return code, written
        wrong: tuple[Field, ...] = ("zone",) if quantity and told["zone"] else ("register", "quantity", "value")
        column = next((at for field in wrong if (at := rows.columns.get(field)) is not None), 0)
        values = {"register": written[:60], "meter": rows.code(number, "meter", [])}
        problems.append(Problem(code="register_unknown", where=rows.where(number, column), values=values))
        return None

    def _meter(self, rows: Rows, number: int, own: int, told: str, known: dict[Hashable, Meter], problems: list[Problem]) -> Meter:
        """The meter of a row. `own`: number of the value whose column names it, 0 for the row's. `known`: those of rows like it."""
        column = rows.header.slots.get(("meter", own))
        row = rows.table.rows[number]
        cells = (own, row[column] if own and column is not None else "", rows.whose(row)) if rows.whose is not None else None
        meter = known.get(cells) if cells is not None else None
        if meter is None:
            wrong: list[Problem] = []
            meter = self._named(rows, number, column, told, wrong)
            if cells is not None and not wrong:
                known[cells] = meter
            problems += wrong
        return meter

    def _named(self, rows: Rows, number: int, column: int | None, told: str, problems: list[Problem]) -> Meter:
        """The meter of a row by its codes. `column`: where its number stands."""
        written = {field: rows.code(number, field, problems) if field in rows.columns else "" for field in _CODES}
        serial = rows.code_at(number, column, problems) if column is not None else ""
        where = rows.where(number, next((at for at in (column, rows.columns.get("point")) if at is not None), 0))
        if not (serial or written["point"] or column is not None):
            serial = told
        if not (serial or written["point"]) and not problems:
            problems.append(Problem(code="meter_missing", where=where))
        code, problem = self.codes.of(serial, written["point"], written["agreement"])
        if problem is not None:
            problems.append(msgspec.structs.replace(problem, where=where))
        told_on, taken = self._taken(rows, number, problems)
        period = rows.period(number, problems) or self._period(told_on)
        alone = where if not (code.meter or code.point) else ""
        point, agreement, location = (key(one) if one else "" for one in (code.point, code.agreement, written["location"]))
        identity = (key(code.meter) or alone, point, agreement, location, period, taken)
        return self.meters.setdefault(identity, Meter(code, written["location"], period, taken, where))

    def _taken(self, rows: Rows, number: int, problems: list[Problem]) -> tuple[date | None, datetime | None]:
        """The day of a row, and the moment when its cells tell more than a month."""
        if (exact := rows.stamp(number)) is not None:
            return exact.date(), exact.replace(tzinfo=ZoneInfo(self.envelope.zone))
        day, clock = rows.day(number, problems), rows.clock(number, problems)
        if day is None:
            return None, None
        return day.day, None if day.month else instant(day.day, clock or day.clock, self.envelope.zone)

    def _once(self, rows: Rows, number: int, meter: Meter, problems: list[Problem]) -> None:
        """A key of the sender's own names one row, or those of one meter, period and instant."""
        row_key = rows.code(number, "row_key", problems)
        if row_key and self.keys.setdefault(row_key, meter) is not meter:
            problems.append(
                Problem(code="row_repeated", where=rows.where(number, rows.columns.get("row_key") or 0), values={"key": row_key})
            )

    def _period(self, day: date | None) -> str:
        return "" if day is None else _period_of(day, self.document.period_from)


@lru_cache(maxsize=1024)
def _period_of(day: date, period_from: str) -> str:
    """The month of a day, or the one before it, or none."""
    if period_from == "told":
        return ""
    return f"{shift(day, -1):%Y-%m}" if period_from == "before" else f"{day:%Y-%m}"


def _by_meter(document: Document) -> list[tuple[int, list[int]]]:
    """The numbers of the values of each meter of a row, behind the number of the first of them, 0 for the row's own meter."""
    found: dict[object, list[int]] = {}
    for number, column in enumerate(document.values, 1):
        found.setdefault(column.meter, []).append(number)
    return [(places[0] if own else 0, places) for own, places in found.items()] or [(0, [])]
