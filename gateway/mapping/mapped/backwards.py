"""A mapping backwards: readings become rows that its document would read, whatever then carries them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.cases import text
from gateway.domain.mappings import WHOSE
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Misconfigured
from gateway.domain.readings import EXACT, REGISTERS, MeterReading, Reading
from gateway.domain.units import UNITS, factor
from gateway.domain.windows import shift
from gateway.mapping.cells import CellError, number
from gateway.mapping.mapped.header import Slot
from gateway.mapping.mapped.partner import Codes

Cell = str | Decimal | datetime | None
"""`day` and `clock` are the instant of reading, in the document's zone; where it has none, None."""
Row = Mapping[Slot, Cell]
"""A row: its cells by what they are for."""
_SHOWN: Final = 40


class UnwritableError(Exception):
    """A reading that the document has no way to say: `field` is what cannot be said, `written` as it would have to stand there."""

    def __init__(self, field: str, written: object) -> None:
        """Keep what it was."""
        super().__init__(f"{field}_unwritable: {str(written)[:_SHOWN]}")
        self.field, self.written = field, str(written)


class Backwards:
    """Says readings in the rows of a `register` mapping; instants are told in the document's zone, else in `zone`."""

    def __init__(self, document: Document, codes: Codes, zone: str) -> None:
        """Raises Misconfigured for rows of time and for rows of several meters."""
        if document.layout != "register":
            raise Misconfigured(f"mapping {document.name!r}: rows of time are only read")
        if any(column.meter for column in document.values):
            raise Misconfigured(f"mapping {document.name!r}: rows of several meters are only read")
        self.document, self.codes = document, codes
        self.zone = ZoneInfo(document.zone_name or zone)
        self.registers = {column.register: ("", at) for at, column in enumerate(document.values, 1)}
        self._whose_columns = [field for field in WHOSE if field in document.columns]
        self._words: dict[str, dict[Slot, Cell]] = {}

    def rows(self, one: MeterReading, row_key: str = "") -> list[Row]:
        """The rows that say a meter reading: one for each value, or one for all where each register has a column.

        Raises UnwritableError.
        """
        if not self.document.values:
            said = [self._value(reading) for reading in one.readings]
        else:
            said = [self._values(one.readings)] if one.readings else []
        told = self._whose(one) | {("row_key", 0): row_key}
        return [told | values for values in said]

    def _values(self, readings: tuple[Reading, ...]) -> dict[Slot, Cell]:
        """The cells of a row that holds every value, and what it is compared with where only one register has a column."""
        values: dict[Slot, Cell] = {}
        for reading in readings:
            slot = self.registers.get(reading.register)
            if slot is None or self.document.values[slot[1] - 1].volume != reading.volume:
                raise UnwritableError("register", reading.register)
            wanted = self.document.values[slot[1] - 1]
            unit = wanted.unit or self.document.unit
            values[slot] = self._amount(reading, unit)
            values["previous", 0] = self._before(reading)
            values["previous", slot[1]] = (
                None if reading.previous is None or not wanted.previous else in_unit(reading.previous, unit, reading.register)
            )
        return values

    def _value(self, reading: Reading) -> dict[Slot, Cell]:
        words = self._words.get(reading.register)
        if words is None:
            words = self._words[reading.register] = self._said(reading.register)
        return words | {("value", 0): self._amount(reading, self.document.unit), ("previous", 0): self._before(reading)}

    def _said(self, register: str) -> dict[Slot, Cell]:
        """The words by which a row says its register: a code, or a quantity and a zone, or none where the document says it."""
        document, (quantity, _, zone) = self.document, register.partition(":")
        whole = document.quantities.get(register)
        spoken = document.quantities.get(quantity, ("",))[0] if whole is None else whole[0]
        in_zone = document.zones.get(zone, ("",))[0] if whole is None or not zone else ""
        own = document.register == register
        clear = own or whole is not None or not zone or bool("zone" in document.columns and in_zone)
        by_words = ("quantity" in document.columns and spoken) or own or (document.register == quantity and not spoken)
        kind = REGISTERS.get(register)
        foreign = document.unit and (kind is None or document.unit not in UNITS[kind.unit])
        if foreign or not ("register" in document.columns or (by_words and clear)):
            raise UnwritableError("register", register)
        return {
            ("register", 0): self.codes.register_back(register),
            ("quantity", 0): spoken or None,
            ("zone", 0): None if own and not spoken and zone else in_zone or None,
        }

    def _whose(self, one: MeterReading) -> dict[Slot, Cell]:
        meter, point = self._codes(one.meter, one.point)
        at = None if one.at is None else one.at.astimezone(self.zone)
        self._check_period(one.period, at)
        return {
            ("meter", 0): meter,
            ("point", 0): point,
            ("agreement", 0): self.codes.agreement_back(one.agreement),
            ("location", 0): one.location,
            ("period", 0): one.period,
            ("day", 0): at,
            ("clock", 0): at,
        }

    def _codes(self, meter: str, point: str) -> tuple[str, str]:
        """How the partner names a meter and a point: a code of his stands in whichever column there is."""
        theirs = self.codes.back(meter, point)
        columns = self._whose_columns
        if theirs is None:
            if columns and (self.codes.only or not any({"meter": meter, "point": point}[column] for column in columns)):
                raise UnwritableError(columns[0], meter or point)
            return meter, point
        return theirs if len(columns) > 1 else (theirs[0] or theirs[1],) * 2

    def _check_period(self, period: str, at: datetime | None) -> None:
        """Where only the day says the period, it has to be this one."""
        way = self.document.period_from
        if at is None or way == "told" or "period" in self.document.columns or not period:
            return
        if period != f"{shift(at.date(), -1) if way == 'before' else at:%Y-%m}":
            raise UnwritableError("period", period)

    def _amount(self, reading: Reading, unit: str) -> Decimal:
        """The value as the document's values are: with the ratio and losses that they contain, and no others."""
        applied = self.document.applied
        if (reading.ratio_applied, reading.losses_applied) != (applied.ratio, applied.losses):
            raise UnwritableError("value", reading.value)
        return in_unit(reading.value, unit, reading.register)

    def _before(self, reading: Reading) -> Decimal | None:
        if reading.previous is None or "previous" not in self.document.columns:
            return None
        return in_unit(reading.previous, self.document.unit, reading.register)


def in_unit(value: Decimal, unit: str, register: str) -> Decimal:
    """A value of the register in a unit of a document, exact. Raises UnwritableError where it would have too many places."""
    how = factor(unit, REGISTERS[register].unit)
    try:
        told = text(EXACT.scaleb(EXACT.multiply(value, how.by), -how.times.adjusted()))
        return number(told)
    except CellError as error:
        raise UnwritableError("value", value) from error
