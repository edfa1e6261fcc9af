"""Gaps between dials and interval values whose cause is known, generated: what the coach is measured on."""

import random
from collections.abc import Iterator
from decimal import Decimal

from gateway.domain.coach import Gap

CAUSES = (
    "delta_ratio_missing",
    "delta_ratio_twice",
    "delta_losses_missing",
    "delta_losses_twice",
    "delta_hours_missing",
    "delta_export_mixed",
    "delta_day_shifted",
    "delta_power_for_energy",
    "delta_clock_change",
    "delta_thousandth",
    "delta_ratio_inverse",
)
RATIOS = ((20, 1), (40, 1), (60, 100), (30, 60), (1, 100), (120, 100))


def generated(count: int, seed: int) -> Iterator[tuple[str, Gap]]:
    """So many gaps, each cause as often as the others: a month of hours of a company, a dial of three decimals behind its ratio."""
    pick = random.Random(seed)  # noqa: S311 - numbers, no secrets
    for number in range(count):
        yield CAUSES[number % len(CAUSES)], _gap(pick, CAUSES[number % len(CAUSES)])


def _gap(pick: random.Random, cause: str) -> Gap:
    """A month, and one thing wrong with its interval values."""
    current, voltage = pick.choice(RATIOS)
    ratio = Decimal(current * voltage)
    losses = Decimal(pick.randint(15, 80)).scaleb(-3)
    days = pick.choice((28, 30, 31))
    base = pick.uniform(0.5, 8)
    hours = [Decimal(round(base * pick.uniform(0.3, 1.7) * 1000)).scaleb(-3) * ratio * (1 + losses) for _ in range(days * 24)]
    sums = [sum(hours[day * 24 : day * 24 + 24], Decimal(0)) for day in range(days)]
    total = sum(hours, Decimal(0))
    unit = Decimal("0.001") * ratio * (1 + losses)
    integral = total + unit * Decimal(pick.randint(-9, 9)).scaleb(-1)
    told = {"integral": integral, "interval": total, "unit": unit, "ratios": (Decimal(current), Decimal(voltage)), "losses": losses}
    told |= {"first": sums[0], "last": sums[-1], "there": len(hours), "changes": (max(hours),)}
    around = [sum(hours[:24], Decimal(0)) * Decimal(pick.randint(80, 120)).scaleb(-2) for _ in range(2)]
    told |= {"before": around[0], "after": around[1], "export": total * Decimal(pick.randint(5, 40)).scaleb(-2)}
    return Gap(**(told | _wrong(pick, cause, Gap(**told), hours)))  # type: ignore[arg-type]


def _wrong(pick: random.Random, cause: str, right: Gap, hours: list[Decimal]) -> dict[str, object]:
    """What the cause makes of the interval values."""
    current, voltage = right.ratios
    ratio, total = pick.choice([one for one in (current, voltage, current * voltage) if one != 1]), right.interval
    if cause == "delta_hours_missing":
        count = pick.randint(4, 120)
        gone = set(pick.sample(range(len(hours)), count))
        kept = sum((hour for place, hour in enumerate(hours) if place not in gone), Decimal(0))
        return {"interval": kept, "there": len(hours) - count, "missing": count}
    gone_day, came_day = pick.choice(((right.first, right.after), (right.last, right.before)))
    wrong = {
        "delta_ratio_missing": total / ratio,
        "delta_ratio_twice": total * ratio,
        "delta_losses_missing": total / (1 + right.losses),
        "delta_losses_twice": total * (1 + right.losses),
        "delta_export_mixed": total + pick.choice((1, -1)) * (right.export or 0),
        "delta_day_shifted": total - (gone_day or 0) + (came_day or 0),
        "delta_power_for_energy": total * pick.choice((2, 4)),
        "delta_clock_change": total - right.changes[0],
        "delta_thousandth": total / 1000,
        "delta_ratio_inverse": total / ratio / ratio,
    }
    return {"interval": wrong[cause]}
