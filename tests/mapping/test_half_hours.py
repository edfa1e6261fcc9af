"""Rows of half-hours read by a mapping document: how they are labelled, the days when clocks change, what is no half-hour."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.readings import Step
from gateway.mapping import Envelope
from gateway.mapping.cells import Cell
from gateway.mapping.moments import Clock, read_clock, read_day
from tests.formats.read_mapped import ACROSS, HOURS, blocks, book, decoded, mapped, rows, wrong

HEAD = "Счетчик;Дата;Время;Расход"
WHOLE = ",".join(map(str, range(1, 49)))
STARTS = [f"{n // 2}:{n % 2 * 30:02}" for n in range(48)]
ENDS = [*STARTS[1:], "24:00"]


def day(labels: Sequence[str], told: str = "01.10.2026") -> bytes:
    """A day of one meter: a row for each label, counted from 1."""
    return rows(HEAD, *(f"7;{told};{label};{n}" for n, label in enumerate(labels, 1)))


@pytest.mark.parametrize(
    "labels",
    [
        STARTS,
        ENDS,
        [*STARTS[1:], "0:00"],
        [f"{start}-{end}" for start, end in zip(STARTS, ENDS, strict=True)],
        [f"{start} – {end}" for start, end in zip(STARTS, [*STARTS[1:], "0:00"], strict=True)],
        [f"{label}:00" for label in STARTS],
        [label.replace(":", ".") for label in STARTS],
    ],
    ids=["beginnings", "ends", "0:00 of its own day", "ranges", "ranges to 0:00", "with seconds", "with points"],
)
@pytest.mark.parametrize("step", ["", 'step = "PT30M"\n'], ids=["told by the moments", "told by the document"])
def test_every_way_to_write_half_hours_gives_the_same_day(labels: list[str], step: str) -> None:
    assert blocks(mapped(step + HOURS), day(labels)) == {("7", "A+", "2026-10-01"): WHOLE}


def test_ends_that_roll_into_the_next_day_are_ends() -> None:
    moments = [datetime(2026, 10, 1) + timedelta(minutes=30 * n) for n in range(1, 97)]  # noqa: DTZ001 - cells have no zone
    document = HOURS.replace('clock = ["Время"]\n', "")
    lines = [["Счетчик", "Дата", "Расход"], *(["7", one, n % 48 + 1] for n, one in enumerate(moments))]
    found = blocks(mapped(document), book(("Лист1", lines)))
    assert found == {("7", "A+", f"2026-10-0{number}"): WHOLE for number in (1, 2)}


def test_a_block_says_that_its_values_are_of_half_an_hour() -> None:
    [one] = decoded(mapped(HOURS), day(STARTS))
    assert [(block.step, block.day, block.count, block.where) for block in one.blocks] == [
        (Step.HALF_HOUR, date(2026, 10, 1), 48, "lines 2-49, column 4")
    ]


@pytest.mark.parametrize(("told", "count"), [("29.03.2026", 46), ("25.10.2026", 50), ("26.10.2026", 48)])
def test_the_days_when_clocks_change_have_46_and_50_half_hours(told: str, count: int) -> None:
    labels = [label for label in STARTS if count != 46 or not label.startswith("3:")]
    if count == 50:
        labels[8:8] = ["3:00", "3:30"]
    [written] = blocks(mapped(HOURS), day(labels, told)).values()
    assert written == ",".join(map(str, range(1, count + 1)))


def test_a_doubled_hour_by_its_ends() -> None:
    labels = [*ENDS[:8], "3:30", "4:00", *ENDS[8:]]
    [written] = blocks(mapped(HOURS), day(labels, "25.10.2026")).values()
    assert written == ",".join(map(str, range(1, 51)))


def test_a_half_hour_that_is_not_or_comes_twice_refuses_its_meter() -> None:
    assert wrong(mapped(HOURS), day(STARTS, "29.03.2026")) == [("hour_nonexistent", f"line {line}, column 4") for line in (8, 9)]
    assert wrong(mapped(HOURS), day([*STARTS, "5:30"])) == [("moment_repeated", "line 50, column 4")]


@pytest.mark.parametrize(("label", "written"), [("start", ",,2,3" + "," * 44), ("end", ",2,3" + "," * 45)])
def test_the_document_says_what_the_half_hours_do_not(label: str, written: str) -> None:
    lines = rows(HEAD, "7;01.10.2026;01:00;2", "7;01.10.2026;01:30;3")
    assert blocks(mapped(f'label = "{label}"\n{HOURS}'), lines) == {("7", "A+", "2026-10-01"): written}
    assert wrong(mapped(HOURS), lines) == [("hour_labels_unclear", "line 2, column 4")]


def test_a_half_among_hours_is_a_mistake_and_told() -> None:
    labels = [f"{hour}:00" for hour in range(24)]
    labels[7] = "7:30"
    assert wrong(mapped(HOURS), day(labels)) == [("moment_invalid", "line 9, column 3")]
    assert wrong(mapped(f'step = "PT1H"\n{HOURS}'), day(STARTS))[0] == ("moment_invalid", "line 3, column 3")
    whole = [*(f"{start}-{end}" for start, end in zip(STARTS[:46], ENDS[:46], strict=True)), "23-24"]
    assert wrong(mapped(HOURS), day(whole)) == [("moment_invalid", "line 48, column 3")], "an hour is not half of one"


def test_meters_across_have_half_hours_too() -> None:
    lines: list[list[object]] = [["Дата", "Время", "0071", "0072"]]
    lines += [[date(2026, 10, 1), time(n // 2, n % 2 * 30), n, 2 * n] for n in range(48)]
    found = blocks(mapped(ACROSS), book(("Лист1", lines)), Envelope(zone="Europe/Moscow"))
    assert found == {
        ("0071", "A+", "2026-10-01"): ",".join(map(str, range(48))),
        ("0072", "A+", "2026-10-01"): ",".join(map(str, range(0, 96, 2))),
    }


@pytest.mark.parametrize(
    ("cell", "clock"),
    [
        ("0:30", Clock(0, half=True)),
        ("23.30", Clock(23, half=True)),
        (time(5, 30), Clock(5, half=True)),
        (timedelta(hours=23, minutes=30), Clock(23, half=True)),
        (0.5 / 24, Clock(0, half=True)),
        ("0:30-1:00", Clock(0, whole=True, half=True, short=True)),
        ("23:30–24:00", Clock(23, whole=True, half=True, short=True)),
        ("23:30-0:00", Clock(23, whole=True, half=True, short=True)),
        ("1:00-2:00", Clock(1, whole=True)),
    ],
)
def test_a_half_hour_as_it_is_written(cell: Cell, clock: Clock) -> None:
    assert read_clock(cell, halves=True) == clock


@pytest.mark.parametrize("cell", ["24:30", "0:15", "1:00-1:15", "1:30-1:00", "24:00-24:30", "0:30-1:30", time(5, 20)])
def test_anything_else_is_none(cell: Cell) -> None:
    assert isinstance(read_clock(cell, halves=True), Exception)


@pytest.mark.parametrize("cell", ["0:30", "0:30-1:00", time(5, 30)])
def test_where_hours_are_read_a_half_is_wrong(cell: Cell) -> None:
    assert isinstance(read_clock(cell), Exception)
    assert isinstance(read_day(f"01.10.2026 {cell}"), Exception)


@given(st.sets(st.integers(0, 47), min_size=24), st.booleans())
def test_whatever_is_left_out_is_missing_and_nothing_moves(there: set[int], ends: bool) -> None:  # noqa: FBT001 - the other half
    labels = ENDS if ends else STARTS
    body = rows(HEAD, *(f"7;01.10.2026;{labels[n]};{n}" for n in sorted(there)))
    document = f'step = "PT30M"\nlabel = "{"end" if ends else "start"}"\n{HOURS}'
    [written] = blocks(mapped(document), body).values()
    assert written == ",".join(str(n) if n in there else "" for n in range(48))
