"""Values that are far too high for a cause that is known, and some that are high and true: what a trial is measured on."""

import random
from collections.abc import Iterator
from decimal import Decimal

from gateway.domain.trial import Neighbour, Suspect
from tests.domain.backwards import Case

TRUE = "true"
"""The dial really moved on five to nine times as far as usual."""
CAUSES = ("maybe_digit_extra", "maybe_digits_swapped", "maybe_other_meter", "maybe_zones_swapped", "maybe_comma_lost", "maybe_ratio_inside")
HIGH = 5
"""So many times the usual advance is put on trial, as the rule says where a profile says nothing else."""
RATIOS = (20, 40, 80, 120, 1000)


def generated(count: int, seed: int, causes: tuple[str, ...] = CAUSES) -> Iterator[Case]:
    """So many cases, each cause as often as the others: dials of five and six digits, a usual consumption half met or half exceeded."""
    pick = random.Random(seed)  # noqa: S311 - numbers, no secrets
    found = 0
    while found < count:
        case = _case(pick, causes[found % len(causes)])
        if case is not None:
            found += 1
            yield case


def _case(pick: random.Random, cause: str) -> Case | None:
    """A case of a cause, None when the numbers do not make the value too high. Half of the dials show up to three decimals."""
    span, decimals = 10 ** pick.choice((5, 6)), pick.choice((0, 0, 0, 1, 2, 3))
    usual, night_usual = (pick.randint(20, span // 200) for _ in range(2))
    previous, night = (_shown(pick, pick.randint(span // 20, span * 8 // 10), decimals) for _ in range(2))
    others = [
        Neighbour(f"N{n}", "A+", _shown(pick, pick.randint(span // 20, span * 8 // 10), decimals), Decimal(pick.randint(20, span // 200)))
        for n in range(3)
    ]
    ratio = pick.choice(RATIOS)
    truth, night_typed = (_shown(pick, int(one) + _used(pick, often), decimals) for one, often in ((previous, usual), (night, night_usual)))
    if cause == TRUE:
        truth = previous + round(usual * pick.uniform(HIGH, 9))
    typed = _typed(pick, cause, truth, others, ratio)
    if cause == "maybe_zones_swapped":
        typed, night_typed = night_typed, truth
    if typed - previous <= HIGH * usual:
        return None
    zone = Neighbour("", "A+:night", night, Decimal(night_usual), night_typed)
    suspect = Suspect(typed, previous, Decimal(span), Decimal(usual), decimals=decimals, ratios=(Decimal(ratio),))
    return Case(cause, suspect, [*others, zone], int(truth))


def _shown(pick: random.Random, whole: int, decimals: int) -> Decimal:
    """A dial that stands at these whole units and at something after the point."""
    return Decimal(f"{whole}.{pick.randrange(10**decimals):0{decimals}}") if decimals else Decimal(whole)


def _used(pick: random.Random, usual: int) -> int:
    return max(1, round(usual * pick.uniform(0.6, 1.5)))


def _typed(pick: random.Random, cause: str, truth: Decimal, others: list[Neighbour], ratio: int) -> Decimal:
    """What is typed instead of the truth."""
    digits, point, places = str(truth).partition(".")
    if cause == "maybe_digit_extra":
        place = pick.randrange(len(digits) + 1)
        return Decimal(digits[:place] + pick.choice("0123456789") + digits[place:] + point + places)
    if cause == "maybe_digits_swapped":
        place = pick.randrange(len(digits) - 1)
        return Decimal(digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :] + point + places)
    if cause == "maybe_other_meter":
        other = pick.choice(others)
        return other.last + _used(pick, int(other.usual or 1))
    if cause == "maybe_comma_lost":
        return Decimal(digits + places) if places else truth * 1000 + pick.randrange(1000)
    return truth * ratio if cause == "maybe_ratio_inside" else truth
