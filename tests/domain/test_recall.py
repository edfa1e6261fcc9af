"""What old values teach a register, reckoned by hand, and what they must leave as it is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from gateway.domain.belief import believe, usual, usual_between
from gateway.domain.recall import Dated, recall
from gateway.domain.supply import Register
from tests.domain.build import register

ID = UUID(int=1)
FIRST = 2021 * 12
BARE = Register(id=1, code="A+", digits=6, decimals=0)


def day(number: int) -> datetime:
    """Noon of the first day of the n-th month from January 2021."""
    years, month = divmod(FIRST + number, 12)
    return datetime(years, month + 1, 1, 12, tzinfo=UTC)


def months(count: int, *, wrong: dict[int, int] | None = None) -> list[Dated]:
    """Values read on the first of each month, each of the month that has ended: 10 a day from April to September, else 100."""
    found, value = [], Decimal(1000)
    for number in range(count):
        at, ended = day(number), day(number - 1)
        value += (at - ended).days * (10 if 4 <= ended.month <= 9 else 100) if number else 0
        found.append(Dated(f"{ended:%Y-%m}", at, Decimal((wrong or {}).get(number, int(value)))))
    return found


YEAR = months(13)


def test_a_year_teaches_what_is_usual_and_the_season() -> None:
    known = recall(BARE, YEAR)
    assert known.season == "100,100,100,10,10,10,10,10,10,100,100,", "December is learned when the next month ends"
    assert (known.last, known.last_period, known.last_at) == (YEAR[12].value, "2021-12", day(12))
    assert (known.before, known.before_at, known.last_reading) == (YEAR[11].value, day(11), None)
    assert known.daily == Decimal("69.1116544"), "100, then six months of 10 (14.19904), October 48.519424, November"
    assert usual(known) == Decimal("81.46699264")
    april = datetime(2022, 4, 1, tzinfo=UTC)
    assert usual_between(known, april, april + timedelta(days=30), usual(known)) == 10


def test_a_second_year_counts_as_much_as_the_first() -> None:
    """April of the second year is read 3000 higher: 110 a day instead of 10, and so are all dials after it."""
    values = [one if number < 16 else one._replace(value=one.value + 3000) for number, one in enumerate(months(25))]
    assert recall(BARE, values).season.split(",")[2:5] == ["100", "60", "10"]


def believed(period: str, at: datetime | None, value: int = 9000, **more: Any) -> Register:
    """A register with a value that came through here, or from the registry when nobody knows its day."""
    fields: dict[str, Any] = {"last": Decimal(value), "last_period": period, "last_at": at, "last_reading": ID if at else None}
    return msgspec.structs.replace(BARE, **(fields | more))


def test_a_newer_value_that_is_believed_stays_and_gets_what_stood_before_it() -> None:
    known = believed("2022-01", day(13))
    after = recall(known, YEAR)
    assert (after.last, after.last_period, after.last_at, after.last_reading) == (Decimal(9000), "2022-01", day(13), ID)
    assert (after.before, after.before_at) == (YEAR[12].value, day(12))
    assert after.season.count("10") == 12, "December is learned from the value believed in January"
    assert after.daily == Decimal("81.46699264")


def test_a_value_of_the_same_day_or_period_is_never_overwritten() -> None:
    for known in (believed("2021-12", day(12)), believed("2021-12", None)):
        after = recall(known, YEAR)
        assert (after.last, after.last_period, after.last_at) == (Decimal(9000), "2021-12", known.last_at)
        assert (after.before, after.before_at) == (YEAR[11].value, day(11))


def test_what_is_known_already_stays() -> None:
    taught: dict[str, Any] = {"before": Decimal(8000), "before_at": day(12), "daily": Decimal(7), "season": "1,,,,,,,,,,,5"}
    known = believed("2022-01", day(13), **taught)
    after = recall(known, YEAR)
    assert (after.before, after.before_at, after.daily) == (Decimal(8000), day(12), Decimal(7))
    assert after.season == "1,100,100,10,10,10,10,10,10,100,100,5"


def test_a_value_of_the_registry_gets_its_day_from_an_equal_one() -> None:
    known = believed("2021-12", None, int(YEAR[12].value))
    after = recall(known, YEAR)
    assert (after.last_at, after.before, after.daily) == (day(12), YEAR[11].value, Decimal("69.1116544"))


def test_an_older_value_moves_on_to_the_last_of_the_history() -> None:
    for known in (believed("2021-06", day(6), int(YEAR[6].value)), believed("2021-06", None, int(YEAR[6].value))):
        after = recall(known, YEAR)
        assert (after.last, after.last_period, after.before, after.before_at) == (YEAR[12].value, "2021-12", YEAR[11].value, day(11))
        assert (after.season, after.last_reading) == (recall(BARE, YEAR).season, None)
    one = recall(believed("2021-11", None, 5), YEAR)
    assert (one.last, one.before, one.before_at) == (YEAR[12].value, Decimal(5), None), (
        "what the registry believes stands before the only newer one"
    )


def test_a_value_below_the_one_before_it_teaches_nothing_of_that_time() -> None:
    """June's dial is read as 1: what May and the leap after it say is nothing, and the months around them are as they were."""
    season = recall(BARE, months(13, wrong={5: 1})).season.split(",")
    assert season[:4] + season[6:] == recall(BARE, YEAR).season.split(",")[:4] + recall(BARE, YEAR).season.split(",")[6:]
    assert season[4] == ""


@pytest.mark.parametrize(
    "known",
    [
        BARE,
        register(last="5", last_period=""),
        believed("2021-06", day(6)),
        believed("2021-06", None),
        believed("2021-06", None, int(YEAR[6].value)),
        believed("2021-12", None),
        believed("2022-01", day(13)),
        believed("2022-01", day(13), before=Decimal(8000)),
        believed("2022-01", day(13), before=Decimal(8000), before_at=day(4), daily=Decimal(7), season="1,,,,,,,,,,,5"),
        believed("2020-06", None),
    ],
)
@pytest.mark.parametrize("values", [[], YEAR[:1], YEAR[:2], YEAR, months(25), months(25, wrong={5: 1, 24: 3})], ids=len)
def test_the_same_history_again_changes_nothing(known: Register, values: list[Dated]) -> None:
    once = recall(known, values)
    assert recall(once, values) == once


def test_what_is_believed_afterwards_goes_on_from_there() -> None:
    """A history and then a reading is the same as all of it believed one by one."""
    first, *rest = months(24)
    alive = believe(BARE, first.value, period=first.period, at=first.at, reading=None, chain=False)
    for one in rest:
        alive = believe(alive, one.value, period=one.period, at=one.at, reading=None, chain=False)
    told, lived = (
        believe(known, Decimal(99999), period="2022-12", at=day(24), reading=ID, chain=False) for known in (recall(BARE, months(24)), alive)
    )
    assert told == lived
