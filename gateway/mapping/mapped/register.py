"""Rows of readings: a row for each meter, or for each of its registers, become one MeterReading a meter, period and instant."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem
from gateway.domain.readings import REGISTERS, AtFrom, MeterReading, Reading
from gateway.domain.supply import key
from gateway.domain.windows import shift
from gateway.mapping import Envelope
from gateway.mapping.crosswalk import fold, lookup
from gateway.mapping.mapped.partner import Code, Codes
from gateway.mapping.mapped.reader import Rows, instant

Identity = tuple[str, str, str, str, str, datetime | None]


class Meter(msgspec.Struct):
    """What the rows of one meter, period and instant have said so far."""

    code: Code
    location: str
    period: str
    at: datetime | None
    where: str
    readings: dict[str, Reading] = msgspec.field(default_factory=dict)
    problems: list[Problem] = msgspec.field(default_factory=list)

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
        """Nothing is read yet. The zone of the document outranks the one told beside the file."""
        self.document, self.codes, self.envelope = document, codes, envelope
        self.zone = document.zone_name or envelope.zone
        self.quantities, self.zones = lookup(document.quantities), lookup(document.zones)
        self.meters: dict[Identity, Meter] = {}
        self.keys: set[str] = set()

    def read(self, rows: Rows, told: str = "") -> None:
        """Give every row of a table to its meter. `told`: whose the table is when no row says it."""
        for number in rows.numbers():
            problems: list[Problem] = []
            values = list(self._values(rows, number, problems))
            if not values and not problems:
                continue
            meter = self._meter(rows, number, told, problems)
            meter.problems += problems
            for reading in values:
                if reading.register in meter.readings:
                    wrong = {"register": reading.register, "meter": meter.code.meter}
                    meter.problems.append(Problem(code="register_repeated", where=reading.where, values=wrong))
                meter.readings.setdefault(reading.register, reading)

    def readings(self) -> list[MeterReading]:
        """What all tables said of each meter, period and instant."""
        return [meter.reading(self.envelope) for meter in self.meters.values()]

    def _values(self, rows: Rows, number: int, problems: list[Problem]) -> Iterator[Reading]:
        if not self.document.values:
            column = rows.columns.get("value")
            value = rows.amount(number, column, self.document.unit, problems) if column is not None else None
            if column is not None and value is not None and (register := self._register(rows, number, problems)):
                yield self._reading(register[0], value, rows.where(number, column), rows, number, problems, code=register[1])
            return
        for place, wanted in enumerate(self.document.values, 1):
            column = rows.header.slots.get(("", place))
            value = rows.amount(number, column, wanted.unit or self.document.unit, problems) if column is not None else None
            if column is not None and value is not None:
                yield self._reading(wanted.register, value, rows.where(number, column), rows, number, problems, volume=wanted.volume)

    def _reading(
        self,
        register: str,
        value: Decimal,
        where: str,
        rows: Rows,
        number: int,
        problems: list[Problem],
        *,
        code: str = "",
        volume: bool = False,
    ) -> Reading:
        before = rows.columns.get("previous")
        previous = rows.amount(number, before, self.document.unit, problems) if before is not None else None
        applied = self.document.applied
        return Reading(
            register=register,
            value=value,
            code=code,
            previous=previous,
            ratio_applied=applied.ratio or self.envelope.ratio_applied,
            losses_applied=applied.losses or self.envelope.losses_applied,
            where=where,
            volume=volume,
        )

    def _register(self, rows: Rows, number: int, problems: list[Problem]) -> tuple[str, str] | None:
        """The register that a row says, and its words; the document's own where the row says nothing."""
        told = {field: rows.code(number, field, problems) for field in ("register", "quantity", "zone")}
        written = " ".join(filter(None, told.values()))
        code = told["register"]
        if not code:
            quantity = self.quantities.get(fold(told["quantity"])) if told["quantity"] else self.document.register
            zone = self.zones.get(fold(told["zone"])) if told["zone"] else ""
            code = "" if not quantity or zone is None else f"{quantity}:{zone}" if zone else quantity
        code = code if code in REGISTERS else self.codes.register(code)
        if code in REGISTERS:
            return code, written
        column = next((at for field in ("register", "quantity", "value") if (at := rows.columns.get(field)) is not None), 0)
        values = {"register": written[:60], "meter": rows.code(number, "meter", [])}
        problems.append(Problem(code="register_unknown", where=rows.where(number, column), values=values))
        return None

    def _meter(self, rows: Rows, number: int, told: str, problems: list[Problem]) -> Meter:
        written = {field: rows.code(number, field, problems) for field in ("meter", "point", "agreement", "location")}
        column = next((at for field in ("meter", "point") if (at := rows.columns.get(field)) is not None), 0)
        where = rows.where(number, column)
        if not (written["meter"] or written["point"]):
            written["meter"] = told
        if not (written["meter"] or written["point"]) and not problems:
            problems.append(Problem(code="meter_missing", where=where))
        self._once(rows, number, problems)
        code, problem = self.codes.of(written["meter"], written["point"], written["agreement"])
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
            return exact.date(), exact.replace(tzinfo=ZoneInfo(self.zone))
        day, clock = rows.day(number, problems), rows.clock(number, problems)
        if day is None:
            return None, None
        return day.day, None if day.month else instant(day.day, clock or day.clock, self.zone)

    def _once(self, rows: Rows, number: int, problems: list[Problem]) -> None:
        """A key of the sender's own names one row."""
        row_key = rows.code(number, "row_key", problems) if "row_key" in rows.columns else ""
        if row_key and row_key in self.keys:
            problems.append(
                Problem(code="row_repeated", where=rows.where(number, rows.columns.get("row_key") or 0), values={"key": row_key})
            )
        self.keys.add(row_key)

    def _period(self, day: date | None) -> str:
        return "" if day is None else _period_of(day, self.document.period_from)


@lru_cache(maxsize=1024)
def _period_of(day: date, period_from: str) -> str:
    """The month of a day, or the one before it, or none."""
    if period_from == "told":
        return ""
    return f"{shift(day, -1):%Y-%m}" if period_from == "before" else f"{day:%Y-%m}"
