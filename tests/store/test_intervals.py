"""Interval values on their way into the store: new, the same again, changed with a history, refused where archives do not change."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest

from gateway import pipeline, profiles
from gateway.demo.invented import any_day
from gateway.domain.readings import IntervalBlock, MeterReading, Quality, Reading, Step, written
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.mapping import Envelope
from gateway.pipeline import Post, Taken, new_entry
from gateway.store import feed, people, readings
from gateway.store.ledger import REFUSED
from gateway.store.submissions import FoundRow, rows
from tests.conftest import Database
from tests.store.ground import ZONE, Ground

POSTS = count(1)
KEEP = any_day(profiles.shipped()["legal_entity"]).replace(b"hold = 0", b'hold = 0\nintervals = "keep"')


@pytest.fixture
def ground(empty_database: Database) -> Iterator[Ground]:
    made = Ground(empty_database)
    made.meters(2)
    yield made
    made.clean()
    made.close()


def hours(day: date, *values: str | None, register: str = "A+") -> IntervalBlock:
    """A day of 24 values: those given, the last one repeated."""
    told = [None if value is None else Decimal(value) for value in values]
    return IntervalBlock(
        register=register, step=Step.HOUR, day=day, written=written(tuple(told + told[-1:] * (24 - len(told)))), where=f"S!{day}"
    )


def bring(ground: Ground, blocks: Sequence[IntervalBlock], meter: str = "M000001", period: str = "", **more: Any) -> FoundRow:
    """Bring blocks of one meter in one submission; its row as it stands then."""
    told = {"readings": ()} | more
    reading = MeterReading(meter=meter, period=period or ground.period, blocks=tuple(blocks), where="S", **told)
    return bring_all(ground, [reading])[0]


def bring_all(ground: Ground, readings: Sequence[MeterReading]) -> list[FoundRow]:
    entry = new_entry(ground.sender, Envelope(zone=ZONE, kind="canonical_json"), b"%d" % next(POSTS), channel="api")
    [outcome] = pipeline.receive(ground.store, [Post(entry=entry, found=readings, say=lambda _: b"said")], translated=True)
    assert isinstance(outcome, Taken)
    with ground.store.transaction() as connection:
        return rows(connection, entry.id)


def volume(row: FoundRow) -> Decimal | None:
    [value] = [value for value in row.values if value.volume]
    return value.consumption


def kept(ground: Ground) -> list[tuple[Any, ...]]:
    return ground.plain("select day, values from interval_block order by register_id, day")


def test_values_of_a_month_are_kept_a_row_a_day_and_go_to_billing_as_one_amount(ground: Ground) -> None:
    first = month(ground.period)
    row = bring(ground, [hours(first, "1.5"), hours(first + timedelta(days=1), "2")])
    assert row.status == "queued", row.problems
    assert volume(row) == Decimal("84.0")
    assert kept(ground) == [(first, [Decimal("1.5")] * 24), (first + timedelta(days=1), [Decimal(2)] * 24)]
    assert ground.one("select count(*) from interval_history") == 0
    assert ground.one("select quality is null from interval_block limit 1")


def test_the_same_values_again_are_silent_and_written_once(ground: Ground) -> None:
    block = hours(month(ground.period), "1.5", None, "2")
    first, again = bring(ground, [block]), bring(ground, [block])
    assert (again.status, again.same_as) == (first.status, first.id)
    assert [problem.code for problem in again.problems if problem.severity == "hint"] == ["duplicate_reading"]
    assert ground.one("select count(*) from delivery") == 1
    assert ground.one("select count(*) from interval_history") == 0


def test_other_values_replace_the_block_and_the_old_one_moves_to_its_history(ground: Ground) -> None:
    first = month(ground.period)
    old = bring(ground, [hours(first, "1"), hours(first + timedelta(days=1), "1")])
    new = bring(ground, [hours(first, "2")])
    assert (new.status, new.revision, volume(new)) == ("queued", 1, Decimal(72))
    assert ground.statuses([old.id]) == ["superseded"]
    assert ground.plain("select day, values from interval_history") == [(first, [Decimal(1)] * 24)]
    [history] = ground.rows("select * from interval_history h join interval_source s on s.id = h.replaced_by")
    assert history.meter_reading_id == new.id
    assert kept(ground)[0] == (first, [Decimal(2)] * 24)


def test_a_file_with_more_days_gives_the_amount_of_all_days(ground: Ground) -> None:
    first = month(ground.period)
    bring(ground, [hours(first, "1")])
    row = bring(ground, [hours(first + timedelta(days=1), "2")])
    assert (row.status, row.revision, volume(row)) == ("queued", 1, Decimal(72))
    assert ground.one("select count(*) from interval_history") == 0


@pytest.fixture
def keeping(ground: Ground) -> Ground:
    """The same utility, whose archives do not change."""
    with ground.owner.transaction() as connection:
        people.save_document(connection, ground.utility, "profile", "legal_entity", KEEP, "test")
    return ground


def test_an_archive_that_changed_is_refused_with_its_place_and_nothing_is_overwritten(keeping: Ground) -> None:
    first = month(keeping.period)
    bring(keeping, [hours(first, "1")])
    row = bring(keeping, [hours(first + timedelta(days=1), "3"), hours(first, "1", "2", "1")])
    assert row.status == "rejected"
    assert [(problem.code, problem.where) for problem in row.problems if problem.severity == "error"] == [("archive_changed", f"S!{first}")]
    assert kept(keeping) == [(first, [Decimal(1)] * 24)]


def test_an_archive_that_knows_more_fills_the_gaps(keeping: Ground) -> None:
    first = month(keeping.period)
    bring(keeping, [hours(first, "1", None, "1")])
    row = bring(keeping, [hours(first, "1", "5", None)])
    assert row.status == "queued", row.problems
    assert kept(keeping) == [(first, [Decimal(1), Decimal(5), *[Decimal(1)] * 22])]
    assert volume(row) == Decimal(28)
    less = bring(keeping, [hours(first, None, "5", None)])
    assert less.same_as == row.id


def test_one_meter_twice_in_a_file_is_refused_the_second_time(ground: Ground) -> None:
    block = hours(month(ground.period), "1")
    reading = MeterReading(meter="M000001", readings=(), period=ground.period, blocks=(block,), where="S")
    first, second = bring_all(ground, [reading, reading])
    assert (first.status, second.status) == ("queued", "rejected")
    assert [problem.code for problem in second.problems if problem.severity == "error"] == ["interval_repeated"]


def test_dials_and_intervals_of_one_period_stand_beside_each_other_with_their_difference(ground: Ground) -> None:
    """GV-3: 12600 by the dials, 137130.48 by the hours, the difference is -124530.48."""
    line = Line(
        agreement="A-1", point="P", meter="20300109", register="A+", digits=6, last=Decimal(12441), last_period="2022-01",
        ratio=Decimal(12000), losses=Decimal("0.05"),
    )  # fmt: skip
    with ground.owner.transaction() as connection:
        feed.import_lines(connection, ground.utility, "legal_entity", [line])
    integral = MeterReading(meter="20300109", readings=(Reading(register="A+", value=Decimal(12442)),), period=ground.period)
    [dials] = bring_all(ground, [integral])
    first = month(ground.period)
    block = msgspec.structs.replace(hours(first, "137130.48", "0"), ratio_applied=True, losses_applied=True)
    hourly = bring(ground, [block], "20300109")
    assert [volume(hourly)] == [Decimal("137130.48")]
    [delta] = hourly.deltas
    assert (delta.quantity, delta.integral, delta.interval) == ("A+", Decimal("12600.00"), Decimal("137130.48"))
    assert delta.integral - delta.interval == Decimal("-124530.48")
    assert ground.statuses([dials.id]) == ["queued"], "what the dials say is not corrected by what the hours say"


def test_days_go_into_one_block_a_month_and_months_into_one_a_year(ground: Ground) -> None:
    first = month(ground.period)
    days = (shift(first, 1) - first).days
    daily = IntervalBlock(register="A+", step=Step.DAY, day=first, written=written(tuple(map(Decimal, range(days)))), where="D")
    year = tuple(Decimal(7) if number == first.month else None for number in range(1, 13))
    monthly = IntervalBlock(register="A+", step=Step.MONTH, day=date(first.year, 1, 1), written=written(year))
    row = bring(ground, [daily, monthly])
    assert row.status == "queued", row.problems
    assert volume(row) == Decimal(7), "the coarsest step tells the amount"
    again = bring(ground, [daily])
    assert again.same_as == row.id
    changed = bring(ground, [msgspec.structs.replace(monthly, written=written(v and v + 1 for v in monthly.values))])
    assert volume(changed) == Decimal(8)


def test_a_file_of_one_day_leaves_the_other_days_of_its_block_alone(ground: Ground) -> None:
    first = month(ground.period)
    length = (shift(first, 1) - first).days

    def only(day: int, value: int) -> IntervalBlock:
        values = tuple(Decimal(value) if place == day else None for place in range(length))
        return IntervalBlock(register="A+", step=Step.DAY, day=first, written=written(values))

    bring(ground, [only(0, 5)])
    row = bring(ground, [only(1, 7)])
    assert (row.status, volume(row)) == ("queued", Decimal(12))
    assert volume(bring(ground, [only(0, 6)])) == Decimal(13)
    assert kept(ground) == [(first, [Decimal(6), Decimal(7), *[None] * (length - 2)])]


def test_days_first_and_hours_later_are_one_amount(ground: Ground) -> None:
    """A contractor sends the days of a month and then its hours: billing is told once, not twice."""
    first = month(ground.period)
    length = (shift(first, 1) - first).days
    daily = IntervalBlock(register="A+", step=Step.DAY, day=first, written=written((Decimal(30), *(None,) * (length - 1))))
    old = bring(ground, [daily])
    new = bring(ground, [hours(first, "1"), hours(first + timedelta(days=1), "2")])
    assert (new.status, new.revision, volume(new)) == ("queued", 1, Decimal(30 + 48)), "the day as its meter summed it, then the hours"
    assert ground.statuses([old.id]) == ["superseded"]


def test_what_billing_refused_may_be_sent_again_and_corrected(keeping: Ground) -> None:
    block = hours(month(keeping.period), "1")
    first = bring(keeping, [block])
    refuse(keeping, first.id)
    again = bring(keeping, [block])
    assert (again.status, again.same_as, volume(again)) == ("queued", None, Decimal(24))
    refuse(keeping, again.id)
    corrected = bring(keeping, [hours(month(keeping.period), "2")])
    assert (corrected.status, volume(corrected)) == ("queued", Decimal(48))
    assert kept(keeping) == [(month(keeping.period), [Decimal(2)] * 24)]
    changed = bring(keeping, [hours(month(keeping.period), "3")])
    assert changed.status == "rejected", "what stands is kept"


def refuse(ground: Ground, reading: UUID) -> None:
    """Billing refuses it for good."""
    held = ground.held()
    assert [item.subject for item in held.items] == [reading]
    ground.finish(held, closed=REFUSED)
    with ground.store.transaction() as connection:
        assert readings.move(connection, ReadingStatus.REJECTED, [(reading, "")], actor="test") == {reading}


def test_the_same_again_is_said_of_the_reading_that_stands(ground: Ground) -> None:
    first = month(ground.period)
    day, next_day = hours(first, "1"), hours(first + timedelta(days=1), "2")
    bring(ground, [day])
    both = bring(ground, [next_day])
    assert bring(ground, [day]).same_as == both.id, "not the superseded one that brought it"


def test_an_archive_with_nothing_to_bill_is_refused_and_not_queued_for_ever(ground: Ground) -> None:
    first = month(ground.period)
    empty = bring(ground, [hours(first, None)])
    outside = bring(ground, [hours(first - timedelta(days=1), "1")])
    assert [row.status for row in (empty, outside)] == ["rejected", "rejected"]
    assert all("value_missing" in {problem.code for problem in row.problems} for row in (empty, outside))


def test_a_reading_of_dial_and_intervals_corrects_what_the_dial_said_before(ground: Ground) -> None:
    dial = Reading(register="A+", value=Decimal(150))
    [old] = bring_all(ground, [MeterReading(meter="M000001", readings=(dial,), period=ground.period)])
    both = bring(ground, [hours(month(ground.period), "1")], readings=(Reading(register="A+", value=Decimal(160)),))
    assert (both.status, both.revision) == ("queued", 1)
    assert ground.statuses([old.id]) == ["superseded"]
    same = bring(ground, [hours(month(ground.period), "2")], readings=(Reading(register="A+", value=Decimal(160)),))
    assert (same.status, same.revision) == ("queued", 2)
    assert ground.statuses([both.id]) == ["superseded"]


def test_qualities_are_kept_only_where_a_value_is_not_plainly_valid(ground: Ground) -> None:
    block = hours(month(ground.period), "1")
    bring(ground, [msgspec.structs.replace(block, quality=(Quality.VALID,) * 24)])
    assert ground.one("select quality is null from interval_block")
    bring(ground, [msgspec.structs.replace(block, quality=(Quality.ESTIMATED, *(Quality.VALID,) * 23))])
    assert ground.one("select quality[1] from interval_block") == list(Quality).index(Quality.ESTIMATED)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda block: msgspec.structs.replace(block, written=written(block.values[:-1])), "interval_count_wrong"),
        (lambda block: msgspec.structs.replace(block, written=written((Decimal(-1), *block.values[1:]))), "interval_negative"),
        (lambda block: msgspec.structs.replace(block, register="heat"), "register_unknown"),
        (lambda block: msgspec.structs.replace(block, register="t1"), "register_unknown"),
    ],
)
def test_what_cannot_be_is_refused(ground: Ground, spoil: Callable[[IntervalBlock], IntervalBlock], code: str) -> None:
    row = bring(ground, [spoil(hours(month(ground.period), "1"))])
    assert row.status == "rejected"
    assert code in {problem.code for problem in row.problems}
    assert kept(ground) == []


def test_missing_hours_are_said_and_never_counted_as_zero(ground: Ground) -> None:
    row = bring(ground, [hours(month(ground.period), "1", None)])
    assert (row.status, volume(row)) == ("queued", Decimal(1))
    [problem] = [problem for problem in row.problems if problem.code == "interval_missing"]
    assert (problem.severity, problem.values["count"]) == ("warning", "23")


def test_two_files_of_one_meter_at_once_do_not_lose_a_day(ground: Ground) -> None:
    first = month(ground.period)

    def one(day: int) -> UUID:
        return bring(ground, [hours(first + timedelta(days=day), "1")]).id

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(8)))
    assert len(kept(ground)) == 8
    live = ground.plain(
        "select sum(r.consumption) from meter_reading m join reading r on r.meter_reading_id = m.id where m.status = 'queued'"
    )
    assert live == [(Decimal(192),)]
