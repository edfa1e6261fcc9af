"""What the rules look at: one meter reading with all that is known about it, and how its values are told and reckoned with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from gateway.domain import belief
from gateway.domain.profile import Profile
from gateway.domain.readings import EXACT, WHOLE, IntervalBlock, MeterReading, Reading, consumption
from gateway.domain.sources import UNTOLD, Told
from gateway.domain.supply import Meter, Register
from gateway.domain.windows import Timing

_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)


class Value(msgspec.Struct, frozen=True, gc=False):
    """One reading beside its register.

    `known`: the value that stood before it as the registry knows it. `previous`: the one it is compared with, which the sender
    may declare. `consumption`: what both imply, below zero for a value that went backwards. None: not known.
    """

    reading: Reading
    register: Register
    known: Decimal | None
    previous: Decimal | None
    consumption: Decimal | None


class Case(msgspec.Struct, frozen=True, gc=False):
    """All that the rules may look at: what came, the meter it is about, its period (empty: not settled), and when it came.

    `timing`: when its readings are taken. `amounts`: the blocks that make up the period's amounts, by code. `told`: who read the meter.
    `profiles`: the blocks of days by code, in the order of their days, of what is billed. `stored`: by period and code, what interval
    values taken before come to, as counted; looked up only where the profile wants interval values of the meter's agreement.
    """

    new: MeterReading
    meter: Meter
    values: tuple[Value, ...]
    period: str
    at: datetime
    arrival: datetime
    profile: Profile
    timing: Timing
    amounts: Mapping[str, Sequence[IntervalBlock]] = {}
    told: Told = UNTOLD
    profiles: Mapping[str, Sequence[IntervalBlock]] = {}
    stored: Mapping[tuple[str, str], Decimal] = {}


Objection = tuple[str, dict[str, str]]
Rule = Callable[[Case], Iterator[Objection]]


def text(value: Decimal) -> str:
    """A decimal as people write it: plain digits with a point, no exponent, no zeros behind the last decimal (231.000 is 231)."""
    plain = f"{value:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain == "-0" else plain


def used(meter: Meter, reading: Reading, value: Decimal, previous: Decimal) -> Decimal:
    """Return the consumption between two values of a register, with the ratio and losses that `value` does not contain yet."""
    ratio = _ONE if reading.ratio_applied else meter.ratio
    if reading.losses_applied:
        return consumption(value, previous, ratio)
    constant = meter.losses_constant if reading.register == WHOLE else _ZERO
    return consumption(value, previous, ratio, meter.losses, constant)


@lru_cache(maxsize=32)
def _dial(digits: int) -> Decimal:
    return Decimal(10) ** digits


def span(case: Case, value: Value) -> Decimal:
    """The first value its dial cannot show, in the units of the reading: with the ratio and losses that the reading contains."""
    span = _dial(value.register.digits)
    if value.reading.ratio_applied:
        span = EXACT.multiply(span, case.meter.ratio)
    return EXACT.multiply(span, EXACT.add(_ONE, case.meter.losses)) if value.reading.losses_applied else span


def finer(value: Decimal, decimals: int) -> bool:
    """Whether more places after the point carry information: 233.000 has none."""
    plain = f"{value:f}"
    point = plain.find(".")
    return point >= 0 and len(plain) - point - 1 > decimals and bool(plain[point + 1 + decimals :].strip("0"))


def corrects(case: Case, register: Register) -> bool:
    """Whether a value of this register takes the place of the last one instead of following it."""
    return case.period == register.last_period and case.profile.reading.per_period == "one"


def advances(case: Case) -> Iterator[tuple[Value, Decimal, Decimal]]:
    """Dials that moved on, how far, and how far they usually would have in that time; only where both differ by enough to matter."""
    for value in case.values:
        register = value.register
        again = corrects(case, register)
        since = register.before_at if again else register.last_at
        if value.previous is None or since is None or value.reading.ratio_applied or value.reading.losses_applied:
            continue
        daily = belief.usual_between(register, since, case.at, register.daily if again else belief.usual(register))
        if daily is None or daily <= 0:
            continue
        days = Decimal((case.at - since) / timedelta(days=1))
        advance, usual = EXACT.subtract(value.reading.value, value.previous), EXACT.multiply(daily, days)
        if days >= 1 and advance >= 0 and abs(advance - usual) > case.profile.plausible.least:
            yield value, advance, usual


def allowed(profile: Profile, amount: Decimal, unit: Decimal, dials: int) -> Decimal:
    """How far two ways to measure an amount may differ: units of each dial, or a share of the amount, whichever is more (V-12)."""
    plain = EXACT.multiply(unit, EXACT.multiply(exactly(profile.plausible.sum_units), Decimal(dials)))
    return max(plain, EXACT.multiply(abs(amount), exactly(profile.plausible.sum_share)))


@lru_cache(maxsize=64)
def exactly(share: float) -> Decimal:
    """A number of a profile as it was written."""
    return Decimal(str(share))


def beside(case: Case, value: Value, advance: Decimal, usual: Decimal) -> dict[str, str]:
    """What both would be with ratio and losses."""
    told = (used(case.meter, value.reading, one, _ZERO) for one in (advance, usual.quantize(_ONE)))
    return {"value": text(value.reading.value), **dict(zip(("consumption", "usual"), map(text, told), strict=True))}
