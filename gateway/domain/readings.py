"""What is measured and handed in: registers, readings and meter readings, in the words of IEC 61968-9."""

from datetime import datetime
from decimal import ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from typing import Final

import msgspec

from gateway.domain.problems import Problem


class Unit(StrEnum):
    """Units of a register's values."""

    KWH = "kWh"
    KVARH = "kvarh"
    GCAL = "Gcal"
    GJ = "GJ"
    MWH = "MWh"
    M3 = "m3"


class Quality(StrEnum):
    """How a value came to be; every foreign format maps its own marks into these."""

    VALID = "valid"
    NONCOMMERCIAL = "noncommercial"
    ESTIMATED = "estimated"
    SUBSTITUTED = "substituted"
    MANUAL = "manual"
    MISSING = "missing"
    NO_READ = "no_read"
    UNKNOWN = "unknown"


class Aggregation(StrEnum):
    """What may be done with values of a register in time; only `sum` values are ever added up."""

    SUM = "sum"
    MEAN = "mean"
    STATE = "state"
    DURATION = "duration"
    CODE = "code"


class Zone(StrEnum):
    """Time-of-use zone of a register; `ALL` is the register that runs round the clock («Круглосуточный»)."""

    ALL = ""
    DAY = "day"
    NIGHT = "night"
    PEAK = "peak"
    HALF_PEAK = "half_peak"


class Quantity(StrEnum):
    """What is measured, with its direction of flow where it has one (A+ received by the consumer, A- delivered)."""

    ACTIVE_RECEIVED = "A+"
    ACTIVE_DELIVERED = "A-"
    REACTIVE_RECEIVED = "R+"
    REACTIVE_DELIVERED = "R-"
    HEAT = "heat"
    VOLUME = "volume"


UNITS: Final[dict[Quantity, Unit]] = {
    Quantity.ACTIVE_RECEIVED: Unit.KWH,
    Quantity.ACTIVE_DELIVERED: Unit.KWH,
    Quantity.REACTIVE_RECEIVED: Unit.KVARH,
    Quantity.REACTIVE_DELIVERED: Unit.KVARH,
    Quantity.HEAT: Unit.GCAL,
    Quantity.VOLUME: Unit.M3,
}


class ReadingType(msgspec.Struct, frozen=True, order=True):
    """One kind of register: a quantity, its tariff zone, its unit and how its values aggregate."""

    quantity: Quantity
    zone: Zone = Zone.ALL
    unit: Unit = Unit.KWH
    aggregation: Aggregation = Aggregation.STATE

    @property
    def code(self) -> str:
        """The published name of the register: `A+`, `A+:day`, `heat` (contracts_schema/values.json)."""
        return f"{self.quantity}:{self.zone}" if self.zone else str(self.quantity)


def reading_type(code: str) -> ReadingType:
    """Read a published register code such as `A+:night`. Raises ValueError for any other text."""
    try:
        return REGISTERS[code]
    except KeyError:
        raise ValueError(code) from None


REGISTERS: Final[dict[str, ReadingType]] = {
    kind.code: kind
    for quantity, unit in UNITS.items()
    for zone in (Zone if unit in (Unit.KWH, Unit.KVARH) else (Zone.ALL,))
    for kind in [ReadingType(quantity, zone, unit)]
}
"""Every published register; only electricity has zones."""

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
EXACT: Final = Context(prec=4000, rounding=ROUND_FLOOR)
"""Arithmetic that never rounds what a gate lets in; it costs no more than the digits there are."""


class AtFrom(StrEnum):
    """Where the instant of a reading comes from."""

    TYPED = "typed"
    ARRIVAL = "arrival"
    PERIOD_END = "period_end"
    FILE = "file"


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The value of one register at an instant.

    `register`: published code. `code`: the register's name as the sender wrote it, empty when that is the same.
    `value`: exact, in the register's unit. `previous`: what the sender declares the last value to be, when it does.
    `ratio_applied`, `losses_applied`: whether the value already contains them. `where`: locator of the value in what was received.
    """

    register: str
    value: Decimal
    code: str = ""
    previous: Decimal | None = None
    quality: Quality = Quality.VALID
    ratio_applied: bool = False
    losses_applied: bool = False
    where: str = ""


class MeterReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that one submission says of one meter for one period (IEC 61968-9 MeterReading), codes as written.

    `meter`: number of the meter as the sender wrote it. `agreement`, `location` (the object),
    `point`: as written, empty when not told.
    `period`: `YYYY-MM`, empty when not told. `at`: instant of reading, None when not told.
    `problems`: what the translator found wrong with this meter's part; an error among them refuses the whole meter, not the file.
    """

    meter: str
    readings: tuple[Reading, ...]
    agreement: str = ""
    location: str = ""
    point: str = ""
    period: str = ""
    at: datetime | None = None
    at_from: AtFrom = AtFrom.ARRIVAL
    where: str = ""
    problems: tuple[Problem, ...] = ()


def consumption(current: Decimal, previous: Decimal, ratio: Decimal = _ONE, losses: Decimal = _ZERO) -> Decimal:
    """Return (current - previous) x ratio x (1 + losses), exact (legal-entity manual, figure 12). `losses` is a fraction: 0.05 is 5 %."""
    used = EXACT.subtract(current, previous)
    if ratio != _ONE:
        used = EXACT.multiply(used, ratio)
    return EXACT.multiply(used, EXACT.add(_ONE, losses)) if losses else used
