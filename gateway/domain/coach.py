"""Why a meter's dials and its interval values do not agree: the known causes, each tried with numbers (rules V-12 and V-13, GV-3).

The manual shows a difference of -124530.48 and says only that 0 is best; here the cause that closes the gap is named, and none is applied.
"""

from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Final

import msgspec

from gateway.domain.readings import EXACT

_ONE: Final = Decimal(1)
_ROUGH: Final = Context(prec=40)
_RELATIVE: Final = Decimal("0.001")
_THOUSAND: Final = Decimal(1000)
_ALIKE: Final = Decimal("0.1")
"""A dial whose step is as large as the amount proves nothing: what closes a gap must come within a tenth of the amount."""
_MILLI: Final = Decimal("0.001")
_POWER: Final = (Decimal(2), Decimal(4))
"""Mean powers of half-hours or quarters added up as if they were energy come to twice or four times it."""
_GUESSED: Final = Decimal("0.5")
"""What is missing was guessed from what is there: it may be half as much again, or half."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides say of a period, and what is known about them; amounts in the unit of the register.

    `integral`: by the dials, `interval`: by the interval values, both as they are counted. `unit`: one step of the dial, with the ratio.
    `ratios`: Kтт and Kтн. `losses`: signed fraction. `first`, `last`: amounts of the first and last day of the period; `before`, `after`:
    of the days around it, None where nothing is known. `there`, `missing`: how many intervals have a value and how many have none.
    `changes`: amounts of the hours about the change of the clock, one of which was counted twice or not at all. `export`: what was given to
    the grid in the period (`A-`).
    """

    integral: Decimal
    interval: Decimal
    unit: Decimal
    ratios: tuple[Decimal, Decimal] = (_ONE, _ONE)
    losses: Decimal = Decimal(0)
    first: Decimal | None = None
    last: Decimal | None = None
    before: Decimal | None = None
    after: Decimal | None = None
    there: int = 0
    missing: int = 0
    changes: tuple[Decimal, ...] = ()
    export: Decimal | None = None


class Cause(msgspec.Struct, frozen=True):
    """One cause by the code of its hint. `left`: what of the gap it leaves open. `facts`: the numbers of its text."""

    code: str
    left: Decimal
    facts: dict[str, str]


def tolerance(gap: Gap) -> Decimal:
    """How far both may differ without a cause: a step of the dial, or a thousandth of the amount (V-12)."""
    return max(gap.unit, EXACT.multiply(abs(gap.integral), _RELATIVE))


def explain(gap: Gap) -> tuple[Cause, ...]:
    """The causes that close the gap, the closest first; one alone is the cause. Empty when it is no gap, or nothing known closes it."""
    allowed = tolerance(gap)
    if abs(EXACT.subtract(gap.integral, gap.interval)) <= allowed:
        return ()
    found: dict[str, Cause] = {}
    alike = EXACT.multiply(abs(gap.integral), _ALIKE)
    for cause, room in _tried(gap):
        if cause.left <= min(allowed, alike) + room and (cause.code not in found or cause.left < found[cause.code].left):
            found[cause.code] = cause
    return tuple(sorted(found.values(), key=lambda cause: (cause.left, cause.code)))


def _tried(gap: Gap) -> Iterator[tuple[Cause, Decimal]]:
    """Every cause with what it leaves open, and the room that a guess in it needs."""
    nothing = Decimal(0)
    for code, factor in _factors(gap):
        yield _closing(gap, code, EXACT.multiply(gap.interval, factor), {"factor": _told(factor)}), nothing
    for code, factor in _divisors(gap):
        yield _closing(gap, code, _ROUGH.divide(gap.interval, factor), {"factor": _told(factor)}), nothing
    if gap.missing and gap.there:
        each = _ROUGH.divide(gap.interval, Decimal(gap.there))
        lacking = EXACT.multiply(each, Decimal(gap.missing))
        facts = {"count": str(gap.missing), "amount": _told(lacking)}
        yield _closing(gap, "delta_hours_missing", EXACT.add(gap.interval, lacking), facts), EXACT.multiply(lacking, _GUESSED)
    if gap.export:
        for sign in (_ONE, -_ONE):
            amount = EXACT.add(gap.interval, EXACT.multiply(sign, gap.export))
            yield _closing(gap, "delta_export_mixed", amount, {"amount": _told(gap.export)}), nothing
    for out, inside in _shifts(gap):
        moved = EXACT.subtract(inside, out)
        yield _closing(gap, "delta_day_shifted", EXACT.add(gap.interval, moved), {"amount": _told(abs(moved))}), nothing
    for change in gap.changes:
        for sign in (_ONE, -_ONE):
            amount = EXACT.add(gap.interval, EXACT.multiply(sign, change))
            yield _closing(gap, "delta_clock_change", amount, {"amount": _told(change)}), nothing


def _shifts(gap: Gap) -> Iterator[tuple[Decimal, Decimal]]:
    """Amounts of days that left the period and that came into it, when it was read or counted a day too early or too late."""
    zero = Decimal(0)
    edges = ((gap.first, gap.after), (gap.last, gap.before))
    pairs = [*edges, *((two, one) for one, two in edges), *((one, zero) for one, _ in edges), *((zero, two) for _, two in edges)]
    for left, came in pairs:
        if left is not None and came is not None and left != came:
            yield left, came


def _factors(gap: Gap) -> Iterator[tuple[str, Decimal]]:
    """What the interval values may lack."""
    for ratio in _ratios(gap):
        yield "delta_ratio_missing", ratio
        yield "delta_ratio_inverse", EXACT.multiply(ratio, ratio)
    if gap.losses:
        yield "delta_losses_missing", EXACT.add(_ONE, gap.losses)
        for ratio in _ratios(gap):
            yield "delta_ratio_missing", EXACT.multiply(ratio, EXACT.add(_ONE, gap.losses))
    yield "delta_thousandth", _THOUSAND


def _divisors(gap: Gap) -> Iterator[tuple[str, Decimal]]:
    """What the interval values may contain and the dials not, or twice."""
    for ratio in _ratios(gap):
        yield "delta_ratio_twice", ratio
    if gap.losses:
        yield "delta_losses_twice", EXACT.add(_ONE, gap.losses)
    for times in _POWER:
        yield "delta_power_for_energy", times
    yield "delta_thousandth", _THOUSAND


def _ratios(gap: Gap) -> list[Decimal]:
    """Kтт alone, Kтн alone and their product, as far as they change anything."""
    current, voltage = gap.ratios
    return sorted({ratio for ratio in (current, voltage, EXACT.multiply(current, voltage)) if ratio != _ONE})


def _closing(gap: Gap, code: str, amount: Decimal, facts: dict[str, str]) -> Cause:
    return Cause(code, abs(EXACT.subtract(gap.integral, amount)), facts)


def _told(number: Decimal) -> str:
    """A number of a text: no more than three places, no zeros behind the last one."""
    plain = f"{_ROUGH.quantize(number, _MILLI):f}"
    return plain.rstrip("0").rstrip(".")
