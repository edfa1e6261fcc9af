"""Values that went backwards for a cause that is known, generated: what a trial is measured on."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from gateway.domain.trial import Neighbour, Suspect

CAUSES = (
    "maybe_rollover",
    "maybe_digits_swapped",
    "maybe_digit_lost",
    "maybe_thousandth",
    "maybe_other_meter",
    "maybe_zones_swapped",
    "maybe_exchanged",
)


class Case(NamedTuple):
    """A value, what stands around it, why it is what it is, and the value that stood on the dial."""

    cause: str
    suspect: Suspect
    neighbours: list[Neighbour]
    truth: int


def generated(count: int, seed: int) -> Iterator[Case]:
    """So many cases, each cause as often as the others: dials of five and six digits, a usual consumption half met or half exceeded."""
    pick = random.Random(seed)  # noqa: S311 - numbers, no secrets
    found = 0
    while found < count:
        case = _case(pick, CAUSES[found % len(CAUSES)])
        if case is not None:
            found += 1
            yield case


def _used(pick: random.Random, usual: int) -> int:
    return max(1, round(usual * pick.uniform(0.6, 1.5)))


def _other(pick: random.Random, meter: str, span: int) -> Neighbour:
    return Neighbour(meter, "A+", Decimal(pick.randint(span // 20, span * 8 // 10)), Decimal(pick.randint(20, span // 200)))


def _case(pick: random.Random, cause: str) -> Case | None:
    """A case of a cause, None when the numbers do not make the value go backwards."""
    span = 10 ** pick.choice((5, 6))
    usual, night_usual = (pick.randint(20, span // 200) for _ in range(2))
    previous, night = (pick.randint(span // 20, span * 8 // 10) for _ in range(2))
    if cause == "maybe_rollover":
        previous = span - pick.randint(1, usual)
    truth, night_typed = previous + _used(pick, usual), night + _used(pick, night_usual)
    others = [_other(pick, f"N{n}", span) for n in range(3)]
    typed: Decimal | int = _typed(pick, cause, span, truth, usual, others)
    if cause == "maybe_zones_swapped":
        typed, night_typed = night_typed, truth
    if not 0 <= typed < previous:
        return None
    zone = Neighbour("", "A+:night", Decimal(night), Decimal(night_usual), Decimal(night_typed))
    return Case(cause, Suspect(Decimal(typed), Decimal(previous), Decimal(span), Decimal(usual)), [*others, zone], truth)


def _typed(pick: random.Random, cause: str, span: int, truth: int, usual: int, others: list[Neighbour]) -> Decimal | int:
    """What is typed instead of the truth."""
    digits = str(truth)
    if cause == "maybe_rollover":
        return truth - span
    if cause == "maybe_digits_swapped":
        place = pick.randrange(len(digits) - 1)
        return int(digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :])
    if cause == "maybe_digit_lost":
        place = pick.randrange(len(digits))
        return int(digits[:place] + digits[place + 1 :])
    if cause == "maybe_thousandth":
        return Decimal(truth).scaleb(-3)
    if cause == "maybe_other_meter":
        other = pick.choice(others)
        return other.last + _used(pick, int(other.usual or 1))
    return max(1, round(usual * pick.uniform(0.1, 1.2))) if cause == "maybe_exchanged" else truth
