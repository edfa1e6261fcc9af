"""Values of two years teach registers what is usual, by the season; nothing that is believed is touched, and no reading is made."""

import resource
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from gateway import pipeline
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.mapping.history_rows import history_rows
from gateway.pipeline import recalling
from gateway.pipeline.recalling import Recalled
from gateway.store import feed
from tests.conftest import case
from tests.store.ground import Ground

HEAD = "agreement;meter;register;date;value"
STATE: Final = "select *, xmin::text from register order by id"
Record = Callable[[str, int, str], None]
WARM, COLD = 10, 100
"""A day, in units of the dial."""


def brought(ground: Ground, lines: Iterable[str], now: datetime | None = None) -> Recalled:
    """Bring these lines in, in a transaction of their own; the header is added."""
    with ground.owner.transaction() as connection:
        return recalling.bring(connection, ground.utility, history_rows(f"{line}\n" for line in (HEAD, *lines)), now or datetime.now(UTC))


def last_days(ground: Ground, count: int) -> list[date]:
    """The last days of the months before this one, the oldest first."""
    here = month(ground.period)
    return [shift(here, -back) - timedelta(days=1) for back in range(count - 1, -1, -1)]


def two_years(ground: Ground, meters: Iterable[str], *, heating: bool, months: int = 25) -> list[str]:
    """A value at the end of each month. `heating`: half a year with much consumption begins this month, otherwise it ended last month."""
    begins, told = month(ground.period).month, []
    days, values = last_days(ground, months), [Decimal(1000)]
    for earlier, day in pairwise(days):
        within = (day.month - begins) % 12 < 6
        values.append(values[-1] + (day - earlier).days * (COLD if within is heating else WARM))
    for meter in meters:
        told += [f"A-1;{meter};A+;{day};{value}" for day, value in zip(days, values, strict=True)]
    return told


def codes(ground: Ground, meter: str, advance: int) -> list[str]:
    """What is said of a reading of this period that advances so far from the last value known."""
    last = ground.one("select r.last from register r join meter m on m.id = r.meter_id where m.serial = %(m)s", m=meter)
    post = ground.post({meter: int(last) + advance})
    pipeline.receive(ground.store, [post], translated=True)
    return [row.code for row in ground.rows("select code from problem where submission_id = %(s)s", s=post.entry.id)]


def test_the_next_reading_is_judged_by_the_season(ground: Ground) -> None:
    """3000 in a month: much where heating ended, nothing to speak of where it begins, though of late it was a tenth of that."""
    numbers = ground.meters(200)
    lines = [*two_years(ground, numbers[:100], heating=True), *two_years(ground, numbers[100:], heating=False)]
    assert codes(ground, numbers[0], 3000) == [], "without a history nobody knows better"
    ground.rows("update register set last_period = '2000-01', last = 100, last_at = null, before = null, last_reading_id = null")
    recalled = brought(ground, lines)
    assert (recalled.rows, recalled.registers, recalled.changed, recalled.problems, recalled.warnings) == (5000, 200, 200, [], [])
    assert ground.one("select count(distinct (last, before, daily, season)) from register") == 2
    assert codes(ground, numbers[1], 3000) == []
    assert "consumption_high" in codes(ground, numbers[2], 30 * COLD * 6)
    assert "consumption_high" in codes(ground, numbers[101], 3000)
    assert codes(ground, numbers[102], 30 * WARM) == []


def test_no_reading_and_no_delivery_is_made(ground: Ground) -> None:
    brought(ground, two_years(ground, ground.meters(3), heating=True))
    for table in ("submission", "meter_reading", "reading", "delivery", "event"):
        assert ground.one(f"select count(*) from {table}") == 0, table


def test_the_same_file_again_writes_nothing(ground: Ground) -> None:
    lines = two_years(ground, ground.meters(20), heating=False)
    assert brought(ground, lines).changed == 20
    was = ground.plain(STATE)
    again = brought(ground, reversed(lines))
    assert (again.registers, again.changed, ground.plain(STATE)) == (20, 0, was)


def test_a_newer_value_that_is_believed_stays(ground: Ground) -> None:
    numbers = ground.meters(2)
    ids = ground.receive({numbers[0]: 90_000})
    brought(ground, two_years(ground, numbers, heating=True))
    came, old = ground.rows("select * from register order by id")
    assert (came.last, came.last_period, came.last_reading_id) == (90_000, ground.period, ids[numbers[0]])
    assert (came.before, came.before_at) == (100, None), "the registry's own value stands before it"
    assert [sum(known is not None for known in row.season) for row in (came, old)] == [12, 12]
    assert old.last > 1000
    assert (old.last_period, old.last_reading_id) == (f"{shift(month(ground.period), -1):%Y-%m}", None)


def test_all_that_is_wrong_is_told_with_its_line_and_nothing_is_written(ground: Ground) -> None:
    one, *_ = ground.meters(2)
    twin = [Line(agreement="A-1", point=f"T-{n}", meter="TWIN", register="A+", digits=6) for n in (1, 2)]
    with ground.owner.transaction() as connection:
        feed.import_lines(connection, ground.utility, "legal_entity", twin)
    was, now = ground.plain(STATE), datetime(2026, 3, 4, 12, tzinfo=UTC)
    recalled = brought(
        ground,
        [
            f"A-1;{one};A+;2025-01-31;1000",
            f"A-1;{one.lower()};A+;2025-01-31;1000",
            f"A-9;{one};A+;2025-01-31;1000",
            f"A-1;{one};R+;2025-01-31;1000",
            "A-1;TWIN;A+;2025-01-31;1000",
            f"A-1;{one};A+;2026-03-04;1000",
            f"A-1;{one};A+;2025-02-28;1000000",
            f"A-1;{one};A+;2025-02-30;1000",
            f"A-1;{one};A+;2025-03-31;1e3",
            f"A-1;;A+;2025-03-31;{'x' * 3}",
            "short",
        ],
        now,
    )
    assert [(problem.where, problem.code) for problem in recalled.problems] == [
        ("line 3, date", "history_twice"),
        ("line 4, meter", "meter_unknown"),
        ("line 5, register", "register_unknown"),
        ("line 6, meter", "meter_ambiguous"),
        ("line 7, date", "registry_cell"),
        ("line 8, value", "too_many_digits"),
        ("line 9, date", "registry_cell"),
        ("line 10, value", "not_a_number"),
        ("line 11, value", "not_a_number"),
        ("line 11, meter", "registry_cell_empty"),
        ("line 12", "registry_cells"),
    ]
    assert ground.plain(STATE) == was


def test_a_value_below_the_one_before_it_is_told(ground: Ground) -> None:
    one, *_ = ground.meters(1)
    recalled = brought(
        ground, [f"A-1;{one};A+;{day};{value}" for day, value in (("2025-03-31", 500), ("2025-01-31", 1000), ("2025-02-28", 1300))]
    )
    assert [(told.where, told.code, told.severity, told.values) for told in recalled.warnings] == [
        ("line 2, value", "reading_decreased", "warning", {"value": "500", "previous": "1300"})
    ]
    [row] = ground.rows("select last, before, season from register")
    assert (row.last, row.before, [number + 1 for number, known in enumerate(row.season) if known is not None]) == (500, 1300, [2])


def test_a_point_tells_meters_of_one_number_apart(ground: Ground) -> None:
    twins = [Line(agreement="A-1", point=f"T-{n}", meter="TWIN", register="A+", digits=6) for n in (1, 2)]
    twins.append(Line(agreement="A-1", point="V-1", register="volume", digits=6))
    with ground.owner.transaction() as connection:
        feed.import_lines(connection, ground.utility, "legal_entity", twins)
        rows = ["agreement,point,meter,register,date,value", "A-1,t-2,TWIN,A+,2025-01-31,70", "A-1,V-1,,volume,2025-01-31,80"]
        recalled = recalling.bring(connection, ground.utility, history_rows(rows), datetime.now(UTC))
    assert (recalled.problems, recalled.changed) == ([], 2)
    known = "from register r join meter m on m.id = r.meter_id join usage_point p on p.id = m.usage_point_id"
    assert ground.plain(f"select p.code, r.last {known} order by 1") == [("T-1", None), ("T-2", 70), ("V-1", 80)]


def test_two_years_of_many_registers_are_learned_in_flat_memory(ground: Ground, proof: Record) -> None:
    count = case(200, 20_000)
    numbers = ground.meters(count)
    days = last_days(ground, 24)

    def lines() -> Iterable[Any]:
        for n, day in enumerate(days):
            yield from (f"A-1;{meter};A+;{day};{1000 + 310 * n}" for meter in numbers)

    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recalled = brought(ground, lines())
    took = time.perf_counter() - began
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert (recalled.rows, recalled.changed, recalled.problems) == (24 * count, count, [])
    proof(
        "registers that learn from 24 months of values",
        count,
        f"{took:.1f} s, {24 * count / took:,.0f} values a second; {memory:.0f} MiB more",
    )
