"""What a register remembers after each value believed, and what the next one is then compared with."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from gateway.domain.belief import believe, usual
from gateway.domain.supply import Register
from tests.domain.build import register

ID = UUID(int=1)
DAYS = {day: datetime(2022, 10, day, tzinfo=UTC) for day in range(1, 32)}


def after(*believed: tuple[str, str, int], chain: bool) -> Register:
    """A register of September's 100 after these values, periods and days of reading."""
    known = register(last="100", before=Decimal(90))
    for value, period, day in believed:
        known = believe(known, Decimal(value), period=period, at=DAYS[day], reading=ID, chain=chain)
    return known


@pytest.mark.parametrize(
    ("believed", "chain", "last", "before", "period"),
    [
        ([("120", "2022-10", 20)], False, 120, 100, "2022-10"),
        ([("120", "2022-10", 20), ("130", "2022-10", 25)], False, 130, 100, "2022-10"),
        ([("120", "2022-10", 20), ("130", "2022-10", 25)], True, 130, 120, "2022-10"),
        ([("120", "2022-10", 20), ("130", "2022-11", 25)], False, 130, 120, "2022-11"),
        ([("120", "2022-10", 20), ("95", "2022-08", 25)], False, 120, 100, "2022-10"),
        ([("120", "2022-10", 20), ("110", "2022-10", 10)], True, 120, 100, "2022-10"),
    ],
    ids=["next period", "correction", "next day", "two periods", "older period", "earlier day"],
)
def test_a_register_remembers_the_last_value_and_the_one_before_its_period(
    *, believed: list[tuple[str, str, int]], chain: bool, last: int, before: int, period: str
) -> None:
    known = after(*believed, chain=chain)
    assert (known.last, known.before, known.last_period, known.last_reading) == (Decimal(last), Decimal(before), period, ID)


def months(*advances: int, chain: bool = False) -> Register:
    """A register read every 31 days, advancing by these amounts a day."""
    known, value, at = Register(id=1, code="A+", digits=6, decimals=0), Decimal(0), DAYS[1]
    for number, advance in enumerate((0, *advances)):
        value, at = value + advance * 31, DAYS[1] + timedelta(days=31 * number)
        known = believe(known, value, period=f"{at:%Y-%m}", at=at, reading=ID, chain=chain)
    return known


@pytest.mark.parametrize("chain", [False, True])
def test_the_usual_consumption_follows_the_last_ones(*, chain: bool) -> None:
    assert usual(months(chain=chain)) is None
    assert usual(months(10, chain=chain)) == 10
    assert usual(months(10, 10, 10, chain=chain)) == 10
    assert usual(months(10, 20, chain=chain)) == 14, "two fifths of the way from 10 to 20"
    assert usual(months(*[10] * 9, 30, chain=chain)) == 18
    assert usual(months(10, 0, chain=chain)) == 6, "a month without consumption counts as well"


def test_a_correction_does_not_teach_twice() -> None:
    known = months(10, 10)
    corrected = believe(known, Decimal(5000), period=known.last_period, at=known.last_at or DAYS[1], reading=ID, chain=False)
    corrected = believe(corrected, Decimal(620), period=known.last_period, at=known.last_at or DAYS[1], reading=ID, chain=False)
    assert (usual(corrected), corrected.daily) == (usual(known), known.daily)
