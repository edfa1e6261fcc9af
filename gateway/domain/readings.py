"""What is measured and handed in: registers, readings and meter readings, in the words of IEC 61968-9."""

from collections.abc import Iterable
from datetime import date, datetime
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
    TONNE = "t"
    CELSIUS = "degC"
    MPA = "MPa"
    HOUR = "h"
    CODE = "code"


class Step(StrEnum):
    """Length of the intervals of a block, as ISO 8601 writes it."""

    QUARTER = "PT15M"
    HALF_HOUR = "PT30M"
    HOUR = "PT1H"
    DAY = "P1D"
    MONTH = "P1M"


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


ESTIMATED: Final = (Quality.ESTIMATED, Quality.SUBSTITUTED)
"""Values that nobody read from the dial."""


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
    MASS = "mass"
    TEMPERATURE = "temperature"
    PRESSURE = "pressure"
    DURATION = "duration"
    FAULT = "fault"


UNITS: Final[dict[Quantity, Unit]] = {
    Quantity.ACTIVE_RECEIVED: Unit.KWH,
    Quantity.ACTIVE_DELIVERED: Unit.KWH,
    Quantity.REACTIVE_RECEIVED: Unit.KVARH,
    Quantity.REACTIVE_DELIVERED: Unit.KVARH,
    Quantity.HEAT: Unit.GCAL,
    Quantity.VOLUME: Unit.M3,
}
"""Quantities that meters integrate and show on a dial."""


class ReadingType(msgspec.Struct, frozen=True, order=True):
    """One kind of register: a quantity, its tariff zone, its unit and how its values aggregate.

    `symbol`: how the field writes a quantity that a meter has several of (`t1`, `M2`), empty when the quantity says it all.
    `circuit`: number of the heat input of a heat meter.
    """

    quantity: Quantity
    zone: Zone = Zone.ALL
    unit: Unit = Unit.KWH
    aggregation: Aggregation = Aggregation.STATE
    symbol: str = ""
    circuit: int = 1

    @property
    def code(self) -> str:
        """The published name of the register: `A+`, `A+:day`, `heat`, `t1@2` (contracts_schema/values.json)."""
        circuit = f"@{self.circuit}" if self.circuit > 1 else ""
        return f"{self.symbol or self.quantity}{f':{self.zone}' if self.zone else ''}{circuit}"


def reading_type(code: str) -> ReadingType:
    """Read a published register code such as `A+:night`. Raises ValueError for any other text."""
    try:
        return REGISTERS[code]
    except KeyError:
        raise ValueError(code) from None


CIRCUITS: Final = range(1, 7)
"""Heat inputs that one heat meter may have."""

REGISTERS: Final[dict[str, ReadingType]] = {
    kind.code: kind
    for quantity, unit in UNITS.items()
    for zone in (Zone if unit in (Unit.KWH, Unit.KVARH) else (Zone.ALL,))
    for circuit in (CIRCUITS if quantity is Quantity.HEAT else (1,))
    for kind in [ReadingType(quantity, zone, unit, circuit=circuit)]
}
"""Every published register; only electricity has zones, only heat has circuits."""

_ARCHIVED: Final[tuple[tuple[Quantity, Unit, Aggregation, tuple[str, ...]], ...]] = (
    (Quantity.HEAT, Unit.GCAL, Aggregation.SUM, ("",)),
    (Quantity.MASS, Unit.TONNE, Aggregation.SUM, ("M1", "M2", "M3")),
    (Quantity.VOLUME, Unit.M3, Aggregation.SUM, ("V1", "V2", "V3")),
    (Quantity.TEMPERATURE, Unit.CELSIUS, Aggregation.MEAN, ("t1", "t2", "t3", "tcw")),
    (Quantity.PRESSURE, Unit.MPA, Aggregation.MEAN, ("P1", "P2", "P3")),
    (
        Quantity.DURATION,
        Unit.HOUR,
        Aggregation.DURATION,
        ("T.normal", "T.low_flow", "T.high_flow", "T.low_difference", "T.failure", "T.reverse_flow", "T.no_power"),
    ),
    (Quantity.FAULT, Unit.CODE, Aggregation.CODE, ("faults",)),
)
INTERVALS: Final[dict[str, ReadingType]] = {
    kind.code: kind
    for kind in (
        *(
            ReadingType(quantity, unit=unit, aggregation=Aggregation.SUM)
            for quantity, unit in UNITS.items()
            if quantity is not Quantity.HEAT
        ),
        *(
            ReadingType(quantity, unit=unit, aggregation=aggregation, symbol=symbol, circuit=circuit)
            for quantity, unit, aggregation, symbols in _ARCHIVED
            for symbol in symbols
            for circuit in CIRCUITS
        ),
    )
}
"""Every published kind of interval values: amounts of electricity and water, and what the archive of a heat meter holds by circuit."""

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
    `volume`: the value is the amount of the whole period and not what a dial showed at an instant (water manual, drain; archives).
    """

    register: str
    value: Decimal
    code: str = ""
    previous: Decimal | None = None
    quality: Quality = Quality.VALID
    ratio_applied: bool = False
    losses_applied: bool = False
    where: str = ""
    volume: bool = False


class IntervalBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Values of one register over equal intervals: a local day of steps up to an hour, a month of days, a year of months.

    `register`: code of INTERVALS. `day`: first local day of the block. `written`: the exact values in the register's unit, in the order
    of time, as `written` joins them: a million values are then some ten thousand texts, and no value is read before somebody reckons.
    A day has as many values as it has hours: 23, 24 or 25 of them for steps of an hour.
    `quality`: one a value, empty when every value that is there is valid. `ratio_applied`, `losses_applied`: as in a Reading.
    `where`: locator of the block in what was received.
    """

    register: str
    step: Step
    day: date
    written: str
    quality: tuple[Quality, ...] = ()
    ratio_applied: bool = False
    losses_applied: bool = False
    where: str = ""

    @property
    def values(self) -> tuple[Decimal | None, ...]:
        """The values, None where there is none."""
        return tuple([Decimal(one) if one else None for one in self.written.split(",")])

    @property
    def count(self) -> int:
        """How many intervals the block has places for."""
        return self.written.count(",") + 1

    @property
    def missing(self) -> int:
        """How many of its intervals have no value."""
        edged = f",{self.written},"
        return edged.split(",").count("") - 2 if ",," in edged else 0


def written(values: Iterable[Decimal | None]) -> str:
    """Values as a block carries them: joined by commas, with a point and no exponent; nothing where there is none, never 0 instead."""
    return ",".join(["" if value is None else f"{value:f}" for value in values])


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
    blocks: tuple[IntervalBlock, ...] = ()


WHOLE: Final = "A+"
"""Where the constant part of losses is added, once for the point: active energy that is counted round the clock."""


def consumption(current: Decimal, previous: Decimal, ratio: Decimal = _ONE, losses: Decimal = _ZERO, constant: Decimal = _ZERO) -> Decimal:
    """Return (current - previous) x ratio x (1 + losses) + constant, exact (legal-entity manual, figure 12).

    `losses` is a fraction, 0.05 is 5 %; `constant` an amount a period. Both may be negative: what is lost before the point is the grid's.
    """
    used = EXACT.subtract(current, previous)
    used = used or used.copy_abs()  # rounding towards the floor makes -0 of a difference that is none
    if ratio != _ONE:
        used = EXACT.multiply(used, ratio)
    if losses:
        used = EXACT.multiply(used, EXACT.add(_ONE, losses))
    return EXACT.add(used, constant) if constant else used
