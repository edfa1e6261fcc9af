"""Units that a file may use where a register has its own, and how a value of one becomes a value of the other."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import msgspec

from gateway.domain.cases import text
from gateway.domain.readings import EXACT

DECIMALS: Final = 6
"""Places after the point of a value whose division (GJ, MWh, minutes) leaves no end: rounded half to even; multiplied ones stay exact."""
_ROUGH: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_STEP: Final = Decimal(1).scaleb(-DECIMALS)


class Factor(msgspec.Struct, frozen=True):
    """A value is multiplied by `times` and divided by `by`."""

    times: Decimal = Decimal(1)
    by: Decimal = Decimal(1)


def _times(number: str) -> Factor:
    return Factor(times=Decimal(number))


def _by(number: str) -> Factor:
    return Factor(by=Decimal(number))


_SAME: Final = Factor()
UNITS: Final[dict[str, dict[str, Factor]]] = {
    "kWh": {"kWh": _SAME, "Wh": _by("1000"), "MWh": _times("1000")},
    "kvarh": {"kvarh": _SAME, "varh": _by("1000"), "Mvarh": _times("1000")},
    "m3": {"m3": _SAME, "l": _by("1000")},
    "Gcal": {"Gcal": _SAME, "Mcal": _by("1000"), "GJ": _by("4.1868"), "MJ": _by("4186.8"), "MWh": _by("1.163"), "kWh": _by("1163")},
    "t": {"t": _SAME, "kg": _by("1000")},
    "degC": {"degC": _SAME},
    "MPa": {"MPa": _SAME, "kPa": _by("1000"), "bar": _by("10"), "kgf/cm2": _times("0.0980665")},
    "h": {"h": _SAME, "min": _by("60"), "s": _by("3600")},
    "code": {},
}
"""By a register's own unit, those that a file may use for it. One calorie is 4.1868 J, the International Table's."""


def factor(unit: str, own: str) -> Factor:
    """How a value of `unit`, empty for the register's own, becomes one of `own`. Raises KeyError where `own` cannot be told in it."""
    return UNITS[own][unit] if unit else _SAME


def convert(value: Decimal, unit: str, own: str) -> Decimal:
    """A value in the register's own unit, exact where it can be, else rounded. Raises KeyError as `factor` does."""
    how = factor(unit, own)
    if how is _SAME:
        return value
    multiplied = EXACT.multiply(value, how.times)
    found = _ROUGH.divide(multiplied, how.by)
    return Decimal(text(found if EXACT.multiply(found, how.by) == multiplied else found.quantize(_STEP, context=_ROUGH)))
