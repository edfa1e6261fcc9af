"""The maket 80020 as it is written: what is read back is what was written, and nothing is lost by rounding."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import accumulate
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import EXACT, IntervalBlock, MeterReading, Quality, Step, written
from gateway.mapping import Envelope
from gateway.mapping.maket_80020 import Maket80020
from gateway.mapping.maket_80020_write import Facts, Party, Point, Tag, file_name, point_of, whole, write
from gateway.mapping.maket_day import day_of
from tests.formats.make_maket import SAMPLES, envelope

HALF = Decimal("0.5")
FACTS = Facts(
    number="17",
    day=date(2026, 2, 14),
    zone="Europe/Moscow",
    sender=Party('ООО "Сеть" & Ко', "5001001234"),
    area=Party("Площадка <1>", "1300001301"),
    timestamp=datetime(2026, 2, 15, 0, 8, tzinfo=UTC),
)
DAYS = [date(2025, 3, 30), date(2025, 6, 1), date(2025, 10, 26), date(2025, 12, 1), date(2014, 10, 26)]
QUALITIES = [Quality.VALID, Quality.NONCOMMERCIAL, Quality.SUBSTITUTED]
AMOUNT = st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=4)
NAME = st.text(max_size=8)


def read(body: bytes, zone: str) -> list[MeterReading]:
    found = list(Maket80020().decode(body, Envelope(zone=zone)))
    assert not any(isinstance(thing, Problem) for thing in found)
    return [thing for thing in found if isinstance(thing, MeterReading)]


def bare(readings: Iterable[MeterReading]) -> list[MeterReading]:
    """Without their places and hints, which are of the document."""
    return [
        msgspec.structs.replace(one, where="", problems=(), blocks=tuple(msgspec.structs.replace(block, where="") for block in one.blocks))
        for one in readings
    ]


@st.composite
def messages(draw: st.DrawFn) -> tuple[Facts, list[Point]]:
    """A day of a zone with points of any kind, half-hours and hours, values missing and marked."""
    day, zone = draw(st.sampled_from(DAYS)), draw(st.sampled_from(["Europe/Kyiv", "Europe/Moscow"]))
    points = []
    for number in range(draw(st.integers(1, 3))):
        tag = draw(st.sampled_from(get_args(Tag)))
        registers = (
            ["A+"]
            if tag in ("deliverygroup", "peretok")
            else draw(st.lists(st.sampled_from(["A+", "A-", "R+", "R-"]), unique=True, min_size=1))
        )
        blocks = []
        for register in sorted(registers):
            step = draw(st.sampled_from([Step.HALF_HOUR, Step.HOUR]))
            count = len(day_of(zone, day, step).slots)
            values = draw(st.lists(st.none() | st.integers(0, 10**6).map(Decimal), min_size=count, max_size=count))
            marks = [draw(st.sampled_from(QUALITIES)) if value is not None else Quality.MISSING for value in values]
            plain = all(mark in (Quality.VALID, Quality.MISSING) for mark in marks)
            blocks.append(
                IntervalBlock(
                    register=register,
                    step=step,
                    day=day,
                    written=written(values),
                    quality=() if plain else tuple(marks),
                    ratio_applied=True,
                )
            )
        code = f"{number}>{number}" if tag == "peretok" else f"A{number}"
        points.append(Point(code=code, blocks=tuple(blocks), name=draw(NAME), serial=draw(NAME), tag=tag))
    return msgspec.structs.replace(FACTS, day=day, zone=zone, number=draw(NAME)), points


@given(messages(), st.sampled_from(["windows-1251", "utf-8"]))
def test_what_is_written_is_read_back(made: tuple[Facts, list[Point]], encoding: str) -> None:
    facts, points = made
    body = write(facts, points, encoding=encoding).body  # type: ignore[arg-type]
    found = bare(read(body, facts.zone))
    assert [(one.meter, one.blocks) for one in found] == [(point.code, _in_order(point.blocks)) for point in points]


def _in_order(blocks: tuple[IntervalBlock, ...]) -> tuple[IntervalBlock, ...]:
    return tuple(sorted(blocks, key=lambda block: ["A+", "A-", "R+", "R-"].index(block.register)))


@pytest.mark.parametrize("name", sorted(name for name in SAMPLES if name.endswith(".xml")))
def test_a_sample_that_is_read_is_written_and_read_alike(name: str) -> None:
    told = envelope(name)
    try:
        first = read(SAMPLES[name](), told.zone)
    except Rejected:
        return
    good = [one for one in first if not any(problem.severity is Severity.ERROR for problem in one.problems)]
    if not good:
        return
    facts = msgspec.structs.replace(FACTS, zone=told.zone, day=good[0].blocks[0].day)
    again = read(write(facts, [point_of(one, facts.day) for one in good], exact=True).body, told.zone)
    unknown = {Quality.UNKNOWN: Quality.NONCOMMERCIAL}
    expected = [
        msgspec.structs.replace(
            one,
            blocks=tuple(
                msgspec.structs.replace(block, quality=tuple(unknown.get(mark, mark) for mark in block.quality)) for block in one.blocks
            ),
        )
        for one in good
    ]
    assert bare(again) == bare(expected)


@given(st.lists(st.none() | AMOUNT, max_size=60), st.decimals("-0.5", "0.4999", places=4))
def test_rounding_loses_nothing(values: list[Decimal | None], carry: Decimal) -> None:
    """At every value the sum told differs from the true one by -1/2 to less than 1/2, and no value is below zero."""
    rounded, left = whole(values, carry)
    assert [value is None for value in rounded] == [value is None for value in values]
    told = list(accumulate((value or Decimal(0) for value in rounded), EXACT.add))
    true = list(accumulate((value or Decimal(0) for value in values), EXACT.add, initial=carry))[1:]
    assert all(-HALF <= ours - theirs < HALF for ours, theirs in zip(true, told, strict=True))
    assert left == (true[-1] - told[-1] if values else carry)
    assert all(value is None or (value >= 0 and value == value.to_integral_value()) for value in rounded)


@given(st.lists(st.lists(AMOUNT, min_size=24, max_size=24), min_size=1, max_size=4))
def test_what_is_left_over_goes_into_the_next_day(days: list[list[Decimal]]) -> None:
    carry: dict[tuple[str, str], Decimal] = {}
    told = Decimal(0)
    for number, values in enumerate(days, 1):
        day = date(2026, 2, number)
        block = IntervalBlock(register="A+", step=Step.HOUR, day=day, written=written(values))
        made = write(msgspec.structs.replace(FACTS, day=day), [Point(code="1", blocks=(block,))], carry=carry)
        [reading] = read(made.body, FACTS.zone)
        told += sum(value or Decimal(0) for value in reading.blocks[0].values)
        carry = made.carry
    true = sum((value for values in days for value in values), Decimal(0))
    assert -HALF <= true - told < HALF
    assert carry == {("1", "A+"): true - told}


def block(day: date, zone: str, register: str = "A+", **more: object) -> IntervalBlock:
    count = len(day_of(zone, day, Step.HOUR).slots)
    told = {"register": register, "step": Step.HOUR, "day": day, "written": ",".join(map(str, range(count)))}
    return IntervalBlock(**(told | more))  # type: ignore[arg-type]


def test_the_form_is_the_published_one() -> None:
    made = write(FACTS, [Point(code="1", blocks=(block(FACTS.day, FACTS.zone),), name='ПС "А"', serial="7")]).body
    text = made.decode("cp1251")
    assert text.startswith('<?xml version="1.0" encoding="windows-1251"?>\r\n<message class="80020" version="2" number="17">\r\n')
    assert "<timestamp>20260215030800</timestamp>\r\n<daylightsavingtime>0</daylightsavingtime>\r\n<day>20260214</day>" in text
    assert '<sender><name>ООО "Сеть" &amp; Ко</name><inn>5001001234</inn></sender>' in text
    assert '<measuringpoint code="1" name="ПС &quot;А&quot;" serial="7">\r\n<measuringchannel code="01" desc="счетчик, акт. прием">' in text
    assert '<period start="2300" end="0000"><value>23</value></period>\r\n</measuringchannel>' in text
    assert text.count("\n") == text.count("\r\n")
    assert file_name(FACTS) == "80020_5001001234_20260214_17.xml"
    assert file_name(msgspec.structs.replace(FACTS, number="../1", class_="80040")) == "80040_5001001234_20260214_---1.xml"


@pytest.mark.parametrize(
    ("day", "flag", "marked", "count"),
    [
        (date(2025, 12, 1), 0, 0, 24),
        (date(2025, 6, 1), 1, 0, 24),
        (date(2025, 10, 26), 2, 4, 25),
        (date(2025, 3, 30), 2, 0, 24),
    ],
    ids=["winter", "summer", "autumn", "spring"],
)
def test_summer_time_is_told_as_the_makets_tell_it(day: date, flag: int, marked: int, count: int) -> None:
    facts = msgspec.structs.replace(FACTS, day=day, zone="Europe/Kyiv")
    text = write(facts, [Point(code="1", blocks=(block(day, facts.zone),))]).body.decode("cp1251")
    assert f"<daylightsavingtime>{flag}<" in text
    assert (text.count('summer="1"'), text.count("<period")) == (marked, count)
    if count == 25:
        assert text.index('start="0300" end="0400" summer="1"') < text.index('start="0300" end="0400">')
    assert ('<period start="0300" end="0400"><value>0</value>' in text) == (day == date(2025, 3, 30))


def test_letters_that_a_charset_has_not_and_characters_that_xml_has_not() -> None:
    facts = msgspec.structs.replace(FACTS, sender=Party("Ω ☃ \0", "1"))
    body = write(facts, [Point(code="1", blocks=(block(FACTS.day, FACTS.zone),), name="Ω\n\x01")]).body
    assert b"&#937; &#9731; &#65533;" in body
    assert b'name="&#937;&#10;&#65533;"' in body
    assert read(body, FACTS.zone)[0].meter == "1"


@pytest.mark.parametrize(
    ("point", "why"),
    [
        (Point(code="1", blocks=(block(date(2026, 2, 13), FACTS.zone),)), "another day"),
        (Point(code="1", blocks=(block(FACTS.day, FACTS.zone, step=Step.QUARTER),)), "another day or step"),
        (Point(code="1", blocks=(block(FACTS.day, FACTS.zone, written="1,2"),)), "24 are wanted"),
        (Point(code="1", blocks=(block(FACTS.day, FACTS.zone, "heat"),)), "no channel"),
        (Point(code="1", blocks=(block(FACTS.day, FACTS.zone, written="-0.2" + ",0" * 23),)), "below zero"),
        (Point(code="1", blocks=(block(FACTS.day, FACTS.zone),) * 2), "twice"),
        (Point(code="1>2", blocks=(block(FACTS.day, FACTS.zone, "R+"),), tag="peretok"), r"A\+ only"),
    ],
    ids=["day", "step", "count", "register", "negative", "twice", "flow"],
)
def test_what_a_maket_cannot_say_is_not_written(point: Point, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        write(FACTS, [point])
